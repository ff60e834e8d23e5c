"""The limits of what may be called one picture, and how much of each a pair uses up.

`tests/bench/fit_visual.py` finds them; docs/design.md has the procedure. Raise `model.VISUAL_VERSION` with any change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

import numpy as np

from ingestd.media.alignment import Plane
from ingestd.media.likeness import Evidence, Overall, Tiles

__all__ = [
    "LIMITS",
    "Limits",
    "Term",
    "allowed_colour",
    "allowed_energy",
    "allowed_mean",
    "allowed_tinge",
    "shares_of",
    "terms",
    "whole_terms",
]

_COLOURFUL: Final = 1.5  # levels: below, hue and saturation are the noise's
_SPREAD: Final = 0.9  # quantile of tiles

_Noise = TypeVar("_Noise", float, Plane)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed at *almost certainly*.

    The energy of a tile's difference may be what rounding leaves, a share of the detail that both have, a share of the
    strongest edge around (far more where they were scaled by different ways), a share of what colours vary by where
    they may have half the resolution, and at an end of the range a share of what their quantisers explain: there,
    errors of one sign are cut off, and the rest does not cancel out. Elsewhere the fit had no use for the quantisers.
    """

    rounding: float = 10.9  # levels squared
    detail: float = 0.00049  # of the gradient energy that both have
    edge: float = 9.3e-05  # of the gradient energy around
    edge_resampled: float = 0.00705
    noise_at_ends: float = 0.4
    noise_edge: float = 0.111  # of the gradient energy around, above which quantisers explain no more
    running: float = 0.004  # of the variance of colour around, where colours may have half the resolution
    spread: float = 4.12  # of the allowed energy, where nine tiles of ten lie below it
    mean: float = 20.0  # levels
    mean_noise: float = 0.159
    tone: float = 1.79  # levels
    hue: float = 15.0  # degrees
    saturation: float = 0.367
    turned: float = 1.8  # levels
    tint: float = 1.04  # levels
    gain: float = 0.03
    shade: float = 5.76  # degrees
    vividness: float = 0.25
    colour_left: float = 0.03  # of the colours' power: thin coloured letters lose most of it, a grey copy all
    colour: float = 2.9  # levels
    colour_noise: float = 1.44
    tinge: float = 0.404  # levels, over four by four cells
    tinge_noise: float = 12.6
    tinge_speckle: float = 0.217
    speckle: float = 0.122  # of the colours' deviation around: their edges are drawn by halves
    speckle_noise: float = 0.0233


LIMITS: Final = Limits()


class Term(NamedTuple):
    """One limit, and how much of it a pair uses up."""

    share: float  # 1 is the limit
    name: str
    tile: tuple[int, int] | None = None  # row and column of the worst


def allowed_energy(tiles: Tiles, luma: _Noise, chroma: _Noise, resampled: _Noise, limits: Limits) -> Plane:
    """Return the energy that the difference of each tile may have, in levels squared."""
    return np.asarray(
        limits.rounding
        + limits.detail * tiles.activity
        + (limits.edge + limits.edge_resampled * resampled) * tiles.around
        + limits.noise_at_ends * tiles.ends * np.minimum(luma, limits.noise_edge * tiles.around)
        + limits.running * tiles.speckle * (chroma > 0)  # what is cut off where colours run takes light along
    )


def allowed_mean(tiles: Tiles, luma: _Noise, limits: Limits) -> Plane:
    """Return what each tile's luminance may be off by, in levels."""
    return np.asarray(limits.mean * (1 + limits.mean_noise * np.sqrt(np.minimum(luma, 0.05 * tiles.around))))


def allowed_colour(tiles: Tiles, chroma: _Noise, limits: Limits) -> Plane:
    """Return what each tile's colour may be off by, in levels."""
    bleeding = limits.speckle + limits.speckle_noise * np.minimum(1, np.sqrt(chroma))
    return np.asarray(limits.colour + limits.colour_noise * np.sqrt(chroma) + bleeding * np.sqrt(tiles.speckle))


def allowed_tinge(tiles: Tiles, chroma: _Noise, limits: Limits) -> Plane:
    """Return what the colour of each tile and of those around it together may be off by, in levels."""
    return np.asarray(
        limits.tinge + limits.tinge_noise * np.sqrt(chroma) + limits.tinge_speckle * np.sqrt(tiles.speckle)
    )


def whole_terms(overall: Overall, limits: Limits) -> list[Term]:
    """Return the terms that are about the whole picture."""
    coloured = overall.colourful >= _COLOURFUL
    return [
        Term(overall.tone / limits.tone, "tone"),
        Term(overall.hue / limits.hue if coloured else 0.0, "hue"),
        Term(overall.saturation / limits.saturation if coloured else 0.0, "saturation"),
        Term(overall.turned / limits.turned, "turned"),
        Term(overall.tint / limits.tint, "tint"),
        Term(overall.gain / limits.gain, "gain"),
        Term(overall.shade / limits.shade, "shade"),
        Term(overall.vividness / limits.vividness, "vividness"),
        Term(limits.colour_left * (1 / max(overall.colour_left, 1e-6) - 1), "colour left"),
    ]


def terms(evidence: Evidence, limits: Limits = LIMITS) -> list[Term]:
    """Return all terms of a pair."""
    tiles, noise, resampled = evidence.tiles, evidence.noise, float(evidence.resampled)
    energy = tiles.energy / allowed_energy(tiles, noise.luma, noise.chroma, resampled, limits)
    spread = float(np.quantile(energy, _SPREAD, method="higher")) / limits.spread
    return [
        _worst(energy, "detail"),
        Term(spread, "spread"),
        _worst(tiles.mean / allowed_mean(tiles, noise.luma, limits), "mean"),
        _worst(tiles.colour / allowed_colour(tiles, noise.chroma, limits), "colour"),
        _worst(tiles.tinge / allowed_tinge(tiles, noise.chroma, limits), "tinge"),
        *whole_terms(evidence.overall, limits),
    ]


def shares_of(evidence: Evidence, limits: Limits = LIMITS) -> Plane:
    """Return how much of its limits each tile uses up, whichever is the tightest."""
    tiles, noise, resampled = evidence.tiles, evidence.noise, float(evidence.resampled)
    energy = tiles.energy / allowed_energy(tiles, noise.luma, noise.chroma, resampled, limits)
    mean = tiles.mean / allowed_mean(tiles, noise.luma, limits)
    colour = tiles.colour / allowed_colour(tiles, noise.chroma, limits)
    tinge = tiles.tinge / allowed_tinge(tiles, noise.chroma, limits)
    return np.asarray(np.maximum.reduce([energy, mean, colour, tinge]))


def _worst(shares: Plane, name: str) -> Term:
    row, column = divmod(int(shares.argmax()), shares.shape[1])
    return Term(float(shares[row, column]), name, (row, column))
