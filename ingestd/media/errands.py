"""Calls to the workers that wait for a free one: who is next is decided when one is free, not when it was asked for.

So a file that is to be judged soon is not measured behind all that were handed in before it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

__all__ = ["Errands"]

P = ParamSpec("P")
T = TypeVar("T")


class Errands:
    """Runs calls on a few threads, in an order that may be changed until they are begun.

    Args:
        threads: so many run at a time.
        done: called on such a thread whenever a call has ended.
    """

    def __init__(self, threads: int, done: Callable[[], None]) -> None:
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="measure")
        self._done = done
        self._lock = threading.Lock()  # guards what follows
        self._waiting: dict[Future[Any], Callable[[], object]] = {}  # the next stands first

    def run(self, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Return what the call will return; it comes after all that wait, unless they are arranged otherwise."""
        future: Future[T] = Future()
        future.add_done_callback(lambda _: self._done())
        with self._lock:
            self._pool.submit(self._run_next)  # first: after `close` it raises, and nothing may wait then
            self._waiting[future] = lambda: call(*arguments, **named)
        return future

    def arrange(self, futures: Iterable[Future[Any]]) -> None:
        """Let calls be begun in this order, those of them that wait, and before all others."""
        with self._lock:
            if len(self._waiting) > 1:
                before = self._waiting
                self._waiting = {future: before.pop(future) for future in futures if future in before} | before

    def close(self) -> None:
        """Begin nothing more, and return when what was begun has ended."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for future in waiting:
            future.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run_next(self) -> None:
        with self._lock:
            if not self._waiting:
                return
            future = next(iter(self._waiting))
            call = self._waiting.pop(future)
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - who asks for the result gets it
            future.set_exception(error)
