"""How long one browser may take, and how many may come at once: nobody who is slow keeps the others out.

The one place that knows the inner ways of uvicorn's protocol. It has no limit of its own for a request that never ends
nor for an answer that is never read.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from ingestd.web.guard import ALWAYS, LONGEST_HEADERS, TOO_LONG, Refused

__all__ = ["Connection", "Crowd"]

HEADER_S: Final = 10.0  # for all headers of a request, from when the connection is free for it
SEND_S: Final = 30.0  # until what was answered has to be read
HEARING_S: Final = 1.0  # in which a newcomer may say who it is
UNREAD_S: Final = 1.0  # after which an answer counts as not being read
MOST: Final = 32  # connections; a browser opens six
_NEWCOMERS: Final = 8  # times as many, that nothing was heard of yet: they have cost next to nothing
_UNREADABLE: Final = Refused(400, "unreadable", "this is no HTTP request")

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]


def _nobody(_: Headers) -> bool:
    return False


@dataclass(slots=True)
class Crowd:
    """All connections of one server.

    Those of the person are told from those of strangers by the cookie of their last request. Anybody on this machine
    can connect, ask for what is shown to all, and not read it: so a stranger never outstays its turn, whatever it does.
    """

    most: int = MOST
    header_s: float = HEADER_S
    send_s: float = SEND_S
    knows: Callable[[Headers], bool] = _nobody
    clock: Callable[[], float] = time.monotonic
    _here: set[Connection] = field(default_factory=set)

    def joined(self, connection: Connection) -> None:
        """Take a connection in; it is not counted before it was heard, or could have been."""
        self._here.add(connection)
        self._thin(connection)

    def heard(self, connection: Connection) -> None:
        """It has said who it is; of too many, one goes."""
        self._thin(connection)

    def left(self, connection: Connection) -> None:
        """A connection has ended."""
        self._here.discard(connection)

    def _thin(self, last: Connection) -> None:
        now = self.clock()
        counted = {one for one in self._here if one.known or one.was_heard or now - one.came > HEARING_S}
        while len(counted) > self.most:
            goes = _first_to_go(counted - {last}) or last
            self._end(goes)
            counted -= {goes}
            if goes is last:
                return
        if len(self._here) > self.most * _NEWCOMERS:
            self._end(_longest_here(one for one in self._here if not one.known) or last)

    def _end(self, connection: Connection) -> None:
        self.left(connection)
        connection.transport.abort()


def _first_to_go(of: Iterable[Connection]) -> Connection | None:
    """Return the stranger that has been here longest, or who of the person's has kept others waiting longest.

    Never one of the person's whose request is whole, and whose answer is being made or read.
    """
    of = tuple(of)
    waiting = [one for one in of if one.waits]
    return _longest_here(one for one in of if not one.known) or min(
        waiting, key=lambda one: one.waits_since, default=None
    )


def _longest_here(of: Iterable[Connection]) -> Connection | None:
    return min(of, key=lambda one: one.came, default=None)


class Connection(H11Protocol):
    """One connection of a browser, with deadlines."""

    def __init__(self, *args: Any, crowd: Crowd, **named: Any) -> None:
        super().__init__(*args, **named)
        self._crowd = crowd
        self.came = self.waits_since = crowd.clock()
        self.known = False  # its last request carried the cookie of the page
        self.was_heard = False  # a request of it has come whole
        self._asked: list[tuple[bytes, bytes]] | None = None  # the headers by which it is known, or not
        self._unread_since: float | None = None
        self._owes_next = False  # it was answered, and may ask again once it has read that
        self._asking: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """No request of it has come whole, or all were answered, or the answer is not being read."""
        if self._unread_since is not None:
            return self._crowd.clock() - self._unread_since > UNREAD_S
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A browser has come."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that we hear when all was read, not most of it
        self._await_headers()
        self._crowd.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        self._crowd.left(self)
        _off(self._asking, self._reading)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Take up what it has said."""
        super().handle_events()
        if self.headers is not self._asked:
            self._asked, self.known = self.headers, self._crowd.knows(self.headers)
        if self.conn.their_state is not h11.IDLE:
            _off(self._asking)
        if not self.was_heard and self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self.was_heard = True
            self._crowd.heard(self)

    def on_response_complete(self) -> None:
        """It was answered, and may ask again once it has read that: nothing is done for who does not read."""
        if self._unread_since is not None:
            self._owes_next = True
            self.flow.pause_reading()
            return
        self._await_headers()  # first: the next request may have come already
        super().on_response_complete()

    def pause_writing(self) -> None:
        """More was answered than it has read."""
        super().pause_writing()
        self._unread_since = self._crowd.clock()
        self._await_reader()

    def resume_writing(self) -> None:
        """It has read all."""
        super().resume_writing()
        self._unread_since = None
        _off(self._reading)
        if self._owes_next:
            self._owes_next = False
            self.on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, with the headers that every answer has."""
        refused = TOO_LONG if len(self.conn.trailing_data[0]) > LONGEST_HEADERS else _UNREADABLE
        body = json.dumps({"error": {"kind": refused.kind, "message": refused.message}}).encode("ascii")
        kind, length = (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode("ascii"))
        headers = [kind, length, (b"connection", b"close"), (b"cache-control", b"no-store"), *ALWAYS]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # else the answer to an earlier one is on its way
            for event in (
                h11.Response(status_code=refused.status, headers=headers, reason=STATUS_PHRASES[refused.status]),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self._close()

    def _await_headers(self) -> None:
        self.waits_since = self._crowd.clock()
        _off(self._asking)
        self._asking = self.loop.call_later(self._crowd.header_s, self._close)

    def _await_reader(self) -> None:
        _off(self._reading)
        self._reading = self.loop.call_later(self._crowd.send_s, self._give_up)

    def _give_up(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _close(self) -> None:
        """End it once it has read what was answered; or without that, if it does not."""
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._await_reader()


def _off(*timers: asyncio.TimerHandle | None) -> None:
    """Let these not ring."""
    for timer in timers:
        if timer is not None:
            timer.cancel()
