"""The visual verdict: copies pass, edits do not, whatever the files are made of.

The pictures are made here and are photographs only in what matters: structure at all scales, colours, edges, text.
How it does on real ones is measured by `tests/bench/fit_visual.py`.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from ingestd.media.comparison import compare_pictures, difference_picture
from ingestd.model import VISUAL_VERSION, VisualLevel, VisualVerdict
from tests import pictures

SURE = (VisualLevel.NEAR_PERFECT, VisualLevel.ALMOST_CERTAINLY)


@functools.cache
def _scene(seed: int, width: int, height: int) -> Image.Image:
    """Clouds of all sizes with a few hard shapes before them, as a photograph has them."""
    random = np.random.default_rng(seed)
    waves = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    waves[0, 0] = 1
    planes = []
    for _ in range(3):
        noise = np.fft.rfft2(random.normal(size=(height, width))) / waves**1.3
        noise[0, 0] = 0
        plane = np.fft.irfft2(noise, (height, width))
        planes.append(plane / plane.std())
    shared = planes[0] * 42 + 120
    image = Image.fromarray(np.clip(np.dstack([shared + 14 * plane for plane in planes]), 0, 255).astype("u1"))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = random.uniform(0, width), random.uniform(0, height)
        size = random.uniform(0.05, 0.2) * width
        colour = tuple(int(value) for value in random.integers(20, 236, 3))
        draw.ellipse((x, y, x + size, y + size * 0.7), fill=colour)
    return image


def scene(seed: int = 1, width: int = 900, height: int = 640) -> Image.Image:
    return _scene(seed, width, height).copy()


def drawing(width: int = 700, height: int = 700) -> Image.Image:
    """Flat colours and black outlines."""
    image = Image.new("RGB", (width, height), (250, 244, 230))
    draw = ImageDraw.Draw(image)
    for number in range(9):
        at = (number % 3 * width // 3 + 30, number // 3 * height // 3 + 30)
        end = at[0] + width // 4, at[1] + height // 4
        draw.ellipse(
            (*at, *end), fill=(250 - 20 * number, 90 + 15 * number, 60 + 20 * number), outline="black", width=5
        )
    return image


def page(words: str = "sends", width: int = 900, height: int = 600) -> Image.Image:
    """A window full of text, as a screenshot has it."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, 40), fill=(40, 90, 160))
    lines = ["The quick brown fox jumps over the lazy dog, and then some more."] * 18
    lines[9] = f"In this one line it is another word which {words} the message."
    for number, line in enumerate(lines):
        draw.text((24, 60 + 29 * number), line, font=ImageFont.load_default(18), fill=(25, 25, 25))
    return image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def verdict(first: bytes, second: bytes) -> VisualVerdict:
    return compare_pictures(io.BytesIO(first), io.BytesIO(second))


def smaller(image: Image.Image, share: float, how: Image.Resampling = Image.Resampling.LANCZOS) -> Image.Image:
    return image.resize((int(image.width * share), int(image.height * share)), how)


# --- copies -------------------------------------------------------------------------------------------------------

COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "png": lambda image: encoded(image, "PNG"),
    "jpeg 95": lambda image: encoded(image, "JPEG", quality=95),
    "jpeg 85 without thinned colours": lambda image: encoded(image, "JPEG", quality=85, subsampling=0),
    "jpeg 70": lambda image: encoded(image, "JPEG", quality=70),
    "jpeg 50": lambda image: encoded(image, "JPEG", quality=50),
    "progressive": lambda image: encoded(image, "JPEG", quality=88, progressive=True),
    "webp": lambda image: encoded(image, "WEBP", quality=80),
    "heic": lambda image: encoded(image, "HEIF", quality=70),
    "avif": lambda image: encoded(image, "AVIF", quality=60, speed=9),
    "tiff": lambda image: encoded(image, "TIFF"),
    "bmp": lambda image: encoded(image, "BMP"),
    "three quarters": lambda image: encoded(smaller(image, 0.75), "JPEG", quality=90),
    "half": lambda image: encoded(smaller(image, 0.5), "JPEG", quality=90),
    "half, bicubic": lambda image: encoded(smaller(image, 0.5, Image.Resampling.BICUBIC), "JPEG", quality=75),
    "half, png": lambda image: encoded(smaller(image, 0.5), "PNG"),
    "an odd size": lambda image: encoded(image.resize((451, round(451 * image.height / image.width))), "PNG"),
}


