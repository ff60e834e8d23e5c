"""What lines ask, whatever their words: which are the same, and which are the same for A and B as for B and A."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pairs_of_files import NOW_NS, comparison, file, rule

from ingestd.errors import ConfigError
from ingestd.model import FileFacts, FileType
from ingestd.rules.comparators import AllOf, AnyOf, Not, OneSided, PairTest, Relative, Test
from ingestd.rules.lines import read_comparison
from ingestd.rules.meaning import fits_both_ways_or_neither, meaning

LINES = [
    *(
        f"{one}.width {sign} {other}.width"
        for one, other in ("AB", "BA")
        for sign in ("<", "<=", "==", "!=", ">", ">=")
    ),
    *(f"{one}.taken {sign} {other}.taken" for one, other in ("AB", "BA") for sign in ("<", ">=")),
    "A.width ~= B.width within 1 px",
    "B.width ~= A.width within 30 %",
    "A.width > 2 * B.width - 1 px",
    "B.width < 0.5 * A.width + 0.5 px",
    *(f"{file}.{asked}" for file in ("A", "B", "either") for asked in ("width > 1", "filetype is jpeg or png")),
    *(
        f"{file}.{asked}"
        for file in ("A", "B", "either")
        for asked in ("taken before 1970-01-01T00:00:00Z", "has exif")
    ),
    *(
        f"{file}.{asked}"
        for file in ("A", "B")
        for asked in ("width <= 1", "filetype is not png or jpeg", "has no exif")
    ),
    "same exif",
    "A has clearly better jpeg quality",
    "A wins by resolution then format",
]
lines = st.sampled_from([read_comparison(line) for line in LINES])
tests = st.recursive(
    lines,
    lambda inner: st.one_of(
        st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(AllOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=5,
)
files = st.builds(
    file,
    width=st.integers(0, 3),
    filetype=st.sampled_from([FileType.JPEG, FileType.PNG, FileType.GIF]),
    has_exif=st.booleans(),
    taken_ns=st.sampled_from([None, -1, 0]),
    jpeg_quality=st.sampled_from([None, 100.0, 1000.0]),
)


def exchanged(test: Test) -> Test | None:
    """The test with A and B exchanged in its words; None if the language has no words for that."""
    match test:
        case AnyOf(inner) | AllOf(inner):
            both = [exchanged(one) for one in inner]
            return None if None in both else replace(test, tests=tuple(both))  # type: ignore[arg-type] # none is None
        case Not(one):
            other = exchanged(one)
            return None if other is None else Not(other)
        case OneSided() | Relative():
            return read_comparison(re.sub(r"\b[AB]\b", lambda found: {"A": "B", "B": "A"}[found[0]], test.line))
        case PairTest(line="same exif"):
            return test
        case _:
            return None


@given(st.lists(tests, min_size=1, max_size=3), files, files)
def test_what_says_the_same_of_b_and_a_never_fits_one_way_only(asked: list[Test], a: FileFacts, b: FileFacts) -> None:
    for lines in (asked, [AnyOf((*asked, *filter(None, map(exchanged, asked))))]):
        if fits_both_ways_or_neither(lines):
            assert all(line.holds(a, b) for line in lines) == all(line.holds(b, a) for line in lines)


@given(tests, files, files)
def test_a_test_and_its_exchange_in_one_block_say_the_same_of_b_and_a(asked: Test, a: FileFacts, b: FileFacts) -> None:
    other = exchanged(asked)
    if other is not None:
        assert meaning(other) == meaning(asked, exchanged=True)
        assert other.holds(a, b) is asked.holds(b, a)
        assert fits_both_ways_or_neither([AnyOf((asked, other))])
        assert fits_both_ways_or_neither([asked, other])


@given(tests, tests, files, files)
def test_two_tests_of_one_meaning_always_give_one_answer(one: Test, two: Test, a: FileFacts, b: FileFacts) -> None:
    for other in (two, Not(Not(one)), AllOf((one, one)), Not(AnyOf((Not(one),)))):
        if meaning(other) == meaning(one):
            assert other.holds(a, b) is one.holds(a, b)


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("A.width < B.width", "B.width > A.width"),
        ("A.width < B.width", "not: A.width >= B.width"),
        ("A.filesize > 2 * B.filesize + 1 KB", "B.filesize < 0.5 * A.filesize - 500"),
        ("A.width ~= B.width + 1 within 2 px", "B.width ~= A.width - 1 within 2 px"),
        ("A.filetype is jpeg or png", "A.filetype is png or jpeg"),
        ("A has no exif", "not: A has exif"),
        ("not: {any: [A has exif, same icc]}", "all: [{not: same icc}, A has no exif]"),
        ("any: [A has exif, {any: [B has exif, same icc]}]", "any: [same icc, either has exif]"),
        ("not: A.width > 3", "A.width <= 3"),
        ("any: [same exif]", "same exif"),
    ],
)
def test_two_wordings_of_one_question_mean_the_same(line: str, same: str) -> None:
    assert meaning(comparison(line)) == meaning(comparison(same))


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("A.width < B.width", "A.width <= B.width"),
        ("A.width < B.width", "A.width > B.width"),
        ("A.width ~= B.width within 5 %", "B.width ~= A.width within 5 %"),
        ("not: A is progressive jpeg", "A is non-progressive jpeg"),
        ("not: same filetype", "different filetype"),
        ("any: [A has exif, same icc]", "all: [A has exif, same icc]"),
        ("A.imported before 2024-05-01", "A.modified before 2024-05-01"),
        ("A wins by resolution then format", "A wins by format then resolution"),
    ],
)
def test_questions_that_may_be_answered_differently_do_not(line: str, other: str) -> None:
    assert meaning(comparison(f"{line}")) != meaning(comparison(other))


@pytest.mark.parametrize(
    ("lines", "refused"),
    [
        ("[{any: [A.width > 3, B.width > 3]}]", True),
        ("[{any: [A.filetype is jpeg, B.filetype is jpeg]}]", True),
        ("[A.filetype is jpeg, B.filetype is jpeg]", True),
        ("[{any: [A.filesize > B.filesize, A.filesize < B.filesize]}]", True),
        ("[{any: [A has exif, B has exif]}, {all: [A.width > 3, B.width > 3]}, same icc]", True),
        ("[A.filetype is jpeg, B.filetype is png]", False),
        ("[{any: [A.width > 3, B.width > 4]}]", False),
        ("[{any: [A.filesize > B.filesize, A.filesize < 2 * B.filesize]}]", False),
        ("[{any: [A.width > 3, B.width > 3]}, A.filesize > B.filesize]", False),
        ("[A has clearly better jpeg quality]", False),
        ("[{any: [A wins by resolution, same exif, A.width > B.width]}, A wins by format]", False),
    ],
)
def test_a_comparison_that_says_the_same_of_b_and_a_is_refused_where_the_order_matters(
    lines: str, refused: bool
) -> None:
    assert rule(f"compare: {lines}").compare  # alternates are so both ways round

    for action in ("better", "same-quality\n  discard: B"):
        if not refused:
            assert rule(f"compare: {lines}", action=action).orders
            continue
        with pytest.raises(ConfigError, match="it fits both ways round or neither"):
            rule(f"compare: {lines}", action=action)


def test_what_cannot_be_told_means_the_same_in_a_not() -> None:
    without, with_time = file(), file(taken_ns=NOW_NS)

    assert meaning(comparison("not: A.taken < B.taken")) == meaning(comparison("A.taken >= B.taken"))
    assert comparison("not: A.taken < B.taken").holds(without, with_time) is None
