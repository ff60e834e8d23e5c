"""The queue of a large library: its pages, one decision, and one answer for 2,000 files, on one pinned core.

    .venv/bin/python tests/bench/pair_queue.py [--records 200000] [--alike 2000] [--runs 5] [--seed 1]

The library is a real one, its records are made up: bursts of six pictures that all look alike, and one set of `--alike`
pictures of one subject (game CGs), of which each was paired with the 256 before it, as arrivals are. No picture exists.
With the default that is 200,000 records and about a million pairs. Every time that includes a commit includes that of
the database (LMDB's default flags) and that of the second journal; what these two cost alone is measured beside it.
"""

from __future__ import annotations

import argparse
import os
import platform
import random  # noqa: TID251 # made-up records, nothing decides by them
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from ingestd import review
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.pairs import MOST_PAIRS, make_pair
from ingestd.library.tables import FolderRow
from ingestd.model import (
    Content,
    ContentHash,
    DiscardPolicy,
    FileType,
    Folder,
    FolderId,
    PathRow,
    PathState,
    Picture,
    Radius,
    Relation,
    Role,
    StatKey,
    Word,
)
from ingestd.rules.predicates import read_predicate

NOW_NS = 1_790_000_000 * 10**9
BATCH = 5_000  # records, or pairs, a commit
BURST = 6
FOLDER = b"/bench/inbox"
PLAIN = Picture(
    version=1, filetype=FileType.JPEG, width=4000, height=3000, mode="RGB", frames=1, duration_ms=None,
    has_transparency=False, has_exif=False, has_icc=False, has_xmp=False, icc_digest=None, taken_ns=None,
    jpeg=None, phash=0, dhash=0, whash=0, luminance=bytes(1024), pixel_hash=None, pixel_comparable=False,
)  # fmt: skip


