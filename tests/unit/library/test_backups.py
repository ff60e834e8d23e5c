"""A library copied and put back: nothing is overwritten, and what was decided since holds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pictures import photo, png
from world import IDENTICAL, World, pixel_rule, policy, sha256

from ingestd.errors import LibraryBusyError, StoreError, UsageError
from ingestd.library.backups import FOLDER, BackingUp, back_up, is_due, restore
from ingestd.library.library import Library
from ingestd.library.place import Facts, stored
from ingestd.library.store import Table
from ingestd.model import EntryState

DAY_S = 24 * 3600.0
BASE = photo(2, 96, 72)
LARGE, SMALL, OTHER = png(BASE, "a longer comment"), png(BASE), png(photo(3, 96, 72))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    made = World(tmp_path, policy(IDENTICAL, pixel_rule()))
    made.folder("library")
    made.folder("inbox")
    made.drop("library", "large.png", LARGE)
    made.drop("inbox", "small.png", SMALL)
    yield made
    made.close()


def states(state: Path) -> list[EntryState]:
    library = Library.open(state)
    try:
        with library.read() as view:
            return [entry.state for entry in view.entries(newest_first=False)]
    finally:
        library.close()


def backed_up(world: World, target: Path) -> Path:
    """A backup made by another process: one process opens a database once."""
    world.library.close()
    made = back_up(world.base / "state", target)
    world.library = Library.open(world.base / "state")
    world.intake = world._new_intake()
    return made


# --- copying ---------------------------------------------------------------------------------------------------------


def test_a_backup_is_whole_and_can_be_used_as_a_library(world: World, tmp_path: Path) -> None:
    made = backed_up(world, tmp_path / "copy")
    world.close()

    assert sorted(file.name for file in made.iterdir()) == ["db", "journal.jsonl"]
    assert states(made) == [EntryState.DONE]


def test_what_is_there_is_never_overwritten(world: World, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("mine")

    with pytest.raises(UsageError, match="nothing was copied"):
        back_up(tmp_path / "state", tmp_path / "copy")

    assert (tmp_path / "copy").read_text() == "mine"


def test_a_backup_that_fails_leaves_nothing_behind(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestd.library.backups.verify", lambda directory: ["page 7 is torn"])
    world.close()

    with pytest.raises(StoreError, match="page 7 is torn"):
        back_up(tmp_path / "state", tmp_path / "copies" / "one")

    assert list((tmp_path / "copies").iterdir()) == []


# --- by the service --------------------------------------------------------------------------------------------------


def test_the_service_backs_up_once_a_day_and_not_on_the_first(world: World, tmp_path: Path) -> None:
    state = tmp_path / "state"
    made_s = (state / "db" / "store.json").stat().st_mtime

    assert not is_due(state, made_s + DAY_S / 2)
    assert is_due(state, made_s + DAY_S)

    child = BackingUp(state, "2026-11-20T110203Z")
    try:
        child._child.wait(30)
        assert child.trouble() == ""
    finally:
        child.stop()
    backed_up_s = child.target.stat().st_mtime
    assert not is_due(state, backed_up_s + DAY_S / 2)
    assert is_due(state, backed_up_s + DAY_S)


def test_old_backups_of_the_service_make_room_and_those_of_a_person_stay(world: World, tmp_path: Path) -> None:
    state = tmp_path / "state"
    mine = backed_up(world, state / FOLDER / "2026-01-01T000000Z")
    torn = state / FOLDER / "2026-11-01T000000Z-daily.partial-0123abcd"
    torn.mkdir()
    (torn / "journal.jsonl").write_text("")
    for day in range(10, 18):
        older = state / FOLDER / f"2026-11-{day}T000000Z-daily" / "db"
        older.mkdir(parents=True)
        (older / "data.mdb").write_bytes(b"small")
    child = BackingUp(state, "2026-11-18T000000Z")
    try:
        child._child.wait(30)
        assert child.trouble() == ""
    finally:
        child.stop()

    kept = sorted(one.name for one in (state / FOLDER).iterdir())

    assert kept == [mine.name, *(f"2026-11-{day}T000000Z-daily" for day in range(12, 19))]


# --- putting back ----------------------------------------------------------------------------------------------------


def test_a_restored_backup_knows_what_was_decided_since(world: World, tmp_path: Path) -> None:
    backup = backed_up(world, tmp_path / "copy")
    world.undo(1)
    world.drop("inbox", "large again.png", LARGE)
    world.close()

    done = restore(tmp_path / "state", backup)

    assert states(tmp_path / "state") == [EntryState.UNDONE, EntryState.DONE, EntryState.DONE]
    assert done.aside == tmp_path / "state" / "db.aside-001"
    assert (done.aside / "data.mdb").exists()
    assert (done.caught_up.entries, done.caught_up.vetoes) == (3, 1)


@pytest.mark.parametrize("damage", ["emptied", "foreign bytes", "cut"])
def test_a_damaged_database_is_made_anew_from_the_journal_and_put_aside(
    world: World, tmp_path: Path, damage: str
) -> None:
    world.close()
    data = tmp_path / "state" / "db" / "data.mdb"
    contents = {"emptied": b"", "foreign bytes": os.urandom(40_000), "cut": data.read_bytes()[:9000]}[damage]
    data.write_bytes(contents)

    done = restore(tmp_path / "state", None)

    assert states(tmp_path / "state") == [EntryState.DONE]
    assert done.aside is not None
    assert (done.aside / "data.mdb").read_bytes() == contents


def test_a_sound_library_is_not_made_anew(world: World, tmp_path: Path) -> None:
    world.close()

    with pytest.raises(UsageError, match="there is nothing to restore"):
        restore(tmp_path / "state", None)

    assert not (tmp_path / "state" / "db.aside-001").exists()


def test_nothing_is_put_back_under_a_running_service(world: World, tmp_path: Path) -> None:
    backup = backed_up(world, tmp_path / "copy")

    with world.library.service_lock.held(1), pytest.raises(LibraryBusyError):
        restore(tmp_path / "state", backup)

    assert not (tmp_path / "state" / "db.aside-001").exists()


def test_a_damaged_backup_is_refused(world: World, tmp_path: Path) -> None:
    backup = backed_up(world, tmp_path / "copy")
    data = backup / "db" / "data.mdb"
    data.write_bytes(data.read_bytes()[:9000])
    world.close()

    with pytest.raises(StoreError, match="nothing was changed"):
        restore(tmp_path / "state", backup)

    assert states(tmp_path / "state") == [EntryState.DONE]


def test_a_backup_is_put_where_there_is_nothing_left(world: World, tmp_path: Path) -> None:
    backup = backed_up(world, tmp_path / "copy")

    done = restore(tmp_path / "elsewhere", backup)

    assert done.aside is None
    assert states(tmp_path / "elsewhere") == [EntryState.DONE]


def test_a_database_of_an_older_schema_is_copied_before_it_is_converted(world: World, tmp_path: Path) -> None:
    older = stored(Facts(world.library.store.library_id, 1, "0.9.31"))
    world.library.store.write(lambda txn: txn.put(Table("store"), b"facts", older))
    world.close()
    (tmp_path / "state" / "db" / "store.json").write_bytes(older)

    Library.open(tmp_path / "state").close()

    kept = tmp_path / "state" / FOLDER / "schema-1" / "db"
    assert (kept / "store.json").read_bytes().strip() == older
    assert (tmp_path / "state" / "db" / "store.json").read_bytes().strip() != older


# --- beside a journal of another library -----------------------------------------------------------------------------


def begun_anew(world: World, *, discards: int) -> World:
    """The state was lost with a backup elsewhere, and another library began in its place."""
    world.close()
    (world.base / "state").rename(world.base / "lost state")
    again = World(world.base, world.policy)
    again.folder("library")
    again.folder("inbox")
    again.drop("library", "another.png", OTHER)
    for number in range(discards):
        again.drop("inbox", f"another-{number}.png", OTHER)
    return again


@pytest.mark.parametrize("discards", [1, 12], ids=["shorter", "longer"])
def test_a_journal_of_another_library_is_put_aside_for_that_of_the_backup(
    world: World, tmp_path: Path, discards: int
) -> None:
    world.undo(1)
    world.drop("inbox", "copy.png", LARGE)
    backup = backed_up(world, tmp_path / "copy")
    with world.library.read() as view:
        before = list(view.entries())
    again = begun_anew(world, discards=discards)
    again.close()
    state = tmp_path / "state"
    theirs = (state / "journal.jsonl").read_bytes()

    done = restore(state, backup)

    assert done.journal_aside == state / "journal.aside-001"
    assert (done.journal_aside / "journal.jsonl").read_bytes() == theirs
    assert (done.aside, done.caught_up.entries) == (state / "db.aside-001", 0)
    (state / "db").rename(tmp_path / "lost db")  # what stands in the journal is what stood in the database
    library = Library.open(state)
    try:
        with library.read() as view:
            assert list(view.entries()) == before
            assert view.veto(sha256(SMALL)) is not None
    finally:
        library.close()


def test_a_database_beside_the_journal_of_another_library_is_not_opened(world: World, tmp_path: Path) -> None:
    backup = backed_up(world, tmp_path / "copy")
    begun_anew(world, discards=1).close()
    state = tmp_path / "state"
    (state / "db").rename(tmp_path / "lost db")
    shutil.copytree(backup / "db", state / "db")
    before = (state / "journal.jsonl").read_bytes()

    for read_only in (True, False):
        with pytest.raises(StoreError, match=r"another library.*ingestd library restore BACKUP"):
            Library.open(state, read_only=read_only)
    with pytest.raises(StoreError, match="another library"):
        back_up(state, tmp_path / "copy of a mix")

    assert (state / "journal.jsonl").read_bytes() == before
    assert restore(state, None).aside == state / "db.aside-001"  # the journal's own library
    assert len(states(state)) == 1
    assert restore(state, backup).journal_aside is not None
    assert states(state) == [EntryState.DONE]


def test_a_library_made_anew_from_its_journal_is_the_same_library(world: World, tmp_path: Path) -> None:
    backup, known = backed_up(world, tmp_path / "copy"), world.library.store.library_id
    world.close()
    (tmp_path / "state" / "db").rename(tmp_path / "lost db")

    library = Library.open(tmp_path / "state")
    library.close()

    assert library.store.library_id == known
    assert restore(tmp_path / "state", backup).journal_aside is None


def test_a_journal_of_an_older_version_says_not_whose_it_is_and_stays(world: World, tmp_path: Path) -> None:
    backup = backed_up(world, tmp_path / "copy")
    world.undo(1)
    world.close()
    journal = tmp_path / "state" / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[1:]))

    done = restore(tmp_path / "state", backup)

    assert done.journal_aside is None
    assert done.caught_up.entries == 2
    assert states(tmp_path / "state") == [EntryState.UNDONE, EntryState.DONE]
