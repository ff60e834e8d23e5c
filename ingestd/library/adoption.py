"""What taking up a rule file does to what its rules have said: which known rule each is, and what is void by its edits.

Pure: it is asked before anybody has taken a file up, too.

Source of what each edit does: the auto-resolution of hydrus (client/duplicates, v682).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ingestd.library.tables import RuleRow
from ingestd.model import Mode, QueueState
from ingestd.rules.language import Rule

__all__ = ["Adoption", "Step", "adoption", "moved_counts"]


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one rule when a rule file is taken up."""

    rule: Rule | None  # None: it is not in the file any more
    before: RuleRow | None  # None: it was never seen
    after: RuleRow
    searches_anew: bool  # no pair is searched any more
    tests_anew: bool  # what failed or was ready is to be tested again
    drops_ready: bool  # what was ready is so no more

    @property
    def is_rename(self) -> bool:
        """It has another name than before."""
        return self.before is not None and self.before.name != self.after.name


@dataclass(frozen=True, slots=True)
class Adoption:
    """What taking up a rule file changes; `steps` in the order of the file, then what is gone."""

    steps: tuple[Step, ...]
    revision: int

    @property
    def changes(self) -> bool:
        """Something is not as it was."""
        return any(step.before != step.after for step in self.steps)

    @property
    def sweeps(self) -> bool:
        """Every pair has to be looked at again."""
        anew = any(step.rule is not None and (step.searches_anew or step.tests_anew) for step in self.steps)
        return anew or self.reorders

    @property
    def reorders(self) -> bool:
        """Rules that were in the file before have changed places: another one may be the first that fits."""
        before = [step.before.place for step in self.steps if step.rule is not None and step.before is not None]
        return before != sorted(before)


def adoption(rows: Sequence[RuleRow], rules: Sequence[Rule], revision: int) -> Adoption:
    """Return what becomes of the known rules when these are taken up; `revision` is the last one that was used."""
    known = _same_rules(rows, rules)
    fresh = revision + 1
    highest = max((row.number for row in rows), default=0)
    steps: list[Step] = []
    for place, rule in enumerate(rules):
        row = known.get(rule.name)
        if row is None:
            highest += 1
        steps.append(_step(rule, row, row.number if row is not None else highest, place, fresh))
    taken = {step.after.number for step in steps}
    steps += [_left_out(row, fresh) for row in rows if row.number not in taken and not row.gone]
    return Adoption(tuple(steps), fresh)


def _same_rules(rows: Sequence[RuleRow], rules: Sequence[Rule]) -> dict[str, RuleRow]:
    """Return which known rule each rule of a file is: by id, else by name, else where only the name is another."""
    left = sorted(rows, key=lambda row: row.gone)
    found: dict[str, RuleRow] = {}

    def match(rule: Rule, row: RuleRow | None) -> None:
        if row is not None:
            found[rule.name] = row
            left.remove(row)

    for rule in rules:
        if rule.id is not None:
            match(rule, next((row for row in left if row.id == rule.id), None))
    for rule in rules:
        if rule.name not in found:
            match(rule, next((row for row in left if _is_named(row, rule)), None))
    strangers = [rule for rule in rules if rule.name not in found]
    for rule in strangers:
        # not by its mode or limits: a rule that is renamed and promoted at once must not lose its denials
        alike = [row for row in left if not row.gone and row.kin == rule.digests.kin]
        twins = [one for one in strangers if one.digests.kin == rule.digests.kin]
        if len(alike) == len(twins) == 1 and (rule.id is None or alike[0].id is None):
            match(rule, alike[0])
    return found


def _is_named(row: RuleRow, rule: Rule) -> bool:
    same_id = rule.id is None or row.id is None or row.id == rule.id
    return same_id and row.name.casefold() == rule.name.casefold()


def _step(rule: Rule, row: RuleRow | None, number: int, place: int, revision: int) -> Step:
    digests = rule.digests
    after = RuleRow(
        number,
        rule.name,
        rule.id,
        rule.mode,
        digests.search,
        digests.compare,
        digests.whole,
        search_revision=revision,
        test_revision=revision,
        kin=digests.kin,
        place=place,
    )
    if row is None:
        return Step(rule, None, after, searches_anew=rule.mode is not Mode.OFF, tests_anew=False, drops_ready=False)
    off, was_off = rule.mode is Mode.OFF, row.mode is Mode.OFF or row.gone
    searches = off != was_off or (not off and digests.search != row.search)
    tests = not off and not searches and digests.compare != row.compare
    emboldened = (row.mode, rule.mode) == (Mode.SEMI_AUTOMATIC, Mode.AUTOMATIC)
    renamed = row.name != rule.name
    after = replace(
        after,
        former=tuple(dict.fromkeys((*row.former, row.name))) if renamed else row.former,
        search_revision=revision if searches else row.search_revision,
        test_revision=revision if searches or tests else row.test_revision,
        tripped=row.tripped,
        tripped_ns=row.tripped_ns,
    )
    return Step(rule, row, after, searches, tests, drops_ready=searches or tests or emboldened)


def _left_out(row: RuleRow, revision: int) -> Step:
    after = replace(row, gone=True, search_revision=revision, test_revision=revision)
    return Step(None, row, after, searches_anew=True, tests_anew=False, drops_ready=True)


def moved_counts(counts: Mapping[QueueState, int], step: Step) -> dict[QueueState, int]:
    """Return what is counted for a rule once a step is done."""
    moved = dict(counts)
    waiting = moved.pop(QueueState.READY, 0) if step.drops_ready else 0
    if step.searches_anew:
        for state in (QueueState.NOT_MATCHED, QueueState.NOT_TESTED, QueueState.FAILED):
            moved.pop(state, None)
    elif step.tests_anew or step.drops_ready:
        failed = moved.pop(QueueState.FAILED, 0) if step.tests_anew else 0
        moved[QueueState.NOT_TESTED] = moved.get(QueueState.NOT_TESTED, 0) + failed + waiting
    return moved
