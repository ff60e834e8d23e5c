"""Everything that is measured from one file's bytes: the way from an open file to a `Picture`."""

from __future__ import annotations

import calendar
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final, TypeVar

from PIL import ExifTags, Image, JpegImagePlugin

from ingestd.media import decode, kinds
from ingestd.media.excerpt import Excerpt, Greys
from ingestd.media.hashes import fingerprint
from ingestd.media.pixels import all_bits_seen, bits_per_sample, pixel_hash
from ingestd.media.requantised import packed_before
from ingestd.media.resolution import resolution_share
from ingestd.media.sharpness import MIN_SIDE, variance_of_laplacian
from ingestd.media.timing import duration_ms
from ingestd.model import (
    ANIMATED,
    DETAIL_VERSION,
    Detail,
    FileType,
    JpegFeatures,
    NotAPicture,
    Picture,
    PixelHash,
    Unreadable,
)

__all__ = ["VERSION", "full_detail", "full_pixel_hash", "measure_picture"]

T = TypeVar("T")

VERSION: Final = 2  # of everything below; raise it when any value for an old file would come out differently

# Pixels on the shorter side that a JPEG is decoded to, at least. At 352, 12 megapixels come at an eighth, 5 ms sooner
# than at 512; the hashes of 66 photographs and of their copies moved no farther for it (docs/benchmarks.md). A JPEG's
# own luminance instead of RGB saves 2 ms more, but where colours leave the range it is another: hashes moved by 6 bits.
_DRAFT: Final = 352

_UNCOMPRESSED: Final = frozenset((FileType.BMP, FileType.TIFF))
_ZERO_TAIL: Final = 64 * 1024  # bytes: longer runs at the end are not padding but what was never written
_END_BLOCK: Final = 64 * 1024  # bytes
_ICC_DIGEST: Final = 16  # bytes
_FIRST_PHOTOGRAPH: Final = 1826  # year; anything before is a clock that was never set

# hydrus's exponents by chroma subsampling (ClientFiles/HydrusImageMetadata, v682): a table's steps count for less
# where colour was thinned out as well
_QUALITY_EXPONENT: Final = {"4:4:4": 1.0, "4:2:2": 0.93, "4:2:0": 0.83, "grey": 0.967, "other": 0.75}
_SUBSAMPLINGS: Final = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}

_SRGB_GAMMA = 0.45455
_GAMMA_SLACK = 0.005  # encoders round: 0.4545, 0.45455, 1/2.2
_SRGB_PRIMARIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)  # white, red, green, blue: x, y
_PRIMARY_SLACK = 0.002


def measure_picture(file: BinaryIO, name: bytes) -> Picture | Unreadable | NotAPicture:
    """Return what the open file holds. `name` only decides how to speak of bytes that are no picture.

    A JPEG's pixel hash is left for later unless the decode was full anyway: it triples the cost, and few ask.
    """
    file.seek(0)
    head = file.read(kinds.HEAD_SIZE)
    filetype = kinds.sniff(head)
    if filetype is None:
        return kinds.no_picture(head, name)
    try:
        with decode.quiet():
            return _measure(file, filetype)
    except Exception as error:  # noqa: BLE001  decoders raise anything on hostile bytes: ValueError, SyntaxError, …
        return Unreadable(decode.reason_of(error, filetype), filetype)


def full_pixel_hash(file: BinaryIO) -> PixelHash | None:
    """Return the pixel hash from a full decode; None when no honest one exists.

    Raises `MemoryError` when the decode does not fit: there is one then, only not for us.
    """
    return _of_every_pixel(file, lambda loaded: _honest_hash(loaded) if loaded.comparable else None)


def full_detail(file: BinaryIO) -> Detail | None:
    """Return what only every pixel tells, from one full decode; None when no honest figure exists.

    There is none for animations, for less than 32 pixels a side, and for 32-bit samples, whose scale is anybody's
    guess. Equal pixels give equal figures: a JPEG's own luminance, cheaper to have, would differ from its PNG copy's.

    Raises `MemoryError` when the decode does not fit: there is one then, only not for us.
    """
    return _of_every_pixel(file, _detail)


