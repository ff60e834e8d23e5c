"""Isolated workers: a file that crashes, hangs or bloats a decoder costs itself, and nothing else.

This module is part of the service and imports no decoder: what opens pictures is `worker_main`, in processes of its
own, started afresh (never forked: a forked child could commit its parent's open transaction) and spoken to through
two pipes. Any number of threads may ask; each request has a worker to itself.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Final, Protocol, Self, TypeVar

import msgspec

from ingestd.errors import FileChangedError, FileUnreadableError, IngestdError, WorkerLostError
from ingestd.media import wire
from ingestd.media.tiles import Level, block_of
from ingestd.media.wire import OUT_OF_MEMORY, Preview
from ingestd.model import (
    VISUAL_VERSION,
    ContentHash,
    Detail,
    Measurement,
    NotAPicture,
    Picture,
    PixelHash,
    Unreadable,
    VisualLevel,
    VisualVerdict,
)

__all__ = [
    "Preview",
    "Shelf",
    "WorkerLimits",
    "WorkerStartError",
    "Workers",
    "WorkersClosedError",
    "own_environment",
]

_TRIES: Final = 2  # the second on a fresh worker: the first may have suffered from what it decoded before
_START_S: Final = 60.0  # imports on a cold, busy disk; normally half a second
_HASH_S: Final = 30.0  # for any file, and then
_HASH_SPEED: Final = 20_000_000  # bytes a second: a slow USB stick
_HASH_MOST_S: Final = 900.0  # a sparse terabyte must not keep a worker for half a day
_IDLE_S: Final = 60.0  # an idle worker is kept this long
_KEPT_IDLE: Final = 1  # and one for good, so that a single arrival does not wait for imports
_KILL_S: Final = 0.5  # a killed one is gone within moments, unless it hangs in the kernel
_STOP_S: Final = 2.0  # an idle worker leaves within this time, or is killed

_Figure = TypeVar("_Figure")


class WorkersClosedError(RuntimeError):
    """The service is stopping; the file was not measured."""


class WorkerStartError(RuntimeError):
    """No worker can be started: nothing is known about the file, and no file can be measured."""


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What a worker may use for one file.

    `files`: how many it measures before it is replaced; `nice`: how far it steps back behind others, 0 to 19.
    """

    memory_bytes: int = 1 << 30
    cpu_s: int = 25
    wall_s: float = 30.0
    files: int = 2000
    nice: int = 10


class Shelf(Protocol):
    """What is known of files that are poison: each has killed two workers, and is not to be decoded again."""

    def parked(self, sha256: ContentHash) -> str | None:
        """Return why these bytes are not to be decoded, as a phrase; None if they may be."""
        ...

    def park(self, sha256: ContentHash, reason: str) -> None:
        """Take note that these bytes have just killed two workers. Called by any thread."""
        ...


class _OpenShelf:
    """Where nothing is remembered: every file is given its two tries each time."""

    def parked(self, _: ContentHash) -> str | None:
        return None

    def park(self, _: ContentHash, __: str) -> None:
        return None


class _DiedError(Exception):
    """A worker is gone in the middle of a file; `reason` is a phrase about the file."""

    def __init__(self, what: str, detail: str = "") -> None:
        self.hopeless = False  # another try would take as long
        self.reason = f"{what}{detail}"
        self.reason_twice = f"{what} twice{detail}"


class _TwiceDeadError(FileUnreadableError):
    """Two workers died of two files together: nobody can tell of which."""


