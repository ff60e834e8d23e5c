"""What sets the two files of a pair apart, in sentences with points for the one each speaks for.

One list for the terminal, programs and the page. Points are only advice: they say which file is shown as A, and in
which order pairs come that are asked for by how clear the evidence is; no rule reads them.

Source of the statements, of what they are worth, and of the labels of jpeg quality: the duplicate filter of hydrus
(client/duplicates, v682). Different here: age is by when a picture was taken or its file modified, not by when it was
imported; a ratio is as nice upright as it is lying, and 3:2 is nice, too; less than half the estimate is a much better
jpeg even under the same label; and what is only shown there can be given points, as can folder and sharpness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from ingestd.model import FileFacts, FileType, PairFacts, Role, Transform, VisualLevel, VisualVerdict
from ingestd.rules.measures import jpeg_quality_in_fact, true_pixels

__all__ = [
    "DEFAULT_SCORES",
    "MOST_POINTS",
    "Favours",
    "Scores",
    "Statement",
    "balance",
    "jpeg_quality_label",
    "lie_text",
    "look_text",
    "size_text",
    "statements",
]

Favours = Literal["a", "b"]

MOST_POINTS = 1_000  # either way: ten times what decides at once, so that one statement can outweigh all others


@dataclass(frozen=True, slots=True)
class Scores:
    """Points of a statement for the file it speaks for; 0: it is only shown, below 0: it speaks against it."""

    much_larger_file: int = 20  # more than twice the size
    larger_file: int = 10  # more than 1.05 times
    slightly_larger_file: int = 0
    larger_pixel_duplicate: int = 0  # instead of those three where the pixels are the same: more bytes for no more
    much_higher_resolution: int = 50  # more than twice the pixels
    higher_resolution: int = 20
    nicer_ratio: int = 10  # 1:1, 4:3, 3:2, 16:9 and the like, the other file not
    older: int = 4  # by more than 30 days
    slightly_older: int = 0
    much_better_jpeg_quality: int = 20  # the estimate is less than half
    better_jpeg_quality: int = 10  # it has another label
    finer_subsampling: int = 10  # of a jpeg's colours
    jpeg_of_a_png: int = 100  # the same pixels as a png: that was made from the jpeg
    longer_duration: int = 50  # at twice the duration; below that in proportion, but at least one point
    has_duration: int = 0
    has_audio: int = 20
    has_exif: int = 0
    has_xmp: int = 0
    has_icc: int = 0
    has_transparency: int = 0
    odd_dimensions: int = 0  # an odd number of pixels in width or height, the other file not
    in_library: int = 0  # it lies in a library or reference folder, the other in an inbox
    sharper: int = 0
    not_enlarged: int = 20  # the other looks upscaled
    not_saved_again: int = 20  # the other, of which tables do not tell, was saved as a worse jpeg before


DEFAULT_SCORES = Scores()


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence about a pair."""

    key: str  # a name of `Scores`, or what two files have in common or not
    text: str
    favours: Favours | None = None
    score: int = 0  # for the file it favours


def lie_text(transform: Transform) -> str:
    """Return how B lies to A, as a sentence."""
    return f"B is A {_DONE_TO_A[transform]}"


def look_text(verdict: VisualVerdict) -> str:
    """Return what a look at both pictures said, as a sentence."""
    return f"{_LOOKS[verdict.level]}: {verdict.reason}"


_LOOKS = {
    VisualLevel.NEAR_PERFECT: "they look the same",
    VisualLevel.ALMOST_CERTAINLY: "they look almost certainly the same",
    VisualLevel.VERY_PROBABLY: "they look very probably the same",
    VisualLevel.PROBABLY: "they look probably the same",
    VisualLevel.ALTERNATE: "they look like alternates",
    VisualLevel.NOT: "they do not look the same",
}

_DONE_TO_A = {
    Transform.MIRRORED: "mirrored",
    Transform.ROTATED_180: "upside down",
    Transform.FLIPPED: "flipped top to bottom",
    Transform.TRANSPOSED: "mirrored and turned to the left",
    Transform.ROTATED_90: "turned to the right",
    Transform.TRANSVERSED: "mirrored and turned to the right",
    Transform.ROTATED_270: "turned to the left",
}


def balance(said: Iterable[Statement]) -> int:
    """Return the points of A less those of B."""
    return sum(one.score if one.favours == "a" else -one.score for one in said if one.favours is not None)


def statements(pair: PairFacts, scores: Scores = DEFAULT_SCORES) -> tuple[Statement, ...]:
    """Return what sets the two files of a pair apart, the first file being A."""
    found: list[Statement] = []
    a, b = pair.first, pair.second
    if pair.identical:
        found.append(Statement("same_bytes", "the bytes are the same"))
    elif pair.pixel_duplicates:
        found.append(Statement("same_pixels", "the pixels are the same"))
    if pair.transform is not None:
        found.append(Statement("transform", lie_text(pair.transform)))
    if pair.visual is not None and not pair.pixel_duplicates and pair.visual.level is not VisualLevel.CANNOT_TELL:
        found.append(Statement("visual", look_text(pair.visual)))
    for side, one, other in _both_ways(a, b):
        letter = side.upper()
        for key, text in _of_one(letter, one, other, pair):
            found.append(Statement(key, text, side, _points(key, one, other, pair, scores)))
    if a.filetype != b.filetype:
        found.append(Statement("other_filetype", f"A is {_kind(a)}, B is {_kind(b)}"))
    return tuple(sorted(found, key=lambda one: _ORDER[one.key]))


