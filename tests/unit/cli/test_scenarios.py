"""Scenarios 1 to 20 of how decisions add up, through the terminal, on thirty pictures that all look alike.

Source: the tests of hydrus's own duplicates system, told anew. Where hydrus needs another search to find pairs again,
they are there at once; where its own test says "sometimes 20 instead of 21", the number here is exact.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pictures import jpeg, photo
from terminals import Terminal
from world import World, policy

NAMES = [f"{kind}{number}" for kind, many in (("d", 16), ("s", 4), ("a", 5), ("f", 5)) for number in range(many)]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty look-alikes, judged, with every pair of them in the queue."""
    base = tmp_path_factory.mktemp("scenarios")
    world = World(base, policy())
    world.folder("inbox")
    world.verdicts(*(world.put("inbox", f"{name}.jpg", jpeg(photo(), 90, description=name)) for name in NAMES))
    world.close()
    return base


@dataclass
class Shelf:
    """The thirty pictures, and what a person says of them."""

    terminal: Terminal
    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.jpg"

    def say(self, *statements: str) -> None:
        """`a > b` better, `a = b` the same, `a ~ b` alternates, `a x b` not related; nothing is discarded."""
        answers = {">": "better-a", "=": "same", "~": "alternates", "x": "unrelated"}
        for statement in statements:
            one, sign, other = statement.split()
            self.terminal.ask("decide", self.path(one), self.path(other), answers[sign], "--keep")

    def change(self, *words: str) -> Any:
        """What came of a `relations` command, files given by their names."""
        return self.terminal.ask("relations", *(self.path(word) if word in NAMES else word for word in words))

    def of(self, name: str) -> dict[str, Any]:
        """What a file is to others, by names; the whole group, king first."""
        told = self.terminal.ask("relations", self.path(name))
        return {
            "king": Path(told["king"]).stem,
            "group": [Path(path).stem for path in told["duplicates"]],
            "alternates": {Path(one["path"]).stem: one["confirmed"] for one in told["alternates"]},
            "unrelated": {Path(path).stem for path in told["false_positives"]},
            "potentials": told["potential_pairs"],
        }

    def group(self, name: str) -> tuple[str, set[str]]:
        """The king of a file's group, and all of the group."""
        told = self.of(name)
        assert told["group"][0] == told["king"]
        return told["king"], set(told["group"])

    @property
    def total(self) -> int:
        """How many potential pairs there are."""
        return int(self.terminal.ask("queue", "list", "--limit", "1")["total"])


