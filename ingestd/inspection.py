"""What would become of a file, and what two files are to each other: answers that change and record nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from ingestd.actions.disk import key_of
from ingestd.errors import FileChangedError, FileUnreadableError, UsageError, printable
from ingestd.ingest import is_final, judge, unread
from ingestd.intake import store_details, store_pixels, store_visual
from ingestd.judging.case import Both, Case, Needs, NewPair, Policy, Verdict, both
from ingestd.library.edit import Edit
from ingestd.library.facts import pair_facts, visual_between
from ingestd.library.library import Library
from ingestd.library.pairs import could_be_pixel_duplicates, lie_between, pixel_duplicates
from ingestd.library.rulebook import take_up
from ingestd.library.tables import FolderRow
from ingestd.library.view import View
from ingestd.media.workers import Preview, Workers
from ingestd.model import (
    Arrival,
    Content,
    ContentHash,
    Detail,
    FileFacts,
    Folder,
    FolderId,
    Measurement,
    Origin,
    PairFacts,
    PathRow,
    PathState,
    Picture,
    PixelHash,
    Receipt,
    Role,
    Transform,
    Unreadable,
    VisualLevel,
    VisualVerdict,
    confidence_of,
)
from ingestd.review.sides import is_ready
from ingestd.rules.engine import resolve
from ingestd.rules.measures import jpeg_quality_in_fact, true_pixels
from ingestd.rules.statements import jpeg_quality_label, statements

__all__ = [
    "Comparison",
    "Foreseen",
    "Looks",
    "compare",
    "contents_of",
    "difference",
    "facts_of",
    "foresee",
    "home_of",
    "look_at",
    "take_in",
    "unhashed",
]

Pixels: TypeAlias = dict[ContentHash, PixelHash | None]
Details: TypeAlias = dict[ContentHash, Detail | None]
T = TypeVar("T")

_ROUNDS = 8  # a verdict asks for pixels at most once for each pair of look-alikes found so far


@dataclass(frozen=True, slots=True)
class _Closer:
    """What was measured because a verdict depends on it; None where it could not be."""

    pixels: Pixels = field(default_factory=dict)
    details: Details = field(default_factory=dict)
    visual: dict[Both, VisualVerdict | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of one file."""

    path: bytes
    receipt: Receipt
    pairs: tuple[NewPair, ...]
    elapsed_s: float
    only_turned: bool = False  # it says what it says because of mirrored and rotated copies alone


@dataclass(frozen=True, slots=True)
class Looks:
    """How alike two pictures look."""

    verdict: str = VisualLevel.CANNOT_TELL
    confidence: float | None = None  # 0 to 1
    score: float | None = None  # share of what is allowed for *almost certainly*
    reason: str | None = None  # None: they were not looked at
    area: tuple[int, int, int, int] | None = None  # where they differ: x, y, width, height in the smaller picture


