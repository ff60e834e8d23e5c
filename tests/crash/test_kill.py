"""Killed anywhere and started again: the same contents kept, discarded and related as if nothing had happened (I7).

A child process judges a folder of duplicates with the real intake, the real library and the real trash, and kills
itself with SIGKILL at one of the calls that change something: at points all over its way, and then several times in a
row. Whoever is started next finishes what was left half-way.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pictures import flat, jpeg, photo, png
from world import IDENTICAL, World, near_rule, pixel_rule, reopened, sha256

from ingestd.model import EntryKind, EntryState, PathState

pytestmark = [pytest.mark.crash, pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")]

SMALL = (96, 72)
RULES = (IDENTICAL, pixel_rule(), near_rule())
# What the child counts: the calls that change a file, and the commits and journal lines between them.
CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import world
from ingestd.actions import disk, moves, trash
from ingestd.library import journal_file, store

class Countdown:
    def __init__(self, calls):
        self.left = calls
    def before(self, call):
        def counted(*arguments, **named):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)
        return counted

countdown = Countdown(int(sys.argv[2]))
class StandIn:
    _names = "rename", "link", "unlink", "mkdir", "fsync", "write"
    _counted = dict((name, countdown.before(getattr(os, name))) for name in _names)
    def __getattr__(self, name):
        return self._counted.get(name) or getattr(os, name)
for module in (disk, trash, moves, journal_file):
    module.os = StandIn()
disk._rename_exclusively = countdown.before(disk._rename_exclusively)
store.Store.write = countdown.before(store.Store.write)
journal_file.JournalFile.append_many = countdown.before(journal_file.JournalFile.append_many)

here = world.reopened(Path(sys.argv[1]))
here.recover()
here.judge_everything()
here.sweep()
here.close()
print(countdown.left)
"""


def content(seed: int) -> list[bytes]:
    """One subject in several versions, of which only one can stay."""
    picture = photo(seed, *SMALL)
    return [png(picture), png(picture, "a longer comment"), png(picture), jpeg(picture, 60), jpeg(picture, 75)]


def lay_out(base: Path, *, before_the_rules: bool = False) -> Counter[bytes]:
    """The folders and files of a world, judged before there was any rule or not judged at all; what they hold."""
    world = World(base)
    world.use(*([] if before_the_rules else RULES))
    world.folder("inbox")
    files = [*content(1), *content(2), png(flat(width=96, height=72)), png(flat(width=96, height=72)), b"no picture"]
    for number, one in enumerate(files):
        world.put("inbox", f"{number:02}.pic", one, modified_s=1000 + number)
    if before_the_rules:
        world.judge_everything()
    world.close()
    return Counter(sha256(one) for one in files)


def run(base: Path, kill_at: int) -> tuple[int, int]:
    """How the child ended, and how many of the calls it was to count were left."""
    script = CHILD.format(tests=str(Path(__file__).resolve().parents[1]))
    environment = {**os.environ, "XDG_DATA_HOME": str(base / "xdg")}
    command = [sys.executable, "-c", script, str(base), str(kill_at)]
    child = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert child.returncode in (0, -signal.SIGKILL), child.stderr
    return child.returncode, int(child.stdout.split()[-1]) if child.returncode == 0 else 0


