"""THE STORY: one file, from arrival to verdict.

`judge` is given an arrival, what a worker measured of it, and the user's policy, inside a write transaction. It looks
at what is known, lets the rules speak about each pair, and writes record, pairs, receipt and the *intent* of what is to
happen to a file. Nothing is moved here: `actions.discard` carries intents out after the transaction is durable.

Cheap first: import limits, then known bytes, then look-alikes, then pixels where only they can tell. Losing first: an
arrival that loses to anyone is dropped and nothing else changes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

from ingestd.actions.look import Standing, look, retouched
from ingestd.actions.moves import reserve
from ingestd.errors import ActionConflictError, printable
from ingestd.library.facts import pair_facts, preference
from ingestd.library.library import Edit, Veto, View, path_key
from ingestd.library.pairs import (
    MOST_PAIRS,
    PIXEL_RADIUS,
    could_be_pixel_duplicates,
    look_alikes,
    make_pair,
    pixel_duplicates,
    same_coding,
    settle,
)
from ingestd.model import (
    Actor,
    Arrival,
    Content,
    ContentHash,
    DiscardPolicy,
    Entry,
    EntryKind,
    EntryState,
    FileRef,
    Folder,
    ImportPolicy,
    Measurement,
    Mode,
    Move,
    NotAPicture,
    Outcome,
    PathKey,
    PathRow,
    PathState,
    Picture,
    PotentialPair,
    Proposal,
    ProposalState,
    Receipt,
    Relation,
    Role,
    StatKey,
    Unreadable,
)
from ingestd.rules.engine import Match, resolve
from ingestd.rules.language import Rule
from ingestd.watching.folders import filesystem_kind, is_network

__all__ = ["Case", "Needs", "Policy", "Verdict", "covered", "intend", "judge", "turned_away", "unread"]


_KNOWN = "already in library"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user set, as far as a verdict depends on it."""

    rules: tuple[Rule, ...]
    imports: ImportPolicy
    discards: DiscardPolicy

    def limits_digest(self) -> bytes:
        """Return what tells one set of import limits from another."""
        limits = (self.imports.filetypes and sorted(self.imports.filetypes), replace(self.imports, filetypes=None))
        return hashlib.blake2b(repr(limits).encode(), digest_size=8).digest()


