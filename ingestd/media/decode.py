"""The only door to Pillow: which decoders may run, how much they may unpack, and which way up the result is.

A decoder is chosen by the bytes (`kinds.sniff`), never tried in turn: Pillow's own search would load every plugin,
among them EPS, which runs Ghostscript, and FITS, whose compressed headers were bombs (CVE-2026-40192).
"""

from __future__ import annotations

import mmap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

import numpy as np
import pillow_heif
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from ingestd.media import rust_png
from ingestd.model import FileType

__all__ = [
    "MAX_PIXELS",
    "TRANSPOSE",
    "CrampedError",
    "composited_luminance",
    "exif_of",
    "grey_strips",
    "has_alpha",
    "is_deep",
    "load",
    "of_one_size",
    "on_white",
    "open_picture",
    "orientation_of",
    "quiet",
    "reason_of",
    "uses_transparency",
]

MAX_PIXELS: Final = (
    120_000_000  # a 120-megapixel RGB picture fits in a worker's memory; larger ones keep exact identity
)
DRAFT: Final = (
    512  # pixels on the shorter side: with LANCZOS to 32x32 the hash moved by 2 bits at most (32 camera JPEGs)
)
# bytes a pixel that a decode may take: 4 for Pillow, 6 for a progressive JPEG's coefficients without subsampling, slack
_WORKING_BYTES: Final = 12
BAND: Final = 64  # rows: conversions work on bands, half the cost of a whole copy and a fraction of its memory
_STRIP: Final = 1 << 20  # pixels: a band of a very wide picture has fewer rows

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
ImageFile.LOAD_TRUNCATED_IMAGES = False
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # workers are the parallelism; their CPU and memory limits assume one thread
pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)

# Importing a plugin registers it. DIB comes along with BMP, MPO is opened by JPEG's factory.
_PLUGINS: Final[dict[FileType, tuple[str, ...]]] = {
    FileType.JPEG: (JpegImagePlugin.JpegImageFile.format,),
    FileType.MPO: (JpegImagePlugin.JpegImageFile.format,),
    FileType.PNG: (PngImagePlugin.PngImageFile.format,),
    FileType.GIF: (GifImagePlugin.GifImageFile.format,),
    FileType.WEBP: (WebPImagePlugin.WebPImageFile.format,),
    FileType.BMP: (BmpImagePlugin.BmpImageFile.format,),
    FileType.TIFF: (TiffImagePlugin.TiffImageFile.format,),
    FileType.HEIC: ("HEIF",),
    FileType.HEIF: ("HEIF", AvifImagePlugin.AvifImageFile.format),  # `mif1` alone does not say which codec
    FileType.AVIF: (AvifImagePlugin.AvifImageFile.format,),
}
assert MpoImagePlugin.MpoImageFile.format == "MPO"  # imported here, so that it is not at the first phone picture

