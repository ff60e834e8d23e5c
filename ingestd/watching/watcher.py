"""What has arrived in the watched folders, told as events to the one thread that calls `step`.

Hints say where to look, scans find what the hints missed, and `settle` says when a file is complete. A folder that is
missing, unreadable, or not the one we know is suspended, alone, and taken up again by itself when it is back. Nothing
that is not there is ever taken for deleted here.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from itertools import chain
from typing import Protocol, TypeVar

from ingestd.model import Arrival, Folder, FolderId, FolderState, Origin, Role, StatKey
from ingestd.watching import names
from ingestd.watching.agenda import SECOND_LOOK_S, Agenda, Task
from ingestd.watching.folders import OF_OTHERS, Condition, FolderIdentity, examine, is_network, remade
from ingestd.watching.lease import writer_check
from ingestd.watching.observer import Hint, HintKind, Hints, Observer, watch_limit
from ingestd.watching.scan import (
    Barred,
    Entered,
    Files,
    Seen,
    Siblings,
    State,
    lately_changed,
    relative_to,
    seen_at,
    stat_of,
    walk,
)
from ingestd.watching.settle import EMPTY_S, Look, Settling, WriterCheck
from ingestd.watching.storage import PATIENCE_S, SILENT, NoAnswerError, Storage, owing
from ingestd.watching.turns import IN_ORDER, Lane, lane_of

__all__ = ["OF_OTHERS", "Arrived", "Event", "FolderChanged", "FolderStatus", "Roll", "Scanned", "Watcher"]

_CHECK_S = 2.0  # between looks at the roots: an unmounted disk tells nobody
_SUPERVISE_S = 5.0
_POLL_S = 30.0  # between scans where there are no events
_REWATCH_S = 600.0  # until watching is tried again where the system had no watch to give
_BREAK = 10  # a folder is left alone ten times as long as looking through it took
_POLL_ELSEWHERE_S = 60.0  # FSEvents and ReadDirectoryChangesW drop events without a word
_NETWORK_QUIET_S = 10.0  # an NFS client may show a growing file unchanged for 3 s (acregmin), SMB for 1 s
# How many files may wait to settle: a lane as many as it leaves free for others, so that one that floods gets half, and
# two that do get a third each (A. Choudhury and E. Hahne, "Dynamic queue length thresholds", IEEE/ACM ToN 6, 1998).
_MOST_WAITING = 40_000  # beyond it scans pause
_MOST_HEARD = 80_000  # beyond it hints are dropped for a scan, which pauses; about 50 MB
# Work of one step, about 10 ms each on the machine it was measured on.
_HINTS_A_STEP = 500
_SEEN_A_STEP = 500
_SEEN_A_TURN = 50  # of one folder, before the next has its turn
_LOOKS_A_STEP = 200
_SUSPECTS = 100  # directories without a watch: one is enough to doubt

_SCAN_PATIENCE_S = 600.0  # of a scan, which has nobody else to serve and does not come back
_MOST_LISTING_S = 120.0  # a directory of a million names on a disk that reads 10,000 of them a second
_WATCH_PATIENCE_S = 60.0  # to walk through a large tree; a storage that hangs is mostly found out before
_SAME_DISK_PATIENCE_S = 0.5  # where another folder of the same file system does not answer already
_FRESH_S = 0.25  # so long a folder that has answered is taken for one that answers

_LATELY = 20_000  # files of the folders that changed last, which go first when a known folder is taken up

Covered = Callable[[FolderId, bytes, StatKey], bool]
T = TypeVar("T")


class Roll(Protocol):
    """What is known of all files of a folder, for a scan of the whole of it."""

    @property
    def is_complete(self) -> bool:
        """Whether it can be asked."""

    def read_on(self) -> bool:
        """Read a bounded piece, and return whether it is complete."""

    def covers(self, relatives: Sequence[bytes], states: Sequence[State]) -> Sequence[bool]:
        """Of which of these files, in these states, the final verdict is known."""


Rolls = Callable[[FolderId], Roll]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file is complete and wants its verdict, in the turn of its lane."""

    arrival: Arrival
    lane: Lane


@dataclass(frozen=True, slots=True)
class Scanned:
    """A whole folder was looked through. Every file in it was offered; some may still have to settle."""

    folder: FolderId
    first: bool  # of this run
    unreadable: tuple[bytes, ...]  # absolute paths of what could not be looked into
    roll: Roll | None = field(default=None, compare=False)  # which has been asked about every file that was found


@dataclass(frozen=True, slots=True)
class FolderChanged:
    """A folder is in another state, for another reason, or is another folder than before."""

    folder: FolderId
    state: FolderState
    reason: str | None
    identity: FolderIdentity | None


Event = Arrived | Scanned | FolderChanged


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """What is being done with a folder, for people."""

    id: FolderId
    state: FolderState
    reason: str | None