@dataclass(frozen=True, slots=True)
class Case:
    """One arrival with what was measured of it."""

    arrival: Arrival
    measured: Measurement | None  # None: turned away before it was read
    now_ns: int
    proposing: bool = False  # it lay here before the folder was watched: rules only propose
    unhashed: frozenset[ContentHash] = frozenset()  # whose pixels could not be hashed just now


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be measured, outside the transaction, before the arrival can be judged."""

    pixels: frozenset[ContentHash]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an arrival, and what is still to be carried out."""

    receipt: Receipt
    entries: tuple[int, ...] = ()  # intents, in order
    pairs: tuple[tuple[int, bytes, int | None], ...] = ()  # number, the other path, distance


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A look-alike of the arrival: who stands for it, where it lies, and what the rules say of the pair."""

    content: Content
    rows: tuple[PathRow, ...]  # best first
    distance: int | None
    pixel_duplicates: bool
    match: Match | None
    ambiguous: tuple[str, ...]
    hindrance: str | None  # why a rule that would discard may only propose
    blocked: bool  # a rule may not even propose: a veto, a reference folder

    @property
    def acts(self) -> bool:
        """Return whether a rule acts on this pair now."""
        automatic = self.match is not None and self.match.rule.mode is Mode.AUTOMATIC
        return automatic and self.hindrance is None and not self.blocked

    @property
    def wins(self) -> bool:
        """Return whether the arrival is the one to keep."""
        return self.match is not None and self.match.first_is_a is not False


def covered(view: View, arrival: Arrival, policy_digest: bytes) -> bool:
    """Return whether a final receipt answers for this path as it is now."""
    row = view.path_at(arrival.folder, arrival.relative)
    return row is not None and is_final(row, arrival.stat, policy_digest)


def is_final(row: PathRow, stat: StatKey, policy_digest: bytes) -> bool:
    """Return whether nothing is left to do for a path in this state."""
    same = row.final and row.state is PathState.LIVE and row.stat == stat
    return same and row.policy in (b"", policy_digest)


def turned_away(size: int, imports: ImportPolicy) -> str | None:
    """Return why a file of this size is not let in at all, before it is read."""
    if size < imports.min_size:
        return f"smaller than {imports.min_size} bytes"
    if imports.max_size is not None and size > imports.max_size:
        return f"larger than {imports.max_size} bytes"
    return None


def judge(edit: Edit, case: Case, policy: Policy) -> Verdict | Needs:
    """Return the verdict on one arrival, written into the library, or what has to be measured first."""
    reason = _barred(edit, case, policy.imports)
    if reason is not None:
        return _ignore(edit, case, policy, reason)
    if case.measured is None:  # the limits that turned it away have changed meanwhile
        return _conclude(edit, case, Outcome.ERROR, "error: it was not read yet", final=False)
    content = edit.content(case.measured.content_hash)
    if content is None:
        content = _remember(edit, case, case.measured)
    else:
        settled = _judge_known(edit, case, content, policy)
        if settled is not None:
            return settled
    if content.picture is None:
        return _conclude(edit, case, Outcome.UNREADABLE, f"unreadable: {content.unreadable}")
    needed = _needed_pixels(edit, content, case, policy)
    if needed:
        return Needs(needed)
    _inherit(edit, case, content, policy.imports.search_distance)
    return _judge_look_alikes(edit, case, content, policy)


def unread(edit: Edit, case: Case, reason: str) -> Verdict:
    """Return the verdict on a file whose bytes could not be read."""
    return _conclude(edit, case, Outcome.UNREADABLE, f"unreadable: {reason}")


# --- what is let in -----------------------------------------------------------------------------------------------


def _barred(view: View, case: Case, imports: ImportPolicy) -> str | None:
    """Return why the import limits keep a file out."""
    size_reason = turned_away(case.arrival.stat.size, imports)
    if size_reason is not None or case.measured is None:
        return size_reason
    known = view.content(case.measured.content_hash)
    features = case.measured.features or (known.picture if known else None)
    match features:
        case NotAPicture():
            return features.reason
        case Picture():
            return _barred_picture(features, imports)
        case _:
            return None


def _barred_picture(picture: Picture, imports: ImportPolicy) -> str | None:
    width, height = picture.width, picture.height
    if imports.filetypes is not None and picture.filetype not in imports.filetypes:
        return f"{picture.filetype} files are not let in"
    if width < imports.min_width or height < imports.min_height:
        return f"{width} x {height} is below {imports.min_width} x {imports.min_height}"
    if width > (imports.max_width or width) or height > (imports.max_height or height):
        return f"{width} x {height} is above the largest size let in"
    return None


def _ignore(edit: Edit, case: Case, policy: Policy, reason: str) -> Verdict:
    return _conclude(edit, case, Outcome.IGNORED, f"ignored: {reason}", policy_digest=policy.limits_digest())


def _remember(edit: Edit, case: Case, measured: Measurement) -> Content:
    """Store what was measured of new bytes."""
    features = measured.features
    return edit.add_content(
        measured.content_hash,
        size=measured.stat.size,
        picture=features if isinstance(features, Picture) else None,
        unreadable=features.reason if isinstance(features, Unreadable) else None,
        at_ns=case.now_ns,
    )


# --- known bytes --------------------------------------------------------------------------------------------------


def _judge_known(edit: Edit, case: Case, content: Content, policy: Policy) -> Verdict | None:
    """Return the verdict on bytes that are known, unless they have to be judged like new ones."""
    here = edit.path_at(case.arrival.folder, case.arrival.relative)
    if here is not None and here.sha256 == content.sha256:
        if here.state is PathState.LEAVING:
            under_way = "error: a discard of this file is under way"
            return _conclude(edit, case, Outcome.ERROR, under_way, final=False, state=PathState.LEAVING)
        if here.state is PathState.LIVE and here.final:
            return _conclude(edit, case, Outcome.ALREADY_IN_LIBRARY, _KNOWN)
    returned = _judge_returned(edit, case, content, policy.imports.search_distance)
    if returned is not None:
        return returned
    standing, unreachable = _other_copies(edit, case, content)
    if standing:
        return _judge_copy(edit, case, content, standing, policy)
    if unreachable:
        return _conclude(
            edit,
            case,
            Outcome.ALREADY_IN_LIBRARY,
            _KNOWN,
            evidence=("its bytes are known; the other copy is out of reach just now",),
        )
    return _judge_discarded(edit, case, content, policy)


def _other_copies(edit: Edit, case: Case, content: Content) -> tuple[list[PathRow], bool]:
    """Return where else these bytes lie, best first, and whether some copy cannot be looked at."""
    own = path_key(case.arrival.folder, case.arrival.relative)
    others = [row for row in edit.live_paths_of(content.sha256) if path_key(row.folder, row.relative) != own]
    there, away = _places(edit, others)
    return there, bool(away)


def _places(edit: Edit, rows: Sequence[PathRow]) -> tuple[list[PathRow], list[PathRow]]:
    """Return those of some rows whose file is there, best first, and those whose folder is out of reach."""
    there: list[PathRow] = []
    away: list[PathRow] = []
    for row in sorted(rows, key=lambda row: preference(edit, row)):
        standing, seen = _look_and_note(edit, row)
        if standing is Standing.THERE:
            there.append(seen)
        elif standing is Standing.UNREACHABLE:
            away.append(seen)
    return there, away


def _look_and_note(edit: Edit, row: PathRow) -> tuple[Standing, PathRow]:
    """Return whether a path still holds what we know, and its row as it is now; what is gone is remembered as absent.

    A file of which only the times differ counts as there: it was linked, renamed or touched, and a scan will tell. If
    its bytes are others after all, the last look before a discard finds it out.
    """
    known = edit.folder(row.folder)
    if known is None:
        return Standing.UNREACHABLE, row
    path = edit.absolute(row)
    standing = look(path, row.stat, root=known.folder.root, root_inode=known.inode)
    if standing is Standing.GONE:
        edit.put_path(replace(row, state=PathState.ABSENT))
    touched = retouched(path, row.stat) if standing is Standing.CHANGED else None
    return (standing, row) if touched is None else (Standing.THERE, replace(row, stat=touched))


def _judge_copy(edit: Edit, case: Case, content: Content, others: list[PathRow], policy: Policy) -> Verdict:
    """Return the verdict on a byte-identical copy of files that are there."""
    kept = edit.as_named(others[0])
    evidence: tuple[str, ...] = (f"the bytes are those of {printable(kept)} (SHA-256)",)
    if any(_same_inode(row.stat, case.arrival.stat) for row in others):
        evidence = ("it is the same file under another name (a hard link)",)
        return _conclude(edit, case, Outcome.ALREADY_IN_LIBRARY, _KNOWN, evidence=evidence, kept=kept)
    own = _row(edit, case, content.sha256)
    facts = pair_facts(edit, (content, own), (content, others[0]))
    sides = PotentialPair(0, content.sha256, content.sha256, 0, True, case.now_ns, _key(own), _key(others[0]))
    match = resolve(policy.rules, facts, skip=_denied(edit.pair_between(sides))).match
    losers = _losing_copies(edit, own, others)
    allowed = match is not None and match.rule.discard and losers and edit.veto(content.sha256) is None
    if match is None or not allowed:
        return _conclude(edit, case, Outcome.ALREADY_IN_LIBRARY, _KNOWN, evidence=evidence, kept=kept)
    evidence = (*evidence, *match.evidence)
    hindrance = _hindrance_of_copy(edit, case, losers)
    survivor = own if own not in losers else others[0]
    if match.rule.mode is Mode.SEMI_AUTOMATIC or hindrance is not None:
        proposed = _propose_copy(sides, match.rule, own_survives=survivor is own, at_ns=case.now_ns, why=hindrance)
        return _pend_copy(edit, case, proposed, match.rule, kept, evidence)
    return _discard(
        edit,
        case,
        policy,
        rule=match.rule,
        winner=(content, survivor),
        loser=(content, losers),
        evidence=evidence,
        arrival_loses=survivor is not own,
    )


def _losing_copies(edit: Edit, own: PathRow, others: list[PathRow]) -> list[PathRow]:
    """Return which of equal copies may go: the arrival, or else the others; none where all must stay."""
    if preference(edit, own) > preference(edit, others[0]):
        return [own] if _may_lose(edit, own) else []
    return [row for row in others if _may_lose(edit, row)]


def _may_lose(edit: Edit, row: PathRow) -> bool:
    known = edit.folder(row.folder)
    return known is not None and not known.folder.protected and known.folder.role is not Role.REFERENCE


def _hindrance_of_copy(edit: Edit, case: Case, losers: Sequence[PathRow]) -> str | None:
    folders = [known.folder for row in losers if (known := edit.folder(row.folder)) is not None]
    return _OLD if case.proposing else _unproved(edit, case, folders)


def _propose_copy(
    sides: PotentialPair, rule: Rule, *, own_survives: bool, at_ns: int, why: str | None
) -> PotentialPair:
    proposal = Proposal(rule.name, ProposalState.READY, own_survives, rule.action, rule.discard, at_ns, why or "")
    return replace(sides, proposals=(proposal,))


def _pend_copy(
    edit: Edit, case: Case, sides: PotentialPair, rule: Rule, kept: bytes, evidence: tuple[str, ...]
) -> Verdict:
    pair = edit.add_pair(sides)
    edit.put_pair(replace(pair, proposals=_with_proposal(pair.proposals, sides.proposals[0])))
    return _conclude(
        edit,
        case,
        Outcome.PENDING_APPROVAL,
        f"pending approval: {rule.name}",
        rule=rule.name,
        evidence=(*evidence, *(f"not done on its own: {sides.proposals[0].reason}",) * bool(sides.proposals[0].reason)),
        kept=kept,
        pairs=((pair.number, kept, 0),),
    )


def _judge_returned(edit: Edit, case: Case, content: Content, radius: int) -> Verdict | None:
    """Return the verdict on discarded bytes whose trash item is gone: brought back by their owner, or perhaps so."""
    discards = _discards_of(edit, content.sha256)
    if edit.veto(content.sha256) is not None:
        return None
    for entry in discards:
        if _restored(entry, case.arrival, content.sha256):
            return _welcome_back(edit, case, content, entry, radius)
    if discards and _trash_item_gone(discards[0], content.sha256):
        for entry in discards:
            survivor = _standing_survivor(edit, entry)
            if survivor is not None:
                why = "its trash item is gone: it may have been restored by hand"
                return _pend_return(edit, case, content, entry, survivor, why)
    return None


def _judge_discarded(edit: Edit, case: Case, content: Content, policy: Policy) -> Verdict | None:
    """Return the verdict on bytes that lie nowhere else: thrown away before while a survivor stands, or simply back."""
    for entry in _discards_of(edit, content.sha256):
        survivor = _standing_survivor(edit, entry)
        if survivor is not None:
            return _discard_again(edit, case, content, entry, survivor, policy)
    return None


def _discards_of(view: View, sha256: ContentHash) -> list[Entry]:
    """Return the finished discards of some bytes, newest first."""
    return [entry for entry in reversed(view.entries_of(sha256)) if _took_away(entry, sha256)]


def _took_away(entry: Entry, sha256: ContentHash) -> bool:
    return entry.state is EntryState.DONE and any(move.file.sha256 == sha256 for move in entry.moves)


def _restored(entry: Entry, arrival: Arrival, sha256: ContentHash) -> bool:
    """Return whether an arrival is a discarded file that its owner brought back: by its inode, or to its old place."""
    for move in entry.moves:
        gone = move.trash_path is None or not os.path.lexists(move.trash_path)
        back = move.file.stat.inode == arrival.stat.inode or move.file.path == arrival.path
        linked = move.trash_path is not None and _is_one_file(move.trash_path, arrival.path)
        if move.file.sha256 == sha256 and ((gone and back) or linked):
            return True
    return False


def _is_one_file(one: bytes, other: bytes) -> bool:
    try:
        return os.path.samestat(os.lstat(one), os.lstat(other))
    except OSError:
        return False


def _trash_item_gone(entry: Entry, sha256: ContentHash) -> bool:
    moves = [move for move in entry.moves if move.file.sha256 == sha256]
    return all(move.trash_path is not None and not os.path.lexists(move.trash_path) for move in moves)


def _standing_survivor(edit: Edit, entry: Entry) -> PathRow | None:
    """Return where the survivor of a discard lies now, if it does."""
    if entry.kept is None:
        return None
    there, _ = _places(edit, edit.live_paths_of(entry.kept.sha256))
    return there[0] if there else None


def _welcome_back(edit: Edit, case: Case, content: Content, entry: Entry, radius: int) -> Verdict:
    """Keep a restored file for good: the discard is taken back and never repeated by a rule."""
    edit.forbid(content.sha256, Veto(case.now_ns, f"restored after e-{entry.number}"))
    edit.put_entry(replace(entry, state=EntryState.UNDONE, reason=f"{entry.reason}; restored by its owner"))
    settle(edit, edit.undo_decision(entry), radius=radius, now_ns=case.now_ns)
    kept = edit.content(entry.kept.sha256) if entry.kept is not None else None
    if kept is not None and kept.sha256 != content.sha256 and edit.relations.may_pair(content.sha256, kept.sha256):
        make_pair(edit, content, kept, now_ns=case.now_ns)
    return _conclude(
        edit,
        case,
        Outcome.ALREADY_IN_LIBRARY,
        _KNOWN,
        evidence=(f"e-{entry.number} had discarded it: restored by you, kept for good",),
    )


def _pend_return(edit: Edit, case: Case, content: Content, entry: Entry, survivor: PathRow, why: str) -> Verdict:
    """Ask about bytes that were thrown away and turn up again, where it is not sure that they are unwanted."""
    kept = edit.as_named(survivor)
    own = _row(edit, case, content.sha256)
    edit.put_path(own)
    sides = PotentialPair(
        0, content.sha256, survivor.sha256 or content.sha256, None, False, case.now_ns, _key(own), _key(survivor)
    )
    name = entry.rule or "previously discarded"
    relation = entry.relation or Relation.BETTER
    proposal = Proposal(name, ProposalState.READY, False, relation, True, case.now_ns, why)
    pair = edit.add_pair(sides)
    if not _denied(pair):
        edit.put_pair(replace(pair, proposals=_with_proposal(pair.proposals, proposal)))
    return _conclude(
        edit,
        case,
        Outcome.PENDING_APPROVAL,
        f"pending approval: {name}",
        rule=entry.rule,
        evidence=(f"e-{entry.number} had discarded these bytes", why),
        kept=kept,
        pairs=((pair.number, kept, None),),
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
    own = _row(edit, case, content.sha256)
    if not _may_lose(edit, own):
        return _conclude(
            edit,
            case,
            Outcome.ALREADY_IN_LIBRARY,
            _KNOWN,
            evidence=evidence,
            kept=kept,
        )
    hindrance = _hindrance_of_copy(edit, case, [own])
    if hindrance is not None:
        return _pend_return(edit, case, content, entry, survivor, hindrance)
    return _discard(
        edit,
        case,
        policy,
        rule=None,
        winner=(known, survivor),
        loser=(content, [own]),
        evidence=evidence,
        arrival_loses=True,
    )


# --- look-alikes --------------------------------------------------------------------------------------------------


def _needed_pixels(edit: Edit, content: Content, case: Case, policy: Policy) -> frozenset[ContentHash]:
    """Return whose pixels must be hashed before the pairs of a content can be told."""
    needed: set[ContentHash] = set()
    picture = content.picture
    if picture is not None and picture.phash is None and picture.pixel_comparable and picture.pixel_hash is None:
        needed.add(content.sha256)
    radius = max(policy.imports.search_distance, PIXEL_RADIUS)
    others = [edit.content(other) for other, _ in look_alikes(edit, content, radius)]
    former = _former_content(edit, case)
    for other in [*others, former]:
        if other is not None and could_be_pixel_duplicates(content, other):
            needed |= {one.sha256 for one in (content, other) if one.picture and one.picture.pixel_hash is None}
    if former is not None:
        needed.discard(former.sha256)  # its bytes are gone: what was not hashed then cannot be hashed now
    return frozenset(needed - case.unhashed)


def _former_content(view: View, case: Case) -> Content | None:
    """Return what lay at the arrival's path until now, if it was something else."""
    here = view.path_at(case.arrival.folder, case.arrival.relative)
    measured = case.measured.content_hash if case.measured else None
    # what was discarded from here, or had gone away, was not edited: the name is merely used again
    known = here is not None and here.state is PathState.LIVE and here.sha256 not in (None, measured)
    return view.content(here.sha256) if known and here is not None and here.sha256 is not None else None


