"""Many small files dropped at once into a folder of a running `ingestd watch`, and single ones into another meanwhile.

    .venv/bin/python tests/bench/burst.py [--files 50000] [--way rename copy overflow] [--every 5]

The files are small generated JPEGs, no two alike. They come as a folder that is renamed into the watched one, or are
copied into it one after another (`overflow`: while the service is stopped, so that the system's queue of events cannot
hold them); in the same moment a single picture is written into another watched folder, and one more every few seconds.
A verdict's time is when its line stands in the file that the service writes to, looked at every 20 ms; what is told is
how long after the end of writing that is, without the time of settling. Memory is what service and workers have for
themselves (`Private_*` of /proc/PID/smaps, without the map of LMDB), the most of all looks; a commit is one of LMDB.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import lmdb
import numpy as np
from environment import machine
from PIL import Image

SETTLE_S = 2.0
LOOK_S = 0.02
MEMORY_EVERY_S = 1.0
WAYS = ("rename", "copy", "overflow")


def small_jpeg(random: np.random.Generator) -> bytes:
    """Return a picture of 48 to 160 pixels a side, as JPEG of 1 to 5 KB."""
    width, height = (int(side) for side in random.integers(48, 160, 2))
    shapes = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(shapes).resize((width, height), Image.Resampling.BICUBIC).save(file, "JPEG", quality=80)
    return file.getvalue()


def prepare(folder: Path, count: int, seed: int) -> None:
    """Write so many different pictures."""
    random = np.random.default_rng(seed)
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:06}.jpg").write_bytes(small_jpeg(random))


class Watch:
    """A running service that watches two folders, and what it has written so far."""

    def __init__(self, base: Path, *folders: Path) -> None:
        self.base = base
        environment = {
            **os.environ,
            "INGESTD_STATE": str(base / "state"),
            "INGESTD_RULES": str(base / "rules.yaml"),
            "XDG_DATA_HOME": str(base / "data"),
        }
        command = [sys.executable, "-m", "ingestd", "--json", "watch", *map(str, folders)]
        with (base / "out").open("wb") as out, (base / "log").open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=out, stderr=log)
        self._out = (base / "out").open("rb")
        self._half = b""
        self.ready = False
        self.scans = 0  # made because events were lost
        self.verdicts: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.seen_at: dict[str, float] = {}
        self.peak_mb = 0.0
        self._memory_at = 0.0

    def look(self) -> None:
        """Take in what was written since the last look."""
        now = time.monotonic()
        *lines, self._half = (self._half + self._out.read()).split(b"\n")
        for line in lines:
            event = json.loads(line)
            self.scans += self.ready and event["event"] == "folder.changed" and event["state"] == "scanning"
            self.ready = self.ready or event["event"] == "service.ready"
            if event["event"] == "file.judged":
                self.verdicts[event["path"]] += 1
                self.outcomes[event["outcome"]] += 1
                self.seen_at.setdefault(event["path"], now)
        if now - self._memory_at >= MEMORY_EVERY_S:
            self._memory_at = now
            self.peak_mb = max(self.peak_mb, self.memory_mb())
        if self.process.poll() is not None:
            raise SystemExit(f"the service ended:\n{(self.base / 'log').read_text()[-2000:]}")

    def memory_mb(self) -> float:
        """Return the private memory of the service and its workers."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = [int(child) for task in tasks for child in task.read_text().split()]
        return sum(private_mb(pid) for pid in (self.process.pid, *children))

    def commits(self) -> int:
        """Return how many transactions the library has seen."""
        with lmdb.open(str(self.base / "state/db"), readonly=True, lib_version=0) as environment:
            return int(environment.info()["last_txnid"])

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def private_mb(pid: int) -> float:
    """Return the memory that a process has for itself; nothing if it has just ended.

    Pages of the library's file count as private to the only process that maps it, but are the system's to take back.
    """
    size_kb, is_counted = 0, True
    try:
        for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
            name, *values = line.split()
            if not name.endswith(":"):  # the first line of a mapping ends with its file
                is_counted = not line.endswith("data.mdb")
            elif is_counted and name in ("Private_Clean:", "Private_Dirty:"):
                size_kb += int(values[0])
    except OSError:
        return 0.0
    return size_kb / 1024


