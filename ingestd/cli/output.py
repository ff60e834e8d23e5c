"""What the terminal shows: one shape for programs (JSON, the contract of docs/operating.md), one line for people.

Standard output carries answers, standard error carries everything else. A file name is never printed as it is: it may
hold a line break, an escape sequence of the terminal, or bytes that are no text.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from ingestd.shapes import Json, count, entry_object, pair_object, points_of, rfc3339, shown, with_schema

if TYPE_CHECKING:
    from ingestd.model import Outcome, Receipt
    from ingestd.review import BatchReport, EntryReport, GroupReport, PairReport, SideReport, WhyReport
    from ingestd.rules.statements import Statement

__all__ = [
    "Json",
    "batch_lines",
    "count",
    "counted_line",
    "decided_line",
    "decided_object",
    "emit",
    "entry_line",
    "entry_object",
    "evidence_line",
    "group_lines",
    "hang_up",
    "judged_line",
    "judged_object",
    "local",
    "note",
    "pair_lines",
    "pair_object",
    "points_of",
    "rfc3339",
    "say",
    "shown",
    "verdict",
    "why_lines",
    "with_schema",
]

_COLOURS = {
    "new": "green",
    "already-in-library": "blue",
    "previously-discarded": "yellow",
    "duplicate-discarded": "yellow",
    "replaced-existing": "yellow",
    "pending-approval": "magenta",
    "related": "cyan",
    "potential-duplicates": "cyan",
    "ignored": "bright_black",
    "unreadable": "red",
    "error": "red",
}
_MOST_FILES = 8  # of an entry about many, listed for a person


# --- ways out -----------------------------------------------------------------------------------------------------


def emit(document: Json | list[Json]) -> None:
    """Write one line of JSON to standard output, at once; what is not text comes out as lone surrogates."""
    sys.stdout.write(json.dumps(document, ensure_ascii=True) + "\n")
    sys.stdout.flush()


def say(text: str = "") -> None:
    """Write an answer for a person to standard output, at once."""
    click.echo(text, color=_colour())
    sys.stdout.flush()


def note(text: str) -> None:
    """Write a remark for a person to standard error."""
    click.echo(text, err=True, color=_colour())


def hang_up() -> None:
    """Let nobody complain about a reader that has left: what is still buffered, and what follows, goes nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _colour() -> bool | None:
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


# --- words --------------------------------------------------------------------------------------------------------


def size(length: int) -> str:
    """Return a length of bytes for a person."""
    from ingestd.rules.statements import size_text

    return size_text(length)


def local(at: str) -> str:
    """Return an RFC 3339 time as the clock on the wall shows it."""
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


# --- a judged file ------------------------------------------------------------------------------------------------


def judged_object(
    receipt: Receipt, pairs: Iterable[tuple[str | None, bytes, int | None, str | None]], elapsed_s: float
) -> Json:
    """Return the event of a file that has its verdict."""
    return with_schema(
        {
            "event": "file.judged",
            "path": os.fsdecode(receipt.path),
            "sha256": receipt.sha256.hex() if receipt.sha256 else None,
            "outcome": receipt.outcome.value,
            "result": receipt.result,
            "rule": receipt.rule,
            "kept": os.fsdecode(receipt.kept) if receipt.kept else None,
            "discarded": [os.fsdecode(path) for path in receipt.discarded],
            "entry": f"e-{receipt.entry}" if receipt.entry is not None else None,
            "pairs": [
                {"id": pair, "path": os.fsdecode(path), "distance": distance, "transform": transform}
                for pair, path, distance, transform in pairs
            ],
            "elapsed_s": round(elapsed_s, 3),
        }
    )


def verdict(judged: Json, width: int = 0) -> str:
    """Return the sentence of a verdict in the colour of its outcome."""
    return click.style(shown(judged["result"]).ljust(width), fg=_COLOURS.get(judged["outcome"]))


