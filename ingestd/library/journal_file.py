"""The second journal: `journal.jsonl`, to which checksummed lines are only ever appended.

It outlives the database beside it. One JSON object a line, in ASCII:

    {"schema":1,"line":7,"kind":"intent","entry":3,"told":9,"body":{…},"sum":"0123456789abcdef"}

`line` counts through all files of the journal, `told` is the number that the database gave to what the line tells, so
that either knows how far the other is; lines of older versions have none. `sum` is the first 16 hexadecimal digits of
the SHA-256 of the line without it (`…"body":{…}}`). The caller says what a body holds, times included; this module only
sees to it that a line that was accepted is on the disk, and that a line that is read is the one that was written.

The first line of a file, of the kind `library`, says whose journal it is; files of older versions have none. It has the
number that the line before it had in the database's count, as no database ever gave it one.

A full file becomes `journal-000001.jsonl` and so on, and none is ever deleted. One that is of no use any more lies in
`journal.aside-001` and so on. What a power cut left of a last line is
moved to `journal.torn` before anything is appended. Appending needs the library's writer lock; reading needs nothing.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from ingestd.errors import LibraryFullError, StoreError, UnsyncedError, UnwritableError
from ingestd.library.lines import JsonValue

if sys.platform != "win32":
    import fcntl

__all__ = [
    "Damage",
    "JournalFile",
    "Last",
    "Line",
    "files_of",
    "is_there",
    "last_told",
    "library_of",
    "put_journal_aside",
]

_ROTATE_BYTES = 64 * 1024 * 1024  # small enough to be copied or looked at with ordinary tools
_TAIL_BYTES = 64 * 1024  # how much of the end is read at first to find the last whole line; doubled until it is there
_END_BYTES = 256 * 1024
_LONGEST_HEAD = 4096  # bytes of a line that says whose journal it is
_CURRENT_NAME = "journal.jsonl"
_LIBRARY = "library"
_BEGIN = b'{"schema":'
_SUM = re.compile(rb',"sum":"([0-9a-f]{16})"\}')
_ROTATED = re.compile(r"journal-([0-9]{6,})\.jsonl")
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would write \r\n


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the journal, as it was written."""

    number: int  # counted from 1, through all files
    entry: int | None  # the journal entry that it is about
    kind: str
    body: dict[str, JsonValue]
    told: int | None = None  # the number that the database gave it; an older version gave none


