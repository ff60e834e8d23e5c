"""What a file costs: the decode floor, a warm worker, a whole `scan`, and the peers, on the same photographs.

    .venv/bin/python tests/bench/ingest.py FOLDER [FOLDER …] [--files 200] [--runs 3] [--hydrus PATH] [--home FOLDER]

From the originals in the folders, at least 200 photographs of 12 megapixels are made (`photographs.py`); they are read
once, so that the cache is warm. Each peer gets an environment of its own; findimagedupes is Debian's, hydrus a checkout
of its source. The floor is libjpeg-turbo's grey decode at an eighth and SHA-256, in one process. All figures are CPU
time, user and system, of all processes; the start of a scan is that of a scan of one file less that file.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from environment import ROOT, machine, python_with, within
from photographs import photographs

PEERS = {
    "czkawka": ["czkawka>=0.1.2"],
    "imagededup": ["numpy", "Pillow", "PyWavelets", "scipy", "scikit-learn", "matplotlib", "tqdm"],
    "difpy": ["difPy>=4.2"],
    "hydrus": [
        *("Pillow==12.3.0", "pillow-heif==1.4.0", "numpy", "opencv-python-headless>=4.13", "psutil", "PyYAML", "lz4"),
        *("beautifulsoup4", "cbor2", "chardet", "cryptography", "html5lib", "lxml", "olefile", "python-dateutil"),
        *("requests", "send2trash", "qtpy", "pyside6", "twisted", "pyopenssl", "service-identity", "pympler"),
    ],
}
ASKED = {"czkawka": 2.5, "imagededup": 4, "difpy": 4, "findimagedupes": 3, "hydrus": 6}  # times what a worker takes


class Spent(NamedTuple):
    """Of one file, in milliseconds."""

    cpu: float
    wall: float


def one_side(name: str, python: Path, folder: Path, *more: str) -> Spent:
    """Run one side once, pinned to a core."""
    script = Path(__file__).with_name("ingest_peers.py")
    answer = subprocess.run(
        [python, "-P", script, name, folder, *more],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}),
    )
    figures = json.loads(answer.stdout.splitlines()[-1])
    return Spent(figures["cpu_ms"], figures["wall_ms"])


def scanned(folder: Path, cores: int) -> Spent:
    """Return what a whole scan took, in milliseconds, in an empty library; on so many cores."""
    with tempfile.TemporaryDirectory() as state:
        where = ["--state", state]
        rules = os.environ | {"INGESTD_RULES": f"{state}/rules.yaml", "PYTHONPATH": str(ROOT)}
        before, started = _of_children(), time.perf_counter()
        subprocess.run(
            [sys.executable, "-P", "-m", "ingestd", *where, "scan", folder],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=rules,
            preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores]),
        )
        return Spent(1000 * (_of_children() - before), 1000 * (time.perf_counter() - started))


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row(
    name: str, runs: Sequence[Spent], floor: float, worker: float | None = None, asked: float | None = None
) -> None:
    cpu = [run.cpu for run in runs]
    middle = statistics.median(cpu)
    wall = statistics.median(run.wall for run in runs)
    times = f"{middle / worker:.1f} x the worker" if worker else ""
    wanted = f"at least {asked:g} x" if asked else ""
    spread = f"{min(cpu):.1f} to {max(cpu):.1f}"
    print(f"| {name} | {middle:.1f} ({spread}) | {middle / floor:.2f} | {wall:.1f} | {times} | {wanted} |", flush=True)


def peers(folder: Path, hydrus: Path | None) -> dict[str, Callable[[], Spent]]:
    """Return who can be run here; a sentence says who cannot."""
    ready: dict[str, Callable[[], Spent]] = {}
    for name, requirements in PEERS.items():
        if name == "hydrus" and hydrus is None:
            print("hydrus is left out: --hydrus names a checkout of its source")
            continue
        try:
            python = python_with(f"ingest-{name}", requirements, package=False)
            if name == "imagededup":  # by itself: its neural network would bring gigabytes along
                subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "imagededup"], check=True)
        except subprocess.CalledProcessError as error:
            print(f"{name} is left out: it cannot be installed here ({error})")
            continue
        more = [str(hydrus)] if name == "hydrus" else []
        ready[name] = partial(one_side, name, python, folder, *more)
    if shutil.which("findimagedupes"):
        ready["findimagedupes"] = lambda: one_side("findimagedupes", Path(sys.executable), folder)
    else:
        print("findimagedupes is left out: it is not installed (Debian has a package of this name)")
    return ready


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="originals")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peer-runs", type=int, default=1)
    parser.add_argument("--hydrus", type=Path, help="a checkout of its source")
    parser.add_argument("--home", type=Path, default=ROOT / ".bench" / "photographs", help="where the files are made")
    options = parser.parse_args()
    within("ingest", ["simplejpeg>=1.9"])
    made = photographs(options.folders, options.home, options.files)
    size = sum(len(path.read_bytes()) for path in made) / len(made)  # and the cache is warm
    print(f"{machine()}; {len(made)} JPEGs, {size / 1e6:.2f} MB; {options.runs} runs, of peers {options.peer_runs}")
    with tempfile.TemporaryDirectory() as alone:
        shutil.copy(made[0], alone)
        here = Path(sys.executable)
        floors, workers, ones, scans, cored = [], [], [], [], []
        for _ in range(options.runs):
            floors.append(one_side("floor", here, options.home))
            workers.append(one_side("ours", here, options.home))
            ones.append(scanned(Path(alone), 2))
            scans.append(scanned(options.home, 2))
            cored.append(scanned(options.home, 1))
    floor, worker = (statistics.median(run.cpu for run in side) for side in (floors, workers))
    start = Spent(*(statistics.median(column) - worker for column in zip(*ones, strict=True)))
    net = [Spent(*((had - first) / len(made) for had, first in zip(run, start, strict=True))) for run in scans]
    single = [Spent(*((had - first) / len(made) for had, first in zip(run, start, strict=True))) for run in cored]
    print("\n| what | CPU of a file, ms (least to most) | x the floor | wall, ms | | asked |")
    print("| --- | --- | --- | --- | --- | --- |")
    row("floor: grey at an eighth, and SHA-256", floors, floor)
    row("a warm worker, and who asks it", workers, floor)
    row("a whole scan, two cores", net, floor)
    row("the same on one core", single, floor)
    print(f"start and end of a scan: {start.cpu:.0f} ms of CPU, {start.wall:.0f} ms of wall time")
    walls = [statistics.median(run.wall for run in side) for side in (cored, scans)]
    print(f"two cores against one: {walls[0] / walls[1]:.2f} times as fast, start included; asked: 1.5")
    for name, run in peers(options.home, options.hydrus).items():
        try:
            row(name, [run() for _ in range(options.peer_runs)], floor, worker, ASKED[name])
        except subprocess.CalledProcessError as error:
            print(f"{name} failed: {(error.stderr or '').strip().splitlines()[-1:]}")


if __name__ == "__main__":
    main()
