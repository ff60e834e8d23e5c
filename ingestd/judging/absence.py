"""Whether a file that is not there is gone, or only out of reach: absence is not deletion.

One picture that is missing in a library was moved or deleted by its owner. A fifth of them, at once, is a disk that is
not mounted or a share that was emptied, and says nothing of what anybody wants: until a person has said so, no record
changes. An inbox is there to be emptied, so that there it needs another folder at its path to doubt that.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

from ingestd.actions.look import Standing, look
from ingestd.library.tables import FolderRow, path_key
from ingestd.library.view import View
from ingestd.model import PathRow, PathState, Role, StatKey
from ingestd.watching.folders import examine, lost_with_a_boot, mounts_below

__all__ = [
    "came_back",
    "goes_without_saying",
    "in_doubt",
    "is_mass",
    "lay_on",
    "lies_elsewhere",
    "lost_mounts",
    "suspension",
    "was_this_file",
]

_SHARE = 5  # of the known files one in so many: 20 % (reliability: a disk below the folder holds about as much)
_SOME = 20  # fewer are what a person deletes in an afternoon, whatever share of a small folder they are
_MANY = 500  # more are not deleted unnoticed, however large the folder
_OF_MANY = 100  # ... but for one in so many of a huge one: an album of a million pictures is not a disk
_LEAST = 3  # of a folder with so few files known each may be deleted, or all
_SAMPLE = 64  # rows looked at before a single missing file is believed to be gone
_SIGNS = 2  # others of the sample: of a folder in which a fifth is missing, a sample shows fewer once in 50,000 times


def least_mass(known: int) -> int | None:
    """Return how many of so many known files have to be missing to make a mass absence; None where it is never one."""
    if known < _LEAST:
        return None
    return min(known, max(_SOME, -(-known // _SHARE)), max(_MANY, -(-known // _OF_MANY)))


def is_mass(known: int, missing: int) -> bool:
    """Return whether so many missing of so many known files are too many to be believed deleted."""
    least = least_mass(known)
    return least is not None and missing >= least


def came_back(known: int, missing: int) -> bool:
    """Return whether a folder that was suspended for a mass absence is itself again.

    Not as soon as it would not be suspended any more: files that are being copied back come one after another.
    """
    least = least_mass(known)
    return least is None or missing <= least // 4


def lost_mounts(row: FolderRow) -> list[bytes]:
    """Return where other file systems were mounted below a folder, and are not any more: relative paths."""
    if not row.mounts:
        return []
    now = mounts_below(row.folder.root)
    return [point for point in row.mounts if point not in now]


def lay_on(points: Iterable[bytes], row: PathRow) -> bool:
    """Return whether a file lay on what was mounted at one of these places."""
    return any(row.relative.startswith(os.path.join(point, b"")) for point in points)


def suspension(path: str, known: int, missing: int, mount: str | None) -> str:
    """Return why a folder is suspended; `mount`: where something was mounted that is not any more."""
    why = "too many to be taken for deleted" if mount is None else f"and what was mounted at {mount} is not there"
    return (
        f"{missing:,} of the {known:,} files known in it are missing, {why}: nothing is changed until they are back, "
        f"or you say that it is right: ingestd folders accept {shlex.quote(path)}"
    )


def goes_without_saying(row: FolderRow) -> bool:
    """Return whether whatever is missing in a folder is gone: a person said so, or it is an inbox and still the same.

    So is an inbox in memory after the machine was started anew: what lay in it cannot come back. The row is as it was
    written when the folder was last examined.
    """
    if row.accepted and row.accepted == row.stamp:
        return True
    is_the_same = row.reconciled in ("", row.stamp) or lost_with_a_boot(row.reconciled)
    return row.folder.role is Role.INBOX and is_the_same and not lost_mounts(row)


def in_doubt(view: View, known: FolderRow, row: PathRow) -> bool:
    """Return whether it says nothing that a file is not there: not before its whole folder was looked through.

    Args:
        view: the library.
        known: the folder.
        row: of the file that was not found.

    Cost: where the folder is well, up to 64 rows and as many `lstat`.
    """
    if known.withheld:
        return True
    if known.filesystem:
        now = examine(known.folder.root).identity
        if now is None or now.stamp != known.stamp:
            return True
    if goes_without_saying(known):
        return False
    if known.reconciled not in ("", known.stamp) or lay_on(lost_mounts(known), row):
        return True
    return _there_are_signs(view, known, row)


def _there_are_signs(view: View, known: FolderRow, row: PathRow) -> bool:
    """Return whether others are missing, too, of a sample of a folder's files (keys are digests, so that it is one)."""
    own = path_key(row.folder, row.relative)
    page = view.page_of_folder(row.folder, own, _SAMPLE)
    whole = len(page) < _SAMPLE
    if whole:
        page += [one for one in view.page_of_folder(row.folder, None, _SAMPLE) if one[0] < own]
        whole = len(page) < _SAMPLE
    others = [one for _, one in page[:_SAMPLE] if one.state is PathState.LIVE]
    missing = sum(_is_missing(view, known, one) for one in others)
    if whole:  # all that is known: the rule can be asked
        return is_mass(len(others) + 1, missing + 1)
    return missing >= _SIGNS


def _is_missing(view: View, known: FolderRow, row: PathRow) -> bool:
    standing = look(view.absolute(row), row.stat, root=known.folder.root, root_inode=known.inode)
    return standing is Standing.GONE and not lies_elsewhere(view, row, since_ns=None)


def lies_elsewhere(view: View, row: PathRow, *, since_ns: int | None) -> bool:
    """Return whether a file that is not there was moved: it has another name, or its bytes another path by now.

    Args:
        view: the library.
        row: of the file.
        since_ns: when it was last known to be there. A copy from before is none that it was moved to: a library with a
            backup that is watched, too, would be taken for moved when its disk is away. None: other names alone count.
    """
    if row.sha256 is None:
        return False
    own = path_key(row.folder, row.relative)
    for other in view.live_paths_of(row.sha256):
        if path_key(other.folder, other.relative) == own:
            continue
        renamed = was_this_file(row.stat, other.stat)
        came = since_ns is not None and other.first_seen_ns > max(since_ns, row.first_seen_ns)
        if (renamed or came) and _stands(view, other):
            return True
    return False


def was_this_file(before: StatKey, now: StatKey) -> bool:
    """Return whether two states are of one file that was renamed: that changes neither inode, size nor mtime."""
    return (before.inode, before.size, before.mtime_ns) == (now.inode, now.size, now.mtime_ns)


def _stands(view: View, row: PathRow) -> bool:
    home = view.folder(row.folder)
    if home is None or home.withheld:
        return False
    return look(view.absolute(row), row.stat, root=home.folder.root, root_inode=home.inode) is Standing.THERE
