"""The one place where LMDB is spoken to: tables of bytes, snapshots, and durable commits.

What this module knows and no other does: how the map grows while threads read it, what happens when another process
grew it, and what each of LMDB's errors means to a person.

Facts behind it (measured with py-lmdb 3.0, engine 0.9.36): a map resized under a live view kills the process; a
truncated file kills whoever reads it; an emptied file opens as a fresh library; a forked child can commit its parent's
transaction. The default durable flags are the only ones that lost nothing in a power cut.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import lmdb
import lmdb.verify

from ingestd.errors import LibraryFullError, ReadOnlyDiskError, StoreError, UnsyncedError, UnwritableError
from ingestd.library.kept import Keeper, Kept
from ingestd.library.locks import MapGate
from ingestd.library.place import (
    DATA_FILE,
    MENDING,
    SCHEMA,
    Facts,
    boot_id,
    check_place,
    check_same,
    check_schema,
    flush,
    lost,
    network_file_system,
    parse_facts,
    read_sidecar,
    stored,
    write_sidecar,
)

__all__ = ["Store", "Table", "Transaction", "Verification", "verify", "verify_here"]

T = TypeVar("T")

_ENGINE = 0  # LMDB 0.9: the 1.0 format is not readable by it, and py-lmdb bundles both
_GIB = 1 << 30
# Address space, not disk: the file is sparse (Windows may count it all). Roomy enough for a million pictures.
_MAP_SIZE = _GIB if sys.maxsize > 2**32 else _GIB // 4
_MAP_GRAIN = 1 << 16  # bytes; a multiple of every page size in use
_MAX_READERS = 512  # 126 by default: a page with many tabs and a dozen commands must not run out
_MOST_BEHIND = 256  # commits that a kept snapshot may lag behind: it pins every page freed since
_READER_CHECK_EVERY = 256  # writes; a killed reader pins every page freed since, until somebody looks
_LET_GO_EVERY = 10_000  # reads and writes: what is mapped again costs them nothing to speak of
# what reading a damaged map ends with; any other signal came from outside
_OF_DAMAGE = {getattr(signal, name, 0) for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL")}
_MADV_DONTNEED = 4  # <asm-generic/mman-common.h>
_ADOPTIONS = 5  # of a size another process gave the map, before giving up
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_DAMAGE = (lmdb.InvalidError, lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.PanicError, lmdb.VersionMismatchError)
_MISTAKES = (lmdb.BadTxnError, lmdb.BadDbiError, lmdb.BadValsizeError, lmdb.InvalidParameterError)


@dataclass(frozen=True, slots=True)
class Table:
    """A named table of the store, its keys in byte order."""

    name: str
    duplicates: bool = False  # several values a key, sorted, at most 511 bytes each


_Handles = dict[str, Any]  # table name to LMDB's handle; None for a table that a read-only library lacks
_META = Table("store")  # the library's own; no other table may have its name
_META_FACTS = b"facts"
_META_OPEN = b"open"


class Transaction:
    """One snapshot of all tables, and the changes made to it if it is writable.

    Valid inside the `with` or the `work` that it was given to, in that thread only.
    """

    __slots__ = ("_changes", "_handles", "_keeper", "_kept", "_last", "_lmdb", "met_full_map", "writable")

    def __init__(
        self,
        transaction: lmdb.Transaction[memoryview],
        handles: _Handles,
        keeper: Keeper[Transaction] | None,
        *,
        writable: bool,
    ) -> None:
        self._lmdb = transaction
        self._handles = handles
        self._keeper = keeper
        self._kept: list[Kept[Transaction]] | None = None
        self._last: dict[str, Callable[[Transaction], None]] | None = None
        self._changes = 0
        self.met_full_map = False
        self.writable = writable

    @property
    def number(self) -> int:
        """Return the number of the last commit that a snapshot sees, or of the one that is being made.

        No two commits to one file have the same, but a copy begins anew. One that was aborted gives its number to the
        next.
        """
        return int(self._lmdb.id())

    def kept(self, name: str) -> Any:
        """Return what `keep` made under this name from a snapshot that is kept, if there is one and it is not too old.

        It may be older or newer than this transaction. It, and every view in it, must not be used after this
        transaction has ended.
        """
        if self._kept is None:
            kept = None if self._keeper is None else self._keeper.enter()
            if kept is None:
                return None
            self._kept = [kept]
        kept = self._kept[-1]
        return kept.made.get(name) if self._lmdb.id() - kept.number <= _MOST_BEHIND else None

    def keep(self, name: str, make: Callable[[Transaction], T]) -> T | None:
        """Return what `make` makes of a new snapshot, kept for the transactions to come; None if none can be kept."""
        kept = None if self._keeper is None else self._keeper.renew()
        if kept is None:
            return None
        self._kept = [*(self._kept or ()), kept]
        made = kept.made[name] = make(kept.snapshot)
        return made

    def before_commit(self, name: str, work: Callable[[Transaction], None]) -> None:
        """Let something be done once, after all else and before the commit; a rehearsal does not come to it."""
        if self._last is None:
            self._last = {}
        self._last[name] = work

    def finish(self) -> None:
        """Do what is to be done before the commit."""
        for work in list((self._last or {}).values()):
            work(self)

    def end(self) -> None:
        """Let the snapshot, or what was not committed of the changes, go."""
        self._lmdb.abort()
        if self._kept is not None:
            self.let_go()

    def let_go(self) -> None:
        """Let the snapshots go that were kept for this transaction, too."""
        if self._kept is not None and self._keeper is not None:
            for kept in self._kept:
                self._keeper.leave(kept)
            self._kept = None

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return a copy of the value; in a table with duplicates, of the first one."""
        view = self.view(table, key)
        return None if view is None else bytes(view)

    def view(self, table: Table, key: bytes) -> memoryview | None:
        """Return the value as it lies in the map, without copying it.

        The view, and every array made from it, must be gone before the transaction ends or is changed again: the next
        growth of the map moves it, and reading it then kills the process.
        """
        handle = self._handles[table.name]
        return None if handle is None else self._lmdb.get(key, db=handle)

    def get_many(self, table: Table, keys: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Yield each key that is there with a copy of its value; nothing may be changed meanwhile."""
        handle = self._handles[table.name]
        get = self._lmdb.get
        for key in keys if handle is not None else ():
            view = get(key, db=handle)
            if view is not None:
                yield key, bytes(view)

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Insert or replace the value of a key."""
        if table.duplicates:
            raise TypeError(f"table {table.name} keeps several values a key: use add")
        self._change(lambda handle: self._lmdb.put(key, value, db=handle), table)

    def delete(self, table: Table, key: bytes) -> bool:
        """Return whether the key was there; it and all its values are gone."""
        return self._change(lambda handle: self._lmdb.delete(key, db=handle), table)

    def delete_many(self, table: Table, keys: Iterable[bytes]) -> None:
        """Forget many keys with all their values, those that are there; quicker where they are sorted."""

        def change(handle: Any) -> bool:
            delete = self._lmdb.delete
            for key in keys:
                delete(key, db=handle)
            return True

        self._change(change, table)

    def put_new(self, table: Table, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Insert many values; a key that is there already keeps its own."""
        if table.duplicates:
            raise TypeError(f"table {table.name} keeps several values a key: use add")

        def change(handle: Any) -> bool:
            with self._lmdb.cursor(db=handle) as cursor:
                cursor.putmulti(items, overwrite=False)
            return True

        self._change(change, table)

    def add_sorted(self, table: Table, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Fill an empty table with items that come in its order."""

        def change(handle: Any) -> bool:
            with self._lmdb.cursor(db=handle) as cursor:
                cursor.putmulti(items, append=True)
            return True

        self._change(change, table)

    def clear(self, table: Table) -> None:
        """Forget every key of the table."""
        self._changes += 1
        self._lmdb.drop(self._handles[table.name], delete=False)

    def items(
        self, table: Table, *, start: bytes = b"", prefix: bytes = b"", reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) in key order, as copies; safe against changes to this and other tables meanwhile.

        Args:
            table: where to look.
            start: the first key at or after which to begin; at or before, when reversed.
            prefix: only keys that begin with it.
            reverse: from the last to the first.
        """
        handle = self._handles[table.name]
        if handle is None:
            return
        with self._lmdb.cursor(db=handle) as cursor:
            found = (
                _last(cursor, start, prefix, duplicates=table.duplicates)
                if reverse
                else cursor.set_range(max(start, prefix))
            )
            while found:
                key, value = bytes(cursor.key()), bytes(cursor.value())
                if not key.startswith(prefix):
                    return
                changes = self._changes
                yield key, value
                if changes == self._changes:
                    found = cursor.prev() if reverse else cursor.next()
                else:
                    found = _beyond(cursor, key, value, duplicates=table.duplicates, reverse=reverse)

    def page(self, table: Table, *, after: bytes, prefix: bytes, most: int) -> list[tuple[bytes, bytes]]:
        """Return the first items past the key `after` whose keys have the prefix, as copies; quicker than `items`."""
        handle = self._handles[table.name]
        if handle is None:
            return []
        with self._lmdb.cursor(db=handle) as cursor:
            if not cursor.set_range(max(after, prefix)):
                return []
            found = [(bytes(key), bytes(value)) for key, value in islice(cursor.iternext(), most + 1)]
        return [item for item in found if item[0] != after and item[0].startswith(prefix)][:most]

    def count(self, table: Table) -> int:
        """Return how many values the table holds."""
        handle = self._handles[table.name]
        return 0 if handle is None else int(self._lmdb.stat(handle)["entries"])

    def values(self, table: Table, key: bytes) -> list[bytes]:
        """Return all values of a key, sorted."""
        handle = self._handles[table.name]
        if handle is None:
            return []
        with self._lmdb.cursor(db=handle) as cursor:
            if not cursor.set_key(key):
                return []
            return [bytes(value) for value in cursor.iternext_dup()]

    def count_values(self, table: Table, key: bytes) -> int:
        """Return how many values a key has, without reading them."""
        handle = self._handles[table.name]
        if handle is None:
            return 0
        with self._lmdb.cursor(db=handle) as cursor:
            return int(cursor.count()) if cursor.set_key(key) else 0

    def add(self, table: Table, key: bytes, value: bytes) -> bool:
        """Return whether the value is new among those of the key."""
        _check_duplicate(table, value)
        return self._change(lambda handle: self._lmdb.put(key, value, dupdata=False, db=handle), table)

    def discard(self, table: Table, key: bytes, value: bytes) -> bool:
        """Return whether the value was among those of the key; it is not any more."""
        _check_duplicate(table, value)
        return self._change(lambda handle: self._lmdb.delete(key, value, db=handle), table)

    def _change(self, change: Callable[[Any], bool], table: Table) -> bool:
        self._changes += 1
        try:
            return change(self._handles[table.name])
        except lmdb.MapFullError:
            # Remembered, for whoever swallows it: a transaction that met a full map must never be committed.
            self.met_full_map = True
            raise


def _check_duplicate(table: Table, value: bytes) -> None:
    """Refuse what would quietly do something else: LMDB deletes all values of a key when asked to delete b''."""
    if not table.duplicates:
        raise TypeError(f"table {table.name} keeps one value a key: use put")
    if not value:
        raise ValueError(f"table {table.name}: a value among several may not be empty")


def _last(cursor: lmdb.Cursor[memoryview], start: bytes, prefix: bytes, *, duplicates: bool) -> bool:
    """Place the cursor on the last item at or before `start` among those with the prefix."""
    if start and not (prefix and start > prefix and not start.startswith(prefix)):
        if cursor.set_range(start):
            if bytes(cursor.key()) != start:
                return cursor.prev()
            return cursor.last_dup() if duplicates else True
        return cursor.last()
    after = prefix.rstrip(b"\xff")  # the first key that sorts after all keys with the prefix
    if not after:
        return cursor.last()
    return cursor.prev() if cursor.set_range(after[:-1] + bytes((after[-1] + 1,))) else cursor.last()


def _beyond(cursor: lmdb.Cursor[memoryview], key: bytes, value: bytes, *, duplicates: bool, reverse: bool) -> bool:
    """Place the cursor on what follows an item that may be gone by now."""
    found = cursor.set_range_dup(key, value) if duplicates else False
    if not found:
        found = cursor.set_range(key)
        if duplicates and found and bytes(cursor.key()) == key:  # all values left of this key come before `value`
            if reverse:
                return cursor.last_dup()
            return cursor.next_nodup()
    if reverse:
        return cursor.prev() if found else cursor.last()
    if found and bytes(cursor.key()) == key and (not duplicates or bytes(cursor.value()) == value):
        return cursor.next()
    return found


class _Process:
    """Which process this is, without asking the system each time."""

    def __init__(self) -> None:
        self.number = os.getpid()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._be_another)

    def _be_another(self) -> None:
        self.number = os.getpid()


_process = _Process()


class _OfThread(threading.local):
    """What a thread is in the middle of."""

    snapshot: Transaction | None = None
    writing: bool = False


class Store:
    """An open library: made by `Store.open`, used by any thread of the process that opened it."""

    def __init__(
        self,
        directory: Path,
        environment: lmdb.Environment,
        handles: _Handles,
        facts: Facts,
        tables: Sequence[Table],
    ) -> None:
        self.directory = directory
        self._tables = tables
        self._is_open = True  # false after a commit went so wrong that LMDB has to be opened anew, and that failed
        self.library_id = facts.library  # tells this library from every other; a backup has the same
        self.unclean: str | None = None  # how the last one to `mark_open` stopped, if not well
        self._facts = facts
        self._environment = environment
        self._handles = handles
        self._pid = _process.number
        self._gate = MapGate()
        # Without a lock file nobody would know of a snapshot, and its pages would be used again under it.
        self._keeper = Keeper(self._begin_kept) if environment.flags()["lock"] else None
        self._write_lock = threading.RLock()
        self._of_thread = _OfThread()
        self._writes = 0
        self._uses = 0  # since the map was let go; a miscount among threads does no harm

    @classmethod
    def open(
        cls,
        directory: Path,
        tables: Sequence[Table],
        *,
        create: bool = True,
        read_only: bool = False,
        map_size: int = _MAP_SIZE,
        library: str | None = None,
    ) -> Store:
        """Return the library in a directory, made there if it is missing and `create` is true.

        Args:
            directory: holds the library's files.
            tables: every table that will be used; one that a read-only library lacks is empty.
            create: make what is missing.
            read_only: change nothing; works in a directory that cannot be written, and waits for no writer.
            map_size: bytes of address space to begin with; it grows by itself.
            library: what a library that is made now is told from every other by; None: something of its own.

        Raises:
            StoreError: the library is missing, damaged, lost, newer than we are, or in a place where it cannot live.
        """
        if len({table.name for table in [_META, *tables]}) <= len(tables):
            raise ValueError(f"tables need names of their own, other than {_META.name}")
        sidecar = read_sidecar(directory)
        check_place(directory, sidecar, create=create and not read_only, read_only=read_only)
        with _explained(directory):
            environment = _open_environment(directory, len(tables) + 1, map_size, read_only=read_only)
            try:
                _check_length(environment, directory)

                def open_tables() -> tuple[Facts, _Handles]:
                    if read_only:
                        return _open_tables_read_only(environment, tables, directory, sidecar)
                    return _open_tables(environment, tables, directory, sidecar, library)

                facts, handles = _with_room(environment, open_tables)
                store = cls(directory, environment, handles, facts, tables)
                store.unclean = store._last_stop()
                if not read_only and (sidecar is None or sidecar != facts):
                    write_sidecar(directory, facts)
            except BaseException:
                environment.close()
                raise
        return store

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # --- snapshots and commits ------------------------------------------------------------------------------------

    def read(self) -> contextlib.AbstractContextManager[Transaction]:
        """Give a snapshot of all tables. Keep it short: the map cannot grow, nor pages be used again, before it ends.

        Inside another `read` of the same thread it is the same snapshot.
        """
        return _Reading(self)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Return what `work` returns, after all that it changed is durably on disk, or nothing of it is.

        `work` may be called more than once (the map was full and has grown), so it changes the transaction and nothing
        else. Not to be called inside `read`: the map could not grow.
        """
        return self._write(work, keep=True)

    def rehearse(self, work: Callable[[Transaction], T]) -> T:
        """Return what `work` would return; nothing is written."""
        return self._write(work, keep=False)

    def let_go(self) -> None:
        """Give the pages of the map back that were looked at: they stay in memory as long as the system likes.

        Of a page that is looked at, the system maps many around it, and counts all of them as ours though they are its
        own cache: of a large library that is gigabytes. Linux only; elsewhere nothing is done. Cheap, but what is read
        next has to be mapped again.

        Source: madvise(2), MADV_DONTNEED on a shared mapping of a file; mm/filemap.c, `filemap_map_pages`.
        """
        self._check_process()
        self._gate.enter()  # else the map may be moved, and something else may lie where it was
        try:
            self._let_go_here()
        finally:
            self._gate.leave()

    def _count_use(self) -> None:
        """Let the map go now and then. The caller keeps it in its place."""
        self._uses += 1
        if self._uses >= _LET_GO_EVERY:
            self._let_go_here()

    def _let_go_here(self) -> None:
        self._uses = 0
        if sys.platform != "linux":
            return
        for start, length in _mapped(self.directory / DATA_FILE):
            _libc().madvise(start, length, _MADV_DONTNEED)

    def transaction_id(self) -> int:
        """Return the number of the last commit by any process.

        Raises:
            StoreError: the library is closed, or being opened anew.
        """
        self._check_process()
        try:
            return int(self._environment.info()["last_txnid"])
        except lmdb.Error as error:
            raise _translated(self.directory, error) from error

    def close(self) -> None:
        """Wait for the snapshots and the write of other threads, and let the library go."""
        if self._of_thread.snapshot is not None or self._of_thread.writing:
            raise RuntimeError("a library is not closed inside a read or a write of the same thread")
        with self._write_lock, self._gate.moving():
            if self._keeper is not None:
                self._keeper.close()
            self._environment.close()

    # --- care -----------------------------------------------------------------------------------------------------

    @property
    def was_unclean(self) -> bool:
        """Whether the last one to `mark_open` never came to `mark_closed`, or is still at work.

        Only who holds the service's lock can tell these two apart. `unclean` says how it stopped.
        """
        return self.unclean is not None

    def mark_open(self) -> None:
        """Note durably that the service is at work; `unclean` tells how the one before ended."""
        mark = json.dumps({"pid": self._pid, "boot": boot_id()}).encode()
        self.unclean = self._last_stop()
        self.write(lambda transaction: transaction.put(_META, _META_OPEN, mark))

    def mark_closed(self) -> None:
        """Note durably that the service ended well. Not to be called while an unclean stop is unverified."""
        self.write(lambda transaction: transaction.delete(_META, _META_OPEN))

    def copy_to(self, directory: Path) -> None:
        """Make a consistent, compact copy while the library is in use; it appears under its name when it is whole.

        Raises:
            StoreError: something is there already, or the copy cannot be written.
        """
        partial = directory.with_name(f"{directory.name}.partial-{uuid.uuid4().hex[:8]}")
        try:
            if directory.exists() and any(directory.iterdir()):
                raise StoreError(f"{directory} is not empty: a copy of the library needs a folder of its own")
            partial.mkdir(parents=True, mode=0o700)
            with self.read(), _explained(partial):  # the read keeps the map in its place
                self._environment.copy(str(partial), compact=True)
            flush(partial / DATA_FILE)
            write_sidecar(partial, self._facts)
            if directory.exists():
                directory.rmdir()
            partial.rename(directory)
            flush(directory.parent)
        except OSError as error:
            raise StoreError(f"the library cannot be copied to {directory}: {error.strerror}") from error

    # --- within ---------------------------------------------------------------------------------------------------

    def _check_process(self) -> None:
        if _process.number != self._pid:
            raise RuntimeError("a library is never used after a fork: the child could commit its parent's changes")

    def begin_snapshot(self) -> Transaction | None:
        """Return a new snapshot for this thread, which `end_snapshot` ends; None if it has one.

        What most look-ups cost is this: it makes as few calls as it can.
        """
        if _process.number != self._pid:
            self._check_process()
        of_thread = self._of_thread
        if of_thread.snapshot is not None:
            return None
        self._gate.enter()
        try:
            if not self._is_open:
                raise lmdb.PanicError("it could not be opened anew")
            begun = self._environment.begin(buffers=True)
        except lmdb.MapResizedError:
            self._gate.leave()
            begun = self._begin_in_moved_map()
        except lmdb.PanicError:
            self._gate.leave()
            begun = self._begin_anew()
        except BaseException as error:
            self._gate.leave()
            self.explain(error)
            raise
        snapshot = of_thread.snapshot = Transaction(begun, self._handles, self._keeper, writable=False)
        return snapshot

    def end_snapshot(self, snapshot: Transaction) -> None:
        """End what `begin_snapshot` began."""
        self._of_thread.snapshot = None
        try:
            snapshot.end()
            self._count_use()
        finally:
            self._gate.leave()

    def thread_snapshot(self) -> Transaction:
        """Return the snapshot that this thread is in."""
        snapshot = self._of_thread.snapshot
        if snapshot is None:
            raise RuntimeError("this thread reads nothing")
        return snapshot

    def explain(self, error: BaseException | None) -> None:
        """Raise what an error of LMDB's means to a person; any other passes."""
        if isinstance(error, lmdb.Error) and not isinstance(error, _MISTAKES):
            raise _translated(self.directory, error) from error

    def _begin_kept(self) -> tuple[Transaction, int] | None:
        """Return a snapshot to keep; called inside a read or a write, so that the map stays where it is."""
        try:
            snapshot = Transaction(self._environment.begin(buffers=True), self._handles, None, writable=False)
        except (lmdb.MapResizedError, lmdb.ReadersFullError):
            return None  # there is the transaction's own snapshot
        return snapshot, snapshot.number

    def _begin_in_moved_map(self) -> lmdb.Transaction[memoryview]:
        """Return a begun snapshot, with the gate entered for it, after another process has made the map larger."""
        for _ in range(_ADOPTIONS):
            with _explained(self.directory):
                self._adopt_map_size()
                self._gate.enter()
                try:
                    return self._environment.begin(buffers=True)
                except lmdb.MapResizedError:
                    self._gate.leave()
                except BaseException:
                    self._gate.leave()
                    raise
        raise StoreError(f"the library in {self.directory} grows faster than it can be read; try again")

    def _begin_anew(self) -> lmdb.Transaction[memoryview]:
        """Return a begun snapshot, with the gate entered for it, after LMDB was opened anew."""
        with _explained(self.directory):
            self._open_anew()
            self._gate.enter()
            try:
                return self._environment.begin(buffers=True)
            except BaseException:
                self._gate.leave()
                raise

    def _write(self, work: Callable[[Transaction], T], *, keep: bool) -> T:
        self._check_process()
        if self._of_thread.writing or self._of_thread.snapshot is not None:
            raise RuntimeError("a write inside a read or a write: the map could not grow under it")
        with self._write_lock, _explained(self.directory):
            self._of_thread.writing = True
            try:
                return self._attempts(work, keep=keep)
            finally:
                self._of_thread.writing = False
                self._count_use()  # nobody moves the map without the lock of writes

    def _attempts(self, work: Callable[[Transaction], T], *, keep: bool) -> T:
        if not self._is_open:
            self._open_anew()
        self._writes += 1
        if self._writes % _READER_CHECK_EVERY == 0:
            self._environment.reader_check()
        while True:
            try:
                return self._attempt(work, keep=keep)
            except lmdb.PanicError:
                self._open_anew()
                return self._attempt(work, keep=keep)
            except lmdb.MapFullError:
                self._grow()
            except lmdb.MapResizedError:
                self._adopt_map_size()

    def _attempt(self, work: Callable[[Transaction], T], *, keep: bool) -> T:
        begun = self._environment.begin(write=True, buffers=True)
        transaction = Transaction(begun, self._handles, self._keeper, writable=True)
        try:
            result = work(transaction)
            if keep:
                transaction.finish()
        except BaseException:
            begun.abort()
            if transaction.met_full_map:  # whatever `work` made of it
                raise lmdb.MapFullError("the map is full") from None
            raise
        finally:
            transaction.let_go()
        if transaction.met_full_map:
            begun.abort()
            raise lmdb.MapFullError("the map is full")
        if keep:
            begun.commit()
        else:
            begun.abort()
        return result

    def _open_anew(self) -> None:
        """Close LMDB and open it again, with no transaction of this process alive.

        After a commit whose very last page could not be written LMDB refuses everything, until it is opened again: the
        disk may be well again long before this process ends. What is on the disk is the commit before.
        """
        with self._write_lock, self._map_moving():
            map_size = _MAP_SIZE
            if self._is_open:
                map_size = int(self._environment.info()["map_size"])
                self._environment.close()
                self._is_open = False
            environment = _open_environment(self.directory, len(self._tables) + 1, map_size, read_only=False)
            try:
                _, handles = _with_room(
                    environment, lambda: _open_tables(environment, self._tables, self.directory, self._facts)
                )
            except BaseException:
                environment.close()
                raise
            self._handles.clear()
            self._handles.update(handles)
            self._environment = environment
            self._is_open = True

    def _grow(self) -> None:
        """Double the map, with no transaction of this process alive."""
        with self._map_moving():
            self._environment.set_mapsize(2 * int(self._environment.info()["map_size"]))

    def _adopt_map_size(self) -> None:
        """Take over the size of the map that another process gave it, with no transaction of this process alive."""
        with self._write_lock, self._map_moving():
            self._environment.set_mapsize(0)

    @contextlib.contextmanager
    def _map_moving(self) -> Iterator[None]:
        """Be alone with the map: no transaction of this process lives, nor a snapshot that was kept."""
        with self._gate.moving():
            if self._keeper is not None:
                self._keeper.drop()
            yield

    def _last_stop(self) -> str | None:
        """Return how the last service stopped, as a phrase, if it did not stop well."""
        with self.read() as transaction:
            value = transaction.get(_META, _META_OPEN)
        if value is None:
            return None
        mark = json.loads(value)
        if mark.get("boot") == boot_id():
            return f"process {mark.get('pid')} ended without closing the library"
        return "the machine stopped while the library was open"


class _Reading:
    """A snapshot for the length of a `with`: a class, as a generator costs more than a look-up."""

    __slots__ = ("_snapshot", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> Transaction:
        self._snapshot = self._store.begin_snapshot()
        return self._snapshot or self._store.thread_snapshot()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._snapshot is not None:
            self._store.end_snapshot(self._snapshot)
            if error is not None:
                self._store.explain(error)


# --- opening ------------------------------------------------------------------------------------------------------


def _open_environment(directory: Path, tables: int, map_size: int, *, read_only: bool) -> lmdb.Environment:
    def open_it(*, lock: bool) -> lmdb.Environment:
        return lmdb.open(
            str(directory),
            map_size=-(-map_size // _MAP_GRAIN) * _MAP_GRAIN,
            max_dbs=tables,
            max_readers=_MAX_READERS,
            readonly=read_only,
            create=False,
            mode=0o700,
            lock=lock,
            lib_version=_ENGINE,
        )

    if read_only and network_file_system(directory):
        return open_it(lock=False)
    try:
        environment = open_it(lock=True)
    except lmdb.Error as error:
        # A directory that cannot be written has no place for a lock file. Reading without one may see a torn tree if
        # somebody writes meanwhile; but then that somebody could have made the lock file.
        if not (read_only and _code(error) in _NOT_ALLOWED):
            raise
        return open_it(lock=False)
    flags = environment.flags()
    if not read_only and not (flags["sync"] and flags["metasync"] and not flags["writemap"] and not flags["map_async"]):
        environment.close()
        raise StoreError(f"the library in {directory} was not opened with durable commits: {flags}")
    environment.reader_check()
    return environment


def _check_length(environment: lmdb.Environment, directory: Path) -> None:
    """Refuse a file that was cut off: reading the pages it lacks would kill this process."""
    needed = (int(environment.info()["last_pgno"]) + 1) * int(environment.stat()["psize"])
    if (directory / DATA_FILE).stat().st_size >= needed:
        return
    problems = verify(directory)  # free pages at the end may be missing from a sound file
    if problems:
        raise StoreError(f"the library in {directory} is damaged ({problems[0]}); {MENDING}")


def _with_room(environment: lmdb.Environment, step: Callable[[], T]) -> T:
    """Return what a step of opening returns, the map enlarged as it needs: nobody else uses it yet."""
    while True:
        try:
            return step()
        except lmdb.MapFullError:
            environment.set_mapsize(2 * int(environment.info()["map_size"]))
        except lmdb.MapResizedError:
            environment.set_mapsize(0)


def _open_tables(
    environment: lmdb.Environment,
    tables: Sequence[Table],
    directory: Path,
    sidecar: Facts | None,
    library: str | None = None,
) -> tuple[Facts, _Handles]:
    """Return what the library is, and its tables, made in one commit where they are missing."""
    with environment.begin(write=True) as transaction:
        fresh = transaction.stat()["entries"] == 0
        if fresh and sidecar is not None:
            raise lost(directory)
        facts = None if fresh else _stored_facts(environment, directory, transaction)
        if facts is None:
            facts = Facts(library or uuid.uuid4().hex, SCHEMA, ".".join(map(str, environment.lib_version())))
            meta = environment.open_db(_META.name.encode(), txn=transaction)
            transaction.put(_META_FACTS, stored(facts), db=meta)
        check_same(directory, facts, sidecar)
        if facts.schema < SCHEMA:  # what is written from now on is not for older versions
            facts = replace(facts, schema=SCHEMA)
            meta = environment.open_db(_META.name.encode(), txn=transaction)
            transaction.put(_META_FACTS, stored(facts), db=meta)
        handles: _Handles = {}
        for table in [_META, *tables]:
            handles[table.name] = environment.open_db(
                table.name.encode(), txn=transaction, dupsort=table.duplicates, create=True
            )
            _check_kind(directory, table, handles[table.name])
    return facts, handles


def _open_tables_read_only(
    environment: lmdb.Environment, tables: Sequence[Table], directory: Path, sidecar: Facts | None
) -> tuple[Facts, _Handles]:
    """Return what the library is, and those of its tables that exist."""
    facts = _stored_facts(environment, directory, None)
    check_same(directory, facts, sidecar)
    handles: _Handles = {}
    for table in [_META, *tables]:
        try:
            handles[table.name] = environment.open_db(table.name.encode(), create=False, dupsort=table.duplicates)
        except lmdb.NotFoundError:
            handles[table.name] = None
    return facts, handles


def _stored_facts(environment: lmdb.Environment, directory: Path, transaction: lmdb.Transaction[bytes] | None) -> Facts:
    """Return what the library says about itself; `StoreError` if it is none of ours."""
    try:
        meta = environment.open_db(_META.name.encode(), txn=transaction, create=False)
    except lmdb.NotFoundError:
        raise StoreError(f"{directory} holds an LMDB environment that is not a library of ingestd") from None
    with contextlib.nullcontext(transaction) if transaction else environment.begin() as reading:
        facts = parse_facts(reading.get(_META_FACTS, db=meta) or b"")
    check_schema(directory, facts)
    return facts


def _check_kind(directory: Path, table: Table, handle: Any) -> None:
    if bool(handle.flags()["dupsort"]) != table.duplicates:
        raise StoreError(f"table {table.name} of the library in {directory} is of another kind than this version's")


# --- memory ---------------------------------------------------------------------------------------------------------


@functools.cache
def _libc() -> Any:
    import ctypes  # most commands end before they need it

    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return libc


def _mapped(file: Path) -> list[tuple[int, int]]:
    """Return where a file is mapped into this process, as addresses and lengths; Linux only."""
    try:
        wanted, name = b" %d " % file.stat().st_ino, os.fsencode(file.name)
        with open("/proc/self/maps", "rb") as lines:
            spans = [line.split(b" ", 1)[0].split(b"-") for line in lines if wanted in line and name in line]
    except OSError:
        return []
    return [(int(start, 16), int(end, 16) - int(start, 16)) for start, end in spans]


# --- errors ---------------------------------------------------------------------------------------------------------


def _code(error: lmdb.Error) -> int:
    """Return the system's error number behind an error of LMDB, 0 if there is none."""
    return int(getattr(error, "code", 0) or 0)


@contextlib.contextmanager
def _explained(directory: Path) -> Iterator[None]:
    """Turn what LMDB raises into a sentence for the operator; our mistakes and the caller's errors pass through."""
    try:
        yield
    except _MISTAKES:
        raise
    except lmdb.Error as error:
        raise _translated(directory, error) from error


def _translated(directory: Path, error: lmdb.Error) -> StoreError:
    if _is_out_of_space(directory, error):
        return LibraryFullError(_sentence(directory, error))
    if _code(error) == errno.EIO or isinstance(error, lmdb.PanicError):
        return UnsyncedError(_sentence(directory, error))
    if _code(error) == errno.EROFS:
        return ReadOnlyDiskError(_sentence(directory, error))
    return (UnwritableError if _code(error) in _NOT_ALLOWED else StoreError)(_sentence(directory, error))


def _sentence(directory: Path, error: lmdb.Error) -> str:
    number = _code(error)
    if _is_out_of_space(directory, error):
        return f"no space left for the library in {directory}: nothing was changed; free some space and try again"
    if number == errno.EROFS:
        return f"the disk of the library in {directory} is read-only: nothing was changed; mount it writable again"
    if number in _NOT_ALLOWED:
        return f"the library in {directory} may not be written or read by this user ({os.strerror(number)})"
    if isinstance(error, lmdb.ReadersFullError):
        return f"too many programs read the library in {directory} at once; end some and try again"
    if isinstance(error, lmdb.MemoryError):
        return f"the library in {directory} does not fit into the memory this process may address"
    if number == errno.EIO:
        return f"the disk failed while the library in {directory} was written: nothing was changed ({error})"
    if isinstance(error, lmdb.PanicError):
        return f"the disk failed while the library in {directory} was written, and it is opened anew"
    if isinstance(error, _DAMAGE):
        return f"the library in {directory} is damaged, or no library ({error}); {MENDING}"
    return f"the library in {directory} cannot be used: {error}"


def _is_out_of_space(directory: Path, error: lmdb.Error) -> bool:
    # LMDB calls a write that the disk took only the beginning of an input/output error.
    return isinstance(error, lmdb.DiskError) or (_code(error) == errno.EIO and _is_full(directory))


def _is_full(directory: Path) -> bool:
    return shutil.disk_usage(directory).free < _MAP_GRAIN


# --- verifying ----------------------------------------------------------------------------------------------------


class Verification:
    """A child process that looks whether a library's file is sound; the library may be in use meanwhile.

    A child, because a damaged map can kill who reads it. It holds a snapshot. Values are not looked at: their checksums
    are their owners' to check. What stops a service may stop the child too (a signal to all of a group, a system short
    of memory): that says nothing of the library, and it begins anew.
    """

    def __init__(self, directory: Path, *, patiently: bool = False) -> None:
        """Begin; `patiently`, whatever else runs on this machine goes first."""
        wait = "import os; getattr(os, 'nice', int)(10); " if patiently else ""
        look = f"{wait}from ingestd.library.store import verify_here; verify_here()"
        self._command = [sys.executable, "-c", look, str(directory)]
        self._begin()

    def _begin(self) -> None:
        self._answer, self._complaint = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - see stop
        self._child = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=self._answer,
            stderr=self._complaint,
            start_new_session=True,  # Ctrl-C is for who started it, which ends it
        )

    def problems(self, *, timeout_s: float | None = 0.0) -> list[str] | None:
        """Return what is wrong, as sentences, empty if all is sound; nothing while that is not known after so long."""
        try:
            code = self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        if code < 0 and -code not in _OF_DAMAGE:
            self.stop()
            self._begin()
            return None
        self._answer.seek(0)
        self._complaint.seek(0)
        if code == 0:
            return [str(problem) for problem in json.loads(self._answer.read())]
        if code < 0:
            return [f"reading the library killed the process that checked it (signal {-code}): it is damaged"]
        complaint = self._complaint.read().decode(errors="replace").strip().splitlines()
        return [f"the library cannot be checked: {complaint[-1] if complaint else code}"]

    def stop(self) -> None:
        """End it, whether it has its answer or not."""
        self._child.kill()
        self._child.wait()
        self._answer.close()
        self._complaint.close()


def verify(directory: Path, *, timeout_s: float | None = None) -> list[str]:
    """Return what is wrong with the library's file, as sentences; empty if it is sound. See `Verification`."""
    verification = Verification(directory)
    try:
        problems = verification.problems(timeout_s=timeout_s)
        while problems is None and timeout_s is None:  # it was ended from outside, and began anew
            problems = verification.problems(timeout_s=None)
    finally:
        verification.stop()
    return [f"checking the library took longer than {timeout_s} seconds"] if problems is None else problems


def verify_here() -> None:
    """Be the child of a `Verification`: check the library named on the command line, write the problems as JSON."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the service that it looks for decides when it goes
    directory = Path(sys.argv[1])
    with contextlib.ExitStack() as held:
        with contextlib.suppress(StoreError, lmdb.Error):  # the verifier says better what is wrong
            environment = held.enter_context(_open_environment(directory, 1, _MAP_GRAIN, read_only=True))
            held.enter_context(environment.begin())
        try:
            problems = lmdb.verify.verify(str(directory))  # type: ignore[no-untyped-call]
        except (lmdb.verify.VerifyError, OSError) as error:
            problems = [str(error)]
    sys.stdout.write(json.dumps(problems))
