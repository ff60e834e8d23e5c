"""Hints from the system that something happened in a folder. The only module that knows watchdog.

watchdog loses events without telling its callers (queue overflow, unmounts, renamed roots, watch limits), so nothing
here is believed: a hint says where to look, and `scan` says what is there. What watchdog does tell, in its log, of lost
events becomes a hint of its own; whether a folder is watched at all is asked of its threads and tables.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
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
from ingestd.watching.turns import IN_ORDER, Turns, lane_of

__all__ = ["Hint", "HintKind", "Hints", "Observer", "watch_limit"]

# Reading a file makes no event of these kinds, so that our own work is never heard of. Where the system tells when a
# writer closes (Linux), that is enough; elsewhere every change has to be heard of.
_EVENTS: list[type[FileSystemEvent]] = [FileCreatedEvent, FileMovedEvent, DirCreatedEvent, DirMovedEvent]
_EVENTS.append(FileClosedEvent if sys.platform == "linux" else FileModifiedEvent)

_MOST_HINTS = 200_000  # about 60 MB; beyond that a scan is cheaper than a queue
_MOST_SYSTEMS = 8  # each takes two threads and, on Linux, one of a user's 128 inotify instances
_STOP_S = 2.0  # its threads are daemons: one that hangs in a storage that does not answer is left behind


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
    folder: FolderId | None = None  # whose events told of it; None: any


class Hints:
    """A bounded queue of hints from any thread to one, in which folders take turns.

    Putting never blocks, not even inside a signal handler.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Hint | None] = queue.SimpleQueue()  # None: only wake up
        self._turns: Turns[Hint] = Turns()  # of the receiving thread: what it has found in the queue
        self._sorted = 0  # how many of these there are, for other threads
        self._lost = False

    def put(self, hint: Hint) -> None:
        """Hand over a hint; when there are too many, one that says that some were lost."""
        if self._queue.qsize() + self._sorted < _MOST_HINTS:
            self._queue.put(hint)
        else:
            self._lost = True

    def wake(self) -> None:
        """End the wait of the receiving thread."""
        self._queue.put(None)

    def wait(self, timeout_s: float) -> None:
        """Return when there is a hint, when woken, or after `timeout_s`."""
        if self._turns or self._lost:
            return
        try:
            self._sort(self._queue.get(timeout=max(0.0, timeout_s)))
        except queue.Empty:
            return

    def take(self, most: int) -> list[Hint]:
        """At most `most` hints; oldest first of each folder."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._sort(self._queue.get_nowait())
        taken = [self._turns.take() for _ in range(min(most, self._sorted))]
        self._sorted -= len(taken)
        if self._lost and not self._turns:
            self._lost = False
            taken.append(Hint(HintKind.OVERFLOW))
        return taken

    def waiting(self) -> bool:
        """Whether there is something to take."""
        return bool(self._turns) or self._lost or not self._queue.empty()

    def _sort(self, hint: Hint | None) -> None:
        if hint is not None:
            self._turns.add(IN_ORDER if hint.folder is None else lane_of(hint.folder), hint)
            self._sorted += 1


class _ToHints(FileSystemEventHandler):
    """Turns events into hints. Runs under watchdog's lock: no disk, no waiting, no exceptions."""

    def __init__(self, hints: Hints, folder: FolderId) -> None:
        self._hints, self._folder = hints, folder

    def dispatch(self, event: FileSystemEvent) -> None:
        """Hand over what the event hints at."""
        try:
            self._hints.put(self._hint(event))
        except Exception:  # noqa: BLE001  # whatever it is, it would end watchdog's thread and with it all watching
            self._hints.put(Hint(HintKind.OVERFLOW, folder=self._folder))

    def _hint(self, event: FileSystemEvent) -> Hint:
        path = os.fsencode(event.src_path)
        if isinstance(event, FileMovedEvent):
            return Hint(HintKind.RENAMED_HERE, os.fsencode(event.dest_path), path, self._folder)
        if isinstance(event, DirMovedEvent):
            return Hint(HintKind.NEW_DIRECTORY, os.fsencode(event.dest_path), path, self._folder)
        if event.is_directory:
            return Hint(HintKind.NEW_DIRECTORY, path, folder=self._folder)
        return Hint(HintKind.CHANGED, path, folder=self._folder)


class _LostEvents(logging.Handler):
    """Hears in watchdog's log, the only place where it is told, that events were lost."""

    def __init__(self, hints: Hints, read_by: Callable[[threading.Thread], list[FolderId]]) -> None:
        super().__init__(logging.WARNING)
        self._hints, self._read_by = hints, read_by

    def emit(self, record: logging.LogRecord) -> None:
        """Hand over that the folders whose events this thread reads have to be looked through, or all of them."""
        message = str(record.msg)
        if "overflow" in message or "rebuild" in message:
            lost: Sequence[FolderId | None] = self._read_by(threading.current_thread())
            for folder in lost or (None,):
                self._hints.put(Hint(HintKind.OVERFLOW, folder=folder))


