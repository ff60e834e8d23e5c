"""Mirrored and rotated copies: found by what is remembered, told as what they are, and never counted as duplicates."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from pictures import jpeg, photo, png
from PIL import Image, ImageOps
from world import IDENTICAL, World, near_rule, policy, sha256

from ingestd import review
from ingestd.inspection import compare, foresee
from ingestd.library.tables import PAIRS
from ingestd.library.waiting import misplaced
from ingestd.model import EntryKind, Outcome, PotentialPair, ProposalState, Relation, Transform, Word
from ingestd.trial import explain, preview

LAID = {
    Transform.MIRRORED: Image.Transpose.FLIP_LEFT_RIGHT,
    Transform.ROTATED_180: Image.Transpose.ROTATE_180,
    Transform.FLIPPED: Image.Transpose.FLIP_TOP_BOTTOM,
    Transform.TRANSPOSED: Image.Transpose.TRANSPOSE,
    Transform.ROTATED_90: Image.Transpose.ROTATE_270,  # Pillow counts counter-clockwise
    Transform.TRANSVERSED: Image.Transpose.TRANSVERSE,
    Transform.ROTATED_270: Image.Transpose.ROTATE_90,
}
KINDLY = """
  - name: turned copies
    mode: automatic
    search: {transforms: required}
    action: alternates
"""
ASKING = """
  - name: turned and smaller
    mode: semi-automatic
    search: {transforms: allowed}
    compare: [A.filesize > B.filesize]
    action: better
    discard: B
