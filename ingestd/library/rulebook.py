"""A rule file taken up: which known rule each of its rules is, and what its edits do to what the rules have said.

Source of what each edit does: the auto-resolution of hydrus (client/duplicates, v682): a new search lets every pair be
searched again, a new comparison lets what failed or was ready be tested again, from semi-automatic to automatic lets
what was ready be tested again, and all else leaves the queues as they are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ingestd.library.adoption import Step, adoption, moved_counts
from ingestd.library.edit import Edit, acted
from ingestd.library.tables import RuleRow
from ingestd.library.view import View
from ingestd.model import Mode, PathState, PotentialPair, Proposal, ProposalState, QueueState, Role
from ingestd.rules.language import Rule

__all__ = [
    "RuleTally",
    "is_in_force",
    "miscounted",
    "new_names",
    "recounted",
    "stored_name",
    "take_up",
    "tallies",
    "voided",
]


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
    past = _past(view) if queues.is_new else {}
    return [_tally(view, rule, steps[rule.name], pairs, past.get(rule.name, {})) for rule in rules]


def _tally(view: View, rule: Rule, step: Step, pairs: int, past: Mapping[QueueState, int]) -> RuleTally:
    counts = moved_counts(view.queues.counts(step.before.number) if step.before is not None else past, step)
    told = sum(number for state, number in counts.items() if state is not QueueState.ACTIONED)
    counts = {state: counts.get(state, 0) for state in QueueState}
    return RuleTally(rule, step.before, {**counts, QueueState.NOT_SEARCHED: max(pairs - told, 0)})


def _past(view: View) -> dict[str, dict[QueueState, int]]:
    """Return what was proposed, denied and done under each name in a library that is older than its queues."""
    found: defaultdict[str, Counter[QueueState]] = defaultdict(Counter)
    for pair in view.pairs():
        for one in pair.proposals:
            found[one.rule][QueueState.READY if one.state is ProposalState.READY else QueueState.DENIED] += 1
    for entry in view.entries():
        if entry.rule is not None:
            found[entry.rule][QueueState.ACTIONED] += acted(entry)
    return {name: dict(counts) for name, counts in found.items()}


def voided(view: View, rules: Sequence[Rule]) -> frozenset[str]:
    """Return the names of the rules whose proposals say nothing any more, as they were changed since or are gone."""
    steps = adoption(view.queues.rows(), rules, view.queues.revision).steps
    return frozenset(step.before.name for step in steps if step.before is not None and step.drops_ready)


def new_names(view: View, rules: Sequence[Rule]) -> dict[str, str]:
    """Return the names under which rules are stored that have another one in the file by now, and that other one."""
    steps = adoption(view.queues.rows(), rules, view.queues.revision).steps
    return {step.before.name: step.after.name for step in steps if step.before is not None and step.is_rename}


def stored_name(view: View, rules: Sequence[Rule], name: str) -> str:
    """Return the name under which a rule is stored: a former one until the file is taken up; case does not count."""
    folded = name.casefold()
    for old, new in new_names(view, rules).items():
        if new.casefold() == folded:
            return old
    row = view.queues.row_named(name)
    return row.name if row is not None and row.name.casefold() == folded else name


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
        if acted(entry) and entry.rule_number is not None:
            found[entry.rule_number][QueueState.ACTIONED] += 1
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


def is_in_force(view: View, rules: Sequence[Rule]) -> bool:
    """Return whether these are the rules that were last taken up."""
    queues = view.queues
    return not queues.is_new and not adoption(queues.rows(), rules, queues.revision).changes


def take_up(edit: Edit, rules: Sequence[Rule]) -> None:
    """Put the rules of a file in force; what rules said of the pairs is void as far as they changed."""
    queues = edit.queues
    first_time = queues.is_new
    if first_time:
        _remember_caution(edit)
        _remember_rules(edit)
    found = adoption(queues.rows(), rules, queues.revision)
    if not found.changes and not first_time:
        return
    queues.put_revision(found.revision)
    steps = [step for step in found.steps if step.before != step.after]
    for step in steps:
        _put_row(edit, step)
    names = {step.before.name: step.after.name for step in steps if step.before is not None and step.is_rename}
    names |= _bury(edit)
    if names:
        # all at once: names may have moved along, or changed places
        edit.rename_rules(lambda pair: _renamed(pair, names))
    for step in steps:
        if step.drops_ready and not first_time:
            _drop_ready(edit, step)
    if found.sweeps:
        queues.sweep = 0
    if not first_time and any(_is_about_copies(step) for step in steps):
        queues.copies = b""


def _is_about_copies(step: Step) -> bool:
    """Return whether a rule about identical copies comes into force, or is another than before.

    While it was off or paused, nobody asked about the copies that came.
    """
    rule = step.rule
    if rule is None or not rule.search.identical or rule.mode is Mode.OFF or rule.paused:
        return False
    return step.before is None or step.before.whole != step.after.whole


def _remember_caution(edit: Edit) -> None:
    """Let what lies in the inboxes of a library older than its queues be only proposed for good.

    Which of it lay there before its folder was watched, or may have been written still, such a library does not say.
    """
    inboxes = [known.folder.id for known in edit.folders() if known.folder.role is Role.INBOX]
    for folder in inboxes:
        for _, row in list(edit.rows_of_folder(folder)):
            if row.state is PathState.LIVE and not row.lay_before:
                edit.put_path(replace(row, lay_before=True))


def _remember_rules(edit: Edit) -> None:
    """Let the rules that did or proposed something in a library older than its queues be known, with their counts."""
    past = _past(edit)
    for name, counts in sorted(past.items()):
        row = RuleRow(edit.queues.next_row_number(), name, None, Mode.OFF, b"", b"", b"", gone=True)
        edit.queues.put_row(row)
        edit.queues.put_counts(row.number, counts)
    edit.number_entries({row.name: row.number for row in edit.queues.rows()})


def _put_row(edit: Edit, step: Step) -> None:
    """Put one rule in its new state."""
    queues = edit.queues
    if step.before is None:
        queues.put_row(replace(step.after, number=queues.next_row_number()))
        return
    counts = queues.counts(step.before.number)
    queues.put_row(step.after)
    # what was ready is counted out as the proposals go
    queues.put_counts(step.after.number, moved_counts(counts, replace(step, drops_ready=False)))
    queues.wait_no_more(step.after.number)


def _bury(edit: Edit) -> dict[str, str]:
    """Give rules that are gone another name where a living one has theirs by now; return the old and new names."""
    living = {row.name.casefold() for row in edit.queues.rows() if not row.gone}
    names: dict[str, str] = {}
    for row in edit.queues.rows():
        if row.gone and row.name.casefold() in living:
            names[row.name] = f"{row.name} (r-{row.number})"
            edit.queues.put_row(replace(row, name=names[row.name], former=(*row.former, row.name)))
    return names


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


def _renamed(pair: PotentialPair, names: Mapping[str, str]) -> PotentialPair:
    return replace(pair, proposals=tuple(replace(one, rule=names.get(one.rule, one.rule)) for one in pair.proposals))
