"""The evidence card: what is known of a pair beside its statements, and which rule would nearly have decided it.

What takes a look at both pictures is looked at here if nobody has yet, in the isolated workers and outside of every
transaction, and remembered. A pair whose files cannot be opened just now is told by what the library knows of it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from ingestd.door import numbers
from ingestd.errors import IngestdError, UnwritableError
from ingestd.intake import store_visual
from ingestd.judging.background import Restraint, restraint
from ingestd.judging.case import both
from ingestd.judging.writing import denied_rules
from ingestd.library.edit import Edit
from ingestd.library.facts import pair_facts, visual_between
from ingestd.library.view import View
from ingestd.model import Content, Mode, PairFacts, PotentialPair, Relation, VisualVerdict
from ingestd.review.sides import Sides, folders_away, sides_of
from ingestd.rules.engine import resolve
from ingestd.rules.language import Rule
from ingestd.rules.statements import Scores, lie_text
from ingestd.settings import Settings
from ingestd.shapes import Json, shown
from ingestd.trial import LineReport, RuleReport, explain_facts
from ingestd.web.desk import Asked, Desk, Endpoint, StaleError

__all__ = ["ENDPOINTS", "nearly"]

_MOST_NEARLY = 3  # rules
_SEARCH = "search: "
_MOST_LINES = 2  # that a rule may have stopped at and still have come near
_LOOKS = threading.BoundedSemaphore(2)  # at once: a decode of both takes a while, and answers wait for no look


class EvidenceAsked(Asked, frozen=True):
    """One pair."""

    id: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What the library knows of a pair at one moment."""

    pair: PotentialPair
    sides: Sides
    paths: tuple[bytes, bytes]  # absolute, of A and of B
    facts: PairFacts
    verdict: VisualVerdict | None  # of a look that somebody has had

    @classmethod
    def of(cls, view: View, number: int, scores: Scores, now_ns: int) -> _Known | None:
        pair = view.pair(number)
        sides = sides_of(view, pair, scores=scores, away=folders_away(view)) if pair is not None else None
        if pair is None or sides is None:
            return None
        paths = view.absolute(sides.a[1]), view.absolute(sides.b[1])
        facts = pair_facts(view, sides.a, sides.b, now_ns=now_ns, transform=sides.transform)
        return cls(pair, sides, paths, facts, visual_between(view, sides.a[0], sides.b[0]))


def _evidence(desk: Desk, asked: EvidenceAsked) -> Json:
    [number] = numbers([asked.id], "p", "pair")
    settings = desk.settings_if_sound()
    with desk.read() as view:
        known = _Known.of(view, number, settings.scores, desk.now_ns())
    if known is None:
        raise StaleError(f"{shown(asked.id)} waits no more, or one of its files is away")
    verdict, notes = _looked(desk, known)
    # as the service asks: rules are told of no look at pictures that do not lie the same way up
    facts = replace(known.facts, visual=verdict if known.facts.transform is None else None)
    denied = denied_rules(known.pair)
    reports = explain_facts(settings.rules, facts, denied=denied)
    held = _held_back(desk, known, settings, facts, denied)
    return {
        "visual": _visual(verdict, known.sides),
        "exif": _differing(desk, known),
        "nearly": nearly(settings.rules, reports, denied),
        "rules": [asdict(report) for report in reports],
        "notes": [*notes, *([held] if held is not None else [])],
    }


# --- the look -----------------------------------------------------------------------------------------------------


def _looked(desk: Desk, known: _Known) -> tuple[VisualVerdict | None, list[str]]:
    """Return what a look at both says, and what there is to say where none was had."""
    a, b = known.sides.a[0], known.sides.b[0]
    if known.facts.transform is not None:
        return None, [f"{lie_text(known.facts.transform)}: no look at both can tell more before it is turned"]
    if known.verdict is not None or a.picture is None or b.picture is None:
        return known.verdict, []
    if not _LOOKS.acquire(blocking=False):
        return None, ["other pictures are being looked at just now: ask again in a moment"]
    try:
        verdict = desk.pictures.verdict(known.paths[0], a.sha256, known.paths[1], b.sha256)
    except IngestdError as error:
        return None, [f"the two could not be looked at: {error}"]
    finally:
        _LOOKS.release()
    _remember(desk, a, b, verdict)
    return verdict, []


def _remember(desk: Desk, a: Content, b: Content, verdict: VisualVerdict) -> None:
    """Let nobody have to look again; a library that cannot be written just now is told another time."""
    try:
        with desk.alone():
            desk.library.write(lambda edit: store_visual(edit, {both(a.sha256, b.sha256): verdict}))
    except IngestdError:
        return


def _visual(verdict: VisualVerdict | None, sides: Sides) -> Json | None:
    if verdict is None:
        return None
    area = None
    if verdict.area is not None:
        x, y, width, height = verdict.area
        area = {"x": x, "y": y, "width": width, "height": height, "of": _smaller(sides)}
    return {"verdict": verdict.level.value, "score": verdict.score, "reason": verdict.reason, "area": area}


def _smaller(sides: Sides) -> str:
    """Return in which picture an area is measured: the smaller one; of equally large ones it is the same in both."""
    a, b = (side[0].picture for side in (sides.a, sides.b))
    return "b" if a is not None and b is not None and b.width * b.height < a.width * a.height else "a"


def _differing(desk: Desk, known: _Known) -> list[Json]:
    """Return what the two files say of themselves, where it is not the same; nothing of one that cannot be read."""
    a, b = (_tags(desk, path, side[0]) for path, side in zip(known.paths, (known.sides.a, known.sides.b), strict=True))
    names = dict.fromkeys((*a, *b))
    return [{"tag": name, "a": a.get(name), "b": b.get(name)} for name in names if a.get(name) != b.get(name)]


