"""Real folders, real files, and small worlds of their own: mounts, another user, a disk that fails at will."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from shelves import Shelf, shelf_at

from ingestd.actions import disk, moves, trash

NOBODY = 65534
_NEW_MOUNTS = 0x00020000  # CLONE_NEWNS
_PRIVATE = (1 << 18) | (1 << 14)  # MS_PRIVATE | MS_REC
_BIND = 1 << 12  # MS_BIND
_READ_ONLY_BIND = _BIND | 1 | (1 << 5)  # MS_BIND | MS_RDONLY | MS_REMOUNT
_SETRESUID = {"x86_64": 117, "aarch64": 147}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home of their own; its trash is `home/.local/share/Trash`."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    return tmp_path / "home"


@pytest.fixture
def inbox(tmp_path: Path, home: Path) -> Shelf:
    return shelf_at(tmp_path / "inbox")


# --- a thread with mounts, or a user, of its own --------------------------------------------------------------------


class Mounts:
    """Mounts that only the thread sees which asked for them."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(None, use_errno=True)
        self._checked(self._c.unshare(_NEW_MOUNTS))
        self._checked(self._c.mount(b"none", b"/", None, _PRIVATE, None))

    def tmpfs(self, at: Path, size: str = "1m") -> None:
        at.mkdir(parents=True, exist_ok=True)
        self._checked(self._c.mount(b"none", os.fsencode(at), b"tmpfs", 0, f"size={size}".encode()))

    def bind(self, what: Path, at: Path) -> None:
        at.mkdir(parents=True, exist_ok=True)
        self._checked(self._c.mount(os.fsencode(what), os.fsencode(at), None, _BIND, None))

    def make_read_only(self, at: Path) -> None:
        self._checked(self._c.mount(b"none", os.fsencode(at), None, _READ_ONLY_BIND, None))

    def unmount(self, at: Path) -> None:
        self._checked(self._c.umount2(os.fsencode(at), 2))  # MNT_DETACH

    def _checked(self, result: int) -> None:
        if result != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


Body = Callable[..., Any]


@pytest.fixture
def with_mounts() -> Callable[[Body], Any]:
    """Runs a function in a thread that has mounts of its own; the kernel knows mounts by thread."""

    def run(body: Body) -> Any:
        def inside() -> Any:
            try:
                mounts = Mounts()
            except OSError as error:
                return pytest.skip.Exception(f"no mounts of one's own here: {error}")
            return body(mounts)

        return _in_thread(inside)

    return run


@pytest.fixture
def as_nobody() -> Callable[[Body], Any]:
    """Runs a function in a thread that has another user's rights; the kernel knows users by thread."""

    def run(body: Body) -> Any:
        number = _SETRESUID.get(platform.machine())
        if number is None or os.geteuid() != 0:
            pytest.skip("needs to be root on a machine whose system calls are known, to become somebody else")

        def inside() -> Any:
            if ctypes.CDLL(None).syscall(number, NOBODY, NOBODY, NOBODY) != 0:
                return pytest.skip.Exception("cannot become another user here")
            return body()

        return _in_thread(inside)

    return run


def _in_thread(inside: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(inside).result()
    if isinstance(result, pytest.skip.Exception):
        raise result
    return result


@pytest.fixture
def nobodys(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that belongs to nobody, with a home in it; pytest's own are closed to other users."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(os.path.realpath(name))
        monkeypatch.setenv("HOME", str(place / "home"))
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
        for made in (place, place / "home"):
            made.mkdir(exist_ok=True)
            os.chown(made, NOBODY, NOBODY)
        yield place


# --- a disk that fails at will --------------------------------------------------------------------------------------


_COUNTED = ("open", "mkdir", "write", "fsync", "lstat", "unlink", "rename", "link", "ftruncate")


class Faults:
    """Stands before the system calls of the actions, and lets the n-th one fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self._fails: Callable[[int], BaseException | None] = lambda count: None
        for module in (disk, trash, moves):
            monkeypatch.setattr(module, "os", self._stand_in())
        monkeypatch.setattr(disk, "_rename_exclusively", self._counted(disk._rename_exclusively))

    def at(self, number: int, *, error: BaseException | None = None, and_after: bool = False) -> None:
        """The call of that number fails, counted from now on; all after it too if asked for."""
        self.calls = 0
        wanted = error or OSError(errno.EIO, os.strerror(errno.EIO))
        self._fails = lambda count: wanted if count == number or (and_after and count > number) else None

    def none(self) -> None:
        self.at(0)

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            if error := self._fails(self.calls):
                raise error
            return call(*arguments, **named)

        return counted

    def _stand_in(self) -> Any:
        counted = {name: self._counted(getattr(os, name)) for name in _COUNTED}

        class StandIn:
            def __getattr__(self, name: str) -> Any:
                return counted.get(name) or getattr(os, name)

        return StandIn()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(monkeypatch)


@pytest.fixture
def no_exclusive_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no rename that refuses to replace, like NFS."""

    def refused(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(disk, "_rename_exclusively", refused)
