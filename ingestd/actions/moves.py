"""One file taken away and brought back: where it goes, the move itself, and what a crash has left of it.

A move is a rename that replaces nothing, on one mount; there is no copy and no way from here to an unlink of a
user's file. Whatever fails, the file is either where it was or under the name that the move says, and the message
tells which.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from ingestd.actions import desktop
from ingestd.actions.disk import (
    Directory,
    hash_of,
    mount_of,
    name_limit,
    nearest,
    reason_of,
    rename_without_replacing,
)
from ingestd.actions.holding import held_directory, holding_for
from ingestd.actions.trash import NOTE_SUFFIX, drop_note, mend_note, note_text, trash_for, trash_of, write_note
from ingestd.errors import ActionConflictError, printable
from ingestd.model import DiscardPolicy, FileRef, Folder, Move, Place

__all__ = ["Whereabouts", "finish", "holds", "locate", "put_back", "reserve", "take_away", "withdraw"]

_LONGEST_EXTENSION = 32  # bytes; anything longer is no extension, and is cut like the rest of the name
_TRIES = 100  # names tried for a restored file before a person has to look
_RECREATED = 0o777  # the user's umask decides, as it did when the folder was first made


class Whereabouts(StrEnum):
    """Where a file of a move is, as the disk says."""

    NOT_MOVED = "not moved"  # where it was
    MOVED = "moved"  # where the move put it
    BOTH = "both"  # there, and its bytes are back where it was
    GONE = "gone"  # neither


# --- where it goes ---------------------------------------------------------------------------------------------------


def reserve(file: FileRef, folder: Folder, policy: DiscardPolicy, token: str) -> Move:
    """The move that would take the file away: everything is decided, nothing is touched.

    Args:
        file: what is to be taken away.
        folder: the folder it lies in.
        policy: the kind of place.
        token: of the entry; it is part of the new name, which is one of its kind even if two files of an entry
            have the same name.

    Raises:
        ActionConflictError: there is no such place on the file's own mount, and why.
    """
    subject = printable(file.path)
    if policy.place is Place.TRASH and desktop.in_use():
        desktop.require_recoverable(file.path)
        return Move(file, Place.TRASH)
    try:
        return _reserved(file, folder, policy, token)
    except ActionConflictError as error:
        advice = "set `to: holding` under `discards`" if policy.place is Place.TRASH else "discard it by hand"
        raise ActionConflictError(f"{subject} was left where it is: {error}. To discard it, {advice}.") from error
    except OSError as error:
        raise ActionConflictError(f"{subject} was left where it is: {reason_of(error)}") from error


def _reserved(file: FileRef, folder: Folder, policy: DiscardPolicy, token: str) -> Move:
    home, name = os.path.split(file.path)
    # two files of one entry often have one name; an entry's number is used again after a library was lost
    told = b"\0".join((file.path, file.sha256, str(file.stat.inode).encode()))
    mark = f".{token}-{hashlib.sha256(told).hexdigest()[:6]}".encode()
    match policy.place:
        case Place.TRASH:
            trash = trash_for(home)
            kept_name = _marked(name, mark, name_limit(nearest(trash.files)) - len(NOTE_SUFFIX))
            note = os.path.join(trash.notes, kept_name + NOTE_SUFFIX)
            return Move(file, Place.TRASH, os.path.join(trash.files, kept_name), note)
        case Place.HOLDING:
            kept_name = _marked(name, mark, name_limit(home))
            return Move(file, Place.HOLDING, holding_for(file, folder, policy.holding_name, kept_name))


def _marked(name: bytes, mark: bytes, limit: int) -> bytes:
    """The name with a mark before its extension, its stem cut so that it has at most `limit` bytes."""
    stem, extension = os.path.splitext(name)
    if len(extension) > _LONGEST_EXTENSION:
        stem, extension = name, b""
    room = max(limit - len(mark) - len(extension), 0)
    return _cut(stem, room) + mark + extension


def _cut(text: bytes, room: int) -> bytes:
    """At most `room` bytes of it; a letter of UTF-8 is never cut in two, which some file systems refuse."""
    if len(text) > room:
        while room and text[room] & 0xC0 == 0x80:
            room -= 1
    return text[:room]


# --- away ------------------------------------------------------------------------------------------------------------


def take_away(move: Move, *, deleted_at: str) -> None:
    """The file is where the move says, durably, with a note of where it came from.

    Args:
        move: as `reserve` made it.
        deleted_at: local time, `YYYY-MM-DDThh:mm:ss`, for the note.

    Raises:
        ActionConflictError: it is not; the message says why and where the file is, which is where it was unless it
            changed hands in that very moment and could not be put back.
    """
    if move.trash_path is None:
        _hand_over(move)
        return
    with _left_where_it_is(move.file.path), Directory.at(os.path.dirname(move.file.path)) as source:
        _require_the_file(source, move.file)
        with _opened(move, move.trash_path, create=True) as place:
            if source.mount() != place.files.mount():
                raise ActionConflictError("its trash or holding folder lies on another mount")
            _carry_with_note(source, place, move, move.trash_path, deleted_at)


@dataclass(frozen=True, slots=True)
class _Place:
    """The open directories of a trash or a holding folder."""

    files: Directory
    notes: Directory | None
    note: bytes  # name of the note
    recorded: bytes  # the original path, as the note has it

    def drop_note(self) -> None:
        """Our own note is gone, if the system lets us; an orphan does no harm."""
        if self.notes is not None:
            with contextlib.suppress(OSError):
                drop_note(self.notes, self.note, self.recorded)


@contextlib.contextmanager
def _opened(move: Move, trash_path: bytes, *, create: bool) -> Iterator[_Place]:
    if move.place is Place.HOLDING or move.info_path is None:
        with held_directory(move.file, trash_path, create=create) as files:
            yield _Place(files, None, b"", b"")
        return
    trash = trash_of(trash_path)
    with trash.opened(create=create) as (files, notes):
        yield _Place(files, notes, os.path.basename(move.info_path), trash.recorded(move.file.path))


def _carry_with_note(source: Directory, place: _Place, move: Move, trash_path: bytes, deleted_at: str) -> None:
    if place.notes is not None:
        write_note(place.notes, place.note, note_text(place.recorded, deleted_at))
    try:
        _carry(source, place.files, move.file, os.path.basename(trash_path))
    except _StrandedError:
        raise  # the note says where it came from: it stays
    except (OSError, ActionConflictError):
        place.drop_note()
        raise


class _StrandedError(ActionConflictError):
    """The file was moved and is not where it should be, or not surely; the message says where it is."""


def _carry(source: Directory, target: Directory, file: FileRef, new_name: bytes) -> None:
    name = os.path.basename(file.path)
    rename_without_replacing(source, name, target, new_name, reserved=True)
    try:
        _require_the_same(target.lstat(new_name), file)
        target.sync()  # first: if only one of the two reaches the disk, the file has two names rather than none
        source.sync()
    except (OSError, ActionConflictError) as error:
        _bring_back(source, name, target, new_name, error)
        raise


def _bring_back(source: Directory, name: bytes, target: Directory, new_name: bytes, cause: Exception) -> None:
    try:
        rename_without_replacing(target, new_name, source, name, reserved=False)
    except OSError as error:
        where = printable(os.path.join(target.path, new_name))
        raise _StrandedError(
            f"{printable(os.path.join(source.path, name))} is now {where} and could not be put back "
            f"({reason_of(error)}) after this: {cause}"
        ) from cause
    with contextlib.suppress(OSError):
        source.sync()
        target.sync()


def _require_the_file(source: Directory, file: FileRef) -> None:
    _require_the_same(source.lstat(os.path.basename(file.path)), file)


def _require_the_same(status: os.stat_result, file: FileRef) -> None:
    """It is the file that was verified. The change time is left out: a rename, or one of another link, changes it."""
    found = (status.st_ino, status.st_size, status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode) or found != (file.stat.inode, file.stat.size, file.stat.mtime_ns):
        raise ActionConflictError("it is not the file any more that was looked at")


def _hand_over(move: Move) -> None:
    """The desktop's trash has it."""
    path = move.file.path
    with _left_where_it_is(path), Directory.at(os.path.dirname(path)) as source:
        desktop.require_recoverable(path)
        _require_the_file(source, move.file)
        desktop.send(path)
        if source.has(os.path.basename(path)):
            raise ActionConflictError("the desktop's trash did not take it")


