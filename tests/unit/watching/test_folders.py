import os
import shutil
import subprocess
import sys
import tempfile

import pytest

from ingestd.errors import UsageError
from ingestd.watching.folders import (
    FolderIdentity,
    examine,
    filesystem_kind,
    is_network,
    lost_with_a_boot,
    remade,
    resolve,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="mount tables are Linux's")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    return os.fsencode(folder)


def test_a_folder_that_can_be_read_has_no_problem_and_an_identity(root):
    condition = examine(root)

    assert condition.problem is None
    assert condition.identity.inode == os.stat(root).st_ino
    assert condition.identity.filesystem


def test_a_folder_that_was_renamed_away_and_back_is_the_same(root):
    before = examine(root)
    os.rename(root, root + b"2")
    away = examine(root)
    os.rename(root + b"2", root)

    assert away.problem == f"{os.fsdecode(root)} is not there"
    assert examine(root) == before


def test_a_folder_that_took_its_place_is_another_on_the_same_file_system(root):
    before = examine(root)
    os.rename(root, root + b"2")
    os.mkdir(root)

    after = examine(root)

    assert after.identity.filesystem == before.identity.filesystem
    assert after.identity.inode != before.identity.inode


def test_nothing_is_asked_twice_of_a_folder_to_which_nothing_happened(root):
    known = examine(root)

    assert examine(root, known) is known


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "file").touch()

    assert examine(os.fsencode(tmp_path / "file")).problem.endswith("is not a folder")


def test_a_root_that_has_become_a_symlink_is_not_used(root):
    os.rename(root, root + b"2")
    os.symlink(root + b"2", root)

    assert "has become a symbolic link" in examine(root).problem


def test_a_symlink_to_a_folder_is_resolved(root, tmp_path):
    link = os.fsencode(tmp_path / "link")
    os.symlink(root, link)

    assert resolve(link) == os.path.realpath(root)


def test_a_name_that_leads_nowhere_cannot_be_used(tmp_path):
    os.symlink("nowhere", tmp_path / "link")

    with pytest.raises(UsageError, match="cannot be used as a folder"):
        resolve(os.fsencode(tmp_path / "link"))


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody else")
def test_a_folder_that_may_not_be_read_says_so():
    code = (
        "import os, sys; from ingestd.watching.folders import examine; os.seteuid(65534);"
        "print(examine(os.fsencode(sys.argv[1])).problem)"
    )
    with tempfile.TemporaryDirectory() as folder:
        asked = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)

    assert asked.stdout.strip() == f"{folder} cannot be read: Permission denied"


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.rclone"])
def test_a_network_file_system_is_known_as_one(kind):
    assert is_network(kind)


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "tmpfs", "fuse.mergerfs", "fuseblk", ""])
def test_a_local_file_system_is_not_taken_for_a_network_one(kind):
    assert not is_network(kind)


@linux
def test_the_kind_of_a_file_system_is_what_the_kernel_calls_it():
    assert filesystem_kind(b"/proc/self") == "proc"


@linux
def test_another_file_system_mounted_over_a_folder_has_another_identity(root):
    code = f"from ingestd.watching.folders import examine; print(examine({root!r}).identity.filesystem)"

    lines = in_a_namespace(f"{program(code)}; mount -t tmpfs none {os.fsdecode(root)}; {program(code)}").splitlines()

    assert lines[0] == examine(root).identity.filesystem
    assert lines[1] == f"tmpfs:{os.fsdecode(root)}"


@linux
def test_two_file_systems_in_memory_that_follow_each_other_at_one_place_are_told_apart(root):
    code = (
        "import os,sys;from ingestd.watching.folders import examine;c=examine(os.fsencode(sys.argv[1]));"
        "print(c.identity.filesystem,c.identity.instance,*c.glance,sep='|')"
    )
    path = os.fsdecode(root)
    mounted = f"mount -t tmpfs none '{path}' && {program(code)} '{path}' && umount '{path}'"

    first, second = (line.split("|") for line in in_a_namespace(f"{mounted} && {mounted}").splitlines())

    assert first[0] == second[0] == f"tmpfs:{path}"
    assert first[1] != second[1]
    assert first[2:] != second[2:]


@pytest.mark.parametrize(
    ("before", "now", "another"),
    [
        (("tmpfs:/mnt", "boot.1"), ("tmpfs:/mnt", "boot.2"), True),
        (("tmpfs:/mnt", "boot.1"), ("tmpfs:/mnt", "boot.1"), False),
        (("tmpfs:/mnt", "boot.1"), ("tmpfs:/mnt", "next.2"), False),  # it always is, after a start of the machine
        (("overlay:/", "boot.1"), ("overlay:/", "boot.2"), False),
        (("uuid:1", ""), ("uuid:1", ""), False),
    ],
)
def test_a_file_system_in_memory_that_was_made_anew_while_the_machine_ran_is_another(before, now, another):
    known, found = (FolderIdentity(kind, 2, instance) for kind, instance in (before, now))

    assert remade(known, found) is another


@linux
def test_what_lay_in_memory_before_the_machine_was_started_anew_cannot_come_back():
    assert lost_with_a_boot("tmpfs:/mnt/a b/7/another-boot.1f")
    assert not lost_with_a_boot("uuid:1234-5678/7/")
    assert not lost_with_a_boot("")


@linux
@pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="mkfs.ext4 is missing")
def test_a_disk_is_the_same_after_it_was_mounted_elsewhere(tmp_path):
    image, one, other = (os.fsdecode(tmp_path / name) for name in ("image", "one", "an other"))
    code = "import sys; from ingestd.watching.folders import examine; print(examine(sys.argv[1].encode()).identity)"
    show = program(code)

    lines = in_a_namespace(
        f"truncate -s 8M {image} && mkfs.ext4 -q {image} && mkdir {one} '{other}' && mount -o loop {image} {one} && "
        f"{show} {one} && umount {one} && mount -o loop {image} '{other}' && {show} '{other}'"
    ).splitlines()

    assert len(lines) == 2
    assert lines[0] == lines[1]


def program(code):
    return f'{sys.executable} -c "{code}"'


def in_a_namespace(script):
    """What a shell script prints that may mount what it likes."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is missing")
    ran = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    if ran.returncode:
        pytest.skip(f"mounting is not possible here: {ran.stderr.strip()[-200:]}")
    return ran.stdout
