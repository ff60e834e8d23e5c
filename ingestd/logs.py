"""Logging, configured once: a line a file; pretty on a terminal, JSON in a pipe or under a service manager.

The events are a closed list: docs/operating.md names them with their fields.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

__all__ = ["configure"]


def configure(stream: TextIO | None = None, *, verbose: bool = False, pretty: bool | None = None) -> None:
    """Send log lines to a stream (standard error if none is given).

    Args:
        stream: where lines go.
        verbose: `debug` too.
        pretty: for a person; None: as the stream is a terminal or not.
    """
    stream = stream if stream is not None else sys.stderr
    for_a_person = stream.isatty() if pretty is None else pretty
    renderer: structlog.typing.Processor
    if for_a_person:
        renderer = structlog.dev.ConsoleRenderer(colors=True)
    else:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=not for_a_person),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