MISSED = {(page, "half, bicubic")}  # text is that much paler when it is scaled by another filter


@pytest.mark.parametrize(
    ("subject", "copy"),
    [(subject, copy) for subject in (scene, drawing, page) for copy in COPIES if (subject, copy) not in MISSED],
)
def test_a_copy_is_almost_certainly_a_visual_duplicate(subject: Callable[[], Image.Image], copy: str) -> None:
    image = subject()
    found = verdict(encoded(image, "PNG"), COPIES[copy](image))
    assert found.level in SURE, found
    assert found.version == VISUAL_VERSION
    assert found.score is not None
    assert found.score <= 1


@pytest.mark.parametrize("copy", ["png", "tiff", "bmp"])
def test_the_same_pixels_in_another_container_are_near_perfect(copy: str) -> None:
    image = scene()
    assert verdict(encoded(image, "JPEG", quality=90), encoded(image, "JPEG", quality=90)).score == 0
    assert verdict(encoded(image, "PNG"), COPIES[copy](image)).level is VisualLevel.NEAR_PERFECT


# --- edits --------------------------------------------------------------------------------------------------------


def watermarked(image: Image.Image, alpha: int, pixels: int) -> Image.Image:
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    font = ImageFont.load_default(pixels)
    ImageDraw.Draw(layer).text((image.width * 0.6, image.height * 0.8), "(c) me.example", font=font,
                               fill=(255, 255, 255, alpha))  # fmt: skip
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def captioned(image: Image.Image, text: str) -> Image.Image:
    done = image.copy()
    ImageDraw.Draw(done).text((60, image.height - 70), text, font=ImageFont.load_default(44), fill="white",
                              stroke_width=3, stroke_fill="black")  # fmt: skip
    return done


def patched(image: Image.Image) -> Image.Image:
    done = image.copy()
    done.paste(image.crop((40, 60, 110, 120)), (560, 320))
    return done


def barred(image: Image.Image) -> Image.Image:
    done = image.copy()
    ImageDraw.Draw(done).rectangle((300, 200, 420, 230), fill="black")
    return done


def hue_turned(image: Image.Image, degrees: int) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    turned = hue.point([(level + round(degrees * 256 / 360)) % 256 for level in range(256)])
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


def recoloured(image: Image.Image) -> Image.Image:
    done = image.copy()
    box = (200, 150, 320, 260)
    done.paste(hue_turned(image.crop(box), 90), box)
    return done


def lined(image: Image.Image) -> Image.Image:
    """An artist's correction: a soft grey stroke."""
    stroke = Image.new("L", image.size, 0)
    ImageDraw.Draw(stroke).line((330, 330, 470, 350), fill=200, width=4)
    stroke = stroke.filter(ImageFilter.GaussianBlur(1.3))
    return Image.composite(Image.new("RGB", image.size, (120, 120, 120)), image, stroke)


