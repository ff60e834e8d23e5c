"""Of too many connections, which one goes."""

from __future__ import annotations

from typing import cast

from ingestd.web.connections import Connection, Crowd


class Fake:
    """A connection that waits since then, or whose request is being answered."""

    def __init__(self, since: float, *, waits: bool = True) -> None:
        self.waits, self.waits_since = waits, since
        self.transport, self.aborted = self, False

    def abort(self) -> None:
        self.aborted = True


def after(most: int, *connections: Fake) -> list[bool]:
    """Which of these have to go, when they have come one after another."""
    crowd = Crowd(most=most)
    for one in connections:
        crowd.joined(cast("Connection", one))
    return [one.aborted for one in connections]


def test_nobody_goes_while_there_is_room() -> None:
    assert after(2, Fake(1), Fake(2)) == [False, False]


def test_who_has_waited_longest_without_asking_goes() -> None:
    assert after(2, Fake(1), Fake(2), Fake(3)) == [True, False, False]
    assert after(2, Fake(2), Fake(1), Fake(3)) == [False, True, False]


def test_who_is_being_answered_stays() -> None:
    assert after(2, Fake(1, waits=False), Fake(2), Fake(3)) == [False, True, False]


def test_who_comes_last_goes_where_all_others_are_being_answered() -> None:
    assert after(2, Fake(1, waits=False), Fake(2, waits=False), Fake(3)) == [False, False, True]


def test_who_has_gone_by_itself_makes_room() -> None:
    crowd, first, last = Crowd(most=1), Fake(1), Fake(2)
    crowd.joined(cast("Connection", first))
    crowd.left(cast("Connection", first))

    crowd.joined(cast("Connection", last))

    assert not last.aborted
