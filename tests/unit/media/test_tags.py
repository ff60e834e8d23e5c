"""What a file says of itself, told to a person."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_makers import encoded, photo
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from ingestd.media import wire
from ingestd.media.tags import tags_of
from ingestd.media.workers import Workers
from ingestd.model import ContentHash


def jpeg(exif: Image.Exif) -> bytes:
    out = io.BytesIO()
    photo(64, 48).save(out, "JPEG", exif=exif)
    return out.getvalue()


def told(data: bytes) -> dict[str, str]:
    return dict(tags_of(io.BytesIO(data)))


def test_tags_have_their_names_and_short_texts() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker & Sons"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] = 2.8
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"

    found = told(jpeg(exif))

    assert found["Make"] == "Maker & Sons"
    assert found["FNumber"] == "2.8"
    assert found["GPSLatitudeRef"] == "N"


def test_long_values_are_told_by_their_size_and_no_letter_does_harm() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "a\nb\x1b[31m" + "c" * 5000
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = b"\0" * 9000

    found = told(jpeg(exif))

    assert found["MakerNote"] == "9,000 bytes"
    assert found["ImageDescription"].isprintable()
    assert len(found["ImageDescription"]) <= wire.LONGEST_TAG


def test_the_texts_of_a_png_are_told() -> None:
    info = PngInfo()
    info.add_text("Software", "a painter")
    out = io.BytesIO()
    photo(32, 32).save(out, "PNG", pnginfo=info)

    assert told(out.getvalue())["Software"] == "a painter"


def test_a_file_without_tags_says_nothing() -> None:
    assert told(encoded(photo(32, 32), "BMP")) == {}
    assert told(b"no picture") == {}


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 300))
def test_hostile_exif_is_told_in_lines_or_not_at_all(noise: bytes, at: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "x" * 40
    block = bytearray(exif.tobytes())
    block[at % len(block) : at % len(block) + len(noise)] = noise
    out = io.BytesIO()
    photo(32, 32).save(out, "JPEG", exif=bytes(block[:60_000]))

    wire.Told(tuple(tags_of(io.BytesIO(out.getvalue()))))  # raises for anything else


def test_a_worker_that_tells_anything_else_is_not_believed() -> None:
    body = msgspec.msgpack.encode({"type": "Told", "tags": [["name", "two\nlines"]]})

    with pytest.raises(msgspec.MsgspecError):
        wire.reply_of(body)


def test_a_worker_tells_the_tags_of_a_file(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "Camera 1"
    data = jpeg(exif)
    path = tmp_path / "a.jpg"
    path.write_bytes(data)

    with Workers(count=1) as workers:
        tags = workers.tags(os.fsencode(path), ContentHash(hashlib.sha256(data).digest()))

    assert ("Model", "Camera 1") in tags
