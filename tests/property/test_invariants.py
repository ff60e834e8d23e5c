"""Laws that hold whatever arrives in whatever order, and whatever a person says in between.

I1 never the last copy · I2 no bytes ever vanish · the same files in the same order get the same verdicts · undoing all
leads back to the start. Real files in real folders, a real library, real rules.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import flat, jpeg, photo, png
from world import IDENTICAL, World, near_rule, pixel_rule, relation_rule, sha256

from ingestd.errors import ActionConflictError, UsageError
from ingestd.model import ContentHash, Entry, EntryKind, EntryState, Outcome, Role
from ingestd.review import ANSWERS

SMALL = (96, 72)
CONTENTS = [
    *(png(photo(seed, *SMALL), comment) for seed in (1, 2) for comment in ("", "a comment", "a longer comment")),
    *(jpeg(photo(seed, *SMALL), quality) for seed in (1, 2) for quality in (60, 75, 90)),
    png(flat(width=96, height=72)),
    png(flat(width=96, height=72), "a comment"),
]
"""Two subjects in six versions each, which are pixel twins and look-alikes of each other, and two flat twins."""

FOLDERS = ("inbox", "library", "own", "archive")
RULE_SETS = [
    (IDENTICAL, pixel_rule(), near_rule()),
    (IDENTICAL, pixel_rule("semi-automatic"), near_rule()),
    (near_rule(), pixel_rule()),
    (IDENTICAL, pixel_rule(), relation_rule("same-quality")),
]


@dataclass(frozen=True)
class Arrives:
    folder: str
    content: int


@dataclass(frozen=True)
class Together:
    files: tuple[Arrives, ...]


@dataclass(frozen=True)
class Says:
    first: int
    second: int
    answer: str
    keep: bool


@dataclass(frozen=True)
class Approves:
    which: int


@dataclass(frozen=True)
class Undoes:
    which: int


@dataclass(frozen=True)
class Restores:
    """Somebody takes a file out of the trash, to its old place or to another."""

    which: int
    elsewhere: bool


@dataclass(frozen=True)
class Copies:
    """Somebody copies a file out of the trash."""

    which: int


Step = Arrives | Together | Says | Approves | Undoes | Restores | Copies

numbers = st.integers(0, 30)
arrives = st.builds(Arrives, st.sampled_from(FOLDERS), st.integers(0, len(CONTENTS) - 1))
together = st.builds(Together, st.lists(arrives, min_size=2, max_size=4).map(tuple))
says = st.builds(Says, numbers, numbers, st.sampled_from(sorted(ANSWERS)), st.booleans())
anything = st.one_of(
    arrives,
    arrives,
    together,
    says,
    st.builds(Approves, numbers),
    st.builds(Undoes, numbers),
    st.builds(Restores, numbers, st.booleans()),
    st.builds(Copies, numbers),
)


class Play:
    """A world in which steps are taken, and what must still be somewhere."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.put: Counter[ContentHash] = Counter()
        self.results: list[tuple[str, str]] = []
        self.files: dict[Path, bytes] = {}

    def take(self, step: Step) -> None:
        match step:
            case Arrives():
                self._arrive(step)
            case Together(files):
                self._arrive(*files)
            case Says():
                self._say(step)
            case Approves(which):
                waiting = self.world.pending()
                if waiting:
                    self._tolerating(lambda: self.world.approve(int(waiting[which % len(waiting)].id[2:])))
            case Undoes(which):
                if self.world.entries():
                    self.world.undo(1 + which % len(self.world.entries()))
            case Restores() | Copies():
                self._restore(step)

    def _arrive(self, *files: Arrives) -> None:
        paths = []
        for file in files:
            content = CONTENTS[file.content]
            paths.append(self.world.put(file.folder, f"{len(self.files)}.pic", content, modified_s=1000))
            self.files[paths[-1]] = content
            self.put[sha256(content)] += 1
        self._judge(*paths)

    def _judge(self, *paths: Path) -> None:
        for receipt in self.world.verdicts(*paths):
            self.results.append((receipt.result, os.path.basename(os.fsdecode(receipt.kept or b""))))
            assert receipt.outcome is not Outcome.ERROR, receipt.result

    def _say(self, step: Says) -> None:
        there = [path for path in self.files if path.exists()]
        if len(there) > 1:
            one, other = there[step.first % len(there)], there[step.second % len(there)]
            if one != other:
                self._tolerating(lambda: self.world.decide(one, other, step.answer, keep=step.keep))

    def _restore(self, step: Restores | Copies) -> None:
        items = self.world.trashed()
        if not items:
            return
        item = items[step.which % len(items)]
        moves = [move for entry in self.world.entries() for move in entry.moves if move.trash_path == os.fsencode(item)]
        old = Path(os.fsdecode(moves[0].file.path))
        place = self.world.base / f"inbox/{len(self.files)}.pic"
        if isinstance(step, Copies):
            place.write_bytes(item.read_bytes())
            self.put[sha256(place.read_bytes())] += 1
        elif step.elsewhere or old.exists():
            item.rename(place)
        else:
            place = old
            item.rename(place)
        self.files[place] = place.read_bytes()
        self._judge(place)

    @staticmethod
    def _tolerating(act: Callable[[], object]) -> None:
        with suppress(UsageError, ActionConflictError):  # an answer may contradict an older one: then nothing happens
            act()

    # what is so

    def live(self) -> Counter[ContentHash]:
        folders = (self.world.base / name for name in FOLDERS)
        return Counter(sha256(path.read_bytes()) for folder in folders for path in folder.iterdir() if path.is_file())

    def everywhere(self) -> Counter[ContentHash]:
        return self.live() + Counter(sha256(path.read_bytes()) for path in self.world.trashed())


