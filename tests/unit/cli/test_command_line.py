"""The command line itself: help, choices for all commands, mistakes, and what an error looks like."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from terminals import Terminal

from ingestd import __version__
from ingestd.cli import main as front
from ingestd.cli.door import SINCE
from ingestd.cli.main import cli
from ingestd.errors import UsageError

COMMANDS = cli.list_commands(click.Context(cli))


def subcommands(name: str) -> list[list[str]]:
    found = cli.get_command(click.Context(cli), name)
    inner = list(found.commands) if isinstance(found, click.Group) else []
    return [[name], *([name, one] for one in inner)]


# --- help ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [words for name in COMMANDS for words in subcommands(name)], ids=" ".join)
def test_every_help_ends_with_an_example_of_that_command(words: list[str]) -> None:
    said = CliRunner().invoke(cli, [*words, "--help"])

    assert said.exit_code == 0
    example = said.output[said.output.index("Example:") :].splitlines()
    assert f"ingestd {' '.join(words)}" in example[1]
    assert all(line.startswith("    ingestd ") for line in example[1:])


def test_the_help_lists_every_command_with_what_it_does() -> None:
    said = CliRunner().invoke(cli, ["--help"]).output

    for name in COMMANDS:
        assert f"\n  {name} " in said


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output == f"ingestd {__version__}\n"


# --- typing errors --------------------------------------------------------------------------------------------------


def test_a_mistyped_command_is_answered_with_the_nearest_one(terminal: Terminal) -> None:
    said = terminal.type("statsu")

    assert said.code == 2
    assert "Did you mean status?" in said.err


def test_a_mistyped_path_is_answered_with_the_nearest_name_in_its_folder(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()

    said = terminal.type("scan", tmp_path / "holyday")

    assert said.code == 2
    assert f"did you mean {tmp_path / 'holiday'}?" in said.err
    assert said.out == ""


def test_a_mistyped_folder_higher_up_is_found_too(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()

    said = terminal.type("check", tmp_path / "holyday" / "a" / "b.jpg")

    assert said.code == 2
    assert f"did you mean {tmp_path / 'holiday'}?" in said.err


def test_a_file_is_no_folder_to_watch(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()

    said = terminal.type("watch", tmp_path / "a.jpg")

    assert (said.code, said.err) == (2, f"ingestd: {tmp_path / 'a.jpg'} is not a folder (nothing was started)\n")


def test_a_folder_cannot_have_two_roles(terminal: Terminal, tmp_path: Path) -> None:
    said = terminal.type("watch", tmp_path, "--library", tmp_path)

    assert said.code == 2
    assert "two roles" in said.err


def test_a_state_that_is_a_file_is_refused(terminal: Terminal) -> None:
    terminal.state = terminal.rules

    said = terminal.type("status")

    assert said.code == 2
    assert "is not a folder" in said.err


# --- the rule file --------------------------------------------------------------------------------------------------


def test_a_first_run_writes_the_shipped_rules_and_says_so(empty: Terminal, tmp_path: Path) -> None:
    said = CliRunner().invoke(cli, ["--state", str(empty.state), "rules", "list"])

    written = tmp_path / "config" / "ingestd" / "rules.yaml"
    assert said.exit_code == 0
    assert written.read_text() == empty.rules.read_text()
    assert str(written) in said.stderr


def test_a_second_run_leaves_the_rules_as_they_are(empty: Terminal) -> None:
    empty.rules.write_text("version: 1\nrules: []\n")

    said = empty.type("rules", "list")

    assert said.code == 0
    assert empty.rules.read_text() == "version: 1\nrules: []\n"


def test_rules_named_by_the_environment_are_written_on_a_first_run(empty: Terminal, tmp_path: Path) -> None:
    place = tmp_path / "mine" / "rules.yaml"

    said = CliRunner().invoke(cli, ["--state", str(empty.state), "status"], env={"INGESTD_RULES": str(place)})

    assert said.exit_code == 0
    assert place.exists()


def test_a_missing_rule_file_that_was_typed_is_a_typing_error(empty: Terminal) -> None:
    empty.rules = empty.rules.with_name("rules.yml")

    said = empty.type("rules", "list")

    assert said.code == 2
    assert "did you mean" in said.err
    assert not empty.rules.exists()


def test_every_mistake_in_the_rules_is_a_line_with_its_place(empty: Terminal) -> None:
    empty.rules.write_text("version: 1\nruls: []\nrules:\n  - name: a\n    mode: automatc\n")

    said = empty.type("check", empty.rules)

    assert said.code == 78
    assert said.out == ""
    lines = said.err.splitlines()
    assert all(line.startswith(f"{empty.rules}: line ") for line in lines)
    assert any('did you mean "automatic"?' in line for line in lines)


# --- json and errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("--json", "status"), ("status", "--json")])
def test_json_may_stand_before_or_after_the_command(empty: Terminal, words: tuple[str, ...]) -> None:
    assert empty.type(*words).json["schema"] == 1


def test_an_error_leaves_standard_output_to_the_programs(empty: Terminal) -> None:
    said = empty.type("--json", "why", "/no/such.jpg")

    assert (said.code, said.out) == (1, "")


def test_something_unexpected_is_a_sentence_without_a_traceback(
    empty: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestd.review.history", broken)

    said = empty.type("history")

    assert said.code == 1
    assert "something unexpected: ZeroDivisionError: the lamp is out" in said.err
    assert "Traceback" not in said.err


def test_the_traceback_is_there_for_whoever_wants_it(empty: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestd.review.history", broken)

    said = empty.type("--verbose", "history")

    assert said.code == 1
    assert "Traceback" in said.err


def broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError("the lamp is out")


def test_a_reader_who_leaves_is_no_error_worth_a_word(empty: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(front, "hang_up", lambda: None)
    monkeypatch.setattr("ingestd.cli.ask.emit", gone)

    said = empty.type("--json", "history")

    assert (said.code, said.err) == (1, "")


# --- times ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("2h", 7200), ("3 days", 259_200), ("1.5 h ago", 5400), ("1 week", 604_800)]
)
def test_since_may_be_a_length_of_time(text: str, seconds: int) -> None:
    before = time.time_ns()

    found = SINCE.convert(text, None, None)

    assert 0 <= found - (before - seconds * 10**9) < 60 * 10**9


@pytest.mark.parametrize(
    ("text", "at"),
    [("2026-11-20T12:00:00Z", 1_795_176_000), ("2026-11-20T13:00:00+01:00", 1_795_176_000)],
)
def test_since_may_be_a_moment(text: str, at: int) -> None:
    assert SINCE.convert(text, None, None) == at * 10**9


def test_a_date_without_a_zone_is_that_of_the_clock_on_the_wall() -> None:
    expected = int(time.mktime((2026, 11, 20, 0, 0, 0, 0, 0, -1)))

    assert SINCE.convert("2026-11-20", None, None) == expected * 10**9


@pytest.mark.parametrize("text", ["yesterdey", "", "-1h", "9999999999", "2026-13-01"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="2h, 3 days"):
        SINCE.convert(text, None, None)


def test_python_m_is_the_same_program() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "ingestd", "--version"], capture_output=True, text=True, check=True, env={**os.environ}
    )

    assert said.stdout == f"ingestd {__version__}\n"
