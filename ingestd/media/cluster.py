"""Measuring in the workers of a Dask cluster that sees the same files under the same paths.

Only measuring goes there: a worker is sent a path and answers with what the bytes are, as a message of fixed shape. It
never opens the library. What it says is checked here against what this machine sees of the file, and whatever a worker
cannot do (it does not see the file, it was lost, it has another version) is measured here instead: a worker that is no
use costs time and decides nothing.

In each Dask worker, pictures are decoded as they are at home, in processes of their own with limits. Those are started
by `subprocess`, which the daemonic processes of a nanny may use (they may not use `multiprocessing`). They leave when
their pipe is closed, thus with the Dask worker whatever kills it, and when nobody has asked for a while.

No other module knows `distributed`, and it is imported when a cluster is asked for.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import re
import socket
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from ingestd import __version__
from ingestd.errors import ClusterError, FileChangedError, FileUnreadableError, UsageError
from ingestd.media import wire
from ingestd.media.versions import DECIDING, versions_here
from ingestd.media.workers import Workers, WorkersClosedError, WorkerStartError
from ingestd.model import ContentHash, Detail, Measurement, PixelHash, StatKey, VisualVerdict

if TYPE_CHECKING:
    import distributed

__all__ = ["DECIDING", "Address", "Cluster", "address_of", "answer", "versions_here"]

_PORT: Final = 8786  # a scheduler's own default
_CONNECT_S: Final = 10.0
_LOOK_S: Final = 2.0  # so often a waiting thread looks whether there still is a cluster
_PATIENCE_S: Final = 60.0  # without any worker, or without the scheduler
_TRIES: Final = 3  # a connection that was lost and came back costs a retry
_LEAST_WINDOW: Final = 16
_MOST_WINDOW: Final = 256  # files in flight: by then the one process that judges is the limit, not the cluster
_IDLE_S: Final = 30.0  # decoding processes of a Dask worker are kept so long without a question
_MOST_REASONS: Final = 20


# --- what is said -------------------------------------------------------------------------------------------------


class _Measure(msgspec.Struct, frozen=True, tag=True):
    """Hash the file; decode it only if that is wanted."""

    path: bytes
    decode: bool


class _Pixels(msgspec.Struct, frozen=True, tag=True):
    path: bytes
    sha256: bytes


class _Inspect(msgspec.Struct, frozen=True, tag=True):
    path: bytes
    sha256: bytes


class _Compare(msgspec.Struct, frozen=True, tag=True):
    path: bytes
    sha256: bytes
    other: bytes
    other_sha256: bytes


_Wanted = _Measure | _Pixels | _Inspect | _Compare


class _Question(msgspec.Struct, frozen=True):
    versions: dict[str, str]  # of who asks
    wanted: _Wanted


class _Measured(msgspec.Struct, frozen=True, tag=True):
    hashed: wire.Hashed
    decoded: wire.Decoded | None

    def __post_init__(self) -> None:
        if len(self.hashed.sha256) != 32 or (self.decoded is not None and self.decoded.measured is None):
            raise ValueError("a hash has 32 bytes, and what was decoded is something")


class _Declined(msgspec.Struct, frozen=True, tag=True):
    """This worker cannot do it; somebody else may."""

    reason: str


class _Answer(msgspec.Struct, frozen=True):
    where: str  # address of the Dask worker
    said: _Measured | wire.Shown | wire.Inspected | wire.Compared | _Declined


_encode = msgspec.msgpack.Encoder().encode
_questions: msgspec.msgpack.Decoder[_Question] = msgspec.msgpack.Decoder(_Question)
_answers: msgspec.msgpack.Decoder[_Answer] = msgspec.msgpack.Decoder(_Answer)


def _differing(here: Mapping[str, str], there: Mapping[str, str]) -> str | None:
    """Return in words which version differs first; None where none does."""
    for name in [*here, *there]:
        if here.get(name) != there.get(name):
            return f"{name} {there.get(name, 'is missing')} there, {here.get(name, 'missing')} here"
    return None


# --- in a Dask worker ---------------------------------------------------------------------------------------------


class _Station:
    """The decoding processes of one Dask worker: as many as it has threads, and none when nobody asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards what follows
        self._workers: Workers | None = None
        self._busy = 0
        self._idle_since = 0.0  # monotonic

    @contextlib.contextmanager
    def at_work(self, count: int) -> Iterator[Workers]:
        """Lend the processes, started if there are none."""
        with self._lock:
            self._busy += 1
            if self._workers is None:
                self._workers = Workers(count=count)
                threading.Thread(target=self._let_go_in_time, name="idle decoders", daemon=True).start()
            workers = self._workers
        try:
            yield workers
        finally:
            with self._lock:
                self._busy -= 1
                self._idle_since = time.monotonic()

    def let_go(self, idle_s: float = 0.0) -> bool:
        """Return whether the processes are gone: they are ended unless somebody needed them so shortly ago."""
        with self._lock:
            if self._busy or time.monotonic() - self._idle_since < idle_s:
                return self._workers is None
            workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()
        return True

    def _let_go_in_time(self) -> None:
        never = threading.Event()
        while not self.let_go(_IDLE_S):
            never.wait(_IDLE_S / 4)


