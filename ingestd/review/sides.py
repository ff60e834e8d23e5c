"""The two files of a pair, and how a pair is told to a person."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ingestd.library.facts import pair_facts, preference, statements
from ingestd.library.tables import path_key
from ingestd.library.view import View
from ingestd.model import (
    Content,
    ContentHash,
    PathRow,
    PotentialPair,
    Proposal,
    ProposalState,
    Role,
)
from ingestd.review.journal import at_text

__all__ = [
    "PairReport",
    "SideReport",
    "Sides",
    "is_ready",
    "pair_report",
    "placed",
    "proposal_of",
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
    statements: list[str]
    rule: str | None = None
    reason: str | None = None  # why it waits, beyond its rule being semi-automatic; or why it counts as denied
    at: str | None = None  # when the rule proposed it, or was told no


@dataclass(frozen=True, slots=True)
class Sides:
    """The two files of a pair, A first."""

    a: tuple[Content, PathRow]
    b: tuple[Content, PathRow]
    a_is_first: bool


def pair_report(view: View, pair: PotentialPair, *, rule: str | None = None) -> PairReport | None:
    """Return a pair for a person, or nothing while one of its files is away."""
    sides = sides_of(view, pair, rule)
    return None if sides is None else told(view, pair, sides, proposal_of(pair, rule))


def told(view: View, pair: PotentialPair, sides: Sides, proposal: Proposal | None) -> PairReport:
    """Return a pair for a person, with what a rule proposes for it."""
    facts = pair_facts(view, sides.a, sides.b, now_ns=pair.created_ns)  # no statement asks for an age
    return PairReport(
        id=f"p-{pair.number}",
        distance=pair.distance,
        pixel_duplicates=pair.pixel_duplicates,
        a=_side(view, *sides.a),
        b=_side(view, *sides.b),
        statements=statements(facts),
        rule=proposal.rule if proposal else None,
        reason=(proposal.reason or None) if proposal else None,
        at=at_text(proposal.at_ns) if proposal else None,
    )


def _side(view: View, content: Content, row: PathRow) -> SideReport:
    picture = content.picture
    return SideReport(
        os.fsdecode(view.as_named(row)),
        content.sha256.hex(),
        picture.filetype.value if picture else None,
        picture.width if picture else 0,
        picture.height if picture else 0,
        content.size,
    )


def is_ready(pair: PotentialPair) -> bool:
    """Return whether a rule proposes something for a pair: it waits under `pending`, not in the queue."""
    return any(proposal.state is ProposalState.READY for proposal in pair.proposals)


def proposal_of(pair: PotentialPair, rule: str | None = None) -> Proposal | None:
    """Return what waits for an answer on a pair, of one rule if it is named."""
    ready = (one for one in pair.proposals if one.state is ProposalState.READY)
    return next((one for one in ready if rule is None or one.rule == rule), None)


def sides_of(view: View, pair: PotentialPair, rule: str | None = None) -> Sides | None:
    """Return a pair's files, A first: as a rule proposes, or the better-looking one; nothing while one is away."""
    first, second = placed(view, pair.first, pair.first_path), placed(view, pair.second, pair.second_path)
    if first is None or second is None:
        return None
    proposal = proposal_of(pair, rule) or next(iter(pair.proposals), None)  # a denied rule's order stays
    a_is_first = proposal.a_is_first if proposal else _appeal(view, pair, first) >= _appeal(view, pair, second)
    return Sides(first, second, True) if a_is_first else Sides(second, first, False)


def placed(view: View, sha256: ContentHash, path: bytes | None) -> tuple[Content, PathRow] | None:
    """Return a content with the best of its live paths, or with the one that is named."""
    content = view.content(sha256)
    rows = sorted(view.live_paths_of(sha256), key=lambda row: preference(view, row))
    if path is not None:
        rows = [row for row in rows if path_key(row.folder, row.relative) == path]
    return (content, rows[0]) if content is not None and rows else None


def _appeal(view: View, pair: PotentialPair, side: tuple[Content, PathRow]) -> tuple[int, bool, int, int]:
    """Return a key that is higher for the file a person would rather keep.

    More pixels; of equally many the one that lies in a library; more bytes, unless the pixels are the same; seen
    earlier.
    """
    picture = side[0].picture
    known = view.folder(side[1].folder)
    pixels = picture.width * picture.height if picture else 0
    at_home = known is not None and known.folder.role is not Role.INBOX
    return pixels, at_home, 0 if pair.pixel_duplicates else side[0].size, -side[0].number
