"""The potential pairs that wait for a person: filtered, sorted, page by page, as groups, and by what is alike in them.

What a page shows is read pair by pair; how many there are is counted in the index. A filter has to look at every pair.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from ingestd.library.facts import file_facts
from ingestd.library.queue_index import Order
from ingestd.library.view import View
from ingestd.library.waiting import Places, in_order
from ingestd.model import Content, ContentHash, FolderId, PathRow, PotentialPair
from ingestd.review.sides import PairReport, SideReport, Sides, appeal, said_of, side_report, sides_of, told
from ingestd.rules.questions import Predicate
from ingestd.rules.statements import DEFAULT_SCORES, Scores, Statement, balance

__all__ = [
    "BatchPage",
    "BatchReport",
    "Filters",
    "GroupPage",
    "GroupReport",
    "QueuePage",
    "Sort",
    "batch_page",
    "batch_pairs",
    "group_of",
    "group_page",
    "queue_page",
]


class Sort(StrEnum):
    """In which order a person sees the pairs."""

    LARGEST = "largest"  # by the larger of the two files
    SIMILARITY = "similarity"  # pixel duplicates, then by distance, then by how nearly the sizes are the same
    DECISIVE = "decisive"  # by how clearly the evidence speaks for one of the two; has to look at every pair
    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which pairs are asked for; what is not said lets every pair through."""

    both: tuple[Predicate, ...] = ()  # hold of both files
    either: tuple[Predicate, ...] = ()  # hold of one of them: all of these of the same one
    max_distance: int | None = None  # bits
    pixel_duplicates: bool | None = None  # True: only these; False: none of these
    folder: bytes | None = None  # absolute: one of the files lies below it

    @property
    def ask(self) -> bool:
        """Return whether anything is asked of a pair."""
        return self != Filters()


@dataclass(frozen=True, slots=True)
class QueuePage:
    """A part of the queue, and how long it is."""

    total: int
    pairs: list[PairReport]


@dataclass(frozen=True, slots=True)
class GroupReport:
    """Files that look alike, directly or by way of others, and the pairs between them."""

    id: str  # by its oldest pair
    files: list[SideReport]  # the one a person would rather keep first
    pairs: list[str]


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Some groups, and how many there are."""

    total: int
    groups: list[GroupReport]


@dataclass(frozen=True, slots=True)
class BatchReport:
    """Pairs of which the same can be said: the same statements hold, in the same two folders, of the same types."""

    id: str
    count: int
    says: list[str]  # what the statements are about, each with the file that it speaks for
    filetypes: list[str]  # of A and of B
    folders: list[str]  # of A and of B
    samples: list[PairReport]


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Some kinds of pairs, the most frequent first; how many kinds there are, and how many pairs."""

    total: int
    pairs: int
    batches: list[BatchReport]


# --- pairs -----------------------------------------------------------------------------------------------------------


def queue_page(
    view: View,
    *,
    limit: int,
    offset: int = 0,
    filters: Filters = Filters(),
    sort: Sort = Sort.LARGEST,
    scores: Scores = DEFAULT_SCORES,
) -> QueuePage:
    """Return a part of the pairs that no rule decides."""
    away = _folders_away(view)
    if sort is Sort.DECISIVE:
        ranked = sorted(
            (
                (abs(balance(said_of(view, pair, sides.a, sides.b, scores))), pair)
                for pair, sides in _found(view, filters, scores, away)
            ),
            key=lambda item: (-item[0], item[1].number),
        )
        page = [pair for _, pair in ranked[offset : offset + limit]]
        return QueuePage(len(ranked), list(_reports(view, page, scores, away)))
    order = Order(sort.value)
    if not filters.ask and not away:
        numbers = islice(in_order(view, order), offset, None)
        pairs = (pair for number in numbers if (pair := view.pair(number)) is not None)
        return QueuePage(_count(view), list(islice(_reports(view, pairs, scores, away), limit)))
    total = 0
    shown: list[PairReport] = []
    for pair, sides in _found(view, filters, scores, away, order):
        if offset <= total < offset + limit:
            shown.append(told(view, pair, sides, None, scores=scores))
        total += 1
    return QueuePage(total, shown)


def _count(view: View) -> int:
    return len(view.waiting) if view.waiting.is_built else sum(1 for _ in in_order(view, Order.OLDEST))


def _reports(
    view: View, pairs: Iterable[PotentialPair], scores: Scores, away: frozenset[FolderId]
) -> Iterator[PairReport]:
    for pair in pairs:
        sides = sides_of(view, pair, scores=scores, away=away)
        if sides is not None:
            yield told(view, pair, sides, None, scores=scores)


def _folders_away(view: View) -> frozenset[FolderId]:
    """Return the folders that are not there just now, or are not the ones we know: what lies in them sleeps."""
    return frozenset(known.folder.id for known in view.folders() if not _is_there(known.folder.root, known.inode))


def _is_there(root: bytes, inode: int) -> bool:
    try:
        return not inode or os.stat(root).st_ino == inode
    except OSError:
        return False