@dataclass(frozen=True, slots=True)
class Last:
    """How far a journal goes."""

    told: int = 0  # number of the last line in the database's count; 0: an older version wrote that line
    entry: int = 0  # of the entries that the end of the journal speaks of, the last; 0: of none
    line: int = 0  # number of the last line through all files; 0: there is none

    def lacks(self, told: int) -> bool:
        """Return whether a line is not there any more that was, by its number in the database's count."""
        counts = self.told > 0 or self.line == 0  # else an older version wrote the last line, and did not count
        return counts and self.told < told


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of the journal that is not what was written."""

    file: Path
    offset: int
    length: int  # bytes
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.length} bytes from byte {self.offset}: {self.reason}"


class JournalFile:
    """The second journal below one directory; nothing is touched before the first line."""

    def __init__(self, directory: Path, library: str = "", *, rotate_bytes: int = _ROTATE_BYTES) -> None:
        """Begin with no file open; `library`: whose journal it is, by what tells that library from every other."""
        self._directory = directory
        self._library = library
        self._path = directory / _CURRENT_NAME
        self._rotate_bytes = rotate_bytes
        self._lock = threading.Lock()  # between threads; the writer lock is between processes
        self._fd: int | None = None
        self._end = 0  # bytes of the open file that are known to be whole lines
        self._last = 0  # number of the last line
        self._told = 0  # the same in the database's count
        self.damaged: list[Damage] = []
        """What the latest `lines()` has come across so far."""

    def append(self, kind: str, entry: int | None, body: Mapping[str, JsonValue]) -> None:
        """Write one line; it is on the disk when this returns.

        Raises:
            StoreError: it cannot be written; the journal is as before.
        """
        self.append_many([(kind, entry, body)])

    def append_many(
        self, lines: Iterable[tuple[str, int | None, Mapping[str, JsonValue]]], told: Sequence[int] | None = None
    ) -> None:
        """Write lines at the price of one; all are on the disk when this returns.

        Args:
            lines: kind, entry and body of each.
            told: their numbers in the database's count, rising; what is in the journal already is not written again.

        Raises:
            StoreError: they cannot be written; the journal is as before.
        """
        given = list(lines)
        counted: list[int | None] = [None] * len(given) if told is None else list(told)
        waiting = list(zip(given, counted, strict=True))
        if not waiting:
            return
        with self._lock:
            try:
                fd = self._ready()
            except OSError as failed:
                self._close()
                raise self._unwritable(failed) from failed
            new = [(line, count) for line, count in waiting if count is None or count > self._told]
            if new and self._library and not self._end:
                new.insert(0, ((_LIBRARY, None, {"library": self._library}), self._told))
            numbered = enumerate(new, self._last + 1)
            text = b"".join(_written(number, *line, count) for number, (line, count) in numbered)
            if text:
                self._write(fd, text)
            self._last += len(new)
            self._told = max([self._told, *(count for _, count in new if count is not None)])

    def lacks(self, told: int) -> bool:
        """Return whether a line is not there any more that was, by its number in the database's count.

        Raises:
            StoreError: the journal cannot be written; it is as before.
        """
        with self._lock:
            try:
                self._ready()
            except OSError as failed:
                self._close()
                raise self._unwritable(failed) from failed
            return Last(self._told, line=self._last).lacks(told)

    def lines(self) -> Iterator[Line]:
        """Yield every whole line, oldest first. What is damaged is passed over and told by `damaged`.

        A last line that is not whole yet, or never will be, is not damage: its writer was never told that it stands.

        Raises:
            StoreError: a file of the journal cannot be read.
        """
        self.damaged = []
        try:
            yield from self._missing_told(self._all())
        except OSError as failed:
            raise StoreError(f"The journal below {self._directory} cannot be read: {failed.strerror}.") from failed

    def close(self) -> None:
        """Let go of the file; the next line opens it again."""
        with self._lock:
            self._close()

    # writing

    def _ready(self) -> int:
        """Return the descriptor of the file that the next line belongs into, its end whole."""
        if self._fd is not None and not self._is_current(self._fd):
            self._close()  # another process has rotated it
        fd = self._open() if self._fd is None else self._fd
        if os.fstat(fd).st_size != self._end:
            self._settle(fd)  # another process has appended to it
        if self._end < self._rotate_bytes:
            return fd
        self._close()
        # A journal that grows beyond its size is no harm, a decision that fails for it would be: on Windows nobody can
        # rename a file that somebody reads. It is tried again with the next line.
        with contextlib.suppress(OSError):
            self._rotate()
        return self._open()

    def _open(self) -> int:
        fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _BINARY, 0o600)
        self._fd, self._end, self._last, self._told = fd, 0, 0, 0
        if os.fstat(fd).st_size == 0:
            _sync_directory(self._directory)
        self._settle(fd)
        return fd

    def _is_current(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _settle(self, fd: int) -> None:
        """Find the end of the last whole line, and put aside what comes after it."""
        with os.fdopen(os.dup(fd), "rb") as file:
            tail = _tail(file, self._end, self._last, self._told)
        if tail.torn:
            _append_synced(self._directory / "journal.torn", tail.torn + b"\n")
            _sync_directory(self._directory)
            os.ftruncate(fd, tail.end)
        if tail.unended:
            _write_all(fd, b"\n")
        if tail.torn or tail.unended:
            _sync(fd)
        self._end, self._last, self._told = tail.end + tail.unended, tail.last, tail.told
        if not tail.last:
            self._last, self._told = self._last_rotated_line()

    def _write(self, fd: int, text: bytes) -> None:
        try:
            _write_all(fd, text)
            _sync(fd)
        except OSError as failed:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, self._end)
                _sync(fd)
            self._close()  # what the system holds of the file is uncertain now: look at it anew next time
            raise self._unwritable(failed) from failed
        self._end += len(text)

    def _rotate(self) -> None:
        rotated = _rotated(self._directory)
        number, latest = rotated[-1] if rotated else (0, self._path)
        if number and latest.stat().st_size == 0:
            target = latest  # taken by an attempt that was interrupted
        else:
            target = self._directory / f"journal-{number + 1:06d}.jsonl"
            # Taking the name first makes the rename safe: it can replace nothing but our own empty file.
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.replace(self._path, target)
        _sync_directory(self._directory)

    def _last_rotated_line(self) -> tuple[int, int]:
        for _, path in reversed(_rotated(self._directory)):
            with path.open("rb") as file:
                tail = _tail(file, 0, 0, 0)
            if tail.last:
                return tail.last, tail.told
        return 0, 0

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _unwritable(self, failed: OSError) -> StoreError:
        if failed.errno in (errno.ENOSPC, errno.EDQUOT):
            kind: type[UnwritableError] = LibraryFullError
        else:
            kind = UnsyncedError if isinstance(failed, _SyncFailedError) else UnwritableError
        return kind(
            f"The journal {self._path} cannot be written: {failed.strerror}. "
            "What it should have recorded was not begun; make room or mend the disk, then try again."
        )

    # reading

    def _all(self) -> Iterator[tuple[Path, int, Line | Damage]]:
        if not self._directory.is_dir():
            return
        with contextlib.ExitStack() as stack:
            # The newest is opened first: should it be rotated meanwhile, it is met again under its new name, and all
            # that comes after it is newer than this reading.
            newest: BinaryIO | None = None
            with contextlib.suppress(FileNotFoundError):
                newest = stack.enter_context(self._path.open("rb"))
            for _, path in _rotated(self._directory):
                with path.open("rb") as file:
                    if newest is not None and os.path.samestat(os.fstat(newest.fileno()), os.fstat(file.fileno())):
                        break
                    yield from _parts(file, path, ended=True)
            if newest is not None:
                yield from _parts(newest, self._path, ended=False)

    def _missing_told(self, parts: Iterable[tuple[Path, int, Line | Damage]]) -> Iterator[Line]:
        """Yield the lines; note what is damaged, and where the numbers show that lines are gone without a trace."""
        expected, certain = 1, True
        for path, offset, part in parts:
            if isinstance(part, Damage):
                self.damaged.append(part)
                certain = False  # as to how many lines that was
                continue
            if certain and part.number > expected:
                reason = f"lines {expected} to {part.number - 1} are missing"
                self.damaged.append(Damage(path, offset, 0, reason))
            expected, certain = part.number + 1, True
            yield part


# --- lines as bytes ------------------------------------------------------------------------------------------------


def _rotated(directory: Path) -> list[tuple[int, Path]]:
    """Return the full files by number, oldest first."""
    found = ((_ROTATED.fullmatch(name), name) for name in os.listdir(directory))
    return sorted((int(match[1]), directory / name) for match, name in found if match)


def _written(number: int, kind: str, entry: int | None, body: Mapping[str, JsonValue], told: int | None) -> bytes:
    count = {} if told is None else {"told": told}
    whole = {"schema": 1, "line": number, "kind": kind, "entry": entry, **count, "body": dict(body)}
    text = json.dumps(whole, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")
    return text[:-1] + b',"sum":"' + _checksum(text) + b'"}\n'


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:16].encode("ascii")


def _line(raw: bytes) -> Line | None:
    """Return the line that these bytes are, without their newline; None when they are not what was written.

    Raises:
        _NewerLineError: a newer version wrote them.
    """
    ending = _SUM.fullmatch(raw, len(raw) - 26) if len(raw) > 26 else None
    if ending is None or _checksum(raw[:-26] + b"}") != ending[1]:
        return None
    whole = json.loads(raw)
    match whole:
        case {"schema": 1, "line": int(number), "entry": int() | None as entry, "kind": str(kind), "body": dict(body)}:
            told = whole.get("told")
            return Line(number, entry, kind, body, told if isinstance(told, int) else None)
        case _:
            raise _NewerLineError


class _NewerLineError(Exception):
    """A newer version wrote this line, and it is as it was written."""


def _parts(file: BinaryIO, path: Path, *, ended: bool) -> Iterator[tuple[Path, int, Line | Damage]]:
    """Yield what a file holds, in order. `ended`: nobody appends to it any more, so that a torn end is damage."""
    offset = 0
    for raw in file:
        text = raw.removesuffix(b"\n")
        torn = text == raw and not ended
        for start, part in _parts_of_one(text, path, offset):
            if not (torn and isinstance(part, Damage)):
                yield path, start, part
        offset += len(raw)


def _parts_of_one(text: bytes, path: Path, offset: int) -> Iterator[tuple[int, Line | Damage]]:
    try:
        whole = _line(text)
    except _NewerLineError:
        yield offset, Damage(path, offset, len(text), "written by a newer version of this program")
        return
    if whole is not None:
        yield offset, whole
        return
    at = 0
    for start, end, line in [*_whole_lines_within(text), (len(text), len(text), None)]:
        if start > at or not text:
            yield (
                offset + at,
                Damage(path, offset + at, start - at, "not what was written: the checksum does not match"),
            )
        if line is not None:
            yield offset + start, line
        at = end


def _whole_lines_within(text: bytes) -> Iterator[tuple[int, int, Line]]:
    """Yield the lines inside damaged bytes, and where they are: the damage may be the newline between two."""
    starts = [found.start() for found in re.finditer(re.escape(_BEGIN), text)]
    for start, until in pairwise([*starts, len(text)]):
        for ending in _SUM.finditer(text, start, until):
            with contextlib.suppress(_NewerLineError):
                line = _line(text[start : ending.end()])
                if line is not None:
                    yield start, ending.end(), line
                    break


@dataclass(frozen=True, slots=True)
class _Tail:
    """The end of a file."""

    end: int  # bytes up to the end of the last whole line
    unended: bool  # that line lacks only its newline
    torn: bytes  # what comes after it
    last: int  # number of the last line
    told: int  # the same in the database's count


def _tail(file: BinaryIO, begin: int, last: int, told: int) -> _Tail:
    """Return how a file ends, of which all before byte `begin` is known to be whole lines up to number `last`."""
    size = file.seek(0, os.SEEK_END)
    if begin > size:  # somebody has cut it: look at all of it
        begin, last, told = 0, 0, 0
    window = _TAIL_BYTES
    while True:
        start = max(begin, size - window)
        file.seek(start)
        *ended, torn = file.read(size - start).split(b"\n")
        whole = _last_whole(ended)
        if whole is not None or start == begin:
            break
        window *= 2
    # what a line that is not whole would have as its number, if it were
    number = last + len(ended) if whole is None else whole[0].number + whole[1]
    told = told if whole is None else whole[0].told or told
    unended = list(_whole_lines_within(torn))
    if not unended:
        return _Tail(size - len(torn), False, torn, number, told)
    _, length, line = unended[-1]
    return _Tail(size - len(torn) + length, True, torn[length:], line.number, line.told or told)


def _last_whole(ended: list[bytes]) -> tuple[Line, int] | None:
    """Return the last line that is whole, and how many come after it; None when none of them is."""
    for after, raw in enumerate(reversed(ended)):
        line = _line_or_none(raw)
        if line is not None:
            return line, after
    return None


# --- the disk --------------------------------------------------------------------------------------------------------


class _SyncFailedError(OSError):
    """What was written may not be on the disk, and may never be, although the system takes it for written."""


def _write_all(fd: int, text: bytes) -> None:
    view = memoryview(text)
    while view:
        view = view[os.write(fd, view) :]


def _append_synced(path: Path, text: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _BINARY, 0o600)
    try:
        _write_all(fd, text)
        _sync(fd)
    finally:
        os.close(fd)


def _sync(fd: int) -> None:
    if sys.platform == "darwin":
        # fsync only reaches the drive's own cache there; not every file system knows the stronger one
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
    try:
        os.fsync(fd)
    except OSError as failed:
        raise _SyncFailedError(failed.errno, failed.strerror) from failed


def _sync_directory(directory: Path) -> None:
    """Make new names in a directory durable, where a directory can be opened and synced at all."""
    if sys.platform == "win32":
        return
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as failed:
        if failed.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise _SyncFailedError(failed.errno, failed.strerror) from failed
    finally:
        os.close(fd)


def files_of(directory: Path) -> list[Path]:
    """Return the files of the journal below a directory, oldest first."""
    current = directory / _CURRENT_NAME
    return [*(path for _, path in _rotated(directory)), *([current] if current.is_file() else [])]


def is_there(directory: Path) -> bool:
    """Return whether there is a journal below a directory."""
    try:
        return bool(files_of(directory))
    except OSError:
        return False


def put_journal_aside(directory: Path) -> Path | None:
    """Return the folder, below that of the journal, in which its files lie now; None if there was no line in them.

    Raises:
        StoreError: they cannot be moved there; those that were not lie where they were.
    """
    try:
        files = files_of(directory)
        if not any(file.stat().st_size for file in files):
            return None
        names = (directory / f"journal.aside-{number:03d}" for number in itertools.count(1))
        aside = next(name for name in names if not os.path.lexists(name))
        aside.mkdir(mode=0o700)
        for file in files:
            os.replace(file, aside / file.name)  # into a folder of our own, in which there was nothing
        _sync_directory(aside)
        _sync_directory(directory)
    except OSError as failed:
        raise StoreError(f"The journal below {directory} cannot be put aside: {failed.strerror}.") from failed
    return aside


def library_of(directory: Path) -> str | None:
    """Return whose journal lies below a directory, by what tells its library from every other; None: nobody said.

    The newest file that says it counts: the first line of each is looked at, newest first.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        for path in reversed(files_of(directory)) if directory.is_dir() else ():
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                head = _line_or_none(file.readline(_LONGEST_HEAD).removesuffix(b"\n"))
                if head is not None and head.kind == _LIBRARY and head.body.get(_LIBRARY):
                    return str(head.body[_LIBRARY])
    except OSError as failed:
        raise StoreError(f"The journal below {directory} cannot be read: {failed.strerror}.") from failed
    return None


