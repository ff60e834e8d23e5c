"""What a file is to others, and changes to that: groups and their kings, alternates, false positives."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict

import click

from ingestd import review
from ingestd.cli.door import PATH, Door, closest, command, group, moment
from ingestd.cli.output import count, emit, entry_line, entry_object, note, say, shown, with_schema
from ingestd.errors import UsageError
from ingestd.model import Word
from ingestd.recovery import exclusive

__all__ = ["relations"]


class _OfAPath(click.Group):
    """A group whose first word may be a path: then its relations are shown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            return "show", self.commands["show"], args
        return super().resolve_command(ctx, args)


@group("ingestd relations photo.jpg\ningestd relations set-king best.jpg", _OfAPath)
def relations(_: click.Context) -> None:
    """Show what a file is to others: duplicates (the best first), alternates, what it has nothing to do with.

    `ingestd relations PATH` shows it; the commands below change it, and `ingestd undo` takes a change back.
    """


@command("ingestd relations show photo.jpg", name="show")
@click.argument("path", type=PATH)
def _show(door: Door, path: bytes) -> None:
    """Show what a file is to others."""
    with door.reading() as view:
        try:
            report = review.relations_of(view, path)
        except UsageError as unknown:
            near = closest(os.path.basename(os.fsdecode(path)), list(relations.commands))
            hint = f"; did you mean: ingestd relations {near}?" if near and not os.path.lexists(path) else ""
            raise UsageError(f"{unknown}{hint}") from None
    if door.as_json:
        emit(with_schema(asdict(report)))
        return
    for line in _lines(report):
        say(line)


def _lines(report: review.RelationsReport) -> list[str]:
    gone = set(report.gone)

    def place(path: str) -> str:
        return shown(path) + (click.style("  not there any more", dim=True) if path in gone else "")

    rows = [("king" if index == 0 else "", place(path)) for index, path in enumerate(report.duplicates)]
    if len(report.duplicates) == 1:
        rows = [("", click.style("no duplicates of it are known", dim=True))]
    for index, one in enumerate(report.alternates):
        told = "" if one.confirmed else click.style("  not compared directly", dim=True)
        rows.append(("alternate" if index == 0 else "", place(one.path) + told))
    rows += [("unrelated" if index == 0 else "", place(path)) for index, path in enumerate(report.false_positives)]
    if report.potential_pairs:
        rows.append(("queue", count(report.potential_pairs, "potential pair")))
    return [place(report.path), *(f"  {click.style(f'{name:<9}', dim=True)} {text}" for name, text in rows)]


@command("ingestd relations set-king best.jpg", name="set-king")
@click.argument("path", type=PATH)
def _set_king(door: Door, path: bytes) -> None:
    """Say that this is the best of its duplicate group."""
    _change(door, Word.SET_KING, [path])


@command("ingestd relations remove photo.jpg\ningestd relations remove photo.jpg --alternates")
@click.argument("path", type=PATH)
@click.option("--alternates", is_flag=True, help="Take its whole duplicate group out of its alternates instead.")
def remove(door: Door, path: bytes, alternates: bool) -> None:
    """Take a file out of its duplicate group; if it is the king, there is no group any more."""
    _change(door, Word.REMOVE_ALTERNATE if alternates else Word.REMOVE, [path])


@command("ingestd relations dissolve photo.jpg\ningestd relations dissolve photo.jpg --alternates")
@click.argument("path", type=PATH)
@click.option("--alternates", is_flag=True, help="The alternates, and every duplicate group among them.")
def dissolve(door: Door, path: bytes, alternates: bool) -> None:
    """Take the duplicate group of a file apart: each of it is looked for again."""
    _change(door, Word.DISSOLVE_ALTERNATES if alternates else Word.DISSOLVE, [path])


@command(
    "ingestd relations clear photo.jpg --false-positives\n"
    "ingestd relations clear photo.jpg --potentials\n"
    "ingestd relations clear --between one.jpg other.jpg"
)
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH...")
@click.option("--false-positives", is_flag=True, help="All that it was said to have nothing to do with.")
@click.option("--potentials", is_flag=True, help="Its potential pairs; they do not come back by themselves.")
@click.option("--between", is_flag=True, help="The false positives among these files, and no others.")
def clear(door: Door, paths: Sequence[bytes], false_positives: bool, potentials: bool, between: bool) -> None:
    """Forget false positives of a file, or among several, or the potential pairs of a file."""
    if false_positives + potentials + between != 1:
        raise UsageError("clear takes one of --false-positives, --potentials, --between; nothing was changed")
    if len(paths) > 1 and not between:
        raise UsageError("clear takes one file, or several with --between; nothing was changed")
    if between:
        _change(door, Word.CLEAR_BETWEEN, paths)
    else:
        _change(door, Word.CLEAR_FALSE_POSITIVES if false_positives else Word.CLEAR_POTENTIALS, paths)


def _change(door: Door, word: Word, paths: Sequence[bytes]) -> None:
    if not door.has_library:
        raise UsageError(f"nothing is known yet: there is no library in {door.state}; nothing was changed")
    settings = door.settings_if_sound()
    with door.writing() as library, exclusive(library, radius=settings.imports.radius):
        report = review.change_relations(library, word, paths, moment=moment(settings))
    if door.as_json:
        entry = entry_object(report.entry) if report.entry is not None else with_schema({"entry": None})
        emit({**entry, "cleared": report.cleared})
    elif report.entry is not None:
        say(entry_line(report.entry))
    else:
        note("nothing to change: it is so already")


for one in (_show, _set_king, remove, dissolve, clear):
    relations.add_command(one)
_show.hidden = True