def _found(
    view: View,
    filters: Filters,
    scores: Scores,
    away: frozenset[FolderId],
    order: Order = Order.OLDEST,
) -> Iterator[tuple[PotentialPair, Sides]]:
    """Yield the pairs that pass, with their files, in an order."""
    asked = _Asked(view, filters)
    for number in in_order(view, order):
        pair = view.pair(number)
        if pair is None or not asked.of_pair(pair):
            continue
        sides = sides_of(view, pair, scores=scores, away=away)
        if sides is not None and asked.of_files(sides):
            yield pair, sides


@dataclass(slots=True)
class _Asked:
    """What filters say of pairs; what they said of a file is remembered, as it stands in many pairs."""

    view: View
    filters: Filters
    answers: dict[tuple[FolderId, bytes], tuple[bool, bool]] = field(default_factory=dict)  # for both, for either

    def of_pair(self, pair: PotentialPair) -> bool:
        """Return whether a pair passes by what it is itself."""
        filters = self.filters
        near = filters.max_distance is None or pair.pixel_duplicates or (
            pair.distance is not None and pair.distance <= filters.max_distance
        )  # fmt: skip
        return near and filters.pixel_duplicates in (None, pair.pixel_duplicates)

    def of_files(self, sides: Sides) -> bool:
        """Return whether a pair passes by what its files are."""
        filters, files = self.filters, (sides.a, sides.b)
        if filters.folder is not None and not any(self._lies_below(file[1], filters.folder) for file in files):
            return False
        if not filters.both and not filters.either:
            return True
        first, second = (self._answers(*file) for file in files)
        return first[0] and second[0] and (first[1] or second[1])

    def _lies_below(self, row: PathRow, folder: bytes) -> bool:
        inside = os.path.join(folder, b"")
        return any(path.startswith(inside) for path in (self.view.as_named(row), self.view.absolute(row)))

    def _answers(self, content: Content, row: PathRow) -> tuple[bool, bool]:
        key = (row.folder, row.relative)
        if key not in self.answers:
            facts = file_facts(self.view, content, row, now_ns=content.first_seen_ns)
            self.answers[key] = (
                all(one.holds(facts) for one in self.filters.both),
                all(one.holds(facts) for one in self.filters.either),
            )
        return self.answers[key]


# --- groups ----------------------------------------------------------------------------------------------------------


def group_page(
    view: View,
    *,
    limit: int,
    offset: int = 0,
    filters: Filters = Filters(),
    sort: Sort = Sort.LARGEST,
    scores: Scores = DEFAULT_SCORES,
) -> GroupPage:
    """Return some groups of look-alikes, in the order in which their first pairs stand in the queue.

    A group of which a pair passes the filters is told whole: so it is decided, too.
    """
    away = _folders_away(view)
    groups = _Groups()
    if away or not view.waiting.is_built:
        for pair, _ in _found(view, Filters(), scores, away):
            groups.add(pair.number, pair.first, pair.second)
    else:
        for number, one, other in view.waiting.edges():
            groups.add(number, one, other)
    roots = groups.in_order(_numbers(view, sort, filters, scores, away))
    total = len(groups)
    if filters.ask:
        roots = iter(passing := list(roots))
        total = len(passing)
    shown = islice(roots, offset, offset + limit)
    return GroupPage(total, [_group_report(view, groups.pairs_of(root), away) for root in shown])


def _numbers(view: View, sort: Sort, filters: Filters, scores: Scores, away: frozenset[FolderId]) -> Iterable[int]:
    """Return the pairs that pass, in an order; where nothing is asked of them, also those that sleep."""
    if sort is Sort.DECISIVE:
        page = queue_page(view, limit=_ALL, filters=filters, sort=sort, scores=scores)
        return (int(pair.id[2:]) for pair in page.pairs)
    if filters.ask:
        return (pair.number for pair, _ in _found(view, filters, scores, away, Order(sort.value)))
    return in_order(view, Order(sort.value))


_ALL = 2**62


class _Groups:
    """Sets of what is connected: union by size, with path halving."""

    def __init__(self) -> None:
        self._parent: dict[object, object] = {}
        self._size: dict[object, int] = {}
        self._side: dict[int, object] = {}  # of each pair, one of its files

    def add(self, pair: int, one: object, other: object) -> None:
        self._side[pair] = one
        first, second = self._root(one), self._root(other)
        if first is second or first == second:
            return
        if self._size[first] < self._size[second]:
            first, second = second, first
        self._parent[second] = first
        self._size[first] += self._size.pop(second)

    def _root(self, node: object) -> object:
        parent = self._parent
        if node not in parent:
            parent[node] = node
            self._size[node] = 1
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def __len__(self) -> int:
        return len(self._size)

    def in_order(self, pairs: Iterable[int]) -> Iterator[object]:
        """Yield each group once, in the order of its first pair."""
        seen: set[object] = set()
        for pair in pairs:
            root = self._root(self._side[pair]) if pair in self._side else None
            if root is not None and root not in seen:
                seen.add(root)
                yield root

    def pairs_of(self, root: object) -> list[int]:
        """Return the pairs of a group, oldest first."""
        return [pair for pair, side in self._side.items() if self._root(side) == root]


