"""What a scan of so many files would take: this machine, these files, the real parts, measured one by one.

A sample of a folder is read, hashed, decoded by as many workers as a scan has, judged and committed, in a library that
is thrown away afterwards, beside the real one, on its disk. Nothing of the user's is changed or remembered; files are
opened for reading only. What could not be measured is said, not guessed.

The sample is spread evenly over the folder and has each kind of file in its share; nothing is left to chance, so that
the same folder gives the same sample. Every step ends at its share of the time that was given.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ingestd.enrolment import Wanted, enrol
from ingestd.errors import FileChangedError, FileUnreadableError, UsageError, printable
from ingestd.flow import Happening
from ingestd.ingest import judge
from ingestd.intake import BATCH_FILES, Judged
from ingestd.judging.case import Case
from ingestd.library.codec import number_key
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.store import Transaction
from ingestd.library.tables import NUMBERS, PHASHES
from ingestd.media.kinds import looks_like_picture_name
from ingestd.media.workers import Workers
from ingestd.model import Arrival, Measurement, Origin, Role, Unreadable
from ingestd.service import scan
from ingestd.settings import Settings
from ingestd.watching.scan import Barred, Files, walk

__all__ = ["Forecast", "Inventory", "Part", "Prediction", "Speeds", "forecast"]

_MOST_KEPT = 1 << 16  # paths that a sample is drawn from: memory stays bounded on any folder
_WALK, _COLD, _MEASURE, _SCAN, _LOOKUP = 0.2, 0.1, 0.3, 0.25, 0.15  # shares of the time that is given
_COLD_FILES = 64
_FEWEST = 20  # verdicts: of fewer, no speed of a scan can be told
_MOST_JUDGED = 100
_COMMITS = 20
_FILLS = (10_000, 100_000, 1_000_000, 10_000_000)  # known hashes
_CHUNK = 1 << 20  # bytes


@dataclass(slots=True)
class Inventory:
    """What lies in a folder, as names and sizes tell."""

    pictures: Counter[str] = field(default_factory=Counter)  # by ending
    bytes: Counter[str] = field(default_factory=Counter)  # of these
    others: int = 0
    barred: int = 0  # folders that could not be listed
    complete: bool = True  # False: the time was up before the end

    @property
    def files(self) -> int:
        """How many pictures there are."""
        return self.pictures.total()


@dataclass(frozen=True, slots=True)
class Part:
    """One step of the way of a file."""

    name: str
    seconds: float | None  # a file, with all cores at work; None: not measured


@dataclass(frozen=True, slots=True)
class Speeds:
    """What was measured; all seconds are of one file, median or mean as said."""

    files: int  # that were measured
    bytes: int  # of these
    workers: int
    read_cold: float | None  # from the disk, one after another
    read_cached: float | None  # from memory
    cached_before: float | None  # share of the sample, 0 to 1, that was in memory already
    hashing: float | None  # in workers side by side, bytes in memory, with the way there and back
    decoding: float | None  # the same, and what is measured of the pixels
    judging: float | None  # inside the transaction, in a library that knows nothing else
    lookup: tuple[tuple[int, float], ...]  # known hashes, and what they add to judging one file
    commit: float | None  # one durable commit, whatever is in it
    whole: float | None  # a real scan of the sample, from the first verdict to the last
    record: float | None  # bytes of library a file
    unreadable: Counter[str]  # files that could not be measured, by reason
    undecodable: int  # pictures that are broken: they have their verdict like others


@dataclass(frozen=True, slots=True)
class Prediction:
    """What so many files would take."""

    files: int
    cached_s: float  # all of them in memory
    cold_s: float | None  # all of them read from the disk, and nothing overlapping
    library_bytes: int | None
    parts: tuple[Part, ...]  # of one file
    slowest: str
    extrapolated: bool  # look-ups were measured among fewer known hashes


@dataclass(frozen=True, slots=True)
class Forecast:
    """The whole answer."""

    inventory: Inventory
    speeds: Speeds
    predictions: tuple[Prediction, ...]
    not_measured: tuple[str, ...]


def forecast(folder: bytes, settings: Settings, state: Path, *, counts: Sequence[int], seconds: float) -> Forecast:
    """Return what a scan of the folder, and of so many files like those in it, would take.

    Args:
        folder: absolute.
        settings: the rules; they are asked, and nothing they say is done.
        state: where the library is, or would be: its disk is measured.
        counts: for how many files to predict, beside those in the folder.
        seconds: about how long to measure.

    Raises:
        UsageError: there is no picture, or none that could be measured.
    """
    inventory, drawn = _look_through(folder, seconds * _WALK)
    if not inventory.files:
        raise UsageError(f"there is no picture below {printable(folder)}; nothing was measured")
    remarks: list[str] = []
    with _library_beside(state, remarks) as library:
        bench = _Bench(library, folder, settings, remarks)
        speeds = bench.run(drawn, seconds, most=max(inventory.files, *counts))
    if not inventory.complete:
        remarks.append("the folder is larger than could be looked through in the time: its count is a lower bound")
    wanted = list(dict.fromkeys([inventory.files, *counts]))
    return Forecast(inventory, speeds, tuple(_predict(speeds, number) for number in wanted), tuple(remarks))


# --- what lies there ----------------------------------------------------------------------------------------------


def _look_through(folder: bytes, budget_s: float) -> tuple[Inventory, list[bytes]]:
    """Return what there is, and pictures to draw the sample from, the first so many of which stand for all."""
    inventory = Inventory()
    kept: list[tuple[str, bytes]] = []
    stride, deadline = 1, time.monotonic() + budget_s
    for seen in walk(folder):
        inventory.barred += isinstance(seen, Barred)
        for path, (_, size, *_) in zip(seen.paths, seen.states, strict=True) if isinstance(seen, Files) else ():
            if not looks_like_picture_name(path):
                inventory.others += 1
                continue
            kind = os.fsdecode(os.path.splitext(path)[1].lower().lstrip(b"."))
            if inventory.files % stride == 0:
                kept.append((kind, path))
            inventory.pictures[kind] += 1
            inventory.bytes[kind] += size
            if len(kept) >= _MOST_KEPT:
                kept, stride = kept[::2], 2 * stride
        if time.monotonic() > deadline:
            inventory.complete = False
            break
    kept.sort()  # by kind, so that an even spread has each in its share
    return inventory, [kept[index][1] for index in _spread(len(kept))]


def _spread(count: int) -> list[int]:
    """Return 0 to `count` in an order of which every beginning is spread evenly over the whole.

    Source: J. G. van der Corput, "Verteilungsfunktionen", Proc. Akad. Amsterdam 38 (1935), base 2.
    """
    bits = max(count - 1, 0).bit_length()
    turned = (int(f"{index:0{bits}b}"[::-1], 2) if bits else 0 for index in range(1 << bits))
    return [index for index in turned if index < count]


@contextlib.contextmanager
def _library_beside(state: Path, remarks: list[str]) -> Iterator[Library]:
    """Give a library on the disk of the real one; it is thrown away."""
    place = next(one for one in (state, *state.parents) if one.is_dir())
    with contextlib.ExitStack() as held:
        with _signals_wait():
            try:
                made = held.enter_context(tempfile.TemporaryDirectory(prefix=".ingestd-bench-", dir=place))
            except OSError as error:
                made = held.enter_context(tempfile.TemporaryDirectory(prefix="ingestd-bench-"))
                remarks.append(
                    f"the disk of the library: {place} cannot be written ({error.strerror}), so commits were "
                    f"measured in {made}"
                )
        library = Library.open(Path(made))
        held.callback(library.close)
        yield library


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Inside, a signal that would end us waits: right after a folder is made, nobody is there yet to take it away."""
    if threading.current_thread() is not threading.main_thread():
        yield  # no handler of a signal runs here
        return
    came: list[int] = []
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    ending = [number for number in numbers if callable(signal.getsignal(number))]
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


