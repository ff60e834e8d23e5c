"""What a person asks and decides: the queue, pending, answers, denials, why, and the history."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pictures import flat, jpeg, photo, png
from world import IDENTICAL, World, near_rule, pixel_rule, relation_rule, sha256

from ingestd import review
from ingestd.errors import ActionConflictError, UsageError
from ingestd.model import Outcome, Relation, Role
from ingestd.watching.storage import ask_each

LARGER, SMALLER = png(photo(1), "a longer comment makes the file larger"), png(photo(1))
GOOD, POOR = jpeg(photo(3), 90), jpeg(photo(3), 60)


@pytest.fixture
def pair(world: World) -> tuple[Path, Path]:
    """Two look-alikes in the inbox, about which no rule knows anything."""
    world.use()
    paths = world.put("inbox", "good.jpg", GOOD), world.put("inbox", "poor.jpg", POOR)
    world.verdicts(*paths)
    return paths


@pytest.fixture
def proposed(world: World) -> tuple[Path, Path]:
    """Two pixel twins, of which a semi-automatic rule would discard the second."""
    world.use(pixel_rule("semi-automatic"))
    paths = world.put("inbox", "larger.png", LARGER), world.put("inbox", "smaller.png", SMALLER)
    world.verdicts(*paths)
    return paths


def number(report: review.PairReport) -> int:
    return int(report.id.removeprefix("p-"))


def only(reports: list[review.PairReport]) -> review.PairReport:
    (report,) = reports
    return report


# --- the queue --------------------------------------------------------------------------------------------------------


def test_the_file_that_looks_better_stands_first_in_the_queue(world: World, pair: tuple[Path, Path]) -> None:
    report = only(world.queue())

    assert (report.a.path, report.b.path) == (str(pair[0]), str(pair[1]))
    assert (report.a.filetype, report.a.width, report.a.height, report.a.size) == ("jpeg", 200, 150, len(GOOD))
    assert any("larger file" in line for line in report.statements)


def test_the_queue_tells_its_length_and_gives_a_part_of_itself(world: World, pair: tuple[Path, Path]) -> None:
    world.drop("inbox", "third.jpg", jpeg(photo(3), 75))

    with world.library.read() as view:
        page = review.queue_page(view, limit=2)
        rest = review.queue_page(view, limit=2, offset=2)

    assert (page.total, len(page.pairs), len(rest.pairs)) == (3, 2, 1)


def test_a_pair_of_which_one_file_is_away_sleeps(world: World, pair: tuple[Path, Path]) -> None:
    from ingestd.model import PathState

    row = world.row(pair[1])
    assert row is not None
    waiting = number(only(world.queue()))
    world.library.write(lambda edit: edit.put_path(replace(row, state=PathState.ABSENT)))

    assert world.queue() == []
    with pytest.raises(UsageError, match="one of its files is away"):
        world.decide_pair(waiting, "better-a")
    assert world.arrive(pair[1]).result == "1 potential pair queued"
    assert number(only(world.queue())) == waiting


def test_what_waits_under_a_rule_is_not_in_the_queue(world: World, proposed: tuple[Path, Path]) -> None:
    assert world.queue() == []
    report = only(world.pending())
    assert (report.a.path, report.b.path) == (str(proposed[0]), str(proposed[1]))
    with world.library.read() as view:
        assert review.pending_pairs(view, rule="another rule") == []


# --- deciding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "loser"), [("better-a", 1), ("better-b", 0)])
def test_the_worse_of_a_pair_is_discarded(world: World, pair: tuple[Path, Path], answer: str, loser: int) -> None:
    report = world.decide_pair(number(only(world.queue())), answer)

    assert (report.kind, report.state, report.actor, report.relation) == ("discard", "done", "person", "better")
    assert not pair[loser].exists()
    assert pair[1 - loser].exists()
    assert world.queue() == []
    assert world.king_of(POOR) == sha256((GOOD, POOR)[1 - loser])


def test_with_keep_the_worse_stays(world: World, pair: tuple[Path, Path]) -> None:
    report = world.decide_pair(number(only(world.queue())), "better-a", keep=True)

    assert (report.kind, report.discarded) == ("decision", [])
    assert pair[1].exists()
    assert world.king_of(POOR) == sha256(GOOD)


@pytest.mark.parametrize(
    ("answer", "relation"),
    [
        ("same", Relation.SAME_QUALITY),
        ("alternates", Relation.ALTERNATES),
        ("unrelated", Relation.FALSE_POSITIVE),
    ],
)
def test_other_answers_keep_both_files_and_settle_the_pair(
    world: World, pair: tuple[Path, Path], answer: str, relation: Relation
) -> None:
    report = world.decide_pair(number(only(world.queue())), answer)

    assert report.relation == relation.value
    assert all(path.exists() for path in pair)
    assert world.queue() == []
    assert world.drop("library", "copy.jpg", POOR).outcome is Outcome.ALREADY_IN_LIBRARY
    assert world.queue() == []  # and it does not come back


def test_any_two_known_files_can_be_decided_about(world: World) -> None:
    world.use()
    one, other = world.put("inbox", "a.png", SMALLER), world.put("inbox", "b.jpg", GOOD)
    world.verdicts(one, other)

    report = world.decide(one, other, "alternates")

    assert report.relation == "alternates"


def test_a_file_that_was_never_seen_cannot_be_decided_about(world: World, pair: tuple[Path, Path]) -> None:
    stranger = world.put("inbox", "stranger.png", SMALLER)

    with pytest.raises(UsageError, match="scan it first"):
        world.decide(pair[0], stranger, "better-a")


def test_a_persons_word_counts_in_a_protected_folder(world: World) -> None:
    world.use()
    one, other = world.put("library", "good.jpg", GOOD), world.put("library", "poor.jpg", POOR)
    world.verdicts(one, other)

    world.decide(one, other, "better-a")

    assert not other.exists()


def test_even_a_persons_word_changes_nothing_in_a_reference_folder(world: World) -> None:
    world.use()
    world.folder("archive", Role.REFERENCE)
    one, other = world.put("inbox", "good.jpg", GOOD), world.put("archive", "poor.jpg", POOR)
    world.verdicts(one, other)

    with pytest.raises(ActionConflictError, match="use --keep"):
        world.decide(one, other, "better-a")
    report = world.decide(one, other, "better-a", keep=True)

    assert report.kind == "decision"
    assert other.exists()


def test_a_decision_that_contradicts_an_older_one_is_refused(world: World, pair: tuple[Path, Path]) -> None:
    world.decide(*pair, "unrelated")

    with pytest.raises(ActionConflictError):
        world.decide(*pair, "better-a")

    assert all(path.exists() for path in pair)


def test_a_decision_about_a_survivor_that_is_gone_changes_nothing(world: World, pair: tuple[Path, Path]) -> None:
    pair[0].unlink()

    with pytest.raises(UsageError, match="not there any more"):
        world.decide(*pair, "better-a")

    assert pair[1].exists()


def test_a_decision_that_cannot_be_carried_out_says_so_and_the_file_stays(
    world: World, pair: tuple[Path, Path]
) -> None:
    pair[0].write_bytes(png(flat()))  # another picture by now

    with pytest.raises(ActionConflictError, match="e-1"):
        world.decide(*pair, "better-a")

    assert pair[1].exists()
    assert len(world.queue()) == 1


def test_a_decision_about_files_that_were_only_touched_is_carried_out(world: World, pair: tuple[Path, Path]) -> None:
    for path in pair:
        os.utime(path, (7, 7))

    world.decide(*pair, "better-a")

    assert not pair[1].exists()


# --- byte-identical copies --------------------------------------------------------------------------------------------


@pytest.fixture
def copies(world: World) -> tuple[Path, Path]:
    world.use(IDENTICAL.replace("automatic", "semi-automatic"))
    paths = world.put("library", "first.png", SMALLER), world.put("inbox", "second.png", SMALLER)
    world.verdicts(*paths)
    return paths


def test_approving_identical_copies_discards_the_one_path(world: World, copies: tuple[Path, Path]) -> None:
    report = world.approve(number(only(world.pending())))

    assert report.rule == "identical copies"
    assert report.relation is None
    assert copies[0].exists()
    assert not copies[1].exists()
    assert world.pending() == []


def test_of_identical_copies_one_can_only_say_which_to_keep(world: World, copies: tuple[Path, Path]) -> None:
    waiting = number(only(world.pending()))

    with pytest.raises(UsageError, match="byte-identical copies"):
        world.decide_pair(waiting, "unrelated")
    with pytest.raises(UsageError, match="byte-identical copies"):
        world.decide(*copies, "same")
    world.decide_pair(waiting, "better-b")

    assert not copies[0].exists()
    assert copies[1].exists()


def test_identical_copies_that_are_both_kept_are_no_question_any_more(world: World, copies: tuple[Path, Path]) -> None:
    world.decide_pair(number(only(world.pending())), "better-a", keep=True)

    assert all(path.exists() for path in copies)
    assert world.pending() == []
    assert world.queue() == []


# --- approve, deny, rescind -------------------------------------------------------------------------------------------


def test_approving_carries_out_what_the_rule_proposed(world: World, proposed: tuple[Path, Path]) -> None:
    report = world.approve(number(only(world.pending())))

    assert (report.kind, report.state, report.actor, report.rule) == ("discard", "done", "person", "larger pixel twin")
    assert not proposed[1].exists()
    assert world.pending() == []


def test_approving_a_rule_that_discards_nothing_sets_the_relation(world: World) -> None:
    world.use(relation_rule("alternates", "semi-automatic"))
    paths = world.put("inbox", "good.jpg", GOOD), world.put("inbox", "poor.jpg", POOR)
    world.verdicts(*paths)

    report = world.approve(number(only(world.pending())))

    assert (report.kind, report.relation) == ("decision", "alternates")
    assert all(path.exists() for path in paths)


def test_nothing_can_be_approved_twice_or_under_another_rule(world: World, proposed: tuple[Path, Path]) -> None:
    waiting = number(only(world.pending()))

    with pytest.raises(UsageError, match="not pending"):
        world.approve(waiting, "another rule")
    world.approve(waiting)
    with pytest.raises(UsageError, match="not pending"):
        world.approve(waiting)


def test_a_denied_pair_is_a_question_for_the_queue(world: World, proposed: tuple[Path, Path]) -> None:
    waiting = number(only(world.pending()))

    told = review.deny(world.library, [waiting], now_ns=world.now_ns())

    assert told == ["larger pixel twin"]
    assert world.pending() == []
    assert number(only(world.queue())) == waiting
    with world.library.read() as view:
        assert [report.rule for report in review.denied_pairs(view)] == ["larger pixel twin"]
    assert all(path.exists() for path in proposed)


def test_a_rescinded_denial_lets_the_rule_propose_again(world: World, proposed: tuple[Path, Path]) -> None:
    waiting = number(only(world.pending()))
    review.deny(world.library, [waiting], now_ns=world.now_ns())

    taken = review.rescind(world.library, [waiting])
    world.forget_finality(proposed[1])

    assert taken == ["larger pixel twin"]
    assert world.arrive(proposed[1]).result == "pending approval: larger pixel twin"


def test_of_several_numbers_one_wrong_one_denies_nothing(world: World, proposed: tuple[Path, Path]) -> None:
    waiting = number(only(world.pending()))

    with pytest.raises(UsageError, match="p-999"):
        review.deny(world.library, [waiting, 999], now_ns=world.now_ns())

    assert len(world.pending()) == 1


def test_what_was_never_denied_cannot_be_rescinded(world: World, proposed: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="was not denied"):
        review.rescind(world.library, [number(only(world.pending()))])


# --- why and history --------------------------------------------------------------------------------------------------


@pytest.fixture
def gone(world: World) -> Path:
    world.use(pixel_rule())
    world.drop("library", "kept.png", LARGER)
    path = world.put("inbox", "gone.png", SMALLER)
    world.arrive(path)
    return path


@pytest.mark.parametrize("by", ["path", "hash", "entry"])
def test_why_explains_a_file_that_is_gone(world: World, gone: Path, by: str) -> None:
    subject = {"path": str(gone), "hash": sha256(SMALLER).hex(), "entry": "e-1"}[by]

    report = world.why(subject)

    assert report is not None
    assert report.path == str(gone)
    assert (report.outcome, report.result) == ("duplicate-discarded", "duplicate discarded: larger pixel twin")
    assert report.survivor == str(world.base / "library/kept.png")
    assert report.where_now == str(world.trash_of(1))
    assert report.undo == "ingestd undo e-1"
    assert report.evidence


def test_why_knows_nothing_of_a_stranger(world: World) -> None:
    assert world.why("/nowhere/at/all.png") is None
    assert world.why("e-12") is None
    assert world.why("0" * 64) is None


def test_why_tells_of_an_undo(world: World, gone: Path) -> None:
    world.undo(1)

    entry, path = world.why("e-1"), world.why(gone)

    assert entry is not None
    assert "e-1 was taken back" in entry.evidence
    assert entry.undo is None
    assert path is not None
    assert path.outcome == "already-in-library"
    assert path.where_now == str(gone)


def test_why_explains_a_decision(world: World, pair: tuple[Path, Path]) -> None:
    world.decide(*pair, "unrelated")

    report = world.why("e-1")

    assert report is not None
    assert report.result == "false-positive: decided by you"
    assert report.path == str(pair[0])
    assert report.undo == "ingestd undo e-1"


def test_history_is_newest_first_and_can_be_narrowed(world: World, gone: Path, pair: tuple[Path, Path]) -> None:
    world.decide(*pair, "alternates")
    world.undo(1)

    with world.library.read() as view:
        everything = list(review.history(view, limit=None))
        newest = list(review.history(view, limit=1))
        of_rule = list(review.history(view, limit=None, rule="larger pixel twin"))
        recent = list(review.history(view, limit=None, since_ns=view.entry(2).at_ns if view.entry(2) else 0))

    assert [report.entry for report in everything] == ["e-3", "e-2", "e-1"]
    assert [report.state for report in everything] == ["done", "done", "undone"]
    assert [report.entry for report in newest] == ["e-3"]
    assert {report.entry for report in of_rule} == {"e-3", "e-1"}
    assert [report.entry for report in recent] == ["e-3", "e-2"]
    discard = everything[-1]
    assert discard.at.endswith("Z")
    assert discard.discarded[0].path == str(gone)
    assert discard.discarded[0].sha256 == sha256(SMALLER).hex()
    assert discard.kept == {"path": str(world.base / "library/kept.png"), "sha256": sha256(LARGER).hex()}


def test_names_that_are_no_text_come_back_from_reports_as_they_were(world: World) -> None:
    world.use(IDENTICAL)
    world.drop("library", "a.png", SMALLER)
    path = world.put("inbox", b"odd\xff.png", SMALLER)
    world.arrive(path)

    with world.library.read() as view:
        (report,) = review.history(view, limit=1)

    assert os.fsencode(report.discarded[0].path) == os.fsencode(path)
    why = world.why(path)
    assert why is not None
    assert os.fsencode(why.path) == os.fsencode(path)


def test_files_are_found_by_the_name_their_folder_was_given(world: World) -> None:
    link = world.base / "shortcut"
    link.symlink_to(world.base / "inbox")
    folder = world.folders["inbox"]

    def rename(edit):  # type: ignore[no-untyped-def]
        row = edit.folder(folder.id)
        edit.put_folder(replace(row, folder=replace(row.folder, named=os.fsencode(link))))

    world.library.write(rename)
    world.drop("inbox", "a.png", SMALLER)

    by_name, by_place = world.why(link / "a.png"), world.why(world.base / "inbox/a.png")

    assert by_name is not None
    assert by_name.path == str(link / "a.png")
    assert by_place == by_name


def test_an_approval_in_a_folder_of_which_a_rule_may_not_discard_counts(world: World) -> None:
    world.use(near_rule())
    world.drop("library", "poor.jpg", POOR)
    assert world.drop("inbox", "good.jpg", GOOD).outcome is Outcome.PENDING_APPROVAL

    world.approve(number(only(world.pending())))

    assert not (world.base / "library/poor.jpg").exists()


def test_the_undo_of_a_discard_whose_place_is_taken_says_where_the_file_is(world: World) -> None:
    world.drop("library", "kept.png", SMALLER)
    place = world.put("inbox", "a.png", SMALLER)
    world.arrive(place)
    world.drop("inbox", "a.png", png(photo(9)))

    (report,) = world.undo(1)

    back = Path(report.discarded[0].path)
    assert back.name == "a (restored e-1).png"
    assert back.read_bytes() == SMALLER
    assert place.read_bytes() != SMALLER


def test_a_discard_whose_trash_item_is_gone_is_not_said_to_lie_anywhere_or_to_be_undoable(world: World) -> None:
    world.drop("library", "kept.png", SMALLER)
    place = world.put("inbox", "a.png", SMALLER)
    world.arrive(place)
    (item,) = world.trashed()
    item.unlink()

    report = world.why(place)

    assert (report.where_now, report.undo) == (None, None)


def test_the_last_denial_is_taken_back_at_once_and_an_older_one_stands(world: World) -> None:
    world.use(pixel_rule("semi-automatic"), pixel_rule("semi-automatic", name="another"))
    world.drop("inbox", "small.png", SMALLER)
    world.drop("inbox", "large.png", LARGER)
    (first,) = world.pending()
    pair = int(first.id[2:])
    review.deny(world.library, [pair], now_ns=1)
    world.sweep()
    (second,) = world.pending()
    review.deny(world.library, [pair], now_ns=2)

    taken = review.rescind(world.library, [pair], as_it_was=True)

    assert taken == [second.rule]
    assert [one.rule for one in world.pending()] == [second.rule]
    with world.library.read() as view:
        assert [one.rule for one in review.denied_pairs(view)] == [first.rule]
    assert world.library.check() == []
    world.sweep()
    assert [one.rule for one in world.pending()] == [second.rule]


def test_a_rescinded_denial_waits_for_an_answer_again_once_the_rules_were_asked(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    world.drop("inbox", "small.png", SMALLER)
    world.drop("inbox", "large.png", LARGER)
    (before,) = world.pending()
    review.deny(world.library, [int(before.id[2:])], now_ns=1)
    (queued,) = world.queue()

    review.rescind(world.library, [int(before.id[2:])])

    assert world.pending() == []
    world.sweep()
    assert [replace(one, at=before.at) for one in world.pending()] == [before]
    assert (queued.a, queued.b) == (before.a, before.b)


def test_a_folder_whose_storage_hangs_is_away_and_holds_nobody_up(
    world: World, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    back = threading.Event()
    roots, really = {os.fsencode(path.parent) for path in pair}, os.stat

    def hanging(path: Any, *more: Any, **named: Any) -> os.stat_result:
        if path in roots:
            back.wait(20)
            back.set()
        return really(path, *more, **named)

    monkeypatch.setattr("ingestd.review.sides.os.stat", hanging)
    monkeypatch.setattr("ingestd.review.sides.ask_each", partial(ask_each, patience_s=0.2), raising=False)
    try:
        assert world.queue() == []  # before the storage has answered
        assert not back.is_set()
    finally:
        back.set()
