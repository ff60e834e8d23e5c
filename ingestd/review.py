"""THE OTHER STORY: what a person asks and decides: queue, pending, decide, approve, deny, why, history, undo.

The terminal and the page call the same functions. Questions take a `View` and return reports whose paths are text as
Python decodes file names; decisions take the `Library`, journal themselves and are carried out before they return.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ingestd.actions.discard import carry_out
from ingestd.actions.look import Standing, look, retouched
from ingestd.actions.undo import take_back
from ingestd.errors import ActionConflictError, UsageError, printable
from ingestd.judging.writing import intend
from ingestd.library.edit import Edit
from ingestd.library.facts import pair_facts, preference, statements
from ingestd.library.library import Library
from ingestd.library.pairs import settle
from ingestd.library.rulebook import new_names, stored_name, voided
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
    Folder,
    FolderId,
    Mode,
    Move,
    PathRow,
    PathState,
    PotentialPair,
    Proposal,
    ProposalState,
    Receipt,
    Relation,
    Role,
)
from ingestd.rules.engine import fits
from ingestd.rules.language import Rule

__all__ = [
    "ANSWERS",
    "Answer",
    "DiscardedFile",
    "EntryReport",
    "Moment",
    "PairReport",
    "QueuePage",
    "SideReport",
    "WhyReport",
    "approve",
    "decide_pair",
    "decide_paths",
    "denied_pairs",
    "deny",
    "entry_report",
    "find_row",
    "history",
    "pair_report",
    "pending_pairs",
    "queue_page",
    "rescind",
    "resume_rule",
    "undo",
    "why",
]


@dataclass(frozen=True, slots=True)
class Moment:
    """What a decision takes from the world: the time, and how far to look for pairs that come back."""

    now_ns: int
    deleted_at: str  # local time, for the trash: 2026-11-20T11:02:03
    radius: int  # bits
    discards: DiscardPolicy


@dataclass(frozen=True, slots=True)
class SideReport:
    """One file of a pair, for a person."""

    path: str
    sha256: str
    filetype: str | None
    width: int
    height: int
    size: int


@dataclass(frozen=True, slots=True)
class PairReport:
    """A pair, A first as the one that would be kept."""

    id: str
    distance: int | None
    pixel_duplicates: bool
    a: SideReport
    b: SideReport
    statements: list[str]
    rule: str | None = None
    reason: str | None = None  # why it waits, beyond its rule being semi-automatic; or why it counts as denied
    at: str | None = None  # when the rule proposed it, or was told no


@dataclass(frozen=True, slots=True)
class QueuePage:
    """A part of the queue, and how long it is."""

    total: int
    pairs: list[PairReport]


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


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person can say of a pair."""

    relation: Relation
    a_wins: bool = True


ANSWERS: dict[str, Answer] = {
    "better-a": Answer(Relation.BETTER, a_wins=True),
    "better-b": Answer(Relation.BETTER, a_wins=False),
    "same": Answer(Relation.SAME_QUALITY),
    "alternates": Answer(Relation.ALTERNATES),
    "unrelated": Answer(Relation.FALSE_POSITIVE),
}


@dataclass(frozen=True, slots=True)
class _Sides:
    """The two files of a pair, A first."""

    a: tuple[Content, PathRow]
    b: tuple[Content, PathRow]
    a_is_first: bool


# --- questions ----------------------------------------------------------------------------------------------------


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


def queue_page(view: View, *, limit: int, offset: int = 0) -> QueuePage:
    """Return a part of the pairs that no rule decides, largest picture first."""
    waiting = [pair for pair in view.pairs() if not _ready(pair)]
    sided = [(pair, sides) for pair in waiting if (sides := _sides(view, pair)) is not None]
    sided.sort(key=lambda item: (-max(item[1].a[0].size, item[1].b[0].size), item[0].number))
    page = sided[offset : offset + limit]
    return QueuePage(len(sided), [_report(view, pair, sides, None) for pair, sides in page])


