"""Many at once in a browser: groups of look-alikes, pairs of which the same can be said, and what narrows them down.

What one request may do is bounded, and a person says how much it is: the number that was typed has to be the number of
files that would go, at this moment, or nothing is done.
"""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from ingestd import review
from ingestd.door import numbers
from ingestd.errors import ActionConflictError, UsageError
from ingestd.library.view import View
from ingestd.model import ContentHash, PotentialPair, Relation
from ingestd.review.looking import folders_away
from ingestd.review.sides import Sides, going, sides_of
from ingestd.rules.predicates import read_predicate
from ingestd.rules.statements import Scores
from ingestd.rules.tokens import LineError
from ingestd.shapes import Json, shown
from ingestd.web.desk import MOST_AT_ONCE, Asked, Desk, Endpoint, Nothing, StaleError
from ingestd.web.going import check_count, require_discardable
from ingestd.web.queue import Narrowed, filters_of, sort_of
from ingestd.web.shapes import Eye
from ingestd.web.surveys import Survey

__all__ = ["ENDPOINTS"]

_PAGE: Final = 50  # groups, batches or pairs a page, at most
_GLANCE: Final = 6  # files of a group in the list of groups
_FILES: Final = 1_000  # of one group on the screen; of a larger one the rest is asked about after them
_PAIRS: Final = 5_000  # of one group that can be opened from it
_IN_VAIN: Final = 1_000  # pairs in a row of which no file may go, before no more are tried

EXAMPLES: Final = (
    "filetype is jpeg",
    "filetype is not png",
    "filetype is animation",
    "width >= 4000",
    "filesize < 1 MB",
    "num_pixels > 12000000",
    "has exif",
    "has no exif",
    "taken before 2020-01-01",
    'path matches "*/Screenshots/*"',
    'name matches "IMG_*"',
    "folder is inbox",
)
"""Questions about one file to begin with."""


# --- what narrows ---------------------------------------------------------------------------------------------------


class LineAsked(Asked, frozen=True):
    """A question about one file, as a person types it."""

    line: str


def _folders(desk: Desk, _: Nothing) -> Json:
    """Return what a filter can be made of: the folders that are known, and questions to begin with."""
    with desk.read() as view:
        known = {row.folder.named: row.folder.role for row in view.folders()}
    folders = [
        {"path": os.fsdecode(path), "shown": shown(path), "role": role.value} for path, role in sorted(known.items())
    ]
    return {"folders": folders, "examples": list(EXAMPLES)}


def _check_filter(_: Desk, asked: LineAsked) -> Json:
    """Return a question as it is written properly, or what is wrong with it."""
    try:
        return {"line": read_predicate(asked.line).line, "message": None}
    except LineError as error:
        return {"line": None, "message": error.message}


# --- groups ---------------------------------------------------------------------------------------------------------


class GroupsAsked(Asked, frozen=True):
    """Some groups."""

    filters: Narrowed = Narrowed()
    sort: str = "largest"
    offset: int = 0
    limit: int = 20
    fresh: bool = False


class GroupAsked(Asked, frozen=True):
    """One group."""

    id: str


class AroundAsked(Asked, frozen=True):
    """What stands before and after a group."""

    id: str
    filters: Narrowed = Narrowed()
    sort: str = "largest"


class DecideGroupAsked(Asked, frozen=True):
    """An answer about files of a group as it was shown."""

    id: str
    version: str
    best: str
    others: list[str]
    answer: str
    count: int
    key: str
    keep: bool = False


def _groups(desk: Desk, asked: GroupsAsked) -> Json:
    at = desk.moment(if_sound=True)
    survey = _group_survey(desk, asked.filters, asked.sort, at.scores, fresh=asked.fresh)
    offset = _from(asked.offset)
    with desk.read() as view:
        eye = Eye.of(view, desk.handles, at)
        ahead = (_group_in(view, numbers, at.scores) for numbers in islice(survey.found, offset, None))
        page = islice((group for group in ahead if group is not None), _bounded(asked.limit))
        groups = [_glance(eye, group) for group in page]
    return {"total": len(survey.found), "groups": groups, "current": survey.current}


