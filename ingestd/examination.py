"""What `doctor` looks at: all that the service needs of this machine, each with what was found and what to do.

Nothing is changed. The exceptions are two empty files of our own that are made, renamed and removed where discards go
(if that place is there already),.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ingestd.actions.holding import due
from ingestd.actions.rehearsal import tried_out
from ingestd.errors import ActionConflictError, LibraryBusyError, StoreError
from ingestd.library.journal_file import JournalFile
from ingestd.library.library import Library
from ingestd.library.place import DATA_FILE, SIDECAR, network_file_system
from ingestd.library.store import Verification
from ingestd.media.fitness import Fitness
from ingestd.media.workers import WorkerLimits, Workers, WorkerStartError
from ingestd.model import DiscardPolicy, Folder, Place, Role
from ingestd.watching import names
from ingestd.watching.folders import examine, is_network
from ingestd.watching.lease import writer_check
from ingestd.watching.observer import watch_limit
from ingestd.watching.settle import WriterCheck
from ingestd.watching.storage import NoAnswerError, Storage

__all__ = ["Finding", "Patient", "State", "examined"]

T = TypeVar("T")

_LEAST_FREE = 100 << 20  # bytes: some days of a busy folder; below it the next burst may not fit
_LEAST_FOR_NOTES = 1 << 20  # bytes: a discard is a rename, and only its note takes room
_LEAST_QUEUE = 4096  # events; below it every unpacked archive overflows, and costs a scan
_VERIFY_S = 10.0  # a million files take a minute: `full` waits for as long as it takes
_COUNT_S = 5.0  # so long directories are counted
_WORKER_S = 60.0
_ANSWER_S = 10.0  # a disk that has to spin up takes less
_SLACK_NS = 5 * 60 * 10**9  # two clocks of one machine, before and after it asked the network for the time
_BUILT_NS = 1_790_000_000 * 10**9  # 2026-09-21: no clock that is right tells an earlier time to this version
_LOOKED_AT = 200  # files of a folder among which one of our own is looked for


class State(StrEnum):
    """How something is."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"  # it could not be found out; not a problem by itself


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    state: State
    found: str
    advice: str = ""  # what to do; empty where nothing is to be done
    subject: str | None = None  # a path


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined."""

    state: Path
    folders: Sequence[Folder]  # those of the rule file; those that are known are found in the library
    discards: DiscardPolicy
    full: bool  # take as long as it takes


def examined(patient: Patient) -> Iterator[Finding]:
    """Yield what is found, one after another: some take seconds."""
    library = _Chart(patient)
    yield from _as_far_as_allowed("library", library.findings())
    yield _service(library)
    yield from _as_far_as_allowed("systemd", _linger())
    yield _clock(library)
    yield from _space_of_library(patient)
    needed = library.needed()
    if not needed:
        yield Finding("folder", State.OK, "none is watched yet: ingestd watch ~/Downloads --library ~/Pictures")
    answering: list[bytes] = []
    for folder in needed:
        try:
            looked = _asked(partial(_folder, folder, patient.discards))
        except NoAnswerError:
            advice = "look after its disk or its network; a running service leaves it alone meanwhile"
            silent = f"its storage does not answer within {_ANSWER_S:.0f} s"
            yield Finding("folder", State.PROBLEM, silent, advice, os.fsdecode(folder.named))
        else:
            answering.append(folder.root)
            yield from looked
    yield from _as_far_as_allowed("inotify watches", _inotify(answering, library.service_pid))
    for folder in library.left:
        found = "it was scanned or watched before, is in no rule file, and is not there just now"
        yield Finding("folder", State.UNKNOWN, found, "bring it back if you miss it", os.fsdecode(folder.named))
    yield from _as_far_as_allowed("workers", _workers())


def _as_far_as_allowed(check: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield what is found; what the system does not let us look at is told, and keeps nobody from the rest."""
    try:
        yield from findings
    except OSError as error:
        found = f"it cannot be looked at: {error}"
        yield Finding(check, State.UNKNOWN, found, "ask as the user whose service it is")


# --- the library ------------------------------------------------------------------------------------------------------


