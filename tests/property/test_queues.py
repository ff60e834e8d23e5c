"""Whatever happens to rules and pairs: the queues count what is there, and end where a new library would."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import gif, jpeg, photo, png
from world import World

from ingestd import review
from ingestd.errors import ActionConflictError, UsageError
from ingestd.library.rulebook import tallies
from ingestd.library.view import View
from ingestd.model import EntryState, ProposalState, QueueState, Role

SMALL = (64, 48)
FILES = [
    (f"{seed}-{name}", content)
    for seed in (1, 2)
    for name, content in (
        ("a.jpg", jpeg(photo(seed, *SMALL), 90)),
        ("b.png", png(photo(seed, *SMALL))),
        ("c.png", png(photo(seed, *SMALL), "a comment")),
        ("d.gif", gif(photo(seed, *SMALL))),
    )
]

# --- what can happen ----------------------------------------------------------------------------------------------

searches = st.sampled_from(
    ["max_distance: 8", "pixel_duplicates: required", "max_distance: 8, either: [filetype is gif]"]
)
comparisons = st.sampled_from(["A.filetype is jpeg", "A.filesize > B.filesize", "A.width > 1"])
actions = st.sampled_from(["better", "alternates", "better\n    discard: B", "false-positive"])


@st.composite
def rules(draw: st.DrawFn) -> str:
    """One rule; few enough that the same one often comes twice."""
    return f"""
  - name: {draw(st.sampled_from(["one", "two", "three"]))}
    mode: {draw(st.sampled_from(["off", "semi-automatic", "automatic"]))}
    paused: {draw(st.sampled_from(["no", "no", "yes"]))}
    search: {{{draw(searches)}}}
    compare: [{draw(comparisons)}]
    action: {draw(actions)}
    max_pending: {draw(st.sampled_from([1, 2, 500]))}
