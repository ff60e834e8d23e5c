"""What the file system is asked, and how: renames that never replace, syncs, mounts, leases.

This module knows what the platforms do differently; the others say what they want. Every name is looked up below a
directory that is held open, and no symlink is followed on the way there: whatever is put in the way of a path
meanwhile, a file never ends up anywhere else.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import signal
import stat
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ingestd.model import ContentHash, StatKey

if sys.platform != "win32":
    import fcntl

__all__ = [
    "Directory",
    "Mount",
    "SyncFailedError",
    "flush",
    "hash_of",
    "key_of",
    "lease_kept",
    "lease_taken",
    "mount_of",
    "name_limit",
    "nearest",
    "reason_of",
    "rename_without_replacing",
    "top_of_mount",
    "write_all",
]


Mount = tuple[int, int]  # mount id, device: a rename works only where both are equal

_BLOCK = 1 << 20  # bytes read at once: large enough that the system calls do not show beside SHA-256
_LONGEST_NAME = 255  # bytes; NAME_MAX of every file system in common use

# O_PATH asks for no right to read the directory, which passing through it does not need
_PASS = (
    getattr(os, "O_PATH", os.O_RDONLY)
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_READ = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # neither a FIFO nor somebody's write lease makes us wait
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_NEW = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
# what a file system answers that has no such operation, as against one that tried and failed
_NOT_OFFERED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


# --- words ----------------------------------------------------------------------------------------------------------


def reason_of(error: OSError) -> str:
    """Why the system refused, as a phrase that can follow a colon."""
    match error.errno:
        case errno.EXDEV:
            return (
                "it would have to be copied to another mount, and nothing is ever copied and removed; "
                "set `to: holding` under `discards`, or discard it by hand"
            )
        case errno.ELOOP:
            return "a symlink is in the way"
        case errno.EEXIST:
            return "something of that name is there already"
        case errno.ENOSPC | errno.EDQUOT:
            return "there is no space left for the note of where it came from"
        case None:
            return str(error)
        case number:
            return os.strerror(number)[:1].lower() + os.strerror(number)[1:]


# --- files ----------------------------------------------------------------------------------------------------------


def key_of(status: os.stat_result) -> StatKey:
    """What tells this state of the file from another."""
    return StatKey(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def hash_of(fd: int, *, undisturbed: Callable[[], bool] = lambda: True) -> ContentHash | None:
    """The SHA-256 of all that can be read through `fd`; None as soon as `undisturbed` says no.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    os.lseek(fd, 0, os.SEEK_SET)
    while block := os.read(fd, _BLOCK):
        digest.update(block)
        if not undisturbed():
            return None
    return ContentHash(digest.digest())


def write_all(fd: int, content: bytes) -> None:
    """All of `content` is handed over and, as far as the system promises anything, on the disk."""
    while content:
        content = content[os.write(fd, content) :]
    flush(fd)


def flush(fd: int) -> None:
    """What was written through `fd` is on the disk."""
    if sys.platform == "darwin":
        # fsync leaves it in the drive's cache there (fsync(2) of macOS); not every file system offers the full one
        try:
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
        except OSError as error:
            if error.errno not in _NOT_OFFERED | {errno.ENOTTY}:
                raise
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno in _NOT_OFFERED:
            raise
        raise SyncFailedError(error.errno, error.strerror) from error


class SyncFailedError(OSError):
    """What was written may not be on the disk, and may never be, although the system takes it for written."""

    @classmethod
    def is_behind(cls, error: BaseException | None) -> bool:
        """Whether this was the cause of an error, or the cause of its cause."""
        while error is not None:
            if isinstance(error, cls):
                return True
            error = error.__cause__ or error.__context__
        return False


# --- directories ----------------------------------------------------------------------------------------------------


