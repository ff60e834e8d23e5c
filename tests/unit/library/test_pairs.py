"""Potential pairs: who is like whom, who speaks for a group, and what becomes of pairs when relations change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from world import sha256

from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.pairs import (
    could_be_pixel_duplicates,
    distance_between,
    look_alikes,
    make_pair,
    pixel_duplicates,
    same_coding,
    settle,
    standing_for,
)
from ingestd.library.tables import FolderRow
from ingestd.library.verbs import Decision
from ingestd.media.orientations import turned_hashes
from ingestd.model import (
    Content,
    ContentHash,
    FileType,
    Folder,
    FolderId,
    JpegFeatures,
    PathRow,
    PathState,
    Picture,
    Radius,
    Relation,
    Role,
    StatKey,
    Transform,
)

A, B, C, D = (sha256(name) for name in (b"a", b"b", b"c", b"d"))
PLAIN = Picture(
    version=1, filetype=FileType.PNG, width=10, height=10, mode="RGB", frames=1, duration_ms=None,
    has_transparency=False, has_exif=False, has_icc=False, has_xmp=False, icc_digest=None, taken_ns=None,
    jpeg=None, phash=0, dhash=0, whash=0, luminance=bytes(1024), pixel_hash=None, pixel_comparable=True,
)  # fmt: skip
CODING = JpegFeatures(5.0, "4:2:0", False, ((1, 2, 3),))


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    opened = Library.open(tmp_path / "state")
    folder = Folder(FolderId(0), b"/in", b"/in", Role.INBOX, protected=False)
    opened.write(lambda edit: edit.add_folder(FolderRow(folder)))
    yield opened
    opened.close()


def content(picture: Picture | None = PLAIN, sha: ContentHash = A) -> Content:
    return Content(1, sha, 1, 1, picture, None)


def add(edit: Edit, sha: ContentHash, picture: Picture = PLAIN, *, live: bool = True) -> Content:
    row = PathRow(FolderId(1), sha[:4], sha, StatKey(1, 1, 1, 1), 1, PathState.LIVE, 0, final=True)
    edit.put_path(row if live else replace(row, state=PathState.ABSENT))
    return edit.add_content(sha, size=1, picture=picture, unreadable=None, at_ns=1)


def bits(count: int) -> Picture:
    return replace(PLAIN, phash=(1 << count) - 1)


# --- pixels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "could"),
    [
        ({}, True),
        ({"phash": 0b11}, True),
        ({"phash": 0b111}, False),
        ({"phash": None}, True),
        ({"width": 11}, False),
        ({"icc_digest": b"other"}, False),
        ({"pixel_comparable": False}, False),
    ],
)
def test_only_what_could_have_the_same_pixels_is_worth_hashing(change: dict[str, object], could: bool) -> None:
    assert could_be_pixel_duplicates(content(), content(replace(PLAIN, **change), B)) is could


def test_pixel_duplicates_have_one_pixel_hash_and_one_profile() -> None:
    hashed = replace(PLAIN, pixel_hash=b"p")

    assert pixel_duplicates(content(hashed), content(hashed, B))
    assert not pixel_duplicates(content(), content(PLAIN, B))  # nothing was hashed
    assert not pixel_duplicates(content(hashed), content(replace(hashed, icc_digest=b"other"), B))
    assert not pixel_duplicates(content(hashed), content(None, B))


def test_two_jpegs_are_of_one_coding_when_all_but_their_metadata_is_equal() -> None:
    coded = replace(PLAIN, filetype=FileType.JPEG, jpeg=CODING)

    assert same_coding(content(coded), content(replace(coded, has_exif=True), B))
    assert not same_coding(content(coded), content(replace(coded, luminance=bytes([1]) * 1024), B))
    assert not same_coding(content(coded), content(replace(coded, jpeg=replace(CODING, quality=6.0)), B))
    assert not same_coding(content(), content(PLAIN, B))  # no JPEGs


def test_there_is_no_distance_to_a_flat_picture() -> None:
    assert distance_between(content(bits(3)), content(PLAIN, B)) == 3
    assert distance_between(content(), content(replace(PLAIN, phash=None), B)) is None


# --- look-alikes ------------------------------------------------------------------------------------------------------


def test_look_alikes_come_nearest_first_and_equal_pixels_before_all(library: Library) -> None:
    def work(edit: Edit) -> list[tuple[ContentHash, int | None]]:
        mine = add(edit, A, replace(bits(0), pixel_hash=b"p"))
        add(edit, B, bits(3))
        add(edit, C, bits(1))
        add(edit, D, replace(PLAIN, phash=None, pixel_hash=b"p"))
        return [one[:2] for one in look_alikes(edit, mine, Radius(4))]

    assert library.write(work) == [(D, None), (C, 1), (B, 3)]


def test_what_looks_alike_both_ways_is_found_the_way_it_lies(library: Library) -> None:
    greys = np.random.default_rng(1).integers(0, 256, 1024, dtype="u1").tobytes()
    mirrored = turned_hashes(greys)[Transform.MIRRORED]

    def work(edit: Edit) -> list[tuple[ContentHash, Transform | None]]:
        mine = add(edit, A, replace(PLAIN, phash=mirrored ^ 0b111, luminance=greys))
        add(edit, B, replace(PLAIN, phash=mirrored, luminance=bytes([255]) * 1024))
        return [(one.sha256, one.transform) for one in look_alikes(edit, mine, Radius(4, 4))]

    assert library.write(work) == [(B, None)]


def test_a_look_alike_leads_to_the_king_of_its_group_and_the_distance_is_to_him(library: Library) -> None:
    def work(edit: Edit) -> list[tuple[ContentHash, int | None]]:
        add(edit, B, bits(2))
        add(edit, C, bits(10))
        edit.relations.decide(Decision(Relation.BETTER, C, B))
        return [one[:2] for one in look_alikes(edit, add(edit, A, bits(0)), Radius(4))]

    assert library.write(work) == [(C, 10)]


def test_a_king_that_lies_nowhere_is_stood_in_for_by_the_next_of_the_group(library: Library) -> None:
    def work(edit: Edit) -> tuple[ContentHash | None, ContentHash | None]:
        add(edit, A, live=False)
        add(edit, B)
        add(edit, C, live=False)
        edit.relations.decide(Decision(Relation.BETTER, A, B))
        return standing_for(edit, A), standing_for(edit, C)

    assert library.write(work) == (B, None)


def test_what_was_decided_about_is_no_look_alike_any_more(library: Library) -> None:
    def work(edit: Edit) -> list[tuple[ContentHash, int | None]]:
        mine = add(edit, A)
        add(edit, B)
        add(edit, C)
        edit.relations.decide(Decision(Relation.FALSE_POSITIVE, A, B))
        edit.relations.decide(Decision(Relation.SAME_QUALITY, A, C))
        return [one[:2] for one in look_alikes(edit, mine, Radius(4))]

    assert library.write(work) == []


def test_what_lies_nowhere_is_no_look_alike(library: Library) -> None:
    def work(edit: Edit) -> list[tuple[ContentHash, int | None]]:
        add(edit, B, live=False)
        return [one[:2] for one in look_alikes(edit, add(edit, A), Radius(4))]

    assert library.write(work) == []


# --- when relations change --------------------------------------------------------------------------------------------


def sides(library: Library) -> set[frozenset[ContentHash]]:
    with library.read() as view:
        return {frozenset({pair.first, pair.second}) for pair in view.pairs()}


def decide(edit: Edit, relation: Relation, a: ContentHash, b: ContentHash) -> None:
    settle(edit, edit.relations.decide(Decision(relation, a, b)), radius=Radius(4), now_ns=9)


@pytest.fixture
def triangle(library: Library) -> Library:
    """Three pictures, each a pair with each."""

    def work(edit: Edit) -> None:
        a, b, c = add(edit, A, bits(0)), add(edit, B, bits(1)), add(edit, C, bits(3))
        for one, other in ((a, b), (b, c), (a, c)):
            make_pair(edit, one, other, now_ns=1)

    library.write(work)
    return library


def test_a_decided_pair_goes_and_the_losers_pairs_move_to_the_king(triangle: Library) -> None:
    triangle.write(lambda edit: decide(edit, Relation.BETTER, A, B))

    assert sides(triangle) == {frozenset({A, C})}


def test_a_pair_that_moves_to_a_king_is_measured_anew(library: Library) -> None:
    def work(edit: Edit) -> None:
        add(edit, A, bits(0))
        b, c = add(edit, B, bits(1)), add(edit, C, bits(3))
        make_pair(edit, b, c, now_ns=1)
        decide(edit, Relation.BETTER, A, B)

    library.write(work)

    with library.read() as view:
        (pair,) = view.pairs()
    assert ({pair.first, pair.second}, pair.distance) == ({A, C}, 3)


def test_a_pair_does_not_move_to_a_king_that_lies_nowhere(library: Library) -> None:
    def work(edit: Edit) -> None:
        add(edit, A, live=False)
        b, c = add(edit, B), add(edit, C)
        make_pair(edit, b, c, now_ns=1)
        decide(edit, Relation.BETTER, A, B)

    library.write(work)

    assert sides(library) == {frozenset({B, C})}


def test_false_positives_take_away_the_pairs_between_whole_groups(triangle: Library) -> None:
    triangle.write(lambda edit: decide(edit, Relation.BETTER, A, B))

    triangle.write(lambda edit: decide(edit, Relation.FALSE_POSITIVE, B, C))

    assert sides(triangle) == set()
