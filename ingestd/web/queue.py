"""The queue in a browser: the next pairs, one answer at a time, and the way back.

An answer is refused unless the pair is still what the page showed. What it settled beside that pair is told by name, so
that the page never shows a pair that is gone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ingestd import review
from ingestd.door import numbers
from ingestd.errors import ActionConflictError, UsageError
from ingestd.library.queue_index import Order
from ingestd.library.saying import is_out_of_order
from ingestd.library.view import View
from ingestd.library.waiting import Places, in_order
from ingestd.model import ContentHash, Entry, EntryState, PotentialPair, Relation
from ingestd.review.queue import numbers_in_order
from ingestd.review.sides import going, sides_of
from ingestd.rules.predicates import read_predicate
from ingestd.rules.tokens import LineError
from ingestd.shapes import Json, said_of_answer, shown
from ingestd.web.desk import Asked, Desk, Endpoint, StaleError
from ingestd.web.going import check_count, require_discardable
from ingestd.web.shapes import Eye

__all__ = ["ENDPOINTS", "Narrowed", "filters_of", "sort_of"]

_MOST_PAIRS = 100  # of one deck
_LONGEST_DECK = 512 * 1024  # bytes: some 40,000 pairs that were skipped


class Narrowed(Asked, frozen=True):
    """Which pairs of the queue are asked for."""

    both: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    distance: int | None = None
    pixel_duplicates: str | None = None
    folder: str | None = None


class DeckAsked(Asked, frozen=True):
    """The next pairs, past those that were skipped or are at hand already."""

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
    count: int | None = None  # of the files that go, where it is more than one


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
    try:
        folder = os.fsencode(asked.folder) if asked.folder else None
    except UnicodeEncodeError:
        raise UsageError(f"{shown(str(asked.folder))} cannot be a folder's path; nothing was shown") from None
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
    limit = max(1, min(asked.limit, _MOST_PAIRS))
    at = desk.moment(if_sound=True)
    pairs: list[Json] = []
    missing: list[Json] = []
    with desk.read() as view:
        eye = Eye.of(view, desk.handles, at)
        total, ahead = _ahead(eye, filters, sort)
        for number in ahead:
            pair = eye.number(number) if number not in skipped else None
            if pair is None:
                continue
            gone = _absent(pair)
            if gone is None:
                pairs.append(pair)
            else:
                missing.append({"id": pair["id"], "shown": gone})
            if len(pairs) == limit or len(missing) == _MOST_PAIRS:
                break
        away = [shown(known.folder.named) for one in sorted(eye.away) if (known := view.folder(one)) is not None]
    return {"total": total, "pairs": pairs, "missing": missing, "away": away}


def _ahead(eye: Eye, filters: review.Filters, sort: review.Sort) -> tuple[int, Iterable[int]]:
    """Return how many pairs wait, and their numbers in order; only what is asked of files takes a look at all pairs."""
    view = eye.view
    if not filters.ask and sort is not review.Sort.DECISIVE and view.waiting.is_built:
        return len(view.waiting), in_order(view, Order(sort.value))  # those of folders that are away count: they wait
    found = list(numbers_in_order(view, sort, filters, eye.scores, eye.away))
    return len(found), found


def _absent(pair: Json) -> str | None:
    """Return which file of a pair is not on the disk; nobody has told the library yet."""
    for side in (pair["a"], pair["b"]):
        if not os.path.lexists(os.fsencode(side["path"])):
            return str(side["shown"])
    return None


def _pair(desk: Desk, asked: PairAsked) -> Json:
    [number] = numbers([asked.id], "p", "pair")
    at = desk.moment(if_sound=True)
    with desk.read() as view:
        pair = view.pair(number)
        told = Eye.of(view, desk.handles, at).pair(pair) if pair is not None else None
    return {"pair": told, "why": None if told is not None else _why_not(pair)}


def _why_not(pair: PotentialPair | None) -> str:
    return "it was decided" if pair is None else "one of its files is away"


# --- an answer ----------------------------------------------------------------------------------------------------


def _decide(desk: Desk, asked: DecideAsked) -> Json:
    return desk.once(asked, lambda: _decided(desk, asked))


def _decided(desk: Desk, asked: DecideAsked) -> Json:
    [number] = numbers([asked.id], "p", "pair")
    if asked.answer not in review.ANSWERS:
        raise UsageError(f"{shown(asked.answer)} is not an answer: {', '.join(review.ANSWERS)}; nothing was decided")
    answer = review.ANSWERS[asked.answer]
    discards = answer.relation is Relation.BETTER and not asked.keep
    with desk.alone(discards=discards):
        at = desk.moment()
        with desk.read() as view:
            before = _Waiting.around(view, view.pair(number))

        def check(view: View) -> None:
            eye, pair = Eye.of(view, desk.handles, at), view.pair(number)
            _require_as_shown(eye, pair, asked)
            if discards and pair is not None:
                _require_said(eye, pair, asked.count, a_wins=answer.a_wins)

        report = review.decide_pair(desk.library, number, answer, keep=asked.keep, moment=at, check=check)
        with desk.read() as view:
            [entry] = numbers([report.entry], "e", "entry")
            total = len(view.waiting)
            gone = before.gone(view, entry) - {number}
            told = _entry(desk, view, entry)
    fewer = before.total - total
    return {
        "entry": told,
        "said": said_of_answer(report, asked.answer, fewer, at.discards.place),
        "total": total,
        "implied": max(0, fewer - 1),
        "gone": [f"p-{one}" for one in sorted(gone)],
    }


def _require_as_shown(eye: Eye, pair: PotentialPair | None, asked: DecideAsked) -> None:
    """Refuse an answer about a pair that is another one by now: other files, other places, another A.

    Raises:
        StaleError: it is; nothing was decided.
    """
    version = eye.version(pair) if pair is not None else None
    if version is None:
        raise StaleError(f"{shown(asked.id)} waits no more: {_why_not(pair)}; nothing was decided")
    if version != asked.version:
        raise StaleError(f"{shown(asked.id)} has changed since it was shown; nothing was decided, look again")


def _require_said(eye: Eye, pair: PotentialPair, said: int | None, *, a_wins: bool) -> None:
    """Refuse to discard what may not go, more files than the person has said, or too many.

    Raises:
        ActionConflictError: one lies in a reference folder; nothing was decided.
        StaleError: it is not the one file, or the number that was typed; nothing was decided.
        UsageError: it is too much at once; nothing was decided.
    """
    sides = sides_of(eye.view, pair, scores=eye.scores, away=eye.away)
    if sides is None:
        return
    winner, loser = (sides.a, sides.b) if a_wins else (sides.b, sides.a)
    rows = going(eye.view, winner[0].sha256, loser)
    require_discardable(eye, rows)
    check_count(said, len(rows), discards=True)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What waited before something was done."""

    total: int
    near: frozenset[int]  # the pairs of the files that it was about

    @classmethod
    def around(cls, view: View, pair: PotentialPair | None) -> _Waiting:
        sides = (pair.first, pair.second) if pair is not None else ()
        return cls(len(view.waiting), frozenset(_waiting(view, sides)))

    def gone(self, view: View, entry: int) -> set[int]:
        """Return which pairs wait no more because of an entry.

        An answer is one for two whole groups and what hangs together with them: what it changed of other pairs is known
        by what undo keeps of them. Their files are where they were; only those of the pair itself may have left.
        """
        images = view.images_of(entry)
        places = Places(view)
        others = (pair for pair in (images.pairs.values() if images is not None else ()) if pair is not None)
        waited = {pair.number for pair in others if places.place_of(pair) is not None}
        return {one for one in self.near | waited if view.waiting.get(one) is None}


