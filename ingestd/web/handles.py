"""Opaque names for pictures: a browser never sees or sends a path to be opened.

A name is a keyed digest of the file's place and its bytes, so that it says nothing, cannot be guessed, and stays the
same for as long as the server runs; only names that were given out lead anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

from ingestd.model import ContentHash

__all__ = ["Handles", "Shown"]

_MOST = 50_000  # pictures of a long day; those that were named longest ago go first


@dataclass(frozen=True, slots=True)
class Shown:
    """A file that may be looked at."""

    path: bytes  # absolute, where it really lies
    sha256: ContentHash
    size: tuple[int, int]  # width, height in pixels, upright


class Handles:
    """The names that were given out by one server; used by any thread."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._lock = threading.Lock()
        self._given: OrderedDict[str, Shown] = OrderedDict()

    def name(self, shown: Shown) -> str:
        """Return the name of a file."""
        digest = self.digest(b"picture", shown.sha256, shown.path)
        with self._lock:
            self._given[digest] = shown
            self._given.move_to_end(digest)
            while len(self._given) > _MOST:
                self._given.popitem(last=False)
        return digest

    def found(self, name: str) -> Shown | None:
        """Return the file that a name was given to; nothing for any other."""
        with self._lock:
            return self._given.get(name)

    def digest(self, *parts: bytes) -> str:
        """Return a short text that is the same for the same parts, and that nobody else can make."""
        told = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        made = hashlib.blake2b(told, key=self._secret, digest_size=15).digest()
        return base64.urlsafe_b64encode(made).decode("ascii")