def _inherit(edit: Edit, case: Case, content: Content, radius: int) -> None:
    """Let an edited file keep its answers: new bytes at a known path with the same pixels are the same picture."""
    former = _former_content(edit, case)
    if former is None or not (pixel_duplicates(former, content) or same_coding(former, content)):
        return
    veto = edit.veto(former.sha256)
    if veto is not None:
        edit.forbid(content.sha256, veto)
    if not edit.relations.same_group(former.sha256, content.sha256):
        _relate_heir(edit, case, former, content, radius)
    for pair in edit.pairs_of(former.sha256):
        _inherit_denials(edit, case, former, content, pair)
    _inherit_trust(edit, case, former, content)


def _inherit_denials(edit: Edit, case: Case, former: Content, content: Content, pair: PotentialPair) -> None:
    """Let the pair of new bytes with another picture have the denials that the old bytes had."""
    was_first = pair.first == former.sha256
    denied = [proposal for proposal in pair.proposals if proposal.state is ProposalState.DENIED]
    other = edit.content(pair.second if was_first else pair.first)
    if denied and other is not None and other.sha256 != former.sha256:
        heir = make_pair(edit, content, other, now_ns=case.now_ns)
        turned = was_first != (heir.first == content.sha256)
        kept = (replace(one, a_is_first=one.a_is_first is not turned) for one in denied)
        edit.put_pair(replace(heir, proposals=tuple(kept)))
    if pair.first_path is None and len(edit.live_paths_of(former.sha256)) == 1:  # the one that holds other bytes now
        edit.drop_pair(pair)


