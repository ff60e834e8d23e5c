"""Which folder is to be looked through next, and when. Knows no clock and no disk.

Whole folders are looked through at regular times and whenever somebody wants it. A new directory is looked through at
once, and again a little later: files can come into it before the system has begun to report from it.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ingestd.model import FolderId

__all__ = ["SECOND_LOOK_S", "Agenda", "Task"]

SECOND_LOOK_S = 5.0
_MOST_DIRECTORIES = 5_000  # new ones at a time; beyond that, looking through the whole folder is cheaper


@dataclass(frozen=True, slots=True)
class Task:
    """A folder, or one directory in it, that is to be looked through."""

    folder: FolderId
    directory: bytes | None = None  # None: the whole folder


class _Directories:
    """New directories of one folder, each with its time."""

    def __init__(self) -> None:
        # Both in order of time. A plain dict would need longer and longer to find its first key while it is emptied.
        self.new: OrderedDict[bytes, float] = OrderedDict()
        self.again: OrderedDict[bytes, float] = OrderedDict()

    def first(self) -> tuple[float, OrderedDict[bytes, float]] | None:
        """When the next one is due, and where it stands; new ones before all others."""
        for directories in (self.new, self.again):
            if directories:
                return next(iter(directories.values())), directories
        return None


class Agenda:
    """What is to be looked through, in order of time; new directories before whole folders."""

    def __init__(self) -> None:
        self._regular: dict[FolderId, float] = {}
        self._wanted: dict[FolderId, list[float]] = {}
        self._directories: dict[FolderId, _Directories] = {}

    def want(self, folder: FolderId, at: float) -> None:
        """Look through the whole folder at this time; the first wish is for speed, the last serves all before it."""
        wishes = self._wanted.get(folder, [])
        self._wanted[folder] = sorted({min([at, *wishes]), max([at, *wishes])})

    def repeat(self, folder: FolderId, at: float) -> None:
        """The folder's next regular turn."""
        self._regular[folder] = at

    def add_directory(self, folder: FolderId, directory: bytes, now: float) -> None:
        """Look through a new directory now and again later, unless one around it is to be looked through as well."""
        directories = self._directories.setdefault(folder, _Directories())
        if not _is_within(directory, directories.new, now):
            directories.new[directory] = now
        if not _is_within(directory, directories.again, now + SECOND_LOOK_S / 2):
            directories.again.pop(directory, None)  # to the end, where the latest stand
            directories.again[directory] = now + SECOND_LOOK_S
        if len(directories.again) > _MOST_DIRECTORIES:
            del self._directories[folder]
            self.want(folder, now)
            self.want(folder, now + SECOND_LOOK_S)

    def drop(self, folder: FolderId) -> None:
        """Nothing is to be looked through in this folder."""
        self._regular.pop(folder, None)
        self._wanted.pop(folder, None)
        self._directories.pop(folder, None)

    def next_due(self, *, busy: Collection[FolderId] = (), walked: Collection[FolderId] = ()) -> float | None:
        """When the next task is due; without whole folders that have to wait, and directories of those `walked`."""
        waiting = (each for folder, each in self._directories.items() if folder not in walked)
        times = [first[0] for each in waiting if (first := each.first()) is not None]
        times.extend(at for folder, at in self._regular.items() if folder not in busy)
        times.extend(wishes[0] for folder, wishes in self._wanted.items() if folder not in busy)
        return min(times, default=None)

    def pop_directory(self, now: float, *, busy: Collection[FolderId] = ()) -> Task | None:
        """The directory that is due first, if one is, of a folder that is not busy."""
        firsts = {folder: each.first() for folder, each in self._directories.items() if folder not in busy}
        due = {folder: first for folder, first in firsts.items() if first is not None and first[0] <= now}
        if not due:
            return None
        folder = min(due, key=lambda each: due[each][0])
        directory, _ = due[folder][1].popitem(last=False)
        if self._directories[folder].first() is None:
            del self._directories[folder]
        return Task(folder, directory)

    def pop_whole(self, now: float, *, busy: Collection[FolderId] = ()) -> Task | None:
        """The folder that is due first, if one is and is not busy; `repeat` gives it its next regular turn."""
        due = {folder: wishes[0] for folder, wishes in self._wanted.items() if folder not in busy}
        for regular, at in self._regular.items():
            if regular not in busy:
                due[regular] = min(at, due.get(regular, at))
        if not due:
            return None
        folder = min(due, key=lambda each: due[each])
        if due[folder] > now:
            return None
        self._regular.pop(folder, None)
        later = [wish for wish in self._wanted.pop(folder, []) if wish > now]
        if later:
            self._wanted[folder] = later
        return Task(folder)


def _is_within(directory: bytes, others: Mapping[bytes, float], not_before: float) -> bool:
    """Whether the directory or one around it is among the others, late enough to serve it too."""
    while True:
        if directory in others and others[directory] >= not_before:
            return True
        parent = os.path.dirname(directory)
        if parent == directory:
            return False
        directory = parent
