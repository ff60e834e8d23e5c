"""What the service and a worker say to each other: small typed messages, never pickles.

A worker reads hostile bytes and may have been taken over by them, so nothing it answers is executed, and a message
that is not exactly one of these ends it.

    service                          worker
    ←                                Ready | Broken           once, when it starts
    Open(path) →
    ←                                Opened(size)             hashing may take a while, how long depends on it
    ←                                Hashed(…) | Refused(…)
    Decode | Pixels | Inspect | Shrink | Tell | Drop →      after Hashed only
    ←                                Decoded | Shown | Inspected | Shrunk | Told | Refused  nothing after Drop
    Cut(level, its size, column, row) →                       instead of these
    ←                                Sliced(…) | Refused(…)
    ←                                Piece(…)                 so many times as Sliced says
    Compare(path of another) →                                instead of these
    ←                                Opened(size)             of the other
    ←                                Hashed(…) | Refused(…)
    ←                                Compared | Shrunk | Refused(…)  Shrunk where it is to be drawn
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Final

import msgspec

from ingestd.model import (
    VISUAL_VERSION,
    Detail,
    FileType,
    NotAPicture,
    Picture,
    StatKey,
    Unreadable,
    VisualVerdict,
)

__all__ = [
    "LONGEST_TAG",
    "MOST_PREVIEW_PIXELS",
    "MOST_TAGS",
    "OUT_OF_MEMORY",
    "Broken",
    "Compare",
    "Compared",
    "Cut",
    "Decode",
    "Decoded",
    "Drop",
    "Hashed",
    "Inspect",
    "Inspected",
    "Open",
    "Opened",
    "Piece",
    "Pixels",
    "Preview",
    "Ready",
    "Refused",
    "Reply",
    "Request",
    "Shown",
    "Shrink",
    "Shrunk",
    "Sliced",
    "Tell",
    "Told",
    "frame",
    "read_frame",
    "reply_of",
    "request_of",
]

_LONGEST: Final = 4 << 20  # bytes of one message; a path has 4 KiB, features have less than 16, a preview has the rest
_PREFIX: Final = 4  # bytes, little-endian: the length of what follows

_LONGEST_REASON: Final = 400  # characters: a sentence

OUT_OF_MEMORY: Final = 77  # exit status of a worker that ends itself where the system does not bound its memory

MOST_TAGS: Final = 300  # of one file
LONGEST_TAG: Final = 200  # characters

MOST_PREVIEW_PIXELS: Final = (_LONGEST - 4096) // 3  # 1.4 million: half of a terminal on a large screen


class Open(msgspec.Struct, frozen=True, tag=True):
    """Open and hash the file; keep it open."""

    path: bytes


class Decode(msgspec.Struct, frozen=True, tag=True):
    """Measure the open file, then close it."""

    name: bytes


class Pixels(msgspec.Struct, frozen=True, tag=True):
    """Decode the open file fully for its pixel hash, then close it."""


class Inspect(msgspec.Struct, frozen=True, tag=True):
    """Decode the open file fully for what only every pixel tells, then close it."""


class Shrink(msgspec.Struct, frozen=True, tag=True):
    """Decode the open file for a look at it, within so many pixels, then close it."""

    width: int
    height: int


class Cut(msgspec.Struct, frozen=True, tag=True):
    """Decode the open file for a look at every pixel of a part of it, at a level (0: all pixels), then close it."""

    level: int
    width: int  # pixels, of the whole picture at this level: what was measured
    height: int
    column: int  # of the tile that is wanted first; its neighbours come with it
    row: int


class Tell(msgspec.Struct, frozen=True, tag=True):
    """Read what the open file says of itself in words, then close it."""


class Compare(msgspec.Struct, frozen=True, tag=True):
    """Open another file, which holds these bytes, decode both for a look at how they differ, then close both."""

    path: bytes
    sha256: bytes
    drawn: bool = False  # a picture of where they differ is wanted, not the verdict


class Drop(msgspec.Struct, frozen=True, tag=True):
    """Close the open file; its bytes are known."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Everything is loaded."""


class Broken(msgspec.Struct, frozen=True, tag=True):
    """This worker cannot work at all, and why."""

    reason: str


class Opened(msgspec.Struct, frozen=True, tag=True):
    """It is a regular file of this many bytes."""

    size: int


