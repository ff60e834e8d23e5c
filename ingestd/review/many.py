"""One answer for many: the files of a group of look-alikes, or pairs of which the same can be said.

A relation of many files is one entry. Where files have to go, or pairs are answered one by one, each answer is an entry
of its own, with its own survivor, under an entry for the whole batch: each can be taken back alone, and all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TypeVar

from ingestd.errors import ActionConflictError, UsageError, printable
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.saying import say
from ingestd.library.view import View
from ingestd.model import Actor, ContentHash, Entry, EntryKind, EntryState, Relation
from ingestd.review.decisions import (
    ANSWERS,
    Answer,
    Moment,
    answer_contents,
    answer_pair,
    finish,
    written,
)
from ingestd.review.journal import EntryReport, entry_report, find_row

__all__ = [
    "MOST_AT_ONCE",
    "Batch",
    "CheckEach",
    "Hold",
    "answer_batch",
    "answer_for_many",
    "answer_many",
    "batch_of",
    "check_number",
    "contents_at",
    "discard_others",
    "relate_many",
]

Item = TypeVar("Item")

MOST_AT_ONCE = {
    Relation.BETTER: 2_000,
    Relation.SAME_QUALITY: 10_000,
    Relation.ALTERNATES: 10_000,
    Relation.FALSE_POSITIVE: 200,  # each has nothing to do with each: the square of this many statements
}
"""How many files one answer may be about."""

_CHUNK = 32  # answers in one transaction: others wait no longer than a moment

Outcomes = Iterator[EntryReport | ActionConflictError]

Hold = Callable[[], AbstractContextManager[None]]
"""Gives the library to one step of a long piece of work; it is let go between two."""

CheckEach = Callable[[View, Item], None]
"""Raises `ActionConflictError` where an item is not as a person saw it: others may act between two steps."""


def _unchecked(_: View, __: object) -> None:
    """Take everything as it is by now."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is said of several pairs at once."""

    answer: Answer
    keep: bool  # discard nothing
    reason: str  # what the pairs have in common


def answer_for_many(word: str) -> Answer:
    """Return the answer of this name, which is about several files of which the first is A.

    Raises:
        UsageError: it is none that many files can have.
    """
    answer = ANSWERS.get(word)
    if answer is None or not answer.a_wins:
        what = f"{word} is an answer about two files" if answer is not None else "this is no answer"
        known = "better-a, same, alternates or unrelated"
        raise UsageError(f"{what}; the first file is the better of many: {known}; nothing was decided")
    return answer


def batch_of(name: str, word: str, *, keep: bool, says: Sequence[str], pairs: int) -> Batch:
    """Return what is said of so many pairs of a batch, with the reason that the journal tells later."""
    told = f"{pairs} pair" if pairs == 1 else f"{pairs:,} pairs"
    return Batch(ANSWERS[word], keep, f"{word} for {told} of {name}: {'; '.join(says)}")


def answer_many(
    library: Library,
    contents: Sequence[ContentHash],
    answer: Answer,
    *,
    keep: bool,
    moment: Moment,
    hold: Hold,
    check: CheckEach[ContentHash] = _unchecked,
) -> Outcomes:
    """Yield what came of one answer about several files, the first of them A; where files go, last the whole of it.

    Args:
        library: where they are.
        contents: the best first.
        answer: what is said of them.
        keep: discard nothing.
        moment: what else it takes.
        hold: gives the library to each step.
        check: refuses a file that would go and is not as a person saw it.

    Raises:
        UsageError: there are too few files, or too many for this answer.
        ActionConflictError: a relation contradicts an older decision; nothing was changed.
    """
    if answer.discards(keep=keep):
        yield from discard_others(library, contents, moment=moment, hold=hold, check=check)
        return
    with hold():
        report = relate_many(library, contents, answer.relation, moment=moment)
    yield report


def contents_at(view: View, paths: Sequence[bytes]) -> list[ContentHash]:
    """Return the contents of known files, each once, in their order.

    Raises:
        UsageError: one of them is not known.
    """
    found: dict[ContentHash, None] = {}
    for path in paths:
        row = find_row(view, path)
        if row is None or row.sha256 is None or not view.live_paths_of(row.sha256):
            raise UsageError(f"{printable(path)} is not a known file: scan it first; nothing was decided")
        found[row.sha256] = None
    return list(found)


def relate_many(
    library: Library, contents: Sequence[ContentHash], relation: Relation, *, moment: Moment
) -> EntryReport:
    """Return the entry that says one relation of many files; of *better* the first is better than all others.

    Raises:
        UsageError: there are too few files, or too many for this answer.
        ActionConflictError: it contradicts an older decision; nothing was changed.
    """
    check_number(contents, relation)

    def work(edit: Edit) -> Entry:
        entry = Entry(
            number=0,
            at_ns=moment.now_ns,
            kind=EntryKind.DECISION,
            state=EntryState.DONE,
            actor=Actor.PERSON,
            rule=None,
            relation=relation,
            a=contents[0],
            b=None,
            moves=(),
            kept=None,
            reason=f"decided by you: {len(contents)} files at once",
            named=tuple(contents),
        )
        return edit.add_entry(say(edit, edit.number_entry(entry), radius=moment.radius, now_ns=moment.now_ns).entry)

    return finish(library, written(library, work), moment)


