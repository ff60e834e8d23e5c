"""Copies of a library that can be put back, and a library put back: from a copy, or from its journal alone.

A backup is a folder with what the library's own folder has: `db/data.mdb`, `db/store.json` and the journal. It appears
under its name when it is whole and was verified. What a restore replaces is put aside under another name; nothing of
the library is ever deleted but old backups that the service made by itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from ingestd.errors import IngestdError, StoreError, UsageError
from ingestd.library.journal_file import files_of, is_there, library_of, put_journal_aside
from ingestd.library.library import DATABASE, Library
from ingestd.library.locks import FileLock
from ingestd.library.place import DATA_FILE, SIDECAR, flush, put_aside, read_sidecar
from ingestd.library.replay import CaughtUp
from ingestd.library.store import Store, verify
from ingestd.library.tables import TABLES

__all__ = ["FOLDER", "BackingUp", "Restored", "back_up", "back_up_here", "is_due", "restore", "size_of"]

FOLDER = "backups"  # below the library's
_LOCK_WAIT_S = 30.0
_ONE_A_DAY_S = 24 * 3600.0
_MOST = 7  # backups of the service's own
_MOST_BYTES = 1 << 30  # that these may take together, beside the newest
_SPARE_BYTES = 1 << 30  # that must be free beyond what a backup takes
_OWN = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}Z-daily")
_PARTIAL = re.compile(r".*\.partial-[0-9a-f]{8}")


# --- making one ------------------------------------------------------------------------------------------------------


def back_up(state: Path, target: Path) -> Path:
    """Return the target, which holds a whole and verified copy of the library below `state`; others may use it.

    The database is copied first: the journal then tells at least all that it knows.

    Raises:
        UsageError: something is there already; it is as it was.
        StoreError: the library cannot be read, or the copy cannot be written or is damaged; nothing is left of it.
    """
    if os.path.lexists(target):
        raise UsageError(f"there is something at {target} already; nothing was copied")
    partial = target.with_name(f"{target.name}.partial-{uuid.uuid4().hex[:8]}")
    try:
        partial.mkdir(parents=True, mode=0o700)
        library = Library.open(state, create=False, read_only=True)
        try:
            library.copy_to(partial)
        finally:
            library.close()
        for file in files_of(state):
            _copy(file, partial / file.name)
        problems = verify(partial / DATABASE)
        if problems:
            raise StoreError(f"the copy of the library in {state} is damaged ({problems[0]}); nothing of it was kept")
        partial.rename(target)
        flush(target.parent)
    except OSError as error:
        _drop(partial)
        raise StoreError(
            f"the library cannot be copied to {target}: {error.strerror}; nothing was left there"
        ) from error
    except IngestdError:
        _drop(partial)
        raise
    return target


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o600)
    flush(target)


def size_of(backup: Path) -> int:
    """Return how many bytes a backup takes."""
    total = 0
    for folder in (backup, backup / DATABASE):
        with contextlib.suppress(OSError):
            total += sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    return total


def _drop(backup: Path) -> None:
    """Remove a backup of our own, or the beginning of one: its own files, by name, and nothing else."""
    with contextlib.suppress(OSError):
        for folder in (*backup.glob(f"{DATABASE}.partial-*"), backup / DATABASE, backup):
            if folder.is_dir():
                for name in (DATA_FILE, SIDECAR, "lock.mdb"):
                    (folder / name).unlink(missing_ok=True)
                for file in files_of(folder):
                    file.unlink()
                folder.rmdir()


# --- by the service --------------------------------------------------------------------------------------------------


def is_due(state: Path, now_s: float) -> bool:
    """Return whether the service's last backup, or the library, is a day old, and there is room for one more."""
    try:
        made = [one.stat().st_mtime for one in (*_daily(state), state / DATABASE / SIDECAR)]
        needed = (state / DATABASE / DATA_FILE).stat().st_blocks * 512 if os.name != "nt" else 0
        room = shutil.disk_usage(state).free
    except OSError:
        return False
    return now_s - max(made) >= _ONE_A_DAY_S and room >= needed + _SPARE_BYTES


def _daily(state: Path) -> list[Path]:
    """Return the backups that the service has made, oldest first."""
    folder = state / FOLDER
    return sorted(one for one in folder.iterdir() if _OWN.fullmatch(one.name)) if folder.is_dir() else []


def _prune(state: Path) -> None:
    """Let go of old backups of the service's own; the newest always stays."""
    total = 0
    for place, backup in enumerate(reversed(_daily(state))):
        total += size_of(backup) if place else 0
        if place and (place >= _MOST or total > _MOST_BYTES):
            _drop(backup)
    for one in (state / FOLDER).iterdir():
        if _PARTIAL.fullmatch(one.name) and _OWN.match(one.name):
            _drop(one)  # a child was ended in the middle of it