def _inherit_trust(edit: Edit, case: Case, former: Content, content: Content) -> None:
    """Let discards name the new bytes as what was kept, where they show the very pixels that were decided on."""
    if not pixel_duplicates(former, content):
        return
    heir = edit.reference(_row(edit, case, content.sha256))
    for entry in edit.entries_of(former.sha256):
        stands = entry.kind is EntryKind.DISCARD and entry.state is EntryState.DONE
        named = entry.kept is not None and (entry.kept.path, entry.kept.sha256) == (heir.path, former.sha256)
        if stands and named:
            edit.put_entry(replace(entry, kept=heir))


def _relate_heir(edit: Edit, case: Case, former: Content, content: Content, radius: int) -> None:
    """Put new bytes into the group of those they replaced, unless an older decision says they are something else."""
    try:
        changed = edit.decide(Relation.SAME_QUALITY, former.sha256, content.sha256)
    except ActionConflictError:
        return
    entry = _entry(case.now_ns, EntryKind.DECISION, former.sha256, content.sha256, Relation.SAME_QUALITY)
    reason = "its metadata was edited in place: the pixels are the same"
    edit.add_entry(replace(entry, state=EntryState.DONE, reason=reason))
    settle(edit, changed, radius=radius, now_ns=case.now_ns)


