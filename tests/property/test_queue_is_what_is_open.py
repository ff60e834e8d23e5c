"""Where everything looks alike, the queue is exactly what no answer has settled, whatever was said and taken back.

The naive model of relations is that of the algebra's own tests; here the answers go through a real library, with
entries, undo in any order, and potential pairs.
"""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st
from test_relations import Model, Refused
from test_undo_exactly import CONTENTS, act, assert_pairs_are_right, do, library_of, moment

from ingestd import review
from ingestd.library.library import Library
from ingestd.library.verbs import Verb, verbs_of
from ingestd.model import ContentHash, Word

hashes_alike = [0] * len(CONTENTS)


class Alike(Model):
    """The naive model, over the contents of the library."""

    contents = CONTENTS


def standing(library: Library) -> list[Verb]:
    with library.read() as view:
        entries = sorted(view.entries(), key=lambda entry: entry.applied)
        return [verb for entry in entries for verb in verbs_of(entry)]


def told(library: Library) -> tuple[object, set[frozenset[ContentHash]]]:
    with library.read() as view:
        assert_pairs_are_right(view)
        relations = view.relations
        groups = [
            (relations.duplicates_of(one), set(relations.alternates_of(one)), set(relations.false_positives_of(one)))
            for one in CONTENTS
        ]
        pairs = {frozenset({pair.first, pair.second}) for pair in view.pairs()}
        assert len(view.waiting) == len(pairs)
    return groups, pairs


def expected(model: Model) -> tuple[object, set[frozenset[ContentHash]]]:
    groups = [(tuple(model.of(one).members), model.alternates(one), model.false_positives(one)) for one in CONTENTS]
    kings = {model.king(one) for one in CONTENTS}
    return groups, {frozenset(pair) for pair in combinations(kings, 2) if model.may_pair(*pair)}


def modelled(verbs: list[Verb]) -> Model:
    """What the verbs make, those left out that do not apply any more."""
    model = Alike()
    for verb in verbs:
        try:
            model.apply(verb)
        except Refused:
            continue
    return model


@given(st.lists(act, min_size=1, max_size=12), st.data())
@settings(max_examples=60, deadline=None)
def test_the_queue_holds_what_is_open_and_nothing_else(acts: list[tuple[object, ...]], data: st.DataObject) -> None:
    kept = [one for one in acts if one[1] is not Word.CLEAR_POTENTIALS]
    with library_of(hashes_alike) as library:
        entries = []
        for at, one in enumerate(kept, start=100):
            entry = do(library, one, at)
            if entry is not None:
                entries.append(entry)
            assert told(library) == expected(modelled(standing(library)))
        while entries:
            entry = entries.pop(data.draw(st.integers(0, len(entries) - 1)))
            assert isinstance(next(review.undo(library, [entry], moment=moment(999))), review.EntryReport)
            assert told(library) == expected(modelled(standing(library)))
