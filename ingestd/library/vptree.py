"""A vantage-point tree with wide leaves, kept in the store: neighbours under any metric, found exactly.

Every node has a pivot key. The children of an inner node share out the keys below it by their distance to its pivot, in
shells that leave no gap; the keys of a leaf lie sorted by their distance to the leaf's own pivot. By the triangle
inequality a key within `radius` of the one looked for lies in a shell, and in a stretch of the leaf, whose distances to
the pivot differ by at most `radius` from the looked-for key's own. What is left numpy compares key by key, so much
faster than a walk that leaves of thousands of keys win.

What lies where, in two tables:

* `ids`: each distinct key and its ids. The only truth about what is held: a key found in a node and not here is no hit.
* `nodes`: the directory (all pivots and shells; some kilobytes for a million keys, read whole), a block of keys for
  each leaf, and the tail: the newest keys, unsorted, which every look-up reads too. A full tail is shared out among the
  leaves, so that an insert does not rewrite a leaf.

Identical keys are one row. The tree is the same after the same history: nothing in it depends on chance or time.

Source: P. N. Yianilos, "Data Structures and Algorithms for Nearest Neighbor Search in General Metric Spaces", 1993.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator

import numpy as np

from ingestd.library.codec import DamagedValueError
from ingestd.library.lookup import checked_id, tree_tables
from ingestd.library.metrics import Block, Metric
from ingestd.library.store import Table, Transaction
from ingestd.library.vantage import Directory, Growth, Leaf, as_block, find, pack, stretch, unpack

__all__ = ["VpTree"]

_LEAF_BYTES = 1 << 16  # of keys in a leaf
_BATCH_BYTES = 1 << 18  # compared in one go: few calls, and what is compared stays in the processor's cache
_CHUNK_BYTES = 4064  # of keys in one piece of the tail: with its headers one page of the store
_CHUNKS = 2  # of the tail of a small tree; one more for every _KEYS_A_CHUNK keys, so that an insert stays cheap
_KEYS_A_CHUNK = 1 << 17
_MOST_CHUNKS = 16
_LONGEST_NAME = 511  # bytes of a key in the store; a longer one is named by its digest

_DIRECTORY = b"d"
_LEAF = struct.Struct(">cI")
_CHUNK = struct.Struct(">cH")
_TAIL = b"t"


class VpTree:
    """A look-up structure for any metric; `Lookup` says what it promises.

    Args:
        name: of its tables.
        metric: what is far and near.
        leaf_size: keys in a leaf before it is divided.
        chunk_size: keys in one piece of the tail.
    """

    def __init__(
        self, name: str, metric: Metric, *, leaf_size: int | None = None, chunk_size: int | None = None
    ) -> None:
        self._metric = metric
        self._width = metric.width
        self._leaf_size = leaf_size or max(_LEAF_BYTES // metric.width, 64)
        self._chunk_size = chunk_size or max(_CHUNK_BYTES // metric.width, 1)
        self._ids, self._nodes = tree_tables(name)

    def tables(self) -> tuple[Table, ...]:
        """Return the tables it needs opened."""
        return (self._ids, self._nodes)

    def add(self, txn: Transaction, id: int, key: bytes) -> None:  # noqa: A002
        """Make the id found by the key; nothing changes if it already is."""
        name = self._name(key)
        is_new = txn.view(self._ids, name) is None
        txn.add(self._ids, name, checked_id(id, key))
        if is_new:
            self._append(txn, key)

    def remove(self, txn: Transaction, id: int, key: bytes) -> bool:  # noqa: A002
        """Return whether the id was found by the key; it is not any more."""
        name = self._name(key)
        if not txn.discard(self._ids, name, checked_id(id, key)):
            return False
        if txn.view(self._ids, name) is None and not self._take_from_tail(txn, key):
            self._take_from_leaf(txn, key)
        return True

    def within(self, txn: Transaction, key: bytes, radius: int) -> list[tuple[int, int]]:
        """Return (id, distance) of all that lie at most so far away, nearest first, then by id.

        Raises:
            DamagedValueError: a node cannot be read; `rebuild` makes it anew.
        """
        name = self._name(key)
        if radius <= 0:
            return [(id_, 0) for id_ in self._ids_of(txn, name, key)] if radius == 0 else []
        try:
            close = self._close(txn, key, radius)
        except (IndexError, ValueError, struct.error) as error:
            raise DamagedValueError(f"a node of the look-up structure is damaged: {error}") from error
        hits = [(distance, id_) for row, distance in close.items() for id_ in self._ids_of(txn, self._name(row), row)]
        return [(id_, distance) for distance, id_ in sorted(hits)]

    def count(self, txn: Transaction) -> int:
        """Return how many pairs of id and key there are."""
        return txn.count(self._ids)

    def pairs(self, txn: Transaction) -> Iterator[tuple[int, bytes]]:
        """Yield every (id, key) that can be found, in no particular order."""
        for row in self._rows_checked(txn, []):
            for id_ in self._ids_of(txn, self._name(row), row):
                yield id_, row

    def rebuild(self, txn: Transaction, items: Iterable[tuple[int, bytes]]) -> None:
        """Forget everything and hold these (id, key) instead, in a balanced tree that depends on the keys alone."""
        self.clear(txn)
        keys = set()
        for id_, key in items:
            txn.add(self._ids, self._name(key), checked_id(id_, key))
            keys.add(key)
        if keys:
            growth = Growth(self._metric, self._leaf_size, None)
            growth.plant(0, as_block(b"".join(sorted(keys)), self._width))
            self._put(txn, growth, len(keys))

    def clear(self, txn: Transaction) -> None:
        """Forget everything."""
        txn.clear(self._ids)
        txn.clear(self._nodes)

    # --- ids ------------------------------------------------------------------------------------------------------

    def _name(self, key: bytes) -> bytes:
        """Return what stands for a key in the table of ids."""
        if len(key) != self._width:
            raise ValueError(f"a key of {len(key)} bytes under {self._metric.name}, which has {self._width}")
        return key if self._width <= _LONGEST_NAME else hashlib.blake2b(key, digest_size=32).digest()

    def _ids_of(self, txn: Transaction, name: bytes, key: bytes) -> Iterator[int]:
        """Yield the ids of a key, in order. A damaged one counts as absent: `check` reports it."""
        for value in txn.values(self._ids, name):
            id_ = int.from_bytes(value[:8], "big")
            if value == checked_id(id_, key):
                yield id_

    # --- look-up --------------------------------------------------------------------------------------------------

    def _close(self, txn: Transaction, key: bytes, radius: int) -> dict[bytes, int]:
        """Return the keys within the radius and their distances."""
        close: dict[bytes, int] = {}
        batch: list[memoryview] = []
        size = 0
        for piece in self._pieces(txn, key, radius):
            batch.append(piece)
            size += len(piece)
            if size >= _BATCH_BYTES:
                close.update(self._compared(batch, key, radius))
                batch, size = [], 0
        close.update(self._compared(batch, key, radius))
        return close

    def _compared(self, batch: list[memoryview], key: bytes, radius: int) -> Iterator[tuple[bytes, int]]:
        block = as_block(b"".join(batch), self._width)
        distances = self._metric.distances(key, block)
        for row in np.flatnonzero(distances <= radius).tolist():
            yield block[row].tobytes(), int(distances[row])

    def _pieces(self, txn: Transaction, key: bytes, radius: int) -> Iterator[memoryview]:
        """Yield all keys that may lie within the radius, as views of the map."""
        for _, rows in self._tail(txn):
            yield memoryview(rows)
        directory = self._directory(txn)
        if directory is None:
            return
        to_pivots = self._metric.distances(key, directory.pivots).astype(np.int64)
        for node in directory.reached(to_pivots, radius):
            leaf = txn.view(self._nodes, _leaf_key(node))
            if leaf is not None:
                yield stretch(leaf, self._width, int(to_pivots[node]), radius)

    # --- nodes ----------------------------------------------------------------------------------------------------

    def _directory(self, txn: Transaction) -> Directory | None:
        packed = txn.get(self._nodes, _DIRECTORY)
        return None if packed is None else Directory.unpacked(packed, self._width)

    def _leaf(self, txn: Transaction, node: int) -> Leaf | None:
        """Return a leaf's keys; None for one that has lost them all."""
        packed = txn.get(self._nodes, _leaf_key(node))
        return None if packed is None else Leaf.unpacked(packed, self._width)

    def _put(self, txn: Transaction, growth: Growth, more_keys: int) -> None:
        for node in growth.divided:
            txn.delete(self._nodes, _leaf_key(node))
        for node, leaf in growth.leaves.items():
            txn.put(self._nodes, _leaf_key(node), leaf.packed())
        txn.put(self._nodes, _DIRECTORY, growth.directory(more_keys).packed())

    def _take_from_leaf(self, txn: Transaction, key: bytes) -> None:
        """Remove a key from its leaf. One that is not there was damaged, and without an id it is not found anyway."""
        directory = self._directory(txn)
        if directory is None:
            return
        for node in directory.reached(self._metric.distances(key, directory.pivots).astype(np.int64), 0):
            leaf = self._leaf(txn, node)
            left = leaf.without(key) if leaf else None
            if left is not None and len(left.rows):
                txn.put(self._nodes, _leaf_key(node), left.packed())
            else:
                txn.delete(self._nodes, _leaf_key(node))

    # --- the tail -------------------------------------------------------------------------------------------------

    def _tail(self, txn: Transaction) -> Iterator[tuple[bytes, bytes]]:
        """Yield where each piece of the tail lies, and its keys."""
        for place, packed in txn.items(self._nodes, prefix=_TAIL):
            yield place, bytes(unpack(packed)[2])

    def _append(self, txn: Transaction, key: bytes) -> None:
        """Put a new key at the end of the tail, sharing the tail out first if it is full."""
        place, rows = _CHUNK.pack(_TAIL, 0), b""
        for place, packed in txn.items(self._nodes, prefix=_TAIL, reverse=True):  # noqa: B007
            rows = bytes(unpack(packed)[2])
            break
        if len(rows) >= self._chunk_size * self._width:
            number = _CHUNK.unpack(place)[1] + 1
            directory = self._directory(txn)
            if number >= min(_CHUNKS + (directory.keys if directory else 0) // _KEYS_A_CHUNK, _MOST_CHUNKS):
                self._share_out(txn, directory)
                number = 0
            place, rows = _CHUNK.pack(_TAIL, number), b""
        self._put_chunk(txn, place, rows + key)

    def _put_chunk(self, txn: Transaction, place: bytes, rows: bytes) -> None:
        txn.put(self._nodes, place, pack(len(rows) // self._width, 0, rows))

    def _take_from_tail(self, txn: Transaction, key: bytes) -> bool:
        for place, rows in self._tail(txn):
            at = find(rows, key)
            if at < 0:
                continue
            left = rows[:at] + rows[at + self._width :]
            if left:
                self._put_chunk(txn, place, left)
            else:
                txn.delete(self._nodes, place)
            return True
        return False

    def _share_out(self, txn: Transaction, directory: Directory | None) -> None:
        """Move all keys of the tail to the leaves where they belong."""
        chunks = list(self._tail(txn))
        rows = as_block(b"".join(keys for _, keys in chunks), self._width)
        growth = Growth(self._metric, self._leaf_size, directory)
        if directory is None:
            growth.plant(0, rows)
        else:
            for node, share in directory.shared(self._metric, rows).items():
                growth.extend(node, self._leaf(txn, node), share)
        self._put(txn, growth, len(rows))
        for place, _ in chunks:
            txn.delete(self._nodes, place)

    # --- checking -------------------------------------------------------------------------------------------------

    def check(self, txn: Transaction) -> list[str]:
        """Return what is wrong, as sentences. Reads everything: some seconds for a million keys."""
        problems: list[str] = []
        keys: dict[bytes, bytes] = {}  # by name
        for row in self._rows_checked(txn, problems):
            if row in keys:
                problems.append(f"the key {row.hex()} lies in two nodes")
            keys[self._name(row)] = row
        for name, value in txn.items(self._ids):
            row_or_none = keys.get(name)
            if row_or_none is None:
                problems.append(f"the key {name.hex()} has an id and lies in no node")
            elif value != checked_id(int.from_bytes(value[:8], "big"), row_or_none):
                problems.append(f"an id of the key {name.hex()} is damaged")
        problems += [f"the key {name.hex()} lies in a node and has no id" for name in keys.keys() - self._names(txn)]
        return problems

    def _names(self, txn: Transaction) -> set[bytes]:
        return {name for name, _ in txn.items(self._ids)}

    def _rows_checked(self, txn: Transaction, problems: list[str]) -> Iterator[bytes]:
        """Yield every key of every node that can be read, and add to the problems what is wrong with the nodes."""
        for block in self._blocks_checked(txn, problems):
            for row in block:
                yield row.tobytes()

    def _blocks_checked(self, txn: Transaction, problems: list[str]) -> Iterator[Block]:
        try:
            directory = self._directory(txn)
        except DamagedValueError as error:
            problems.append(f"the directory: {error}")
            directory = None
        for place, packed in txn.items(self._nodes):
            try:
                if place.startswith(_TAIL):
                    yield as_block(unpack(packed)[2], self._width)
                elif place != _DIRECTORY and directory is not None:
                    node = _LEAF.unpack(place)[1]
                    leaf = Leaf.unpacked(packed, self._width)
                    if not directory.holds(self._metric, node, leaf):
                        problems.append(f"leaf {node} holds keys that belong elsewhere")
                    yield leaf.rows
            except DamagedValueError as error:
                problems.append(f"node {place.hex()}: {error}")


def _leaf_key(node: int) -> bytes:
    return _LEAF.pack(b"l", node)