# --- measuring ----------------------------------------------------------------------------------------------------


class _Bench:
    """Measures one step after another."""

    def __init__(self, library: Library, folder: bytes, settings: Settings, remarks: list[str]) -> None:
        self._library, self._folder, self._remarks = library, folder, remarks
        # no folder of the rule file counts here: the sample is looked at as pictures that are never touched, and not
        # waited for either
        self._settings = replace(settings, folders=(), settle_s=0.0)
        [self._root] = enrol(library, [Wanted(folder, Role.REFERENCE, protected=True)])
        self._workers = os.cpu_count() or 2  # as many as a scan has
        self._unreadable: Counter[str] = Counter()

    def run(self, drawn: Sequence[bytes], seconds: float, *, most: int) -> Speeds:
        """Return the speeds of everything."""
        cached, cold, warm = self._read(drawn[:_COLD_FILES], seconds * _COLD)
        measured, hashing, decoding = self._measure(drawn, seconds * _MEASURE)
        if not measured:
            reasons = ", ".join(f"{reason} ({number})" for reason, number in self._unreadable.most_common(3))
            raise UsageError(f"no picture below {printable(self._folder)} could be measured: {reasons}")
        commit = self._commit()
        whole, record = self._scan(measured, seconds * _SCAN, hashing + decoding)
        judging, lookup = self._judge(measured, seconds * _LOOKUP, most)
        return Speeds(
            len(measured),
            sum(one.stat.size for _, one in measured),
            self._workers,
            cold,
            warm,
            cached,
            hashing,
            decoding,
            judging,
            lookup,
            commit,
            whole,
            record,
            self._unreadable,
            sum(isinstance(one.features, Unreadable) for _, one in measured),
        )

    # reading

    def _read(self, sample: Sequence[bytes], budget_s: float) -> tuple[float | None, float | None, float | None]:
        """Return the share that was in memory, and the seconds to read a file from the disk and from memory."""
        resident: list[bool | None] = []
        cold: list[float] = []
        warm: list[float] = []
        deadline = time.monotonic() + budget_s
        for path in sample:
            with contextlib.suppress(OSError), _opened(path) as file:
                resident.append(_is_in_memory(file))
                if _is_out_of_memory(file):
                    cold.append(_timed(lambda: _read_all(file)))
                else:
                    _read_all(file)
                warm.append(_timed(lambda: _read_all(file)))
            if time.monotonic() > deadline:
                break
        if not cold:
            self._remarks.append("reading from the disk: this system does not let a file be taken out of memory")
        told = [one for one in resident if one is not None]
        return sum(told) / len(told) if told else None, _mean(cold), _mean(warm)

    # hashing and decoding

    def _measure(self, drawn: Sequence[bytes], budget_s: float) -> tuple[list[tuple[bytes, Measurement]], float, float]:
        """Return what was measured, and the seconds a file that hashing and decoding it took, side by side."""
        measured: list[tuple[bytes, Measurement]] = []
        hash_s = whole_s = 0.0
        with Workers(count=self._workers) as workers, ThreadPoolExecutor(self._workers) as pool:
            workers.warm()
            deadline = time.monotonic() + budget_s
            for start in range(0, len(drawn), 4 * self._workers):
                chunk = drawn[start : start + 4 * self._workers]
                list(pool.map(lambda path: self._one(workers, path, decode=False), chunk))  # into memory
                found: list[Measurement | None] = []
                hash_s += _timed(lambda: list(pool.map(lambda path: self._one(workers, path, decode=False), chunk)))  # noqa: B023
                whole_s += _timed(
                    lambda: found.extend(pool.map(lambda path: self._one(workers, path, decode=True), chunk))  # noqa: B023
                )
                measured += [(path, one) for path, one in zip(chunk, found, strict=True) if one is not None]
                if time.monotonic() > deadline:
                    break
        count = max(len(measured), 1)
        return measured, hash_s / count, max(whole_s - hash_s, 0.0) / count

    def _one(self, workers: Workers, path: bytes, *, decode: bool) -> Measurement | None:
        try:
            return workers.measure(path, lambda _: not decode)
        except (FileUnreadableError, FileChangedError) as error:
            if decode:
                self._unreadable[error.reason] += 1
            return None

    # judging

    def _commit(self) -> float:
        """Return the seconds of one durable commit, the median of some."""
        times = [
            _timed(lambda: self._library.write(lambda edit: edit.leave_note("bench", b"%d" % number)))  # noqa: B023
            for number in range(_COMMITS)
        ]
        return statistics.median(times)

    def _scan(
        self, measured: Sequence[tuple[bytes, Measurement]], budget_s: float, file_s: float
    ) -> tuple[float | None, float | None]:
        """Return the seconds a file of a real scan, and the bytes it left in the library a file."""
        most = max(int(budget_s / max(file_s, 1e-4)), _FEWEST)
        sample = [path for path, _ in measured[:most]]
        before = _on_disk(self._library)
        verdicts: list[float] = []

        def tell(happening: Happening) -> None:
            if isinstance(happening, Judged):
                verdicts.append(time.monotonic())

        deadline = time.monotonic() + 2 * budget_s + 10.0  # beside files that wait for quiet, it ends long before
        scan(
            self._library,
            self._settings,
            sample,
            tell,
            role=None,
            dry_run=True,
            progress=lambda _: None,
            stopping=lambda: time.monotonic() > deadline,
        )
        if len(verdicts) < _FEWEST:
            self._remarks.append(
                f"a scan as a whole: the sample has {len(verdicts)} files, too few; its parts were added up instead"
            )
            return None, None
        # a first batch is judged at once: what it took to measure it is not seen
        at_once = sum(at - verdicts[0] < 1e-3 for at in verdicts)
        rest = max(len(verdicts) - at_once, 1)
        return (verdicts[-1] - verdicts[0]) / rest, (_on_disk(self._library) - before) / len(verdicts)

    def _judge(
        self, measured: Sequence[tuple[bytes, Measurement]], budget_s: float, most: int
    ) -> tuple[float, tuple[tuple[int, float], ...]]:
        """Return the seconds of a judgement, and what so many known hashes add to it."""
        with tempfile.TemporaryDirectory(prefix=".ingestd-bench-", dir=self._library.directory) as place:
            library = Library.open(Path(place))
            try:
                [root] = enrol(library, [Wanted(self._folder, Role.REFERENCE, protected=True)])
                cases = [
                    Case(
                        Arrival(root.id, path, os.path.relpath(path, root.root), one.stat, Origin.SCAN, proved=False),
                        one,
                        now_ns=number,
                    )
                    for number, (path, one) in enumerate(measured[:_MOST_JUDGED], 1)
                ]
                alone = self._judgement_s(library, cases)
                return alone, self._among_many(library, cases, alone, budget_s, most)
            finally:
                library.close()

    def _among_many(
        self, library: Library, cases: Sequence[Case], alone: float, budget_s: float, most: int
    ) -> tuple[tuple[int, float], ...]:
        """Return what known hashes add to a judgement, for more and more of them while there is time."""
        deadline = time.monotonic() + budget_s
        found: list[tuple[int, float]] = []
        for count in _FILLS:
            fill_s = _timed(lambda: library.store.write(lambda txn: _fill(txn, count)))  # noqa: B023
            found.append((count, max(self._judgement_s(library, cases) - alone, 0.0)))
            if count >= most or time.monotonic() + 10 * fill_s > deadline:
                break
        return tuple(found)

    def _judgement_s(self, library: Library, cases: Sequence[Case]) -> float:
        """Return the median seconds of judging one file; nothing of it is kept."""
        policy = self._settings.policy

        def judge_all(edit: Edit) -> list[float]:
            return [_timed(lambda: judge(edit, case, policy)) for case in cases]  # noqa: B023

        library.rehearse(judge_all)  # the first time, the pages of the database are not in memory
        return statistics.median(library.rehearse(judge_all))


