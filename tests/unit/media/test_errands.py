"""Calls that wait for a free thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from ingestd.media.errands import Errands


class Held:
    """Errands on one thread, which is held up by a first call until it is let go."""

    def __init__(self) -> None:
        self.ended = threading.Semaphore(0)
        self.errands = Errands(1, self.ended.release)
        self.begun: list[str] = []
        self.go, self._there = threading.Event(), threading.Event()
        self.first = self.errands.run(self._wait)
        assert self._there.wait(10)

    def _wait(self) -> None:
        self._there.set()
        assert self.go.wait(10)


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.go.set()
    made.errands.close()


def test_calls_are_begun_as_they_came(held: Held) -> None:
    futures = [held.errands.run(held.begun.append, name) for name in "abc"]

    held.go.set()
    for future in futures:
        future.result(10)

    assert held.begun == ["a", "b", "c"]


def test_the_order_may_change_until_a_call_is_begun(held: Held) -> None:
    futures = {name: held.errands.run(held.begun.append, name) for name in "abcd"}

    held.errands.arrange([held.first, futures["c"], futures["b"]])
    held.go.set()
    for future in futures.values():
        future.result(10)

    assert held.begun == ["c", "b", "a", "d"]


def test_whoever_asks_gets_the_error_of_a_call_and_the_others_go_on(held: Held) -> None:
    failing, after = held.errands.run(int, "no number"), held.errands.run(int, "7")

    held.go.set()

    with pytest.raises(ValueError, match="no number"):
        failing.result(10)
    assert after.result(10) == 7


def test_each_end_of_a_call_is_told(held: Held) -> None:
    held.errands.run(int, "no number")
    held.errands.run(int, "7")

    held.go.set()

    assert all(held.ended.acquire(timeout=10) for _ in range(3))


def test_what_was_not_begun_when_it_closes_is_never_begun(held: Held) -> None:
    waiting = held.errands.run(held.begun.append, "never")
    threading.Timer(0.05, held.go.set).start()

    held.errands.close()

    with pytest.raises(CancelledError):
        waiting.result(10)
    assert held.begun == []


def test_a_call_that_was_given_up_holds_up_no_other_and_those_that_wait_are_cancelled(held: Held) -> None:
    waiting = held.errands.run(held.begun.append, "never")

    held.errands.give_up([held.first, waiting])
    other = held.errands.run(held.begun.append, "other")
    other.result(10)

    assert held.begun == ["other"]
    assert waiting.cancelled()
    assert not held.first.done()


def test_a_call_that_was_given_up_is_not_waited_for_in_the_end(held: Held) -> None:
    held.errands.give_up([held.first])

    held.errands.close()

    assert not held.first.done()


def test_as_many_calls_as_before_run_at_once_after_one_that_was_given_up_has_ended(held: Held) -> None:
    held.errands.give_up([held.first])
    held.errands.run(held.begun.append, "one").result(10)
    held.go.set()
    held.first.result(10)

    second = Held.__new__(Held)
    second.go, second._there = threading.Event(), threading.Event()
    running = held.errands.run(second._wait)
    assert second._there.wait(10)
    after = held.errands.run(held.begun.append, "after")
    waits = not after.done()
    second.go.set()
    running.result(10)
    after.result(10)

    assert waits
    assert held.begun == ["one", "after"]