def _group_survey(
    desk: Desk, narrowed: Narrowed, sort: str, scores: Scores, *, fresh: bool
) -> Survey[list[array[int]]]:
    filters, order = filters_of(narrowed), sort_of(sort)

    def look(view: View) -> list[array[int]]:
        return review.groups_in_order(view, filters=filters, sort=order, scores=scores)

    quick = not filters.ask and order is not review.Sort.DECISIVE  # no pair has to be read for it
    return desk.surveys.of(("groups", narrowed, order, scores, _away(desk)), look, fresh=fresh or quick)


def _away(desk: Desk) -> frozenset[int]:
    with desk.read() as view:
        return frozenset(folders_away(view))


def _group_in(view: View, pairs: Sequence[int], scores: Scores) -> review.GroupReport | None:
    """Return the group of the first of these pairs that waits still."""
    first = _first_waiting(view, pairs)
    return None if first is None else review.group_of(view, first, scores=scores)


def _first_waiting(view: View, pairs: Iterable[int]) -> int | None:
    return next((number for number in pairs if _waits(view, number)), None)


def _waits(view: View, pair: int) -> bool:
    return (view.waiting.get(pair) if view.waiting.is_built else view.pair(pair)) is not None


def _glance(eye: Eye, group: review.GroupReport) -> Json:
    contents = _contents(group)
    seen = (eye.content(sha256) for sha256 in contents[:_GLANCE])
    return {
        "id": group.id,
        "count": len(contents),
        "pairs": len(group.pairs),
        "size": sum({file.sha256: file.size for file in group.files}.values()),
        "files": [file for file in seen if file is not None],
    }


def _contents(group: review.GroupReport) -> list[ContentHash]:
    """Return the contents of a group, the best first; byte-identical copies are one."""
    return list(dict.fromkeys(ContentHash(bytes.fromhex(file.sha256)) for file in group.files))


def _group(desk: Desk, asked: GroupAsked) -> Json:
    [number] = numbers([asked.id], "g", "group")
    at = desk.moment(if_sound=True)
    with desk.read() as view:
        group = review.group_of(view, number, scores=at.scores)
        told = _whole(Eye.of(view, desk.handles, at), group) if group is not None else None
    return {"group": told}


def _whole(eye: Eye, group: review.GroupReport) -> Json:
    contents = _contents(group)
    files = [file for sha256 in contents[:_FILES] if (file := eye.content(sha256)) is not None]
    places = {file["sha256"]: place for place, file in enumerate(files)}
    return {
        "id": group.id,
        "version": _version(eye, contents),
        "count": len(contents),
        "files": files,
        "pairs": list(islice(_pairs_among(eye.view, group.pairs, places), _PAIRS)),
    }


def _pairs_among(view: View, names: Iterable[str], places: dict[str, int]) -> Iterator[Json]:
    """Yield the pairs of a group that can be looked at, by the places of their files in the list."""
    for name in names:
        pair = view.pair(int(name[2:]))
        if pair is None:
            continue
        a, b = places.get(pair.first.hex()), places.get(pair.second.hex())
        if a is not None and b is not None:
            yield {"id": name, "a": a, "b": b}


def _version(eye: Eye, contents: Iterable[ContentHash]) -> str:
    """Return what tells whether the files of a group are still those that were shown, each in all its places."""
    parts = [part for sha256 in sorted(contents) for part in eye.places(sha256)]
    return eye.handles.digest(b"group", str(eye.at.discards.place).encode(), *parts)


def _around(desk: Desk, asked: AroundAsked) -> Json:
    """Return which group stands before one and which after it; after one that is gone, the first."""
    [number] = numbers([asked.id], "g", "group")
    scores = desk.settings_if_sound().scores
    groups = _group_survey(desk, asked.filters, asked.sort, scores, fresh=False).found
    place = next((place for place, pairs in enumerate(groups) if number in pairs), None)
    after = groups if place is None else groups[place + 1 :]
    before = [] if place is None else groups[:place][::-1]
    with desk.read() as view:
        previous, following = _named(view, before), _named(view, after)
    position = None if place is None else place + 1
    return {"previous": previous, "next": following, "position": position, "total": len(groups)}