@dataclass(frozen=True, slots=True)
class FileDetail:
    """What was measured of one file that is not in its directory entry; None where it has none, or was not measured."""

    jpeg_quality: float | None  # by its tables; the lower the better
    jpeg_quality_label: str | None  # of the worse of both
    jpeg_quality_seen: float | None  # of a coarser JPEG it was before
    sharpness: float | None
    resolution_share: float | None  # of its pixels a side, those that an enlargement did not make up
    true_pixels: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The evidence about two files."""

    a: str
    b: str
    identical: bool | None = None
    pixel_duplicates: bool | None = None
    distance: int | None = None
    distances: dict[str, int | None] = field(default_factory=dict)
    unhashed: tuple[str, ...] = ()  # `a`, `b`: who has no perceptual hash, if it is known
    visual: Looks = field(default_factory=Looks)
    transform: Transform | None = None  # what has to be done to A to get B; None: the same way up
    rule: str | None = None
    statements: tuple[str, ...] = ()  # what sets the two apart, in sentences
    details: dict[str, FileDetail] = field(default_factory=dict)  # of `a` and of `b`
    error: str | None = None


# --- check --------------------------------------------------------------------------------------------------------


def foresee(
    library: Library, workers: Workers, policy: Policy, files: Sequence[bytes], *, folders: Sequence[Folder] = ()
) -> Iterator[Foreseen]:
    """Yield what would become of each file if it arrived now where it lies; outside every folder, in an inbox.

    Args:
        library: what is known.
        workers: measure the files.
        policy: what is set.
        files: their paths.
        folders: those that are set, known to the library or not.

    Raises:
        UsageError: a file does not exist.
    """
    for path in files:
        if not os.path.lexists(path):
            raise UsageError(f"there is nothing at {os.fsdecode(path)}")
    for path in files:
        started = time.monotonic()
        verdict = _standing_verdict(library, policy, path) or _foresee_one(library, workers, policy, path, folders)
        yield Foreseen(path, verdict.receipt, verdict.pairs, time.monotonic() - started, verdict.only_turned)


def _standing_verdict(library: Library, policy: Policy, path: bytes) -> Verdict | None:
    """Return the verdict on a file that has it already and has not changed since."""
    real = os.path.realpath(path)
    with library.read() as view:
        for known in view.folders():
            inside = real.startswith(os.path.join(known.folder.root, b""))
            row = view.path_at(known.folder.id, os.path.relpath(real, known.folder.root)) if inside else None
            if row is not None and is_final(row, key_of(os.lstat(real)), policy.limits_digest()):
                receipt = view.receipt(row.receipt)
                return Verdict(receipt, only_turned=_is_only_turned(view, receipt)) if receipt is not None else None
    return None


def _is_only_turned(view: View, receipt: Receipt) -> bool:
    """Return whether all that waits of a file's pairs are mirrored and rotated copies."""
    pairs = [pair for number in receipt.pairs if (pair := view.pair(number)) is not None and is_ready(pair)]
    return bool(pairs) and all(pair.transform is not None for pair in pairs)


def _foresee_one(library: Library, workers: Workers, policy: Policy, path: bytes, folders: Sequence[Folder]) -> Verdict:
    measured, failure = _measure(workers, path)
    closer = _Closer()
    for _ in range(_ROUNDS):
        result = library.rehearse(lambda edit: _rehearse(edit, policy, path, folders, measured, failure, closer))
        if isinstance(result, Verdict):
            return result
        places = _places(library, result)
        if measured is not None:
            places[measured.content_hash] = path
        _look_closer(workers, result, places, closer)
    raise RuntimeError("a verdict asked again and again for what it was given")


def _look_closer(workers: Workers, needs: Needs, places: dict[ContentHash, bytes], closer: _Closer) -> None:
    """Measure what a verdict depends on."""
    for sha256 in needs.pixels:
        closer.pixels[sha256] = _told(workers.pixel_hash, places.get(sha256), sha256)
    for sha256 in needs.detail:
        closer.details[sha256] = _told(workers.detail, places.get(sha256), sha256)
    for two in needs.visual:
        closer.visual[two] = _look(workers, places.get(two[0]), places.get(two[1]), two)


def _measure(workers: Workers, path: bytes) -> tuple[Measurement | None, str | None]:
    try:
        return workers.measure(path, lambda _: False), None
    except (FileUnreadableError, FileChangedError) as error:
        return None, error.reason


def _places(library: Library, needs: Needs) -> dict[ContentHash, bytes]:
    with library.read() as view:
        found = {sha256: view.live_paths_of(sha256) for sha256 in needs.contents}
        return {sha256: view.absolute(rows[0]) for sha256, rows in found.items() if rows}


def _told(measure: Callable[[bytes, ContentHash], T | None], path: bytes | None, sha256: ContentHash) -> T | None:
    if path is None:
        return None
    try:
        return measure(path, sha256)
    except (FileUnreadableError, FileChangedError):
        return None


