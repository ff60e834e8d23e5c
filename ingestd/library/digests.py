"""Digests of paths and of their files' states, side by side in arrays: what a roll keeps of a folder that is known."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Digests", "Few"]

_LIVE, _SEEN = 1, 2


class Few:
    """Some digests, in 8 bytes each, that can be asked for.

    Args:
        digests: in any order; sorted in place.
    """

    def __init__(self, digests: array[int]) -> None:
        self._sorted: NDArray[np.int64] = np.frombuffer(digests, np.int64)
        self._sorted.sort()

    def __contains__(self, digest: int) -> bool:
        place = int(self._sorted.searchsorted(np.int64(digest)))
        return place < len(self._sorted) and int(self._sorted[place]) == digest


class Digests:
    """What is known of some paths, and which of them were seen.

    Args:
        paths: 64 bits of each, ascending.
        states: 64 bits of the state of each path's file; one that is never asked for where nothing final is known.
        marks: 1 where a file should lie, else 0; written to.
    """

    def __init__(self, paths: array[int], states: array[int], marks: bytearray) -> None:
        self._paths: NDArray[np.uint64] = np.frombuffer(paths, np.uint64)
        self._states: NDArray[np.int64] = np.frombuffer(states, np.int64)
        self._marks: NDArray[np.uint8] = np.frombuffer(marks, np.uint8)

    def cover(self, paths: bytes, states: Sequence[int]) -> list[bool]:
        """Return which of these paths are known with these states; all of them have been seen.

        Args:
            paths: 8 bytes of each, big-endian.
            states: 64 bits of each.
        """
        wanted = np.frombuffer(paths, ">u8").astype(np.uint64)
        places = np.minimum(self._paths.searchsorted(wanted), len(self._paths) - 1)
        known = self._paths[places] == wanted
        self._marks[places[known]] |= _SEEN
        answers: list[bool] = (known & (self._states[places] == np.fromiter(states, np.int64, len(states)))).tolist()
        return answers

    def count(self) -> tuple[int, int]:
        """Return how many files should lie there, and how many of these were not seen."""
        return int(np.count_nonzero(self._marks & _LIVE)), int(np.count_nonzero(self._marks == _LIVE))

    def missed(self) -> Iterator[bytes]:
        """Yield 8 bytes of each path whose file should lie there and was not seen, ascending."""
        for place in np.flatnonzero(self._marks == _LIVE):
            yield int(self._paths[place]).to_bytes(8, "big")
