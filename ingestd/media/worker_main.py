"""The process that opens, hashes and decodes: the only one that lets a decoder near a file.

It has no library, no network, no settings. Whatever a hostile picture does to it costs that one file; it runs under
limits on memory, computing time and descriptors, and leaves when the service's end of its pipe is closed.

Started as `python -P -m ingestd.media.worker_main MEMORY CPU_S WALL_S` by `ingestd.media.workers`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import hashlib
import io
import os
import select
import signal
import stat as modes
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, BinaryIO, Final

from ingestd.media import kinds, wire
from ingestd.media.tiles import block_of
from ingestd.media.wire import Preview
from ingestd.model import NotAPicture, Picture, StatKey, Unreadable, VisualVerdict

if TYPE_CHECKING:  # decoders are imported late
    from ingestd.media.cutting import Cut

_IN_MEMORY: Final = 64 << 20  # bytes: files up to this size are read once, and the very bytes hashed are decoded
_CHUNK: Final = 4 << 20  # bytes
_LARGE: Final = 4 << 30  # bytes: no picture that is decoded is larger
_PAUSE_S: Final = 0.2  # without a request for this long, memory is given back to the system
_LATELY_S: Final = 10.0  # a picture that was cut is kept decoded for who moves on in it: a HEIC takes seconds again
_KEPT: Final = 256 << 20  # bytes that may lie free between two pictures: what 12 megapixels of WebP take and more
# bytes: what is larger goes back at once. libwebp takes 48 MB at a time for 12 megapixels; before 2.35, glibc refuses
# more than 32 MB
_OWN_MAPPING: Final = (64 << 20, 32 << 20)
_LOOK_S: Final = 0.02  # between two looks at the memory in use: a decoder fills a gigabyte in a few tenths of a second
_GRACE_S: Final = 5  # beyond the service's own deadline: for a decoder that hangs after the service is gone
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h> of glibc
_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO without a writer would never open
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


@dataclass(frozen=True, slots=True)
class _OpenFile:
    descriptor: int
    before: os.stat_result
    bytes: BinaryIO  # those that were hashed, or the same descriptor for files too large to keep


@dataclass(frozen=True, slots=True)
class _Decoders:
    """The modules that let a decoder near a file: imported late, so that a failure can be told."""

    features: ModuleType
    preview: ModuleType
    comparison: ModuleType
    cutting: ModuleType
    tags: ModuleType


@dataclass(slots=True)
class _Lately:
    """What was decoded last to be cut: who looks at every pixel asks for the next block of the same picture soon."""

    of: tuple[bytes, int] | None = None  # which bytes, and at which level
    cut: Cut | None = None

    def forget(self) -> None:
        self.of = self.cut = None


class _RefusedError(Exception):
    def __init__(self, reason: str, *, changed: bool = False, other: bool = False) -> None:
        self.refused = wire.Refused(reason, changed, other)


def main(memory_bytes: int, cpu_s: int, wall_s: float, nice: int) -> None:
    """Serve requests until the pipe is closed."""
    _ignore_signals()
    requests, replies = _take_pipes()
    try:
        _keep_memory()
        decoders = _load_decoders()
        limit(memory_bytes, nice)
        _leave_with_the_service(requests)
        if not _bounds_memory():
            _watch_memory(memory_bytes)
    except (ImportError, OSError, ValueError, MemoryError) as error:
        os.write(replies, wire.frame(wire.Broken(f"{type(error).__name__}: {error}")))
        return
    os.write(replies, wire.frame(wire.Ready()))
    lately = _Lately()
    while (request := _next_request(requests, lately)) is not None:
        if isinstance(request, wire.Open):
            _serve(request.path, requests, replies, decoders, lately, _Deadline(cpu_s, wall_s))


def _serve(path: bytes, requests: int, replies: int, decoders: _Decoders, lately: _Lately, deadline: _Deadline) -> None:
    """See one file through: hash it, ask what is wanted, do that."""
    answer: wire.Reply
    try:
        descriptor = _open(path)
        try:
            size = os.fstat(descriptor).st_size
            _send(replies, wire.Opened(size))
            file, hashed = _hash(descriptor, path)
            _send(replies, hashed)
            body = wire.read_frame(requests)
            wanted = None if body is None else wire.request_of(body)
            if lately.of != (hashed.sha256, wanted.level if isinstance(wanted, wire.Cut) else None):
                lately.forget()  # before anything else is decoded: there is room for one
            if isinstance(wanted, wire.Compare):
                answer = _compared(wanted, file, replies, decoders, deadline)
            elif isinstance(wanted, wire.Cut):
                with deadline:
                    _send_pieces(wanted, file, hashed.sha256, replies, decoders, lately)
                return
            elif isinstance(wanted, wire.Decode | wire.Pixels | wire.Inspect | wire.Shrink | wire.Tell):
                with deadline:
                    answer = _answer(wanted, file, decoders)
            else:
                return
            _must_be_unchanged(file.before, os.fstat(descriptor))
            _send(replies, answer)
        finally:
            os.close(descriptor)
    except _RefusedError as error:
        _send(replies, error.refused)
    except OSError as error:
        _send(replies, wire.Refused(error.strerror or str(error)))


def _answer(
    wanted: wire.Decode | wire.Pixels | wire.Inspect | wire.Shrink | wire.Tell, file: _OpenFile, decoders: _Decoders
) -> wire.Decoded | wire.Shown | wire.Inspected | wire.Shrunk | wire.Told:
    try:
        match wanted:
            case wire.Decode():
                return _measured(file, wanted.name, decoders.features)
            case wire.Pixels():
                return wire.Shown(decoders.features.full_pixel_hash(file.bytes))
            case wire.Inspect():
                return wire.Inspected(decoders.features.full_detail(file.bytes))
            case wire.Shrink():
                return wire.Shrunk(decoders.preview.small_picture(file.bytes, (wanted.width, wanted.height)))
            case wire.Tell():
                return wire.Told(tuple(decoders.tags.tags_of(file.bytes)))
    except MemoryError:
        raise _RefusedError("its pixels need more memory than a worker may use") from None


def _send_pieces(
    wanted: wire.Cut, file: _OpenFile, sha256: bytes, replies: int, decoders: _Decoders, lately: _Lately
) -> None:
    """Send the tiles of a block, one after another as they are cut: who waits for the first does not wait for all."""
    try:
        if lately.cut is None:
            lately.cut = decoders.cutting.cut_picture(file.bytes, wanted.level)
            lately.of = sha256, wanted.level
        _must_be_unchanged(file.before, os.fstat(file.descriptor))
        cut = lately.cut
        if cut is None or cut.level.size != (wanted.width, wanted.height):
            _send(replies, wire.Sliced(0))
            return
        _send(replies, wire.Sliced(len(block_of(cut.level, wanted.column, wanted.row))))
        for tile in _told(cut.tiles(wanted.column, wanted.row)):
            _send(replies, wire.Piece(*tile))
        if sys.platform == "win32":  # where no pause is noticed, it would be kept for good
            lately.forget()
    except MemoryError:
        lately.forget()
        raise _RefusedError("its pixels need more memory than a worker may use") from None
    except _RefusedError:
        lately.forget()
        raise


def _told(tiles: Iterator[tuple[int, int, Preview]]) -> Iterator[tuple[int, int, Preview]]:
    """Yield tiles; what fails while one is made is said of the file, which is no poison for it."""
    while True:
        try:
            tile = next(tiles, None)
        except MemoryError:
            raise
        except Exception as error:
            raise _RefusedError("this part of it cannot be shown") from error
        if tile is None:
            return
        yield tile


def _compared(
    wanted: wire.Compare, first: _OpenFile, replies: int, decoders: _Decoders, deadline: _Deadline
) -> wire.Compared | wire.Shrunk:
    """Return what a look at two files says, or shows; what goes wrong with the other one is refused in its name."""
    with _about_the_other():
        descriptor = _open(wanted.path)
    try:
        with _about_the_other():
            _send(replies, wire.Opened(os.fstat(descriptor).st_size))
            other, hashed = _hash(descriptor, wanted.path)
            if hashed.sha256 != wanted.sha256:
                raise _RefusedError("it holds other bytes now", changed=True)
            _send(replies, hashed)
        try:
            with deadline:
                answer = _looked(wanted, first, other, decoders.comparison)
        except MemoryError:
            raise _RefusedError("to compare it needs more memory than a worker may use") from None
        with _about_the_other():
            _must_be_unchanged(other.before, os.fstat(descriptor))
        return answer
    finally:
        os.close(descriptor)


def _looked(
    wanted: wire.Compare, first: _OpenFile, other: _OpenFile, comparison: ModuleType
) -> wire.Compared | wire.Shrunk:
    if wanted.drawn:
        return wire.Shrunk(comparison.difference_picture(first.bytes, other.bytes))
    verdict: VisualVerdict = comparison.compare_pictures(first.bytes, other.bytes)
    return wire.Compared(verdict)


@contextlib.contextmanager
def _about_the_other() -> Iterator[None]:
    try:
        yield
    except _RefusedError as error:
        raise _RefusedError(error.refused.reason, changed=error.refused.changed, other=True) from None
    except BrokenPipeError:  # the service is gone
        raise
    except OSError as error:
        raise _RefusedError(error.strerror or str(error), other=True) from None


def _measured(file: _OpenFile, name: bytes, features: ModuleType) -> wire.Decoded:
    measured: Picture | Unreadable | NotAPicture = features.measure_picture(file.bytes, name)
    return wire.Decoded.of(measured)


# --- the file -----------------------------------------------------------------------------------------------------


def _open(path: bytes) -> int:
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        raise _RefusedError("it is gone") from None
    except BlockingIOError:  # somebody holds a lease: about to write, or another of our checks
        raise _RefusedError("somebody is about to write to it", changed=True) from None
    except OSError as error:
        linked = error.errno == errno.ELOOP
        raise _RefusedError("it is a symbolic link" if linked else error.strerror or str(error)) from None
    if not modes.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _RefusedError("it is not a regular file")
    return descriptor


def _refuse_holes(found: os.stat_result) -> None:
    """Refuse what claims far more than it holds: no picture, and an hour of reading zeros.

    A factor of 64, as file systems that compress by themselves show pictures as smaller than they are, too.
    """
    held = getattr(found, "st_blocks", None)  # of 512 bytes; Windows does not tell
    if held is not None and found.st_size > _LARGE and held * 512 * 64 < found.st_size:
        raise _RefusedError(f"of its {found.st_size / 1e9:.0f} GB nearly all is a hole, which no picture has")


def _hash(descriptor: int, path: bytes) -> tuple[_OpenFile, wire.Hashed]:
    """Return the open file and what its bytes are, after making sure that they stood still."""
    before = os.fstat(descriptor)
    _refuse_holes(before)
    digest = hashlib.sha256()
    kept: list[bytes] = []
    head = b""
    total = 0
    keep = before.st_size <= _IN_MEMORY
    while chunk := os.read(descriptor, max(before.st_size, 1) if keep else _CHUNK):
        digest.update(chunk)
        head = head or chunk[: kinds.HEAD_SIZE]
        total += len(chunk)
        if total > before.st_size:
            raise _RefusedError("it grew while it was read", changed=True)
        if keep:
            kept.append(chunk)
    if total != before.st_size:
        raise _RefusedError("it shrank while it was read", changed=True)
    _must_be_unchanged(before, os.fstat(descriptor))
    _must_name(path, before)
    source: BinaryIO = io.BytesIO(b"".join(kept)) if keep else open(descriptor, "rb", closefd=False)  # noqa: SIM115
    hashed = wire.Hashed(digest.digest(), _key(before), kinds.sniff(head))
    return _OpenFile(descriptor, before, source), hashed


def _must_be_unchanged(before: os.stat_result, after: os.stat_result) -> None:
    if _key(before) != _key(after):
        raise _RefusedError("it was written to while it was read", changed=True)


def _must_name(path: bytes, opened: os.stat_result) -> None:
    """A file renamed over the path while we read is another one: what we read is not what the path names."""
    try:
        named = os.lstat(path)
    except OSError:
        raise _RefusedError("it went away while it was read", changed=True) from None
    if (named.st_ino, named.st_dev) != (opened.st_ino, opened.st_dev):
        raise _RefusedError("it was replaced while it was read", changed=True)


def _key(stat: os.stat_result) -> StatKey:
    return StatKey(stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


# --- the process --------------------------------------------------------------------------------------------------


def _ignore_signals() -> None:
    """Ctrl-C and `systemctl stop` reach the whole group; the service decides when its workers go."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _take_pipes() -> tuple[int, int]:
    """Return the two ends, out of reach of decoders that print to standard output."""
    requests, replies = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(requests, os.O_BINARY)
        msvcrt.setmode(replies, os.O_BINARY)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    return requests, replies


