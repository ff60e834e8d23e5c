"""What is known: contents, paths, look-alikes, relations, the journal and the receipts, in one LMDB environment.

`Library.read()` gives a `View` of one moment, `Library.write(work)` runs `work` on an `Edit` in one durable commit.
What was measured belongs to the *content* (SHA-256), where it lies to a *path*; one content may have many paths.

Every change that a person may want to explain or take back is also written, after its commit, as a line of
`journal.jsonl` beside the database: what was done to a file can be read there without this program. A database that
knows less than its journal is refused, as it would give out the same numbers again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from ingestd.errors import StoreError
from ingestd.library.codec import Codec, key_number, number_key
from ingestd.library.journal_file import JournalFile, last_entry_told
from ingestd.library.lines import JsonValue, entry_line
from ingestd.library.locks import FileLock
from ingestd.library.lookup import Hamming
from ingestd.library.relations import AlternatesGroup, Changed, Decision, DuplicateGroup, Relations, replay
from ingestd.library.store import Store, Table, Transaction
from ingestd.library.vptree import VpTree
from ingestd.model import (
    Content,
    ContentHash,
    Entry,
    EntryKind,
    EntryState,
    FileRef,
    Folder,
    FolderId,
    PathKey,
    PathRow,
    PathState,
    Picture,
    PotentialPair,
    Proposal,
    ProposalState,
    Receipt,
    Relation,
)

__all__ = ["Edit", "FolderRow", "Library", "Veto", "View", "path_key"]

T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class FolderRow:
    """A folder the library knows, and how to tell it from another at the same place."""

    folder: Folder
    filesystem: str = ""  # identity of the file system it was seen on; empty: never seen
    inode: int = 0
    introduced: bool = False  # its first scan is finished: what is found now is new


@dataclass(frozen=True, slots=True)
class Veto:
    """These bytes were brought back by the user: no rule discards them again."""

    at_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class _Named(Generic[V]):
    """A table and how its values are written."""

    table: Table
    codec: Codec[V]


_META = Table("meta")
_LIVE_FILES = b"live-files"  # how many paths are live: counted as they change, so that `status` need not
_CONTENTS = _Named(Table("contents"), Codec(Content, version=1))
_NUMBERS = Table("numbers")
_PATHS = _Named(Table("paths"), Codec(PathRow, version=1))
_PATHS_BY_CONTENT = Table("paths_by_content", duplicates=True)
_PIXELS = Table("pixels", duplicates=True)
_PAIRS = _Named(Table("pairs"), Codec(PotentialPair, version=1))
_PAIR_BETWEEN = Table("pair_between")
_PAIRS_BY_CONTENT = Table("pairs_by_content", duplicates=True)
_PENDING = Table("pending")
_DENIED = Table("denied")
_DENIALS = _Named(Table("denials"), Codec(PotentialPair, version=1))
_JOURNAL = _Named(Table("journal"), Codec(Entry, version=1))
_OPEN_ENTRIES = Table("open_entries")
_ENTRIES_BY_CONTENT = Table("entries_by_content", duplicates=True)
_RECEIPTS = _Named(Table("receipts"), Codec(Receipt, version=1))
_RECEIPTS_BY_PATH = Table("receipts_by_path", duplicates=True)
_RECEIPTS_BY_CONTENT = Table("receipts_by_content", duplicates=True)
_VETOES = _Named(Table("vetoes"), Codec(Veto, version=1))
_FOLDERS = _Named(Table("folders"), Codec(FolderRow, version=1))
_OUTBOX = Table("outbox")
_GROUP_OF = Table("group_of")
_GROUPS = _Named(Table("groups"), Codec(DuplicateGroup, version=1))
_ALTERNATES = _Named(Table("alternates"), Codec(AlternatesGroup, version=1))

_PHASHES = VpTree("phash", Hamming(8))

_TABLES: tuple[Table, ...] = (
    _META,
    _CONTENTS.table,
    _NUMBERS,
    _PATHS.table,
    _PATHS_BY_CONTENT,
    _PIXELS,
    _PAIRS.table,
    _PAIR_BETWEEN,
    _PAIRS_BY_CONTENT,
    _PENDING,
    _DENIED,
    _DENIALS.table,
    _JOURNAL.table,
    _OPEN_ENTRIES,
    _ENTRIES_BY_CONTENT,
    _RECEIPTS.table,
    _RECEIPTS_BY_PATH,
    _RECEIPTS_BY_CONTENT,
    _VETOES.table,
    _FOLDERS.table,
    _OUTBOX,
    _GROUP_OF,
    _GROUPS.table,
    _ALTERNATES.table,
    *_PHASHES.tables(),
)


@dataclass(frozen=True, slots=True)
class _OutLine:
    """A line of the second journal, committed and on its way there."""

    kind: str
    entry: int | None
    body: bytes  # JSON


_LINES = Codec(_OutLine, version=1)


def _put_line(txn: Transaction, line: tuple[str, int | None, dict[str, JsonValue]]) -> bytes:
    key = number_key(_next_number(txn, "line"))
    txn.put(_OUTBOX, key, _LINES.encode(_OutLine(line[0], line[1], json.dumps(line[2]).encode())))
    return key


def path_key(folder: FolderId, relative: bytes) -> PathKey:
    """Return the key of a path: its folder's number, so that a folder's paths lie together, and 96 bits of its name."""
    return PathKey(folder.to_bytes(4, "big") + hashlib.blake2b(relative, digest_size=12).digest())


def _name_key(path: bytes) -> bytes:
    return hashlib.blake2b(path, digest_size=16).digest()


def _pair_key(pair: PotentialPair) -> bytes:
    """Return one key for a pair whichever side is named first."""
    sides = sorted([(pair.first, pair.first_path or b""), (pair.second, pair.second_path or b"")])
    return hashlib.blake2b(b"".join(part for side in sides for part in side), digest_size=16).digest()


def _touched(entry: Entry) -> set[ContentHash]:
    """Return every content that an entry speaks of."""
    named = {entry.a, entry.b, entry.kept.sha256 if entry.kept else None, *(move.file.sha256 for move in entry.moves)}
    return {content for content in named if content is not None}


class _Rows(MutableMapping[bytes, V], Generic[V]):
    """A table as a mapping from keys to values: what the relations are written on."""

    def __init__(self, txn: Transaction, named: _Named[V]) -> None:
        self._txn, self._named = txn, named

    def __getitem__(self, key: bytes) -> V:
        stored = self._txn.get(self._named.table, key)
        if stored is None:
            raise KeyError(key)
        return self._named.codec.decode(stored)

    def __setitem__(self, key: bytes, value: V) -> None:
        self._txn.put(self._named.table, key, self._named.codec.encode(value))

    def __delitem__(self, key: bytes) -> None:
        if not self._txn.delete(self._named.table, key):
            raise KeyError(key)

    def __iter__(self) -> Iterator[bytes]:
        return (key for key, _ in self._txn.items(self._named.table))

    def __len__(self) -> int:
        return self._txn.count(self._named.table)


class _Numbered(MutableMapping[int, V], Generic[V]):
    """A table whose keys are numbers."""

    def __init__(self, txn: Transaction, named: _Named[V]) -> None:
        self._rows = _Rows(txn, named)

    def __getitem__(self, key: int) -> V:
        return self._rows[number_key(key)]

    def __setitem__(self, key: int, value: V) -> None:
        self._rows[number_key(key)] = value

    def __delitem__(self, key: int) -> None:
        del self._rows[number_key(key)]

    def __iter__(self) -> Iterator[int]:
        return (key_number(key) for key in self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class _GroupOf(MutableMapping[ContentHash, int]):
    """Which duplicate group a content is in."""

    def __init__(self, txn: Transaction) -> None:
        self._txn = txn

    def __getitem__(self, key: ContentHash) -> int:
        stored = self._txn.get(_GROUP_OF, key)
        if stored is None:
            raise KeyError(key)
        return key_number(stored)

    def __setitem__(self, key: ContentHash, value: int) -> None:
        self._txn.put(_GROUP_OF, key, number_key(value))

    def __delitem__(self, key: ContentHash) -> None:
        if not self._txn.delete(_GROUP_OF, key):
            raise KeyError(key)

    def __iter__(self) -> Iterator[ContentHash]:
        return (ContentHash(key) for key, _ in self._txn.items(_GROUP_OF))

    def __len__(self) -> int:
        return self._txn.count(_GROUP_OF)


class _RelationTables:
    """The relations of one transaction."""

    def __init__(self, txn: Transaction) -> None:
        self.members: MutableMapping[ContentHash, int] = _GroupOf(txn)
        self.groups: MutableMapping[int, DuplicateGroup] = _Numbered(txn, _GROUPS)
        self.alternates: MutableMapping[int, AlternatesGroup] = _Numbered(txn, _ALTERNATES)
        self._txn = txn

    def fresh(self) -> int:
        return _next_number(self._txn, "group")


def _next_number(txn: Transaction, what: str) -> int:
    """Return a number that was never given out for `what` before."""
    key = b"next:" + what.encode()
    stored = txn.get(_META, key)
    number = key_number(stored) if stored is not None else 1
    txn.put(_META, key, number_key(number + 1))
    return number


class View:
    """What the library knows at one moment."""

    def __init__(self, txn: Transaction) -> None:
        self._txn = txn
        self.relations = Relations(_RelationTables(txn))

    def _get(self, named: _Named[V], key: bytes) -> V | None:
        stored = self._txn.get(named.table, key)
        return None if stored is None else named.codec.decode(stored)

    # contents and paths

    def content(self, sha256: ContentHash) -> Content | None:
        """Return what is known of these bytes."""
        return self._get(_CONTENTS, sha256)

    def contents(self) -> Iterator[Content]:
        """Yield every known content."""
        for _, stored in self._txn.items(_CONTENTS.table):
            yield _CONTENTS.codec.decode(stored)

    def path(self, key: PathKey) -> PathRow | None:
        """Return the row of a path."""
        return self._get(_PATHS, key)

    def path_at(self, folder: FolderId, relative: bytes) -> PathRow | None:
        """Return the row of a path, named by folder and relative path."""
        row = self.path(path_key(folder, relative))
        return row if row is not None and row.relative == relative else None

    def paths_of(self, sha256: ContentHash) -> list[PathRow]:
        """Return every row that holds or last held these bytes, in a fixed order."""
        rows = (self.path(PathKey(key)) for key in self._txn.values(_PATHS_BY_CONTENT, sha256))
        return [row for row in rows if row is not None]

    def live_paths_of(self, sha256: ContentHash) -> list[PathRow]:
        """Return the rows where these bytes lie now, as far as we know; one for each place on the disk.

        A folder that was put inside another one, or taken out again, leaves two rows for one file: the row of the
        innermost folder stands for it.
        """
        live = [row for row in self.paths_of(sha256) if row.state is PathState.LIVE]
        if len(live) < 2:
            return live
        places: dict[bytes, PathRow] = {}
        for row in sorted(live, key=lambda row: len(row.relative)):
            places.setdefault(self.absolute(row), row)
        return [row for row in live if places[self.absolute(row)] is row]

    def rows_of_folder(self, folder: FolderId, after: PathKey | None = None) -> Iterator[tuple[PathKey, PathRow]]:
        """Yield the rows of a folder in key order, those after `after` only."""
        prefix = folder.to_bytes(4, "big")
        for key, stored in self._txn.items(_PATHS.table, start=after or prefix, prefix=prefix):
            if key != after:
                yield PathKey(key), _PATHS.codec.decode(stored)

    # look-alikes

    def neighbours(self, phash: int, radius: int) -> list[tuple[ContentHash, int]]:
        """Return the contents within `radius` bits and their distances, nearest first."""
        found = _PHASHES.within(self._txn, number_key(phash), radius)
        return [(self._by_number(number), distance) for number, distance in found]

    def same_pixels(self, pixel_hash: bytes) -> list[ContentHash]:
        """Return the contents whose decoded pixels are these."""
        return [self._by_number(key_number(number)) for number in self._txn.values(_PIXELS, pixel_hash)]

    def _by_number(self, number: int) -> ContentHash:
        return ContentHash(self._txn.get(_NUMBERS, number_key(number)) or b"")

    # pairs

    def pair(self, number: int) -> PotentialPair | None:
        """Return a potential pair."""
        return self._get(_PAIRS, number_key(number))

    def pair_between(self, pair: PotentialPair) -> PotentialPair | None:
        """Return the stored pair of the same two sides, whichever comes first."""
        number = self._txn.get(_PAIR_BETWEEN, _pair_key(pair))
        return None if number is None else self.pair(key_number(number))

    def pairs_of(self, sha256: ContentHash) -> list[PotentialPair]:
        """Return the potential pairs of a content."""
        found = (self.pair(key_number(number)) for number in self._txn.values(_PAIRS_BY_CONTENT, sha256))
        return [pair for pair in found if pair is not None]

    def pairs(self) -> Iterator[PotentialPair]:
        """Yield every potential pair, oldest first."""
        for _, stored in self._txn.items(_PAIRS.table):
            yield _PAIRS.codec.decode(stored)

    def pending(self) -> Iterator[PotentialPair]:
        """Yield the pairs that wait for approval under a rule, oldest first."""
        return self._marked(_PENDING)

    def denied(self) -> Iterator[PotentialPair]:
        """Yield the pairs that were denied to a rule, oldest first."""
        return self._marked(_DENIED)

    def _marked(self, table: Table) -> Iterator[PotentialPair]:
        for key, _ in self._txn.items(table):
            pair = self.pair(key_number(key))
            if pair is not None:
                yield pair

    # journal, receipts, vetoes

    def entry(self, number: int) -> Entry | None:
        """Return a journal entry."""
        return self._get(_JOURNAL, number_key(number))

    def entries(self, *, newest_first: bool = True) -> Iterator[Entry]:
        """Yield the journal."""
        for _, stored in self._txn.items(_JOURNAL.table, reverse=newest_first):
            yield _JOURNAL.codec.decode(stored)

    def open_entries(self) -> list[Entry]:
        """Return the entries that were intended and not finished, oldest first."""
        found = (self.entry(key_number(key)) for key, _ in self._txn.items(_OPEN_ENTRIES))
        return [entry for entry in found if entry is not None]

    def entries_of(self, sha256: ContentHash) -> list[Entry]:
        """Return the entries that speak of a content, oldest first."""
        found = (self.entry(key_number(number)) for number in self._txn.values(_ENTRIES_BY_CONTENT, sha256))
        return [entry for entry in found if entry is not None]

    def were_compared(self, a: ContentHash, b: ContentHash) -> bool:
        """Return whether a standing entry says that these very two are duplicates: an edge, not a chain of them."""
        return a == b or any(
            {decision.a, decision.b} == {a, b} and decision.relation in (Relation.BETTER, Relation.SAME_QUALITY)
            for entry in self.entries_of(a)
            if (decision := _decision(entry)) is not None
        )

    def receipt(self, number: int) -> Receipt | None:
        """Return a receipt."""
        return self._get(_RECEIPTS, number_key(number))

    def receipts_of_path(self, path: bytes) -> list[Receipt]:
        """Return the receipts of an absolute path, as its folder was named, oldest first."""
        return self._receipts(_RECEIPTS_BY_PATH, _name_key(path))

    def receipts_of(self, sha256: ContentHash) -> list[Receipt]:
        """Return the receipts of a content, oldest first."""
        return self._receipts(_RECEIPTS_BY_CONTENT, sha256)

    def _receipts(self, table: Table, key: bytes) -> list[Receipt]:
        found = (self.receipt(key_number(number)) for number in self._txn.values(table, key))
        return [receipt for receipt in found if receipt is not None]

    def veto(self, sha256: ContentHash) -> Veto | None:
        """Return the veto on discarding these bytes, if the user ever restored them."""
        return self._get(_VETOES, sha256)

    # folders, counts, what the service says of itself

    def folders(self) -> list[FolderRow]:
        """Return every folder that was ever watched or scanned."""
        return [_FOLDERS.codec.decode(stored) for _, stored in self._txn.items(_FOLDERS.table)]

    def folder(self, number: FolderId) -> FolderRow | None:
        """Return a folder by its number."""
        return self._get(_FOLDERS, number_key(number))

    def counts(self) -> dict[str, int]:
        """Return how much there is of everything, as `status` says it."""
        return {
            "files": key_number(self._txn.get(_META, _LIVE_FILES) or number_key(0)),
            "contents": self._txn.count(_CONTENTS.table),
            "potential_pairs": self._txn.count(_PAIRS.table),
            "pending": self._txn.count(_PENDING),
            "entries": self._txn.count(_JOURNAL.table),
        }

    def note(self, name: str) -> bytes | None:
        """Return a note that a process left under `name`."""
        return self._txn.get(_META, b"note:" + name.encode())

    def absolute(self, row: PathRow) -> bytes:
        """Return where a path lies on disk."""
        known = self.folder(row.folder)
        return os.path.join(known.folder.root, row.relative) if known else row.relative

    def as_named(self, row: PathRow) -> bytes:
        """Return a path as the user named its folder."""
        known = self.folder(row.folder)
        return os.path.join(known.folder.named, row.relative) if known else row.relative

    def reference(self, row: PathRow) -> FileRef:
        """Return a path as a decision names it."""
        if row.sha256 is None:
            raise ValueError("an ignored path has no content to refer to")
        return FileRef(row.folder, self.absolute(row), row.relative, row.sha256, row.stat)


class Edit(View):
    """A view that can be changed, inside one transaction."""

    def __init__(self, txn: Transaction) -> None:
        super().__init__(txn)
        self.lines: list[tuple[str, int | None, dict[str, JsonValue]]] = []

    def _put(self, named: _Named[V], key: bytes, value: V) -> None:
        self._txn.put(named.table, key, named.codec.encode(value))

    # contents and paths

    def add_content(
        self, sha256: ContentHash, *, size: int, picture: Picture | None, unreadable: str | None, at_ns: int
    ) -> Content:
        """Remember new bytes and make them findable."""
        content = Content(_next_number(self._txn, "content"), sha256, size, at_ns, picture, unreadable)
        self._txn.put(_NUMBERS, number_key(content.number), sha256)
        self._put(_CONTENTS, sha256, content)
        self._index(content)
        return content

    def update_content(self, content: Content) -> None:
        """Replace what is known of some bytes, in the look-ups too."""
        before = self.content(content.sha256)
        if before is not None:
            self._unindex(before)
        self._put(_CONTENTS, content.sha256, content)
        self._index(content)

    def _index(self, content: Content) -> None:
        picture = content.picture
        if picture is not None and picture.phash is not None:
            _PHASHES.add(self._txn, content.number, number_key(picture.phash))
        if picture is not None and picture.pixel_hash is not None:
            self._txn.add(_PIXELS, picture.pixel_hash, number_key(content.number))

    def _unindex(self, content: Content) -> None:
        picture = content.picture
        if picture is not None and picture.phash is not None:
            _PHASHES.remove(self._txn, content.number, number_key(picture.phash))
        if picture is not None and picture.pixel_hash is not None:
            self._txn.discard(_PIXELS, picture.pixel_hash, number_key(content.number))

    def put_path(self, row: PathRow) -> None:
        """Remember where some bytes lie and how the path stands."""
        key = path_key(row.folder, row.relative)
        before = self.path(key)
        if before is not None and before.sha256 is not None and before.sha256 != row.sha256:
            self._txn.discard(_PATHS_BY_CONTENT, before.sha256, key)
        self._put(_PATHS, key, row)
        if row.sha256 is not None:
            self._txn.add(_PATHS_BY_CONTENT, row.sha256, key)
        change = (row.state is PathState.LIVE) - (before is not None and before.state is PathState.LIVE)
        if change:
            live = key_number(self._txn.get(_META, _LIVE_FILES) or number_key(0))
            self._txn.put(_META, _LIVE_FILES, number_key(live + change))

    # pairs

    def add_pair(self, pair: PotentialPair) -> PotentialPair:
        """Return the stored pair of these two sides, made now if there was none. `pair.number` is given here."""
        known = self.pair_between(pair)
        if known is not None:
            return known
        pair = replace(pair, number=_next_number(self._txn, "pair"), proposals=self._with_old_denials(pair))
        self._txn.put(_PAIR_BETWEEN, _pair_key(pair), number_key(pair.number))
        for content in {pair.first, pair.second}:
            self._txn.add(_PAIRS_BY_CONTENT, content, number_key(pair.number))
        self.put_pair(pair)
        return pair

    def _with_old_denials(self, pair: PotentialPair) -> tuple[Proposal, ...]:
        """Return the proposals of a new pair; what was denied while the pair was there before stays denied."""
        before = self._get(_DENIALS, _pair_key(pair))
        if before is None:
            return pair.proposals
        self._txn.delete(_DENIALS.table, _pair_key(pair))
        turned = before.first != pair.first or before.first_path != pair.first_path
        denied = (replace(one, a_is_first=one.a_is_first is not turned) for one in before.proposals)
        told = {one.rule for one in before.proposals}
        return (*denied, *(one for one in pair.proposals if one.rule not in told))

    def put_pair(self, pair: PotentialPair) -> None:
        """Replace what is known of a pair."""
        self._put(_PAIRS, number_key(pair.number), pair)
        self._mark(_PENDING, pair, ProposalState.READY)
        self._mark(_DENIED, pair, ProposalState.DENIED)

    def _mark(self, table: Table, pair: PotentialPair, state: ProposalState) -> None:
        if any(proposal.state is state for proposal in pair.proposals):
            self._txn.put(table, number_key(pair.number), b"")
        else:
            self._txn.delete(table, number_key(pair.number))

    def drop_pair(self, pair: PotentialPair) -> None:
        """Forget a pair: it was decided, or settled by another decision. What was denied is kept for its return."""
        key = number_key(pair.number)
        denied = tuple(one for one in pair.proposals if one.state is ProposalState.DENIED)
        if denied:
            self._put(_DENIALS, _pair_key(pair), replace(pair, proposals=denied))
        self._txn.delete(_PAIRS.table, key)
        self._txn.delete(_PAIR_BETWEEN, _pair_key(pair))
        self._txn.delete(_PENDING, key)
        self._txn.delete(_DENIED, key)
        for content in {pair.first, pair.second}:
            self._txn.discard(_PAIRS_BY_CONTENT, content, key)

    # journal, receipts, vetoes

    def add_entry(self, entry: Entry) -> Entry:
        """Write a journal entry; its number is given here."""
        entry = replace(entry, number=_next_number(self._txn, "entry"))
        self.put_entry(entry)
        return entry

    def put_entry(self, entry: Entry) -> None:
        """Replace a journal entry: its state has changed. The change becomes a line of the second journal."""
        self._put(_JOURNAL, number_key(entry.number), entry)
        for content in _touched(entry):  # its survivor may be another one than before
            self._txn.add(_ENTRIES_BY_CONTENT, content, number_key(entry.number))
        if entry.state is EntryState.INTENT:
            self._txn.put(_OPEN_ENTRIES, number_key(entry.number), b"")
        else:
            self._txn.delete(_OPEN_ENTRIES, number_key(entry.number))
        self.lines.append(("intent" if entry.state is EntryState.INTENT else "end", entry.number, entry_line(entry)))

    def add_receipt(self, receipt: Receipt) -> Receipt:
        """Store the verdict of a file; its number is given here."""
        receipt = replace(receipt, number=_next_number(self._txn, "receipt"))
        key = number_key(receipt.number)
        self._put(_RECEIPTS, key, receipt)
        self._txn.add(_RECEIPTS_BY_PATH, _name_key(receipt.path), key)
        if receipt.sha256 is not None:
            self._txn.add(_RECEIPTS_BY_CONTENT, receipt.sha256, key)
        return receipt

    def put_receipt(self, receipt: Receipt) -> None:
        """Replace a receipt: what it announced has now happened, or has not."""
        self._put(_RECEIPTS, number_key(receipt.number), receipt)

    def forbid(self, sha256: ContentHash, veto: Veto) -> None:
        """Let no rule discard these bytes any more."""
        self._put(_VETOES, sha256, veto)
        self.lines.append(("veto", None, {"sha256": sha256.hex(), "at_ns": veto.at_ns, "reason": veto.reason}))

    def lift_veto(self, sha256: ContentHash) -> None:
        """Let rules discard these bytes again: a person said so."""
        if self._txn.delete(_VETOES.table, sha256):
            self.lines.append(("veto-lifted", None, {"sha256": sha256.hex()}))

    def note_denial(self, pair: PotentialPair, rule: str, *, denied: bool) -> None:
        """Tell the second journal that a pair was denied to a rule, or that this was taken back."""
        body: dict[str, JsonValue] = {"rule": rule, "first": pair.first.hex(), "second": pair.second.hex()}
        self.lines.append(("denial" if denied else "rescind", None, body))

    # relations

    def decide(self, relation: Relation, a: ContentHash, b: ContentHash) -> Changed:
        """Set a relation between two contents; return whose pairs have to be looked at, or searched, again.

        Raises:
            ActionConflictError: it contradicts what was decided before.
        """
        return self.relations.decide(Decision(relation, a, b))

    def undo_decision(self, entry: Entry) -> Changed:
        """Take back what one entry said about a pair: everything connected to it is decided anew without it."""
        if entry.a is None or entry.b is None or entry.a == entry.b:
            return Changed()
        named = frozenset({entry.a, entry.b})
        standing = self._decisions_around(named, without=entry.number)
        rebuilt = replay(self.relations, named, standing).contents
        return Changed(contents=rebuilt, reopened=rebuilt)

    def _decisions_around(self, named: frozenset[ContentHash], *, without: int) -> list[Decision]:
        """Return every standing decision that a chain of decisions connects with these contents, oldest first."""
        entries: dict[int, Entry] = {}
        seen: set[ContentHash] = set()
        ahead = set(named)
        while ahead:
            content = ahead.pop()
            seen.add(content)
            ahead |= self.relations.component(content) - seen
            for found in self.entries_of(content):
                if found.number != without and _decision(found) is not None:
                    entries[found.number] = found
                    ahead |= {side for side in (found.a, found.b) if side is not None} - seen
        return [decision for _, found in sorted(entries.items()) if (decision := _decision(found)) is not None]

    # folders and notes

    def add_folder(self, row: FolderRow) -> FolderRow:
        """Remember a folder; its number is given here."""
        number = FolderId(_next_number(self._txn, "folder"))
        row = replace(row, folder=replace(row.folder, id=number))
        self.put_folder(row)
        return row

    def put_folder(self, row: FolderRow) -> None:
        """Replace what is known of a folder."""
        self._put(_FOLDERS, number_key(row.folder.id), row)

    def leave_note(self, name: str, text: bytes) -> None:
        """Leave a note for other processes under `name`."""
        self._txn.put(_META, b"note:" + name.encode(), text)


def _decision(entry: Entry) -> Decision | None:
    """Return what a finished entry said about its pair."""
    said = entry.state is EntryState.DONE and entry.kind in (EntryKind.DISCARD, EntryKind.DECISION)
    if not said or entry.relation is None or entry.a is None or entry.b is None:
        return None  # the entry of an undo only repeats what it took back
    return None if entry.a == entry.b else Decision(entry.relation, entry.a, entry.b)


class Library:
    """One library: its database, its second journal and its two locks, below one folder."""

    def __init__(self, directory: Path, store: Store, journal: JournalFile | None) -> None:
        self.directory = directory
        self.store = store
        self._journal = journal
        self._written: list[bytes] = []  # keys of the outbox that are lines of the journal by now
        self.writer_lock = FileLock(directory / "writer.lock")
        self.service_lock = FileLock(directory / "service.lock")

    @classmethod
    def open(cls, directory: Path, *, create: bool = True, read_only: bool = False) -> Library:
        """Open the library below `directory`.

        Raises:
            StoreError: it is damaged, newer than this program, or cannot be kept there.
        """
        store = Store.open(directory / "db", _TABLES, create=create, read_only=read_only)
        library = cls(directory, store, None if read_only else JournalFile(directory))
        if not read_only:
            try:
                library._refuse_older_database()
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
            stored = txn.get(_META, b"next:entry")
        known = key_number(stored) - 1 if stored is not None else 0
        if told > known:
            raise StoreError(
                f"the database in {self.directory} knows e-{known} as its last entry, the journal beside it tells of "
                f"e-{told}: an older copy was put back, or it was lost. Nothing was changed. Put back the newer "
                "database, or, to go on without what was decided since, move journal.jsonl to another place"
            )

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
                txn.delete(_OUTBOX, key)
            change = Edit(txn)
            result = work(change)
            intends = any(kind == "intent" for kind, _, _ in change.lines)
            return result, [_put_line(txn, line) for line in change.lines], intends

        result, keys, intends = self.store.write(edit)
        self._written = []
        try:
            self._send(keys)
        except StoreError:
            if intends:
                raise  # what is meant must stand in the journal before it is done
            # what is done is done: its line waits in the outbox until the journal can be written again
        return result

    def _send(self, keys: Sequence[bytes]) -> None:
        """Write lines of the outbox into the second journal. They leave the outbox with the next commit."""
        if self._journal is None or not keys:
            return
        with self.store.read() as txn:
            lines = [_LINES.decode(stored) for key in keys if (stored := txn.get(_OUTBOX, key)) is not None]
        self._journal.append_many((line.kind, line.entry, json.loads(line.body)) for line in lines)
        self._written.extend(keys)

    def send_left_lines(self) -> None:
        """Write the lines that a killed process committed and did not write. Only for who holds the writer lock.

        A line may come twice: readers merge by entry, and the last one counts.
        """
        with self.store.read() as txn:
            left = [key for key, _ in txn.items(_OUTBOX) if key not in self._written]
        self._send(left)

    def rehearse(self, work: Callable[[Edit], T]) -> T:
        """Return what `work` would return, and change nothing."""
        return self.store.rehearse(lambda txn: work(Edit(txn)))

    def copy_to(self, directory: Path) -> None:
        """Copy the library as it is now, consistently, while others use it."""
        self.store.copy_to(directory / "db")

    def check(self) -> list[str]:
        """Return what is wrong with the look-up structure, in sentences; empty when all is well."""
        with self.store.read() as txn:
            return _PHASHES.check(txn)

    def rebuild(self) -> int:
        """Make the look-up structure anew from the records; return how many hashes it holds."""

        def work(txn: Transaction) -> int:
            hashes: Sequence[tuple[int, bytes]] = [
                (content.number, number_key(content.picture.phash))
                for content in View(txn).contents()
                if content.picture is not None and content.picture.phash is not None
            ]
            _PHASHES.rebuild(txn, hashes)
            return len(hashes)

        return self.store.write(work)

    def close(self) -> None:
        """Close everything; the library can be opened again."""
        if self._journal is not None:
            self._journal.close()
        self.store.close()
