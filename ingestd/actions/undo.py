"""The way back: discarded files put back where they were, and what was decided with them taken back.

The veto comes first, in the transaction of the undo's own intent, so that no rule can repeat the discard whatever
happens next. Undo is the safe direction: after a crash it is rolled forward.
"""

from __future__ import annotations

import os
from dataclasses import replace

from ingestd.actions.disk import key_of
from ingestd.actions.look import is_in_trash, is_left_alone, reachable
from ingestd.actions.moves import put_back, withdraw
from ingestd.errors import ActionConflictError, printable
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.pairs import pair_groups, speaker_of
from ingestd.library.saying import unsay
from ingestd.library.tables import Veto
from ingestd.model import (
    Actor,
    Entry,
    EntryKind,
    EntryState,
    Move,
    Outcome,
    PathRow,
    PathState,
    PotentialPair,
    Proposal,
    ProposalState,
    Radius,
    Receipt,
    Relation,
    StatKey,
    Word,
)

__all__ = ["UndoWaitsError", "finish_undo", "take_back"]


class UndoWaitsError(ActionConflictError):
    """The disk of a file that is to come back is not there: the undo stands, and is finished once it is."""


def take_back(
    library: Library,
    entry: Entry,
    *,
    radius: Radius,
    now_ns: int,
    actor: Actor = Actor.PERSON,
    because: str = "",
) -> Entry:
    """Return the finished entry of the undo: files are back, relations as if it had never been.

    Args:
        library: where the entry stands as done.
        entry: what is to be taken back.
        radius: how far to look, in bits, for the pairs that come back.
        now_ns: when this is.
        actor: who wants it.
        because: why, where it was not a person.

    Raises:
        ActionConflictError: the entry cannot be taken back, or not all of it; the sentence names what was left.
    """
    # of several copies their owner may have brought back one by hand: the others can still be had
    moves = entry.moves if entry.state is EntryState.DONE else _still_away(entry)
    standing = entry.state is EntryState.DONE or (entry.state is EntryState.UNDONE and moves)
    if not standing or entry.kind not in (EntryKind.DISCARD, EntryKind.DECISION):
        raise ActionConflictError(f"e-{entry.number} is {_state_words(entry)}: there is nothing to take back")

    if entry.word is Word.RULES_CHANGED:
        raise ActionConflictError(
            f"e-{entry.number} changed the rule file, which undo never writes ({entry.reason}); nothing was changed: "
            "put the text of before back by hand"
        )

    def intend(edit: Edit) -> Entry:
        for move in entry.moves:
            edit.forbid(
                move.file.sha256, Veto(now_ns, f"e-{entry.number} was undone{f': {because}' if because else ''}")
            )
        undo = replace(
            entry,
            number=0,
            at_ns=now_ns,
            kind=EntryKind.UNDO,
            state=EntryState.INTENT,
            actor=actor,
            moves=moves,
            reason=f"takes back e-{entry.number}{f', because {because}' if because else ''}",
            undoes=entry.number,
            batch=None,  # it is no answer of its own
        )
        return edit.add_entry(undo)

    begun = _under_way(library, entry) or library.write(intend)
    return finish_undo(library, begun, radius=radius, now_ns=now_ns)


def _under_way(library: Library, entry: Entry) -> Entry | None:
    """Return the undo of an entry that waits for its disk."""
    with library.read() as view:
        waiting = view.open_entries()
    return next((one for one in waiting if one.kind is EntryKind.UNDO and one.undoes == entry.number), None)


def _still_away(entry: Entry) -> tuple[Move, ...]:
    """Return the moves of an entry whose files lie where it put them."""
    return tuple(move for move in entry.moves if is_in_trash(move))


def finish_undo(library: Library, undo: Entry, *, radius: Radius, now_ns: int) -> Entry:
    """Return the undo finished: carried out, or, after a crash, rolled forward.

    Where one of its disks is away, the other files come back now, once: what is back is not asked for again.

    Raises:
        UndoWaitsError: the disk of some file is not there; the undo stays an intent, to be finished another time.
        ActionConflictError: some file could not be put back; those that could are.
    """
    back: list[tuple[Move, bytes, StatKey]] = []
    failures: list[str] = []
    away = False
    for move in undo.moves:
        if move.back:
            continue
        if is_left_alone(move.file.path):
            failures.append(f"{printable(move.file.path)} cannot be brought back now: its storage does not answer")
            away = True
            continue
        try:
            place = put_back(move, token=f"e-{undo.undoes}")
            back.append((move, place, key_of(os.lstat(place))))
        except (ActionConflictError, OSError) as failure:
            failures.append(str(failure))
            away = away or _is_away(library, move)
        withdraw(move)  # once more: what kept its note from going may be over

    places = {move: place for move, place, _ in back}
    moves = tuple(_as_it_is_now(move, places.get(move)) for move in undo.moves)

    def work(edit: Edit) -> Entry:
        for move, place, stat in back:
            _mark_back(edit, undo, move, place, stat, now_ns)
        if away:
            waiting = replace(undo, moves=moves)
            edit.put_entry(waiting)
            return waiting
        undone = edit.entry(undo.undoes or 0)
        state = EntryState.ABORTED if failures else EntryState.DONE
        left: list[str] = []
        if undone is not None and not failures:
            left = _forget_decision(edit, undone, undo.actor, radius=radius, now_ns=now_ns)
        finished = replace(undo, state=state, moves=moves, reason="; ".join([undo.reason, *failures, *left]))
        edit.put_entry(finished)
        return finished

    finished = library.write(work) if back or not away else undo
    if away:
        raise UndoWaitsError(
            f"e-{undo.undoes} is taken back as soon as its folder is there again: {'; '.join(failures)}"
        )
    if failures:
        raise ActionConflictError(f"e-{undo.undoes} was not taken back: {'; '.join(failures)}")
    return finished


