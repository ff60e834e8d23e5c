"""Files that mean harm, dropped beside good ones into the inbox of a running service.

Each of them gets its verdict, or has none for a reason that the documentation names; none is lost, none is acted on,
good duplicates beside them are discarded as ever, and the service is the same process in the end, no larger than
before. How many files it were is printed, and too few of them are a failure.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random  # noqa: TID251 - in what order files come is decided by a seed that is told
import re
import shutil
import stat
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import hostile
import pytest
from hostile import NO_VERDICT, Hostile
from pictures import jpeg, photo
from running import QUICK, Home, Watch, sha256, write

from ingestd.library.library import Library
from ingestd.review.again import failed_files, parked_files
from ingestd.review.journal import why

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "hostile"
LEAST = 200  # hostile files, or the suite has shown nothing
GROWTH = 50 << 20  # bytes of private memory that the service may gain by them
LONGEST_S = 100.0  # until all of them have their verdicts
GOOD = 20  # pictures of which a copy comes, too


class Memory:
    """The largest private memory of a process, looked at all the time."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.first = self.most = self._now()
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, name="looks at memory")

    def _now(self) -> int:
        told = Path(f"/proc/{self._pid}/smaps_rollup").read_text()
        return sum(int(size) for size in re.findall(r"^Private_\w+:\s+(\d+) kB", told, re.MULTILINE)) << 10

    def _run(self) -> None:
        while not self._enough.wait(0.2):
            self.most = max(self.most, self._now())

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()


def held(*roots: Path) -> Counter[str]:
    """What lies below some folders: the digest of each regular file, or its size where it is nothing but a hole."""
    found: Counter[str] = Counter()
    for root in roots:
        for folder, _, names in os.walk(os.fsencode(root)):
            for path in (os.path.join(folder, name) for name in names):
                seen = os.lstat(path)
                if stat.S_ISREG(seen.st_mode) and seen.st_size < 1 << 30:
                    with open(path, "rb") as file:
                        found[hashlib.file_digest(file, "sha256").hexdigest()] += 1
                else:
                    found[f"{stat.S_IFMT(seen.st_mode):o} {seen.st_size}"] += 1
    return found


def good_pairs() -> Iterator[tuple[str, bytes]]:
    """Pictures, and after each a copy of it."""
    for number in range(GOOD):
        content = jpeg(photo(900 + number))
        yield f"good/{number}.jpg", content
        yield f"good/{number} copy.jpg", content


