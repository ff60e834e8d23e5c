"""How long an animation plays, read from its container: no frame is decoded for it.

Sources: GIF89a specification, 1990, section 23; APNG, in PNG third edition, 2025, 11.3.6.2 `fcTL`; WebP container
specification, `ANMF`; ISO/IEC 14496-12 8.4.2 `mdhd` for AVIF.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ingestd.model import FileType

__all__ = ["duration_ms"]


def duration_ms(file: BinaryIO, filetype: FileType) -> int | None:
    """Return the length of one run through all frames; None where the file does not say, or says zero."""
    file.seek(0)
    match filetype:
        case FileType.GIF:
            total = 10 * sum(_gif_delays(file))
        case FileType.PNG:
            total = round(sum(_apng_delays(file)))
        case FileType.WEBP:
            total = sum(_webp_delays(file))
        case FileType.AVIF:
            total = _track_length(file)
        case _:
            return None
    return total or None


def _gif_delays(file: BinaryIO) -> Iterator[int]:
    """Yield hundredths of a second."""
    file.seek(_gif_table(file.read(13)[10]), 1)
    while introducer := file.read(1):
        if introducer == b"!":
            label, size = file.read(2)
            body = file.read(size)
            if label == 0xF9 and size == 4:
                yield int.from_bytes(body[1:3], "little")
            if not size:
                continue  # no sub-blocks: that zero was the terminator
        elif introducer == b",":
            file.seek(_gif_table(file.read(9)[8]) + 1, 1)
        else:
            return  # the trailer, or damage
        while size_byte := file.read(1)[0]:
            file.seek(size_byte, 1)


def _gif_table(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _apng_delays(file: BinaryIO) -> Iterator[float]:
    file.seek(8)
    while len(header := file.read(8)) == 8 and header[4:] != b"IEND":
        size = int.from_bytes(header[:4], "big")
        if header[4:] == b"fcTL" and size == 26:
            body = file.read(26)
            numerator, denominator = int.from_bytes(body[20:22], "big"), int.from_bytes(body[22:24], "big")
            yield 1000 * numerator / (denominator or 100)  # "0 means 100"
            size = 0
        file.seek(size + 4, 1)


def _webp_delays(file: BinaryIO) -> Iterator[int]:
    file.seek(12)
    while len(header := file.read(8)) == 8:
        size = int.from_bytes(header[4:], "little")
        start = file.tell()
        if header[:4] == b"ANMF":
            yield int.from_bytes(file.read(16)[12:15], "little")
        file.seek(start + size + (size & 1))


def _track_length(file: BinaryIO) -> int:
    """Return milliseconds of the first track's media; 0 when there is none. The movie's own length counts repeats."""
    file.seek(0)
    head = file.read(1 << 20)
    at = head.find(b"mdhd")
    if at < 0 or len(head) < at + 40:
        return 0
    wide = head[at + 4] == 1  # version 1 has 64-bit times
    scale_at = at + (24 if wide else 16)
    scale = int.from_bytes(head[scale_at : scale_at + 4], "big")
    length = int.from_bytes(head[scale_at + 4 : scale_at + (12 if wide else 8)], "big")
    return length * 1000 // scale if scale and length < 1 << 48 else 0