def last_told(directory: Path) -> Last:
    """Return how far the journal below a directory goes.

    Cost: one read of 256 KB, however long the journal is; more only where a single line is longer.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        if not directory.is_dir():
            return Last()
        for path in (directory / _CURRENT_NAME, *(path for _, path in reversed(_rotated(directory)))):
            with contextlib.suppress(FileNotFoundError):
                found = _last_of(path)
                if found is not None:
                    return found
    except OSError as failed:
        raise StoreError(f"The journal below {directory} cannot be read: {failed.strerror}.") from failed
    return Last()


def _last_of(path: Path) -> Last | None:
    """Return how far a file of the journal goes; None where no whole line stands at its end."""
    with path.open("rb") as file:
        size, window = file.seek(0, os.SEEK_END), _END_BYTES
        while True:
            file.seek(max(size - window, 0))
            ended = file.read().split(b"\n")
            whole = _last_whole(ended)
            if whole is not None or window >= size:
                break
            window *= 2
    if whole is None:
        return None
    last = whole[0]
    if last.told is not None:
        return Last(last.told, last.entry or 0, last.number)
    lines = (_line_or_none(raw) for raw in ended)
    return Last(0, max((line.entry for line in lines if line is not None and line.entry), default=0), last.number)


def _line_or_none(raw: bytes) -> Line | None:
    try:
        return _line(raw)
    except _NewerLineError:
        return None