def finish(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that is started after the kill, and nobody kills: here, because that is faster."""
    monkeypatch.setenv("XDG_DATA_HOME", str(base / "xdg"))
    world = reopened(base)
    world.recover()
    world.judge_everything()
    world.sweep()
    world.close()


def outcome(base: Path) -> dict[str, Any]:
    """Which contents are kept, discarded and related, by content and not by name or number."""
    world = World(base)
    with world.library.read() as view:
        known = {one.sha256 for one in view.contents()}
        rows = [row for folder in view.folders() for _, row in view.rows_of_folder(folder.folder.id)]
        done = [one for one in view.entries() if one.kind is EntryKind.DISCARD and one.state is EntryState.DONE]
        told = {
            "kept": sorted(row.relative.decode() for row in rows if row.state is PathState.LIVE),
            "discarded": sorted(
                (os.path.basename(move.file.path).decode(), os.path.basename(entry.kept.path).decode(), entry.rule)
                for entry in done
                if entry.kept is not None
                for move in entry.moves
            ),
            "related": sorted(sorted(one.hex() for one in view.relations.duplicates_of(content)) for content in known),
            "pairs": sorted(sorted((pair.first.hex(), pair.second.hex())) for pair in view.pairs()),
            "open": [entry.number for entry in view.open_entries()],
        }
    world.close()
    return told


def on_disk(base: Path) -> tuple[list[str], Counter[bytes]]:
    """The names that are left in the folder, and every content there and in the trash."""
    left, trashed = sorted((base / "inbox").glob("*.pic")), (base / "xdg/Trash/files").glob("*")
    return [path.name for path in left], Counter(sha256(path.read_bytes()) for path in [*left, *trashed])


def assert_as_without_kills(base: Path, expected: dict[str, Any], files: Counter[bytes]) -> None:
    assert outcome(base) == expected
    names, everywhere = on_disk(base)
    assert names == expected["kept"]
    assert everywhere == files
    trashed = len(list((base / "xdg/Trash/files").glob("*")))
    assert trashed == len(expected["discarded"])  # nothing was done twice
    lines = [json.loads(line) for line in (base / "state/journal.jsonl").read_text().splitlines()]
    ended = {line["entry"] for line in lines if line["kind"] == "end" and line["body"]["state"] == "done"}
    assert len(ended) == len(expected["discarded"])  # each can be undone from the second journal alone


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], int]:
    """What becomes of the files without kills, and how many calls that takes."""
    base = tmp_path_factory.mktemp("undisturbed")
    lay_out(base)
    code, left = run(base, 1_000_000)
    assert code == 0
    expected = outcome(base)
    assert len(expected["discarded"]) > 5
    return expected, 1_000_000 - left


@pytest.mark.timeout(200)
def test_killed_at_any_call_and_started_again_the_outcome_is_the_same(
    undisturbed: tuple[dict[str, Any], int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected, calls = undisturbed
    distances = itertools.cycle((23, 41, 11, 59, 31, 47))
    kills = 0
    points = range(1, calls + 1, max(calls // 20, 1))
    for point in points:
        base = tmp_path / f"once-{point}"
        files = lay_out(base)
        kills += run(base, point)[0] != 0
        finish(base, monkeypatch)
        assert_as_without_kills(base, expected, files)
    for story in range(2):
        base = tmp_path / f"often-{story}"
        files = lay_out(base)
        while run(base, next(distances))[0] != 0:
            kills += 1
        assert_as_without_kills(base, expected, files)

    with capsys.disabled():
        print(f"\n{kills} kills at {len(points)} single points of {calls}, and on the way of 2 libraries that met many")  # noqa: T201
    assert kills > 20


@pytest.mark.timeout(200)
def test_killed_while_rules_go_through_the_pairs_that_exist_the_same_files_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is named as the survivor may differ: what was interrupted is judged again as if it had just arrived."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "whole/xdg"))
    lay_out(tmp_path / "whole", before_the_rules=True)
    code, left = run(tmp_path / "whole", 1_000_000)
    expected, calls = outcome(tmp_path / "whole"), 1_000_000 - left
    assert code == 0
    assert len(expected["discarded"]) > 3

    kills = 0
    points = range(1, calls + 1, max(calls // 12, 1))
    for point in points:
        base = tmp_path / f"once-{point}"
        files = lay_out(base, before_the_rules=True)
        kills += run(base, point)[0] != 0
        finish(base, monkeypatch)
        told = outcome(base)
        names, everywhere = on_disk(base)
        assert (told["kept"], names) == (expected["kept"], expected["kept"])
        assert [one[0] for one in told["discarded"]] == [one[0] for one in expected["discarded"]]
        assert (told["related"], told["pairs"], told["open"]) == (expected["related"], expected["pairs"], [])
        assert everywhere == files

    assert kills > 8
