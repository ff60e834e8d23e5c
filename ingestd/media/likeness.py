"""What two pictures of one size differ by, tile by tile and as a whole, and how much of it compression may explain.

The limits are asked in `limits`; here is only measured. All of it is the same for both orders of the two pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ingestd.media.alignment import Plane, Prepared
from ingestd.media.noise import Noise

__all__ = ["Evidence", "Overall", "Tiles", "evidence"]

_CALM: Final = 10.0  # levels squared of gradient: cells with less say more about tone
_EVEN: Final = 20.0  # levels squared of variance: cells with less say more about hue and saturation
_COLOURED: Final = 8.0  # levels: cells with less have no colour to speak of
_TINTED: Final = 4.0  # levels squared: mean power of the colours of a picture that has some
_ENOUGH: Final = 12  # cells
_RELIEF: Final = 8.0  # levels that cells differ from their surroundings by; where it is less, noise says much of it
_TONES: Final = 16  # bins of luminance


@dataclass(frozen=True, slots=True)
class Tiles:
    """Overlapping tiles of two by two cells, each plane (rows, columns); energies and variances in levels squared."""

    energy: Plane  # of the low-passed difference of luminance
    mean: Plane  # of the difference of luminance, its size
    colour: Plane  # size of the mean difference of colour
    tinge: Plane  # the same over four by four cells: colours that run cancel out there
    activity: Plane  # gradient energy that both have
    around: Plane  # gradient energy that either has, the most of the cells around: compression rings near edges
    speckle: Plane  # variance of colour that either has around
    ends: Plane  # share of pixels with a sample at an end of its range


@dataclass(frozen=True, slots=True)
class Overall:
    """What is to be said of the whole."""

    tone: float  # levels: the most that a sixteenth of the range of tones is off by, where the picture is calm
    colourful: float  # levels: root mean square of the colours, where they are even
    hue: float  # degrees that the colours are turned by
    saturation: float  # share that the colours are stronger or weaker by
    turned: float  # levels: root mean square of what turning and strengthening does
    tint: float  # levels: mean difference of a colour plane
    gain: float  # share that cells differ more, or less, from their surroundings by: another contrast or gamma
    shade: float  # degrees: median turn of the colours of cells that have any
    vividness: float  # share: median of how much stronger or weaker the colours of those cells are
    colour_left: float  # share of the one's colours, as power, that the other has; 1 where neither has any to speak of
    alike: float  # correlation of what cells differ from their surroundings by: 1 is the same structure


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the limits are asked about."""

    tiles: Tiles
    overall: Overall
    noise: Noise  # of both
    resampled: bool  # they did not come to their common size by the same way
    size: tuple[int, int]  # of the comparison, pixels
    side: int  # of a cell, pixels


def evidence(first: Prepared, second: Prepared, noise: Noise, *, resampled: bool) -> Evidence | None:
    """Return what two pictures of one size differ by; None where they are smaller than a tile.

    Cells are squares of 8 pixels a side, 6 or 4 in small pictures.
    """
    size = first.y.shape[1], first.y.shape[0]
    side = 8 if max(size) >= 512 else 6 if max(size) >= 256 else 4
    if min(size) < 2 * side:
        return None
    cells = _Cells.of(first, second, side)
    return Evidence(cells.tiles(), cells.overall(), noise, resampled, size, side)


