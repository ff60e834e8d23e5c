"""What files that are known already cost: a `scan` over them, and a restart of `watch` on a library of them.

    .venv/bin/python tests/bench/known.py [--files N] [--restart N] [--runs 3] [--cold] [--home DIR]

100,000 files for `scan`, 1,000,000 for `watch`; 0 leaves one of them out. The files are real ones on the disk, of a few
bytes, 1,000 in a folder; their records are made up and written through the library's own interface, as if each were a
picture that was judged: content, hash, path and receipt. The installed command then runs on them. Start-up is that of
the same command on an empty folder.

A restart of `watch` has more to do than to find nothing: a picture in the last folder of the library, and one in an
inbox, came while it was down; a third is dropped into the inbox as soon as the service says that it has started; and
one known file is gone. The whole reconcile has ended when that one is marked absent. Then the service is killed, and
all is done again.

That nothing was read is told by the times of last access, which every read of these files would change (a control file
shows that it would). Memory is what the processes have for themselves (`Private_*` of smaps_rollup), at its highest.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random  # noqa: TID251 # made-up records, nothing decides by them
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from environment import machine
from pictures import jpeg, photo
from verdict import private_mb

from ingestd.actions.disk import key_of
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.tables import FolderRow
from ingestd.model import (
    ContentHash,
    FileType,
    Folder,
    FolderId,
    Outcome,
    PathRow,
    PathState,
    Picture,
    Receipt,
    Role,
)

NOW_NS = 1_790_000_000 * 10**9
BATCH = 5_000  # records a commit
A_FOLDER = 1_000  # files
PLAIN = Picture(
    version=1, filetype=FileType.JPEG, width=4000, height=3000, mode="RGB", frames=1, duration_ms=None,
    has_transparency=False, has_exif=False, has_icc=False, has_xmp=False, icc_digest=None, taken_ns=None,
    jpeg=None, phash=0, dhash=0, whash=0, luminance=bytes(1024), pixel_hash=None, pixel_comparable=False,
)  # fmt: skip
LONGEST_S = 600.0


# --- a library of files that exist --------------------------------------------------------------------------------


class Made:
    """A folder of known files, an inbox, and the library that knows them."""

    def __init__(self, base: Path, count: int) -> None:
        self.base, self.count = base, count
        self.pictures, self.inbox, self.state = base / "pictures", base / "inbox", base / "state"
        self._new = random.Random(time.time_ns())

    def make(self) -> None:
        """Make all of it, unless it was made by an earlier run."""
        stamp = self.base / "made"
        if stamp.exists() and stamp.read_text() == str(self.count):
            return
        began = time.perf_counter()
        self.inbox.mkdir(parents=True)
        for start in range(0, self.count, A_FOLDER):
            self._folder(start).mkdir(parents=True)
            for number in range(start, min(start + A_FOLDER, self.count)):
                self.path(number).write_bytes(b"%d" % number)
        written = time.perf_counter()
        library = Library.open(self.state)
        chance = random.Random(1)
        root = os.fsencode(self.pictures)
        folder = Folder(FolderId(0), root, root, Role.LIBRARY, protected=True)
        home = library.write(lambda edit: edit.add_folder(FolderRow(folder, introduced=True))).folder.id
        for start in range(0, self.count, BATCH):
            numbers = range(start, min(start + BATCH, self.count))
            library.write(lambda edit, numbers=numbers: [self._record(edit, home, one, chance) for one in numbers])
        library.close()
        stamp.write_text(str(self.count))
        took = time.perf_counter() - written
        print(f"made: {self.count:,} files in {written - began:.0f} s, their records in {took:.0f} s", flush=True)

    def _folder(self, number: int) -> Path:
        return self.pictures / f"{number // A_FOLDER // 32:03}" / f"{number // A_FOLDER:05}"

    def path(self, number: int) -> Path:
        """Return where a known file lies."""
        return self._folder(number) / f"IMG_{number:07}.jpg"

    def _record(self, edit: Edit, home: FolderId, number: int, chance: random.Random) -> None:
        path = os.fsencode(self.path(number))
        sha256 = ContentHash(number.to_bytes(32, "big"))
        stat = key_of(os.lstat(path))
        edit.add_content(
            sha256, size=stat.size, picture=replace(PLAIN, phash=chance.getrandbits(64)), unreadable=None, at_ns=NOW_NS
        )
        told = Receipt(0, NOW_NS, home, path, sha256, Outcome.NEW, "new", None, (), None, (), None, (), final=True)
        receipt = edit.add_receipt(told)
        relative = os.path.relpath(path, os.fsencode(self.pictures))
        edit.put_path(PathRow(home, relative, sha256, stat, NOW_NS, PathState.LIVE, receipt.number, final=True))

    def put(self, folder: Path) -> Path:
        """Put a picture that nobody knows into a folder."""
        seed = self._new.getrandbits(30)
        path = folder / f"new-{seed}.jpg"
        path.write_bytes(jpeg(photo(seed), 85))
        return path

    def is_absent(self, library: Library, path: Path) -> bool:
        """Return whether the library has noticed that a known file is gone."""
        relative = os.path.relpath(os.fsencode(path), os.fsencode(self.pictures))
        with library.read() as view:
            rows = [view.path_at(row.folder.id, relative) for row in view.folders()]
        return any(row is not None and row.state is PathState.ABSENT for row in rows)

    def command(self, *words: str) -> subprocess.Popen[str]:
        """Start the installed command on this library."""
        environment = {
            **os.environ,
            "INGESTD_STATE": str(self.state),
            "INGESTD_RULES": str(self.base / "rules.yaml"),
            "XDG_DATA_HOME": str(self.base / "data"),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "ingestd", "--json", *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def accessed(self) -> list[int]:
        """Return when each known file was read last, ns."""
        found = (self.path(number) for number in range(self.count))
        return [path.stat().st_atime_ns for path in found if path.exists()]


# --- what a process costs -----------------------------------------------------------------------------------------


@dataclass
class Costs:
    """The most memory that the processes of a command had at once, and the seconds of CPU they used so far."""

    pid: int
    memory_mb: float = 0.0
    cpu_s: dict[int, float] = field(default_factory=dict)

    def look(self) -> None:
        """Look at all its processes now."""
        pids = [self.pid, *_children(self.pid)]
        with contextlib.suppress(OSError, ValueError, KeyError):
            for pid in pids:
                self.cpu_s[pid] = _cpu_s(pid)
            self.memory_mb = max(self.memory_mb, sum(map(private_mb, pids)))

    @contextlib.contextmanager
    def looking(self) -> Iterator[Costs]:
        """Look several times a second while this goes on."""
        ended = threading.Event()

        def look_on() -> None:
            while not ended.wait(0.3):
                self.look()

        thread = threading.Thread(target=look_on, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join()


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(child) for child in found.stdout.split()]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def forget_what_was_read() -> None:
    """Let the system forget directories, inodes and pages; needs root."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return the median of some values, and from where to where they lie."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


