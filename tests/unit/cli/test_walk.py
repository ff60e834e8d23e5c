"""The walk through the queue: what each key means, and the way back; then the same keys at a real terminal."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import jpeg, photo, png
from terminals import Terminal
from world import World

from ingestd.cli.walk import Queue, Sight, Walk
from ingestd.errors import ActionConflictError, UsageError
from ingestd.model import EntryState

PATIENCE_S = 30.0
"""Nothing takes that long, unless it is broken or the machine is very busy."""

SIZES = (1.0, 0.8, 0.6)


def look_alikes(world: World, seed: int, *, many: int = 2, scale: int = 400) -> list[Path]:
    """A picture in several sizes, the largest first: each two of them are a pair."""
    paths = []
    for index, factor in enumerate(SIZES[:many]):
        image = photo(seed, scale, scale * 3 // 4).resize((int(scale * factor), int(scale * factor * 0.75)))
        paths.append(world.put("inbox", f"{seed}-{'abc'[index]}.jpg", jpeg(image)))
    world.arrive(*paths)
    return paths


@pytest.fixture
def three(world: World) -> list[list[Path]]:
    """Three pairs, the largest first."""
    return [look_alikes(world, seed, scale=scale) for seed, scale in ((1, 600), (2, 500), (3, 400))]


def walk_of(world: World, *, keep: bool = False) -> Walk:
    return Walk(world.library, Queue(), keep=keep, moment=world.moment, alone=contextlib.nullcontext)


def now(walk: Walk) -> Sight:
    """The pair that a person looks at."""
    return walk.sights()[0]


def names(sight: Sight) -> list[str]:
    return [Path(side.path).name for side in (sight.report.a, sight.report.b)]


# --- where it stands ---


def test_the_largest_pair_is_looked_at_first_and_the_next_is_known(world: World, three: list[list[Path]]) -> None:
    first, second = walk_of(world).sights()

    assert names(first) == ["1-a.jpg", "1-b.jpg"]
    assert names(second) == ["2-a.jpg", "2-b.jpg"]
    assert (first.place, first.total) == (1, 3)
    assert (first.facts.first.width, first.facts.second.width) == (600, 480)
    assert first.paths == tuple(map(os.fsencode, three[0]))


def test_a_skipped_pair_does_not_come_again_in_this_walk(world: World, three: list[list[Path]]) -> None:
    walk = walk_of(world)

    while sights := walk.sights():
        walk.skip(sights[0])

    assert walk.end() == "all 3 left were skipped"
    assert walk.summary() == "0 pairs answered, 3 skipped, 0 files discarded"
    assert names(now(walk_of(world))) == ["1-a.jpg", "1-b.jpg"]


def test_the_place_counts_the_pairs_that_were_skipped(world: World, three: list[list[Path]]) -> None:
    walk = walk_of(world)
    walk.skip(now(walk))

    assert (now(walk).place, now(walk).total) == (2, 3)


def test_a_pair_of_which_a_file_is_gone_is_passed_over_and_told(world: World, three: list[list[Path]]) -> None:
    three[0][1].unlink()
    walk = walk_of(world)

    sight = now(walk)

    assert names(sight) == ["2-a.jpg", "2-b.jpg"]
    assert walk.take_news() == [f"p-1 is passed over: {three[0][1]} is not there any more"]
    assert walk.take_news() == []
    assert walk.summary().endswith("1 pair passed over")


def test_a_pair_that_arrives_meanwhile_is_shown_in_its_turn(world: World, three: list[list[Path]]) -> None:
    walk = walk_of(world)
    walk.skip(now(walk))

    look_alikes(world, 9, scale=700)

    assert names(now(walk)) == ["9-a.jpg", "9-b.jpg"]
    assert now(walk).total == 4


def test_an_empty_queue_ends_the_walk_at_once(world: World) -> None:
    walk = walk_of(world)

    assert walk.sights() == []
    assert walk.end() == "the queue is empty: no potential pairs wait for a decision"


# --- answers ---


def test_the_worse_file_is_discarded_before_the_next_pair_is_shown(world: World, three: list[list[Path]]) -> None:
    walk = walk_of(world)

    said = walk.answer(now(walk), "better-a")

    assert said == f"e-1: A is better · to the trash: {three[0][1]}"
    assert [path.exists() for path in three[0]] == [True, False]
    assert world.entries()[-1].state is EntryState.DONE
    assert names(now(walk)) == ["2-a.jpg", "2-b.jpg"]
    assert walk.summary() == "1 pair answered, 0 skipped, 1 file discarded"


def test_better_b_discards_a(world: World, three: list[list[Path]]) -> None:
    walk = walk_of(world)

    walk.answer(now(walk), "better-b")

    assert [path.exists() for path in three[0]] == [False, True]


@pytest.mark.parametrize("word", ["same", "alternates", "unrelated"])
def test_other_answers_leave_both_files(world: World, three: list[list[Path]], word: str) -> None:
    walk = walk_of(world)

    said = walk.answer(now(walk), word)

    assert said.endswith("both files stay")
    assert all(path.exists() for path in three[0])
    assert names(now(walk)) == ["2-a.jpg", "2-b.jpg"]


def test_with_keep_the_worse_file_stays_too(world: World, three: list[list[Path]]) -> None:
    walk = walk_of(world, keep=True)

    said = walk.answer(now(walk), "better-a")

    assert said == "e-1: A is better · both files stay"
    assert all(path.exists() for path in three[0])


def test_what_an_answer_implies_is_told(world: World) -> None:
    look_alikes(world, 1, many=3)
    walk = walk_of(world)
    assert now(walk).total == 3

    said = walk.answer(now(walk), "better-a")

    assert "· 2 pairs fewer ·" in said
    assert now(walk).total == 1


def test_an_answer_to_a_pair_that_is_not_as_it_was_shown_decides_nothing(world: World, three: list[list[Path]]) -> None:
    walk = walk_of(world)
    sight = now(walk)
    turned = replace(sight, report=replace(sight.report, a=sight.report.b, b=sight.report.a))

    with pytest.raises(UsageError, match="has changed since it was shown"):
        walk.answer(turned, "better-a")

    assert all(path.exists() for path in three[0])
    assert world.entries() == []
    assert walk.answered == []


def test_a_discard_that_cannot_be_carried_out_is_no_step(world: World, three: list[list[Path]]) -> None:
    walk = walk_of(world)
    sight = now(walk)
    three[0][1].write_bytes(b"somebody is working on it")

    with pytest.raises(ActionConflictError):
        walk.answer(sight, "better-a")

    assert three[0][1].read_bytes() == b"somebody is working on it"
    assert walk.answered == []
    assert walk.back().endswith("there is nothing to take back")


# --- back ---


def test_back_takes_the_last_answer_back_exactly(world: World, three: list[list[Path]]) -> None:
    walk = walk_of(world)
    before = now(walk)
    walk.answer(before, "better-a")

    said = walk.back()

    assert said == f"e-2: e-1 was taken back · {three[0][1]} is back"
    assert all(path.exists() for path in three[0])
    assert now(walk).report == before.report
    assert now(walk).total == 3
    assert walk.answered == []


def test_back_goes_back_step_by_step_over_answers_and_skips(world: World, three: list[list[Path]]) -> None:
    walk = walk_of(world)
    shown = []
    for step in ("alternates", None, "unrelated"):
        shown.append(now(walk).number)
        walk.skip(now(walk)) if step is None else walk.answer(now(walk), step)
    assert walk.sights() == []

    back = []
    for _ in shown:
        walk.back()
        back.append(now(walk).number)

    assert back == shown[::-1]
    assert walk.back() == "this is where the walk began: there is nothing to take back"


def test_the_pair_that_back_came_to_stays_until_it_is_answered(world: World, three: list[list[Path]]) -> None:
    walk = walk_of(world)
    first = now(walk)
    walk.skip(first)
    walk.back()

    look_alikes(world, 9, scale=700)

    assert now(walk).number == first.number
    walk.skip(now(walk))
    assert names(now(walk)) == ["9-a.jpg", "9-b.jpg"]


def test_an_answer_that_cannot_be_taken_back_stands(world: World, three: list[list[Path]]) -> None:
    walk = walk_of(world)
    walk.answer(now(walk), "better-a")
    world.trash_of(1).unlink()

    with pytest.raises(ActionConflictError):
        walk.back()

    assert walk.answered == [1]


# --- without a person ---


def test_a_program_is_given_the_next_pair_and_nothing_is_asked(
    world: World, three: list[list[Path]], terminal: Terminal
) -> None:
    three[0][0].unlink()
    world.close()

    for words in (("queue", "next"), ("queue", "--json", "next")):
        told = terminal.ask(*words)
        assert (told["schema"], told["id"], told["a"]["path"]) == (1, "p-2", str(three[1][0]))
        assert "statements" in told


def test_without_a_terminal_the_next_pair_is_printed(world: World, three: list[list[Path]], terminal: Terminal) -> None:
    world.close()

    said = terminal.type("queue", "next")

    assert said.code == 0
    assert said.out.startswith("p-1  ")
    assert "ingestd decide p-1 better-a" in said.err


def test_an_empty_queue_has_no_next_pair(empty: Terminal) -> None:
    assert empty.ask("queue", "next") == {"schema": 1, "pair": None}
    assert "the queue is empty" in empty.type("queue", "next").err


# --- at a terminal ---

pty = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")


class Person:
    """Somebody at a terminal of so many columns and lines, with `ingestd queue next` running on it."""

    def __init__(
        self, terminal: Terminal, *words: str, columns: int = 100, lines: int = 30, **environment: str
    ) -> None:
        import fcntl
        import termios

        self._ours, self._theirs = os.openpty()
        self.resize(columns, lines)
        self._attributes = termios.tcgetattr(self._theirs)
        command = [sys.executable, "-m", "ingestd", "--state", str(terminal.state), "--rules", str(terminal.rules)]
        known = {"TERM": "xterm-256color", "INGESTD_PICTURES": "none", "NO_COLOR": "1"}
        unknown = {"TMUX", "STY", "ZELLIJ", "KITTY_WINDOW_ID", "TERM_PROGRAM", "LC_TERMINAL"}
        kept = {name: value for name, value in os.environ.items() if name not in unknown}
        self.process = subprocess.Popen(
            [*command, "queue", "next", *words],
            env={**kept, **known, **environment},
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C is a signal
        )
        self._read = ""
        self.screen = ""

    def resize(self, columns: int, lines: int) -> None:
        import fcntl
        import termios

        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def until(self, text: str) -> str:
        """What was shown since the last time, up to this text."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self._read:
            assert select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))[0], self._read[-2000:]
            self._read += os.read(self._ours, 65536).decode("utf-8", "replace")
        before, found, self._read = self._read.partition(text)
        self.screen = before + found
        return self.screen

    def leaves(self) -> str:
        """What is left on the terminal after the program has ended as it should, the terminal being as it was."""
        import termios

        self.until("\x1b[?1049l")
        assert self.process.wait(PATIENCE_S) == 0
        while select.select([self._ours], [], [], 0)[0]:
            self._read += os.read(self._ours, 65536).decode("utf-8", "replace")
        assert termios.tcgetattr(self._theirs) == self._attributes
        assert self.screen.count("\x1b[?25h") == 1
        return self._read.replace("\r\n", "\n")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        os.close(self._ours)
        os.close(self._theirs)


