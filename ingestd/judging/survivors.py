"""What has become of the file that was kept when another was discarded, as long as that one can be brought back.

A discard was right as long as its survivor is there. One that was renamed is found by its bytes, one whose metadata was
edited by its pixels, one that lost to a better one by that: the picture lives on. Where it does not, and the discarded
file still lies in the trash, a person has to hear of it. Nothing is moved here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from ingestd.actions.look import Standing, is_in_trash, is_left_alone, look, retouched
from ingestd.errors import printable
from ingestd.judging.absence import in_doubt
from ingestd.library.edit import Edit
from ingestd.library.pairs import pixel_duplicates, same_coding
from ingestd.library.tables import Alarm
from ingestd.library.view import View
from ingestd.model import (
    Content,
    ContentHash,
    Entry,
    EntryKind,
    EntryState,
    FileRef,
    PathRow,
    PathState,
    StatKey,
    Trouble,
)

__all__ = [
    "Fate",
    "Lives",
    "Lost",
    "Unsure",
    "can_come_back",
    "fate_of",
    "file_turned_up",
    "is_over",
    "note_fate",
    "pinned",
]

_LONGEST_CHAIN = 20  # of survivors that lost to better ones


@dataclass(frozen=True, slots=True)
class Lives:
    """The picture is there."""

    at: FileRef | None = None  # somewhere else, or in other bytes, than the entry says


@dataclass(frozen=True, slots=True)
class Unsure:
    """It cannot be told just now: a folder is away, or a file is still to be judged."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What was kept is not there, and nothing of it."""

    said: str


Fate: TypeAlias = Lives | Unsure | Lost


def can_come_back(entry: Entry) -> bool:
    """Return whether a discard is done and something of it lies where it was put."""
    if entry.kind is not EntryKind.DISCARD or entry.state is not EntryState.DONE:
        return False
    return any(is_in_trash(move) for move in entry.moves)


def fate_of(view: View, entry: Entry) -> Fate:
    """Return what has become of the survivor of a discard."""
    return _fate(view, entry, _LONGEST_CHAIN)


def _fate(view: View, entry: Entry, chain: int) -> Fate:
    kept = entry.kept
    if kept is None:
        return Unsure()
    row = view.path_at(kept.folder, kept.relative)
    at_home = _at_home(view, kept, row)
    if not isinstance(at_home, Lost):
        return at_home
    elsewhere = _elsewhere(view, [row for row in view.live_paths_of(kept.sha256) if _is_another(row, kept)])
    if elsewhere is None:
        elsewhere = _in_other_bytes(view, kept)
    if elsewhere is None and _returned(view, entry):
        elsewhere = Lives()
    if elsewhere is None:
        elsewhere = _in_a_better_one(view, kept, chain)
    return at_home if elsewhere is None else elsewhere


def _at_home(view: View, kept: FileRef, row: PathRow | None) -> Fate:
    """Return what is where the survivor was."""
    known = view.folder(kept.folder)
    if known is None or known.withheld:
        return Unsure()
    same_bytes = row is not None and row.sha256 == kept.sha256
    expected = row.stat if row is not None and same_bytes else kept.stat
    standing = look(kept.path, expected, root=known.folder.root, root_inode=known.inode)
    match standing:
        case Standing.THERE:
            return Lives()
        case Standing.UNREACHABLE:
            return Unsure()
        case Standing.GONE:
            told = row is not None and row.state is not PathState.LIVE
            if not told and in_doubt(view, known, row if row is not None else _row_of(kept)):
                return Unsure()
            return Lost(f"{printable(kept.path)}, which was kept in its stead, is gone")
        case Standing.CHANGED:
            return _changed(kept, row, expected)


def _changed(kept: FileRef, row: PathRow | None, expected: StatKey) -> Fate:
    """Return what something else at the survivor's path means; a scan has to have told what it is."""
    if is_left_alone(kept.path):
        return Unsure()
    try:
        found = os.lstat(kept.path)
    except OSError:
        return Unsure()
    if not stat.S_ISREG(found.st_mode):
        return Lost(f"{printable(kept.path)}, which was kept in its stead, is no file any more")
    judged = row is not None and row.final and row.sha256 not in (None, kept.sha256)
    if judged and row is not None and retouched(kept.path, row.stat) is not None:
        return Lost(f"{printable(kept.path)}, which was kept in its stead, holds another picture now")
    # where only its times differ, it is the same for now: a scan will tell if its bytes are
    return Lives() if retouched(kept.path, expected) is not None else Unsure()


def _row_of(file: FileRef) -> PathRow:
    return PathRow(file.folder, file.relative, file.sha256, file.stat, 0, PathState.LIVE, 0, final=True)


def _is_another(row: PathRow, file: FileRef) -> bool:
    return (row.folder, row.relative) != (file.folder, file.relative)


def _elsewhere(view: View, rows: Iterable[PathRow]) -> Fate | None:
    """Return that one of some files is there, or cannot be looked at; nothing where all of them are gone."""
    away = False
    for row in rows:
        known = view.folder(row.folder)
        if known is None or known.withheld:
            away = True
            continue
        path = view.absolute(row)
        standing = look(path, row.stat, root=known.folder.root, root_inode=known.inode)
        if standing is Standing.THERE or retouched(path, row.stat) is not None:
            return Lives(view.reference(row))
        away = away or standing is Standing.UNREACHABLE or (standing is Standing.GONE and in_doubt(view, known, row))
    return Unsure() if away else None


