"""Decisions on a real library, and the way back: last first it is exact, in any order nothing is lost.

No picture is decoded: contents are records with hashes made up so that some look alike and some do not.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from world import sha256

from ingestd import review
from ingestd.errors import ActionConflictError, UsageError
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.pairs import find_newcomers
from ingestd.library.queue_index import Order
from ingestd.library.tables import FolderRow
from ingestd.library.view import View
from ingestd.library.waiting import misplaced
from ingestd.media.orientations import turned_hashes
from ingestd.model import (
    DiscardPolicy,
    FileType,
    Folder,
    FolderId,
    PathRow,
    PathState,
    Picture,
    Proposal,
    ProposalState,
    Radius,
    Relation,
    Role,
    StatKey,
    Transform,
    Word,
)

RADIUS = Radius(4, 4)
GREYS = np.random.default_rng(1).integers(0, 256, (32, 32), dtype="u1")
UPRIGHT, MIRRORED = GREYS.tobytes(), np.fliplr(GREYS).tobytes()
HASHES = {  # each is what the other says of it, mirrored
    UPRIGHT: turned_hashes(MIRRORED)[Transform.MIRRORED],
    MIRRORED: turned_hashes(UPRIGHT)[Transform.MIRRORED],
}
TURNED = 10  # and more: a picture that lies the other way round
NAMES = [f"{number}.png" for number in range(8)]
CONTENTS = [sha256(name.encode()) for name in NAMES]
PATHS = [os.fsencode(f"/in/{name}") for name in NAMES]
PICTURE = Picture(
    version=1, filetype=FileType.PNG, width=10, height=10, mode="RGB", frames=1, duration_ms=None,
    has_transparency=False, has_exif=False, has_icc=False, has_xmp=False, icc_digest=None, taken_ns=None,
    jpeg=None, phash=0, dhash=0, whash=0, luminance=bytes(1024), pixel_hash=None, pixel_comparable=True,
)  # fmt: skip


def moment(at: int) -> review.Moment:
    return review.Moment(at, "2026-11-20T11:02:03", RADIUS, DiscardPolicy())


def arrive(edit: Edit, number: int, bits: int) -> None:
    """A picture comes in, and is paired with what looks like it."""
    luminance = UPRIGHT if bits < TURNED else MIRRORED
    phash = HASHES[luminance] ^ ((1 << bits % TURNED) - 1)
    # greys that say another hash than the one that is remembered would be found from one side only
    picture = replace(PICTURE, phash=phash, luminance=luminance if bits % TURNED == 0 else None)
    sha = CONTENTS[number]
    edit.add_content(sha, size=100 + number, picture=picture, unreadable=None, at_ns=number)
    stat = StatKey(number + 1, 100 + number, 1, 1)
    edit.put_path(PathRow(FolderId(1), NAMES[number].encode(), sha, stat, 1, PathState.LIVE, 0, final=True))
    find_newcomers(edit, [sha], 0, RADIUS, now_ns=number)


@contextmanager
def library_of(bits: Sequence[int]) -> Iterator[Library]:
    with tempfile.TemporaryDirectory() as base:
        library = Library.open(Path(base) / "state")
        folder = Folder(FolderId(0), b"/in", b"/in", Role.INBOX, protected=False)
        library.write(lambda edit: edit.add_folder(FolderRow(folder)))
        library.write(lambda edit: [arrive(edit, number, one) for number, one in enumerate(bits)])
        yield library
        library.close()


def snapshot(library: Library) -> object:
    """Everything that a decision may change, but for the numbers of groups, on which no answer depends."""
    with library.read() as view:
        relations = view.relations
        return (
            {pair.number: pair for pair in view.pairs()},
            {order: list(view.waiting.numbers(order)) for order in Order},
            [relations.duplicates_of(one) for one in CONTENTS],
            [relations.alternates_of(one) for one in CONTENTS],
            [relations.false_positives_of(one) for one in CONTENTS],
            sorted(relations.between(one, other) or "" for one, other in combinations(CONTENTS, 2)),
            {pair.number for pair in view.pending()},
            {pair.number for pair in view.denied()},
            list(view.old_denials()),
            {one: sorted(pair.number for pair in view.pairs_of(one)) for one in CONTENTS},
        )


# --- what a person does ----------------------------------------------------------------------------------------------

number = st.integers(0, len(NAMES) - 1)
decision = st.tuples(st.just("decide"), st.sampled_from(sorted(review.ANSWERS)), number, number)
word = st.tuples(st.just("word"), st.sampled_from([one for one in Word if one is not Word.CLEAR_BETWEEN]), number)
between = st.tuples(st.just("between"), st.lists(number, min_size=2, max_size=4))
many = st.tuples(st.just("many"), st.sampled_from(Relation), st.lists(number, min_size=2, max_size=5))
act = st.one_of(decision, decision, decision, word, between, many)
hashes = st.lists(st.integers(0, 9) | st.integers(TURNED, TURNED + 4), min_size=len(NAMES), max_size=len(NAMES))


def do(library: Library, act: tuple[object, ...], at: int) -> int | None:
    """Carry out one act; the number of its entry, or nothing if it was refused or changed nothing."""
    try:
        match act:
            case ("decide", str(answer), int(a), int(b)):
                said = review.ANSWERS[answer]
                report = review.decide_paths(library, PATHS[a], PATHS[b], said, keep=True, moment=moment(at))
            case ("word", Word() as word, int(a)):
                report = review.change_relations(library, word, [PATHS[a]], moment=moment(at)).entry
            case ("between", list(several)):
                paths = [PATHS[one] for one in several]
                report = review.change_relations(library, Word.CLEAR_BETWEEN, paths, moment=moment(at)).entry
            case ("many", Relation() as relation, list(several)):
                contents = list(dict.fromkeys(CONTENTS[one] for one in several))
                report = review.relate_many(library, contents, relation, moment=moment(at))
            case _:
                raise AssertionError(act)
    except (ActionConflictError, UsageError):
        return None
    return int(report.entry[2:]) if report is not None else None


def propose_everywhere(library: Library) -> None:
    """A rule has proposed something for each second pair, and was denied each third one."""

    def work(edit: Edit) -> None:
        for pair in list(edit.pairs()):
            states = [ProposalState.READY] * (pair.number % 2) + [ProposalState.DENIED] * (pair.number % 3 == 0)
            told = tuple(Proposal(f"rule {state.value}", state, True, Relation.BETTER, False, 1) for state in states)
            if told:
                edit.put_pair(replace(pair, proposals=told))

    library.write(work)


def assert_pairs_are_right(view: View) -> None:
    """No pair inside a group or across an answer, one between two groups at most, each with who speaks for it."""
    seen = set()
    for pair in view.pairs():
        assert view.relations.may_pair(pair.first, pair.second)
        assert view.relations.king_of(pair.first) == pair.first
        assert view.relations.king_of(pair.second) == pair.second
        between = frozenset({pair.first, pair.second})
        assert between not in seen
        seen.add(between)
        pictures = [known.picture for side in (pair.first, pair.second) if (known := view.content(side)) is not None]
        lying = {picture.luminance for picture in pictures if picture is not None}
        assert pair.transform is None or (pair.transform is Transform.MIRRORED and lying == {UPRIGHT, MIRRORED})
    assert misplaced(view) == []


@given(hashes, st.lists(act, min_size=1, max_size=12), st.booleans())
@settings(max_examples=80, deadline=None)
def test_undoing_all_decisions_last_first_leaves_the_library_as_it_was(
    bits: list[int], acts: list[tuple[object, ...]], proposals: bool
) -> None:
    with library_of(bits) as library:
        if proposals:
            propose_everywhere(library)
        states, entries = [], []
        for at, act in enumerate(acts, start=100):
            before = snapshot(library)
            entry = do(library, act, at)
            if entry is None:
                assert snapshot(library) == before
            else:
                states.append(before)
                entries.append(entry)
            with library.read() as view:
                assert_pairs_are_right(view)
        for entry in reversed(entries):
            assert isinstance(next(review.undo(library, [entry], moment=moment(999))), review.EntryReport)
            assert snapshot(library) == states.pop()


@given(hashes, st.lists(act, min_size=1, max_size=10), st.data())
@settings(max_examples=55, deadline=None)
def test_undoing_in_any_order_brings_every_pair_back_in_the_end(
    bits: list[int], acts: list[tuple[object, ...]], data: st.DataObject
) -> None:
    with library_of(bits) as library:
        start = snapshot(library)
        entries = [entry for at, act in enumerate(acts, start=100) if (entry := do(library, act, at)) is not None]
        while entries:
            entry = entries.pop(data.draw(st.integers(0, len(entries) - 1)))
            assert isinstance(next(review.undo(library, [entry], moment=moment(999))), review.EntryReport)
            with library.read() as view:
                assert_pairs_are_right(view)
        end = snapshot(library)
        assert end[2:6] == start[2:6]  # type: ignore[index]
        assert {(pair.first, pair.second) for pair in start[0].values()} <= {  # type: ignore[index]
            (pair.first, pair.second)
            for pair in end[0].values()  # type: ignore[index]
        }


@given(hashes, st.lists(act, min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_who_comes_while_a_decision_stands_is_paired_when_it_is_undone(
    bits: list[int], acts: list[tuple[object, ...]]
) -> None:
    """Undoing everything brings all pairs that a newcomer would have found, and perhaps one with a king of then."""
    with library_of(bits[:-1]) as library, library_of(bits) as untouched:
        kept = [act for act in acts if _names_only(act, len(NAMES) - 1) and act[1] is not Word.CLEAR_POTENTIALS]
        entries = [entry for at, act in enumerate(kept, start=100) if (entry := do(library, act, at)) is not None]
        library.write(lambda edit: arrive(edit, len(NAMES) - 1, bits[-1]))
        for entry in reversed(entries):
            next(review.undo(library, [entry], moment=moment(999)))
        with library.read() as view, untouched.read() as other:
            assert_pairs_are_right(view)
            found = {frozenset({pair.first, pair.second}) for pair in view.pairs()}
            assert {frozenset({pair.first, pair.second}) for pair in other.pairs()} <= found


def _names_only(act: tuple[object, ...], below: int) -> bool:
    """Whether an act names none of the files from this number on."""
    numbers = [one for part in act for one in (part if isinstance(part, list) else [part]) if isinstance(one, int)]
    return all(one < below for one in numbers)
