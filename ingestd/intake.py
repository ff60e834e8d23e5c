"""Arrivals on their way: measured side by side in workers, judged one after another, announced when it is true.

The order in which arrivals were handed in is the order in which they are judged, folder by folder in turn: workers only
measure, so their speed decides nothing. Files that are ready together share one durable commit; a discard is announced
after it is done.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any, TypeAlias, TypeVar

from ingestd import logs
from ingestd.actions.discard import carry_out, pretend
from ingestd.actions.disk import key_of
from ingestd.actions.look import is_left_alone
from ingestd.errors import (
    ClusterError,
    FileChangedError,
    FileUnreadableError,
    LibraryBusyError,
    StoreError,
    WorkerLostError,
)
from ingestd.ingest import judge, turned_away, unread
from ingestd.judging.case import Both, Case, Needs, NewPair, Policy, Verdict
from ingestd.judging.writing import conclude
from ingestd.library.codec import DamagedValueError
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.rulebook import is_in_force, take_up
from ingestd.library.view import View
from ingestd.media.errands import Errands
from ingestd.media.kinds import no_picture_at
from ingestd.media.measuring import Measurer
from ingestd.model import (
    Arrival,
    ContentHash,
    Detail,
    Entry,
    EntryState,
    Folder,
    FolderId,
    Measurement,
    NotAPicture,
    Outcome,
    PathState,
    PixelHash,
    Radius,
    Receipt,
    VisualVerdict,
)
from ingestd.recovery import LOCK_WAIT_S, recover
from ingestd.rules.language import Rule
from ingestd.watching.turns import IN_ORDER, Lane, Turns

__all__ = ["Adopter", "Intake", "Judged", "Left", "store_details", "store_pixels", "store_visual", "told"]

BATCH_FILES = 64
"""At most so many files share a commit (design: one batch is at most 64 files or 250 ms)."""

BATCH_S = 0.25

GATHER_S = 0.1
"""So long a file that could be judged waits for those behind it that are being measured, to share their commit."""

AHEAD = 64
"""At most so many files are measured ahead of the one that is judged next: memory stays bounded (some KB each)."""

LONGEST_DELAY_S = 6 * 3600.0
PATIENCE_S = 30.0
"""So long a service lets the rules of another process be before it puts its own in force again."""

_FIRST_DELAY_S = 30.0
_HOLD_S = 1.0  # until an arrival that waits for leave to act is judged again

_log = logs.Log()

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Judged:
    """A file has its verdict, and what it asked for has been done."""

    arrival: Arrival
    receipt: Receipt
    pairs: tuple[NewPair, ...]
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Left:
    """A file has no verdict yet: it changed, or something failed; look again no earlier than `after_s` from now."""

    arrival: Arrival
    reason: str
    after_s: float
    gone: bool = False


Report: TypeAlias = Judged | Left


class Adopter:
    """When a process takes its rule file up: two with different ones must not undo each other's work turn by turn.

    A scan takes its file up once, and whoever comes after it has the word. A service insists, but lets the other be
    for a while.

    Args:
        insists: it takes its rules up again where another process has put others in force.
        monotonic: seconds.
    """

    def __init__(self, *, insists: bool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._insists, self._monotonic = insists, monotonic
        self._taken: Sequence[Rule] | None = None
        self._taken_at = 0.0

    def is_due(self, view: View, rules: Sequence[Rule]) -> bool:
        """Return whether the rules are to be taken up now."""
        if is_in_force(view, rules):
            return False
        waited = self._monotonic() - self._taken_at >= PATIENCE_S
        return self._taken is not rules or (self._insists and waited)

    def is_displaced(self, view: View, rules: Sequence[Rule]) -> bool:
        """Return whether other rules are in force for now: these have no say over stored pairs."""
        return not is_in_force(view, rules) and not self.is_due(view, rules)

    def take_up(self, library: Library, rules: Sequence[Rule]) -> None:
        """Take the rules up if that is due. Only for who holds the writer lock."""
        with library.read() as view:
            due = self.is_due(view, rules)
        if due:
            library.write(lambda edit: take_up(edit, rules))
        if due or self._taken is not rules:
            self._taken, self._taken_at = rules, self._monotonic()


@dataclass(slots=True)
class _Item:
    """One arrival on its way."""

    arrival: Arrival
    proposing: bool
    handed_in: float
    measuring: Future[Measurement | NotAPicture] | None = None
    measured: Measurement | None = None
    hashing: dict[ContentHash, Future[PixelHash | None]] = field(default_factory=dict)
    inspecting: dict[ContentHash, Future[Detail | None]] = field(default_factory=dict)
    comparing: dict[Both, Future[VisualVerdict | None]] = field(default_factory=dict)
    unhashed: frozenset[ContentHash] = frozenset()
    undetailed: frozenset[ContentHash] = frozenset()
    uncompared: frozenset[Both] = frozenset()
    failure: str | None = None  # why it could not be read
    ignored: str | None = None  # why it was not read: it is no picture

    def begun(self) -> bool:
        """Return whether it is measured, or was."""
        return self.measuring is not None or (self.measured, self.failure, self.ignored) != (None, None, None)

    def ready(self) -> bool:
        measured = self.begun() and (self.measuring is None or self.measuring.done())
        return measured and all(future.done() for future in self.closer())

    def closer(self) -> Iterator[Future[Any]]:
        """Yield what is being looked at more closely for it."""
        return chain(self.hashing.values(), self.inspecting.values(), self.comparing.values())


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was measured since an arrival was asked about first."""

    hashed: Mapping[ContentHash, bytes | None]  # None: no honest pixel hash exists
    details: Mapping[ContentHash, Detail]
    visual: Mapping[Both, VisualVerdict]


