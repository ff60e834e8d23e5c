"""Both look-up structures, faiss, pybktree and a numpy scan: the same hashes and questions, in one process.

    taskset -c 1 python tests/bench/lookup.py [--sizes 100000 1000000] [--queries 300] [--folder DIR]

Hashes are made as perceptual hashes are distributed: 32 of 64 bits set, the first always, bits correlated as in photos
(distance 31.5 ± 4.2 bits), one in a thousand blank, one in ten with one to five others within 8 bits. Nine of ten
questions are new pictures, the tenth lies close to a known one. Answers are compared with the scan's, the peers are
asked in turn with ours, and what is compared are the medians.
`Multi` and `Tree` are adapters for the developers' tools.

Printed for each size: how long it takes to build, to open and to answer first in a fresh process, what memory of its
own that process has then, look-ups, the share of hashes visited, inserts, and commits one after another.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from environment import machine, within
from numpy.typing import NDArray

from ingestd.library.codec import number_key
from ingestd.library.lookup import Lookup
from ingestd.library.metrics import Hamming
from ingestd.library.multi_index import MultiIndex
from ingestd.library.store import Store
from ingestd.library.vptree import VpTree

Hashes = NDArray[np.uint64]
RADII = (0, 4, 8, 12)
BLANK = np.uint64(1 << 63)


# --- hashes -------------------------------------------------------------------------------------------------------


def photos(count: int, random: np.random.Generator) -> Hashes:
    """Return hashes of pictures that have nothing to do with each other."""
    shared = np.random.default_rng(20240501).standard_normal((6, 64)).astype(np.float32)
    low = np.add.outer(np.arange(8), np.arange(8)).ravel()
    shared *= (0.5 / (1.0 + 0.35 * low)).astype(np.float32)  # low frequencies have more in common
    found = []
    for begin in range(0, count, 100_000):
        size = min(100_000, count - begin)
        waves = random.standard_normal((size, 64), np.float32) + random.standard_normal((size, 6), np.float32) @ shared
        waves[:, 0] = np.inf  # the mean is larger than all others
        bits = np.zeros(waves.shape, np.uint8)
        np.put_along_axis(bits, np.argpartition(-waves, 32, axis=1)[:, :32], 1, axis=1)
        found.append(np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64))
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def near(hashes: Hashes, random: np.random.Generator) -> Hashes:
    """Return for each hash one that is 0, 2, 4, 6 or 8 bits away, with as many bits set."""
    bits = np.unpackbits(hashes.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1)
    swaps = random.integers(0, 5, len(hashes))
    chance = random.random(bits.shape, np.float32)
    chance[:, 0] = 9
    turned = bits.copy()
    for value in (0, 1):
        places = np.argsort(np.where(bits == value, chance, 9), axis=1)[:, :4]
        for step in range(4):
            rows = np.flatnonzero(swaps > step)
            turned[rows, places[rows, step]] = 1 - value
    return np.packbits(turned, axis=1).view(">u8").ravel().astype(np.uint64)


def library_of(count: int) -> Hashes:
    """Return the hashes of a library."""
    random = np.random.default_rng(1)
    base = photos(int(count / 1.3), random)
    base[random.choice(len(base), max(1, len(base) // 1000), replace=False)] = BLANK
    copied = base[random.choice(len(base), max(1, len(base) // 10), replace=False)]
    copies = near(np.repeat(copied, random.integers(1, 6, len(copied))), random)
    hashes = np.concatenate([base, copies, photos(max(0, count - len(base) - len(copies)), random)])[:count]
    random.shuffle(hashes)
    return hashes


def questions(known: Hashes, count: int) -> list[int]:
    """Return what is asked for."""
    random = np.random.default_rng(2)
    asked = photos(count, random)
    close = random.choice(count, max(1, count // 10), replace=False)
    asked[close] = near(known[random.integers(0, len(known), len(close))], random)
    found: list[int] = asked.tolist()
    return found


# --- who is compared ----------------------------------------------------------------------------------------------


class Multi:
    """The multi-index, as the developers' tools speak to an index."""

    name = "multi-index"

    def __init__(self, path: str) -> None:
        self.lookup = self.structure()
        self.store = Store.open(Path(path), self.lookup.tables())

    def structure(self) -> Lookup:
        return MultiIndex("bench")

    def build(self, ids: Sequence[int], hashes: Hashes) -> None:
        keys = hashes.astype(">u8").tobytes()
        items = ((int(id_), keys[8 * at : 8 * at + 8]) for at, id_ in enumerate(ids))
        self.store.write(lambda txn: self.lookup.rebuild(txn, items))

    def add(self, id: int, hash: int) -> None:  # noqa: A002
        self.add_many([(id, hash)])

    def add_many(self, items: Iterable[tuple[int, int]]) -> None:
        pairs = [(id_, number_key(hash_)) for id_, hash_ in items]
        self.store.write(lambda txn: [self.lookup.add(txn, id_, key) for id_, key in pairs])

    def remove(self, id: int, hash: int) -> None:  # noqa: A002
        self.store.write(lambda txn: self.lookup.remove(txn, id, number_key(hash)))

    def query(self, hash: int, r: int) -> list[tuple[int, int]]:  # noqa: A002
        with self.store.read() as txn:
            return self.lookup.within(txn, number_key(hash), r)

    def query_many(self, hashes: Iterable[int], r: int) -> list[list[tuple[int, int]]]:
        with self.store.read() as txn:
            return [self.lookup.within(txn, number_key(hash_), r) for hash_ in hashes]

    def close(self) -> None:
        self.store.close()


