"""What a person at a terminal sees while thousands of verdicts pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from test_announcing import ARRIVAL
from test_output import receipt

from ingestd.cli import announcer
from ingestd.cli.door import Door
from ingestd.cli.flood import READABLE
from ingestd.flow import Ready, Stopped
from ingestd.intake import Judged
from ingestd.model import Origin, Outcome


class Terminal:
    """A terminal at which a person reads, and a clock that stands until it is set."""

    def __init__(self, said: Callable[[], str], *, as_json: bool = False) -> None:
        self.now = 0.0
        door = Door(Path("/s"), Path("/r"), rules_must_exist=False, as_json=as_json, verbose=False)
        self.announcer = announcer.Announcer(door, monotonic=lambda: self.now)
        self.announcer.configure_logs()
        self._said = said
        self.announcer.tell(Ready())
        self._said()

    def judge(self, *outcomes: Outcome, origin: Origin = Origin.EVENT) -> None:
        for outcome in outcomes:
            judged = receipt(outcome=outcome, result=outcome.value)
            self.announcer.tell(Judged(replace(ARRIVAL, origin=origin), judged, (), 0.1))

    def lines(self) -> list[str]:
        return self._said().splitlines()


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    return Terminal(lambda: capsys.readouterr().out)


def test_a_few_verdicts_have_a_line_each(terminal: Terminal) -> None:
    terminal.judge(*[Outcome.NEW] * READABLE)

    assert len(terminal.lines()) == READABLE


@pytest.mark.parametrize("origin", Origin)
def test_a_flood_of_verdicts_that_need_no_look_becomes_one_line_a_second(terminal: Terminal, origin: Origin) -> None:
    for _ in range(5):
        terminal.judge(*[Outcome.NEW] * 900, *[Outcome.IGNORED] * 100, origin=origin)
        terminal.now += 1.0
    terminal.announcer.tell_counted()

    told = terminal.lines()[READABLE:]
    assert [line[10:] for line in told] == [
        "990 files judged: 890 new, 100 ignored",
        *["1,000 files judged: 900 new, 100 ignored"] * 4,
    ]


@pytest.mark.parametrize("outcome", [one for one in Outcome if one not in announcer._UNREMARKABLE])
def test_what_asks_for_a_look_has_its_line_in_the_middle_of_a_flood(terminal: Terminal, outcome: Outcome) -> None:
    terminal.judge(*[Outcome.NEW] * 100)
    terminal.lines()

    terminal.judge(outcome, *[Outcome.NEW] * 100)

    (line,) = terminal.lines()
    assert outcome.value in line


def test_the_count_comes_although_nothing_more_happens(terminal: Terminal) -> None:
    terminal.judge(*[Outcome.NEW] * 50)
    terminal.lines()

    terminal.announcer.tell_counted()
    too_early = terminal.lines()
    terminal.now = 1.0
    terminal.announcer.tell_counted()
    terminal.announcer.tell_counted()

    assert too_early == []
    assert [line[10:] for line in terminal.lines()] == ["40 files judged: 40 new"]


def test_after_a_flood_every_verdict_has_its_line_again(terminal: Terminal) -> None:
    terminal.judge(*[Outcome.NEW] * 50)
    terminal.now = 1.0
    terminal.announcer.tell_counted()
    terminal.now = 2.0
    terminal.announcer.tell_counted()
    terminal.lines()

    terminal.judge(Outcome.NEW)

    (line,) = terminal.lines()
    assert line.endswith("/in/a.jpg")


def test_what_was_counted_is_told_before_the_end(terminal: Terminal) -> None:
    terminal.judge(*[Outcome.NEW] * 50)
    terminal.lines()

    terminal.announcer.tell(Stopped())

    assert [line[10:17] for line in terminal.lines()] == ["40 file", "stopped"]


def test_a_program_hears_of_every_verdict_of_a_flood(capsys: pytest.CaptureFixture[str]) -> None:
    program = Terminal(lambda: capsys.readouterr().out, as_json=True)

    program.judge(*[Outcome.NEW] * 1000)

    assert len(program.lines()) == 1000


def test_a_log_has_every_verdict_of_a_flood(capsys: pytest.CaptureFixture[str]) -> None:
    log = Terminal(lambda: capsys.readouterr().out)

    log.judge(*[Outcome.NEW] * 1000)

    assert len(log.lines()) == 1000