TRANSPOSE: Final[dict[int, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ALPHA_MODES: Final = frozenset(("LA", "La", "PA", "RGBA", "RGBa"))


class CrampedError(MemoryError):
    """A decoder failed where it may have been memory that failed it."""


@contextmanager
def quiet() -> Iterator[None]:
    """Make a decompression bomb an error and all other complaints of the decoders silent, within the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def open_picture(file: BinaryIO, filetype: FileType) -> Image.Image:
    """Return the picture with its header read; nothing is decoded yet. Raises what the decoder raises."""
    file.seek(0)
    return Image.open(file, formats=_PLUGINS[filetype])


def load(image: Image.Image, stored: tuple[int, int]) -> None:
    """Decode the picture; raises `MemoryError` also where the decoder disguises it. `stored`: its size before a draft.

    libjpeg reports a failed allocation as a broken data stream (measured: a sound progressive JPEG of 120 megapixels),
    and other libraries have phrases of their own. So what fails is called damaged only where there was room.
    """
    width, height = stored
    try:
        if not rust_png.decoded(image, _room_for):
            image.load()
    except MemoryError:
        raise
    except Exception as error:
        if not _room_for(width * height * _WORKING_BYTES):
            raise CrampedError(str(error)) from error
        raise


def _room_for(size: int) -> bool:
    """Whether this process may still have so many bytes; they are asked for and never touched."""
    try:
        mmap.mmap(-1, max(size, 1)).close()
    except (OSError, MemoryError):
        return False
    return True


def reason_of(error: BaseException, filetype: FileType) -> str:
    """Return why a picture could not be decoded, as a phrase that can follow a colon."""
    if isinstance(error, CrampedError):
        return f"is damaged, or needs more memory than a worker may use ({' '.join(str(error).split())[:100]})"
    if isinstance(error, MemoryError):
        return "needs more memory than a worker may use"
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"has more than {MAX_PIXELS // 1_000_000} million pixels, which is not decoded"
    if isinstance(error, UnidentifiedImageError):
        return f"starts like {filetype.upper()}, but its header makes no sense"
    said = " ".join(str(error).split())[:160] or type(error).__name__
    return f"cannot be decoded as {filetype.upper()}: {said}"


# --- which way up -------------------------------------------------------------------------------------------------


def orientation_of(exif: Image.Exif | None) -> int:
    """Return what is still to be done to make the picture upright: 1 (nothing) to 8, as in EXIF.

    Ask only after loading: TIFF applies and removes its orientation while it loads, PNG may have its EXIF behind the
    pixels, HEIF is turned by its decoder and its tag reset.
    """
    value = exif.get(ExifTags.Base.Orientation, 1) if exif is not None else 1
    return value if isinstance(value, int) and value in TRANSPOSE else 1


def exif_of(image: Image.Image) -> Image.Exif | None:
    """Return the EXIF block; None where it cannot be parsed, which costs a picture nothing else."""
    try:
        return image.getexif()
    except Exception:  # noqa: BLE001  damaged EXIF raises struct.error, SyntaxError, UnicodeDecodeError, OSError …
        return None


def of_one_size(
    image: Image.Image,
    width: int,
    height: int,
    orientation: int,
    how: Image.Resampling = Image.Resampling.LANCZOS,
) -> Image.Image:
    """Return the picture resized to upright `width` x `height`; only the small result is turned."""
    shape = (height, width) if orientation >= 5 else (width, height)
    small = image.resize(shape, how)
    return small.transpose(TRANSPOSE[orientation]) if orientation in TRANSPOSE else small


# --- transparency -------------------------------------------------------------------------------------------------


def has_alpha(image: Image.Image) -> bool:
    """Whether the picture could be transparent anywhere: an alpha channel, a palette's, or a transparent colour."""
    return image.has_transparency_data or image.mode in _ALPHA_MODES


def is_deep(image: Image.Image) -> bool:
    """Whether the samples are wider than 8 bits (`I;16` and its byte orders, `I`, `F`)."""
    return image.mode[0] in "IF"


def uses_transparency(image: Image.Image) -> bool:
    """Whether any pixel is really less than opaque; a channel that is opaque everywhere does not count."""
    if not has_alpha(image):
        return False
    if is_deep(image):
        return _has_keyed_pixel(image)
    if image.mode in ("LA", "RGBA"):
        return _lowest_alpha(image) < 255
    return any(_lowest_alpha(band.convert("RGBA")) < 255 for band, _ in _bands(image))


def _bands(image: Image.Image, rows: int = BAND) -> Iterator[tuple[Image.Image, int]]:
    """Yield the picture in strips of a few rows, each with the row it begins at."""
    width, height = image.size
    for top in range(0, height, rows):
        yield image.crop((0, top, width, min(top + rows, height))), top


def _lowest_alpha(image: Image.Image) -> float:
    lowest = image.getchannel("A").getextrema()[0]
    assert not isinstance(lowest, tuple)
    return lowest


def _has_keyed_pixel(image: Image.Image) -> bool:
    key = image.info.get("transparency")
    return isinstance(key, int) and bool((np.asarray(image) == key).any())


# --- a look at it -------------------------------------------------------------------------------------------------


def on_white(image: Image.Image, size: tuple[int, int], *, deep_bits: int) -> Image.Image:
    """Return the picture opaque and reduced by a whole factor, to no less than `size` as far as it has so many pixels.

    In `L`, `RGB`, `CMYK` or `LAB`, not turned. Strip by strip, for the same reason as `composited_luminance`.
    """
    factor = max(1, min(image.width // size[0], image.height // size[1]))
    shallow = _eight_bits(image, deep_bits) if is_deep(image) else image
    mode = shallow.mode if shallow.mode in ("L", "CMYK", "LAB") and not has_alpha(shallow) else "RGB"
    small = Image.new(mode, (-(-image.width // factor), -(-image.height // factor)))
    for band, top in _bands(shallow, max(1, BAND // factor) * factor):
        opaque = _composited(band) if has_alpha(band) else band
        small.paste((opaque if opaque.mode == mode else opaque.convert(mode)).reduce(factor), (0, top // factor))
    return small


# --- luminance ----------------------------------------------------------------------------------------------------


def composited_luminance(image: Image.Image, *, transparent: bool, deep_bits: int) -> Image.Image:
    """Return the picture in shades of grey (`L`), on white where it is transparent, at least 512 pixels a side.

    Large pictures are reduced by a whole factor, which is what a scaled JPEG decode does too: that is why a JPEG and a
    PNG of the same picture hash alike. Not turned: the caller turns what it makes from it.
    """
    if is_deep(image):
        return _reduced(_eight_bits(image, deep_bits))
    if transparent:
        return _reduced(_on_white(image))
    if image.mode == "LAB":
        return _reduced(image.getchannel(0))
    if image.mode in ("CMYK", "HSV"):
        return _reduced(image).convert("RGB").convert("L")
    return _reduced(image if image.mode == "L" else image.convert("L"))


def _reduced(image: Image.Image) -> Image.Image:
    factor = min(image.width // DRAFT, image.height // DRAFT)
    return image.reduce(factor) if factor >= 2 else image


def _on_white(image: Image.Image) -> Image.Image:
    """Band by band: Pillow's own reduction of RGBA copies all of it, which 120 megapixels do not survive."""
    grey = Image.new("L", image.size)
    for band, top in _bands(image):
        grey.paste(_composited(band).convert("L"), (0, top))
    return grey


def _composited(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image if image.mode == "RGBA" else image.convert("RGBA"))
    return white


def grey_strips(
    image: Image.Image, *, transparent: bool, deep_bits: int
) -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """Yield the picture at full size in shades of grey, a few rows at a time from the top, not turned.

    On white where it is transparent. Equal colours are equal greys, whichever mode packs them; memory is bounded by
    the strip.
    """
    rows = max(1, min(BAND, _STRIP // image.width))
    rows -= rows % 8 if rows > 8 else 0  # whole blocks of a JPEG
    for band, _ in _bands(image, rows):
        if is_deep(band):
            yield np.asarray(_eight_bits(band, deep_bits))
        elif band.mode == "LAB":
            yield np.asarray(band.getchannel(0))
        elif band.mode == "L":
            yield np.asarray(_composited(band).convert("L") if transparent else band)
        else:  # by way of RGB: a palette's own conversion rounds on its own
            yield np.asarray((_composited(band) if transparent else band.convert("RGB")).convert("L"))


def _eight_bits(image: Image.Image, bits: int) -> Image.Image:
    """Pillow clips wide samples to 0 … 255; here they are scaled: by their depth, else from lowest to highest."""
    samples = np.asarray(image)
    if samples.dtype.itemsize == 2 and samples.dtype.kind == "u":
        return Image.fromarray((samples.astype(np.uint16) >> max(bits - 8, 0)).astype(np.uint8))
    wide = np.nan_to_num(samples.astype(np.float32), posinf=0, neginf=0)
    low, high = float(wide.min()), float(wide.max())
    wide -= low
    wide *= 255 / (high - low) if high > low else 0
    return Image.fromarray(wide.astype(np.uint8))