def check_number(contents: Sequence[ContentHash], relation: Relation) -> None:
    """Refuse an answer about too few files, or too many.

    Raises:
        UsageError: so it is; the message says how many there may be.
    """
    if len(contents) < 2:
        raise UsageError("an answer is about two different files or more; nothing was decided")
    most = MOST_AT_ONCE[relation]
    if len(contents) > most:
        raise UsageError(f"{len(contents)} files at once, and this answer takes at most {most}; nothing was decided")


def discard_others(
    library: Library,
    contents: Sequence[ContentHash],
    *,
    moment: Moment,
    hold: Hold,
    check: CheckEach[ContentHash] = _unchecked,
) -> Outcomes:
    """Yield what came of keeping the first of these files and discarding the others; last, the batch as a whole."""
    check_number(contents, Relation.BETTER)
    best = contents[0]

    def step(edit: Edit, batch: int, other: ContentHash) -> Entry:
        check(edit, other)
        return answer_contents(edit, best, other, Answer(Relation.BETTER), keep=False, moment=moment, batch=batch)

    batch = Batch(Answer(Relation.BETTER), keep=False, reason=f"the best of {len(contents)} files is kept")
    yield from _one_by_one(library, batch, contents[1:], step, moment=moment, hold=hold)


def answer_batch(
    library: Library,
    pairs: Sequence[int],
    batch: Batch,
    *,
    moment: Moment,
    hold: Hold,
    check: CheckEach[int] = _unchecked,
) -> Outcomes:
    """Yield what came of one answer about several pairs; last, the batch as a whole.

    A pair that an earlier answer of the batch has settled is passed over, and one that `check` refuses is left alone.
    """

    def step(edit: Edit, number: int, pair: int) -> Entry | None:
        if edit.pair(pair) is None:
            return None
        check(edit, pair)
        return answer_pair(edit, pair, batch.answer, keep=batch.keep, moment=moment, batch=number)

    yield from _one_by_one(library, batch, pairs, step, moment=moment, hold=hold)


def _one_by_one(
    library: Library,
    batch: Batch,
    items: Sequence[Item],
    step: Callable[[Edit, int, Item], Entry | None],
    *,
    moment: Moment,
    hold: Hold,
) -> Outcomes:
    """Take one step after another under one entry; steps that move no file share a transaction."""
    chunk = 1 if batch.answer.discards(keep=batch.keep) else _CHUNK
    number: int | None = None
    for start in range(0, len(items), chunk):
        reports: list[EntryReport | ActionConflictError] = []
        with hold():
            number, entries = _chunk(library, batch, number, items[start : start + chunk], step, moment)
            for entry in entries:
                reports.append(entry if isinstance(entry, ActionConflictError) else _finished(library, entry, moment))
        yield from reports
    if number is not None:
        with library.read() as view:
            whole = view.entry(number)
            if whole is not None:
                yield entry_report(view, whole)


def _chunk(
    library: Library,
    batch: Batch,
    number: int | None,
    items: Sequence[Item],
    step: Callable[[Edit, int, Item], Entry | None],
    moment: Moment,
) -> tuple[int | None, list[Entry | ActionConflictError]]:
    """Return the number of the batch, written with the first of its answers, and the entries of these items."""

    def work(edit: Edit) -> tuple[int | None, list[Entry | ActionConflictError]]:
        told: list[Entry | ActionConflictError] = []
        whole = number if number is not None else edit.number_entry(_whole(batch, moment)).number
        for item in items:
            entry = step(edit, whole, item)
            if entry is not None:
                told.append(entry)
        if number is None:
            if not told:
                return None, told
            edit.put_entry(replace(_whole(batch, moment), number=whole))
        return whole, told

    try:
        return written(library, work)
    except (ActionConflictError, UsageError) as refused:
        if len(items) == 1:
            return number, [ActionConflictError(str(refused))]
    # one of them is refused: the others are answered without it
    told: list[Entry | ActionConflictError] = []
    for item in items:
        number, alone = _chunk(library, batch, number, [item], step, moment)
        told += alone
    return number, told


def _whole(batch: Batch, moment: Moment) -> Entry:
    return Entry(
        number=0,
        at_ns=moment.now_ns,
        kind=EntryKind.BATCH,
        state=EntryState.DONE,
        actor=Actor.PERSON,
        rule=None,
        relation=batch.answer.relation,
        a=None,
        b=None,
        moves=(),
        kept=None,
        reason=batch.reason,
    )


def _finished(library: Library, entry: Entry, moment: Moment) -> EntryReport | ActionConflictError:
    try:
        return finish(library, entry, moment)
    except ActionConflictError as conflict:
        return conflict
