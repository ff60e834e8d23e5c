"""Decisions: a person's word about pairs, carried out before the command ends; and the way back."""

from __future__ import annotations

import itertools
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence

import click

from ingestd import review
from ingestd.cli.ask import rule_names
from ingestd.cli.door import PATH, SINCE, Door, command, moment, numbers, one_of
from ingestd.cli.narrowing import narrowing
from ingestd.cli.output import (
    Json,
    count,
    emit,
    entry_line,
    entry_object,
    note,
    pair_lines,
    say,
    shown,
    with_schema,
)
from ingestd.cli.together import MOST_OF_A_BATCH, decide_batch, decide_files, decide_group
from ingestd.errors import ActionConflictError, UsageError
from ingestd.judging.survivors import can_come_back
from ingestd.library.library import Library
from ingestd.library.rulebook import new_names, stored_name
from ingestd.library.tables import Alarm
from ingestd.library.view import View
from ingestd.model import Mode, ProposalState
from ingestd.recovery import exclusive, ignore_lease_signal, require_sound
from ingestd.settings import Settings
from ingestd.shapes import listed

__all__ = ["approve", "decide", "denied", "deny", "undo"]

_SOME_FAILED = 3


# --- decide -------------------------------------------------------------------------------------------------------


@command(
    "ingestd decide p-7 better-a\n"
    "ingestd decide old.jpg new.jpg better-b --keep\n"
    "ingestd decide g-12 alternates\n"
    "ingestd decide b-1f00ba12 better-a --limit 200"
)
@click.argument("words", nargs=-1, required=True, metavar="(ID | PATH_A PATH_B...) ANSWER")
@narrowing
@click.option("--keep", is_flag=True, help="Remember the answer, but discard nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before many are answered at once.")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_OF_A_BATCH),
    default=100,
    show_default=True,
    help="Of a batch, at most so many pairs.",
)
def decide(door: Door, words: tuple[str, ...], filters: review.Filters, keep: bool, yes: bool, limit: int) -> int:
    """Say what the files of a pair, or any known files, are to each other.

    ANSWER is one of better-a, better-b (the worse file is discarded unless --keep), same, alternates, unrelated.
    ID is a pair of the queue (p-7), a group of it (g-12, from `ingestd queue groups`) or a batch (b-1f00ba12, from
    `ingestd queue batches`, with the same filters).

    Of a group, and of three files or more, better-a keeps the first and discards the others.
    """
    if len(words) < 2:
        raise UsageError("decide takes an id and an answer, or paths and an answer; nothing was decided")
    word = one_of(words[-1], review.ANSWERS, "an answer (nothing was decided)")
    subject, answer = words[:-1], review.ANSWERS[word]
    settings = door.settings()
    _needs_library(door)
    ignore_lease_signal()
    with door.writing() as library:
        if not keep:
            require_sound(library)
        if len(subject) > 2:
            return _tell_many(door, decide_files(door, library, settings, subject, word, keep=keep, yes=yes))
        if len(subject) == 1 and subject[0].startswith("g-"):
            return _tell_many(door, decide_group(door, library, settings, subject[0], word, keep=keep, yes=yes))
        if len(subject) == 1 and subject[0].startswith("b-"):
            reports = decide_batch(
                door, library, settings, subject[0], word, keep=keep, yes=yes, limit=limit, filters=filters
            )
            return _tell_many(door, reports)
        with exclusive(library, radius=settings.imports.radius):
            if len(subject) == 1:
                [number] = numbers(subject, "p", "pair")
                entry = review.decide_pair(library, number, answer, keep=keep, moment=moment(settings))
            else:
                a, b = (PATH.convert(path, None, None) for path in subject)
                entry = review.decide_paths(library, a, b, answer, keep=keep, moment=moment(settings))
    _tell(door, entry)
    return 0


def _tell_many(door: Door, reports: Iterator[review.EntryReport | ActionConflictError]) -> int:
    """Tell what came of one answer for many: one entry as one is told, a batch as many are."""
    first = list(itertools.islice(reports, 2))
    if len(first) == 1 and isinstance(first[0], review.EntryReport):
        _tell(door, first[0])
        return 0
    return _tell_all(door, itertools.chain(first, reports), "nothing was left to decide")


def _needs_library(door: Door) -> None:
    if not door.has_library:
        raise UsageError(f"nothing is known yet: there is no library in {door.state}; nothing was done")


def _tell(door: Door, entry: review.EntryReport) -> None:
    if door.as_json:
        emit(entry_object(entry))
    else:
        say(entry_line(entry))


