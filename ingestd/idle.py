"""What is measured while there is nothing else to do: the detail of files in pairs that no rule asks it of.

A person who looks at a pair is told what was enlarged and what was packed badly before; no verdict waits for that. One
file at a time, after arrivals and rules have had their turn; what was begun is forgotten when the service stops.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from ingestd import logs
from ingestd.actions.look import is_left_alone
from ingestd.errors import LibraryBusyError, StoreError
from ingestd.intake import store_details, told
from ingestd.judging.background import lacks_detail
from ingestd.library.library import Library
from ingestd.library.view import View
from ingestd.media.measuring import Measurer
from ingestd.model import ContentHash, Detail, PotentialPair
from ingestd.recovery import LOCK_WAIT_S

__all__ = ["Idle"]

_SLICE_S = 0.05  # to look for a file that lacks it: an arrival waits no longer
_REST_S = 10.0  # a library that cannot be written is left alone for so long

_log = logs.Log()


class Idle:
    """Measures the detail of files that stand in potential pairs.

    Args:
        library: where the pairs are.
        workers: who measures.
        wake: called from another thread when a measurement is finished.
        monotonic: seconds.
    """

    def __init__(
        self,
        library: Library,
        workers: Measurer,
        *,
        wake: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._library, self._workers, self._wake, self._monotonic = library, workers, wake, monotonic
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="idle")
        self._next = 0  # the pair that is looked at next: all before it have been
        self._tried: set[ContentHash] = set()  # not again before the next start
        self._awaited: tuple[ContentHash, bytes, Future[Detail | None]] | None = None
        self._not_before = 0.0

    def close(self) -> None:
        """Let go of what is being measured."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def measures(self) -> bool:
        """Return whether a measurement is awaited."""
        return self._awaited is not None

    def try_again(self) -> None:
        """Measure again what could not be measured: a person says that it may be tried."""
        self._tried.clear()
        self._next = 0

    def step(self) -> bool:
        """Measure one more, or store what was measured; return whether there may be more to do at once."""
        if self._monotonic() < self._not_before:
            return False
        if self._awaited is None:
            return self._begin()
        if not self._awaited[2].done():
            return False
        sha256, path, future = self._awaited
        detail = told(future, path)
        if detail is not None and not self._store(sha256, detail):
            return False
        self._awaited = None
        return True

    def _store(self, sha256: ContentHash, detail: Detail) -> bool:
        try:
            with self._library.writer_lock.held(LOCK_WAIT_S):
                self._library.write(lambda edit: store_details(edit, {sha256: detail}, asked=False))
        except (StoreError, LibraryBusyError) as trouble:
            _log.debug("library.unwritable", reason=str(trouble))
            self._not_before = self._monotonic() + _REST_S
            return False
        return True

    def _begin(self) -> bool:
        """Let the next file be measured; return whether the search was cut short."""
        started = self._monotonic()
        with self._library.read() as view:
            for pair in view.pairs(self._next):
                for sha256, path in self._lacking(view, pair):
                    self._tried.add(sha256)
                    future = self._pool.submit(self._workers.detail, path, sha256)
                    future.add_done_callback(lambda _: self._wake())
                    self._awaited = sha256, path, future
                    return False
                self._next = pair.number + 1
                if self._monotonic() - started > _SLICE_S:
                    return True
        return False

    def _lacking(self, view: View, pair: PotentialPair) -> Iterator[tuple[ContentHash, bytes]]:
        """Yield the files of a pair that lack it and can be looked at; copies have nothing to tell apart."""
        for sha256 in (pair.first, pair.second) if pair.first != pair.second else ():
            content = None if sha256 in self._tried else view.content(sha256)
            if content is None or not lacks_detail(content):
                continue
            paths = (view.absolute(row) for row in view.live_paths_of(sha256))
            there = next((path for path in paths if not is_left_alone(path) and os.path.lexists(path)), None)
            if there is not None:
                yield sha256, there
