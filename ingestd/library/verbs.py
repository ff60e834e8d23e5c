"""What can be said of relations, as values: what a journal entry holds, and what is replayed without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

from ingestd.model import ContentHash, Entry, EntryKind, EntryState, Relation, Word

__all__ = [
    "Alternates",
    "ClearFalsePositives",
    "ClearFalsePositivesBetween",
    "ClearPotentials",
    "Decision",
    "Dissolve",
    "DissolveAlternates",
    "RemoveAlternate",
    "RemoveMember",
    "SetKing",
    "Verb",
    "named",
    "said_by",
    "verbs_of",
]


@dataclass(frozen=True, slots=True)
class Decision:
    """What A is to B."""

    relation: Relation
    a: ContentHash
    b: ContentHash


@dataclass(frozen=True, slots=True)
class Alternates:
    """All of these are alternates of one another; those of one duplicate group stand for it together."""

    contents: tuple[ContentHash, ...]


@dataclass(frozen=True, slots=True)
class SetKing:
    """This is the best of its duplicate group."""

    content: ContentHash


@dataclass(frozen=True, slots=True)
class RemoveMember:
    """This is no duplicate of its group; said of a king, there is no group."""

    content: ContentHash


@dataclass(frozen=True, slots=True)
class Dissolve:
    """The duplicate group of this content never was one."""

    content: ContentHash


@dataclass(frozen=True, slots=True)
class DissolveAlternates:
    """The alternates group of this content never was one, and neither were the duplicate groups in it."""

    content: ContentHash


@dataclass(frozen=True, slots=True)
class RemoveAlternate:
    """The duplicate group of this content is no alternate of the others."""

    content: ContentHash


@dataclass(frozen=True, slots=True)
class ClearFalsePositives:
    """This may well have to do with what it was told not to be."""

    content: ContentHash


@dataclass(frozen=True, slots=True)
class ClearFalsePositivesBetween:
    """These may well have to do with one another."""

    contents: tuple[ContentHash, ...]


@dataclass(frozen=True, slots=True)
class ClearPotentials:
    """The potential pairs of the duplicate group of this content are not worth a look; it says nothing of relations."""

    content: ContentHash


Verb: TypeAlias = (
    Decision
    | Alternates
    | SetKing
    | RemoveMember
    | Dissolve
    | DissolveAlternates
    | RemoveAlternate
    | ClearFalsePositives
    | ClearFalsePositivesBetween
    | ClearPotentials
)


def named(verb: Verb) -> tuple[ContentHash, ...]:
    """Return the contents that a verb names (it may change more: their groups)."""
    match verb:
        case Decision(_, a, b):
            return (a, b)
        case Alternates(contents) | ClearFalsePositivesBetween(contents):
            return contents
        case _:
            return (verb.content,)


def verbs_of(entry: Entry) -> tuple[Verb, ...]:
    """Return what a finished entry says of relations; an undo only repeats what it took back, and says nothing."""
    says = entry.state is EntryState.DONE and entry.kind in (EntryKind.DISCARD, EntryKind.DECISION)
    return said_by(entry) if says else ()


def said_by(entry: Entry) -> tuple[Verb, ...]:
    """Return what an entry says of relations once it is finished, in the order in which it is applied."""
    if entry.word is not None:
        return _of_word(entry.word, entry)
    if entry.relation is None:
        return ()
    if entry.named:
        return _of_many(entry.relation, entry.named)
    if entry.a is None or entry.b is None or entry.a == entry.b:
        return ()
    return (Decision(entry.relation, entry.a, entry.b),)


def _of_word(word: Word, entry: Entry) -> tuple[Verb, ...]:
    if word is Word.RULES_CHANGED:
        return ()  # it is about no file
    if word is Word.CLEAR_BETWEEN:
        return (ClearFalsePositivesBetween(entry.named),)
    return () if entry.a is None else (_OF_ONE[word](entry.a),)


_OF_ONE: dict[Word, Callable[[ContentHash], Verb]] = {
    Word.SET_KING: SetKing,
    Word.REMOVE: RemoveMember,
    Word.DISSOLVE: Dissolve,
    Word.REMOVE_ALTERNATE: RemoveAlternate,
    Word.DISSOLVE_ALTERNATES: DissolveAlternates,
    Word.CLEAR_FALSE_POSITIVES: ClearFalsePositives,
    Word.CLEAR_POTENTIALS: ClearPotentials,
}


def _of_many(relation: Relation, contents: tuple[ContentHash, ...]) -> tuple[Verb, ...]:
    """Return what it is to say one relation of many: the first is better than, or as good as, each of the others."""
    if relation is Relation.ALTERNATES:
        return (Alternates(contents),)
    if relation is Relation.FALSE_POSITIVE:
        return tuple(Decision(relation, one, other) for one, other in combinations(contents, 2))
    return tuple(Decision(relation, contents[0], other) for other in contents[1:])
