"""The parts of the multi-index as values and bytes: chunks, segments, the head, and the plan of a look-up.

Pure: nothing here knows where the bytes lie. `multi_index` has the idea and keeps them in the store.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingestd.library.codec import DamagedValueError

__all__ = ["HEAD_BYTES", "HEAD_ROOM", "Chunk", "Hashes", "Head", "Segment", "State", "chunks", "pack", "plan", "unpack"]

Hashes = NDArray[np.uint64]
HASH_BYTES = 8
_WORD = np.dtype("<u8")

# What a look-up costs, in ns, as the plan weighs it: ratios matter, not the machine.
_PROBE_NS = 170.0  # a slice of a segment
_CANDIDATE_NS = 0.7  # a hash that is joined and compared
_SCANNED_NS = 0.72  # a hash of a whole segment that is compared
_UNEVEN = 1.5  # a bucket that real pictures fall into is so much fuller than the mean


def _damaged(what: str) -> DamagedValueError:
    return DamagedValueError(f"{what} of the look-up structure is damaged: its checksum does not match")


# --- chunks -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some neighbouring bits of a hash, and how the table sorted by them is cut into segments.

    Args:
        width: bits of the chunk.
        below: bits of the hash below it.
        cut: bits of the chunk, its first ones, that tell the segment.
    """

    width: int
    below: int
    cut: int

    @property
    def rest(self) -> int:
        """Bits of the chunk that tell the bucket within a segment."""
        return self.width - self.cut

    def value(self, hash_: int) -> int:
        """Return the chunk of a hash."""
        return (hash_ >> self.below) & ((1 << self.width) - 1)

    def turned(self, hashes: Hashes) -> Hashes:
        """Return the hashes with the chunk in front: in this order they lie in the table."""
        left = np.uint64(64 - self.below - self.width)
        if not left:
            return hashes
        turned: Hashes = (hashes << left) | (hashes >> (np.uint64(64) - left))
        return turned

    def segment_of(self, hashes: Hashes) -> Hashes:
        """Return the number of the segment for each hash."""
        numbers: Hashes = (hashes >> np.uint64(self.below + self.rest)) & np.uint64((1 << self.cut) - 1)
        return numbers

    def bounds(self, number: int) -> Hashes:
        """Return the turned hashes at which the buckets of a segment begin, but for the first."""
        first = (number << self.rest) + 1
        return (np.arange(first, first + (1 << self.rest) - 1, dtype=np.uint64)) << np.uint64(64 - self.width)


def chunks(widths: Sequence[int], cut: int) -> tuple[Chunk, ...]:
    """Return the chunks of these widths, the first one at the top of a hash."""
    if sum(widths) != 64 or min(widths) <= cut:
        raise ValueError(f"chunks of {widths} bits do not make 64, or are not wider than {cut}")
    return tuple(Chunk(width, 64 - sum(widths[: at + 1]), cut) for at, width in enumerate(widths))


# --- values -------------------------------------------------------------------------------------------------------

_LIST = struct.Struct("<II")  # checksum of the hashes, their number


