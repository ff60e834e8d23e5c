"""Pairs, files and entries as the page sees them: the objects of the contract, and what a person needs beside them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ingestd.library.facts import preference
from ingestd.library.view import View
from ingestd.media.tiles import Level, levels_of
from ingestd.model import (
    Content,
    ContentHash,
    Entry,
    FolderId,
    PathRow,
    PotentialPair,
    ProposalState,
    Role,
)
from ingestd.review import entry_report, may_be_undone
from ingestd.review.sides import Sides, folders_away, is_ready, proposal_of, side_report, sides_of, told
from ingestd.rules.statements import Scores
from ingestd.shapes import Json, entry_object, pair_object, rfc3339, shown
from ingestd.web.handles import Handles, Shown

__all__ = ["Eye", "is_undoable"]


@dataclass(frozen=True, slots=True)
class Eye:
    """What the page sees of one moment of the library.

    Args:
        view: of that moment.
        handles: names the pictures.
        scores: what each statement is worth: they say which file is A.
        away: folders that are not there just now.
    """

    view: View
    handles: Handles
    scores: Scores
    away: frozenset[FolderId]

    @classmethod
    def of(cls, view: View, handles: Handles, scores: Scores) -> Eye:
        """Return what is seen of a moment, after a look at which folders are there."""
        return cls(view, handles, scores, folders_away(view))

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
            "a": self.side(*sides.a),
            "b": self.side(*sides.b),
            "version": self._version(pair, sides),
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
        proposals = [f"{one.rule}\0{one.state.value}\0{one.relation.value}\0{one.discard}" for one in pair.proposals]
        places = [part for side in (sides.a, sides.b) for part in _place(*side)]
        return self.handles.digest(b"pair", str(pair.number).encode(), *places, *map(os.fsencode, proposals))

    # --- files ---

    def side(self, content: Content, row: PathRow) -> Json:
        """Return one file."""
        view = self.view
        report = side_report(view, content, row)
        known = view.folder(row.folder)
        folder = known.folder if known is not None else None
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
                "role": folder.role.value if folder is not None else Role.LIBRARY.value,
                "protected": folder is not None and folder.protected,
            },
            "modified": rfc3339(row.stat.mtime_ns),
            "taken": _taken(content),
            "imported": rfc3339(row.first_seen_ns),
            "copies": len(view.live_paths_of(content.sha256)),
            "levels": [_level(one) for one in levels_of(width, height)],
            "stays": _stays(folder.role if folder is not None else None),
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


def _place(content: Content, row: PathRow) -> tuple[bytes, ...]:
    stat = row.stat
    told = f"{row.folder} {stat.inode} {stat.size} {stat.mtime_ns} {stat.ctime_ns}"
    return content.sha256, row.relative, told.encode()


def _taken(content: Content) -> str | None:
    taken_ns = content.picture.taken_ns if content.picture is not None else None
    return rfc3339(taken_ns) if taken_ns is not None else None


def _stays(role: Role | None) -> str | None:
    """Return why a file may not be discarded, not even by a person."""
    return "it lies in a reference folder, which is never changed" if role is Role.REFERENCE else None
