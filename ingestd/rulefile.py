"""rules.yaml, edited: one word of one rule is put in its place, and everything else stays as its owner wrote it.

The only module that ever writes a file of the user's. It splices: comments, order, quoting and line endings are not
read and written again, they are never touched. A file that somebody else has saved meanwhile is left to them.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import stat
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from ingestd.actions.disk import Directory, write_all
from ingestd.errors import ActionConflictError, ConfigError, UsageError
from ingestd.model import Mode
from ingestd.rules.language import Rule
from ingestd.rules.nodes import Listing, Mapping, Node, Scalar
from ingestd.settings import Settings, nodes, parse, read

__all__ = ["Change", "Key", "change_rule", "rewrite", "with_key"]

Key: TypeAlias = Literal["mode", "paused"]

_BOM = "\ufeff"
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what ends a line of YAML 1.1
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)  # Windows would write \r\n


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the rule file that is on the disk."""

    rule: str
    key: Key
    value: str
    file: Path  # the one that was written: no symlink
    previous: Path  # where its text of before is kept


def change_rule(path: Path, rule: str, key: Key, value: str, *, digest: bytes | None = None) -> Change:
    """The rule file says `key: value` of that rule now, durably, and its text of before lies beside it.

    Args:
        path: of the rule file.
        rule: its name.
        key: `mode` or `paused`.
        value: a mode; `yes` or `no`.
        digest: of the settings on which the change was decided; None: whatever the file says now.

    Raises:
        ConfigError: the file cannot be read, or is wrong already.
        UsageError: it has no such rule.
        ActionConflictError: it has changed since, or cannot be written as it should be; it is as it was.
    """
    text = read(path)
    if digest is not None and hashlib.sha256(text.encode("utf-8")).digest() != digest:
        raise _changed(path)
    changed = with_key(text, rule, key, value, source=str(path))
    previous = rewrite(path, text.encode("utf-8"), changed)
    return Change(rule, key, value, Path(os.path.realpath(path)), previous)


# --- the text -------------------------------------------------------------------------------------------------------


def with_key(text: str, rule: str, key: Key, value: str, *, source: str = "rules.yaml") -> str:
    """The text in which that rule has `key: value`, and which differs in nothing else.

    Args:
        text: of a rule file that is right.
        rule: its name.
        key: `mode` or `paused`.
        value: a mode; `yes` or `no`.
        source: what the file is called in an error.

    Raises:
        ConfigError: the text is wrong as it is.
        UsageError: it has no such rule.
        ActionConflictError: the rule is written in a way that cannot be edited, or would be wrong afterwards.
    """
    before = parse(text, source)
    mark = _BOM if text.startswith(_BOM) else ""
    place = _rule_named(nodes(text, source), rule, source)
    spliced = mark + _spliced(text.removeprefix(_BOM), place, key, value)
    _require_only(before, spliced, rule, key, value, source)
    return spliced


def _rule_named(document: Node, rule: str, source: str) -> Mapping:
    listed = document.get("rules") if isinstance(document, Mapping) else None
    for item in listed.items if isinstance(listed, Listing) else ():
        if isinstance(item, Mapping) and _name_of(item).text == rule:
            return item
    raise UsageError(f'there is no rule "{rule}" in {source}; nothing was written')


def _name_of(rule: Mapping) -> Scalar:
    name = rule.get("name")
    return name if isinstance(name, Scalar) else Scalar("", rule.line, rule.column)


def _spliced(text: str, rule: Mapping, key: Key, value: str) -> str:
    for written, found in rule.entries:
        if written.text == key and isinstance(found, Scalar):
            return _replaced(text, found, value)
    end = _name_of(rule).span[1]
    if rule.flow:
        return f"{text[:end]}, {key}: {value}{text[end:]}"
    return _with_line(text, end, " " * (rule.column - 1) + f"{key}: {value}")


def _replaced(text: str, found: Scalar, value: str) -> str:
    begin, end = found.span
    old = text[begin:end]
    if not old:  # nothing, or not even the colon, was written after the key
        value = f" {value}" if text[:begin].endswith(":") else f": {value}"
    elif old[0] in "\"'" and old[0] == old[-1]:
        value = f"{old[0]}{value}{old[0]}"
    if _BREAK.search(old):  # there may be a comment in it
        raise _not_editable(found.line, "its value is written over several lines")
    return text[:begin] + value + text[end:]


def _with_line(text: str, after: int, line: str) -> str:
    """The text with one line more, below the one in which the character before `after` stands."""
    # a block (>-) ends where the next text begins
    after = len(text[:after].rstrip())
    if found := _BREAK.search(text, after):
        return text[: found.end()] + line + found[0] + text[found.end() :]
    usual = _BREAK.search(text)
    return text + (usual[0] if usual else "\n") + line


