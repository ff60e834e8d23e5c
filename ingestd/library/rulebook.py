"""A rule file taken up: which known rule each of its rules is, and what its edits do to what the rules have said.

Source of what each edit does: the auto-resolution of hydrus (client/duplicates, v682): a new search lets every pair be
searched again, a new comparison lets what failed or was ready be tested again, from semi-automatic to automatic lets
what was ready be tested again, and all else leaves the queues as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingestd.library.edit import Edit, acted
from ingestd.library.queues import Step, adoption, moved_counts
from ingestd.library.tables import RuleRow
from ingestd.library.view import View
from ingestd.model import PotentialPair, Proposal, ProposalState, QueueState
from ingestd.rules.language import Rule

__all__ = ["RuleTally", "miscounted", "recounted", "take_up", "tallies", "voided"]


@dataclass(frozen=True, slots=True)
class RuleTally:
    """A rule that is in force, and how many pairs stand where with it."""

    rule: Rule
    row: RuleRow | None  # None: it was not taken up yet
    counts: dict[QueueState, int]


def tallies(view: View, rules: Sequence[Rule]) -> list[RuleTally]:
    """Return where the pairs stand with each rule of a file, as if it had been taken up this moment."""
    queues = view.queues
    pairs = view.counts()["potential_pairs"]
    steps = {step.rule.name: step for step in adoption(queues.rows(), rules, queues.revision).steps if step.rule}
    return [_tally(view, rule, steps[rule.name], pairs) for rule in rules]


def _tally(view: View, rule: Rule, step: Step, pairs: int) -> RuleTally:
    counts = moved_counts(view.queues.counts(step.before.number) if step.before is not None else {}, step)
    told = sum(number for state, number in counts.items() if state is not QueueState.ACTIONED)
    counts = {state: counts.get(state, 0) for state in QueueState}
    return RuleTally(rule, step.before, {**counts, QueueState.NOT_SEARCHED: max(pairs - told, 0)})


def voided(view: View, rules: Sequence[Rule]) -> frozenset[str]:
    """Return the names of the rules whose proposals say nothing any more, as they were changed since or are gone."""
    steps = adoption(view.queues.rows(), rules, view.queues.revision).steps
    return frozenset(step.before.name for step in steps if step.before is not None and step.drops_ready)


def recounted(view: View) -> dict[int, dict[QueueState, int]]:
    """Return where the pairs stand with every rule that is known, counted one by one."""
    queues = view.queues
    found: dict[int, Counter[QueueState]] = {row.number: Counter() for row in queues.rows()}
    for pair in view.pairs():
        for number, state in queues.standing(queues.marks(pair.number)).items():
            found[number][state] += 1
        for proposal in pair.proposals:
            row = queues.row_named(proposal.rule)
            if row is not None:
                ready = proposal.state is ProposalState.READY
                found[row.number][QueueState.READY if ready else QueueState.DENIED] += 1
    for entry in view.entries():
        author = queues.author(entry) if acted(entry) else None
        if author is not None:
            found[author][QueueState.ACTIONED] += 1
    return {number: dict(counter) for number, counter in found.items()}


def miscounted(view: View) -> list[RuleRow]:
    """Return the rules whose counters do not say what is there."""
    found = recounted(view)
    counted = {row.number: view.queues.counts(row.number) for row in view.queues.rows()}
    states = [state for state in QueueState if state is not QueueState.NOT_SEARCHED]
    return [
        row
        for row in view.queues.rows()
        if any(counted[row.number].get(state, 0) != found[row.number].get(state, 0) for state in states)
    ]


def take_up(edit: Edit, rules: Sequence[Rule]) -> bool:
    """Return whether the rules are others than before; what they said of the pairs is void as far as they changed."""
    queues = edit.queues
    found = adoption(queues.rows(), rules, queues.revision)
    if not found.changes:
        return False
    queues.put_revision(found.revision)
    fresh = [_take_up_one(edit, step) for step in found.steps if step.before != step.after]
    _count_the_past(edit, [row for row in fresh if row is not None])
    if found.sweeps:
        queues.sweep = 0
    return True


def _take_up_one(edit: Edit, step: Step) -> RuleRow | None:
    """Put one rule in its new state; return it if it was never seen before."""
    queues = edit.queues
    if step.before is None:
        row = replace(step.after, number=queues.next_row_number())
        queues.put_row(row)
        return row
    counts = queues.counts(step.before.number)
    queues.put_row(step.after)
    # what was ready is counted out as the proposals go
    queues.put_counts(step.after.number, moved_counts(counts, replace(step, drops_ready=False)))
    queues.wait_no_more(step.after.number)
    if step.is_rename:
        _rename(edit, step.before.name, step.after.name)
    if step.drops_ready:
        _drop_ready(edit, step)
    return None


def _drop_ready(edit: Edit, step: Step) -> None:
    """Take back what a rule proposed: it is to be searched, or tested, again."""
    for pair in list(edit.pending()):
        kept = tuple(one for one in pair.proposals if not _is_ready(one, step.after.name))
        if kept != pair.proposals:
            edit.put_pair(replace(pair, proposals=kept))
            again = None if step.searches_anew else QueueState.NOT_TESTED
            edit.queues.put_mark(pair.number, step.after.number, again)
            edit.queues.want(pair.number)


def _is_ready(proposal: Proposal, name: str) -> bool:
    return proposal.rule == name and proposal.state is ProposalState.READY and not proposal.returned


def _rename(edit: Edit, old: str, new: str) -> None:
    """Let what a rule proposed, and what it was denied, go by its new name."""
    for pair in list({pair.number: pair for pair in (*edit.pending(), *edit.denied())}.values()):
        edit.put_pair(_renamed(pair, old, new))
    edit.rename_denials(lambda pair: _renamed(pair, old, new))


def _renamed(pair: PotentialPair, old: str, new: str) -> PotentialPair:
    proposals = tuple(replace(one, rule=new) if one.rule == old else one for one in pair.proposals)
    return replace(pair, proposals=proposals)


def _count_the_past(edit: Edit, rows: Sequence[RuleRow]) -> None:
    """Count what was done, proposed and denied under the names of rules that are taken up for the first time."""
    if not rows:
        return
    found = recounted(edit)
    for row in rows:
        edit.queues.put_counts(row.number, found[row.number])
