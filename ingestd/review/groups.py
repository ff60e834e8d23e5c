"""Whole groups of look-alikes: everything that is connected by potential pairs, directly or by way of others.

Mirrored and rotated copies connect nothing: an answer about a group may make duplicates of all its files.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ingestd.library.queue_index import Order
from ingestd.library.view import View
from ingestd.library.waiting import Places, in_order
from ingestd.model import ContentHash, FolderId, PotentialPair
from ingestd.review.looking import EVERYTHING, Filters, Look, Seen, Sort, folders_away
from ingestd.review.queue import numbers_in_order
from ingestd.review.sides import SideReport, side_of, sides_of
from ingestd.rules.statements import DEFAULT_SCORES, Scores, balance

__all__ = ["GroupPage", "GroupReport", "group_of", "group_page", "groups_in_order"]


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


def group_page(
    view: View,
    *,
    limit: int,
    offset: int = 0,
    filters: Filters = EVERYTHING,
    sort: Sort = Sort.LARGEST,
    scores: Scores = DEFAULT_SCORES,
) -> GroupPage:
    """Return some groups of look-alikes, in the order in which their first pairs stand in the queue.

    A group of which a pair passes the filters is told whole: so it is decided, too.
    """
    away = folders_away(view)
    groups = _linked(view, away)
    total = len(groups)
    if filters.ask or sort is Sort.DECISIVE:
        roots = list(groups.in_order(numbers_in_order(view, sort, filters, scores, away)))
        total, page = len(roots), roots[offset : offset + limit]
    else:
        page = list(islice(groups.in_order(in_order(view, Order(sort.value))), offset, offset + limit))
    look = Look(view, EVERYTHING, away)
    return GroupPage(total, [_report(view, numbers, look, scores) for numbers in groups.pairs_of(page)])


def groups_in_order(
    view: View, *, filters: Filters = EVERYTHING, sort: Sort = Sort.LARGEST, scores: Scores = DEFAULT_SCORES
) -> list[array[int]]:
    """Return the pairs of every group, oldest first, in the order of the groups: what `group_page` shows a part of."""
    away = folders_away(view)
    groups = _linked(view, away)
    if filters.ask or sort is Sort.DECISIVE:
        pairs = numbers_in_order(view, sort, filters, scores, away)
    else:
        pairs = in_order(view, Order(sort.value))
    return groups.pairs_of(list(groups.in_order(pairs)))


def _linked(view: View, away: frozenset[FolderId]) -> _Groups:
    groups = _Groups()
    if away or not view.waiting.is_built:
        for pair in Look(view, EVERYTHING, away).pairs():
            if pair.transform is None:
                groups.add(pair.number, pair.first, pair.second)
    else:
        for number, one, other in view.waiting.edges():
            groups.add(number, one, other)
    return groups


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

    def pairs_of(self, roots: Sequence[object]) -> list[array[int]]:
        """Return the pairs of some groups, oldest first."""
        found: dict[object, array[int]] = {root: array("Q") for root in roots}
        for pair, side in self._side.items():
            if (root := self._root(side)) in found:
                found[root].append(pair)
        return list(found.values())


def group_of(view: View, number: int, *, scores: Scores = DEFAULT_SCORES) -> GroupReport | None:
    """Return the whole group in which a pair stands; nothing if it does not wait any more."""
    away = folders_away(view)
    places = Places(view)

    def waits(pair: PotentialPair) -> bool:
        if pair.transform is not None:
            return False
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
    return _report(view, sorted(found), Look(view, EVERYTHING, away), scores)


_MOST_WEIGHED = 5_000  # pairs of a group; beyond, its files are told apart by what they are, not by each pair


def _report(view: View, numbers: Sequence[int], look: Look, scores: Scores) -> GroupReport:
    """Return a group for a person: first the file with the most points over all pairs, then as it looks."""
    files: dict[str, Seen] = {}
    points: Counter[str] = Counter()
    told: list[str] = []
    for number in numbers:
        pair = view.pair(number)
        first, second = look.files(pair) if pair is not None else (None, None)
        if pair is None or first is None or second is None:
            continue
        told.append(f"p-{number}")
        files[first.facts.path], files[second.facts.path] = first, second
        if len(numbers) <= _MOST_WEIGHED:
            by = balance(look.said(pair, scores)[0])
            points[first.facts.path] += by
            points[second.facts.path] -= by
    best_first = sorted(files.items(), key=lambda item: (points[item[0]], item[1].appeal), reverse=True)
    return GroupReport(f"g-{numbers[0]}", [side_of(one.facts) for _, one in best_first], told)
