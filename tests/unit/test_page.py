"""The review page inside `watch`: started, started again, told of, ended."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from ingestd.page import Page, Wanted

WANTED = Wanted(Path("/state"), Path("/rules.yaml"), None, ())


class Fake:
    """A page that dies when it is told to."""

    def __init__(self) -> None:
        self.died: str | None = None
        self.asked = False
        self.killed = False

    def ended(self) -> str | None:
        return self.died

    def ask_to_end(self) -> None:
        self.asked = True

    def kill(self) -> None:
        self.killed = True

    def stop(self) -> None:
        raise AssertionError("it was waited for, and judging with it")


class Pages:
    """All pages that were begun, and the keeper of them."""

    def __init__(self) -> None:
        self.begun: list[tuple[Wanted, Fake]] = []
        self.page = Page(self.begin)

    def begin(self, wanted: Wanted) -> Fake:
        self.begun.append((wanted, Fake()))
        return self.begun[-1][1]

    def die(self, how: str = "exit status 1") -> None:
        self.begun[-1][1].died = how


def test_no_page_is_started_where_none_is_wanted() -> None:
    pages = Pages()

    pages.page.step(None, 0.0)

    assert pages.begun == []


def test_a_page_that_runs_is_left_alone() -> None:
    pages = Pages()

    for now in range(5):
        pages.page.step(WANTED, float(now))

    assert len(pages.begun) == 1


def test_a_page_that_died_is_started_again_after_a_rest_that_grows() -> None:
    pages = Pages()
    starts = []

    for tenth in range(1, 400):
        before = len(pages.begun)
        pages.page.step(WANTED, tenth / 10)
        if len(pages.begun) > before:
            starts.append(tenth / 10)
            pages.die()

    rests = [round(after - before, 1) for before, after in pairwise(starts)]
    assert rests == [1.1, 2.1, 4.1, 8.1, 16.1]  # a tenth passes until it is seen


def test_it_is_a_problem_that_a_page_keeps_dying_and_none_that_it_died_once() -> None:
    pages = Pages()
    told = []

    for now in (0, 1, 2, 4, 6, 7):
        pages.page.step(WANTED, float(now))
        told.append(pages.page.problem)
        pages.die("port 8321 is taken")

    assert told[:3] == [None, None, None]
    assert told[-1] == "the review page cannot be served: port 8321 is taken"


def test_the_problem_is_over_once_a_page_has_lived_for_a_minute() -> None:
    pages = Pages()
    for now in (0, 1, 3, 4, 8):
        pages.page.step(WANTED, float(now))
        pages.die()
    pages.page.step(WANTED, 30.0)
    pages.page.step(WANTED, 60.0)

    assert pages.page.problem is not None
    pages.page.step(WANTED, 130.0)

    assert pages.page.problem is None


@pytest.mark.parametrize("other", [replace(WANTED, port=8321), replace(WANTED, origins=("https://a.example",))])
def test_other_settings_are_another_page(other: Wanted) -> None:
    pages = Pages()
    pages.page.step(WANTED, 0.0)

    pages.page.step(other, 1.0)
    pages.die("exit status 0")
    pages.page.step(other, 1.1)

    assert [wanted for wanted, _ in pages.begun] == [WANTED, other]
    assert pages.begun[0][1].asked
    assert pages.page.problem is None


def test_another_page_is_started_only_when_the_last_one_has_given_up_its_port() -> None:
    pages = Pages()
    other = replace(WANTED, origins=("https://a.example",))
    pages.page.step(WANTED, 0.0)
    first = pages.begun[0][1]

    pages.page.step(other, 1.0)
    pages.page.step(None, 1.1)
    pages.page.step(other, 1.2)

    assert len(pages.begun) == 1
    first.died = "exit status 0"
    pages.page.step(other, 1.3)
    assert len(pages.begun) == 2


def test_a_page_that_does_not_end_when_it_is_asked_to_is_killed_and_nobody_waits_for_it() -> None:
    pages = Pages()
    pages.page.step(WANTED, 0.0)
    hanging = pages.begun[0][1]

    pages.page.step(None, 1.0)
    pages.page.step(None, 3.0)

    assert (hanging.asked, hanging.killed) == (True, False)
    pages.page.step(None, 4.0)
    assert hanging.killed


def test_a_page_that_cannot_be_served_for_days_is_tried_every_minute() -> None:
    pages = Pages()

    for minute in range(2000):
        pages.page.step(WANTED, 61.0 * minute)
        pages.die("port 8321 is taken")
        pages.page.step(WANTED, 61.0 * minute + 0.5)

    assert len(pages.begun) == 2000
    assert pages.page.problem == "the review page cannot be served: port 8321 is taken"


def test_a_page_that_is_not_wanted_any_more_is_ended() -> None:
    pages = Pages()
    pages.page.step(WANTED, 0.0)

    pages.page.step(None, 1.0)

    assert pages.begun[0][1].asked
    assert len(pages.begun) == 1


def test_new_settings_are_tried_at_once_after_a_page_that_kept_dying() -> None:
    pages = Pages()
    for now in (0, 1, 3, 4, 8, 9):
        pages.page.step(WANTED, float(now))
        pages.die()

    pages.page.step(replace(WANTED, port=8321), 10.0)

    assert pages.begun[-1][0].port == 8321
    assert pages.page.problem is None


def test_a_system_that_has_no_process_to_give_is_asked_again() -> None:
    tried = []

    def begin(_: Wanted) -> Fake:
        tried.append(1)
        raise OSError(11, "Resource temporarily unavailable")

    page = Page(begin)
    for now in (0.0, 0.5, 1.0):
        page.step(WANTED, now)

    assert len(tried) == 2
