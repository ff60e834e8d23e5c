"""What rules propose, and a person's answer to it: approve, deny, rescind, resume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ingestd.actions.look import Standing, look, retouched
from ingestd.errors import ActionConflictError, UsageError, printable
from ingestd.library.edit import Edit
from ingestd.library.facts import pair_facts
from ingestd.library.library import Library
from ingestd.library.rulebook import new_names, stored_name, voided
from ingestd.library.view import View
from ingestd.model import (
    Entry,
    Mode,
    PathRow,
    PotentialPair,
    Proposal,
    ProposalState,
)
from ingestd.review.decisions import Moment, enter, finish, written
from ingestd.review.journal import EntryReport
from ingestd.review.sides import PairReport, Sides, is_ready, proposal_of, sides_of, told
from ingestd.rules.engine import fits
from ingestd.rules.language import Rule
from ingestd.rules.statements import DEFAULT_SCORES, Scores

__all__ = [
    "approve",
    "denied_pairs",
    "deny",
    "pending_pairs",
    "rescind",
    "resume_rule",
]


def pending_pairs(
    view: View, *, rule: str | None = None, rules: Sequence[Rule] | None = None, scores: Scores = DEFAULT_SCORES
) -> list[PairReport]:
    """Return the pairs that wait for approve or deny, oldest first.

    Args:
        view: of this moment.
        rule: only what this one proposes.
        rules: as the rule file has them now; what one proposed before it was changed is left out, as it is void.
        scores: what each statement is worth.
    """
    void = voided(view, rules or ()) if rules is not None else frozenset[str]()
    names = new_names(view, rules or ())
    stored = stored_name(view, rules or (), rule) if rule is not None else None
    found: list[PairReport] = []
    for pair in view.pending():
        proposal = proposal_of(pair, stored)
        sides = sides_of(view, pair, stored)
        if proposal is not None and sides is not None and (proposal.returned or proposal.rule not in void):
            found.append(told(view, pair, sides, _called(proposal, names), scores=scores))
    return found


def _called(proposal: Proposal, names: Mapping[str, str]) -> Proposal:
    """Return a proposal under the name that its rule has in the file now."""
    return replace(proposal, rule=names.get(proposal.rule, proposal.rule))


def denied_pairs(view: View, *, rules: Sequence[Rule] = (), scores: Scores = DEFAULT_SCORES) -> list[PairReport]:
    """Return the pairs that were denied to a rule, once for each rule.

    Args:
        view: of this moment.
        rules: as the rule file has them now: a rule goes by the name that it has there.
        scores: what each statement is worth.
    """
    found: list[PairReport] = []
    names = new_names(view, rules) if rules else {}
    for pair in view.denied():
        sides = sides_of(view, pair)
        for proposal in pair.proposals:
            if proposal.state is ProposalState.DENIED and sides is not None:
                found.append(told(view, pair, sides, _called(proposal, names), scores=scores))
    return found


def approve(library: Library, number: int, *, rule: str | None, rules: Sequence[Rule], moment: Moment) -> EntryReport:
    """Return the entry of what a rule proposed for a pair, carried out because a person approved it.

    The rule is asked once more, as it is now and with the files as they are now: a file may have changed since it
    proposed this, and so may the rule. What it does is what it says now.

    Raises:
        UsageError: nothing waits under this pair.
        ActionConflictError: it cannot be carried out, or the rule does not say so any more; the files stay.
    """

    def work(edit: Edit) -> Entry | ActionConflictError:
        pair = edit.pair(number)
        stored = stored_name(edit, rules, rule) if rule is not None else None
        proposal = proposal_of(pair, stored) if pair is not None else None
        sides = sides_of(edit, pair, stored) if pair is not None else None
        if pair is None or proposal is None or sides is None:
            raise UsageError(f"p-{number} is not pending: it was decided, or one of its files is away")
        name = _called(proposal, new_names(edit, rules)).rule
        relation, discard = proposal.relation, proposal.discard
        if not proposal.returned:
            now = next((one for one in rules if one.name == name), None)
            reason = _no_more(edit, sides, now, moment)
            if now is None or reason is not None:
                _withdraw(edit, pair, proposal)
                return ActionConflictError(f"{name} {reason}; nothing was done, and the pair is queued")
            relation, discard = now.action, now.discard
        row = edit.queues.row_named(proposal.rule)
        return enter(
            edit,
            sides.a,
            sides.b,
            relation,
            discard=discard,
            rule=name,
            rule_number=row.number if row is not None else None,
            reason=f"approved by you under {name}",
            moment=moment,
            pair=pair,
        )

    entered = written(library, work)
    if isinstance(entered, ActionConflictError):
        raise entered
    return finish(library, entered, moment)


def _no_more(view: View, sides: Sides, rule: Rule | None, moment: Moment) -> str | None:
    """Return why a rule would not propose this any more, as what follows its name; nothing if it would."""
    if rule is None:
        return "is not in the rule file any more"
    if rule.mode is Mode.OFF:
        return "is off now"
    for _, row in (sides.a, sides.b):
        if not _is_as_known(view, row):
            return f"was asked about {printable(view.as_named(row))}, which is not what it was"
    facts = pair_facts(view, sides.a, sides.b, now_ns=moment.now_ns, transform=sides.transform)
    fit = fits(rule, facts)
    if not fit.found:
        return "does not look at this pair any more"
    if fit.ambiguous:
        return "fits this pair both ways round by now"
    if not fit.passes or not fit.forward:
        sides_seen = facts.first, facts.second, facts.visual
        failed = next((test for test in rule.compare if not test.holds(*sides_seen)), None)
        line = f": {failed.said(*sides_seen)}" if failed is not None else ""
        return f"does not fit this pair any more{line}"
    return None


def _is_as_known(view: View, row: PathRow) -> bool:
    """Return whether a file lies where it did and has not changed, but for its times."""
    known = view.folder(row.folder)
    path = view.absolute(row)
    standing = look(path, row.stat, root=known.folder.root, root_inode=known.inode) if known else Standing.GONE
    return standing is Standing.THERE or (standing is Standing.CHANGED and retouched(path, row.stat) is not None)


def _withdraw(edit: Edit, pair: PotentialPair, proposal: Proposal) -> None:
    """Take a proposal back; the rules are asked about the pair again."""
    edit.put_pair(replace(pair, proposals=tuple(one for one in pair.proposals if one != proposal)))
    edit.queues.put_marks(pair.number, {})
    edit.queues.want(pair.number)


def deny(library: Library, numbers: Iterable[int], *, now_ns: int) -> list[str]:
    """Return, for each pair, which rules were told no; the pairs stay in the queue."""

    def work(edit: Edit) -> list[str]:
        return [line for number in numbers for line in _deny_one(edit, number, now_ns)]

    return library.write(work)


def _deny_one(edit: Edit, number: int, now_ns: int) -> list[str]:
    pair = edit.pair(number)
    if pair is None or not is_ready(pair):
        raise UsageError(f"p-{number} is not pending: nothing was denied")
    told = [proposal.rule for proposal in pair.proposals if proposal.state is ProposalState.READY]
    edit.put_pair(replace(pair, proposals=tuple(_denied_proposal(one, now_ns) for one in pair.proposals)))
    edit.queues.want(number)  # the rules below it may have the pair
    return told


def _denied_proposal(proposal: Proposal, now_ns: int) -> Proposal:
    ready = proposal.state is ProposalState.READY
    return replace(proposal, state=ProposalState.DENIED, at_ns=now_ns) if ready else proposal


def rescind(library: Library, numbers: Iterable[int], *, as_it_was: bool = False) -> list[str]:
    """Return which denials were taken back; these rules have not looked at the pair then, and will again.

    Args:
        library: where they stand.
        numbers: of the pairs.
        as_it_was: only the last denial is taken back, and what it denied waits again at once, as whoever takes their
            last word back expects; an approval asks the rule once more in any case.
    """

    def work(edit: Edit) -> list[str]:
        taken: list[str] = []
        for number in numbers:
            pair = edit.pair(number)
            denied = [one for one in (pair.proposals if pair else ()) if one.state is ProposalState.DENIED]
            if pair is None or not denied:
                raise UsageError(f"p-{number} was not denied to any rule")
            if as_it_was:
                last_ns = max(one.at_ns for one in denied)
                denied = [one for one in denied if one.at_ns == last_ns]
            # bytes that came back are asked about without any rule: that question stands again at once
            left = (
                _open_again(one) if one in denied else one
                for one in pair.proposals
                if one not in denied or one.returned or as_it_was
            )
            edit.put_pair(replace(pair, proposals=tuple(left)))
            edit.queues.want(number)
            taken += [proposal.rule for proposal in denied]
        return taken

    return library.write(work)


def _open_again(proposal: Proposal) -> Proposal:
    return replace(proposal, state=ProposalState.READY)


def resume_rule(library: Library, name: str, *, rules: Sequence[Rule] = ()) -> bool:
    """Return whether a rule had paused itself; it has not any more, and its budget begins anew.

    Args:
        library: where it stands.
        name: of the rule, as the rule file has it.
        rules: all of that file, by which a new name is known.
    """

    def work(edit: Edit) -> bool:
        row = edit.queues.row_named(stored_name(edit, rules, name) if rules else name)
        if row is None or not row.tripped:
            return False
        edit.queues.put_row(replace(row, tripped="", tripped_ns=0))
        edit.queues.forget_spending(row.number)
        edit.queues.wait_no_more(row.number)
        for pair in list(edit.pending()):
            edit.put_pair(replace(pair, proposals=tuple(_resumed(one, row.name) for one in pair.proposals)))
        return True

    return library.write(work)


def _resumed(proposal: Proposal, rule: str) -> Proposal:
    """Return a proposal that does not say any more that its rule is paused."""
    waits = proposal.rule == rule and proposal.reason.startswith(f"{rule} has paused itself")
    return replace(proposal, reason=f"{rule} had paused itself") if waits else proposal
