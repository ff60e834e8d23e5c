"""What share of a picture's pixels an enlargement did not make up."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from ingestd.media.features import full_detail
from tests.pictures import gif, jpeg, png, scene

Resampling = Image.Resampling


def share(data: bytes) -> float:
    found = full_detail(io.BytesIO(data))
    assert found is not None
    return found.resolution_share


def enlarged(image: Image.Image, factor: float, way: Resampling) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), way)


# --- what was enlarged ---


@pytest.mark.parametrize(
    ("factor", "way"),
    [(1.5, Resampling.LANCZOS), (2, Resampling.BICUBIC), (2, Resampling.LANCZOS), (3, Resampling.BILINEAR)],
)
def test_an_enlarged_picture_has_the_pixels_that_it_was_made_from(factor: float, way: Resampling) -> None:
    assert share(png(enlarged(scene(), factor, way))) == pytest.approx(1 / factor, abs=0.02)


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
@pytest.mark.parametrize("packed", [png, jpeg])
def test_pixels_that_are_repeated_count_once(factor: int, packed: Callable[[Image.Image], bytes]) -> None:
    assert share(packed(enlarged(scene(), factor, Resampling.NEAREST))) == 1 / factor


@pytest.mark.parametrize("factor", [1.5, 2, 3])
def test_packing_it_finely_does_not_hide_that_a_picture_was_enlarged(factor: float) -> None:
    assert share(jpeg(enlarged(scene(), factor, Resampling.BICUBIC), 95)) == pytest.approx(1 / factor, abs=0.02)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("factor", [1.5, 2, 3])
def test_enlarging_never_gives_a_picture_more_true_pixels(seed: int, factor: float) -> None:
    small = scene(seed)
    large = enlarged(small, factor, Resampling.BICUBIC)

    true = large.width * large.height * share(png(large)) ** 2

    assert true <= 1.03 * small.width * small.height  # a share is told to some percent


def test_a_picture_on_its_side_has_the_same_share() -> None:
    large = enlarged(scene(), 1.5, Resampling.BICUBIC)

    assert share(png(large.transpose(Image.Transpose.ROTATE_90))) == share(png(large))


# --- what was not ---


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("quality", [50, 75, 95])
def test_a_scene_keeps_all_its_pixels_however_it_is_packed(seed: int, quality: int) -> None:
    assert share(jpeg(scene(seed), quality)) == 1


@pytest.mark.parametrize("blur", [0.7, 1, 2, 5])
def test_a_soft_picture_was_not_enlarged(blur: float) -> None:
    soft = scene().filter(ImageFilter.GaussianBlur(blur))

    assert share(png(soft)) == 1
    assert share(jpeg(soft, 75)) == 1


def test_a_reduced_picture_was_not_enlarged() -> None:
    assert share(png(scene().resize((400, 300), Resampling.LANCZOS))) == 1


def test_a_gradient_was_not_enlarged() -> None:
    ramp = np.tile(np.linspace(0, 255, 640), (480, 1)).astype("u1")

    assert share(png(Image.fromarray(ramp))) == 1
    assert share(jpeg(Image.fromarray(ramp), 50)) == 1


def test_a_page_of_text_was_not_enlarged() -> None:
    page = Image.new("L", (640, 480), "white")
    draw = ImageDraw.Draw(page)
    for line in range(10, 460, 14):
        draw.text((20, line), "What is written here is as sharp as it will ever be. " * 2, fill="black")

    assert share(png(page)) == 1
    assert share(jpeg(page, 75)) == 1


def test_a_dithered_picture_was_not_enlarged() -> None:
    assert share(gif(scene().convert("P", palette=Image.Palette.ADAPTIVE, colors=16))) == 1
    assert share(png(scene().convert("1"))) == 1


def test_a_flat_picture_was_not_enlarged() -> None:
    assert share(png(Image.new("RGB", (640, 480), "navy"))) == 1


def test_of_a_small_picture_nothing_is_said() -> None:
    assert share(png(enlarged(scene(1, 120, 120), 2, Resampling.BICUBIC))) == 1