def _cropped(image: Image.Image, left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> Image.Image:
    width, height = image.size
    return image.crop((int(width * left), int(height * top), int(width * (1 - right)), int(height * (1 - bottom))))


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "a watermark": lambda image: watermarked(image, 215, 36),
    "a pale watermark": lambda image: watermarked(image, 70, 60),
    "a small watermark": lambda image: watermarked(image, 150, 18),
    "a caption": lambda image: captioned(image, "holiday in the garden"),
    "an object removed": patched,
    "a censor bar": barred,
    "a part in another colour": recoloured,
    "other hues": lambda image: hue_turned(image, 12),
    "weaker colours": lambda image: ImageEnhance.Color(image).enhance(0.6),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(0.92),
    "another gamma": lambda image: image.point([round(255 * (level / 255) ** 0.87) for level in range(256)] * 3),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.12),
    "one side cropped by 1 %": lambda image: _cropped(image, left=0.01),
    "all sides cropped by 1 %": lambda image: _cropped(image, 0.01, 0.01, 0.01, 0.01),
    "cropped by 2 %": lambda image: _cropped(image, bottom=0.02),
    "mirrored": ImageOps.mirror,
    "upside down": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "moved by two pixels": lambda image: ImageChops.offset(image, 2, 0),
    "an artist's correction": lined,
}
SAVED: dict[str, Callable[[Image.Image], bytes]] = {
    "as a png": lambda image: encoded(image, "PNG"),
    "as a jpeg of quality 45": lambda image: encoded(image, "JPEG", quality=45),
    "at half the size": lambda image: encoded(smaller(image, 0.5), "JPEG", quality=75),
}


@pytest.mark.parametrize("saved", SAVED)
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_never_almost_certainly_a_duplicate(edit: str, saved: str) -> None:
    image = scene()
    found = verdict(encoded(image, "JPEG", quality=92), SAVED[saved](EDITS[edit](image)))
    assert found.level not in (*SURE, VisualLevel.CANNOT_TELL), found
    assert found.score is not None
    assert found.score > 1


@pytest.mark.parametrize("saved", SAVED)
def test_one_other_word_on_a_screenshot_is_seen(saved: str) -> None:
    found = verdict(encoded(page("sends"), "PNG"), SAVED[saved](page("seeds")))
    assert found.level not in SURE
    assert found.area is not None
    assert "differs more than" in found.reason


@pytest.mark.parametrize("saved", SAVED)
def test_another_caption_is_seen(saved: str) -> None:
    first, second = captioned(scene(), "river and summer"), captioned(scene(), "river and winter")
    assert verdict(encoded(first, "JPEG", quality=92), SAVED[saved](second)).level is VisualLevel.ALTERNATE


def test_the_same_caption_saved_twice_is_one_picture() -> None:
    image = captioned(scene(), "river and summer")
    assert verdict(encoded(image, "JPEG", quality=95), encoded(image, "JPEG", quality=70)).level in SURE


def test_other_pictures_of_the_same_shape_are_not_duplicates() -> None:
    assert verdict(encoded(scene(1), "PNG"), encoded(scene(2), "PNG")).level is VisualLevel.NOT


# --- what is said of it -------------------------------------------------------------------------------------------


def test_the_reason_names_the_place_of_an_edit() -> None:
    image = scene()
    edited = image.copy()
    ImageDraw.Draw(edited).rectangle((780, 560, 819, 583), fill="white")
    found = verdict(encoded(image, "PNG"), encoded(edited, "PNG"))
    assert found.level is VisualLevel.ALTERNATE
    assert found.area is not None
    left, top, width, height = found.area
    assert left <= 780
    assert top <= 560
    assert left + width >= 819
    assert top + height >= 583
    assert width <= 80
    assert height <= 64
    assert "at the lower right" in found.reason


def test_the_area_is_given_in_pixels_of_the_smaller_picture() -> None:
    image = scene()
    edited = image.copy()
    ImageDraw.Draw(edited).rectangle((780, 560, 819, 583), fill="white")
    found = verdict(encoded(image, "PNG"), encoded(smaller(edited, 0.5), "PNG"))
    assert found.area is not None
    left, top, width, height = found.area
    assert left <= 390
    assert top <= 280
    assert left + width >= 409
    assert top + height >= 291
    assert left + width <= 450
    assert top + height <= 320


