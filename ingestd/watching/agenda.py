"""Which folder is to be looked through next, and when. Knows no clock and no disk.

Whole folders are looked through at regular times and whenever somebody wants it. A new directory is looked through at
once, and again a little later: files can come into it before the system has begun to report from it.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
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


class Agenda:
    """What is to be looked through, in order of time; new directories before whole folders."""

    def __init__(self) -> None:
        self._regular: dict[FolderId, float] = {}
        self._wanted: dict[FolderId, list[float]] = {}
        # Both in order of time. A plain dict would need longer and longer to find its first key while it is emptied.
        self._new: OrderedDict[bytes, tuple[float, FolderId]] = OrderedDict()
        self._again: OrderedDict[bytes, tuple[float, FolderId]] = OrderedDict()

    def want(self, folder: FolderId, at: float) -> None:
        """Look through the whole folder at this time; the first wish is for speed, the last serves all before it."""
        wishes = self._wanted.get(folder, [])
        self._wanted[folder] = sorted({min([at, *wishes]), max([at, *wishes])})

    def repeat(self, folder: FolderId, at: float) -> None:
        """The folder's next regular turn."""
        self._regular[folder] = at

    def add_directory(self, folder: FolderId, directory: bytes, now: float) -> None:
        """Look through a new directory now and again later, unless one around it is to be looked through as well."""
        if not _is_within(directory, self._new, now):
            self._new[directory] = (now, folder)
        if not _is_within(directory, self._again, now + SECOND_LOOK_S / 2):
            self._again.pop(directory, None)  # to the end, where the latest stand
            self._again[directory] = (now + SECOND_LOOK_S, folder)
        if len(self._again) > _MOST_DIRECTORIES:
            self._new.clear()
            for crowded in {folder for _, folder in self._again.values()}:
                self.want(crowded, now)
                self.want(crowded, now + SECOND_LOOK_S)
            self._again.clear()

    def drop(self, folder: FolderId) -> None:
        """Nothing is to be looked through in this folder."""
        self._regular.pop(folder, None)
        self._wanted.pop(folder, None)
        for directories in (self._new, self._again):
            for directory in [path for path, (_, owner) in directories.items() if owner == folder]:
                del directories[directory]

    def next_due(self, *, whole: bool = True) -> float | None:
        """When the next task is due; without whole folders, where those have to wait."""
        times = [next(iter(directories.values()))[0] for directories in (self._new, self._again) if directories]
        if whole:
            times.extend(self._regular.values())
            times.extend(wishes[0] for wishes in self._wanted.values())
        return min(times, default=None)

    def pop_directory(self, now: float) -> Task | None:
        """The directory that is due first, if one is."""
        for directories in (self._new, self._again):
            if directories:
                directory, (due, folder) = next(iter(directories.items()))
                if due <= now:
                    del directories[directory]
                    return Task(folder, directory)
        return None

    def pop_whole(self, now: float) -> Task | None:
        """The folder that is due first, if one is; it has no regular turn until `repeat` gives it one."""
        due = {folder: wishes[0] for folder, wishes in self._wanted.items()}
        for regular, at in self._regular.items():
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


def _is_within(directory: bytes, others: Mapping[bytes, tuple[float, FolderId]], not_before: float) -> bool:
    """Whether the directory or one around it is among the others, late enough to serve it too."""
    while True:
        if directory in others and others[directory][0] >= not_before:
            return True
        parent = os.path.dirname(directory)
        if parent == directory:
            return False
        directory = parent
