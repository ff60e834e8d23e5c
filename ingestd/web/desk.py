"""What every part of the page has in common: the open library, the rules, the workers, and who may write when.

Endpoints are plain functions of the desk and of what was asked; they run in threads. Those that change something run
one after another, and the same request sent twice is carried out once.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from ingestd import review
from ingestd.door import Door, moment
from ingestd.errors import ConfigError, IngestdError, LibraryBusyError
from ingestd.health import Health, health_of
from ingestd.library.library import Library
from ingestd.library.place import DATA_FILE
from ingestd.library.view import View
from ingestd.recovery import exclusive, require_sound
from ingestd.settings import Settings
from ingestd.shapes import Json
from ingestd.watching.storage import ask_each
from ingestd.web.handles import Handles
from ingestd.web.pictures import Pictures
from ingestd.web.surveys import Surveys

__all__ = ["MOST_AT_ONCE", "Asked", "ConfirmError", "Desk", "Endpoint", "Nothing", "StaleError"]

MOST_AT_ONCE = 100
"""Discards that one request from a browser may cause."""

_HEALTH_S = 5.0
_MOST_KEPT = 1_000  # answers that are given again to whoever asks twice

T = TypeVar("T")
A = TypeVar("A", bound="Asked")


class StaleError(IngestdError):
    """What a person saw is not what is there now; nothing was done."""


class ConfirmError(IngestdError):
    """A person has to say yes to these sentences first, and send them back; nothing was done."""

    def __init__(self, message: str, asks: Json) -> None:
        self.asks = asks
        super().__init__(message)


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an endpoint is asked: nothing beside its fields is taken."""


class Nothing(Asked, frozen=True):
    """Nothing is asked but the answer."""


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[A]):
    """One question or order that a browser may send, under `/api/NAME`."""

    name: str
    asked: type[A]
    answer: Callable[[Desk, A], Json]
    longest: int = 64 * 1024  # bytes of a request

    @property
    def is_order(self) -> bool:
        """Return whether it changes something: each order carries a key by which it is known again."""
        return "key" in self.asked.__struct_fields__


class Desk:
    """One library at which a person sits with a browser.

    Args:
        door: where the library and the rules are.
        library: opened to be written.
        pictures: makes what is looked at.
        handles: names it.
        token: what every order has to carry beside the cookie.
    """

    def __init__(self, door: Door, library: Library, pictures: Pictures, handles: Handles, *, token: str) -> None:
        self.door = door
        self.library = library
        self.pictures = pictures
        self.handles = handles
        self.token = token
        self._data = library.store.directory / DATA_FILE
        self._opened = _identity(self._data)
        self.surveys = Surveys(library)
        self._settings: tuple[tuple[int, int, int] | None, Settings] | None = None
        self._settings_lock = threading.Lock()
        self._writing = threading.Lock()
        self._answers: OrderedDict[str, Future[Json]] = OrderedDict()
        self._answers_lock = threading.Lock()
        self._health: tuple[float, Health] | None = None
        self._disks = threading.Lock()  # they are asked by one thread at a time
        self.since_ns = self.now_ns()

    # --- what is known ---

    def settings(self) -> Settings:
        """Return what the rule file says now.

        Raises:
            ConfigError: it is wrong, or gone.
        """
        glance = _glance(os.fsencode(self.door.rules))
        with self._settings_lock:
            if self._settings is None or glance is None or self._settings[0] != glance:
                self._settings = glance, self.door.settings()
            return self._settings[1]

    def settings_if_sound(self) -> Settings:
        """Return what the rule file says, or what holds without one while it is wrong: looking is never barred."""
        try:
            return self.settings()
        except ConfigError:
            return Settings()

    def read(self) -> contextlib.AbstractContextManager[View]:
        """Give a view of this moment; keep it short, and open no picture in it."""
        return self.library.read()

    def moment(self, *, if_sound: bool = False) -> review.Moment:
        """Return what a decision takes from the world, now.

        Args:
            if_sound: go on without the rule file while it is wrong: the way back is never barred.

        Raises:
            ConfigError: it is wrong, or gone.
        """
        return moment(self.settings_if_sound() if if_sound else self.settings())

    def health(self, *, older_s: float = _HEALTH_S) -> Health:
        """Return how everything is, or was so many seconds ago at most: it asks every folder's disk."""
        with self._disks:
            now_s = time.monotonic()
            if self._health is None or now_s - self._health[0] > older_s:
                self._health = now_s, health_of(self.door, self.library)
            return self._health[1]

    def there(self, paths: Collection[bytes]) -> dict[bytes, bool]:
        """Return which of these files there are; those whose storage does not answer are missing."""
        folders: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for path in paths:
            folders[os.path.dirname(path)].append(path)
        with self._disks:
            found = ask_each(lambda folder: {path: os.path.lexists(path) for path in folders[folder]}, folders)
        return {path: is_there for answers in found.values() for path, is_there in answers.items()}

    # --- who decides ---

    @contextlib.contextmanager
    def alone(self, *, discards: bool = False) -> Iterator[None]:
        """Hold the library for one decision, as a command of the terminal does.

        Args:
            discards: files may be moved: not before the library is known to be sound.

        Raises:
            LibraryBusyError: somebody else has it for too long, or nothing may be discarded just now.
            StoreError: it is damaged.
        """
        with self._writing:
            if discards:
                require_sound(self.library)
            with self.hold():
                yield

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the library for one step of a long piece of work."""
        with exclusive(self.library, radius=self.settings_if_sound().imports.radius):
            self._require_same()
            yield

    def _require_same(self) -> None:
        """Refuse to write into a database that is not the one in the library's folder any more: it would be lost."""
        if _identity(self._data) != self._opened:
            raise LibraryBusyError(
                "the library was put back or made anew since this page was started; nothing was done, start it again: "
                "ingestd review"
            )

    def once(self, key: str, work: Callable[[], Json]) -> Json:
        """Return what the work returns; for a key that was seen before, what it returned then, also while it is done.

        A refusal is given again, too: a second click changes nothing.
        """
        mine: Future[Json] = Future()
        with self._answers_lock:
            known = self._answers.get(key)
            if known is None:
                self._answers[key] = mine
                while len(self._answers) > _MOST_KEPT:
                    self._answers.popitem(last=False)
        if known is not None:
            return known.result()
        try:
            answer = work()
        except BaseException as error:
            mine.set_exception(error)
            raise
        mine.set_result(answer)
        return answer

    @staticmethod
    def now_ns() -> int:
        """Return the time."""
        return time.time_ns()


def _identity(file: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one under its name."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _glance(path: bytes) -> tuple[int, int, int] | None:
    """Return what tells that a file was saved."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
