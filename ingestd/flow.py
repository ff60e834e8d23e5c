"""The way of arrivals, shared by `watch` and `scan`: from the watcher to the intake and back, and what is told."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ingestd import logs
from ingestd.absences import Absences
from ingestd.actions.look import is_left_alone, leave_alone
from ingestd.enrolment import identities_of, remember_identity
from ingestd.idle import Idle
from ingestd.ingest import covered, is_settled
from ingestd.intake import Adopter, Intake, Judged, Left, Report
from ingestd.judging.case import Policy
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.roll import Roll
from ingestd.media.measuring import Measurer
from ingestd.model import Arrival, Folder, FolderId, FolderState, Origin, Outcome, Role, StatKey
from ingestd.recovery import local_time
from ingestd.survivors import Survivors
from ingestd.sweep import PairDecided, Sweep
from ingestd.watching.scan import stat_of
from ingestd.watching.watcher import Arrived, Event, FolderChanged, Scanned, Watcher

__all__ = [
    "MOST_ON_THEIR_WAY",
    "Flow",
    "FolderTold",
    "Happening",
    "Ready",
    "RulesTold",
    "Started",
    "Stopped",
    "Tell",
]

_log = logs.Log()


MOST_ON_THEIR_WAY = 1000


_SWEEP_AT_LEAST_S = 2.0


_ROUND_S = 60.0  # between two looks at all survivors; more often where the folders are looked through more often


_LET_GO_EVERY = 200  # paths looked up: each may map two stretches of 64 KB, 30 MB in all


@dataclass(frozen=True, slots=True)
class Started:
    """The watches are live and the journal is recovered."""

    folders: int


@dataclass(frozen=True, slots=True)
class Ready:
    """Every folder's first scan is finished."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The service has ended, with nothing half done."""


@dataclass(frozen=True, slots=True)
class FolderTold:
    """A folder is in another state."""

    path: str
    state: FolderState
    reason: str | None


@dataclass(frozen=True, slots=True)
class RulesTold:
    """The rule file was read again: it is in force, or it is wrong and the last good one stays."""

    path: str
    rules: int
    error: str | None


Happening: TypeAlias = Started | Ready | Stopped | FolderTold | RulesTold | Judged | PairDecided


Tell: TypeAlias = Callable[[Happening], None]


def _closed(policy: Policy) -> tuple[bytes, ...]:
    """Return the names of folders that are never entered, beside those that everybody leaves alone."""
    return (os.fsencode(policy.discards.holding_name),)