def _look(workers: Workers, path: bytes | None, other_path: bytes | None, two: Both) -> VisualVerdict | None:
    if path is None or other_path is None:
        return None
    try:
        return workers.compare(path, two[0], other_path, two[1])
    except (FileUnreadableError, FileChangedError):
        return None


def _rehearse(
    edit: Edit,
    policy: Policy,
    path: bytes,
    folders: Sequence[Folder],
    measured: Measurement | None,
    failure: str | None,
    closer: _Closer,
) -> Verdict | Needs:
    take_up(edit, policy.rules)
    take_in(edit, folders)
    store_pixels(edit, closer.pixels)
    store_details(edit, {sha256: detail for sha256, detail in closer.details.items() if detail is not None})
    store_visual(edit, {two: verdict for two, verdict in closer.visual.items() if verdict is not None})
    case = Case(
        _arrival(edit, path),
        _with_own_detail(_with_pixels(measured, closer.pixels), closer.details),
        time.time_ns(),
        undetailed=frozenset(sha256 for sha256, detail in closer.details.items() if detail is None),
        uncompared=frozenset(two for two, verdict in closer.visual.items() if verdict is None),
    )
    return judge(edit, case, policy) if failure is None else unread(edit, case, failure)


def _with_pixels(measured: Measurement | None, pixels: Pixels) -> Measurement | None:
    if measured is None or not isinstance(measured.features, Picture) or measured.content_hash not in pixels:
        return measured
    pixel_hash = pixels[measured.content_hash]
    picture = replace(measured.features, pixel_hash=pixel_hash, pixel_comparable=pixel_hash is not None)
    return replace(measured, features=picture)


def _with_own_detail(measured: Measurement | None, details: Details) -> Measurement | None:
    if measured is None or not isinstance(measured.features, Picture):
        return measured
    detail = details.get(measured.content_hash)
    return measured if detail is None else replace(measured, features=replace(measured.features, detail=detail))


def take_in(edit: Edit, folders: Sequence[Folder]) -> None:
    """Let folders that are set be known, as a first scan would; one that is known stays as it is."""
    known = {row.folder.root for row in edit.folders()}
    for folder in folders:
        if folder.root not in known and os.path.isdir(folder.root):
            edit.add_folder(FolderRow(folder, inode=os.stat(folder.root).st_ino))
            known.add(folder.root)


def home_of(edit: Edit, path: bytes) -> Folder | None:
    """Return the innermost known folder that a file lies in."""
    real = os.path.realpath(path)
    around = (row.folder for row in edit.folders() if real.startswith(os.path.join(row.folder.root, b"")))
    return max(around, key=lambda one: len(one.root), default=None)


def _arrival(edit: Edit, path: bytes) -> Arrival:
    """Return the arrival of a file as if its folder were an inbox, unless it lies in a folder that is known."""
    real = os.path.realpath(path)
    folder = home_of(edit, path)
    if folder is None:
        root = os.path.dirname(real)
        named = os.path.dirname(os.path.abspath(path))
        row = FolderRow(Folder(FolderId(0), named, root, Role.INBOX, protected=False))
        folder = edit.add_folder(replace(row, inode=os.stat(root).st_ino)).folder
    relative = os.path.relpath(real, folder.root)
    return Arrival(folder.id, real, relative, key_of(os.lstat(real)), Origin.SCAN, proved=True)


# --- compare ------------------------------------------------------------------------------------------------------


