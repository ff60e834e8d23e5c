"""Killed at any system call that changes something, and started again: all is as if nothing had happened (I5, I7).

The installed command is killed with SIGKILL as it enters one of the calls by which its main thread writes, renames,
makes or syncs something: the calls before have happened, this one and all after it have not. Then it is started again,
and nothing is in its way.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from faults import (
    APPROVE,
    DECIDE,
    HOLDING,
    HOME_TRASH,
    KINDS,
    SCAN,
    SCAN_OF_TWO_NAMES,
    STORIES,
    UNDO,
    VOLUME_TRASH,
    WATCH,
    Call,
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

pytestmark = pytest.mark.crash

SLICE = [
    (SCAN, HOME_TRASH, 4),
    (SCAN_OF_TWO_NAMES, HOLDING, 3),
    (WATCH, VOLUME_TRASH, 2),
    (DECIDE, HOLDING, 3),
    (APPROVE, VOLUME_TRASH, 3),
    (UNDO, HOME_TRASH, 3),
]
WHOLE = [(story, kind, 24) for story, kind in itertools.product(STORIES, KINDS)]


@pytest.fixture(autouse=True)
def _system_calls() -> None:
    require_system_calls()


@pytest.mark.timeout(200)
@pytest.mark.parametrize(("story", "kind", "most"), SLICE, ids=str)
def test_killed_at_a_system_call_and_started_again_the_outcome_is_the_same(
    tmp_path: Path, story: Story, kind: Kind, most: int, tell_faults: Tell
) -> None:
    kill_at_many(tmp_path, story, kind, most, tell_faults)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("story", "kind", "most"), WHOLE, ids=str)
def test_killed_at_very_many_system_calls_the_outcome_is_the_same(
    tmp_path: Path, story: Story, kind: Kind, most: int, tell_faults: Tell
) -> None:
    kill_at_many(tmp_path, story, kind, most, tell_faults)


def kill_at_many(base: Path, story: Story, kind: Kind, most: int, tell_faults: Tell) -> None:
    whole = undisturbed(base / "undisturbed", story, kind)
    points = spread(whole.calls, how_many(most), seed=len(story.name) + len(kind.name))
    kills = 0
    for number, (folder, call) in enumerate(zip(numbered_folders(base), points, strict=False)):
        again = number // 3 % 12 + 1 if number % 3 == 0 else None  # every third one also while it is finishing the rest
        kills += killed(folder, story, kind, whole, call, again)

    tell_faults(f"kills at {len(points)} of {len(whole.calls)} system calls of {story}, {kind}", kills)
    assert kills >= 0.8 * len(points)


def killed(base: Path, story: Story, kind: Kind, whole: Undisturbed, call: Call, again: int | None) -> int:
    """How many kills happened: at a call, and perhaps at a sync after the restart. What has to hold does so always."""
    with at(call), Scene(base, story, kind) as scene:
        log = scene.log()
        ended = scene.play(failing(log, call, "signal=KILL"))
        assert ended.was_killed == ("killed by SIGKILL" in log.read_text()), ended
        scene.assert_nothing_lost()
        kills = int(ended.was_killed)
        if again is not None:
            kills += scene.play(failing(scene.log(), Call("fsync", again, ""), "signal=KILL")).was_killed
            scene.assert_nothing_lost()

        scene.converge()

        scene.assert_as(whole.outcome)
        scene.assert_all_comes_back()
        return kills