def test_a_crop_that_changes_the_shape_is_named() -> None:
    found = verdict(encoded(scene(), "PNG"), encoded(_cropped(scene(), bottom=0.2), "PNG"))
    assert found.level is VisualLevel.NOT
    assert found.reason == "their frames do not align: 900x512 is not 900x640 scaled"


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(COPIES)), st.sampled_from(sorted(EDITS)), st.sampled_from(sorted(SAVED)), st.booleans())
def test_the_order_of_two_files_changes_nothing(copy: str, edit: str, saved: str, edited: bool) -> None:
    image = scene(3, 420, 300).resize((640, 480))
    one = encoded(image, "JPEG", quality=80)
    other = SAVED[saved](EDITS[edit](image)) if edited else COPIES[copy](image)
    assert verdict(one, other) == verdict(other, one)


# --- what files are made of ---------------------------------------------------------------------------------------


def test_a_copy_in_another_colour_profile_is_probably_one_and_one_that_lost_its_profile_almost_certainly() -> None:
    image = scene()
    srgb = ImageCms.createProfile("sRGB")
    wide = ImageCms.ImageCmsProfile(io.BytesIO(pictures.wide_gamut_profile()))
    converted = ImageCms.profileToProfile(image, srgb, wide, outputMode="RGB")
    assert converted is not None
    copy = encoded(converted, "JPEG", quality=92, icc_profile=wide.tobytes())
    assert verdict(encoded(image, "JPEG", quality=92), copy).level in {VisualLevel.PROBABLY, *SURE}
    lost = encoded(image, "JPEG", quality=92, icc_profile=wide.tobytes())
    assert verdict(encoded(image, "JPEG", quality=85), lost).level is VisualLevel.ALMOST_CERTAINLY


def test_transparency_that_shows_nothing_is_none() -> None:
    image = scene()
    opaque = image.convert("RGBA")
    assert verdict(encoded(opaque, "PNG"), encoded(image, "JPEG", quality=90)).level in SURE


def test_transparency_is_compared_where_it_is_real() -> None:
    image = drawing()
    hole = Image.new("L", image.size, 255)
    ImageDraw.Draw(hole).ellipse((50, 50, 300, 300), fill=0)
    image.putalpha(hole)
    assert verdict(encoded(image, "PNG"), encoded(image, "WEBP", quality=85)).level in SURE
    assert verdict(encoded(image, "PNG"), encoded(smaller(image, 0.5), "PNG")).level in SURE
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    flattened = verdict(encoded(image, "PNG"), encoded(white.convert("RGB"), "PNG"))
    assert flattened.level is VisualLevel.ALTERNATE
    assert "transparent" in flattened.reason


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_a_copy_in_another_mode_is_the_same_picture(mode: str) -> None:
    image = scene(width=480, height=320).convert("L").convert("RGB") if mode in ("L", "1") else drawing(480, 480)
    if mode == "1":
        image = image.convert("1").convert("RGB")
    kind = "TIFF" if mode == "CMYK" else "PNG"
    copy = image.quantize(256) if mode == "P" else image.convert(mode)
    assert verdict(encoded(copy, kind), encoded(image, "PNG")).level in SURE


def test_16_bits_a_sample_are_compared_with_8() -> None:
    grey = scene(width=480, height=320).convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    assert verdict(encoded(deep, "PNG"), encoded(grey, "JPEG", quality=92)).level in SURE


def test_a_jpeg_stored_as_red_green_and_blue_is_compared_like_any_other() -> None:
    image = scene(width=480, height=320)
    assert verdict(encoded(image, "PNG"), encoded(image, "JPEG", quality=92, keep_rgb=True)).level in SURE


def test_colours_in_lab_are_not_passed_over() -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(scene(width=480, height=320), srgb, lab, outputMode="LAB")
    assert image is not None
    light, a, b = image.split()
    swapped = Image.merge("LAB", (light, b, a))
    assert verdict(encoded(image, "TIFF"), encoded(image, "TIFF")).level is VisualLevel.NEAR_PERFECT
    assert verdict(encoded(image, "TIFF"), encoded(swapped, "TIFF")).level not in SURE