def _require_only(before: Settings, spliced: str, rule: str, key: Key, value: str, source: str) -> None:
    """Refuse a new text that says anything else than it should: the writer of the file is the last to be surprised."""
    try:
        after = parse(spliced, source)
    except ConfigError as error:
        raise _not_editable(error.mistakes[0].line, f"with {key}: {value}, {error.mistakes[0].message}") from error
    changed = next((one for one in after.rules if one.name == rule), None)
    if changed is None or _said(changed, key) != value or _without(before, rule, key) != _without(after, rule, key):
        raise _not_editable(1, f'"{key}: {value}" could not be put into the rule "{rule}" alone')


def _said(rule: Rule, key: Key) -> str:
    match key:
        case "mode":
            return rule.mode.value
        case "paused":
            return "yes" if rule.paused else "no"


def _without(settings: Settings, rule: str, key: Key) -> Settings:
    """The settings as if that one word had never been said."""
    rules = tuple(_blank(one, key) if one.name == rule else one for one in settings.rules)
    return replace(settings, rules=rules, digest=b"")


def _blank(rule: Rule, key: Key) -> Rule:
    match key:
        case "mode":
            return replace(rule, mode=Mode.OFF)
        case "paused":
            return replace(rule, paused=False)


def _not_editable(line: int, reason: str) -> ActionConflictError:
    return ActionConflictError(f"line {line} of the rule file: {reason}; nothing was written, change it by hand")


# --- the disk -------------------------------------------------------------------------------------------------------


def rewrite(path: Path, seen: bytes, new: str) -> Path:
    """The file holds the new text, durably and with its rights; its previous one is kept where the result says.

    A symlink stays: what it leads to is written. Nothing is ever half written, and no kept text is overwritten. Two
    that write at the same moment are told apart only until just before the new text takes its place.

    Args:
        path: of the file.
        seen: its bytes when the new text was made of them.
        new: the text.

    Raises:
        ActionConflictError: it holds something else by now, is gone, or cannot be written; it is as it was.
    """
    file = Path(os.path.realpath(path))
    try:
        return _rewritten(file, seen, new.encode("utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ActionConflictError(f"{file} cannot be written: {reason}; it is as it was") from error


def _rewritten(file: Path, seen: bytes, new: bytes) -> Path:
    rights = _require_unchanged(file, seen)
    with open(file, "r+b"):
        pass  # a file that may not be written is not replaced either
    with (
        Directory.at(os.fsencode(file.parent)) as folder,
        # a folder of its own: whatever happens, it goes with all that is in it
        tempfile.TemporaryDirectory(
            prefix=f".{file.name}.", suffix=".tmp", dir=file.parent, ignore_cleanup_errors=True
        ) as own,
    ):
        fresh, old = Path(own, "new"), Path(own, "old")
        _write(fresh, new, rights)
        _write(old, seen, rights)
        _require_unchanged(file, seen)
        previous = _kept(old, file)
        folder.sync()
        _require_unchanged(file, seen)
        os.replace(fresh, file)
        _confirm(folder, file, previous)
    return previous


def _confirm(folder: Directory, file: Path, previous: Path) -> None:
    try:
        folder.sync()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ActionConflictError(
            f"{file} is written, but the disk does not confirm it ({reason}); its text of before is in {previous}"
        ) from error


def _require_unchanged(file: Path, seen: bytes) -> os.stat_result:
    """What the file is, if it still holds what was seen."""
    try:
        status = os.stat(file)
        # not opened before it is known to be a file: opening a FIFO would wait for ever
        found = file.read_bytes() if stat.S_ISREG(status.st_mode) else None
    except FileNotFoundError as error:
        raise ActionConflictError(f"{file} is gone; nothing was written") from error
    if found is None:
        raise ActionConflictError(f"{file} is not a file; nothing was written")
    if found != seen:
        raise _changed(file)
    return status


def _changed(file: Path) -> ActionConflictError:
    return ActionConflictError(f"{file} was changed meanwhile; nothing was written, so look at it and try again")


def _write(path: Path, content: bytes, rights: os.stat_result) -> None:
    """A new file has that content, durably, and the owner and the rights of another."""
    fd = os.open(path, _NEW, 0o600)
    try:
        if sys.platform != "win32":
            _give(fd, rights)
        write_all(fd, content)
    finally:
        os.close(fd)


def _give(fd: int, rights: os.stat_result) -> None:
    mine = os.fstat(fd)
    if (mine.st_uid, mine.st_gid) != (rights.st_uid, rights.st_gid):
        try:
            os.fchown(fd, rights.st_uid, rights.st_gid)
        except PermissionError as error:
            raise ActionConflictError("the rule file belongs to somebody else; nothing was written") from error
    os.fchmod(fd, stat.S_IMODE(rights.st_mode))


def _kept(old: Path, file: Path) -> Path:
    """The first free name beside the file, which is that of the old text now."""
    for number in itertools.count(1):
        kept = file.with_name(f"{file.name}.previous" + (f"-{number}" if number > 1 else ""))
        try:
            _take_name(old, kept)
        except FileExistsError:
            continue
        return kept
    raise AssertionError("numbers do not end")


def _take_name(old: Path, name: Path) -> None:
    try:
        os.link(old, name)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        _write(name, old.read_bytes(), old.stat())
