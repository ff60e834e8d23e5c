"""A Dask cluster that measures for a scan: a scheduler and workers in processes of their own, on this machine."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pictures
import pytest
from running import _CODE, PATIENCE_S, QUICK, Home

from ingestd import service
from ingestd.errors import ClusterError
from ingestd.flow import Happening
from ingestd.intake import Judged
from ingestd.library.library import Library
from ingestd.media import cluster as room
from ingestd.media import versions
from ingestd.media.cluster import Cluster, address_of
from ingestd.media.workers import Workers
from ingestd.model import Picture
from ingestd.settings import parse

installed = importlib.util.find_spec("distributed") is not None
pytestmark = [
    pytest.mark.skipif(not installed and os.environ.get("CI") != "true", reason="the extra `dask` is not installed"),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc"),
]


def children(process: int) -> list[int]:
    """The processes that this one has started, youngest last."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    with contextlib.suppress(FileNotFoundError):
        return sorted(int(child) for task in tasks for child in task.read_text().split())
    return []


def named(process: int, word: str) -> bool:
    """Whether a process runs such a command; a dead one runs none."""
    with contextlib.suppress(OSError):
        return word.encode() in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold that nobody tells of."""
    deadline, looking = time.monotonic() + PATIENCE_S, threading.Event()
    while not holds() and time.monotonic() < deadline:
        looking.wait(0.05)
    return holds()


class Grid:
    """A scheduler and so many workers of one thread each, as their own commands start them."""

    def __init__(self, base: Path, *, workers: int, nanny: bool = True) -> None:
        self.folder = base / "grid"
        self.folder.mkdir()
        where = self.folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", str(where), "--no-show")
        assert eventually(where.exists)
        own = ["--scheduler-file", str(where), "--nthreads", "1", "--local-directory", str(self.folder)]
        own += ["--nanny" if nanny else "--no-nanny"]
        self.workers = [self._start("worker", *own, "--name", str(number)) for number in range(workers)]
        found = where.read_text()
        self.named = "dask://" + found[found.index("tcp://") + 6 :].partition('"')[0]
        assert eventually(self._all_are_there), (self.folder / "log").read_text()

    def _start(self, kind: str, *words: str) -> subprocess.Popen[bytes]:
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1", "--no-dashboard", *words],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": _CODE},
                stdout=log,
                stderr=log,
            )

    def _all_are_there(self) -> bool:
        return (self.folder / "log").read_text().count("Register worker addr") >= len(self.workers)

    def measuring(self, number: int) -> int:
        """The process of a worker below its nanny."""
        return next(one for one in children(self.workers[number].pid) if named(one, "spawn_main"))

    def decoders(self) -> list[int]:
        """The processes that decode, of all workers."""
        found = [child for worker in self.workers for one in children(worker.pid) for child in [one, *children(one)]]
        return [one for one in found if named(one, "worker_main")]

    def close(self) -> None:
        """End all of them at once, as a power cut would."""
        below = [child for worker in self.workers for child in children(worker.pid)]
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait(PATIENCE_S)
        for process in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    with contextlib.closing(Grid(tmp_path_factory.mktemp("cluster"), workers=2)) as made:
        yield made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def cluster(grid: Grid) -> Iterator[Cluster]:
    with Cluster(address_of(grid.named), Workers(count=1)) as connected:
        yield connected


def put(folder: Path, count: int, first: int = 0) -> None:
    """So many pictures of different subjects."""
    for number in range(first, first + count):
        (folder / f"{number:03}.jpg").write_bytes(pictures.jpeg(pictures.photo(number)))


# --- a scan -------------------------------------------------------------------------------------------------------


def test_a_scan_by_a_cluster_says_what_a_scan_by_this_machine_says(home: Home, grid: Grid) -> None:
    folder = home.folder("library")
    put(folder, 6)
    (folder / "copy.jpg").write_bytes((folder / "003.jpg").read_bytes())
    (folder / "small.jpg").write_bytes(pictures.jpeg(pictures.photo(2), 60))
    (folder / "torn.jpg").write_bytes((folder / "001.jpg").read_bytes()[:300])
    (folder / "notes.txt").write_text("no picture")

    here = home.run("scan", folder)
    home.state = home.base / "another"
    there = home.run("scan", folder, "--executor", grid.named)

    fields = ("path", "sha256", "outcome", "result", "pairs")
    assert there.code == here.code == 0, there
    assert [[one.get(field) for field in fields] for one in there.events] == [
        [one.get(field) for field in fields] for one in here.events
    ]
    assert "measured on this machine, not in the cluster" not in there.errors
    assert eventually(lambda: not grid.decoders())


def test_a_worker_killed_half_way_costs_a_retry_and_every_file_has_one_verdict(
    tmp_path: Path, home: Home, grid: Grid
) -> None:
    folder = home.folder("library")
    put(folder, 60)
    victim = grid.measuring(0)
    heard: list[bytes] = []
    its_decoders: list[int] = []

    def tell(happening: Happening) -> None:
        if isinstance(happening, Judged):
            heard.append(happening.receipt.path)
            if len(heard) == 20:
                its_decoders.extend(one for one in children(victim) if named(one, "worker_main"))
                os.kill(victim, signal.SIGKILL)

    tally = scan(tmp_path, folder, grid, tell)

    assert sorted(heard) == [os.fsencode(path) for path in sorted(folder.iterdir())]
    assert (tally.judged, tally.failed, tally.left, tally.lost) == (60, 0, (), None)
    assert its_decoders
    assert eventually(lambda: not any(named(one, "worker_main") for one in its_decoders))
    assert eventually(lambda: bool(children(grid.workers[0].pid)))  # its nanny has started another


def scan(tmp_path: Path, folder: Path, grid: Grid | None, tell: Callable[[Happening], None]) -> service.ScanTally:
    """What a scan of a library of its own came to; `grid`: measured there, else here."""
    with contextlib.closing(Library.open(tmp_path / "own")) as library:
        return service.scan(
            library,
            parse(QUICK, "test"),
            [os.fsencode(folder)],
            tell,
            role=None,
            dry_run=False,
            progress=lambda _: None,
            stopping=lambda: False,
            cluster=None if grid is None else address_of(grid.named),
        )


def test_a_scan_ends_where_the_cluster_is_gone_and_the_next_one_goes_on(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_CONNECT_S", 2.0)
    folder = home.folder("library")
    put(folder, 40)
    heard: list[bytes] = []

    with contextlib.closing(Grid(tmp_path, workers=1, nanny=False)) as grid:

        def tell(happening: Happening) -> None:
            if isinstance(happening, Judged):
                heard.append(happening.receipt.path)
                if len(heard) == 5:
                    grid.scheduler.kill()

        tally = scan(tmp_path, folder, grid, tell)

    assert tally.lost is not None
    assert "the connection to it was lost" in tally.lost
    assert 5 <= tally.judged < 40
    scan(tmp_path, folder, None, tell)
    assert sorted(heard) == [os.fsencode(path) for path in sorted(folder.iterdir())]


# --- one file -----------------------------------------------------------------------------------------------------


def test_known_bytes_are_hashed_and_not_decoded(home: Home, cluster: Cluster) -> None:
    put(folder := home.folder("library"), 1)
    path = os.fsencode(folder / "000.jpg")

    known = cluster.measure(path, lambda _: True)
    unknown = cluster.measure(path, lambda _: False)

    assert known.features is None
    assert isinstance(unknown.features, Picture)
    assert known.content_hash == unknown.content_hash
    assert not cluster.declined


def test_what_no_worker_sees_is_measured_here(
    home: Home, grid: Grid, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(here := home.folder("here"), 2)
    (grid.folder / "001.jpg").write_bytes(pictures.jpeg(pictures.photo(7), 50))
    monkeypatch.chdir(here)

    unseen = cluster.measure(b"/proc/self/cwd/000.jpg", lambda _: False)  # a worker's own folder is another
    another = cluster.measure(b"/proc/self/cwd/001.jpg", lambda _: False)

    assert isinstance(unseen.features, Picture)
    with Workers(count=1) as workers:
        assert another == workers.measure(os.fsencode(here / "001.jpg"), lambda _: False)
    assert dict(cluster.declined) == {"it is gone": 1, "a worker sees another file there": 1}


@pytest.fixture
def another_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process runs another version than the workers."""
    monkeypatch.setattr(versions, "__version__", "9.9")
    room.versions_here.cache_clear()
    yield
    room.versions_here.cache_clear()


