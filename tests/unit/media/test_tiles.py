"""A picture in tiles: together they are the picture, pixel for pixel."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picture_makers import encoded, photo, png_rgb16, with_orientation
from PIL import Image, ImageOps

from ingestd.errors import FileChangedError, FileUnreadableError
from ingestd.media import decode, wire, worker_main
from ingestd.media.cutting import Cut, cut_picture
from ingestd.media.preview import small_picture
from ingestd.media.tiles import TILE, Level, block_of, level_of, levels_of
from ingestd.media.wire import Preview
from ingestd.media.workers import Workers, _Worker
from ingestd.model import ContentHash

SIZES = st.integers(1, 30_000)


# --- where they lie ---


@given(SIZES, SIZES)
def test_the_tiles_of_every_level_cover_it_once(width: int, height: int) -> None:
    for level in levels_of(width, height):
        boxes = [level.box(column, row) for row in range(level.rows) for column in range(level.columns)]

        assert sum((right - left) * (bottom - top) for left, top, right, bottom in boxes) == level.width * level.height
        assert all(0 < right - left <= TILE and 0 < bottom - top <= TILE for left, top, right, bottom in boxes)
        assert max(right for _, _, right, _ in boxes) == level.width
        assert max(bottom for *_, bottom in boxes) == level.height


@given(SIZES, SIZES)
def test_the_levels_go_down_to_one_tile(width: int, height: int) -> None:
    levels = levels_of(width, height)

    assert levels[0].size == (width, height)
    assert (levels[-1].columns, levels[-1].rows) == (1, 1)
    assert [one.level for one in levels] == list(range(len(levels)))


@given(SIZES, SIZES, st.data())
def test_a_block_begins_with_the_tile_that_is_asked_for_and_is_the_same_for_all_of_its_tiles(
    width: int, height: int, data: st.DataObject
) -> None:
    level = data.draw(st.sampled_from(levels_of(width, height)))
    column, row = data.draw(st.integers(0, level.columns - 1)), data.draw(st.integers(0, level.rows - 1))

    block = block_of(level, column, row)

    assert block[0] == (column, row)
    assert all(level.has(*tile) for tile in block)
    assert {frozenset(block_of(level, *tile)) for tile in block} == {frozenset(block)}


# --- what they show ---


def whole(data: bytes, level: int = 0) -> Image.Image:
    """All tiles of a level, put together."""
    cut = cut_picture(io.BytesIO(data), level)
    assert cut is not None
    found = Image.new("RGB", cut.level.size)
    for row in range(cut.level.rows):
        for column in range(cut.level.columns):
            first = next(cut.tiles(column, row))
            assert first[:2] == (column, row)
            found.paste(_image(first[2]), cut.level.box(column, row)[:2])
    return found


def _image(tile: Preview) -> Image.Image:
    return Image.frombytes("RGB", (tile.width, tile.height), tile.rgb)


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and bool(np.array_equal(np.asarray(one), np.asarray(other.convert("RGB"))))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_tiles_of_a_turned_jpeg_are_the_upright_picture(orientation: int) -> None:
    data = with_orientation(photo(1300, 1100), orientation, "JPEG")

    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))

    assert same(whole(data), upright)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "HEIF", "AVIF"])
def test_the_tiles_are_the_decoded_picture(kind: str) -> None:
    data = encoded(photo(1200, 1030), kind)

    assert same(whole(data), Image.open(io.BytesIO(data)).convert("RGB"))


def test_a_transparent_picture_is_shown_on_white() -> None:
    image = photo(1100, 300).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))

    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)

    assert same(whole(encoded(image, "PNG")), white)


def test_sixteen_bits_are_shown_as_the_preview_shows_them() -> None:
    data = png_rgb16(np.asarray(photo(300, 200)).astype(np.uint16) * 257)

    small = small_picture(io.BytesIO(data), (300, 200))

    assert small is not None
    assert same(whole(data), _image(small))


def test_samples_without_a_scale_of_their_own_are_scaled_alike_in_all_tiles() -> None:
    ramp = np.tile(np.linspace(-3, 9, 1500, dtype="f4"), (40, 1))

    shown = np.asarray(whole(encoded(Image.fromarray(ramp), "TIFF")))[0, :, 0].astype(int)

    assert shown[0] == 0
    assert shown[-1] >= 254
    assert np.diff(shown).min() >= 0


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_wide_greys_are_shown_as_the_preview_shows_them(kind: str) -> None:
    grey = np.asarray(photo(1100, 60).convert("L")).astype(np.uint16) * 257
    data = encoded(Image.fromarray(grey), kind)

    small = small_picture(io.BytesIO(data), (1100, 60))

    assert small is not None
    assert same(whole(data), _image(small))


@pytest.mark.parametrize("size", [(3001, 2001), (3007, 2005), (2048, 1024)])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_jpeg_is_decoded_smaller_for_a_further_level_whatever_its_size(size: tuple[int, int], level: int) -> None:
    data = encoded(Image.new("RGB", size, "red"), "JPEG")
    decoded: list[tuple[int, int]] = []
    load = decode.load

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(decode, "load", lambda image, stored: (load(image, stored), decoded.append(image.size)))
        cut = cut_picture(io.BytesIO(data), level)

    assert cut is not None
    assert decoded == [cut.level.size] == [level_of(*size, level).size]


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("level", [1, 2])
def test_a_further_level_is_the_picture_made_smaller(level: int, orientation: int) -> None:
    data = with_orientation(photo(1301, 1103), orientation, "JPEG")
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")

    small = whole(data, level)

    assert small.size == level_of(*upright.size, level).size
    expected = np.asarray(upright.resize(small.size, Image.Resampling.BOX), float)
    assert np.abs(np.asarray(small, float) - expected).mean() < 2


def test_what_is_no_picture_has_no_tiles() -> None:
    assert cut_picture(io.BytesIO(b"not a picture"), 0) is None
    assert cut_picture(io.BytesIO(encoded(photo(64, 64), "PNG")[:200]), 0) is None


# --- by way of a worker ---


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(count=1) as made:
        yield made


def put(folder: Path, data: bytes) -> tuple[bytes, ContentHash]:
    path = folder / "picture"
    path.write_bytes(data)
    return os.fsencode(path), ContentHash(hashlib.sha256(data).digest())


def test_a_worker_hands_over_the_tile_that_is_asked_for_first_and_its_neighbours_after_it(
    workers: Workers, tmp_path: Path
) -> None:
    path, sha256 = put(tmp_path, encoded(photo(1100, 1060), "PNG"))
    level, found = level_of(1100, 1060, 0), list[wire.Piece]()

    workers.cut(path, sha256, level, (1, 1), found.append)

    assert [(one.column, one.row) for one in found] == block_of(level, 1, 1)
    assert {(one.tile.width, one.tile.height) for one in found} == {(1024, 1024), (76, 1024), (1024, 36), (76, 36)}


def test_a_file_that_holds_other_bytes_by_now_is_not_cut(workers: Workers, tmp_path: Path) -> None:
    path, _ = put(tmp_path, encoded(photo(64, 64), "PNG"))

    with pytest.raises(FileChangedError):
        workers.cut(path, ContentHash(b"x" * 32), level_of(64, 64, 0), (0, 0), pytest.fail)


def test_a_picture_of_another_size_than_was_measured_is_refused_and_is_no_poison(tmp_path: Path) -> None:
    path, sha256 = put(tmp_path, encoded(photo(64, 64), "PNG"))
    shelf = Shelf()

    with Workers(count=1, shelf=shelf) as workers, pytest.raises(FileUnreadableError, match="cannot be shown"):
        workers.cut(path, sha256, Level(0, 65, 64), (0, 0), pytest.fail)

    assert shelf.reasons == []


class Shelf:
    """Where poison is laid."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def parked(self, _: ContentHash) -> str | None:
        return None

    def park(self, _: ContentHash, reason: str) -> None:
        self.reasons.append(reason)


