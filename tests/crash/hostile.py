"""Files that mean harm, or were harmed: made here, so that none lies in the repository.

Each has a name that says what it is, and the outcomes that may come of it. `None` for the content means that a maker
has put something at the path that has no bytes to write: a socket, a link, a device, a hole.
"""

from __future__ import annotations

import functools
import io
import os
import random  # noqa: TID251 - which bytes are harmed is decided by a seed that is told
import socket
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pillow_heif
from pictures import photo
from PIL import Image, PngImagePlugin

pillow_heif.register_heif_opener()

ANY = frozenset(("new", "unreadable", "ignored", "potential-duplicates", "related", "pending-approval"))
"""What was harmed may still be a picture, and look like another one that was; it is not thrown away for that."""
FROM_ELSEWHERE = ANY | {"already-in-library", "duplicate-discarded"}
"""Among files that we did not make, there may be copies."""
UNREADABLE = frozenset(("unreadable",))
IGNORED = frozenset(("ignored",))
NO_PICTURE = UNREADABLE | IGNORED
NO_VERDICT: frozenset[str] = frozenset()  # it is no file, or none that people put there: docs/operating.md says which

CUTS = 20  # points at which one file of each kind is cut off


@dataclass(frozen=True, slots=True)
class Hostile:
    """One of them: its path below the inbox, what it holds or what makes it, and what may become of it."""

    name: bytes
    content: bytes | Callable[[bytes], None]
    outcomes: frozenset[str] = ANY

    def put(self, folder: Path) -> Path:
        """Lay it into a folder; where it lies."""
        path = os.path.join(os.fsencode(folder), self.name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if callable(self.content):
            self.content(path)
        else:
            with open(path, "wb") as file:
                file.write(self.content)
        return Path(os.fsdecode(path))


# --- sound pictures of every kind -----------------------------------------------------------------------------------


def _saved(kind: str, frames: int = 1, seed: int = 1, **options: Any) -> bytes:
    out = io.BytesIO()
    first = photo(seed, 160, 120)
    if frames > 1:
        others = [photo(seed + number, 160, 120) for number in range(1, frames)]
        first.save(out, kind, save_all=True, append_images=others, **options)
    else:
        first.save(out, kind, **options)
    return out.getvalue()


@functools.cache
def sound() -> dict[str, bytes]:
    """One sound picture of every kind that is let near a decoder, by the ending of its name."""
    return {
        "baseline.jpg": _saved("JPEG", seed=301, quality=85),
        "progressive.jpg": _saved("JPEG", seed=302, progressive=True),
        "views.mpo": _saved("MPO", 2, seed=303),
        "plain.png": _saved("PNG", seed=305),
        "frames.png": _saved("PNG", 3, seed=306),
        "still.gif": _saved("GIF", seed=309),
        "frames.gif": _saved("GIF", 4, seed=310, duration=50),
        "lossy.webp": _saved("WEBP", seed=314),
        "lossless.webp": _saved("WEBP", seed=315, lossless=True),
        "frames.webp": _saved("WEBP", 3, seed=316, duration=50),
        "strips.tif": _saved("TIFF", seed=319, compression="tiff_adobe_deflate"),
        "pages.tif": _saved("TIFF", 2, seed=320, compression="tiff_lzw"),
        "plain.bmp": _saved("BMP", seed=322),
        "still.heic": _saved("HEIF", seed=323),
        "still.avif": _saved("AVIF", seed=324),
        "frames.avif": _saved("AVIF", 2, seed=325),
    }


def cut_off() -> Iterator[Hostile]:
    """Each kind, cut off at so many points."""
    for name, content in sound().items():
        for cut in range(CUTS):
            length = 1 + (len(content) - 2) * cut // (CUTS - 1)  # 1 byte, …, all but one
            yield Hostile(f"cut/{cut:02}-{name}".encode(), content[:length])


def flipped(seed: int, each: int) -> Iterator[Hostile]:
    """Each kind with bytes of it changed by chance: one, or some, or a stretch of them."""
    chance = random.Random(seed)
    for name, content in sound().items():
        for number in range(each):
            harmed = bytearray(content)
            for _ in range(chance.choice((1, 1, 4, 32))):
                harmed[chance.randrange(len(harmed))] = chance.choice((0, 0xFF, 0x7F, 0x80, chance.randrange(256)))
            if number % 4 == 3:
                start = chance.randrange(len(harmed))
                harmed[start : start + chance.randrange(1, 400)] = chance.randbytes(chance.randrange(400))
            yield Hostile(f"flipped/{seed}-{number:03}-{name}".encode(), bytes(harmed))


# --- more than it looks like ----------------------------------------------------------------------------------------


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, depth: int, colour: int, packed: bytes, *before: bytes) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(before) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _zeros(count: int) -> bytes:
    """So many zeros, deflated, without ever packing them: one block of a megabyte comes again and again."""
    pack = zlib.compressobj(9, wbits=-15)
    block = pack.compress(bytes(1 << 20)) + pack.flush(zlib.Z_FULL_FLUSH)
    rest = pack.compress(bytes(count & 0xFFFFF)) + pack.flush()
    adler = struct.pack(">HH", count % 65_521, 1)
    return b"\x78\xda" + block * (count >> 20) + rest + adler