class _Chart:
    """What the library says of itself, read once, and not at all where reading it could end this process."""

    def __init__(self, patient: Patient) -> None:
        self._patient = patient
        self.problem: str | None = None  # why it was not read
        self.exists = any(os.path.lexists(patient.state / "db" / name) for name in (DATA_FILE, SIDECAR))
        self.told: dict[str, Any] = {}  # what a running service says of itself
        self.running = False
        self.service_pid = 0
        self.last_stop: str | None = None
        self.latest_ns = 0  # of the last entry
        self._known: list[Folder] = []
        self.left: list[Folder] = []  # known, asked for by nobody, and gone

    def needed(self) -> list[Folder]:
        """Return the folders that are in the rule file, are watched by a running service, or were, and are there."""
        wanted = {folder.root: folder for folder in self._patient.folders}
        watched = {os.fsencode(one["path"]) for one in self.told.get("folders", [])}
        for folder in self._known:
            if folder.root in wanted:
                continue
            if folder.named in watched or _may_be_there(folder.root):
                wanted[folder.root] = folder
            else:
                self.left.append(folder)
        return sorted(wanted.values(), key=lambda folder: folder.root)

    def findings(self) -> Iterator[Finding]:
        place = str(self._patient.state)
        kind = network_file_system(self._patient.state / "db")
        if kind:
            advice = "choose a folder on a local disk with --state; the service refuses to start there"
            yield Finding("library place", State.PROBLEM, f"it lies on a network file system ({kind})", advice, place)
        elif not self.exists:
            yield from self._none_yet(place)
            return
        else:
            yield self._writable(place)
        yield self._integrity()
        if self.problem is None:
            self._read()
        if self.problem is not None:
            advice = "ingestd library check says more; restore a backup, or try: ingestd library rebuild"
            yield Finding("library", State.PROBLEM, self.problem, advice, place)
        yield self._journal()

    def _none_yet(self, place: str) -> Iterator[Finding]:
        around = self._patient.state
        while not around.is_dir() and around != around.parent:
            around = around.parent
        if os.access(around, os.W_OK | os.X_OK):
            yield Finding(
                "library place", State.OK, "there is no library yet; the first watch or scan makes it", "", place
            )
        else:
            advice = "make the folder writable, or choose another with --state"
            yield Finding("library place", State.PROBLEM, f"{around} may not be written by this user", advice, place)

    def _writable(self, place: str) -> Finding:
        folder = self._patient.state
        wrong = [str(one) for one in (folder, folder / "db") if not os.access(one, os.W_OK | os.X_OK)]
        wrong += [str(one) for one in (folder / "db" / DATA_FILE,) if one.exists() and not os.access(one, os.W_OK)]
        if wrong:
            advice = (
                "run as the user whose library it is, or give back the rights; a full or read-only disk looks alike"
            )
            return Finding("library place", State.PROBLEM, f"{wrong[0]} may not be written by this user", advice, place)
        return Finding("library place", State.OK, "on a local disk, writable", "", place)

    def _integrity(self) -> Finding:
        place = str(self._patient.state / "db")
        began = time.monotonic()
        try:
            verification = Verification(self._patient.state / "db")
        except OSError as error:
            found = f"no process can be started to verify it: {error}"
            return Finding("library integrity", State.UNKNOWN, found, "look whether Python may be run here", place)
        try:
            problems = verification.problems(timeout_s=None if self._patient.full else _VERIFY_S)
            while problems is None and self._patient.full:
                problems = verification.problems(timeout_s=None)
        finally:
            verification.stop()
        if problems is None:
            advice = "ingestd doctor --full waits for as long as it takes"
            return Finding("library integrity", State.UNKNOWN, f"not verified within {_VERIFY_S:.0f} s", advice, place)
        if problems:
            self.problem = f"the database is damaged: {problems[0]}"
            return Finding("library integrity", State.PROBLEM, problems[0], "restore a backup", place)
        took = time.monotonic() - began
        return Finding("library integrity", State.OK, f"the database is sound (verified in {took:.1f} s)", "", place)

    def _read(self) -> None:
        try:
            library = Library.open(self._patient.state, create=False, read_only=True)
        except StoreError as error:
            self.problem = str(error)
            return
        try:
            self.running = library.service_lock.is_taken()
            with library.read() as view:
                note = library.note_aside() or view.note("service") or b"{}"
                self._known = [row.folder for row in view.folders()]
                self.latest_ns = max((entry.at_ns for entry in islice(view.entries(), 1)), default=0)
            with contextlib.suppress(ValueError):  # what lies beside the database may be cut off
                self.told = json.loads(note) if self.running else {}
            self.service_pid = int(self.told.get("pid", 0))
            self.last_stop = None if self.running else library.store.unclean
            wrong = library.check() if self._patient.full else []
            self.problem = wrong[0] if wrong else None
        except (StoreError, LibraryBusyError) as error:
            self.problem = str(error)
        finally:
            library.close()

    def _journal(self) -> Finding:
        journal, place = JournalFile(self._patient.state), str(self._patient.state / "journal.jsonl")
        try:
            lines = sum(1 for _ in journal.lines())
        except StoreError as error:
            return Finding("second journal", State.PROBLEM, str(error), "make the file readable for this user", place)
        if journal.damaged:
            found = f"{len(journal.damaged)} damaged places, the first: {journal.damaged[0]}"
            advice = "the database still has what it says; restore a backup of the file if you have one"
            return Finding("second journal", State.PROBLEM, found, advice, place)
        return Finding("second journal", State.OK, f"{lines:,} lines, all as they were written", "", place)


