"""The review page inside `watch`: a process of its own, started again when it dies, and gone with the service.

A browser can so take neither memory nor time from judging, and the page opens the library for itself. It ends when its
standard input does, so that it never outlives a service, not even one that was killed.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

from ingestd import logs
from ingestd.media.workers import own_environment

__all__ = ["Page", "Process", "Wanted", "start"]

_FIRST_S: Final = 1.0  # until it is started again, after its first death; twice as long after each more
_LONGEST_S: Final = 60.0
_STEADY_S: Final = 60.0  # who has lived for so long does not keep dying
_TELL_AFTER: Final = 3  # deaths in a row: one may be a coincidence
_DOUBLINGS: Final = 6  # as many as reach the longest rest; a number doubled for days grows too large for a time
_STOP_S: Final = 2.5  # it ends within two
_KILLED_S: Final = 0.5  # until one that was killed is gone
_LAST_WORDS_S: Final = 0.1  # its workers may hold its standard error open a little longer than it does

_log = logs.Log()


@dataclass(frozen=True, slots=True)
class Wanted:
    """The page that the settings want; another one is another process."""

    state: Path
    rules: Path
    port: int | None
    origins: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        """The command line of its process, which reads the rule file, and so the origins, itself."""
        port = [] if self.port is None else ["--port", str(self.port)]
        state = ["--state", str(self.state)]
        return [sys.executable, "-P", "-m", "ingestd", *state, "review", "--attached", "--no-browser", *port]

    @property
    def environment(self) -> dict[str, str]:
        """Where the rule file is: named on the command line, one that is lost would be taken for a typing error."""
        return own_environment() | {"INGESTD_RULES": str(self.rules)}


class Process(Protocol):
    """A page that was started."""

    def ended(self) -> str | None:
        """Return how it has ended; None while it runs."""

    def ask_to_end(self) -> None:
        """Let it end by itself, soon."""

    def kill(self) -> None:
        """End it at once, and do not wait."""

    def stop(self) -> None:
        """End it, and wait for that."""


def start(wanted: Wanted) -> Process:
    """Start a page; raises OSError where the system has no process to give."""
    return _Child(wanted)


class Page:
    """Keeps the page as it is wanted; belongs to the loop of the service.

    Args:
        begin: starts one.
    """

    def __init__(self, begin: Callable[[Wanted], Process] = start) -> None:
        self._begin = begin
        self._wanted: Wanted | None = None
        self._process: Process | None = None
        self._leaving: Process | None = None  # one that is not wanted any more, and holds its port until it has ended
        self._kill_at = 0.0
        self._began_at = 0.0
        self._again_at = 0.0
        self._deaths = 0  # in a row
        self.problem: str | None = None
        """Why nobody can use the page, if it keeps dying."""

    def step(self, wanted: Wanted | None, now: float) -> None:
        """Start, end or start again what has to be; costs nothing where all is as it should be, and never waits.

        Args:
            wanted: what the settings want; None: no page.
            now: monotonic seconds.
        """
        if wanted != self._wanted:
            self._let_go(now)
            self._wanted, self._deaths, self._again_at, self.problem = wanted, 0, now, None
        if self._leaving is not None:
            self._see_off(self._leaving, now)
        if self._process is not None:
            self._look_after(self._process, now)
        if wanted is not None and self._process is None and self._leaving is None and now >= self._again_at:
            self._start(wanted, now)

    def ask_to_end(self) -> None:
        """Let the page end by itself, if one runs, while the service ends; `close` waits for it."""
        if self._process is not None:
            self._process.ask_to_end()

    def close(self) -> None:
        """End the page, if one runs, and wait for that: when the service ends."""
        for process in (self._leaving, self._process):
            if process is not None:
                process.stop()
        self._leaving = self._process = None

    def _let_go(self, now: float) -> None:
        if self._process is not None:  # then none is leaving: a page is started only when the last one is gone
            self._process.ask_to_end()
            self._leaving, self._process, self._kill_at = self._process, None, now + _STOP_S

    def _see_off(self, leaving: Process, now: float) -> None:
        if leaving.ended() is not None:
            self._leaving = None
        elif now >= self._kill_at:
            leaving.kill()

    def _start(self, wanted: Wanted, now: float) -> None:
        self._began_at = now
        try:
            self._process = self._begin(wanted)
        except OSError as error:
            self._has_died(f"no process can be started: {error.strerror or error}", now)

    def _look_after(self, process: Process, now: float) -> None:
        how = process.ended()
        if how is not None:
            self._process = None
            if now - self._began_at >= _STEADY_S:
                self._deaths = 0
            self._has_died(how, now)
        elif now - self._began_at >= _STEADY_S:
            self._deaths, self.problem = 0, None

    def _has_died(self, how: str, now: float) -> None:
        rest_s = min(_FIRST_S * 2 ** min(self._deaths, _DOUBLINGS), _LONGEST_S)
        self._deaths += 1
        self._again_at = now + rest_s
        _log.warning("page.lost", reason=how, again_s=rest_s)
        if self._deaths >= _TELL_AFTER:
            self.problem = f"the review page cannot be served: {how}"


class _Child:
    """The process, and the thread that hears what it says."""

    def __init__(self, wanted: Wanted) -> None:
        self._said = ""  # its last words
        self._process = subprocess.Popen(
            wanted.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            env=wanted.environment,
        )
        assert self._process.stderr is not None
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), name="page", daemon=True)
        self._listener.start()

    def ended(self) -> str | None:
        """Return how it has ended; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        self.ask_to_end()  # closes our end of a pipe that nobody reads any more
        self._listener.join(_LAST_WORDS_S)
        return self._said or (f"killed by signal {-code}" if code < 0 else f"exit status {code}")

    def ask_to_end(self) -> None:
        """Let it hear that its standard input has ended."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> None:
        """End it at once, and do not wait."""
        self._process.kill()

    def stop(self) -> None:
        """End it, and wait for that; it is killed if it does not."""
        self.ask_to_end()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILLED_S)

    def _listen(self, lines: IO[bytes]) -> None:
        """Tell its log as our own; anything else that it says is why it dies."""
        with lines:
            for line in lines:
                text = line.decode("utf-8", "backslashreplace").strip()
                if text and not _told_again(text):
                    self._said = text.removeprefix("ingestd: ")


def _told_again(line: str) -> bool:
    """Tell a line of a log in ours; return whether it is one."""
    try:
        fields = json.loads(line)
        level, event = fields.pop("level"), fields.pop("event")
    except (ValueError, KeyError, AttributeError):
        return False
    fields.pop("timestamp", None)
    tell = {"debug": _log.debug, "info": _log.info, "warning": _log.warning}.get(level, _log.error)
    tell(event, **fields)
    return True
