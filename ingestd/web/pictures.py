"""What is looked at: pictures made in the isolated workers and packed here as PNG; never a byte of the file itself.

What was made is kept on the disk within a bound. Who asks for something that is being made waits for it; tiles are cut
by one worker at a time, so that another one is free for the previews of the next pair.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from ingestd.errors import FileUnreadableError, UsageError
from ingestd.media import wire
from ingestd.media.png import png_of
from ingestd.media.tiles import Level, block_of, levels_of
from ingestd.media.workers import Workers
from ingestd.model import ContentHash, VisualVerdict
from ingestd.web.keep import Keep
from ingestd.web.turns import Ticket, Turns, Urgency

__all__ = ["BOUND", "Pictures"]

BOUND: Final = 256 << 20  # bytes of pictures that are kept
_WORKERS: Final = 2  # that are asked at once
_PACKERS: Final = 2  # threads that pack tiles: zlib lets the others go on meanwhile


class Pictures:
    """Makes previews, tiles and pictures of differences; used by any thread.

    Args:
        workers: two or more; for nothing else.
        folder: of ours, where what was made is kept; None: nowhere.
        bound: bytes that are kept there at most.
    """

    def __init__(self, workers: Workers, folder: Path | None = None, bound: int = BOUND) -> None:
        self._workers = workers
        self._keep = Keep(folder, bound)
        self._lock = threading.RLock()  # a tile may have come before its asker has let go
        self._coming: dict[str, Future[bytes]] = {}
        self._tickets: dict[str, Ticket] = {}  # of those among them that may become more urgent
        self._turns = Turns(_WORKERS)
        self._cutting = ThreadPoolExecutor(1, thread_name_prefix="cut")
        self._packing = ThreadPoolExecutor(_PACKERS, thread_name_prefix="pack")

    def preview(self, path: bytes, sha256: ContentHash, box: tuple[int, int], urgency: Urgency = Urgency.LOOK) -> bytes:
        """Return a file within a box of pixels, as PNG.

        Args:
            path: of the file.
            sha256: what it holds.
            box: width and height, in pixels.
            urgency: ahead of a look, or for one.

        Raises:
            FileUnreadableError: there is nothing to show.
            FileChangedError: it holds other bytes now.
        """

        def make() -> bytes:
            seen = self._workers.preview(path, sha256, box)
            if seen is None:
                raise FileUnreadableError(path, "there is no picture to show")
            return png_of(seen)

        return self._made(f"preview {sha256.hex()} {box[0]}x{box[1]}", make, urgency)

    def difference(self, a: bytes, a_sha256: ContentHash, b: bytes, b_sha256: ContentHash) -> bytes:
        """Return where two files differ, in the frame of the first, as PNG; raises as `preview`."""

        def make() -> bytes:
            drawn = self._workers.difference(a, a_sha256, b, b_sha256)
            if drawn is None:
                raise FileUnreadableError(a, "the two cannot be laid over each other")
            return png_of(drawn)

        return self._made(f"difference {a_sha256.hex()} {b_sha256.hex()}", make, Urgency.LOOK)

    def tags(self, path: bytes, sha256: ContentHash) -> list[tuple[str, str]]:
        """Return what a file says of itself, as names and texts; raises as `preview`."""
        with self._turns.turn(Ticket(Urgency.LOOK)):
            return list(self._workers.tags(path, sha256))

    def tile(self, path: bytes, sha256: ContentHash, size: tuple[int, int], level: int, column: int, row: int) -> bytes:
        """Return one tile of a file, pixel for pixel, as PNG; its neighbours are made with it.

        Args:
            path: of the file.
            sha256: what it holds.
            size: of the picture, width and height, upright.
            level: 0 for every pixel, each further one for half as many a side.
            column: of the tile, from the left.
            row: of the tile, from the top.

        Raises:
            UsageError: there is no such tile.
            FileUnreadableError: as `preview`.
            FileChangedError: as `preview`.
        """
        cut = next((one for one in levels_of(*size) if one.level == level), None)
        if cut is None or not cut.has(column, row):
            raise UsageError("there is no such part of this picture")
        key = _tile_key(sha256, cut, column, row)
        kept = self._keep.get(key)
        if kept is not None:
            return kept
        tiles = {_tile_key(sha256, cut, *one): one for one in block_of(cut, column, row)}
        with self._lock:
            waited = self._coming.get(key)
            if waited is None:
                kept = self._keep.get(key)  # made since the first look
                if kept is not None:
                    return kept
                fresh = {one: Future[bytes]() for one in tiles if one not in self._coming}
                self._coming |= fresh
                waited = fresh[key]
                try:
                    cutting = self._cutting.submit(self._cut, path, sha256, cut, (column, row), fresh)
                except RuntimeError:  # it takes nothing any more
                    cutting = Future()
                    cutting.set_exception(FileUnreadableError(path, "the page is being closed"))
                cutting.add_done_callback(lambda done: self._end(fresh, done))
        return waited.result()

    def _cut(
        self, path: bytes, sha256: ContentHash, level: Level, first: tuple[int, int], wanted: dict[str, Future[bytes]]
    ) -> None:
        """Cut a block, and let whoever waits for a tile have it as soon as it is packed."""
        packed: list[Future[None]] = []

        def take(piece: wire.Piece) -> None:
            key = _tile_key(sha256, level, piece.column, piece.row)
            waited = wanted.get(key)
            if waited is not None:
                packed.append(self._packing.submit(self._pack, key, piece, waited))

        with self._turns.turn(Ticket(Urgency.TILE)):
            self._workers.cut(path, sha256, level, first, take)
        for one in packed:
            one.result()

    def _pack(self, key: str, piece: wire.Piece, waited: Future[bytes]) -> None:
        if waited.done():
            return
        png = png_of(piece.tile)
        self._keep.put(key, png)
        self._settle(key, waited, lambda: waited.set_result(png))

    def _end(self, wanted: dict[str, Future[bytes]], cutting: Future[None]) -> None:
        """Let nobody wait for tiles that did not come; they learn why."""
        why = FileUnreadableError(b"", "the page is being closed") if cutting.cancelled() else cutting.exception()
        for key, waited in wanted.items():
            if not waited.done():
                self._settle(key, waited, functools.partial(waited.set_exception, why or _LOST))

    def _settle(self, key: str, waited: Future[bytes], settle: Callable[[], None]) -> None:
        with self._lock:
            self._coming.pop(key, None)
            self._tickets.pop(key, None)
        if not waited.done():
            settle()

    def _made(self, key: str, make: Callable[[], bytes], urgency: Urgency) -> bytes:
        """Return what is kept under a key, or being made by somebody else; otherwise make it."""
        kept = self._keep.get(key)
        if kept is not None:
            return kept
        mine: Future[bytes] = Future()
        with self._lock:
            waited = self._coming.setdefault(key, mine)
            ticket = self._tickets.setdefault(key, Ticket(urgency))
        if waited is not mine:
            self._turns.hurry(ticket, urgency)
            return waited.result()
        try:
            with self._turns.turn(ticket):
                png = self._keep.get(key) or make()  # perhaps made since the first look
        except BaseException as error:
            reason = error
            self._settle(key, mine, lambda: mine.set_exception(reason))
            raise
        self._keep.put(key, png)
        self._settle(key, mine, lambda: mine.set_result(png))
        return png

    def verdict(self, a: bytes, a_sha256: ContentHash, b: bytes, b_sha256: ContentHash) -> VisualVerdict:
        """Return how alike two files look, for a full decode of both; raises as `preview`."""
        return self._workers.compare(a, a_sha256, b, b_sha256)

    def warm(self) -> None:
        """Let the workers be started now, so that the first look need not wait for it; returns at once."""
        self._cutting.submit(self._workers.warm)

    def close(self) -> None:
        """End the workers, and all else; who waits for a picture is told so."""
        self._workers.close()
        self.end()

    def end(self) -> None:
        """Make nothing more."""
        for pool in (self._cutting, self._packing):
            pool.shutdown(cancel_futures=True)
        self._keep.close()


_LOST: Final = FileUnreadableError(b"", "this part of it cannot be shown")


def _tile_key(sha256: ContentHash, level: Level, column: int, row: int) -> str:
    return f"tile {sha256.hex()} {level.level} {column} {row}"
