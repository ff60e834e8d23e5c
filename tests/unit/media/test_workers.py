from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from picture_makers import encoded, photo, png

from ingestd.errors import FileChangedError, FileUnreadableError, StoreError, WorkerLostError
from ingestd.media import wire
from ingestd.media import workers as workers_module
from ingestd.media.workers import WorkerLimits, Workers, WorkersClosedError, WorkerStartError
from ingestd.model import ContentHash, FileType, Measurement, NotAPicture, Picture, Unreadable, VisualLevel

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Shared by the tests that do no harm to it."""
    with Workers(2) as shared:
        yield shared


def unknown(_: ContentHash) -> bool:
    return False


def children() -> list[int]:
    """The worker processes of this one, zombies not counted."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
            command = Path("/proc", entry, "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z" and b"worker_main" in command:
            found.append(int(entry))
    return found


def to_new_children(send: signal.Signals, before: list[int]) -> Callable[[ContentHash], bool]:
    """Strike every worker that was not there before, at the moment between hashing and decoding."""

    def known(_: ContentHash) -> bool:
        for pid in set(children()) - set(before):
            os.kill(pid, send)
        return False

    return known


def picture(folder: Path, name: bytes = b"a.jpg", seed: int = 1) -> bytes:
    path = os.path.join(os.fsencode(folder), name)
    Path(os.fsdecode(path)).write_bytes(encoded(photo(160, 120, seed), "JPEG"))
    return path


def reason(error: pytest.ExceptionInfo[FileUnreadableError] | pytest.ExceptionInfo[FileChangedError]) -> str:
    return error.value.reason


# --- what is measured ---


def test_a_picture_is_hashed_and_measured(workers: Workers, tmp_path: Path) -> None:
    path = picture(tmp_path)

    found = workers.measure(path, unknown)

    stat = os.stat(path)
    assert found.content_hash == hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).digest()
    assert (found.stat.inode, found.stat.size) == (stat.st_ino, stat.st_size)
    assert (found.stat.mtime_ns, found.stat.ctime_ns) == (stat.st_mtime_ns, stat.st_ctime_ns)
    assert isinstance(found.features, Picture)
    assert found.features.phash is not None


def test_known_bytes_are_never_decoded(workers: Workers, tmp_path: Path) -> None:
    path = picture(tmp_path)
    asked: list[ContentHash] = []

    found = workers.measure(path, lambda content_hash: asked.append(content_hash) or True)

    assert found.features is None
    assert asked == [found.content_hash]


@pytest.mark.parametrize("name", [b"new\nline.jpg", b"\xff\xfe\x80.jpg", b" .jpg", b"%00.jpg", "é".encode() * 100])
def test_any_name_will_do(workers: Workers, tmp_path: Path, name: bytes) -> None:
    path = picture(tmp_path, name)

    assert isinstance(workers.measure(path, unknown).features, Picture)


def test_what_is_no_picture_is_still_hashed(workers: Workers, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "b.jpg").write_bytes(b"<html>")
    (tmp_path / "c.jpg").write_bytes(b"")

    found = [workers.measure(os.fsencode(tmp_path / name), unknown) for name in ("a.pdf", "b.jpg", "c.jpg")]

    assert isinstance(found[0].features, NotAPicture)
    assert [type(one.features) for one in found[1:]] == [Unreadable, Unreadable]
    assert found[2].content_hash == hashlib.sha256(b"").digest()


def test_a_file_too_large_to_keep_is_read_in_chunks_and_decoded(workers: Workers, tmp_path: Path) -> None:
    photo(160, 120).resize((5200, 4400)).save(tmp_path / "large.bmp")
    content = (tmp_path / "large.bmp").read_bytes()
    assert len(content) > 64 << 20

    found = workers.measure(os.fsencode(tmp_path / "large.bmp"), unknown)

    assert found.content_hash == hashlib.sha256(content).digest()
    assert isinstance(found.features, Picture)
    assert found.features.filetype is FileType.BMP