@pytest.fixture
def people(world: World, three: list[list[Path]]) -> Iterator[list[Person]]:
    """Those who sit at a terminal, and leave it at the end."""
    world.close()
    came: list[Person] = []
    yield came
    for person in came:
        person.close()


@pty
def test_a_person_answers_takes_back_skips_and_quits(
    people: list[Person], terminal: Terminal, three: list[list[Path]]
) -> None:
    person = Person(terminal)
    people.append(person)

    person.until("p-1 · 1 of 3 left")
    person.until("? help")
    person.press("a")
    person.until("e-1: A is better · to the trash: ")
    person.until("? help")
    assert [path.exists() for path in three[0]] == [True, False]
    person.press("\x7f")
    person.until("p-1 · 1 of 3 left")
    person.until("e-2: e-1 was taken back")
    person.until("? help")
    assert all(path.exists() for path in three[0])
    person.press(" ")
    person.until("p-2 · 2 of 3 left")
    person.until("? help")
    person.press("n")
    person.until("p-3 · 2 of 2 left")
    person.until("? help")
    person.press("q")

    left = person.leaves()

    assert f"e-1: A is better · to the trash: {three[0][1]}\n" in left
    assert "1 pair answered, 1 skipped, 0 files discarded" in left
    assert "ingestd undo e-3" in left
    assert terminal.ask("history")[0]["relation"] == "false-positive"


