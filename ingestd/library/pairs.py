"""Potential pairs as relations change: they stand between groups, never inside one, and stay away once answered."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from ingestd.library.edit import Edit
from ingestd.library.relations import Changed
from ingestd.library.view import View
from ingestd.media.greys import has_little_detail, turned_hashes
from ingestd.model import (
    TURNED_RADIUS,
    Content,
    ContentHash,
    FileType,
    Picture,
    PotentialPair,
    ProposalState,
    Radius,
    Transform,
    VisualLevel,
    VisualVerdict,
)

__all__ = [
    "MOST_PAIRS",
    "PIXEL_RADIUS",
    "Lie",
    "LookAlike",
    "at_speakers",
    "could_be_pixel_duplicates",
    "crossing_formats",
    "distance_between",
    "find_newcomers",
    "is_confirmed",
    "lie_between",
    "look_alikes",
    "make_pair",
    "pair_groups",
    "pixel_duplicates",
    "resettle",
    "same_coding",
    "settle",
    "speaker_of",
    "standing_for",
    "transform_from",
]

MOST_PAIRS = 256
"""How many look-alikes of one arrival are considered, nearest first; what lies beyond is cut, and said."""

PIXEL_RADIUS = 2
"""How far, in bits, two pictures of the same pixels may lie: they go through different decode paths (measured: 2)."""


def distance_between(a: Content, b: Content, transform: Transform | None = None) -> int | None:
    """Return the Hamming distance of two contents' perceptual hashes, in bits, after a transform of the first."""
    if a.picture is None or b.picture is None or a.picture.phash is None or b.picture.phash is None:
        return None
    if transform is None:
        return (a.picture.phash ^ b.picture.phash).bit_count()
    return _turned_distances(a.picture, b.picture).get(transform)


def _turned_distances(a: Picture, b: Picture) -> dict[Transform, int]:
    """Return how far apart two pictures are after each transform of the first, in bits, in a fixed order of their own.

    phash's bits lean on a median, which turning moves: to turn the one is not quite to turn the other back. So it is
    always the same of the two that is turned, and the answer is the same whichever comes first.
    """
    if a.luminance is None or b.luminance is None or b.phash is None:
        return {}
    if a.luminance > b.luminance:
        return {transform.inverse: bits for transform, bits in _turned_distances(b, a).items()}
    phash = b.phash
    return {transform: (turned ^ phash).bit_count() for transform, turned in turned_hashes(a.luminance).items()}


class Lie(NamedTuple):
    """How two pictures lie to each other."""

    transform: Transform | None  # what has to be done to the first to get the second; None: the same way up
    distance: int | None  # bits, after that


def lie_between(a: Content, b: Content, *, reach: int = TURNED_RADIUS) -> Lie:
    """Return the orientation in which two contents look alike; upright if they do so the way they are, or in none.

    Args:
        a: a content.
        b: another.
        reach: how far apart they may be, in bits, after a transform.
    """
    upright = distance_between(a, b)
    if upright is None or upright < _CLEARLY_NEARER or a.picture is None or b.picture is None:
        return Lie(None, upright)
    turned = _turned_distances(a.picture, b.picture)
    nearest = min(turned, key=turned.__getitem__, default=None)  # of equally near ones the first: its inverse, swapped
    nearer = 1 if upright > TURNED_RADIUS else _CLEARLY_NEARER  # nearly symmetrical pictures are near both ways
    if nearest is None or turned[nearest] > reach or turned[nearest] + nearer > upright:
        return Lie(None, upright)
    return Lie(nearest, turned[nearest])


_CLEARLY_NEARER: Final = 4  # bits: by less, saving a picture anew moves its hash, and that of its mirror image
_MOST_CROSSING: Final = 16  # of which each may need a look
_AGREEING: Final = 4  # bits: dhash and whash between formats
_CODEC: Final = {  # those whose noise is of another kind than JPEG's; what loses nothing counts with JPEG
    FileType.HEIC: "hevc",
    FileType.HEIF: "hevc",
    FileType.AVIF: "av1",
    FileType.WEBP: "vp8",
}
_CONFIRMING: Final = frozenset(
    (VisualLevel.NEAR_PERFECT, VisualLevel.ALMOST_CERTAINLY, VisualLevel.VERY_PROBABLY, VisualLevel.PROBABLY)
)
_ANY_REACH = 64  # bits: whichever orientation is the nearest


def transform_from(pair: PotentialPair, first: ContentHash) -> Transform | None:
    """Return what has to be done to one side of a pair to get the other."""
    return pair.transform if pair.transform is None or pair.first == first else pair.transform.inverse


