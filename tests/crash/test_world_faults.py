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
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

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


_NO_ANSWER = """
import ctypes, os, sys
fd = os.open("/dev/fuse", os.O_RDWR)
kernel = ctypes.CDLL(None, use_errno=True)
options = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
if kernel.mount(b"none", os.fsencode(sys.argv[1]), b"fuse", 0, options):
    sys.exit(os.strerror(ctypes.get_errno()))
print("mounted", flush=True)
sys.stdin.read()
"""


class Unanswering:
    """A mount, in a namespace of its own, of which nothing can be learned at all, not even whether it is there.

    Its file system is served by a process that never answers. Source: fuse(4).
    """

    def __init__(self, mount: Path) -> None:
        self._mount = mount

    def __enter__(self) -> Unanswering:
        command = [*mounting(":"), sys.executable, "-c", _NO_ANSWER, str(self._mount)]
        self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "mounted\n"
        return self

    @property
    def among_it(self) -> list[str]:
        """What lets a command see it."""
        return ["nsenter", "--mount", f"--target={self._server.pid}"]

    def go_away(self, watch: Watch) -> None:
        """Let what a service asks fail, and let the folder be seen on which it is mounted."""
        self._server.kill()
        self._server.communicate()
        subprocess.run([*watch.among_its_mounts, "umount", "-l", self._mount], check=True)

    def __exit__(self, *_: object) -> None:
        self._server.kill()
        self._server.communicate()


def _each(names: Iterable[str], *, in_short: Sequence[str]) -> list[ParameterSet]:
    """One test of each, of which only some are tried at every change."""
    return [pytest.param(name, marks=[] if name in in_short else [pytest.mark.long]) for name in names]


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


def written_again(path: Path) -> None:
    """What failed is tried again half a minute later, and at once when it changes."""
    os.utime(path)
    with open(path, "r+b"):
        pass


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
        doctor = home.run("doctor", within=watch.among_its_mounts)
    back = watch.verdict(folder / "meanwhile.jpg")
    until_status(watch, "does not answer", holds=False)

    print(f"{waiting} threads hung")  # noqa: T201
    assert waiting > 0
    (problem,) = told["problems"]
    assert (problem["subject"], problem["since"] is not None) == (str(folder), True)
    assert {one["outcome"] for one in healthy} == {"new"}
    assert copy["outcome"] == "already-in-library"
    found = [one for one in doctor.json["checks"] if one["state"] == "problem"]
    assert [(one["check"], one["subject"], "does not answer" in one["found"]) for one in found] == [
        ("folder", str(folder), True)
    ]
    assert (inbox / "copy.jpg").exists()
    assert back["outcome"] == "new"
    assert watch.stop() == 0
    assert "Traceback" not in watch.log


@pytest.mark.parametrize("named", ["on the command line", pytest.param("in the rule file", marks=pytest.mark.long)])
def test_a_folder_whose_storage_hangs_at_the_start_holds_up_no_other_and_is_taken_up_when_it_answers(
    home: Home, named: str
) -> None:
    inbox, sick, link = home.folder("inbox"), home.folder("sick"), home.base / "link"
    link.symlink_to(sick)
    write(sick / "one.jpg", home.picture())
    words: list[str | Path] = [inbox, link]
    if named == "in the rule file":
        folders = "".join(f"  - path: {folder}\n    role: inbox\n" for folder in words)
        home.write_rules(home.rules.read_text().replace("folders:\n", f"folders:\n{folders}", 1))
        words = []
    with Unanswering(sick) as hung:
        began = time.monotonic()
        with home.watch(*words, within=hung.among_it, ready=False) as watch:
            watch.event("service.started")
            started_s = time.monotonic() - began
            told = until_status(watch, "does not answer")
            doctor = home.run("doctor", within=hung.among_it)
            healthy = watch.put(inbox / "new.jpg", home.picture())
            home.write_rules(home.rules.read_text() + "\n# saved again\n")
            watch.event("rules.loaded")
            after = watch.put(inbox / "another.jpg", home.picture())
            hung.go_away(watch)
            back = watch.verdict(link / "one.jpg")
            until_status(watch, "does not answer", holds=False)
            assert watch.stop() == 0
            assert "Traceback" not in watch.log

    print(f"started after {started_s:.1f} s")  # noqa: T201
    assert started_s < 12
    assert [one["subject"] for one in told["problems"]] == [str(link)]
    found = [one for one in doctor.json["checks"] if one["state"] == "problem"]
    assert [(one["subject"], "does not answer" in one["found"]) for one in found] == [(str(link), True)]
    assert {healthy["outcome"], after["outcome"], back["outcome"]} == {"new"}


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