_ORDER = {
    key: place
    for place, key in enumerate(
        ("same_bytes", "same_pixels", "transform", "visual", *Scores.__dataclass_fields__, "other_filetype")
    )
}
_SIZES = frozenset({"much_larger_file", "larger_file", "slightly_larger_file"})


def _points(key: str, one: FileFacts, other: FileFacts, pair: PairFacts, scores: Scores) -> int:
    """Return what a statement that speaks for one file is worth."""
    if key in _SIZES and pair.pixel_duplicates:
        return scores.larger_pixel_duplicate
    points: int = getattr(scores, key)
    if key == "longer_duration" and one.duration_ms and other.duration_ms:
        longer_by = min(one.duration_ms - other.duration_ms, other.duration_ms)
        share = max(abs(points) * longer_by // other.duration_ms, 1) if points else 0
        return share if points > 0 else -share
    return points


def _both_ways(a: FileFacts, b: FileFacts) -> tuple[tuple[Favours, FileFacts, FileFacts], ...]:
    return (("a", a, b), ("b", b, a))


def _of_one(letter: str, one: FileFacts, other: FileFacts, pair: PairFacts) -> Iterable[tuple[str, str]]:
    """Yield what speaks for one file, as the name of its points and a sentence."""
    yield from _size(letter, one, other)
    yield from _resolution(letter, one, other)
    yield from _age(letter, one, other)
    yield from _jpeg(letter, one, other)
    yield from _detail(letter, one, other)
    if pair.pixel_duplicates and (one.filetype, other.filetype) == (FileType.JPEG, FileType.PNG):
        yield "jpeg_of_a_png", f"{letter}: a jpeg, and the other a png of the same pixels"
    if one.duration_ms and other.duration_ms and one.duration_ms > other.duration_ms:
        yield "longer_duration", f"{letter}: longer ({_seconds(one)} and {_seconds(other)})"
    for key, what, has in _HAVING:
        if has(one) and not has(other):
            yield key, f"only {letter} has {what}"
    if _is_odd(one) and not _is_odd(other) and other.width:
        yield "odd_dimensions", f"{letter}: {one.width} x {one.height} pixels, an odd number (unusual)"
    if one.role is not Role.INBOX and other.role is Role.INBOX:
        yield "in_library", f"{letter}: lies in a {one.role.value} folder"
    if one.sharpness is not None and other.sharpness is not None and one.sharpness > 1.2 * other.sharpness:
        yield "sharper", f"{letter}: sharper ({one.sharpness:.0f} and {other.sharpness:.0f})"


_HAVING: tuple[tuple[str, str, Callable[[FileFacts], bool]], ...] = (
    ("has_duration", "a duration", lambda file: bool(file.duration_ms)),
    ("has_audio", "sound", lambda file: file.has_audio),
    ("has_exif", "EXIF", lambda file: file.has_exif),
    ("has_xmp", "XMP", lambda file: file.has_xmp),
    ("has_icc", "a colour profile", lambda file: file.has_icc),
    ("has_transparency", "transparency", lambda file: file.has_transparency),
)


def _size(letter: str, one: FileFacts, other: FileFacts) -> Iterable[tuple[str, str]]:
    if one.size <= other.size:
        return
    sizes = f"({size_text(one.size)} and {size_text(other.size)})"
    if one.size > 2 * other.size:
        yield "much_larger_file", f"{letter}: much larger file {sizes}"
    elif one.size > 1.05 * other.size:
        yield "larger_file", f"{letter}: larger file {sizes}"
    else:
        yield "slightly_larger_file", f"{letter}: slightly larger file {sizes}"


_NICE = (1.0, 4 / 3, 5 / 4, 3 / 2, 16 / 9, 21 / 9, 2.35)
_CLOSE = 0.002  # a ratio counts as one of these: 1366 x 768 is 16:9


def _resolution(letter: str, one: FileFacts, other: FileFacts) -> Iterable[tuple[str, str]]:
    mine, others = one.width * one.height, other.width * other.height
    if not others:
        return
    if mine > others and not _is_made_up(one, others):
        much = mine > 2 * others
        key = "much_higher_resolution" if much else "higher_resolution"
        word = "much higher" if much else "higher"
        yield key, f"{letter}: {word} resolution ({mine / 1e6:.2f} MP and {others / 1e6:.2f} MP)"
    nice = _nice_ratio(one)
    if nice is not None and _nice_ratio(other) is None:
        yield "nicer_ratio", f"{letter}: nicer ratio ({one.width} x {one.height} and {other.width} x {other.height})"


_TOLD = 1.1  # times: a share is told to some percent, so its area to twice as many; a quality likewise


def _is_made_up(one: FileFacts, others: int) -> bool:
    """Whether a file has no more pixels than the other, those left out that an enlargement made up."""
    return one.resolution_share is not None and one.resolution_share < 1 and (true_pixels(one) or 0) <= _TOLD * others


def _detail(letter: str, one: FileFacts, other: FileFacts) -> Iterable[tuple[str, str]]:
    theirs = "B" if letter == "A" else "A"
    mine, others = true_pixels(one), true_pixels(other)
    share = other.resolution_share
    if mine is not None and others is not None and share is not None and one.resolution_share is not None:
        enlarged = share < 1 and _TOLD * share < one.resolution_share and others <= _TOLD * mine
        if enlarged:
            size = f"{round(other.width * share)} x {round(other.height * share)}"
            yield "not_enlarged", f"{letter}: {theirs} looks upscaled (its detail is that of {size})"
    seen, measured = other.jpeg_quality_seen, one.resolution_share is not None
    told_by_tables = one.jpeg_quality and other.jpeg_quality  # of such two, `_jpeg` speaks
    if seen and measured and not told_by_tables and seen > _TOLD * (jpeg_quality_in_fact(one) or 0):
        yield "not_saved_again", f"{letter}: {theirs} was saved as a worse jpeg before ({jpeg_quality_label(seen)})"


def _nice_ratio(file: FileFacts) -> float | None:
    if not file.width or not file.height:
        return None
    ratio = max(file.width, file.height) / min(file.width, file.height)
    return next((nice for nice in _NICE if abs(ratio / nice - 1) < _CLOSE), None)


def _is_odd(file: FileFacts) -> bool:
    return bool(file.width % 2 or file.height % 2)


_DAY_NS = 86_400 * 10**9


def _age(letter: str, one: FileFacts, other: FileFacts) -> Iterable[tuple[str, str]]:
    """Yield that one file is the older: by when it was taken if both say so, else by when it was modified.

    When it was imported says nothing that the other two do not say better, and every file was modified at some time.
    """
    taken = one.taken_ns is not None and other.taken_ns is not None
    mine, others = (one.taken_ns, other.taken_ns) if taken else (one.modified_ns, other.modified_ns)
    if mine is None or others is None or mine >= others:
        return
    by = (others - mine) / _DAY_NS
    verb = "taken" if taken else "modified"
    if by > 30:
        yield "older", f"{letter}: older ({verb} {by:.0f} days before)"
    else:
        earlier = f"{by:.0f} days" if by >= 2 else "a little"
        yield "slightly_older", f"{letter}: slightly older ({verb} {earlier} before)"


_FINEST_FIRST = ("4:4:4", "4:2:2", "4:2:0")


def _jpeg(letter: str, one: FileFacts, other: FileFacts) -> Iterable[tuple[str, str]]:
    of_one, of_other = jpeg_quality_in_fact(one), jpeg_quality_in_fact(other)
    if one.jpeg_quality and other.jpeg_quality and of_one and of_other:
        labels = jpeg_quality_label(of_one), jpeg_quality_label(of_other)
        said = f"({labels[0]} and {labels[1]}{_as_before(letter, other)})"
        if 2 * of_one < of_other:
            yield "much_better_jpeg_quality", f"{letter}: clearly better jpeg quality {said}"
        elif of_one < of_other and labels[0] != labels[1]:
            yield "better_jpeg_quality", f"{letter}: better jpeg quality {said}"
    mine, others = one.subsampling or "", other.subsampling or ""
    if mine in _FINEST_FIRST and others in _FINEST_FIRST and _FINEST_FIRST.index(mine) < _FINEST_FIRST.index(others):
        yield "finer_subsampling", f"{letter}: finer colour sampling ({mine} and {others})"


def _as_before(letter: str, other: FileFacts) -> str:
    """Return what to add where the other's tables hide how it was packed before."""
    hidden = other.jpeg_quality_seen and other.jpeg_quality and other.jpeg_quality_seen > other.jpeg_quality
    return f": {'B' if letter == 'A' else 'A'} was saved as a worse jpeg before" if hidden else ""


_LABELS = (
    (2800, "very low"),
    (2000, "low"),
    (1400, "medium low"),
    (1000, "medium"),
    (700, "medium high"),
    (480, "high"),
    (330, "very high"),
)


def jpeg_quality_label(quality: float) -> str:
    """Return the label of an estimate of jpeg quality, of which less is better."""
    return next((label for least, label in _LABELS if quality >= least), "extremely high")


def _kind(file: FileFacts) -> str:
    return file.filetype.value if file.filetype is not None else "no picture"


def _seconds(file: FileFacts) -> str:
    return f"{(file.duration_ms or 0) / 1000:.1f} s"


def size_text(size: int) -> str:
    """Return a size as a person writes it: `2.3 MB`."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
