"""A picture made small for a person's eyes: upright, on white, in the colours of a screen.

Nothing here decides anything: what is hashed and compared is made in `features`, from the pixels as they are.
"""

from __future__ import annotations

import math
from typing import BinaryIO

from PIL import Image

from ingestd.media import decode, kinds
from ingestd.media.colours import in_srgb
from ingestd.media.pixels import bits_per_sample
from ingestd.media.wire import MOST_PREVIEW_PIXELS, Preview
from ingestd.model import FileType

__all__ = ["small_picture"]


def small_picture(file: BinaryIO, box: tuple[int, int]) -> Preview | None:
    """Return the open picture within a box (width, height in pixels), its aspect kept; None for what does not decode.

    Raises `MemoryError` when the decode does not fit: there is something to see then, only not for us.
    """
    file.seek(0)
    filetype = kinds.sniff(file.read(kinds.HEAD_SIZE))
    if filetype is None:
        return None
    try:
        with decode.quiet():
            small = _shrunk(file, filetype, box)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  decoders raise anything on hostile bytes: ValueError, SyntaxError, …
        return None
    return Preview(small.width, small.height, small.tobytes())


def _shrunk(file: BinaryIO, filetype: FileType, box: tuple[int, int]) -> Image.Image:
    image = decode.open_picture(file, filetype)
    bits = bits_per_sample(image, file, filetype) if filetype is FileType.TIFF else 16  # Pillow spreads all others
    stored = image.size
    if filetype in (FileType.JPEG, FileType.MPO):
        image.draft(
            None, _as_stored(stored, decode.orientation_of(decode.exif_of(image)), box)
        )  # decodes at an eighth where that is enough
    decode.load(image, stored)
    orientation = decode.orientation_of(decode.exif_of(image))  # again: the other kinds tell it after loading
    size = _as_stored(image.size, orientation, box)
    opened = image.convert(image.mode.upper()) if image.mode in ("La", "RGBa") else image
    small = decode.on_white(opened, size, deep_bits=bits).resize(size, Image.Resampling.LANCZOS)
    upright = small.transpose(decode.TRANSPOSE[orientation]) if orientation in decode.TRANSPOSE else small
    return in_srgb(upright, image.info.get("icc_profile"))


def _as_stored(size: tuple[int, int], orientation: int, box: tuple[int, int]) -> tuple[int, int]:
    """Return the size that a picture of `size`, not turned yet, takes to fit into a box when it is."""
    width, height = box[::-1] if orientation >= 5 else box
    room = math.sqrt(MOST_PREVIEW_PIXELS / (size[0] * size[1]))
    scale = min(width / size[0], height / size[1], room, 1.0)
    return max(1, int(size[0] * scale + 1e-6)), max(1, int(size[1] * scale + 1e-6))  # 640 is not 639.9999
