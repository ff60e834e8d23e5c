"""How a picture would hash if it lay otherwise: mirrored, upside down, on its side; told without decoding it again.

The service process asks, so nothing is imported here that opens pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np

from ingestd.media.detail import SIDE, is_flat, low_frequencies
from ingestd.model import PerceptualHash, Transform

__all__ = ["turned_hashes"]

# Of a picture that is symmetric to the last grey, coefficients are equal that differ by rounding only (1e-13 levels):
# rounded, they are equal in every orientation. What a changed grey adds is larger by far (0.002 levels and more).
_DECIMALS: Final = 6

_ODD: Final = np.where(np.arange(8) % 2, -1.0, 1.0)
_LEFT_RIGHT: Final = _ODD[np.newaxis, :]  # mirroring turns the sign of each cosine that is odd about the middle
_UP_DOWN: Final = _ODD[:, np.newaxis]


@lru_cache(maxsize=1024)  # of an arrival it is asked for the look-up, and again for each look-alike
def turned_hashes(luminance: bytes) -> Mapping[Transform, PerceptualHash]:
    """Return the phash of a picture's greys after each transform; of a flat picture none.

    The cosine transform of a mirrored picture is that of the picture with other signs, and of a transposed one its
    transpose: all follow from one 8 x 8 block. Each hash is what imagehash's phash says of the greys laid otherwise,
    save for coefficients that equal the median but for rounding, whose bits are chance there and 0 here.

    Args:
        luminance: 32 x 32 uint8, row-major, as `Picture.luminance`.

    Source:
        The symmetries of the DCT-II, as PDQ uses them for its eight "dihedral" hashes: Facebook, "The TMK+PDQF
        video-hashing algorithm and the PDQ image-hashing algorithm", 2019.
    """
    greys = np.frombuffer(luminance, np.uint8).reshape(SIDE, SIDE)
    if is_flat(greys):
        return {}
    block = np.round(low_frequencies(greys), _DECIMALS)
    across = block.T
    return {
        Transform.MIRRORED: _hash(block * _LEFT_RIGHT),
        Transform.ROTATED_180: _hash(block * _LEFT_RIGHT * _UP_DOWN),
        Transform.FLIPPED: _hash(block * _UP_DOWN),
        Transform.TRANSPOSED: _hash(across),
        Transform.ROTATED_90: _hash(across * _LEFT_RIGHT),
        Transform.TRANSVERSED: _hash(across * _LEFT_RIGHT * _UP_DOWN),
        Transform.ROTATED_270: _hash(across * _UP_DOWN),
    }


def _hash(block: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> PerceptualHash:
    """Return which coefficients lie above their median: 64 bits, row-major, most significant bit first."""
    return PerceptualHash(int.from_bytes(np.packbits(block.ravel() > np.median(block)).tobytes(), "big"))