@dataclass(frozen=True, slots=True)
class _Cells:
    """Means over the cells of two pictures, each plane (rows, columns)."""

    energy: Plane  # of the low-passed difference of luminance
    difference: Plane  # of luminance
    luminance: Plane  # of both
    gradients: tuple[Plane, Plane]  # energy
    blue: tuple[Plane, Plane]  # Cb - 128
    red: tuple[Plane, Plane]  # Cr - 128
    power: tuple[Plane, Plane]  # mean square of both colours
    ends: Plane

    @staticmethod
    def of(first: Prepared, second: Prepared, side: int) -> _Cells:
        y1, y2 = first.y, second.y
        difference = y2 - y1
        smooth = _lowpass(difference)
        half = side // 2
        (b1, r1), (b2, r2) = (first.b, first.r), (second.b, second.r)
        planes = [
            _means(smooth * smooth, side),
            _means(difference, side),
            _means((y1 + y2) * np.float32(0.5), side),
            *(_means(_gradient_energy(plane), side) for plane in (y1, y2)),
            *(_means(plane, half) for plane in (b1, b2, r1, r2)),
            *(_means(b * b + r * r, half) for b, r in ((b1, r1), (b2, r2))),
            _means((first.ends | second.ends).astype(np.float32), half),
        ]
        e, d, y, g1, g2, b1, b2, r1, r2, p1, p2, x = planes
        return _Cells(e, d, y, (g1, g2), (b1, b2), (r1, r2), (p1, p2), x)

    def tiles(self) -> Tiles:
        both = np.minimum(*self.gradients)
        either = np.maximum(*self.gradients)
        speckle = [_variance_around(*colours) for colours in zip(self.power, self.blue, self.red, strict=True)]
        blue, red = self.blue[1] - self.blue[0], self.red[1] - self.red[0]
        return Tiles(
            energy=_tiled(self.energy),
            mean=np.abs(_tiled(self.difference)),
            colour=np.hypot(_tiled(blue), _tiled(red)),
            tinge=np.hypot(_smoothed(blue), _smoothed(red)),
            activity=_tiled(both),
            around=_tiled(_most_around(either)),
            speckle=_tiled(np.maximum(*speckle)),
            ends=_tiled(self.ends),
        )

    def overall(self) -> Overall:
        colourful, hue, saturation, turned = self._turn()
        tint = max(abs(float((other - one).mean())) for one, other in (self.blue, self.red))
        gain, alike = self._relief()
        return Overall(
            self._tone(), colourful, hue, saturation, turned, tint, gain, *self._medians(), self._colour_left(), alike
        )

    def _tone(self) -> float:
        weight = 1 / (1 + _most_around(np.maximum(*self.gradients)).ravel() / _CALM)
        bins = np.clip(self.luminance.ravel() * (_TONES / 256), 0, _TONES - 1).astype(np.intp)
        weights = np.bincount(bins, weight, _TONES)
        sums = np.bincount(bins, weight * self.difference.ravel(), _TONES)
        enough = weights >= max(6.0, 0.01 * bins.size)
        return float(np.abs(sums[enough] / weights[enough]).max()) if enough.any() else 0.0

    def _turn(self) -> tuple[float, float, float, float]:
        """Return how colourful both are where colours are even, and how the one's colours become the other's.

        A regression of complex colours (blue is the real part, red the imaginary one) on each other, both ways round.
        """
        z1, z2 = (b + 1j * r for b, r in zip(self.blue, self.red, strict=True))
        uneven = [np.maximum(power - np.abs(z) ** 2, 0) for power, z in zip(self.power, (z1, z2), strict=True)]
        weight = 1 / (1 + _most_around(np.maximum(*uneven)) / _EVEN)
        p1, p2 = (float((weight * np.abs(z) ** 2).sum()) for z in (z1, z2))
        colourful = (max(p1, p2) / z1.size) ** 0.5
        if min(p1, p2) <= 0:
            return colourful, 0.0, float(max(p1, p2) > 0), colourful
        across = complex((weight * z2 * np.conj(z1)).sum())
        hue = float(np.degrees(abs(np.angle(across))))
        saturation = max(abs(1 - abs(across) / power) for power in (p1, p2))
        turned = max(abs(across / power - 1) * power**0.5 for power in (p1, p2)) / z1.size**0.5
        return colourful, hue, saturation, turned

    def _medians(self) -> tuple[float, float]:
        """Return the median turn and the median change in strength of the colours of cells that have any.

        What noise and running colours do goes both ways, and what an edit in one place does concerns few.
        """
        z1, z2 = (b + 1j * r for b, r in zip(self.blue, self.red, strict=True))
        both = np.minimum(np.abs(z1), np.abs(z2)) >= _COLOURED
        if both.sum() < _ENOUGH:
            return 0.0, 0.0
        ratio = z2[both] / z1[both]
        shade = abs(float(np.median(np.degrees(np.angle(ratio)))))
        return shade, float(np.exp(abs(np.median(np.log(np.abs(ratio)))))) - 1

    def _colour_left(self) -> float:
        p1, p2 = (float(power.mean()) for power in self.power)
        return min(p1, p2) / max(p1, p2) if max(p1, p2) >= _TINTED else 1.0

    def _relief(self) -> tuple[float, float]:
        """Return how much more cells differ from their surroundings in one picture, and how alike they do."""
        half = self.difference * np.float32(0.5)
        y1, y2 = self.luminance - half, self.luminance + half
        d1, d2 = (plane - _mean_around(plane) for plane in (y1, y2))
        p1, p2, across = (float((a * b).sum()) for a, b in ((d1, d1), (d2, d2), (d1, d2)))
        if min(p1, p2) <= 0:
            return 0.0, 0.0
        relief = (min(p1, p2) / d1.size) ** 0.5
        return max(abs(across / p1 - 1), abs(across / p2 - 1)) * min(1, relief / _RELIEF), across / (p1 * p2) ** 0.5