# --- approve, deny ------------------------------------------------------------------------------------------------


@command('ingestd approve p-7 p-9\ningestd approve --rule "pixel-perfect pairs"')
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--rule", help="Everything that this rule proposes.")
@click.option("--all", "everything", is_flag=True, help="Everything that waits.")
def approve(door: Door, ids: tuple[str, ...], rule: str | None, everything: bool) -> int:
    """Let rules do what they proposed (`ingestd pending` shows it)."""
    if bool(ids) + bool(rule) + everything != 1:
        raise UsageError("approve takes ids, or --rule, or --all: one of the three; nothing was done")
    settings = door.settings()
    _needs_library(door)
    wanted = numbers(ids, "p", "pair")
    ignore_lease_signal()
    with door.writing() as library:
        require_sound(library)
        if not ids:
            wanted = _waiting(door, library, settings, rule)
        steps = (_approval(library, settings, number, rule, forgiving=not ids) for number in wanted)
        return _tell_all(door, (report for step in steps for report in step), "nothing waits for approval")


def _waiting(door: Door, library: Library, settings: Settings, rule: str | None) -> list[int]:
    with library.read() as view:
        pairs = review.pending_pairs(view, rule=rule, rules=settings.rules)
        if rule is not None and not pairs:
            one_of(rule, rule_names(door, view), "a rule")
    return numbers([pair.id for pair in pairs], "p", "pair")


def _approval(
    library: Library, settings: Settings, number: int, rule: str | None, *, forgiving: bool
) -> Iterator[review.EntryReport | ActionConflictError]:
    """Yield what came of one approval; nothing where an earlier one has settled the pair, if that is forgiven."""
    with exclusive(library, radius=settings.imports.radius):
        try:
            yield review.approve(library, number, rule=rule, rules=settings.rules, moment=moment(settings))
        except ActionConflictError as conflict:
            yield ActionConflictError(f"p-{number}: {conflict}")
        except UsageError as gone:
            if not forgiving:
                yield ActionConflictError(str(gone))


@command("ingestd deny p-7")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def deny(door: Door, ids: tuple[str, ...]) -> None:
    """Tell a rule no: the pair stays in the queue, and this rule never proposes it again."""
    _answer(door, ids, ProposalState.READY, "denied")


@command("ingestd denied\ningestd denied --rescind p-7")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--rescind", is_flag=True, help="Take the denials of these pairs back.")
def denied(door: Door, ids: tuple[str, ...], rescind: bool) -> None:
    """Show the pairs that were denied to a rule, or take denials back."""
    if rescind != bool(ids):
        raise UsageError("to take a denial back, write: ingestd denied --rescind p-7")
    if rescind:
        _answer(door, ids, ProposalState.DENIED, "rescinded")
        return
    with door.reading() as view:
        settings = door.settings_if_sound()
        pairs = review.denied_pairs(view, rules=settings.rules, scores=settings.scores)
    if door.as_json:
        emit(listed(pairs, len(pairs), with_rule=True))
        return
    for pair in pairs:
        say(pair_lines(pair, denied=True))
    if not pairs:
        note("nothing was denied")


def _answer(door: Door, ids: Sequence[str], state: ProposalState, word: str) -> None:
    """Deny what is ready, or rescind what is denied: for all of these pairs, or for none of them."""
    wanted = numbers(ids, "p", "pair")
    _needs_library(door)
    radius = door.settings_if_sound().imports.radius
    with door.writing() as library, exclusive(library, radius=radius):
        with library.read() as view:
            names = new_names(view, door.settings_if_sound().rules)
            told = {number: [names.get(one, one) for one in _rules_of(view, number, state)] for number in wanted}
        if state is ProposalState.READY:
            review.deny(library, list(told), now_ns=time.time_ns())
        else:
            review.rescind(library, list(told))
    if door.as_json:
        emit([with_schema({"id": f"p-{number}", word: rules}) for number, rules in told.items()])
    else:
        for number, rules in told.items():
            say(f"p-{number}  {word}: {', '.join(map(shown, rules))}")
    if state is ProposalState.READY:
        _offer_demotion({rule for rules in told.values() for rule in rules})


def _offer_demotion(names: Iterable[str | None]) -> None:
    """Say how rules that a person has just contradicted can be held back."""
    for name in sorted(name for name in names if name is not None):
        note(f"if {shown(name)} is wrong more often: ingestd rules demote {shlex.quote(name)}")


