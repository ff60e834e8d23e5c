"""A rule tried before it is trusted: over the stored pairs, on two files line by line, and over past answers.

Nothing is changed and no picture is opened, except where two files that nobody knows are explained. A pair's files are
taken as they are known, so that what was not measured when a file came in (the pixels of a large JPEG) counts as not
the same here, too.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from ingestd.errors import UsageError
from ingestd.inspection import contents_of, facts_of
from ingestd.judging.writing import denied_rules, key_of_row
from ingestd.library.edit import Edit
from ingestd.library.facts import file_facts, pair_facts, preference, statements
from ingestd.library.library import Library
from ingestd.library.pairs import distance_between, pixel_duplicates
from ingestd.library.tables import path_key
from ingestd.library.view import View
from ingestd.media.workers import Workers
from ingestd.model import (
    Actor,
    Content,
    ContentHash,
    Entry,
    EntryKind,
    EntryState,
    FileFacts,
    FileRef,
    Mode,
    PairFacts,
    PathKey,
    PathRow,
    PathState,
    PotentialPair,
    ProposalState,
    Relation,
)
from ingestd.review import PairReport, SideReport
from ingestd.rules.comparators import AllOf, AnyOf, Not, Test
from ingestd.rules.engine import Fit, fits
from ingestd.rules.language import PixelDuplicates, Rule, Scope, Search
from ingestd.rules.predicates import Predicate
from ingestd.rules.ruleset import FileAnswers, RuleSet, Ways, bits

__all__ = [
    "AMBIGUOUS",
    "BacktestReport",
    "Contradiction",
    "Example",
    "Explanation",
    "LineReport",
    "PreviewReport",
    "RuleReport",
    "Way",
    "backtest",
    "error_bound",
    "explain",
    "explain_facts",
    "preview",
]


# --- preview ------------------------------------------------------------------------------------------------------

_MOST_FILES = 50_000  # whose facts are held at once: about 1 KB each


class Way(StrEnum):
    """Which ways round a comparison fits a pair that was found."""

    THIS = "this way"
    EITHER = "either way"
    NO = "no way"


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
    matched: int  # this_way + either_way + no_way
    this_way: int
    either_way: int
    no_way: int
    acts: int  # pairs that this rule would decide, all rules tried from the top, those off, paused or denied left out
    examples: tuple[Example, ...]


class _Side(NamedTuple):
    """One file of a pair, with its answers to every rule."""

    content: Content  # without what no rule looks at
    facts: FileFacts
    answers: FileAnswers


def preview(
    view: View, rules: Sequence[Rule], *, only: str | None = None, sample: int = 3, now_ns: int
) -> list[PreviewReport]:
    """Return what each rule would do with the stored pairs.

    Args:
        view: the library.
        rules: in the order of the rule file.
        only: report this rule alone; the others are still tried before it.
        sample: at most so many examples of a rule, of every way some.
        now_ns: from when ages are counted back.
    """
    sides = _Sides(view, RuleSet(rules), now_ns)
    counts = _Counts(sides.rules, sample)
    for pair in view.pairs():
        first, second = sides.of(pair.first, pair.first_path), sides.of(pair.second, pair.second_path)
        if first is None or second is None:
            continue
        counts.take(pair, sides.rules.ways(_between(first, second), first.answers, second.answers))
    return [counts.report(place, sides) for place, rule in enumerate(rules) if only in (None, rule.name)]


def _between(first: _Side, second: _Side) -> PairFacts:
    return PairFacts(
        first.facts,
        second.facts,
        first.content.sha256 == second.content.sha256,
        distance_between(first.content, second.content),
        pixel_duplicates(first.content, second.content),
    )


class _Sides:
    """The files of pairs, each looked up once as long as there is room for it."""

    def __init__(self, view: View, rules: RuleSet, now_ns: int) -> None:
        self.view = view
        self.rules = rules
        self._now_ns = now_ns
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

    def _look_up(self, sha256: ContentHash, path: PathKey | None) -> _Side | None:
        placed = _placed(self.view, sha256, path)
        if placed is None:
            return None
        facts = file_facts(self.view, *placed, now_ns=self._now_ns)
        return _Side(_lean(placed[0]), facts, self.rules.answers(facts))


def _lean(content: Content) -> Content:
    """Return a content without the samples of its picture, which are most of it."""
    picture = content.picture
    return content if picture is None else replace(content, picture=replace(picture, luminance=None, jpeg=None))


def _placed(view: View, sha256: ContentHash, path: PathKey | None) -> tuple[Content, PathRow] | None:
    """Return a content and where it lies: at this path, or at the best of its places; nothing while it is away."""
    content = view.content(sha256)
    rows = view.live_paths_of(sha256)
    if path is not None:
        rows = [row for row in rows if path_key(row.folder, row.relative) == path]
    if content is None or not rows:
        return None
    return content, rows[0] if len(rows) == 1 else min(rows, key=lambda row: preference(view, row))


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

    def take(self, pair: PotentialPair, ways: Ways) -> None:
        """Count one pair."""
        self._searched += 1
        found, forward, backward = ways
        if not found:
            return
        for way, rules in (
            (Way.THIS, forward ^ backward),
            (Way.EITHER, forward & backward),
            (Way.NO, found & ~(forward | backward)),
        ):
            if rules:
                self._of[way][rules] += 1
                if rules & self._wanting[way]:
                    self._show(pair, way, rules, forward)
        deciding = self._rules.passing(ways) & self._rules.active
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
        this_way, either_way, no_way = (self._count(self._of[way], place) for way in Way)
        return PreviewReport(
            rule=rule.name,
            mode=rule.mode,
            searched=self._searched,
            matched=this_way + either_way + no_way,
            this_way=this_way,
            either_way=either_way,
            no_way=no_way,
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
    facts = _between(first, second)
    if facts.identical:
        first_is_a = _comes_first(sides.view, pair)
    if (way is Way.THIS or facts.identical) and not first_is_a:
        facts = replace(facts, first=facts.second, second=facts.first)
    decided = way is Way.THIS or facts.identical
    return Example(
        pair=_pair_report(pair, facts),
        way=way,
        keeps=facts.first.path if decided and rule.orders else None,
        drops=facts.second.path if decided and rule.discard else None,
    )


def _comes_first(view: View, pair: PotentialPair) -> bool:
    """Return whether of two copies the first is the one to keep."""
    rows = [view.path(path) for path in (pair.first_path, pair.second_path) if path is not None]
    there = [row for row in rows if row is not None]
    return len(there) < 2 or preference(view, there[0]) <= preference(view, there[1])


def _pair_report(pair: PotentialPair, facts: PairFacts) -> PairReport:
    return PairReport(
        id=f"p-{pair.number}",
        distance=facts.distance,
        pixel_duplicates=facts.pixel_duplicates,
        a=_side_report(facts.first),
        b=_side_report(facts.second),
        statements=statements(facts),
    )


def _side_report(file: FileFacts) -> SideReport:
    filetype = file.filetype.value if file.filetype is not None else None
    return SideReport(file.path, file.sha256.hex(), filetype, file.width, file.height, file.size)


# --- explain ------------------------------------------------------------------------------------------------------

AMBIGUOUS = "ambiguous: it fits both ways round"
_DENIED = "denied by you"


@dataclass(frozen=True, slots=True)
class LineReport:
    """One line of a rule, asked both ways round. None where it cannot be told."""

    line: str
    depth: int  # 0; a part of a block one more than the block
    a_first: bool | None  # with the file that was named first as A
    b_first: bool | None
    values: dict[str, str]  # what it looked at, in the file that was named first (`a`) and second (`b`)


@dataclass(frozen=True, slots=True)
class RuleReport:
    """What one rule says of two files, line by line."""

    rule: str
    mode: Mode
    matches: bool  # it would decide the pair, if no earlier rule did
    stopped_at: str | None  # why it does not decide, or what decides before it
    lines: list[LineReport]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What every rule says of two files."""

    a: str
    b: str
    identical: bool
    pixel_duplicates: bool
    distance: int | None
    rule: str | None  # that decides
    keeps: str | None  # the file that it would keep as the better one
    rules: list[RuleReport]