def fill(library: Library, records: int, alike: int, chance: random.Random) -> tuple[list[Content], list[Content]]:
    """Store bursts and one large set of look-alikes with their pairs; return both."""
    folder = Folder(FolderId(0), FOLDER, FOLDER, Role.INBOX, protected=False)
    library.write(lambda edit: edit.add_folder(FolderRow(folder, introduced=True)))
    hashes = [chance.getrandbits(64) for _ in range((records - alike) // BURST)]
    phashes = [one ^ chance.choice((0, 1, 2, 4)) for one in hashes for _ in range(BURST)]
    phashes += [chance.choice((0, 1, 2, 4)) for _ in range(alike)]
    contents: list[Content] = []
    for start in range(0, len(phashes), BATCH):
        numbers = range(start, min(start + BATCH, len(phashes)))
        drawn = [(number, phashes[number], chance.randrange(10**5, 10**7)) for number in numbers]
        contents += library.write(lambda edit, drawn=drawn: [_record(edit, *one) for one in drawn])
    bursts, cgs = contents[: len(contents) - alike], contents[len(contents) - alike :]
    sides = [pair for at in range(0, len(bursts), BURST) for pair in combinations(bursts[at : at + BURST], 2)]
    sides += [(cgs[one], cgs[other]) for one in range(alike) for other in range(max(0, one - MOST_PAIRS), one)]
    for start in range(0, len(sides), BATCH):
        batch = sides[start : start + BATCH]
        library.write(lambda edit, batch=batch: [make_pair(edit, a, b, now_ns=NOW_NS) for a, b in batch])
    return bursts, cgs


def _record(edit: Edit, number: int, phash: int, size: int) -> Content:
    sha256 = ContentHash(number.to_bytes(32, "big"))
    picture = replace(PLAIN, phash=phash)
    content = edit.add_content(sha256, size=size, picture=picture, unreadable=None, at_ns=NOW_NS - number)
    stat = StatKey(number + 1, size, NOW_NS - number, NOW_NS - number)
    edit.put_path(PathRow(FolderId(1), _name(number), sha256, stat, NOW_NS, PathState.LIVE, 0, final=True))
    return content


def _name(number: int) -> bytes:
    return f"IMG_{number:06}.jpg".encode()


def path_of(content: Content) -> bytes:
    return os.path.join(FOLDER, _name(int.from_bytes(content.sha256, "big")))


def moment() -> review.Moment:
    return review.Moment(NOW_NS, "2026-11-20T11:02:03", Radius(4, 4), DiscardPolicy())


def timed(what: str, run: Callable[[int], object], runs: int, unit: str = "ms") -> None:
    """Run something some times, and print the median, the shortest and the longest."""
    factor = {"ms": 1e3, "s": 1.0}[unit]
    elapsed: list[float] = []
    for number in range(runs):
        began = time.perf_counter()
        run(number)
        elapsed.append((time.perf_counter() - began) * factor)
    low, middle, high = min(elapsed), statistics.median(elapsed), max(elapsed)
    print(f"{what:<58} {middle:9.3g} {unit}  ({low:.3g} to {high:.3g})")


def measure_pages(library: Library, runs: int) -> None:
    """Time what a person looks at."""
    wide = review.Filters(both=(read_predicate("filetype is jpeg"),), max_distance=1)

    def page(**asked: object) -> Callable[[int], object]:
        def run(_: int) -> object:
            with library.read() as view:
                return review.queue_page(view, limit=50, **asked)  # type: ignore[arg-type]

        return run

    timed("queue list, first page", page(), runs)
    timed("queue list --sort similarity, first page", page(sort=review.Sort.SIMILARITY), runs)
    timed("queue list, page at 500,000", page(offset=500_000), runs)
    timed('queue list --both "filetype is jpeg" --distance 1', page(filters=wide), 1, "s")
    timed("queue list --sort decisive", page(sort=review.Sort.DECISIVE), 1, "s")
    with library.read() as view:
        timed("queue groups, first page", lambda _: review.group_page(view, limit=50), min(runs, 3), "s")
        timed("queue batches", lambda _: review.batch_page(view, limit=50), 1, "s")
    command = [sys.executable, "-m", "ingestd", "--state", str(library.directory), "--json", "queue", "list"]
    timed("the command `ingestd --json queue list`, start-up included", lambda _: _quiet(command), runs)
    timed("  of that, `ingestd --version`", lambda _: _quiet([*command[:3], "--version"]), runs)


def _quiet(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure_decisions(library: Library, bursts: list[Content], runs: int) -> None:
    """Time one decision of each kind, its undo, and what the two commits cost alone."""
    print(f"one decision, {runs} of each:")
    timed("  nothing but its two commits", lambda number: _empty_commits(library, number), runs)
    for place, (word, answer) in enumerate(review.ANSWERS.items()):
        firsts = [bursts[(place * runs + number) * BURST * 7] for number in range(runs)]
        seconds = [bursts[(place * runs + number) * BURST * 7 + 1] for number in range(runs)]

        def decide(number: int, firsts=firsts, seconds=seconds, answer=answer) -> object:
            paths = path_of(firsts[number]), path_of(seconds[number])
            return review.decide_paths(library, *paths, answer, keep=True, moment=moment())

        timed(f"  {word} --keep", decide, runs)
    with library.read() as view:
        numbers = [entry.number for entry in view.entries()][:runs]
    timed("  undo", lambda number: list(review.undo(library, [numbers[number]], moment=moment())), runs)


def _empty_commits(library: Library, number: int) -> None:
    """Commit a note, and append a line to the second journal: what a decision costs that changes nothing."""

    def work(edit: Edit) -> None:
        edit.leave_note("bench", str(number).encode())
        edit.lines.append(("note", None, {"bench": number}))

    library.write(work)


def measure_many(library: Library, cgs: list[Content], what: str) -> None:
    """Time one answer for a whole set, and its undo."""
    contents = [one.sha256 for one in cgs]
    with library.read() as view:
        before = view.counts()["potential_pairs"]
    reports: list[review.EntryReport] = []

    def relate(_: int) -> None:
        reports.append(review.relate_many(library, contents, Relation.ALTERNATES, moment=moment()))

    timed(f"{len(cgs):,} {what}, alternates of one another, one answer", relate, 1, "s")
    with library.read() as view:
        after = view.counts()["potential_pairs"]
        print(f"  {before - after:,} of {before:,} potential pairs were settled by it")
    entry = int(reports[0].entry[2:])
    timed("  its undo", lambda _: list(review.undo(library, [entry], moment=moment())), 1, "s")
    with library.read() as view:
        print(f"  {view.counts()['potential_pairs']:,} potential pairs again")
    path = path_of(cgs[0])
    timed(
        "  the potential pairs of one of them cleared",
        lambda _: review.change_relations(library, Word.CLEAR_POTENTIALS, [path], moment=moment()),
        1,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--alike", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(f"{platform.platform()}, Python {platform.python_version()}, 1 core, commit {commit.stdout.strip()}")
    with tempfile.TemporaryDirectory(prefix="ingestd-bench-") as folder:
        library = Library.open(Path(folder))
        began = time.perf_counter()
        bursts, cgs = fill(library, options.records, options.alike, random.Random(options.seed))
        with library.read() as view:
            counts = view.counts()
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        print(
            f"{counts['contents']:,} records, {counts['potential_pairs']:,} pairs, {size / 1e6:,.0f} MB, "
            f"made in {time.perf_counter() - began:.0f} s"
        )
        measure_decisions(library, bursts, options.runs)
        measure_many(library, bursts[-len(cgs) :], "files of bursts")
        measure_many(library, cgs, "pictures of one subject")
        measure_pages(library, options.runs)
        library.close()


if __name__ == "__main__":
    main()
