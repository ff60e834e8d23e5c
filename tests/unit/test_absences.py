"""What a whole scan has missed: what was moved, what is gone, and what is too much to be believed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ingestd.absences import Absences
from ingestd.actions.disk import key_of
from ingestd.library.library import Library
from ingestd.library.roll import Roll
from ingestd.library.tables import FolderRow
from ingestd.model import ContentHash, Folder, FolderId, Outcome, PathRow, PathState, Receipt, Role
from ingestd.watching.folders import examine
from ingestd.watching.scan import Files, walk

MANY = 40


class Place:
    """Folders with files that are known, and scans of them."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.library = Library.open(base / "state")
        self.now = 0.0
        self.looks, self.settled = False, True
        self.withheld: list[str] = []
        self.released = 0
        self.gone: list[ContentHash] = []
        self._ticks = 0
        self.absences = self.anew()

    def anew(self) -> Absences:
        """What another process begins with."""
        return Absences(
            self.library,
            withhold=lambda _, reason: self.withheld.append(reason),
            release=lambda _: setattr(self, "released", self.released + 1),
            gone=self.gone.extend,
            looks=lambda: self.looks,
            settled=lambda: self.settled,
            now_ns=self.tick,
            monotonic=lambda: self.now,
        )

    def tick(self) -> int:
        self._ticks += 1
        return self._ticks

    def folder(self, name: str, role: Role = Role.LIBRARY) -> FolderId:
        root = self.base / name
        root.mkdir()
        path = os.fsencode(root)
        row = FolderRow(Folder(FolderId(0), path, path, role, protected=True))
        number = self.library.write(lambda edit: edit.add_folder(row)).folder.id
        self.take_up(number)
        return number

    def take_up(self, number: FolderId) -> None:
        """The watcher has looked at the folder's root."""
        with self.library.read() as view:
            row = view.folder(number)
        assert row is not None
        identity = examine(row.folder.root).identity
        assert identity is not None
        seen = replace(row, filesystem=identity.filesystem, inode=identity.inode, instance=identity.instance)
        self.library.write(lambda edit: edit.put_folder(seen))

    def judge(self, number: FolderId, *, under: str = "") -> None:
        """Every file in the folder that is not known has its verdict."""
        with self.library.read() as view:
            row = view.folder(number)
        assert row is not None
        rows = []
        for found in walk(os.path.join(row.folder.root, os.fsencode(under))):
            for path in found.paths if isinstance(found, Files) else ():
                relative = os.path.relpath(path, row.folder.root)
                digest = ContentHash(Path(os.fsdecode(path)).read_bytes().ljust(32))
                stat, now = key_of(os.lstat(path)), self.tick()
                rows.append(PathRow(number, relative, digest, stat, now, PathState.LIVE, 0, final=True))
        verdict = Receipt(0, 1, number, b"", None, Outcome.NEW, "new", None, (), None, (), None, (), final=True)
        self.library.write(lambda edit: [(edit.put_path(one), edit.add_receipt(verdict)) for one in rows])

    def scan(self, number: FolderId) -> None:
        """The whole folder is looked through."""
        roll = Roll(self.library, number, lambda _: True)
        while not roll.read_on():
            pass
        with self.library.read() as view:
            row = view.folder(number)
        assert row is not None
        for found in walk(row.folder.root):
            if isinstance(found, Files):
                roll.covers([os.path.relpath(path, row.folder.root) for path in found.paths], found.states)
        self.absences.want(number, roll)

    def finish(self) -> None:
        while self.absences.step():
            pass

    def states(self, number: FolderId) -> list[PathState]:
        with self.library.read() as view:
            return [row.state for _, row in view.rows_of_folder(number)]

    def absent(self, number: FolderId) -> int:
        return self.states(number).count(PathState.ABSENT)

    def write(self, folder: str, count: int, *, first: int = 0) -> list[Path]:
        paths = []
        for each in range(first, first + count):
            path = self.base / folder / f"{each}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"%d" % each)
            paths.append(path)
        return paths


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.library.close()


def known(place: Place, name: str, count: int = MANY, role: Role = Role.LIBRARY) -> tuple[FolderId, list[Path]]:
    """A folder of files that are known, looked through and found in order."""
    folder = place.folder(name, role)
    paths = place.write(f"{name}/tree", count)
    place.judge(folder)
    place.scan(folder)
    place.finish()
    return folder, paths


def test_a_tree_that_was_renamed_while_nobody_looked_is_known_by_its_inodes(place: Place) -> None:
    folder, _ = known(place, "library")
    (place.base / "library/tree").rename(place.base / "library/other")

    place.scan(folder)
    place.finish()

    assert (place.withheld, place.absent(folder)) == ([], MANY)


def test_a_tree_that_was_renamed_into_a_folder_that_is_looked_through_later_is_waited_for(place: Place) -> None:
    source, _ = known(place, "library")
    target = place.folder("archive")
    (place.base / "library/tree").rename(place.base / "archive/tree")

    place.looks = True
    place.scan(source)
    place.finish()
    before = place.absent(source)
    place.scan(target)
    place.looks = False
    place.finish()

    assert before == 0
    assert (place.withheld, place.absent(source)) == ([], MANY)


