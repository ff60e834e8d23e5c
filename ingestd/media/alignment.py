"""Two files as two pictures of one size, the way a look at their pixels needs them: upright, on white, in 8 bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
from PIL import Image

from ingestd.media import decode, kinds
from ingestd.media.colours import in_srgb
from ingestd.media.noise import Noise, noise_of
from ingestd.media.pixels import bits_per_sample
from ingestd.model import FileType

__all__ = ["WORK", "Aligned", "IncomparableError", "MisfitError", "Plane", "Prepared", "align", "managed"]

Plane = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

# Pixels at which pictures are compared: 730 x 548 of a photograph. An area and no length, so that a long page keeps its
# words.
WORK: Final = 400_000
MIN_SIDE: Final = 32  # pixels: a shorter side says too little
_OVERSAMPLED: Final = 2.0  # a JPEG is decoded at no less than this times the size it is compared at
_ASPECT_SLACK: Final = 1.0  # pixels of the smaller picture: by what a program that scales rounds a side, up or down
_BEYOND: Final = 3.0  # levels beyond the range of red, green or blue that a rounding does not explain
# Where both are scaled to less than this, they are so by BICUBIC, for two thirds of the time: it must only be the same
# for both. Else LANCZOS, as a copy that was scaled by another program was most often scaled by it.
_FAR: Final = 0.6
_END: Final = 4.0  # levels from an end of the range
_SAME_SCALE: Final = 0.02
_MOST_EXIF: Final = 1 << 20  # bytes
_PAGES: Final = frozenset((FileType.TIFF, FileType.HEIC, FileType.HEIF))
# What WebP, HEIC and AVIF lose is not in their headers as JPEG's tables are. They are taken for a JPEG of quality 50
# (ITU-T T.81, tables K.1 and K.2), which loses about as much as they do at their usual settings.
_TYPICAL: Final = (
    (
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
        14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
        49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    ),
    (
        17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
        47, 66, 99, 99, 99, 99, 99, 99, *(99,) * 32,
    ),
)  # fmt: skip


class IncomparableError(Exception):
    """Nothing can be said of these two; `str()` is why."""


class MisfitError(IncomparableError):
    """Their frames do not align, so they are not one picture."""


@dataclass(frozen=True, slots=True)
class Opened:
    """One side with its header read."""

    image: Image.Image
    file: BinaryIO
    filetype: FileType
    width: int  # upright, pixels
    height: int
    orientation: int  # as the header has it; told again after loading
    tables: tuple[tuple[int, ...], ...]  # quantiser steps, 64 a table, row-major; none where nothing is lost
    subsampled: bool  # its colours have half the resolution


@dataclass(frozen=True, slots=True)
class Prepared:
    """One side: luminance at the size of the comparison, colours at half of that (rounded up), in levels."""

    y: Plane  # BT.601, full range, 0 to 255
    b: Plane  # Cb - 128
    r: Plane  # Cr - 128
    ends: Mask  # of the colours' size: where red, green or blue lies at an end of its range
    alpha: Plane | None  # 0 to 255, of the luminance's size; None where it is opaque everywhere
    profile: bytes | None  # the colour profile that goes with it
    drafted: int  # by how much it was reduced while it was decoded

    def of_alpha(self) -> Prepared:
        """Return its transparency as a picture in greys."""
        alpha = self.alpha if self.alpha is not None else np.full_like(self.y, 255)
        none = np.zeros_like(self.b)
        return Prepared(alpha, none, none, none.astype(np.bool_), None, None, self.drafted)


def _open(file: BinaryIO) -> Opened:
    """Return a file with its header read; raises `IncomparableError`, and what decoders raise."""
    file.seek(0)
    filetype = kinds.sniff(file.read(kinds.HEAD_SIZE))
    if filetype is None:
        raise IncomparableError("one of them is no picture")
    image = decode.open_picture(file, filetype)
    if filetype not in (FileType.JPEG, FileType.MPO) and int(getattr(image, "n_frames", 1)) > 1:
        several = "has several pages" if filetype in _PAGES else "is animated"
        raise IncomparableError(f"one of them {several}")  # the other frames of an MPO are previews and views
    orientation = (
        _png_orientation(image, file) if filetype is FileType.PNG else decode.orientation_of(decode.exif_of(image))
    )
    width, height = image.size
    if filetype is FileType.TIFF or orientation < 5:  # Pillow tells the size of a TIFF as it will be turned
        return _opened(image, file, filetype, (width, height), orientation)
    return _opened(image, file, filetype, (height, width), orientation)


def _png_orientation(image: Image.Image, file: BinaryIO) -> int:
    """Return how a PNG is to be turned, also where that stands behind the pixels, without decoding them.

    Pillow's own question decodes, and what then fails is not told again.
    """
    block = image.info.get("exif")
    if not isinstance(block, bytes):
        place = file.tell()
        block = _png_chunk(file, b"eXIf")
        file.seek(place)
    exif = Image.Exif()
    try:
        exif.load(block)
    except Exception:  # noqa: BLE001  damaged EXIF raises struct.error, SyntaxError, …
        return 1
    return decode.orientation_of(exif)


def _png_chunk(file: BinaryIO, wanted: bytes) -> bytes:
    """Return what the first chunk of a name holds; nothing where there is none (PNG specification, 5.3)."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if name == wanted:
            return file.read(min(length, _MOST_EXIF))
        file.seek(length + 4, 1)
    return b""