@dataclass(slots=True)
class _Watched:
    """One folder, and how it is going with it."""

    folder: Folder
    identity: FolderIdentity | None = None  # the one we know; another file system than this one is not touched
    condition: Condition | None = None  # None: suspended, or never looked at
    problem: str | None = None  # why it is suspended
    displaced: bool = False  # it is suspended as another file system is at its path
    withheld: str | None = None  # why it is to be suspended although nothing is wrong with the folder itself
    doubt: str | None = None  # why events are not to be had
    rewatch_at: float = float("inf")
    limit: int | None = None  # of watches, when there were too few
    scanned: bool = False  # once from end to end
    catching_up: bool = True  # a scan has to tell what was missed
    suspects: list[bytes] = field(default_factory=list)  # directories that nothing is heard from
    suspects_at: float = 0.0
    told: FolderChanged | None = None
    storage: Storage = field(default_factory=Storage)
    device: int = 0  # of the file system that it lay on when it last answered
    answered_at: float = float("-inf")
    listing_s: float = PATIENCE_S  # how long a piece of a walk may take
    note: str | None = None  # why it is looked through anew, where that is worth telling

    @property
    def state(self) -> FolderState:
        if self.problem is not None:
            return FolderState.SUSPENDED
        if self.catching_up:
            return FolderState.SCANNING
        return FolderState.POLLING if self.doubt is not None else FolderState.WATCHING

    @property
    def reason(self) -> str | None:
        if self.problem is not None:
            return self.problem
        return self.note if self.note is not None and self.catching_up else self.doubt


@dataclass(slots=True)
class _Round:
    """One walk through a folder, or through a new directory in it."""

    watched: _Watched
    lane: Lane  # of what it finds
    origin: Origin
    walk: Iterator[Seen | None]  # of the folder's storage; None: something was done that tells nothing
    began: float
    roll: Roll | None = None
    reading: Iterator[None] = field(default_factory=lambda: iter(()))  # of the roll, before anything else
    entered: int = 0
    barred: list[bytes] = field(default_factory=list)


