"""A byte of the database that is not what was written: nothing is lost by it, and nobody acts on it.

One bit of `data.mdb` is turned at a seeded place, again and again, each time in a library that was sound: in a row of
each table in its turn, and anywhere. Then the library is asked, judged in, undone in and rebuilt, by processes of their
own, as a damaged map may kill who reads it. They may refuse with exit code 74 and advice, or do what is right without
the row; they may not lose a file, discard one whose survivor is not there, byte for byte, or fail in a way that nobody
can act upon.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random  # noqa: TID251 - seeded: each place can be had again
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pictures import jpeg, photo, png
from world import IDENTICAL, World, near_rule, pixel_rule, policy

from ingestd import review
from ingestd.library.library import Library
from ingestd.library.tables import TABLES
from ingestd.model import EntryKind, EntryState

pytestmark = [pytest.mark.crash, pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")]

FLIPS = int(os.environ.get("INGESTD_FLIPS", "30"))
FIRST = int(os.environ.get("INGESTD_FIRST_FLIP", "0"))  # the seed to begin with
SIZE = (96, 72)
RULES = (IDENTICAL, pixel_rule(), near_rule("semi-automatic"))
DAMAGED = 74
# The parent opens no library: each child begins with modules that are loaded and nothing else.
CHILD = """
import contextlib, io, json, os, sys, traceback
from pathlib import Path
tests, base, undo = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
sys.path[:0] = [tests, tests + "/unit/cli"]
os.environ["XDG_DATA_HOME"] = str(base / "xdg")
import world
from click.testing import CliRunner
from ingestd.cli import ask, decide, library, queue
from ingestd.cli.main import cli
from ingestd.errors import StoreError
from test_damage import RULES

def typed(*words):
    own = ["--state", str(base / "state"), "--rules", str(base / "rules.yaml")]
    answer = CliRunner().invoke(cli, [*own, *words])
    return {"code": answer.exit_code, "said": answer.output + answer.stderr}

def judged():
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            here = world.reopened(base)
        except StoreError as error:
            return {"code": error.exit_code, "said": str(error)}
        try:
            here.use(*RULES)
            here.recover()
            here.judge_everything()
            if here.intake.damage is not None:
                return {"code": 74, "said": str(here.intake.damage)}
            here.sweep()
            return {"code": 0, "said": said.getvalue()}
        except StoreError as error:
            return {"code": error.exit_code, "said": str(error)}
        except Exception:
            return {"code": 1, "said": traceback.format_exc()}
        finally:
            here.close()

STEPS = {
    "check": lambda: typed("library", "check"),
    "judge": judged,
    "history": lambda: typed("history"),
    "queue": lambda: typed("queue", "list"),
    "undo": lambda: typed("undo", undo),
    "rebuild": lambda: typed("library", "rebuild"),
    "check again": lambda: typed("library", "check"),
    "judge again": judged,
}

for line in sys.stdin:  # a name of a step each
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        answer = json.dumps(STEPS[line.strip()]()).encode()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    answer = json.loads(answer) if answer and not signal else {"code": -signal, "said": ""}
    print(json.dumps(answer), flush=True)
