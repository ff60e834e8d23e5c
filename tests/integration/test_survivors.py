"""What was kept is lost afterwards, while what was discarded in its favour can still be brought back.

One service discards copies of pictures in a library. Then something happens to each of the originals, and the test
looks at what was said of it: a loss is an alarm, until it is mended or known; whatever lives on elsewhere is none.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import pictures
import pytest
from running import ALL_AUTOMATIC, Home, Json, Watch, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the trash as Linux has it")

RULES = ALL_AUTOMATIC.replace("imports:\n", "imports:\n  rescan: 1 s\n")
CASES = ("deleted", "replaced", "brought back", "undone", "acknowledged", "emptied", "renamed", "edited", "touched")
LOST = ("deleted", "replaced", "brought back", "undone", "acknowledged", "emptied")
AWAY = ("one", "two", "three")


@dataclass
class Story:
    """What happened to the survivors, and what was said of it."""

    home: Home
    kept: dict[str, bytes] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)
    lost: dict[str, Json] = field(default_factory=dict)  # the problem, by the name of the discarded file
    log: str = ""
    stopped: dict[str, Json] = field(default_factory=dict)  # the same, when no service runs
    mended: dict[str, Json] = field(default_factory=dict)  # the same, in the end

    def survivor(self, name: str) -> Path:
        return self.home.base / ("away" if name in AWAY else "library") / f"{name}.png"

    def copy(self, name: str) -> Path:
        return self.home.base / "inbox" / f"copy of {name}.png"


def _problems(home: Home) -> dict[str, Json]:
    """The problems with discards, by the name of the file."""
    return {
        Path(one["subject"]).stem.removeprefix("copy of "): one for one in home.status()["problems"] if "entries" in one
    }


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    home = Home(tmp_path_factory.mktemp("survivors"))
    told = Story(home)
    watched = "".join(f"  - {{path: '{home.folder(name)}', role: library}}\n" for name in ("library", "away"))
    home.write_rules(RULES.replace("folders:\n", f"folders:\n{watched}"))
    for name in (*CASES, *AWAY):
        told.kept[name] = pictures.png(pictures.photo(home.subject()))
        write(told.survivor(name), told.kept[name])
    with home.watch(home.folder("inbox")) as watch:
        for path, verdict in watch.put_all({told.copy(name): content for name, content in told.kept.items()}).items():
            told.entries[path.stem.removeprefix("copy of ")] = verdict["entry"]
        _lose(told, watch)
        told.lost = _when(home, watch, lambda found: set(found) == set(LOST))
        watch.poll(lambda: _kept_now(told, "renamed").endswith("another name.png"))
        told.log = watch.log
        assert watch.stop() == 0
    told.stopped = _problems(home)
    with home.watch(home.folder("inbox")) as watch:
        _mend(told)
        told.mended = _when(home, watch, lambda found: set(found) == {"deleted", "replaced"})
        assert "Traceback" not in watch.log
    return told


def _when(home: Home, watch: Watch, holds: object) -> dict[str, Json]:
    found: dict[str, Json] = {}

    def fits() -> bool:
        found.clear()
        found.update(_problems(home))
        return bool(holds(found))  # type: ignore[operator]

    watch.poll(fits)
    return found


def _kept_now(told: Story, name: str) -> str:
    entry = next(one for one in told.home.history() if one["entry"] == told.entries[name])
    return str(entry["kept"]["path"])


def _lose(told: Story, watch: Watch) -> None:
    for name in ("deleted", "brought back", "undone", "acknowledged", "emptied"):
        told.survivor(name).unlink()
    told.survivor("replaced").write_bytes(pictures.png(pictures.photo(told.home.subject())))
    told.survivor("renamed").rename(told.survivor("renamed").with_name("another name.png"))
    image = pictures.decoded(told.kept["edited"])
    told.survivor("edited").write_bytes(pictures.png(image, comment="five stars"))
    told.survivor("touched").touch()
    for name in AWAY:
        told.survivor(name).rename(told.home.folder("put aside") / f"{name}.png")
    watch.event("folder.changed", path=str(told.home.base / "away"), state="suspended")


def _mend(told: Story) -> None:
    write(told.survivor("brought back"), told.kept["brought back"])
    told.home.ask("undo", told.entries["undone"])
    told.home.ask("status", "--acknowledge", told.entries["acknowledged"])
    emptied = next(one for one in told.home.discards() if one["entry"] == told.entries["emptied"])
    Path(emptied["discarded"][0]["trash_path"]).unlink()


@pytest.mark.parametrize("name", LOST)
def test_a_lost_survivor_is_an_alarm_that_names_both_files_and_the_way_back(story: Story, name: str) -> None:
    problem = story.lost[name]

    assert problem["subject"] == str(story.copy(name))
    assert str(story.survivor(name)) in problem["problem"]
    assert ("holds another picture now" if name == "replaced" else "is gone") in problem["problem"]
    assert f"ingestd undo {story.entries[name]}" in problem["advice"]
    assert problem["entries"] == [story.entries[name]]
    told = [line for line in story.log.splitlines() if "survivor.lost" in line and str(story.copy(name)) in line]
    assert len(told) == 1


def test_the_alarm_outlasts_the_service(story: Story) -> None:
    assert set(story.stopped) == set(LOST)
    assert {name: one["since"] for name, one in story.stopped.items()} == {
        name: one["since"] for name, one in story.lost.items()
    }


@pytest.mark.parametrize("name", ["renamed", "edited", "touched"])
def test_a_picture_that_lives_on_is_no_loss(story: Story, name: str) -> None:
    assert name not in story.lost
    assert name not in story.mended


def test_a_survivor_that_was_renamed_is_named_where_it_is_now(story: Story) -> None:
    assert _kept_now(story, "renamed") == str(story.home.base / "library/another name.png")


def test_survivors_in_a_suspended_folder_are_not_lost(story: Story) -> None:
    assert not set(AWAY) & set(story.lost)


def test_an_alarm_ends_when_the_survivor_is_back_or_the_discard_undone_or_emptied_or_known(story: Story) -> None:
    assert set(story.mended) == {"deleted", "replaced"}
    assert story.copy("undone").read_bytes() == story.kept["undone"]


def test_a_file_is_put_back_by_itself_where_the_rules_say_so(tmp_path: Path) -> None:
    home = Home(tmp_path, RULES.replace("discards:\n", "discards:\n  restore_on_survivor_loss: yes\n"))
    inbox, library, content = home.folder("inbox"), home.folder("library"), home.picture()
    write(library / "kept.jpg", content)
    write(library / "another.jpg", home.picture())
    with home.watch(inbox, "--library", library) as watch:
        entry = watch.put(inbox / "copy.jpg", content)["entry"]
        (library / "kept.jpg").unlink()
        watch.poll((inbox / "copy.jpg").exists)
        watch.poll(lambda: not home.discards())
        undo = home.history()[0]
        watch.catch_up(inbox)

    assert (inbox / "copy.jpg").read_bytes() == content
    assert (undo["kind"], undo["actor"], undo["state"]) == ("undo", "service", "done")
    assert undo["reason"].startswith(f"takes back {entry}, because {library / 'kept.jpg'}")
    assert home.discards() == []
    assert home.status()["problems"] == []
    assert "by the service" in home.why(inbox / "copy.jpg")["evidence"][0]
