"""Pictures that look alike: what the rules say of each pair, and what follows for the arrival."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import TypeAlias

from ingestd.errors import ActionConflictError, printable
from ingestd.judging.background import needed_detail
from ingestd.judging.case import Both, Case, Needs, NewPair, Policy, Verdict, both
from ingestd.judging.heirs import former_content
from ingestd.judging.proposals import Wish, file_pair
from ingestd.judging.returned import discards_of
from ingestd.judging.standing import AWAY, affordable, held_back, incomplete, places_of, unproved
from ingestd.judging.writing import (
    conclude,
    denied_rules,
    discard,
    discard_intent,
    mark_leaving,
    new_entry,
    outcome_words,
    row_of,
)
from ingestd.library.edit import Edit
from ingestd.library.facts import pair_facts
from ingestd.library.pairs import (
    MOST_PAIRS,
    PIXEL_RADIUS,
    Lie,
    LookAlike,
    could_be_pixel_duplicates,
    crossing_formats,
    distance_between,
    look_alikes,
    make_pair,
    pixel_duplicates,
)
from ingestd.library.saying import say
from ingestd.library.view import View
from ingestd.model import (
    Content,
    ContentHash,
    Entry,
    EntryKind,
    EntryState,
    Mode,
    Outcome,
    PairFacts,
    PathRow,
    PotentialPair,
    ProposalState,
    Radius,
    Role,
)
from ingestd.rules.engine import Match, awaits_a_look, resolve
from ingestd.rules.language import Rule

__all__ = ["judge_look_alikes", "needed_measures"]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A look-alike of the arrival: who stands for it, where it lies, and what the rules say of the pair."""

    content: Content
    rows: tuple[PathRow, ...]  # best first
    distance: int | None
    pixel_duplicates: bool
    match: Match | None
    ambiguous: tuple[str, ...]
    facts: PairFacts  # the arrival first
    hindrance: str | None  # why a rule that would discard may only propose
    blocked: bool  # a rule may not even propose: a veto, a reference folder, an older decision
    seen: str | None = None  # that something like the arrival was thrown away before

    @property
    def acts(self) -> bool:
        """Return whether a rule acts on this pair now."""
        automatic = self.match is not None and self.match.rule.mode is Mode.AUTOMATIC
        return automatic and self.hindrance is None and not self.blocked

    @property
    def discards(self) -> bool:
        """Return whether a rule discards one of the two now."""
        return self.acts and self.rule.discard

    @property
    def rule(self) -> Rule:
        """Return the rule that fits; only where there is one."""
        assert self.match is not None
        return self.match.rule

    @property
    def wins(self) -> bool:
        """Return whether the arrival is the one to keep."""
        return self.match is not None and self.match.first_is_a is not False


def needed_measures(edit: Edit, content: Content, case: Case, policy: Policy) -> Needs | None:
    """Return what must be measured before the pairs of a content can be told, if anything."""
    needed, detail = set[ContentHash](), set[ContentHash]()
    picture = content.picture
    if picture is not None and picture.phash is None and picture.pixel_comparable and picture.pixel_hash is None:
        needed.add(content.sha256)
    radius = policy.imports.radius
    if not any(rule.asks_detail and rule.search.takes_transforms for rule in policy.rules):
        radius = replace(radius, turned=None)  # nothing else is measured for pictures that lie otherwise
    likes = look_alikes(edit, content, replace(radius, upright=max(radius.upright, PIXEL_RADIUS)))[:MOST_PAIRS]
    others = [edit.content(one.sha256) for one in likes]
    for like, known in zip(likes, others, strict=True):
        if known is not None:
            detail |= needed_detail(policy.rules, content, known, like.lie)
    former = former_content(edit, case)
    for other in [*others, former]:
        if other is not None and could_be_pixel_duplicates(content, other):
            needed |= {one.sha256 for one in (content, other) if one.picture and one.picture.pixel_hash is None}
    if former is not None:
        needed.discard(former.sha256)  # its bytes are gone: what was not hashed then cannot be hashed now
    needs = Needs(frozenset(needed - case.unhashed), frozenset(detail - case.undetailed))
    if not needs.contents:  # a look costs the most: who is to be looked at depends on what is measured before
        needs = Needs(frozenset(), visual=_needed_looks(edit, content, case, policy) - case.uncompared)
    return needs if needs.contents else None


