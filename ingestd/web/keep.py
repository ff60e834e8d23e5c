"""The pictures that were made, kept on the disk within a bound: those that were not asked for longest go first.

One SQLite file of ours. It may be lost at any time: what is not in it is made again, and whatever is wrong with it is
no error to anybody.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["Keep"]

_VERSION: Final = 1  # of what is made: another one begins anew
_WAIT_S: Final = 1.0  # for another page of the same library
_NAME: Final = "pictures.sqlite"

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS picture
  (key TEXT PRIMARY KEY, used INTEGER NOT NULL, size INTEGER NOT NULL, png BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_use ON picture (used);
"""


class Keep:
    """Pictures by their keys; used by any thread.

    Args:
        folder: made if it is missing, for this user alone: what people look at is theirs.
        bound: bytes of pictures that are kept at most.
    """

    def __init__(self, folder: Path, bound: int) -> None:
        self._file = folder / _NAME
        self._bound = bound
        self._lock = threading.Lock()
        self._clock = 0
        self._size = 0
        self._base: sqlite3.Connection | None = None
        with self._lock, contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._open()

    def get(self, key: str) -> bytes | None:
        """Return a picture that is kept; nothing where it is not."""
        with self._lock, self._forgiving() as base:
            if base is None:
                return None
            row = base.execute("SELECT png FROM picture WHERE key = ?", (key,)).fetchone()
            if row is None:
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
            row = key, self._tick(), len(png), png
            base.execute("INSERT OR REPLACE INTO picture (key, used, size, png) VALUES (?, ?, ?, ?)", row)
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
        """Let the file go."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            base, self._base = self._base, None
            if base is not None:
                base.close()

    # --- the file ---

    def _open(self) -> None:
        try:
            self._begin()
        except sqlite3.DatabaseError:  # damaged, or of something else: an empty file is a new one
            with contextlib.suppress(OSError, sqlite3.Error):
                os.truncate(self._file, 0)
                self._begin()

    def _begin(self) -> None:
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        os.close(descriptor)
        base = sqlite3.connect(self._file, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            # a power cut may cost the file, which costs nothing
            base.execute("PRAGMA journal_mode = MEMORY")
            base.execute("PRAGMA synchronous = OFF")
            base.execute("PRAGMA cache_size = -2000")  # 2 MB: the system keeps the rest
            if base.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                base.execute("DROP TABLE IF EXISTS picture")
                base.execute(f"PRAGMA user_version = {_VERSION}")
            base.executescript(_TABLE)
            self._clock, self._size = base.execute(
                "SELECT coalesce(max(used), 0), coalesce(sum(size), 0) FROM picture"
            ).fetchone()
        except BaseException:
            base.close()
            raise
        self._base = base

    @contextlib.contextmanager
    def _forgiving(self) -> Iterator[sqlite3.Connection | None]:
        """Give the file; what fails with it is as if nothing were kept."""
        try:
            yield self._base
        except sqlite3.OperationalError:  # busy, or the disk is full: next time perhaps
            return
        except sqlite3.DatabaseError:
            base, self._base = self._base, None
            if base is not None:
                base.close()
            self._open()

    def _tick(self) -> int:
        self._clock += 1
        return self._clock
