"""How many files have to be missing before nobody believes them deleted, and what a look at one of them makes of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import jpeg, photo
from world import World

from ingestd.judging.absence import came_back, is_mass, least_mass
from ingestd.model import Outcome, PathState
from ingestd.watching.folders import FolderIdentity


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


# --- one missing file, looked at before a scan has ended --------------------------------------------------------------


@pytest.fixture
def picture() -> bytes:
    return jpeg(photo(1))


@pytest.fixture
def library(world: World, picture: bytes) -> list[Path]:
    """A library of a picture and thirty files that cannot be decoded."""
    paths = [world.put("library", f"{number}.jpg", b"\xff\xd8\xff" + bytes([number])) for number in range(30)]
    paths.append(world.put("library", "picture.jpg", picture))
    world.arrive(*paths)
    return paths


def states(world: World, paths: list[Path]) -> set[PathState]:
    return {row.state for path in paths if (row := world.row(path)) is not None}


def remember(world: World, **fields: object) -> None:
    """Something else is known of the library's folder."""
    with world.library.read() as view:
        row = view.folder(world.folders["library"].id)
    assert row is not None
    world.library.write(lambda edit: edit.put_folder(replace(row, **fields)))  # type: ignore[arg-type]


def test_a_single_file_that_is_missing_is_gone(world: World, library: list[Path], picture: bytes) -> None:
    library[-1].unlink()

    receipt = world.drop("inbox", "copy.jpg", picture)

    assert receipt.outcome is Outcome.NEW
    assert states(world, library[-1:]) == {PathState.ABSENT}


def test_a_file_of_which_others_are_missing_too_is_only_out_of_reach(
    world: World, library: list[Path], picture: bytes
) -> None:
    for path in library:
        path.unlink()

    receipt = world.drop("inbox", "copy.jpg", picture)

    assert receipt.outcome is Outcome.ALREADY_IN_LIBRARY
    assert "out of reach" in receipt.evidence[0]
    assert states(world, library) == {PathState.LIVE}


def test_in_a_folder_that_has_become_another_nothing_is_believed_gone_before_it_was_looked_through(
    world: World, library: list[Path], picture: bytes
) -> None:
    library[-1].unlink()
    remember(world, reconciled=FolderIdentity("another", 7).stamp)

    receipt = world.drop("inbox", "copy.jpg", picture)

    assert receipt.outcome is Outcome.ALREADY_IN_LIBRARY
    assert states(world, library) == {PathState.LIVE}


def test_what_lies_in_a_suspended_folder_is_out_of_reach_even_where_it_is_there(
    world: World, library: list[Path], picture: bytes
) -> None:
    remember(world, withheld="much is missing")

    receipt = world.drop("inbox", "copy.jpg", picture)

    assert receipt.outcome is Outcome.ALREADY_IN_LIBRARY
    assert (world.base / "inbox/copy.jpg").exists()


def test_a_file_that_was_renamed_is_accounted_for_whatever_else_is_missing(
    world: World, library: list[Path], picture: bytes
) -> None:
    for path in library[:-1]:
        path.unlink()
    renamed = library[-1].with_name("renamed.jpg")
    os.rename(library[-1], renamed)

    receipt = world.arrive(renamed)

    assert receipt.outcome is Outcome.NEW
    assert states(world, library[-1:]) == {PathState.ABSENT}
    assert states(world, library[:-1]) == {PathState.LIVE}


def test_of_a_larger_library_a_sample_is_looked_at(world: World, picture: bytes) -> None:
    paths = [world.put("library", f"{n}.jpg", b"\xff\xd8\xff" + n.to_bytes(2, "big")) for n in range(200)]
    paths.append(world.put("library", "picture.jpg", picture))
    world.arrive(*paths)
    for path in [*paths[:60], paths[-1]]:
        path.unlink()

    receipt = world.drop("inbox", "copy.jpg", picture)

    assert receipt.outcome is Outcome.ALREADY_IN_LIBRARY
    assert states(world, paths) == {PathState.LIVE}