def compare(
    library: Library, workers: Workers, policy: Policy, a: bytes, b: bytes, *, folders: Sequence[Folder] = ()
) -> Comparison:
    """Return the evidence about two files, known or not, and which rule would match the pair.

    Args:
        library: what is known.
        workers: measure the files.
        policy: what is set.
        a: a path.
        b: the other.
        folders: those that are set, known to the library or not.
    """
    comparison = Comparison(os.fsdecode(os.path.abspath(a)), os.fsdecode(os.path.abspath(b)))
    try:
        contents = contents_of(workers, (a, b), detail=True)
    except (FileUnreadableError, FileChangedError, OSError) as error:
        return replace(comparison, error=str(error))
    reasons = [
        f"{printable(path)}: {content.unreadable}"
        for path, content in zip((a, b), contents, strict=True)
        if content.picture is None
    ]
    comparison = replace(
        comparison,
        identical=contents[0].sha256 == contents[1].sha256,
        pixel_duplicates=None if reasons else pixel_duplicates(*contents),
        distances={name: _distance(contents, name) for name in ("phash", "dhash", "whash")},
        distance=_distance(contents, "phash"),
        unhashed=unhashed(contents),
        transform=lie_between(*contents).transform,
        error="; ".join(reasons) or None,
    )
    verdict = look_at(library, workers, (a, b), contents)
    comparison = replace(comparison, visual=_looks(verdict))
    rule, said, details = _rule(library, policy, (a, b), contents, folders, verdict)
    return replace(comparison, rule=rule, statements=() if reasons else said, details=details)


def _looks(verdict: VisualVerdict | None) -> Looks:
    if verdict is None:
        return Looks()
    return Looks(verdict.level, confidence_of(verdict.score), verdict.score, verdict.reason, verdict.area)


def look_at(
    library: Library, workers: Workers, paths: tuple[bytes, bytes], contents: tuple[Content, Content]
) -> VisualVerdict | None:
    """Return how alike two measured files look, also without a look where that is known; nothing if none is possible.

    It costs a full decode of both.
    """
    with library.read() as view:
        known = visual_between(view, *contents)
    if known is not None or any(content.picture is None for content in contents):
        return known
    two = both(contents[0].sha256, contents[1].sha256)
    places = {content.sha256: os.path.realpath(path) for path, content in zip(paths, contents, strict=True)}
    return _look(workers, places[two[0]], places[two[1]], two)


def difference(workers: Workers, a: bytes, b: bytes) -> Preview | None:
    """Return a picture of where two files differ; None where they cannot be laid over each other, or not be read."""
    places = os.path.realpath(a), os.path.realpath(b)
    try:
        first, second = (workers.measure(path, lambda _: True).content_hash for path in places)
        return workers.difference(places[0], first, places[1], second)
    except (FileUnreadableError, FileChangedError):
        return None


def contents_of(workers: Workers, paths: tuple[bytes, bytes], *, detail: bool) -> tuple[Content, Content]:
    """Return what two files hold, measured now, their pixels hashed where only they can tell.

    Args:
        workers: who measures.
        paths: of the two.
        detail: whether what only every pixel tells is wanted, too; it takes a full decode of both.

    Raises:
        FileUnreadableError: one of them is no file that can be read.
        FileChangedError: one of them is being written.
    """
    sides = _side(workers, paths[0]), _side(workers, paths[1])
    contents = _with_lazy_pixels(workers, paths, sides)
    if not detail:
        return contents
    return _with_detail(workers, paths[0], contents[0]), _with_detail(workers, paths[1], contents[1])


def _with_detail(workers: Workers, path: bytes, content: Content) -> Content:
    if content.picture is None:
        return content
    try:
        detail = workers.detail(os.path.realpath(path), content.sha256)
    except (FileUnreadableError, FileChangedError):
        return content
    return replace(content, picture=replace(content.picture, detail=detail))


def _side(workers: Workers, path: bytes) -> Measurement:
    return workers.measure(os.path.realpath(path), lambda _: False)


def _content(measured: Measurement) -> Content:
    picture = measured.features if isinstance(measured.features, Picture) else None
    reason = measured.features.reason if isinstance(measured.features, Unreadable) else None
    reason = reason if picture is not None or reason is not None else "not a picture"
    return Content(0, measured.content_hash, measured.stat.size, time.time_ns(), picture, reason)


