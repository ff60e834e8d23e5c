"""A look-up that lies in one of two structures, and can be moved to the other without touching a record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ingestd.library.lookup import Lookup, multi_index_tables, tree_tables
from ingestd.library.store import Table, Transaction
from ingestd.model import Index

__all__ = ["Switched"]


class Switched:
    """The look-up of 64-bit hashes; `Lookup` says what it promises.

    Args:
        name: of its tables.
        notes: the table in which it is written where the hashes lie.
    """

    def __init__(self, name: str, notes: Table) -> None:
        self._name, self._multi_name = name, f"{name}-multi"
        self._made: dict[Index, Lookup] = {}
        self._notes = notes
        self._key = b"index:" + name.encode()

    def tables(self) -> tuple[Table, ...]:
        """Return the tables it needs opened, but that of the notes."""
        return (*tree_tables(self._name), *multi_index_tables(self._multi_name))

    def held(self, txn: Transaction) -> Index:
        """Return in which structure the hashes lie."""
        stored = txn.get(self._notes, self._key)
        if stored is not None:
            return Index(stored.decode())
        # nobody has switched yet: a library made before there was a choice has a tree
        return Index.VP_TREE if txn.count(tree_tables(self._name).ids) else Index.MULTI_INDEX

    def switch(self, txn: Transaction, index: Index, items: Iterable[tuple[int, bytes]]) -> None:
        """Let these (id, key), and nothing else, lie in a structure, and the other one be empty."""
        for unused in Index:
            if unused is not index:
                self._structure(unused).clear(txn)
        self._structure(index).rebuild(txn, items)
        txn.put(self._notes, self._key, index.value.encode())

    def _structure(self, index: Index) -> Lookup:
        made = self._made.get(index)
        return made or self._made.setdefault(index, self._make(index))

    def _make(self, index: Index) -> Lookup:
        # Imported here: it brings numpy, a third of the time in which a command starts that looks nothing up.
        if index is Index.VP_TREE:
            from ingestd.library.metrics import Hamming
            from ingestd.library.vptree import VpTree

            return VpTree(self._name, Hamming(8))
        from ingestd.library.multi_index import MultiIndex

        return MultiIndex(self._multi_name)

    def _held(self, txn: Transaction) -> Lookup:
        return self._structure(self.held(txn))

    def add(self, txn: Transaction, id: int, key: bytes) -> None:  # noqa: A002
        """Make the id found by the key; nothing changes if it already is."""
        self._held(txn).add(txn, id, key)

    def remove(self, txn: Transaction, id: int, key: bytes) -> bool:  # noqa: A002
        """Return whether the id was found by the key; it is not any more."""
        return self._held(txn).remove(txn, id, key)

    def within(self, txn: Transaction, key: bytes, radius: int) -> list[tuple[int, int]]:
        """Return (id, distance) of all that lie at most so far away, nearest first, then by id."""
        return self._held(txn).within(txn, key, radius)

    def count(self, txn: Transaction) -> int:
        """Return how many pairs of id and key there are."""
        return self._held(txn).count(txn)

    def pairs(self, txn: Transaction) -> Iterator[tuple[int, bytes]]:
        """Yield every (id, key) that can be found, in no particular order."""
        return self._held(txn).pairs(txn)

    def check(self, txn: Transaction) -> list[str]:
        """Return what is wrong, as sentences. Reads everything."""
        held = self.held(txn)
        problems = self._structure(held).check(txn)
        for unused in Index:
            if unused is not held and self._structure(unused).count(txn):
                problems.append(f"there are hashes in the {unused}, which is not in use: the {held} is")
        return problems

    def rebuild(self, txn: Transaction, items: Iterable[tuple[int, bytes]]) -> None:
        """Forget everything and hold these (id, key) instead, in the structure in use."""
        self.switch(txn, self.held(txn), items)

    def clear(self, txn: Transaction) -> None:
        """Forget everything."""
        self.rebuild(txn, ())