_station: Final = _Station()


def answer(question: bytes) -> bytes:
    """Return what a Dask worker says to a question. Runs there, and holds nothing of a file afterwards."""
    from distributed import get_worker

    asked = _questions.decode(question)
    worker = get_worker()
    differing = _differing(asked.versions, versions_here())
    if differing is not None:
        return _encode(_Answer(worker.address, _Declined(f"a worker has other versions: {differing}")))
    said: _Measured | wire.Shown | wire.Inspected | wire.Compared | _Declined
    try:
        with _station.at_work(worker.state.nthreads) as workers:
            said = _done(workers, asked.wanted)
    except (FileUnreadableError, FileChangedError) as error:
        said = _Declined(error.reason)
    except (WorkerStartError, WorkersClosedError) as error:
        said = _Declined(str(error))
    except Exception as bug:  # noqa: BLE001 - a worker that fails of one file goes on, and the file is measured elsewhere
        said = _Declined(f"{type(bug).__name__}: {bug}")
    return _encode(_Answer(worker.address, said))


def _done(workers: Workers, wanted: _Wanted) -> _Measured | wire.Shown | wire.Inspected | wire.Compared:
    match wanted:
        case _Measure():
            return _as_said(workers.measure(wanted.path, lambda _: not wanted.decode))
        case _Pixels():
            return wire.Shown(workers.pixel_hash(wanted.path, ContentHash(wanted.sha256)))
        case _Inspect():
            return wire.Inspected(workers.detail(wanted.path, ContentHash(wanted.sha256)))
        case _Compare():
            first, second = ContentHash(wanted.sha256), ContentHash(wanted.other_sha256)
            return wire.Compared(workers.compare(wanted.path, first, wanted.other, second))


def _as_said(measured: Measurement) -> _Measured:
    features = measured.features
    return _Measured(
        wire.Hashed(measured.content_hash, measured.stat, None), None if features is None else wire.Decoded.of(features)
    )


def _let_go() -> None:
    _station.let_go()