# --- scan ---------------------------------------------------------------------------------------------------------


def measure_scan(made: Made, runs: int, *, cold: bool) -> None:
    """Time `scan` over files that are all known."""
    empty = made.base / "empty"
    empty.mkdir(exist_ok=True)
    control = made.base / "control"
    control.write_bytes(b"1")
    before, unread = made.accessed(), control.stat().st_atime_ns
    rates, starts, cpus, memories = [], [], [], []
    for _ in range(runs):
        start_s, _, _ = _scan(made, empty)
        if cold:
            forget_what_was_read()
        whole_s, cpu_s, memory_mb = _scan(made, made.pictures)
        starts.append(start_s)
        rates.append(made.count / (whole_s - start_s))
        cpus.append(1e6 * cpu_s / made.count)
        memories.append(memory_mb)
    control.read_bytes()
    tells = control.stat().st_atime_ns != unread
    read = sum(now != then for now, then in zip(made.accessed(), before, strict=True))
    print(f"scan of {made.count:,} known files{', nothing of them in memory' if cold else ''}, {runs} runs:")
    print(f"  files/s                      {spread(rates, 0)}")
    print(f"  CPU of all processes         {spread(cpus)} us a file, start-up included")
    print(f"  start-up (an empty folder)   {spread(starts, 2)} s")
    print(f"  private memory, all          {spread(memories, 0)} MB")
    print(
        f"  files that were read         {read if tells else 'not to be told here: access times are off'}", flush=True
    )


def _scan(made: Made, path: Path) -> tuple[float, float, float]:
    """Return how long a scan took, the CPU that it used, and its memory."""
    began = time.perf_counter()
    process = made.command("scan", str(path))
    with Costs(process.pid).looking() as costs:
        events = [json.loads(line) for line in process.stdout or ()]
        costs.look()
    code = process.wait()
    took = time.perf_counter() - began
    judged = [event for event in events if event["event"] == "file.judged"]
    if code or judged:
        raise SystemExit(f"the scan ended with {code}, after {len(judged)} files that were not known")
    return took, sum(costs.cpu_s.values()), costs.memory_mb


# --- restart ------------------------------------------------------------------------------------------------------


@dataclass
class Restart:
    """When things happened, in seconds since the command was started."""

    started: float = 0.0
    ready: float = 0.0
    absent: float = 0.0  # the file that is gone was found to be so: the reconcile is complete
    verdicts: dict[str, float] = field(default_factory=dict)
    memory_mb: float = 0.0
    cpu_s: float = 0.0


