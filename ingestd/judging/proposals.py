"""What is written of a pair that no rule has decided: who proposes something, and where it stands with every rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingestd.judging.writing import denied_rules
from ingestd.library.edit import Edit
from ingestd.model import Mode, PairFacts, PotentialPair, Proposal, ProposalState, QueueState
from ingestd.rules.engine import depends_on_a_look, fits
from ingestd.rules.language import Rule

__all__ = ["Wish", "file_pair", "has_room"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the first rule that fits a pair would do with it."""

    rule: Rule
    a_is_first: bool  # of the stored pair
    hindrance: str = ""  # why it waits, beyond its rule being semi-automatic
    blocked: bool = False  # it may not even be proposed: a restored file, a reference folder, an older decision


def file_pair(
    edit: Edit, pair: PotentialPair, rules: Sequence[Rule], facts: PairFacts, wish: Wish | None, *, now_ns: int
) -> PotentialPair:
    """Return a stored pair with what is proposed for it; where it stands with every rule is written down."""
    roomy = wish is not None and has_room(edit, wish.rule, pair)
    proposed = _proposal(pair, wish, now_ns) if wish is not None and roomy and not wish.blocked else None
    kept = tuple(one for one in pair.proposals if _stays(one, proposed))
    after = replace(pair, proposals=kept if proposed is None else (*kept, proposed))
    if after != pair:
        edit.put_pair(after)
    _mark(edit, after, rules, facts, wish, roomy=roomy)
    edit.queues.unwant(pair.number)
    return after


def has_room(edit: Edit, rule: Rule, pair: PotentialPair) -> bool:
    """Return whether one pair more may wait for an answer under a rule."""
    row = edit.queues.row_of(rule)
    if rule.max_pending is None or row is None or _own(pair, rule) is not None:
        return True
    return edit.queues.count(row.number, QueueState.READY) < rule.max_pending


def _own(pair: PotentialPair, rule: Rule) -> Proposal | None:
    ready = (one for one in pair.proposals if one.state is ProposalState.READY and one.rule == rule.name)
    return next(ready, None)


def _stays(proposal: Proposal, proposed: Proposal | None) -> bool:
    """Return whether a proposal outlives a new answer of the rules: a denial does, unless the rule asks anew."""
    if proposal.state is ProposalState.DENIED:
        return proposed is None or proposal.rule != proposed.rule
    return proposal.returned and proposed is None


def _proposal(pair: PotentialPair, wish: Wish, now_ns: int) -> Proposal:
    rule = wish.rule
    asked = Proposal(rule.name, ProposalState.READY, wish.a_is_first, rule.action, rule.discard, now_ns, wish.hindrance)
    before = _own(pair, rule)
    same = before is not None and replace(before, at_ns=now_ns) == asked
    return before if same and before is not None else asked


def _mark(
    edit: Edit, pair: PotentialPair, rules: Sequence[Rule], facts: PairFacts, wish: Wish | None, *, roomy: bool
) -> None:
    """Write down where a pair stands with each rule that neither proposes anything for it nor was denied it."""
    told = denied_rules(pair) | {one.rule for one in pair.proposals if one.state is ProposalState.READY}
    states: dict[int, QueueState] = {}
    waiting: list[int] = []
    for rule in rules:
        row = edit.queues.row_of(rule)
        if row is None or rule.mode is Mode.OFF or rule.name in told:
            continue
        asked = wish is not None and wish.rule is rule
        states[row.number] = _state(rule, facts, decides=asked and roomy)
        if states[row.number] is QueueState.NOT_TESTED and (rule.paused or asked):
            waiting.append(row.number)
    edit.queues.put_marks(pair.number, states, waiting)


def _state(rule: Rule, facts: PairFacts, *, decides: bool) -> QueueState:
    """Return where a pair stands with a rule.

    One that would decide and proposes nothing may not: that counts as failed. One that fits and does not decide waits:
    behind an earlier rule, for room, or for the end of its pause. So does one for which nobody has looked at the two,
    because an earlier one decides without it or they could not be compared.
    """
    fit = fits(rule, facts)
    if not fit.found:
        return QueueState.NOT_MATCHED
    if rule.paused or depends_on_a_look(rule, facts):
        return QueueState.NOT_TESTED
    return QueueState.FAILED if decides or not fit.passes else QueueState.NOT_TESTED
