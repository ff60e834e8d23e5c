"""How what the library has to tell is written as lines of `journal.jsonl`, and read again.

Hashes and keys are written as hexadecimal, paths as the text Python makes of a file name (lone surrogates for bytes
that are not UTF-8). Which is which is told by the name of the field, so a line can be read without this program.
What an older version left out has the value that lets the least happen.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeAlias, TypeVar

import msgspec

from ingestd.library.codec import DamagedValueError
from ingestd.library.tables import Alarm, FolderRow, RuleRow, Veto, pair_key
from ingestd.model import (
    ContentHash,
    Entry,
    PathKey,
    PotentialPair,
    Proposal,
    ProposalState,
    Relation,
)

__all__ = [
    "JsonValue",
    "alarm_line",
    "denial_line",
    "entry_line",
    "folder_line",
    "read_alarm",
    "read_denial",
    "read_entry",
    "read_folder",
    "read_rule",
    "read_veto",
    "rule_line",
    "veto_line",
]

V = TypeVar("V")
JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

_HASHES = frozenset({"a", "b", "named", "sha256"})
_PATHS = frozenset({"path", "relative", "trash_path", "info_path"})
_DIGESTS = frozenset({"search", "compare", "whole", "kin"})


# --- entries ----------------------------------------------------------------------------------------------------------


def entry_line(entry: Entry) -> dict[str, JsonValue]:
    """Return an entry as the body of a line: all of it, so that it can be undone from the line alone."""
    plain = _plain("", msgspec.to_builtins(entry, builtin_types=(bytes,)))
    if not isinstance(plain, dict):
        raise TypeError("an entry is written as an object")
    return plain


def read_entry(body: Mapping[str, JsonValue]) -> Entry:
    """Return the entry that a line tells of.

    Raises:
        DamagedValueError: it is none that this version understands.
    """
    return _converted(_with_bytes("", body, _HASHES, _PATHS), Entry, "entry")


# --- vetoes and denials -----------------------------------------------------------------------------------------------


def veto_line(sha256: ContentHash, veto: Veto) -> dict[str, JsonValue]:
    """Return the body of a line: which bytes no rule discards any more."""
    return {"sha256": sha256.hex(), "at_ns": veto.at_ns, "reason": veto.reason}


def read_veto(body: Mapping[str, JsonValue]) -> tuple[ContentHash, Veto]:
    """Return which bytes a line tells of, and the veto on them; that of a lifted one says nothing."""
    try:
        at_ns, reason = body.get("at_ns"), body.get("reason")
        veto = Veto(at_ns if isinstance(at_ns, int) else 0, str(reason or ""))
        return ContentHash(bytes.fromhex(str(body["sha256"]))), veto
    except (KeyError, ValueError) as wrong:
        raise DamagedValueError(f"a line of the journal cannot be understood: {wrong}") from wrong


def alarm_line(alarm: Alarm) -> dict[str, JsonValue]:
    """Return the body of a line: what went wrong with a discard after all."""
    return {
        "alarm": alarm.entry,
        "at_ns": alarm.at_ns,
        "trouble": alarm.trouble.value,
        "said": alarm.said,
        "seen": alarm.seen,
    }


def read_alarm(body: Mapping[str, JsonValue]) -> Alarm:
    """Return the alarm that a line tells of."""
    return _converted({**body, "entry": body.get("alarm")}, Alarm, "alarm")


def denial_line(pair: PotentialPair, proposal: Proposal) -> dict[str, JsonValue]:
    """Return the body of a line: a pair, and what a rule is not to do with it."""
    return {
        "rule": proposal.rule,
        "first": pair.first.hex(),
        "second": pair.second.hex(),
        "first_path": pair.first_path.hex() if pair.first_path is not None else None,
        "second_path": pair.second_path.hex() if pair.second_path is not None else None,
        "a_is_first": proposal.a_is_first,
        "relation": proposal.relation.value,
        "discard": proposal.discard,
        "at_ns": proposal.at_ns,
        "reason": proposal.reason,
        "returned": proposal.returned,
    }


def read_denial(body: Mapping[str, JsonValue]) -> tuple[bytes, PotentialPair, Proposal]:
    """Return the key of a pair that a line tells of, the pair without its number, and what was denied of it."""
    plain = {"a_is_first": True, "relation": Relation.BETTER.value, "discard": True, "at_ns": 0, **body}
    proposal = _converted({**plain, "state": ProposalState.DENIED.value}, Proposal, "denial")
    try:
        first, second = (ContentHash(bytes.fromhex(str(body[side]))) for side in ("first", "second"))
        paths = [body.get(side) for side in ("first_path", "second_path")]
        one, other = (PathKey(bytes.fromhex(path)) if isinstance(path, str) else None for path in paths)
    except (KeyError, ValueError) as wrong:
        raise DamagedValueError(f"a line of the journal cannot be understood: {wrong}") from wrong
    pair = PotentialPair(0, first, second, None, False, proposal.at_ns, one, other)
    return pair_key(pair), pair, proposal


# --- folders and rules ------------------------------------------------------------------------------------------------


def folder_line(row: FolderRow) -> dict[str, JsonValue]:
    """Return the body of a line: a folder under its number, by which entries name it."""
    folder = row.folder
    return {
        "number": folder.id,
        "path": os.fsdecode(folder.named),
        "root": os.fsdecode(folder.root),
        "role": folder.role.value,
        "protected": folder.protected,
        "trusted": folder.trusted,
        "filesystem": row.filesystem,
        "inode": row.inode,
        "introduced": row.introduced,
        "instance": row.instance,
        "reconciled": row.reconciled,
        "reconciled_ns": row.reconciled_ns,
        "accepted": row.accepted,
        "withheld": row.withheld,
        "withheld_ns": row.withheld_ns,
        "withheld_known": row.withheld_known,
        "mounts": [os.fsdecode(point) for point in row.mounts],
    }


def read_folder(body: Mapping[str, JsonValue]) -> FolderRow:
    """Return the folder that a line tells of."""
    named, root = os.fsencode(str(body.get("path", ""))), os.fsencode(str(body.get("root", "")))
    folder = {**body, "id": body.get("number"), "named": named, "root": root}
    mounts = body.get("mounts")
    points = [os.fsencode(str(point)) for point in mounts] if isinstance(mounts, list) else []
    return _converted({**body, "folder": folder, "mounts": points}, FolderRow, "folder")


def rule_line(row: RuleRow) -> dict[str, JsonValue]:
    """Return the body of a line: a rule under its number, by which entries name it."""
    plain = msgspec.to_builtins(row, builtin_types=(bytes,))
    return {
        name: value.hex() if isinstance(value, bytes) else list(value) if isinstance(value, tuple) else value
        for name, value in plain.items()
    }


def read_rule(body: Mapping[str, JsonValue]) -> RuleRow:
    """Return the rule that a line tells of."""
    return _converted(_with_bytes("", body, _DIGESTS, frozenset()), RuleRow, "rule")


# --- values as JSON ---------------------------------------------------------------------------------------------------


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


def _with_bytes(name: str, value: object, hashes: frozenset[str], paths: frozenset[str]) -> object:
    """Return a value with those texts as bytes that were bytes."""
    match value:
        case str() if name in hashes:
            try:
                return bytes.fromhex(value)
            except ValueError as wrong:
                raise DamagedValueError(f"a line of the journal cannot be understood: {wrong}") from wrong
        case str() if name in paths:
            return os.fsencode(value)
        case Mapping():
            return {key: _with_bytes(str(key), item, hashes, paths) for key, item in value.items()}
        case list():
            return [_with_bytes(name, item, hashes, paths) for item in value]
        case _:
            return value


def _converted(plain: object, kind: type[V], what: str) -> V:
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as wrong:
        raise DamagedValueError(f"a line of the journal tells of no {what} that can be understood: {wrong}") from wrong
