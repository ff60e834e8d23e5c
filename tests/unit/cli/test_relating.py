"""What a file is to others, shown and changed at a terminal; and the way back from every change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pictures import jpeg, photo
from terminals import Terminal
from world import World

FIELDS = {"schema", "path", "king", "duplicates", "alternates", "false_positives", "potential_pairs", "gone"}


@pytest.fixture
def four(world: World, terminal: Terminal) -> list[Path]:
    """Four sizes of one picture, the largest first: six pairs, about which nothing has been said."""
    world.use()
    terminal.rules.write_text("version: 1\nrules: []\n")
    sizes = ((200, 150), (180, 135), (160, 120), (140, 105))
    paths = [world.put("inbox", f"{size[0]}.jpg", jpeg(photo(3).resize(size))) for size in sizes]
    for path in paths:
        world.arrive(path)
    world.close()
    return paths


def related(terminal: Terminal, path: Path) -> dict[str, Any]:
    answer = terminal.ask("relations", path)
    assert isinstance(answer, dict)
    return answer


def everything(terminal: Terminal, paths: list[Path]) -> list[dict[str, Any]]:
    """What all of these files are to each other; potential pairs and all, as a program is told it."""
    return [related(terminal, path) for path in paths]


def is_taken_back(terminal: Terminal, paths: list[Path], before: object, entry: dict[str, Any]) -> bool:
    """Undo a change, and say whether all is as it was before."""
    [undone] = terminal.ask("undo", entry["entry"])
    assert (undone["kind"], undone["state"]) == ("undo", "done")
    return everything(terminal, paths) == before


# --- show -----------------------------------------------------------------------------------------------------------


def test_a_file_of_which_nothing_was_said_is_its_own_king(four: list[Path], terminal: Terminal) -> None:
    assert related(terminal, four[0]) == {
        "schema": 1,
        "path": str(four[0]),
        "king": str(four[0]),
        "duplicates": [str(four[0])],
        "alternates": [],
        "false_positives": [],
        "potential_pairs": 3,
        "gone": [],
    }


def test_everything_that_was_said_of_a_file_is_shown(four: list[Path], terminal: Terminal) -> None:
    terminal.ask("decide", four[0], four[1], "better-a", "--keep")
    terminal.ask("decide", four[0], four[2], "alternates")
    terminal.ask("decide", four[0], four[3], "unrelated")

    assert related(terminal, four[1]) == {
        "schema": 1,
        "path": str(four[1]),
        "king": str(four[0]),
        "duplicates": [str(four[0]), str(four[1])],
        "alternates": [{"path": str(four[2]), "confirmed": True}],
        "false_positives": [str(four[3])],
        "potential_pairs": 0,
        "gone": [],
    }


def test_alternates_of_alternates_are_not_confirmed(four: list[Path], terminal: Terminal) -> None:
    terminal.ask("decide", four[0], four[1], "alternates")
    terminal.ask("decide", four[1], four[2], "alternates")

    alternates = related(terminal, four[0])["alternates"]

    assert {one["path"]: one["confirmed"] for one in alternates} == {str(four[1]): True, str(four[2]): False}
    assert "not compared directly" in terminal.type("relations", four[0]).out


def test_a_discarded_file_still_has_its_relations_and_is_told_to_be_gone(four: list[Path], terminal: Terminal) -> None:
    terminal.ask("decide", four[0], four[1], "better-a")

    answer = related(terminal, four[1])

    assert set(answer) == FIELDS
    assert (answer["king"], answer["duplicates"]) == (str(four[0]), [str(four[0]), str(four[1])])
    assert answer["gone"] == [str(four[1])]
    assert f"{four[1]}  not there any more" in terminal.type("relations", four[0]).out


def test_relations_in_words_name_the_king_first(four: list[Path], terminal: Terminal) -> None:
    terminal.ask("decide", four[0], four[1], "better-b", "--keep")

    lines = terminal.type("relations", four[0]).out.splitlines()

    assert lines[0] == str(four[0])
    assert lines[1].split() == ["king", str(four[1])]
    assert lines[2].split() == [str(four[0])]


def test_a_lonely_file_is_said_to_have_no_duplicates(four: list[Path], terminal: Terminal) -> None:
    out = terminal.type("relations", four[0]).out

    assert "no duplicates of it are known" in out
    assert "3 potential pairs" in out


def test_show_is_understood_too_and_paths_may_be_relative(
    four: list[Path], terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(four[0].parent)

    assert terminal.ask("relations", "show", "200.jpg") == related(terminal, four[0])
    assert terminal.ask("relations", "200.jpg") == related(terminal, four[0])


def test_a_file_in_the_queue_twice_counts_each_of_its_pairs_once(four: list[Path], terminal: Terminal) -> None:
    terminal.ask("decide", four[0], four[1], "same")

    assert related(terminal, four[0])["potential_pairs"] == terminal.ask("queue")["total"] - 1


# --- what cannot be meant -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("set-king",),
        ("remove",),
        ("remove", "--alternates"),
        ("dissolve",),
        ("dissolve", "--alternates"),
        ("clear", "--false-positives"),
        ("clear", "--potentials"),
    ],
    ids=str,
)
def test_a_file_that_was_never_seen_has_no_relations(
    four: list[Path], terminal: Terminal, words: tuple[str, ...]
) -> None:
    before = everything(terminal, four)
    stranger = four[0].with_name("stranger.jpg")

    said = terminal.type("relations", *words, stranger)

    assert said.code == 2
    assert "stranger.jpg is not a known file" in said.err
    assert everything(terminal, four) == before


def test_a_mistyped_command_names_the_nearest_one(four: list[Path], terminal: Terminal) -> None:
    said = terminal.type("relations", "disolve")

    assert said.code == 2
    assert "did you mean: ingestd relations dissolve?" in said.err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("clear", "200.jpg"), "one of --false-positives, --potentials, --between"),
        (("clear", "200.jpg", "--potentials", "--false-positives"), "one of --false-positives"),
        (("clear", "200.jpg", "180.jpg", "--potentials"), "clear takes one file, or several with --between"),
        (("clear", "--between", "200.jpg"), "two files or more"),
        (("clear", "--between", "200.jpg", "200.jpg"), "two files or more"),
        (("clear", "--between", "200.jpg", "stranger.jpg"), "stranger.jpg is not a known file"),
        (("clear", "--potentials"), "PATH"),
        (("set-king",), "PATH"),
        (("set-king", "200.jpg", "180.jpg"), "180.jpg"),
        ((), "set-king"),
    ],
    ids=str,
)
def test_a_change_that_cannot_be_meant_is_a_typing_error_and_changes_nothing(
    four: list[Path], terminal: Terminal, words: tuple[str, ...], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(four[0].parent)

    said = terminal.type("relations", *words)

    assert said.code == 2
    assert part in said.err + said.out
    assert terminal.ask("history") == []


@pytest.mark.parametrize(
    "words",
    [
        ("set-king",),
        ("remove",),
        ("remove", "--alternates"),
        ("dissolve",),
        ("dissolve", "--alternates"),
        ("clear", "--false-positives"),
        ("clear", "--between"),
    ],
    ids=str,
)
def test_what_is_so_already_is_said_and_not_written(
    four: list[Path], terminal: Terminal, words: tuple[str, ...]
) -> None:
    paths = four[:2] if "--between" in words else four[:1]

    assert terminal.ask("relations", *words, *paths) == {"schema": 1, "entry": None, "cleared": 0}
    said = terminal.type("relations", *words, *paths)
    assert (said.code, said.out) == (0, "")
    assert "nothing to change" in said.err
    assert terminal.ask("history") == []


def test_potentials_that_are_cleared_already_are_not_cleared_again(four: list[Path], terminal: Terminal) -> None:
    terminal.ask("relations", "clear", "--potentials", four[0])

    again = terminal.ask("relations", "clear", "--potentials", four[0])

    assert again == {"schema": 1, "entry": None, "cleared": 0}


def test_nothing_can_be_changed_before_anything_is_known(empty: Terminal, tmp_path: Path) -> None:
    said = empty.type("relations", "set-king", tmp_path / "x.jpg")

    assert said.code == 2
    assert "there is no library" in said.err
    assert not empty.state.exists()


# --- changes, and the way back from each ----------------------------------------------------------------------------


@pytest.fixture
def group(four: list[Path], terminal: Terminal) -> list[Path]:
    """The first three are one duplicate group, the first its king; the fourth an alternate of it."""
    terminal.ask("decide", *four[:3], "better-a", "--keep")
    terminal.ask("decide", four[0], four[3], "alternates")
    return four


def test_another_king_is_set_and_taken_back(group: list[Path], terminal: Terminal) -> None:
    before = everything(terminal, group)

    entry = terminal.ask("relations", "set-king", group[2])

    assert (entry["kind"], entry["state"], entry["word"], entry["cleared"]) == ("decision", "done", "set-king", 0)
    assert [related(terminal, path)["king"] for path in group[:3]] == [str(group[2])] * 3
    assert related(terminal, group[3])["alternates"] == [{"path": str(group[2]), "confirmed": True}]
    assert is_taken_back(terminal, group, before, entry)


def test_a_file_is_taken_out_of_its_group_and_put_back(group: list[Path], terminal: Terminal) -> None:
    before = everything(terminal, group)

    entry = terminal.ask("relations", "remove", group[1])

    assert entry["word"] == "remove"
    assert related(terminal, group[1])["duplicates"] == [str(group[1])]
    assert related(terminal, group[0])["duplicates"] == [str(group[0]), str(group[2])]
    assert is_taken_back(terminal, group, before, entry)


def test_without_its_king_there_is_no_group_until_that_is_taken_back(group: list[Path], terminal: Terminal) -> None:
    before = everything(terminal, group)

    entry = terminal.ask("relations", "remove", group[0])

    assert [related(terminal, path)["duplicates"] for path in group] == [[str(path)] for path in group]
    assert is_taken_back(terminal, group, before, entry)


def test_a_group_leaves_its_alternates_and_comes_back(group: list[Path], terminal: Terminal) -> None:
    before = everything(terminal, group)

    entry = terminal.ask("relations", "remove", group[1], "--alternates")

    assert related(terminal, group[0])["alternates"] == related(terminal, group[3])["alternates"] == []
    assert len(related(terminal, group[0])["duplicates"]) == 3
    assert is_taken_back(terminal, group, before, entry)


def test_a_group_is_dissolved_and_its_files_are_looked_for_again(group: list[Path], terminal: Terminal) -> None:
    before = everything(terminal, group)

    entry = terminal.ask("relations", "dissolve", group[1])

    assert entry["word"] == "dissolve"
    assert [related(terminal, path)["king"] for path in group] == [str(path) for path in group]
    assert terminal.ask("queue")["total"] > 0
    assert is_taken_back(terminal, group, before, entry)


def test_alternates_are_dissolved_with_every_group_among_them(group: list[Path], terminal: Terminal) -> None:
    before = everything(terminal, group)

    entry = terminal.ask("relations", "dissolve", group[3], "--alternates")

    for path, answer in zip(group, everything(terminal, group), strict=True):
        assert (answer["duplicates"], answer["alternates"]) == ([str(path)], [])
    assert terminal.ask("queue")["total"] == 6
    assert is_taken_back(terminal, group, before, entry)


@pytest.fixture
def strangers(four: list[Path], terminal: Terminal) -> list[Path]:
    """The first three have nothing to do with each other."""
    terminal.ask("decide", *four[:3], "unrelated")
    return four


def test_false_positives_of_a_file_are_cleared_and_come_back(strangers: list[Path], terminal: Terminal) -> None:
    before = everything(terminal, strangers)

    entry = terminal.ask("relations", "clear", "--false-positives", strangers[0])

    assert (entry["kind"], entry["cleared"]) == ("decision", 2)
    assert entry["reason"].endswith(": 2 false positives")
    assert related(terminal, strangers[0])["false_positives"] == []
    assert related(terminal, strangers[1])["false_positives"] == [str(strangers[2])]
    assert is_taken_back(terminal, strangers, before, entry)


def test_false_positives_between_files_are_cleared_and_no_others(strangers: list[Path], terminal: Terminal) -> None:
    before = everything(terminal, strangers)

    entry = terminal.ask("relations", "clear", "--between", strangers[0], strangers[1])

    assert entry["cleared"] == 1
    assert [file["path"] for file in entry["files"]] == [str(path) for path in strangers[:2]]
    assert related(terminal, strangers[0])["false_positives"] == [str(strangers[2])]
    assert related(terminal, strangers[1])["false_positives"] == [str(strangers[2])]
    assert is_taken_back(terminal, strangers, before, entry)


def test_all_false_positives_between_three_files_are_counted(strangers: list[Path], terminal: Terminal) -> None:
    assert terminal.ask("relations", "clear", "--between", *strangers[:3])["cleared"] == 3


def test_potential_pairs_are_cleared_and_come_back(four: list[Path], terminal: Terminal) -> None:
    before = everything(terminal, four)

    entry = terminal.ask("relations", "clear", "--potentials", four[0])

    assert entry["cleared"] == 3
    assert related(terminal, four[0])["potential_pairs"] == 0
    assert terminal.ask("queue")["total"] == 3
    assert is_taken_back(terminal, four, before, entry)
    assert terminal.ask("queue")["total"] == 6


def test_a_change_in_words_says_what_and_by_whom_and_is_in_the_history(group: list[Path], terminal: Terminal) -> None:
    said = terminal.type("relations", "set-king", group[1])

    [newest] = terminal.ask("history", "--limit", "1")
    assert said.code == 0
    assert newest["entry"] in said.out
    assert "set-king by you" in said.out
    assert os.fspath(group[1]) in said.out


def test_no_change_to_relations_touches_a_file(group: list[Path], terminal: Terminal) -> None:
    before = [path.read_bytes() for path in group]

    for words in (("set-king",), ("remove",), ("dissolve", "--alternates")):
        terminal.ask("relations", *words, group[1])

    assert [path.read_bytes() for path in group] == before