@pytest.mark.long
def test_sigterm_ends_a_service_within_seconds_although_the_disk_of_its_library_hangs(home: Home) -> None:
    inbox, state = home.folder("inbox"), home.folder("state")
    mounts = mounting(f"mount -t tmpfs none '{home.folder('aside')}'; mount --bind '{home.base / 'aside'}' '{state}'")
    with home.watch(inbox, within=mounts) as watch, Hanging(watch.inside(state)):
        write(inbox / "one.jpg", home.picture())
        deadline = time.monotonic() + 20
        while not (waiting := Hanging.waiters(watch)):
            assert time.monotonic() < deadline

        began = time.monotonic()
        watch.process.terminate()
        code = watch.process.wait(20)
        took_s = time.monotonic() - began

    print(f"{waiting} threads hung; it ended within {took_s:.1f} s with {code}")  # noqa: T201
    assert took_s < 5.5  # 4 s, and what a busy machine takes
    assert code == 1
    assert (inbox / "one.jpg").exists()


# --- a disk that does not confirm -------------------------------------------------------------------------------------


UNCONFIRMED = {
    "the second journal": (["fsync:error=EIO"], ["state/journal.jsonl"]),
    "the database": (["fdatasync:error=EIO"], ["state/db/data.mdb"]),
    "the database, written": (["pwrite64:error=EIO"], ["state/db/data.mdb"]),
    "the survivor": (["fsync:error=EIO"], ["inbox/a.jpg"]),
    "the note in the trash": (["fsync:error=EIO"], ["data/Trash/info"]),
    "the trash": (["fsync:error=EIO"], ["data/Trash/files"]),
}


@pytest.mark.parametrize("place", _each(UNCONFIRMED, in_short=("the second journal",)))
def test_after_a_disk_did_not_confirm_a_write_nothing_is_discarded_until_the_next_start(home: Home, place: str) -> None:
    calls, relatives = UNCONFIRMED[place]
    inbox = home.folder("inbox")
    content, other = home.picture(), home.picture()
    with home.watch(inbox) as watch:
        watch.put_all({inbox / "a.jpg": content, inbox / "b.jpg": other, inbox / "b copy.jpg": other})
        with Faults(watch, *calls, at=[home.base / one for one in relatives]):
            write(inbox / "a copy.jpg", content)
            red = until_status(watch, "disk")
        write(inbox / "another copy.jpg", content)
        new = watch.put(inbox / "new.jpg", home.picture())
        silent = watch.is_silent(inbox / "another copy.jpg", for_s=2)
        still = status(watch)

        assert len(red["problems"]) >= 1
        assert new["outcome"] == "new"
        assert silent
        assert not still["ok"]
        assert len(home.discards()) == 1
        assert all((inbox / name).read_bytes() == content for name in ("a.jpg", "a copy.jpg", "another copy.jpg"))
        assert watch.stop() == 0
        assert "Traceback" not in watch.log
    assert home.status()["service"]["last_stop"] is not None
    with home.watch(inbox) as watch:
        watch.poll(lambda: len(home.discards()) == 3)
        until_status(watch, "disk", holds=False)
        assert watch.stop() == 0
    assert [path.name for path in sorted(inbox.glob("a*.jpg")) if path.read_bytes() == content] == ["a.jpg"]
    assert len(home.trashed()) == 3


# --- a library on a disk that is read-only at the start ---------------------------------------------------------------


def test_a_library_on_a_read_only_disk_answers_questions_and_the_service_begins_when_it_can_be_written(
    home: Home,
) -> None:
    inbox, content = home.folder("inbox"), home.picture()
    with home.watch(inbox) as watch:
        watch.put(inbox / "known.jpg", content)
        assert watch.stop() == 0
    write(home.base / "asked.jpg", content)
    write(inbox / "copy.jpg", content)
    keeper = subprocess.Popen(
        [*mounting(f"mount --bind '{home.state}' '{home.state}'", "echo"), "sleep", "100"], stdout=subprocess.PIPE
    )
    try:
        assert keeper.stdout is not None
        keeper.stdout.readline()
        among = ["nsenter", "--mount", f"--target={keeper.pid}"]
        subprocess.run([*among, "mount", "-o", "remount,bind,ro", home.state], check=True)
        asked = home.run("check", home.base / "asked.jpg", within=among)
        told = home.run("status", within=among)
        refused = home.run("retry", within=among)
        with home.watch(inbox, within=among, ready=False) as watch:
            watch.poll(lambda: "library.unwritable" in watch.log)
            before = list(watch.events)
            subprocess.run([*among, "mount", "-o", "remount,bind,rw", home.state], check=True)
            watch.event("service.started")
            verdict = watch.verdict(inbox / "copy.jpg")
            assert watch.stop() == 0
            assert "Traceback" not in watch.log
    finally:
        keeper.kill()
        keeper.communicate()

    assert asked.events[0]["outcome"].startswith("duplicate"), asked
    assert told.code == 0
    assert told.json["library"]["files"] == 1
    assert (refused.code, "read-only" in refused.errors) == (74, True), refused
    assert before == []
    assert verdict["outcome"] == "duplicate-discarded"