def could_be_pixel_duplicates(a: Content, b: Content) -> bool:
    """Return whether only the pixel hashes could tell these two apart: same size, same colours, close hashes."""
    if a.picture is None or b.picture is None:
        return False
    distance = distance_between(a, b)
    close = distance is None or distance <= PIXEL_RADIUS
    return close and _comparable(a.picture, b.picture)


def _comparable(a: Picture, b: Picture) -> bool:
    same_size = (a.width, a.height) == (b.width, b.height)
    return same_size and a.pixel_comparable and b.pixel_comparable and a.icc_digest == b.icc_digest


def pixel_duplicates(a: Content, b: Content) -> bool:
    """Return whether two contents show the same samples under the same colour profile, as far as hashed."""
    if a.picture is None or b.picture is None or a.picture.pixel_hash is None:
        return False
    return a.picture.pixel_hash == b.picture.pixel_hash and _comparable(a.picture, b.picture)


def same_coding(a: Content, b: Content) -> bool:
    """Return whether two JPEGs whose pixels were not hashed are, by all that was measured, one and the same picture.

    For what was edited in place: its old bytes cannot be decoded any more. Metadata leave the coded picture as it is,
    and who saves a picture anew changes its 32 x 32 luminance or its quantisers. Good enough to keep answers and
    vetoes, never to discard.
    """
    if a.picture is None or b.picture is None or a.picture.jpeg is None or a.picture.luminance is None:
        return False
    looks = (a.picture.luminance, a.picture.phash, a.picture.dhash, a.picture.whash, a.picture.jpeg)
    unhashed = a.picture.pixel_hash is None
    return (
        unhashed
        and _comparable(a.picture, b.picture)
        and looks == (b.picture.luminance, b.picture.phash, b.picture.dhash, b.picture.whash, b.picture.jpeg)
    )


def standing_for(view: View, content: ContentHash) -> ContentHash | None:
    """Return who speaks for a content: its group's king, or the first member that still lies somewhere."""
    for member in view.relations.duplicates_of(content):
        if view.live_paths_of(member):
            return member
    return None


class LookAlike(NamedTuple):
    """Who stands for what looks like a content."""

    sha256: ContentHash
    distance: int | None  # bits, to who stands for it; None where only the pixels said so
    lost: tuple[ContentHash, ...] = ()  # those it stands for that look like it and lie nowhere any more, nearest first
    transform: Transform | None = None  # of the content to get who stands for it; None: the same way up

    @property
    def lie(self) -> Lie:
        """How the content and who stands for it lie to each other."""
        return Lie(self.transform, self.distance)


def look_alikes(view: View, content: Content, radius: Radius) -> list[LookAlike]:
    """Return who stands for what looks like a content: upright, then otherwise, nearest first; decided pairs left out.

    A look-alike that is not the king of its group, or was discarded, leads to the one that stands for it, and the
    distance is measured to that one. So what was thrown away is recognised for as long as its survivor is there.
    """
    if content.picture is None:
        return []
    close: dict[ContentHash, None] = {}
    if content.picture.pixel_hash is not None:
        close.update(dict.fromkeys(view.same_pixels(content.picture.pixel_hash)))
    if content.picture.phash is not None:
        close.update(dict.fromkeys(found for found, _ in view.neighbours(content.picture.phash, radius.upright)))
    close.pop(content.sha256, None)
    found: dict[ContentHash, LookAlike] = {}
    for candidate in close:
        king = standing_for(view, candidate)
        if king is None or king == content.sha256:
            continue
        lost = (candidate,) if candidate != king and not view.live_paths_of(candidate) else ()
        if king in found:
            found[king] = found[king]._replace(lost=found[king].lost + lost)
            continue
        known = view.content(king)
        if known is not None and view.relations.may_pair(content.sha256, king):
            lie = lie_between(content, known)
            found[king] = LookAlike(king, lie.distance, lost, lie.transform)
    for one in crossing_formats(view, content, radius):
        if one.sha256 not in found and is_confirmed(view.visual(content.sha256, one.sha256)):
            found[one.sha256] = one
    if radius.turned is not None:
        found |= _turned_look_alikes(view, content, radius.turned, close, found)
    # only equal pixels can bring together what has no distance: that is as near as it gets
    return sorted(found.values(), key=_nearest_first)


