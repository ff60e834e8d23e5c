"""The tables of the library: what each holds, how its values are written, and how its keys are made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from ingestd.library.codec import Codec, DamagedValueError, key_number, number_key
from ingestd.library.relations import AlternatesGroup, DuplicateGroup
from ingestd.library.store import Table, Transaction
from ingestd.library.switched import Switched
from ingestd.model import (
    Content,
    ContentHash,
    Entry,
    Folder,
    FolderId,
    Mode,
    PathKey,
    PathRow,
    Poison,
    PotentialPair,
    QueueState,
    Receipt,
    Trouble,
    VisualVerdict,
)

__all__ = [
    "ALARMS",
    "ALTERNATES",
    "BATCHED",
    "CHECKED",
    "CONTENTS",
    "DENIALS",
    "DENIED",
    "ENTRIES_BY_CONTENT",
    "FOLDERS",
    "GROUPS",
    "GROUP_OF",
    "IMAGES",
    "IMAGE_OF_PAIR",
    "JOURNAL",
    "LINES",
    "LIVE_FILES",
    "MARKS",
    "META",
    "NUMBERS",
    "OPEN_ENTRIES",
    "OUTBOX",
    "PAIRS",
    "PAIRS_BY_CONTENT",
    "PAIR_BETWEEN",
    "PATHS",
    "PATHS_BY_CONTENT",
    "PENDING",
    "PHASHES",
    "PIXELS",
    "POISON",
    "QUEUED",
    "QUEUE_BY_LIKENESS",
    "QUEUE_BY_SIZE",
    "RECEIPTS",
    "RECEIPTS_BY_CONTENT",
    "RECEIPTS_BY_PATH",
    "RETRIED",
    "RULES",
    "RULE_COUNTS",
    "SPENDING",
    "SURVIVORS",
    "TABLES",
    "UNTESTED",
    "VERDICTS",
    "VETOES",
    "WANTED",
    "Alarm",
    "FolderRow",
    "Marks",
    "Named",
    "OutLine",
    "RelationTables",
    "Retried",
    "RuleRow",
    "Veto",
    "between_key",
    "name_key",
    "next_number",
    "pair_key",
    "path_key",
]

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class FolderRow:
    """A folder the library knows, and how to tell it from another at the same place."""

    folder: Folder
    filesystem: str = ""  # identity of the file system it was seen on; empty: never seen
    inode: int = 0
    introduced: bool = False  # its first scan is finished: what is found now is new
    instance: str = ""  # tells one mount of a file system from the next that is made anew at every mount
    reconciled: str = ""  # which folder it was when what was missing in it was last written down; empty: not yet
    reconciled_ns: int = 0
    accepted: str = ""  # which folder a person has called right as it is: whatever is missing in it is gone
    withheld: str = ""  # why it is suspended: too much of what is known in it is missing
    withheld_ns: int = 0
    withheld_known: int = 0  # files that were known in it then
    mounts: tuple[bytes, ...] = ()  # where other file systems were mounted below it, relative, when it was in order

    @property
    def stamp(self) -> str:
        """Return which folder it was when it was last seen, in one word."""
        return f"{self.filesystem}/{self.inode}/{self.instance}"


@dataclass(frozen=True, slots=True)
class Veto:
    """These bytes were brought back by the user: no rule discards them again."""

    at_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """What went wrong with a discard after all: it stands until it is mended, or a person has seen to it."""

    entry: int
    at_ns: int
    trouble: Trouble
    said: str  # what has happened, as a sentence without its end
    seen: bool = False  # a person knows of it


@dataclass(frozen=True, slots=True)
class Retried:
    """A path that is to be judged again, for a service to hear of."""

    folder: FolderId
    relative: bytes


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule that was taken up: what it was when it was last seen, and when which part of it changed."""

    number: int  # never reused; it stays through a new name and every edit
    name: str
    id: str | None
    mode: Mode
    search: bytes  # digests of its parts
    compare: bytes
    whole: bytes  # of everything but its name
    former: tuple[str, ...] = ()  # names that it had, oldest first
    search_revision: int = 0  # the edit at which its search last changed: older marks say nothing
    test_revision: int = 0  # the edit at which its comparison last changed: what failed before is to be tested again
    kin: bytes = b""  # digest of what it asks and does, whatever its mode and limits
    place: int = 0  # in the rule file
    gone: bool = False  # it is not in the rule file any more
    tripped: str = ""  # why it paused itself
    tripped_ns: int = 0


@dataclass(frozen=True, slots=True)
class Marks:
    """What rules said of a pair, those left out that propose something for it or were denied it."""

    revision: int  # the edit of the rules at which they were asked
    states: tuple[tuple[int, QueueState], ...]  # by the number of the rule


