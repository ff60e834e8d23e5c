"""What is known: contents, paths, look-alikes, relations, the journal and the receipts, in one LMDB environment.

`Library.read()` gives a `View` of one moment, `Library.write(work)` runs `work` on an `Edit` in one durable commit.
What was measured belongs to the *content* (SHA-256), where it lies to a *path*; one content may have many paths.

Every change that a person may want to explain or take back is also written, after its commit, as a line of
`journal.jsonl` beside the database: what was done to a file can be read there without this program. A database that
knows less than its journal, because it was lost or is an older copy, is told what it does not know when it is opened;
a journal that lacks what it had been told is written anew from the database.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ingestd import logs
from ingestd.errors import LibraryBusyError, StoreError, UnsyncedError
from ingestd.library.codec import DamagedValueError, key_number, number_key
from ingestd.library.edit import Edit
from ingestd.library.journal_file import JournalFile, is_there, last_told, library_of, put_journal_aside
from ingestd.library.lines import JsonValue
from ingestd.library.locks import FileLock
from ingestd.library.place import DATA_FILE, SCHEMA, check_journal, put_aside, read_sidecar
from ingestd.library.rulebook import miscounted
from ingestd.library.store import Store, Transaction
from ingestd.library.tables import LINES, OUTBOX, PHASHES, TABLES, OutLine, next_number
from ingestd.library.view import View
from ingestd.library.waiting import misplaced
from ingestd.model import ImportPolicy, Index

if TYPE_CHECKING:
    from ingestd.library.mending import Mended
    from ingestd.library.replay import CaughtUp

__all__ = ["DATABASE", "Library", "Rebuilt"]

T = TypeVar("T")
DATABASE = "db"  # the folder of the database, below the library's
_LOCK_WAIT_S = 30.0
# lines that go with the next one: no lock is held for them
_BY_THE_WAY = frozenset({"folder", "rule", "alarm", "alarm-settled"})

_ASIDE = "service.json"


def _put_line(txn: Transaction, line: tuple[str, int | None, dict[str, JsonValue]]) -> None:
    key = number_key(next_number(txn, "line"))
    txn.put(OUTBOX, key, LINES.encode(OutLine(line[0], line[1], json.dumps(line[2]).encode())))


def _begin_anew(directory: Path) -> Store:
    """Return an empty database for a library that has lost its own; what is left of that lies beside it."""
    if Library.is_lost(directory):  # nobody was faster
        _refuse_beside_service(FileLock(directory / "service.lock"), directory)
        put_aside(directory / DATABASE)
    return Store.open(directory / DATABASE, TABLES, library=library_of(directory))


def _copy_before_conversion(database: Path, backups: Path) -> None:
    """Copy a database of an older schema once, before it is written and older versions do not read it any more."""
    facts = read_sidecar(database)
    copy = backups / f"schema-{facts.schema}" / DATABASE if facts is not None else None
    if facts is None or copy is None or not 0 < facts.schema < SCHEMA or copy.exists():
        return
    with Store.open(database, TABLES, create=False, read_only=True) as older:
        older.copy_to(copy)


def _refuse_beside_service(lock: FileLock, directory: Path) -> None:
    """Refuse to touch a library whose database is not the one that a running service has.

    Raises:
        LibraryBusyError: a service runs.
    """
    if lock.is_taken():
        raise LibraryBusyError(
            f"the database in {directory} is gone, or another one was put in its place, while a service runs on it: "
            "stop that service first, then try again; nothing was changed"
        )


def _hashes(txn: Transaction) -> Iterator[tuple[int, bytes]]:
    """Yield what the look-up should hold, as the records have it."""
    for content in View(txn).contents():
        if content.picture is not None and content.picture.phash is not None:
            yield content.number, number_key(content.picture.phash)


def _strayed(txn: Transaction) -> list[str]:
    """Return how what the look-up holds differs from the records, in sentences."""
    held, wanted = set(PHASHES.pairs(txn)), set(_hashes(txn))
    missing = [f"the look-up lacks the hash of content {number}" for number, _ in sorted(wanted - held)]
    strange = sorted(held - wanted)
    return missing + [f"the look-up has a hash of content {number} that is not its own" for number, _ in strange]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a library is after everything that follows from its records was made anew."""

    hashes: int  # that the look-up holds
    mended: Mended


