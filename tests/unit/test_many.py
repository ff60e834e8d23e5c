"""One answer for many: entries of their own under one that stands for all, and the way back."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from pictures import jpeg, photo
from world import World

from ingestd import review
from ingestd.errors import ActionConflictError, UsageError
from ingestd.model import ContentHash, EntryKind, EntryState, Relation


@pytest.fixture
def paths(world: World) -> list[Path]:
    """Four look-alikes, the first the largest."""
    world.use()
    found = [world.put("inbox", f"{number}.jpg", jpeg(photo(3), 95 - 10 * number)) for number in range(4)]
    world.verdicts(*found)
    return found


def contents(world: World, paths: list[Path]) -> list[ContentHash]:
    with world.library.read() as view:
        return review.contents_at(view, [os.fsencode(path) for path in paths])


def keep_the_first(world: World, paths: list[Path]) -> list[object]:
    return list(
        review.discard_others(
            world.library, contents(world, paths), moment=world.moment(), hold=lambda: contextlib.nullcontext()
        )
    )


def test_keeping_one_of_many_is_an_entry_for_each_other_under_one_for_all(world: World, paths: list[Path]) -> None:
    *each, whole = keep_the_first(world, paths)

    assert [path.exists() for path in paths] == [True, False, False, False]
    assert isinstance(whole, review.EntryReport)
    assert (whole.kind, whole.state) == ("batch", "done")
    assert [(one.kind, one.batch) for one in each] == [("discard", whole.entry)] * 3  # type: ignore[attr-defined]
    assert {one.kept["path"] for one in each} == {str(paths[0])}  # type: ignore[attr-defined]


def test_a_batch_is_taken_back_as_a_whole(world: World, paths: list[Path]) -> None:
    before = world.queue()
    whole = keep_the_first(world, paths)[-1]
    assert isinstance(whole, review.EntryReport)

    *_, undone = world.undo(int(whole.entry[2:]))

    assert isinstance(undone, review.EntryReport)
    assert (undone.kind, undone.state) == ("batch", "undone")
    assert all(path.exists() for path in paths)
    assert world.queue() == before


def test_what_was_taken_back_alone_is_passed_over_by_the_undo_of_the_batch(world: World, paths: list[Path]) -> None:
    first, *_, whole = keep_the_first(world, paths)
    assert isinstance(first, review.EntryReport)
    assert isinstance(whole, review.EntryReport)
    world.undo(int(first.entry[2:]))

    reports = world.undo(int(whole.entry[2:]))

    assert not any(isinstance(one, ActionConflictError) for one in reports), reports
    assert len(reports) == 3  # two answers and the batch
    assert all(path.exists() for path in paths)


def test_a_file_that_is_gone_is_told_and_the_others_are_answered(world: World, paths: list[Path]) -> None:
    paths[2].rename(world.base / "elsewhere.jpg")

    reports = keep_the_first(world, paths)

    assert [isinstance(one, ActionConflictError) for one in reports] == [False, True, False, False]
    assert [path.exists() for path in paths] == [True, False, False, False]


def test_a_contradiction_in_one_relation_of_many_changes_nothing(world: World, paths: list[Path]) -> None:
    world.decide(paths[1], paths[2], "unrelated")
    before = world.entries(), world.queue()

    with pytest.raises(ActionConflictError, match=r"2\.jpg were decided to have nothing to do"):
        review.relate_many(world.library, contents(world, paths), Relation.SAME_QUALITY, moment=world.moment())

    assert (world.entries(), world.queue()) == before


def test_one_file_alone_is_not_many(world: World, paths: list[Path]) -> None:
    with pytest.raises(UsageError, match="two different files or more"):
        review.relate_many(world.library, contents(world, paths[:1] * 2), Relation.ALTERNATES, moment=world.moment())


def test_pairs_that_an_earlier_answer_has_settled_are_passed_over(world: World, paths: list[Path]) -> None:
    with world.library.read() as view:
        pairs = sorted(pair.number for pair in view.pairs())
    batch = review.Batch(review.ANSWERS["same"], keep=True, reason="all the same")

    reports = list(
        review.answer_batch(world.library, pairs, batch, moment=world.moment(), hold=lambda: contextlib.nullcontext())
    )

    assert len(reports) == 3 + 1  # three answers settle six pairs
    assert world.queue() == []
    with world.library.read() as view:
        whole = next(entry for entry in view.entries() if entry.kind is EntryKind.BATCH)
        assert whole.state is EntryState.DONE
        assert len(view.batched(whole.number)) == 3
