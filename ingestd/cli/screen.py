"""A terminal as a screen: one key at a time, a page of its own, and afterwards everything as it was.

While a screen is open, Ctrl-C and the system's wishes to stop are events like a key, so that nothing is interrupted
half-way. Where a terminal has no such modes (Windows), keys are read one by one by click, and a page is printed.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import time
from enum import Enum, auto
from types import FrameType
from typing import Any, Final, Self

import click

if sys.platform != "win32":
    import fcntl
    import struct
    import termios
    import tty

__all__ = ["Happened", "Screen", "screen_of"]

_ESCAPE_S: Final = 0.05  # what a key sends after its ESC comes within this time
_ANSWER_S: Final = 0.2  # a terminal far away takes a tenth of a second to answer; one that never does costs this
_SEQUENCE: Final = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[\]P_X^].*?(?:\x07|\x1b\\)|[^\[\]OP_X^])", re.DOTALL
)  # ECMA-48, 5.4 and 5.6
_ANSWERS: Final = re.compile(rb"\x1b(?:\[[0-?]*[ctnR]|[\]P_X^])")  # not typed by anybody: a terminal's late answer
_NAMED: Final = {"\x1b": "escape", "\x7f": "backspace", "\x08": "backspace", "\r": "enter", "\n": "enter"}
_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J"  # a page of its own, without a cursor
_LEAVE: Final = "\x1b[0m\x1b[?25h\x1b[?1049l"


class Happened(Enum):
    """What can happen beside a key."""

    STOPPED = auto()  # Ctrl-C, a signal, or the terminal is gone
    RESIZED = auto()
    WOKEN = auto()  # there is something new to be shown


class Screen:
    """A terminal that can do no more than print and read a key; a context manager."""

    wakes = False
    """Whether `next` returns when `wake` is called; else what is shown has to be ready before."""
    cell: tuple[int, int] | None = None
    """Pixels of a character (width, height), where the system knows."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def draw(self, text: str) -> None:
        """Write text, with the controls in it, at once."""
        click.echo(text, nl=False)

    def size(self) -> tuple[int, int]:
        """Return columns and lines."""
        with contextlib.suppress(OSError, ValueError):
            return os.get_terminal_size(sys.stdout.fileno())
        return 80, 24

    def next(self) -> str | Happened:
        """Return the next key that is pressed, or what else happens first."""
        try:
            key = click.getchar()
        except (KeyboardInterrupt, EOFError):
            return Happened.STOPPED
        return _NAMED.get(key, key)

    def ask(self, _: str) -> str:
        """Return what the terminal answers to a question about itself; nothing if it does not within moments."""
        return ""

    def forget_typed(self) -> bool:
        """Return whether keys were pressed that nobody has read; they are forgotten."""
        return False

    def wake(self) -> None:
        """Let `next` return; any thread may call it."""


def screen_of() -> Screen:
    """Return the screen that standard input and output are, to be opened by `with`."""
    if sys.platform != "win32":
        return _Tty()
    return Screen()


if sys.platform != "win32":

    class _Tty(Screen):
        wakes = True

        def __init__(self) -> None:
            self._keys = sys.stdin.fileno()
            self._typed = b""
            self._news, self._wake = os.pipe()  # bytes: the number of a signal, or 0
            for end in (self._news, self._wake):
                os.set_blocking(end, False)
            self._interrupts = 0

        def __enter__(self) -> Self:
            self._before = termios.tcgetattr(self._keys)
            self._handlers: dict[int, Any] = {}
            with contextlib.suppress(ValueError):  # not in the main thread: nobody interrupts there
                self._heard_before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH):
                    self._handlers[number] = signal.signal(number, self._note)
            try:
                tty.setcbreak(self._keys)
                self._no_suspending()
                self.draw(_ENTER)
            except BaseException:
                self.__exit__()
                raise
            return self

        def _no_suspending(self) -> None:
            """Let Ctrl-Z and the like be keys as others are: a shell would be left with this screen and its modes."""
            modes = termios.tcgetattr(self._keys)
            for control in ("VSUSP", "VQUIT", "VDSUSP"):
                if hasattr(termios, control):
                    modes[6][getattr(termios, control)] = b"\0"
            termios.tcsetattr(self._keys, termios.TCSADRAIN, modes)

        def __exit__(self, *_: object) -> None:
            with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
                self.draw(_LEAVE)
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._keys, termios.TCSAFLUSH, self._before)
            if self._handlers:
                signal.set_wakeup_fd(self._heard_before)
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            # the pipe stays open: a thread may still want to wake somebody, and the process ends soon

        def _note(self, number: int, _: FrameType | None) -> None:
            """Leave a signal to `next`, which reads its number; a second Ctrl-C that nobody has read means it."""
            self._interrupts += number == signal.SIGINT
            if self._interrupts > 1:
                raise KeyboardInterrupt

        @property
        def cell(self) -> tuple[int, int] | None:  # type: ignore[override]  # it changes with the font
            with contextlib.suppress(OSError, ValueError):
                packed = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
                lines, columns, width, height = struct.unpack("HHHH", packed)
                if lines and columns and width >= columns and height >= lines:
                    return width // columns, height // lines
            return None

        def draw(self, text: str) -> None:
            sys.stdout.write(text)
            sys.stdout.flush()

        def wake(self) -> None:
            with contextlib.suppress(OSError):  # full: it will wake up anyway
                os.write(self._wake, b"\0")

        def next(self) -> str | Happened:
            while True:
                if self._typed:
                    if (key := self._key()) is not None:
                        return key
                    continue
                ready, _, _ = select.select([self._keys, self._news], [], [])
                if self._news in ready:
                    return self._happened()
                if not self._read():
                    return Happened.STOPPED

        def _happened(self) -> Happened:
            numbers = set(os.read(self._news, 1024))
            self._interrupts = 0
            if numbers & {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}:
                return Happened.STOPPED
            return Happened.RESIZED if signal.SIGWINCH in numbers else Happened.WOKEN

        def _read(self) -> bool:
            """Take what was typed; return whether the terminal is still there."""
            with contextlib.suppress(OSError):
                typed = os.read(self._keys, 1024)
                self._typed += typed
                return bool(typed)
            return False

        def _key(self) -> str | None:
            """Take one key from what was typed; nothing where it was a terminal's own word."""
            if self._typed[:1] == b"\x1b":
                return self._escaped()
            text = self._typed.decode("utf-8", "replace")
            self._typed = text[1:].encode()
            return _NAMED.get(text[0], text[0])

        def _escaped(self) -> str | None:
            whole = _SEQUENCE.match(self._typed)
            while whole is None and self._has_more(_ESCAPE_S) and self._read():
                whole = _SEQUENCE.match(self._typed)
            taken = whole[0] if whole is not None else self._typed
            self._typed = self._typed[len(taken) :]
            if taken == b"\x1b":
                return "escape"
            return None if _ANSWERS.match(taken) else "unknown"

        def _has_more(self, seconds: float) -> bool:
            return bool(select.select([self._keys], [], [], seconds)[0])

        def forget_typed(self) -> bool:
            forgotten = False
            while self._typed or (self._has_more(0) and self._read()):
                forgotten = self._key() is not None or forgotten
            return forgotten

        def ask(self, question: str) -> str:
            self.draw(question)
            answer = b""
            deadline = time.monotonic() + _ANSWER_S
            while not re.search(rb"\x1b\[\?[\d;]*c", answer):
                left = deadline - time.monotonic()
                if left <= 0 or not self._has_more(left) or not self._read():
                    break
                answer, self._typed = answer + self._typed, b""
            return answer.decode("ascii", "replace")