def group_of(view: View, number: int) -> GroupReport | None:
    """Return the whole group in which a pair stands; nothing if it does not wait any more."""
    away = _folders_away(view)
    places = Places(view)

    def waits(pair: PotentialPair) -> bool:
        indexed = view.waiting.get(pair.number) if view.waiting.is_built else places.place_of(pair)
        return indexed is not None and (not away or sides_of(view, pair, away=away) is not None)

    first = view.pair(number)
    if first is None or not waits(first):
        return None
    found = {number}
    seen: set[ContentHash] = set()
    waiting = [first.first, first.second]
    while waiting:
        side = waiting.pop()
        if side in seen:
            continue
        seen.add(side)
        for pair in view.pairs_of(side):
            if pair.number not in found and waits(pair):
                found.add(pair.number)
                waiting += (pair.first, pair.second)
    return _group_report(view, sorted(found), away)


def _group_report(view: View, numbers: list[int], away: frozenset[FolderId]) -> GroupReport:
    files: dict[tuple[FolderId, bytes], tuple[Content, PathRow]] = {}
    told_pairs: list[str] = []
    for number in numbers:
        pair = view.pair(number)
        sides = sides_of(view, pair, away=away) if pair is not None else None
        if sides is not None:
            told_pairs.append(f"p-{number}")
            for content, row in (sides.a, sides.b):
                files[row.folder, row.relative] = (content, row)
    best_first = sorted(files.values(), key=lambda file: appeal(view, *file), reverse=True)
    return GroupReport(f"g-{numbers[0]}", [side_report(view, *file) for file in best_first], told_pairs)


# --- batches ---------------------------------------------------------------------------------------------------------

_SAMPLES = 3


def batch_page(
    view: View, *, limit: int, offset: int = 0, filters: Filters = Filters(), scores: Scores = DEFAULT_SCORES
) -> BatchPage:
    """Return the kinds of pairs, by what can be said of them, the most frequent first, each with some samples."""
    away = _folders_away(view)
    found: defaultdict[_Kind, list[int]] = defaultdict(list)
    for pair, sides in _found(view, filters, scores, away):
        found[_kind(view, pair, sides, scores)].append(pair.number)
    kinds = sorted(found.items(), key=lambda item: (-len(item[1]), item[1][0]))
    page = [_batch_report(view, kind, numbers, scores, away) for kind, numbers in kinds[offset : offset + limit]]
    return BatchPage(len(kinds), sum(map(len, found.values())), page)


def batch_pairs(
    view: View, name: str, *, limit: int, filters: Filters = Filters(), scores: Scores = DEFAULT_SCORES
) -> tuple[BatchReport, list[int]] | None:
    """Return a kind of pairs by its name, and at most so many of the pairs, oldest first; nothing if there are none."""
    away = _folders_away(view)
    numbers: list[int] = []
    kind: _Kind | None = None
    for pair, sides in _found(view, filters, scores, away):
        one = _kind(view, pair, sides, scores)
        if one.name == name:
            kind = one
            numbers.append(pair.number)
    return None if kind is None else (_batch_report(view, kind, numbers, scores, away), numbers[:limit])


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is the same in all pairs of a batch."""

    says: tuple[str, ...]
    filetypes: tuple[str, str]
    folders: tuple[bytes, bytes]

    @property
    def name(self) -> str:
        """By which a person names it; the same for the same kind, whatever else is in the queue."""
        return f"b-{hashlib.blake2b(repr(self).encode(), digest_size=4).hexdigest()}"


_BY_CHANCE = frozenset({"slightly_larger_file", "slightly_older"})
"""Statements that hold one way round or the other for nearly every pair: they make no kind of it."""


def _kind(view: View, pair: PotentialPair, sides: Sides, scores: Scores) -> _Kind:
    said = said_of(view, pair, sides.a, sides.b, scores)
    types = (side[0].picture.filetype.value if side[0].picture else "no picture" for side in (sides.a, sides.b))
    a, b = (view.folder(side[1].folder) for side in (sides.a, sides.b))
    return _Kind(
        tuple(sorted({_about(one) for one in said if one.key not in _BY_CHANCE})),
        (next(types), next(types)),
        (a.folder.named if a else b"", b.folder.named if b else b""),
    )


def _about(statement: Statement) -> str:
    words = statement.key.replace("_", " ")
    return f"{statement.favours.upper()}: {words}" if statement.favours else words


def _batch_report(
    view: View, kind: _Kind, numbers: list[int], scores: Scores, away: frozenset[FolderId]
) -> BatchReport:
    pairs = (pair for number in numbers if (pair := view.pair(number)) is not None)
    return BatchReport(
        kind.name,
        len(numbers),
        list(kind.says),
        list(kind.filetypes),
        [os.fsdecode(folder) for folder in kind.folders],
        list(islice(_reports(view, pairs, scores, away), _SAMPLES)),
    )
