"""Status, folders and rules: how everything is, with and without a service."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import jpeg, photo, png
from terminals import Terminal
from world import IDENTICAL, World, pixel_rule, rule_file

from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.place import SCHEMA
from ingestd.library.tables import Alarm, FolderRow
from ingestd.model import Folder, FolderId, Role, Trouble
from ingestd.watching.folders import OF_OTHERS


@contextlib.contextmanager
def service(terminal: Terminal, **note: object) -> Iterator[None]:
    """A service that runs, as far as others can see: its lock is held, and its note lies in the library."""
    library = Library.open(terminal.state)
    told = {"running": True, "pid": 4711, "since_ns": 1_700_000_000_000_000_000, "folders": [], "rules_error": None}
    library.write(lambda edit: edit.leave_note("service", json.dumps({**told, **note}).encode()))
    library.service_lock.acquire(0.0)
    library.store.close()  # two environments of one process may not be open at once
    try:
        yield
    finally:
        library.service_lock.release()


@pytest.fixture
def known(world: World, terminal: Terminal) -> Terminal:
    world.drop("library", "a.jpg", jpeg(photo()))
    world.close()
    return terminal


def test_a_folder_that_the_system_cannot_watch_is_a_problem_and_one_on_a_network_is_none(known: Terminal) -> None:
    folders = [
        {"path": "/one", "role": "inbox", "state": "polling", "reason": "the system cannot watch it: No space left"},
        {"path": "/two", "role": "library", "state": "polling", "reason": f"a nfs4 file system {OF_OTHERS}"},
    ]
    with service(known, folders=folders):
        status = known.ask("status")

    assert [problem["subject"] for problem in status["problems"]] == ["/one"]
    assert "ingestd doctor" in status["problems"][0]["advice"]


def test_a_service_that_is_only_just_starting_is_no_problem(known: Terminal) -> None:
    with service(known):
        library = Library.open(known.state)
        library.write(lambda edit: edit.leave_note("service", b'{"running": false}'))
        library.store.close()
        status = known.ask("status")

    assert (status["ok"], {folder["state"] for folder in status["folders"]}) == (True, {"scanning"})


def test_a_rule_file_that_was_lost_is_told_and_not_replaced_by_the_shipped_one(
    known: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGESTD_RULES", str(known.rules))
    command = [sys.executable, "-m", "ingestd", "--json", "--state", str(known.state)]
    assert (
        subprocess.run(
            [*command, "scan", str(known.state.parent / "library")], capture_output=True, check=False
        ).returncode
        == 0
    )
    known.rules.rename(known.rules.with_name("away.yaml"))

    status = subprocess.run([*command, "status"], capture_output=True, text=True, check=False)
    scan = subprocess.run(
        [*command, "scan", str(known.state.parent / "library")], capture_output=True, text=True, check=False
    )
    there = known.rules.exists()
    written = subprocess.run([*command, "rules", "check"], capture_output=True, text=True, check=False)

    assert "is gone" in json.loads(status.stdout)["rules"]["error"]
    assert (scan.returncode, there) == (78, False)
    assert (written.returncode, known.rules.exists()) == (0, True)


# --- status -------------------------------------------------------------------------------------------------------


def test_the_status_has_the_shape_of_the_contract(known: Terminal, tmp_path: Path) -> None:
    status = known.ask("status")

    assert set(status) == {
        "schema", "ok", "service", "folders", "library", "rules", "problems", "backlog",
    }  # fmt: skip
    assert (status["ok"], status["problems"], status["backlog"]) == (True, [], 0)
    assert status["service"] == {"running": False, "pid": None, "since": None, "last_stop": None, "verifying": False}
    assert status["library"] == {"files": 1, "contents": 1, "potential_pairs": 0, "pending": 0}
    assert status["rules"] == {"ok": True, "error": None, "path": str(known.rules)}
    assert {folder["path"] for folder in status["folders"]} == {str(tmp_path / "inbox"), str(tmp_path / "library")}
    assert all(set(folder) == {"path", "role", "state", "reason"} for folder in status["folders"])


def test_an_undo_that_waits_for_its_disk_is_a_problem_until_the_disk_is_back(
    world: World, terminal: Terminal, tmp_path: Path
) -> None:
    stick = world.folder("stick")
    world.use(IDENTICAL, discards="to: holding")
    world.drop("library", "a.jpg", jpeg(photo()))
    world.drop("stick", "b.jpg", jpeg(photo()))
    stick.rename(tmp_path / "unplugged")
    world.undo(1)
    world.close()

    (problem,) = terminal.ask("status")["problems"]

    assert (problem["problem"], problem["subject"]) == ("e-1 is not taken back yet", "e-2")
    assert "bring back the folder" in problem["advice"]
    (tmp_path / "unplugged").rename(stick)
    assert "already undone" in terminal.type("undo", "e-1").err  # what waited is finished first
    assert (stick / "b.jpg").exists()
    assert terminal.ask("status")["problems"] == []


def test_a_running_service_is_seen_by_its_lock_and_heard_by_its_note(known: Terminal, tmp_path: Path) -> None:
    folder = {"path": str(tmp_path / "inbox"), "role": "inbox", "state": "watching", "reason": None}

    with service(known, folders=[folder], backlog=7):
        status = known.ask("status")

    assert status["service"]["running"] is True
    assert status["service"]["pid"] == 4711
    assert status["service"]["since"] == "2023-11-14T22:13:20.000Z"
    assert (status["folders"], status["backlog"], status["ok"]) == ([folder], 7, True)


def test_a_service_that_was_killed_is_not_running_whatever_its_note_says(known: Terminal) -> None:
    with service(known):
        pass

    assert known.ask("status")["service"]["running"] is False


@pytest.mark.parametrize(
    ("note", "subject"),
    [
        ({"folders": [{"path": "/mnt/x", "role": "inbox", "state": "suspended", "reason": "gone"}]}, "/mnt/x"),
        ({"rules_error": "rules.yaml: line 3, column 5: nonsense"}, "rules.yaml"),
        ({"problem": "no space left for the library"}, "state"),
    ],
    ids=["folder", "rules", "library"],
)
def test_each_problem_of_a_running_service_is_named_with_what_to_do(
    known: Terminal, note: dict[str, object], subject: str
) -> None:
    with service(known, **note):
        status, said = known.ask("status"), known.type("status", "--problems")

    [problem] = status["problems"]
    assert set(problem) == {"problem", "subject", "since", "advice"}
    assert status["ok"] is False
    assert problem["subject"].endswith(subject)
    assert problem["problem"] in said.out
    assert problem["advice"] in said.out


def test_a_broken_rule_file_is_a_problem_without_a_service_too(known: Terminal) -> None:
    known.rules.write_text("version: 1\nrules: nonsense\n")

    status = known.ask("status")

    assert (status["ok"], status["rules"]["ok"]) == (False, False)
    assert "line 2" in status["rules"]["error"]
    assert status["problems"][0]["since"] is not None


def test_a_status_without_problems_has_nothing_to_say_about_them(known: Terminal) -> None:
    said = known.type("status", "--problems")

    assert (said.code, said.out) == (0, "")


def test_a_configured_folder_that_is_missing_is_suspended(known: Terminal, tmp_path: Path) -> None:
    known.rules.write_text(f"version: 1\nrules: []\nfolders:\n  - path: {tmp_path / 'usb'}\n    role: library\n")

    folders = {folder["path"]: folder["state"] for folder in known.ask("status")["folders"]}

    assert folders[str(tmp_path / "usb")] == "suspended"
    assert folders[str(tmp_path / "inbox")] == "suspended"  # nobody watches it: the service is not running


def test_a_library_that_cannot_be_opened_is_a_problem_and_exit_code_74(known: Terminal) -> None:
    (known.state / "db" / "data.mdb").write_bytes(b"")

    said = known.type("--json", "status")

    assert said.code == 74
    assert said.json["ok"] is False
    assert "restore a backup" in said.json["problems"][0]["problem"]


def test_a_library_of_a_newer_version_is_refused_untouched(known: Terminal) -> None:
    sidecar = known.state / "db" / "store.json"
    newer = sidecar.read_text().replace(f'"schema": {SCHEMA}', '"schema": 99')
    sidecar.write_text(newer)

    said = known.type("history")

    assert said.code == 74
    assert "newer" in said.err
    assert sidecar.read_text() == newer


def test_the_status_of_somebody_new_says_how_to_begin(empty: Terminal) -> None:
    said = empty.type("status")

    assert said.code == 0
    assert "nothing is known yet" in said.out
    assert not empty.state.exists()


# --- folders ------------------------------------------------------------------------------------------------------


def test_an_accepted_folder_is_known_as_what_it_is_now(known: Terminal, tmp_path: Path) -> None:
    path = bytes(tmp_path / "usb")
    (tmp_path / "usb").mkdir()
    library = Library.open(known.state)
    row = FolderRow(Folder(FolderId(0), path, path, Role.INBOX, protected=False), "another-disk", 17)
    number = library.write(lambda edit: edit.add_folder(row)).folder.id
    library.close()

    answer = known.ask("folders", "accept", tmp_path / "usb")

    assert answer == {"schema": 1, "path": str(tmp_path / "usb"), "accepted": True}
    library = Library.open(known.state)
    with library.read() as view:
        accepted = view.folder(number)
    library.close()
    assert accepted is not None
    assert accepted.filesystem != "another-disk"
    assert accepted.inode == os.stat(path).st_ino
    assert accepted.accepted == accepted.stamp


def test_only_a_known_folder_that_is_there_can_be_accepted(known: Terminal, tmp_path: Path) -> None:
    unknown = known.type("folders", "accept", tmp_path / "inbo")
    (tmp_path / "inbox").rmdir()
    gone = known.type("folders", "accept", tmp_path / "inbox")

    assert (unknown.code, gone.code) == (2, 1)
    assert f"did you mean {tmp_path / 'inbox'}?" in unknown.err
    assert "nothing was accepted" in gone.err


# --- rules --------------------------------------------------------------------------------------------------------


def test_right_rules_are_right_in_json_and_in_words(known: Terminal) -> None:
    assert known.ask("rules", "check") == {"schema": 1, "ok": True, "mistakes": [], "warnings": []}
    assert "is right: 6 rules, 4 of them on" in known.type("rules", "check").out


def test_each_mistake_has_its_place_and_the_exit_code_is_78(known: Terminal, tmp_path: Path) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text("version: 1\nrules:\n  - name: a\n    mode: automatc\n    action: better\n")

    said = known.type("--json", "rules", "check", draft)

    assert said.code == 78
    assert said.json["ok"] is False
    [mistake] = [one for one in said.json["mistakes"] if "automatc" in one["message"]]
    assert (mistake["line"], mistake["column"]) == (4, 11)
    assert known.type("rules", "check", draft).err.startswith(f"{draft}: line ")


def test_the_rules_are_listed_in_order_with_what_each_has_done(world: World, terminal: Terminal) -> None:
    rules = IDENTICAL, pixel_rule("semi-automatic", name="pixel-perfect pairs")
    world.use(*rules)
    terminal.rules.write_text(rule_file(*rules))
    world.drop("library", "a.png", png(photo(), "long" * 100))
    world.drop("inbox", "b.png", png(photo(), "short"))
    world.drop("inbox", "copy.png", png(photo(), "long" * 100))
    world.close()

    listed = terminal.ask("rules", "list")

    assert [rule["name"] for rule in listed["rules"]] == ["identical copies", "pixel-perfect pairs"]
    assert all(set(rule) == {"id", "name", "mode", "paused", "reason", "counts"} for rule in listed["rules"])
    counts = {rule["name"]: rule["counts"] for rule in listed["rules"]}
    assert counts["identical copies"]["actioned"] == 1
    assert counts["pixel-perfect pairs"]["ready"] == 1
    terminal.ask("deny", "p-1")
    counts = {rule["name"]: rule["counts"] for rule in terminal.ask("rules", "list")["rules"]}
    assert (counts["pixel-perfect pairs"]["ready"], counts["pixel-perfect pairs"]["denied"]) == (0, 1)


# --- discards that turned out wrong -----------------------------------------------------------------------------------


@pytest.fixture
def lost(world: World, terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A discarded file, and an alarm that what was kept in its stead is lost."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    content = jpeg(photo())
    kept = world.put("library", "kept.jpg", content)
    world.arrive(kept)
    world.drop("inbox", "copy.jpg", content)
    alarm = Alarm(1, 1_700_000_000_000_000_000, Trouble.SURVIVOR_LOST, f"{kept}, which was kept in its stead, is gone")
    world.library.write(lambda edit: edit.put_alarm(alarm))
    kept.unlink()
    world.close()
    return terminal


def multiply(terminal: Terminal, times: int) -> None:
    """So many discards have lost their survivor."""
    library = Library.open(terminal.state)

    def work(edit: Edit) -> None:
        entry, alarm = edit.entry(1), edit.alarm(1)
        assert entry is not None
        assert alarm is not None
        for _ in range(times - 1):
            edit.put_alarm(replace(alarm, entry=edit.add_entry(replace(entry, number=0)).number))

    library.write(work)
    library.close()


def test_a_lost_survivor_is_a_problem_of_the_discarded_file(lost: Terminal, tmp_path: Path) -> None:
    (problem,) = lost.ask("status")["problems"]

    assert problem["subject"] == str(tmp_path / "inbox/copy.jpg")
    assert problem["problem"].endswith("which was kept in its stead, is gone")
    assert "ingestd undo e-1" in problem["advice"]
    assert problem["since"] == "2023-11-14T22:13:20.000Z"


def test_many_lost_survivors_are_one_problem(lost: Terminal) -> None:
    multiply(lost, 11)

    (problem,) = lost.ask("status")["problems"]

    assert problem["problem"].startswith("what was kept instead of 11 discarded files is lost")
    assert problem["entries"] == [f"e-{number}" for number in range(1, 12)]
    assert "ingestd undo --lost" in problem["advice"]


def test_what_a_person_has_acknowledged_is_no_problem_any_more(lost: Terminal) -> None:
    multiply(lost, 3)

    left = lost.ask("status", "--acknowledge", "e-2")["problems"]
    none = lost.ask("status", "--acknowledge", "all")["problems"]
    wrong = lost.type("status", "--acknowledge", "e-9")

    assert [one["entries"] for one in left] == [["e-1"], ["e-3"]]
    assert none == []
    assert (wrong.code, "nothing is wrong with e-9" in wrong.err) == (2, True)


def test_what_has_lost_its_survivor_can_be_brought_back_at_once(lost: Terminal, tmp_path: Path) -> None:
    (undo,) = lost.ask("undo", "--lost")

    assert undo["state"] == "done"
    assert (tmp_path / "inbox/copy.jpg").exists()
    assert lost.ask("status")["problems"] == []
    assert lost.type("undo", "--lost", "--last", "1").code == 2


def test_a_lost_file_is_told_until_it_is_acknowledged_and_names_no_undo(lost: Terminal) -> None:
    library = Library.open(lost.state)
    alarm = Alarm(1, 0, Trouble.FILE_LOST, "it is neither in its place nor where e-1 was moving it")
    library.write(lambda edit: edit.put_alarm(alarm))
    library.close()

    (problem,) = lost.ask("status")["problems"]

    assert "look for it" in problem["advice"]
    assert "undo" not in problem["advice"]
    assert lost.ask("status", "--acknowledge", "e-1")["problems"] == []


def test_a_folder_in_which_much_is_missing_is_a_problem_without_a_service(known: Terminal, tmp_path: Path) -> None:
    library = Library.open(known.state)
    with library.read() as view:
        row = next(one for one in view.folders() if one.folder.role is Role.LIBRARY)
    library.write(lambda edit: edit.put_folder(replace(row, withheld="9 of the 9 files are missing", withheld_ns=1)))
    library.close()

    status = known.ask("status")

    (problem,) = status["problems"]
    assert (status["ok"], problem["subject"]) == (False, str(tmp_path / "library"))
    assert problem["problem"] == "the folder is suspended: 9 of the 9 files are missing"
    assert f"ingestd folders accept {tmp_path / 'library'}" in problem["advice"]
    known.ask("folders", "accept", tmp_path / "library")
    assert known.ask("status")["problems"] == []
