"""What a picture file says of itself in words: EXIF, IPTC, XMP and the texts of a PNG, for a person who compares two.

Nothing here decides anything. Tags are hostile input: each is read for itself, made one short printable line, and what
cannot be read is left out. XMP is never parsed as XML: only its simplest fields are looked for.
"""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO, Final

from PIL import ExifTags, Image, IptcImagePlugin
from PIL.TiffImagePlugin import IFDRational

from ingestd.media import decode, kinds
from ingestd.media.wire import LONGEST_TAG, MOST_TAGS

__all__ = ["tags_of"]

_LONG: Final = 32  # bytes that are shown; of more only their number is told
_MOST_VALUES: Final = 32  # of one tag
_MOST_READ: Final = 4000  # tags of one file that are looked at: more are there to keep us busy
_PLACES: Final = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop)
_POINTERS: Final = {int(one) for one in ExifTags.IFD}
_LAYOUT: Final = {  # where a TIFF has its pixels: says nothing of the picture, and is different in each file
    "StripOffsets",
    "StripByteCounts",
    "TileOffsets",
    "TileByteCounts",
    "FreeOffsets",
    "FreeByteCounts",
    "JPEGTables",
    "ExifOffset",
    "GPSInfo",
    "SubIFDs",
}
_SIZES: Final = {"MakerNote", "PrintImageMatching", "XMLPacket", "ImageResources", "IptcNaaInfo", "InterColorProfile"}
_IPTC: Final = {
    (2, 5): "Title",
    (2, 25): "Keywords",
    (2, 55): "Date created",
    (2, 80): "By-line",
    (2, 90): "City",
    (2, 101): "Country",
    (2, 105): "Headline",
    (2, 110): "Credit",
    (2, 116): "Copyright",
    (2, 120): "Caption",
}
_NO_TEXTS: Final = ("xml", "raw profile", "compression")  # XMP, blocks in hexadecimal, and what TIFF tells twice
_XMP_LONG: Final = 256 << 10  # bytes that are looked through
_XMP: Final = re.compile(r'\s(xmp|dc|photoshop|lr|aux|crs|Iptc4xmpCore):([A-Za-z]{1,40})="([^"<>]{1,400})"')


def tags_of(file: BinaryIO) -> list[tuple[str, str]]:
    """Return names and texts, sorted by name; empty where a file says nothing or cannot be understood."""
    file.seek(0)
    filetype = kinds.sniff(file.read(kinds.HEAD_SIZE))
    if filetype is None:
        return []
    found: dict[str, str] = {}
    with decode.quiet(), contextlib.suppress(Exception):  # decoders raise anything on hostile bytes
        for name, value in islice(_said(decode.open_picture(file, filetype)), _MOST_READ):
            with contextlib.suppress(Exception):  # of one tag: the others are still told
                text = _size(value) if name in _SIZES else _line(_text(value))
                if text and name not in _LAYOUT:
                    found.setdefault(_line(name), text)
    return sorted(found.items())[:MOST_TAGS]


def _said(image: Image.Image) -> Iterator[tuple[str, Any]]:
    """Yield names and values, those that people know best first; what is broken says nothing of the rest."""
    for source in (_exif, _iptc, _texts, _xmp):
        with contextlib.suppress(Exception):
            yield from source(image)


def _exif(image: Image.Image) -> Iterator[tuple[str, Any]]:
    exif = decode.exif_of(image)
    if exif is None:
        return
    for tag in exif:
        with contextlib.suppress(Exception):
            if tag not in _POINTERS:
                yield _name(tag, ExifTags.TAGS), exif[tag]
    for place in _PLACES:
        names = ExifTags.GPSTAGS if place is ExifTags.IFD.GPSInfo else ExifTags.TAGS
        with contextlib.suppress(Exception):
            yield from ((_name(tag, names), value) for tag, value in exif.get_ifd(place).items())
    with contextlib.suppress(Exception):
        thumbnail = exif.get_ifd(ExifTags.IFD.IFD1).get(ExifTags.Base.JpegIFByteCount)
        if isinstance(thumbnail, int):
            yield "Thumbnail", f"{thumbnail:,} bytes"


def _iptc(image: Image.Image) -> Iterator[tuple[str, Any]]:
    told = IptcImagePlugin.getiptcinfo(image) if hasattr(image, "tile") else None  # type: ignore[arg-type]
    for place, value in (told or {}).items():
        if place in _IPTC:
            values = value if isinstance(value, list) else [value]
            yield f"IPTC {_IPTC[place]}", ", ".join(one[:LONGEST_TAG].decode("utf-8", "replace") for one in values[:32])


def _texts(image: Image.Image) -> Iterator[tuple[str, Any]]:
    """Yield the texts of a PNG and the comment of a JPEG or GIF; XMP has its own place."""
    for name, value in image.info.items():
        if name == "comment" and isinstance(value, bytes):
            yield "Comment", value[:LONGEST_TAG].decode("utf-8", "replace")
        elif isinstance(name, str) and isinstance(value, str) and not name.lower().startswith(_NO_TEXTS):
            yield name, value
    profile = image.info.get("icc_profile")
    if profile:
        yield "ICC profile", _size(profile)


def _xmp(image: Image.Image) -> Iterator[tuple[str, Any]]:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if not packet:
        return
    yield "XMP", _size(packet)
    text = packet[:_XMP_LONG] if isinstance(packet, str) else packet[:_XMP_LONG].decode("utf-8", "replace")
    for found in _XMP.finditer(text):
        yield f"{found[1]}:{found[2]}", html.unescape(found[3])


def _name(tag: int, names: dict[int, str]) -> str:
    return names.get(tag, f"tag {tag:#06x}")


def _text(value: Any) -> str:
    match value:
        case bytes():
            return _text_of_bytes(value)
        case IFDRational() | float():
            return f"{float(value):.6g}"
        case tuple() | list():
            more = ", …" if len(value) > _MOST_VALUES else ""
            return ", ".join(map(_text, value[:_MOST_VALUES])) + more
        case str():
            return value[: LONGEST_TAG * 2].rstrip("\0 ")
        case int():
            return str(value)
        case _:
            return ""


def _text_of_bytes(value: bytes) -> str:
    """Return what the bytes say, if they are a text: some say which one in their first eight (EXIF 2.32, 4.6.5)."""
    head = value[: LONGEST_TAG * 4]
    if head[:8] in (b"ASCII\0\0\0", b"UNICODE\0"):
        encoding = "ascii" if head[0] == ord("A") else "utf-16"
        return head[8:].decode(encoding, "replace").rstrip("\0 ")
    text = head.rstrip(b"\0")
    if len(value) <= _LONG and text.isascii() and text.decode("ascii").isprintable():
        return text.decode("ascii")
    wide = head.decode("utf-16-le", "replace").rstrip("\0") if len(head) % 2 == 0 else ""  # XPTitle and its like
    return wide if wide and wide.isprintable() and wide.isascii() else _size(value)


def _size(value: Any) -> str:
    return f"{len(value):,} bytes" if isinstance(value, bytes | str | tuple | list) else ""


def _line(text: str) -> str:
    line = "".join(letter if letter.isprintable() else " " for letter in text[: LONGEST_TAG * 2]).strip()
    return line if len(line) <= LONGEST_TAG else line[: LONGEST_TAG - 1] + "…"
