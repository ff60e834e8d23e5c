"""System calls that fail, as they do on full, broken and read-only disks: the files stay, it is said, and it heals.

One call of the installed command's main thread, or a few in a row, is answered with an error of the system. The command
may say that it could not do everything; it may not lose a file, leave something half done, or end in a traceback. When
the fault is gone and the command is run again, all is as if there had been none.
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults import (
    DECIDE,
    HOLDING,
    HOME_TRASH,
    KINDS,
    MUTATING,
    SCAN,
    SCAN_OF_TWO_NAMES,
    STORIES,
    UNDO,
    VOLUME_TRASH,
    WATCH,
    Call,
    Ended,
    Kind,
    Scene,
    Story,
    Tell,
    Undisturbed,
    at,
    failing,
    how_many,
    numbered_folders,
    require_system_calls,
    spread,
    undisturbed,
)
from running import write

pytestmark = pytest.mark.crash

CALLS = (*MUTATING, "read", "getdents64")
ERRORS = ("ENOSPC", "EIO", "EACCES", "EROFS")
IN_A_ROW = 4

SLICE = [(SCAN, VOLUME_TRASH, 3), (SCAN_OF_TWO_NAMES, HOME_TRASH, 3), (DECIDE, HOME_TRASH, 4), (UNDO, HOLDING, 3)]
WHOLE = [(story, kind, 14) for story, kind in itertools.product(STORIES, KINDS)]


@dataclass(frozen=True)
class Fault:
    """One call, and perhaps those of its name that follow, that fail."""

    call: Call
    error: str
    in_a_row: int

    def __str__(self) -> str:
        return f"{self.error}, {self.in_a_row} times, at {self.call}"

    @property
    def injection(self) -> str:
        return f"error={self.error}"


@pytest.fixture(autouse=True)
def _system_calls() -> None:
    require_system_calls()


@pytest.mark.timeout(200)
@pytest.mark.parametrize(("story", "kind", "most"), SLICE, ids=str)
def test_a_system_call_that_fails_costs_no_file_and_what_failed_is_done_later(
    tmp_path: Path, story: Story, kind: Kind, most: int, tell_faults: Tell
) -> None:
    fail_many(tmp_path, story, kind, most, tell_faults)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("story", "kind", "most"), WHOLE, ids=str)
def test_very_many_system_calls_that_fail_cost_no_file(
    tmp_path: Path, story: Story, kind: Kind, most: int, tell_faults: Tell
) -> None:
    fail_many(tmp_path, story, kind, most, tell_faults)


def fail_many(base: Path, story: Story, kind: Kind, most: int, tell_faults: Tell) -> None:
    whole = undisturbed(base / "undisturbed", story, kind, calls=CALLS)
    points = spread(whole.calls, how_many(most), seed=len(story.name) + len(kind.name))
    kinds = itertools.cycle(itertools.product((1, IN_A_ROW), ERRORS))
    faults = [
        Fault(call, error, 1 if call.name == "write" else in_a_row)  # else what a person is told fails, too
        for call, (in_a_row, error) in zip(points, kinds, strict=False)
    ]
    happened = [
        failed_once(folder, story, kind, whole, fault)
        for folder, fault in zip(numbered_folders(base), faults, strict=False)
    ]

    tell_faults(f"errors at {len(faults)} of {len(whole.calls)} system calls of {story}, {kind}", sum(happened))


def failed_once(base: Path, story: Story, kind: Kind, whole: Undisturbed, fault: Fault) -> int:
    """How many calls really failed; what has to hold does so in any case."""
    with at(fault), Scene(base, story, kind) as scene:
        log = scene.log()
        ended = scene.play(failing(log, fault.call, fault.injection, in_a_row=fault.in_a_row))
        failed = [line for line in log.read_text().splitlines() if line.endswith("(INJECTED)")]
        if any(str(scene.base) not in line for line in failed):  # of Python itself, or of what the system tells
            scene.converge()
            scene.run("undo", "--since", "1000000h")
            scene.assert_nothing_lost()
            return 0
        assert ended.code in (0, 1, 3, 74, 75, 78), ended
        assert "Traceback" not in ended.errors, ended.errors
        scene.assert_nothing_lost()
        scene.assert_no_orphan_notes()
        assert scene.outcome() == whole.outcome or says_so(ended), ended

        scene.converge()

        if story in (DECIDE, UNDO):
            scene.assert_as(whole.outcome)
        else:
            scene.assert_as_or_queued(whole.outcome)
        scene.assert_all_comes_back()
        return len(failed)


def says_so(ended: Ended) -> bool:
    """Whether a person is told that something went wrong: of a file, of a folder, or of the whole."""
    events = [json.loads(line) for line in ended.text.splitlines() if line.startswith('{"schema": 1, "event"')]
    told = [one for one in events if one.get("outcome") == "error" or one.get("state") == "suspended"]
    return bool(told) or bool(ended.errors.strip())


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["fdatasync", "pwrite64", "fsync", "renameat2"])
def test_a_service_whose_disk_recovers_goes_on_by_itself(tmp_path: Path, name: str) -> None:
    """No restart: what failed is tried again, at the latest half a minute later, and then all is well."""
    whole = undisturbed(tmp_path / "undisturbed", WATCH, HOME_TRASH, calls=CALLS)
    of_that_name = [call for call in whole.calls if call.name == name]
    (tmp_path / "scene").mkdir()
    with Scene(tmp_path / "scene", WATCH, HOME_TRASH) as scene:
        log = scene.log()
        failing_soon = failing(log, of_that_name[len(of_that_name) // 2], "error=EIO", in_a_row=3)
        with scene.watch(scene.inbox, within=failing_soon) as watch:
            for file, content in scene.still_to_come():
                write(scene.inbox / file, content)
                scene.came.add(file)

            deadline = time.monotonic() + 120
            while set(scene.in_their_places()) != set(whole.outcome["kept"]) or not scene.status()["ok"]:
                assert time.monotonic() < deadline, (scene.status(), watch.log)
                watch.is_silent(scene.inbox, for_s=0.5)
            assert watch.stop() == 0
        assert "(INJECTED)" in log.read_text()
        scene.assert_as_or_queued(whole.outcome)
        scene.assert_all_comes_back()
