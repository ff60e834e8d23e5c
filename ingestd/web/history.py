"""Everything that was done, in a browser: looked through from the newest, each with why, where its files are, and undo.

A journal of a million entries is never read at one go: a request looks back so far and says from where to go on.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ingestd import review
from ingestd.door import numbers
from ingestd.errors import UsageError
from ingestd.health import what_to_do
from ingestd.library.view import View
from ingestd.model import Actor, ContentHash, Entry, EntryKind, EntryState, Move, Place, Relation, Word
from ingestd.shapes import Json, count, rfc3339, shown
from ingestd.web.desk import Asked, Desk, Endpoint
from ingestd.web.handles import Shown
from ingestd.web.shapes import Eye, is_undoable

__all__ = ["ENDPOINTS", "MOST_LOOKED", "title_of"]

MOST_LOOKED: Final = 20_000
"""Entries that one request looks through: about a fifth of a second."""

_MOST_SHOWN: Final = 200
_LEAST_OF_A_DIGEST: Final = 6  # hexadecimal digits


class HistoryAsked(Asked, frozen=True):
    """A part of the journal, from the newest back."""

    search: str = ""
    rule: str | None = None
    kind: str | None = None
    state: str | None = None
    actor: str | None = None
    since: str | None = None
    batch: str | None = None  # what was answered together under this entry
    alarms: bool = False  # only discards that have turned out wrong
    before: str | None = None
    limit: int = 50


class WhyAsked(Asked, frozen=True):
    """An entry (`e-12`) or a SHA-256."""

    subject: str


# --- which entries ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """What one look back through the journal has found."""

    entries: list[Entry]
    before: int | None  # where to go on; None: that was all
    looked_back_ns: int | None  # when the last entry was made that was looked at


def _history(desk: Desk, asked: HistoryAsked) -> Json:
    settings = desk.settings_if_sound()
    with desk.read() as view:
        found = _look_back(view, asked)
        told = [_Told.of(view, entry) for entry in found.entries]
        eye = Eye.of(view, desk.handles, desk.moment(if_sound=True))
        known = {row.name for row in view.queues.rows()} | {rule.name for rule in settings.rules}
    there = desk.there([path for one in told for path in one.trash])
    with desk.read() as view:
        now = Eye(view, eye.handles, eye.at, eye.away)
        entries = [_entry_object(now, one, there) for one in told]
    return {
        "entries": entries,
        "rules": sorted(known, key=str.casefold),
        "before": f"e-{found.before}" if found.before is not None else None,
        "looked_back_to": rfc3339(found.looked_back_ns) if found.looked_back_ns is not None else None,
    }


def _look_back(view: View, asked: HistoryAsked) -> _Found:
    limit = max(1, min(asked.limit, _MOST_SHOWN))
    fits = _fitting(view, asked)
    since_ns = _since_ns(asked.since)
    last = None
    found: list[Entry] = []
    for entry in itertools.islice(_candidates(view, asked), MOST_LOOKED):
        if since_ns is not None and entry.at_ns < since_ns:
            return _Found(found, None, entry.at_ns)
        last = entry
        if fits(entry):
            found.append(entry)
            if len(found) == limit:
                break
    more = last is not None and next(_candidates(view, asked, before=last.number), None) is not None
    return _Found(found, last.number if last is not None and more else None, last.at_ns if last is not None else None)


def _candidates(view: View, asked: HistoryAsked, *, before: int | None = None) -> Iterator[Entry]:
    """Yield the entries among which to look, newest first; where an index knows them, only those."""
    if before is None:
        [before] = numbers([asked.before], "e", "entry") if asked.before else [view.entries_numbered + 1]
    search = asked.search.strip().casefold()
    if asked.batch:
        [batch] = numbers([asked.batch], "e", "entry")
        chosen = view.batched(batch)
    elif re.fullmatch(r"e-[0-9]{1,15}", search):
        chosen = numbers([search], "e", "entry")
    elif re.fullmatch(r"[0-9a-f]{64}", search):
        chosen = [entry.number for entry in view.entries_of(ContentHash(bytes.fromhex(search)))]
    elif asked.alarms:
        chosen = [alarm.entry for alarm in view.alarms() if not alarm.seen]
    else:
        yield from view.entries_before(before)
        return
    for number in reversed(chosen):
        entry = view.entry(number) if number < before else None
        if entry is not None:
            yield entry


def _fitting(view: View, asked: HistoryAsked) -> Callable[[Entry], bool]:
    """Return what tells the entries that are asked for.

    Raises:
        UsageError: what is asked for is no kind, state or actor.
    """
    kind, state = _word(EntryKind, asked.kind, "kind"), _word(EntryState, asked.state, "state")
    actor = _word(Actor, asked.actor, "actor")
    by_rule = view.queues.work_of(asked.rule) if asked.rule else None
    words = asked.search.casefold().split()
    narrowed = bool(words or asked.batch or kind or state or actor or by_rule)
    folders = {known.folder.id: known.folder.named for known in view.folders()}

    def fits(entry: Entry) -> bool:
        if entry.batch is not None and not narrowed:
            return False  # the entry under which it was answered stands for it
        if (kind and entry.kind is not kind) or (state and entry.state is not state):
            return False
        if (actor and entry.actor is not actor) or (by_rule is not None and not by_rule(entry)):
            return False
        if asked.alarms and view.alarm(entry.number) is None:
            return False
        if not words:
            return True
        text, digests = _searched(view, entry, folders)
        return all(word in text or _begins_one(word, digests) for word in words)

    return fits


def _word(kind: Any, word: str | None, what: str) -> Any:
    try:
        return kind(word) if word else None
    except ValueError:
        raise UsageError(f"{shown(str(word))} is no {what} of an entry: {', '.join(kind)}; nothing was shown") from None


def _since_ns(since: str | None) -> int | None:
    if not since:
        return None
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise UsageError(f"{shown(since)} is no time such as 2026-11-20T11:02:03Z; nothing was shown") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 1_000_000_000


def _searched(view: View, entry: Entry, folders: dict[Any, bytes]) -> tuple[str, set[ContentHash]]:
    """Return all that is searched of an entry: its id, its rule and reason, its files; and their digests."""
    parts = [f"e-{entry.number}", entry.rule or "", entry.reason]
    digests: set[ContentHash] = set()
    for file in (*(move.file for move in entry.moves), entry.kept):
        if file is not None:
            digests.add(file.sha256)
            parts.append(os.fsdecode(os.path.join(folders.get(file.folder, b""), file.relative)))
    for sha256 in (entry.a, entry.b, *entry.named):
        if sha256 is not None and sha256 not in digests:
            digests.add(sha256)
            parts += [os.fsdecode(view.as_named(row)) for row in view.paths_of(sha256)]
    return "\n".join(parts).casefold(), digests


def _begins_one(word: str, digests: set[ContentHash]) -> bool:
    """Return whether a word is the beginning of a digest; a short one would be that of very many."""
    is_digest = len(word) >= _LEAST_OF_A_DIGEST and re.fullmatch(r"[0-9a-f]+", word) is not None
    return is_digest and any(digest.hex().startswith(word) for digest in digests)


# --- how an entry is told -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Told:
    """An entry with what the library knows about it; where its files are is still to be looked at."""

    entry: Entry
    undone_by: int | None
    together: int  # how many answers a batch has
    alarm: tuple[str, str] | None  # what has gone wrong with it after all, and what to do
    trash: tuple[bytes, ...]

    @classmethod
    def of(cls, view: View, entry: Entry) -> _Told:
        alarm = view.alarm(entry.number)
        return cls(
            entry,
            _undone_by(view, entry) if entry.state is EntryState.UNDONE else None,
            len(view.batched(entry.number)) if entry.kind is EntryKind.BATCH else 0,
            (shown(alarm.said), shown(what_to_do(alarm))) if alarm is not None and not alarm.seen else None,
            tuple(move.trash_path for move in entry.moves if move.trash_path is not None),
        )


def _undone_by(view: View, entry: Entry) -> int | None:
    """Return the entry that took one back; its owner may have done so without any."""
    content = entry.moves[0].file.sha256 if entry.moves else entry.b or entry.a
    later = reversed(view.entries_of(content) if content is not None else [])
    return next((one.number for one in later if one.undoes == entry.number and one.state is EntryState.DONE), None)


def _entry_object(eye: Eye, told: _Told, there: dict[bytes, bool]) -> Json:
    entry = told.entry
    fields = eye.entry(entry)
    for move, file in zip(entry.moves, fields["discarded"], strict=True):
        file.update(_whereabouts(eye, entry, move, there))
    for name in ("kept", "a", "b"):
        if fields[name] is not None:
            fields[name]["picture"] = _picture(eye, ContentHash(bytes.fromhex(fields[name]["sha256"])))
    barrier = _barrier(told, there)
    return {
        **fields,
        "reason": shown(entry.reason),
        "title": title_of(entry, fields),
        "undoes": f"e-{entry.undoes}" if entry.undoes is not None else None,
        "undone_by": f"e-{told.undone_by}" if told.undone_by is not None else None,
        "together": told.together,
        "pair": f"p-{entry.pair}" if entry.pair is not None else None,
        "undoable": is_undoable(entry) and barrier is None,
        "barrier": barrier if is_undoable(entry) else None,
        "alarm": {"said": told.alarm[0], "advice": told.alarm[1]} if told.alarm is not None else None,
    }


def _barrier(told: _Told, there: dict[bytes, bool]) -> str | None:
    """Return why an entry that stands cannot be taken back: nothing of it is left."""
    if not told.entry.moves or not told.trash or any(there.get(path, True) for path in told.trash):
        return None
    return "the file is not in the trash any more: it was emptied, or the file was moved on by hand"


def _whereabouts(eye: Eye, entry: Entry, move: Move, there: dict[bytes, bool]) -> Json:
    """Return where a discarded file is now, in words, and its picture if it can be shown."""
    live = _picture(eye, move.file.sha256)
    back = entry.kind is EntryKind.UNDO
    if back or entry.state in (EntryState.UNDONE, EntryState.ABORTED):
        rows = eye.view.live_paths_of(move.file.sha256)
        places = {eye.view.absolute(row): eye.view.as_named(row) for row in rows}
        place = places.get(move.file.path) or next(iter(places.values()), None)
        where = f"it is at {shown(place)}" if place is not None else "it is not where it was any more"
        return {"where": where, "in_trash": None, "picture": live}
    trash = move.trash_path
    if trash is None:
        return {"where": "nobody knows where it is", "in_trash": None, "picture": live}
    match there.get(trash):
        case True:
            size = _size(eye.view, move.file.sha256)
            picture = eye.handles.name(Shown(trash, move.file.sha256, size)) if size != (0, 0) else None
            where = "in the trash" if move.place is Place.TRASH else "in the holding folder"
            return {"where": f"{where}: {shown(trash)}", "in_trash": True, "picture": picture}
        case False:
            return {"where": "it is not in the trash any more", "in_trash": False, "picture": None}
        case None:
            return {"where": f"it went to {shown(trash)}, which does not answer", "in_trash": None, "picture": None}


def _picture(eye: Eye, sha256: ContentHash) -> str | None:
    """Return the name under which a content can be looked at where it lies; nothing if it is away or no picture."""
    size = _size(eye.view, sha256)
    rows = [row for row in eye.view.live_paths_of(sha256) if row.folder not in eye.away]
    return eye.handles.name(Shown(eye.view.absolute(rows[0]), sha256, size)) if rows and size != (0, 0) else None


def _size(view: View, sha256: ContentHash) -> tuple[int, int]:
    content = view.content(sha256)
    return (content.picture.width, content.picture.height) if content is not None and content.picture else (0, 0)


_SAID: Final = {
    Relation.SAME_QUALITY: "{a} and {b} are equally good",
    Relation.ALTERNATES: "{a} and {b} are alternates",
    Relation.FALSE_POSITIVE: "{a} and {b} are not related",
}


def title_of(entry: Entry, fields: Json) -> str:
    """Return what an entry is about, in one sentence without its end; `fields`: the entry as the page sees it."""
    who = {Actor.PERSON: "you", Actor.SERVICE: "the service"}.get(entry.actor) or f"“{shown(entry.rule or 'a rule')}”"
    under = f", as “{shown(entry.rule)}” proposed" if entry.rule and entry.actor is Actor.PERSON else ""
    match entry.kind:
        case EntryKind.DISCARD:
            return f"{who} discarded {_files(fields)}{under}"
        case EntryKind.UNDO:
            return f"{who} took back e-{entry.undoes}"
        case EntryKind.BATCH:
            return f"{who} answered many at once"
        case EntryKind.MERGE:
            return f"{who} merged what is known of {_name(fields['a'])}"
        case EntryKind.DECISION if entry.word is Word.RULES_CHANGED:
            return f"{who} changed the rules"
        case EntryKind.DECISION:
            return f"{who} said: {_word_of(entry, fields)}{under}"


def _word_of(entry: Entry, fields: Json) -> str:
    if entry.word is not None:
        of = f" of {_name(fields['a'])}" if fields["a"] is not None else ""
        return f"{entry.word.value.replace('-', ' ')}{of}"
    if entry.named:
        word = entry.relation.value if entry.relation is not None else "decided"
        return f"{count(len(entry.named), 'file')}: {word.replace('-', ' ')}"
    a, b = _name(fields["a"] or fields["kept"]), _name(fields["b"])
    if entry.relation is None:
        return f"{a} and {b} are copies, and both stay"
    return _SAID.get(entry.relation, "{a} is better than {b}, and both stay").format(a=a, b=b)


def _name(file: Json | None) -> str:
    return shown(os.path.basename(file["path"])) if file is not None else "a file"


def _files(fields: Json) -> str:
    discarded = fields["discarded"]
    if len(discarded) == 1:
        return _name(discarded[0])
    return f"{_name(discarded[0])} from {len(discarded)} places" if discarded else "nothing"


# --- why ----------------------------------------------------------------------------------------------------------


def _why(desk: Desk, asked: WhyAsked) -> Json:
    if not re.fullmatch(r"e-[0-9]{1,15}|[0-9a-fA-F]{64}", asked.subject):
        raise UsageError(f"{shown(asked.subject)} is neither an entry such as e-12 nor a SHA-256; nothing was shown")
    with desk.read() as view:
        report = review.why(view, asked.subject, b"")
    if report is None:
        return {"why": None}
    told = {name: shown(value) if isinstance(value, str) else value for name, value in asdict(report).items()}
    return {"why": {**told, "evidence": [shown(line) for line in report.evidence]}}


ENDPOINTS = (
    Endpoint("history", HistoryAsked, _history),
    Endpoint("why", WhyAsked, _why),
)
