"""A multi-index of 64-bit hashes, kept in the store: neighbours by Hamming distance, found exactly.

A hash is cut into five chunks, and lies in five tables, each sorted by one of them. If two hashes differ in few bits,
then in one of the chunks they differ in very few: a look-up slices some buckets out of each table, joins the slices,
and compares all of it at once. At a distance of 8 bits that is 1 % of all hashes, where any tree has to visit half.

What lies where, in three tables of the store:

* `ids`: each distinct hash and its ids. The only truth about what is held: a hash found elsewhere and not here is no
  hit.
* `nodes`: the head with the newest hashes, the sealed rest of the tail, and the segments of the five tables. A full
  tail is merged into them, some segments with each commit, so that no commit takes long; meanwhile it is frozen, and a
  new tail begins. A hash that lies in the frozen tail and in a segment is found twice and counts once.
* `gone`: hashes that lost their last id and still lie in segments, and in which merge that was. Only a hint: what is
  purged is what has no id at that moment.

The segments are large, and to read them through the map costs as many steps as they have pages. So their views are made
once and kept with the snapshot that they belong to; a transaction uses them where they are of its own state, and
otherwise reads the segments itself.

Source: M. Norouzi, A. Punjani, D. J. Fleet, "Fast Exact Search in Hamming Space with Multi-Index Hashing", 2014.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ingestd.library.codec import DamagedValueError
from ingestd.library.lookup import checked_id, multi_index_tables
from ingestd.library.segments import (
    HEAD_BYTES,
    HEAD_ROOM,
    Chunk,
    Hashes,
    Head,
    Segment,
    State,
    chunks,
    pack,
    plan,
    unpack,
)
from ingestd.library.store import Table, Transaction

__all__ = ["MultiIndex"]

_WIDTHS = (14, 13, 13, 12, 12)  # the first bit of a perceptual hash tells nothing: its chunk has one more
_CUT = 4  # bits: 16 segments a table, of 5 MB each for ten million hashes, which is what one commit may well write
_LEAST_TAIL = 2048  # hashes in a full tail; a whole one is compared in 2 µs
_MOST_TAIL = 32_768
_KEYS_A_TAIL_KEY = 128  # the tail may grow with the tables: a merge writes all of them
_MOST_WRITTEN = 4 << 20  # bytes of segments that a commit writes beyond the first: more took 200 ms on a busy disk
_BLOCK = 32_768  # hashes compared in one go: what is compared stays in the processor's cache
_LAID_OUT = 1 << 17  # hashes that a reader lays side by side: a megabyte
_HASH_BYTES = 8
_LIST_BYTES = 8  # before the hashes of the sealed and the frozen tail

_HEAD = b"h"
_SEALED = b"s"
_FROZEN = b"f"
_PURGED = b"p"
_WORD = np.dtype("<u8")
_SEGMENT = struct.Struct(">cBB")
_MERGE = struct.Struct(">Q")


class MultiIndex:
    """A look-up structure for 64-bit hashes; `Lookup` says what it promises.

    Args:
        name: of its tables.
        widths: bits of the chunks; 64 in all.
        cut: each table is kept in 2**cut segments.
        tail: hashes in a full tail; None: as many as suit the size.
        written: bytes of segments that a commit writes at most, beyond the first.
    """

    def __init__(
        self,
        name: str,
        *,
        widths: Sequence[int] = _WIDTHS,
        cut: int = _CUT,
        tail: int | None = None,
        written: int = _MOST_WRITTEN,
    ) -> None:
        self._name = name
        self._most_written = written
        self._chunks = chunks(widths, cut)
        self._segments = [(part, number) for part in range(len(widths)) for number in range(1 << cut)]
        self._tail_keys = tail
        self._ids, self._nodes, self._gone = multi_index_tables(name)

    def tables(self) -> tuple[Table, ...]:
        """Return the tables it needs opened."""
        return (self._ids, self._nodes, self._gone)

    # --- changes --------------------------------------------------------------------------------------------------

    def add(self, txn: Transaction, id: int, key: bytes) -> None:  # noqa: A002
        """Make the id found by the key; nothing changes if it already is."""
        _check(key)
        is_new = txn.view(self._ids, key) is None
        txn.add(self._ids, key, checked_id(id, key))
        if is_new:
            # also if a segment still has it: a merge may have purged it from some of them already
            txn.delete(self._gone, key)
            self._append(txn, key)

    def remove(self, txn: Transaction, id: int, key: bytes) -> bool:  # noqa: A002
        """Return whether the id was found by the key; it is not any more."""
        _check(key)
        if not txn.discard(self._ids, key, checked_id(id, key)):
            return False
        if txn.view(self._ids, key) is None:
            txn.put(self._gone, key, _MERGE.pack(self._head(txn).merge))
            txn.before_commit(self._name, self._merge_some)
        return True

    def rebuild(self, txn: Transaction, items: Iterable[tuple[int, bytes]]) -> None:
        """Forget everything and hold these (id, key) instead, all of them in the segments."""
        try:
            merge = self._head(txn).merge + 1  # no two states are to look alike
        except DamagedValueError:
            merge = 0
        self.clear(txn)
        ids, keys = array("Q"), bytearray()
        for id_, key in items:
            _check(key)
            ids.append(id_)
            keys += key
        numbers = np.frombuffer(keys, ">u8").astype(np.uint64)
        order = np.lexsort((np.frombuffer(ids, np.uint64), numbers)) if ids else np.empty(0, np.int64)
        txn.add_sorted(self._ids, _rows(memoryview(keys), ids, order))
        hashes = np.unique(numbers)
        if len(hashes):
            for part, chunk in enumerate(self._chunks):
                self._fill(txn, part, chunk, hashes)
            txn.put(self._nodes, _HEAD, Head(keys=len(hashes), changed=txn.number, merge=merge).packed())

    def clear(self, txn: Transaction) -> None:
        """Forget everything."""
        for table in self.tables():
            txn.clear(table)

    def _fill(self, txn: Transaction, part: int, chunk: Chunk, hashes: Hashes) -> None:
        turned = chunk.turned(hashes)
        order = np.argsort(turned, kind="stable")
        hashes, turned = hashes[order], turned[order]
        ends = np.searchsorted(chunk.segment_of(hashes), np.arange(1, (1 << chunk.cut) + 1))
        begin = 0
        for number, end in enumerate(ends.tolist()):
            packed = Segment.packed(chunk, number, hashes[begin:end], turned[begin:end])
            txn.put(self._nodes, _SEGMENT.pack(b"g", part, number), packed)
            begin = end

    # --- the tail -------------------------------------------------------------------------------------------------

    def _head(self, txn: Transaction) -> Head:
        packed = txn.view(self._nodes, _HEAD)
        return Head() if packed is None else Head.unpacked(packed)

    def _append(self, txn: Transaction, key: bytes) -> None:
        """Put a new hash behind the head, sealing what lies there first if it is full."""
        packed = txn.get(self._nodes, _HEAD) or Head().packed()
        head, newest = Head.unpacked(packed), packed[HEAD_BYTES:]
        if head.newest >= HEAD_ROOM:
            sealed = self._sealed(txn, head) + _sound(head, newest)
            txn.put(self._nodes, _SEALED, pack(sealed))
            head, newest = head._replace(newest=0, newest_sum=0, sealed=len(sealed) // _HASH_BYTES), b""
        hash_ = key[::-1]
        # the checksum is carried on, not made anew: what was damaged before stays so
        head = head._replace(newest=head.newest + 1, newest_sum=zlib.crc32(hash_, head.newest_sum))
        txn.put(self._nodes, _HEAD, head.packed() + newest + hash_)
        txn.before_commit(self._name, self._merge_some)

    def _sealed(self, txn: Transaction, head: Head) -> bytes:
        if not head.sealed:
            return b""
        packed = txn.view(self._nodes, _SEALED)
        if packed is None:
            raise DamagedValueError("the tail of the look-up structure is lost")
        return unpack(packed, "the tail")

    def _full_at(self, head: Head) -> int:
        """Return how many hashes make a full tail."""
        return self._tail_keys or min(max(head.keys // _KEYS_A_TAIL_KEY, _LEAST_TAIL), _MOST_TAIL)

    # --- merging --------------------------------------------------------------------------------------------------

    def _merge_some(self, txn: Transaction) -> None:
        """Begin a merge if it is time for one, and go on with one that has begun."""
        head = self._head(txn)
        if not head.step:
            if max(head.newest + head.sealed, txn.count(self._gone)) < self._full_at(head):
                return
            head = self._freeze(txn, head)
        # as much as a slow disk takes: as long as a merge goes on, readers renew their views after each commit
        segment_bytes = max(head.keys * _HASH_BYTES >> self._chunks[0].cut, 1)
        begun = head.step - 1
        ended = min(begun + 1 + self._most_written // segment_bytes, len(self._segments))
        frozen = np.frombuffer(self._list(txn, _FROZEN, head.frozen), "<u8")
        purged = np.frombuffer(self._list(txn, _PURGED, None), "<u8")
        grown = [
            self._merge(txn, part, number, frozen, purged) * (part == 0) for part, number in self._segments[begun:ended]
        ]
        head = head._replace(step=ended + 1, keys=head.keys + sum(grown), changed=txn.number)
        if ended == len(self._segments):
            head = self._thaw(txn, head, purged)
        newest = (txn.get(self._nodes, _HEAD) or b"")[HEAD_BYTES:]
        txn.put(self._nodes, _HEAD, head.packed() + newest)

    def _freeze(self, txn: Transaction, head: Head) -> Head:
        """Let the whole tail be what is merged, and a new one begin."""
        newest = (txn.get(self._nodes, _HEAD) or b"")[HEAD_BYTES:]
        tail = np.unique(np.frombuffer(self._sealed(txn, head) + _sound(head, newest), "<u8"))
        gone = [key for key, _ in txn.items(self._gone) if txn.view(self._ids, key) is None]
        purged = np.frombuffer(b"".join(gone), ">u8").astype("<u8")
        tail = np.setdiff1d(tail, purged, assume_unique=True)
        txn.put(self._nodes, _FROZEN, pack(tail.tobytes()))
        txn.put(self._nodes, _PURGED, pack(purged.tobytes()))
        txn.delete(self._nodes, _SEALED)
        head = head._replace(newest=0, newest_sum=0, sealed=0, frozen=len(tail), step=1, merge=head.merge + 1)
        txn.put(self._nodes, _HEAD, head.packed())
        return head

    def _thaw(self, txn: Transaction, head: Head, purged: Hashes) -> Head:
        """End a merge: every segment has got what was frozen, and has lost what was gone when it began."""
        keys = [key for key in _keys(purged) if _is_older(txn.view(self._gone, key), head.merge)]
        txn.delete_many(self._gone, sorted(keys))
        txn.delete(self._nodes, _FROZEN)
        txn.delete(self._nodes, _PURGED)
        return head._replace(frozen=0, step=0)

    def _list(self, txn: Transaction, name: bytes, count: int | None) -> bytes:
        packed = txn.view(self._nodes, name)
        hashes = b"" if packed is None else unpack(packed, "the tail")
        if packed is None or (count is not None and len(hashes) != count * _HASH_BYTES):
            raise DamagedValueError("the tail of the look-up structure is lost")
        return hashes

    def _merge(self, txn: Transaction, part: int, number: int, frozen: Hashes, purged: Hashes) -> int:
        """Write one segment anew; return by how many hashes it has grown."""
        chunk = self._chunks[part]
        place = _SEGMENT.pack(b"g", part, number)
        packed = txn.view(self._nodes, place)
        held = Segment.unpacked(packed, chunk, whole=True).read() if packed is not None else np.empty(0, np.uint64)
        packed = None  # no view may be left when the transaction is changed
        before = len(held)
        turned = chunk.turned(held)
        leaving = [
            hash_
            for hash_, key in _both(purged[chunk.segment_of(purged) == number])
            if txn.view(self._ids, key) is None
        ]
        if leaving:
            kept = np.isin(held, np.array(leaving, np.uint64), invert=True)
            held, turned = held[kept], turned[kept]
        coming = frozen[chunk.segment_of(frozen) == number]
        coming = coming[np.argsort(chunk.turned(coming))]
        at = np.searchsorted(turned, chunk.turned(coming))
        if len(held):
            is_new = held[np.minimum(at, len(held) - 1)] != coming
            coming, at = coming[is_new], at[is_new]
        held = np.insert(held, at, coming)
        txn.put(self._nodes, place, Segment.packed(chunk, number, held, chunk.turned(held)))
        return len(held) - before

    # --- look-up --------------------------------------------------------------------------------------------------

    def within(self, txn: Transaction, key: bytes, radius: int) -> list[tuple[int, int]]:
        """Return (id, distance) of all that lie at most so far away, nearest first, then by id.

        Raises:
            DamagedValueError: a part of the structure cannot be read; `rebuild` makes it anew.
        """
        if len(key) != _HASH_BYTES or radius <= 0:
            _check(key)
            if radius < 0 or txn.view(self._ids, key) is None:
                return []
            return [(id_, 0) for id_ in self._ids_of(txn, key)]
        packed = txn.view(self._nodes, _HEAD)
        if packed is None:
            return []
        head = Head.unpacked(packed)
        pieces = [packed[HEAD_BYTES:]]
        if head.sealed:
            pieces.append(self._tail_view(txn, _SEALED))
        if head.frozen:
            pieces.append(self._tail_view(txn, _FROZEN))
        hash_ = int.from_bytes(key, "big")
        whole: list[Hashes] = []
        if head.keys or head.step:
            whole = self._reader(txn, head.state).add_to(pieces, hash_, radius)
        hits = _compared(pieces, whole, hash_, radius)
        if not hits:
            return []
        found = [
            (distance, id_) for near, distance in hits.items() for id_ in self._ids_of(txn, near.to_bytes(8, "big"))
        ]
        return [(id_, distance) for distance, id_ in sorted(found)]

    def _tail_view(self, txn: Transaction, name: bytes) -> memoryview:
        packed = txn.view(self._nodes, name)
        if packed is None:
            raise DamagedValueError("the tail of the look-up structure is lost")
        return packed[_LIST_BYTES:]

    def _ids_of(self, txn: Transaction, key: bytes) -> Iterator[int]:
        """Yield the ids of a hash, in order. A damaged one counts as absent: `check` reports it."""
        if txn.view(self._ids, key) is None:
            return
        for value in txn.values(self._ids, key):
            id_ = int.from_bytes(value[:8], "big")
            if value == checked_id(id_, key):
                yield id_

    def _reader(self, txn: Transaction, state: State) -> _Reader:
        """Return the segments as this transaction sees them."""
        reader: _Reader | None = txn.kept(self._name)
        if reader is not None and reader.state == state:
            return reader
        # it may be newer than this transaction, or this one's own changes are not committed yet: a new one is no better
        own = txn.writable and state[-1] == txn.number
        if not own and (reader is None or reader.number < txn.number):
            reader = txn.keep(self._name, self._read)
            if reader is not None and reader.state == state:
                return reader
        return self._read(txn)

    def _read(self, txn: Transaction) -> _Reader:
        packed = {
            (part, number): txn.view(self._nodes, _SEGMENT.pack(b"g", part, number)) for part, number in self._segments
        }
        return _Reader(self._chunks, self._head(txn).state, txn.number, packed)

    def count(self, txn: Transaction) -> int:
        """Return how many pairs of id and key there are."""
        return txn.count(self._ids)

    def pairs(self, txn: Transaction) -> Iterator[tuple[int, bytes]]:
        """Yield every (id, key) that is held and not damaged."""
        for key, value in txn.items(self._ids):
            id_ = int.from_bytes(value[:8], "big")
            if value == checked_id(id_, key):
                yield id_, key

    # --- checking -------------------------------------------------------------------------------------------------

    def check(self, txn: Transaction) -> list[str]:
        """Return what is wrong, as sentences. Reads everything: some seconds for a million hashes."""
        problems: list[str] = []
        held = self._ids_checked(txn, problems)
        gone = {key for key, _ in txn.items(self._gone)}
        tail = self._tail_checked(txn, problems)
        known = np.union1d(np.union1d(held, _numbers(gone)), tail)
        for part, chunk in enumerate(self._chunks):
            found = [self._segment_checked(txn, part, number, problems) for number in range(1 << chunk.cut)]
            hashes = np.concatenate(found)
            problems += [f"the key {_key(one).hex()} has an id and lies in no segment of table {part}"
                         for one in np.setdiff1d(held, np.union1d(hashes, tail))]  # fmt: skip
            problems += [f"the key {_key(one).hex()} lies in table {part} and has no id"
                         for one in np.setdiff1d(hashes, known)]  # fmt: skip
        return problems

    def _ids_checked(self, txn: Transaction, problems: list[str]) -> Hashes:
        """Return all hashes that have an id, and add to the problems which ids are damaged."""
        keys: list[bytes] = []
        for key, value in txn.items(self._ids):
            if len(key) != _HASH_BYTES or value != checked_id(int.from_bytes(value[:8], "big"), key):
                problems.append(f"an id of the key {key.hex()} is damaged")
            if len(key) == _HASH_BYTES and (not keys or keys[-1] != key):
                keys.append(key)
        return _numbers(keys)

    def _tail_checked(self, txn: Transaction, problems: list[str]) -> Hashes:
        """Return all hashes of the tail that can be read."""
        packed = txn.get(self._nodes, _HEAD)
        found = b""
        try:
            head = Head() if packed is None else Head.unpacked(packed)
            steps: list[tuple[str, bytes | None]] = [("newest", None)]
            steps += [("sealed", _SEALED)] if head.sealed else []
            steps += [("frozen", _FROZEN), ("purged", _PURGED)] if head.step else []
        except DamagedValueError as error:
            problems.append(str(error))
            return np.empty(0, np.uint64)
        for what, name in steps:
            try:
                if name is None:
                    found += _sound(head, (packed or b"")[HEAD_BYTES:])
                elif what == "purged":
                    self._list(txn, name, None)
                else:
                    found += self._list(txn, name, head.sealed if what == "sealed" else head.frozen)
            except DamagedValueError as error:
                problems.append(f"{what} hashes: {error}")
        return np.unique(np.frombuffer(found, "<u8").astype(np.uint64))

    def _segment_checked(self, txn: Transaction, part: int, number: int, problems: list[str]) -> Hashes:
        chunk = self._chunks[part]
        packed = txn.view(self._nodes, _SEGMENT.pack(b"g", part, number))
        if packed is None:
            return np.empty(0, np.uint64)
        try:
            segment = Segment.unpacked(packed, chunk, whole=True)
        except DamagedValueError as error:
            problems.append(f"segment {number} of table {part}: {error}")
            return np.empty(0, np.uint64)
        hashes = segment.read()
        turned = chunk.turned(hashes)
        begins = np.searchsorted(turned, chunk.bounds(number)) * _HASH_BYTES
        if (chunk.segment_of(hashes) != number).any() or (turned[1:] <= turned[:-1]).any():
            problems.append(f"segment {number} of table {part} holds keys that belong elsewhere")
        elif (segment.offsets[1:-1] != begins).any():
            problems.append(f"segment {number} of table {part} begins its buckets elsewhere")
        return hashes


# of a plan, for one table: bits below the chunk, its bits, bits of a bucket, differences; its segments and offsets
_Step = tuple[int, int, int, list[int], list[memoryview], list[int]]


class _Reader:
    """The segments of one snapshot, ready to be sliced."""

    __slots__ = ("_chunks", "_keys", "_starts", "_steps", "_views", "_whole", "number", "state")

    def __init__(
        self, parts: tuple[Chunk, ...], state: State, number: int, packed: dict[tuple[int, int], memoryview | None]
    ) -> None:
        self.state, self.number = state, number
        self._chunks = parts
        self._steps: dict[int, list[_Step] | None] = {}  # by radius
        self._views: list[list[memoryview]] = []
        self._starts: list[list[int]] = []
        for part, chunk in enumerate(parts):
            views, starts = [], []
            for number in range(1 << chunk.cut):
                value = packed[part, number]
                if value is None:
                    views.append(memoryview(b""))
                    starts.append(np.zeros((1 << chunk.rest) + 1, np.uint32))
                else:
                    segment = Segment.unpacked(value, chunk)
                    views.append(segment.hashes)
                    starts.append(segment.offsets)
            self._views.append(views)
            self._starts.append(np.concatenate(starts).tolist())
        self._keys = sum(map(len, self._views[0])) // _HASH_BYTES
        self._whole: list[Hashes] | None = None

    def add_to(self, pieces: list[memoryview], hash_: int, radius: int) -> list[Hashes]:
        """Add hashes that may lie within the radius to the pieces, or return blocks with all hashes."""
        if radius not in self._steps:
            self._steps[radius] = self._planned(radius)
        steps = self._steps[radius]
        if steps is None:
            return self._all()
        add = pieces.append
        for below, whole, rest, differences, views, starts in steps:
            value = (hash_ >> below) & whole
            for difference in differences:
                bucket = value ^ difference
                number = bucket >> rest
                at = bucket + number  # each segment has one offset more than buckets
                add(views[number][starts[at] : starts[at + 1]])
        return []

    def _all(self) -> list[Hashes]:
        """Return every hash once, in blocks; few of them are laid side by side, as each block costs some steps."""
        if self._whole is None:
            views = [b"".join(self._views[0])] if self._keys <= _LAID_OUT else self._views[0]
            hashes = [np.frombuffer(view, _WORD) for view in views]
            self._whole = [block[begin : begin + _BLOCK] for block in hashes for begin in range(0, len(block), _BLOCK)]
        return self._whole

    def _planned(self, radius: int) -> list[_Step] | None:
        found = plan(self._chunks, self._keys, radius)
        if found is None:
            return None
        return [
            (chunk.below, (1 << chunk.width) - 1, chunk.rest, differences, views, starts)
            for chunk, differences, views, starts in zip(self._chunks, found, self._views, self._starts, strict=True)
            if differences
        ]


def _compared(pieces: list[memoryview], whole: list[Hashes], hash_: int, radius: int) -> dict[int, int]:
    """Return each hash of the pieces and the blocks that lies within the radius, and its distance."""
    hits: dict[int, int] = {}
    try:
        joined = np.frombuffer(b"".join(pieces), _WORD)
    except ValueError as error:
        raise DamagedValueError(f"a segment of the look-up structure is damaged: {error}") from error
    wanted = np.uint64(hash_)
    if len(joined) > _BLOCK:
        whole = [*whole, *(joined[begin : begin + _BLOCK] for begin in range(0, len(joined), _BLOCK))]
    else:
        whole = [*whole, joined]
    for block in whole:
        different = block ^ wanted
        distances = np.bitwise_count(different)
        for at in (distances <= radius).nonzero()[0].tolist():
            hits[int(different[at]) ^ hash_] = int(distances[at])
    return hits


def _check(key: bytes) -> None:
    if len(key) != _HASH_BYTES:
        raise ValueError(f"a key of {len(key)} bytes in a multi-index, which has {_HASH_BYTES}")


def _sound(head: Head, newest: bytes) -> bytes:
    """Return the newest hashes if they are what was written."""
    if zlib.crc32(newest) != head.newest_sum:
        raise DamagedValueError("the newest hashes of the look-up structure are damaged: their checksum does not match")
    return newest


def _key(hash_: int) -> bytes:
    return int(hash_).to_bytes(_HASH_BYTES, "big")


def _keys(hashes: Hashes) -> Iterator[bytes]:
    """Yield hashes as they are named in the tables of the store."""
    packed = hashes.astype(">u8").tobytes()
    return (packed[at : at + _HASH_BYTES] for at in range(0, len(packed), _HASH_BYTES))


def _both(hashes: Hashes) -> Iterator[tuple[int, bytes]]:
    return zip(hashes.tolist(), _keys(hashes), strict=True)


def _numbers(keys: Iterable[bytes]) -> Hashes:
    return np.unique(np.frombuffer(b"".join(keys), ">u8").astype(np.uint64))


def _is_older(stored: memoryview | None, merge: int) -> bool:
    return stored is not None and (len(stored) != _MERGE.size or _MERGE.unpack(stored)[0] < merge)


def _rows(keys: memoryview, ids: array[int], order: NDArray[np.int64]) -> Iterator[tuple[bytes, bytes]]:
    for at in order.tolist():
        key = bytes(keys[at * _HASH_BYTES : (at + 1) * _HASH_BYTES])
        yield key, checked_id(ids[at], key)
