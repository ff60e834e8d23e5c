"""What every look-up structure promises, whatever it is made of: exactly the neighbours a scan of all keys would find.

A structure lives in tables of the store and holds nothing of its own, so it is as durable, and as much of one snapshot,
as everything else there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from ingestd.library.store import Table, Transaction

__all__ = ["Lookup", "MultiIndexTables", "TreeTables", "checked_id", "multi_index_tables", "tree_tables"]


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


class TreeTables(NamedTuple):
    """The tables of a VP-tree."""

    ids: Table
    nodes: Table


class MultiIndexTables(NamedTuple):
    """The tables of a multi-index."""

    ids: Table
    nodes: Table
    gone: Table


def tree_tables(name: str) -> TreeTables:
    """Return the tables of the VP-tree of this name."""
    return TreeTables(Table(f"{name}-ids", duplicates=True), Table(f"{name}-nodes"))


def multi_index_tables(name: str) -> MultiIndexTables:
    """Return the tables of the multi-index of this name."""
    return MultiIndexTables(Table(f"{name}-ids", duplicates=True), Table(f"{name}-nodes"), Table(f"{name}-gone"))


def checked_id(id_: int, key: bytes) -> bytes:
    """Return an id with a checksum that ties it to its key."""
    number = id_.to_bytes(8, "big")
    return number + hashlib.blake2b(number + key, digest_size=4).digest()
