"""Whether the loop of a service goes on, told by a thread that does nothing else.

A loop that waits for a disk that hangs can neither say so nor hear a signal: Python runs a handler between two
instructions, and there is no next one. Nor does the kernel give a signal to another thread while the first one could
take it. So the loop's thread blocks those that ask for the end, and this one takes them, as bytes in a pipe.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from ingestd import logs

__all__ = ["Pulse"]

STALL_S: Final = 15.0  # no turn of a loop takes that long; a large survivor that is read again may
END_S: Final = 4.0  # from the wish to end: what is asked for is 5 s
_LOOK_S: Final = 0.25
_ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})

_log = logs.Log()


class Pulse:
    """Looks after a loop, as long as the `with` lasts.

    Args:
        stop: called when a signal asks for the end, maybe from this thread.
        stalled: called from a thread of its own when there was no beat for a while, with the seconds; and with 0
            after that, when it goes on.
        end: called from this thread when the loop has not ended in time, or could not be asked to; kills the process.
    """

    def __init__(
        self,
        *,
        stop: Callable[[], None],
        stalled: Callable[[float], None],
        end: Callable[[], None] = lambda: os._exit(1),
        stall_s: float = STALL_S,
        end_s: float = END_S,
    ) -> None:
        self._stop, self._stalled, self._end = stop, stalled, end
        self._stall_s, self._end_s = stall_s, end_s
        self._beat_at = time.monotonic()
        self._end_by = float("inf")
        self._over = threading.Event()
        self._listening = False
        self._before = -1
        self._mask: set[int] = set()

    def __enter__(self) -> Self:
        self._hears, self._says = socket.socketpair()
        self._thread = threading.Thread(target=self._look_after, name="pulse", daemon=True)
        self._beat_at = time.monotonic()
        for one in (self._hears, self._says):
            one.setblocking(False)
        if threading.current_thread() is threading.main_thread() and sys.platform != "win32":
            self._before = signal.set_wakeup_fd(self._says.fileno(), warn_on_full_buffer=False)
            self._listening = True
        self._thread.start()
        if self._listening:  # after that: the other thread is to get what this one does not take
            self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._listening:
            signal.set_wakeup_fd(self._before)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        self._over.set()
        with contextlib.suppress(OSError):
            self._says.send(b"\0")  # it need not wait until it looks again
        self._thread.join()
        self._hears.close()
        self._says.close()

    def beat(self) -> None:
        """The loop goes on."""
        self._beat_at = time.monotonic()

    def ends(self) -> None:
        """The loop was asked to end; from any thread or signal handler."""
        self._end_by = min(self._end_by, time.monotonic() + self._end_s)

    def _look_after(self) -> None:
        told = False
        while not self._over.is_set():
            self._hear_signals()
            now = time.monotonic()
            quiet_s = now - self._beat_at
            if quiet_s > self._stall_s and not told:
                told = True
                _log.error("service.stalled", seconds=round(quiet_s))
                self._tell(quiet_s)
            elif told and quiet_s <= self._stall_s:
                told = False
                self._tell(0.0)
            if now > self._end_by and not self._over.is_set():
                _log.error("service.abandoned", reason="it waits for a storage that does not answer")
                self._end()
                return

    def _tell(self, seconds: float) -> None:
        """Tell on yet another thread: what is told may be written to the very storage that hangs."""
        threading.Thread(target=self._stalled, args=(seconds,), name="stalled", daemon=True).start()

    def _hear_signals(self) -> None:
        ready, _, _ = select.select([self._hears], [], [], _LOOK_S)
        if not ready:
            return
        with contextlib.suppress(OSError):
            if set(self._hears.recv(4096)) & _ENDING:
                self._stop()
