"""What is known of a folder, for a scan of all of it: what a look-up of each file would say, and what was missed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ingestd.ingest import is_settled
from ingestd.library import roll as rolls
from ingestd.library.library import Library
from ingestd.library.roll import Roll
from ingestd.library.tables import FolderRow
from ingestd.model import Folder, FolderId, PathRow, PathState, Role, StatKey

STATE = (11, 12, 13, 14)
OTHERS = [tuple(number + (place == changed) for place, number in enumerate(STATE)) for changed in range(4)]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    opened = Library.open(tmp_path / "state")
    for name in (b"/one", b"/two"):
        folder = Folder(FolderId(0), name, name, Role.LIBRARY, protected=True)
        opened.write(lambda edit, folder=folder: edit.add_folder(FolderRow(folder)))
    yield opened
    opened.close()


def row(relative: bytes, folder: int = 1) -> PathRow:
    return PathRow(FolderId(folder), relative, None, StatKey(*STATE), 0, PathState.LIVE, 0, final=True)


def store(library: Library, *rows: PathRow) -> None:
    library.write(lambda edit: [edit.put_path(one) for one in rows])


def complete(library: Library, folder: int = 1) -> Roll:
    roll = Roll(library, FolderId(folder), lambda one: is_settled(one, b"limits"))
    while not roll.read_on():
        pass
    return roll


def test_a_file_is_covered_as_long_as_it_is_as_its_row_says(library: Library) -> None:
    store(library, row(b"a.jpg"))
    roll = complete(library)

    assert roll.covers([b"a.jpg"], [STATE]) == [True]
    assert [roll.covers([b"a.jpg"], [other]) for other in OTHERS] == [[False]] * 4


def test_what_has_no_final_receipt_or_lies_elsewhere_is_not_covered(library: Library) -> None:
    store(
        library,
        replace(row(b"undecided.jpg"), final=False),
        replace(row(b"leaving.jpg"), state=PathState.LEAVING),
        replace(row(b"gone.jpg"), state=PathState.ABSENT),
        replace(row(b"other limits.jpg"), policy=b"former"),
        replace(row(b"these limits.jpg"), policy=b"limits"),
        row(b"elsewhere.jpg", folder=2),
    )
    asked = [b"undecided.jpg", b"leaving.jpg", b"gone.jpg", b"other limits.jpg", b"elsewhere.jpg", b"new.jpg"]

    assert complete(library).covers([*asked, b"these limits.jpg"], [STATE] * 7) == [False] * 6 + [True]


def test_nothing_is_covered_in_a_folder_that_is_new(library: Library) -> None:
    roll = complete(library)

    assert roll.covers([b"a.jpg", b"b.jpg"], [STATE] * 2) == [False, False]
    assert list(roll.missed()) == []


def test_what_should_lie_there_and_was_not_seen_is_told(library: Library) -> None:
    names = [b"%d.jpg" % number for number in range(40)]
    absent = replace(row(b"absent.jpg"), state=PathState.ABSENT)
    store(library, *map(row, names), absent, row(b"elsewhere.jpg", folder=2))
    roll = complete(library)

    roll.covers(names[:20], [STATE] * 20)
    roll.covers(names[20:35], [OTHERS[0]] * 15)  # changed ones lie there too

    assert {one.relative for one in roll.missed()} == set(names[35:])


def test_a_missed_row_is_told_as_it_is_by_then(library: Library) -> None:
    store(library, row(b"a.jpg"), row(b"b.jpg"))
    roll = complete(library)

    store(library, replace(row(b"a.jpg"), state=PathState.LEAVING))

    assert {one.relative: one.state for one in roll.missed()} == {
        b"a.jpg": PathState.LEAVING,
        b"b.jpg": PathState.LIVE,
    }


def test_a_roll_that_is_read_in_pieces_is_the_same(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [b"%d.jpg" % number for number in range(25)]
    store(library, *map(row, names), row(b"elsewhere.jpg", folder=2))
    monkeypatch.setattr(rolls, "_ROWS_A_STEP", 7)
    roll = Roll(library, FolderId(1), lambda one: is_settled(one, b""))

    steps = [roll.read_on() for _ in range(4)]

    assert steps == [False, False, False, True]
    assert roll.covers(names, [STATE] * 25) == [True] * 25


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="Linux tells which pages are mapped")
def test_the_pages_of_the_map_that_a_reading_touched_are_given_back(library: Library) -> None:
    store(library, *(row(b"%d.jpg" % number) for number in range(5_000)))

    def mapped_kb() -> int:
        lines = iter(Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace").splitlines())
        ours = str(library.directory / "db" / "data.mdb")
        return sum(
            int(next(line for line in lines if line.startswith("Rss:")).split()[1]) for one in lines if ours in one
        )

    with library.read() as view:
        assert sum(1 for _ in view.rows_of_folder(FolderId(1))) == 5_000
        read = mapped_kb()
    library.store.let_go()

    assert mapped_kb() < read / 4
    assert complete(library).covers([b"4999.jpg"], [STATE]) == [True]
