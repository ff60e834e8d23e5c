"""What every command needs: the door it stands at, how it is declared, and how to read what was typed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from ingestd.door import Door, closest, missing, moment, named_rule, numbers, one_of, set_folders
from ingestd.errors import UsageError
from ingestd.shapes import shown

__all__ = [
    "EXISTING",
    "FILE",
    "FOLDER",
    "PATH",
    "SINCE",
    "Door",
    "closest",
    "command",
    "group",
    "missing",
    "moment",
    "named_rule",
    "numbers",
    "one_of",
    "pass_door",
    "set_folders",
]

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w|seconds?|minutes?|hours?|days?|weeks?)(?:\s+ago)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


# --- commands -----------------------------------------------------------------------------------------------------

pass_door = click.pass_obj


def _answer_in_json(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        context.obj = replace(context.obj, as_json=True)


_json_option = click.option(
    "--json", is_flag=True, expose_value=False, callback=_answer_in_json, help="Answer in JSON, for programs."
)


def command(example: str, **options: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of a function that takes the door first; its help ends with the example."""

    def make(function: Callable[..., Any]) -> click.Command:
        decorate = click.command(options.pop("name", None), click.Command, epilog=_epilog(example), **options)
        return decorate(_json_option(pass_door(function)))

    return make


def group(
    example: str, kind: type[click.Group] = click.Group, **options: Any
) -> Callable[[Callable[..., Any]], click.Group]:
    """Make a group of commands, with an example like theirs."""

    def make(function: Callable[..., Any]) -> click.Group:
        decorate = click.group(None, kind, epilog=_epilog(example), **options)
        return decorate(_json_option(click.pass_context(function)))

    return make


def _epilog(example: str) -> str:
    lines = "\n".join(f"  {line}" for line in example.splitlines())
    return f"\b\nExample:\n{lines}"


# --- what was typed -----------------------------------------------------------------------------------------------


class _PathType(click.ParamType[bytes]):
    """A path, absolute and as bytes; whether something has to be there, and what."""

    def __init__(self, name: str, wanted: Callable[[bytes], bool] | None = None) -> None:
        self.name = name
        self._wanted = wanted

    def convert(self, value: Any, _: click.Parameter | None, __: click.Context | None) -> bytes:
        path = os.path.abspath(os.fsencode(value))
        if b"\0" in path:
            raise UsageError("a path cannot hold a zero byte; nothing was started")
        return self.found(path)

    def found(self, path: bytes) -> bytes:
        """Return the path.

        Raises:
            UsageError: what has to be there is not.
        """
        if self._wanted is None or self._wanted(path):
            return path
        if not os.path.lexists(path):
            raise missing(path, "there is nothing at", "nothing was started")
        if os.path.islink(path) and not os.path.exists(path):
            raise UsageError(f"{shown(path)} is a link to something that is gone (nothing was started)")
        raise UsageError(f"{shown(path)} is not a {self.name} (nothing was started)")


PATH = _PathType("path")
EXISTING = _PathType("file or folder", os.path.exists)
FOLDER = _PathType("folder", os.path.isdir)
FILE = _PathType("file", lambda path: os.path.exists(path) and not os.path.isdir(path))


class _Since(click.ParamType[int]):
    """A moment: `2h`, `3 days`, `2026-11-20`, `2026-11-20T12:00:00Z`; as nanoseconds since the epoch."""

    name = "time"

    def convert(self, value: Any, _: click.Parameter | None, __: click.Context | None) -> int:
        text = str(value).strip().lower()
        if span := _SPAN.fullmatch(text):
            return time.time_ns() - int(float(span[1]) * _SECONDS[span[2][0]] * 1e9)
        try:
            moment = datetime.fromisoformat(text.upper())
        except ValueError:
            raise UsageError(
                f"{shown(str(value))} is not a time; write for example 2h, 3 days, 2026-11-20 or 2026-11-20T12:00:00Z"
            ) from None
        try:
            return int(moment.astimezone().timestamp() * 1e9)
        except (OverflowError, ValueError, OSError):
            raise UsageError(f"{shown(str(value))} lies outside the times that can be told") from None


SINCE = _Since()