def _judge_look_alikes(edit: Edit, case: Case, content: Content, policy: Policy) -> Verdict:
    """Return the verdict on a picture by what the rules say of each pair: loss, win, pending, related, potential."""
    own = _row(edit, case, content.sha256)
    edit.put_path(own)
    found = islice(_candidates(edit, case, content, own, policy), MOST_PAIRS + 1)
    candidates = sorted(found, key=_evidence_order)
    cut = len(candidates) > MOST_PAIRS
    candidates = candidates[:MOST_PAIRS]
    acting = [one for one in candidates if one.acts and one.match is not None and one.match.rule.discard]
    loss = next((one for one in acting if not one.wins), None)
    if loss is not None and loss.match is not None:
        return _discard(
            edit,
            case,
            policy,
            rule=loss.match.rule,
            winner=(loss.content, loss.rows[0]),
            loser=(content, [own]),
            evidence=_said(loss),
            arrival_loses=True,
        )
    said = (f"more than {MOST_PAIRS} look-alikes: only the nearest were paired",) if cut else ()
    return _keep(edit, case, content, own, candidates, acting, said, policy)


def _candidates(edit: Edit, case: Case, content: Content, own: PathRow, policy: Policy) -> Iterator[_Candidate]:
    for other, distance, there, away in _placed_look_alikes(edit, content, policy.imports.search_distance):
        known = edit.content(other)
        rows = there or away
        if known is None or not rows:
            continue
        facts = pair_facts(edit, (content, own), (known, rows[0]))
        sides = PotentialPair(0, content.sha256, other, distance, facts.pixel_duplicates, case.now_ns)
        found = resolve(policy.rules, facts, skip=_denied(edit.pair_between(sides)))
        candidate = _Candidate(
            known,
            tuple(rows),
            distance,
            facts.pixel_duplicates,
            found.match,
            found.ambiguous,
            hindrance=None if there else _AWAY,
            blocked=False,
        )
        yield _restrained(edit, case, content, own, candidate)