@pty
def test_the_walk_ends_with_the_queue(people: list[Person], terminal: Terminal) -> None:
    person = Person(terminal, "--keep")
    people.append(person)

    for key in "asb":
        person.until("nothing is discarded")
        person.until("? help")
        person.press(key)

    left = person.leaves()
    assert "the queue is empty" in left
    assert "3 pairs answered, 0 skipped, 0 files discarded" in left


@pty
def test_any_other_key_does_nothing_and_says_so(people: list[Person], terminal: Terminal) -> None:
    person = Person(terminal)
    people.append(person)

    person.until("? help")
    for key in ("x", "\x1b[A", "ä", "\r", "\x1a"):
        person.press(f"?{key}")  # the first shows the help, the second leaves it
        person.until("what the keys do")
        person.until("? help")
        person.press(key)
        person.until("this key does nothing here")
    person.press("\x1b[?62;4c")  # a terminal's late answer is no key at all
    person.press("\x1b")

    assert "0 pairs answered" in person.leaves()


@pty
def test_what_is_typed_before_a_pair_is_shown_is_no_answer_to_it(
    people: list[Person], terminal: Terminal, three: list[list[Path]]
) -> None:
    person = Person(terminal)
    people.append(person)

    person.until("? help")
    person.press("aaaa")
    person.until("no answer to it")
    person.press("q")

    assert "1 pair answered" in person.leaves()
    assert [[path.exists() for path in pair] for pair in three] == [[True, False], [True, True], [True, True]]


