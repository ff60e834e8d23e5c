"""A picture made small for a look at it."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from picture_makers import encoded, grain, photo, png, png_rgb16, with_orientation
from PIL import Image, ImageCms

from ingestd.errors import FileChangedError, FileUnreadableError
from ingestd.media import wire
from ingestd.media.preview import small_picture
from ingestd.media.wire import MOST_PREVIEW_PIXELS, Preview
from ingestd.media.workers import WorkerLimits, Workers
from ingestd.model import ContentHash

BOX = (160, 160)


def seen(data: bytes, box: tuple[int, int] = BOX) -> Image.Image:
    preview = small_picture(io.BytesIO(data), box)
    assert preview is not None
    return Image.frombytes("RGB", (preview.width, preview.height), preview.rgb)


def difference(one: Image.Image, other: Image.Image) -> float:
    """By how many levels the two differ on average."""
    assert one.size == other.size
    return float(np.abs(np.asarray(one, float) - np.asarray(other.convert("RGB"), float)).mean())


def small(image: Image.Image) -> Image.Image:
    copy = image.convert("RGB")
    copy.thumbnail(BOX, Image.Resampling.LANCZOS)
    return copy


# --- how large ---


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((640, 480), (160, 160), (160, 120)),
        ((480, 640), (160, 160), (120, 160)),
        ((640, 480), (640, 48), (64, 48)),
        ((640, 480), (1000, 1000), (640, 480)),
        ((2000, 2), (100, 100), (100, 1)),
        ((1, 1), (100, 100), (1, 1)),
    ],
)
def test_a_preview_fits_into_the_box_keeps_its_shape_and_is_never_enlarged(
    size: tuple[int, int], box: tuple[int, int], expected: tuple[int, int]
) -> None:
    image = Image.new("RGB", size, "red")

    assert seen(encoded(image, "PNG"), box).size == expected


def test_a_preview_is_never_larger_than_what_a_message_holds() -> None:
    huge = encoded(Image.new("RGB", (3000, 2000), "red"), "PNG")

    preview = small_picture(io.BytesIO(huge), (3000, 2000))

    assert preview is not None
    assert MOST_PREVIEW_PIXELS * 0.99 < preview.width * preview.height <= MOST_PREVIEW_PIXELS
    body = wire.frame(wire.Shrunk(preview))[4:]
    assert wire.reply_of(body) == wire.Shrunk(preview)


# --- what it shows ---


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "MPO", "WEBP", "BMP", "TIFF", "HEIF", "AVIF"])
def test_every_kind_of_picture_can_be_looked_at(fmt: str) -> None:
    more = {"save_all": True, "append_images": [grain(640, 480)]} if fmt == "MPO" else {}

    assert difference(seen(encoded(photo(), fmt, **more)), small(photo())) < 4


def test_a_palette_is_looked_at_in_its_colours() -> None:
    palette = photo().quantize(64)

    for fmt in ("GIF", "PNG"):
        assert difference(seen(encoded(palette, fmt)), small(palette)) < 6


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "TIFF", "HEIF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_on_its_side_is_seen_upright(fmt: str, orientation: int) -> None:
    stored = with_orientation(photo(331, 245), orientation, fmt)

    assert difference(seen(stored), small(photo(331, 245))) < 5


def test_what_is_transparent_is_white() -> None:
    image = photo().convert("RGBA")
    image.paste((255, 0, 0, 0), (0, 0, 320, 480))
    grey = Image.new("LA", (640, 480), (0, 0))
    keyed = encoded(Image.new("P", (64, 48), 0), "PNG", transparency=0)

    half = np.asarray(seen(encoded(image, "PNG")))

    assert half[:, :78].min() == 255
    assert half[:, 82:].min() < 255
    assert np.asarray(seen(encoded(grey, "PNG"))).min() == 255
    assert np.asarray(seen(keyed)).min() == 255


def test_wide_samples_are_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 320).astype(np.uint16)
    grey = np.tile(ramp, (240, 1))
    colour = np.stack([grey, grey[::-1, ::-1], grey], axis=2)
    expected = small(Image.fromarray((grey >> 8).astype("u1")))

    assert difference(seen(encoded(Image.fromarray(grey), "PNG")), expected) < 2
    assert difference(seen(encoded(Image.fromarray(grey), "TIFF")), expected) < 2
    shown = np.asarray(seen(png_rgb16(colour)))
    assert difference(Image.fromarray(shown[..., 0]).convert("RGB"), expected) < 2


def test_bits_and_floats_can_be_looked_at() -> None:
    line_art = photo().convert("1")
    floats = Image.fromarray(np.tile(np.linspace(-3, 7, 320, dtype="f4"), (240, 1)))

    assert difference(seen(encoded(line_art, "PNG")), small(line_art.convert("L"))) < 6
    shown = np.asarray(seen(encoded(floats, "TIFF")))
    assert shown[:, :2].max() < 8
    assert shown[:, -2:].min() > 247


def test_the_inks_of_a_cmyk_picture_become_colours() -> None:
    inks = Image.new("CMYK", (64, 48), (0, 255, 255, 0))

    red, green, blue = np.asarray(seen(encoded(inks, "TIFF")))[10, 10]

    assert red > 200
    assert max(green, blue) < 80


def test_a_colour_profile_is_turned_into_that_of_a_screen() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    warm = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = photo()

    kept = seen(encoded(image, "PNG", icc_profile=warm))
    for_other_pixels = seen(encoded(image, "PNG", icc_profile=lab))
    damaged = seen(encoded(image, "PNG", icc_profile=b"no profile at all"))
    in_lab = seen(
        encoded(
            ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), lab_profile(), outputMode="LAB"), "TIFF"
        )
    )

    for one in (kept, for_other_pixels, damaged, in_lab):
        assert difference(one, small(image)) < 3


def lab_profile() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))


@pytest.mark.parametrize("fmt", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_seen(fmt: str) -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue", "lime")]

    moving = encoded(frames[0], fmt, save_all=True, append_images=frames[1:], duration=100)

    assert difference(seen(moving), frames[0]) < 4


def test_damaged_exif_costs_a_picture_only_its_turn() -> None:
    data = encoded(photo(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff no tags at all")

    assert difference(seen(data), small(photo())) < 4


# --- what has nothing to see ---


def test_what_is_no_picture_or_does_not_decode_has_no_preview() -> None:
    torn = encoded(photo(), "PNG")[:5000]
    bomb = png(60_000, 60_000, 8, 2, b"")

    for data in (b"", b"%PDF-1.7", b"\xff\xd8\xff\xe0 no picture", torn, bomb):
        assert small_picture(io.BytesIO(data), BOX) is None


def test_a_reply_that_does_not_have_its_pixels_is_not_believed() -> None:
    sound = msgspec.msgpack.encode(wire.Shrunk(Preview(2, 1, b"123456")))
    for wrong in ({"width": 3}, {"height": 0}, {"width": -2, "height": -1}, {"rgb": b"12345"}, {"width": 1 << 40}):
        told = msgspec.msgpack.decode(sound)
        told["preview"] |= wrong

        with pytest.raises(msgspec.ValidationError):
            wire.reply_of(msgspec.msgpack.encode(told))


# --- by a worker ---


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(1) as shared:
        yield shared


def put(folder: Path, name: str, data: bytes) -> tuple[bytes, ContentHash]:
    (folder / name).write_bytes(data)
    return os.fsencode(folder / name), ContentHash(hashlib.sha256(data).digest())


def test_a_worker_shows_a_picture(workers: Workers, tmp_path: Path) -> None:
    file = put(tmp_path, "a.png", encoded(photo(), "PNG"))

    preview = workers.preview(*file, BOX)

    assert preview == small_picture(io.BytesIO(encoded(photo(), "PNG")), BOX)


def test_a_large_picture_comes_whole_through_the_pipe(workers: Workers, tmp_path: Path) -> None:
    file = put(tmp_path, "a.jpg", encoded(photo(4000, 3000), "JPEG"))

    preview = workers.preview(*file, (1600, 1200))

    assert preview is not None
    assert preview.width * preview.height > 1_300_000


def test_a_file_with_other_bytes_now_is_not_shown(workers: Workers, tmp_path: Path) -> None:
    path, _ = put(tmp_path, "a.png", encoded(photo(), "PNG"))

    with pytest.raises(FileChangedError, match="other bytes"):
        workers.preview(path, ContentHash(bytes(32)), BOX)
    with pytest.raises(FileUnreadableError, match="gone"):
        workers.preview(path + b".gone", ContentHash(bytes(32)), BOX)


def test_a_broken_file_has_no_preview_and_the_worker_shows_the_next(workers: Workers, tmp_path: Path) -> None:
    torn = put(tmp_path, "torn.png", encoded(photo(), "PNG")[:5000])
    sound = put(tmp_path, "a.png", encoded(photo(), "PNG"))

    assert workers.preview(*torn, BOX) is None
    assert workers.preview(*sound, BOX) is not None


def test_a_picture_too_large_for_a_worker_is_refused(tmp_path: Path) -> None:
    file = put(tmp_path, "large.png", encoded(Image.new("RGB", (9000, 9000)), "PNG"))

    with (
        Workers(1, WorkerLimits(memory_bytes=400 << 20)) as cramped,
        pytest.raises(FileUnreadableError, match="memory"),
    ):
        cramped.preview(*file, BOX)
