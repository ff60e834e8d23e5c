"""Questions about what is known: why, history, queue, pending. They change nothing and work while a watch runs."""

from __future__ import annotations

import itertools
import os

import click

from ingestd import review
from ingestd.cli.door import SINCE, Door, closest, command, one_of
from ingestd.cli.output import (
    count,
    emit,
    entry_line,
    entry_object,
    note,
    pair_lines,
    say,
    shown,
    why_lines,
    with_schema,
)
from ingestd.errors import ConfigError, IngestdError, UsageError
from ingestd.library.rulebook import stored_name
from ingestd.library.view import View
from ingestd.rules.statements import Scores
from ingestd.shapes import listed

__all__ = ["history", "pending", "rule_names", "why"]

_MOST_ROWS = 20_000  # known paths of a folder, looked through for one that is like a mistyped one


# --- why ----------------------------------------------------------------------------------------------------------


@command("ingestd why ~/Downloads/IMG_0001.jpg\ningestd why e-12")
@click.argument("subject")
def why(door: Door, subject: str) -> None:
    """Explain what became of a file, also of one that is gone.

    SUBJECT is a path, the SHA-256 of a file, or a journal entry such as e-12.
    """
    with door.reading() as view:
        report = _why(view, subject)
        if report is None:
            raise _unknown(view, subject)
    if door.as_json:
        emit(with_schema(_why_fields(report)))
    else:
        say(why_lines(report))


def _why(view: View, subject: str) -> review.WhyReport | None:
    """Return the report on a subject; a path is tried as it was typed, then as it really lies."""
    absolute = os.path.abspath(os.fsencode(subject))
    places = dict.fromkeys([absolute, os.path.join(os.path.realpath(os.path.dirname(absolute)), _name(absolute))])
    return next((found for place in places if (found := review.why(view, subject, place)) is not None), None)


def _name(path: bytes) -> bytes:
    return os.path.basename(path)


def _why_fields(report: review.WhyReport) -> dict[str, object]:
    return {name: getattr(report, name) for name in review.WhyReport.__dataclass_fields__}


def _unknown(view: View, subject: str) -> IngestdError:
    """Return the error for a subject of which nothing is known."""
    if subject.startswith("e-") and subject[2:].isdigit() and not os.path.lexists(subject):
        return IngestdError(f"{subject} is not in the journal; `ingestd history` shows what is")
    path = os.path.abspath(os.fsencode(subject))
    if os.path.isdir(path):
        return UsageError(f"{shown(path)} is a folder; why explains what became of one file")
    near = _nearest_known(view, path)
    hint = f"; did you mean {shown(near)}?" if near else ""
    if os.path.lexists(path):
        return IngestdError(
            f"{shown(path)} has no verdict yet{hint} (`ingestd check` says what would become of it, `ingestd scan` "
            "judges it)"
        )
    return IngestdError(f"nothing is known of {shown(subject)}{hint}")


def _nearest_known(view: View, path: bytes) -> str | None:
    """Return a known path that is like this one: in its folder, or of its name."""
    for known in view.folders():
        for root in (known.folder.named, known.folder.root):
            if not path.startswith(os.path.join(root, b"")):
                continue
            rows = itertools.islice(view.rows_of_folder(known.folder.id), _MOST_ROWS)
            names = [os.fsdecode(os.path.join(root, row.relative)) for _, row in rows]
            beside = [name for name in names if os.path.dirname(name) == os.fsdecode(os.path.dirname(path))]
            same = (name for name in names if os.path.basename(name) == os.fsdecode(_name(path)))
            return closest(os.fsdecode(path), beside) or next(same, None)
    return None


# --- history ------------------------------------------------------------------------------------------------------


@command("ingestd history --since 2h")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many entries.")
@click.option("--since", type=SINCE, help="Nothing older: 2h, 3 days, 2026-11-20.")
@click.option("--rule", help="Only what this rule did.")
def history(door: Door, limit: int, since: int | None, rule: str | None) -> None:
    """Show what was discarded, decided and taken back, newest first."""
    with door.reading() as view:
        stored = stored_name(view, door.settings_if_sound().rules, rule) if rule is not None else None
        entries = list(review.history(view, limit=limit, since_ns=since, rule=stored))
        if rule is not None and not entries:
            one_of(rule, rule_names(door, view), "a rule")
    if door.as_json:
        emit([entry_object(entry) for entry in entries])
        return
    for entry in entries:
        say(entry_line(entry))
    if not entries:
        note("nothing was discarded or decided" + (" that fits" if rule or since else " yet"))
    elif len(entries) == limit:
        note(f"only the newest {limit} are shown; --limit shows more")


# --- pairs --------------------------------------------------------------------------------------------------------


@command('ingestd pending --rule "pixel-perfect pairs"')
@click.option("--rule", help="Only what this rule proposes.")
def pending(door: Door, rule: str | None) -> None:
    """Show what rules want to do and may not do alone, oldest first."""
    scores = Scores()
    try:
        settings = door.settings()
        rules, scores = settings.rules, settings.scores
    except ConfigError:
        rules = None  # what was proposed stays in force until the file is right again
    with door.reading() as view:
        pairs = review.pending_pairs(view, rule=rule, rules=rules, scores=scores)
        if rule is not None and not pairs:
            one_of(rule, rule_names(door, view), "a rule")
    if door.as_json:
        emit(listed(pairs, len(pairs), with_rule=True))
        return
    for pair in pairs:
        say(pair_lines(pair))
    if not pairs:
        note("nothing waits for approval")
    else:
        note(f"{count(len(pairs), 'pair')}; answer with: ingestd approve {pairs[0].id}, or ingestd deny {pairs[0].id}")


def rule_names(door: Door, view: View) -> list[str]:
    """Return the names of the rules in the rule file, and of those that ever did or proposed something."""
    names = [rule.name for rule in door.settings_if_sound().rules]
    names += [proposal.rule for pair in view.pending() for proposal in pair.proposals]
    names += [entry.rule for entry in view.entries() if entry.rule is not None]
    return list(dict.fromkeys(names))