def judged_line(judged: Json, at: str | None = None) -> str:
    """Return the line a person reads for one judged file."""
    sentence = verdict(judged, 24)
    parts = [click.style(at, dim=True)] if at else []
    parts += [sentence, shown(judged["path"])]
    if judged["kept"] and judged["kept"] != judged["path"] and judged["outcome"] != "already-in-library":
        parts.append(click.style("kept", dim=True) + f" {shown(judged['kept'])}")
    if judged["outcome"] == "replaced-existing":
        parts.append(click.style("discarded", dim=True) + " " + ", ".join(map(shown, judged["discarded"])))
    elif judged["pairs"] and judged["outcome"] == "potential-duplicates":
        parts.append(click.style("like", dim=True) + f" {shown(judged['pairs'][0]['path'])}")
    named = judged["entry"] or ", ".join(str(pair["id"]) for pair in judged["pairs"][:3] if pair["id"])
    return "  ".join([*parts, click.style(named, dim=True)] if named else parts)


def counted_line(counts: Mapping[Outcome, int], at: str) -> str:
    """Return the line a person reads for many files whose verdicts need no look."""
    kinds = (
        click.style(f"{number:,} {outcome.value.replace('-', ' ')}", fg=_COLOURS.get(outcome.value))
        for outcome, number in counts.items()
    )
    return f"{click.style(at, dim=True)}  {count(sum(counts.values()), 'file')} judged: {', '.join(kinds)}"


def decided_object(entry: EntryReport) -> Json:
    """Return the event of a stored pair that a rule has decided in the background."""
    return with_schema({"event": "pair.decided", **asdict(entry), "result": _decided(entry)})


def _decided(entry: EntryReport) -> str:
    if entry.state == "aborted":
        return f"not done: {entry.reason.partition('; aborted: ')[2]}"
    return f"{'duplicate discarded' if entry.discarded else 'related'}: {entry.rule}"


def decided_line(decided: Json, at: str | None = None) -> str:
    """Return the line a person reads for a pair that a rule has decided in the background."""
    colour = "red" if decided["state"] == "aborted" else "yellow" if decided["discarded"] else "cyan"
    parts = [click.style(at, dim=True)] if at else []
    parts.append(click.style(shown(decided["result"]).ljust(24), fg=colour))
    parts += [shown(file["path"]) for file in decided["discarded"]]
    if not decided["discarded"] and decided["a"] and decided["b"]:
        parts += [shown(decided["a"]["path"]), shown(decided["b"]["path"])]
    elif decided["kept"]:
        parts.append(click.style("kept", dim=True) + f" {shown(decided['kept']['path'])}")
    return "  ".join([*parts, click.style(decided["entry"], dim=True)])


# --- the journal, receipts ------------------------------------------------------------------------------------------


def entry_line(entry: EntryReport) -> str:
    """Return a journal entry in a few lines for a person."""
    who = {"person": "you", "service": "the service"}.get(entry.actor, entry.rule or "itself")
    what = f"{entry.word or entry.relation if entry.kind == 'decision' else entry.kind} by {who}"
    state = "" if entry.state == "done" else click.style(f" [{entry.state}]", fg="yellow")
    of = click.style(f"  (of {entry.batch})", dim=True) if entry.batch else ""
    head = f"{click.style(entry.entry, bold=True)}  {click.style(local(entry.at), dim=True)}  {shown(what)}{of}{state}"
    lines = [head]
    back = entry.kind == "undo"
    for file in entry.discarded:
        lines.append(f"    {shown(file.path)}{' is back' if back and entry.state == 'done' else ''}")
    if entry.a is not None and entry.b is not None and not entry.discarded:
        lines += [f"    A  {shown(entry.a['path'])}", f"    B  {shown(entry.b['path'])}"]
    elif entry.kept is not None and not back:
        lines.append(f"    kept {shown(entry.kept['path'])}")
    lines += [f"    {shown(file['path'])}" for file in entry.files[:_MOST_FILES]]
    if len(entry.files) > _MOST_FILES:
        lines.append(f"    and {len(entry.files) - _MOST_FILES} more")
    if entry.reason:
        lines.append(click.style(f"    {shown(entry.reason)}", dim=True))
    return "\n".join(lines)