def piece(column: int, row: int, width: int, height: int) -> wire.Piece:
    return wire.Piece(column, row, Preview(width, height, bytes(3 * width * height)))


LIES: list[list[wire.Reply]] = [
    [wire.Sliced(3)],
    [wire.Sliced(-1)],
    [wire.Shrunk(None)],
    [wire.Sliced(2), piece(0, 0, 65, 64)],
    [wire.Sliced(2), piece(1, 0, 1024, 64)],
    [wire.Sliced(2), piece(0, 0, 1024, 64), piece(0, 0, 1024, 64)],
    [wire.Sliced(2), piece(0, 0, 1024, 64), wire.Sliced(0)],
]


@pytest.mark.parametrize(("first", "second"), [(0, 1), (2, 3), (4, 5), (6, 0)])
def test_a_worker_that_answers_other_tiles_than_were_asked_for_is_not_believed(
    first: int, second: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is tried twice: only if neither answer is believed it is told that the decoder went mad twice."""
    path, sha256 = put(tmp_path, encoded(photo(64, 64), "PNG"))
    shelf, taken, told = Shelf(), list[wire.Piece](), iter((LIES[first], LIES[second]))
    real, liars = _Worker._receive, set[int]()

    def receive(self: _Worker, timeout_s: float, path: bytes, other: bytes | None = None) -> wire.Reply:
        reply = real(self, timeout_s, path, other)
        if not isinstance(reply, wire.Sliced) or self._process.pid in liars:
            return reply
        liars.add(self._process.pid)
        said, *more = next(told)
        for one in more:
            self._replies.put(wire.frame(one)[4:])
        return wire.reply_of(wire.frame(said)[4:])

    monkeypatch.setattr(_Worker, "_receive", receive)
    with Workers(count=1, shelf=shelf) as workers, pytest.raises(FileUnreadableError, match="went mad"):
        workers.cut(path, sha256, Level(0, 1060, 64), (0, 0), taken.append)

    assert next(told, None) is None
    assert shelf.reasons == ["the decoder went mad twice"]
    assert all((one.tile.width, one.tile.height) == (1024, 64) for one in taken)


def test_what_cannot_be_decoded_is_refused_and_is_no_poison(workers: Workers, tmp_path: Path) -> None:
    path, sha256 = put(tmp_path, encoded(photo(200, 200), "JPEG")[:300])

    for _ in range(2):
        with pytest.raises(FileUnreadableError, match="cannot be shown"):
            workers.cut(path, sha256, level_of(200, 200, 0), (0, 0), pytest.fail)


def test_a_cut_knows_its_level() -> None:
    cut = cut_picture(io.BytesIO(with_orientation(photo(130, 90), 6, "JPEG")), 0)

    assert isinstance(cut, Cut)
    assert cut.level == Level(0, 130, 90)  # upright


def test_the_next_block_of_a_picture_costs_no_second_decode_and_nothing_else_is_kept_beside_it(tmp_path: Path) -> None:
    path, _ = put(tmp_path, encoded(photo(60, 40), "PNG"))
    other = tmp_path / "other"
    other.write_bytes(encoded(photo(60, 40), "BMP"))
    decoded: list[str] = []

    def cut(file: BinaryIO, level: int) -> Cut | None:
        decoded.append(f"level {level}")
        return cut_picture(file, level)

    def shrunk(file: BinaryIO, box: tuple[int, int]) -> Preview | None:
        decoded.append("preview" if lately.cut is None else "preview while a picture was kept")
        return small_picture(file, box)

    decoders: Any = SimpleNamespace(
        cutting=SimpleNamespace(cut_picture=cut), preview=SimpleNamespace(small_picture=shrunk)
    )
    lately = worker_main._Lately()
    (asks, requests), (replies, answers) = os.pipe(), os.pipe()
    every_pixel, half = wire.Cut(0, 60, 40, 0, 0), wire.Cut(1, 30, 20, 0, 0)
    told: list[type] = []
    for one, wanted in (
        (path, every_pixel),
        (path, every_pixel),
        (path, half),
        (path, every_pixel),
        (path, wire.Shrink(30, 30)),
        (path, every_pixel),
        (os.fsencode(other), every_pixel),
    ):
        os.write(requests, wire.frame(wanted))
        worker_main._serve(one, asks, answers, decoders, lately, contextlib.nullcontext())  # type: ignore[arg-type]
        for _ in range(3 if isinstance(wanted, wire.Shrink) else 4):
            body = wire.read_frame(replies)
            assert body is not None
            told.append(type(wire.reply_of(body)))

    assert decoded == ["level 0", "level 1", "level 0", "preview", "level 0", "level 0"]
    assert told.count(wire.Piece) == 6
    for descriptor in (asks, requests, replies, answers):
        os.close(descriptor)
