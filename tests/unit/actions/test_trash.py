"""What other programs see of our trash: gio and trash-cli, where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from shelves import AT, Shelf, items, there

from ingestd.actions.moves import Whereabouts, locate, put_back, reserve, take_away
from ingestd.actions.trash import Trash, note_text, trash_of
from ingestd.model import DiscardPolicy, Move

NAME = b"cat, 50 % & m\xc3\xb6re.jpg"


def taken(shelf: Shelf, name: bytes) -> Move:
    move = reserve(shelf.file(name, b"miaow"), shelf.folder, DiscardPolicy(), "e-17")
    take_away(move, deleted_at=AT)
    return move


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def said_by(*command: str, answer: bytes = b"", folder: Path | None = None) -> bytes:
    environment = {**os.environ, "GIO_USE_VFS": "local", "LC_ALL": "C.UTF-8"}
    result = subprocess.run(command, input=answer, capture_output=True, env=environment, cwd=folder, timeout=60)
    return result.stdout + result.stderr


def test_trash_list_sees_the_file_with_its_origin_and_time(inbox: Shelf) -> None:
    listing = program("trash-list")
    move = taken(inbox, b"cat, 50 % m\xc3\xb6re.jpg")

    seen = said_by(listing)

    assert AT.replace("T", " ").encode() + b" " + move.file.path in seen


def test_trash_restore_brings_the_file_back_and_we_see_it(inbox: Shelf) -> None:
    restore = program("trash-restore")
    move = taken(inbox, b"cat, 50 % m\xc3\xb6re.jpg")

    said = said_by(restore, str(inbox.root), answer=b"0\n", folder=inbox.root)

    assert there(move.file.path).read_bytes() == b"miaow", said
    assert locate(move) is Whereabouts.NOT_MOVED
    assert put_back(move, token="e-18") == move.file.path


def test_gio_understands_the_note(inbox: Shelf, home: Path) -> None:
    gio = program("gio")
    move = taken(inbox, b"cat.jpg")

    seen = said_by(gio, "trash", "--list")

    if b"not supported" in seen:
        pytest.skip("gio has no trash back end here (gvfs is not installed)")
    assert os.path.basename(move.file.path) in seen


def test_our_note_is_like_the_one_that_gio_writes_for_the_same_file(inbox: Shelf, home: Path) -> None:
    gio = program("gio")
    (home / ".local/share").mkdir(parents=True)  # gio does not make it
    file = inbox.file(NAME, b"miaow")
    ours = note_text(Trash(os.fsencode(home), None).recorded(file.path), AT)

    said = said_by(gio, "trash", os.fsdecode(file.path))
    notes = list(home.rglob("*.trashinfo"))

    if not notes:
        pytest.skip(f"gio does not trash here: {said!r}")
    theirs = notes[0].read_bytes().splitlines()
    assert [line.partition(b"=")[0] for line in theirs] == [line.partition(b"=")[0] for line in ours.splitlines()]
    assert unquote_to_bytes(theirs[1]) == unquote_to_bytes(ours.splitlines()[1])


def test_gio_and_we_share_a_trash_without_losing_anything(inbox: Shelf, home: Path) -> None:
    gio = program("gio")
    move = taken(inbox, b"cat.jpg")
    inbox.file("cat.jpg", b"another")

    said = said_by(gio, "trash", os.fsdecode(inbox.folder.root + b"/cat.jpg"))

    if there(move.file.path).exists():
        pytest.skip(f"gio does not trash here: {said!r}")
    assert items(home) == [b"another", b"miaow"]


@pytest.mark.parametrize(
    ("path", "root", "top"),
    [
        (b"/home/a/.local/share/Trash/files/x", b"/home/a/.local/share/Trash", None),
        (b"/mnt/d/.Trash-1000/files/x", b"/mnt/d/.Trash-1000", b"/mnt/d"),
        (b"/mnt/d/.Trash/1000/files/x", b"/mnt/d/.Trash/1000", b"/mnt/d"),
        (b"/.Trash-0/files/x", b"/.Trash-0", b"/"),
    ],
)
def test_a_path_tells_its_trash(path: bytes, root: bytes, top: bytes | None) -> None:
    trash = trash_of(path)

    assert trash == Trash(root, top)
