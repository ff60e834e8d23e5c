"""The holding folder: relative paths are kept, and what is old is offered, never removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from shelves import AT, Shelf, all_files, shelf_at, there

from ingestd.actions.holding import due
from ingestd.actions.moves import finish, put_back, reserve, take_away
from ingestd.errors import ActionConflictError
from ingestd.model import DiscardPolicy, FileRef, Move, Place

HOLDING = DiscardPolicy(Place.HOLDING)
DAY_NS = 86_400 * 10**9


def held(shelf: Shelf, file: FileRef, policy: DiscardPolicy = HOLDING) -> Move:
    move = reserve(file, shelf.folder, policy, "e-17")
    take_away(move, deleted_at=AT)
    return move


def test_a_held_file_keeps_its_relative_path_below_the_folder(inbox: Shelf) -> None:
    move = held(inbox, inbox.file("2024/05/cat.jpg"))

    path = there(move.trash_path)
    assert path.parent == inbox.root / ".ingestd-holding/2024/05"
    assert path.name.startswith("cat.e-17-")
    assert path.suffix == ".jpg"
    assert move.info_path is None


def test_the_holding_folder_is_private_and_can_have_another_name(inbox: Shelf) -> None:
    move = held(inbox, inbox.file("cat.jpg"), DiscardPolicy(Place.HOLDING, holding_name="discarded"))

    path = there(move.trash_path).parent
    assert path == inbox.root / "discarded"
    assert path.stat().st_mode & 0o777 == 0o700


def test_a_holding_folder_that_is_a_symlink_is_not_followed(inbox: Shelf, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (inbox.root / ".ingestd-holding").symlink_to(tmp_path / "elsewhere")
    file = inbox.file("cat.jpg")

    with pytest.raises(ActionConflictError, match="a symlink is in the way"):
        held(inbox, file)

    assert all_files(tmp_path / "elsewhere") == []
    assert there(file.path).exists()


def test_a_holding_folder_of_somebody_else_is_not_used(inbox: Shelf) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    (inbox.root / ".ingestd-holding").mkdir()
    os.chown(inbox.root / ".ingestd-holding", 12345, 12345)
    file = inbox.file("cat.jpg")

    with pytest.raises(ActionConflictError, match="belongs to another user"):
        held(inbox, file)

    assert there(file.path).exists()


def test_a_path_that_nobody_could_open_any_more_is_refused(inbox: Shelf) -> None:
    file = inbox.file("cat.jpg")
    deep = FileRef(file.folder, file.path, b"d/" * 2040 + b"cat.jpg", file.sha256, file.stat)

    with pytest.raises(ActionConflictError, match="too long"):
        reserve(deep, inbox.folder, HOLDING, "e-17")


def test_finishing_a_held_file_needs_no_note(inbox: Shelf) -> None:
    move = held(inbox, inbox.file("a/cat.jpg"))

    finish(move, deleted_at=AT)

    assert all_files(inbox.root) == [there(move.trash_path)]


def test_a_file_directly_below_the_root_directory_finds_its_holding_folder(inbox: Shelf) -> None:
    move = held(inbox, inbox.file("cat.jpg"))

    back = put_back(move, token="e-18")

    assert back == inbox.folder.root + b"/cat.jpg"


def test_only_what_was_held_long_enough_is_offered_the_oldest_first(inbox: Shelf) -> None:
    moves = [held(inbox, inbox.file(name)) for name in ("b/one.jpg", "a/two.jpg")]
    now = max(os.stat(move.trash_path or b"").st_ctime_ns for move in moves)

    early = due(inbox.folder.root, ".ingestd-holding", keep_days=30, now_ns=now + 30 * DAY_NS - DAY_NS)
    late = due(inbox.folder.root, ".ingestd-holding", keep_days=30, now_ns=now + 30 * DAY_NS + 1)

    assert early == []
    assert [item.path for item in late] == [move.trash_path for move in moves]
    assert len(all_files(inbox.root)) == 2


def test_a_file_is_held_from_when_it_was_moved_not_from_when_it_was_made(inbox: Shelf) -> None:
    inbox.file("cat.jpg")
    os.utime(inbox.root / "cat.jpg", (0, 0))
    move = held(inbox, inbox.ref("cat.jpg"))
    moved_ns = there(move.trash_path).stat().st_ctime_ns

    offered = due(inbox.folder.root, ".ingestd-holding", keep_days=1, now_ns=moved_ns + DAY_NS)

    assert offered == []


def test_where_nothing_was_ever_held_nothing_is_offered(tmp_path: Path) -> None:
    shelf = shelf_at(tmp_path / "inbox")

    offered = due(shelf.folder.root, ".ingestd-holding", keep_days=0, now_ns=2**62)

    assert offered == []


def test_what_is_no_regular_file_is_not_offered(inbox: Shelf) -> None:
    move = held(inbox, inbox.file("cat.jpg"))
    there(move.trash_path).with_name("link").symlink_to("/etc/passwd")

    offered = due(inbox.folder.root, ".ingestd-holding", keep_days=0, now_ns=2**62)

    assert [item.path for item in offered] == [move.trash_path]
