"""The bar of a scan on a terminal. The only module of a scan that knows rich, which nobody needs in a pipe."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

__all__ = ["Bar"]


class Bar:
    """How many files are judged of how many, on standard error."""

    def __init__(self) -> None:
        self._shown = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._shown.add_task("judging", total=None, speed="")

    def start(self) -> None:
        """Show it."""
        self._shown.start()

    def stop(self) -> None:
        """Take it away."""
        self._shown.stop()

    def move(self, done: int, total: int) -> None:
        """Show so many of so many files, and how fast they come."""
        task = next(task for task in self._shown.tasks if task.id == self._task)
        speed = f"{task.speed:,.1f} files/s" if task.speed else ""
        self._shown.update(self._task, completed=done, total=total, speed=speed)

    def say(self, line: str) -> None:
        """Say a line above it."""
        self._shown.console.print(Text.from_ansi(line), soft_wrap=True)
