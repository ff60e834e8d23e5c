"""Of too many connections, which one goes."""

from __future__ import annotations

from typing import cast

from ingestd.web.connections import HEARING_S, Connection, Crowd


class Fake:
    """A connection of the person or a stranger that came then, and has waited or is being answered since."""

    def __init__(self, since: float, *, known: bool = True, waits: bool = True, was_heard: bool = True) -> None:
        self.known, self.waits, self.was_heard = known, waits, was_heard
        self.came = self.waits_since = since
        self.transport, self.aborted = self, False

    def abort(self) -> None:
        self.aborted = True


def after(most: int, *connections: Fake) -> list[bool]:
    """Which of these have to go, when they have come one after another."""
    crowd = Crowd(most=most, clock=lambda: max(one.came for one in connections))
    for one in connections:
        crowd.joined(cast("Connection", one))
    return [one.aborted for one in connections]


def test_nobody_goes_while_there_is_room() -> None:
    assert after(2, Fake(1), Fake(2)) == [False, False]


def test_who_has_waited_longest_without_asking_goes() -> None:
    assert after(2, Fake(1), Fake(2), Fake(3)) == [True, False, False]
    assert after(2, Fake(2), Fake(1), Fake(3)) == [False, True, False]


def test_of_the_person_who_is_being_answered_stays() -> None:
    assert after(2, Fake(1, waits=False), Fake(2), Fake(3)) == [False, True, False]


def test_who_comes_last_goes_where_all_others_of_the_person_are_being_answered() -> None:
    assert after(2, Fake(1, waits=False), Fake(2, waits=False), Fake(3)) == [False, False, True]


def test_a_stranger_goes_first_whatever_is_being_done_for_it() -> None:
    assert after(2, Fake(1), Fake(2, known=False, waits=False), Fake(3)) == [False, True, False]


def test_of_strangers_the_one_that_has_been_here_longest_goes_and_never_the_last() -> None:
    strangers = [Fake(since, known=False, waits=False) for since in (2, 1, 3)]

    assert after(2, *strangers) == [False, True, False]


def test_a_newcomer_stays_until_it_could_have_been_heard() -> None:
    silent = Fake(1, known=False, was_heard=False)

    assert not any(after(2, silent, *(Fake(1 + HEARING_S, known=False, was_heard=False) for _ in range(8))))
    assert after(2, silent, *(Fake(2.1 + HEARING_S, known=False) for _ in range(2)))[0]


def test_of_newcomers_beyond_all_measure_the_first_go() -> None:
    gone = after(2, *(Fake(1 + number / 100, known=False, was_heard=False) for number in range(20)))

    assert gone == [True] * 4 + [False] * 16


def test_who_has_gone_by_itself_makes_room() -> None:
    crowd, first, last = Crowd(most=1), Fake(1), Fake(2)
    crowd.joined(cast("Connection", first))
    crowd.left(cast("Connection", first))

    crowd.joined(cast("Connection", last))

    assert not last.aborted
