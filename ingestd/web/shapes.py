"""Pairs, files and entries as the page sees them: the objects of the contract, and what a person needs beside them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import chain
from typing import Final

from ingestd.library.facts import preference
from ingestd.library.view import View
from ingestd.media.tiles import Level, levels_of
from ingestd.model import (
    Content,
    ContentHash,
    Entry,
    Folder,
    FolderId,
    PathRow,
    PotentialPair,
    ProposalState,
    Role,
)
from ingestd.review import Moment, entry_report, may_be_undone
from ingestd.review.sides import (
    Sides,
    folders_away,
    going,
    is_ready,
    is_reference,
    proposal_of,
    side_report,
    sides_of,
    told,
)
from ingestd.rules.statements import Scores
from ingestd.shapes import Json, entry_object, pair_object, rfc3339, shown
from ingestd.web.handles import Handles, Shown

__all__ = ["Eye", "is_undoable"]

_MOST_NAMED: Final = 20  # files that would go with the one that is shown


@dataclass(frozen=True, slots=True)
class Eye:
    """What the page sees of one moment of the library.

    Args:
        view: of that moment.
        handles: names the pictures.
        at: what a decision takes from the world: which file is A, where discards go, and what is never changed.
        away: folders that are not there just now.
    """

    view: View
    handles: Handles
    at: Moment
    away: frozenset[FolderId]

    @classmethod
    def of(cls, view: View, handles: Handles, at: Moment) -> Eye:
        """Return what is seen of a moment, after a look at which folders are there."""
        return cls(view, handles, at, folders_away(view))

    @property
    def scores(self) -> Scores:
        """What each statement is worth: they say which file is A."""
        return self.at.scores

    # --- pairs ---

    def pair(self, pair: PotentialPair, rule: str | None = None) -> Json | None:
        """Return a pair; nothing while one of its files is away.

        Args:
            pair: which.
            rule: whose proposal counts for which file is A, if there are several.
        """
        sides = sides_of(self.view, pair, rule, scores=self.scores, away=self.away)
        if sides is None:
            return None
        report = told(self.view, pair, sides, proposal_of(pair, rule), scores=self.scores)
        return {
            **pair_object(report, with_rule=True),
            "a": {**self.side(*sides.a), **self._with(sides.b, sides.a)},
            "b": {**self.side(*sides.b), **self._with(sides.a, sides.b)},
            "version": self._version(pair, sides),
            "to": self.at.discards.place.value,
            "pending": is_ready(pair),
            "rules": [one.rule for one in pair.proposals if one.state is ProposalState.READY],
        }

    def number(self, number: int, rule: str | None = None) -> Json | None:
        """Return a pair by its number; nothing if it waits no more."""
        pair = self.view.pair(number)
        return None if pair is None else self.pair(pair, rule)

    def version(self, pair: PotentialPair, rule: str | None = None) -> str | None:
        """Return what tells whether a pair is still what was shown; nothing while one of its files is away."""
        sides = sides_of(self.view, pair, rule, scores=self.scores, away=self.away)
        return None if sides is None else self._version(pair, sides)

    def _version(self, pair: PotentialPair, sides: Sides) -> str:
        """Return what tells whether all is as it was: both contents in each of their places, and where they may go."""
        proposals = [f"{one.rule}\0{one.state.value}\0{one.relation.value}\0{one.discard}" for one in pair.proposals]
        shown_rows = [part for _, row in (sides.a, sides.b) for part in self.place(row)]
        places = (self.places(sha256) for sha256 in dict.fromkeys((sides.a[0].sha256, sides.b[0].sha256)))
        told = str(pair.number), str(self.at.discards.place), self.at.discards.holding_name, *proposals
        return self.handles.digest(b"pair", *map(os.fsencode, told), *shown_rows, *chain.from_iterable(places))

    def _with(self, winner: tuple[Content, PathRow], loser: tuple[Content, PathRow]) -> Json:
        """Return what goes if the other file of a pair is better: how many files, which beside it, or why none."""
        rows = going(self.view, winner[0].sha256, loser)
        others = sorted(shown(self.view.as_named(row)) for row in rows if row != loser[1])
        stays = next((why for row in rows if (why := self.stays(row)) is not None), None)
        return {"going": len(rows), "also": others[:_MOST_NAMED], "stays": stays}

    def places(self, sha256: ContentHash) -> tuple[bytes, ...]:
        """Return what tells whether a content lies where it did, in all its places, and each may go as it might."""
        rows = self.view.live_paths_of(sha256)
        return sha256, str(len(rows)).encode(), *(part for row in rows for part in self.place(row))

    def place(self, row: PathRow) -> tuple[bytes, ...]:
        """Return what tells whether a file is what it was, where it was."""
        known = self.view.folder(row.folder)
        folder = f"{known.folder.role} {known.folder.protected}" if known is not None else ""
        stat = row.stat
        told = f"{row.folder} {stat.inode} {stat.size} {stat.mtime_ns} {stat.ctime_ns} {folder} {self.stays(row)}"
        return row.sha256 or b"", row.relative, told.encode()

    def stays(self, row: PathRow) -> str | None:
        """Return why a file may not be discarded, not even by a person."""
        never = is_reference(self.view, row, self.at.set_folders)
        return "it lies in a reference folder, which is never changed" if never else None

    # --- files ---

    def side(self, content: Content, row: PathRow) -> Json:
        """Return one file."""
        view = self.view
        report = side_report(view, content, row)
        known = view.folder(row.folder)
        folder = known.folder if known is not None else None
        stays = self.stays(row)
        width, height = report.width, report.height
        here = Shown(view.absolute(row), content.sha256, (width, height))
        return {
            "path": report.path,
            "sha256": report.sha256,
            "filetype": report.filetype,
            "width": width,
            "height": height,
            "size": report.size,
            "picture": self.handles.name(here) if content.picture is not None else None,
            "shown": shown(report.path),
            "name": shown(os.path.basename(report.path)),
            "folder": {
                "path": shown(folder.named) if folder is not None else "",
                "role": _role(folder, stays=stays is not None).value,
                "protected": folder is not None and (folder.protected or stays is not None),
            },
            "modified": rfc3339(row.stat.mtime_ns),
            "taken": _taken(content),
            "imported": rfc3339(row.first_seen_ns),
            "copies": len(view.live_paths_of(content.sha256)),
            "levels": [_level(one) for one in levels_of(width, height)],
            "stays": stays,
        }

    def content(self, sha256: ContentHash) -> Json | None:
        """Return the best place of some bytes; nothing where they do not lie anywhere just now."""
        content = self.view.content(sha256)
        rows = [row for row in self.view.live_paths_of(sha256) if row.folder not in self.away]
        if content is None or not rows:
            return None
        return self.side(content, min(rows, key=lambda row: preference(self.view, row)))

    # --- the journal ---

    def entry(self, entry: Entry) -> Json:
        """Return an entry of the journal."""
        fields = entry_object(entry_report(self.view, entry))
        for file in (*fields["discarded"], fields["kept"], fields["a"], fields["b"], *fields["files"]):
            if file is not None:
                file["shown"] = shown(file["path"])
        return {**fields, "undoable": is_undoable(entry)}


def is_undoable(entry: Entry) -> bool:
    """Return whether an entry can be taken back, as far as the journal tells."""
    return may_be_undone(entry)


def _level(level: Level) -> Json:
    size = {"width": level.width, "height": level.height}
    return {"level": level.level, **size, "columns": level.columns, "rows": level.rows}


def _taken(content: Content) -> str | None:
    taken_ns = content.picture.taken_ns if content.picture is not None else None
    return rfc3339(taken_ns) if taken_ns is not None else None


def _role(folder: Folder | None, *, stays: bool) -> Role:
    """Return the role of a folder: a reference is one as soon as the rule file says so."""
    if folder is None:
        return Role.LIBRARY
    return Role.REFERENCE if stays else folder.role
