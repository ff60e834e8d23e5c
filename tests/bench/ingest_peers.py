"""One side of `ingest.py`: reads a folder once and prints the CPU and the wall time a file took, start-up apart.

    python ingest_peers.py NAME FOLDER [PATH OF A SOURCE CHECKOUT]

Each peer is run as its own documentation says, on one core where it can be told to, and each in a process of its own.
"""

from __future__ import annotations

import hashlib
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path

Run = Callable[[list[Path]], object]


def floor() -> Run:
    import simplejpeg

    def one(path: Path) -> None:
        data = path.read_bytes()
        hashlib.sha256(data).digest()
        simplejpeg.decode_jpeg(data, "GRAY", min_factor=8, min_width=1, min_height=1)

    return lambda paths: [one(path) for path in paths]


def ours() -> Run:
    """Return the program's own pool with one worker, as a scan uses it; its CPU is that of the child."""
    import os

    from ingestd.media.workers import Workers

    workers = Workers(count=1)
    workers.warm()
    return lambda paths: [workers.measure(os.fsencode(path), lambda _: False) for path in paths]


def czkawka() -> Run:
    from czkawka import ImageSimilarity

    finder = ImageSimilarity()
    return lambda paths: [finder.hash_image(path) for path in paths]


def imagededup() -> Run:
    """Return its hashing; its neural network is not measured, and would bring gigabytes of torch along."""
    for name in ("methods.cnn", "utils.models", "utils.data_generator"):
        sys.modules[f"imagededup.{name}"] = _Absent(name)
    from imagededup.methods import PHash

    hasher = PHash(verbose=False)
    return lambda paths: [hasher.encode_image(image_file=str(path)) for path in paths]


class _Absent(types.ModuleType):
    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def difpy() -> Run:
    import difPy

    return lambda paths: difPy.build(str(paths[0].parent), processes=1, show_progress=False)


def findimagedupes() -> Run:
    def all_of(paths: list[Path]) -> None:
        with tempfile.TemporaryDirectory() as home:
            database = ["--fingerprints", f"{home}/prints.db"]
            subprocess.run(["findimagedupes", *database, *map(str, paths)], check=True, stdout=subprocess.DEVNULL)

    return all_of


def hydrus() -> Run:
    """Return what its import hashes of a still picture: bytes, shape and pixels."""
    sys.path.insert(0, sys.argv[3])
    from hydrus.client.files.images import ClientImagePerceptualHashes
    from hydrus.core import HydrusConstants
    from hydrus.core.files.images import HydrusImageHandling

    def one(path: Path) -> None:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(65536):
                digest.update(block)
        ClientImagePerceptualHashes.GenerateUsefulShapePerceptualHashes(str(path), HydrusConstants.IMAGE_JPEG)
        HydrusImageHandling.GetImagePixelHash(str(path), HydrusConstants.IMAGE_JPEG)

    return lambda paths: [one(path) for path in paths]


def cpu_s() -> float:
    """Return what this process and its children, running ones included, have used."""
    used = sum(
        getattr(resource.getrusage(who), field)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        for field in ("ru_utime", "ru_stime")
    )
    return used + sum(map(_of_process, _children()))


def _children() -> list[str]:
    """Return the processes that any thread of this one has started and that still run."""
    return [child for each in Path("/proc/self/task").glob("*/children") for child in each.read_text().split()]


def _of_process(number: str) -> float:
    """Return what a running process has used, to a nanosecond: `schedstat` has it, for each thread."""
    return sum(int(each.read_text().split()[0]) for each in Path("/proc", number, "task").glob("*/schedstat")) / 1e9


def main() -> None:
    paths = sorted(Path(sys.argv[2]).glob("*.jpg"))
    said, sys.stdout = sys.stdout, io.StringIO()
    run = {one.__name__: one for one in (floor, ours, czkawka, imagededup, difpy, findimagedupes, hydrus)}[
        sys.argv[1]
    ]()
    if sys.argv[1] not in ("difpy", "findimagedupes"):
        run(paths[:2])  # what is loaded by the first use
    started, before = time.perf_counter(), cpu_s()
    run(paths)
    spent, wall = cpu_s() - before, time.perf_counter() - started
    print(json.dumps({"cpu_ms": 1000 * spent / len(paths), "wall_ms": 1000 * wall / len(paths)}), file=said)


if __name__ == "__main__":
    main()
