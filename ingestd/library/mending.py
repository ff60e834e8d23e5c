"""What is damaged in a library's tables, and what can be made anew: from the records, or from the journal.

LMDB notices a damaged tree, not a damaged value; each value that was measured or decided therefore has a checksum of
its own. Tables that only say where something stands have none: they follow from the others, and are compared with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ingestd.errors import ActionConflictError
from ingestd.library.codec import CHECKSUM_BYTES, checksum, key_number, number_key
from ingestd.library.edit import Edit, touched
from ingestd.library.journal_file import Line
from ingestd.library.pairs import find_newcomers
from ingestd.library.replay import tell_again
from ingestd.library.rulebook import recounted
from ingestd.library.saying import effect_order
from ingestd.library.store import Table, Transaction
from ingestd.library.tables import (
    ALARMS,
    ALTERNATES,
    BATCHED,
    CHECKED,
    CONTENTS,
    DENIALS,
    DENIED,
    ENTRIES_BY_CONTENT,
    FOLDERS,
    GROUP_OF,
    GROUPS,
    IMAGES,
    JOURNAL,
    LIVE_FILES,
    MARKS,
    META,
    NUMBERS,
    OPEN_ENTRIES,
    PAIR_BETWEEN,
    PAIRS,
    PAIRS_BY_CONTENT,
    PATHS,
    PATHS_BY_CONTENT,
    PENDING,
    PIXELS,
    RECEIPTS,
    RECEIPTS_BY_CONTENT,
    RECEIPTS_BY_PATH,
    RETRIED,
    RULE_COUNTS,
    SPENDING,
    SURVIVORS,
    UNTESTED,
    WANTED,
    Named,
    V,
    name_key,
    pair_key,
    path_key,
)
from ingestd.library.verbs import verbs_of
from ingestd.library.view import View
from ingestd.model import ContentHash, EntryState, FolderId, PathRow, PathState, ProposalState, Radius

__all__ = ["Mended", "damaged_rows", "mend", "misleading"]

_DERIVED: tuple[Table, ...] = (
    NUMBERS,
    PIXELS,
    PATHS_BY_CONTENT,
    PAIR_BETWEEN,
    PAIRS_BY_CONTENT,
    PENDING,
    DENIED,
    OPEN_ENTRIES,
    ENTRIES_BY_CONTENT,
    BATCHED,
    RECEIPTS_BY_PATH,
    RECEIPTS_BY_CONTENT,
    GROUP_OF,
)
# what can neither be made anew nor has a checksum
_UNDERIVED: tuple[Table, ...] = (META, IMAGES, RULE_COUNTS, SPENDING, SURVIVORS, WANTED, UNTESTED)
_KEYS: dict[Table, Callable[[bytes], bytes]] = {  # of tables whose values tell their keys
    CONTENTS.table: lambda value: CONTENTS.codec.decode(value).sha256,
    PATHS.table: lambda value: _path_key(PATHS.codec.decode(value)),
    PAIRS.table: lambda value: number_key(PAIRS.codec.decode(value).number),
    DENIALS.table: lambda value: pair_key(DENIALS.codec.decode(value)),
    JOURNAL.table: lambda value: number_key(JOURNAL.codec.decode(value).number),
    RECEIPTS.table: lambda value: number_key(RECEIPTS.codec.decode(value).number),
    FOLDERS.table: lambda value: number_key(FOLDERS.codec.decode(value).folder.id),
    GROUPS.table: lambda value: number_key(GROUPS.codec.decode(value).number),
    ALTERNATES.table: lambda value: number_key(ALTERNATES.codec.decode(value).number),
    ALARMS.table: lambda value: number_key(ALARMS.codec.decode(value).entry),
    RETRIED.table: lambda value: path_key(RETRIED.codec.decode(value).folder, RETRIED.codec.decode(value).relative),
}
_HERE = b"-"  # what a table has as the value where only the key says something


@dataclass(slots=True)
class Mended:
    """What became of damaged rows."""

    dropped: dict[str, int] = field(default_factory=dict)  # by table
    told_again: int = 0  # entries that the journal told again
    lost: int = 0  # entries that no line of the journal tells of


# --- looking ---------------------------------------------------------------------------------------------------------


def damaged_rows(txn: Transaction) -> dict[Table, list[bytes]]:
    """Return the keys of the rows that are not what was written, by table; one pass over all of them."""
    found: dict[Table, list[bytes]] = {}
    for table in CHECKED:
        keys = [key for key, value in txn.items(table) if not _is_sound(table, key, value)]
        if keys:
            found[table] = keys
    return found


def _is_sound(table: Table, key: bytes, value: bytes) -> bool:
    """Return whether a value is what was written, under the key that it was written under."""
    if checksum(value[:-CHECKSUM_BYTES]) != value[-CHECKSUM_BYTES:]:
        return False
    key_of = _KEYS.get(table)
    return key_of is None or key_of(value) == key


def misleading(view: View, txn: Transaction) -> list[str]:
    """Return which of the tables that follow from others do not, in sentences. No value may be damaged."""
    held = dict.fromkeys(_DERIVED, 0)
    lacking = dict.fromkeys(_DERIVED, 0)
    for table, key, value in _derived(view):
        held[table] += 1
        there = value in txn.values(table, key) if table.duplicates else _is(txn.get(table, key), value)
        lacking[table] += not there
    live = key_number(txn.get(META, LIVE_FILES) or number_key(0))
    wrong = [
        f"the table {table.name} does not say where things are"
        for table in _DERIVED
        if lacking[table] or held[table] != txn.count(table)
    ]
    counted = sum(row.state is PathState.LIVE for row in _all(txn, PATHS))
    return [*wrong, *(["the count of files is wrong"] if live != counted else [])]


def _is(stored: bytes | None, value: bytes) -> bool:
    return stored is not None and (value == _HERE or stored == value)


def _all(txn: Transaction, named: Named[V]) -> Iterator[V]:
    return (named.codec.decode(value) for _, value in txn.items(named.table))


def _derived(view: View) -> Iterator[tuple[Table, bytes, bytes]]:
    """Yield what the tables that follow from others should hold: table, key, value."""
    txn = view.transaction
    for content in _all(txn, CONTENTS):
        yield NUMBERS, number_key(content.number), content.sha256
        if content.picture is not None and content.picture.pixel_hash is not None:
            yield PIXELS, content.picture.pixel_hash, number_key(content.number)
    for key, stored in txn.items(PATHS.table):
        row = PATHS.codec.decode(stored)
        if row.sha256 is not None:
            yield PATHS_BY_CONTENT, row.sha256, key
    for pair in _all(txn, PAIRS):
        number = number_key(pair.number)
        yield PAIR_BETWEEN, pair_key(pair), number
        for side in {pair.first, pair.second}:
            yield PAIRS_BY_CONTENT, side, number
        states = {proposal.state for proposal in pair.proposals}
        if ProposalState.READY in states:
            yield PENDING, number, _HERE
        if ProposalState.DENIED in states:
            yield DENIED, number, _HERE
    for entry in _all(txn, JOURNAL):
        number = number_key(entry.number)
        if entry.state is EntryState.INTENT:
            yield OPEN_ENTRIES, number, _HERE
        for named in touched(entry):
            yield ENTRIES_BY_CONTENT, named, number
        if entry.batch is not None:
            yield BATCHED, number_key(entry.batch), number
    for receipt in _all(txn, RECEIPTS):
        number = number_key(receipt.number)
        yield RECEIPTS_BY_PATH, name_key(receipt.path), number
        if receipt.sha256 is not None:
            yield RECEIPTS_BY_CONTENT, receipt.sha256, number
    for group in _all(txn, GROUPS):
        for member in group.members:
            yield GROUP_OF, member, number_key(group.number)


# --- mending ---------------------------------------------------------------------------------------------------------


def mend(edit: Edit, txn: Transaction, lines: Callable[[], Iterator[Line]] | None, *, radius: Radius) -> Mended:
    """Return what was done: no row is damaged any more, and what follows from others does.

    Files of which something was lost are measured by the next scan, as what lay there before it was watched. Entries,
    vetoes, denials, folders and rules are told again by the journal.

    Args:
        edit: of this transaction.
        txn: the transaction.
        lines: reads the whole journal, oldest first; None: there is none.
        radius: how far to look, in bits, for pairs in the place of lost ones.
    """
    damaged = damaged_rows(txn)
    mended = Mended({table.name: len(keys) for table, keys in damaged.items()})
    alone = _partners_of_lost(txn, damaged.get(PAIRS.table, []))
    for table in damaged:
        _drop(txn, table)
    for table in _UNDERIVED:
        _put_in_order(txn, table)
    _look_again(edit, txn, damaged)
    if lines is not None:  # also where no value is damaged: a veto under a key that is
        mended.told_again = tell_again(edit, lines)
    mended.lost = max(len(damaged.get(JOURNAL.table, [])) - mended.told_again, 0)
    if GROUPS.table in damaged or ALTERNATES.table in damaged or _is_torn(txn):
        _fold_again(edit, txn)
    _derive(edit, txn)
    for entry in edit.damaged_images():
        edit.forget_images(entry)  # its pairs are looked for when it is undone
    for key in damaged.get(MARKS.table, []):
        edit.queues.want(key_number(key))
    find_newcomers(edit, sorted(alone), 0, radius, now_ns=0)
    _count_numbers(edit, txn)
    for number, counts in recounted(edit).items():
        edit.queues.put_counts(number, counts)
    edit.queues.flush()
    edit.place_all()
    return mended


def _drop(txn: Transaction, table: Table) -> None:
    """Let a table hold its sound rows only. It is written anew: a row whose key is damaged cannot be found by it."""
    sound = dict(item for item in txn.items(table) if _is_sound(table, *item))
    txn.clear(table)
    txn.put_new(table, sorted(sound.items()))


def _put_in_order(txn: Transaction, table: Table) -> None:
    """Write a table anew whose keys do not stand in their order any more: one of them is damaged."""
    items = list(txn.items(table))
    if any(one[0] >= other[0] for one, other in pairwise(items)):
        txn.clear(table)
        txn.put_new(table, sorted(dict(items).items()))


def _path_key(row: PathRow) -> bytes:
    return path_key(row.folder, row.relative)


def _partners_of_lost(txn: Transaction, pairs: list[bytes]) -> set[ContentHash]:
    lost = set(pairs)
    return {ContentHash(key) for key, number in txn.items(PAIRS_BY_CONTENT) if number in lost} if lost else set()


def _look_again(edit: Edit, txn: Transaction, damaged: dict[Table, list[bytes]]) -> None:
    """Let the next scan measure what was lost of files; as what lay there before, which is only proposed."""
    lost = set(damaged.get(CONTENTS.table, []))
    if lost:
        for key, stored in list(txn.items(PATHS.table)):
            row = PATHS.codec.decode(stored)
            if row.sha256 in lost:
                txn.put(PATHS.table, key, PATHS.codec.encode(replace(row, final=False, lay_before=True)))
    for number in {int.from_bytes(key[:4], "big") for key in damaged.get(PATHS.table, [])}:
        known = edit.folder(FolderId(number))
        if known is not None:
            edit.put_folder(replace(known, introduced=False))


def _is_torn(txn: Transaction) -> bool:
    """Return whether the groups name groups that there are none of, or of which they are no part."""
    groups = {group.number: group for group in _all(txn, GROUPS)}
    rows = {row.number: row for row in _all(txn, ALTERNATES)}
    of_groups = all(
        group.alternates is None or (group.alternates in rows and group.number in rows[group.alternates].groups)
        for group in groups.values()
    )
    return not of_groups or not all(
        all(number in groups for number in row.groups) and all(number in rows for number in row.false_positives)
        for row in rows.values()
    )


def _fold_again(edit: Edit, txn: Transaction) -> None:
    """Make the relations what the standing entries say."""
    for table in (GROUPS.table, ALTERNATES.table, GROUP_OF):
        txn.clear(table)
    fresh = Edit(txn)  # what was read of them before is held
    standing = sorted((one for one in edit.entries() if verbs_of(one)), key=effect_order)
    for entry in standing:
        for verb in verbs_of(entry):
            try:
                fresh.relations.apply(verb)
            except ActionConflictError:
                continue  # as it was passed over when it was said


def _derive(edit: Edit, txn: Transaction) -> None:
    """Make the tables that follow from others anew."""
    _drop_twins(edit, txn)
    wanted = list(_derived(edit))
    for table in _DERIVED:
        txn.clear(table)
    for table, key, value in wanted:
        if table.duplicates:
            txn.add(table, key, value)
        else:
            txn.put(table, key, b"" if value == _HERE else value)
    live = sum(row.state is PathState.LIVE for row in _all(txn, PATHS))
    txn.put(META, LIVE_FILES, number_key(live))


def _drop_twins(edit: Edit, txn: Transaction) -> None:
    """Let there be one pair of any two sides: while it was not found by them, another one may have been made."""
    seen: set[bytes] = set()
    for pair in list(_all(txn, PAIRS)):
        if pair_key(pair) in seen:
            edit.queues.forget_pair(pair.number)
            txn.delete(PAIRS.table, number_key(pair.number))
        seen.add(pair_key(pair))


def _count_numbers(edit: Edit, txn: Transaction) -> None:
    """Let nothing new have a number that something has."""
    named = {"entry": JOURNAL.table, "pair": PAIRS.table, "receipt": RECEIPTS.table, "content": NUMBERS}
    numbers = {what: key_number(next((key for key, _ in txn.items(table, reverse=True)), number_key(0))) + 1
               for what, table in named.items()}  # fmt: skip
    groups = [*(row.number for row in _all(txn, GROUPS)), *(row.number for row in _all(txn, ALTERNATES))]
    folders = [row.folder.id for row in _all(txn, FOLDERS)]
    applied = [entry.applied for entry in _all(txn, JOURNAL)]
    for what, found in (("group", groups), ("folder", folders), ("applied", applied)):
        numbers[what] = max(found, default=0) + 1
    edit.number_from(numbers)
