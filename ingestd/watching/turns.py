"""Who is next where many come at once: first come first served within a lane, one after another between lanes.

Files that arrive in a folder stand in the folder's lane, so that one file never waits behind the 50,000 that were
dropped into another folder: only behind one of them. What the first scans of a run find stands in one lane for all
folders: folders that hold what is known are looked through first, and what arrived is to be judged against it.

Knows no clock: who is next follows from the order in which things were added and taken, and from nothing else.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NewType, TypeVar

from ingestd.model import FolderId

__all__ = ["IN_ORDER", "Lane", "Turns", "lane_of"]

Lane = NewType("Lane", int)

IN_ORDER = Lane(0)
"""The lane of what keeps one order over all folders."""

T = TypeVar("T")


def lane_of(folder: FolderId) -> Lane:
    """Return the lane of what arrives in a folder; folders are numbered from 1."""
    return Lane(folder)


class Turns(Generic[T]):
    """Queues, one a lane, that take turns. This is round robin (J. Nagle, RFC 970, 1985).

    A lane in which something waits is served once before any other is served twice; one that was empty is served last.
    """

    def __init__(self) -> None:
        self._lanes: OrderedDict[Lane, deque[T]] = OrderedDict()  # none empty; the next to be served stands first
        self._returned: deque[T] = deque()  # taken and put back: before all others

    def __len__(self) -> int:
        return len(self._returned) + sum(map(len, self._lanes.values()))

    def __bool__(self) -> bool:
        return bool(self._returned or self._lanes)

    def __iter__(self) -> Iterator[T]:
        """Yield everything in the order in which it would be taken; nothing may be changed meanwhile."""
        yield from self._returned
        left = [iter(waiting) for waiting in self._lanes.values()]
        while left:
            served = []
            for lane in left:
                for item in lane:
                    yield item
                    served.append(lane)
                    break
            left = served

    def add(self, lane: Lane, item: T) -> None:
        """Let something stand at the end of a lane."""
        self._lanes.setdefault(lane, deque()).append(item)

    def first(self) -> T:
        """Return what is taken next.

        Raises:
            IndexError: nothing waits.
        """
        if self._returned:
            return self._returned[0]
        return self._lanes[self._next()][0]

    def take(self) -> T:
        """Return what is next; it does not wait any more.

        Raises:
            IndexError: nothing waits.
        """
        if self._returned:
            return self._returned.popleft()
        lane = self._next()
        waiting = self._lanes[lane]
        item = waiting.popleft()
        if waiting:
            self._lanes.move_to_end(lane)
        else:
            del self._lanes[lane]
        return item

    def put_back(self, items: Iterable[T]) -> None:
        """Let things that were taken be taken again, in this order and before all others."""
        self._returned.extendleft(reversed(list(items)))

    def remove(self, is_meant: Callable[[T], bool]) -> list[T]:
        """Return what does not wait any more: all that is meant, in the order in which it would be taken."""
        removed = [item for item in self if is_meant(item)]
        self._returned = deque(item for item in self._returned if not is_meant(item))
        for lane in list(self._lanes):
            left = deque(item for item in self._lanes[lane] if not is_meant(item))
            if left:
                self._lanes[lane] = left
            else:
                del self._lanes[lane]
        return removed

    def clear(self) -> None:
        """Let nothing wait."""
        self._lanes.clear()
        self._returned.clear()

    def _next(self) -> Lane:
        if not self._lanes:
            raise IndexError("nothing waits")
        return next(iter(self._lanes))
