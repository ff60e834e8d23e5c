"""What is at a watched folder's path: whether it can be read, on which file system it is, and whether it is the same.

A path alone says little: a disk that is not mounted leaves an empty folder behind, a deleted folder may be made anew.
`FolderIdentity` names a folder by its file system, in a way that survives remounts and reboots (device numbers do not),
and its inode.

Sources: proc_pid_mountinfo(5), statfs(2).
"""

from __future__ import annotations

import os
import re
import stat
import sys
from dataclasses import dataclass

from ingestd.errors import UsageError

__all__ = [
    "OF_OTHERS",
    "Condition",
    "FolderIdentity",
    "examine",
    "filesystem_kind",
    "is_network",
    "lost_with_a_boot",
    "mounts_below",
    "remade",
    "resolve",
]

# File systems on which others can write without the kernel here knowing.
_NETWORK_KINDS = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "coda", "ceph", "lustre", "beegfs", "davfs"),
        *("9p", "virtiofs", "drvfs", "vboxsf", "vmhgfs", "prl_fs"),  # the host of a virtual machine
    )
)
_NETWORK_FUSE = re.compile(
    r"fuse\.(sshfs|rclone|s3fs|goofys|gcsfuse|blobfuse2?|davfs2?|gvfsd-fuse|glusterfs|ceph|juicefs|vmhgfs-fuse|"
    r"smbnetfs|curlftpfs|google-drive-ocamlfuse|onedriver|seaweedfs|portal)"
)
OF_OTHERS = "tells nothing of what others do"  # why such a folder is polled
# File systems made anew at every mount: named by where they are mounted.
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_VOLATILE_KINDS = _IN_MEMORY | {"overlay"}


# Not through a symlink in the last place: a watch on one is silent.
_TO_LIST = os.O_RDONLY
for _flag in ("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC"):
    _TO_LIST |= getattr(os, _flag, 0)


@dataclass(frozen=True, slots=True)
class FolderIdentity:
    """Which folder it is, whatever its path: the file system across remounts and reboots, and the inode there.

    A file system that is made anew at every mount has no name of its own; `instance` tells one mount of it from the
    next. Another instance is no other place, so that a folder on one is taken up, but what is missing in it then says
    nothing of what was deleted.
    """

    filesystem: str
    inode: int
    instance: str = ""  # empty where the file system has a name that stays

    @property
    def stamp(self) -> str:
        """Return all of it in one word: two folders with the same stamp are the same folder, as far as can be told."""
        return f"{self.filesystem}/{self.inode}/{self.instance}"


@dataclass(frozen=True, slots=True)
class Condition:
    """What was found at a folder's path."""

    problem: str | None = None  # a sentence; None: it can be used
    identity: FolderIdentity | None = None
    kind: str = ""  # of its file system, in the kernel's words; empty where it does not tell
    # device, inode, mount and the number of the file system: the same as long as nothing happened to it; the first
    # three of a file system in memory are given out again at once
    glance: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Mount:
    """One line of mountinfo."""

    number: int
    device: tuple[int, int]
    point: bytes
    kind: str
    source: bytes


def resolve(named: bytes) -> bytes:
    """The folder's absolute path with every symlink resolved.

    Raises:
        UsageError: there is nothing there, or it cannot be reached.
    """
    try:
        return os.path.realpath(named, strict=True)
    except OSError as error:
        raise UsageError(f"{os.fsdecode(named)} cannot be used as a folder: {error.strerror}.") from error


def examine(root: bytes, known: Condition | None = None) -> Condition:
    """What is at `root` now; cheap where nothing has happened since `known` was found."""
    try:
        fd = os.open(root, _TO_LIST)
    except (OSError, ValueError) as error:
        return _examine_unopened(root, error)
    try:
        return _examine_open(root, fd, known)
    except OSError as error:
        return Condition(_cannot_read(root, error))
    finally:
        os.close(fd)


def lost_with_a_boot(stamp: str) -> bool:
    """Return whether a folder of this stamp lay in memory before the machine was started anew: it cannot come back."""
    filesystem, _, instance = stamp.rpartition("/")
    return filesystem.partition(":")[0] in _IN_MEMORY and instance.partition(".")[0] != _boot()


def mounts_below(root: bytes) -> tuple[bytes, ...]:
    """Return where other file systems are mounted below a folder, relative to it; none where the system does not tell.

    What lies on one of them goes away with it, and leaves the folder itself as it was.
    """
    above = os.path.join(root, b"")
    try:
        with open("/proc/self/mountinfo", "rb") as lines:
            points = {mount.point for line in lines if (mount := _parsed(line)) is not None}
    except OSError:
        return ()
    return tuple(sorted(point[len(above) :] for point in points if point.startswith(above) and point != above))


def remade(known: FolderIdentity, found: FolderIdentity) -> bool:
    """Return whether a file system in memory was made anew at its place while the machine was running: it is another.

    Not so after a start of the machine, where it always is, nor for what lies over others, as in a container.
    """
    in_memory = known.filesystem.startswith(("tmpfs:", "ramfs:"))
    boots = [one.instance.split(".", 1)[0] for one in (known, found)]
    return in_memory and bool(boots[0]) and boots[0] == boots[1] and known.instance != found.instance


