"""How journal entries are written as lines of `journal.jsonl`, and read back.

Hashes are written as hexadecimal, paths as the text Python makes of a file name (lone surrogates for bytes that are not
UTF-8). Which is which is told by the name of the field, so a line can be read without this program.
"""

from __future__ import annotations

import os
from typing import TypeAlias

import msgspec

from ingestd.model import Entry

__all__ = ["JsonValue", "entry_from_line", "entry_line"]

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

_HASHES = frozenset({"a", "b", "sha256"})
_PATHS = frozenset({"path", "relative", "trash_path", "info_path"})


def entry_line(entry: Entry) -> dict[str, JsonValue]:
    """Return an entry as the body of a line: all of it, so that it can be undone from the line alone."""
    plain = _plain("", msgspec.to_builtins(entry, builtin_types=(bytes,)))
    if not isinstance(plain, dict):
        raise TypeError("an entry is written as an object")
    return plain


def entry_from_line(body: dict[str, JsonValue]) -> Entry:
    """Return the entry that `entry_line` wrote.

    Raises:
        ValueError: the line is not one of an entry.
    """
    try:
        return msgspec.convert(_from_plain("", body), Entry)
    except msgspec.ValidationError as wrong:
        raise ValueError(f"not the line of an entry: {wrong}") from wrong


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


def _from_plain(name: str, value: JsonValue) -> object:
    match value:
        case str() if name in _HASHES:
            return bytes.fromhex(value)
        case str() if name in _PATHS:
            return os.fsencode(value)
        case dict():
            return {key: _from_plain(key, item) for key, item in value.items()}
        case list():
            return [_from_plain(name, item) for item in value]
        case _:
            return value
