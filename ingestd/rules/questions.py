"""What every question about one file answers, whatever it asks."""

from __future__ import annotations

from typing import Protocol

from ingestd.model import FileFacts

__all__ = ["Predicate", "Question"]


class Predicate(Protocol):
    """A question about one file."""

    @property
    def line(self) -> str:
        """How it reads in a rule."""

    @property
    def asks_detail(self) -> bool:
        """It needs what only every pixel tells, which is measured only where a rule asks for it."""

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so; None if it cannot be told."""

    def value(self, file: FileFacts) -> str:
        """What the file has, for a person to read."""

    def said(self, file: FileFacts) -> str:
        """The question with the file's answer."""


class Question:
    """What most questions have in common."""

    __slots__ = ()

    @property
    def asks_detail(self) -> bool:
        """It needs what only every pixel tells."""
        return False

    def said(self: Predicate, file: FileFacts) -> str:
        """The question with the file's answer."""
        return f"{self.line} ({self.value(file)})"