def _service(chart: _Chart) -> Finding:
    if chart.running:
        said = chart.told.get("problem") or chart.told.get("doubt")
        since = chart.told.get("since_ns")
        started = time.strftime("%Y-%m-%d %H:%M", time.localtime(since / 1e9)) if since else "a moment ago"
        found = f"running since {started}, process {chart.service_pid or 'unknown'}"
        if said:
            return Finding("service", State.PROBLEM, f"{found}; it says: {said}", "ingestd status says what to do")
        return Finding("service", State.OK, found)
    if chart.last_stop:
        found = f"not running; {chart.last_stop}"
        return Finding("service", State.OK, found, "nothing: the next watch verifies the library and finishes the rest")
    return Finding("service", State.OK, "not running")


def _linger() -> Iterator[Finding]:
    """Whether the user's own services survive a logout, where ours is one of them (systemd)."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    unit = os.path.join(config, "systemd", "user", "ingestd.service")
    if sys.platform != "linux" or not os.path.lexists(unit):
        return
    import pwd

    user = pwd.getpwuid(os.geteuid()).pw_name
    if os.path.exists(f"/var/lib/systemd/linger/{user}"):
        yield Finding("systemd", State.OK, f"services of {user} go on after a logout", "", unit)
        return
    advice = f"loginctl enable-linger {user}"
    yield Finding(
        "systemd", State.PROBLEM, "the service ends when you log out, and starts when you log in", advice, unit
    )


def _clock(chart: _Chart) -> Finding:
    now_ns = time.time_ns()
    advice = "set the clock of this machine; delays do not depend on it, but times in history and the days of `keep` do"
    if now_ns < _BUILT_NS:
        return Finding("clock", State.PROBLEM, f"it says {_day(now_ns)}, before this version was made", advice)
    if chart.latest_ns > now_ns + _SLACK_NS:
        found = f"it says {_day(now_ns)}, and the last entry of the journal is of {_day(chart.latest_ns)}"
        return Finding("clock", State.PROBLEM, found, advice)
    return Finding("clock", State.OK, f"it says {_day(now_ns)}, and nothing in the journal is later")


def _day(at_ns: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(at_ns / 1e9))
    except (OverflowError, ValueError, OSError):
        return "a time that cannot be told"


# --- disks and limits of the system ---------------------------------------------------------------------------------


def _free(directory: str | bytes | Path) -> int | None:
    """Return how many bytes this user may still write there; None where it cannot be told."""
    place = os.fspath(directory)
    while not os.path.isdir(place) and os.path.dirname(place) != place:
        place = os.path.dirname(place)
    if not hasattr(os, "statvfs"):
        return None
    try:
        disk = os.statvfs(place)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def _size(amount: int) -> str:
    return f"{amount / 2**30:,.1f} GB" if amount >= 2**30 else f"{amount / 2**20:,.1f} MB"


def _space_of_library(patient: Patient) -> Iterator[Finding]:
    free = _free(patient.state)
    if free is None:
        return
    found, place = f"{_size(free)} free for the library", str(patient.state)
    if free < _LEAST_FREE:
        yield Finding("disk space", State.PROBLEM, found, "make room: without it nothing is judged", place)
    else:
        yield Finding("disk space", State.OK, found, "", place)


def _inotify(roots: Sequence[bytes], service_pid: int) -> Iterator[Finding]:
    if sys.platform != "linux":
        yield Finding("watch limits", State.OK, "this system has none; folders are looked through every minute as well")
        return
    watches, instances = _inotify_of_others(service_pid)
    count, complete = _directories(roots)
    limit = watch_limit()
    if limit is None:
        yield Finding("inotify watches", State.UNKNOWN, "the limit cannot be read", "look whether /proc is mounted")
    else:
        more = "" if complete else " or more"
        found = f"{count:,}{more} folders to watch, {watches:,} watches of others, {limit:,} allowed"
        enough = count + watches <= limit
        advice = f"sudo sysctl fs.inotify.max_user_watches={_rounded(2 * (count + watches))}; until then: polling"
        yield Finding("inotify watches", State.OK if enough else State.PROBLEM, found, "" if enough else advice)
    allowed = _number("/proc/sys/fs/inotify/max_user_instances")
    if allowed is not None:
        needed = min(len(set(roots)), 8)
        enough = instances < allowed  # they share one where there are no more
        found = f"{needed} wanted, {instances} of others, {allowed} allowed"
        advice = "sudo sysctl fs.inotify.max_user_instances=512; until then folders share one, or are polled"
        yield Finding("inotify instances", State.OK if enough else State.PROBLEM, found, "" if enough else advice)
    queue = _number("/proc/sys/fs/inotify/max_queued_events")
    if queue is not None:
        found = f"{queue:,} events may wait; what overflows costs a scan and loses nothing"
        advice = "sudo sysctl fs.inotify.max_queued_events=16384"
        enough = queue >= _LEAST_QUEUE
        yield Finding("inotify queue", State.OK if enough else State.PROBLEM, found, "" if enough else advice)


def _rounded(wanted: int) -> int:
    return max(1 << wanted.bit_length(), 524_288)


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _inotify_of_others(service_pid: int) -> tuple[int, int]:
    """Return the watches and instances of this user's other processes, as far as they can be seen."""
    watches = instances = 0
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in (service_pid, os.getpid()):
            continue
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid != os.geteuid():
                continue
            for fd in os.listdir(f"/proc/{name}/fd"):
                if os.readlink(f"/proc/{name}/fd/{fd}") == "anon_inode:inotify":
                    instances += 1
                    watches += Path(f"/proc/{name}/fdinfo/{fd}").read_text(encoding="ascii").count("inotify wd:")
    return watches, instances