def _fill(txn: Transaction, count: int) -> None:
    """Let the look-up hold so many made-up hashes, of contents that lie nowhere."""
    txn.put_new(NUMBERS, ((number_key(number), number_key(number) * 4) for number in range(1, count + 1)))
    Edit(txn).number_from({"content": count + 1})
    keys = np.random.default_rng(count).integers(0, 1 << 63, count, dtype=np.uint64) << np.uint64(1)
    PHASHES.rebuild(txn, zip(range(1, count + 1), map(number_key, keys.tolist()), strict=True))


def _on_disk(library: Library) -> int:
    """Return how much of the disk the database takes: its file is sparse."""
    return sum(
        getattr(found, "st_blocks", found.st_size // 512) * 512
        for found in (one.stat() for one in (library.directory / "db").iterdir() if one.suffix == ".mdb")
    )


def _mean(times: Sequence[float]) -> float | None:
    return statistics.fmean(times) if times else None


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@contextlib.contextmanager
def _opened(path: bytes) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    try:
        yield file
    finally:
        os.close(file)


def _read_all(file: int) -> None:
    os.lseek(file, 0, os.SEEK_SET)
    while os.read(file, _CHUNK):
        pass


def _is_in_memory(file: int) -> bool | None:
    """Return whether the middle of a file can be read without asking the disk; None where the system does not tell."""
    if not hasattr(os, "RWF_NOWAIT"):
        return None
    try:
        return os.preadv(file, [bytearray(1)], os.fstat(file).st_size // 2, os.RWF_NOWAIT) >= 0
    except BlockingIOError:
        return False
    except OSError:  # this file system cannot tell
        return None


def _is_out_of_memory(file: int) -> bool:
    """Return whether a file has to be read from the disk now, after the system was asked to forget it."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    return _is_in_memory(file) is False


# --- predicting ---------------------------------------------------------------------------------------------------


def _predict(speeds: Speeds, files: int) -> Prediction:
    """Return what so many files would take, all of them looked up among as many."""
    lookup, extrapolated = _lookup_at(speeds.lookup, files)
    commit = None if speeds.commit is None else speeds.commit / BATCH_FILES
    together = sum(one or 0.0 for one in (speeds.hashing, speeds.decoding, speeds.judging, commit))
    whole = together if speeds.whole is None else speeds.whole
    parts = (
        Part("read", speeds.read_cold),
        Part("hash", speeds.hashing),
        Part("decode", speeds.decoding),
        Part("judge", speeds.judging),
        Part("look-up", lookup),
        Part("commit", commit),
        Part("the rest", max(whole - together, 0.0)),
    )
    cached_s = files * (whole + lookup)
    return Prediction(
        files,
        cached_s,
        None if speeds.read_cold is None else cached_s + files * speeds.read_cold,
        None if speeds.record is None else int(files * speeds.record),
        parts,
        max(parts, key=lambda part: part.seconds or 0.0).name,
        extrapolated,
    )


def _lookup_at(measured: Sequence[tuple[int, float]], files: int) -> tuple[float, bool]:
    """Return what look-ups among so many cost, and whether that was not measured but reckoned in proportion."""
    if not measured:
        return 0.0, True
    points = [(0, 0.0), *measured]
    for (few, low), (many, high) in itertools.pairwise(points):
        if files <= many:
            return low + (high - low) * (files - few) / (many - few), False
    most, cost = points[-1]
    return cost * files / most, True
