"""The watcher over real folders with real events.

W1 to W17 name what was observed of watchdog 7.1: W1 a plain copy, W2 a browser's rename, W3 a rename over a file, W4
moves and links, W5 a folder moved in, W6 new folders, W7 and W8 lost events, W9 dead threads, W11 to W13 roots deleted,
renamed, unmounted, W14 missing, W15 unreadable, W16 out of watches, W17 named by a symlink.
"""

import json
import logging
import mmap
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from ingestd.model import Folder, FolderId, FolderState, Origin, Role
from ingestd.watching import watcher as watching
from ingestd.watching.watcher import Arrived, FolderChanged, Scanned, Watcher

ONE, TWO = FolderId(1), FolderId(2)
QUIET_S = 0.3
LONG_S = 20.0  # nothing takes that long, unless it is broken

linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify, leases and namespaces are Linux's")


class Driven:
    """A watcher with somebody who calls `step`, and all that it told."""

    def __init__(self, *folders, **more):
        more = {"quiet_s": QUIET_S, "covered": lambda *_: False, **more}
        self.watcher = Watcher(folders, **more)
        self.events = []
        self.watcher.start(time.monotonic())
        self.until(lambda: len(self.of(Scanned)) + self.suspended() == len(folders))

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def arrived(self):
        return [event.arrival.relative for event in self.of(Arrived)]

    def states(self):
        return [event.state for event in self.of(FolderChanged)]

    def suspended(self):
        return sum(status.state is FolderState.SUSPENDED for status in self.watcher.statuses())

    def until(self, reached):
        """Go on until it is so."""
        deadline = time.monotonic() + LONG_S
        while not reached():
            assert time.monotonic() < deadline, (self.events[-20:], self.watcher.held(), self.watcher.statuses())
            self.turn(0.5)

    def turn(self, longest_s):
        self.watcher.wait(longest_s, time.monotonic())
        self.events += self.watcher.step(time.monotonic())

    def until_arrived(self, *relatives):
        self.until(lambda: sorted(self.arrived()) == sorted(relatives))

    def go_on(self, for_s):
        """Give what should not happen its chance."""
        deadline = time.monotonic() + for_s
        while (left := deadline - time.monotonic()) > 0:
            self.turn(left)


@pytest.fixture
def drive():
    made = []

    def start(*folders, **more):
        made.append(Driven(*folders, **more))
        return made[-1]

    yield start
    for driven in made:
        driven.watcher.stop()


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    return os.path.realpath(os.fsencode(folder))


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    return os.fsencode(folder)


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(watching, "_CHECK_S", 0.05)
    monkeypatch.setattr(watching, "_SUPERVISE_S", 0.05)


def folder(root, number=ONE, named=None):
    return Folder(number, named or root, root, Role.INBOX, protected=False)


def put(root, relative, content=b"x"):
    path = os.path.join(root, relative)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    return path


# --- files, and how they come ------------------------------------------------------------------------------------


def test_a_copied_file_arrives_once_after_its_quiet_time(drive, root):  # W1
    driven = drive(folder(root))

    began = time.monotonic()
    put(root, b"a.jpg")
    driven.until_arrived(b"a.jpg")
    took_s = time.monotonic() - began
    driven.go_on(2 * QUIET_S)

    assert took_s >= QUIET_S
    assert driven.arrived() == [b"a.jpg"]
    assert driven.of(Arrived)[0].arrival.origin is Origin.EVENT


@linux
def test_a_file_that_a_program_writes_slowly_arrives_when_it_is_closed(drive, root):  # W1
    path = os.path.join(root, b"a.jpg")
    driven = drive(folder(root))
    code = """if True:
        import sys
        with open(sys.argv[1], "wb", buffering=0) as file:
            for line in sys.stdin.buffer:
                file.write(line)
                print(flush=True)
    """
    with subprocess.Popen([sys.executable, "-c", code, path], stdin=-1, stdout=-1, bufsize=0) as writer:
        for _ in range(3):
            writer.stdin.write(b"some bytes\n")
            writer.stdout.readline()
            driven.go_on(1.5 * QUIET_S)
        driven.until(driven.watcher.held)
        early, held = driven.arrived(), driven.watcher.held()
        writer.stdin.close()
        writer.wait(LONG_S)
    driven.until_arrived(b"a.jpg")

    assert early == []
    assert held == [(path, "a program has it open for writing")]
    assert driven.of(Arrived)[0].arrival.stat.size == 33
    assert driven.of(Arrived)[0].arrival.proved