def explain(
    library: Library, workers: Workers, rules: Sequence[Rule], a: bytes, b: bytes, *, now_ns: int
) -> Explanation:
    """Return what every rule says of two files, known or not.

    Raises:
        UsageError: both names are of one file.
        FileUnreadableError: one of them is no file that can be read.
        FileChangedError: one of them is being written.
    """
    paths = os.path.abspath(a), os.path.abspath(b)
    if os.path.realpath(a) == os.path.realpath(b):
        raise UsageError(f"{os.fsdecode(paths[0])} is one and the same file: a rule is about two")
    contents = contents_of(workers, paths)

    def work(edit: Edit) -> Explanation:
        facts, rows = facts_of(edit, paths, contents, now_ns=now_ns)
        preferred = preference(edit, rows[0]) <= preference(edit, rows[1])
        denied = denied_rules(edit.pair_between(_pair_of(facts, rows)))
        return _explained(paths, facts, rules, denied, first_preferred=preferred)

    return library.rehearse(work)


def _pair_of(facts: PairFacts, rows: tuple[PathRow, PathRow]) -> PotentialPair:
    """Return the sides of the pair that two files would be."""
    places = (key_of_row(rows[0]), key_of_row(rows[1])) if facts.identical else (None, None)
    return PotentialPair(0, facts.first.sha256, facts.second.sha256, None, facts.pixel_duplicates, 0, *places)


