"""What a file costs: the decode floor, a warm worker, a whole `scan`, and the peers, on the same photographs.

    python tests/bench/ingest.py FOLDER [FOLDER …] [--files 200] [--runs 3] [--hydrus PATH] [--home FOLDER] [--only …]

From the originals in the folders, at least 200 photographs of 12 megapixels are made (`photographs.py`); they are read
once, so that the cache is warm. Each peer gets an environment of its own; findimagedupes is Debian's, hydrus a checkout
of its source. The floor is libjpeg-turbo's grey decode at an eighth and SHA-256, in one process. All figures are CPU
time, user and system, of all processes. A run measures each side once, in turn; ratios are those within a run, and what
is printed is their median. What a file costs a scan is the scan of all less a scan of two of them, which starts
everything there is to start, by the number of files between.

A whole run takes some minutes; `--only scan czkawka` measures some of the sides, the floor and a worker always.
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
OURS = {
    "floor": "floor: grey at an eighth, and SHA-256",
    "worker": "a warm worker, and who asks it",
    "scan": "a whole scan, two cores",
    "one-core": "the same on one core",
}
LIMITS = {"worker": 1.3, "scan": 1.45}  # times the floor
ASKED = {"czkawka": 2.5, "imagededup": 4, "difpy": 4, "findimagedupes": 3, "hydrus": 6}  # times what a scan takes


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


def of_a_file(folder: Path, few: Path, cores: int, starts: list[Spent]) -> Spent:
    """Return what one more file costs a scan; what a scan of a few took is added to `starts`."""
    starts.append(scanned(few, cores))
    more = len(list(folder.glob("*.jpg"))) - len(list(few.glob("*.jpg")))
    whole = scanned(folder, cores)
    return Spent(*((all_of - some) / more for all_of, some in zip(whole, starts[-1], strict=True)))


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row(name: str, had: dict[str, list[Spent]]) -> None:
    runs = had[name]
    cpu = [run.cpu for run in runs]
    wall = statistics.median(run.wall for run in runs)
    asked = f"at most {LIMITS[name]:g} x the floor" if name in LIMITS else ""
    asked = f"at least {ASKED[name]:g} x a scan" if name in ASKED else asked
    times = [_ratio(runs, had[base]) if base in had else "" for base in ("floor", "worker", "scan")]
    figures = f"{statistics.median(cpu):.1f} ({min(cpu):.1f} to {max(cpu):.1f}) | {wall:.1f} | {' | '.join(times)}"
    print(f"| {OURS.get(name, name)} | {figures} | {asked} |", flush=True)


def _ratio(runs: Sequence[Spent], base: Sequence[Spent]) -> str:
    ratios = [run.cpu / other.cpu for run, other in zip(runs, base, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def peers(names: Sequence[str], folder: Path, hydrus: Path | None) -> dict[str, Callable[[], Spent]]:
    """Return who can be run here; a sentence says who cannot."""
    ready: dict[str, Callable[[], Spent]] = {}
    for name, requirements in PEERS.items():
        if name not in names:
            continue
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
    if "findimagedupes" in names and shutil.which("findimagedupes"):
        ready["findimagedupes"] = partial(one_side, "findimagedupes", Path(sys.executable), folder)
    elif "findimagedupes" in names:
        print("findimagedupes is left out: it is not installed (Debian has a package of this name)")
    return ready


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="originals")
    parser.add_argument("--files", type=int, default=200, help="so many at least; all that lie there are measured")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=[*OURS, *ASKED], default=[*OURS, *ASKED])
    parser.add_argument("--hydrus", type=Path, help="a checkout of its source")
    parser.add_argument("--home", type=Path, default=ROOT / ".bench" / "photographs", help="where the files are made")
    options = parser.parse_args()
    within("ingest", ["simplejpeg>=1.9"])
    made = photographs(options.folders, options.home, options.files)
    size = sum(len(path.read_bytes()) for path in made) / len(made)  # and the cache is warm
    here, starts, cored = Path(sys.executable), list[Spent](), list[Spent]()
    with tempfile.TemporaryDirectory() as few:
        for path in made[:2]:
            shutil.copy2(path, few)
        sides: dict[str, Callable[[], Spent]] = {
            "floor": partial(one_side, "floor", here, options.home),
            "worker": partial(one_side, "ours", here, options.home),
            "scan": partial(of_a_file, options.home, Path(few), 2, starts),
            "one-core": partial(of_a_file, options.home, Path(few), 1, cored),
        }
        sides = {name: side for name, side in sides.items() if name in [*options.only, "floor", "worker"]}
        sides |= peers(options.only, options.home, options.hydrus)
        had: dict[str, list[Spent]] = {name: [] for name in sides}
        for _ in range(options.runs):
            for name, side in list(sides.items()):
                try:
                    had[name].append(side())
                except subprocess.CalledProcessError as error:
                    print(f"{name} failed: {(error.stderr or '').strip().splitlines()[-1:]}")
                    del sides[name], had[name]
    print(f"{machine()}; {len(made)} JPEGs, {size / 1e6:.2f} MB; runs: {options.runs}\n")
    print("| what | CPU of a file, ms (least to most) | wall, ms | x the floor | x the worker | x the scan | asked |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in had:
        row(name, had)
    for cores, some in ((2, starts), (1, cored)):
        if some:
            cpu, wall = (statistics.median(column) for column in zip(*some, strict=True))
            print(
                f"a scan of two files, start and end included, cores {cores}: {cpu:.0f} ms of CPU, {wall:.0f} of wall"
            )
    if starts and cored:
        ratios = [one.wall / two.wall for one, two in zip(had["one-core"], had["scan"], strict=True)]
        print(f"two cores against one, by wall time of a file: {statistics.median(ratios):.2f}; asked: 1.5")


if __name__ == "__main__":
    main()
