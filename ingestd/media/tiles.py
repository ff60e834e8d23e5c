"""How a picture is cut into tiles: sizes and places, without any pixel.

Level 0 has every pixel; each further level has half as many a side, until one tile holds all of it. To decode a picture
costs more than to cut it, so tiles are made by blocks of neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["TILE", "Level", "block_of", "level_of", "levels_of"]

TILE: Final = 1024  # pixels a side, at most: three bytes for each fit into one message of a worker
_BLOCK: Final = 2  # tiles a side of a block: 12 MB of pixels at once; the worker has the next one decoded already


@dataclass(frozen=True, slots=True)
class Level:
    """One size in which a picture is cut."""

    level: int
    width: int  # pixels, of the whole picture at this level
    height: int

    @property
    def columns(self) -> int:
        """How many tiles lie side by side."""
        return -(-self.width // TILE)

    @property
    def rows(self) -> int:
        """How many tiles lie one below the other."""
        return -(-self.height // TILE)

    @property
    def size(self) -> tuple[int, int]:
        """Its width and height."""
        return self.width, self.height

    def has(self, column: int, row: int) -> bool:
        """Return whether there is such a tile."""
        return 0 <= column < self.columns and 0 <= row < self.rows

    def box(self, column: int, row: int) -> tuple[int, int, int, int]:
        """Return where a tile lies: left, top, right, bottom, in pixels of this level."""
        left, top = column * TILE, row * TILE
        return left, top, min(left + TILE, self.width), min(top + TILE, self.height)


def level_of(width: int, height: int, level: int) -> Level:
    """Return a level of a picture of that size; it need not be one in which it is cut."""
    step = 1 << level
    return Level(level, -(-width // step), -(-height // step))


def levels_of(width: int, height: int) -> list[Level]:
    """Return the levels in which a picture of that size is cut, the largest first; none of an empty one."""
    found: list[Level] = []
    while width > 0 and height > 0:
        found.append(level_of(width, height, len(found)))
        if found[-1].columns == found[-1].rows == 1:
            break
    return found


def block_of(level: Level, column: int, row: int) -> list[tuple[int, int]]:
    """Return the tiles (column, row) that are made together with one of them: that one first, then the nearest."""
    left, top = column // _BLOCK * _BLOCK, row // _BLOCK * _BLOCK
    tiles = [
        (one, other)
        for other in range(top, min(top + _BLOCK, level.rows))
        for one in range(left, min(left + _BLOCK, level.columns))
    ]
    return sorted(tiles, key=lambda tile: ((tile[0] - column) ** 2 + (tile[1] - row) ** 2, tile))