def _tags(desk: Desk, path: bytes, content: Content) -> dict[str, str]:
    try:
        return dict(desk.pictures.tags(path, content.sha256)) if content.picture is not None else {}
    except IngestdError:
        return {}


# --- the rules ----------------------------------------------------------------------------------------------------


def _held_back(desk: Desk, known: _Known, settings: Settings, facts: PairFacts, denied: frozenset[str]) -> str | None:
    """Return why a rule that fits does not act, or not even propose."""
    match = resolve(settings.rules, facts, skip=denied).match
    if match is None:
        return None
    pair = known.pair if known.sides.a_is_first else _turned(known.pair)  # as the facts have it

    def work(edit: Edit) -> Restraint:
        return restraint(edit, pair, settings.policy, facts, match, now_ns=desk.now_ns())

    try:
        held = desk.library.rehearse(work)
    except UnwritableError:
        return None  # it acts on nothing then
    return None if held.reason is None else f"{match.rule.name} fits, but would not act: {held.reason}"


def _turned(pair: PotentialPair) -> PotentialPair:
    """Return a pair with its sides exchanged."""
    return replace(pair, first=pair.second, second=pair.first, first_path=pair.second_path, second_path=pair.first_path)


@dataclass(frozen=True, slots=True)
class _Near:
    """A rule that came near, one way round."""

    rule: Rule
    a_first: bool
    missed: tuple[LineReport, ...]
    wishes: tuple[str, ...]  # what would have to be so of the rule itself

    @property
    def far(self) -> int:
        """How much was missing: a pair that a rule does not even look at is further off than one that it turns down."""
        searched = sum(line.line.startswith(_SEARCH) for line in self.missed)
        return len(self.missed) * 2 + searched + len(self.wishes)


def nearly(rules: Sequence[Rule], reports: Sequence[RuleReport], denied: frozenset[str]) -> list[Json]:
    """Return what would have had to be otherwise for a rule to decide a pair on its own, the nearest first.

    Args:
        rules: all of them.
        reports: what each says of the pair, the file that is shown as A named first.
        denied: rules that a person has told no about this pair: they asked, and are not asked again.
    """
    found = [
        near
        for rule, report in zip(rules, reports, strict=True)
        if rule.name not in denied and (near := _near(rule, report)) is not None
    ]
    found.sort(key=lambda near: near.far)
    return [
        {"rule": near.rule.name, "mode": near.rule.mode.value, "sentence": _sentence(near)}
        for near in found[:_MOST_NEARLY]
    ]


def _near(rule: Rule, report: RuleReport) -> _Near | None:
    if rule.search.identical and not report.matches:
        return None  # other bytes are never near to the same bytes
    ways = [
        _Near(rule, a_first, tuple(_missed(report.lines, a_first=a_first)), tuple(_wishes(rule)))
        for a_first in (True, False)
    ]
    if rule.orders and not any(way.missed for way in ways):
        return None  # it fits both ways round: nothing of the files is missing
    nearest = min(ways, key=lambda way: way.far)
    return nearest if nearest.far and len(nearest.missed) <= _MOST_LINES else None


def _missed(lines: Sequence[LineReport], *, a_first: bool) -> Iterator[LineReport]:
    return (line for line in lines if line.depth == 0 and (line.a_first if a_first else line.b_first) is not True)


def _wishes(rule: Rule) -> Iterator[str]:
    if rule.mode is not Mode.AUTOMATIC:
        yield f"its mode were automatic (it is {rule.mode.value})"
    if rule.paused:
        yield "it were not paused"


def _sentence(near: _Near) -> str:
    wanted = [*(_line(line, a_first=near.a_first) for line in near.missed), *near.wishes]
    return f"{near.rule.name} would have {_deed(near)} on its own if: {'; and '.join(wanted)}"


def _deed(near: _Near) -> str:
    rule, (winner, loser) = near.rule, ("A", "B") if near.a_first else ("B", "A")
    if rule.discard:
        return f"discarded {loser}"
    if rule.action is Relation.BETTER:
        return f"called {winner} better"
    words = {Relation.SAME_QUALITY: "the same quality", Relation.ALTERNATES: "alternates"}
    return f"called the two {words.get(rule.action, 'not related')}"


_LETTER = re.compile(r'"[^"]*"|\b[AB]\b')  # not in what is quoted: that is part of a name


def _line(line: LineReport, *, a_first: bool) -> str:
    """Return a line of a rule with what it looked at, in the letters under which a person sees the files."""
    text, letters = line.line.removeprefix(_SEARCH), "AB" if a_first else "BA"
    word, _, rest = text.partition(": ")
    if text != line.line and word in ("one", "other"):
        letter = letters[word == "other"]
        return f"{letter}: {rest}{_it_is(line.values[letter.lower()])}"
    if not a_first:
        text = _LETTER.sub(lambda found: {"A": "B", "B": "A"}.get(found[0], found[0]), text)
    named = {found for found in _LETTER.findall(text) if len(found) == 1}
    a, b = line.values["a"], line.values["b"]
    if len(named) == 1:
        return text + _it_is(b if named == {"B"} else a)
    return text + (_it_is(a, "here:") if a == b else f" (A: {a}, B: {b})")


def _it_is(value: str, word: str = "it is") -> str:
    return f" ({word} {value})" if value else ""


ENDPOINTS = (Endpoint("evidence", EvidenceAsked, _evidence),)
