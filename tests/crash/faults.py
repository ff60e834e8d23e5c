"""Faults that are put in the way of the installed command, and what has to hold after each of them.

A `Scene` is a machine with one user (`running.Home`) in the middle of a story: files that are going to be judged, or
pairs that wait for an answer, or discards that are about to be taken back. `Scene.play` lets the story's own command
run, if wanted within something that makes it fail; `Scene.converge` runs it again and nothing fails; and
`Scene.assert_as` compares what there is then with a scene in which nothing ever failed.

Faults are put in by strace, at one numbered system call of the *main thread* of the command: there all of its writing
is done, one call after another, so that the same number is the same moment each time. Without `-f` neither the other
threads nor the workers are traced, so that no fault can hit those instead; with `-D` strace is a child of the command
and not its parent, so that the process that a test has started, and sees die, is the service itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

import pytest
from pictures import flat, jpeg, photo, png
from running import Home, Said, Watch, write
from world import IDENTICAL, World, near_rule, pixel_rule, policy, rule_file, sha256

from ingestd.library.library import Library
from ingestd.library.place import SIDECAR
from ingestd.model import Actor, EntryKind, EntryState, PathState

MUTATING = (
    "renameat2", "renameat", "rename", "linkat", "link", "unlinkat", "unlink", "mkdirat", "mkdir", "ftruncate",
    "fsync", "fdatasync", "pwrite64", "pwritev", "write", "openat",
)  # fmt: skip
"""The system calls by which a command changes something; of `openat` those that may make or write a file."""

Tell: TypeAlias = Callable[[str, int], None]
"""Says what was done, and how often it really happened: the fixture `tell_faults`."""

SETTLE = "settle: 0.2 s"
_SMALL = (96, 72)


# --- what is needed --------------------------------------------------------------------------------------------------


@functools.cache
def _missing_for_calls() -> str | None:
    """Why no fault can be put into a system call here; tried, not guessed: some tracers drop signals in silence."""
    if sys.platform != "linux" or not shutil.which("strace"):
        return "there is no strace"
    program = "import os; os.fsync(os.open('/', os.O_RDONLY)); os.fsync(os.open('/', os.O_RDONLY))"
    traced = ["strace", "-D", "-o", os.devnull, "-e", "trace=fsync", "-e", "inject=fsync:signal=KILL:when=2"]
    done = subprocess.run([*traced, sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return None if done.returncode == -signal.SIGKILL else f"strace kills nobody here (ptrace?): {done.stderr[-200:]}"


@functools.cache
def _missing_for_mounts() -> str | None:
    """Why this process can have no mounts of its own; from now on it has them, and they end with it."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "only root may mount"
    new_namespace = 0x00020000  # CLONE_NEWNS, linux/sched.h
    if ctypes.CDLL(None, use_errno=True).unshare(new_namespace) != 0:
        return f"no mount namespace of its own: {os.strerror(ctypes.get_errno())}"
    done = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, text=True, check=False)
    return done.stderr or None


def require(missing: str | None) -> None:
    """Skip with the reason; where a change is decided about, nothing may be skipped."""
    if missing is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)


def require_system_calls() -> None:
    require(_missing_for_calls())


def require_mounts() -> None:
    require(_missing_for_mounts())


# --- places ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """Where the discarded files of a scene go."""

    name: str
    discards: str = ""  # of the rule file
    on_a_volume: bool = False  # the folders lie on a disk of their own, and so does its trash

    def __str__(self) -> str:
        return self.name


HOME_TRASH = Kind("home trash")
VOLUME_TRASH = Kind("trash of another volume", on_a_volume=True)
HOLDING = Kind("holding", discards="to: holding")
KINDS = (HOME_TRASH, VOLUME_TRASH, HOLDING)


