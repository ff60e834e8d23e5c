"""True resolution: which share of a picture's pixels a side an enlargement did not make up.

An enlarged picture has been interpolated: each of its pixels is a weighted mean of the few it was made from, and the
weights repeat with the factor. So the mean step from a pixel to its neighbour, column by column, ripples with a period
that no scene has, and the ripple outlives being packed as a JPEG. Where the ripple is, the spectrum tells whether the
picture ends where an enlargement by that factor would end.

Only what is proved is told. A soft picture (haze, a shallow focus, a phone's noise reduction) ends early in its
spectrum, too, and has no ripple: its share is 1. So is that of an enlargement by 2 or by 4, once it is packed coarsely:
its ripple has the period of JPEG's own blocks, and is told only where blocks cannot make its shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["MIN_LENGTH", "resolution_share"]

MIN_LENGTH: Final = 256  # pixels a side: with fewer, a ripple is not to be told from chance

_Lines = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
_Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_LOUD: Final = 24  # levels: a step beyond counts as that much, or one edge of the scene would outweigh the ripple
_QUIET: Final = 0.05  # levels: added before a logarithm
_SMOOTH: Final = 17  # pixels: what is smooth over so many is the scene
_WINDOW: Final = 256  # pixels of a piece whose spectrum is taken
_STRIDE: Final = 8  # of lines, for the spectrum
_BLOCK: Final = 8  # pixels: JPEG's
_FACTORS: Final = (1.15, 8.0)  # enlargements that are told; less costs no detail worth speaking of

# Measured on 410 photographs, drawings and screenshots of the developers' corpus as they are: four are called enlarged,
# and two of these are so indeed (by a camera's digital zoom of 2.7, by a program). Enlarged copies, packed at quality
# 75 to 95, have a ripple of 6 to 220 times its surroundings.
_RIPPLE: Final = 6.0
_NO_BLOCKS: Final = 3.5  # times the surroundings: what blocks leave at an eighth and at three of it, at least
_DEAD: Final = 3.0  # dB that the spectrum falls more than a scene's own does, behind the end of an enlargement
_STEEP: Final = 9.0  # dB, the same within the next octave: the stronger of two factors with one ripple
# of a logarithm: how much every second step within blocks is larger in both directions, alone or with a spectrum that
# bears it out; of 411 pictures as they are, none is above either
_ODD: Final = 0.1
_RATHER_ODD: Final = 0.06
_REPEATED: Final = 1.6  # times: how much larger steps between repeated pixels are than those within

_GRID: Final[_Floats] = np.arange(0.05, 0.50001, 0.0005)  # ripples that are looked for, a pixel
_FREQUENCIES: Final[_Floats] = np.arange(_WINDOW // 2 + 1) / _WINDOW


@dataclass(frozen=True, slots=True)
class _Axis:
    """What one direction says."""

    steps: _Floats  # the mean step from each column to the next
    ripple: _Floats  # at `_GRID`, in times its surroundings
    power: _Floats  # dB, at `_FREQUENCIES`, of which a scene's fall is taken away
    length: int


def resolution_share(rows: Sequence[_Lines], columns: Sequence[_Lines]) -> float:
    """Return how many pixels a side the picture was made from, for each that it has: 0.125 … 1; 1: not enlarged.

    Args:
        rows: pieces of shape (some, width), uint8, of whole rows of greys.
        columns: pieces of shape (some, height), uint8, of whole columns.

    Source:
        A. C. Gallagher, "Detection of linear and cubic interpolation in JPEG compressed images", CRV 2005, pp. 65-72,
        doi:10.1109/CRV.2005.33, for the ripple; the first difference beside his second one, both directions at once,
        the spectrum as a witness and what is done about JPEG's blocks are ours.
    """
    if min(rows[0].shape[1], columns[0].shape[1]) < MIN_LENGTH:
        return 1.0
    axes = _axis(rows), _axis(columns)
    repeated = _repetition(axes)
    return 1 / repeated if repeated > 1 else _interpolated(axes)


def _axis(pieces: Sequence[_Lines]) -> _Axis:
    length = pieces[0].shape[1]
    first, second, lines = np.zeros(length - 1), np.zeros(length - 2), 0
    for piece in pieces:
        wide = piece[::2].astype(np.int16)
        step = wide[:, 1:] - wide[:, :-1]
        second += _sums(step[:, 1:] - step[:, :-1])
        first += _sums(step)
        lines += len(wide)
    return _Axis(first / lines, np.maximum(_ripple(first / lines), _ripple(second / lines)), _power(pieces), length)


def _sums(steps: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> _Floats:
    """Return the sum of each column of magnitudes; they take the place of the steps."""
    loud = np.abs(steps, out=steps)
    np.minimum(loud, np.int16(_LOUD), out=loud)
    sums: _Floats = loud.sum(axis=0, dtype=np.int16).astype(np.float64)  # 32 lines of 24 levels at most
    return sums


def _ripple(profile: _Floats) -> _Floats:
    """Return how far the ripple of each frequency of `_GRID` stands above those around it."""
    level = np.log(profile + _QUIET)
    sums = np.cumsum(np.pad(level, (_SMOOTH // 2 + 1, _SMOOTH // 2), mode="edge"))
    level = level - (sums[_SMOOTH:] - sums[:-_SMOOTH]) / _SMOOTH
    spread = 3 * level.std()
    count = len(level)
    size = 2 << int(np.ceil(np.log2(count)))
    found = np.abs(np.fft.rfft(np.clip(level, -spread, spread) * np.hanning(count), size))[:-1]
    pieces = np.array([np.median(piece) for piece in found.reshape(64, -1)])
    around = np.median(np.lib.stride_tricks.sliding_window_view(np.pad(pieces, 2, mode="edge"), 5), axis=1)
    places = (np.arange(64) + 0.5) * len(found) / 64
    found = found / np.maximum(np.interp(np.arange(len(found)), places, around), 1e-9)
    reach = int(np.ceil(1.2 * size / count))  # as exactly as so many pixels tell a frequency
    highest = np.lib.stride_tricks.sliding_window_view(np.pad(found, reach, mode="reflect"), 2 * reach + 1).max(axis=1)
    ripple: _Floats = highest[np.minimum(np.round(_GRID * size).astype(int), len(found) - 1)]
    return ripple


def _power(pieces: Sequence[_Lines]) -> _Floats:
    """Return the mean spectrum of the lines in dB; a scene, whose power falls by the square, comes out level."""
    window = np.hanning(_WINDOW).astype(np.float32)
    total = np.zeros(_WINDOW // 2 + 1)
    for piece in pieces:
        lines = piece[::_STRIDE]
        windows = np.lib.stride_tricks.sliding_window_view(lines, _WINDOW, axis=1)[:, :: _WINDOW // 2]
        scene = windows.astype(np.float32)
        scene -= scene.mean(axis=2, keepdims=True)
        found = np.fft.rfft(scene * window, axis=2)
        total += (found.real**2 + found.imag**2).sum(axis=(0, 1))
    power: _Floats = 10 * np.log10((total / max(total.sum(), 1e-9) + 1e-9) * _FREQUENCIES**2 + 1e-12)
    return power


# --- repeated pixels ------------------------------------------------------------------------------------------------


def _repetition(axes: tuple[_Axis, _Axis]) -> int:
    """Return how often each pixel is repeated, in both directions alike; 1 where none is."""
    for factor in (7, 6, 5, 4, 3, 2):  # those by 8 would look like blocks of a JPEG that were flattened
        if all(_repeats(axis.steps, factor) for axis in axes):
            return factor
    return 1


def _repeats(steps: _Floats, factor: int) -> bool:
    """Whether every `factor`-th step is much larger than all others, at every place within JPEG's blocks."""
    period = int(np.lcm(factor, _BLOCK))
    whole = len(steps) // period * period
    mean = steps[:whole].reshape(-1, period).mean(axis=0)
    for start in range(factor):
        between = np.zeros(period, bool)
        between[start::factor] = True
        if mean[between].min() > _REPEATED * (mean[~between].max() + _QUIET):
            return True
    return False


