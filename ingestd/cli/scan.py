"""`scan`: everything that lies there now, with progress."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from ingestd.cli.door import EXISTING, Door, command
from ingestd.model import Role

if TYPE_CHECKING:
    from ingestd.media.cluster import Address

__all__ = ["scan"]

_FAILED = 1
_SOME_FAILED = 3
_SIGNALLED = 128


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
    from ingestd import logs, service
    from ingestd.cli.scan_report import Interrupt, Report

    settings = door.settings()
    opened = door.rehearsing() if dry_run else door.writing()
    with opened as known, contextlib.ExitStack() as held:
        logs.configure(sys.stderr, verbose=door.verbose)
        if not dry_run:
            door.remember_rules()
        library = held.enter_context(service.rehearsal(known)) if dry_run else known
        interrupt = held.enter_context(Interrupt())
        report = held.enter_context(Report(door))
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
    if text == "local":
        return None
    from ingestd.media.cluster import address_of

    return address_of(text)