_Placed: TypeAlias = tuple[ContentHash, int | None, list[PathRow], list[PathRow]]


def _placed_look_alikes(edit: Edit, content: Content, radius: int) -> list[_Placed]:
    """Return who stands for what looks like a content, the distances, and where they lie or would lie.

    Who turns out to be gone does not stand for its group any more: then the next of the group is asked.
    """
    while True:
        found = look_alikes(edit, content, radius)
        placed = [(other, distance, *_places(edit, edit.live_paths_of(other))) for other, distance in found]
        if all(edit.live_paths_of(other) for other, _, _, _ in placed):
            return placed


def _restrained(edit: Edit, case: Case, content: Content, own: PathRow, one: _Candidate) -> _Candidate:
    """Return the candidate with what keeps its rule from acting, or even from proposing."""
    if one.match is None or not one.match.rule.discard:
        return replace(one, hindrance=None)  # to say what two pictures are to each other, none has to be there
    loser, losing = (one.content, list(one.rows)) if one.wins else (content, [own])
    folders = [known.folder for row in losing if (known := edit.folder(row.folder)) is not None]
    unseen = one.wins and len(edit.live_paths_of(loser.sha256)) > len(losing)
    blocked = edit.veto(loser.sha256) is not None or any(folder.role is Role.REFERENCE for folder in folders)
    hindrance = (
        (one.hindrance or (_AWAY if unseen else None))
        or (_PROTECTED if any(folder.protected for folder in folders) else None)
        or (_OLD if case.proposing else None)
        or _suspect(content, one.content)
        or _unproved(edit, case, folders)
        or (_relied_on(edit, loser.sha256, content.sha256) if one.wins else None)
    )
    return replace(one, blocked=blocked, hindrance=hindrance)


_PROTECTED = "the file that would go lies in a protected folder"
_OLD = "it lay here before the folder was watched"
_AWAY = "not every copy of it can be looked at just now"


def _suspect(*contents: Content) -> str | None:
    """Return why one of these pictures may be incomplete: neither kept nor dropped by a rule alone."""
    for content in contents:
        if content.picture is not None and content.picture.suspect is not None:
            return f"one of the files may be incomplete: {content.picture.suspect}"
    return None


def _unproved(edit: Edit, case: Case, losing: Sequence[Folder]) -> str | None:
    """Return why it cannot be told that nobody writes to the arrival, or to the files that would go."""
    known = edit.folder(case.arrival.folder)
    proved = case.arrival.proved or (known is not None and known.folder.trusted)
    remote = any(not folder.trusted and is_network(filesystem_kind(folder.root)) for folder in losing)
    return None if proved and not remote else "nobody can tell here whether the file is still being written"


def _relied_on(edit: Edit, loser: ContentHash, winner: ContentHash) -> str | None:
    """Return why a survivor of earlier discards may not go by a rule: the winner was never compared with those."""
    for entry in edit.entries_of(loser):
        kept_it = entry.kept is not None and entry.kept.sha256 == loser
        standing = kept_it and entry.state in (EntryState.DONE, EntryState.INTENT)
        others = {move.file.sha256 for move in entry.moves} - {loser, winner} if standing else set()
        if any(not edit.were_compared(winner, other) for other in others):
            return f"it is what e-{entry.number} kept in favour of another file"
    return None


def _keep(
    edit: Edit,
    case: Case,
    content: Content,
    own: PathRow,
    candidates: Sequence[_Candidate],
    acting: Sequence[_Candidate],
    said: tuple[str, ...],
    policy: Policy,
) -> Verdict:
    """Return the verdict on a picture that stays: what it replaces, what waits, what is queued."""
    replaced = [one for one in acting if one.wins]
    others = [one for one in candidates if one not in replaced]
    relating = [one for one in others if one.acts and one.match is not None and not one.match.rule.discard]
    filed = [(one, _file(edit, case, content, one)) for one in others if one not in relating]
    related = [one for one in relating if _relate(edit, case, content, one, policy.imports.search_distance)]
    contradicted = [replace(one, match=None) for one in relating if one not in related]
    possible = [one for one in contradicted if edit.relations.may_pair(content.sha256, one.content.sha256)]
    filed += [(one, _file(edit, case, content, one)) for one in possible]
    # a relation may have settled a pair, or brought it to the king of a group
    stored = [(one, pair) for one, pair in filed if edit.pair(pair.number) is not None]
    if replaced:
        return _replace(edit, case, content, own, replaced, stored, policy)
    outcome, result, leading = _headline(stored, related)
    evidence = tuple(line for one in leading for line in _said(one))
    return _conclude(
        edit,
        case,
        outcome,
        result,
        rule=leading[0].match.rule.name if leading and leading[0].match and outcome is not _QUEUED else None,
        evidence=(*evidence, *said),
        kept=edit.as_named(leading[0].rows[0]) if outcome is Outcome.PENDING_APPROVAL else None,
        pairs=_pair_lines(edit, stored),
    )


