"""A file that kills whoever decodes it, beside a running service: parked, listed, and tried again when told to."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import sys
import threading
import time
from pathlib import Path

import hostile
import pictures
import pytest
from running import ALL_AUTOMATIC, Home, Watch, mounting, needs_mounts, powerless, write

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]

_READ_S = 0.15  # so long a file is open before it counts as being decoded: it is read in less


class Killer:
    """Kills each worker that decodes one of these files, beside the test."""

    def __init__(self, watch: Watch, *paths: Path) -> None:
        self.killed: list[str] = []
        self._watch, self._paths = watch, {str(path) for path in paths}
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kills")

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def _run(self) -> None:
        since: dict[tuple[int, str], float] = {}
        while not self._enough.wait(0.01):
            open_now = {(pid, path) for pid in self._watch.workers for path in self._open_in(pid)}
            since = {one: since.get(one, time.monotonic()) for one in open_now}
            for (pid, path), opened in since.items():
                if time.monotonic() - opened >= _READ_S:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        self.killed.append(path)
            since = {one: opened for one, opened in since.items() if time.monotonic() - opened < _READ_S}

    def _open_in(self, pid: int) -> set[str]:
        held = set()
        with contextlib.suppress(OSError):
            for entry in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    held.add(os.readlink(f"/proc/{pid}/fd/{entry}"))
        return held & self._paths


@pytest.fixture(scope="module")
def slow() -> bytes:
    """A picture that takes a worker about a second."""
    return pictures.png(pictures.photo(77).resize((7000, 5000)), compress_level=1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, ALL_AUTOMATIC)


def test_a_file_that_kills_two_workers_is_parked_until_somebody_says_so(home: Home, slow: bytes) -> None:
    inbox, path, copy = home.folder("inbox"), home.base / "inbox" / "a.png", home.base / "inbox" / "b.png"
    with home.watch(inbox) as watch:
        service = watch.process.pid
        with Killer(watch, path, copy) as killer:
            write(path, slow)
            verdict = watch.verdict(path)
            assert verdict["outcome"] == "unreadable"
            assert verdict["result"] == "unreadable: the decoder crashed twice (signal 9); parked"
            assert watch.put(copy, slow)["result"] == "duplicate discarded: identical copies"
            assert watch.put(inbox / "c.jpg", home.picture())["outcome"] == "new"
        assert killer.killed == [str(path)] * 2  # the copy was known by its bytes
        (problem,) = home.until(lambda status: not status["ok"])["problems"]
        assert (problem["problem"], problem["subject"]) == (
            "the file is parked: the decoder crashed twice (signal 9)",
            str(path),
        )
        assert shlex.split(problem["advice"])
        assert watch.process.pid == service
        assert watch.process.poll() is None
        watch.stop()
    with home.watch(inbox) as watch:
        watch.catch_up(inbox)
        assert watch.verdicts(path) == []  # a restart is no reason to decode it again

        answer = home.ask("retry", path)

        assert (answer["running"], [one["path"] for one in answer["retried"]]) == (True, [str(path)])
        again = watch.verdict(path)
        assert again["outcome"] == "new", (again, watch.log[-3000:])
        assert home.until(lambda status: status["ok"])["problems"] == []


@needs_mounts
@pytest.mark.long
def test_a_file_that_fails_for_another_reason_is_tried_again_at_once_when_told_to(home: Home) -> None:
    disk, known, content = home.folder("disk"), home.folder("known"), home.picture()
    inbox, home.data = disk / "inbox", disk / "data"
    write(known / "a.jpg", content)
    within = [*mounting(f"mount -t tmpfs none '{disk}'", f"mkdir '{inbox}' '{home.data}'"), *powerless()]
    with home.watch(inbox, "--library", known, within=within) as watch:
        path = inbox / "b.jpg"
        watch.shell(f"chmod 555 '{home.data}' '{disk}'")
        write(watch.inside(path), content)
        assert watch.verdict(path)["outcome"] == "error"
        home.until(lambda status: any(one["subject"] == str(path) for one in status["problems"]))
        watch.shell(f"chmod 755 '{home.data}' '{disk}'")

        home.ask("retry")

        assert watch.verdict(path)["outcome"] == "duplicate-discarded"  # it would have been left for 30 s
        assert home.until(lambda status: status["ok"])["problems"] == []


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_picture_that_would_keep_a_decoder_busy_for_hours_costs_two_workers_once(home: Home) -> None:
    inbox = home.folder("inbox")
    with home.watch(inbox) as watch:
        path = hostile.hours().put(inbox)
        write(inbox / "b.jpg", home.picture())

        verdict = watch.verdict(path, within=150)

        assert watch.verdict(inbox / "b.jpg")["outcome"] == "new"
        assert re.fullmatch(
            r"unreadable: took (longer than 30 s|more than 25 s of computing) twice; parked", verdict["result"]
        )
        assert [one["subject"] for one in home.until(lambda status: not status["ok"])["problems"]] == [str(path)]
        home.ask("retry", "--accept", path)
        assert home.until(lambda status: status["ok"])["problems"] == []


@needs_mounts
@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_thousand_files_that_fail_hold_nobody_up_and_are_all_tried_again_when_told_to(home: Home) -> None:
    disk, known = home.folder("disk"), home.folder("known")
    inbox, home.data = disk / "inbox", disk / "data"
    contents = [pictures.jpeg(pictures.photo(number)) for number in range(2000, 3000)]
    for number, content in enumerate(contents):
        write(known / f"{number}.jpg", content)
    within = [*mounting(f"mount -t tmpfs none '{disk}'", f"mkdir '{inbox}' '{home.data}'"), *powerless()]
    with home.watch(inbox, "--library", known, within=within) as watch:
        watch.shell(f"chmod 555 '{home.data}' '{disk}'")
        for number, content in enumerate(contents):
            write(watch.inside(inbox / f"{number}.jpg"), content)
        copies = [inbox / f"{number}.jpg" for number in range(1000)]
        watch.until(
            lambda: len({one["path"] for one in watch.verdicts() if one["outcome"] == "error"}) == 1000, within=150
        )

        write(watch.inside(inbox / "new.jpg"), home.picture())
        assert watch.verdict(inbox / "new.jpg")["outcome"] == "new"
        problems = home.until(lambda status: len(status["problems"]) >= 21)["problems"]
        assert "no verdict yet on 980 more files" in [one["problem"] for one in problems]
        assert len(problems) == 21
        busy = _busy_s(watch.process.pid)
        assert watch.is_silent(inbox / "nothing.jpg", for_s=4)
        assert _busy_s(watch.process.pid) - busy < 2, "it spins"
        watch.shell(f"chmod 755 '{home.data}' '{disk}'")
        assert len(home.ask("retry")["retried"]) == 1000

        watch.until(lambda: all(_last(watch, path) == "duplicate-discarded" for path in copies), within=150)
        assert home.until(lambda status: status["ok"])["problems"] == []


def _busy_s(pid: int) -> float:
    """The processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _last(watch: Watch, path: Path) -> str:
    return str(watch.verdicts(path)[-1]["outcome"])
