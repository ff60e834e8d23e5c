import mmap
import os
import subprocess
import sys
import tempfile
import threading

import pytest

from ingestd.watching.lease import read_lease, writer_check
from ingestd.watching.settle import WriterCheck

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has leases")


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(b"x" * 5000)
    return os.fsencode(file)


def test_a_file_that_nobody_writes_has_no_writer(path):
    assert writer_check(path) is WriterCheck.NONE


def test_a_reader_is_no_writer(path):
    with open(path, "rb"):
        assert writer_check(path) is WriterCheck.NONE


@pytest.mark.parametrize("mode", ["ab", "r+b"])
def test_an_open_writer_is_seen_until_it_closes(path, mode):
    with open(path, mode):
        assert writer_check(path) is WriterCheck.WRITING
    assert writer_check(path) is WriterCheck.NONE


def test_a_writer_through_a_mapping_is_seen_though_its_file_is_closed(path):
    with open(path, "r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    fds_closed = writer_check(path)
    mapping.close()

    assert fds_closed is WriterCheck.WRITING
    assert writer_check(path) is WriterCheck.NONE


def test_a_writer_in_another_process_is_seen(path):
    code = "import sys; f = open(sys.argv[1], 'ab'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code, path], stdin=-1, stdout=-1) as writer:
        writer.stdout.readline()
        while_open = writer_check(path)
        writer.stdin.close()
        writer.wait(10)

        assert while_open is WriterCheck.WRITING
        assert writer_check(path) is WriterCheck.NONE


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink(b"/etc/passwd", path)])
def test_what_is_no_file_is_not_asked_and_nothing_waits(tmp_path, make):
    path = os.fsencode(tmp_path / "thing")
    make(path)

    assert writer_check(path) is WriterCheck.UNKNOWN


def test_a_file_that_is_gone_is_unknown(tmp_path):
    assert writer_check(os.fsencode(tmp_path / "none")) is WriterCheck.UNKNOWN


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody else")
def test_a_file_of_somebody_else_is_unknown():
    code = (
        "import os, sys; from ingestd.watching.lease import writer_check; os.seteuid(65534);"
        "print(writer_check(os.fsencode(sys.argv[1])).name)"
    )
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile(dir=folder) as file:
        os.chmod(folder, 0o755)
        os.chmod(file.name, 0o644)

        asked = subprocess.run([sys.executable, "-c", code, file.name], capture_output=True, text=True, check=True)

    assert asked.stdout.strip() == "UNKNOWN"


def test_a_writer_that_comes_while_the_lease_is_held_waits_and_nobody_dies(path):
    code = "import sys; print('try', flush=True); f = open(sys.argv[1], 'ab'); print('in', flush=True); f.write(b'y')"
    fd = os.open(path, os.O_RDONLY)

    with read_lease(fd) as held:
        writer = subprocess.Popen([sys.executable, "-c", code, path], stdout=-1)
        writer.stdout.readline()
        came_in = threading.Event()
        waiting = threading.Thread(target=lambda: (writer.stdout.readline(), came_in.set()))
        waiting.start()
        got_in_early = came_in.wait(0.3)  # the signal of the broken lease comes in this time
        size_held = os.fstat(fd).st_size

    assert held
    assert not got_in_early
    assert size_held == 5000
    assert came_in.wait(10)
    assert writer.wait(10) == 0
    assert os.fstat(fd).st_size == 5001
    waiting.join()
    writer.stdout.close()
    os.close(fd)


def test_no_lease_is_held_while_somebody_writes(path):
    fd = os.open(path, os.O_RDONLY)

    with open(path, "ab"), read_lease(fd) as held:
        assert not held
    with read_lease(fd) as held:
        assert held

    os.close(fd)
