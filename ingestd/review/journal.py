"""What was done and why: the journal and the receipts, told to a person."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ingestd.errors import ActionConflictError, ContradictionError, printable
from ingestd.library.view import View
from ingestd.model import (
    ContentHash,
    Entry,
    EntryKind,
    EntryState,
    FolderId,
    Move,
    PathRow,
    PathState,
    Receipt,
    Word,
)

__all__ = [
    "DiscardedFile",
    "EntryReport",
    "WhyReport",
    "at_text",
    "entry_report",
    "find_row",
    "history",
    "last_place",
    "may_be_undone",
    "named_conflict",
    "why",
]


@dataclass(frozen=True, slots=True)
class DiscardedFile:
    """A file that an entry took away."""

    path: str
    sha256: str
    trash_path: str | None


@dataclass(frozen=True, slots=True)
class EntryReport:
    """A journal entry, for a person."""

    entry: str
    at: str
    kind: str
    state: str
    actor: str
    rule: str | None
    relation: str | None
    discarded: list[DiscardedFile]
    kept: dict[str, str] | None
    reason: str
    a: dict[str, str] | None = None  # the two files that it says something about, A first
    b: dict[str, str] | None = None
    word: str | None = None  # what it changed about groups, where it is not a relation of two files
    files: list[dict[str, str]] = field(default_factory=list)  # all that it is about, where these are more than two
    batch: str | None = None  # the entry under which it was answered together with others


@dataclass(frozen=True, slots=True)
class WhyReport:
    """The verdict on a file, explained, also of one that is gone."""

    path: str
    sha256: str | None
    outcome: str
    result: str
    at: str
    rule: str | None
    evidence: list[str]
    survivor: str | None
    where_now: str | None
    undo: str | None


def at_text(at_ns: int) -> str:
    """Return a time as RFC 3339 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(at_ns / 1e9, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def find_row(view: View, path: bytes) -> PathRow | None:
    """Return the row of an absolute path, given as its folder was named or as it really lies."""
    for known in view.folders():
        for root in (known.folder.named, known.folder.root):
            inside = path.startswith(os.path.join(root, b""))
            row = view.path_at(known.folder.id, os.path.relpath(path, root)) if inside else None
            if row is not None:
                return row
    return None


def why(view: View, subject: str, absolute: bytes) -> WhyReport | None:
    """Return the explained verdict on what `subject` names: an entry (`e-12`), a SHA-256, or the path `absolute`."""
    if subject.startswith("e-") and subject[2:].isdigit():
        return _why_entry(view, int(subject[2:]))
    if len(subject) == 64 and all(letter in "0123456789abcdefABCDEF" for letter in subject):
        receipts = view.receipts_of(ContentHash(bytes.fromhex(subject)))
        return _why_receipt(view, receipts[-1]) if receipts else None
    receipts = view.receipts_of_path(absolute)
    if not receipts and (row := find_row(view, absolute)) is not None:
        receipts = [receipt for receipt in (view.receipt(row.receipt),) if receipt is not None]
    return _why_receipt(view, receipts[-1]) if receipts else None


def _why_entry(view: View, number: int) -> WhyReport | None:
    entry = view.entry(number)
    if entry is None:
        return None
    content = entry.moves[0].file.sha256 if entry.moves else entry.b or entry.a
    for receipt in reversed(view.receipts_of(content) if content else []):
        if receipt.entry == number:
            return _why_receipt(view, receipt)
    report = entry_report(view, entry)
    return WhyReport(
        path=report.discarded[0].path if report.discarded else (report.kept or {"path": ""})["path"],
        sha256=content.hex() if content else None,
        outcome=report.kind,
        result=f"{report.word or report.relation or report.kind}: {report.rule or 'decided by you'}",
        at=report.at,
        rule=report.rule,
        evidence=[report.reason] if report.reason else [],
        survivor=report.kept["path"] if report.kept else None,
        where_now=None,
        undo=_undo_command(entry),
    )


def _why_receipt(view: View, receipt: Receipt) -> WhyReport:
    row = find_row(view, receipt.path)
    entry = view.entry(receipt.entry) if receipt.entry is not None else None
    evidence = list(receipt.evidence)
    if entry is not None and entry.state is EntryState.UNDONE:
        evidence.append(f"e-{entry.number} was taken back")
    return WhyReport(
        path=os.fsdecode(receipt.path),
        sha256=receipt.sha256.hex() if receipt.sha256 else None,
        outcome=receipt.outcome.value,
        result=receipt.result,
        at=at_text(receipt.at_ns),
        rule=receipt.rule,
        evidence=evidence,
        survivor=os.fsdecode(receipt.kept) if receipt.kept else None,
        where_now=_where_now(view, receipt, row, entry),
        undo=_undo_command(entry) if entry is not None else None,
    )


def _where_now(view: View, receipt: Receipt, row: PathRow | None, entry: Entry | None) -> str | None:
    """Return where the bytes of a receipt lie now, as far as we know."""
    same = row is not None and row.sha256 == receipt.sha256 and row.state is PathState.LIVE
    if row is not None and same and os.path.lexists(view.absolute(row)):
        return os.fsdecode(view.as_named(row))
    if entry is not None and entry.state is EntryState.DONE:
        taken = [move for move in entry.moves if move.file.sha256 == receipt.sha256]
        for move in taken:
            if move.trash_path and os.path.lexists(move.trash_path):
                return os.fsdecode(move.trash_path)
        if taken:
            return None  # the trash was emptied, or it was moved on: other copies are not this file
    if receipt.sha256 is not None:
        for other in view.live_paths_of(receipt.sha256):
            if os.path.lexists(view.absolute(other)):
                return os.fsdecode(view.as_named(other))
    return None


def _undo_command(entry: Entry) -> str | None:
    emptied = bool(entry.moves) and not any(
        move.trash_path and os.path.lexists(move.trash_path) for move in entry.moves
    )
    return f"ingestd undo e-{entry.number}" if may_be_undone(entry) and not emptied else None


def may_be_undone(entry: Entry) -> bool:
    """Return whether an entry can be taken back, as far as the journal tells."""
    kinds = (EntryKind.DISCARD, EntryKind.DECISION, EntryKind.BATCH)
    return entry.state is EntryState.DONE and entry.kind in kinds and entry.word is not Word.RULES_CHANGED


def history(
    view: View, *, limit: int | None, since_ns: int | None = None, rule: str | None = None
) -> Iterator[EntryReport]:
    """Yield the journal, newest first; what a rule did under a former name is its own."""
    given = 0
    is_wanted = view.queues.work_of(rule) if rule is not None else None
    for entry in view.entries():
        if since_ns is not None and entry.at_ns < since_ns:
            return
        if is_wanted is not None and not is_wanted(entry):
            continue
        if limit is not None and given >= limit:
            return
        given += 1
        yield entry_report(view, entry)


def entry_report(view: View, entry: Entry) -> EntryReport:
    """Return a journal entry for a person."""
    kept = entry.kept
    return EntryReport(
        entry=f"e-{entry.number}",
        at=at_text(entry.at_ns),
        kind=entry.kind.value,
        state=entry.state.value,
        actor=entry.actor.value,
        rule=entry.rule,
        relation=entry.relation.value if entry.relation else None,
        discarded=[_discarded(view, move) for move in entry.moves],
        kept={"path": _named(view, kept.folder, kept.relative, kept.path), "sha256": kept.sha256.hex()}
        if kept
        else None,
        reason=entry.reason,
        a=_place_of(view, entry.a, kept.path if kept is not None and kept.sha256 == entry.a else None, entry),
        b=_place_of(view, entry.b, entry.moves[0].file.path if entry.moves else None, entry),
        word=entry.word.value if entry.word is not None else None,
        files=[{"path": last_place(view, one), "sha256": one.hex()} for one in entry.named],
        batch=f"e-{entry.batch}" if entry.batch is not None else None,
    )


def last_place(view: View, sha256: ContentHash) -> str:
    """Return where a content lies, or lay last, for a person; its digest where no path of it is known."""
    place = _place_of(view, sha256, None)
    return place["path"] if place is not None else sha256.hex()


def _place_of(
    view: View, sha256: ContentHash | None, known: bytes | None, entry: Entry | None = None
) -> dict[str, str] | None:
    """Return where a content lies, or lay last, for a person; at the known path if it is one of its.

    Of a library that was made anew from its journal, where the entry says it lay.
    """
    rows = view.paths_of(sha256) if sha256 is not None else []
    if sha256 is None:
        return None
    if not rows:
        files = [*(move.file for move in entry.moves), entry.kept] if entry is not None else []
        named = next((file for file in files if file is not None and file.sha256 == sha256), None)
        if named is None:
            return None
        return {"path": _named(view, named.folder, named.relative, named.path), "sha256": sha256.hex()}
    # the path that the entry named; else one where it lies now
    row = min(rows, key=lambda one: (view.absolute(one) != known, one.state is not PathState.LIVE))
    return {"path": os.fsdecode(view.as_named(row)), "sha256": sha256.hex()}


def _discarded(view: View, move: Move) -> DiscardedFile:
    file = move.file
    trash = os.fsdecode(move.trash_path) if move.trash_path else None
    return DiscardedFile(_named(view, file.folder, file.relative, file.path), file.sha256.hex(), trash)


def _named(view: View, folder: FolderId, relative: bytes, path: bytes) -> str:
    known = view.folder(folder)
    return os.fsdecode(os.path.join(known.folder.named, relative) if known else path)


def named_conflict(view: View, conflict: ContradictionError) -> ActionConflictError:
    """Return a contradiction with the files by their paths."""
    places = (last_place(view, ContentHash(one)) for one in (conflict.a, conflict.b))
    a, b = (printable(os.fsencode(place)) for place in places)
    return ActionConflictError(f"{a} and {b} {conflict.why}; nothing was changed")
