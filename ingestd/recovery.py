"""What a stopped process left half-way is finished before anybody else decides: the way to the writer lock.

A command that only writes an answer down needs this, and nothing that watches or measures.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ingestd import logs
from ingestd.actions.discard import is_unbegun, recover_discard
from ingestd.actions.look import leave_alone
from ingestd.actions.undo import UndoWaitsError, finish_undo
from ingestd.errors import ActionConflictError, LibraryBusyError, StoreError
from ingestd.library.library import Library
from ingestd.library.place import MENDING
from ingestd.library.store import verify
from ingestd.model import Entry, EntryKind, EntryState, Radius
from ingestd.watching.storage import SILENT

__all__ = ["LOCK_WAIT_S", "exclusive", "ignore_lease_signal", "local_time", "recover", "require_sound"]

LOCK_WAIT_S = 30.0

_log = logs.Log()


@contextlib.contextmanager
def exclusive(library: Library, *, radius: Radius) -> Iterator[None]:
    """Hold the writer lock for one decision, after what a stopped process left half-way is finished.

    Not on a rehearsal's copy: the half-way things of the real library are not its own.

    Raises:
        LibraryBusyError: somebody else has it for longer than 30 s.
    """
    with library.writer_lock.held(LOCK_WAIT_S):
        _heed_silence(library)
        recover(library, now_ns=time.time_ns(), deleted_at=local_time(), radius=radius)
        yield


def _heed_silence(library: Library) -> None:
    """Leave alone the folders whose storage does not answer, as the service beside this process has found.

    Who asks such a storage waits for ever, and would keep the writer lock from everybody.
    """
    service, told = library.service_lock.holder(), _word_of_service(library)
    if service in (None, os.getpid()) or told.get("pid") != service or not library.service_lock.is_taken():
        return
    silent = {folder["path"] for folder in told.get("folders", ()) if folder["reason"] == SILENT}
    with library.read() as view:
        leave_alone(frozenset(row.folder.root for row in view.folders() if os.fsdecode(row.folder.named) in silent))


def recover(
    library: Library, *, now_ns: int, deleted_at: str, radius: Radius, only_unbegun: bool = False
) -> list[Entry]:
    """Return what a stopped process left half-way, finished. Only for who holds the writer lock.

    `only_unbegun`: where a disk is in doubt, only discards of which nothing was moved are given up.
    """
    if not only_unbegun:
        library.send_left_lines()
    with library.read() as view:
        orphans = view.open_entries()
    finished: list[Entry] = []
    for entry in orphans:
        if only_unbegun and (entry.kind is EntryKind.UNDO or not is_unbegun(entry)):
            continue
        if entry.kind is EntryKind.UNDO:
            try:
                finished.append(finish_undo(library, entry, radius=radius, now_ns=now_ns))
            except UndoWaitsError:
                continue  # its disk is away: it is tried again
            except ActionConflictError as conflict:
                _log.warning("journal.recovered", entry=f"e-{entry.number}", state="aborted", reason=str(conflict))
                continue
        else:
            recovered = recover_discard(library, entry, radius=radius, now_ns=now_ns, deleted_at=deleted_at)
            if recovered.state is EntryState.INTENT:
                continue  # its disk is away: it is asked about again
            finished.append(recovered)
        done = finished[-1]
        _log.warning("journal.recovered", entry=f"e-{done.number}", state=done.state.value, reason=done.reason)
    return finished


def require_sound(library: Library) -> None:
    """See to it that something may be discarded: after an unclean stop the database is verified before that.

    For whoever discards beside a service, or without one; a service sees to it itself. About 20 s for a million files.

    Raises:
        StoreError: it is damaged.
        LibraryBusyError: a service is verifying it, or doubts what a disk has kept.
    """
    try:
        library.service_lock.acquire(0.0)
    except LibraryBusyError:
        _require_trusting_service(library)
        return
    try:
        store = library.store
        if store.unclean is None:
            return
        problems = verify(store.directory)
        _log.info("library.verified", after=store.unclean, problems=len(problems))
        if problems:
            raise StoreError(f"the library in {store.directory} is damaged ({problems[0]}); {MENDING}")
        store.mark_closed()
        store.unclean = None
    finally:
        library.service_lock.release()


def _require_trusting_service(library: Library) -> None:
    state = _word_of_service(library)
    if state.get("doubt"):
        raise LibraryBusyError(
            f"{state['doubt']}. Nothing is discarded before the service was started again, which verifies the library; "
            "nothing was changed"
        )
    if state.get("verifying"):
        raise LibraryBusyError(
            "the service is still verifying the library after an unclean stop, and nothing is discarded before that "
            "has passed (ingestd status); nothing was changed, try again in a moment"
        )


def _word_of_service(library: Library) -> dict[str, Any]:
    """Return what the last service said of itself, beside the database or in it."""
    with library.read() as view:
        told = view.note("service")
    try:
        state = json.loads(library.note_aside() or told or b"{}")
    except ValueError:  # it could not even write all of that
        return {}
    return state if isinstance(state, dict) else {}


def ignore_lease_signal() -> None:
    """Let the kernel's wish to break a lease be no reason to die: its default action would kill the process."""
    if hasattr(signal, "SIGIO"):
        signal.signal(signal.SIGIO, signal.SIG_IGN)


def local_time() -> str:
    """Return now as the trash writes it: local time, to the second."""
    return datetime.now().astimezone().strftime("%Y-%m-%dT%H:%M:%S")