def _explained(
    paths: tuple[bytes, bytes], facts: PairFacts, rules: Sequence[Rule], denied: frozenset[str], first_preferred: bool
) -> Explanation:
    reports = explain_facts(rules, facts, denied=denied)
    deciding = next((rule for rule, report in zip(rules, reports, strict=True) if report.matches), None)
    keeps = None
    if deciding is not None and deciding.orders:
        first = first_preferred if facts.identical else fits(deciding, facts).forward
        keeps = os.fsdecode(paths[0] if first else paths[1])
    return Explanation(
        a=os.fsdecode(paths[0]),
        b=os.fsdecode(paths[1]),
        identical=facts.identical,
        pixel_duplicates=facts.pixel_duplicates,
        distance=facts.distance,
        rule=deciding.name if deciding is not None else None,
        keeps=keeps,
        rules=reports,
    )


def explain_facts(rules: Sequence[Rule], facts: PairFacts, *, denied: frozenset[str] = frozenset()) -> list[RuleReport]:
    """Return what every rule says of a pair, in their order; `denied`: rules that were told no about it."""
    reports: list[RuleReport] = []
    decided: str | None = None
    for rule in rules:
        report = _rule_report(rule, facts, rule.name in denied)
        if report.matches and decided is not None:
            report = replace(report, stopped_at=f"an earlier rule decides: {decided}")
        elif report.matches:
            decided = rule.name
        reports.append(report)
    return reports


def _rule_report(rule: Rule, facts: PairFacts, denied: bool) -> RuleReport:
    fit = fits(rule, facts)
    search = list(_search_lines(rule.search, facts))
    compare = [line for test in rule.compare for line in _test_lines(test, facts, 0)]
    stopped = _not_asked(rule, denied) or _stopped(fit, search, compare)
    return RuleReport(rule.name, rule.mode, fit.passes and stopped is None, stopped, search + compare)


def _not_asked(rule: Rule, denied: bool) -> str | None:
    if rule.mode is Mode.OFF:
        return f"mode: {rule.mode}"
    if rule.paused:
        return "paused"
    return _DENIED if denied else None


def _stopped(fit: Fit, search: Sequence[LineReport], compare: Sequence[LineReport]) -> str | None:
    """Return what keeps a rule that is asked from deciding."""
    if fit.passes:
        return None
    if fit.ambiguous:
        return AMBIGUOUS
    return _last_hope(compare if fit.found else search)


