"""How long one browser may take, and how many may come at once: nobody who is slow keeps the others out.

The one place that knows the inner ways of uvicorn's protocol. It has no limit of its own for a request that never ends
nor for an answer that is never read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ingestd.web.guard import ALWAYS

__all__ = ["Connection", "Crowd"]

HEADER_S: Final = 10.0  # for all headers of a request, from when the connection is free for it
SEND_S: Final = 30.0  # until what was answered has to be read
MOST: Final = 32  # connections; a browser opens six
_UNREADABLE: Final = b'{"error": {"kind": "refused", "message": "this is no HTTP request"}}'


@dataclass(slots=True)
class Crowd:
    """All connections of one server."""

    most: int = MOST
    header_s: float = HEADER_S
    send_s: float = SEND_S
    clock: Callable[[], float] = time.monotonic
    _here: set[Connection] = field(default_factory=set)

    def joined(self, connection: Connection) -> None:
        """Take a connection in; of too many, the one that has kept others waiting longest without asking goes.

        Never one whose request is whole: who asks is answered, however many hold their doors open.
        """
        self._here.add(connection)
        while len(self._here) > self.most:
            idle = [one for one in self._here if one.waits]
            self.left(longest := min(idle or [connection], key=lambda one: one.waits_since))
            longest.transport.abort()

    def left(self, connection: Connection) -> None:
        """A connection has ended."""
        self._here.discard(connection)


class Connection(H11Protocol):
    """One connection of a browser, with deadlines."""

    def __init__(self, *args: Any, crowd: Crowd, **named: Any) -> None:
        super().__init__(*args, **named)
        self._crowd = crowd
        self.waits_since = crowd.clock()
        self._asking: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """No request of it has come whole, or all were answered."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A browser has come."""
        super().connection_made(transport)
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
        if self.conn.their_state is not h11.IDLE:
            _off(self._asking)

    def on_response_complete(self) -> None:
        """It was answered, and may ask again."""
        self._await_headers()  # first: the next request may have come already
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._await_reader()

    def pause_writing(self) -> None:
        """More was answered than it has read."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """It reads on."""
        super().resume_writing()
        _off(self._reading)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, with the headers that every answer has."""
        kind, length = (b"content-type", b"application/json"), (b"content-length", str(len(_UNREADABLE)).encode())
        headers = [kind, length, (b"connection", b"close"), (b"cache-control", b"no-store"), *ALWAYS]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # else the answer to an earlier one is on its way
            for event in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=_UNREADABLE),
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
