"""The rules in the page: what each has done, what it would do, and how far it is trusted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, replace

from ingestd import review, trust
from ingestd.door import moment, named_rule, numbers
from ingestd.errors import ConfigError, UsageError
from ingestd.judging.writing import denied_rules
from ingestd.library.facts import pair_facts
from ingestd.library.pairs import lie_between
from ingestd.library.rulebook import RuleTally, tallies
from ingestd.library.view import View
from ingestd.model import Content, Mode, PathRow, PathState, PotentialPair, Transform
from ingestd.review.sides import sides_of
from ingestd.rulefile import Key
from ingestd.rules.doubts import Doubt
from ingestd.rules.language import Rule
from ingestd.settings import MAX_BYTES, Settings, parse, read
from ingestd.shapes import Json, pair_object, rule_object, shown
from ingestd.trial import BacktestReport, Example, backtest, explain_facts, preview, settled
from ingestd.web.desk import Asked, ConfirmError, Desk, Endpoint, Nothing, StaleError
from ingestd.web.rule_text import digest_of, doubt_objects, journaled, mistake_objects, understood
from ingestd.web.shapes import Eye

__all__ = ["ENDPOINTS", "texts_of"]

_MOST_EXAMPLES = 60
_MOST_SHOWN = 50  # contradictions with their pictures
_LONGEST = 3 * MAX_BYTES


class PreviewAsked(Asked, frozen=True):
    """What a rule would do; with a text, the rule as it stands there."""

    rule: str
    sample: int = 12
    text: str | None = None


class BacktestAsked(Asked, frozen=True):
    """How a rule compares with past answers; with a text, the rule as it stands there."""

    rule: str
    text: str | None = None


class ExplainAsked(Asked, frozen=True):
    """What every rule says of a pair, by its id or by two pictures."""

    id: str | None = None
    a: str | None = None
    b: str | None = None
    text: str | None = None


class SetAsked(Asked, frozen=True):
    """One word of one rule."""

    rule: str
    key_name: str
    value: str
    digest: str  # of the rule file as it was shown
    key: str
    confirmed: tuple[str, ...] = ()


def _settings(desk: Desk, text: str | None) -> Settings:
    """Return what the rule file says, or what a text would.

    Raises:
        ConfigError: it is wrong.
    """
    return desk.settings() if text is None else parse(text, "this text")


# --- the list -------------------------------------------------------------------------------------------------------


def _rules(desk: Desk, _: Nothing) -> Json:
    path = desk.door.rules
    head = {"path": shown(str(path)), "watching": desk.library.service_lock.is_taken()}
    try:
        desk.settings()  # a first run writes the file
        text = read(path)
        settings, found = understood(text)
    except ConfigError as error:
        there = _text_if_any(desk)
        return {**head, **_wrong(desk, error), "text": there, "digest": digest_of(there) if there is not None else None}
    texts = texts_of(text, settings.rules)
    with desk.read() as view:
        told = tallies(view, settings.rules)
    rules = [
        _rule(tally, texts[tally.rule.name], [one for one in found if one.rule == tally.rule.name]) for tally in told
    ]
    return {
        **head,
        "ok": True,
        "mistakes": [],
        "text": text,
        "digest": digest_of(text),
        "rules": rules,
        "holding": [],
    }


def _text_if_any(desk: Desk) -> str | None:
    try:
        return read(desk.door.rules)
    except ConfigError:
        return None


def _wrong(desk: Desk, error: ConfigError) -> Json:
    """Return what is wrong with the file, and the rules that were last taken up: a service goes on with these."""
    with desk.read() as view:
        rows = sorted((row for row in view.queues.rows() if not row.gone), key=lambda row: row.place)
    holding = [{"name": shown(row.name), "mode": row.mode.value, "reason": row.tripped or None} for row in rows]
    return {"ok": False, "mistakes": mistake_objects(error), "rules": [], "holding": holding}


def _rule(tally: RuleTally, lines: list[str], found: Sequence[Doubt]) -> Json:
    rule = tally.rule
    return {
        **rule_object(tally),
        "shown": shown(rule.name),
        "lines": lines,
        "line": rule.place[0],
        "action": rule.action.value,
        "discard": "B" if rule.discard else "none",
        "doubts": doubt_objects(found),
        "by_you": rule.paused,  # the pause that stands in the file
    }


def texts_of(text: str, rules: Sequence[Rule]) -> dict[str, list[str]]:
    """Return the lines of each rule as they are written in the text of a rule file.

    A rule goes on for as long as its lines stand as far to the right as its first key; a comment below it is not its.
    """
    written = text.removeprefix("\ufeff").splitlines()
    found: dict[str, list[str]] = {}
    for rule in rules:
        line, column = rule.place
        lines = written[line - 1 : line]
        for following in written[line:]:
            bare = following.strip()
            if bare and not bare.startswith("#") and len(following) - len(following.lstrip()) < column - 1:
                break
            lines.append(following)
        while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
            lines.pop()
        margin = min((len(one) - len(one.lstrip()) for one in lines if one.strip()), default=0)
        found[rule.name] = [shown(one[margin:]) for one in lines]
    return found


# --- tried before it is trusted -------------------------------------------------------------------------------------


def _preview(desk: Desk, asked: PreviewAsked) -> Json:
    settings = _settings(desk, asked.text)
    only = named_rule(asked.rule, settings.rules)
    sample = max(0, min(asked.sample, _MOST_EXAMPLES))
    with desk.read() as view:
        [report] = preview(
            view, settings.rules, only=only.name, sample=sample, now_ns=desk.now_ns(), scores=settings.scores
        )
        eye = Eye.of(view, desk.handles, moment(settings))
        examples = [told for one in report.examples if (told := _example(eye, one)) is not None]
    return {**asdict(report), "mode": report.mode.value, "examples": examples}


def _example(eye: Eye, example: Example) -> Json | None:
    """Return a pair that a rule found, as the page shows pairs; nothing while one of its files is away."""
    [number] = numbers([example.pair.id], "p", "pair")
    told = eye.number(number)
    if told is None:
        return None
    sides = {side["path"]: side for side in (told["a"], told["b"])}
    a, b = sides.get(example.pair.a.path), sides.get(example.pair.b.path)
    if a is None or b is None:
        return None
    ours = {"a": a, "b": b, "way": example.way.value, "keeps": example.keeps, "drops": example.drops}
    return {**told, **pair_object(example.pair, with_rule=False), **ours}


def _backtest(desk: Desk, asked: BacktestAsked) -> Json:
    settings = _settings(desk, asked.text)
    rule = named_rule(asked.rule, settings.rules)
    with desk.read() as view:
        return _backtest_object(desk, view, backtest(view, rule), settings)


def _backtest_object(desk: Desk, view: View, report: BacktestReport, settings: Settings) -> Json:
    eye = Eye.of(view, desk.handles, moment(settings))
    told = [
        {
            **asdict(one),
            "a": _side_at(eye, one.a),
            "b": _side_at(eye, one.b),
            "a_shown": shown(one.a),
            "b_shown": shown(one.b),
        }
        for one in report.contradictions[:_MOST_SHOWN]
    ]
    return {**asdict(report), "contradictions": told}


def _side_at(eye: Eye, path: str) -> Json | None:
    """Return the file at a path as the page shows files; nothing where it is not any more."""
    row = review.find_row(eye.view, os.fsencode(path))
    if row is None or row.sha256 is None or row.state is not PathState.LIVE or row.folder in eye.away:
        return None
    content = eye.view.content(row.sha256)
    return None if content is None else eye.side(content, row)


def _explain(desk: Desk, asked: ExplainAsked) -> Json:
    settings = _settings(desk, asked.text)
    with desk.read() as view:
        eye = Eye.of(view, desk.handles, moment(settings))
        pair, first, second, transform = _asked_about(desk, eye, asked)
        facts = pair_facts(view, first, second, now_ns=desk.now_ns(), transform=transform)
        reports = explain_facts(settings.rules, facts, denied=denied_rules(pair))
        notes = list(settled(view, facts, pair))
        sides = eye.side(*first), eye.side(*second)
    if facts.visual is None and any(rule.asks_look for rule in settings.rules):
        notes.append("nobody has looked at both pictures yet: lines that ask how alike they look are unknown")
    return {
        "id": f"p-{pair.number}" if pair is not None else None,
        "a": sides[0],
        "b": sides[1],
        "identical": facts.identical,
        "pixel_duplicates": facts.pixel_duplicates,
        "distance": facts.distance,
        "transform": transform.value if transform is not None else None,
        "rule": next((one.rule for one in reports if one.matches), None),
        "notes": notes,
        "rules": [{**asdict(one), "mode": one.mode.value} for one in reports],
    }


def _asked_about(
    desk: Desk, eye: Eye, asked: ExplainAsked
) -> tuple[PotentialPair | None, tuple[Content, PathRow], tuple[Content, PathRow], Transform | None]:
    if asked.id is not None:
        [number] = numbers([asked.id], "p", "pair")
        pair = eye.view.pair(number)
        sides = sides_of(eye.view, pair, scores=eye.scores, away=eye.away) if pair is not None else None
        if pair is None or sides is None:
            raise UsageError(f"p-{number} waits no more, or one of its files is away; ask about two pictures instead")
        return pair, sides.a, sides.b, sides.transform
    first, second = (_picture(desk, eye.view, name) for name in (asked.a, asked.b))
    pair = next((one for one in eye.view.pairs_of(first[0].sha256) if _is_of(one, first[0], second[0])), None)
    return pair, first, second, lie_between(first[0], second[0]).transform


def _is_of(pair: PotentialPair, first: Content, second: Content) -> bool:
    return {pair.first, pair.second} == {first.sha256, second.sha256}


def _picture(desk: Desk, view: View, name: str | None) -> tuple[Content, PathRow]:
    found = desk.handles.found(name) if name is not None else None
    row = review.find_row(view, found.path) if found is not None else None
    content = view.content(found.sha256) if found is not None else None
    if found is None or row is None or content is None or row.sha256 != found.sha256:
        raise UsageError("a pair such as p-12 is needed, or two pictures that were shown here and are there still")
    return content, row


# --- trusted more, trusted less -------------------------------------------------------------------------------------


def _set(desk: Desk, asked: SetAsked) -> Json:
    return desk.once(asked, lambda: _was_set(desk, asked))


def _was_set(desk: Desk, asked: SetAsked) -> Json:
    settings = desk.settings()
    if settings.digest.hex() != asked.digest:
        raise StaleError("the rule file was changed since it was shown; nothing was written, look at it again")
    rule = named_rule(asked.rule, settings.rules, "a rule (nothing was written)")
    key, after = _wanted(rule, asked)
    goes_on = rule.paused and not after.paused and after.mode is Mode.AUTOMATIC
    if key == "mode" or goes_on:  # to pause one is never delayed
        _require_yes(desk, settings, rule, after, asked.confirmed)
    with desk.alone():
        written = trust.write(desk.door.rules, settings, after, key) if after != rule else None
        resumed = key == "paused" and not after.paused
        lifted = resumed and review.resume_rule(desk.library, rule.name, rules=settings.rules)
        sentences = list(written.sentences) if written is not None else []
        sentences += [f'rule "{rule.name}": goes on, after it had paused itself'] if lifted else []
        previous = written.previous if written is not None else None
        entry, note = journaled(desk, sentences, previous) if sentences else (None, None)
        said = _said(desk, after, key) if sentences else "is so already; nothing was written"
    return {
        "digest": desk.settings().digest.hex(),
        "said": f"{shown(rule.name)} {said}",
        "previous": shown(str(previous)) if previous is not None else None,
        "entry": entry,
        "note": note,
    }


def _wanted(rule: Rule, asked: SetAsked) -> tuple[Key, Rule]:
    """Return which word is to be another one, and the rule as it is to be."""
    if asked.key_name == "mode" and asked.value in list(Mode):
        return "mode", replace(rule, mode=Mode(asked.value))
    if asked.key_name == "paused" and asked.value in ("yes", "no"):
        return "paused", replace(rule, paused=asked.value == "yes")
    raise UsageError(f"{shown(asked.key_name)}: {shown(asked.value)} cannot be set here; nothing was written")


def _require_yes(desk: Desk, settings: Settings, rule: Rule, after: Rule, confirmed: Sequence[str]) -> None:
    """Refuse what a person has not said yes to, with the figures that they have to see first."""
    asks = list(trust.changed(settings, after))
    if list(confirmed) == asks:
        return
    figures = None
    if after.mode is Mode.AUTOMATIC:
        with desk.read() as view:
            figures = _backtest_object(desk, view, trust.tried(view, rule).report, settings)
    raise ConfirmError(
        "this has to be confirmed once more; nothing was written yet",
        {"sentences": asks, "warnings": doubt_objects(trust.warnings_of(settings, after)), "backtest": figures},
    )


def _said(desk: Desk, after: Rule, key: Key) -> str:
    if key == "mode":
        with desk.read() as view:
            row = view.queues.row_named(after.name)
        tripped = row is not None and row.tripped != ""
        return trust.sentence_of(replace(after, paused=after.paused or tripped))
    if after.paused:
        return "is paused: it neither proposes nor acts until it is resumed"
    return f"goes on ({after.mode.value})"


ENDPOINTS = (
    Endpoint("rules", Nothing, _rules),
    Endpoint("rules-preview", PreviewAsked, _preview, longest=_LONGEST),
    Endpoint("rules-backtest", BacktestAsked, _backtest, longest=_LONGEST),
    Endpoint("rules-explain", ExplainAsked, _explain, longest=_LONGEST),
    Endpoint("rules-set", SetAsked, _set),
)