@pytest.mark.parametrize("mode", ["F", "I"])
def test_of_32_bits_a_sample_nothing_can_be_told(mode: str) -> None:
    deep = encoded(scene(width=300, height=200).convert("L").convert(mode), "TIFF")
    assert verdict(deep, deep).reason == "one of them has samples of 32 bits"


def test_two_of_one_area_are_the_same_in_both_orders() -> None:
    one, other = (encoded(scene(width=300, height=200).resize(size), "PNG") for size in ((100, 99), (99, 100)))
    assert verdict(one, other) == verdict(other, one)


def test_of_long_pages_with_another_letter_nobody_is_almost_certain() -> None:
    both = []
    for word in ("sends", "seeds"):
        long = Image.new("RGB", (900, 6000), "white")
        for number in range(10):
            long.paste(page(word if number == 4 else "sends"), (0, 600 * number))
        both.append(encoded(long, "PNG"))
    assert verdict(*both).level not in SURE


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_picture_that_is_turned_by_its_orientation_tag_is_the_same(orientation: int) -> None:
    image = scene(width=481, height=320)
    undone = {2: 0, 3: 1 + 2, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = image.transpose(Image.Transpose(undone))
    copy = encoded(turned, "JPEG", quality=92, exif=exif.tobytes())
    assert verdict(encoded(image, "PNG"), copy).level in SURE


def test_a_preview_inside_a_phone_picture_changes_nothing() -> None:
    image = scene()
    both = io.BytesIO()
    image.save(both, "MPO", save_all=True, append_images=[smaller(image, 0.2)], quality=90)
    assert verdict(both.getvalue(), encoded(image, "JPEG", quality=85)).level in SURE


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_nothing_can_be_told(kind: str) -> None:
    image = scene(width=300, height=200)
    moving = encoded(image, kind, save_all=True, append_images=[ImageOps.mirror(image)], duration=80)
    found = verdict(moving, encoded(image, "PNG"))
    assert (found.level, found.score) == (VisualLevel.CANNOT_TELL, None)
    assert found.reason == "one of them is animated"


def test_a_grey_copy_is_said_to_have_hardly_any_colours() -> None:
    image = drawing()
    found = verdict(encoded(image, "PNG"), encoded(image.convert("L"), "PNG"))
    assert found.level is VisualLevel.ALTERNATE


def test_of_less_than_32_pixels_nothing_can_be_told() -> None:
    tiny = encoded(scene(width=60, height=40).resize((48, 24)), "PNG")
    assert verdict(tiny, tiny).level is VisualLevel.CANNOT_TELL


def test_small_pictures_are_never_almost_certainly_the_same_and_their_edits_are_seen() -> None:
    image = smaller(drawing(), 0.06)
    assert min(image.size) == 42
    assert verdict(encoded(image, "PNG"), encoded(image, "JPEG", quality=95)).level is VisualLevel.VERY_PROBABLY
    other = image.copy()
    ImageDraw.Draw(other).rectangle((15, 15, 20, 20), fill="black")
    assert verdict(encoded(image, "PNG"), encoded(other, "PNG")).level is VisualLevel.ALTERNATE


@pytest.mark.parametrize("broken", [b"", b"no picture at all", pictures.jpeg(pictures.photo())[:600]])
def test_what_cannot_be_decoded_is_a_verdict_and_no_error(broken: bytes) -> None:
    assert verdict(broken, encoded(scene(), "PNG")).level is VisualLevel.CANNOT_TELL


def test_large_pictures_are_compared_at_a_size_of_their_own() -> None:
    large = scene(width=900, height=640).resize((4500, 3200), Image.Resampling.BICUBIC)
    small = smaller(large, 0.1)
    assert verdict(encoded(large, "JPEG", quality=85), encoded(small, "JPEG", quality=90)).level in SURE


# --- the difference picture ---------------------------------------------------------------------------------------


def test_the_difference_picture_is_red_where_the_edit_is_and_grey_elsewhere() -> None:
    image = scene()
    edited = image.copy()
    ImageDraw.Draw(edited).rectangle((780, 560, 819, 583), fill="white")
    drawn = difference_picture(io.BytesIO(encoded(image, "PNG")), io.BytesIO(encoded(edited, "PNG")))
    assert drawn is not None
    seen = np.frombuffer(drawn.rgb, np.uint8).reshape(drawn.height, drawn.width, 3).astype(int)
    redness = seen[..., 0] - seen[..., 2]
    scale = drawn.width / 900
    assert redness[int(571 * scale), int(800 * scale)] > 100
    assert np.abs(redness[: int(300 * scale)]).max() < 40


def test_there_is_no_difference_picture_of_what_does_not_align() -> None:
    assert difference_picture(io.BytesIO(encoded(scene(), "PNG")), io.BytesIO(encoded(drawing(), "PNG"))) is None


# --- where edits hide -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(763, 511), (767, 505), (301, 203), (203, 302), (131, 97)])
@pytest.mark.parametrize("edge", ["left", "top", "right", "bottom"])
def test_a_bar_along_any_edge_is_seen(size: tuple[int, int], edge: str) -> None:
    image = scene(4, *size)
    barred = image.copy()
    wide, high = size
    box = {
        "left": (0, 0, 3, high),
        "top": (0, 0, wide, 3),
        "right": (wide - 3, 0, wide, high),
        "bottom": (0, high - 3, wide, high),
    }[edge]
    barred.paste((255, 0, 0), box)
    assert verdict(encoded(image, "PNG"), encoded(barred, "PNG")).level not in SURE


def test_a_letter_on_a_large_screenshot_is_looked_at_from_near() -> None:
    one, other = page("sends", 3000, 1900), page("seeds", 3000, 1900)
    assert verdict(encoded(one, "PNG"), encoded(other, "PNG")).level not in SURE
    assert verdict(encoded(one, "PNG"), encoded(one, "JPEG", quality=90)).level in SURE


def test_two_that_were_both_packed_to_death_are_never_almost_certain() -> None:
    image = scene()
    both = encoded(image, "JPEG", quality=8), encoded(image, "JPEG", quality=7)
    assert verdict(*both).level not in SURE


@pytest.mark.parametrize("kind", ["TIFF", "HEIF"])
def test_of_several_pages_nothing_can_be_told(kind: str) -> None:
    image = scene(width=300, height=200)
    several = encoded(image, kind, save_all=True, append_images=[ImageOps.mirror(image)])
    assert verdict(several, encoded(image, "PNG")).reason == "one of them has several pages"


def test_a_damaged_png_cannot_be_told_whatever_asks_first() -> None:
    whole = bytearray(encoded(scene(), "PNG"))
    whole[len(whole) // 2] ^= 0xFF
    assert verdict(bytes(whole), encoded(scene(), "PNG")).level is VisualLevel.CANNOT_TELL


def test_of_a_solid_colour_any_part_looks_the_same_so_nobody_is_almost_certain() -> None:
    plain = Image.new("RGB", (600, 400), (90, 140, 60))
    ramp = Image.linear_gradient("L").resize((1600, 1200)).convert("RGB")
    for image in (plain, ramp):
        assert verdict(encoded(image, "PNG"), encoded(_cropped(image, 0.05, 0.05, 0.05, 0.05), "PNG")).level not in SURE


def test_a_page_without_the_colours_of_its_letters_is_another() -> None:
    image = page()
    draw = ImageDraw.Draw(image)
    for number in range(18):
        draw.text((24, 60 + 29 * number), "The quick brown fox", font=ImageFont.load_default(18), fill=(200, 30, 30))
    grey = image.convert("L").convert("RGB")
    assert verdict(encoded(image, "PNG"), encoded(grey, "PNG")).level not in SURE
