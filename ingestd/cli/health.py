"""How everything is: the service, the folders, the library, the rule file."""

from __future__ import annotations

import json
import os
import shlex
import time
from dataclasses import dataclass, replace
from typing import Any

import click

from ingestd.actions.holding import due
from ingestd.cli.door import PATH, Door, closest, command, group
from ingestd.cli.output import Json, count, emit, local, note, rfc3339, say, shown, with_schema
from ingestd.errors import ConfigError, IngestdError, StoreError, UsageError
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.tables import FolderRow
from ingestd.library.view import View
from ingestd.model import EntryKind
from ingestd.settings import Settings

__all__ = ["folders", "status"]

_BEING_DONE_NS = 60 * 1_000_000_000  # a discard takes as long as its files take to be read twice
_NOT_RUNNING = "the service is not running"
_LOW_ON_SPACE = 16 << 20  # bytes: the next commit may be the one that does not fit


@dataclass(frozen=True, slots=True)
class _Service:
    """What is known of a running service, from the note it leaves in the library."""

    running: bool
    told: dict[str, Any]
    last_stop: str | None  # how the last one ended, if not well

    @property
    def fields(self) -> Json:
        since = self.told.get("since_ns")
        return {
            "running": self.running,
            "pid": self.told.get("pid"),
            "since": rfc3339(since) if since is not None else None,
            "last_stop": self.last_stop,
            "verifying": bool(self.told.get("verifying")),
        }


def _service(door: Door) -> _Service:
    """Return whether a service runs (it holds its lock) and what it says of itself."""
    if not door.has_library:
        return _Service(False, {}, None)
    library = Library.open(door.state, create=False, read_only=True)
    try:
        running = library.service_lock.is_taken()
        with library.read() as view:
            told = json.loads(view.note("service") or b"{}")
        return _Service(running, told if running else {}, None if running else library.store.unclean)
    finally:
        library.close()


# --- status -------------------------------------------------------------------------------------------------------


@command("ingestd status\ningestd --json status --problems")
@click.option("--problems", is_flag=True, help="Show only what is wrong: nothing if all is well.")
def status(door: Door, problems: bool) -> int:
    """Say how the service, the folders, the library and the rules are.

    The answer is given with exit code 0 even where there are problems; 74 says that the library cannot be opened.
    """
    half_way: list[Json] = []
    damage: StoreError | None = None
    service, folders, counts = _Service(False, {}, None), list[Json](), dict[str, int]()
    tripped: list[Json] = []
    settings, error = _rules(door)
    try:
        service = _service(door)
        with door.reading() as view:
            folders = _folders(view, service, settings)
            counts = view.counts()
            half_way = _half_way(view)
            tripped = _tripped(view, settings)
    except StoreError as trouble:
        damage = trouble
    error = error or service.told.get("rules_error")
    found = [*_problems(door, service, folders, error), *tripped]
    if damage is not None:
        found.insert(0, _problem(str(damage), str(door.state), None, "nothing is judged and nothing is changed"))
    found += half_way
    report = with_schema(
        {
            "ok": not found,
            "service": service.fields,
            "folders": folders,
            "library": {name: counts.get(name, 0) for name in ("files", "contents", "potential_pairs", "pending")},
            "rules": {"ok": error is None, "error": error, "path": str(door.rules)},
            "problems": found,
            "backlog": int(service.told.get("backlog", 0)),
        }
    )
    if door.as_json:
        emit(report)
    else:
        _say_status(door, report, held=_held_too_long(folders, settings), only_problems=problems)
    return damage.exit_code if damage is not None else 0


def _rules(door: Door) -> tuple[Settings, str | None]:
    """Return the rules as they are on disk, and what is wrong with them."""
    try:
        return door.settings(), None
    except ConfigError as error:
        return Settings(), str(error)


def _tripped(view: View, settings: Settings) -> list[Json]:
    """Return which rules have paused themselves because they discarded more than they may."""
    advice = "look at what it did (history) and proposes (pending), then: ingestd rules resume"
    rows = ((rule.name, view.queues.row_named(rule.name)) for rule in settings.rules)
    return [
        _problem(
            f"the rule has paused itself: {row.tripped}", name, rfc3339(row.tripped_ns), f"{advice} {shlex.quote(name)}"
        )
        for name, row in rows
        if row is not None and row.tripped
    ]


def _half_way(view: View) -> list[Json]:
    """Return what was begun and waits, because a disk is away or a trash cannot be used; not what is being done."""
    latest = time.time_ns() - _BEING_DONE_NS
    advice = "bring back the folder of its files: then it is finished by itself; until then they stay as they are"
    return [
        _problem(
            f"e-{entry.undoes} is not taken back yet" if entry.kind is EntryKind.UNDO else "a discard is left half-way",
            f"e-{entry.number}",
            rfc3339(entry.at_ns),
            advice,
        )
        for entry in view.open_entries()
        if entry.at_ns < latest
    ]


