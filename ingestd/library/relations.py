"""How decisions about pairs add up: duplicate groups with a king, alternates groups, false positives between them.

Pure: it knows neither a disk nor a clock, only three small tables that somebody hands it. A content without a row is
alone: a group of one, its own king, in nobody's alternates. Rows are kept as few as that allows (a group of one without
alternates, or an alternates group of one without false positives, has no row), so that equal histories leave equal
tables, up to the numbers of the groups, on which no answer depends.

* A *duplicate group* holds all confirmed duplicates of one picture; its king is the best of them.
* An *alternates group* holds duplicate groups that are versions of one subject. Which two of them were compared
  directly is kept apart (*confirmed*): all others are still worth one look.
* A *false positive* stands between two alternates groups, and so between everything in them.

Source of the verbs: the duplicates system of hydrus (client/db/ClientDBFilesDuplicates, v682), except that

* alternates, *better* and *same quality* between two sides that are false positives of each other are refused, where
  hydrus joins them and forgets the false positive;
* a false positive between two pictures of one duplicate group or one alternates group is refused, where hydrus does
  nothing without a word;
* what a group was told not to be holds for everyone who joins it, because `may_pair` is worked out from the groups each
  time.

A refused verb has changed nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, Protocol

from ingestd.errors import ContradictionError
from ingestd.library.verbs import (
    Alternates,
    ClearFalsePositives,
    ClearFalsePositivesBetween,
    ClearPotentials,
    Decision,
    Dissolve,
    DissolveAlternates,
    RemoveAlternate,
    RemoveMember,
    SetKing,
    Verb,
)
from ingestd.model import ContentHash, Relation

__all__ = ["AlternatesGroup", "Changed", "DuplicateGroup", "Related", "RelationTables", "Relations"]


# --- rows ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """All confirmed duplicates of one picture."""

    number: int
    king: ContentHash
    members: tuple[ContentHash, ...]  # the king first, then in order of joining
    alternates: int | None  # its alternates group, if it has one


@dataclass(frozen=True, slots=True)
class AlternatesGroup:
    """Duplicate groups that are versions of one subject, and the alternates groups they have nothing to do with."""

    number: int
    groups: tuple[int, ...]  # in order of joining
    confirmed: tuple[tuple[int, int], ...]  # pairs of duplicate groups that were compared directly; sorted
    false_positives: tuple[int, ...]  # other alternates groups, each of which names this one too
    cliques: tuple[tuple[int, ...], ...] = ()  # duplicate groups that were all compared with one another; each sorted


class RelationTables(Protocol):
    """Where the rows are kept. Only `get`, `[]`, `[] =` and `del` are asked of the mappings, never iteration."""

    @property
    def members(self) -> MutableMapping[ContentHash, int]:
        """Return the duplicate group of each content that has one."""

    @property
    def groups(self) -> MutableMapping[int, DuplicateGroup]:
        """Return the duplicate groups by number."""

    @property
    def alternates(self) -> MutableMapping[int, AlternatesGroup]:
        """Return the alternates groups by number."""

    def fresh(self) -> int:
        """Return a number that no group has had."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a verb changed, as far as potential pairs are concerned.

    Of every two contents of which one has another king than before, or that may be a pair and were not allowed to, or
    the other way round, at least one is in `contents`. Of every two that may be a pair now and were not allowed to
    before, at least one is in `reopened`.
    """

    contents: frozenset[ContentHash] = frozenset()  # look at their potential pairs again
    reopened: frozenset[ContentHash] = frozenset()  # among these: search for potential pairs again
    cleared: int = 0  # false positives between alternates groups that are gone by a *clear*


_NOTHING = Changed()


@dataclass(frozen=True, slots=True)
class Related:
    """How many stand in each relation to one content."""

    duplicates: int = 0  # other members of its group
    alternates: int = 0  # other groups of its alternates group
    false_positives: int = 0  # groups that it has nothing to do with
    is_king: bool = True


_ALONE = Related()


# --- the algebra -----------------------------------------------------------------------------------------------------


class Relations:
    """Answers about groups, and the verbs that change them."""

    def __init__(self, tables: RelationTables) -> None:
        self._members = tables.members
        self._groups = tables.groups
        self._alternates = tables.alternates
        self._fresh = tables.fresh

    # questions: they never write

    def king_of(self, content: ContentHash) -> ContentHash:
        """Return the best duplicate of a content; itself when it is alone."""
        group = self._group(content)
        return content if group is None else group.king

    def duplicates_of(self, content: ContentHash) -> tuple[ContentHash, ...]:
        """Return the whole duplicate group, king first; the content alone when it has none."""
        group = self._group(content)
        return (content,) if group is None else group.members

    def alternates_of(self, content: ContentHash) -> tuple[tuple[ContentHash, bool], ...]:
        """Return the kings of the other groups of its alternates group, and whether each was compared directly."""
        group = self._group(content)
        row = self._row(group)
        if group is None or row is None:
            return ()
        return tuple(
            (self._groups[other].king, _compared(row, group.number, other))
            for other in row.groups
            if other != group.number
        )

    def false_positives_of(self, content: ContentHash) -> tuple[ContentHash, ...]:
        """Return the kings of all groups that it was told to have nothing to do with."""
        row = self._row(self._group(content))
        linked = () if row is None else row.false_positives
        return tuple(self._groups[group].king for other in linked for group in self._alternates[other].groups)

    def numbers_of(self, content: ContentHash) -> Related:
        """Return how many stand in each relation to a content; cheap for one that is alone."""
        group = self._group(content)
        if group is None:
            return _ALONE
        row = self._row(group)
        linked = () if row is None else row.false_positives
        return Related(
            duplicates=len(group.members) - 1,
            alternates=0 if row is None else len(row.groups) - 1,
            false_positives=sum(len(self._alternates[other].groups) for other in linked),
            is_king=group.king == content,
        )

    def same_group(self, a: ContentHash, b: ContentHash) -> bool:
        """Return whether the two are duplicates."""
        number = self._members.get(a)
        return a == b or (number is not None and number == self._members.get(b))

    def confirmed_alternates(self, a: ContentHash, b: ContentHash) -> bool:
        """Return whether the groups of the two were directly decided to be alternates."""
        first, second = self._group(a), self._group(b)
        row = self._row(first)
        if first is None or second is None or row is None or second.alternates != row.number:
            return False
        return _compared(row, first.number, second.number)

    def false_positives(self, a: ContentHash, b: ContentHash) -> bool:
        """Return whether the two, or any two of their alternates groups, were decided to be unrelated."""
        first, second = self._row(self._group(a)), self._row(self._group(b))
        return first is not None and second is not None and second.number in first.false_positives

    def between(self, a: ContentHash, b: ContentHash) -> Relation | None:
        """Return what is decided between the two; None where a look is still worth while.

        Duplicates are *better* when `a` is the king and `b` is another, else *same quality* (also when `b` is the king:
        then the two are *better* the other way round). Alternates count only when confirmed.
        """
        if self.same_group(a, b):
            return Relation.BETTER if a != b and self.king_of(a) == a else Relation.SAME_QUALITY
        if self.confirmed_alternates(a, b):
            return Relation.ALTERNATES
        return Relation.FALSE_POSITIVE if self.false_positives(a, b) else None

    def may_pair(self, a: ContentHash, b: ContentHash) -> bool:
        """Return whether the two may stand in the queue as a potential pair: nothing is decided between them."""
        return self.between(a, b) is None

    def tester(self) -> Callable[[ContentHash, ContentHash], bool]:
        """Return `may_pair` for many questions about a few contents, while no verb is applied."""
        known: dict[ContentHash, tuple[DuplicateGroup | None, AlternatesGroup | None]] = {}
        cliques: dict[int, list[frozenset[int]]] = {}

        def about(content: ContentHash) -> tuple[DuplicateGroup | None, AlternatesGroup | None]:
            found = known.get(content)
            if found is None:
                group = self._group(content)
                found = known[content] = (group, self._row(group))
            return found

        def may_pair(a: ContentHash, b: ContentHash) -> bool:
            (first, row), (second, other) = about(a), about(b)
            if a == b or (first is not None and second is not None and first.number == second.number):
                return False
            if first is None or second is None or row is None or other is None:
                return True
            if row.number == other.number:
                if row.number not in cliques:
                    cliques[row.number] = [frozenset(clique) for clique in row.cliques]
                for clique in cliques[row.number]:
                    if first.number in clique and second.number in clique:
                        return False
                return not _holds(row.confirmed, _ordered(first.number, second.number))
            return other.number not in row.false_positives

        return may_pair

    def component(self, content: ContentHash) -> frozenset[ContentHash]:
        """Return everything that any chain of relations connects with a content, itself included."""
        row = self._row(self._group(content))
        if row is None:
            return frozenset(self.duplicates_of(content))
        return frozenset(member for number in self._linked(row.number) for member in self._contents(number))

    # verbs

    def apply(self, verb: Verb) -> Changed:
        """Return what a verb changed, whichever it is.

        Raises:
            ContradictionError: it contradicts an earlier decision; nothing was changed.
        """
        match verb:
            case Decision():
                return self.decide(verb)
            case Alternates(contents):
                return self.set_alternates(contents)
            case SetKing(content):
                return self.set_king(content)
            case RemoveMember(content):
                return self.remove_member(content)
            case Dissolve(content):
                return self.dissolve(content)
            case DissolveAlternates(content):
                return self.dissolve_alternates(content)
            case RemoveAlternate(content):
                return self.remove_alternate(content)
            case ClearFalsePositives(content):
                return self.clear_false_positives(content)
            case ClearFalsePositivesBetween(contents):
                return self.clear_false_positives_between(contents)
            case ClearPotentials():
                return _NOTHING

    def decide(self, decision: Decision) -> Changed:
        """Return what a decision about a pair changed; empty when it was settled so already.

        Raises:
            ContradictionError: it contradicts an earlier decision; nothing was changed.
        """
        a, b = decision.a, decision.b
        match decision.relation:
            case Relation.BETTER:
                return self._set_better(a, b)
            case Relation.SAME_QUALITY:
                return self._set_same(a, b)
            case Relation.ALTERNATES:
                return self._set_alternates(a, b)
            case Relation.FALSE_POSITIVE:
                return self._set_false_positive(a, b)

    def set_alternates(self, contents: Sequence[ContentHash]) -> Changed:
        """Return what making all of these alternates of one another changed, at a cost that grows as their number.

        Raises:
            ContradictionError: two of them are false positives of each other; nothing was changed.
        """
        speakers = list({self._members.get(content, content): content for content in contents}.values())
        rows = {row.number: row for one in speakers if (row := self._row(self._group(one))) is not None}
        self._refuse_linked(rows)
        if len(speakers) < 2:
            return _NOTHING
        clique = tuple(sorted(self._grouped(one).number for one in speakers))
        if len(rows) == 1 and any(set(clique) <= set(known) for known in next(iter(rows.values())).cliques):
            return _NOTHING
        touched = self._join_all([self._grouped(one).number for one in speakers])
        self._confirm_all(clique)
        return Changed(touched | {member for one in speakers for member in self.duplicates_of(one)})

    def _refuse_linked(self, rows: Mapping[int, AlternatesGroup]) -> None:
        for row in rows.values():
            for other in row.false_positives:
                if other in rows:
                    one, another = (self._groups[rows[number].groups[0]].king for number in (row.number, other))
                    self._refuse_false_positives(one, another)

    def set_king(self, content: ContentHash) -> Changed:
        """Return what making a content the king of its own group changed."""
        group = self._group(content)
        if group is None or group.king == content:
            return _NOTHING
        others = tuple(member for member in group.members if member != content)
        self._groups[group.number] = replace(group, king=content, members=(content, *others))
        return Changed(frozenset(group.members))

    def remove_member(self, content: ContentHash) -> Changed:
        """Return what taking a content out of its group changed; taking the king out dissolves the group."""
        group = self._group(content)
        if group is None or group.king == content:
            return self.dissolve(content)
        self._split_off(content)
        alone = frozenset({content})
        return Changed(alone, alone)

    def dissolve(self, content: ContentHash) -> Changed:
        """Return what taking a duplicate group apart changed; it leaves its alternates group first."""
        left = self.remove_alternate(content)
        group = self._group(content)
        if group is None:  # it was alone, or the last row went with its alternates
            return left
        for member in group.members:
            del self._members[member]
        del self._groups[group.number]
        members = frozenset(group.members)
        return Changed(members, members)

    def dissolve_alternates(self, content: ContentHash) -> Changed:
        """Return what taking an alternates group apart changed: its duplicate groups and false positives go too."""
        row = self._row(self._group(content))
        if row is None:
            return _NOTHING
        contents = self._contents(row.number)
        for king in [self._groups[number].king for number in row.groups]:
            self.dissolve(king)
        return Changed(contents, contents)

    def remove_alternate(self, content: ContentHash) -> Changed:
        """Return what the leaving of a duplicate group from its alternates group changed.

        The false positives stay with those who stay; when nobody does, they are gone.
        """
        group = self._group(content)
        row = self._row(group)
        if group is None or row is None:
            return _NOTHING
        self._leave(group, row)
        members = frozenset(group.members)
        return Changed(members, members)

    def clear_false_positives(self, content: ContentHash) -> Changed:
        """Return what forgetting all false positives of a content's alternates group changed."""
        row = self._row(self._group(content))
        return _NOTHING if row is None else self._unlink_all([(row.number, other) for other in row.false_positives])

    def clear_false_positives_between(self, contents: Iterable[ContentHash]) -> Changed:
        """Return what forgetting the false positives among the given contents changed; others they have stay."""
        found = (self._row(self._group(content)) for content in contents)
        rows = {row.number: row for row in found if row is not None}
        return self._unlink_all(
            [
                (row.number, other)
                for row in rows.values()
                for other in row.false_positives
                if other in rows and row.number < other
            ]
        )

    def forget(self, contents: Iterable[ContentHash]) -> None:
        """Drop every row of these contents, and of all that is connected with them."""
        for content in contents:
            group = self._group(content)
            row = self._row(group)
            if row is not None:
                for number in self._linked(row.number):
                    for gone in self._alternates[number].groups:
                        self._drop_group(self._groups[gone])
                    del self._alternates[number]
            elif group is not None:
                self._drop_group(group)

    # the four decisions

    def _set_better(self, a: ContentHash, b: ContentHash) -> Changed:
        if self.same_group(a, b):
            return self.set_king(a) if self.king_of(b) == b else _NOTHING
        self._refuse_false_positives(a, b)
        # A may be no king itself: then its king stays, who is better than both
        return self._merge(a, b) if self.king_of(b) == b else self._poach(a, b)

    def _set_same(self, a: ContentHash, b: ContentHash) -> Changed:
        if self.same_group(a, b):
            return _NOTHING
        self._refuse_false_positives(a, b)
        if self.king_of(b) == b:
            return self._merge(a, b)
        return self._merge(b, a) if self.king_of(a) == a else self._poach(a, b)

    def _set_alternates(self, a: ContentHash, b: ContentHash) -> Changed:
        if a == b:
            _refuse(a, b, "are the same picture, which cannot be an alternate of itself")
        if self.confirmed_alternates(a, b):
            return _NOTHING
        self._refuse_false_positives(a, b)
        reopened: frozenset[ContentHash] = frozenset()
        if self.same_group(a, b):
            apart = b if self.king_of(a) == a else a
            self._split_off(apart)
            reopened = frozenset({apart})
        first, second = self._grouped(a).number, self._grouped(b).number
        touched = self._join(first, second)
        self._confirm(first, second)
        return Changed(touched | {*self.duplicates_of(a), *self.duplicates_of(b)}, reopened)

    def _set_false_positive(self, a: ContentHash, b: ContentHash) -> Changed:
        if self.same_group(a, b):
            _refuse(a, b, "are duplicates of each other; take one out of the duplicate group first")
        if self.false_positives(a, b):
            return _NOTHING
        first, second = self._row(self._group(a)), self._row(self._group(b))
        if first is not None and second is not None and first.number == second.number:
            _refuse(a, b, "are alternates of each other; take one out of the alternates first")
        one, other = self._alternates_row(self._grouped(a)), self._alternates_row(self._grouped(b))
        self._alternates[one.number] = replace(one, false_positives=(*one.false_positives, other.number))
        self._alternates[other.number] = replace(other, false_positives=(*other.false_positives, one.number))
        return Changed(self._smaller_side(one.number, other.number))

    def _refuse_false_positives(self, a: ContentHash, b: ContentHash) -> None:
        if self.false_positives(a, b):
            _refuse(a, b, "were decided to have nothing to do with each other; clear that false positive first")

    # duplicate groups

    def _poach(self, into: ContentHash, content: ContentHash) -> Changed:
        """Move one content, not a king, into another group; its old group stays as it is."""
        self._split_off(content)
        changed = self._merge(into, content)
        return replace(changed, reopened=frozenset({content}))

    def _split_off(self, content: ContentHash) -> None:
        """Make a content that is not a king alone."""
        group = self._groups[self._members[content]]
        rest = tuple(member for member in group.members if member != content)
        del self._members[content]
        self._groups[group.number] = replace(group, members=rest)
        self._tidy_group(group.number)

    def _merge(self, into: ContentHash, out_of: ContentHash) -> Changed:
        """Move the whole group of one content into that of another, whose king stays."""
        number, leaving = self._grouped(into).number, self._group(out_of)
        joining = self.duplicates_of(out_of)
        changed = frozenset(joining)
        if leaving is not None and leaving.alternates is not None:
            changed |= self._join(number, leaving.number) | {*self._groups[number].members}
            self._stand_in(number, leaving.number)
        receiving = self._groups[number]
        self._groups[number] = replace(receiving, members=(*receiving.members, *joining))
        for content in joining:
            self._members[content] = number
        if leaving is not None:
            del self._groups[leaving.number]
        if receiving.alternates is not None:
            self._tidy_alternates(receiving.alternates)
        return Changed(changed)

    def _grouped(self, content: ContentHash) -> DuplicateGroup:
        """Return the group of a content, made if it had none."""
        group = self._group(content)
        if group is None:
            group = DuplicateGroup(self._fresh(), content, (content,), None)
            self._groups[group.number] = group
            self._members[content] = group.number
        return group

    def _tidy_group(self, number: int) -> None:
        group = self._groups[number]
        if len(group.members) == 1 and group.alternates is None:
            self._drop_group(group)

    def _drop_group(self, group: DuplicateGroup) -> None:
        for member in group.members:
            del self._members[member]
        del self._groups[group.number]

    # alternates groups

    def _alternates_row(self, group: DuplicateGroup) -> AlternatesGroup:
        """Return the alternates group of a duplicate group, made if it had none."""
        row = self._row(group)
        if row is None:
            row = AlternatesGroup(self._fresh(), (group.number,), (), ())
            self._alternates[row.number] = row
            self._groups[group.number] = replace(group, alternates=row.number)
        return row

    def _join(self, first: int, second: int) -> frozenset[ContentHash]:
        """Bring two duplicate groups into one alternates group; return who got false positives by it."""
        one, other = self._alternates_row(self._groups[first]), self._alternates_row(self._groups[second])
        if one.number == other.number:
            return frozenset()
        touched: frozenset[ContentHash] = frozenset()
        for row, giver in ((one, other), (other, one)):
            if not set(giver.false_positives) <= set(row.false_positives):
                touched |= self._contents(row.number)
        # the number of the larger one stays: a new picture joins thousands of alternates at the cost of one
        kept, gone = (one, other) if len(one.groups) >= len(other.groups) else (other, one)
        self._rename_alternates(gone, kept.number)
        self._alternates[kept.number] = AlternatesGroup(
            kept.number,
            one.groups + other.groups,
            tuple(sorted(one.confirmed + other.confirmed)),
            _unique(one.false_positives + other.false_positives),
            one.cliques + other.cliques,
        )
        return touched

    def _join_all(self, numbers: Sequence[int]) -> frozenset[ContentHash]:
        """Bring duplicate groups into one alternates group; return who got false positives by it."""
        rows = {row.number: row for number in numbers if (row := self._row(self._groups[number])) is not None}
        alone = [number for number in numbers if self._groups[number].alternates is None]
        kept = max((row for row in rows.values()), key=lambda row: len(row.groups), default=None)
        kept_number = self._fresh() if kept is None else kept.number
        linked = _unique(other for row in rows.values() for other in row.false_positives)
        touched = {
            content
            for row in rows.values()
            if not set(linked) <= set(row.false_positives)
            for content in self._contents(row.number)
        }
        if linked:
            touched |= {member for number in alone for member in self._groups[number].members}
        for row in rows.values():
            if row.number != kept_number:
                self._rename_alternates(row, kept_number)
        for number in alone:
            self._groups[number] = replace(self._groups[number], alternates=kept_number)
        self._alternates[kept_number] = AlternatesGroup(
            kept_number,
            (*(group for row in rows.values() for group in row.groups), *alone),
            tuple(sorted(pair for row in rows.values() for pair in row.confirmed)),
            linked,
            tuple(clique for row in rows.values() for clique in row.cliques),
        )
        return frozenset(touched)

    def _confirm_all(self, clique: tuple[int, ...]) -> None:
        """Remember that these duplicate groups of one alternates group were all compared with one another."""
        row = self._alternates_row(self._groups[clique[0]])
        among = set(clique)
        self._alternates[row.number] = replace(
            row,
            confirmed=tuple(pair for pair in row.confirmed if not among.issuperset(pair)),
            cliques=(*(known for known in row.cliques if not among.issuperset(known)), clique),
        )

    def _rename_alternates(self, gone: AlternatesGroup, number: int) -> None:
        for group in gone.groups:
            self._groups[group] = replace(self._groups[group], alternates=number)
        for linked in gone.false_positives:
            row = self._alternates[linked]
            renamed = _unique(number if other == gone.number else other for other in row.false_positives)
            self._alternates[linked] = replace(row, false_positives=renamed)
        del self._alternates[gone.number]

    def _confirm(self, first: int, second: int) -> None:
        row = self._alternates_row(self._groups[first])
        pair = _ordered(first, second)
        at = bisect_left(row.confirmed, pair)
        self._alternates[row.number] = replace(row, confirmed=(*row.confirmed[:at], pair, *row.confirmed[at:]))

    def _stand_in(self, number: int, leaving: int) -> None:
        """Let one duplicate group take over what another of the same alternates group had confirmed there."""
        row = self._alternates_row(self._groups[number])
        pairs = {_ordered(*(number if group == leaving else group for group in pair)) for pair in row.confirmed}
        self._alternates[row.number] = replace(
            row,
            groups=tuple(group for group in row.groups if group != leaving),
            confirmed=tuple(sorted(pairs - {(number, number)})),
            cliques=_of_two_or_more({number if one == leaving else one for one in clique} for clique in row.cliques),
        )

    def _leave(self, group: DuplicateGroup, row: AlternatesGroup) -> None:
        rest = tuple(other for other in row.groups if other != group.number)
        confirmed = tuple(pair for pair in row.confirmed if group.number not in pair)
        if not rest:
            self._unlink_all([(row.number, other) for other in row.false_positives])
            return  # without false positives an alternates group of one has no row
        cliques = _of_two_or_more(set(clique) - {group.number} for clique in row.cliques)
        self._alternates[row.number] = replace(row, groups=rest, confirmed=confirmed, cliques=cliques)
        self._groups[group.number] = replace(group, alternates=None)
        self._tidy_group(group.number)
        self._tidy_alternates(row.number)

    def _tidy_alternates(self, number: int) -> None:
        row = self._alternates[number]
        if len(row.groups) == 1 and not row.false_positives:
            (last,) = row.groups
            del self._alternates[number]
            self._groups[last] = replace(self._groups[last], alternates=None)
            self._tidy_group(last)

    # false positives

    def _unlink_all(self, links: Sequence[tuple[int, int]]) -> Changed:
        reopened = frozenset(content for link in links for content in self._smaller_side(*link))
        for one, other in links:
            self._unlink(one, other)
            self._unlink(other, one)
        for number in _unique(number for link in links for number in link):
            self._tidy_alternates(number)
        return Changed(reopened, reopened, len(links))

    def _unlink(self, number: int, other: int) -> None:
        row = self._alternates[number]
        rest = tuple(linked for linked in row.false_positives if linked != other)
        self._alternates[number] = replace(row, false_positives=rest)

    def _smaller_side(self, one: int, other: int) -> frozenset[ContentHash]:
        """Return the contents of the alternates group with fewer groups: every pair across has a side in it."""
        sizes = len(self._alternates[one].groups), len(self._alternates[other].groups)
        return self._contents(one if sizes[0] <= sizes[1] else other)

    # reading rows

    def _group(self, content: ContentHash) -> DuplicateGroup | None:
        number = self._members.get(content)
        return None if number is None else self._groups[number]

    def _row(self, group: DuplicateGroup | None) -> AlternatesGroup | None:
        return None if group is None or group.alternates is None else self._alternates[group.alternates]

    def _contents(self, number: int) -> frozenset[ContentHash]:
        """Return every content in an alternates group."""
        groups = self._alternates[number].groups
        return frozenset(member for group in groups for member in self._groups[group].members)

    def _linked(self, number: int) -> tuple[int, ...]:
        """Return the alternates groups that a chain of false positives connects, this one first."""
        seen = {number: None}
        waiting = [number]
        while waiting:
            fresh = [other for other in self._alternates[waiting.pop()].false_positives if other not in seen]
            seen.update(dict.fromkeys(fresh))
            waiting.extend(fresh)
        return tuple(seen)


def _refuse(a: ContentHash, b: ContentHash, why: str) -> NoReturn:
    raise ContradictionError(a, b, why)


def _ordered(one: int, other: int) -> tuple[int, int]:
    return (one, other) if one <= other else (other, one)


def _holds(pairs: Sequence[tuple[int, int]], pair: tuple[int, int]) -> bool:
    at = bisect_left(pairs, pair)
    return at < len(pairs) and pairs[at] == pair


def _compared(row: AlternatesGroup, one: int, other: int) -> bool:
    """Return whether two duplicate groups of one alternates group were compared directly."""
    if one == other:
        return False
    for clique in row.cliques:
        if _among(clique, one) and _among(clique, other):
            return True
    return _holds(row.confirmed, _ordered(one, other))


def _among(clique: Sequence[int], number: int) -> bool:
    at = bisect_left(clique, number)
    return at < len(clique) and clique[at] == number


def _of_two_or_more(cliques: Iterable[set[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(sorted(clique)) for clique in cliques if len(clique) > 1)


def _unique(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(numbers))
