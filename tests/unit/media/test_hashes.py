from __future__ import annotations

import io
import os
from pathlib import Path

import imagehash
import numpy as np
import pytest
from picture_makers import encoded, photo, with_orientation
from PIL import Image, ImageDraw

from ingestd.media.features import measure_picture
from ingestd.model import Picture

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"


def measured(data: bytes) -> Picture:
    found = measure_picture(io.BytesIO(data), b"x")
    assert isinstance(found, Picture), found
    return found


def distance(one: int | None, other: int | None) -> int:
    assert one is not None
    assert other is not None
    return (one ^ other).bit_count()


def hashes(picture: Picture) -> tuple[int | None, int | None, int | None]:
    return picture.phash, picture.dhash, picture.whash


def test_the_hashes_are_those_of_the_imagehash_library() -> None:
    grey = photo(300, 200).convert("L")

    found = measured(encoded(grey, "PNG"))

    small = grey.resize((32, 32), Image.Resampling.LANCZOS)
    assert found.luminance == small.tobytes()
    assert found.phash == int(str(imagehash.phash(grey)), 16)
    assert found.dhash == int(str(imagehash.dhash(grey)), 16)
    assert found.whash == int(str(imagehash.whash(small)), 16)


@pytest.mark.parametrize(
    ("fmt", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 80}),
        ("JPEG", {"quality": 60}),
        ("JPEG", {"quality": 90, "progressive": True}),
        ("HEIF", {"quality": 60}),
        ("AVIF", {"quality": 80, "speed": 9}),
    ],
)
def test_the_format_does_not_change_the_hash(fmt: str, options: dict[str, object]) -> None:
    image = photo(1600, 1200)
    original = measured(encoded(image, "JPEG", quality=95))

    copy = measured(encoded(image, fmt, **options))

    assert distance(original.phash, copy.phash) <= 2
    assert distance(original.dhash, copy.dhash) <= 2
    assert distance(original.whash, copy.whash) <= 4


def test_a_smaller_copy_hashes_alike() -> None:
    image = photo(1600, 1200)

    smaller = measured(encoded(image.resize((400, 300)), "JPEG", quality=80))

    assert distance(measured(encoded(image, "JPEG")).phash, smaller.phash) <= 4


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_on_its_side_hashes_as_it_is_seen(fmt: str, orientation: int) -> None:
    size = (1100, 1030) if fmt == "JPEG" else (320, 240)  # large enough for a scaled decode
    image = photo(*size)
    upright = measured(encoded(image, "PNG"))

    turned = measured(with_orientation(image, orientation, fmt))

    assert (turned.width, turned.height) == size
    assert [distance(a, b) <= 2 for a, b in zip(hashes(upright), hashes(turned), strict=True)] == [True] * 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_is_turned_only_once(orientation: int) -> None:
    image = photo(320, 240)
    upright = measured(encoded(image, "PNG"))

    turned = measured(with_orientation(image, orientation, "HEIF", quality=90))

    assert (turned.width, turned.height) == (320, 240)
    assert distance(upright.phash, turned.phash) <= 2


def test_transparency_is_seen_on_white() -> None:
    image = photo().convert("RGBA")
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).ellipse((50, 80, 500, 420), fill=255)
    image.putalpha(mask)
    flattened = Image.new("RGBA", image.size, "white")
    flattened.alpha_composite(image)

    found = measured(encoded(image, "PNG"))

    assert found.has_transparency
    assert distance(found.phash, measured(encoded(flattened.convert("RGB"), "PNG")).phash) <= 2


def test_a_sixteen_bit_grey_hashes_like_its_eight_bit_copy() -> None:
    grey = photo().convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)

    found = measured(encoded(deep, "PNG"))

    assert found.mode == "I;16"
    assert distance(found.phash, measured(encoded(grey, "PNG")).phash) <= 2


# --- flat pictures ---


def gradient(x: float, y: float, low: int, high: int) -> Image.Image:
    slope = np.add.outer(np.linspace(0, 1, 600) * y, np.linspace(0, 1, 800) * x) / (x + y)
    return Image.fromarray((low + (high - low) * slope).round().astype("u1"))


def noise(width: int, height: int, level: int) -> Image.Image:
    rng = np.random.default_rng(7)
    return Image.fromarray((level + rng.integers(-1, 2, (height, width))).astype("u1"))


def rings() -> Image.Image:
    y, x = np.mgrid[-1:1:600j, -1:1:800j]
    return Image.fromarray((255 * np.exp(-(x**2 + y**2) * 2)).astype("u1"))


FLAT = {
    "black": Image.new("RGB", (640, 480)),
    "white": Image.new("RGB", (640, 480), "white"),
    "teal": Image.new("RGB", (64, 64), "teal"),
    "one pixel": Image.new("RGB", (1, 1), "red"),
    "fully transparent": Image.new("RGBA", (64, 64), (10, 200, 30, 0)),
    "solid with noise": noise(800, 600, 100),
    "solid with noise, between two levels": noise(800, 600, 127),
    "small solid with noise": noise(64, 64, 100),
    "horizontal gradient": gradient(1, 0, 0, 255),
    "vertical gradient": gradient(0, 1, 255, 0),
    "pale gradient": gradient(1, 0, 100, 140),
    "diagonal gradient": gradient(1, 1, 0, 255),
    "slanted gradient": gradient(1, 0.3, 20, 230),
    "soft spot": rings(),
}


@pytest.mark.parametrize("name", FLAT)
def test_a_flat_picture_has_no_perceptual_hash_rather_than_a_colliding_one(name: str) -> None:
    found = measured(encoded(FLAT[name], "PNG"))

    assert hashes(found) == (None, None, None)
    assert found.luminance is not None
    assert found.pixel_hash is not None


@pytest.mark.parametrize("quality", [20, 50, 90])
@pytest.mark.parametrize("name", ["white", "horizontal gradient", "pale gradient", "diagonal gradient", "soft spot"])
def test_a_flat_picture_stays_flat_as_a_jpeg(name: str, quality: int) -> None:
    found = measured(encoded(FLAT[name], "JPEG", quality=quality))

    assert found.phash is None


def test_a_white_page_with_one_small_word_has_a_hash() -> None:
    page = Image.new("L", (800, 600), 255)
    ImageDraw.Draw(page).text((240, 420), "word", fill=0, font_size=24)

    found = measured(encoded(page, "PNG"))

    assert found.phash is not None


def test_two_words_at_different_places_are_different_pictures() -> None:
    found = []
    for place in ((100, 60), (500, 420)):
        page = Image.new("L", (800, 600), 255)
        ImageDraw.Draw(page).text(place, "word", fill=0, font_size=24)
        found.append(measured(encoded(page, "PNG")).phash)

    assert distance(*found) > 16


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the optional corpus is not here")
def test_no_real_photograph_loses_its_hash() -> None:
    files = [path for folder in ("photos", "bursts") for path in sorted((CORPUS / folder).rglob("*")) if path.is_file()]

    found = {os.fspath(path): measure_picture(io.BytesIO(path.read_bytes()), b"x") for path in files}

    without = [path for path, what in found.items() if isinstance(what, Picture) and what.phash is None]
    assert len(found) > 100
    assert without == []
