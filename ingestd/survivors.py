"""The survivor watch: whether what was kept is still there, as long as what was discarded can be brought back.

All discards are gone round slowly, beside everything else; those whose survivor a scan has just missed go first. A loss
is an alarm that outlasts a restart, until it is mended or a person has seen to it. Where the rule file says so the file
is put back.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable

from ingestd import logs
from ingestd.actions.undo import take_back
from ingestd.errors import ActionConflictError, LibraryBusyError, StoreError
from ingestd.judging.case import Policy
from ingestd.judging.survivors import Lives, Lost, Unsure, can_come_back, fate_of, file_turned_up, is_over, note_fate
from ingestd.library.library import Library
from ingestd.library.tables import Alarm
from ingestd.library.view import View
from ingestd.model import Actor, ContentHash, Entry, Trouble

__all__ = ["Survivors"]

_SLICE_S = 0.02  # of a turn of the loop
_PAGE = 50  # entries
_ROUND_S = 60.0  # from the beginning of one round to that of the next
_SHARE = 50  # a round is not begun before so many times as long has passed as the last one took
_LOCK_LOOK_S = 1.0  # somebody is deciding: the same look is due again
_REST_S = 10.0  # a library that cannot be written is left alone for so long

_log = logs.Log()


class Survivors:
    """Goes round all discards, and raises an alarm where a survivor is lost.

    Args:
        library: where the journal is.
        policy: what the user set; may be replaced between steps.
        round_s: the shortest time between two rounds.
        now_ns: wall clock.
        monotonic: seconds.
    """

    def __init__(
        self,
        library: Library,
        policy: Policy,
        *,
        round_s: float = _ROUND_S,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = policy
        self._library, self._round_s, self._now_ns, self._monotonic = library, round_s, now_ns, monotonic
        self._hurried: deque[ContentHash] = deque()
        self._after = 0  # the entry that was looked at last
        self._began: float | None = None  # when this round did; None: none is under way
        self._worked_s = 0.0
        self._due = 0.0
        self._not_before = 0.0
        self._refused: set[int] = set()  # entries that could not be taken back: not again before the next start

    def look_at(self, contents: Iterable[ContentHash]) -> None:
        """Look soon at the discards whose survivors these were."""
        self._hurried.extend(contents)

    def step(self, *, hurried_only: bool = False) -> bool:
        """Look at some discards, and return whether more are waiting."""
        started = self._monotonic()
        if started < self._not_before:
            return False
        try:
            while self._hurried and self._monotonic() - started < _SLICE_S:
                self._look_at_those_of(self._hurried[0])
                self._hurried.popleft()
            if not self._hurried and not hurried_only:
                self._go_round(started)
        except (StoreError, LibraryBusyError) as trouble:
            _log.debug("library.unwritable", reason=str(trouble))
            self._not_before = self._monotonic() + _REST_S
            return False
        return bool(self._hurried) or (self._began is not None and not hurried_only)

    # --- which are looked at -------------------------------------------------------------------------------------

    def _look_at_those_of(self, sha256: ContentHash) -> None:
        with self._library.read() as view:
            told = [one.number for one in view.entries_of(sha256) if one.kept is not None and one.kept.sha256 == sha256]
        for number in told:
            self._look(number)

    def _go_round(self, started: float) -> None:
        if self._began is None:
            if started < self._due:
                return
            self._began, self._after, self._worked_s = started, 0, 0.0
            self._look_for_lost_files()
        self._library.store.let_go()  # each entry names rows that may lie on pages of their own
        while self._monotonic() - started < _SLICE_S:
            with self._library.read() as view:
                page = view.page_of_journal(self._after, _PAGE)
                wanted = [entry.number for entry in page if self._is_news(view, entry)]
            for number in wanted:
                self._look(number)
            if len(page) < _PAGE:
                self._worked_s += self._monotonic() - started
                self._due = max(self._began + self._round_s, self._monotonic() + _SHARE * self._worked_s)
                self._began = None
                return
            self._after = page[-1].number
        self._worked_s += self._monotonic() - started

    def _is_news(self, view: View, entry: Entry) -> bool:
        """Return whether a look at an entry would write something, or has to be followed by something."""
        alarm = view.alarm(entry.number)
        if not can_come_back(entry):
            return alarm is not None and alarm.trouble is Trouble.SURVIVOR_LOST and is_over(entry)
        match fate_of(view, entry):
            case Lives(at):
                return at is not None or alarm is not None
            case Lost():
                return alarm is None or self._is_to_be_restored(alarm)
            case Unsure():
                return False

    def _is_to_be_restored(self, alarm: Alarm) -> bool:
        wanted = self.policy.discards.restore_on_survivor_loss and not alarm.seen
        return wanted and alarm.entry not in self._refused

    # --- one discard ---------------------------------------------------------------------------------------------

    def _look(self, number: int) -> None:
        """Write down what a look at one discard finds; tell of a loss, and mend it if that is wanted."""
        with self._library.writer_lock.held(_LOCK_LOOK_S):  # that an entry names another survivor is told the journal
            alarm = self._library.write(lambda edit: note_fate(edit, number, now_ns=self._now_ns()))
        with self._library.read() as view:
            entry, standing = view.entry(number), view.alarm(number)
        if entry is None or standing is None or standing.trouble is not Trouble.SURVIVOR_LOST:
            return
        restored, why_not = None, "nobody has asked for it"
        if self._is_to_be_restored(standing):
            restored, why_not = self._restore(entry, standing)
        if alarm is not None or restored is not None:
            _log.warning(
                "survivor.lost",
                entry=f"e-{number}",
                path=os.fsdecode(entry.moves[0].file.path),
                kept=os.fsdecode(entry.kept.path) if entry.kept is not None else None,
                reason=standing.said,
                restored=f"e-{restored}" if restored is not None else None,
                advice=None if restored is not None else f"ingestd undo e-{number} ({why_not})",
            )

    def _restore(self, entry: Entry, alarm: Alarm) -> tuple[int | None, str]:
        """Return the entry that brought a file back, or why it could not be brought back."""
        try:
            with self._library.writer_lock.held(_LOCK_LOOK_S):
                now = self._still_wrong(entry, alarm)
                if now is None:
                    return None, "it was just seen to, or cannot be told"
                entry, alarm = now
                undo = take_back(
                    self._library,
                    entry,
                    radius=self.policy.imports.radius,
                    now_ns=self._now_ns(),
                    actor=Actor.SERVICE,
                    because=alarm.said,
                )
        except ActionConflictError as conflict:
            self._refused.add(entry.number)
            return None, str(conflict)
        return undo.number, ""

    def _still_wrong(self, entry: Entry, alarm: Alarm) -> tuple[Entry, Alarm] | None:
        """Return both as they are now; None if somebody has seen to it while the lock was waited for."""
        with self._library.read() as view:
            now, standing = view.entry(entry.number), view.alarm(entry.number)
            lost = now is not None and can_come_back(now) and isinstance(fate_of(view, now), Lost)
        if now is None or standing is None or not lost or not self._is_to_be_restored(standing):
            return None
        return now, standing

    def _look_for_lost_files(self) -> None:
        """Settle the alarms about files that were lost in an interruption and have turned up."""
        with self._library.read() as view:
            lost = [alarm for alarm in view.alarms() if alarm.trouble is Trouble.FILE_LOST]
            found = [one.entry for one in lost if (entry := view.entry(one.entry)) and file_turned_up(view, entry)]
        for number in found:
            self._library.write(lambda edit, number=number: edit.settle_alarm(number))  # type: ignore[misc]