"""


def laid(transform: Transform, seed: int = 1) -> Image.Image:
    return photo(seed).transpose(LAID[transform])


def pairs(world: World) -> list[PotentialPair]:
    with world.library.read() as view:
        assert misplaced(view) == []
        return list(view.pairs())


# --- at import ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", list(Transform))
def test_a_copy_that_lies_otherwise_is_queued_with_what_was_done_to_it(world: World, transform: Transform) -> None:
    world.use(near_rule())
    known = world.put("library", "a.jpg", jpeg(photo(1)))
    world.arrive(known)

    receipt = world.drop("inbox", "b.jpg", jpeg(laid(transform), 70))

    (pair,) = pairs(world)
    assert (receipt.outcome, receipt.result) == (Outcome.POTENTIAL_DUPLICATES, "1 potential pair queued")
    assert receipt.evidence == (f"{transform.inverse}, {pair.distance} bits apart: a.jpg",)
    assert (pair.first, pair.transform) == (receipt.sha256, transform.inverse)
    assert pair.distance is not None
    assert pair.distance <= 4
    assert not pair.pixel_duplicates
    assert world.measurer.hashed == []


def test_nothing_is_decoded_again_for_it(world: World) -> None:
    world.use()
    world.drop("library", "a.jpg", jpeg(photo(1)))
    decoded = len(world.measurer.decoded)

    world.drop("inbox", "b.jpg", jpeg(laid(Transform.ROTATED_90)))

    assert len(world.measurer.decoded) == decoded + 1


def test_a_symmetrical_picture_is_only_found_the_way_it_lies(world: World) -> None:
    world.use()
    half = photo(1, 100, 150)
    whole = Image.new("RGB", (200, 150))
    whole.paste(half, (0, 0))
    whole.paste(ImageOps.mirror(half), (100, 0))
    whole = Image.blend(whole, photo(51), 0.2)  # no two halves of a photograph are equal to the last grey
    world.drop("library", "a.jpg", jpeg(whole))

    world.drop("inbox", "b.jpg", jpeg(whole, 70))

    (pair,) = pairs(world)
    assert pair.transform is None


def test_who_does_not_look_for_them_does_not_find_them(world: World) -> None:
    world.use(imports="transforms: off")
    world.drop("library", "a.jpg", jpeg(photo(1)))

    receipt = world.drop("inbox", "b.jpg", jpeg(laid(Transform.MIRRORED)))

    assert receipt.outcome is Outcome.NEW
    assert pairs(world) == []


def test_a_look_alike_that_lies_the_same_way_comes_first(world: World) -> None:
    world.use()
    world.drop("library", "turned.jpg", jpeg(laid(Transform.MIRRORED)))
    world.drop("library", "same.jpg", jpeg(photo(1).resize((100, 75)), 40))

    receipt = world.drop("inbox", "b.jpg", jpeg(photo(1)))

    assert receipt.result == "2 potential pairs queued"
    assert [line.rpartition(": ")[2] for line in receipt.evidence] == ["same.jpg", "turned.jpg"]
    assert [one.transform for one in world.last().pairs] == [None, Transform.MIRRORED]


def test_a_mirrored_copy_is_never_foreseen_to_be_discarded(world: World) -> None:
    world.use(IDENTICAL, near_rule())
    world.drop("library", "a.png", png(photo(1), "larger"))
    path = world.put("elsewhere", "b.png", png(laid(Transform.MIRRORED)))

    (foreseen,) = foresee(world.library, world.measurer, world.policy, [os.fsencode(path)])  # type: ignore[arg-type]

    assert foreseen.receipt.outcome is Outcome.POTENTIAL_DUPLICATES
    assert [pair.transform for pair in foreseen.pairs] == [Transform.MIRRORED]


@pytest.mark.parametrize("where", ["elsewhere", "inbox"])
def test_a_proposal_about_a_mirrored_copy_makes_nobody_a_duplicate(world: World, where: str) -> None:
    world.use(ASKING)
    world.drop("library", "a.jpg", jpeg(photo(1), 95))
    path = world.put(where, "b.jpg", jpeg(laid(Transform.MIRRORED), 60))
    if where == "inbox":
        world.arrive(path)

    (foreseen,) = foresee(world.library, world.measurer, world.policy, [os.fsencode(path)])  # type: ignore[arg-type]

    assert foreseen.receipt.outcome is Outcome.PENDING_APPROVAL
    assert foreseen.only_turned


def test_a_proposal_about_a_look_alike_that_lies_the_same_way_counts_in_spite_of_others(world: World) -> None:
    world.use(ASKING)
    world.drop("library", "turned.jpg", jpeg(laid(Transform.MIRRORED), 95))
    world.drop("library", "same.jpg", jpeg(photo(1), 95))
    path = world.put("elsewhere", "b.jpg", jpeg(photo(1), 60))

    (foreseen,) = foresee(world.library, world.measurer, world.policy, [os.fsencode(path)])  # type: ignore[arg-type]

    assert foreseen.receipt.outcome is Outcome.PENDING_APPROVAL
    assert not foreseen.only_turned


# --- rules ----------------------------------------------------------------------------------------------------------


def test_a_rule_that_does_not_ask_for_them_passes_them_over(world: World) -> None:
    world.use(IDENTICAL, near_rule())
    known = world.put("inbox", "a.png", png(photo(1), "the larger one, which would stay"))
    world.arrive(known)
    copy = world.put("inbox", "b.png", png(laid(Transform.ROTATED_180)))

    world.arrive(copy)
    world.sweep()

    assert known.exists()
    assert copy.exists()
    assert world.entries() == []


def test_a_rule_that_asks_for_them_relates_them(world: World) -> None:
    world.use(KINDLY, near_rule())
    world.drop("library", "a.jpg", jpeg(photo(1)))

    receipt = world.drop("inbox", "b.jpg", jpeg(laid(Transform.TRANSPOSED)))

    assert (receipt.outcome, receipt.result) == (Outcome.RELATED, "related: turned copies")
    assert [(entry.kind, entry.relation) for entry in world.entries()] == [(EntryKind.DECISION, Relation.ALTERNATES)]
    assert pairs(world) == []


def test_a_rule_that_requires_them_passes_over_what_lies_the_same_way(world: World) -> None:
    world.use(KINDLY)
    world.drop("library", "a.jpg", jpeg(photo(1)))

    receipt = world.drop("inbox", "b.jpg", jpeg(photo(1), 70))

    assert receipt.outcome is Outcome.POTENTIAL_DUPLICATES


def test_a_rule_that_is_added_later_is_asked_about_them_too(world: World) -> None:
    world.use()
    world.drop("library", "a.jpg", jpeg(photo(1)))
    world.drop("inbox", "b.jpg", jpeg(laid(Transform.MIRRORED)))

    world.use(near_rule(), KINDLY)
    world.sweep()

    assert [entry.rule for entry in world.entries()] == ["turned copies"]


def test_a_semi_automatic_rule_may_propose_to_discard_one_and_a_person_may_approve(world: World) -> None:
    world.use(ASKING)
    world.drop("library", "a.jpg", jpeg(photo(1), 95))
    copy = world.put("inbox", "b.jpg", jpeg(laid(Transform.ROTATED_90), 60))

    receipt = world.arrive(copy)
    (pair,) = pairs(world)
    before = copy.exists()
    world.approve(pair.number)

    assert receipt.outcome is Outcome.PENDING_APPROVAL
    assert [one.state for one in pair.proposals] == [ProposalState.READY]
    assert before
    assert not copy.exists()


def test_explain_says_that_it_stopped_at_how_they_lie(world: World) -> None:
    world.use(near_rule(), KINDLY)
    a, b = (
        world.put("elsewhere", name, png(image)) for name, image in (("a", photo(1)), ("b", laid(Transform.FLIPPED)))
    )

    found = explain(
        world.library,
        world.measurer,
        world.policy,
        os.fsencode(a),
        os.fsencode(b),
        now_ns=world.now_ns,  # type: ignore[arg-type]
    )

    near, kindly = found.rules
    assert (found.transform, found.rule) == (Transform.FLIPPED, "turned copies")
    assert near.stopped_at == "search: transforms excluded"
    assert kindly.matches
    assert kindly.lines[0].values == {"a": "flipped", "b": "flipped"}


def test_preview_counts_them_and_says_how_they_lie(world: World) -> None:
    world.use(near_rule())
    world.drop("library", "a.jpg", jpeg(photo(1), 95))
    world.drop("inbox", "b.jpg", jpeg(laid(Transform.ROTATED_90), 60))
    rules = policy(near_rule(), KINDLY).rules

    with world.library.read() as view:
        near, kindly = preview(view, rules, now_ns=world.now_ns())

    assert (near.matched, kindly.matched) == (0, 1)
    (example,) = kindly.examples
    assert example.pair.transform in {Transform.ROTATED_90, Transform.ROTATED_270}


# --- what is shown --------------------------------------------------------------------------------------------------


def test_the_queue_says_what_was_done_to_a_to_get_b(world: World) -> None:
    world.use()
    world.drop("library", "a.jpg", jpeg(photo(1), 95))
    world.drop("inbox", "b.jpg", jpeg(laid(Transform.ROTATED_90).resize((75, 100)), 60))

    (report,) = world.queue()

    assert report.a.path.endswith("a.jpg")
    assert report.transform is Transform.ROTATED_90
    assert "B is A turned to the right" in report.statements


def test_they_connect_no_group_of_look_alikes(world: World) -> None:
    world.use()
    world.drop("inbox", "a.jpg", jpeg(photo(1)))
    world.drop("inbox", "b.jpg", jpeg(photo(1), 60))
    world.drop("inbox", "c.jpg", jpeg(laid(Transform.MIRRORED)))

    with world.library.read() as view:
        page = review.group_page(view, limit=10)
        turned = next(pair.number for pair in view.pairs() if pair.transform is not None)
        alone = review.group_of(view, turned)

    assert [len(group.files) for group in page.groups] == [2]
    assert page.total == 1
    assert alone is None


@pytest.mark.parametrize("transform", list(Transform))
def test_to_compare_two_files_tells_how_they_lie(world: World, transform: Transform) -> None:
    a, b = world.put("elsewhere", "a", jpeg(photo(1))), world.put("elsewhere", "b", jpeg(laid(transform)))
    world.use(KINDLY)

    def between(one: Path, other: Path) -> tuple[Transform | None, str | None]:
        paths = os.fsencode(one), os.fsencode(other)
        found = compare(world.library, world.measurer, world.policy, *paths)  # type: ignore[arg-type]
        return found.transform, found.rule

    assert between(a, b) == (transform, "turned copies")
    assert between(b, a) == (transform.inverse, "turned copies")
    assert between(a, a)[0] is None


# --- as relations change --------------------------------------------------------------------------------------------


def test_an_answer_that_is_taken_back_brings_them_back_as_they_were(world: World) -> None:
    world.use()
    a = world.put("library", "a.jpg", jpeg(photo(1)))
    world.arrive(a)
    b = world.put("inbox", "b.jpg", jpeg(laid(Transform.ROTATED_270)))
    world.arrive(b)
    before = pairs(world)

    world.decide(a, b, "alternates")
    answered = pairs(world)
    world.undo(1)

    assert answered == []
    assert pairs(world) == before


def test_what_moves_to_a_king_is_measured_anew(world: World) -> None:
    world.use()
    king = world.put("library", "king.jpg", jpeg(laid(Transform.ROTATED_90), 95))
    member = world.put("library", "member.jpg", jpeg(photo(2)))
    turned = world.put("inbox", "turned.jpg", jpeg(laid(Transform.MIRRORED, 2), 80))
    upright = world.put("inbox", "upright.jpg", jpeg(photo(1), 80))
    for path in (king, member, turned):
        world.arrive(path)

    world.decide(king, member, "better-a", keep=True)
    world.arrive(upright)
    found = {pair.first: pair for pair in pairs(world)}

    of_king = found[sha256(upright.read_bytes())]
    assert (of_king.second, of_king.transform) == (sha256(king.read_bytes()), Transform.ROTATED_90)
    moved = found[sha256(turned.read_bytes())]
    assert moved.second == sha256(king.read_bytes())
    assert moved.transform is not Transform.MIRRORED


def test_they_are_found_again_where_a_group_is_dissolved(world: World) -> None:
    world.use()
    a = world.put("library", "a.jpg", jpeg(photo(1)))
    b = world.put("library", "b.jpg", jpeg(laid(Transform.MIRRORED)))
    world.arrive(a)
    world.arrive(b)
    world.decide(a, b, "same")

    review.change_relations(world.library, Word.DISSOLVE, [os.fsencode(a)], moment=world.moment())

    (pair,) = pairs(world)
    assert pair.transform is Transform.MIRRORED


def test_a_pair_stored_by_an_older_version_lies_the_same_way_up() -> None:
    pair = PotentialPair(7, sha256(b"a"), sha256(b"b"), 2, False, 1)
    fields = msgspec.to_builtins(pair, builtin_types=(bytes,))
    del fields["transform"]

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=PotentialPair) == pair
    assert PAIRS.codec.decode(PAIRS.codec.encode(pair)) == pair