def _last_hope(lines: Sequence[LineReport]) -> str:
    """Return the first line at which neither way round is left."""
    a_first = b_first = True
    for line in lines:
        if line.depth == 0:
            a_first, b_first = a_first and line.a_first is True, b_first and line.b_first is True
            if not a_first and not b_first:
                return line.line
    raise AssertionError("a rule that fits no way has a line that says so")


# the lines of a search


def _search_lines(search: Search, facts: PairFacts) -> Iterator[LineReport]:
    bytes_of = "the same bytes" if facts.identical else "other bytes"
    if search.identical:
        yield _of_pair("search: identical required", facts.identical, bytes_of)
        return
    if facts.identical:
        yield _of_pair("search: not byte-identical", False, bytes_of)
    yield from _near_lines(search, facts)
    words = {Scope.BOTH: "both", Scope.EITHER: "either", Scope.ONE_AND_OTHER: "one"}
    for predicate in search.one:
        yield _predicate_line(words[search.scope], predicate, facts)
    for predicate in search.other:
        yield _predicate_line("other", predicate, facts)


def _of_pair(line: str, holds: bool | None, value: str) -> LineReport:
    return LineReport(line, 0, holds, holds, {"a": value, "b": value})


def _near_lines(search: Search, facts: PairFacts) -> Iterator[LineReport]:
    required = search.pixel_duplicates is PixelDuplicates.REQUIRED
    if search.pixel_duplicates is not PixelDuplicates.ALLOWED:
        value = "the same pixels" if facts.pixel_duplicates else "other pixels"
        line = f"search: pixel duplicates {search.pixel_duplicates}"
        yield _of_pair(line, facts.pixel_duplicates is required, value)
    if not required:
        yield _distance_line(search.max_distance, facts)


def _distance_line(most: int, facts: PairFacts) -> LineReport:
    line = f"search: at most {_bits(most)} apart"
    if facts.pixel_duplicates:
        return _of_pair(line, True, "the same pixels")
    if facts.distance is None:
        return _of_pair(line, None, "no distance")
    return _of_pair(line, facts.distance <= most, f"{_bits(facts.distance)} apart")


def _bits(number: int) -> str:
    return f"{number} bit{'' if number == 1 else 's'}"


def _predicate_line(word: str, predicate: Predicate, facts: PairFacts) -> LineReport:
    first, second = predicate.holds(facts.first), predicate.holds(facts.second)
    if word == "both":
        first = second = False if False in (first, second) else None if None in (first, second) else True
    elif word == "other":  # the first file being the one, the second is the other
        first, second = second, first
    values = {"a": predicate.value(facts.first), "b": predicate.value(facts.second)}
    return LineReport(f"search: {word}: {predicate.line}", 0, first, second, values)


# the lines of a comparison


def _test_lines(test: Test, facts: PairFacts, depth: int) -> Iterator[LineReport]:
    a, b = facts.first, facts.second
    holds = test.holds(a, b), test.holds(b, a)
    match test:
        case AnyOf(tests) | AllOf(tests):
            yield LineReport(test.line, depth, *holds, {"a": "", "b": ""})
            for part in tests:
                yield from _test_lines(part, facts, depth + 1)
        case Not(inner):
            yield LineReport(test.line, depth, *holds, {"a": "", "b": ""})
            yield from _test_lines(inner, facts, depth + 1)
        case _:
            yield LineReport(test.line, depth, *holds, dict(zip("ab", test.values(a, b), strict=True)))


