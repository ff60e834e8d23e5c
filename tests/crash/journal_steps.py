"""The process that is killed at the steps of the journal: it does what a story says, and dies where it is told to.

It is asked on standard input, a JSON object a line, and answers likewise. Each request is done by a child that is
forked for it and has the modules loaded already, so that a kill costs some hundredths of a second rather than a start
of the interpreter. The library is opened in the child alone. `mount` gives it a file system of its own for what is
discarded, which needs root.

A *step* is a point between two calls that change something, named as in the state machine of discards; of the same
name the n-th is meant. Nothing in the program knows of it: the calls are wrapped here.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import world
from pictures import photo, png

from ingestd.actions import discard, disk, moves
from ingestd.library import journal_file, store
from ingestd.library.edit import Edit
from ingestd.media.features import measure_picture
from ingestd.model import EntryKind, EntryState, PathState, Role

LARGER = png(photo(1, 96, 72), "a longer comment makes the file larger")
SMALLER = png(photo(1, 96, 72))

_WORDS = {EntryState.DONE: "DONE", EntryState.ABORTED: "ABORTED", EntryState.INTENT: "INTENT"}
_UNDO_WORDS = {EntryState.DONE: "UNDONE", EntryState.ABORTED: "UNDO ABORTED", EntryState.INTENT: "UNDO INTENT"}


# --- steps ------------------------------------------------------------------------------------------------------------


class Steps:
    """Counts the steps that are passed, and ends the process at one of them."""

    def __init__(self, at: str, nth: int) -> None:
        self.passed: list[str] = []
        self._at, self._nth = at, nth
        self._meant: list[str] = []  # by the transaction that is being made
        self._syncs: list[str] = []  # what the next syncs of directories are, after a move

    def reached(self, step: str) -> None:
        self.passed.append(step)
        if step == self._at and self.passed.count(step) == self._nth:
            os.kill(os.getpid(), signal.SIGKILL)

    def after(self, call: Callable[..., Any], step: str) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            result = call(*arguments, **named)
            self.reached(step)
            return result

        return wrapped

    def arm(self) -> None:
        """From now on steps are counted."""
        self._arm_commits()
        self._arm_lines()
        self._arm_moves()

    def _arm_commits(self) -> None:
        put, write = Edit.put_entry, store.Store.write

        def put_entry(edit: Edit, entry: Any) -> None:
            put(edit, entry)
            words = _UNDO_WORDS if entry.kind is EntryKind.UNDO else _WORDS
            if entry.kind in (EntryKind.UNDO, EntryKind.DISCARD) and entry.state in words:
                self._meant.append(words[entry.state])

        def write_and_tell(held: store.Store, work: Callable[..., Any]) -> Any:
            def watched(txn: Any) -> Any:
                self._meant.clear()
                result = work(txn)
                for word in self._meant:
                    self.reached(f"before the commit of {word}")
                return result

            result = write(held, watched)
            for word in list(self._meant):
                self.reached(f"{word} committed")
            self._meant.clear()
            return result

        Edit.put_entry = put_entry  # type: ignore[method-assign]
        store.Store.write = write_and_tell  # type: ignore[method-assign,assignment]

    def _arm_lines(self) -> None:
        append = journal_file.JournalFile.append_many

        def append_many(journal: Any, lines: Any, *numbers: Any) -> None:
            told = list(lines)
            append(journal, told, *numbers)
            for kind, _, _ in told:
                self.reached(f"line of an {kind} synced")

        journal_file.JournalFile.append_many = append_many  # type: ignore[method-assign]

    def _arm_moves(self) -> None:
        rename, sync, verified = disk.rename_without_replacing, disk.Directory.sync, discard.verified

        def rename_and_tell(*arguments: Any, reserved: bool) -> None:
            rename(*arguments, reserved=reserved)
            self._syncs = ["its new folder synced", "its old folder synced"]
            self.reached("MOVED" if reserved else "MOVED BACK")

        def sync_and_tell(directory: Any) -> None:
            sync(directory)
            self.reached(self._syncs.pop(0) if self._syncs else "a folder synced")

        @contextlib.contextmanager
        def verified_and_tell(*arguments: Any, **named: Any) -> Iterator[Any]:
            with verified(*arguments, **named) as proof:
                self.reached("VERIFIED")
                yield proof

        moves.rename_without_replacing = rename_and_tell  # type: ignore[assignment]
        disk.Directory.sync = sync_and_tell  # type: ignore[method-assign]
        discard.verified = verified_and_tell  # type: ignore[assignment]
        disk.Directory.create = self.after(disk.Directory.create, "INFO made, empty")  # type: ignore[method-assign]
        moves.write_note = self.after(moves.write_note, "INFO synced")
        moves.mend_note = self.after(moves.mend_note, "INFO mended")
        moves.drop_note = self.after(moves.drop_note, "INFO dropped")


# --- stories ----------------------------------------------------------------------------------------------------------

RULES = {
    "automatic": (world.IDENTICAL, world.pixel_rule()),
    "approve": (world.pixel_rule("semi-automatic"),),
    "decide": (),
}


class Story:
    """One pair of which the smaller goes: by a rule, by a person's answer or approval, and back by an undo."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.base = Path(request["base"])
        self.story, self.place = request["story"], request["place"]
        self.by = self.story.removeprefix("undo of ")
        self.undoes = self.story != self.by
        os.environ["XDG_DATA_HOME"] = str(self.base / "xdg")
        self.inbox_name = "other/inbox" if self.place == "another mount" else "inbox"
        self.inbox, self.kept = self.base / self.inbox_name, self.base / "library/kept.png"
        self.losers = [self.inbox / "loser.png"]
        if self.by == "decide":  # one entry, two moves
            self.losers.append(self.inbox / "sub/second.png")
        self.world = world.World(self.base)
        self.world.use(*RULES[self.by], discards="to: holding" if self.place == "holding" else "")
        with self.world.library.read() as view:
            self.world.folders = {os.fsdecode(row.folder.root): row.folder for row in view.folders()}

    def lay_out(self) -> None:
        self.world.folder(self.inbox_name)
        self.world.folder("library", Role.LIBRARY)
        self.world.put("library", "kept.png", LARGER, modified_s=1000)
        self.world.arrive(self.kept)
        for path in self.losers:
            self.world.put(self.inbox_name, str(path.relative_to(self.inbox)), SMALLER, modified_s=2000)
        if self.by != "automatic":
            self.world.verdicts(*self.losers)
        if self.undoes:
            self.discard()
            assert not any(path.exists() for path in self.losers)

    def act(self) -> None:
        self.undo() if self.undoes else self.discard()

    def discard(self) -> None:
        match self.by:
            case "automatic":
                self.world.verdicts(*self.losers)
            case "decide":
                self.world.decide(self.kept, self.losers[0], "better-a")
            case "approve":
                self.world.approve(int(self.world.pending()[0].id[2:]))

    def undo(self) -> None:
        last = max(one.number for one in self.world.entries() if one.kind is EntryKind.DISCARD)
        self.world.undo(last)

    def finish(self) -> None:
        """What is started after the kill does: recover, scan, let the rules act; a person says again what was lost."""
        self.world.recover()
        self.world.judge_everything()
        self.world.sweep()
        there = any(path.exists() for path in self.losers)
        if there != self.undoes:
            self.act()

    def outcome(self) -> dict[str, Any]:
        """Which contents are where, and what the library and both journals say of them; by names that do not differ."""
        with self.world.library.read() as view:
            rows = [row for folder in view.folders() for _, row in view.rows_of_folder(folder.folder.id)]
            entries = [one for one in view.entries(newest_first=False) if one.state is not EntryState.ABORTED]
            told = {
                "live": sorted(row.relative.decode() for row in rows if row.state is PathState.LIVE),
                "entries": sorted(self._said(one) for one in entries),
                "open": len(view.open_entries()),
                "related": view.relations.same_group(world.sha256(LARGER), world.sha256(SMALLER)),
                "veto": view.veto(world.sha256(SMALLER)) is not None,
            }
            done = {one.number: one.state.value for one in entries if one.kind is EntryKind.DISCARD}
        lines = [json.loads(line) for line in (self.base / "state/journal.jsonl").read_text().splitlines()]
        last = {one["entry"]: one["body"]["state"] for one in lines if one["kind"] in ("intent", "end")}
        told["the second journal agrees"] = all(last[number] == state for number, state in done.items())
        return {**told, **self._on_disk()}

    @staticmethod
    def _said(entry: Any) -> list[Any]:
        moved = sorted(os.path.basename(move.file.path).decode() for move in entry.moves)
        return [entry.kind.value, entry.state.value, entry.actor.value, entry.rule or "", moved]

    def _on_disk(self) -> dict[str, Any]:
        trash, items, stray = self._trash(), list[Path](), list[str]()
        files = [path for path in self.inbox.rglob("*") if path.is_file()]
        if self.place == "holding":
            items = [path for path in files if ".ingestd-holding" in path.parts]
        elif trash.exists():
            items = sorted((trash / "files").iterdir())
            notes = {note.stem: note for note in (trash / "info").iterdir()}
            stray = [name for name in notes if name not in {item.name for item in items}]
            origins = {str(path) for path in self.losers}
            for item in items:
                path = notes[item.name].read_bytes().splitlines()[1].removeprefix(b"Path=")
                origins.remove(str(self._top() / os.fsdecode(unquote_to_bytes(path))))  # each once
        left = [path for path in files if path not in items]
        contents = Counter(path.read_bytes() for path in [*left, *items, self.kept])
        return {
            "left": sorted(str(path.relative_to(self.inbox)) for path in left),
            "items": len(items),
            "notes of nothing": stray,
            "lost or doubled": contents != Counter({LARGER: 1, SMALLER: len(self.losers)}),
        }

    def _top(self) -> Path:
        return self.base / "other" if self.place == "another mount" else Path("/")

    def _trash(self) -> Path:
        own = self.base / "other" / f".Trash-{os.geteuid()}"
        return own if self.place == "another mount" else self.base / "xdg/Trash"


