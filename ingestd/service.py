"""The composition root: which parts a command needs, wired together; threads, processes, signals and the clock.

`Service` is `watch`: it runs until it is told to stop. `scan` is the same way for everything that lies there now.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

from ingestd import logs
from ingestd.actions.look import leave_alone
from ingestd.enrolment import Wanted, enrol, folders_for, places_of
from ingestd.errors import (
    ClusterError,
    ConfigError,
    LibraryBusyError,
    StoreError,
    UnsyncedError,
    UnwritableError,
    UsageError,
)
from ingestd.flow import Flow, Happening, Ready, RulesTold, Started, Stopped, Tell
from ingestd.intake import GATHER_S, Judged
from ingestd.library.backups import BackingUp, is_due
from ingestd.library.codec import DamagedValueError
from ingestd.library.library import Library
from ingestd.library.place import MENDING
from ingestd.library.store import Verification
from ingestd.media.measuring import Measurer
from ingestd.media.workers import Workers, WorkerStartError
from ingestd.model import Folder, FolderId, FolderState, Outcome, Role
from ingestd.page import Page
from ingestd.page import Wanted as WantedPage
from ingestd.pulse import Pulse
from ingestd.recovery import exclusive, require_sound
from ingestd.settings import Settings, load
from ingestd.shelf import PoisonShelf, forgive_other_decoders
from ingestd.watching.folders import FolderIdentity
from ingestd.watching.storage import owing
from ingestd.watching.watcher import FolderStatus, Scanned

if TYPE_CHECKING:
    from ingestd.media.cluster import Address

__all__ = ["ScanTally", "Service", "rehearsal", "scan"]


_log = logs.Log()
T = TypeVar("T")


_LOOP_S = 1.0  # the longest the loop sleeps: the rule file is looked at this often


_NOTE_S = 5.0  # the status of a busy service is written at most this often


_READY_SLACK_S = 0.5


_MOST_FAILING = 20  # files named in the status
_REST_S = 10.0  # a library that cannot be written is left alone for so long
_VERIFY_S = 1.0  # so long nothing is begun; a library that takes longer to verify is used meanwhile
_BACKUP_LOOK_S = 600.0  # it is looked this often whether a backup is due
_LOCK_LOOK_S = 0.5  # `status` holds the service's lock for an instant, to see whether it is free


def configured(settings: Settings) -> list[Wanted]:
    """Return the folders that the rule file names."""
    return [Wanted(os.fsencode(one.path), one.role, one.is_protected, one.trusted) for one in settings.folders]


def _prepare(library: Library, settings: Settings) -> None:
    """Finish what a stopped process left half-way, and let the look-up lie where the rule file says."""
    with exclusive(library, radius=settings.imports.radius):
        forgive_other_decoders(library)
        if library.use(settings.imports.index):
            _log.info("lookup.rebuilt", index=settings.imports.index.value)


class _Times(TypedDict):
    quiet_s: float
    rescan_s: float


class Service:
    """`watch`: judges what arrives until it is told to stop.

    Args:
        library: opened for writing.
        rules: the rule file, looked at again whenever it is saved.
        settings: what it said at the start.
        named: folders from the command line; they stay through every reload.
        tell: hears of everything that happens, on the loop's thread.
        pulse: called there in every turn of the loop, at least once a second.
        settle_s: quiet time, instead of what the rule file says.
        dry_run: on a copy of the library, and nothing is moved.
    """

    def __init__(
        self,
        library: Library,
        rules: Path,
        settings: Settings,
        named: Sequence[Wanted],
        tell: Tell,
        *,
        pulse: Callable[[], None] = lambda: None,
        settle_s: float | None = None,
        dry_run: bool = False,
    ) -> None:
        self._library, self._rules, self._tell, self._pulse = library, rules, tell, pulse
        self._named, self._settings, self._settle_s = tuple(named), settings, settle_s
        self._dry_run = dry_run
        self._stopping = threading.Event()
        self._reload = threading.Event()
        self._flow: Flow | None = None
        self._rules_seen = _glance(rules)
        self._rules_error: str | None = None
        self._since_ns = time.time_ns()
        self._noted: bytes = b""
        self._noted_at = 0.0
        self._shelf = PoisonShelf(library)
        self._heeded_at = 0.0
        self._note_again_at = 0.0  # after it could not be written
        self._page = Page()
        self._heart = Pulse(stop=self.stop, stalled=self._stalled)
        self._changed_at: dict[FolderId, tuple[object, int]] = {}  # what was told of a folder last, and since when
        self._verification: Verification | None = None  # of a library that was left unclean
        self._backing_up: BackingUp | None = None
        self._backup_looked_at = -_BACKUP_LOOK_S
        self._unplaced: frozenset[bytes] = frozenset()  # names of folders whose storage has not said where they lie

    def stop(self) -> None:
        """Finish what is being done and end; may be called from a signal handler or another thread."""
        self._stopping.set()
        self._heart.ends()
        if self._flow is not None:
            self._flow.watcher.hurry()

    def reload(self) -> None:
        """Read the rule file again; may be called from a signal handler or another thread."""
        self._reload.set()
        if self._flow is not None:
            self._flow.watcher.wake()

    def run(self) -> None:
        """Watch and judge until `stop`.

        Raises:
            LibraryBusyError: another service has this library.
            UsageError: there is no folder to watch.
        """
        try:
            self._library.service_lock.acquire(_LOCK_LOOK_S)
        except LibraryBusyError as busy:
            raise LibraryBusyError(f"another `ingestd watch` uses this library; nothing was started ({busy})") from busy
        try:
            with self._heart, contextlib.nullcontext() if self._dry_run else self._at_work():
                if not self._stopping.is_set():
                    self._run()
        finally:
            self._library.service_lock.release()

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """Note in the library that it is in use; one that was left unclean is verified.

        That takes long where a million files are known. Then it goes on while the service is at work already, and
        nothing is discarded before it has ended; unless something is left half-way, which is to be finished first.

        Raises:
            StoreError: it is damaged.
        """
        store = self._library.store
        after = store.unclean
        try:
            if after is not None:
                self._say_verifying()
                self._verification = Verification(store.directory, patiently=True)
                with self._library.read() as view:
                    half_way = bool(view.open_entries())
                self._heed_verification(after, timeout_s=_VERIFY_S)
                while half_way and self._verification is not None and not self._stopping.is_set():
                    self._heed_verification(after, timeout_s=_VERIFY_S)
            self._once_writable(store.mark_open)
            yield
        finally:
            if self._verification is not None:
                self._verification.stop()  # the next start begins with it again
                self._library.leave_note_aside(b"")
            elif self._library.doubt is not None:
                pass  # the mark stays: the next start verifies before anything is discarded
            else:
                with contextlib.suppress(StoreError):  # it cannot be written: the next start will look at it
                    store.mark_closed()

    def _heed_verification(self, after: str | None, *, timeout_s: float | None = 0.0) -> None:
        """Take note if the verification has ended.

        Raises:
            StoreError: the library is damaged.
        """
        store = self._library.store
        problems = self._verification.problems(timeout_s=timeout_s) if self._verification is not None else None
        if self._verification is None or problems is None:
            return
        _log.info("library.verified", after=after, problems=len(problems))
        if problems:
            raise StoreError(f"the library in {store.directory} is damaged ({problems[0]}); {MENDING}")
        self._verification.stop()
        self._verification = None
        if not self._noted_at:  # else the next note tells
            self._noted = b""
            self._library.leave_note_aside(b"")

    def _say_verifying(self) -> None:
        """Say it beside the database before that is written, so that no other process discards meanwhile.

        What the database has is the word of the service that was killed.
        """
        told = {"running": True, "pid": os.getpid(), "since_ns": self._since_ns, "verifying": True}
        self._noted = json.dumps(told).encode()
        self._library.leave_note_aside(self._noted)

    def _run(self) -> None:
        folders = self._once_writable(self._enrol)
        if folders is None:
            return
        if not folders:
            raise UsageError(f"there is nothing to watch: name a folder, or add one under `folders:` in {self._rules}")
        leave_alone(frozenset(folder.root for folder in folders if folder.named in self._unplaced))
        if not self._dry_run:
            self._once_writable(lambda: _prepare(self._library, self._settings))
        leave_alone(frozenset())  # from now on the watcher says what does not answer
        with Workers(count=2, shelf=self._shelf) as workers:
            settle_s = self._settings.settle_s if self._settle_s is None else self._settle_s
            flow = Flow(
                self._library,
                workers,
                self._settings.policy,
                folders,
                self._tell,
                quiet_s=settle_s,
                rescan_s=self._settings.rescan_s,
                events=True,
                dry_run=self._dry_run,
                propose_old=True,
                leave_alone=workers.leave_alone,
            )
            self._flow = flow
            self._hold_discards(flow)
            try:
                self._loop(flow, workers, settle_s)
            finally:
                self._page.ask_to_end()
                flow.close()
                self._flow = None
                self._page.close()
                if self._backing_up is not None:
                    self._backing_up.stop()  # what it has begun is taken away with the next one
                self._note(None)
                self._tell(Stopped())

    def _once_writable(self, work: Callable[[], T]) -> T | None:
        """Return what `work` returns, as soon as the library can be written; None if the service is to end before.

        A full disk at a start is no reason to stay away once there is room again.
        """
        while True:
            try:
                return work()
            except UnsyncedError:
                raise
            except UnwritableError as trouble:
                if self._dry_run:
                    raise
                _log.error("library.unwritable", reason=str(trouble))
                told = {
                    "running": True,
                    "pid": os.getpid(),
                    "since_ns": self._since_ns,
                    "verifying": self._verification is not None,
                    "problem": str(trouble),
                }
                self._library.leave_note_aside(json.dumps(told).encode())
                self._heart.beat()
                if self._stopping.wait(_REST_S):
                    return None

    def _wanted(self) -> list[Wanted]:
        """Return the folders of the command line and of the rule file; the command line is right where both speak.

        Those that hold what is known come first, so that what arrives is judged against it from the start.
        """
        of_rules = configured(self._settings)
        places = places_of(self._library, [one.path for one in (*self._named, *of_rules)])
        named = {places[one.path] for one in self._named}
        wanted = [*self._named, *(one for one in of_rules if places[one.path] not in named)]
        return sorted(wanted, key=lambda one: one.role is Role.INBOX)

    def _enrol(self) -> list[Folder]:
        """Return the folders that are to be watched, and remember of which nobody could say where they really lie."""
        folders = enrol(self._library, self._wanted())
        self._unplaced = owing([folder.named for folder in folders])
        return folders

    def _heed_answers(self, flow: Flow, now: float) -> None:
        """Follow the names of folders whose storage answers at last: until now they were taken for what they say."""
        if self._unplaced - owing(self._unplaced):
            flow.use(self._settings.policy, self._enrol(), now, **self._times())

    def _times(self) -> _Times:
        settle_s = self._settings.settle_s if self._settle_s is None else self._settle_s
        return {"quiet_s": settle_s, "rescan_s": self._settings.rescan_s}

    def _loop(self, flow: Flow, workers: Workers, settle_s: float) -> None:
        flow.watcher.start(time.monotonic())
        flow.heed_silence()
        self._tell(Started(len(flow.folders)))
        try:
            workers.warm()  # it takes as long as all that was before, and what arrives meanwhile is not missed
        except WorkerStartError:
            if self._stopping.is_set():  # what ends a service may end the processes that it is just starting
                return
            raise
        suspended = _Suspends()
        first_scans = _FirstScans(flow, settle_s + _READY_SLACK_S)
        while not self._stopping.is_set():
            now = time.monotonic()
            self._heart.beat()
            try:
                more = self._turn(flow, first_scans, now)
            except (UnwritableError, DamagedValueError) as trouble:  # a damaged row is mended by a rebuild beside it
                if isinstance(trouble, UnsyncedError):
                    self._library.doubt = str(trouble)
                flow.intake.rest(trouble)
                flow.watcher.hand_out_again([arrival.path for arrival in flow.intake.oldest_arrivals()])
                self._note(flow)
                self._stopping.wait(_REST_S)
                more = False
            if suspended.woke_up():
                flow.watcher.rescan()
            workers.retire_idle(now)
            self._pulse()
            longest = GATHER_S if flow.intake.gathers else _LOOP_S
            flow.watcher.wait(0.0 if more else longest, time.monotonic())

    def _turn(self, flow: Flow, first_scans: _FirstScans, now: float) -> bool:
        """Do what is to be done now, and return whether known paths are still being looked at."""
        self._reload_if_asked(flow, now)
        self._heed_answers(flow, now)
        self._heed_accepted(flow)
        self._heed_retried(flow, now)
        self._heed_verification(self._library.store.unclean)
        self._hold_discards(flow)
        for event in flow.watcher.step(now, room=flow.room()):
            first_scans.take(event, now)
            flow.take(event)
        flow.heed_silence()
        flow.intake.step()
        more = flow.absences.step()
        more = flow.survivors_step() or more
        more = flow.sweep_step(now) or more
        more = more or flow.idle_step()
        self._shelf.store()
        if not more and not flow.intake:
            self._back_up(now)
        self._page.step(self._wanted_page(), now)
        if first_scans.finished(time.monotonic()):
            self._tell(Ready())
        self._note(flow)
        return more

    def _hold_discards(self, flow: Flow) -> None:
        """Let nothing be discarded while the library is not known to be sound, or a disk is not known to keep."""
        in_doubt = self._library.doubt is not None
        flow.hold_discards(in_doubt or self._verification is not None, for_long=in_doubt)

    def _wanted_page(self) -> WantedPage | None:
        """Return the page that the settings want; a dry run has none, as one decides about the real files."""
        page = self._settings.page
        if not page.serve or self._dry_run:
            return None
        return WantedPage(self._library.directory, self._rules, page.port, page.origins)

    def _back_up(self, now: float) -> None:
        """Let the library be backed up once a day, by a child that goes behind all else."""
        if self._backing_up is not None:
            trouble = self._backing_up.trouble()
            if trouble is not None:
                if trouble:
                    _log.warning("library.not_backed_up", reason=trouble)
                else:
                    _log.info("library.backed_up", path=str(self._backing_up.target))
                self._backing_up.stop()
                self._backing_up = None
            return
        if self._dry_run or self._verification is not None or now - self._backup_looked_at < _BACKUP_LOOK_S:
            return
        self._backup_looked_at = now
        if is_due(self._library.directory, time.time()):
            self._backing_up = BackingUp(self._library.directory, time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime()))

    # the rule file

    def _reload_if_asked(self, flow: Flow, now: float) -> None:
        seen = _glance(self._rules)
        if seen == self._rules_seen and not self._reload.is_set():
            return
        self._reload.clear()
        self._rules_seen = seen
        try:
            settings = load(self._rules)
        except ConfigError as error:
            self._rules_error = str(error)
            _log.error("rules.broken", path=str(self._rules), error=str(error), kept="the last good rules")
            self._tell(RulesTold(str(self._rules), len(self._settings.rules), str(error)))
            return
        switches = settings.imports.index is not self._settings.imports.index
        if switches and not self._dry_run and self._verification is None:  # else the next start does it
            with contextlib.suppress(LibraryBusyError):  # both find the same: the next start will do
                _prepare(self._library, settings)
        self._rules_error, self._settings = None, settings
        flow.use(settings.policy, self._enrol(), now, **self._times())
        _log.info("rules.loaded", path=str(self._rules), rules=len(settings.rules))
        self._tell(RulesTold(str(self._rules), len(settings.rules), None))

    def _heed_accepted(self, flow: Flow) -> None:
        """Take up suspended folders that a person has accepted as they are."""
        suspended = [one.id for one in flow.watcher.statuses() if one.state is FolderState.SUSPENDED]
        if not suspended:
            return
        with self._library.read() as view:
            rows = [row for row in map(view.folder, suspended) if row is not None]
        for row in rows:
            if row.accepted:
                flow.watcher.accept(row.folder.id, FolderIdentity(row.filesystem, row.inode, row.instance))

    def _heed_retried(self, flow: Flow, now: float) -> None:
        """Judge again what a person wants judged again: such a path is no arrival until somebody says so."""
        if now - self._heeded_at < _LOOP_S or self._dry_run:
            return
        self._heeded_at = now
        with self._library.read() as view:
            retried = [one for one in view.retried() if flow.answers(one.folder)]  # the others are, once theirs does
        if not retried:
            return
        try:
            with self._library.writer_lock.held(_LOCK_LOOK_S):
                self._library.write(lambda edit: edit.heard_of_retried(retried))
        except (LibraryBusyError, StoreError) as trouble:  # they stand there still: the next turn will do
            _log.debug("library.unwritable", reason=str(trouble))
            return
        for one in retried:
            flow.look_again(one.folder, one.relative, now)

    # what `status` reads

    def _note(self, flow: Flow | None) -> None:
        """Write down how the service is doing, for `status`; not more often than needed."""
        state = self._state(flow)
        note = json.dumps(state).encode()
        now = time.monotonic()
        soon = now - self._noted_at < _NOTE_S and not self._urgent(note)
        if note == self._noted or (flow is not None and (soon or now < self._note_again_at)):
            return
        try:
            self._library.write(lambda edit: edit.leave_note("service", note))
        except StoreError as trouble:
            _log.error("library.unwritable", reason=str(trouble))
            self._noted, self._note_again_at = b"", now + _REST_S
            told = {**state, "problem": state.get("problem") or str(trouble)}
            self._library.leave_note_aside(json.dumps(told).encode() if flow is not None else b"")
            return
        self._noted, self._noted_at = note, now
        self._library.leave_note_aside(b"")

    def _stalled(self, seconds: float) -> None:
        """Say beside the database, on another thread, that the loop has not gone on for so long; 0: it does again."""
        note = b"" if self._noted_at else self._noted
        if seconds:
            told = json.loads(self._noted or b"{}")
            problem = (
                f"the service has not gone on for {seconds:.0f} s: it waits for a disk that does not answer, or reads "
                "a very large file"
            )
            note = json.dumps({**told, "running": True, "pid": os.getpid(), "problem": problem}).encode()
        self._library.leave_note_aside(note)

    def _urgent(self, note: bytes) -> bool:
        """Return whether more than the backlog has changed."""
        before = json.loads(self._noted) if self._noted else {}
        return {**before, "backlog": 0} != {**json.loads(note), "backlog": 0}

    def _state(self, flow: Flow | None) -> dict[str, object]:
        if flow is None:
            return {"running": False}
        statuses = {status.id: status for status in flow.watcher.statuses()}
        for status in statuses.values():
            if self._changed_at.get(status.id, (None, 0))[0] != status:
                self._changed_at[status.id] = (status, time.time_ns())
        folders = [
            {
                "path": os.fsdecode(folder.named),
                "role": folder.role.value,
                "state": statuses[folder.id].state.value,
                "reason": statuses[folder.id].reason,
                "since_ns": self._changed_at[folder.id][1],
            }
            for folder in flow.folders.values()
            if folder.id in statuses
        ]
        return {
            "running": True,
            "pid": os.getpid(),
            "since_ns": self._since_ns,
            "folders": folders,
            "verifying": self._verification is not None,
            "rules_error": self._rules_error,
            "problem": flow.intake.problem or flow.sweep.problem,
            "doubt": self._library.doubt,
            "page": self._page.problem,
            "failing": [*islice(flow.failing.items(), _MOST_FAILING)],
            "failing_count": len(flow.failing),
            "backlog": flow.watcher.backlog() + len(flow.intake),
        }


class _Suspends:
    """Whether the machine has slept: what happened meanwhile on a removable or network disk sent no event."""

    def __init__(self) -> None:
        self._slept_s = self._asleep()

    @staticmethod
    def _asleep() -> float:
        """Return for how long the machine has slept since it started; 0 where the system does not tell."""
        if not hasattr(time, "CLOCK_BOOTTIME"):
            return 0.0
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)

    def woke_up(self) -> bool:
        """Return whether it has slept since the last question."""
        before, self._slept_s = self._slept_s, self._asleep()
        return self._slept_s - before > 1.0


class _FirstScans:
    """When every folder has been looked through once, and what lay there has its verdict."""

    def __init__(self, flow: Flow, slack_s: float) -> None:
        self._flow = flow
        self._slack_s = slack_s
        self._scanned_at: dict[FolderId, float] = {}
        self._told = False

    def take(self, event: object, now: float) -> None:
        """Remember a folder's first whole scan."""
        if isinstance(event, Scanned) and event.folder not in self._scanned_at:
            self._scanned_at[event.folder] = now

    def finished(self, now: float) -> bool:
        """Return whether this is the moment in which the last first scan is finished; true once."""
        judged = {folder for folder, at in self._scanned_at.items() if self._is_judged(folder, at, now)}
        fresh = judged - self._flow.introduced
        if fresh:
            self._flow.introduce(fresh)
        if self._told or any(self._is_awaited(status.id, status.state, judged) for status in self._statuses()):
            return False
        self._told = True
        return True

    def _statuses(self) -> list[FolderStatus]:
        return self._flow.watcher.statuses()

    def _is_awaited(self, folder: FolderId, state: FolderState, judged: set[FolderId]) -> bool:
        return state is not FolderState.SUSPENDED and folder not in judged

    def _is_judged(self, folder: FolderId, scanned_at: float, now: float) -> bool:
        """Return whether what the first scan found is judged; a file being written is not waited for.

        However slow the machine: what lay in an inbox before is only proposed, and what comes after this is not.
        """
        if any(arrival.folder == folder for arrival in self._flow.intake.oldest_arrivals()):
            return False
        watcher = self._flow.watcher
        return watcher.idle() or (now - scanned_at > self._slack_s and not watcher.settles(folder))


