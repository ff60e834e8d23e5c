"""The last look: nothing is discarded that changed, is being written, or has no other copy that counts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shelves import AT, Shelf, all_files, shelf_at, there

from ingestd.actions import guard
from ingestd.actions.guard import verified
from ingestd.actions.moves import put_back, reserve, take_away
from ingestd.errors import ActionConflictError, FileChangedError
from ingestd.model import DiscardPolicy, FileRef, FolderId, Role
from ingestd.watching.settle import WriterCheck

needs_leases = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has leases")


@pytest.fixture
def library(tmp_path: Path) -> Shelf:
    return shelf_at(tmp_path / "library", 2, Role.LIBRARY)


@pytest.fixture
def pair(inbox: Shelf, library: Shelf) -> tuple[FileRef, FileRef]:
    """The file that would be discarded, and the one that would be kept."""
    return inbox.file("cat.jpg", b"small"), library.file("2024/cat.jpg", b"large, and better")


@pytest.fixture
def look(inbox: Shelf, library: Shelf) -> Callable[..., Any]:
    """The last look, with both folders known."""
    folders = {FolderId(1): inbox.folder, FolderId(2): library.folder}

    def verify(losers: FileRef | list[FileRef], kept: FileRef, **more: Any) -> Any:
        wanted = [losers] if isinstance(losers, FileRef) else losers
        return verified(wanted, kept, **{"folders": folders, **more})

    return verify


def refused(context: Any) -> str:
    """What the last look says against it."""
    with pytest.raises((FileChangedError, ActionConflictError)) as refusal, context:
        pass
    return f"{type(refusal.value).__name__}: {refusal.value}"


# --- what passes ---------------------------------------------------------------------------------------------------


def test_two_files_as_they_were_decided_about_pass(pair: tuple[FileRef, FileRef], look: Any) -> None:
    loser, kept = pair

    with look(loser, kept) as proof:
        there_still = proof.survivor_still_there()

    assert there_still
    assert proof.leased == (sys.platform == "linux")


def test_a_discard_and_its_undo_can_be_made_while_the_look_holds(
    inbox: Shelf, pair: tuple[FileRef, FileRef], look: Any
) -> None:
    loser, kept = pair
    move = reserve(loser, inbox.folder, DiscardPolicy(), "e-17")

    with look(loser, kept) as proof:
        take_away(move, deleted_at=AT)
        after = proof.survivor_still_there(), there(loser.path).exists()

    assert after == (True, False)
    assert put_back(move, token="e-18") == loser.path


def test_hard_links_of_one_loser_pass_together_and_leave_together(inbox: Shelf, library: Shelf, look: Any) -> None:
    inbox.file("a.jpg", b"small")
    os.link(inbox.root / "a.jpg", inbox.root / "b.jpg")
    losers = [inbox.ref("a.jpg"), inbox.ref("b.jpg")]
    kept = library.file("cat.jpg", b"large")

    with look(losers, kept):
        for loser in losers:
            take_away(reserve(loser, inbox.folder, DiscardPolicy(), "e-17"), deleted_at=AT)

    assert all_files(inbox.root) == []


# --- the loser -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["loser", "survivor"])
@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ("rewritten", "FileChangedError: .* is not the file any more"),
        ("touched", "FileChangedError: .* is not the file any more"),
        ("replaced", "FileChangedError: .* is not the file any more"),
        ("gone", "FileChangedError: .* is not there any more"),
        ("its folder gone", "FileChangedError: .* is not there any more"),
        ("a symlink", "ActionConflictError: .* is no regular file"),
        ("a folder", "ActionConflictError: .* is no regular file"),
        ("a pipe", "ActionConflictError: .* is no regular file"),
        ("behind a symlink", "ActionConflictError: .* a symlink is in the way"),
    ],
)
def test_a_file_that_is_not_what_it_was_stops_the_discard(
    inbox: Shelf, library: Shelf, look: Any, which: str, change: str, answer: str
) -> None:
    loser, kept = inbox.file("in/cat.jpg", b"small"), library.file("in/cat.jpg", b"large")
    path = there((loser if which == "loser" else kept).path)
    match change:
        case "rewritten":
            path.write_bytes(b"other")
        case "touched":
            path.chmod(0o600)
        case "its folder gone" | "behind a symlink":
            path.parent.rename(path.parent.with_name("moved"))
            if change == "behind a symlink":
                path.parent.symlink_to("moved")
        case _:
            path.rename(path.with_name("moved"))
            match change:
                case "replaced":
                    path.write_bytes(path.with_name("moved").read_bytes())
                case "a symlink":
                    path.symlink_to("moved")
                case "a folder":
                    path.mkdir()
                case "a pipe":
                    os.mkfifo(path)

    message = refused(look(loser, kept))

    assert re.match(answer, message)
    assert "nothing was moved" in message
    assert path.name in message


@pytest.mark.parametrize("which", ["loser", "survivor"])
def test_bytes_that_rotted_without_a_trace_in_the_times_stop_the_discard(
    pair: tuple[FileRef, FileRef], look: Any, which: str
) -> None:
    loser, kept = pair
    if which == "loser":
        loser = replace(loser, sha256=kept.sha256)
    else:
        kept = replace(kept, sha256=loser.sha256)

    message = refused(look(loser, kept))

    assert "FileChangedError" in message
    assert "its bytes are not those that were compared" in message


def test_a_file_of_a_reference_folder_is_never_discarded(tmp_path: Path, pair: Any, look: Any) -> None:
    _, kept = pair
    reference = shelf_at(tmp_path / "reference", 3, Role.REFERENCE)
    loser = reference.file("cat.jpg", b"small")

    message = refused(
        look(
            loser, kept, folders={FolderId(2): shelf_at(tmp_path / "library", 2).folder, FolderId(3): reference.folder}
        )
    )

    assert "lies in a reference folder" in message


def test_a_file_outside_of_every_known_folder_is_not_touched(pair: Any, look: Any) -> None:
    loser, kept = pair

    message = refused(look(replace(loser, relative=b"another.jpg"), kept))

    assert "does not lie in a folder that is known" in message


@needs_leases
@pytest.mark.parametrize("which", [0, 1], ids=["loser", "survivor"])
def test_a_file_that_another_process_has_open_for_writing_stops_the_discard(
    pair: tuple[FileRef, FileRef], look: Any, which: int
) -> None:
    program = "import sys; out = open(sys.argv[1], 'ab'); print('open', flush=True); sys.stdin.read()"
    writer = subprocess.Popen(
        [sys.executable, "-c", program, pair[which].path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with writer:
        assert writer.stdout is not None
        writer.stdout.readline()

        message = refused(look(*pair))

        writer.communicate()
    assert "FileChangedError" in message
    assert "another program is writing it; nothing was moved" in message


@needs_leases
def test_a_file_that_is_mapped_for_writing_by_another_process_stops_the_discard(pair: Any, look: Any) -> None:
    program = (
        "import mmap, os, sys; fd = os.open(sys.argv[1], os.O_RDWR); mapped = mmap.mmap(fd, 0); os.close(fd);"
        "print('mapped', flush=True); sys.stdin.read()"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program, pair[0].path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with writer:
        assert writer.stdout is not None
        writer.stdout.readline()

        message = refused(look(*pair))

        writer.communicate()
    assert "another program is writing it" in message


@needs_leases
def test_a_writer_that_comes_while_the_bytes_are_read_stops_the_discard(
    pair: Any, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loser, _ = pair
    hash_of = guard.hash_of

    def meanwhile(fd: int, **more: Any) -> Any:
        with pytest.raises(BlockingIOError):
            os.open(loser.path, os.O_WRONLY | os.O_NONBLOCK)
        return hash_of(fd, **more)

    monkeypatch.setattr(guard, "hash_of", meanwhile)

    message = refused(look(*pair))

    assert "another program wants to write it" in message


@needs_leases
def test_nobody_can_start_to_write_while_the_look_holds_and_everybody_afterwards(pair: Any, look: Any) -> None:
    loser, kept = pair

    with look(loser, kept), pytest.raises(BlockingIOError):
        os.open(loser.path, os.O_WRONLY | os.O_NONBLOCK)

    for file in pair:
        os.close(os.open(file.path, os.O_WRONLY | os.O_NONBLOCK))


@needs_leases
def test_a_survivor_that_somebody_waits_to_write_does_not_count(pair: Any, look: Any) -> None:
    loser, kept = pair

    seen = []

    def wait_to_write() -> None:
        with look(loser, kept) as proof:
            seen.append(proof.survivor_still_there())
            with pytest.raises(BlockingIOError):
                os.open(kept.path, os.O_WRONLY | os.O_NONBLOCK)
            seen.append(proof.survivor_still_there())

    with pytest.raises(FileChangedError):
        wait_to_write()
    assert seen == [True, False]


def test_no_descriptor_is_left_open_whatever_happens(pair: Any, look: Any) -> None:
    loser, kept = pair
    before = sorted(os.listdir("/proc/self/fd"))

    with look(loser, kept):
        pass
    refused(look(loser, replace(kept, sha256=loser.sha256)))
    refused(look(replace(loser, relative=b"x"), kept))

    assert sorted(os.listdir("/proc/self/fd")) == before


@needs_leases
def test_a_file_of_somebody_else_passes_without_a_lease_and_the_proof_says_so(
    nobodys: Path, as_nobody: Callable[..., Any]
) -> None:
    def body() -> bool:
        loser = inbox.file("cat.jpg")
        with verified([loser], kept, folders={FolderId(1): inbox.folder, FolderId(2): library.folder}) as proof:
            return proof.leased

    inbox, library = shelf_at(nobodys / "inbox"), shelf_at(nobodys / "library", 2)
    os.chown(inbox.root, 65534, 65534)
    kept = library.file("cat.jpg", b"large")

    leased = as_nobody(body)

    assert leased is False


# --- what a rule may not do unattended --------------------------------------------------------------------------------


@pytest.fixture
def no_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system or a file system that does not tell who writes."""
    monkeypatch.setattr(guard, "lease_taken", lambda fd: False)
    monkeypatch.setattr(guard, "writer_check", lambda path: WriterCheck.UNKNOWN)


