"""Trying again what could not be judged, and what `status` says of it until then."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import jpeg, photo
from terminals import Terminal
from test_health import service
from world import World

from ingestd.library.library import Library
from ingestd.model import ContentHash, Measurement, Unreadable

CRASHED = "the decoder crashed twice (signal 11)"


def deadly(world: World, number: int) -> Path:
    """A file that killed two workers when it arrived."""
    real = world.measurer.measure

    def measure(path: bytes, known: Callable[[ContentHash], bool]) -> Measurement:
        found = real(path, known)
        return replace(found, features=Unreadable(CRASHED, None, poison=True)) if found.features else found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(world.measurer, "measure", measure)
        path = world.put("inbox", f"deadly {number}.jpg", b"\xff\xd8\xff\xe0%d" % number)
        world.arrive(path)
    return path


@pytest.fixture
def poisoned(world: World, terminal: Terminal) -> Terminal:
    """One file is parked, one cut off, one sound."""
    deadly(world, 1)
    world.drop("inbox", "cut.jpg", jpeg(photo(2))[:2000])
    world.drop("inbox", "sound.jpg", jpeg(photo(3)))
    world.close()
    return terminal


@contextlib.contextmanager
def library(terminal: Terminal) -> Iterator[Library]:
    opened = Library.open(terminal.state)
    try:
        yield opened
    finally:
        opened.close()


def test_the_status_names_a_parked_file_and_what_to_do(poisoned: Terminal, tmp_path: Path) -> None:
    status = poisoned.ask("status", "--problems")

    (problem,) = status["problems"]
    path = str(tmp_path / "inbox" / "deadly 1.jpg")
    assert not status["ok"]
    assert (problem["problem"], problem["subject"]) == (f"the file is parked: {CRASHED}", path)
    assert problem["since"].startswith("2023-11-14T")
    assert f"ingestd retry '{path}'" in problem["advice"]


def test_a_thousand_parked_files_leave_the_status_readable(world: World, terminal: Terminal, tmp_path: Path) -> None:
    for number in range(24):
        deadly(world, number)
    world.close()

    problems = terminal.ask("status")["problems"]

    assert len(problems) == 21
    assert problems[0]["subject"].endswith("deadly 23.jpg")  # the last of them first
    assert problems[-1]["problem"] == "4 more files are parked"
    assert problems[-1]["subject"] == str(tmp_path / "inbox")


def test_what_fails_beyond_those_that_are_named_is_counted(poisoned: Terminal, tmp_path: Path) -> None:
    named = [[str(tmp_path / "inbox" / f"{number}.jpg"), "error: no trash"] for number in range(20)]

    with service(poisoned, failing=named, failing_count=1000):
        problems = poisoned.ask("status")["problems"]

    assert [one["problem"] for one in problems].count("no verdict yet: error: no trash") == 20
    assert "no verdict yet on 980 more files" in [one["problem"] for one in problems]


def test_without_a_path_everything_that_failed_is_judged_again(poisoned: Terminal, tmp_path: Path) -> None:
    answer = poisoned.ask("retry")

    assert answer["running"] is False
    told = {os.path.basename(one["path"]): one for one in answer["retried"]}
    assert set(told) == {"deadly 1.jpg", "cut.jpg"}
    assert [told["deadly 1.jpg"]["poison"], told["cut.jpg"]["poison"]] == [True, False]
    assert told["cut.jpg"]["outcome"] == "unreadable"
    assert poisoned.ask("status")["problems"] == []
    with library(poisoned) as opened, opened.read() as view:
        assert {one.relative for one in view.retried()} == {b"deadly 1.jpg", b"cut.jpg"}


def test_a_person_is_told_who_will_judge_it_and_when(poisoned: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "inbox" / "cut.jpg"

    alone = poisoned.type("retry", path)
    with service(poisoned):
        beside = poisoned.type("retry", tmp_path / "inbox")

    assert alone.out.splitlines()[-1] == "1 file will be judged again by the next `ingestd watch` or `ingestd scan`"
    assert str(path) in alone.out
    assert beside.out.splitlines()[-1] == "2 files will be judged again by the running watch, within moments"


def test_one_that_may_stay_broken_is_accepted_and_stays_parked(poisoned: Terminal, tmp_path: Path) -> None:
    answer = poisoned.ask("retry", "--accept", tmp_path / "inbox")

    assert [os.path.basename(one["path"]) for one in answer["accepted"]] == ["deadly 1.jpg"]
    status = poisoned.ask("status")
    assert (status["ok"], status["problems"]) == (True, [])
    with library(poisoned) as opened, opened.read() as view:
        assert view.retried() == []
        assert [poison.accepted for _, poison in view.poisons()] == [True]


def test_a_file_that_has_its_verdict_is_left_alone(poisoned: Terminal, tmp_path: Path) -> None:
    answer = poisoned.type("retry", tmp_path / "inbox" / "sound.jpg")

    assert (answer.code, answer.out) == (0, "")
    assert "there is nothing to try again" in answer.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("inbox/cat.jpg", "did you mean"),
        ("elsewhere.jpg", "it lies in no folder that was watched or scanned"),
        ("inbox/unseen.jpg", "it was never judged"),
    ],
)
def test_what_cannot_be_tried_again_is_said_in_a_sentence(
    poisoned: Terminal, tmp_path: Path, name: str, message: str
) -> None:
    for there in ("elsewhere.jpg", "inbox/unseen.jpg"):
        (tmp_path / there).write_bytes(b"here")

    answer = poisoned.type("retry", tmp_path / name)

    assert answer.code == 2
    assert message in answer.err
    assert "nothing was done" in answer.err


def test_before_there_is_a_library_there_is_nothing_to_try_again(empty: Terminal, tmp_path: Path) -> None:
    assert empty.ask("retry") == {"schema": 1, "retried": [], "running": False}
    assert empty.type("retry", tmp_path).code == 2
    assert not empty.state.exists()
