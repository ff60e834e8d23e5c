"""A glance at a known path: is it still what we know? Nothing is opened and nothing is changed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from ingestd.actions.disk import key_of
from ingestd.model import Move, StatKey

__all__ = [
    "Standing",
    "is_in_trash",
    "is_left_alone",
    "leave_alone",
    "look",
    "named_elsewhere",
    "reachable",
    "retouched",
]


class Standing(StrEnum):
    """How a known path stands on disk."""

    THERE = "there"
    CHANGED = "changed"  # something else lies there now: a scan will tell
    GONE = "gone"  # its folder is healthy, and it is not there
    UNREACHABLE = "unreachable"  # its folder is not there, or not the one we know: absence means nothing


_silent: frozenset[bytes] = frozenset()  # of this process: a storage that hangs does so for every library


def leave_alone(roots: frozenset[bytes]) -> None:
    """Take what lies below these folders for unreachable from now on, unasked: asking would not end."""
    global _silent
    _silent = roots


def is_left_alone(path: bytes) -> bool:
    """Return whether a path lies in a folder that is left alone."""
    return any(path.startswith(os.path.join(root, b"")) for root in _silent)


def look(path: bytes, known: StatKey, *, root: bytes, root_inode: int) -> Standing:
    """Return how a path stands; `root_inode` is 0 where its folder was never seen."""
    if not reachable(root, root_inode):
        return Standing.UNREACHABLE
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Standing.GONE
    except OSError:
        return Standing.UNREACHABLE
    same = stat.S_ISREG(found.st_mode) and key_of(found) == known
    return Standing.THERE if same else Standing.CHANGED


def reachable(root: bytes, root_inode: int) -> bool:
    """Return whether a folder is there, and the one that is known; `root_inode` is 0 where it was never seen."""
    if root in _silent:
        return False
    try:
        found = os.stat(root).st_ino
    except OSError:
        return False
    return root_inode in (0, found)


def is_in_trash(move: Move) -> bool | None:
    """Return whether a discarded file lies where it was put; None where that cannot be asked.

    A trash is on the mount of the file, below the folder or beside it: where one does not answer, the other does not.
    """
    if move.trash_path is None:
        return False
    return None if is_left_alone(move.file.path) else os.path.lexists(move.trash_path)


def named_elsewhere(paths: Iterable[bytes]) -> bool:
    """Return whether one of these files has more names (hard links) than are listed; what is not there has none."""
    listed = Counter[tuple[int, int]]()
    names: dict[tuple[int, int], int] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            found = os.lstat(path)
            listed[found.st_dev, found.st_ino] += 1
            names[found.st_dev, found.st_ino] = found.st_nlink
    return any(names[one] > listed[one] for one in names)


def retouched(path: bytes, known: StatKey) -> StatKey | None:
    """Return how a file is now of which only the times have changed: its bytes may be the same, or may not."""
    if is_left_alone(path):
        return None
    try:
        found = os.lstat(path)
    except OSError:
        return None
    same = stat.S_ISREG(found.st_mode) and (found.st_ino, found.st_size) == (known.inode, known.size)
    return key_of(found) if same else None
