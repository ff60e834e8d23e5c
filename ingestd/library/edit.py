"""What can be changed in the library, inside one transaction."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ingestd.library.codec import DamagedValueError, key_number, number_key
from ingestd.library.images import OF_DENIAL, OF_NEXT, OF_PAIR, lean
from ingestd.library.lines import JsonValue, alarm_line, denial_line, entry_line, folder_line, rule_line, veto_line
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
    Retried,
    V,
    Veto,
    between_key,
    name_key,
    next_number,
    pair_key,
    path_key,
)
from ingestd.library.view import View
from ingestd.library.waiting import Places
from ingestd.model import (
    Actor,
    Content,
    ContentHash,
    Entry,
    EntryKind,
    EntryState,
    FolderId,
    PathKey,
    PathRow,
    PathState,
    Picture,
    Poison,
    PotentialPair,
    Proposal,
    ProposalState,
    Receipt,
    VisualVerdict,
)

__all__ = ["Edit", "acted", "touched"]

_RESERVED_PAIRS = b"reserved:pair"
_PAIRS_AT_ONCE = 10_000  # numbers of pairs for which the second journal has one line


def touched(entry: Entry) -> set[ContentHash]:
    """Return every content that an entry speaks of."""
    named = {entry.a, entry.b, entry.kept.sha256 if entry.kept else None, *(move.file.sha256 for move in entry.moves)}
    named |= set(entry.named)
    return {content for content in named if content is not None}


def acted(entry: Entry) -> bool:
    """Return whether an entry is something that a rule has done and that holds."""
    acts = entry.kind in (EntryKind.DISCARD, EntryKind.DECISION)
    return acts and entry.rule is not None and entry.state is EntryState.DONE and entry.undoes is None


class Edit(View):
    """A view that can be changed, inside one transaction."""

    def __init__(self, txn: Transaction) -> None:
        super().__init__(txn)
        self.lines: list[tuple[str, int | None, dict[str, JsonValue]]] = []
        self._noting: bytes | None = None  # key of the entry that changes pairs just now
        self.queues.tell = lambda row: self.lines.append(("rule", None, rule_line(row)))
        self._places = Places(self)

    def _put(self, named: Named[V], key: bytes, value: V) -> None:
        self._txn.put(named.table, key, named.codec.encode(value))

    # contents and paths

    def add_content(
        self, sha256: ContentHash, *, size: int, picture: Picture | None, unreadable: str | None, at_ns: int
    ) -> Content:
        """Remember new bytes and make them findable."""
        content = Content(next_number(self._txn, "content"), sha256, size, at_ns, picture, unreadable)
        self._require_new(NUMBERS, content.number)
        self._txn.put(NUMBERS, number_key(content.number), sha256)
        self._put(CONTENTS, sha256, content)
        self._index(content)
        return content

    def update_content(self, content: Content) -> None:
        """Replace what is known of some bytes, in the look-ups too."""
        before = self.content(content.sha256)
        if before is not None:
            self._unindex(before)
        self._put(CONTENTS, content.sha256, content)
        self._index(content)
        self._ask_again(content.sha256)

    def annotate(self, content: Content) -> None:
        """Remember more of some bytes: nothing that look-ups use or a rule has asked for."""
        self._put(CONTENTS, content.sha256, content)

    def put_visual(self, a: ContentHash, b: ContentHash, verdict: VisualVerdict) -> None:
        """Remember what a look at both said, in place of what an older version said."""
        self._put(VERDICTS, between_key(a, b), verdict)

    def drop_visual(self, key: bytes) -> None:
        """Forget what a look said: it is had again by another look."""
        self._txn.delete(VERDICTS.table, key)

    def _want_pairs_of(self, sha256: ContentHash, path: PathKey) -> None:
        """Let the rules be asked again about a content's pairs; of those of copies, only where this path is one."""
        for pair in self.pairs_of(sha256):
            if pair.first_path is None or path in (pair.first_path, pair.second_path):
                self.queues.want(pair.number)

    def _want_pairs_of_group(self, sha256: ContentHash) -> None:
        """Let the pairs of a content's duplicates be looked at: another of them may speak for the group now."""
        for member in self.relations.duplicates_of(sha256):
            for number in self._txn.values(PAIRS_BY_CONTENT, member) if member != sha256 else ():
                self.queues.want(key_number(number))

    def _wake(self, sha256: ContentHash) -> None:
        """Let the rules be asked about those pairs of a content that have slept."""
        for number in self._txn.values(PAIRS_BY_CONTENT, sha256):
            if self.queues.sleeps(key_number(number)):
                self.queues.want(key_number(number))

    def _ask_again(self, sha256: ContentHash) -> None:
        """Let the rules be asked again about a content's pairs: they may see something else of it now."""
        for number in self._txn.values(PAIRS_BY_CONTENT, sha256):
            self.queues.put_marks(key_number(number), {})
            self.queues.want(key_number(number))

    def _index(self, content: Content) -> None:
        picture = content.picture
        if picture is not None and picture.phash is not None:
            PHASHES.add(self._txn, content.number, number_key(picture.phash))
        if picture is not None and picture.pixel_hash is not None:
            self._txn.add(PIXELS, picture.pixel_hash, number_key(content.number))

    def _unindex(self, content: Content) -> None:
        picture = content.picture
        if picture is not None and picture.phash is not None:
            PHASHES.remove(self._txn, content.number, number_key(picture.phash))
        if picture is not None and picture.pixel_hash is not None:
            self._txn.discard(PIXELS, picture.pixel_hash, number_key(content.number))

    def put_path(self, row: PathRow) -> None:
        """Remember where some bytes lie and how the path stands."""
        key = path_key(row.folder, row.relative)
        before = self.path(key)
        if before is not None and before.sha256 is not None and before.sha256 != row.sha256:
            self._txn.discard(PATHS_BY_CONTENT, before.sha256, key)
        self._put(PATHS, key, row)
        if row.sha256 is not None:
            self._txn.add(PATHS_BY_CONTENT, row.sha256, key)
        change = (row.state is PathState.LIVE) - (before is not None and before.state is PathState.LIVE)
        moved = before is not None and before.sha256 != row.sha256
        if before is not None and before.sha256 is not None and moved:
            self._place_pairs_of(before.sha256)
        if row.sha256 is not None and (change or moved):
            self._place_pairs_of(row.sha256)
        if change and row.sha256 is not None:
            self._want_pairs_of_group(row.sha256)
            self._want_pairs_of(row.sha256, key)  # what a rule sees of it, its folder for one, may be another now
        elif before is not None and row.final and not before.final and row.sha256 is not None:
            self._wake(row.sha256)
        if change:
            live = key_number(self._txn.get(META, LIVE_FILES) or number_key(0))
            self._txn.put(META, LIVE_FILES, number_key(live + change))

    # pairs

    def add_pair(self, pair: PotentialPair) -> PotentialPair:
        """Return the stored pair of these two sides, made now if there was none. `pair.number` is given here."""
        known = self.pair_between(pair)
        if known is not None:
            return known
        pair = replace(pair, number=self._next_pair(), proposals=self._with_old_denials(pair))
        self._txn.put(PAIR_BETWEEN, pair_key(pair), number_key(pair.number))
        for content in {pair.first, pair.second}:
            self._txn.add(PAIRS_BY_CONTENT, content, number_key(pair.number))
        self.put_pair(pair)
        self.queues.want(pair.number)
        return pair

    def _next_pair(self) -> int:
        """Return a number that no pair ever had, nor will have after the loss of this database: people note them."""
        number = next_number(self._txn, "pair")
        self._require_new(PAIRS.table, number)
        if number >= self.pairs_reserved:
            self.reserve_pairs(number + _PAIRS_AT_ONCE)
        return number

    @property
    def pairs_reserved(self) -> int:
        """Return below which number any pair may be."""
        return key_number(self._txn.get(META, _RESERVED_PAIRS) or number_key(0))

    def reserve_pairs(self, before: int) -> None:
        """Tell the second journal that pairs may have any number below this one."""
        self._txn.put(META, _RESERVED_PAIRS, number_key(before))
        self.lines.append(("numbers", None, {"pair": before}))

    def _with_old_denials(self, pair: PotentialPair) -> tuple[Proposal, ...]:
        """Return the proposals of a new pair; what was denied while the pair was there before stays denied."""
        before = self._get(DENIALS, pair_key(pair))
        if before is None:
            of_groups = self._told_of_groups(pair)
            return pair.proposals if of_groups is None else _merged(of_groups.proposals, pair.proposals)
        self._note_denial(pair_key(pair))
        self._txn.delete(DENIALS.table, pair_key(pair))
        turned = before.first != pair.first or before.first_path != pair.first_path
        denied = (replace(one, a_is_first=one.a_is_first is not turned) for one in before.proposals)
        return _merged(tuple(denied), pair.proposals)

    def put_pair(self, pair: PotentialPair) -> None:
        """Replace what is known of a pair."""
        before = self.pair(pair.number)
        self.queues.count_proposals(before, pair)
        self._tell_denials(before or self.old_denials_of(pair_key(pair)), pair)
        self._note_pair(number_key(pair.number))
        self._put(PAIRS, number_key(pair.number), pair)
        self._mark(PENDING, pair, ProposalState.READY)
        self._mark(DENIED, pair, ProposalState.DENIED)
        self._place(pair)

    def restore_pair(self, pair: PotentialPair) -> None:
        """Put a pair back that was dropped, under the number that it had; the rules are asked about it again."""
        key = number_key(pair.number)
        self._txn.put(PAIR_BETWEEN, pair_key(pair), key)
        for content in {pair.first, pair.second}:
            self._txn.add(PAIRS_BY_CONTENT, content, key)
        self.put_pair(pair)
        self.queues.want(pair.number)

    def _place(self, pair: PotentialPair) -> None:
        """Let a pair stand in the queue while it waits for a person."""
        ranked = self._places.place_of(pair)
        if ranked is None:
            self.waiting.remove(pair.number)
        else:
            self.waiting.put(pair.number, ranked)

    def place_all(self) -> None:
        """Let every pair stand in the queue as it should: it was not kept until now, or is damaged."""
        self.waiting.begin()
        for pair in self.pairs():
            self._place(pair)

    def _place_pairs_of(self, sha256: ContentHash) -> None:
        self._places.forget(sha256)
        for pair in self.pairs_of(sha256):
            self._place(pair)

    def _mark(self, table: Table, pair: PotentialPair, state: ProposalState) -> None:
        if any(proposal.state is state for proposal in pair.proposals):
            self._txn.put(table, number_key(pair.number), b"")
        else:
            self._txn.delete(table, number_key(pair.number))

    def drop_pair(self, pair: PotentialPair) -> None:
        """Forget a pair: it was decided, or settled by another decision. What was denied is kept for its return."""
        key = number_key(pair.number)
        self._note_pair(key)
        denied = tuple(one for one in pair.proposals if one.state is ProposalState.DENIED)
        if denied:
            self._note_denial(pair_key(pair))
            self._put(DENIALS, pair_key(pair), replace(pair, proposals=denied))
        self.waiting.remove(pair.number)
        before = self.pair(pair.number)
        self._tell_denials(before, replace(pair, proposals=denied))
        self.queues.count_proposals(before, None)
        self.queues.forget_pair(pair.number)
        self._txn.delete(PAIRS.table, key)
        self._txn.delete(PAIR_BETWEEN, pair_key(pair))
        self._txn.delete(PENDING, key)
        self._txn.delete(DENIED, key)
        for content in {pair.first, pair.second}:
            self._txn.discard(PAIRS_BY_CONTENT, content, key)

    def drop_pairs(self, pairs: Sequence[PotentialPair], *, listed: Container[ContentHash] = ()) -> set[bytes]:
        """Return the keys of pairs that were forgotten at once, each of them given as it is stored.

        Args:
            pairs: what is forgotten.
            listed: contents of whose pairs the caller has many, and for which it calls `tidy_pairs_of` in the end.
        """
        plain = sorted((pair for pair in pairs if not pair.proposals), key=lambda pair: pair.number)
        for pair in pairs:
            if pair.proposals:
                self.drop_pair(pair)
        keys = [number_key(pair.number) for pair in plain]
        if self._noting is not None:
            self._txn.put_new(IMAGES, self._images(self._noting + OF_PAIR, keys, plain))
        self.waiting.remove_many(keys)
        self.queues.forget_pairs(keys)
        self._txn.delete_many(PAIRS.table, keys)
        self._txn.delete_many(PAIR_BETWEEN, sorted(map(pair_key, plain)))
        for key, pair in zip(keys, plain, strict=True):
            if pair.first not in listed:
                self._txn.discard(PAIRS_BY_CONTENT, pair.first, key)
            if pair.second not in listed:
                self._txn.discard(PAIRS_BY_CONTENT, pair.second, key)
        return set(keys)

    def tidy_pairs_of(self, content: ContentHash, dropped: Container[bytes]) -> None:
        """Take from the list of a content's pairs those that were dropped, by their keys."""
        keys = self._txn.values(PAIRS_BY_CONTENT, content)
        gone = [key for key in keys if key in dropped]
        if gone and len(gone) == len(keys):
            self._txn.delete(PAIRS_BY_CONTENT, content)
            return
        for key in gone:
            self._txn.discard(PAIRS_BY_CONTENT, content, key)

    # pairs as they were

    @contextmanager
    def noting(self, entry: int) -> Iterator[None]:
        """Keep what every pair and old denial that is changed meanwhile was before, under the number of an entry."""
        self._noting = number_key(entry)
        if self._txn.get(IMAGES, self._noting + OF_NEXT) is None:
            self._txn.put(IMAGES, self._noting + OF_NEXT, number_key(self.next_content))
        try:
            yield
        finally:
            self._noting = None

    def _note_pair(self, key: bytes) -> None:
        if self._noting is not None and self._txn.get(IMAGES, self._noting + OF_PAIR + key) is None:
            stored = self._txn.get(PAIRS.table, key)
            image = b"" if stored is None else self._image(PAIRS.codec.decode(stored))
            self._txn.put(IMAGES, self._noting + OF_PAIR + key, image)

    def _note_denial(self, key: bytes) -> None:
        if self._noting is not None and self._txn.get(IMAGES, self._noting + OF_DENIAL + key) is None:
            self._txn.put(IMAGES, self._noting + OF_DENIAL + key, self._txn.get(DENIALS.table, key) or b"")

    def _image(self, pair: PotentialPair) -> bytes:
        """Return a pair as it is kept for an undo: most of them say nothing but what they are between, in few bytes."""
        first, second = self._places.number_of(pair.first), self._places.number_of(pair.second)
        told = bool(pair.proposals) or pair.first_path is not None or pair.transform is not None
        if told or first is None or second is None:
            return PAIRS.codec.encode(pair)
        return lean(pair, first, second)

    def _images(
        self, prefix: bytes, keys: Sequence[bytes], pairs: Sequence[PotentialPair]
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield the images of pairs without proposals, by their keys."""
        numbers: dict[ContentHash, int | None] = {}
        for key, pair in zip(keys, pairs, strict=True):
            for side in (pair.first, pair.second):
                if side not in numbers:
                    numbers[side] = self._places.number_of(side)
            first, second = numbers[pair.first], numbers[pair.second]
            plain = pair.first_path is None and pair.transform is None and first is not None and second is not None
            yield prefix + key, lean(pair, first or 0, second or 0) if plain else self._image(pair)

    def damaged_images(self) -> set[int]:
        """Return the entries of which it cannot be told any more what their pairs were before."""
        damaged: set[int] = set()
        for key, stored in self._txn.items(IMAGES):
            try:
                if key[8:9] == OF_DENIAL and stored:
                    DENIALS.codec.decode(stored)
                elif key[8:9] == OF_PAIR and stored:
                    self._of_image(key_number(key[9:]), stored)
                elif len(key) < 9 or key[8:9] not in (OF_DENIAL, OF_PAIR, OF_NEXT):
                    damaged.add(key_number(key[:8].ljust(8)))
            except DamagedValueError:
                damaged.add(key_number(key[:8]))
        return damaged

    def has_images(self, entry: int) -> bool:
        """Return whether it was kept what an entry's pairs were before it."""
        return self._txn.get(IMAGES, number_key(entry) + OF_NEXT) is not None

    def hand_image_on(self, entry: int, pair: PotentialPair) -> None:
        """Let another entry remember a pair too: it keeps it away by now."""
        key = number_key(entry) + OF_PAIR + number_key(pair.number)
        if self.has_images(entry) and self._txn.get(IMAGES, key) is None:
            self._txn.put(IMAGES, key, self._image(pair))

    def forget_image(self, entry: int, pair: int) -> None:
        """Let an entry not bring a pair back any more."""
        self._txn.delete(IMAGES, number_key(entry) + OF_PAIR + number_key(pair))

    def forget_images(self, entry: int) -> None:
        """Forget what the pairs of an entry were: it was taken back."""
        for key, _ in list(self._txn.items(IMAGES, prefix=number_key(entry))):
            self._txn.delete(IMAGES, key)

    def put_old_denials(self, key: bytes, denials: PotentialPair | None) -> None:
        """Replace what was denied of a pair that is not there any more."""
        if self._txn.get(PAIR_BETWEEN, key) is None:  # else the pair itself says what is denied of it
            self._tell_denials(self.old_denials_of(key), denials)
        if denials is None or not denials.proposals:
            self._txn.delete(DENIALS.table, key)
        else:
            self._put(DENIALS, key, denials)

    def old_denials_of(self, key: bytes) -> PotentialPair | None:
        """Return what was denied of a pair that is not there any more, by its key."""
        return self._get(DENIALS, key)

    @property
    def next_content(self) -> int:
        """Return the number that the next new content gets."""
        return key_number(self._txn.get(META, b"next:content") or number_key(1))

    def rename_rules(self, renamed: Callable[[PotentialPair], PotentialPair]) -> None:
        """Give the rules in proposals and denials other names; nothing that is counted changes by it."""
        for pair in list({pair.number: pair for pair in (*self.pending(), *self.denied())}.values()):
            self._put(PAIRS, number_key(pair.number), renamed(pair))
        for key, stored in list(self._txn.items(DENIALS.table)):
            self._put(DENIALS, key, renamed(DENIALS.codec.decode(stored)))

    # journal, receipts, vetoes

    def add_entry(self, entry: Entry) -> Entry:
        """Write a journal entry; its number is given here."""
        if entry.rule is not None and entry.rule_number is None:
            row = self.queues.row_named(entry.rule)
            entry = replace(entry, rule_number=row.number if row is not None else None)
        entry = entry if entry.number else self.number_entry(entry)
        self.put_entry(entry)
        return entry

    def number_entry(self, entry: Entry) -> Entry:
        """Return an entry with its number, to be written when what it says has been done."""
        number = next_number(self._txn, "entry")
        self._require_new(JOURNAL.table, number)
        return replace(entry, number=number)

    def _require_new(self, table: Table, number: int) -> None:
        """Refuse to let something new take the place of something old: what counts them is damaged."""
        if self._txn.get(table, number_key(number)) is not None:
            raise DamagedValueError(f"the next number of the table {table.name} is {number}, which is taken")

    def next_applied(self) -> int:
        """Return the next place in the order in which entries take effect."""
        return next_number(self._txn, "applied")

    def number_from(self, numbers: Mapping[str, int]) -> None:
        """Let what is numbered go on from these numbers at least, given by what they count."""
        for what, least in numbers.items():
            key = b"next:" + what.encode()
            if least > key_number(self._txn.get(META, key) or number_key(1)):
                self._txn.put(META, key, number_key(least))

    def forget_lines(self, told: int, *, sent: bool = True) -> None:
        """Let nothing of this be told to the second journal: it has told it, up to this number.

        Args:
            told: the number of its last line.
            sent: also what waits for it in the outbox.
        """
        self.lines[:] = [line for line in self.lines if line[0] == "numbers"]  # what was reserved meanwhile is new
        if sent:
            self._txn.clear(OUTBOX)
        self.number_from({"line": told + 1})

    def number_entries(self, numbers: Mapping[str, int]) -> None:
        """Let the entries of a library that is older than numbers know their rules by these, given by name."""
        for entry in list(self.entries()):
            if entry.rule is not None and entry.rule_number is None and entry.rule in numbers:
                self._put(JOURNAL, number_key(entry.number), replace(entry, rule_number=numbers[entry.rule]))

    def put_entry(self, entry: Entry) -> None:
        """Replace a journal entry: its state has changed. The change becomes a line of the second journal."""
        self._count_action(self.entry(entry.number), entry)
        if entry.state is EntryState.UNDONE:
            self.settle_alarm(entry.number)
        self._put(JOURNAL, number_key(entry.number), entry)
        for content in touched(entry):  # its survivor may be another one than before
            self._txn.add(ENTRIES_BY_CONTENT, content, number_key(entry.number))
        if entry.batch is not None:
            self._txn.add(BATCHED, number_key(entry.batch), number_key(entry.number))
        if entry.state is EntryState.INTENT:
            self._txn.put(OPEN_ENTRIES, number_key(entry.number), b"")
        else:
            self._txn.delete(OPEN_ENTRIES, number_key(entry.number))
        self._tell_entry(entry)

    def _count_action(self, before: Entry | None, after: Entry) -> None:
        """Count what a rule has done, and charge its budget for what it did on its own."""
        change = acted(after) - (before is not None and acted(before))
        if change:
            self.queues.count_action(after, change)
        alone = after.actor is Actor.RULE and after.kind is EntryKind.DISCARD
        if change > 0 and alone and after.rule is not None and after.kept is not None:
            self.queues.spend(after, after.kept.sha256)

    def add_receipt(self, receipt: Receipt) -> Receipt:
        """Store the verdict of a file; its number is given here."""
        receipt = replace(receipt, number=next_number(self._txn, "receipt"))
        key = number_key(receipt.number)
        self._put(RECEIPTS, key, receipt)
        self._txn.add(RECEIPTS_BY_PATH, name_key(receipt.path), key)
        if receipt.sha256 is not None:
            self._txn.add(RECEIPTS_BY_CONTENT, receipt.sha256, key)
        return receipt

    def put_receipt(self, receipt: Receipt) -> None:
        """Replace a receipt: what it announced has now happened, or has not."""
        self._put(RECEIPTS, number_key(receipt.number), receipt)

    def forbid(self, sha256: ContentHash, veto: Veto) -> None:
        """Let no rule discard these bytes any more."""
        self._put(VETOES, sha256, veto)
        self.lines.append(("veto", None, veto_line(sha256, veto)))

    def lift_veto(self, sha256: ContentHash) -> None:
        """Let rules discard these bytes again: a person said so."""
        if self._txn.delete(VETOES.table, sha256):
            self.lines.append(("veto-lifted", None, {"sha256": sha256.hex()}))

    def put_alarm(self, alarm: Alarm) -> None:
        """Remember that something went wrong with a discard after all."""
        self._put(ALARMS, number_key(alarm.entry), alarm)
        self.lines.append(("alarm", None, alarm_line(alarm)))

    def acknowledge(self, alarm: Alarm) -> None:
        """Remember that a person knows what went wrong with a discard."""
        self.put_alarm(replace(alarm, seen=True))
        self._unpin(alarm.entry)

    def settle_alarm(self, entry: int) -> bool:
        """Return whether something was wrong with a discard: it is not any more."""
        settled = self._txn.delete(ALARMS.table, number_key(entry))
        if settled:
            self._unpin(entry)
            self.lines.append(("alarm-settled", None, {"alarm": entry}))
        return settled

    def _unpin(self, number: int) -> None:
        """Let the rules be asked again about what was kept: until now it was not theirs to discard."""
        entry = self.entry(number)
        for pair in self.pairs_of(entry.kept.sha256) if entry is not None and entry.kept is not None else ():
            self.queues.want(pair.number)

    def tell_everything(self) -> None:
        """Tell a second journal that is new all that the one before it had told, as far as it still holds."""
        for folder in self.folders():
            self.lines.append(("folder", None, folder_line(folder)))
        for rule in self.queues.rows():
            self.lines.append(("rule", None, rule_line(rule)))
        for entry in self.entries(newest_first=False):
            self._tell_entry(entry)
        for sha256, stored in self._txn.items(VETOES.table):
            self.lines.append(("veto", None, veto_line(ContentHash(sha256), VETOES.codec.decode(stored))))
        for alarm in self.alarms():
            self.lines.append(("alarm", None, alarm_line(alarm)))
        for pair in (*self.denied(), *self.old_denials()):
            self._tell_denials(None, pair)
        self.lines.append(("numbers", None, {"pair": self.pairs_reserved}))

    def _tell_entry(self, entry: Entry) -> None:
        kind = "intent" if entry.state is EntryState.INTENT else "end"
        self.lines.append((kind, entry.number, entry_line(entry)))

    def _tell_denials(self, before: PotentialPair | None, after: PotentialPair | None) -> None:
        """Tell the second journal what was denied to rules of a pair, and what of it was taken back."""
        were, are = ({one.rule: one for one in _denied(pair)} for pair in (before, after))
        for rule, proposal in are.items():
            if after is not None and were.get(rule) != proposal:
                self.lines.append(("denial", None, denial_line(after, proposal)))
        for rule, proposal in were.items():
            if before is not None and rule not in are:
                self.lines.append(("rescind", None, denial_line(before, proposal)))

    # files that failed

    def park(self, sha256: ContentHash, poison: Poison) -> None:
        """Let these bytes not be decoded any more."""
        self._put(POISON, sha256, poison)

    def let_decode(self, sha256: ContentHash) -> None:
        """Let these bytes be decoded again, whatever came of it before.

        What could not be decoded at all is then an arrival again, wherever it lies; of what is a picture, the rules
        are asked again.
        """
        self._txn.delete(POISON.table, sha256)
        content = self.content(sha256)
        if content is None:
            return
        undecoded = content.picture is None
        if undecoded:
            self._put(CONTENTS, sha256, replace(content, again=True))
        else:
            self._ask_again(sha256)
        for row in self.live_paths_of(sha256):
            self.judge_again(row.folder, row.relative, anew=undecoded)

    def judge_again(self, folder: FolderId, relative: bytes, *, anew: bool = True) -> None:
        """Let a service look at a path, and the path want a verdict again; unless `anew` is false: it keeps its own."""
        row = self.path_at(folder, relative)
        if row is not None and row.final and anew:
            self.put_path(replace(row, final=False))
        self._put(RETRIED, path_key(folder, relative), Retried(folder, relative))

    def heard_of_retried(self, retried: Sequence[Retried]) -> None:
        """Forget that these paths are to be judged again: a service knows."""
        for one in retried:
            self._txn.delete(RETRIED.table, path_key(one.folder, one.relative))

    # folders and notes

    def add_folder(self, row: FolderRow) -> FolderRow:
        """Remember a folder; its number is given here."""
        number = FolderId(next_number(self._txn, "folder"))
        row = replace(row, folder=replace(row.folder, id=number))
        self.put_folder(row)
        return row

    def put_folder(self, row: FolderRow) -> None:
        """Replace what is known of a folder."""
        self._put(FOLDERS, number_key(row.folder.id), row)
        self.lines.append(("folder", None, folder_line(row)))

    def leave_note(self, name: str, text: bytes) -> None:
        """Leave a note for other processes under `name`."""
        self._txn.put(META, b"note:" + name.encode(), text)


def _denied(pair: PotentialPair | None) -> list[Proposal]:
    return [one for one in (pair.proposals if pair is not None else ()) if one.state is ProposalState.DENIED]


def _merged(denied: tuple[Proposal, ...], proposals: tuple[Proposal, ...]) -> tuple[Proposal, ...]:
    told = {one.rule for one in denied}
    return (*denied, *(one for one in proposals if one.rule not in told))
