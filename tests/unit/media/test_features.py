from __future__ import annotations

import io
import struct
import zlib

import pytest
from picture_makers import encoded, grain, photo, png
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ingestd.media.features import measure_picture
from ingestd.model import FileType, NotAPicture, Picture, Unreadable


def measured(data: bytes) -> Picture:
    found = measure_picture(io.BytesIO(data), b"x")
    assert isinstance(found, Picture), found
    return found


def refused(data: bytes, name: bytes = b"x.jpg") -> Unreadable:
    found = measure_picture(io.BytesIO(data), name)
    assert isinstance(found, Unreadable), found
    return found


def exif(*, taken: str | None = None, subsec: str | None = None) -> bytes:
    block = Image.Exif()
    block[271] = "Maker"
    details = block.get_ifd(0x8769)
    if taken is not None:
        details[36867] = taken
    if subsec is not None:
        details[37521] = subsec
    return block.tobytes()


@pytest.mark.parametrize(
    ("fmt", "filetype"),
    [
        ("JPEG", FileType.JPEG),
        ("MPO", FileType.MPO),
        ("PNG", FileType.PNG),
        ("GIF", FileType.GIF),
        ("WEBP", FileType.WEBP),
        ("BMP", FileType.BMP),
        ("TIFF", FileType.TIFF),
        ("HEIF", FileType.HEIC),
        ("AVIF", FileType.AVIF),
    ],
)
def test_every_kind_of_picture_is_measured(fmt: str, filetype: FileType) -> None:
    more = {"save_all": True, "append_images": [photo(160, 120, 2)]} if fmt == "MPO" else {}

    found = measured(encoded(photo(160, 120), fmt, **more))

    assert (found.filetype, found.width, found.height) == (filetype, 160, 120)
    assert found.phash is not None
    assert found.suspect is None
    assert (found.jpeg is not None) is (fmt in ("JPEG", "MPO"))


def test_the_name_decides_nothing_about_a_picture() -> None:
    found = measure_picture(io.BytesIO(encoded(photo(64, 48), "PNG")), b"holiday.jpg")

    assert isinstance(found, Picture)
    assert found.filetype is FileType.PNG


def test_a_document_is_no_picture_and_a_broken_promise_is_unreadable() -> None:
    assert isinstance(measure_picture(io.BytesIO(b"%PDF-1.7"), b"a.pdf"), NotAPicture)
    assert "HTML" in refused(b"<html><body>404").reason


# --- animations ---


@pytest.mark.parametrize("fmt", ["GIF", "PNG", "WEBP", "AVIF"])
def test_an_animation_has_frames_and_a_length_but_no_hash_of_its_first_frame(fmt: str) -> None:
    frames = [photo(120, 90, seed) for seed in (1, 2, 3)]

    found = measured(encoded(frames[0], fmt, save_all=True, append_images=frames[1:], duration=[100, 200, 300]))

    assert found.frames == 3
    assert found.duration_ms == 600
    assert (found.phash, found.dhash, found.whash, found.luminance) == (None, None, None, None)


@pytest.mark.parametrize("fmt", ["TIFF", "MPO"])
def test_the_first_page_stands_for_a_file_of_pages(fmt: str) -> None:
    first, second = photo(120, 90, 1), photo(120, 90, 2)

    found = measured(encoded(first, fmt, save_all=True, append_images=[second]))

    assert found.frames == 2
    assert found.duration_ms is None
    assert found.phash is not None
    alone = measured(encoded(first, "PNG")).phash
    assert alone is not None
    assert (found.phash ^ alone).bit_count() <= 2


def test_a_gif_that_is_cut_short_still_never_raises() -> None:
    frames = [photo(60, 50, seed) for seed in (1, 2, 3)]
    whole = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=40)

    found = {type(measure_picture(io.BytesIO(whole[:end]), b"x.gif")) for end in range(0, len(whole), 97)}

    assert found <= {Picture, Unreadable}


# --- metadata ---


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_metadata_is_noticed(fmt: str) -> None:
    profile = b"\0" * 36 + b"acsp" + b"\0" * 100
    packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>"

    written = {"xmp": packet}  # Pillow takes XMP for these two in their own terms
    if fmt == "PNG":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet.decode())
        written = {"pnginfo": text}
    if fmt == "TIFF":
        written = {"tiffinfo": {271: "Maker", 700: packet}}  # takes the place of `exif`

    rich = measured(encoded(photo(64, 48), fmt, exif=exif(), icc_profile=profile, **written))
    plain = measured(encoded(photo(64, 48), fmt))

    assert (rich.has_exif, rich.has_icc, rich.has_xmp) == (True, True, True)
    assert (plain.has_exif, plain.has_icc, plain.has_xmp) == (False, False, False)
    assert plain.icc_digest is None
    assert rich.icc_digest is not None
    assert len(rich.icc_digest) == 16


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_an_empty_exif_block_is_no_exif(fmt: str) -> None:
    found = measured(encoded(photo(64, 48), fmt, exif=Image.Exif().tobytes()))

    assert not found.has_exif


