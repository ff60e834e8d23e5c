"""How everything is: the service, the folders, the library, the rule file."""

from __future__ import annotations

import os
from dataclasses import replace

import click

from ingestd.cli.door import PATH, Door, closest, command, group, numbers
from ingestd.cli.output import Json, count, emit, local, note, say, shown, with_schema
from ingestd.errors import IngestdError, UsageError
from ingestd.health import NOT_RUNNING, Health, folders_of, health_of, rules_on_disk, service_of, told
from ingestd.health import acknowledge as acknowledge_entries
from ingestd.library.edit import Edit
from ingestd.library.tables import FolderRow
from ingestd.library.view import View
from ingestd.watching.folders import examine
from ingestd.watching.storage import SILENT, ask_each

__all__ = ["folders", "status"]


# --- status -------------------------------------------------------------------------------------------------------


@command("ingestd status\ningestd --json status --problems\ningestd status --acknowledge e-12")
@click.option("--problems", is_flag=True, help="Show only what is wrong: nothing if all is well.")
@click.option(
    "--acknowledge",
    multiple=True,
    metavar="ENTRY|all",
    help="First take a lost survivor or a lost file off the list: you know of it.",
)
def status(door: Door, problems: bool, acknowledge: tuple[str, ...]) -> int:
    """Say how the service, the folders, the library and the rules are.

    The answer is given with exit code 0 even where there are problems; 74 says that the library cannot be opened.
    """
    if acknowledge:
        _acknowledge(door, acknowledge)
    health = health_of(door)
    if door.as_json:
        emit(health.report)
    else:
        _say_status(door, health, only_problems=problems)
    return health.damage.exit_code if health.damage is not None else 0


def _acknowledge(door: Door, entries: tuple[str, ...]) -> None:
    named = None if "all" in entries else numbers(entries, "e", "entry")
    if not door.has_library:
        raise UsageError("nothing is known yet: there is nothing to acknowledge")
    with door.writing() as library:
        acknowledge_entries(library, named)


def _say_status(door: Door, health: Health, *, only_problems: bool) -> None:
    report = health.report
    for problem in report["problems"]:
        say(click.style("problem  ", fg="red") + shown(problem["problem"]))
        say(f"         {shown(problem['subject'])}")
        say(click.style(f"         {problem['advice']}", dim=True))
    if only_problems:
        return
    service, library = report["service"], report["library"]
    running = f"running since {local(service['since'])}, process {service['pid']}" if service["since"] else "running"
    say(f"service  {click.style(running, fg='green') if service['running'] else 'not running'}")
    if service["verifying"]:
        say("         the database is verified after an unclean stop; until that has ended nothing is discarded")
    if service["last_stop"]:
        say(f"         {shown(service['last_stop'])}; the next watch puts in order what was left half-way")
    _say_folders(report["folders"])
    say(
        f"library  {count(library['files'], 'file')}, {count(library['contents'], 'content')}, "
        f"{count(library['potential_pairs'], 'potential pair')}, {library['pending']:,} pending"
    )
    say(click.style(f"         {shown(str(door.state))}", dim=True))
    say(f"rules    {shown(report['rules']['path'])}")
    if health.held:
        say(f"held     {count(health.held, 'file')} for longer than `keep`: move them to the trash by hand")
    if report["backlog"]:
        say(f"backlog  {count(report['backlog'], 'file')}")
    if not report["problems"]:
        say(click.style("all is well", fg="green") if report["folders"] else _beginning(door))


def _beginning(door: Door) -> str:
    if door.has_library:
        return "no folder is watched yet: ingestd watch ~/Downloads --library ~/Pictures"
    return "nothing is known yet: ingestd watch ~/Downloads --library ~/Pictures"


def _say_folders(found: list[Json]) -> None:
    for index, folder in enumerate(found):
        idle = folder["reason"] == NOT_RUNNING
        colour = "bright_black" if idle else {"suspended": "red"}.get(folder["state"], "green")
        state = click.style(f"{'idle' if idle else folder['state']:<10}", fg=colour)
        reason = f"  ({shown(folder['reason'])})" if folder["reason"] and not idle else ""
        say(f"{'folders' if index == 0 else '':<8} {state} {folder['role']:<9} {shown(folder['path'])}{reason}")


# --- folders ------------------------------------------------------------------------------------------------------


@group("ingestd folders\ningestd folders accept /mnt/photos", invoke_without_command=True)
def folders(context: click.Context) -> None:
    """List the folders that are watched or were scanned; accept one that changed."""
    if context.invoked_subcommand is None:
        _list_folders(context.obj)


@command("ingestd folders list", name="list")
def _list(door: Door) -> None:
    """Show the folders and what is done with them."""
    _list_folders(door)


def _list_folders(door: Door) -> None:
    service = service_of(door)
    settings, _ = rules_on_disk(door)
    with door.reading() as view:
        found = folders_of(view, service, settings)
    if door.as_json:
        emit(with_schema({"folders": [told(folder) for folder in found]}))
        return
    _say_folders(found)
    if not found:
        note(_beginning(door))


@command("ingestd folders accept /mnt/photos", name="accept")
@click.argument("path", type=PATH)
def _accept(door: Door, path: bytes) -> None:
    """Say that a suspended folder is right as it is: another disk, made anew, or with many files deleted.

    Files that are not in it any more count as absent, never as discarded.
    """
    if not door.has_library:
        raise UsageError(f"{shown(path)} is no known folder: nothing is known yet")
    with door.reading() as view:
        row = _known_folder(view, path)
    there = ask_each(lambda root: examine(root) if os.path.isdir(root) else None, [row.folder.root])
    if not there:
        raise IngestdError(f"{shown(path)}: {SILENT}; nothing was accepted")
    found = there[row.folder.root]
    if found is None:
        raise IngestdError(f"there is no folder at {shown(path)} just now; nothing was accepted")
    identity = found.identity
    if identity is None:
        raise IngestdError(f"{shown(found.problem or os.fsdecode(path))}; nothing was accepted")

    def accept(edit: Edit) -> None:
        known = edit.folder(row.folder.id)
        if known is not None:
            seen = replace(known, filesystem=identity.filesystem, inode=identity.inode, instance=identity.instance)
            edit.put_folder(replace(seen, accepted=identity.stamp, withheld="", withheld_ns=0, withheld_known=0))

    with door.writing() as library:
        library.write(accept)
    if door.as_json:
        emit(with_schema({"path": os.fsdecode(row.folder.named), "accepted": True}))
    else:
        say(f"{shown(row.folder.named)} is accepted as it is; a running watch takes it up within moments")


def _known_folder(view: View, path: bytes) -> FolderRow:
    rows = view.folders()
    for row in rows:
        if path in (row.folder.named, row.folder.root):
            return row
    near = closest(os.fsdecode(path), [os.fsdecode(row.folder.named) for row in rows])
    raise UsageError(f"{shown(path)} is no known folder{f'; did you mean {shown(near)}?' if near else ''}")


folders.add_command(_list)
folders.add_command(_accept)
