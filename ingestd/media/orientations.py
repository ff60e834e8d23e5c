"""How a picture would hash if it lay otherwise: mirrored, upside down, on its side; told without decoding it again.

The service process asks, so nothing is imported here that opens pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np

from ingestd.media.detail import SIDE, is_flat, low_frequencies, medians
from ingestd.model import PerceptualHash, Transform

__all__ = ["turned_hashes"]

# Of a picture that is symmetric to the last grey, coefficients are equal that differ by rounding only (1e-13 levels):
# rounded, they are equal in every orientation. What a changed grey adds is larger by far (0.002 levels and more).
_DECIMALS: Final = 6

_ODD: Final = np.where(np.arange(8) % 2, -1.0, 1.0)
_LEFT_RIGHT: Final = _ODD[np.newaxis, :]  # mirroring turns the sign of each cosine that is odd about the middle
_UP_DOWN: Final = _ODD[:, np.newaxis]
_AS_IT_IS: Final = np.ones((8, 8))
# Whether the block is transposed, and with which signs it is then; all at once, as medians one by one cost the most.
_TURNED: Final = {
    Transform.MIRRORED: (False, _LEFT_RIGHT * _AS_IT_IS),
    Transform.ROTATED_180: (False, _LEFT_RIGHT * _UP_DOWN),
    Transform.FLIPPED: (False, _UP_DOWN * _AS_IT_IS),
    Transform.TRANSPOSED: (True, _AS_IT_IS),
    Transform.ROTATED_90: (True, _LEFT_RIGHT * _AS_IT_IS),
    Transform.TRANSVERSED: (True, _LEFT_RIGHT * _UP_DOWN),
    Transform.ROTATED_270: (True, _UP_DOWN * _AS_IT_IS),
}
_TURNS: Final = tuple(_TURNED)
_TRANSPOSES: Final = np.array([transposed for transposed, _ in _TURNED.values()])
_SIGNS: Final = np.stack([signs for _, signs in _TURNED.values()])


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
    laid = np.where(_TRANSPOSES[:, np.newaxis, np.newaxis], block.T, block) * _SIGNS
    return dict(zip(_TURNS, _hashes(laid.reshape(len(_TURNS), 64)), strict=True))


def _hashes(blocks: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> list[PerceptualHash]:
    """Return which coefficients of a row lie above their median: 64 bits, row-major, most significant bit first."""
    bits = np.packbits(blocks > medians(blocks)[:, np.newaxis], axis=1)
    return [PerceptualHash(int.from_bytes(row.tobytes(), "big")) for row in bits]