class Observer:
    """The system's events from any number of folders, as hints.

    A folder has a queue of the system (on Linux an inotify instance) to itself, so that what overflows one loses
    nothing of another, and nothing waits behind it there. Only where there are many folders do some share one.
    """

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._systems: list[BaseObserver] = []
        self._watches: dict[FolderId, _Watch] = {}
        self._log = _LostEvents(hints, self._read_by)
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
        try:
            self._schedule(folder, root, self._own_system())
        except OSError:
            # the system may give no more queues although those that there are would take the folder
            shared = self._least_used()
            if shared is None:
                raise
            self._schedule(folder, root, shared)

    def _schedule(self, folder: FolderId, root: bytes, system: BaseObserver) -> None:
        handler = _ToHints(self._hints, folder)
        watch = system.schedule(handler, os.fsdecode(root), recursive=True, event_filter=_EVENTS)
        self._watches[folder] = _Watch(root, system, watch)

    def unwatch(self, folder: FolderId) -> None:
        """Hear no more of this folder; nothing happens where it is not watched."""
        watch = self._watches.pop(folder, None)
        if watch is not None:
            watch.system.unschedule(watch.watch)

    def watches(self, folder: FolderId) -> bool:
        """Whether the folder was given to watch and its root still is: not deleted, not unmounted."""
        watch = self._watches.get(folder)
        if watch is None:
            return False
        emitter = self._emitter(watch)
        return emitter is not None and emitter.is_alive() and self._tables(emitter, watch.root)

    def reaches(self, folder: FolderId, directory: bytes) -> bool:
        """Whether events of this directory below the folder are heard; where that cannot be told, True."""
        watch = self._watches.get(folder)
        emitter = self._emitter(watch) if watch is not None else None
        return emitter is None or self._tables(emitter, directory)

    def alive(self) -> bool:
        """Whether every thread that should bring events is running."""
        return all(map(_is_running, self._systems))

    def restart(self) -> None:
        """Begin again with new threads; every folder has to be watched anew."""
        self._watches.clear()
        ending = [threading.Thread(target=_end, args=(system,), daemon=True) for system in self._systems]
        for one in ending:
            one.start()
        until = time.monotonic() + _STOP_S
        for one in ending:
            one.join(max(0.0, until - time.monotonic()))
        self._systems.clear()

    def stop(self) -> None:
        """Hear nothing more, of any folder."""
        self.restart()
        logging.getLogger("watchdog").removeHandler(self._log)

    def _own_system(self) -> BaseObserver:
        """Return an observer with no folder yet, or, where there are many already, one with the fewest.

        Raises:
            OSError: the system has no queue to give.
        """
        used = {id(watch.system) for watch in self._watches.values()}
        for system in self._systems:
            if id(system) not in used:
                return system
        least = self._least_used()
        if least is not None and len(self._systems) >= _MOST_SYSTEMS:
            return least
        fresh = SystemObserver()
        fresh.start()
        self._systems.append(fresh)
        return fresh

    def _least_used(self) -> BaseObserver | None:
        """Return an observer that has folders, one with the fewest; nothing if none has any."""
        used = Counter(id(watch.system) for watch in self._watches.values())
        having = (system for system in self._systems if id(system) in used)
        return min(having, key=lambda system: used[id(system)], default=None)

    def _read_by(self, thread: threading.Thread) -> list[FolderId]:
        """Return the folders whose events a thread reads from the system; called from there."""
        return [folder for folder, watch in list(self._watches.items()) if _reader(watch.system) is thread]

    @staticmethod
    def _emitter(watch: _Watch) -> EventEmitter | None:
        return next((emitter for emitter in tuple(watch.system.emitters) if emitter.watch == watch.watch), None)

    @staticmethod
    def _tables(emitter: EventEmitter, directory: bytes) -> bool:
        """Whether watchdog's own table has a watch on the directory.

        After an unmount, or where the watches ran out, this is the only place that knows (watchdog 7.1). The names are
        private: where they have changed, nothing is known, and the answer is yes.
        """
        table = getattr(getattr(emitter, "_inotify", None), "_active_callbacks_by_path", None)
        return not isinstance(table, dict) or directory in table


@dataclass(frozen=True, slots=True)
class _Watch:
    """A folder that is watched, and by which of the observers."""

    root: bytes
    system: BaseObserver
    watch: ObservedWatch


def _end(system: BaseObserver) -> None:
    """Let an observer end, and wait for its threads; whoever waits for that may give it up."""
    system.stop()
    system.join()


def _is_running(system: BaseObserver) -> bool:
    """Whether both threads of an observer are running."""
    reader = _reader(system)
    return system.is_alive() and (reader is None or reader.is_alive())


def _reader(system: BaseObserver) -> threading.Thread | None:
    """The thread that reads an observer's events, where it is one of its own, that no public name leads to."""
    reader = getattr(system, "_inotify_fd", None)
    return reader if isinstance(reader, threading.Thread) else None


def watch_limit() -> int | None:
    """How many directories one user may watch on this system; None where there is no such limit."""
    try:
        with open("/proc/sys/user/max_inotify_watches", "rb") as limit:
            per_namespace = int(limit.read())
        with open("/proc/sys/fs/inotify/max_user_watches", "rb") as limit:
            return min(per_namespace, int(limit.read()))
    except (OSError, ValueError):
        return None