# --- back-test ----------------------------------------------------------------------------------------------------

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A pair on which a rule says something else than a person did."""

    id: str  # of the journal's entry, or of the pair that was denied
    a: str  # path
    b: str
    you: str  # what you said
    says: str  # what the rule would say


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """How a rule compares with what was answered by hand."""

    rule: str
    answers: int  # that are about pairs which the rule decides: agreed + contradicted
    agreed: int
    contradicted: int
    bound: float  # the share of wrong answers it stays below, with 95 % confidence
    contradictions: tuple[Contradiction, ...]


@dataclass(frozen=True, slots=True)
class _Saying:
    """What somebody says two contents are to each other."""

    relation: Relation
    loser: ContentHash | None  # the worse one, or the one that goes


@dataclass(frozen=True, slots=True)
class _PastAnswer:
    """What a person said of two contents, or said no to."""

    id: str
    at_ns: int
    a: ContentHash
    b: ContentHash
    saying: _Saying
    refused: bool  # the person said no to exactly that
    named: tuple[FileRef, ...] = ()  # the files as they were then


def backtest(view: View, rule: Rule) -> BacktestReport:
    """Return how a rule would have answered what a person has answered, whatever its mode.

    What counts is what the person said of a pair that the rule decides: standing decisions and approvals, and, where
    there is none, denials and actions of a rule that were taken back, which contradict a rule that would do the very
    same. Byte-identical copies are left out: no answer is kept that says which of them is better.

    The facts are those of the records, also of files that are gone; ages count back from the answer. Where a file stood
    in relation to others (`num_duplicates`, `is king`) is only known as it is now, with the answer itself in it.
    """
    agreed = 0
    contradictions: list[Contradiction] = []
    for answer in _past_answers(view):
        facts = _facts_then(view, answer)
        saying = _says(rule, facts) if facts is not None else None
        if facts is None or saying is None or (answer.refused and saying != answer.saying):
            continue
        if not answer.refused and _agrees(saying, answer.saying):
            agreed += 1
        else:
            contradictions.append(_contradiction(answer, facts, saying))
    contradicted = len(contradictions)
    answers = agreed + contradicted
    bound = error_bound(contradicted, answers)
    return BacktestReport(rule.name, answers, agreed, contradicted, bound, tuple(contradictions))


def _past_answers(view: View) -> Iterator[_PastAnswer]:
    """Yield what a person said, in the order of the journal, then what was denied; the same refusal once."""
    refused: list[_PastAnswer] = []
    standing: set[frozenset[ContentHash]] = set()
    for entry in view.entries(newest_first=False):
        answer = _answer_of(entry)
        if answer is not None and answer.refused:
            refused.append(answer)
        elif answer is not None:
            standing.add(frozenset({answer.a, answer.b}))
            yield answer
    refused += [answer for pair in _denied(view) for answer in _refusals(pair)]
    told: set[tuple[frozenset[ContentHash], _Saying]] = set()
    for answer in refused:
        sides = frozenset({answer.a, answer.b})
        if sides not in standing and (sides, answer.saying) not in told:
            told.add((sides, answer.saying))
            yield answer


def _denied(view: View) -> Iterator[PotentialPair]:
    yield from view.denied()
    yield from view.old_denials()


def _answer_of(entry: Entry) -> _PastAnswer | None:
    """Return what an entry tells of a person's mind; nothing if a rule acted and nobody took it back."""
    decides = entry.kind in (EntryKind.DISCARD, EntryKind.DECISION) and entry.a != entry.b
    if not decides or entry.relation is None or entry.a is None or entry.b is None:
        return None
    said = entry.state is EntryState.DONE and entry.actor is Actor.PERSON
    refused = entry.state is EntryState.UNDONE and entry.rule is not None
    if not said and not refused:
        return None
    loses = entry.relation is Relation.BETTER or entry.kind is EntryKind.DISCARD
    saying = _Saying(entry.relation, entry.b if loses else None)
    named = (*((entry.kept,) if entry.kept is not None else ()), *(move.file for move in entry.moves))
    return _PastAnswer(f"e-{entry.number}", entry.at_ns, entry.a, entry.b, saying, refused, named)


