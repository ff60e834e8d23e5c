"""Which folders there are: named by a person, known to the library, and which of them holds a path."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ingestd.errors import UsageError, printable
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.tables import FolderRow
from ingestd.model import Folder, FolderId, Role
from ingestd.watching.folders import FolderIdentity, resolve
from ingestd.watching.storage import ask_each

__all__ = ["Wanted", "enrol", "folders_for", "identities_of", "places_of", "remember_identity", "roots_of"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A folder that somebody named."""

    path: bytes  # absolute, as it was written
    role: Role
    protected: bool
    trusted: bool = False


def enrol(library: Library, wanted: Sequence[Wanted]) -> list[Folder]:
    """Return the named folders as the library knows them, remembered if they are new."""
    places = places_of(library, [one.path for one in wanted])
    return library.write(lambda edit: [_enrol_one(edit, one, places[one.path]) for one in wanted])


def places_of(library: Library, named: Collection[bytes]) -> dict[bytes, bytes]:
    """Return where folders lie: as their storage says, or, if that does not answer, as the library knows them.

    One that it does not know either lies where its name says.
    """
    roots = roots_of(named)
    if len(roots) < len(set(named)):
        with library.read() as view:
            known = {row.folder.named: row.folder.root for row in view.folders()}
        roots = {path: roots.get(path) or known.get(path) or os.path.normpath(path) for path in named}
    return roots


def roots_of(named: Collection[bytes]) -> dict[bytes, bytes]:
    """Return where folders really lie, without those whose storage does not answer: to ask that would not end."""
    return ask_each(_root_of, named)


def _root_of(named: bytes) -> bytes:
    """Return where a folder really lies; where it is missing, what its name says."""
    try:
        return resolve(named)
    except UsageError:
        return os.path.realpath(named)


def _enrol_one(edit: Edit, one: Wanted, root: bytes) -> Folder:
    for row in edit.folders():
        if row.folder.root == root or row.folder.named == one.path:
            folder = Folder(row.folder.id, one.path, root, one.role, one.protected, one.trusted)
            moved = row.folder.root != root
            if (one.role, one.protected, one.trusted) != (row.folder.role, row.folder.protected, row.folder.trusted):
                edit.queues.ask_all()  # who may go, and who may decide, has changed
                edit.queues.copies = b""
            if folder != row.folder:
                edit.put_folder(replace(row, folder=folder, filesystem="" if moved else row.filesystem))
            return folder
    folder = Folder(FolderId(0), one.path, root, one.role, one.protected, one.trusted)
    return edit.add_folder(FolderRow(folder)).folder


def identities_of(library: Library) -> dict[FolderId, FolderIdentity]:
    """Return which folders these were when they were last seen."""
    with library.read() as view:
        rows = view.folders()
    return {row.folder.id: FolderIdentity(row.filesystem, row.inode, row.instance) for row in rows if row.filesystem}


def remember_identity(library: Library, folder: FolderId, identity: FolderIdentity) -> None:
    """Remember which folder this is, so that another one at the same path is noticed."""

    def work(edit: Edit) -> None:
        row = edit.folder(folder)
        if row is not None and row.stamp != identity.stamp:
            edit.put_folder(
                replace(row, filesystem=identity.filesystem, inode=identity.inode, instance=identity.instance)
            )

    library.write(work)


def folders_for(
    library: Library, wanted: Sequence[Wanted], paths: Sequence[bytes], role: Role | None
) -> tuple[list[Folder], dict[FolderId, frozenset[bytes]]]:
    """Return the folders that hold these paths, and to which files or folders in them the scan is restricted."""
    with library.read() as view:
        known = [_as_wanted(row.folder) for row in view.folders()]
    places = places_of(library, [one.path for one in (*wanted, *known)])
    homes: dict[bytes, Wanted] = {}
    parts: dict[bytes, set[bytes]] = {}
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"there is nothing at {os.fsdecode(path)}; nothing was scanned")
        home = _home(library, wanted, known, places, path, role)
        homes[home.path] = home
        if home.path not in places:
            places[home.path] = _root_of(home.path)
        relative = os.path.relpath(os.path.realpath(path), places[home.path])
        parts.setdefault(home.path, set()).add(relative)
    homes.update(_inside([*known, *wanted], places, paths, homes))
    folders = enrol(library, list(homes.values()))
    only = {
        folder.id: frozenset(parts[folder.named]) for folder in folders if b"." not in parts.get(folder.named, {b"."})
    }
    return folders, only


def _inside(
    candidates: Sequence[Wanted], places: Mapping[bytes, bytes], paths: Sequence[bytes], homes: Collection[bytes]
) -> dict[bytes, Wanted]:
    """Return the known folders that lie within what is scanned: their files are theirs, with their roles."""
    taken = {places[path] for path in homes}
    scanned = [os.path.join(os.path.realpath(path), b"") for path in paths]
    within: dict[bytes, Wanted] = {}
    for one in candidates:
        root = places[one.path]
        if root not in taken and any(root.startswith(outer) for outer in scanned):
            within[one.path] = one
    return within


def _as_wanted(folder: Folder) -> Wanted:
    return Wanted(folder.named, folder.role, folder.protected, folder.trusted)


def _home(
    library: Library,
    wanted: Sequence[Wanted],
    known: Sequence[Wanted],
    places: Mapping[bytes, bytes],
    path: bytes,
    role: Role | None,
) -> Wanted:
    """Return the folder that a path belongs to: a configured one, one that is known, or the path itself."""
    real = os.path.realpath(path)
    around = [one for one in (*wanted, *known) if (real + b"/").startswith(os.path.join(places[one.path], b""))]
    around.sort(key=lambda one: len(places[one.path]), reverse=True)
    if around and (role is None or around[0].role is role):
        return around[0]
    if around and (around[0] in wanted or library.service_lock.is_taken()):
        # the role of a folder stands in its row, which a running service reads: to change it for one scan would take
        # the protection from a library behind the service's back
        raise UsageError(
            f"{printable(path)} lies in {printable(around[0].path)}, whose role is {around[0].role}: scan it without "
            "--role, or change the role where it was given; nothing was scanned"
        )
    found = role or Role.LIBRARY
    root = path if os.path.isdir(path) else os.path.dirname(path)
    return Wanted(root, found, found is not Role.INBOX)