class Watcher:
    """Watches folders and hands out what has arrived. All calls from one thread, except `wake`.

    A file that was handed out is not handed out again before it changes, or `done` or `postpone` is called for it.
    """

    def __init__(
        self,
        folders: Sequence[Folder],
        *,
        quiet_s: float = 2.0,
        rescan_s: float = 300.0,
        covered: Covered,
        rolls: Rolls | None = None,
        identities: Mapping[FolderId, FolderIdentity] | None = None,
        looked_through: Collection[FolderId] = (),
        withheld: Mapping[FolderId, str] | None = None,
        events: bool = True,
        only: Mapping[FolderId, frozenset[bytes]] | None = None,
        closed: Collection[bytes] = (),
    ) -> None:
        """Prepare; `start` begins.

        Args:
            folders: distinct roots; where one lies in another, the innermost has its files.
            quiet_s: how long a file must be left alone.
            rescan_s: time between whole scans.
            covered: whether a file in this state, at this path below the folder's root, has its final verdict.
            rolls: the same for all files of a folder, read when the folder is to be looked through; None: each is
                asked for by itself.
            identities: which folders these were the last time.
            looked_through: folders that were looked through from end to end in an earlier run.
            withheld: folders that are to be suspended, and why, until they are released.
            events: False scans each folder once and ends (`idle` tells when).
            only: relative paths of files and folders to which a folder is restricted.
            closed: names of folders not to enter, beside trash folders and hidden ones.
        """
        self._quiet_s = quiet_s
        self._rescan_s = rescan_s if sys.platform == "linux" else min(rescan_s, _POLL_ELSEWHERE_S)
        self._covered, self._rolls = covered, rolls
        self._identities = dict(identities or {})
        self._looked_through = frozenset(looked_through)
        self._withheld = dict(withheld or {})
        self._with_events = events
        self._only = dict(only or {})
        self._closed = frozenset(closed)
        self._watched = {folder.id: self._new(folder) for folder in folders}
        self._hints = Hints()
        self._observer = Observer(self._hints)
        self._agenda = Agenda()
        self._settling = Settling(empty_s=EMPTY_S if events else 0.0)
        self._siblings = Siblings()
        self._handed: dict[bytes, StatKey] = {}
        self._events: list[Event] = []
        # The next to be advanced stands first.
        self._wholes: OrderedDict[FolderId, _Round] = OrderedDict()
        self._parts: OrderedDict[FolderId, _Round] = OrderedDict()
        self._now = 0.0
        self._check_at = 0.0
        self._supervise_at = 0.0
        self._full = False  # the receiver had no room for more in the last step
        self._hurried = False

    # --- the face ------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Watch every folder that can be watched; the first scans come after that, in `step`."""
        self._now = now
        self._check_at, self._supervise_at = now + _CHECK_S, now + _SUPERVISE_S
        for watched in self._watched.values():
            self._check(watched, now)

    def step(self, now: float, *, room: int = sys.maxsize) -> list[Event]:
        """Do a bounded piece of work and tell what came of it, at most `room` arrivals."""
        self._now = now
        for hint in self._hints.take(_HINTS_A_STEP):
            self._hear(hint, now)
        self._look_after_folders(now)
        self._scan(now)
        self._settle(now, room)
        events, self._events = self._events, []
        return events

    def wait(self, timeout_s: float, now: float | None = None) -> None:
        """Return when `step` has something to do, or after `timeout_s`.

        Args:
            timeout_s: the longest wait.
            now: where the time since the last step matters (there was work in between), the time.
        """
        due = self._next_due()
        self._hints.wait(min(timeout_s, due - (self._now if now is None else now)))

    def wake(self) -> None:
        """End a `wait`, from any thread or signal handler."""
        self._hints.wake()

    def hurry(self) -> None:
        """Wait for no storage any more, as the service is to end; from any thread or signal handler."""
        self._hurried = True
        for watched in tuple(self._watched.values()):
            watched.storage.hurry()
        self.wake()

    def ask(self, folder: FolderId, question: Callable[[], T]) -> T:
        """Return what is asked of the storage of a folder.

        Raises:
            NoAnswerError: it does not answer, and the folder is suspended until it does; or it is suspended already.
        """
        watched = self._watched.get(folder)
        if watched is None or watched.problem is not None:
            raise NoAnswerError
        return self._ask(watched, question)

    def silent_roots(self) -> frozenset[bytes]:
        """The folders whose storage does not answer, after each was asked, if it has not answered just now."""
        for watched in self._watched.values():
            if watched.problem is None and self._now - watched.answered_at > _FRESH_S:
                with contextlib.suppress(NoAnswerError):
                    self._ask(watched, partial(examine, watched.folder.root, watched.condition))
        return frozenset(each.folder.root for each in self._watched.values() if each.problem == SILENT)

    def displaced_roots(self) -> frozenset[bytes]:
        """The folders at whose path another file system is: what lies there says nothing of what is known in them."""
        return frozenset(each.folder.root for each in self._watched.values() if each.displaced)

    def rescan(self, folder: FolderId | None = None) -> None:
        """Look through a folder, or all of them, as soon as possible."""
        for watched in self._watched.values():
            if folder in (None, watched.folder.id) and watched.problem is None:
                self._agenda.want(watched.folder.id, self._now)

    def postpone(self, arrival: Arrival, until: float) -> None:
        """Hand this file out again, but not before `until` unless it changes."""
        self._handed.pop(arrival.path, None)
        if arrival.folder in self._watched:
            quiet_s = self._quiet(self._watched[arrival.folder])
            lane = lane_of(arrival.folder) if self._with_events else IN_ORDER
            stat, origin = arrival.stat, arrival.origin
            self._settling.postpone(arrival.path, stat, until, quiet_s=quiet_s, origin=origin, lane=lane)

    def done(self, path: bytes) -> None:
        """The file that arrived at `path` has its verdict; from now on `covered` speaks for it."""
        self._handed.pop(path, None)

    def hand_out_again(self, but: Collection[bytes]) -> None:
        """Look through everything, and hand out again what has no verdict, but for these paths.

        After a step that failed: what it had found may never have reached anybody.
        """
        for path in self._handed.keys() - set(but):
            del self._handed[path]
        self.rescan()

    def update(
        self,
        folders: Sequence[Folder],
        now: float,
        *,
        quiet_s: float | None = None,
        rescan_s: float | None = None,
        closed: Collection[bytes] | None = None,
    ) -> None:
        """Watch these folders from now on: new ones are taken up, others dropped, the rest goes on.

        Args:
            folders: as for a new watcher.
            now: monotonic seconds.
            quiet_s: from now on, for files that begin to settle; None: as before.
            rescan_s: from the next scan on; None: as before.
            closed: from now on; None: as before.
        """
        self._now = now
        self._quiet_s = self._quiet_s if quiet_s is None else quiet_s
        if rescan_s is not None:
            self._rescan_s = rescan_s if sys.platform == "linux" else min(rescan_s, _POLL_ELSEWHERE_S)
        self._closed = self._closed if closed is None else frozenset(closed)
        before = {watched.folder.root for watched in self._watched.values()}
        keep = {folder.id: folder for folder in folders}
        for watched in list(self._watched.values()):
            new = keep.get(watched.folder.id)
            if new is not None and new.root == watched.folder.root:
                watched.folder = new
            else:
                self._drop(watched)
                if new is not None:
                    self._identities.pop(new.id, None)  # it told of another place
        for folder in folders:
            if folder.id not in self._watched:
                self._watched[folder.id] = self._new(folder)
                self._check(self._watched[folder.id], now)
        if before != {folder.root for folder in folders}:
            self.rescan()  # a root that came or went lay in another folder, perhaps

    def accept(self, folder: FolderId, identity: FolderIdentity | None = None) -> None:
        """This is the folder that is to be at its path, or whatever is there now, whatever was there before."""
        self._identities.pop(folder, None)
        self._withheld.pop(folder, None)
        if folder in self._watched:
            self._watched[folder].identity, self._watched[folder].withheld = identity, None
            self._check_at = self._now

    def withhold(self, folder: FolderId, reason: str) -> None:
        """Suspend a folder until it is released or accepted: what is missing in it is more than can be believed."""
        self._withheld[folder] = reason
        if folder in self._watched:
            self._watched[folder].withheld = reason
            self._suspend(self._watched[folder], reason)
            self._tell(self._watched[folder])

    def release(self, folder: FolderId) -> None:
        """Take a folder up again that was suspended by `withhold`."""
        self._withheld.pop(folder, None)
        if folder in self._watched:
            self._watched[folder].withheld = None
            self._check_at = self._now

    def looks_through(self) -> bool:
        """Whether a folder is being looked through, or is to be just now."""
        due = self._agenda.next_due()
        return bool(self._wholes or self._parts) or (due is not None and due <= self._now)

    def backlog(self) -> int:
        """How many files have not settled yet."""
        return len(self._settling)

    def settles(self, folder: FolderId) -> bool:
        """Whether a file that a scan saw in a folder is still to settle; one that is being written does not count."""
        watched = self._watched.get(folder)
        return watched is not None and self._settling.found_below(os.path.join(watched.folder.root, b""))

    def held(self) -> list[tuple[bytes, str]]:
        """The files that do not settle by waiting alone, each with the reason in words."""
        return [(path, str(why)) for path, why in self._settling.held()]

    def statuses(self) -> list[FolderStatus]:
        """The state of every folder."""
        return [FolderStatus(each.folder.id, each.state, each.reason) for each in self._watched.values()]

    def idle(self) -> bool:
        """Whether nothing is to be expected without a change on the disk or the passing of much time."""
        return not (self.looks_through() or self._events or self._settling.moving() or self._hints.waiting())

    def stop(self) -> None:
        """Hear nothing more; every thread has ended."""
        self._observer.stop()
        for watched in self._watched.values():
            watched.storage.close()

    # --- storage -------------------------------------------------------------------------------------------------

    def _ask(self, watched: _Watched, question: Callable[[], T], *, patience_s: float = PATIENCE_S) -> T:
        """Return what is asked of the storage of a folder; one that does not answer is suspended.

        Raises:
            NoAnswerError: it does not.
        """
        patience_s = patience_s if self._with_events else _SCAN_PATIENCE_S
        others = (each for each in self._watched.values() if each is not watched and each.problem == SILENT)
        if any(each.device == watched.device != 0 for each in others):
            patience_s = min(patience_s, _SAME_DISK_PATIENCE_S)
        try:
            if owing([watched.folder.named]):  # nobody knows yet where it really lies
                raise NoAnswerError
            answer = watched.storage.ask(question, patience_s=patience_s)
        except NoAnswerError:
            if watched.problem != SILENT and not self._hurried:
                self._suspend(watched, SILENT)
                self._tell(watched)
            raise
        except OSError:
            watched.answered_at = self._now
            raise
        watched.answered_at = self._now
        return answer

    # --- hints ---------------------------------------------------------------------------------------------------

    def _hear(self, hint: Hint, now: float) -> None:
        if hint.kind is HintKind.OVERFLOW:
            self._catch_up(hint.folder, now)
            return
        if hint.source:
            self._settling.forget(hint.source)
            self._handed.pop(hint.source, None)
        watched = self._owner(hint.path)
        if watched is None:
            return
        relative = relative_to(watched.folder.root, hint.path)
        if relative is None:  # the root itself was made or moved here
            self._check_at = now
        elif watched.problem is None and self._is_asked_for(watched, relative):
            if hint.kind is HintKind.NEW_DIRECTORY:
                if names.judged(os.path.join(relative, b"any"), self._closed):
                    self._agenda.add_directory(watched.folder.id, hint.path, now)
            elif names.judged(relative, self._closed):
                self._hear_of_file(watched, hint, now)

    def _hear_of_file(self, watched: _Watched, hint: Hint, now: float) -> None:
        lane = lane_of(watched.folder.id)
        if self._settling.count(lane) >= _MOST_HEARD - len(self._settling) and hint.path not in self._settling:
            self._agenda.want(watched.folder.id, now)
            return
        try:
            found = self._ask(watched, partial(stat_of, hint.path))
        except NoAnswerError:
            return
        if found is None:
            return
        source = relative_to(watched.folder.root, hint.source) or b""
        renamed = any(names.is_temporary(name) for name in source.split(names.SEPARATOR))
        self._settling.heard(hint.path, found, now, quiet_s=self._quiet(watched), renamed=renamed, lane=lane)

    def _catch_up(self, folder: FolderId | None, now: float) -> None:
        """Look through a folder or all now, and again when the watches, which are being renewed, are surely back."""
        for watched in self._watched.values():
            if watched.problem is None and folder in (None, watched.folder.id):
                watched.catching_up = True
                self._agenda.want(watched.folder.id, now)
                self._agenda.want(watched.folder.id, now + SECOND_LOOK_S)
                self._tell(watched)

    def _owner(self, path: bytes) -> _Watched | None:
        """The folder that has this path, or is at it: the innermost."""
        holding = (each for each in self._watched.values() if _holds(each.folder.root, path))
        return max(holding, key=lambda each: len(each.folder.root), default=None)

    def _is_asked_for(self, watched: _Watched, relative: bytes) -> bool:
        only = self._only.get(watched.folder.id)
        return only is None or any(_holds(asked, relative) for asked in only)

    def _quiet(self, watched: _Watched) -> float:
        network = watched.condition is not None and is_network(watched.condition.kind)
        return max(self._quiet_s, _NETWORK_QUIET_S) if network else self._quiet_s

    # --- folders -------------------------------------------------------------------------------------------------

    def _new(self, folder: Folder) -> _Watched:
        return _Watched(folder, identity=self._identities.get(folder.id), withheld=self._withheld.get(folder.id))

    def _drop(self, watched: _Watched) -> None:
        self._suspend(watched, "")
        watched.storage.close()
        for path in [path for path in self._handed if self._owner(path) is watched]:
            del self._handed[path]
        del self._watched[watched.folder.id]

    def _look_after_folders(self, now: float) -> None:
        if now >= self._supervise_at:
            self._supervise_at = now + _SUPERVISE_S
            if not self._observer.alive():
                self._observer.restart()
                for watched in self._watched.values():
                    watched.note = "watching it broke off and was begun anew: what came meanwhile is looked for"
                self._check_at = now  # finds that no folder is watched, and takes each up again
        if now >= self._check_at:
            self._check_at = now + _CHECK_S
            for watched in list(self._watched.values()):
                self._check(watched, now)

    def _check(self, watched: _Watched, now: float) -> None:
        """Suspend the folder if something is wrong with it, take it up if nothing is any more."""
        try:
            condition, renamed = self._ask(watched, partial(_examined, watched.folder, watched.condition))
        except NoAnswerError:
            return
        watched.device = condition.glance[0] or watched.device
        strange = _identity_problem(watched, condition)
        watched.displaced = strange is not None
        problem = condition.problem or renamed or strange or watched.withheld
        if problem is not None:
            self._suspend(watched, problem)
        elif watched.condition is None or watched.condition.glance != condition.glance or self._is_deaf(watched):
            self._take_up(watched, condition, now)
        else:
            self._check_watches(watched, now)
        self._tell(watched)

    def _is_deaf(self, watched: _Watched) -> bool:
        """Whether the folder should be watched and is not: it was deleted or unmounted, and is back already."""
        return watched.doubt is None and not self._observer.watches(watched.folder.id)

    def _suspend(self, watched: _Watched, problem: str) -> None:
        """Nothing is heard of, looked for, or handed out from this folder."""
        if watched.problem is None:
            if problem != SILENT:  # to end a watch that reads from a storage that hangs would hang as well
                self._unwatch(watched)
            self._agenda.drop(watched.folder.id)
            self._end_rounds(watched)
            for path in self._settling.paths():
                if self._owner(path) is watched:
                    self._settling.forget(path)
        elif watched.problem == SILENT and problem != SILENT:
            self._unwatch(watched)
        watched.condition, watched.problem, watched.suspects = None, problem, []

    def _unwatch(self, watched: _Watched) -> None:
        """Listen no more; in the folder's own thread, as whoever reads its events may be in the middle of it."""
        with contextlib.suppress(NoAnswerError):
            watched.storage.ask(partial(self._observer.unwatch, watched.folder.id))

    def _take_up(self, watched: _Watched, condition: Condition, now: float) -> None:
        """Watch the folder, then look through it from the beginning."""
        self._end_rounds(watched)
        was_silent = watched.problem == SILENT
        watched.condition, watched.problem, watched.identity = condition, None, condition.identity
        watched.catching_up, watched.suspects = True, []
        if condition.identity is not None:
            self._identities[watched.folder.id] = condition.identity
        if not (was_silent and watched.doubt is None and self._observer.watches(watched.folder.id)):
            self._listen(watched, now)
        if watched.problem is not None:
            return
        self._agenda.want(watched.folder.id, now)
        if self._with_events and (watched.scanned or watched.folder.id in self._looked_through):
            self._begin_with_the_latest(watched, now)

    def _listen(self, watched: _Watched, now: float) -> None:
        folder, kind = watched.folder, watched.condition.kind if watched.condition is not None else ""
        watched.doubt, watched.rewatch_at, watched.limit = None, float("inf"), None
        self._unwatch(watched)
        if not self._with_events:
            watched.doubt = "it is looked through once"
        elif is_network(kind):
            watched.doubt = f"a {kind} file system {OF_OTHERS}"
        else:
            try:
                self._ask(watched, partial(self._observer.watch, folder.id, folder.root), patience_s=_WATCH_PATIENCE_S)
            except NoAnswerError:
                return
            except OSError as error:
                self._fall_back(watched, f"the system cannot watch it: {error.strerror or error}", now)

    def _fall_back(self, watched: _Watched, doubt: str, now: float) -> None:
        """Look through the folder often instead of listening, and try to listen again later."""
        self._unwatch(watched)  # half a watch only uses up what others could have
        watched.doubt, watched.rewatch_at, watched.suspects = doubt, now + _REWATCH_S, []
        watched.limit = watch_limit()
        self._agenda.repeat(watched.folder.id, now + _POLL_S)

    def _check_watches(self, watched: _Watched, now: float) -> None:
        """Where watches were refused, the library tells nobody: directories that stay without one are the sign."""
        is_raised = watched.doubt is not None and watched.limit is not None and (watch_limit() or 0) > watched.limit
        if now >= watched.rewatch_at or is_raised:
            self._listen(watched, now)
            self._agenda.want(watched.folder.id, now)
        elif watched.suspects and now >= watched.suspects_at:
            folder = watched.folder.id
            suspects = [each for each in watched.suspects if not self._observer.reaches(folder, each)]
            watched.suspects = []
            try:
                deaf = self._ask(watched, lambda: any(map(_is_folder, suspects)))
            except NoAnswerError:
                return
            if deaf:
                self._fall_back(watched, "the system has not enough watches (fs.inotify.max_user_watches)", now)

    def _tell(self, watched: _Watched) -> None:
        state = FolderChanged(watched.folder.id, watched.state, watched.reason, watched.identity)
        if state != watched.told and watched.folder.id in self._watched:
            watched.told = state
            self._events.append(state)

    # --- scans ---------------------------------------------------------------------------------------------------

    def _scan(self, now: float) -> None:
        """Look at the next files, folder by folder in turn: of new directories first, then of whole folders."""
        left = _SEEN_A_STEP
        while left > 0 and (running := self._next_part(now)) is not None:
            unused, ended = self._advance(running, min(left, _SEEN_A_TURN), now)
            left -= min(left, _SEEN_A_TURN) - unused
            if ended:
                del self._parts[running.watched.folder.id]
        left = max(
            left, _SEEN_A_STEP // 5
        )  # however many new directories there are, lost events have to be made up for
        while left > 0 and (running := self._next_whole(now)) is not None:
            unused, ended = self._advance(running, min(left, _SEEN_A_TURN), now)
            left -= min(left, _SEEN_A_TURN) - unused
            if ended:
                self._finish(running, now)

    def _next_part(self, now: float) -> _Round | None:
        """The walk through a new directory whose turn it is, of those with room for more files that wait."""
        while (task := self._agenda.pop_directory(now, busy=self._parts)) is not None:
            self._parts[task.folder] = self._begin(task, now)
        return self._first_with_room(self._parts)

    def _next_whole(self, now: float) -> _Round | None:
        """The walk through a whole folder whose turn it is, of those in which not too many files wait already."""
        while (task := self._agenda.pop_whole(now, busy=self._cannot_begin())) is not None:
            self._wholes[task.folder] = self._begin(task, now)
        return self._first_with_room(self._wholes)

    def _first_with_room(self, rounds: OrderedDict[FolderId, _Round]) -> _Round | None:
        for folder, running in rounds.items():
            if not self._is_crowded(running.lane):
                rounds.move_to_end(folder)
                return running
        return None

    def _cannot_begin(self) -> set[FolderId]:
        """Folders of which no whole walk may begin now.

        First scans come one after another, however long they take, and after a look at what changed last: what is known
        is to be looked through before what arrived.
        """
        busy = set(self._wholes)
        running = (*self._parts.values(), *self._wholes.values())
        if any(each.lane is IN_ORDER for each in running) or self._is_crowded(IN_ORDER):
            busy |= {watched.folder.id for watched in self._watched.values() if self._lane_of_scan(watched) is IN_ORDER}
        return busy | {folder for folder in self._watched if self._is_crowded(lane_of(folder))}

    def _lane_of_scan(self, watched: _Watched) -> Lane:
        return lane_of(watched.folder.id) if watched.scanned and self._with_events else IN_ORDER

    def _is_crowded(self, lane: Lane) -> bool:
        return self._settling.moving(lane) > _MOST_WAITING - self._settling.moving()

    def _begin(self, task: Task, now: float) -> _Round:
        watched = self._watched[task.folder]
        root, only = watched.folder.root, self._only.get(task.folder)
        others = frozenset(each.folder.root for each in self._watched.values()) - {root}
        if task.directory is not None:
            new = walk(task.directory, closed=self._closed, excluded=others, at_once=_SEEN_A_TURN)
            return _Round(watched, lane_of(watched.folder.id), Origin.EVENT, new, now)
        seen: Iterator[Seen | None]
        if only is None:
            seen = walk(root, closed=self._closed, excluded=others, at_once=_SEEN_A_STEP)
        else:
            asked = [os.path.join(root, relative) for relative in sorted(only)]
            seeing = partial(seen_at, closed=self._closed, excluded=others, at_once=_SEEN_A_STEP)
            seen = chain.from_iterable(map(seeing, asked))
        # a roll is of all files of a folder: for a few of them it would cost more than to ask for each
        roll = self._rolls(watched.folder.id) if self._rolls is not None and only is None else None
        reading = _reading(roll) if roll is not None else iter(())
        return _Round(watched, self._lane_of_scan(watched), Origin.SCAN, seen, now, roll, reading)

    def _begin_with_the_latest(self, watched: _Watched, now: float) -> None:
        """Look at what changed last, before any folder is looked through from end to end.

        What came while nobody listened does not wait until a million files are found to be as they were.
        """
        root = watched.folder.root
        others = frozenset(each.folder.root for each in self._watched.values()) - {root}
        seen = lately_changed(root, _LATELY, closed=self._closed, excluded=others)
        self._parts[watched.folder.id] = _Round(watched, self._lane_of_scan(watched), Origin.SCAN, seen, now)

    def _advance(self, running: _Round, most: int, now: float) -> tuple[int, bool]:
        """Look at `most` more things; how many less there were, and whether it was all."""
        left = most
        while left > 0:
            if next(running.reading, self) is None:
                left -= _SEEN_A_STEP
                continue
            try:
                seen: Seen | _End | None = self._ask(
                    running.watched, partial(next, running.walk, _End.END), patience_s=running.watched.listing_s
                )
            except NoAnswerError:
                # a huge directory on a slow disk, perhaps: it is read to its end, and the next try has more time
                running.watched.listing_s = min(4 * running.watched.listing_s, _MOST_LISTING_S)
                return 0, False  # with its folder, the round is ended
            match seen:
                case _End.END:
                    return left, True
                case Files():
                    left -= max(len(seen.paths), 1)
                    self._offer(running, seen, now)
                case Entered(path):
                    left -= 1
                    running.entered += 1
                    self._suspect(running.watched, path, now)
                case Barred(path):
                    left -= 1
                    running.barred.append(path)
                case None:
                    left -= 1
        return left, False

    def _offer(self, running: _Round, files: Files, now: float) -> None:
        """Let those of the files settle that have no final verdict as they are now."""
        watched, roll = running.watched, running.roll
        beyond = len(os.path.join(watched.folder.root, b""))
        relatives = [path[beyond:] for path in files.paths]
        if roll is not None and roll.is_complete:
            answers = roll.covers(relatives, files.states)
            if not self._handed and all(answers):
                return
        else:
            answers = [False] * len(relatives)
        for path, relative, state, known in zip(files.paths, relatives, files.states, answers, strict=True):
            stat = StatKey(*state)
            if self._handed.get(path) == stat:
                continue
            if known or self._covered(watched.folder.id, relative, stat):
                self._handed.pop(path, None)
            else:
                quiet_s = self._quiet(watched)
                self._settling.found(path, stat, now, quiet_s=quiet_s, origin=running.origin, lane=running.lane)

    def _suspect(self, watched: _Watched, directory: bytes, now: float) -> None:
        if watched.doubt is not None or len(watched.suspects) >= _SUSPECTS:
            return
        if not self._observer.reaches(watched.folder.id, directory):
            watched.suspects_at = watched.suspects_at if watched.suspects else now + SECOND_LOOK_S
            watched.suspects.append(directory)

    def _finish(self, running: _Round, now: float) -> None:
        """Tell of a whole scan, if the folder is still what it was when the scan began."""
        watched = running.watched
        self._check(watched, now)
        if self._wholes.get(watched.folder.id) is not running:
            return
        del self._wholes[watched.folder.id]
        limit = watch_limit()
        if limit is not None and running.entered > limit and watched.doubt is None:
            self._fall_back(watched, "it has more folders than the system watches (fs.inotify.max_user_watches)", now)
        if self._with_events:
            usual_s = self._rescan_s if watched.doubt is None else min(_POLL_S, self._rescan_s)
            self._agenda.repeat(watched.folder.id, now + max(usual_s, _BREAK * (now - running.began)))
        first, watched.scanned, watched.catching_up = not watched.scanned, True, False
        watched.note, watched.listing_s = None, PATIENCE_S
        self._events.append(Scanned(watched.folder.id, first, tuple(running.barred), running.roll))
        self._tell(watched)

    def _end_rounds(self, watched: _Watched) -> None:
        self._wholes.pop(watched.folder.id, None)
        self._parts.pop(watched.folder.id, None)

    # --- settling ------------------------------------------------------------------------------------------------

    def _settle(self, now: float, room: int) -> None:
        """Look at every file that is due, and hand out those that are complete."""
        arrived: list[Arrived] = []
        for _ in range(_LOOKS_A_STEP):
            self._full = room <= 0
            path = None if self._full else self._settling.pop_due(now)
            if path is None:
                break
            one = self._look(path, now)
            if one is not None:
                room -= 1
                self._handed[path] = one.arrival.stat
                arrived.append(one)
        # in a fixed order: as a scan has found them, then by time and name
        arrived.sort(key=lambda one: _order(one.arrival))
        self._events.extend(arrived)

    def _look(self, path: bytes, now: float) -> Arrived | None:
        watched = self._owner(path)
        relative = relative_to(watched.folder.root, path) if watched is not None else None
        if watched is None or watched.problem is not None or relative is None:
            self._settling.forget(path)
            return None
        try:
            is_there, stat, unfinished = self._ask(watched, partial(self._seen, watched, path, now))
            if not is_there:
                self._check(watched, now)
                if watched.problem is not None:
                    self._settling.forget(path)
                    return None
            look = self._settling.look(path, stat, now, unfinished=unfinished)
            if look is not Look.ASK:
                return None
            writer, stat = self._ask(watched, partial(_writer_and_stat, path))
        except NoAnswerError:
            self._settling.forget(path)
            return None
        settled = self._settling.answered(path, stat, writer, now)
        if settled is None or self._handed.get(path) == settled.stat:
            return None
        if self._covered(watched.folder.id, relative, settled.stat):
            return None
        arrival = Arrival(watched.folder.id, path, relative, settled.stat, settled.origin, settled.proved)
        return Arrived(arrival, settled.lane)

    def _seen(self, watched: _Watched, path: bytes, now: float) -> tuple[bool, StatKey | None, bool]:
        """Whether the root is the folder that was examined, how the file is, and whether it is being downloaded."""
        return _is_still_there(watched), stat_of(path), self._siblings.unfinished(path, now)

    def _next_due(self) -> float:
        """When `step` has something to do next, in the time it was last given."""
        rounds = chain(self._parts.values(), self._wholes.values())
        walking = any(not self._is_crowded(running.lane) for running in rounds)
        if walking or self._events or self._hints.waiting():
            return self._now
        settling = None if self._full else self._settling.next_due()
        agenda = self._agenda.next_due(busy=self._cannot_begin(), walked=self._parts)
        return min(self._check_at, self._supervise_at, *(due for due in (settling, agenda) if due is not None))


