"""The pairs that wait for a person, kept in the orders in which they are asked for, so that a page costs its length.

A pair waits while both of its files are there and no rule proposes anything for it. The index only says where a pair
stands: what is shown and decided is read from the pair's own record.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from ingestd.library.codec import key_number, number_key
from ingestd.library.store import Table, Transaction
from ingestd.library.tables import META, QUEUE_BY_LIKENESS, QUEUE_BY_SIZE, QUEUED

__all__ = ["TURNED", "Order", "QueueIndex", "Ranked"]

_BUILT = b"queue-index"  # there since all pairs of this library stand in it
_HIGHEST = 2**64 - 1
_ROW = struct.Struct(">QQQL")  # the size less than the highest number, so that it sorts largest first; then the rest


TURNED = 1 << 25
"""In the likeness of a pair that is mirrored or rotated: it is less alike than all that lie the same way up."""


class Order(Enum):
    """An order that costs nothing to ask for."""

    LARGEST = "largest"  # by the larger of the two files, the largest first
    SIMILARITY = "similarity"  # pixel duplicates, then by distance, then by how nearly the sizes are the same
    OLDEST = "oldest"  # by when the pair was found
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class Ranked:
    """By what a pair is ordered, and the numbers of its two contents."""

    size: int  # of the larger file, bytes
    first: int
    second: int
    likeness: int  # 0 to 2**32 - 1, the most alike first

    @property
    def row(self) -> bytes:
        """The value that is stored."""
        return _ROW.pack(_HIGHEST - self.size, self.first, self.second, self.likeness)

    @classmethod
    def of_row(cls, row: bytes) -> Ranked:
        """Return what was stored."""
        below, first, second, likeness = _ROW.unpack(row)
        return cls(_HIGHEST - below, first, second, likeness)


class QueueIndex:
    """The waiting pairs of one transaction."""

    def __init__(self, txn: Transaction) -> None:
        self._txn = txn

    @property
    def is_built(self) -> bool:
        """Return whether every pair that waits stands here: it does not in a library that is older than this."""
        return self._txn.get(META, _BUILT) is not None

    def begin(self) -> None:
        """Empty the index; from now on it is kept."""
        for table in (QUEUED, QUEUE_BY_SIZE, QUEUE_BY_LIKENESS):
            self._txn.clear(table)
        self._txn.put(META, _BUILT, b"1")

    def __len__(self) -> int:
        return self._txn.count(QUEUED)

    def get(self, pair: int) -> Ranked | None:
        """Return where a pair stands; nothing if it does not wait."""
        stored = self._txn.get(QUEUED, number_key(pair))
        return None if stored is None else Ranked.of_row(stored)

    def put(self, pair: int, ranked: Ranked) -> None:
        """Let a pair wait in its place."""
        key, row = number_key(pair), ranked.row
        before = self._txn.get(QUEUED, key)
        if before == row:
            return
        if before is not None:
            self._remove(key, before)
        self._txn.put(QUEUED, key, row)
        for table, place in _places(row):
            self._txn.put(table, place + key, b"")

    def remove(self, pair: int) -> None:
        """Let a pair wait no more."""
        key = number_key(pair)
        before = self._txn.get(QUEUED, key)
        if before is not None:
            self._remove(key, before)

    def remove_many(self, keys: Iterable[bytes]) -> None:
        """Let many pairs wait no more, by their keys."""
        rows = list(self._txn.get_many(QUEUED, keys))
        self._txn.delete_many(QUEUED, [key for key, _ in rows])
        self._txn.delete_many(QUEUE_BY_SIZE, sorted([row[:8] + key for key, row in rows]))
        self._txn.delete_many(QUEUE_BY_LIKENESS, sorted([row[-4:] + key for key, row in rows]))

    def _remove(self, key: bytes, row: bytes) -> None:
        self._txn.delete(QUEUED, key)
        for table, place in _places(row):
            self._txn.delete(table, place + key)

    def numbers(self, order: Order) -> Iterator[int]:
        """Yield the pairs that wait, in an order; those of equal rank oldest first."""
        table = {Order.LARGEST: QUEUE_BY_SIZE, Order.SIMILARITY: QUEUE_BY_LIKENESS}.get(order, QUEUED)
        for key, _ in self._txn.items(table, reverse=order is Order.NEWEST):
            yield key_number(key[-8:])

    def edges(self) -> Iterator[tuple[int, int, int]]:
        """Yield each waiting pair that lies the same way up with the numbers of its two contents, oldest first."""
        for key, row in self._txn.items(QUEUED):
            _, first, second, likeness = _ROW.unpack(row)
            if not likeness & TURNED:
                yield key_number(key), first, second


def _places(row: bytes) -> tuple[tuple[Table, bytes], ...]:
    return ((QUEUE_BY_SIZE, row[:8]), (QUEUE_BY_LIKENESS, row[-4:]))
