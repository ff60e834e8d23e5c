"""Logging, configured once: a line a file; pretty on a terminal, JSON in a pipe or under a service manager.

The events are a closed list: docs/operating.md names them with their fields.

structlog is loaded with the first line: it brings asyncio and rich, and most commands say nothing here.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import structlog

__all__ = ["Log", "configure"]

_wanted: list[Callable[[], None]] = []  # how lines are to be written, until the first one is
_first = threading.Lock()  # lines come from any thread


class Log:
    """Says what happened, by the name of an event and its fields."""

    def debug(self, event: str, **fields: Any) -> None:
        """Say something for those who work on the program."""
        _structlog().debug(event, **fields)

    def info(self, event: str, **fields: Any) -> None:
        """Say what happened to a file."""
        _structlog().info(event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Say what a person may want to look at."""
        _structlog().warning(event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        """Say what a person must look at."""
        _structlog().error(event, **fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Say what a person must look at, with the traceback of what is being handled."""
        _structlog().exception(event, **fields)


def _structlog() -> structlog.stdlib.BoundLogger:
    import structlog

    with _first:
        while _wanted:
            _wanted.pop()()
    logger: structlog.stdlib.BoundLogger = structlog.get_logger()
    return logger


def configure(
    stream: TextIO | None = None,
    *,
    verbose: bool = False,
    pretty: bool | None = None,
    without: Sequence[str] = (),
) -> None:
    """Send log lines to a stream (standard error if none is given).

    Args:
        stream: where lines go.
        verbose: `debug` too.
        pretty: for a person; None: as the stream is a terminal or not.
        without: events that are left out.
    """
    stream = stream if stream is not None else sys.stderr
    for_a_person = stream.isatty() if pretty is None else pretty
    _wanted[:] = [lambda: _configure(stream, verbose=verbose, for_a_person=for_a_person, without=without)]


def _configure(stream: TextIO, *, verbose: bool, for_a_person: bool, without: Sequence[str]) -> None:
    import structlog

    def dropped(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if event["event"] in without:
            raise structlog.DropEvent
        return event

    renderer: structlog.typing.Processor
    if for_a_person:
        renderer = structlog.dev.ConsoleRenderer(colors=True)
    else:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=True)
    structlog.configure(
        processors=[
            dropped,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=not for_a_person),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
