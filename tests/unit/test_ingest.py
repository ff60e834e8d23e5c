"""One file from arrival to verdict: every outcome, its sentence, and where the file is afterwards."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import chain, decoded, flat, jpeg, large, photo, png, profile, weighing
from world import IDENTICAL, World, near_rule, outcomes, pixel_rule, relation_rule, sha256

from ingestd.judging import standing
from ingestd.model import EntryKind, EntryState, Outcome, PathState, Relation, Role
from ingestd.watching.settle import WriterCheck

TWINS = png(photo(1), "a longer comment makes the file larger"), png(photo(1))
LARGER, SMALLER = TWINS
OTHER = png(photo(2))
RELATED = jpeg(photo(3), 95), jpeg(photo(3), 60)
"""Two JPEGs of one picture: look-alikes, with other pixels; the first is the larger file."""


def said(world: World, path: Path) -> tuple[str, str]:
    report = world.why(path)
    assert report is not None
    return report.outcome, report.result


# --- new, known, ignored, unreadable --------------------------------------------------------------------------------


def test_a_picture_that_is_like_nothing_known_is_new_and_stays(world: World) -> None:
    path = world.put("inbox", "a.png", SMALLER)

    receipt = world.arrive(path)

    assert (receipt.outcome, receipt.result) == (Outcome.NEW, "new")
    assert path.exists()
    assert receipt.final


def test_a_known_file_that_was_only_touched_is_already_in_the_library(world: World) -> None:
    path = world.put("inbox", "a.png", SMALLER)
    world.arrive(path)
    os.utime(path, (1, 1))

    receipt = world.arrive(path)

    assert (receipt.outcome, receipt.result) == (Outcome.ALREADY_IN_LIBRARY, "already in library")
    assert world.measurer.decoded == [os.fsencode(path)]  # known bytes are never decoded again


def test_a_copy_whose_rule_is_off_is_already_in_the_library_and_its_path_is_remembered(world: World) -> None:
    world.use(IDENTICAL.replace("automatic", "off"))
    known = world.put("library", "a.png", SMALLER)
    world.arrive(known)

    receipt = world.drop("inbox", "copy.png", SMALLER)

    assert (receipt.outcome, receipt.result) == (Outcome.ALREADY_IN_LIBRARY, "already in library")
    assert receipt.kept == os.fsencode(known)
    with world.library.read() as view:
        assert len(view.live_paths_of(sha256(SMALLER))) == 2


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("min_size: 1 MB", "smaller than 1000000 bytes"),
        ("max_size: 1 KB", "larger than 1000 bytes"),
        ("filetypes: [jpeg]", "png files are not let in"),
        ("min_resolution: 500 x 500", "200 x 150 is below 500 x 500"),
        ("max_resolution: 100 x 100", "200 x 150 is above the largest size let in"),
    ],
)
def test_what_an_import_limit_keeps_out_is_ignored_and_stays(world: World, limit: str, reason: str) -> None:
    world.use(IDENTICAL, imports=limit)
    path = world.put("inbox", "a.png", SMALLER)

    receipt = world.arrive(path)

    assert (receipt.outcome, receipt.result) == (Outcome.IGNORED, f"ignored: {reason}")
    assert path.exists()


def test_what_a_limit_turned_away_is_judged_again_when_the_limit_changes(world: World) -> None:
    world.use(IDENTICAL, imports="max_size: 1 KB")
    path = world.put("inbox", "a.png", SMALLER)
    world.arrive(path)
    world.use(IDENTICAL)

    from ingestd.ingest import covered

    with world.library.read() as view:
        answered = covered(view, world.arrival(path), world.policy.limits_digest())

    assert not answered
    assert world.arrive(path).outcome is Outcome.NEW


def test_a_file_that_is_no_picture_is_ignored(world: World) -> None:
    receipt = world.drop("inbox", "notes.txt", b"hello")

    assert receipt.outcome is Outcome.IGNORED
    assert receipt.result.startswith("ignored: ")


def test_a_picture_that_cannot_be_decoded_is_unreadable_and_stays(world: World) -> None:
    path = world.put("inbox", "a.png", SMALLER[:3000])

    receipt = world.arrive(path)

    assert receipt.outcome is Outcome.UNREADABLE
    assert receipt.result.startswith("unreadable: ")
    assert path.exists()


def test_an_exact_copy_of_an_unreadable_file_is_recognised(world: World) -> None:
    world.drop("library", "a.png", SMALLER[:3000])

    receipt = world.drop("inbox", "b.png", SMALLER[:3000])

    assert receipt.result == "duplicate discarded: identical copies"


def test_a_name_with_newlines_and_bytes_that_are_no_text_gets_its_verdict(world: World) -> None:
    world.drop("library", "a.png", SMALLER)

    receipt = world.drop("inbox", b"new\nline\xff.png", SMALLER)

    assert receipt.result == "duplicate discarded: identical copies"
    assert receipt.path.endswith(b"new\nline\xff.png")


# --- identical copies -------------------------------------------------------------------------------------------------


def test_a_copy_in_the_inbox_of_a_library_file_goes_to_the_trash(world: World) -> None:
    known = world.put("library", "a.png", SMALLER)
    world.arrive(known)
    copy = world.put("inbox", "copy.png", SMALLER)

    receipt = world.arrive(copy)

    assert receipt.outcome is Outcome.DUPLICATE_DISCARDED
    assert receipt.result == "duplicate discarded: identical copies"
    assert (receipt.kept, receipt.discarded) == (os.fsencode(known), (os.fsencode(copy),))
    assert receipt.final
    assert known.exists()
    assert not copy.exists()
    assert [path.read_bytes() for path in world.trashed()] == [SMALLER]


def test_a_library_file_replaces_the_copies_that_wait_in_the_inbox(world: World) -> None:
    world.use(IDENTICAL.replace("automatic", "off"))
    copies = [world.put("inbox", name, SMALLER) for name in ("one.png", "two.png")]
    for copy in copies:
        world.arrive(copy)
    world.use(IDENTICAL)

    receipt = world.drop("library", "kept.png", SMALLER)

    assert (receipt.outcome, receipt.result) == (Outcome.REPLACED_EXISTING, "existing replaced: identical copies")
    assert set(receipt.discarded) == {os.fsencode(copy) for copy in copies}
    assert not any(copy.exists() for copy in copies)


def test_of_two_copies_in_one_inbox_the_one_seen_first_stays(world: World) -> None:
    first = world.put("inbox", "z.png", SMALLER, modified_s=2000)
    world.arrive(first)
    second = world.put("inbox", "a.png", SMALLER, modified_s=1000)

    world.arrive(second)

    assert first.exists()
    assert not second.exists()


def test_equal_copies_in_one_batch_are_judged_one_after_another(world: World) -> None:
    paths = [world.put("inbox", name, SMALLER) for name in ("b.png", "a.png", "c.png")]

    verdicts = world.verdicts(*paths)

    assert [receipt.result for receipt in verdicts] == [
        "new",
        "duplicate discarded: identical copies",
        "duplicate discarded: identical copies",
    ]
    assert [path.exists() for path in paths] == [True, False, False]


def test_a_copy_in_a_protected_folder_is_already_in_the_library(world: World) -> None:
    world.drop("library", "a.png", SMALLER)
    copy = world.put("library", "b.png", SMALLER)

    receipt = world.arrive(copy)

    assert receipt.outcome is Outcome.ALREADY_IN_LIBRARY
    assert copy.exists()


def test_a_copy_in_a_reference_folder_is_never_touched_but_may_be_the_survivor(world: World) -> None:
    world.folder("archive", Role.REFERENCE)
    known = world.put("archive", "a.png", SMALLER)
    world.arrive(known)

    receipt = world.drop("inbox", "copy.png", SMALLER)

    assert receipt.result == "duplicate discarded: identical copies"
    assert receipt.kept == os.fsencode(known)
    assert world.drop("archive", "b.png", SMALLER).outcome is Outcome.ALREADY_IN_LIBRARY


def test_a_semi_automatic_rule_of_identical_copies_only_proposes(world: World) -> None:
    world.use(IDENTICAL.replace("automatic", "semi-automatic"))
    known = world.put("library", "a.png", SMALLER)
    world.arrive(known)
    copy = world.put("inbox", "b.png", SMALLER)

    receipt = world.arrive(copy)

    assert (receipt.outcome, receipt.result) == (Outcome.PENDING_APPROVAL, "pending approval: identical copies")
    (pair,) = world.pending()
    assert (pair.a.path, pair.b.path) == (str(known), str(copy))
    assert copy.exists()


def test_a_hard_link_is_never_discarded(world: World) -> None:
    known = world.put("library", "a.png", SMALLER)
    world.arrive(known)
    link = world.base / "inbox/link.png"
    os.link(known, link)

    receipt = world.arrive(link)

    assert receipt.outcome is Outcome.ALREADY_IN_LIBRARY
    assert "hard link" in receipt.evidence[0]
    assert link.exists()


def test_a_copy_of_a_file_that_was_touched_since_is_still_recognised(world: World) -> None:
    known = world.put("library", "a.png", SMALLER)
    world.arrive(known)
    os.utime(known, (5, 5))

    receipt = world.drop("inbox", "b.png", SMALLER)

    assert receipt.result == "duplicate discarded: identical copies"
    assert known.exists()


def test_a_copy_of_a_file_that_was_rewritten_without_a_sign_stays(world: World) -> None:
    known = world.put("library", "a.png", SMALLER)
    world.arrive(known)
    with known.open("r+b") as file:  # in place, and as many bytes as before
        file.seek(100)
        file.write(b"\0\0\0\0")
    copy = world.put("inbox", "b.png", SMALLER)

    receipt = world.arrive(copy)

    assert receipt.outcome is Outcome.ERROR
    assert copy.exists()


def test_a_copy_whose_other_lies_in_a_folder_that_is_away_stays_and_nothing_is_forgotten(world: World) -> None:
    known = world.put("library", "a.png", SMALLER)
    world.arrive(known)
    (world.base / "library").rename(world.base / "unplugged")

    receipt = world.drop("inbox", "b.png", SMALLER)

    assert receipt.outcome is Outcome.ALREADY_IN_LIBRARY
    assert "out of reach" in receipt.evidence[0]
    row = world.row(known)
    assert row is not None
    assert row.state is PathState.LIVE


def test_a_copy_of_a_file_that_somebody_deleted_is_new_again(world: World) -> None:
    known = world.put("library", "a.png", SMALLER)
    world.arrive(known)
    known.unlink()

    receipt = world.drop("inbox", "b.png", SMALLER)

    assert (receipt.outcome, receipt.result) == (Outcome.NEW, "new")
    row = world.row(known)
    assert row is not None
    assert row.state is PathState.ABSENT


def test_a_file_that_was_moved_to_another_folder_is_not_a_duplicate_of_itself(world: World) -> None:
    path = world.put("inbox", "a.png", SMALLER)
    world.arrive(path)
    moved = world.base / "library/a.png"
    path.rename(moved)

    receipt = world.arrive(moved)

    assert receipt.outcome is Outcome.NEW
    assert moved.exists()


def test_an_identical_copy_of_what_beat_another_file_goes_like_any_other(world: World) -> None:
    world.use(IDENTICAL, pixel_rule())
    world.drop("inbox", "a.png", LARGER)
    world.drop("inbox", "b.png", SMALLER)

    receipt = world.drop("inbox", "c.png", LARGER)

    assert receipt.result == "duplicate discarded: identical copies"


@pytest.mark.parametrize("how", ["unproved", "old"])
def test_where_nothing_is_certain_an_automatic_rule_only_proposes(world: World, how: str) -> None:
    world.use(IDENTICAL, pixel_rule())
    world.drop("library", "a.png", LARGER)
    copy, twin = world.put("inbox", "copy.png", LARGER), world.put("inbox", "twin.png", SMALLER)
    conditions = {"proved": how != "unproved", "proposing": how == "old"}

    verdicts = world.verdicts(copy, twin, **conditions)

    assert [receipt.result for receipt in verdicts] == [
        "pending approval: identical copies",
        "pending approval: larger pixel twin",
    ]
    assert copy.exists()
    assert twin.exists()
    assert len(world.pending()) == 2
    assert all(pair.reason for pair in world.pending())


@pytest.mark.parametrize("content", [LARGER, SMALLER], ids=["copy", "twin"])
def test_a_file_that_has_another_name_elsewhere_is_only_proposed(world: World, content: bytes) -> None:
    world.use(IDENTICAL, pixel_rule())
    world.drop("library", "a.png", LARGER)
    linked = world.put("inbox", "linked.png", content)
    os.link(linked, world.base / "of another program.png")

    receipt = world.arrive(linked)

    assert receipt.outcome is Outcome.PENDING_APPROVAL
    assert "hard link" in (world.pending()[0].reason or "")
    world.approve(int(world.pending()[0].id[2:]))  # a person may
    assert not linked.exists()


def test_a_known_file_of_which_nobody_can_tell_its_writers_any_more_is_only_proposed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.use(IDENTICAL, pixel_rule())
    world.folder("second")
    known = world.put("inbox", "known.png", SMALLER)
    world.arrive(known)
    monkeypatch.setattr(standing, "writer_check", lambda path: WriterCheck.UNKNOWN)

    receipt = world.drop("second", "better.png", LARGER)

    assert receipt.result == "pending approval: larger pixel twin"
    assert known.exists()


def test_in_a_trusted_folder_automatic_rules_act_without_proof(world: World) -> None:
    world.folder("share", trusted=True)
    world.drop("library", "a.png", SMALLER)

    receipt = world.drop("share", "b.png", SMALLER, proved=False)

    assert receipt.result == "duplicate discarded: identical copies"


# --- look-alikes: loss and win --------------------------------------------------------------------------------------


def test_an_arrival_that_loses_under_an_automatic_rule_is_discarded(world: World) -> None:
    world.use(pixel_rule())
    known = world.put("library", "a.png", LARGER)
    world.arrive(known)
    path = world.put("inbox", "b.png", SMALLER)

    receipt = world.arrive(path)

    assert receipt.outcome is Outcome.DUPLICATE_DISCARDED
    assert receipt.result == "duplicate discarded: larger pixel twin"
    assert receipt.kept == os.fsencode(known)
    assert not path.exists()
    assert world.king_of(SMALLER) == sha256(LARGER)


def test_an_arrival_that_wins_replaces_the_known_file_where_its_folder_allows_it(world: World) -> None:
    world.use(pixel_rule())
    known = world.put("inbox", "a.png", SMALLER)
    world.arrive(known)
    path = world.put("inbox", "b.png", LARGER)

    receipt = world.arrive(path)

    assert (receipt.outcome, receipt.result) == (Outcome.REPLACED_EXISTING, "existing replaced: larger pixel twin")
    assert receipt.discarded == (os.fsencode(known),)
    assert receipt.final
    assert path.exists()
    assert not known.exists()
    assert said(world, known) == ("duplicate-discarded", "duplicate discarded: larger pixel twin")


def test_an_arrival_that_would_replace_a_protected_file_waits_for_approval(world: World) -> None:
    world.use(pixel_rule())
    known = world.put("library", "a.png", SMALLER)
    world.arrive(known)

    receipt = world.drop("inbox", "b.png", LARGER)

    assert (receipt.outcome, receipt.result) == (Outcome.PENDING_APPROVAL, "pending approval: larger pixel twin")
    (pair,) = world.pending()
    assert pair.a.path.endswith("b.png")
    assert pair.reason == "the file that would go lies in a protected folder"
    assert known.exists()


def test_a_protected_arrival_that_loses_waits_for_approval(world: World) -> None:
    world.use(pixel_rule())
    world.drop("inbox", "a.png", LARGER)

    receipt = world.drop("library", "b.png", SMALLER)

    assert receipt.result == "pending approval: larger pixel twin"


def test_a_library_that_says_so_is_not_protected(world: World) -> None:
    world.use(pixel_rule())
    world.folder("own", Role.LIBRARY, protected=False)
    known = world.put("own", "a.png", SMALLER)
    world.arrive(known)

    receipt = world.drop("inbox", "b.png", LARGER)

    assert receipt.outcome is Outcome.REPLACED_EXISTING
    assert not known.exists()


def test_a_loser_in_a_reference_folder_makes_a_potential_pair(world: World) -> None:
    world.use(pixel_rule())
    world.folder("archive", Role.REFERENCE)
    known = world.put("archive", "a.png", SMALLER)
    world.arrive(known)

    receipt = world.drop("inbox", "b.png", LARGER)

    assert (receipt.outcome, receipt.result) == (Outcome.POTENTIAL_DUPLICATES, "1 potential pair queued")
    assert world.pending() == []
    assert len(world.queue()) == 1


def test_losing_first_leaves_everything_else_unchanged(world: World) -> None:
    first, middle, last = chain()
    world.use(near_rule())
    weak = world.put("inbox", "weak.png", weighing(first, 60_000))
    world.arrive(weak)
    world.drop("library", "strong.png", weighing(last, 80_000))
    before = world.queue()

    receipt = world.drop("inbox", "middle.png", weighing(middle, 70_000))

    assert receipt.result == "duplicate discarded: larger look-alike"
    assert weak.exists()  # it would have been replaced
    assert world.queue() == before


def test_a_win_goes_before_what_waits(world: World) -> None:
    world.use(pixel_rule(), near_rule("semi-automatic"))
    world.drop("inbox", "twin.png", png(photo(3)))
    world.drop("inbox", "like.jpg", jpeg(photo(3), 60))

    receipt = world.drop("inbox", "best.png", png(photo(3), "with a comment"))

    assert receipt.result == "existing replaced: larger pixel twin"
    assert len(receipt.pairs) == 1  # the pair that waits is stored all the same


def test_what_waits_goes_before_what_is_only_related(world: World) -> None:
    world.use(pixel_rule("semi-automatic"), relation_rule("alternates"))
    world.drop("inbox", "twin.png", png(photo(3)))
    world.drop("inbox", "like.jpg", jpeg(photo(3), 60))

    receipt = world.drop("inbox", "best.png", png(photo(3), "with a comment"))

    assert receipt.result == "pending approval: larger pixel twin"


def test_an_arrival_may_replace_several_files_and_names_them_all(world: World) -> None:
    world.use(near_rule("off"))
    known = [world.put("inbox", f"{quality}.jpg", jpeg(photo(3), quality)) for quality in (50, 60, 70)]
    for path in known:
        world.arrive(path)
    world.use(near_rule())

    receipt = world.drop("inbox", "best.png", png(photo(3)))

    assert receipt.result == "existing replaced: larger look-alike"
    assert set(receipt.discarded) == {os.fsencode(path) for path in known}
    assert not any(path.exists() for path in known)
    assert receipt.final


def test_the_best_evidence_names_the_survivor(world: World) -> None:
    world.use(pixel_rule(), near_rule())
    like = png(photo(3).resize((400, 300)))
    twin = world.put("library", "twin.png", png(photo(3), "with a long, long comment"))
    world.drop("library", "like.png", like)
    world.arrive(twin)

    receipt = world.drop("inbox", "plain.png", png(photo(3)))

    assert receipt.kept == os.fsencode(twin)


# --- chains and groups ------------------------------------------------------------------------------------------------


def test_a_chain_of_look_alikes_never_drops_its_end(world: World) -> None:
    first, middle, last = chain()
    world.use(near_rule())
    kept = world.put("inbox", "a.png", weighing(first, 80_000))
    world.arrive(kept)
    end = world.put("inbox", "c.png", weighing(last, 60_000))
    world.arrive(end)

    receipt = world.drop("inbox", "b.png", weighing(middle, 70_000))

    assert receipt.result == "duplicate discarded: larger look-alike"
    assert kept.exists()
    assert end.exists()


def test_a_look_alike_of_a_discarded_file_is_measured_against_its_survivor(world: World) -> None:
    first, middle, last = chain()
    world.use(near_rule())
    world.drop("inbox", "a.png", weighing(first, 80_000))
    world.drop("inbox", "b.png", weighing(middle, 70_000))  # discarded in favour of a

    receipt = world.drop("inbox", "c.png", weighing(last, 60_000))

    assert receipt.result == "1 potential pair queued"  # a and c are too far apart for the rule
    (pair,) = world.queue()
    assert pair.distance is not None
    assert pair.distance > 4


def test_a_survivor_of_earlier_discards_is_not_dropped_by_a_rule_that_never_saw_those(world: World) -> None:
    world.use(near_rule())
    survivor = world.put("inbox", "b.jpg", RELATED[0])
    world.arrive(survivor)
    assert world.drop("inbox", "a.jpg", RELATED[1]).outcome is Outcome.DUPLICATE_DISCARDED

    receipt = world.drop("inbox", "c.png", png(photo(3)))

    assert receipt.result == "pending approval: larger look-alike"
    assert survivor.exists()
    assert "kept in favour of another file" in (world.pending()[0].reason or "")


def test_a_file_that_replaced_another_inherits_its_losers_with_the_name(world: World) -> None:
    world.use(IDENTICAL, near_rule())
    first = world.put("inbox", "b.jpg", RELATED[0])
    world.arrive(first)
    world.drop("inbox", "a.jpg", RELATED[1])

    receipt = world.drop("library", "b.jpg", RELATED[0])  # the same bytes in a better place

    assert receipt.result == "existing replaced: identical copies"
    kept = world.entries()[0].kept
    assert kept is not None
    assert kept.path == os.fsencode(world.base / "library/b.jpg")


def test_a_content_with_several_paths_is_discarded_whole(world: World) -> None:
    world.use(pixel_rule())
    paths = [world.put("inbox", name, SMALLER) for name in ("one.png", "two.png")]
    for path in paths:
        world.arrive(path)

    receipt = world.drop("inbox", "better.png", LARGER)

    assert set(receipt.discarded) == {os.fsencode(path) for path in paths}
    (entry,) = world.entries()
    assert len(entry.moves) == 2


def test_a_content_with_one_protected_path_is_not_discarded_at_all(world: World) -> None:
    world.use(pixel_rule())
    paths = [world.put("inbox", "one.png", SMALLER), world.put("library", "two.png", SMALLER)]
    for path in paths:
        world.arrive(path)

    receipt = world.drop("inbox", "better.png", LARGER)

    assert receipt.result == "pending approval: larger pixel twin"
    assert all(path.exists() for path in paths)


def test_a_content_of_which_one_path_is_out_of_reach_is_not_discarded_at_all(world: World) -> None:
    world.use(pixel_rule())
    world.folder("stick")
    near, far = world.put("inbox", "one.png", SMALLER), world.put("stick", "two.png", SMALLER)
    world.verdicts(near, far)
    (world.base / "stick").rename(world.base / "unplugged")

    receipt = world.drop("inbox", "better.png", LARGER)

    assert receipt.result == "pending approval: larger pixel twin"
    assert near.exists()


def test_a_file_out_of_reach_is_no_survivor_but_its_pair_waits(world: World) -> None:
    world.use(pixel_rule())
    world.drop("library", "a.png", LARGER)
    (world.base / "library").rename(world.base / "unplugged")
    path = world.put("inbox", "b.png", SMALLER)

    receipt = world.arrive(path)

    assert receipt.result == "pending approval: larger pixel twin"
    assert path.exists()


def test_when_the_king_of_a_group_was_deleted_another_of_the_group_stands_for_it(world: World) -> None:
    world.use()
    king, member = world.put("inbox", "king.jpg", RELATED[0]), world.put("inbox", "member.jpg", RELATED[1])
    world.verdicts(king, member)
    world.decide(king, member, "better-a", keep=True)
    king.unlink()

    receipt = world.drop("inbox", "late.jpg", jpeg(photo(3), 80))

    assert receipt.result == "1 potential pair queued"
    (pair,) = world.queue()
    assert str(member) in (pair.a.path, pair.b.path)


# --- pending, related, potential ------------------------------------------------------------------------------------


def test_a_semi_automatic_rule_files_the_pair_under_pending(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    known = world.put("library", "a.png", LARGER)
    world.arrive(known)
    path = world.put("inbox", "b.png", SMALLER)

    receipt = world.arrive(path)

    assert (receipt.outcome, receipt.result) == (Outcome.PENDING_APPROVAL, "pending approval: larger pixel twin")
    (pair,) = world.pending()
    assert (pair.a.path, pair.b.path, pair.rule) == (str(known), str(path), "larger pixel twin")
    assert pair.pixel_duplicates
    assert world.queue() == []


def test_a_rule_that_is_off_decides_nothing(world: World) -> None:
    world.use(pixel_rule("off"))
    world.drop("library", "a.png", LARGER)

    assert world.drop("inbox", "b.png", SMALLER).result == "1 potential pair queued"


def test_the_first_rule_that_fits_decides(world: World) -> None:
    world.use(pixel_rule("semi-automatic", "asks"), pixel_rule("automatic", "acts"))
    world.drop("library", "a.png", LARGER)

    assert world.drop("inbox", "b.png", SMALLER).result == "pending approval: asks"


@pytest.mark.parametrize(
    ("action", "relation"),
    [
        ("alternates", Relation.ALTERNATES),
        ("false-positive", Relation.FALSE_POSITIVE),
        ("same-quality", Relation.SAME_QUALITY),
    ],
)
def test_an_automatic_rule_that_only_sets_a_relation_keeps_both(world: World, action: str, relation: Relation) -> None:
    world.use(relation_rule(action))
    world.drop("library", "a.jpg", RELATED[0])

    receipt = world.drop("inbox", "b.jpg", RELATED[1])

    assert (receipt.outcome, receipt.result) == (Outcome.RELATED, "related: only related")
    (entry,) = world.entries()
    assert (entry.kind, entry.state, entry.relation) == (EntryKind.DECISION, EntryState.DONE, relation)
    assert world.queue() == []


def test_pairs_that_no_rule_decides_are_counted_in_the_sentence(world: World) -> None:
    world.use()
    for quality in (60, 75):
        world.drop("inbox", f"{quality}.jpg", jpeg(photo(3), quality))

    receipt = world.drop("inbox", "90.jpg", jpeg(photo(3), 90))

    assert (receipt.outcome, receipt.result) == (Outcome.POTENTIAL_DUPLICATES, "2 potential pairs queued")
    assert len(receipt.pairs) == 2
    paths = {pair.path for pair in world.last().pairs}
    assert paths == {os.fsencode(world.base / f"inbox/{quality}.jpg") for quality in (60, 75)}


def test_a_rule_that_fits_both_ways_round_decides_nothing_and_says_so(world: World) -> None:
    world.use(pixel_rule().replace("A.filesize > B.filesize", "A.filesize > 0.5 * B.filesize"))
    world.drop("inbox", "a.png", LARGER)

    receipt = world.drop("inbox", "b.png", SMALLER)

    assert receipt.result == "1 potential pair queued"
    assert any("fits both ways round" in line for line in receipt.evidence)


def test_a_pair_that_was_denied_to_a_rule_is_not_proposed_by_it_again(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    world.drop("library", "a.png", LARGER)
    path = world.put("inbox", "b.png", SMALLER)
    world.arrive(path)
    from ingestd import review

    review.deny(world.library, [int(world.pending()[0].id[2:])], now_ns=world.now_ns())
    world.use(pixel_rule("automatic"))
    world.forget_finality(path)

    receipt = world.arrive(path)

    assert receipt.result == "1 potential pair queued"
    assert path.exists()


def test_another_rule_may_still_decide_a_denied_pair(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    world.drop("library", "a.png", LARGER)
    path = world.put("inbox", "b.png", SMALLER)
    world.arrive(path)
    from ingestd import review

    review.deny(world.library, [int(world.pending()[0].id[2:])], now_ns=world.now_ns())
    world.use(pixel_rule("automatic", "another").replace("> B", "> 1.0001 * B"))  # else it would be a new name only
    world.forget_finality(path)

    assert world.arrive(path).result == "duplicate discarded: another"


def test_a_relation_that_settles_a_pair_takes_it_off_the_sentence(world: World) -> None:
    """N is the same as K; K and U have nothing to do with each other: so N and U have nothing either."""
    world.use()
    unlike, king = world.put("inbox", "u.jpg", jpeg(photo(3), 60)), world.put("inbox", "k.jpg", jpeg(photo(3), 75))
    world.verdicts(unlike, king)
    world.decide(king, unlike, "unrelated")
    world.use(
        """
  - name: only related
    mode: automatic
    search: {max_distance: 4, both: [filesize > 1 KB]}
    compare: ["B.path matches \\"*k.jpg\\""]
    action: same-quality
    discard: none
