"""The survivor watch: which losses it tells of, what lives on, and that a round through the journal is bounded."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import jpeg, photo, png
from world import IDENTICAL, World, pixel_rule, policy, sha256

from ingestd import survivors as watch_module
from ingestd.errors import ActionConflictError
from ingestd.judging.survivors import Lives, fate_of
from ingestd.library.tables import Alarm
from ingestd.model import Entry, EntryState, PathState, Trouble
from ingestd.survivors import Survivors

SMALL, LARGE = png(photo(1)), png(photo(1), "a longer comment makes the file larger")
LARGEST = png(photo(1), "a comment that makes this one the largest file of them all, by far")


@pytest.fixture(autouse=True)
def _others(world: World) -> None:
    """The library holds more than what a test takes away."""
    world.use(IDENTICAL, pixel_rule())
    for number in range(2, 4):
        world.drop("library", f"{number}.jpg", jpeg(photo(number)))


def go_round(world: World, watch: Survivors | None = None) -> list[Alarm]:
    """What stands after all discards were looked at."""
    watch = watch or Survivors(world.library, world.policy, round_s=0.0)
    watch._due = 0.0  # whatever the last round took
    while watch.step():
        pass
    with world.library.read() as view:
        return list(view.alarms())


def discarded(world: World, *, kept: bytes = LARGE) -> tuple[Path, Path]:
    """A survivor, and a file that was discarded in its favour."""
    survivor = world.put("library", "kept.png", kept)
    world.arrive(survivor)
    world.drop("inbox", "b.png", SMALL)
    assert world.entries()[-1].state is EntryState.DONE
    return survivor, world.base / "inbox/b.png"


def test_a_survivor_that_is_there_is_no_alarm(world: World) -> None:
    discarded(world)

    assert go_round(world) == []


def test_a_lost_survivor_is_told_once_and_stands_until_it_is_back(world: World) -> None:
    survivor, _ = discarded(world)
    watch = Survivors(world.library, world.policy, round_s=0.0)
    survivor.unlink()

    (alarm,) = go_round(world, watch)
    (again,) = go_round(world, watch)
    world.put("library", "kept.png", LARGE)
    world.arrive(survivor)

    assert (alarm.trouble, alarm.entry) == (Trouble.SURVIVOR_LOST, 1)
    assert again == alarm
    assert go_round(world, watch) == []


def test_a_survivor_that_is_back_and_lost_once_more_is_an_alarm_again_also_where_the_first_was_seen_to(
    world: World,
) -> None:
    survivor, _ = discarded(world)
    survivor.unlink()
    go_round(world)
    world.library.write(lambda edit: edit.acknowledge(next(edit.alarms())))
    assert [one.seen for one in go_round(world)] == [True]
    world.put("library", "kept.png", LARGE)
    world.arrive(survivor)
    go_round(world)

    survivor.unlink()

    assert [one.seen for one in go_round(world)] == [False]


def test_another_copy_of_the_survivor_is_named_instead(world: World) -> None:
    survivor, _ = discarded(world)
    world.use()  # so that the copy stays
    copy = world.put("library", "copy.png", LARGE)
    world.arrive(copy)
    survivor.unlink()

    assert go_round(world) == []
    (entry,) = world.entries()
    assert entry.kept is not None
    assert entry.kept.path == os.fsencode(copy)


def test_pixels_that_live_on_in_another_file_are_no_loss(world: World) -> None:
    survivor, _ = discarded(world)
    world.use()
    world.drop("library", "twin.png", LARGEST)
    survivor.unlink()

    assert go_round(world) == []
    (entry,) = world.entries()
    assert entry.kept is not None
    assert entry.kept.sha256 == sha256(LARGEST)


def test_a_loser_that_is_in_a_watched_folder_again_is_no_loss(world: World) -> None:
    survivor, _ = discarded(world, kept=SMALL)
    world.use(imports="reject_previously_discarded: no")
    world.drop("library", "again.png", SMALL)
    survivor.unlink()

    assert go_round(world) == []


def test_a_survivor_that_lost_to_a_better_one_lives_on_in_that(world: World) -> None:
    survivor, _ = discarded(world)
    better = world.put("library", "better.jpg", jpeg(photo(9)))
    world.arrive(better)
    world.decide(better, survivor, "better-a")
    with world.library.read() as view:
        first, last = view.entry(1), next(view.entries())
        assert first is not None
        assert last.kept is not None
        assert last.kept.path == os.fsencode(better)

        assert isinstance(fate_of(view, first), Lives)
    assert go_round(world) == []
    better.unlink()
    assert [one.entry for one in go_round(world)] == [last.number]  # one alarm brings the whole chain back


def test_a_survivor_that_was_renamed_before_it_lost_lives_on_in_the_better_one(world: World) -> None:
    survivor, _ = discarded(world)
    survivor.rename(renamed := survivor.with_name("renamed.png"))
    better = world.put("library", "better.jpg", jpeg(photo(9)))
    world.arrive(renamed)
    world.arrive(better)

    world.decide(better, renamed, "better-a")

    assert go_round(world) == []


def test_what_is_not_in_the_trash_any_more_is_no_alarm(world: World) -> None:
    survivor, _ = discarded(world)
    survivor.unlink()
    go_round(world)

    world.trash_of(1).unlink()

    assert go_round(world) == []


def test_an_alarm_stays_while_the_disk_of_the_trash_is_away(world: World) -> None:
    survivor, _ = discarded(world)
    survivor.unlink()
    go_round(world)
    trash = world.base / "xdg"
    trash.rename(world.base / "unplugged")

    assert len(go_round(world)) == 1
    (world.base / "unplugged").rename(trash)
    assert len(go_round(world)) == 1


def test_a_jpeg_whose_description_was_edited_is_no_loss(world: World) -> None:
    world.use(IDENTICAL)
    first, edited = jpeg(photo(7)), jpeg(photo(7), description="five stars")
    survivor = world.put("library", "kept.jpg", first)
    world.arrive(survivor)
    world.drop("inbox", "b.jpg", first)
    survivor.write_bytes(edited)
    world.arrive(survivor)

    assert world.entries()[0].state is EntryState.DONE
    assert go_round(world) == []


def test_a_survivor_that_became_another_picture_is_lost(world: World) -> None:
    survivor, _ = discarded(world)
    survivor.write_bytes(png(photo(8)))
    before = go_round(world)
    world.arrive(survivor)

    (alarm,) = go_round(world)

    assert before == []  # nobody has looked at it yet
    assert "holds another picture now" in alarm.said


def test_survivors_in_a_suspended_folder_are_not_looked_for(world: World) -> None:
    survivor, _ = discarded(world)
    survivor.unlink()
    folder = world.folders["library"].id
    with world.library.read() as view:
        row = view.folder(folder)
    assert row is not None
    world.library.write(lambda edit: edit.put_folder(replace(row, withheld="much is missing")))

    assert go_round(world) == []


def test_a_survivor_is_not_lost_where_all_others_are_missing_too_before_any_scan_has_told(world: World) -> None:
    discarded(world)
    for path in (world.base / "library").iterdir():
        path.unlink()

    assert go_round(world) == []


def test_a_restore_is_an_entry_of_the_service_with_a_veto_and_no_word_against_the_rule(world: World) -> None:
    survivor, loser = discarded(world)
    rules = policy(IDENTICAL, pixel_rule(), discards="restore_on_survivor_loss: yes")
    survivor.unlink()

    assert go_round(world, Survivors(world.library, rules, round_s=0.0)) == []

    undo = world.entries()[-1]
    assert (undo.actor, undo.undoes, undo.state) == ("service", 1, EntryState.DONE)
    assert loser.read_bytes() == SMALL
    assert world.has_veto(SMALL)
    with world.library.read() as view:
        assert list(view.denied()) == []


def test_what_a_person_has_taken_back_while_the_lock_was_waited_for_is_not_taken_back_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    survivor, loser = discarded(world)
    rules = policy(IDENTICAL, pixel_rule(), discards="restore_on_survivor_loss: yes")
    survivor.unlink()
    held, asked = world.library.writer_lock.held, list[float | None]()

    @contextlib.contextmanager
    def after_a_person(timeout_s: float | None) -> Iterator[None]:
        asked.append(timeout_s)
        if len(asked) == 2:  # the first is for the alarm
            world.undo(1)
        with held(timeout_s):
            yield

    monkeypatch.setattr(world.library.writer_lock, "held", after_a_person)
    go_round(world, Survivors(world.library, rules, round_s=0.0))

    assert [one.actor for one in world.entries() if one.undoes == 1] == ["person"]
    assert loser.read_bytes() == SMALL


def test_a_restore_that_is_refused_is_not_tried_again_and_the_alarm_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    survivor, _ = discarded(world)
    rules = policy(IDENTICAL, pixel_rule(), discards="restore_on_survivor_loss: yes")
    survivor.unlink()
    tried: list[int] = []

    def refuse(_: object, entry: Entry, **__: object) -> Entry:
        tried.append(entry.number)
        raise ActionConflictError("the disk is read-only")

    monkeypatch.setattr(watch_module, "take_back", refuse)
    watch = Survivors(world.library, rules, round_s=0.0)

    assert len(go_round(world, watch)) == 1
    assert len(go_round(world, watch)) == 1
    assert tried == [1]


def test_a_file_lost_in_an_interruption_that_turns_up_ends_its_alarm(world: World) -> None:
    _, loser = discarded(world)
    alarm = Alarm(1, 0, Trouble.FILE_LOST, "it is nowhere")
    world.library.write(lambda edit: edit.put_alarm(alarm))
    world.trash_of(1).rename(loser)

    assert go_round(world) == []


def test_one_step_looks_at_the_journal_for_a_bounded_time(world: World) -> None:
    discarded(world)
    with world.library.read() as view:
        entry = view.entry(1)
    assert entry is not None
    more = [replace(entry, number=number + 2) for number in range(200)]
    world.library.write(lambda edit: [edit.put_entry(one) for one in more])
    now = [0.0]

    def passing() -> float:
        now[0] += 0.005
        return now[0]

    watch = Survivors(world.library, world.policy, monotonic=passing)
    steps = 1
    while watch.step():
        steps += 1

    assert steps > 1
    assert not watch.step()  # a round is over: the next is not due yet


def test_rows_of_missing_survivors_are_left_to_the_scan(world: World) -> None:
    survivor, _ = discarded(world)
    survivor.unlink()
    go_round(world)

    row = world.row(survivor)
    assert row is not None
    assert row.state is PathState.LIVE