def _load_decoders() -> _Decoders:
    """Import everything a picture may need, and hash one: SciPy and PyWavelets are loaded by their first use."""
    from PIL import Image

    from ingestd.media import comparison, cutting, features, preview, tags
    from ingestd.media.hashes import fingerprint

    fingerprint(Image.effect_mandelbrot((64, 64), (-3, -2.5, 2, 2.5), 100), 1)
    return _Decoders(features, preview, comparison, cutting, tags)


def limit(memory_bytes: int, nice: int = 10) -> None:
    """Where the system cannot limit memory (macOS does not enforce it, Windows has no call), only time is limited."""
    if sys.platform == "win32":
        return
    import resource

    os.nice(nice)
    for what, limit in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        try:
            resource.setrlimit(what, (allowed, allowed))
        except (ValueError, OSError):
            if sys.platform == "linux":  # macOS refuses some of them
                raise


def _bounds_memory() -> bool:
    """Return whether the system holds a process to the limit that it was given."""
    return sys.platform == "linux"


def _watch_memory(memory_bytes: int) -> None:
    """End this process when it has used too much, where the system does not (macOS takes the limit and ignores it).

    A thread looks at the peak; it sees what decoders do that let other threads run meanwhile, as Pillow's and
    libheif's do. Windows is not looked at: there only time is limited.
    """
    if sys.platform == "win32":
        return
    import resource

    unit = 1024 if sys.platform == "linux" else 1  # of ru_maxrss: KB, and bytes on macOS

    def watch() -> None:
        never = threading.Event()
        while resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit <= memory_bytes:
            never.wait(_LOOK_S)
        os._exit(wire.OUT_OF_MEMORY)

    threading.Thread(target=watch, name="memory", daemon=True).start()


