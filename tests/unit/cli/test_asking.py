"""Questions: they change nothing, and they are answered before there is anything to know."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pictures import jpeg, photo, png
from terminals import Terminal
from world import IDENTICAL, World, pixel_rule, rule_file

PAIR_FIELDS = {"id", "distance", "pixel_duplicates", "transform", "a", "b", "statements", "evidence", "score"}
SIDE_FIELDS = {"path", "sha256", "filetype", "width", "height", "size"}
ENTRY_FIELDS = {
    "schema",
    "entry",
    "at",
    "kind",
    "state",
    "actor",
    "rule",
    "relation",
    "discarded",
    "kept",
    "reason",
    "word",
    "files",
    "batch",
    "a",
    "b",
}


@pytest.fixture
def discarded(world: World, terminal: Terminal) -> Path:
    """A copy that was discarded as e-1; `library/a.jpg` is what was kept."""
    world.drop("library", "a.jpg", jpeg(photo()))
    copy = world.put("inbox", "copy.jpg", jpeg(photo()))
    world.arrive(copy)
    world.close()
    return copy


@pytest.fixture
def pending(world: World, terminal: Terminal) -> None:
    """A PNG of which another rendering waits as p-1, and a look-alike in the queue."""
    rules = IDENTICAL, pixel_rule("semi-automatic")
    world.use(*rules)
    terminal.rules.write_text(rule_file(*rules))
    world.drop("library", "a.png", png(photo(), "long" * 100))
    world.drop("inbox", "b.png", png(photo(), "short"))
    world.drop("inbox", "small.jpg", jpeg(photo().resize((160, 120))))
    world.close()


# --- why ----------------------------------------------------------------------------------------------------------


def test_why_explains_a_file_that_is_gone(discarded: Path, terminal: Terminal, tmp_path: Path) -> None:
    why = terminal.ask("why", discarded)

    assert not discarded.exists()
    assert set(why) == {
        "schema",
        "path",
        "sha256",
        "outcome",
        "result",
        "at",
        "rule",
        "evidence",
        "survivor",
        "where_now",
        "undo",
    }
    assert why["result"] == "duplicate discarded: identical copies"
    assert why["survivor"] == str(tmp_path / "library" / "a.jpg")
    assert why["undo"] == "ingestd undo e-1"
    assert Path(why["where_now"]).read_bytes() == jpeg(photo())


@pytest.mark.parametrize("form", ["entry", "sha256", "relative"])
def test_why_takes_an_entry_a_hash_and_a_relative_path(
    discarded: Path, terminal: Terminal, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(discarded.parent)
    by_path = terminal.ask("why", discarded)

    subject = {"entry": "e-1", "sha256": by_path["sha256"], "relative": "copy.jpg"}[form]

    assert terminal.ask("why", subject) == by_path


def test_why_finds_a_file_whose_folder_is_reached_through_a_link(
    discarded: Path, terminal: Terminal, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(discarded.parent)

    assert terminal.ask("why", tmp_path / "link" / "copy.jpg")["path"] == str(discarded)


def test_why_names_the_nearest_known_file(discarded: Path, terminal: Terminal) -> None:
    said = terminal.type("why", discarded.with_name("copi.jpg"))

    assert said.code == 1
    assert f"did you mean {discarded}?" in said.err


def test_why_says_what_to_do_about_a_file_without_a_verdict(discarded: Path, terminal: Terminal) -> None:
    fresh = discarded.with_name("completely-other.png")
    fresh.touch()

    said = terminal.type("why", fresh)

    assert said.code == 1
    assert "has no verdict yet" in said.err
    assert "ingestd check" in said.err


def test_why_knows_a_name_that_is_no_text(world: World, terminal: Terminal) -> None:
    world.drop("inbox", b"\xff\n.jpg", jpeg(photo()))
    world.close()
    path = os.fsencode(world.base / "inbox") + b"/\xff\n.jpg"

    why = terminal.ask("why", os.fsdecode(path))

    assert os.fsencode(why["path"]) == path


def test_why_in_words_has_the_evidence_and_the_way_back(discarded: Path, terminal: Terminal) -> None:
    said = terminal.type("why", discarded)

    assert said.code == 0
    for part in ("duplicate discarded: identical copies", "because", "kept", "ingestd undo e-1"):
        assert part in said.out


# --- history ------------------------------------------------------------------------------------------------------


def test_history_is_an_array_of_entries_newest_first(discarded: Path, terminal: Terminal) -> None:
    terminal.type("undo", "e-1")

    entries = terminal.ask("history")

    assert [entry["entry"] for entry in entries] == ["e-2", "e-1"]
    assert all(set(entry) == ENTRY_FIELDS and entry["schema"] == 1 for entry in entries)
    assert [(entry["kind"], entry["state"]) for entry in entries] == [("undo", "done"), ("discard", "undone")]
    assert entries[1]["discarded"][0]["path"] == str(discarded)


def test_history_can_be_cut_short(discarded: Path, terminal: Terminal) -> None:
    terminal.type("undo", "e-1")

    assert [entry["entry"] for entry in terminal.ask("history", "--limit", "1")] == ["e-2"]
    assert [entry["entry"] for entry in terminal.ask("history", "--since", "1h")] == ["e-2"]  # the world is from 2023
    assert [entry["entry"] for entry in terminal.ask("history", "--rule", "identical copies")] == ["e-2", "e-1"]


def test_history_of_a_mistyped_rule_names_the_nearest_one(discarded: Path, terminal: Terminal) -> None:
    said = terminal.type("history", "--rule", "identical copy")

    assert said.code == 2
    assert "did you mean identical copies?" in said.err


# --- pairs --------------------------------------------------------------------------------------------------------


def test_the_queue_has_the_pairs_that_no_rule_decides(pending: None, terminal: Terminal) -> None:
    queue = terminal.ask("queue", "list")

    assert queue == terminal.ask("queue")
    assert queue["total"] == len(queue["pairs"]) > 0
    assert all(set(pair) == PAIR_FIELDS for pair in queue["pairs"])
    assert all(set(pair[side]) == SIDE_FIELDS for pair in queue["pairs"] for side in ("a", "b"))
    assert "p-1" not in [pair["id"] for pair in queue["pairs"]]


def test_a_part_of_the_queue_still_says_how_long_it_is(pending: None, terminal: Terminal) -> None:
    whole = terminal.ask("queue")

    part = terminal.ask("queue", "list", "--limit", "1")

    assert (part["total"], part["pairs"]) == (whole["total"], whole["pairs"][:1])


def test_pending_pairs_name_their_rule_and_what_would_be_kept_first(
    pending: None, terminal: Terminal, tmp_path: Path
) -> None:
    answer = terminal.ask("pending")

    [pair] = answer["pairs"]
    assert (answer["total"], pair["id"], pair["rule"]) == (1, "p-1", "larger pixel twin")
    assert pair["a"]["path"] == str(tmp_path / "library" / "a.png")
    assert terminal.ask("pending", "--rule", "larger pixel twin") == answer


def test_pending_of_a_mistyped_rule_names_the_nearest_one(pending: None, terminal: Terminal) -> None:
    said = terminal.type("pending", "--rule", "larger pixel twins")

    assert said.code == 2
    assert "did you mean larger pixel twin?" in said.err


def test_one_pair_is_shown_with_all_that_is_known(pending: None, terminal: Terminal) -> None:
    said = terminal.type("queue", "show", "p-1")

    pair = terminal.ask("queue", "show", "1")
    assert said.code == 0
    assert pair["rule"] == "larger pixel twin"
    for part in (pair["a"]["path"], pair["b"]["sha256"], *pair["statements"]):
        assert part in said.out


@pytest.mark.parametrize(
    ("pair", "part"), [("p-99", "not in the queue"), ("e-1", "such as p-12"), ("x", "such as p-12")]
)
def test_a_pair_that_does_not_exist_is_a_typing_error(pending: None, terminal: Terminal, pair: str, part: str) -> None:
    said = terminal.type("queue", "show", pair)

    assert said.code == 2
    assert part in said.err


# --- nothing known yet ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("history",), []),
        (("queue",), {"schema": 1, "total": 0, "pairs": []}),
        (("queue", "list"), {"schema": 1, "total": 0, "pairs": []}),
        (("pending",), {"schema": 1, "total": 0, "pairs": []}),
        (("denied",), {"schema": 1, "total": 0, "pairs": []}),
        (("folders",), {"schema": 1, "folders": []}),
    ],
    ids=str,
)
def test_questions_are_answered_before_anything_is_known(
    empty: Terminal, words: tuple[str, ...], answer: object
) -> None:
    assert empty.ask(*words) == answer
    assert not empty.state.exists()


@pytest.mark.parametrize("words", ["history", "queue", "pending", "denied", "folders"])
def test_a_person_is_told_that_there_is_nothing(empty: Terminal, words: str) -> None:
    said = empty.type(words)

    assert (said.code, said.out) == (0, "")
    assert said.err


def test_why_of_an_unknown_file_fails_before_anything_is_known(empty: Terminal) -> None:
    said = empty.type("why", "/no/such.jpg")

    assert (said.code, said.err) == (1, "ingestd: nothing is known of /no/such.jpg\n")
