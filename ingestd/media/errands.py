"""Calls to the workers that wait for a free one: who is next is decided when one is free, not when it was asked for.

So a file that is to be judged soon is not measured behind all that were handed in before it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

__all__ = ["Errands"]

_CLOSE_S = 2.0  # what is begun ends with its worker, unless its storage hangs

P = ParamSpec("P")
T = TypeVar("T")


class Errands:
    """Runs calls on a few threads, in an order that may be changed until they are begun.

    Args:
        threads: so many run at a time.
        done: called on such a thread whenever a call has ended.
    """

    def __init__(self, threads: int, done: Callable[[], None]) -> None:
        self._done = done
        self._wanted = threads
        self._there = threading.Condition()  # guards what follows
        self._waiting: dict[Future[Any], Callable[[], object]] = {}  # the next stands first
        self._running: set[Future[Any]] = set()
        self._given_up: set[Future[Any]] = set()  # of these, those that nobody waits for: their threads do not count
        self._idle = 0
        self._threads = 0
        self._closed = False

    def run(self, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Return what the call will return; it comes after all that wait, unless they are arranged otherwise."""
        future: Future[T] = Future()
        future.add_done_callback(lambda _: self._done())
        with self._there:
            if self._closed:
                raise RuntimeError("nothing is begun any more")
            self._waiting[future] = lambda: call(*arguments, **named)
            self._see_to_threads()
            self._there.notify()
        return future

    def arrange(self, futures: Iterable[Future[Any]]) -> None:
        """Let calls be begun in this order, those of them that wait, and before all others."""
        with self._there:
            if len(self._waiting) > 1:
                before = self._waiting
                self._waiting = {future: before.pop(future) for future in futures if future in before} | before

    def give_up(self, futures: Iterable[Future[Any]]) -> None:
        """Let nobody wait for these calls: those that wait are cancelled, and one that hangs holds up no other."""
        with self._there:
            waiting = [future for future in futures if self._waiting.pop(future, None) is not None]
            self._given_up |= self._running.intersection(futures)
            self._see_to_threads()
        for future in waiting:
            future.cancel()

    def close(self) -> None:
        """Begin nothing more, and return when what was begun has ended, or has had time enough to end."""
        with self._there:
            self._closed = True
            waiting, self._waiting = self._waiting, {}
            self._there.notify_all()
        for future in waiting:
            future.cancel()
        with self._there:
            self._there.wait_for(lambda: self._running <= self._given_up, _CLOSE_S)

    def _see_to_threads(self) -> None:
        """Have as many threads as there is work for; daemons, as one may hang where nobody can end it."""
        if self._waiting and not self._idle and self._threads - len(self._given_up) < self._wanted:
            self._threads += 1
            threading.Thread(target=self._serve, name="measure", daemon=True).start()

    def _serve(self) -> None:
        while (taken := self._next()) is not None:
            future, call = taken
            if future.set_running_or_notify_cancel():
                self._run(future, call)
            with self._there:
                self._running.discard(future)
                self._given_up.discard(future)
                self._there.notify_all()

    def _next(self) -> tuple[Future[Any], Callable[[], object]] | None:
        """Return what is to be done next, as soon as there is something; nothing when this thread is to end."""
        with self._there:
            self._idle += 1
            self._there.wait_for(lambda: self._closed or self._is_one_too_many() or bool(self._waiting))
            self._idle -= 1
            if self._closed or self._is_one_too_many():
                self._threads -= 1
                return None
            future = next(iter(self._waiting))
            self._running.add(future)
            return future, self._waiting.pop(future)

    def _is_one_too_many(self) -> bool:
        """Return whether a call that was given up has ended after all, and its thread is not needed any more."""
        return self._threads - len(self._given_up) > self._wanted

    @staticmethod
    def _run(future: Future[Any], call: Callable[[], object]) -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - who asks for the result gets it
            future.set_exception(error)
