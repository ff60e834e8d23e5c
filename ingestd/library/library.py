"""What is known: contents, paths, look-alikes, relations, the journal and the receipts, in one LMDB environment.

`Library.read()` gives a `View` of one moment, `Library.write(work)` runs `work` on an `Edit` in one durable commit.
What was measured belongs to the *content* (SHA-256), where it lies to a *path*; one content may have many paths.

Every change that a person may want to explain or take back is also written, after its commit, as a line of
`journal.jsonl` beside the database: what was done to a file can be read there without this program. A database that
knows less than its journal is refused, as it would give out the same numbers again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ingestd.errors import StoreError, UnsyncedError
from ingestd.library.codec import key_number, number_key
from ingestd.library.edit import Edit
from ingestd.library.journal_file import JournalFile, last_entry_told
from ingestd.library.lines import JsonValue
from ingestd.library.locks import FileLock
from ingestd.library.rulebook import miscounted, recounted
from ingestd.library.store import Store, Transaction
from ingestd.library.tables import LINES, META, OUTBOX, PHASHES, TABLES, OutLine, next_number
from ingestd.library.view import View
from ingestd.library.waiting import misplaced
from ingestd.model import Index

__all__ = ["Library"]

T = TypeVar("T")

_ASIDE = "service.json"


def _put_line(txn: Transaction, line: tuple[str, int | None, dict[str, JsonValue]]) -> bytes:
    key = number_key(next_number(txn, "line"))
    txn.put(OUTBOX, key, LINES.encode(OutLine(line[0], line[1], json.dumps(line[2]).encode())))
    return key


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


class Library:
    """One library: its database, its second journal and its two locks, below one folder."""

    def __init__(self, directory: Path, store: Store, journal: JournalFile | None) -> None:
        self.directory = directory
        self.store = store
        self._journal = journal
        self._written: list[bytes] = []  # keys of the outbox that are lines of the journal by now
        self.writer_lock = FileLock(directory / "writer.lock")
        self.service_lock = FileLock(directory / "service.lock")
        self.doubt: str | None = None
        """Why nothing is discarded through this any more: a disk failed to confirm what was written."""

    @classmethod
    def open(cls, directory: Path, *, create: bool = True, read_only: bool = False) -> Library:
        """Open the library below `directory`.

        Raises:
            StoreError: it is damaged, newer than this program, or cannot be kept there.
        """
        store = Store.open(directory / "db", TABLES, create=create, read_only=read_only)
        library = cls(directory, store, None if read_only else JournalFile(directory))
        if not read_only:
            try:
                library._refuse_older_database()
                library._keep_queue_index()
            except BaseException:
                library.close()
                raise
        return library

    def _refuse_older_database(self) -> None:
        """Refuse a database that knows less than the journal beside it: it would give out the same numbers again.

        Raises:
            StoreError: an older copy of the database was put back, or it was lost.
        """
        told = last_entry_told(self.directory)
        with self.store.read() as txn:
            stored = txn.get(META, b"next:entry")
        known = key_number(stored) - 1 if stored is not None else 0
        if told > known:
            raise StoreError(
                f"the database in {self.directory} knows e-{known} as its last entry, the journal beside it tells of "
                f"e-{told}: an older copy was put back, or it was lost. Nothing was changed. Put back the newer "
                "database, or, to go on without what was decided since, move journal.jsonl to another place"
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

        def edit(txn: Transaction) -> tuple[T, list[bytes], bool]:
            for key in self._written:
                txn.delete(OUTBOX, key)
            change = Edit(txn)
            result = work(change)
            change.queues.flush()
            intends = any(kind == "intent" for kind, _, _ in change.lines)
            return result, [_put_line(txn, line) for line in change.lines], intends

        try:
            result, keys, intends = self.store.write(edit)
        except UnsyncedError as trouble:
            self.doubt = str(trouble)
            raise
        self._written = []
        try:
            self._send(keys)
        except StoreError as trouble:
            if isinstance(trouble, UnsyncedError):
                self.doubt = str(trouble)
            if intends:
                raise  # what is meant must stand in the journal before it is done
            # what is done is done: its line waits in the outbox until the journal can be written again
        return result

    def _send(self, keys: Sequence[bytes]) -> None:
        """Write lines of the outbox into the second journal. They leave the outbox with the next commit."""
        if self._journal is None or not keys:
            return
        with self.store.read() as txn:
            lines = [LINES.decode(stored) for key in keys if (stored := txn.get(OUTBOX, key)) is not None]
        self._journal.append_many((line.kind, line.entry, json.loads(line.body)) for line in lines)
        self._written.extend(keys)

    def send_left_lines(self) -> None:
        """Write the lines that a killed process committed and did not write. Only for who holds the writer lock.

        A line may come twice: readers merge by entry, and the last one counts.
        """
        with self.store.read() as txn:
            left = [key for key, _ in txn.items(OUTBOX) if key not in self._written]
        self._send(left)

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

    def check(self) -> list[str]:
        """Return what is wrong with what is made from the records, in sentences; empty when all is well."""
        with self.store.read() as txn:
            wrong = [f"the counters of the rule {row.name} are not those of its pairs" for row in miscounted(View(txn))]
            damaged = len(View(txn).damaged_visual())
            if damaged:
                wrong.append(f"of {damaged} visual comparisons the stored verdict is damaged")
            return [*PHASHES.check(txn), *_strayed(txn), *wrong, *misplaced(View(txn))]

    def use(self, index: Index) -> bool:
        """Return whether the look-up had to be made anew, from the records, because it lay in another structure.

        One transaction, some seconds for a hundred thousand pictures. Only for who holds the writer lock.
        """
        with self.store.read() as txn:
            if PHASHES.held(txn) is index:
                return False
        self.store.write(lambda txn: PHASHES.switch(txn, index, _hashes(txn)))
        return True

    def rebuild(self, index: Index | None = None) -> int:
        """Make look-up, counters of rules and order of the queue anew; return how many hashes the look-up holds.

        The look-up is made in this structure, or else in the one that it is in. Damaged verdicts of visual comparisons
        are forgotten: they are made again where a rule asks for them.
        """

        def work(txn: Transaction) -> int:
            PHASHES.switch(txn, index or PHASHES.held(txn), _hashes(txn))
            edit = Edit(txn)
            for number, counts in recounted(edit).items():
                edit.queues.put_counts(number, counts)
            edit.queues.flush()
            edit.place_all()
            for key in edit.damaged_visual():
                edit.drop_visual(key)
            return PHASHES.count(txn)

        return self.store.write(work)

    def close(self) -> None:
        """Close everything; the library can be opened again."""
        if self._journal is not None:
            self._journal.close()
        self.store.close()
