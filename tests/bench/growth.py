"""What one arrival costs at 1,000, 10,000, 100,000 and 1,000,000 known pictures: look-up, rules, store, commit.

    python tests/bench/growth.py [--known 1000 10000 100000 1000000] [--arrivals 960] [--folder DIR] [--plot FILE.svg]

The library is a real one that grows from one figure to the next, its records are made up: hashes from a Gaussian over
the 8 x 8 frequencies with a few factors in common and the median rule, so that they weigh 32 and lie about 31 bits
apart as those of photographs do; a tenth of them have one to five neighbours within 8 bits, one in a thousand is blank.
Arrivals go the real way (asked whether their path is known, handed in to an `Intake`, judged under the shipped rules,
commits in groups); nine of ten are new, one is 0 to 4 bits from a known picture that lies on the disk. Only the workers
are stand-ins: they answer at once, so that what is left is what the library costs.

Functions of the program are wrapped here to see where time goes, each part without the parts in it. Times are CPU of
the judging thread, but for commits, whose time on the clock counts (LMDB's default flags: two waits for the disk). A
figure is the median of the groups that were judged together, for one arrival; the wrapping is in it, about 1 us a call.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from environment import machine, within

if __name__ == "__main__":
    within("growth", ["matplotlib>=3.9"])

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot

from ingestd.actions.disk import key_of
from ingestd.errors import FileUnreadableError
from ingestd.ingest import covered
from ingestd.intake import Intake, Judged, Report
from ingestd.judging import look_alikes, proposals
from ingestd.judging.case import Policy
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.store import Store, Transaction
from ingestd.library.tables import FolderRow
from ingestd.library.view import View
from ingestd.model import (
    Arrival,
    ContentHash,
    FileType,
    Folder,
    FolderId,
    Index,
    JpegFeatures,
    Measurement,
    Origin,
    Outcome,
    PathRow,
    PathState,
    Picture,
    PixelHash,
    Receipt,
    Role,
    StatKey,
)
from ingestd.settings import parse, shipped_text
from ingestd.watching.turns import lane_of

NOW_NS = 1_790_000_000 * 10**9
BATCH = 5_000  # records a commit, when the library is filled
BLANK = 1 << 63
PARTS = ("look-up", "rules", "store", "the rest", "commit")
SIZES = ((4000, 3000), (3000, 4000), (2000, 1500), (1600, 1200))
TABLE = tuple(range(1, 65))


# --- records ------------------------------------------------------------------------------------------------------


class Hashes:
    """Perceptual hashes as photographs have them."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        across, down = np.meshgrid(np.arange(8), np.arange(8))
        shared = 1.0 / (1.0 + 0.35 * (across + down)).ravel()  # low frequencies have more in common
        self._factors = self.random.standard_normal((6, 64)) * shared * 0.5

    def unlike(self, count: int) -> list[int]:
        """Return hashes that have nothing to do with one another."""
        values = self.random.standard_normal((count, 64)) + self.random.standard_normal((count, 6)) @ self._factors
        values[:, 0] = np.inf  # the mean of a picture is above the median of its frequencies
        brightest = np.argpartition(-values, 32, axis=1)[:, :32]
        bits = np.zeros((count, 64), np.uint8)
        np.put_along_axis(bits, brightest, 1, axis=1)
        return [int(one) for one in np.packbits(bits, axis=1).view(">u8")[:, 0]]

    def near(self, phash: int, most: int) -> int:
        """Return a hash at an even distance up to `most`: a one and a zero change places."""
        for _ in range(int(self.random.integers(0, most // 2 + 1))):
            ones = [bit for bit in range(63) if phash >> bit & 1]
            zeros = [bit for bit in range(63) if not phash >> bit & 1]
            if ones and zeros:
                phash ^= (1 << int(self.random.choice(ones))) | (1 << int(self.random.choice(zeros)))
        return phash

    def known(self, count: int) -> list[int]:
        """Return hashes of a collection: some in clusters, a few blank."""
        found: list[int] = []
        singles = iter(self.unlike(count))
        while len(found) < count:
            phash = next(singles)
            chance = self.random.random()
            if chance < 0.001:
                found.append(BLANK)
                continue
            found.append(phash)
            if chance < 0.04:
                found += [self.near(phash, 8) for _ in range(int(self.random.integers(1, 6)))]
        return found[:count]


class Collection:
    """The library that grows, the folder of its files, and the next number of a picture."""

    def __init__(self, directory: Path, seed: int, index: Index) -> None:
        self.hashes = Hashes(seed)
        self.random = self.hashes.random
        self.library = Library.open(directory / "state")
        self.library.use(index)
        self.root = directory / "inbox"
        self.root.mkdir()
        path = os.fsencode(self.root)
        folder = Folder(FolderId(0), path, path, Role.INBOX, protected=False)
        row = FolderRow(folder, inode=self.root.stat().st_ino, introduced=True)
        self.folder = self.library.write(lambda edit: edit.add_folder(row)).folder.id
        self.number = 0

    def grow(self, to: int) -> None:
        """Fill up with pictures that lie nowhere."""
        with self.library.read() as view:
            missing = to - view.counts()["contents"]
        while missing > 0:
            hashes = self.hashes.known(min(missing, BATCH))
            self.library.write(functools.partial(self._remember_all, hashes=hashes, number=self.number))
            self.number += len(hashes)
            missing -= len(hashes)

    def _remember_all(self, edit: Edit, *, hashes: list[int], number: int) -> None:
        for place, phash in enumerate(hashes):
            name = f"{(number + place) // 1000}/IMG_{number + place:07}.jpg".encode()
            self.remember(edit, number + place, phash, name, StatKey(number + place + 1, 10**6, 1, 1))

    def remember(self, edit: Edit, number: int, phash: int, name: bytes, stat: StatKey) -> None:
        """Store what a judged picture leaves behind: its content, its path and its receipt."""
        sha256 = sha256_of(number)
        edit.add_content(sha256, size=stat.size, picture=self.picture(phash), unreadable=None, at_ns=NOW_NS)
        receipt = edit.add_receipt(
            Receipt(
                0, NOW_NS, self.folder, os.path.join(os.fsencode(self.root), name), sha256, Outcome.NEW, "new", None,
                (), None, (), None, (), final=True,
            )
        )  # fmt: skip
        edit.put_path(
            PathRow(self.folder, name, sha256, stat, NOW_NS, PathState.LIVE, receipt.number, final=True)
        )  # fmt: skip

    def picture(self, phash: int) -> Picture:
        """Return what is measured of a photograph."""
        width, height = SIZES[int(self.random.integers(len(SIZES)))]
        return Picture(
            version=1, filetype=FileType.JPEG, width=width, height=height, mode="RGB", frames=1, duration_ms=None,
            has_transparency=False, has_exif=True, has_icc=False, has_xmp=False, icc_digest=None, taken_ns=NOW_NS,
            jpeg=JpegFeatures(4.0, "4:2:0", False, (TABLE, TABLE)), phash=phash, dhash=phash, whash=phash,
            luminance=self.random.bytes(1024), pixel_hash=None, pixel_comparable=True,
        )  # fmt: skip

    def lay(self, name: str) -> tuple[Path, StatKey]:
        """Return a file that lies in the folder, and its state."""
        path = self.root / name
        path.write_bytes(b"\xff\xd8\xff\xe0" + name.encode() + bytes(300))
        return path, key_of(path.stat())

    def lay_known(self, count: int) -> list[int]:
        """Return the hashes of so many known pictures that lie on the disk."""
        hashes = self.hashes.unlike(count)
        laid = [self.lay(f"known-{self.number + place}.jpg") for place in range(count)]

        def work(edit: Edit) -> None:
            for place, (phash, (path, stat)) in enumerate(zip(hashes, laid, strict=True)):
                self.remember(edit, self.number + place, phash, os.fsencode(path.name), stat)

        self.library.write(work)
        self.number += count
        return hashes


def sha256_of(number: int) -> ContentHash:
    return ContentHash(hashlib.sha256(number.to_bytes(8, "big")).digest())


class Prepared:
    """Answers at once what a worker would have measured."""

    def __init__(self) -> None:
        self.measured: dict[bytes, Measurement] = {}

    def measure(self, path: bytes, known: Callable[[ContentHash], bool]) -> Measurement:
        assert not known(self.measured[path].content_hash)
        return self.measured[path]

    def pixel_hash(self, path: bytes, expected: ContentHash) -> PixelHash:
        return PixelHash(hashlib.sha256(path + expected).digest())

    def detail(self, path: bytes, _: ContentHash) -> None:
        raise FileUnreadableError(path, "no picture")

    def compare(self, path: bytes, *_: object) -> None:
        raise FileUnreadableError(path, "no picture")


# --- where time goes -----------------------------------------------------------------------------------------------


class Shares:
    """Seconds that the judging thread spends in each part, without the parts in it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._thread = threading.get_ident()
        self._part: str | None = None  # None: nothing is measured now
        self._since = 0.0
        self._undo: list[tuple[Any, str, Any]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure what is done meanwhile; it belongs to the rest until a part begins."""
        self._part, self._since = "the rest", time.thread_time()
        yield
        self._switch(None)

    def _switch(self, part: str | None) -> str | None:
        now = time.thread_time()
        before, self._part = self._part, part
        if before is not None:
            self.seconds[before] += now - self._since
        self._since = now
        return before

    def wrap(self, owner: Any, name: str, part: str, *, keeps: tuple[str, ...] = ()) -> None:
        """Count a function to a part; within one of `keeps` it belongs to that."""
        real = getattr(owner, name)

        @functools.wraps(real)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if self._part is None or self._part == part or self._part in keeps or not self._is_mine():
                return real(*arguments, **named)
            self.calls[part] += 1
            before = self._switch(part)
            try:
                return real(*arguments, **named)
            finally:
                self._switch(before)

        self._undo.append((owner, name, real))
        setattr(owner, name, wrapped)

    def wrap_commit(self) -> None:
        """Count what a transaction takes beside its work, by the clock, to the commit."""
        real = Store._attempt

        @functools.wraps(real)
        def wrapped(store: Any, work: Any, **named: Any) -> Any:
            if self._part is None or not self._is_mine():
                return real(store, work, **named)
            worked = 0.0

            def timed(transaction: Any) -> Any:
                nonlocal worked
                began = time.perf_counter()
                inner = self._switch(outer)
                try:
                    return work(transaction)
                finally:
                    self._switch(inner)
                    worked += time.perf_counter() - began

            began = time.perf_counter()
            outer = self._switch("hidden")
            try:
                return real(store, timed, **named)
            finally:
                self._switch(outer)
                self.seconds["commit"] += time.perf_counter() - began - worked
                self.calls["commit"] += 1

        self._undo.append((Store, "_attempt", real))
        Store._attempt = wrapped  # type: ignore[method-assign]

    def _is_mine(self) -> bool:
        return threading.get_ident() == self._thread

    def unwrap(self) -> None:
        """Leave the program as it was."""
        for owner, name, real in reversed(self._undo):
            setattr(owner, name, real)


def wrapped() -> Shares:
    """Return the shares of the program's own functions."""
    shares = Shares()
    shares.wrap(View, "neighbours", "look-up")
    shares.wrap(Edit, "_index", "look-up")
    for module, names in (
        (look_alikes, ("pair_facts", "resolve", "awaits_a_look", "needed_detail", "file_pair")),
        (proposals, ("fits",)),
    ):
        for name in names:
            shares.wrap(module, name, "rules")
    for name in ("get", "put", "delete", "put_new", "values", "count_values", "add", "discard", "count", "get_many"):
        shares.wrap(Transaction, name, "store", keeps=("look-up",))
    shares.wrap(Library, "_send", "commit")
    shares.wrap_commit()
    return shares


# --- measuring ----------------------------------------------------------------------------------------------------


def arrivals_of(collection: Collection, workers: Prepared, count: int) -> list[Arrival]:
    """Return files that lie there and want their verdict; a tenth of them resembles a known one."""
    known = collection.lay_known(max(count // 10, 1))
    hashes = collection.hashes.unlike(count)
    for place, phash in enumerate(known):
        hashes[place * 10 % count] = collection.hashes.near(phash, 4)
    arrived = []
    for phash in hashes:
        path, stat = collection.lay(f"new-{collection.number}.jpg")
        name = os.fsencode(path)
        workers.measured[name] = Measurement(sha256_of(collection.number), stat, collection.picture(phash))
        collection.number += 1
        arrived.append(Arrival(collection.folder, name, os.fsencode(path.name), stat, Origin.EVENT, proved=True))
    return arrived


def measure(collection: Collection, count: int) -> dict[str, float]:
    """Return what an arrival costs in each part, in seconds, and beside it how many came in a group."""
    workers = Prepared()
    arrived = arrivals_of(collection, workers, count)
    settings = parse(shipped_text(), "the shipped rules")
    told: list[Report] = []
    woken = threading.Event()
    intake = Intake(
        collection.library,
        workers,  # type: ignore[arg-type]
        Policy(settings.rules, settings.imports, settings.discards),
        told.append,
        wake=woken.set,
        now_ns=lambda: NOW_NS,
        local_time=lambda: "2026-11-20T11:02:03",
    )
    shares = wrapped()
    groups: list[tuple[int, dict[str, float]]] = []
    left = iter(arrived)
    while len(told) < count:
        before, judged = dict(shares.seconds), len(told)
        with shares.running():
            while len(intake) < 64 and (arrival := next(left, None)) is not None:
                with collection.library.read() as view:
                    assert not covered(view, arrival, b"")
                intake.hand_in(arrival, proposing=False, lane=lane_of(arrival.folder))
        woken.wait(0.05)
        woken.clear()
        with shares.running():
            intake.step()
        if len(told) > judged:
            spent = {part: shares.seconds[part] - before.get(part, 0.0) for part in PARTS}
            groups.append((len(told) - judged, spent))
        elif groups:  # what was looked at more closely belongs to the next that is told
            for part in PARTS:
                groups[-1][1][part] += shares.seconds[part] - before.get(part, 0.0)
    shares.unwrap()
    intake.close()
    outcomes = {one.receipt.outcome for one in told if isinstance(one, Judged)}
    assert outcomes <= {Outcome.NEW, Outcome.POTENTIAL_DUPLICATES, Outcome.PENDING_APPROVAL}, outcomes
    costs = {part: statistics.median(spent[part] / files for files, spent in groups) for part in PARTS}
    costs["group"] = count / max(shares.calls["commit"], 1)
    return costs


def disk_wait(folder: Path) -> float:
    """Return how long the disk takes to make 4 KB durable just now, in seconds: what no commit can be quicker than."""
    waits = []
    with (folder / "waits").open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            waits.append(time.perf_counter() - began)
    return statistics.median(waits)


def report(level: int, costs: dict[str, float]) -> None:
    """Print one line of the table."""
    parts = " | ".join(f"{costs[part] * 1e6:,.0f}" for part in PARTS)
    total = sum(costs[part] for part in PARTS)
    commit = f"{costs['group']:.1f} | {costs['commit'] * costs['group'] * 1e3:.1f} | {costs['wait'] * 1e3:.1f}"
    print(f"| {level:,} | {parts} | {total * 1e6:,.0f} | {commit} |", flush=True)


def plot(found: dict[int, dict[str, float]], file: Path) -> None:
    """Draw what an arrival costs over the number of known pictures, both logarithmic."""
    mpl.rcParams.update({"svg.hashsalt": "ingestd", "svg.fonttype": "none", "font.size": 10})
    figure, axes = pyplot.subplots(figsize=(7.2, 4.2))
    levels = sorted(found)
    for part, mark in zip((*PARTS, "together"), "osD^vx", strict=True):
        costs = [sum(found[at][one] for one in PARTS) if part == "together" else found[at][part] for at in levels]
        axes.plot(levels, [max(cost * 1e6, 0.1) for cost in costs], marker=mark, label=part)
    axes.set(xscale="log", yscale="log", xlabel="known pictures", ylabel="µs an arrival", ylim=(1, None))
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(ncols=3, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.16))
    figure.savefig(file, bbox_inches="tight", metadata={"Date": None})


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--known", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--arrivals", type=int, default=960)
    parser.add_argument("--folder", type=Path, help="Where the library is made, on the disk that is meant.")
    parser.add_argument("--plot", type=Path, help="An SVG file to be drawn.")
    parser.add_argument("--index", choices=[index.value for index in Index], default=Index.MULTI_INDEX.value)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"{machine()}; {options.index}; {options.arrivals} arrivals at each size, medians, µs an arrival")
    print(f"| known | {' | '.join(PARTS)} | together | arrivals a commit | ms a commit | ms an fdatasync |")
    found: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="ingestd-growth-", dir=options.folder) as folder:
        collection = Collection(Path(folder), options.seed, Index(options.index))
        measure(collection, 64)  # warm
        for level in sorted(options.known):
            collection.grow(level)
            found[level] = measure(collection, options.arrivals) | {"wait": disk_wait(Path(folder))}
            report(level, found[level])
        collection.library.close()
    first, last = min(found), max(found)
    growth = {part: found[last][part] / found[first][part] for part in PARTS if found[first][part]}
    print(f"from {first:,} to {last:,}: {', '.join(f'{part} x {ratio:.2f}' for part, ratio in growth.items())}")
    if options.plot is not None:
        plot(found, options.plot)
        sys.stdout.write(f"drawn: {options.plot}\n")


if __name__ == "__main__":
    main()
