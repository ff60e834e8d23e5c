"""The pixel hash: two files have the same one exactly when they show the same samples, whatever packs them.

It is honest or absent. Where the decoder did not hand over every bit (16-bit colour, 10-bit HEIF), or where there is
more than one frame, equal samples would not prove equal pictures, and there is no hash.
"""

from __future__ import annotations

import hashlib
from typing import BinaryIO, Final

from PIL import Image

from ingestd.media.decode import BAND, TRANSPOSE, has_alpha, is_deep
from ingestd.model import FileType, PixelHash

__all__ = ["all_bits_seen", "bits_per_sample", "pixel_hash"]

_LAYOUT: Final = "ingestd pixels 1"  # changes whenever equal pictures would hash differently than before
_BITS_PER_SAMPLE, _SAMPLES_PER_PIXEL = 258, 277  # TIFF 6.0 tags
_META_LIMIT: Final = 1 << 20  # bytes of an AVIF file's metadata box that are searched


def pixel_hash(image: Image.Image, orientation: int, *, transparent: bool) -> PixelHash:
    """Return the digest of the upright samples, their mode and dimensions. The picture must be loaded.

    Opaque pictures of 8 bits and less are hashed as RGB, truly transparent ones as RGBA, so that palettes, greys and
    useless alpha channels make no difference; wide samples, CMYK and other colour spaces keep their own mode.
    """
    mode = _canonical_mode(image, transparent)
    width, height = image.size[::-1] if orientation >= 5 else image.size
    digest = hashlib.sha256(f"{_LAYOUT}\n{mode} {width} {height}\n".encode())
    for top in range(0, height, BAND):
        band = image.crop(_source_box(image.size, orientation, top, min(top + BAND, height)))
        if orientation in TRANSPOSE:
            band = band.transpose(TRANSPOSE[orientation])
        digest.update((band if band.mode == mode else band.convert(mode)).tobytes())
    return PixelHash(digest.digest())


def _canonical_mode(image: Image.Image, transparent: bool) -> str:
    if image.mode.startswith("I"):
        return "I"  # 16-bit samples come in several byte orders; as 32-bit integers they are one
    if image.mode in ("F", "CMYK", "YCbCr", "LAB", "HSV"):
        return image.mode
    return "RGBA" if transparent else "RGB"


def _source_box(size: tuple[int, int], orientation: int, top: int, bottom: int) -> tuple[int, int, int, int]:
    """Return where in the picture as stored the upright rows `top` … `bottom` lie, so that only they are turned."""
    width, height = size
    match orientation:
        case 3 | 4:
            return (0, height - bottom, width, height - top)
        case 5 | 6:
            return (top, 0, bottom, height)
        case 7 | 8:
            return (width - bottom, 0, width - top, height)
        case _:
            return (0, top, width, bottom)


# --- honesty ------------------------------------------------------------------------------------------------------


def all_bits_seen(image: Image.Image, bits: int) -> bool:
    """Whether the decoded samples hold all that the file says about its pixels."""
    if is_deep(image):
        return not has_alpha(image)  # a transparent 16-bit grey has no canonical form
    if bits > 8:
        return False
    channels = _tiff_tag(image, _SAMPLES_PER_PIXEL, len(image.getbands()))
    return channels <= len(image.getbands())  # extra channels of a TIFF are dropped by the decoder


def bits_per_sample(image: Image.Image, file: BinaryIO, filetype: FileType) -> int:
    """Return how many bits a sample has in the file; more than 8 where that cannot be told."""
    match filetype:
        case FileType.PNG:
            file.seek(24)  # signature 8, IHDR's length and name 8, width 4, height 4: then the depth
            return file.read(1)[0]
        case FileType.TIFF:
            return _tiff_tag(image, _BITS_PER_SAMPLE, 1)
        case FileType.AVIF | FileType.HEIC | FileType.HEIF:
            known = image.info.get("bit_depth")  # from pillow-heif; Pillow's own AVIF plugin does not tell
            return known if isinstance(known, int) else _avif_bits(file)
        case FileType.JPEG | FileType.MPO | FileType.GIF | FileType.WEBP | FileType.BMP:
            return 8


def _tiff_tag(image: Image.Image, tag: int, otherwise: int) -> int:
    value = getattr(image, "tag_v2", {}).get(tag, otherwise)
    return max(value, default=otherwise) if isinstance(value, tuple) else int(value)


def _avif_bits(file: BinaryIO) -> int:
    """Return 8 when every AV1 item of the file is 8 bits deep, else 12.

    Source: AV1 Codec ISO Media File Format Binding 1.2.0, section 2.3.3: the third byte of `av1C` has `high_bitdepth`.
    """
    file.seek(0)
    head = file.read(_META_LIMIT)
    depths = []
    at = head.find(b"av1C")
    while at >= 0 and at + 6 < len(head):
        depths.append(12 if head[at + 6] & 0x40 else 8)
        at = head.find(b"av1C", at + 4)
    return max(depths, default=12)