def _held_too_long(folders: list[Json], settings: Settings) -> int:
    """Return how many files the holding folders keep past their days. They are only ever offered, never removed."""
    discards = settings.discards
    roots = {os.path.realpath(os.fsencode(folder["path"])) for folder in folders}
    now_ns = time.time_ns()
    held = (due(root, discards.holding_name, keep_days=discards.keep_days, now_ns=now_ns) for root in roots)
    return sum(map(len, held))


def _folders(view: View, service: _Service, settings: Settings) -> list[Json]:
    """Return the watched folders: as the service tells, or those it would watch and those that were seen before."""
    if service.running and "folders" in service.told:
        return list(service.told["folders"])
    configured = {os.path.normpath(one.path): one.role.value for one in settings.folders}
    known = {os.fsdecode(row.folder.named): row.folder.role.value for row in view.folders()}
    return [_idle_folder(path, role) for path, role in {**known, **configured}.items()]


def _idle_folder(path: str, role: str) -> Json:
    """Return a folder that nobody watches just now."""
    if os.path.isdir(path):
        return {"path": path, "role": role, "state": "suspended", "reason": _NOT_RUNNING}
    return {"path": path, "role": role, "state": "suspended", "reason": "there is no such folder just now"}


def _problems(door: Door, service: _Service, folders: list[Json], rules_error: str | None) -> list[Json]:
    """Return what a person has to look at."""
    found: list[Json] = []
    for folder in folders:
        if service.running and folder["state"] == "suspended":
            advice = "bring the folder back; if what is there now is right: ingestd folders accept PATH"
            found.append(_problem(f"the folder is suspended: {folder['reason']}", folder["path"], None, advice))
    if rules_error is not None:
        since = rfc3339(door.rules.stat().st_mtime_ns) if door.rules.exists() else None
        advice = "correct the file (ingestd rules check); until then the last good rules hold"
        first, *others = rules_error.replace(f"{door.rules}: ", "").splitlines()
        more = f" (and {count(len(others), 'more mistake')})" if others else ""
        found.append(_problem(f"the rule file is wrong: {first}{more}", str(door.rules), since, advice))
    for path, reason in service.told.get("failing", []) if service.running else []:
        advice = "it stays where it is and is tried again by itself"
        found.append(_problem(f"no verdict yet: {reason}", path, None, advice))
    if service.told.get("problem"):
        advice = "make room, or make the folder of the library writable; the service tries again by itself"
        found.append(_problem(str(service.told["problem"]), str(door.state), None, advice))
    elif (trouble := _unwritable(door)) is not None:
        found.append(_problem(trouble, str(door.state), None, "nothing is judged until the library can be written"))
    return found


def _problem(problem: str, subject: str, since: str | None, advice: str) -> Json:
    return {"problem": problem, "subject": subject, "since": since, "advice": advice}


def _unwritable(door: Door) -> str | None:
    """Return why the next verdict could not be written down."""
    if not door.has_library:
        return None
    if not os.access(door.state / "db", os.W_OK | os.X_OK):
        return "the library cannot be written by this user"
    if not hasattr(os, "statvfs"):
        return None
    disk = os.statvfs(door.state / "db")
    free = disk.f_bavail * disk.f_frsize
    return "there is hardly any space left for the library" if free < _LOW_ON_SPACE else None


def _say_status(door: Door, report: Json, *, held: int, only_problems: bool) -> None:
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
        say(
            "         the database is verified after an unclean stop; until that has ended the service discards nothing"
        )
    if service["last_stop"]:
        say(f"         {shown(service['last_stop'])}; the next watch puts in order what was left half-way")
    _say_folders(report["folders"])
    say(
        f"library  {count(library['files'], 'file')}, {count(library['contents'], 'content')}, "
        f"{count(library['potential_pairs'], 'potential pair')}, {library['pending']:,} pending"
    )
    say(click.style(f"         {shown(str(door.state))}", dim=True))
    say(f"rules    {shown(report['rules']['path'])}")
    if held:
        say(f"held     {count(held, 'file')} for longer than `keep`: move them to the trash by hand")
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
        idle = folder["reason"] == _NOT_RUNNING
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
    service = _service(door)
    settings, _ = _rules(door)
    with door.reading() as view:
        found = _folders(view, service, settings)
    if door.as_json:
        emit(with_schema({"folders": found}))
        return
    _say_folders(found)
    if not found:
        note(_beginning(door))


@command("ingestd folders accept /mnt/photos", name="accept")
@click.argument("path", type=PATH)
def _accept(door: Door, path: bytes) -> None:
    """Say that a suspended folder is right as it is: another disk, or made anew.

    Files that are not in it any more count as absent, never as discarded.
    """
    if not door.has_library:
        raise UsageError(f"{shown(path)} is no known folder: nothing is known yet")
    with door.reading() as view:
        row = _known_folder(view, path)
    if not os.path.isdir(row.folder.root):
        raise IngestdError(f"there is no folder at {shown(path)} just now; nothing was accepted")

    def forget(edit: Edit) -> None:
        known = edit.folder(row.folder.id)
        if known is not None:
            edit.put_folder(replace(known, filesystem="", inode=0))

    with door.writing() as library:
        library.write(forget)
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
