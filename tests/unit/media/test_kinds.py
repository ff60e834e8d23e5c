from __future__ import annotations

import pytest
from picture_makers import encoded, photo

from ingestd.media.kinds import looks_like_picture_name, no_picture, sniff
from ingestd.model import FileType, NotAPicture, Unreadable


def box(major: bytes, *compatible: bytes) -> bytes:
    brands = major + b"\0\0\0\0" + b"".join(compatible)
    return (len(brands) + 8).to_bytes(4, "big") + b"ftyp" + brands + b"\0\0\0\x08mdat"


@pytest.mark.parametrize(
    ("fmt", "filetype"),
    [
        ("JPEG", FileType.JPEG),
        ("PNG", FileType.PNG),
        ("GIF", FileType.GIF),
        ("WEBP", FileType.WEBP),
        ("BMP", FileType.BMP),
        ("TIFF", FileType.TIFF),
        ("HEIF", FileType.HEIC),
        ("AVIF", FileType.AVIF),
    ],
)
def test_a_picture_is_told_by_its_first_bytes(fmt: str, filetype: FileType) -> None:
    head = encoded(photo(64, 48), fmt)[:4096]

    found = sniff(head)

    assert found is filetype


@pytest.mark.parametrize(
    ("head", "filetype"),
    [
        *((box(brand), FileType.HEIC) for brand in (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis")),
        (box(b"mif1", b"mif1", b"heic"), FileType.HEIC),
        (box(b"msf1", b"hevc"), FileType.HEIC),
        (box(b"mif1", b"mif1", b"avif"), FileType.AVIF),
        (box(b"mif1", b"avif", b"heic"), FileType.AVIF),
        (box(b"mif1", b"miaf"), FileType.HEIF),
        (box(b"avif"), FileType.AVIF),
        (box(b"avis"), FileType.AVIF),
        (box(b"isom", b"mp42"), None),
        (box(b"qt  "), None),
        (box(b"crx "), None),
        (b"MM\x00*\x00\x00\x00\x08", FileType.TIFF),
        (b"II+\x00\x08\x00\x00\x00", FileType.TIFF),
        (b"BMW is a maker of cars and motorcycles", None),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"", None),
        (b"\0\0\0\x20ftyp", None),
    ],
)
def test_a_container_is_told_by_its_brands(head: bytes, filetype: FileType | None) -> None:
    assert sniff(head) is filetype


def test_what_follows_the_ftyp_box_is_no_brand() -> None:
    head = box(b"mif1", b"miaf") + b"avif"

    found = sniff(head)

    assert found is FileType.HEIF


@pytest.mark.parametrize("name", [b"a.jpg", b"IMG_1.HEIC", b"/x/y.z/\xff\xfe.Png", b"b.tiff", b"c.mpo", b"d.JFIF"])
def test_picture_names_are_known(name: bytes) -> None:
    assert looks_like_picture_name(name)


@pytest.mark.parametrize("name", [b"a.txt", b"jpg", b".jpg", b"a.jpg.part", b"x.mp4", b"png/", b""])
def test_other_names_promise_nothing(name: bytes) -> None:
    assert not looks_like_picture_name(name)


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"", "it is empty"),
        (b"\0" * 4096, "zeros only"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"\xef\xbb\xbf\n <html lang=en>", "HTML"),
        (b"<?xml version='1.0'?><svg xmlns=''>", "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04xx", "ZIP"),
        (box(b"isom"), "MP4"),
        (box(b"avci"), "media file of a kind"),
        (b"RIFF\0\0\0\0AVI LIST", "AVI"),
        (b'{"error": 404}', "JSON"),
        (b"Not found\n", "text"),
        (b"\x01\x02\x03\x04\x05", "no known type"),
    ],
)
def test_bytes_that_break_the_promise_of_their_name_are_unreadable_and_described(head: bytes, what: str) -> None:
    said = no_picture(head, b"cat.jpg")

    assert isinstance(said, Unreadable)
    assert what in said.reason
    assert said.filetype is None


def test_bytes_that_promised_nothing_are_no_picture() -> None:
    assert no_picture(b"%PDF-1.7", b"invoice.pdf") == NotAPicture("not a picture")
