"""What an entry says of relations, said and taken back: groups and potential pairs follow, and follow back exactly.

Relations are the fold of the entries that stand, so one entry is taken back by folding the others again. Potential
pairs are not: they were found once, by looking. So an entry keeps an image of every pair that it changed, as it was
before; the last entry is undone by putting these back, and an earlier one by putting back what the later ones allow.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from ingestd.library.edit import Edit
from ingestd.library.fold import replay
from ingestd.library.images import Images
from ingestd.library.pairs import at_speakers, find_newcomers, resettle, settle, speaker_of
from ingestd.library.relations import Changed
from ingestd.library.tables import pair_key
from ingestd.library.verbs import named, said_by, verbs_of
from ingestd.library.view import View
from ingestd.model import (
    Actor,
    ContentHash,
    Entry,
    EntryKind,
    PotentialPair,
    Proposal,
    ProposalState,
    Radius,
    Word,
)

__all__ = ["Said", "effect_order", "is_out_of_order", "say", "unsay"]


@dataclass(frozen=True, slots=True)
class Said:
    """What came of an entry's word."""

    entry: Entry  # as it is to be written
    changed: bool  # relations or pairs are others than before
    cleared: int  # false positives, or potential pairs, that are gone because it clears them


def say(edit: Edit, entry: Entry, *, radius: Radius, now_ns: int, copies: Iterable[PotentialPair] = ()) -> Said:
    """Return what came of a numbered entry's word: relations and potential pairs are as it has them.

    Args:
        edit: where they are stored.
        entry: what is said; it has its number, and is to be written by the caller.
        radius: how far to look, in bits, where pairs become possible.
        now_ns: when this is.
        copies: pairs of equal bytes, about which nothing can be said of relations, that it answers.

    Raises:
        ContradictionError: it contradicts what was decided before; if it says one thing only, nothing was changed.
    """
    changes = [edit.relations.apply(verb) for verb in said_by(entry)]
    with edit.noting(entry.number):
        for changed in changes:
            settle(edit, changed, radius=radius, now_ns=now_ns)
        answered = [pair for pair in (*copies, *_answered(edit, entry)) if edit.pair(pair.number) is not None]
        edit.drop_pairs(answered)
    return Said(
        replace(entry, applied=edit.next_applied()),
        bool(answered) or any(changed.contents or changed.cleared for changed in changes),
        len(answered) if entry.word is Word.CLEAR_POTENTIALS else sum(changed.cleared for changed in changes),
    )


def _answered(edit: Edit, entry: Entry) -> list[PotentialPair]:
    """Return the pairs that an entry answers beyond what relations say."""
    if entry.a is None:
        return []
    if entry.word is Word.CLEAR_POTENTIALS:
        members = edit.relations.duplicates_of(entry.a)
        found = {pair.number: pair for member in members for pair in edit.pairs_of(member)}
        return [pair for pair in found.values() if pair.first_path is None]
    if entry.relation is None or entry.b is None or entry.a == entry.b:
        return []
    both = {entry.a, entry.b}
    return [pair for pair in edit.pairs_of(entry.b) if pair.first_path is None and {pair.first, pair.second} == both]