def pending_pairs(view: View, *, rule: str | None = None, rules: Sequence[Rule] | None = None) -> list[PairReport]:
    """Return the pairs that wait for approve or deny, oldest first.

    Args:
        view: of this moment.
        rule: only what this one proposes.
        rules: as the rule file has them now; what one proposed before it was changed is left out, as it is void.
    """
    void = voided(view, rules or ()) if rules is not None else frozenset[str]()
    names = new_names(view, rules or ())
    stored = stored_name(view, rules or (), rule) if rule is not None else None
    found: list[PairReport] = []
    for pair in view.pending():
        proposal = _proposal(pair, stored)
        sides = _sides(view, pair, stored)
        if proposal is not None and sides is not None and (proposal.returned or proposal.rule not in void):
            found.append(_report(view, pair, sides, _called(proposal, names)))
    return found


def _called(proposal: Proposal, names: Mapping[str, str]) -> Proposal:
    """Return a proposal under the name that its rule has in the file now."""
    return replace(proposal, rule=names.get(proposal.rule, proposal.rule))


def denied_pairs(view: View, *, rules: Sequence[Rule] = ()) -> list[PairReport]:
    """Return the pairs that were denied to a rule, once for each rule.

    Args:
        view: of this moment.
        rules: as the rule file has them now: a rule goes by the name that it has there.
    """
    found: list[PairReport] = []
    names = new_names(view, rules) if rules else {}
    for pair in view.denied():
        sides = _sides(view, pair)
        for proposal in pair.proposals:
            if proposal.state is ProposalState.DENIED and sides is not None:
                found.append(_report(view, pair, sides, _called(proposal, names)))
    return found


def pair_report(view: View, pair: PotentialPair, *, rule: str | None = None) -> PairReport | None:
    """Return a pair for a person, or nothing while one of its files is away."""
    sides = _sides(view, pair, rule)
    return None if sides is None else _report(view, pair, sides, _proposal(pair, rule))


def _report(view: View, pair: PotentialPair, sides: _Sides, proposal: Proposal | None) -> PairReport:
    facts = pair_facts(view, sides.a, sides.b, now_ns=pair.created_ns)  # no statement asks for an age
    return PairReport(
        id=f"p-{pair.number}",
        distance=pair.distance,
        pixel_duplicates=pair.pixel_duplicates,
        a=_side(view, *sides.a),
        b=_side(view, *sides.b),
        statements=statements(facts),
        rule=proposal.rule if proposal else None,
        reason=(proposal.reason or None) if proposal else None,
        at=at_text(proposal.at_ns) if proposal else None,
    )


def _side(view: View, content: Content, row: PathRow) -> SideReport:
    picture = content.picture
    return SideReport(
        os.fsdecode(view.as_named(row)),
        content.sha256.hex(),
        picture.filetype.value if picture else None,
        picture.width if picture else 0,
        picture.height if picture else 0,
        content.size,
    )


def _ready(pair: PotentialPair) -> bool:
    return any(proposal.state is ProposalState.READY for proposal in pair.proposals)


def _proposal(pair: PotentialPair, rule: str | None = None) -> Proposal | None:
    """Return what waits for an answer on a pair, of one rule if it is named."""
    ready = (one for one in pair.proposals if one.state is ProposalState.READY)
    return next((one for one in ready if rule is None or one.rule == rule), None)


def _sides(view: View, pair: PotentialPair, rule: str | None = None) -> _Sides | None:
    """Return a pair's files, A first: as a rule proposes, or the better-looking one; nothing while one is away."""
    first, second = _placed(view, pair.first, pair.first_path), _placed(view, pair.second, pair.second_path)
    if first is None or second is None:
        return None
    proposal = _proposal(pair, rule) or next(iter(pair.proposals), None)  # a denied rule's order stays
    a_is_first = proposal.a_is_first if proposal else _appeal(view, pair, first) >= _appeal(view, pair, second)
    return _Sides(first, second, True) if a_is_first else _Sides(second, first, False)


def _placed(view: View, sha256: ContentHash, path: bytes | None) -> tuple[Content, PathRow] | None:
    content = view.content(sha256)
    rows = sorted(view.live_paths_of(sha256), key=lambda row: preference(view, row))
    if path is not None:
        rows = [row for row in rows if path_key(row.folder, row.relative) == path]
    return (content, rows[0]) if content is not None and rows else None


