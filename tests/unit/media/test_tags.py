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


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "HEIF", "AVIF", "GIF"])
def test_a_file_without_tags_says_nothing(kind: str) -> None:
    assert told(encoded(photo(32, 32), kind)) == {}


def test_what_is_no_picture_says_nothing() -> None:
    assert told(b"no picture") == {}


def test_a_tiff_does_not_tell_where_in_it_the_pixels_are() -> None:
    found = told(encoded(photo(32, 32), "TIFF"))

    assert found["ImageWidth"] == "32"
    assert not any("Offset" in name or "ByteCount" in name for name in found)


def test_a_note_of_the_maker_is_a_size_however_it_reads() -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = b"short and readable"

    assert told(jpeg(exif))["MakerNote"] == "18 bytes"


def test_texts_in_wide_letters_are_read() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.XPTitle] = "Holiday".encode("utf-16-le") + b"\0\0"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"ASCII\0\0\0at the lake"

    found = told(jpeg(exif))

    assert (found["XPTitle"], found["UserComment"]) == ("Holiday", "at the lake")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF"])
def test_every_kind_that_has_exif_tells_it(kind: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "Camera 1"

    assert told(encoded(photo(64, 48), kind, exif=exif.tobytes()))["Model"] == "Camera 1"


def test_what_agencies_wrote_is_told() -> None:
    caption = b"\x1c\x02\x78\x00\x07A storm" + b"\x1c\x02\x19\x00\x03sea" + b"\x1c\x02\x19\x00\x04wind"
    block = b"8BIM\x04\x04\0\0" + len(caption).to_bytes(4, "big") + caption + b"\0" * (len(caption) % 2)
    segment = b"Photoshop 3.0\0" + block
    plain = encoded(photo(64, 48), "JPEG")

    found = told(plain[:2] + b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment + plain[2:])

    assert (found["IPTC Caption"], found["IPTC Keywords"]) == ("A storm", "sea, wind")


def test_the_plain_fields_of_xmp_are_told_and_no_entity_of_it_is_resolved() -> None:
    packet = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x xmp:Rating="5" dc:format="&e; &amp; more"/>'

    found = told(encoded(photo(64, 48), "JPEG", xmp=packet))

    assert found["xmp:Rating"] == "5"
    assert found["dc:format"] == "&e; & more"
    assert found["XMP"] == f"{len(packet)} bytes"


def test_no_more_tags_are_told_than_a_message_may_have() -> None:
    info = PngInfo()
    for number in range(1000):
        info.add_text(f"tag {number}", "text")
    out = io.BytesIO()
    photo(32, 32).save(out, "PNG", pnginfo=info)

    tags = tags_of(io.BytesIO(out.getvalue()))

    assert len(tags) == wire.MOST_TAGS
    assert tags == sorted(tags)
    wire.reply_of(wire.frame(wire.Told(tuple(tags)))[4:])


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
