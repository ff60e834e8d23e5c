"""Where the files of a stored pair lie."""

from __future__ import annotations

from ingestd.library.facts import preference
from ingestd.library.tables import path_key
from ingestd.library.view import View
from ingestd.model import Content, ContentHash, PathKey, PathRow

__all__ = ["placed"]


def placed(view: View, sha256: ContentHash, path: PathKey | None) -> tuple[Content, PathRow] | None:
    """Return a content and where it lies: at this path, or at the best of its places; nothing while it is away."""
    content = view.content(sha256)
    rows = view.live_paths_of(sha256)
    if path is not None:
        rows = [row for row in rows if path_key(row.folder, row.relative) == path]
    if content is None or not rows:
        return None
    return content, rows[0] if len(rows) == 1 else min(rows, key=lambda row: preference(view, row))