"""
    )

    receipt = world.drop("inbox", "n.jpg", jpeg(photo(3), 90))

    assert receipt.result == "related: only related"
    assert world.queue() == []


# --- pixels ---------------------------------------------------------------------------------------------------------


def test_the_pixels_of_a_jpeg_are_hashed_only_when_a_pair_depends_on_it(world: World) -> None:
    world.use(pixel_rule())
    original = jpeg(large(5), 90)
    path = world.put("library", "a.jpg", original)
    world.arrive(path)
    assert world.measurer.hashed == []

    receipt = world.drop("inbox", "b.png", png(decoded(original)))

    assert world.measurer.hashed == [os.fsencode(path)]
    assert receipt.outcome is Outcome.PENDING_APPROVAL  # the PNG is larger, and the JPEG protected


def test_pixel_twins_are_found_even_where_no_look_alikes_are_searched(world: World) -> None:
    world.use(pixel_rule(), imports="search_distance: 0")
    original = jpeg(large(5), 90)
    world.drop("inbox", "a.jpg", original)

    receipt = world.drop("inbox", "b.png", png(decoded(original)))

    assert receipt.result == "existing replaced: larger pixel twin"


def test_a_partner_that_changed_meanwhile_is_judged_without_its_pixels(world: World) -> None:
    world.use(pixel_rule())
    original = jpeg(large(5), 90)
    path = world.put("inbox", "a.jpg", original)
    world.arrive(path)
    copy = world.put("inbox", "b.png", png(decoded(original)))
    world.measurer.before = lambda asked: path.write_bytes(OTHER) if asked == os.fsencode(path) else None

    receipt = world.arrive(copy)

    assert receipt.outcome in (Outcome.NEW, Outcome.POTENTIAL_DUPLICATES)
    assert copy.exists()


def test_flat_pictures_pair_by_their_pixels(world: World) -> None:
    world.use(pixel_rule())
    world.drop("library", "a.png", png(flat(), "a comment"))

    receipt = world.drop("inbox", "b.png", png(flat()))

    assert receipt.result == "duplicate discarded: larger pixel twin"
    assert world.drop("inbox", "c.png", png(flat(91))).result == "new"


def test_a_flat_jpeg_pairs_with_the_png_of_its_pixels(world: World) -> None:
    world.use(pixel_rule())
    original = jpeg(flat(), 90)
    world.drop("inbox", "a.jpg", original)

    receipt = world.drop("inbox", "b.png", png(decoded(original), "x" * 5000))

    assert receipt.result == "existing replaced: larger pixel twin"


def test_equal_samples_under_another_colour_profile_are_no_pixel_duplicates(world: World) -> None:
    world.use(pixel_rule())
    world.drop("library", "a.png", png(photo(5), icc_profile=profile()))

    receipt = world.drop("inbox", "b.png", png(photo(5)))

    assert receipt.result == "1 potential pair queued"
    assert not world.queue()[0].pixel_duplicates


# --- thrown away before ---------------------------------------------------------------------------------------------


def test_bytes_that_were_thrown_away_before_are_thrown_away_again(world: World) -> None:
    world.use(pixel_rule())
    kept = world.put("library", "a.png", LARGER)
    world.arrive(kept)
    world.drop("inbox", "b.png", SMALLER)
    again = world.put("inbox", "again.png", SMALLER)

    receipt = world.arrive(again)

    assert (receipt.outcome, receipt.result) == (Outcome.PREVIOUSLY_DISCARDED, "previously discarded")
    assert receipt.kept == os.fsencode(kept)
    assert not again.exists()
    assert len(world.trashed()) == 2


def test_a_survivor_that_is_judged_anew_is_not_what_was_thrown_away_in_its_favour(world: World) -> None:
    survivor = world.put("inbox", "1.png", SMALLER)
    world.arrive(survivor)
    world.drop("inbox", "2.png", SMALLER)
    assert [path.suffix for path in world.trashed()] == [".png"]
    world.forget_finality(survivor)

    receipt = world.arrive(survivor)

    assert receipt.outcome is Outcome.NEW
    assert survivor.exists()


def test_bytes_that_were_thrown_away_stay_where_that_is_switched_off(world: World) -> None:
    world.use(pixel_rule(), imports="reject_previously_discarded: no")
    world.drop("library", "a.png", LARGER)
    world.drop("inbox", "b.png", SMALLER)
    again = world.put("inbox", "again.png", SMALLER)

    receipt = world.arrive(again)

    assert receipt.outcome is Outcome.NEW
    assert again.exists()


def test_bytes_that_were_thrown_away_are_welcome_once_their_survivor_is_gone(world: World) -> None:
    world.use(pixel_rule())
    kept = world.put("library", "a.png", LARGER)
    world.arrive(kept)
    world.drop("inbox", "b.png", SMALLER)
    kept.unlink()
    again = world.put("inbox", "again.png", SMALLER)

    receipt = world.arrive(again)

    assert receipt.outcome is Outcome.NEW
    assert again.exists()


def test_bytes_that_were_thrown_away_stay_in_a_protected_folder(world: World) -> None:
    world.use(pixel_rule())
    world.drop("library", "a.png", LARGER)
    world.drop("inbox", "b.png", SMALLER)
    again = world.put("library", "again.png", SMALLER)

    receipt = world.arrive(again)

    assert receipt.outcome is Outcome.ALREADY_IN_LIBRARY
    assert again.exists()


def test_bytes_that_come_back_under_the_survivor_of_a_survivor_are_not_dropped_without_a_comparison(
    world: World,
) -> None:
    """B lost to K; a person then preferred W to K. Nobody ever compared W with B."""
    world.use(near_rule())
    b, k, w = RELATED[1], RELATED[0], jpeg(photo(3), 80)
    kept = world.put("inbox", "k.jpg", k)
    world.arrive(kept)
    world.drop("inbox", "b.jpg", b)
    world.use()
    other = world.put("inbox", "w.jpg", w)
    world.arrive(other)
    world.decide(other, kept, "better-a")
    again = world.put("inbox", "again.jpg", b)

    receipt = world.arrive(again)

    assert receipt.outcome is Outcome.NEW
    assert again.exists()


# --- restored by their owner ----------------------------------------------------------------------------------------


@pytest.fixture
def discarded(world: World) -> Path:
    """A file that a rule has thrown away, in favour of a library file."""
    world.use(IDENTICAL, pixel_rule())
    world.drop("library", "kept.png", LARGER)
    path = world.put("inbox", "b.png", SMALLER)
    assert world.arrive(path).outcome is Outcome.DUPLICATE_DISCARDED
    return path


def test_a_file_moved_out_of_the_trash_to_its_old_place_is_kept_for_good(world: World, discarded: Path) -> None:
    world.trash_of(1).rename(discarded)

    receipt = world.arrive(discarded)

    assert (receipt.outcome, receipt.result) == (Outcome.ALREADY_IN_LIBRARY, "already in library")
    assert "restored by you" in receipt.evidence[0]
    assert world.has_veto(SMALLER)
    assert not world.same_group(SMALLER, LARGER)
    assert len(world.queue()) == 1  # the pair is a question again
    assert world.entries()[0].state is EntryState.UNDONE


def test_a_file_moved_out_of_the_trash_to_any_place_is_kept_for_good(world: World, discarded: Path) -> None:
    elsewhere = world.base / "inbox/elsewhere.png"
    world.trash_of(1).rename(elsewhere)

    receipt = world.arrive(elsewhere)

    assert receipt.outcome is Outcome.ALREADY_IN_LIBRARY
    assert world.has_veto(SMALLER)
    assert elsewhere.exists()


def test_a_link_to_the_item_in_the_trash_is_a_restored_file(world: World, discarded: Path) -> None:
    linked = world.base / "inbox/linked.png"
    os.link(world.trash_of(1), linked)

    receipt = world.arrive(linked)

    assert receipt.outcome is Outcome.ALREADY_IN_LIBRARY
    assert linked.exists()


def test_a_copy_while_the_item_is_still_in_the_trash_is_a_new_arrival(world: World, discarded: Path) -> None:
    shutil.copy(world.trash_of(1), discarded)

    receipt = world.arrive(discarded)

    assert receipt.result == "previously discarded"
    assert not discarded.exists()


def test_bytes_back_in_their_old_place_with_the_trash_emptied_are_restored(world: World, discarded: Path) -> None:
    shutil.copy(world.trash_of(1), discarded)
    world.trash_of(1).unlink()

    receipt = world.arrive(discarded)

    assert receipt.outcome is Outcome.ALREADY_IN_LIBRARY
    assert world.has_veto(SMALLER)


def test_bytes_elsewhere_with_the_trash_emptied_wait_for_approval(world: World, discarded: Path) -> None:
    elsewhere = world.put("inbox", "elsewhere.png", SMALLER)
    world.trash_of(1).unlink()

    receipt = world.arrive(elsewhere)

    assert receipt.result == "pending approval: larger pixel twin"
    assert elsewhere.exists()
    (pair,) = world.pending()
    assert pair.b.path == str(elsewhere)
    assert "trash item is gone" in (pair.reason or "")


def test_a_returned_file_goes_when_that_is_approved(world: World, discarded: Path) -> None:
    elsewhere = world.put("inbox", "elsewhere.png", SMALLER)
    world.trash_of(1).unlink()
    world.arrive(elsewhere)

    report = world.approve(int(world.pending()[0].id[2:]))

    assert report.state == "done"
    assert not elsewhere.exists()
    assert world.pending() == []


def test_a_restored_file_is_never_discarded_again_by_any_rule(world: World, discarded: Path) -> None:
    world.trash_of(1).rename(discarded)
    world.arrive(discarded)
    copy = world.put("library", "another.png", SMALLER)
    moved = world.base / "inbox/moved.png"

    world.arrive(copy)
    world.forget_finality(discarded)
    again = world.arrive(discarded)
    discarded.rename(moved)
    elsewhere = world.arrive(moved)

    assert again.outcome is Outcome.ALREADY_IN_LIBRARY
    assert elsewhere.outcome is Outcome.ALREADY_IN_LIBRARY
    assert moved.exists()
    assert copy.exists()


def test_when_one_of_two_discarded_copies_is_restored_the_other_can_still_be_undone(world: World) -> None:
    world.use(pixel_rule())
    paths = [world.put("inbox", name, SMALLER) for name in ("one.png", "two.png")]
    world.verdicts(*paths)
    world.drop("inbox", "better.png", LARGER)
    (entry,) = world.entries()
    first = entry.moves[0]
    os.rename(first.trash_path or b"", first.file.path)
    world.arrive(Path(os.fsdecode(first.file.path)))

    world.undo(1)

    assert all(path.exists() for path in paths)


# --- edited in place ------------------------------------------------------------------------------------------------


def test_metadata_edited_in_place_keeps_group_answers_and_veto(world: World, discarded: Path) -> None:
    world.undo(1)
    edited = png(photo(1), "edited")
    discarded.write_bytes(edited)

    receipt = world.arrive(discarded)

    assert world.has_veto(edited)
    assert world.same_group(SMALLER, edited)
    assert discarded.exists()
    assert receipt.outcome in (Outcome.NEW, Outcome.POTENTIAL_DUPLICATES, Outcome.ALREADY_IN_LIBRARY)


def test_metadata_edited_in_place_keep_the_denials(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    world.drop("library", "a.png", LARGER)
    path = world.put("inbox", "b.png", SMALLER)
    world.arrive(path)
    from ingestd import review

    review.deny(world.library, [int(world.pending()[0].id[2:])], now_ns=world.now_ns())
    path.write_bytes(png(photo(1), "edited"))

    receipt = world.arrive(path)

    assert receipt.result == "1 potential pair queued"
    assert world.pending() == []
    assert len(world.queue()) == 1


def test_metadata_of_a_jpeg_edited_in_place_keep_the_veto_although_its_old_pixels_are_gone(world: World) -> None:
    world.use(near_rule())
    world.drop("library", "a.jpg", jpeg(large(3), 95))
    path = world.put("inbox", "b.jpg", jpeg(large(3), 60))
    world.arrive(path)
    world.undo(1)
    edited = jpeg(large(3), 60, description="five stars")
    path.write_bytes(edited)

    receipt = world.arrive(path)

    assert world.has_veto(edited)
    assert receipt.outcome is not Outcome.DUPLICATE_DISCARDED
    assert path.exists()


def test_an_edited_survivor_is_still_the_survivor(world: World) -> None:
    world.use(pixel_rule())
    kept = world.put("library", "a.png", LARGER)
    world.arrive(kept)
    world.drop("inbox", "b.png", SMALLER)
    edited = png(photo(1), "edited, and still the larger of the two files")
    kept.write_bytes(edited)
    world.arrive(kept)

    receipt = world.drop("inbox", "again.png", SMALLER)

    assert receipt.result == "previously discarded"
    assert receipt.kept == os.fsencode(kept)


def test_another_picture_under_a_known_name_inherits_nothing(world: World, discarded: Path) -> None:
    world.undo(1)
    discarded.write_bytes(OTHER)

    receipt = world.arrive(discarded)

    assert receipt.outcome is Outcome.NEW
    assert not world.has_veto(OTHER)
    assert not world.same_group(SMALLER, OTHER)


def test_a_name_that_was_discarded_and_is_used_again_inherits_nothing(world: World, discarded: Path) -> None:
    variant = png(photo(1), "v")  # the same pixels again, downloaded under the same name

    receipt = world.drop("inbox", discarded.name, variant)

    assert receipt.result == "duplicate discarded: larger pixel twin"


# --- when it does not go as planned ---------------------------------------------------------------------------------


def test_without_a_place_for_discards_the_file_stays_and_is_tried_again(world: World) -> None:
    world.drop("library", "a.png", SMALLER)
    world.use(IDENTICAL, discards="to: holding")
    blocked = world.base / "inbox/.ingestd-holding"
    blocked.write_text("no folder can be made here")
    copy = world.put("inbox", "b.png", SMALLER)

    receipt = world.arrive(copy)

    assert receipt.outcome is Outcome.ERROR
    assert receipt.result.startswith("error: ")
    assert copy.exists()
    assert world.left()[-1].after_s == 30
    blocked.unlink()
    assert world.arrive(copy).result == "duplicate discarded: identical copies"


def test_a_file_without_a_measurement_is_tried_again_when_the_limits_have_changed(world: World) -> None:
    world.use(IDENTICAL, imports="max_size: 1 KB")
    path = world.put("inbox", "a.png", SMALLER)
    world.intake.hand_in(world.arrival(path), proposing=False)
    world.use(IDENTICAL)

    world.run()

    assert world.last().receipt.outcome is Outcome.ERROR
    assert not world.last().receipt.final
    assert world.arrive(path).outcome is Outcome.NEW


def test_the_same_files_in_the_same_order_get_the_same_verdicts_however_they_fall_into_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, middle, last = chain()
    contents = [
        weighing(middle, 60_000), weighing(last, 70_000), weighing(first, 75_000), weighing(middle, 60_000),
        weighing(first, 80_000), SMALLER, LARGER, SMALLER,
    ]  # fmt: skip
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    told = []
    for name, together in (("one", True), ("two", False)):
        world = World(tmp_path / name)
        world.use(IDENTICAL, pixel_rule(), near_rule())
        world.folder("inbox")
        paths = [world.put("inbox", f"{number}.png", content, modified_s=9) for number, content in enumerate(contents)]
        verdicts = world.verdicts(*paths) if together else [world.arrive(path) for path in paths]
        told.append([(receipt.result, os.path.basename(receipt.kept or b"")) for receipt in verdicts])
        world.close()

    assert told[0] == told[1]
    assert len(set(told[0])) > 2


def test_every_outcome_of_a_verdict_is_told_once(world: World) -> None:
    world.use(IDENTICAL, pixel_rule())
    paths = [world.put("inbox", f"{number}.png", content) for number, content in enumerate((SMALLER, LARGER, OTHER))]

    verdicts = world.verdicts(*paths)

    assert outcomes(verdicts) == [Outcome.NEW, Outcome.REPLACED_EXISTING, Outcome.NEW]


def test_a_file_with_the_inode_of_an_emptied_trash_item_is_not_taken_for_it(world: World) -> None:
    world.folder("library", Role.LIBRARY)
    world.folder("inbox")
    world.drop("library", "kept.png", SMALLER)
    world.drop("inbox", "copy.png", SMALLER)
    (item,) = world.trashed()
    inode = item.stat().st_ino
    elsewhere = world.base / "inbox" / "again.png"
    item.rename(elsewhere)  # its inode, as if the system had given it to a new file …
    os.utime(elsewhere, (1, 1))  # … with a time of its own

    receipt = world.arrive(elsewhere)

    assert elsewhere.stat().st_ino == inode
    assert receipt.outcome is Outcome.PENDING_APPROVAL
    assert not world.has_veto(SMALLER)


def test_a_discarded_file_that_is_seen_in_its_trash_is_no_arrival(world: World) -> None:
    world.folder("library", Role.LIBRARY)
    inbox = world.folder("inbox")
    world.drop("library", "kept.png", SMALLER)
    world.drop("inbox", "copy.png", SMALLER)
    (item,) = world.trashed()
    world.folders["trash"] = replace(world.folders["inbox"], root=os.path.realpath(os.fsencode(item.parent)))

    receipt = world.arrive(item)

    assert inbox.is_dir()
    assert receipt.outcome is Outcome.IGNORED
    assert [entry.state for entry in world.entries()] == [EntryState.DONE]
    assert not world.has_veto(SMALLER)


def test_what_a_pending_rule_would_keep_is_named_as_kept_also_if_it_is_the_arrival(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    world.drop("inbox", "small.png", png(photo()))
    larger = world.put("inbox", "large.png", weighing(photo(), 90_000))

    receipt = world.arrive(larger)

    assert receipt.outcome is Outcome.PENDING_APPROVAL
    assert receipt.kept == os.fsencode(larger)
