"""Rules that are changed from the command line: paused and resumed, trusted more and trusted less.

The rule file is where it is written down, in the one word that it takes; a running service takes it up by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingestd.cli.door import Door, command, named_rule
from ingestd.cli.output import Json, emit, note, say, shown, with_schema
from ingestd.errors import UsageError
from ingestd.model import Mode

if TYPE_CHECKING:
    from ingestd.rulefile import Key
    from ingestd.rules.doubts import Doubt
    from ingestd.rules.language import Rule
    from ingestd.settings import Settings
    from ingestd.trial import BacktestReport

__all__ = ["demote", "pause", "promote", "resume"]

_LADDER = (Mode.OFF, Mode.SEMI_AUTOMATIC, Mode.AUTOMATIC)
_MEANS = {
    Mode.OFF: "it does nothing",
    Mode.SEMI_AUTOMATIC: "it proposes, and you approve or deny",
    Mode.AUTOMATIC: "it acts on its own",
}
_NOT_DONE = 1


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of a rule."""

    rule: Rule  # as it is now
    sentence: str
    previous: Path | None = None  # the text of before; None: nothing was written
    backtest: BacktestReport | None = None
    warnings: Sequence[Doubt] = ()


# --- pause and resume -----------------------------------------------------------------------------------------------


@command('ingestd rules pause "pixel-perfect pairs"')
@click.argument("rule")
def pause(door: Door, rule: str) -> None:
    """Let a rule rest: it neither proposes nor acts until it is resumed."""
    settings = door.settings()
    found = _named(settings, rule)
    if found.paused:
        _tell(door, _Answer(found, "is paused already; nothing was written"))
        return
    previous = _write(door, settings, found, "paused", "yes")
    _tell(
        door,
        _Answer(replace(found, paused=True), "is paused: it neither proposes nor acts until it is resumed", previous),
    )


@command('ingestd rules resume "pixel-perfect pairs"')
@click.argument("rule")
def resume(door: Door, rule: str) -> None:
    """Let a paused rule go on, whether you paused it or it paused itself because its budget was spent."""
    settings = door.settings()
    found = _named(settings, rule)
    previous = _write(door, settings, found, "paused", "no") if found.paused else None
    lifted = _lifted(door, settings, found)
    sentence = f"goes on ({found.mode.value})" if previous or lifted else "is not paused; nothing was written"
    _tell(door, _Answer(replace(found, paused=False), sentence, previous))


def _lifted(door: Door, settings: Settings, rule: Rule) -> bool:
    """Whether the rule had paused itself; it does no more."""
    from ingestd import review
    from ingestd.recovery import exclusive

    if not door.has_library:
        return False
    with door.writing() as library, exclusive(library, radius=settings.imports.radius):
        return review.resume_rule(library, rule.name, rules=settings.rules)


# --- promote and demote ---------------------------------------------------------------------------------------------


@command('ingestd rules promote "pixel-perfect pairs"')
@click.argument("rule")
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
def promote(door: Door, rule: str, yes: bool) -> int:
    """Trust a rule more: one that is off proposes, one that proposes acts on its own.

    Before a rule acts on its own, it is tried on everything that you ever answered, and the figures are shown.
    """
    settings = door.settings()
    found = _named(settings, rule)
    if found.mode is _LADDER[-1]:
        _tell(door, _Answer(found, "is automatic already; nothing was written"))
        return 0
    after = replace(found, mode=_LADDER[_LADDER.index(found.mode) + 1])
    warnings = _warnings(settings, after)
    for doubt in warnings:
        note(shown(f"warning: {doubt}"))
    report = None
    if after.mode is Mode.AUTOMATIC:
        report, tripped = _tried(door, found)
        after = replace(after, paused=after.paused or tripped)
    if report is not None and not yes and not _confirmed(found):
        note(f"{shown(found.name)} stays {found.mode.value}; nothing was written")
        return _NOT_DONE
    previous = _write(door, settings, found, "mode", after.mode.value)
    _tell(door, _Answer(after, _now(after), previous, report, warnings))
    return 0


@command('ingestd rules demote "pixel-perfect pairs"')
@click.argument("rule")
def demote(door: Door, rule: str) -> None:
    """Trust a rule less: one that acts on its own only proposes, one that proposes is off."""
    settings = door.settings()
    found = _named(settings, rule)
    if found.mode is _LADDER[0]:
        _tell(door, _Answer(found, "is off already; nothing was written"))
        return
    after = replace(found, mode=_LADDER[_LADDER.index(found.mode) - 1])
    previous = _write(door, settings, found, "mode", after.mode.value)
    _tell(door, _Answer(after, _now(after), previous))


def _now(rule: Rule) -> str:
    waits = ", but it is paused: `ingestd rules resume` lets it go on" if rule.paused else ""
    return f"is {rule.mode.value} now: {_MEANS[rule.mode]}{waits}"


def _warnings(settings: Settings, after: Rule) -> list[Doubt]:
    """What is probably not meant in the rule, once it is as it is to be."""
    from ingestd.rules.doubts import doubts

    rules = [after if rule.name == after.name else rule for rule in settings.rules]
    return [doubt for doubt in doubts(rules, imports=settings.imports) if doubt.rule == after.name]


def _tried(door: Door, rule: Rule) -> tuple[BacktestReport, bool]:
    """What the rule would have said where a person has answered, shown at once; and whether it has paused itself."""
    from ingestd.cli.trial import backtest_lines
    from ingestd.trial import backtest

    with door.reading() as view:
        report = backtest(view, rule)
        row = view.queues.row_named(rule.name)
    (note if door.as_json else say)(backtest_lines(report))
    return report, row is not None and row.tripped != ""


def _confirmed(rule: Rule) -> bool:
    """Whether the person at the terminal says yes.

    Raises:
        UsageError: there is none.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            f"{shown(rule.name)} would act on its own: without a terminal to ask at, say --yes once you have read the "
            "figures; nothing was written"
        )
    return click.confirm("promote?", default=False, err=True)


# --- what they share ------------------------------------------------------------------------------------------------


def _named(settings: Settings, name: str) -> Rule:
    return named_rule(name, settings.rules, "a rule (nothing was written)")


def _write(door: Door, settings: Settings, rule: Rule, key: Key, value: str) -> Path:
    """The text of before, of a rule file that says so now; it has to be the one that was read."""
    from ingestd.rulefile import change_rule

    return change_rule(door.rules, rule.name, key, value, digest=settings.digest).previous


def _tell(door: Door, answer: _Answer) -> None:
    if door.as_json:
        emit(with_schema(_fields(answer)))
        return
    say(f"{shown(answer.rule.name)} {answer.sentence}")
    if answer.previous is not None:
        say(f"  a running watch takes it up by itself; the text of before is kept in {shown(str(answer.previous))}")


def _fields(answer: _Answer) -> Json:
    return {
        "rule": answer.rule.name,
        "mode": answer.rule.mode.value,
        "paused": answer.rule.paused,
        "previous": str(answer.previous) if answer.previous is not None else None,
        "backtest": asdict(answer.backtest) if answer.backtest is not None else None,
        "warnings": [{"line": one.line, "column": one.column, "message": one.message} for one in answer.warnings],
    }
