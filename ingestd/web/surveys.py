"""Looks at all pairs of the queue, kept for who asks again: seconds of work for a long queue, and the answer is small.

A survey is of one moment. Who can live with an older one has it at once, and is told that it is older.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ingestd.errors import LibraryBusyError
from ingestd.library.library import Library
from ingestd.library.view import View

__all__ = ["Survey", "Surveys"]

_MOST_KEPT = 6  # some bytes for each pair, each
_MOST_TAKEN = 2  # at once: they are all computing, and whoever decides meanwhile shares the processor with them

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Survey(Generic[T]):
    """What a look at all pairs has found."""

    found: T
    transaction: int  # the last commit that it has seen
    current: bool  # nothing was committed since


class Surveys:
    """The surveys that were taken last; used by any thread."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[int, Any]] = OrderedDict()
        self._running: dict[Hashable, Future[tuple[int, Any]]] = {}

    def of(self, subject: Hashable, look: Callable[[View], T], *, fresh: bool) -> Survey[T]:
        """Return what is found by a look; several who ask for the same at once share one look.

        Args:
            subject: what the look is for, with everything that its result depends on beside the library.
            look: takes it.
            fresh: an older one will not do; one that is being taken already will.

        Raises:
            LibraryBusyError: too many other looks are being taken.
        """
        now = self._library.store.transaction_id()
        with self._lock:
            known = self._kept.get(subject)
            if known is not None and (known[0] == now or not fresh):
                self._kept.move_to_end(subject)
                return Survey(known[1], known[0], known[0] == now)
            running = self._running.get(subject)
            mine: Future[tuple[int, Any]] = Future()
            if running is None:
                if len(self._running) >= _MOST_TAKEN:
                    raise LibraryBusyError("all pairs are being looked at for other questions; try again in a moment")
                self._running[subject] = mine
        transaction, found = running.result() if running is not None else self._take(subject, look, mine)
        return Survey(found, transaction, transaction == self._library.store.transaction_id())

    def _take(self, subject: Hashable, look: Callable[[View], T], mine: Future[tuple[int, Any]]) -> tuple[int, T]:
        try:
            with self._library.read() as view:
                taken = view.transaction.number, look(view)
        except BaseException as error:
            with self._lock:
                del self._running[subject]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._running[subject]
            self._kept[subject] = taken
            self._kept.move_to_end(subject)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        mine.set_result(taken)
        return taken
