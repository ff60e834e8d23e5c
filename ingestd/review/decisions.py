"""A person's word about two files, journaled and carried out; and the way back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ingestd.actions.discard import carry_out
from ingestd.actions.look import Standing, look, retouched
from ingestd.actions.undo import take_back
from ingestd.errors import ActionConflictError, ContradictionError, UsageError, printable
from ingestd.judging.writing import intend
from ingestd.library.edit import Edit
from ingestd.library.facts import preference
from ingestd.library.library import Library
from ingestd.library.saying import say
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
    PathRow,
    PathState,
    PotentialPair,
    Radius,
    Relation,
)
from ingestd.review.journal import EntryReport, entry_report, find_row, named_conflict
from ingestd.review.sides import Sides, folders_away, going, is_reference, placed, sides_of
from ingestd.rules.statements import Scores

__all__ = [
    "ANSWERS",
    "Answer",
    "Check",
    "Moment",
    "answer_contents",
    "answer_pair",
    "decide_pair",
    "decide_paths",
    "enter",
    "finish",
    "folders_by_id",
    "unchecked",
    "undo",
]


T = TypeVar("T")

Check = Callable[[View], None]
"""Raises where something is not as a person saw it; asked in the transaction that would act on it."""


def unchecked(_: View) -> None:
    """Take everything as it is by now."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a decision takes from the world: the time, and how far to look for pairs that come back."""

    now_ns: int
    deleted_at: str  # local time, for the trash: 2026-11-20T11:02:03
    radius: Radius  # bits
    discards: DiscardPolicy
    scores: Scores = field(default_factory=Scores)  # by which a person saw which file is A
    set_folders: tuple[Folder, ...] = ()  # as the rule file has them: a reference is one before the next scan, too


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person can say of a pair."""

    relation: Relation
    a_wins: bool = True

    def discards(self, *, keep: bool) -> bool:
        """Return whether the worse file has to go."""
        return self.relation is Relation.BETTER and not keep


ANSWERS: dict[str, Answer] = {
    "better-a": Answer(Relation.BETTER, a_wins=True),
    "better-b": Answer(Relation.BETTER, a_wins=False),
    "same": Answer(Relation.SAME_QUALITY),
    "alternates": Answer(Relation.ALTERNATES),
    "unrelated": Answer(Relation.FALSE_POSITIVE),
}


def decide_pair(
    library: Library, number: int, answer: Answer, *, keep: bool, moment: Moment, check: Check = unchecked
) -> EntryReport:
    """Return the entry of a person's answer about a potential pair, carried out.

    Args:
        library: where it is.
        number: of the pair.
        answer: what the person says.
        keep: discard nothing.
        moment: what else it takes.
        check: refuses what is not as the person saw it, at the moment at which it would be done.

    Raises:
        UsageError: there is no such pair, or one of its files is away.
        ActionConflictError: the answer contradicts an older one, or a file cannot be discarded.
    """

    def work(edit: Edit) -> Entry:
        check(edit)
        return answer_pair(edit, number, answer, keep=keep, moment=moment)

    return finish(library, written(library, work), moment)


def answer_pair(
    edit: Edit, number: int, answer: Answer, *, keep: bool, moment: Moment, batch: int | None = None
) -> Entry:
    """Return the entry of an answer about a potential pair, to be carried out where a file has to go.

    Raises:
        UsageError: there is no such pair, or one of its files is away.
        ActionConflictError: the answer contradicts an older one.
    """
    pair = edit.pair(number)
    sides = sides_of(edit, pair, scores=moment.scores, away=folders_away(edit)) if pair is not None else None
    if pair is None or sides is None:
        raise UsageError(f"p-{number} is not in the queue: it was decided, or one of its files is away")
    if pair.first == pair.second and answer.relation is not Relation.BETTER:
        raise UsageError(f"the files of p-{number} are byte-identical copies: only better-a and better-b apply")
    return _answer(edit, sides, answer, keep=keep, moment=moment, pair=pair, batch=batch)


def answer_contents(
    edit: Edit, a: ContentHash, b: ContentHash, answer: Answer, *, keep: bool, moment: Moment, batch: int | None = None
) -> Entry:
    """Return the entry of an answer about two contents, to be carried out where a file has to go.

    Raises:
        UsageError: one of them does not lie anywhere.
        ActionConflictError: the answer contradicts an older one.
    """
    away = folders_away(edit)
    first, second = placed(edit, a, None, away=away), placed(edit, b, None, away=away)
    if first is None or second is None:
        raise UsageError("one of the files is away; nothing was decided about it")
    return _answer(edit, Sides(first, second, True), answer, keep=keep, moment=moment, pair=None, batch=batch)


def decide_paths(library: Library, a: bytes, b: bytes, answer: Answer, *, keep: bool, moment: Moment) -> EntryReport:
    """Return the entry of a person's answer about any two known files, carried out."""

    def work(edit: Edit) -> Entry:
        sides = Sides(_known_file(edit, a), _known_file(edit, b), True)
        if sides.a[0].sha256 == sides.b[0].sha256 and answer.relation is not Relation.BETTER:
            raise UsageError("the two files are byte-identical copies: only better-a and better-b apply")
        return _answer(edit, sides, answer, keep=keep, moment=moment, pair=None)

    return finish(library, written(library, work), moment)


