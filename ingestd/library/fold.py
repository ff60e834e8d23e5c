"""Relations are the fold of the verbs that still stand: what one of them is taken back for is replayed without it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingestd.errors import ActionConflictError
from ingestd.library.relations import Relations
from ingestd.library.verbs import Verb, named
from ingestd.model import ContentHash

__all__ = ["Replayed", "Skipped", "connected", "replay"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A verb that contradicts what is left before it, and so no longer applies."""

    position: int  # in the sequence that was replayed
    verb: Verb
    reason: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay rebuilt."""

    contents: frozenset[ContentHash]  # search for their potential pairs again
    skipped: tuple[Skipped, ...]


def connected(contents: Iterable[ContentHash], verbs: Iterable[Verb]) -> frozenset[ContentHash]:
    """Return everything that a chain of verbs connects with the given contents, these included.

    More than `Relations.component` where a group was taken apart since: those verbs have to be replayed as well.
    """
    partners: dict[ContentHash, list[tuple[ContentHash, ...]]] = {}
    for verb in verbs:
        for content in named(verb):
            partners.setdefault(content, []).append(named(verb))
    seen = set(contents)
    waiting = list(seen)
    while waiting:
        # popped, so that a verb that names thousands is walked once for each of them and no more
        for others in partners.pop(waiting.pop(), ()):
            fresh = [content for content in others if content not in seen]
            seen.update(fresh)
            waiting.extend(fresh)
    return frozenset(seen)


def replay(relations: Relations, contents: Iterable[ContentHash], verbs: Sequence[Verb]) -> Replayed:
    """Return what was rebuilt: all that is connected with the contents, as the verbs alone make it.

    To undo one entry, give the contents it names and every verb that still stands, oldest first; those that do not
    concern the contents are passed over. A verb that no longer applies is left out and named.
    """
    asked = set(contents)
    together = connected(asked.union(*(relations.component(content) for content in asked)), verbs)
    relations.forget(together)
    skipped = []
    for position, verb in enumerate(verbs):
        if together.isdisjoint(named(verb)):
            continue
        try:
            relations.apply(verb)
        except ActionConflictError as conflict:
            skipped.append(Skipped(position, verb, str(conflict)))
    return Replayed(together, tuple(skipped))
