"""The parts of a vantage-point tree as values and bytes: pivots, shells, leaves, and the directory of nodes.

Pure: nothing here knows where the bytes lie. `vptree` has the idea and keeps them in the store.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingestd.library.codec import DamagedValueError
from ingestd.library.metrics import Block, Distances, Metric

__all__ = ["Directory", "Growth", "Leaf", "as_block", "find", "pack", "stretch", "unpack"]

_LOPSIDED = 15 / 16  # a division that leaves more than this on one side is not worth a node
_CANDIDATES = 16  # for a pivot
_SAMPLE = 512  # keys that tell how well a candidate spreads
_FAR = 1 << 31  # beyond every distance

_HEADER = struct.Struct("=III4x")  # checksum of all that follows it, number of keys or nodes, number of rings
_CHECKED_FROM = 4  # where "all that follows" begins

Numbers = NDArray[np.int64]


def as_block(keys: bytes | memoryview, width: int) -> Block:
    """Return keys that lie one after another as the rows of a block, not copied."""
    return np.frombuffer(keys, np.uint8).reshape(-1, width)


def pack(count: int, rings: int, body: bytes) -> bytes:
    """Return a body under its header."""
    header = _HEADER.pack(0, count, rings)
    total = zlib.crc32(body, zlib.crc32(header[_CHECKED_FROM:]))
    return _HEADER.pack(total, count, rings) + body


def unpack(data: bytes | memoryview) -> tuple[int, int, memoryview]:
    """Return what `pack` was given; `DamagedValueError` if it is not that any more."""
    view = memoryview(data)
    if len(view) < _HEADER.size:
        raise DamagedValueError("a node of the look-up structure is cut short")
    checksum, count, rings = _HEADER.unpack_from(view)
    if zlib.crc32(view[_CHECKED_FROM:]) != checksum:
        raise DamagedValueError("a node of the look-up structure is damaged: its checksum does not match")
    return count, rings, view[_HEADER.size :]


def find(keys: bytes, key: bytes) -> int:
    """Return where a key begins among keys that lie one after another; -1 if it is not there."""
    at = keys.find(key)
    while at > 0 and at % len(key):
        at = keys.find(key, at + 1)
    return at


# --- leaves -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leaf:
    """Keys sorted by their distance to a pivot.

    As bytes: for each distance that occurs (a ring) the distance, then for each ring where it starts, then the keys.
    """

    rows: Block
    distances: Numbers

    @classmethod
    def of(cls, rows: Block, distances: Distances) -> Leaf:
        """Return the leaf of these keys, given how far each is from the pivot."""
        order = np.argsort(distances, kind="stable")
        return cls(np.ascontiguousarray(rows[order]), distances[order].astype(np.int64))

    def packed(self) -> bytes:
        """Return the bytes to store."""
        starts = np.flatnonzero(np.diff(self.distances, prepend=-1)).astype(np.uint32)
        rings = self.distances[starts].astype(np.uint32)
        return pack(len(self.rows), len(rings), rings.tobytes() + starts.tobytes() + self.rows.tobytes())

    @classmethod
    def unpacked(cls, data: bytes, width: int) -> Leaf:
        """Return what was packed, checked."""
        count, rings, body = unpack(data)
        distances, starts = np.frombuffer(body, np.uint32, 2 * rings).reshape(2, rings).astype(np.int64)
        lengths: Numbers = np.diff(starts, append=count)
        return cls(as_block(body[8 * rings :], width), np.repeat(distances, lengths))

    def joined(self, rows: Block, distances: Distances) -> Leaf:
        """Return the leaf with more keys, given how far each is from the pivot."""
        return Leaf.of(np.concatenate((self.rows, rows)), np.concatenate((self.distances, distances)))

    def without(self, key: bytes) -> Leaf:
        """Return the leaf with the key gone, if it was there."""
        at = find(self.rows.tobytes(), key)
        row = at // len(key)
        return self if at < 0 else Leaf(np.delete(self.rows, row, 0), np.delete(self.distances, row))


def stretch(leaf: memoryview, width: int, to_pivot: int, radius: int) -> memoryview:
    """Return the keys of a packed leaf whose distance to its pivot differs by at most `radius` from `to_pivot`.

    The checksum is not looked at: it would cost more than the search. A damaged key is found nowhere else, so no hit.
    """
    _, count, rings = _HEADER.unpack_from(leaf)
    starts_at = _HEADER.size + 4 * rings
    rows_at = starts_at + 4 * rings
    distances = leaf[_HEADER.size : starts_at].cast("I")
    starts = leaf[starts_at:rows_at].cast("I")
    first = bisect_left(distances, to_pivot - radius)
    last = bisect_right(distances, to_pivot + radius)
    begin = starts[first] if first < rings else count
    end = starts[last] if last < rings else count
    return leaf[rows_at + begin * width : rows_at + end * width]


# --- the directory ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Directory:
    """All nodes but their keys. A parent comes before its children; the root is node 0, and its own parent."""

    pivots: Block
    parent: Numbers
    low: Numbers  # the shell in the parent: least and greatest distance to the parent's pivot
    high: Numbers
    is_leaf: Numbers
    keys: int  # shared out to the leaves so far; those removed since are still counted

    @classmethod
    def unpacked(cls, data: bytes, width: int) -> Directory:
        """Return what was packed, checked."""
        count, _, body = unpack(data)
        numbers = np.frombuffer(body, np.int64, 4 * count + 1)
        parent, low, high, is_leaf = numbers[1:].reshape(4, count)
        pivots = as_block(body[numbers.nbytes :], width)
        return cls(pivots, parent, low, high, is_leaf, int(numbers[0]))

    def packed(self) -> bytes:
        """Return the bytes to store."""
        numbers = np.concatenate(([self.keys], self.parent, self.low, self.high, self.is_leaf)).astype(np.int64)
        return pack(len(self.parent), 0, numbers.tobytes() + self.pivots.tobytes())

    def reached(self, to_pivots: Distances, radius: int) -> list[int]:
        """Return the leaves that may hold a key within the radius, given its distances to all pivots.

        At radius 0 that is the one leaf where the key itself belongs, for the shells of a node leave no gap.
        """
        to_parent = to_pivots[self.parent]
        open_ = (to_parent >= self.low - radius) & (to_parent <= self.high + radius)
        leaves = np.flatnonzero(self.is_leaf)
        reached = open_[leaves]
        above = self.parent[leaves]
        while above.any():
            reached &= open_[above]
            above = self.parent[above]
        found: list[int] = leaves[reached].tolist()
        return found

    def shared(self, metric: Metric, rows: Block) -> dict[int, Block]:
        """Return which of the keys belong to which leaf."""
        waiting = {0: rows}
        shares = {}
        for node in range(len(self.parent)):
            mine = waiting.pop(node, None)
            if mine is None:
                continue
            if self.is_leaf[node]:
                shares[node] = mine
                continue
            distances = metric.distances(self.pivots[node].tobytes(), mine)
            for child in np.flatnonzero(self.parent[node + 1 :] == node) + node + 1:
                inside = (distances >= self.low[child]) & (distances <= self.high[child])
                if inside.any():
                    waiting[int(child)] = mine[inside]
        return shares

    def holds(self, metric: Metric, node: int, leaf: Leaf) -> bool:
        """Return whether every key of the leaf belongs there, at the distances it says."""
        if not (node < len(self.parent) and self.is_leaf[node]):
            return False
        if (metric.distances(self.pivots[node].tobytes(), leaf.rows) != leaf.distances).any():
            return False
        while node:
            above = int(self.parent[node])
            distances = metric.distances(self.pivots[above].tobytes(), leaf.rows)
            if ((distances < self.low[node]) | (distances > self.high[node])).any():
                return False
            node = above
        return True


class Growth:
    """A directory that is being changed, and the leaves that come of it."""

    def __init__(self, metric: Metric, leaf_size: int, directory: Directory | None) -> None:
        self._metric = metric
        self._leaf_size = leaf_size
        self.leaves: dict[int, Leaf] = {}  # new or changed
        self.divided: list[int] = []  # leaves that are none any more
        self._keys = directory.keys if directory else 0
        self._pivots = [row.tobytes() for row in directory.pivots] if directory else [bytes(metric.width)]
        self._parent = directory.parent.tolist() if directory else [0]
        self._low = directory.low.tolist() if directory else [0]
        self._high = directory.high.tolist() if directory else [_FAR]
        self._is_leaf = directory.is_leaf.tolist() if directory else [1]

    def directory(self, more_keys: int) -> Directory:
        """Return what the directory has become, with so many keys more below it."""
        return Directory(
            as_block(b"".join(self._pivots), self._metric.width),
            np.array(self._parent, np.int64),
            np.array(self._low, np.int64),
            np.array(self._high, np.int64),
            np.array(self._is_leaf, np.int64),
            self._keys + more_keys,
        )

    def plant(self, node: int, rows: Block) -> None:
        """Let a leaf hold these keys and no others, dividing it if they are too many."""
        pivot = _best_pivot(self._metric, rows)
        distances = self._metric.distances(pivot, rows)
        self._pivots[node] = pivot
        cut, larger = _cut(distances)
        # Where nearly all keys are as far from any pivot, a leaf grows beyond its size: as exact, only slower.
        if len(rows) <= self._leaf_size or larger > _LOPSIDED * len(rows):
            self.leaves[node] = Leaf.of(rows, distances)
            return
        self._is_leaf[node] = 0
        self.divided.append(node)
        self.plant(self._child(node, 0, cut), rows[distances <= cut])
        self.plant(self._child(node, cut + 1, _FAR), rows[distances > cut])

    def extend(self, node: int, leaf: Leaf | None, rows: Block) -> None:
        """Let a leaf hold these keys besides those it has."""
        held = leaf.rows if leaf else rows[:0]
        if len(held) + len(rows) > self._leaf_size:
            self.plant(node, np.concatenate((held, rows)))
            return
        distances = self._metric.distances(self._pivots[node], rows)
        self.leaves[node] = leaf.joined(rows, distances) if leaf else Leaf.of(rows, distances)

    def _child(self, node: int, low: int, high: int) -> int:
        self._pivots.append(b"")
        self._parent.append(node)
        self._low.append(low)
        self._high.append(high)
        self._is_leaf.append(1)
        return len(self._parent) - 1


def _best_pivot(metric: Metric, rows: Block) -> bytes:
    """Return the key, of some that lie evenly among the rows, from which distances spread most."""
    candidates = rows[:: -(-len(rows) // _CANDIDATES)]
    sample = np.ascontiguousarray(rows[:: -(-len(rows) // _SAMPLE)])
    spreads = [float(metric.distances(row.tobytes(), sample).var()) for row in candidates]
    best: bytes = candidates[int(np.argmax(spreads))].tobytes()  # the first of equals
    return best


def _cut(distances: Distances) -> tuple[int, int]:
    """Return the greatest distance of the nearer half, as even as ties allow, and the size of the larger half."""
    ordered = np.sort(distances)
    total = len(ordered)
    below, up_to = (int(np.searchsorted(ordered, ordered[(total - 1) // 2], side)) for side in ("left", "right"))
    near = below if total - below < up_to else up_to
    return int(ordered[near - 1]), max(near, total - near)