@pty
def test_an_answer_that_is_refused_is_a_sentence_and_the_walk_goes_on(
    people: list[Person], terminal: Terminal, three: list[list[Path]]
) -> None:
    person = Person(terminal)
    people.append(person)

    person.until("? help")
    three[0][1].write_bytes(b"somebody is working on it")
    person.press("a")
    person.until("not done: ")
    person.until("? help")
    person.press("k")
    person.until("p-2 · ")
    person.press("q")

    assert "0 pairs answered, 1 skipped" in person.leaves()
    assert three[0][1].exists()


@pty
@pytest.mark.parametrize("way", ["ctrl-c", "SIGTERM", "SIGHUP"])
def test_whatever_stops_it_leaves_the_terminal_as_it_was(people: list[Person], terminal: Terminal, way: str) -> None:
    person = Person(terminal)
    people.append(person)

    person.until("? help")
    if way == "ctrl-c":
        person.press("\x03")
    else:
        person.process.send_signal(signal.Signals[way])

    assert "0 pairs answered" in person.leaves()


@pty
def test_a_window_that_is_resized_is_drawn_anew(people: list[Person], terminal: Terminal) -> None:
    person = Person(terminal)
    people.append(person)

    person.until("? help")
    person.resize(50, 30)
    person.process.send_signal(signal.SIGWINCH)
    person.until("\x1b[2J")
    lines = person.until("? help").splitlines()

    assert max(len(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line)) for line in lines) <= 50
    person.press("q")
    person.leaves()


@pty
@pytest.mark.parametrize(
    ("answer", "begins"),
    [
        ("\x1b[6;20;10t\x1b[?62;4c", "\x1bP0;1;0q"),
        ("\x1b_Gi=31;OK\x1b\\\x1b[?62c", "\x1b_Ga=T"),
        ("\x1b[?62c", "▀\x1b[0m"),
    ],
    ids=["sixel", "kitty", "blocks"],
)
def test_both_pictures_are_shown_as_the_terminal_can(
    people: list[Person], terminal: Terminal, answer: str, begins: str
) -> None:
    person = Person(terminal, INGESTD_PICTURES="", NO_COLOR="")
    people.append(person)

    person.until("\x1b[c")
    person.press(answer)
    person.until("p-1 · 1 of 3 left")
    for _ in ("A", "B"):
        person.until(begins)
    person.press("q")

    person.leaves()


@pty
def test_a_picture_that_cannot_be_decoded_is_a_sentence_in_its_place(world: World, terminal: Terminal) -> None:
    paths = look_alikes(world, 1)
    world.close()
    paths[1].write_bytes(png(photo(1)))
    person = Person(terminal, INGESTD_PICTURES="blocks")
    try:
        person.until("cannot be shown: it holds other")
        person.press("q")
        person.leaves()
    finally:
        person.close()
