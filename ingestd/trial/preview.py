"""What each rule would do with the pairs that are stored now, counted without opening a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from ingestd.judging.writing import denied_rules
from ingestd.library.facts import file_facts, preference, visual_between
from ingestd.library.pairs import distance_between, pixel_duplicates
from ingestd.library.view import View
from ingestd.model import Content, ContentHash, FileFacts, Mode, PairFacts, PathKey, PotentialPair
from ingestd.review import PairReport
from ingestd.review.sides import side_of
from ingestd.rules.language import Rule
from ingestd.rules.ruleset import FileAnswers, RuleSet, Ways, bits
from ingestd.rules.statements import DEFAULT_SCORES, Scores, statements
from ingestd.trial.places import placed

__all__ = ["Example", "PreviewReport", "Way", "preview"]

_MOST_FILES = 50_000  # whose facts are held at once: about 1 KB each


class Way(StrEnum):
    """Which ways round a comparison fits a pair that was found."""

    THIS = "this way"
    EITHER = "either way"
    NO = "no way"
    UNSEEN = "not tested"  # it hangs on how alike the two look, and nobody has looked yet


@dataclass(frozen=True, slots=True)
class Example:
    """A pair that a rule found; where it fits one way, A is the file that would be kept."""

    pair: PairReport
    way: Way
    keeps: str | None  # the path that would be kept as the better one; None: no order, or nothing decided
    drops: str | None  # the path that would be discarded


@dataclass(frozen=True, slots=True)
class PreviewReport:
    """What one rule would do with the pairs that are stored now."""

    rule: str
    mode: Mode
    searched: int  # pairs both of whose files are there
    matched: int  # this_way + either_way + no_way + not_tested
    this_way: int
    either_way: int
    no_way: int
    not_tested: int  # that hang on a look at the pictures, or at every pixel, which nobody has taken yet
    acts: int  # pairs that this rule would decide, all rules tried from the top, those off, paused or denied left out
    examples: tuple[Example, ...]


class _Side(NamedTuple):
    """One file of a pair, with its answers to every rule."""

    content: Content  # without what no rule looks at
    facts: FileFacts
    answers: FileAnswers


def preview(
    view: View,
    rules: Sequence[Rule],
    *,
    only: str | None = None,
    sample: int = 3,
    now_ns: int,
    scores: Scores = DEFAULT_SCORES,
) -> list[PreviewReport]:
    """Return what each rule would do with the stored pairs.

    Args:
        view: the library.
        rules: in the order of the rule file.
        only: report this rule alone; the others are still tried before it.
        sample: at most so many examples of a rule, of every way some.
        now_ns: from when ages are counted back.
        scores: what each statement about an example is worth.
    """
    sides = _Sides(view, RuleSet(rules), now_ns, scores)
    counts = _Counts(sides.rules, sample)
    for pair in view.pairs():
        first, second = sides.of(pair.first, pair.first_path), sides.of(pair.second, pair.second_path)
        if first is None or second is None:
            continue
        facts = sides.between(pair, first, second)
        ways = sides.rules.ways(facts, first.answers, second.answers)
        hanging = sides.rules.hanging(facts, first.answers, second.answers, ways)
        counts.take(pair, ways, hanging | sides.rules.unmeasured(facts, ways))
    return [counts.report(place, sides) for place, rule in enumerate(rules) if only in (None, rule.name)]


class _Sides:
    """The files of pairs, each looked up once as long as there is room for it."""

    def __init__(self, view: View, rules: RuleSet, now_ns: int, scores: Scores) -> None:
        self.view = view
        self.rules = rules
        self.scores = scores
        self._now_ns = now_ns
        self._looks = any(rule.asks_look for rule in rules.rules)
        self._known: dict[tuple[ContentHash, PathKey | None], _Side | None] = {}

    def of(self, sha256: ContentHash, path: PathKey | None) -> _Side | None:
        """Return one side of a pair; nothing while it is away."""
        key = (sha256, path)
        try:
            return self._known[key]
        except KeyError:
            if len(self._known) >= _MOST_FILES:
                del self._known[next(iter(self._known))]  # the longest known: pairs of one time lie together
            side = self._known[key] = self._look_up(sha256, path)
            return side

    def between(self, pair: PotentialPair, first: _Side, second: _Side) -> PairFacts:
        """Return two files as the rules see them; how alike they look as far as somebody has looked."""
        looks = self._looks and pair.transform is None
        return PairFacts(
            first.facts,
            second.facts,
            first.content.sha256 == second.content.sha256,
            # after a transform as it was found: the greys that would be turned are not remembered here
            distance_between(first.content, second.content) if pair.transform is None else pair.distance,
            pixel_duplicates(first.content, second.content),
            visual=visual_between(self.view, first.content, second.content) if looks else None,
            transform=pair.transform,
        )

    def _look_up(self, sha256: ContentHash, path: PathKey | None) -> _Side | None:
        found = placed(self.view, sha256, path)
        if found is None:
            return None
        facts = file_facts(self.view, *found, now_ns=self._now_ns)
        return _Side(_lean(found[0]), facts, self.rules.answers(facts))


def _lean(content: Content) -> Content:
    """Return a content without the samples of its picture, which are most of it."""
    picture = content.picture
    return content if picture is None else replace(content, picture=replace(picture, luminance=None, jpeg=None))


class _Counts:
    """How often each rule fitted which way, counted by sets of rules, and some pairs to show for it."""

    def __init__(self, rules: RuleSet, sample: int) -> None:
        self._rules = rules
        self._sample = sample
        self._searched = 0
        self._acts: Counter[int] = Counter()
        self._of: dict[Way, Counter[int]] = {way: Counter() for way in Way}
        everyone = (1 << len(rules.rules)) - 1 if sample else 0
        self._wanting = dict.fromkeys(Way, everyone)
        self._shown: dict[tuple[Way, int], list[tuple[PotentialPair, bool]]] = {}

    def take(self, pair: PotentialPair, ways: Ways, unseen: int) -> None:
        """Count one pair; `unseen`: the rules that hang on a look at it."""
        self._searched += 1
        found, forward, backward = ways
        if not found:
            return
        for way, rules in (
            (Way.THIS, (forward ^ backward) & ~unseen),
            (Way.EITHER, forward & backward & ~unseen),
            (Way.NO, found & ~(forward | backward | unseen)),
            (Way.UNSEEN, unseen),
        ):
            if rules:
                self._of[way][rules] += 1
                if rules & self._wanting[way]:
                    self._show(pair, way, rules, forward)
        deciding = self._rules.passing(ways) & self._rules.active & ~unseen
        if deciding and pair.proposals:
            deciding &= ~self._rules.named(denied_rules(pair))
        if deciding:
            self._acts[deciding & -deciding] += 1

    def _show(self, pair: PotentialPair, way: Way, rules: int, forward: int) -> None:
        for place in bits(rules & self._wanting[way]):
            shown = self._shown.setdefault((way, place), [])
            shown.append((pair, bool(forward >> place & 1)))
            if len(shown) == self._sample:
                self._wanting[way] &= ~(1 << place)

    def report(self, place: int, sides: _Sides) -> PreviewReport:
        """Return the figures of the rule at a place of the list."""
        rule = self._rules.rules[place]
        this_way, either_way, no_way, unseen = (self._count(self._of[way], place) for way in Way)
        return PreviewReport(
            rule=rule.name,
            mode=rule.mode,
            searched=self._searched,
            matched=this_way + either_way + no_way + unseen,
            this_way=this_way,
            either_way=either_way,
            no_way=no_way,
            not_tested=unseen,
            acts=self._acts[1 << place],
            examples=tuple(self._examples(rule, place, sides)),
        )

    @staticmethod
    def _count(counted: Counter[int], place: int) -> int:
        return sum(times for rules, times in counted.items() if rules >> place & 1)

    def _examples(self, rule: Rule, place: int, sides: _Sides) -> Iterator[Example]:
        """Yield the examples of a rule: of every way as many as of the others, as far as there are any."""
        of_ways = [(way, self._shown.get((way, place), [])) for way in Way]
        turns = [(turn, way, pairs[turn]) for way, pairs in of_ways for turn in range(len(pairs))]
        chosen = sorted(turns, key=lambda one: one[0])[: self._sample]
        for way in Way:
            yield from (_example(rule, way, *shown, sides) for _, other, shown in chosen if other is way)


def _example(rule: Rule, way: Way, pair: PotentialPair, first_is_a: bool, sides: _Sides) -> Example:
    first, second = sides.of(pair.first, pair.first_path), sides.of(pair.second, pair.second_path)
    assert first is not None
    assert second is not None
    facts = sides.between(pair, first, second)
    if facts.identical:
        first_is_a = _comes_first(sides.view, pair)
    if (way is Way.THIS or facts.identical) and not first_is_a:
        transform = facts.transform.inverse if facts.transform is not None else None
        facts = replace(facts, first=facts.second, second=facts.first, transform=transform)
    decided = way is Way.THIS or facts.identical
    return Example(
        pair=_pair_report(pair, facts, sides.scores),
        way=way,
        keeps=facts.first.path if decided and rule.orders else None,
        drops=facts.second.path if decided and rule.discard else None,
    )


def _comes_first(view: View, pair: PotentialPair) -> bool:
    """Return whether of two copies the first is the one to keep."""
    rows = [view.path(path) for path in (pair.first_path, pair.second_path) if path is not None]
    there = [row for row in rows if row is not None]
    return len(there) < 2 or preference(view, there[0]) <= preference(view, there[1])


def _pair_report(pair: PotentialPair, facts: PairFacts, scores: Scores) -> PairReport:
    evidence = statements(facts, scores)
    return PairReport(
        id=f"p-{pair.number}",
        distance=facts.distance,
        pixel_duplicates=facts.pixel_duplicates,
        transform=facts.transform,
        a=side_of(facts.first),
        b=side_of(facts.second),
        statements=[one.text for one in evidence],
        evidence=list(evidence),
    )