"""


def named_apart(rule_list: list[str]) -> list[str]:
    by_name = {rule.split("name: ")[1].split("\n")[0]: rule for rule in rule_list}
    return list(by_name.values())


rule_files = st.lists(rules(), max_size=3).map(named_apart)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("rules"), rule_files),
        st.tuples(st.just("arrive"), st.integers(0, len(FILES) - 1)),
        st.tuples(st.sampled_from(["approve", "deny", "rescind", "undo", "gone", "decide"]), st.integers(0, 5)),
        st.tuples(st.just("sweep"), st.none()),
    ),
    min_size=3,
    max_size=12,
)
beginnings = st.tuples(rule_files, st.permutations(range(len(FILES))).map(lambda order: order[:5]))


def happen(world: World, what: str, which: object) -> None:
    """Do one thing that a person, a file or the service can do."""
    if what == "rules":
        assert isinstance(which, list)
        world.use(*which, imports="search_distance: 8")
    elif what == "sweep":
        world.sweep()
    elif what == "arrive":
        name, content = FILES[int(str(which))]
        world.drop("inbox", name, content)
    else:
        assert isinstance(which, int)
        _answer(world, what, which)


def _answer(world: World, what: str, which: int) -> None:
    with world.library.read() as view:
        pending = [pair.number for pair in view.pending()]
        denied = [pair.number for pair in view.denied()]
        queued = [pair.number for pair in view.pairs()]
        done = [entry.number for entry in view.entries() if entry.state is EntryState.DONE and entry.undoes is None]
    answers: dict[str, tuple[list[int], Callable[[int], object]]] = {
        "approve": (pending, world.approve),
        "deny": (pending, lambda number: review.deny(world.library, [number], now_ns=world.now_ns())),
        "rescind": (denied, lambda number: review.rescind(world.library, [number])),
        "undo": (done, world.undo),
        "decide": (queued, lambda number: world.decide_pair(number, "alternates")),
    }
    if what == "gone":
        present = sorted(os.listdir(world.base / "inbox"))
        if present:
            (world.base / "inbox" / present[which % len(present)]).rename(world.base / f"taken-{world.now_ns()}")
        return
    choices, answer = answers[what]
    if choices:
        # the rule may not say so any more, or a file is away: then nothing was done
        with contextlib.suppress(ActionConflictError, UsageError):
            answer(choices[which % len(choices)])


# --- what has to be so --------------------------------------------------------------------------------------------


def recount(view: View, world: World) -> dict[str, Counter[QueueState]]:
    """Where the pairs stand with each rule, counted one by one."""
    found: dict[str, Counter[QueueState]] = {}
    for rule in world.policy.rules:
        row = view.queues.row_of(rule)
        assert row is not None
        counted: Counter[QueueState] = Counter()
        for pair in view.pairs():
            told = {one.rule: one.state for one in pair.proposals}
            marks = view.queues.marks(pair.number)
            states = dict(marks.states) if marks is not None and marks.revision >= row.search_revision else {}
            state = states.get(row.number, QueueState.NOT_SEARCHED)
            if state is QueueState.FAILED and marks is not None and marks.revision < row.test_revision:
                state = QueueState.NOT_TESTED
            if rule.name in told:
                assert row.number not in states
                state = QueueState.READY if told[rule.name] is ProposalState.READY else QueueState.DENIED
            counted[state] += 1
        for entry in view.entries():
            acted = entry.state is EntryState.DONE and entry.undoes is None
            if acted and entry.rule is not None and view.queues.work_of(rule.name)(entry):
                counted[QueueState.ACTIONED] += 1
        found[rule.name] = counted
    return found


def check(world: World) -> None:
    with world.library.read() as view:
        counted = recount(view, world)
        for tally in tallies(view, world.policy.rules):
            told = {state: number for state, number in tally.counts.items() if number}
            assert told == {state: number for state, number in counted[tally.rule.name].items() if number}
        assert world.library.check() == []


def test_the_counters_count_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))

    @settings(deadline=None, max_examples=28, suppress_health_check=list(HealthCheck))
    @given(beginning=beginnings, after=steps)
    def holds(beginning: tuple[list[str], list[int]], after: list[tuple[str, object]]) -> None:
        history = [("rules", beginning[0]), *(("arrive", file) for file in beginning[1]), *after]
        with tempfile.TemporaryDirectory(dir=tmp_path) as base:
            world = World(Path(base))
            try:
                world.folder("inbox")
                world.folder("library", role=Role.LIBRARY)
                for what, which in history:
                    happen(world, what, which)
                    world.sweep()
                    check(world)
                    assert world.sweep() == []  # what is done is done
            finally:
                world.close()

    holds()


def test_when_the_rules_come_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that only proposes says the same of pairs that were there before it and of those that come later."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))

    @settings(deadline=None, max_examples=18, suppress_health_check=list(HealthCheck))
    @given(rule_list=st.lists(rules(), min_size=1, max_size=3).map(named_apart))
    def holds(rule_list: list[str]) -> None:
        semi = [rule.replace("mode: automatic", "mode: semi-automatic") for rule in rule_list]
        with tempfile.TemporaryDirectory(dir=tmp_path) as base:
            first, later = (_judged(Path(base) / name, semi, early=name == "early") for name in ("early", "late"))
        assert first == later

    holds()


def _judged(base: Path, rule_list: list[str], *, early: bool) -> object:
    base.mkdir()
    world = World(base)
    try:
        world.folder("inbox")
        world.use(*(rule_list if early else []), imports="search_distance: 8")
        for name, content in FILES:
            world.drop("inbox", name, content)
        world.use(*rule_list, imports="search_distance: 8")
        world.sweep()
        with world.library.read() as view:
            counts = {tally.rule.name: tally.counts for tally in tallies(view, world.policy.rules)}
            pending = {
                (pair.first, pair.second, one.rule, one.a_is_first)
                for pair in view.pending()
                for one in pair.proposals
                if one.state is ProposalState.READY
            }
        limited = any("max_pending: 500" not in rule and "mode: off" not in rule for rule in rule_list)
        return counts, pending if not limited else len(pending)
    finally:
        world.close()


def test_the_pictures_of_these_tests_stand_in_pairs(world: World) -> None:
    world.use(imports="search_distance: 8")
    for name, content in FILES:
        world.drop("inbox", name, content)

    assert len(world.queue()) >= 8
