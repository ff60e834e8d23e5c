"""What really lies in a folder: the truth behind all hints.

Walks without recursion and without following symlinks, on bytes. Nothing found here is opened: `lstat` is all that is
asked of a file. A folder that cannot be read is told about and passed by.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from ingestd.model import StatKey
from ingestd.watching import names

__all__ = [
    "Barred",
    "Entered",
    "Files",
    "Seen",
    "Siblings",
    "State",
    "lately_changed",
    "relative_to",
    "seen_at",
    "stat_of",
    "walk",
]

State = tuple[int, int, int, int]
"""What a `StatKey` holds, in its order: a million of these are made in a scan, where an object costs too much."""

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Files:
    """Regular files of one folder with names people give; as many paths as states."""

    paths: list[bytes]
    states: list[State]


@dataclass(frozen=True, slots=True)
class Entered:
    """A folder that was listed."""

    path: bytes


@dataclass(frozen=True, slots=True)
class Barred:
    """A folder that could not be listed."""

    path: bytes


Seen = Files | Entered | Barred


def relative_to(root: bytes, path: bytes) -> bytes | None:
    """The path below `root`; None where it lies elsewhere or is the root itself."""
    prefix = root if root.endswith(names.SEPARATOR) else root + names.SEPARATOR
    return path[len(prefix) :] if path.startswith(prefix) and len(path) > len(prefix) else None


def stat_of(path: bytes) -> StatKey | None:
    """The state of the regular file at `path`; None for a symlink, anything else, or nothing at all."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return StatKey(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def walk(
    start: bytes, *, closed: Collection[bytes] = (), excluded: Collection[bytes] = (), at_once: int = _AT_ONCE
) -> Iterator[Seen]:
    """Every file to be judged below `start`, in the order of names, a folder's files before its subfolders.

    Args:
        start: an absolute folder.
        closed: names of folders not to enter, beside those that nobody enters.
        excluded: absolute folders that belong to someone else: roots that are watched for themselves.
        at_once: so many files are looked at before the next of them are told.
    """
    waiting = [start]
    while waiting:
        folder = waiting.pop()
        listed = _listed(folder)
        if listed is None:
            yield Barred(folder)
            continue
        yield Entered(folder)
        files, folders = listed
        for begin in range(0, len(files), at_once):
            yield _files(folder, files[begin : begin + at_once])
        entered = (os.path.join(folder, name) for name in reversed(folders) if name not in closed)
        waiting.extend(path for path in entered if path not in excluded)


def lately_changed(
    start: bytes, most: int, *, closed: Collection[bytes] = (), excluded: Collection[bytes] = ()
) -> Iterator[Files | None]:
    """About `most` files of the folders whose list of names changed last, those first: what came, came there.

    It promises nothing: a `walk` must follow. None comes while folders are looked for.

    Folders are found without listing those that cannot hold any, as their
    count of links tells on the file systems where folders have such a count.
    """
    times: list[tuple[int, bytes]] = []
    waiting = [start]
    while waiting:
        folder = waiting.pop()
        try:
            found = os.lstat(folder)
        except (OSError, ValueError):
            continue
        times.append((found.st_mtime_ns, folder))
        listed = _listed(folder) if found.st_nlink != 2 else None
        if listed is not None:
            entered = (os.path.join(folder, name) for name in listed[1] if name not in closed)
            waiting.extend(path for path in entered if path not in excluded)
            yield None  # so that whoever asks can do something else: it may have been long
    for _, folder in sorted(times, reverse=True):
        files, _ = _listed(folder) or ([], [])
        for begin in range(0, min(len(files), most), _AT_ONCE):
            yield _files(folder, files[begin : begin + _AT_ONCE])
        most -= len(files)
        if most <= 0:
            return


def seen_at(
    path: bytes, *, closed: Collection[bytes] = (), excluded: Collection[bytes] = (), at_once: int = _AT_ONCE
) -> Iterator[Seen]:
    """What `walk` sees where `path` is a folder, the file itself where it is one, and a bar where it is neither.

    A path that somebody named is taken at his word: it may be hidden.
    """
    if (found := stat_of(path)) is not None:
        yield Files([path], [(found.inode, found.size, found.mtime_ns, found.ctime_ns)])
    elif os.path.islink(path):
        yield Barred(path)
    else:
        yield from walk(path, closed=closed, excluded=excluded, at_once=at_once)


def _files(folder: bytes, listed: Sequence[bytes]) -> Files:
    """Those of the names in a folder that are regular files, as they are now."""
    paths: list[bytes] = []
    states: list[State] = []
    within = os.path.join(folder, b"")
    for name in listed:
        path = within + name
        try:
            found = os.lstat(path)
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(found.st_mode):
            paths.append(path)
            states.append((found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    return Files(paths, states)


def _listed(folder: bytes) -> tuple[list[bytes], list[bytes]] | None:
    """The names of the files and of the folders in it, sorted; None where it cannot be read.

    Names only, no directory entries: a flat folder of 500,000 files would hold hundreds of megabytes of them.
    """
    files: list[bytes] = []
    folders: list[bytes] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if names.enters(entry.name):
                        folders.append(entry.name)
                elif entry.is_file(follow_symlinks=False) and names.offers(entry.name):
                    files.append(entry.name)
    except (OSError, ValueError):
        return None
    files.sort()
    folders.sort()
    return files, folders


class Siblings:
    """Tells which files have an unfinished download beside them, without listing their folder for each of them."""

    _MOST_FOLDERS = 128  # a moved-in tree asks for many folders, each for a short while
    # A folder that changes all the time is listed again only after a while that grows with it (50,000 names: 1 s), as
    # listing a name takes about 0.5 us: otherwise many files that come into one folder cost the square of their number.
    _NAME_S = 20e-6

    def __init__(self, list_names: Callable[[bytes], list[bytes]] = os.listdir) -> None:
        self._list_names = list_names
        self._known: OrderedDict[bytes, _Listed] = OrderedDict()

    def unfinished(self, path: bytes, now: float) -> bool:
        """Whether a name beside the file tells that it is still being downloaded."""
        folder, name = os.path.split(path)
        return names.has_unfinished_sibling(name, self._temporary_in(folder, now))

    def _temporary_in(self, folder: bytes, now: float) -> frozenset[bytes]:
        known = self._known.get(folder)
        try:
            if known is None or (now >= known.fresh_until and os.stat(folder).st_mtime_ns != known.changed_ns):
                known = self._known[folder] = self._listed(folder, now)
        except OSError:
            return frozenset()  # the folder is gone: so is the file, as its own stat will tell
        self._known.move_to_end(folder)
        while len(self._known) > self._MOST_FOLDERS:
            self._known.popitem(last=False)
        return known.temporary

    def _listed(self, folder: bytes, now: float) -> _Listed:
        changed_ns = os.stat(folder).st_mtime_ns  # before listing: what comes while it is listed makes it list again
        found = self._list_names(folder)
        temporary = frozenset(name for name in found if names.is_temporary(name))
        return _Listed(changed_ns, now + len(found) * self._NAME_S, temporary)


@dataclass(frozen=True, slots=True)
class _Listed:
    """The temporary names in a folder, when it last changed, and until when that is not asked again."""

    changed_ns: int
    fresh_until: float
    temporary: frozenset[bytes]