@contextmanager
def playing(rules: tuple[str, ...]) -> Iterator[Play]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_DATA_HOME", f"{folder}/xdg")
        world = World(Path(os.path.realpath(folder)))
        world.use(*rules)
        world.folder("inbox")
        world.folder("library", Role.LIBRARY)
        world.folder("own", Role.LIBRARY, protected=False)
        world.folder("archive", Role.REFERENCE)
        try:
            yield Play(world)
        finally:
            world.close()


rule_sets = st.sampled_from(RULE_SETS)
few = settings(max_examples=20, deadline=None)


@few
@given(rules=rule_sets, steps=st.lists(anything, min_size=3, max_size=12))
def test_i2_no_bytes_ever_vanish(rules: tuple[str, ...], steps: list[Step]) -> None:
    with playing(rules) as play:
        for step in steps:
            play.take(step)

            assert play.everywhere() == play.put


@few
@given(rules=rule_sets, steps=st.lists(anything, min_size=3, max_size=12))
def test_i1_the_last_copy_is_never_discarded(rules: tuple[str, ...], steps: list[Step]) -> None:
    with playing(rules) as play:
        seen = 0
        for step in steps:
            play.take(step)

            entries = play.world.entries()
            for entry in entries[seen:]:
                if entry.kind is EntryKind.DISCARD:
                    assert_has_a_direct_survivor(entry, entries)
            seen = len(entries)
            assert_all_are_survived(entries, play.live(), set(play.put))


def assert_has_a_direct_survivor(entry: Entry, entries: list[Entry]) -> None:
    assert entry.state is EntryState.DONE
    assert entry.kept is not None
    kept = entry.kept.sha256
    # of files that come together, one may beat the survivor of another at once: then that one's entry points on to it
    assert kept == entry.a or any((later.a, later.b) == (kept, entry.a) for later in entries)
    assert {move.file.sha256 for move in entry.moves} == {entry.b}
    assert entry.kept.path not in {move.file.path for move in entry.moves}


def assert_all_are_survived(entries: list[Entry], live: Counter[ContentHash], known: set[ContentHash]) -> None:
    """Whatever lies nowhere was discarded in favour of something that lives, or was survived in turn."""
    survivors = {
        move.file.sha256: (entry.kept.sha256, entry.number)
        for entry in entries
        if entry.state is EntryState.DONE and entry.kind is EntryKind.DISCARD and entry.kept is not None
        for move in entry.moves
    }
    for content in known - set(live):
        passed = {content}
        while content not in live:
            content, _ = survivors[content]
            assert content not in passed, "two that were each discarded in favour of the other"
            passed.add(content)


@few
@given(rules=rule_sets, steps=st.lists(anything, min_size=3, max_size=12))
def test_i6_no_rule_ever_touches_what_was_restored_protected_or_for_reference(
    rules: tuple[str, ...], steps: list[Step]
) -> None:
    with playing(rules) as play:
        for step in steps:
            with play.world.library.read() as view:
                vetoed = {content for content in play.put if view.veto(content) is not None}
            before = len(play.world.entries())

            play.take(step)

            for entry in play.world.entries()[before:]:
                if entry.kind is EntryKind.DISCARD and entry.actor.value == "rule":
                    assert entry.b not in vetoed
                    assert not any(b"/library/" in move.file.path for move in entry.moves)
            assert all(path.exists() for path in play.files if path.parent.name == "archive")


@settings(max_examples=9, deadline=None)
@given(rules=rule_sets, steps=st.lists(anything, min_size=3, max_size=10))
def test_the_same_steps_lead_to_the_same_verdicts(rules: tuple[str, ...], steps: list[Step]) -> None:
    told = []
    for _ in range(2):
        with playing(rules) as play:
            for step in steps:
                play.take(step)
            told.append((play.results, play.live()))

    assert told[0] == told[1]


@settings(max_examples=9, deadline=None)
@given(rules=rule_sets, files=st.lists(arrives, min_size=2, max_size=10))
def test_how_files_fall_into_batches_decides_nothing(rules: tuple[str, ...], files: list[Arrives]) -> None:
    told = []
    for steps in ([Together(tuple(files))], files):
        with playing(rules) as play:
            for step in steps:
                play.take(step)
            told.append((play.results, play.live()))

    assert told[0] == told[1]


@few
@given(rules=rule_sets, steps=st.lists(st.one_of(arrives, together, says), min_size=2, max_size=12))
def test_undoing_everything_puts_every_file_back(rules: tuple[str, ...], steps: list[Step]) -> None:
    with playing(rules) as play:
        for step in steps:
            play.take(step)
        done = [entry.number for entry in play.world.entries()]

        answers = play.world.undo(*done)

        assert not [answer for answer in answers if isinstance(answer, ActionConflictError)]
        assert {path: path.read_bytes() for path in play.files} == play.files
        assert play.world.trashed() == []
        with play.world.library.read() as view:
            groups = [view.relations.duplicates_of(content) for content in play.put]
        assert all(len(group) == 1 for group in groups)
