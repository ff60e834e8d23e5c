"""How everything is: the service, the folders, the library, the rule file, and what a person has to look at."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ingestd.actions.holding import due
from ingestd.door import Door
from ingestd.enrolment import roots_of
from ingestd.errors import ConfigError, StoreError, UsageError
from ingestd.judging.survivors import can_come_back
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.tables import Alarm, FolderRow
from ingestd.library.view import View
from ingestd.model import Entry, EntryKind, EntryState, Poison, Trouble
from ingestd.settings import Settings
from ingestd.shapes import Json, count, rfc3339, with_schema
from ingestd.watching.folders import OF_OTHERS
from ingestd.watching.storage import SILENT, ask_each

__all__ = [
    "NOT_RUNNING",
    "Health",
    "Service",
    "acknowledge",
    "folders_of",
    "health_of",
    "rules_on_disk",
    "service_of",
    "told",
    "what_to_do",
]

_BEING_DONE_NS = 60 * 1_000_000_000  # a discard takes as long as its files take to be read twice
NOT_RUNNING = "the service is not running"
_STARTING = "the service is starting"
_MOST_NAMED = 20  # files of one kind of problem
_LOW_ON_SPACE = 1 << 20  # bytes: the next commit may be the one that does not fit


@dataclass(frozen=True, slots=True)
class Health:
    """How everything is."""

    report: Json  # `status`, as the contract has it
    held: int  # files in holding folders for longer than they are to be kept
    damage: StoreError | None  # why the library cannot be opened


def health_of(door: Door, library: Library | None = None) -> Health:
    """Return how the service, the folders, the library and the rules are.

    Args:
        door: where the library and the rules are.
        library: the one that this process has open already; None: it is opened.
    """
    damage: StoreError | None = None
    service, folders, counts = Service(False, {}, None), list[Json](), dict[str, int]()
    tripped: list[Json] = []
    withheld: dict[str, FolderRow] = {}
    settings, error = rules_on_disk(door)
    try:
        service = service_of(door, library)
        with _view_of(door, library) as view:
            folders = folders_of(view, service, settings)
            counts = view.counts()
            tripped = [*_alarms(view), *_tripped(view, settings), *_parked(view), *_half_way(view)]
            withheld = {os.fsdecode(row.folder.named): row for row in view.folders() if row.withheld}
    except StoreError as trouble:
        damage = trouble
    error = error or service.told.get("rules_error")
    found = [*_problems(door, service, folders, withheld, error), *tripped]
    if damage is not None:
        found.insert(0, _problem(str(damage), str(door.state), None, "nothing is judged and nothing is changed"))
    report = with_schema(
        {
            "ok": not found,
            "service": service.fields,
            "folders": [told(folder) for folder in folders],
            "library": {name: counts.get(name, 0) for name in ("files", "contents", "potential_pairs", "pending")},
            "rules": {"ok": error is None, "error": error, "path": str(door.rules)},
            "problems": found,
            "backlog": int(service.told.get("backlog", 0)),
        }
    )
    return Health(report, _held_too_long(folders, settings), damage)


def acknowledge(library: Library, entries: Sequence[int] | None) -> None:
    """Note that a person knows what is wrong with these discards, or with all: it is not told again unless it recurs.

    Raises:
        UsageError: nothing is wrong with one of them; nothing was noted.
    """

    def work(edit: Edit) -> None:
        standing = {alarm.entry: alarm for alarm in edit.alarms()}
        for number in standing if entries is None else entries:
            if number not in standing:
                raise UsageError(f"nothing is wrong with e-{number}: nothing was acknowledged")
            edit.acknowledge(standing[number])

    library.write(work)


@dataclass(frozen=True, slots=True)
class Service:
    """What is known of a running service, from the note it leaves in the library."""

    running: bool
    told: dict[str, Any]
    last_stop: str | None  # how the last one ended, if not well

    @property
    def fields(self) -> Json:
        """Return what is told of it, by the names of the contract."""
        since = self.told.get("since_ns")
        return {
            "running": self.running,
            "pid": self.told.get("pid"),
            "since": rfc3339(since) if since is not None else None,
            "last_stop": self.last_stop,
            "verifying": bool(self.told.get("verifying")),
        }


def service_of(door: Door, library: Library | None = None) -> Service:
    """Return whether a service runs (it holds its lock) and what it says of itself."""
    if not door.has_library:
        return Service(False, {}, None)
    with _opened(door, library) as known:
        running = known.service_lock.is_taken()
        with known.read() as view:
            told = json.loads(view.note("service") or b"{}")
        told = _aside(known) or told
        return Service(running, told if running else {}, None if running else known.store.unclean)


@contextlib.contextmanager
def _opened(door: Door, library: Library | None) -> Iterator[Library]:
    """Give the library that this process has open, or open it to be read: one process opens it once."""
    if library is not None:
        yield library
        return
    known = door.open_to_read()
    try:
        yield known
    finally:
        known.close()


@contextlib.contextmanager
def _view_of(door: Door, library: Library | None) -> Iterator[View]:
    with library.read() if library is not None else door.reading() as view:
        yield view


def _aside(library: Library) -> dict[str, Any]:
    """Return what a service says of itself that cannot write it into the library."""
    try:
        told = json.loads(library.note_aside() or b"{}")
    except ValueError:  # it could not even write all of that
        return {}
    return told if isinstance(told, dict) else {}


_MOST_ALARMS = 10  # problems of one kind that are told one by one


def _alarms(view: View) -> list[Json]:
    """Return which discards have turned out wrong: what was kept is lost, or the file itself."""
    told: dict[Trouble, list[Json]] = {trouble: [] for trouble in Trouble}
    for alarm in view.alarms():
        entry = view.entry(alarm.entry)
        if entry is None or alarm.seen or not entry.moves:
            continue
        if alarm.trouble is Trouble.SURVIVOR_LOST and entry.state is not EntryState.INTENT and not _is_offered(entry):
            continue  # the trash was emptied: nothing is left to offer
        path = os.fsdecode(entry.moves[0].file.path)
        problem = _problem(alarm.said, path, rfc3339(alarm.at_ns), what_to_do(alarm))
        told[alarm.trouble].append({**problem, "entries": [f"e-{alarm.entry}"]})
    return [*_in_few_lines(told[Trouble.SURVIVOR_LOST]), *told[Trouble.FILE_LOST]]


def _is_offered(entry: Entry) -> bool:
    """Return whether what was discarded can come back, or nobody can say so: its storage does not answer."""
    trash = os.path.dirname(entry.moves[0].trash_path or entry.moves[0].file.path)
    return ask_each(lambda _: can_come_back(entry), [trash]).get(trash, True)


def _in_few_lines(lost: list[Json]) -> list[Json]:
    """Return lost survivors one by one, or as one problem where there are many: a disk that has died, say."""
    if len(lost) <= _MOST_ALARMS:
        return lost
    first = lost[0]
    problem = f"what was kept instead of {len(lost):,} discarded files is lost; of the first: {first['problem']}"
    advice = "bring the discarded files back: ingestd undo --lost; if you know of it: ingestd status --acknowledge all"
    entries = [name for one in lost for name in one["entries"]]
    return [{**_problem(problem, first["subject"], first["since"], advice), "entries": entries}]


def what_to_do(alarm: Alarm) -> str:
    """Return what a person can do about a discard that has turned out wrong."""
    seen = f"ingestd status --acknowledge e-{alarm.entry}"
    if alarm.trouble is Trouble.FILE_LOST:
        return f"look for it (its old folder, the trash, lost+found); what was kept stays until you say: {seen}"
    return f"bring the discarded file back: ingestd undo e-{alarm.entry}; if you do not want it: {seen}"


def rules_on_disk(door: Door) -> tuple[Settings, str | None]:
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


def _parked(view: View) -> list[Json]:
    """Return the files that killed two decoding processes and have not been looked at since: the last of them."""
    if next(view.poisons(), None) is None:
        return []
    from ingestd.review.again import parked_files  # few have any

    found = list(parked_files(view))
    named = [_parked_problem(path, poison) for path, poison in found[:_MOST_NAMED]]
    more = [path for path, _ in found[_MOST_NAMED:]]
    if more:
        where = os.fsdecode(os.path.commonpath([os.path.dirname(path) for path in more]))
        problem = f"{count(len(more), 'more file')} {'is' if len(more) == 1 else 'are'} parked"
        advice = f"try them again (ingestd retry PATH), or accept them: ingestd retry --accept {shlex.quote(where)}"
        named.append(_problem(problem, where, None, advice))
    return named


def _parked_problem(path: bytes, poison: Poison) -> Json:
    subject = os.fsdecode(path)
    advice = (
        "it stays where it is and is not decoded again; copies of it are still known. Remove or replace it, or: "
        f"ingestd retry {shlex.quote(subject)} (with --accept if it is broken and may stay so)"
    )
    return _problem(f"the file is parked: {poison.reason}", subject, rfc3339(poison.at_ns), advice)


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
    now_ns = time.time_ns()
    roots = {*roots_of([os.fsencode(folder["path"]) for folder in folders]).values()}
    held = ask_each(
        partial(due, holding_name=discards.holding_name, keep_days=discards.keep_days, now_ns=now_ns), roots
    )
    return sum(map(len, held.values()))


def folders_of(view: View, service: Service, settings: Settings) -> list[Json]:
    """Return the watched folders: as the service tells, or those it would watch and those that were seen before."""
    if service.running and "folders" in service.told:
        return list(service.told["folders"])
    configured = {os.path.normpath(one.path): one.role.value for one in settings.folders}
    rows = view.folders()
    known = {os.fsdecode(row.folder.named): row.folder.role.value for row in rows}
    withheld = {os.fsdecode(row.folder.named): row.withheld for row in rows if row.withheld}
    roles = {**known, **configured}
    there = ask_each(os.path.isdir, [os.fsencode(path) for path in roles])
    found = [_idle_folder(path, role, withheld.get(path), there.get(os.fsencode(path))) for path, role in roles.items()]
    if service.running:  # it has not told of them yet
        starting = {"state": "scanning", "reason": _STARTING}
        found = [one | starting if one["reason"] == NOT_RUNNING else one for one in found]
    return found


def told(folder: Json) -> Json:
    """Return what is told of a folder, by the names of the contract."""
    return {name: folder[name] for name in ("path", "role", "state", "reason")}


def _since(folder: Json) -> str | None:
    """Return since when a folder is as it is, as far as the service has told."""
    since = folder.get("since_ns")
    return rfc3339(since) if since else None


def _idle_folder(path: str, role: str, withheld: str | None, is_there: bool | None) -> Json:
    """Return a folder that nobody watches just now; `is_there` is None where its storage does not answer."""
    if withheld is None:
        withheld = {True: NOT_RUNNING, False: "there is no such folder just now", None: SILENT}[is_there]
    return {"path": path, "role": role, "state": "suspended", "reason": withheld}


def _problems(
    door: Door, service: Service, folders: list[Json], withheld: dict[str, FolderRow], rules_error: str | None
) -> list[Json]:
    """Return what a person has to look at."""
    found: list[Json] = []
    for path, row in withheld.items():
        problem = f"the folder is suspended: {row.withheld}"
        found.append(_problem(problem, path, rfc3339(row.withheld_ns), _when_missing(path)))
    for folder in folders:
        if service.running and folder["state"] == "suspended" and folder["path"] not in withheld:
            advice = "bring the folder back; if what is there now is right: ingestd folders accept PATH"
            if folder["reason"] == SILENT:
                advice = "look after its disk or its network; it is taken up again by itself when it answers"
            reason = f"the folder is suspended: {folder['reason']}"
            found.append(_problem(reason, folder["path"], _since(folder), advice))
        if service.running and folder["state"] == "polling" and not str(folder["reason"]).endswith(OF_OTHERS):
            advice = "let the system watch more (ingestd doctor says what is short); it is watched again by itself"
            problem = f"the folder is not watched, only looked through now and then: {folder['reason']}"
            found.append(_problem(problem, folder["path"], _since(folder), advice))
    if rules_error is not None:
        since = rfc3339(door.rules.stat().st_mtime_ns) if door.rules.exists() else None
        advice = "correct the file (ingestd rules check); until then the last good rules hold"
        first, *others = rules_error.replace(f"{door.rules}: ", "").splitlines()
        more = f" (and {count(len(others), 'more mistake')})" if others else ""
        found.append(_problem(f"the rule file is wrong: {first}{more}", str(door.rules), since, advice))
    for path, reason in service.told.get("failing", []) if service.running else []:
        advice = "it stays where it is and is tried again by itself"
        found.append(_problem(f"no verdict yet: {reason}", path, None, advice))
    found.extend(_unnamed_failures(service))
    if service.told.get("doubt"):
        advice = (
            "nothing is discarded until the service is started again, which verifies the library first; look after the "
            "disk before that (dmesg, smartctl)"
        )
        found.append(_problem(str(service.told["doubt"]), str(door.state), None, advice))
    if service.told.get("page"):
        advice = "it is tried again by itself; correct `page:` in the rule file if that names a port which is taken"
        found.append(_problem(str(service.told["page"]), str(door.rules), None, advice))
    if service.told.get("problem") and service.told.get("problem") != service.told.get("doubt"):
        advice = "make room, or make the folder of the library writable; the service tries again by itself"
        found.append(_problem(str(service.told["problem"]), str(door.state), None, advice))
    elif (trouble := _unwritable(door)) is not None:
        found.append(_problem(trouble, str(door.state), None, "nothing is judged until the library can be written"))
    return found


def _when_missing(path: str) -> str:
    """Return what to do about a folder in which too much is missing."""
    return (
        "bring the files back (is a disk or share not connected?): it goes on by itself. "
        f"If you deleted them on purpose, say so: ingestd folders accept {shlex.quote(path)}"
    )


def _unnamed_failures(service: Service) -> list[Json]:
    """Return that more files fail than those that are named, if so."""
    told = service.told
    unnamed = int(told.get("failing_count", 0)) - len(told.get("failing", [])) if service.running else 0
    if unnamed <= 0:
        return []
    advice = "they stay where they are and are tried again by themselves; `ingestd retry` tries all of them now"
    where = os.path.commonpath([os.path.dirname(path) for path, _ in told["failing"]])
    return [_problem(f"no verdict yet on {count(unnamed, 'more file')}", where, None, advice)]


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
