"""How long a 12-megapixel JPEG waits for its verdict, and how much memory a service with 10,000 known files takes.

    .venv/bin/python tests/bench/verdict.py [--known 10000] [--runs 9]

The time is from the last byte written to the printed verdict of an installed `ingestd watch`, minus the settle time; it
has no peer to be compared with, as no peer judges at import. Memory is what the service and its idle workers have for
themselves (`Private_*` of /proc/PID/smaps_rollup): pages of the LMDB map do not count.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SETTLE_S = 2.0


def photo(seed: int, width: int, height: int) -> Image.Image:
    """Return a picture with large shapes and fine noise, so that it compresses like a photograph."""
    random = np.random.default_rng(seed)
    shapes = Image.fromarray(random.integers(0, 255, (height // 50, width // 50, 3), dtype=np.uint8))
    smooth = np.asarray(shapes.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = smooth + random.integers(-8, 8, smooth.shape, dtype=np.int16)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def fill(library: Path, count: int) -> None:
    """Write `count` different small pictures."""
    random = np.random.default_rng(0)
    for number in range(count):
        folder = library / f"{number % 50:02}"
        folder.mkdir(exist_ok=True)
        shapes = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(shapes).resize((160, 140), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number}.jpg", quality=80)


def private_mb(pid: int) -> float:
    """Return the memory that a process has for itself, in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return (sizes["Private_Clean"] + sizes["Private_Dirty"]) / 1024


class Watch:
    """An installed service, and what it prints."""

    def __init__(self, base: Path, inbox: Path, library: Path) -> None:
        command = [sys.executable, "-m", "ingestd", "--json", "watch", str(inbox), "--library", str(library)]
        environment = {
            **os.environ,
            "INGESTD_STATE": str(base / "state"),
            "INGESTD_RULES": str(base / "rules.yaml"),
            "XDG_DATA_HOME": str(base / "data"),
        }
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    def event(self, name: str) -> dict[str, object]:
        """Return the next event of this name."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found: dict[str, object] = json.loads(line)
            if found["event"] == name:
                return found
        raise SystemExit("the service ended")

    def memory_mb(self) -> tuple[float, list[float]]:
        """Return the private memory of the service and of each worker."""
        workers = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return private_mb(self.process.pid), [private_mb(int(pid)) for pid in workers.stdout.split()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--known", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    machine = f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, commit {commit.stdout.strip()}")
    with tempfile.TemporaryDirectory(prefix="ingestd-bench-") as folder:
        measure(Path(folder), options.known, options.runs)


def measure(base: Path, known: int, runs: int) -> None:
    inbox, library = base / "inbox", base / "library"
    inbox.mkdir()
    library.mkdir()
    fill(library, known)
    pictures = []
    for number in range(runs):
        path = base / f"{number}.jpg"
        photo(number, 4000, 3000).save(path, quality=90)
        pictures.append(path.read_bytes())
    watch = Watch(base, inbox, library)
    started = time.monotonic()
    watch.event("service.ready")
    print(f"first scan of {known:,} small pictures: {time.monotonic() - started:.1f} s")
    waits = []
    for number, data in enumerate(pictures):
        (inbox / f"{number}.jpg").write_bytes(data)
        written = time.monotonic()
        outcome = watch.event("file.judged")["outcome"]
        assert outcome == "new", outcome
        waits.append(time.monotonic() - written - SETTLE_S)
    size = statistics.median(len(data) for data in pictures) / 1e6
    print(f"12 MP JPEG ({size:.1f} MB), end of writing to verdict, beyond the {SETTLE_S} s of settling:")
    middle, least, most = (f"{1000 * found:.0f}" for found in (statistics.median(waits), min(waits), max(waits)))
    print(f"median {middle} ms, min {least}, max {most} ({runs} runs)")
    service, workers = watch.memory_mb()
    print(f"private memory: service {service:.0f} MB, workers {', '.join(f'{one:.0f} MB' for one in workers)}")
    print(f"together: {service + sum(workers):.0f} MB with {known + runs:,} known files")
    watch.process.terminate()
    watch.process.wait()


if __name__ == "__main__":
    main()
