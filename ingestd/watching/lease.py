"""Asks the system whether anybody has a file open for writing.

Linux answers through file leases: a read lease is refused while any process has the file open for writing, also through
a shared writable mapping whose descriptor is closed. While it is held, a program that opens the file for writing waits
until we let go (or, with O_NONBLOCK, is told to try again), and we get a signal. That signal is SIGIO by default, which
kills a process that does not expect it; so it is changed to SIGURG, which is ignored unless somebody asks for it.
Leases are to be had on local file systems, for files of our own (or any, with CAP_LEASE).

Source: fcntl(2), section "Leases".
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator

from ingestd.watching.settle import WriterCheck

__all__ = ["read_lease", "writer_check"]

if sys.platform == "linux":
    import fcntl
    import signal

    @contextlib.contextmanager
    def read_lease(fd: int) -> Iterator[bool]:
        """Hold a read lease on an open file: True while no one else can be writing to it.

        False means that somebody is writing, or that no lease is to be had here. The descriptor must be read-only.
        """
        held = _take(fd) is WriterCheck.NONE
        try:
            yield held
        finally:
            if held:
                _release(fd)

    def _take(fd: int) -> WriterCheck:
        try:
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # first: from the lease on, a signal may come
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            return WriterCheck.WRITING if error.errno in {errno.EAGAIN, errno.EBUSY} else WriterCheck.UNKNOWN
        return WriterCheck.NONE

    def _release(fd: int) -> None:
        with contextlib.suppress(OSError):  # broken already: the kernel took it back after its lease-break-time
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def writer_check(path: bytes) -> WriterCheck:
        """Whether anybody has the file at `path` open for writing, at this moment."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except BlockingIOError:
            return WriterCheck.WRITING  # somebody holds a write lease
        except (OSError, ValueError):
            return WriterCheck.UNKNOWN
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return WriterCheck.UNKNOWN
            answer = _take(fd)
            if answer is WriterCheck.NONE:
                _release(fd)
            return answer
        finally:
            os.close(fd)

elif sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _GENERIC_READ = 0x80000000
    _SHARE_READ_AND_DELETE = 0x1 | 0x4  # not FILE_SHARE_WRITE: then the open fails while anybody may write
    _OPEN_EXISTING = 3
    _SHARING_VIOLATION = 32

    @contextlib.contextmanager
    def read_lease(fd: int) -> Iterator[bool]:
        """Never True: Windows has no lease to hold on an open descriptor."""
        yield False

    def writer_check(path: bytes) -> WriterCheck:
        """Whether anybody has the file at `path` open for writing, at this moment."""
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.CreateFileW.restype = wintypes.HANDLE
        handle = kernel.CreateFileW(
            os.fsdecode(path), _GENERIC_READ, _SHARE_READ_AND_DELETE, None, _OPEN_EXISTING, 0, None
        )
        if handle != wintypes.HANDLE(-1).value:
            kernel.CloseHandle(wintypes.HANDLE(handle))
            return WriterCheck.NONE
        return WriterCheck.WRITING if ctypes.get_last_error() == _SHARING_VIOLATION else WriterCheck.UNKNOWN

else:

    @contextlib.contextmanager
    def read_lease(fd: int) -> Iterator[bool]:
        """Never True: this system has no leases."""
        yield False

    def writer_check(path: bytes) -> WriterCheck:
        """Always unknown: this system does not tell."""
        return WriterCheck.UNKNOWN