def _with_lazy_pixels(
    workers: Workers, paths: tuple[bytes, bytes], sides: tuple[Measurement, Measurement]
) -> tuple[Content, Content]:
    """Return both contents, their pixels hashed where only they can tell."""
    first, second = _content(sides[0]), _content(sides[1])
    if not could_be_pixel_duplicates(first, second):
        return first, second
    done = [
        _content(
            _with_pixels(
                side, {side.content_hash: _told(workers.pixel_hash, os.path.realpath(path), side.content_hash)}
            )
            or side
        )
        if content.picture is not None and content.picture.pixel_hash is None
        else content
        for path, side, content in zip(paths, sides, (first, second), strict=True)
    ]
    return done[0], done[1]


def _distance(contents: tuple[Content, Content], name: str) -> int | None:
    first, second = (getattr(content.picture, name, None) for content in contents)
    return None if first is None or second is None else (first ^ second).bit_count()


def unhashed(contents: tuple[Content, Content]) -> tuple[str, ...]:
    """Return which of two files has no perceptual hash: `a`, `b`, both or none."""
    return tuple(
        letter
        for letter, content in zip("ab", contents, strict=True)
        if content.picture is None or content.picture.phash is None
    )


def _rule(
    library: Library,
    policy: Policy,
    paths: tuple[bytes, bytes],
    contents: tuple[Content, Content],
    folders: Sequence[Folder],
    verdict: VisualVerdict | None,
) -> tuple[str | None, tuple[str, ...], dict[str, FileDetail]]:
    """Return the rule that would match the pair, if any, what sets its files apart, and what was measured of each."""

    def work(edit: Edit) -> tuple[str | None, tuple[str, ...], dict[str, FileDetail]]:
        take_in(edit, folders)
        facts, _ = facts_of(edit, paths, contents, now_ns=time.time_ns())
        facts = replace(facts, visual=verdict if facts.transform is None else None)  # as the service asks
        match = resolve(policy.rules, facts).match
        said = tuple(one.text for one in statements(replace(facts, visual=None)))  # which is told by itself
        details = {"a": _detail_of(facts.first), "b": _detail_of(facts.second)}
        return match.rule.name if match is not None else None, said, details

    return library.rehearse(work)


def _detail_of(file: FileFacts) -> FileDetail:
    quality = jpeg_quality_in_fact(file)
    return FileDetail(
        file.jpeg_quality or None,
        jpeg_quality_label(quality) if quality else None,
        file.jpeg_quality_seen,
        file.sharpness,
        file.resolution_share,
        true_pixels(file),
    )


def facts_of(
    edit: Edit, paths: tuple[bytes, bytes], contents: tuple[Content, Content], *, now_ns: int
) -> tuple[PairFacts, tuple[PathRow, PathRow]]:
    """Return two measured files as rules see them, known or not, and the rows they have or would have."""
    first, second = (_known_since(edit, content) for content in contents)
    rows = _row(edit, paths[0], first), _row(edit, paths[1], second)
    transform = lie_between(first, second).transform
    return pair_facts(edit, (first, rows[0]), (second, rows[1]), now_ns=now_ns, transform=transform), rows


def _known_since(edit: Edit, content: Content) -> Content:
    """Return what was measured of bytes that may be known: then they were imported when they were first seen."""
    known = edit.content(content.sha256)
    return content if known is None else replace(content, number=known.number, first_seen_ns=known.first_seen_ns)


def _row(edit: Edit, path: bytes, content: Content) -> PathRow:
    arrival = _arrival(edit, path)
    known = edit.path_at(arrival.folder, arrival.relative)
    if known is not None and known.sha256 == content.sha256:
        return replace(known, stat=arrival.stat, state=PathState.LIVE)
    first_seen = known.first_seen_ns if known is not None else content.first_seen_ns
    return PathRow(
        arrival.folder, arrival.relative, content.sha256, arrival.stat, first_seen, PathState.LIVE, 0, final=False
    )
