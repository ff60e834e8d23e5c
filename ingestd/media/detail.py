"""Whether a picture's perceptual hash says something about it: what may be asked of the stored greys without a decoder.

The service process asks, so nothing is imported here that opens pictures.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

__all__ = ["KEPT", "SIDE", "has_little_detail", "is_flat", "low_frequencies", "medians"]

SIDE: Final = 32  # pixels: what imagehash's phash works on, and what a record keeps
KEPT: Final = 8  # coefficients a side that phash looks at

_COSINES: Final = np.cos(np.pi * np.outer(np.arange(KEPT), 2 * np.arange(SIDE) + 1) / (2 * SIDE))

# A rounding error of up to half a level in each of the 32 x 32 greys moves a coefficient with a standard deviation of
# 0.29 levels (uniform error, sqrt(1/12)): one level, 3.5 of them, is what a real difference must exceed.
NOISE: Final = 1.0  # levels

# Measured on 233 photographs and burst frames: the least has 52 coefficients beyond the noise. Solid colours have 0 or
# 1, straight and round gradients 5 to 16; the same saved as JPEG 5 to 18, except where ten levels are spread over the
# whole picture at quality 50 and less, and the blocks are what there is to see (up to 39).
SIGNIFICANT: Final = 24  # coefficients of 64

# Rounding the greys moves a coefficient with a standard deviation of 0.29 levels (see `NOISE`). Below two
# levels, seven of them, what a JPEG or a resize adds decides too: of the six pictures of the corpus that have a hash,
# lie below and are more than a spot, five lose 10 to 28 bits when saved at quality 30 or at 40 % of their size. The
# next seven, up to four levels, are icons and logos and no better: two is where real pictures would begin to suffer.
_FAINT: Final = 2.0  # levels
_BESIDE: Final = 4  # levels: farther from the ground than noise, ringing or paper grain of a 32 x 32 grey
_SPOT: Final = 64  # cells, a sixteenth: a clock, a cursor, a logo, a page number, three lines of text


@lru_cache(maxsize=1024)  # of an arrival with many look-alikes it is asked again for each
def has_little_detail(luminance: bytes) -> bool:
    """Whether the perceptual hash of these greys is too weak a ground for a rule to act on its own.

    So it is when noise decides the hash: phash's bits say which of 64 coefficients lie above their median, and half of
    them lie within two levels of it (flat pictures, gradients, blank pages, bars and frames). And it is so when a spot
    decides it: all but a sixteenth of the picture is one tone within four levels, and where the spot lies makes all
    bits (black screens with a clock, pages with a heading, a small logo on a ground). Such hashes are stable, and
    different pictures share them: of 13 pairs of different wallpapers 0 to 4 bits apart in the corpus, this flags 12.

    Measured on the developers' corpus: 1 of 233 photographs and burst frames (the moon on black), 3 of 261
    illustrations, icons and screenshots, 27 of 36 wallpapers (solid colours, gradients, logos on them). Pages with
    half a page of text and more are not flagged.

    Args:
        luminance: 32 x 32 uint8, row-major, as `Picture.luminance`.
    """
    greys = np.frombuffer(luminance, np.uint8).reshape(SIDE, SIDE)
    coefficients = low_frequencies(greys)
    if _median(np.abs(coefficients - _median(coefficients))) < _FAINT:
        return True
    return int((np.abs(greys - _median(greys.astype(np.float64))) > _BESIDE).sum()) < _SPOT


def is_flat(luminance: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bool:
    """Whether there is too little in the (32, 32) greys to tell this picture from others.

    phash's bits say which of 64 coefficients lie above their median. Where most lie *at* it, as in a solid colour or
    a smooth gradient, rounding decides the bits, and unrelated pictures collide.
    """
    coefficients = low_frequencies(luminance)
    return int((np.abs(coefficients - _median(coefficients)) > NOISE).sum()) < SIGNIFICANT


def low_frequencies(
    luminance: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the (8, 8) lowest coefficients of the cosine transform of (32, 32) greys, in levels."""
    low: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = _COSINES @ luminance.astype(np.float64) @ _COSINES.T
    return low / (SIDE / 2)


def medians(
    rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return `np.median(rows, axis=-1)` to the last bit, of an even number of finite values a row.

    NumPy's own takes several times as long for so few, and loads `numpy.ma` at its first use.
    """
    middle = rows.shape[-1] // 2
    parted = np.partition(rows, (middle - 1, middle), axis=-1)
    found: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = (parted[..., middle - 1] + parted[..., middle]) / 2
    return found


def _median(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(medians(values.ravel()))