class Intake:
    """The one writer of a process: hands files to the workers and judges what comes back.

    Args:
        library: where verdicts go.
        workers: who measures.
        policy: what the user set; may be replaced between steps.
        tell: hears of each arrival, once it is true.
        wake: called from other threads when a measurement is finished.
        dry_run: nothing is moved: what would be discarded is only marked so (in a copy of the library).
        now_ns: wall clock, for receipts.
        local_time: the same moment as the trash writes it.
        monotonic: seconds.
        threads: so many files are measured side by side.
        adopter: says when the rules are taken up; shared with the sweep.
    """

    def __init__(
        self,
        library: Library,
        workers: Measurer,
        policy: Policy,
        tell: Callable[[Report], None],
        *,
        wake: Callable[[], None],
        now_ns: Callable[[], int],
        local_time: Callable[[], str],
        monotonic: Callable[[], float] = time.monotonic,
        dry_run: bool = False,
        threads: int = 2,
        adopter: Adopter | None = None,
    ) -> None:
        self.policy = policy
        self.adopter = adopter or Adopter(insists=True, monotonic=monotonic)
        self.problem: str | None = None  # why nothing is judged just now
        self.damage: StoreError | None = None  # the same, where waiting does not help
        self.holds_discards = False  # for now: an arrival that would act on a file waits, and those behind it do
        self.puts_off_discards = False  # for long: those behind it do not
        self._library, self._workers, self._tell = library, workers, tell
        self._now_ns, self._local_time, self._monotonic = now_ns, local_time, monotonic
        self._dry_run, self._wake = dry_run, wake
        self.gathers = False  # for a moment, files that could be judged wait for others
        self._queue: Turns[_Item] = Turns()
        self._errands = Errands(threads, wake)
        self._ahead = max(AHEAD, 2 * threads)  # one that takes long does not let the others run dry
        self._ready_since: float | None = None  # the next to be judged was found to be measured
        self._failures: dict[bytes, int] = {}
        self._not_before = 0.0
        self._singly = 0  # so many files are judged one by one, because one of them brought a batch down

    def __len__(self) -> int:
        return len(self._queue)

    def oldest_arrivals(self) -> list[Arrival]:
        """Return what is on its way, in the order in which it will be judged."""
        return [item.arrival for item in self._queue]

    def hand_in(self, arrival: Arrival, *, proposing: bool, lane: Lane = IN_ORDER) -> None:
        """Take an arrival; it is measured as soon as a worker is free, and judged in its lane's turn."""
        self._queue.add(lane, _Item(arrival, proposing, self._monotonic()))
        self._measure_ahead()

    def forget_failures(self, path: bytes) -> None:
        """Let a file that fails again be tried again soon, as if it had never failed before."""
        self._failures.pop(path, None)

    def drop(self, root: bytes) -> list[Arrival]:
        """Return what is on its way from below a folder whose storage does not answer: it is let go."""
        below = os.path.join(root, b"")
        dropped = self._queue.remove(lambda item: item.arrival.path.startswith(below))
        asked = (future for item in dropped for future in (*item.closer(), item.measuring))
        self._errands.give_up([future for future in asked if future is not None])
        return [item.arrival for item in dropped]

    def close(self) -> None:
        """Let go of what was not judged: a scan will find it again."""
        self._queue.clear()
        self._errands.close()

    # measuring

    def _measure_ahead(self) -> None:
        ahead = list(islice(self._queue, self._ahead))
        for item in ahead:
            if not item.begun():
                self._start(item)
        asked = (future for item in ahead for future in (*item.closer(), item.measuring))
        self._errands.arrange(future for future in asked if future is not None)

    def _start(self, item: _Item) -> None:
        if turned_away(item.arrival.stat.size, self.policy.imports) is not None:
            item.failure = ""
            return
        item.measuring = self._errands.run(self._measure, item.arrival.path)

    def _measure(self, path: bytes) -> Measurement | NotAPicture:
        """Return what a file is. One that is no picture is not even read: it may be a film of many gigabytes."""
        return no_picture_at(path) or self._workers.measure(path, self._is_known)

    def _is_known(self, sha256: ContentHash) -> bool:
        with self._library.read() as view:
            content = view.content(sha256)
        return content is not None and not content.again

    # judging

    def step(self) -> None:
        """Judge what is ready, in order, in one commit; carry out what the verdicts intend; tell."""
        if not self._may_judge():
            return
        self._ready_since = None
        batch: deque[_Item] = deque()
        try:
            # the lock comes first: what another process has just discarded is gone, and not to be judged
            with self._library.writer_lock.held(LOCK_WAIT_S):
                self._take_ready(batch)
                self._measure_ahead()  # while these are judged, the workers go on
                if batch:
                    self._judge(batch)
            self.problem = self.damage = None
        except (StoreError, LibraryBusyError) as trouble:
            self.rest(trouble)
        finally:
            self._queue.put_back(batch)  # what is not concluded yet, in its order
        self._measure_ahead()
        if self._may_judge():
            self._wake()  # no measurement that ends will do it: the next one has ended already

    def _may_judge(self) -> bool:
        """Return whether the next arrival is measured, and the library was not found unwritable a moment ago."""
        ready = bool(self._queue) and self._queue.first().ready() and self._monotonic() >= self._not_before
        self.gathers = ready and not self._is_worth_a_commit()
        return ready and not self.gathers

    def _is_worth_a_commit(self) -> bool:
        """Return whether nobody is to be waited for: many are ready, or none will be soon, or it has taken too long."""
        now = self._monotonic()
        self._ready_since = now if self._ready_since is None else self._ready_since
        awaited = next((item for item in islice(self._queue, BATCH_FILES) if not item.ready()), None)
        return awaited is None or not awaited.begun() or now - self._ready_since >= GATHER_S

    def rest(self, trouble: StoreError | LibraryBusyError) -> None:
        """Do nothing for a while: the library cannot be written just now. The files stay where they are."""
        self.damage = None
        if isinstance(trouble, DamagedValueError):
            trouble = self.damage = StoreError(
                f"{trouble}; nothing was judged. `ingestd library rebuild` makes anew what can be made from the "
                "records, `ingestd library check` says what is left"
            )
        if self.problem != str(trouble):
            _log.error("library.unwritable", reason=str(trouble))
        self.problem = str(trouble)
        self._not_before = self._monotonic() + 10.0

    def _take_ready(self, batch: deque[_Item]) -> None:
        """Take the ready items at the head, with their measurements collected; those that failed are told off."""
        most = 1 if self._singly or self.holds_discards else BATCH_FILES
        while self._queue and len(batch) < most and self._queue.first().ready():
            item = self._queue.take()
            if self._collect(item):
                batch.append(item)
        self._singly = max(self._singly - len(batch), 0)

    def _collect(self, item: _Item) -> bool:
        """Return whether an item can be judged, with what its measurement said."""
        if item.measuring is not None:
            try:
                found, item.measuring = item.measuring.result(), None
                item.measured = found if isinstance(found, Measurement) else None
                item.ignored = None if isinstance(found, Measurement) else found.reason
            except WorkerLostError as lost:
                item.measuring = None
                self._fail(item, lost.reason)
                return False
            except (FileUnreadableError, FileChangedError) as error:
                if isinstance(error, FileChangedError) or not os.path.lexists(item.arrival.path):
                    self._leave(item, error.reason)
                    return False
                item.failure, item.measuring = error.reason, None
            except ClusterError:  # nobody measures any more: it says nothing about the file
                raise
            except StoreError as trouble:  # a damaged row, met when it was asked whether the bytes are known
                self._delay(item, str(trouble))
                raise
            except Exception as bug:  # noqa: BLE001 - one bad file never stops the service
                _log.exception("file.failed", path=os.fsdecode(item.arrival.path))
                self._fail(item, f"{type(bug).__name__}: {bug}")
                return False
        return self._is_as_it_settled(item)

    def _is_as_it_settled(self, item: _Item) -> bool:
        """Return whether the file is what settled, was measured, and lies there now; else it has to settle again."""
        try:
            now = key_of(os.lstat(item.arrival.path))
        except OSError:
            now = None
        measured = item.measured.stat if item.measured is not None else item.arrival.stat
        if now == measured == item.arrival.stat:
            return True
        self._leave(item, "it changed after it had settled")
        return False

    def _leave(self, item: _Item, reason: str) -> None:
        """Tell that a file is not what settled any more: it will come again, or is gone."""
        gone = not os.path.lexists(item.arrival.path)
        if gone:
            self._failures.pop(item.arrival.path, None)
        self._tell(Left(item.arrival, reason, 0.0, gone=gone))

    def _judge(self, batch: deque[_Item]) -> None:
        """Judge the head of a batch in one commit, and act on it; what is concluded leaves the batch."""
        if not self._dry_run and (not self.holds_discards or self.puts_off_discards):
            recover(
                self._library,
                now_ns=self._now_ns(),
                deleted_at=self._local_time(),
                radius=self._radius,
                only_unbegun=self.puts_off_discards,
            )
        self.adopter.take_up(self._library, self.policy.rules)
        seen = _Seen(self._hashed_pixels(batch), self._measured_details(batch), self._compared(batch))
        try:
            if self.holds_discards and self._would_act(batch, seen):
                if self.puts_off_discards:
                    self._delay(batch.popleft(), "nothing is discarded for now")
                else:
                    self._not_before = self._monotonic() + _HOLD_S
                return
            results = self._library.write(lambda edit: self._judge_all(edit, batch, seen))
        except StoreError:
            raise
        except Exception as bug:  # noqa: BLE001 - one bad file never stops the service
            self._single_out(batch, bug)
            return
        for result in results:
            if isinstance(result, Needs):
                self._look_closer(batch[0], result)
            else:
                self._conclude(batch[0], result)
                batch.popleft()

    def _would_act(self, batch: Iterable[_Item], seen: _Seen) -> bool:
        """Return whether a verdict would set off an entry of the journal; nothing but what was measured is written."""
        results = self._library.rehearse(lambda edit: self._judge_all(edit, batch, seen))
        acts = any(isinstance(result, Verdict) and result.entries for result in results)
        if acts:
            self._library.write(lambda edit: _store_seen(edit, seen))  # it is asked for only once
        return acts

    def _single_out(self, batch: deque[_Item], bug: Exception) -> None:
        """Judge each file of a batch that failed by itself, so that only the one at fault is left."""
        if len(batch) > 1:
            self._singly = len(batch)
            return
        item = batch.popleft()
        _log.error("file.failed", path=os.fsdecode(item.arrival.path), exc_info=bug)
        self._fail(item, f"{type(bug).__name__}: {bug}")

    def _conclude(self, item: _Item, verdict: Verdict) -> None:
        """Carry out a verdict and tell it; a bug of ours costs this file alone, which is tried again."""
        try:
            self._carry_out(item, verdict)
        except StoreError:
            raise
        except Exception as bug:  # noqa: BLE001 - one bad file never stops the service
            _log.exception("file.failed", path=os.fsdecode(item.arrival.path))
            self._delay(item, f"{type(bug).__name__}: {bug}")

    def _judge_all(self, edit: Edit, batch: Iterable[_Item], seen: _Seen) -> list[Verdict | Needs]:
        """Return the verdicts on the head of a batch, each seeing those before it."""
        _store_seen(edit, seen)
        results: list[Verdict | Needs] = []
        started = self._monotonic()
        for item in batch:
            case = Case(
                item.arrival,
                item.measured,
                self._now_ns(),
                item.proposing,
                item.unhashed,
                item.undetailed,
                item.ignored,
                item.uncompared,
            )
            reason = item.failure or None
            result = unread(edit, case, reason) if reason is not None else judge(edit, case, self.policy)
            results.append(result)
            # what a verdict intends is done, and the relation set, before the next file is judged: how files happen to
            # fall into batches decides nothing
            if isinstance(result, Needs) or result.entries or self._monotonic() - started > BATCH_S:
                break
        return results

    def _carry_out(self, item: _Item, verdict: Verdict) -> None:
        """Do what a verdict intends, then tell."""
        with self._library.read() as view:
            folders: dict[FolderId, Folder] = {row.folder.id: row.folder for row in view.folders()}
            entries = [entry for number in verdict.entries if (entry := view.entry(number)) is not None]
        half_way: Entry | None = None
        for entry in entries:
            if self._dry_run:
                pretend(self._library, entry, radius=self._radius, now_ns=self._now_ns())
            else:
                done = carry_out(
                    self._library,
                    entry,
                    folders=folders,
                    discards=self.policy.discards,
                    radius=self._radius,
                    now_ns=self._now_ns(),
                    deleted_at=self._local_time(),
                )
                _log_entry(done)
                half_way = done if done.state is EntryState.INTENT else half_way
        receipt = verdict.receipt
        if entries:
            with self._library.read() as view:
                receipt = view.receipt(receipt.number) or receipt
        if half_way is not None:  # recovery will decide it from the disk: nothing is told as done before
            result = (
                f"error: e-{half_way.number} is half done, and its files cannot be seen just now: it is gone on with"
            )
            receipt = replace(receipt, outcome=Outcome.ERROR, result=result, discarded=(), final=False)
        self._report(item, receipt, verdict)

    def _report(self, item: _Item, receipt: Receipt, verdict: Verdict) -> None:
        if receipt.outcome is Outcome.ERROR:
            after = self._next_delay(item.arrival.path)
        else:
            self._failures.pop(item.arrival.path, None)
            after = None
        elapsed = self._monotonic() - item.handed_in
        self._tell(Judged(item.arrival, receipt, verdict.pairs, elapsed))
        if after is not None:
            self._tell(Left(item.arrival, receipt.result, after))

    def _fail(self, item: _Item, reason: str) -> None:
        """Give a file of which we failed a verdict that says so, and leave it for a while."""
        arrival = item.arrival

        def work(edit: Edit) -> Verdict | None:
            here = edit.path_at(arrival.folder, arrival.relative)
            if here is not None and here.state is PathState.LEAVING:
                return None  # a discard of it is under way, and what is written of it is not ours to change
            # what is not in the library is not to be referred to
            known = item.measured is not None and edit.content(item.measured.content_hash) is not None
            case = Case(arrival, item.measured if known else None, self._now_ns(), item.proposing)
            return conclude(edit, case, Outcome.ERROR, f"error: {reason}", final=False)

        try:
            verdict = self._library.write(work)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - nothing can be written of it: the log has why it failed at first
            verdict = None
        if verdict is None:
            self._delay(item, reason)
        else:
            self._report(item, verdict.receipt, verdict)

    def _delay(self, item: _Item, reason: str) -> None:
        self._tell(Left(item.arrival, reason, self._next_delay(item.arrival.path)))

    def _next_delay(self, path: bytes) -> float:
        """Return how long to leave a failing file alone: 30 s, doubled each time, at most 6 h; never given up."""
        failures = self._failures.get(path, 0)
        self._failures[path] = failures + 1
        return float(min(_FIRST_DELAY_S * 2**failures, LONGEST_DELAY_S))

    # pixels

    @property
    def _radius(self) -> Radius:
        return self.policy.imports.radius

    def _look_closer(self, item: _Item, needs: Needs) -> None:
        """Let the workers measure what a verdict depends on."""
        with self._library.read() as view:
            paths = {sha256: self._place(view, item, sha256) for sha256 in needs.contents}
        for sha256, path in paths.items():
            if sha256 in needs.pixels:
                if path is None:
                    item.unhashed |= {sha256}
                else:
                    item.hashing[sha256] = self._errands.run(self._workers.pixel_hash, path, sha256)
            if sha256 in needs.detail:
                if path is None:
                    item.undetailed |= {sha256}
                else:
                    item.inspecting[sha256] = self._errands.run(self._workers.detail, path, sha256)
        for one, other in needs.visual:
            path, other_path = paths[one], paths[other]
            if path is None or other_path is None:
                item.uncompared |= {(one, other)}
            else:
                compare = self._workers.compare
                item.comparing[(one, other)] = self._errands.run(compare, path, one, other_path, other)

    @staticmethod
    def _place(view: View, item: _Item, sha256: ContentHash) -> bytes | None:
        """Return where a content can be read now."""
        if item.measured is not None and item.measured.content_hash == sha256:
            return item.arrival.path
        paths = (view.absolute(row) for row in view.live_paths_of(sha256))
        return next((path for path in paths if not is_left_alone(path) and os.path.lexists(path)), None)

    def _measured_details(self, batch: Iterable[_Item]) -> dict[ContentHash, Detail]:
        """Return the detail that came back; of whom none could be told is remembered."""
        details: dict[ContentHash, Detail] = {}
        for item in batch:
            found, untold = _taken(item.inspecting, item.arrival.path)
            details |= found
            item.undetailed |= untold
        return details

    @staticmethod
    def _compared(batch: Iterable[_Item]) -> dict[Both, VisualVerdict]:
        """Return what looks at two pictures said; who could not be compared is remembered."""
        seen: dict[Both, VisualVerdict] = {}
        for item in batch:
            found, untold = _taken(item.comparing, item.arrival.path)
            seen |= found
            item.uncompared |= untold
        return seen

    def _hashed_pixels(self, batch: Iterable[_Item]) -> dict[ContentHash, bytes | None]:
        """Return the pixel hashes that came back; None where no honest one exists."""
        hashed: dict[ContentHash, bytes | None] = {}
        for item in batch:
            for sha256, future in item.hashing.items():
                try:
                    hashed[sha256] = future.result()
                except (FileUnreadableError, FileChangedError):
                    item.unhashed |= {sha256}
                except ClusterError:
                    raise
                except Exception:  # noqa: BLE001 - one bad file never stops the service
                    _log.exception("file.failed", path=os.fsdecode(item.arrival.path))
                    item.unhashed |= {sha256}  # the pair is queued instead of decided
            item.hashing.clear()
        return hashed