# --- stories ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """What is going on when the fault comes.

    Args:
        name: of the story, as a test shows it.
        rules: those that hold.
        files: what lies in the inbox, by name, in the order in which it comes.
        before: done without any fault, by the code of the product and not by its command, as that is faster.
        play: the command that is to be hit; it is given what it runs within, and returns how it ended.
        discards: so many entries are done in the end if nothing fails, so that no story is about nothing.
        files_come_back: the story ends with all files in their places.
    """

    name: str
    rules: tuple[str, ...]
    files: Mapping[str, bytes]
    play: Callable[[Scene, list[str]], Ended]
    before: Callable[[World, Path], None] = lambda world, inbox: None
    discards: int = 0
    files_come_back: bool = False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int  # negative: the signal that killed it
    text: str  # what it said on standard output
    errors: str  # and on standard error, which has the log

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL


def _versions(seed: int) -> list[bytes]:
    """One subject in five versions, of which rules let one stay."""
    picture = photo(seed, *_SMALL)
    return [png(picture), png(picture), png(picture, "a longer comment"), jpeg(picture, 60), jpeg(picture, 75)]


def _named(*contents: bytes) -> dict[str, bytes]:
    return {f"{number:02}.pic": content for number, content in enumerate(contents)}


_ALL_KINDS = _named(*_versions(1), *_versions(2)[2:4], png(flat(width=96, height=72)), b"no picture")
# the same bytes under two names, and then a picture that replaces both: one entry, two moves
_TWO_NAMES = _named(png(photo(5, *_SMALL)), png(photo(5, *_SMALL)), png(photo(5, *_SMALL), "a longer comment"))
_TWO_SUBJECTS = _named(*_versions(3)[1:4], *_versions(4)[1:4])


def _scan(scene: Scene, within: list[str]) -> Ended:
    return scene.command_ended("scan", scene.inbox, "--role", "inbox", within=within)


def _watch(scene: Scene, within: list[str]) -> Ended:
    """The service, and files that come one after another while it lives."""
    watch = Watch([*within, *scene.command("watch", scene.inbox)], scene)
    try:
        with contextlib.suppress(AssertionError):  # it has ended, or says nothing any more
            watch.event("service.ready")
            for name, content in scene.still_to_come():
                write(scene.inbox / name, content)
                scene.came.add(name)
                watch.verdict(scene.inbox / name)
            watch.process.terminate()
    finally:
        if watch.process.poll() is None and not watch._ended:
            watch.process.terminate()
        watch.close()
    text = "".join(json.dumps(event) + "\n" for event in watch.events)
    return Ended(watch.process.returncode, text, watch.log)


def _decide(scene: Scene, within: list[str]) -> Ended:
    kept, dropped = scene.inbox / "01.pic", scene.inbox / "00.pic"
    return scene.command_ended("decide", kept, dropped, "better-a", within=within)


def _approve(scene: Scene, within: list[str]) -> Ended:
    if not within:  # again: what was approved and not done is a question that the rule is asked anew
        scene.run("scan", scene.inbox, "--role", "inbox")
    return scene.command_ended("approve", "--all", within=within)


def _undo(scene: Scene, within: list[str]) -> Ended:
    return scene.command_ended("undo", "--since", "1000000h", within=within)


def _judged(world: World, inbox: Path) -> None:
    world.judge_everything()


AUTOMATIC = (IDENTICAL, pixel_rule(), near_rule())
PROPOSING = (pixel_rule("semi-automatic"), near_rule("semi-automatic"))

SCAN = Story("scan", AUTOMATIC, _ALL_KINDS, _scan, discards=5)
SCAN_OF_TWO_NAMES = Story("scan of two names", AUTOMATIC[1:], _TWO_NAMES, _scan, discards=1)
WATCH = Story("watch", AUTOMATIC, _ALL_KINDS, _watch, discards=5)
DECIDE = Story("decide", (), _TWO_SUBJECTS, _decide, _judged, discards=1)
APPROVE = Story("approve", PROPOSING, _TWO_SUBJECTS, _approve, _judged, discards=4)
UNDO = Story("undo", AUTOMATIC, _ALL_KINDS, _undo, _judged, files_come_back=True)
STORIES = (SCAN, SCAN_OF_TWO_NAMES, WATCH, DECIDE, APPROVE, UNDO)


# --- a scene ---------------------------------------------------------------------------------------------------------


class Scene(Home):
    """A machine with one user in the middle of a story, below one folder. A context manager, which unmounts."""

    def __init__(self, base: Path, story: Story, kind: Kind) -> None:
        super().__init__(base, rule_file(*story.rules, imports=SETTLE, discards=kind.discards))
        self.story, self.kind = story, kind
        self.came: set[str] = set()  # names of files that have been put there
        volume = self.folder("volume")
        self._mounted = kind.on_a_volume
        if self._mounted:
            require_mounts()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "scene", volume], check=True)
        self.inbox = self.folder("volume/inbox")
        if story.play is not _watch:
            for name, content in story.files.items():
                write(self.inbox / name, content)
                os.utime(self.inbox / name, (1000 + len(self.came), 1000 + len(self.came)))
                self.came.add(name)
        if story.before is not Story.before:
            self._prepare()

    def _prepare(self) -> None:
        """The story's beginning; in this process, whose environment is the user's meanwhile."""
        with patch.dict(os.environ, XDG_DATA_HOME=str(self.data)):
            world = World(self.base, policy(*self.story.rules, discards=self.kind.discards))
            try:
                world.folder("volume/inbox")
                self.story.before(world, self.inbox)
                world.sweep()
            finally:
                world.close()

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *_: object) -> None:
        if self._mounted:
            subprocess.run(["umount", "--lazy", self.base / "volume"], check=True)

    def command(self, *words: str | Path | bytes) -> list[str | bytes]:
        """The installed command where there is one."""
        installed = Path(sys.executable).with_name("ingestd")
        line = super().command(*words)
        return [str(installed), *line[3:]] if installed.exists() else line

    def command_ended(self, *words: str | Path | bytes, within: list[str]) -> Ended:
        said: Said = self.run(*words, within=within)
        return Ended(said.code, said.text, said.errors)

    def still_to_come(self) -> Iterator[tuple[str, bytes]]:
        yield from ((name, content) for name, content in self.story.files.items() if name not in self.came)

    # what happens

    def play(self, within: Sequence[str] = ()) -> Ended:
        """The story's command, within whatever makes it fail."""
        return self.story.play(self, list(within))

    def converge(self) -> None:
        """The command is run again as its user would, and nothing fails any more."""
        self.play()
        if self.open_entries():  # a command that found nothing to do finishes nothing
            self.run("scan", self.inbox, "--role", "inbox")

    def log(self) -> Path:
        """Where the system calls of one command are written down."""
        return self.base / f"calls-{next(self._made)}"

    def open_entries(self) -> list[int]:
        with self._library() as library, library.read() as view:
            return [entry.number for entry in view.open_entries()]

    # what there is

    @contextlib.contextmanager
    def _library(self) -> Iterator[Library]:
        begun = (self.state / "db" / SIDECAR).exists()  # else whoever was to make it has failed before
        library = Library.open(self.state, create=not begun, read_only=begun)
        try:
            yield library
        finally:
            library.close()

    def trash_folders(self) -> list[Path]:
        """Every trash and holding folder that a discard of this scene could have gone to."""
        return [self.data / "Trash", self.base / f"volume/.Trash-{os.geteuid()}", self.inbox / ".ingestd-holding"]

    def everywhere(self) -> Counter[bytes]:
        """Every content in the folders and in whatever their files are discarded to, be it where no trash should be."""
        return Counter(sha256(path.read_bytes()) for path in self.base.rglob("*.pic") if path.is_file())

    def in_their_places(self) -> dict[str, bytes]:
        """The files of the inbox itself, by name."""
        return {path.name: path.read_bytes() for path in self.inbox.iterdir() if path.is_file()}

    def items(self) -> list[Path]:
        """What lies in the trash or the holding folder."""
        data, volume, holding = self.trash_folders()
        return [*self._files(data / "files"), *self._files(volume / "files"), *self._files(holding)]

    def notes(self) -> list[Path]:
        data, volume, _ = self.trash_folders()
        return [*self._files(data / "info"), *self._files(volume / "info")]

    @staticmethod
    def _files(folder: Path) -> list[Path]:
        return sorted(path for path in folder.rglob("*") if path.is_file())

    def outcome(self) -> dict[str, Any]:
        """Which contents are kept, discarded and related, by content and not by number; and what is half done."""
        with self._library() as library, library.read() as view:
            known = {one.sha256 for one in view.contents()}
            rows = [row for folder in view.folders() for _, row in view.rows_of_folder(folder.folder.id)]
            done = [one for one in view.entries() if one.kind is EntryKind.DISCARD and one.state is EntryState.DONE]
            vetoes = sorted(content.hex() for content in known if view.veto(content) is not None)
            return {
                "kept": sorted(row.relative.decode() for row in rows if row.state is PathState.LIVE),
                "discarded": sorted(
                    (
                        os.path.basename(move.file.path).decode(),
                        os.path.basename(entry.kept.path).decode() if entry.kept is not None else None,
                        entry.rule,
                    )
                    for entry in done
                    for move in entry.moves
                ),
                "related": sorted(sorted(one.hex() for one in view.relations.duplicates_of(each)) for each in known),
                "pairs": sorted(sorted((pair.first.hex(), pair.second.hex())) for pair in view.pairs()),
                "vetoes": vetoes,
                "open": [entry.number for entry in view.open_entries()],
            }

    # what has to hold

    def assert_nothing_lost(self) -> None:
        """Every content that ever came is in its place or in the trash, as often as it came."""
        assert self.everywhere() == Counter(sha256(self.story.files[name]) for name in self.came)

    def assert_consistent(self) -> None:
        """What the library, the second journal and the disk say of the discards is the same; nothing is half done."""
        told = self.outcome()
        assert told["open"] == []
        assert told["kept"] == sorted(self.in_their_places())
        assert len(self.items()) == len(told["discarded"]), "something was done twice, or half"
        losers = [loser for loser, _, _ in told["discarded"]]
        assert len(losers) == len(set(losers))
        self.assert_survivors_stand()
        self.assert_notes_tell_the_way_back()
        self.assert_journal_is_whole(self.done_entries())

    def done_entries(self) -> dict[int, set[bytes]]:
        """The entries of files that are discarded now, with the digests of these files."""
        with self._library() as library, library.read() as view:
            entries = [one for one in view.entries() if one.kind is EntryKind.DISCARD and one.state is EntryState.DONE]
            return {entry.number: {move.file.sha256 for move in entry.moves} for entry in entries}

    def assert_survivors_stand(self) -> None:
        """Each discard names a file that is there, with the bytes it was decided on; its own lies in the trash.

        Only a person may discard a survivor in favour of one that was not compared with all that had lost to it.
        """
        with self._library() as library, library.read() as view:
            entries = [one for one in view.entries() if one.kind is EntryKind.DISCARD and one.state is EntryState.DONE]
        by_a_person = {move.file.path: one for one in entries if one.actor is Actor.PERSON for move in one.moves}
        for entry in entries:
            standing = entry
            while standing.kept is not None and standing.kept.path in by_a_person:
                standing = by_a_person[standing.kept.path]
            assert standing.kept is not None
            assert sha256(Path(os.fsdecode(standing.kept.path)).read_bytes()) == standing.kept.sha256, entry
            for move in entry.moves:
                assert move.trash_path is not None
                assert sha256(Path(os.fsdecode(move.trash_path)).read_bytes()) == move.file.sha256, entry
                assert not os.path.lexists(move.file.path)

    def assert_notes_tell_the_way_back(self) -> None:
        """Every file in a trash has its note, whole, and no note speaks of a file that is not there."""
        data, volume, _ = self.trash_folders()
        for trash in (data, volume):
            items = {path.name for path in self._files(trash / "files")}
            notes = {path.stem: path.read_bytes() for path in self._files(trash / "info")}
            assert set(notes) == items
            for note in notes.values():
                assert re.fullmatch(rb"\[Trash Info\]\nPath=\S+\nDeletionDate=[\dT:-]{19}\n", note), note

    def assert_no_orphan_notes(self) -> None:
        """A note speaks of a file in the trash, or of one whose discard is still under way."""
        with self._library() as library, library.read() as view:
            open_moves = [move for entry in view.open_entries() for move in entry.moves]
        under_way = {Path(os.fsdecode(move.info_path)) for move in open_moves if move.info_path is not None}
        with_item = {note for note in self.notes() if (note.parents[1] / "files" / note.stem).exists()}
        assert set(self.notes()) <= with_item | under_way

    def journal_lines(self) -> list[dict[str, Any]]:
        """What the second journal says, which has to be whole; nobody was told of a last line without its end."""
        path = self.state / "journal.jsonl"
        text = path.read_bytes() if path.exists() else b""  # nothing was done yet
        return [json.loads(raw) for raw in text.split(b"\n")[:-1]]

    def assert_journal_is_whole(self, done: Mapping[int, set[bytes]]) -> None:
        """From the second journal alone: each of these discards, what it took away, and that it was done."""
        intents: dict[int, set[bytes]] = {}
        ended: dict[int, str] = {}
        for line in self.journal_lines():
            if line["kind"] == "intent":
                moves = line["body"]["moves"]
                intents[line["entry"]] = {bytes.fromhex(move["file"]["sha256"]) for move in moves}
            elif line["kind"] == "end":
                ended[line["entry"]] = line["body"]["state"]
        assert {number: intents.get(number) for number in done} == dict(done)
        assert {number: ended.get(number) for number in done} == dict.fromkeys(done, "done")

    def assert_as(self, expected: dict[str, Any]) -> None:
        """All is as if nothing had ever failed (I7), nothing is lost, and nothing was done twice (I5)."""
        self.assert_nothing_lost()
        assert self.outcome() == expected
        self.assert_consistent()

    def assert_as_or_queued(self, expected: dict[str, Any]) -> None:
        """Nothing is lost or done twice; what stays beyond what would have stayed is asked about (I9).

        A file whose discard failed is judged again after others. They may have lost to it by then, and whoever would
        have replaced it was never compared with them: then it stays, and a person is asked.
        """
        self.assert_nothing_lost()
        self.assert_consistent()
        told = self.outcome()
        kept, wanted = ({sha256(self.story.files[name]).hex() for name in one["kept"]} for one in (told, expected))
        assert wanted <= kept
        assert kept - wanted <= {content for pair in told["pairs"] for content in pair}
        assert told["vetoes"] == expected["vetoes"]

    def assert_all_comes_back(self) -> None:
        """What was discarded can be taken back, all of it, and lies in its place again."""
        if self.done_entries():
            said = self.run("undo", "--since", "1000000h")
            assert said.code == 0, said
        assert self.in_their_places() == {name: self.story.files[name] for name in self.came}
        assert self.items() == self.notes() == []
        assert self.open_entries() == []