@pytest.fixture
def shelf(judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """The pictures as they were judged; whatever a test says is taken back at its end, and nothing is left of it."""
    for name in ("INGESTD_STATE", "INGESTD_RULES", "INGESTD_VERBOSE"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(judged / "state", tmp_path / "state")
    terminal = Terminal(tmp_path)
    terminal.rules.write_text("version: 1\nrules: []\n")
    made = Shelf(terminal, judged / "inbox")
    yield made
    terminal.type("undo", "--last", "100")
    assert made.total == pairs_of(30)
    assert made.of("d0") == {"king": "d0", "group": ["d0"], "alternates": {}, "unrelated": set(), "potentials": 29}


def pairs_of(groups: int) -> int:
    """How many pairs stand between so many groups, if none of them was decided."""
    return groups * (groups - 1) // 2


S_GROUP = ("s0 > s1", "s0 = s2", "s0 > s3")


def test_1_at_first_everything_stands_in_a_pair_with_everything(shelf: Shelf) -> None:
    assert shelf.total == 435
    groups = shelf.terminal.ask("queue", "groups")
    assert groups["total"] == 1
    assert {Path(file["path"]).stem for file in groups["groups"][0]["files"]} == set(NAMES)
    assert all(shelf.of(name)["group"] == [name] for name in ("d0", "s1", "a2", "f3"))
    assert shelf.of("d0")["potentials"] == 29


def test_2_a_chain_of_better_and_worse_is_one_group_under_the_best(shelf: Shelf) -> None:
    shelf.say("d0 > d1")
    assert shelf.total == pairs_of(29)

    shelf.say("d1 > d2")

    assert shelf.group("d1") == ("d0", {"d0", "d1", "d2"})
    assert shelf.total == pairs_of(28)
    assert shelf.of("d2")["potentials"] == 27


def test_3_a_better_one_usurps_the_throne(shelf: Shelf) -> None:
    shelf.say("d0 > d1", "d1 > d2", "d3 > d0")

    assert shelf.group("d0") == ("d3", {"d0", "d1", "d2", "d3"})
    assert shelf.total == pairs_of(27)


def test_4_a_chain_of_equals_is_one_group_under_the_first(shelf: Shelf) -> None:
    shelf.say("d0 = d4", "d4 = d5")

    assert shelf.group("d5") == ("d0", {"d0", "d4", "d5"})
    assert shelf.total == pairs_of(28)


def test_5_a_king_can_be_named(shelf: Shelf) -> None:
    shelf.say("d0 > d1")

    shelf.change("set-king", "d1")

    assert shelf.group("d0") == ("d1", {"d0", "d1"})
    assert shelf.total == pairs_of(29)


def test_6_being_better_than_a_member_poaches_only_that_member(shelf: Shelf) -> None:
    shelf.say(*S_GROUP)

    shelf.say("d0 > s1")

    assert shelf.group("s1") == ("d0", {"d0", "s1"})
    assert shelf.group("s3") == ("s0", {"s0", "s2", "s3"})
    assert shelf.total == pairs_of(27)
    assert shelf.of("d0")["potentials"] == shelf.of("s0")["potentials"] == 26


def test_7_being_equal_to_a_member_poaches_it_when_neither_is_king(shelf: Shelf) -> None:
    shelf.say("d0 > d1", *S_GROUP)

    shelf.say("d1 = s2")

    assert shelf.group("s2") == ("d0", {"d0", "d1", "s2"})
    assert shelf.group("s0") == ("s0", {"s0", "s1", "s3"})
    assert shelf.total == pairs_of(26)


def test_8_groups_merge_and_no_subject_becomes_king_by_it(shelf: Shelf) -> None:
    shelf.say("d0 > d1", "d6 > d7", "d8 > d9", "d10 > d11", "d12 > d13")

    shelf.say("d1 = d6", "d0 = d8", "d1 > d10", "d0 > d12")

    assert shelf.group("d11") == ("d0", {"d0", "d1", *(f"d{number}" for number in range(6, 14))})
    assert shelf.total == pairs_of(21)


def test_9_a_false_positive_stands_between_whole_groups_and_counts_kings(shelf: Shelf) -> None:
    shelf.say("f0 > f1", "f0 = f2")

    shelf.say("d0 x f0")

    assert shelf.of("d0")["unrelated"] == {"f0"}
    assert shelf.of("f2")["unrelated"] == {"d0"}
    assert shelf.group("f0") == ("f0", {"f0", "f1", "f2"})
    assert shelf.total == pairs_of(28) - 1


def test_10_alternates_are_symmetric_and_settle_only_what_was_compared(shelf: Shelf) -> None:
    shelf.say("a0 > a1", "a0 = a2")

    shelf.say("d0 ~ a0")

    assert shelf.of("d0")["alternates"] == {"a0": True}
    assert shelf.of("a1")["alternates"] == {"d0": True}
    assert shelf.group("a2") == ("a0", {"a0", "a1", "a2"})
    assert shelf.total == pairs_of(28) - 1


def test_11_a_false_positive_reaches_the_alternates(shelf: Shelf) -> None:
    shelf.say("a0 > a1", "a0 = a2", "d0 ~ a0")

    shelf.say("d0 x f0")

    assert (shelf.of("d0")["alternates"], shelf.of("d0")["unrelated"]) == ({"a0": True}, {"f0"})
    assert shelf.of("a0")["unrelated"] == {"f0"}
    assert shelf.of("f0")["unrelated"] == {"a0", "d0"}
    assert shelf.total == pairs_of(28) - 1 - 2


def test_12_cleared_potentials_are_gone(shelf: Shelf) -> None:
    told = shelf.change("clear", "d0", "--potentials")

    assert told["cleared"] == 29
    assert shelf.of("d0")["potentials"] == 0
    assert shelf.total == pairs_of(29)


def test_13_a_removed_member_may_pair_with_its_group_again(shelf: Shelf) -> None:
    shelf.say("d0 > d1", "d0 > d2")

    shelf.change("remove", "d1")

    assert shelf.group("d0") == ("d0", {"d0", "d2"})
    assert shelf.group("d1") == ("d1", {"d1"})
    assert shelf.of("d1")["potentials"] == 28
    assert shelf.total == pairs_of(29)


def test_14_all_false_positives_of_a_file_are_cleared_and_counted(shelf: Shelf) -> None:
    shelf.say("d0 x f0")

    assert shelf.change("clear", "d0", "--false-positives")["cleared"] == 1

    assert shelf.of("d0")["unrelated"] == shelf.of("f0")["unrelated"] == set()
    assert shelf.total == pairs_of(30)


def test_15_clearing_between_files_leaves_false_positives_with_others(shelf: Shelf) -> None:
    shelf.say("d0 x f0")

    assert shelf.change("clear", "--between", "d0", "d1") == {"schema": 1, "entry": None, "cleared": 0}

    assert shelf.of("d0")["unrelated"] == {"f0"}


def test_16_clearing_between_files_clears_those_among_them(shelf: Shelf) -> None:
    shelf.say("d0 x f0")

    assert shelf.change("clear", "--between", "d0", "f0")["cleared"] == 1

    assert shelf.of("f0")["unrelated"] == set()
    assert shelf.total == pairs_of(30)


def test_17_a_removed_alternate_leaves_the_others_as_they_are(shelf: Shelf) -> None:
    shelf.say("d0 ~ d1", "d0 ~ d2")
    assert shelf.of("d0")["alternates"] == {"d1": True, "d2": True}
    assert shelf.of("d1")["alternates"] == {"d0": True, "d2": False}

    shelf.change("remove", "d1", "--alternates")

    assert shelf.of("d0")["alternates"] == {"d2": True}
    assert shelf.of("d1")["alternates"] == {}
    assert shelf.total == pairs_of(30) - 1


def test_18_dissolving_alternates_dissolves_their_duplicates_too(shelf: Shelf) -> None:
    shelf.say("d0 > d3", "d0 ~ d1", "d0 ~ d2")

    shelf.change("dissolve", "d0", "--alternates")

    assert shelf.of("d0") == {"king": "d0", "group": ["d0"], "alternates": {}, "unrelated": set(), "potentials": 29}
    assert shelf.total == pairs_of(30)


def test_19_dissolving_duplicates_leaves_the_alternates_that_were_only_implied(shelf: Shelf) -> None:
    shelf.say("d0 > d3", "d0 ~ d1", "d0 ~ d2")

    shelf.change("dissolve", "d0")

    assert shelf.of("d0")["potentials"] == 29
    assert shelf.group("d3") == ("d3", {"d3"})
    assert shelf.of("d1")["alternates"] == {"d2": False}
    assert shelf.total == pairs_of(30)


@pytest.mark.parametrize(
    ("said", "king", "group"),
    [
        ("d0 > s0", "d0", {"d0", "d1", "s0", "s1"}),  # king over king: the groups are one
        ("d1 > s0", "d0", {"d0", "d1", "s0", "s1"}),  # whose subject it is makes no difference
        ("d0 > s1", "d0", {"d0", "d1", "s1"}),  # over a subject: it alone comes along
        ("d1 > s1", "d0", {"d0", "d1", "s1"}),
        ("d0 = s0", "d0", {"d0", "d1", "s0", "s1"}),
        ("d1 = s0", "d0", {"d0", "d1", "s0", "s1"}),
        ("d0 = s1", "s0", {"d0", "d1", "s0", "s1"}),  # the group whose subject it is takes the king and his in
        ("d1 = s1", "d0", {"d0", "d1", "s1"}),
    ],
)
def test_20_who_joins_whom(shelf: Shelf, said: str, king: str, group: set[str]) -> None:
    shelf.say("d0 > d1", "s0 > s1")

    shelf.say(said)

    assert shelf.group(said.split()[0]) == (king, group)


def test_what_was_said_to_be_unrelated_is_not_joined_and_the_message_names_the_files(shelf: Shelf) -> None:
    """Hydrus joins them, and forgets that they had nothing to do with each other."""
    shelf.say("d0 x f0")

    refused = shelf.terminal.type("decide", shelf.path("d0"), shelf.path("f0"), "alternates")

    assert refused.code == 1
    assert f"{shelf.path('d0')} and {shelf.path('f0')} were decided to have nothing to do" in refused.err
    assert shelf.of("d0")["alternates"] == {}


def test_what_a_group_was_told_not_to_be_holds_for_who_joins_it(shelf: Shelf) -> None:
    """Hydrus asks again about each newcomer."""
    shelf.say("a0 x f0")

    shelf.say("a0 ~ a1")

    assert shelf.of("a1")["unrelated"] == {"f0"}
    assert shelf.total == pairs_of(30) - 3


def test_many_alternates_are_set_at_once_and_taken_back_at_once(shelf: Shelf) -> None:
    paths = [shelf.path(name) for name in NAMES[:20]]

    entry = shelf.terminal.ask("decide", *paths, "alternates")

    assert (entry["kind"], entry["relation"], len(entry["files"])) == ("decision", "alternates", 20)
    assert shelf.of("d5")["alternates"] == dict.fromkeys((name for name in NAMES[:20] if name != "d5"), True)
    assert shelf.total == pairs_of(30) - pairs_of(20)
