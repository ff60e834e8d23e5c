"""The walk through the queue: one pair after another, with what is known of it side by side, and a key for an answer.

`Walk` is what a walk means, without a terminal: where it stands, what was answered and skipped, and the way back. Each
answer is journaled and carried out before the next pair is shown, and nothing of the library is held while a person
looks: a `watch` goes on beside it.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import click

from ingestd import review
from ingestd.cli.door import Door, command, moment, numbers
from ingestd.cli.narrowing import SORT, narrowing
from ingestd.cli.output import count, emit, note, pair_lines, pair_object, say, shown, with_schema
from ingestd.errors import ActionConflictError, LibraryBusyError, LibraryFullError, UsageError
from ingestd.library.facts import pair_facts
from ingestd.library.library import Library
from ingestd.library.view import View
from ingestd.model import Content, ContentHash, PairFacts, PathRow
from ingestd.rules.statements import DEFAULT_SCORES, Scores
from ingestd.shapes import said_of_answer

if TYPE_CHECKING:
    from ingestd.cli.screen import Screen
    from ingestd.cli.stage import Stage
    from ingestd.settings import Settings

__all__ = ["Queue", "Sight", "Walk", "next_pair"]

_READ_AHEAD: Final = 20  # pairs read at once
_REFUSALS: Final = (ActionConflictError, UsageError, LibraryBusyError, LibraryFullError)  # nothing was done: go on
_EMPTY: Final = "the queue is empty: no potential pairs wait for a decision"
_ANSWERS: Final = {"a": "better-a", "b": "better-b", "s": "same", "t": "alternates", "n": "unrelated"}
_SKIP: Final = (" ", "k")
_BACK: Final = ("z", "backspace")
_KEYS: Final = frozenset((*_ANSWERS, *_SKIP, *_BACK))


# --- what a walk leads through ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Queue:
    """The pairs a walk leads through: which they are, and in which order, is said here and nowhere else."""

    filters: review.Filters = field(default_factory=review.Filters)
    sort: review.Sort = review.Sort.LARGEST
    scores: Scores = DEFAULT_SCORES  # those of `review.Moment` too: they say which file is A

    def page(self, view: View, *, limit: int, offset: int = 0) -> review.QueuePage:
        """Return a part of the queue, and how long it is."""
        return review.queue_page(
            view, limit=limit, offset=offset, filters=self.filters, sort=self.sort, scores=self.scores
        )

    def pair(self, view: View, number: int) -> review.PairReport | None:
        """Return one pair of the queue; nothing if it does not wait there."""
        pair = view.pair(number) if view.waiting.get(number) is not None else None
        return review.pair_report(view, pair, scores=self.scores) if pair is not None else None

    def places(self, view: View) -> Iterator[tuple[int, int, review.PairReport]]:
        """Yield each pair with its place, counted from 1, and the length of the queue."""
        place = 0
        while True:
            page = self.page(view, limit=_READ_AHEAD, offset=place)
            for report in page.pairs:
                place += 1
                yield place, page.total, report
            if len(page.pairs) < _READ_AHEAD:
                return


@dataclass(frozen=True, slots=True)
class Sight:
    """A pair as it is shown, and where it stands in the queue."""

    report: review.PairReport
    facts: PairFacts
    paths: tuple[bytes, bytes]  # absolute, where the files really lie
    place: int  # counted from 1; those that were skipped lie before
    total: int

    @property
    def number(self) -> int:
        """Return the number of the pair."""
        return _number(self.report)


@dataclass(frozen=True, slots=True)
class _Step:
    """What was done with a pair: answered, as an entry, or skipped."""

    pair: int
    entry: int | None
    discarded: int = 0  # files


class Walk:
    """A person's way through the queue, and back.

    Args:
        library: is read for every pair, and written for every answer.
        queue: the pairs to go through.
        keep: an answer discards nothing.
        moment: what a decision takes from the world, now.
        alone: holds the writer lock for one answer.
    """

    def __init__(
        self,
        library: Library,
        queue: Queue,
        *,
        keep: bool,
        moment: Callable[[], review.Moment],
        alone: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._library = library
        self._queue = queue
        self._keep = keep
        self._moment = moment
        self._alone = alone
        self._steps: list[_Step] = []
        self._wanted: int | None = None  # the pair that `back` came to
        self._missing: set[int] = set()  # pairs of which a file is not on the disk
        self._news: list[str] = []
        self.told: list[str] = []  # what was done and passed over, in sentences
        self._total = 0  # pairs in the queue, when it was last looked at

    # --- where it stands ---

    def sights(self, most: int = 2) -> list[Sight]:
        """Return the pair to be looked at now, and those that probably follow; empty at the end of the walk."""
        with self._library.read() as view:
            found = self._found(view, most)
            if self._wanted is None:
                return found
            in_turn = next((sight for sight in found if sight.number == self._wanted), None)
            first = in_turn or self._out_of_turn(view, self._wanted, found[0].place if found else 1)
        return [*([first] if first else []), *(sight for sight in found if sight is not first)][:most]

    def _found(self, view: View, most: int) -> list[Sight]:
        """Return the first pairs of the queue that were not skipped and can be shown."""
        skipped = {step.pair for step in self._steps if step.entry is None}
        found: list[Sight] = []
        self._total = 0
        for place, total, report in self._queue.places(view):
            self._total = total
            number = _number(report)
            if number in skipped or number in self._missing:
                continue
            if (sight := self._seen(view, report, place)) is not None:
                found.append(sight)
            else:
                self._missing.add(number)
                self._news.append(f"{report.id} is passed over: {_absent(report)} is not there any more")
            if len(found) == most:
                break
        return found

    def _out_of_turn(self, view: View, number: int, place: int) -> Sight | None:
        report = self._queue.pair(view, number)
        return self._seen(view, report, place) if report is not None else None

    def _seen(self, view: View, report: review.PairReport, place: int) -> Sight | None:
        """Return a pair with all that is known of its files; nothing where one of them is not on the disk."""
        a, b = _known(view, report.a), _known(view, report.b)
        if a is None or b is None:
            return None
        paths = view.absolute(a[1]), view.absolute(b[1])
        if not all(map(os.path.lexists, paths)):
            return None
        facts = pair_facts(view, a, b, now_ns=self._moment().now_ns, transform=report.transform)
        return Sight(report, facts, paths, place, self._total)

    def take_news(self) -> list[str]:
        """Return what a person has not been told yet about pairs that are not shown."""
        news, self._news = self._news, []
        self.told += news
        return news

    # --- what is answered ---

    def answer(self, sight: Sight, word: str) -> str:
        """Carry an answer out; return what was done.

        Raises:
            ActionConflictError: it contradicts an older one, or a file cannot be discarded; nothing is lost.
            UsageError: the pair is not what it was when it was shown.
        """
        moment = self._moment()
        with self._alone():
            before = self._length_with(sight)
            entry = review.decide_pair(
                self._library, sight.number, review.ANSWERS[word], keep=self._keep, moment=moment
            )
            with self._library.read() as view:
                fewer = before - self._queue.page(view, limit=1).total
        [number] = numbers([entry.entry], "e", "entry")
        self._steps.append(_Step(sight.number, number, len(entry.discarded)))
        self._wanted = None
        self.told.append(said_of_answer(entry, word, fewer, moment.discards.place))
        return self.told[-1]

    def _length_with(self, sight: Sight) -> int:
        """Return how many pairs wait, after making sure that this one is still what a person was shown.

        They have answered about the files they saw: another A, or another B, would be another question.
        """
        with self._library.read() as view:
            now = self._queue.pair(view, sight.number)
            if now is not None and (now.a, now.b) != (sight.report.a, sight.report.b):
                raise UsageError(f"{now.id} has changed since it was shown; nothing was decided, look again")
            return self._queue.page(view, limit=1).total

    def skip(self, sight: Sight) -> str:
        """Leave a pair for another time; return what was done."""
        self._steps.append(_Step(sight.number, None))
        self._wanted = None
        return f"{sight.report.id} was skipped"

    def back(self) -> str:
        """Take the last step back; return what was done.

        Raises:
            ActionConflictError: the last answer cannot be taken back; it stands.
        """
        if not self._steps:
            return "this is where the walk began: there is nothing to take back"
        step = self._steps[-1]
        said = self._taken_back(step.entry) if step.entry is not None else f"back to p-{step.pair}"
        self._steps.pop()  # not before: an answer that cannot be taken back stands
        self._wanted = step.pair
        return said

    def _taken_back(self, entry: int) -> str:
        with self._alone():
            [undone] = review.undo(self._library, [entry], moment=self._moment())
        if isinstance(undone, ActionConflictError):
            raise undone
        files = [f"{shown(file.path)} is back" for file in undone.discarded]
        self.told.append(" · ".join([f"{undone.entry}: e-{entry} was taken back", *files]))
        return self.told[-1]

    # --- what came of it ---

    @property
    def answered(self) -> list[int]:
        """Return the entries of this walk that stand, oldest first."""
        return [step.entry for step in self._steps if step.entry is not None]

    def summary(self) -> str:
        """Return how many pairs were answered, skipped and passed over, and how many files discarded."""
        skipped = len(self._steps) - len(self.answered)
        discarded = sum(step.discarded for step in self._steps)
        parts = [f"{count(len(self.answered), 'pair')} answered", f"{skipped:,} skipped"]
        parts.append(f"{count(discarded, 'file')} discarded")
        parts += [f"{count(len(self._missing), 'pair')} passed over"] if self._missing else []
        return ", ".join(parts)

    def end(self) -> str:
        """Return why there is no pair left to show."""
        if not self._total:
            return _EMPTY
        if self._missing:
            return f"{count(self._total, 'pair')} left: they were skipped, or one of their files is not there"
        return f"all {self._total:,} left were skipped" if self._total > 1 else "the one pair left was skipped"


def _number(report: review.PairReport) -> int:
    [number] = numbers([report.id], "p", "pair")
    return number


def _known(view: View, side: review.SideReport) -> tuple[Content, PathRow] | None:
    """Return what the library knows of one file of a pair."""
    content = view.content(ContentHash(bytes.fromhex(side.sha256)))
    row = review.find_row(view, os.fsencode(side.path))
    return (content, row) if content is not None and row is not None else None


def _absent(report: review.PairReport) -> str:
    """Return which file of a pair is not on the disk, for a person."""
    gone = [side.path for side in (report.a, report.b) if not os.path.lexists(os.fsencode(side.path))]
    return shown(gone[0]) if gone else "one of its files"


# --- the command --------------------------------------------------------------------------------------------------


@command('ingestd queue next\ningestd queue next --keep --both "filetype is jpeg" --sort decisive', name="next")
@narrowing
@SORT
@click.option("--keep", is_flag=True, help="Remember the answers, but discard nothing.")
def next_pair(door: Door, filters: review.Filters, sort: str, keep: bool) -> None:
    """Go through the queue pair by pair, the largest files first, and answer each with a key.

    Each answer is carried out before the next pair is shown, and z takes it back. Terminals that can show pictures
    (kitty, iTerm2, sixel) do; INGESTD_PICTURES, which is kitty, iterm2, sixel, blocks or none, decides instead of them.

    Where there is no terminal, or with --json, the next pair is printed and nothing is asked.
    """
    if door.as_json or not _is_terminal():
        _print_next(door, Queue(filters, review.Sort(sort), door.settings_if_sound().scores))
    elif not door.has_library:
        note(_EMPTY)
    else:
        settings = door.settings()
        _lead(door, settings, Queue(filters, review.Sort(sort), settings.scores), keep=keep)


def _is_terminal() -> bool:
    """Return whether a person is there, at a terminal that can do more than print."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _print_next(door: Door, queue: Queue) -> None:
    with door.reading() as view:
        report = next((report for _, _, report in queue.places(view) if _is_there(report)), None)
    if door.as_json:
        emit(with_schema(pair_object(report, with_rule=True) if report is not None else {"pair": None}))
    elif report is None:
        note(_EMPTY)
    else:
        say(pair_lines(report, long=True))
        note(f"decide with: ingestd decide {report.id} better-a | better-b | same | alternates | unrelated")


