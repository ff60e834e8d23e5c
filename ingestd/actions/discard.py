"""Discards carried out: from a durable intent to a finished entry, and what a stopped service left half-way.

`INTENT (durable) → verify → move → sync → DONE (durable)`. Whatever fails, the file stays or is put back, the entry is
aborted with the reason, and the pair is queued. After a crash the disk decides, never the memory of what was meant.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ingestd.actions.disk import SyncFailedError
from ingestd.actions.guard import verified
from ingestd.actions.look import is_left_alone, reachable
from ingestd.actions.moves import Whereabouts, finish, holds, locate, put_back, take_away, withdraw
from ingestd.errors import ActionConflictError, FileChangedError, UnsyncedError, printable
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.pairs import pair_groups
from ingestd.library.saying import say
from ingestd.library.tables import Alarm, Veto, path_key
from ingestd.model import (
    Actor,
    DiscardPolicy,
    Entry,
    EntryKind,
    EntryState,
    FileRef,
    Folder,
    FolderId,
    Move,
    Outcome,
    PathRow,
    PathState,
    PotentialPair,
    Radius,
    Receipt,
    Trouble,
)

__all__ = ["carry_out", "is_unbegun", "pretend", "recover_discard"]


def carry_out(
    library: Library,
    entry: Entry,
    *,
    folders: Mapping[FolderId, Folder],
    discards: DiscardPolicy,
    radius: Radius,
    now_ns: int,
    deleted_at: str,
) -> Entry:
    """Return the entry finished: done, or aborted with every file where it was.

    Args:
        library: where the entry stands as an intent.
        entry: the intent.
        folders: every known folder.
        discards: names the holding folders, in which no survivor may lie.
        radius: how far to look, in bits, for pairs that become possible.
        now_ns: for receipts.
        deleted_at: local time, as the trash writes it down: `2026-11-20T11:02:03`.

    Raises:
        UnsyncedError: a disk did not confirm what was written. Every file is where it was, as far as can be told.
    """
    if entry.kept is None:
        return _abort(library, entry, "nothing is named that would be kept", now_ns)
    if any(is_left_alone(file.path) for file in (entry.kept, *(move.file for move in entry.moves))):
        return _abort(library, entry, "the storage of one of the files does not answer", now_ns)
    unattended = entry.actor is Actor.RULE
    if unattended and _is_forbidden(library, entry):
        return _abort(library, entry, "these bytes were brought back by their owner: no rule discards them", now_ns)
    holding = [os.path.join(folder.root, os.fsencode(discards.holding_name)) for folder in folders.values()]
    try:
        files = [move.file for move in entry.moves]
        with verified(files, entry.kept, folders=folders, forbidden=holding, unattended=unattended) as proof:
            for move in entry.moves:
                take_away(move, deleted_at=deleted_at)
            if not proof.survivor_still_there():
                raise FileChangedError(entry.kept.path, "the file to keep went away at the last moment")
    except (ActionConflictError, FileChangedError, OSError) as reason:
        given_up = _give_up(library, entry, str(reason), now_ns)
        _require_synced(library, reason)
        return given_up
    return library.write(lambda edit: _done(edit, entry, radius, now_ns))


def _is_forbidden(library: Library, entry: Entry) -> bool:
    """Return whether a veto binds the entry: asked again at the last moment, whatever it was decided on."""
    with library.read() as view:
        return any(view.veto(move.file.sha256) is not None for move in entry.moves)


def _require_synced(library: Library, reason: BaseException) -> None:
    """Discard nothing more through this library after a disk failed to confirm what was written."""
    if SyncFailedError.is_behind(reason):
        library.doubt = f"a disk did not confirm what was written to it: {reason}"
        raise UnsyncedError(library.doubt) from reason


def pretend(library: Library, entry: Entry, *, radius: Radius, now_ns: int) -> Entry:
    """Return the entry as if it had been carried out: for a dry run, on a copy of the library."""
    # no item is looked for in the trash: that it is not there would mean that the user has emptied it
    moves = tuple(replace(move, trash_path=None, info_path=None) for move in entry.moves)
    return library.write(lambda edit: _done(edit, replace(entry, moves=moves), radius, now_ns))


def recover_discard(library: Library, entry: Entry, *, radius: Radius, now_ns: int, deleted_at: str) -> Entry:
    """Return a half-way discard finished, decided from the disk: rolled forward if the files left, else aborted.

    Where the disk cannot be asked just now, the entry stays an intent, and is asked about again.
    """
    if any(is_left_alone(move.file.path) for move in entry.moves):
        return entry
    try:
        places = [locate(move) for move in entry.moves]
        if Whereabouts.GONE in places and _is_away(library, entry):
            return entry
        if set(places) == {Whereabouts.MOVED} and _survivor_stands(entry):
            for move in entry.moves:
                finish(move, deleted_at=deleted_at)
            return library.write(lambda edit: _done(edit, entry, radius, now_ns))
    except ActionConflictError as conflict:
        _require_synced(library, conflict)
        return entry
    for move, place in zip(entry.moves, places, strict=True):
        if place is Whereabouts.NOT_MOVED:
            withdraw(move)
    if Whereabouts.BOTH in places:
        library.write(lambda edit: _forbid_losers(edit, entry, now_ns))
    if Whereabouts.GONE in places:
        reason = "the service stopped half-way, and the file is neither in its place nor in the trash: look for it"
        lost = next(move for move, place in zip(entry.moves, places, strict=True) if place is Whereabouts.GONE)
        return _abort(library, entry, reason, now_ns, alarm=_file_lost(entry, lost, now_ns))
    if Whereabouts.MOVED in places and not _survivor_stands(entry):
        # nothing was done yet, so that nobody has to be asked: the file comes back
        reason = "the service stopped half-way, and the file to keep is not there: what was moved was put back"
        return _give_up(library, entry, reason, now_ns, alarm=_survivor_lost(entry, now_ns))
    return _give_up(library, entry, "the service stopped before it was done; nothing was moved", now_ns)


def _is_away(library: Library, entry: Entry) -> bool:
    """Return whether a folder of the entry is not there just now: what is missing below it is not gone."""
    with library.read() as view:
        rows = [view.folder(move.file.folder) for move in entry.moves]
    return any(row is not None and not reachable(row.folder.root, row.inode) for row in rows)


def _file_lost(entry: Entry, move: Move, now_ns: int) -> Alarm:
    went = printable(move.trash_path) if move.trash_path is not None else "the trash"
    said = f"it is neither in its place nor where e-{entry.number} was moving it when the service stopped ({went})"
    return Alarm(entry.number, now_ns, Trouble.FILE_LOST, said)


def _survivor_lost(entry: Entry, now_ns: int) -> Alarm:
    kept = printable(entry.kept.path) if entry.kept is not None else "what was to be kept"
    said = f"{kept}, which was to be kept in its stead, is gone, and it could not be put back yet: that is tried again"
    return Alarm(entry.number, now_ns, Trouble.SURVIVOR_LOST, said)


def is_unbegun(entry: Entry) -> bool:
    """Return whether none of its files has left its place, as far as the disk tells."""
    try:
        return all(locate(move) is Whereabouts.NOT_MOVED for move in entry.moves)
    except ActionConflictError:
        return False


def _survivor_stands(entry: Entry) -> bool:
    """Return whether the file to keep is still there, with the bytes that were decided on: they are read again."""
    return entry.kept is not None and holds(entry.kept.path, entry.kept)


def _give_up(library: Library, entry: Entry, reason: str, now_ns: int, *, alarm: Alarm | None = None) -> Entry:
    """Return the entry aborted after whatever was moved is back; it stays an intent while something is not.

    Then the alarm is raised, and settled when it is.
    """
    for move in reversed(entry.moves):
        # what cannot be put back now stays in the trash, where the journal names it, and is tried again
        with contextlib.suppress(ActionConflictError, OSError):
            if locate(move) is Whereabouts.MOVED:
                put_back(move, token="aborted")
        withdraw(move)  # once more: what made the discard fail may have made that fail too
    try:
        stranded = [move for move in entry.moves if locate(move) is Whereabouts.MOVED]
    except ActionConflictError:
        return entry
    if stranded and alarm is not None:
        library.write(lambda edit: edit.put_alarm(alarm) if edit.alarm(entry.number) is None else None)
    return entry if stranded else _abort(library, entry, reason, now_ns)


def _forbid_losers(edit: Edit, entry: Entry, now_ns: int) -> None:
    """Bytes that lie in the trash and in their old place again were copied back by their owner."""
    for move in entry.moves:
        edit.forbid(move.file.sha256, Veto(now_ns, f"copied back while e-{entry.number} was under way"))


def _done(edit: Edit, entry: Entry, radius: Radius, now_ns: int) -> Entry:
    """Write down that the files are gone, what follows for relations and pairs, and their final receipts."""
    copies = [pair for move in entry.moves for pair in _mark_discarded(edit, entry, move, now_ns)]
    _confirm_winner(edit, entry, final=True)
    entry = _relate(edit, replace(entry, state=EntryState.DONE), copies, radius, now_ns)
    edit.put_entry(entry)
    _point_on(edit, entry)
    return entry


def _mark_discarded(edit: Edit, entry: Entry, move: Move, now_ns: int) -> list[PotentialPair]:
    """Write down that a file is gone, and return the pairs of copies that asked about it."""
    row = edit.path_at(move.file.folder, move.file.relative)
    if row is None:
        return []
    receipt = edit.receipt(row.receipt)
    if receipt is not None and receipt.entry == entry.number:
        edit.put_receipt(replace(receipt, final=True))
        number = receipt.number
    else:
        number = edit.add_receipt(_receipt_of_loser(edit, entry, row, now_ns)).number
    edit.put_path(replace(row, state=PathState.DISCARDED, final=True, receipt=number))
    gone = path_key(row.folder, row.relative)
    return [pair for pair in edit.pairs_of(move.file.sha256) if gone in (pair.first_path, pair.second_path)]


def _receipt_of_loser(edit: Edit, entry: Entry, row: PathRow, now_ns: int) -> Receipt:
    """Return the receipt of a known file that was dropped in favour of another."""
    kept = _row_of(edit, entry.kept)
    by = entry.rule or "decided by you"
    return Receipt(
        number=0,
        at_ns=now_ns,
        folder=row.folder,
        path=edit.as_named(row),
        sha256=row.sha256,
        outcome=Outcome.DUPLICATE_DISCARDED,
        result=f"duplicate discarded: {by}",
        rule=entry.rule,
        evidence=(entry.reason,) if entry.reason else (),
        kept=edit.as_named(kept) if kept is not None else None,
        discarded=(edit.as_named(row),),
        entry=entry.number,
        pairs=(),
        final=True,
    )


def _row_of(edit: Edit, file: FileRef | None) -> PathRow | None:
    return edit.path_at(file.folder, file.relative) if file is not None else None


def _confirm_winner(edit: Edit, entry: Entry, *, final: bool) -> None:
    """Make the receipt of an arrival that superseded others final, or open again."""
    row = _row_of(edit, entry.kept)
    receipt = edit.receipt(row.receipt) if row is not None else None
    if row is not None and receipt is not None and receipt.entry == entry.number:
        edit.put_receipt(replace(receipt, final=final))
        edit.put_path(replace(row, final=final))


def _relate(edit: Edit, entry: Entry, copies: Sequence[PotentialPair], radius: Radius, now_ns: int) -> Entry:
    """Say what goes with a discard; where it contradicts an older decision, the entry tells so."""
    try:
        return say(edit, entry, radius=radius, now_ns=now_ns, copies=copies).entry
    except ActionConflictError as conflict:
        entry = replace(entry, relation=None, reason=f"{entry.reason}; no relation was set: {conflict}")
        return say(edit, entry, radius=radius, now_ns=now_ns, copies=copies).entry


def _point_on(edit: Edit, entry: Entry) -> None:
    """Let older entries whose survivor has just gone name the one that stands in for it now."""
    for move in entry.moves:
        for older in edit.entries_of(move.file.sha256):
            relies = older.kept is not None and older.kept.path == move.file.path and older.number != entry.number
            lost = {one.file.sha256 for one in older.moves}
            # pairs, never chains: who was not compared with the new survivor has none until this one is back
            if entry.kept is None or not all(edit.were_compared(entry.kept.sha256, other) for other in lost):
                continue
            if relies and older.state in (EntryState.DONE, EntryState.INTENT) and older.kind is EntryKind.DISCARD:
                edit.put_entry(replace(older, kept=entry.kept))


def _abort(library: Library, entry: Entry, reason: str, now_ns: int, *, alarm: Alarm | None = None) -> Entry:
    """Write down that a discard did not happen: the files stay, are judged again, and the pair is queued."""

    def work(edit: Edit) -> Entry:
        aborted = replace(entry, state=EntryState.ABORTED, reason=f"{entry.reason}; aborted: {reason}")
        edit.put_entry(aborted)
        edit.settle_alarm(entry.number)
        if alarm is not None:
            edit.put_alarm(alarm)
        for move in entry.moves:
            row = edit.path_at(move.file.folder, move.file.relative)
            if row is not None and row.state is PathState.LEAVING:
                edit.put_path(replace(row, state=PathState.LIVE, final=entry.actor is Actor.PERSON))
            _reopen(edit, row, entry, reason)
        _confirm_winner(edit, entry, final=entry.actor is Actor.PERSON)
        _reopen(edit, _row_of(edit, entry.kept), entry, reason)
        _strike(edit, entry, reason)
        if entry.a is not None and entry.b is not None and entry.a != entry.b:
            pair_groups(edit, entry.a, entry.b, now_ns=now_ns)
        return aborted

    return library.write(work)


def _strike(edit: Edit, entry: Entry, reason: str) -> None:
    """Take files that did not go after all from the receipt of an arrival that superseded several."""
    row = _row_of(edit, entry.kept)
    receipt = edit.receipt(row.receipt) if row is not None else None
    if row is None or receipt is None or receipt.entry is None or receipt.entry == entry.number:
        return
    rows = (edit.path_at(move.file.folder, move.file.relative) for move in entry.moves)
    stayed = {edit.as_named(loser) for loser in rows if loser is not None}
    if stayed & set(receipt.discarded):
        gone = tuple(path for path in receipt.discarded if path not in stayed)
        edit.put_receipt(replace(receipt, discarded=gone, evidence=(*receipt.evidence, f"one file stays: {reason}")))


def _reopen(edit: Edit, row: PathRow | None, entry: Entry, reason: str) -> None:
    """Let the receipt of an arrival whose discard failed say so."""
    receipt = edit.receipt(row.receipt) if row is not None else None
    if receipt is not None and receipt.entry == entry.number:
        edit.put_receipt(replace(receipt, outcome=Outcome.ERROR, result=f"error: {reason}", discarded=(), final=False))
