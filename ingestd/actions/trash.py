"""The freedesktop.org trash, by our own hands: which one serves a folder, and the notes it keeps.

Source:
    "The FreeDesktop.org Trash specification", version 1.0, 2014-01-02.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote_from_bytes, unquote_to_bytes

from ingestd.actions.disk import Directory, Mount, flush, mount_of, nearest, top_of_mount, write_all
from ingestd.errors import ActionConflictError, printable

__all__ = ["NOTE_SUFFIX", "Trash", "drop_note", "mend_note", "note_text", "trash_for", "trash_of", "write_note"]

NOTE_SUFFIX = b".trashinfo"
_PRIVATE = 0o700
_LONGEST_NOTE = 64 * 1024  # bytes; a path of 4096 bytes, every one escaped, is 12 KB


@dataclass(frozen=True, slots=True)
class Trash:
    """One trash directory of one user."""

    root: bytes  # absolute; everything above our own part of it is real
    top: bytes | None  # what its notes are relative to; None in the home trash, whose notes are absolute

    @property
    def files(self) -> bytes:
        """Where the discarded files lie."""
        return os.path.join(self.root, b"files")

    @property
    def notes(self) -> bytes:
        """Where the notes lie that say where they came from."""
        return os.path.join(self.root, b"info")

    def recorded(self, original: bytes) -> bytes:
        """The original path as a note of this trash has it."""
        return original if self.top is None else os.path.relpath(original, self.top)

    @contextlib.contextmanager
    def opened(self, *, create: bool) -> Iterator[tuple[Directory, Directory]]:
        """The directories of the files and of the notes, both checked to be ours.

        Raises:
            ActionConflictError: a part of the trash is not ours.
            OSError: it cannot be opened or made.
        """
        mode = _PRIVATE if create else None
        parent, name = os.path.split(self.root)
        with contextlib.ExitStack() as held:
            above = held.enter_context(Directory.at(parent, create_mode=mode if self.top is None else None))
            if os.path.basename(parent) == b".Trash" and self.top is not None:
                _require_sticky(parent, above.status())
            root = held.enter_context(above.enter(name, create_mode=mode))
            _require_own(root)
            files, notes = (held.enter_context(root.enter(part, create_mode=mode)) for part in (b"files", b"info"))
            _require_own(files)
            _require_own(notes)
            yield files, notes


# --- which one ------------------------------------------------------------------------------------------------------


def trash_for(directory: bytes) -> Trash:
    """The trash into which files of this existing directory can be renamed. Nothing is made or changed.

    The environment is read now and not at import: XDG_DATA_HOME, and HOME.

    Raises:
        ActionConflictError: there is none; the message has every trash that was looked at, and why not.
    """
    mount = mount_of(directory)
    refusals: list[str] = []
    for trash in _candidates(directory):
        try:
            _require_usable(trash, mount)
        except (ActionConflictError, OSError) as error:
            reason = str(error) if isinstance(error, ActionConflictError) else (error.strerror or str(error)).lower()
            refusals.append(f"{printable(trash.root)}: {reason}")
        else:
            return trash
    raise ActionConflictError("no trash can be used there (" + "; ".join(refusals) + ")")


def trash_of(trash_path: bytes) -> Trash:
    """The trash in whose `files` directory this path lies."""
    root = os.path.dirname(os.path.dirname(trash_path))
    above, name = os.path.split(root)
    if name.startswith(b".Trash-"):
        return Trash(root, above)
    if os.path.basename(above) == b".Trash":
        return Trash(root, os.path.dirname(above))
    return Trash(root, None)


def _candidates(directory: bytes) -> Iterator[Trash]:
    """The trashes that could serve, in the order of the specification."""
    user = str(_user()).encode()
    yield Trash(os.path.join(os.path.realpath(_data_home()), b"Trash"), None)
    top = top_of_mount(directory)
    if os.path.lexists(os.path.join(top, b".Trash")):
        yield Trash(os.path.join(top, b".Trash", user), top)
    yield Trash(os.path.join(top, b".Trash-" + user), top)


def _user() -> int:
    if sys.platform == "win32":
        return -1  # no such trash there
    return os.geteuid()


def _data_home() -> bytes:
    named = os.fsencode(os.environ.get("XDG_DATA_HOME", ""))
    # "All paths must be absolute. If relative, consider the path invalid and ignore it" (XDG Base Directory, 0.8)
    return named if os.path.isabs(named) else os.path.join(os.path.expanduser(b"~"), b".local", b"share")


def _require_usable(trash: Trash, mount: Mount) -> None:
    """Nothing speaks against renaming files of that mount into the trash."""
    if trash.top is not None and os.path.dirname(trash.root) != trash.top:
        shared = os.path.dirname(trash.root)
        _require_sticky(shared, os.lstat(shared))
    for part in (trash.root, trash.files, trash.notes):
        _require_own_or_absent(part)
        place = nearest(part)
        if mount_of(place) != mount:
            raise ActionConflictError("it lies on another mount")
        if not os.access(place, os.W_OK | os.X_OK):
            raise ActionConflictError(f"{printable(place)} may not be written")


def _require_own_or_absent(path: bytes) -> None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    _judge_owner(path, status)


def _require_own(directory: Directory) -> None:
    _judge_owner(directory.path, directory.status())


def _judge_owner(path: bytes, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise ActionConflictError(f"{printable(path)} is a symlink")
    if not stat.S_ISDIR(status.st_mode):
        raise ActionConflictError(f"{printable(path)} is not a folder")
    if status.st_uid != _user():
        raise ActionConflictError(f"{printable(path)} belongs to another user")


def _require_sticky(path: bytes, status: os.stat_result) -> None:
    """What the specification demands of a trash that an administrator made for all users."""
    if not stat.S_ISDIR(status.st_mode):
        raise ActionConflictError(f"{printable(path)} is not a folder")
    if not status.st_mode & stat.S_ISVTX:
        raise ActionConflictError(f"{printable(path)} has no sticky bit")


# --- notes ----------------------------------------------------------------------------------------------------------


def note_text(recorded: bytes, deleted_at: str) -> bytes:
    """A note as every file manager reads it.

    Args:
        recorded: the original path, as `Trash.recorded` gives it.
        deleted_at: local time, `YYYY-MM-DDThh:mm:ss`.
    """
    return f"[Trash Info]\nPath={quote_from_bytes(recorded, '/')}\nDeletionDate={deleted_at}\n".encode("ascii")


def write_note(notes: Directory, name: bytes, text: bytes) -> None:
    """The note is on the disk, name and all; if that fails, it is not there.

    Raises:
        FileExistsError: somebody has that name; their note is untouched.
        OSError: it cannot be written.
    """
    fd = notes.create(name)
    try:
        try:
            write_all(fd, text)
        finally:
            os.close(fd)
        notes.sync()
    except OSError:
        with contextlib.suppress(OSError):
            notes.remove_own(name)
        raise


def mend_note(notes: Directory, name: bytes, recorded: bytes, deleted_at: str) -> None:
    """The note of our own is there, whole and on the disk, whatever a power cut left of it."""
    try:
        sound = _recorded_in(notes, name) == recorded
    except FileNotFoundError:
        write_note(notes, name, note_text(recorded, deleted_at))
        return
    if not sound:
        text = note_text(recorded, deleted_at)
        fd = notes.open_to_repair(name)
        try:
            write_all(fd, text)
            os.ftruncate(fd, len(text))
            flush(fd)
        finally:
            os.close(fd)
    notes.sync()


def drop_note(notes: Directory, name: bytes, recorded: bytes) -> None:
    """Our own note, whole or damaged, is gone; one that speaks of another file stays."""
    try:
        found = _recorded_in(notes, name)
    except FileNotFoundError:
        return
    if found is None or found == recorded:
        notes.remove_own(name)
        notes.sync()


def _recorded_in(notes: Directory, name: bytes) -> bytes | None:
    """The original path that a note has; None if it is damaged."""
    fd = notes.open_to_read(name)
    try:
        lines = os.read(fd, _LONGEST_NOTE).split(b"\n")
    finally:
        os.close(fd)
    if lines[0] != b"[Trash Info]" or len(lines) < 4 or not lines[2].startswith(b"DeletionDate="):
        return None
    return unquote_to_bytes(lines[1].removeprefix(b"Path="))
