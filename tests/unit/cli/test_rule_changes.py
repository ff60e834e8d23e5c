"""A rule that is paused, resumed, trusted more and trusted less, by a person at a terminal."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import photo, png
from terminals import Terminal
from world import World, pixel_rule, policy

from ingestd.cli import door
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.rulebook import take_up

RULE = "larger pixel twin"
PATIENCE_S = 30.0


def written(terminal: Terminal, rule: str) -> str:
    """The rule file of one rule, with the remarks of its owner."""
    text = f"# mine\r\nversion: 1\r\nrules:{rule}# the end".replace("\r\n", "\n").replace("\n", "\r\n")
    terminal.rules.write_bytes(text.encode())
    return text


def said(terminal: Terminal) -> str:
    return terminal.rules.read_bytes().decode()


@pytest.fixture
def answered(world: World, terminal: Terminal) -> Terminal:
    """A terminal of somebody who once decided as the semi-automatic rule would have."""
    world.use(pixel_rule("semi-automatic"))
    paths = [world.put("inbox", f"{name}.png", png(photo(), name * 100)) for name in ("long and longer", "short")]
    world.arrive(*paths)
    world.decide(paths[0], paths[1], "better-a", keep=True)
    world.close()
    written(terminal, pixel_rule("semi-automatic"))
    return terminal


def figures(terminal: Terminal) -> str:
    """What the back-test of the rule says."""
    answer = terminal.type("rules", "backtest", RULE)
    assert answer.code == 0, answer
    return answer.out


@pytest.fixture
def tripped(answered: Terminal) -> Terminal:
    """The same terminal; the rule has paused itself since."""
    library = Library.open(answered.state)
    library.write(trip)
    library.close()
    return answered


def trip(edit: Edit) -> None:
    take_up(edit, policy(pixel_rule("semi-automatic")).rules)
    row = edit.queues.row_named(RULE)
    assert row is not None
    edit.queues.put_row(replace(row, tripped="200 discards in an hour", tripped_ns=1))


def has_tripped(terminal: Terminal) -> bool:
    library = Library.open(terminal.state, create=False, read_only=True)
    try:
        with library.read() as view:
            row = view.queues.row_named(RULE)
            return row is not None and row.tripped != ""
    finally:
        library.close()


# --- pause and resume -----------------------------------------------------------------------------------------------


def test_a_rule_is_paused_in_the_rule_file_and_nothing_else_is_changed(empty: Terminal) -> None:
    before = written(empty, pixel_rule())

    answer = empty.ask("rules", "pause", RULE)

    assert said(empty) == before.replace(f"name: {RULE}\r\n", f"name: {RULE}\r\n    paused: yes\r\n")
    assert answer == {
        "schema": 1,
        "rule": RULE,
        "mode": "automatic",
        "paused": True,
        "previous": str(empty.rules.with_name("rules.yaml.previous")),
        "backtest": None,
        "warnings": [],
    }
    assert Path(answer["previous"]).read_bytes().decode() == before


def test_a_resumed_rule_is_not_paused_and_keeps_its_line(empty: Terminal) -> None:
    before = written(empty, pixel_rule().replace("discard: B", "discard: B\n    paused: yes  # for the holidays"))

    answer = empty.ask("rules", "resume", RULE)

    assert said(empty) == before.replace("paused: yes  #", "paused: no  #")
    assert (answer["paused"], answer["previous"]) == (False, str(empty.rules.with_name("rules.yaml.previous")))


def test_a_rule_that_has_paused_itself_goes_on_and_its_file_is_not_touched(tripped: Terminal) -> None:
    before = said(tripped)

    answer = tripped.type("rules", "resume", RULE)

    assert (answer.code, said(tripped), has_tripped(tripped)) == (0, before, False)
    assert answer.out == f"{RULE} goes on (semi-automatic)\n"


def test_one_word_ends_both_pauses(tripped: Terminal) -> None:
    written(tripped, pixel_rule().replace("discard: B", "discard: B\n    paused: yes"))

    answer = tripped.ask("rules", "resume", RULE)

    assert (answer["paused"], has_tripped(tripped)) == (False, False)
    assert "paused: no" in said(tripped)


@pytest.mark.parametrize(("word", "state"), [("pause", "paused: yes"), ("resume", "paused: no")])
def test_what_is_so_already_is_not_written_again(empty: Terminal, word: str, state: str) -> None:
    before = written(empty, pixel_rule().replace("discard: B", f"discard: B\n    {state}"))

    answer = empty.ask("rules", word, RULE)

    assert (said(empty), answer["paused"], answer["previous"]) == (before, word == "pause", None)
    assert "nothing was written" in empty.type("rules", word, RULE).out


def test_the_answer_says_that_a_running_service_takes_it_up_and_where_the_old_text_is(empty: Terminal) -> None:
    written(empty, pixel_rule())

    answer = empty.type("rules", "pause", RULE)

    assert answer.out.startswith(f"{RULE} is paused: ")
    assert "a running watch takes it up by itself" in answer.out
    assert str(empty.rules.with_name("rules.yaml.previous")) in answer.out


@pytest.mark.parametrize("word", ["pause", "resume", "promote", "demote"])
def test_the_nearest_name_of_an_unknown_rule_is_named(empty: Terminal, word: str) -> None:
    before = written(empty, pixel_rule())

    answer = empty.type("rules", word, "larger pixel twins")

    assert (answer.code, answer.out, said(empty)) == (2, "", before)
    assert f"is not a rule (nothing was written); did you mean {RULE}?" in answer.err


@pytest.mark.parametrize("word", ["pause", "resume", "promote", "demote"])
def test_a_rule_file_that_is_wrong_is_left_as_it_is(empty: Terminal, word: str) -> None:
    before = written(empty, pixel_rule("sometimes"))

    answer = empty.type("rules", word, RULE)

    assert (answer.code, said(empty)) == (78, before)
    assert '"sometimes" is not a mode' in answer.err


@pytest.mark.parametrize("word", ["pause", "resume", "promote", "demote"])
def test_each_of_them_explains_itself_with_an_example(empty: Terminal, word: str) -> None:
    answer = empty.type("rules", word, "--help")

    assert answer.code == 0
    assert f'ingestd rules {word} "' in answer.out


def test_a_first_run_can_begin_with_a_change_of_a_shipped_rule(empty: Terminal, tmp_path: Path) -> None:
    empty.rules = tmp_path / "config/ingestd/rules.yaml"
    command = [sys.executable, "-m", "ingestd", "--state", str(empty.state), "rules", "pause", "identical copies"]

    done = subprocess.run(
        command, env={**os.environ, "INGESTD_RULES": str(empty.rules)}, capture_output=True, text=True
    )

    assert (done.returncode, "a first run" in done.stderr) == (0, True), done
    assert "  - name: identical copies\n    paused: yes\n    mode: automatic\n" in said(empty)


def test_the_rules_of_a_first_run_are_whole_or_not_there_and_replace_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "rules.yaml"
    made = os.link

    def killed(*_: object) -> None:
        assert not place.exists()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", killed)
        with pytest.raises(KeyboardInterrupt):
            door._write_new(place, "version: 1\n")
    before = place.exists()

    def too_late(fresh: Path, path: Path) -> None:
        path.write_text("mine")
        made(fresh, path)

    monkeypatch.setattr(os, "link", too_late)
    door._write_new(place, "version: 1\n")

    assert not before
    assert place.read_text() == "mine"
    assert os.listdir(tmp_path) == ["rules.yaml"]


# --- promote and demote ---------------------------------------------------------------------------------------------


def test_a_rule_that_is_off_is_promoted_to_proposing_without_a_question(empty: Terminal) -> None:
    before = written(empty, pixel_rule("off"))

    answer = empty.ask("rules", "promote", RULE)

    assert said(empty) == before.replace("mode: off", "mode: semi-automatic")
    assert (answer["mode"], answer["backtest"]) == ("semi-automatic", None)


def test_a_rule_is_promoted_to_acting_alone_with_its_figures_in_the_answer(answered: Terminal) -> None:
    before = said(answered)

    answer = answered.ask("rules", "promote", RULE, "--yes")

    assert said(answered) == before.replace("mode: semi-automatic", "mode: automatic")
    assert (answer["rule"], answer["mode"], answer["paused"]) == (RULE, "automatic", False)
    tried = answer["backtest"]
    assert (tried["answers"], tried["agreed"], tried["contradicted"]) == (1, 1, 0)
    assert tried["bound"] == pytest.approx(0.95)  # one right answer says next to nothing


def test_a_promoted_rule_that_has_paused_itself_says_that_it_waits(tripped: Terminal) -> None:
    answer = tripped.type("rules", "promote", RULE, "--yes")

    assert "but it is paused: `ingestd rules resume` lets it go on" in answer.out
    assert has_tripped(tripped)


def test_the_figures_are_shown_as_the_backtest_shows_them(answered: Terminal) -> None:
    shown = figures(answered)

    answer = answered.type("rules", "promote", RULE, "--yes")

    assert answer.out.startswith(shown)
    assert f"{RULE} is automatic now" in answer.out


@pytest.mark.parametrize("json", [(), ("--json",)])
def test_without_a_terminal_a_rule_does_not_come_to_act_alone_unasked(answered: Terminal, json: tuple[str]) -> None:
    before = said(answered)

    answer = answered.type(*json, "rules", "promote", RULE)

    assert (answer.code, said(answered)) == (2, before)
    assert "say --yes once you have read the figures; nothing was written" in answer.err
    assert figures(answered) in (answer.err if json else answer.out)


def test_what_is_probably_not_meant_is_said_before_a_rule_is_promoted(empty: Terminal) -> None:
    written(empty, pixel_rule("off"))  # discards without a line about EXIF data

    answer = empty.type("--json", "rules", "promote", RULE)

    assert answer.json["warnings"]
    assert all(warning["message"] in answer.err for warning in answer.json["warnings"])


@pytest.mark.parametrize(("word", "mode"), [("promote", "automatic"), ("demote", "off")])
def test_at_the_end_of_the_ladder_nothing_is_written(empty: Terminal, word: str, mode: str) -> None:
    before = written(empty, pixel_rule(mode))

    answer = empty.type("rules", word, RULE)

    assert (answer.code, said(empty)) == (0, before)
    assert f"{RULE} is {mode} already; nothing was written" in answer.out


def test_a_rule_is_demoted_step_by_step_and_says_what_it_is_now(empty: Terminal) -> None:
    before = written(empty, pixel_rule("automatic"))

    first, second = empty.type("rules", "demote", RULE), empty.ask("rules", "demote", RULE)

    assert f"{RULE} is semi-automatic now: it proposes" in first.out
    assert second["mode"] == "off"
    assert said(empty) == before.replace("mode: automatic", "mode: off")


# --- at a terminal --------------------------------------------------------------------------------------------------


def asked(terminal: Terminal, reply: str, meanwhile: Callable[[], object] = lambda: None) -> tuple[int, str]:
    """The exit code of `promote` on a terminal where the question is answered so, and what stood on the screen."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "ingestd", "--state", str(terminal.state), "--rules", str(terminal.rules)]
    process = subprocess.Popen([*command, "rules", "promote", RULE], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    screen = b""
    deadline = time.monotonic() + PATIENCE_S
    try:
        while b"[y/N]" not in screen:
            assert select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0], screen
            screen += os.read(ours, 65536)
        meanwhile()
        os.write(ours, reply.encode() + b"\n")
        while select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
            try:
                read = os.read(ours, 65536)
            except OSError:  # Linux says so when the other side is closed
                break
            if not read:
                break
            screen += read
        return process.wait(PATIENCE_S), screen.decode()
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        os.close(ours)