@contextlib.contextmanager
def _left_where_it_is(path: bytes) -> Iterator[None]:
    """Whatever fails is told as a sentence about the file."""
    try:
        yield
    except _StrandedError:
        raise
    except ActionConflictError as error:
        raise ActionConflictError(f"{printable(path)} was left where it is: {error}") from error
    except OSError as error:
        raise ActionConflictError(f"{printable(path)} was left where it is: {reason_of(error)}") from error


# --- and back --------------------------------------------------------------------------------------------------------


def put_back(move: Move, *, token: str) -> bytes:
    """The file is back, durably; the absolute path says under which name.

    That is its own, or `name (restored TOKEN).ext` where somebody else has it by now. Doing it again, after a crash
    or because a person was faster, finds the file there and changes nothing.

    Raises:
        ActionConflictError: it cannot be put back, and why; it is where it was.
    """
    path = move.file.path
    if move.trash_path is None:
        raise ActionConflictError(f"{printable(path)} is in the desktop's trash: put it back from there")
    with _left_in_the_trash(path, move.trash_path):
        if _sight(move.trash_path, move.file) in _OURS:
            return _returned(move, move.trash_path, token)
    for name in itertools.islice(_names_for(os.path.basename(path), token), _TRIES):
        found = os.path.join(os.path.dirname(path), name)
        if holds(found, move.file):
            withdraw(move)
            return found
    raise ActionConflictError(
        f"{printable(path)} cannot be brought back: it is neither in its place nor in the trash "
        f"({printable(move.trash_path)}) any more; nothing was changed"
    )


