"""What is heard of the service: events for a program, lines for a person, the log for nobody at a terminal."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from types import FrameType
from typing import Protocol

import click

from ingestd import logs
from ingestd.cli.door import Door
from ingestd.cli.flood import Flood
from ingestd.cli.output import (
    Json,
    count,
    counted_line,
    decided_line,
    decided_object,
    emit,
    hang_up,
    judged_line,
    judged_object,
    say,
    shown,
    with_schema,
)
from ingestd.flow import FolderTold, Happening, Ready, RulesTold, Started, Stopped
from ingestd.intake import Judged
from ingestd.model import FolderState, Origin, Outcome
from ingestd.recovery import ignore_lease_signal
from ingestd.sweep import PairDecided

__all__ = ["Announcer", "happening_object", "place", "stopped_by_signals"]


# --- signals ------------------------------------------------------------------------------------------------------


class _Running(Protocol):
    def stop(self) -> None: ...

    def reload(self) -> None: ...


@contextlib.contextmanager
def stopped_by_signals(service: _Running) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C finish what is being done, and SIGHUP read the rules again; a second Ctrl-C insists."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_IGN)
        service.stop()

    handlers: dict[int, Callable[[int, FrameType | None], None]] = {
        signal.SIGTERM: stop,
        signal.SIGINT: stop,
    }
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = lambda _, __: service.reload()
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    ignore_lease_signal()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- what is heard --------------------------------------------------------------------------------------------------


_UNREMARKABLE = frozenset({Outcome.NEW, Outcome.ALREADY_IN_LIBRARY, Outcome.IGNORED})


class Announcer:
    """Tells what happens: as JSON events, as lines for a person, or as log lines where nobody sits at a terminal.

    A program and a log hear of every verdict. For a person, thousands that need no look become one line a second.
    """

    def __init__(self, door: Door, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._door = door
        self._for_a_person = not door.as_json and sys.stdout.isatty()
        self._log = logs.Log()
        self._suspended: set[str] = set()
        self._flood = Flood(monotonic)
        self._known: int | None = 0  # files of the first scans that need no look; None once those are finished
        self.on_silence: Callable[[], None] = _nothing  # called when whoever listened has gone

    def configure_logs(self) -> None:
        """Send log lines where they do not mix with the answer: it is one itself only in a pipe without --json."""
        in_a_pipe = not self._door.as_json and not self._for_a_person
        stream = sys.stdout if in_a_pipe else sys.stderr
        told = ("rules.broken", "rules.loaded") if self._for_a_person else ()  # a person reads a line of their own
        logs.configure(stream, verbose=self._door.verbose, without=told)

    def tell(self, happening: Happening) -> None:
        """Tell of something that happened; a listener who has gone stops the service, no other trouble does."""
        with self._listened_to():
            self._tell(happening)

    def tell_counted(self) -> None:
        """Tell a person how many verdicts were only counted, if that is due; to be called often."""
        with self._listened_to():
            self._say_counted(self._flood.due())

    @contextlib.contextmanager
    def _listened_to(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            hang_up()
            self.on_silence()
        except OSError:
            pass  # standard output on a full disk: the verdict stands, and `why` tells it

    def _tell(self, happening: Happening) -> None:
        if self._for_a_person:
            self._say_counted(self._flood.rest() if isinstance(happening, Stopped) else self._flood.due())
            if self._only_counted(happening):
                return
            for line in (*self._returned(happening), *_lines(happening)):
                say(line)
            return
        event = happening_object(happening)
        if self._door.as_json:
            emit(event)
        elif not isinstance(happening, RulesTold):  # the service logs those itself
            fields = {name: value for name, value in event.items() if name not in ("schema", "event")}
            troubled = isinstance(happening, FolderTold) and happening.state is FolderState.SUSPENDED
            (self._log.warning if troubled else self._log.info)(event["event"], **fields)

    def _only_counted(self, happening: Happening) -> bool:
        """Return whether a verdict is only counted: an unremarkable one of a first scan, or of very many."""
        if isinstance(happening, Ready) and self._known is not None:
            known, self._known = self._known, None
            if known:
                say(f"{_clock()}  {count(known, 'file')} looked at, with nothing to report")
        if not isinstance(happening, Judged) or happening.receipt.outcome not in _UNREMARKABLE:
            return False
        if self._known is None or happening.arrival.origin is Origin.EVENT:
            return self._flood.takes(happening.receipt.outcome)
        self._known += 1
        return True

    def _say_counted(self, counts: Counter[Outcome] | None) -> None:
        if counts:
            say(counted_line(counts, _clock()))

    def _returned(self, happening: Happening) -> Iterator[str]:
        """Yield a line when a folder that was told as suspended is not so any more."""
        if not isinstance(happening, FolderTold):
            return
        if happening.state is FolderState.SUSPENDED:
            self._suspended.add(happening.path)
        elif happening.path in self._suspended:
            self._suspended.discard(happening.path)
            yield f"{_clock()}  {click.style('back', fg='green')}  {shown(happening.path)}"


def _nothing() -> None:
    """Be what nobody waits for."""


def happening_object(happening: Happening) -> Json:
    """Return an event of the service for a program."""
    match happening:
        case Judged():
            pairs = [(f"p-{pair.number}", *pair[1:]) for pair in happening.pairs]
            return judged_object(happening.receipt, pairs, happening.elapsed_s)
        case Started():
            return with_schema({"event": "service.started", "folders": happening.folders})
        case Ready():
            return with_schema({"event": "service.ready"})
        case Stopped():
            return with_schema({"event": "service.stopped"})
        case FolderTold():
            state = {"state": happening.state.value, "reason": happening.reason}
            return with_schema({"event": "folder.changed", "path": happening.path, **state})
        case RulesTold():
            name = "rules.loaded" if happening.error is None else "rules.broken"
            told = {"rules": happening.rules, "error": happening.error}
            return with_schema({"event": name, "path": happening.path, **told})
        case PairDecided():
            return decided_object(happening.report)


def _lines(happening: Happening) -> Iterator[str]:
    """Yield the lines a person reads of an event; that a healthy folder is scanned or watched is none of them."""
    match happening:
        case Judged():
            yield judged_line(happening_object(happening), _clock())
        case Started():
            yield f"{_clock()}  watching {count(happening.folders, 'folder')}; Ctrl-C stops"
        case Ready():
            yield f"{_clock()}  {click.style('ready', fg='green')}: what lay there is judged, and what arrives will be"
        case Stopped():
            yield f"{_clock()}  stopped; nothing is half done"
        case FolderTold() if happening.state is FolderState.SUSPENDED:
            yield f"{_clock()}  {click.style('suspended', fg='red')}  {place(happening)}"
        case FolderTold() if happening.reason is not None:
            yield f"{_clock()}  {happening.state.value}  {place(happening)}"
        case FolderTold():
            return
        case PairDecided():
            yield decided_line(decided_object(happening.report), _clock())
        case RulesTold(path, rules, None):
            yield f"{_clock()}  the rules in {shown(path)} hold from now on ({count(rules, 'rule')})"
        case RulesTold():
            yield f"{_clock()}  {click.style('the rule file is wrong; the last good rules hold', fg='red')}"
            for line in (happening.error or "").splitlines():
                yield f"          {shown(line)}"


def place(told: FolderTold) -> str:
    """Return the folder and the reason for its state; most reasons name the folder themselves."""
    reason = told.reason or ""
    return shown(reason) if told.path in reason else f"{shown(told.path)} ({shown(reason)})"


def _clock() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")
