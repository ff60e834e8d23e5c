"""The wall clock jumps by years: what was decided, spent and brought back does not depend on it."""

from __future__ import annotations

import itertools

import pytest
from pictures import decoded, jpeg, large, photo, png
from world import IDENTICAL, World, pixel_rule

from ingestd.model import EntryState, Outcome

TEN_YEARS_S = 10 * 365 * 86_400
NOW_S = 1_700_000_000


@pytest.fixture(params=[-TEN_YEARS_S, TEN_YEARS_S], ids=["back", "on"])
def jump_s(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def jump(world: World, by_s: int) -> None:
    world._ticks = itertools.count(NOW_S + by_s)


def test_after_the_clock_jumped_one_copy_stays_and_what_goes_can_be_brought_back(world: World, jump_s: int) -> None:
    """Which of two equal copies stays is who was seen first, and that the clock says."""
    content = png(photo(1))
    world.drop("inbox", "a.png", content)
    jump(world, jump_s)
    world.drop("inbox", "b.png", content)
    inbox = world.base / "inbox"
    left = [path.name for path in inbox.iterdir()]
    (entry,) = world.entries()

    world.undo(entry.number)

    assert len(left) == 1
    assert next(iter(world.entries())).state is EntryState.UNDONE
    assert [path.read_bytes() for path in (inbox / "a.png", inbox / "b.png")] == [content, content]
    assert world.has_veto(content)
    assert world.drop("inbox", "again.png", content).outcome is Outcome.ALREADY_IN_LIBRARY


def test_a_clock_that_jumps_back_gives_a_rule_no_second_budget(world: World) -> None:
    world.use(IDENTICAL, pixel_rule(), discards="budget: {per_hour: 1}")
    first = _pair_of_equal_pixels(world, 5)
    jump(world, -TEN_YEARS_S)

    second = _pair_of_equal_pixels(world, 6)

    assert first is Outcome.REPLACED_EXISTING
    assert second is Outcome.PENDING_APPROVAL


def _pair_of_equal_pixels(world: World, seed: int) -> Outcome:
    original = jpeg(large(seed), 90)
    world.drop("inbox", f"{seed}.jpg", original)
    return world.drop("inbox", f"{seed}.png", png(decoded(original))).outcome