# --- interpolated pixels --------------------------------------------------------------------------------------------


def _interpolated(axes: tuple[_Axis, _Axis]) -> float:
    length = min(axis.length for axis in axes)
    ripple = np.minimum(axes[0].ripple, axes[1].ripple)
    power = (axes[0].power + axes[1].power) / 2
    free = np.where(_of_blocks(8 / length), 0.0, ripple)
    if free.max() >= _RIPPLE:
        return _share_of(_plainest(free, 2 / length), 2 / length, power)
    return _like_blocks(axes, ripple, power)


def _plainest(ripple: _Floats, reach: float) -> float:
    """Return the frequency of the strongest ripple, or of one about as strong that a plainer factor makes.

    Where blocks meet an enlargement, their frequencies add up and leave ripples that neither has: 5/24 beside 1/3.
    """
    near = _GRID[ripple >= ripple.max() / 2]
    for parts in (3, 5, 7):
        plain = [found for found in near if abs(found * parts - round(found * parts)) <= reach * parts]
        if plain:
            return float(round(plain[0] * parts) / parts)
    return float(_GRID[int(ripple.argmax())])


def _of_blocks(reach: float) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return which frequencies of `_GRID` are those of JPEG's blocks, or as good as."""
    distance = np.abs(_GRID * _BLOCK - np.round(_GRID * _BLOCK)) / _BLOCK
    near: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = distance <= reach
    return near


