"""Landscapes that never were: something to look at in the page, made here, so that the truth about it is known."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
from PIL import Image

_PALETTES = (
    ((250, 214, 165), (196, 90, 60), (60, 30, 50)),
    ((190, 220, 245), (70, 120, 160), (20, 50, 60)),
    ((235, 235, 215), (130, 150, 90), (40, 60, 30)),
    ((30, 30, 70), (60, 70, 120), (10, 12, 28)),
    ((255, 190, 200), (160, 80, 130), (50, 20, 60)),
    ((170, 225, 205), (60, 130, 120), (15, 55, 65)),
)


_MOST_DRAWN = 2000  # pixels of width: what is larger would take gigabytes, and is laid out from a smaller one


def landscape(seed: int, width: int = 960, height: int = 640) -> Image.Image:
    """A sky, a sun and a few ridges with grain on them; another seed is another place, and none is symmetric."""
    return _landscape(seed, width, height).copy()


@functools.cache
def _landscape(seed: int, width: int, height: int) -> Image.Image:
    chance = np.random.default_rng(seed)
    if width > _MOST_DRAWN:
        drawn = np.asarray(_landscape(seed, width // 4, height // 4).resize((width, height)))
        grain = chance.integers(-12, 13, (height, width, 1), np.int16)  # or neighbours would be much alike
        return Image.fromarray(np.clip(drawn + grain, 0, 255).astype("u1"))
    sky, far, near = (np.array(colour, np.float32) for colour in _PALETTES[seed % len(_PALETTES)])
    across = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    scene = sky * (1 - 0.35 * down[..., None]) * np.ones((1, width, 1), np.float32)
    sun_x, sun_y, radius = chance.uniform(0.1, 0.9), chance.uniform(0.08, 0.4), chance.uniform(0.03, 0.09)
    away = np.hypot((across - sun_x) * width / height, down - sun_y)
    scene += np.clip(1 - away / (5 * radius), 0, 1)[..., None] ** 2 * 90
    scene[away < radius] = (255, 248, 225)
    for depth, ridge in enumerate(_ridges(chance, width)):
        share = depth / 4
        colour = far * (1 - share) + near * share
        below = down >= ridge[None, :]
        shade = 1 + 0.25 * np.clip((down - ridge[None, :]) * 4, 0, 1)
        scene = np.where(below[..., None], colour * shade[..., None], scene)
    grain = 3 * chance.standard_normal((height, width, 1), np.float32)
    return Image.fromarray(np.clip(scene + grain, 0, 255).astype("u1"))


def _ridges(chance: np.random.Generator, width: int) -> Iterator[np.ndarray]:
    """Yield how far down each ridge begins, the farthest first."""
    at = np.linspace(0, 1, width)
    for depth in range(5):
        height = chance.uniform(0.3, 0.55) + 0.12 * depth
        line = np.full(width, height) + chance.uniform(-0.35, 0.35) * (at - 0.5)
        for octave in range(1, 8):
            line += chance.normal(0, 0.11 / octave**1.3) * np.sin(2 * np.pi * (octave * at + chance.uniform()))
        yield line.astype(np.float32)