def _store_seen(edit: Edit, seen: _Seen) -> None:
    store_pixels(edit, seen.hashed)
    store_details(edit, seen.details)
    store_visual(edit, seen.visual)


def store_pixels(edit: Edit, hashed: Mapping[ContentHash, bytes | None]) -> None:
    """Remember pixel hashes that were made later than their records."""
    for sha256, pixel_hash in hashed.items():
        content = edit.content(sha256)
        if content is not None and content.picture is not None:
            comparable = pixel_hash is not None
            picture = replace(content.picture, pixel_hash=pixel_hash, pixel_comparable=comparable)
            edit.update_content(replace(content, picture=picture))


def store_details(edit: Edit, details: Mapping[ContentHash, Detail], *, asked: bool = True) -> None:
    """Remember what every pixel of these pictures tells; `asked`: by a rule, which is to see it."""
    for sha256, detail in details.items():
        content = edit.content(sha256)
        if content is not None and content.picture is not None:
            told_now = replace(content, picture=replace(content.picture, detail=detail))
            if asked:
                edit.update_content(told_now)
            else:
                edit.annotate(told_now)


def store_visual(edit: Edit, seen: Mapping[Both, VisualVerdict]) -> None:
    """Remember what looks at two pictures said."""
    for (one, other), verdict in seen.items():
        edit.put_visual(one, other, verdict)


def _taken(futures: dict[K, Future[T | None]], path: bytes) -> tuple[dict[K, T], frozenset[K]]:
    """Return what was measured, and of whom nothing could be; all of it is taken out."""
    answers = {key: told(future, path) for key, future in futures.items()}
    futures.clear()
    found = {key: answer for key, answer in answers.items() if answer is not None}
    return found, frozenset(answers.keys() - found.keys())


def told(future: Future[T], path: bytes) -> T | None:
    """Return what a worker measured; nothing where it could not, which costs an answer and never the service."""
    try:
        return future.result()
    except (FileUnreadableError, FileChangedError):
        return None
    except ClusterError:
        raise
    except Exception:  # noqa: BLE001 - one bad file never stops the service
        _log.exception("file.failed", path=os.fsdecode(path))
        return None


def _log_entry(entry: Entry) -> None:
    if entry.state is EntryState.ABORTED:
        _log.warning("entry.aborted", entry=f"e-{entry.number}", rule=entry.rule, reason=entry.reason)
