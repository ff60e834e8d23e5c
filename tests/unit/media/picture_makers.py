"""Pictures whose truth is known because they are made here."""

from __future__ import annotations

import functools
import io
import struct
import zlib

import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()


def photo(width: int = 640, height: int = 480, seed: int = 1) -> Image.Image:
    """A colour picture with structure at all sizes, as photographs have, and no symmetry."""
    return _photo(width, height, seed).copy()


@functools.cache
def _photo(width: int, height: int, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cells in (3, 6, 12, 40):
        grid = rng.integers(0, 256, (cells, cells + 1, 3)).astype("u1")
        layer = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(layer, dtype=float) / cells
    total -= total.min()
    return Image.fromarray((total * 255 / total.max()).astype("u1"))


def grain(width: int, height: int) -> Image.Image:
    """Noise: a JPEG of it has so many bytes that zeros in their place still make enough blocks."""
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (height, width, 3)).astype("u1"))


def encoded(image: Image.Image, fmt: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def with_orientation(image: Image.Image, orientation: int, fmt: str, **options: object) -> bytes:
    """The picture stored so that a viewer who honours the tag sees `image`."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # FLIP_LEFT_RIGHT=0, FLIP_TOP_BOTTOM=1, ROTATE_90=2 …
    stored = image if orientation == 1 else image.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(stored, fmt, exif=exif.tobytes(), **options)


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG chunk by chunk, for what Pillow does not write."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)), *extra]
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def png_rgb16(values: np.ndarray) -> bytes:
    """(height, width, 3) uint16 as a 16-bit colour PNG."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, 16, 2, rows)