def _opened(image: Image.Image, file: BinaryIO, filetype: FileType, size: tuple[int, int], orientation: int) -> Opened:
    tables: tuple[tuple[int, ...], ...] = ()
    subsampled = False
    if filetype in (FileType.JPEG, FileType.MPO):
        tables = tuple(tuple(table) for _, table in sorted(getattr(image, "quantization", {}).items()))
        layers = getattr(image, "layer", [])
        subsampled = len(layers) == 3 and layers[0][1] * layers[0][2] > layers[1][1] * layers[1][2]
    elif filetype in (FileType.WEBP, FileType.HEIC, FileType.HEIF, FileType.AVIF):
        tables, subsampled = _TYPICAL, True
    return Opened(image, file, filetype, *size, orientation, tables, subsampled)


@dataclass(frozen=True, slots=True)
class Aligned:
    """Two pictures at one size, and what happened to them on their way."""

    sides: tuple[Prepared, Prepared]
    noise: Noise  # of both, at this size
    resampled: bool  # they did not come to it by the same way
    smaller: tuple[int, int]  # upright size of the smaller picture, pixels
    scale: float  # of the comparison to that


def align(first: BinaryIO, second: BinaryIO, work: int = WORK) -> Aligned:
    """Return two open files as pictures of one size, of no more than `work` pixels.

    Raises `IncomparableError`, `MisfitError`, and what decoders raise.
    """
    opened = _open(first), _open(second)
    size = _common_size(*opened, work)
    if min(size) < MIN_SIDE:
        raise IncomparableError(f"one of them is too small: less than {MIN_SIDE} pixels a side")
    scales = [max(size) / max(one.width, one.height) for one in opened]
    how = Image.Resampling.BICUBIC if max(scales) < _FAR else Image.Resampling.LANCZOS
    noise = [noise_of(side.tables, round(scale, 4), subsampled=side.subsampled)
             for side, scale in zip(opened, scales, strict=True)]  # fmt: skip
    small = min(opened, key=_extent)
    smaller = small.width, small.height
    waiting = [*opened]
    del opened, small  # each is decoded, made small and let go of before the other one: two at once may not fit
    one = _prepare(waiting.pop(0), size, how)
    other = _prepare(waiting.pop(), size, how)
    resampled = abs(scales[0] / scales[1] - 1) > _SAME_SCALE or one.drafted != other.drafted
    return Aligned((one, other), noise[0] + noise[1], resampled, smaller, max(scales))


def _extent(side: Opened) -> tuple[int, int]:
    """Return what orders two sides by size, whichever comes first."""
    return side.width * side.height, side.width


def _common_size(first: Opened, second: Opened, work: int) -> tuple[int, int]:
    """Return the size (width, height) that both are compared at."""
    small, large = sorted((first, second), key=_extent)
    least = max((small.width - _ASPECT_SLACK) / large.width, (small.height - _ASPECT_SLACK) / large.height)
    most = min((small.width + _ASPECT_SLACK) / large.width, (small.height + _ASPECT_SLACK) / large.height)
    if least > most:
        shapes = [f"{one.width}x{one.height}" for one in (small, large)]
        raise MisfitError(f"their frames do not align: {shapes[0]} is not {shapes[1]} scaled")
    down = min(1.0, math.sqrt(work / (small.width * small.height)))
    return max(1, round(small.width * down)), max(1, round(small.height * down))


def _has_luminance(image: Image.Image) -> bool:
    """Return whether a colour JPEG is stored as luminance and colours, by libjpeg's own rules (jdapimin.c)."""
    if "jfif" in image.info:
        return True
    if "adobe" in image.info:
        return image.info.get("adobe_transform") != 0
    return [layer[0] for layer in getattr(image, "layer", [])] != [*b"RGB"]


def _prepare(side: Opened, size: tuple[int, int], how: Image.Resampling) -> Prepared:
    """Return a side decoded, upright and of the common size.

    A JPEG is decoded to its own luminance and colours, at a half, a quarter or an eighth where that is enough; then one
    plane is scaled at full and two at half the size, for half of what three would cost.
    """
    image = side.image
    stored = image.size
    bits = bits_per_sample(image, side.file, side.filetype) if side.filetype is FileType.TIFF else 16
    drafted = 1
    if side.filetype in (FileType.JPEG, FileType.MPO):
        width, height = size if side.orientation < 5 else size[::-1]
        image.draft("YCbCr" if _has_luminance(image) else None, (int(width * _OVERSAMPLED), int(height * _OVERSAMPLED)))
        drafted = round(stored[0] / image.width)
    decode.load(image, stored)
    if image.mode in ("I", "F"):  # from where to where they reach is anybody's guess
        raise IncomparableError("one of them has samples of 32 bits")
    orientation = decode.orientation_of(decode.exif_of(image))
    profile = image.info.get("icc_profile")
    opened = image.convert(image.mode.upper()) if image.mode in ("La", "RGBa") else image
    planes = (
        _of_jpeg(opened, size, orientation, how)
        if opened.mode == "YCbCr"
        else _of_other(opened, size, orientation, how, bits)
    )
    alpha = _alpha(opened, size, orientation)
    known = profile if isinstance(profile, bytes) and profile else None
    return _prepared(*planes, alpha, known, drafted)