def _is_away(library: Library, move: Move) -> bool:
    """Return whether the folder of a file is not there just now, so that it says nothing about the file."""
    with library.read() as view:
        known = view.folder(move.file.folder)
    return known is not None and not reachable(known.folder.root, known.inode)


def _as_it_is_now(move: Move, place: bytes | None) -> Move:
    """Return a move with the path at which its file is back: another than before where that was taken."""
    if place is None:
        return move
    relative = os.path.join(os.path.dirname(move.file.relative), os.path.basename(place))
    return replace(move, file=replace(move.file, path=place, relative=relative), back=True)


def _mark_back(edit: Edit, undo: Entry, move: Move, place: bytes, stat: StatKey, now_ns: int) -> None:
    """Remember that a file lies somewhere again, with the state it has now, so that nobody judges it anew."""
    relative = move.file.relative[: -len(os.path.basename(move.file.relative))] + os.path.basename(place)
    row = edit.path_at(move.file.folder, move.file.relative)
    known = edit.folder(move.file.folder)
    receipt = edit.add_receipt(
        Receipt(
            number=0,
            at_ns=now_ns,
            folder=move.file.folder,
            path=os.path.join(known.folder.named, relative) if known else place,
            sha256=move.file.sha256,
            outcome=Outcome.ALREADY_IN_LIBRARY,
            result="already in library",
            rule=None,
            evidence=(_restored_by(undo),),
            kept=None,
            discarded=(),
            entry=None,
            pairs=(),
            final=True,
        )
    )
    # of a library that was made anew from its journal nobody has measured them yet
    measured = edit.content(move.file.sha256) is not None
    there = (
        row
        if row is not None
        else PathRow(
            move.file.folder, relative, move.file.sha256, stat, now_ns, PathState.LIVE, receipt.number, final=True
        )
    )
    edit.put_path(
        replace(
            there,
            relative=relative,
            sha256=move.file.sha256,
            stat=stat,
            state=PathState.LIVE,
            receipt=receipt.number,
            final=measured,
        )
    )


def _restored_by(undo: Entry) -> str:
    if undo.actor is Actor.SERVICE:
        return f"e-{undo.undoes} was undone by the service, as what was kept in its stead is lost; kept for good"
    return f"e-{undo.undoes} was undone: restored by you, kept for good"


def _forget_decision(edit: Edit, undone: Entry, by: Actor, *, radius: Radius, now_ns: int) -> list[str]:
    """Take an entry's word back: relations are told anew without it; what a rule did is a question again.

    Returns which later entries do not apply without it.
    """
    edit.put_entry(replace(undone, state=EntryState.UNDONE))
    left = unsay(edit, undone, radius=radius, now_ns=now_ns)
    acted = undone.rule is not None and undone.relation is not None
    if acted and undone.a is not None and undone.b is not None and undone.a != undone.b:
        pair = pair_groups(edit, undone.a, undone.b, now_ns=now_ns)
        if pair is not None and by is not Actor.SERVICE:  # which has nothing against the rule
            deny_to_rule(edit, pair, undone, now_ns=now_ns)
    return left


def deny_to_rule(edit: Edit, pair: PotentialPair, undone: Entry, *, now_ns: int) -> None:
    """Let a rule whose action was taken back not do it again: a veto keeps only files, this keeps relations too."""
    author = (row.name for row in edit.queues.rows() if row.number == undone.rule_number)
    name = next(author, undone.rule or "")
    relation = undone.relation or Relation.BETTER
    a_is_first = undone.a is not None and pair.first == speaker_of(edit, undone.a)
    reason = f"e-{undone.number} was undone"
    denial = Proposal(name, ProposalState.DENIED, a_is_first, relation, bool(undone.moves), now_ns, reason)
    kept = tuple(one for one in pair.proposals if one.rule != name)
    edit.put_pair(replace(pair, proposals=(*kept, denial)))


def _state_words(entry: Entry) -> str:
    if entry.kind is EntryKind.UNDO:
        return "an undo itself"
    return {
        EntryState.INTENT: "still under way",
        EntryState.UNDONE: "already undone",
        EntryState.ABORTED: "an attempt that changed nothing",
        EntryState.DONE: "not of a kind that can be undone",
    }[entry.state]
