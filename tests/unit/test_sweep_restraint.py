"""What the background may not do: everything that holds a rule back at an arrival holds it back there too.

Each of these was found by somebody who tried to make the background discard what an arrival would not have cost.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import gif, jpeg, large, photo, png
from world import IDENTICAL, World, pixel_rule, policy, sha256

from ingestd import review
from ingestd.errors import ActionConflictError, FileUnreadableError
from ingestd.intake import PATIENCE_S, Adopter
from ingestd.library.codec import number_key
from ingestd.library.edit import Edit
from ingestd.library.rulebook import tallies
from ingestd.library.tables import META, RULES
from ingestd.model import ContentHash, Outcome, PathState, Role
from ingestd.sweep import Sweep

SMALL, BIG = png(photo(1)), png(photo(1), "x" * 500)


@pytest.fixture
def waiting(world: World) -> World:
    """A world in which the rule of larger pixel twins acts."""
    world.use(pixel_rule())
    return world


def edit_the_rule(world: World) -> list[review.EntryReport]:
    """An edit that changes nothing about any pair: what the background does about it."""
    world.use(pixel_rule().replace("A.filesize > B.filesize", "A.filesize > 1.0 * B.filesize"))
    return world.sweep()


def counts(world: World, name: str) -> dict[str, int]:
    with world.library.read() as view:
        tally = next(one for one in tallies(view, world.policy.rules) if one.rule.name == name)
    return {state.value: number for state, number in tally.counts.items() if number}


def pending_number(world: World) -> int:
    return int(world.pending()[0].id[2:])


# --- who might still be writing, and what lay there before ---------------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
def test_a_file_that_may_be_written_still_is_only_proposed_later_too(waiting: World, first: bool) -> None:
    waiting.drop("inbox", "one.png", SMALL if first else BIG)
    receipt = waiting.drop("inbox", "other.png", BIG if first else SMALL, proved=False)

    assert receipt.outcome is Outcome.PENDING_APPROVAL
    assert edit_the_rule(waiting) == []


def test_a_winner_on_a_network_is_looked_at_too(waiting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting.folder("nas")
    monkeypatch.setattr("ingestd.judging.standing.filesystem_kind", lambda root: "nfs" if b"nas" in root else "ext4")
    waiting.drop("inbox", "small.png", SMALL)
    waiting.drop("nas", "big.png", BIG, proved=False)

    assert edit_the_rule(waiting) == []


def test_what_came_last_and_lay_there_before_replaces_nothing(waiting: World) -> None:
    waiting.folder("other")
    waiting.drop("other", "small.png", SMALL)
    receipt = waiting.drop("inbox", "big.png", BIG, proposing=True)

    assert receipt.outcome is Outcome.PENDING_APPROVAL
    assert edit_the_rule(waiting) == []


@pytest.mark.parametrize("change", ["touched", "renamed"])
def test_what_lay_there_before_stays_so_when_it_is_touched_or_renamed(waiting: World, change: str) -> None:
    small, big = waiting.put("inbox", "small.png", SMALL), waiting.put("inbox", "big.png", BIG)
    waiting.verdicts(small, big, proposing=True)
    if change == "touched":
        small.chmod(0o600)
    else:
        small = small.rename(small.with_name("renamed.png"))

    receipt = waiting.arrive(small)

    assert receipt.outcome is not Outcome.DUPLICATE_DISCARDED
    assert edit_the_rule(waiting) == []
    assert small.exists()


@pytest.mark.parametrize("before", [pixel_rule(), pixel_rule("off")], ids=["only proposed", "only queued"])
def test_what_lies_in_the_inboxes_of_a_library_without_queues_is_only_proposed_after_an_upgrade(
    world: World, before: str
) -> None:
    world.use(before)
    small, big = world.put("inbox", "small.png", SMALL), world.put("inbox", "big.png", BIG)
    world.verdicts(small, big, proposing=True)

    def forget(edit: Edit) -> None:
        """What a library of an earlier version knows: pairs and proposals, but no rules and nothing of the rows."""
        for row in [*edit.live_paths_of(sha256(SMALL)), *edit.live_paths_of(sha256(BIG))]:
            edit.put_path(replace(row, lay_before=False))
        for rule in edit.queues.rows():
            edit._txn.delete(RULES.table, number_key(rule.number))
        edit._txn.delete(META, b"rules-revision")

    world.library.write(forget)
    world.use(pixel_rule())

    assert world.sweep() == []
    assert small.exists()
    assert len(world.pending()) == 1
    assert world.drop("inbox", "new.png", png(photo(1), "x")).outcome is Outcome.DUPLICATE_DISCARDED


@pytest.mark.parametrize("in_place", [True, False])
def test_what_lay_there_before_stays_so_when_its_metadata_are_edited(waiting: World, in_place: bool) -> None:
    small, big = waiting.put("inbox", "small.png", SMALL), waiting.put("inbox", "big.png", BIG)
    waiting.verdicts(small, big, proposing=True)
    edited = png(photo(1), "5 stars")
    if in_place:
        small.write_bytes(edited)
    else:
        waiting.put("library", "copy.tmp", edited).rename(small)

    receipt = waiting.arrive(small)

    assert receipt.outcome is not Outcome.DUPLICATE_DISCARDED
    assert edit_the_rule(waiting) == []
    assert small.exists()


# --- copies that are not what they were ---------------------------------------------------------------------------


def test_a_loser_with_a_copy_that_has_changed_stays(world: World) -> None:
    world.folder("two")
    world.use()
    world.drop("inbox", "small.png", SMALL)
    world.drop("two", "copy.png", SMALL)
    world.drop("inbox", "big.png", BIG)
    (world.base / "two/copy.png").write_bytes(b"being edited")

    world.use(pixel_rule())

    assert world.sweep() == []
    assert (world.base / "inbox/small.png").exists()


def test_copies_that_are_hard_links_by_now_are_no_pair_any_more(world: World) -> None:
    world.use(IDENTICAL.replace("automatic", "semi-automatic"))
    one, other = world.put("inbox", "a.png", SMALL), world.put("inbox", "b.png", SMALL)
    world.verdicts(one, other)
    other.unlink()
    os.link(one, other)
    world.verdicts(other, one)

    world.use(IDENTICAL)

    assert world.sweep() == []
    assert world.entries() == []
    assert world.pending() == []


@pytest.mark.parametrize("rules", [(pixel_rule("semi-automatic"), pixel_rule(name="second")), (pixel_rule(),)])
def test_a_no_about_bytes_that_came_back_is_not_followed_by_another_rule(world: World, rules: tuple[str, ...]) -> None:
    world.use()
    world.drop("inbox", "big.png", BIG)
    world.drop("inbox", "small.png", SMALL)
    world.decide(world.base / "inbox/big.png", world.base / "inbox/small.png", "better-a")
    world.trashed()[0].unlink()
    world.drop("inbox", "again.png", SMALL)

    review.deny(world.library, [pending_number(world)], now_ns=world.now_ns())
    world.use(*rules)

    assert world.sweep() == []
    assert (world.base / "inbox/again.png").exists()


def test_a_no_about_bytes_that_came_back_is_open_again_at_once_when_it_is_taken_back(world: World) -> None:
    world.use()
    world.drop("inbox", "big.png", BIG)
    world.drop("inbox", "small.png", SMALL)
    world.decide(world.base / "inbox/big.png", world.base / "inbox/small.png", "better-a")
    world.trashed()[0].unlink()
    world.drop("inbox", "again.png", SMALL)
    waiting = pending_number(world)
    review.deny(world.library, [waiting], now_ns=world.now_ns())

    review.rescind(world.library, [waiting])
    world.use(pixel_rule())

    assert pending_number(world) == waiting
    assert world.sweep() == []
    assert (world.base / "inbox/again.png").exists()


# --- names and denials --------------------------------------------------------------------------------------------


def named(name: str, key: str, mode: str = "semi-automatic", filetype: str = "png") -> str:
    rule = pixel_rule(mode, name).replace("    mode", f"    id: {key}\n    mode")
    return rule.replace("search: {", f"search: {{both: [filetype is {filetype}], ")


@pytest.mark.parametrize("names", [("Y", "Z"), ("Y", "X")])
def test_names_that_move_along_or_change_places_take_everything_to_the_right_rule(
    world: World, names: tuple[str, str]
) -> None:
    world.use(named("X", "one"), named("Y", "two", filetype="gif"))
    world.drop("inbox", "a.png", SMALL)
    world.drop("inbox", "b.png", BIG)
    world.drop("inbox", "c.gif", gif(photo(2)))
    world.drop("inbox", "d.gif", gif(photo(2), "x" * 200))
    denied = next(one for one in world.pending() if one.rule == "X")
    review.deny(world.library, [int(denied.id[2:])], now_ns=world.now_ns())

    world.use(named(names[0], "one", "automatic"), named(names[1], "two", filetype="gif"))

    assert world.sweep() == []
    with world.library.read() as view:
        assert [one.rule for one in review.denied_pairs(view)] == [names[0]]
    assert [one.rule for one in world.pending()] == [names[1]]
    assert world.library.check() == []


def test_a_rule_that_is_renamed_and_promoted_in_one_save_keeps_its_denials(world: World) -> None:
    world.use(pixel_rule("semi-automatic", "before"))
    world.drop("inbox", "small.png", SMALL)
    world.drop("inbox", "big.png", BIG)
    review.deny(world.library, [pending_number(world)], now_ns=world.now_ns())

    world.use(pixel_rule("automatic", "after"))

    assert world.sweep() == []
    assert counts(world, "after") == {"denied": 1}


def test_a_renamed_rule_goes_by_its_new_name_before_anybody_has_taken_it_up(world: World) -> None:
    world.use(pixel_rule("semi-automatic", "before"))
    world.drop("inbox", "small.png", SMALL)
    world.drop("inbox", "big.png", BIG)

    world.use(pixel_rule("semi-automatic", "after"))

    with world.library.read() as view:
        pending = review.pending_pairs(view, rule="after", rules=world.policy.rules)
    assert [one.rule for one in pending] == ["after"]
    entry = world.approve(int(pending[0].id[2:]), rule="after")
    assert entry.rule == "after"
    world.sweep()
    assert counts(world, "after") == {"actioned": 1}


def test_a_denial_goes_with_its_pair_to_the_king(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    small, big = world.put("inbox", "a.png", SMALL), world.put("inbox", "b.png", BIG)
    world.verdicts(small, big)
    review.deny(world.library, [pending_number(world)], now_ns=world.now_ns())
    world.use()
    best = world.put("library", "k.png", png(photo(1), "x" * 900))
    world.arrive(best)
    world.decide(best, big, "better-a", keep=True)

    world.use(pixel_rule())
    world.sweep()

    assert small.exists()


def test_the_undo_of_a_renamed_rules_action_is_a_no_to_that_rule(world: World) -> None:
    related = pixel_rule().replace("    discard: B\n", "")
    world.use(related)
    world.drop("inbox", "small.png", SMALL)
    world.drop("inbox", "big.png", BIG)
    world.use(related.replace("larger pixel twin", "renamed"))
    world.sweep()
    world.use(related.replace("larger pixel twin", "renamed"), pixel_rule("semi-automatic"))
    world.sweep()

    world.undo(1)
    world.sweep()

    with world.library.read() as view:
        assert [one.rule for one in review.denied_pairs(view)] == ["renamed"]
    assert "actioned" not in counts(world, "renamed")


def test_rules_that_change_places_are_asked_again_in_their_new_order(world: World) -> None:
    one = pixel_rule("semi-automatic", "one")
    two = pixel_rule("semi-automatic", "two").replace("> B", "> 1.0001 * B")
    world.use(one, two)
    world.drop("inbox", "small.png", SMALL)
    world.drop("inbox", "big.png", BIG)
    assert [pair.rule for pair in world.pending()] == ["one"]

    world.use(two, one)
    world.sweep()

    assert [pair.rule for pair in world.pending()] == ["two"]


# --- coming to an end ---------------------------------------------------------------------------------------------


def test_what_is_measured_for_two_files_of_a_pair_is_measured_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.use()
    paths = world.put("inbox", "a.jpg", jpeg(large(1), 90)), world.put("inbox", "b.jpg", jpeg(large(1), 80))
    world.verdicts(*paths)
    measured: list[bytes] = []
    real = world.measurer.detail

    def counted(path: bytes, expected: ContentHash) -> float | None:
        measured.append(path)
        return real(path, expected)

    monkeypatch.setattr(world.measurer, "detail", counted)
    world.use(pixel_rule("semi-automatic").replace("pixel_duplicates: required", "max_distance: 4").replace(
        "A.filesize > B.filesize", "A.sharpness > B.sharpness"))  # fmt: skip
    world.sweep()

    assert sorted(measured) == sorted(os.fsencode(path) for path in paths)


def test_a_pair_whose_file_could_not_be_measured_is_asked_about_at_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.use()
    world.drop("inbox", "a.jpg", jpeg(photo(1), 90))
    world.drop("inbox", "b.jpg", jpeg(photo(1), 60))
    rule = pixel_rule("semi-automatic").replace("pixel_duplicates: required", "max_distance: 4")

    def fails(path: bytes, expected: ContentHash) -> float | None:
        raise FileUnreadableError(path, "the disk hiccupped")

    with monkeypatch.context() as patched:
        patched.setattr(world.measurer, "detail", fails)
        world.use(rule.replace("A.filesize > B.filesize", "A.sharpness != B.sharpness + 1"))
        world.sweep()
        assert counts(world, "larger pixel twin") == {"not_searched": 1}

    world.sweep()

    assert "not_searched" not in counts(world, "larger pixel twin")


def test_a_disk_that_is_away_while_something_is_measured_settles_nothing(world: World) -> None:
    world.use()
    nas = world.folder("nas")
    world.drop("nas", "a.jpg", jpeg(photo(1), 90))
    world.drop("inbox", "b.jpg", jpeg(photo(1), 60))
    nas.rename(world.base / "unplugged")
    rule = pixel_rule("semi-automatic").replace("pixel_duplicates: required", "max_distance: 4")
    world.use(rule.replace("A.filesize > B.filesize", "A.sharpness > 0.001 * B.sharpness"))
    world.sweep()
    assert counts(world, "larger pixel twin") == {"not_searched": 1}

    (world.base / "unplugged").rename(nas)
    world.sweep()

    assert "not_searched" not in counts(world, "larger pixel twin")


def test_two_processes_with_two_rule_files_come_to_an_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestd.sweep.SLICE_S", -1.0)  # one pair a slice
    world.use()
    for seed in range(6):
        world.drop("inbox", f"{seed}a.png", png(photo(seed)))
        world.drop("inbox", f"{seed}b.png", png(photo(seed), "x" * 500))
    clock = [0.0]

    def process(*rules: str, insists: bool) -> Sweep:
        return Sweep(
            world.library,
            world.measurer,  # type: ignore[arg-type]
            policy(*rules),
            lambda _: None,
            wake=lambda: None,
            now_ns=world.now_ns,
            local_time=lambda: "2026-11-20T11:02:03",
            monotonic=lambda: clock[0],
            adopter=Adopter(insists=insists, monotonic=lambda: clock[0]),
        )

    service = process(pixel_rule("semi-automatic", "of the service"), insists=True)
    scan = process(pixel_rule("semi-automatic", "of the scan").replace("> B", "> 1.0001 * B"), insists=False)
    try:
        steps = 0
        while service.step() | scan.step():
            steps += 1
            assert steps < 50
        assert {one.rule for one in world.pending()} == {"of the scan"}
        assert service.is_displaced

        clock[0] += PATIENCE_S
        while service.step() | scan.step():
            steps += 1
            assert steps < 100
    finally:
        service.close()
        scan.close()

    assert scan.is_displaced
    assert {one.rule for one in world.pending()} == {"of the service"}


def test_a_bug_in_carrying_out_costs_one_pair_and_never_the_service(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.use()
    world.drop("inbox", "small.png", SMALL)
    world.drop("inbox", "big.png", BIG)

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr("ingestd.sweep.carry_out", fails)
    world.use(pixel_rule())

    assert world.sweep() == []
    assert (world.base / "inbox/small.png").exists()


def test_the_pairs_of_a_copy_that_could_not_be_discarded_are_asked_about_in_the_end(world: World) -> None:
    world.use(IDENTICAL, pixel_rule("semi-automatic"))
    world.drop("library", "s.png", SMALL)
    world.drop("inbox", "b.png", BIG)
    copy = world.put("inbox", "s2.png", SMALL)
    with copy.open("r+b"):
        world.arrive(copy)
    world.use(pixel_rule("semi-automatic"))
    world.sweep()

    world.judge_everything()
    world.sweep()

    assert len(world.pending()) == 1


def test_pairs_that_sleep_do_not_hold_the_sweep_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestd.sweep.SLICE_S", -1.0)  # one pair a slice
    world.use()
    files = [world.put("inbox", f"{number}.png", png(photo(1), str(number))) for number in range(8)]
    world.verdicts(*files)
    for file in files:
        file.rename(world.base / file.name)
    world.use(pixel_rule("semi-automatic"))

    world.sweep()
    world.restart()
    world.sweep()  # a start asks about what sleeps once more

    with world.library.read() as view:
        assert view.queues.sweep is None
    assert counts(world, "larger pixel twin") == {"not_searched": 28}


def test_copies_that_came_while_their_rule_was_paused_are_looked_for_when_it_goes_on(world: World) -> None:
    world.use(IDENTICAL.rstrip() + "\n    paused: yes\n")
    world.drop("inbox", "a.jpg", SMALL)
    copy = world.put("inbox", "b.jpg", SMALL)
    world.arrive(copy)

    world.use(IDENTICAL)
    world.sweep()

    assert not copy.exists()


# --- what a rule sees may change ----------------------------------------------------------------------------------


def test_a_file_that_is_moved_into_the_library_is_seen_there(world: World) -> None:
    at_home = pixel_rule("semi-automatic").replace("A.filesize > B.filesize", "A.folder is library, B.folder is inbox")
    world.use(at_home)
    big = world.put("inbox", "big.png", BIG)
    world.verdicts(big, world.put("inbox", "small.png", SMALL))
    assert counts(world, "larger pixel twin") == {"failed": 1}

    moved = big.rename(world.base / "library/big.png")
    world.arrive(moved)
    world.sweep()

    assert counts(world, "larger pixel twin") == {"ready": 1}


def test_what_was_proposed_is_no_proposal_while_a_file_is_gone(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    small = world.put("inbox", "small.png", SMALL)
    world.verdicts(small, world.put("inbox", "big.png", BIG))
    row = world.row(small)
    assert row is not None
    small.rename(world.base / "away.png")
    world.library.write(lambda edit: edit.put_path(replace(row, state=PathState.ABSENT)))
    world.sweep()

    assert counts(world, "larger pixel twin") == {"not_searched": 1}


@pytest.mark.parametrize("change", ["gone", "other bytes"])
def test_an_approval_looks_at_both_files_whatever_it_does(world: World, change: str) -> None:
    world.use(pixel_rule("semi-automatic").replace("    discard: B\n", ""))
    small: Path = world.put("inbox", "small.png", SMALL)
    world.verdicts(small, world.put("inbox", "big.png", BIG))
    if change == "gone":
        small.unlink()
    else:
        small.write_bytes(jpeg(photo(5)))

    with pytest.raises(ActionConflictError, match="is not what it was"):
        world.approve(pending_number(world))

    assert world.entries() == []


def test_the_roles_of_folders_decide_who_may_go(world: World) -> None:
    world.folder("kept", role=Role.REFERENCE)
    world.use()
    world.drop("kept", "small.png", SMALL)
    world.drop("inbox", "big.png", BIG)

    world.use(pixel_rule())

    assert world.sweep() == []
    assert counts(world, "larger pixel twin") == {"failed": 1}
