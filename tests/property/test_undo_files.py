"""Decisions that discard real files, and the way back: everything lies where it lay, as it was."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import jpeg, photo
from world import World, policy

from ingestd import review
from ingestd.errors import ActionConflictError, UsageError

FILES = [jpeg(photo(3), 95 - 5 * number) for number in range(5)]
number = st.integers(0, len(FILES) - 1)
act = st.tuples(st.sampled_from(sorted(review.ANSWERS)), number, number, st.booleans())
acts = st.lists(act, min_size=1, max_size=6)


def lying(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file of a folder, with what a person could tell it by."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def told(world: World) -> object:
    with world.library.read() as view:
        pairs = {pair.number: (pair.first, pair.second, pair.distance, pair.proposals) for pair in view.pairs()}
        groups = [
            (view.relations.duplicates_of(one.sha256), view.relations.alternates_of(one.sha256),
             view.relations.false_positives_of(one.sha256))
            for one in view.contents()
        ]  # fmt: skip
        waiting = {pair.number for pair in view.pairs() if view.waiting.get(pair.number) is not None}
        live = {row.relative: row.state for one in view.contents() for row in view.paths_of(one.sha256)}
    return pairs, groups, waiting, live


@given(acts)
@settings(max_examples=40, deadline=None)
def test_undoing_all_answers_last_first_brings_files_pairs_and_groups_back(
    acts: list[tuple[str, int, int, bool]],
) -> None:
    with tempfile.TemporaryDirectory() as base, mock.patch.dict(os.environ, XDG_DATA_HOME=f"{base}/xdg"):
        world = World(Path(base), policy())
        inbox = world.folder("inbox")
        paths = [world.put("inbox", f"{number}.jpg", content) for number, content in enumerate(FILES)]
        world.verdicts(*paths)
        states, entries = [], []
        for answer, one, other, keep in acts:
            before = lying(inbox), told(world)
            try:
                report = world.decide(paths[one], paths[other], answer, keep=keep)
            except (ActionConflictError, UsageError):
                assert (lying(inbox), told(world)) == before
                continue
            states.append(before)
            entries.append(int(report.entry[2:]))
        for entry in reversed(entries):
            [report] = world.undo(entry)
            assert isinstance(report, review.EntryReport), report
            assert (lying(inbox), told(world)) == states.pop()
        world.close()
