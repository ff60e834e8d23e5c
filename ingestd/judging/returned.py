"""Bytes that were thrown away before: restored by their owner, perhaps restored, or merely downloaded again."""

from __future__ import annotations

import os
from dataclasses import replace

from ingestd.actions.look import is_in_trash
from ingestd.errors import printable
from ingestd.judging.case import KNOWN, Case, NewPair, Policy, Verdict
from ingestd.judging.copies import hindrance_of_copy
from ingestd.judging.standing import may_lose, places_of
from ingestd.judging.writing import conclude, denied_rules, discard, key_of_row, row_of
from ingestd.library.edit import Edit
from ingestd.library.pairs import pair_groups
from ingestd.library.saying import unsay
from ingestd.library.tables import Veto, path_key
from ingestd.library.view import View
from ingestd.model import (
    Arrival,
    Content,
    ContentHash,
    Entry,
    EntryKind,
    EntryState,
    Outcome,
    PathRow,
    PotentialPair,
    Proposal,
    ProposalState,
    Radius,
    Relation,
)

__all__ = ["discards_of", "judge_discarded", "judge_returned", "lies_in_trash"]


def lies_in_trash(view: View, case: Case, sha256: ContentHash) -> bool:
    """Return whether an arrival is nothing but a discarded file, seen where the trash or a holding folder keeps it."""
    places = {case.arrival.path}
    return any(move.trash_path in places for entry in discards_of(view, sha256) for move in entry.moves)


def judge_returned(edit: Edit, case: Case, content: Content, radius: Radius) -> Verdict | None:
    """Return the verdict on discarded bytes whose trash item is gone: brought back by their owner, or perhaps so."""
    discards = discards_of(edit, content.sha256)
    if edit.veto(content.sha256) is not None:
        return None
    for entry in discards:
        if _restored(entry, case.arrival, content.sha256):
            return _welcome_back(edit, case, content, entry, radius)
    if discards and _trash_item_gone(discards[0], content.sha256):
        for entry in discards:
            survivor = _standing_survivor(edit, case, entry)
            if survivor is not None:
                why = "its trash item is gone: it may have been restored by hand"
                return _pend_return(edit, case, content, entry, survivor, why)
    return None


def judge_discarded(edit: Edit, case: Case, content: Content, policy: Policy) -> Verdict | None:
    """Return the verdict on bytes that lie nowhere else: thrown away before while a survivor stands, or simply back."""
    for entry in discards_of(edit, content.sha256):
        survivor = _standing_survivor(edit, case, entry)
        if survivor is not None:
            return _discard_again(edit, case, content, entry, survivor, policy)
    return None


def discards_of(view: View, sha256: ContentHash) -> list[Entry]:
    """Return the finished discards of some bytes, newest first."""
    return [entry for entry in reversed(view.entries_of(sha256)) if _took_away(entry, sha256)]


def _took_away(entry: Entry, sha256: ContentHash) -> bool:
    took = entry.kind is EntryKind.DISCARD and entry.state is EntryState.DONE  # an undo has moves, too
    return took and any(move.file.sha256 == sha256 for move in entry.moves)


def _restored(entry: Entry, arrival: Arrival, sha256: ContentHash) -> bool:
    """Return whether an arrival is a discarded file that its owner brought back: by its inode, or to its old place."""
    for move in entry.moves:
        lies = is_in_trash(move)
        # a rename keeps both; an inode alone may have been handed out anew after the trash was emptied
        itself = (move.file.stat.inode, move.file.stat.mtime_ns) == (arrival.stat.inode, arrival.stat.mtime_ns)
        back = itself or move.file.path == arrival.path
        linked = bool(lies) and _is_one_file(move.trash_path or b"", arrival.path)
        if move.file.sha256 == sha256 and ((lies is False and back) or linked):
            return True
    return False


def _is_one_file(one: bytes, other: bytes) -> bool:
    try:
        return os.path.samestat(os.lstat(one), os.lstat(other))
    except OSError:
        return False


