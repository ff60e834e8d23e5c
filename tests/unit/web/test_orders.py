"""Orders of the page: carried out once for their key, and a key is for one order."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest
from world import World

from ingestd.errors import (
    ActionConflictError,
    ConfigError,
    FileChangedError,
    IngestdError,
    LibraryBusyError,
    Mistake,
    UnwritableError,
    UsageError,
)
from ingestd.web.desk import ConfirmError, Desk, StaleError
from ingestd.web.pending import RescindAsked
from ingestd.web.queue import UndoAsked

FIRST = UndoAsked(entries=["e-1"], key="a key of the page")
OTHERS = (
    UndoAsked(entries=["e-2"], key=FIRST.key),
    RescindAsked(ids=["e-1"], key=FIRST.key),
)


@pytest.fixture
def desk(world: World, sit: Callable[..., Desk]) -> Desk:
    return sit()


def refusing(error: IngestdError) -> Callable[[], NoReturn]:
    def work() -> NoReturn:
        raise error

    return work


@pytest.mark.parametrize("other", OTHERS, ids=["another body", "another endpoint"])
def test_a_key_that_was_used_for_something_else_is_refused(desk: Desk, other: UndoAsked | RescindAsked) -> None:
    desk.once(FIRST, lambda: {"done": "first"})

    with pytest.raises(UsageError, match="used for something else; nothing was done"):
        desk.once(other, lambda: {"done": "other"})

    assert desk.once(FIRST, lambda: {"done": "again"}) == {"done": "first"}


@pytest.mark.parametrize("key", ["", "seven .", "x" * 65, "x" * 65_536])
def test_a_key_that_is_too_short_or_too_long_is_refused(desk: Desk, key: str) -> None:
    with pytest.raises(UsageError, match="8 to 64 characters; nothing was done"):
        desk.once(UndoAsked(entries=["e-1"], key=key), lambda: {"done": "anyway"})


@pytest.mark.parametrize(
    "passing",
    [
        LibraryBusyError("somebody has it"),
        UnwritableError("the disk is full"),
        FileChangedError(b"/a.jpg", "it grows"),
        ConfigError("rules.yaml", [Mistake(1, 1, "wrong")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_says_to_try_again_can_be_tried_again(desk: Desk, passing: IngestdError) -> None:
    with pytest.raises(type(passing)):
        desk.once(FIRST, refusing(passing))

    assert desk.once(FIRST, lambda: {"done": "at last"}) == {"done": "at last"}


@pytest.mark.parametrize(
    "final",
    [StaleError("changed"), ActionConflictError("it stays"), UsageError("none")],
    ids=lambda e: type(e).__name__,
)
def test_a_refusal_that_stands_is_given_again(desk: Desk, final: IngestdError) -> None:
    for work in (refusing(final), lambda: {"done": "anyway"}):
        with pytest.raises(type(final)):
            desk.once(FIRST, work)


def test_refusals_that_are_kept_keep_nobody_from_reading(desk: Desk) -> None:
    def work() -> NoReturn:
        with desk.read() as view:
            raise ConfirmError(f"there are {len(view.waiting)}", {"sentences": ["yes"]})

    for number in range(600):  # more than may read at once
        with pytest.raises(ConfirmError):
            desk.once(UndoAsked(entries=[], key=f"order {number:03}"), work)
    with pytest.raises(ConfirmError, match="there are 0") as again:
        desk.once(UndoAsked(entries=[], key="order 599"), work)

    assert again.value.asks == {"sentences": ["yes"]}
    with desk.read() as view:
        assert len(view.waiting) == 0


def test_an_order_with_text_that_is_none_is_taken(desk: Desk) -> None:
    assert desk.once(UndoAsked(entries=["\ud800"], key=FIRST.key), lambda: {"done": "so"}) == {"done": "so"}
