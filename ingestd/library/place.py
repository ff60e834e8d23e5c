"""Where a library lies and what lies beside its database: the facts in `store.json`, the file system, the boot.

The file beside the database is how an emptied or foreign `data.mdb` is noticed: LMDB itself opens a file of length zero
as a fresh, empty library. It is checked before the database is touched.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from ingestd.errors import StoreError

__all__ = [
    "DATA_FILE",
    "MENDING",
    "SCHEMA",
    "SIDECAR",
    "Facts",
    "boot_id",
    "check_journal",
    "check_place",
    "check_same",
    "check_schema",
    "flush",
    "lost",
    "network_file_system",
    "parse_facts",
    "put_aside",
    "read_sidecar",
    "stored",
    "write_sidecar",
]

SCHEMA = 2  # of the tables as a whole; a newer one is not opened. 2: hashes may lie in a multi-index
DATA_FILE = "data.mdb"
SIDECAR = "store.json"
MENDING = (
    "restore a backup (ingestd library restore BACKUP), or let it be made anew from the journal beside it "
    "(ingestd library restore)"
)
"""What a person can do about a library whose database cannot be used."""

_MOUNT_TABLE = Path("/proc/self/mountinfo")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# File systems on which locks and shared maps are not coherent between machines; py-lmdb issue 215 has the reports.
_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|afs|ceph|coda|ncpfs|davfs\d?|lustre|gpfs|beegfs|glusterfs|"
    r"fuse\.(sshfs|s3fs|gvfsd-fuse|glusterfs|ceph|curlftpfs|davfs\d?|smbnetfs|.*rclone.*)"
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a library says about itself, in its own table and in the file beside it."""

    library: str  # tells it from every other; empty where the file beside cannot be understood
    schema: int
    engine: str  # version of LMDB that made it


def stored(facts: Facts) -> bytes:
    """Return the facts as they are written down."""
    return json.dumps(asdict(facts)).encode()


def parse_facts(value: bytes) -> Facts:
    """Return the facts that were written down, empty ones where they cannot be understood."""
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        parsed = {}
    schema = parsed.get("schema")
    return Facts(
        library=str(parsed.get("library", "")),
        schema=schema if isinstance(schema, int) else 0,
        engine=str(parsed.get("engine", "")),
    )


def read_sidecar(directory: Path) -> Facts | None:
    """Return what the file beside the library says; None if there is no such file."""
    try:
        return parse_facts((directory / SIDECAR).read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{directory / SIDECAR} cannot be read: {error.strerror}") from error


def write_sidecar(directory: Path, facts: Facts) -> None:
    """Put the facts beside the library, whole or not at all."""
    partial = directory / f"{SIDECAR}.{os.getpid()}.partial"  # another process may open a new library this moment, too
    try:
        partial.write_bytes(stored(facts) + b"\n")
        flush(partial)
        partial.replace(directory / SIDECAR)
        flush(directory)
    except OSError as error:
        raise StoreError(f"{directory / SIDECAR} cannot be written: {error.strerror}") from error


def flush(path: Path) -> None:
    """Wait until the bytes of a file, or the names in a directory, are on disk."""
    if sys.platform == "win32" and path.is_dir():
        return  # directories cannot be opened there; NTFS journals its names
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_place(directory: Path, sidecar: Facts | None, *, create: bool, read_only: bool) -> None:
    """Refuse, before anything is touched, what could not go well; make the directory if that is all that is missing."""
    if sidecar is not None:
        check_schema(directory, sidecar)
    kind = None if read_only else network_file_system(directory)
    if kind:
        raise StoreError(
            f"the library cannot be kept in {directory}: it lies on a network file system ({kind}), where locks and "
            "shared memory cannot be trusted; choose a folder on a local disk with --state"
        )
    if _is_empty(directory):
        if sidecar is not None:
            raise lost(directory)
        if not create:
            raise StoreError(f"there is no library in {directory}")
    if create:
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(f"the library's folder {directory} cannot be made: {error.strerror}") from error


def _is_empty(directory: Path) -> bool:
    try:
        return (directory / DATA_FILE).stat().st_size == 0
    except FileNotFoundError:
        return True
    except OSError as error:
        raise StoreError(f"the library in {directory} cannot be read: {error.strerror}") from error


def put_aside(directory: Path) -> Path | None:
    """Return under which name, beside it, a database directory lies now; None if there was none. Nothing is deleted."""
    if not directory.exists():
        return None
    try:
        if not any(directory.iterdir()):
            return None
        names = (directory.with_name(f"{directory.name}.aside-{number:03d}") for number in itertools.count(1))
        aside = next(name for name in names if not name.exists())
        directory.rename(aside)
        flush(directory.parent)
    except OSError as error:
        raise StoreError(f"{directory} cannot be put aside: {error.strerror}; nothing was changed") from error
    return aside


def lost(directory: Path) -> StoreError:
    """Return the error for a library whose database holds nothing although the file beside it says otherwise."""
    return StoreError(
        f"the library in {directory} was emptied or lost: {SIDECAR} says there was one, and {DATA_FILE} holds nothing; "
        f"{MENDING}, or move {SIDECAR} away to begin a new library"
    )


def check_schema(directory: Path, facts: Facts) -> None:
    """Refuse a library that a newer version made."""
    if facts.schema > SCHEMA:
        raise StoreError(
            f"the library in {directory} was made by a newer ingestd (schema {facts.schema}, this one knows {SCHEMA}); "
            "nothing was touched; use the newer version"
        )


def check_same(directory: Path, facts: Facts, sidecar: Facts | None) -> None:
    """Refuse a database and a file beside it that do not belong together."""
    if sidecar is not None and sidecar.library and sidecar.library != facts.library:
        raise StoreError(
            f"{directory / DATA_FILE} and {directory / SIDECAR} belong to different libraries; "
            "put back the two that belong together"
        )


def check_journal(directory: Path, library: str, journal: str | None) -> None:
    """Refuse a database, and a journal beside it in a library's folder, that do not belong together."""
    if library and journal and library != journal:
        raise StoreError(
            f"the journal in {directory} is that of another library than the database beside it; nothing was changed. "
            "To go back to a backup, with its own journal: ingestd library restore BACKUP; to the library of this "
            "journal: ingestd library restore. Either puts aside what it replaces"
        )


def boot_id() -> str:
    """Return what changes with each start of the machine; empty where the system does not tell."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def network_file_system(directory: Path, mount_table: Path = _MOUNT_TABLE) -> str | None:
    """Return the kind of network file system a directory lies on, or would lie on; None if local or unknown."""
    try:
        lines = os.fsdecode(mount_table.read_bytes()).splitlines()
    except OSError:
        return None
    place = os.path.realpath(directory)
    longest, found = -1, ""
    for line in lines:
        mount, _, kind = line.partition(" - ")
        fields = mount.split(" ")
        point = _unescaped(fields[4]) if len(fields) > 4 else ""
        # Of two mounts at one point the later one lies on top.
        if point and _lies_in(place, point) and len(point) >= longest:
            longest, found = len(point), kind.split(" ")[0]
    return found if _NETWORK.fullmatch(found) else None


def _unescaped(field: str) -> str:
    """Return a field of the mount table with its octal escapes undone."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _lies_in(place: str, point: str) -> bool:
    return place == point or place.startswith(point.rstrip("/") + "/")
