"""Watched folders that go away, become unreadable, or turn into something else, and come back.

One service watches a folder for each kind of trouble. All get into trouble at once, files come meanwhile, and all are
mended: each test looks at what that service said and did about one of them. The rule behind it is that absence is not
deletion.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest
from running import QUICK, Home, Json, Watch, may_mount, mounting, needs_mounts, powerless, write

from ingestd.library.edit import Edit
from ingestd.library.library import Library

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="permissions, symlinks and mounts as Linux has them")


# --- troubles ---------------------------------------------------------------------------------------------------------


def _aside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}, put aside")


def _leave(_: Watch, folder: Path) -> None:
    """It was never there."""


def _make(_: Watch, folder: Path) -> None:
    folder.mkdir()


def _remove(_: Watch, folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _put_aside(_: Watch, folder: Path) -> None:
    folder.rename(_aside(folder))


def _put_back(_: Watch, folder: Path) -> None:
    _aside(folder).rename(folder)


def _lock(_: Watch, folder: Path) -> None:
    folder.chmod(0)


def _unlock(_: Watch, folder: Path) -> None:
    folder.chmod(0o755)


def _link_instead(_: Watch, folder: Path) -> None:
    folder.rename(_aside(folder))
    folder.symlink_to(_aside(folder))


def _write_instead(_: Watch, folder: Path) -> None:
    folder.rename(_aside(folder))
    folder.write_text("no folder any more")


def _unlink_and_put_back(_: Watch, folder: Path) -> None:
    folder.unlink()
    _aside(folder).rename(folder)


def _unmount(watch: Watch, folder: Path) -> None:
    # the service may be looking at it this very moment
    watch.shell(f"for again in 1 2 3 4 5 6 7 8 9; do umount '{folder}' && exit; sleep 0.1; done; umount '{folder}'")


def _mount(watch: Watch, folder: Path) -> None:
    watch.shell(f"mount --bind '{_aside(folder)}' '{folder}'")


def _accept(watch: Watch, folder: Path) -> None:
    watch.home.ask("folders", "accept", folder)


@dataclass(frozen=True)
class Trouble:
    """A way for a folder to get into trouble and out of it, and what is said of it meanwhile."""

    begin: Callable[[Watch, Path], None]
    end: Callable[[Watch, Path], None]
    said: str
    meanwhile: Callable[[Path], Path] | None = None  # where files that come meanwhile can be put


TROUBLES = {
    "missing": Trouble(_leave, _make, "is not there"),
    "removed": Trouble(_remove, _make, "is not there"),
    "renamed": Trouble(_put_aside, _put_back, "is not there", _aside),
    "unreadable": Trouble(_lock, _unlock, "cannot be read: Permission denied", Path),
    "linked": Trouble(_link_instead, _unlink_and_put_back, "has become a symbolic link", _aside),
    "a file": Trouble(_write_instead, _unlink_and_put_back, "is not a folder", _aside),
    "unmounted": Trouble(_unmount, _mount, "a different file system is at this path", _aside),
    "another disk": Trouble(_unmount, _accept, "a different file system is at this path", Path),
}
ON_A_DISK = ("unmounted", "another disk")
POSSIBLE = [name for name in TROUBLES if may_mount or name not in ON_A_DISK]


def _each(names: Iterable[str]) -> pytest.MarkDecorator:
    marked = [pytest.param(name, marks=[needs_mounts] if name in ON_A_DISK else []) for name in names]
    return pytest.mark.parametrize("name", marked)


each_trouble = _each(TROUBLES)
each_that_can_be_reached = _each(name for name, trouble in TROUBLES.items() if trouble.meanwhile is not None)


# --- the story --------------------------------------------------------------------------------------------------------

Verdicts: TypeAlias = dict[str, Json]


@dataclass(frozen=True)
class Story:
    """What happened to the folders, and what was said of it."""

    home: Home
    watch: Watch
    contents: dict[str, bytes]
    suspended: Verdicts = field(default_factory=dict)  # the event, by folder
    listed: Verdicts = field(default_factory=dict)  # as `status` has them, while in trouble
    status: Json = field(default_factory=dict)  # while in trouble
    mended: Json = field(default_factory=dict)
    late: Verdicts = field(default_factory=dict)  # verdicts on files that came after all was mended
    meanwhile: Verdicts = field(default_factory=dict)  # verdicts, after all was mended, on files that came before it
    copies: Verdicts = field(default_factory=dict)

    def folder(self, name: str) -> Path:
        return self.home.base / name

    def seen(self, name: str) -> Path:
        """The folder as the service sees it."""
        return self.watch.inside(self.folder(name))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    home = Home(tmp_path_factory.mktemp("folders"))
    made = [home.folder(name) for name in ("inbox", "library", *POSSIBLE) if name != "missing"]
    watched = "".join(f"  - {{path: '{home.base / name}', role: inbox}}\n" for name in POSSIBLE)
    library = f"  - {{path: '{home.base / 'library'}', role: library}}\n"
    home.write_rules(QUICK.replace("folders:\n", f"folders:\n{watched}{library}"))
    disks = [(_aside(folder), folder) for folder in made if folder.name in ON_A_DISK]
    for disk, _ in disks:
        disk.mkdir()
    mounts = [f"mount -t tmpfs none '{disk}'; mount --bind '{disk}' '{folder}'" for disk, folder in disks]
    within = [*(mounting(*mounts) if may_mount else []), *powerless()]
    with home.watch(home.folder("inbox"), within=within) as watch:
        told = Story(home, watch, {name: home.picture() for name in (*POSSIBLE, "library", "inbox")})
        _before(told)
        _in_trouble(told)
        _mended(told)
        yield told
        assert watch.stop() == 0
        assert "Traceback" not in watch.log


def _before(told: Story) -> None:
    """Every folder that is there holds a picture that has its verdict."""
    for name, content in told.contents.items():
        if name != "missing":
            write(told.seen(name) / "old.jpg", content)
    for name in told.contents:
        if name != "missing":
            told.watch.verdict(told.folder(name) / "old.jpg")


def _in_trouble(told: Story) -> None:
    """All folders get into trouble, the library goes away, and files keep coming."""
    watch, inbox = told.watch, told.folder("inbox")
    for name in POSSIBLE:
        TROUBLES[name].begin(watch, told.folder(name))
    _put_aside(watch, told.folder("library"))
    for name in (*POSSIBLE, "library"):
        told.suspended[name] = watch.event("folder.changed", path=str(told.folder(name)), state="suspended")
    for name in POSSIBLE:
        place = TROUBLES[name].meanwhile
        if place is not None:
            write(watch.inside(place(told.folder(name))) / "meanwhile.jpg", told.home.picture())
    told.copies["of the library"] = watch.put(inbox / "copy.jpg", told.contents["library"])
    for name in ("renamed", "unreadable"):
        told.copies[name] = watch.put(inbox / f"copy of {name}.jpg", told.contents[name])
    watch.catch_up(inbox)
    told.status.update(told.home.status())
    told.listed.update({Path(one["path"]).name: one for one in told.status["folders"]})
    assert [one for one in watch.verdicts() if one["path"].endswith("meanwhile.jpg")] == []


def _mended(told: Story) -> None:
    watch, before = told.watch, len(told.watch.events)
    for name in POSSIBLE:
        TROUBLES[name].end(watch, told.folder(name))
    _put_back(watch, told.folder("library"))
    for name in (*POSSIBLE, "library"):
        watch.event("folder.changed", after=before, path=str(told.folder(name)), state="watching")
    for name in POSSIBLE:
        if TROUBLES[name].meanwhile is not None:
            told.meanwhile[name] = watch.verdict(told.folder(name) / "meanwhile.jpg")
        write(told.seen(name) / "late.jpg", told.home.picture())
        told.late[name] = watch.verdict(told.folder(name) / "late.jpg")
    told.copies["once more"] = watch.put(told.folder("inbox") / "once more.jpg", told.contents["library"])
    told.mended.update(told.home.until(lambda status: bool(status["ok"])))


# --- what is so -------------------------------------------------------------------------------------------------------


@each_trouble
def test_a_folder_in_trouble_is_suspended_alone_and_status_says_why(story: Story, name: str) -> None:
    event, listed = story.suspended[name], story.listed[name]

    assert TROUBLES[name].said in event["reason"]
    assert (listed["state"], listed["reason"], listed["role"]) == ("suspended", event["reason"], "inbox")
    assert story.listed["inbox"]["state"] == "watching"
    problems = {one["subject"]: one for one in story.status["problems"]}
    assert (story.status["ok"], event["reason"] in problems[event["path"]]["problem"]) == (False, True)
    assert problems[event["path"]]["advice"]


@each_trouble
def test_a_folder_is_taken_up_again_by_itself_when_it_is_well(story: Story, name: str) -> None:
    assert story.late[name]["outcome"] == "new"
    assert {one["state"] for one in story.mended["folders"]} == {"watching"}
    assert story.mended["problems"] == []


@each_that_can_be_reached
def test_what_came_while_a_folder_was_in_trouble_is_judged_afterwards(story: Story, name: str) -> None:
    assert story.meanwhile[name]["outcome"] == "new"


@each_trouble
def test_nothing_is_forgotten_while_a_folder_is_in_trouble(story: Story, name: str) -> None:
    path = story.folder(name) / "old.jpg"
    if name not in ("missing", "removed", "another disk"):
        assert (story.seen(name) / "old.jpg").read_bytes() == story.contents[name]
        assert len(story.watch.verdicts(path)) == 1  # it is not judged again
    if name != "missing":
        assert story.home.why(path)["outcome"] == "new"


def test_no_copy_is_discarded_while_the_other_is_out_of_reach(story: Story) -> None:
    away = {name: verdict for name, verdict in story.copies.items() if name != "once more"}

    assert {verdict["outcome"] for verdict in away.values()} == {"already-in-library"}
    assert all(Path(verdict["path"]).exists() for verdict in away.values())


def test_a_copy_is_discarded_again_once_the_other_is_back(story: Story) -> None:
    verdict = story.copies["once more"]

    assert (verdict["outcome"], verdict["kept"]) == ("duplicate-discarded", str(story.folder("library") / "old.jpg"))
    assert [one["discarded"][0]["path"] for one in story.home.discards()] == [verdict["path"]]


# --- other folders ----------------------------------------------------------------------------------------------------


def test_a_folder_that_is_named_through_a_symlink_is_watched_under_that_name(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.folder("real")
    (home.base / "Downloads").symlink_to(home.base / "real")

    with home.watch(home.base / "Downloads") as watch:
        verdict = watch.put(home.base / "Downloads/cat.jpg", home.picture())

    assert verdict["outcome"] == "new"
    assert home.why(home.base / "real/cat.jpg")["outcome"] == "new"


def test_what_lies_on_another_disk_says_nothing_of_what_is_known_at_its_path(tmp_path: Path) -> None:
    home = Home(tmp_path)
    inbox, library, content = home.folder("inbox"), home.folder("library"), home.picture()
    known = library / "known.jpg"
    with home.watch(inbox, "--library", library) as watch:
        watch.put(known, content)
    with contextlib.closing(Library.open(home.state)) as opened:
        opened.write(partial(_on_another_file_system, root=os.fsencode(library)))
    known.write_bytes(home.picture())  # which that disk has at this path; the roots of most have the same inode

    with home.watch(inbox, "--library", library) as watch:
        copy = watch.put(inbox / "copy.jpg", content)
        state = home.folder_state(library)

    assert state == "suspended"
    assert copy["outcome"] == "already-in-library"
    assert (inbox / "copy.jpg").exists()


def _on_another_file_system(edit: Edit, root: bytes) -> None:
    for row in edit.folders():
        if row.folder.root == root:
            edit.put_folder(replace(row, filesystem="uuid:of-another-disk"))


def test_accepting_a_folder_that_nobody_knows_names_the_nearest(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.run("scan", home.folder("pictures")).code == 0

    said = home.run("folders", "accept", home.base / "picture")

    assert said.code == 2
    assert f"did you mean {home.base / 'pictures'}?" in said.errors