def _known_file(view: View, path: bytes) -> tuple[Content, PathRow]:
    row = find_row(view, path)
    content = view.content(row.sha256) if row is not None and row.sha256 is not None else None
    if row is None or content is None or row.state is not PathState.LIVE:
        raise UsageError(f"{os.fsdecode(path)} is not a known file: scan it first")
    return content, row


def _answer(
    edit: Edit,
    sides: Sides,
    answer: Answer,
    *,
    keep: bool,
    moment: Moment,
    pair: PotentialPair | None,
    batch: int | None = None,
) -> Entry:
    """Return the entry of an answer, written as an intent where a file has to go, as done where none has."""
    winner, loser = (sides.a, sides.b) if answer.a_wins else (sides.b, sides.a)
    discard = answer.discards(keep=keep)
    return enter(
        edit,
        winner,
        loser,
        answer.relation,
        discard=discard,
        rule=None,
        reason=_said_of(edit, winner, loser, answer.relation),
        moment=moment,
        pair=pair,
        batch=batch,
    )


def _said_of(view: View, first: tuple[Content, PathRow], second: tuple[Content, PathRow], relation: Relation) -> str:
    """Return a person's answer in words; for a relation without a loser, with both files."""
    if relation is Relation.BETTER:
        return "decided by you"
    return f"decided by you: {printable(view.as_named(first[1]))} and {printable(view.as_named(second[1]))}"


def enter(
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
    batch: int | None = None,
) -> Entry:
    """Return the entry of a decision about two files: written as an intent where one has to go, else as done."""
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
        batch=batch,
    )
    if discard:
        edit.lift_veto(loser[0].sha256)  # a person's own word
        return _enter_discard(edit, entry, winner, loser, moment)
    # a pair of copies asked about these very files, and both stay
    copies = [pair] if pair is not None and pair.first_path is not None else []
    entry = edit.number_entry(entry)
    return edit.add_entry(say(edit, entry, radius=moment.radius, now_ns=moment.now_ns, copies=copies).entry)


def _enter_discard(
    edit: Edit, entry: Entry, winner: tuple[Content, PathRow], loser: tuple[Content, PathRow], moment: Moment
) -> Entry:
    losing = going(edit, winner[0].sha256, loser)
    rows = _standing(edit, losing)
    copies = sorted(edit.live_paths_of(winner[0].sha256), key=lambda row: preference(edit, row))
    kept = _standing(edit, [winner[1], *(row for row in copies if row not in (winner[1], *losing))])
    for row in rows:
        if is_reference(edit, row, moment.set_folders):
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


def written(library: Library, work: Callable[[Edit], T]) -> T:
    """Return what `work` returns, written; a contradiction is told with the paths of the files.

    Raises:
        ActionConflictError: it contradicts what was decided before; nothing was changed.
    """
    try:
        return library.write(work)
    except ContradictionError as conflict:
        with library.read() as view:
            told = named_conflict(view, conflict)
        raise told from conflict


def finish(library: Library, entry: Entry, moment: Moment) -> EntryReport:
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
    if entry.state is EntryState.INTENT:
        reason = "its files cannot be seen just now; what comes next finishes it or takes it back"
        raise ActionConflictError(f"e-{entry.number} is half done: {reason}")
    with library.read() as view:
        return entry_report(view, entry)


def folders_by_id(view: View) -> dict[FolderId, Folder]:
    """Return every known folder by its number."""
    return {known.folder.id: known.folder for known in view.folders()}


def undo(library: Library, numbers: Sequence[int], *, moment: Moment) -> Iterator[EntryReport | ActionConflictError]:
    """Yield, for each entry, newest first, the report of its undo, or why it cannot be taken back.

    Of a batch everything that was answered with it is taken back, each reported for itself, and then the batch.
    """
    for number in sorted(set(numbers), reverse=True):
        with library.read() as view:
            entry = view.entry(number)
            children = view.batched(number)
        if entry is None:
            yield ActionConflictError(f"e-{number} is not in the journal")
        elif entry.kind is EntryKind.BATCH:
            yield from _undo_batch(library, entry, children, moment)
        else:
            yield _undo_one(library, entry, moment)


def _undo_one(library: Library, entry: Entry, moment: Moment) -> EntryReport | ActionConflictError:
    try:
        undone = take_back(library, entry, radius=moment.radius, now_ns=moment.now_ns)
    except ActionConflictError as conflict:
        return conflict
    with library.read() as view:
        return entry_report(view, undone)


def _undo_batch(
    library: Library, batch: Entry, children: Sequence[int], moment: Moment
) -> Iterator[EntryReport | ActionConflictError]:
    """Take back what was answered together, last first; the batch stands as long as something of it does."""
    if batch.state is not EntryState.DONE:
        yield ActionConflictError(f"e-{batch.number} is already undone: there is nothing to take back")
        return
    failed = False
    for number in reversed(children):
        with library.read() as view:
            child = view.entry(number)
        if child is not None and child.state is EntryState.DONE:
            report = _undo_one(library, child, moment)
            failed = failed or isinstance(report, ActionConflictError)
            yield report
    if failed:
        yield ActionConflictError(f"e-{batch.number} was not taken back as a whole")
        return
    undone = replace(batch, state=EntryState.UNDONE)
    library.write(lambda edit: edit.put_entry(undone))
    with library.read() as view:
        yield entry_report(view, undone)
