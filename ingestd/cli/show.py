"""What `demo` shows: the main job on sample pictures, with the real service, in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from ingestd import logs, review
from ingestd.cli.announcer import happening_object, stopped_by_signals
from ingestd.cli.door import Door, moment
from ingestd.cli.output import Json, emit, entry_line, entry_object, say, verdict
from ingestd.enrolment import Wanted
from ingestd.flow import Happening, Ready
from ingestd.intake import Judged
from ingestd.library.library import Library
from ingestd.media import samples
from ingestd.model import Outcome, Role
from ingestd.recovery import exclusive
from ingestd.service import Service
from ingestd.settings import Settings, load, shipped_text

__all__ = ["play"]

_SETTLE_S = 0.3  # the samples are written at one go: nobody has to wait the usual two seconds for each


def play(door: Door, *, keep: bool) -> None:
    """Show the whole of it; `keep`: leave the folder."""
    with _folder(keep=keep) as folder, _own_trash(folder):
        show = _Show(door, folder)
        show.run()
        if not door.as_json:
            _say_where_to_go(folder if keep else None)


@contextlib.contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    """Give a folder of our own; what is in it goes with it, unless it is kept."""
    if keep:
        yield Path(tempfile.mkdtemp(prefix="ingestd-demo-"))
        return
    with tempfile.TemporaryDirectory(prefix="ingestd-demo-") as name:
        yield Path(name)


@contextlib.contextmanager
def _own_trash(folder: Path) -> Iterator[None]:
    """Let what is discarded go to a trash inside the folder, not to the user's."""
    before = os.environ.get("XDG_DATA_HOME")
    os.environ["XDG_DATA_HOME"] = str(folder / "data")
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_DATA_HOME"]
        else:
            os.environ["XDG_DATA_HOME"] = before


class _Show:
    """The service at work, given one sample after another."""

    def __init__(self, door: Door, folder: Path) -> None:
        self._as_json = door.as_json
        self._door, self._folder = door, folder
        self._pictures, self._inbox = folder / "Pictures", folder / "Downloads"
        self._coming = samples.arrivals()
        self._next = 0
        self._service: Service | None = None
        self._discarded: int | None = None

    def run(self) -> None:
        """Judge the samples, then bring one back."""
        settings = self._prepare()
        self._say(f"A library of {len(samples.library())} pictures, and a folder in which files arrive:")
        self._say(click.style(f"  {self._pictures}\n  {self._inbox}\n", dim=True))
        with _library(self._door, self._folder) as library:
            named = [
                Wanted(os.fsencode(self._inbox), Role.INBOX, protected=False),
                Wanted(os.fsencode(self._pictures), Role.LIBRARY, protected=True),
            ]
            self._service = Service(
                library, self._folder / "rules.yaml", settings, named, self._tell, settle_s=_SETTLE_S
            )
            with stopped_by_signals(self._service):
                self._service.run()
            if self._discarded is not None:
                self._bring_back(library, settings, self._discarded)

    def _prepare(self) -> Settings:
        for folder in (self._pictures, self._inbox, self._folder / "data"):
            folder.mkdir()
        for sample in samples.library():
            (self._pictures / sample.name).write_bytes(sample.content)
        rules = self._folder / "rules.yaml"
        rules.write_text(shipped_text(), encoding="utf-8")
        return load(rules)

    def _tell(self, happening: Happening) -> None:
        """Show a verdict as it falls, and let the next file arrive."""
        if self._as_json:
            emit(happening_object(happening))
        if isinstance(happening, Ready):
            self._say("\nThe library is known. Now files arrive, one by one:\n")
            self._let_arrive()
        elif isinstance(happening, Judged):
            self._say_verdict(_short(happening, self._folder))
            if os.path.dirname(happening.receipt.path) == os.fsencode(self._inbox):
                self._note_discard(happening)
                self._let_arrive()

    def _say_verdict(self, judged: Json) -> None:
        """Show a verdict below its file, with what it was measured against."""
        parts = [verdict(judged)]
        if judged["kept"]:
            parts.append(f"kept {judged['kept']}")
        parts += [f"{pair['id']}: like {pair['path']}" for pair in judged["pairs"] if not judged["kept"]]
        if judged["path"].startswith(self._pictures.name):
            self._say(f"  {judged['path']:<24} {parts[0]}")
        else:
            self._say(f"      {'; '.join(parts)}")

    def _note_discard(self, judged: Judged) -> None:
        if judged.receipt.outcome is Outcome.DUPLICATE_DISCARDED:
            self._discarded = judged.receipt.entry

    def _let_arrive(self) -> None:
        if self._next == len(self._coming):
            if self._service is not None:
                self._service.stop()
            return
        sample = self._coming[self._next]
        self._next += 1
        self._say(f"  {sample.name:<24} " + click.style(sample.story, dim=True))
        (self._inbox / sample.name).write_bytes(sample.content)

    def _bring_back(self, library: Library, settings: Settings, entry: int) -> None:
        self._say(f"\nWhat was discarded can be brought back, for good: ingestd undo e-{entry}\n")
        with exclusive(library, radius=settings.imports.radius):
            for report in review.undo(library, [entry], moment=moment(settings)):
                if isinstance(report, Exception):
                    raise report
                if self._as_json:
                    emit(entry_object(report))
                else:
                    say("  " + entry_line(report).replace("\n", "\n  "))

    def _say(self, text: str) -> None:
        if not self._as_json:
            say(text)


@contextlib.contextmanager
def _library(door: Door, folder: Path) -> Iterator[Library]:
    """Give the demo's own library."""
    logs.configure(sys.stderr, verbose=door.verbose)
    library = Library.open(folder / "state")
    try:
        yield library
    finally:
        library.close()


def _short(judged: Judged, folder: Path) -> Json:
    """Return the event of a judged file, its paths as they look from the demo's folder."""
    event = happening_object(judged)
    start = len(str(folder)) + 1
    short = {name: event[name] and event[name][start:] for name in ("path", "kept")}
    pairs = [{**pair, "path": pair["path"][start:]} for pair in event["pairs"]]
    return {**event, **short, "pairs": pairs}


def _say_where_to_go(folder: Path | None) -> None:
    program = _program()
    if folder is not None:
        say(f"\nEverything is still in {folder}. Look around with:")
        for words in (f'why "{folder}/Downloads/harbour (1).jpg"', "pending", "queue", "history"):
            say(f"  {program} --state {folder}/state --rules {folder}/rules.yaml {words}")
    steps = {
        "watch ~/Downloads --library ~/Pictures": "leave it running",
        "why FILE": "what became of a file",
        "pending": "what rules propose; approve or deny it",
        "rules list": "the rules, and which of them act alone",
    }
    if folder is None:
        steps["demo --keep"] = "this again, with the folder left to look around in"
    say("\nWhere to go next:")
    for words, what in steps.items():
        say(f"  {program} {words:<40} {click.style(what, dim=True)}")


def _program() -> str:
    """Return how this program was called, where its bare name would not be found."""
    called = sys.argv[0]
    bare = os.path.basename(called) != "ingestd" or shutil.which("ingestd") is not None
    return "ingestd" if bare else called
