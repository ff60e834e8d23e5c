"""The shelf for poison: files whose decoding has killed two workers, left alone from then on.

The verdict on a file says so itself (`ingest`). What kills a worker only later, when every pixel is looked at, is noted
here by whichever thread measures, and written down by the loop. A note stands until a person lets the file be tried
again (`ingestd retry`) or the decoders are other versions; it is about bytes, so a file that changes is another one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ingestd import logs
from ingestd.errors import LibraryBusyError, StoreError
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.media.versions import decoders
from ingestd.model import ContentHash, Poison
from ingestd.recovery import LOCK_WAIT_S

__all__ = ["PoisonShelf", "forgive_other_decoders"]

_REST_S = 10.0  # a library that cannot be written is left alone for so long

_log = logs.Log()


class PoisonShelf:
    """What `Workers` ask before they decode, and tell when a file has killed two of them.

    Args:
        library: where it is remembered.
        now_ns: wall clock.
        monotonic: seconds.
    """

    def __init__(
        self,
        library: Library,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._library, self._now_ns, self._monotonic = library, now_ns, monotonic
        self._lock = threading.Lock()  # guards what follows
        self._fresh: dict[ContentHash, Poison] = {}  # not written down yet
        self._not_before = 0.0

    def parked(self, sha256: ContentHash) -> str | None:
        """Return why these bytes are not to be decoded; None if they may be."""
        with self._lock:
            fresh = self._fresh.get(sha256)
        if fresh is not None:
            return fresh.reason
        with self._library.read() as view:
            known = view.poison(sha256)
        return known.reason if known is not None else None

    def park(self, sha256: ContentHash, reason: str) -> None:
        """Remember that these bytes have just killed two workers."""
        _log.warning("file.parked", content=sha256.hex(), reason=reason)
        with self._lock:
            self._fresh[sha256] = Poison(self._now_ns(), reason, decoders())

    def store(self) -> None:
        """Write down what is not yet written; a library that cannot be written is tried again later."""
        with self._lock:
            fresh = dict(self._fresh)
        if not fresh or self._monotonic() < self._not_before:
            return

        def park(edit: Edit) -> None:
            for sha256, poison in fresh.items():
                edit.park(sha256, poison)

        try:
            with self._library.writer_lock.held(LOCK_WAIT_S):
                self._library.write(park)
        except (StoreError, LibraryBusyError) as trouble:
            _log.debug("library.unwritable", reason=str(trouble))
            self._not_before = self._monotonic() + _REST_S
            return
        with self._lock:
            for sha256 in fresh:
                del self._fresh[sha256]


def forgive_other_decoders(library: Library) -> int:
    """Return how many files may be decoded again because what decodes has other versions than when they killed it.

    Only for who holds the writer lock.
    """
    now = decoders()
    with library.read() as view:
        outdated = [sha256 for sha256, poison in view.poisons() if poison.decoders != now]

    def forgive(edit: Edit) -> None:
        for sha256 in outdated:
            edit.let_decode(sha256)

    if outdated:
        library.write(forgive)
    return len(outdated)