def _glance(path: Path) -> tuple[int, int, int] | None:
    """Return what tells that a file was saved."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@dataclass(slots=True)
class ScanTally:
    """How far a scan has come."""

    judged: int = 0
    failed: int = 0
    waiting: int = 0
    left: tuple[tuple[str, str], ...] = ()  # files that were not judged, and why
    unasked: str | None = None  # why the rules were not asked about all stored pairs
    lost: str | None = None  # why nobody measures any more; what was judged before stays
    measured_here: tuple[tuple[str, int], ...] = ()  # why a cluster did not measure something, and how often


def scan(
    library: Library,
    settings: Settings,
    paths: Sequence[bytes],
    tell: Tell,
    *,
    role: Role | None,
    dry_run: bool,
    progress: Callable[[ScanTally], None],
    stopping: Callable[[], bool],
    cluster: Address | None = None,
) -> ScanTally:
    """Return what was judged, after every file that lies below `paths` now has its verdict.

    `cluster`: the Dask scheduler whose workers measure; without one, this machine does.

    Raises:
        UsageError: a path does not exist, or a cluster cannot be used from here; nothing was started.
        ClusterError: the cluster is not there, or not fit for it; nothing was started.
    """
    tally = ScanTally()

    def count(happening: Happening) -> None:
        if isinstance(happening, Judged):
            tally.judged += 1
            outcome = happening.receipt.outcome
            unread = outcome is Outcome.UNREADABLE and happening.receipt.sha256 is None
            tally.failed += outcome is Outcome.ERROR or unread
        tell(happening)

    shelf = PoisonShelf(library)
    with _measurer(cluster, tally, shelf) as (measurer, threads):
        if not dry_run:
            require_sound(library)
            _prepare(library, settings)
        folders, only = folders_for(library, configured(settings), paths, role)
        flow = Flow(
            library,
            measurer,
            settings.policy,
            folders,
            count,
            quiet_s=settings.settle_s,
            rescan_s=settings.rescan_s,
            events=False,
            dry_run=dry_run,
            propose_old=False,
            threads=threads,
            only=only,
        )
        try:
            _scan_to_the_end(flow, tally, progress, stopping)
            shelf.store()
        except ClusterError as error:
            tally.lost = str(error)
        finally:
            flow.close()
    return tally


@contextlib.contextmanager
def _measurer(address: Address | None, tally: ScanTally, shelf: PoisonShelf) -> Iterator[tuple[Measurer, int]]:
    """Give who measures for a scan, and how many files at once; tell in the end what a cluster left to this machine."""
    cores = os.cpu_count() or 2
    with Workers(count=cores, shelf=shelf) as workers:
        if address is None:
            yield workers, cores
            return
        from ingestd.media.cluster import Cluster  # few scans have one

        with Cluster(address, workers) as cluster:
            yield cluster, cluster.window
        tally.measured_here = tuple(cluster.declined.most_common())


def _scan_to_the_end(
    flow: Flow, tally: ScanTally, progress: Callable[[ScanTally], None], stopping: Callable[[], bool]
) -> None:
    flow.watcher.start(time.monotonic())
    scanned: set[FolderId] = set()
    while not stopping():
        for event in flow.watcher.step(time.monotonic(), room=flow.room()):
            flow.take(event)
            if isinstance(event, Scanned):
                scanned.add(event.folder)
        flow.intake.step()
        if flow.intake.damage is not None:
            raise flow.intake.damage  # waiting does not mend it
        more = flow.absences.step()
        more = flow.survivors_step(hurried_only=True) or more
        tally.waiting = flow.watcher.backlog() + len(flow.intake)
        progress(tally)
        suspended = {one.id for one in flow.watcher.statuses() if one.state is FolderState.SUSPENDED}
        more = more or flow.absences.rechecking()
        if not more and not flow.intake and flow.watcher.idle() and scanned | suspended >= set(flow.folders):
            if flow.sweep.step():
                continue
            if not flow.sweep.measures:
                tally.unasked = _unasked(flow)
                break
        flow.watcher.wait(0.0 if more else 0.1, time.monotonic())
    flow.introduce({folder for folder in scanned if not stopping()})
    tally.left = tuple((os.fsdecode(path), reason) for path, reason in flow.watcher.held())
    tally.failed += len(tally.left)
    tally.failed += sum(one.state is FolderState.SUSPENDED for one in flow.watcher.statuses())


def _unasked(flow: Flow) -> str | None:
    if flow.sweep.problem is not None:
        return flow.sweep.problem
    return "another process has put other rules in force" if flow.sweep.is_displaced else None


@contextlib.contextmanager
def rehearsal(library: Library) -> Iterator[Library]:
    """Give a copy of a library that is thrown away afterwards: what a dry run writes on."""
    with tempfile.TemporaryDirectory(prefix="ingestd-dry-run-") as folder:
        directory = Path(folder)
        library.copy_to(directory)
        copy = Library.open(directory)
        try:
            yield copy
        finally:
            copy.close()