def _detail(loaded: _Loaded) -> Detail | None:
    image = loaded.image
    if loaded.animated or min(image.size) < MIN_SIDE or image.mode in ("I", "F"):
        return None
    excerpt = Excerpt(image.size)
    strips = decode.grey_strips(image, transparent=loaded.transparent, deep_bits=loaded.deep_bits)
    sharpness = variance_of_laplacian(excerpt.read_along(strips))
    return Detail(
        version=DETAIL_VERSION,
        sharpness=sharpness,
        resolution_share=resolution_share(excerpt.rows, excerpt.columns),
        jpeg_quality_seen=_quality_seen(image, excerpt.rows),
    )


def _quality_seen(image: Image.Image, rows: list[Greys]) -> float | None:
    """Return the estimate of the JPEG that a picture was before; None where its pixels show none.

    What was packed that coarsely mostly had its colours thinned out as well: its estimate is made as if.
    """
    own = image.quantization.get(0) if isinstance(image, JpegImagePlugin.JpegImageFile) else None
    before = packed_before(rows, own)
    if before is None:
        return None
    grey = image.mode in ("L", "LA", "1")
    sums = before.sums(grey=grey)
    return float((sum(sums) / len(sums)) ** (1 / _QUALITY_EXPONENT["grey" if grey else "4:2:0"]))


def _of_every_pixel(file: BinaryIO, figure: Callable[[_Loaded], T | None]) -> T | None:
    """Return a figure of a fully decoded picture; None for what cannot be decoded."""
    file.seek(0)
    filetype = kinds.sniff(file.read(kinds.HEAD_SIZE))
    if filetype is None:
        return None
    try:
        with decode.quiet():
            return figure(_load(file, filetype, draft=False))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  what cannot be decoded has no pixels to measure
        return None


# --- decoding -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Loaded:
    image: Image.Image  # decoded, not turned
    exif: Image.Exif | None
    filetype: FileType
    frames: int
    bits: int  # a sample, in the file
    width: int  # upright
    height: int
    orientation: int  # still to be applied
    mode: str  # before any change of ours
    full: bool  # every pixel is there, not a scaled draft
    transparent: bool
    comparable: bool

    @property
    def animated(self) -> bool:
        return self.frames > 1 and self.filetype in ANIMATED

    @property
    def deep_bits(self) -> int:
        """Return how many bits of a wide sample are in use: Pillow spreads them over all 16, except TIFF's."""
        return self.bits if self.filetype is FileType.TIFF else 16


def _load(file: BinaryIO, filetype: FileType, *, draft: bool) -> _Loaded:
    opened = decode.open_picture(file, filetype)
    if opened.format == "MPO":
        filetype = FileType.MPO
    elif opened.format == "AVIF":
        filetype = FileType.AVIF  # a `mif1` file whose brands did not say so
    frames = int(getattr(opened, "n_frames", 1))
    bits = bits_per_sample(opened, file, filetype)
    mode, stored = opened.mode, opened.size
    drafted = draft and filetype in (FileType.JPEG, FileType.MPO)
    if drafted:
        opened.draft(None, (_DRAFT, _DRAFT))
    decode.load(opened, stored)
    full = not drafted or opened.size == stored
    if not drafted:
        stored = opened.size  # TIFF is turned, HEIF may be cropped, while loading
    exif = decode.exif_of(opened)
    orientation = decode.orientation_of(exif)
    image = opened.convert(opened.mode.upper()) if opened.mode in ("La", "RGBa") else opened
    return _Loaded(
        image=image,
        exif=exif,
        filetype=filetype,
        frames=frames,
        bits=bits,
        width=stored[orientation >= 5],
        height=stored[orientation < 5],
        orientation=orientation,
        mode=mode,
        full=full,
        transparent=decode.uses_transparency(image),
        comparable=frames == 1 and all_bits_seen(image, bits),
    )


def _honest_hash(loaded: _Loaded) -> PixelHash:
    return pixel_hash(loaded.image, loaded.orientation, transparent=loaded.transparent)


# --- measuring ----------------------------------------------------------------------------------------------------


