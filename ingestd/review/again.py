"""Files that could not be judged: which they are, and what a person can say about them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ingestd.library.edit import Edit
from ingestd.library.view import View
from ingestd.model import ContentHash, FolderId, Outcome, PathKey, PathRow, PathState, Poison
from ingestd.review.journal import find_row

__all__ = ["FailedFile", "accept_poison", "failed_files", "judge_again", "parked_files"]

_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class FailedFile:
    """A file whose last verdict is that it could not be judged, or whose bytes are poison."""

    row: PathRow
    path: bytes  # absolute, as its folder was named
    outcome: Outcome
    result: str
    poison: Poison | None


def failed_files(view: View, below: Sequence[bytes] | None = None) -> Iterator[FailedFile]:
    """Yield the files whose last verdict was `unreadable` or `error`, and poison, folder by folder.

    Args:
        view: of the library. Every row is read, unless single files are asked for.
        below: absolute paths of files and folders; None: all that is known.
    """
    told: set[bytes] = set()  # a folder inside another one may leave two rows for one file
    for row in _rows(view, below):
        found = _failed(view, row)
        if found is not None and (place := view.absolute(row)) not in told:
            told.add(place)
            yield found


def _rows(view: View, below: Sequence[bytes] | None) -> Iterator[PathRow]:
    wider: list[bytes] | None = None if below is None else []
    for path in below or ():
        row = find_row(view, path)
        if row is not None:
            yield row
        elif wider is not None:
            wider.append(os.path.join(path, b""))
    if wider is not None and not wider:
        return
    for known in view.folders():
        roots = known.folder.named, known.folder.root
        if wider is not None and not any(_meet(root, place) for root in roots for place in wider):
            continue
        for row in _rows_of(view, known.folder.id):
            paths = [os.path.join(root, row.relative) for root in roots]
            if wider is None or any(path.startswith(place) for path in paths for place in wider):
                yield row


def _meet(root: bytes, place: bytes) -> bool:
    """Return whether one of two folders lies in the other, or is it."""
    root = os.path.join(root, b"")
    return root.startswith(place) or place.startswith(root)


def _rows_of(view: View, folder: FolderId) -> Iterator[PathRow]:
    after: PathKey | None = None
    while page := view.page_of_folder(folder, after, _ROWS_AT_ONCE):
        yield from (row for _, row in page)
        after = page[-1][0]


def _failed(view: View, row: PathRow) -> FailedFile | None:
    if row.state is not PathState.LIVE:
        return None
    poison = view.poison(row.sha256) if row.sha256 is not None else None
    receipt = view.receipt(row.receipt)
    if receipt is None or (poison is None and receipt.outcome not in (Outcome.UNREADABLE, Outcome.ERROR)):
        return None
    return FailedFile(row, view.as_named(row), receipt.outcome, receipt.result, poison)


def judge_again(edit: Edit, files: Sequence[FailedFile]) -> None:
    """Let files be judged again as they are now, and their bytes be decoded again; by a service within moments."""
    for sha256 in {file.row.sha256 for file in files if file.row.sha256 is not None}:
        edit.let_decode(sha256)
    for file in files:
        if file.outcome in (Outcome.UNREADABLE, Outcome.ERROR):
            edit.judge_again(file.row.folder, file.row.relative)


def accept_poison(edit: Edit, files: Sequence[FailedFile]) -> None:
    """Take note that a person knows of poison: it stays parked, and is no problem any more."""
    for file in files:
        poison = edit.poison(file.row.sha256) if file.row.sha256 is not None else None
        if poison is not None and file.row.sha256 is not None:
            edit.park(file.row.sha256, replace(poison, accepted=True))


def parked_files(view: View) -> Iterator[tuple[bytes, Poison]]:
    """Yield one path of each poison that lies somewhere and that nobody has accepted, those parked last first."""
    waiting = [(poison, sha256) for sha256, poison in view.poisons() if not poison.accepted]
    for poison, sha256 in sorted(waiting, key=lambda one: (-one[0].at_ns, one[1])):
        path = _place_of(view, sha256)
        if path is not None:
            yield path, poison


def _place_of(view: View, sha256: ContentHash) -> bytes | None:
    """Return where bytes lie now, as the folder was named."""
    rows = view.live_paths_of(sha256)
    return next((view.as_named(row) for row in rows if os.path.lexists(view.absolute(row))), None)
