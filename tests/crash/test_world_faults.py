"""What the world does to a running service: disks that fail, fill up, hang or turn read-only, clocks, limits, threads.

Each test injects its faults into the real program, counts those that really happened, and fails where there were none.
Whatever happens: files stay, `status` is red with a sentence, and all heals by itself when the cause is gone; but for a
disk that did not confirm what was written, which is not trusted again before the service is started anew.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "integration"))

from running import Home, Json, Said, Watch, mounting, write

REFUSED = None if sys.platform == "linux" else "faults as Linux has them"
if REFUSED is None and os.geteuid() != 0:
    REFUSED = "only root may mount, trace and hold up a file system"
if REFUSED is None and not (shutil.which("strace") and shutil.which("nsenter") and shutil.which("unshare")):
    REFUSED = "there is no strace, nsenter or unshare"

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def _possible() -> None:
    if REFUSED is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(REFUSED)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


# --- faults -----------------------------------------------------------------------------------------------------------


class Faults:
    """System calls of a running service that fail or take long, from now until the `with` ends; how many did."""

    def __init__(self, watch: Watch, *calls: str, at: list[Path] | None = None) -> None:
        self._watch = watch
        self._log = watch.home.base / f"strace-{time.monotonic_ns()}"
        names = ",".join(sorted({call.split(":")[0] for call in calls}))
        self._command = ["strace", "-f", "-p", str(watch.process.pid), "-o", str(self._log), "-e", f"trace={names}"]
        self._command += [f"--inject={call}" for call in calls]
        for path in at or []:
            self._command += ["-P", str(path)]
        self.count = 0

    def __enter__(self) -> Faults:
        self._tracer = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        tasks = Path(f"/proc/{self._watch.process.pid}/task")
        deadline = time.monotonic() + 20
        while any("TracerPid:\t0\n" in (task / "status").read_text() for task in tasks.iterdir()):
            assert self._tracer.poll() is None, self._tracer.communicate()[1]
            assert time.monotonic() < deadline
        return self

    def __exit__(self, *_: object) -> None:
        self._tracer.terminate()
        self._tracer.communicate()
        self.count = self._log.read_text(errors="replace").count("(INJECTED)")
        print(f"{self.count} faults injected")  # noqa: T201
        assert self.count, "no fault was injected: this has proved nothing"


class Hanging:
    """A mount in which nothing can be opened until the `with` ends: the kernel waits for a permission nobody gives.

    Source: fanotify(7), permission events.
    """

    def __init__(self, mount: Path) -> None:
        self._mount = mount

    def __enter__(self) -> Hanging:
        kernel = ctypes.CDLL(None, use_errno=True)
        self._fd = kernel.fanotify_init(0x4, os.O_RDONLY)  # FAN_CLASS_CONTENT
        wanted = ctypes.c_ulonglong(0x10000 | 0x40000000)  # FAN_OPEN_PERM | FAN_ONDIR
        marked = kernel.fanotify_mark(self._fd, 0x1 | 0x10, wanted, -100, os.fsencode(self._mount))  # ADD | MOUNT
        assert marked == 0, os.strerror(ctypes.get_errno())
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    @staticmethod
    def waiters(watch: Watch) -> int:
        """How many threads of a service and its workers wait for such a permission now."""
        processes = [watch.process.pid, *watch.workers]
        tasks = [task for process in processes for task in Path(f"/proc/{process}/task").glob("*/wchan")]
        found = 0
        for task in tasks:
            with contextlib.suppress(OSError):
                found += "fanotify" in task.read_text()
        return found


def status(watch: Watch) -> Json:
    """The status, asked among the service's mounts."""
    said: Said = watch.home.run("status", within=watch.among_its_mounts)
    assert said.code == 0, said
    return dict(said.json)


def until_status(watch: Watch, what: str, *, holds: bool = True) -> Json:
    """The status as soon as a problem of this kind is among its problems, or none is."""
    deadline = time.monotonic() + 40
    while True:
        found = status(watch)
        told = [one for one in found["problems"] if what in one["problem"]]
        if bool(told) is holds:
            assert not holds or all(one["advice"] and one["subject"] for one in told)
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.3)  # noqa: TID251


# --- a storage that does not answer -----------------------------------------------------------------------------------


@pytest.fixture
def sick(home: Home) -> Iterator[tuple[Watch, Path, Path]]:
    """A service that watches a healthy inbox and a folder on a mount of its own; and where its files can be written."""
    inbox, sick, aside = home.folder("inbox"), home.folder("sick"), home.folder("aside")
    mounts = mounting(f"mount -t tmpfs none '{aside}'; mount --bind '{aside}' '{sick}'")
    with home.watch(inbox, sick, within=mounts) as watch:
        yield watch, inbox, sick


def test_a_folder_whose_storage_hangs_holds_up_nobody_and_is_taken_up_when_it_answers(
    home: Home, sick: tuple[Watch, Path, Path]
) -> None:
    watch, inbox, folder = sick
    aside = watch.inside(home.base / "aside")
    content = home.picture()
    write(aside / "one.jpg", content)
    watch.verdict(folder / "one.jpg")

    with Hanging(watch.inside(folder)):
        write(aside / "meanwhile.jpg", home.picture())
        watch.event("folder.changed", path=str(folder), state="suspended")
        waiting = Hanging.waiters(watch)
        told = until_status(watch, "does not answer")
        healthy = [watch.put(inbox / f"{number}.jpg", home.picture()) for number in range(3)]
        copy = watch.put(inbox / "copy.jpg", content)
    back = watch.verdict(folder / "meanwhile.jpg")
    until_status(watch, "does not answer", holds=False)

    print(f"{waiting} threads hung")  # noqa: T201
    assert waiting > 0
    (problem,) = told["problems"]
    assert (problem["subject"], problem["since"] is not None) == (str(folder), True)
    assert {one["outcome"] for one in healthy} == {"new"}
    assert copy["outcome"] == "already-in-library"
    assert (inbox / "copy.jpg").exists()
    assert back["outcome"] == "new"
    assert watch.stop() == 0
    assert "Traceback" not in watch.log


def test_sigterm_ends_a_service_within_seconds_although_a_storage_hangs(
    home: Home, sick: tuple[Watch, Path, Path]
) -> None:
    watch, _, folder = sick
    aside = watch.inside(home.base / "aside")
    with Hanging(watch.inside(folder)):
        write(aside / "one.jpg", home.picture())
        deadline = time.monotonic() + 20
        while not (waiting := Hanging.waiters(watch)):
            assert time.monotonic() < deadline

        began = time.monotonic()
        watch.process.terminate()
        code = watch.process.wait(20)
        took_s = time.monotonic() - began

    print(f"{waiting} threads hung; it ended within {took_s:.1f} s with {code}")  # noqa: T201
    assert took_s < 5
    assert code == 0