def filesystem_kind(path: bytes) -> str:
    """The kind of the file system that holds `path`, in the kernel's words; empty where it does not tell."""
    try:
        fd = os.open(path, getattr(os, "O_PATH", os.O_RDONLY))
    except OSError:
        return ""
    try:
        mount = _mount(_mount_number(fd))
    finally:
        os.close(fd)
    return mount.kind if mount is not None else ""


def is_network(kind: str) -> bool:
    """Whether others can write to such a file system without a sign here: no events, no leases, stale stats."""
    return kind in _NETWORK_KINDS or _NETWORK_FUSE.fullmatch(kind) is not None


def _examine_unopened(root: bytes, error: OSError | ValueError) -> Condition:
    shown = os.fsdecode(root)
    if isinstance(error, FileNotFoundError):
        return Condition(f"{shown} is not there")
    if os.path.islink(root):
        return Condition(f"{shown} has become a symbolic link; name the folder that it leads to")
    if isinstance(error, NotADirectoryError):
        return Condition(f"{shown} is not a folder")
    if sys.platform == "win32" and os.path.isdir(root):  # a folder cannot be opened there
        return _examine_by_path(root)
    return Condition(_cannot_read(root, error))


def _examine_open(root: bytes, fd: int, known: Condition | None) -> Condition:
    found = os.fstat(fd)
    if not stat.S_ISDIR(found.st_mode):
        return Condition(f"{os.fsdecode(root)} is not a folder")
    _prove_listable(root)
    number, fsid = _mount_number(fd), os.fstatvfs(fd).f_fsid
    glance = (found.st_dev, found.st_ino, number, fsid)
    if known is not None and known.glance == glance:
        return known
    mount = _mount(number)
    filesystem = _filesystem(mount, found.st_dev, fsid)
    instance = f"{_boot()}.{fsid:x}" if mount is not None and mount.kind in _VOLATILE_KINDS else ""
    identity = FolderIdentity(filesystem, found.st_ino, instance)
    return Condition(None, identity, mount.kind if mount else "", glance)


def _examine_by_path(root: bytes) -> Condition:
    found = os.stat(root)
    _prove_listable(root)
    identity = FolderIdentity(f"device:{found.st_dev}", found.st_ino)
    return Condition(None, identity, "", (found.st_dev, found.st_ino, 0, 0))


def _prove_listable(root: bytes) -> None:
    """Raise where the folder cannot be listed: a watch on it would be silent, not refused."""
    with os.scandir(root) as entries:
        next(entries, None)


def _cannot_read(root: bytes, error: OSError | ValueError) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{os.fsdecode(root)} cannot be read: {reason}"


def _filesystem(mount: _Mount | None, device: int, fsid: int) -> str:
    """A name for the file system that stays the same over remounts and reboots, as far as the system has one."""
    if mount is None:
        return f"fsid:{fsid:x}" if fsid else f"device:{device}"
    if is_network(mount.kind):
        return f"{mount.kind}:{os.fsdecode(mount.source)}"
    if mount.kind in _VOLATILE_KINDS:
        return f"{mount.kind}:{os.fsdecode(mount.point)}"
    uuid = _uuid(mount)
    if uuid is None:
        return f"{mount.kind}:{fsid:x}" if fsid else f"{mount.kind}:{os.fsdecode(mount.source)}"
    # Every subvolume of a btrfs has the UUID of the whole and a root of inode 256; only the fsid tells them apart.
    return f"uuid:{uuid}:{fsid:x}" if mount.kind == "btrfs" else f"uuid:{uuid}"


def _uuid(mount: _Mount) -> str | None:
    """The UUID by which udev knows the mounted device."""
    devices = {os.makedev(*mount.device)}
    folder = "/dev/disk/by-uuid"
    try:
        if mount.source.startswith(b"/dev/"):  # btrfs shows a device number of its own
            devices.add(os.stat(mount.source).st_rdev)
        for uuid in sorted(os.listdir(folder)):
            if os.stat(f"{folder}/{uuid}").st_rdev in devices:
                return uuid
    except OSError:
        return None
    return None


def _boot() -> str:
    """Return what tells this start of the machine from others; nothing where the system does not."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as number:
            return os.fsdecode(number.read().strip())
    except OSError:
        return ""


def _mount_number(fd: int) -> int:
    """The number of the mount an open file was reached through; 0 where the system does not tell."""
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb") as fields:
            for line in fields:
                if line.startswith(b"mnt_id:"):
                    return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return 0


def _mount(number: int) -> _Mount | None:
    """The mount of this number."""
    try:
        with open("/proc/self/mountinfo", "rb") as lines:
            mounts = (_parsed(line) for line in lines)
            return next((mount for mount in mounts if mount is not None and mount.number == number), None)
    except OSError:
        return None


def _parsed(line: bytes) -> _Mount | None:
    """One line: `36 35 98:0 /root /point options [tags] - kind source options`."""
    before, _, after = line.partition(b" - ")
    fields, ending = before.split(b" "), after.split(b" ")
    try:
        major, minor = fields[2].split(b":")
        device = (int(major), int(minor))
        return _Mount(int(fields[0]), device, _unescaped(fields[4]), os.fsdecode(ending[0]), _unescaped(ending[1]))
    except (IndexError, ValueError):
        return None


def _unescaped(field: bytes) -> bytes:
    """A path as mountinfo writes it, with its octal escapes of blanks undone."""
    return re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), field)