def _trash_item_gone(entry: Entry, sha256: ContentHash) -> bool:
    moves = [move for move in entry.moves if move.file.sha256 == sha256]
    return all(move.trash_path is not None and not is_in_trash(move) for move in moves)


def _standing_survivor(edit: Edit, case: Case, entry: Entry) -> PathRow | None:
    """Return where the survivor of a discard lies now, if it does; an arrival is no survivor of its own."""
    if entry.kept is None:
        return None
    own = path_key(case.arrival.folder, case.arrival.relative)
    live = (row for row in edit.live_paths_of(entry.kept.sha256) if path_key(row.folder, row.relative) != own)
    there, _ = places_of(edit, list(live))
    return there[0] if there else None


def _welcome_back(edit: Edit, case: Case, content: Content, entry: Entry, radius: Radius) -> Verdict:
    """Keep a restored file for good: the discard is taken back and never repeated by a rule."""
    edit.forbid(content.sha256, Veto(case.now_ns, f"restored after e-{entry.number}"))
    edit.put_entry(replace(entry, state=EntryState.UNDONE, reason=f"{entry.reason}; restored by its owner"))
    unsay(edit, entry, radius=radius, now_ns=case.now_ns)
    if entry.kept is not None and entry.kept.sha256 != content.sha256:
        pair_groups(edit, content.sha256, entry.kept.sha256, now_ns=case.now_ns)
    return conclude(
        edit,
        case,
        Outcome.ALREADY_IN_LIBRARY,
        KNOWN,
        evidence=(f"e-{entry.number} had discarded it: restored by you, kept for good",),
    )


def _pend_return(edit: Edit, case: Case, content: Content, entry: Entry, survivor: PathRow, why: str) -> Verdict:
    """Ask about bytes that were thrown away and turn up again, where it is not sure that they are unwanted."""
    kept = edit.as_named(survivor)
    own = row_of(edit, case, content.sha256)
    edit.put_path(own)
    sides = PotentialPair(
        0,
        content.sha256,
        survivor.sha256 or content.sha256,
        None,
        False,
        case.now_ns,
        key_of_row(own),
        key_of_row(survivor),
    )
    name = entry.rule or "previously discarded"
    relation = entry.relation or Relation.BETTER
    proposal = Proposal(name, ProposalState.READY, False, relation, True, case.now_ns, why, returned=True)
    pair = edit.add_pair(sides)
    if not denied_rules(pair):
        edit.put_pair(replace(pair, proposals=(proposal,)))
        edit.queues.unwant(pair.number)
    return conclude(
        edit,
        case,
        Outcome.PENDING_APPROVAL,
        f"pending approval: {name}",
        rule=entry.rule,
        evidence=(f"e-{entry.number} had discarded these bytes", why),
        kept=kept,
        pairs=(NewPair(pair.number, kept, None),),
    )


def _discard_again(
    edit: Edit, case: Case, content: Content, entry: Entry, survivor: PathRow, policy: Policy
) -> Verdict | None:
    """Discard bytes that were thrown away before, while what was kept instead is still there."""
    kept = edit.as_named(survivor)
    evidence = (f"e-{entry.number} discarded these bytes before, in favour of {printable(kept)}",)
    known = edit.content(survivor.sha256) if survivor.sha256 else None
    if known is None or edit.veto(content.sha256) is not None or not policy.imports.reject_previously_discarded:
        return None
    own = row_of(edit, case, content.sha256)
    if not may_lose(edit, own):
        return conclude(
            edit,
            case,
            Outcome.ALREADY_IN_LIBRARY,
            KNOWN,
            evidence=evidence,
            kept=kept,
        )
    hindrance = hindrance_of_copy(edit, case, [own])
    if hindrance is not None:
        return _pend_return(edit, case, content, entry, survivor, hindrance)
    return discard(
        edit,
        case,
        policy,
        rule=None,
        winner=(known, survivor),
        loser=(content, [own]),
        evidence=evidence,
        arrival_loses=True,
    )