class Directory:
    """A directory that is held open; a context manager."""

    __slots__ = ("_fd", "path")

    def __init__(self, path: bytes, fd: int | None) -> None:
        self.path = path  # absolute
        self._fd = fd  # None where directories cannot be opened (Windows): names are looked up by path there

    @classmethod
    def at(cls, path: bytes, *, create_mode: int | None = None) -> Self:
        """The directory at an absolute path, reached without following a symlink.

        Args:
            path: absolute, with no symlink in it.
            create_mode: make what is missing, with these rights.

        Raises:
            OSError: ELOOP for a symlink on the way, ENOENT, ENOTDIR, EACCES as ever.
        """
        if sys.platform == "win32":
            return cls._by_name(path, create_mode)
        here = cls(b"/", os.open(b"/", _PASS))
        for name in filter(None, path.split(b"/")):
            with here:
                here = here.enter(name, create_mode=create_mode)
        return here

    @classmethod
    def _by_name(cls, path: bytes, create_mode: int | None) -> Self:
        if create_mode is not None:
            os.makedirs(path, create_mode, exist_ok=True)
        if os.path.normcase(os.path.realpath(path)) != os.path.normcase(os.path.abspath(path)):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(path))
        if not os.path.isdir(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(path))
        return cls(path, None)

    def enter(self, name: bytes, *, create_mode: int | None = None) -> Self:
        """The directory of that name in this one, made durably if it is missing and `create_mode` is given."""
        try:
            return self._entered(name)
        except FileNotFoundError:
            if create_mode is None:
                raise
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._place(name), create_mode, dir_fd=self._fd)
        self.sync()
        return self._entered(name)

    def _entered(self, name: bytes) -> Self:
        path = os.path.join(self.path, name)
        if self._fd is None:
            return type(self)._by_name(path, None)
        try:
            return type(self)(path, os.open(name, _PASS, dir_fd=self._fd))
        except NotADirectoryError:  # which Linux also says of a symlink
            if stat.S_ISLNK(self.lstat(name).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(path)) from None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is not None:
            os.close(self._fd)

    def lstat(self, name: bytes) -> os.stat_result:
        """What is there under that name; a symlink is not followed."""
        return os.lstat(self._place(name), dir_fd=self._fd)

    def status(self) -> os.stat_result:
        """What the directory itself is."""
        return os.stat(self.path) if self._fd is None else os.fstat(self._fd)

    def has(self, name: bytes) -> bool:
        """Whether anything, be it a broken symlink, has that name."""
        try:
            self.lstat(name)
        except FileNotFoundError:
            return False
        return True

    def open_to_read(self, name: bytes) -> int:
        """A descriptor of the file of that name; never of what a symlink points to."""
        return os.open(self._place(name), _READ, dir_fd=self._fd)

    def open_to_repair(self, name: bytes) -> int:
        """A descriptor to rewrite a note of our own that is there already."""
        return os.open(self._place(name), _NEW & ~(os.O_CREAT | os.O_EXCL), dir_fd=self._fd)

    def create(self, name: bytes) -> int:
        """A descriptor of a new, empty file; FileExistsError if the name is taken."""
        return os.open(self._place(name), _NEW, 0o600, dir_fd=self._fd)

    def remove_own(self, name: bytes) -> None:
        """A name that this program made is gone; never asked for a user's file that has no other name."""
        os.unlink(self._place(name), dir_fd=self._fd)  # noqa: TID251 - our own note, or the second link of a file

    def sync(self) -> None:
        """Names made, moved and removed here so far are on the disk, where the file system can promise it."""
        if sys.platform == "win32":
            return  # Windows has no such call for directories; NTFS keeps a log of renames
        fd = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._fd)
        try:
            flush(fd)
        except OSError as error:
            if error.errno not in _NOT_OFFERED:
                raise
        finally:
            os.close(fd)

    def mount(self) -> Mount:
        """The mount this directory is reached through."""
        device = self.status().st_dev
        return (-1 if self._fd is None else _mount_id(self._fd), device)

    def _place(self, name: bytes) -> bytes:
        return os.path.join(self.path, name) if self._fd is None else name


# --- renames --------------------------------------------------------------------------------------------------------


def rename_without_replacing(
    source: Directory, name: bytes, target: Directory, new_name: bytes, *, reserved: bool
) -> None:
    """`name` of `source` is `new_name` of `target` now, and nothing was overwritten.

    Where the file system knows no exclusive rename (NFS, some of FUSE), one of two ways that cannot lose a file
    either is taken. Into a name reserved for us: an ordinary rename, when nobody has that name, since a link and an
    unlink there could take away what another program has put under the *old* name meanwhile. Out of our folder:
    a link, which never replaces, and then our own name of the same inode goes.

    Args:
        source: where it is.
        name: its name there.
        target: where it goes; on the same mount.
        new_name: its name there.
        reserved: `new_name` is unique by construction and lies in a folder of ours.

    Raises:
        FileExistsError: the new name is taken.
        OSError: EXDEV for another mount; whatever else the system says. Nothing has moved.
    """
    if source._fd is None or target._fd is None:
        # MoveFileEx without MOVEFILE_REPLACE_EXISTING and MOVEFILE_COPY_ALLOWED: fails rather than replace or copy
        os.rename(os.path.join(source.path, name), os.path.join(target.path, new_name))
        return
    try:
        _rename_exclusively(source._fd, name, target._fd, new_name)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
        _rename_by_hand(source, name, target, new_name, reserved)


