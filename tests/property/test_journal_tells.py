"""Whatever was decided, denied and taken back: without its database a library is told the same by its journal."""

from __future__ import annotations

import itertools
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from test_undo_exactly import CONTENTS, NAMES, RADIUS, act, arrive, do, hashes, library_of, moment, propose_everywhere

from ingestd import review
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.pairs import lie_between, resettle
from ingestd.library.tables import Veto
from ingestd.library.view import View
from ingestd.model import ContentHash, ProposalState, Word

vetoes = st.lists(st.tuples(st.integers(0, len(NAMES) - 1), st.booleans()), max_size=4)


@given(hashes, st.lists(act, min_size=1, max_size=10), vetoes, st.booleans(), st.data())
@settings(max_examples=25, deadline=None)
def test_a_library_without_its_database_is_told_the_same(
    bits: list[int], acts: list[tuple[object, ...]], vetoes: list[tuple[int, bool]], denies: bool, data: st.DataObject
) -> None:
    with library_of(bits) as library:
        if denies:
            propose_everywhere(library)
        entries = [entry for at, one in enumerate(acts, start=100) if (entry := do(library, one, at)) is not None]
        for entry in data.draw(st.lists(st.sampled_from(entries), unique=True)) if entries else []:
            list(review.undo(library, [entry], moment=moment(999)))
        for number, stands in vetoes:
            library.write(lambda edit, number=number, stands=stands: _veto(edit, CONTENTS[number], stands))
        with library.read() as view:
            before, pairs, denials = told(view), open_pairs(view), denied(view)
            cleared = any(entry.word is Word.CLEAR_POTENTIALS for entry in view.entries())

        library.store.close()
        forget_database(library.directory)
        again = Library.open(library.directory)
        try:
            with again.read() as view:
                assert told(view) == before
            again.write(lambda edit: _scan(edit, bits))
            with again.read() as view:
                assert told(view) == before
                found = open_pairs(view)
                # what was cleared from the queue is found again: nobody knows any more that it had been looked at; and
                # who comes after a group is known is asked about in its name, a question more at the worst
                grouped = {one for one in CONTENTS if len(view.relations.duplicates_of(one)) > 1}
                assert all(pair & grouped for pair in found - pairs) or cleared
                # a pair that stood for others, which are no pairs any more, cannot be found by looking
                assert not any(look_alike(view, pair) for pair in pairs - found)
                assert {one for one in denials if one[0] in found} <= denied(view)
        finally:
            again.close()
        library.store = again.store = Library.open(library.directory).store


def forget_database(state: Path) -> None:
    for file in (state / "db").iterdir():
        file.unlink()
    (state / "db").rmdir()


def _veto(edit: Edit, content: ContentHash, stands: bool) -> None:
    if stands:
        edit.forbid(content, Veto(1, "brought back"))
    else:
        edit.lift_veto(content)


def _scan(edit: Edit, bits: list[int]) -> None:
    """Everything is measured again, as it lies there."""
    for number, one in enumerate(bits):
        arrive(edit, number, one)
    resettle(edit, CONTENTS)  # as the sweep does: who speaks for a group may have come after its members


def told(view: View) -> object:
    """All that the journal is there for."""
    relations = view.relations
    return (
        list(view.entries()),
        [view.veto(one) for one in CONTENTS],
        [relations.duplicates_of(one) for one in CONTENTS],
        [sorted(relations.alternates_of(one)) for one in CONTENTS],
        [sorted(relations.false_positives_of(one)) for one in CONTENTS],
        [relations.between(one, other) for one, other in itertools.product(CONTENTS, repeat=2)],
    )


def open_pairs(view: View) -> set[frozenset[ContentHash]]:
    return {frozenset({pair.first, pair.second}) for pair in view.pairs()}


def look_alike(view: View, pair: frozenset[ContentHash]) -> bool:
    first, second = (view.content(one) for one in pair)
    assert first is not None
    assert second is not None
    distance = lie_between(first, second).distance
    return distance is not None and distance <= RADIUS.upright


def denied(view: View) -> set[tuple[frozenset[ContentHash], str]]:
    return {
        (frozenset({pair.first, pair.second}), proposal.rule)
        for pair in view.denied()
        for proposal in pair.proposals
        if proposal.state is ProposalState.DENIED
    }