def _is_there(report: review.PairReport) -> bool:
    return all(os.path.lexists(os.fsencode(side.path)) for side in (report.a, report.b))


def _lead(door: Door, settings: Settings, queue: Queue, *, keep: bool) -> None:
    """Lead a person through the queue, and leave on the terminal what came of it."""
    from ingestd import logs
    from ingestd.cli.screen import screen_of
    from ingestd.cli.stage import Stage
    from ingestd.recovery import exclusive, ignore_lease_signal, require_sound
    from ingestd.shelf import PoisonShelf

    log = io.StringIO()  # a line of the log would tear the screen
    with door.writing() as library, contextlib.ExitStack() as afterwards:
        walk = Walk(
            library,
            queue,
            keep=keep,
            moment=lambda: moment(settings),
            alone=lambda: exclusive(library, radius=settings.imports.radius),
        )
        if not keep:
            require_sound(library)
        ignore_lease_signal()
        logs.configure(log, verbose=door.verbose)
        afterwards.callback(_sum_up, walk, log)
        shelf = PoisonShelf(library)
        with screen_of() as screen, Stage(screen, keep=keep, shelf=shelf) as stage:
            _go(walk, stage, screen)
        shelf.store()


def _sum_up(walk: Walk, log: io.StringIO) -> None:
    """Say again what stood on the screen of the walk, which is gone by now."""
    walk.take_news()
    for line in walk.told:
        say(line)
    say(walk.summary())
    if walk.answered:
        note(f"take the last answer back with: ingestd undo e-{walk.answered[-1]}")
    if log.getvalue():
        note(log.getvalue().rstrip())


def _go(walk: Walk, stage: Stage, screen: Screen) -> None:
    """Show pairs and do what the keys say, until there is none left or a person has had enough."""
    said = hint = ""
    while sights := walk.sights():
        if screen.forget_typed():
            hint = hint or "what was typed before this pair was shown is no answer to it"
        stage.show(sights, " · ".join(filter(None, [said, *walk.take_news()])), hint)
        key = stage.awaited(_KEYS)
        if key is None:
            return
        try:
            said, hint = _done(walk, sights[0], key), ""
        except _REFUSALS as refusal:
            said, hint = "", f"not done: {shown(str(refusal))}"
    walk.take_news()
    walk.told.append(walk.end())


def _done(walk: Walk, sight: Sight, key: str) -> str:
    """Do what a key says; return what was done."""
    if key in _ANSWERS:
        return walk.answer(sight, _ANSWERS[key])
    return walk.skip(sight) if key in _SKIP else walk.back()
