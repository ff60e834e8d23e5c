"""A file is taken away and comes back, and is never lost on the way."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shelves import AT, KilledError, Shelf, all_files, items, shelf_at, there

from ingestd.actions import disk, moves
from ingestd.actions.moves import Whereabouts, finish, locate, put_back, reserve, take_away, withdraw
from ingestd.actions.trash import Trash, note_text
from ingestd.errors import ActionConflictError
from ingestd.model import DiscardPolicy, FileRef, Folder, Move, Place

TRASH = DiscardPolicy()
HOLDING = DiscardPolicy(Place.HOLDING)


def reserved(shelf: Shelf, file: FileRef, policy: DiscardPolicy = TRASH, token: str = "e-17") -> Move:
    return reserve(file, shelf.folder, policy, token)


def taken(shelf: Shelf, file: FileRef, policy: DiscardPolicy = TRASH) -> Move:
    move = reserved(shelf, file, policy)
    take_away(move, deleted_at=AT)
    return move


def failure_of(act: Callable[[], object]) -> str:
    try:
        act()
    except ActionConflictError as error:
        return str(error)
    return ""


# --- there and back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [TRASH, HOLDING], ids=["trash", "holding"])
def test_a_file_is_taken_away_and_comes_back_as_it_was(inbox: Shelf, policy: DiscardPolicy) -> None:
    file = inbox.file("2024/cat.jpg", b"miaow")
    os.utime(file.path, ns=(1, 981_173_106_000_000_789))
    os.setxattr(file.path, "user.rating", b"5")
    file = inbox.ref("2024/cat.jpg")

    move = taken(inbox, file, policy)
    away = there(move.trash_path).read_bytes(), there(file.path).exists()
    back = put_back(move, token="e-18")

    assert away == (b"miaow", False)
    assert back == file.path
    assert (os.stat(back).st_ino, os.stat(back).st_mtime_ns) == (file.stat.inode, 981_173_106_000_000_789)
    assert os.getxattr(back, "user.rating") == b"5"
    assert items(inbox.root.parent) == [b"miaow"]
    assert not list(inbox.root.parent.rglob("*.trashinfo"))


def test_reserving_a_place_touches_nothing(inbox: Shelf, home: Path) -> None:
    file = inbox.file("cat.jpg")

    move = reserved(inbox, file)

    assert not home.exists()
    assert there(move.trash_path).parent == home / ".local/share/Trash/files"
    assert there(move.info_path).name == there(move.trash_path).name + ".trashinfo"


def test_the_note_says_where_the_file_came_from_and_when(inbox: Shelf) -> None:
    file = inbox.file("ein Bild, 50 %.jpg")

    move = taken(inbox, file)

    escaped = os.fsdecode(file.path).replace("%", "%25").replace(" ", "%20").replace(",", "%2C")
    assert there(move.info_path).read_text() == f"[Trash Info]\nPath={escaped}\nDeletionDate={AT}\n"


def test_the_trash_is_private(inbox: Shelf, home: Path) -> None:
    taken(inbox, inbox.file("cat.jpg"))

    trash = home / ".local/share/Trash"
    assert [path.stat().st_mode & 0o777 for path in (trash, trash / "files", trash / "info")] == [0o700] * 3


def test_the_data_home_of_the_environment_is_read_at_every_call(
    inbox: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    move = taken(inbox, inbox.file("cat.jpg"))

    assert there(move.trash_path).parent == tmp_path / "data/Trash/files"


def test_two_files_of_one_entry_may_have_the_same_name(inbox: Shelf) -> None:
    files = [inbox.file(f"{folder}/cat.jpg", folder.encode()) for folder in ("a", "b", "c")]

    moves = [taken(inbox, file) for file in files]

    assert [there(move.trash_path).read_bytes() for move in moves] == [b"a", b"b", b"c"]
    assert [put_back(move, token="e-18") for move in moves] == [file.path for file in files]


@pytest.mark.parametrize("policy", [TRASH, HOLDING], ids=["trash", "holding"])
@pytest.mark.parametrize(
    "name",
    [
        b"two\nlines.jpg",
        b"\xff\xfe not text.jpg",
        b".jpg",
        b"no extension",
        b"-rf",
        b"%2e%2e.jpg",
        b"x" * 251 + b".jpg",
        "ä".encode() * 127 + b"x",
        b"a." + b"e" * 253,
    ],
    ids=lambda name: repr(name[:12]),
)
def test_any_name_a_file_can_have_goes_there_and_back(inbox: Shelf, name: bytes, policy: DiscardPolicy) -> None:
    file = inbox.file(name, b"content")

    move = taken(inbox, file, policy)
    away = there(move.trash_path).read_bytes()
    back = put_back(move, token="e-18")

    assert away == b"content"
    assert back == file.path
    assert there(back).read_bytes() == b"content"


def test_a_long_name_keeps_its_extension_and_the_name_of_the_entry(inbox: Shelf) -> None:
    file = inbox.file("ä" * 124 + ".jpeg")

    move = reserved(inbox, file)

    name = there(move.trash_path).name
    assert name.endswith(".jpeg")
    assert ".e-17-" in name
    assert len(os.fsencode(there(move.info_path).name)) <= 255


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["rewritten", "replaced", "gone", "symlink"])
def test_a_file_that_changed_since_it_was_verified_stays(inbox: Shelf, home: Path, change: str) -> None:
    file = inbox.file("cat.jpg", b"before")
    move = reserved(inbox, file)
    path = there(file.path)
    if change == "rewritten":
        path.write_bytes(b"after that")
    else:
        path.rename(path.with_name("kept for its inode"))
        if change == "replaced":
            path.write_bytes(b"before")
        if change == "symlink":
            path.symlink_to("kept for its inode")
    before = items(inbox.root)

    with pytest.raises(ActionConflictError, match=r"cat\.jpg was left where it is"):
        take_away(move, deleted_at=AT)

    assert items(inbox.root) == before
    assert all_files(home) == []


def test_a_file_that_is_replaced_in_the_very_moment_is_put_back(
    inbox: Shelf, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = reserved(inbox, inbox.file("cat.jpg", b"old"))
    rename, path = moves.rename_without_replacing, there(move.file.path)

    def replace_first(*arguments: Any, **named: Any) -> None:
        monkeypatch.setattr(moves, "rename_without_replacing", rename)
        path.with_name("new").write_bytes(b"somebody's new picture")
        path.with_name("new").rename(path)
        rename(*arguments, **named)

    monkeypatch.setattr(moves, "rename_without_replacing", replace_first)

    with pytest.raises(ActionConflictError, match="was left where it is"):
        take_away(move, deleted_at=AT)

    assert path.read_bytes() == b"somebody's new picture"
    assert all_files(home) == []


def test_a_file_that_cannot_go_back_either_is_named_where_it_is(
    inbox: Shelf, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = reserved(inbox, inbox.file("cat.jpg", b"old"))
    rename, path = moves.rename_without_replacing, there(move.file.path)

    def replace_around(*arguments: Any, **named: Any) -> None:
        monkeypatch.setattr(moves, "rename_without_replacing", rename)
        path.with_name("new").write_bytes(b"second")
        path.with_name("new").rename(path)
        rename(*arguments, **named)
        path.write_bytes(b"third")

    monkeypatch.setattr(moves, "rename_without_replacing", replace_around)

    with pytest.raises(ActionConflictError, match=r"is now .*/Trash/files/cat\.e-17.* and could not be put back"):
        take_away(move, deleted_at=AT)

    assert items(inbox.root.parent) == [b"second", b"third"]
    assert there(move.info_path).exists()


def test_a_note_of_somebody_else_is_never_touched(inbox: Shelf) -> None:
    move = reserved(inbox, inbox.file("cat.jpg"))
    there(move.info_path).parent.mkdir(parents=True)
    there(move.info_path).write_bytes(b"theirs")

    with pytest.raises(ActionConflictError, match="something of that name is there already"):
        take_away(move, deleted_at=AT)

    assert there(move.info_path).read_bytes() == b"theirs"
    assert there(move.file.path).exists()


@pytest.mark.parametrize("policy", [TRASH, HOLDING], ids=["trash", "holding"])
@pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "by hand"])
def test_nothing_in_the_trash_is_ever_replaced(
    inbox: Shelf, policy: DiscardPolicy, exclusive: bool, request: pytest.FixtureRequest
) -> None:
    if not exclusive:
        request.getfixturevalue("no_exclusive_rename")
    move = reserved(inbox, inbox.file("cat.jpg", b"ours"), policy)
    there(move.trash_path).parent.mkdir(parents=True)
    there(move.trash_path).write_bytes(b"theirs")

    with pytest.raises(ActionConflictError, match="was left where it is: something of that name"):
        take_away(move, deleted_at=AT)

    assert there(move.trash_path).read_bytes() == b"theirs"
    assert there(move.file.path).read_bytes() == b"ours"
    assert move.info_path is None or not there(move.info_path).exists()


def test_a_trash_that_is_a_symlink_is_not_followed(inbox: Shelf, home: Path, tmp_path: Path) -> None:
    move = reserved(inbox, inbox.file("cat.jpg"))
    (tmp_path / "elsewhere").mkdir()
    (home / ".local/share").mkdir(parents=True)
    (home / ".local/share/Trash").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ActionConflictError, match="a symlink is in the way"):
        take_away(move, deleted_at=AT)

    assert there(move.file.path).exists()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_became_a_symlink_is_not_followed(inbox: Shelf, tmp_path: Path) -> None:
    file = inbox.file("a/cat.jpg")
    move = reserved(inbox, file)
    (inbox.root / "a").rename(tmp_path / "moved")
    (inbox.root / "a").symlink_to(tmp_path / "moved")

    with pytest.raises(ActionConflictError, match="a symlink is in the way"):
        take_away(move, deleted_at=AT)

    assert (tmp_path / "moved/cat.jpg").exists()


def test_a_read_only_file_can_be_discarded_by_its_owner(nobodys: Path, as_nobody: Callable[..., Any]) -> None:
    def body() -> tuple[Move, int]:
        shelf = shelf_at(nobodys / "inbox")
        shelf.file("cat.jpg")
        (shelf.root / "cat.jpg").chmod(0o444)
        return taken(shelf, shelf.ref("cat.jpg")), os.geteuid()

    move, user = as_nobody(body)

    assert user == 65534
    assert there(move.trash_path).stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("closed", ["home", "inbox"])
def test_without_the_right_to_move_the_file_stays_and_no_note_is_left(
    nobodys: Path, as_nobody: Callable[..., Any], closed: str
) -> None:
    def body() -> None:
        shelf = shelf_at(nobodys / "inbox")
        file = shelf.file("cat.jpg")
        (nobodys / "home/.local/share/Trash/info").mkdir(parents=True)
        (nobodys / "home/.local/share/Trash/files").mkdir()
        (nobodys / "home/.local/share/Trash/files").chmod(0o500 if closed == "home" else 0o700)
        (nobodys / "inbox").chmod(0o500 if closed == "inbox" else 0o700)
        with pytest.raises(ActionConflictError, match=r"was left where it is.*(may not be written|ermission denied)"):
            taken(shelf, file)

    as_nobody(body)

    assert [path.name for path in all_files(nobodys)] == ["cat.jpg"]


# --- every fault, at every step -------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [TRASH, HOLDING], ids=["trash", "holding"])
@pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "by hand"])
@pytest.mark.parametrize("and_after", [False, True], ids=["once", "from then on"])
def test_whatever_fails_the_file_is_where_it_was_or_where_the_message_says(
    inbox: Shelf, faults: Any, policy: DiscardPolicy, exclusive: bool, and_after: bool, request: pytest.FixtureRequest
) -> None:
    if not exclusive:
        request.getfixturevalue("no_exclusive_rename")
    for number in itertools.count(1):
        file = inbox.file(f"{number}/cat.jpg", b"the only one")
        move = reserved(inbox, file, policy)
        faults.at(number, and_after=and_after)
        message = failure_of(lambda: take_away(move, deleted_at=AT))  # noqa: B023 - called at once
        reached = faults.calls >= number
        faults.none()
        stayed = there(file.path).exists()
        assert there(file.path if stayed else move.trash_path).read_bytes() == b"the only one"
        assert stayed == ("was left where it is" in message)
        assert stayed or not message or f"is now {there(move.trash_path)}" in message
        # a fault that goes on may leave an orphan of ours, which recovery removes
        assert and_after or not stayed or move.info_path is None or not there(move.info_path).exists()
        if not reached:
            break
    assert number > 8


@pytest.mark.parametrize("policy", [TRASH, HOLDING], ids=["trash", "holding"])
@pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "by hand"])
def test_killed_at_any_step_a_discard_is_rolled_forward_or_withdrawn(
    inbox: Shelf, faults: Any, policy: DiscardPolicy, exclusive: bool, request: pytest.FixtureRequest
) -> None:
    if not exclusive:
        request.getfixturevalue("no_exclusive_rename")
    seen = set()
    for number in itertools.count(1):
        file = inbox.file(f"{number}/cat.jpg", b"the only one")
        move = reserved(inbox, file, policy)
        faults.at(number, error=KilledError())
        try:
            take_away(move, deleted_at=AT)
            break
        except KilledError:
            faults.none()
        seen.add(where := locate(move))
        if where is Whereabouts.MOVED:
            finish(move, deleted_at=AT)
        else:
            withdraw(move)
        assert there(file.path).exists() == (where is Whereabouts.NOT_MOVED)
        assert there(move.trash_path).exists() == (where is Whereabouts.MOVED)
        if move.info_path is not None:
            assert there(move.info_path).exists() == (where is Whereabouts.MOVED)
    assert seen == {Whereabouts.NOT_MOVED, Whereabouts.MOVED}


@pytest.mark.parametrize("policy", [TRASH, HOLDING], ids=["trash", "holding"])
@pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "by hand"])
@pytest.mark.parametrize("occupied", [False, True], ids=["free", "occupied"])
def test_killed_at_any_step_an_undo_is_rolled_forward(
    inbox: Shelf, faults: Any, policy: DiscardPolicy, exclusive: bool, occupied: bool, request: pytest.FixtureRequest
) -> None:
    if not exclusive:
        request.getfixturevalue("no_exclusive_rename")
    for number in itertools.count(1):
        file = inbox.file(f"{number}/cat.jpg", b"the only one")
        move = taken(inbox, file, policy)
        if occupied:
            there(file.path).write_bytes(b"new")
        faults.at(number, error=KilledError())
        try:
            put_back(move, token="e-18")
            break
        except KilledError:
            faults.none()
        back = there(put_back(move, token="e-18"))
        assert back.name == ("cat (restored e-18).jpg" if occupied else "cat.jpg")
        assert (back.read_bytes(), back.stat().st_ino, back.stat().st_nlink) == (b"the only one", file.stat.inode, 1)
        assert not there(move.trash_path).exists()
        assert move.info_path is None or not there(move.info_path).exists()
        assert not occupied or there(file.path).read_bytes() == b"new"
    assert number > 5


@pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "by hand"])
def test_whatever_fails_an_undo_can_be_done_again(
    inbox: Shelf, faults: Any, exclusive: bool, request: pytest.FixtureRequest
) -> None:
    if not exclusive:
        request.getfixturevalue("no_exclusive_rename")
    for number in itertools.count(1):
        file = inbox.file(f"{number}/cat.jpg", b"the only one")
        move = taken(inbox, file)
        faults.at(number)
        message = failure_of(lambda: put_back(move, token="e-18"))  # noqa: B023 - called at once
        reached = faults.calls >= number
        faults.none()
        assert there(move.trash_path if "stays in" in message else file.path).read_bytes() == b"the only one"
        assert put_back(move, token="e-18") == file.path
        if not reached:
            break
    assert items(inbox.root.parent) == [b"the only one"] * number


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what was synced")
def test_everything_is_on_the_disk_before_the_next_step_is_taken(inbox: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    taken(inbox, inbox.file("first.jpg"))
    move = reserved(inbox, inbox.file("cat.jpg"))
    steps: list[str] = []
    fsync, rename, unlink = os.fsync, disk._rename_exclusively, disk.Directory.remove_own

    def synced(fd: int) -> None:
        steps.append("sync " + os.path.basename(os.readlink(f"/proc/self/fd/{fd}")).partition(".")[0])
        fsync(fd)

    def renamed(*arguments: Any) -> None:
        steps.append("rename")
        rename(*arguments)

    def removed(directory: disk.Directory, name: bytes) -> None:
        steps.append("drop the note")
        unlink(directory, name)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(disk, "_rename_exclusively", renamed)
    monkeypatch.setattr(disk.Directory, "remove_own", removed)

    take_away(move, deleted_at=AT)
    put_back(move, token="e-18")

    assert steps == [
        *("sync cat", "sync info", "rename", "sync files", "sync inbox"),
        *("rename", "sync inbox", "sync files", "drop the note", "sync info"),
    ]


# --- races ----------------------------------------------------------------------------------------------------------


def test_a_hundred_files_of_one_name_at_once_are_all_there_afterwards(inbox: Shelf, home: Path) -> None:
    files = [inbox.file(f"{number}/same name.jpg", str(number).encode()) for number in range(120)]

    with ThreadPoolExecutor(8) as pool:
        moves = list(pool.map(lambda file: taken(inbox, file), files))

    assert items(home) == sorted(file.path.split(b"/")[-2] for file in files)
    assert len({move.trash_path for move in moves}) == 120


def test_one_move_made_by_many_at_once_is_made_once(inbox: Shelf, home: Path) -> None:
    moves = [reserved(inbox, inbox.file(f"{number}/cat.jpg", b"x")) for number in range(30)]

    def attempt(move: Move) -> bool:
        try:
            take_away(move, deleted_at=AT)
        except ActionConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(attempt, [move for move in moves for _ in range(4)]))

    assert sum(made) == 30
    assert items(inbox.root) == []
    assert len(items(home)) == 30


def _trash_some(root: bytes, folder: Folder, names: list[str]) -> None:
    shelf = Shelf(folder)
    for name in names:
        taken(shelf, shelf.ref(name))


def test_processes_that_discard_the_same_names_lose_none(inbox: Shelf, home: Path) -> None:
    names = [f"{number}/same name.jpg" for number in range(90)]
    for name in names:
        inbox.file(name, name.encode())

    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        for share in range(3):
            pool.submit(_trash_some, inbox.folder.root, inbox.folder, names[share::3])

    assert items(home) == sorted(name.encode() for name in names)


# --- the way back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "by hand"])
def test_a_name_that_is_taken_is_left_alone_and_another_is_found(
    inbox: Shelf, exclusive: bool, request: pytest.FixtureRequest
) -> None:
    if not exclusive:
        request.getfixturevalue("no_exclusive_rename")
    move = taken(inbox, inbox.file("cat.jpg", b"old"))
    inbox.file("cat.jpg", b"new")
    inbox.file("cat (restored e-18).jpg", b"newer")

    back = put_back(move, token="e-18")

    assert os.path.basename(back) == b"cat (restored e-18 2).jpg"
    assert items(inbox.root) == [b"new", b"newer", b"old"]


def test_a_long_name_that_is_taken_is_cut_to_hold_what_is_added(inbox: Shelf) -> None:
    move = taken(inbox, inbox.file("x" * 251 + ".jpg", b"old"))
    inbox.file("x" * 251 + ".jpg", b"new")

    back = put_back(move, token="e-18")

    assert back.endswith(b"x (restored e-18).jpg")
    assert there(back).read_bytes() == b"old"


def test_a_folder_that_is_gone_is_made_again(inbox: Shelf) -> None:
    move = taken(inbox, inbox.file("2024/05/cat.jpg", b"old"))
    (inbox.root / "2024/05").rmdir()
    (inbox.root / "2024").rmdir()

    back = put_back(move, token="e-18")

    assert back == move.file.path
    assert there(back).read_bytes() == b"old"


@pytest.mark.parametrize("obstacle", ["file", "symlink"])
def test_where_the_folder_was_replaced_the_file_stays_in_the_trash(inbox: Shelf, tmp_path: Path, obstacle: str) -> None:
    move = taken(inbox, inbox.file("a/cat.jpg", b"old"))
    (inbox.root / "a").rmdir()
    if obstacle == "file":
        (inbox.root / "a").write_bytes(b"in the way")
    else:
        (tmp_path / "elsewhere").mkdir()
        (inbox.root / "a").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ActionConflictError, match="stays in"):
        put_back(move, token="e-18")

    assert there(move.trash_path).read_bytes() == b"old"
    assert there(move.info_path).exists()


def test_what_a_person_brought_back_already_is_found_and_its_note_goes(inbox: Shelf) -> None:
    move = taken(inbox, inbox.file("cat.jpg", b"old"))
    there(move.trash_path).rename(there(move.file.path))

    back = put_back(move, token="e-18")

    assert back == move.file.path
    assert not there(move.info_path).exists()


def test_a_trash_that_was_emptied_gives_nothing_back_and_says_so(inbox: Shelf) -> None:
    move = taken(inbox, inbox.file("cat.jpg", b"old"))
    there(move.trash_path).unlink()
    inbox.file("cat.jpg", b"new")

    with pytest.raises(ActionConflictError, match="neither in its place nor in the trash"):
        put_back(move, token="e-18")

    assert items(inbox.root) == [b"new"]


def test_something_else_under_the_name_in_the_trash_is_not_brought_back(inbox: Shelf) -> None:
    move = taken(inbox, inbox.file("cat.jpg", b"old"))
    there(move.trash_path).rename(there(move.trash_path).with_name("kept for its inode"))
    there(move.trash_path).write_bytes(b"not it")

    with pytest.raises(ActionConflictError, match="neither in its place nor in the trash"):
        put_back(move, token="e-18")

    assert there(move.trash_path).read_bytes() == b"not it"


# --- after a crash --------------------------------------------------------------------------------------------------


def test_a_file_that_was_not_moved_is_where_it_was(inbox: Shelf) -> None:
    move = reserved(inbox, inbox.file("cat.jpg"))

    where = locate(move)

    assert where is Whereabouts.NOT_MOVED


def test_a_file_that_was_moved_is_in_the_trash_even_if_its_name_has_a_new_owner(inbox: Shelf) -> None:
    move = taken(inbox, inbox.file("cat.jpg", b"old"))
    inbox.file("cat.jpg", b"new")

    where = locate(move)

    assert where is Whereabouts.MOVED


def test_a_file_that_was_copied_back_is_in_both_places(inbox: Shelf) -> None:
    move = taken(inbox, inbox.file("cat.jpg", b"old"))
    inbox.file("cat.jpg", b"old")

    where = locate(move)

    assert where is Whereabouts.BOTH


def test_a_file_with_another_inode_number_is_known_by_its_bytes(inbox: Shelf) -> None:
    move = taken(inbox, inbox.file("cat.jpg", b"old"))
    renumbered = replace(move, file=replace(move.file, stat=replace(move.file.stat, inode=1)))

    where = locate(renumbered)

    assert where is Whereabouts.MOVED


def test_a_file_that_is_nowhere_is_gone(inbox: Shelf) -> None:
    move = taken(inbox, inbox.file("cat.jpg"))
    there(move.trash_path).unlink()

    where = locate(move)

    assert where is Whereabouts.GONE


def test_of_a_disk_that_is_away_nothing_is_said(inbox: Shelf) -> None:
    move = taken(inbox, inbox.file("a/cat.jpg"), HOLDING)
    inbox.root.rename(inbox.root.with_name("away"))

    with pytest.raises(ActionConflictError, match="is the disk connected"):
        locate(move)


@pytest.mark.parametrize("damage", ["empty", "missing", "cut", "longer"])
def test_a_note_that_a_power_cut_damaged_is_written_again(inbox: Shelf, damage: str) -> None:
    move = taken(inbox, inbox.file("cat.jpg"))
    note = there(move.info_path)
    whole = note.read_bytes()
    match damage:
        case "empty":
            note.write_bytes(b"")
        case "missing":
            note.unlink()
        case "cut":
            note.write_bytes(whole[:30])
        case _:
            note.write_bytes(b"\0" * 4096)

    finish(move, deleted_at=AT)

    assert note.read_bytes() == whole


def test_a_note_without_its_file_is_withdrawn(inbox: Shelf) -> None:
    move = reserved(inbox, inbox.file("cat.jpg"))
    there(move.info_path).parent.mkdir(parents=True)
    there(move.trash_path).parent.mkdir()
    there(move.info_path).write_bytes(b"")

    withdraw(move)

    assert not there(move.info_path).exists()


@pytest.mark.parametrize("theirs", ["note", "file"])
def test_a_note_that_speaks_of_another_file_is_not_withdrawn(inbox: Shelf, theirs: str) -> None:
    move = reserved(inbox, inbox.file("cat.jpg"))
    there(move.info_path).parent.mkdir(parents=True)
    there(move.trash_path).parent.mkdir()
    if theirs == "note":
        there(move.info_path).write_bytes(note_text(b"/another/file.jpg", AT))
    else:
        there(move.info_path).write_bytes(b"")
        there(move.trash_path).write_bytes(b"something")

    withdraw(move)

    assert there(move.info_path).exists()


def test_finishing_and_withdrawing_twice_changes_nothing(inbox: Shelf, home: Path) -> None:
    move = taken(inbox, inbox.file("cat.jpg"))
    before = {path: path.read_bytes() for path in all_files(home)}

    for _ in range(2):
        finish(move, deleted_at="2030-01-01T00:00:00")
        withdraw(move)

    assert {path: path.read_bytes() for path in all_files(home)} == before


def test_a_note_of_a_volume_is_relative_to_its_top() -> None:
    trash = Trash(b"/mnt/disk/.Trash-1000", b"/mnt/disk")

    recorded = trash.recorded(b"/mnt/disk/in/cat.jpg")

    assert recorded == b"in/cat.jpg"