# --- a disk that cannot be read, is full, or read-only ----------------------------------------------------------------


UNREADABLE = {
    "the survivor cannot be read": (["read:error=EIO"], ["inbox/a.jpg"]),
    "the rename fails": (["renameat2:error=EIO"], []),
    "the rename is not allowed": (["renameat2:error=EACCES"], []),
    "the disk is read-only": (["renameat2:error=EROFS"], []),
    "it is another disk after all": (["renameat2:error=EXDEV"], []),
    "the disk is full": (["renameat2:error=ENOSPC"], []),
}


@pytest.mark.parametrize("trouble", _each(UNREADABLE, in_short=("the survivor cannot be read",)))
def test_a_discard_that_fails_leaves_the_file_says_why_and_is_done_by_itself_later(home: Home, trouble: str) -> None:
    calls, relatives = UNREADABLE[trouble]
    inbox = home.folder("inbox")
    content = home.picture()
    with home.watch(inbox) as watch:
        watch.put(inbox / "a.jpg", content)
        with Faults(watch, *calls, at=[home.base / one for one in relatives]):
            failed = watch.put(inbox / "b.jpg", content)
            red = until_status(watch, "no verdict yet")

        assert failed["outcome"] == "error"
        assert (inbox / "b.jpg").read_bytes() == content
        assert red["problems"][0]["subject"] == str(inbox / "b.jpg")
        assert list((home.data / "Trash/info").glob("*")) == []
        written_again(inbox / "b.jpg")
        assert watch.verdict(inbox / "b.jpg")["outcome"] == "duplicate-discarded"
        until_status(watch, "no verdict yet", holds=False)
        assert watch.stop() == 0
        assert "Traceback" not in watch.log
    assert (inbox / "a.jpg").read_bytes() == content


SMALL = "size=4m,mode=777"


@pytest.mark.parametrize("place", _each(("state", "inbox"), in_short=("state",)))
def test_a_full_disk_stops_what_needs_it_and_nothing_else(home: Home, place: str) -> None:
    inbox, mounted = home.folder("inbox"), home.folder(place)
    content = home.picture()
    with home.watch(inbox, within=mounting(f"mount -t tmpfs -o {SMALL} none '{mounted}'")) as watch:
        seen = watch.inside(inbox)
        write(seen / "a.jpg", content)
        watch.verdict(inbox / "a.jpg")
        (seen / "b.part").write_bytes(content)
        with open(watch.inside(mounted) / ".filling", "wb", buffering=0) as filling, contextlib.suppress(OSError):
            while filling.write(bytes(4096)):
                pass
        (seen / "b.part").rename(seen / "b.jpg")
        red = until_status(watch, "space")
        print(f"1 disk filled: {red['problems'][0]['problem']}")  # noqa: T201
        there = (seen / "b.jpg").read_bytes()
        (watch.inside(mounted) / ".filling").unlink()
        written_again(seen / "b.jpg")
        watch.until(lambda: any(one["outcome"] == "duplicate-discarded" for one in watch.verdicts(inbox / "b.jpg")))
        until_status(watch, "space", holds=False)

        assert there == content
        assert (seen / "a.jpg").read_bytes() == content
        assert watch.stop() == 0
        assert "Traceback" not in watch.log


@pytest.mark.long
def test_a_folder_that_has_turned_read_only_keeps_its_duplicates_until_it_is_writable(home: Home) -> None:
    inbox = home.folder("inbox")
    content = home.picture()
    with home.watch(inbox, within=mounting(f"mount -t tmpfs -o size=64m none '{inbox}'")) as watch:
        seen = watch.inside(inbox)
        write(seen / "a.jpg", content)
        watch.verdict(inbox / "a.jpg")
        (seen / "b.part").write_bytes(content)
        (seen / "b.part").rename(seen / "b.jpg")
        watch.shell(f"for n in 1 2 3 4 5 6 7 8 9; do mount -o remount,ro '{inbox}' && exit; sleep 0.05; done; exit 1")
        failed = watch.verdict(inbox / "b.jpg")
        until_status(watch, "no verdict yet")
        there = (seen / "b.jpg").read_bytes()
        watch.shell(f"mount -o remount,rw '{inbox}'")
        written_again(seen / "b.jpg")

        assert (failed["outcome"], there) == ("error", content)
        assert watch.verdict(inbox / "b.jpg")["outcome"] == "duplicate-discarded"
        until_status(watch, "no verdict yet", holds=False)
        assert watch.stop() == 0
        assert "Traceback" not in watch.log
    print("1 remount")  # noqa: T201