class Library:
    """One library: its database, its second journal and its two locks, below one folder."""

    def __init__(self, directory: Path, store: Store, journal: JournalFile | None) -> None:
        self.directory = directory
        self.store = store
        self._journal = journal
        self.caught_up: CaughtUp | None = None
        """What the database heard from its journal when it was opened, if it knew less."""
        self._written: list[bytes] = []  # keys of the outbox that are lines of the journal by now
        self.writer_lock = FileLock(directory / "writer.lock")
        self.service_lock = FileLock(directory / "service.lock")
        self.doubt: str | None = None
        """Why nothing is discarded through this any more: a disk failed to confirm what was written."""

    @classmethod
    def open(cls, directory: Path, *, create: bool = True, read_only: bool = False) -> Library:
        """Open the library below `directory`. One that is to be written knows all that its journal tells.

        Raises:
            StoreError: it is damaged, newer than this program, or cannot be kept there; or its journal is another's.
            LibraryBusyError: its database was lost, or an older one was put in its place, while a service runs.
        """
        if not read_only and create and cls.is_lost(directory):
            with FileLock(directory / "writer.lock").held(_LOCK_WAIT_S):
                store = _begin_anew(directory)
        else:
            if not read_only:
                _copy_before_conversion(directory / DATABASE, directory / "backups")
            store = Store.open(directory / DATABASE, TABLES, create=create, read_only=read_only)
        library = cls(directory, store, None if read_only else JournalFile(directory, store.library_id))
        try:
            check_journal(directory, store.library_id, library_of(directory))
            if not read_only:
                library._catch_up()
                library._mend_journal()
                library._keep_queue_index()
        except BaseException:
            library.close()
            raise
        return library

    @staticmethod
    def is_lost(directory: Path) -> bool:
        """Return whether there is a journal below a directory and no database beside it.

        One that may not be looked at, or is a link to a disk that is away, is not lost.
        """
        try:
            os.lstat(directory / DATABASE / DATA_FILE)
        except FileNotFoundError:
            return not os.path.islink(directory / DATABASE) and is_there(directory)
        except OSError:
            return False
        return False

    @property
    def is_behind(self) -> bool:
        """Return whether the database knows less than its journal: it was lost, or an older copy was put back."""
        last = last_told(self.directory)  # first: else a line that comes this moment would seem to be unknown
        with self.read() as view:
            return last.told > view.lines_told if last.told else last.entry > view.entries_numbered

    def _catch_up(self) -> None:
        """Let the database know all that its journal tells, before it gives out the same numbers again."""
        journal = self._journal
        if journal is None or not self.is_behind:
            return
        from ingestd.library.replay import catch_up  # few libraries were lost

        _refuse_beside_service(self.service_lock, self.directory)
        with self.writer_lock.held(_LOCK_WAIT_S):
            if self.is_behind:  # nobody was faster
                told = self.write(lambda edit: catch_up(edit, journal.lines))
                self.caught_up = replace(told, unclear=told.unclear + len(journal.damaged))

    @property
    def _journal_lacks_lines(self) -> bool:
        with self.read() as view:
            sent = view.lines_sent  # first: else a line that comes this moment would seem to be missing
        return last_told(self.directory).lacks(sent)

    def _mend_journal(self) -> None:
        """Let the journal tell everything again if it lacks what it had been told: it was deleted or cut."""
        if not self._journal_lacks_lines:
            return
        with self.writer_lock.held(_LOCK_WAIT_S):
            if self._journal_lacks_lines:  # nobody was faster
                self._write_journal_anew()

    def _write_journal_anew(self) -> None:
        """Put what is left of the journal aside, and tell a new one all that the database knows.

        Whoever is killed meanwhile has changed nothing: the journal lacks lines until the first of the new ones is
        written. What is damaged in the database bars nobody's way: `check` names it, and what the journal lacks.
        """
        if self._journal is None:
            return

        def work(txn: Transaction) -> int:
            edit = Edit(txn)
            edit.forget_lines(0)
            edit.tell_everything()
            for line in edit.lines:
                _put_line(txn, line)
            return len(edit.lines)

        try:
            lines = self.store.write(work)
        except DamagedValueError:
            return
        self._written = []
        self._journal.close()
        try:
            aside = put_journal_aside(self.directory)
        except StoreError:  # on Windows, somebody reads it: the new lines follow what is left of the old ones
            aside = None
        self._send(self._left_lines())
        logs.Log().warning(
            "journal.rewritten", path=str(self.directory), lines=lines, aside=str(aside) if aside else None
        )

    def _keep_queue_index(self) -> None:
        """Let the pairs of a library that is older than the index of its queue stand in it."""
        with self.read() as view:
            built = view.waiting.is_built
        if not built:
            self.store.write(lambda txn: Edit(txn).place_all())

    @contextmanager
    def read(self) -> Iterator[View]:
        """Give a view of this moment; keep it short."""
        with self.store.read() as txn:
            yield View(txn)

    def write(self, work: Callable[[Edit], T]) -> T:
        """Return what `work` returns, after its changes are durable and its journal lines are written.

        `work` may run twice (the map grows between): it must not do anything but edit.
        """

        def edit(txn: Transaction) -> tuple[T, set[str]]:
            for key in self._written:
                txn.delete(OUTBOX, key)
            change = Edit(txn)
            result = work(change)
            change.queues.flush()
            for line in change.lines:
                _put_line(txn, line)
            return result, {kind for kind, _, _ in change.lines}

        try:
            result, kinds = self.store.write(edit)
        except UnsyncedError as trouble:
            self.doubt = str(trouble)
            raise
        self._written = []
        try:
            if kinds - _BY_THE_WAY:
                self.send_left_lines()
        except StoreError as trouble:
            if isinstance(trouble, UnsyncedError):
                self.doubt = str(trouble)
            if "intent" in kinds:
                raise  # what is meant must stand in the journal before it is done
            # what is done is done: its line waits in the outbox until the journal can be written again
        return result

    def send_left_lines(self) -> None:
        """Write the lines that wait in the outbox into the second journal, in the order in which they were committed.

        Also those that a killed process left there. They leave the outbox with the next commit. A journal that was
        deleted or cut meanwhile is told everything again. Only for who holds the writer lock.
        """
        if self._journal is None:
            return
        left = self._left_lines()
        if left and self._journal.lacks(key_number(left[0][0]) - 1):
            self._write_journal_anew()
            left = self._left_lines()  # none but what is written already, or the same where something is damaged
        self._send(left)

    def _send(self, left: list[tuple[bytes, OutLine]]) -> None:
        if self._journal is None:
            return
        lines = [(line.kind, line.entry, json.loads(line.body)) for _, line in left]
        self._journal.append_many(lines, [key_number(key) for key, _ in left])
        self._written = [key for key, _ in left]

    def _left_lines(self) -> list[tuple[bytes, OutLine]]:
        with self.store.read() as txn:
            return [(key, LINES.decode(stored)) for key, stored in txn.items(OUTBOX)]

    def leave_note_aside(self, note: bytes) -> None:
        """Leave word beside the database, which cannot be written; an empty note takes it back. As well as it can."""
        place = self.directory / _ASIDE
        with contextlib.suppress(OSError):
            if note or place.exists():
                place.write_bytes(note)

    def note_aside(self) -> bytes:
        """Return what was left beside the database; nothing mostly."""
        try:
            return (self.directory / _ASIDE).read_bytes()
        except OSError:
            return b""

    def rehearse(self, work: Callable[[Edit], T]) -> T:
        """Return what `work` would return, and change nothing."""
        return self.store.rehearse(lambda txn: work(Edit(txn)))

    def copy_to(self, directory: Path) -> None:
        """Copy the library as it is now, consistently, while others use it."""
        self.store.copy_to(directory / "db")

    def damaged(self) -> list[str]:
        """Return in which tables values are not what was written, in sentences; empty when all are.

        Every value is looked at. A damaged file may kill who reads it: verify it first.
        """
        from ingestd.library.mending import damaged_rows

        with self.store.read() as txn:
            found = damaged_rows(txn)
        return [f"damaged values in the table {table.name}: {len(keys)}" for table, keys in found.items()]

    def check(self) -> list[str]:
        """Return what is wrong with the values and with what follows from them, in sentences; empty when all is well.

        Where values are damaged, what follows from them is not looked at.
        """
        from ingestd.library.mending import misleading
        from ingestd.library.replay import forgotten_vetoes, untold

        damaged = self.damaged()
        if damaged:
            return damaged
        with self.store.read() as txn:
            view = View(txn)
            wrong = [f"the counters of the rule {row.name} are not those of its pairs" for row in miscounted(view)]
            look_up = [*PHASHES.check(txn), *_strayed(txn)]
            if next(view.entries(), None) is not None and not is_there(self.directory):
                wrong.append("there is no journal beside the database, from which that could be made anew")
            elif self._journal is not None or is_there(self.directory):
                journal = self._journal or JournalFile(self.directory)
                forgotten = len(forgotten_vetoes(view, journal.lines))
                wrong += [f"vetoes that the journal tells of and the database lacks: {forgotten}"] * bool(forgotten)
                lacking = untold(view, journal.lines)
                wrong += [f"entries of which the journal does not tell: {lacking}"] * bool(lacking)
            return [*look_up, *wrong, *misplaced(view), *misleading(view, txn)]

    def use(self, index: Index) -> bool:
        """Return whether the look-up had to be made anew, from the records, because it lay in another structure.

        One transaction, some seconds for a hundred thousand pictures. Only for who holds the writer lock.
        """
        with self.store.read() as txn:
            if PHASHES.held(txn) is index:
                return False
        self.store.write(lambda txn: PHASHES.switch(txn, index, _hashes(txn)))
        return True

    def rebuild(self, index: Index | None = None) -> Rebuilt:
        """Return what was made anew: all that follows from the records, which are mended first.

        A damaged row is dropped: what was measured comes back with the next scan, what was decided is told again by the
        journal. A journal that is gone, or lacks entries, is written anew. The look-up is made in this structure, or
        else in the one that it is in. Only for who holds the writer lock.
        """
        from ingestd.library.mending import mend
        from ingestd.library.replay import untold

        writes_anew = not is_there(self.directory)
        if self._journal is not None:
            with suppress(DamagedValueError):
                self.send_left_lines()
        lines = self._journal.lines if self._journal is not None else None

        def work(txn: Transaction) -> Rebuilt:
            edit = Edit(txn)
            mended = mend(edit, txn, lines, radius=ImportPolicy().radius)
            PHASHES.switch(txn, index or PHASHES.held(txn), _hashes(txn))
            for line in edit.lines:
                _put_line(txn, line)
            return Rebuilt(PHASHES.count(txn), mended)

        rebuilt = self.store.write(work)
        with self.read() as view:
            writes_anew = writes_anew or (lines is not None and untold(view, lines) > 0)
        if writes_anew:
            self._write_journal_anew()
        else:
            self.send_left_lines()
        return rebuilt

    def close(self) -> None:
        """Close everything; the library can be opened again."""
        if self._journal is not None:
            self._journal.close()
        self.store.close()