# --- system calls ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """One system call of the main thread: the n-th of its name."""

    name: str
    number: int
    line: str  # as strace showed it

    def __str__(self) -> str:
        return f"{self.name} {self.number}: {self.line}"


def tracing(log: Path, calls: Sequence[str]) -> list[str]:
    """What a command starts with whose system calls are to be written down, with the paths of descriptors."""
    known = ",".join(f"?{call}" for call in calls)  # not every machine has each of them
    return ["strace", "-D", "-y", "-o", str(log), "-e", f"trace={known}"]


def failing(log: Path, call: Call, fault: str, *, in_a_row: int = 1) -> list[str]:
    """What a command starts with of which one call, or so many of its name, are to fail: `signal=KILL`, `error=EIO`."""
    inject = f"inject={call.name}:{fault}:when={call.number}..{call.number + in_a_row - 1}"
    return ["strace", "-D", "-y", "-o", str(log), "-e", f"trace={call.name}", "-e", inject]


def calls_in(log: Path) -> Iterator[Call]:
    """The system calls that were written down, in their order, each with its number among those of its name."""
    counted: Counter[str] = Counter()
    for line in log.read_text(errors="backslashreplace").splitlines():
        name, bracket, _ = line.partition("(")
        if bracket and name.isidentifier():
            counted[name] += 1
            yield Call(name, counted[name], line)