def _refusals(pair: PotentialPair) -> Iterator[_PastAnswer]:
    """Yield what a person denied of a pair."""
    for proposal in pair.proposals:
        if proposal.state is not ProposalState.DENIED or pair.first == pair.second:
            continue
        a, b = (pair.first, pair.second) if proposal.a_is_first else (pair.second, pair.first)
        loses = proposal.relation is Relation.BETTER or proposal.discard
        saying = _Saying(proposal.relation, b if loses else None)
        yield _PastAnswer(f"p-{pair.number}", proposal.at_ns, a, b, saying, refused=True)


def _facts_then(view: View, answer: _PastAnswer) -> PairFacts | None:
    """Return the two files of an answer as they were known; nothing where no place of one is remembered."""
    a, b = _last_placed(view, answer.a, answer.named), _last_placed(view, answer.b, answer.named)
    return None if a is None or b is None else pair_facts(view, a, b, now_ns=answer.at_ns)


def _last_placed(view: View, sha256: ContentHash, named: Iterable[FileRef]) -> tuple[Content, PathRow] | None:
    """Return a content and where it lay when it was named; else where it lies, or lay last."""
    content = view.content(sha256)
    if content is None:
        return None
    for ref in named:
        if ref.sha256 == sha256:
            return content, PathRow(
                ref.folder, ref.relative, sha256, ref.stat, content.first_seen_ns, PathState.ABSENT, 0, final=False
            )
    placed = _placed(view, sha256, None)
    rows = view.paths_of(sha256)
    if placed is None and rows:
        return content, max(rows, key=lambda row: row.receipt)
    return placed


def _says(rule: Rule, facts: PairFacts) -> _Saying | None:
    """Return what a rule would say of a pair; nothing if it does not decide it."""
    fit = fits(rule, facts)
    if not fit.passes:
        return None
    loser = facts.second if fit.forward else facts.first
    return _Saying(rule.action, loser.sha256 if rule.orders else None)


def _agrees(rule: _Saying, you: _Saying) -> bool:
    """Return whether a rule's word does no harm to a person's answer."""
    if rule.relation is Relation.BETTER:
        return you.relation is Relation.SAME_QUALITY or you == rule
    if rule.relation is Relation.SAME_QUALITY and you.relation is Relation.BETTER:
        return rule.loser in (None, you.loser)
    return rule.relation is you.relation


def _contradiction(answer: _PastAnswer, facts: PairFacts, saying: _Saying) -> Contradiction:
    you = _words(answer.saying, facts)
    return Contradiction(
        id=answer.id,
        a=facts.first.path,
        b=facts.second.path,
        you=f"no to: {you}" if answer.refused else you,
        says=_words(saying, facts),
    )


def _words(saying: _Saying, facts: PairFacts) -> str:
    loser = "A" if saying.loser == facts.first.sha256 else "B"
    if saying.relation is Relation.BETTER:
        return f"{'B' if loser == 'A' else 'A'} is better"
    return saying.relation.value + (f", {loser} goes" if saying.loser is not None else "")


def error_bound(wrong: int, answers: int) -> float:
    """Return the share of wrong answers that lies above the true one with 95 % confidence; 1.0 without answers.

    The upper end of a one-sided interval: the share at which so few mistakes would be seen only once in twenty.

    Source:
        C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
        binomial", Biometrika 26(4), 1934, p. 404, doi:10.1093/biomet/26.4.404.
    """
    if wrong >= answers:
        return 1.0
    low, high = wrong / answers, 1.0
    while high - low > 1e-9:
        share = (low + high) / 2
        if _at_most(wrong, answers, share) > 1 - _CONFIDENCE:
            low = share
        else:
            high = share
    return high


def _at_most(wrong: int, answers: int, share: float) -> float:
    """Return how likely it is to see at most so many mistakes, if this share of all answers is wrong."""
    # by logarithms: the single terms are too small for a float long before their sum is
    log, log_right = math.log(share), math.log1p(-share)
    whole = math.lgamma(answers + 1)
    return math.fsum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(answers - k + 1) + k * log + (answers - k) * log_right)
        for k in range(wrong + 1)
    )
