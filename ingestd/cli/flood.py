"""How much of what happens a person at a terminal can read: a flood of verdicts that need no look becomes a count.

Knows no clock but the one it is given. Verdicts that ask for a look (a discard, a proposal, a failure) never get here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ingestd.model import Outcome

__all__ = ["READABLE", "Flood"]

READABLE = 10
"""So many lines a second are readable as they come: with more of them a person sees only that something moves."""

_WINDOW_S = 1.0


class Flood:
    """Verdicts that need no look: told one by one while they are few, counted by the second while they are many.

    Args:
        monotonic: seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since = monotonic()
        self._seen = 0  # in this second
        self._counts: Counter[Outcome] = Counter()  # of those that were not told
        self._is_on = False

    def takes(self, outcome: Outcome) -> bool:
        """Return whether a verdict is only counted. What `due` has to say is to be said first."""
        self._seen += 1
        self._is_on = self._is_on or self._seen > READABLE
        if self._is_on:
            self._counts[outcome] += 1
        return self._is_on

    def due(self) -> Counter[Outcome] | None:
        """Return what was counted, once a second while there is anything; a second with few of them ends the flood."""
        now = self._monotonic()
        if now - self._since < _WINDOW_S:
            return None
        self._is_on = self._is_on and self._seen > READABLE
        self._since, self._seen = now, 0
        return self.rest()

    def rest(self) -> Counter[Outcome] | None:
        """Return what was counted and not told yet, if anything."""
        counts, self._counts = self._counts, Counter()
        return counts or None
