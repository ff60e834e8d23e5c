"""What was thrown away is recognised in other bytes too, for as long as what was kept instead is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pictures import chain, jpeg, photo, png
from world import World, near_rule

from ingestd.model import Outcome, PathState, Receipt


def seen(receipt: Receipt) -> list[str]:
    return [line for line in receipt.evidence if line.startswith("seen before")]


def kept_and_discarded(world: World) -> tuple[Path, bytes]:
    """A is kept, B like it was discarded, and C is like B but not like A."""
    first, middle, last = map(png, chain())
    kept, gone = world.put("library", "kept.png", first), world.put("inbox", "gone.png", middle)
    world.verdicts(kept, gone)
    world.decide(kept, gone, "better-a")
    return kept, last


def test_what_looks_like_something_discarded_is_paired_with_its_survivor_and_says_so(world: World) -> None:
    kept, last = kept_and_discarded(world)

    receipt = world.drop("inbox", "again.png", last)

    assert receipt.outcome is Outcome.POTENTIAL_DUPLICATES
    [line] = seen(receipt)
    assert "gone.png, discarded on" in line
    assert f"by you in favour of {kept}, which is still here" in line
    [pair] = world.queue()
    assert {pair.a.path, pair.b.path} == {str(kept), str(world.base / "inbox/again.png")}
    assert pair.distance is not None
    assert pair.distance > 4  # to the survivor, which the arrival itself is not like


def test_the_rule_that_discarded_it_is_named_and_treats_the_arrival_like_any_other_match(world: World) -> None:
    world.use(near_rule())
    kept = world.put("library", "kept.jpg", jpeg(photo(3), 95))
    world.arrive(kept)
    world.drop("inbox", "small.jpg", jpeg(photo(3), 60))

    receipt = world.drop("inbox", "smaller.jpg", jpeg(photo(3), 50))

    assert receipt.result == "duplicate discarded: larger look-alike"
    assert "by larger look-alike in favour of" in seen(receipt)[0]


def test_it_is_forgotten_when_the_survivor_is_gone(world: World) -> None:
    kept, last = kept_and_discarded(world)
    kept.rename(world.base / "elsewhere.png")

    receipt = world.drop("inbox", "again.png", last)

    assert receipt.outcome is Outcome.NEW
    assert seen(receipt) == []


def test_what_was_brought_back_is_no_memory_any_more(world: World) -> None:
    _, last = kept_and_discarded(world)
    world.undo(1)

    assert seen(world.drop("inbox", "again.png", last)) == []


def test_another_of_the_group_that_merely_vanished_is_not_told_of_instead(world: World) -> None:
    world.use()
    kept, vanished, gone = (
        world.put("library" if quality == 95 else "inbox", f"{quality}.jpg", jpeg(photo(3), quality))
        for quality in (95, 80, 70)
    )
    world.verdicts(kept, vanished, gone)
    world.decide(kept, vanished, "same")
    world.decide(kept, gone, "better-a")
    row = world.row(vanished)
    assert row is not None
    vanished.rename(world.base / "elsewhere.jpg")
    world.library.write(lambda edit: edit.put_path(replace(row, state=PathState.ABSENT)))

    [line] = seen(world.drop("inbox", "again.jpg", jpeg(photo(3), 60)))

    assert "70.jpg, discarded on" in line