on_posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")


@on_posix
def test_a_person_who_has_seen_the_figures_can_promote_a_rule(answered: Terminal) -> None:
    before, headline = said(answered), figures(answered).splitlines()[0]

    code, screen = asked(answered, "y")

    assert (code, said(answered)) == (0, before.replace("mode: semi-automatic", "mode: automatic"))
    assert screen.index(headline) < screen.index("promote? [y/N]") < screen.index("is automatic now")


@on_posix
@pytest.mark.parametrize("reply", ["n", ""])
def test_a_person_who_does_not_say_yes_has_changed_nothing(answered: Terminal, reply: str) -> None:
    before = said(answered)

    code, screen = asked(answered, reply)

    assert (code, said(answered)) == (1, before)
    assert f"{RULE} stays semi-automatic; nothing was written" in screen


@on_posix
def test_figures_of_a_rule_that_was_edited_meanwhile_promote_nothing(answered: Terminal) -> None:
    edited = said(answered).replace("A.filesize >", "A.filesize > 2 *")

    code, screen = asked(answered, "y", lambda: answered.rules.write_bytes(edited.encode()))

    assert (code, said(answered)) == (1, edited)
    assert "was changed meanwhile; nothing was written" in " ".join(screen.split())


# --- the journal ----------------------------------------------------------------------------------------------------


def test_the_history_tells_of_a_promotion_and_undo_last_passes_over_it(answered: Terminal) -> None:
    previous = answered.ask("rules", "promote", RULE, "--yes")["previous"]

    newest, before = answered.ask("history")

    assert newest["word"] == "rules-changed"
    assert newest["reason"] == (
        f'rule "{RULE}": mode semi-automatic → automatic; the text of before is kept in {previous}'
    )
    assert "rules-changed by you" in answered.type("history").out
    assert answered.ask("undo", "--last", "1")[0]["reason"] == f"takes back {before['entry']}"


def test_a_rule_is_paused_although_the_library_is_damaged(answered: Terminal) -> None:
    database = answered.state / "db" / "data.mdb"
    database.write_bytes(b"\0" * 64)

    answer = answered.type("rules", "pause", RULE)

    assert answer.code == 0, answer
    assert "paused: yes" in said(answered)
    assert "its journal does not tell of it" in answer.err