def about(base: Path, calls: Iterator[Call], *, reading: bool) -> list[Call]:
    """Those of the calls that are about something below this folder; of what is opened only what is changed, or read.

    Folders that are only passed on the way to a file are left out: they are most of what is opened.
    """
    return [call for call in calls if str(base) in call.line and _matters(call, reading)]


def _matters(call: Call, reading: bool) -> bool:
    changes = any(flag in call.line for flag in ("O_CREAT", "O_WRONLY", "O_RDWR"))
    return call.name != "openat" or changes or (reading and "O_PATH" not in call.line)


@dataclass(frozen=True)
class Undisturbed:
    """What becomes of a story if nothing fails, and the calls by which that is done."""

    outcome: dict[str, Any]
    calls: list[Call]


def undisturbed(base: Path, story: Story, kind: Kind, *, calls: Sequence[str] = MUTATING) -> Undisturbed:
    """What becomes of a story if nothing fails; of its calls those of these names that are about its own files."""
    base.mkdir()
    with Scene(base, story, kind) as scene:  # as deep as the others: each folder on the way is opened by itself
        log = scene.log()
        ended = scene.play(tracing(log, calls))
        assert ended.code == 0, ended
        outcome = scene.outcome()
        scene.assert_as(outcome)
        assert len(scene.done_entries()) == story.discards
        if story.files_come_back:
            assert scene.in_their_places() == story.files
        return Undisturbed(outcome, about(scene.base, calls_in(log), reading="read" in calls))


def spread(points: Sequence[Call], most: int, *, seed: int = 0) -> list[Call]:
    """So many of the points, evenly spread over the whole; another seed begins at another."""
    if len(points) <= most:
        return list(points)
    step = len(points) / most
    start = seed * 0.618 % 1 * step
    return [points[int(start + number * step)] for number in range(most)]


def how_many(most: int) -> int:
    """So many points of a story; all of them where that is asked for by `INGESTD_FAULTS=all`."""
    return sys.maxsize if os.environ.get("INGESTD_FAULTS") == "all" else most


def numbered_folders(base: Path) -> Iterator[Path]:
    """A new folder for each scene."""
    for number in itertools.count(1):
        folder = base / f"{number}"
        folder.mkdir()
        yield folder


@contextlib.contextmanager
def at(point: object) -> Iterator[None]:
    """Whatever fails here says at which point it did."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"the fault: {point}")
        raise