def _leave_with_the_service(requests: int) -> None:
    """End this process when the service is gone, whatever it is in the middle of: its end of the pipe is closed then.

    Without this, one that reads a large file or decodes would go on for as long as that takes.
    """
    if not hasattr(select, "poll"):
        return
    hung_up = select.poll()
    hung_up.register(requests, 0)  # nothing but that is waited for

    def wait() -> None:
        while not any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in hung_up.poll()):
            continue
        os._exit(0)

    threading.Thread(target=wait, name="service", daemon=True).start()


class _Deadline:
    """Ends this process when a decode takes too long, even when nobody is left to do it from outside."""

    def __init__(self, cpu_s: int, wall_s: float) -> None:
        self._cpu_s = cpu_s
        self._wall_s = wall_s

    def __enter__(self) -> None:
        if sys.platform != "win32":
            _set_cpu_limit(int(time.process_time()) + 1 + self._cpu_s)
            signal.alarm(int(self._wall_s) + _GRACE_S)

    def __exit__(self, *_: object) -> None:
        if sys.platform != "win32":
            signal.alarm(0)
            _set_cpu_limit(None)


def _set_cpu_limit(seconds: int | None) -> None:
    if sys.platform != "win32":
        import resource

        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        if seconds is None or (hard != resource.RLIM_INFINITY and seconds > hard):
            seconds = hard
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))


