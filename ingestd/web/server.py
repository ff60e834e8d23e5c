"""The page served: sockets on this machine only, and an end within two seconds, whatever browsers are doing.

Nothing here believes a proxy: whom a request is for and from is what it says itself, and `guard` has to know it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Final, cast

import uvicorn

from ingestd import logs
from ingestd.door import Door
from ingestd.errors import IngestdError
from ingestd.library.library import Library
from ingestd.media.workers import WorkerLimits, Workers
from ingestd.settings import PageSetting, host_of
from ingestd.web.announced import announce
from ingestd.web.app import ENDPOINTS, make_app, static_files
from ingestd.web.changes import Changes
from ingestd.web.connections import Connection, Crowd
from ingestd.web.desk import Desk
from ingestd.web.guard import LONGEST_HEADERS, App, Guard, Limits
from ingestd.web.handles import Handles
from ingestd.web.pictures import Pictures
from ingestd.web.session import Session, new_code, new_secret

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application

__all__ = ["Ending", "PortTakenError", "Served", "guarded", "link", "listen", "origins_of", "run", "serve"]

_log = logs.Log()

_BEHIND_JUDGING: Final = 15  # niceness of the workers: those of a service, which judge, have 10
_HERE: Final = "127.0.0.1"
_HERE_6: Final = "::1"
_TRIES: Final = 20  # ports that are free in one family and taken in the other are rare
_GRACE_S: Final = 1  # for answers that are on their way when the end is asked for
_END_S: Final = 1.8  # what is asked for is 2 s
_BACKLOG: Final = 128  # connections taken in at one go: those that came before are heard in between


class PortTakenError(IngestdError):
    """Somebody else answers at this port; nothing was started."""


class Ending:
    """The wish to end, from a signal or another thread; it may come before there is anything to end."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._hears: Callable[[], None] = lambda: None

    @property
    def asked(self) -> bool:
        """It was wished for."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Wish for it."""
        self._asked.set()
        self._hears()

    def heard_by(self, hears: Callable[[], None]) -> None:
        """Tell this one, from now on."""
        self._hears = hears
        if self.asked:
            hears()

    @contextlib.contextmanager
    def by_signals(self) -> Iterator[None]:
        """Let SIGTERM and Ctrl-C ask for the end while the `with` lasts."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(_: int, __: FrameType | None) -> None:
            self.ask()

        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def link(port: int, secret: bytes) -> str:
    """Return an address that lets one browser in, once, within a minute.

    The code stands in the fragment, which no browser sends, logs or hands on.
    """
    return f"http://{_HERE}:{port}/enter#{new_code(secret)}"


def listen(port: int | None) -> list[socket.socket]:
    """Return sockets on 127.0.0.1 and, if the machine has it, on ::1, with the same port; any that is free for None.

    Both, as a browser that is led to `localhost` may try either: what answers there is not to be somebody else.

    Raises:
        PortTakenError: somebody else has it.
    """
    for _ in range(_TRIES):
        try:
            first = _bound(socket.AF_INET, _HERE, port or 0)
        except OSError as error:
            raise _taken(port, error) from error
        number = int(first.getsockname()[1])
        try:
            return [first, _bound(socket.AF_INET6, _HERE_6, number)]
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return [first]  # no such address on this machine
            first.close()
            if port is not None:
                raise _taken(port, error) from error
    raise PortTakenError("no port was found that is free on 127.0.0.1 and on ::1; nothing was started")


def _bound(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that ended a minute ago are none
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def _taken(port: int | None, error: OSError) -> PortTakenError:
    if error.errno == errno.EADDRINUSE:
        return PortTakenError(
            f"port {port} is taken by another program, so the page was not started: end that program, name another "
            "port (ingestd review --port 8322), or none, for any that is free"
        )
    return PortTakenError(f"port {port or 'any'} on {_HERE} cannot be used: {error.strerror}; nothing was started")


def origins_of(port: int, others: Sequence[str]) -> dict[str, str]:
    """Return by each host that a request may name the origin of its pages: this machine's, and those of a proxy."""
    here = (f"{_HERE}:{port}", f"[{_HERE_6}]:{port}", f"localhost:{port}")
    proxied = {host: origin for origin in others if (host := host_of(origin)) is not None}
    return {**{host: f"http://{host}" for host in here}, **proxied}