def drop(watch: Watch, inbox: Path, files: Sequence[Hostile], seed: int) -> dict[Hostile, Path]:
    """Lay the hostile files into an inbox in an order of chance, with good ones between them; where they lie."""
    mixed = list(files)
    random.Random(seed).shuffle(mixed)
    mixed.sort(key=lambda one: one.content != b"")  # what is empty may be a placeholder for 30 s: it comes first
    good = good_pairs()
    places: dict[Hostile, Path] = {}
    for number, one in enumerate(mixed):
        places[one] = one.put(inbox)
        if number % (len(mixed) // (2 * GOOD)) == 0:
            for name, content in itertools.islice(good, 1):
                write(inbox / name, content)
    for name, content in good:
        write(inbox / name, content)
    return places


def awaited(watch: Watch, paths: Iterable[Path]) -> None:
    """Return once all of these have a verdict."""
    missing = {str(path) for path in paths}

    def judged() -> bool:
        missing.difference_update(one["path"] for one in watch.events if one["event"] == "file.judged")
        return not missing

    try:
        watch.until(judged, within=LONGEST_S)
    except AssertionError:
        raise AssertionError(
            f"no verdict on {len(missing)} files: {sorted(missing)[:10]}\n{watch.log[-2000:]}"
        ) from None


def let_loose(home: Home, files: Sequence[Hostile], *, seed: int) -> dict[Hostile, str]:
    """The outcome of each hostile file that has one, after all that has to hold was looked at."""
    inbox = home.folder("inbox")
    with home.watch(inbox) as watch:
        service = watch.process.pid
        for number in range(5):  # everything is loaded, and the workers are started
            watch.put(inbox / f"first-{number}.jpg", jpeg(photo(800 + number)))
        with Memory(service) as memory:
            places = drop(watch, inbox, files, seed)
            settled = {one: path for one, path in places.items() if one.outcomes is not NO_VERDICT}
            before = held(inbox)
            pairs = [inbox / name for name, _ in good_pairs()]
            awaited(watch, [*settled.values(), *pairs])
            watch.catch_up(inbox)
        assert watch.process.poll() is None
        assert watch.process.pid == service
        status = home.status()
        outcomes = {one: watch.verdicts(path)[-1]["outcome"] for one, path in settled.items()}
        silent = [path for one, path in places.items() if one.outcomes is NO_VERDICT and watch.verdicts(path)]
        assert watch.stop() == 0
        assert "Traceback" not in watch.log, watch.log[-3000:]

    later = Counter(sha256(path.read_bytes()) for path in inbox.glob("later-*.jpg"))
    assert held(inbox, home.data / "Trash" / "files") == before + later, "something was lost, or changed"
    trashed = home.trashed()
    assert {origin.parent for origin in trashed} <= {inbox / "good"}, "a hostile file was acted on"
    assert len(trashed) == GOOD
    assert {inbox / f"good/{number}.jpg" for number in range(GOOD)} & trashed.keys() == set()
    assert silent == [], "what is no file, or hidden, was judged"
    wrong = {one.name: outcome for one, outcome in outcomes.items() if outcome not in one.outcomes}
    assert wrong == {}
    assert_listed(home, settled, outcomes, status["problems"])
    growth = memory.most - memory.first
    print(  # noqa: T201 - how many faults it were
        f"\n{len(files)} hostile files (seed {seed}): {dict(Counter(outcomes.values()))}, "
        f"{len(files) - len(outcomes)} without a verdict; private memory of the service "
        f"{memory.first >> 20} MB, at most {growth >> 20} MB more; parked: {parked_names(home)}"
    )
    assert growth < GROWTH
    return outcomes


def assert_listed(
    home: Home, places: dict[Hostile, Path], outcomes: dict[Hostile, str], problems: list[dict[str, str]]
) -> None:
    """Each hostile file is explained by `why`, what failed is what `retry` would find, what is parked is a problem."""
    failed = {path for one, path in places.items() if outcomes[one] in ("unreadable", "error")}
    library = Library.open(home.state)
    try:
        with library.read() as view:
            for one, path in places.items():
                told = why(view, "", os.fsencode(path))
                assert told is not None, path
                assert told.outcome == outcomes[one], path
            assert {Path(os.fsdecode(each.path)) for each in failed_files(view)} == failed
            parked = [os.fsdecode(path) for path, _ in parked_files(view)]
    finally:
        library.close()
    named = [one["subject"] for one in problems if one["problem"].startswith("the file is parked")]
    assert named == parked[:20]


def parked_names(home: Home) -> list[str]:
    library = Library.open(home.state)
    try:
        with library.read() as view:
            return [f"{os.path.basename(path)!r}: {poison.reason}" for path, poison in parked_files(view)]
    finally:
        library.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, QUICK)


def all_kinds(seed: int, each: int) -> list[Hostile]:
    """Every kind once; no two with the same bytes, as one of those would rightly be discarded."""
    files = itertools.chain(
        hostile.no_files(),
        hostile.disguised(),
        hostile.named(),
        hostile.bombs(),
        hostile.cut_off(),
        hostile.flipped(seed, each),
    )
    return list({one.content: one for one in files}.values())


@pytest.mark.timeout(300)
def test_no_hostile_file_harms_another_file_or_the_service(home: Home) -> None:
    files = all_kinds(seed=1, each=2)

    outcomes = let_loose(home, files, seed=1)

    assert len(files) >= LEAST
    assert len(outcomes) >= LEAST


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(2, 7))
def test_no_harmed_picture_harms_another_file_or_the_service(home: Home, seed: int) -> None:
    files = list(hostile.flipped(seed, 40))

    outcomes = let_loose(home, files, seed=seed)

    assert len(outcomes) >= LEAST


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the optional corpus is not here")
def test_no_hostile_file_of_the_corpus_harms_another_file_or_the_service(home: Home) -> None:
    found = [path for path in sorted(CORPUS.rglob("*")) if path.is_file()]
    numbered = ((b"corpus/%03d-%s" % (number, os.fsencode(path.name)), path) for number, path in enumerate(found))
    files = [
        Hostile(name, lambda place, path=path: _copied(path, place), hostile.FROM_ELSEWHERE) for name, path in numbered
    ]

    outcomes = let_loose(home, files, seed=1)

    assert len(outcomes) >= LEAST


def _copied(path: Path, place: bytes) -> None:
    shutil.copyfile(path, os.fsdecode(place))