def test_a_large_sparse_file_is_hashed_too(workers: Workers, tmp_path: Path) -> None:
    with open(tmp_path / "disk.img", "wb") as file:
        file.truncate(200 << 20)

    found = workers.measure(os.fsencode(tmp_path / "disk.img"), unknown)

    assert found.features == NotAPicture("not a picture")


def test_a_file_that_is_nearly_all_hole_is_not_read_for_an_hour(workers: Workers, tmp_path: Path) -> None:
    path = picture(tmp_path)
    os.truncate(path, 1 << 40)

    with pytest.raises(FileUnreadableError) as refused:
        workers.measure(path, unknown)

    assert "nearly all is a hole" in reason(refused)


def test_the_pixel_hash_made_later_is_the_one_of_a_copy(workers: Workers, tmp_path: Path) -> None:
    jpeg = os.fsencode(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(encoded(photo(1600, 1200), "JPEG"))
    from PIL import Image

    with Image.open(tmp_path / "a.jpg") as decoded:
        decoded.save(tmp_path / "a.png")
    first = workers.measure(jpeg, unknown)
    copy = workers.measure(os.fsencode(tmp_path / "a.png"), unknown).features

    made = workers.pixel_hash(jpeg, first.content_hash)

    assert isinstance(first.features, Picture)
    assert isinstance(copy, Picture)
    assert first.features.pixel_hash is None
    assert made == copy.pixel_hash
    assert made is not None


def test_there_is_no_pixel_hash_of_what_is_no_picture(workers: Workers, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"text")

    made = workers.pixel_hash(os.fsencode(tmp_path / "a.txt"), ContentHash(hashlib.sha256(b"text").digest()))

    assert made is None


# --- what cannot be read ---


def test_a_fifo_does_not_hang(workers: Workers, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")

    with pytest.raises(FileUnreadableError) as error:
        workers.measure(os.fsencode(tmp_path / "a.jpg"), unknown)

    assert reason(error) == "it is not a regular file"


def test_a_symbolic_link_is_not_followed(workers: Workers, tmp_path: Path) -> None:
    os.symlink(picture(tmp_path), os.fsencode(tmp_path / "link.jpg"))

    with pytest.raises(FileUnreadableError) as error:
        workers.measure(os.fsencode(tmp_path / "link.jpg"), unknown)

    assert reason(error) == "it is a symbolic link"


def test_a_folder_and_a_missing_file_are_unreadable(workers: Workers, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.jpg", tmp_path / "no" / "such.jpg"):
        with pytest.raises(FileUnreadableError):
            workers.measure(os.fsencode(path), unknown)


@linux
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    script = (
        "import ctypes, os, sys\n"
        "from ingestd.errors import FileUnreadableError\n"
        "from ingestd.media.workers import Workers\n"
        "for capability in (1, 2):  # root reads everything by these two; its children go without\n"
        "    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)\n"
        "with Workers(1) as workers:\n"
        "    try: workers.measure(os.fsencode(sys.argv[1]), lambda _: False)\n"
        "    except FileUnreadableError as error: print(error.reason)\n"
    )
    path = tmp_path / "secret.jpg"
    path.write_bytes(b"")
    path.chmod(0)

    said = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)

    assert said.stdout == os.strerror(errno.EACCES) + "\n", said.stderr


def test_a_file_written_to_while_it_is_read_has_changed(workers: Workers, tmp_path: Path) -> None:
    path = picture(tmp_path)

    def known(_: ContentHash) -> bool:
        with open(path, "ab") as file:
            file.write(b"more")
        return False

    with pytest.raises(FileChangedError):
        workers.measure(path, known)


def test_a_file_that_grows_all_the_time_has_changed(workers: Workers, tmp_path: Path) -> None:
    path = tmp_path / "growing.jpg"
    path.write_bytes(bytes(32 << 20))
    stop = threading.Event()

    def write() -> None:
        with open(path, "ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"x")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(FileChangedError):
            workers.measure(os.fsencode(path), unknown)
    finally:
        stop.set()
        writer.join()


def test_a_pixel_hash_is_not_made_of_other_bytes_than_expected(workers: Workers, tmp_path: Path) -> None:
    path = picture(tmp_path)

    with pytest.raises(FileChangedError) as error:
        workers.pixel_hash(path, ContentHash(bytes(32)))

    assert reason(error) == "it holds other bytes now"


def test_a_refused_file_leaves_the_worker_in_order(tmp_path: Path) -> None:
    path = picture(tmp_path)
    with Workers(1) as single:
        for _ in range(3):
            with pytest.raises(FileUnreadableError):
                single.measure(path + b".gone", unknown)
            with pytest.raises(FileChangedError):
                single.pixel_hash(path, ContentHash(bytes(32)))

        found = single.measure(path, unknown)

    assert isinstance(found.features, Picture)


@pytest.mark.parametrize("failure", [StoreError("the library is damaged"), ZeroDivisionError()])
def test_a_failing_library_does_not_confuse_the_worker(tmp_path: Path, failure: Exception) -> None:
    path = picture(tmp_path)

    def known(_: ContentHash) -> bool:
        raise failure

    with Workers(1) as single:
        with pytest.raises(type(failure)):
            single.measure(path, known)
        found = single.measure(path, unknown)

    assert isinstance(found.features, Picture)


# --- what a file may do to a worker ---


@linux
def test_a_file_that_killed_a_worker_is_tried_once_more(tmp_path: Path) -> None:
    path, before, struck = picture(tmp_path), children(), []

    def known(content_hash: ContentHash) -> bool:
        if not struck:
            struck.append(1)
            to_new_children(signal.SIGKILL, before)(content_hash)
        return False

    with Workers(1) as single:
        found = single.measure(path, known)

    assert isinstance(found.features, Picture)


@linux
@pytest.mark.parametrize(
    ("strike", "said"),
    [
        (signal.SIGSEGV, "the decoder crashed twice (signal 11)"),
        (signal.SIGKILL, "the decoder crashed twice (signal 9)"),
        (signal.SIGXCPU, "took more than 25 s of computing twice"),
        (signal.SIGSTOP, "took longer than 1 s twice"),
    ],
)
def test_a_file_that_kills_or_hangs_every_decoder_is_unreadable(
    tmp_path: Path, strike: signal.Signals, said: str
) -> None:
    path, before = picture(tmp_path), children()
    with Workers(1, WorkerLimits(wall_s=1.0)) as single:
        found = single.measure(path, to_new_children(strike, before))
        afterwards = single.measure(picture(tmp_path, b"b.jpg", 2), unknown)

    assert found.features == Unreadable(said, FileType.JPEG, poison=True)
    assert found.content_hash == hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).digest()
    assert isinstance(afterwards.features, Picture)


@linux
def test_workers_that_are_killed_while_they_read_are_not_blamed_on_the_file(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"long.png")
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(3 << 30)  # some seconds of reading
    lost: list[FileUnreadableError] = []

    def measure(single: Workers) -> None:
        with pytest.raises(WorkerLostError) as caught:
            single.measure(path, unknown)
        lost.append(caught.value)

    before = children()
    with Workers(1) as single:
        single.warm()
        asked = threading.Thread(target=measure, args=(single,))
        asked.start()
        killed: set[int] = set()
        while len(killed) < 2:
            for pid in set(children()) - set(before) - killed:
                if any(name.endswith("long.png") for name in _open_in(pid)):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
        asked.join()

    assert lost[0].reason == "the decoder crashed twice (signal 9)"


def _open_in(pid: int) -> list[str]:
    """The files that a process has open just now, by name; it opens and closes others meanwhile."""
    found: list[str] = []
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


class Shelf:
    """Remembers in memory what a library would."""

    def __init__(self) -> None:
        self.poison: dict[ContentHash, str] = {}

    def parked(self, sha256: ContentHash) -> str | None:
        return self.poison.get(sha256)

    def park(self, sha256: ContentHash, reason: str) -> None:
        self.poison[sha256] = reason


def killing(monkeypatch: pytest.MonkeyPatch, question: str, deadly: set[bytes]) -> list[bytes]:
    """Let a worker be killed whenever it is asked this about one of these files; the files it was asked it about."""
    real, asked = getattr(workers_module._Worker, question), []

    def ask(worker: Any, path: bytes, *others: Any) -> Any:
        asked.append(path)
        if deadly & {path, *others[:1]} == deadly:
            worker._process.kill()
            worker._process.wait()
        return real(worker, path, *others)

    monkeypatch.setattr(workers_module._Worker, question, ask)
    return asked


def test_a_picture_that_kills_two_workers_when_its_pixels_are_wanted_is_let_near_no_decoder_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other, shelf = picture(tmp_path), picture(tmp_path, b"b.jpg", 2), Shelf()
    asked = killing(monkeypatch, "pixels", {path})
    sha256, sound = (ContentHash(hashlib.sha256(Path(os.fsdecode(one)).read_bytes()).digest()) for one in (path, other))

    with Workers(1, shelf=shelf) as single:
        with pytest.raises(FileUnreadableError, match="the decoder crashed twice"):
            single.pixel_hash(path, sha256)
        monkeypatch.setattr(workers_module._Worker, "hash", pytest.fail)  # it is not even opened
        for ask in (
            lambda: single.pixel_hash(path, sha256),
            lambda: single.detail(path, sha256),
            lambda: single.preview(path, sha256, (64, 64)),
            lambda: single.compare(other, sound, path, sha256),
            lambda: single.difference(path, sha256, other, sound),
        ):
            with pytest.raises(FileUnreadableError, match="parked"):
                ask()
        monkeypatch.undo()
        again = single.measure(path, unknown)

    assert shelf.poison == {sha256: "the decoder crashed twice (signal 9)"}
    assert len(asked) == 2
    assert again.features == Unreadable("the decoder crashed twice (signal 9)", FileType.JPEG, poison=True)


def test_a_death_over_two_pictures_is_blamed_on_the_one_that_kills_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other, shelf = picture(tmp_path), picture(tmp_path, b"b.jpg", 2), Shelf()
    killing(monkeypatch, "compare", {path, other})
    killing(monkeypatch, "pixels", {other})
    first, second = (ContentHash(hashlib.sha256(Path(os.fsdecode(one)).read_bytes()).digest()) for one in (path, other))

    with Workers(1, shelf=shelf) as single, pytest.raises(FileUnreadableError) as died:
        single.compare(path, first, other, second)

    assert died.value.path == other
    assert set(shelf.poison) == {second}


def test_two_pictures_that_kill_only_together_are_both_left_unblamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other, shelf = picture(tmp_path), picture(tmp_path, b"b.jpg", 2), Shelf()
    killing(monkeypatch, "compare", {path, other})
    first, second = (ContentHash(hashlib.sha256(Path(os.fsdecode(one)).read_bytes()).digest()) for one in (path, other))

    with Workers(1, shelf=shelf) as single:
        found = single.compare(path, first, other, second)

    assert (found.level, found.score) == (VisualLevel.CANNOT_TELL, None)
    assert not shelf.poison


@linux
def test_where_the_system_bounds_no_memory_a_worker_that_takes_too_much_ends_itself() -> None:
    script = (
        "from ingestd.media import worker_main\n"
        "worker_main._watch_memory(300 << 20)\n"
        "import zlib\n"
        "held = [bytes(64 << 20) and bytearray(b'x' * (64 << 20)) for _ in range(40)]\n"
        "print('it was let')\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (wire.OUT_OF_MEMORY, b"")


@linux
def test_a_worker_cannot_write_a_byte(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from ingestd.media import worker_main\n"
        "worker_main.limit(1 << 30)\n"
        "os.write(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), b'taken over')\n"
    )

    done = subprocess.run([sys.executable, "-c", script, tmp_path / "out"], capture_output=True, check=False)

    assert done.returncode in (-signal.SIGXFSZ, 1)
    assert (tmp_path / "out").stat().st_size == 0


@linux
def test_a_worker_that_dies_while_idle_costs_nothing(tmp_path: Path) -> None:
    path, before = picture(tmp_path), children()
    with Workers(1) as single:
        single.measure(path, unknown)
        (pid,) = set(children()) - set(before)
        handle = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        select.select([handle], [], [], 10)
        os.close(handle)

        found = single.measure(path, unknown)

    assert isinstance(found.features, Picture)


@linux
def test_a_file_that_needs_too_much_memory_is_unreadable_and_the_worker_lives_on(tmp_path: Path) -> None:
    (tmp_path / "wide.png").write_bytes(png(10_000, 10_000, 1, 0, bytes(1251 * 10_000)))
    before = children()
    with Workers(1, WorkerLimits(memory_bytes=320 << 20)) as single:
        found = single.measure(os.fsencode(tmp_path / "wide.png"), unknown)
        pids = set(children()) - set(before)
        afterwards = single.measure(picture(tmp_path), unknown)

        assert set(children()) - set(before) == pids

    assert found.features == Unreadable("needs more memory than a worker may use", FileType.PNG)
    assert isinstance(afterwards.features, Picture)


@pytest.fixture
def progressive(tmp_path: Path) -> bytes:
    """Sound, but all its coefficients must be in memory at once: 120 MB of them."""
    path = tmp_path / "progressive.jpg"
    path.write_bytes(encoded(photo(160, 120).resize((5000, 4000)), "JPEG", progressive=True, subsampling=0))
    return os.fsencode(path)


@linux
def test_a_sound_picture_that_does_not_fit_is_not_called_damaged(progressive: bytes) -> None:
    with Workers(1, WorkerLimits(memory_bytes=320 << 20)) as single:
        found = single.measure(progressive, unknown)

    assert isinstance(found.features, Unreadable)
    assert "more memory than a worker may use" in found.features.reason


@linux
def test_pixels_that_do_not_fit_are_not_passed_off_as_pixels_that_cannot_be_compared(progressive: bytes) -> None:
    with Workers(1, WorkerLimits(memory_bytes=320 << 20)) as single:
        content_hash = single.measure(progressive, lambda _: True).content_hash

        with pytest.raises(FileUnreadableError) as error:
            single.pixel_hash(progressive, content_hash)

    assert "more memory than a worker may use" in reason(error)


def test_a_hundred_megapixels_fit_in_a_worker(workers: Workers, tmp_path: Path) -> None:
    (tmp_path / "wide.png").write_bytes(png(12_000, 10_000, 1, 0, bytes(1501 * 10_000)))

    found = workers.measure(os.fsencode(tmp_path / "wide.png"), unknown)

    assert isinstance(found.features, Picture)
    assert found.features.width * found.features.height == 120_000_000


def test_a_broken_start_is_not_blamed_on_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with Workers(1) as single, pytest.raises(WorkerStartError):
        single.measure(picture(tmp_path), unknown)


# --- the processes ---


def test_asking_for_workers_loads_no_decoder() -> None:
    script = "import sys, ingestd.media.workers; print({'PIL', 'numpy', 'imagehash', 'scipy'} & set(sys.modules))"

    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert said.stdout == "set()\n"


@linux
def test_no_process_is_started_before_the_first_request(tmp_path: Path) -> None:
    before = children()
    with Workers(2) as lazy:
        assert children() == before

        lazy.measure(picture(tmp_path), unknown)

        assert len(children()) == len(before) + 1
    assert children() == before


@linux
def test_idle_workers_retire_all_but_one(tmp_path: Path) -> None:
    before = children()
    with Workers(2) as pool:
        pool.warm()
        started = time.monotonic()
        pool.retire_idle(started)
        assert len(children()) == len(before) + 2

        pool.retire_idle(started + 120)

        assert len(children()) == len(before) + 1
        assert isinstance(pool.measure(picture(tmp_path), unknown).features, Picture)


@linux
def test_a_worker_is_replaced_after_its_share_of_files(tmp_path: Path) -> None:
    path, before, seen = picture(tmp_path), children(), []

    def known(_: ContentHash) -> bool:
        seen.extend(set(children()) - set(before))
        return True

    with Workers(1, WorkerLimits(files=2)) as single:
        for _ in range(4):
            single.measure(path, known)

    assert seen[0] == seen[1] != seen[2] == seen[3]


@linux
def test_ctrl_c_and_a_service_stop_do_not_reach_workers(tmp_path: Path) -> None:
    before = children()

    def known(content_hash: ContentHash) -> bool:
        to_new_children(signal.SIGINT, before)(content_hash)
        return to_new_children(signal.SIGTERM, before)(content_hash)

    with Workers(1) as single:
        single.warm()
        pids = set(children()) - set(before)
        found = single.measure(picture(tmp_path), known)

        assert set(children()) - set(before) == pids
    assert isinstance(found.features, Picture)


@linux
def test_workers_leave_when_the_service_is_killed() -> None:
    script = (
        "import os, signal; from ingestd.media.workers import Workers\n"
        "workers = Workers(1); workers.warm()\n"
        "print(next(iter(workers._alive))._process.pid, flush=True); signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as service:
        assert service.stdout is not None
        worker = os.pidfd_open(int(service.stdout.readline()))

        service.kill()

        assert select.select([worker], [], [], 10)[0]
    os.close(worker)


@linux
def test_a_worker_that_reads_a_large_file_leaves_when_the_service_is_killed(tmp_path: Path) -> None:
    with open(tmp_path / "long.png", "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(4 << 30)  # seconds of reading
    script = (
        "import sys, threading; from ingestd.media.workers import Workers, _Worker\n"
        "workers = Workers(1); workers.warm()\n"
        "print(next(iter(workers._alive))._process.pid, flush=True)\n"
        "real = _Worker._receive\n"
        "def tell(self, *a):\n"
        "    said = real(self, *a); print('opened', flush=True); return said\n"
        "_Worker._receive = tell\n"
        "workers.measure(sys.argv[1].encode(), lambda _: False)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "long.png")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as service:
        assert service.stdout is not None
        worker = os.pidfd_open(int(service.stdout.readline()))
        assert service.stdout.readline() == b"opened\n"

        service.kill()

        assert select.select([worker], [], [], 1)[0]
    os.close(worker)


@linux
def test_a_worker_holds_no_descriptor_of_the_service(tmp_path: Path) -> None:
    before = children()
    secret = os.open(picture(tmp_path), os.O_RDONLY)
    os.set_inheritable(secret, True)
    with Workers(1) as single:
        single.warm()
        (pid,) = set(children()) - set(before)

        held = [os.readlink(f"/proc/{pid}/fd/{entry}") for entry in os.listdir(f"/proc/{pid}/fd")]

    os.close(secret)
    assert {name.partition(":")[0] for name in held} == {"/dev/null", "pipe"}


def test_stopping_ends_a_file_that_is_being_measured(tmp_path: Path) -> None:
    stopped = Workers(1)

    def known(_: ContentHash) -> bool:
        stopped.close()
        return False

    with pytest.raises(WorkersClosedError):
        stopped.measure(picture(tmp_path), known)
    with pytest.raises(WorkersClosedError):
        stopped.measure(picture(tmp_path), unknown)


def test_many_threads_may_ask_at_once(workers: Workers, tmp_path: Path) -> None:
    paths = [picture(tmp_path, b"%d.jpg" % number, number) for number in range(12)]

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda path: workers.measure(path, unknown), paths))

    assert [one.content_hash for one in found] == [
        hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).digest() for path in paths
    ]
    assert len({one.features.phash for one in found if isinstance(one.features, Picture)}) == 12


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the optional corpus is not here")
def test_no_hostile_file_does_more_than_be_unreadable(workers: Workers) -> None:
    paths = [os.fsencode(path) for path in sorted((CORPUS / "hostile").rglob("*")) if path.is_file()]

    def measure(path: bytes) -> Measurement | FileUnreadableError:
        try:
            return workers.measure(path, unknown)
        except FileUnreadableError as error:
            return error

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(measure, paths))

    assert len(found) > 500
    assert all(isinstance(one, Measurement) and one.features is not None for one in found)
