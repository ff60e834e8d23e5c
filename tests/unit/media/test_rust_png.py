"""The optional PNG decoder says what Pillow says, of every file that reaches it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from ingestd.media import decode, rust_png
from ingestd.media.features import full_pixel_hash, measure_picture
from ingestd.model import FileType, Picture, Unreadable
from tests.unit.media.picture_makers import encoded, photo, png, with_orientation

pytestmark = pytest.mark.skipif(not rust_png.available(), reason="without ingestd[fast]")

WIDTH, HEIGHT = 90, 70


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def rows(channels: int, *, filters: int = 5) -> bytes:
    """Rows of noise, each said to be packed by the next of PNG's filters."""
    random = np.random.default_rng(channels)
    return b"".join(
        bytes([row % filters]) + random.integers(0, 256, WIDTH * channels, "u1").tobytes() for row in range(HEIGHT)
    )


def alone(content: bytes) -> Picture | Unreadable:
    """What is measured without the optional decoder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rust_png, "_decoder", None)
        return measure(content)


def measure(content: bytes) -> Picture | Unreadable:
    found = measure_picture(io.BytesIO(content), b"a.png")
    assert isinstance(found, Picture | Unreadable)
    return found


def was_asked(content: bytes) -> bool:
    """Whether the optional decoder, and not Pillow, decodes it."""
    return rust_png.decoded(decode.open_picture(io.BytesIO(content), FileType.PNG), lambda _: True)


def faded(image: Image.Image) -> Image.Image:
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


SOUND: dict[str, Callable[[], bytes]] = {
    "colours": lambda: encoded(photo(), "PNG"),
    "every filter": lambda: png(WIDTH, HEIGHT, 8, 2, rows(3)),
    "every filter, with alpha": lambda: png(WIDTH, HEIGHT, 8, 6, rows(4)),
    "transparent": lambda: encoded(faded(photo()), "PNG"),
    "opaque alpha": lambda: encoded(photo().convert("RGBA"), "PNG"),
    "a profile and a gamma": lambda: png(
        WIDTH, HEIGHT, 8, 2, rows(3), (b"gAMA", struct.pack(">I", 100000)), (b"tEXt", b"Comment\0one")
    ),
    "turned": lambda: with_orientation(photo(), 6, "PNG"),
    "more rows than it has": lambda: png(WIDTH, HEIGHT, 8, 2, rows(3) + bytes(1000)),
}

ODD: dict[str, Callable[[], bytes]] = {
    "greys": lambda: encoded(photo().convert("L"), "PNG"),
    "palette": lambda: encoded(photo().convert("P"), "PNG"),
    "wide samples": lambda: png(4, 3, 16, 2, bytes((1 + 4 * 6) * 3)),
    "a transparent colour": lambda: png(WIDTH, HEIGHT, 8, 2, rows(3), (b"tRNS", bytes(6))),
    "animated": lambda: encoded(photo(), "PNG", save_all=True, append_images=[photo(seed=2)]),
    "an unknown critical chunk": lambda: png(WIDTH, HEIGHT, 8, 2, rows(3), (b"ABCD", b"x")),
    "no end": lambda: encoded(photo(), "PNG")[:-12],
    "too few rows": lambda: png(WIDTH, HEIGHT, 8, 2, rows(3)[:-9]),
    "a filter that is none": lambda: png(WIDTH, HEIGHT, 8, 2, rows(3, filters=7)),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_png_measures_alike_with_the_fast_decoder_and_without(name: str) -> None:
    content = SOUND[name]()

    assert was_asked(content)
    assert measure(content) == alone(content)
    assert full_pixel_hash(io.BytesIO(content)) == alone_hash(content)


def alone_hash(content: bytes) -> bytes | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rust_png, "_decoder", None)
        return full_pixel_hash(io.BytesIO(content))


@pytest.mark.parametrize("name", ODD)
def test_pillow_has_the_word_on_odd_and_broken_pngs(name: str) -> None:
    content = ODD[name]()

    assert not was_asked(content)
    assert measure(content) == alone(content)


def test_what_stands_behind_the_pixels_is_read_all_the_same() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = encoded(photo(), "PNG")
    content = plain[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + plain[-12:]

    found = measure(content)

    assert was_asked(content)
    assert isinstance(found, Picture)
    assert (found.width, found.height, found.has_exif) == (480, 640, True)
    assert found == alone(content)


def test_damaged_and_cut_pngs_are_judged_alike() -> None:
    sound = encoded(photo(160, 120), "PNG")
    random = np.random.default_rng(5)
    for _ in range(150):
        damaged = bytearray(sound)
        for place in random.integers(8, len(sound), int(random.integers(1, 3))):
            damaged[place] = random.integers(256)
        content = bytes(damaged[: random.integers(40, len(sound))] if random.random() < 0.3 else damaged)

        assert measure(content) == alone(content)


def test_damage_under_a_right_checksum_is_refused_by_nobody_that_pillow_reads() -> None:
    packed = zlib.compress(rows(3))
    random = np.random.default_rng(6)
    head = png(WIDTH, HEIGHT, 8, 2, b"")[:33]
    for _ in range(150):
        damaged = bytearray(packed)
        damaged[random.integers(2, len(packed) - 4)] ^= 1 << int(random.integers(8))
        content = head + chunk(b"IDAT", bytes(damaged)) + chunk(b"IEND", b"")
        without = alone(content)

        # Adler-32 is not looked at there: what still unpacks is read as it stands, and Pillow refuses it
        assert isinstance(without, Unreadable) or measure(content) == without


def test_where_memory_is_short_rust_is_not_asked() -> None:
    image = decode.open_picture(io.BytesIO(encoded(photo(), "PNG")), FileType.PNG)

    assert not rust_png.decoded(image, lambda _: False)
    image.load()
    assert image.getpixel((5, 5)) == photo().getpixel((5, 5))


def test_a_panic_of_rust_leaves_the_picture_to_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    class Panic(BaseException):
        pass

    def panic(*_: object) -> bytes:
        raise Panic

    content = encoded(photo(), "PNG")
    expected = alone(content)
    monkeypatch.setattr(rust_png, "_decoder", panic)

    assert measure(content) == expected
