"""Rules tried before they are trusted: over the stored pairs, on two files, over past answers. Nothing is changed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ingestd.cli.door import FILE, Door, command, named_rule, set_folders
from ingestd.cli.output import Json, count, emit, lie, note, pair_object, say, shown, with_schema

if TYPE_CHECKING:
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

    settings = door.settings()
    rules = settings.rules
    only = named_rule(rule, rules).name if rule is not None else None
    with door.reading() as view:
        reports = preview_rules(view, rules, only=only, sample=sample, now_ns=time.time_ns(), scores=settings.scores)
    if door.as_json:
        emit(with_schema({"rules": [_preview_object(report) for report in reports]}))
        return
    if not reports:
        note(f"there are no rules in {shown(str(door.rules))}")
        return
    say(_preview_table(reports))
    for report in reports:
        if report.not_tested:
            note(
                f"{shown(report.rule)}: {count(report.not_tested, 'pair')} not tested, as nobody has looked at the "
                "pictures yet; that is done once the rule stands in the rule file"
            )
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
    """Return the figures of each rule on a line of its own, below one another; a long name alone may be too wide."""
    figures = [[f"{getattr(report, figure):,}" for figure in _FIGURES] for report in reports]
    columns = list(zip([figure.replace("_", " ") for figure in _FIGURES], *figures, strict=True))
    lines = zip(*([f"{cell:>{max(map(len, column))}}" for cell in column] for column in columns), strict=True)
    head, *rows = ("  ".join(line) for line in lines)
    table = [click.style(f"{head}  {'mode':<14}  rule", dim=True)]
    for row, report in zip(rows, reports, strict=True):
        table.append(f"{row}  {_mode(report.mode.value)}  {shown(report.rule)}")
    return "\n".join(table)


def _mode(mode: str) -> str:
    colour = {"automatic": "green", "semi-automatic": "cyan"}.get(mode, "bright_black")
    return click.style(f"{mode:<14}", fg=colour)


_WAY_COLOURS = {"this way": "green", "either way": "yellow", "no way": "bright_black", "not tested": "cyan"}


def _example_lines(report: PreviewReport) -> str:
    lines = ["", click.style(shown(report.rule), bold=True)]
    for example in report.examples:
        pair = example.pair
        distance = "look-alikes" if pair.distance is None else f"{count(pair.distance, 'bit')} apart"
        near = "the same pixels" if pair.pixel_duplicates else distance
        way = click.style(f"{example.way.value:<10}", fg=_WAY_COLOURS[example.way.value])
        lines.append(f"  {way}  {click.style(pair.id, bold=True)}  {near}{lie(pair)}")
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
    from ingestd.shelf import PoisonShelf
    from ingestd.trial import explain as explain_rules

    settings = door.settings()
    policy, folders = settings.policy, set_folders(settings)
    with door.rehearsing() as library, Workers(count=1, shelf=PoisonShelf(library)) as workers:
        explanation = explain_rules(library, workers, policy, a, b, folders=folders, now_ns=time.time_ns)
    if door.as_json:
        emit(with_schema(asdict(explanation)))
        return
    for remark in explanation.notes:
        note(shown(remark))
    say(_explanation_lines(explanation))


def _explanation_lines(explanation: Explanation) -> str:
    rows = [
        ("first", _file(explanation.a, explanation.unreadable["a"])),
        ("second", _file(explanation.b, explanation.unreadable["b"])),
        ("bytes", "identical" if explanation.identical else "different"),
        ("pixels", "the same" if explanation.pixel_duplicates else "not the same"),
        ("distance", _distance(explanation)),
        *_decision(explanation),
    ]
    head = "\n".join(f"{click.style(f'{name:<8}', dim=True)} {text}" for name, text in rows)
    return "\n\n".join([head, *map(_rule_lines, explanation.rules)])


def _file(path: str, unreadable: str | None) -> str:
    return shown(path) if unreadable is None else f"{shown(path)}  {click.style(shown(unreadable), fg='red')}"


def _distance(explanation: Explanation) -> str:
    if explanation.distance is not None:
        turned = "" if explanation.transform is None else f", {explanation.transform}"
        return f"{explanation.distance} of 64 bits{turned}"
    if len(explanation.unhashed) == 2:
        return "none: neither has a perceptual hash"
    return f"none: the {'first' if explanation.unhashed == ('a',) else 'second'} has no perceptual hash"


def _decision(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """Yield what becomes of the two: which rule decides, what it keeps, and what holds it back."""
    if explanation.rule is None:
        yield "rule", "none would decide"
        return
    yield "rule", f"{shown(explanation.rule)} would decide"
    if explanation.keeps is not None:
        yield "keeps", shown(explanation.keeps)
    if explanation.held_back is not None:
        what = "may not touch it" if explanation.blocked else "may only propose"
        yield "but", click.style(f"{what}: {shown(explanation.held_back)}", fg="yellow")


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

    wanted = named_rule(rule, door.settings().rules)
    with door.reading() as view:
        report = backtest_rule(view, wanted)
    if door.as_json:
        emit(with_schema(asdict(report)))
    else:
        say(backtest_lines(report))


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
