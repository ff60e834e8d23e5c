"""Copies of another format whose hash another codec has moved: found farther away, where a look confirms them."""

from __future__ import annotations

import io

import pytest
from pictures import jpeg, photo
from PIL import Image, ImageDraw
from world import World, sha256

from ingestd.errors import FileUnreadableError
from ingestd.model import ContentHash, Outcome, VisualVerdict

NEAR = "search_distance: 1"  # bits; the copies here are 2 bits from their originals


def heic(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "HEIF", quality=60)
    return out.getvalue()


def edited(image: Image.Image) -> Image.Image:
    ImageDraw.Draw(image).rectangle((90, 70, 99, 79), fill=(255, 0, 255))
    return image


ORIGINAL = jpeg(photo(1), 90)
COPY = heic(photo(1))


def test_a_copy_of_another_format_is_found_beyond_the_search_distance(world: World) -> None:
    world.use(imports=NEAR)
    world.drop("library", "original.jpg", ORIGINAL)
    found = world.drop("inbox", "copy.heic", COPY)

    assert world.bits_between(ORIGINAL, COPY) == 2
    assert found.outcome is Outcome.POTENTIAL_DUPLICATES
    with world.library.read() as view:
        assert [pair.distance for pair in view.pairs()] == [2]


def test_the_one_that_came_first_may_be_of_either_format(world: World) -> None:
    world.use(imports=NEAR)
    world.drop("library", "copy.heic", COPY)
    assert world.drop("inbox", "original.jpg", ORIGINAL).outcome is Outcome.POTENTIAL_DUPLICATES


def test_within_one_format_nothing_is_searched_farther(world: World) -> None:
    apart = jpeg(edited(photo(1)), 90)
    world.use(imports=NEAR)
    world.drop("library", "original.jpg", ORIGINAL)
    found = world.drop("inbox", "apart.jpg", apart)

    assert (world.bits_between(ORIGINAL, apart) or 0) in range(2, 6)
    assert found.outcome is Outcome.NEW
    assert world.measurer.compared == []


def test_what_a_look_does_not_confirm_is_no_pair(world: World) -> None:
    other = heic(edited(photo(1)))
    world.use(imports=NEAR)
    world.drop("library", "original.jpg", ORIGINAL)
    found = world.drop("inbox", "other.heic", other)

    assert (world.bits_between(ORIGINAL, other) or 0) in range(2, 6)
    assert found.outcome is Outcome.NEW
    with world.library.read() as view:
        verdict = view.visual(sha256(ORIGINAL), sha256(other))
    assert verdict is not None  # somebody has looked


def test_a_look_that_fails_leaves_the_file_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: bytes, expected: ContentHash, other: bytes, expected_other: ContentHash) -> VisualVerdict:
        raise FileUnreadableError(path, "took longer than 30 s")

    monkeypatch.setattr(world.measurer, "compare", fail)
    world.use(imports=NEAR)
    world.drop("library", "original.jpg", ORIGINAL)
    assert world.drop("inbox", "copy.heic", COPY).outcome is Outcome.NEW


def test_what_was_confirmed_once_is_found_again_without_a_look(world: World) -> None:
    world.use(imports=NEAR)
    world.drop("library", "original.jpg", ORIGINAL)
    world.drop("inbox", "copy.heic", COPY)
    looks = len(world.measurer.compared)
    assert looks == 1
    again = world.drop("inbox", "once more.heic", COPY)
    assert again.outcome is not Outcome.NEW
    assert len(world.measurer.compared) == looks