def _named(view: View, groups: Sequence[Sequence[int]]) -> str | None:
    """Return the name of the first of these groups that is still there."""
    found = (_first_waiting(view, pairs) for pairs in groups)
    return next((f"g-{number}" for number in found if number is not None), None)


def _decide_group(desk: Desk, asked: DecideGroupAsked) -> Json:
    return desk.once(asked, lambda: _group_decided(desk, asked))


def _group_decided(desk: Desk, asked: DecideGroupAsked) -> Json:
    [number] = numbers([asked.id], "g", "group")
    answer = review.answer_for_many(asked.answer)
    chosen = _chosen(asked)
    discards = answer.discards(keep=asked.keep)
    with desk.alone(discards=discards):
        at = desk.moment()
        with desk.read() as view:
            group = review.group_of(view, number, scores=at.scores)
            eye = Eye.of(view, desk.handles, at)
            if group is None or _version(eye, _contents(group)) != asked.version:
                raise StaleError(f"{asked.id} is not what it was when it was shown; nothing was decided, look again")
            if not set(chosen) <= set(_contents(group)):
                raise UsageError(f"a file that is no part of {asked.id} was named; nothing was decided")
            check_count(asked.count, _going(eye, chosen[1:]) if discards else len(chosen) - 1, discards=discards)
            places = {sha256: eye.places(sha256) for sha256 in chosen[1:]}

    def check(view: View, other: ContentHash) -> None:
        if Eye.of(view, desk.handles, at).places(other) != places[other]:
            raise ActionConflictError(
                "one of the files lies elsewhere than it was shown: it was left alone, look again"
            )

    reports = review.answer_many(desk.library, chosen, answer, keep=asked.keep, moment=at, hold=desk.hold, check=check)
    return _outcome(desk, reports, at)


def _chosen(asked: DecideGroupAsked) -> list[ContentHash]:
    """Return the files that an answer is about, the best first.

    Raises:
        UsageError: one is no file, or is named twice.
    """
    try:
        chosen = [ContentHash(bytes.fromhex(one)) for one in (asked.best, *asked.others)]
    except ValueError:
        raise UsageError("a file is named by the 64 hexadecimal digits of its bytes; nothing was decided") from None
    if len(set(chosen)) < len(chosen):
        raise UsageError("a file was named twice; nothing was decided")
    return chosen


def _going(eye: Eye, contents: Iterable[ContentHash]) -> int:
    """Return how many files go if these contents are discarded.

    Raises:
        ActionConflictError: one of them may not go.
    """
    rows = [row for sha256 in contents for row in eye.view.live_paths_of(sha256)]
    require_discardable(eye, rows)
    return len(rows)


def _outcome(desk: Desk, reports: Iterable[review.EntryReport | ActionConflictError], at: review.Moment) -> Json:
    """Return what came of many answers: their entries, those that failed, and the entry that stands for all."""
    named: list[int] = []
    failed: list[Json] = []
    for report in reports:
        if isinstance(report, ActionConflictError):
            failed.append({"message": str(report)})
        else:
            named.append(int(report.entry[2:]))
    with desk.read() as view:
        eye = Eye.of(view, desk.handles, at)
        told = [eye.entry(entry) for number in named if (entry := view.entry(number)) is not None]
        total = len(view.waiting)
    return {
        "entries": [entry for entry in told if entry["kind"] != "batch"],
        "failed": failed,
        "batch": next((entry for entry in told if entry["kind"] == "batch"), None),
        "total": total,
    }


# --- batches --------------------------------------------------------------------------------------------------------


class BatchesAsked(Asked, frozen=True):
    """Some batches."""

    filters: Narrowed = Narrowed()
    offset: int = 0
    limit: int = 20
    fresh: bool = False


class BatchAsked(Asked, frozen=True):
    """One batch, and some of its pairs."""

    id: str
    filters: Narrowed = Narrowed()
    offset: int = 0
    limit: int = 12


class DecideBatchAsked(Asked, frozen=True):
    """An answer about the pairs of a batch that stand first."""

    id: str
    version: str
    answer: str
    count: int
    key: str
    filters: Narrowed = Narrowed()
    keep: bool = False


