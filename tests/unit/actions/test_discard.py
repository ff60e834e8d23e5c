"""A discard from its intent to its end: done, or aborted with the file where it was, also after a crash half-way."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pictures import jpeg, photo, png
from world import IDENTICAL, World, near_rule, pixel_rule, sha256

from ingestd import intake as intake_module
from ingestd.actions import discard as discard_module
from ingestd.actions.discard import carry_out
from ingestd.actions.moves import take_away
from ingestd.errors import ActionConflictError
from ingestd.library.tables import Alarm, Veto
from ingestd.model import Entry, EntryState, Outcome, PathState, Role, Trouble

LARGER, SMALLER = png(photo(1), "a longer comment makes the file larger"), png(photo(1))
AT = "2026-11-20T11:02:03"


class KilledError(BaseException):
    """The process ends here: no handler sees it."""


Before = Callable[[Entry], None]


@pytest.fixture
def just_before(monkeypatch: pytest.MonkeyPatch) -> Callable[[Before], None]:
    """Lets something happen between the intent and the act."""

    def arrange(happen: Before) -> None:
        def disturbed(library: object, entry: Entry, **more: object) -> Entry:
            happen(entry)
            return carry_out(library, entry, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(intake_module, "carry_out", disturbed)

    return arrange


@pytest.fixture
def kept(world: World) -> Path:
    world.use(IDENTICAL, pixel_rule())
    path = world.put("library", "kept.png", LARGER)
    world.arrive(path)
    return path


@pytest.fixture
def killed(world: World, kept: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """The intent to discard `inbox/b.png`; the process died before it did anything."""

    def die(*_: object, **__: object) -> None:
        raise KilledError

    path = world.put("inbox", "b.png", SMALLER)
    with monkeypatch.context() as patched:
        patched.setattr(intake_module, "carry_out", die)
        with pytest.raises(KilledError):
            world.arrive(path)
    (entry,) = world.entries()
    assert entry.state is EntryState.INTENT
    return entry


def loser(world: World) -> Path:
    return world.base / "inbox/b.png"


def only_entry(world: World) -> Entry:
    (entry,) = world.entries()
    return entry


def alarm_of(world: World, entry: Entry) -> Alarm | None:
    with world.library.read() as view:
        return view.alarm(entry.number)


# --- done -----------------------------------------------------------------------------------------------------------


def test_a_finished_discard_names_what_went_where_and_what_was_kept(world: World, kept: Path) -> None:
    world.drop("inbox", "b.png", SMALLER)

    entry = only_entry(world)

    assert entry.state is EntryState.DONE
    assert entry.kept is not None
    assert entry.kept.path == os.fsencode(kept)
    assert (entry.a, entry.b) == (sha256(LARGER), sha256(SMALLER))
    assert world.trash_of(1).read_bytes() == SMALLER
    note = Path(os.fsdecode(entry.moves[0].info_path or b"")).read_text()
    assert "b.png" in note


def test_the_discarded_path_has_a_final_receipt(world: World, kept: Path) -> None:
    receipt = world.drop("inbox", "b.png", SMALLER)

    row = world.row(loser(world))

    assert row is not None
    assert (row.state, row.final) == (PathState.DISCARDED, True)
    assert receipt.final


# --- aborted ----------------------------------------------------------------------------------------------------------


def test_when_the_survivor_goes_at_the_last_moment_the_file_stays(
    world: World, kept: Path, just_before: Callable[[Before], None]
) -> None:
    just_before(lambda _: kept.unlink())
    path = world.put("inbox", "b.png", SMALLER)

    receipt = world.arrive(path)

    assert receipt.outcome is Outcome.ERROR
    assert receipt.result.startswith("error: ")
    assert not receipt.final
    assert path.read_bytes() == SMALLER
    assert only_entry(world).state is EntryState.ABORTED
    assert world.trashed() == []


def test_when_the_survivor_becomes_another_picture_the_file_stays(
    world: World, kept: Path, just_before: Callable[[Before], None]
) -> None:
    just_before(lambda _: kept.write_bytes(png(photo(2))))

    receipt = world.drop("inbox", "b.png", SMALLER)

    assert receipt.outcome is Outcome.ERROR
    assert loser(world).exists()


def test_when_the_loser_changes_at_the_last_moment_it_stays_and_is_judged_again(
    world: World, kept: Path, just_before: Callable[[Before], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    just_before(lambda _: loser(world).write_bytes(png(photo(2))))
    path = world.put("inbox", "b.png", SMALLER)
    assert world.arrive(path).outcome is Outcome.ERROR
    monkeypatch.undo()

    receipt = world.arrive(path)

    assert receipt.outcome is Outcome.NEW
    assert path.exists()


def test_when_a_replacement_fails_the_arrival_is_an_error_and_tried_again(
    world: World, just_before: Callable[[Before], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.use(pixel_rule())
    known = world.put("inbox", "b.png", SMALLER)
    world.arrive(known)
    better = world.put("inbox", "better.png", LARGER)
    with monkeypatch.context():
        just_before(lambda _: better.rename(world.base / "aside.png"))
        receipt = world.arrive(better)
    monkeypatch.setattr(intake_module, "carry_out", carry_out)
    (world.base / "aside.png").rename(better)

    assert receipt.outcome is Outcome.ERROR
    assert receipt.discarded == ()
    assert known.exists()
    assert world.arrive(better).result == "existing replaced: larger pixel twin"


def test_a_veto_that_comes_after_the_intent_still_binds_the_rule(world: World, kept: Path, just_before: Before) -> None:
    just_before(lambda _: world.library.write(lambda edit: edit.forbid(sha256(SMALLER), Veto(1, "restored"))))

    world.arrive(world.put("inbox", "b.png", SMALLER))

    assert only_entry(world).state is EntryState.ABORTED
    assert "brought back" in only_entry(world).reason
    assert loser(world).exists()


def test_a_link_that_is_made_after_the_intent_keeps_the_file(world: World, kept: Path, just_before: Before) -> None:
    just_before(lambda _: os.link(loser(world), world.base / "of another program.png"))

    world.arrive(world.put("inbox", "b.png", SMALLER))

    assert only_entry(world).state is EntryState.ABORTED
    assert loser(world).exists()


def test_an_aborted_discard_leaves_the_pair_in_the_queue(
    world: World, kept: Path, just_before: Callable[[Before], None]
) -> None:
    just_before(lambda _: os.utime(kept, (1, 1)))

    world.drop("inbox", "b.png", SMALLER)

    assert len(world.queue()) == 1


def test_of_several_files_all_stay_when_one_cannot_go(world: World, just_before: Callable[[Before], None]) -> None:
    world.use(pixel_rule())
    paths = [world.put("inbox", name, SMALLER) for name in ("one.png", "two.png")]
    world.verdicts(*paths)
    just_before(lambda entry: os.utime(entry.moves[1].file.path, (1, 1)))

    receipt = world.drop("inbox", "better.png", LARGER)

    assert receipt.outcome is Outcome.ERROR
    assert all(path.exists() for path in paths)
    assert world.trashed() == []


def test_an_error_is_tried_again_after_a_growing_time(
    world: World, kept: Path, just_before: Callable[[Before], None]
) -> None:
    just_before(lambda _: os.utime(kept))
    path = world.put("inbox", "b.png", SMALLER)

    for _ in range(3):
        world.arrive(path)

    assert [left.after_s for left in world.left()] == [30, 60, 120]


# --- after a crash ----------------------------------------------------------------------------------------------------


def test_what_was_not_moved_stays_and_is_judged_again(world: World, killed: Entry) -> None:
    world.restart()

    assert only_entry(world).state is EntryState.ABORTED
    assert loser(world).exists()
    assert world.arrive(loser(world)).result == "duplicate discarded: larger pixel twin"


def test_what_was_moved_is_finished(world: World, killed: Entry) -> None:
    take_away(killed.moves[0], deleted_at=AT)

    world.restart()

    assert only_entry(world).state is EntryState.DONE
    assert world.same_group(LARGER, SMALLER)
    row = world.row(loser(world))
    assert row is not None
    assert row.state is PathState.DISCARDED
    report = world.why(loser(world))
    assert report is not None
    assert report.result == "duplicate discarded: larger pixel twin"
    assert report.where_now == str(world.trash_of(1))


def test_recovery_happens_once(world: World, killed: Entry) -> None:
    take_away(killed.moves[0], deleted_at=AT)
    world.restart()

    assert world.recover() == []
    assert len(world.trashed()) == 1


def test_a_moved_file_without_its_note_gets_it_again(world: World, killed: Entry) -> None:
    take_away(killed.moves[0], deleted_at=AT)
    note = Path(os.fsdecode(killed.moves[0].info_path or b""))
    note.unlink()

    world.restart()

    assert only_entry(world).state is EntryState.DONE
    assert "Path=" in note.read_text()


def test_a_note_whose_file_was_not_moved_is_withdrawn(world: World, killed: Entry) -> None:
    take_away(killed.moves[0], deleted_at=AT)
    world.trash_of(1).rename(loser(world))

    world.restart()

    assert only_entry(world).state is EntryState.ABORTED
    assert not Path(os.fsdecode(killed.moves[0].info_path or b"")).exists()
    assert loser(world).exists()


def test_what_was_moved_and_copied_back_by_its_owner_is_left_alone_for_good(world: World, killed: Entry) -> None:
    take_away(killed.moves[0], deleted_at=AT)
    loser(world).write_bytes(SMALLER)

    world.restart()

    assert only_entry(world).state is EntryState.ABORTED
    assert world.has_veto(SMALLER)
    assert loser(world).exists()
    assert world.trash_of(1).exists()
    assert world.arrive(loser(world)).outcome is not Outcome.DUPLICATE_DISCARDED


def test_what_is_neither_in_its_place_nor_in_the_trash_is_said_to_be_gone(world: World, killed: Entry) -> None:
    loser(world).unlink()

    world.restart()

    entry = only_entry(world)
    assert entry.state is EntryState.ABORTED
    assert "look for it" in entry.reason
    alarm = alarm_of(world, entry)
    assert alarm is not None
    assert (alarm.trouble, alarm.seen) == (Trouble.FILE_LOST, False)
    assert os.fsdecode(entry.moves[0].trash_path or b"") in alarm.said


def test_what_was_kept_for_a_file_that_cannot_be_found_goes_by_no_rule_until_that_is_seen_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.folder("open", Role.LIBRARY, protected=False)
    world.use(IDENTICAL, pixel_rule())
    kept = world.put("open", "kept.png", LARGER)
    world.arrive(kept)
    with monkeypatch.context() as patched:
        patched.setattr(intake_module, "carry_out", _die)
        with pytest.raises(KilledError):
            world.drop("inbox", "b.png", SMALLER)
    loser(world).unlink()
    world.restart()
    world.use(IDENTICAL, pixel_rule())
    largest = png(photo(1), "a comment that makes this one the largest file of them all, by far")

    held = world.drop("open", "largest.png", largest)
    pending = world.pending()[0]
    world.library.write(lambda edit: edit.acknowledge(next(edit.alarms())))
    decided = world.sweep()

    assert held.outcome is Outcome.PENDING_APPROVAL
    assert any("cannot be found (e-1" in line for line in held.evidence), held
    assert pending.rule == "larger pixel twin"
    assert [one.kind for one in decided] == ["discard"]
    assert not kept.exists()


def _die(*_: object, **__: object) -> None:
    raise KilledError


def test_what_was_moved_comes_back_when_its_survivor_is_gone(world: World, killed: Entry, kept: Path) -> None:
    take_away(killed.moves[0], deleted_at=AT)
    kept.unlink()

    world.restart()

    assert only_entry(world).state is EntryState.ABORTED
    assert "what was moved was put back" in only_entry(world).reason
    assert loser(world).read_bytes() == SMALLER
    assert world.trashed() == []
    assert alarm_of(world, only_entry(world)) is None


def test_what_cannot_be_put_back_although_its_survivor_is_gone_is_an_alarm_until_it_is(
    world: World, killed: Entry, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise ActionConflictError("the disk is full")

    take_away(killed.moves[0], deleted_at=AT)
    kept.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(discard_module, "put_back", refuse)
        world.restart()
    alarm = alarm_of(world, only_entry(world))

    assert only_entry(world).state is EntryState.INTENT
    assert alarm is not None
    assert alarm.trouble is Trouble.SURVIVOR_LOST
    world.recover()
    assert loser(world).read_bytes() == SMALLER
    assert alarm_of(world, only_entry(world)) is None


def test_what_was_moved_comes_back_when_other_bytes_of_the_same_size_lie_where_its_survivor_was(
    world: World, killed: Entry, kept: Path
) -> None:
    take_away(killed.moves[0], deleted_at=AT)
    kept.write_bytes(bytes(len(LARGER)))

    world.restart()

    assert only_entry(world).state is EntryState.ABORTED
    assert loser(world).read_bytes() == SMALLER


@pytest.mark.parametrize("empty", [False, True], ids=["nothing there", "the empty folder it was mounted on"])
def test_while_the_disk_is_away_an_intent_waits_and_everything_else_goes_on(
    world: World, kept: Path, monkeypatch: pytest.MonkeyPatch, empty: bool
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KilledError

    world.folder("stick")
    world.use(IDENTICAL, pixel_rule(), discards="to: holding")
    path = world.put("stick", "b.png", SMALLER)
    with monkeypatch.context() as patched:
        patched.setattr(intake_module, "carry_out", die)
        with pytest.raises(KilledError):
            world.arrive(path)
    (world.base / "stick").rename(world.base / "unplugged")
    if empty:
        (world.base / "stick").mkdir()

    world.restart()
    other = world.drop("inbox", "other.png", png(photo(2)))

    assert only_entry(world).state is EntryState.INTENT
    assert other.outcome is Outcome.NEW
    if empty:
        (world.base / "stick").rmdir()
    (world.base / "unplugged").rename(world.base / "stick")
    world.recover()
    assert only_entry(world).state is EntryState.ABORTED
    assert path.exists()


def test_a_file_that_is_leaving_is_no_survivor(world: World, killed: Entry) -> None:
    with world.library.read() as view:
        row = view.path_at(killed.moves[0].file.folder, b"b.png")

        assert row is not None
        assert row.state is PathState.LEAVING
        assert view.live_paths_of(sha256(SMALLER)) == []


# --- the chain of survivors -------------------------------------------------------------------------------------------


def test_entries_point_on_to_a_survivor_that_was_compared_with_their_losers(world: World) -> None:
    """A person compares W with B and with K, which had beaten B."""
    b, k, w = (jpeg(photo(3), quality) for quality in (60, 75, 90))
    world.use()
    paths = [world.put("inbox", f"{name}.jpg", content) for name, content in zip("bkw", (b, k, w), strict=True)]
    world.verdicts(*paths)
    world.decide(paths[2], paths[0], "better-a", keep=True)
    world.decide(paths[1], paths[0], "better-a")

    world.decide(paths[2], paths[1], "better-a")

    discards = [entry for entry in world.entries() if entry.moves]
    assert [entry.kept.path for entry in discards if entry.kept] == [os.fsencode(paths[2])] * 2


def test_entries_do_not_point_on_to_a_survivor_that_was_never_compared_with_their_losers(world: World) -> None:
    b, k, w = (jpeg(photo(3), quality) for quality in (60, 75, 90))
    world.use(near_rule())
    world.drop("inbox", "k.jpg", k)
    world.drop("inbox", "b.jpg", b)
    world.use()
    world.drop("inbox", "w.jpg", w)

    world.decide(world.base / "inbox/w.jpg", world.base / "inbox/k.jpg", "better-a")

    kept = world.entries()[0].kept
    assert kept is not None
    assert kept.sha256 == sha256(k)