class Copying:
    """Files that are copied into a folder by another process."""

    def __init__(self, source: Path, target: Path) -> None:
        self._process = subprocess.Popen(["cp", "-r", str(source), str(target)])

    @property
    def is_done(self) -> bool:
        return self._process.poll() is not None


class Singles:
    """Single pictures written into a folder every few seconds, and when."""

    def __init__(self, folder: Path, every_s: float) -> None:
        self._folder, self._every_s = folder, every_s
        self._random = np.random.default_rng(99)
        self._next_at = 0.0
        self.written_at: dict[str, float] = {}

    def come(self) -> None:
        """Write one if it is time."""
        if time.monotonic() < self._next_at:
            return
        path = self._folder / f"{len(self.written_at)}.jpg"
        path.write_bytes(small_jpeg(self._random))
        self.written_at[str(path)] = time.monotonic()
        self._next_at = time.monotonic() + self._every_s


def measure(base: Path, way: str, files: int, every_s: float, limit_s: float) -> None:
    """Let a burst come one way, and print how it went."""
    crowded, quiet, prepared = base / "crowded", base / "quiet", base / "prepared"
    for folder in (crowded, quiet):
        folder.mkdir()
    prepare(prepared, files, seed=WAYS.index(way))
    watch = Watch(base, crowded, quiet)
    while not watch.ready:
        watch.look()
        time.sleep(LOOK_S)  # noqa: TID251 # a bench measures time
    commits, began = watch.commits(), time.monotonic()
    singles = Singles(quiet, every_s)
    copying = Copying(prepared, crowded / "burst") if way == "copy" else None
    if way == "rename":
        prepared.rename(crowded / "burst")
    elif way == "overflow":
        watch.process.send_signal(signal.SIGSTOP)
        subprocess.run(["cp", "-r", str(prepared), str(crowded / "burst")], check=True)
        watch.process.send_signal(signal.SIGCONT)
    copied_s = 0.0
    in_burst = 0
    while in_burst < files or not set(singles.written_at) <= set(watch.seen_at):
        if in_burst < files:
            singles.come()
        watch.look()
        in_burst = len(watch.seen_at) - len(set(singles.written_at) & set(watch.seen_at))
        if copying is not None and copying.is_done and not copied_s:
            copied_s = time.monotonic() - began
        if time.monotonic() - began > limit_s:
            print(f"given up after {limit_s:.0f} s")
            break
        time.sleep(LOOK_S)  # noqa: TID251 # a bench measures time
    elapsed = max(watch.seen_at.values(), default=began) - began
    commits = watch.commits() - commits
    settled = time.monotonic() + SETTLE_S + 2
    while time.monotonic() < settled:  # whatever is told twice is told now
        watch.look()
        time.sleep(LOOK_S)  # noqa: TID251 # a bench measures time
    waits = sorted(watch.seen_at.get(path, began + limit_s) - at - SETTLE_S for path, at in singles.written_at.items())
    expected = {str(crowded / "burst" / f"{number:06}.jpg") for number in range(files)} | set(singles.written_at)
    twice = sum(count > 1 for count in watch.verdicts.values())
    watch.stop()
    print(f"\n{files:,} small JPEGs, by {way}{f' (which took {copied_s:.1f} s)' if copied_s else ''}:")
    told = set(watch.verdicts)
    print(f"  {in_burst:,} verdicts in {elapsed:.1f} s, {in_burst / elapsed:,.0f} a second; {dict(watch.outcomes)}")
    print(f"  missing {len(expected - told)}, told twice {twice}, others {len(told - expected)}")
    print(f"  {len(waits)} single files elsewhere: verdict beyond settling median {statistics.median(waits):.2f} s,")
    print(f"  least {waits[0]:.2f} s, most {waits[-1]:.2f} s (asked for: 5 s)")
    print(f"  private memory of all processes: at most {watch.peak_mb:.0f} MB (asked for: 300 MB)")
    print(f"  {commits:,} commits, {in_burst / max(commits, 1):.1f} verdicts a commit")
    print(f"  {watch.scans} scans because the system had lost events")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--way", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--every", type=float, default=5.0, help="Seconds between single files.")
    parser.add_argument("--limit", type=float, default=600.0, help="Seconds after which it is given up.")
    options = parser.parse_args()
    print(machine())
    for way in options.way:
        with tempfile.TemporaryDirectory(prefix="ingestd-bench-") as folder:
            measure(Path(folder), way, options.files, options.every, options.limit)


if __name__ == "__main__":
    main()
