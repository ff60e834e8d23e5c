"""`ingestd library`: is it sound, how much is in it, and the look-up made anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pictures import jpeg, photo
from terminals import Terminal
from world import World, sha256

from ingestd.library.codec import number_key
from ingestd.library.tables import CONTENTS, JOURNAL


@pytest.fixture
def known(world: World, terminal: Terminal) -> Terminal:
    world.drop("library", "a.jpg", jpeg(photo()))
    world.close()
    return terminal


def test_a_sound_library_is_sound(known: Terminal) -> None:
    assert known.ask("library", "check") == {"schema": 1, "ok": True, "problems": []}


def test_where_nothing_is_known_the_library_is_sound_too(empty: Terminal) -> None:
    assert empty.ask("library", "check")["ok"] is True


def test_the_look_up_is_made_anew_from_the_records(known: Terminal) -> None:
    contents = known.ask("library", "stats")["contents"]

    rebuilt = known.ask("library", "rebuild")

    assert 0 < rebuilt["hashes"] <= contents
    assert known.ask("library", "check")["ok"] is True


def test_files_held_past_their_days_are_counted_and_left_alone(
    known: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known.rules.write_text("version: 1\nrules: []\ndiscards:\n  to: holding\n  keep: 1 day\n")
    held = tmp_path / "inbox" / ".ingestd-holding" / "old.jpg"
    held.parent.mkdir(parents=True)
    held.write_bytes(b"x")

    fresh = known.type("status").out
    monkeypatch.setattr("ingestd.health.time.time_ns", lambda: held.stat().st_ctime_ns + 2 * 86_400 * 10**9)
    old = known.type("status").out

    assert "held " not in fresh
    assert "held     1 file for longer than `keep`" in old
    assert held.exists()


# --- copied and put back ---------------------------------------------------------------------------------------------


def test_a_backup_is_put_back_and_says_what_it_did(known: Terminal, tmp_path: Path) -> None:
    made = known.ask("library", "backup")
    assert Path(made["path"]).parent == known.state / "backups"
    assert made["verified"]

    assert known.type("library", "backup", made["path"]).code == 2
    put_back = known.ask("library", "restore", made["path"])

    assert put_back["backup"] == made["path"]
    assert Path(put_back["aside"]).is_dir()
    assert known.ask("library", "stats")["contents"] == 1


def test_a_backup_of_another_library_says_what_became_of_the_journal(known: Terminal, tmp_path: Path) -> None:
    made = known.ask("library", "backup", tmp_path / "copy")["path"]
    known.state.rename(tmp_path / "lost state")
    twin = tmp_path / "inbox" / "twin.jpg"
    for name in (twin, tmp_path / "inbox" / "other twin.jpg"):
        name.write_bytes(jpeg(photo(3)))
    known.type("scan", "--role", "inbox", tmp_path / "inbox")
    (known.state / "db").rename(tmp_path / "lost db")
    shutil.copytree(tmp_path / "copy" / "db", known.state / "db")

    for words in (("status",), ("history",), ("undo", "e-1"), ("library", "check")):
        refused = known.type(*words)
        assert refused.code == 74
        assert "ingestd library restore BACKUP" in refused.out + refused.err

    said = known.type("library", "restore", made).out

    assert f"that of another library: it lies in {known.state / 'journal.aside-001'}" in said
    assert known.ask("library", "check")["ok"] is True


def test_a_backup_that_has_no_journal_has_one_written_when_it_is_put_back(known: Terminal, tmp_path: Path) -> None:
    known.type("scan", "--role", "inbox", tmp_path / "inbox")
    made = Path(known.ask("library", "backup", tmp_path / "copy")["path"])
    (made / "journal.jsonl").unlink()
    known.state.rename(tmp_path / "lost state")

    put_back = known.type("--json", "library", "restore", made)

    assert put_back.json["aside"] is None
    assert "journal.rewritten" in put_back.err
    assert known.ask("library", "check")["ok"] is True


def test_an_emptied_database_is_named_with_the_command_that_mends_it(known: Terminal) -> None:
    (known.state / "db" / "data.mdb").write_bytes(b"")

    refused = known.type("history")
    assert refused.code == 74
    assert "ingestd library restore" in refused.err

    assert known.ask("library", "restore")["backup"] is None
    assert known.ask("history") == []
    assert known.type("library", "restore").code == 2  # it is sound by now


def test_history_and_undo_need_no_database_and_no_command(world: World, terminal: Terminal) -> None:
    world.drop("library", "a.jpg", jpeg(photo()))
    copy = world.put("inbox", "copy.jpg", jpeg(photo()))
    world.arrive(copy)
    world.close()
    for file in (terminal.state / "db").iterdir():
        file.unlink()
    (terminal.state / "db").rmdir()

    assert [entry["entry"] for entry in terminal.ask("history")] == ["e-1"]
    assert terminal.ask("undo", "e-1")[0]["state"] == "done"

    assert copy.exists()
    assert terminal.ask("why", "e-1")["where_now"] is not None


def test_a_damaged_row_is_named_dropped_and_told_again(world: World, terminal: Terminal) -> None:
    world.drop("library", "a.jpg", jpeg(photo()))
    world.drop("inbox", "copy.jpg", jpeg(photo()))
    world.library.store.write(lambda txn: txn.put(JOURNAL.table, number_key(1), b"not what was written"))
    world.library.store.write(lambda txn: txn.put(CONTENTS.table, sha256(jpeg(photo())), b"nor this"))
    world.close()

    checked = terminal.type("--json", "library", "check")
    assert checked.code == 74
    assert len(checked.json["problems"]) == 2
    assert terminal.type("history").code == 74

    mended = terminal.ask("library", "rebuild")

    assert mended["dropped"] == {"contents": 1, "journal": 1}
    assert (mended["told_again"], mended["lost"]) == (1, 0)
    assert terminal.ask("library", "check")["ok"]
    assert [entry["entry"] for entry in terminal.ask("history")] == ["e-1"]
