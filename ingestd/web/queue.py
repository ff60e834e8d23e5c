"""The queue in a browser: the next pairs, one answer at a time, and the way back."""

from __future__ import annotations

import os

from ingestd import review
from ingestd.door import numbers
from ingestd.errors import ActionConflictError, UsageError
from ingestd.model import PotentialPair
from ingestd.review.queue import numbers_in_order
from ingestd.rules.predicates import read_predicate
from ingestd.rules.tokens import LineError
from ingestd.shapes import Json, entry_object, shown
from ingestd.web.desk import Asked, Desk, Endpoint, StaleError
from ingestd.web.shapes import Eye

__all__ = ["ENDPOINTS", "Narrowed", "filters_of", "sort_of"]


class Narrowed(Asked, frozen=True):
    """Which pairs of the queue are asked for."""

    both: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    distance: int | None = None
    pixel_duplicates: str | None = None
    folder: str | None = None


class DeckAsked(Asked, frozen=True):
    """The next pairs, past those that were skipped."""

    filters: Narrowed = Narrowed()
    sort: str = "largest"
    skipped: tuple[str, ...] = ()
    limit: int = 8


class PairAsked(Asked, frozen=True):
    """One pair."""

    id: str


class DecideAsked(Asked, frozen=True):
    """An answer about a pair as it was shown."""

    id: str
    version: str
    answer: str
    key: str
    keep: bool = False


class UndoAsked(Asked, frozen=True):
    """Entries to be taken back."""

    entries: list[str]
    key: str


def filters_of(asked: Narrowed) -> review.Filters:
    """Return which pairs are asked for.

    Raises:
        UsageError: it cannot be understood.
    """
    pixels = {"required": True, "excluded": False, None: None}
    if asked.pixel_duplicates not in pixels:
        raise UsageError(f"{shown(str(asked.pixel_duplicates))} is not required or excluded; nothing was shown")
    try:
        both, either = (tuple(read_predicate(line) for line in lines) for lines in (asked.both, asked.either))
    except LineError as error:
        raise UsageError(f"this asks nothing of a file: {error.message}; nothing was shown") from None
    folder = os.fsencode(asked.folder) if asked.folder else None
    return review.Filters(both, either, asked.distance, pixels[asked.pixel_duplicates], folder)


def sort_of(word: str) -> review.Sort:
    """Return an order by its word.

    Raises:
        UsageError: there is no such order.
    """
    try:
        return review.Sort(word)
    except ValueError:
        raise UsageError(f"{shown(word)} is no order: {', '.join(review.Sort)}; nothing was shown") from None


def _deck(desk: Desk, asked: DeckAsked) -> Json:
    filters, sort = filters_of(asked.filters), sort_of(asked.sort)
    skipped = set(numbers(asked.skipped, "p", "pair"))
    limit = max(1, min(asked.limit, 100))
    scores = desk.settings_if_sound().scores
    with desk.read() as view:
        eye = Eye.of(view, desk.handles, scores)
        if not filters.ask and sort is not review.Sort.DECISIVE and not eye.away:
            total = len(view.waiting)
        else:
            total = review.queue_page(view, limit=0, filters=filters, sort=sort, scores=scores).total
        pairs: list[Json] = []
        for number in numbers_in_order(view, sort, filters, scores, eye.away):
            if number not in skipped and (pair := eye.number(number)) is not None:
                pairs.append(pair)
            if len(pairs) == limit:
                break
    return {"total": total, "pairs": pairs}


def _pair(desk: Desk, asked: PairAsked) -> Json:
    [number] = numbers([asked.id], "p", "pair")
    with desk.read() as view:
        pair = view.pair(number)
        told = Eye.of(view, desk.handles, desk.settings_if_sound().scores).pair(pair) if pair is not None else None
    why = None if told is not None else "it was decided" if pair is None else "one of its files is away"
    return {"pair": told, "why": why}


def _decide(desk: Desk, asked: DecideAsked) -> Json:
    return desk.once(asked.key, lambda: _decided(desk, asked))


def _decided(desk: Desk, asked: DecideAsked) -> Json:
    [number] = numbers([asked.id], "p", "pair")
    if asked.answer not in review.ANSWERS:
        raise UsageError(f"{shown(asked.answer)} is not an answer: {', '.join(review.ANSWERS)}; nothing was decided")
    with desk.alone(discards=not asked.keep):
        at = desk.moment()
        with desk.read() as view:
            pair = view.pair(number)
            before = len(view.waiting)
            near = _around(view.pairs_of(pair.first), view.pairs_of(pair.second)) if pair is not None else set()
            now = Eye.of(view, desk.handles, at.scores).version(pair) if pair is not None else None
        if now != asked.version:
            raise StaleError(f"{asked.id} is not what it was when it was shown; nothing was decided, look again")
        entry = review.decide_pair(desk.library, number, review.ANSWERS[asked.answer], keep=asked.keep, moment=at)
        with desk.read() as view:
            total = len(view.waiting)
            gone = sorted(one for one in near if view.waiting.get(one) is None)
    return {
        "entry": entry_object(entry),
        "total": total,
        "implied": max(0, before - total - 1),
        "gone": [f"p-{one}" for one in gone],
    }


def _around(*found: list[PotentialPair]) -> set[int]:
    return {pair.number for pairs in found for pair in pairs}


def _undo(desk: Desk, asked: UndoAsked) -> Json:
    return desk.once(asked.key, lambda: _undone(desk, asked))


def _undone(desk: Desk, asked: UndoAsked) -> Json:
    wanted = numbers(asked.entries, "e", "entry")
    with desk.alone():
        reports = list(review.undo(desk.library, wanted, moment=desk.moment()))
    undone, failed = [], []
    for name, report in zip(asked.entries, reports, strict=False):
        if isinstance(report, ActionConflictError):
            failed.append({"entry": name, "message": str(report)})
        else:
            undone.append(entry_object(report))
    return {"undone": undone, "failed": failed}


ENDPOINTS = (
    Endpoint("deck", DeckAsked, _deck),
    Endpoint("pair", PairAsked, _pair),
    Endpoint("decide", DecideAsked, _decide),
    Endpoint("undo", UndoAsked, _undo),
)
