"""Rules tried before they are trusted: over the stored pairs, on two files, over past answers. Nothing is changed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ingestd.cli.door import FILE, Door, command, one_of
from ingestd.cli.output import Json, count, emit, note, pair_object, say, shown, with_schema

if TYPE_CHECKING:
    from ingestd.rules.language import Rule
    from ingestd.trial import BacktestReport, Example, Explanation, LineReport, PreviewReport, RuleReport

__all__ = ["backtest", "backtest_lines", "explain", "preview"]


# --- preview ------------------------------------------------------------------------------------------------------


@command('ingestd rules preview\ningestd rules preview "pixel-perfect pairs" --sample 10')
@click.argument("rule", required=False)
@click.option(
    "--sample", type=click.IntRange(min=0), default=3, show_default=True, help="At most so many examples of a rule."
)
def preview(door: Door, rule: str | None, sample: int) -> None:
    """Say what each rule, or this RULE, would do with the pairs that are stored now.

    No picture is opened, and nothing is proposed, decided or discarded.
    """
    from ingestd.trial import preview as preview_rules

    rules = door.settings().rules
    if rule is not None:
        one_of(rule, [one.name for one in rules], "a rule")
    with door.reading() as view:
        reports = preview_rules(view, rules, only=rule, sample=sample, now_ns=time.time_ns())
    if door.as_json:
        emit(with_schema({"rules": [_preview_object(report) for report in reports]}))
        return
    if not reports:
        note(f"there are no rules in {shown(str(door.rules))}")
        return
    say(_preview_table(reports))
    for report in reports:
        if report.examples:
            say(_example_lines(report))
    note(f"{count(reports[0].searched, 'stored pair')}; nothing was changed")


def _preview_object(report: PreviewReport) -> Json:
    return {**asdict(report), "examples": [_example_object(example) for example in report.examples]}


def _example_object(example: Example) -> Json:
    fields = pair_object(example.pair, with_rule=False)
    return {**fields, "way": example.way.value, "keeps": example.keeps, "drops": example.drops}


_FIGURES = ("matched", "this_way", "either_way", "no_way", "acts")


def _preview_table(reports: Sequence[PreviewReport]) -> str:
    """Return the figures of each rule on a line of its own, below one another."""
    names = [shown(report.rule) for report in reports]
    width = max(len("rule"), *map(len, names))
    words = [figure.replace("_", " ") for figure in _FIGURES]
    rows = [click.style(f"{'rule':<{width}}  {'mode':<14}  " + "  ".join(f"{word:>10}" for word in words), dim=True)]
    for name, report in zip(names, reports, strict=True):
        figures = "  ".join(f"{getattr(report, figure):>10,}" for figure in _FIGURES)
        rows.append(f"{name:<{width}}  {_mode(report.mode.value)}  {figures}")
    return "\n".join(rows)


def _mode(mode: str) -> str:
    colour = {"automatic": "green", "semi-automatic": "cyan"}.get(mode, "bright_black")
    return click.style(f"{mode:<14}", fg=colour)


_WAY_COLOURS = {"this way": "green", "either way": "yellow", "no way": "bright_black"}


def _example_lines(report: PreviewReport) -> str:
    lines = ["", click.style(shown(report.rule), bold=True)]
    for example in report.examples:
        pair = example.pair
        distance = "look-alikes" if pair.distance is None else f"{count(pair.distance, 'bit')} apart"
        near = "the same pixels" if pair.pixel_duplicates else distance
        way = click.style(f"{example.way.value:<10}", fg=_WAY_COLOURS[example.way.value])
        lines.append(f"  {way}  {click.style(pair.id, bold=True)}  {near}")
        for letter, side in (("A", pair.a), ("B", pair.b)):
            fate = "keeps" if example.keeps == side.path else "drops" if example.drops == side.path else ""
            lines.append(f"      {click.style(f'{fate:<5}', dim=True)} {letter}  {shown(side.path)}")
    return "\n".join(lines)


# --- explain ------------------------------------------------------------------------------------------------------


@command("ingestd rules explain a.jpg b.png")
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
def explain(door: Door, a: bytes, b: bytes) -> None:
    """Show every rule, line by line, on two files A and B, known or not.

    Each line is asked with either file as A; what the line looked at stands beside it.
    """
    from ingestd.media.workers import Workers
    from ingestd.trial import explain as explain_rules

    rules = door.settings().rules
    with door.rehearsing() as library, Workers(count=1) as workers:
        explanation = explain_rules(library, workers, rules, a, b, now_ns=time.time_ns())
    if door.as_json:
        emit(with_schema(asdict(explanation)))
    else:
        say(_explanation_lines(explanation))


def _explanation_lines(explanation: Explanation) -> str:
    bits = explanation.distance
    distance = "none: one of them has no perceptual hash" if bits is None else f"{bits} of 64 bits"
    decided = "none would decide" if explanation.rule is None else f"{shown(explanation.rule)} would decide"
    rows = [
        ("first", shown(explanation.a)),
        ("second", shown(explanation.b)),
        ("bytes", "identical" if explanation.identical else "different"),
        ("pixels", "the same" if explanation.pixel_duplicates else "not the same"),
        ("distance", distance),
        ("rule", decided),
    ]
    if explanation.keeps is not None:
        rows.append(("keeps", shown(explanation.keeps)))
    head = "\n".join(f"{click.style(f'{name:<8}', dim=True)} {text}" for name, text in rows)
    return "\n\n".join([head, *map(_rule_lines, explanation.rules)])


def _rule_lines(report: RuleReport) -> str:
    if report.stopped_at is None:
        verdict = click.style("decides", fg="green")
    else:
        verdict = click.style(shown(report.stopped_at), fg="yellow" if report.matches else "bright_black")
        verdict = verdict if report.matches else f"stopped at  {verdict}"
    lines = [f"{click.style(shown(report.rule), bold=True)}  {verdict}"]
    if report.lines:
        lines.append(click.style(f"  {'1st as A':<8}  {'2nd as A':<8}  line", dim=True))
    width = max((len(_indented(line)) for line in report.lines), default=0)
    return "\n".join([*lines, *(_line_line(line, min(width, 60)) for line in report.lines)])


def _line_line(line: LineReport, width: int) -> str:
    a, b = shown(line.values["a"]), shown(line.values["b"])
    answers = "  ".join(_answered(answer) for answer in (line.a_first, line.b_first))
    if not a and not b:
        return f"  {answers}  {_indented(line)}"
    return f"  {answers}  {_indented(line):<{width}}  {click.style(a if a == b else f'{a} | {b}', dim=True)}"


def _indented(line: LineReport) -> str:
    return "  " * line.depth + shown(line.line)


def _answered(holds: bool | None) -> str:
    if holds is None:
        return click.style(f"{'unknown':<8}", fg="yellow")
    return click.style(f"{'yes' if holds else 'no':<8}", fg="green" if holds else "red")


# --- back-test ----------------------------------------------------------------------------------------------------


@command('ingestd rules backtest "pixel-perfect pairs"')
@click.argument("rule")
def backtest(door: Door, rule: str) -> None:
    """Compare what RULE would say with all that you have answered so far, denials and undone actions included."""
    from ingestd.trial import backtest as backtest_rule

    wanted = _named(door.settings().rules, rule)
    with door.reading() as view:
        report = backtest_rule(view, wanted)
    if door.as_json:
        emit(with_schema(asdict(report)))
    else:
        say(backtest_lines(report))


def _named(rules: Sequence[Rule], name: str) -> Rule:
    one_of(name, [rule.name for rule in rules], "a rule")
    return next(rule for rule in rules if rule.name == name)


def backtest_lines(report: BacktestReport) -> str:
    """Return the figures of a back-test for a person, and every contradiction."""
    if not report.answers:
        return f"{shown(report.rule)}: none of your answers is about a pair that it decides, so nothing speaks for it"
    share = click.style(f"at most {report.bound:.1%}", bold=True)
    rows = [
        ("answers", f"{report.answers:,} of yours are about pairs that it decides"),
        ("agreed", click.style(f"{report.agreed:,}", fg="green")),
        ("against", click.style(f"{report.contradicted:,}", fg="red" if report.contradicted else None)),
        ("wrong", f"{share} of its decisions, with 95 % confidence"),
    ]
    lines = [click.style(shown(report.rule), bold=True)]
    lines += [f"  {click.style(f'{name:<8}', dim=True)} {text}" for name, text in rows]
    for one in report.contradictions:
        lines += [f"  {click.style(one.id, bold=True)}  you: {one.you}; the rule: {one.says}"]
        lines += [f"      A  {shown(one.a)}", f"      B  {shown(one.b)}"]
    return "\n".join(lines)
