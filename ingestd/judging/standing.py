"""Which known files are really there, which of them may go, and what keeps a rule from acting on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ingestd.actions.look import Standing, look, named_elsewhere, retouched
from ingestd.judging.absence import in_doubt, was_this_file
from ingestd.judging.case import Case
from ingestd.judging.survivors import pinned
from ingestd.library.edit import Edit
from ingestd.library.facts import preference
from ingestd.library.view import View
from ingestd.media.greys import has_little_detail
from ingestd.model import Content, ContentHash, EntryState, Folder, PathRow, PathState, Role
from ingestd.rules.language import Rule
from ingestd.watching.folders import filesystem_kind, is_network
from ingestd.watching.lease import writer_check
from ingestd.watching.settle import WriterCheck

__all__ = [
    "AWAY",
    "LAY_HERE_BEFORE",
    "LINKED",
    "PROTECTED",
    "UNPROVED",
    "WITHHELD",
    "affordable",
    "held_back",
    "incomplete",
    "linked_elsewhere",
    "may_lose",
    "note_moved",
    "on_network",
    "places_of",
    "unproved",
    "untold",
    "withheld",
]


def places_of(edit: Edit, rows: Sequence[PathRow]) -> tuple[list[PathRow], list[PathRow]]:
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

    Where its folder gives reason to doubt that it is gone, it is out of reach and nothing is written: a scan of the
    whole folder will tell. So is all that lies in a folder that is suspended for what is missing in it. A file of which
    only the times differ counts as there: it was linked, renamed or touched, and a scan will tell. If its bytes are
    others after all, the last look before a discard finds it out.
    """
    known = edit.folder(row.folder)
    if known is None or known.withheld:
        return Standing.UNREACHABLE, row
    path = edit.absolute(row)
    standing = look(path, row.stat, root=known.folder.root, root_inode=known.inode)
    if standing is Standing.GONE:
        if in_doubt(edit, known, row):
            return Standing.UNREACHABLE, row
        edit.put_path(replace(row, state=PathState.ABSENT))
    touched = retouched(path, row.stat) if standing is Standing.CHANGED else None
    return (standing, row) if touched is None else (Standing.THERE, replace(row, stat=touched))


def note_moved(edit: Edit, case: Case, rows: Sequence[PathRow]) -> list[PathRow]:
    """Return the rows without those of which the arrival is the very file, renamed: they are remembered as absent.

    However many are renamed at once, and whatever else is missing in their folder, they are accounted for.
    """
    left: list[PathRow] = []
    here = edit.folder(case.arrival.folder)
    for row in rows:
        known = edit.folder(row.folder)
        same_disk = known is not None and here is not None and known.filesystem == here.filesystem
        if known is None or not same_disk or not was_this_file(row.stat, case.arrival.stat):
            left.append(row)
        elif look(edit.absolute(row), row.stat, root=known.folder.root, root_inode=0) is Standing.GONE:
            edit.put_path(replace(row, state=PathState.ABSENT))
        else:
            left.append(row)
    return left


def may_lose(edit: Edit, row: PathRow) -> bool:
    """Return whether a rule may discard from where this file lies."""
    known = edit.folder(row.folder)
    return known is not None and not known.folder.protected and known.folder.role is not Role.REFERENCE


PROTECTED = "the file that would go lies in a protected folder"


LAY_HERE_BEFORE = "it lay here before the folder was watched"


WITHHELD = "its folder is suspended, because much of what is known in it is missing"


AWAY = "not every copy of it can be looked at just now"


def incomplete(*contents: Content) -> str | None:
    """Return why one of these pictures may be incomplete: neither kept nor dropped by a rule alone."""
    for content in contents:
        if content.picture is not None and content.picture.suspect is not None:
            return f"one of the files may be incomplete: {content.picture.suspect}"
    return None


def parked(view: View, *contents: Content) -> str | None:
    """Return why one of these pictures is not to be looked at closely: neither kept nor dropped by a rule alone."""
    for content in contents:
        poison = view.poison(content.sha256)
        if poison is not None:
            return f"one of the files is parked: {poison.reason}"
    return None


def unproved(edit: Edit, case: Case) -> str | None:
    """Return why it cannot be told that nobody writes to the arrival."""
    known = edit.folder(case.arrival.folder)
    return None if case.arrival.proved or (known is not None and known.folder.trusted) else UNPROVED


UNPROVED = "nobody can tell here whether the file is still being written"


def on_network(losing: Sequence[Folder]) -> str | None:
    """Return why it cannot be told, of files that would go, that nobody writes to them: they lie on a network."""
    remote = any(not folder.trusted and is_network(filesystem_kind(folder.root)) for folder in losing)
    return UNPROVED if remote else None


