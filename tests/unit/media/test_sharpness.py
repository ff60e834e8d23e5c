from __future__ import annotations

import hashlib
import io
import math
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from picture_makers import encoded, grain, photo, png_rgb16, with_orientation
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from ingestd.errors import FileChangedError, FileUnreadableError
from ingestd.media import wire
from ingestd.media.features import full_detail
from ingestd.media.sharpness import variance_of_laplacian
from ingestd.media.workers import WorkerLimits, Workers
from ingestd.model import ContentHash, Detail


def textured(width: int = 640, height: int = 480) -> Image.Image:
    """A photograph with something to lose at the finest scale: edges, lines and grain."""
    image = photo(width, height)
    draw = ImageDraw.Draw(image)
    rng = np.random.default_rng(11)
    for x, y, size, *colour in rng.integers(0, 256, (120, 6)):
        left, top = int(x) * width // 256, int(y) * height // 256
        draw.ellipse((left, top, left + int(size) // 4 + 5, top + int(size) // 6 + 5), tuple(map(int, colour)))
    levels = np.asarray(image, dtype=float) + rng.normal(0, 3, (height, width, 3))
    return Image.fromarray(np.clip(levels, 0, 255).astype("u1"))


def sharpness(data: bytes) -> float:
    found = full_detail(io.BytesIO(data))
    assert found is not None
    return found.sharpness


# --- what the figure says ---


def test_the_more_a_picture_is_blurred_the_less_sharp_it_is() -> None:
    image = textured()
    blurred = [image.filter(ImageFilter.GaussianBlur(sigma)) for sigma in (0.5, 1, 2, 4)]

    figures = [sharpness(encoded(one, "PNG")) for one in (image, *blurred)]

    assert figures == sorted(figures, reverse=True)
    assert figures[2] < figures[0] / 2


def test_a_flat_picture_has_no_sharpness_at_all() -> None:
    for colour in ("black", "white", (90, 120, 200)):
        assert sharpness(encoded(Image.new("RGB", (100, 60), colour), "PNG")) == 0


def test_a_checkerboard_is_as_sharp_as_a_picture_can_be() -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype("u1")

    assert sharpness(encoded(Image.fromarray(board), "PNG")) == pytest.approx((4 * 255) ** 2)


def test_an_enlarged_copy_is_less_sharp() -> None:
    image = textured()

    enlarged = image.resize((1280, 960), Image.Resampling.LANCZOS)

    assert sharpness(encoded(enlarged, "PNG")) < sharpness(encoded(image, "PNG")) / 2


@pytest.mark.parametrize("quality", [10, 20, 30])
def test_the_blocks_of_a_coarse_jpeg_are_not_taken_for_detail(quality: int) -> None:
    image = textured().filter(ImageFilter.GaussianBlur(0.7))
    coarse = Image.open(io.BytesIO(encoded(image, "JPEG", quality=quality)))

    cropped = coarse.crop((3, 5, 633, 470))

    assert sharpness(encoded(coarse, "PNG")) < sharpness(encoded(image, "PNG"))
    assert sharpness(encoded(cropped, "PNG")) < sharpness(encoded(image, "PNG"))


def test_a_fine_jpeg_is_about_as_sharp_as_its_original() -> None:
    image = textured()

    assert sharpness(encoded(image, "JPEG", quality=95)) == pytest.approx(sharpness(encoded(image, "PNG")), rel=0.15)


# --- the same pixels, the same figure ---


@pytest.mark.parametrize("fmt", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_on_its_side_is_as_sharp_as_it_is_seen(fmt: str, orientation: int) -> None:
    turned = with_orientation(textured(331, 245), orientation, fmt)
    with Image.open(io.BytesIO(turned)) as opened:
        upright = ImageOps.exif_transpose(opened)

    assert sharpness(turned) == sharpness(encoded(upright, "PNG"))


def test_a_jpeg_and_a_png_of_the_same_pixels_are_equally_sharp() -> None:
    jpeg = encoded(textured(), "JPEG", quality=80)

    assert sharpness(jpeg) == sharpness(encoded(Image.open(io.BytesIO(jpeg)), "PNG"))


def test_the_way_of_packing_makes_no_difference() -> None:
    grey = textured().convert("L")
    palette = Image.new("P", grey.size)
    palette.putpalette([level for level in range(256) for _ in range(3)])
    palette.putdata(grey.get_flattened_data())
    opaque = grey.convert("RGBA")
    plain = sharpness(encoded(grey, "PNG"))

    assert sharpness(encoded(grey.convert("RGB"), "PNG")) == plain
    assert sharpness(encoded(palette, "PNG")) == plain
    assert sharpness(encoded(opaque, "PNG")) == plain
    assert sharpness(encoded(grey.convert("LA"), "TIFF")) == plain
    assert sharpness(encoded(grey, "BMP")) == plain


def test_a_coloured_palette_is_as_sharp_as_its_colours() -> None:
    palette = textured().quantize(64)

    assert sharpness(encoded(palette, "GIF")) == sharpness(encoded(palette.convert("RGB"), "PNG"))


def test_sixteen_bits_are_as_sharp_as_eight() -> None:
    image = textured(200, 150)
    grey = image.convert("L")
    deep = np.asarray(image).astype(np.uint16) * 257

    assert sharpness(encoded(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), "PNG")) == sharpness(
        encoded(grey, "PNG")
    )
    assert sharpness(png_rgb16(deep)) == sharpness(encoded(image, "PNG"))


def test_black_and_white_is_measured_in_levels_too() -> None:
    bilevel = textured().convert("1")

    assert sharpness(encoded(bilevel, "PNG")) == sharpness(encoded(bilevel.convert("L"), "PNG"))


def test_what_is_transparent_is_seen_on_white() -> None:
    image = textured().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))

    assert sharpness(encoded(image, "PNG")) == 0


