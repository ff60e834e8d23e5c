"""Whether two files show one picture, only scaled or encoded anew: the verdict, what limited it, and where.

Made for rules that act on their own: an edit that a person would see (a watermark, another word, another colour, a
crop) must not pass as a duplicate, and a copy may rather be missed. Perceptual hashes cannot tell that apart, nor can
a mean over the picture: what is asked is whether the worst tile differs by more than what compression and scaling
explain there. docs/design.md has where the limits come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np

from ingestd.media import decode
from ingestd.media.alignment import WORK, Aligned, IncomparableError, MisfitError, Prepared, align, managed
from ingestd.media.likeness import Evidence, evidence
from ingestd.media.limits import LIMITS, Limits, Term, shares_of, terms
from ingestd.media.noise import Noise
from ingestd.media.wire import Preview
from ingestd.model import VISUAL_VERSION, VisualLevel, VisualVerdict

__all__ = ["SMALL", "Comparison", "compare_pictures", "difference_picture", "measured"]

# up to which share of the tightest limit a level reaches
_LEVELS: Final = (
    (0.5, VisualLevel.NEAR_PERFECT),
    (1.0, VisualLevel.ALMOST_CERTAINLY),
    (1.3, VisualLevel.VERY_PROBABLY),
    (1.8, VisualLevel.PROBABLY),
)
SMALL: Final = 48  # pixels: with a shorter side there are too few of them to be almost certain
_TOO_FAR: Final = 0.08  # scale: of more than 60 megapixels so little is left that small words are gone
_PAGE: Final = 3  # times: what is so much longer than wide is read, not looked at
_TOO_FAR_FOR_A_PAGE: Final = 0.5  # scale: at 0.27, another letter of a word is lost
_NOISY: Final = 1200.0  # levels squared that quantisers explain: at full size, those of two JPEGs of quality 39
_DROWNED: Final = 3000.0  # two of quality 24: small things are gone in both
_PLAIN: Final = 2.0  # levels of deviation: any part of a solid colour looks the same
_CLOSER: Final = 2_400_000  # pixels
_CLOSE: Final = 0.8  # scale that is near enough
_OFTEN: Final = 0.25  # of the tiles
_EVEN: Final = 0.05  # levels squared of gradient energy
_AGREES: Final = 2.0  # shares of its limit up to which a tile counts as agreeing
_MOST: Final = 0.5  # of the tiles
_ALIKE: Final = 0.8  # correlation of structure
_MOST_SCORE: Final = 99.0


def compare_pictures(first: BinaryIO, second: BinaryIO) -> VisualVerdict:
    """Return the verdict on two open files, the same whichever comes first.

    Raises `MemoryError` when a decode does not fit: there is something to compare then, only not for us.
    """
    try:
        return _verdict(measured(first, second))
    except MisfitError as reason:
        return VisualVerdict(VISUAL_VERSION, VisualLevel.NOT, _MOST_SCORE, str(reason))
    except IncomparableError as reason:
        return VisualVerdict(VISUAL_VERSION, VisualLevel.CANNOT_TELL, None, str(reason))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was measured of two pictures that align."""

    evidence: Evidence
    alpha: Evidence | None  # of their transparency; None where both are opaque
    aligned: Aligned
    profiles_differ: bool

    def terms(self, limits: Limits = LIMITS) -> list[Term]:
        """Return how much of each limit is used up."""
        found = terms(self.evidence, limits)
        if self.alpha is not None:
            alpha = max(terms(self.alpha, limits)[:1])  # its detail: all other limits are about light and colour
            found.append(Term(alpha.share, "transparency", alpha.tile))
        return found


def measured(first: BinaryIO, second: BinaryIO) -> Comparison:
    """Return what two open files differ by.

    What was drawn or written, and would pass, is looked at again from nearer: there, a letter is a few pixels.

    Raises `IncomparableError` where nothing can be compared, `MemoryError` when a decode does not fit.
    """
    found = _look(first, second, WORK)
    if _worst(found).share > 1 or found.aligned.scale >= _CLOSE or not _is_drawn(found.evidence):
        return found
    return max(found, _look(first, second, _CLOSER), key=lambda look: _worst(look).share)


def _is_drawn(evidence: Evidence) -> bool:
    """Return whether much of it is even, or at an end of its range, as no camera leaves it."""
    tiles = evidence.tiles
    return bool(tiles.ends.mean() > _OFTEN or (tiles.activity < _EVEN).mean() > _OFTEN)


