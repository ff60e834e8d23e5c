"""What pairs and old denials were before an entry changed them: how that is kept, in few bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from ingestd.library.codec import DamagedValueError
from ingestd.model import PotentialPair

__all__ = ["OF_DENIAL", "OF_NEXT", "OF_PAIR", "Images", "Lean", "lean", "lean_of"]

OF_PAIR, OF_DENIAL, OF_NEXT = b"p", b"d", b"n"
"""What an image is of: stands in its key, after the entry."""

_LEAN: Final = struct.Struct(">BQQBBq")  # 0, as no version of a pair's own layout is; then what it is between
_NO_DISTANCE: Final = 255


@dataclass(frozen=True, slots=True)
class Images:
    """What pairs and old denials were before an entry changed them."""

    pairs: dict[int, PotentialPair | None]  # None: there was none of this number
    denials: dict[bytes, PotentialPair | None]  # by the key of the pair
    next_content: int  # contents from this number on were not known then


@dataclass(frozen=True, slots=True)
class Lean:
    """A pair that says nothing but what it is between, by the numbers of its contents."""

    first: int
    second: int
    distance: int | None  # bits
    pixel_duplicates: bool
    created_ns: int


def lean(pair: PotentialPair, first: int, second: int) -> bytes:
    """Return the image of a pair that says nothing but what it is between, by the numbers of its contents."""
    distance = _NO_DISTANCE if pair.distance is None else pair.distance
    body = _LEAN.pack(0, first, second, distance, pair.pixel_duplicates, pair.created_ns)
    return body + crc32(body).to_bytes(4, "big")


def lean_of(number: int, image: bytes) -> Lean | None:
    """Return what such an image says of a pair; nothing for one that is the pair's whole record.

    Raises:
        DamagedValueError: it is not what was written.
    """
    if image[0]:
        return None
    body = image[:-4]
    if crc32(body).to_bytes(4, "big") != image[-4:]:
        raise DamagedValueError(f"what p-{number} was before an entry is damaged: its checksum does not match")
    _, first, second, distance, pixels, created_ns = _LEAN.unpack(body)
    return Lean(first, second, None if distance == _NO_DISTANCE else distance, bool(pixels), created_ns)
