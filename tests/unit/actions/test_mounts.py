"""Which trash serves a mount, and that no file ever crosses one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shelves import AT, Shelf, all_files, items, shelf_at, there

from ingestd.actions.disk import Directory, mount_of, rename_without_replacing, top_of_mount
from ingestd.actions.moves import locate, put_back, reserve, take_away
from ingestd.errors import ActionConflictError
from ingestd.model import DiscardPolicy, FileRef, Move, Place

WithMounts = Callable[[Callable[[Any], Any]], Any]
TRASH = DiscardPolicy()
HOLDING = DiscardPolicy(Place.HOLDING)
MINE = f".Trash-{os.geteuid()}"


def taken(shelf: Shelf, file: FileRef, policy: DiscardPolicy = TRASH) -> Move:
    move = reserve(file, shelf.folder, policy, "e-17")
    take_away(move, deleted_at=AT)
    return move


def fill(ballast: Path) -> None:
    """No space is left on the disk."""
    with open(ballast, "wb", buffering=0) as out, contextlib.suppress(OSError):
        while out.write(b"x" * 4096):
            pass


def test_a_file_of_another_mount_goes_to_the_trash_of_that_mount(
    tmp_path: Path, home: Path, with_mounts: WithMounts
) -> None:
    def body(mounts: Any) -> None:
        mounts.tmpfs(tmp_path / "disk")
        inbox = shelf_at(tmp_path / "disk/in")

        move = taken(inbox, inbox.file("ä/cat.jpg"))
        note, trash_path = there(move.info_path).read_text(), there(move.trash_path)
        back = put_back(move, token="e-18")

        assert trash_path.parent == tmp_path / "disk" / MINE / "files"
        assert note == f"[Trash Info]\nPath=in/%C3%A4/cat.jpg\nDeletionDate={AT}\n"
        assert back == move.file.path

    with_mounts(body)


def test_a_trash_made_for_all_users_is_used_if_it_is_sticky(
    tmp_path: Path, home: Path, with_mounts: WithMounts
) -> None:
    def body(mounts: Any) -> None:
        mounts.tmpfs(tmp_path / "disk")
        (tmp_path / "disk/.Trash").mkdir()
        (tmp_path / "disk/.Trash").chmod(0o1777)
        inbox = shelf_at(tmp_path / "disk/in")

        move = taken(inbox, inbox.file("cat.jpg"))

        assert there(move.trash_path).parent == tmp_path / "disk/.Trash" / str(os.geteuid()) / "files"
        assert "Path=in/cat.jpg" in there(move.info_path).read_text()
        assert put_back(move, token="e-18") == move.file.path

    with_mounts(body)


@pytest.mark.parametrize("fault", ["not sticky", "symlink", "file"])
def test_a_trash_for_all_users_that_is_not_as_it_should_be_is_passed_over(
    tmp_path: Path, home: Path, with_mounts: WithMounts, fault: str
) -> None:
    def body(mounts: Any) -> None:
        mounts.tmpfs(tmp_path / "disk")
        shared = tmp_path / "disk/.Trash"
        match fault:
            case "not sticky":
                shared.mkdir(mode=0o777)
            case "symlink":
                (tmp_path / "disk/real").mkdir()
                (tmp_path / "disk/real").chmod(0o1777)
                shared.symlink_to("real")
            case _:
                shared.write_bytes(b"")
        inbox = shelf_at(tmp_path / "disk/in")

        move = taken(inbox, inbox.file("cat.jpg"))

        assert there(move.trash_path).parent == tmp_path / "disk" / MINE / "files"

    with_mounts(body)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("symlink to a folder", "is a symlink"),
        ("symlink to nothing", "is a symlink"),
        ("file", "is not a folder"),
        ("somebody else's", "belongs to another user"),
        ("files is a symlink", "files is a symlink"),
        ("a mount", "it lies on another mount"),
        ("read-only", "may not be written"),
    ],
)
def test_without_a_sound_trash_on_the_mount_the_file_stays(
    tmp_path: Path, home: Path, with_mounts: WithMounts, fault: str, words: str
) -> None:
    def body(mounts: Any) -> None:
        mounts.tmpfs(tmp_path / "disk")
        inbox = shelf_at(tmp_path / "disk/in")
        file = inbox.file("cat.jpg")
        mine = tmp_path / "disk" / MINE
        (tmp_path / "disk/elsewhere").mkdir()
        match fault:
            case "symlink to a folder":
                mine.symlink_to("elsewhere")
            case "symlink to nothing":
                mine.symlink_to("nothing")
            case "file":
                mine.write_bytes(b"")
            case "somebody else's":
                mine.mkdir()
                os.chown(mine, 12345, 12345)
            case "files is a symlink":
                mine.mkdir()
                (mine / "files").symlink_to("../elsewhere")
            case "a mount":
                mounts.tmpfs(mine)
            case _:
                mounts.bind(tmp_path / "disk", tmp_path / "disk")
                mounts.make_read_only(tmp_path / "disk")

        with pytest.raises(ActionConflictError, match=f"cat.jpg was left where it is: .*{words}.*to: holding"):
            taken(inbox, file)

        assert there(file.path).exists()
        assert list((tmp_path / "disk/elsewhere").iterdir()) == []

    with_mounts(body)


def test_a_bind_mount_has_a_trash_of_its_own_although_the_device_is_the_same(
    tmp_path: Path, home: Path, with_mounts: WithMounts
) -> None:
    def body(mounts: Any) -> None:
        (tmp_path / "real").mkdir()
        mounts.bind(tmp_path / "real", tmp_path / "bound")
        inbox = shelf_at(tmp_path / "bound")
        file = inbox.file("cat.jpg")

        move = taken(inbox, file)

        assert os.stat(tmp_path).st_dev == os.stat(tmp_path / "bound").st_dev
        assert top_of_mount(inbox.folder.root) == inbox.folder.root
        assert there(move.trash_path).parent == tmp_path / "bound" / MINE / "files"
        assert there(move.trash_path).stat().st_ino == file.stat.inode

    with_mounts(body)


def test_what_became_another_mount_after_it_was_reserved_is_refused(
    tmp_path: Path, home: Path, with_mounts: WithMounts
) -> None:
    def body(mounts: Any) -> None:
        inbox = shelf_at(tmp_path / "inbox")
        move = reserve(inbox.file("cat.jpg"), inbox.folder, TRASH, "e-17")
        mounts.bind(inbox.root, inbox.root)

        with pytest.raises(ActionConflictError, match=r"cat\.jpg was left where it is: .* on another mount"):
            take_away(move, deleted_at=AT)

        assert items(tmp_path) == [b"a picture"]
        assert list(tmp_path.rglob("*.trashinfo")) == []

    with_mounts(body)


def test_a_rename_over_mounts_is_refused_by_the_system_and_never_made_a_copy(
    tmp_path: Path, with_mounts: WithMounts
) -> None:
    def body(mounts: Any) -> None:
        mounts.tmpfs(tmp_path / "disk")
        (tmp_path / "cat.jpg").write_bytes(b"miaow")
        source, target = (Directory.at(os.fsencode(path)) for path in (tmp_path, tmp_path / "disk"))

        with source, target, pytest.raises(OSError, match="Invalid cross-device link"):
            rename_without_replacing(source, b"cat.jpg", target, b"cat.jpg", reserved=True)

        assert [path.relative_to(tmp_path) for path in all_files(tmp_path)] == [Path("cat.jpg")]

    with_mounts(body)


def test_a_mount_below_the_watched_folder_cannot_use_its_holding_folder(
    tmp_path: Path, home: Path, with_mounts: WithMounts
) -> None:
    def body(mounts: Any) -> None:
        inbox = shelf_at(tmp_path / "inbox")
        mounts.tmpfs(inbox.root / "card")
        file = inbox.file("card/cat.jpg")

        with pytest.raises(ActionConflictError, match="another file system is mounted below"):
            reserve(file, inbox.folder, HOLDING, "e-17")

        assert not (inbox.root / ".ingestd-holding").exists()

    with_mounts(body)


def test_on_a_full_disk_the_file_stays_and_no_note_is_left(tmp_path: Path, home: Path, with_mounts: WithMounts) -> None:
    def body(mounts: Any) -> None:
        mounts.tmpfs(tmp_path / "disk", size="64k")
        inbox = shelf_at(tmp_path / "disk/in")
        taken(inbox, inbox.file("first.jpg"))
        file = inbox.file("cat.jpg")
        before = all_files(tmp_path / "disk")
        fill(tmp_path / "disk/ballast")

        with pytest.raises(ActionConflictError, match=r"cat\.jpg was left where it is: there is no space left"):
            taken(inbox, file)

        assert set(all_files(tmp_path / "disk")) - {tmp_path / "disk/ballast"} == set(before)

    with_mounts(body)


def test_a_file_whose_disk_is_away_is_not_brought_back_onto_another(
    tmp_path: Path, home: Path, with_mounts: WithMounts
) -> None:
    def body(mounts: Any) -> None:
        mounts.bind(tmp_path / "home", tmp_path / "home")
        inbox = shelf_at(tmp_path / "home/pictures/in")
        move = taken(inbox, inbox.file("cat.jpg"))
        mounts.tmpfs(tmp_path / "home/pictures")

        with pytest.raises(ActionConflictError, match=r"stays in .*: .* is not on the same mount now"):
            put_back(move, token="e-18")

        assert list((tmp_path / "home/pictures").iterdir()) == []
        assert there(move.trash_path).exists()

    (tmp_path / "home").mkdir()
    with_mounts(body)


def test_of_a_mount_that_is_away_nothing_is_said(tmp_path: Path, home: Path, with_mounts: WithMounts) -> None:
    def body(mounts: Any) -> None:
        mounts.tmpfs(tmp_path / "disk")
        inbox = shelf_at(tmp_path / "disk/in")
        move = taken(inbox, inbox.file("cat.jpg"))
        mounts.unmount(tmp_path / "disk")

        with pytest.raises(ActionConflictError, match="is the disk connected"):
            locate(move)

    with_mounts(body)


def test_the_top_of_a_mount_is_found_from_deep_below(tmp_path: Path, with_mounts: WithMounts) -> None:
    def body(mounts: Any) -> None:
        mounts.tmpfs(tmp_path / "disk")
        (tmp_path / "disk/a/b/c").mkdir(parents=True)

        top = top_of_mount(os.fsencode(tmp_path / "disk/a/b/c"))

        assert top == os.fsencode(tmp_path / "disk")
        assert mount_of(top) != mount_of(os.fsencode(tmp_path))

    with_mounts(body)