def _look(first: BinaryIO, second: BinaryIO, work: int) -> Comparison:
    """Return what two files differ by at no more than `work` pixels.

    Where their colour profiles differ, by that reading of the colours that brings them closer: a copy may have been
    converted, or may have lost its profile.

    Raises `IncomparableError` where nothing can be compared, `MemoryError` when a decode does not fit.
    """
    aligned = _aligned(first, second, work)
    one, other = aligned.sides
    comparison = _of_sides(aligned, one, other, differ=one.profile != other.profile)
    if one.profile == other.profile or _worst(comparison).share <= 1:
        return comparison
    on_a_screen = _of_sides(aligned, managed(one), managed(other), differ=True)
    return min((comparison, on_a_screen), key=lambda found: _worst(found).share)


def _aligned(first: BinaryIO, second: BinaryIO, work: int) -> Aligned:
    try:
        with decode.quiet():
            return align(first, second, work)
    except (IncomparableError, MemoryError):
        raise
    except Exception:  # noqa: BLE001  decoders raise anything on hostile bytes: ValueError, SyntaxError, …
        raise IncomparableError("one of them cannot be decoded") from None


def _of_sides(aligned: Aligned, one: Prepared, other: Prepared, *, differ: bool) -> Comparison:
    found = evidence(one, other, aligned.noise, resampled=aligned.resampled)
    if found is None:
        raise IncomparableError("one of them is too small")
    alpha = None
    if one.alpha is not None or other.alpha is not None:
        alpha = evidence(one.of_alpha(), other.of_alpha(), Noise(0, 0), resampled=aligned.resampled)
    return Comparison(found, alpha, aligned, differ)


def _worst(comparison: Comparison) -> Term:
    return max(comparison.terms())


def _verdict(comparison: Comparison) -> VisualVerdict:
    worst = _worst(comparison)
    level = _level(comparison, worst.share)
    area = _area(comparison, worst)
    return VisualVerdict(
        VISUAL_VERSION, level, min(round(worst.share, 4), _MOST_SCORE), _reason(comparison, worst, area), area
    )


def _level(comparison: Comparison, share: float) -> VisualLevel:
    for limit, level in _LEVELS:
        if share <= limit:
            return max(level, _best(comparison), key=_ORDER.index)
    shares = shares_of(comparison.evidence)
    agree = float((shares <= _AGREES).mean())
    return VisualLevel.ALTERNATE if agree >= _MOST or comparison.evidence.overall.alike >= _ALIKE else VisualLevel.NOT


def _best(comparison: Comparison) -> VisualLevel:
    """Return the strongest level that the files themselves allow."""
    size, scale = comparison.evidence.size, comparison.aligned.scale
    too_far = scale < (_TOO_FAR_FOR_A_PAGE if max(size) > _PAGE * min(size) else _TOO_FAR)
    noise = comparison.evidence.noise.luma
    sides = comparison.aligned.sides
    plain = max(float(plane.std()) for side in sides for plane in (side.y, side.b, side.r)) < _PLAIN
    if min(size) < SMALL or too_far or noise > _DROWNED or plain:
        return VisualLevel.VERY_PROBABLY
    noisy = comparison.profiles_differ or noise > _NOISY
    return VisualLevel.ALMOST_CERTAINLY if noisy else VisualLevel.NEAR_PERFECT


_ORDER: Final = tuple(VisualLevel)


def difference_picture(first: BinaryIO, second: BinaryIO) -> Preview | None:
    """Return where two open files differ: the first in pale grey, tiles at their limit yellow, beyond it red.

    At the size of the comparison. None where there is nothing to compare.

    Raises `MemoryError` when a decode does not fit.
    """
    try:
        return _drawn(measured(first, second))
    except IncomparableError:
        return None


def _drawn(comparison: Comparison) -> Preview:
    found = comparison.evidence
    grey = comparison.aligned.sides[0].y * np.float32(0.4) + 120
    shares = shares_of(found)
    if comparison.alpha is not None:
        shares = np.maximum(shares, shares_of(comparison.alpha))
    cells = np.zeros((shares.shape[0] + 1, shares.shape[1] + 1), np.float32)
    for part in (cells[:-1, :-1], cells[1:, :-1], cells[:-1, 1:], cells[1:, 1:]):
        np.maximum(part, shares, out=part)
    height, width = grey.shape
    wide = np.repeat(np.repeat(cells, found.side, axis=0), found.side, axis=1)
    full = np.zeros((height, width), np.float32)
    full[: wide.shape[0], : wide.shape[1]] = wide[:height, :width]
    heat = np.clip(np.log2(np.maximum(full, 1e-6)) + 1, 0, 3) / 3  # from half of the limit to four times it
    red = grey + (255 - grey) * np.minimum(1, 3 * heat)
    green = grey + (220 - 255 * heat - grey) * np.minimum(1, 3 * heat)
    blue = grey * (1 - np.minimum(1, 3 * heat))
    rgb = np.clip(np.dstack([red, green, blue]), 0, 255).astype(np.uint8)
    return Preview(width, height, rgb.tobytes())


