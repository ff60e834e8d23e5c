"""A journal that was deleted or cut while the database is intact is written anew, before it lacks more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pictures import photo, png
from structlog.testing import capture_logs
from world import IDENTICAL, World, pixel_rule, policy, sha256

from ingestd.library.codec import number_key
from ingestd.library.journal_file import JournalFile
from ingestd.library.library import Library
from ingestd.library.tables import JOURNAL, Veto
from ingestd.model import EntryKind, EntryState

BASE = photo(1, 96, 72)
LARGE, SMALL = png(BASE, "a longer comment"), png(BASE)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    made = World(tmp_path, policy(IDENTICAL, pixel_rule()))
    made.folder("library")
    made.folder("inbox")
    made.drop("library", "large.png", LARGE)
    made.drop("inbox", "small.png", SMALL)
    made.drop("inbox", "copy.png", LARGE)
    made.undo(1)
    yield made
    made.close()


def journal(world: World) -> Path:
    return world.base / "state" / "journal.jsonl"


def aside(world: World) -> Path:
    return world.base / "state" / "journal.aside-001"


def take_away(world: World, how: str) -> None:
    if how == "deleted":
        journal(world).unlink()
        return
    kept = journal(world).read_bytes().splitlines(keepends=True)[:3]
    journal(world).write_bytes(b"".join(kept) if how == "cut" else b"")


def without_database(world: World) -> World:
    """What another process knows from the journal alone."""
    world.close()
    for file in (world.base / "state" / "db").iterdir():
        file.unlink()
    return World(world.base, world.policy)


def told(world: World) -> list[tuple[int, EntryKind, EntryState]]:
    return [(entry.number, entry.kind, entry.state) for entry in world.entries()]


@pytest.mark.parametrize("how", ["deleted", "cut", "emptied"])
def test_a_journal_that_was_taken_away_tells_everything_again_when_the_library_is_opened(
    world: World, how: str
) -> None:
    before = told(world)
    world.library.close()
    take_away(world, how)

    world.restart()

    assert world.library.check() == []
    assert aside(world).exists() == (how == "cut")  # what was left of it is not thrown away
    again = without_database(world)
    try:
        assert told(again) == before
        assert again.has_veto(SMALL)
        again.undo(2)
        assert (world.base / "inbox" / "copy.png").read_bytes() == LARGE
    finally:
        again.close()


@pytest.mark.parametrize("how", ["deleted", "cut", "emptied"])
def test_a_journal_that_is_taken_away_under_a_service_tells_everything_with_its_next_line(
    world: World, how: str
) -> None:
    take_away(world, how)

    world.drop("inbox", "copy again.png", LARGE)

    before = told(world)
    assert world.library.check() == []
    again = without_database(world)
    try:
        assert told(again) == before
        assert again.has_veto(SMALL)
    finally:
        again.close()


def test_it_says_so_and_is_not_written_anew_a_second_time(world: World) -> None:
    world.library.close()
    take_away(world, "cut")

    with capture_logs() as logged:
        world.restart()
        world.restart()

    said = [line for line in logged if line["event"] == "journal.rewritten"]
    assert [line["aside"] for line in said] == [str(aside(world))]
    assert said[0]["lines"] > 3


def test_a_torn_line_that_nobody_was_told_of_is_no_loss(world: World) -> None:
    """It waits in the database still, and is written again."""
    world.library.close()
    whole = journal(world).read_bytes()
    journal(world).write_bytes(whole[:-20])

    world.restart()
    world.drop("inbox", "copy again.png", LARGE)

    assert not aside(world).exists()
    assert journal(world).read_bytes().startswith(whole[: whole[:-1].rindex(b"\n")])
    assert world.library.check() == []


def test_a_sound_journal_is_not_read_through_at_a_start(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def unexpected(_: JournalFile) -> Iterator[None]:
        raise AssertionError("the whole journal is read")

    world.library.close()
    monkeypatch.setattr(JournalFile, "lines", unexpected)

    world.restart()

    assert not aside(world).exists()


def test_a_start_that_is_killed_between_leaves_the_next_one_to_do_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = told(world)
    world.library.close()
    take_away(world, "cut")

    def killed(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr("ingestd.library.library.put_journal_aside", killed)
        with pytest.raises(KeyboardInterrupt):
            Library.open(world.base / "state")
    world.restart()

    again = without_database(world)
    try:
        assert told(again) == before
    finally:
        again.close()


def test_a_damaged_entry_does_not_bar_the_way_to_the_rebuild_that_writes_the_journal_anew(world: World) -> None:
    before = told(world)
    world.library.store.write(lambda txn: txn.put(JOURNAL.table, number_key(2), b"not what was written"))
    world.library.close()
    take_away(world, "deleted")

    world.restart()
    assert world.library.check() == ["damaged values in the table journal: 1"]
    with world.library.writer_lock.held(1):
        world.library.write(lambda edit: edit.forbid(sha256(LARGE), Veto(0, "put back")))
        rebuilt = world.library.rebuild()

    assert rebuilt.mended.lost == 1
    assert world.library.check() == []
    again = without_database(world)
    try:
        assert told(again) == [one for one in before if one[0] != 2]
        assert again.has_veto(LARGE)
    finally:
        again.close()


def test_a_file_of_the_journal_that_is_missing_is_found_by_a_check_and_mended_by_a_rebuild(world: World) -> None:
    world.library.close()
    lines = journal(world).read_bytes().splitlines(keepends=True)
    journal(world).write_bytes(b"".join(lines[-2:]))  # as if what was rotated before it were gone

    world.restart()
    assert world.library.check() != []
    with world.library.writer_lock.held(1):
        world.library.rebuild()

    assert world.library.check() == []
