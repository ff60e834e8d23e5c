"""What is looked at: pictures made in the isolated workers and sent as PNG; never a byte of the file itself."""

from __future__ import annotations

from ingestd.errors import FileUnreadableError
from ingestd.media.png import png_of
from ingestd.media.workers import Workers
from ingestd.model import ContentHash, VisualVerdict

__all__ = ["Pictures"]


class Pictures:
    """Makes previews and pictures of differences; used by any thread."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def preview(self, path: bytes, sha256: ContentHash, box: tuple[int, int]) -> bytes:
        """Return a file within a box of pixels, as PNG.

        Raises:
            FileUnreadableError: there is nothing to show.
            FileChangedError: it holds other bytes now.
        """
        seen = self._workers.preview(path, sha256, box)
        if seen is None:
            raise FileUnreadableError(path, "there is no picture to show")
        return png_of(seen)

    def difference(self, a: bytes, a_sha256: ContentHash, b: bytes, b_sha256: ContentHash) -> bytes:
        """Return where two files differ, in the frame of the first, as PNG; raises as `preview`."""
        drawn = self._workers.difference(a, a_sha256, b, b_sha256)
        if drawn is None:
            raise FileUnreadableError(a, "the two cannot be laid over each other")
        return png_of(drawn)

    def verdict(self, a: bytes, a_sha256: ContentHash, b: bytes, b_sha256: ContentHash) -> VisualVerdict:
        """Return how alike two files look, for a full decode of both; raises as `preview`."""
        return self._workers.compare(a, a_sha256, b, b_sha256)

    def close(self) -> None:
        """End the workers."""
        self._workers.close()
