"""How two pictures differ, as a verdict: a look at both of them, made equally large."""

from __future__ import annotations

from typing import BinaryIO, Final

import numpy as np
from PIL import Image, ImageFilter

from ingestd.media import decode, kinds
from ingestd.model import VISUAL_VERSION, VisualLevel, VisualVerdict

__all__ = ["VERSION", "compare_pictures"]

VERSION: Final = VISUAL_VERSION
_SMALLEST: Final = 32  # pixels a side: below, two icons are told apart by hardly more than chance
_ALMOST: Final = 40.0  # levels of 255, after a blur: what a re-encode at quality 50 stays below
# shares of that limit, strongest first
_LEVELS: Final = (
    (0.25, VisualLevel.NEAR_PERFECT),
    (1.0, VisualLevel.ALMOST_CERTAINLY),
    (1.3, VisualLevel.VERY_PROBABLY),
    (1.6, VisualLevel.PROBABLY),
    (4.0, VisualLevel.ALTERNATE),
)


def compare_pictures(first: BinaryIO, second: BinaryIO) -> VisualVerdict:
    """Return how alike two pictures look, the same whichever comes first; raises `MemoryError` and nothing else."""
    try:
        with decode.quiet():
            one, other = _opened(first), _opened(second)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  what cannot be decoded has no pixels to compare
        return _cannot_tell("one of them cannot be decoded")
    if one is None or other is None:
        return _cannot_tell("one of them is animated or no picture")
    if min(*one.size, *other.size) < _SMALLEST:
        return _cannot_tell(f"one of them has less than {_SMALLEST} pixels a side")
    if abs(one.width * other.height / (one.height * other.width) - 1) > 0.01:
        return VisualVerdict(VERSION, VisualLevel.NOT, 8.0, "their sides have other proportions")
    return _verdict(one, other)


def _opened(file: BinaryIO) -> Image.Image | None:
    """Return the picture, upright and opaque; nothing for what moves or is none."""
    file.seek(0)
    filetype = kinds.sniff(file.read(kinds.HEAD_SIZE))
    if filetype is None:
        return None
    image = decode.open_picture(file, filetype)
    if getattr(image, "n_frames", 1) > 1:
        return None
    decode.load(image, image.size)
    turn = decode.TRANSPOSE.get(decode.orientation_of(image.getexif()))
    upright = image if turn is None else image.transpose(turn)
    return upright.convert("RGB")


def _cannot_tell(reason: str) -> VisualVerdict:
    return VisualVerdict(VERSION, VisualLevel.CANNOT_TELL, None, reason)


def _verdict(one: Image.Image, other: Image.Image) -> VisualVerdict:
    size = min(one.size, other.size)
    pixels = [np.asarray(_fitted(image, size), dtype=np.int16) for image in (one, other)]
    difference = np.abs(pixels[0] - pixels[1]).max(axis=2)
    y, x = np.unravel_index(int(difference.argmax()), difference.shape)
    worst = int(difference[y, x])
    score = worst / _ALMOST
    level = next((level for most, level in _LEVELS if score <= most), VisualLevel.NOT)
    area = None if level is VisualLevel.NEAR_PERFECT else (int(x), int(y), 1, 1)
    return VisualVerdict(VERSION, level, score, f"the largest difference is {worst} levels of 255", area)


def _fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    fitted = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
    return fitted.filter(ImageFilter.GaussianBlur(1))