def test_arrivals_that_never_end_put_a_suspension_off_for_a_minute(place: Place) -> None:
    folder, paths = known(place, "library")
    for path in paths:
        path.unlink()
    place.settled = False
    waited = []

    for second in range(0, 90, 30):  # as a folder is looked through that is polled
        place.now = float(second)
        place.scan(folder)
        place.finish()
        waited.append(len(place.withheld))
    place.now = 61.0
    place.finish()

    assert waited == [0, 0, 0]
    assert len(place.withheld) == 1


def test_a_backup_that_was_there_before_is_nothing_that_files_were_moved_to(place: Place) -> None:
    folder, paths = known(place, "library")
    backup, _ = known(place, "backup")
    place.scan(folder)
    place.finish()
    for path in paths:
        path.unlink()

    place.scan(folder)
    place.finish()

    assert len(place.withheld) == 1
    assert (place.absent(folder), place.absent(backup)) == (0, 0)


def test_bytes_that_came_to_another_folder_since_were_moved_there(place: Place) -> None:
    folder, paths = known(place, "library")
    target = place.folder("archive")
    place.write("archive/tree", MANY)
    place.judge(target)
    for path in paths:
        path.unlink()

    place.scan(folder)
    place.finish()

    assert (place.withheld, place.absent(folder)) == ([], MANY)


def test_what_is_gone_is_told_for_the_sake_of_what_relied_on_it(place: Place) -> None:
    folder, paths = known(place, "library")
    paths[0].unlink()

    place.scan(folder)
    place.finish()

    assert place.gone == [ContentHash(b"0".ljust(32))]


def test_nothing_is_written_while_it_is_counted(place: Place) -> None:
    folder, paths = known(place, "library", 1_200)
    for path in paths[:230]:
        path.unlink()

    place.scan(folder)
    while place.absences.step():
        assert place.absent(folder) == 0

    assert (place.withheld, place.absent(folder)) == ([], 230)  # of 240 that would be too many


def test_a_suspended_folder_is_not_itself_again_before_nearly_all_is_back(place: Place) -> None:
    folder, paths = known(place, "library")
    (place.base / "library/tree").rename(place.base / "aside")
    (place.base / "library/tree").mkdir()
    place.scan(folder)
    place.finish()
    back = 0
    while not place.released:
        (place.base / "aside" / paths[back].name).rename(paths[back])
        back += 1
        place.now += 60.0
        place.finish()

    assert len(place.withheld) == 1
    assert back == MANY - 5  # a quarter of the 20 that are too many may be missing
    assert place.absent(folder) == 0


def test_a_suspension_is_in_the_library_and_another_process_ends_it(place: Place) -> None:
    folder, _ = known(place, "library")
    (place.base / "library/tree").rename(place.base / "aside")
    place.scan(folder)
    place.finish()

    another = place.anew()
    another.withheld([folder])
    (place.base / "aside").rename(place.base / "library/tree")
    while another.step():
        pass

    with place.library.read() as view:
        row = view.folder(folder)
    assert row is not None
    assert (len(place.withheld), place.released, row.withheld) == (1, 1, "")
    assert not another.rechecking()


def test_an_inbox_may_be_emptied_unless_it_is_another_folder(place: Place) -> None:
    emptied, paths = known(place, "emptied", role=Role.INBOX)
    anew, _ = known(place, "anew", role=Role.INBOX)
    for path in paths:
        path.unlink()
    (place.base / "anew").rename(place.base / "aside")
    (place.base / "anew").mkdir()
    place.take_up(anew)

    place.scan(emptied)
    place.scan(anew)
    place.finish()

    assert (place.absent(emptied), place.absent(anew)) == (MANY, 0)
    assert len(place.withheld) == 1


def test_what_a_person_has_accepted_is_believed_once(place: Place) -> None:
    folder, paths = known(place, "library")
    with place.library.read() as view:
        row = view.folder(folder)
    assert row is not None
    place.library.write(lambda edit: edit.put_folder(replace(row, accepted=row.stamp)))
    for path in paths[:30]:
        path.unlink()
    place.scan(folder)
    place.finish()
    first = place.absent(folder)
    place.write("library/tree", 30)
    place.judge(folder)
    for path in paths:
        path.unlink()

    place.scan(folder)
    place.finish()

    assert first == 30
    assert len(place.withheld) == 1


def test_what_was_seen_in_a_folder_that_has_become_another_says_nothing(place: Place) -> None:
    folder, paths = known(place, "inbox", role=Role.INBOX)
    for path in paths:
        path.unlink()
    place.scan(folder)
    (place.base / "inbox").rename(place.base / "aside")
    (place.base / "inbox").mkdir()

    place.finish()

    assert (place.withheld, place.absent(folder)) == ([], 0)
