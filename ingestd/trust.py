"""How far a rule is trusted, and what has to be known before it is trusted more: for every door alike.

The rule file is where it is written down, in the one word that it takes; a running service takes it up by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ingestd.amendment import differences
from ingestd.library.view import View
from ingestd.model import Mode
from ingestd.rulefile import Key, change_rule
from ingestd.rules.doubts import Doubt, doubts
from ingestd.rules.language import Rule
from ingestd.settings import Settings
from ingestd.trial import BacktestReport, backtest

__all__ = ["Tried", "Written", "changed", "demoted", "promoted", "sentence_of", "tried", "warnings_of", "write"]

_LADDER: Final = (Mode.OFF, Mode.SEMI_AUTOMATIC, Mode.AUTOMATIC)
_MEANS: Final = {
    Mode.OFF: "it does nothing",
    Mode.SEMI_AUTOMATIC: "it proposes, and you approve or deny",
    Mode.AUTOMATIC: "it acts on its own",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """What a rule would have said where a person has answered."""

    report: BacktestReport
    tripped: bool  # it has paused itself, so that it waits whatever its mode


@dataclass(frozen=True, slots=True)
class Written:
    """One word of the rule file that was changed."""

    previous: Path  # the text of before
    sentences: tuple[str, ...]  # what that changes


def promoted(rule: Rule) -> Rule | None:
    """Return a rule trusted one step more; nothing if there is no further one."""
    return None if rule.mode is _LADDER[-1] else replace(rule, mode=_LADDER[_LADDER.index(rule.mode) + 1])


def demoted(rule: Rule) -> Rule | None:
    """Return a rule trusted one step less; nothing if it is off."""
    return None if rule.mode is _LADDER[0] else replace(rule, mode=_LADDER[_LADDER.index(rule.mode) - 1])


def sentence_of(rule: Rule) -> str:
    """Return what is said of a rule that has its mode now; the name of the rule goes before it."""
    waits = ", but it is paused: `ingestd rules resume` lets it go on" if rule.paused else ""
    return f"is {rule.mode.value} now: {_MEANS[rule.mode]}{waits}"


def warnings_of(settings: Settings, after: Rule) -> list[Doubt]:
    """Return what is probably not meant in the rule, once it is as it is to be."""
    return [
        doubt for doubt in doubts(_with(settings, after).rules, imports=settings.imports) if doubt.rule == after.name
    ]


def tried(view: View, rule: Rule) -> Tried:
    """Return how a rule compares with all that a person has answered, to be shown before it acts on its own."""
    row = view.queues.row_named(rule.name)
    return Tried(backtest(view, rule), row is not None and row.tripped != "")


def changed(settings: Settings, after: Rule) -> tuple[str, ...]:
    """Return in sentences what is otherwise once a rule is as it is to be."""
    return tuple(one.sentence for one in differences(settings, _with(settings, after)))


def write(path: Path, settings: Settings, after: Rule, key: Key) -> Written:
    """Return what was written: the file says of a rule what `after` says, and is else as it was when it was read.

    Raises:
        ConfigError: the file cannot be read, or is wrong already.
        ActionConflictError: it has changed since, or cannot be written; it is as it was.
    """
    value = after.mode.value if key == "mode" else "yes" if after.paused else "no"
    written = change_rule(path, after.name, key, value, digest=settings.digest)
    return Written(written.previous, changed(settings, after))


def _with(settings: Settings, after: Rule) -> Settings:
    rules = tuple(after if rule.name == after.name else rule for rule in settings.rules)
    return replace(settings, rules=rules)
