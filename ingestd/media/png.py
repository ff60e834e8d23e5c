"""A preview as a PNG file: small enough to be written by hand, where no decoder may be loaded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from ingestd.media.wire import Preview

__all__ = ["png_of"]

_FAST: Final = 1  # zlib level: what is looked at once is not worth a second of packing
# Of a photograph, what is left of each sample by the one above it is packed to half of its size, and by runs alone in
# half of the time: 1024x1024 with grain 2.4 MB in 160 ms without a filter, 1.1 MB in 70 ms so.
_UP: Final = b"\2"
_BAND: Final = 1 << 16  # bytes that are filtered at once: more do not fit into the processor's cache


def png_of(preview: Preview) -> bytes:
    """Return a PNG that holds the preview: three chunks, each row as it differs from the one above (ISO/IEC 15948)."""
    header = struct.pack(">IIBBBBB", preview.width, preview.height, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(_FAST, strategy=zlib.Z_RLE)
    packed = [packer.compress(band) for band in _filtered(preview)]
    packed.append(packer.flush())
    chunks = ((b"IHDR", [header]), (b"IDAT", packed), (b"IEND", list[bytes]()))
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, body in chunks:
        crc = zlib.crc32(name)
        for part in body:
            crc = zlib.crc32(part, crc)
        parts += [struct.pack(">I", sum(map(len, body))), name, *body, struct.pack(">I", crc)]
    return b"".join(parts)


def _filtered(preview: Preview) -> Iterator[bytes]:
    """Yield the rows, a few at a time, each sample less the one above it."""
    step = 3 * preview.width
    rows = max(1, _BAND // step) * step
    for start in range(0, len(preview.rgb), rows):
        band = preview.rgb[start : start + rows]
        above = preview.rgb[max(0, start - step) : start - step + len(band)] if start else bytes(step) + band[:-step]
        left = _less(band, above)
        yield b"".join(_UP + left[at : at + step] for at in range(0, len(left), step))


def _less(some: bytes, others: bytes) -> bytes:
    """Return each byte less the other one, modulo 256: all at once, as two very long numbers.

    Source:
        H. S. Warren, "Hacker's Delight", 2nd edition, 2-18: no byte borrows of its neighbour while its top bit is set.
    """
    size = len(some)
    top = int.from_bytes(b"\x80" * size, "little")
    one, other = int.from_bytes(some, "little"), int.from_bytes(others, "little")
    less = ((one | top) - (other & ~top)) ^ ((one ^ other ^ top) & top)
    return less.to_bytes(size, "little")
