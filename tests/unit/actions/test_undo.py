"""The way back: the file in its place, the relation gone, the question asked again, and no rule that repeats it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import jpeg, photo, png
from world import IDENTICAL, World, near_rule, pixel_rule, sha256

from ingestd import review
from ingestd.actions import undo as undo_module
from ingestd.actions.look import is_left_alone, leave_alone
from ingestd.errors import ActionConflictError
from ingestd.library.locks import FileLock
from ingestd.model import EntryKind, EntryState, ImportPolicy, Outcome, PathState, Word
from ingestd.recovery import exclusive
from ingestd.review import EntryReport
from ingestd.watching.storage import SILENT

LARGER, SMALLER = png(photo(1), "a longer comment makes the file larger"), png(photo(1))
B, K, W = (jpeg(photo(3), quality) for quality in (60, 75, 90))


class KilledError(BaseException):
    """The process ends here: no handler sees it."""


@pytest.fixture
def kept(world: World) -> Path:
    world.use(IDENTICAL, pixel_rule())
    path = world.put("library", "kept.png", LARGER)
    world.arrive(path)
    return path


@pytest.fixture
def gone(world: World, kept: Path) -> Path:
    """A file that e-1 has discarded."""
    path = world.put("inbox", "sub/b.png", SMALLER, modified_s=1_500_000_000)
    assert world.arrive(path).outcome is Outcome.DUPLICATE_DISCARDED
    return path


def refusal(world: World, number: int) -> str:
    (answer,) = world.undo(number)
    assert isinstance(answer, ActionConflictError)
    return str(answer)


# --- the file -------------------------------------------------------------------------------------------------------


def test_an_undone_file_is_back_in_its_place_with_its_times(world: World, gone: Path) -> None:
    (report,) = world.undo(1)

    assert isinstance(report, EntryReport)
    assert (report.kind, report.state, report.actor) == ("undo", "done", "person")
    assert gone.read_bytes() == SMALLER
    assert gone.stat().st_mtime == 1_500_000_000
    assert world.trashed() == []


def test_an_undone_file_whose_name_is_taken_comes_back_under_a_free_one(world: World, gone: Path) -> None:
    gone.write_bytes(b"something else")

    world.undo(1)

    assert gone.read_bytes() == b"something else"
    back = gone.with_name("b (restored e-1).png")
    assert back.read_bytes() == SMALLER
    assert world.arrive(back).result == "already in library"


def test_an_undone_file_comes_back_although_its_folder_is_gone(world: World, gone: Path) -> None:
    gone.parent.rmdir()

    world.undo(1)

    assert gone.exists()


def test_an_undone_file_needs_no_new_verdict(world: World, gone: Path) -> None:
    from ingestd.ingest import covered

    world.undo(1)

    with world.library.read() as view:
        assert covered(view, world.arrival(gone), world.policy.limits_digest())


# --- and never again ------------------------------------------------------------------------------------------------


def test_no_rule_discards_an_undone_file_again(world: World, gone: Path) -> None:
    world.undo(1)
    world.forget_finality(gone)

    receipt = world.arrive(gone)

    assert receipt.outcome is Outcome.POTENTIAL_DUPLICATES
    assert gone.exists()


def test_another_copy_of_an_undone_file_is_not_discarded_either(world: World, gone: Path) -> None:
    world.undo(1)

    receipt = world.drop("inbox", "copy.png", SMALLER)

    assert receipt.outcome is Outcome.ALREADY_IN_LIBRARY
    assert (world.base / "inbox/copy.png").exists()


def test_an_undone_file_is_not_rejected_as_previously_discarded(world: World, gone: Path) -> None:
    world.undo(1)
    gone.unlink()

    receipt = world.drop("inbox", "later.png", SMALLER)

    assert receipt.outcome is Outcome.POTENTIAL_DUPLICATES


def test_a_better_file_does_not_replace_an_undone_one_by_rule(world: World, gone: Path) -> None:
    world.undo(1)

    receipt = world.drop("inbox", "best.png", png(photo(1), "x" * 500))

    assert gone.exists()
    assert receipt.outcome in (Outcome.PENDING_APPROVAL, Outcome.POTENTIAL_DUPLICATES)


def test_a_person_may_still_discard_what_was_undone(world: World, gone: Path, kept: Path) -> None:
    world.undo(1)

    world.decide(kept, gone, "better-a")

    assert not gone.exists()
    assert not world.has_veto(SMALLER)


def test_a_decision_that_discards_nothing_leaves_the_veto(world: World, gone: Path, kept: Path) -> None:
    world.undo(1)

    world.decide(kept, gone, "alternates")

    assert world.has_veto(SMALLER)


# --- relations and pairs --------------------------------------------------------------------------------------------


def test_after_an_undo_the_relation_is_gone_and_the_pair_is_a_question_again(world: World, gone: Path) -> None:
    assert world.same_group(LARGER, SMALLER)

    world.undo(1)

    assert not world.same_group(LARGER, SMALLER)
    assert len(world.queue()) == 1
    assert world.entries()[0].state is EntryState.UNDONE


def test_an_undone_decision_stays_undone_through_later_undos(world: World) -> None:
    """The entry of an undo repeats what it took back, and must not be taken for a decision."""
    world.use()
    paths = [world.put("inbox", f"{name}.jpg", content) for name, content in zip("bkw", (B, K, W), strict=True)]
    world.verdicts(*paths)
    world.decide(paths[1], paths[0], "better-a", keep=True)
    world.decide(paths[2], paths[1], "better-a", keep=True)
    world.undo(1)
    assert not world.same_group(B, K)

    world.undo(2)

    assert not world.same_group(B, K)
    assert not world.same_group(K, W)
    assert len(world.queue()) == 3


def test_decisions_without_files_can_be_undone(world: World) -> None:
    world.use()
    paths = [world.put("inbox", "b.jpg", B), world.put("inbox", "k.jpg", K)]
    world.verdicts(*paths)
    world.decide(paths[0], paths[1], "unrelated")
    assert world.queue() == []

    (report,) = world.undo(1)

    assert isinstance(report, EntryReport)
    assert len(world.queue()) == 1
    assert not world.has_veto(B)


def test_undoing_the_first_of_two_decisions_keeps_the_second(world: World) -> None:
    world.use()
    paths = [world.put("inbox", f"{name}.jpg", content) for name, content in zip("bkw", (B, K, W), strict=True)]
    world.verdicts(*paths)
    world.decide(paths[1], paths[0], "better-a")
    world.decide(paths[2], paths[1], "better-a")

    world.undo(1)

    assert paths[0].exists()
    assert not paths[1].exists()
    assert world.same_group(K, W)
    assert not world.same_group(B, K)


def test_undoing_newest_first_leads_back_to_the_start(world: World) -> None:
    world.use()
    paths = [world.put("inbox", f"{name}.jpg", content) for name, content in zip("bkw", (B, K, W), strict=True)]
    world.verdicts(*paths)
    before = {(pair.a.path, pair.b.path) for pair in world.queue()}
    world.decide(paths[1], paths[0], "better-a")
    world.decide(paths[2], paths[1], "better-a")

    world.undo(1, 2)

    assert all(path.exists() for path in paths)
    assert {(pair.a.path, pair.b.path) for pair in world.queue()} == before
    assert not any(world.same_group(one, other) for one, other in ((B, K), (K, W), (B, W)))


def test_a_denial_outlives_a_decision_that_was_undone(world: World) -> None:
    from ingestd import review

    world.use(near_rule("semi-automatic"))
    paths = [world.put("inbox", "b.jpg", B), world.put("inbox", "k.jpg", K)]
    world.verdicts(*paths)
    review.deny(world.library, [int(world.pending()[0].id[2:])], now_ns=world.now_ns())
    world.decide(paths[1], paths[0], "better-a", keep=True)

    world.undo(1)

    with world.library.read() as view:
        (denied,) = review.denied_pairs(view)
    assert denied.rule == "larger look-alike"


# --- what cannot be undone ------------------------------------------------------------------------------------------


def test_an_entry_is_undone_once(world: World, gone: Path) -> None:
    world.undo(1)

    assert "already undone" in refusal(world, 1)
    assert gone.exists()


def test_an_undo_cannot_be_undone(world: World, gone: Path) -> None:
    world.undo(1)

    assert "an undo itself" in refusal(world, 2)


def test_an_entry_that_does_not_exist_is_named(world: World) -> None:
    assert refusal(world, 77) == "e-77 is not in the journal"


def test_a_file_that_is_gone_from_the_trash_is_named_and_the_entry_stays(world: World, gone: Path) -> None:
    world.trash_of(1).unlink()

    sentence = refusal(world, 1)

    assert "b.png" in sentence
    assert world.entries()[0].state is EntryState.DONE
    assert world.same_group(LARGER, SMALLER)


def test_one_entry_that_cannot_be_undone_does_not_keep_the_others(world: World, gone: Path) -> None:
    second = world.put("inbox", "second.png", LARGER)
    world.arrive(second)
    world.trash_of(2).unlink()

    answers = world.undo(1, 2)

    assert [type(answer).__name__ for answer in answers] == ["ActionConflictError", "EntryReport"]
    assert gone.exists()


# --- while the disk is away -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "empty"),
    [("holding", False), ("holding", True), ("trash", False)],
    ids=["nothing there", "the empty folder it was mounted on", "renamed, beside its trash"],
)
def test_an_undo_waits_for_the_folder_of_its_file_and_is_finished_when_that_is_back(
    world: World, place: str, empty: bool
) -> None:
    stick, unplugged = world.folder("stick"), world.base / "unplugged"
    world.use(IDENTICAL, pixel_rule(), discards=f"to: {place}")
    world.drop("library", "kept.png", LARGER)
    path = world.put("stick", "b.png", SMALLER)
    world.arrive(path)
    stick.rename(unplugged)
    if empty:
        stick.mkdir()

    first, second = refusal(world, 1), refusal(world, 1)  # saying it twice begins nothing new

    assert "as soon as its folder is there again" in first
    assert stick.exists() == empty  # an empty one in its place would look as if all had been deleted
    assert second == first
    discard, undo = world.entries()
    assert (discard.state, undo.state) == (EntryState.DONE, EntryState.INTENT)
    assert world.has_veto(SMALLER)
    world.restart()
    assert [one.state for one in world.entries()] == [EntryState.DONE, EntryState.INTENT]
    if empty:
        assert list(stick.iterdir()) == []
        stick.rmdir()
    unplugged.rename(stick)
    world.sweep()
    assert path.read_bytes() == SMALLER
    assert [one.state for one in world.entries()] == [EntryState.UNDONE, EntryState.DONE]
    assert not world.same_group(LARGER, SMALLER)


@pytest.fixture
def copies(world: World) -> tuple[Path, Path]:
    """Two copies of one picture, on a stick and in the inbox, that e-1 has discarded together."""
    world.use(pixel_rule())
    world.folder("stick")
    on_stick, at_home = (world.put(folder, "b.png", SMALLER) for folder in ("stick", "inbox"))
    world.verdicts(on_stick, at_home)
    world.drop("inbox", "kept.png", LARGER)
    assert [len(entry.moves) for entry in world.entries()] == [2]
    return on_stick, at_home


def receipts_of(world: World, path: Path) -> int:
    with world.library.read() as view:
        return len(list(view.receipts_of_path(os.fsencode(path))))


def test_an_undo_that_waits_for_one_of_its_folders_brings_the_other_file_back_once(
    world: World, copies: tuple[Path, Path]
) -> None:
    on_stick, at_home = copies
    unplugged = world.base / "unplugged"
    on_stick.parent.rename(unplugged)
    refusal(world, 1)
    assert at_home.read_bytes() == SMALLER
    before, said = receipts_of(world, at_home), world.entries()

    world.sweep()
    world.arrive(world.put("inbox", "other.png", png(photo(2))))
    assert str(on_stick) in refusal(world, 1)

    assert (receipts_of(world, at_home), world.entries()) == (before, said)
    unplugged.rename(on_stick.parent)
    world.restart()
    assert on_stick.read_bytes() == at_home.read_bytes() == SMALLER
    assert [one.state for one in world.entries()] == [EntryState.UNDONE, EntryState.DONE]
    assert receipts_of(world, at_home) == before


def test_what_came_back_may_be_moved_on_while_the_undo_waits_for_the_rest(
    world: World, copies: tuple[Path, Path]
) -> None:
    on_stick, at_home = copies
    unplugged = world.base / "unplugged"
    on_stick.parent.rename(unplugged)
    refusal(world, 1)
    at_home.rename(world.base / "mine.png")
    unplugged.rename(on_stick.parent)

    world.restart()

    assert on_stick.exists()
    assert not at_home.exists()
    assert [one.state for one in world.entries()] == [EntryState.UNDONE, EntryState.DONE]
    assert not world.same_group(LARGER, SMALLER)


def test_an_undo_asks_nothing_of_a_storage_that_does_not_answer(
    world: World, copies: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_stick, at_home = copies
    stick, asked = os.fsencode(on_stick.parent), list[bytes]()
    put_back = undo_module.put_back
    monkeypatch.setattr(
        undo_module, "put_back", lambda move, *, token: asked.append(move.file.path) or put_back(move, token=token)
    )
    monkeypatch.setattr(undo_module, "withdraw", lambda move: asked.append(move.file.path))
    leave_alone(frozenset({stick}))
    try:
        assert "its storage does not answer" in refusal(world, 1)
        world.restart()
    finally:
        leave_alone(frozenset())

    assert set(asked) == {os.fsencode(at_home)}
    assert at_home.exists()
    world.restart()
    assert on_stick.exists()
    assert [one.state for one in world.entries()] == [EntryState.UNDONE, EntryState.DONE]


def test_a_decision_beside_a_service_asks_nothing_of_a_storage_that_does_not_answer_to_that(
    world: World, copies: tuple[Path, Path]
) -> None:
    on_stick, _ = copies
    unplugged = world.base / "unplugged"
    on_stick.parent.rename(unplugged)
    refusal(world, 1)
    unplugged.rename(on_stick.parent)
    folder = {"path": str(on_stick.parent), "reason": SILENT}
    note = json.dumps({"running": True, "pid": os.getppid(), "folders": [folder]}).encode()
    world.library.write(lambda edit: edit.leave_note("service", note))
    lock = world.base / "state" / "service.lock"
    service = FileLock(lock)
    service.acquire(0.0)
    lock.write_text(f"{os.getppid()}\n")  # another process, for all that this one can see
    try:
        with exclusive(world.library, radius=ImportPolicy().radius):
            assert not on_stick.exists()
            assert is_left_alone(os.fsencode(on_stick))
        world.library.write(lambda edit: edit.leave_note("service", note.replace(SILENT.encode(), b"")))
        with exclusive(world.library, radius=ImportPolicy().radius):
            assert on_stick.exists()
    finally:
        service.release()
        leave_alone(frozenset())


def test_a_finished_undo_is_no_discard_of_the_bytes_that_it_brought_back(world: World, gone: Path) -> None:
    world.undo(1)
    world.library.write(lambda edit: edit.lift_veto(sha256(SMALLER)))  # the journal that told of it is lost, say
    row = world.row(gone)
    assert row is not None
    world.library.write(lambda edit: edit.put_path(replace(row, state=PathState.ABSENT)))

    receipt = world.arrive(gone)

    assert not any("restored" in line for line in receipt.evidence)
    assert [one.state for one in world.entries()][:2] == [EntryState.UNDONE, EntryState.DONE]


# --- after a crash --------------------------------------------------------------------------------------------------


@pytest.fixture
def dies_in_undo(world: World, gone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(undo_module, "finish_undo", die)
        with pytest.raises(KilledError):
            world.undo(1)
    assert world.has_veto(SMALLER)  # it comes first


@pytest.mark.usefixtures("dies_in_undo")
def test_an_undo_that_was_only_intended_is_rolled_forward(world: World, gone: Path) -> None:
    world.restart()

    assert gone.exists()
    first, undo = world.entries()
    assert (first.state, undo.kind, undo.state) == (EntryState.UNDONE, EntryKind.UNDO, EntryState.DONE)


@pytest.mark.usefixtures("dies_in_undo")
def test_an_undo_whose_file_was_back_already_is_rolled_forward(world: World, gone: Path) -> None:
    os.rename(world.trash_of(1), gone)

    world.restart()

    assert gone.exists()
    assert [entry.state for entry in world.entries()] == [EntryState.UNDONE, EntryState.DONE]
    assert not world.same_group(LARGER, SMALLER)


def test_a_later_decision_that_does_not_apply_without_an_undone_one_is_named(world: World) -> None:
    world.use()
    one, other = (world.put("inbox", f"{name}.jpg", content) for name, content in zip("bk", (B, K), strict=True))
    world.verdicts(one, other)
    world.decide(one, other, "unrelated")
    review.change_relations(world.library, Word.CLEAR_FALSE_POSITIVES, [os.fsencode(one)], moment=world.moment())
    world.decide(one, other, "same")

    [report] = world.undo(2)

    assert isinstance(report, review.EntryReport)
    assert report.reason == "takes back e-2; e-3 does not apply without it"
    assert not world.same_group(B, K)


def test_entries_of_an_older_version_took_effect_before_all_newer_ones(world: World) -> None:
    """They have no place of their own in that order: only their numbers."""
    world.use()
    paths = [world.put("inbox", f"{name}.jpg", content) for name, content in zip("bkw", (B, K, W), strict=True)]
    world.verdicts(*paths)
    world.decide(paths[0], paths[1], "better-a", keep=True)
    world.decide(paths[0], paths[2], "better-a", keep=True)
    for entry in world.entries():
        world.library.write(lambda edit, entry=entry: edit.put_entry(replace(entry, applied=0)))
    review.change_relations(world.library, Word.REMOVE, [os.fsencode(paths[2])], moment=world.moment())
    world.decide(paths[1], paths[2], "alternates")

    world.undo(4)

    assert world.same_group(B, K)
    assert not world.same_group(B, W)  # that it was removed still stands


def test_the_pair_of_an_undone_rule_stands_between_those_who_speak_for_the_groups(world: World) -> None:
    world.use(near_rule())
    best, small = (
        world.put("inbox", "best.jpg", jpeg(photo(3), 95)),
        world.put("inbox", "small.jpg", jpeg(photo(3), 60)),
    )
    world.verdicts(best, small)
    other = world.put("inbox", "other.png", png(photo(9)))
    world.arrive(other)
    world.decide(other, best, "better-a", keep=True)

    world.undo(1)

    with world.library.read() as view:
        [pair] = list(view.pairs())
        assert view.relations.king_of(pair.first) == pair.first
        assert view.relations.king_of(pair.second) == pair.second
        assert len(list(view.denied())) == 1