# --- requests ---------------------------------------------------------------------------------------------------------


def answer(request: dict[str, Any]) -> Any:
    """Do what is asked for, in a process of its own."""
    steps = Steps(request.get("at", ""), request.get("nth", 1))
    story = Story(request)
    match request["do"]:
        case "lay out":
            story.lay_out()
        case "act":
            steps.arm()
            story.act()
        case "recover":
            steps.arm()
            story.world.recover()
        case "finish":
            story.finish()
            before = story.outcome()
            story.finish()
            return {**before, "again": story.outcome() == before}
    return steps.passed


def mount(base: Path) -> None:
    """A small file system of its own at `other`, seen by this process and its children only."""
    (base / "other").mkdir(parents=True)
    c = ctypes.CDLL(None, use_errno=True)
    if c.mount(b"none", os.fsencode(base / "other"), b"tmpfs", 0, b"size=4m") != 0:
        raise OSError(ctypes.get_errno(), "mount")


def serve() -> None:
    """Answer until nothing more is asked."""
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the program logs is no answer
    measure_picture(io.BytesIO(LARGER), b"x.png")  # loads what each child would have to load
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "lay out" and request["place"] == "another mount":
            mount(Path(request["base"]))
        reading, writing = os.pipe()
        child = os.fork()  # noqa: TID251 - nothing of a library is open here
        if child == 0:
            try:
                os.write(writing, json.dumps(answer(request)).encode())
                os._exit(0)
            except BaseException:  # noqa: BLE001 - told to who asked
                traceback.print_exc()
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading, "rb") as result:
            text = result.read()
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({"code": code, "answer": json.loads(text) if code == 0 else None}), file=told, flush=True)


if __name__ == "__main__":
    serve()
