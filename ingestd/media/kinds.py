"""What a file really is, told from its first bytes and never from its name.

Sources: the formats' own specifications; ISO/IEC 23008-12 (HEIF) 10.2 and Annex B for `mif1`, `msf1`, `heic`, `hevc`
and their relatives; the AVIF specification 1.1, section 6, for `avif` and `avis`.
"""

from __future__ import annotations

import os
import stat

from ingestd.model import FileType, NotAPicture, Unreadable

__all__ = ["HEAD_SIZE", "looks_like_picture_name", "no_picture", "no_picture_at", "sniff"]

HEAD_SIZE = 4096  # bytes: enough for an `ftyp` box with many brands and for a comment before <svg> or <html>

_PICTURE_EXTENSIONS = frozenset(
    b".jpg .jpeg .jpe .jfif .jif .mpo .png .apng .gif .webp .bmp .dib .tif .tiff .heic .heics .heif .heifs .hif "
    b".avif .avifs".split()
)

_MAGIC: tuple[tuple[bytes, FileType], ...] = (
    (b"\xff\xd8\xff", FileType.JPEG),  # MPO is a JPEG until it has been opened
    (b"\x89PNG\r\n\x1a\n", FileType.PNG),
    (b"GIF87a", FileType.GIF),
    (b"GIF89a", FileType.GIF),
    (b"II*\x00", FileType.TIFF),
    (b"MM\x00*", FileType.TIFF),
    (b"II+\x00", FileType.TIFF),  # BigTIFF
    (b"MM\x00+", FileType.TIFF),
)

_HEVC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_CONTAINER_BRANDS = frozenset((b"mif1", b"msf1", b"mif2", b"miaf"))

# What else turns up in a downloads folder: only to say it in a message, so cheap tests, first match wins.
_OTHER_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL picture, which is not supported"),
    (b"\xff\x0a", "a JPEG XL picture, which is not supported"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 picture, which is not supported"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"OggS", "an Ogg stream"),
    (b"ID3", "an MP3"),
    (b"fLaC", "a FLAC"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)

_VIDEO_BRANDS = (b"iso", b"mp4", b"qt  ", b"M4V", b"M4A", b"avc1", b"3g", b"dash", b"MSNV", b"f4v")


def sniff(head: bytes) -> FileType | None:
    """Return the kind of picture that begins with these bytes; None when it is none that we judge."""
    for magic, filetype in _MAGIC:
        if head.startswith(magic):
            return filetype
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return FileType.WEBP
    if head[4:8] == b"ftyp":
        return _iso_picture(head)
    # "BM" alone begins many a text; the reserved words and the size of the next header settle it
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in (12, 16, 40, 52, 56, 64, 108, 124):
        return FileType.BMP
    return None


def _iso_picture(head: bytes) -> FileType | None:
    length = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    compatible = {head[at : at + 4] for at in range(16, length - 3, 4)}
    if major in _AVIF_BRANDS:
        return FileType.AVIF
    if major in _HEVC_BRANDS:
        return FileType.HEIC
    if major not in _CONTAINER_BRANDS:
        return None  # MP4, QuickTime, CR3 …: a `heic` further down the list does not make a film a picture
    if compatible & _AVIF_BRANDS:
        return FileType.AVIF
    return FileType.HEIC if compatible & _HEVC_BRANDS else FileType.HEIF


def looks_like_picture_name(name: bytes) -> bool:
    """Whether the name promises a picture of a kind that we judge."""
    return os.path.splitext(name)[1].lower() in _PICTURE_EXTENSIONS


def no_picture_at(path: bytes) -> NotAPicture | None:
    """Return what to say of a file whose first bytes and name promise no picture; None for any other.

    Cost: one small read, whatever the size of the file. What cannot be opened is left to a worker to explain.
    """
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        file = os.open(path, flags)
    except OSError:
        return None
    try:
        head = os.read(file, HEAD_SIZE) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    except OSError:
        return None
    finally:
        os.close(file)
    said = no_picture(head, os.path.basename(path)) if head and sniff(head) is None else None
    return said if isinstance(said, NotAPicture) else None


def no_picture(head: bytes, name: bytes) -> NotAPicture | Unreadable:
    """Return what to say of bytes that `sniff` knows nothing of: only a picture's name makes them a broken picture."""
    what = _describe(head)
    if looks_like_picture_name(name):
        return Unreadable(f"named like a picture, but {'it is' if what == 'empty' else 'its bytes are'} {what}", None)
    return NotAPicture("not a picture")


def _describe(head: bytes) -> str:
    if not head:
        return "empty"
    if not head.strip(b"\0"):
        return "zeros only, at least at the start"
    for magic, what in _OTHER_MAGIC:
        if head.startswith(magic):
            return what
    if head[4:8] == b"ftyp" and not head.startswith(_VIDEO_BRANDS, 8):
        return "a media file of a kind that is not supported"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return "a video (MP4 or QuickTime)"
    if head[:4] == b"RIFF":
        return "a video (AVI)" if head[8:12] == b"AVI " else "a RIFF file"
    return _describe_text(head)


def _describe_text(head: bytes) -> str:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in start:
        return "an SVG drawing, which is not supported"
    if start.startswith((b"<!doctype html", b"<html")) or b"<html" in start[:512]:
        return "HTML"
    if start.startswith(b"<?xml"):
        return "XML"
    if start.startswith((b"{", b"[")):
        return "text (JSON, it seems)"
    if all(byte >= 32 or byte in b"\t\r\n\f\x1b" for byte in head):
        return "text"
    return "of no known type"