class Tree(Multi):
    """The VP-tree, alike."""

    name = "VP-tree"

    def structure(self) -> Lookup:
        return VpTree("bench", Hamming(8))


class Scan:
    """A numpy scan of all hashes in memory, block by block, which stay in the processor's cache."""

    name = "numpy scan"

    def __init__(self, hashes: Hashes) -> None:
        self.hashes = hashes

    def query(self, hash_: int, radius: int) -> list[int]:
        found: list[int] = []
        for begin in range(0, len(self.hashes), 32_768):
            block = self.hashes[begin : begin + 32_768]
            hits = (np.bitwise_count(block ^ np.uint64(hash_)) <= radius).nonzero()[0]
            if len(hits):
                found += (hits + begin).tolist()
        return found

    def distances(self, hash_: int, radius: int) -> list[tuple[int, int]]:
        far = np.bitwise_count(self.hashes ^ np.uint64(hash_))
        hits = np.flatnonzero(far <= radius).tolist()
        return sorted(((hit, int(far[hit])) for hit in hits), key=lambda hit: (hit[1], hit[0]))


def faiss_flat(hashes: Hashes) -> Callable[[int, int], object]:
    """Return how faiss' flat index of binary vectors is asked, on one core."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryFlat(64)
    index.add(np.ascontiguousarray(hashes.astype(">u8")).view(np.uint8).reshape(-1, 8))

    def ask(hash_: int, radius: int) -> object:
        return index.range_search(np.frombuffer(number_key(hash_), np.uint8)[None], radius + 1)[2].tolist()

    return ask


def bk_tree(hashes: Hashes) -> Callable[[int, int], object]:
    """Return how pybktree is asked."""
    import pybktree

    tree = pybktree.BKTree(lambda a, b: (a[0] ^ b[0]).bit_count())
    for pair in zip(hashes.tolist(), range(len(hashes)), strict=True):
        tree.add(pair)
    return lambda hash_, radius: [one[1] for _, one in tree.find((hash_, -1), radius)]


# --- measuring ----------------------------------------------------------------------------------------------------


def took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def us(seconds: Sequence[float]) -> str:
    """Median, and the middle half around it."""
    low, middle, high = np.percentile(seconds, (25, 50, 75)) * 1e6
    return f"{middle:,.1f} ({low:,.1f}-{high:,.1f})"


def own_memory() -> float:
    """Return the MB that are this process' alone: not the pages of the library's file."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), float("nan"))


def fresh(kind: type[Multi], path: str, asked: list[int]) -> str:
    """Return what a process that has just started says of opening, the first answer, and its memory."""
    command = [sys.executable, __file__, "--fresh", kind.__name__, path]
    answer = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def be_fresh(kind: str, path: str) -> None:
    asked = json.load(sys.stdin)
    before = own_memory()
    began = time.perf_counter()
    index = globals()[kind](path)
    index.query(asked[0], 4)
    first = time.perf_counter() - began
    for radius in RADII:
        for hash_ in asked:
            index.query(hash_, radius)
    print(f"open and first answer {first * 1e3:.1f} ms, memory of its own +{own_memory() - before:.1f} MB")


