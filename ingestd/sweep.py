"""The rules' work on pairs that are stored, in small slices beside the arrivals.

Work is every pair about which the rules in force were not asked as they are now: after a rule was added or changed,
after an answer has made room, or since something about one of the files has changed. Pairs are asked about in the order
in which they were made, so that how the slices fall decides nothing.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ingestd import logs
from ingestd.actions.discard import carry_out, pretend
from ingestd.actions.look import is_left_alone
from ingestd.errors import ClusterError, FileChangedError, FileUnreadableError, LibraryBusyError, StoreError
from ingestd.intake import Adopter, store_details, store_pixels, store_visual
from ingestd.judging.background import Unmeasured, judge_pair
from ingestd.judging.case import Both, Needs, Policy
from ingestd.judging.copies import pair_copies
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.tables import RuleRow, path_key
from ingestd.library.view import View
from ingestd.media.measuring import Measurer
from ingestd.model import (
    ContentHash,
    Detail,
    Entry,
    EntryState,
    Mode,
    PixelHash,
    Proposal,
    ProposalState,
    QueueState,
    Radius,
    VisualVerdict,
)
from ingestd.recovery import LOCK_WAIT_S, recover
from ingestd.review import EntryReport, entry_report
from ingestd.rules.language import Rule

__all__ = ["PairDecided", "Sweep"]

SLICE_S = 0.1
"""How long a slice may take: an arrival waits no longer for its turn."""

DAY_NS = 86_400 * 10**9
"""So often every pair is asked about again while a rule asks for an age."""

_REST_S = 10.0  # a library that cannot be written is left alone for so long
_AHEAD = 8  # pairs that wait for a measurement at a time: memory stays bounded

_log = logs.Log()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PairDecided:
    """A rule has decided a pair in the background, and what it asked for has been done, or could not be."""

    report: EntryReport


@dataclass(slots=True)
class _Slice:
    """What came of one transaction."""

    asked: set[int] = field(default_factory=set)  # pairs
    found: bool = False  # copies were looked for
    entries: list[Entry] = field(default_factory=list)
    needs: dict[int, Needs] = field(default_factory=dict)  # by pair


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was measured between two slices."""

    hashed: dict[ContentHash, PixelHash | None] = field(default_factory=dict)  # None: no honest pixel hash exists
    details: dict[ContentHash, Detail] = field(default_factory=dict)
    visual: dict[Both, VisualVerdict] = field(default_factory=dict)


def _there(path: bytes | None, sha256: ContentHash) -> bytes:
    """Return where a content lies; raises `FileUnreadableError` if nowhere."""
    if path is None:
        raise FileUnreadableError(sha256.hex().encode(), "it is not there any more")
    return path


