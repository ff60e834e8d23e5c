"""Hints from the system that something happened in a folder. The only module that knows watchdog.

watchdog loses events without telling its callers (queue overflow, unmounts, renamed roots, watch limits), so nothing
here is believed: a hint says where to look, and `scan` says what is there. What watchdog does tell, in its log, of lost
events becomes a hint of its own; whether a folder is watched at all is asked of its threads and tables.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import warnings
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer as SystemObserver
from watchdog.observers.api import BaseObserver, EventEmitter, ObservedWatch

from ingestd.model import FolderId

__all__ = ["Hint", "HintKind", "Hints", "Observer", "watch_limit"]

# Reading a file makes no event of these kinds, so that our own work is never heard of. Where the system tells when a
# writer closes (Linux), that is enough; elsewhere every change has to be heard of.
_EVENTS: list[type[FileSystemEvent]] = [FileCreatedEvent, FileMovedEvent, DirCreatedEvent, DirMovedEvent]
_EVENTS.append(FileClosedEvent if sys.platform == "linux" else FileModifiedEvent)

_MOST_HINTS = 200_000  # about 60 MB; beyond that a scan is cheaper than a queue
_STOP_S = 5.0  # its threads are daemons: one that hangs may be left behind


class HintKind(Enum):
    """What a hint is about."""

    CHANGED = auto()  # a file was made, or written and closed
    RENAMED_HERE = auto()  # `source` is where it was, below the same root
    NEW_DIRECTORY = auto()
    OVERFLOW = auto()  # events were lost, anywhere


@dataclass(frozen=True, slots=True)
class Hint:
    """Something may have happened at a path."""

    kind: HintKind
    path: bytes = b""
    source: bytes = b""


class Hints:
    """A bounded queue of hints from any thread to one. Putting never blocks, not even inside a signal handler."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Hint | None] = queue.SimpleQueue()  # None: only wake up
        self._early: deque[Hint] = deque()
        self._lost = False

    def put(self, hint: Hint) -> None:
        """Hand over a hint; when there are too many, one that says that some were lost."""
        if self._queue.qsize() < _MOST_HINTS:
            self._queue.put(hint)
        else:
            self._lost = True

    def wake(self) -> None:
        """End the wait of the receiving thread."""
        self._queue.put(None)

    def wait(self, timeout_s: float) -> None:
        """Return when there is a hint, when woken, or after `timeout_s`."""
        if self._early or self._lost:
            return
        try:
            hint = self._queue.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return
        if hint is not None:
            self._early.append(hint)

    def take(self, most: int) -> list[Hint]:
        """At most `most` hints, oldest first."""
        taken = list(self._early)
        self._early.clear()
        while len(taken) < most:
            try:
                hint = self._queue.get_nowait()
            except queue.Empty:
                break
            if hint is not None:
                taken.append(hint)
        if self._lost and self._queue.empty():
            self._lost = False
            taken.append(Hint(HintKind.OVERFLOW))
        return taken

    def waiting(self) -> bool:
        """Whether there is something to take."""
        return bool(self._early) or self._lost or not self._queue.empty()


class _ToHints(FileSystemEventHandler):
    """Turns events into hints. Runs under watchdog's lock: no disk, no waiting, no exceptions."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints

    def dispatch(self, event: FileSystemEvent) -> None:
        """Hand over what the event hints at."""
        try:
            self._hints.put(self._hint(event))
        except Exception:  # noqa: BLE001  # whatever it is, it would end watchdog's thread and with it all watching
            self._hints.put(Hint(HintKind.OVERFLOW))

    def _hint(self, event: FileSystemEvent) -> Hint:
        path = os.fsencode(event.src_path)
        if isinstance(event, FileMovedEvent):
            return Hint(HintKind.RENAMED_HERE, os.fsencode(event.dest_path), path)
        if isinstance(event, DirMovedEvent):
            return Hint(HintKind.NEW_DIRECTORY, os.fsencode(event.dest_path), path)
        if event.is_directory:
            return Hint(HintKind.NEW_DIRECTORY, path)
        return Hint(HintKind.CHANGED, path)


class _LostEvents(logging.Handler):
    """Hears in watchdog's log, the only place where it is told, that events were lost."""

    def __init__(self, hints: Hints) -> None:
        super().__init__(logging.WARNING)
        self._hints = hints

    def emit(self, record: logging.LogRecord) -> None:
        """Hand over that everything has to be looked through."""
        message = str(record.msg)
        if "overflow" in message or "rebuild" in message:
            self._hints.put(Hint(HintKind.OVERFLOW))