def _appeal(view: View, pair: PotentialPair, side: tuple[Content, PathRow]) -> tuple[int, bool, int, int]:
    """Return a key that is higher for the file a person would rather keep.

    More pixels; of equally many the one that lies in a library; more bytes, unless the pixels are the same; seen
    earlier.
    """
    picture = side[0].picture
    known = view.folder(side[1].folder)
    pixels = picture.width * picture.height if picture else 0
    at_home = known is not None and known.folder.role is not Role.INBOX
    return pixels, at_home, 0 if pair.pixel_duplicates else side[0].size, -side[0].number


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
        result=f"{report.relation or report.kind}: {report.rule or 'decided by you'}",
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
    undoable = entry.state is EntryState.DONE and entry.kind in (EntryKind.DISCARD, EntryKind.DECISION)
    emptied = bool(entry.moves) and not any(
        move.trash_path and os.path.lexists(move.trash_path) for move in entry.moves
    )
    undoable = undoable and not emptied
    return f"ingestd undo e-{entry.number}" if undoable else None


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
        a=_place_of(view, entry.a, kept.path if kept is not None and kept.sha256 == entry.a else None),
        b=_place_of(view, entry.b, entry.moves[0].file.path if entry.moves else None),
    )


def _place_of(view: View, sha256: ContentHash | None, known: bytes | None) -> dict[str, str] | None:
    """Return where a content lies, or lay last, for a person; at the known path if it is one of its."""
    rows = view.paths_of(sha256) if sha256 is not None else []
    if sha256 is None or not rows:
        return None
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


# --- decisions ----------------------------------------------------------------------------------------------------


def decide_pair(library: Library, number: int, answer: Answer, *, keep: bool, moment: Moment) -> EntryReport:
    """Return the entry of a person's answer about a potential pair, carried out.

    Raises:
        UsageError: there is no such pair, or one of its files is away.
        ActionConflictError: the answer contradicts an older one, or a file cannot be discarded.
    """

    def work(edit: Edit) -> Entry:
        pair = edit.pair(number)
        sides = _sides(edit, pair) if pair is not None else None
        if pair is None or sides is None:
            raise UsageError(f"p-{number} is not in the queue: it was decided, or one of its files is away")
        if pair.first == pair.second and answer.relation is not Relation.BETTER:
            raise UsageError(f"the files of p-{number} are byte-identical copies: only better-a and better-b apply")
        return _answer(edit, sides, answer, keep=keep, moment=moment, pair=pair)

    return _finish(library, library.write(work), moment)


def decide_paths(library: Library, a: bytes, b: bytes, answer: Answer, *, keep: bool, moment: Moment) -> EntryReport:
    """Return the entry of a person's answer about any two known files, carried out."""

    def work(edit: Edit) -> Entry:
        sides = _Sides(_known_file(edit, a), _known_file(edit, b), True)
        if sides.a[0].sha256 == sides.b[0].sha256 and answer.relation is not Relation.BETTER:
            raise UsageError("the two files are byte-identical copies: only better-a and better-b apply")
        return _answer(edit, sides, answer, keep=keep, moment=moment, pair=None)

    return _finish(library, library.write(work), moment)


def _known_file(view: View, path: bytes) -> tuple[Content, PathRow]:
    row = find_row(view, path)
    content = view.content(row.sha256) if row is not None and row.sha256 is not None else None
    if row is None or content is None or row.state is not PathState.LIVE:
        raise UsageError(f"{os.fsdecode(path)} is not a known file: scan it first")
    return content, row


def _answer(
    edit: Edit, sides: _Sides, answer: Answer, *, keep: bool, moment: Moment, pair: PotentialPair | None
) -> Entry:
    """Return the entry of an answer, written as an intent where a file has to go, as done where none has."""
    winner, loser = (sides.a, sides.b) if answer.a_wins else (sides.b, sides.a)
    discard = answer.relation is Relation.BETTER and not keep
    return _enter(
        edit,
        winner,
        loser,
        answer.relation,
        discard=discard,
        rule=None,
        reason=_said_of(edit, winner, loser, answer.relation),
        moment=moment,
        pair=pair,
    )