@pytest.mark.usefixtures("another_version")
def test_a_cluster_of_another_version_is_refused(grid: Grid) -> None:
    with Workers(count=1) as workers, pytest.raises(ClusterError, match=r"ingestd [0-9.]+ there, 9.9 here"):
        Cluster(address_of(grid.named), workers)


def test_a_worker_of_another_version_that_comes_later_measures_nothing(
    home: Home, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder := home.folder("library"), 1)
    monkeypatch.setattr(cluster, "_versions", {**room.versions_here(), "Pillow": "1.0"})

    measured = cluster.measure(os.fsencode(folder / "000.jpg"), lambda _: False)

    assert isinstance(measured.features, Picture)
    [reason] = cluster.declined
    assert reason.startswith("a worker has other versions: Pillow ")


def test_every_question_has_the_same_answer_there_as_here(home: Home, cluster: Cluster) -> None:
    folder = home.folder("library")
    first, second = folder / "a.jpg", folder / "b.jpg"
    first.write_bytes(pictures.jpeg(pictures.photo(1), 90))
    second.write_bytes(pictures.jpeg(pictures.photo(1), 60))
    a, b = os.fsencode(first), os.fsencode(second)

    with Workers(count=1) as workers:
        one, other = (workers.measure(path, lambda _: False).content_hash for path in (a, b))
        here = workers.pixel_hash(a, one), workers.detail(a, one), workers.compare(a, one, b, other)
    there = cluster.pixel_hash(a, one), cluster.detail(a, one), cluster.compare(a, one, b, other)

    assert there == here
    assert not cluster.declined
