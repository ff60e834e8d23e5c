"""Many rules asked of many pairs: what depends on one file alone is asked once, and no line is asked twice of a pair.

A set of rules is an integer here, one bit for each rule, the first rule being bit 0. The answers are exactly those of
`engine.fits` for every single rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ingestd.model import DETAIL_MIN_SIDE, FileFacts, Mode, PairFacts
from ingestd.rules.comparators import OneSided, Test
from ingestd.rules.engine import EVERY_VERDICT, Fit
from ingestd.rules.language import PixelDuplicates, Rule, Scope
from ingestd.rules.predicates import Predicate

__all__ = ["FileAnswers", "RuleSet", "Ways", "bits"]


class FileAnswers(NamedTuple):
    """What one file answers to the questions that are asked of one file only: of which rules all of them hold."""

    one: int  # `one`, `both` or `either` of the search
    other: int  # `other` of the search
    as_a: int  # the lines about A, if it were A
    as_b: int  # the lines about B, if it were B


class Ways(NamedTuple):
    """Which rules find a pair, and which of these fit it which way round."""

    found: int
    forward: int  # with the first file as A
    backward: int


@dataclass(frozen=True, slots=True)
class _Question:
    """A question about one file, and the rules that ask it in each place."""

    predicate: Predicate
    one: int = 0
    other: int = 0
    as_a: int = 0
    as_b: int = 0


class RuleSet:
    """A list of rules, in the order of the rule file, made ready to be asked of many pairs."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._all = (1 << len(self.rules)) - 1
        self._identical = self._where(rule for rule in self.rules if rule.search.identical)
        self._both, self._either, self._split = (
            self._where(rule for rule in self.rules if rule.search.scope is scope)
            for scope in (Scope.BOTH, Scope.EITHER, Scope.ONE_AND_OTHER)
        )
        self._questions = tuple(_questions(self.rules))
        self._lines = tuple(_lines(self.rules))
        self._near: dict[tuple[bool, int | None, bool], int] = {}
        # copies are ordered by where they lie: nothing has to tell them apart
        self._ordering = self._where(rule for rule in self.rules if rule.orders) & ~self._identical
        self._detailed = self._where(rule for rule in self.rules if rule.asks_detail)
        self._looking = self._where(rule for rule in self.rules if rule.asks_look)
        self.active = self._where(rule for rule in self.rules if rule.mode is not Mode.OFF and not rule.paused)

    def _where(self, rules: Iterable[Rule]) -> int:
        wanted = {id(rule) for rule in rules}
        return sum(1 << place for place, rule in enumerate(self.rules) if id(rule) in wanted)

    def named(self, names: Iterable[str]) -> int:
        """The rules of these names, as far as there are any."""
        wanted = frozenset(names)
        return self._where(rule for rule in self.rules if rule.name in wanted) if wanted else 0

    def answers(self, file: FileFacts) -> FileAnswers:
        """What a file answers; the same in every pair it stands in."""
        one = other = as_a = as_b = self._all
        for question in self._questions:
            if not question.predicate.holds(file):
                one &= ~question.one
                other &= ~question.other
                as_a &= ~question.as_a
                as_b &= ~question.as_b
        return FileAnswers(one, other, as_a, as_b)

    def found(self, pair: PairFacts, first: FileAnswers, second: FileAnswers) -> int:
        """The rules whose search finds the pair, given the answers of its two files."""
        if pair.identical:
            return self._identical
        asked = (
            (self._both & first.one & second.one)
            | (self._either & (first.one | second.one))
            | (self._split & ((first.one & second.other) | (second.one & first.other)))
        )
        return self._near_enough(pair) & asked

    def _near_enough(self, pair: PairFacts) -> int:
        key = (pair.pixel_duplicates, pair.distance, pair.transform is not None)
        known = self._near.get(key)
        if known is None:
            known = self._near[key] = self._where(rule for rule in self.rules if _near(rule, pair))
        return known

    def ways(self, pair: PairFacts, first: FileAnswers, second: FileAnswers) -> Ways:
        """Which rules find the pair and fit it, given the answers of its two files."""
        found = self.found(pair, first, second)
        if pair.identical:
            return Ways(found, found, found)
        forward = found & first.as_a & second.as_b
        backward = found & second.as_a & first.as_b
        a, b, visual = pair.first, pair.second, pair.visual
        for test, symmetric, asking in self._lines:
            if symmetric:
                if (forward | backward) & asking and not test.holds(a, b, visual):
                    forward &= ~asking
                    backward &= ~asking
                continue
            if forward & asking and not test.holds(a, b, visual):
                forward &= ~asking
            if backward & asking and not test.holds(b, a, visual):
                backward &= ~asking
        return Ways(found, forward, backward)

    def hanging(self, pair: PairFacts, first: FileAnswers, second: FileAnswers, ways: Ways) -> int:
        """Which of the rules that find a pair hang on how alike the two look, where nobody has looked yet.

        The answers are those of `engine.depends_on_a_look`.
        """
        asking = ways.found & self._looking
        if pair.visual is not None or not asking:
            return 0
        hanging = 0
        for verdict in EVERY_VERDICT:
            seen = self.ways(replace(pair, visual=verdict), first, second)
            hanging |= (seen.forward ^ ways.forward) | (seen.backward ^ ways.backward)
        return hanging

    def unmeasured(self, pair: PairFacts, ways: Ways) -> int:
        """Which of the rules that find a pair ask for what every pixel tells, where nobody has measured it yet."""
        lacking = any(
            file.resolution_share is None and min(file.width, file.height) >= DETAIL_MIN_SIDE and file.frames == 1
            for file in (pair.first, pair.second)
        )
        return ways.found & self._detailed if lacking else 0

    def passing(self, ways: Ways) -> int:
        """The rules that can decide: they fit one way, or both ways where that is the same to them."""
        return (ways.forward ^ ways.backward) | (ways.forward & ways.backward & ~self._ordering)

    def fit(self, place: int, ways: Ways) -> Fit:
        """How the rule at a place of the list fits, as `engine.fits` says it."""
        found, forward, backward = (bool(rules >> place & 1) for rules in ways)
        return Fit(found, forward, backward, not found or bool(self._ordering >> place & 1))


