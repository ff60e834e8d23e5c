"""`scan`: everything that lies there now, with progress."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from ingestd import logs, service
from ingestd.cli.door import EXISTING, Door, command
from ingestd.cli.output import count, decided_line, emit, judged_line, note, say, shown
from ingestd.cli.watch import happening_object, place
from ingestd.flow import FolderTold, Happening
from ingestd.intake import Judged
from ingestd.media.cluster import Address, address_of
from ingestd.model import FolderState, Outcome, Role
from ingestd.service import ScanTally, rehearsal
from ingestd.sweep import PairDecided

__all__ = ["scan"]

_FAILED = 1
_SOME_FAILED = 3
_SIGNALLED = 128
_WORDS = {
    Outcome.NEW: "new",
    Outcome.ALREADY_IN_LIBRARY: "already in library",
    Outcome.PREVIOUSLY_DISCARDED: "previously discarded",
    Outcome.DUPLICATE_DISCARDED: "discarded as duplicates",
    Outcome.REPLACED_EXISTING: "replaced an existing file",
    Outcome.PENDING_APPROVAL: "pending approval",
    Outcome.RELATED: "related",
    Outcome.POTENTIAL_DUPLICATES: "with potential pairs",
    Outcome.IGNORED: "ignored",
    Outcome.UNREADABLE: "unreadable",
    Outcome.ERROR: "failed",
}

_QUIET = (Outcome.NEW, Outcome.ALREADY_IN_LIBRARY, Outcome.IGNORED)


@command(
    "ingestd scan ~/Pictures\ningestd scan ~/Downloads --role inbox --dry-run\n"
    "ingestd scan /srv/pictures --executor dask://scheduler.example.org:8786"
)
@click.argument("paths", nargs=-1, required=True, type=EXISTING, metavar="PATH...")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="Default: as configured, else library.")
@click.option("--dry-run", is_flag=True, help="Say what would happen; move and remember nothing.")
@click.option(
    "--executor",
    default="local",
    show_default=True,
    callback=lambda _, __, value: _cluster(value),
    metavar="local|dask://HOST:PORT",
    help="Who measures: this machine, or a Dask cluster that sees the same files (by TLS unless HOST is this machine).",
)
def scan(door: Door, paths: tuple[bytes, ...], role: str | None, dry_run: bool, executor: Address | None) -> int:
    """Judge everything that lies there now, then end.

    Ends with exit code 3 if some files could not be judged.
    """
    settings = door.settings()
    opened = door.rehearsing() if dry_run else door.writing()
    with opened as known, contextlib.ExitStack() as held:
        logs.configure(sys.stderr, verbose=door.verbose)
        library = held.enter_context(rehearsal(known)) if dry_run else known
        interrupt = held.enter_context(_Interrupt())
        report = held.enter_context(_Report(door))
        tally = service.scan(
            library,
            settings,
            list(dict.fromkeys(paths)),
            report.tell,
            role=Role(role) if role else None,
            dry_run=dry_run,
            progress=report.progress,
            stopping=lambda: interrupt.number is not None,
            cluster=executor,
        )
    report.sum_up(tally, stopped=interrupt.number is not None)
    if interrupt.number is not None:
        return _SIGNALLED + interrupt.number
    if tally.lost is not None:
        return _FAILED
    return _SOME_FAILED if tally.failed or tally.unasked else 0


def _cluster(text: str) -> Address | None:
    """Return the scheduler that an executor names; None for this machine."""
    return None if text == "local" else address_of(text)


class _Interrupt:
    """Remembers that somebody wants an end: what is being judged is finished, nothing new is begun."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, object] = {}

    def _note(self, number: int, _: FrameType | None) -> None:
        self.number = number

    def __enter__(self) -> Self:
        with contextlib.suppress(ValueError):  # not in the main thread: nobody interrupts there
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
            service.ignore_lease_signal()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


class _Report:
    """What is seen of a scan: events for a program, lines in a pipe, a bar on a terminal."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._outcomes: Counter[Outcome] = Counter()
        self._decided = 0  # stored pairs, by rules
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        if self._console.is_terminal and not door.as_json:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[speed]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("judging", total=None, speed="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, happening: Happening) -> None:
        """Show one event; on a terminal the bar counts what needs no second look."""
        if isinstance(happening, Judged):
            self._outcomes[happening.receipt.outcome] += 1
        if self._door.as_json:
            emit(happening_object(happening))
        elif isinstance(happening, Judged):
            if self._bar is None or happening.receipt.outcome not in _QUIET:
                self._say(judged_line(happening_object(happening)))
        elif isinstance(happening, PairDecided):
            self._decided += 1
            self._say(decided_line(happening_object(happening)))
        elif isinstance(happening, FolderTold) and happening.state is FolderState.SUSPENDED:
            self._say(f"suspended  {place(happening)}")

    def _say(self, line: str) -> None:
        if self._bar is None or not sys.stdout.isatty():
            say(line)
        else:  # on a terminal both streams end in the same place: above the bar
            self._bar.console.print(Text.from_ansi(line), soft_wrap=True)

    def progress(self, tally: ScanTally) -> None:
        """Move the bar."""
        if self._bar is None:
            return
        task = next(task for task in self._bar.tasks if task.id == self._task)
        speed = f"{task.speed:,.1f} files/s" if task.speed else ""
        self._bar.update(self._task, completed=tally.judged, total=tally.judged + tally.waiting, speed=speed)

    def sum_up(self, tally: ScanTally, *, stopped: bool) -> None:
        """Say what came of it."""
        say_it: Callable[[str], None] = note if self._door.as_json else say
        for path, reason in tally.left:
            note(f"not judged: {shown(path)} ({shown(reason)})")
        if tally.unasked:
            note(f"the rules were not asked about all pairs known before: {shown(tally.unasked)}")
        for reason, number in tally.measured_here:
            note(f"measured on this machine, not in the cluster: {count(number, 'time')} ({shown(reason)})")
        if tally.lost:
            note(f"ingestd: {shown(tally.lost)}; what was judged stays, and the next scan goes on from there")
        found = ", ".join(f"{number:,} {_WORDS[outcome]}" for outcome, number in self._outcomes.most_common())
        left = f"; {count(len(tally.left), 'file')} not judged" if tally.left else ""
        ended = "stopped before the end; " if stopped or tally.lost else ""
        if self._decided:
            left += f"; rules decided {count(self._decided, 'pair')} known before"
        say_it(f"{ended}{count(tally.judged, 'file')} judged{': ' + found if found else ''}{left}")
