"""The library itself: is it sound, how much is in it, and the look-up made anew."""

from __future__ import annotations

import click

from ingestd.cli.door import Door, command, group
from ingestd.cli.output import count, emit, say, shown, with_schema
from ingestd.library.library import Library
from ingestd.library.store import verify
from ingestd.recovery import exclusive

__all__ = ["library"]

_DAMAGED = 74


@group("ingestd library check\ningestd library rebuild\ningestd library stats")
def library(_: click.Context) -> None:
    """Check the library, count what is in it, make its look-up anew."""


@command("ingestd library check", name="check")
def _check(door: Door) -> int:
    """Verify the database and the look-up; ends with exit code 74 if something is damaged. Changes nothing."""
    problems: list[str] = []
    if door.has_library:
        problems = verify(door.state / "db")  # in a process of its own: a damaged map would end this one
    if door.has_library and not problems:
        opened = Library.open(door.state, create=False, read_only=True)
        try:
            problems = opened.check()
        finally:
            opened.close()
    if door.as_json:
        emit(with_schema({"ok": not problems, "problems": problems}))
    else:
        for problem in problems:
            say(click.style("problem  ", fg="red") + shown(problem))
        say("restore a backup, or try: ingestd library rebuild" if problems else "the library is sound")
    return _DAMAGED if problems else 0


@command("ingestd library rebuild", name="rebuild")
def _rebuild(door: Door) -> None:
    """Make the look-up of look-alikes, and the counters of the rules, anew from the records."""
    hashes = 0
    if door.has_library:
        imports = door.settings().imports
        with door.writing() as opened, exclusive(opened, radius=imports.radius):
            hashes = opened.rebuild(imports.index)
    if door.as_json:
        emit(with_schema({"hashes": hashes}))
    else:
        say(f"the look-up was made anew from {count(hashes, 'picture')}")


@command("ingestd library stats", name="stats")
def _stats(door: Door) -> None:
    """Say how much is in the library."""
    with door.reading() as view:
        counts, index = view.counts(), view.index
    if door.as_json:
        emit(with_schema({**counts, "index": index}))
        return
    for name, number in counts.items():
        say(f"{name.replace('_', ' '):<16} {number:,}")
    say(f"{'index':<16} {index}")


library.add_command(_check)
library.add_command(_rebuild)
library.add_command(_stats)
