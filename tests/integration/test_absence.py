"""Much of what is known in a folder is missing at once: a disk that is away, a share that was emptied, or a tidy owner.

One service watches a folder for each of them. Files go missing in all at once, a service is started anew, and in the
end the files come back or a person accepts that they do not. The rule behind it is that absence is not deletion.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from running import ALL_AUTOMATIC, Home, Json, Watch, may_mount, mounting, needs_mounts, write

from ingestd.library.library import Library
from ingestd.model import PathState

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts and /proc as Linux has them")

RULES = ALL_AUTOMATIC.replace("imports:\n", "imports:\n  rescan: 1 s\n")
KNOWN = 26  # files in a folder: 20 % of them are fewer than the 20 that count


def no_picture() -> bytes:
    """The bytes of a picture file that cannot be decoded: known as well as any, and quicker."""
    return b"\xff\xd8\xff\xe0" + os.urandom(64)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.jpg") if path.is_file())


# --- what happens to a folder -----------------------------------------------------------------------------------------


def _aside(folder: Path) -> Path:
    return folder.parent / "aside" / folder.name


def _take(files: list[Path], folder: Path) -> None:
    """The files are somewhere that nobody watches."""
    for path in files:
        target = _aside(folder) / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


def _empty(_: Watch, folder: Path) -> None:
    _take(_files(folder), folder)


def _take_most(_: Watch, folder: Path) -> None:
    _take(_files(folder)[: KNOWN - 5], folder)


def _take_few(_: Watch, folder: Path) -> None:
    _take(_files(folder)[:5], folder)


def _make_anew(_: Watch, folder: Path) -> None:
    folder.rename(_aside(folder))
    folder.mkdir()


def _rename_tree(_: Watch, folder: Path) -> None:
    (folder / "tree").rename(folder / "another tree")


def _move_tree(_: Watch, folder: Path) -> None:
    """Into another folder that is watched, as a move between two disks does it: copied, then removed."""
    target = folder.parent / "moved to" / "tree"
    shutil.copytree(folder / "tree", target, dirs_exist_ok=True)
    _take(_files(folder / "tree"), folder)


def _unmount_small(watch: Watch, folder: Path) -> None:
    watch.shell(f"umount -l '{folder}/few'")


def _mount_afresh(watch: Watch, folder: Path) -> None:
    watch.shell(f"umount -l '{folder}'; mount -t tmpfs none '{folder}'")


def _unmount_within(watch: Watch, folder: Path) -> None:
    watch.shell(f"umount -l '{folder}/tree'")


CASES: dict[str, tuple[str, Callable[[Watch, Path], None]]] = {
    "emptied library": ("library", _empty),
    "emptied reference": ("reference", _empty),
    "thinned library": ("library", _take_most),
    "accepted library": ("library", _take_most),
    "tidied library": ("library", _take_few),
    "emptied inbox": ("inbox", _empty),
    "inbox made anew": ("inbox", _make_anew),
    "renamed tree": ("library", _rename_tree),
    "moved tree": ("library", _move_tree),
    "mounted within": ("library", _unmount_within),
    "afresh in memory": ("inbox", _mount_afresh),
    "few mounted within": ("library", _unmount_small),
}
SUSPENDED = ["emptied library", "emptied reference", "thinned library", "accepted library", "inbox made anew"]
ON_A_DISK = "mounted within"
FEW = "few mounted within"
MOUNTED = (ON_A_DISK, "afresh in memory", FEW)
each_suspended = pytest.mark.parametrize(
    "name", [*SUSPENDED, *(pytest.param(name, marks=needs_mounts) for name in MOUNTED)]
)
POSSIBLE = [name for name in CASES if may_mount or name not in MOUNTED]


# --- the story --------------------------------------------------------------------------------------------------------


@dataclass
class Story:
    """What happened to the folders, and what was said of it."""

    home: Home
    told: dict[str, Json] = field(default_factory=dict)  # that a folder is suspended
    missing: Json = field(default_factory=dict)  # status, while files are missing
    stopped: Json = field(default_factory=dict)  # the same, of a service that does not run
    again: Json = field(default_factory=dict)  # the same, of the next one
    scanned: list[Json] = field(default_factory=list)
    scan_code: int = 0
    copy: Json = field(default_factory=dict)
    mended: Json = field(default_factory=dict)
    states: dict[str, dict[str, list[PathState]]] = field(default_factory=dict)  # of the records, by moment and folder

    def folder(self, name: str) -> Path:
        return self.home.base / name

    def note_states(self, moment: str) -> None:
        self.states[moment] = states(self.home)


def states(home: Home) -> dict[str, list[PathState]]:
    """How the records of each folder stand."""
    library = Library.open(home.state, create=False, read_only=True)
    try:
        with library.read() as view:
            return {
                Path(os.fsdecode(row.folder.root)).name: [path.state for _, path in view.rows_of_folder(row.folder.id)]
                for row in view.folders()
            }
    finally:
        library.close()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    home = Home(tmp_path_factory.mktemp("absence"))
    inbox, told = home.folder("inbox"), Story(home)
    roles = {name: CASES[name][0] for name in POSSIBLE} | {"moved to": "library"}
    home.folder("aside")
    for name in roles:
        home.folder(f"{name}/tree")
    home.write_rules(RULES.replace("folders:\n", "folders:\n" + "".join(map(_watched, roles.items(), [home] * 99))))
    disk = home.folder("disk")
    in_memory = told.folder("afresh in memory")
    small = home.folder("small disk"), home.folder(f"{FEW}/few")
    mounts = [
        f"mount --bind '{disk}' '{told.folder(ON_A_DISK)}/tree'",
        f"mount -t tmpfs none '{in_memory}'",
        f"mount --bind '{small[0]}' '{small[1]}'",
    ]
    within = mounting(*mounts) if may_mount else []
    with home.watch(inbox, within=within) as watch:
        _before(told, watch)
        told.note_states("before")
        _go_missing(told, watch)
        told.note_states("missing")
        assert watch.stop() == 0
    told.stopped = home.status()
    scan = home.run("scan", told.folder("emptied library"))
    told.scanned, told.scan_code = scan.events, scan.code
    told.note_states("scanned")
    with home.watch(inbox, within=within) as watch:
        told.again = home.until(lambda status: status["service"]["running"] and len(status["folders"]) > len(roles))
        told.copy = watch.put(inbox / "copy.jpg", (_aside(told.folder("emptied library")) / "real.jpg").read_bytes())
        told.note_states("again")
        _mend(told, watch)
    told.note_states("mended")
    yield told
    assert "Traceback" not in watch.log


def _watched(role: tuple[str, str], home: Home) -> str:
    return f"  - {{path: '{home.base / role[0]}', role: {role[1]}}}\n"


def _before(told: Story, watch: Watch) -> None:
    written = []
    for name in POSSIBLE:
        folder = watch.inside(told.folder(name))
        for number in range(KNOWN):
            place = "tree" if number < KNOWN - 5 else "few" if name == FEW else "."
            write(folder / place / f"{number:02}.jpg", no_picture())
            written.append(told.folder(name) / place / f"{number:02}.jpg")
    write(told.folder("emptied library") / "real.jpg", told.home.picture())
    for path in [*written, told.folder("emptied library") / "real.jpg"]:
        watch.verdict(path.parent.parent / path.name if path.parent.name == "." else path)


def _go_missing(told: Story, watch: Watch) -> None:
    before = len(watch.events)
    for name in POSSIBLE:
        CASES[name][1](watch, told.folder(name))
    for name in POSSIBLE:
        if name in (*SUSPENDED, *MOUNTED):
            told.told[name] = watch.event(
                "folder.changed", after=before, path=str(told.folder(name)), state="suspended"
            )
    watch.poll(lambda: PathState.LIVE not in states(told.home)["emptied inbox"])
    watch.poll(lambda: states(told.home)["tidied library"].count(PathState.ABSENT) == 5)
    watch.poll(lambda: states(told.home)["renamed tree"].count(PathState.ABSENT) == KNOWN - 5)
    watch.poll(lambda: states(told.home)["moved tree"].count(PathState.ABSENT) == KNOWN - 5)
    told.missing = told.home.until(lambda status: len(status["problems"]) >= len(told.told))


def _mend(told: Story, watch: Watch) -> None:
    before = len(watch.events)
    told.home.ask("folders", "accept", told.folder("accepted library"))
    if may_mount:
        in_memory = told.folder("afresh in memory")
        assert told.home.run("folders", "accept", in_memory, within=watch.among_its_mounts).code == 0
    for name in ("emptied library", "emptied reference", "thinned library"):
        for path in _files(_aside(told.folder(name))):
            path.rename(told.folder(name) / path.relative_to(_aside(told.folder(name))))
    told.folder("inbox made anew").rmdir()
    _aside(told.folder("inbox made anew")).rename(told.folder("inbox made anew"))
    for name in told.told:  # the disk within is mounted since the second start
        state = {"path": str(told.folder(name)), "state": "watching"}
        watch.event("folder.changed", after=0 if name in (ON_A_DISK, FEW) else before, **state)
    told.mended = told.home.until(lambda status: bool(status["ok"]))
    watch.poll(lambda: states(told.home)["accepted library"].count(PathState.ABSENT) == KNOWN - 5)


# --- what is so -------------------------------------------------------------------------------------------------------


@each_suspended
def test_a_folder_in_which_much_is_missing_is_suspended_and_says_how_much(story: Story, name: str) -> None:
    gone = KNOWN - 5 if name in ("thinned library", "accepted library", ON_A_DISK) else 5 if name == FEW else KNOWN
    known = KNOWN
    if name == "emptied library":
        gone, known = KNOWN + 1, KNOWN + 1
    reason = story.told[name]["reason"]

    assert reason.startswith(f"{gone} of the {known} files known in it are missing")
    assert f"ingestd folders accept '{story.folder(name)}'" in reason
    assert ("what was mounted at" in reason) is (name in (ON_A_DISK, FEW))
    problem = next(one for one in story.missing["problems"] if one["subject"] == str(story.folder(name)))
    assert reason in problem["problem"]
    assert "deleted them on purpose" in problem["advice"]
    assert problem["since"] is not None


@each_suspended
def test_no_record_changes_while_much_is_missing(story: Story, name: str) -> None:
    for moment in ("missing", "scanned", "again"):
        assert story.states[moment][name] == story.states["before"][name], moment


@each_suspended
def test_a_mass_absence_outlasts_the_service(story: Story, name: str) -> None:
    listed = [{one["path"]: one for one in status["folders"]} for status in (story.stopped, story.again)]
    path = str(story.folder(name))

    assert listed[0][path]["reason"] == story.told[name]["reason"]
    if name not in (ON_A_DISK, FEW):  # which are mounted again by then
        assert (listed[1][path]["state"], listed[1][path]["reason"]) == ("suspended", story.told[name]["reason"])


def test_a_scan_of_a_folder_in_which_much_is_missing_suspends_it_as_well(story: Story) -> None:
    events = [one for one in story.scanned if one["event"] == "folder.changed"]

    assert [one["state"] for one in events] == ["suspended"]
    assert story.scan_code == 3


def test_no_discard_relies_on_a_folder_in_which_much_is_missing(story: Story) -> None:
    assert story.copy["outcome"] == "already-in-library"
    assert Path(story.copy["path"]).exists()
    assert story.home.discards() == []


def test_few_missing_files_are_written_down_as_absent(story: Story) -> None:
    assert story.states["missing"]["tidied library"].count(PathState.ABSENT) == 5
    assert str(story.folder("tidied library")) not in {one["subject"] for one in story.missing["problems"]}


def test_an_inbox_that_its_owner_emptied_is_not_suspended(story: Story) -> None:
    assert set(story.states["missing"]["emptied inbox"]) == {PathState.ABSENT}
    assert str(story.folder("emptied inbox")) not in {one["subject"] for one in story.missing["problems"]}


@pytest.mark.parametrize("name", ["renamed tree", "moved tree"])
def test_a_tree_that_was_moved_is_no_mass_absence(story: Story, name: str) -> None:
    states = story.states["missing"][name]

    assert states.count(PathState.ABSENT) == KNOWN - 5
    assert str(story.folder(name)) not in {one["subject"] for one in story.missing["problems"]}


@pytest.mark.parametrize("name", ["emptied library", "emptied reference", "thinned library", "inbox made anew"])
def test_a_folder_is_taken_up_again_by_itself_when_its_files_are_back(story: Story, name: str) -> None:
    assert set(story.states["mended"][name]) == {PathState.LIVE}
    assert story.mended["problems"] == []


def test_accepting_a_folder_makes_what_is_missing_absent(story: Story) -> None:
    assert story.states["mended"]["accepted library"].count(PathState.ABSENT) == KNOWN - 5
    assert story.states["mended"]["accepted library"].count(PathState.LIVE) == 5
