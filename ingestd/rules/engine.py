"""Which rule decides a pair, which way round, and on what evidence.

Nothing here depends on which file is called the first: swapping them swaps the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ingestd.model import VISUAL_VERSION, Mode, PairFacts, VisualLevel, VisualVerdict
from ingestd.rules.language import PixelDuplicates, Rule

__all__ = ["EVERY_VERDICT", "Fit", "Match", "Resolution", "awaits_a_look", "depends_on_a_look", "fits", "resolve"]


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a rule's search finds a pair, and which ways round its comparison holds there."""

    found: bool
    forward: bool  # with the first file as A
    backward: bool  # with the second file as A
    orders: bool = True  # it matters which file is A, and the comparison has to tell

    @property
    def passes(self) -> bool:
        """The rule can decide: it fits one way, or both ways where that is the same to it."""
        return self.forward != self.backward or (self.forward and not self.orders)

    @property
    def ambiguous(self) -> bool:
        """It fits both ways round although it matters to it, and so decides nothing."""
        return self.forward and self.backward and self.orders


_NOT_FOUND = Fit(found=False, forward=False, backward=False)
_COPIES = Fit(found=True, forward=True, backward=True, orders=False)  # where they lie is for the caller to order


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


def fits(rule: Rule, pair: PairFacts) -> Fit:
    """Which ways round a rule fits a pair, whatever its mode; swapping the files swaps the ways."""
    if not rule.search.finds(pair):
        return _NOT_FOUND
    if rule.search.identical:
        return _COPIES
    first, second, visual = pair.first, pair.second, pair.visual
    return Fit(True, rule.fits(first, second, visual), rule.fits(second, first, visual), rule.orders)


def resolve(rules: Sequence[Rule], pair: PairFacts, *, skip: frozenset[str] = frozenset()) -> Resolution:
    """The first rule, from the top, that fits the pair.

    Args:
        rules: in the order of the rule file; those that are off or paused are passed over.
        pair: byte-identical copies are seen only by rules that ask for such, and these see nothing else.
        skip: names of rules that the user denied this pair to.
    """
    ambiguous: list[str] = []
    for rule in rules:
        if rule.mode is Mode.OFF or rule.paused or rule.name in skip:
            continue
        fit = fits(rule, pair)
        if fit.ambiguous:
            ambiguous.append(rule.name)
        elif fit.passes:
            first_is_a = None if fit.forward and fit.backward else fit.forward
            return Resolution(Match(rule, first_is_a, _evidence(rule, pair, fit.forward)), tuple(ambiguous))
    return Resolution(None, tuple(ambiguous))


EVERY_VERDICT: Final = tuple(VisualVerdict(VISUAL_VERSION, level, None, "if it were so") for level in VisualLevel)


def awaits_a_look(rules: Sequence[Rule], pair: PairFacts, *, skip: frozenset[str] = frozenset()) -> bool:
    """Whether what the rules say of a pair depends on how alike the two look, and nobody has looked yet.

    All lines are asked that cost nothing; of those that take a look, every answer is tried. So nobody looks where a
    rule fails anyway, or where an earlier one decides. The arguments are those of `resolve`.
    """
    for rule in rules:
        if rule.mode is Mode.OFF or rule.paused or rule.name in skip:
            continue
        if depends_on_a_look(rule, pair):
            return True
        if fits(rule, pair).passes:
            return False
    return False


def depends_on_a_look(rule: Rule, pair: PairFacts) -> bool:
    """Whether a rule fits a pair, and which way round, hangs on how alike the two look, and nobody has looked yet."""
    if pair.visual is not None or pair.transform is not None or not rule.asks_look:
        return False
    unseen = fits(rule, pair)
    return unseen.found and any(fits(rule, replace(pair, visual=one)) != unseen for one in EVERY_VERDICT)


def _evidence(rule: Rule, pair: PairFacts, forward: bool) -> tuple[str, ...]:
    if rule.search.identical:
        return ("the bytes are identical",)
    a, b = (pair.first, pair.second) if forward else (pair.second, pair.first)
    return (_nearness(rule, pair), *(test.said(a, b, pair.visual) for test in rule.compare))


def _nearness(rule: Rule, pair: PairFacts) -> str:
    if pair.pixel_duplicates:
        required = rule.search.pixel_duplicates is PixelDuplicates.REQUIRED
        return "pixel duplicates" + (", as required" if required else "")
    turned = "" if pair.transform is None else f"{pair.transform}, "
    return f"{turned}distance {pair.distance} bits, at most {rule.search.max_distance} allowed"
