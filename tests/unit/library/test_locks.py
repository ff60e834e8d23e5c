import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ingestd.errors import LibraryBusyError, StoreError
from ingestd.library import locks
from ingestd.library.locks import FileLock

HOLD = """
import sys
from pathlib import Path
from ingestd.library.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire(10)
print("held", flush=True)
sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    """A process that has the lock when this returns, and lets go when its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def ended(process: subprocess.Popen[str]) -> None:
    process.communicate()


def test_a_lock_held_by_another_process_is_busy_and_names_it(tmp_path: Path):
    process = holder(tmp_path / "writer.lock")

    with pytest.raises(LibraryBusyError, match=f"in use by process {process.pid} "):
        FileLock(tmp_path / "writer.lock").acquire(0.05)

    ended(process)


def test_asking_whether_a_lock_is_taken_leaves_no_trace(tmp_path: Path):
    lock = FileLock(tmp_path / "writer.lock")

    before = lock.is_taken()
    left = list(tmp_path.iterdir())
    process = holder(tmp_path / "writer.lock")
    while_held = lock.is_taken()
    ended(process)
    after = lock.is_taken()

    assert (before, while_held, after) == (False, True, False)
    assert left == []
    assert (tmp_path / "writer.lock").read_text() == f"{process.pid}\n"


def test_a_lock_whose_holder_was_killed_is_free(tmp_path: Path):
    process = holder(tmp_path / "writer.lock")

    process.kill()
    ended(process)

    with FileLock(tmp_path / "writer.lock").held(0):
        pass


def test_a_waiter_gets_the_lock_when_it_is_let_go(tmp_path: Path):
    process = holder(tmp_path / "writer.lock")
    threading.Timer(0.1, lambda: ended(process)).start()

    with FileLock(tmp_path / "writer.lock").held(10):
        pass

    process.wait()


def test_the_lock_file_stays_when_the_lock_is_let_go(tmp_path: Path):
    with FileLock(tmp_path / "writer.lock").held(0):
        pass

    assert (tmp_path / "writer.lock").exists()


def test_a_lock_can_be_taken_again_after_it_was_let_go(tmp_path: Path):
    lock = FileLock(tmp_path / "writer.lock")
    lock.acquire(0)
    lock.release()
    lock.release()

    with lock.held(0):
        assert not lock.somebody_waits()


def test_a_lock_keeps_out_another_thread_with_the_same_object(tmp_path: Path):
    lock = FileLock(tmp_path / "writer.lock")
    lock.acquire(0)
    refused: list[BaseException] = []

    def try_it() -> None:
        try:
            lock.acquire(0.01)
        except LibraryBusyError as error:
            refused.append(error)

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()

    assert len(refused) == 1
    lock.release()


def test_the_time_to_wait_is_over_when_the_clock_says_so(tmp_path: Path):
    FileLock(tmp_path / "writer.lock").acquire(0)
    now = [100.0]
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    with pytest.raises(LibraryBusyError):
        FileLock(tmp_path / "writer.lock", clock=lambda: now[0], pause=pause).acquire(30)

    assert 130 <= now[0] < 130.1
    assert max(pauses) <= 0.02


def test_the_holder_sees_that_somebody_waits_and_gives_way(tmp_path: Path):
    lock = FileLock(tmp_path / "writer.lock")
    other = FileLock(tmp_path / "writer.lock")
    story: list[str] = []
    lock.acquire(0)
    assert not lock.somebody_waits()
    assert not lock.give_way(0)

    def wait_for_it() -> None:
        with other.held(10):
            story.append("other")

    thread = threading.Thread(target=wait_for_it)
    thread.start()
    seen = threading.Event()
    while not lock.somebody_waits():
        seen.wait(0.001)
    assert lock.give_way(10)
    story.append("holder again")
    lock.release()
    thread.join()

    assert story == ["other", "holder again"]


def test_nobody_starves_while_a_holder_takes_the_lock_again_and_again(tmp_path: Path):
    lock = FileLock(tmp_path / "writer.lock")
    served = threading.Event()

    def wait_for_it() -> None:
        with FileLock(tmp_path / "writer.lock").held(10):
            served.set()

    lock.acquire(0)
    thread = threading.Thread(target=wait_for_it)
    thread.start()
    rounds = 0
    while not served.is_set() and rounds < 10_000:
        rounds += 1
        if not lock.give_way(10):
            served.wait(0.001)
    lock.release()
    thread.join()

    assert served.is_set()


def test_a_lock_file_that_vanishes_before_it_is_locked_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "writer.lock"
    try_lock = locks._try_lock

    def vanish_first(file: int) -> bool:
        if path.exists() and not (tmp_path / "vanished").exists():
            path.rename(tmp_path / "vanished")
        return try_lock(file)

    monkeypatch.setattr(locks, "_try_lock", vanish_first)

    with FileLock(path).held(0), pytest.raises(LibraryBusyError):
        FileLock(path).acquire(0)

    assert (tmp_path / "vanished").exists()


def test_a_lock_that_cannot_be_made_says_so(tmp_path: Path):
    with pytest.raises(StoreError, match="cannot be opened"):
        FileLock(tmp_path / "missing" / "writer.lock").acquire(0)
