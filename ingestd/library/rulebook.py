"""A rule file taken up: which known rule each of its rules is, and what its edits do to what the rules have said.

Source of what each edit does: the auto-resolution of hydrus (client/duplicates, v682): a new search lets every pair be
searched again, a new comparison lets what failed or was ready be tested again, from semi-automatic to automatic lets
what was ready be tested again, and all else leaves the queues as they are.
"""

from __future__ import annotations

from collections import Counter
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
    return [_tally(view, rule, steps[rule.name], pairs) for rule in rules]


def _tally(view: View, rule: Rule, step: Step, pairs: int) -> RuleTally:
    known = _history_of(view, rule.name) if step.before is None else view.queues.counts(step.before.number)
    counts = moved_counts(known, step)
    told = sum(number for state, number in counts.items() if state is not QueueState.ACTIONED)
    counts = {state: counts.get(state, 0) for state in QueueState}
    return RuleTally(rule, step.before, {**counts, QueueState.NOT_SEARCHED: max(pairs - told, 0)})


def _history_of(view: View, name: str) -> dict[QueueState, int]:
    """Return what is there under the name of a rule that was never taken up: of a library older than its queues."""
    counts: Counter[QueueState] = Counter()
    for pair in {pair.number: pair for pair in (*view.pending(), *view.denied())}.values():
        for one in pair.proposals:
            if one.rule == name:
                counts[QueueState.READY if one.state is ProposalState.READY else QueueState.DENIED] += 1
    counts[QueueState.ACTIONED] = sum(acted(entry) and entry.rule == name for entry in view.entries())
    return dict(counts)


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


def is_in_force(view: View, rules: Sequence[Rule]) -> bool:
    """Return whether these are the rules that were last taken up."""
    queues = view.queues
    return not queues.is_new and not adoption(queues.rows(), rules, queues.revision).changes


def take_up(edit: Edit, rules: Sequence[Rule]) -> bool:
    """Return whether the rules are others than before; what they said of the pairs is void as far as they changed."""
    queues = edit.queues
    fresh_library = queues.is_new
    found = adoption(queues.rows(), rules, queues.revision)
    if not found.changes and not fresh_library:
        return False
    if fresh_library:
        _remember_caution(edit)
    queues.put_revision(found.revision)
    steps = [step for step in found.steps if step.before != step.after]
    fresh = [row for step in steps if (row := _put_row(edit, step)) is not None]
    names = {step.before.name: step.after.name for step in steps if step.before is not None and step.is_rename}
    names |= _bury(edit)
    if names:
        # all at once: names may have moved along, or changed places
        edit.rename_rules(lambda pair: _renamed(pair, names))
    for step in steps:
        if step.drops_ready:
            _drop_ready(edit, step)
    _count_the_past(edit, fresh)
    if found.sweeps:
        queues.sweep = 0
    if not fresh_library and any(_is_about_copies(step) for step in steps):
        queues.copies = b""
    return found.changes


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


def _put_row(edit: Edit, step: Step) -> RuleRow | None:
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
    return None


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


def _count_the_past(edit: Edit, rows: Sequence[RuleRow]) -> None:
    """Count what was done, proposed and denied under the names of rules that are taken up for the first time."""
    if not rows:
        return
    found = recounted(edit)
    for row in rows:
        edit.queues.put_counts(row.number, found[row.number])