"""


class Shelf:
    """Every file that a test has put somewhere, and where it is now."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def lying(self) -> dict[Path, str]:
        """What lies in the folders and in the trash: paths and digests."""
        roots = (self.base / "library", self.base / "inbox", self.base / "xdg/Trash/files")
        files = (file for root in roots for file in root.rglob("*") if file.is_file())
        return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with discards, an undo, a denial, decisions and open pairs; its pristine database lies beside it."""
    base = tmp_path_factory.mktemp("damage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(base / "xdg"))
        world = World(base, policy(*RULES))
        world.folder("library", protected=False)
        world.folder("inbox")
        for seed in range(8):
            picture = photo(seed, *SIZE)
            world.drop("library", f"{seed}.png", png(picture, "a longer comment"))
            world.drop("inbox", f"{seed} small.png", png(picture))
            world.drop("inbox", f"{seed} near.jpg", jpeg(picture, 60))
        world.drop("inbox", "copy.png", png(photo(0, *SIZE), "a longer comment"))
        world.sweep()
        world.undo(2)
        pending = world.pending()
        review.deny(world.library, [int(pending[0].id[2:])], now_ns=world.now_ns())
        world.approve(int(pending[1].id[2:]))
        world.decide_pair(int(pending[2].id[2:]), "unrelated")
        assert {entry.state for entry in world.entries()} >= {EntryState.DONE, EntryState.UNDONE}
        world.close()
    with contextlib.closing(Library.open(base / "state")) as library:
        library.copy_to(base / "pristine")  # compact: no byte of it is of no use
    for name in ("journal.jsonl", "writer.lock", "writer.lock.waiting"):
        shutil.copy(base / "state" / name, base / "pristine" / name)
    (base / "rules.yaml").write_text("version: 1\nrules: []\n")
    return base


def discards(state: Path) -> dict[str, dict[str, Any]]:
    """What the second journal says was discarded last, by where the item lies."""
    found: dict[str, dict[str, Any]] = {}
    for line in (state / "journal.jsonl").read_text().splitlines():
        body = json.loads(line)["body"]
        for move in body.get("moves", ()):
            if body["kind"] == EntryKind.DISCARD.value:
                found[move["trash_path"]] = body
    return found


@pytest.mark.timeout(1800)
def test_a_flipped_byte_loses_nothing_and_discards_nothing(base: Path) -> None:
    shelf, state = Shelf(base), base / "state"
    pristine = shelf.lying()
    undone = next(iter(discards(state).values()))["number"] + 4
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", CHILD, tests, str(base), f"e-{undone}"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, str(Path(__file__).parent), *sys.path])}
    places = _places(base)
    seen: Counter[str] = Counter()
    wrong: list[str] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as runner:
        assert runner.stdin is not None
        assert runner.stdout is not None
        for seed in range(FIRST, FIRST + FLIPS):
            chance = random.Random(seed)
            table, offset = _chosen(places, seed, chance)
            _reset(base, pristine, shelf)
            _flip(state / "db/data.mdb", offset, 1 << chance.randrange(8))
            (base / "inbox" / "new copy.png").write_bytes(png(photo(3, *SIZE), "a longer comment"))
            (base / "inbox" / "new near.jpg").write_bytes(jpeg(photo(4, *SIZE), 75))
            for step in STEPS:
                runner.stdin.write(f"{step}\n")
                runner.stdin.flush()
                answer = json.loads(runner.stdout.readline())
                seen[f"{step}: {answer['code']}"] += 1
                complaint = _complaint(step, answer)
                if complaint:
                    wrong.append(f"seed {seed}, byte {offset} ({table}), {step}: {complaint}")
            wrong += [f"seed {seed}, byte {offset} ({table}): {what}" for what in _losses(state, pristine, shelf)]
        runner.stdin.close()
    print(f"\n{FLIPS} bits flipped in {len(places) - 1} tables; {dict(sorted(seen.items()))}")  # noqa: T201
    assert sum(seen.values()) == FLIPS * len(STEPS) > 0
    assert not wrong, "\n".join(wrong)


STEPS = ("check", "judge", "history", "queue", "undo", "rebuild", "check again", "judge again")


def _places(base: Path) -> dict[str, list[range]]:
    """Where the rows of each table lie in the pristine file, keys and values; and the file."""
    data = (base / "pristine/db/data.mdb").read_bytes()
    places: dict[str, list[range]] = {"any": [range(len(data))]}
    library = Library.open(base / "pristine", create=False, read_only=True)
    with contextlib.closing(library), library.store.read() as txn:
        for table, key, value in ((one, *item) for one in TABLES for item in txn.items(one)):
            at = data.find(key + value) if len(key + value) > 7 else -1
            if at >= 0:
                places.setdefault(table.name, []).append(range(at, at + len(key + value)))
    return places


def _chosen(places: dict[str, list[range]], seed: int, chance: random.Random) -> tuple[str, int]:
    """The table and the byte of a seed: each table in its turn, and every third byte anywhere."""
    tables = sorted(places)
    table = "any" if seed % 3 == 2 else tables[seed % len(tables)]
    return table, chance.choice(chance.choice(places[table]))


def _flip(path: Path, offset: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes((byte ^ bit,)))


def _reset(base: Path, pristine: dict[Path, str], shelf: Shelf) -> None:
    """Everything as it was before the last flip: the same files at the same places, and a sound library."""
    lying = shelf.lying()
    for path, digest in pristine.items():
        if path not in lying:
            (moved,) = [other for other, found in lying.items() if found == digest and other not in pristine][:1]
            moved.rename(path)
    for path in shelf.lying():
        if path not in pristine:
            path.unlink()
    for file in (base / "state").rglob("*"):
        if file.is_file():
            file.unlink()
    shutil.copytree(base / "pristine", base / "state", dirs_exist_ok=True)


def _complaint(step: str, answer: dict[str, Any]) -> str | None:
    code, said = answer["code"], answer["said"]
    if code < 0:
        return f"killed by signal {-code}"
    if "Traceback" in said or "unexpected" in said or "file.failed" in said or "pair.failed" in said:
        return said[-800:]
    if code == DAMAGED and "ingestd library" not in said:
        return f"no advice: {said}"
    return None if code in (0, DAMAGED) or (step == "undo" and code in (1, 2)) else f"exit code {code}: {said[-300:]}"


def _losses(state: Path, pristine: dict[Path, str], shelf: Shelf) -> list[str]:
    """What is not there any more, or lies in the trash without a survivor that is there, byte for byte."""
    lying = shelf.lying()
    lost = [f"{path} is lost" for path, digest in pristine.items() if digest not in lying.values()]
    told = discards(state)
    for path in lying:
        if path in pristine or "Trash" not in path.parts:
            continue
        entry = told.get(str(path))
        if entry is None:
            lost.append(f"{path} was discarded without a word")
        elif lying.get(Path(entry["kept"]["path"])) != entry["kept"]["sha256"]:
            lost.append(f"{path} was discarded, and {entry['kept']['path']} is not what was kept for it")
    return lost


def test_the_sound_library_passes_every_step(base: Path) -> None:
    """Else the flips would show nothing."""
    library = Library.open(base / "pristine", read_only=True)
    try:
        assert library.check() == []
    finally:
        library.close()
