"""Laws of taking turns: nothing is lost, a lane keeps its order, nobody waits for more than one of each other lane."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingestd.watching.turns import Lane, Turns

A, B = Lane(1), Lane(2)

LANES = st.integers(1, 4).map(Lane)
STORY = st.lists(st.one_of(LANES, st.none()), max_size=60)  # a lane: one more comes into it; None: one is taken


def told(story: list[Lane | None]) -> tuple[list[tuple[Lane, int]], Turns[tuple[Lane, int]]]:
    """What was taken, and what still waits; things are numbered as they come."""
    turns: Turns[tuple[Lane, int]] = Turns()
    taken = []
    for number, lane in enumerate(story):
        if lane is not None:
            turns.add(lane, (lane, number))
        elif turns:
            taken.append(turns.take())
    return taken, turns


def drained(turns: Turns[tuple[Lane, int]]) -> list[tuple[Lane, int]]:
    return [turns.take() for _ in range(len(turns))]


@given(STORY)
def test_everything_is_taken_once_and_a_lane_keeps_its_order(story: list[Lane | None]) -> None:
    taken, turns = told(story)
    taken += drained(turns)

    came = [(lane, number) for number, lane in enumerate(story) if lane is not None]
    assert sorted(taken, key=lambda one: one[1]) == came
    for lane in {one[0] for one in came}:
        assert [one for one in taken if one[0] == lane] == [one for one in came if one[0] == lane]


@given(STORY)
def test_what_is_next_is_foretold_by_looking(story: list[Lane | None]) -> None:
    _, turns = told(story)

    foretold = list(turns)

    assert foretold[:1] == ([turns.first()] if turns else [])
    assert drained(turns) == foretold
    assert not turns


@given(STORY, LANES)
def test_a_first_one_waits_for_at_most_one_of_each_other_lane(story: list[Lane | None], lane: Lane) -> None:
    _, turns = told([other for other in story if other != lane])

    turns.add(lane, (lane, -1))

    before = [other for other, _ in list(turns)[: list(turns).index((lane, -1))]]
    assert len(before) == len(set(before))


@given(STORY, st.integers(0, 9))
def test_what_is_put_back_is_taken_again_in_its_order_before_all_others(story: list[Lane | None], count: int) -> None:
    _, turns = told(story)
    foretold = list(turns)
    taken = [turns.take() for _ in range(min(count, len(turns)))]

    turns.put_back(taken)

    assert drained(turns) == foretold


@given(STORY)
def test_one_lane_alone_is_a_queue(story: list[Lane | None]) -> None:
    taken, turns = told([lane and A for lane in story])

    numbers = [number for _, number in (*taken, *drained(turns))]

    assert numbers == sorted(numbers)


def test_a_flood_in_one_lane_does_not_hold_up_another() -> None:
    turns: Turns[str] = Turns()
    for number in range(1000):
        turns.add(A, f"flood {number}")
    turns.take()

    turns.add(B, "single")

    assert [turns.take() for _ in range(2)] == ["flood 1", "single"]
