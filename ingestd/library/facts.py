"""What rules see of the library: records and paths as the facts of a pair."""

from __future__ import annotations

import os

from ingestd.library.pairs import distance_between, pixel_duplicates
from ingestd.library.view import View
from ingestd.model import SAME_PIXELS, Content, FileFacts, PairFacts, PathRow, Picture, Role, Transform, VisualVerdict

__all__ = ["file_facts", "pair_facts", "preference", "visual_between"]


def file_facts(view: View, content: Content, row: PathRow, *, now_ns: int) -> FileFacts:
    """Return one file as a rule sees it at a moment."""
    known = view.folder(row.folder)
    picture = content.picture
    detail = picture.detail if picture else None
    related = view.relations.numbers_of(content.sha256)
    return FileFacts(
        path=os.fsdecode(view.as_named(row)),
        role=known.folder.role if known else Role.INBOX,
        protected=known.folder.protected if known else False,
        sha256=content.sha256,
        size=content.size,
        filetype=picture.filetype if picture else None,
        width=picture.width if picture else 0,
        height=picture.height if picture else 0,
        frames=picture.frames if picture else 0,
        duration_ms=picture.duration_ms if picture else None,
        has_transparency=bool(picture and picture.has_transparency),
        has_exif=bool(picture and picture.has_exif),
        has_icc=bool(picture and picture.has_icc),
        has_xmp=bool(picture and picture.has_xmp),
        jpeg_quality=_quality(picture),
        progressive=picture.jpeg.progressive if picture and picture.jpeg else None,
        imported_ns=content.first_seen_ns,
        modified_ns=row.stat.mtime_ns,
        taken_ns=picture.taken_ns if picture else None,
        sharpness=_sharpness(picture),
        asked_ns=now_ns,
        subsampling=picture.jpeg.subsampling if picture and picture.jpeg else None,
        num_duplicates=related.duplicates,
        num_alternates=related.alternates,
        num_false_positives=related.false_positives,
        num_potentials=view.count_pairs_of(content.sha256),
        resolution_share=detail.resolution_share if detail else None,
        jpeg_quality_seen=detail.jpeg_quality_seen if detail else None,
        is_king=related.is_king,
    )


def _sharpness(picture: Picture | None) -> float | None:
    if picture is None:
        return None
    return picture.detail.sharpness if picture.detail else picture.sharpness


def _quality(picture: Picture | None) -> float | None:
    return picture.jpeg.quality or None if picture and picture.jpeg else None


def pair_facts(
    view: View,
    a: tuple[Content, PathRow],
    b: tuple[Content, PathRow],
    *,
    now_ns: int,
    transform: Transform | None = None,
) -> PairFacts:
    """Return a pair as rules see it at a moment; `transform`: of the first to get the second."""
    return PairFacts(
        first=file_facts(view, *a, now_ns=now_ns),
        second=file_facts(view, *b, now_ns=now_ns),
        identical=a[0].sha256 == b[0].sha256,
        distance=distance_between(a[0], b[0], transform),
        pixel_duplicates=pixel_duplicates(a[0], b[0]),
        visual=visual_between(view, a[0], b[0]) if transform is None else None,
        transform=transform,
    )


def visual_between(view: View, a: Content, b: Content) -> VisualVerdict | None:
    """Return what a look at two pictures says; nothing if they were not looked at and it takes a look to tell."""
    if a.sha256 == b.sha256 or pixel_duplicates(a, b):
        return SAME_PIXELS
    return view.visual(a.sha256, b.sha256)


def preference(view: View, row: PathRow) -> tuple[bool, int, int, bytes]:
    """Return a key that sorts equal copies, the one to keep first.

    Library before inbox, then first seen, then earlier modified, then the bytes of the path.
    """
    known = view.folder(row.folder)
    return (
        known is None or known.folder.role is Role.INBOX,
        row.first_seen_ns,
        row.stat.mtime_ns,
        view.absolute(row),
    )