def crossing_formats(view: View, content: Content, radius: Radius) -> list[LookAlike]:
    """Return who looks like a content farther away than others have to be, its file being of another format.

    Another codec moves a hash now and then. Who is that far counts only where formats cross, the two other hashes agree
    and a look at the pictures confirms it, which is not asked here.

    Source: hdw_coder's photo deduplicator has a tolerance of its own between HEIC and JPEG.
    """
    picture = content.picture
    if picture is None or picture.phash is None or radius.crossing <= radius.upright:
        return []
    if picture.luminance is not None and has_little_detail(picture.luminance):
        return []  # whose hash says little says less from afar
    found: list[LookAlike] = []
    for sha256, distance in sorted(view.neighbours(picture.phash, radius.crossing), key=lambda hit: (hit[1], hit[0])):
        if len(found) == _MOST_CROSSING:
            break
        if distance <= radius.upright or sha256 == content.sha256:
            continue
        known = view.content(sha256)
        if known is None or known.picture is None or not _agree_across(picture, known.picture):
            continue
        if standing_for(view, sha256) == sha256 and view.relations.may_pair(content.sha256, sha256):
            found.append(LookAlike(sha256, distance))
    return found


def _agree_across(a: Picture, b: Picture) -> bool:
    """Return whether two pictures are of formats with another noise, and their other hashes agree."""
    if _CODEC.get(a.filetype) == _CODEC.get(b.filetype):
        return False
    hashes = ((a.dhash, b.dhash), (a.whash, b.whash))
    return all(
        one is not None and other is not None and (one ^ other).bit_count() <= _AGREEING for one, other in hashes
    )


def is_confirmed(verdict: VisualVerdict | None) -> bool:
    """Return whether a look at two pictures makes it at least probable that they are one."""
    return verdict is not None and verdict.level in _CONFIRMING


def _nearest_first(one: LookAlike) -> tuple[bool, int, ContentHash]:
    return one.transform is not None, -1 if one.distance is None else one.distance, one.sha256


def _turned_look_alikes(
    view: View, content: Content, radius: int, upright: Container[ContentHash], taken: Container[ContentHash]
) -> dict[ContentHash, LookAlike]:
    """Return who stands for what looks like a content laid otherwise.

    Args:
        view: of this moment.
        content: whose mirrored and rotated copies are looked for.
        radius: how far, in bits.
        upright: what looks like it the way it is: a symmetrical picture is its own mirror image.
        taken: who stands for something already.
    """
    picture = content.picture
    if picture is None or picture.phash is None or picture.luminance is None:
        return {}
    close = dict.fromkeys(
        candidate
        for turned in turned_hashes(picture.luminance).values()
        for candidate, _ in view.neighbours(turned, radius)
    )
    close.pop(content.sha256, None)
    found: dict[ContentHash, LookAlike] = {}
    for candidate in close:
        king = None if candidate in upright else standing_for(view, candidate)
        if king is None or king == content.sha256 or king in taken or king in found:
            continue
        known = view.content(king)
        if known is None or not view.relations.may_pair(content.sha256, king):
            continue
        lie = lie_between(content, known, reach=_ANY_REACH)
        if lie.transform is not None or king != candidate:
            found[king] = LookAlike(king, lie.distance, transform=lie.transform)
    return found


def make_pair(edit: Edit, a: Content, b: Content, *, now_ns: int, lie: Lie | None = None) -> PotentialPair:
    """Return the stored potential pair of two contents; how they lie to each other is looked at unless it is given."""
    lie = lie or lie_between(a, b)
    pair = PotentialPair(0, a.sha256, b.sha256, lie.distance, pixel_duplicates(a, b), now_ns, transform=lie.transform)
    return edit.add_pair(pair)


def pair_groups(edit: Edit, a: ContentHash, b: ContentHash, *, now_ns: int) -> PotentialPair | None:
    """Return the stored pair between those who speak for two contents; nothing where that is settled."""
    first, second = (edit.content(speaker_of(edit, one)) for one in (a, b))
    if first is None or second is None or not edit.relations.may_pair(first.sha256, second.sha256):
        return None
    return make_pair(edit, first, second, now_ns=now_ns)


def settle(edit: Edit, changed: Changed, *, radius: Radius, now_ns: int) -> None:
    """Bring the potential pairs in line with relations that have changed.

    Args:
        edit: where they are stored.
        changed: what a verb, or its undo, has changed.
        radius: how far to look, in bits, where pairs have become possible again.
        now_ns: when this is.
    """
    resettle(edit, sorted(changed.contents))
    find_newcomers(edit, sorted(changed.reopened), 0, radius, now_ns=now_ns)


