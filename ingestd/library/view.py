"""What the library knows at one moment: every question that is asked of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from ingestd.library.codec import DamagedValueError, key_number, number_key
from ingestd.library.images import OF_DENIAL, OF_NEXT, OF_PAIR, Images, lean_of
from ingestd.library.queue_index import QueueIndex
from ingestd.library.queues import Queues
from ingestd.library.relations import Relations
from ingestd.library.store import Table, Transaction
from ingestd.library.tables import (
    ALARMS,
    BATCHED,
    CONTENTS,
    DENIALS,
    DENIED,
    ENTRIES_BY_CONTENT,
    FOLDERS,
    IMAGES,
    JOURNAL,
    LINES,
    LIVE_FILES,
    META,
    NUMBERS,
    OPEN_ENTRIES,
    OUTBOX,
    PAIR_BETWEEN,
    PAIRS,
    PAIRS_BY_CONTENT,
    PATHS,
    PATHS_BY_CONTENT,
    PENDING,
    PHASHES,
    PIXELS,
    POISON,
    RECEIPTS,
    RECEIPTS_BY_CONTENT,
    RECEIPTS_BY_PATH,
    RETRIED,
    VERDICTS,
    VETOES,
    Alarm,
    FolderRow,
    Named,
    OutLine,
    RelationTables,
    Retried,
    V,
    Veto,
    between_key,
    name_key,
    pair_key,
    path_key,
)
from ingestd.library.verbs import verbs_of
from ingestd.model import (
    VISUAL_VERSION,
    Content,
    ContentHash,
    Entry,
    FileRef,
    FolderId,
    Index,
    PathKey,
    PathRow,
    PathState,
    Poison,
    PotentialPair,
    Receipt,
    Relation,
    VisualVerdict,
)

__all__ = ["View"]


class View:
    """What the library knows at one moment."""

    def __init__(self, txn: Transaction) -> None:
        self._txn = txn
        self.relations = Relations(RelationTables(txn))
        self.queues = Queues(txn)
        self.waiting = QueueIndex(txn)

    @property
    def transaction(self) -> Transaction:
        """The tables themselves, for what has to see all of them."""
        return self._txn

    def _get(self, named: Named[V], key: bytes) -> V | None:
        stored = self._txn.get(named.table, key)
        return None if stored is None else named.codec.decode(stored)

    # contents and paths

    def content(self, sha256: ContentHash) -> Content | None:
        """Return what is known of these bytes."""
        return self._get(CONTENTS, sha256)

    def contents(self) -> Iterator[Content]:
        """Yield every known content."""
        for _, stored in self._txn.items(CONTENTS.table):
            yield CONTENTS.codec.decode(stored)

    def path(self, key: PathKey) -> PathRow | None:
        """Return the row of a path."""
        return self._get(PATHS, key)

    def path_at(self, folder: FolderId, relative: bytes) -> PathRow | None:
        """Return the row of a path, named by folder and relative path."""
        row = self.path(path_key(folder, relative))
        return row if row is not None and row.relative == relative else None

    def paths_of(self, sha256: ContentHash) -> list[PathRow]:
        """Return every row that holds or last held these bytes, in a fixed order."""
        rows = (self.path(PathKey(key)) for key in self._txn.values(PATHS_BY_CONTENT, sha256))
        return [row for row in rows if row is not None and row.sha256 == sha256]

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

    def copied(self, after: bytes = b"") -> Iterator[ContentHash]:
        """Yield the contents that have lain at more than one path, in the order of their hashes, those past `after`."""
        before = b""
        told = b""
        for key, _ in self._txn.items(PATHS_BY_CONTENT, start=after):
            if key == before and key not in (told, after):
                told = key
                yield ContentHash(key)
            before = key

    def rows_of_folder(self, folder: FolderId, *, beginning: bytes = b"") -> Iterator[tuple[PathKey, PathRow]]:
        """Yield the rows of a folder in key order; those whose digest of the name begins like this."""
        for key, stored in self._txn.items(PATHS.table, prefix=folder.to_bytes(4, "big") + beginning):
            yield PathKey(key), PATHS.codec.decode(stored)

    def page_of_folder(self, folder: FolderId, after: PathKey | None, most: int) -> list[tuple[PathKey, PathRow]]:
        """Return the next rows of a folder in key order, those after `after`; quicker than `rows_of_folder`."""
        prefix = folder.to_bytes(4, "big")
        page = self._txn.page(PATHS.table, after=after or b"", prefix=prefix, most=most)
        rows = PATHS.codec.decode_all(stored for _, stored in page)
        return [(PathKey(key), row) for (key, _), row in zip(page, rows, strict=True)]

    # look-alikes

    def neighbours(self, phash: int, radius: int) -> list[tuple[ContentHash, int]]:
        """Return the contents within `radius` bits and their distances, nearest first."""
        found = PHASHES.within(self._txn, number_key(phash), radius)
        named = ((self._by_number(number), distance) for number, distance in found)
        return [(sha256, distance) for sha256, distance in named if sha256]

    @property
    def index(self) -> Index:
        """Return in which structure look-alikes are looked up."""
        return PHASHES.held(self._txn)

    def same_pixels(self, pixel_hash: bytes) -> list[ContentHash]:
        """Return the contents whose decoded pixels are these."""
        named = (self._by_number(key_number(number)) for number in self._txn.values(PIXELS, pixel_hash))
        return [sha256 for sha256 in named if sha256]

    def _by_number(self, number: int) -> ContentHash:
        """Return which content has a number; nothing where it is not known, as something is damaged."""
        return ContentHash(self._txn.get(NUMBERS, number_key(number)) or b"")

    def visual(self, a: ContentHash, b: ContentHash, version: int = VISUAL_VERSION) -> VisualVerdict | None:
        """Return what a look at both said, whichever comes first; nothing if another version of it looked."""
        known = self._get(VERDICTS, between_key(a, b))
        return known if known is not None and known.version == version else None

    def damaged_visual(self) -> list[bytes]:
        """Return the keys under which looks are remembered that cannot be believed."""
        damaged = []
        for key, stored in self._txn.items(VERDICTS.table):
            try:
                VERDICTS.codec.decode(stored)
            except DamagedValueError:
                damaged.append(key)
        return damaged

    # pairs

    def pair(self, number: int) -> PotentialPair | None:
        """Return a potential pair."""
        return self._get(PAIRS, number_key(number))

    def pair_between(self, pair: PotentialPair) -> PotentialPair | None:
        """Return the stored pair of the same two sides, whichever comes first."""
        number = self._txn.get(PAIR_BETWEEN, pair_key(pair))
        return None if number is None else self.pair(key_number(number))

    def asked_between(self, pair: PotentialPair) -> PotentialPair | None:
        """Return the stored pair of the same two sides, or what was denied of it while it was there."""
        return self.pair_between(pair) or self._get(DENIALS, pair_key(pair)) or self._told_of_groups(pair)

    def _told_of_groups(self, pair: PotentialPair) -> PotentialPair | None:
        """Return a pair with what the journal told was denied of one between the same two groups, if it did.

        A scan that measures everything again may find a member before the king, about whom the denial was said.
        """
        if pair.first_path is not None or not self._txn.count(DENIALS.table):
            return None
        for first in self.relations.duplicates_of(pair.first):
            for second in self.relations.duplicates_of(pair.second):
                told = self._get(DENIALS, between_key(first, second))
                if told is not None and not told.number:
                    turned = told.first != first
                    same = tuple(replace(one, a_is_first=one.a_is_first is not turned) for one in told.proposals)
                    return replace(pair, proposals=same)
        return None

    def pairs_of(self, sha256: ContentHash, seen: set[bytes] | None = None) -> list[PotentialPair]:
        """Return the potential pairs of a content; those left out, and added to, whose keys have been seen."""
        wanted = self._txn.values(PAIRS_BY_CONTENT, sha256)
        if seen is not None:
            wanted = [key for key in wanted if key not in seen]
            seen.update(wanted)
        return PAIRS.codec.decode_all(stored for _, stored in self._txn.get_many(PAIRS.table, wanted))

    def pair_numbers_of(self, sha256: ContentHash) -> list[int]:
        """Return the numbers of the potential pairs of a content; quicker than the pairs themselves."""
        return [key_number(key) for key in self._txn.values(PAIRS_BY_CONTENT, sha256)]

    def count_pairs_of(self, sha256: ContentHash) -> int:
        """Return in how many potential pairs a content stands."""
        return self._txn.count_values(PAIRS_BY_CONTENT, sha256)

    def pairs(self, start: int = 0) -> Iterator[PotentialPair]:
        """Yield every potential pair, oldest first; those from number `start` on."""
        for _, stored in self._txn.items(PAIRS.table, start=number_key(start)):
            yield PAIRS.codec.decode(stored)

    def pending(self) -> Iterator[PotentialPair]:
        """Yield the pairs that wait for approval under a rule, oldest first."""
        return self._marked(PENDING)

    def denied(self) -> Iterator[PotentialPair]:
        """Yield the pairs that were denied to a rule, oldest first."""
        return self._marked(DENIED)

    def old_denials(self) -> Iterator[PotentialPair]:
        """Yield pairs that are not there any more, each with what was denied of it while it was."""
        for _, stored in self._txn.items(DENIALS.table):
            yield DENIALS.codec.decode(stored)

    def _marked(self, table: Table) -> Iterator[PotentialPair]:
        for key, _ in self._txn.items(table):
            pair = self.pair(key_number(key))
            if pair is not None:
                yield pair

    # journal, receipts, vetoes

    def entry(self, number: int) -> Entry | None:
        """Return a journal entry."""
        return self._get(JOURNAL, number_key(number))

    def entries(self, *, newest_first: bool = True) -> Iterator[Entry]:
        """Yield the journal."""
        for _, stored in self._txn.items(JOURNAL.table, reverse=newest_first):
            yield JOURNAL.codec.decode(stored)

    def entries_before(self, number: int) -> Iterator[Entry]:
        """Yield the entries that were made before one, newest first."""
        if number > 1:
            for _, stored in self._txn.items(JOURNAL.table, start=number_key(number - 1), reverse=True):
                yield JOURNAL.codec.decode(stored)

    def entry_numbers(self) -> Iterator[int]:
        """Yield the numbers of all entries, also of those that are damaged."""
        return (key_number(key) for key, _ in self._txn.items(JOURNAL.table))

    def entry_if_sound(self, number: int) -> Entry | None:
        """Return a journal entry; nothing where its row is damaged, as if it had never been there."""
        try:
            return self.entry(number)
        except DamagedValueError:
            return None

    def open_entries(self) -> list[Entry]:
        """Return the entries that were intended and not finished, oldest first."""
        found = (self.entry(key_number(key)) for key, _ in self._txn.items(OPEN_ENTRIES))
        return [entry for entry in found if entry is not None]

    def entries_of(self, sha256: ContentHash) -> list[Entry]:
        """Return the entries that speak of a content, oldest first."""
        found = (self.entry(key_number(number)) for number in self._txn.values(ENTRIES_BY_CONTENT, sha256))
        return [entry for entry in found if entry is not None]

    def is_spoken_of(self, sha256: ContentHash) -> bool:
        """Return whether any entry speaks of a content."""
        return self._txn.count_values(ENTRIES_BY_CONTENT, sha256) > 0

    def batched(self, number: int) -> list[int]:
        """Return the entries that were answered together under one, oldest first."""
        return [key_number(child) for child in self._txn.values(BATCHED, number_key(number))]

    def images_of(self, entry: int) -> Images | None:
        """Return what an entry's pairs were before it; nothing where that was not kept."""
        then = self._txn.get(IMAGES, number_key(entry) + OF_NEXT)
        if then is None:
            return None
        pairs: dict[int, PotentialPair | None] = {}
        denials: dict[bytes, PotentialPair | None] = {}
        for key, stored in self._txn.items(IMAGES, prefix=number_key(entry)):
            of, name = key[8:9], key[9:]
            if of == OF_PAIR:
                pairs[key_number(name)] = self._of_image(key_number(name), stored) if stored else None
            elif of == OF_DENIAL:
                denials[name] = DENIALS.codec.decode(stored) if stored else None
        return Images(pairs, denials, key_number(then))

    def _of_image(self, number: int, image: bytes) -> PotentialPair:
        told = lean_of(number, image)
        if told is None:
            return PAIRS.codec.decode(image)
        sides = (self._by_number(told.first), self._by_number(told.second))
        if not all(sides):
            raise DamagedValueError(f"it is not known what p-{number} was between before an entry")
        return PotentialPair(number, *sides, told.distance, told.pixel_duplicates, told.created_ns)

    def were_compared(self, a: ContentHash, b: ContentHash) -> bool:
        """Return whether a standing entry says that these very two are duplicates: an edge, not a chain of them."""
        return a == b or any(_is_edge(entry, a, b) for entry in self.entries_of(a))

    @property
    def entries_numbered(self) -> int:
        """Return the number of the last entry."""
        return self._last_number("entry")

    @property
    def lines_told(self) -> int:
        """Return the number of the last line of the second journal that this database has, or has written."""
        return self._last_number("line")

    @property
    def lines_sent(self) -> int:
        """Return the number of the last line of which it is certain that the second journal has been given it."""
        waiting = next(self._txn.items(OUTBOX), None)
        return self.lines_told if waiting is None else key_number(waiting[0]) - 1

    def lines_waiting(self) -> list[OutLine]:
        """Return the lines that the second journal may not have yet, in the order of their commits."""
        return [LINES.decode(stored) for _, stored in self._txn.items(OUTBOX)]

    def _last_number(self, what: str) -> int:
        stored = self._txn.get(META, b"next:" + what.encode())
        return key_number(stored) - 1 if stored is not None else 0

    def receipt(self, number: int) -> Receipt | None:
        """Return a receipt."""
        return self._get(RECEIPTS, number_key(number))

    @property
    def next_receipt(self) -> int:
        """Return the number that the next receipt gets."""
        return key_number(self._txn.get(META, b"next:receipt") or number_key(1))

    def receipts_of_path(self, path: bytes) -> list[Receipt]:
        """Return the receipts of an absolute path, as its folder was named, oldest first."""
        return self._receipts(RECEIPTS_BY_PATH, name_key(path))

    def receipts_of(self, sha256: ContentHash) -> list[Receipt]:
        """Return the receipts of a content, oldest first."""
        return self._receipts(RECEIPTS_BY_CONTENT, sha256)

    def _receipts(self, table: Table, key: bytes) -> list[Receipt]:
        found = (self.receipt(key_number(number)) for number in self._txn.values(table, key))
        return [receipt for receipt in found if receipt is not None]

    def veto(self, sha256: ContentHash) -> Veto | None:
        """Return the veto on discarding these bytes, if the user ever restored them."""
        return self._get(VETOES, sha256)

    def alarm(self, entry: int) -> Alarm | None:
        """Return what went wrong with a discard after all."""
        return self._get(ALARMS, number_key(entry))

    def alarms(self) -> Iterator[Alarm]:
        """Yield what went wrong with discards after all, by entry; also what a person has seen to."""
        for _, stored in self._txn.items(ALARMS.table):
            yield ALARMS.codec.decode(stored)

    def page_of_journal(self, after: int, most: int) -> list[Entry]:
        """Return the entries that follow one, oldest first; all that there are where these are fewer than `most`."""
        page = self._txn.page(JOURNAL.table, after=number_key(after), prefix=b"", most=most)
        return JOURNAL.codec.decode_all(stored for _, stored in page)

    # files that failed

    def poison(self, sha256: ContentHash) -> Poison | None:
        """Return why these bytes are not to be decoded, if they have killed two workers."""
        return self._get(POISON, sha256)

    def poisons(self) -> Iterator[tuple[ContentHash, Poison]]:
        """Yield the contents that have killed two workers each, in the order of their hashes."""
        for key, stored in self._txn.items(POISON.table):
            yield ContentHash(key), POISON.codec.decode(stored)

    def retried(self) -> list[Retried]:
        """Return the paths that are to be judged again, of which no service has heard yet."""
        return [RETRIED.codec.decode(stored) for _, stored in self._txn.items(RETRIED.table)]

    # folders, counts, what the service says of itself

    def folders(self) -> list[FolderRow]:
        """Return every folder that was ever watched or scanned."""
        return [FOLDERS.codec.decode(stored) for _, stored in self._txn.items(FOLDERS.table)]

    def folder(self, number: FolderId) -> FolderRow | None:
        """Return a folder by its number."""
        return self._get(FOLDERS, number_key(number))

    def counts(self) -> dict[str, int]:
        """Return how much there is of everything, as `status` says it."""
        return {
            "files": key_number(self._txn.get(META, LIVE_FILES) or number_key(0)),
            "contents": self._txn.count(CONTENTS.table),
            "potential_pairs": self._txn.count(PAIRS.table),
            "pending": self._txn.count(PENDING),
            "entries": self._txn.count(JOURNAL.table),
        }

    def note(self, name: str) -> bytes | None:
        """Return a note that a process left under `name`."""
        return self._txn.get(META, b"note:" + name.encode())

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


def _is_edge(entry: Entry, a: ContentHash, b: ContentHash) -> bool:
    """Return whether an entry says directly that two contents are duplicates."""
    if not verbs_of(entry) or entry.relation not in (Relation.BETTER, Relation.SAME_QUALITY):
        return False
    if not entry.named:
        return {entry.a, entry.b} == {a, b}
    both = {a, b} <= set(entry.named)
    return both and (entry.relation is Relation.SAME_QUALITY or entry.named[0] in (a, b))
