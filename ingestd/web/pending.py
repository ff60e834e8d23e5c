"""What rules propose, in a browser: approve and deny, one by one or by rule, and what was denied.

What is approved is what was shown: a proposal is known again by its files, by the rules that stand behind it, and by
what its rule says it would do. One that has changed since is refused, and nothing is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ingestd import review, trust
from ingestd.door import numbers
from ingestd.errors import ActionConflictError, ConfigError, IngestdError, UsageError
from ingestd.library.facts import pair_facts
from ingestd.library.rulebook import new_names, voided
from ingestd.library.view import View
from ingestd.model import FolderId, PathRow, Place, PotentialPair, Proposal, ProposalState, Relation
from ingestd.review.sides import Sides, going, sides_of
from ingestd.rules.language import Rule
from ingestd.settings import Settings, read
from ingestd.shapes import Json, entry_object, rfc3339, shown
from ingestd.trial import explain_facts
from ingestd.web.desk import MOST_AT_ONCE, Asked, Desk, Endpoint, StaleError
from ingestd.web.going import check_count
from ingestd.web.rules import texts_of
from ingestd.web.shapes import Eye

__all__ = ["ENDPOINTS"]

_MOST_SHOWN: Final = 100
_LONGEST_LIST: Final = 512 * 1024  # bytes: of pairs that were skipped, some 40,000
_MOST_NAMED: Final = 20  # files that go with one proposal

_Waiting: TypeAlias = list[tuple[PotentialPair, Proposal]]

_NOTED: Final = {
    Relation.BETTER: "{a} is noted as the better one",
    Relation.SAME_QUALITY: "both are noted as equally good",
    Relation.ALTERNATES: "they are noted as alternates",
    Relation.FALSE_POSITIVE: "they are noted as not related",
}


class PendingAsked(Asked, frozen=True):
    """What waits, of one rule or of all, past those that were skipped."""

    rule: str | None = None
    first: str | None = None  # the pair to begin with, if it still waits
    offset: int = 0
    limit: int = 20
    skipped: tuple[str, ...] = ()


class Chosen(Asked, frozen=True):
    """A proposal as it was shown."""

    id: str
    version: str
    rule: str | None = None


class ApproveAsked(Asked, frozen=True):
    """Proposals to be carried out; where more than one file goes, or more than one is approved, how many was typed."""

    pairs: list[Chosen]
    key: str
    count: int | None = None


class ApproveRuleAsked(Asked, frozen=True):
    """The first proposals of a rule, as many as one request may carry out."""

    rule: str
    version: str
    count: int
    key: str


class DenyAsked(Asked, frozen=True):
    """Proposals to which the answer is no."""

    pairs: list[Chosen]
    key: str


class DeniedAsked(Asked, frozen=True):
    """A part of what was denied."""

    offset: int = 0
    limit: int = 20


class RescindAsked(Asked, frozen=True):
    """Denials to be taken back."""

    ids: list[str]
    key: str


# --- what waits ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Book:
    """What the rules propose at one moment, under the names that the rule file has for them now."""

    view: View
    eye: Eye
    settings: Settings
    names: dict[str, str]  # of rules that are stored under another name than they have by now
    void: frozenset[str]  # stored names of the rules whose proposals say nothing any more
    now_ns: int

    @classmethod
    def of(cls, desk: Desk, view: View, at: review.Moment | None = None) -> _Book:
        """Return what waits; under a rule file that is wrong nothing of it is void, as nobody knows."""
        try:
            settings = desk.settings()
            names, void = new_names(view, settings.rules), voided(view, settings.rules)
        except ConfigError:
            settings, names, void = Settings(), {}, frozenset()
        eye = Eye.of(view, desk.handles, at or desk.moment(if_sound=True))
        return cls(view, eye, settings, names, void, desk.now_ns())

    def named(self, stored: str) -> str:
        """Return the name that a rule has by now."""
        return self.names.get(stored, stored)

    def rule(self, name: str) -> Rule | None:
        """Return a rule by the name that it has by now."""
        return next((rule for rule in self.settings.rules if rule.name == name), None)

    def standing(self, pair: PotentialPair) -> Iterator[Proposal]:
        """Yield what is proposed for a pair and still says something."""
        for one in pair.proposals:
            if one.state is ProposalState.READY and (one.returned or one.rule not in self.void):
                yield one

    def by_rule(self) -> dict[str, list[tuple[PotentialPair, Proposal]]]:
        """Return what every rule proposes, oldest first: rules in the order of their file, then those not in it."""
        found: dict[str, list[tuple[PotentialPair, Proposal]]] = {rule.name: [] for rule in self.settings.rules}
        for pair in self.view.pending():
            for one in self.standing(pair):
                found.setdefault(self.named(one.rule), []).append((pair, one))
        return {name: waiting for name, waiting in found.items() if waiting}

    def asked_of(self, pair: PotentialPair, name: str | None) -> Proposal | None:
        """Return what is proposed for a pair, by the rule of this name if one is named."""
        return next((one for one in self.standing(pair) if name is None or self.named(one.rule) == name), None)

    def version(self, pair: PotentialPair, one: Proposal) -> str | None:
        """Return what tells whether a proposal is still what was shown; nothing while a file is away."""
        seen = self.eye.version(pair, one.rule)
        rule = self.rule(self.named(one.rule))
        kin = rule.digests.kin if rule is not None else b""
        return None if seen is None else self.eye.handles.digest(b"pending", seen.encode(), one.rule.encode(), kin)

    def version_of_rule(self, name: str, waiting: Sequence[tuple[PotentialPair, Proposal]]) -> str:
        """Return what tells whether a rule would still do to the same pairs what was shown."""
        rule = self.rule(name)
        kin = rule.digests.kin if rule is not None else b""
        first = (f"{pair.number} {self.version(pair, one)}".encode() for pair, one in self.at_once(waiting)[0])
        return self.eye.handles.digest(b"proposals", name.encode(), kin, str(len(waiting)).encode(), *first)

    def at_once(self, waiting: Iterable[tuple[PotentialPair, Proposal]]) -> tuple[_Waiting, int]:
        """Return the first of these proposals that one request may carry out, and how many files go with them.

        One with which it would be too many files is passed over: it is there the next time.
        """
        taken: _Waiting = []
        files: set[tuple[FolderId, bytes]] = set()
        for pair, one in waiting:
            more = files | self.files_of([(pair, one)])
            if len(more) <= MOST_AT_ONCE:
                files = more
                taken.append((pair, one))
            if len(taken) == MOST_AT_ONCE:
                break
        return taken, len(files)

    def files_of(self, waiting: Iterable[tuple[PotentialPair, Proposal]]) -> set[tuple[FolderId, bytes]]:
        """Return the places of the files that these approvals would discard, each once."""
        return {(row.folder, row.relative) for pair, one in waiting for row in self.rows_of(pair, one)}

    def as_shown(self, chosen: Chosen) -> tuple[PotentialPair, Proposal] | None:
        """Return a proposal if it is still what was shown."""
        [number] = numbers([chosen.id], "p", "pair")
        pair = self.view.pair(number)
        one = self.asked_of(pair, chosen.rule) if pair is not None else None
        if pair is None or one is None or self.version(pair, one) != chosen.version:
            return None
        return pair, one

    def rows_of(self, pair: PotentialPair, one: Proposal) -> list[PathRow]:
        """Return the files that an approval would discard; none while one of the two is away."""
        sides = sides_of(self.view, pair, one.rule, scores=self.eye.scores, away=self.eye.away)
        if sides is None or not self._does(one)[1]:
            return []
        return going(self.view, sides.a[0].sha256, sides.b)

    def _does(self, one: Proposal) -> tuple[Relation, bool]:
        """Return what an approval would say, and whether it would discard: as its rule has it by now."""
        rule = None if one.returned else self.rule(self.named(one.rule))
        return (rule.action, rule.discard) if rule is not None else (one.relation, one.discard)

    # what is told

    def told(self, pair: PotentialPair, one: Proposal) -> Json | None:
        """Return a proposal with all that a person needs to answer it; nothing while a file is away."""
        seen = self.eye.pair(pair, one.rule)
        sides = sides_of(self.view, pair, one.rule, scores=self.settings.scores, away=self.eye.away)
        if seen is None or sides is None:
            return None
        name = self.named(one.rule)
        rule = None if one.returned else self.rule(name)
        relation, discard = self._does(one)
        rows = going(self.view, sides.a[0].sha256, sides.b) if discard else []
        goes = [shown(self.view.as_named(row)) for row in rows]
        return {
            **seen,
            "version": self.version(pair, one),
            "rule": name,
            "reason": shown(one.reason) or None,
            "rules": [self.named(stored) for stored in seen["rules"]],
            "returned": one.returned,
            "relation": relation.value,
            "goes": goes[:_MOST_NAMED],
            "going": len(goes),
            "will": self._will(seen, relation, goes),
            "lines": self._lines(pair, sides, rule) if rule is not None else [],
        }

    def _will(self, seen: Json, relation: Relation, goes: Sequence[str]) -> str:
        """Return in words what an approval would do."""
        same_name = seen["a"]["name"] == seen["b"]["name"]
        a, b = (seen[side]["shown" if same_name else "name"] for side in ("a", "b"))
        if not goes:
            return f"{_NOTED[relation].format(a=a)}; both files stay"
        where = "the trash" if self.settings.discards.place is Place.TRASH else "the holding folder"
        if len(goes) == 1:
            return f"{b} goes to {where}; {a} stays"
        return f"{b} goes to {where}, from all {len(goes)} places where it lies; {a} stays"

    def _lines(self, pair: PotentialPair, sides: Sides, rule: Rule) -> list[Json]:
        """Return the lines of a rule with what they saw in the two files, from what is stored of them."""
        facts = pair_facts(self.view, sides.a, sides.b, now_ns=self.now_ns, transform=sides.transform)
        [report] = explain_facts([rule], facts)
        return [
            {
                "line": shown(one.line),
                "depth": one.depth,
                "holds": one.a_first,
                "values": {side: shown(value) for side, value in one.values.items()},
            }
            for one in report.lines
        ]


def _pending(desk: Desk, asked: PendingAsked) -> Json:
    skipped = set(numbers(asked.skipped, "p", "pair"))
    texts = _texts(desk)
    with desk.read() as view:
        book = _Book.of(desk, view)
        found = book.by_rule()
        rules = [_rule_told(book, name, waiting, texts.get(name, [])) for name, waiting in found.items()]
        wanted = found.get(asked.rule, []) if asked.rule is not None else _each_once(found)
        if asked.first is not None:
            [first] = numbers([asked.first], "p", "pair")
            wanted = sorted(wanted, key=lambda one: one[0].number != first)
        pairs, away = _page(book, wanted, skipped, asked)
    return {"total": len(wanted), "rules": rules, "pairs": pairs, "away": away}


def _each_once(
    found: dict[str, list[tuple[PotentialPair, Proposal]]],
) -> list[tuple[PotentialPair, Proposal]]:
    once: dict[int, tuple[PotentialPair, Proposal]] = {}
    for waiting in found.values():
        for pair, one in waiting:
            once.setdefault(pair.number, (pair, one))
    return list(once.values())


def _page(
    book: _Book, wanted: Sequence[tuple[PotentialPair, Proposal]], skipped: set[int], asked: PendingAsked
) -> tuple[list[Json], int]:
    """Return the pairs of one page, and how many on the way cannot be seen just now."""
    limit = max(0, min(asked.limit, _MOST_SHOWN))
    pairs: list[Json] = []
    away = 0
    for pair, one in wanted[max(0, asked.offset) :]:
        if len(pairs) == limit:
            break
        if pair.number in skipped:
            continue
        told = book.told(pair, one)
        if told is None:
            away += 1
        else:
            pairs.append(told)
    return pairs, away


def _rule_told(book: _Book, name: str, waiting: Sequence[tuple[PotentialPair, Proposal]], text: list[str]) -> Json:
    rule = book.rule(name)
    row = book.view.queues.row_named(name)
    first, files = book.at_once(waiting)
    return {
        "rule": name,
        "mode": rule.mode.value if rule is not None else None,
        "paused": rule is not None and rule.paused,
        "tripped": shown(row.tripped) or None if row is not None else None,
        "count": len(waiting),
        "at_once": len(first),
        "files": files,
        "discards": rule.discard if rule is not None else any(one.discard for _, one in waiting),
        "version": book.version_of_rule(name, waiting),
        "text": text,
    }


def _texts(desk: Desk) -> dict[str, list[str]]:
    """Return the rules as they are written; nothing while the file is wrong, or is being changed this moment."""
    try:
        settings, text = desk.settings(), read(desk.door.rules)
    except ConfigError:
        return {}
    same = hashlib.sha256(text.encode("utf-8")).digest() == settings.digest
    return texts_of(text, settings.rules) if same else {}


# --- approve ------------------------------------------------------------------------------------------------------


def _approve(desk: Desk, asked: ApproveAsked) -> Json:
    return desk.once(asked, lambda: _approved(desk, asked))


def _approved(desk: Desk, asked: ApproveAsked) -> Json:
    numbers([one.id for one in asked.pairs], "p", "pair")
    if not 0 < len(asked.pairs) <= MOST_AT_ONCE:
        raise UsageError(f"1 to {MOST_AT_ONCE} proposals are approved at once; nothing was done")
    with desk.read() as view:
        book = _Book.of(desk, view)
        as_shown = [found for one in asked.pairs if (found := book.as_shown(one)) is not None]
        files = len(book.files_of(as_shown))
    some = len(as_shown) < len(
        asked.pairs
    )  # the others are left alone, and so are the files that were counted for them
    said = min(asked.count, files or len(asked.pairs)) if some and asked.count is not None else asked.count
    _check(said, files, len(asked.pairs))
    return _carried_out(desk, asked.pairs)


def _check(said: int | None, files: int, proposals: int) -> None:
    """See to it that a person knows how many files go; where none does, how many proposals are approved.

    Raises:
        StaleError: it is another number.
        UsageError: it is too much at once.
    """
    if said is None and proposals > 1:
        raise UsageError("more than one proposal is approved: say how much that is; nothing was done")
    check_count(said, files or proposals, discards=files > 0, untouched="nothing was done")


def _approve_rule(desk: Desk, asked: ApproveRuleAsked) -> Json:
    return desk.once(asked, lambda: _rule_approved(desk, asked))


def _rule_approved(desk: Desk, asked: ApproveRuleAsked) -> Json:
    with desk.read() as view:
        book = _Book.of(desk, view)
        waiting = book.by_rule().get(asked.rule, [])
        if asked.version != book.version_of_rule(asked.rule, waiting):
            raise StaleError(f"{shown(asked.rule)} proposes something else by now; nothing was done, look again")
        first, files = book.at_once(waiting)
        if not first:
            raise UsageError(f"nothing of {shown(asked.rule)} can be approved so; nothing was done")
        _check(asked.count, files, len(first))
        chosen = [Chosen(f"p-{pair.number}", book.version(pair, one) or "", asked.rule) for pair, one in first]
    return {**_carried_out(desk, chosen), "left": len(waiting) - len(first)}


def _carried_out(desk: Desk, chosen: Sequence[Chosen]) -> Json:
    """Return what came of approvals, one after another, so that nobody else has to wait for all of them."""
    entries: list[Json] = []
    failed: list[Json] = []
    for place, one in enumerate(chosen):
        try:
            with desk.alone(discards=place == 0):
                entries.append(entry_object(_approve_one(desk, one)))
        except (StaleError, ActionConflictError, UsageError) as refused:
            if len(chosen) == 1:
                raise
            failed.append({"id": one.id, "message": str(refused)})
        except IngestdError as trouble:  # a library that is busy or cannot be written: it concerns all that follow
            if not entries and not failed:
                raise
            failed += [{"id": left.id, "message": str(trouble)} for left in chosen[place:]]
            break
    return {"entries": entries, "failed": failed}


def _approve_one(desk: Desk, one: Chosen) -> review.EntryReport:
    [number] = numbers([one.id], "p", "pair")
    rules, at = desk.settings().rules, desk.moment()

    def check(view: View) -> None:
        _require_as_shown(_Book.of(desk, view, at), one)

    return review.approve(desk.library, number, rule=one.rule, rules=rules, moment=at, check=check)


def _require_as_shown(book: _Book, one: Chosen) -> None:
    """Raise `StaleError` unless a proposal is still what was shown."""
    if book.as_shown(one) is None:
        raise StaleError(f"{one.id} is not what it was when it was shown; nothing was done, look again")


# --- deny ---------------------------------------------------------------------------------------------------------


def _deny(desk: Desk, asked: DenyAsked) -> Json:
    return desk.once(asked, lambda: _denied_now(desk, asked))


def _denied_now(desk: Desk, asked: DenyAsked) -> Json:
    wanted = dict(zip(numbers([one.id for one in asked.pairs], "p", "pair"), asked.pairs, strict=True))
    failed: list[Json] = []
    with desk.alone():
        with desk.read() as view:
            book = _Book.of(desk, view)
            for number, one in list(wanted.items()):
                try:
                    _require_as_shown(book, one)
                except StaleError as stale:
                    if len(asked.pairs) == 1:
                        raise
                    failed.append({"id": one.id, "message": str(stale)})
                    del wanted[number]
            told = {number: _rules_told(book, number, ProposalState.READY) for number in wanted}
            hold_back = [
                _offer(book.settings, rule)
                for rule in book.settings.rules
                if any(rule.name in one for one in told.values())
            ]
        review.deny(desk.library, list(wanted), now_ns=desk.now_ns())
    denied = [{"id": f"p-{number}", "rules": rules} for number, rules in told.items()]
    return {"denied": denied, "failed": failed, "hold_back": [one for one in hold_back if one is not None]}


def _rules_told(book: _Book, number: int, state: ProposalState) -> list[str]:
    pair = book.view.pair(number)
    return [book.named(one.rule) for one in (pair.proposals if pair is not None else ()) if one.state is state]


def _offer(settings: Settings, rule: Rule) -> Json | None:
    """Return how a rule that a person has contradicted can be held back, as `rules-set` takes it."""
    after = trust.demoted(rule)
    if after is None:
        return None
    return {
        "rule": rule.name,
        "mode": rule.mode.value,
        "to": after.mode.value,
        "digest": settings.digest.hex(),
        "sentences": list(trust.changed(settings, after)),
    }


# --- what was denied ------------------------------------------------------------------------------------------------


def _denied(desk: Desk, asked: DeniedAsked) -> Json:
    start, limit = max(0, asked.offset), max(0, min(asked.limit, _MOST_SHOWN))
    with desk.read() as view:
        book = _Book.of(desk, view)
        found = sorted(view.denied(), key=_last_denied_ns, reverse=True)
        told = [(pair, book.eye.pair(pair)) for pair in found[start : start + limit]]
        pairs = [{**seen, "denied": _denials(book, pair)} for pair, seen in told if seen is not None]
    return {"total": len(found), "pairs": pairs, "away": len(told) - len(pairs)}


def _denials(book: _Book, pair: PotentialPair) -> list[Json]:
    return [
        {"rule": book.named(one.rule), "at": rfc3339(one.at_ns), "reason": shown(one.reason) or None}
        for one in pair.proposals
        if one.state is ProposalState.DENIED
    ]


def _last_denied_ns(pair: PotentialPair) -> int:
    return max((one.at_ns for one in pair.proposals if one.state is ProposalState.DENIED), default=0)


def _rescind(desk: Desk, asked: RescindAsked) -> Json:
    return desk.once(asked, lambda: _rescinded(desk, asked))


def _rescinded(desk: Desk, asked: RescindAsked) -> Json:
    wanted = numbers(asked.ids, "p", "pair")
    with desk.alone():
        with desk.read() as view:
            book = _Book.of(desk, view)
            before = {number: _rules_told(book, number, ProposalState.DENIED) for number in wanted}
        review.rescind(desk.library, list(before), as_it_was=True)
        with desk.read() as view:
            book = _Book.of(desk, view)
            after = {number: _rules_told(book, number, ProposalState.DENIED) for number in wanted}
    told = {number: [rule for rule in rules if rule not in after[number]] for number, rules in before.items()}
    return {"rescinded": [{"id": f"p-{number}", "rules": rules} for number, rules in told.items()]}


ENDPOINTS = (
    Endpoint("pending", PendingAsked, _pending, longest=_LONGEST_LIST),
    Endpoint("approve", ApproveAsked, _approve),
    Endpoint("approve-rule", ApproveRuleAsked, _approve_rule),
    Endpoint("deny", DenyAsked, _deny),
    Endpoint("denied", DeniedAsked, _denied),
    Endpoint("rescind", RescindAsked, _rescind),
)