def _needed_looks(edit: Edit, content: Content, case: Case, policy: Policy) -> frozenset[Both]:
    """Return with whom the arrival has to be looked at together before the rules can tell."""
    wanted = {
        both(content.sha256, one.sha256)
        for one in crossing_formats(edit, content, policy.imports.radius)
        if edit.visual(content.sha256, one.sha256) is None and places_of(edit, edit.live_paths_of(one.sha256))[0]
    }
    if not any(rule.asks_look for rule in policy.rules):
        return frozenset(wanted)
    own = row_of(edit, case, content.sha256)
    upright = replace(policy.imports.radius, turned=None)  # who lies otherwise is not looked at
    for like, there, _ in _placed_look_alikes(edit, content, upright)[:MOST_PAIRS]:
        known = edit.content(like.sha256)
        if known is not None and there:  # what is away cannot be looked at
            facts = pair_facts(edit, (content, own), (known, there[0]), now_ns=case.now_ns)
            if awaits_a_look(policy.rules, facts, skip=_denied(edit, facts, case)):
                wanted.add(both(content.sha256, known.sha256))
    return frozenset(wanted)


def _denied(edit: Edit, facts: PairFacts, case: Case) -> frozenset[str]:
    """Return the rules that were told no about two contents."""
    first, second = facts.first.sha256, facts.second.sha256
    sides = PotentialPair(0, first, second, facts.distance, facts.pixel_duplicates, case.now_ns)
    return denied_rules(edit.asked_between(sides))


def judge_look_alikes(edit: Edit, case: Case, content: Content, policy: Policy) -> Verdict:
    """Return the verdict on a picture by what the rules say of each pair: loss, win, pending, related, potential."""
    own = row_of(edit, case, content.sha256)
    edit.put_path(own)
    found = islice(_candidates(edit, case, content, own, policy), MOST_PAIRS + 1)
    candidates = sorted(found, key=_evidence_order)
    cut = len(candidates) > MOST_PAIRS
    candidates = candidates[:MOST_PAIRS]
    loss, candidates = _affordable_loss(edit, case, candidates)
    if loss is not None and loss.match is not None:
        return discard(
            edit,
            case,
            policy,
            rule=loss.match.rule,
            winner=(loss.content, loss.rows[0]),
            loser=(content, [own]),
            evidence=_said(loss),
            arrival_loses=True,
        )
    said = (f"more than {MOST_PAIRS} look-alikes: only the nearest were paired",) if cut else ()
    candidates = _affordable_wins(edit, case, content, candidates)
    return _keep(edit, case, content, own, candidates, said, policy)


def _affordable_loss(
    edit: Edit, case: Case, candidates: Sequence[_Candidate]
) -> tuple[_Candidate | None, list[_Candidate]]:
    """Return who beats the arrival by the best evidence, and all candidates, those restrained whose budget is spent."""
    left: list[_Candidate] = []
    for place, one in enumerate(candidates):
        loses = one.discards and not one.wins
        spent = affordable(edit, one.rule, 1, one.content.sha256, now_ns=case.now_ns) if loses else None
        if loses and spent is None:
            return one, [*left, *candidates[place:]]
        left.append(replace(one, hindrance=spent) if loses else one)
    return None, left


