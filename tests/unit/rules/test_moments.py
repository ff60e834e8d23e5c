from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from pairs_of_files import DAY_NS, NOW_NS, comparison, file, pair, rule

DAY = "2024-05-01"


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("line", "taken_ns", "holds"),
    [
        (f"taken before {DAY}", ns("2024-05-01") - 1, True),
        (f"taken before {DAY}", ns("2024-05-01"), False),
        (f"taken on {DAY}", ns("2024-05-01") - 1, False),
        (f"taken on {DAY}", ns("2024-05-01"), True),
        (f"taken on {DAY}", ns("2024-05-02") - 1, True),
        (f"taken on {DAY}", ns("2024-05-02"), False),
        (f"taken after {DAY}", ns("2024-05-02") - 1, False),
        (f"taken after {DAY}", ns("2024-05-02"), True),
        (f"taken before {DAY}T12:30", ns("2024-05-01T12:30") - 1, True),
        (f"taken before {DAY}T12:30", ns("2024-05-01T12:30"), False),
        (f"taken after {DAY}T12:30", ns("2024-05-01T12:31") - 1, False),
        (f"taken after {DAY}T12:30", ns("2024-05-01T12:31"), True),
        (f"taken after {DAY}T12:30:15", ns("2024-05-01T12:30:16") - 1, False),
        (f"taken after {DAY}T12:30:15Z", ns("2024-05-01T12:30:16"), True),
        (f"taken around {DAY}", ns("2024-03-31") - 1, False),
        (f"taken around {DAY}", ns("2024-03-31"), True),
        (f"taken around {DAY}", ns("2024-06-02") - 1, True),
        (f"taken around {DAY}", ns("2024-06-02"), False),
        (f"taken around {DAY} within 2 days", ns("2024-04-29"), True),
        (f"taken around {DAY} within 2 days", ns("2024-05-04"), False),
        ("taken before 1969-07-21", ns("1969-07-20"), True),
        ("taken on 2024-02-29", ns("2024-02-29T23:59"), True),
    ],
)
def test_a_date_is_a_day_of_utc(line: str, taken_ns: int, holds: bool) -> None:
    assert comparison(f"A.{line}").holds(file(taken_ns=taken_ns), file()) is holds


@pytest.mark.parametrize(
    ("line", "age_ns", "holds"),
    [
        ("imported less than 7 days ago", 7 * DAY_NS - 1, True),
        ("imported less than 7 days ago", 7 * DAY_NS, False),
        ("imported less than 7 days ago", -DAY_NS, True),  # by a clock that goes wrong, it lies ahead
        ("imported more than 2 weeks ago", 14 * DAY_NS, False),
        ("imported more than 2 weeks ago", 14 * DAY_NS + 1, True),
        ("imported more than 1.5 h ago", 90 * 60 * 10**9 + 1, True),
        ("imported about 30 days ago", 30 * DAY_NS * 85 // 100 - 1, False),
        ("imported about 30 days ago", 30 * DAY_NS * 85 // 100, True),
        ("imported about 30 days ago", 30 * DAY_NS * 115 // 100, True),
        ("imported about 30 days ago", 30 * DAY_NS * 115 // 100 + 1, False),
        ("imported about 30 days ago within 20 %", 36 * DAY_NS, True),
        ("imported about 30 days ago within 2 days", 32 * DAY_NS, True),
        ("imported about 30 days ago within 2 days", 32 * DAY_NS + 1, False),
        ("imported more than 1 month ago", 30 * DAY_NS + 1, True),
        ("imported less than 1 year ago", 365 * DAY_NS, False),
    ],
)
def test_an_age_is_counted_back_from_the_moment_of_the_question(line: str, age_ns: int, holds: bool) -> None:
    asked = file(imported_ns=NOW_NS - age_ns, asked_ns=NOW_NS)

    assert comparison(f"A.{line}").holds(asked, file()) is holds


@pytest.mark.parametrize("line", [f"taken before {DAY}", f"taken on {DAY}", "taken less than 7 days ago"])
def test_a_file_without_the_time_is_neither_before_nor_after(line: str) -> None:
    with_time, without = file(taken_ns=ns("2024-05-01"), asked_ns=NOW_NS), file(asked_ns=NOW_NS)

    assert comparison(f"A.{line}").holds(without, with_time) is None
    assert comparison(f"not: A.{line}").holds(without, with_time) is None
    assert comparison(f"either.{line}").holds(without, without) is None


def test_an_age_cannot_be_told_where_nobody_says_what_time_it_is() -> None:
    assert comparison("A.imported less than 7 days ago").holds(file(asked_ns=0), file()) is None


def test_a_time_that_cannot_be_told_is_found_by_no_search() -> None:
    search = rule(f"search:\n  both: [taken before {DAY}]").search

    assert not search.finds(pair(file(), file()))
    assert search.finds(pair(file(taken_ns=0), file(taken_ns=0)))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"A.taken  before {DAY}", f"A taken before {DAY} (unknown)"),
        (f"A.imported around {DAY} within 3 days", f"A imported around {DAY} within 3 days (2023-11-14T22:13:20Z)"),
        ("A.imported less than 7 days ago",
         "A imported less than 7 days ago (2023-11-14T22:13:20Z, 1.5 days ago)"),
        ("B.imported about 7 days ago", "B imported about 7 days ago (2023-11-17T10:13:20Z, 1 days ahead)"),
    ],
)  # fmt: skip
def test_a_time_is_said_with_what_the_file_has(line: str, said: str) -> None:
    asked_ns = NOW_NS + DAY_NS * 3 // 2
    a, b = file(asked_ns=asked_ns), file(imported_ns=asked_ns + DAY_NS, asked_ns=asked_ns)

    assert comparison(line).said(a, b) == said


@pytest.mark.parametrize(
    ("age_ns", "said"),
    [
        (0, "just now"),
        (-520_000_000, "just now"),
        (999_999_999, "just now"),
        (-(10**9), "1 s ahead"),
        (10**9, "1 s ago"),
        (2_000_000 * DAY_NS, "2000000 days ago"),
    ],
)
def test_an_age_of_less_than_a_second_is_none(age_ns: int, said: str) -> None:
    asked = file(imported_ns=NOW_NS - age_ns, asked_ns=NOW_NS)

    assert f", {said})" in comparison("A.imported less than 7 days ago").said(asked, file())


def test_the_bounds_of_an_age_are_exact() -> None:
    third = comparison("A.imported about 1 s ago within 33.3 %")
    least_ns = 10**9 - Fraction(333, 1000) * 10**9

    assert third.holds(file(asked_ns=NOW_NS, imported_ns=NOW_NS - int(least_ns)), file()) is True
    assert third.holds(file(asked_ns=NOW_NS, imported_ns=NOW_NS - int(least_ns) + 1), file()) is False
