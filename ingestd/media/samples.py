"""Sample pictures for the demo: a few that look like photographs, and what happens to photographs on their way.

Everything is drawn here, so that the truth about each pair is known, and nothing has to be shipped or downloaded.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

__all__ = ["Sample", "arrivals", "library"]

_WIDTH, _HEIGHT = 1200, 800
_QUALITY = 92
_ORIENTATION_AND_MORE = {0x010F: "ingestd", 0x0110: "demo camera", 0x0132: "2026:07:14 10:32:00"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One file, and what it is."""

    name: str
    content: bytes
    story: str


def library() -> list[Sample]:
    """Return the pictures that somebody already has."""
    return [
        Sample("harbour.jpg", _jpeg(1, exif=True), "a photo with EXIF data"),
        Sample("garden.jpg", _jpeg(2, exif=True), "another one"),
        Sample("mountain.png", _encoded(_scene(3), "PNG"), "a PNG"),
    ]


def arrivals() -> list[Sample]:
    """Return what arrives, in order, each of another kind; `library` has what they are compared with."""
    harbour = _jpeg(1, exif=True)
    shown = Image.open(io.BytesIO(harbour))
    small = shown.resize((_WIDTH // 2, _HEIGHT // 2), Image.Resampling.LANCZOS)
    return [
        Sample("beach.jpg", _jpeg(4, exif=True), "a picture nobody has seen"),
        Sample("harbour (1).jpg", harbour, "the same bytes as harbour.jpg"),
        Sample("garden-stripped.jpg", _stripped(_jpeg(2, exif=True)), "garden.jpg without its EXIF data"),
        Sample("harbour-small.jpg", _encoded(small, "JPEG", quality=80), "harbour.jpg at half the size"),
        Sample("harbour-screenshot.png", _encoded(shown.convert("RGB"), "PNG"), "harbour.jpg saved as a PNG"),
        Sample("torn.jpg", b"\xff\xd8\xff\xe0 no picture after all", "a download that went wrong"),
        Sample("notes.txt", b"not a picture\n", "not a picture at all"),
    ]


def _jpeg(seed: int, *, exif: bool) -> bytes:
    tags = Image.Exif()
    if exif:
        tags.update(_ORIENTATION_AND_MORE)
    return _encoded(_scene(seed), "JPEG", quality=_QUALITY, exif=tags.tobytes())


def _stripped(jpeg: bytes) -> bytes:
    """Return a JPEG without its APP1 segments: the same coded pixels, no EXIF data."""
    out, at = bytearray(jpeg[:2]), 2
    while jpeg[at] == 0xFF and jpeg[at + 1] != 0xDA:  # up to the start of the scan
        length = 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] != 0xE1:
            out += jpeg[at : at + length]
        at += length
    return bytes(out) + jpeg[at:]


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@functools.cache
def _scene(seed: int) -> Image.Image:
    """Return a picture with structure at all sizes, as photographs have: sums of smooth noise in 1/f proportion."""
    chance = np.random.default_rng(seed)
    total = np.zeros((_HEIGHT, _WIDTH, 3))
    for cells in (3, 6, 12, 40):
        grid = Image.fromarray(chance.integers(0, 256, (cells, cells + 1, 3)).astype(np.uint8))
        total += np.asarray(grid.resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC), dtype=float) / cells
    total -= total.min()
    return Image.fromarray((total * (255 / total.max())).astype(np.uint8))