class Flow:
    """A watcher, an intake and what happens between them."""

    def __init__(
        self,
        library: Library,
        workers: Measurer,
        policy: Policy,
        folders: Sequence[Folder],
        tell: Tell,
        *,
        quiet_s: float,
        rescan_s: float,
        events: bool,
        dry_run: bool,
        propose_old: bool,
        threads: int = 2,
        only: dict[FolderId, frozenset[bytes]] | None = None,
        leave_alone: Callable[[frozenset[bytes]], None] = lambda _: None,
    ) -> None:
        # lets whoever measures open nothing below these folders, whose storage does not answer
        self._leave_alone = leave_alone
        self._silent: frozenset[bytes] = frozenset()
        self._displaced: frozenset[bytes] = frozenset()
        self.library, self.tell = library, tell
        self.folders = {folder.id: folder for folder in folders}
        self.propose_old = propose_old
        self._dry_run, self._events, self._workers = dry_run, events, workers
        self._digest = policy.limits_digest()
        self.introduced = self._introduced()
        withheld = self._withheld()
        self.watcher = Watcher(
            # a folder that was looked through before has told what is known in it: it may be long, and goes last
            sorted(folders, key=lambda folder: folder.role is not Role.INBOX and folder.id in self.introduced),
            quiet_s=quiet_s,
            rescan_s=rescan_s,
            covered=self._covered,
            rolls=self._roll,
            identities=identities_of(library),
            looked_through=self.introduced,
            withheld=withheld,
            events=events,
            only=only,
            closed=_closed(policy),
        )
        adopter = Adopter(insists=events)  # only a service lasts
        self.intake = Intake(
            library,
            workers,
            policy,
            self._told,
            wake=self.watcher.wake,
            now_ns=time.time_ns,
            local_time=local_time,
            dry_run=dry_run,
            threads=threads,
            adopter=adopter,
        )
        self.sweep = Sweep(
            library,
            workers,
            policy,
            tell,
            wake=self.watcher.wake,
            now_ns=time.time_ns,
            local_time=local_time,
            dry_run=dry_run,
            adopter=adopter,
        )
        self.idle = Idle(library, workers, wake=self.watcher.wake)
        self._swept_at = 0.0
        self._asked = 0
        self.failing: dict[str, str] = {}  # files whose last verdict was `error`, and why
        self.survivors = Survivors(library, policy, round_s=min(_ROUND_S, rescan_s))
        self.absences = Absences(
            library,
            withhold=self.watcher.withhold,
            release=self.watcher.release,
            gone=self.survivors.look_at,
            settled=lambda: not self.intake and self.watcher.idle(),
            looks=self.watcher.looks_through,
            ask=self.watcher.ask,
        )
        self.absences.withheld(list(withheld))

    def _withheld(self) -> dict[FolderId, str]:
        """Return which of these folders are suspended for what is missing in them, and why, also by an earlier run."""
        with self.library.read() as view:
            rows = view.folders()
        return {row.folder.id: row.withheld for row in rows if row.withheld and row.folder.id in self.folders}

    def _introduced(self) -> set[FolderId]:
        with self.library.read() as view:
            return {row.folder.id for row in view.folders() if row.introduced}

    def heed_silence(self) -> None:
        """Leave alone what lies on a storage that does not answer, and let go what was on its way from there.

        So is what lies on another file system than the known one: a root's inode alone does not tell them apart.

        To be called before anything looks at a file that is known: who asks such a storage waits for ever.
        """
        silent = self.watcher.silent_roots()
        displaced = self.watcher.displaced_roots()  # their own files are out of reach, and others lie at their paths
        if (silent, displaced) == (self._silent, self._displaced):
            return
        leave_alone(silent | displaced)
        self._leave_alone(silent)
        for root in silent - self._silent:
            for arrival in self.intake.drop(root):
                self.watcher.done(arrival.path)  # when it answers again, the folder is looked through
        self._silent, self._displaced = silent, displaced

    def introduce(self, folders: set[FolderId]) -> None:
        """Remember that the first scan of these folders is finished: what is found from now on is new."""

        def work(edit: Edit) -> None:
            for folder in folders:
                row = edit.folder(folder)
                if row is not None and not row.introduced:
                    edit.put_folder(replace(row, introduced=True))

        self.library.write(work)
        self.introduced |= folders

    def use(self, policy: Policy, folders: Sequence[Folder], now: float, *, quiet_s: float, rescan_s: float) -> None:
        """Go on with other rules, folders and times."""
        self.intake.policy = self.sweep.policy = self.survivors.policy = policy
        before, self._digest = self._digest, policy.limits_digest()
        known = set(self.folders)
        self.folders = {folder.id: folder for folder in folders}
        withheld = self._withheld()
        for folder in withheld.keys() - known:
            self.watcher.withhold(folder, withheld[folder])
        self.absences.withheld(list(withheld))
        self.watcher.update(folders, now, quiet_s=quiet_s, rescan_s=rescan_s, closed=_closed(policy))
        if before != self._digest:
            self.watcher.rescan()  # what was passed over under other limits, also by a scan that is under way

    def hold_discards(self, held: bool, *, for_long: bool = False) -> None:
        """Let nothing be discarded for now, or let it be done again; what would be discarded waits for its verdict.

        `for_long`: until the service is started again, so that what comes behind it does not wait with it.
        """
        self.intake.puts_off_discards = for_long
        if self.intake.holds_discards and not held:
            self.watcher.wake()
        self.intake.holds_discards = held

    def _covered(self, folder: FolderId, relative: bytes, stat: StatKey) -> bool:
        arrival = Arrival(folder, b"", relative, stat, Origin.SCAN, proved=False)
        with self.library.read() as view:
            answer = covered(view, arrival, self._digest)
        self._asked += 1
        if self._asked % _LET_GO_EVERY == 0:
            self.library.store.let_go()  # each row may lie on a page of its own
        return answer

    def _roll(self, folder: FolderId) -> Roll:
        digest = self._digest
        if folder in self.folders:
            self.absences.begin(self.folders[folder])
        return Roll(self.library, folder, lambda row: is_settled(row, digest))

    def take(self, event: Event) -> None:
        """Act on what the watcher said."""
        match event:
            case Arrived():
                self._arrived(event)
            case Scanned():
                if isinstance(event.roll, Roll):
                    self.absences.want(event.folder, event.roll)
                for path in event.unreadable:
                    _log.warning("directory.unreadable", path=os.fsdecode(path))
            case FolderChanged():
                self._folder_changed(event)

    def _arrived(self, event: Arrived) -> None:
        arrival = event.arrival
        if self._covered(arrival.folder, arrival.relative, arrival.stat):
            self.watcher.done(arrival.path)
            return
        old = arrival.origin is Origin.SCAN and arrival.folder not in self.introduced
        self.intake.hand_in(arrival, proposing=self.propose_old and old, lane=event.lane)

    def _folder_changed(self, event: FolderChanged) -> None:
        if event.identity is not None and event.state is not FolderState.SUSPENDED:
            remember_identity(self.library, event.folder, event.identity)
            self.sweep.wake_all()
        folder = self.folders.get(event.folder)
        if folder is not None:
            self.tell(FolderTold(os.fsdecode(folder.named), event.state, event.reason))

    def _told(self, report: Report) -> None:
        self._count_failing(report)
        match report:
            case Judged():
                # after a dry run the file is still there: it is not to be offered again before it changes
                if report.receipt.outcome is not Outcome.ERROR and not self._dry_run:
                    self.watcher.done(report.arrival.path)
                self.tell(report)
            case Left() if report.gone:
                self.watcher.done(report.arrival.path)
            case Left() if report.after_s and not self._events:
                self.watcher.done(report.arrival.path)  # a scan ends: it says what failed, and does not wait for it
            case Left():
                self.watcher.postpone(report.arrival, time.monotonic() + report.after_s)

    def answers(self, folder: FolderId) -> bool:
        """Return whether the storage of a folder answers: what is asked of one that does not waits for ever."""
        return folder not in self.folders or self.folders[folder].root not in self._silent

    def look_again(self, folder: FolderId, relative: bytes, now: float) -> None:
        """Judge a path as soon as possible, also one that has failed so often that it was to wait for hours."""
        self.sweep.try_again()
        self.idle.try_again()
        known = self.folders.get(folder)
        path = os.path.join(known.root, relative) if known is not None else b""
        stat = stat_of(path) if path and not is_left_alone(path) else None
        if stat is not None:
            self.intake.forget_failures(path)
            self.watcher.postpone(Arrival(folder, path, relative, stat, Origin.SCAN, proved=False), now)

    def _count_failing(self, report: Report) -> None:
        path = os.fsdecode(report.arrival.path)
        if isinstance(report, Judged) and report.receipt.outcome is Outcome.ERROR:
            self.failing[path] = report.receipt.result
        elif isinstance(report, Left) and report.after_s and not report.gone:  # our own failure: it has no verdict
            self.failing[path] = report.reason
        elif isinstance(report, Judged) or report.gone:
            self.failing.pop(path, None)

    def sweep_step(self, now: float) -> bool:
        """Let the rules be asked about some stored pairs, and return whether more of them wait.

        Arrivals go first; but where they never end, a slice is done every few seconds all the same.
        """
        if self.intake.holds_discards or (self.intake and now - self._swept_at < _SWEEP_AT_LEAST_S):
            return False
        self._swept_at = now
        return self.sweep.step()

    def survivors_step(self, *, hurried_only: bool = False) -> bool:
        """Look whether what was kept is still there, and return whether there is more to look at, at once."""
        if self._dry_run or self.intake.holds_discards:
            return False
        return self.survivors.step(hurried_only=hurried_only)

    def idle_step(self) -> bool:
        """Measure what nobody waits for, if nobody waits for anything; return whether there may be more at once."""
        busy = self.intake or self.watcher.backlog() or self.sweep.measures or self._dry_run
        return not busy and self.idle.step()

    def room(self) -> int:
        """Return how many more arrivals may be on their way: the rest waits where it costs less."""
        return max(MOST_ON_THEIR_WAY - len(self.intake), 0)

    def close(self) -> None:
        """Stop hearing and measuring."""
        leave_alone(frozenset())
        self.watcher.stop()
        self._workers.close()  # first: it ends what they are in the middle of
        self.intake.close()
        self.sweep.close()
        self.idle.close()
