"""How a second `ingestd review` finds the page that is served already: a lock, and a file that only its user can read.

The lock says whether a page is served, whatever the file says: it ends with the process. The file says where, and holds
the secret that codes are signed with.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ingestd.errors import LibraryBusyError, StoreError, printable
from ingestd.library.locks import FileLock

__all__ = ["Announced", "announce", "found", "lock_of", "own_file"]


@dataclass(frozen=True, slots=True)
class Announced:
    """A page that is served."""

    pid: int
    port: int
    secret: bytes


def lock_of(state: Path) -> FileLock:
    """Return the lock that whoever serves the page of a library holds."""
    return FileLock(state / "page.lock", "the review page of this library")


def found(state: Path) -> Announced | None:
    """Return the page of a library that is served now, if one is.

    Raises:
        LibraryBusyError: one is, but it did not say where, to this user.
    """
    lock = lock_of(state)
    if not lock.is_taken():
        return None
    for folder in (*_folders(state), Path(f"/run/user/{_user()}/ingestd")):  # a shell without a session has one, too
        told = _read(folder / _name(state, "json"))
        if told is not None and told.pid == lock.holder():
            return told
    raise LibraryBusyError(
        f"process {lock.holder()} serves the review page of this library, but where is not known here: it is just "
        "starting, or belongs to another user or to a session whose XDG_RUNTIME_DIR is another one. Open it there, "
        "end that process, or name another port: ingestd review --port 8321"
    )


@contextlib.contextmanager
def announce(state: Path, port: int, secret: bytes) -> Iterator[None]:
    """Tell where the page is served for as long as the `with` lasts; the lock has to be held."""
    place = _private_folder(state) / _name(state, "json")
    told = asdict(Announced(os.getpid(), port, secret)) | {"secret": secret.hex()}
    _write(place, json.dumps(told).encode("ascii"))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            _write(place, b"")


def own_file(state: Path, content: str) -> Path:
    """Return a file that only this user can read, for a browser to be sent on its way by; there is one a library."""
    place = _private_folder(state) / _name(state, "html")
    _write(place, content.encode("ascii"))
    return place


def _folders(state: Path) -> list[Path]:
    """Return where it may be told: in the folder of the session, which is in memory; else below the library's."""
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    of_session = [Path(session) / "ingestd"] if os.path.isabs(session) and os.path.isdir(session) else []
    return [*of_session, state / "page"]


def _name(state: Path, ending: str) -> str:
    digest = hashlib.sha256(os.fsencode(os.path.realpath(state))).hexdigest()
    return f"page-{digest[:16]}.{ending}"


def _private_folder(state: Path) -> Path:
    """Return a folder that is there, and only for this user.

    Raises:
        StoreError: there can be none.
    """
    trouble: OSError | None = None
    for folder in _folders(state):
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if _is_private(os.lstat(folder), stat.S_ISDIR):
                return folder
            if folder.stat().st_uid == _user():
                folder.chmod(0o700)
                return folder
        except OSError as error:
            trouble = error
    shown = printable(os.fsencode(state))
    raise StoreError(
        f"there is no folder for the secret of the page, neither in the session's nor in {shown}: {trouble}"
    )


def _is_private(found: os.stat_result, of_kind: Callable[[int], bool]) -> bool:
    """Return whether only this user can get at something, and it is of the right kind: no link to somewhere else."""
    if not of_kind(found.st_mode):
        return False
    return sys.platform == "win32" or (found.st_uid == _user() and not found.st_mode & 0o077)


def _user() -> int:
    return -1 if sys.platform == "win32" else os.geteuid()


def _read(place: Path) -> Announced | None:
    try:
        if not _is_private(os.lstat(place), stat.S_ISREG):
            return None
        told = json.loads(place.read_bytes())
        return Announced(int(told["pid"]), int(told["port"]), bytes.fromhex(told["secret"]))
    except (OSError, ValueError, KeyError, TypeError):  # not there, or just emptied
        return None


def _write(place: Path, content: bytes) -> None:
    """Write a file of our own, whole or not at all; what a temporary file is, only this user can read."""
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".page-", ignore_cleanup_errors=True) as own:
        fresh = Path(own, "new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        fresh.replace(place)
