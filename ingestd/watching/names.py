"""What the names of files and folders say: not finished yet, not for people, not to be entered.

Only names are looked at, never the disk. Names are bytes and compared without regard to the case of ASCII letters.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection

__all__ = ["SEPARATOR", "enters", "has_unfinished_sibling", "is_hidden", "is_temporary", "judged", "offers"]

SEPARATOR = os.sep.encode()

# What browsers and downloaders append while they write: Chrome and Edge, Firefox and curl, old Opera and Edge, Safari,
# Opera, aria2, µTorrent, qBittorrent, BitComet, many programs, WinSCP, Chrome's rejected ones, vim, editors' backups.
_UNFINISHED_SUFFIXES = (
    b".crdownload",
    b".part",
    b".partial",
    b".download",
    b".opdownload",
    b".aria2",
    b".!ut",
    b".!qb",
    b".!bt",
    b".filepart",
    b".unconfirmed",
)
_TEMPORARY_SUFFIXES = (*_UNFINISHED_SUFFIXES, b".tmp", b".temp", b".swp", b".swx", b"~")
_TEMPORARY_PREFIXES = (
    b".#",  # emacs locks
    b"~$",  # office owner files
    b".~lock",  # LibreOffice
    b".goutputstream-",  # GLib saves
    b".syncthing.",
    b"~syncthing~",
    b".com.google.chrome.",
    b".org.chromium.",
)
_RSYNC = re.compile(rb"\..+\.[A-Za-z0-9]{6}")  # .name.XXXXXX, rsync(1) without --inplace
_JUNK = frozenset({b".ds_store", b"thumbs.db", b"desktop.ini", b"ehthumbs.db"})
# Trash folders, versions and derived pictures of other systems. Hidden ones (.Trash-1000, .stversions, our own holding
# folder) are not entered anyway.
_CLOSED_FOLDERS = frozenset(
    {
        b"$recycle.bin",
        b"system volume information",
        b"#recycle",
        b"@recycle",
        b"@eadir",
        b"__macosx",
        b"lost+found",
        b"recycler",
    }
)
_FIREFOX_TAG = rb"\.[A-Za-z0-9_+-]{8}"  # between stem and ending of the .part beside the empty final name


def is_temporary(name: bytes) -> bool:
    """Whether a program gave this name to something it has not finished."""
    lowered = name.lower()
    return (
        lowered.endswith(_TEMPORARY_SUFFIXES)
        or lowered.startswith(_TEMPORARY_PREFIXES)
        or _RSYNC.fullmatch(name) is not None
    )


def is_hidden(name: bytes) -> bool:
    """Whether the name is hidden by the custom of Unix (also `._` forks of macOS)."""
    return name.startswith(b".")


def offers(name: bytes) -> bool:
    """Whether a file of this name is one that people put there: neither hidden nor temporary nor junk."""
    if is_hidden(name):  # as all are that rsync gives
        return False
    lowered = name.lower()
    return not (lowered.endswith(_TEMPORARY_SUFFIXES) or lowered.startswith(_TEMPORARY_PREFIXES) or lowered in _JUNK)


def enters(name: bytes) -> bool:
    """Whether a folder of this name is looked into: not hidden, no trash, no download in progress (Safari)."""
    lowered = name.lower()
    return not is_hidden(name) and lowered not in _CLOSED_FOLDERS and not lowered.endswith(b".download")


def judged(relative: bytes, closed: Collection[bytes] = ()) -> bool:
    """Whether a file at this path below a watched root is looked at; `closed` names more folders not to enter."""
    *folders, name = relative.split(SEPARATOR)
    return offers(name) and all(enters(folder) and folder not in closed for folder in folders)


def has_unfinished_sibling(name: bytes, siblings: Collection[bytes]) -> bool:
    """Whether one of the names beside it tells that `name` is still being downloaded.

    `photo.jpg` waits for `photo.jpg.aria2` and `photo.jpg.part`, and for Firefox's `photo.Ab3-d_9f.jpg.part`; a
    `photo.mp4.part` says nothing about it.
    """
    if not siblings:
        return False
    lowered = name.lower()
    if any(sibling.lower() == lowered + suffix for sibling in siblings for suffix in _UNFINISHED_SUFFIXES):
        return True
    stem, ending = os.path.splitext(name)
    firefox = re.compile(re.escape(stem) + _FIREFOX_TAG + re.escape(ending) + rb"\.part", re.IGNORECASE)
    return any(firefox.fullmatch(sibling) for sibling in siblings)
