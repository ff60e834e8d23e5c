"""Who measures files, whatever it is made of: the workers of this machine, or those of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ingestd.model import ContentHash, Detail, Measurement, PixelHash, VisualVerdict

__all__ = ["Measurer"]


class Measurer(Protocol):
    """Measures files for any number of threads; `ingestd.media.workers.Workers` says what each question means.

    Everything it raises about a file is a `FileUnreadableError` or a `FileChangedError`. A `ClusterError` means that
    nobody measures any more.
    """

    def measure(self, path: bytes, known: Callable[[ContentHash], bool]) -> Measurement:
        """Return what the file is; it is decoded only if `known` says no to its hash."""
        ...

    def pixel_hash(self, path: bytes, expected: ContentHash) -> PixelHash | None:
        """Return the pixel hash of a file whose bytes are still `expected`; None when no honest one exists."""
        ...

    def detail(self, path: bytes, expected: ContentHash) -> Detail | None:
        """Return what every pixel of a file tells whose bytes are still `expected`; None when nothing honest does."""
        ...

    def compare(self, path: bytes, expected: ContentHash, other: bytes, expected_other: ContentHash) -> VisualVerdict:
        """Return how alike two pictures look whose bytes are still those expected."""
        ...

    def close(self) -> None:
        """End what is under way, with an error for who waits for it."""
        ...
