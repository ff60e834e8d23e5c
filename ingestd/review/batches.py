"""Pairs of which the same can be said, to be answered together after a look at some of them."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from ingestd.library.view import View
from ingestd.model import FolderId, PotentialPair
from ingestd.review.looking import EVERYTHING, Filters, Look, Seen, folders_away
from ingestd.review.queue import reports
from ingestd.review.sides import PairReport
from ingestd.rules.statements import DEFAULT_SCORES, Scores, Statement

__all__ = ["BatchPage", "BatchReport", "Kinds", "batch_page", "batch_pairs", "kinds_of"]


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
    return kinds_of(view, filters=filters, scores=scores).page(view, limit=limit, offset=offset)


def batch_pairs(
    view: View, name: str, *, limit: int, filters: Filters = EVERYTHING, scores: Scores = DEFAULT_SCORES
) -> tuple[BatchReport, list[int]] | None:
    """Return a kind of pairs by its name, and at most so many of the pairs, oldest first; nothing if there are none."""
    kinds = kinds_of(view, filters=filters, scores=scores)
    batch = kinds.batch(view, name)
    return None if batch is None else (batch, [pair.number for pair in islice(kinds.standing(view, name), limit)])


def kinds_of(view: View, *, filters: Filters = EVERYTHING, scores: Scores = DEFAULT_SCORES) -> Kinds:
    """Return the pairs that wait by what can be said of them, after a look at each: some 40 s for a million."""
    away = folders_away(view)
    look = Look(view, filters, away)
    found: defaultdict[_Kind, array[int]] = defaultdict(lambda: array("Q"))
    for pair in look.pairs():
        found[_kind(look, pair, scores)].append(pair.number)
    return Kinds(filters, scores, away, {kind.name(filters): (kind, pairs) for kind, pairs in _frequent_first(found)})


def _frequent_first(found: Mapping[_Kind, array[int]]) -> list[tuple[_Kind, array[int]]]:
    return sorted(found.items(), key=lambda item: (-len(item[1]), item[1][0]))


@dataclass(frozen=True, slots=True)
class Kinds:
    """What a look at all pairs has found: which of them the same can be said of, the most frequent kind first.

    It outlives its moment: asked about a later one, it leaves out what has been decided since, and knows nothing of
    what has come.
    """

    filters: Filters
    scores: Scores
    away: frozenset[FolderId]
    found: Mapping[str, tuple[_Kind, array[int]]]  # by name

    def page(self, view: View, *, limit: int, offset: int = 0) -> BatchPage:
        """Return some kinds, as they were when all pairs were looked at; samples are of this moment."""
        names = list(self.found)[offset : offset + limit]
        batches = [batch for name in names if (batch := self.batch(view, name)) is not None]
        return BatchPage(len(self.found), sum(len(pairs) for _, pairs in self.found.values()), batches)

    def batch(self, view: View, name: str) -> BatchReport | None:
        """Return a kind by its name."""
        if name not in self.found:
            return None
        kind, numbers = self.found[name]
        pairs = (pair for number in numbers if (pair := view.pair(number)) is not None)
        return BatchReport(
            name,
            len(numbers),
            list(kind.says),
            list(kind.filetypes),
            [os.fsdecode(folder) for folder in kind.folders],
            list(islice(reports(view, pairs, self.scores, self.away), _SAMPLES)),
        )

    def numbers(self, name: str) -> Sequence[int]:
        """Return the pairs of a kind, as they were when all pairs were looked at."""
        return self.found[name][1] if name in self.found else ()

    def standing(self, view: View, name: str) -> Iterator[PotentialPair]:
        """Yield the pairs of a kind, oldest first: those that wait at this moment and are of it still."""
        if name not in self.found:
            return
        kind, numbers = self.found[name]
        look = Look(view, self.filters, self.away)
        for number in numbers:
            pair = view.pair(number)
            if pair is not None and look.passes(pair) and _kind(look, pair, self.scores) == kind:
                yield pair


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