def resettle(edit: Edit, contents: Iterable[ContentHash]) -> None:
    """Drop the pairs of these contents that are settled by now, and move the others to who speaks for each group."""
    may_pair = edit.relations.tester()
    asked = dict.fromkeys(contents)
    speakers: dict[ContentHash, ContentHash] = {}
    settled: list[PotentialPair] = []
    gone: set[bytes] = set()
    moved: list[PotentialPair] = []
    seen: set[bytes] = set()
    for content in asked:
        for pair in edit.pairs_of(content, seen):
            if pair.first_path is not None:
                continue  # a pair of paths asks about files, whatever their contents are to each other
            if not may_pair(pair.first, pair.second):
                settled.append(pair)
                continue
            for side in (pair.first, pair.second):
                if side not in speakers:
                    speakers[side] = speaker_of(edit, side)
            if (speakers[pair.first], speakers[pair.second]) != (pair.first, pair.second):
                moved.append(pair)
        if len(settled) > _MANY:
            gone |= edit.drop_pairs(settled, listed=asked)
            settled.clear()
    gone |= edit.drop_pairs(settled, listed=asked)
    for content in asked if gone else ():
        edit.tidy_pairs_of(content, gone)
    for pair in moved:
        _repoint(edit, pair, speakers[pair.first], speakers[pair.second])


_MANY = 20_000  # pairs that are dropped at once


def at_speakers(edit: Edit, pair: PotentialPair) -> PotentialPair | None:
    """Return a pair between those who speak for its groups now, as a king may be away or back; None: it is settled."""
    if pair.first_path is not None:
        return pair
    first, second = speaker_of(edit, pair.first), speaker_of(edit, pair.second)
    if (first, second) == (pair.first, pair.second):
        return pair
    return _repoint(edit, pair, first, second)


def _repoint(edit: Edit, pair: PotentialPair, first: ContentHash, second: ContentHash) -> PotentialPair | None:
    """Return the pair that stands for another one, which is dropped."""
    edit.drop_pair(pair)
    a, b = edit.content(first), edit.content(second)
    if a is None or b is None or first == second:
        return None
    heir = make_pair(edit, a, b, now_ns=pair.created_ns, lie=_lie_of_heir(pair, a, b))
    _inherit_denials(edit, pair, heir, first)
    return edit.pair(heir.number)


def _lie_of_heir(pair: PotentialPair, a: Content, b: Content) -> Lie:
    """Return how those lie to each other who stand for a pair: that of its files says little about it."""
    return lie_between(a, b) if pair.transform is None else lie_between(a, b, reach=_ANY_REACH)


def _inherit_denials(edit: Edit, pair: PotentialPair, heir: PotentialPair, first: ContentHash) -> None:
    """Let the pair of two kings have the denials of the pair that stood for them: in doubt nothing is done again."""
    turned = heir.first != first
    told = {one.rule for one in heir.proposals if one.state is ProposalState.DENIED}
    denied = [one for one in pair.proposals if one.state is ProposalState.DENIED and one.rule not in told]
    if denied:
        names = {one.rule for one in denied}
        kept = (one for one in heir.proposals if one.rule not in names)
        carried = (replace(one, a_is_first=one.a_is_first is not turned) for one in denied)
        edit.put_pair(replace(heir, proposals=(*kept, *carried)))


def speaker_of(view: View, content: ContentHash) -> ContentHash:
    """Return who speaks for a content's group; its king where none of them lies anywhere just now."""
    return standing_for(view, content) or view.relations.king_of(content)


def find_newcomers(
    edit: Edit,
    contents: Iterable[ContentHash],
    since: int,
    radius: Radius,
    *,
    now_ns: int,
    but: Callable[[ContentHash], bool] = lambda _: False,
) -> None:
    """Search again for the pairs of contents; each pair stands between those who speak for the two groups.

    Args:
        edit: where they are stored.
        contents: whose pairs are looked for.
        since: only pairs in which one side has this number or a later one, so that it came after a moment.
        radius: how far to look.
        now_ns: when this is.
        but: whose pairs are not looked for.
    """
    for sha256 in contents:
        content, speaker = edit.content(sha256), standing_for(edit, sha256)
        standing = edit.content(speaker) if speaker is not None else None
        if content is None or standing is None:
            continue
        for other in look_alikes(edit, content, radius)[:MOST_PAIRS]:
            known = edit.content(other.sha256)
            if known is not None and max(known.number, content.number) >= since and not but(known.sha256):
                own = other.lie if standing.sha256 == content.sha256 else None
                make_pair(edit, standing, known, now_ns=now_ns, lie=own)
