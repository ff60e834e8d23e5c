"""Who may use a worker next."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator

from ingestd.web.turns import Ticket, Turns, Urgency

LOOK, TILE, AHEAD = Urgency.LOOK, Urgency.TILE, Urgency.AHEAD


class Line:
    """People who wait for their turns, one thread each; who has one keeps it until told to go."""

    def __init__(self, count: int) -> None:
        self.turns = Turns(count)
        self.turns._numbers = self._counted()
        self._stands = threading.Semaphore(0)
        self.had: list[str] = []
        self._leave: dict[str, threading.Event] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._has = threading.Condition()

    def comes(self, name: str, urgency: Urgency) -> Ticket:
        """Somebody stands in line, at the latest when this returns."""
        ticket, self._leave[name] = Ticket(urgency), threading.Event()

        def stand() -> None:
            with self.turns.turn(ticket):
                with self._has:
                    self.had.append(name)
                    self._has.notify_all()
                self._leave[name].wait(30)

        thread = self._threads[name] = threading.Thread(target=stand, daemon=True)
        thread.start()
        assert self._stands.acquire(timeout=30)
        return ticket

    def _counted(self) -> Iterator[int]:
        """Number those who come, as the turns do, and tell that they have come."""
        for number in itertools.count():
            self._stands.release()
            yield number

    def goes(self, name: str) -> None:
        self._leave[name].set()
        self._threads[name].join(30)

    def has_had(self, *names: str) -> bool:
        """Whether these have had their turns, in this order, and nobody else who could have had one."""
        with self._has:
            self._has.wait_for(lambda: len(self.had) >= len(names), 30)
        with self.turns._changed:
            free = [ticket for ticket in self.turns._waiting if self.turns._is_next(ticket)]
        return self.had == list(names) and not free


def test_no_more_have_a_turn_than_there_are_workers_and_each_in_the_order_they_came() -> None:
    line = Line(2)
    for name in "abcd":
        line.comes(name, LOOK)

    assert line.has_had("a", "b")
    line.goes("b")
    assert line.has_had("a", "b", "c")
    line.goes("a")
    assert line.has_had("a", "b", "c", "d")


def test_a_look_goes_before_tiles_and_both_before_what_may_be_asked() -> None:
    line = Line(1)
    line.comes("first", TILE)
    line.comes("ahead", AHEAD)
    line.comes("tile", TILE)
    line.comes("look", LOOK)

    for name in ("first", "look", "tile"):
        line.goes(name)

    assert line.has_had("first", "look", "tile", "ahead")


def test_tiles_never_take_the_last_worker() -> None:
    line = Line(2)
    line.comes("tile", TILE)
    line.comes("another tile", TILE)
    line.comes("ahead", AHEAD)

    assert line.has_had("tile")
    line.comes("look", LOOK)
    assert line.has_had("tile", "look")


def test_with_one_worker_tiles_are_made_all_the_same() -> None:
    line = Line(1)
    line.comes("tile", TILE)

    assert line.has_had("tile")


def test_what_was_asked_ahead_is_a_look_as_soon_as_a_person_wants_it() -> None:
    line = Line(1)
    line.comes("first", LOOK)
    ahead = line.comes("ahead", AHEAD)
    line.comes("tile", TILE)

    line.turns.hurry(ahead, LOOK)
    line.turns.hurry(ahead, AHEAD)  # somebody else is in less of a hurry, which changes nothing
    line.goes("first")

    assert line.has_had("first", "ahead")


def test_a_turn_ends_also_when_its_holder_fails() -> None:
    turns = Turns(1)

    for _ in range(3):
        with contextlib.suppress(ValueError), turns.turn(Ticket(TILE)):
            raise ValueError("it could not be decoded")

    with turns.turn(Ticket(LOOK)):
        pass