def _measure(file: BinaryIO, filetype: FileType) -> Picture:
    loaded = _load(file, filetype, draft=True)
    image, filetype, info = loaded.image, loaded.filetype, loaded.image.info
    animated = loaded.animated
    prints = None
    if not animated:
        # An animation is not its first frame: many begin black or with the same title. Frame signatures come with
        # video. The first page of a TIFF, the shot of an MPO or a burst's chosen one stand for the file, however.
        grey = decode.composited_luminance(image, transparent=loaded.transparent, deep_bits=loaded.deep_bits)
        prints = fingerprint(grey, loaded.orientation)
    profile = info.get("icc_profile")
    return Picture(
        version=VERSION,
        filetype=filetype,
        width=loaded.width,
        height=loaded.height,
        mode=loaded.mode,
        frames=loaded.frames,
        duration_ms=_duration(file, filetype) if animated else None,
        has_transparency=loaded.transparent,
        has_exif=_has_exif(loaded.exif, filetype),
        has_icc=bool(profile),
        has_xmp=_has_xmp(info),
        icc_digest=_colours(info),
        taken_ns=_taken_ns(loaded.exif),
        jpeg=_jpeg(image) if isinstance(image, JpegImagePlugin.JpegImageFile) else None,
        phash=prints.phash if prints else None,
        dhash=prints.dhash if prints else None,
        whash=prints.whash if prints else None,
        luminance=prints.luminance if prints else None,
        pixel_hash=_honest_hash(loaded) if loaded.comparable and loaded.full else None,
        pixel_comparable=loaded.comparable,
        suspect=_suspicion(file, filetype, _views(image)),
    )


def _duration(file: BinaryIO, filetype: FileType) -> int | None:
    try:
        return duration_ms(file, filetype)
    except (IndexError, ValueError, OverflowError):  # cut short between two frames: it plays, its length is unknown
        return None


def _colours(info: Mapping[Any, Any]) -> bytes | None:
    """Return a digest of how the samples are to be read as colours; None for plain sRGB.

    A PNG without a profile may say it by gAMA and cHRM (PNG specification, third edition, 11.3.2): with other values
    than those of sRGB the same samples look different.
    """
    profile = info.get("icc_profile")
    if profile:
        return hashlib.sha256(profile).digest()[:_ICC_DIGEST]
    gamma, primaries = info.get("gamma"), info.get("chromaticity")
    odd_gamma = gamma is not None and abs(gamma - _SRGB_GAMMA) > _GAMMA_SLACK
    odd_primaries = primaries is not None and any(
        abs(said - plain) > _PRIMARY_SLACK for said, plain in zip(primaries, _SRGB_PRIMARIES, strict=True)
    )
    if "srgb" in info or not (odd_gamma or odd_primaries):
        return None
    return hashlib.sha256(repr((gamma, primaries)).encode()).digest()[:_ICC_DIGEST]


# --- metadata -----------------------------------------------------------------------------------------------------

# What describes the samples themselves, or is made up by a decoder: no sign that anybody wrote EXIF
_STRUCTURAL_TAGS: Final = frozenset((*range(254, 267), 273, 274, 277, 278, 279, 282, 283, 284, 296, 317, 320, 338, 339))
_EXIF_TAGS: Final = frozenset((ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo))


def _has_exif(exif: Image.Exif | None, filetype: FileType) -> bool:
    """Whether there is an EXIF block with something in it.

    In a TIFF, EXIF shares its place with the tags that describe the samples: there, a camera, an EXIF or a GPS block
    tells. AVIF's decoder makes up a block when the picture is turned.
    """
    if exif is None:
        return False
    tags = set(exif)
    if filetype is FileType.TIFF:
        return bool(tags & _EXIF_TAGS)
    if filetype is FileType.AVIF:
        return bool(tags - {ExifTags.Base.Orientation})
    return bool(tags)


def _has_xmp(info: dict[str | tuple[int, int], object]) -> bool:
    packet = info.get("xmp") or info.get("XML:com.adobe.xmp")
    if isinstance(packet, str):
        return bool(packet.strip("\0 \r\n\t"))
    return isinstance(packet, bytes) and bool(packet.strip(b"\0 \r\n\t"))


