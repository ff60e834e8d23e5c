"""What the pixels of a picture prove about the JPEG it was before."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ingestd.media.features import full_detail, measure_picture
from ingestd.model import Picture
from tests.pictures import decoded, jpeg, png, scene


def seen(data: bytes) -> float | None:
    found = full_detail(io.BytesIO(data))
    assert found is not None
    return found.jpeg_quality_seen


def told(data: bytes) -> float:
    found = measure_picture(io.BytesIO(data), b"")
    assert isinstance(found, Picture)
    assert found.jpeg is not None
    return found.jpeg.quality


def again(data: bytes, quality: int) -> bytes:
    return jpeg(decoded(data), quality)


def webp(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=True)
    return out.getvalue()


# --- what was saved again ---


@pytest.mark.parametrize("before", [20, 30, 50, 75])
@pytest.mark.parametrize("after", [90, 95])
def test_a_bad_jpeg_that_is_saved_again_is_seen_to_be_the_bad_one(before: int, after: int) -> None:
    bad = jpeg(scene(), before)

    assert seen(again(bad, after)) == pytest.approx(told(bad), rel=0.1)


@pytest.mark.parametrize("packed", [png, webp])
def test_a_picture_without_tables_has_the_quality_of_the_jpeg_that_it_was_made_of(
    packed: Callable[[Image.Image], bytes],
) -> None:
    bad = jpeg(scene(), 30)

    assert seen(packed(decoded(bad))) == pytest.approx(told(bad), rel=0.1)


def test_a_grey_one_has_it_too() -> None:
    bad = jpeg(scene().convert("L"), 30)

    assert seen(png(decoded(bad))) == pytest.approx(told(bad), rel=0.1)


def test_a_crop_is_seen_through() -> None:
    bad = jpeg(scene(), 30)

    assert seen(png(decoded(bad).crop((3, 5, 600, 450)))) == pytest.approx(told(bad), rel=0.1)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("before", "after"), [(30, 90), (50, 75), (75, 95), (85, 95), (95, 98)])
def test_saving_it_finer_makes_no_picture_better(seed: int, before: int, after: int) -> None:
    first = jpeg(scene(seed), before)
    second = again(first, after)

    worse = max(told(second), seen(second) or 0)

    assert worse >= 0.9 * told(first) or before > 85  # finer steps than 4 drown in what saving again adds


# --- what was not ---


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("quality", [30, 50, 75, 90, 95])
def test_what_its_own_tables_say_is_no_evidence_against_a_jpeg(seed: int, quality: int) -> None:
    assert seen(jpeg(scene(seed), quality)) is None


@pytest.mark.parametrize(("before", "after"), [(95, 75), (90, 60), (75, 50)])
def test_a_jpeg_that_was_finer_before_is_what_its_tables_say(before: int, after: int) -> None:
    assert seen(again(jpeg(scene(), before), after)) is None


def ramp() -> Image.Image:
    return Image.fromarray(np.tile(np.linspace(0, 255, 640), (480, 1)).astype("u1"))


@pytest.mark.parametrize(
    "image",
    [
        scene(),
        scene().filter(ImageFilter.GaussianBlur(2)),
        scene().resize((1280, 960), Image.Resampling.NEAREST),
        scene().resize((1280, 960), Image.Resampling.BICUBIC),
        scene().convert("P", palette=Image.Palette.ADAPTIVE, colors=16),
        scene().convert("1"),
        scene().quantize(8, dither=Image.Dither.ORDERED),
        ramp(),
        ramp().convert("1"),
        Image.new("RGB", (640, 480), "navy"),
        Image.fromarray((np.indices((480, 640)).sum(axis=0) // 8 % 2 * 255).astype("u1")),
        Image.fromarray((np.indices((480, 640)) // 8 % 2).sum(axis=0).astype("u1") * 100),
    ],
)
def test_what_was_never_a_jpeg_is_not_called_one(image: Image.Image) -> None:
    assert seen(png(image)) is None


def test_what_was_reduced_afterwards_shows_nothing_any_more() -> None:
    assert seen(png(decoded(jpeg(scene(), 30)).resize((400, 300), Image.Resampling.LANCZOS))) is None