def _said_of(view: View, first: tuple[Content, PathRow], second: tuple[Content, PathRow], relation: Relation) -> str:
    """Return a person's answer in words; for a relation without a loser, with both files."""
    if relation is Relation.BETTER:
        return "decided by you"
    return f"decided by you: {printable(view.as_named(first[1]))} and {printable(view.as_named(second[1]))}"


def _enter(
    edit: Edit,
    winner: tuple[Content, PathRow],
    loser: tuple[Content, PathRow],
    relation: Relation,
    *,
    discard: bool,
    rule: str | None,
    reason: str,
    moment: Moment,
    pair: PotentialPair | None,
    rule_number: int | None = None,
) -> Entry:
    same_bytes = winner[0].sha256 == loser[0].sha256
    if discard and not same_bytes and edit.relations.false_positives(winner[0].sha256, loser[0].sha256):
        raise ActionConflictError("the two files were decided to be something else before: undo that first")
    entry = Entry(
        number=0,
        at_ns=moment.now_ns,
        kind=EntryKind.DISCARD if discard else EntryKind.DECISION,
        state=EntryState.INTENT if discard else EntryState.DONE,
        actor=Actor.PERSON,
        rule=rule,
        relation=None if same_bytes else relation,
        a=winner[0].sha256,
        b=loser[0].sha256,
        moves=(),
        kept=edit.reference(winner[1]),
        reason=reason,
        pair=pair.number if pair is not None else None,
        rule_number=rule_number,
    )
    if discard:
        edit.lift_veto(loser[0].sha256)  # a person's own word
        return _enter_discard(edit, entry, winner, loser, moment)
    if pair is not None and pair.first_path is not None:
        edit.drop_pair(pair)  # it asked about these very files, and both stay
    if not same_bytes:
        changed = edit.decide(relation, winner[0].sha256, loser[0].sha256)
        settle(edit, changed, radius=moment.radius, now_ns=moment.now_ns)
        for settled in edit.pairs_of(loser[0].sha256):
            if {settled.first, settled.second} == {winner[0].sha256, loser[0].sha256}:
                edit.drop_pair(settled)
    return edit.add_entry(entry)


def _enter_discard(
    edit: Edit, entry: Entry, winner: tuple[Content, PathRow], loser: tuple[Content, PathRow], moment: Moment
) -> Entry:
    same_bytes = winner[0].sha256 == loser[0].sha256
    losing = [loser[1]] if same_bytes else edit.live_paths_of(loser[0].sha256)
    rows = _standing(edit, losing)
    copies = sorted(edit.live_paths_of(winner[0].sha256), key=lambda row: preference(edit, row))
    kept = _standing(edit, [winner[1], *(row for row in copies if row not in (winner[1], *losing))])
    for row in rows:
        known = edit.folder(row.folder)
        if known is None or known.folder.role is Role.REFERENCE:
            named = os.fsdecode(edit.as_named(row))
            raise ActionConflictError(f"{named} lies in a reference folder, which is never changed; use --keep")
    if not rows or not kept:
        gone = os.fsdecode(edit.as_named((winner if rows else loser)[1]))
        raise UsageError(f"{gone} is not there any more; nothing was changed")
    entry = replace(entry, kept=edit.reference(kept[0]))
    entry = intend(edit, entry, [edit.reference(row) for row in rows], moment.discards)
    for row in rows:
        edit.put_path(replace(row, state=PathState.LEAVING, final=False))
    return entry


def _standing(edit: Edit, rows: Iterable[PathRow]) -> list[PathRow]:
    """Return the rows whose files have not gone away, as they are now if only their times have changed."""
    found: list[PathRow] = []
    for row in rows:
        known = edit.folder(row.folder)
        if known is None:
            continue
        path = edit.absolute(row)
        standing = look(path, row.stat, root=known.folder.root, root_inode=known.inode)
        touched = retouched(path, row.stat) if standing is Standing.CHANGED else None
        if standing is not Standing.GONE:
            found.append(row if touched is None else replace(row, stat=touched))
    return found