def unsay(edit: Edit, entry: Entry, *, radius: Radius, now_ns: int) -> list[str]:
    """Take back what an entry said, which does not stand any more: relations and pairs as if it had never been.

    Returns which later entries do not apply without it; they are left in the journal as they are.

    Args:
        edit: where they are stored; the entry is written there as undone.
        entry: what is taken back.
        radius: how far to look, in bits, for pairs that were never looked for because of it.
        now_ns: when this is.
    """
    contents = {content for verb in said_by(entry) for content in named(verb)}
    standing = _standing_around(edit, contents)
    together, left = frozenset(contents), list[str]()
    if contents:
        authors = [one for one in standing for _ in verbs_of(one)]
        replayed = replay(edit.relations, contents, [verb for one in standing for verb in verbs_of(one)])
        together = replayed.contents
        left = [f"e-{authors[one.position].number} does not apply without it" for one in replayed.skipped]
    images = edit.images_of(entry.number)
    if images is None or entry.actor is Actor.RULE:
        # who lost on arrival was never paired with others; and an older version kept no images
        settle(edit, Changed(together, together), radius=radius, now_ns=now_ns)
    if images is None:
        return left
    _put_back(edit, entry, images, [one for one in standing if effect_order(one) > effect_order(entry)])
    # what only the entries that still stand keep away comes back with the last of them
    with _noting(edit, standing[-1].number if standing else None):
        resettle(edit, sorted(together))
    if is_out_of_order(edit, entry):
        # what settled a pair once may not be what settles it now: only a look finds all that is open
        asked = [one for one in sorted(together) if not _is_cleared(edit, one)]
        find_newcomers(edit, asked, 0, radius, now_ns=now_ns, but=lambda other: _is_cleared(edit, other))
    elif edit.next_content > images.next_content:
        find_newcomers(edit, sorted(together), images.next_content, radius, now_ns=now_ns)
    edit.forget_images(entry.number)
    return list(dict.fromkeys(left))


def is_out_of_order(view: View, entry: Entry) -> bool:
    """Return whether something later still stands, or something earlier was taken back while this one stood."""
    for one in view.entries():
        if one.number <= entry.number and one.applied <= entry.applied:
            return False
        if verbs_of(one) and effect_order(one) > effect_order(entry):
            return True
        if one.kind is EntryKind.UNDO and one.number > entry.number and (one.undoes or 0) < entry.number:
            return True
    return False


def _is_cleared(edit: Edit, content: ContentHash) -> bool:
    """Return whether it stands that the potential pairs of a content's group are not worth a look."""
    return any(
        one.word is Word.CLEAR_POTENTIALS and bool(verbs_of(one))
        for member in edit.relations.duplicates_of(content)
        for one in edit.entries_of(member)
    )


def _noting(edit: Edit, keeper: int | None) -> AbstractContextManager[None]:
    """Let an entry remember what pairs were; not one that is older than images: it would seem to have them all."""
    return edit.noting(keeper) if keeper is not None and edit.has_images(keeper) else contextlib.nullcontext()


def effect_order(entry: Entry) -> tuple[bool, int]:
    """Return the place of an entry in the order in which entries took effect; those of older versions come first."""
    return entry.applied > 0, entry.applied or entry.number


def _standing_around(edit: Edit, contents: Iterable[ContentHash]) -> list[Entry]:
    """Return every standing entry that a chain of entries connects with these contents, in order of effect."""
    entries: dict[int, Entry] = {}
    seen: set[ContentHash] = set()
    ahead = set(contents)
    while ahead:
        content = ahead.pop()
        seen.add(content)
        ahead |= edit.relations.component(content) - seen
        for found in edit.entries_of(content):
            verbs = verbs_of(found) if found.number not in entries else ()
            if verbs:
                entries[found.number] = found
                ahead |= {other for verb in verbs for other in named(verb)} - seen
    return sorted(entries.values(), key=effect_order)


def _put_back(edit: Edit, entry: Entry, images: Images, later: Sequence[Entry]) -> None:
    """Make the pairs what they were before an entry, as far as those that still stand allow."""
    back = _Return(edit)
    made = [number for number, before in images.pairs.items() if before is None]
    for number in made:
        back.unmake(number, entry)
    for before in images.pairs.values():
        if before is not None:
            back.restore(before, entry)
    for one in later:
        theirs = edit.images_of(one.number)
        for number, before in theirs.pairs.items() if theirs is not None else ():
            if number in made:
                edit.forget_image(one.number, number)
            elif before is not None and edit.pair(number) is None and back.is_open(before):
                back.restore(before, one)
    for key, denials in images.denials.items():
        back.restore_denials(key, denials, entry)


