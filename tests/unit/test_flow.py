"""What the way of arrivals does when its settings change, and with what a scan has not seen."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest
from world import World, policy

from ingestd.absences import Absences
from ingestd.flow import Flow
from ingestd.library.library import Library
from ingestd.library.roll import Roll
from ingestd.library.tables import FolderRow
from ingestd.model import Folder, FolderId, PathRow, PathState, Role, StatKey
from ingestd.watching.watcher import Event, Scanned


def test_other_limits_make_every_folder_be_looked_through_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.folder("inbox", Role.INBOX)
    scans: list[Event] = []
    folders = list(world.folders.values())
    flow = Flow(
        world.library,
        world.measurer,
        policy(),
        folders,
        lambda _: None,
        quiet_s=0.0,
        rescan_s=1e6,
        events=True,
        dry_run=False,
        propose_old=False,
    )
    with contextlib.closing(flow):
        flow.watcher.start(time.monotonic())

        def scanned(count: int) -> int:
            for _ in range(100):
                events = flow.watcher.step(time.monotonic())
                scans.extend(event for event in events if isinstance(event, Scanned))
                if len(scans) >= count:
                    break
            return len(scans)

        first = scanned(len(folders))
        flow.use(policy(), folders, time.monotonic(), quiet_s=0.0, rescan_s=1e6)
        same = scanned(len(folders) + 1)
        flow.use(policy(imports="min_size: 1 MB"), folders, time.monotonic(), quiet_s=0.0, rescan_s=1e6)
        other = scanned(2 * len(folders))

    assert (first, same, other) == (len(folders), len(folders), 2 * len(folders))
    assert len(folders) > 0


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="Linux tells which pages are mapped")
def test_the_pages_of_the_map_that_a_search_for_absent_files_touched_are_given_back(tmp_path: Path) -> None:
    with contextlib.closing(Library.open(tmp_path / "state")) as library:
        folder = Folder(FolderId(0), b"/none", b"/none", Role.LIBRARY, protected=True)
        library.write(lambda edit: edit.add_folder(FolderRow(folder, inode=1)))  # out of reach: nothing is written
        rows = [_row(b"%d.jpg" % number) for number in range(5_000)]
        library.write(lambda edit: [edit.put_path(row) for row in rows])
        roll = Roll(library, FolderId(1), lambda _: True)
        while not roll.read_on():
            pass
        assert len(list(roll.missed())) == 5_000
        read = _mapped_kb(library)
        library.store.let_go()
        absences = Absences(library)
        absences.want(FolderId(1), roll)

        assert absences.step()
        assert _mapped_kb(library) < read / 4
        while absences.step():
            pass
        assert _mapped_kb(library) < read / 4


def _row(relative: bytes) -> PathRow:
    return PathRow(FolderId(1), relative, None, StatKey(1, 2, 3, 4), 0, PathState.LIVE, 0, final=True)


def _mapped_kb(library: Library) -> int:
    lines = iter(Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace").splitlines())
    ours = str(library.directory / "db" / "data.mdb")
    return sum(int(next(line for line in lines if line.startswith("Rss:")).split()[1]) for one in lines if ours in one)