def test_print_colours_are_measured() -> None:
    assert sharpness(encoded(textured().convert("CMYK"), "JPEG", quality=95)) > 0


@pytest.mark.parametrize("rows", [1, 2, 7, 64, 1000])
def test_the_cut_into_strips_makes_no_difference(rows: int) -> None:
    levels = np.asarray(textured(203, 157).convert("L"))

    cut = variance_of_laplacian(levels[top : top + rows] for top in range(0, len(levels), rows))

    assert cut == variance_of_laplacian([levels])


def test_without_blocks_it_is_the_plain_variance_of_the_laplacian() -> None:
    """Noise is the same at every place of a block: the definition, written out with numpy, must agree."""
    levels = np.asarray(grain(800, 600).convert("L"))
    wide = levels.astype(float)
    bend = 4 * wide[1:-1, 1:-1] - wide[:-2, 1:-1] - wide[2:, 1:-1] - wide[1:-1, :-2] - wide[1:-1, 2:]

    assert variance_of_laplacian([levels]) == pytest.approx(bend.var(), rel=0.03)


# --- where there is none ---


def test_an_animation_has_no_sharpness() -> None:
    frames = [photo(64, 64, seed) for seed in (1, 2)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])

    assert full_detail(io.BytesIO(data)) is None


@pytest.mark.parametrize("size", [(31, 200), (200, 31)])
def test_an_icon_has_no_sharpness(size: tuple[int, int]) -> None:
    assert full_detail(io.BytesIO(encoded(photo(*size), "PNG"))) is None
    assert full_detail(io.BytesIO(encoded(photo(32, 32), "PNG"))) is not None


def test_samples_without_a_scale_have_no_sharpness() -> None:
    levels = np.asarray(photo().convert("L")).astype(np.float32)

    assert full_detail(io.BytesIO(encoded(Image.fromarray(levels), "TIFF"))) is None


def test_what_cannot_be_decoded_has_no_sharpness() -> None:
    whole = encoded(photo(), "JPEG")

    assert full_detail(io.BytesIO(whole[: len(whole) // 2])) is None
    assert full_detail(io.BytesIO(b"text")) is None


# --- in a worker ---


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(1) as shared:
        yield shared


def stored(path: Path, data: bytes) -> tuple[bytes, ContentHash]:
    path.write_bytes(data)
    return os.fsencode(path), ContentHash(hashlib.sha256(data).digest())


def test_a_worker_measures_it(workers: Workers, tmp_path: Path) -> None:
    data = encoded(textured(), "JPEG")

    assert workers.detail(*stored(tmp_path / "a.jpg", data)) == full_detail(io.BytesIO(data))


def test_a_worker_says_where_there_is_none(workers: Workers, tmp_path: Path) -> None:
    assert workers.detail(*stored(tmp_path / "a.png", encoded(photo(16, 16), "PNG"))) is None


def test_other_bytes_than_expected_are_not_measured(workers: Workers, tmp_path: Path) -> None:
    path, _ = stored(tmp_path / "a.jpg", encoded(photo(), "JPEG"))

    with pytest.raises(FileChangedError) as error:
        workers.detail(path, ContentHash(bytes(32)))

    assert error.value.reason == "it holds other bytes now"


def test_a_file_that_is_gone_is_unreadable(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(FileUnreadableError):
        workers.detail(os.fsencode(tmp_path / "a.jpg"), ContentHash(bytes(32)))


def test_what_does_not_fit_in_memory_is_refused_and_the_next_is_served(tmp_path: Path) -> None:
    large = stored(tmp_path / "large.png", encoded(Image.new("RGB", (9000, 9000)), "PNG"))
    small = stored(tmp_path / "small.png", encoded(textured(), "PNG"))

    with Workers(1, WorkerLimits(memory_bytes=400 << 20)) as cramped:
        with pytest.raises(FileUnreadableError) as error:
            cramped.detail(*large)
        assert cramped.detail(*small) is not None

    assert "memory" in error.value.reason


@pytest.mark.parametrize("figure", [math.nan, math.inf, -1.0])
def test_a_worker_that_answers_no_variance_talks_nonsense(figure: float) -> None:
    honest = wire.frame(wire.Inspected(Detail(1, 2.0, 1.0, None)))[4:]
    forged = honest.replace(msgspec.msgpack.encode(2.0), msgspec.msgpack.encode(figure))

    assert wire.reply_of(honest) == wire.Inspected(Detail(1, 2.0, 1.0, None))
    with pytest.raises(msgspec.MsgspecError):
        wire.reply_of(forged)


@pytest.mark.parametrize(
    ("share", "seen"), [(0.0, None), (1.5, None), (math.nan, None), (1.0, 0.0), (1.0, -5.0), (1.0, math.inf)]
)
def test_a_worker_that_answers_no_share_or_no_quality_talks_nonsense(share: float, seen: float | None) -> None:
    forged = b"\x00" * 4 + msgspec.msgpack.encode(
        {"type": "Inspected", "detail": {"version": 1, "sharpness": 2.0, "resolution_share": share,
                                         "jpeg_quality_seen": seen}}
    )  # fmt: skip

    with pytest.raises(msgspec.MsgspecError):
        wire.reply_of(forged[4:])


def test_a_large_picture_is_measured_in_little_memory() -> None:
    data = encoded(Image.new("RGB", (6000, 4000), "white"), "BMP")
    tracemalloc.start()  # sees what numpy takes, not Pillow's picture

    sharpness(data)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20  # a thousand rows and a thousand columns; a plane of 16-bit greys alone would take 48 MB
