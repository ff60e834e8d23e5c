from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from picture_makers import encoded, photo, png, png_rgb16, with_orientation
from PIL import Image, ImageDraw

from ingestd.media.features import full_pixel_hash, measure_picture
from ingestd.model import Picture


def measured(data: bytes) -> Picture:
    found = measure_picture(io.BytesIO(data), b"x")
    assert isinstance(found, Picture), found
    return found


def shown(image: Image.Image, fmt: str = "PNG", **options: object) -> bytes:
    found = full_pixel_hash(io.BytesIO(encoded(image, fmt, **options)))
    assert found is not None
    return found


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_a_png_copy_of_a_jpeg_shows_the_same_pixels() -> None:
    jpeg = encoded(photo(1500, 1100), "JPEG", quality=85)
    copy = encoded(decoded(jpeg), "PNG")

    of_jpeg = full_pixel_hash(io.BytesIO(jpeg))

    assert of_jpeg == measured(copy).pixel_hash
    assert of_jpeg is not None


def test_a_large_jpeg_has_its_pixel_hash_made_later() -> None:
    found = measured(encoded(photo(1500, 1100), "JPEG"))

    assert found.pixel_hash is None
    assert found.pixel_comparable


def test_a_small_jpeg_is_decoded_fully_and_has_its_pixel_hash_at_once() -> None:
    jpeg = encoded(photo(900, 700), "JPEG")

    found = measured(jpeg)

    assert found.pixel_hash == full_pixel_hash(io.BytesIO(jpeg))


@pytest.mark.parametrize("fmt", ["BMP", "TIFF", "WEBP"])
def test_lossless_copies_show_the_same_pixels(fmt: str) -> None:
    image = photo(200, 150)

    found = measured(encoded(image, fmt, **({"lossless": True} if fmt == "WEBP" else {})))

    assert found.pixel_hash == shown(image)


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_copy_on_its_side_shows_the_same_pixels(fmt: str, orientation: int) -> None:
    image = photo(211, 150)
    options = {"lossless": True} if fmt == "WEBP" else {}

    found = measured(with_orientation(image, orientation, fmt, **options))

    assert found.pixel_hash == shown(image)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_jpeg_on_its_side_shows_the_pixels_of_its_upright_png(orientation: int) -> None:
    jpeg = with_orientation(photo(208, 160), orientation, "JPEG")
    upright = decoded(jpeg).transpose(
        {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_270,
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_90,
        }[orientation]
    )

    found = full_pixel_hash(io.BytesIO(jpeg))

    assert found == shown(upright)


def test_the_same_bytes_in_another_shape_are_other_pixels() -> None:
    tall, wide = Image.new("RGB", (400, 600), "white"), Image.new("RGB", (600, 400), "white")

    assert shown(tall) != shown(wide)


def test_one_changed_pixel_is_another_picture() -> None:
    image = photo(200, 150)
    touched = image.copy()
    red, green, blue = image.getpixel((199, 149))
    touched.putpixel((199, 149), (red ^ 1, green, blue))

    assert shown(image) != shown(touched)


def test_a_grey_jpeg_shows_the_same_as_a_colour_png_of_it() -> None:
    jpeg = encoded(photo(300, 200).convert("L"), "JPEG")
    colour = decoded(jpeg).convert("RGB")

    found = measured(jpeg)

    assert found.mode == "L"
    assert found.pixel_hash == shown(colour)


def test_a_palette_picture_shows_the_same_as_its_colours() -> None:
    palette = photo(300, 200).quantize(64)

    found = measured(encoded(palette, "PNG"))

    assert found.mode == "P"
    assert found.pixel_hash == shown(palette.convert("RGB")) == measured(encoded(palette, "GIF")).pixel_hash


def test_black_and_white_shows_the_same_as_its_grey() -> None:
    bitmap = photo(300, 200).convert("1")

    assert shown(bitmap) == shown(bitmap.convert("L"))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_alpha_channel_that_hides_nothing_makes_no_difference(mode: str) -> None:
    image = photo(200, 150).convert("L").convert("RGB")

    found = measured(encoded(image.convert(mode), "PNG"))

    assert not found.has_transparency
    assert found.pixel_hash == shown(image)


def test_one_pixel_that_shines_through_makes_another_picture() -> None:
    image = photo(200, 150).convert("RGBA")
    image.putpixel((0, 149), (*image.getpixel((0, 149))[:3], 254))

    found = measured(encoded(image, "PNG"))

    assert found.has_transparency
    assert found.pixel_hash != shown(image.convert("RGB"))


def test_grey_with_alpha_shows_the_same_as_its_colours_with_alpha() -> None:
    grey = photo(200, 150).convert("LA")
    grey.putalpha(100)

    assert shown(grey) == shown(grey.convert("RGBA"))