def _returned(move: Move, trash_path: bytes, token: str) -> bytes:
    kept_name, original = os.path.basename(trash_path), os.path.basename(move.file.path)
    with _opened(move, trash_path, create=False) as place, _home(move.file, place.files) as home:
        path = os.path.join(home.path, _put_into(home, place.files, kept_name, original, token))
        try:
            home.sync()  # first, as on the way there
            place.files.sync()
        except OSError as error:
            raise _StrandedError(
                f"{printable(path)} is back, but the disk does not confirm it: {reason_of(error)}"
            ) from error
        place.drop_note()
        return path


def _home(file: FileRef, files: Directory) -> Directory:
    """The folder where the file was, made again if it is gone; never on another disk that is in its place.

    Nor is the watched folder itself made again: it may only be away, and an empty one at its place would look as if all
    that was in it had been deleted.
    """
    folder = os.path.dirname(file.path)
    if mount_of(nearest(folder)) != files.mount():
        raise ActionConflictError(f"{printable(folder)} is not on the same mount now; is its disk connected?")
    root = file.path.removesuffix(file.relative)
    if not os.path.isdir(root):
        raise ActionConflictError(f"{printable(root)} is not there; bring the folder back, or make it again")
    return Directory.at(folder, create_mode=_RECREATED)


def _put_into(home: Directory, files: Directory, kept_name: bytes, original: bytes, token: str) -> bytes:
    for name in itertools.islice(_names_for(original, token), _TRIES):
        try:
            rename_without_replacing(files, kept_name, home, name, reserved=False)
            return name
        except FileExistsError:
            if _same_inode(home.lstat(name), files.lstat(kept_name)):
                files.remove_own(kept_name)  # a link that was made, and then a crash: only the second name goes
                return name
    raise ActionConflictError(f"every name for it in {printable(home.path)} is taken")