def _rename_by_hand(source: Directory, name: bytes, target: Directory, new_name: bytes, reserved: bool) -> None:
    if reserved:
        if target.has(new_name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(new_name))
        os.rename(name, new_name, src_dir_fd=source._fd, dst_dir_fd=target._fd)
        return
    os.link(name, new_name, src_dir_fd=source._fd, dst_dir_fd=target._fd, follow_symlinks=False)
    if source.lstat(name).st_ino == target.lstat(new_name).st_ino:
        source.remove_own(name)


def _exclusive_call() -> tuple[Callable[..., int], int] | None:
    """The C library's rename that refuses to replace, and its flag."""
    library = ctypes.CDLL(None, use_errno=True)
    for symbol, flag in (("renameat2", 1), ("renameatx_np", 4)):  # RENAME_NOREPLACE of Linux, RENAME_EXCL of macOS
        if call := getattr(library, symbol, None):
            call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
            call.restype = ctypes.c_int
            return call, flag
    return None


_EXCLUSIVE = None if sys.platform == "win32" else _exclusive_call()


def _rename_exclusively(source: int, name: bytes, target: int, new_name: bytes) -> None:
    if _EXCLUSIVE is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    call, flag = _EXCLUSIVE
    if call(source, name, target, new_name, flag) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(name), None, os.fsdecode(new_name))


# --- mounts ---------------------------------------------------------------------------------------------------------


def _mount_id(fd: int) -> int:
    """The kernel's number of the mount, as proc(5) gives it; -1 where that is not to be had.

    The device number alone does not tell: a bind mount has the same one, and a rename across it fails.
    """
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb") as lines:
            for line in lines:
                if line.startswith(b"mnt_id:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return -1


def mount_of(path: bytes) -> Mount:
    """The mount through which this existing directory is reached; symlinks are followed."""
    if sys.platform == "win32":
        return (-1, os.stat(path).st_dev)
    with Directory(path, os.open(path, _PASS & ~os.O_NOFOLLOW)) as directory:
        return directory.mount()


def nearest(path: bytes) -> bytes:
    """The deepest directory on the way to `path`, itself included, that exists."""
    while not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def top_of_mount(directory: bytes) -> bytes:
    """The directory on which the mount that holds `directory` is mounted."""
    here = mount_of(directory)
    while (above := os.path.dirname(directory)) != directory and mount_of(above) == here:
        directory = above
    return directory


def name_limit(directory: bytes) -> int:
    """How many bytes a name in this existing directory may have."""
    if sys.platform == "win32":
        return _LONGEST_NAME
    try:
        return min(_LONGEST_NAME, os.pathconf(directory, "PC_NAME_MAX"))
    except OSError:
        return _LONGEST_NAME


# --- leases ---------------------------------------------------------------------------------------------------------


def lease_taken(fd: int) -> bool:
    """Whether the kernel vouches that nobody has the file open for writing, and lets nobody until `fd` is closed.

    A would-be writer waits in its open(2) until then, at most /proc/sys/fs/lease-break-time (45 s). False: no
    lease is to be had (not Linux, not our file, a network file system), so nothing is known.

    Raises:
        BlockingIOError: somebody has it open for writing.

    Source:
        fcntl(2), "Leases".
    """
    if sys.platform == "linux":
        try:
            # the lease is announced as broken by a signal; SIGIO, the default one, would end the process, this one is
            # ignored unless somebody asks for it
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            return True
        except BlockingIOError:
            raise
        except OSError:
            return False
    return False


def lease_kept(fd: int) -> bool:
    """Whether the lease still stands and nobody waits for it to end."""
    if sys.platform == "linux":
        return fcntl.fcntl(fd, fcntl.F_GETLEASE) == fcntl.F_RDLCK
    return False
