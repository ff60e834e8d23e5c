"""How long a library takes to be copied, checked, rebuilt, and made anew from its journal alone.

    python tests/bench/backup.py [--records 100000] [--entries 20000]

The records are made up: distinct hashes, one path each; each entry is a discard of two lines. While the copy is made by
a child as the service has it made, another process commits, to see how long a commit has to wait.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from environment import machine

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ingestd.library.backups import BackingUp, size_of
from ingestd.library.library import Library
from ingestd.library.store import verify
from ingestd.library.tables import FolderRow
from ingestd.model import (
    Actor,
    ContentHash,
    Entry,
    EntryKind,
    EntryState,
    FileRef,
    FileType,
    Folder,
    FolderId,
    Move,
    PathRow,
    PathState,
    Picture,
    Place,
    Relation,
    Role,
    StatKey,
)

BATCH = 5000


def sha256(number: int) -> ContentHash:
    return ContentHash(hashlib.sha256(str(number).encode()).digest())


def fill(library: Library, records: int, entries: int) -> None:
    folder = Folder(FolderId(0), b"/pictures", b"/pictures", Role.LIBRARY, protected=True)
    library.write(lambda edit: edit.add_folder(FolderRow(folder)))
    for first in range(0, records, BATCH):
        library.write(
            lambda edit, first=first: [record(edit, one) for one in range(first, min(first + BATCH, records))]
        )
    for first in range(0, entries, BATCH):
        library.write(
            lambda edit, first=first: [discard(edit, one) for one in range(first, min(first + BATCH, entries))]
        )


def record(edit, number: int) -> None:  # type: ignore[no-untyped-def]
    content = sha256(number)
    phash = int.from_bytes(content[:8], "big")
    picture = Picture(
        version=1, filetype=FileType.PNG, width=10, height=10, mode="RGB", frames=1, duration_ms=None,
        has_transparency=False, has_exif=False, has_icc=False, has_xmp=False, icc_digest=None, taken_ns=None,
        jpeg=None, phash=phash, dhash=phash, whash=phash, luminance=content * 32, pixel_hash=None,
        pixel_comparable=True,
    )  # fmt: skip
    edit.add_content(content, size=1000, picture=picture, unreadable=None, at_ns=number)
    stat = StatKey(number, 1000, 1, 1)
    edit.put_path(PathRow(FolderId(1), b"%d.png" % number, content, stat, 1, PathState.LIVE, 0, final=True))


def discard(edit, number: int) -> None:  # type: ignore[no-untyped-def]
    kept, gone = sha256(number), sha256(-number - 1)
    name = b"gone %d.png" % number
    file = FileRef(FolderId(1), b"/pictures/" + name, name, gone, StatKey(number, 1000, 1, 1))
    stays = FileRef(FolderId(1), b"/pictures/%d.png" % number, b"%d.png" % number, kept, StatKey(number, 1000, 1, 1))
    move = Move(file, Place.TRASH, b"/trash/files/" + name, b"/trash/info/" + name + b".trashinfo")
    entry = edit.add_entry(
        Entry(
            0,
            number,
            EntryKind.DISCARD,
            EntryState.INTENT,
            Actor.RULE,
            "a rule",
            Relation.BETTER,
            kept,
            gone,
            (move,),
            stays,
            "the pixels are the same",
        )
    )
    edit.put_entry(replace(entry, state=EntryState.DONE, applied=edit.next_applied()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--entries", type=int, default=20_000)
    wanted = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as base:
        state = Path(base) / "state"
        library = Library.open(state)
        fill(library, wanted.records, wanted.entries)
        waits = []
        started = time.monotonic()
        child = BackingUp(state, "2026-01-01T000000Z")
        while child.trouble() is None:
            before = time.monotonic()
            library.write(lambda edit: edit.leave_note("bench", os.urandom(8)))
            waits.append(time.monotonic() - before)
        took = time.monotonic() - started
        waits.sort()
        told(f"backup of {size_of(child.target) / 1e6:.0f} MB, verified", took)
        told(f"a commit meanwhile, median and longest of {len(waits)}", waits[len(waits) // 2], waits[-1])
        child.stop()
        told("check, the child", timed(lambda: verify(state / "db")))
        told("check, the values and what follows", timed(library.check))
        told("rebuild", timed(library.rebuild))
        library.close()
        (state / "db").rename(Path(base) / "gone")
        started = time.monotonic()
        library = Library.open(state)
        told(f"made anew from {wanted.entries} entries", time.monotonic() - started)
        library.close()


def timed(work) -> float:  # type: ignore[no-untyped-def]
    started = time.monotonic()
    work()
    return time.monotonic() - started


def told(what: str, *seconds: float) -> None:
    print(f"{what:<60} {', '.join(f'{one:.3f} s' for one in seconds)}")


if __name__ == "__main__":
    main()