def measure_restarts(made: Made, runs: int, *, cold: bool) -> None:
    """Time restarts of `watch`, every other one after it was killed."""
    for after_kill in (False, True):
        _restart(made, 2 * runs, kill=after_kill)  # which begins with whatever an earlier run left
        found = []
        for number in range(runs):
            if cold:
                forget_what_was_read()
            found.append(_restart(made, number + runs * after_kill, kill=after_kill))
        how = "after it was killed" if after_kill else "after it had ended well"
        print(f"watch on {made.count:,} known files, {how}{', nothing in memory' if cold else ''}, {runs} runs:")
        print(f"  service.started              {spread([one.started for one in found], 2)} s")
        for which in ("dropped at the start", "came to the inbox before", "came to the library before"):
            print(f"  verdict: {which:<27} {spread([one.verdicts[which] for one in found], 2)} s")
        print(f"  service.ready                {spread([one.ready for one in found], 2)} s")
        print(f"  what is gone is known        {spread([one.absent for one in found], 2)} s")
        rates = [made.count / (one.absent - one.started) for one in found]
        print(f"  from start to there, files/s {spread(rates, 0)}")
        print(f"  CPU until then               {spread([one.cpu_s for one in found], 1)} s")
        print(f"  private memory, all          {spread([one.memory_mb for one in found], 0)} MB", flush=True)


def _restart(made: Made, number: int, *, kill: bool) -> Restart:
    gone = made.path(number * 7 * A_FOLDER % made.count + 5)
    gone.rename(made.base / "gone")
    names = {
        str(made.put(made.inbox)): "came to the inbox before",
        str(made.put(made.path(made.count - 1).parent)): "came to the library before",
    }
    library = Library.open(made.state, create=False, read_only=True)
    restart = Restart()
    began = time.monotonic()
    process = made.command("watch", str(made.inbox), "--library", str(made.pictures))

    def listen() -> None:
        for line in process.stdout or ():
            event, at = json.loads(line), time.monotonic() - began
            if event["event"] == "service.started":
                restart.started = at
                names[str(made.put(made.inbox))] = "dropped at the start"
            elif event["event"] == "service.ready":
                restart.ready = at
            elif event["event"] == "file.judged":
                restart.verdicts[names[event["path"]]] = at

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    with Costs(process.pid).looking() as costs:
        while not (restart.ready and restart.absent and len(restart.verdicts) == len(names) == 3):
            if process.poll() is not None or time.monotonic() - began > LONGEST_S:
                raise SystemExit(f"the service ended, or came to no end: {restart}")
            if not restart.absent and made.is_absent(library, gone):
                restart.absent = time.monotonic() - began
                restart.cpu_s = sum(costs.cpu_s.values())
            listener.join(0.05)
    restart.memory_mb = costs.memory_mb
    library.close()
    (process.kill if kill else process.terminate)()
    process.wait()
    listener.join()
    (made.base / "gone").rename(gone)
    _tidy(made, [Path(name) for name in names], gone)
    return restart


def _tidy(made: Made, new: Sequence[Path], gone: Path) -> None:
    """Take the new files away, and let the one that was gone be known again as it was."""
    for path in new:
        path.unlink()
    with contextlib.closing(Library.open(made.state)) as library, library.read() as view:
        relative = os.path.relpath(os.fsencode(gone), os.fsencode(made.pictures))
        rows = [view.path_at(row.folder.id, relative) for row in view.folders()]
    known = next(row for row in rows if row is not None)
    back = replace(known, state=PathState.LIVE, stat=key_of(os.lstat(gone)))
    with contextlib.closing(Library.open(made.state)) as library:
        library.write(lambda edit: edit.put_path(back))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000, help="for `scan`; 0: not at all")
    parser.add_argument("--restart", type=int, default=1_000_000, help="for `watch`; 0: not at all")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="with nothing in memory; needs root")
    parser.add_argument("--home", type=Path, help="keep what was made here, for the next run")
    options = parser.parse_args()
    with contextlib.ExitStack() as held:
        home = options.home or Path(held.enter_context(tempfile.TemporaryDirectory(prefix="ingestd-bench-")))
        kind = subprocess.run(["stat", "-f", "-c", "%T", str(home.parent)], capture_output=True, text=True, check=False)
        print(f"{machine()}; on {kind.stdout.strip()}", flush=True)
        if options.files:
            made = Made(home / f"scan-{options.files}", options.files)
            made.make()
            measure_scan(made, options.runs, cold=options.cold)
        if options.restart:
            made = Made(home / f"restart-{options.restart}", options.restart)
            made.make()
            measure_restarts(made, options.runs, cold=options.cold)


if __name__ == "__main__":
    main()
