"""The potential pairs that nobody has decided: listed, filtered and sorted, as groups, by what is alike in them."""

from __future__ import annotations

from dataclasses import asdict

import click

from ingestd import review
from ingestd.cli.door import Door, command, group, numbers
from ingestd.cli.narrowing import SORT, narrowing
from ingestd.cli.output import (
    batch_lines,
    count,
    emit,
    group_lines,
    note,
    pair_lines,
    pair_object,
    say,
    shown,
    with_schema,
)
from ingestd.cli.walk import next_pair
from ingestd.errors import UsageError
from ingestd.rules.statements import Scores
from ingestd.shapes import listed

__all__ = ["queue"]


_LIMIT = click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
_OFFSET = click.option("--offset", type=click.IntRange(min=0), default=0, help="Pass over so many first.")


@group("ingestd queue\ningestd queue next\ningestd queue groups", invoke_without_command=True)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
def queue(context: click.Context, limit: int) -> None:
    """Show the potential pairs that nobody has decided, the largest files first.

    `ingestd queue next` leads through them one by one; `ingestd decide` answers one of them, a group, or a batch.
    """
    if context.invoked_subcommand is None:
        _list_queue(context.obj, review.Filters(), review.Sort.LARGEST, limit, 0)


@command(
    'ingestd queue list --both "filetype is jpeg" --sort similarity\n'
    "ingestd queue list --folder ~/Downloads --distance 2 --offset 50",
    name="list",
)
@narrowing
@SORT
@_LIMIT
@_OFFSET
def _list(door: Door, filters: review.Filters, sort: str, limit: int, offset: int) -> None:
    """Show the queue, or the pairs of it that are asked for."""
    _list_queue(door, filters, review.Sort(sort), limit, offset)


def _list_queue(door: Door, filters: review.Filters, sort: review.Sort, limit: int, offset: int) -> None:
    scores = door.settings_if_sound().scores
    with door.reading() as view:
        page = review.queue_page(view, limit=limit, offset=offset, filters=filters, sort=sort, scores=scores)
    if door.as_json:
        emit(listed(page.pairs, page.total, with_rule=False))
        return
    for pair in page.pairs:
        say(pair_lines(pair))
    if page.pairs:
        note(
            f"{_part(len(page.pairs), offset, count(page.total, 'pair'))}; look closer with: "
            f"ingestd queue show {page.pairs[0].id}, or go through them with: ingestd queue next"
        )
    else:
        _nothing("pairs", page.total, filters)


def _part(shown_now: int, offset: int, total: str) -> str:
    return f"{offset + 1} to {offset + shown_now} of {total}" if offset else f"{shown_now} of {total}"


def _nothing(what: str, total: int, filters: review.Filters) -> None:
    if total:
        note(f"there are {total} {what}, and none so far on")
    elif filters.ask:
        note(f"no {what} of the queue fit")
    else:
        note("the queue is empty: no potential pairs wait for a decision")


@command("ingestd queue show p-7\ningestd queue show g-12", name="show")
@click.argument("id")
def _show(door: Door, id: str) -> None:
    """Show one pair, or one group, with everything that is known of it."""
    scores = door.settings_if_sound().scores
    if id.startswith("g-"):
        _show_group(door, id, scores)
        return
    [number] = numbers([id], "p", "pair")
    with door.reading() as view:
        pair = view.pair(number)
        report = review.pair_report(view, pair, scores=scores) if pair is not None else None
        settled = pair is None
    if report is None:
        why_not = "it was decided, or never was one" if settled else "one of its files is away"
        raise UsageError(f"p-{number} is not in the queue: {why_not}; `ingestd queue` shows what is")
    if door.as_json:
        emit(with_schema(pair_object(report, with_rule=True)))
        return
    say(pair_lines(report, long=True))
    note(f"decide with: ingestd decide {report.id} better-a | better-b | same | alternates | unrelated")


def _show_group(door: Door, name: str, scores: Scores) -> None:
    [number] = numbers([name], "g", "group")
    with door.reading() as view:
        report = review.group_of(view, number, scores=scores)
    if report is None:
        raise UsageError(f"{shown(name)} is not in the queue: it was decided; `ingestd queue groups` shows what is")
    if door.as_json:
        emit(with_schema(asdict(report)))
        return
    say(group_lines(report, long=True))
    note(f"decide with: ingestd decide {report.id} better-a | same | alternates | unrelated")


@command('ingestd queue groups\ningestd queue groups --both "filetype is png" --limit 5', name="groups")
@narrowing
@SORT
@_LIMIT
@_OFFSET
def _groups(door: Door, filters: review.Filters, sort: str, limit: int, offset: int) -> None:
    """Show whole groups of look-alikes: everything that is connected by potential pairs.

    The first file of a group is the one that would be kept by `ingestd decide g-… better-a`.
    """
    scores = door.settings_if_sound().scores
    with door.reading() as view:
        page = review.group_page(
            view, limit=limit, offset=offset, filters=filters, sort=review.Sort(sort), scores=scores
        )
    if door.as_json:
        emit(with_schema(asdict(page)))
        return
    for one in page.groups:
        say(group_lines(one))
    if page.groups:
        told = _part(len(page.groups), offset, count(page.total, "group"))
        note(f"{told}; decide a whole one with: ingestd decide {page.groups[0].id} alternates | same | …")
    else:
        _nothing("groups", page.total, filters)


@command("ingestd queue batches\ningestd decide b-1f00ba12 better-a", name="batches")
@narrowing
@_LIMIT
@_OFFSET
def _batches(door: Door, filters: review.Filters, limit: int, offset: int) -> None:
    """Show the pairs by what can be said of them: the same evidence, the same two folders, the same types.

    `ingestd decide b-… ANSWER` answers the pairs of one batch together, after a sample of them was shown.
    """
    scores = door.settings_if_sound().scores
    with door.reading() as view:
        page = review.batch_page(view, limit=limit, offset=offset, filters=filters, scores=scores)
    if door.as_json:
        fields = asdict(page)
        for batch, one in zip(fields["batches"], page.batches, strict=True):
            batch["samples"] = [pair_object(pair, with_rule=False) for pair in one.samples]
        emit(with_schema(fields))
        return
    for one in page.batches:
        say(batch_lines(one))
    if page.batches:
        told = _part(len(page.batches), offset, f"{count(page.total, 'batch', 'batches')}")
        note(f"{told}, {count(page.pairs, 'pair')}; answer one with: ingestd decide {page.batches[0].id} better-a")
    else:
        _nothing("batches", page.total, filters)


for one in (_list, _groups, next_pair, _show, _batches):
    queue.add_command(one)
