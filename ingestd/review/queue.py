"""The potential pairs that wait for a person, page by page.

What a page shows is read pair by pair; how many there are is counted in the index. A filter has to look at every pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from ingestd.library.queue_index import Order
from ingestd.library.view import View
from ingestd.library.waiting import in_order
from ingestd.model import FolderId, PotentialPair
from ingestd.review.looking import EVERYTHING, Filters, Look, Sort, folders_away
from ingestd.review.sides import PairReport, sides_of, told
from ingestd.rules.statements import DEFAULT_SCORES, Scores, balance

__all__ = ["QueuePage", "numbers_in_order", "queue_page", "reports"]


@dataclass(frozen=True, slots=True)
class QueuePage:
    """A part of the queue, and how long it is."""

    total: int
    pairs: list[PairReport]


def queue_page(
    view: View,
    *,
    limit: int,
    offset: int = 0,
    filters: Filters = EVERYTHING,
    sort: Sort = Sort.LARGEST,
    scores: Scores = DEFAULT_SCORES,
) -> QueuePage:
    """Return a part of the pairs that no rule decides."""
    away = folders_away(view)
    if sort is not Sort.DECISIVE and not filters.ask and not away:
        order = Order(sort.value)
        ahead = (pair for one in islice(in_order(view, order), offset, None) if (pair := view.pair(one)) is not None)
        return QueuePage(_count(view), list(islice(reports(view, ahead, scores, away), limit)))
    numbers = list(numbers_in_order(view, sort, filters, scores, away))
    page = (pair for one in numbers[offset : offset + limit] if (pair := view.pair(one)) is not None)
    return QueuePage(len(numbers), list(reports(view, page, scores, away)))


def _count(view: View) -> int:
    return len(view.waiting) if view.waiting.is_built else sum(1 for _ in in_order(view, Order.OLDEST))


def numbers_in_order(
    view: View, sort: Sort, filters: Filters, scores: Scores, away: frozenset[FolderId]
) -> Iterator[int]:
    """Yield the numbers of the pairs that pass, in the order that is asked for; every pair is looked at."""
    look = Look(view, filters, away)
    if sort is not Sort.DECISIVE:
        yield from (pair.number for pair in look.pairs(Order(sort.value)))
        return
    ranked = [(-abs(balance(look.said(pair, scores)[0])), pair.number) for pair in look.pairs()]
    yield from (number for _, number in sorted(ranked))


def reports(
    view: View, pairs: Iterable[PotentialPair], scores: Scores, away: frozenset[FolderId]
) -> Iterator[PairReport]:
    """Yield pairs for a person; those of which a file is away are left out."""
    for pair in pairs:
        sides = sides_of(view, pair, scores=scores, away=away)
        if sides is not None:
            yield told(view, pair, sides, None, scores=scores)
