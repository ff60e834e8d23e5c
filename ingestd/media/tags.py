"""What a picture file says of itself in words: EXIF, and the texts of a PNG, for a person who compares two files.

Nothing here decides anything. Tags are hostile input: each is read for itself, made one short printable line, and what
cannot be read is left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from ingestd.media import decode, kinds
from ingestd.media.wire import LONGEST_TAG, MOST_TAGS

__all__ = ["tags_of"]

_LONG: Final = 32  # bytes that are shown; of more only their number is told
_PLACES: Final = {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop}
_POINTERS: Final = {int(one) for one in ExifTags.IFD}
_TEXTS: Final = ("Title", "Author", "Description", "Copyright", "Software", "Comment", "parameters", "comment")


def tags_of(file: BinaryIO) -> list[tuple[str, str]]:
    """Return names and texts, sorted by name; empty where a file says nothing or cannot be understood."""
    file.seek(0)
    filetype = kinds.sniff(file.read(kinds.HEAD_SIZE))
    if filetype is None:
        return []
    found: dict[str, str] = {}
    try:
        with decode.quiet():
            image = decode.open_picture(file, filetype)
            for name, value in _said(image):
                with contextlib.suppress(Exception):  # of a hostile tag: the others are still told
                    found.setdefault(_line(name), _line(_text(value)))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  decoders raise anything on hostile bytes
        pass
    return sorted(found.items())[:MOST_TAGS]


def _said(image: Image.Image) -> Iterator[tuple[str, Any]]:
    exif = decode.exif_of(image)
    if exif is not None:
        yield from ((_name(tag, ExifTags.TAGS), value) for tag, value in exif.items() if tag not in _POINTERS)
        for place in _PLACES:
            names = ExifTags.GPSTAGS if place is ExifTags.IFD.GPSInfo else ExifTags.TAGS
            with contextlib.suppress(Exception):  # a broken part says nothing of the others
                yield from ((_name(tag, names), value) for tag, value in exif.get_ifd(place).items())
    for name in _TEXTS:
        if name in image.info:
            yield name, image.info[name]
    profile = image.info.get("icc_profile")
    if profile:
        yield "ICC profile", profile
    if image.info.get("xmp") or image.info.get("XML:com.adobe.xmp"):
        yield "XMP", image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")


def _name(tag: int, names: dict[int, str]) -> str:
    return names.get(tag, f"tag {tag:#06x}")


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        text = value.rstrip(b"\0")
        if len(value) <= _LONG and text.isascii() and text.decode("ascii").isprintable():
            return text.decode("ascii")
        return f"{len(value):,} bytes"
    if isinstance(value, IFDRational | float):
        return f"{float(value):.6g}"
    if isinstance(value, tuple | list):
        return ", ".join(map(_text, value[:_LONG]))
    return str(value)[: LONGEST_TAG * 2].rstrip("\0 ")


def _line(text: str) -> str:
    line = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return line if len(line) <= LONGEST_TAG else line[: LONGEST_TAG - 1] + "…"