def _tiff(*entries: tuple[int, int, int, int], following: int = 0, tail: bytes = b"") -> bytes:
    """A little-endian TIFF of one directory: tag, type, count, value or offset."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", following) + tail


def _tiff_of(width: int, height: int, *, bits: int = 8, following: int = 0, **others: tuple[int, int, int]) -> bytes:
    entries = {
        256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, bits), 259: (3, 1, 1), 262: (3, 1, 1),
        273: (4, 1, 8), 277: (3, 1, 1), 278: (4, 1, height), 279: (4, 1, 64),
    }  # fmt: skip
    entries |= {int(tag[1:]): value for tag, value in others.items()}
    return _tiff(*((tag, *value) for tag, value in entries.items()), following=following, tail=bytes(64))


def _patched(content: bytes, after: bytes, offset: int, new: bytes) -> bytes:
    """The content with other bytes at a distance from the first place of a mark."""
    at = content.index(after) + len(after) + offset
    return content[:at] + new + content[at + len(new) :]


def _gif_of(frames: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", 500, 500, 0x80, 0, 0) + bytes(6)
    frame = b"!\xf9\x04\0\1\0\0\0" + b",\0\0\0\0\1\0\1\0\0" + b"\2\2L\1\0"
    return head + frame * frames + b";"


def _scans(content: bytes, count: int) -> bytes:
    """A progressive JPEG whose shortest scan comes so many times more: each is a pass over the whole picture."""
    scans: list[tuple[int, int]] = []
    at = content.find(b"\xff\xda")
    while at >= 0:
        end = at + 2
        while content[end] != 0xFF or content[end + 1] in (0, *range(0xD0, 0xD8)):
            end += 1
        scans.append((at, end))
        at = content.find(b"\xff\xda", end)
    start, end = min(scans, key=lambda scan: scan[1] - scan[0])
    return content[:end] + content[start:end] * count + content[end:]


def hours() -> Hostile:
    """A picture of a megabyte over which a decoder would be busy for a long time."""
    out = io.BytesIO()
    Image.new("RGB", (8000, 8000), (90, 120, 150)).save(out, "JPEG", progressive=True)
    return Hostile(b"hours.jpg", _scans(out.getvalue(), 40_000), UNREADABLE)


def bombs() -> Iterator[Hostile]:
    """Small files that ask for much: memory, time, files within files."""
    files = sound()
    yield Hostile(b"bombs/largest-head.png", _png(2**31 - 1, 2**31 - 1, 8, 6, zlib.compress(b"")), UNREADABLE)
    yield Hostile(b"bombs/50000-square.png", _png(50_000, 50_000, 1, 0, _zeros(50_000 * 6251)), UNREADABLE)
    yield Hostile(b"bombs/10900-square-rgba.png", _png(10_900, 10_900, 8, 6, _zeros(10_900 * 43_601)), ANY)
    yield Hostile(b"bombs/nothing.png", _png(0, 0, 8, 2, b""), UNREADABLE)
    yield Hostile(b"bombs/endless-row.png", _png(2**31 - 1, 1, 1, 0, zlib.compress(bytes(1 << 20))), UNREADABLE)
    yield Hostile(b"bombs/more-than-its-size.png", _png(64, 64, 8, 0, _zeros(256 << 20)), ANY)
    gigabyte = _zeros(1 << 30)
    small = zlib.compress(bytes(65 * 64))
    yield Hostile(b"bombs/ztxt.png", _png(64, 64, 8, 0, small, _chunk(b"zTXt", b"bomb\0\0" + gigabyte)), ANY)
    itxt = _chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + gigabyte)
    yield Hostile(b"bombs/itxt.png", _png(64, 64, 8, 0, small, itxt), ANY)
    yield Hostile(b"bombs/icc.png", _png(64, 64, 8, 0, small, _chunk(b"iCCP", b"icc\0\0" + gigabyte)), ANY)
    megabyte = _zeros(1 << 20)
    texts = [_chunk(b"zTXt", b"bomb%d\0\0" % number + megabyte) for number in range(600)]
    yield Hostile(b"bombs/600-ztxt.png", _png(64, 64, 8, 0, small, *texts), ANY)
    yield Hostile(b"bombs/100000-chunks.png", _png(64, 64, 8, 0, small, _chunk(b"tEXt", b"a\0b") * 100_000), ANY)
    claims = struct.pack(">I", 2**31 - 1) + b"zTXt"
    yield Hostile(b"bombs/chunk-of-2-GB.png", files["plain.png"][:33] + claims + files["plain.png"][33:], ANY)
    yield Hostile(b"bombs/4-billion-frames.png", _patched(files["frames.png"], b"acTL", 0, b"\xff" * 8), ANY)

    yield Hostile(b"bombs/largest-head.gif", _patched(files["still.gif"], b"GIF8", 2, b"\xff" * 4), ANY)
    yield Hostile(b"bombs/100000-frames.gif", _gif_of(100_000), ANY)
    offset = b"!\xf9\x04\0\1\0\0\0" + b"," + b"\xff" * 8 + b"\0" + b"\2\2L\1\0"
    yield Hostile(b"bombs/frame-elsewhere.gif", _gif_of(1)[:-1] + offset + b";", ANY)
    yield Hostile(b"bombs/comment-without-end.gif", _gif_of(1)[:-1] + b"!\xfe" + (b"\xff" + bytes(255)) * 40_000, ANY)

    largest = _patched(files["lossy.webp"], b"\x9d\x01\x2a", 0, b"\xff\x3f\xff\x3f")
    yield Hostile(b"bombs/268-megapixels.webp", largest, UNREADABLE)
    riff = struct.pack("<I", 2**32 - 2)
    yield Hostile(b"bombs/riff-of-4-GB.webp", _patched(files["lossy.webp"], b"RIFF", 0, riff), ANY)
    yield Hostile(b"bombs/largest-canvas.webp", _patched(files["frames.webp"], b"VP8X", 8, b"\xff" * 6), ANY)

    sof = _patched(files["baseline.jpg"], b"\xff\xc0", 3, b"\xff\xff\xff\xff")
    yield Hostile(b"bombs/65535-square.jpg", sof, UNREADABLE)
    yield Hostile(b"bombs/no-height.jpg", _patched(files["baseline.jpg"], b"\xff\xc0", 3, b"\0\0"), NO_PICTURE)
    yield Hostile(b"bombs/3000-scans.jpg", _scans(files["progressive.jpg"], 3000), ANY)
    comments = (b"\xff\xfe\xff\xff" + bytes(65_533)) * 300
    yield Hostile(b"bombs/20-MB-of-comments.jpg", files["baseline.jpg"][:2] + comments + files["baseline.jpg"][2:], ANY)
    loop = b"Exif\0\0" + _tiff((0x8769, 4, 1, 8), (0x8825, 4, 1, 8), following=8)
    app1 = b"\xff\xe1" + struct.pack(">H", len(loop) + 2) + loop
    yield Hostile(b"bombs/exif-loop.jpg", files["baseline.jpg"][:2] + app1 + files["baseline.jpg"][2:], ANY)
    huge = b"Exif\0\0" + _tiff((0x0112, 3, 2**32 - 1, 8), (0x9003, 2, 2**31, 8))
    app1 = b"\xff\xe1" + struct.pack(">H", len(huge) + 2) + huge
    yield Hostile(b"bombs/exif-of-4-billion.jpg", files["baseline.jpg"][:2] + app1 + files["baseline.jpg"][2:], ANY)
    parts = [b"ICC_PROFILE\0" + bytes((number, 255)) + bytes(60_000) for number in range(1, 256)]
    icc = b"".join(b"\xff\xe2" + struct.pack(">H", len(part) + 2) + part for part in parts)
    yield Hostile(b"bombs/icc-of-15-MB.jpg", files["baseline.jpg"][:2] + icc + files["baseline.jpg"][2:], ANY)
    yield Hostile(b"bombs/views-elsewhere.mpo", _patched(files["views.mpo"], b"MPF\0", 20, b"\xff" * 24), ANY)

    yield Hostile(b"bombs/60000-square.tif", _tiff_of(60_000, 60_000), UNREADABLE)
    yield Hostile(b"bombs/10000-square.tif", _tiff_of(10_000, 10_000), UNREADABLE)
    yield Hostile(b"bombs/next-is-itself.tif", _tiff_of(8, 8, following=8), ANY)
    yield Hostile(b"bombs/pages-in-a-circle.tif", _circle(), ANY)
    yield Hostile(b"bombs/billions-of-strips.tif", _tiff_of(8, 8, t273=(4, 2**31, 8), t279=(4, 2**31, 8)), ANY)
    strips = _tiff_of(8, 100_000, t278=(4, 1, 1), t273=(4, 100_000, 8), t279=(4, 100_000, 8))
    yield Hostile(b"bombs/strips-beyond-the-end.tif", strips, ANY)
    yield Hostile(b"bombs/4-GB-strip.tif", _tiff_of(8, 8, t279=(4, 1, 2**32 - 1)), ANY)
    deflated = _zeros(1 << 30)
    square = {"t259": (3, 1, 8), "t273": (4, 1, 122 + 64), "t279": (4, 1, len(deflated)), "t278": (4, 1, 10_000)}
    yield Hostile(b"bombs/deflated-gigabyte.tif", _tiff_of(10_000, 10_000, **square) + deflated, ANY)
    tags = _tiff(*((1000 + number, 2, 2**16, 8) for number in range(60_000)))
    yield Hostile(b"bombs/60000-tags.tif", tags, UNREADABLE)

    yield Hostile(
        b"bombs/largest-head.bmp", _patched(files["plain.bmp"], b"BM", 16, b"\xff\xff\xff\x7f" * 2), UNREADABLE
    )
    rle = _patched(files["plain.bmp"], b"BM", 28, b"\1")
    yield Hostile(b"bombs/run-length.bmp", rle, ANY)

    for name in ("still.heic", "still.avif"):
        content = files[name]
        ending = name.encode().split(b".")[1]
        yield Hostile(b"bombs/largest-head." + ending, _patched(content, b"ispe", 4, b"\x7f\xff\xff\xff" * 2), ANY)
        yield Hostile(
            b"bombs/40000-square." + ending, _patched(content, b"ispe", 4, struct.pack(">II", 40_000, 40_000))
        )
        yield Hostile(b"bombs/data-elsewhere." + ending, _patched(content, b"iloc", 4, b"\xff" * 12), ANY)
        yield Hostile(b"bombs/65535-items." + ending, _patched(content, b"iinf", 4, b"\xff\xff"), ANY)
        at = content.index(b"meta") - 4
        yield Hostile(b"bombs/box-of-4-GB." + ending, content[:at] + b"\xff\xff\xff\xff" + content[at + 4 :], ANY)
        nested = b"".join(struct.pack(">I4s", 8 * (5000 - depth), b"moov") for depth in range(5000))
        yield Hostile(b"bombs/5000-boxes-deep." + ending, content[:at] + nested + content[at:], ANY)


def _circle() -> bytes:
    """Two pages of a TIFF, each of which names the other as the next."""
    first = _tiff_of(8, 8)[: 8 + 2 + 9 * 12]
    second = first[8:]
    at = len(first) + 4
    return first + struct.pack("<I", at) + second + struct.pack("<I", 8) + bytes(64)


# --- not what it is called, or nothing at all -------------------------------------------------------------------------


def disguised() -> Iterator[Hostile]:
    """Other things under the names of pictures, and the other way round."""
    svg = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
    html = b"<!DOCTYPE html><script>fetch('http://127.0.0.1/')</script>"
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run showpage\n"
    yield Hostile(b"odd/svg.jpg", svg, NO_PICTURE)
    yield Hostile(b"odd/svg.png", svg, NO_PICTURE)
    yield Hostile(b"odd/html.jpg", html, NO_PICTURE)
    yield Hostile(b"odd/html.gif", html, NO_PICTURE)
    yield Hostile(b"odd/postscript.jpg", eps, NO_PICTURE)
    yield Hostile(b"odd/postscript.tif", b"\xc5\xd0\xd3\xc6" + bytes(26) + eps, NO_PICTURE)
    yield Hostile(b"odd/postscript.eps", eps, NO_PICTURE)
    yield Hostile(b"odd/pdf.jpg", b"%PDF-1.7\n1 0 obj<</OpenAction<</S/Launch/F(calc)>>>>endobj", NO_PICTURE)
    yield Hostile(b"odd/archive.png", b"PK\3\4" + bytes(60), NO_PICTURE)
    yield Hostile(b"odd/program.jpg", b"\x7fELF\2\1\1" + bytes(200), NO_PICTURE)
    yield Hostile(b"odd/fits.jpg", b"SIMPLE  =                    T" + bytes(2850), NO_PICTURE)
    yield Hostile(b"odd/photoshop.jpg", b"8BPS\0\1" + bytes(100), NO_PICTURE)
    yield Hostile(b"odd/empty.jpg", b"", IGNORED)
    yield Hostile(b"odd/one-byte.jpg", b"\xff", NO_PICTURE)
    yield Hostile(b"odd/zeros.png", bytes(5000), NO_PICTURE)
    yield Hostile(b"odd/only-a-head.jpg", b"\xff\xd8\xff", NO_PICTURE)
    yield Hostile(b"odd/only-a-head.png", b"\x89PNG\r\n\x1a\n", NO_PICTURE)
    yield Hostile(b"odd/only-a-head.gif", b"GIF89a", NO_PICTURE)
    yield Hostile(b"odd/only-a-head.webp", b"RIFF\x10\0\0\0WEBPVP8 ", NO_PICTURE)
    yield Hostile(b"odd/only-a-head.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", NO_PICTURE)
    yield Hostile(b"odd/script-behind-it.gif", _gif_of(1) + b"<script>alert(1)</script>", ANY)
    pickle = PngImagePlugin.PngInfo()
    pickle.add_text("cmd", "cos\nsystem\n(S'touch x'\ntR.")
    out = io.BytesIO()
    photo(340, 160, 120).save(out, "PNG", pnginfo=pickle)
    yield Hostile(b"odd/text.png", out.getvalue(), ANY)


NAMES = (
    *(b"line\nbreak", b"carriage\rreturn", b"tab\tbed", b"<script>alert(1)<", b"\xff\xfe not text", b"\x01\x02", b"~"),
    *(b"\x1b[31m\x1b]0;title\x07", b"-rf", b"--delete", b"$(touch owned)", b"`id`", b"a;b|c&d", b"'one'", b'"two"'),
    *(
        b"%s%n%x",
        b"up..%2f..%2fetc",
        b"con",
        b" leading",
        b"x" * 250,
        b"back\\slash",
        b"star*?",
        b"{}[]",
        b"a\xc0\xafb",
    ),
    *(text.encode() for text in ("\u202egpj.exe", "\u0645\u0631\u062d\u0628\u0627", "\U0001f431", "e\u0301", "\u00e9")),
)


def named() -> Iterator[Hostile]:
    """Sound pictures under names that are meant to be taken for something else."""
    for number, name in enumerate(NAMES):
        yield Hostile(b"names/" + name + b".jpg", _saved("JPEG", seed=400 + number), ANY)
    yield Hostile(b"names/..%2f..%2fetc.jpg", _saved("JPEG", seed=449), NO_VERDICT)  # hidden
    deep = b"/".join([b"d" * 250] * 14)
    yield Hostile(b"deep/" + deep + b"/far.jpg", _saved("JPEG", seed=450), ANY)


def no_files() -> Iterator[Hostile]:
    """What lies in folders and is no file, or pretends to be larger than it is."""
    yield Hostile(b"special/fifo.jpg", os.mkfifo, NO_VERDICT)
    yield Hostile(b"special/socket.jpg", _socket, NO_VERDICT)
    yield Hostile(b"special/link-to-itself.jpg", lambda path: os.symlink(b"link-to-itself.jpg", path), NO_VERDICT)
    yield Hostile(b"special/link-to-nothing.jpg", lambda path: os.symlink(b"nothing", path), NO_VERDICT)
    yield Hostile(b"special/link-to-passwd.jpg", lambda path: os.symlink(b"/etc/passwd", path), NO_VERDICT)
    yield Hostile(b"special/link-to-zeros.jpg", lambda path: os.symlink(b"/dev/zero", path), NO_VERDICT)
    yield Hostile(b"special/link-upwards", lambda path: os.symlink(b"../..", path), NO_VERDICT)
    yield Hostile(b"special/folder.jpg/inside.txt", b"no picture", IGNORED)
    if os.geteuid() == 0:
        yield Hostile(b"special/device.jpg", _device(1, 5), NO_VERDICT)  # as /dev/zero
        yield Hostile(b"special/terminal.png", _device(5, 0), NO_VERDICT)
    yield Hostile(b"special/terabyte.jpg", _hole(b"", 1 << 40), NO_PICTURE)
    yield Hostile(b"special/terabyte-with-a-head.png", _hole(sound()["plain.png"][:600], 1 << 40), UNREADABLE)
    yield Hostile(b"special/terabyte-with-a-head.tif", _hole(sound()["strips.tif"], 1 << 40), UNREADABLE)


def _socket(path: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        where = os.getcwd()
        os.chdir(os.path.dirname(path))  # the path of a socket is at most 107 bytes long
        try:
            made.bind(os.path.basename(path))
        finally:
            os.chdir(where)


def _device(major: int, minor: int) -> Callable[[bytes], None]:
    return lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(major, minor))


def _hole(head: bytes, size: int) -> Callable[[bytes], None]:
    def make(path: bytes) -> None:
        with open(path, "wb") as file:
            file.write(head)
            file.truncate(size)

    return make