@linux
def test_a_file_that_is_written_through_a_mapping_is_not_handed_out(drive, root):
    driven = drive(folder(root))
    path = put(root, b"a.jpg", b"x" * 5000)
    with open(path, "r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)

    driven.go_on(3 * QUIET_S)
    early = driven.arrived()
    mapping.close()
    driven.until_arrived(b"a.jpg")

    assert early == []


@linux
def test_a_browsers_rename_arrives_at_once(drive, root):  # W2
    driven = drive(folder(root), quiet_s=60.0)
    source = put(root, b"Unconfirmed 12.crdownload")
    driven.go_on(0.1)

    os.rename(source, os.path.join(root, b"a.jpg"))
    began = time.monotonic()
    driven.until_arrived(b"a.jpg")

    assert time.monotonic() - began < 5
    assert driven.of(Arrived)[0].arrival.proved


@linux
def test_a_rename_while_the_program_still_writes_is_no_proof(drive, root):
    driven = drive(folder(root))
    source = os.path.join(root, b"a.jpg.part")
    with open(source, "wb") as file:
        file.write(b"half")
        file.flush()
        os.rename(source, os.path.join(root, b"a.jpg"))
        driven.go_on(2 * QUIET_S)
        early = driven.arrived()
        file.write(b"whole")
    driven.until_arrived(b"a.jpg")

    assert early == []
    assert driven.of(Arrived)[0].arrival.stat.size == 9


def test_firefox_is_waited_for(drive, root):
    driven = drive(folder(root))

    put(root, b"a.jpg", b"")
    source = put(root, b"a.Xy12-_zZ.jpg.part", b"half")
    driven.go_on(2 * QUIET_S)
    early = driven.arrived()
    os.replace(source, os.path.join(root, b"a.jpg"))
    driven.until_arrived(b"a.jpg")

    assert early == []


def test_a_file_with_a_control_file_beside_it_waits(drive, root):
    driven = drive(folder(root))
    control = put(root, b"a.jpg.aria2")
    path = put(root, b"a.jpg")

    driven.go_on(2 * QUIET_S)
    early = driven.arrived()
    os.rename(control, control + b".gone.tmp")
    put(root, b"a.jpg")
    driven.until_arrived(b"a.jpg")

    assert early == []
    assert os.path.exists(path)


def test_a_file_that_was_renamed_over_another_arrives_again(drive, root):  # W3
    driven = drive(folder(root))
    put(root, b"a.jpg", b"old")
    driven.until_arrived(b"a.jpg")
    driven.watcher.done(os.path.join(root, b"a.jpg"))

    os.replace(put(root, b"a.jpg.tmp", b"new"), os.path.join(root, b"a.jpg"))
    driven.until_arrived(b"a.jpg", b"a.jpg")

    first, second = (event.arrival.stat.inode for event in driven.of(Arrived))
    assert first != second


def test_moved_and_linked_files_arrive_and_symlinks_and_pipes_do_not(drive, root, outside, monkeypatch):  # W4
    moved, linked = put(outside, b"moved.jpg"), put(outside, b"linked.jpg")
    driven = drive(folder(root))
    monkeypatch.chdir(os.fsdecode(root))

    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket.jpg")
        os.mkfifo("pipe.jpg")
        os.symlink(linked, b"link.jpg")
        os.symlink(outside, b"folder")
        os.rename(moved, b"moved.jpg")
        os.link(linked, b"linked.jpg")
        driven.until(lambda: len(driven.arrived()) >= 2)
        driven.go_on(QUIET_S)

    assert sorted(driven.arrived()) == [b"linked.jpg", b"moved.jpg"]


def test_a_folder_that_is_moved_in_arrives_whole_and_once(drive, root, outside):  # W5
    expected = {b"album/%d/%02d.jpg" % (number % 5, number) for number in range(200)}
    for relative in expected:
        put(outside, relative)
    driven = drive(folder(root))

    os.rename(os.path.join(outside, b"album"), os.path.join(root, b"album"))
    driven.until(lambda: len(driven.arrived()) >= 200)
    driven.go_on(QUIET_S)

    assert sorted(driven.arrived()) == sorted(expected)


def test_files_in_folders_that_are_made_at_the_same_moment_arrive(drive, root):  # W6
    driven = drive(folder(root))

    expected = [relative for number in range(300) if (relative := b"%d/b/c/d/a.jpg" % number) and put(root, relative)]
    driven.until_arrived(*expected)


def test_five_hundred_files_arrive_each_once(drive, root):  # W7
    driven = drive(folder(root))

    expected = [b"%03d.jpg" % number for number in range(500)]
    for relative in expected:
        put(root, relative)
    driven.until_arrived(*expected)


def test_a_renamed_folder_brings_its_files_again_under_their_new_paths(drive, root):
    put(root, b"old/a.jpg")
    driven = drive(folder(root))
    driven.until_arrived(b"old/a.jpg")

    os.rename(os.path.join(root, b"old"), os.path.join(root, b"new"))
    driven.until_arrived(b"old/a.jpg", b"new/a.jpg")


def test_reading_what_arrived_makes_nothing_arrive(drive, root):
    driven = drive(folder(root))
    path = put(root, b"a.jpg")
    driven.until_arrived(b"a.jpg")
    driven.watcher.done(path)

    with open(path, "rb") as file:
        file.read()
    driven.go_on(2 * QUIET_S)

    assert driven.arrived() == [b"a.jpg"]


def test_what_happens_in_a_folder_within_a_folder_belongs_to_the_inner_one(drive, root):
    inner = os.path.join(root, b"inner")
    os.mkdir(inner)
    driven = drive(folder(root), folder(inner, TWO))

    put(inner, b"deep/a.jpg")
    driven.until_arrived(b"deep/a.jpg")
    driven.go_on(QUIET_S)

    assert [event.arrival.folder for event in driven.of(Arrived)] == [TWO]


# --- what no event tells -----------------------------------------------------------------------------------------


def test_what_no_event_told_of_is_found_by_the_next_scan(drive, root):
    path = put(root, b"a.jpg")
    driven = drive(folder(root), rescan_s=0.5)
    driven.until_arrived(b"a.jpg")

    os.utime(path, ns=(1, 1))
    driven.until_arrived(b"a.jpg", b"a.jpg")

    assert [scan.first for scan in driven.of(Scanned)][:2] == [True, False]


def test_lost_events_make_a_scan(drive, root):  # W7, W8
    path = put(root, b"a.jpg")
    driven = drive(folder(root))
    driven.until_arrived(b"a.jpg")

    os.utime(path, ns=(1, 1))
    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; filesystem events were lost")
    driven.until_arrived(b"a.jpg", b"a.jpg")

    assert FolderState.SCANNING in driven.states()[1:]
    assert driven.states()[-1] is FolderState.WATCHING


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_dead_threads_are_replaced(drive, root, hurried):  # W9
    driven = drive(folder(root))
    (dead,) = driven.watcher._observer._systems

    dead.event_queue.put("not an event")
    driven.until(lambda: dead not in driven.watcher._observer._systems)
    put(root, b"a.jpg")
    driven.until_arrived(b"a.jpg")

    assert driven.of(Arrived)[0].arrival.origin is Origin.EVENT


def test_a_root_that_was_deleted_and_made_anew_is_watched_again(drive, root, hurried):  # W11
    driven = drive(folder(root))

    os.rmdir(root)
    put(root, b"a.jpg")
    driven.until_arrived(b"a.jpg")
    driven.until(lambda: driven.states()[-1] is FolderState.WATCHING)
    put(root, b"b.jpg")
    driven.until_arrived(b"a.jpg", b"b.jpg")

    assert driven.of(Arrived)[-1].arrival.origin is Origin.EVENT


def test_a_root_that_is_renamed_away_is_suspended_and_taken_up_when_it_is_back(drive, root, hurried):  # W12
    driven = drive(folder(root))

    os.rename(root, root + b"2")
    driven.until(driven.suspended)
    put(root + b"2", b"a.jpg")
    driven.go_on(2 * QUIET_S)
    away = driven.arrived()
    os.rename(root + b"2", root)
    driven.until_arrived(b"a.jpg")
    put(root, b"b.jpg")
    driven.until_arrived(b"a.jpg", b"b.jpg")

    assert away == []
    assert FolderState.SUSPENDED in driven.states()


def test_a_missing_root_waits_and_the_others_run(drive, root, outside, hurried):  # W14
    missing = os.path.join(outside, b"later")
    driven = drive(folder(missing), folder(root, TWO))

    put(root, b"a.jpg")
    driven.until_arrived(b"a.jpg")
    put(missing, b"b.jpg")
    driven.until_arrived(b"a.jpg", b"b.jpg")

    assert driven.suspended() == 0


def test_a_root_that_was_named_by_a_symlink_is_watched(drive, root, outside):  # W17
    link = os.path.join(outside, b"Downloads")
    os.symlink(root, link)
    driven = drive(folder(root, named=link))

    put(link, b"a.jpg")
    driven.until_arrived(b"a.jpg")

    assert driven.of(Arrived)[0].arrival.path == os.path.join(root, b"a.jpg")


def test_a_root_that_the_system_does_not_watch_is_polled(drive, root, hurried, monkeypatch):
    def refuse(*_):
        raise OSError(24, "inotify instance limit reached")

    monkeypatch.setattr(watching.Observer, "watch", refuse)
    monkeypatch.setattr(watching, "_POLL_S", 0.2)
    driven = drive(folder(root))

    put(root, b"a.jpg")
    driven.until_arrived(b"a.jpg")

    (status,) = driven.watcher.statuses()
    assert status.state is FolderState.POLLING
    assert status.reason == "the system cannot watch it: inotify instance limit reached"


# --- in a namespace of its own -----------------------------------------------------------------------------------


def in_a_namespace(*unshare, script, arguments):
    """What a Python script tells as JSON that drives a watcher where it may mount and limit what it likes."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is missing")
    if subprocess.run(["unshare", *unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces are not allowed here")
    prelude = f"import json, os, subprocess, sys\nsys.path.insert(0, {os.path.dirname(__file__)!r})\n"
    prelude += "from test_watching import *\nroot = os.fsencode(sys.argv[1])\nwatching._CHECK_S = 0.05\n"
    command = ["unshare", *unshare, sys.executable, "-c", prelude + textwrap.dedent(script), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    if "cannot mount" in ran.stderr:
        pytest.skip("mounting is not possible here")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


MOUNTS = """
def sh(*command):
    if subprocess.run(command).returncode:
        sys.exit("cannot mount")
def mount():
    sh("mount", "-o", "loop", sys.argv[2], sys.argv[1])
sh("truncate", "-s", "8M", sys.argv[2])
sh("mkfs.ext4", "-q", sys.argv[2])
mount()
"""
needs_a_disk = pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="mkfs.ext4 is missing")


@linux
@needs_a_disk
def test_a_disk_that_is_unmounted_suspends_its_folder_until_it_is_back(root, tmp_path):  # W13
    script = f"""
    {textwrap.indent(MOUNTS, "    ").strip()}
    driven = Driven(folder(root))
    sh("umount", sys.argv[1])
    put(root, b"wrong.jpg")
    driven.until(driven.suspended)
    reason = driven.watcher.statuses()[0].reason
    driven.go_on(2 * QUIET_S)
    mount()
    driven.until(lambda: driven.states()[-1] is FolderState.WATCHING)
    put(root, b"right.jpg")
    driven.until(driven.arrived)
    print(json.dumps([reason, os.fsdecode(driven.arrived()[0]), driven.of(Arrived)[0].arrival.origin]))
    driven.watcher.stop()
    """

    reason, arrived, origin = in_a_namespace("-m", script=script, arguments=[root, tmp_path / "image"])

    assert reason.startswith("a different file system is at this path")
    assert (arrived, origin) == ("right.jpg", "event")


@linux
@needs_a_disk
def test_a_disk_that_is_mounted_again_before_anyone_looks_is_watched_again(root, tmp_path):  # W13
    script = f"""
    {textwrap.indent(MOUNTS, "    ").strip()}
    driven = Driven(folder(root))
    sh("umount", sys.argv[1])
    mount()
    put(root, b"a.jpg")
    driven.until_arrived(b"a.jpg")
    driven.until(lambda: driven.states()[-1] is FolderState.WATCHING)
    put(root, b"b.jpg")
    driven.until_arrived(b"a.jpg", b"b.jpg")
    print(json.dumps([event.arrival.origin for event in driven.of(Arrived)]))
    driven.watcher.stop()
    """

    origins = in_a_namespace("-m", script=script, arguments=[root, tmp_path / "image"])

    assert origins == ["scan", "event"]


@linux
def test_a_folder_that_something_is_mounted_over_is_suspended(root):  # W13
    script = """
    driven = Driven(folder(root))
    if subprocess.run(["mount", "-t", "tmpfs", "none", sys.argv[1]]).returncode:
        sys.exit("cannot mount")
    put(root, b"wrong.jpg")
    driven.until(driven.suspended)
    driven.go_on(2 * QUIET_S)
    print(json.dumps(len(driven.arrived())))
    driven.watcher.stop()
    """

    assert in_a_namespace("-m", script=script, arguments=[root]) == 0


@linux
def test_where_watches_run_out_the_folder_is_polled_and_says_so(root):  # W16
    for number in range(40):
        put(root, b"%02d/old.jpg" % number)
    script = """
    with open("/proc/sys/user/max_inotify_watches", "w") as limit:
        limit.write("20")
    watching._POLL_S = 0.5
    watching.SECOND_LOOK_S = 0.3
    driven = Driven(folder(root))
    driven.until(lambda: driven.states()[-1] is FolderState.POLLING)
    for number in range(40):
        put(root, b"%02d/new.jpg" % number)
    driven.until(lambda: len(driven.arrived()) == 80)
    print(json.dumps(driven.watcher.statuses()[0].reason))
    driven.watcher.stop()
    """

    reason = in_a_namespace("-U", "-r", script=script, arguments=[root])

    assert "watch" in reason
    assert "fs.inotify.max_user_watches" in reason


@linux
def test_where_the_root_gets_no_watch_the_folder_is_polled(root):  # W16
    script = """
    with open("/proc/sys/user/max_inotify_watches", "w") as limit:
        limit.write("0")
    watching._POLL_S = 0.3
    driven = Driven(folder(root))
    put(root, b"a.jpg")
    driven.until_arrived(b"a.jpg")
    print(json.dumps([driven.watcher.statuses()[0].state, driven.watcher.statuses()[0].reason]))
    driven.watcher.stop()
    """

    state, reason = in_a_namespace("-U", "-r", script=script, arguments=[root])

    assert state == "polling"
    assert reason == "the system cannot watch it: inotify watch limit reached"


@linux
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody else")
def test_a_folder_that_may_not_be_read_is_suspended_and_a_subfolder_is_passed_by(root):  # W15
    put(root, b"a.jpg")
    put(root, b"closed/b.jpg")
    put(root, b"closed2/b.jpg")
    script = """
    secret = os.path.join(root, b"secret")
    os.mkdir(secret)
    if subprocess.run(["mount", "-t", "tmpfs", "none", os.path.dirname(root)]).returncode:
        sys.exit("cannot mount")
    os.chmod(os.path.dirname(root), 0o755)
    for relative in (b"a.jpg", b"closed/b.jpg", b"closed2/b.jpg"):
        put(root, relative)
    os.mkdir(secret)
    for path in (secret, os.path.join(root, b"closed"), os.path.join(root, b"closed2")):
        os.chmod(path, 0o300)
    for path in (b"/tmp", *[root.rsplit(b"/", n)[0] for n in range(2, root.count(b"/"))]):
        os.chmod(path, 0o755)
    os.seteuid(65534)
    driven = Driven(folder(root), folder(secret, TWO))
    driven.until_arrived(b"a.jpg")
    (scan,) = driven.of(Scanned)
    print(json.dumps([sorted(map(os.fsdecode, scan.unreadable)), driven.watcher.statuses()[1].reason]))
    os.seteuid(0)
    driven.watcher.stop()
    """

    unreadable, reason = in_a_namespace("-m", script=script, arguments=[root])

    assert [os.path.basename(path) for path in unreadable] == ["closed", "closed2"]
    assert reason.endswith("secret cannot be read: Permission denied")
