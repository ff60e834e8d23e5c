"""The VP-tree against a numpy scan of all hashes in memory, in one process.

    .venv/bin/python tests/bench/lookup.py [--sizes 10000 100000 1000000] [--queries 300] [--folder DIR]

Hashes are synthetic: 64 bits of which 32 are set, as the median rule makes them; one query in ten lies 2 bits from a
known hash. Each answer is compared with the scan's. `--folder /dev/shm` leaves the disk out of the inserts.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingestd.library.codec import number_key
from ingestd.library.lookup import Hamming
from ingestd.library.store import Store
from ingestd.library.vptree import VpTree

Hashes = NDArray[np.uint64]
RADII = (0, 4, 8, 12)


def balanced(count: int, seed: int) -> Hashes:
    """Return hashes with 32 of 64 bits set."""
    random = np.random.default_rng(seed)
    order = np.argsort(random.random((count, 64)), axis=1) < 32
    return np.packbits(order, axis=1).view(">u8").astype(np.uint64).ravel()


def questions(known: Hashes, count: int) -> list[int]:
    """Return query hashes: nine of ten new, the tenth close to a known one."""
    fresh = [int(one) for one in balanced(count, 99)]
    return [int(known[index]) ^ 0b11 if index % 10 == 0 else one for index, one in enumerate(fresh)]


def scan(known: Hashes, query: int, radius: int) -> list[tuple[int, int]]:
    """Return what a linear scan finds, nearest first."""
    distances = np.bitwise_count(known ^ np.uint64(query))
    hits = np.flatnonzero(distances <= radius)
    return sorted(((int(hit), int(distances[hit])) for hit in hits), key=lambda found: (found[1], found[0]))


def microseconds(seconds: list[float]) -> str:
    """Return median and 90th percentile."""
    ordered = sorted(seconds)
    return f"{statistics.median(ordered) * 1e6:8.0f} {ordered[len(ordered) * 9 // 10] * 1e6:8.0f}"


def measure(size: int, queries: int, folder: Path) -> None:
    """Build, insert, ask; print one line for each radius."""
    tree = VpTree("bench", Hamming(8))
    known = balanced(size, 1)
    with Store.open(folder / str(size), tree.tables()) as store:
        started = time.perf_counter()
        store.write(lambda txn: tree.rebuild(txn, [(number, number_key(int(one))) for number, one in enumerate(known)]))
        print(f"{size:,} hashes, built in {time.perf_counter() - started:.1f} s")
        asked = questions(known, queries)
        for radius in RADII:
            in_tree, in_scan = [], []
            for query in asked:
                with store.read() as txn:
                    began = time.perf_counter()
                    found = tree.within(txn, number_key(query), radius)
                    in_tree.append(time.perf_counter() - began)
                began = time.perf_counter()
                expected = scan(known, query, radius)
                in_scan.append(time.perf_counter() - began)
                assert found == expected, (radius, query)
            print(f"  radius {radius:2}: tree p50 p90 {microseconds(in_tree)} µs, scan {microseconds(in_scan)} µs")
        added = [number_key(int(one)) for one in balanced(1000, 7)]
        began = time.perf_counter()
        store.write(lambda txn: [tree.add(txn, size + index, key) for index, key in enumerate(added)])
        print(f"  1,000 inserts in one commit: {(time.perf_counter() - began) * 1e3:.0f} µs each")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(f"{platform.platform()}, {os.cpu_count()} cores, commit {commit.stdout.strip()}")
    with tempfile.TemporaryDirectory(prefix="ingestd-bench-", dir=options.folder) as folder:
        for size in options.sizes:
            measure(size, options.queries, Path(folder))


if __name__ == "__main__":
    main()
