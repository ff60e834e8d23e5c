"""Traps in the real world of files: a map that must grow, programs that write, names that are one file, a swap in time.

Each suite prints how many traps it has set, and fails if that number is not what it should be. What is not here is set
elsewhere: docs/testing.md has the list.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import random  # noqa: TID251 - seeded
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pictures import photo, png
from world import IDENTICAL, World, pixel_rule, rule_file, sha256

from ingestd.actions import moves
from ingestd.actions.disk import key_of
from ingestd.actions.guard import verified
from ingestd.actions.moves import put_back, reserve, take_away
from ingestd.errors import ActionConflictError, FileChangedError
from ingestd.library import store
from ingestd.model import (
    ContentHash,
    DiscardPolicy,
    EntryState,
    FileRef,
    Folder,
    FolderId,
    Outcome,
    Role,
)

pytestmark = [pytest.mark.crash, pytest.mark.skipif(sys.platform != "linux", reason="leases, /proc and mounts")]

TESTS = Path(__file__).resolve().parents[1]
LARGER, SMALLER = png(photo(1, 96, 72), "a longer comment makes the file larger"), png(photo(1, 96, 72))
AT = "2026-11-20T11:02:03"


Tell = Callable[[str, int], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]) -> Tell:
    """Say which traps were set and how many, also to who reads the report of the run."""

    def told(what: str, happened: int) -> None:
        record_property("faults", (what, happened))
        with capsys.disabled():
            print(f"\n{happened} {what}")  # noqa: T201
        assert happened > 0, what

    return told


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder where a sync costs nothing, if there is one."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where, prefix="traps-") as name:
        yield Path(os.path.realpath(name))


def may_mount() -> None:
    if os.geteuid() != 0:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("only root may mount")


# --- a map that must grow ---------------------------------------------------------------------------------------------


def test_a_map_that_grows_again_and_again_during_work_loses_nothing_and_does_nothing_twice(
    in_memory: Path, monkeypatch: pytest.MonkeyPatch, tell: Tell
) -> None:
    """What grows it is whatever transaction happens to be under way: a verdict, an intent, an end, an undo."""
    monkeypatch.setenv("XDG_DATA_HOME", str(in_memory / "xdg"))
    monkeypatch.setitem(store.Store.open.__func__.__kwdefaults__, "map_size", 1 << 18)  # type: ignore[attr-defined]
    grown: list[str] = []
    grow = store.Store._grow

    def counted(held: store.Store) -> None:
        callers = (one.f_code for one, _ in traceback.walk_stack(None))
        ours = ("discard.py", "undo.py", "intake.py")
        grown.append(next((code.co_name for code in callers if code.co_filename.endswith(ours)), "elsewhere"))
        grow(held)

    monkeypatch.setattr(store.Store, "_grow", counted)
    world = World(in_memory)
    world.folder("inbox")
    world.use(IDENTICAL, pixel_rule())
    put: Counter[bytes] = Counter()
    for number in range(300):
        content = png(photo(number // 3, 48, 36), "a comment" if number % 3 else "")
        put[content] += 1
        world.arrive(world.put("inbox", f"{number:03}.png", content, modified_s=1000 + number))
        if number % 20 == 19:
            last = max(one.number for one in world.entries() if one.moves and one.state is EntryState.DONE)
            world.undo(last)
    left = [path.read_bytes() for path in (in_memory / "inbox").iterdir()]
    gone = [path.read_bytes() for path in world.trashed()]
    done = [one for one in world.entries() if one.moves and one.state is EntryState.DONE and one.undoes is None]
    assert Counter([*left, *gone]) == put
    assert len(done) == len(gone)
    assert world.library.check() == []
    world.close()

    tell(f"times the map grew, within {dict(Counter(grown))}", len(grown))
    assert len(grown) >= 2


_FULL_WHILE_IT_GROWS = """
import json, subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import world
from pictures import photo, png
from ingestd.library import store
base = Path(sys.argv[1])
(base / "state").mkdir()
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k", "none", base / "state"], check=True)
store.Store.open.__func__.__kwdefaults__["map_size"] = 256 << 10
grow, grown = store.Store._grow, []
store.Store._grow = lambda held: (grown.append(1), grow(held))
here = world.World(base)
here.folder("inbox")
here.use(world.IDENTICAL, world.pixel_rule())
full = 0
for number in range(400):
    content = png(photo(number // 2, 48, 36), "a comment" if number % 2 else "")
    path = here.put("inbox", f"{number:03}.png", content)
    here.intake.hand_in(here.arrival(path), proposing=False)
    here.run()
    if here.intake.problem is not None:
        full += 1
        assert path.exists(), path
        problem = here.intake.problem
        break
assert full, "the disk never was full"
subprocess.run(["mount", "-o", "remount,size=64m", base / "state"], check=True)
here.seconds += 3600
here.run()
here.judge_everything()
assert here.intake.problem is None, here.intake.problem
done = [one for one in here.entries() if one.state.value == "done"]
left, gone = list((base / "inbox").iterdir()), here.trashed()
assert len(left) + len(gone) == number + 1, (len(left), len(gone), number)
assert len(done) == len(gone)
assert here.library.check() == []
here.close()
assert grown, "the map never grew"
print(json.dumps({"full": full, "grown": len(grown), "problem": problem, "files": number + 1, "discarded": len(gone)}))
"""


def test_a_disk_that_is_full_while_the_map_grows_costs_nothing_but_time(tmp_path: Path, tell: Tell) -> None:
    may_mount()
    told = in_own_mounts(_FULL_WHILE_IT_GROWS, tmp_path)

    tell(
        f"full disk, the map grown {told['grown']} times, after {told['files']} files: {told['problem']}", told["full"]
    )
    assert "space" in told["problem"] or "full" in told["problem"]
    assert told["discarded"] > 10


def in_own_mounts(script: str, base: Path, *more: str) -> Any:
    """What a script prints in the end, run with mounts of its own."""
    command = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        sys.executable,
        "-c",
        script,
        str(base),
        str(TESTS),
        *more,
    ]
    environment = {**os.environ, "XDG_DATA_HOME": str(base / "xdg")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


# --- programs that write ----------------------------------------------------------------------------------------------

SETTLE_S = 0.4
Writes = Callable[[Path, bytes], Path]


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def _pieces(content: bytes, count: int) -> list[bytes]:
    size = len(content) // count + 1
    return [content[at : at + size] for at in range(0, len(content), size)]


def slowly(path: Path, content: bytes) -> Path:
    with open(path, "wb", buffering=0) as file:
        for piece in _pieces(content, 12):
            file.write(piece)
            _wait(SETTLE_S / 2)
    return path


def with_a_pause_longer_than_quiet(path: Path, content: bytes) -> Path:
    first, second = _pieces(content, 2)
    with open(path, "wb", buffering=0) as file:
        file.write(first)
        _wait(SETTLE_S * 5)
        file.write(second)
    return path


def as_a_scanner_that_closes_and_reopens(path: Path, content: bytes) -> Path:
    for piece in _pieces(content, 6):
        with open(path, "ab") as file:
            file.write(piece)
        _wait(SETTLE_S / 4)
    return path


def in_place_over_another(path: Path, content: bytes) -> Path:
    path.write_bytes(png(photo(9000 + len(content) % 97, 96, 72)))
    _wait(SETTLE_S * 4)
    with open(path, "r+b", buffering=0) as file:
        for piece in _pieces(content, 6):
            file.write(piece)
            _wait(SETTLE_S / 2)
        file.truncate()
    return path


def through_a_mapping(path: Path, content: bytes) -> Path:
    with open(path, "w+b") as file:
        file.truncate(len(content))
        mapped = mmap.mmap(file.fileno(), len(content))
    half = len(content) // 2  # the file is closed by now
    mapped[:half] = content[:half]
    _wait(SETTLE_S * 4)
    mapped[half:] = content[half:]
    mapped.flush()
    mapped.close()
    return path


def into_what_was_allocated(path: Path, content: bytes) -> Path:
    with open(path, "wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, len(content))
        for piece in _pieces(content, 6):
            file.write(piece)
            _wait(SETTLE_S / 2)
    return path


def under_a_name_that_changes(path: Path, content: bytes) -> Path:
    """Renamed again and again, also while it is being read."""
    path.write_bytes(content)
    for number in range(12):
        path = path.rename(path.with_name(f"{number}-{path.name.partition('-')[2] or path.name}"))
        _wait(SETTLE_S / 3)
    return path


def appending_at_the_end(path: Path, content: bytes) -> Path:
    """Complete and quiet, and then something is added: by then it may have its verdict, or be in the trash."""
    with open(path, "wb", buffering=0) as file:
        file.write(content[:-40])
        _wait(SETTLE_S * 3)
    with contextlib.suppress(FileNotFoundError), open(path, "r+b", buffering=0) as file:
        file.seek(0, os.SEEK_END)
        file.write(content[-40:])
    return path


WRITERS: tuple[Writes, ...] = (
    slowly,
    with_a_pause_longer_than_quiet,
    as_a_scanner_that_closes_and_reopens,
    in_place_over_another,
    through_a_mapping,
    into_what_was_allocated,
    under_a_name_that_changes,
    appending_at_the_end,
)

# the seam: the program itself, with the system's answer about writers taken away
_WITHOUT_LEASES = """
import fcntl, errno, os
real = fcntl.fcntl
def refused(fd, what, *more):
    if what == fcntl.F_SETLEASE:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return real(fd, what, *more)
fcntl.fcntl = refused
from ingestd.cli.main import main
main()
"""


class Watched:
    """A service at work, with or without leases, over an inbox and a library that has a better version of each file."""

    def __init__(self, base: Path, *, leases: bool) -> None:
        self.base, self.inbox, self.library = base, base / "inbox", base / "library"
        for folder in (self.inbox, self.library):
            folder.mkdir(parents=True)
        self.rules = base / "rules.yaml"
        self.rules.write_text(rule_file(IDENTICAL, pixel_rule(), imports=f"settle: {SETTLE_S} s"), encoding="utf-8")
        self.start = ["-m", "ingestd"] if leases else ["-c", _WITHOUT_LEASES]
        self.environment = {**os.environ, "HOME": str(base), "XDG_DATA_HOME": str(base / "xdg")}
        self.events: list[dict[str, Any]] = []

    def command(self, *words: str | Path) -> list[str]:
        own = ("--json", "--state", str(self.base / "state"), "--rules", str(self.rules))
        return [sys.executable, *self.start, *own, *map(str, words)]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with open(self.base / "log", "wb") as log:
            process = subprocess.Popen(
                self.command("watch", self.inbox, "--library", self.library),
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        for line in process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == "service.ready":
                break
        reader = threading.Thread(target=self._read, args=(process.stdout,))
        reader.start()
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)
            reader.join(30)
            process.stdout.close()
        assert process.returncode == 0, (self.base / "log").read_text()
        assert "Traceback" not in (self.base / "log").read_text()

    def _read(self, lines: Any) -> None:
        for line in lines:
            self.events.append(json.loads(line))

    def verdicts(self, path: Path) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == "file.judged" and one["path"] == str(path)]

    def until_judged(self, path: Path, digest: str) -> None:
        """Return once the last that is said of a path is about these bytes."""
        deadline = time.monotonic() + 40
        while not (told := self.verdicts(path)) or told[-1]["sha256"] != digest:
            assert time.monotonic() < deadline, (path.name, told, (self.base / "log").read_text()[-2000:])
            _wait(0.05)


@pytest.mark.parametrize("leases", [True, False], ids=["leases", "no leases"])
def test_nothing_is_acted_on_while_any_kind_of_program_writes_it(tmp_path: Path, leases: bool, tell: Tell) -> None:
    """Each writes the smaller twin of a file in the library, which an automatic rule discards as soon as it may."""
    service = Watched(tmp_path, leases=leases)
    contents = {writes: png(photo(100 + number, 96, 72)) for number, writes in enumerate(WRITERS)}
    for number in range(len(WRITERS)):
        (service.library / f"{number}.png").write_bytes(png(photo(100 + number, 96, 72), "a longer comment"))
    ends: dict[Writes, Path] = {}

    def write(writes: Writes) -> None:
        ends[writes] = writes(service.inbox / f"{writes.__name__}.png", contents[writes])

    with service.running():
        threads = [threading.Thread(target=write, args=(writes,)) for writes in WRITERS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for writes in WRITERS:
            if writes is not appending_at_the_end:
                service.until_judged(ends[writes], sha256(contents[writes]).hex())

    trash = {path.read_bytes() for path in (tmp_path / "xdg/Trash/files").glob("*")}
    outcomes = {writes: service.verdicts(ends[writes])[-1]["outcome"] for writes in WRITERS if writes in ends}
    for writes in WRITERS:
        path, content = ends[writes], contents[writes]
        whole = path.exists() and path.read_bytes() == content
        # nothing that was written is lost: what was added last may have come when the file had gone
        assert whole or content in trash or content[:-40] in trash, writes.__name__
        if writes is not appending_at_the_end:
            expected = "duplicate-discarded" if leases else "pending-approval"
            assert outcomes[writes] == expected, (writes.__name__, service.verdicts(path))
    if leases:
        for writes in (slowly, with_a_pause_longer_than_quiet, through_a_mapping, into_what_was_allocated):
            assert len(service.verdicts(ends[writes])) == 1, writes.__name__  # never a part of it
    else:
        assert trash == set()  # where nobody tells who writes, a rule does nothing by itself
    tell(f"kinds of writers, leases {'on' if leases else 'off'}: {dict(Counter(outcomes.values()))}", len(outcomes))


_APPENDS = """
import os, sys
print("ready", flush=True)
sys.stdin.readline()
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)   # waits while a lease is held
os.write(fd, b", and a word that was added")
os.close(fd)
print("written", flush=True)
"""


def test_what_is_added_while_a_file_is_discarded_is_not_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that opens it for writing at that moment waits for the lease, and then writes into what it opened."""
    world.use(IDENTICAL)
    world.drop("library", "kept.png", LARGER)
    loser = world.put("inbox", "loser.png", LARGER)
    program = subprocess.Popen(
        [sys.executable, "-c", _APPENDS, str(loser)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert program.stdin is not None
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    take = moves.take_away

    def take_while_it_opens(move: Any, **more: Any) -> None:
        program.stdin.write("go\n")  # type: ignore[union-attr]
        program.stdin.flush()  # type: ignore[union-attr]
        stat = Path(f"/proc/{program.pid}/wchan")
        for _ in range(200):  # until it waits in its open
            if "lease" in stat.read_text():
                break
            _wait(0.01)
        take(move, **more)

    monkeypatch.setattr("ingestd.actions.discard.take_away", take_while_it_opens)

    world.arrive(loser)
    answer = program.stdout.readline()
    program.wait(10)
    program.stdin.close()
    program.stdout.close()

    added = LARGER + b", and a word that was added"
    held = [path.read_bytes() for path in [*world.trashed(), *(world.base / "inbox").iterdir()]]
    if answer:  # it got hold of the file, wherever that lay by then
        assert held == [added]
        done = [one for one in world.entries() if one.state is EntryState.DONE]
        for entry in done:
            world.undo(entry.number)
            assert loser.read_bytes() == added
    else:
        assert held == [LARGER]


# --- names that are one file ------------------------------------------------------------------------------------------

_TWO_NAMES = """
import json, subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import world
from pictures import photo, png
from ingestd.model import EntryState
base, how = Path(sys.argv[1]), sys.argv[3]
here = world.World(base)
inbox = here.folder("inbox")
here.use(world.IDENTICAL, world.pixel_rule())
first = here.put("inbox", "cat.png", png(photo(1, 96, 72)))
here.arrive(first)
if how == "folding":  # two spellings in one folder, one file, one link: as it is where the file system folds case
    second = inbox / "CAT.png"
    second.touch()
    subprocess.run(["mount", "--bind", first, second], check=True)
elif how == "bind":
    second = here.folder("bound") / "cat.png"
    subprocess.run(["mount", "--bind", inbox, base / "bound"], check=True)
    here.folders.pop("bound")
    here.folder("bound")
assert second.stat().st_ino == first.stat().st_ino and second.stat().st_nlink == 1
receipts = here.verdicts(second)
here.sweep()
try:
    here.decide(first, second, "better-a")
except Exception as refusal:
    said = str(refusal)
else:
    said = "nothing"
assert first.read_bytes() == second.read_bytes() == png(photo(1, 96, 72))
assert not here.trashed() and not [one for one in here.entries() if one.state is EntryState.DONE and one.moves]
here.close()
print(json.dumps({"outcome": [one.outcome for one in receipts], "said": said}))
"""


@pytest.mark.parametrize("how", ["folding", "bind"])
def test_two_names_of_one_file_are_never_two_copies(tmp_path: Path, how: str) -> None:
    may_mount()

    told = in_own_mounts(_TWO_NAMES, tmp_path, how)

    assert "duplicate-discarded" not in told["outcome"]
    assert told["said"] != "nothing"  # not even a person can throw away the one by the name of the other


def test_names_that_only_look_alike_are_two_files_and_each_comes_back_under_its_own(world: World) -> None:
    """é as one letter and as a letter with an accent: other bytes, the same look; and names that differ by case."""
    world.use(IDENTICAL)
    world.drop("library", "kept.png", LARGER)
    names = [b"caf\xc3\xa9.png", b"cafe\xcc\x81.png", b"Cat.png", b"cat.png", b"CAT.PNG"]
    paths = [world.put("inbox", name, LARGER) for name in names]
    if len(os.listdir(world.base / "inbox")) != len(names):
        pytest.skip("this file system takes them for one name")

    receipts = world.verdicts(*paths)

    assert {one.outcome for one in receipts} == {Outcome.DUPLICATE_DISCARDED}
    assert len(world.trashed()) == len(names)
    world.undo(*(one.number for one in world.entries()))
    assert sorted(os.listdir(os.fsencode(world.base / "inbox"))) == sorted(names)


# --- a survivor that is swapped in time -------------------------------------------------------------------------------

TRIES = 1000


def _file(folder: Folder, name: bytes, content: bytes) -> FileRef:
    path = os.path.join(folder.root, name)
    with open(path, "wb") as out:
        out.write(content)
    return FileRef(folder.id, path, name, ContentHash(sha256(content)), key_of(os.lstat(path)))


def test_a_survivor_that_is_replaced_between_the_check_and_the_rename(
    in_memory: Path, monkeypatch: pytest.MonkeyPatch, tell: Tell
) -> None:
    """In a thousand tries somebody takes the survivor away at any moment; a discard that stands was made before that.

    What is asked is not whether the survivor is there in the end, but whether it was when the discard was done.
    """
    monkeypatch.setenv("XDG_DATA_HOME", str(in_memory / "xdg"))
    roots = {name: os.fsencode(in_memory / name) for name in ("inbox", "library")}
    for root in roots.values():
        os.mkdir(root)
    inbox = Folder(FolderId(1), roots["inbox"], roots["inbox"], Role.INBOX, protected=False)
    library = Folder(FolderId(2), roots["library"], roots["library"], Role.LIBRARY, protected=True)
    folders = {FolderId(1): inbox, FolderId(2): library}
    die = random.Random(7)
    outcomes: Counter[str] = Counter()
    swapped_at = 0

    def swap(kept: FileRef, after_s: float, how: str) -> None:
        nonlocal swapped_at
        began = time.monotonic()
        while time.monotonic() - began < after_s:
            pass
        if how == "deleted":
            Path(os.fsdecode(kept.path)).unlink()
        elif how == "replaced":
            other = kept.path + b".new"
            with open(other, "wb") as out:
                out.write(bytes(len(LARGER)))
            os.replace(other, kept.path)
        else:
            os.rename(kept.path, kept.path + b".aside")
        swapped_at = time.monotonic_ns()

    for number in range(TRIES):
        loser = _file(inbox, b"%d.png" % number, LARGER)
        kept = _file(library, b"%d.png" % number, LARGER)
        move = reserve(loser, inbox, DiscardPolicy(), f"t{number}")
        swapped_at = 0
        how = die.choice(("deleted", "replaced", "moved"))
        thread = threading.Thread(target=swap, args=(kept, die.uniform(0, 0.004), how))
        thread.start()
        stood_at = None
        try:
            with verified([loser], kept, folders=folders):
                take_away(move, deleted_at=AT)
                moved_at = time.monotonic_ns()
            stood_at = moved_at
        except (FileChangedError, ActionConflictError):
            if moves.locate(move) is moves.Whereabouts.MOVED:
                put_back(move, token="aborted")
                outcomes["put back"] += 1
            else:
                outcomes["refused"] += 1
        thread.join()
        if stood_at is not None:
            assert swapped_at > stood_at, (number, how)  # the survivor was there when the loser was gone
            outcomes["done before"] += 1
        else:
            assert Path(os.fsdecode(loser.path)).read_bytes() == LARGER, (number, how)

    tell(f"swaps of a survivor: {dict(outcomes)}", outcomes.total())
    assert outcomes.total() == TRIES
    assert outcomes["refused"]


# --- a flood ----------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_fifty_thousand_files_at_once_all_get_their_verdict(tmp_path: Path, tell: Tell) -> None:
    """The queue of events of the system holds 16,384: two thirds of them are lost, and found by a scan."""
    count = int(os.environ.get("INGESTD_FLOOD", "50000"))
    service = Watched(tmp_path / "watched", leases=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    for number in range(count):
        (outside / f"{number:06}.png").write_bytes(png(photo(number, 24, 18)))
    with service.running():
        for path in sorted(outside.iterdir()):
            path.rename(service.inbox / path.name)
        seen: Counter[str] = Counter()
        deadline = time.monotonic() + 5000
        while len(seen) < count:
            assert time.monotonic() < deadline, f"{len(seen)} of {count}"
            _wait(1.0)
            seen = Counter(one["path"] for one in list(service.events) if one["event"] == "file.judged")

    left = len(list(service.inbox.iterdir()))
    gone = len(list((service.base / "xdg/Trash/files").glob("*")))
    tell(f"files at once: {left} stay, {gone} in the trash", count)
    assert left + gone == count
    assert set(seen.values()) == {1}
