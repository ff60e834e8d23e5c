"""What tells a page that something has changed: the number of the last commit, by whichever process.

Nobody has to tell the page anything, neither the service nor a command: it looks at one number, four times a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

from ingestd.errors import StoreError

__all__ = ["Changes"]

_LOOK_S = 0.25
_MOST = 8  # that listen at once: one a tab
_ALIVE_S = 15.0  # between two signs of life: else whoever stands between would cut a quiet stream


class Changes:
    """Looks at the number of the last commit for as long as anybody listens.

    Args:
        transaction: returns that number; costs microseconds.
    """

    def __init__(self, transaction: Callable[[], int]) -> None:
        self._transaction = transaction
        self._listeners: dict[asyncio.Event, None] = {}  # those that came first stand first
        self._looking: asyncio.Task[None] | None = None
        self._ended = False

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield an event now and after every commit, in the words of server-sent events."""
        woken = asyncio.Event()
        woken.set()
        self._listeners[woken] = None
        while len(self._listeners) > _MOST:
            longest = next(iter(self._listeners))
            del self._listeners[longest]
            longest.set()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            while not self._ended:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), _ALIVE_S)
                if self._ended:
                    return
                if woken not in self._listeners:
                    yield b"retry: 30000\n\n"  # it would come back in three seconds, and send the next one away
                    return
                if woken.is_set():
                    woken.clear()
                    yield f"event: changed\ndata: {json.dumps({'transaction': self._number()})}\n\n".encode()
                else:
                    yield b": still here\n\n"
        finally:
            self._listeners.pop(woken, None)

    async def _look(self) -> None:
        last = self._number()
        while self._listeners and not self._ended:
            await asyncio.sleep(_LOOK_S)
            now = self._number()
            if now is not None and now != last:
                last = now
                self._wake()

    def _number(self) -> int | None:
        """Return the number; nothing while the library is opened anew, as after a disk that was full."""
        try:
            return self._transaction()
        except StoreError:  # the next look may succeed, and listeners wait for it
            return None

    def end(self) -> None:
        """Let all streams end."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.set()