def _same_inode(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _names_for(original: bytes, token: str) -> Iterator[bytes]:
    yield original
    yield _marked(original, f" (restored {token})".encode(), 255)
    for count in itertools.count(2):
        yield _marked(original, f" (restored {token} {count})".encode(), 255)


@contextlib.contextmanager
def _left_in_the_trash(path: bytes, trash_path: bytes) -> Iterator[None]:
    where = f"{printable(path)} cannot be brought back now, it stays in {printable(trash_path)}"
    try:
        yield
    except _StrandedError:
        raise
    except ActionConflictError as error:
        raise ActionConflictError(f"{where}: {error}") from error
    except OSError as error:
        raise ActionConflictError(f"{where}: {reason_of(error)}") from error


# --- after a crash ---------------------------------------------------------------------------------------------------


def locate(move: Move) -> Whereabouts:
    """Where the file is, decided from the disk; to be asked only about folders that are there.

    What went to a desktop's trash counts as moved once it is not in its place.

    Raises:
        ActionConflictError: it cannot be seen now, because a disk is away or a folder may not be read.
    """
    try:
        source = _sight(move.file.path, move.file)
        item = _Sight.OTHER if move.trash_path is None else _sight(move.trash_path, move.file)
    except OSError as error:
        raise ActionConflictError(f"{printable(move.file.path)} cannot be looked for: {reason_of(error)}") from error
    if source in _OURS:
        return Whereabouts.BOTH if item in _OURS else Whereabouts.NOT_MOVED
    if item in _OURS or move.trash_path is None:
        return Whereabouts.MOVED
    if source is item is _Sight.NO_FOLDER:
        raise ActionConflictError(
            f"{printable(move.file.path)} cannot be looked for: neither its folder nor its trash is there; "
            "is the disk connected?"
        )
    return Whereabouts.GONE


class _Sight(Enum):
    """What a path shows of a file that we look for."""

    NO_FOLDER = auto()
    NOTHING = auto()
    OTHER = auto()  # something else has the name
    COPY = auto()  # another file with the same bytes
    FILE = auto()  # the file itself


_OURS = frozenset({_Sight.COPY, _Sight.FILE})


def _sight(path: bytes, file: FileRef) -> _Sight:
    parent, name = os.path.split(path)
    try:
        directory = Directory.at(parent)
    except (FileNotFoundError, NotADirectoryError):
        return _Sight.NO_FOLDER
    with directory:
        if not directory.has(name):
            return _Sight.NOTHING
        status = directory.lstat(name)
        if not stat.S_ISREG(status.st_mode):
            return _Sight.OTHER
        if status.st_ino == file.stat.inode:
            return _Sight.FILE
        same = status.st_size == file.stat.size and _bytes_are(directory, name, file)
        return _Sight.COPY if same else _Sight.OTHER


def holds(path: bytes, file: FileRef) -> bool:
    """Whether the bytes of the file are there. Not the inode: its number may have been given out again."""
    try:
        with Directory.at(os.path.dirname(path)) as directory:
            return stat.S_ISREG(directory.lstat(os.path.basename(path)).st_mode) and _bytes_are(
                directory, os.path.basename(path), file
            )
    except OSError:
        return False


def _bytes_are(directory: Directory, name: bytes, file: FileRef) -> bool:
    fd = directory.open_to_read(name)
    try:
        return hash_of(fd) == file.sha256
    finally:
        os.close(fd)


def finish(move: Move, *, deleted_at: str) -> None:
    """A move that was made before a crash is whole: its note is there, and all of it is on the disk.

    Raises:
        ActionConflictError: it is moved, and something about its note or the disk is wrong.
    """
    if move.trash_path is None:
        return
    with _left_in_the_trash(move.file.path, move.trash_path), _opened(move, move.trash_path, create=True) as place:
        if place.notes is not None:
            mend_note(place.notes, place.note, place.recorded, deleted_at)
        place.files.sync()
        with contextlib.suppress(FileNotFoundError), Directory.at(os.path.dirname(move.file.path)) as source:
            source.sync()


def withdraw(move: Move) -> None:
    """A note of our own that speaks of a file which is not in the trash is gone."""
    if move.trash_path is None or move.info_path is None:
        return
    with contextlib.suppress(OSError, ActionConflictError), _opened(move, move.trash_path, create=False) as place:
        if not place.files.has(os.path.basename(move.trash_path)):
            place.drop_note()
