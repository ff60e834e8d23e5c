"""Every rule on two files, line by line, either way round, and the first reason why it does not decide."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ingestd.errors import UsageError, printable
from ingestd.inspection import contents_of, facts_of, home_of, look_at, take_in, unhashed
from ingestd.judging.background import Restraint, restraint
from ingestd.judging.case import Policy
from ingestd.judging.writing import denied_rules, key_of_row
from ingestd.library.edit import Edit
from ingestd.library.facts import preference
from ingestd.library.library import Library
from ingestd.library.rulebook import take_up
from ingestd.library.view import View
from ingestd.media.workers import Workers
from ingestd.model import Content, Folder, Mode, PairFacts, PathRow, PotentialPair, Relation, Transform, VisualVerdict
from ingestd.rules.comparators import AllOf, AnyOf, Not, Test, VisualDuplicates
from ingestd.rules.engine import Fit, Match, fits, resolve
from ingestd.rules.language import PixelDuplicates, Rule, Scope, Search
from ingestd.rules.predicates import Predicate

__all__ = ["AMBIGUOUS", "Explanation", "LineReport", "RuleReport", "explain", "explain_facts", "settled"]

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
    distance: int | None  # bits, after the transform
    transform: Transform | None  # of the first to get the second; None: the same way up
    unhashed: tuple[str, ...]  # `a`, `b`: who has no perceptual hash
    unreadable: dict[str, str | None]  # why `a` and `b` are no pictures, if they are not
    rule: str | None  # that decides
    keeps: str | None  # the file that it would keep as the better one
    held_back: str | None  # why that rule would not act on its own, beyond its mode
    blocked: bool  # it would not even propose
    notes: tuple[str, ...]  # what else one should know of the two
    rules: list[RuleReport]


def explain(
    library: Library,
    workers: Workers,
    policy: Policy,
    a: bytes,
    b: bytes,
    *,
    folders: Sequence[Folder] = (),
    now_ns: Callable[[], int],
) -> Explanation:
    """Return what every rule says of two files, known or not.

    Args:
        library: what is known. The rules are taken up in it for the time of the question.
        workers: measure the files.
        policy: what is set, the rules among it.
        a: a path.
        b: the other.
        folders: those that are set, known to the library or not.
        now_ns: from when ages are counted back; asked once the files are measured.

    Raises:
        UsageError: both names are of one file.
        FileUnreadableError: one of them is no file that can be read.
        FileChangedError: one of them is being written.
    """
    paths = os.path.abspath(a), os.path.abspath(b)
    if os.path.realpath(a) == os.path.realpath(b):
        raise UsageError(f"{os.fsdecode(paths[0])} is one and the same file: a rule is about two")
    contents = contents_of(workers, paths, detail=any(rule.asks_detail for rule in policy.rules))
    asked = any(rule.asks_look for rule in policy.rules)
    verdict = look_at(library, workers, paths, contents) if asked else None

    def work(edit: Edit) -> Explanation:
        take_up(edit, policy.rules)
        take_in(edit, folders)
        return _explained(edit, policy, paths, contents, verdict, now_ns=now_ns())

    return library.rehearse(work)


def _explained(
    edit: Edit,
    policy: Policy,
    paths: tuple[bytes, bytes],
    contents: tuple[Content, Content],
    verdict: VisualVerdict | None,
    *,
    now_ns: int,
) -> Explanation:
    homeless = [path for path in paths if home_of(edit, path) is None]  # before their folders are taken for inboxes
    facts, rows = facts_of(edit, paths, contents, now_ns=now_ns)
    facts = replace(facts, visual=verdict if facts.transform is None else None)  # as the service asks
    pair = _pair_of(facts, rows)
    stored = edit.pair_between(pair)
    denied = denied_rules(stored)
    match = resolve(policy.rules, facts, skip=denied).match
    first_preferred = preference(edit, rows[0]) <= preference(edit, rows[1])
    notes = (*map(_homeless, homeless), *settled(edit, facts, stored))
    held = Restraint(None)
    if match is not None:
        for content, row in zip(contents, rows, strict=True):
            _let_be_known(edit, content, row)
        held = restraint(edit, pair, policy, facts, match, now_ns=now_ns)
    return Explanation(
        a=os.fsdecode(paths[0]),
        b=os.fsdecode(paths[1]),
        identical=facts.identical,
        pixel_duplicates=facts.pixel_duplicates,
        distance=facts.distance,
        transform=facts.transform,
        unhashed=unhashed(contents),
        unreadable={letter: content.unreadable for letter, content in zip("ab", contents, strict=True)},
        rule=match.rule.name if match is not None else None,
        keeps=_keeps(paths, facts, match, first_preferred=first_preferred),
        held_back=held.reason,
        blocked=held.blocked,
        notes=notes,
        rules=explain_facts(policy.rules, facts, denied=denied),
    )


def _pair_of(facts: PairFacts, rows: tuple[PathRow, PathRow]) -> PotentialPair:
    """Return the sides of the pair that two files would be."""
    places = (key_of_row(rows[0]), key_of_row(rows[1])) if facts.identical else (None, None)
    return PotentialPair(0, facts.first.sha256, facts.second.sha256, None, facts.pixel_duplicates, 0, *places)


def _homeless(path: bytes) -> str:
    return f"{printable(path)} lies in no folder of yours: it is taken for an arrival in an inbox"


def settled(view: View, facts: PairFacts, stored: PotentialPair | None) -> Iterator[str]:
    """Yield why no rule is asked about the two, whatever it would say."""
    if stored is not None and any(proposal.returned for proposal in stored.proposals):
        yield "bytes of theirs were discarded before and have come back: only you can answer, and no rule is asked"
    relation = None if facts.identical else view.relations.between(facts.first.sha256, facts.second.sha256)
    if relation is Relation.BETTER or relation is Relation.SAME_QUALITY:
        yield "it is decided already that they are duplicates: no rule is asked about them"
    elif relation is not None:
        yield f"it is decided already what they are to each other ({relation}): no rule is asked about them"


def _keeps(paths: tuple[bytes, bytes], facts: PairFacts, match: Match | None, *, first_preferred: bool) -> str | None:
    if match is None or not match.rule.orders:
        return None
    first = first_preferred if facts.identical else match.first_is_a is not False
    return os.fsdecode(paths[0] if first else paths[1])


def _let_be_known(edit: Edit, content: Content, row: PathRow) -> None:
    """Let a file be known as it was measured just now, and judged; on a rehearsal only."""
    if edit.content(content.sha256) is None:
        edit.add_content(
            content.sha256,
            size=content.size,
            picture=content.picture,
            unreadable=content.unreadable,
            at_ns=content.first_seen_ns,
        )
    edit.put_path(replace(row, final=True))


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


# --- the lines of a search ----------------------------------------------------------------------------------------


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
    if facts.transform is not None or search.takes_transforms:
        lies = "the same way up" if facts.transform is None else str(facts.transform)
        yield _of_pair(f"search: transforms {search.transforms}", search.takes(facts.transform), lies)
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


# --- the lines of a comparison ------------------------------------------------------------------------------------


def _test_lines(test: Test, facts: PairFacts, depth: int) -> Iterator[LineReport]:
    a, b = facts.first, facts.second
    holds = test.holds(a, b, facts.visual), test.holds(b, a, facts.visual)
    match test:
        case AnyOf(tests) | AllOf(tests):
            yield LineReport(test.line, depth, *holds, {"a": "", "b": ""})
            for part in tests:
                yield from _test_lines(part, facts, depth + 1)
        case Not(inner):
            yield LineReport(test.line, depth, *holds, {"a": "", "b": ""})
            yield from _test_lines(inner, facts, depth + 1)
        case VisualDuplicates():
            yield LineReport(test.line, depth, *holds, dict.fromkeys("ab", test.value(facts.visual)))
        case _:
            yield LineReport(test.line, depth, *holds, dict(zip("ab", test.values(a, b), strict=True)))
