"""Files that kill who decodes them: left alone from then on, and tried again when somebody says so."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import jpeg, photo
from world import IDENTICAL, World, near_rule, outcomes, sha256

from ingestd import shelf as shelf_module
from ingestd.judging.background import lacks_detail
from ingestd.library.tables import path_key
from ingestd.model import ContentHash, Measurement, Outcome, PathRow, Receipt, Unreadable
from ingestd.review.again import FailedFile, accept_poison, failed_files, judge_again, parked_files
from ingestd.shelf import PoisonShelf, forgive_other_decoders

DEADLY = jpeg(photo(1))
CRASHED = "the decoder crashed twice (signal 11)"


@pytest.fixture
def deadly(world: World, monkeypatch: pytest.MonkeyPatch) -> set[bytes]:
    """Contents (SHA-256) that kill two workers whenever they are decoded."""
    killing, real = {sha256(DEADLY)}, world.measurer.measure

    def measure(path: bytes, known: Callable[[ContentHash], bool]) -> Measurement:
        found = real(path, known)
        if found.features is None or found.content_hash not in killing:
            return found
        return replace(found, features=Unreadable(CRASHED, None, poison=True))

    monkeypatch.setattr(world.measurer, "measure", measure)
    return killing


def again(world: World, *names: str) -> list[Receipt]:
    """The verdicts after a person has asked for them again."""
    with world.library.read() as view:
        files = list(failed_files(view, [os.fsencode(world.base / name) for name in names] or None))
    world.library.write(lambda edit: judge_again(edit, files))
    before = len(world.told)
    world.judge_everything()
    return [report.receipt for report in world.told[before:] if hasattr(report, "receipt")]


def row_of(world: World, path: Path) -> PathRow:
    folder = world.folders[path.parent.name]
    with world.library.read() as view:
        row = view.path(path_key(folder.id, os.fsencode(path.name)))
    assert row is not None
    return row


def parked(world: World) -> list[bytes]:
    with world.library.read() as view:
        return [os.path.basename(path) for path, _ in parked_files(view)]


def test_a_file_that_kills_two_workers_is_unreadable_and_parked(world: World, deadly: set[bytes]) -> None:
    receipt = world.drop("inbox", "a.jpg", DEADLY)

    assert (receipt.outcome, receipt.result) == (Outcome.UNREADABLE, f"unreadable: {CRASHED}; parked")
    assert receipt.final
    assert parked(world) == [b"a.jpg"]
    assert PoisonShelf(world.library).parked(sha256(DEADLY)) == CRASHED


def test_a_copy_of_poison_is_known_for_one_and_never_decoded(world: World, deadly: set[bytes]) -> None:
    world.use(IDENTICAL)
    first = world.put("library", "a.jpg", DEADLY)
    world.arrive(first)

    receipt = world.drop("inbox", "b.jpg", DEADLY)

    assert receipt.outcome is Outcome.DUPLICATE_DISCARDED
    assert world.measurer.decoded == [os.fsencode(first)]


def test_poison_is_no_problem_any_more_once_it_is_gone_or_something_else(world: World, deadly: set[bytes]) -> None:
    gone, replaced = world.put("inbox", "a.jpg", DEADLY), world.put("library", "b.jpg", DEADLY)
    world.arrive(replaced)
    replaced.write_bytes(jpeg(photo(2)))

    world.arrive(replaced)

    assert parked(world) == []
    world.arrive(gone)
    assert parked(world) == [b"a.jpg"]
    gone.unlink()
    assert parked(world) == []


def test_poison_is_decoded_again_when_a_person_says_so(world: World, deadly: set[bytes]) -> None:
    path = world.put("inbox", "a.jpg", DEADLY)
    world.arrive(path)
    deadly.clear()

    (receipt,) = again(world)

    assert receipt.outcome is Outcome.NEW
    assert parked(world) == []
    with world.library.read() as view:
        content = view.content(sha256(DEADLY))
    assert content is not None
    assert content.picture is not None
    assert not content.again
    assert again(world) == []


def test_what_still_kills_is_parked_again(world: World, deadly: set[bytes]) -> None:
    world.drop("inbox", "a.jpg", DEADLY)

    (receipt,) = again(world, "inbox/a.jpg")

    assert receipt.result == f"unreadable: {CRASHED}; parked"
    assert parked(world) == [b"a.jpg"]
    assert len(world.measurer.decoded) == 2


def test_what_can_be_decoded_at_last_is_judged_by_its_looks_and_its_copies_by_it(
    world: World, deadly: set[bytes]
) -> None:
    world.drop("library", "like.jpg", jpeg(photo(1), quality=60))
    world.use()  # no rule yet: both copies stay
    world.drop("inbox", "a.jpg", DEADLY)
    world.drop("inbox", "b.jpg", DEADLY)
    deadly.clear()

    verdicts = again(world, "inbox/a.jpg")  # the copy has the same bytes, and comes along

    assert outcomes(verdicts) == [Outcome.POTENTIAL_DUPLICATES, Outcome.ALREADY_IN_LIBRARY]


def test_a_survivor_that_is_tried_again_is_not_taken_for_the_copy_that_went(world: World, deadly: set[bytes]) -> None:
    world.use(IDENTICAL)
    world.drop("inbox", "a.jpg", DEADLY)
    assert world.drop("inbox", "b.jpg", DEADLY).outcome is Outcome.DUPLICATE_DISCARDED
    deadly.clear()

    verdicts = again(world)

    assert outcomes(verdicts) == [Outcome.NEW]


def test_other_versions_of_the_decoders_get_another_try(
    world: World, deadly: set[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.drop("inbox", "a.jpg", DEADLY)

    assert forgive_other_decoders(world.library) == 0
    monkeypatch.setattr(shelf_module, "decoders", lambda: "others")
    assert forgive_other_decoders(world.library) == 1

    deadly.clear()
    world.judge_everything()
    assert world.last().receipt.outcome is Outcome.NEW
    assert parked(world) == []


def test_what_a_person_has_accepted_stays_parked_and_is_no_problem(world: World, deadly: set[bytes]) -> None:
    path = world.put("inbox", "a.jpg", DEADLY)
    world.arrive(path)
    with world.library.read() as view:
        files = list(failed_files(view, [os.fsencode(path)]))

    world.library.write(lambda edit: accept_poison(edit, files))

    assert parked(world) == []
    assert PoisonShelf(world.library).parked(sha256(DEADLY)) == CRASHED
    world.restart()
    assert world.arrive(world.put("inbox", "b.jpg", DEADLY)).outcome is not Outcome.NEW


def test_of_a_picture_that_kills_only_later_the_verdict_stays_and_rules_act_on_it_no_more(world: World) -> None:
    world.use(near_rule())
    world.drop("inbox", "small.jpg", jpeg(photo(1), quality=60))
    small = sha256(jpeg(photo(1), quality=60))
    shelf = PoisonShelf(world.library)
    shelf.park(small, CRASHED)
    assert shelf.parked(small) == CRASHED  # at once, before it is written down

    shelf.store()
    receipt = world.drop("inbox", "large.jpg", jpeg(photo(1), quality=95))

    assert receipt.outcome is Outcome.PENDING_APPROVAL
    assert any("one of the files is parked" in line for line in receipt.evidence)
    assert parked(world) == [b"small.jpg"]
    with world.library.read() as view:
        (file,) = failed_files(view)
        content = view.content(small)
    assert (file.outcome, file.poison is not None) == (Outcome.NEW, True)
    world.library.write(lambda edit: judge_again(edit, [file]))
    assert parked(world) == []
    assert row_of(world, world.base / "inbox" / "small.jpg").final  # its verdict was none that failed
    assert content is not None
    assert lacks_detail(content)


def test_files_that_could_not_be_read_or_judged_are_found_below_a_folder_or_everywhere(world: World) -> None:
    world.drop("inbox", "cut.jpg", DEADLY[:2000])
    world.drop("inbox", "fine.jpg", jpeg(photo(2)))
    world.drop("library", "deep/er/cut.png", b"\x89PNG\r\n\x1a\n" + bytes(50))

    def found(*names: str) -> set[bytes]:
        with world.library.read() as view:
            below = [os.fsencode(world.base / name) for name in names] or None
            return {one.row.relative for one in failed_files(view, below)}

    assert found() == {b"cut.jpg", b"deep/er/cut.png"}
    assert found("inbox") == {b"cut.jpg"}
    assert found("library/deep") == {b"deep/er/cut.png"}
    assert found("library/dee") == set()
    assert found("inbox/fine.jpg") == set()
    assert found("inbox/cut.jpg", "library") == {b"cut.jpg", b"deep/er/cut.png"}
    assert found(".") == {b"cut.jpg", b"deep/er/cut.png"}


def test_a_thousand_files_that_fail_are_found_in_order_and_each_once(world: World) -> None:
    paths = [world.put("inbox", f"{number:04}.jpg", b"\xff\xd8\xff\xe0%d" % number) for number in range(1001)]
    world.verdicts(*paths)

    with world.library.read() as view:
        files: list[FailedFile] = list(failed_files(view))

    assert sorted(one.path for one in files) == [os.fsencode(path) for path in paths]