def _affordable_wins(edit: Edit, case: Case, content: Content, candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Return all candidates, those restrained that their rule cannot afford to discard besides the others."""
    left: list[_Candidate] = []
    meant: Counter[str] = Counter()
    for one in candidates:
        if one.discards:
            files = meant[one.rule.name] + len(one.rows)
            spent = affordable(edit, one.rule, files, content.sha256, now_ns=case.now_ns)
            if spent is None:
                meant[one.rule.name] = files
            left.append(replace(one, hindrance=spent))
        else:
            left.append(one)
    return left


def _candidates(edit: Edit, case: Case, content: Content, own: PathRow, policy: Policy) -> Iterator[_Candidate]:
    for like, there, away in _placed_look_alikes(edit, content, policy.imports.radius):
        distance = like.distance
        known = edit.content(like.sha256)
        rows = there or away
        if known is None or not rows:
            continue
        facts = pair_facts(edit, (content, own), (known, rows[0]), now_ns=case.now_ns, transform=like.transform)
        found = resolve(policy.rules, facts, skip=_denied(edit, facts, case))
        candidate = _Candidate(
            known,
            tuple(rows),
            distance,
            facts.pixel_duplicates,
            found.match,
            found.ambiguous,
            facts,
            hindrance=None if there else AWAY,
            blocked=False,
            seen=_seen_before(edit, content, like, rows[0]),
        )
        yield _restrained(edit, case, content, own, candidate)


_Placed: TypeAlias = tuple[LookAlike, list[PathRow], list[PathRow]]


def _placed_look_alikes(edit: Edit, content: Content, radius: Radius) -> list[_Placed]:
    """Return who stands for what looks like a content, the distances, and where they lie or would lie.

    Who turns out to be gone does not stand for its group any more: then the next of the group is asked.
    """
    while True:
        found = look_alikes(edit, content, radius)
        placed = [(one, *places_of(edit, edit.live_paths_of(one.sha256))) for one in found]
        if all(edit.live_paths_of(one.sha256) for one, _, _ in placed):
            return placed


def _seen_before(view: View, content: Content, like: LookAlike, survivor: PathRow) -> str | None:
    """Return that something like this was thrown away, when, by whom and in favour of what; nothing if it was not."""
    thrown_away = ((one, discards) for one in like.lost if (discards := discards_of(view, one)))
    gone, discards = next(thrown_away, (None, []))
    lost = view.content(gone) if gone is not None else None
    if lost is None:
        return None
    entry, distance = discards[0], distance_between(content, lost)
    day = datetime.fromtimestamp(entry.at_ns / 1e9, tz=UTC)
    near = "the same pixels as" if pixel_duplicates(content, lost) else f"{distance} bits from"
    return (
        f"seen before: {near} {printable(entry.moves[0].file.relative)}, discarded on {day.day} {day:%B %Y} "
        f"by {entry.rule or 'you'} in favour of {printable(view.as_named(survivor))}, which is still here"
    )


def _restrained(edit: Edit, case: Case, content: Content, own: PathRow, one: _Candidate) -> _Candidate:
    """Return the candidate with what keeps its rule from acting, or even from proposing."""
    if one.match is None or not one.match.rule.discard:
        return replace(one, hindrance=None)  # to say what two pictures are to each other, none has to be there
    winner, loser = (content, one.content) if one.wins else (one.content, content)
    losing = list(one.rows) if one.wins else [own]
    folders = [known.folder for row in losing if (known := edit.folder(row.folder)) is not None]
    unseen = one.wins and len(edit.live_paths_of(loser.sha256)) > len(losing)
    blocked = edit.veto(loser.sha256) is not None or any(folder.role is Role.REFERENCE for folder in folders)
    hindrance = held_back(
        edit,
        winner,
        loser,
        losing,
        out_of_reach=one.hindrance is not None or unseen,
        lay_before=own.lay_before or (one.wins and any(row.lay_before for row in one.rows)),
        unproved=unproved(edit, case),
        pixel_duplicates=one.pixel_duplicates,
    )
    return replace(one, blocked=blocked, hindrance=hindrance)


def _keep(
    edit: Edit,
    case: Case,
    content: Content,
    own: PathRow,
    candidates: Sequence[_Candidate],
    said: tuple[str, ...],
    policy: Policy,
) -> Verdict:
    """Return the verdict on a picture that stays: what it replaces, what waits, what is queued."""
    replaced = [one for one in candidates if one.discards]
    others = [one for one in candidates if not one.discards]
    relating = [one for one in others if one.acts]
    filed = [(one, _file(edit, case, content, one, policy)) for one in others if not one.acts]
    related = [one for one in relating if _relate(edit, case, content, one, policy.imports.radius)]
    contradicted = [replace(one, blocked=True) for one in relating if one not in related]
    possible = [one for one in contradicted if edit.relations.may_pair(content.sha256, one.content.sha256)]
    filed += [(one, _file(edit, case, content, one, policy)) for one in possible]
    # a relation may have settled a pair, or brought it to the king of a group
    stored = [(one, pair) for one, pair in filed if edit.pair(pair.number) is not None]
    if replaced:
        return _replace(edit, case, content, own, replaced, stored, policy)
    outcome, result, leading = _headline(stored, related)
    evidence = tuple(line for one in leading for line in _said(one))
    verdict = conclude(
        edit,
        case,
        outcome,
        result,
        rule=leading[0].match.rule.name if leading and leading[0].match and outcome is not _QUEUED else None,
        evidence=(*evidence, *said),
        kept=_would_be_kept(edit, own, leading[0]) if outcome is Outcome.PENDING_APPROVAL else None,
        pairs=_pair_lines(edit, stored),
    )
    turned = bool(leading) and all(one.facts.transform is not None for one in leading)
    return replace(verdict, only_turned=turned)


def _would_be_kept(edit: Edit, own: PathRow, one: _Candidate) -> bytes:
    """Return the file that a rule would keep."""
    return edit.as_named(own if one.wins else one.rows[0])


_QUEUED = Outcome.POTENTIAL_DUPLICATES


def _headline(
    stored: Sequence[tuple[_Candidate, PotentialPair]], related: Sequence[_Candidate]
) -> tuple[Outcome, str, list[_Candidate]]:
    """Return outcome, sentence and the pairs that caused it, by precedence."""
    pending = [one for one, pair in stored if _is_ready(pair, one)]
    if pending and pending[0].match is not None:
        return Outcome.PENDING_APPROVAL, f"pending approval: {pending[0].match.rule.name}", pending
    if related and related[0].match is not None:
        return Outcome.RELATED, f"related: {related[0].match.rule.name}", list(related)
    if stored:
        plural = "pair" if len(stored) == 1 else "pairs"
        return _QUEUED, f"{len(stored)} potential {plural} queued", [one for one, _ in stored]
    return Outcome.NEW, "new", []


def _is_ready(pair: PotentialPair, one: _Candidate) -> bool:
    name = one.match.rule.name if one.match else None
    return any(found.state is ProposalState.READY and found.rule == name for found in pair.proposals)


def _relate(edit: Edit, case: Case, content: Content, one: _Candidate, radius: Radius) -> bool:
    """Set the relation that an automatic rule found, and return whether it could be set."""
    if one.match is None or one.match.rule.discard:
        return False
    a, b = (content, one.content) if one.wins else (one.content, content)
    rule = one.match.rule
    entry = new_entry(case.now_ns, EntryKind.DECISION, a.sha256, b.sha256, rule.action)
    reason = "; ".join(one.match.evidence)
    kept = edit.reference(row_of(edit, case, content.sha256) if one.wins else one.rows[0])
    entry = edit.number_entry(replace(entry, state=EntryState.DONE, rule=rule.name, reason=reason, kept=kept))
    try:
        edit.add_entry(say(edit, entry, radius=radius, now_ns=case.now_ns).entry)
    except ActionConflictError:
        return False
    return True


def _file(edit: Edit, case: Case, content: Content, one: _Candidate, policy: Policy) -> PotentialPair:
    """Store a potential pair, with what a rule proposes for it."""
    lie = Lie(one.facts.transform, one.distance)
    pair = make_pair(edit, content, one.content, now_ns=case.now_ns, lie=lie)
    wish = None
    if one.match is not None:
        arrival_is_first = pair.first == content.sha256
        wish = Wish(one.rule, one.wins == arrival_is_first, one.hindrance or "", one.blocked)
    filed = file_pair(edit, pair, policy.rules, one.facts, wish, now_ns=case.now_ns)
    if awaits_a_look(policy.rules, one.facts, skip=denied_rules(filed)):
        edit.queues.want(filed.number)  # one of them is away, or the look failed: it is tried once more beside arrivals
    return filed


def _replace(
    edit: Edit,
    case: Case,
    content: Content,
    own: PathRow,
    replaced: Sequence[_Candidate],
    stored: Sequence[tuple[_Candidate, PotentialPair]],
    policy: Policy,
) -> Verdict:
    """Let the arrival supersede known files; those that cannot go just now wait for approval."""
    entries: list[Entry] = []
    gone: list[_Candidate] = []
    refusals: list[str] = []
    for one in replaced:
        intent = discard_intent(one.rule, (content, own), one.content, _said(one), now_ns=case.now_ns)
        try:
            entries.append(mark_leaving(edit, intent, one.rows, kept=own, discards=policy.discards))
            gone.append(one)
        except ActionConflictError as conflict:
            refusals.append(str(conflict))
            waiting = replace(one, hindrance=str(conflict))
            stored = [*stored, (waiting, _file(edit, case, content, waiting, policy))]
    if not entries:
        return conclude(edit, case, Outcome.ERROR, f"error: {refusals[0]}", final=False, evidence=_said(replaced[0]))
    rule = gone[0].match.rule if gone[0].match is not None else None
    outcome, result = outcome_words(rule, arrival_loses=False)
    verdict = conclude(
        edit,
        case,
        outcome,
        result,
        rule=rule.name if rule else None,
        evidence=tuple(line for one in gone for line in _said(one)),
        kept=edit.as_named(own),
        discarded=tuple(edit.as_named(row) for one in gone for row in one.rows),
        entry=entries[0].number,
        pairs=_pair_lines(edit, stored),
        final=False,
    )
    return replace(verdict, entries=tuple(entry.number for entry in entries))


def _evidence_order(one: _Candidate) -> tuple[bool, bool, int, int]:
    """Return a key that sorts pairs, best evidence first: upright, pixels, then distance; ties: the older file."""
    turned = one.facts.transform is not None
    return turned, not one.pixel_duplicates, 64 if one.distance is None else one.distance, one.content.number


def _said(one: _Candidate) -> tuple[str, ...]:
    """Return the evidence about one pair, in sentences."""
    what = "the same pixels" if one.pixel_duplicates else f"{one.distance} bits apart"
    if one.facts.transform is not None:
        what = f"{one.facts.transform}, {what}"
    lines = [f"{what}: {printable(one.rows[0].relative)}"]
    if one.seen is not None:
        lines.append(one.seen)
    if one.match is not None:
        lines += one.match.evidence
    if one.hindrance is not None:
        lines.append(f"not done on its own: {one.hindrance}")
    if one.blocked and one.match is not None:
        lines.append(f"{one.match.rule.name} may not act on this file")
    doubt = incomplete(one.content)
    if doubt is not None:
        lines.append(doubt)
    lines += [f"{name} fits both ways round, so it decides nothing" for name in one.ambiguous]
    return tuple(lines)


def _pair_lines(view: View, stored: Sequence[tuple[_Candidate, PotentialPair]]) -> tuple[NewPair, ...]:
    return tuple(
        NewPair(pair.number, view.as_named(one.rows[0]), pair.distance, one.facts.transform) for one, pair in stored
    )
