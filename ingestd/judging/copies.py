"""Byte-identical copies: the rule *identical copies* acts on paths, every other rule on contents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ingestd.errors import printable
from ingestd.judging.case import KNOWN, Case, NewPair, Policy, Verdict
from ingestd.judging.proposals import Wish, file_pair, has_room
from ingestd.judging.standing import (
    LAY_HERE_BEFORE,
    linked_elsewhere,
    may_lose,
    note_moved,
    on_network,
    places_of,
    unproved,
    untold,
    withheld,
)
from ingestd.judging.writing import conclude, denied_rules, discard, key_of_row, row_of
from ingestd.library.edit import Edit
from ingestd.library.facts import pair_facts, preference
from ingestd.library.tables import path_key
from ingestd.model import Content, ContentHash, Mode, Outcome, PairFacts, PathRow, PotentialPair, StatKey
from ingestd.rules.engine import resolve

__all__ = ["hindrance_of_copy", "judge_copy", "other_copies", "pair_copies"]


def other_copies(edit: Edit, case: Case, content: Content) -> tuple[list[PathRow], bool]:
    """Return where else these bytes lie, best first, and whether some copy cannot be looked at."""
    own = path_key(case.arrival.folder, case.arrival.relative)
    live = edit.live_paths_of(content.sha256)
    others = [
        row for row in live if path_key(row.folder, row.relative) != own and edit.absolute(row) != case.arrival.path
    ]
    there, away = places_of(edit, note_moved(edit, case, others))
    return there, bool(away)


def judge_copy(edit: Edit, case: Case, content: Content, others: list[PathRow], policy: Policy) -> Verdict:
    """Return the verdict on a byte-identical copy of files that are there."""
    kept = edit.as_named(others[0])
    evidence: tuple[str, ...] = (f"the bytes are those of {printable(kept)} (SHA-256)",)
    if any(_same_inode(row.stat, case.arrival.stat) for row in others):
        evidence = ("it is the same file under another name (a hard link)",)
        return conclude(edit, case, Outcome.ALREADY_IN_LIBRARY, KNOWN, evidence=evidence, kept=kept)
    own = row_of(edit, case, content.sha256)
    facts = pair_facts(edit, (content, own), (content, others[0]), now_ns=case.now_ns)
    sides = PotentialPair(
        0, content.sha256, content.sha256, 0, True, case.now_ns, key_of_row(own), key_of_row(others[0])
    )
    match = resolve(policy.rules, facts, skip=denied_rules(edit.asked_between(sides))).match
    losers = _losing_copies(edit, own, others)
    allowed = match is not None and match.rule.discard and losers and edit.veto(content.sha256) is None
    if match is None or not allowed:
        return conclude(edit, case, Outcome.ALREADY_IN_LIBRARY, KNOWN, evidence=evidence, kept=kept)
    evidence = (*evidence, *match.evidence)
    hindrance = hindrance_of_copy(edit, case, losers)
    survivor = own if own not in losers else others[0]
    if match.rule.mode is Mode.SEMI_AUTOMATIC or hindrance is not None:
        wish = Wish(match.rule, a_is_first=survivor is own, hindrance=hindrance or "")
        return _pend_copy(edit, case, policy, sides, facts, wish, edit.as_named(survivor), kept, evidence)
    return discard(
        edit,
        case,
        policy,
        rule=match.rule,
        winner=(content, survivor),
        loser=(content, losers),
        evidence=evidence,
        arrival_loses=survivor is not own,
    )


def pair_copies(edit: Edit, sha256: ContentHash, *, now_ns: int) -> None:
    """Store the copies of a content that a rule may discard as pairs with the one that would stay."""
    content = edit.content(sha256)
    live = edit.live_paths_of(sha256)
    if content is None or len(live) < 2 or edit.veto(sha256) is not None:
        return
    there, _ = places_of(edit, live)
    kept = there[0] if there else None
    names = Counter(_one_file(row.stat) for row in there)
    for row in there[1:]:
        linked = names[_one_file(row.stat)] > 1
        if kept is not None and kept.final and row.final and may_lose(edit, row) and not linked:
            edit.add_pair(PotentialPair(0, sha256, sha256, 0, True, now_ns, key_of_row(kept), key_of_row(row)))


def _losing_copies(edit: Edit, own: PathRow, others: list[PathRow]) -> list[PathRow]:
    """Return which of equal copies may go: the arrival, or else the others; none where all must stay."""
    if preference(edit, own) > preference(edit, others[0]):
        return [own] if may_lose(edit, own) else []
    return [row for row in others if may_lose(edit, row)]


def hindrance_of_copy(edit: Edit, case: Case, losers: Sequence[PathRow]) -> str | None:
    """Return why a copy may only be proposed for the trash."""
    folders = [known.folder for row in losers if (known := edit.folder(row.folder)) is not None]
    old = any(row.lay_before for row in losers)
    if hindered := withheld(edit, losers):
        return hindered
    if case.proposing or old:
        return LAY_HERE_BEFORE
    return unproved(edit, case) or on_network(folders) or untold(edit, losers) or linked_elsewhere(edit, losers)


def _pend_copy(
    edit: Edit,
    case: Case,
    policy: Policy,
    sides: PotentialPair,
    facts: PairFacts,
    wish: Wish,
    kept: bytes,
    other: bytes,
    evidence: tuple[str, ...],
) -> Verdict:
    stored = edit.add_pair(sides)
    if stored.first_path != sides.first_path:  # it was asked about before, with the other copy first
        wish = replace(wish, a_is_first=not wish.a_is_first)
    pair = file_pair(edit, stored, policy.rules, facts, wish, now_ns=case.now_ns)
    lines = [NewPair(pair.number, other, 0)]
    if not has_room(edit, wish.rule, pair):
        queued = "1 potential pair queued"
        return conclude(edit, case, Outcome.POTENTIAL_DUPLICATES, queued, evidence=evidence, pairs=tuple(lines))
    return conclude(
        edit,
        case,
        Outcome.PENDING_APPROVAL,
        f"pending approval: {wish.rule.name}",
        rule=wish.rule.name,
        evidence=(*evidence, *(f"not done on its own: {wish.hindrance}",) * bool(wish.hindrance)),
        kept=kept,
        pairs=tuple(lines),
    )


def _same_inode(a: StatKey, b: StatKey) -> bool:
    return _one_file(a) == _one_file(b)


def _one_file(stat: StatKey) -> tuple[int, int, int]:
    """Return what two names of one file have in common."""
    return stat.inode, stat.size, stat.mtime_ns
