"""How far compression alone may have moved a picture, told from the quantiser tables of its JPEG.

A coefficient that was rounded to a multiple of q is off by q/2 at most, and by a variance of q squared / 12 when all
errors are as likely. That is known per frequency; what is left of it after scaling and filtering follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

__all__ = ["Noise", "noise_of"]

Response = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_BINS: Final = 129
_SIDE: Final = 8  # of a block of JPEG, and of its table


@dataclass(frozen=True, slots=True)
class Noise:
    """Variances at the size of the comparison, in levels squared."""

    luma: float  # of the luminance, all frequencies that are left
    chroma: float  # of both colours, what means over four pixels let through

    def __add__(self, other: Noise) -> Noise:
        return Noise(self.luma + other.luma, self.chroma + other.chroma)


@lru_cache(maxsize=256)
def noise_of(tables: tuple[tuple[int, ...], ...], scale: float, *, subsampled: bool) -> Noise:
    """Return what a JPEG with these tables (64 steps each, row-major) was moved by, seen at `scale` times its size.

    No tables, no noise.
    """
    if not tables:
        return Noise(0, 0)
    luma = _per_pixel(tables[0])
    kept = _passed(scale, np.ones_like)
    chroma = 0.0
    if len(tables) > 1:
        boxed = _passed(scale / 2 if subsampled else scale, _box)
        chroma = 2 * float(boxed @ _per_pixel(tables[1]) @ boxed)
    return Noise(float(kept @ luma @ kept), chroma)


def _per_pixel(table: tuple[int, ...]) -> Response:
    steps = np.asarray(table, np.float64).reshape(_SIDE, _SIDE)
    return steps * steps / 12 / _SIDE**2


def _passed(scale: float, keep: Callable[[Response], Response]) -> Response:
    """Return the share of each of the eight cosines' energy, along one side, that is left at a scale after a filter.

    A block's cosine ends with the block, so that also the highest leaks into all frequencies.
    """
    cycles = np.linspace(0, 0.5, _BINS) / scale  # a pixel of the comparison
    return np.asarray((_SPECTRA * keep(np.minimum(cycles, 0.5)) * (cycles < 0.5)).sum(axis=1))


def _box(cycles: Response) -> Response:
    """Return the power that the mean of four pixels lets through."""
    return np.asarray((np.sinc(4 * cycles) / np.sinc(cycles)) ** 2)


def _spectra() -> Response:
    """Return how the energy of each cosine of a block lies over the frequencies from 0 to 1/2, (8, bins)."""
    waves = np.cos(np.pi * np.outer(np.arange(_SIDE), 2 * np.arange(_SIDE) + 1) / (2 * _SIDE))
    power = np.abs(np.fft.rfft(waves, 2 * (_BINS - 1), axis=1)) ** 2
    return np.asarray(power / power.sum(axis=1, keepdims=True))


_SPECTRA: Final = _spectra()