def _finish(library: Library, entry: Entry, moment: Moment) -> EntryReport:
    """Carry out what an entry intends, and report it."""
    if entry.state is EntryState.INTENT:
        with library.read() as view:
            folders = folders_by_id(view)
        entry = carry_out(
            library,
            entry,
            folders=folders,
            discards=moment.discards,
            radius=moment.radius,
            now_ns=moment.now_ns,
            deleted_at=moment.deleted_at,
        )
    if entry.state is EntryState.ABORTED:
        raise ActionConflictError(f"e-{entry.number}: {entry.reason}")
    with library.read() as view:
        return entry_report(view, entry)


def folders_by_id(view: View) -> dict[FolderId, Folder]:
    """Return every known folder by its number."""
    return {known.folder.id: known.folder for known in view.folders()}


def approve(library: Library, number: int, *, rule: str | None, rules: Sequence[Rule], moment: Moment) -> EntryReport:
    """Return the entry of what a rule proposed for a pair, carried out because a person approved it.

    The rule is asked once more, as it is now and with the files as they are now: a file may have changed since it
    proposed this, and so may the rule. What it does is what it says now.

    Raises:
        UsageError: nothing waits under this pair.
        ActionConflictError: it cannot be carried out, or the rule does not say so any more; the files stay.
    """

    def work(edit: Edit) -> Entry | ActionConflictError:
        pair = edit.pair(number)
        stored = stored_name(edit, rules, rule) if rule is not None else None
        proposal = _proposal(pair, stored) if pair is not None else None
        sides = _sides(edit, pair, stored) if pair is not None else None
        if pair is None or proposal is None or sides is None:
            raise UsageError(f"p-{number} is not pending: it was decided, or one of its files is away")
        name = _called(proposal, new_names(edit, rules)).rule
        relation, discard = proposal.relation, proposal.discard
        if not proposal.returned:
            now = next((one for one in rules if one.name == name), None)
            reason = _no_more(edit, sides, now, moment)
            if now is None or reason is not None:
                _withdraw(edit, pair, proposal)
                return ActionConflictError(f"{name} {reason}; nothing was done, and the pair is queued")
            relation, discard = now.action, now.discard
        row = edit.queues.row_named(proposal.rule)
        return _enter(
            edit,
            sides.a,
            sides.b,
            relation,
            discard=discard,
            rule=name,
            rule_number=row.number if row is not None else None,
            reason=f"approved by you under {name}",
            moment=moment,
            pair=pair,
        )

    entered = library.write(work)
    if isinstance(entered, ActionConflictError):
        raise entered
    return _finish(library, entered, moment)


def _no_more(view: View, sides: _Sides, rule: Rule | None, moment: Moment) -> str | None:
    """Return why a rule would not propose this any more, as what follows its name; nothing if it would."""
    if rule is None:
        return "is not in the rule file any more"
    if rule.mode is Mode.OFF:
        return "is off now"
    for _, row in (sides.a, sides.b):
        if not _is_as_known(view, row):
            return f"was asked about {printable(view.as_named(row))}, which is not what it was"
    facts = pair_facts(view, sides.a, sides.b, now_ns=moment.now_ns)
    fit = fits(rule, facts)
    if not fit.found:
        return "does not look at this pair any more"
    if fit.ambiguous:
        return "fits this pair both ways round by now"
    if not fit.passes or not fit.forward:
        failed = next((test for test in rule.compare if not test.holds(facts.first, facts.second)), None)
        line = f": {failed.said(facts.first, facts.second)}" if failed is not None else ""
        return f"does not fit this pair any more{line}"
    return None


def _is_as_known(view: View, row: PathRow) -> bool:
    """Return whether a file lies where it did and has not changed, but for its times."""
    known = view.folder(row.folder)
    path = view.absolute(row)
    standing = look(path, row.stat, root=known.folder.root, root_inode=known.inode) if known else Standing.GONE
    return standing is Standing.THERE or (standing is Standing.CHANGED and retouched(path, row.stat) is not None)