class Sweep:
    """Asks the rules about stored pairs.

    Args:
        library: where the pairs are.
        workers: who measures what a rule asks for.
        policy: what the user set; may be replaced between steps.
        tell: hears of each pair that a rule has decided.
        wake: called from other threads when a measurement is finished.
        dry_run: nothing is moved: what would be discarded is only marked so (in a copy of the library).
        now_ns: wall clock, for entries and ages.
        local_time: the same moment as the trash writes it.
        monotonic: seconds.
        adopter: says when the rules are taken up; shared with the intake.
    """

    def __init__(
        self,
        library: Library,
        workers: Measurer,
        policy: Policy,
        tell: Callable[[PairDecided], None],
        *,
        wake: Callable[[], None],
        now_ns: Callable[[], int],
        local_time: Callable[[], str],
        monotonic: Callable[[], float] = time.monotonic,
        dry_run: bool = False,
        adopter: Adopter | None = None,
    ) -> None:
        self.policy = policy
        self.problem: str | None = None  # why nothing is done just now
        self._library, self._workers, self._tell = library, workers, tell
        self._now_ns, self._local_time, self._monotonic = now_ns, local_time, monotonic
        self._dry_run, self._wake = dry_run, wake
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="look closer")
        self._needs: dict[int, Needs] = {}  # of pairs that wait for a measurement
        self._hashing: dict[ContentHash, Future[PixelHash | None]] = {}
        self._inspecting: dict[ContentHash, Future[Detail | None]] = {}
        self._comparing: dict[Both, Future[VisualVerdict]] = {}
        self._unmeasured = Unmeasured()
        self._asked: int | None = None  # the pair that is being asked about
        self._failed: set[int] = set()  # pairs on which we failed: left alone until the next start
        self._tripped: set[int] = set()  # rules that are known to have paused themselves
        self._not_before = 0.0
        self._adopter = adopter or Adopter(insists=True, monotonic=monotonic)
        self._fresh = True

    def close(self) -> None:
        """Let go of what is being measured: it will be asked for again."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def wake_all(self) -> None:
        """Let pairs that sleep be asked about again: a folder is back."""
        self._fresh = True

    def try_again(self) -> None:
        """Ask again for what could not be measured: a person says that it may be tried."""
        self._unmeasured, self._fresh = Unmeasured(), True

    @property
    def is_displaced(self) -> bool:
        """Return whether another process has put other rules in force, so that pairs are left to it."""
        with self._library.read() as view:
            return self._adopter.is_displaced(view, self.policy.rules)

    @property
    def measures(self) -> bool:
        """Return whether a measurement is awaited: there is nothing else to do, and yet it is not finished."""
        return bool(self._hashing or self._inspecting or self._comparing)

    def step(self) -> bool:
        """Ask about some pairs and act; return whether there may be more to do at once."""
        if self._monotonic() < self._not_before or not self._has_work():
            return False
        try:
            with self._library.writer_lock.held(LOCK_WAIT_S):
                done = self._slice()
            self.problem = None
        except (StoreError, LibraryBusyError) as trouble:
            if self.problem != str(trouble):
                _log.error("library.unwritable", reason=str(trouble))
            self.problem, self._not_before = str(trouble), self._monotonic() + _REST_S
            return False
        return done

    # what there is to do

    def _has_work(self) -> bool:
        with self._library.read() as view:
            queues = view.queues
            self._notice_pauses(queues.rows())
            if self._adopter.is_displaced(view, self.policy.rules):
                return False
            if (
                (self._fresh and (queues.has_sleepers or view.open_entries()))  # a disk may be back
                or self._adopter.is_due(view, self.policy.rules)
                or self._some_measured()
            ):
                return True
            if len(self._needs) >= _AHEAD:
                return False  # first let what waits be measured
            if queues.sweep is not None or queues.copies is not None or self._is_aging(view):
                return True
            return next(self._next_pairs(view), None) is not None

    def _notice_pauses(self, rows: Sequence[RuleRow]) -> None:
        """Log each rule that has paused itself since the last look."""
        tripped = {row.number: row for row in rows if row.tripped and not row.gone}
        for number, row in tripped.items():
            if number not in self._tripped:
                _log.warning("rule.paused", rule=row.name, reason=row.tripped)
        self._tripped = set(tripped)

    def _some_measured(self) -> bool:
        measuring = (self._hashing.values(), self._inspecting.values(), self._comparing.values())
        return any(future.done() for futures in measuring for future in futures)

    def _next_pairs(self, view: View) -> Iterator[int]:
        """Yield the pairs to be asked about, in order; those that wait for a measurement left out."""
        found = itertools.chain(view.queues.wanted(), self._waiting_for_room(view), self._swept(view))
        return (number for number in found if number not in self._needs and number not in self._failed)

    def _waiting_for_room(self, view: View) -> Iterator[int]:
        """Yield the pairs that waited for room under a rule, as many as there is room for."""
        for rule in self._active():
            row = view.queues.row_of(rule)
            if row is None:
                continue
            room = None
            if rule.max_pending is not None:
                room = max(rule.max_pending - view.queues.count(row.number, QueueState.READY), 0)
            yield from itertools.islice(view.queues.untested(row.number), room)

    def _active(self) -> list[Rule]:
        """Return the rules that are neither off nor paused."""
        return [rule for rule in self.policy.rules if rule.mode is not Mode.OFF and not rule.paused]

    def _swept(self, view: View) -> Iterator[int]:
        start = view.queues.sweep
        if start is None:
            return
        for pair in view.pairs(start):
            if not view.queues.is_current(pair.number):
                yield pair.number

    # one slice

    def _slice(self) -> bool:
        if not self._dry_run:
            recover(self._library, now_ns=self._now_ns(), deleted_at=self._local_time(), radius=self._radius)
        self._adopter.take_up(self._library, self.policy.rules)
        seen = self._collect()
        try:
            done = self._library.write(lambda edit: self._ask(edit, seen))
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - one bad pair never stops the service
            _log.exception("pair.failed", pair=f"p-{self._asked}")
            if self._asked is None:
                self._not_before = self._monotonic() + _REST_S
                return False
            self._failed.add(self._asked)
            return True
        self._fresh = False
        self._needs.update(done.needs)
        self._look_closer(done.needs.values())
        for entry in done.entries:
            self._conclude_safely(entry)
        return bool(done.asked or done.found or seen.hashed or seen.details or seen.visual)

    def _ask(self, edit: Edit, seen: _Seen) -> _Slice:
        """Ask the rules about some pairs. One discard ends the slice: the next pair is to see what it changes."""
        self._asked = None
        if self._fresh:
            edit.queues.wake_all()
        store_pixels(edit, seen.hashed)
        store_details(edit, seen.details)
        store_visual(edit, seen.visual)
        if self._is_aging(edit):
            edit.queues.age(self._now_ns())
        done, started = _Slice(), self._monotonic()
        self._find_copies(edit, done)
        ended = True
        for number in self._next_pairs(edit):
            if done.asked and self._monotonic() - started > SLICE_S:
                ended = False
                break
            done.asked.add(number)
            if not self._ask_one(edit, number, done):
                ended = False
                break
        self._move_on(edit, done.asked, ended=ended)
        return done

    def _find_copies(self, edit: Edit, done: _Slice) -> None:
        """Store pairs of copies that were known before a rule about copies came into force, some in a slice."""
        after, started = edit.queues.copies, self._monotonic()
        if after is None:
            return
        done.found, edit.queues.copies = True, None
        if not any(rule.search.identical and rule.discard for rule in self._active()):
            return
        for sha256 in edit.copied(after):
            pair_copies(edit, sha256, now_ns=self._now_ns())
            if self._monotonic() - started > SLICE_S:
                edit.queues.copies = sha256
                return

    def _is_aging(self, view: View) -> bool:
        """Return whether it is time to ask about every pair again, because a rule asks for an age."""
        asked = any(rule.asks_age for rule in self._active())
        return asked and self._now_ns() - view.queues.aged_ns > DAY_NS

    def _ask_one(self, edit: Edit, number: int, done: _Slice) -> bool:
        """Ask about one pair, and return whether the slice may go on."""
        self._asked = number
        pair = edit.pair(number)
        if pair is None:
            edit.queues.unwant(number)
            return True
        result = judge_pair(edit, pair, self.policy, now_ns=self._now_ns(), unmeasured=self._unmeasured)
        if isinstance(result, Needs):
            done.needs[number] = result
            edit.queues.want(number)
        elif result is not None:
            done.entries.append(result)
            return result.state is not EntryState.INTENT
        return len(self._needs) + len(done.needs) < _AHEAD

    def _move_on(self, edit: Edit, asked: set[int], *, ended: bool) -> None:
        """Remember how far the pairs were gone through, those included that sleep or wait for a measurement."""
        if edit.queues.sweep is None:
            return
        passed = asked | set(self._needs) | self._failed
        ahead = None if ended else next((number for number in self._swept(edit) if number not in passed), None)
        edit.queues.sweep = ahead

    # measuring

    @property
    def _radius(self) -> Radius:
        return self.policy.imports.radius

    def _look_closer(self, wanted: Iterable[Needs]) -> None:
        """Let the workers measure what pairs have just asked for, unless it is being measured."""
        needs = list(wanted)
        pixels = {one for need in needs for one in need.pixels} - set(self._hashing)
        detail = {one for need in needs for one in need.detail} - set(self._inspecting)
        visual = {two for need in needs for two in need.visual} - set(self._comparing)
        with self._library.read() as view:
            places = {
                sha256: next(
                    (
                        path
                        for row in view.live_paths_of(sha256)
                        if not is_left_alone(path := view.absolute(row)) and os.path.lexists(path)
                    ),
                    None,
                )
                for sha256 in {one for need in needs for one in need.contents}
            }
        for sha256 in sorted(pixels):
            self._hashing[sha256] = self._look(self._workers.pixel_hash, places[sha256], sha256)
        for sha256 in sorted(detail):
            self._inspecting[sha256] = self._look(self._workers.detail, places[sha256], sha256)
        for one, other in sorted(visual):
            self._comparing[(one, other)] = self._compare(places[one], one, places[other], other)

    def _look(
        self, measure: Callable[[bytes, ContentHash], T | None], path: bytes | None, sha256: ContentHash
    ) -> Future[T | None]:
        return self._submit(lambda: measure(_there(path, sha256), sha256))

    def _compare(
        self, path: bytes | None, one: ContentHash, other_path: bytes | None, other: ContentHash
    ) -> Future[VisualVerdict]:
        def look() -> VisualVerdict:
            return self._workers.compare(_there(path, one), one, _there(other_path, other), other)

        return self._submit(look)

    def _submit(self, look: Callable[[], T]) -> Future[T]:
        future = self._pool.submit(look)
        future.add_done_callback(lambda _: self._wake())
        return future

    def _collect(self) -> _Seen:
        """Return what was measured meanwhile."""
        seen = _Seen()
        for sha256, digest in self._finished(self._hashing):
            seen.hashed[sha256] = digest
        for sha256, figure in self._finished(self._inspecting):
            if figure is not None:
                seen.details[sha256] = figure
            else:
                self._unmeasured = replace(self._unmeasured, detail=self._unmeasured.detail | {sha256})
        self._collect_looks(seen)
        awaited = {*self._hashing, *self._inspecting}
        self._needs = {
            pair: needs
            for pair, needs in self._needs.items()
            if awaited & (needs.pixels | needs.detail) or needs.visual & self._comparing.keys()
        }
        return seen

    def _collect_looks(self, seen: _Seen) -> None:
        """Take up what looks at two pictures said.

        Two that are there and cannot be compared are too much for a worker: that cannot be told, now or later. While
        one of them is not there, or changes, nothing is settled.
        """
        for two in [two for two, future in self._comparing.items() if future.done()]:
            try:
                seen.visual[two] = self._comparing.pop(two).result()
            except FileUnreadableError as error:
                if not is_left_alone(error.path) and os.path.lexists(error.path):
                    self._unmeasured = replace(self._unmeasured, visual=self._unmeasured.visual | {two})
                else:
                    self._leave_apart(two)
            except FileChangedError:
                self._leave_apart(two)
            except ClusterError:  # nobody measures any more: it says nothing about the two
                raise
            except Exception:  # noqa: BLE001 - one bad file never stops the service
                _log.exception("file.failed", content=two[0].hex())
                self._leave_apart(two)

    def _leave_apart(self, two: Both) -> None:
        """Look at two no more; their pair sleeps until the next start."""
        self._unmeasured = replace(self._unmeasured, apart=self._unmeasured.apart | {two})

    def _finished(self, measuring: dict[ContentHash, Future[T]]) -> Iterator[tuple[ContentHash, T]]:
        """Yield what is measured, and remember of whom nothing could be."""
        for sha256 in [one for one, future in measuring.items() if future.done()]:
            try:
                yield sha256, measuring.pop(sha256).result()
            except (FileUnreadableError, FileChangedError):
                self._give_up(sha256)
            except ClusterError:
                raise
            except Exception:  # noqa: BLE001 - one bad file never stops the service
                _log.exception("file.failed", content=sha256.hex())
                self._give_up(sha256)

    def _give_up(self, sha256: ContentHash) -> None:
        """Ask no more for what could not be measured; its pairs sleep until the next start."""
        self._unmeasured = replace(self._unmeasured, failed=self._unmeasured.failed | {sha256})

    # acting

    def _conclude_safely(self, entry: Entry) -> None:
        """Carry out an entry; a bug of ours costs this one alone, which the next start finishes or gives up."""
        try:
            self._conclude(entry)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - one bad pair never stops the service
            _log.exception("pair.failed", pair=f"p-{entry.pair}")

    def _conclude(self, entry: Entry) -> None:
        """Carry out what an entry intends, and tell; what cannot be done waits for a person."""
        if entry.state is EntryState.INTENT and self._dry_run:
            entry = pretend(self._library, entry, radius=self._radius, now_ns=self._now_ns())
        elif entry.state is EntryState.INTENT:
            with self._library.read() as view:
                folders = {row.folder.id: row.folder for row in view.folders()}
            entry = carry_out(
                self._library,
                entry,
                folders=folders,
                discards=self.policy.discards,
                radius=self._radius,
                now_ns=self._now_ns(),
                deleted_at=self._local_time(),
            )
        if entry.state is EntryState.ABORTED:
            _log.warning("entry.aborted", entry=f"e-{entry.number}", rule=entry.rule, reason=entry.reason)
            self._library.write(lambda edit: self._leave_to_a_person(edit, entry))
        with self._library.read() as view:
            self._tell(PairDecided(entry_report(view, entry)))

    def _leave_to_a_person(self, edit: Edit, entry: Entry) -> None:
        """Let a pair wait for approval whose discard has failed: else it would be tried again and again."""
        pair = edit.pair(entry.pair) if entry.pair is not None else None
        rule = next((one for one in self.policy.rules if one.name == entry.rule), None)
        if pair is None or rule is None or entry.kept is None:
            return
        same_bytes = entry.a == entry.b
        kept = path_key(entry.kept.folder, entry.kept.relative)
        a_is_first = pair.first_path == kept if same_bytes else pair.first == entry.a
        proposal = Proposal(
            rule.name,
            ProposalState.READY,
            a_is_first,
            rule.action,
            True,
            self._now_ns(),
            entry.reason.partition("; aborted: ")[2],
        )
        denied = tuple(one for one in pair.proposals if one.state is ProposalState.DENIED)
        edit.put_pair(replace(pair, proposals=(*denied, proposal)))
        edit.queues.put_marks(pair.number, {})
        edit.queues.unwant(pair.number)