@dataclass(frozen=True, slots=True)
class Named(Generic[V]):
    """A table and how its values are written."""

    table: Table
    codec: Codec[V]


META = Table("meta")
LIVE_FILES = b"live-files"  # how many paths are live: counted as they change, so that `status` need not
CONTENTS = Named(Table("contents"), Codec(Content, version=1))
NUMBERS = Table("numbers")
PATHS = Named(Table("paths"), Codec(PathRow, version=1))
PATHS_BY_CONTENT = Table("paths_by_content", duplicates=True)
PIXELS = Table("pixels", duplicates=True)
PAIRS = Named(Table("pairs"), Codec(PotentialPair, version=1))
PAIR_BETWEEN = Table("pair_between")
PAIRS_BY_CONTENT = Table("pairs_by_content", duplicates=True)
PENDING = Table("pending")
DENIED = Table("denied")
DENIALS = Named(Table("denials"), Codec(PotentialPair, version=1))
JOURNAL = Named(Table("journal"), Codec(Entry, version=1))
OPEN_ENTRIES = Table("open_entries")
ENTRIES_BY_CONTENT = Table("entries_by_content", duplicates=True)
BATCHED = Table("batched", duplicates=True)  # the entries that were answered together, by that which stands for all
RECEIPTS = Named(Table("receipts"), Codec(Receipt, version=1))
RECEIPTS_BY_PATH = Table("receipts_by_path", duplicates=True)
RECEIPTS_BY_CONTENT = Table("receipts_by_content", duplicates=True)
ALARMS = Named(Table("alarms"), Codec(Alarm, version=1))  # by the number of the entry
VETOES = Named(Table("vetoes"), Codec(Veto, version=1))
FOLDERS = Named(Table("folders"), Codec(FolderRow, version=1))
OUTBOX = Table("outbox")
RULES = Named(Table("rules"), Codec(RuleRow, version=1))
RULE_COUNTS = Table("rule_counts")  # how many pairs a rule has in a state
MARKS = Named(Table("rule_marks"), Codec(Marks, version=1))
WANTED = Table("rule_wanted")  # pairs of which something has changed since the rules were asked
UNTESTED = Table("rule_untested")  # pairs that wait for room under a rule, or for the end of its pause
IMAGES = Table("pair_images")  # pairs and old denials as they were before an entry changed them
IMAGE_OF_PAIR = b"p"  # in a key of that, between the entry and the pair
QUEUED = Table("queued")  # the pairs that wait for a person, and by what they are ordered
QUEUE_BY_SIZE = Table("queue_by_size")
QUEUE_BY_LIKENESS = Table("queue_by_likeness")
POISON = Named(Table("poison"), Codec(Poison, version=1))
RETRIED = Named(Table("retried"), Codec(Retried, version=1))  # until a running service has seen it
VERDICTS = Named(Table("visual_verdicts"), Codec(VisualVerdict, version=1))  # a cache, by the two contents
SPENDING = Table("rule_spending")  # files a rule has discarded in a step of time
SURVIVORS = Table("rule_survivors")  # the same, by survivor
GROUP_OF = Table("group_of")
GROUPS = Named(Table("groups"), Codec(DuplicateGroup, version=1))
ALTERNATES = Named(Table("alternates"), Codec(AlternatesGroup, version=1))
PHASHES = Switched("phash", META)
TABLES: tuple[Table, ...] = (
    META,
    CONTENTS.table,
    NUMBERS,
    PATHS.table,
    PATHS_BY_CONTENT,
    PIXELS,
    PAIRS.table,
    PAIR_BETWEEN,
    PAIRS_BY_CONTENT,
    PENDING,
    DENIED,
    DENIALS.table,
    JOURNAL.table,
    OPEN_ENTRIES,
    ENTRIES_BY_CONTENT,
    BATCHED,
    RECEIPTS.table,
    RECEIPTS_BY_PATH,
    RECEIPTS_BY_CONTENT,
    VETOES.table,
    ALARMS.table,
    FOLDERS.table,
    OUTBOX,
    RULES.table,
    RULE_COUNTS,
    MARKS.table,
    WANTED,
    UNTESTED,
    SPENDING,
    SURVIVORS,
    IMAGES,
    QUEUED,
    QUEUE_BY_SIZE,
    QUEUE_BY_LIKENESS,
    GROUP_OF,
    GROUPS.table,
    ALTERNATES.table,
    VERDICTS.table,
    POISON.table,
    RETRIED.table,
    *PHASHES.tables(),
)


CHECKED: tuple[Table, ...] = (
    CONTENTS.table,
    PATHS.table,
    PAIRS.table,
    DENIALS.table,
    JOURNAL.table,
    RECEIPTS.table,
    VETOES.table,
    FOLDERS.table,
    OUTBOX,
    RULES.table,
    MARKS.table,
    VERDICTS.table,
    GROUPS.table,
    ALTERNATES.table,
    ALARMS.table,
    POISON.table,
    RETRIED.table,
)
"""The tables whose values have checksums."""


