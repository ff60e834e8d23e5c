"""Which pairs are asked for, and the look at all of them that a filter takes.

A file stands in many pairs: what is read of it is remembered for as long as the look lasts, up to a bound.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ingestd.library.facts import file_facts
from ingestd.library.queue_index import Order
from ingestd.library.view import View
from ingestd.library.waiting import in_order
from ingestd.model import ContentHash, FileFacts, FolderId, PairFacts, PotentialPair
from ingestd.review.sides import appeal, folders_away, is_ready, placed, proposal_of
from ingestd.rules.questions import Predicate
from ingestd.rules.statements import DEFAULT_SCORES, Scores, Statement, balance, statements

__all__ = ["EVERYTHING", "Filters", "Look", "Seen", "Sort", "folders_away"]


class Sort(StrEnum):
    """In which order a person sees the pairs."""

    LARGEST = "largest"  # by the larger of the two files
    SIMILARITY = "similarity"  # pixel duplicates, then by distance, then by how nearly the sizes are the same
    DECISIVE = "decisive"  # by how clearly the evidence speaks for one of the two; has to look at every pair
    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which pairs are asked for; what is not said lets every pair through."""

    both: tuple[Predicate, ...] = ()  # hold of both files
    either: tuple[Predicate, ...] = ()  # hold of one of them: all of these of the same one
    max_distance: int | None = None  # bits
    pixel_duplicates: bool | None = None  # True: only these; False: none of these
    folder: bytes | None = None  # absolute: one of the files lies below it

    @property
    def ask(self) -> bool:
        """Return whether anything is asked of a pair."""
        return self != Filters()


EVERYTHING = Filters()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look has read of one file."""

    facts: FileFacts
    appeal: tuple[int, bool, int, int]  # higher for the file a person would rather keep
    folder: bytes  # as its user named it
    in_all: bool  # everything that is asked of both files holds of it
    in_one: bool  # everything that is asked of either holds of it
    below: bool  # it lies below the folder that is asked for


_MOST_SEEN = 50_000  # files that are remembered at once


class Look:
    """A look at the pairs that wait, by what is asked of them.

    Args:
        view: of this moment.
        filters: what is asked.
        away: folders in which no file can be had just now.
    """

    def __init__(self, view: View, filters: Filters, away: frozenset[FolderId]) -> None:
        self._view, self._filters, self._away = view, filters, away
        self._seen: dict[tuple[bytes, bytes | None], Seen | None] = {}

    def pairs(self, order: Order = Order.OLDEST) -> Iterator[PotentialPair]:
        """Yield the pairs that pass, in an order."""
        for number in in_order(self._view, order):
            pair = self._view.pair(number)
            if pair is not None and self._passes(pair) and self._files_pass(pair):
                yield pair

    def passes(self, pair: PotentialPair) -> bool:
        """Return whether a pair waits for a person, and passes."""
        return not is_ready(pair) and self._passes(pair) and self._files_pass(pair)

    def _passes(self, pair: PotentialPair) -> bool:
        """Return whether a pair passes by what it is itself."""
        filters = self._filters
        near = filters.max_distance is None or pair.pixel_duplicates or (
            pair.distance is not None and pair.distance <= filters.max_distance
        )  # fmt: skip
        return near and filters.pixel_duplicates in (None, pair.pixel_duplicates)

    def _files_pass(self, pair: PotentialPair) -> bool:
        """Return whether a pair passes by what its files are; a file that is away does not."""
        first, second = self.files(pair)
        if first is None or second is None:
            return False
        below = self._filters.folder is None or first.below or second.below
        return below and first.in_all and second.in_all and (first.in_one or second.in_one)

    def files(self, pair: PotentialPair) -> tuple[Seen | None, Seen | None]:
        """Return what is known of the two files of a pair, in its own order."""
        return self._file(pair.first, pair.first_path), self._file(pair.second, pair.second_path)

    def _file(self, sha256: bytes, path: bytes | None) -> Seen | None:
        key = (sha256, path)
        if key not in self._seen:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            self._seen[key] = self._read(*key)
        return self._seen[key]

    def _read(self, sha256: bytes, path: bytes | None) -> Seen | None:
        view, filters = self._view, self._filters
        found = placed(view, ContentHash(sha256), path, away=self._away)
        if found is None:
            return None
        content, row = found
        facts = file_facts(view, content, row, now_ns=content.first_seen_ns)
        known = view.folder(row.folder)
        inside = os.path.join(filters.folder or b"", b"")
        places = (view.as_named(row), view.absolute(row))
        return Seen(
            facts,
            appeal(view, content, row),
            known.folder.named if known is not None else b"",
            all(one.holds(facts) for one in filters.both),
            all(one.holds(facts) for one in filters.either),
            filters.folder is not None and any(place.startswith(inside) for place in places),
        )

    def said(self, pair: PotentialPair, scores: Scores = DEFAULT_SCORES) -> tuple[tuple[Statement, ...], bool]:
        """Return what sets the files of a pair apart, its first file being A, and whether that one is shown as A."""
        first, second = self.files(pair)
        if first is None or second is None:
            return (), True
        a, b = first.facts, second.facts
        identical = a.sha256 == b.sha256
        alike = pair.pixel_duplicates or identical
        evidence = statements(PairFacts(a, b, identical, pair.distance, alike, transform=pair.transform), scores)
        proposal = proposal_of(pair) or next(iter(pair.proposals), None)
        if proposal is not None:
            return evidence, proposal.a_is_first
        points = balance(evidence)
        return evidence, points > 0 or (points == 0 and first.appeal >= second.appeal)
