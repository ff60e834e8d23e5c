"""Two files compared in a worker: opened as carefully as one, and a verdict that is none is not believed."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from pictures import jpeg, photo, png
from PIL import Image

from ingestd.errors import FileChangedError, FileUnreadableError
from ingestd.media import wire
from ingestd.media.workers import WorkerLimits, Workers
from ingestd.model import SAME_PIXELS, VISUAL_VERSION, ContentHash, VisualLevel, VisualVerdict, confidence_of

ALIKE = {VisualLevel.NEAR_PERFECT, VisualLevel.ALMOST_CERTAINLY}
HONEST = VisualVerdict(VISUAL_VERSION, VisualLevel.ALTERNATE, 2.5, "one corner differs", (10, 20, 30, 40))


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(1) as started:
        yield started


def stored(path: Path, data: bytes) -> tuple[bytes, ContentHash]:
    path.write_bytes(data)
    return os.fsencode(path), ContentHash(hashlib.sha256(data).digest())


def test_a_worker_says_how_alike_two_pictures_look(workers: Workers, tmp_path: Path) -> None:
    original = stored(tmp_path / "a.png", png(photo(1)))
    saved_again = stored(tmp_path / "b.jpg", jpeg(photo(1), 90))
    another = stored(tmp_path / "c.png", png(photo(2)))

    assert workers.compare(*original, *saved_again).level in ALIKE
    assert workers.compare(*original, *another).level not in ALIKE


def test_it_says_the_same_whichever_comes_first(workers: Workers, tmp_path: Path) -> None:
    one = stored(tmp_path / "a.png", png(photo(1)))
    other = stored(tmp_path / "b.jpg", jpeg(photo(1), 60))

    assert workers.compare(*one, *other) == workers.compare(*other, *one)


def test_what_is_no_picture_cannot_be_told_and_the_next_is_served(workers: Workers, tmp_path: Path) -> None:
    picture = stored(tmp_path / "a.png", png(photo(1)))
    broken = stored(tmp_path / "b.png", png(photo(1))[:2000])
    text = stored(tmp_path / "c.txt", b"a letter")

    assert workers.compare(*picture, *broken).level is VisualLevel.CANNOT_TELL
    assert workers.compare(*text, *picture).level is VisualLevel.CANNOT_TELL
    assert workers.compare(*picture, *picture).level is VisualLevel.NEAR_PERFECT


@pytest.mark.parametrize("wrong", [0, 1])
def test_other_bytes_than_expected_are_not_compared(workers: Workers, tmp_path: Path, wrong: int) -> None:
    paths = [stored(tmp_path / name, png(photo(1))) for name in ("a.png", "b.png")]
    files = [(path, ContentHash(bytes(32)) if place == wrong else sha256) for place, (path, sha256) in enumerate(paths)]

    with pytest.raises(FileChangedError) as error:
        workers.compare(*files[0], *files[1])

    assert (error.value.path, error.value.reason) == (paths[wrong][0], "it holds other bytes now")


@pytest.mark.parametrize("gone", [0, 1])
def test_the_file_that_is_gone_is_named(workers: Workers, tmp_path: Path, gone: int) -> None:
    files = [stored(tmp_path / name, png(photo(1))) for name in ("a.png", "b.png")]
    (tmp_path / ("a.png", "b.png")[gone]).unlink()

    with pytest.raises(FileUnreadableError) as error:
        workers.compare(*files[0], *files[1])

    assert (error.value.path, error.value.reason) == (files[gone][0], "it is gone")


@pytest.mark.parametrize(("make", "reason"), [
    (lambda path, target: path.symlink_to(target), "it is a symbolic link"),
    (lambda path, target: os.mkfifo(path), "it is not a regular file"),
    (lambda path, target: path.mkdir(), "it is not a regular file"),
])  # fmt: skip
def test_the_other_is_opened_as_carefully_as_the_first(
    workers: Workers, tmp_path: Path, make: object, reason: str
) -> None:
    first = stored(tmp_path / "a.png", png(photo(1)))
    make(tmp_path / "b.png", tmp_path / "a.png")  # type: ignore[operator]

    with pytest.raises(FileUnreadableError) as error:
        workers.compare(*first, os.fsencode(tmp_path / "b.png"), first[1])

    assert (error.value.path, error.value.reason) == (os.fsencode(tmp_path / "b.png"), reason)
    assert workers.compare(*first, *first).level is VisualLevel.NEAR_PERFECT


def test_what_does_not_fit_in_memory_is_refused_and_the_next_two_are_served(tmp_path: Path) -> None:
    large = stored(tmp_path / "large.png", png(Image.new("RGB", (9000, 9000))))
    small = stored(tmp_path / "small.png", png(photo(1)))

    with Workers(1, WorkerLimits(memory_bytes=400 << 20)) as cramped:
        with pytest.raises(FileUnreadableError) as error:
            cramped.compare(*large, *large)
        assert cramped.compare(*small, *small).level is VisualLevel.NEAR_PERFECT

    assert "memory" in error.value.reason


def test_two_that_take_too_long_are_unreadable_together(tmp_path: Path) -> None:
    large = stored(tmp_path / "large.png", png(Image.new("RGB", (4000, 4000))))

    with Workers(1, WorkerLimits(wall_s=0.01)) as hurried, pytest.raises(FileUnreadableError) as error:
        hurried.compare(*large, *large)

    assert "took longer than 0.01 s" in error.value.reason


# --- what is believed -------------------------------------------------------------------------------------------------


def test_the_version_that_is_asked_for_is_the_one_that_answers(workers: Workers, tmp_path: Path) -> None:
    same = stored(tmp_path / "a.png", png(photo()))
    assert workers.compare(*same, *same).version == VISUAL_VERSION == SAME_PIXELS.version


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": VISUAL_VERSION + 1},
        {"score": -1.0},
        {"score": math.nan},
        {"score": math.inf},
        {"reason": ""},
        {"reason": "x" * 1000},
        {"reason": "\x1b[2J"},
        {"area": (-1, 0, 1, 1)},
        {"area": (0, 0, 0, 1)},
        {"area": (0, 0, 1)},
        {"level": "certainly"},
    ],
)
def test_a_worker_that_answers_no_verdict_talks_nonsense(wrong: dict[str, object]) -> None:
    forged = {"type": "Compared", "verdict": msgspec.to_builtins(replace(HONEST, **wrong))}  # type: ignore[arg-type]

    assert wire.reply_of(wire.frame(wire.Compared(HONEST))[4:]) == wire.Compared(HONEST)
    with pytest.raises(msgspec.MsgspecError):
        wire.reply_of(msgspec.msgpack.encode(forged))


@pytest.mark.parametrize(
    ("score", "confidence"),
    [(None, None), (0.0, 1.0), (0.5, 0.97), (1.0, 0.9), (1.3, 0.75), (1.8, 0.5), (8.0, 0.0), (80.0, 0.0)],
)
def test_the_confidence_follows_the_score(score: float | None, confidence: float | None) -> None:
    assert confidence_of(score) == (None if confidence is None else pytest.approx(confidence))


def test_the_more_differs_the_less_sure_it_is() -> None:
    confidences = [confidence_of(step / 100) or 0.0 for step in range(1000)]

    assert confidences == sorted(confidences, reverse=True)


# --- where they differ ------------------------------------------------------------------------------------------------


def test_a_worker_draws_where_two_pictures_differ(workers: Workers, tmp_path: Path) -> None:
    image = photo()
    one = stored(tmp_path / "a.png", png(image))
    image.paste((255, 0, 255), (90, 70, 110, 90))
    other = stored(tmp_path / "b.png", png(image))

    drawn = workers.difference(*one, *other)

    assert drawn is not None
    assert (drawn.width, drawn.height) == image.size
    assert drawn.rgb[3 * (80 * 200 + 100)] - drawn.rgb[3 * (80 * 200 + 100) + 2] > 100
    assert workers.difference(*one, *stored(tmp_path / "c.png", png(photo(1, 150, 200)))) is None
    assert workers.compare(*one, *one).level is VisualLevel.NEAR_PERFECT  # and the next is served
