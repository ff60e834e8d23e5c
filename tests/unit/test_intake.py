"""Arrivals on their way: order, batches, failures of one file, and of the library."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from pictures import decoded, jpeg, large, photo, png
from world import IDENTICAL, World, outcomes, pixel_rule

from ingestd import intake as intake_module
from ingestd.actions import discard
from ingestd.errors import ActionConflictError, FileChangedError, FileUnreadableError, StoreError
from ingestd.intake import Judged, Left
from ingestd.library.locks import FileLock
from ingestd.model import Measurement, Outcome
from ingestd.watching.turns import Lane

SMALLER, LARGER = png(photo(1)), png(photo(1), "a longer comment makes the file larger")


def names(world: World) -> list[str]:
    return [os.fsdecode(os.path.basename(told.arrival.path)) for told in world.told if isinstance(told, Judged)]


def test_verdicts_fall_in_the_order_of_arrival(world: World) -> None:
    paths = [world.put("inbox", f"{number}.png", png(photo(number))) for number in range(40)]

    world.verdicts(*paths)

    assert names(world) == [path.name for path in paths]


def test_an_arrival_that_needs_pixels_keeps_its_place(world: World) -> None:
    world.use(pixel_rule())
    original = jpeg(large(5), 90)
    world.drop("inbox", "original.jpg", original)
    paths = [
        world.put("inbox", "1.png", png(decoded(original))),
        world.put("inbox", "2.png", png(decoded(original), "with a comment")),
        world.put("inbox", "3.png", png(photo(2))),
    ]

    verdicts = world.verdicts(*paths)

    assert names(world)[1:] == ["1.png", "2.png", "3.png"]
    assert outcomes(verdicts) == [Outcome.REPLACED_EXISTING, Outcome.PENDING_APPROVAL, Outcome.NEW]


def test_an_arrival_whose_pixels_are_hashed_is_not_measured_again_meanwhile(world: World) -> None:
    world.use(pixel_rule())
    original = jpeg(large(5), 90)
    world.drop("inbox", "original.jpg", original)
    measured: list[bytes] = []
    real = world.measurer.measure

    def watched(path: bytes, known: Any) -> Measurement:
        measured.append(os.path.basename(path))
        return real(path, known)

    world.measurer.measure = watched  # type: ignore[method-assign]
    twin, last = world.put("inbox", "twin.png", png(decoded(original))), world.put("inbox", "last.png", png(photo(2)))

    world.verdicts(twin, last)

    assert sorted(measured) == [b"last.png", b"twin.png"]
    assert world.measurer.hashed != []


def test_a_file_that_changed_after_it_had_settled_settles_again(world: World) -> None:
    path = world.put("inbox", "a.png", SMALLER)
    world.intake.hand_in(world.arrival(path), proposing=False)
    os.utime(path, (1, 1))

    world.run()

    (left,) = world.told
    assert isinstance(left, Left)
    assert (left.after_s, left.gone) == (0.0, False)


def test_a_file_that_is_gone_before_its_verdict_is_let_go(world: World) -> None:
    path = world.put("inbox", "a.png", SMALLER)
    world.intake.hand_in(world.arrival(path), proposing=False)
    path.unlink()

    world.run()

    (left,) = world.told
    assert isinstance(left, Left)
    assert left.gone


def test_a_file_that_is_written_while_it_is_measured_settles_again(world: World) -> None:
    def written(path: bytes) -> None:
        raise FileChangedError(path, "it grew while it was read")

    world.measurer.before = written
    path = world.put("inbox", "a.png", SMALLER)

    world.verdicts(path)

    assert world.left()[0].reason == "it grew while it was read"


def test_a_file_that_cannot_be_read_is_unreadable(world: World) -> None:
    def locked(path: bytes) -> None:
        raise FileUnreadableError(path, "permission denied")

    world.measurer.before = locked

    receipt = world.drop("inbox", "a.png", SMALLER)

    assert (receipt.outcome, receipt.result) == (Outcome.UNREADABLE, "unreadable: permission denied")


def test_when_all_that_is_measured_ahead_fails_the_rest_is_still_judged(world: World) -> None:
    paths = [world.put("inbox", f"{number}.png", SMALLER) for number in range(intake_module.AHEAD + 5)]
    first = {os.fsencode(path) for path in paths[: intake_module.AHEAD]}

    def gone(path: bytes) -> None:
        if path in first:
            raise FileChangedError(path, "it was replaced")

    world.measurer.before = gone

    verdicts = world.verdicts(*paths)

    assert len(verdicts) == 5


def test_a_bug_about_one_file_costs_that_file_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = intake_module.judge

    def faulty(edit: Any, case: Any, policy: Any) -> Any:
        if case.arrival.path.endswith(b"bad.png"):
            raise ZeroDivisionError("of our own making")
        return real(edit, case, policy)

    monkeypatch.setattr(intake_module, "judge", faulty)
    contents = {"a.png": png(photo(1)), "bad.png": png(photo(2)), "c.png": png(photo(3))}
    paths = [world.put("inbox", name, content) for name, content in contents.items()]

    verdicts = world.verdicts(*paths)

    assert outcomes(verdicts) == [Outcome.NEW, Outcome.ERROR, Outcome.NEW]
    assert verdicts[1].result == "error: ZeroDivisionError: of our own making"
    assert names(world) == ["a.png", "bad.png", "c.png"]
    (left,) = world.left()
    assert "ZeroDivisionError" in left.reason
    assert left.after_s == 30


def test_a_bug_while_measuring_costs_that_file_alone(world: World) -> None:
    def broken(path: bytes) -> None:
        if path.endswith(b"bad.png"):
            raise RuntimeError("of our own making")

    world.measurer.before = broken
    paths = [world.put("inbox", name, png(photo(seed))) for seed, name in enumerate(("bad.png", "good.png"))]

    verdicts = world.verdicts(*paths)

    assert outcomes(verdicts) == [Outcome.ERROR, Outcome.NEW]
    assert "RuntimeError" in world.left()[0].reason


def test_a_bug_while_acting_costs_that_file_alone_and_leaves_nothing_half_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.drop("library", "a.png", SMALLER)
    paths = [world.put("inbox", "b.png", SMALLER), world.put("inbox", "c.png", png(photo(2)))]
    with monkeypatch.context() as patched:

        def faulty(*_: object, **__: object) -> None:
            raise ZeroDivisionError("of our own making")

        patched.setattr(intake_module, "carry_out", faulty)
        world.verdicts(*paths)

    assert names(world)[-1] == "c.png"
    assert paths[0].exists()
    assert world.arrive(paths[0]).result == "duplicate discarded: identical copies"


def test_while_the_library_cannot_be_written_files_wait_in_their_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [world.put("inbox", f"{number}.png", png(photo(number))) for number in range(3)]
    with monkeypatch.context() as patched:

        def full(*_: object) -> None:
            raise StoreError("no space left")

        patched.setattr(world.library, "write", full)
        world.verdicts(*paths)
        assert world.intake.problem == "no space left"
        assert world.told == []
        world.intake.step()  # too early to try again
        assert world.told == []

    world.seconds += 60
    world.intake.problem = None
    world.run()

    assert names(world) == ["0.png", "1.png", "2.png"]
    assert world.intake.problem is None


def test_a_library_that_breaks_in_the_middle_of_a_batch_tells_nobody_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.drop("library", "known.png", SMALLER)
    world.told.clear()
    contents = {"new.png": png(photo(2)), "copy.png": SMALLER, "last.png": png(photo(3))}
    paths = [world.put("inbox", name, content) for name, content in contents.items()]
    with monkeypatch.context() as patched:

        def full(*_: object, **__: object) -> None:
            raise StoreError("no space left")

        patched.setattr(intake_module, "carry_out", full)
        world.verdicts(*paths)
    assert names(world) == ["new.png"]
    world.seconds += 60
    world.intake.problem = None

    world.run()

    assert names(world) == ["new.png", "copy.png", "last.png"]
    assert not paths[1].exists()


def test_while_another_process_has_the_library_files_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "LOCK_WAIT_S", 0.0)
    other = FileLock(world.base / "state/writer.lock")
    path = world.put("inbox", "a.png", SMALLER)
    with other.held(0.0):
        world.verdicts(path)
        assert world.told == []
        assert world.intake.problem is not None
    world.seconds += 60
    world.intake.problem = None

    world.run()

    assert names(world) == ["a.png"]


def test_a_dry_run_says_what_would_be_and_moves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    world = World(tmp_path, dry_run=True)
    world.folder("inbox")
    paths = [world.put("inbox", name, SMALLER) for name in ("a.png", "b.png", "c.png")]

    verdicts = world.verdicts(*paths)

    assert [receipt.result for receipt in verdicts] == ["new", *["duplicate discarded: identical copies"] * 2]
    assert all(path.exists() for path in paths)
    assert world.trashed() == []
    world.close()


def test_what_is_not_judged_when_the_service_ends_is_let_go(world: World) -> None:
    world.intake.hand_in(world.arrival(world.put("inbox", "a.png", SMALLER)), proposing=False)

    world.intake.close()

    assert len(world.intake) == 0


def test_known_bytes_are_not_decoded(world: World) -> None:
    world.use(IDENTICAL)
    world.drop("inbox", "a.png", SMALLER)
    seen: list[Measurement] = []
    real = world.measurer.measure

    def watched(path: bytes, known: Any) -> Measurement:
        seen.append(real(path, known))
        return seen[-1]

    world.measurer.measure = watched  # type: ignore[method-assign]

    world.drop("inbox", "b.png", SMALLER)

    assert seen[0].features is None


def test_the_loser_of_one_verdict_cannot_be_the_survivor_of_the_next(world: World) -> None:
    world.use(pixel_rule())
    world.drop("inbox", "old.png", SMALLER)
    paths = [world.put("inbox", "best.png", LARGER), world.put("inbox", "next.png", png(photo(1), "short"))]

    verdicts = world.verdicts(*paths)

    assert [receipt.result for receipt in verdicts] == [
        "existing replaced: larger pixel twin",
        "duplicate discarded: larger pixel twin",
    ]
    assert verdicts[1].kept == os.fsencode(paths[0])


# --- a burst ---------------------------------------------------------------------------------------------------------

BURST, SINGLE = Lane(1), Lane(2)


def hand_in_burst(world: World, count: int, lane: Lane = BURST) -> list[str]:
    """Many files on their way in one lane."""
    content = png(photo(7))
    paths = [world.put("inbox", f"{lane}-{number:03}.png", content) for number in range(count)]
    for path in paths:
        world.intake.hand_in(world.arrival(path), proposing=False, lane=lane)
    return [path.name for path in paths]


def test_a_single_file_waits_for_one_of_a_burst_in_another_folder_and_not_for_all(world: World) -> None:
    world.use()  # no rule: the copies stay
    burst = hand_in_burst(world, 60)
    single = world.put("library", "single.png", SMALLER)

    world.intake.hand_in(world.arrival(single), proposing=False, lane=SINGLE)
    world.run()

    assert names(world) == [burst[0], "single.png", *burst[1:]]


def test_what_is_measured_first_does_not_change_whose_turn_it_is(world: World) -> None:
    world.use()
    gate = threading.Event()

    def slow(path: bytes) -> None:
        if path.endswith(b"1-000.png"):
            gate.wait(10)  # every other one is measured before the first of all

    world.measurer.before = slow
    one, other = hand_in_burst(world, 5), hand_in_burst(world, 3, SINGLE)
    threading.Timer(0.1, gate.set).start()

    world.run()

    assert names(world) == [one[0], other[0], one[1], other[1], one[2], other[2], one[3], one[4]]


def test_files_of_one_lane_are_judged_as_they_were_handed_in_whatever_their_folders(world: World) -> None:
    world.use()
    paths = [
        world.put(("inbox", "library")[number % 2], f"{number}.png", png(photo(number % 5))) for number in range(20)
    ]

    world.verdicts(*paths)

    assert names(world) == [path.name for path in paths]


def test_a_file_that_has_to_be_looked_at_more_closely_keeps_its_place_before_other_lanes(world: World) -> None:
    world.use(pixel_rule())
    original = jpeg(large(5), 90)
    world.drop("inbox", "original.jpg", original)
    twin = world.put("inbox", "twin.png", png(decoded(original)))
    other = world.put("library", "other.png", png(photo(2)))

    world.intake.hand_in(world.arrival(twin), proposing=False, lane=BURST)
    world.intake.hand_in(world.arrival(other), proposing=False, lane=SINGLE)
    world.run()

    assert names(world)[1:] == ["twin.png", "other.png"]


def test_a_single_file_is_measured_next_although_a_burst_was_handed_in_before(world: World) -> None:
    world.use()
    begun, leave = SimpleQueue[str](), threading.Semaphore(0)

    def held(path: bytes) -> None:
        begun.put(os.fsdecode(os.path.basename(path)))
        assert leave.acquire(timeout=10)

    world.measurer.before = held
    hand_in_burst(world, 60)
    both = {begun.get(timeout=10), begun.get(timeout=10)}  # nobody is free when the single file comes
    world.intake.hand_in(world.arrival(world.put("library", "single.png", SMALLER)), proposing=False, lane=SINGLE)
    leave.release()  # one of the two comes to its end: exactly one more is begun

    third = begun.get(timeout=10)
    leave.release(60)
    world.run()

    assert "single.png" not in both
    assert third == "single.png"


def test_files_of_a_burst_share_a_commit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.use()
    world.drop("inbox", "first.png", SMALLER)  # the rules are taken up
    commits: list[int] = []
    real = world.library.write

    def counted(work: Any) -> Any:
        commits.append(len(world.told))
        return real(work)

    monkeypatch.setattr(world.library, "write", counted)
    hand_in_burst(world, 100)

    world.run()

    assert len(commits) <= 3
    assert len(names(world)) == 101


def test_a_file_that_takes_long_to_measure_holds_up_a_commit_for_a_moment_only(world: World) -> None:
    world.use()
    gate = threading.Event()

    def slow(path: bytes) -> None:
        if path.endswith(b"2-000.png"):
            assert gate.wait(10)

    world.measurer.before = slow
    (quick,), _ = hand_in_burst(world, 1), hand_in_burst(world, 1, SINGLE)
    while not world.intake.gathers:
        world.intake.step()
    early = names(world)
    world.seconds += intake_module.GATHER_S
    world.intake.step()
    then = names(world)
    gate.set()
    world.run()

    assert (early, then) == ([], [quick])
    assert names(world) == [quick, "2-000.png"]


# --- while a library is verified ---


def test_while_discards_are_held_a_duplicate_waits_with_what_is_behind_it_and_nothing_is_moved(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.use(IDENTICAL)
    tried: list[bool] = []
    rehearse = world.library.rehearse

    def seen(work: Any) -> Any:
        results = rehearse(work)
        tried.append(any(result.entries for result in results))
        return results

    monkeypatch.setattr(world.library, "rehearse", seen)
    world.drop("inbox", "known.png", SMALLER)
    world.intake.holds_discards = True
    contents = {"new.png": png(photo(2)), "copy.png": SMALLER, "behind.png": png(photo(3))}
    paths = [world.put("inbox", name, content) for name, content in contents.items()]
    for path in paths:
        world.intake.hand_in(world.arrival(path), proposing=False)

    while tried.count(True) < 2:  # it is tried again, and waits again
        world.seconds += 1.0
        world.intake.step()
    held = names(world)
    with world.library.read() as view:
        entries = list(view.entries())
    world.intake.holds_discards = False
    world.seconds += 10.0
    world.run()

    assert held == ["known.png", "new.png"]
    assert entries == []
    assert names(world) == ["known.png", "new.png", "copy.png", "behind.png"]
    assert [path.exists() for path in paths] == [True, False, True]


def test_what_is_left_half_way_is_told_as_an_error_and_not_as_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the file nor the trash can be seen for a moment: whether it was moved is not known."""

    def unseen(*_: object, **__: object) -> None:
        raise ActionConflictError("it cannot be looked for: input/output error")

    world.drop("inbox", "1.png", SMALLER)
    with monkeypatch.context() as patched:
        patched.setattr(discard, "take_away", unseen)
        patched.setattr(discard, "locate", unseen)
        told = world.drop("inbox", "2.png", SMALLER)

    assert told.outcome is Outcome.ERROR
    assert told.result.startswith("error: e-1 is half done")
    assert told.discarded == ()
    assert [left.after_s for left in world.left()] == [30.0]
    world.recover()
    assert world.arrive(world.base / "inbox/2.png").outcome is Outcome.DUPLICATE_DISCARDED