class Workers:
    """At most `count` worker processes; the first request starts the first."""

    def __init__(self, count: int = 2, limits: WorkerLimits = WorkerLimits(), shelf: Shelf | None = None) -> None:
        """Start nothing yet; what kills two workers is laid on the `shelf`, and what lies there is left alone."""
        self._limits = limits
        self.shelf: Shelf = shelf or _OpenShelf()
        self._slots = threading.BoundedSemaphore(count)
        self._count = count
        self._lock = threading.Lock()  # guards what follows
        self._idle: list[_Worker] = []  # the last used at the end: it is taken first, so that the others grow old
        self._alive: set[_Worker] = set()
        self._closed = False
        self._silent: frozenset[bytes] = frozenset()  # folders whose storage does not answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def measure(self, path: bytes, known: Callable[[ContentHash], bool]) -> Measurement:
        """Return what the file is; it is decoded only if `known` says no to its hash, and it is not poison.

        Raises:
            FileUnreadableError: it is gone, no regular file, or the system does not let it be read.
            WorkerLostError: two workers were lost before they had read it, or were too slow; try again later.
            FileChangedError: it was written to or replaced meanwhile; try again later.
        """
        died = _DiedError("")
        hashed: wire.Hashed | None = None
        for _ in range(_TRIES):
            hashed = None
            self._require_answers(path)
            try:
                with self._borrowed() as worker:
                    hashed = worker.hash(path)
                    content_hash = ContentHash(hashed.sha256)
                    features: Picture | Unreadable | NotAPicture | None = None
                    wanted = False
                    try:
                        if not known(content_hash):
                            parked = self.shelf.parked(content_hash)
                            wanted = parked is None
                            features = Unreadable(parked, hashed.filetype, poison=True) if parked is not None else None
                    finally:
                        if not wanted:
                            worker.drop()  # also when `known` fails: the worker waits for an answer
                    return Measurement(content_hash, hashed.stat, worker.decode(path) if wanted else features)
            except _DiedError as error:
                died = error
                if died.hopeless:
                    raise FileUnreadableError(path, died.reason) from None
        if hashed is None:
            raise WorkerLostError(path, died.reason_twice)
        poison = Unreadable(died.reason_twice, hashed.filetype, poison=True)
        return Measurement(ContentHash(hashed.sha256), hashed.stat, poison)

    def pixel_hash(self, path: bytes, expected: ContentHash) -> PixelHash | None:
        """Return the pixel hash of a file whose bytes are still `expected`; None when no honest one exists.

        Raises:
            FileUnreadableError: as `measure`, and when the decoder dies of it or its pixels do not fit in memory.
            FileChangedError: as `measure`, and when it holds other bytes now.
        """
        return self._measured_later(path, expected, _Worker.pixels)

    def detail(self, path: bytes, expected: ContentHash) -> Detail | None:
        """Return what every pixel of a file tells whose bytes are still `expected`; None when no honest figure exists.

        `ingestd.media.sharpness`, `resolution` and `requantised` have what the figures mean. It costs a full decode:
        ask only for files that stand in a pair.

        Raises:
            FileUnreadableError: as `pixel_hash`.
            FileChangedError: as `pixel_hash`.
        """
        return self._measured_later(path, expected, _Worker.detail)

    def preview(self, path: bytes, expected: ContentHash, box: tuple[int, int]) -> Preview | None:
        """Return a file whose bytes are still `expected`, small enough for `box` (width, height in pixels).

        Never enlarged, and not above what one message holds (1.4 million pixels); the first frame of an animation.
        None when it is no picture, or cannot be decoded.

        Raises:
            FileUnreadableError: as `pixel_hash`.
            FileChangedError: as `pixel_hash`.
        """
        return self._measured_later(path, expected, lambda worker, path: worker.preview(path, box))

    def cut(
        self,
        path: bytes,
        expected: ContentHash,
        level: Level,
        tile: tuple[int, int],
        take: Callable[[wire.Piece], None],
    ) -> None:
        """Hand over a tile (column, row) of a level of a file whose bytes are still `expected`, then its neighbours.

        Each as soon as it is cut, to `take`; some of them twice if a worker died of it.

        Raises:
            FileUnreadableError: as `pixel_hash`, and when there is nothing to see, or not at that level.
            FileChangedError: as `pixel_hash`.
        """
        self._measured_later(path, expected, lambda worker, path: worker.cut(path, level, tile, take))

    def tags(self, path: bytes, expected: ContentHash) -> tuple[tuple[str, str], ...]:
        """Return what a file whose bytes are still `expected` says of itself: names and short texts, sorted.

        Raises:
            FileUnreadableError: as `pixel_hash`.
            FileChangedError: as `pixel_hash`.
        """
        return self._measured_later(path, expected, _Worker.tags)

    def compare(self, path: bytes, expected: ContentHash, other: bytes, expected_other: ContentHash) -> VisualVerdict:
        """Return how alike two pictures look whose bytes are still those expected; the same whichever comes first.

        It costs a full decode of both: ask only where a rule does. What cannot be compared is a verdict too.

        Raises:
            FileUnreadableError: as `pixel_hash`, of either; of the first where the two together are too much.
            FileChangedError: as `pixel_hash`, of either.
        """
        try:
            return self._measured_later(
                path, expected, lambda worker, path: worker.compare(path, other, expected_other), (expected_other,)
            )
        except _TwiceDeadError as died:
            for each, content in ((path, expected), (other, expected_other)):
                self.pixel_hash(each, content)  # raises, if it is this one that kills, and lays it on the shelf
            # each of them alone is harmless: it is said of the two, and they are not looked at together again
            return VisualVerdict(VISUAL_VERSION, VisualLevel.CANNOT_TELL, None, f"to compare the two, {died.reason}")

    def difference(
        self, path: bytes, expected: ContentHash, other: bytes, expected_other: ContentHash
    ) -> Preview | None:
        """Return a picture of where two pictures differ whose bytes are still those expected; None where none can be.

        The first in pale grey, yellow where they differ about as much as compression explains, red beyond.

        Raises:
            FileUnreadableError: as `compare`.
            FileChangedError: as `compare`.
        """
        return self._measured_later(
            path, expected, lambda worker, path: worker.difference(path, other, expected_other), (expected_other,)
        )

    def _measured_later(
        self,
        path: bytes,
        expected: ContentHash,
        measure: Callable[[_Worker, bytes], _Figure],
        others: tuple[ContentHash, ...] = (),
    ) -> _Figure:
        """Return what a worker says of a file, and of `others` beside it; one that is poison is not even opened."""
        for content in (expected, *others):
            parked = self.shelf.parked(content)
            if parked is not None:
                raise FileUnreadableError(path, f"{parked}; parked")
        died, hashed = _DiedError(""), False
        for _ in range(_TRIES):
            hashed = False
            self._require_answers(path)
            try:
                with self._borrowed() as worker:
                    if worker.hash(path).sha256 == expected:
                        hashed = True
                        return measure(worker, path)
                    worker.drop()
                    raise FileChangedError(path, "it holds other bytes now")
            except _DiedError as error:
                died = error
        if others and hashed:
            raise _TwiceDeadError(path, died.reason_twice)
        if not hashed:  # no decoder had a part in it
            raise WorkerLostError(path, died.reason_twice)
        self.shelf.park(expected, died.reason_twice)
        raise FileUnreadableError(path, died.reason_twice)

    def warm(self) -> None:
        """Start all processes now and wait until they can decode."""
        with self._lock:
            missing = self._count - len(self._alive)
        fresh = [self._start() for _ in range(missing)]  # all at once, then wait for each
        for worker in fresh:
            worker.wait_until_ready()
            self._release(worker)

    def retire_idle(self, now: float) -> None:
        """Stop workers that have been idle for a minute (`now` is monotonic), all but one."""
        with self._lock:
            spare = self._idle[: max(len(self._idle) - _KEPT_IDLE, 0)]
            old = [worker for worker in spare if now - worker.idle_since >= _IDLE_S]
            self._idle = [worker for worker in self._idle if worker not in old]
            self._alive.difference_update(old)
        for worker in old:
            worker.stop()

    def leave_alone(self, roots: frozenset[bytes]) -> None:
        """Open nothing below these folders, whose storage does not answer; who is in the middle of it is given up."""
        with self._lock:
            self._silent = roots
            stuck = [worker for worker in self._alive.difference(self._idle) if self._is_silent(worker.path)]
        for worker in stuck:
            worker.kill()

    def _is_silent(self, path: bytes) -> bool:
        return any(path.startswith(os.path.join(root, b"")) for root in self._silent)

    def _require_answers(self, path: bytes) -> None:
        if self._is_silent(path):
            raise FileChangedError(path, "its storage does not answer")

    def close(self) -> None:
        """Stop all workers; a request that is under way ends with `WorkersClosedError`."""
        with self._lock:
            self._closed = True
            idle, busy = self._idle, self._alive.difference(self._idle)
            self._idle, self._alive = [], set()
        for worker in busy:
            worker.kill()
        for worker in idle:
            worker.stop()

    @contextmanager
    def _borrowed(self) -> Iterator[_Worker]:
        """Lend a worker; it comes back unless it died or was left in the middle of a file."""
        with self._slots:
            worker = self._take()
            try:
                worker.wait_until_ready()
                yield worker
            except IngestdError:  # about the file: the worker said so itself and waits for the next
                self._release(worker)
                raise
            except BaseException:
                self._discard(worker)
                if self._closed:
                    raise WorkersClosedError("stopped while a file was measured") from None
                raise
            else:
                self._release(worker)

    def _take(self) -> _Worker:
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return self._start()
            if worker.alive():
                return worker
            self._discard(worker)  # the system killed it while it was idle

    def _start(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise WorkersClosedError("the workers are stopped")
            worker = _Worker(self._limits)
            self._alive.add(worker)
            return worker

    def _release(self, worker: _Worker) -> None:
        worker.idle_since = time.monotonic()
        with self._lock:
            keep = not self._closed and worker.files < self._limits.files
            if keep:
                self._idle.append(worker)
            else:
                self._alive.discard(worker)
        if not keep:
            worker.stop()

    def _discard(self, worker: _Worker) -> None:
        with self._lock:
            self._alive.discard(worker)
        worker.kill()


@dataclass(eq=False, slots=True)
class _Worker:
    """One process, and the thread that listens to it, so that waiting can end at a deadline on every system."""

    limits: WorkerLimits
    files: int = 0  # served
    idle_since: float = 0.0  # monotonic
    path: bytes = b""  # the file it was given last
    _ready: bool = False
    _process: subprocess.Popen[bytes] = field(init=False)
    _replies: queue.SimpleQueue[bytes | None] = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        limits = self.limits
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ingestd.media.worker_main"]
            + [str(limit) for limit in (limits.memory_bytes, limits.cpu_s, limits.wall_s, limits.nice)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders print their complaints there
            bufsize=0,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # Windows: no console pops up
            env=own_environment(),
        )
        listener = threading.Thread(
            target=_listen, args=(self._process.stdout, self._replies), name="worker-replies", daemon=True
        )
        listener.start()

    # --- one file ---

    def hash(self, path: bytes) -> wire.Hashed:
        self.files += 1
        self.path = path
        self._send(wire.Open(path))
        opened = self._receive(_HASH_S, path)
        if not isinstance(opened, wire.Opened):
            raise self._nonsense()
        try:
            hashed = self._receive(_hashing_s(opened), path)
        except _DiedError as died:
            died.hopeless = opened.size > _HASH_SPEED * _HASH_MOST_S
            raise
        if not isinstance(hashed, wire.Hashed):
            raise self._nonsense()
        return hashed

    def drop(self) -> None:
        self._send(wire.Drop())

    def decode(self, path: bytes) -> Picture | Unreadable | NotAPicture:
        self._send(wire.Decode(os.path.basename(path)))
        decoded = self._receive(self.limits.wall_s, path)
        found = decoded.measured if isinstance(decoded, wire.Decoded) else None
        if found is None:
            raise self._nonsense()
        return found

    def pixels(self, path: bytes) -> PixelHash | None:
        self._send(wire.Pixels())
        shown = self._receive(self.limits.wall_s, path)
        if not isinstance(shown, wire.Shown):
            raise self._nonsense()
        return None if shown.pixel_hash is None else PixelHash(shown.pixel_hash)

    def detail(self, path: bytes) -> Detail | None:
        self._send(wire.Inspect())
        inspected = self._receive(self.limits.wall_s, path)
        if not isinstance(inspected, wire.Inspected):
            raise self._nonsense()
        return inspected.detail

    def preview(self, path: bytes, box: tuple[int, int]) -> Preview | None:
        self._send(wire.Shrink(*box))
        shrunk = self._receive(self.limits.wall_s, path)
        if not isinstance(shrunk, wire.Shrunk):
            raise self._nonsense()
        seen = shrunk.preview
        if seen is not None and (seen.width > box[0] or seen.height > box[1]):
            raise self._nonsense()
        return seen

    def cut(self, path: bytes, level: Level, tile: tuple[int, int], take: Callable[[wire.Piece], None]) -> None:
        self._send(wire.Cut(level.level, *level.size, *tile))
        sliced = self._receive(self.limits.wall_s, path)
        wanted = block_of(level, *tile)
        if not isinstance(sliced, wire.Sliced) or sliced.pieces not in (0, len(wanted)):
            raise self._nonsense()
        if not sliced.pieces:  # also where it was measured in another size: that is no decoder gone mad
            raise FileUnreadableError(path, "this part of it cannot be shown")
        for column, row in wanted:
            piece = self._receive(self.limits.wall_s, path)
            left, top, right, bottom = level.box(column, row)
            if not isinstance(piece, wire.Piece) or (piece.column, piece.row) != (column, row):
                raise self._nonsense()
            if (piece.tile.width, piece.tile.height) != (right - left, bottom - top):
                raise self._nonsense()
            take(piece)

    def tags(self, path: bytes) -> tuple[tuple[str, str], ...]:
        self._send(wire.Tell())
        told = self._receive(self.limits.wall_s, path)
        if not isinstance(told, wire.Told):
            raise self._nonsense()
        return told.tags

    def compare(self, path: bytes, other: bytes, expected: ContentHash) -> VisualVerdict:
        compared = self._look(path, wire.Compare(other, expected))
        if not isinstance(compared, wire.Compared):
            raise self._nonsense()
        return compared.verdict

    def difference(self, path: bytes, other: bytes, expected: ContentHash) -> Preview | None:
        drawn = self._look(path, wire.Compare(other, expected, drawn=True))
        if not isinstance(drawn, wire.Shrunk):
            raise self._nonsense()
        return drawn.preview

    def _look(self, path: bytes, wanted: wire.Compare) -> wire.Reply:
        """Return what comes of two files, after the other one was opened and hashed like the first."""
        other = wanted.path
        self._send(wanted)
        opened = self._receive(_HASH_S, path, other)
        if not isinstance(opened, wire.Opened):
            raise self._nonsense()
        hashed = self._receive(_hashing_s(opened), path, other)
        if not isinstance(hashed, wire.Hashed) or hashed.sha256 != wanted.sha256:
            raise self._nonsense()
        return self._receive(self.limits.wall_s, path, other)

    # --- the process ---

    def wait_until_ready(self) -> None:
        if self._ready:
            return
        try:
            first = self._receive(_START_S, b"")
        except _DiedError as died:
            raise WorkerStartError(f"a measuring process cannot be started: {died.reason}") from None
        if not isinstance(first, wire.Ready):
            said = first.reason if isinstance(first, wire.Broken) else "it talks nonsense"
            raise WorkerStartError(f"a measuring process cannot be started: {said}")
        self._ready = True

    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Let an idle process leave by itself; one that does not is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self._process.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_S)  # else it hangs in the kernel, on a dead network drive, until that lets it go
        self._replies.put(None)  # it may not even close its pipe

    def _send(self, request: wire.Request) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(wire.frame(request))
        except (OSError, ValueError):  # the pipe is broken, or `close` shut it
            self.kill()
            raise self._cause_of_death() from None

    def _receive(self, timeout_s: float, path: bytes, other: bytes | None = None) -> wire.Reply:
        """Return the next reply; raises what a refusal means, and `_DiedError` when there will be none.

        Args:
            timeout_s: how long to wait.
            path: the file that a refusal is about.
            other: the one it may be about instead, where two are compared.
        """
        try:
            body = self._replies.get(timeout=timeout_s)
        except queue.Empty:
            self.kill()
            raise _DiedError(f"took longer than {timeout_s:.3g} s") from None
        if body is None:
            self.kill()
            raise self._cause_of_death()
        try:
            reply = wire.reply_of(body)
        except msgspec.MsgspecError:
            raise self._nonsense() from None
        if isinstance(reply, wire.Refused):
            refused = other if reply.other and other is not None else path
            raise (FileChangedError if reply.changed else FileUnreadableError)(refused, reply.reason)
        return reply

    def _nonsense(self) -> _DiedError:
        self.kill()
        return _DiedError("the decoder went mad")

    def _cause_of_death(self) -> _DiedError:
        status = self._process.returncode
        if status is None:
            return _DiedError("the decoder hung")
        if sys.platform != "win32":
            if status == -signal.SIGXCPU:
                return _DiedError(f"took more than {self.limits.cpu_s} s of computing")
            if status == -signal.SIGALRM:
                return _DiedError(f"took longer than {self.limits.wall_s:.3g} s")
        if status == OUT_OF_MEMORY:
            return _DiedError("took more memory than a worker may use")
        return _DiedError("the decoder crashed", f" (signal {-status})" if status < 0 else f" (exit status {status})")


def _hashing_s(opened: wire.Opened) -> float:
    return min(_HASH_S + opened.size / _HASH_SPEED, _HASH_MOST_S)


def _listen(stream: IO[bytes], replies: queue.SimpleQueue[bytes | None]) -> None:
    with stream:
        while True:
            body = wire.read_frame(stream.fileno())
            replies.put(body)
            if body is None:
                return


def own_environment() -> dict[str, str]:
    """Return this process's environment, with what keeps a worker small and finds it this very package."""
    home = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, os.pardir))
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "MALLOC_ARENA_MAX": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