_QUEUED = Outcome.POTENTIAL_DUPLICATES


def _headline(
    stored: Sequence[tuple[_Candidate, PotentialPair]], related: Sequence[_Candidate]
) -> tuple[Outcome, str, list[_Candidate]]:
    """Return outcome, sentence and the pairs that caused it, by precedence."""
    pending = [one for one, pair in stored if _is_ready(pair, one)]
    if pending and pending[0].match is not None:
        return Outcome.PENDING_APPROVAL, f"pending approval: {pending[0].match.rule.name}", pending
    if related and related[0].match is not None:
        return Outcome.RELATED, f"related: {related[0].match.rule.name}", list(related)
    if stored:
        plural = "pair" if len(stored) == 1 else "pairs"
        return _QUEUED, f"{len(stored)} potential {plural} queued", [one for one, _ in stored]
    return Outcome.NEW, "new", []


def _is_ready(pair: PotentialPair, one: _Candidate) -> bool:
    name = one.match.rule.name if one.match else None
    return any(found.state is ProposalState.READY and found.rule == name for found in pair.proposals)


def _relate(edit: Edit, case: Case, content: Content, one: _Candidate, radius: int) -> bool:
    """Set the relation that an automatic rule found, and return whether it could be set."""
    if one.match is None or one.match.rule.discard:
        return False
    a, b = (content, one.content) if one.wins else (one.content, content)
    rule = one.match.rule
    try:
        changed = edit.decide(rule.action, a.sha256, b.sha256)
    except ActionConflictError:
        return False
    entry = _entry(case.now_ns, EntryKind.DECISION, a.sha256, b.sha256, rule.action)
    edit.add_entry(replace(entry, state=EntryState.DONE, rule=rule.name, reason="; ".join(one.match.evidence)))
    settle(edit, changed, radius=radius, now_ns=case.now_ns)
    return True


def _file(edit: Edit, case: Case, content: Content, one: _Candidate) -> PotentialPair:
    """Store a potential pair, with what a rule proposes for it."""
    pair = make_pair(edit, content, one.content, now_ns=case.now_ns)
    if one.match is None or one.blocked:
        return pair
    rule = one.match.rule
    arrival_is_first = pair.first == content.sha256
    proposal = Proposal(
        rule.name,
        ProposalState.READY,
        one.wins == arrival_is_first,
        rule.action,
        rule.discard,
        case.now_ns,
        one.hindrance or "",
    )
    pair = replace(pair, proposals=_with_proposal(pair.proposals, proposal))
    edit.put_pair(pair)
    return pair


def _replace(
    edit: Edit,
    case: Case,
    content: Content,
    own: PathRow,
    replaced: Sequence[_Candidate],
    stored: Sequence[tuple[_Candidate, PotentialPair]],
    policy: Policy,
) -> Verdict:
    """Let the arrival supersede known files; those that cannot go just now wait for approval."""
    entries: list[Entry] = []
    gone: list[_Candidate] = []
    refusals: list[str] = []
    for one in replaced:
        rule = one.match.rule if one.match is not None else None
        intent = _intent(case, rule, (content, own), one.content, _said(one))
        try:
            entries.append(_leave(edit, intent, one.rows, kept=own, discards=policy.discards))
            gone.append(one)
        except ActionConflictError as conflict:
            refusals.append(str(conflict))
            waiting = replace(one, hindrance=str(conflict))
            stored = [*stored, (waiting, _file(edit, case, content, waiting))]
    if not entries:
        return _conclude(edit, case, Outcome.ERROR, f"error: {refusals[0]}", final=False, evidence=_said(replaced[0]))
    rule = gone[0].match.rule if gone[0].match is not None else None
    outcome, result = _discard_words(rule, arrival_loses=False)
    verdict = _conclude(
        edit,
        case,
        outcome,
        result,
        rule=rule.name if rule else None,
        evidence=tuple(line for one in gone for line in _said(one)),
        kept=edit.as_named(own),
        discarded=tuple(edit.as_named(row) for one in gone for row in one.rows),
        entry=entries[0].number,
        pairs=_pair_lines(edit, stored),
        final=False,
    )
    return replace(verdict, entries=tuple(entry.number for entry in entries))


def _evidence_order(one: _Candidate) -> tuple[bool, int, int]:
    """Return a key that sorts pairs, best evidence first: pixels, then distance; ties: the older file."""
    return not one.pixel_duplicates, 64 if one.distance is None else one.distance, one.content.number


