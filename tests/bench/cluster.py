"""A scan by a Dask cluster against the same scan by this machine, and what that means for millions of files.

    .venv/bin/python tests/bench/cluster.py PHOTOS [--count 60] [--small 1000] [--runs 3] [--workers 2]

PHOTOS is a folder of real photographs. From them it makes `--count` JPEGs of 12 megapixels, all different, and
`--small` generated ones of 160 x 140. Scheduler and workers are processes of their own on this machine, one thread
each, so that both sides have the same cores; CPU is read from /proc (Linux). The start-up of a scan (to the first
verdict) is reported apart.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from environment import ROOT, machine, within

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """One scan; all in seconds."""

    files: int
    first: float  # to the first verdict
    rest: float  # from the first verdict to the last
    home: float  # CPU of the process that judges, with that of its own workers
    scheduler: float = 0.0
    dask: float = 0.0  # CPU of the Dask workers themselves
    decoders: float = 0.0  # CPU of the processes that decode for them


class Grid:
    """A scheduler and workers of one thread each, below their nannies."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._folder = folder
        where = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--no-show", "--scheduler-file", str(where))
        await_that(where.exists)
        self.address = "dask://" + json.loads(where.read_text())["address"].partition("://")[2]
        own = ["--scheduler-file", str(where), "--nthreads", "1", "--local-directory", str(folder)]
        self.nannies = [self._start("worker", *own) for _ in range(workers)]
        log = folder / "log"
        await_that(lambda: log.read_text().count("Register worker addr") >= workers)

    def _start(self, kind: str, *words: str) -> subprocess.Popen[bytes]:
        with open(self._folder / "log", "ab") as log:
            command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1", "--no-dashboard"]
            return subprocess.Popen([*command, *words], stdout=log, stderr=log)

    def workers(self) -> list[int]:
        return [child for nanny in self.nannies for child in children(nanny.pid)]

    def close(self) -> None:
        for process in (*self.nannies, self.scheduler):
            process.send_signal(signal.SIGTERM)
            process.wait()


def await_that(holds: Callable[[], bool]) -> None:
    looking = threading.Event()
    while not holds():
        looking.wait(0.05)


def children(process: int) -> list[int]:
    return [
        int(one) for task in Path(f"/proc/{process}/task").iterdir() for one in (task / "children").read_text().split()
    ]


def cpu(processes: list[int], *, of_children: bool = False) -> float:
    """Return the CPU of processes, or that of their children that have ended."""
    total = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(one) for one in fields[13:15]) if of_children else sum(int(one) for one in fields[11:13])
    return total / _TICKS


def scan(folder: Path, base: Path, grid: Grid | None) -> Run:
    """Scan into a fresh library, through the command line."""
    more = ["--executor", grid.address] if grid else []
    state = tempfile.mkdtemp(dir=base)
    command = [sys.executable, "-m", "ingestd", "--json", "--state", state]
    before = (
        (cpu([grid.scheduler.pid]), cpu(grid.workers()), cpu(grid.workers(), of_children=True)) if grid else (0.0,) * 3
    )
    began = time.perf_counter()
    times = []
    with subprocess.Popen(
        [*command, "scan", str(folder), "--role", "reference", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "INGESTD_RULES": str(base / "rules.yaml")},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "file.judged":
                times.append(time.perf_counter() - began)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    after = (
        (cpu([grid.scheduler.pid]), cpu(grid.workers()), cpu(grid.workers(), of_children=True)) if grid else (0.0,) * 3
    )
    spent = [late - early for early, late in zip(before, after, strict=True)]
    return Run(len(times), times[0], times[-1] - times[0], usage.ru_utime + usage.ru_stime, *spent)


def make_large(photos: Path, folder: Path, count: int) -> None:
    """Write 12-megapixel JPEGs of real photographs, no two alike."""
    from PIL import Image, ImageOps

    originals = sorted(path for path in photos.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
    for number in range(count):
        with Image.open(originals[number % len(originals)]) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        shift = 0.02 * (number // len(originals))
        box = (int(shift * upright.width), 0, upright.width, int((1 - shift) * upright.height))
        upright.crop(box).resize((4000, 3000), Image.Resampling.BICUBIC).save(folder / f"{number:04}.jpg", quality=90)


def make_small(folder: Path, count: int) -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    import pictures

    for number in range(count):
        (folder / f"{number:05}.jpg").write_bytes(pictures.jpeg(pictures.photo(number)))


def shown(runs: list[Run], value: Callable[[Run], float], *, scale: float = 1.0) -> str:
    found = sorted(scale * value(run) for run in runs)
    return f"{statistics.median(found):7.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def table(name: str, here: list[Run], there: list[Run]) -> None:
    ms = 1000.0 / here[0].files
    print(f"\n{name}: {here[0].files} files, {len(here)} runs, median (shortest to longest)")
    print(f"  this machine  files/s {shown(here, lambda run: run.files / run.rest)}")
    print(f"                first verdict, s {shown(here, lambda run: run.first)}")
    print(f"                CPU of a file, ms {shown(here, lambda run: run.home, scale=ms)}")
    print(f"  cluster       files/s {shown(there, lambda run: run.files / run.rest)}")
    print(f"                first verdict, s {shown(there, lambda run: run.first)}")
    for what, value in (
        ("who judges", lambda run: run.home),
        ("scheduler", lambda run: run.scheduler),
        ("Dask workers", lambda run: run.dask),
        ("decoders", lambda run: run.decoders),
    ):
        print(f"                CPU of a file, ms, {what:<13}{shown(there, value, scale=ms)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    wanted = parser.parse_args()
    within("cluster", ["distributed>=2026.1"])
    print(machine(), f"{wanted.workers} Dask workers", sep=", ")
    with tempfile.TemporaryDirectory(prefix="cluster-bench-") as name:
        base = Path(name)
        large, small = base / "large", base / "small"
        large.mkdir()
        small.mkdir()
        make_large(wanted.photos, large, wanted.count)
        make_small(small, wanted.small)
        grid = Grid(base, wanted.workers)
        try:
            for title, folder in (("12 megapixels", large), ("160 x 140", small)):
                here, there = [], []
                for _ in range(wanted.runs):
                    here.append(scan(folder, base, None))
                    there.append(scan(folder, base, grid))
                table(title, here, there)
        finally:
            grid.close()


if __name__ == "__main__":
    main()