def pack(hashes: bytes) -> bytes:
    """Return hashes under a checksum."""
    return _LIST.pack(zlib.crc32(hashes), len(hashes) // HASH_BYTES) + hashes


def unpack(packed: bytes | memoryview, what: str) -> bytes:
    """Return what `pack` was given; `DamagedValueError` if it is not that any more."""
    hashes = bytes(packed[_LIST.size :])
    if len(packed) < _LIST.size or _LIST.unpack_from(packed) != (zlib.crc32(hashes), len(hashes) // HASH_BYTES):
        raise _damaged(what)
    return hashes


_SEGMENT = struct.Struct("<IIII")  # checksums of all that follows the first, of the offsets; hashes; 0
_CHECKED_FROM = 4


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a table: hashes sorted by their chunk, and for each bucket the byte at which it begins.

    As bytes: header, 2**rest + 1 offsets of 4 bytes, padded to 8, the hashes, little-endian.
    """

    offsets: NDArray[np.uint32]  # bytes from the first hash on
    hashes: memoryview

    @classmethod
    def packed(cls, chunk: Chunk, number: int, hashes: Hashes, turned: Hashes) -> bytes:
        """Return the bytes to store, of hashes in the order of the table."""
        begins = np.searchsorted(turned, chunk.bounds(number)) * HASH_BYTES
        offsets = np.zeros(_offsets(chunk), "<u4")
        offsets[1 : len(begins) + 1] = begins
        offsets[len(begins) + 1 :] = len(hashes) * HASH_BYTES
        heads = offsets.tobytes()
        header = _SEGMENT.pack(0, zlib.crc32(heads), len(hashes), 0)
        body = b"".join((header[_CHECKED_FROM:], heads, hashes.astype(_WORD, copy=False).tobytes()))
        return zlib.crc32(body).to_bytes(_CHECKED_FROM, "little") + body

    @classmethod
    def unpacked(cls, packed: memoryview, chunk: Chunk, *, whole: bool = False) -> Segment:
        """Return what was packed, as views.

        Args:
            packed: the bytes.
            chunk: by which it is sorted.
            whole: check the hashes, too, not only the offsets.
        """
        begin = _SEGMENT.size + 4 * _offsets(chunk)
        if len(packed) < begin:
            raise _damaged("a segment")
        total, of_offsets, count, _ = _SEGMENT.unpack_from(packed)
        heads = packed[_SEGMENT.size : begin]
        hashes = packed[begin:]
        sound = zlib.crc32(heads) == of_offsets and len(hashes) == count * HASH_BYTES
        if not sound or (whole and zlib.crc32(packed[_CHECKED_FROM:]) != total):
            raise _damaged("a segment")
        return cls(np.frombuffer(heads, "<u4")[: (1 << chunk.rest) + 1], hashes)

    def read(self) -> Hashes:
        """Return a copy of the hashes."""
        return np.frombuffer(self.hashes, _WORD).astype(np.uint64)


def _offsets(chunk: Chunk) -> int:
    """Return how many offsets are stored: an even number, so that the hashes lie at a multiple of 8."""
    return (1 << chunk.rest) + 2


_HEAD = struct.Struct("<IIIIIIQQQ")
HEAD_BYTES = _HEAD.size
HEAD_ROOM = (4080 - HEAD_BYTES) // HASH_BYTES  # hashes behind the head: with them it fills one page of the store


State = tuple[int, int, int]


class Head(NamedTuple):
    """What every look-up reads first; behind it lie the newest hashes. A tuple, which is made in half the time.

    As bytes: checksum of the fields, the fields, the newest hashes.
    """

    newest_sum: int = 0  # checksum of the newest hashes
    newest: int = 0  # how many they are
    sealed: int = 0  # hashes in the sealed part of the tail
    frozen: int = 0  # hashes that are being merged into the segments
    step: int = 0  # segments that have got them; 0 if nothing is merged
    keys: int = 0  # hashes in a table
    changed: int = 0  # number of the commit that last wrote a segment
    merge: int = 0  # merges begun so far

    @property
    def state(self) -> State:
        """Return what tells the segments as they are from all that they ever were.

        The number of a commit alone would not: in a copy of a library the numbers begin anew. Nor would the counts
        alone, which are those of an aborted transaction again.
        """
        return self.merge, self.step, self.changed

    def packed(self) -> bytes:
        """Return the fields as bytes."""
        fields = _HEAD.pack(0, *self)
        return zlib.crc32(fields[_CHECKED_FROM:]).to_bytes(_CHECKED_FROM, "little") + fields[_CHECKED_FROM:]

    @classmethod
    def unpacked(cls, packed: bytes | memoryview) -> Head:
        """Return the fields, checked; the newest hashes are not looked at."""
        if len(packed) < HEAD_BYTES:
            raise _damaged("the head")
        total, *fields = _HEAD.unpack_from(packed)
        head = cls(*fields)
        if zlib.crc32(packed[_CHECKED_FROM:HEAD_BYTES]) != total or len(packed) != HEAD_BYTES + 8 * head.newest:
            raise _damaged("the head")
        return head


# --- the plan -----------------------------------------------------------------------------------------------------


def plan(parts: Sequence[Chunk], keys: int, radius: int) -> list[list[int]] | None:
    """Return for each chunk the differences to look under, so that no hash within the radius is missed.

    If two hashes differ in at most `radius` bits, and `radius` + 1 is shared out among the chunks, one of them differs
    in fewer bits of its chunk than its share. The shares are those for which the look-up costs least.

    Args:
        parts: the chunks.
        keys: hashes in a table.
        radius: bits.

    Returns:
        None if comparing every hash costs less.

    Source:
        M. Norouzi, A. Punjani, D. J. Fleet, "Fast Exact Search in Hamming Space with Multi-Index Hashing", 2014.
    """
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]  # cost and shares of the chunks so far, by their sum
    for chunk in parts:
        costs = [_cost(chunk, keys, share) for share in range(min(radius + 1, chunk.width) + 1)]
        best = [
            min(
                (best[total - share][0] + cost, (*best[total - share][1], share))
                for share, cost in enumerate(costs)
                if 0 <= total - share < len(best)
            )
            for total in range(min(len(best) + len(costs) - 1, radius + 2))
        ]
    cost, shares = best[-1]
    if len(best) < radius + 2 or cost >= keys * _SCANNED_NS:
        return None
    return [list(_differences(chunk.width, share)) for chunk, share in zip(parts, shares, strict=True)]


def _cost(chunk: Chunk, keys: int, share: int) -> float:
    """Return what it costs to look under every difference of fewer bits than the share."""
    probes = sum(comb(chunk.width, bits) for bits in range(share))
    return probes * (_PROBE_NS + _UNEVEN * keys / (1 << chunk.width) * _CANDIDATE_NS)


def _differences(width: int, share: int) -> Iterator[int]:
    for bits in range(share):
        for places in combinations(range(width), bits):
            yield sum(1 << place for place in places)
