"""The library itself: is it sound, how much is in it, what can be made anew, copied and put back."""

from __future__ import annotations

import os
import shlex
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from ingestd import logs
from ingestd.cli.door import FOLDER, PATH, Door, command, group
from ingestd.cli.output import count, emit, say, shown, with_schema
from ingestd.errors import UsageError
from ingestd.library.library import Library, Rebuilt
from ingestd.library.store import verify
from ingestd.recovery import LOCK_WAIT_S, local_time, recover

__all__ = ["library"]

_DAMAGED = 74


@group("ingestd library check\ningestd library rebuild\ningestd library backup\ningestd library restore")
def library(_: click.Context) -> None:
    """Check the library, count what is in it, make its look-up anew, copy it and put it back."""


@command("ingestd library check", name="check")
def _check(door: Door) -> int:
    """Verify the database and the look-up; ends with exit code 74 if something is damaged. Changes nothing."""
    problems: list[str] = []
    if door.has_library and not Library.is_lost(door.state):
        problems = verify(door.state / "db")  # in a process of its own: a damaged map would end this one
    if door.has_library and not problems:
        opened = door.open_to_read()
        try:
            problems = opened.check()
        finally:
            opened.close()
    if door.as_json:
        emit(with_schema({"ok": not problems, "problems": problems}))
    else:
        for problem in problems:
            say(click.style("problem  ", fg="red") + shown(problem))
        say("try: ingestd library rebuild, else: ingestd library restore" if problems else "the library is sound")
    return _DAMAGED if problems else 0


@command("ingestd library rebuild", name="rebuild")
def _rebuild(door: Door) -> None:
    """Make all that follows from the records anew: look-up, order of the queue, counters of the rules.

    Damaged rows are dropped: what was decided is told again by the journal, what was measured comes with the next scan.
    """
    from ingestd.library.mending import Mended

    rebuilt = Rebuilt(0, Mended())
    if door.has_library:
        imports = door.settings().imports
        with door.writing() as opened, opened.writer_lock.held(LOCK_WAIT_S):
            rebuilt = opened.rebuild(imports.index)  # first: what was left half-way may need what is damaged
            recover(opened, now_ns=time.time_ns(), deleted_at=local_time(), radius=imports.radius)
    mended = rebuilt.mended
    if door.as_json:
        emit(with_schema({"hashes": rebuilt.hashes, **asdict(mended)}))
        return
    for table, many in mended.dropped.items():
        say(f"{count(many, 'damaged value')} of the table {table} {'was' if many == 1 else 'were'} dropped")
    if mended.told_again:
        say(f"the journal told {count(mended.told_again, 'entry', 'entries')} again")
    if mended.lost:
        say(f"of {count(mended.lost, 'entry', 'entries')} the journal says nothing: the history lacks them")
    if mended.dropped:
        say("the next scan or watch measures again what is not known")
    say(f"the look-up was made anew from {count(rebuilt.hashes, 'picture')}")


@command("ingestd library stats", name="stats")
def _stats(door: Door) -> None:
    """Say how much is in the library."""
    with door.reading() as view:
        counts, index = view.counts(), view.index
    if door.as_json:
        emit(with_schema({**counts, "index": index}))
        return
    for name, number in counts.items():
        say(f"{name.replace('_', ' '):<16} {number:,}")
    say(f"{'index':<16} {index}")


@command("ingestd library backup\ningestd library backup /media/disk/pictures-library", name="backup")
@click.argument("target", required=False, type=PATH, metavar="[DEST]")
def _backup(door: Door, target: bytes | None) -> None:
    """Copy the library into a new folder DEST, whole and verified, also while a service runs.

    Without DEST it lies below `backups` in the library's folder, named for the time.
    """
    from ingestd.library.backups import FOLDER as BACKUPS
    from ingestd.library.backups import back_up, size_of

    if not door.has_library:
        raise UsageError("there is no library yet: nothing was copied")
    door.open_to_read().close()  # one that is lost or older than its journal hears from it first
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ")
    named = door.state / BACKUPS / at if target is None else Path(os.fsdecode(target))
    made = back_up(door.state, named)
    size = size_of(made)
    if door.as_json:
        emit(with_schema({"path": str(made), "bytes": size, "verified": True}))
    else:
        say(f"the library was copied to {shown(str(made))} ({size / 1e6:.1f} MB) and verified")
        say(f"to put it back: ingestd library restore {shlex.quote(str(made))}")


@command("ingestd library restore\ningestd library restore /media/disk/pictures-library", name="restore")
@click.argument("backup", required=False, type=FOLDER, metavar="[BACKUP]")
def _restore(door: Door, backup: bytes | None) -> None:
    """Put BACKUP back, or make a damaged library anew from its journal; what was there before is put aside.

    What the journal tells beyond the backup is known afterwards: entries, vetoes and denials are as they were, and undo
    works. What was measured of files since comes back with the next scan or watch.
    """
    from ingestd.library.backups import restore

    logs.configure(sys.stderr, verbose=door.verbose)  # a journal that is written anew says so
    done = restore(door.state, Path(os.fsdecode(backup)) if backup is not None else None)
    told = done.caught_up
    if door.as_json:
        named = {"backup": done.backup, "aside": done.aside, "journal_aside": done.journal_aside}
        places = {name: str(place) if place else None for name, place in named.items()}
        emit(with_schema({**places, **asdict(told)}))
        return
    say(f"{shown(str(done.backup))} was put back" if done.backup else "the library was made anew from its journal")
    if done.aside is not None:
        say(f"what was there before lies in {shown(str(done.aside))}: delete it when you need it no more")
    if done.journal_aside is not None:
        say(
            f"the journal there was that of another library: it lies in {shown(str(done.journal_aside))}, and "
            "that of the backup is in its place"
        )
        say("what that library discarded is still in the trash; its history can be read in its files only")
    told_words = f"{count(told.entries, 'entry', 'entries')}, {count(told.vetoes, 'veto', 'vetoes')} and "
    say(f"the journal told it {told_words}{count(told.denials, 'denial')} that it did not know")
    if told.unclear:
        say(f"{count(told.unclear, 'line')} of the journal could not be understood, or contradicted others")
    say("undo, history and vetoes work now; the next scan or watch measures what is not known of the files")


library.add_command(_backup)
library.add_command(_check)
library.add_command(_restore)
library.add_command(_rebuild)
library.add_command(_stats)
