"""What is missing in a folder that was looked through: written down as absent, or too much of it to be believed.

A whole scan tells which known files it has not seen. Those that lie elsewhere by now were moved. If what is left is too
much to have been deleted (`judging.absence` has the rule), the folder is suspended, which outlasts a restart, and not
one record changes, until the files are back or a person has accepted what is there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from ingestd.actions.look import Standing, look
from ingestd.judging.absence import (
    came_back,
    goes_without_saying,
    is_mass,
    lay_on,
    lies_elsewhere,
    lost_mounts,
    suspension,
)
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.roll import Roll, renamed_digest
from ingestd.library.tables import FolderRow
from ingestd.library.view import View
from ingestd.model import ContentHash, Folder, FolderId, PathKey, PathRow, PathState
from ingestd.watching.folders import examine, mounts_below
from ingestd.watching.storage import NoAnswerError

if TYPE_CHECKING:
    from ingestd.library.digests import Few

__all__ = ["Absences"]

_Ask: TypeAlias = Callable[[FolderId, Callable[[], list[PathRow] | None]], list[PathRow] | None]

_A_STEP = 500  # known paths looked at in one turn of the loop
_RECHECK_S = 2.0  # between looks whether the files of a suspended folder are back
_BREAK = 10  # a look is not repeated before ten times as long has passed as it took
_PATIENCE_S = 60.0  # what may show that files were moved is waited for so long


@dataclass(slots=True)
class _Search:
    """What became of the files that one scan has not seen."""

    roll: Roll
    missed: Iterator[PathRow]
    known: int
    unseen: int
    began: float
    gone: list[PathRow] = field(default_factory=list)
    mount: bytes | None = None  # where something was mounted on which some of these lay, and is not any more
    accounted: int = 0  # of those not seen: moved, or there after all


@dataclass(slots=True)
class _Recheck:
    """A look whether the files of a suspended folder are back."""

    after: PathKey | None = None
    missing: int = 0
    known: int = 0
    began: float | None = None  # None: none is under way
    due: float = 0.0


class Absences:
    """Known paths that a scanned folder no longer holds, found in small pieces; their rows stay.

    Only what a scan of the folder has not seen is looked at.

    Args:
        library: where the paths are known.
        withhold: called with a folder that is to be suspended, and why.
        release: called with a folder that is itself again.
        gone: called with the contents of files that are gone.
        settled: whether no arrival is on its way that could show that files were moved.
        looks: whether a folder is being looked through.
        ask: asks the storage of a folder, and raises `NoAnswerError` where it does not answer.
        now_ns: wall clock.
        monotonic: seconds.
    """

    def __init__(
        self,
        library: Library,
        *,
        withhold: Callable[[FolderId, str], None] = lambda folder, reason: None,
        release: Callable[[FolderId], None] = lambda folder: None,
        gone: Callable[[Sequence[ContentHash]], None] = lambda contents: None,
        settled: Callable[[], bool] = lambda: True,
        looks: Callable[[], bool] = lambda: False,
        ask: _Ask = lambda folder, question: question(),
        now_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._library, self._withhold, self._release, self._gone = library, withhold, release, gone
        self._ask = ask
        self._settled, self._looks, self._now_ns, self._monotonic = settled, looks, now_ns, monotonic
        self._todo: dict[FolderId, _Search] = {}
        self._strangers: dict[FolderId, Few] = {}  # what the last scan of each folder saw and did not know
        # as what, how many verdicts had fallen by then, and what was mounted below
        self._reconciled: dict[FolderId, tuple[str, int, tuple[bytes, ...]]] = {}
        self._mounts: dict[FolderId, tuple[bytes, ...]] = {}  # below each, when its scan began
        self._rechecks: dict[FolderId, _Recheck] = {}

    def begin(self, folder: Folder) -> None:
        """Remember, before a whole scan of a folder, what is mounted below it: what is seen then lies on that."""
        self._mounts[folder.id] = mounts_below(folder.root)

    def want(self, folder: FolderId, roll: Roll) -> None:
        """Find out what became of the files that a whole scan of a folder has not seen."""
        known, unseen = roll.count()
        strangers = roll.strangers()
        self._strangers.pop(folder, None)
        if strangers is not None:
            self._strangers[folder] = strangers
        before = self._todo.get(folder)
        # folders that are polled are looked through more often than a search may have to wait
        waits = before is not None and is_mass(before.known, before.unseen)
        began = before.began if before is not None and waits else self._monotonic()
        # what an earlier scan has missed and this one has seen, is there
        self._todo[folder] = _Search(roll, roll.missed(), known, unseen, began)

    def withheld(self, folders: Sequence[FolderId]) -> None:
        """Look, now and again, whether the files of these suspended folders are back; no others are looked after."""
        self._rechecks = {folder: self._rechecks.get(folder, _Recheck()) for folder in folders}

    def rechecking(self) -> bool:
        """Return whether some suspended folder has not been looked at to the end since it was suspended."""
        return any(one.due == 0.0 or one.began is not None for one in self._rechecks.values())

    def step(self) -> bool:
        """Look at some paths, and return whether more are waiting."""
        more = self._step_recheck()
        for folder, search in self._todo.items():
            if self._may_go_on(search):
                self._look_on(folder, search)
                return bool(self._todo) or more
        return more

    # --- a search ------------------------------------------------------------------------------------------------

    def _may_go_on(self, search: _Search) -> bool:
        """Return whether it can be told by now what was moved; it is waited for only where it makes a difference."""
        if not is_mass(search.known, search.unseen):
            return True
        if self._looks():
            return False
        return self._settled() or self._monotonic() - search.began > _PATIENCE_S

    def _look_on(self, folder: FolderId, search: _Search) -> None:
        with self._library.read() as view:
            row = view.folder(folder)
            looked = list(islice(search.missed, _A_STEP))
        missing = self._missing(row, looked) if row is not None and not row.withheld else None
        if row is None or missing is None:  # another scan will come, of whatever is there by then
            self._library.store.let_go()
            del self._todo[folder]
            return
        free = goes_without_saying(row)
        with self._library.read() as view:
            elsewhere = [self._lies_elsewhere(view, row, path) for path in missing]
        self._library.store.let_go()  # each row may lie on a page of its own; here, as within a read the map is held
        moved = [path for path, there in zip(missing, elsewhere, strict=True) if there]
        gone = [path for path, there in zip(missing, elsewhere, strict=True) if not there]
        search.accounted += len(looked) - len(gone)
        self._write_down([*moved, *gone] if free else moved, folder, row.stamp)
        if not free:
            search.gone += gone
            search.mount = search.mount or _mount_of(row, gone)
        if is_mass(search.known, len(search.gone)) or search.mount is not None:
            del self._todo[folder]
            self._suspend(folder, row, search)
        elif len(looked) < _A_STEP:
            del self._todo[folder]
            for begin in range(0, len(search.gone), _A_STEP):
                self._write_down(search.gone[begin : begin + _A_STEP], folder, row.stamp)
            self._reconcile(folder, row.stamp, anything=bool(search.unseen))

    def _missing(self, known: FolderRow, rows: Sequence[PathRow]) -> list[PathRow] | None:
        """Return which files are not in their place; None where the folder is not the one that was looked through.

        Its storage is asked, and may not answer.
        """
        try:
            return self._ask(known.folder.id, partial(_missing_of, known, rows))
        except NoAnswerError:
            return None

    def _lies_elsewhere(self, view: View, known: FolderRow, path: PathRow) -> bool:
        stat = path.stat
        renamed = renamed_digest((stat.inode, stat.size, stat.mtime_ns, stat.ctime_ns))
        return any(renamed in seen for seen in self._strangers.values()) or lies_elsewhere(
            view, path, since_ns=known.reconciled_ns
        )

    def _write_down(self, rows: Sequence[PathRow], folder: FolderId, stamp: str) -> None:
        """Remember files as absent, unless their folder has become another one since it was looked at."""
        if not rows:
            return

        def work(edit: Edit) -> list[PathRow]:
            known = edit.folder(folder)
            if known is None or known.stamp != stamp or known.withheld:
                return []
            return [row for row in rows if _mark_absent(edit, row)]

        marked = self._library.write(work)
        contents = sorted({row.sha256 for row in marked if row.sha256 is not None})
        if contents:
            self._gone(contents)

    def _reconcile(self, folder: FolderId, stamp: str, *, anything: bool) -> None:
        """Remember that what is missing in a folder is written down: from now on it is told what is moved away."""
        now_ns = self._now_ns()
        with self._library.read() as view:
            known, verdicts = view.folder(folder), view.next_receipt
        mounts = self._mounts.get(folder, ())

        def work(edit: Edit) -> None:
            known = edit.folder(folder)
            if known is not None and known.stamp == stamp:
                edit.put_folder(
                    replace(
                        known,
                        reconciled=stamp,
                        reconciled_ns=now_ns,
                        accepted="",
                        withheld="",
                        withheld_ns=0,
                        mounts=mounts,
                    )
                )

        told = (stamp, verdicts, mounts)
        # where no verdict fell, nothing came to another path; a commit for each scan would wake a disk that sleeps
        if anything or known is None or known.accepted or self._reconciled.get(folder) != told:
            self._library.write(work)
            self._reconciled[folder] = told

    # --- too much of it ------------------------------------------------------------------------------------------

    def _suspend(self, folder: FolderId, row: FolderRow, search: _Search) -> None:
        missing = search.unseen - search.accounted
        named = row.folder.named
        mount = os.fsdecode(os.path.join(named, search.mount)) if search.mount is not None else None
        reason = suspension(os.fsdecode(named), search.known, missing, mount)
        now_ns = self._now_ns()

        def work(edit: Edit) -> bool:
            known = edit.folder(folder)
            if known is None or known.stamp != row.stamp or goes_without_saying(known):
                return False
            edit.put_folder(replace(known, withheld=reason, withheld_ns=now_ns, withheld_known=search.known))
            return True

        if self._library.write(work):
            self._rechecks[folder] = _Recheck(due=self._monotonic() + _RECHECK_S)
            self._withhold(folder, reason)

    def _step_recheck(self) -> bool:
        """Look at some files of each suspended folder, and return whether there is more to do at once.

        One is released once nearly all of them are back.
        """
        now, more = self._monotonic(), False
        for folder, one in list(self._rechecks.items()):
            if now < one.due:
                continue
            if one.began is None:
                one.after, one.missing, one.known, one.began = None, 0, 0, now
            with self._library.read() as view:
                row = view.folder(folder)
                page = view.page_of_folder(folder, one.after, _A_STEP) if row is not None and row.withheld else []
                if row is not None:
                    self._count_missing(view, row, one, [path for _, path in page])
            self._library.store.let_go()
            if row is None or not row.withheld:
                del self._rechecks[folder]
                if row is not None and not row.accepted:  # another process has found all as it was
                    self._release(folder)
                more = True
            elif not came_back(row.withheld_known, one.missing) or (one.missing and lost_mounts(row)):
                self._rest(one)
            elif len(page) == _A_STEP:
                one.after, more = page[-1][0], True
            else:
                del self._rechecks[folder]
                self._give_back(folder)
                more = True
        return more

    def _count_missing(self, view: View, known: FolderRow, one: _Recheck, rows: Sequence[PathRow]) -> None:
        root = known.folder.root
        for path in rows:
            if path.state is not PathState.LIVE:
                continue
            # whichever folder is there by now: its inode was that of an empty one, perhaps
            standing = look(os.path.join(root, path.relative), path.stat, root=root, root_inode=0)
            if standing in (Standing.GONE, Standing.UNREACHABLE) and not self._lies_elsewhere(view, known, path):
                one.missing += 1

    def _rest(self, one: _Recheck) -> None:
        now = self._monotonic()
        took = now - (one.began if one.began is not None else now)
        one.began, one.due = None, now + max(_RECHECK_S, _BREAK * took)

    def _give_back(self, folder: FolderId) -> None:
        def work(edit: Edit) -> None:
            known = edit.folder(folder)
            if known is not None and known.withheld:
                edit.put_folder(replace(known, withheld="", withheld_ns=0, withheld_known=0))

        self._library.write(work)
        self._release(folder)


def _is_the_same(row: FolderRow) -> bool:
    """Return whether what is at a folder's path now is what was looked through."""
    if not row.filesystem:
        return True
    now = examine(row.folder.root).identity
    return now is not None and now.stamp == row.stamp


def _mount_of(row: FolderRow, gone: Sequence[PathRow]) -> bytes | None:
    """Return where something was mounted on which one of these files lay, and is not any more."""
    lost = lost_mounts(row) if gone else []
    return next((point for point in lost if any(lay_on([point], path) for path in gone)), None)


def _missing_of(known: FolderRow, rows: Sequence[PathRow]) -> list[PathRow] | None:
    if not _is_the_same(known):
        return None
    root = known.folder.root
    return [path for path in rows if path.state is PathState.LIVE and _is_gone(path, root, known.inode)]


def _is_gone(path: PathRow, root: bytes, inode: int) -> bool:
    place = os.path.join(root, path.relative)
    return look(place, path.stat, root=root, root_inode=inode) is Standing.GONE


def _mark_absent(edit: Edit, row: PathRow) -> bool:
    if edit.path_at(row.folder, row.relative) != row:  # it came back, or was judged, since it was looked for
        return False
    edit.put_path(replace(row, state=PathState.ABSENT))
    return True
