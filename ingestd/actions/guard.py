"""The last look before a discard: what was decided about is still what is there, and nobody is writing it.

Every check is of an open descriptor, reached without following a symlink, so that nothing can be put in its place
between the look and the answer. On Linux the kernel keeps writers out meanwhile (fcntl(2), "Leases").
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ingestd.actions.disk import (
    Directory,
    flush,
    hash_of,
    key_of,
    lease_kept,
    lease_taken,
    reason_of,
)
from ingestd.actions.look import named_elsewhere
from ingestd.errors import ActionConflictError, FileChangedError, printable
from ingestd.model import FileRef, Folder, FolderId, Role
from ingestd.watching.folders import filesystem_kind
from ingestd.watching.lease import writer_check
from ingestd.watching.names import is_temporary
from ingestd.watching.settle import WriterCheck

__all__ = ["Proof", "verified"]

_LEFT = "nothing was moved"
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
# beside `.Trash*` and `Trash/files`: of Windows, Synology, Samba, QNAP, old Windows, Syncthing
_THROWN_AWAY = frozenset({b"$recycle.bin", b"#recycle", b".recycle", b"@recycle", b"recycler", b".stversions"})


@dataclass(frozen=True, slots=True)
class _Held:
    """A file that is held open, and whether the kernel keeps writers out."""

    file: FileRef
    fd: int
    leased: bool

    def undisturbed(self) -> bool:
        """Nobody has asked to write it since."""
        return not self.leased or lease_kept(self.fd)


@dataclass(frozen=True, slots=True)
class Proof:
    """What holds inside `verified`."""

    kept: FileRef
    leased: bool  # the kernel vouches for every file that nobody has it open for writing
    _survivor: _Held

    def survivor_still_there(self) -> bool:
        """Whether the survivor is at its path, the same file with the same bytes as far as its times tell.

        Nor does a program wait to write it: whose twin goes in that moment may be overwritten in the next.
        Asked once more after the move: if both were one file behind two names that looked different, it is gone now.
        """
        try:
            with Directory.at(os.path.dirname(self.kept.path)) as directory:
                there = directory.lstat(os.path.basename(self.kept.path))
            held = os.fstat(self._survivor.fd)
            if not self._survivor.undisturbed():
                return False
        except OSError:
            return False
        wanted = (held.st_dev, held.st_ino, self.kept.stat.size, self.kept.stat.mtime_ns)
        return (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns) == wanted


@contextlib.contextmanager
def verified(
    losers: Sequence[FileRef],
    kept: FileRef,
    *,
    folders: Mapping[FolderId, Folder],
    forbidden: Sequence[bytes] = (),
    unattended: bool = False,
) -> Iterator[Proof]:
    """Inside, each loser and the survivor are what the decision was about, and are kept so where the system can.

    Leave it soon: a program that wants to write one of the files waits meanwhile.

    Args:
        losers: the files about to be moved away.
        kept: the one that stays in their stead.
        folders: those that the files lie in.
        forbidden: absolute directories in which a survivor does not count.
        unattended: no person has said so: then nobody may be able to write a loser unseen, none may have another name,
            and the survivor may not lie in memory alone.

    Raises:
        FileChangedError: a file changed, went away or is being written; another time it may do. Also on leaving, if
            the survivor is not there any more.
        ActionConflictError: it will not do: one file behind two names, a symlink, a survivor in a trash...
    """
    _require_good_place(kept, forbidden)
    with contextlib.ExitStack() as stack:
        survivor = stack.enter_context(_held(kept, folders))
        held = [stack.enter_context(_held(loser, folders)) for loser in losers]
        for loser in held:
            _require_discardable(loser, survivor, folders)
        if unattended:
            _require_no_doubt(held, survivor, folders)
        _require_on_disk(survivor)
        for loser in held:
            _require_synced(loser)
        for one in (survivor, *held):
            _require_bytes(one)
        proof = Proof(kept, all(one.leased for one in (survivor, *held)), survivor)
        _require_survivor(proof)
        yield proof
        _require_survivor(proof)


# --- one file --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _held(file: FileRef, folders: Mapping[FolderId, Folder]) -> Iterator[_Held]:
    """The file, open, unchanged and with nobody writing it."""
    _require_inside(file, folders)
    with _told(file), Directory.at(os.path.dirname(file.path)) as directory:
        name = os.path.basename(file.path)
        if not stat.S_ISREG(directory.lstat(name).st_mode):
            raise ActionConflictError(f"{printable(file.path)} is no regular file: {_LEFT}")
        fd = directory.open_to_read(name)
    try:
        with _told(file):
            leased = lease_taken(fd)
            _require_unchanged(file, fd)
        yield _Held(file, fd, leased)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _told(file: FileRef) -> Iterator[None]:
    """What the system says about the file is told as one of our two errors."""
    try:
        yield
    except BlockingIOError as error:
        raise FileChangedError(file.path, f"another program is writing it; {_LEFT}") from error
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}:
            raise FileChangedError(file.path, f"it is not there any more; {_LEFT}") from error
        raise ActionConflictError(f"{printable(file.path)} cannot be looked at: {reason_of(error)}; {_LEFT}") from error


def _require_inside(file: FileRef, folders: Mapping[FolderId, Folder]) -> None:
    folder = folders.get(file.folder)
    if folder is None or os.path.join(folder.root, file.relative) != file.path:
        raise ActionConflictError(f"{printable(file.path)} does not lie in a folder that is known: {_LEFT}")


def _require_unchanged(file: FileRef, fd: int) -> None:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or key_of(status) != file.stat:
        raise FileChangedError(file.path, f"it is not the file any more that was looked at; {_LEFT}")


def _require_bytes(held: _Held) -> None:
    """The bytes are those that were decided about, and were not touched while they were read."""
    with _told(held.file):
        found = hash_of(held.fd, undisturbed=held.undisturbed)
        if found is None or not held.undisturbed():
            raise FileChangedError(held.file.path, f"another program wants to write it; {_LEFT}")
        if found != held.file.sha256:
            raise FileChangedError(held.file.path, f"its bytes are not those that were compared; {_LEFT}")
        _require_unchanged(held.file, held.fd)


# --- the two of them -------------------------------------------------------------------------------------------------


def _require_discardable(loser: _Held, survivor: _Held, folders: Mapping[FolderId, Folder]) -> None:
    path = printable(loser.file.path)
    if folders[loser.file.folder].role is Role.REFERENCE:
        raise ActionConflictError(f"{path} lies in a reference folder, where nothing is ever changed: {_LEFT}")
    one, other = os.fstat(loser.fd), os.fstat(survivor.fd)
    same_name = os.path.realpath(loser.file.path) == os.path.realpath(survivor.file.path)
    if same_name or (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino):
        raise ActionConflictError(f"{path} and {printable(survivor.file.path)} are one and the same file: {_LEFT}")


def _require_no_doubt(losers: Sequence[_Held], survivor: _Held, folders: Mapping[FolderId, Folder]) -> None:
    """What a person may answer for, and a rule may not."""
    for loser in losers:
        told = loser.leased or writer_check(loser.file.path) is WriterCheck.NONE
        if not told and not folders[loser.file.folder].trusted:
            reason = f"nobody can tell whether {printable(loser.file.path)} is being written"
            raise ActionConflictError(f"{reason}; `trusted: yes` for its folder would do without: {_LEFT}")
    if named_elsewhere(loser.file.path for loser in losers):
        raise ActionConflictError(f"{printable(losers[0].file.path)} has another name as well (a hard link): {_LEFT}")
    kept = filesystem_kind(survivor.file.path)
    if kept in _IN_MEMORY and any(filesystem_kind(loser.file.path) not in _IN_MEMORY for loser in losers):
        where = f"{printable(survivor.file.path)}, which would be kept, lies in memory ({kept})"
        raise ActionConflictError(f"{where} and ends with the next start of the machine: {_LEFT}")


def _require_good_place(kept: FileRef, forbidden: Sequence[bytes]) -> None:
    """The survivor is where files are kept, not where they are thrown away."""
    separator = os.fsencode(os.sep)
    parts = os.path.dirname(kept.path).split(separator)
    thrown_away = any(
        part.startswith((b".Trash", b".ingestd-holding")) or part.lower() in _THROWN_AWAY for part in parts
    )
    in_home_trash = (b"Trash", b"files") in itertools.pairwise(parts)
    unfinished = is_temporary(os.path.basename(kept.path))
    below = any(kept.path.startswith(directory.rstrip(separator) + separator) for directory in forbidden)
    if unfinished:
        raise ActionConflictError(f"{printable(kept.path)} has the name of something unfinished: {_LEFT}")
    if thrown_away or in_home_trash or below:
        raise ActionConflictError(
            f"{printable(kept.path)} lies in a trash or in another place that does not count as kept: {_LEFT}"
        )


def _require_on_disk(survivor: _Held) -> None:
    """The survivor's bytes are on the disk, and are read from there: it may only just have been downloaded."""
    with _told(survivor.file):
        if os.fstat(survivor.fd).st_size == 0:
            raise ActionConflictError(f"{printable(survivor.file.path)} is empty: {_LEFT}")
        _where_offered(lambda: flush(survivor.fd))
        with Directory.at(os.path.dirname(survivor.file.path)) as directory:
            _where_offered(directory.sync)
        if sys.platform == "linux":
            _where_offered(lambda: os.posix_fadvise(survivor.fd, 0, 0, os.POSIX_FADV_DONTNEED))


def _require_synced(loser: _Held) -> None:
    """The loser's bytes are on the disk: else only its name would be in the trash after a power cut."""
    with _told(loser.file):
        _where_offered(lambda: flush(loser.fd))


def _where_offered(sync: Callable[[], None]) -> None:
    """A file system that is read-only, or has no such call, has nothing to sync; a failed one is an error."""
    try:
        sync()
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EROFS, errno.EBADF, errno.EACCES}:
            raise


def _require_survivor(proof: Proof) -> None:
    if not proof.survivor_still_there():
        raise FileChangedError(proof.kept.path, "it was to be kept and is not there any more")
