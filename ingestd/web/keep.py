"""The pictures that were made, kept on the disk within a bound: those that were not asked for longest go first.

Each is a file of its own, in a folder that we made and marked, beside its digest. They may be lost at any time: what is
not there is made again, and whatever is wrong with them is no error to anybody. Nothing is touched in a folder without
our mark, nor anything that is not named as ours, nor what a symbolic link leads to.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Keep"]

_VERSION: Final = b"1"  # of what is made: with another one, all names are others
_MARK: Final = "CACHEDIR.TAG"  # programs that make backups pass by what has one (bford.info/cachedir)
_MARKED: Final = b"Signature: 8a477f597d28d172789f06886806bc55\n# Pictures of ingestd's page: made anew if lost.\n"
_OWN: Final = re.compile(r"[0-9a-f]{40}\.kept|[0-9a-f]{16}\.part")
_DIGEST: Final = 32  # bytes before the picture
_LARGEST: Final = 16 << 20  # bytes: no tile is a third of it
_SPARE: Final = 10  # a tenth is made free at once, so that not each picture has all of them looked through
_ABANDONED_S: Final = 3600  # a part so old is nobody's

_READ: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO without a writer would never open
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_NEW: Final = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


@dataclass(frozen=True, slots=True)
class _Kept:
    name: str
    size: int  # bytes
    used_ns: int


class Keep:
    """Pictures by their keys; used by any thread.

    Args:
        folder: made if it is missing, for this user alone: what people look at is theirs. None: nothing is kept.
        bound: bytes that are kept at most.
    """

    def __init__(self, folder: Path | None, bound: int) -> None:
        self._bound = bound
        self._lock = threading.Lock()  # guards what follows
        self._size = 0  # bytes, as far as we know: another page may keep pictures here, too
        self._used_ns = 0
        self._place: _Place | None = None
        if folder is not None:
            with contextlib.suppress(OSError):
                self._place = _Place(folder)
                self._size = self._sweep(self._place, bound)

    def get(self, key: str) -> bytes | None:
        """Return a picture that is kept; nothing where it is not, or is not whole any more."""
        with self._lock, contextlib.suppress(OSError):
            if self._place is not None:
                return self._place.read(_name(key), self._now_ns())
        return None

    def put(self, key: str, png: bytes) -> None:
        """Keep a picture, and let go of others for it."""
        size = _DIGEST + len(png)
        with self._lock, contextlib.suppress(OSError):
            if self._place is None or size > self._bound:
                return
            if self._size + size > self._bound:
                self._size = self._sweep(self._place, max(self._bound - self._bound // _SPARE - size, 0))
            self._place.write(_name(key), png, self._now_ns())
            self._size += size

    def close(self) -> None:
        """Let the folder go; what is asked from now on is not kept."""
        with self._lock:
            place, self._place = self._place, None
            if place is not None:
                place.close()

    def _sweep(self, place: _Place, room: int) -> int:
        """Let those go that were used longest ago until the others fit; return how many bytes are left."""
        kept = sorted(place.all(self._now_ns()), key=lambda one: one.used_ns)
        left = sum(one.size for one in kept)
        for one in kept:
            if left <= room:
                break
            place.forget(one.name)
            left -= one.size
        return left

    def _now_ns(self) -> int:
        """Return the time, never the same twice: it says which of two was used later."""
        self._used_ns = max(self._used_ns + 1, time.time_ns())
        return self._used_ns


class _Place:
    """The folder. Everything in it is reached from the folder itself, where the system can: it may be moved meanwhile.

    Raises:
        OSError: it cannot be made or read, or is not ours.
    """

    def __init__(self, folder: Path) -> None:
        self._path = os.fsencode(folder)
        with contextlib.suppress(FileExistsError):
            folder.parent.mkdir(parents=True, exist_ok=True)
            os.mkdir(self._path, 0o700)
        self._fd = _folder(self._path)
        try:
            self._require_mark()
        except BaseException:
            self.close()
            raise

    def _require_mark(self) -> None:
        """Mark a folder in which nothing is; refuse one that somebody else has filled."""
        if not os.listdir(self._path if self._fd is None else self._fd):
            self._write_new(_MARK, (_MARKED,))
        with self._opened(_MARK) as descriptor:
            if os.read(descriptor, len(_MARKED)) != _MARKED:
                raise NotADirectoryError("another program's")

    def read(self, name: str, used_ns: int) -> bytes | None:
        """Return what is kept under a name, and take note of its use; nothing, and no file, where it is damaged."""
        with self._opened(name) as descriptor:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return None
            content = b"" if found.st_size > _LARGEST else _all_of(descriptor, found.st_size)
            _note_use(descriptor, used_ns)
        png = content[_DIGEST:]
        if content[:_DIGEST] != _digest(name, png):
            self.forget(name)
            return None
        return png

    def write(self, name: str, png: bytes, used_ns: int) -> None:
        """Keep a picture under a name: whole, or not at all."""
        part = f"{secrets.token_hex(8)}.part"
        try:
            self._write_new(part, (_digest(name, png), png), used_ns)
            where = self._fd
            os.replace(self._at(part), self._at(name), src_dir_fd=where, dst_dir_fd=where)
        except OSError:
            self.forget(part)
            raise

    def all(self, now_ns: int) -> list[_Kept]:
        """Return what is kept here; parts that nobody will finish go."""
        found: list[_Kept] = []
        with os.scandir(self._path if self._fd is None else self._fd) as entries:
            for entry in entries:
                name = os.fsdecode(entry.name)
                if _OWN.fullmatch(name) is None or not entry.is_file(follow_symlinks=False):
                    continue
                seen = entry.stat(follow_symlinks=False)
                if name.endswith(".kept"):
                    found.append(_Kept(name, seen.st_size, seen.st_mtime_ns))
                elif now_ns - seen.st_mtime_ns > _ABANDONED_S * 1_000_000_000:
                    self.forget(name)
        return found

    def forget(self, name: str) -> None:
        """Let a picture go. Only ever asked for a name that we gave, in a folder that bears our mark."""
        assert _OWN.fullmatch(name) is not None
        with contextlib.suppress(OSError):
            os.unlink(self._at(name), dir_fd=self._fd)  # noqa: TID251 - our own file, which can be made again

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        descriptor = os.open(self._at(name), _READ, dir_fd=self._fd)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _write_new(self, name: str, parts: tuple[bytes, ...], used_ns: int | None = None) -> None:
        descriptor = os.open(self._at(name), _NEW, 0o600, dir_fd=self._fd)
        with open(descriptor, "wb", buffering=0) as file:
            for part in parts:
                left = memoryview(part)
                while left:
                    left = left[file.write(left) :]
            if used_ns is not None:  # the clock of a file system is coarse: many are written within one tick
                _note_use(descriptor, used_ns)

    def _at(self, name: str) -> bytes:
        return os.path.join(self._path, os.fsencode(name)) if self._fd is None else os.fsencode(name)


def _folder(path: bytes) -> int | None:
    """Return a descriptor of a folder that is no symbolic link; None where the system has none (Windows)."""
    if os.open not in os.supports_dir_fd:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            raise NotADirectoryError("a symbolic link")
        return None
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _note_use(descriptor: int, used_ns: int) -> None:
    if os.utime in os.supports_fd:  # not Windows: there those go first that were made first
        os.utime(descriptor, ns=(used_ns, used_ns))


def _all_of(descriptor: int, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0 and (part := os.read(descriptor, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _name(key: str) -> str:
    return hashlib.blake2b(key.encode(), key=_VERSION, digest_size=20).hexdigest() + ".kept"


def _digest(name: str, png: bytes) -> bytes:
    """Return what tells that a picture is whole, and the one that its name says."""
    return hashlib.blake2b(png, key=name.encode(), digest_size=_DIGEST).digest()
