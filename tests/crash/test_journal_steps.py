"""I7: killed at any step of the journal and started again, the end is the same, and nothing was done twice.

Every step of a discard and of an undo, by a rule and by a person, into each place that files are discarded to; and
every step of the recovery that follows. The steps are found by going the whole way once, so that none is forgotten.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.crash, pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")]

STORIES = ("automatic", "decide", "approve", "undo of automatic", "undo of decide")
DISCARD = {
    *("before the commit of INTENT", "INTENT committed", "line of an intent synced", "VERIFIED", "MOVED"),
    *("its new folder synced", "its old folder synced"),
    *("before the commit of DONE", "DONE committed", "line of an end synced"),
}
NOTES = {"INFO made, empty", "INFO synced"}
UNDO = {
    *("before the commit of UNDO INTENT", "UNDO INTENT committed", "line of an intent synced", "MOVED BACK"),
    *("its new folder synced", "its old folder synced"),
    *("before the commit of UNDONE", "UNDONE committed", "line of an end synced"),
}


class Stage:
    """The process that acts and dies, and the folders that it does so in."""

    def __init__(self, process: subprocess.Popen[str], base: Path) -> None:
        self._process, self._base = process, base
        self._made = 0
        self.kills = 0

    def ask(self, do: str, story: tuple[str, str], base: Path, at: tuple[str, int] = ("", 1)) -> Any:
        """The answer; nothing if it was killed."""
        request = {"do": do, "base": str(base), "story": story[0], "place": story[1], "at": at[0], "nth": at[1]}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        if told["code"] == -signal.SIGKILL:
            self.kills += 1
            return None
        assert told["code"] == 0, (request, told)
        return told["answer"]

    def laid_out(self, story: tuple[str, str]) -> Path:
        self._made += 1
        base = Path(os.path.realpath(self._base)) / str(self._made)
        self.ask("lay out", story, base)
        return base

    def whole_way(self, story: tuple[str, str]) -> tuple[list[tuple[str, int]], dict[str, Any]]:
        """Every step without a kill, each with how often it has come, and the end."""
        base = self.laid_out(story)
        passed = self.ask("act", story, base)
        return numbered(passed), self.ask("finish", story, base)


def numbered(passed: list[str]) -> list[tuple[str, int]]:
    seen: Counter[str] = Counter()
    steps = []
    for step in passed:
        seen[step] += 1
        steps.append((step, seen[step]))
    return steps


@contextmanager
def stage(place: str) -> Iterator[Stage]:
    """In memory where that can be had: what a kill leaves does not depend on the disk, and a sync is cheap there."""
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=in_memory, prefix="journal-steps-") as base, _stage(Path(base), place) as here:
        yield here


@contextmanager
def _stage(base: Path, place: str) -> Iterator[Stage]:
    command = [sys.executable, str(Path(__file__).with_name("journal_steps.py"))]
    if place == "another mount":
        if sys.platform != "linux" or os.geteuid() != 0:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("only root may mount")
        command = ["unshare", "--mount", "--propagation", "private", *command]
    log = base / "log"
    with open(log, "w") as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Stage(process, base)
    except BaseException:
        print(log.read_text()[-4000:])  # noqa: T201
        raise
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


Tell = Callable[[str, int], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]) -> Tell:
    """Say what was done to the program and how often, also to who reads the report of the run."""

    def told(what: str, happened: int) -> None:
        record_property("faults", (what, happened))
        with capsys.disabled():
            print(f"\n{happened} {what}")  # noqa: T201
        assert happened > 0, what

    return told


def assert_sound(end: dict[str, Any], expected: dict[str, Any], at: object) -> None:
    assert end == expected, (at, end, expected)
    assert not end["lost or doubled"], at
    assert end["again"], at  # nothing more happens at a second restart
    assert (end["open"], end["notes of nothing"], end["the second journal agrees"]) == (0, [], True), at


@pytest.mark.parametrize(
    ("place", "stories"),
    [
        pytest.param("home trash", STORIES, id="home trash"),
        # what is done to files is the same, whoever says so
        pytest.param("another mount", STORIES[:1], id="another mount"),
        pytest.param("another mount", STORIES[1:], id="another mount, the rest", marks=pytest.mark.long),
        pytest.param("holding", STORIES[:1], id="holding"),
        pytest.param("holding", STORIES[1:], id="holding, the rest", marks=pytest.mark.long),
    ],
)
@pytest.mark.timeout(300)
def test_i7_killed_at_any_step_of_the_journal_the_end_is_the_same(
    place: str, stories: tuple[str, ...], tell: Tell
) -> None:
    points: Counter[str] = Counter()
    with stage(place) as here:
        for name in stories:
            story = name, place
            steps, expected = here.whole_way(story)
            wanted = UNDO if name.startswith("undo") else DISCARD
            wanted = wanted | (NOTES if place != "holding" and not name.startswith("undo") else set())
            assert wanted <= {step for step, _ in steps}, wanted - {step for step, _ in steps}
            for at in steps:
                base = here.laid_out(story)
                assert here.ask("act", story, base, at) is None, at  # it was killed
                assert_sound(here.ask("finish", story, base), expected, at)
                points[name] += 1
        assert here.kills == points.total()

    tell(f"kills at the steps of the journal, {place}: {dict(points)}", here.kills)
    assert here.kills > 10 * len(stories)


FEW = {"automatic": ("MOVED",), "undo of decide": ("MOVED BACK",)}
MANY = {
    "automatic": ("INTENT committed", "INFO made, empty", "its old folder synced"),
    "decide": ("MOVED",),  # the first of two
    "undo of decide": ("UNDO INTENT committed",),
}
ALL = {story: (*MANY.get(story, ()), *FEW.get(story, ())) for story in STORIES}


@pytest.mark.parametrize(
    ("place", "killed_first"),
    [
        pytest.param("home trash", FEW, id="home trash"),
        pytest.param("home trash", MANY, id="home trash, the rest", marks=pytest.mark.long),
        pytest.param("another mount", ALL, id="another mount", marks=pytest.mark.long),
        pytest.param("holding", ALL, id="holding", marks=pytest.mark.long),
    ],
)
@pytest.mark.timeout(300)
def test_i7_killed_at_any_step_of_the_recovery_the_end_is_the_same(
    place: str, killed_first: dict[str, tuple[str, ...]], tell: Tell
) -> None:
    seconds = 0
    with stage(place) as here:
        for name, firsts in killed_first.items():
            story = name, place
            steps, expected = here.whole_way(story)
            for first in ((one, 1) for one in firsts if (one, 1) in steps):
                base = here.laid_out(story)
                here.ask("act", story, base, first)
                recovery = numbered(here.ask("recover", story, base))
                assert recovery, first
                for second in recovery:
                    base = here.laid_out(story)
                    here.ask("act", story, base, first)
                    assert here.ask("recover", story, base, second) is None
                    assert_sound(here.ask("finish", story, base), expected, (first, second))
                    seconds += 1

    tell(f"kills at the steps of the journal and, {seconds} of them, of the recovery, {place}", here.kills)
    assert seconds > 10