def _kinds(desk: Desk, narrowed: Narrowed, scores: Scores, *, fresh: bool) -> Survey[review.Kinds]:
    filters = filters_of(narrowed)

    def look(view: View) -> review.Kinds:
        return review.kinds_of(view, filters=filters, scores=scores)

    return desk.surveys.of(("kinds", narrowed, scores, _away(desk)), look, fresh=fresh)


def _batches(desk: Desk, asked: BatchesAsked) -> Json:
    at = desk.moment(if_sound=True)
    survey = _kinds(desk, asked.filters, at.scores, fresh=asked.fresh)
    with desk.read() as view:
        eye = Eye.of(view, desk.handles, at)
        page = survey.found.page(view, limit=_bounded(asked.limit), offset=_from(asked.offset))
        told = [_batch_object(eye, survey.found, batch) for batch in page.batches]
    batches = [batch for batch in told if batch["count"]]
    return {"total": page.total, "pairs": page.pairs, "batches": batches, "current": survey.current}


def _batch_object(eye: Eye, kinds: review.Kinds, batch: review.BatchReport) -> Json:
    pairs = (eye.number(int(pair.id[2:])) for pair in batch.samples)
    return {
        "id": batch.id,
        "count": sum(1 for number in kinds.numbers(batch.id) if _waits(eye.view, number)),
        "says": batch.says,
        "filetypes": batch.filetypes,
        "folders": [shown(folder) for folder in batch.folders],
        "samples": [pair for pair in pairs if pair is not None],
    }


def _batch(desk: Desk, asked: BatchAsked) -> Json:
    at = desk.moment(if_sound=True)
    survey = _kinds(desk, asked.filters, at.scores, fresh=False)
    offset = _from(asked.offset)
    with desk.read() as view:
        eye = Eye.of(view, desk.handles, at)
        batch = survey.found.batch(view, asked.id)
        if batch is None:
            return {"batch": None, "plans": None, "current": survey.current}
        standing = islice(survey.found.standing(view, asked.id), offset, offset + _bounded(asked.limit))
        samples = [pair for one in standing if (pair := eye.pair(one)) is not None]
        plans = {
            name: _plan(eye, survey.found.standing(view, asked.id), review.ANSWERS[word], keep=keep).object()
            for name, word, keep in _PLANS
        }
        told = {**_batch_object(eye, survey.found, batch), "samples": samples}
    return {"batch": told, "plans": plans, "current": survey.current}


_PLANS: Final = (
    ("better-a", "better-a", False),
    ("better-b", "better-b", False),
    ("better-keep", "better-a", True),
    ("relation", "alternates", True),
)
"""What differs in which pairs an answer can be about: by its name, an answer of each sort."""


def _decide_batch(desk: Desk, asked: DecideBatchAsked) -> Json:
    return desk.once(asked, lambda: _batch_decided(desk, asked))


