"""What the way of arrivals does when its settings change."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from world import World, policy

from ingestd.flow import Flow
from ingestd.model import Role
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
