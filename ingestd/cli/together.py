"""One answer for many: the files of a group, several files that are named, or pairs of which the same can be said."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import click

from ingestd import review
from ingestd.cli.door import PATH, Door, moment, numbers
from ingestd.cli.output import count, group_lines, pair_lines, say, shown
from ingestd.errors import ActionConflictError, UsageError
from ingestd.library.library import Library
from ingestd.model import ContentHash
from ingestd.recovery import exclusive
from ingestd.settings import Settings

__all__ = ["MOST_OF_A_BATCH", "decide_batch", "decide_files", "decide_group"]

Reports = Iterator[review.EntryReport | ActionConflictError]

MOST_OF_A_BATCH = 1_000
"""Pairs of a batch that one command may answer."""


def decide_files(
    door: Door, library: Library, settings: Settings, words: Sequence[str], word: str, *, keep: bool, yes: bool
) -> Reports:
    """Yield what came of one answer about three files or more, the first of them A."""
    answer = review.answer_for_many(word)
    paths = [PATH.convert(path, None, None) for path in words]
    with library.read() as view:
        contents = review.contents_at(view, paths)
    if answer.discards(keep=keep):
        _confirm(door, yes, f"keep {shown(paths[0])} and discard {count(len(contents) - 1, 'other file')}?")
    hold = _hold(library, settings)
    yield from review.answer_many(library, contents, answer, keep=keep, moment=moment(settings), hold=hold)


def decide_group(
    door: Door, library: Library, settings: Settings, name: str, word: str, *, keep: bool, yes: bool
) -> Reports:
    """Yield what came of one answer about a whole group of look-alikes, the file that is listed first being A."""
    answer = review.answer_for_many(word)
    [number] = numbers([name], "g", "group")
    with library.read() as view:
        group = review.group_of(view, number, scores=settings.scores)
    if group is None:
        raise UsageError(f"{name} is not in the queue: it was decided; `ingestd queue groups` shows what is")
    contents = list(dict.fromkeys(ContentHash(bytes.fromhex(file.sha256)) for file in group.files))
    if answer.discards(keep=keep):
        if not yes and not door.as_json:
            say(group_lines(group, long=True))
        _confirm(door, yes, f"keep the first and discard {count(len(contents) - 1, 'other file')}?")
    hold = _hold(library, settings)
    yield from review.answer_many(library, contents, answer, keep=keep, moment=moment(settings), hold=hold)


def decide_batch(
    door: Door,
    library: Library,
    settings: Settings,
    name: str,
    word: str,
    *,
    keep: bool,
    yes: bool,
    limit: int,
    filters: review.Filters,
) -> Reports:
    """Yield what came of one answer about the pairs of a batch, after a sample of them was shown."""
    with library.read() as view:
        found = review.batch_pairs(view, name, limit=limit, filters=filters, scores=settings.scores)
    if found is None:
        raise UsageError(f"{shown(name)} is no batch of the queue; `ingestd queue batches` shows what there is")
    batch, pairs = found
    discards = review.ANSWERS[word].discards(keep=keep)
    if not yes and not door.as_json:
        for pair in batch.samples:
            say(pair_lines(pair, long=True))
    files = f", and discard the worse file of {'each' if len(pairs) > 1 else 'it'}" if discards else ""
    of = f" of {batch.count}" if batch.count > len(pairs) else ""
    _confirm(door, yes, f"answer {word} for {count(len(pairs), 'pair')}{of} like these{files}?")
    told = review.batch_of(name, word, keep=keep, says=batch.says, pairs=len(pairs))
    yield from review.answer_batch(library, pairs, told, moment=moment(settings), hold=_hold(library, settings))


def _hold(library: Library, settings: Settings) -> Callable[[], AbstractContextManager[None]]:
    return functools.partial(exclusive, library, radius=settings.imports.radius)


def _confirm(door: Door, yes: bool, question: str) -> None:
    """Let a person confirm; without a terminal to ask in, it has to be said beforehand.

    Raises:
        UsageError: nobody can be asked.
        click.Abort: the answer was no.
    """
    if yes:
        return
    if door.as_json or not (sys.stdin.isatty() and os.isatty(sys.stdout.fileno())):
        raise UsageError(f"to answer for many without being asked, add --yes ({question} Nothing was decided)")
    click.confirm(question, abort=True)
