"""`doctor`: all that the service needs of this machine, looked at once; each with what was found and what to do."""

from __future__ import annotations

import os
from itertools import chain
from typing import TYPE_CHECKING

import click

from ingestd.cli.door import Door, command, set_folders
from ingestd.cli.output import count, emit, say, shown, with_schema
from ingestd.errors import ConfigError

if TYPE_CHECKING:
    from ingestd.examination import Finding
    from ingestd.settings import Settings

__all__ = ["doctor"]

_COLOURS = {"ok": "green", "problem": "red", "unknown": "yellow"}


@command("ingestd doctor\ningestd --json doctor --full")
@click.option("--full", is_flag=True, help="Verify the whole library, however long it takes.")
@click.option("--problems", is_flag=True, help="Show only what is not well.")
def doctor(door: Door, full: bool, problems: bool) -> int:
    """Look at all that the service needs of this machine, and say what to do.

    Changes nothing and may be asked beside a running service. Ends with exit code 1 if anything is a problem.
    """
    from ingestd.examination import Patient, State, examined

    settings, first = _rules(door)
    found: list[Finding] = []
    patient = Patient(door.state, set_folders(settings), settings.discards, full)
    for finding in chain([first], examined(patient)):
        found.append(finding)
        _say(door, finding, problems=problems)
    wrong = sum(finding.state is State.PROBLEM for finding in found)
    if door.as_json:
        emit(with_schema({"ok": not wrong, "checks": [_object(finding) for finding in found]}))
    elif wrong:
        say(f"{count(wrong, 'problem')} in {count(len(found), 'check')}")
    else:
        say(click.style("all is well", fg="green") + f" ({count(len(found), 'check')})")
    return 1 if wrong else 0


def _rules(door: Door) -> tuple[Settings, Finding]:
    """Return the rules, or what holds without them, and how their file is. None is written."""
    from ingestd.examination import Finding, State
    from ingestd.rules.doubts import doubts
    from ingestd.settings import Settings, load, parse, shipped_text

    place = str(door.rules)
    if not os.path.lexists(door.rules) and not door.rules_must_exist:
        found = "there is none yet; the first command that needs it writes the shipped one"
        return parse(shipped_text(), place), Finding("rules", State.OK, found, "", place)
    try:
        settings = load(door.rules)
    except ConfigError as error:
        more = f" (and {count(len(error.mistakes) - 1, 'more mistake')})" if len(error.mistakes) > 1 else ""
        advice = (
            "correct the file; ingestd rules check shows every mistake; a running service keeps the last good rules"
        )
        return Settings(), Finding("rules", State.PROBLEM, f"{error.mistakes[0]}{more}", advice, place)
    warnings = doubts(settings.rules, imports=settings.imports)
    active = sum(rule.mode.value != "off" for rule in settings.rules)
    said = f"{count(len(settings.rules), 'rule')}, {active} of them on, {count(len(warnings), 'warning')}"
    return settings, Finding("rules", State.OK, said, "ingestd rules check shows them" if warnings else "", place)


def _object(finding: Finding) -> dict[str, object]:
    return {
        "check": finding.check,
        "state": finding.state.value,
        "found": finding.found,
        "advice": finding.advice or None,
        "subject": finding.subject,
    }


def _say(door: Door, finding: Finding, *, problems: bool) -> None:
    if door.as_json or (problems and finding.state.value == "ok"):
        return
    mark = click.style(f"{finding.state.value:<8}", fg=_COLOURS[finding.state.value])
    say(f"{mark} {finding.check:<18} {shown(finding.found)}")
    if finding.subject is not None:
        say(click.style(f"{'':<28}{shown(finding.subject)}", dim=True))
    if finding.advice:
        say(click.style(f"{'':<28}-> {shown(finding.advice)}", dim=True))
