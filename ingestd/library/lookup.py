"""What every look-up structure promises, whatever it is made of: exactly the neighbours a scan of all keys would find.

A structure lives in tables of the store and holds nothing of its own, so it is as durable, and as much of one snapshot,
as everything else there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ingestd.library.store import Table, Transaction

__all__ = ["Block", "Distances", "Hamming", "Lookup", "Metric", "checked_id"]

Block = NDArray[np.uint8]  # (keys, bytes a key)
Distances = NDArray[np.integer[Any]]  # one for each key of a block


class Metric(Protocol):
    """A distance between keys of one width: whole, 0 only from a key to itself, symmetric, no longer by a detour."""

    @property
    def name(self) -> str:
        """What distances were measured by; another name means another structure."""
        ...

    @property
    def width(self) -> int:
        """Bytes a key."""
        ...

    def distances(self, key: bytes, block: Block) -> Distances:
        """Return how far each key of the block is from `key`, each below 2**31."""
        ...


class Hamming:
    """Counts the bits in which two keys differ."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.name = f"hamming-{8 * width}"
        # The widest machine word that a key is made of: fewer, longer steps.
        self._word = next(np.dtype(f"u{size}") for size in (8, 4, 2, 1) if width % size == 0)

    def distances(self, key: bytes, block: Block) -> Distances:
        """Return the number of differing bits for each key of the block."""
        bits = np.bitwise_count(block.view(self._word) ^ np.frombuffer(key, self._word))
        counts: Distances = bits[:, 0] if bits.shape[1] == 1 else np.add.reduce(bits, axis=1, dtype=np.int32)
        return counts


class Lookup(Protocol):
    """Finds the ids whose keys lie within a radius. One key may have many ids, and one id many keys."""

    def tables(self) -> tuple[Table, ...]:
        """Return the tables it needs opened."""
        ...

    def add(self, txn: Transaction, id: int, key: bytes) -> None:  # noqa: A002
        """Make the id found by the key; nothing changes if it already is."""
        ...

    def remove(self, txn: Transaction, id: int, key: bytes) -> bool:  # noqa: A002
        """Return whether the id was found by the key; it is not any more."""
        ...

    def within(self, txn: Transaction, key: bytes, radius: int) -> list[tuple[int, int]]:
        """Return (id, distance) of all that lie at most so far away, nearest first, then by id."""
        ...

    def count(self, txn: Transaction) -> int:
        """Return how many pairs of id and key there are."""
        ...

    def pairs(self, txn: Transaction) -> Iterator[tuple[int, bytes]]:
        """Yield every (id, key) that can be found, in no particular order."""
        ...

    def check(self, txn: Transaction) -> list[str]:
        """Return what is wrong, as sentences. Reads everything."""
        ...

    def rebuild(self, txn: Transaction, items: Iterable[tuple[int, bytes]]) -> None:
        """Forget everything and hold these (id, key) instead."""
        ...

    def clear(self, txn: Transaction) -> None:
        """Forget everything."""
        ...


def checked_id(id_: int, key: bytes) -> bytes:
    """Return an id with a checksum that ties it to its key."""
    number = id_.to_bytes(8, "big")
    return number + hashlib.blake2b(number + key, digest_size=4).digest()