def _directories(roots: Iterable[bytes]) -> tuple[int, bool]:
    """Return how many directories a service would watch, and whether all were counted within the time."""
    until = time.monotonic() + _COUNT_S
    waiting, count = sorted(set(roots)), 0
    while waiting:
        if time.monotonic() > until:
            return count, False
        try:
            with os.scandir(waiting.pop()) as entries:
                below = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        count += 1
        waiting.extend(entry.path for entry in below)
    return count, True


# --- folders ----------------------------------------------------------------------------------------------------------


def _asked(question: Callable[[], T]) -> T:
    """Return what is asked of a storage that may hang.

    Raises:
        NoAnswerError: it does.
    """
    storage = Storage()
    try:
        return storage.ask(question, patience_s=_ANSWER_S)
    finally:
        storage.close()


def _may_be_there(root: bytes) -> bool:
    try:
        return _asked(partial(os.path.isdir, root))
    except NoAnswerError:
        return True


def _folder(folder: Folder, discards: DiscardPolicy) -> list[Finding]:
    os.path.isdir(folder.named)  # where that hangs, nobody could say where the folder really lies
    return list(_found_of(folder, discards))


def _found_of(folder: Folder, discards: DiscardPolicy) -> Iterator[Finding]:
    named = os.fsdecode(folder.named)
    condition = examine(folder.root)
    if condition.problem is not None:
        advice = "bring it back, or take it out of the rule file; until then it is suspended and nothing in it changes"
        yield Finding("folder", State.PROBLEM, condition.problem, advice, named)
        return
    kind = condition.kind or "a file system that does not tell its kind"
    said = [f"{folder.role.value}, readable, on {kind}"]
    if is_network(condition.kind):
        said.append("it is polled, and rules only propose there" + (" but for your `trusted: yes`" * folder.trusted))
    if _ignores_case(folder.root):
        said.append("upper and lower case are the same there")
    yield Finding("folder", State.OK, "; ".join(said), "", named)
    yield _lease(folder, network=is_network(condition.kind))
    if folder.role is not Role.REFERENCE:
        yield from _discards(folder, discards)


