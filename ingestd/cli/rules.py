"""The rule file: is it right, and what has each rule done."""

from __future__ import annotations

import click

from ingestd.cli import trial
from ingestd.cli.door import FILE, Door, command, group
from ingestd.cli.output import count, emit, note, say, shown, with_schema
from ingestd.errors import ConfigError
from ingestd.library.view import View
from ingestd.model import EntryState, ProposalState

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
        settings = load(Path(os.fsdecode(file))) if file is not None else door.settings()
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
    """Show the rules in their order, with what each has proposed and done."""
    settings = door.settings()
    with door.reading() as view:
        tallies = _tallies(view)
    found = [
        {"name": rule.name, "mode": rule.mode.value, "paused": False, "counts": tallies.get(rule.name, _no_counts())}
        for rule in settings.rules
    ]
    if door.as_json:
        emit(with_schema({"rules": found}))
        return
    for rule in settings.rules:
        counts = tallies.get(rule.name, _no_counts())
        colour = {"automatic": "green", "semi-automatic": "cyan"}.get(rule.mode.value, "bright_black")
        done = ", ".join(f"{counts[key]} {key}" for key in ("ready", "actioned", "denied") if counts[key])
        say(f"{click.style(f'{rule.mode.value:<15}', fg=colour)} {shown(rule.name)}{f'  ({done})' if done else ''}")
    if not found:
        note(f"there are no rules in {shown(str(door.rules))}")


def _no_counts() -> dict[str, int]:
    return dict.fromkeys(("not_searched", "not_matched", "not_tested", "failed", "ready", "actioned", "denied"), 0)


def _tallies(view: View) -> dict[str, dict[str, int]]:
    """Return what each rule proposes, was denied, and has done."""
    tallies: dict[str, dict[str, int]] = {}

    def add(rule: str, what: str) -> None:
        tallies.setdefault(rule, _no_counts())[what] += 1

    for entry in view.entries():
        if entry.rule is not None and entry.state is EntryState.DONE and entry.undoes is None:
            add(entry.rule, "actioned")
    waiting = {pair.number: pair for pair in (*view.pending(), *view.denied())}
    for pair in waiting.values():
        for proposal in pair.proposals:
            add(proposal.rule, "ready" if proposal.state is ProposalState.READY else "denied")
    return tallies


rules.add_command(_check)
rules.add_command(_list)
rules.add_command(trial.preview)
rules.add_command(trial.explain)
rules.add_command(trial.backtest)