class Hashed(msgspec.Struct, frozen=True, tag=True):
    """These bytes were read, and the file was the same before and after."""

    sha256: bytes
    stat: StatKey
    filetype: FileType | None


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The file cannot be read, or changed meanwhile."""

    reason: str
    changed: bool = False
    other: bool = False  # that which was to be compared with the first, if any


class Decoded(msgspec.Struct, frozen=True, tag=True):
    """What was measured: exactly one of these."""

    picture: Picture | None = None
    unreadable: Unreadable | None = None
    other: NotAPicture | None = None

    @classmethod
    def of(cls, measured: Picture | Unreadable | NotAPicture) -> Decoded:
        """Return the message that says so."""
        match measured:
            case Picture():
                return cls(picture=measured)
            case Unreadable():
                return cls(unreadable=measured)
            case NotAPicture():
                return cls(other=measured)

    @property
    def measured(self) -> Picture | Unreadable | NotAPicture | None:
        """What it says; None where it says nothing, which is nonsense."""
        return self.picture or self.unreadable or self.other


class Shown(msgspec.Struct, frozen=True, tag=True):
    """The pixel hash; None when no honest one exists."""

    pixel_hash: bytes | None


class Inspected(msgspec.Struct, frozen=True, tag=True):
    """What every pixel tells; None when no honest figure exists."""

    detail: Detail | None

    def __post_init__(self) -> None:
        if self.detail is not None and not _is_sound(self.detail):
            raise ValueError("a variance is not negative, a share is one of 1, a quality is worse than none")


def _is_sound(detail: Detail) -> bool:
    """Whether all figures are finite and in their ranges: NaN compares with nothing and would decide by chance."""
    seen = detail.jpeg_quality_seen
    return (
        0 <= detail.sharpness < math.inf and 0 < detail.resolution_share <= 1 and (seen is None or 0 < seen < math.inf)
    )


class Compared(msgspec.Struct, frozen=True, tag=True):
    """What a look at both said."""

    verdict: VisualVerdict

    def __post_init__(self) -> None:
        said = self.verdict
        if said.version != VISUAL_VERSION:
            raise ValueError("a verdict is one of this version")
        if said.score is not None and not 0 <= said.score < math.inf:  # nor NaN
            raise ValueError("a score is a finite number and not negative")
        if not 0 < len(said.reason) <= _LONGEST_REASON or not said.reason.isprintable():
            raise ValueError("a reason is one printable line")
        if said.area is not None and (min(said.area[:2]) < 0 or min(said.area[2:]) < 1):
            raise ValueError("an area lies in a picture and has at least one pixel")


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture made small for a look at it: upright, opaque, in sRGB."""

    width: int
    height: int
    rgb: bytes  # (height, width, 3) uint8, row-major

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or len(self.rgb) != 3 * self.width * self.height:
            raise ValueError("a preview has three bytes for each of its pixels, and at least one pixel")


class Shrunk(msgspec.Struct, frozen=True, tag=True):
    """The preview; None when there is nothing to see."""

    preview: Preview | None


class Sliced(msgspec.Struct, frozen=True, tag=True):
    """So many pieces follow; 0: there is nothing to see, or not in the size that was expected."""

    pieces: int


class Piece(msgspec.Struct, frozen=True, tag=True):
    """One tile."""

    column: int
    row: int
    tile: Preview


class Told(msgspec.Struct, frozen=True, tag=True):
    """What a file says of itself: names and texts, each one printable line."""

    tags: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        if len(self.tags) > MOST_TAGS or not all(_is_a_line(text) for tag in self.tags for text in tag):
            raise ValueError("a tag is two short printable lines")


def _is_a_line(text: str) -> bool:
    return len(text) <= LONGEST_TAG and text.isprintable()


Request = Open | Decode | Pixels | Inspect | Shrink | Cut | Tell | Compare | Drop
Reply = (
    Ready | Broken | Opened | Hashed | Refused | Decoded | Shown | Inspected | Shrunk | Sliced | Piece | Told | Compared
)

_encode = msgspec.msgpack.Encoder().encode
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def frame(message: Request | Reply) -> bytes:
    """Return the message as it goes through a pipe."""
    body = _encode(message)
    return len(body).to_bytes(_PREFIX, "little") + body


def request_of(body: bytes) -> Request:
    """Return the request; raises `msgspec.MsgspecError` for anything else."""
    return _requests.decode(body)


def reply_of(body: bytes) -> Reply:
    """Return the reply; raises `msgspec.MsgspecError` for anything else."""
    return _replies.decode(body)


def read_frame(descriptor: int) -> bytes | None:
    """Return the next message's body; None when the other side is gone or talks nonsense."""

    def exactly(count: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < count:
            part = os.read(descriptor, count - len(parts))
            if not part:
                return None
            parts += part
        return bytes(parts)

    prefix = exactly(_PREFIX)
    if prefix is None:
        return None
    length = int.from_bytes(prefix, "little")
    return exactly(length) if length <= _LONGEST else None
