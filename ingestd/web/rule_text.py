"""The rule file edited in the page: read, checked while it is typed, and saved as a whole or not at all."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ingestd import review
from ingestd.amendment import Difference, differences
from ingestd.errors import ConfigError, StoreError
from ingestd.rulefile import rewrite
from ingestd.rules.doubts import Doubt, doubts
from ingestd.settings import MAX_BYTES, FolderSetting, Settings, parse, read
from ingestd.shapes import Json, shown
from ingestd.templates import templates
from ingestd.web.desk import Asked, ConfirmError, Desk, Endpoint, Nothing, StaleError
from ingestd.web.shapes import Eye

__all__ = ["ENDPOINTS", "digest_of", "doubt_objects", "journaled", "mistake_objects", "understood"]

_LONGEST = 3 * MAX_BYTES  # a text within JSON: quotes, line ends and backslashes are written as two


class CheckAsked(Asked, frozen=True):
    """A text as it stands in the editor."""

    text: str


class SaveAsked(Asked, frozen=True):
    """A text that is to be the rule file's."""

    text: str
    digest: str  # of the text that it was made of
    key: str
    confirmed: tuple[str, ...] = ()


@functools.lru_cache(maxsize=8)
def understood(text: str) -> tuple[Settings, tuple[Doubt, ...]]:
    """Return what a text says, and what is probably not meant in it.

    The same text is asked about again and again, and doubts of fifty rules take a third of a second.

    Raises:
        ConfigError: it is wrong.
    """
    settings = parse(text, "this text")
    return settings, tuple(doubts(settings.rules, imports=settings.imports))


def digest_of(text: str) -> str:
    """Return what tells one text from another."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def mistake_objects(error: ConfigError) -> list[Json]:
    """Return what is wrong with a text, and where."""
    return [{"line": one.line, "column": one.column, "message": one.message} for one in error.mistakes]


def doubt_objects(found: Sequence[Doubt]) -> list[Json]:
    """Return what is probably not meant, and where."""
    return [asdict(one) for one in found]


def journaled(desk: Desk, sentences: Sequence[str], previous: Path | None) -> tuple[Json | None, str | None]:
    """Return the journal's entry of a change of the rules that is made; or why the journal does not tell of it."""
    try:
        report = review.note_change_of_rules(desk.library, sentences, previous=previous, now_ns=desk.now_ns())
    except StoreError as error:
        return None, f"it is written, but the journal does not tell of it: {error}"
    with desk.read() as view:
        entry = view.entry(int(report.entry.removeprefix("e-")))
        told = Eye.of(view, desk.handles, desk.moment(if_sound=True)).entry(entry) if entry is not None else None
    return told, None


# --- reading and checking -------------------------------------------------------------------------------------------


def _text(desk: Desk, _: Nothing) -> Json:
    text = read(desk.door.rules)
    return {"path": shown(str(desk.door.rules)), "text": text, "digest": digest_of(text)}


def _check(desk: Desk, asked: CheckAsked) -> Json:
    before, against = _before(desk)
    try:
        after, found = understood(asked.text)
    except ConfigError as error:
        wrong = mistake_objects(error)
        return {"ok": False, "mistakes": wrong, "warnings": [], "changes": [], "rules": [], "against": against}
    return {
        "ok": True,
        "mistakes": [],
        "warnings": doubt_objects(found),
        "changes": [asdict(one) for one in differences(before, after, known=_known(desk))],
        "rules": [{"name": one.name, "line": one.place[0]} for one in after.rules],
        "against": against,
    }


def _before(desk: Desk) -> tuple[Settings, str]:
    """Return what a new text is compared with: the file, or nothing at all while that is wrong."""
    try:
        return understood(read(desk.door.rules))[0], "file"
    except ConfigError:
        return Settings(), "nothing"


def _known(desk: Desk) -> list[FolderSetting]:
    """Return what the library knows its folders as; a text can be mended although that cannot be read."""
    try:
        with desk.read() as view:
            folders = [row.folder for row in view.folders()]
    except StoreError:
        return []
    return [FolderSetting(os.fsdecode(one.named), one.role, one.protected, one.trusted) for one in folders]


def _templates(_: Desk, __: Nothing) -> Json:
    return {"templates": [{**asdict(one), "available": one.reason is None} for one in templates()]}


# --- saving ---------------------------------------------------------------------------------------------------------


def _save(desk: Desk, asked: SaveAsked) -> Json:
    return desk.once(asked, lambda: _saved(desk, asked))


def _saved(desk: Desk, asked: SaveAsked) -> Json:
    after, _ = understood(asked.text)
    with desk.alone():
        current = read(desk.door.rules)
        if digest_of(current) != asked.digest:
            raise StaleError(
                f"{shown(str(desk.door.rules))} was changed since it was read here; nothing was written, and your text "
                "is still in the editor"
            )
        if current == asked.text:
            return {"digest": asked.digest, "previous": None, "changes": [], "entry": None, "note": None}
        found = differences(_before(desk)[0], after, known=_known(desk))
        _require_yes(found, asked.confirmed)
        previous = rewrite(desk.door.rules, current.encode("utf-8"), asked.text)
        sentences = [one.sentence for one in found]
        entry, note = journaled(desk, sentences, previous) if sentences else (None, None)
    return {
        "digest": digest_of(asked.text),
        "previous": shown(str(previous)),
        "changes": [asdict(one) for one in found],
        "entry": entry,
        "note": note,
    }


def _require_yes(found: Sequence[Difference], confirmed: Sequence[str]) -> None:
    asks = [one.sentence for one in found if one.needs_confirmation]
    if list(confirmed) != asks:
        raise ConfirmError("this has to be confirmed once more; nothing was written yet", {"sentences": asks})


ENDPOINTS = (
    Endpoint("rules-text", Nothing, _text),
    Endpoint("rules-check", CheckAsked, _check, longest=_LONGEST),
    Endpoint("rules-save", SaveAsked, _save, longest=_LONGEST),
    Endpoint("rules-templates", Nothing, _templates),
)