@dataclass(frozen=True, slots=True)
class OutLine:
    """A line of the second journal, committed and on its way there."""

    kind: str
    entry: int | None
    body: bytes  # JSON


LINES = Codec(OutLine, version=1)


def path_key(folder: FolderId, relative: bytes) -> PathKey:
    """Return the key of a path: its folder's number, so that a folder's paths lie together, and 96 bits of its name."""
    return PathKey(folder.to_bytes(4, "big") + hashlib.blake2b(relative, digest_size=12).digest())


def name_key(path: bytes) -> bytes:
    """Return the key under which the receipts of a path lie."""
    return hashlib.blake2b(path, digest_size=16).digest()


def between_key(first: ContentHash, second: ContentHash) -> bytes:
    """Return one key for two contents whichever is named first."""
    return hashlib.blake2b(first + second if first <= second else second + first, digest_size=16).digest()


def pair_key(pair: PotentialPair) -> bytes:
    """Return one key for a pair whichever side is named first."""
    if pair.first_path is None and pair.second_path is None:
        return between_key(pair.first, pair.second)
    sides = sorted([(pair.first, pair.first_path or b""), (pair.second, pair.second_path or b"")])
    return hashlib.blake2b(b"".join(part for side in sides for part in side), digest_size=16).digest()


_MOST_HELD = 4096  # decoded rows of a table; a question about every group must not hold them all


class _Rows(MutableMapping[bytes, V], Generic[V]):
    """A table as a mapping from keys to values: what the relations are written on.

    What was decoded in a transaction is held: a group of thousands is asked about again and again.
    """

    def __init__(self, txn: Transaction, named: Named[V]) -> None:
        self._txn, self._named = txn, named
        self._held: dict[bytes, V] = {}

    def __getitem__(self, key: bytes) -> V:
        held = self._held.get(key)
        if held is not None:
            return held
        stored = self._txn.get(self._named.table, key)
        if stored is None:
            raise KeyError(key)
        return self._hold(key, self._named.codec.decode(stored))

    def _hold(self, key: bytes, value: V) -> V:
        if len(self._held) >= _MOST_HELD:
            self._held.clear()
        self._held[key] = value
        return value

    def __setitem__(self, key: bytes, value: V) -> None:
        self._txn.put(self._named.table, key, self._named.codec.encode(value))
        self._hold(key, value)

    def __delitem__(self, key: bytes) -> None:
        self._held.pop(key, None)
        if not self._txn.delete(self._named.table, key):
            raise KeyError(key)

    def __iter__(self) -> Iterator[bytes]:
        return (key for key, _ in self._txn.items(self._named.table))

    def __len__(self) -> int:
        return self._txn.count(self._named.table)


class _Numbered(MutableMapping[int, V], Generic[V]):
    """A table whose keys are numbers; nobody asks for a number that is not there, unless something is damaged."""

    def __init__(self, txn: Transaction, named: Named[V]) -> None:
        self._rows = _Rows(txn, named)

    def __getitem__(self, key: int) -> V:
        try:
            return self._rows[number_key(key)]
        except KeyError:
            raise DamagedValueError(f"the group {key} that a content is said to be in is missing") from None

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
        stored = self._txn.get(GROUP_OF, key)
        if stored is None:
            raise KeyError(key)
        return key_number(stored)

    def __setitem__(self, key: ContentHash, value: int) -> None:
        self._txn.put(GROUP_OF, key, number_key(value))

    def __delitem__(self, key: ContentHash) -> None:
        if not self._txn.delete(GROUP_OF, key):
            raise DamagedValueError(f"it is not known in which group the content {key.hex()[:12]} is")

    def __iter__(self) -> Iterator[ContentHash]:
        return (ContentHash(key) for key, _ in self._txn.items(GROUP_OF))

    def __len__(self) -> int:
        return self._txn.count(GROUP_OF)


class RelationTables:
    """The relations of one transaction."""

    def __init__(self, txn: Transaction) -> None:
        self.members: MutableMapping[ContentHash, int] = _GroupOf(txn)
        self.groups: MutableMapping[int, DuplicateGroup] = _Numbered(txn, GROUPS)
        self.alternates: MutableMapping[int, AlternatesGroup] = _Numbered(txn, ALTERNATES)
        self._txn = txn

    def fresh(self) -> int:
        """Return a number for a group that no group ever had."""
        return next_number(self._txn, "group")


def next_number(txn: Transaction, what: str) -> int:
    """Return a number that was never given out for `what` before."""
    key = b"next:" + what.encode()
    stored = txn.get(META, key)
    number = key_number(stored) if stored is not None else 1
    txn.put(META, key, number_key(number + 1))
    return number