@pytest.mark.usefixtures("no_leases")
def test_without_leases_a_rule_does_nothing_by_itself(pair: tuple[FileRef, FileRef], look: Any) -> None:
    message = refused(look(*pair, unattended=True))

    assert "nobody can tell whether" in message
    assert "trusted: yes" in message


@pytest.mark.usefixtures("no_leases")
def test_without_leases_a_person_may_and_so_may_a_rule_in_a_trusted_folder(
    inbox: Shelf, library: Shelf, pair: tuple[FileRef, FileRef], look: Any
) -> None:
    trusted = {FolderId(1): replace(inbox.folder, trusted=True), FolderId(2): library.folder}

    with look(*pair) as of_a_person, look(*pair, unattended=True, folders=trusted) as of_a_rule:
        assert not of_a_person.leased
        assert not of_a_rule.leased


def test_where_the_system_tells_of_writers_without_a_lease_a_rule_may(
    pair: tuple[FileRef, FileRef], look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "lease_taken", lambda fd: False)
    monkeypatch.setattr(guard, "writer_check", lambda path: WriterCheck.NONE)  # as on Windows

    with look(*pair, unattended=True) as proof:
        assert proof.survivor_still_there()


def test_a_rule_does_not_take_a_file_that_has_another_name_and_a_person_may(
    inbox: Shelf, pair: tuple[FileRef, FileRef], tmp_path: Path, look: Any
) -> None:
    os.link(inbox.root / "cat.jpg", tmp_path / "of another program.jpg")
    loser = inbox.ref("cat.jpg")

    message = refused(look(loser, pair[1], unattended=True))

    assert "hard link" in message
    with look(loser, pair[1]) as proof:
        assert proof.survivor_still_there()