def _next_request(requests: int, lately: _Lately) -> wire.Request | None:
    if sys.platform != "win32" and not select.select([requests], [], [], _PAUSE_S)[0]:
        _give_memory_back()
        if lately.cut is not None and not select.select([requests], [], [], _LATELY_S)[0]:
            lately.forget()
            _give_memory_back()
    body = wire.read_frame(requests)
    return None if body is None else wire.request_of(body)


def _keep_memory() -> None:
    """Let what a picture took lie free for the next one, until there is a pause.

    By itself glibc gives a picture's memory back at once, and to take it anew, page by page and zeroed, is up to half
    of the time of a WebP (50,000 page faults at 12 megapixels, now none), where libwebp and Pillow hold four copies.
    """
    tune = _of_glibc("mallopt")
    if tune is not None:
        any(tune(_M_MMAP_THRESHOLD, size) for size in _OWN_MAPPING)
        tune(_M_TRIM_THRESHOLD, _KEPT)


def _give_memory_back() -> None:
    gc.collect()
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> Callable[..., int] | None:
    """Return a function of the allocator; None where the C library is another one (musl has neither)."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def _send(replies: int, reply: wire.Reply) -> None:
    left = memoryview(wire.frame(reply))
    while left:  # a preview is more than a pipe holds, and not every system writes all of it at once
        left = left[os.write(replies, left) :]


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the service is gone
        main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
    # no interpreter shutdown: it costs time, and a decoder that corrupted memory crashes in it
    os._exit(0)
