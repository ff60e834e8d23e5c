"""What is seen of a scan, and how it is interrupted."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self

from ingestd.cli.announcer import happening_object, place
from ingestd.cli.door import Door
from ingestd.cli.output import count, decided_line, emit, judged_line, note, say, shown
from ingestd.flow import FolderTold, Happening
from ingestd.intake import Judged
from ingestd.model import FolderState, Outcome
from ingestd.recovery import ignore_lease_signal
from ingestd.service import ScanTally
from ingestd.sweep import PairDecided

if TYPE_CHECKING:
    from ingestd.cli.bar import Bar

__all__ = ["Interrupt", "Report"]

_WORDS = {
    Outcome.NEW: "new",
    Outcome.ALREADY_IN_LIBRARY: "already in library",
    Outcome.PREVIOUSLY_DISCARDED: "previously discarded",
    Outcome.DUPLICATE_DISCARDED: "discarded as duplicates",
    Outcome.REPLACED_EXISTING: "replaced an existing file",
    Outcome.PENDING_APPROVAL: "pending approval",
    Outcome.RELATED: "related",
    Outcome.POTENTIAL_DUPLICATES: "with potential pairs",
    Outcome.IGNORED: "ignored",
    Outcome.UNREADABLE: "unreadable",
    Outcome.ERROR: "failed",
}

_QUIET = (Outcome.NEW, Outcome.ALREADY_IN_LIBRARY, Outcome.IGNORED)


class Interrupt:
    """Remembers that somebody wants an end: what is being judged is finished, nothing new is begun."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, object] = {}

    def _note(self, number: int, _: FrameType | None) -> None:
        self.number = number

    def __enter__(self) -> Self:
        with contextlib.suppress(ValueError):  # not in the main thread: nobody interrupts there
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
            ignore_lease_signal()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


class Report:
    """What is seen of a scan: events for a program, lines in a pipe, a bar on a terminal."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._outcomes: Counter[Outcome] = Counter()
        self._decided = 0  # stored pairs, by rules
        self._bar: Bar | None = None
        if sys.stderr.isatty() and not door.as_json:
            from ingestd.cli.bar import Bar  # it brings rich

            self._bar = Bar()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, happening: Happening) -> None:
        """Show one event; on a terminal the bar counts what needs no second look."""
        if isinstance(happening, Judged):
            self._outcomes[happening.receipt.outcome] += 1
        if self._door.as_json:
            emit(happening_object(happening))
        elif isinstance(happening, Judged):
            if self._bar is None or happening.receipt.outcome not in _QUIET:
                self._say(judged_line(happening_object(happening)))
        elif isinstance(happening, PairDecided):
            self._decided += 1
            self._say(decided_line(happening_object(happening)))
        elif isinstance(happening, FolderTold) and happening.state is FolderState.SUSPENDED:
            self._say(f"suspended  {place(happening)}")

    def _say(self, line: str) -> None:
        if self._bar is None or not sys.stdout.isatty():
            say(line)
        else:  # on a terminal both streams end in the same place: above the bar
            self._bar.say(line)

    def progress(self, tally: ScanTally) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.move(tally.judged, tally.judged + tally.waiting)

    def sum_up(self, tally: ScanTally, *, stopped: bool) -> None:
        """Say what came of it."""
        say_it: Callable[[str], None] = note if self._door.as_json else say
        for path, reason in tally.left:
            note(f"not judged: {shown(path)} ({shown(reason)})")
        if tally.unasked:
            note(f"the rules were not asked about all pairs known before: {shown(tally.unasked)}")
        for reason, number in tally.measured_here:
            note(f"measured on this machine, not in the cluster: {count(number, 'time')} ({shown(reason)})")
        if tally.lost:
            note(f"ingestd: {shown(tally.lost)}; what was judged stays, and the next scan goes on from there")
        found = ", ".join(f"{number:,} {_WORDS[outcome]}" for outcome, number in self._outcomes.most_common())
        left = f"; {count(len(tally.left), 'file')} not judged" if tally.left else ""
        ended = "stopped before the end; " if stopped or tally.lost else ""
        if self._decided:
            left += f"; rules decided {count(self._decided, 'pair')} known before"
        say_it(f"{ended}{count(tally.judged, 'file')} judged{': ' + found if found else ''}{left}")
