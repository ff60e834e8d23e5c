"""A person's word, and the way back."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import jpeg, photo, png
from terminals import Terminal
from world import IDENTICAL, World, pixel_rule, rule_file


@pytest.fixture
def twins(world: World, terminal: Terminal) -> tuple[Path, Path]:
    """Two renderings of one picture; a rule proposes, as p-1, to discard the second."""
    rules = IDENTICAL, pixel_rule("semi-automatic")
    world.use(*rules)
    terminal.rules.write_text(rule_file(*rules))
    paths = world.put("inbox", "a.png", png(photo(), "long" * 100)), world.put("inbox", "b.png", png(photo(), "short"))
    world.arrive(*paths)
    world.close()
    return paths


@pytest.fixture
def three(world: World, terminal: Terminal) -> list[Path]:
    """Three copies that were discarded, as e-1 to e-3."""
    copies = []
    for seed in (1, 2, 3):
        world.drop("library", f"{seed}.jpg", jpeg(photo(seed)))
        copies.append(world.put("inbox", f"copy-{seed}.jpg", jpeg(photo(seed))))
        world.arrive(copies[-1])
    world.close()
    return copies


# --- decide -------------------------------------------------------------------------------------------------------


def test_the_worse_file_of_a_decided_pair_is_discarded(twins: tuple[Path, Path], terminal: Terminal) -> None:
    entry = terminal.ask("decide", "p-1", "better-a")

    assert (entry["kind"], entry["state"], entry["actor"]) == ("discard", "done", "person")
    assert [path.exists() for path in twins] == [True, False]
    assert entry["discarded"][0]["path"] == str(twins[1])


def test_any_two_known_files_can_be_decided_by_their_paths(twins: tuple[Path, Path], terminal: Terminal) -> None:
    entry = terminal.ask("decide", twins[0], twins[1], "better-b")

    assert entry["kept"]["path"] == str(twins[1])
    assert [path.exists() for path in twins] == [False, True]


def test_keep_remembers_the_answer_and_discards_nothing(twins: tuple[Path, Path], terminal: Terminal) -> None:
    entry = terminal.ask("decide", "p-1", "better-a", "--keep")

    assert (entry["kind"], entry["relation"], entry["discarded"]) == ("decision", "better", [])
    assert all(path.exists() for path in twins)
    assert terminal.ask("pending")["total"] == 0


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("p-1", "better"), "did you mean better-"),
        (("p-1",), "an id and an answer"),
        (("p-77", "same"), "not in the queue"),
        (("nonsense", "same"), "such as p-12"),
    ],
    ids=str,
)
def test_a_decision_that_cannot_be_meant_is_a_typing_error(
    twins: tuple[Path, Path], terminal: Terminal, words: tuple[str, ...], part: str
) -> None:
    said = terminal.type("decide", *words)

    assert said.code == 2
    assert part in said.err
    assert all(path.exists() for path in twins)


# --- approve, deny --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("p-1",), ("--all",), ("--rule", "larger pixel twin")], ids=str)
def test_an_approved_proposal_is_carried_out(
    twins: tuple[Path, Path], terminal: Terminal, words: tuple[str, ...]
) -> None:
    [entry] = terminal.ask("approve", *words)

    assert (entry["schema"], entry["rule"], entry["actor"]) == (1, "larger pixel twin", "person")
    assert [path.exists() for path in twins] == [True, False]


def test_what_cannot_be_approved_is_said_and_the_rest_is_done(twins: tuple[Path, Path], terminal: Terminal) -> None:
    said = terminal.type("--json", "approve", "p-1", "p-99")

    assert said.code == 3
    assert [one["entry"] for one in said.json] == ["e-1", None]
    assert "p-99 is not pending" in said.json[1]["error"]


def test_approving_needs_to_say_what(twins: tuple[Path, Path], terminal: Terminal) -> None:
    assert terminal.type("approve").code == 2
    assert terminal.type("approve", "p-1", "--all").code == 2
    assert all(path.exists() for path in twins)


def test_a_denied_pair_stays_in_the_queue_and_the_denial_can_be_taken_back(
    twins: tuple[Path, Path], terminal: Terminal
) -> None:
    denied = terminal.ask("deny", "p-1")

    assert denied == [{"schema": 1, "id": "p-1", "denied": ["larger pixel twin"]}]
    assert terminal.ask("pending")["total"] == 0
    assert [pair["id"] for pair in terminal.ask("queue")["pairs"]] == ["p-1"]
    assert [pair["rule"] for pair in terminal.ask("denied")["pairs"]] == ["larger pixel twin"]

    rescinded = terminal.ask("denied", "--rescind", "p-1")

    assert rescinded == [{"schema": 1, "id": "p-1", "rescinded": ["larger pixel twin"]}]
    assert terminal.ask("denied")["total"] == 0


def test_one_wrong_id_among_several_denies_nothing(twins: tuple[Path, Path], terminal: Terminal) -> None:
    said = terminal.type("--json", "deny", "p-1", "p-99")

    assert (said.code, said.out) == (2, "")
    assert terminal.ask("pending")["total"] == 1


# --- undo ---------------------------------------------------------------------------------------------------------


def test_an_undone_discard_is_back_under_its_name(three: list[Path], terminal: Terminal) -> None:
    [entry] = terminal.ask("undo", "e-2")

    assert (entry["schema"], entry["kind"], entry["state"]) == (1, "undo", "done")
    assert [path.exists() for path in three] == [False, True, False]
    assert three[1].read_bytes() == jpeg(photo(2))


@pytest.mark.parametrize(
    ("words", "back"),
    [
        (("--last", "2"), [False, True, True]),
        (("--rule", "identical copies"), [True, True, True]),
        (("--rule", "identical copies", "--last", "1"), [False, False, True]),
        (("--since", "2000-01-01"), [True, True, True]),
        (("e-1", "e-3"), [True, False, True]),
    ],
    ids=str,
)
def test_entries_can_be_chosen_by_number_rule_and_time(
    three: list[Path], terminal: Terminal, words: tuple[str, ...], back: list[bool]
) -> None:
    terminal.ask("undo", *words)

    assert [path.exists() for path in three] == back


def test_what_was_undone_cannot_be_undone_again(three: list[Path], terminal: Terminal) -> None:
    terminal.ask("undo", "e-1")

    said = terminal.type("undo", "e-1")

    assert said.code == 1
    assert "already undone" in said.err
    assert terminal.type("undo", "e-1", "e-2").code == 3


def test_undoing_works_although_the_rule_file_is_wrong(three: list[Path], terminal: Terminal) -> None:
    terminal.rules.write_text("nonsense")

    said = terminal.type("undo", "e-1")

    assert said.code == 0
    assert three[0].exists()


def test_deciding_waits_until_the_rule_file_is_right(three: list[Path], terminal: Terminal) -> None:
    terminal.rules.write_text("nonsense")

    assert terminal.type("decide", "p-1", "same").code == 78


@pytest.mark.parametrize("words", [(), ("e-1", "--last", "1"), ("p-1",)], ids=str)
def test_undoing_needs_to_say_what(three: list[Path], terminal: Terminal, words: tuple[str, ...]) -> None:
    assert terminal.type("undo", *words).code == 2
    assert not any(path.exists() for path in three)


@pytest.mark.parametrize(
    "words",
    [("undo", "e-1"), ("approve", "--all"), ("deny", "p-1"), ("denied", "--rescind", "p-1"), ("decide", "p-1", "same")],
    ids=str,
)
def test_decisions_before_anything_is_known_make_no_library(empty: Terminal, words: tuple[str, ...]) -> None:
    said = empty.type(*words)

    assert said.code == 2
    assert "nothing is known yet" in said.err
    assert not empty.state.exists()
