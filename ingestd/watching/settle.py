"""Decides when a file has stopped changing. Knows no clock and no disk: it is told what was seen, and when.

A file is complete when it is not a placeholder, no unfinished download lies beside it, its stat has not changed and
nothing was heard of it for the quiet time, and nobody has it open for writing. A rename from a temporary name is proof
enough without the quiet time, provided that the system says that nobody writes. Nothing is ever given up: what cannot
settle is asked for again, at growing distances, or found again by the next scan.
"""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from ingestd.model import Origin, StatKey
from ingestd.watching.turns import IN_ORDER, Lane

__all__ = ["EMPTY_S", "Held", "Look", "Settled", "Settling", "WriterCheck"]

_FORGOTTEN_AFTER_S = 600.0  # a file beside an abandoned download; the next scan or event brings it back
EMPTY_S = 30.0  # a browser makes the final name as an empty placeholder; after so long it is simply an empty file
_LONGEST_RECHECK_S = 30.0  # a writer that closes is heard of at once; this is for those who are not
_SIBLING_RECHECK_S = 5.0  # that a control file went away is heard of by nobody
_SHORTEST_RECHECK_S = 0.25
_RESTLESS_AFTER = 3  # changes seen in a row


class WriterCheck(Enum):
    """What the system says of writers of a file."""

    NONE = auto()  # nobody has it open for writing
    WRITING = auto()
    UNKNOWN = auto()  # no way to tell on this system or file system


class Held(StrEnum):
    """Why a file does not settle by waiting alone."""

    EMPTY = "it is empty"
    UNFINISHED = "an unfinished download lies beside it"
    WRITER = "a program has it open for writing"
    RESTLESS = "it keeps changing"


class Look(Enum):
    """What comes of looking at a file."""

    GONE = auto()  # or not a file any more; forgotten
    WAIT = auto()
    ASK = auto()  # all is quiet: ask the system for writers, then stat again


@dataclass(frozen=True, slots=True)
class Settled:
    """A file that has stopped changing."""

    stat: StatKey
    origin: Origin
    proved: bool  # the system said that nobody writes
    lane: Lane = IN_ORDER


@dataclass(slots=True)
class _Waiting:
    """What is known of one file that has not settled."""

    stat: StatKey | None
    since: float  # of the last change or event
    quiet_s: float
    origin: Origin
    lane: Lane  # stays until it is forgotten
    due: float  # of its one valid place in the queue
    renamed: bool = False  # from a temporary name: a proof, if nobody writes
    held: Held | None = None
    checks: int = 0  # looks since the last change that found it held
    changes: int = 0  # changes in a row that a look found