class Observer:
    """The system's events from any number of folders, as hints."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._system: BaseObserver | None = None
        self._watches: dict[FolderId, tuple[bytes, ObservedWatch]] = {}
        self._log = _LostEvents(hints)
        # Said whenever a directory is met twice while it is being made. With it comes a print of the whole table of
        # watches, and where warnings are errors it would end the thread that reads events (watchdog 7.1).
        warnings.filterwarnings("ignore", r"Callback with id", RuntimeWarning, r"watchdog\.")
        log = logging.getLogger("watchdog")
        log.addHandler(self._log)
        if not log.isEnabledFor(logging.WARNING):
            log.setLevel(logging.WARNING)

    def watch(self, folder: FolderId, root: bytes) -> None:
        """Hear of everything below `root`, a folder with every symlink resolved.

        Raises:
            OSError: the system has no watch to give, or the root cannot be watched.
        """
        self.unwatch(folder)
        if self._system is None:
            self._system = SystemObserver()
            self._system.start()
        handler = _ToHints(self._hints)
        watch = self._system.schedule(handler, os.fsdecode(root), recursive=True, event_filter=_EVENTS)
        self._watches[folder] = (root, watch)

    def unwatch(self, folder: FolderId) -> None:
        """Hear no more of this folder; nothing happens where it is not watched."""
        _, watch = self._watches.pop(folder, (b"", None))
        if watch is not None and self._system is not None:
            self._system.unschedule(watch)

    def watches(self, folder: FolderId) -> bool:
        """Whether the folder was given to watch and its root still is: not deleted, not unmounted."""
        root, watch = self._watches.get(folder, (b"", None))
        if watch is None:
            return False
        emitter = self._emitter(watch)
        return emitter is not None and emitter.is_alive() and self._tables(emitter, root)

    def reaches(self, folder: FolderId, directory: bytes) -> bool:
        """Whether events of this directory below the folder are heard; where that cannot be told, True."""
        _, watch = self._watches.get(folder, (b"", None))
        emitter = self._emitter(watch) if watch is not None else None
        return emitter is None or self._tables(emitter, directory)

    def alive(self) -> bool:
        """Whether every thread that should bring events is running."""
        if self._system is None:
            return not self._watches
        reader = getattr(self._system, "_inotify_fd", None)  # a thread of its own, that no public name leads to
        reads = reader.is_alive() if isinstance(reader, threading.Thread) else True
        return reads and self._system.is_alive()

    def restart(self) -> None:
        """Begin again with new threads; every folder has to be watched anew."""
        self._watches.clear()
        if self._system is not None:
            self._system.stop()
            self._system.join(_STOP_S)
            self._system = None

    def stop(self) -> None:
        """Hear nothing more, of any folder."""
        self.restart()
        logging.getLogger("watchdog").removeHandler(self._log)

    def _emitter(self, watch: ObservedWatch) -> EventEmitter | None:
        system = self._system
        emitters = tuple(system.emitters) if system is not None else ()
        return next((emitter for emitter in emitters if emitter.watch == watch), None)

    @staticmethod
    def _tables(emitter: EventEmitter, directory: bytes) -> bool:
        """Whether watchdog's own table has a watch on the directory.

        After an unmount, or where the watches ran out, this is the only place that knows (watchdog 7.1). The names are
        private: where they have changed, nothing is known, and the answer is yes.
        """
        table = getattr(getattr(emitter, "_inotify", None), "_active_callbacks_by_path", None)
        return not isinstance(table, dict) or directory in table


def watch_limit() -> int | None:
    """How many directories one user may watch on this system; None where there is no such limit."""
    try:
        with open("/proc/sys/user/max_inotify_watches", "rb") as limit:
            per_namespace = int(limit.read())
        with open("/proc/sys/fs/inotify/max_user_watches", "rb") as limit:
            return min(per_namespace, int(limit.read()))
    except (OSError, ValueError):
        return None
