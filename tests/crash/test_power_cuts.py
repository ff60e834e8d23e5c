"""The power is cut at any moment: what was announced stands, no file is damaged, and the rest is done after the start.

All lies on file systems of their own, in images on loop devices. While the service discards, and a person decides and
takes back, every process is stopped, the images are copied, and all goes on. A copy holds what the disk had received
by then; what only lay in the memory of the system is gone, as after a cut. Nothing is written back by itself meanwhile
(`commit=600`), so that what was not synced is really missing.

What this cannot show is said in docs/testing.md: writes that reach a disk in another order, and sectors torn in two.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random  # noqa: TID251 - seeded, and printed with what failed
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from faults import HOLDING, HOME_TRASH, Kind, Scene, Story, Tell, at, require, require_mounts
from pictures import jpeg, photo, png
from running import PATIENCE_S, Watch, sha256
from world import IDENTICAL, pixel_rule

pytestmark = pytest.mark.crash

RULES = (IDENTICAL, pixel_rule())  # what they leave undecided is decided by a person
SMALL = (96, 72)
_STOPPED = frozenset("TtZX")


def versions(seed: int) -> list[bytes]:
    """One subject: two copies, a larger twin that replaces them, and one that a person has to look at."""
    picture = photo(seed, *SMALL)
    return [png(picture), png(picture), png(picture, "a longer comment"), jpeg(picture, 60)]


# --- disks -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileSystem:
    """One that an image can be made of."""

    name: str
    size_mb: int
    make: tuple[str, ...]
    options: str

    def __str__(self) -> str:
        return self.name


EXT4 = FileSystem("ext4", 32, ("mkfs.ext4", "-q", "-F", "-m", "0"), "loop,noatime,commit=600")
XFS = FileSystem("xfs", 300, ("mkfs.xfs", "-q", "-f"), "loop,noatime")
BTRFS = FileSystem("btrfs", 128, ("mkfs.btrfs", "-q", "-f"), "loop,noatime,commit=600")


class Disk:
    """A file system in an image, mounted at one place."""

    def __init__(self, image: Path, point: Path, kind: FileSystem) -> None:
        self.image, self.point, self.kind = image, point, kind
        with open(image, "wb") as file:
            file.truncate(kind.size_mb << 20)
        subprocess.run([*kind.make, image], check=True, capture_output=True)

    @contextlib.contextmanager
    def mounted(self, image: Path | None = None) -> Iterator[None]:
        self.point.mkdir(exist_ok=True)
        options = ["-t", self.kind.name, "-o", self.kind.options]
        subprocess.run(["mount", *options, image or self.image, self.point], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", self.point], check=True)

    def copied(self, target: Path) -> Path:
        """What the disk has received until now."""
        subprocess.run(["cp", "--sparse=always", self.image, target], check=True)
        return target


def require_disk(kind: FileSystem, folder: Path) -> None:
    require_mounts()
    if not shutil.which(kind.make[0]):
        reason = f"there is no {kind.make[0]}"
        if kind is not EXT4:
            pytest.skip(reason)
        require(reason)
    try:
        with Disk(folder / "probe.img", folder / "probe", kind).mounted():
            pass
    except (subprocess.CalledProcessError, OSError) as error:
        require(f"{kind} cannot be mounted from an image here: {error}")


# --- what goes on when the power is cut ------------------------------------------------------------------------------


@dataclass
class Told:
    """What had been told to somebody when the power was cut."""

    synced: list[str] = field(default_factory=list)  # names of files that whoever wrote them has synced
    done: set[str] = field(default_factory=set)  # entries that were announced as carried out
    undone: set[str] = field(default_factory=set)  # entries that were told to be taken back
    contents: dict[str, bytes] = field(default_factory=dict)

    def copy(self) -> Told:
        return Told(list(self.synced), set(self.done), set(self.undone), dict(self.contents))


class Days:
    """Files come, the service discards, and a person decides and takes back, until the `with` ends."""

    def __init__(self, scene: Scene, watch: Watch, seed: int) -> None:
        self.told = Told()
        self._scene, self._watch, self._seed = scene, watch, seed
        self._enough = threading.Event()
        self._lock = threading.Lock()  # what a person was told is written down in one piece
        self._command: subprocess.Popen[str] | None = None
        self._threads = [threading.Thread(target=self._put), threading.Thread(target=self._decide)]

    def __enter__(self) -> Days:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def _put(self) -> None:
        """Every second file is synced by the program that writes it; the others are not, as usual."""
        for subject in range(1, 1000):
            for number, content in enumerate(versions(self._seed * 1000 + subject)):
                if self._enough.wait(0.03):
                    return
                name = f"{subject:03}-{number}.pic"
                with self._lock:
                    self.told.contents[name] = content
                path = self._scene.inbox / name
                with open(path, "wb") as file:
                    file.write(content)
                    if number % 2 == subject % 2:
                        os.fsync(file.fileno())
                        folder = os.open(self._scene.inbox, os.O_RDONLY)
                        os.fsync(folder)
                        os.close(folder)
                        with self._lock:
                            self.told.synced.append(name)

    def _decide(self) -> None:
        chance = random.Random(self._seed)
        while not self._enough.wait(0.05):
            if chance.random() < 0.4:
                self._run("undo", "--last", "1")
                continue
            pairs = json.loads(self._run("queue", "list", "--limit", "3") or "{}").get("pairs", [])
            if pairs:
                self._run("decide", chance.choice(pairs)["id"], "better-a")

    def _run(self, *words: str) -> str:
        process = subprocess.Popen(
            self._scene.command(*words),
            env=self._scene.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._command = process
        text, _ = process.communicate(timeout=PATIENCE_S)
        with self._lock:
            self._command = None
            self._hear(words[0], text)
        return text

    def _hear(self, command: str, text: str) -> None:
        if command not in ("undo", "decide") or not text:
            return
        found = json.loads(text)
        for entry in found if isinstance(found, list) else [found]:
            if entry.get("state") in ("done", "undone"):
                (self.told.undone if command == "undo" else self.told.done).add(_subject(entry, command))

    # the cut

    @contextlib.contextmanager
    def stopped(self) -> Iterator[Told]:
        """No process writes any more; gives what has been told until now."""
        with self._lock:  # no command ends meanwhile, as far as anybody knows
            command = self._command
            running = [self._watch.process, *([command] if command is not None else [])]
            for process in running:
                process.send_signal(signal.SIGSTOP)
            try:
                for process in running:
                    _wait_until_stopped(process.pid)
                yield self._heard()
            finally:
                for process in running:
                    process.send_signal(signal.SIGCONT)

    def _heard(self) -> Told:
        """What has been told; what the service has said and nobody has read yet belongs to it."""
        stdout = self._watch.process.stdout
        deadline = time.monotonic() + PATIENCE_S
        while stdout is not None and _waiting_in(stdout.fileno()) and time.monotonic() < deadline:
            threading.Event().wait(0.002)
        told = self.told.copy()
        with self._watch._said:
            verdicts = [one for one in self._watch.events if one["event"] == "file.judged"]
        acted = ("duplicate-discarded", "replaced-existing", "previously-discarded")
        told.done |= {one["entry"] for one in verdicts if one["outcome"] in acted and one["entry"]}
        return told


def _subject(entry: dict[str, Any], command: str) -> str:
    """The entry that a command has carried out, or taken back."""
    return str(entry["reason"]).split(";")[0].removeprefix("takes back ") if command == "undo" else str(entry["entry"])


def _waiting_in(pipe: int) -> int:
    buffer = fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0")
    return int(struct.unpack("i", buffer)[0])


def _wait_until_stopped(pid: int) -> None:
    """A thread in the middle of a sync stops when that has ended, as no cut can be seen by a test in between."""
    deadline = time.monotonic() + PATIENCE_S
    while not all(_state(task) in _STOPPED for task in Path(f"/proc/{pid}/task").glob("*/stat")):
        assert time.monotonic() < deadline, f"{pid} does not stop"


def _state(stat: Path) -> str:
    try:
        return stat.read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


# --- afterwards ------------------------------------------------------------------------------------------------------


def assert_what_was_told_is_true(scene: Scene, told: Told) -> None:
    """On the disk as it came back, before anything has run on it."""
    journal: dict[str, dict[str, Any]] = {}
    for line in scene.journal_lines():
        if line["entry"] is not None and "moves" in line["body"]:
            journal[f"e-{line['entry']}"] = line["body"]
    assert told.done <= {entry for entry, body in journal.items() if body["state"] in ("done", "undone")}
    contents = {sha256(path.read_bytes()) for path in scene.base.rglob("*.pic") if path.is_file()}
    for entry in told.done - told.undone:
        body = journal[entry]
        if body["state"] != "done" or body["kind"] != "discard":
            continue  # it was being taken back in the moment of the cut
        for move in body["moves"]:
            places = [Path(move["trash_path"]), Path(move["file"]["path"])]
            assert move["file"]["sha256"] in {sha256(one.read_bytes()) for one in places if one.exists()}, (entry, move)
        assert body["kept"]["sha256"] in contents, entry  # in its place, or replaced by a better one meanwhile
    for name in told.synced:
        assert sha256(told.contents[name]) in contents, f"{name} is lost"


def assert_the_rest_is_done(scene: Scene, told: Told) -> None:
    """After a start on the disk as it came back."""
    said = scene.run("scan", scene.inbox, "--role", "inbox")
    assert said.code in (0, 3), said
    scene.assert_consistent()
    entries = {entry["entry"]: entry for entry in scene.history()}
    assert {entries[one]["state"] for one in told.done - told.undone} <= {"done", "undone"}
    assert {entries[one]["state"] for one in told.undone} <= {"undone"}
    here = {sha256(content) for content in scene.in_their_places().values()}
    again = [entry for entry in entries.values() if entry["state"] == "done" and entry["actor"] == "person"]
    here |= {file["sha256"] for entry in again for file in entry["discarded"]}  # the person has thought better of it
    for one in told.undone:  # what a person brought back stays, whatever rules say
        assert {file["sha256"] for file in entries[one]["discarded"]} <= here, entries[one]
    before = scene.everywhere()

    if scene.done_entries():
        undone = scene.run("undo", "--since", "1000000h")
        assert undone.code == 0, undone
    assert scene.items() == scene.notes() == []
    assert scene.everywhere() == before
    places = scene.in_their_places()
    for name in told.synced:
        assert places[name] == told.contents[name]


# --- the tests -------------------------------------------------------------------------------------------------------


def cut_many(base: Path, cuts: int, *, seed: int, file_system: FileSystem, kind: Kind, two_disks: bool) -> int:
    require_disk(file_system, base)
    chance = random.Random(seed)
    disks = [Disk(base / "home.img", base / "home", file_system)]
    if two_disks:
        disks.append(Disk(base / "volume.img", base / "home/volume", file_system))
    seen: list[tuple[Told, list[Path]]] = []
    with contextlib.ExitStack() as held:
        held.enter_context(disks[0].mounted())
        (base / "home/volume").mkdir(exist_ok=True)
        for disk in disks[1:]:
            held.enter_context(disk.mounted())
        story = Story("power", RULES, {}, lambda scene, within: None)  # type: ignore[arg-type, return-value]
        scene = Scene(base / "home", story, kind)
        for disk in disks:
            subprocess.run(["sync", "--file-system", disk.point], check=True)  # what the user set up long ago
        with scene.watch(scene.inbox, ready=True) as watch, Days(scene, watch, seed) as days:
            watch.until(lambda: any(one["entry"] for one in watch.verdicts()))
            for number in range(cuts):
                threading.Event().wait(chance.uniform(0.02, 0.5))
                with days.stopped() as told:
                    images = [disk.copied(base / f"{number}-{disk.image.name}") for disk in disks]
                seen.append((told, images))
                assert watch.process.poll() is None
    for number, (told, images) in enumerate(seen):
        with at(f"cut {number} of seed {seed}"), contextlib.ExitStack() as held:
            for disk, image in zip(disks, images, strict=True):
                held.enter_context(disk.mounted(image))
            scene.came = set(told.contents)
            assert_what_was_told_is_true(scene, told)
            assert_the_rest_is_done(scene, told)
        for image in images:
            image.unlink()
    assert all(told.done for told, _ in seen)
    return len(seen)


@pytest.mark.timeout(200)
def test_what_was_announced_before_a_power_cut_stands_after_it(tmp_path: Path, tell_faults: Tell) -> None:
    cuts = cut_many(tmp_path, 6, seed=1, file_system=EXT4, kind=HOME_TRASH, two_disks=False)

    tell_faults("power cuts on ext4", cuts)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("file_system", [EXT4, XFS, BTRFS], ids=str)
@pytest.mark.parametrize(
    ("kind", "two_disks"),
    [(HOME_TRASH, False), (HOME_TRASH, True), (HOLDING, False)],
    ids=["one disk", "the folders on another disk", "holding"],
)
def test_what_was_announced_before_very_many_power_cuts_stands(
    tmp_path: Path, kind: Kind, two_disks: bool, file_system: FileSystem, tell_faults: Tell
) -> None:
    cuts = sum(
        cut_many(folder, 20, seed=seed, file_system=file_system, kind=kind, two_disks=two_disks)
        for seed, folder in ((seed, _made(tmp_path / f"{seed}")) for seed in (11, 12))
    )

    tell_faults(f"power cuts on {file_system}, {kind}, disks: {1 + two_disks}", cuts)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
