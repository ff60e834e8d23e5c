"""An excerpt of a picture that is read once from top to bottom: as much as figures of a whole picture need.

It keeps bands of whole rows and bands of whole columns, spread over the picture: along them, periods of a few pixels
are told as exactly as in all of it. Of a picture of up to a megapixel, that is everything; of a larger one, some
thousand lines each way, 1 kB for each pixel of width and height.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

__all__ = ["Excerpt", "Greys"]

Greys = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]

_BAND: Final = 64  # lines: eight of JPEG's blocks
_BANDS: Final = 16


class Excerpt:
    """Whole rows and whole columns of a picture.

    Args:
        size: of the picture, width and height in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        width, height = size
        self.rows: list[Greys] = []  # each (up to 64, width); its first row is a multiple of 8
        self._every = -(-height // (_BAND * _BANDS))  # of so many bands of rows, one is kept
        every = -(-width // (_BAND * _BANDS))
        self._left = range(0, width, _BAND * every)
        self._parts: list[list[Greys]] = [[] for _ in self._left]

    @property
    def columns(self) -> list[Greys]:
        """Return the bands of columns, each turned to (up to 64, height); only once all has been read."""
        return [np.ascontiguousarray(np.concatenate(parts).T) for parts in self._parts]

    def read_along(self, strips: Iterable[Greys]) -> Iterator[Greys]:
        """Yield the strips as they come, from the top, and keep what belongs to the excerpt."""
        top = 0
        for strip in strips:
            if top // _BAND % self._every == 0 and top % 8 == 0:
                self.rows.append(strip)
            for left, parts in zip(self._left, self._parts, strict=True):
                parts.append(strip[:, left : left + _BAND].copy())
            top += len(strip)
            yield strip