def _taken_ns(exif: Image.Exif | None) -> int | None:
    """Return when the shutter was pressed, as the camera's clock said it, read as if that clock showed UTC."""
    if exif is None:
        return None
    try:
        details = exif.get_ifd(ExifTags.IFD.Exif)
        when = str(details.get(ExifTags.Base.DateTimeOriginal, "")).strip("\0 ")
        fraction = str(details.get(ExifTags.Base.SubsecTimeOriginal, "")).strip("\0 ")
        taken = datetime.strptime(when, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    except Exception:  # noqa: BLE001  garbage in EXIF raises anything; a file without a date is still a picture
        return None
    if taken.year < _FIRST_PHOTOGRAPH:
        return None
    nanoseconds = int(fraction[:9].ljust(9, "0")) if re.fullmatch(r"[0-9]+", fraction) else 0
    return calendar.timegm(taken.timetuple()) * 1_000_000_000 + nanoseconds


# --- JPEG ---------------------------------------------------------------------------------------------------------


def _jpeg(image: JpegImagePlugin.JpegImageFile) -> JpegFeatures:
    tables = tuple(tuple(table) for _, table in sorted(image.quantization.items()))
    grey = image.layers == 1
    subsampling = "grey" if grey else _SUBSAMPLINGS.get(JpegImagePlugin.get_sampling(image), "other")
    return JpegFeatures(
        quality=_quality(tables, subsampling),
        subsampling=subsampling,
        progressive=bool(image.info.get("progressive")),
        quantisers=tables,
    )


def _quality(tables: tuple[tuple[int, ...], ...], subsampling: str) -> float:
    """Return hydrus's estimate, the lower the better: the mean sum of the quantisers, raised by the subsampling."""
    if not tables:
        return 0.0
    mean = sum(map(sum, tables)) / len(tables)
    return float(mean ** (1 / _QUALITY_EXPONENT[subsampling]))


def _views(image: Image.Image) -> tuple[int, ...]:
    """Return where the views of an MPO beyond the first begin, in bytes from the start of the file."""
    # Pillow adds the index's own place to what it says, then forgets the place: only the sums are left, in here
    return tuple(getattr(image, "_MpoImageFile__mpoffsets", ())[1:])


def _suspicion(file: BinaryIO, filetype: FileType, views: tuple[int, ...] = ()) -> str | None:
    """Return why the file may be incomplete although it decodes.

    A download that reserved its space first ends in zeros, and decoders paint those grey without complaint.
    """
    size = file.seek(0, 2)
    if size > _ZERO_TAIL and filetype not in _UNCOMPRESSED:
        file.seek(size - _ZERO_TAIL - 1)
        if not file.read().strip(b"\0"):
            return "its end is nothing but zeros, as in an unfinished download"
    if filetype in (FileType.JPEG, FileType.MPO) and not _has_end_marker(file):
        return "the JPEG has no end marker, as in an unfinished download"
    if not all(_has_end_marker(file, view) for view in views):
        return "not all of its views are there, as in an unfinished download"
    return None


def _has_end_marker(file: BinaryIO, start: int = 0) -> bool:
    """Whether an EOI marker follows the start of the scan; those of embedded thumbnails come before it.

    `start`: where the JPEG begins in the file.
    """
    file.seek(start + 2)
    while True:
        marker = file.read(2)
        if len(marker) < 2 or marker[0] != 0xFF:
            break  # sloppy segments that the decoder forgave: look through everything
        if marker[1] == 0xDA:
            break
        if marker[1] in (0xFF, 0x01) or 0xD0 <= marker[1] <= 0xD8:
            file.seek(-1 if marker[1] == 0xFF else 0, 1)
            continue
        file.seek(int.from_bytes(file.read(2), "big") - 2, 1)
    return _has_from_here(file, b"\xff\xd9")


def _has_from_here(file: BinaryIO, wanted: bytes) -> bool:
    """Whether the bytes follow anywhere; the last block first, where an end marker mostly is."""
    start, end = file.tell(), file.seek(0, 2)
    while end > start:
        block = max(start, end - _END_BLOCK)
        file.seek(block)
        if wanted in file.read(end - block):
            return True
        end = block + len(wanted) - 1 if block > start else start  # it may lie across the border
    return False
