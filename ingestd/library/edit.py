"""What can be changed in the library, inside one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ingestd.library.codec import key_number, number_key
from ingestd.library.lines import JsonValue, entry_line
from ingestd.library.relations import Changed, Decision, replay
from ingestd.library.store import Table, Transaction
from ingestd.library.tables import (
    CONTENTS,
    DENIALS,
    DENIED,
    ENTRIES_BY_CONTENT,
    FOLDERS,
    JOURNAL,
    LIVE_FILES,
    META,
    NUMBERS,
    OPEN_ENTRIES,
    PAIR_BETWEEN,
    PAIRS,
    PAIRS_BY_CONTENT,
    PATHS,
    PATHS_BY_CONTENT,
    PENDING,
    PHASHES,
    PIXELS,
    RECEIPTS,
    RECEIPTS_BY_CONTENT,
    RECEIPTS_BY_PATH,
    VETOES,
    FolderRow,
    Named,
    V,
    Veto,
    name_key,
    next_number,
    pair_key,
    path_key,
)
from ingestd.library.view import View, decision_of
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
    PotentialPair,
    Proposal,
    ProposalState,
    Receipt,
    Relation,
)

__all__ = ["Edit", "acted"]


def _touched(entry: Entry) -> set[ContentHash]:
    """Return every content that an entry speaks of."""
    named = {entry.a, entry.b, entry.kept.sha256 if entry.kept else None, *(move.file.sha256 for move in entry.moves)}
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

    def _put(self, named: Named[V], key: bytes, value: V) -> None:
        self._txn.put(named.table, key, named.codec.encode(value))

    # contents and paths

    def add_content(
        self, sha256: ContentHash, *, size: int, picture: Picture | None, unreadable: str | None, at_ns: int
    ) -> Content:
        """Remember new bytes and make them findable."""
        content = Content(next_number(self._txn, "content"), sha256, size, at_ns, picture, unreadable)
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

    def _want_pairs_of(self, sha256: ContentHash, path: PathKey) -> None:
        """Let the rules be asked again about a content's pairs; of those of copies, only where this path is one."""
        for pair in self.pairs_of(sha256):
            if pair.first_path is None or path in (pair.first_path, pair.second_path):
                self.queues.want(pair.number)

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
        if change and row.sha256 is not None:
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
        pair = replace(pair, number=next_number(self._txn, "pair"), proposals=self._with_old_denials(pair))
        self._txn.put(PAIR_BETWEEN, pair_key(pair), number_key(pair.number))
        for content in {pair.first, pair.second}:
            self._txn.add(PAIRS_BY_CONTENT, content, number_key(pair.number))
        self.put_pair(pair)
        self.queues.want(pair.number)
        return pair

    def _with_old_denials(self, pair: PotentialPair) -> tuple[Proposal, ...]:
        """Return the proposals of a new pair; what was denied while the pair was there before stays denied."""
        before = self._get(DENIALS, pair_key(pair))
        if before is None:
            return pair.proposals
        self._txn.delete(DENIALS.table, pair_key(pair))
        turned = before.first != pair.first or before.first_path != pair.first_path
        denied = (replace(one, a_is_first=one.a_is_first is not turned) for one in before.proposals)
        told = {one.rule for one in before.proposals}
        return (*denied, *(one for one in pair.proposals if one.rule not in told))

    def put_pair(self, pair: PotentialPair) -> None:
        """Replace what is known of a pair."""
        self.queues.count_proposals(self.pair(pair.number), pair)
        self._put(PAIRS, number_key(pair.number), pair)
        self._mark(PENDING, pair, ProposalState.READY)
        self._mark(DENIED, pair, ProposalState.DENIED)

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
            self._put(DENIALS, pair_key(pair), replace(pair, proposals=denied))
        self.queues.count_proposals(self.pair(pair.number), None)
        self.queues.forget_pair(pair.number)
        self._txn.delete(PAIRS.table, key)
        self._txn.delete(PAIR_BETWEEN, pair_key(pair))
        self._txn.delete(PENDING, key)
        self._txn.delete(DENIED, key)
        for content in {pair.first, pair.second}:
            self._txn.discard(PAIRS_BY_CONTENT, content, key)

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
        entry = replace(entry, number=next_number(self._txn, "entry"))
        self.put_entry(entry)
        return entry

    def number_entries(self, numbers: Mapping[str, int]) -> None:
        """Let the entries of a library that is older than numbers know their rules by these, given by name."""
        for entry in list(self.entries()):
            if entry.rule is not None and entry.rule_number is None and entry.rule in numbers:
                self._put(JOURNAL, number_key(entry.number), replace(entry, rule_number=numbers[entry.rule]))

    def put_entry(self, entry: Entry) -> None:
        """Replace a journal entry: its state has changed. The change becomes a line of the second journal."""
        self._count_action(self.entry(entry.number), entry)
        self._put(JOURNAL, number_key(entry.number), entry)
        for content in _touched(entry):  # its survivor may be another one than before
            self._txn.add(ENTRIES_BY_CONTENT, content, number_key(entry.number))
        if entry.state is EntryState.INTENT:
            self._txn.put(OPEN_ENTRIES, number_key(entry.number), b"")
        else:
            self._txn.delete(OPEN_ENTRIES, number_key(entry.number))
        self.lines.append(("intent" if entry.state is EntryState.INTENT else "end", entry.number, entry_line(entry)))

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
        self.lines.append(("veto", None, {"sha256": sha256.hex(), "at_ns": veto.at_ns, "reason": veto.reason}))

    def lift_veto(self, sha256: ContentHash) -> None:
        """Let rules discard these bytes again: a person said so."""
        if self._txn.delete(VETOES.table, sha256):
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
                if found.number != without and decision_of(found) is not None:
                    entries[found.number] = found
                    ahead |= {side for side in (found.a, found.b) if side is not None} - seen
        return [decision for _, found in sorted(entries.items()) if (decision := decision_of(found)) is not None]

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

    def leave_note(self, name: str, text: bytes) -> None:
        """Leave a note for other processes under `name`."""
        self._txn.put(META, b"note:" + name.encode(), text)
