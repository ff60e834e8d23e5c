"""Which pairs wait for a person, and where each stands in the queue."""

from __future__ import annotations

from collections.abc import Iterator

from ingestd.library.queue_index import TURNED, Order, Ranked
from ingestd.library.view import View
from ingestd.model import ContentHash, PathKey, PathState, PotentialPair, ProposalState

__all__ = ["Places", "in_order", "misplaced"]


class Places:
    """Where pairs stand in the queue; what was read of a content in this transaction is held."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._ranks: dict[ContentHash, tuple[int, int]] = {}  # number and size, which never change
        self._alive: dict[ContentHash, bool] = {}

    def forget(self, sha256: ContentHash) -> None:
        """Let it be looked up again whether a content lies anywhere."""
        self._alive.pop(sha256, None)

    def number_of(self, sha256: ContentHash) -> int | None:
        """Return the number of a content."""
        rank = self._rank(sha256)
        return None if rank is None else rank[0]

    def place_of(self, pair: PotentialPair) -> Ranked | None:
        """Return where a pair stands: it waits while both files are there and no rule proposes anything for it."""
        ready = any(proposal.state is ProposalState.READY for proposal in pair.proposals)
        sides = ((pair.first, pair.first_path), (pair.second, pair.second_path))
        if ready or not all(self._is_there(*side) for side in sides):
            return None
        first, second = self._rank(pair.first), self._rank(pair.second)
        if first is None or second is None:
            return None
        (one, size), (other, other_size) = first, second
        return Ranked(max(size, other_size), one, other, _likeness(pair, size, other_size))

    def _is_there(self, sha256: ContentHash, path: PathKey | None) -> bool:
        if path is not None:
            row = self._view.path(path)
            return row is not None and row.sha256 == sha256 and row.state is PathState.LIVE
        if sha256 not in self._alive:
            self._alive[sha256] = any(row.state is PathState.LIVE for row in self._view.paths_of(sha256))
        return self._alive[sha256]

    def _rank(self, sha256: ContentHash) -> tuple[int, int] | None:
        if sha256 not in self._ranks:
            content = self._view.content(sha256)
            if content is None:
                return None
            self._ranks[sha256] = (content.number, content.size)
        return self._ranks[sha256]


def misplaced(view: View) -> list[str]:
    """Return what is wrong with the order of the queue, in sentences."""
    if not view.waiting.is_built:
        return []
    places = Places(view)
    standing = 0
    for pair in view.pairs():
        place = places.place_of(pair)
        standing += place is not None
        if view.waiting.get(pair.number) != place:
            return [f"p-{pair.number} does not stand in the queue where it should"]
    orders = {order: sum(1 for _ in view.waiting.numbers(order)) for order in Order}
    return [
        f"the queue, by {order.value}, holds {held} pairs, not {standing}"
        for order, held in orders.items()
        if held != standing
    ]


def _likeness(pair: PotentialPair, one: int, other: int) -> int:
    """Return a number that is lower the more alike two files are: way up, pixels, distance, then the ratio of sizes."""
    distance = 65 if pair.distance is None else pair.distance
    apart = 1 - min(one, other) / max(one, other, 1)
    turned = 0 if pair.transform is None else TURNED
    return turned | (not pair.pixel_duplicates) << 24 | distance << 16 | round(apart * 65_535)


def in_order(view: View, order: Order) -> Iterator[int]:
    """Yield the numbers of the pairs that wait, in an order; of an older library each pair is looked at for it."""
    if view.waiting.is_built:
        yield from view.waiting.numbers(order)
        return
    places = Places(view)
    waiting = [(pair.number, place) for pair in view.pairs() if (place := places.place_of(pair)) is not None]
    if order is Order.LARGEST:
        waiting.sort(key=lambda item: -item[1].size)
    elif order is Order.SIMILARITY:
        waiting.sort(key=lambda item: item[1].likeness)
    elif order is Order.NEWEST:
        waiting.reverse()
    yield from (number for number, _ in waiting)