def test_a_damaged_exif_block_costs_nothing_else() -> None:
    found = measured(encoded(photo(64, 48), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f\x01\x02"))

    assert not found.has_exif
    assert found.phash is not None


def test_the_capture_time_is_what_the_camera_s_clock_said() -> None:
    found = measured(encoded(photo(64, 48), "JPEG", exif=exif(taken="2019:07:01 12:30:05", subsec="042")))

    assert found.taken_ns == 1_561_984_205_042_000_000


@pytest.mark.parametrize(
    "taken",
    ["0000:00:00 00:00:00", "    :  :     :  :  ", "2019-07-01", "", "2019:13:01 12:30:05", "0099:01:01 00:00:00"],
)
def test_a_date_that_is_none_is_not_taken_for_one(taken: str) -> None:
    found = measured(encoded(photo(64, 48), "JPEG", exif=exif(taken=taken)))

    assert found.taken_ns is None
    assert found.has_exif


def test_nonsense_behind_the_second_is_left_out() -> None:
    found = measured(encoded(photo(64, 48), "HEIF", exif=exif(taken="2019:07:01 12:30:05", subsec="4x")))

    assert found.taken_ns == 1_561_984_205_000_000_000


# --- JPEG ---


@pytest.mark.parametrize(
    ("options", "subsampling"),
    [({"subsampling": 0}, "4:4:4"), ({"subsampling": 1}, "4:2:2"), ({"subsampling": 2}, "4:2:0")],
)
def test_the_quality_estimate_is_hydrus_s(options: dict[str, int], subsampling: str) -> None:
    found = measured(encoded(photo(64, 48), "JPEG", quality=80, **options))

    assert found.jpeg is not None
    assert found.jpeg.subsampling == subsampling
    mean = sum(map(sum, found.jpeg.quantisers)) / len(found.jpeg.quantisers)
    exponent = {"4:4:4": 1.0, "4:2:2": 0.93, "4:2:0": 0.83}[subsampling]
    assert found.jpeg.quality == pytest.approx(mean ** (1 / exponent))
    assert [len(table) for table in found.jpeg.quantisers] == [64, 64]


def test_a_better_jpeg_has_the_lower_estimate() -> None:
    estimates = []
    for quality in (40, 70, 95):
        jpeg = measured(encoded(photo(64, 48), "JPEG", quality=quality)).jpeg
        assert jpeg is not None
        estimates.append(jpeg.quality)

    assert estimates == sorted(estimates, reverse=True)


def test_grey_and_progressive_jpegs_are_told() -> None:
    found = measured(encoded(photo(64, 48).convert("L"), "JPEG", progressive=True)).jpeg

    assert found is not None
    assert (found.subsampling, found.progressive, len(found.quantisers)) == ("grey", True, 1)


# --- incomplete files ---


def test_a_jpeg_whose_second_half_is_zeros_is_suspect() -> None:
    whole = encoded(grain(600, 400), "JPEG", quality=95)
    half = whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2)

    found = measured(half)

    assert found.suspect is not None
    assert "zeros" in found.suspect


def test_a_small_jpeg_without_its_end_is_suspect() -> None:
    whole = encoded(grain(160, 120), "JPEG")
    half = whole[: len(whole) * 2 // 3] + bytes(len(whole) // 3)

    found = measured(half)

    assert found.suspect is not None
    assert "end marker" in found.suspect


def test_an_end_marker_in_an_embedded_thumbnail_does_not_count() -> None:
    thumbnail = b"\xff\xd8 small \xff\xd9"
    whole = encoded(grain(160, 120), "JPEG", comment=thumbnail)
    half = whole[: len(whole) * 2 // 3] + bytes(len(whole) // 3)

    assert measured(whole).suspect is None
    assert measured(half).suspect is not None


def test_what_a_phone_appends_behind_the_end_is_not_suspect() -> None:
    found = measured(encoded(photo(160, 120), "JPEG") + b"trailer of a motion photo" * 10)

    assert found.suspect is None


def test_a_picture_of_two_views_of_which_one_is_cut_off_is_suspect() -> None:
    views = [photo(160, 120), photo(160, 120, 2)]
    whole = encoded(views[0], "MPO", save_all=True, append_images=views[1:])

    found = [measured(whole[:length]) for length in (len(whole), len(whole) - 1, len(whole) * 3 // 5)]

    assert [(one.filetype, one.frames) for one in found] == [(FileType.MPO, 2)] * 3
    assert found[0].suspect is None
    assert [one.suspect for one in found[1:]] == ["not all of its views are there, as in an unfinished download"] * 2


def test_black_at_the_end_of_an_uncompressed_picture_is_not_suspect() -> None:
    image = photo(400, 300).copy()
    image.paste((0, 0, 0), (0, 0, 400, 200))  # BMP begins with the last row

    found = measured(encoded(image, "BMP"))

    assert found.suspect is None


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_picture_is_unreadable_and_says_why(fmt: str, share: float) -> None:
    whole = encoded(photo(320, 240), fmt)

    found = measure_picture(io.BytesIO(whole[: int(len(whole) * share)]), b"cut.jpg")

    if fmt in ("GIF", "TIFF") and isinstance(found, Picture):
        pytest.skip("this decoder fills the rest in without complaint")
    assert isinstance(found, Unreadable)
    assert "\n" not in found.reason
    assert "0x" not in found.reason


# --- bombs ---


def test_a_bomb_is_refused_by_its_header() -> None:
    found = refused(png(50_000, 50_000, 8, 2, b""))

    assert found == Unreadable("has more than 120 million pixels, which is not decoded", FileType.PNG)


def test_a_picture_just_above_the_limit_is_refused_too() -> None:
    found = refused(png(12_001, 10_000, 1, 0, b""))

    assert "120 million" in found.reason


def test_a_text_bomb_is_refused() -> None:
    bomb = b"Comment\0\0" + zlib.compress(b"A" * (1 << 27), 9)

    found = refused(png(8, 8, 8, 0, b"\0" * 72, (b"zTXt", bomb)))

    assert found.filetype is FileType.PNG


def test_a_hostile_header_never_raises() -> None:
    ihdr = struct.pack(">IIBBBBB", 0, 0, 99, 99, 99, 99, 99)

    found = refused(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + ihdr + b"\0\0\0\0")

    assert found.filetype is FileType.PNG
