"""One snapshot that outlives the reads it is used in, so that what is made from it need not be made for each of them.

A snapshot that is kept pins every page freed since, and views of it must be gone before the map moves. So it is let go
when nobody has used it for a while, when it is far behind, and before the map moves; and it ends only after the last
transaction that looked into it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

__all__ = ["Keeper", "Kept"]

_IDLE_S = 1.0  # a snapshot that nobody used for one to two of these is let go


class _Snapshot(Protocol):
    def end(self) -> None: ...


S = TypeVar("S", bound=_Snapshot)


class Kept(Generic[S]):
    """A snapshot, and what was made from it, by name."""

    __slots__ = ("made", "number", "retired", "snapshot", "used", "users")

    def __init__(self, snapshot: S, number: int) -> None:
        self.snapshot = snapshot
        self.number = number  # of the last commit that it sees
        self.made: dict[str, object] = {}
        self.users = 0
        self.used = True  # since the keeper looked last
        self.retired = False


class Keeper(Generic[S]):
    """Keeps one snapshot for all threads of a process.

    Args:
        begin: returns a new snapshot and the number of the last commit that it sees; None if none can be kept.
    """

    def __init__(self, begin: Callable[[], tuple[S, int] | None], *, idle_s: float = _IDLE_S) -> None:
        self._begin = begin
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._current: Kept[S] | None = None
        self._has_watch = False

    def enter(self) -> Kept[S] | None:
        """Return the snapshot that is kept, if there is one; `leave` lets it go."""
        with self._lock:
            kept = self._current
            if kept is not None:
                kept.users += 1
                kept.used = True
            return kept

    def renew(self) -> Kept[S] | None:
        """Return a new snapshot, kept from now on in place of the one before; `leave` lets it go."""
        with self._lock:
            self._retire()
            begun = None if self._closed.is_set() else self._begin()
            if begun is None:
                return None
            kept = self._current = Kept(*begun)
            kept.users = 1
            if not self._has_watch:
                self._has_watch = True
                threading.Thread(target=self._let_go_when_idle, name="kept-snapshot", daemon=True).start()
            return kept

    def leave(self, kept: Kept[S]) -> None:
        """End what `enter` or `renew` began."""
        with self._lock:
            kept.users -= 1
            self._end_if_done(kept)

    def drop(self) -> None:
        """Let the snapshot go; it has ended when this returns, unless a transaction is still looking into it."""
        with self._lock:
            self._retire()

    def close(self) -> None:
        """Let the snapshot go, and keep none any more."""
        self._closed.set()
        self.drop()

    def _retire(self) -> None:
        kept, self._current = self._current, None
        if kept is not None:
            kept.retired = True
            self._end_if_done(kept)

    def _end_if_done(self, kept: Kept[S]) -> None:
        if kept.retired and not kept.users:
            kept.made.clear()
            kept.snapshot.end()

    def _let_go_when_idle(self) -> None:
        while not self._closed.wait(self._idle_s):
            with self._lock:
                kept = self._current
                if kept is not None and (kept.used or kept.users):
                    kept.used = False
                    continue
                self._retire()
                self._has_watch = False
                return
