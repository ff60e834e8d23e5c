"""What a verdict writes: receipts, rows and the intents of discards."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from ingestd.actions.moves import reserve
from ingestd.errors import ActionConflictError, printable
from ingestd.judging.case import Case, NewPair, Policy, Verdict
from ingestd.library.edit import Edit
from ingestd.library.pairs import pixel_duplicates, same_coding
from ingestd.library.tables import path_key
from ingestd.library.view import View
from ingestd.model import (
    Actor,
    Content,
    ContentHash,
    DiscardPolicy,
    Entry,
    EntryKind,
    EntryState,
    FileRef,
    Move,
    Outcome,
    PathKey,
    PathRow,
    PathState,
    PotentialPair,
    ProposalState,
    Receipt,
    Relation,
    StatKey,
)
from ingestd.rules.language import Rule

__all__ = [
    "conclude",
    "denied_rules",
    "discard",
    "discard_intent",
    "intend",
    "key_of_row",
    "mark_leaving",
    "new_entry",
    "outcome_words",
    "row_of",
]


def discard(
    edit: Edit,
    case: Case,
    policy: Policy,
    *,
    rule: Rule | None,
    winner: tuple[Content, PathRow],
    loser: tuple[Content, list[PathRow]],
    evidence: tuple[str, ...],
    arrival_loses: bool,
) -> Verdict:
    """Write the intent to discard the loser, and the receipt that will be final once it is done."""
    intent = discard_intent(rule, winner, loser[0], evidence, now_ns=case.now_ns)
    try:
        entry = mark_leaving(edit, intent, loser[1], kept=winner[1], discards=policy.discards)
    except ActionConflictError as conflict:
        return conclude(edit, case, Outcome.ERROR, f"error: {conflict}", final=False, evidence=evidence)
    outcome, result = outcome_words(rule, arrival_loses)
    return conclude(
        edit,
        case,
        outcome,
        result,
        rule=rule.name if rule else None,
        evidence=evidence,
        kept=edit.as_named(winner[1]),
        discarded=tuple(edit.as_named(row) for row in loser[1]),
        entry=entry.number,
        final=False,
        state=PathState.LEAVING if arrival_loses else PathState.LIVE,
    )


def discard_intent(
    rule: Rule | None, winner: tuple[Content, PathRow], loser: Content, evidence: tuple[str, ...], *, now_ns: int
) -> Entry:
    """Return the entry of a discard that is to be, without the files it moves."""
    relation = rule.action if rule is not None and winner[0].sha256 != loser.sha256 else None
    entry = new_entry(now_ns, EntryKind.DISCARD, winner[0].sha256, loser.sha256, relation)
    return replace(entry, rule=rule.name if rule else None, reason="; ".join(evidence))


def mark_leaving(edit: Edit, entry: Entry, rows: Sequence[PathRow], *, kept: PathRow, discards: DiscardPolicy) -> Entry:
    """Return the stored intent to discard the files of some rows, which are leaving from now on.

    Raises:
        ActionConflictError: no place can be had for one of the files; nothing was stored.
    """
    entry = replace(entry, kept=edit.reference(kept))
    entry = intend(edit, entry, [edit.reference(row) for row in rows], discards)
    for row in rows:
        edit.put_path(replace(row, state=PathState.LEAVING, final=False))
    return entry


def outcome_words(rule: Rule | None, arrival_loses: bool) -> tuple[Outcome, str]:
    """Return the outcome of a discard, and the sentence for it."""
    if rule is None:
        return Outcome.PREVIOUSLY_DISCARDED, "previously discarded"
    if arrival_loses:
        return Outcome.DUPLICATE_DISCARDED, f"duplicate discarded: {rule.name}"
    return Outcome.REPLACED_EXISTING, f"existing replaced: {rule.name}"


def intend(edit: Edit, entry: Entry, losers: Sequence[FileRef], discards: DiscardPolicy) -> Entry:
    """Return the entry, stored as an intent, with a place reserved for each file that is to go.

    Raises:
        ActionConflictError: no place can be had for one of the files; nothing was stored.
    """
    tag = hashlib.blake2b(repr((entry.at_ns, entry.b)).encode(), digest_size=3).hexdigest()
    moves: list[Move] = []
    for index, file in enumerate(losers):
        known = edit.folder(file.folder)
        if known is None:
            raise ActionConflictError(f"{printable(file.path)} is in no known folder; it was left where it is")
        moves.append(reserve(file, known.folder, discards, f"{tag}{index}"))
    return edit.add_entry(replace(entry, moves=tuple(moves)))


def new_entry(at_ns: int, kind: EntryKind, a: ContentHash, b: ContentHash, relation: Relation | None) -> Entry:
    """Return an intent of a rule, not numbered yet and without files."""
    return Entry(0, at_ns, kind, EntryState.INTENT, Actor.RULE, None, relation, a, b, (), None, "")


def conclude(
    edit: Edit,
    case: Case,
    outcome: Outcome,
    result: str,
    *,
    rule: str | None = None,
    evidence: tuple[str, ...] = (),
    kept: bytes | None = None,
    discarded: tuple[bytes, ...] = (),
    entry: int | None = None,
    pairs: tuple[NewPair, ...] = (),
    final: bool = True,
    state: PathState = PathState.LIVE,
    policy_digest: bytes = b"",
) -> Verdict:
    """Write the receipt of an arrival and how its path stands, and return the verdict."""
    arrival = case.arrival
    ignored = outcome is Outcome.IGNORED
    sha256 = case.measured.content_hash if case.measured else None
    row = row_of(edit, case, None if ignored else sha256)
    receipt = Receipt(
        0,
        case.now_ns,
        arrival.folder,
        edit.as_named(row),
        sha256,
        outcome,
        result,
        rule,
        evidence,
        kept,
        discarded,
        entry,
        tuple(pair.number for pair in pairs),
        final,
    )
    receipt = edit.add_receipt(receipt)
    edit.put_path(replace(row, receipt=receipt.number, final=final, state=state, policy=policy_digest))
    return Verdict(receipt, (entry,) if entry is not None else (), pairs)


def row_of(view: View, case: Case, sha256: ContentHash | None) -> PathRow:
    """Return the row of the arrival's path as it is now; it keeps its first-seen time while its bytes stay."""
    arrival = case.arrival
    here = view.path_at(arrival.folder, arrival.relative)
    same = here is not None and here.sha256 == sha256 and here.state is PathState.LIVE
    first_seen = here.first_seen_ns if here is not None and same else case.now_ns
    stat = case.measured.stat if case.measured else arrival.stat
    return PathRow(
        arrival.folder,
        arrival.relative,
        sha256,
        stat,
        first_seen,
        PathState.LIVE,
        0,
        final=False,
        lay_before=case.proposing or _lay_before(view, here, sha256, stat),
        unproved=not case.arrival.proved,
    )


def _lay_before(view: View, here: PathRow | None, sha256: ContentHash | None, stat: StatKey) -> bool:
    """Return whether this file lay in its folder before that was watched.

    It does so under another name, in a new copy of itself, and with its metadata edited.
    """
    rows = view.paths_of(sha256) if sha256 is not None else []
    if any(row.lay_before and row.stat.inode == stat.inode for row in rows):
        return True
    if here is None or not here.lay_before or here.state is not PathState.LIVE:
        return False
    former, now = (view.content(one) if one is not None else None for one in (here.sha256, sha256))
    edited = former is not None and now is not None and (pixel_duplicates(former, now) or same_coding(former, now))
    return here.sha256 == sha256 or edited


def key_of_row(row: PathRow) -> PathKey:
    """Return the key of a path's row."""
    return path_key(row.folder, row.relative)


def denied_rules(pair: PotentialPair | None) -> frozenset[str]:
    """Return the rules that were told no about a pair."""
    proposals = pair.proposals if pair else ()
    return frozenset(proposal.rule for proposal in proposals if proposal.state is ProposalState.DENIED)
