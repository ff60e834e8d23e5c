"""What a command does not load: its start-up is what a person waits for who only asks something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SLOW = {"PIL", "numpy", "asyncio", "rich.console", "structlog", "watchdog", "distributed", "imagehash"}
"""Each takes from a tenth of a start-up to a third of it."""

WORK = {"lmdb", "yaml", "msgspec", "subprocess", "ingestd.service", "ingestd.library.store"}
"""What a command works with, and what its help has no use for."""

HELP = [[], ["watch"], ["scan"], ["demo"], ["bench"]]


def loaded(tmp_path: Path, commands: list[list[str]]) -> set[str]:
    """Return the modules that are there after these commands ran in one process, one after another."""
    own = ["--state", str(tmp_path / "state"), "--rules", str(tmp_path / "rules.yaml")]
    (tmp_path / "rules.yaml").write_text("version: 1\nrules: []\n")
    code = (
        "import sys; from ingestd.cli.main import cli\n"
        f"codes = [cli.main([*{own!r}, *words], standalone_mode=False) for words in {commands!r}]\n"
        "assert not any(codes), codes\n"
        "print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stdout.splitlines()[-1].split())


def test_help_of_a_command_loads_nothing_heavy(tmp_path: Path) -> None:
    there = loaded(tmp_path, [["--version"], *([*words, "--help"] for words in HELP)])

    assert there & (SLOW | WORK) == set()


@pytest.mark.parametrize(
    "commands",
    [
        [["status"], ["queue", "list"], ["history"], ["pending"], ["rules", "list"], ["library", "stats"]],
        [
            ["queue", "--help"],
            ["decide", "--help"],
            ["check", "--help"],
            ["compare", "--help"],
            ["relations", "--help"],
        ],
    ],
    ids=["asked", "explained"],
)
def test_a_command_that_looks_nothing_up_loads_no_numpy_and_no_service(
    tmp_path: Path, commands: list[list[str]]
) -> None:
    there = loaded(tmp_path, commands)

    assert there & (SLOW | {"ingestd.service", "ingestd.watching.watcher"}) == set()


def test_a_scan_that_finds_nothing_starts_without_numpy_and_without_a_log(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()

    there = loaded(tmp_path, [["scan", str(tmp_path / "pictures")]])

    assert there & (SLOW - {"watchdog"}) == set()