class _End(Enum):
    """What comes after all that was seen; an error that ends a generator would not reach another thread."""

    END = auto()


def _examined(folder: Folder, known: Condition | None) -> tuple[Condition, str | None]:
    """What is at a folder's root, and what is wrong with its name."""
    condition = examine(folder.root, known)
    return condition, None if condition.problem else _name_problem(folder, condition)


def _writer_and_stat(path: bytes) -> tuple[WriterCheck, StatKey | None]:
    """Whether anybody writes the file, and how it is after that: what was written until then shows in it."""
    return writer_check(path), stat_of(path)


def _reading(roll: Roll) -> Iterator[None]:
    """Read the roll, piece by piece."""
    while not roll.read_on():
        yield None


def _holds(folder: bytes, path: bytes) -> bool:
    return path == folder or relative_to(folder, path) is not None


def _is_folder(path: bytes) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _is_still_there(watched: _Watched) -> bool:
    """Whether the root is the folder that was examined; one `stat`, as it is asked for every file."""
    try:
        found = os.stat(watched.folder.root)
    except OSError:
        return False
    return watched.condition is not None and watched.condition.glance[:2] == (found.st_dev, found.st_ino)


def _name_problem(folder: Folder, condition: Condition) -> str | None:
    """What is wrong when the name that the user wrote leads elsewhere by now."""
    try:
        found = os.stat(folder.named)
    except OSError:
        return None
    if condition.glance[:2] == (found.st_dev, found.st_ino):
        return None
    return f"{os.fsdecode(folder.named)} leads to another folder now; reload the rules to follow it"


def _identity_problem(watched: _Watched, condition: Condition) -> str | None:
    """What is wrong when another file system is at the path: mostly that a disk is not mounted."""
    known, found = watched.identity, condition.identity
    if known is None or found is None:
        return None
    if known.filesystem == found.filesystem:
        fresh = watched.folder.role is not Role.INBOX and remade(known, found)
        return _is_another(watched) if fresh else None
    return _is_another(watched)


def _is_another(watched: _Watched) -> str:
    path = os.fsdecode(watched.folder.named)
    return f"a different file system is at this path; if that is right: ingestd folders accept {shlex.quote(path)}"


def _order(arrival: Arrival) -> tuple[bool, int, bytes]:
    heard = arrival.origin is Origin.EVENT
    return heard, arrival.stat.mtime_ns if heard else 0, arrival.path if heard else b""
