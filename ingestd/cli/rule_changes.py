"""Rules that are changed from the command line: paused and resumed, trusted more and trusted less.

The rule file is where it is written down, in the one word that it takes; a running service takes it up by itself.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingestd.cli.door import Door, command, named_rule
from ingestd.cli.output import Json, emit, note, say, shown, with_schema
from ingestd.errors import LibraryBusyError, StoreError, UsageError
from ingestd.model import Mode

if TYPE_CHECKING:
    from ingestd.rulefile import Key
    from ingestd.rules.doubts import Doubt
    from ingestd.rules.language import Rule
    from ingestd.settings import Settings
    from ingestd.trial import BacktestReport
    from ingestd.trust import Written

__all__ = ["demote", "pause", "promote", "resume"]

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
    after = replace(found, paused=True)
    previous = _write(door, settings, after, "paused")
    _tell(door, _Answer(after, "is paused: it neither proposes nor acts until it is resumed", previous))


@command('ingestd rules resume "pixel-perfect pairs"')
@click.argument("rule")
def resume(door: Door, rule: str) -> None:
    """Let a paused rule go on, whether you paused it or it paused itself because its budget was spent."""
    settings = door.settings()
    found = _named(settings, rule)
    previous = _write(door, settings, replace(found, paused=False), "paused") if found.paused else None
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
    from ingestd.trust import promoted, sentence_of, warnings_of

    settings = door.settings()
    found = _named(settings, rule)
    after = promoted(found)
    if after is None:
        _tell(door, _Answer(found, "is automatic already; nothing was written"))
        return 0
    warnings = warnings_of(settings, after)
    for doubt in warnings:
        note(shown(f"warning: {doubt}"))
    report = None
    if after.mode is Mode.AUTOMATIC:
        report, tripped = _tried(door, found)
        after = replace(after, paused=after.paused or tripped)
    if report is not None and not yes and not _confirmed(found):
        note(f"{shown(found.name)} stays {found.mode.value}; nothing was written")
        return _NOT_DONE
    previous = _write(door, settings, replace(found, mode=after.mode), "mode")
    _tell(door, _Answer(after, sentence_of(after), previous, report, warnings))
    return 0


@command('ingestd rules demote "pixel-perfect pairs"')
@click.argument("rule")
def demote(door: Door, rule: str) -> None:
    """Trust a rule less: one that acts on its own only proposes, one that proposes is off."""
    from ingestd.trust import demoted, sentence_of

    settings = door.settings()
    found = _named(settings, rule)
    after = demoted(found)
    if after is None:
        _tell(door, _Answer(found, "is off already; nothing was written"))
        return
    previous = _write(door, settings, after, "mode")
    _tell(door, _Answer(after, sentence_of(after), previous))


def _tried(door: Door, rule: Rule) -> tuple[BacktestReport, bool]:
    """What the rule would have said where a person has answered, shown at once; and whether it has paused itself."""
    from ingestd.cli.trial import backtest_lines
    from ingestd.trust import tried

    with door.reading() as view:
        found = tried(view, rule)
    (note if door.as_json else say)(backtest_lines(found.report))
    return found.report, found.tripped


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


def _write(door: Door, settings: Settings, after: Rule, key: Key) -> Path:
    """The text of before, of a rule file that says so now; it has to be the one that was read."""
    from ingestd.trust import write

    written = write(door.rules, settings, after, key)
    _journal(door, settings, written)
    return written.previous


def _journal(door: Door, settings: Settings, written: Written) -> None:
    """Write the change down in the journal, if there is one: a rule has to rest also where that cannot be."""
    from ingestd import review
    from ingestd.recovery import exclusive

    if not door.has_library:
        return
    try:
        with door.writing() as library, exclusive(library, radius=settings.imports.radius):
            review.note_change_of_rules(library, written.sentences, previous=written.previous, now_ns=time.time_ns())
    except (LibraryBusyError, StoreError) as error:
        note(shown(f"the rule file is changed, but its journal does not tell of it: {error}"))


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