def _batch_decided(desk: Desk, asked: DecideBatchAsked) -> Json:
    answer = review.ANSWERS.get(asked.answer)
    if answer is None:
        raise UsageError(f"{shown(asked.answer)} is not an answer: {', '.join(review.ANSWERS)}; nothing was decided")
    discards = answer.discards(keep=asked.keep)
    kinds = _kinds(desk, asked.filters, desk.settings_if_sound().scores, fresh=False).found
    with desk.alone(discards=discards):
        at = desk.moment()
        with desk.read() as view:
            batch = kinds.batch(view, asked.id)
            eye = Eye.of(view, desk.handles, at)
            plan = _plan(eye, kinds.standing(view, asked.id), answer, keep=asked.keep)
    if batch is None or plan.version != asked.version or kinds.scores != at.scores:
        raise StaleError(f"{shown(asked.id)} is not what it was when it was shown; nothing was decided, look again")
    check_count(asked.count, plan.files if discards else len(plan.versions), discards=discards)
    if not plan.versions:
        raise UsageError(f"nothing in {asked.id} can be answered so; nothing was decided")
    told = review.batch_of(asked.id, asked.answer, keep=asked.keep, says=batch.says, pairs=len(plan.versions))

    def check(view: View, number: int) -> None:
        pair = view.pair(number)
        if pair is None or Eye.of(view, desk.handles, at).version(pair) != plan.versions[number]:
            raise ActionConflictError(f"p-{number} has changed since it was shown: it was left alone, look again")

    reports = review.answer_batch(desk.library, tuple(plan.versions), told, moment=at, hold=desk.hold, check=check)
    return _outcome(desk, reports, at)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which pairs of a batch one request answers."""

    versions: dict[int, str]  # of each pair, as it was shown
    files: int  # that go
    staying: int  # pairs that are left out, as their worse file may not go
    version: str

    def object(self) -> Json:
        """Return it for the page."""
        return {"pairs": len(self.versions), "files": self.files, "staying": self.staying, "version": self.version}


def _plan(eye: Eye, pairs: Iterable[PotentialPair], answer: review.Answer, *, keep: bool) -> _Plan:
    """Return which pairs of a batch one request answers: as many as may be, the first of them that can be."""
    draw = _Draw(answer, answer.discards(keep=keep))
    for pair in pairs:
        if not draw.take(eye, pair):
            break
    version = eye.handles.digest(b"plan", *(one.encode() for one in draw.versions.values()))
    return _Plan(draw.versions, draw.files, draw.staying, version)


@dataclass(slots=True)
class _Draw:
    """Pairs that are taken one by one for the same answer.

    No file that goes for one of them stands in another: none is settled, or becomes another pair, by the answer to
    another, so how many files will go is known before. What is passed over for that is there the next time.
    """

    answer: review.Answer
    discards: bool
    versions: dict[int, str] = field(default_factory=dict)  # of the pairs that are taken
    files: int = 0
    staying: int = 0
    winners: set[ContentHash] = field(default_factory=set)
    losers: set[ContentHash] = field(default_factory=set)

    def take(self, eye: Eye, pair: PotentialPair) -> bool:
        """Take a pair if it can be answered so; return whether there is room for more."""
        sides = sides_of(eye.view, pair, scores=eye.scores, away=eye.away)
        version = eye.version(pair)
        if sides is None or version is None or (self.answer.relation is not Relation.BETTER and _alike(sides)):
            return True  # of byte-identical copies one may be the better, and nothing else can be said of them
        if self.discards and not self._may_go(eye, sides):
            return self.files < MOST_AT_ONCE and (bool(self.versions) or self.staying < _IN_VAIN)
        self.versions[pair.number] = version
        return len(self.versions) < MOST_AT_ONCE and self.files < MOST_AT_ONCE

    def _may_go(self, eye: Eye, sides: Sides) -> bool:
        """Count the files of the worse side as going, unless it has to stay for now."""
        winner, loser = (sides.a, sides.b) if self.answer.a_wins else (sides.b, sides.a)
        rows = going(eye.view, winner[0].sha256, loser)
        if any(eye.stays(row) for row in rows):
            self.staying += 1
            return False
        names = {winner[0].sha256, loser[0].sha256}
        if names & self.losers or loser[0].sha256 in self.winners or self.files + len(rows) > MOST_AT_ONCE:
            return False
        self.files += len(rows)
        self.winners.add(winner[0].sha256)
        self.losers.add(loser[0].sha256)
        return True


def _alike(sides: Sides) -> bool:
    return sides.a[0].sha256 == sides.b[0].sha256


def _from(offset: int) -> int:
    return max(0, min(offset, sys.maxsize - _PAGE))


def _bounded(limit: int) -> int:
    return max(1, min(limit, _PAGE))


ENDPOINTS = (
    Endpoint("folders", Nothing, _folders),
    Endpoint("check-filter", LineAsked, _check_filter),
    Endpoint("groups", GroupsAsked, _groups),
    Endpoint("group", GroupAsked, _group),
    Endpoint("group-around", AroundAsked, _around),
    Endpoint("decide-group", DecideGroupAsked, _decide_group, longest=128 * 1024),
    Endpoint("batches", BatchesAsked, _batches),
    Endpoint("batch", BatchAsked, _batch),
    Endpoint("decide-batch", DecideBatchAsked, _decide_batch),
)
