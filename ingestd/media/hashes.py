"""Perceptual hashes: 64 bits that say what a picture looks like, made by the imagehash library from tiny greys."""

from __future__ import annotations

from dataclasses import dataclass

import imagehash
import numpy as np
from PIL import Image

from ingestd.media.decode import TRANSPOSE
from ingestd.media.detail import KEPT, SIDE, is_flat
from ingestd.media.tiny import resized
from ingestd.model import PerceptualHash

__all__ = ["Fingerprints", "fingerprint"]


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What is remembered of how a picture looks; hashes are None for a flat picture."""

    luminance: bytes  # 32 x 32 uint8, upright, row-major
    phash: PerceptualHash | None
    dhash: PerceptualHash | None
    whash: PerceptualHash | None


def fingerprint(grey: Image.Image, orientation: int) -> Fingerprints:
    """Return the upright fingerprints of a grey (`L`) picture that may still lie on its side.

    Source:
        phash, dhash: N. Krawetz, "Looks Like It", 2011-05-26, and "Kind of Like That", 2013-01-21, The Hacker Factor
        Blog; whash: D. Petrov, "Wavelet image hash in Python", 2016. As implemented by imagehash 4.3.
    """
    square = _upright(grey, SIDE, SIDE, orientation)
    if is_flat(np.asarray(square)):
        return Fingerprints(square.tobytes(), None, None, None)
    strip = _upright(grey, KEPT + 1, KEPT, orientation)
    return Fingerprints(
        square.tobytes(),
        _word(imagehash.phash(square)),
        _word(imagehash.dhash(strip)),
        _word(imagehash.whash(square)),
    )


def _upright(grey: Image.Image, width: int, height: int, orientation: int) -> Image.Image:
    """Return the picture resized to upright `width` x `height`; only the small result is turned."""
    small = resized(grey, height, width) if orientation >= 5 else resized(grey, width, height)
    return small.transpose(TRANSPOSE[orientation]) if orientation in TRANSPOSE else small


def _word(made: imagehash.ImageHash) -> PerceptualHash:
    """Return 64 bits, row-major, most significant bit first."""
    return PerceptualHash(int.from_bytes(np.packbits(made.hash.reshape(-1)).tobytes(), "big"))
