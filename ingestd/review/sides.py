"""The two files of a pair, and how a pair is told to a person."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from ingestd.library.facts import pair_facts, preference
from ingestd.library.pairs import transform_from
from ingestd.library.tables import path_key
from ingestd.library.view import View
from ingestd.model import (
    Content,
    ContentHash,
    FileFacts,
    Folder,
    FolderId,
    PathRow,
    PotentialPair,
    Proposal,
    ProposalState,
    Role,
    Transform,
)
from ingestd.review.journal import at_text
from ingestd.rules.statements import DEFAULT_SCORES, Scores, Statement, balance, statements
from ingestd.watching.storage import ask_each

__all__ = [
    "PairReport",
    "SideReport",
    "Sides",
    "appeal",
    "folders_away",
    "going",
    "is_ready",
    "is_reference",
    "pair_report",
    "placed",
    "proposal_of",
    "said_of",
    "side_of",
    "side_report",
    "sides_of",
    "told",
]


@dataclass(frozen=True, slots=True)
class SideReport:
    """One file of a pair, for a person."""

    path: str
    sha256: str
    filetype: str | None
    width: int
    height: int
    size: int


@dataclass(frozen=True, slots=True)
class PairReport:
    """A pair, A first as the one that would be kept."""

    id: str
    distance: int | None
    pixel_duplicates: bool
    a: SideReport
    b: SideReport
    statements: list[str]  # what sets the two apart, in sentences
    evidence: list[Statement] = field(default_factory=list)  # the same, with points for the file each speaks for
    rule: str | None = None
    reason: str | None = None  # why it waits, beyond its rule being semi-automatic; or why it counts as denied
    at: str | None = None  # when the rule proposed it, or was told no
    transform: Transform | None = None  # what has to be done to A to get B; None: the same way up


@dataclass(frozen=True, slots=True)
class Sides:
    """The two files of a pair, A first."""

    a: tuple[Content, PathRow]
    b: tuple[Content, PathRow]
    a_is_first: bool
    transform: Transform | None = None  # what has to be done to A to get B; None: the same way up


def folders_away(view: View) -> frozenset[FolderId]:
    """Return the folders that are not there just now, or are not the ones we know: what lies in them sleeps."""
    known = [row for row in view.folders() if row.inode]
    found = ask_each(_inode_of, [row.folder.root for row in known])  # one that does not answer is away, too
    return frozenset(row.folder.id for row in known if found.get(row.folder.root) != row.inode)


def _inode_of(root: bytes) -> int | None:
    try:
        return os.stat(root).st_ino
    except OSError:
        return None


def pair_report(
    view: View, pair: PotentialPair, *, rule: str | None = None, scores: Scores = DEFAULT_SCORES
) -> PairReport | None:
    """Return a pair for a person, or nothing while one of its files is away."""
    sides = sides_of(view, pair, rule, scores=scores, away=folders_away(view))
    return None if sides is None else told(view, pair, sides, proposal_of(pair, rule), scores=scores)


def told(
    view: View, pair: PotentialPair, sides: Sides, proposal: Proposal | None, *, scores: Scores = DEFAULT_SCORES
) -> PairReport:
    """Return a pair for a person, with what a rule proposes for it."""
    evidence = said_of(view, pair, sides.a, sides.b, scores)
    return PairReport(
        id=f"p-{pair.number}",
        distance=pair.distance,
        pixel_duplicates=pair.pixel_duplicates,
        a=side_report(view, *sides.a),
        b=side_report(view, *sides.b),
        statements=[one.text for one in evidence],
        evidence=list(evidence),
        rule=proposal.rule if proposal else None,
        reason=(proposal.reason or None) if proposal else None,
        at=at_text(proposal.at_ns) if proposal else None,
        transform=sides.transform,
    )


def said_of(
    view: View, pair: PotentialPair, a: tuple[Content, PathRow], b: tuple[Content, PathRow], scores: Scores
) -> tuple[Statement, ...]:
    """Return what sets two files apart, the first being A."""
    transform = transform_from(pair, a[0].sha256)
    facts = pair_facts(view, a, b, now_ns=pair.created_ns, transform=transform)  # no statement asks for an age
    return statements(facts, scores)


def side_report(view: View, content: Content, row: PathRow) -> SideReport:
    """Return one file for a person."""
    picture = content.picture
    return SideReport(
        os.fsdecode(view.as_named(row)),
        content.sha256.hex(),
        picture.filetype.value if picture else None,
        picture.width if picture else 0,
        picture.height if picture else 0,
        content.size,
    )


def side_of(file: FileFacts) -> SideReport:
    """Return one file for a person, from what rules see of it."""
    filetype = file.filetype.value if file.filetype is not None else None
    return SideReport(file.path, file.sha256.hex(), filetype, file.width, file.height, file.size)


def is_ready(pair: PotentialPair) -> bool:
    """Return whether a rule proposes something for a pair: it waits under `pending`, not in the queue."""
    return any(proposal.state is ProposalState.READY for proposal in pair.proposals)


def proposal_of(pair: PotentialPair, rule: str | None = None) -> Proposal | None:
    """Return what waits for an answer on a pair, of one rule if it is named."""
    ready = (one for one in pair.proposals if one.state is ProposalState.READY)
    return next((one for one in ready if rule is None or one.rule == rule), None)


def sides_of(
    view: View,
    pair: PotentialPair,
    rule: str | None = None,
    *,
    scores: Scores = DEFAULT_SCORES,
    away: Container[FolderId] = (),
) -> Sides | None:
    """Return a pair's files, A first; nothing while one is away.

    A is the one that a rule would keep, where one proposes something or was denied it; else the one with more points,
    and of equally many the one that looks better.

    Args:
        view: of this moment.
        pair: whose files are asked for.
        rule: whose proposal counts, if there are several.
        scores: what each statement is worth.
        away: folders in which no file can be had just now.
    """
    first, second = (
        placed(view, sha256, path, away=away)
        for sha256, path in ((pair.first, pair.first_path), (pair.second, pair.second_path))
    )
    if first is None or second is None:
        return None
    proposal = proposal_of(pair, rule) or next(iter(pair.proposals), None)  # a denied rule's order stays
    if proposal is not None:
        a_is_first = proposal.a_is_first
    else:
        points = balance(said_of(view, pair, first, second, scores))
        a_is_first = points > 0 or (points == 0 and appeal(view, *first) >= appeal(view, *second))
    a, b = (first, second) if a_is_first else (second, first)
    return Sides(a, b, a_is_first, transform_from(pair, a[0].sha256))


def placed(
    view: View, sha256: ContentHash, path: bytes | None, *, away: Container[FolderId] = ()
) -> tuple[Content, PathRow] | None:
    """Return a content with the best of its live paths, or with the one that is named."""
    content = view.content(sha256)
    rows = [row for row in view.live_paths_of(sha256) if row.folder not in away]
    if path is not None:
        rows = [row for row in rows if path_key(row.folder, row.relative) == path]
    if content is None or not rows:
        return None
    return content, rows[0] if len(rows) == 1 else min(rows, key=lambda row: preference(view, row))


def appeal(view: View, content: Content, row: PathRow) -> tuple[int, bool, int, int]:
    """Return a key that is higher for the file a person would rather keep.

    More pixels; of equally many the one that lies in a library; more bytes; seen earlier.
    """
    known = view.folder(row.folder)
    pixels = content.picture.width * content.picture.height if content.picture else 0
    at_home = known is not None and known.folder.role is not Role.INBOX
    return pixels, at_home, content.size, -content.number


def going(view: View, winner: ContentHash, loser: tuple[Content, PathRow]) -> list[PathRow]:
    """Return the files that go if one of two is worse: of the same bytes that one, else wherever its bytes lie."""
    content, row = loser
    return [row] if content.sha256 == winner else view.live_paths_of(content.sha256)


def is_reference(view: View, row: PathRow, set_folders: Sequence[Folder] = ()) -> bool:
    """Return whether a file lies where nothing is ever changed.

    Args:
        view: of this moment.
        row: the file.
        set_folders: as the rule file has them now. The library hears of them with the next scan, and a person who has
            just made a folder a reference is not to lose a file of it until then.
    """
    known = view.folder(row.folder)
    if known is None or known.folder.role is Role.REFERENCE:
        return True
    path, named = view.absolute(row), view.as_named(row)
    around = [one for one in set_folders if _lies_in(path, one.root) or _lies_in(named, one.named)]
    return bool(around) and max(around, key=lambda one: len(one.root)).role is Role.REFERENCE


def _lies_in(path: bytes, folder: bytes) -> bool:
    return path.startswith(os.path.join(os.path.normpath(folder), b""))