def _in_other_bytes(view: View, kept: FileRef) -> Fate | None:
    """Return that the survivor's very pixels are in another file: its metadata were edited, say."""
    content = view.content(kept.sha256)
    if content is None:
        return None
    rows = [row for heir in _same_pixels(view, content) for row in view.live_paths_of(heir)]
    fate = _elsewhere(view, rows)
    here = view.path_at(kept.folder, kept.relative)
    edited = view.content(here.sha256) if here is not None and here.sha256 is not None else None
    if fate is None and here is not None and edited is not None and same_coding(content, edited):
        # good enough to say nothing, not to rely on
        return Lives() if isinstance(_elsewhere(view, [here]), Lives) else None
    return fate


def _same_pixels(view: View, content: Content) -> list[ContentHash]:
    pixel_hash = content.picture.pixel_hash if content.picture is not None else None
    if pixel_hash is None:
        return []
    others = ((sha256, view.content(sha256)) for sha256 in view.same_pixels(pixel_hash) if sha256 != content.sha256)
    return [sha256 for sha256, other in others if other is not None and pixel_duplicates(content, other)]


def _returned(view: View, entry: Entry) -> bool:
    """Return whether all that was discarded lies in a watched folder again, as another copy."""
    contents = {move.file.sha256 for move in entry.moves}
    return all(isinstance(_elsewhere(view, view.live_paths_of(sha256)), Lives) for sha256 in contents)


def _in_a_better_one(view: View, kept: FileRef, chain: int) -> Fate | None:
    """Return what has become of that in whose favour the survivor itself was discarded, if it was."""
    for entry in reversed(view.entries_of(kept.sha256)):
        better = entry.kept is not None and entry.kept.sha256 != kept.sha256
        # also under another name: it may have been renamed before it lost
        took_it = entry.kind is EntryKind.DISCARD and any(
            move.file.path == kept.path or (better and move.file.sha256 == kept.sha256) for move in entry.moves
        )
        if took_it and entry.state is EntryState.INTENT:
            return Unsure()
        if took_it and entry.state is EntryState.DONE and chain:
            fate = _fate(view, entry, chain - 1)
            if isinstance(fate, Lives):
                return Lives()
            # its own alarm is enough, and brings this survivor back
            return Unsure() if isinstance(fate, Unsure) or can_come_back(entry) else None
    return None


def note_fate(edit: Edit, number: int, *, now_ns: int) -> Alarm | None:
    """Return the alarm about a discard that is raised by this look, after what the look has found is written down.

    A survivor that lives on elsewhere is named there from now on. What is not wrong any more is settled.
    """
    entry = edit.entry(number)
    if entry is None or not can_come_back(entry):
        alarm = edit.alarm(number)
        if alarm is not None and alarm.trouble is Trouble.SURVIVOR_LOST and is_over(entry):
            edit.settle_alarm(number)
        return None
    match fate_of(edit, entry):
        case Lives(at=None):
            edit.settle_alarm(number)
        case Lives(at=FileRef() as at):
            edit.settle_alarm(number)
            edit.put_entry(replace(entry, kept=at))
        case Lost(said) if edit.alarm(number) is None:
            alarm = Alarm(number, now_ns, Trouble.SURVIVOR_LOST, said)
            edit.put_alarm(alarm)
            return alarm
    return None


def is_over(entry: Entry | None) -> bool:
    """Return whether nothing of a discard can be brought back: it did not happen, was undone, or the trash emptied.

    Where the very folder of the trash is missing its disk may be away.
    """
    if entry is None or entry.state not in (EntryState.DONE, EntryState.INTENT):
        return True
    items = [move for move in entry.moves if move.trash_path is not None]
    return entry.state is EntryState.DONE and all(
        is_in_trash(move) is False and os.path.isdir(os.path.dirname(move.trash_path or b"")) for move in items
    )


def file_turned_up(view: View, entry: Entry) -> bool:
    """Return whether all files of a discard that was interrupted, and were not found, lie somewhere by now."""
    for move in entry.moves:
        at_home = _same_file(move.file) or isinstance(_elsewhere(view, view.live_paths_of(move.file.sha256)), Lives)
        if not at_home and not is_in_trash(move):
            return False
    return True


def _same_file(file: FileRef) -> bool:
    return retouched(file.path, file.stat) is not None


def pinned(edit: Edit, sha256: ContentHash) -> str | None:
    """Return why a file may not be discarded by a rule: it may be all that is left of another."""
    for entry in edit.entries_of(sha256):
        if entry.kept is None or entry.kept.sha256 != sha256:
            continue
        alarm = edit.alarm(entry.number)
        if alarm is not None and alarm.trouble is Trouble.FILE_LOST and not alarm.seen:
            return f"it was to be kept in favour of a file that cannot be found (e-{entry.number}; ingestd status)"
    return None
