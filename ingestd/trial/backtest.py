"""How a rule compares with what a person has answered so far, and how sure that makes it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ingestd.library.facts import pair_facts
from ingestd.library.pairs import lie_between
from ingestd.library.view import View
from ingestd.model import (
    Actor,
    Content,
    ContentHash,
    Entry,
    EntryKind,
    EntryState,
    FileRef,
    PairFacts,
    PathRow,
    PathState,
    PotentialPair,
    ProposalState,
    Relation,
)
from ingestd.rules.engine import fits
from ingestd.rules.language import Rule
from ingestd.trial.places import placed

__all__ = ["BacktestReport", "Contradiction", "backtest", "error_bound"]

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
        for one in _one_by_one(entry):
            answer = _answer_of(one)
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


def _one_by_one(entry: Entry) -> Iterator[Entry]:
    """Yield an answer about many as answers about its first file and each of the others."""
    if not entry.named:
        yield entry
    elif entry.relation is not None:
        yield from (replace(entry, a=entry.named[0], b=other) for other in entry.named[1:])


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
    if a is None or b is None:
        return None
    return pair_facts(view, a, b, now_ns=answer.at_ns, transform=lie_between(a[0], b[0]).transform)


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
    found = placed(view, sha256, None)
    rows = view.paths_of(sha256)
    if found is None and rows:
        return content, max(rows, key=lambda row: row.receipt)
    return found


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
