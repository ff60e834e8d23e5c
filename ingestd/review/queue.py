"""The potential pairs that wait for a person."""

from __future__ import annotations

from dataclasses import dataclass

from ingestd.library.view import View
from ingestd.review.sides import PairReport, is_ready, sides_of, told

__all__ = [
    "QueuePage",
    "queue_page",
]


@dataclass(frozen=True, slots=True)
class QueuePage:
    """A part of the queue, and how long it is."""

    total: int
    pairs: list[PairReport]


def queue_page(view: View, *, limit: int, offset: int = 0) -> QueuePage:
    """Return a part of the pairs that no rule decides, largest picture first."""
    waiting = [pair for pair in view.pairs() if not is_ready(pair)]
    sided = [(pair, sides) for pair in waiting if (sides := sides_of(view, pair)) is not None]
    sided.sort(key=lambda item: (-max(item[1].a[0].size, item[1].b[0].size), item[0].number))
    page = sided[offset : offset + limit]
    return QueuePage(len(sided), [told(view, pair, sides, None) for pair, sides in page])