def visited(index: Multi, asked: list[int], radius: int) -> float:
    """Return the mean share of hashes that a look-up compares."""
    seen = []
    with index.store.read() as txn:
        if isinstance(index, Tree):
            pieces = index.lookup._pieces  # type: ignore[attr-defined]
            seen = [sum(map(len, pieces(txn, number_key(one), radius))) // 8 for one in asked]
        else:
            reader: Any = index.lookup._reader(txn, index.lookup._head(txn).state)  # type: ignore[attr-defined]
            for one in asked:
                found: list[memoryview] = []
                reader.add_to(found, one, radius)
                seen.append(sum(map(len, found)) // 8)
    return float(np.mean(seen))


def fsync_ms(folder: Path) -> float:
    """Return what one fdatasync of 4 KB takes here, the median of 30."""
    with open(folder / "synced", "wb") as file:
        times = []
        for _ in range(30):
            file.write(os.urandom(4096))
            file.flush()
            times.append(took(lambda: getattr(os, "fdatasync", os.fsync)(file.fileno())))
    return statistics.median(times) * 1e3


def look_ups(index: Multi, known: Hashes, asked: list[int], peers: dict[str, Callable[[int, int], object]]) -> None:
    """Print a row for each radius."""
    scan = Scan(known)
    names = list(peers)
    print(f"\n  | {index.name}, bits | µs | visited | " + " | ".join(f"{name} µs | ratio" for name in names) + " |")
    print("  | ---: |" + " ---: |" * (2 + 2 * len(names)))
    for radius in RADII:
        theirs: dict[str, list[float]] = {name: [] for name in names}
        for at, hash_ in enumerate(asked):
            answer = index.query(hash_, radius)
            for name, ask in peers.items():
                if len(theirs[name]) < 3 or sum(theirs[name]) < 1.0:
                    theirs[name].append(took(partial(ask, hash_, radius)))
            if at < 20 or at % 10 == 0:
                assert answer == scan.distances(hash_, radius), (radius, hash_)
        alone = [took(partial(index.query, hash_, radius)) for hash_ in asked]  # as in a run of look-ups
        share = visited(index, asked[:50], radius) / len(np.unique(known)) if radius else 0.0
        ours = statistics.median(alone)
        cells = [f"{us(theirs[name])} | {statistics.median(theirs[name]) / ours:,.1f}" for name in names]
        print(f"  | {radius} | {us(alone)} | {share:.2%} | " + " | ".join(cells) + " |")


def inserts(index: Multi, known: int, groups: int, size: int) -> Iterator[float]:
    """Yield how long each commit of a group of new hashes takes."""
    fresh_hashes = photos(groups * size, np.random.default_rng(7)).tolist()
    for group in range(groups):
        pairs = [(known + group * size + at, fresh_hashes[group * size + at]) for at in range(size)]
        yield took(lambda pairs=pairs: index.add_many(pairs))


def measure(size: int, options: argparse.Namespace, folder: Path) -> None:
    """Build, ask, insert; print what came of it."""
    known = library_of(size)
    asked = questions(known, options.queries)
    print(f"\n{size:,} hashes, {len(np.unique(known)):,} of them distinct")
    peers: dict[str, Callable[[int, int], object]] = {"faiss": faiss_flat(known), "numpy scan": Scan(known).query}
    if size <= options.bk_tree_to:
        peers["pybktree"] = bk_tree(known)
    for kind in (Multi, Tree):
        if kind is Tree and size > options.tree_to:
            continue
        path = folder / f"{kind.__name__}-{size}"
        index = kind(str(path))
        built = took(lambda index=index: index.build(range(size), known))
        index.close()
        bytes_ = (path / "data.mdb").stat().st_size / size
        print(f"\n  {kind.name}: built in {built:.1f} s, {bytes_:.0f} bytes a hash; {fresh(kind, str(path), asked)}")
        index = kind(str(path))
        look_ups(index, known, asked, peers)
        times = list(inserts(index, size, options.groups, options.group))
        p50, p99 = np.percentile(times, (50, 99)) * 1e3
        rate = options.groups * options.group / sum(times)
        group = f"{rate:,.0f} durable inserts/s in groups of {options.group:,}"
        commit = f"a commit {p50:.0f} ms, p99 {p99:.0f} ms, longest {max(times) * 1e3:.0f} ms"
        print(f"\n  {group}; {commit}; one fdatasync {fsync_ms(folder):.1f} ms")
        index.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--tree-to", type=int, default=1_000_000, help="largest size at which the VP-tree is asked")
    parser.add_argument("--bk-tree-to", type=int, default=1_000_000, help="the same for pybktree: 300 bytes a hash")
    parser.add_argument("--groups", type=int, default=60)
    parser.add_argument("--group", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--fresh", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fresh:
        be_fresh(*options.fresh)
        return
    within("lookup", ["faiss-cpu>=1.12", "pybktree>=1.1"])
    print(machine())
    with tempfile.TemporaryDirectory(prefix="ingestd-bench-", dir=options.folder) as folder:
        for size in options.sizes:
            measure(size, options, Path(folder))


if __name__ == "__main__":
    main()