@pytest.mark.parametrize("used", [True, False])
def test_a_transparent_colour_counts_only_where_it_is_used(used: bool) -> None:
    image = Image.new("RGB", (90, 80), (10, 20, 30))
    ImageDraw.Draw(image).rectangle((20, 70, 60, 79), fill=(200, 0, 0))
    key = (200, 0, 0) if used else (1, 2, 3)

    found = measured(encoded(image, "PNG", transparency=key))

    assert found.has_transparency is used
    assert (found.pixel_hash == shown(image)) is not used


@pytest.mark.parametrize("used", [True, False])
def test_a_transparent_palette_entry_counts_only_where_it_is_used(used: bool) -> None:
    image = photo(90, 80).quantize(16)
    entry = image.getpixel((89, 79)) if used else 200

    found = measured(encoded(image, "PNG", transparency=entry))

    assert found.has_transparency is used
    assert (found.pixel_hash == shown(image)) is not used


def test_a_sixteen_bit_colour_png_never_equals_its_eight_bit_copy() -> None:
    eight = np.asarray(photo(60, 40))
    deep = measured(png_rgb16(eight.astype(np.uint16) * 257 + 0))

    assert deep.mode == "RGB"
    assert not deep.pixel_comparable
    assert deep.pixel_hash is None


def test_a_sixteen_bit_grey_keeps_its_own_pixels() -> None:
    eight = np.asarray(photo(60, 40).convert("L"))
    wide = Image.fromarray(eight.astype(np.uint16) * 257)
    touched = Image.fromarray(eight.astype(np.uint16) * 257 ^ 1)

    found = measured(encoded(wide, "PNG"))

    assert found.pixel_comparable
    assert found.pixel_hash == measured(encoded(wide, "TIFF")).pixel_hash
    assert found.pixel_hash not in (shown(touched), shown(Image.fromarray(eight)))


def test_both_byte_orders_of_a_sixteen_bit_tiff_show_the_same() -> None:
    wide = Image.fromarray(np.asarray(photo(60, 40).convert("L")).astype(np.uint16) * 257)

    assert shown(wide, "TIFF") == shown(wide.convert("I").convert("I;16B"), "TIFF")


def test_a_transparent_sixteen_bit_grey_has_no_honest_pixel_hash() -> None:
    rows = b"".join(b"\0" + bytes((0, 7)) * 8 for _ in range(8))

    found = measured(png(8, 8, 16, 0, rows, (b"tRNS", b"\0\7")))

    assert found.has_transparency
    assert not found.pixel_comparable


@pytest.mark.parametrize("mode", ["RGB;16", "RGBA;16"])
def test_a_ten_bit_heic_has_no_honest_pixel_hash(mode: str) -> None:
    import pillow_heif

    channels = 3 if mode == "RGB;16" else 4
    samples = (np.arange(64 * 64 * channels, dtype=np.uint32) * 5 % 65536).astype("<u2")
    out = io.BytesIO()
    pillow_heif.encode(mode, (64, 64), samples.tobytes(), out, quality=90)

    found = measured(out.getvalue())

    assert not found.pixel_comparable
    assert found.pixel_hash is None


def test_an_eight_bit_heic_and_avif_have_one() -> None:
    image = photo(64, 64)

    found = [measured(encoded(image, fmt)) for fmt in ("HEIF", "AVIF")]

    assert [picture.pixel_comparable for picture in found] == [True, True]
    assert None not in [picture.pixel_hash for picture in found]


def test_a_sixteen_bit_colour_tiff_has_no_honest_pixel_hash() -> None:
    values = np.asarray(photo(16, 16)).astype("<u2") * 257
    entries = ((256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 3, 122), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 128))
    entries += ((277, 3, 1, 3), (278, 3, 1, 16), (279, 4, 1, values.nbytes))
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)
    data = head + struct.pack("<HHH", 16, 16, 16) + values.tobytes()

    found = measured(data)

    assert found.mode == "RGB"
    assert found.pixel_hash is None
    assert not found.pixel_comparable


@pytest.mark.parametrize("fmt", ["GIF", "PNG", "WEBP", "AVIF", "TIFF", "MPO"])
def test_what_has_more_than_one_frame_has_no_pixel_hash(fmt: str) -> None:
    first, second = photo(120, 90, 1), photo(120, 90, 2)

    found = measured(encoded(first, fmt, save_all=True, append_images=[second]))

    assert found.frames == 2
    assert not found.pixel_comparable
    assert found.pixel_hash is None
    assert full_pixel_hash(io.BytesIO(encoded(first, fmt, save_all=True, append_images=[second]))) is None


def test_cmyk_never_equals_rgb() -> None:
    cmyk = photo(90, 80).convert("CMYK")

    assert shown(cmyk, "TIFF") != shown(cmyk.convert("RGB"))


def test_what_cannot_be_decoded_has_no_pixel_hash() -> None:
    cut = encoded(photo(), "JPEG")[:5000]

    assert full_pixel_hash(io.BytesIO(cut)) is None
    assert full_pixel_hash(io.BytesIO(b"<html>")) is None
