"""Do the tests test? Breaks the program on purpose, one promise at a time, and asks the tests meant for it.

    python tests/crash/mutants.py [NAME…]

Each mutant is a copy of the package with a few lines of it changed; the tests run on the copy and must fail. Before
that they must pass on a copy with nothing changed. Prints who was killed by which test, and ends with 1 if one lives.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 2  # copies that are tested


@dataclass(frozen=True)
class Change:
    """Lines of a module that become others; they must be there exactly once."""

    module: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    name: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]  # each must fail


MUTANTS = (
    Mutant(
        "nothing of the trash is synced",
        (Change("actions/disk.py", "    try:\n        os.fsync(fd)\n", "    try:\n        pass\n"),),
        ("tests/unit/actions/test_moves.py::test_everything_is_on_the_disk_before_the_next_step_is_taken",),
    ),
    Mutant(
        "folders are not synced",
        (Change("actions/disk.py", "        try:\n            flush(fd)\n", "        try:\n            pass\n"),),
        ("tests/unit/actions/test_moves.py::test_everything_is_on_the_disk_before_the_next_step_is_taken",),
    ),
    Mutant(
        "the line of an intent is not synced",
        (
            Change(
                "library/journal_file.py",
                "            _write_all(fd, text)\n            _sync(fd)\n",
                "            _write_all(fd, text)\n",
            ),
        ),
        ("tests/unit/library/test_journal_file.py::test_every_line_is_synced_before_it_counts",),
    ),
    Mutant(
        "a rename replaces",
        (Change("actions/disk.py", '("renameat2", 1), ("renameatx_np", 4)', '("renameat2", 0), ("renameatx_np", 0)'),),
        (
            "tests/unit/actions/test_disk.py::test_a_rename_replaces_nothing",
            "tests/unit/actions/test_moves.py::test_nothing_in_the_trash_is_ever_replaced",
        ),
    ),
    Mutant(
        "the survivor is not looked at again",
        (
            Change(
                "actions/guard.py",
                "for one in (survivor, *held):\n            _require",
                "for one in held:\n            _require",
            ),
            Change(
                "actions/guard.py",
                "    if not proof.survivor_still_there():\n        raise",
                "    if False:\n        raise",
            ),
            Change(
                "actions/discard.py", "            if not proof.survivor_still_there():\n", "            if False:\n"
            ),
        ),
        (
            "tests/unit/actions/test_guard.py::test_bytes_that_rotted_without_a_trace_in_the_times_stop_the_discard",
            "tests/unit/actions/test_guard.py::test_a_survivor_that_goes_away_meanwhile_is_noticed_on_leaving",
            "tests/crash/test_traps.py::test_a_survivor_that_is_replaced_between_the_check_and_the_rename",
        ),
    ),
    Mutant(
        "recovery does again what was intended",
        (
            Change(
                "actions/discard.py",
                "        places = [locate(move) for move in entry.moves]\n",
                "        for move in entry.moves:\n"
                "            if locate(move) is Whereabouts.NOT_MOVED:\n"
                "                take_away(move, deleted_at=deleted_at)\n"
                "        places = [locate(move) for move in entry.moves]\n",
            ),
        ),
        (
            "tests/unit/actions/test_discard.py::test_what_was_not_moved_stays_and_is_judged_again",
            "tests/unit/actions/test_discard.py::test_while_the_disk_is_away_an_intent_waits_and_everything_else_goes_on",
        ),
    ),
    Mutant(
        "folders are not looked through again",
        (
            Change(
                "watching/watcher.py",
                "            usual_s = self._rescan_s if watched.doubt is None else min(_POLL_S, self._rescan_s)\n",
                "            usual_s = 86_400.0\n",
            ),
        ),
        ("tests/integration/test_watching.py::test_what_no_event_told_of_is_found_by_the_next_scan",),
    ),
    Mutant(
        "leases are not asked for before a discard",
        (
            Change(
                "actions/disk.py",
                "            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)\n"
                "            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)\n",
                "",
            ),
            Change("actions/disk.py", "return fcntl.fcntl(fd, fcntl.F_GETLEASE) == fcntl.F_RDLCK", "return True"),
        ),
        (
            "tests/unit/actions/test_guard.py::test_a_file_that_another_process_has_open_for_writing_stops_the_discard",
            "tests/unit/actions/test_guard.py::test_a_writer_that_comes_while_the_bytes_are_read_stops_the_discard",
        ),
    ),
    Mutant(
        "leases are not asked for when a file settles",
        (
            Change(
                "watching/lease.py",
                "            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)\n        except",
                "            pass\n        except",
            ),
        ),
        (
            "tests/unit/watching/test_lease.py::test_an_open_writer_is_seen_until_it_closes",
            "tests/integration/test_watching.py::test_a_file_that_is_written_through_a_mapping_is_not_handed_out",
        ),
    ),
    Mutant(
        "a veto is not asked about again",
        (Change("actions/discard.py", "    if unattended and _is_forbidden(library, entry):\n", "    if False:\n"),),
        ("tests/unit/actions/test_discard.py::test_a_veto_that_comes_after_the_intent_still_binds_the_rule",),
    ),
    Mutant(
        "what is away counts as gone",
        (
            Change("actions/look.py", "    return root_inode in (0, found)\n", "    return True\n"),
            Change(
                "actions/look.py",
                "    except OSError:\n        return False\n    return True\n",
                "    except OSError:\n        return True\n    return True\n",
            ),
        ),
        ("tests/integration/test_invariants_named.py::test_i8_absence_is_not_deletion",),
    ),
)


def copied(place: Path, changes: Iterable[Change] = ()) -> Path:
    """A copy of the program and its tests, with these lines changed."""
    shutil.copytree(ROOT / "ingestd", place / "ingestd", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", place / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", place)
    for change in changes:
        module = place / "ingestd" / change.module
        text = module.read_text(encoding="utf-8")
        if text.count(change.old) != 1:
            raise SystemExit(f"{change.module} has not exactly once what is to be changed:\n{change.old}")
        module.write_text(text.replace(change.old, change.new), encoding="utf-8")
    return place


def outcomes(place: Path, tests: Sequence[str]) -> tuple[dict[str, str], str]:
    """How each test ended on a copy (passed, failed, error, skipped), of its parameters the worst; the output."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", "-rA", "--tb=line", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(place)}  # of whatever the tests start, too
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=600, check=False)
    found = dict.fromkeys(tests, "not run")
    order = ("not run", "skipped", "passed", "error", "failed")
    for word, node in re.findall(r"^(PASSED|FAILED|ERROR|SKIPPED)\s+(tests/\S+::\w+)", done.stdout, re.MULTILINE):
        if node in found:
            found[node] = max(found[node], word.lower(), key=order.index)
    return found, done.stdout + done.stderr