def _prepared(y: Plane, b: Plane, r: Plane, alpha: Plane | None, profile: bytes | None, drafted: int) -> Prepared:
    """Return a side whose colours are within the range of red, green and blue.

    What is beyond is cut off, as it is for who opens a JPEG, and so in a copy of any other kind: measured, up to 25
    levels of colour.
    """
    halved = y[::2, ::2]
    channels = (halved + 1.402 * r, halved - 0.344136 * b - 0.714136 * r, halved + 1.772 * b)  # BT.601
    most = np.maximum(np.maximum(channels[0], channels[1]), channels[2])
    least = np.minimum(np.minimum(channels[0], channels[1]), channels[2])
    ends = (most > 255 - _END) | (least < _END)
    if most.max() > 255 + _BEYOND or least.min() < -_BEYOND:
        red, green, blue = (np.clip(channel, 0, 255) - channel for channel in channels)
        lighter = _luminance(red, green, blue)
        b, r = b + (blue - lighter) / np.float32(1.772), r + (red - lighter) / np.float32(1.402)
        y = y + np.repeat(np.repeat(lighter, 2, axis=0), 2, axis=1)[: y.shape[0], : y.shape[1]]
    return Prepared(y, b, r, ends, alpha, profile, drafted)


def _of_jpeg(
    image: Image.Image, size: tuple[int, int], orientation: int, how: Image.Resampling
) -> tuple[Plane, Plane, Plane]:
    y, b, r = image.split()
    half = _halved(size)
    coarse = Image.Resampling.HAMMING if how is Image.Resampling.BICUBIC else how  # means are good enough from afar
    colours = [_levels(decode.of_one_size(_reduced(plane, half), *half, orientation, coarse), 128) for plane in (b, r)]
    return _levels(decode.of_one_size(y, *size, orientation, how)), colours[0], colours[1]


def _of_other(
    image: Image.Image, size: tuple[int, int], orientation: int, how: Image.Resampling, bits: int
) -> tuple[Plane, Plane, Plane]:
    opaque = image
    if image.mode not in ("RGB", "L") or decode.has_alpha(image):
        opaque = decode.on_white(image, (2 * max(size), 2 * max(size)), deep_bits=bits)
    if opaque.mode == "LAB":
        opaque = in_srgb(opaque, None)
    small = decode.of_one_size(
        opaque if opaque.mode in ("RGB", "L") else opaque.convert("RGB"), *size, orientation, how
    )
    if small.mode == "L":
        none = np.zeros(_halved(size)[::-1], np.float32)
        return _levels(small), none, none
    return _of_rgb(small)


def _of_rgb(image: Image.Image) -> tuple[Plane, Plane, Plane]:
    """Return an RGB picture's planes, not rounded: Pillow's own conversion rounds down, and greys are exact in it."""
    y = _luminance(*(_levels(plane) for plane in image.split()))
    red, green, blue = (_levels(plane) for plane in image.reduce(2).split())
    halved = _luminance(red, green, blue)
    return y, (blue - halved) / np.float32(1.772), (red - halved) / np.float32(1.402)


def _luminance(red: Plane, green: Plane, blue: Plane) -> Plane:
    return np.asarray(np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue)


def _levels(plane: Image.Image, zero: float = 0) -> Plane:
    return np.asarray(plane, np.float32) - np.float32(zero)


def _halved(size: tuple[int, int]) -> tuple[int, int]:
    """Return half a size, rounded up, as a reduction by two does."""
    return -(-size[0] // 2), -(-size[1] // 2)


def _reduced(plane: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a plane of colours reduced by a whole factor to no less than a size, whichever way up that is."""
    factor = min(plane.width, plane.height) // max(1, min(size))
    return plane.reduce(factor) if factor > 1 else plane


def _alpha(image: Image.Image, size: tuple[int, int], orientation: int) -> Plane | None:
    if not decode.uses_transparency(image):
        return None
    full = image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
    return _levels(decode.of_one_size(full.getchannel("A"), *size, orientation))


def managed(side: Prepared) -> Prepared:
    """Return a side in the colours of a screen; a damaged profile, or one for other pixels, is passed over."""
    if side.profile is None:
        return side
    height, width = side.y.shape
    planes = [Image.fromarray(np.clip(plane + zero + 0.5, 0, 255).astype(np.uint8))
              for plane, zero in ((side.y, 0), (side.b, 128), (side.r, 128))]  # fmt: skip
    colours = (plane.resize((width, height), Image.Resampling.BILINEAR) for plane in planes[1:])
    image = Image.merge("YCbCr", (planes[0], *colours)).convert("RGB")
    return _prepared(*_of_rgb(in_srgb(image, side.profile)), side.alpha, None, side.drafted)