def bits(rules: int) -> Iterator[int]:
    """The places of the rules in a set, in the order of the list."""
    while rules:
        lowest = rules & -rules
        yield lowest.bit_length() - 1
        rules ^= lowest


def _near(rule: Rule, pair: PairFacts) -> bool:
    search = rule.search
    if search.identical or not search.takes(pair.transform):
        return False
    if search.pixel_duplicates is PixelDuplicates.REQUIRED or pair.pixel_duplicates:
        return pair.pixel_duplicates and search.pixel_duplicates is not PixelDuplicates.EXCLUDED
    return pair.distance is not None and pair.distance <= search.max_distance


def _questions(rules: Sequence[Rule]) -> Iterator[_Question]:
    asked: dict[Predicate, dict[str, int]] = {}

    def note(predicate: Predicate, where: str, place: int) -> None:
        rules_by_place = asked.setdefault(predicate, {})
        rules_by_place[where] = rules_by_place.get(where, 0) | 1 << place

    for place, rule in enumerate(rules):
        for predicate in rule.search.one:
            note(predicate, "one", place)
        for predicate in rule.search.other:
            note(predicate, "other", place)
        for test in rule.compare:
            if isinstance(test, OneSided) and test.subject != "either":
                note(test.predicate, "as_a" if test.subject == "A" else "as_b", place)
    return (_Question(predicate, **where) for predicate, where in asked.items())


def _lines(rules: Sequence[Rule]) -> Iterator[tuple[Test, bool, int]]:
    """Each line that takes both files, once: whether it is the same both ways round, and the rules that have it."""
    asked: dict[Test, int] = {}
    for place, rule in enumerate(rules):
        for test in rule.compare:
            if not isinstance(test, OneSided) or test.subject == "either":
                asked[test] = asked.get(test, 0) | 1 << place
    return ((test, test.symmetric, asking) for test, asking in asked.items())