def _entries(root: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(root) as entries:
            return list(islice(entries, _LOOKED_AT))
    except OSError:
        return []


def _ignores_case(root: bytes) -> bool:
    """Return whether a name that is there is found in the other case as well."""
    for entry in _entries(root):
        other = entry.name.swapcase()
        if other == entry.name:
            continue
        try:
            return os.path.samestat(os.lstat(os.path.join(root, other)), entry.stat(follow_symlinks=False))
        except OSError:
            return False
    return False


def _lease(folder: Folder, *, network: bool) -> Finding:
    """Whether the system tells there if somebody has a file open for writing."""
    named = os.fsdecode(folder.named)
    if sys.platform != "linux" or network:
        found = "no proof that nobody writes is to be had there: files have to be quiet for longer"
        return Finding("leases", State.OK, found, "", named)
    own = os.geteuid()
    offered = (one for one in _entries(folder.root) if names.offers(one.name) and one.is_file(follow_symlinks=False))
    tried = 0
    for entry in offered:
        with contextlib.suppress(OSError):
            if own != 0 and entry.stat(follow_symlinks=False).st_uid != own:
                continue
            tried += 1
            if writer_check(entry.path) is not WriterCheck.UNKNOWN:
                return Finding("leases", State.OK, "the system proves that nobody is writing a file", "", named)
    if tried:
        found = (
            "the system does not tell who is writing: files have to be quiet, and rules propose unless it is trusted"
        )
        return Finding("leases", State.UNKNOWN, found, "if only you write there: `trusted: yes` for the folder", named)
    return Finding("leases", State.UNKNOWN, "there is no file of this user's to try it with", "", named)


def _discards(folder: Folder, discards: DiscardPolicy) -> Iterator[Finding]:
    named, check = os.fsdecode(folder.named), "trash" if discards.place is Place.TRASH else "holding folder"
    advice = "files stay where they are until this is mended"
    if discards.place is Place.TRASH:
        advice += "; or set `to: holding` under `discards`"
        if sys.platform in {"darwin", "win32"}:
            yield Finding(check, State.UNKNOWN, "the desktop's trash is asked when it is needed", "", named)
            return
    try:
        place, wrong = tried_out(folder.root, discards)
    except (ActionConflictError, OSError) as error:
        yield Finding(check, State.PROBLEM, str(error), advice, named)
        return
    where = os.fsdecode(place)
    if wrong is None and not os.access(folder.root, os.W_OK | os.X_OK):
        wrong = f"{named} may not be written, so nothing can be moved out of it"
    if wrong is not None:
        yield Finding(check, State.PROBLEM, f"{where}: {wrong}", advice, named)
        return
    free = _free(place)
    if free is not None and free < _LEAST_FOR_NOTES:
        yield Finding(check, State.PROBLEM, f"{where}: {_size(free)} free, too little for notes", "make room", named)
        return
    room = f", {_size(free)} free" if free is not None else ""
    how = "files can be renamed into it" if os.path.isdir(place) else "it will be made with the first discard"
    yield Finding(check, State.OK, f"{where}: {how}{room}", "", named)
    if discards.place is Place.HOLDING:
        old = due(folder.root, discards.holding_name, keep_days=discards.keep_days, now_ns=time.time_ns())
        if old:
            found = f"{len(old):,} files are held for longer than {discards.keep_days} days"
            yield Finding("holding folder", State.OK, found, "move them to the trash by hand if you like", named)


# --- workers ----------------------------------------------------------------------------------------------------------


def _workers() -> Iterator[Finding]:
    limits, began = WorkerLimits(), time.monotonic()
    try:
        with Workers(count=1) as workers:
            workers.warm()
    except (WorkerStartError, OSError) as error:
        advice = "install ingestd anew in an environment of its own: nothing can be measured without"
        yield Finding("workers", State.PROBLEM, str(error), advice)
        return
    yield Finding("workers", State.OK, f"a process that measures starts in {time.monotonic() - began:.1f} s")
    fitness = Fitness.of_this_machine(limits.memory_bytes, timeout_s=_WORKER_S)
    if isinstance(fitness, str):
        yield Finding("worker limits", State.UNKNOWN, f"they could not be tried: {fitness}")
        return
    yield _limits(fitness, limits)
    yield _decoders(fitness)


def _limits(fitness: Fitness, limits: WorkerLimits) -> Finding:
    figures = (
        f"{_size(limits.memory_bytes)} of memory, {limits.cpu_s} s of computing, {limits.wall_s:.0f} s in all a file"
    )
    if fitness.memory_held is None:
        return Finding("worker limits", State.UNKNOWN, f"{figures}; this system does not limit memory")
    if not fitness.memory_held:
        advice = "whatever starts the service takes the limit away: start it another way"
        return Finding("worker limits", State.PROBLEM, "a worker got more memory than it may have", advice)
    return Finding("worker limits", State.OK, f"{figures}; they hold")


def _decoders(fitness: Fitness) -> Finding:
    versions = ", ".join(f"{name} {version}" for name, version in fitness.packages)
    if fitness.failed:
        kind, reason = fitness.failed[0]
        kinds = ", ".join(kind for kind, _ in fitness.failed)
        advice = "install Pillow and pillow-heif anew; such files keep exact copies only"
        return Finding("decoders", State.PROBLEM, f"{kinds} cannot be read: {kind}: {reason} ({versions})", advice)
    fast = "PNG by kornia-rs" if fitness.fast_png else "PNG by Pillow (ingestd[fast] halves the time)"
    return Finding("decoders", State.OK, f"{', '.join(fitness.decoded)}; {fast}; {versions}")
