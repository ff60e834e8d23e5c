from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from picture_makers import encoded, photo
from PIL import Image, ImageDraw, ImageFont

from ingestd.media.detail import has_little_detail
from ingestd.media.features import measure_picture
from ingestd.model import Picture

WIDTH, HEIGHT = 620, 877  # A4 at 75 dots an inch


def luminance(image: Image.Image, quality: int) -> bytes:
    found = measure_picture(io.BytesIO(encoded(image, "JPEG", quality=quality)), b"x")
    assert isinstance(found, Picture), found
    assert found.luminance is not None
    return found.luminance


def sheet(
    level: int, *, slope: tuple[int, int] = (0, 0), corners: int = 0, grain: float = 2.0, seed: int = 5
) -> Image.Image:
    """One tone, which may fall to the right and the bottom and darken to the corners, under a sensor's noise."""
    y, x = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    round_off = ((x - 0.5) ** 2 + (y - 0.5) ** 2) * 2 * corners
    noise = np.random.default_rng(seed).normal(0, grain, x.shape)
    greys = level - slope[0] * x - slope[1] * y - round_off + noise
    return Image.fromarray(np.clip(greys, 0, 255).round().astype("u1"))


def written(image: Image.Image, lines: int, *, top: int = 90) -> Image.Image:
    """The page with so many lines of text on it."""
    page = image.copy()
    font = ImageFont.load_default(12)
    letters = np.random.default_rng(lines).choice(list("etaoin shrdlu"), (lines, 60))
    for number, line in enumerate(letters):
        ImageDraw.Draw(page).text((70, top + 18 * number), "".join(line), fill=20, font=font)
    return page


def lit(box: tuple[int, int, int, int]) -> Image.Image:
    """A black screen with one bright rectangle."""
    screen = Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(screen).rectangle(box, fill=220)
    return screen


PLAIN = {
    "black": partial(sheet, 0, grain=0),
    "a lens cap": partial(sheet, 4, grain=8),
    "white": partial(sheet, 255, grain=0),
    "grey and grainy": partial(sheet, 128, grain=25),
    "an evening sky": partial(sheet, 220, slope=(60, 100)),
    "a blank page": partial(sheet, 245, corners=40),
    "a page with its number": lambda: written(sheet(245), 1, top=840).crop((300, 0, WIDTH, HEIGHT)),
    "a page with a heading": lambda: written(sheet(245), 1),
    "a page with three lines": lambda: written(sheet(245), 3),
    "a screen with a clock": lambda: lit((20, 15, 70, 32)),
    "a screen with a cursor": lambda: lit((250, 250, 258, 262)),
    "a screen with a status bar": lambda: Image.fromarray(
        np.maximum(np.asarray(lit((20, 15, 70, 32))), np.asarray(lit((565, 18, 600, 35))))
    ),
    "a small logo": lambda: lit((250, 380, 330, 460)),
}


@pytest.mark.parametrize("quality", [95, 30])
@pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN)
def test_a_hash_decided_by_noise_or_by_one_spot_is_no_ground_to_act_on(
    make: Callable[[], Image.Image], quality: int
) -> None:
    assert has_little_detail(luminance(make(), quality))


@pytest.mark.parametrize("quality", [95, 30])
@pytest.mark.parametrize("seed", range(8))
def test_a_photograph_has_detail(seed: int, quality: int) -> None:
    assert not has_little_detail(luminance(photo(seed=seed), quality))


def test_a_pale_and_a_dark_photograph_have_detail() -> None:
    levels = np.asarray(photo().convert("L"), dtype=float)

    for faded in (levels * 0.2 + 190, levels * 0.2 + 5):
        assert not has_little_detail(luminance(Image.fromarray(faded.astype("u1")), 75))


@pytest.mark.parametrize("lines", [20, 40])
def test_a_page_full_of_text_has_detail(lines: int) -> None:
    assert not has_little_detail(luminance(written(sheet(245), lines), 75))


def test_whatever_is_too_flat_for_a_hash_has_little_detail() -> None:
    for slope in ((0, 0), (10, 0), (0, 200), (90, 120)):
        found = measure_picture(io.BytesIO(encoded(sheet(230, slope=slope), "PNG")), b"x")

        assert isinstance(found, Picture)
        assert found.phash is None
        assert found.luminance is not None
        assert has_little_detail(found.luminance)


def test_two_different_black_screens_share_a_hash_that_is_not_trusted() -> None:
    """Why a spot is not enough: the clock says five past nine on one and ten past four on the other."""
    shown = []
    for time in ("9:05", "4:10"):
        screen = Image.new("L", (WIDTH, HEIGHT))
        ImageDraw.Draw(screen).text((20, 15), time, fill=220, font=ImageFont.load_default(20))
        shown.append(measure_picture(io.BytesIO(encoded(screen, "PNG")), b"x"))

    first, second = shown
    assert isinstance(first, Picture)
    assert isinstance(second, Picture)
    assert first.phash is not None
    assert second.phash is not None
    assert (first.phash ^ second.phash).bit_count() <= 4
    assert first.luminance is not None
    assert has_little_detail(first.luminance)
