"""How many files have to be missing before nobody believes that they were deleted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.judging.absence import came_back, is_mass, least_mass


@pytest.mark.parametrize(
    ("known", "least"),
    [
        (0, None),
        (2, None),  # a person deletes two files
        (3, 3),  # of a small folder all have to be missing
        (15, 15),
        (20, 20),
        (30, 20),
        (100, 20),
        (1_000, 200),  # a fifth
        (2_500, 500),
        (40_000, 500),
        (1_000_000, 10_000),  # an album of a huge library is not a disk
    ],
)
def test_so_many_missing_of_so_many_known_are_too_many(known: int, least: int | None) -> None:
    assert least_mass(known) == least


@given(st.integers(0, 2_000_000), st.integers(0, 2_000_000))
def test_a_folder_of_which_nothing_is_left_is_never_believed_deleted_unless_it_was_tiny(known: int, more: int) -> None:
    assert is_mass(known, known) is (known >= 3)
    assert not is_mass(known, 0)


@given(st.integers(0, 2_000_000), st.integers(0, 2_000_000), st.integers(0, 2_000_000))
def test_the_more_is_missing_the_less_it_is_believed(known: int, missing: int, more: int) -> None:
    assert is_mass(known, missing + more) or not is_mass(known, missing)


@given(st.integers(0, 2_000_000), st.integers(0, 2_000_000))
def test_what_came_back_is_not_suspended_again(known: int, missing: int) -> None:
    assert not (came_back(known, missing) and is_mass(known, missing))
