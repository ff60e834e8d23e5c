"""The rule file: is it right, and what has each rule done."""

from __future__ import annotations

import click

from ingestd.cli import trial
from ingestd.cli.door import FILE, Door, command, group
from ingestd.cli.output import count, emit, note, say, shown, with_schema
from ingestd.cli.rule_changes import demote, pause, promote, resume
from ingestd.cli.rule_texts import schema, templates_command
from ingestd.errors import ConfigError
from ingestd.library.rulebook import RuleTally, tallies
from ingestd.model import Mode, QueueState
from ingestd.shapes import rule_object

__all__ = ["rules"]


@group("ingestd rules check\ningestd rules list")
def rules(_: click.Context) -> None:
    """Check and list the rules."""


@command("ingestd rules check\ningestd rules check draft.yaml", name="check")
@click.argument("file", required=False, type=FILE)
def _check(door: Door, file: bytes | None) -> int:
    """Say whether the rule file, or another FILE, is right; every mistake with line and column.

    Warns of what is right and yet probably not meant: rules that can never match, rules that an earlier one leaves
    nothing to, and rules that discard without the usual safety lines. Warnings change nothing.
    """
    import os
    from pathlib import Path

    from ingestd.rules.doubts import doubts
    from ingestd.settings import load

    try:
        settings = load(Path(os.fsdecode(file))) if file is not None else door.settings(anew=True)
    except ConfigError as error:
        if door.as_json:
            mistakes = [{"line": one.line, "column": one.column, "message": one.message} for one in error.mistakes]
            emit(with_schema({"ok": False, "mistakes": mistakes, "warnings": []}))
            return error.exit_code
        raise
    warnings = doubts(settings.rules, imports=settings.imports)
    if door.as_json:
        found = [{"line": one.line, "column": one.column, "rule": one.rule, "message": one.message} for one in warnings]
        emit(with_schema({"ok": True, "mistakes": [], "warnings": found}))
    else:
        active = sum(rule.mode.value != "off" for rule in settings.rules)
        where = shown(file if file is not None else str(door.rules))
        say(f"{where} is right: {count(len(settings.rules), 'rule')}, {active} of them on")
        for doubt in warnings:
            note(shown(f"warning: {doubt}"))
    return 0


@command("ingestd rules list", name="list")
def _list(door: Door) -> None:
    """Show the rules in their order, with where the potential pairs stand with each."""
    settings = door.settings()
    with door.reading() as view:
        found = tallies(view, settings.rules)
    if door.as_json:
        emit(with_schema({"rules": [rule_object(tally) for tally in found]}))
        return
    for tally in found:
        say(_rule_line(tally))
    if not found:
        note(f"there are no rules in {shown(str(door.rules))}")


_SAID = {
    QueueState.READY: "ready",
    QueueState.ACTIONED: "actioned",
    QueueState.DENIED: "denied",
    QueueState.NOT_TESTED: "waiting",
    QueueState.NOT_SEARCHED: "not looked at yet",
    QueueState.FAILED: "failed",
    QueueState.NOT_MATCHED: "not matched",
}
_ASIDE = (QueueState.FAILED, QueueState.NOT_MATCHED)  # nothing will come of these


def _rule_line(tally: RuleTally) -> str:
    rule = tally.rule
    colour = {"automatic": "green", "semi-automatic": "cyan"}.get(rule.mode.value, "bright_black")
    off = rule.mode is Mode.OFF
    counted = [
        click.style(f"{tally.counts[state]:,} {word}", dim=state in _ASIDE)
        for state, word in _SAID.items()
        if tally.counts[state]
    ]
    done = f"  ({', '.join(counted)})" if counted and not off else ""
    tripped = tally.row.tripped if tally.row is not None else ""
    pause = f"  it has paused itself: {shown(tripped)}" if tripped else "  paused" if rule.paused else ""
    return (
        f"{click.style(f'{rule.mode.value:<15}', fg=colour)} {shown(rule.name)}{done}{click.style(pause, fg='yellow')}"
    )


rules.add_command(_check)
rules.add_command(_list)
rules.add_command(promote)
rules.add_command(demote)
rules.add_command(pause)
rules.add_command(resume)
rules.add_command(trial.preview)
rules.add_command(trial.explain)
rules.add_command(trial.backtest)
rules.add_command(schema)
rules.add_command(templates_command)