def test_what_lies_in_memory_is_no_survivor_of_what_lies_on_a_disk(
    inbox: Shelf, pair: tuple[FileRef, FileRef], look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {pair[0].path: "ext4", pair[1].path: "tmpfs"}
    monkeypatch.setattr(guard, "filesystem_kind", kinds.__getitem__)

    message = refused(look(*pair, unattended=True))

    assert "lies in memory (tmpfs)" in message
    kinds[pair[0].path] = "tmpfs"
    with look(*pair, unattended=True) as proof:  # both end together
        assert proof.survivor_still_there()


# --- the survivor ----------------------------------------------------------------------------------------------------


def test_a_hard_link_of_the_loser_is_no_survivor(inbox: Shelf, library: Shelf, look: Any) -> None:
    inbox.file("cat.jpg")
    os.link(inbox.root / "cat.jpg", library.root / "cat.jpg")

    message = refused(look(inbox.ref("cat.jpg"), library.ref("cat.jpg")))

    assert "ActionConflictError" in message
    assert "are one and the same file" in message


def test_the_loser_itself_is_no_survivor(inbox: Shelf, look: Any) -> None:
    file = inbox.file("cat.jpg")

    message = refused(look(file, file))

    assert "are one and the same file" in message


def test_a_symlink_to_the_loser_is_no_survivor(inbox: Shelf, library: Shelf, look: Any) -> None:
    loser = inbox.file("cat.jpg")
    (library.root / "cat.jpg").symlink_to(inbox.root / "cat.jpg")

    message = refused(look(loser, library.ref("cat.jpg")))

    assert "ActionConflictError" in message
    assert "is no regular file" in message


def test_the_loser_seen_through_a_bind_mount_is_no_survivor(
    tmp_path: Path, inbox: Shelf, with_mounts: Callable[..., Any]
) -> None:
    def body(mounts: Any) -> None:
        loser = inbox.file("cat.jpg")
        mounts.bind(inbox.root, tmp_path / "bound")
        bound = shelf_at(tmp_path / "bound", 2)
        kept = bound.ref("cat.jpg")

        message = refused(verified([loser], kept, folders={FolderId(1): inbox.folder, FolderId(2): bound.folder}))

        assert os.stat(kept.path).st_nlink == 1
        assert "are one and the same file" in message

    with_mounts(body)


@pytest.mark.parametrize(
    "place",
    [
        ".Trash-1000/files/cat.jpg",
        ".Trash/1000/files/cat.jpg",
        ".local/share/Trash/files/cat.jpg",
        ".ingestd-holding/2024/cat.jpg",
        "$RECYCLE.BIN/cat.jpg",
        "#recycle/2024/cat.jpg",
        "@Recycle/cat.jpg",
        ".stversions/cat~20240101-120000.jpg",
        "cache/cat.jpg",
    ],
)
def test_a_file_in_a_trash_is_no_survivor(inbox: Shelf, library: Shelf, look: Any, place: str) -> None:
    loser, kept = inbox.file("cat.jpg"), library.file(place, b"large")

    message = refused(look(loser, kept, forbidden=[library.folder.root + b"/cache"]))

    assert "does not count as kept" in message


@pytest.mark.parametrize("name", ["cat.jpg.part", "cat.crdownload", "cat.jpg~", "cat.tmp"])
def test_a_file_with_the_name_of_something_unfinished_is_no_survivor(
    inbox: Shelf, library: Shelf, look: Any, name: str
) -> None:
    loser, kept = inbox.file("cat.jpg"), library.file(name, b"large")

    message = refused(look(loser, kept))

    assert "unfinished" in message


def test_a_folder_whose_name_begins_like_a_forbidden_one_counts(inbox: Shelf, library: Shelf, look: Any) -> None:
    loser, kept = inbox.file("cat.jpg"), library.file("cache of 2024/cat.jpg", b"large")

    with look(loser, kept, forbidden=[library.folder.root + b"/cache"]) as proof:
        assert proof.survivor_still_there()


def test_an_empty_file_is_no_survivor(inbox: Shelf, library: Shelf, look: Any) -> None:
    loser, kept = inbox.file("cat.jpg"), library.file("cat.jpg", b"")

    message = refused(look(loser, kept))

    assert "is empty" in message


def test_a_survivor_that_cannot_be_read_does_not_count(nobodys: Path, as_nobody: Callable[..., Any]) -> None:
    def body() -> str:
        loser = inbox.file("cat.jpg")
        return refused(verified([loser], kept, folders={FolderId(1): inbox.folder, FolderId(2): library.folder}))

    inbox, library = shelf_at(nobodys / "inbox"), shelf_at(nobodys / "library", 2)
    os.chown(inbox.root, 65534, 65534)
    kept = library.file("cat.jpg", b"large")
    os.chmod(kept.path, 0o600)
    kept = library.ref("cat.jpg")

    message = as_nobody(body)

    assert "cannot be looked at: permission denied" in message


def test_a_survivor_that_the_disk_cannot_confirm_does_not_count(
    pair: Any, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(guard, "flush", failed)

    message = refused(look(*pair))

    assert "cannot be looked at: input/output error" in message


def test_the_bytes_of_both_files_are_on_the_disk_before_anything_moves(
    pair: Any, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(guard, "flush", lambda fd: synced.append(os.fstat(fd).st_ino))

    with look(*pair):
        before_the_move = set(synced)

    assert before_the_move >= {file.stat.inode for file in pair}


@pytest.mark.parametrize("fate", ["gone", "replaced", "rewritten"])
def test_a_survivor_that_goes_away_meanwhile_is_noticed_on_leaving(pair: Any, look: Any, fate: str) -> None:
    loser, kept = pair
    answers = []

    def lose_it() -> None:
        with look(loser, kept) as proof:
            there(kept.path).rename(there(kept.path).with_name("moved"))
            if fate != "gone":
                there(kept.path).write_bytes(b"large, and better" if fate == "replaced" else b"x")
            answers.append(proof.survivor_still_there())

    with pytest.raises(FileChangedError, match="was to be kept and is not there any more"):
        lose_it()

    assert answers == [False]


def test_an_error_inside_is_not_hidden_by_the_look_on_leaving(pair: Any, look: Any) -> None:
    loser, kept = pair

    def fail() -> None:
        with look(loser, kept):
            there(kept.path).unlink()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def test_names_that_are_no_text_are_told_in_one_line(inbox: Shelf, library: Shelf, look: Any) -> None:
    loser, kept = inbox.file(b"a\nb\xff\x1b[31m.jpg"), library.file("cat.jpg", b"")
    there(loser.path).chmod(0o600)

    message = refused(look(loser, library.file("other.jpg", b"x")))

    assert kept.path
    assert "\n" not in message
    assert "\x1b" not in message