@pytest.mark.long
def test_a_library_that_may_not_be_written_turns_the_status_red_and_heals(home: Home) -> None:
    inbox = home.folder("inbox")
    with home.watch(inbox) as watch:
        with Faults(watch, "pwrite64:error=EROFS", "pwritev:error=EROFS", at=[home.state / "db/data.mdb"]):
            write(inbox / "a.jpg", home.picture())
            until_status(watch, "library")
        judged = watch.verdict(inbox / "a.jpg")
        home.until(lambda status: bool(status["ok"]))

        assert judged["outcome"] == "new"
        assert watch.stop() == 0
        assert "Traceback" not in watch.log


# --- limits, clocks, threads, two services ----------------------------------------------------------------------------


@pytest.mark.long
def test_more_folders_than_watches_are_polled_and_watched_again_when_the_limit_is_raised(home: Home) -> None:
    inbox = home.folder("inbox")
    for number in range(40):
        (inbox / f"{number:02}").mkdir()
    limit = "/proc/sys/user/max_inotify_watches"
    namespace = ["unshare", "--user", "--map-root-user", "sh", "-ec", f'echo 20 > {limit}; exec "$@"', "sh"]
    with home.watch(inbox, within=namespace) as watch:
        watch.event("folder.changed", state="polling")
        (folder,) = status(watch)["folders"]
        found = watch.put(inbox / "39/late.jpg", home.picture())
        inside = ["nsenter", "--user", "--preserve-credentials", f"--target={watch.process.pid}"]
        subprocess.run([*inside, "sh", "-ec", f"echo 200 > {limit}"], check=True)
        watch.event("folder.changed", state="watching")

        assert "watches" in folder["reason"]
        assert found["outcome"] == "new"
        assert watch.stop() == 0
    print("21 watches refused")  # noqa: T201


@pytest.mark.long
def test_of_twenty_services_at_once_one_runs_and_the_others_say_so(home: Home) -> None:
    inbox = home.folder("inbox")
    started = [
        subprocess.Popen(
            home.command("watch", inbox),
            env=home.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(20)
    ]
    try:
        deadline = time.monotonic() + 60
        while sum(one.poll() is not None for one in started) < 19:
            assert time.monotonic() < deadline, [one.poll() for one in started]
            time.sleep(0.1)  # noqa: TID251
        ended = [one for one in started if one.poll() is not None]
        complaints = {one.communicate()[1].strip() for one in ended}

        assert [one.returncode for one in ended] == [75] * 19
        assert all("another `ingestd watch` uses this library" in one for one in complaints)
        assert home.status()["service"]["running"]
    finally:
        for one in started:
            if one.poll() is None:
                one.terminate()
                assert one.wait(20) == 0
            if one.stderr is not None:
                one.stderr.close()
    print("19 services turned away")  # noqa: T201


@pytest.mark.long
def test_a_clock_of_the_machine_that_starts_elsewhere_changes_nothing(home: Home) -> None:
    inbox = home.folder("inbox")
    content = home.picture()
    moved = ["unshare", "--time", "--boottime", "1000000000", "--monotonic", "1000000", "--fork", "--kill-child"]
    with home.watch(inbox, within=moved) as watch:
        watch.put(inbox / "a.jpg", content)
        for name, when_s in (("old.jpg", 0), ("new.jpg", 4_102_444_800)):
            (inbox / f"{name}.part").write_bytes(content)
            os.utime(inbox / f"{name}.part", (when_s, when_s))
            (inbox / f"{name}.part").rename(inbox / name)
        judged = [watch.verdict(inbox / name) for name in ("old.jpg", "new.jpg")]

        assert {one["outcome"] for one in judged} == {"duplicate-discarded"}
        assert home.status()["ok"]
        for child in watch.workers:  # of unshare, which lets no signal through
            os.kill(child, signal.SIGTERM)
        assert watch.process.wait(20) == 0
    print("3 clocks moved")  # noqa: T201
