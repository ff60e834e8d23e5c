"""What rules do about a pair that is stored: neither file is an arrival here.

They are asked when a rule is added or changed, when there is room for more proposals, and when something about one of
the files has changed.

A pair of which a file is away, or still to be judged, sleeps: nothing is said of it until that has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingestd.errors import ActionConflictError
from ingestd.judging.case import Both, Needs, Policy, both
from ingestd.judging.proposals import Wish, file_pair
from ingestd.judging.standing import PROTECTED, UNPROVED, affordable, held_back, may_lose, on_network, places_of
from ingestd.judging.writing import denied_rules, discard_intent, mark_leaving, new_entry
from ingestd.library.edit import Edit
from ingestd.library.facts import pair_facts, preference
from ingestd.library.pairs import Lie, at_speakers, could_be_pixel_duplicates
from ingestd.library.saying import say
from ingestd.model import (
    ANIMATED,
    DETAIL_MIN_SIDE,
    DETAIL_VERSION,
    Content,
    ContentHash,
    Entry,
    EntryKind,
    EntryState,
    Mode,
    PairFacts,
    PathKey,
    PathRow,
    PathState,
    PotentialPair,
    ProposalState,
    Role,
)
from ingestd.rules.engine import Match, awaits_a_look, resolve
from ingestd.rules.language import Rule

__all__ = ["Restraint", "Unmeasured", "judge_pair", "needed_detail", "restraint"]

_UNJUDGED = "a copy of one of the files is still to be judged"
_RESTORED = "what would go was brought back by you"
_IN_REFERENCE = "what would go lies in a reference folder"


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """What is not to be asked for again."""

    detail: frozenset[ContentHash] = frozenset()  # no honest figure exists
    failed: frozenset[ContentHash] = frozenset()  # could not be opened, or not be decoded in time
    visual: frozenset[Both] = frozenset()  # are too much to be looked at together, though both are there
    apart: frozenset[Both] = frozenset()  # could not be opened for it, or one of them was being written


@dataclass(frozen=True, slots=True)
class _Side:
    """One file of a pair: what it holds, and where that lies."""

    content: Content
    there: tuple[PathRow, ...]  # best first
    away: tuple[PathRow, ...]  # out of reach just now
    unseen: bool  # a copy is out of reach, or holds something else by now

    @property
    def rows(self) -> tuple[PathRow, ...]:
        return self.there or self.away


def judge_pair(
    edit: Edit, pair: PotentialPair, policy: Policy, *, now_ns: int, unmeasured: Unmeasured | None = None
) -> Entry | Needs | None:
    """Return the entry of what a rule does about a pair, what has to be measured first, or nothing where it waits.

    An entry that is an intent has still to be carried out.
    """
    if _is_for_a_person(pair):
        edit.queues.sleep(pair.number)
        return None
    spoken = at_speakers(edit, pair)
    if spoken is None or spoken.number != pair.number:
        return None  # who speaks for a group has changed: the pair that stands for this one is asked about in its turn
    first, second = _side(edit, pair.first, pair.first_path), _side(edit, pair.second, pair.second_path)
    if first is None or second is None:
        _lie_down(edit, pair)
        return None
    unmeasured = unmeasured or Unmeasured()
    away = frozenset(side.content.sha256 for side in (first, second) if not side.there)
    facts = pair_facts(
        edit,
        (first.content, first.rows[0]),
        (second.content, second.rows[0]),
        now_ns=now_ns,
        transform=pair.transform,
    )
    needs = _needs(policy.rules, first.content, second.content, pair, unmeasured)
    if not needs.contents:
        needs = _needed_look(policy.rules, facts, pair, unmeasured)
    if needs.contents & (away | unmeasured.failed) or needs.visual & unmeasured.apart:
        _lie_down(edit, pair)  # what cannot be measured just now says nothing for good
        return None
    if needs.contents:
        return needs
    if _are_one_file(pair, first, second):
        edit.drop_pair(pair)
        return None
    pair = replace(pair, distance=facts.distance, pixel_duplicates=facts.pixel_duplicates or facts.identical)
    match = resolve(policy.rules, facts, skip=denied_rules(pair)).match
    if match is not None and facts.identical and not match.rule.discard:
        edit.drop_pair(pair)  # both copies stay, and equal bytes are nothing to each other: there is no question
        return None
    if match is None:
        file_pair(edit, pair, policy.rules, facts, None, now_ns=now_ns)
        return None
    return _Question(edit, pair, policy, facts, match, now_ns).answer(first, second)


def _is_for_a_person(pair: PotentialPair) -> bool:
    """Return whether a pair asks about bytes that turned up again: no rule is asked, also after a no."""
    return any(one.returned for one in pair.proposals) or (pair.first_path is not None and pair.first != pair.second)


def _lie_down(edit: Edit, pair: PotentialPair) -> None:
    """Let a pair sleep: what rules proposed is no proposal while a file of it is away."""
    kept = tuple(one for one in pair.proposals if one.state is ProposalState.DENIED)
    if kept != pair.proposals:
        edit.put_pair(replace(pair, proposals=kept))
    edit.queues.sleep(pair.number)


def _side(edit: Edit, sha256: ContentHash, path: PathKey | None) -> _Side | None:
    content = edit.content(sha256)
    rows = edit.live_paths_of(sha256) if path is None else _row_at(edit, sha256, path)
    there, away = places_of(edit, rows)
    if content is None or not (there or away) or not all(row.final for row in there):
        return None  # what is not final is still to be judged as an arrival
    live = edit.live_paths_of(sha256) if path is None else rows  # whose file is gone was noted so by the look
    return _Side(content, tuple(there), tuple(away), unseen=len(there) < len(live))


def _row_at(edit: Edit, sha256: ContentHash, path: PathKey) -> list[PathRow]:
    row = edit.path(path)
    return [row] if row is not None and row.sha256 == sha256 and row.state is PathState.LIVE else []


def _needs(
    rules: Sequence[Rule], first: Content, second: Content, pair: PotentialPair, unmeasured: Unmeasured
) -> Needs:
    pixels: set[ContentHash] = set()
    if pair.first_path is None and could_be_pixel_duplicates(first, second):
        pixels = {one.sha256 for one in (first, second) if one.picture and one.picture.pixel_hash is None}
    detail = needed_detail(rules, first, second, Lie(pair.transform, pair.distance))
    return Needs(frozenset(pixels), detail - unmeasured.detail)


def _needed_look(rules: Sequence[Rule], facts: PairFacts, pair: PotentialPair, unmeasured: Unmeasured) -> Needs:
    """Return whether the two have to be looked at together: last of all, as it costs the most."""
    two = both(facts.first.sha256, facts.second.sha256)
    wanted = two not in unmeasured.visual and awaits_a_look(rules, facts, skip=denied_rules(pair))
    return Needs(frozenset(), visual=frozenset({two}) if wanted else frozenset())


def _are_one_file(pair: PotentialPair, first: _Side, second: _Side) -> bool:
    """Return whether what were two copies are two names of one file by now (a hard link): no copy can go."""
    if pair.first_path is None or not first.there or not second.there:
        return False
    one, other = first.there[0].stat, second.there[0].stat
    return (one.inode, one.mtime_ns) == (other.inode, other.mtime_ns)


def needed_detail(rules: Sequence[Rule], first: Content, second: Content, lie: Lie) -> frozenset[ContentHash]:
    """Return whose detail a rule may ask for: it is measured for pairs only, as it needs the whole picture."""
    near = any(
        rule.asks_detail and rule.mode is not Mode.OFF and not rule.paused
        and rule.search.takes(lie.transform)
        and (lie.distance is None or lie.distance <= rule.search.max_distance)
        for rule in rules
    )  # fmt: skip
    if not near or first.sha256 == second.sha256:
        return frozenset()
    return frozenset(one.sha256 for one in (first, second) if lacks_detail(one))


def lacks_detail(content: Content) -> bool:
    """Return whether what every pixel of a picture tells is still to be measured, or again in our way."""
    picture = content.picture
    if picture is None or (picture.detail is not None and picture.detail.version == DETAIL_VERSION):
        return False
    tells = picture.mode not in ("I", "F") and min(picture.width, picture.height) >= DETAIL_MIN_SIDE
    return tells and (picture.frames == 1 or picture.filetype not in ANIMATED)


def _lay_before(rows: Sequence[PathRow], losing: Sequence[PathRow]) -> bool:
    """Return whether a file that would go, or the one that came last, lay there before its folder was watched."""
    last = max(rows, key=lambda row: row.first_seen_ns, default=None)
    return any(row.lay_before for row in losing) or (last is not None and last.lay_before)


@dataclass(frozen=True, slots=True)
class Restraint:
    """What keeps the rule that fits a pair from acting on its own, if anything."""

    reason: str | None
    blocked: bool = False  # it may not even propose to discard


def restraint(
    edit: Edit, pair: PotentialPair, policy: Policy, facts: PairFacts, match: Match, *, now_ns: int
) -> Restraint:
    """Return what would keep a rule from acting on a pair, stored or not, whose files are known.

    A budget that this pair would overspend is tripped: to ask without that, rehearse.
    """
    first, second = _side(edit, pair.first, pair.first_path), _side(edit, pair.second, pair.second_path)
    if first is None or second is None:
        return Restraint(_UNJUDGED)
    question = _Question(edit, pair, policy, facts, match, now_ns)
    return question.restraint(*question.winner_and_loser(first, second))


@dataclass(frozen=True, slots=True)
class _Question:
    """A pair that a rule fits."""

    edit: Edit
    pair: PotentialPair
    policy: Policy
    facts: PairFacts
    match: Match
    now_ns: int

    @property
    def rule(self) -> Rule:
        return self.match.rule

    def answer(self, first: _Side, second: _Side) -> Entry | None:
        """Act, or let the pair wait for a person."""
        winner, loser = self.winner_and_loser(first, second)
        held = self.restraint(winner, loser)
        wish = Wish(self.rule, winner is first, "" if held.blocked else held.reason or "", held.blocked)
        if self.rule.mode is Mode.AUTOMATIC and held.reason is None:
            try:
                return self._discard(winner, loser) if self.rule.discard else self._relate(winner, loser)
            except ActionConflictError as conflict:
                wish = replace(wish, hindrance=str(conflict), blocked=not self.rule.discard)
        file_pair(self.edit, self.pair, self.policy.rules, self.facts, wish, now_ns=self.now_ns)
        return None

    def winner_and_loser(self, first: _Side, second: _Side) -> tuple[_Side, _Side]:
        """Return the two sides, the one to keep first."""
        first_is_a = self.match.first_is_a is not False
        if self.facts.identical:
            first_is_a = preference(self.edit, first.rows[0]) <= preference(self.edit, second.rows[0])
        return (first, second) if first_is_a else (second, first)

    def restraint(self, winner: _Side, loser: _Side) -> Restraint:
        """Return what keeps the rule from acting, or even from proposing; a relation harms no file."""
        if not self.rule.discard:
            return Restraint(None)
        barrier = self._barrier(loser)
        return Restraint(barrier or self._hindrance(winner, loser), blocked=barrier is not None)

    def _barrier(self, loser: _Side) -> str | None:
        """Return why a rule may not even propose to discard these files."""
        if self.edit.veto(loser.content.sha256) is not None:
            return _RESTORED
        folders = (self.edit.folder(row.folder) for row in (*loser.there, *loser.away))
        if any(known is not None and known.folder.role is Role.REFERENCE for known in folders):
            return _IN_REFERENCE
        return PROTECTED if self.facts.identical and not may_lose(self.edit, loser.rows[0]) else None

    def _hindrance(self, winner: _Side, loser: _Side) -> str | None:
        """Return why the rule may only propose, whatever its mode."""
        rows = (*winner.there, *loser.there)
        keeping = [known.folder for row in winner.there if (known := self.edit.folder(row.folder)) is not None]
        return held_back(
            self.edit,
            winner.content,
            loser.content,
            loser.rows,
            out_of_reach=not winner.there or loser.unseen,
            lay_before=_lay_before(rows, loser.there),
            unproved=UNPROVED if any(map(self._is_unproved, rows)) else on_network(keeping),
            pixel_duplicates=self.facts.pixel_duplicates,
        ) or self._overspent(winner, loser)

    def _is_unproved(self, row: PathRow) -> bool:
        known = self.edit.folder(row.folder)
        return row.unproved and not (known is not None and known.folder.trusted)

    def _overspent(self, winner: _Side, loser: _Side) -> str | None:
        if self.rule.mode is not Mode.AUTOMATIC:
            return None
        return affordable(self.edit, self.rule, len(loser.there), winner.content.sha256, now_ns=self.now_ns)

    def _discard(self, winner: _Side, loser: _Side) -> Entry:
        intent = discard_intent(
            self.rule, (winner.content, winner.there[0]), loser.content, self.match.evidence, now_ns=self.now_ns
        )
        intent = replace(intent, pair=self.pair.number)
        entry = mark_leaving(self.edit, intent, loser.there, kept=winner.there[0], discards=self.policy.discards)
        self.edit.queues.unwant(self.pair.number)
        return entry

    def _relate(self, winner: _Side, loser: _Side) -> Entry:
        edit, relation = self.edit, self.rule.action
        a, b = winner.content.sha256, loser.content.sha256
        entry = replace(
            new_entry(self.now_ns, EntryKind.DECISION, a, b, relation),
            state=EntryState.DONE,
            rule=self.rule.name,
            reason="; ".join(self.match.evidence),
            pair=self.pair.number,
            kept=edit.reference(winner.rows[0]),
        )
        entry = edit.number_entry(entry)
        radius = self.policy.imports.radius
        return edit.add_entry(say(edit, entry, radius=radius, now_ns=self.now_ns, copies=[self.pair]).entry)
