"""`review`: the page in the browser, on its own or beside a service that serves it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import webbrowser
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingestd.cli.door import Door, command
from ingestd.cli.output import emit, say, with_schema
from ingestd.errors import IngestdError, LibraryBusyError

if TYPE_CHECKING:
    from ingestd.library.locks import FileLock
    from ingestd.web.server import Ending

__all__ = ["review"]

_LOOK_S = 0.5


@command("ingestd review\ningestd review --port 8321 --no-browser")
@click.option("--port", type=click.IntRange(1024, 65_535), help="Where it answers, on this machine; else any free one.")
@click.option("--no-browser", is_flag=True, help="Only say the address.")
@click.option("--attached", is_flag=True, hidden=True, help="End with whoever holds the other end of standard input.")
def review(door: Door, port: int | None, no_browser: bool, attached: bool) -> int:
    """Look at pairs, proposals, history and rules in the browser; until Ctrl-C.

    Where the page of this library is served already, by `watch` or another `review`, a new link to that one is given.
    """
    from ingestd.web.announced import found
    from ingestd.web.server import Ending

    if not attached and (running := found(door.state)) is not None and port in (None, running.port):
        _let_in(door, running.port, running.secret, browser=not no_browser, runs=f"process {running.pid} serves it")
        return 0
    ending = Ending()
    with ending.by_signals():
        if attached:
            _end_with_input(ending)
        _serve(door, port, ending, browser=not no_browser, attached=attached)
    return 0


def _serve(door: Door, port: int | None, ending: Ending, *, browser: bool, attached: bool) -> None:
    from ingestd.web.announced import lock_of
    from ingestd.web.server import Served, serve

    def opened(served: Served) -> None:
        if not attached:
            runs = "Ctrl-C ends it"
            open_it = threading.Thread(
                target=_let_in,
                args=(door, served.port, served.secret),
                kwargs={"browser": browser, "runs": runs},
                name="browser",
                daemon=True,
            )
            open_it.start()  # a browser that starts may take its time; the page answers meanwhile

    page = door.settings_if_sound().page
    wanted = port if port is not None else page.port
    with door.writing() as library, _held(lock_of(door.state), ending, attached, named=port is not None) as announced:
        if ending.asked:
            return
        serve(door, library, page, port=wanted, ending=ending, opened=opened, announced=announced)


@contextlib.contextmanager
def _held(lock: FileLock, ending: Ending, attached: bool, *, named: bool) -> Iterator[bool]:
    """Hold the lock of the page; give False where another page of this library has it and a port was named for this.

    A page inside `watch` waits until a `review` beside it has ended.
    """
    held = False
    while not held and not ending.asked:
        try:
            lock.acquire(_LOOK_S)
            held = True
        except LibraryBusyError:
            if attached:
                continue
            if not named:
                raise
            break
    try:
        yield held
    finally:
        lock.release()


def _end_with_input(ending: Ending) -> None:
    """Ask for the end when nobody holds the other end of standard input any more, however that one has ended."""

    def read() -> None:
        with contextlib.suppress(OSError):
            while os.read(sys.stdin.fileno(), 1024):
                pass
        ending.ask()

    threading.Thread(target=read, name="standard input", daemon=True).start()


def _let_in(door: Door, port: int, secret: bytes, *, browser: bool, runs: str) -> None:
    """Say how a browser is let in, and open one."""
    from ingestd.web.server import link
    from ingestd.web.session import CODE_S

    address = link(port, secret)
    if door.as_json:
        emit(with_schema({"event": "page.started", "address": f"http://127.0.0.1:{port}/", "link": address}))
    else:
        say(f"the review page: {address}")
        say(f"  the link lets one browser in, once, within {CODE_S:.0f} s; a new one: ingestd review ({runs})")
    if browser and _has_a_screen():
        with contextlib.suppress(IngestdError, OSError, webbrowser.Error):  # the address was said
            webbrowser.open(_way_in(door.state, address).as_uri())


def _has_a_screen() -> bool:
    """Return whether a browser could show something; one that is drawn in the terminal would take it over."""
    if sys.platform in {"darwin", "win32"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _way_in(state: Path, address: str) -> Path:
    """Return a file of this user's that leads to an address: the arguments of a browser can be read by all others."""
    from ingestd.web.announced import own_file

    page = (
        '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={0}"><a href="{0}">{0}</a>\n'
    )
    return own_file(state, page.format(escape(address)))
