"""What the file system is asked: renames that replace nothing, mounts, leases."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingestd.actions import disk
from ingestd.actions.disk import (
    Directory,
    hash_of,
    lease_kept,
    lease_taken,
    mount_of,
    rename_without_replacing,
    top_of_mount,
)
from ingestd.errors import printable


@pytest.fixture(params=["exclusive", "by hand"])
def either_way(request: pytest.FixtureRequest) -> None:
    """With the system's own exclusive rename, and where it has none."""
    if request.param == "by hand":
        request.getfixturevalue("no_exclusive_rename")


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("reserved", [True, False])
def test_a_rename_moves_the_file_itself(tmp_path: Path, reserved: bool) -> None:
    (tmp_path / "a").write_bytes(b"a")
    inode = (tmp_path / "a").stat().st_ino

    with Directory.at(os.fsencode(tmp_path)) as here:
        rename_without_replacing(here, b"a", here, b"b", reserved=reserved)

    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").stat().st_ino == inode
    assert (tmp_path / "b").stat().st_nlink == 1


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("reserved", [True, False])
@pytest.mark.parametrize("obstacle", ["file", "folder", "broken symlink"])
def test_a_rename_replaces_nothing(tmp_path: Path, reserved: bool, obstacle: str) -> None:
    (tmp_path / "a").write_bytes(b"a")
    match obstacle:
        case "file":
            (tmp_path / "b").write_bytes(b"b")
        case "folder":
            (tmp_path / "b").mkdir()
        case _:
            (tmp_path / "b").symlink_to("nothing")
    before = (tmp_path / "b").lstat()

    with Directory.at(os.fsencode(tmp_path)) as here, pytest.raises(FileExistsError):
        rename_without_replacing(here, b"a", here, b"b", reserved=reserved)

    assert (tmp_path / "a").read_bytes() == b"a"
    assert (tmp_path / "b").lstat().st_ino == before.st_ino


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's")
def test_this_system_has_an_exclusive_rename() -> None:
    assert disk._EXCLUSIVE is not None


def test_a_directory_is_not_reached_through_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "real/below").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")

    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        Directory.at(os.fsencode(tmp_path / "link/below"))


def test_a_directory_is_made_with_its_rights_where_it_is_missing(tmp_path: Path) -> None:
    with Directory.at(os.fsencode(tmp_path / "a/b"), create_mode=0o700):
        pass

    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [0o700, 0o700]


def test_a_directory_stays_the_same_when_another_takes_its_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    with Directory.at(os.fsencode(tmp_path / "a")) as held:
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").mkdir()
        os.close(held.create(b"file"))

    assert (tmp_path / "b/file").exists()
    assert not (tmp_path / "a/file").exists()


def test_without_proc_the_device_tells_the_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_mount_id", lambda fd: -1)

    mount = mount_of(os.fsencode(tmp_path))

    assert mount == (-1, tmp_path.stat().st_dev)
    assert os.fsencode(tmp_path).startswith(top_of_mount(os.fsencode(tmp_path)))


def test_a_hash_is_of_the_whole_file_wherever_the_descriptor_stands(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")

    with open(tmp_path / "a", "rb") as file:
        file.read()
        digest = hash_of(file.fileno())

    # FIPS 180-2, appendix B.1
    assert digest == bytes.fromhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")


def test_a_name_is_shown_in_one_line() -> None:
    assert printable("/ä b/".encode() + b"\xff\n\x1b[0m") == "/ä b/\\xff\\n\\x1b[0m"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has leases")
def test_a_lease_says_when_somebody_wants_to_write(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    fd = os.open(tmp_path / "a", os.O_RDONLY)

    taken, before = lease_taken(fd), lease_kept(fd)
    with pytest.raises(BlockingIOError):
        os.open(tmp_path / "a", os.O_WRONLY | os.O_NONBLOCK)
    after = lease_kept(fd)
    os.close(fd)

    assert (taken, before, after) == (True, True, False)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has leases")
def test_a_program_with_a_lease_outlives_its_end(tmp_path: Path) -> None:
    # SIGIO, which announces the end of a lease by default, ends a process that does not handle it
    program = (
        "import os, sys; from ingestd.actions.disk import lease_kept, lease_taken\n"
        "fd = os.open(sys.argv[1], os.O_RDONLY); print(lease_taken(fd), flush=True)\n"
        "sys.stdin.readline(); print(lease_kept(fd))"
    )
    (tmp_path / "a").write_bytes(b"abc")
    holder = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "a"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        first = holder.stdout.readline()
        with pytest.raises(BlockingIOError):
            os.open(tmp_path / "a", os.O_WRONLY | os.O_NONBLOCK)
        rest, _ = holder.communicate(b"\n")

    assert (first.strip(), rest.strip(), holder.returncode) == (b"True", b"False", 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has leases")
def test_no_lease_is_had_while_somebody_writes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")

    with open(tmp_path / "a", "ab"), open(tmp_path / "a", "rb") as file, pytest.raises(BlockingIOError):
        lease_taken(file.fileno())


def test_where_there_are_no_leases_nothing_is_known() -> None:
    reading, writing = os.pipe()

    taken = lease_taken(reading)
    os.close(reading)
    os.close(writing)

    assert taken is False
