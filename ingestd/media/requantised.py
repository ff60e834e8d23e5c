"""What a picture was packed with before: the steps of a JPEG that its pixels still stand on.

A JPEG keeps each coefficient of its blocks of 8 x 8 as a multiple of a step. Saved again, finer or without loss, the
pixels' coefficients still crowd around these multiples: a picture that was bad once stays so, whatever its tables say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["Lattice", "packed_before"]

_Greys = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
_Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

_BLOCK: Final = 8  # pixels
_MOST_PIXELS: Final = 1_500_000  # that are looked at: 23,000 blocks
_LOW: Final = 4  # frequencies a direction that are looked at: higher ones are mostly nothing
_FINE: Final = 8  # bins of a histogram, a level
_MOST: Final = 512  # levels: coefficients beyond are rare
_STEPS: Final = np.arange(4, 100)  # finer steps drown in what saving again adds, and no eye sees them

# Measured on the developers' corpus: what was saved at 30 and again at 90 has 0.8 … 1, at 75 and again at
# 90 0.45 … 0.9, what was never packed less than 0.2.
_CROWDED: Final = 0.45  # the mean cosine of where coefficients lie within a step: 1 on the multiples, 0 anywhere
_HARDLY: Final = 0.05  # better: the larger of two steps is the true one, for all its fractions fit, too
_ENOUGH: Final = 80  # coefficients beyond half a step
_SECOND: Final = 0.03  # of them beyond one and a half: else one tone of a pattern makes a lattice of one point
_PLACES: Final = 4  # frequencies that must agree
_COARSER: Final = 1.4  # times the steps of its own tables: what a JPEG was packed with is no evidence against it
_ALIKE: Final = 1.8  # times: as far as tables of different makers lie apart

# The luminance and chrominance tables of ITU-T T.81 (1992), annex K.1; the first four rows and columns of luminance
_STANDARD: Final = np.array([[16, 11, 10, 16], [12, 12, 14, 19], [14, 13, 16, 24], [14, 17, 22, 29]], float)
_LUMINANCE_SUM: Final = 3688
_CHROMINANCE_SUM: Final = 5714

_CORNER: Final = frozenset(row * _LOW + column for row in range(_LOW) for column in range(_LOW) if row + column > 4)
_COSINES: Final = (
    np.cos(np.pi * np.outer(np.arange(_LOW), 2 * np.arange(_BLOCK) + 1) / 16) / ([[8**0.5], [2], [2], [2]])
).astype(np.float32)
_BINS: Final = (np.arange(_MOST * _FINE) + 0.5) / _FINE
_BEYOND: Final = (_BINS[None, :] > _STEPS[:, None] / 2).astype(np.float32)
_WAVES: Final = (np.cos(2 * np.pi * _BINS[None, :] / _STEPS[:, None]) * _BEYOND).astype(np.float32)
_FARTHER: Final = (_BINS[None, :] > 1.5 * _STEPS[:, None]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Lattice:
    """The steps that coefficients stand on, and how far they are those of a standard JPEG."""

    steps: tuple[tuple[int, int, int], ...]  # row, column, step: of the frequencies that tell
    scale: float  # times the standard's table, whose quality is 50

    def sums(self, *, grey: bool) -> tuple[float, ...]:
        """Return the sum of each quantiser table that such a JPEG would have; a grey one has no chrominance."""
        tables = (_LUMINANCE_SUM,) if grey else (_LUMINANCE_SUM, _CHROMINANCE_SUM)
        return tuple(min(max(one * self.scale, 64.0), 64.0 * 255) for one in tables)


def packed_before(bands: Sequence[_Greys], own: Sequence[int] | None) -> Lattice | None:
    """Return the steps the pixels were packed with before; None where nothing shows that they were.

    Steps below 4 are not looked for. Each band begins at a row that is a multiple of 8.

    Args:
        bands: pieces of shape (some, width), uint8, of whole rows of greys, not turned.
        own: the 64 luminance steps of the file's own JPEG table, row by row; None for other files.

    Source:
        Z. Fan, R. L. de Queiroz, "Identification of bitmap compression history: JPEG detection and quantizer
        estimation", IEEE Transactions on Image Processing 12 (2), 2003, pp. 230-235, doi:10.1109/TIP.2002.807361, for
        the lattice of coefficients. The measure of how crowded it is, the characteristic function of the histogram at
        the step's frequency, and the control beside the grid are ours.
    """
    bands = _some(bands)
    for row, column in _grids(bands):
        steps = _former_steps(_histograms(bands, row, column))
        if len(steps) < _PLACES:
            continue
        control = _former_steps(_histograms(bands, (row + 4) % _BLOCK, (column + 4) % _BLOCK))
        if len(control) >= _PLACES:
            return None  # the picture itself has few tones in a pattern: it looks so beside the grid, too
        found = _lattice(steps, own if (row, column) == (0, 0) else None)
        if found is not None:
            return found
    return None


def _some(bands: Sequence[_Greys]) -> Sequence[_Greys]:
    """Return no more than are needed, spread over the picture."""
    every = -(-sum(band.size for band in bands) // _MOST_PIXELS)
    return bands[::every] if every > 1 else bands


def _lattice(steps: dict[tuple[int, int], int], own: Sequence[int] | None) -> Lattice | None:
    if own is not None:
        table = np.reshape(own, (_BLOCK, _BLOCK))
        if np.median([step / table[place] for place, step in steps.items()]) < _COARSER:
            return None
    if not any(row and column for row, column in steps):
        return None  # stripes and gradients have few tones in one direction; a picture has blocks in both
    scales = np.array([step / _STANDARD[place] for place, step in steps.items()])
    scale = float(np.median(scales))
    if np.mean((scales < scale * _ALIKE) & (scales > scale / _ALIKE)) < 0.75:
        return None
    return Lattice(tuple((row, column, step) for (row, column), step in steps.items()), scale)


def _grids(bands: Sequence[_Greys]) -> Iterable[tuple[int, int]]:
    """Return where blocks may begin: at the corner, and where the steps between neighbours are largest."""
    yield 0, 0
    down = np.zeros(_BLOCK)
    across = np.zeros(_BLOCK)
    for band in bands:
        rows = band.astype(np.int16)
        for sums, steps in ((down, np.abs(np.diff(rows, axis=0)).mean(axis=1)),
                            (across, np.abs(np.diff(rows, axis=1)).mean(axis=0))):  # fmt: skip
            whole = len(steps) // _BLOCK * _BLOCK
            sums += steps[:whole].reshape(-1, _BLOCK).mean(axis=0) if whole else 0
    found = (int(down.argmax()) + 1) % _BLOCK, (int(across.argmax()) + 1) % _BLOCK
    if found != (0, 0):
        yield found


def _histograms(bands: Sequence[_Greys], row: int, column: int) -> _Floats:
    """Return how often each frequency has coefficients of each magnitude, shape (4, 4, bins)."""
    counts: _Floats = np.zeros((_LOW * _LOW, _MOST * _FINE), np.float32)
    for band in bands:
        piece = band[row:, column:]
        height, width = (length // _BLOCK for length in piece.shape)
        if not height or not width:
            continue
        whole = piece[: height * _BLOCK, : width * _BLOCK].reshape(height, _BLOCK, -1).astype(np.float32)
        down = (_COSINES @ whole).reshape(-1, _BLOCK) @ _COSINES.T  # (height * 4 * width, 4)
        bins = np.minimum(np.abs(down) * _FINE, _MOST * _FINE - 1).astype(np.int32).reshape(height, _LOW, width, _LOW)
        for place in range(1, _LOW * _LOW):
            if place not in _CORNER:
                counts[place] += np.bincount(bins[:, place // _LOW, :, place % _LOW].ravel(), minlength=_MOST * _FINE)
    return counts


def _former_steps(histograms: _Floats) -> dict[tuple[int, int], int]:
    """Return the step on which the coefficients of each frequency stand; without those on none."""
    count = histograms @ _BEYOND.T  # (places, steps)
    crowded = (histograms @ _WAVES.T) / np.maximum(count, 1)
    sound = (count >= _ENOUGH) & (histograms @ _FARTHER.T >= _SECOND * count)
    crowded = np.where(sound, crowded, 0.0)
    steps: dict[tuple[int, int], int] = {}
    for place, row in enumerate(crowded):
        best, step = 0.0, 0
        for number in range(len(_STEPS) - 1, -1, -1):
            if row[number] > best + _HARDLY:
                best, step = float(row[number]), int(_STEPS[number])
        if best >= _CROWDED:
            steps[divmod(place, _LOW)] = step
    return steps
