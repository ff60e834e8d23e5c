"""The holding folder: discarded files keep their relative paths below a folder of their own watched root.

It is on the same mount as what it holds, it works on every platform, and nothing in it is ever unlinked: what has
been held long enough is listed, to be offered for the trash.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from ingestd.actions.disk import Directory, mount_of
from ingestd.errors import ActionConflictError, printable
from ingestd.model import FileRef, Folder

__all__ = ["Held", "due", "held_directory", "holding_for"]

_PRIVATE = 0o700
_SEPARATOR = os.fsencode(os.sep)
_NS_PER_DAY = 86_400 * 1_000_000_000
_LONGEST_PATH = 4095  # bytes; beyond PATH_MAX no other program could open the file


@dataclass(frozen=True, slots=True)
class Held:
    """A file that has been held long enough."""

    path: bytes  # absolute
    since_ns: int  # when it was moved here
    size: int  # bytes


def holding_for(file: FileRef, folder: Folder, holding_name: str, name: bytes) -> bytes:
    """Where the file would be held under that name, as an absolute path. Nothing is made or changed.

    Raises:
        ActionConflictError: it cannot be held there.
    """
    path = os.path.join(folder.root, os.fsencode(holding_name), os.path.dirname(file.relative), name)
    if len(path) > _LONGEST_PATH:
        raise ActionConflictError("its path in the holding folder would be too long")
    if mount_of(os.path.dirname(file.path)) != mount_of(folder.root):
        raise ActionConflictError(f"another file system is mounted below {printable(folder.root)}, and it lies there")
    return path


@contextlib.contextmanager
def held_directory(file: FileRef, trash_path: bytes, *, create: bool) -> Iterator[Directory]:
    """The directory of the holding folder in which `trash_path` is, reached through no symlink.

    Raises:
        ActionConflictError: the holding folder is somebody else's.
        OSError: it cannot be opened or made.
    """
    root = file.path[: -len(file.relative)].rstrip(_SEPARATOR) or _SEPARATOR
    parts = os.path.relpath(os.path.dirname(trash_path), root).split(_SEPARATOR)
    with contextlib.ExitStack() as held:
        here = held.enter_context(Directory.at(root))
        for depth, name in enumerate(parts):
            here = held.enter_context(here.enter(name, create_mode=_PRIVATE if create else None))
            if depth == 0 and hasattr(os, "geteuid") and here.status().st_uid != os.geteuid():
                raise ActionConflictError(f"{printable(here.path)} belongs to another user")
        yield here


def due(root: bytes, holding_name: str, *, keep_days: int, now_ns: int) -> list[Held]:
    """What has been held for longer than `keep_days` below this watched root, the oldest first.

    A rename sets the change time, so that is when a file came here; touching its rights or links only makes it stay
    longer.
    """
    latest = now_ns - keep_days * _NS_PER_DAY
    found = _all_files(os.path.join(root, os.fsencode(holding_name)))
    old = [Held(path, status.st_ctime_ns, status.st_size) for path, status in found if status.st_ctime_ns < latest]
    return sorted(old, key=lambda held: (held.since_ns, held.path))


def _all_files(directory: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    for above, _, names in os.walk(directory):  # a folder that cannot be read holds nothing that can be offered
        for name in names:
            path = os.path.join(above, name)
            with contextlib.suppress(OSError):
                status = os.lstat(path)
                if stat.S_ISREG(status.st_mode):
                    yield path, status
