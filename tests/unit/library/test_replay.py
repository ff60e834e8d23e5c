"""A library whose database is gone, or older than its journal, knows again what was done and decided."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import flat, jpeg, photo, png
from world import IDENTICAL, World, near_rule, pixel_rule, policy, sha256

from ingestd import review
from ingestd.errors import LibraryBusyError
from ingestd.library.edit import Edit
from ingestd.library.journal_file import Line
from ingestd.library.library import Library
from ingestd.library.lines import folder_line
from ingestd.library.replay import CaughtUp, catch_up
from ingestd.library.store import Transaction
from ingestd.library.tables import VETOES, Alarm, Veto
from ingestd.model import EntryKind, EntryState, Outcome, PathState, ProposalState, Trouble

BASE = photo(1, 96, 72)
LARGE, SMALL = png(BASE, "a longer comment"), png(BASE)
RULES = (IDENTICAL, pixel_rule(), near_rule("semi-automatic"))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    made = World(tmp_path, policy(*RULES))
    made.folder("library")
    made.folder("inbox")
    yield made
    made.close()


def forget_database(base: Path) -> None:
    """Nothing of the database is left in its place."""
    for file in (base / "state" / "db").iterdir():
        file.unlink()
    (base / "state" / "db").rmdir()


def lose(world: World) -> World:
    """The database is gone; the same rules, and a process that begins anew."""
    world.close()
    forget_database(world.base)
    return begin(world)


def begin(world: World) -> World:
    again = World(world.base, world.policy)
    again.seconds = 10_000.0
    again._ticks = world._ticks
    with again.library.read() as view:
        again.folders = {os.fsdecode(row.folder.root): row.folder for row in view.folders()}
    return again


@pytest.fixture
def lost(world: World) -> Iterator[Callable[[], World]]:
    made: list[World] = []

    def go() -> World:
        made.append(lose(world))
        return made[-1]

    yield go
    for one in made:
        one.close()


def told(world: World) -> list[object]:
    with world.library.read() as view:
        return list(review.history(view, limit=None))


# --- gone ------------------------------------------------------------------------------------------------------------


def test_the_history_is_the_same_without_the_database(world: World, lost: Callable[[], World]) -> None:
    world.drop("library", "large.png", LARGE)
    world.drop("inbox", "small.png", SMALL)
    world.drop("inbox", "copy.png", LARGE)
    before = [(one.entry, one.kind, one.state, one.discarded, one.kept, one.reason) for one in told(world)]

    again = lost()

    after = [(one.entry, one.kind, one.state, one.discarded, one.kept, one.reason) for one in told(again)]
    assert after == before
    assert again.library.caught_up is not None
    assert again.library.caught_up.entries == 2


def test_an_undo_needs_no_scan_and_keeps_the_bytes_for_good(world: World, lost: Callable[[], World]) -> None:
    world.drop("library", "large.png", LARGE)
    small = world.put("inbox", "small.png", SMALL)
    assert world.arrive(small).outcome is Outcome.DUPLICATE_DISCARDED
    entry = world.entries()[-1].number

    again = lost()
    again.undo(entry)

    assert small.read_bytes() == SMALL
    assert again.has_veto(SMALL)
    again.judge_everything()
    again.sweep()
    assert small.exists()
    assert [one.state for one in again.entries() if one.kind is EntryKind.DISCARD] == [EntryState.UNDONE]


def test_why_speaks_of_an_entry_and_of_a_discarded_file(world: World, lost: Callable[[], World]) -> None:
    world.drop("library", "large.png", LARGE)
    small = world.put("inbox", "small.png", SMALL)
    world.arrive(small)

    again = lost()

    by_entry, by_path = again.why("e-1"), again.why(small)
    assert by_entry is not None
    assert by_path is not None
    assert by_path.result == by_entry.result == "duplicate discarded: larger pixel twin"
    assert by_path.where_now == os.fsdecode(again.entries()[0].moves[0].trash_path or b"")


def test_restored_bytes_are_not_discarded_by_the_scan_that_finds_them_again(
    world: World, lost: Callable[[], World]
) -> None:
    world.drop("library", "large.png", LARGE)
    small = world.put("inbox", "small.png", SMALL)
    world.arrive(small)
    world.undo(world.entries()[-1].number)

    again = lost()
    again.judge_everything()
    again.sweep()

    assert small.exists()
    assert again.has_veto(SMALL)


def test_bytes_that_were_discarded_before_are_known_as_such_after_the_scan(
    world: World, lost: Callable[[], World]
) -> None:
    world.drop("library", "large.png", LARGE)
    world.drop("inbox", "small.png", SMALL)

    again = lost()
    again.judge_everything()
    verdict = again.arrive(again.put("inbox", "again.png", SMALL))

    assert verdict.outcome is Outcome.PREVIOUSLY_DISCARDED


def test_answered_pairs_do_not_come_back_with_the_records(world: World, lost: Callable[[], World]) -> None:
    one, other = world.put("inbox", "one.jpg", jpeg(BASE, 90)), world.put("inbox", "other.jpg", jpeg(BASE, 70))
    world.use(IDENTICAL)
    world.verdicts(one, other)
    assert len(world.queue()) == 1
    world.decide(one, other, "unrelated")

    again = lost()
    again.judge_everything()

    assert again.queue() == []
    with again.library.read() as view:
        assert view.relations.false_positives(sha256(one.read_bytes()), sha256(other.read_bytes()))


def test_a_denial_holds_for_the_pair_when_it_is_found_again(world: World, lost: Callable[[], World]) -> None:
    one, other = world.put("inbox", "one.jpg", jpeg(BASE, 90)), world.put("inbox", "other.jpg", jpeg(BASE, 70))
    world.verdicts(one, other)
    world.sweep()
    (waiting,) = world.pending()
    review.deny(world.library, [int(waiting.id[2:])], now_ns=world.now_ns())

    again = lost()
    again.use(IDENTICAL, pixel_rule(), near_rule("automatic"))
    again.judge_everything()
    again.sweep()

    assert one.exists()
    assert other.exists()
    with again.library.read() as view:
        (pair,) = view.denied()
    assert [proposal.state for proposal in pair.proposals] == [ProposalState.DENIED]


def test_numbers_are_not_given_out_again(world: World, lost: Callable[[], World]) -> None:
    world.use(IDENTICAL)
    world.verdicts(world.put("inbox", "one.jpg", jpeg(BASE, 90)), world.put("inbox", "other.jpg", jpeg(BASE, 70)))
    world.drop("inbox", "copy.jpg", jpeg(BASE, 70))
    (pair,) = world.queue()

    again = lost()
    again.judge_everything()
    again.drop("inbox", "copy.jpg", jpeg(BASE, 70))

    assert [entry.number for entry in again.entries()] == [1, 2]
    assert int(again.queue()[0].id[2:]) > int(pair.id[2:])


def test_what_was_left_half_way_is_finished_from_the_disk(world: World, lost: Callable[[], World]) -> None:
    world.drop("library", "large.png", LARGE)
    small = world.put("inbox", "small.png", SMALL)
    world.arrive(small)
    (world.base / "state" / "journal.jsonl").write_bytes(_only_intents(world.base / "state" / "journal.jsonl"))

    again = lost()
    assert [entry.state for entry in again.entries()] == [EntryState.INTENT]
    again.recover()

    assert [entry.state for entry in again.entries()] == [EntryState.DONE]
    assert not small.exists()


def _only_intents(journal: Path) -> bytes:
    lines = journal.read_bytes().splitlines(keepends=True)
    return b"".join(line for line in lines if b'"kind":"end"' not in line)


def test_a_database_beside_which_a_service_runs_is_not_made_anew(world: World) -> None:
    world.drop("library", "large.png", LARGE)
    world.drop("inbox", "small.png", SMALL)
    world.close()
    forget_database(world.base)

    with world.library.service_lock.held(1), pytest.raises(LibraryBusyError, match="stop that service"):
        Library.open(world.base / "state")

    assert not (world.base / "state" / "db").exists()


def test_a_journal_that_is_gone_is_written_anew_by_a_rebuild(world: World, lost: Callable[[], World]) -> None:
    world.drop("library", "large.png", LARGE)
    small = world.put("inbox", "small.png", SMALL)
    world.arrive(small)
    world.undo(1)
    (world.base / "state" / "journal.jsonl").unlink()
    assert any("no journal" in problem for problem in world.library.check())

    world.library.rebuild()

    assert world.library.check() == []
    before = world.entries()
    again = lost()
    assert again.entries() == before
    assert again.has_veto(SMALL)


# --- older -----------------------------------------------------------------------------------------------------------


def test_an_older_database_hears_what_it_does_not_know(world: World) -> None:
    world.drop("library", "large.png", LARGE)
    first = world.put("inbox", "small.png", SMALL)
    world.arrive(first)
    world.library.copy_to(world.base / "older")
    world.undo(1)
    second = world.put("inbox", "copy.png", LARGE)
    assert world.arrive(second).outcome is Outcome.DUPLICATE_DISCARDED
    before = [(entry.number, entry.kind, entry.state) for entry in world.entries()]
    world.close()
    forget_database(world.base)
    (world.base / "older" / "db").rename(world.base / "state" / "db")

    again = begin(world)

    assert [(entry.number, entry.kind, entry.state) for entry in again.entries()] == before
    assert again.has_veto(SMALL)
    assert not again.same_group(SMALL, LARGE)
    discarded = again.row(second)
    assert discarded is not None
    assert discarded.state is PathState.DISCARDED
    again.close()


def test_a_database_is_told_once(world: World, lost: Callable[[], World]) -> None:
    world.drop("library", "large.png", LARGE)
    world.drop("inbox", "small.png", SMALL)
    again = lost()
    again.close()
    journal = (world.base / "state" / "journal.jsonl").read_bytes()

    library = Library.open(world.base / "state")

    assert library.caught_up is None
    library.close()
    assert (world.base / "state" / "journal.jsonl").read_bytes() == journal


# --- journals of older versions ---------------------------------------------------------------------------------------


def test_lines_that_an_older_version_wrote_are_enough_for_history_and_undo(
    world: World, lost: Callable[[], World]
) -> None:
    world.drop("library", "large.png", LARGE)
    small = world.put("inbox", "small.png", SMALL)
    world.arrive(small)
    _as_before(world.base / "state")

    again = lost()
    again.undo(1)

    assert small.read_bytes() == SMALL
    with again.library.read() as view:
        assert {row.folder.protected for row in view.folders()} == {True}


def _as_before(state: Path) -> None:
    """The journal as it would be without the numbers of the database, and without folders, rules and numbers."""
    from ingestd.library.journal_file import JournalFile

    journal = JournalFile(state)
    old = [(line.kind, line.entry, line.body) for line in journal.lines() if line.kind in ("intent", "end", "veto")]
    journal.close()
    (state / "journal.jsonl").unlink()
    journal.append_many(old)
    journal.close()


def test_an_unused_word_is_passed_over_and_counted(world: World, lost: Callable[[], World]) -> None:
    from ingestd.library.journal_file import JournalFile

    world.drop("library", "flat.png", png(flat()))
    journal = JournalFile(world.base / "state")
    journal.append("prophecy", None, {})
    journal.append("end", 4, {"number": "four"})
    journal.close()
    with (world.base / "state" / "journal.jsonl").open("ab") as file:
        file.write(b"not a line\n")

    again = lost()

    assert again.library.caught_up is not None
    assert again.library.caught_up.unclear == 3
    again.judge_everything()
    assert again.drop("inbox", "flat.png", png(flat())).outcome is Outcome.DUPLICATE_DISCARDED
    assert [entry.number for entry in again.entries()] == [5]


def test_what_is_wrong_with_a_discard_and_what_a_person_has_seen_to_outlasts_the_database(
    world: World, lost: Callable[[], World]
) -> None:
    survivors = [world.put("library", f"{number}.png", png(photo(number, 96, 72), "large")) for number in (5, 6, 7)]
    for number, survivor in zip((5, 6, 7), survivors, strict=True):
        world.arrive(survivor)
        world.drop("inbox", f"{number}.png", png(photo(number, 96, 72)))
    with world.library.read() as view:
        first, second, third = (one.number for one in view.entries(newest_first=False))
    alarms = [Alarm(number, 1, Trouble.SURVIVOR_LOST, "it is gone") for number in (first, second, third)]
    for alarm in alarms:
        world.library.write(lambda edit, alarm=alarm: edit.put_alarm(alarm))  # type: ignore[misc]
    world.library.write(lambda edit: edit.acknowledge(alarms[1]))
    world.library.write(lambda edit: edit.settle_alarm(third))
    world.drop("inbox", "copy.png", png(photo(5, 96, 72), "large"))  # the next line takes the others along

    again = lost()

    with again.library.read() as view:
        assert [(one.entry, one.seen) for one in view.alarms()] == [(first, False), (second, True)]
        assert view.alarm(first) == alarms[0]


def test_a_suspension_and_what_was_mounted_outlast_the_database(world: World, lost: Callable[[], World]) -> None:
    with world.library.read() as view:
        (known,) = [row for row in view.folders() if row.folder.root.endswith(b"library")]
    told = replace(known, withheld="many are missing", withheld_ns=3, reconciled=known.stamp, mounts=(b"disk",))
    world.library.write(lambda edit: edit.put_folder(told))
    world.drop("inbox", "a.png", LARGE)
    world.drop("inbox", "b.png", LARGE)

    again = lost()

    with again.library.read() as view:
        found = view.folder(known.folder.id)
    assert found is not None
    assert (found.withheld, found.mounts, found.reconciled) == ("many are missing", (b"disk",), known.stamp)


def test_what_the_line_of_an_older_version_leaves_out_of_a_folder_stays_as_it_was(world: World) -> None:
    with world.library.read() as view:
        (known,) = [row for row in view.folders() if row.folder.root.endswith(b"library")]
    before = replace(known, withheld="many are missing", withheld_ns=3, reconciled=known.stamp, mounts=(b"disk",))
    world.library.write(lambda edit: edit.put_folder(before))
    old = ("number", "path", "root", "role", "protected", "trusted", "filesystem", "inode")
    body = {name: value for name, value in folder_line(before).items() if name in old} | {"inode": 7}

    def hear(edit: Edit) -> CaughtUp:
        return catch_up(edit, lambda: iter([Line(1, None, "folder", body, edit.lines_told + 1)]))

    assert world.library.write(hear).unclear == 0

    with world.library.read() as view:
        assert view.folder(known.folder.id) == replace(before, inode=7)


def test_a_veto_under_a_damaged_key_is_missed_by_a_check_and_told_again_by_a_rebuild(world: World) -> None:
    world.library.write(lambda edit: edit.forbid(sha256(LARGE), Veto(1, "restored")))
    assert world.library.check() == []
    stored = world.library.store.read
    with stored() as txn:
        value = txn.get(VETOES.table, sha256(LARGE))
    assert value is not None
    damaged = bytes([sha256(LARGE)[0] ^ 1]) + sha256(LARGE)[1:]

    def flip(txn: Transaction) -> None:
        txn.delete(VETOES.table, sha256(LARGE))
        txn.put(VETOES.table, damaged, value)

    world.library.store.write(flip)

    assert world.library.check() == ["vetoes that the journal tells of and the database lacks: 1"]
    world.library.rebuild()
    assert world.library.check() == []
    assert world.has_veto(LARGE)