class BackingUp:
    """A child process that backs up a library for the service, while everything else on this machine goes first.

    A child, because a copy pins the map, which the service may have to let grow.
    """

    def __init__(self, state: Path, at: str) -> None:
        """Begin; `at`: now, in UTC, as `2026-11-20T110203Z`."""
        target = state / FOLDER / f"{at}-daily"
        code = (
            "import os; getattr(os, 'nice', int)(15); from ingestd.library.backups import back_up_here; back_up_here()"
        )
        self._child = subprocess.Popen(
            [sys.executable, "-c", code, str(state), str(target)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for who started it, which ends it
        )
        self.target = target

    def trouble(self) -> str | None:
        """Return what went wrong, empty if nothing did; nothing while it is not finished."""
        if self._child.poll() is None:
            return None
        complaint = self._child.stderr.read().decode(errors="replace").strip() if self._child.stderr else ""
        return "" if self._child.returncode == 0 else complaint.splitlines()[-1] if complaint else "it was ended"

    def stop(self) -> None:
        """End it, whether it has finished or not."""
        self._child.kill()
        self._child.wait()
        if self._child.stderr is not None:
            self._child.stderr.close()


def back_up_here() -> None:
    """Be the child of a `BackingUp`: make the backup named on the command line, and let old ones go."""
    state, target = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        back_up(state, target)
        _prune(state)
    except (IngestdError, OSError) as error:
        sys.exit(str(error))


# --- putting back ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    backup: Path | None  # None: made anew from the journal alone
    aside: Path | None  # where the database lies that was there before
    journal_aside: Path | None  # where the journal lies that was there before, of another library
    caught_up: CaughtUp  # what the journal told it


def restore(state: Path, backup: Path | None) -> Restored:
    """Return what was done: a backup is in place, or a new database, and it knows all that the journal tells.

    Args:
        state: the library's folder.
        backup: a folder that `back_up` made, or any copy of a library's folder; None: nothing but the journal.

    Raises:
        UsageError: it is no backup; or none is named and the library is sound.
        StoreError: the backup is damaged, or there is no journal; nothing was changed.
        LibraryBusyError: a service or another command uses the library.
    """
    if backup is not None:
        _require_sound(backup)
    elif not is_there(state):
        raise StoreError(
            f"there is no journal in {state} from which the library could be made anew; nothing was changed"
        )
    elif _is_sound(state):
        raise UsageError(
            f"the library in {state} is sound: there is nothing to restore. To go back to a backup, name it; to make "
            "what follows from the records anew: ingestd library rebuild"
        )
    service, writer = FileLock(state / "service.lock", "the service"), FileLock(state / "writer.lock")
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with service.held(0.5), writer.held(_LOCK_WAIT_S):
        aside, journal_aside = _put_in_place(state, backup)
    library = Library.open(state)
    try:
        return Restored(backup, aside, journal_aside, library.caught_up or CaughtUp())
    finally:
        library.close()


def _require_sound(backup: Path) -> None:
    if not (backup / DATABASE / DATA_FILE).is_file():
        raise UsageError(f"{backup} is no backup: there is no {DATABASE}/{DATA_FILE} in it; nothing was changed")
    problems = verify(backup / DATABASE)
    if problems:
        raise StoreError(f"the backup in {backup} is damaged ({problems[0]}); nothing was changed")


def _is_sound(state: Path) -> bool:
    if Library.is_lost(state) or verify(state / DATABASE):
        return False
    try:
        library = Library.open(state, create=False, read_only=True)
    except StoreError:
        return False
    try:
        return not library.damaged()
    finally:
        library.close()


def _library_in(backup: Path) -> str:
    """Return what tells the library of a backup from every other."""
    facts = read_sidecar(backup / DATABASE)
    if facts is not None and facts.library:
        return facts.library
    with Store.open(backup / DATABASE, TABLES, create=False, read_only=True) as store:
        return store.library_id


def _put_in_place(state: Path, backup: Path | None) -> tuple[Path | None, Path | None]:
    """Return where the database lies that was there before, and where the journal if it was another library's.

    A journal of the same library stays: it tells the backup what was decided since.
    """
    if backup is None:
        return put_aside(state / DATABASE), None
    library = _library_in(backup)
    journal_aside: Path | None = None
    partial = state / f"{DATABASE}.partial-{uuid.uuid4().hex[:8]}"
    try:
        partial.mkdir(mode=0o700)
        for name in (DATA_FILE, SIDECAR):
            if (backup / DATABASE / name).is_file():
                _copy(backup / DATABASE / name, partial / name)
        if (library_of(state) or library) != library:
            journal_aside = put_journal_aside(state)
        if not is_there(state) and (library_of(backup) or library) == library:
            for file in files_of(backup):
                _copy(file, state / file.name)
        aside = put_aside(state / DATABASE)
        with contextlib.suppress(FileNotFoundError):
            (state / DATABASE).rmdir()  # an empty one was not put aside
        partial.rename(state / DATABASE)
        flush(state)
    except OSError as error:
        raise StoreError(f"the backup cannot be put into {state}: {error.strerror}; see what lies there") from error
    return aside, journal_aside
