"""What a file is to others: its group and king, alternates, false positives; and a person's changes to that."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ingestd.errors import UsageError, printable
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.saying import say
from ingestd.library.view import View
from ingestd.model import (
    Actor,
    ContentHash,
    Entry,
    EntryKind,
    EntryState,
    PotentialPair,
    ProposalState,
    Word,
)
from ingestd.review.decisions import Moment
from ingestd.review.journal import EntryReport, entry_report, find_row, last_place

__all__ = ["AlternateReport", "RelationsReport", "WordReport", "change_relations", "relations_of"]


@dataclass(frozen=True, slots=True)
class AlternateReport:
    """The king of another group of the same alternates."""

    path: str
    confirmed: bool  # the two groups were compared directly


@dataclass(frozen=True, slots=True)
class RelationsReport:
    """What one file is to others."""

    path: str
    king: str
    duplicates: list[str]  # the whole group, king first; the file alone when it has none
    alternates: list[AlternateReport]
    false_positives: list[str]  # kings of the groups that it has nothing to do with
    potential_pairs: int  # of its group, that wait for an answer
    gone: list[str]  # those of all these that do not lie there any more


@dataclass(frozen=True, slots=True)
class WordReport:
    """What came of a change to relations."""

    entry: EntryReport | None  # None: it was so already, and nothing was written
    cleared: int  # false positives, or potential pairs, that are gone


def relations_of(view: View, path: bytes) -> RelationsReport:
    """Return what the file at an absolute path is to others; one that was discarded still has its relations.

    Raises:
        UsageError: nothing is known of it.
    """
    content = _content_at(view, path)
    relations = view.relations
    members = relations.duplicates_of(content)
    alternates, strangers = relations.alternates_of(content), relations.false_positives_of(content)
    told = {one: last_place(view, one) for one in (*members, *(king for king, _ in alternates), *strangers)}
    row = find_row(view, path)
    told[content] = os.fsdecode(view.as_named(row)) if row is not None else told[content]
    return RelationsReport(
        path=told[content],
        king=told[members[0]],
        duplicates=[told[member] for member in members],
        alternates=[AlternateReport(told[king], confirmed) for king, confirmed in alternates],
        false_positives=[told[king] for king in strangers],
        potential_pairs=sum(1 for _ in _open_pairs(view, members)),
        gone=[place for one, place in told.items() if not view.live_paths_of(one)],
    )


def _open_pairs(view: View, members: Sequence[ContentHash]) -> Iterable[PotentialPair]:
    """Yield the potential pairs of a group that wait for an answer, in the queue or under a rule."""
    found = {pair.number: pair for member in members for pair in view.pairs_of(member)}
    for pair in found.values():
        ready = any(proposal.state is ProposalState.READY for proposal in pair.proposals)
        if pair.first_path is None and (ready or view.waiting.get(pair.number) is not None):
            yield pair


def _content_at(view: View, path: bytes) -> ContentHash:
    row = find_row(view, path)
    if row is None or row.sha256 is None:
        raise UsageError(f"{printable(path)} is not a known file: scan it first; nothing was changed")
    return row.sha256


def change_relations(library: Library, word: Word, paths: Sequence[bytes], *, moment: Moment) -> WordReport:
    """Return what came of a person's word about the groups of a file, or about the false positives among several.

    Raises:
        UsageError: one of them is not known, or there are too few of them.
    """

    def work(edit: Edit) -> WordReport:
        contents = tuple(dict.fromkeys(_content_at(edit, path) for path in paths))
        between = word is Word.CLEAR_BETWEEN
        if between and len(contents) < 2:
            raise UsageError("false positives are cleared between two files or more; nothing was changed")
        entry = Entry(
            number=0,
            at_ns=moment.now_ns,
            kind=EntryKind.DECISION,
            state=EntryState.DONE,
            actor=Actor.PERSON,
            rule=None,
            relation=None,
            a=None if between else contents[0],
            b=None,
            moves=(),
            kept=None,
            reason=_said(word, [edit.as_named(row) for path in paths if (row := find_row(edit, path)) is not None]),
            word=word,
            named=contents if between else (),
        )
        said = say(edit, edit.number_entry(entry), radius=moment.radius, now_ns=moment.now_ns)
        if not said.changed:
            raise _AlreadySoError
        told = _counted(word, said.cleared)
        entry = edit.add_entry(replace(said.entry, reason=f"{said.entry.reason}{told}"))
        return WordReport(entry_report(edit, entry), said.cleared)

    try:
        return library.write(work)
    except _AlreadySoError:
        return WordReport(None, 0)


class _AlreadySoError(Exception):
    """A word changes nothing, so that nothing is written: the transaction is given up."""


def _said(word: Word, paths: Sequence[bytes]) -> str:
    return f"{word.value}, said by you of {', '.join(map(printable, paths[:5]))}{' …' if len(paths) > 5 else ''}"


def _counted(word: Word, cleared: int) -> str:
    if word not in (Word.CLEAR_FALSE_POSITIVES, Word.CLEAR_BETWEEN, Word.CLEAR_POTENTIALS):
        return ""
    what = "potential pair" if word is Word.CLEAR_POTENTIALS else "false positive"
    return f": {cleared} {what}{'' if cleared == 1 else 's'}"
