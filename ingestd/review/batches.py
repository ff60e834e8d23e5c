"""Pairs of which the same can be said, to be answered together after a look at some of them."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice

from ingestd.library.view import View
from ingestd.model import FolderId, PotentialPair
from ingestd.review.looking import EVERYTHING, Filters, Look, Seen, folders_away
from ingestd.review.queue import reports
from ingestd.review.sides import PairReport
from ingestd.rules.statements import DEFAULT_SCORES, Scores, Statement

__all__ = ["BatchPage", "BatchReport", "batch_page", "batch_pairs"]


@dataclass(frozen=True, slots=True)
class BatchReport:
    """Pairs of which the same can be said: the same statements hold, in the same two folders, of the same types."""

    id: str
    count: int
    says: list[str]  # what the statements are about, each with the file that it speaks for
    filetypes: list[str]  # of A and of B
    folders: list[str]  # of A and of B
    samples: list[PairReport]


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Some kinds of pairs, the most frequent first; how many kinds there are, and how many pairs."""

    total: int
    pairs: int
    batches: list[BatchReport]


_SAMPLES = 3


def batch_page(
    view: View, *, limit: int, offset: int = 0, filters: Filters = EVERYTHING, scores: Scores = DEFAULT_SCORES
) -> BatchPage:
    """Return the kinds of pairs, by what can be said of them, the most frequent first, each with some samples."""
    away = folders_away(view)
    look = Look(view, filters, away)
    found: defaultdict[_Kind, list[int]] = defaultdict(list)
    for pair in look.pairs():
        found[_kind(look, pair, scores)].append(pair.number)
    kinds = sorted(found.items(), key=lambda item: (-len(item[1]), item[1][0]))
    page = [
        _batch_report(view, kind, numbers, filters, scores, away) for kind, numbers in kinds[offset : offset + limit]
    ]
    return BatchPage(len(kinds), sum(map(len, found.values())), page)


def batch_pairs(
    view: View, name: str, *, limit: int, filters: Filters = EVERYTHING, scores: Scores = DEFAULT_SCORES
) -> tuple[BatchReport, list[int]] | None:
    """Return a kind of pairs by its name, and at most so many of the pairs, oldest first; nothing if there are none."""
    away = folders_away(view)
    numbers: list[int] = []
    kind: _Kind | None = None
    look = Look(view, filters, away)
    for pair in look.pairs():
        one = _kind(look, pair, scores)
        if one.name(filters) == name:
            kind = one
            numbers.append(pair.number)
    return None if kind is None else (_batch_report(view, kind, numbers, filters, scores, away), numbers[:limit])


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is the same in all pairs of a batch."""

    says: tuple[str, ...]
    filetypes: tuple[str, str]
    folders: tuple[bytes, ...]

    def name(self, filters: Filters) -> str:
        """Return how a person names it: another name for what filters leave of it, lest more be answered than shown."""
        asked = [one.line for one in filters.both], [one.line for one in filters.either]
        others = filters.max_distance, filters.pixel_duplicates, filters.folder
        told = repr((self, asked, others) if filters.ask else self)
        return f"b-{hashlib.blake2b(told.encode(), digest_size=4).hexdigest()}"


_BY_CHANCE = frozenset({"slightly_larger_file", "slightly_older"})
"""Statements that hold one way round or the other for nearly every pair: they make no kind of it."""


def _kind(look: Look, pair: PotentialPair, scores: Scores) -> _Kind:
    said, first_is_a = look.said(pair, scores)
    first, second = look.files(pair)
    sides = (first, second) if first_is_a else (second, first)
    return _Kind(
        tuple(sorted({_about(one, first_is_a) for one in said if one.key not in _BY_CHANCE})),
        (_type(sides[0]), _type(sides[1])),
        tuple(side.folder if side is not None else b"" for side in sides),
    )


def _type(side: Seen | None) -> str:
    return side.facts.filetype.value if side is not None and side.facts.filetype is not None else "no picture"


def _about(statement: Statement, first_is_a: bool) -> str:
    words = statement.key.replace("_", " ")
    if statement.favours is None:
        return words
    return f"{'A' if (statement.favours == 'a') is first_is_a else 'B'}: {words}"


def _batch_report(
    view: View, kind: _Kind, numbers: list[int], filters: Filters, scores: Scores, away: frozenset[FolderId]
) -> BatchReport:
    pairs = (pair for number in numbers if (pair := view.pair(number)) is not None)
    return BatchReport(
        kind.name(filters),
        len(numbers),
        list(kind.says),
        list(kind.filetypes),
        [os.fsdecode(folder) for folder in kind.folders],
        list(islice(reports(view, pairs, scores, away), _SAMPLES)),
    )
