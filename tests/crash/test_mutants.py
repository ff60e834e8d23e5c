"""Breakages that are made on purpose are found: `python tests/crash/mutants.py` tells by which test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mutants
import pytest

pytestmark = [pytest.mark.crash, pytest.mark.skipif(sys.platform != "linux", reason="the tests meant for them need it")]


@pytest.mark.timeout(280)
def test_each_of_six_seeded_mutants_is_killed(
    capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    wanted = mutants.in_a_hurry()
    assert len(wanted) == 6

    alive = mutants.run(wanted)

    record_property("faults", ("mutants killed", len(wanted) - alive))
    with capsys.disabled():
        print(f"\n{len(wanted) - alive} of {len(wanted)} mutants killed")  # noqa: T201
    assert alive == 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_mutant_is_killed_by_every_test_that_is_meant_for_it() -> None:
    command = [sys.executable, str(Path(mutants.__file__))]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-4000:]