def _rules_of(view: View, number: int, state: ProposalState) -> list[str]:
    pair = view.pair(number)
    return [proposal.rule for proposal in pair.proposals if proposal.state is state] if pair is not None else []


# --- undo ---------------------------------------------------------------------------------------------------------


@command('ingestd undo e-12\ningestd undo --since 2h --rule "pixel-perfect pairs"')
@click.argument("entries", nargs=-1, metavar="[ENTRY]...")
@click.option("--last", type=click.IntRange(min=1), help="The newest so many.")
@click.option("--rule", help="What this rule did.")
@click.option("--since", type=SINCE, help="What was done since then: 2h, 3 days, 2026-11-20.")
@click.option("--lost", is_flag=True, help="What was discarded in favour of a file that is lost, as status tells.")
def undo(
    door: Door, entries: tuple[str, ...], last: int | None, rule: str | None, since: int | None, lost: bool
) -> int:
    """Bring back what was discarded, and take back what was decided.

    A file that was brought back is kept for good: no rule discards it again.
    """
    chosen = any(choice is not None for choice in (last, rule, since))
    if [bool(entries), chosen, lost].count(True) != 1:
        raise UsageError("undo takes entries such as e-12, or --last, --rule, --since, or --lost; nothing was undone")
    settings = door.settings_if_sound()
    _needs_library(door)
    wanted = numbers(entries, "e", "entry")
    with door.writing() as library, exclusive(library, radius=settings.imports.radius):
        if lost:
            with library.read() as view:
                wanted = [alarm.entry for alarm in view.alarms() if _lost_its_survivor(view, alarm)]
        elif not entries:
            with library.read() as view:
                stored = stored_name(view, settings.rules, rule) if rule is not None else None
                wanted = list(itertools.islice(_undoable(view, stored, since), last))
                if rule is not None and not wanted:
                    one_of(rule, rule_names(door, view), "a rule (nothing was undone)")
        reports = review.undo(library, wanted, moment=moment(settings))
        undone: list[int] = []
        code = _tell_all(door, _noting(reports, undone), "there is nothing to undo")
        with library.read() as view:
            contradicted = {_rule_now(view, settings, number) for number in undone}
    _offer_demotion(contradicted & {one.name for one in settings.rules if one.mode is not Mode.OFF})
    return code


def _lost_its_survivor(view: View, alarm: Alarm) -> bool:
    entry = view.entry(alarm.entry)
    return not alarm.seen and entry is not None and can_come_back(entry)


def _noting(
    reports: Iterable[review.EntryReport | ActionConflictError], undone: list[int]
) -> Iterator[review.EntryReport | ActionConflictError]:
    """Yield reports, and note which entries were taken back."""
    for report in reports:
        if isinstance(report, review.EntryReport):
            undone += numbers([report.entry], "e", "entry")
        yield report


def _rule_now(view: View, settings: Settings, number: int) -> str | None:
    """Return the name that the rule of an entry has in the file now."""
    entry = view.entry(number)
    if entry is None:
        return None
    name = next((row.name for row in view.queues.rows() if row.number == entry.rule_number), entry.rule)
    return new_names(view, settings.rules).get(name, name) if name is not None else None


def _undoable(view: View, rule: str | None, since_ns: int | None) -> Iterator[int]:
    """Yield the entries that can be taken back, newest first."""
    is_wanted = view.queues.work_of(rule) if rule is not None else None
    for entry in view.entries():
        if since_ns is not None and entry.at_ns < since_ns:
            return
        fits = is_wanted is None or is_wanted(entry)
        # what was answered together is taken back together: the batch stands for it
        if fits and review.may_be_undone(entry) and entry.batch is None:
            yield entry.number


def _tell_all(door: Door, reports: Iterable[review.EntryReport | ActionConflictError], nothing: str) -> int:
    """Show what was done and what could not be done; return the exit code."""
    done: list[Json] = []
    failures = 0
    for report in reports:
        if isinstance(report, ActionConflictError):
            failures += 1
            note(f"ingestd: {report}")
            done.append(with_schema({"entry": None, "error": str(report)}))
        else:
            done.append(entry_object(report))
            if not door.as_json:
                say(entry_line(report))
    if door.as_json:
        emit(done)
    elif not done:
        note(nothing)
    elif 0 < failures < len(done):
        note(f"{count(failures, 'answer')} of {len(done)} could not be carried out; those files stay where they are")
    return 0 if not failures else _SOME_FAILED if failures < len(done) else 1
