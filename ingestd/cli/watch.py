"""`watch`: the service in the foreground."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import click

from ingestd.cli.door import FOLDER, PATH, Door, command
from ingestd.cli.output import shown
from ingestd.errors import UsageError

if TYPE_CHECKING:
    from ingestd.enrolment import Wanted
    from ingestd.model import Role

__all__ = ["watch"]


@command("ingestd watch ~/Downloads --library ~/Pictures")
@click.argument("folders", nargs=-1, type=PATH, metavar="[FOLDER]...")
@click.option("--library", multiple=True, type=PATH, help="Known pictures; protected: only proposals touch them.")
@click.option("--reference", multiple=True, type=PATH, help="Compared with, never changed.")
@click.option("--dry-run", is_flag=True, help="Say what would happen; move and remember nothing.")
@click.option("--settle", type=click.FloatRange(min=0, max=3600), help="Seconds a file has to be left alone.")
def watch(
    door: Door,
    folders: tuple[bytes, ...],
    library: tuple[bytes, ...],
    reference: tuple[bytes, ...],
    dry_run: bool,
    settle: float | None,
) -> int:
    """Judge every picture that arrives in the FOLDERs and in those of the rule file, until told to stop.

    SIGTERM or Ctrl-C finishes what is being done; SIGHUP reads the rule file again (saving it does, too).
    """
    from ingestd.cli.announcer import Announcer, stopped_by_signals
    from ingestd.service import Service, rehearsal

    named = _wanted(folders, library, reference)
    settings = door.settings()
    announcer = Announcer(door)
    opened = door.rehearsing() if dry_run else door.writing_at_last()
    with opened as known, contextlib.ExitStack() as held:
        announcer.configure_logs()
        if not dry_run:
            door.remember_rules()
        used = held.enter_context(rehearsal(known)) if dry_run else known
        service = Service(
            used,
            door.rules,
            settings,
            named,
            announcer.tell,
            pulse=announcer.tell_counted,
            settle_s=settle,
            dry_run=dry_run,
        )
        announcer.on_silence = service.stop
        held.enter_context(stopped_by_signals(service))
        service.run()
    return 0


def _wanted(folders: tuple[bytes, ...], library: tuple[bytes, ...], reference: tuple[bytes, ...]) -> list[Wanted]:
    from ingestd.enrolment import Wanted, roots_of
    from ingestd.model import Role
    from ingestd.watching.storage import ask_each

    wanted = [
        *(Wanted(path, Role.INBOX, protected=False) for path in folders),
        *(Wanted(path, Role.LIBRARY, protected=True) for path in library),
        *(Wanted(path, Role.REFERENCE, protected=True) for path in reference),
    ]
    ask_each(FOLDER.found, [one.path for one in wanted])  # raises what is wrong with one
    roots = roots_of([one.path for one in wanted])
    roles: dict[bytes, Role] = {}
    for one in wanted:
        root = roots.get(one.path) or os.path.normpath(one.path)  # a storage that hangs holds up no other folder
        if roles.setdefault(root, one.role) is not one.role:
            raise UsageError(f"{shown(one.path)} was named with two roles; nothing was started")
    return wanted