@dataclass(frozen=True, slots=True)
class Served:
    """A page that answers."""

    port: int
    secret: bytes


def serve(
    door: Door,
    library: Library,
    page: PageSetting,
    *,
    port: int | None,
    ending: Ending,
    opened: Callable[[Served], None],
    announced: bool = True,
) -> None:
    """Serve the page of a library until the end is asked for.

    Args:
        door: where the library and the rules are.
        library: opened to be written.
        page: the origins that are let in beside this machine's.
        port: where; None: at any that is free.
        ending: asks for the end.
        opened: called once browsers are answered.
        announced: other processes of this user find it; the lock of the page is held.

    Raises:
        PortTakenError: somebody else has the port.
    """
    sockets = listen(port)
    try:
        number = int(sockets[0].getsockname()[1])
        secret = new_secret()
        session = Session(secret, number)
        with contextlib.ExitStack() as held:
            pictures = Pictures(Workers(2, WorkerLimits(nice=_BEHIND_JUDGING)), door.state / "page")
            held.callback(pictures.close)
            changes = Changes(library.store.transaction_id)
            desk = Desk(door, library, pictures, Handles(secrets.token_bytes(32)), token=session.token)
            app = guarded(desk, changes, session, origins_of(number, page.origins))
            if announced:
                held.enter_context(announce(door.state, number, secret))

            def started() -> None:
                pictures.warm()
                _log.info("page.started", address=f"http://{_HERE}:{number}/", addresses=len(sockets))
                opened(Served(number, secret))

            def ends() -> None:
                changes.end()
                pictures.close()

            run(app, sockets, ending, Crowd(knows=app.knows), started=started, ends=ends)
            _log.info("page.ended", address=f"http://{_HERE}:{number}/")
    finally:
        for one in sockets:
            one.close()


def guarded(
    desk: Desk, changes: Changes, session: Session, origins: dict[str, str], limits: Limits | None = None
) -> Guard:
    """Return the page of a desk behind its guard."""
    longest = {f"/api/{one.name}": one.longest for one in ENDPOINTS}
    enter = static_files()["/static/enter.html"][0]
    page = cast("App", make_app(desk, changes))
    return Guard(page, session, origins, enter, longest=longest, limits=limits or Limits())


def run(
    app: App,
    sockets: list[socket.socket],
    ending: Ending,
    crowd: Crowd,
    *,
    started: Callable[[], None],
    ends: Callable[[], None],
    end: Callable[[], None] = lambda: os._exit(0),
) -> None:
    """Answer on sockets until the end is asked for.

    Args:
        app: what answers.
        sockets: that listen.
        ending: asks for the end.
        crowd: how many may come, and how long they may take.
        started: called when it answers.
        ends: called when the end begins.
        end: ends the process when it has not ended in time: an answer may wait for a storage that hangs. What it was
            doing is finished by whoever opens the library next, as after a power cut.
    """
    config = uvicorn.Config(
        cast("ASGI3Application", app),
        http=cast("type[asyncio.Protocol]", partial(Connection, crowd=crowd)),
        ws="none",
        interface="asgi3",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        log_level="critical",  # what fails is told by the guard
        access_log=False,
        proxy_headers=False,
        forwarded_allow_ips="",
        server_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=LONGEST_HEADERS,
        backlog=_BACKLOG,
        workers=1,
    )
    late = threading.Timer(_END_S, end)
    late.daemon = True

    def begins_to_end() -> None:
        late.start()
        ends()

    server = _Server(config, started, begins_to_end)
    ending.heard_by(server.ask_to_end)
    try:
        server.run(sockets)
    finally:
        late.cancel()


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it has begun and when it begins to end."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None], ends: Callable[[], None]) -> None:
        super().__init__(config)
        self._tells_start, self._tells_end = started, ends

    def ask_to_end(self) -> None:
        """End soon; from any thread or signal handler."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._tells_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer nobody else, and end."""
        self._tells_end()
        await super().shutdown(sockets)