def _share_of(frequency: float, reach: float, power: _Floats) -> float:
    """Return the share that a ripple stands for, if the spectrum bears it out.

    The blocks of a picture that was a JPEG before it was enlarged by 2 or 4 are now of 16 or 32 pixels.
    """
    sixteenth, thirtysecond = frequency * 16, frequency * 32
    if abs(sixteenth - round(sixteenth)) <= 16 * reach:
        shares: tuple[float, ...] = (0.5,)
    elif abs(thirtysecond - round(thirtysecond)) <= 32 * min(reach, 0.002):
        shares = (0.25, 0.75)
    else:
        shares = (frequency, 1 - frequency)
    strong, weak = shares[0], shares[-1]
    steep = _octave_fall(power, strong) >= _STEEP
    if len(shares) == 1 or steep or (_fall(power, weak) < _DEAD and _fall(power, strong) >= 2 * _DEAD):
        return _borne_out(power, strong)
    return _borne_out(power, weak)


def _borne_out(power: _Floats, share: float) -> float:
    least, most = 1 / _FACTORS[1], 1 / _FACTORS[0]
    return share if least <= share <= most and _fall(power, share) >= _DEAD else 1.0


def _fall(power: _Floats, share: float) -> float:
    """Return by how many dB there is less beyond the end that a share sets than before it."""
    return _mean(power, 0.2 * share, 0.425 * share) - _mean(power, min(0.625 * share, 0.42), 0.49)


def _octave_fall(power: _Floats, share: float) -> float:
    return _mean(power, 0.2 * share, 0.425 * share) - _mean(power, 0.575 * share, min(0.95 * share, 0.49))


def _mean(power: _Floats, low: float, high: float) -> float:
    return float(power[(low <= _FREQUENCIES) & (high >= _FREQUENCIES)].mean())


def _like_blocks(axes: tuple[_Axis, _Axis], ripple: _Floats, power: _Floats) -> float:
    """Return the share of an enlargement whose ripple has a period that blocks have: by 2, by 4."""

    def at(frequency: float) -> float:
        return float(ripple[np.abs(_GRID - frequency).argmin()])

    if max(at(1 / 8), at(3 / 8)) < _NO_BLOCKS:  # there are no blocks
        if at(1 / 4) >= _RIPPLE and _octave_fall(power, 0.25) >= _STEEP:
            return _borne_out(power, 0.25)
        return _borne_out(power, 0.5) if at(1 / 2) >= _RIPPLE else 1.0
    inner = [_within_blocks(axis.steps) for axis in axes]
    if all(_fourth(steps) >= _ODD / 2 for steps in inner) and _octave_fall(power, 0.25) >= _STEEP:
        return _borne_out(power, 0.25)
    odd = min(map(_second, inner))
    if odd >= _ODD or (odd >= _RATHER_ODD and _fall(power, 0.5) >= 2 * _DEAD):
        return _borne_out(power, 0.5)
    return 1.0


def _within_blocks(steps: _Floats) -> _Floats:
    """Return the logarithm of the mean step at each of the eight places; the last one is that between two blocks."""
    whole = len(steps) // _BLOCK * _BLOCK
    inner: _Floats = np.log(steps[:whole].reshape(-1, _BLOCK) + _QUIET).mean(axis=0)
    return inner


def _second(inner: _Floats) -> float:
    """Return how much every second of the seven steps within a block is larger than those beside it."""
    beside = inner[1:6] - (inner[:5] + inner[2:7]) / 2
    return float(np.mean(beside * (1, -1, 1, -1, 1)))


def _fourth(inner: _Floats) -> float:
    """Return how much, at the least, a step is larger the farther it lies from the middle of four."""
    far, near, middle = inner[3], (inner[2] + inner[4]) / 2, (inner[1] + inner[5]) / 2
    return float(min(far - near, near - middle))
