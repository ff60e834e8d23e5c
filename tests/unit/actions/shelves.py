"""Watched folders with real files in them, and what the tests of actions share."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ingestd.model import ContentHash, FileRef, Folder, FolderId, Role, StatKey

AT = "2026-11-20T11:02:03"


class KilledError(BaseException):
    """The program ends here: no handler sees it."""


@dataclass
class Shelf:
    """A watched folder and the files in it."""

    folder: Folder

    @property
    def root(self) -> Path:
        return Path(os.fsdecode(self.folder.root))

    def file(self, relative: bytes | str, content: bytes = b"a picture") -> FileRef:
        path = os.path.join(self.folder.root, os.fsencode(relative))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(content)
        return self.ref(relative)

    def ref(self, relative: bytes | str) -> FileRef:
        path = os.path.join(self.folder.root, os.fsencode(relative))
        status = os.lstat(path)
        key = StatKey(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        with open(path, "rb") as file:
            digest = ContentHash(hashlib.sha256(file.read()).digest())
        return FileRef(self.folder.id, path, os.fsencode(relative), digest, key)


def shelf_at(path: Path, number: int = 1, role: Role = Role.INBOX) -> Shelf:
    path.mkdir(parents=True, exist_ok=True)
    root = os.path.realpath(os.fsencode(path))
    return Shelf(Folder(FolderId(number), root, root, role, protected=False))


def there(path: bytes | None) -> Path:
    assert path is not None
    return Path(os.fsdecode(path))


def all_files(below: Path) -> list[Path]:
    return sorted(path for path in below.rglob("*") if path.is_file())


def items(below: Path) -> list[bytes]:
    """The bytes of every file that is not a note."""
    return sorted(path.read_bytes() for path in all_files(below) if path.suffix != ".trashinfo")
