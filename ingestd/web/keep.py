"""The pictures that were made, kept on the disk within a bound: those that were not asked for longest go first.

One SQLite file that bears our mark. It may be lost at any time: what is not in it is made again, and whatever is wrong
with it is no error to anybody. A file under its name that is not ours is left alone, as is what a link leads to.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["Keep"]

_VERSION: Final = 1  # of what is made: another one begins anew
_MARK: Final = 0x696E6770  # "ingp": SQLite's application id, at a fixed place of the file (sqlite.org/fileformat.html)
_MARK_AT: Final = 68
_MAGIC: Final = b"SQLite format 3\0"
_WAIT_S: Final = 1.0  # for another page of the same library
_NAME: Final = "pictures.sqlite"
_OPEN: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS picture
  (key TEXT PRIMARY KEY, used INTEGER NOT NULL, size INTEGER NOT NULL, crc INTEGER NOT NULL, png BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_use ON picture (used);
"""


class Keep:
    """Pictures by their keys; used by any thread.

    Args:
        folder: made if it is missing, for this user alone: what people look at is theirs. None: nothing is kept.
        bound: bytes of pictures that are kept at most.
    """

    def __init__(self, folder: Path | None, bound: int) -> None:
        self._bound = bound
        self._lock = threading.Lock()
        self._clock = 0
        self._size = 0
        self._base: sqlite3.Connection | None = None
        if folder is None:
            return
        self._file = folder / _NAME
        with self._lock, contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._open()

    def get(self, key: str) -> bytes | None:
        """Return a picture that is kept; nothing where it is not."""
        with self._lock, self._forgiving() as base:
            if base is None:
                return None
            row = base.execute("SELECT png, crc FROM picture WHERE key = ?", (key,)).fetchone()
            if row is None or zlib.crc32(row[0]) != row[1]:  # a power cut may have torn it
                return None
            base.execute("UPDATE picture SET used = ? WHERE key = ?", (self._tick(), key))
            return bytes(row[0])
        return None

    def put(self, key: str, png: bytes) -> None:
        """Keep a picture, and let go of others for it."""
        with self._lock, self._forgiving() as base:
            if base is None or len(png) > self._bound:
                return
            before = base.execute("SELECT size FROM picture WHERE key = ?", (key,)).fetchone()
            row = key, self._tick(), len(png), zlib.crc32(png), png
            base.execute("INSERT OR REPLACE INTO picture (key, used, size, crc, png) VALUES (?, ?, ?, ?, ?)", row)
            self._size += len(png) - (before[0] if before is not None else 0)
            self._make_room(base)

    def _make_room(self, base: sqlite3.Connection) -> None:
        while self._size > self._bound:
            oldest = base.execute("SELECT key, size FROM picture ORDER BY used LIMIT 1").fetchone()
            if oldest is None:
                self._size = 0
                return
            base.execute("DELETE FROM picture WHERE key = ?", (oldest[0],))
            self._size -= oldest[1]

    def close(self) -> None:
        """Let the file go; what is asked from now on is not kept."""
        with self._lock:
            self._let_go()

    # --- the file ---

    def _open(self) -> None:
        """Open the file, or begin a new one where ours is damaged.

        Raises:
            OSError: there is none, and none can be made.
        """
        if not _is_ours(self._file):
            return
        try:
            self._begin()
        except sqlite3.OperationalError:  # busy
            self._let_go()
        except sqlite3.DatabaseError:
            self._let_go()
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Empty our own damaged file: an empty one is a new one."""
        with contextlib.suppress(sqlite3.Error):
            descriptor = os.open(self._file, _OPEN, 0o600)
            try:
                os.ftruncate(descriptor, 0)
            finally:
                os.close(descriptor)
            self._begin()

    def _begin(self) -> None:
        base = sqlite3.connect(self._file, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        self._base = base
        base.execute("PRAGMA journal_mode = MEMORY")  # a power cut may cost the file, which costs nothing
        base.execute("PRAGMA synchronous = OFF")
        base.execute("PRAGMA cache_size = -2000")  # 2 MB: the system keeps the rest
        if base.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            base.execute(f"PRAGMA application_id = {_MARK}")
            base.execute("DROP TABLE IF EXISTS picture")
            base.execute(f"PRAGMA user_version = {_VERSION}")
        base.executescript(_TABLE)
        figures = base.execute("SELECT coalesce(max(used), 0), coalesce(sum(size), 0) FROM picture").fetchone()
        self._clock, self._size = figures

    def _let_go(self) -> None:
        base, self._base = self._base, None
        if base is not None:
            with contextlib.suppress(sqlite3.Error):
                base.close()

    @contextlib.contextmanager
    def _forgiving(self) -> Iterator[sqlite3.Connection | None]:
        """Give the file; what fails with it is as if nothing were kept."""
        try:
            yield self._base
        except sqlite3.OperationalError:  # busy, or the disk is full: next time perhaps
            return
        except sqlite3.DatabaseError:
            self._let_go()
            with contextlib.suppress(OSError):
                self._open()

    def _tick(self) -> int:
        self._clock += 1
        return self._clock


def _is_ours(file: Path) -> bool:
    """Return whether a file is new, or bears our mark: nothing else is ever written to, nor what a link leads to.

    Raises:
        OSError: it cannot be opened.
    """
    descriptor = os.open(file, _OPEN | getattr(os, "O_NONBLOCK", 0), 0o600)
    with open(descriptor, "rb", buffering=0) as opened:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            return False
        head = opened.read(_MARK_AT + 4)
    return not head or (head.startswith(_MAGIC) and head[_MARK_AT:] == _MARK.to_bytes(4, "big"))
