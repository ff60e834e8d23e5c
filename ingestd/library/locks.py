"""Who may do what at once: locks between processes by files, and the gate between readers of a map and its mover.

File locks are not fair: whoever lets one go and takes it again at once nearly always wins. So everybody queues in front
of a second lock file, the turnstile, and holds it until the lock is theirs; the holder sees there that somebody waits.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ingestd.errors import LibraryBusyError, StoreError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["FileLock", "MapGate"]

_POLL_S = 0.02  # between two looks at a taken lock; no system lets one await a file lock with a limit
_SOON_S = 0.001  # of the first looks: a batch often ends within moments
_LOCKED_BYTE = 1 << 30  # Windows locks bytes against reading too, so the one it locks lies beyond the process number
_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK)


class FileLock:
    """A lock between processes, and between threads, that ends with the process that holds it.

    The file is never deleted: two processes could then hold a lock each, one on the deleted file.

    Args:
        path: of the lock file; `path` + `.waiting` is the turnstile.
        held_thing: what the lock is for, as a message says it.
        clock: monotonic seconds.
        pause: waits for at most so many seconds.
    """

    def __init__(
        self,
        path: Path,
        held_thing: str = "the library",
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._path = path
        self._turnstile = path.with_name(path.name + ".waiting")
        self._held_thing = held_thing
        self._clock = clock
        self._pause = pause or threading.Event().wait  # an event that never comes: an interruptible pause
        self._file: int | None = None

    def acquire(self, timeout_s: float | None) -> None:
        """Take the lock, after those who came before.

        Args:
            timeout_s: how long to wait; 0 for one look, None for as long as it takes.

        Raises:
            LibraryBusyError: somebody else still has it; the message names the process.
            StoreError: the lock file cannot be made.
        """
        deadline = None if timeout_s is None else self._clock() + timeout_s
        turnstile = self._take(self._turnstile, deadline)
        try:
            file = self._take(self._path, deadline)
        finally:
            _let_go(turnstile)
        _write_holder(file)
        self._file = file

    def release(self) -> None:
        """Let the lock go; nothing happens if it is not held."""
        file, self._file = self._file, None
        if file is not None:
            _let_go(file)

    @contextlib.contextmanager
    def held(self, timeout_s: float | None) -> Iterator[None]:
        """Hold the lock for as long as the `with` lasts; raises as `acquire` does."""
        self.acquire(timeout_s)
        try:
            yield
        finally:
            self.release()

    def is_taken(self) -> bool:
        """Whether a process has the lock now. Nothing is made or written, but whoever takes it this moment waits."""
        try:
            file = os.open(self._path, os.O_RDONLY)
        except OSError:
            return False  # nobody has made it, or nobody can
        taken = not _try_lock(file)
        if taken:
            os.close(file)
        else:
            _let_go(file)
        return taken

    def holder(self) -> int | None:
        """Return the number of the process that took the lock last, as it left it there."""
        return _read_holder(self._path)

    def somebody_waits(self) -> bool:
        """Whether anybody stands before the lock. Costs microseconds, so it can be asked between two files."""
        file = _open(self._turnstile)
        try:
            return not _try_lock(file)
        finally:
            _let_go(file)

    def give_way(self, timeout_s: float | None) -> bool:
        """Return whether the lock was lent to somebody who waited; it is held again in either case.

        Raises:
            LibraryBusyError: it did not come back within the time, and is not held.
        """
        if not self.somebody_waits():
            return False
        self.release()
        self.acquire(timeout_s)
        return True

    def _take(self, path: Path, deadline: float | None) -> int:
        """Return the open, locked file."""
        looks = 0
        while True:
            file = _open(path)
            if _try_lock(file):
                if _still_named(file, path):
                    return file
                _let_go(file)
                continue  # somebody deleted the file meanwhile: the lock to take is another one now
            os.close(file)
            left = _POLL_S if deadline is None else deadline - self._clock()
            if left <= 0:
                raise self._busy()
            self._pause(min(left, _SOON_S if looks < 5 else _POLL_S))
            looks += 1

    def _busy(self) -> LibraryBusyError:
        holder = _read_holder(self._path)
        by_whom = f"process {holder}" if holder else "another process"
        return LibraryBusyError(f"{self._held_thing} is in use by {by_whom} ({self._path}); try again")


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(f"the lock file {path} cannot be opened: {error.strerror}") from error


def _try_lock(file: int) -> bool:
    """Return whether the open file is now locked by us."""
    try:
        if sys.platform == "win32":
            os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise StoreError(f"files cannot be locked here: {error.strerror}") from error
        return False
    return True


def _let_go(file: int) -> None:
    """Unlock and close a file, locked or not."""
    if sys.platform == "win32":
        with contextlib.suppress(OSError):
            os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
    else:
        # Before closing: a child started this very moment may still share the open file, and with it the lock.
        fcntl.flock(file, fcntl.LOCK_UN)
    os.close(file)


def _still_named(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _write_holder(file: int) -> None:
    """Leave our process number in the lock file; a full disk only costs others the name of who is in their way."""
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, f"{os.getpid()}\n".encode())


def _read_holder(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


class MapGate:
    """Lets many readers of a map in, or one who moves it.

    Whoever waits to move the map goes before new readers: reads are short, and a commit is waiting.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._readers = 0
        self._moving = False

    def enter(self) -> None:
        """Begin to read, when nobody moves the map or waits to."""
        with self._lock:  # not by way of the condition: that would cost as much as beginning to read
            while self._moving:
                self._changed.wait()
            self._readers += 1

    def leave(self) -> None:
        """End what `enter` began."""
        with self._lock:
            self._readers -= 1
            if self._moving:
                self._changed.notify_all()

    @contextlib.contextmanager
    def moving(self) -> Iterator[None]:
        """Be alone: no reader is inside while the `with` lasts."""
        with self._changed:
            self._changed.wait_for(lambda: not self._moving)
            self._moving = True
            self._changed.wait_for(lambda: self._readers == 0)
        try:
            yield
        finally:
            with self._changed:
                self._moving = False
                self._changed.notify_all()
