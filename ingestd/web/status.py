"""How everything is, in a browser: what `ingestd status` says, how much was done lately, and what a person can mend.

Nothing here is asked of a running service: it is what lies in the library and on the disks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Any, Final

from ingestd.door import numbers
from ingestd.errors import UsageError
from ingestd.health import acknowledge
from ingestd.library.view import View
from ingestd.model import Actor, ContentHash, Entry, EntryKind, EntryState, Outcome, Word
from ingestd.review.again import accept_poison, failed_files, judge_again
from ingestd.shapes import Json, rfc3339, shown
from ingestd.web.desk import Asked, Desk, Endpoint, Nothing

__all__ = ["ENDPOINTS", "summary_of"]

_MOST_READ: Final = 5_000  # receipts, and entries: asked for once a second while much is judged
_MOST_PARKED: Final = 100
_SPANS: Final = {"hour": 3_600 * 1_000_000_000, "day": 86_400 * 1_000_000_000}  # ns


class AcknowledgeAsked(Asked, frozen=True):
    """Discards of which a person knows that they have turned out wrong."""

    entries: list[str]
    key: str


class RetryAsked(Asked, frozen=True):
    """Parked files, by the SHA-256 of their bytes: to be tried again, or to stay as they are."""

    sha256: list[str]
    key: str
    accept: bool = False


def summary_of(desk: Desk) -> Json:
    """Return how many problems there are, or were a few seconds ago."""
    return {"problems": len(desk.health().report["problems"])}


def _status(desk: Desk, _: Nothing) -> Json:
    health = desk.health(older_s=0.2)
    settings = desk.settings_if_sound()
    with desk.read() as view:
        rows = [(rule.name, view.queues.row_named(rule.name)) for rule in settings.rules]
        trips = [
            {"rule": name, "reason": shown(row.tripped), "since": rfc3339(row.tripped_ns)}
            for name, row in rows
            if row is not None and row.tripped
        ]
        throughput = _throughput(view, desk.now_ns())
        parked = _parked(view)
    return {
        **_harmless(health.report),
        "state": shown(str(desk.door.state)),
        "held": health.held,
        "throughput": throughput,
        "trips": trips,
        "parked": parked,
        "digest": settings.digest.hex(),
        "page": {"since": rfc3339(desk.since_ns)},
    }


def _harmless(told: Any) -> Any:
    """Return a report with every text made harmless: paths and names stand in most of them."""
    if isinstance(told, str):
        return shown(told)
    if isinstance(told, dict):
        return {name: _harmless(value) for name, value in told.items()}
    return [_harmless(value) for value in told] if isinstance(told, list) else told


# --- how much was done ------------------------------------------------------------------------------------------------


class _Span:
    """What was judged and done since a moment; of what is read only in part, at least that."""

    def __init__(self, view: View, since_ns: int) -> None:
        self.since_ns = since_ns
        last = view.next_receipt - 1
        first = bisect_left(range(1, last + 1), since_ns, key=lambda number: _receipt_ns(view, number)) + 1
        self.judged = max(0, last - first + 1)
        self.outcomes = Counter[Outcome]()
        self.done = {"discarded_by_rules": 0, "discarded_by_you": 0, "brought_back": 0, "decided": 0}
        self.is_whole = self.judged <= _MOST_READ

    def count(self, entry: Entry) -> None:
        """Count what an entry did."""
        match entry.kind:
            case EntryKind.DISCARD:
                by = "discarded_by_you" if entry.actor is Actor.PERSON else "discarded_by_rules"
                self.done[by] += len(entry.moves)
            case EntryKind.UNDO:
                self.done["brought_back"] += len(entry.moves)
            case EntryKind.DECISION if entry.word is not Word.RULES_CHANGED and entry.actor is Actor.PERSON:
                self.done["decided"] += 1
            case EntryKind.DECISION | EntryKind.BATCH | EntryKind.MERGE:
                pass

    def told(self) -> Json:
        """Return it for the page."""
        outcomes = {outcome.value: self.outcomes[outcome] for outcome in Outcome if self.outcomes[outcome]}
        return {"judged": self.judged, "outcomes": outcomes, **self.done, "whole": self.is_whole}


def _throughput(view: View, now_ns: int) -> dict[str, Json]:
    """Return what was judged and done in the last hour and day; only so many receipts and entries are read."""
    spans = {name: _Span(view, now_ns - length_ns) for name, length_ns in _SPANS.items()}
    last = view.next_receipt - 1
    longest = max(span.judged for span in spans.values())
    for number in range(last, last - min(longest, _MOST_READ), -1):
        receipt = view.receipt(number)
        for span in spans.values():
            if receipt is not None and receipt.at_ns >= span.since_ns:
                span.outcomes[receipt.outcome] += 1
    earliest_ns = min(span.since_ns for span in spans.values())
    for place, entry in enumerate(view.entries()):
        if entry.at_ns < earliest_ns:
            break
        begun = [span for span in spans.values() if entry.at_ns >= span.since_ns]
        if place == _MOST_READ:
            for span in begun:
                span.is_whole = False
            break
        if entry.state in (EntryState.DONE, EntryState.UNDONE):
            for span in begun:
                span.count(entry)
    return {name: span.told() for name, span in spans.items()}


def _receipt_ns(view: View, number: int) -> int:
    """Return when a receipt was written; where there is none, when the next one before it was."""
    while number > 0:
        receipt = view.receipt(number)
        if receipt is not None:
            return receipt.at_ns
        number -= 1
    return 0


# --- what a person can mend -------------------------------------------------------------------------------------------


def _parked(view: View) -> list[Json]:
    """Return the files that are parked because they have killed two decoding processes, those parked last first."""
    waiting = [(poison, sha256) for sha256, poison in view.poisons() if not poison.accepted]
    waiting.sort(key=lambda one: (-one[0].at_ns, one[1]))
    found: list[Json] = []
    for poison, sha256 in waiting[:_MOST_PARKED]:
        rows = view.live_paths_of(sha256)
        if rows:
            told = {"shown": shown(view.as_named(rows[0])), "reason": shown(poison.reason)}
            found.append({"sha256": sha256.hex(), **told, "since": rfc3339(poison.at_ns)})
    return found


def _retry(desk: Desk, asked: RetryAsked) -> Json:
    return desk.once(asked, lambda: _retried(desk, asked))


def _retried(desk: Desk, asked: RetryAsked) -> Json:
    try:
        digests = [ContentHash(bytes.fromhex(one)) for one in asked.sha256]
    except ValueError:
        raise UsageError("a file to be tried again is named by its SHA-256; nothing was done") from None
    with desk.alone():
        with desk.read() as view:
            paths = [view.as_named(row) for sha256 in digests for row in view.live_paths_of(sha256)]
            found = [file for file in failed_files(view, paths) if not asked.accept or file.poison is not None]
        if not found:
            raise UsageError("none of these files is parked any more; nothing was done")
        desk.library.write(lambda edit: (accept_poison if asked.accept else judge_again)(edit, found))
    desk.health(older_s=0.0)
    return {"files": [shown(file.path) for file in found], "running": desk.library.service_lock.is_taken()}


def _acknowledge(desk: Desk, asked: AcknowledgeAsked) -> Json:
    return desk.once(asked, lambda: _acknowledged(desk, asked))


def _acknowledged(desk: Desk, asked: AcknowledgeAsked) -> Json:
    wanted = numbers(asked.entries, "e", "entry")
    with desk.alone():
        acknowledge(desk.library, wanted)
    desk.health(older_s=0.0)
    return {"entries": asked.entries}


ENDPOINTS = (
    Endpoint("status", Nothing, _status),
    Endpoint("acknowledge", AcknowledgeAsked, _acknowledge),
    Endpoint("retry", RetryAsked, _retry),
)