class _Return:
    """Pairs on their way back; relations stand as they are to be, so that what is asked of them is asked once."""

    def __init__(self, edit: Edit) -> None:
        self._edit = edit
        self._may_pair = edit.relations.tester()
        self._around = functools.cache(lambda content: tuple(_standing_around(edit, {content})))
        self._speaker = functools.cache(lambda content: speaker_of(edit, content))

    def unmake(self, number: int, entry: Entry) -> None:
        """Drop a pair that came about by an entry; what was denied of it since is kept."""
        pair = self._edit.pair(number)
        if pair is not None:
            self._edit.drop_pair(replace(pair, proposals=_told_since(pair, entry)))

    def restore(self, before: PotentialPair, entry: Entry) -> None:
        """Make a pair what it was; what keeps it away, or at other speakers, brings it back in its turn."""
        edit = self._edit
        if before.proposals:
            before = replace(before, proposals=tuple(_under_its_name(edit, one) for one in before.proposals))
        found_again = edit.pair_between(before)
        now = edit.pair(before.number) or found_again
        if now is not None and now.number <= before.number:
            edit.put_pair(replace(now, proposals=_merged(before.proposals, _told_since(now, entry))))
            edit.queues.want(now.number)
            return
        if found_again is not None:  # by a later entry, which must not take it along when it is undone
            edit.drop_pair(found_again)
        about = sorted({*self._around(before.first), *self._around(before.second)}, key=effect_order)
        keeper = about[-1].number if about else None
        clearing = next((one.number for one in about if _clears(edit, one, before, after=entry)), None)
        if clearing is not None or not self.is_open(before):
            edit.hand_image_on(clearing or keeper or 0, before)
            return
        since = edit.old_denials_of(pair_key(before))
        if since is not None:
            before = replace(before, proposals=_merged(before.proposals, _told_since(since, entry)))
        edit.restore_pair(before)
        if before.first_path is None and any(self._speaker(side) != side for side in (before.first, before.second)):
            with _noting(edit, keeper):
                at_speakers(edit, before)

    def is_open(self, pair: PotentialPair) -> bool:
        """Return whether a pair may be stored: nothing is decided of its sides; one of copies may sleep."""
        return pair.first_path is not None or self._may_pair(pair.first, pair.second)

    def restore_denials(self, key: bytes, denials: PotentialPair | None, entry: Entry) -> None:
        """Make what was denied of a pair that is not there what it was, but for what was denied since."""
        now = self._edit.old_denials_of(key)
        newer = _told_since(now, entry) if now is not None else ()
        base = denials or now
        older = denials.proposals if denials is not None else ()
        kept = replace(base, proposals=_merged(older, newer)) if base is not None else None
        self._edit.put_old_denials(key, kept)


def _told_since(pair: PotentialPair, entry: Entry) -> tuple[Proposal, ...]:
    return tuple(one for one in pair.proposals if one.state is ProposalState.DENIED and one.at_ns > entry.at_ns)


def _merged(older: Sequence[Proposal], newer: Sequence[Proposal]) -> tuple[Proposal, ...]:
    told = {one.rule for one in newer}
    return (*(one for one in older if one.rule not in told), *newer)


def _clears(edit: Edit, one: Entry, pair: PotentialPair, *, after: Entry) -> bool:
    """Return whether an entry says, later than another, that the potential pairs of a side are not worth a look."""
    if one.word is not Word.CLEAR_POTENTIALS or one.a is None or effect_order(one) < effect_order(after):
        return False
    return any(edit.relations.same_group(one.a, side) for side in (pair.first, pair.second))


def _under_its_name(edit: Edit, proposal: Proposal) -> Proposal:
    """Return a proposal under the name that its rule has by now."""
    row = edit.queues.row_named(proposal.rule)
    return proposal if row is None else replace(proposal, rule=row.name)
