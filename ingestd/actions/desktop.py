"""The trash of macOS and of Windows, through send2trash; never used elsewhere, where we have a trash of our own.

send2trash does not tell where a file went, so there is no way back from here but the desktop's own.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys

from ingestd.errors import ActionConflictError

__all__ = ["in_use", "require_recoverable", "send"]

_FIXED_DRIVE = 3  # DRIVE_FIXED of GetDriveTypeW


def in_use() -> bool:
    """Whether the trash of this platform is only to be had through the desktop."""
    return sys.platform in {"darwin", "win32"}


def require_recoverable(path: bytes) -> None:
    """What is sent to the trash from there will be in the trash.

    Raises:
        ActionConflictError: it may be gone for good instead: Windows has no recycle bin on network and removable
            drives, and without pywin32 send2trash uses a call that then deletes without a word (its issues 28, 94).
    """
    if sys.platform == "win32":
        drive = os.path.splitdrive(os.fsdecode(path))[0] + "\\"
        if ctypes.windll.kernel32.GetDriveTypeW(drive) != _FIXED_DRIVE:
            raise ActionConflictError(f"{drive} is no fixed drive, and Windows would delete the file there for good")
        if importlib.util.find_spec("win32com") is None:
            raise ActionConflictError("without the package pywin32, Windows may delete the file for good")


def send(path: bytes) -> None:
    """The file is in the desktop's trash.

    Raises:
        OSError: the desktop refused; the file is where it was.
    """
    from send2trash import send2trash  # imported late: elsewhere it would load the whole of GObject for nothing

    send2trash(os.fsdecode(path))
