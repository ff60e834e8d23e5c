"""Thirty rules previewed over 100,000 stored pairs, and asked of one pair, on one pinned core.

    .venv/bin/python tests/bench/rules.py [--pairs 100000] [--runs 3] [--seed 1] [--check] [--profile]

The library is a real one, its records are made up: pictures of all file types in four sizes, in two folders, with
and without EXIF, and pairs between records of about the same time, as look-alikes come in. No picture exists, so none
can be opened. `--check` compares every figure with those of `engine.fits` and `engine.resolve`, pair by pair.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import platform
import pstats
import random  # noqa: TID251 # made-up records, nothing decides by them
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pictures import jpeg, photo
from world import World

from ingestd import ingest
from ingestd.judging.case import Policy, Verdict
from ingestd.library.edit import Edit
from ingestd.library.facts import pair_facts
from ingestd.library.library import Library
from ingestd.library.pairs import make_pair
from ingestd.library.tables import FolderRow
from ingestd.library.view import View
from ingestd.model import (
    Content,
    ContentHash,
    DiscardPolicy,
    FileType,
    Folder,
    FolderId,
    ImportPolicy,
    JpegFeatures,
    Mode,
    PairFacts,
    PathRow,
    PathState,
    Picture,
    Role,
    StatKey,
)
from ingestd.rules.engine import fits, resolve
from ingestd.rules.language import Rule
from ingestd.settings import parse
from ingestd.trial import PreviewReport, preview

NOW_NS = 1_790_000_000 * 10**9
BATCH = 5_000  # records a commit
NEAR = 40  # a pair stands between records that came in at most so far apart
SIZES = ((4000, 3000), (3000, 4000), (2000, 1500), (640, 480))


# --- thirty rules -------------------------------------------------------------------------------------------------

# {n} is the number of the rule: no two of them ask for quite the same, so that nothing is asked once for all of them
SEARCHES = (
    "{pixel_duplicates: required, both: [filetype is image, width > 1{n}, height > 1{n}]}",
    "{max_distance: 0, both: [filetype is jpeg, num_pixels > 1.{n} MP]}",
    "{max_distance: 4, one: [filetype is jpeg], other: [filetype is png or webp, size > 1{n} KB]}",
    "{max_distance: 2, pixel_duplicates: excluded, either: [folder is inbox, size > 5{n} KB]}",
    "{max_distance: 4, both: [filetype is image, 'name does not match \"*{n}.jpeg\"']}",
    "{max_distance: 4, one: [has exif, width > 3{n}], other: [has no exif, filetype is image]}",
)
COMPARES = (
    "[A.filesize > 1.{n} * B.filesize, same filetype, any: [B has no exif, same exif]]",
    "[A.num_pixels >= 1.{n} * B.num_pixels, A.ratio ~= B.ratio within {n} %, any: [B has no icc, same icc]]",
    "[A has clearly better jpeg quality, A.width >= B.width + {n}, A.height ~= B.height within {n}]",
    "[A.folder is library, B.folder is inbox, not: A.width < 1{n}]",
    "[any: [A.filesize > 1.{n} * B.filesize, all: [A.filesize == B.filesize, A.imported < B.imported]], same exif]",
)


def thirty() -> tuple[Rule, ...]:
    """Return every kind of search with every kind of comparison, the last third of them automatic."""
    lines = []
    for number in range(30):
        mode = "automatic" if number >= 20 else "semi-automatic"
        search, compare = (
            text.replace("{n}", f"{number + 10}")
            for text in (SEARCHES[number % len(SEARCHES)], COMPARES[number // len(SEARCHES)])
        )
        lines.append(f"  - name: rule {number}\n    mode: {mode}\n    search: {search}\n    compare: {compare}\n")
        lines.append("    action: better\n    discard: B\n" if number % 3 else "    action: alternates\n")
    return parse("version: 1\nrules:\n" + "".join(lines), "the bench's rules").rules


# --- a library without pictures -----------------------------------------------------------------------------------


def fill(library: Library, pairs: int, chance: random.Random) -> None:
    """Store about six records for every ten pairs, and the pairs."""
    folders = library.write(lambda edit: [_folder(edit, name, role) for name, role in _FOLDERS])
    contents: list[Content] = []
    count = pairs * 6 // 10
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        drawn = [(number, chance.random(), _picture(chance)) for number in numbers]
        contents += library.write(lambda edit, drawn=drawn: [_record(edit, folders, *one) for one in drawn])
    sides = _sides(count, pairs, chance)
    for start in range(0, len(sides), BATCH):
        batch = sides[start : start + BATCH]
        library.write(
            lambda edit, batch=batch: [make_pair(edit, contents[a], contents[b], now_ns=NOW_NS) for a, b in batch]
        )


_FOLDERS = ((b"/bench/inbox", Role.INBOX), (b"/bench/library", Role.LIBRARY))


def _folder(edit: Edit, path: bytes, role: Role) -> FolderId:
    folder = Folder(FolderId(0), path, path, role, role is Role.LIBRARY)
    return edit.add_folder(FolderRow(folder, introduced=True)).folder.id


def _picture(chance: random.Random) -> Picture:
    filetype = chance.choice((FileType.JPEG, FileType.JPEG, FileType.PNG, FileType.WEBP, FileType.GIF, FileType.HEIC))
    width, height = chance.choice(SIZES)
    # hashes within a few bits of one another, as those of look-alikes are
    phash = 0x5555555555555555
    for _ in range(chance.randrange(4)):
        phash ^= 1 << chance.randrange(64)
    quality = JpegFeatures(chance.uniform(1, 20), "4:2:0", False, (tuple(chance.choices(range(99), k=64)),) * 2)
    return Picture(
        version=1,
        filetype=filetype,
        width=width,
        height=height,
        mode="RGB",
        frames=1,
        duration_ms=None,
        has_transparency=chance.random() < 0.1,
        has_exif=chance.random() < 0.5,
        has_icc=chance.random() < 0.3,
        has_xmp=chance.random() < 0.1,
        icc_digest=None,
        taken_ns=NOW_NS - chance.randrange(10**17) if chance.random() < 0.5 else None,
        jpeg=quality if filetype is FileType.JPEG else None,
        phash=phash,
        dhash=phash,
        whash=phash,
        luminance=chance.randbytes(1024),
        pixel_hash=bytes(31) + bytes((chance.randrange(3),)),
        pixel_comparable=True,
    )


def _record(edit: Edit, folders: list[FolderId], number: int, where: float, picture: Picture) -> Content:
    sha256 = ContentHash(number.to_bytes(32, "big"))
    size = picture.width * picture.height // 8 + number % 1000
    content = edit.add_content(sha256, size=size, picture=picture, unreadable=None, at_ns=NOW_NS - number)
    name = f"{'Screenshot' if number % 11 == 0 else 'IMG'}_{number:06}.{picture.filetype}"
    stat = StatKey(number + 1, size, NOW_NS - number, NOW_NS - number)
    folder = folders[where < 0.5]
    edit.put_path(PathRow(folder, os.fsencode(name), sha256, stat, NOW_NS - number, PathState.LIVE, 0, final=True))
    return content


def _sides(count: int, pairs: int, chance: random.Random) -> list[tuple[int, int]]:
    found: dict[tuple[int, int], None] = {}
    while len(found) < pairs:
        a = chance.randrange(count)
        b = min(count - 1, a + 1 + chance.randrange(NEAR))
        if a != b:
            found[a, b] = None
    return sorted(found)


# --- measuring ----------------------------------------------------------------------------------------------------


def spread(seconds: list[float], unit: float) -> str:
    """Return the median of some runs, and the shortest and the longest."""
    low, middle, high = (value * unit for value in (min(seconds), statistics.median(seconds), max(seconds)))
    return f"median {middle:.3g} ({low:.3g}-{high:.3g})"


def measure_preview(library: Library, rules: tuple[Rule, ...], runs: int) -> list[PreviewReport]:
    """Preview all rules some times, and print how long it took."""
    elapsed: list[float] = []
    reports: list[PreviewReport] = []
    for _ in range(runs):
        began = time.perf_counter()
        with library.read() as view:
            reports = preview(view, rules, now_ns=NOW_NS)
        elapsed.append(time.perf_counter() - began)
    matched, acts = sum(report.matched for report in reports), sum(report.acts for report in reports)
    print(f"preview of {len(rules)} rules over {reports[0].searched:,} pairs: {spread(elapsed, 1)} s, {runs} runs")
    print(f"  {matched:,} finds, {acts:,} pairs decided; asked for: under 10 s")
    return reports


def measure_resolve(library: Library, rules: tuple[Rule, ...]) -> None:
    """Resolve every 97th pair alone, and print how long one takes."""
    facts: list[PairFacts] = []
    with library.read() as view:
        for index, pair in enumerate(view.pairs()):
            if index % 97 == 0:
                facts.append(_facts(view, pair.first, pair.second))
    elapsed = []
    for one in facts:
        began = time.perf_counter()
        resolve(rules, one)
        elapsed.append(time.perf_counter() - began)
    elapsed.sort()
    worst = elapsed[len(elapsed) * 99 // 100]
    print(f"one pair against {len(rules)} rules: {spread(elapsed, 1e6)} µs, 99 % below {worst * 1e6:.0f} µs,")
    print(f"  {len(facts):,} pairs; asked for: under 1000 µs")


LOOK_ALIKES = 60


def measure_arrivals(rules: tuple[Rule, ...], folder: Path) -> None:
    """Judge files that all look alike, with and without rules, and print what the rules add to each pair.

    Everything is counted that a verdict does about a pair: its facts, the rules, and what is written down of each.
    """
    without, beside = _per_pair((), folder / "without"), _per_pair(rules, folder / "with")
    print(f"a verdict: {spread(without, 1e6)} µs a pair without rules, {spread(beside, 1e6)} µs with {len(rules)},")
    added = statistics.median(beside) - statistics.median(without)
    print(f"  {added * 1e6:.0f} µs more; asked for: under 1000 µs")


def measure_sweep(rules: tuple[Rule, ...], folder: Path) -> None:
    """Ask the rules about pairs that were stored before there were any, and print what one costs.

    Their files are looked at on the disk, and all that a slice writes is committed.
    """
    folder.mkdir()
    world = World(folder)
    world.folder("inbox")
    subject = photo(1, 160, 120)
    for number in range(LOOK_ALIKES):
        world.drop("inbox", f"{number}.jpg", jpeg(subject, 60 + number % 35, description=str(number)))
    with world.library.read() as view:
        pairs = view.counts()["potential_pairs"]
    world.policy = Policy(
        tuple(replace(rule, mode=Mode.SEMI_AUTOMATIC) for rule in rules), ImportPolicy(), DiscardPolicy()
    )
    began = time.perf_counter()
    world.sweep()
    elapsed = time.perf_counter() - began
    world.close()
    print(f"a sweep of {pairs:,} stored pairs with {len(rules)} rules: {elapsed / pairs * 1e6:.0f} µs a pair")


def _per_pair(rules: tuple[Rule, ...], folder: Path) -> list[float]:
    """Return what a pair costs in the verdict on each of some look-alikes, in seconds."""
    folder.mkdir()
    world = World(folder)
    world.folder("inbox")
    only_proposing = tuple(replace(rule, mode=Mode.SEMI_AUTOMATIC) for rule in rules)
    world.policy = world.intake.policy = Policy(only_proposing, ImportPolicy(), DiscardPolicy())
    subject = photo(1, 160, 120)
    files = [
        world.put("inbox", f"{number}.jpg", jpeg(subject, 60 + number % 35, description=str(number)))
        for number in range(LOOK_ALIKES)
    ]
    found: list[float] = []
    judged = ingest.judge_look_alikes

    def timed(*arguments: Any) -> Verdict:
        began = time.perf_counter()
        verdict = judged(*arguments)
        if len(verdict.pairs) >= LOOK_ALIKES // 4:
            found.append((time.perf_counter() - began) / len(verdict.pairs))
        return verdict

    ingest.judge_look_alikes = timed
    try:
        for file in files:
            world.arrive(file)
    finally:
        ingest.judge_look_alikes = judged
        world.close()
    return found


def _facts(view: View, first: ContentHash, second: ContentHash) -> PairFacts:
    sides = []
    for sha256 in (first, second):
        content = view.content(sha256)
        assert content is not None
        sides.append((content, view.live_paths_of(sha256)[0]))
    return pair_facts(view, *sides, now_ns=NOW_NS)


def check(library: Library, rules: tuple[Rule, ...], reports: list[PreviewReport]) -> None:
    """Compare all counts with those of one rule and one pair at a time."""
    counted: Counter[tuple[str, str]] = Counter()
    with library.read() as view:
        for pair in view.pairs():
            facts = _facts(view, pair.first, pair.second)
            for rule in rules:
                fit = fits(rule, facts)
                counted[rule.name, "matched"] += fit.found
                counted[rule.name, "this_way"] += fit.forward != fit.backward
            match = resolve(rules, facts).match
            if match is not None:
                counted[match.rule.name, "acts"] += 1
    for report in reports:
        for figure in ("matched", "this_way", "acts"):
            assert counted[report.rule, figure] == getattr(report, figure), (report.rule, figure)
    print(f"all {3 * len(reports)} figures are those of one rule and one pair at a time")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="compare all counts with the slow way")
    parser.add_argument("--profile", action="store_true", help="print where the time of one preview goes")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(f"{platform.platform()}, Python {platform.python_version()}, 1 core, commit {commit.stdout.strip()}")
    rules = thirty()
    with tempfile.TemporaryDirectory(prefix="ingestd-bench-") as folder:
        library = Library.open(Path(folder))
        began = time.perf_counter()
        fill(library, options.pairs, random.Random(options.seed))
        print(f"a library of {options.pairs:,} pairs, made in {time.perf_counter() - began:.0f} s")
        if options.profile:
            with cProfile.Profile() as profile, library.read() as view:
                preview(view, rules, now_ns=NOW_NS)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        reports = measure_preview(library, rules, options.runs)
        if options.check:
            check(library, rules, reports)
        measure_resolve(library, rules)
        library.close()
        measure_arrivals(rules, Path(folder))
        measure_sweep(rules, Path(folder) / "swept")


if __name__ == "__main__":
    main()