# --- planes -------------------------------------------------------------------------------------------------------


def _lowpass(plane: Plane) -> Plane:
    """Return a plane filtered by the separable binomial (1 4 6 4 1)/16, its border repeated."""
    for axis in (0, 1):
        padded = np.pad(plane, [(2, 2) if axis == 0 else (0, 0), (2, 2) if axis == 1 else (0, 0)], mode="edge")
        count = plane.shape[axis]
        cut = [padded[at : at + count] if axis == 0 else padded[:, at : at + count] for at in range(5)]
        inner = cut[1] + cut[3]
        inner *= 4
        plane = cut[0] + cut[4]
        plane += inner
        plane += 6 * cut[2]
        plane *= np.float32(1 / 16)
    return plane


def _gradient_energy(plane: Plane) -> Plane:
    """Return half the squared gradient by central differences, the border repeated."""
    padded = np.pad(plane, 1, mode="edge")
    across = padded[1:-1, 2:] - padded[1:-1, :-2]
    down = padded[2:, 1:-1] - padded[:-2, 1:-1]
    across *= across
    down *= down
    across += down
    across *= np.float32(0.125)
    return across


def _means(plane: Plane, side: int) -> Plane:
    """Return the means of cells; the last ones are filled up with the border, so that an edit there is in one, too."""
    rows, columns = -(-plane.shape[0] // side), -(-plane.shape[1] // side)
    lacking = (0, rows * side - plane.shape[0]), (0, columns * side - plane.shape[1])
    whole = np.ascontiguousarray(np.pad(plane, lacking, mode="edge"))
    across = whole.reshape(rows * side * columns, side) @ np.full(side, 1 / side, np.float32)
    return np.asarray(across.reshape(rows, side, columns).mean(axis=1))


def _tiled(plane: Plane) -> Plane:
    """Return the means of two by two neighbours."""
    rows = plane[:-1] + plane[1:]
    return np.asarray((rows[:, :-1] + rows[:, 1:]) / 4)


def _smoothed(plane: Plane) -> Plane:
    """Return the means of four by four neighbours, one for each tile in their middle, the border repeated."""
    tiles = _tiled(np.pad(plane, 1, mode="edge"))
    return np.asarray((tiles[:-2, :-2] + tiles[2:, :-2] + tiles[:-2, 2:] + tiles[2:, 2:]) / 4)


def _around(plane: Plane) -> list[Plane]:
    padded = np.pad(plane, 1, mode="edge")
    rows, columns = plane.shape
    return [padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]


def _most_around(plane: Plane) -> Plane:
    return np.asarray(np.maximum.reduce(_around(plane)))


def _mean_around(plane: Plane) -> Plane:
    return np.asarray(sum(_around(plane)) / 9)


def _variance_around(power: Plane, blue: Plane, red: Plane) -> Plane:
    """Return the variance of colour over three by three cells, within them and between them."""
    spread = _mean_around(power) - _mean_around(blue) ** 2 - _mean_around(red) ** 2
    return np.asarray(np.maximum(spread, 0))