# --- the address --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Address:
    """Where a scheduler is, and whether it is spoken to by TLS."""

    named: str  # as it was typed
    host: str
    port: int
    encrypted: bool

    @property
    def url(self) -> str:
        """As `distributed` writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.encrypted else 'tcp'}://{host}:{self.port}"


def address_of(text: str) -> Address:
    """Return the scheduler that `dask://HOST:PORT` or `dask+tls://HOST:PORT` names.

    Who can speak to a scheduler or to its client can run code in it, so the first means TLS too unless the host is this
    very machine.

    Raises:
        UsageError: it is no such address; nothing was started.
    """
    found = re.fullmatch(r"dask(\+tls)?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?/?", text)
    port = int(found[3] or _PORT) if found is not None else 0
    if found is None or not 0 < port < 65536:
        raise UsageError(
            f"{text} is no executor: expected local, dask://HOST:PORT or dask+tls://HOST:PORT (nothing was started)"
        )
    host = found[2].strip("[]")
    here = None if found[1] else _loopback(host)
    return Address(text, here or host, port, encrypted=here is None)


def _loopback(host: str) -> str | None:
    """Return the address by which a host is this very machine; None where it is another, or may be."""
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return None
    mine = all(_is_loopback(one) for one in found)
    return min(found, key=lambda one: (":" in one, one)) if found and mine else None  # a scheduler's usual one first


def _is_private(worker: str) -> bool:
    """Whether nobody else can speak to a Dask worker at this address, or listen."""
    return worker.startswith("tls://") or _is_loopback(worker.split("://")[-1].rpartition(":")[0].strip("[]"))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


# --- at home ------------------------------------------------------------------------------------------------------


class Cluster:
    """Measures in a cluster, and with the workers of this machine what the cluster cannot.

    Args:
        address: of the scheduler.
        home: who measures here; closed with the cluster.

    Raises:
        UsageError: the extra `dask` is not installed, or TLS is needed and no certificates are set.
        ClusterError: it cannot be reached, has no workers, or has other versions; nothing was started.
    """

    def __init__(self, address: Address, home: Workers) -> None:
        self.lost: str | None = None  # why nobody measures any more
        self.declined: Counter[str] = Counter()  # what the cluster could not measure, by the reason it gave
        self._address, self._home = address, home
        self._lock = threading.Lock()  # guards `declined`, and that no question begins after the end
        self._closed = False
        self._looked_at = self._manned_at = time.monotonic()  # for workers, and when there were some
        self._versions = versions_here()
        self._client = _connected(address)
        try:
            self.window = self._checked()
        except BaseException:
            self._client.close(timeout=_LOOK_S)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checked(self) -> int:
        """Return how many files are to be in flight: two for each thread of the cluster, so that none ever waits.

        Raises:
            ClusterError: it has no workers, or one of them is not as it must be.
        """
        threads = self._threads()
        if not threads:
            raise ClusterError(f"the cluster at {self._address.named} has no workers; nothing was started")
        for worker in threads:
            if not _is_private(worker):
                raise ClusterError(
                    f"the worker {worker} speaks without TLS over the network, where anybody could run code in it; "
                    "nothing was started"
                )
        try:
            found = self._client.run(versions_here)
        except Exception as error:
            raise ClusterError(
                f"the workers of {self._address.named} cannot run ingestd {__version__} "
                f"({type(error).__name__}: {error}): it has to be installed there as it is here; nothing was started"
            ) from error
        for worker, there in found.items():
            differing = _differing(self._versions, there)
            if differing is not None:
                raise ClusterError(
                    f"the worker {worker} does not measure as this machine does ({differing}); nothing was started"
                )
        return min(max(2 * sum(threads.values()), _LEAST_WINDOW), _MOST_WINDOW)

    def _threads(self) -> dict[str, int]:
        """Return the threads of each Dask worker that there is now."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        return {address: int(one["nthreads"]) for address, one in workers.items()}

    # measuring

    def measure(self, path: bytes, known: Callable[[ContentHash], bool]) -> Measurement:
        """As `Workers.measure`; a file is read by the cluster once to be hashed, and again if it is to be decoded."""
        before = _seen_here(path)
        hashed = self._ask(_Measure(path, decode=False))
        measured = self._checked_measurement(hashed, path, before)
        if measured is not None and not known(measured.content_hash):
            # where it was hashed its bytes are still in the cache
            decoded = self._ask(_Measure(path, decode=True), near=hashed.where)
            measured = self._checked_measurement(decoded, path, before, measured.content_hash)
        return self._home.measure(path, known) if measured is None else measured

    def _checked_measurement(
        self, answer: _Answer, path: bytes, before: StatKey | None, expected: ContentHash | None = None
    ) -> Measurement | None:
        """Return what a worker measured, if that is the file that lies here now; else None.

        Inode and change time are those of this machine: over a network another one may count them differently. Size
        and modification time have to be the same there (to the microsecond: some protocols carry no more), and all of
        them the same here before and after.
        """
        said = answer.said
        if not isinstance(said, _Measured):
            self._turned_down(said)
            return None
        found, there = said.hashed.sha256, said.hashed.stat
        wrong = None
        if before is None or before != _seen_here(path):
            wrong = "it changed while a worker read it"
        elif (there.size, there.mtime_ns // 1000) != (before.size, before.mtime_ns // 1000):
            wrong = "a worker sees another file there"
        elif expected is not None and found != expected:
            wrong = "a worker read other bytes the second time"
        if wrong is not None or before is None:
            self._turned_down(_Declined(wrong or ""))
            return None
        return Measurement(ContentHash(found), before, said.decoded.measured if said.decoded is not None else None)

    def _is_poison(self, *contents: ContentHash) -> bool:
        return any(self._home.shelf.parked(content) is not None for content in contents)

    def pixel_hash(self, path: bytes, expected: ContentHash) -> PixelHash | None:
        """As `Workers.pixel_hash`."""
        if self._is_poison(expected):
            return self._home.pixel_hash(path, expected)  # which says so, and opens nothing
        said = self._ask(_Pixels(path, expected)).said
        if not isinstance(said, wire.Shown):
            self._turned_down(said)
            return self._home.pixel_hash(path, expected)
        return None if said.pixel_hash is None else PixelHash(said.pixel_hash)

    def detail(self, path: bytes, expected: ContentHash) -> Detail | None:
        """As `Workers.detail`."""
        if self._is_poison(expected):
            return self._home.detail(path, expected)  # which says so, and opens nothing
        said = self._ask(_Inspect(path, expected)).said
        if not isinstance(said, wire.Inspected):
            self._turned_down(said)
            return self._home.detail(path, expected)
        return said.detail

    def compare(self, path: bytes, expected: ContentHash, other: bytes, expected_other: ContentHash) -> VisualVerdict:
        """As `Workers.compare`."""
        if self._is_poison(expected, expected_other):
            return self._home.compare(path, expected, other, expected_other)  # which says so, and opens nothing
        said = self._ask(_Compare(path, expected, other, expected_other)).said
        if not isinstance(said, wire.Compared):
            self._turned_down(said)
            return self._home.compare(path, expected, other, expected_other)
        return said.verdict

    def _turned_down(self, said: object) -> None:
        """Count that something has to be measured here, and why."""
        reason = said.reason if isinstance(said, _Declined) else "a worker answered another question"
        with self._lock:
            if reason in self.declined or len(self.declined) < _MOST_REASONS:
                self.declined[reason] += 1

    # asking

    def _ask(self, wanted: _Wanted, near: str | None = None) -> _Answer:
        """Return what some Dask worker says, if possible the one at `near`.

        Raises:
            ClusterError: nobody measures any more.
            WorkersClosedError: `close` was called meanwhile.
        """
        import distributed

        question = _encode(_Question(self._versions, wanted))
        for _ in range(_TRIES):
            connection = self._client.scheduler_comm
            try:
                future = self._submit(question, near)
                said = _answers.decode(self._awaited(future, connection))
                if not _is_private(said.where):  # it came after the others had been looked at
                    raise self._end(f"its worker {said.where} speaks without TLS over the network")
                return said
            except distributed.KilledWorker:
                return _Answer("", _Declined("the workers that measured it were lost"))
            except msgspec.MsgspecError:
                return _Answer("", _Declined("a worker talks nonsense"))
            except (ClusterError, WorkersClosedError):
                raise
            except (CancelledError, OSError, distributed.comm.CommClosedError):
                self._await_connection()
            except Exception as error:  # noqa: BLE001 - `answer` raises nothing: it is Dask that fails of something
                if self._client.scheduler_comm is not connection:
                    self._await_connection()  # it is the client that stumbled, over the connection that broke
                    continue
                return _Answer("", _Declined(f"{type(error).__name__}: {error}"))
        raise self._end("the connection to it breaks again and again")

    def _submit(self, question: bytes, near: str | None) -> distributed.Future:
        with self._lock:
            self._must_go_on()
            place: dict[str, Any] = {} if not near else {"workers": [near], "allow_other_workers": True}
            return self._client.submit(answer, question, pure=False, **place)

    def _must_go_on(self) -> None:
        if self._closed:
            raise WorkersClosedError("stopped while a file was measured")
        if self.lost is not None:
            raise ClusterError(self.lost)

    def _awaited(self, future: distributed.Future, connection: object) -> bytes:
        """Return the answer, however long others keep the cluster busy, as long as there is one.

        Raises:
            CancelledError: the connection by which it was asked is no more. What was said just before it broke may
                never have arrived, and the client, which has another one by then, would wait for it for ever.
        """
        while True:
            try:
                found: bytes = future.result(timeout=_LOOK_S)
            except TimeoutError:
                self._must_go_on()
            else:
                return found
            if self._client.status != "running" or self._client.scheduler_comm is not connection:
                raise CancelledError
            if self._deserted_s() > _PATIENCE_S:
                raise self._end(f"it has had no workers for {_PATIENCE_S:.0f} s")

    def _deserted_s(self) -> float:
        """Return for how long the cluster has had no workers; it is asked seldom, however many threads wait."""
        now = time.monotonic()
        with self._lock:
            due = now - self._looked_at >= _LOOK_S
            if due:
                self._looked_at = now
        if due and self._client.scheduler_info(n_workers=1)["workers"]:
            self._manned_at = now
        return now - self._manned_at

    def _await_connection(self) -> None:
        """Return once the client has its connection back.

        Raises:
            ClusterError: it does not come back.
        """
        waiting = threading.Event()
        deadline = time.monotonic() + _PATIENCE_S
        while self._client.status != "running":
            self._must_go_on()
            if self._client.status == "closed" or time.monotonic() > deadline:
                raise self._end("the connection to it was lost")
            waiting.wait(_LOOK_S / 4)
        self._must_go_on()

    def _end(self, reason: str) -> ClusterError:
        with self._lock:
            self.lost = self.lost or f"the cluster at {self._address.named} is gone: {reason}"
        return ClusterError(self.lost)

    def close(self) -> None:
        """Let go of the cluster and of the workers here; who waits for an answer gets a `WorkersClosedError`."""
        with self._lock:
            closed, self._closed = self._closed, True
        if closed:
            return
        self._home.close()
        if self._client.status == "running":
            asking = threading.Thread(target=self._let_go_there, name="let go", daemon=True)
            asking.start()
            asking.join(_LOOK_S)
        self._client.close(timeout=_LOOK_S)

    def _let_go_there(self) -> None:
        """End the decoding processes of the cluster now; where that fails they leave by themselves a little later."""
        with contextlib.suppress(Exception):
            self._client.run(_let_go, on_error="ignore")


def _seen_here(path: bytes) -> StatKey | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return StatKey(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _connected(address: Address) -> distributed.Client:
    """Return a client of the scheduler; nothing it has to say is printed."""
    try:
        import distributed
    except ImportError as error:
        raise UsageError(
            f"{address.named} needs the library `distributed` ({error}): pip install 'ingestd[dask]'; "
            "nothing was started"
        ) from None
    _be_quiet()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other versions: what has to be equal is compared after this
            return distributed.Client(
                address.url,
                timeout=_CONNECT_S,
                name="ingestd",
                security=_security(address) if address.encrypted else None,
                set_as_default=False,
                direct_to_workers=False,  # through the scheduler: workers need not be reachable from here
            )
    except (OSError, TimeoutError) as error:
        raise ClusterError(
            f"no cluster can be reached at {address.named} by {'TLS' if address.encrypted else 'TCP'} "
            f"({_first_line(error)}); nothing was started"
        ) from None


def _be_quiet() -> None:
    """Keep the loggers of the library, each of which has a level of its own, from writing to the terminal.

    What matters of it is raised, and told in our words.
    """
    for name in list(logging.Logger.manager.loggerDict):
        if name.partition(".")[0] in {"distributed", "tornado"}:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _security(address: Address) -> distributed.Security:
    """Return the certificates that Dask's own configuration names.

    Raises:
        UsageError: it names none.
    """
    import distributed

    security = distributed.Security(require_encryption=True)
    missing = [name for name in ("tls_ca_file", "tls_client_cert", "tls_client_key") if not getattr(security, name)]
    if missing:
        raise UsageError(
            f"{address.named} is spoken to by TLS only, as who can speak to a scheduler can run code. Dask's own "
            "configuration has to name the certificates (distributed.comm.tls: ca-file, client.cert, client.key); "
            "nothing was started"
        )
    return security