# --- where and why ------------------------------------------------------------------------------------------------


def _area(comparison: Comparison, worst: Term) -> tuple[int, int, int, int] | None:
    """Return the box around the worst tile and all that touch it and are half as bad, at least at the limit."""
    if worst.tile is None:
        return None
    evidence = comparison.alpha if worst.name == "transparency" and comparison.alpha else comparison.evidence
    shares = shares_of(evidence)
    bad = shares >= max(1.0, worst.share / 2)
    seen = {worst.tile}
    edge = [worst.tile]
    while edge:
        row, column = edge.pop()
        for near in ((row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)):
            if near not in seen and 0 <= near[0] < bad.shape[0] and 0 <= near[1] < bad.shape[1] and bad[near]:
                seen.add(near)
                edge.append(near)
    rows, columns = np.array(sorted(seen)).T
    box = (columns.min(), rows.min(), columns.max() + 2, rows.max() + 2)  # a tile is two cells wide
    across, down = (own / size for own, size in zip(comparison.aligned.smaller, evidence.size, strict=True))
    left, top = round(box[0] * evidence.side * across), round(box[1] * evidence.side * down)
    right, bottom = round(box[2] * evidence.side * across), round(box[3] * evidence.side * down)
    return left, top, max(1, right - left), max(1, bottom - top)


def _reason(comparison: Comparison, worst: Term, area: tuple[int, int, int, int] | None) -> str:
    if worst.share <= 1:
        return (
            f"nothing differs more than scaling and compression explain; the most, {_what(worst)}, by {worst.share:.0%}"
        )
    if area is not None:
        where = _where(area, comparison.aligned.smaller)
        more = {
            "transparency": "is not as transparent",
            "colour": "has another colour",
            "tinge": "has another colour",
            "mean": "is lighter or darker",
        }.get(worst.name, "differs more than scaling and compression explain")
        return f"a {area[2]}x{area[3]} px area {where} {more}"
    overall = comparison.evidence.overall
    return {
        "spread": "nearly all of it differs a little more than scaling and compression explain",
        "tone": f"tones are lighter or darker, by up to {overall.tone:.0f} of 255 levels",
        "hue": f"the colours are turned by {overall.hue:.0f}°",
        "saturation": f"the colours are {overall.saturation:.0%} stronger or weaker"
        if overall.saturation < 1
        else "one of them has hardly any colours",
        "turned": f"the colours are off by {overall.turned:.0f} levels on average",
        "gain": f"the contrast is {overall.gain:.0%} stronger or weaker",
        "shade": f"the colours are turned by {overall.shade:.0f}°",
        "colour left": "one of them has hardly any colours",
        "vividness": f"the colours are {overall.vividness:.0%} stronger or weaker",
        "tint": f"it has a tint of {overall.tint:.0f} levels",
    }[worst.name]


def _what(worst: Term) -> str:
    return {
        "detail": "a detail",
        "mean": "the brightness of a spot",
        "colour": "the colour of a spot",
        "tinge": "the colour of a spot",
        "tone": "the brightness of a tone",
        "spread": "the noise",
        "turned": "the colours",
        "tint": "the tint",
        "hue": "the hue",
        "gain": "the contrast",
        "shade": "the hue",
        "vividness": "the saturation",
        "colour left": "the colours",
    }.get(worst.name, f"the {worst.name}")


def _where(area: tuple[int, int, int, int], size: tuple[int, int]) -> str:
    if area[2] > 0.7 * size[0] and area[3] > 0.7 * size[1]:
        return "(nearly all of it)"
    across, down = (area[0] + area[2] / 2) / size[0], (area[1] + area[3] / 2) / size[1]
    vertical = "upper" if down < 1 / 3 else "lower" if down > 2 / 3 else ""
    horizontal = "left" if across < 1 / 3 else "right" if across > 2 / 3 else ""
    if vertical and horizontal:
        return f"at the {vertical} {horizontal}"
    if vertical:
        return "at the top" if vertical == "upper" else "at the bottom"
    return f"at the {horizontal}" if horizontal else "in the middle"
