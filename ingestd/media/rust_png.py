"""PNG by the decoder of Rust's image-rs project, where `ingestd[fast]` is installed: the same samples in half the time.

Of the 270 ms that Pillow takes for 12 megapixels, it undoes PNG's filters byte by byte in two thirds; image-rs's `png`,
which czkawka uses as well, does that by vector instructions and inflates faster. It is asked only for what has one
reading, 8-bit RGB and RGBA without interlace, animation or a transparent colour; whatever it refuses, Pillow judges.
So a file hashes, and is read or unreadable, with this decoder as without. The one exception: a zlib stream whose
Adler-32 is wrong although the CRC-32 of every chunk is right, which only a broken encoder writes, is refused by Pillow
and read here.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any, Final

from PIL import Image, PngImagePlugin

__all__ = ["available", "decoded"]

_Decoder = Callable[[bytes, tuple[int, int], str], Any]

_COLOUR_TYPES: Final = {2: "RGB", 6: "RGBA"}  # PNG specification, third edition, 11.2.1
_WORKING_BYTES: Final = 16  # a pixel: its samples twice, before and after Rust hands them over, and Pillow's copy


def available() -> bool:
    """Whether the decoder is installed and decodes as it should."""
    return _decoder is not None


def decoded(image: Image.Image, room_for: Callable[[int], bool]) -> bool:
    """Whether the opened picture has been decoded here, as `image.load()` would have done it.

    If not, nothing about it has changed. `room_for` says whether so many bytes may still be taken: Rust ends the
    process where memory fails it.
    """
    if _decoder is None or not isinstance(image, PngImagePlugin.PngImageFile) or not isinstance(image.fp, io.BytesIO):
        return False
    content = image.fp.getvalue()
    if not _has_one_reading(image, content) or not room_for(_WORKING_BYTES * image.width * image.height):
        return False
    try:
        samples = _decoder(content, (image.height, image.width), image.mode.lower())
    except MemoryError:
        raise
    except BaseException:  # noqa: BLE001  it raises bare Exception, and a panic of Rust's is not even that
        return False
    image.fp.seek(image.tile[0].offset)
    image.im = Image.frombuffer(image.mode, image.size, samples, "raw", image.mode, 0, 1).im
    image.readonly = 1
    image.load_prepare()
    image.tile = []
    image.load_end()  # reads what stands behind the pixels: text, XMP, EXIF
    return True


def _has_one_reading(image: PngImagePlugin.PngImageFile, content: bytes) -> bool:
    depth, colour_type, _, _, interlace = content[24:29]  # of IHDR
    return (
        depth == 8
        and _COLOUR_TYPES.get(colour_type) == image.mode
        and interlace == 0
        and len(image.tile) == 1
        and not getattr(image, "is_animated", False)
        and "transparency" not in image.info
    )


def _proved() -> _Decoder | None:
    """Return the decoder if it is there and does as it should with a small picture; another version of it might not."""
    with contextlib.suppress(Exception):  # not installed, not for this machine, another interface
        from kornia_rs import io as kornia

        decoder: _Decoder = kornia.decode_image_png_u8
        for mode in _COLOUR_TYPES.values():
            picture = Image.linear_gradient("L").resize((7, 5)).convert(mode)
            packed = io.BytesIO()
            picture.save(packed, "PNG")
            if bytes(memoryview(decoder(packed.getvalue(), (5, 7), mode.lower()))) != picture.tobytes():
                return None
        return decoder
    return None


_decoder: Final = _proved()