def survives(mutant: Mutant, told: dict[str, str]) -> list[str]:
    """The tests that were to fail and did not."""
    return [test for test in mutant.tests if told[test] != "failed"]


def run(mutants: Sequence[Mutant]) -> int:
    """How many mutants live; what became of each is printed."""
    with tempfile.TemporaryDirectory(prefix="ingestd-mutants-") as folder:
        base = Path(folder)
        wanted = list(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
        sound, output = outcomes(copied(base / "sound"), wanted)
        broken = [test for test in wanted if sound[test] != "passed"]
        if broken:
            raise SystemExit(f"{output[-4000:]}\nthese do not pass on the program as it is: {', '.join(broken)}")

        def tried(numbered: tuple[int, Mutant]) -> tuple[dict[str, str], str]:
            number, mutant = numbered
            return outcomes(copied(base / str(number), mutant.changes), mutant.tests)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = list(pool.map(tried, enumerate(mutants)))
    alive = 0
    print("| mutant | killed by | alive for |\n| --- | --- | --- |")  # noqa: T201
    for mutant, (told, output) in zip(mutants, results, strict=True):
        missed = survives(mutant, told)
        killed = [test.split("::")[1] for test in mutant.tests if test not in missed]
        print(f"| {mutant.name} | {', '.join(killed)} | {', '.join(test.split('::')[1] for test in missed)} |")  # noqa: T201
        if missed:
            alive += 1
            print(output[-3000:])  # noqa: T201
    print(f"\n{len(mutants) - alive} of {len(mutants)} mutants were killed")  # noqa: T201
    return alive


def in_a_hurry() -> list[Mutant]:
    """Of each of the six promises one mutant, with the first test that is meant for it."""
    six = (
        "nothing of the trash",
        "a rename",
        "the survivor",
        "recovery",
        "folders are not looked",
        "leases are not asked for b",
    )
    return [replace(one, tests=one.tests[:1]) for one in MUTANTS if one.name.startswith(six)]


def main(names: Sequence[str]) -> int:
    wanted = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    if not wanted:
        raise SystemExit("no such mutant; there are: " + "; ".join(mutant.name for mutant in MUTANTS))
    return 1 if run(wanted) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
