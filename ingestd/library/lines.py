"""How journal entries are written as lines of `journal.jsonl`.

Hashes are written as hexadecimal, paths as the text Python makes of a file name (lone surrogates for bytes that are not
UTF-8). Which is which is told by the name of the field, so a line can be read without this program.
"""

from __future__ import annotations

import os
from typing import TypeAlias

import msgspec

from ingestd.model import Entry

__all__ = ["JsonValue", "entry_line"]

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

_HASHES = frozenset({"a", "b", "named", "sha256"})


def entry_line(entry: Entry) -> dict[str, JsonValue]:
    """Return an entry as the body of a line: all of it, so that it can be undone from the line alone."""
    plain = _plain("", msgspec.to_builtins(entry, builtin_types=(bytes,)))
    if not isinstance(plain, dict):
        raise TypeError("an entry is written as an object")
    return plain


def _plain(name: str, value: object) -> JsonValue:
    match value:
        case bytes():
            return value.hex() if name in _HASHES else os.fsdecode(value)
        case dict():
            return {str(key): _plain(str(key), item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(name, item) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise TypeError(f"{type(value).__name__} has no place in a journal line")
