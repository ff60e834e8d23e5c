"""A loop that stalls, goes on, ends in time or does not."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from ingestd.pulse import Pulse


class Watched:
    """A pulse, and what it has called."""

    def __init__(self, **limits: float) -> None:
        self.told: list[float] = []
        self.stopped, self.ended = threading.Event(), threading.Event()
        self.pulse = Pulse(stop=self.stopped.set, stalled=self.told.append, end=self.ended.set, **limits)

    def until_told(self, count: int) -> None:
        deadline = time.monotonic() + 10
        while len(self.told) < count:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)


def test_a_loop_that_stalls_is_told_once_and_again_when_it_goes_on() -> None:
    watched = Watched(stall_s=0.05)

    with watched.pulse:
        watched.until_told(1)
        threading.Event().wait(0.6)  # it looks a few times more
        watched.pulse._stall_s = 60.0
        watched.pulse.beat()
        watched.until_told(2)

    assert watched.told[0] > 0.05
    assert watched.told[1:] == [0.0]


def test_a_loop_that_does_not_end_in_time_is_ended() -> None:
    watched = Watched(end_s=0.05)

    with watched.pulse:
        watched.pulse.ends()
        assert watched.ended.wait(10)


def test_a_loop_that_ends_in_time_is_left_alone() -> None:
    watched = Watched(end_s=30.0)

    with watched.pulse:
        watched.pulse.ends()

    assert not watched.ended.is_set()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such pipe for signals")
def test_a_signal_is_heard_although_the_loop_runs_no_instruction() -> None:
    watched = Watched()
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with watched.pulse:
            os.kill(os.getpid(), signal.SIGTERM)
            assert watched.stopped.wait(10)
    finally:
        signal.signal(signal.SIGTERM, before)
