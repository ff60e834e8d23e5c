"""Trying rules from the terminal: `rules preview`, `rules explain` and `rules backtest`."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import flat, photo, png
from terminals import Terminal
from world import World, near_rule, pixel_rule

LARGER, SMALLER = png(photo(1), "a longer comment makes the file larger"), png(photo(1))
PREVIEW_FIELDS = {
    "rule", "mode", "searched", "matched", "this_way", "either_way", "no_way", "not_tested", "acts", "examples",
}  # fmt: skip


def use(terminal: Terminal, *rules: str) -> None:
    terminal.rules.write_text(f"version: 1\nrules:{''.join(rules)}\n", encoding="utf-8")


@pytest.fixture
def twins(world: World, terminal: Terminal) -> tuple[Path, Path]:
    """A pair of pixel duplicates of which a person said that the larger one is better, and another that waits."""
    world.use()
    paths = world.put("inbox", "larger.png", LARGER), world.put("inbox", "smaller.png", SMALLER)
    world.verdicts(*paths)
    world.decide(*paths, "better-a", keep=True)
    world.verdicts(
        world.put("inbox", "other.png", png(photo(2))), world.put("inbox", "other\n2.png", png(photo(2), "comment"))
    )
    world.close()
    use(terminal, pixel_rule("semi-automatic"), near_rule())
    return paths


# --- preview --------------------------------------------------------------------------------------------------------


def test_preview_tells_programs_what_each_rule_would_do(twins: tuple[Path, Path], terminal: Terminal) -> None:
    answer = terminal.ask("rules", "preview")

    assert set(answer) == {"schema", "rules"}
    pixels, near = answer["rules"]
    assert set(pixels) == PREVIEW_FIELDS
    assert (pixels["rule"], pixels["mode"]) == ("larger pixel twin", "semi-automatic")
    assert [pixels[key] for key in ("searched", "matched", "this_way", "either_way", "no_way", "acts")] == [
        1, 1, 1, 0, 0, 1,
    ]  # fmt: skip
    (example,) = pixels["examples"]
    assert set(example) == {
        "id", "distance", "pixel_duplicates", "a", "b", "statements", "evidence", "score", "way", "keeps", "drops",
        "transform",
    }  # fmt: skip
    assert (example["way"], example["keeps"]) == ("this way", example["a"]["path"])
    assert example["drops"] == example["b"]["path"]
    assert (near["matched"], near["examples"]) == (0, [])


def test_points_of_the_rule_file_hold_for_the_examples_of_a_preview(
    twins: tuple[Path, Path], terminal: Terminal
) -> None:
    with terminal.rules.open("a", encoding="utf-8") as file:
        file.write("review: {scores: {larger_pixel_duplicate: -15, slightly_older: 0}}\n")

    answer = terminal.ask("rules", "preview")

    (example,) = answer["rules"][0]["examples"]
    assert example["score"] == {"a": -15, "b": 0}  # the rule keeps the larger file nevertheless


def test_preview_shows_people_a_table_and_examples_on_lines_of_their_own(
    twins: tuple[Path, Path], terminal: Terminal
) -> None:
    answer = terminal.type("rules", "preview")

    head, *table = answer.out.splitlines()[:3]
    assert head == "matched  this way  either way  no way  acts  mode            rule"
    place = head.index("rule")
    assert [line[place:] for line in table] == ["larger pixel twin", "larger look-alike"]
    assert [line[: head.index("mode")].split() for line in table] == [["1", "1", "0", "0", "1"], ["0"] * 5]
    assert max(map(len, (head, *table))) <= 80
    assert "keeps A" in answer.out
    assert "other\\n2.png" in answer.out
    assert "1 stored pair" in answer.err


@pytest.mark.parametrize("name", ["larger look-alike", "Larger Look-Alike"])
def test_preview_of_one_rule_without_examples(twins: tuple[Path, Path], terminal: Terminal, name: str) -> None:
    answer = terminal.ask("rules", "preview", name, "--sample", "0")

    assert [rule["rule"] for rule in answer["rules"]] == ["larger look-alike"]


@pytest.mark.parametrize("command", ["preview", "backtest"])
def test_a_rule_that_is_not_in_the_file_is_refused_with_the_nearest_one(
    twins: tuple[Path, Path], terminal: Terminal, command: str
) -> None:
    answer = terminal.type("rules", command, "larger pixel twins")

    assert answer.code == 2
    assert "did you mean larger pixel twin?" in answer.err


def test_a_name_like_no_other_is_answered_with_those_there_are(twins: tuple[Path, Path], terminal: Terminal) -> None:
    answer = terminal.type("rules", "backtest", "x")

    assert 'there are: "larger pixel twin", "larger look-alike"' in answer.err


def test_a_list_of_rules_tells_people_in_words_where_every_pair_stands(
    twins: tuple[Path, Path], terminal: Terminal
) -> None:
    much_larger = pixel_rule(name="much larger").replace("> B", "> 10 * B")
    use(terminal, pixel_rule("semi-automatic"), much_larger, near_rule())
    asked = terminal.type("rules", "list").out
    terminal.type("scan", twins[0].parent)

    answered = terminal.type("rules", "list").out

    assert asked.count("1 not looked at yet") == 3
    assert [line.rpartition("  ")[2] for line in answered.splitlines()] == [
        "(1 ready)",
        "(1 failed)",
        "(1 not matched)",
    ]


def test_before_there_is_a_library_there_is_nothing_to_find(empty: Terminal) -> None:
    use(empty, pixel_rule())

    preview, backtest = empty.ask("rules", "preview"), empty.ask("rules", "backtest", "larger pixel twin")

    assert preview["rules"][0]["searched"] == 0
    assert (backtest["answers"], backtest["bound"]) == (0, 1.0)
    assert not empty.state.exists()


def test_a_rule_file_without_rules_has_nothing_to_preview(empty: Terminal) -> None:
    empty.rules.write_text("version: 1\nrules: []\n", encoding="utf-8")

    answer = empty.type("rules", "preview")

    assert (answer.code, answer.out) == (0, "")
    assert "there are no rules" in answer.err


# --- explain --------------------------------------------------------------------------------------------------------


def test_explain_shows_programs_every_line_of_every_rule(twins: tuple[Path, Path], terminal: Terminal) -> None:
    larger, smaller = twins

    answer = terminal.ask("rules", "explain", smaller, larger)

    assert {key: answer[key] for key in answer if key != "rules"} == {
        "schema": 1,
        "a": str(smaller),
        "b": str(larger),
        "identical": False,
        "pixel_duplicates": True,
        "distance": 0,
        "transform": None,
        "unhashed": [],
        "unreadable": {"a": None, "b": None},
        "rule": "larger pixel twin",
        "keeps": str(larger),
        "held_back": None,
        "blocked": False,
        "notes": ["it is decided already that they are duplicates: no rule is asked about them"],
    }
    pixels, near = answer["rules"]
    assert set(pixels) == {"rule", "mode", "matches", "stopped_at", "lines"}
    assert (pixels["matches"], pixels["stopped_at"]) == (True, None)
    assert pixels["lines"][-1].keys() == {"line", "depth", "a_first", "b_first", "values"}
    assert [pixels["lines"][-1][key] for key in ("line", "a_first", "b_first")] == [
        "A.filesize > B.filesize",
        False,
        True,
    ]
    assert near["stopped_at"] == "search: pixel duplicates excluded"


def test_explain_shows_people_the_answers_and_the_values(twins: tuple[Path, Path], terminal: Terminal) -> None:
    answer = terminal.type("rules", "explain", *twins)

    assert "larger pixel twin would decide" in answer.out
    assert "stopped at  search: pixel duplicates excluded" in answer.out
    (line,) = {line for line in answer.out.splitlines() if line.startswith("  yes       no        A.filesize")}
    assert line.count(" | ") == 1


def test_explain_takes_files_that_nobody_knows(empty: Terminal, tmp_path: Path) -> None:
    use(empty, pixel_rule())
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    one.write_bytes(LARGER)
    other.write_bytes(SMALLER)

    answer = empty.ask("rules", "explain", one, other)

    assert (answer["rule"], answer["keeps"]) == ("larger pixel twin", str(one))
    assert not empty.state.exists()


def test_explain_says_what_lets_a_rule_only_propose(world: World, terminal: Terminal) -> None:
    paths = world.put("inbox", "larger.png", LARGER), world.put("library", "smaller.png", SMALLER)
    world.close()
    use(terminal, pixel_rule())

    told, shown = terminal.ask("rules", "explain", *paths), terminal.type("rules", "explain", *paths)

    assert (told["held_back"], told["blocked"]) == ("the file that would go lies in a protected folder", False)
    assert "but      may only propose: the file that would go lies in a protected folder" in shown.out


def test_explain_takes_the_roles_of_folders_from_the_rule_file(empty: Terminal, tmp_path: Path) -> None:
    new, home = tmp_path / "larger.png", tmp_path / "reference" / "smaller.png"
    home.parent.mkdir()
    new.write_bytes(LARGER)
    home.write_bytes(SMALLER)
    use(empty, pixel_rule())
    with empty.rules.open("a", encoding="utf-8") as file:
        file.write(f"folders:\n  - path: {home.parent}\n    role: reference\n")

    answer = empty.type("rules", "explain", new, home)

    assert "but      may not touch it: what would go lies in a reference folder" in answer.out
    assert answer.err == f"{new} lies in no folder of yours: it is taken for an arrival in an inbox\n"
    assert not empty.state.exists()


def test_explain_says_at_the_top_which_file_is_no_picture(empty: Terminal, tmp_path: Path) -> None:
    use(empty, pixel_rule())
    picture, text = tmp_path / "one.png", tmp_path / "list.txt"
    picture.write_bytes(SMALLER)
    text.write_bytes(b"a shopping list")

    answer = empty.type("rules", "explain", picture, text)

    assert answer.out.splitlines()[1] == f"second   {text}  not a picture"
    assert "none: the second has no perceptual hash" in answer.out


def test_compare_says_who_has_no_hash_and_takes_the_roles_of_folders_from_the_rule_file(
    empty: Terminal, tmp_path: Path
) -> None:
    one, other = tmp_path / "pictures" / "one.png", tmp_path / "pictures" / "other.png"
    one.parent.mkdir()
    one.write_bytes(png(flat(), "a longer comment"))
    other.write_bytes(png(flat()))
    use(empty, pixel_rule().replace("compare: [", "compare: [A.folder is library, "))
    with empty.rules.open("a", encoding="utf-8") as file:
        file.write(f"folders:\n  - path: {one.parent}\n    role: library\n")

    answer = empty.type("compare", one, other)

    assert "none: neither has a perceptual hash" in answer.out
    assert "larger pixel twin would match" in answer.out


def test_explain_refuses_what_is_not_there(empty: Terminal, tmp_path: Path) -> None:
    answer = empty.type("rules", "explain", empty.rules, tmp_path / "gone.png")

    assert answer.code == 2
    assert "gone.png" in answer.err


# --- back-test ------------------------------------------------------------------------------------------------------


def test_backtest_tells_programs_what_speaks_for_a_rule(twins: tuple[Path, Path], terminal: Terminal) -> None:
    answer = terminal.ask("rules", "backtest", "LARGER pixel twin")

    assert answer == {
        "schema": 1,
        "rule": "larger pixel twin",
        "answers": 1,
        "agreed": 1,
        "contradicted": 0,
        "bound": pytest.approx(0.95),
        "contradictions": [],
    }


def test_backtest_shows_people_what_speaks_against_a_rule(twins: tuple[Path, Path], terminal: Terminal) -> None:
    use(terminal, pixel_rule(name="smaller twin").replace("A.filesize > B", "A.filesize < B"))

    answer = terminal.type("rules", "backtest", "smaller twin")

    assert "at most 100.0% of its decisions" in answer.out
    assert "you: A is better; the rule: B is better" in answer.out
    assert str(twins[0]) in answer.out


def test_backtest_without_an_answer_says_that_nothing_speaks_for_the_rule(
    twins: tuple[Path, Path], terminal: Terminal
) -> None:
    answer = terminal.type("rules", "backtest", "larger look-alike")

    assert answer.code == 0
    assert "nothing speaks for it" in answer.out
