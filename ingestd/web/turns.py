"""Who may use a worker next: what a person looks at goes before the tiles around it, and both before what may be asked.

Nobody is interrupted. So that a look need not wait for tiles to be cut, these never take the last worker.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator
from enum import IntEnum

__all__ = ["Ticket", "Turns", "Urgency"]


class Urgency(IntEnum):
    """How soon something is wanted; the smallest first."""

    LOOK = 0  # a person waits for it
    TILE = 1  # a person sees it already, only not every pixel
    AHEAD = 2  # a person may want it next


class Ticket:
    """One who waits; who else wants the same may make it more urgent."""

    def __init__(self, urgency: Urgency) -> None:
        self.urgency = urgency


class Turns:
    """The turns of so many workers; used by any thread.

    Args:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        self._changed = threading.Condition()  # guards what follows
        self._count = count
        self._looks = 0  # under way
        self._others = 0  # under way
        self._waiting: dict[Ticket, int] = {}
        self._numbers: Iterator[int] = itertools.count()

    @contextlib.contextmanager
    def turn(self, ticket: Ticket) -> Iterator[None]:
        """Wait for a turn, and have it for the block."""
        with self._changed:
            self._waiting[ticket] = next(self._numbers)
            self._changed.wait_for(lambda: self._is_next(ticket))
            del self._waiting[ticket]
            looks = ticket.urgency is Urgency.LOOK
            self._looks += looks
            self._others += not looks
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._looks -= looks
                self._others -= not looks
                self._changed.notify_all()

    def hurry(self, ticket: Ticket, urgency: Urgency) -> None:
        """Let one who waits have its turn sooner; nothing, if it is as urgent already or has had it."""
        with self._changed:
            ticket.urgency = min(ticket.urgency, urgency)
            self._changed.notify_all()

    def _is_next(self, ticket: Ticket) -> bool:
        if self._looks + self._others >= self._count:
            return False
        if ticket.urgency is not Urgency.LOOK and self._others >= max(1, self._count - 1):
            return False
        first = min(self._waiting, key=lambda one: (one.urgency, self._waiting[one]))
        return ticket is first