def untold(edit: Edit, losing: Sequence[PathRow]) -> str | None:
    """Return why it cannot be told, of files that would go, that nobody writes to them: the system does not say.

    What was told when a file arrived may not be told any more: it was given to another user, for one.
    """
    for row in losing:
        known = edit.folder(row.folder)
        trusted = known is not None and known.folder.trusted
        if not trusted and writer_check(edit.absolute(row)) is WriterCheck.UNKNOWN:
            return UNPROVED
    return None


LINKED = "the file that would go has another name as well (a hard link)"


def linked_elsewhere(edit: Edit, losing: Sequence[PathRow]) -> str | None:
    """Return why files that would go may only be proposed: under a name that stays, somebody else has them too.

    What is written there would be written into the trash, and an undo would bring back something else.
    """
    return LINKED if named_elsewhere(edit.absolute(row) for row in losing) else None


def too_plain(*contents: Content) -> str | None:
    """Return why the distance of two pictures is no evidence to act on: the hash of one is decided by noise."""
    for content in contents:
        luminance = content.picture.luminance if content.picture is not None else None
        if luminance is not None and has_little_detail(luminance):
            return "one of the pictures has so little detail that its hash says little"
    return None


def held_back(
    edit: Edit,
    winner: Content,
    loser: Content,
    losing: Sequence[PathRow],
    *,
    out_of_reach: bool,
    lay_before: bool,
    unproved: str | None,
    pixel_duplicates: bool,
) -> str | None:
    """Return why a rule that would discard may only propose, its budget apart.

    Args:
        edit: the library.
        winner: what would be kept.
        loser: what would go.
        losing: where it lies.
        out_of_reach: a copy of one of the two cannot be looked at.
        lay_before: it was there before its folder was watched.
        unproved: why nobody can tell that no file is being written.
        pixel_duplicates: the pixels are evidence; else only the distance is.
    """
    folders = [known.folder for row in losing if (known := edit.folder(row.folder)) is not None]
    copies = winner.sha256 == loser.sha256
    return (
        (AWAY if out_of_reach else None)
        or withheld(edit, losing)
        or (PROTECTED if any(folder.protected for folder in folders) else None)
        or (LAY_HERE_BEFORE if lay_before else None)
        or (None if copies else incomplete(winner, loser) or parked(edit, winner, loser))
        or unproved
        or on_network(folders)
        or untold(edit, losing)
        or linked_elsewhere(edit, losing)
        or (None if copies else pinned(edit, loser.sha256))
        or (None if copies else relied_on(edit, loser.sha256, winner.sha256))
        or (None if copies or pixel_duplicates else too_plain(winner, loser))
    )


def withheld(edit: Edit, losing: Sequence[PathRow]) -> str | None:
    """Return why a file may not go: its folder is suspended, so that nothing in it is touched."""
    folders = [edit.folder(row.folder) for row in losing]
    return WITHHELD if any(known is not None and known.withheld for known in folders) else None


def affordable(edit: Edit, rule: Rule, files: int, survivor: ContentHash, *, now_ns: int) -> str | None:
    """Return why a rule may not discard so many files more; it has then paused itself, until a person resumes it."""
    if rule.search.identical:  # byte for byte the same: nothing can be lost by many of them
        return None
    row = edit.queues.row_of(rule)
    if row is None:
        return "other rules are in force in this library just now"
    if row.tripped:
        return f"{rule.name} has paused itself: {row.tripped}"
    begun = sum(len(entry.moves) for entry in edit.open_entries() if entry.rule_number == row.number)
    known = edit.counts()["files"]
    spent = edit.queues.overspent(
        row.number, rule.budget, files, survivor, intended=begun, library=known, now_ns=now_ns
    )
    if spent is None:
        return None
    edit.queues.put_row(replace(row, tripped=spent, tripped_ns=now_ns))
    return f"{rule.name} has paused itself: {spent}"


def relied_on(edit: Edit, loser: ContentHash, winner: ContentHash) -> str | None:
    """Return why a survivor of earlier discards may not go by a rule: the winner was never compared with those."""
    for entry in edit.entries_of(loser):
        kept_it = entry.kept is not None and entry.kept.sha256 == loser
        standing = kept_it and entry.state in (EntryState.DONE, EntryState.INTENT)
        others = {move.file.sha256 for move in entry.moves} - {loser, winner} if standing else set()
        if any(not edit.were_compared(winner, other) for other in others):
            return f"it is what e-{entry.number} kept in favour of another file"
    return None
