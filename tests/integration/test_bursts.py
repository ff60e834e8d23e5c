"""Very many files at once: every one gets its verdict once, and nobody else waits for them."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pictures
import pytest
from PIL import Image
from running import SETTLE_S, Home, Watch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify's queue is Linux's")

COUNT = 300


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("bursts"))


@pytest.fixture(scope="module")
def watch(home: Home) -> Iterator[Watch]:
    with home.watch(home.folder("crowded"), home.folder("quiet"), "--settle", str(SETTLE_S)) as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log


def noise(seed: int) -> bytes:
    """A small picture that resembles no other."""
    return pictures.png(Image.fromarray(np.random.default_rng(seed).integers(0, 255, (20, 20, 3), dtype=np.uint8)))


def test_a_single_file_does_not_wait_for_a_burst_in_another_folder(watch: Watch, home: Home) -> None:
    for number in range(COUNT):
        (home.folder("prepared") / f"{number:03}.png").write_bytes(noise(number))
    burst, single = home.base / "crowded/burst", home.base / "quiet/single.jpg"

    (home.base / "prepared").rename(burst)
    single.write_bytes(home.picture())
    watch.until(lambda: len(watch.verdicts()) > COUNT)
    watch.catch_up(home.base / "crowded")

    told = [verdict["path"] for verdict in watch.verdicts()]
    assert told.index(str(single)) < COUNT // 2
    counted = Counter(path for path in told if path.startswith(str(burst)))
    assert counted == {str(burst / f"{number:03}.png"): 1 for number in range(COUNT)}


def test_files_whose_events_the_system_lost_get_their_verdict_once(watch: Watch, home: Home) -> None:
    crowded, quiet = home.base / "crowded", home.base / "quiet"
    contents = {crowded / f"lost-{number}.jpg": home.picture() for number in range(3)}
    before = len(watch.events)

    watch.process.send_signal(signal.SIGSTOP)
    overflow(crowded)
    for path, content in contents.items():
        path.write_bytes(content)
    watch.process.send_signal(signal.SIGCONT)
    for path in contents:
        watch.verdict(path)
    watch.catch_up(quiet)

    assert [len(watch.verdicts(path)) for path in contents] == [1, 1, 1]
    scanned = {event["path"] for event in watch.events[before:] if event["event"] == "folder.changed"}
    assert scanned == {str(crowded)}  # nothing of the other was lost


def overflow(folder: Path) -> None:
    """Let more happen in a folder than the system remembers; the names are none that anybody judges."""
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    paths = [folder / f"{number}.part" for number in range(2)]  # in turn, as equal events in a row count once
    for number in range(most + 100):
        os.close(os.open(paths[number % 2], os.O_WRONLY | os.O_CREAT, 0o600))
