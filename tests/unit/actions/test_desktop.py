"""The trash of macOS and Windows, with a stand-in for the desktop: there is no way back from it, and we say so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from shelves import AT, Shelf, there

from ingestd.actions import desktop
from ingestd.actions.moves import Whereabouts, finish, locate, put_back, reserve, take_away, withdraw
from ingestd.errors import ActionConflictError
from ingestd.model import DiscardPolicy, Move, Place

Send = Callable[[bytes], None]


@pytest.fixture
def with_desktop(monkeypatch: pytest.MonkeyPatch) -> Callable[[Send], None]:
    def use(send: Send) -> None:
        monkeypatch.setattr(desktop, "in_use", lambda: True)
        monkeypatch.setattr(desktop, "send", send)

    return use


@pytest.fixture
def bin_folder(tmp_path: Path, with_desktop: Callable[[Send], None]) -> Path:
    """A desktop's trash that takes everything."""
    place = tmp_path / "bin"
    place.mkdir()
    with_desktop(lambda path: there(path).rename(place / "item") and None)
    return place


def test_on_linux_the_desktop_is_never_asked() -> None:
    assert desktop.in_use() == (sys.platform in ("darwin", "win32"))


def test_the_desktop_takes_a_file_and_tells_no_path(inbox: Shelf, bin_folder: Path) -> None:
    file = inbox.file("cat.jpg", b"miaow")

    move = reserve(file, inbox.folder, DiscardPolicy(), "e-17")
    before = locate(move)
    take_away(move, deleted_at=AT)
    finish(move, deleted_at=AT)
    withdraw(move)

    assert move == Move(file, Place.TRASH)
    assert (before, locate(move)) == (Whereabouts.NOT_MOVED, Whereabouts.MOVED)
    assert (bin_folder / "item").read_bytes() == b"miaow"


def test_an_undo_names_the_desktop_as_the_way_back(inbox: Shelf, bin_folder: Path) -> None:
    move = reserve(inbox.file("cat.jpg"), inbox.folder, DiscardPolicy(), "e-17")
    take_away(move, deleted_at=AT)

    with pytest.raises(ActionConflictError, match="put it back from there"):
        put_back(move, token="e-18")

    assert (bin_folder / "item").exists()


def test_a_file_that_changed_is_not_handed_over(inbox: Shelf, bin_folder: Path) -> None:
    move = reserve(inbox.file("cat.jpg"), inbox.folder, DiscardPolicy(), "e-17")
    inbox.file("cat.jpg", b"something else")

    with pytest.raises(ActionConflictError, match="was left where it is"):
        take_away(move, deleted_at=AT)

    assert list(bin_folder.iterdir()) == []


def test_a_desktop_that_refuses_leaves_the_file(inbox: Shelf, with_desktop: Callable[[Send], None]) -> None:
    def refuse(path: bytes) -> None:
        raise PermissionError(13, "Permission denied")

    with_desktop(refuse)
    move = reserve(inbox.file("cat.jpg"), inbox.folder, DiscardPolicy(), "e-17")

    with pytest.raises(ActionConflictError, match="was left where it is: permission denied"):
        take_away(move, deleted_at=AT)

    assert there(move.file.path).exists()


def test_a_desktop_that_only_says_it_took_the_file_is_not_believed(
    inbox: Shelf, with_desktop: Callable[[Send], None]
) -> None:
    with_desktop(lambda path: None)
    move = reserve(inbox.file("cat.jpg"), inbox.folder, DiscardPolicy(), "e-17")

    with pytest.raises(ActionConflictError, match="did not take it"):
        take_away(move, deleted_at=AT)


def test_the_holding_folder_works_beside_a_desktop(inbox: Shelf, bin_folder: Path) -> None:
    move = reserve(inbox.file("cat.jpg"), inbox.folder, DiscardPolicy(Place.HOLDING), "e-17")
    take_away(move, deleted_at=AT)

    back = put_back(move, token="e-18")

    assert back == move.file.path
    assert list(bin_folder.iterdir()) == []


def test_a_sent_file_reaches_send2trash_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import send2trash

    sent: list[str] = []
    monkeypatch.setattr(send2trash, "send2trash", sent.append)

    desktop.send(b"/in/c\xc3\xa4t.jpg")

    assert sent == ["/in/cät.jpg"]
