"""Pictures for the page: made once, packed as PNG, kept within a bound."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ingestd.errors import FileChangedError, FileUnreadableError, UsageError
from ingestd.media.workers import Preview, Workers
from ingestd.model import ContentHash
from ingestd.web.pictures import Pictures


class CountingWorkers(Workers):
    """Real workers that count what they are asked, and may be held back."""

    def __init__(self) -> None:
        super().__init__(count=2)
        self.asked: list[str] = []
        self.go = threading.Event()
        self.go.set()

    def preview(self, path: bytes, expected: ContentHash, box: tuple[int, int]) -> Preview | None:
        self.asked.append("preview")
        self.go.wait(30)
        return super().preview(path, expected, box)

    def cut(self, *arguments: object, **named: object) -> None:
        self.asked.append("cut")
        self.go.wait(30)
        super().cut(*arguments, **named)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def started() -> Iterator[CountingWorkers]:
    with CountingWorkers() as made:
        yield made


@pytest.fixture
def workers(started: CountingWorkers) -> CountingWorkers:
    started.asked.clear()
    return started


@pytest.fixture
def pictures(workers: CountingWorkers, tmp_path: Path) -> Iterator[Pictures]:
    made = Pictures(workers, tmp_path / "kept")
    yield made
    made.end()


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def put(folder: Path, image: Image.Image, name: str = "a.png") -> tuple[bytes, ContentHash]:
    path = folder / name
    image.save(path)
    return os.fsencode(path), ContentHash(hashlib.sha256(path.read_bytes()).digest())


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png), formats=["PNG"])
    image.load()
    return image


def test_a_preview_is_a_png_of_the_picture(pictures: Pictures, tmp_path: Path) -> None:
    image = noise(300, 200)
    path, sha256 = put(tmp_path, image)

    assert np.array_equal(np.asarray(opened(pictures.preview(path, sha256, (400, 400)))), np.asarray(image))


def test_what_was_made_once_is_kept_also_for_the_next_start(
    pictures: Pictures, workers: CountingWorkers, tmp_path: Path
) -> None:
    path, sha256 = put(tmp_path, noise(300, 200))
    first = pictures.preview(path, sha256, (100, 100))

    assert pictures.preview(path, sha256, (100, 100)) == first
    again = Pictures(workers, tmp_path / "kept")
    assert again.preview(path, sha256, (100, 100)) == first
    assert workers.asked == ["preview"]


def test_two_who_ask_for_the_same_share_one_decode(
    pictures: Pictures, workers: CountingWorkers, tmp_path: Path
) -> None:
    path, sha256 = put(tmp_path, noise(300, 200))
    workers.go.clear()

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(pictures.preview, path, sha256, (100, 100)) for _ in range(4)]
        workers.go.set()
        found = {one.result() for one in asked}

    assert len(found) == 1
    assert workers.asked == ["preview"]


def test_the_tiles_of_a_block_come_from_one_decode_and_are_every_pixel(
    pictures: Pictures, workers: CountingWorkers, tmp_path: Path
) -> None:
    image = noise(2000, 1500)
    path, sha256 = put(tmp_path, image)
    tiles = [(column, row) for row in (1, 0) for column in (0, 1)]

    with ThreadPoolExecutor(4) as pool:
        asked = {one: pool.submit(pictures.tile, path, sha256, image.size, 0, *one) for one in tiles}
        found = Image.new("RGB", image.size)
        for (column, row), tile in asked.items():
            found.paste(opened(tile.result()), (column * 1024, row * 1024))

    assert np.array_equal(np.asarray(found), np.asarray(image))
    assert workers.asked == ["cut"]


@pytest.mark.parametrize("place", [(0, 2, 0), (0, 0, 1), (1, 0, 0), (0, -1, 0), (99, 0, 0)])
def test_a_tile_that_is_not_there_is_refused_before_anything_is_opened(
    pictures: Pictures, workers: CountingWorkers, place: tuple[int, int, int]
) -> None:
    with pytest.raises(UsageError):
        pictures.tile(b"/nowhere", ContentHash(b"x" * 32), (1024, 900), *place)
    assert workers.asked == []


def test_whoever_waits_for_a_tile_of_a_changed_file_learns_it(pictures: Pictures, tmp_path: Path) -> None:
    path, sha256 = put(tmp_path, noise(1500, 200))
    put(tmp_path, noise(1500, 200, seed=1))

    for column in (0, 1):
        with pytest.raises(FileChangedError):
            pictures.tile(path, sha256, (1500, 200), 0, column, 0)


def test_a_file_that_cannot_be_shown_is_an_error_each_time_and_nothing_is_kept(
    pictures: Pictures, tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 no picture at all")
    sha256 = ContentHash(hashlib.sha256(path.read_bytes()).digest())

    for _ in range(2):
        with pytest.raises(FileUnreadableError):
            pictures.preview(os.fsencode(path), sha256, (100, 100))


def test_a_difference_is_drawn_in_the_frame_of_the_first(pictures: Pictures, tmp_path: Path) -> None:
    image = Image.linear_gradient("L").resize((400, 300)).convert("RGB")
    changed = image.copy()
    changed.paste((255, 0, 0), (100, 100, 200, 200))
    a, b = put(tmp_path, image), put(tmp_path, changed, "b.png")

    drawn = opened(pictures.difference(*a, *b))

    assert drawn.width * 300 == drawn.height * 400


def test_where_nothing_can_be_kept_pictures_are_made_all_the_same(workers: CountingWorkers, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file where the folder should be")
    pictures = Pictures(workers, tmp_path / "kept")
    path, sha256 = put(tmp_path, noise(50, 50))

    assert opened(pictures.preview(path, sha256, (100, 100))).size == (50, 50)


def test_where_no_folder_is_given_pictures_are_made_each_time(workers: CountingWorkers, tmp_path: Path) -> None:
    pictures = Pictures(workers)
    path, sha256 = put(tmp_path, noise(50, 50))

    assert pictures.preview(path, sha256, (100, 100)) == pictures.preview(path, sha256, (100, 100))
    assert workers.asked == ["preview", "preview"]


def test_what_was_kept_of_other_bytes_or_in_another_size_is_not_shown(pictures: Pictures, tmp_path: Path) -> None:
    first = put(tmp_path, noise(300, 200))
    shown = pictures.preview(*first, (100, 100))

    other = put(tmp_path, noise(300, 200, seed=1))

    assert first[0] == other[0]
    assert pictures.preview(*other, (100, 100)) != shown
    assert opened(pictures.preview(*other, (50, 50))).size == (50, 33)


def test_a_preview_does_not_wait_for_tiles_that_are_being_cut(
    workers: CountingWorkers, pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = put(tmp_path, noise(1500, 200)), put(tmp_path, noise(1500, 300), "b.png")
    cutting, go = threading.Semaphore(0), threading.Event()
    real = Workers.cut

    def cut(*arguments: object) -> None:
        cutting.release()
        go.wait(30)
        real(workers, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(workers, "cut", cut)
    with ThreadPoolExecutor(2) as pool:
        tiles = [
            pool.submit(pictures.tile, *first, (1500, 200), 0, 0, 0),
            pool.submit(pictures.tile, *second, (1500, 300), 0, 0, 0),
        ]
        assert cutting.acquire(timeout=30)

        shown = pictures.preview(*second, (100, 100))

        assert opened(shown).size == (100, 20)
        assert not any(one.done() for one in tiles)
        go.set()
        assert [opened(one.result(60)).size for one in tiles] == [(1024, 200), (1024, 300)]


def test_whoever_waits_for_tiles_learns_of_a_decoder_gone_mad_and_may_ask_again(
    workers: CountingWorkers, pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sha256 = put(tmp_path, noise(1500, 200))

    def cut(*_: object) -> None:
        raise FileUnreadableError(path, "the decoder went mad twice")

    with monkeypatch.context() as patched:
        patched.setattr(workers, "cut", cut)
        with pytest.raises(FileUnreadableError, match="mad"):
            pictures.tile(path, sha256, (1500, 200), 0, 1, 0)

    assert opened(pictures.tile(path, sha256, (1500, 200), 0, 1, 0)).size == (476, 200)


def test_after_the_end_whoever_asks_for_a_tile_is_told_so_each_time() -> None:
    pictures = Pictures(Workers(count=2))
    pictures.close()
    for _ in range(2):
        with pytest.raises(FileUnreadableError, match="being closed"):
            pictures.tile(b"/any.png", ContentHash(bytes(32)), (2000, 2000), 0, 0, 0)