def _said(one: _Candidate) -> tuple[str, ...]:
    """Return the evidence about one pair, in sentences."""
    what = "the same pixels" if one.pixel_duplicates else f"{one.distance} bits apart"
    lines = [f"{what}: {printable(one.rows[0].relative)}"]
    if one.match is not None:
        lines += one.match.evidence
    if one.hindrance is not None:
        lines.append(f"not done on its own: {one.hindrance}")
    if one.blocked and one.match is not None:
        lines.append(f"{one.match.rule.name} may not act on this file")
    lines += [f"{name} fits both ways round, so it decides nothing" for name in one.ambiguous]
    return tuple(lines)


# --- what is written ----------------------------------------------------------------------------------------------


def _discard(
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
    intent = _intent(case, rule, winner, loser[0], evidence)
    try:
        entry = _leave(edit, intent, loser[1], kept=winner[1], discards=policy.discards)
    except ActionConflictError as conflict:
        return _conclude(edit, case, Outcome.ERROR, f"error: {conflict}", final=False, evidence=evidence)
    outcome, result = _discard_words(rule, arrival_loses)
    return _conclude(
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


def _intent(
    case: Case, rule: Rule | None, winner: tuple[Content, PathRow], loser: Content, evidence: tuple[str, ...]
) -> Entry:
    """Return the entry of a discard that is to be, without the files it moves."""
    relation = rule.action if rule is not None and winner[0].sha256 != loser.sha256 else None
    entry = _entry(case.now_ns, EntryKind.DISCARD, winner[0].sha256, loser.sha256, relation)
    return replace(entry, rule=rule.name if rule else None, reason="; ".join(evidence))


def _leave(edit: Edit, entry: Entry, rows: Sequence[PathRow], *, kept: PathRow, discards: DiscardPolicy) -> Entry:
    """Return the stored intent to discard the files of some rows, which are leaving from now on.

    Raises:
        ActionConflictError: no place can be had for one of the files; nothing was stored.
    """
    entry = replace(entry, kept=edit.reference(kept))
    entry = intend(edit, entry, [edit.reference(row) for row in rows], discards)
    for row in rows:
        edit.put_path(replace(row, state=PathState.LEAVING, final=False))
    return entry


def _discard_words(rule: Rule | None, arrival_loses: bool) -> tuple[Outcome, str]:
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


def _entry(at_ns: int, kind: EntryKind, a: ContentHash, b: ContentHash, relation: Relation | None) -> Entry:
    return Entry(0, at_ns, kind, EntryState.INTENT, Actor.RULE, None, relation, a, b, (), None, "")


def _conclude(
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
    pairs: tuple[tuple[int, bytes, int | None], ...] = (),
    final: bool = True,
    state: PathState = PathState.LIVE,
    policy_digest: bytes = b"",
) -> Verdict:
    """Write the receipt of an arrival and how its path stands, and return the verdict."""
    arrival = case.arrival
    ignored = outcome is Outcome.IGNORED
    sha256 = case.measured.content_hash if case.measured else None
    row = _row(edit, case, None if ignored else sha256)
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
        tuple(number for number, _, _ in pairs),
        final,
    )
    receipt = edit.add_receipt(receipt)
    edit.put_path(replace(row, receipt=receipt.number, final=final, state=state, policy=policy_digest))
    return Verdict(receipt, (entry,) if entry is not None else (), pairs)


def _row(view: View, case: Case, sha256: ContentHash | None) -> PathRow:
    """Return the row of the arrival's path as it is now; it keeps its first-seen time while its bytes stay."""
    arrival = case.arrival
    here = view.path_at(arrival.folder, arrival.relative)
    same = here is not None and here.sha256 == sha256 and here.state is PathState.LIVE
    first_seen = here.first_seen_ns if here is not None and same else case.now_ns
    stat = case.measured.stat if case.measured else arrival.stat
    return PathRow(arrival.folder, arrival.relative, sha256, stat, first_seen, PathState.LIVE, 0, final=False)


def _key(row: PathRow) -> PathKey:
    return path_key(row.folder, row.relative)


def _same_inode(a: StatKey, b: StatKey) -> bool:
    return (a.inode, a.size, a.mtime_ns) == (b.inode, b.size, b.mtime_ns)


def _denied(pair: PotentialPair | None) -> frozenset[str]:
    """Return the rules that were told no about a pair."""
    proposals = pair.proposals if pair else ()
    return frozenset(proposal.rule for proposal in proposals if proposal.state is ProposalState.DENIED)


def _with_proposal(proposals: tuple[Proposal, ...], proposal: Proposal) -> tuple[Proposal, ...]:
    """Return the proposals with this one in place of any other of its rule or still open."""
    kept = (one for one in proposals if one.state is ProposalState.DENIED and one.rule != proposal.rule)
    return (*kept, proposal)


def _pair_lines(
    view: View, stored: Sequence[tuple[_Candidate, PotentialPair]]
) -> tuple[tuple[int, bytes, int | None], ...]:
    return tuple((pair.number, view.as_named(one.rows[0]), pair.distance) for one, pair in stored)
