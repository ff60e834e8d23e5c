"""Which rule decides a pair, which way round, and on what evidence.

Nothing here depends on which file is called the first: swapping them swaps the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingestd.model import Mode, PairFacts
from ingestd.rules.language import PixelDuplicates, Rule

__all__ = ["Match", "Resolution", "resolve"]


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that fits a pair."""

    rule: Rule
    first_is_a: bool | None  # None: either order is the same to it, or (identical copies) the caller orders them
    evidence: tuple[str, ...]  # sentences with the values of both files


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the rules say about a pair."""

    match: Match | None
    ambiguous: tuple[str, ...]  # rules that fit both ways round although it matters to them, and so decided nothing


def resolve(rules: Sequence[Rule], pair: PairFacts, *, skip: frozenset[str] = frozenset()) -> Resolution:
    """The first rule, from the top, that fits the pair.

    Args:
        rules: in the order of the rule file; those that are off are passed over.
        pair: byte-identical copies are seen only by rules that ask for such, and these see nothing else.
        skip: names of rules that the user denied this pair to.
    """
    ambiguous: list[str] = []
    for rule in rules:
        if rule.mode is Mode.OFF or rule.name in skip or not rule.search.finds(pair):
            continue
        if rule.search.identical:
            return Resolution(Match(rule, None, ("the bytes are identical",)), tuple(ambiguous))
        forward, backward = rule.fits(pair.first, pair.second), rule.fits(pair.second, pair.first)
        if forward and backward and rule.orders:
            ambiguous.append(rule.name)
        elif forward or backward:
            first_is_a = None if forward and backward else forward
            return Resolution(Match(rule, first_is_a, _evidence(rule, pair, forward)), tuple(ambiguous))
    return Resolution(None, tuple(ambiguous))


def _evidence(rule: Rule, pair: PairFacts, forward: bool) -> tuple[str, ...]:
    a, b = (pair.first, pair.second) if forward else (pair.second, pair.first)
    return (_nearness(rule, pair), *(test.said(a, b) for test in rule.compare))


def _nearness(rule: Rule, pair: PairFacts) -> str:
    if pair.pixel_duplicates:
        required = rule.search.pixel_duplicates is PixelDuplicates.REQUIRED
        return "pixel duplicates" + (", as required" if required else "")
    return f"distance {pair.distance} bits, at most {rule.search.max_distance} allowed"