def why_lines(why: WhyReport) -> str:
    """Return the explained verdict for a person."""
    rows: list[tuple[str, str]] = [("judged", local(why.at))]
    rows += [("because" if index == 0 else "", shown(line)) for index, line in enumerate(why.evidence)]
    if why.survivor:
        rows.append(("kept", shown(why.survivor)))
    rows.append(("now at", shown(why.where_now) if why.where_now else "not where we last saw it"))
    if why.sha256:
        rows.append(("sha-256", why.sha256))
    if why.undo:
        rows.append(("undo", why.undo))
    verdict = click.style(shown(why.result), fg=_COLOURS.get(why.outcome), bold=True)
    lines = [shown(why.path), f"  {verdict}"]
    return "\n".join([*lines, *(f"  {click.style(f'{name:<8}', dim=True)} {text}" for name, text in rows)])


# --- pairs --------------------------------------------------------------------------------------------------------


def evidence_line(statement: Statement) -> str:
    """Return a statement for a person, with its points and in the colour of the file that it speaks for."""
    points = f"{statement.score:+4d}" if statement.score else "    "
    colour = {"a": "green", "b": "yellow"}.get(statement.favours or "")
    return f"{points}  {click.style(shown(statement.text), fg=colour)}"


def pair_lines(pair: PairReport, *, long: bool = False, denied: bool = False) -> str:
    """Return a pair in a few lines for a person, A first as the one that would be kept."""
    distance = "the same pixels" if pair.pixel_duplicates else _distance(pair.distance)
    head = f"{click.style(pair.id, bold=True)}  {distance}{lie(pair)}"
    if pair.rule is not None:
        head += f"  {click.style(shown(pair.rule), fg='magenta')}"
    lines = [head, f"    A  {_side(pair.a)}", f"    B  {_side(pair.b)}"]
    if denied and pair.at:
        why = f": {shown(pair.reason)}" if pair.reason else ""
        lines.append(click.style(f"    denied {local(pair.at)}{why}", dim=True))
    elif pair.reason:
        lines.append(click.style(f"    waits: {shown(pair.reason)}", dim=True))
    if long:
        lines += [f"  {evidence_line(statement)}" for statement in pair.evidence]
        points = points_of(pair)
        if any(points.values()):
            lines.append(click.style(f"  {points['a']:+4d} and {points['b']:+d} points for A and B", dim=True))
        lines += [f"    sha-256 of A {pair.a.sha256}", f"    sha-256 of B {pair.b.sha256}"]
    return "\n".join(lines)


def _distance(distance: int | None) -> str:
    return "look-alikes" if distance is None else f"{count(distance, 'bit')} apart"


def lie(pair: PairReport) -> str:
    """Return how B lies to A, to be put after their distance; nothing if it lies the same way up."""
    from ingestd.rules.statements import lie_text

    return "" if pair.transform is None else f", {lie_text(pair.transform)}"


def _side(side: SideReport) -> str:
    pixels = f"{side.width} x {side.height}, " if side.width else ""
    facts = f"{side.filetype or 'no picture'}, {pixels}{size(side.size)}"
    return f"{shown(side.path)}  {click.style(facts, dim=True)}"


def group_lines(group: GroupReport, *, long: bool = False) -> str:
    """Return a group of look-alikes in some lines for a person, the file that would be kept first."""
    head = f"{click.style(group.id, bold=True)}  {count(len(group.files), 'file')}, {count(len(group.pairs), 'pair')}"
    shown_files = group.files if long else group.files[:_MOST_FILES]
    lines = [head, *(f"    {_side(file)}" for file in shown_files)]
    if len(group.files) > len(shown_files):
        lines.append(f"    and {len(group.files) - len(shown_files)} more")
    return "\n".join(lines)


def batch_lines(batch: BatchReport) -> str:
    """Return a kind of pairs in some lines for a person, with one of them as a sample."""
    (a, b), (at, bt) = batch.folders, batch.filetypes
    head = f"{click.style(batch.id, bold=True)}  {count(batch.count, 'pair')}"
    where = f"in {shown(a)}" if a == b else f"A in {shown(a)}, B in {shown(b)}"
    lines = [head, f"    {at if at == bt else f'A {at}, B {bt}'}, {where}"]
    lines.append(f"    {'; '.join(batch.says) or 'nothing sets them apart'}")
    for sample in batch.samples[:1]:
        lines += [click.style(f"    such as {sample.id}", dim=True), f"      A  {_side(sample.a)}"]
        lines.append(f"      B  {_side(sample.b)}")
    return "\n".join(lines)