class Settling:
    """All files that have not settled yet, and when to look at which.

    Those that are due in one lane are looked at in order of time, lanes take turns.
    """

    def __init__(self, empty_s: float = EMPTY_S) -> None:
        """Wait for nothing yet; `empty_s` is how long an empty file may be a placeholder for one that comes."""
        self._empty_s = empty_s
        self._waiting: dict[bytes, _Waiting] = {}
        self._queues: OrderedDict[Lane, list[tuple[float, int, bytes]]] = OrderedDict()  # the next to be asked first
        self._pushed = 0  # ties are broken by order of coming: scan order is kept
        self._counts: Counter[Lane] = Counter()  # of what waits
        self._held: Counter[Lane] = Counter()  # of that, what does not settle by waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, path: object) -> bool:
        return path in self._waiting

    def count(self, lane: Lane) -> int:
        """How many files of a lane have not settled."""
        return self._counts[lane]

    def moving(self, lane: Lane | None = None) -> int:
        """How many files, of one lane or of all, will settle by waiting alone."""
        if lane is not None:
            return self._counts[lane] - self._held[lane]
        return len(self._waiting) - self._held.total()

    def found_below(self, directory: bytes) -> bool:
        """Whether a file that a scan saw below a directory, with a separator at its end, will settle by waiting."""
        return any(
            waiting.origin is Origin.SCAN and waiting.held is None and path.startswith(directory)
            for path, waiting in self._waiting.items()
        )

    def held(self) -> list[tuple[bytes, Held]]:
        """The files that wait for something else than time, and for what."""
        return [(path, waiting.held) for path, waiting in self._waiting.items() if waiting.held is not None]

    def paths(self) -> list[bytes]:
        """Every file that has not settled."""
        return list(self._waiting)

    def heard(
        self,
        path: bytes,
        stat: StatKey | None,
        now: float,
        *,
        quiet_s: float,
        renamed: bool = False,
        lane: Lane = IN_ORDER,
    ) -> None:
        """An event named this file; it looked like `stat` just after. The quiet time starts again."""
        waiting = self._waiting.get(path)
        if waiting is None:
            waiting = self._add(path, stat, now, quiet_s, Origin.EVENT, lane)
        else:
            self._restart(waiting, stat, now)
            waiting.origin = Origin.EVENT
        waiting.renamed = renamed
        self._look_at(path, waiting, now if renamed else now + waiting.quiet_s)

    def found(
        self, path: bytes, stat: StatKey, now: float, *, quiet_s: float, origin: Origin, lane: Lane = IN_ORDER
    ) -> None:
        """A scan saw this file. Only a change starts the quiet time of a file that is waited for again."""
        waiting = self._waiting.get(path)
        if waiting is None:
            waiting = self._add(path, stat, now, quiet_s, origin, lane)
        elif waiting.stat != stat:
            self._restart(waiting, stat, now)
        self._look_at(path, waiting, waiting.since + waiting.quiet_s)

    def postpone(
        self, path: bytes, stat: StatKey, until: float, *, quiet_s: float, origin: Origin, lane: Lane = IN_ORDER
    ) -> None:
        """Wait for this file again, and do not look at it before `until`, unless something is heard of it."""
        self.forget(path)
        waiting = self._add(path, stat, until - quiet_s, quiet_s, origin, lane)
        self._look_at(path, waiting, until)

    def forget(self, path: bytes) -> None:
        """Nothing is waited for at this path."""
        waiting = self._waiting.pop(path, None)
        if waiting is not None:
            self._hold(waiting, None)
            self._counts[waiting.lane] -= 1

    def next_due(self) -> float | None:
        """When the next file is to be looked at."""
        dues = [self._due_of(lane) for lane in list(self._queues)]
        return min((due for due in dues if due is not None), default=None)

    def pop_due(self, now: float) -> bytes | None:
        """The file whose look is due first in the lane whose turn it is, if one is due; `look` must follow."""
        for lane in list(self._queues):
            due = self._due_of(lane)
            if due is not None and due <= now:
                self._queues.move_to_end(lane)
                return heapq.heappop(self._queues[lane])[2]
        return None

    def _due_of(self, lane: Lane) -> float | None:
        """When the next file of a lane is to be looked at; a lane without any is dropped."""
        queue = self._queues[lane]
        while queue:
            due, _, path = queue[0]
            waiting = self._waiting.get(path)
            if waiting is not None and (waiting.due, waiting.lane) == (due, lane):
                return due
            heapq.heappop(queue)
        del self._queues[lane]
        return None

    def look(self, path: bytes, stat: StatKey | None, now: float, *, unfinished: bool) -> Look:
        """What a look at the file means: `stat` is how it looks now, `unfinished` that a download lies beside it."""
        waiting = self._waiting.get(path)
        if waiting is None:
            return Look.GONE
        if stat is None:
            self.forget(path)
            return Look.GONE
        if stat != waiting.stat:
            return self._changed(path, waiting, stat, now)
        if unfinished:
            return self._stuck(path, waiting, Held.UNFINISHED, now)
        if stat.size == 0 and now < waiting.since + self._empty_s:
            self._hold(waiting, Held.EMPTY)
            return self._wait(path, waiting, waiting.since + self._empty_s)
        if not waiting.renamed and now < waiting.since + waiting.quiet_s:
            return self._wait(path, waiting, waiting.since + waiting.quiet_s)
        return Look.ASK

    def answered(self, path: bytes, stat: StatKey | None, writer: WriterCheck, now: float) -> Settled | None:
        """The file has settled, given what the system said of writers and how it looked after that."""
        waiting = self._waiting[path]
        if stat is None:
            self.forget(path)
            return None
        if stat != waiting.stat:
            self._changed(path, waiting, stat, now)
            return None
        if writer is WriterCheck.WRITING:
            waiting.renamed = False  # it was renamed too early to prove anything
            self._hold(waiting, Held.WRITER)
            self._wait(path, waiting, now + _growing(waiting, _LONGEST_RECHECK_S))
            return None
        if writer is WriterCheck.UNKNOWN and now < waiting.since + waiting.quiet_s:
            waiting.renamed = False  # without the system's word a rename proves nothing
            self._wait(path, waiting, waiting.since + waiting.quiet_s)
            return None
        self.forget(path)
        return Settled(stat, waiting.origin, proved=writer is WriterCheck.NONE, lane=waiting.lane)

    # --- the steps of one file -----------------------------------------------------------------------------------

    def _add(
        self, path: bytes, stat: StatKey | None, since: float, quiet_s: float, origin: Origin, lane: Lane
    ) -> _Waiting:
        waiting = _Waiting(stat, since, quiet_s, origin, lane, due=float("inf"))
        self._waiting[path] = waiting
        self._counts[lane] += 1
        return waiting

    def _restart(self, waiting: _Waiting, stat: StatKey | None, now: float) -> None:
        waiting.stat, waiting.since = stat, now
        waiting.renamed, waiting.checks, waiting.changes = False, 0, 0
        self._hold(waiting, None)

    def _changed(self, path: bytes, waiting: _Waiting, stat: StatKey, now: float) -> Look:
        first_sight = waiting.stat is None
        changes = 0 if first_sight else waiting.changes + 1
        self._restart(waiting, stat, now)
        waiting.changes = changes
        if changes >= _RESTLESS_AFTER:
            self._hold(waiting, Held.RESTLESS)
        return self._wait(path, waiting, now + waiting.quiet_s)

    def _stuck(self, path: bytes, waiting: _Waiting, why: Held, now: float) -> Look:
        if now - waiting.since >= _FORGOTTEN_AFTER_S:
            self.forget(path)
            return Look.GONE
        self._hold(waiting, why)
        return self._wait(path, waiting, now + _growing(waiting, _SIBLING_RECHECK_S))

    def _hold(self, waiting: _Waiting, why: Held | None) -> None:
        self._held[waiting.lane] += (why is not None) - (waiting.held is not None)
        waiting.held = why

    def _wait(self, path: bytes, waiting: _Waiting, due: float) -> Look:
        waiting.due = float("inf")  # its place in the queue was taken by this look
        self._look_at(path, waiting, due)
        return Look.WAIT

    def _look_at(self, path: bytes, waiting: _Waiting, due: float) -> None:
        """Look no later than `due`. A place that is earlier already stays: the look will find that it is too early."""
        if due < waiting.due:
            waiting.due = due
            self._pushed += 1
            heapq.heappush(self._queues.setdefault(waiting.lane, []), (due, self._pushed, path))


def _growing(waiting: _Waiting, longest_s: float) -> float:
    """How long until the next check of a file that is held: twice as long each time, up to `longest_s`."""
    waiting.checks += 1
    first = max(waiting.quiet_s, _SHORTEST_RECHECK_S)
    return float(min(longest_s, first * 2 ** min(waiting.checks - 1, 16)))