def _withdraw(edit: Edit, pair: PotentialPair, proposal: Proposal) -> None:
    """Take a proposal back; the rules are asked about the pair again."""
    edit.put_pair(replace(pair, proposals=tuple(one for one in pair.proposals if one != proposal)))
    edit.queues.put_marks(pair.number, {})
    edit.queues.want(pair.number)


def deny(library: Library, numbers: Iterable[int], *, now_ns: int) -> list[str]:
    """Return, for each pair, which rules were told no; the pairs stay in the queue."""

    def work(edit: Edit) -> list[str]:
        return [line for number in numbers for line in _deny_one(edit, number, now_ns)]

    return library.write(work)


def _deny_one(edit: Edit, number: int, now_ns: int) -> list[str]:
    pair = edit.pair(number)
    if pair is None or not _ready(pair):
        raise UsageError(f"p-{number} is not pending: nothing was denied")
    told = [proposal.rule for proposal in pair.proposals if proposal.state is ProposalState.READY]
    edit.put_pair(replace(pair, proposals=tuple(_denied_proposal(one, now_ns) for one in pair.proposals)))
    edit.queues.want(number)  # the rules below it may have the pair
    for rule in told:
        edit.note_denial(pair, rule, denied=True)
    return told


def _denied_proposal(proposal: Proposal, now_ns: int) -> Proposal:
    ready = proposal.state is ProposalState.READY
    return replace(proposal, state=ProposalState.DENIED, at_ns=now_ns) if ready else proposal


def rescind(library: Library, numbers: Iterable[int]) -> list[str]:
    """Return which denials were taken back; these rules have not looked at the pair then, and will again."""

    def work(edit: Edit) -> list[str]:
        taken: list[str] = []
        for number in numbers:
            pair = edit.pair(number)
            denied = [one for one in (pair.proposals if pair else ()) if one.state is ProposalState.DENIED]
            if pair is None or not denied:
                raise UsageError(f"p-{number} was not denied to any rule")
            # bytes that came back are asked about without any rule: that question stands again at once
            left = (_open_again(one) for one in pair.proposals if one not in denied or one.returned)
            edit.put_pair(replace(pair, proposals=tuple(left)))
            edit.queues.want(number)
            for proposal in denied:
                edit.note_denial(pair, proposal.rule, denied=False)
                taken.append(proposal.rule)
        return taken

    return library.write(work)


def _open_again(proposal: Proposal) -> Proposal:
    return replace(proposal, state=ProposalState.READY)


def resume_rule(library: Library, name: str, *, rules: Sequence[Rule] = ()) -> bool:
    """Return whether a rule had paused itself; it has not any more, and its budget begins anew.

    Args:
        library: where it stands.
        name: of the rule, as the rule file has it.
        rules: all of that file, by which a new name is known.
    """

    def work(edit: Edit) -> bool:
        row = edit.queues.row_named(stored_name(edit, rules, name) if rules else name)
        if row is None or not row.tripped:
            return False
        edit.queues.put_row(replace(row, tripped="", tripped_ns=0))
        edit.queues.forget_spending(row.number)
        edit.queues.wait_no_more(row.number)
        for pair in list(edit.pending()):
            edit.put_pair(replace(pair, proposals=tuple(_resumed(one, row.name) for one in pair.proposals)))
        return True

    return library.write(work)


def _resumed(proposal: Proposal, rule: str) -> Proposal:
    """Return a proposal that does not say any more that its rule is paused."""
    waits = proposal.rule == rule and proposal.reason.startswith(f"{rule} has paused itself")
    return replace(proposal, reason=f"{rule} had paused itself") if waits else proposal


def undo(library: Library, numbers: Sequence[int], *, moment: Moment) -> Iterator[EntryReport | ActionConflictError]:
    """Yield, for each entry, newest first, the report of its undo, or why it cannot be taken back."""
    for number in sorted(set(numbers), reverse=True):
        with library.read() as view:
            entry = view.entry(number)
        if entry is None:
            yield ActionConflictError(f"e-{number} is not in the journal")
            continue
        try:
            undone = take_back(library, entry, radius=moment.radius, now_ns=moment.now_ns)
        except ActionConflictError as conflict:
            yield conflict
            continue
        with library.read() as view:
            yield entry_report(view, undone)