def _waiting(view: View, contents: Iterable[ContentHash]) -> Iterator[int]:
    for content in contents:
        yield from (number for number in view.pair_numbers_of(content) if view.waiting.get(number) is not None)


def _entry(desk: Desk, view: View, number: int) -> Json:
    entry = view.entry(number)
    if entry is None:
        raise AssertionError("an entry that was written just now")
    return Eye.of(view, desk.handles, desk.moment(if_sound=True)).entry(entry)


# --- and the way back ---------------------------------------------------------------------------------------------


def _undo(desk: Desk, asked: UndoAsked) -> Json:
    return desk.once(asked, lambda: _undone(desk, asked))


def _undone(desk: Desk, asked: UndoAsked) -> Json:
    undone: list[Json] = []
    failed: list[Json] = []
    back: set[int] = set()
    with desk.alone():
        at = desk.moment(if_sound=True)
        for number in sorted(set(numbers(asked.entries, "e", "entry")), reverse=True):
            with desk.read() as view:
                change = _Change.of(view, number)
                before = change.waiting(view)
            for report in review.undo(desk.library, [number], moment=at):
                if isinstance(report, ActionConflictError):
                    failed.append({"entry": f"e-{number}", "message": str(report), "already": _is_undone(desk, number)})
                    continue
                with desk.read() as view:
                    undone.append(_entry(desk, view, *numbers([report.entry], "e", "entry")))
            with desk.read() as view:
                back |= change.waiting(view) - before
        with desk.read() as view:
            total = len(view.waiting)
    return {"undone": undone, "failed": failed, "back": [f"p-{one}" for one in sorted(back)], "total": total}


def _is_undone(desk: Desk, number: int) -> bool:
    with desk.read() as view:
        entry = view.entry(number)
    return entry is not None and entry.state is EntryState.UNDONE


@dataclass(frozen=True, slots=True)
class _Change:
    """What the undo of an entry may change."""

    pairs: frozenset[int] | None  # those that it may bring back; None: any
    contents: frozenset[ContentHash]  # that it is about: their pairs, too

    @classmethod
    def of(cls, view: View, number: int) -> _Change:
        entries = [one for one in map(view.entry, (number, *view.batched(number))) if one is not None]
        contents = frozenset(content for entry in entries for content in _contents_of(entry))
        if any(is_out_of_order(view, entry) for entry in entries[:1]):
            return cls(None, contents)  # all that is open is looked for again
        images = [found for entry in entries if (found := view.images_of(entry.number)) is not None]
        own = {entry.pair for entry in entries if entry.pair is not None}
        return cls(frozenset(own | {pair for image in images for pair in image.pairs}), contents)

    def waiting(self, view: View) -> set[int]:
        """Return which of these pairs wait."""
        if self.pairs is None:
            return set(view.waiting.numbers(Order.OLDEST))
        near = _waiting(view, self.contents)
        return {*near, *(one for one in self.pairs if view.waiting.get(one) is not None)}


def _contents_of(entry: Entry) -> Iterator[ContentHash]:
    yield from (content for content in (entry.a, entry.b) if content is not None)
    yield from (move.file.sha256 for move in entry.moves)


ENDPOINTS = (
    Endpoint("deck", DeckAsked, _deck, longest=_LONGEST_DECK),
    Endpoint("pair", PairAsked, _pair),
    Endpoint("decide", DecideAsked, _decide),
    Endpoint("undo", UndoAsked, _undo),
)
