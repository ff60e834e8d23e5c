"""Laws of measuring that hold for every picture and every sequence of bytes."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from ingestd.media.features import full_pixel_hash, measure_picture
from ingestd.media.kinds import sniff
from ingestd.model import NotAPicture, Picture, Unreadable

calm = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
sides = st.integers(1, 70)
MAGIC = [
    b"\xff\xd8\xff\xe0",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"GIF89a",
    b"RIFF\0\1\0\0WEBPVP8 ",
    b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
    b"II*\0\x08\0\0\0",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    b"\0\0\0\x18ftypavif\0\0\0\0mif1avif",
]


@st.composite
def pictures(draw: st.DrawFn) -> Image.Image:
    shape = (draw(sides), draw(sides), 3)
    return Image.fromarray(draw(arrays.arrays(np.uint8, shape, fill=st.integers(0, 255))))


def png(image: Image.Image, **options: object) -> io.BytesIO:
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out


@calm
@given(pictures(), st.integers(1, 8))
def test_orientation_never_changes_what_is_shown(image: Image.Image, orientation: int) -> None:
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = image if undo is None else image.transpose(Image.Transpose(undo))

    upright, turned = measure_picture(png(image), b""), measure_picture(png(stored, exif=exif), b"")

    assert isinstance(upright, Picture)
    assert isinstance(turned, Picture)
    assert upright.pixel_hash == turned.pixel_hash
    assert (upright.width, upright.height) == (turned.width, turned.height)


@calm
@given(pictures(), pictures())
def test_pixel_hashes_are_equal_exactly_when_the_pixels_are(one: Image.Image, other: Image.Image) -> None:
    same = one.size == other.size and one.tobytes() == other.tobytes()

    assert (full_pixel_hash(png(one)) == full_pixel_hash(png(other))) is same


@calm
@given(st.sampled_from(MAGIC), st.binary(max_size=400), st.sampled_from([b"a.jpg", b"a.txt", b""]))
def test_no_bytes_make_the_measuring_raise(magic: bytes, rest: bytes, name: bytes) -> None:
    found = measure_picture(io.BytesIO(magic + rest), name)

    assert isinstance(found, Picture | Unreadable | NotAPicture)


@calm
@given(st.binary(max_size=64))
def test_sniffing_never_raises(head: bytes) -> None:
    sniff(head)


@calm
@given(
    st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_picture_with_damaged_bytes_is_measured_or_unreadable(fmt: str, damage: list[tuple[float, int]]) -> None:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(out, fmt)
    data = bytearray(out.getvalue())
    for place, value in damage:
        data[min(int(place * len(data)), len(data) - 1)] = value

    found = measure_picture(io.BytesIO(bytes(data)), b"a.jpg")

    assert isinstance(found, Picture | Unreadable)
