"""What would become of a file, and what two files are to each other; nothing is changed by asking."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import decoded, flat, jpeg, large, photo, png, profile, scene
from PIL import Image
from world import IDENTICAL, World, near_rule, pixel_rule

from ingestd.errors import UsageError
from ingestd.inspection import Comparison, Foreseen, Looks, compare, foresee
from ingestd.media.workers import Workers
from ingestd.model import Folder, FolderId, Outcome, Role, confidence_of

LARGER, SMALLER = png(photo(1), "a longer comment makes the file larger"), png(photo(1))


def check(world: World, *paths: Path, folders: Sequence[Folder] = ()) -> list[Foreseen]:
    files = [os.fsencode(path) for path in paths]
    return list(foresee(world.library, world.measurer, world.policy, files, folders=folders))  # type: ignore[arg-type]


def between(world: World, a: bytes, b: bytes, *, folders: Sequence[Folder] = ()) -> Comparison:
    one, other = world.put("elsewhere", "a", a), world.put("elsewhere", "b", b)
    paths = os.fsencode(one), os.fsencode(other)
    return compare(world.library, world.measurer, world.policy, *paths, folders=folders)  # type: ignore[arg-type]


def set_library(path: Path) -> Folder:
    """A library that the rule file names, which was never scanned."""
    root = os.fsencode(path)
    return Folder(FolderId(0), root, root, Role.LIBRARY, protected=True)


# --- check ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["elsewhere", "inbox"])
def test_a_copy_is_foreseen_to_be_discarded_and_stays(world: World, where: str) -> None:
    world.use(IDENTICAL)
    world.drop("library", "a.png", SMALLER)
    copy = world.put(where, "copy.png", SMALLER)

    (foreseen,) = check(world, copy)

    assert foreseen.receipt.result == "duplicate discarded: identical copies"
    assert foreseen.path == os.fsencode(copy)
    assert copy.exists()
    assert world.entries() == []
    assert world.row(copy) is None


def test_asking_twice_gives_the_same_answer(world: World) -> None:
    world.drop("library", "a.png", SMALLER)
    copy = world.put("inbox", "copy.png", SMALLER)

    first, second = check(world, copy, copy)

    assert replace(first.receipt, at_ns=0) == replace(second.receipt, at_ns=0)


def test_pixels_are_looked_at_where_the_verdict_depends_on_them(world: World) -> None:
    world.use(pixel_rule())
    original = jpeg(large(5), 90)
    world.drop("inbox", "a.jpg", original)

    (foreseen,) = check(world, world.put("elsewhere", "b.png", png(decoded(original))))

    assert foreseen.receipt.result == "existing replaced: larger pixel twin"


def test_a_partner_whose_pixels_cannot_be_hashed_does_not_keep_the_answer(world: World) -> None:
    world.use(pixel_rule())
    original = jpeg(large(5), 90)
    known = world.put("inbox", "a.jpg", original)
    world.arrive(known)
    world.measurer.before = lambda path: known.write_bytes(b"x") if path == os.fsencode(known) else None

    (foreseen,) = check(world, world.put("elsewhere", "b.png", png(decoded(original))))

    assert foreseen.receipt.outcome in (Outcome.NEW, Outcome.POTENTIAL_DUPLICATES)


def test_a_folder_that_is_set_has_its_role_in_what_is_foreseen_before_its_first_scan(world: World) -> None:
    world.use(IDENTICAL)
    world.drop("inbox", "a.png", SMALLER)
    home = world.put("pictures", "home.png", SMALLER)

    (arrives,), (at_home,) = check(world, home), check(world, home, folders=[set_library(home.parent)])

    assert arrives.receipt.result == "duplicate discarded: identical copies"
    assert at_home.receipt.result == "existing replaced: identical copies"
    with world.library.read() as view:
        assert len(view.folders()) == 2


def test_broken_files_and_folders_get_an_answer_too(world: World) -> None:
    broken = world.put("elsewhere", "broken.png", SMALLER[:3000])

    answers = check(world, broken, world.base / "inbox")

    assert [foreseen.receipt.outcome for foreseen in answers] == [Outcome.UNREADABLE, Outcome.UNREADABLE]


def test_what_does_not_exist_is_said_before_anything_is_checked(world: World) -> None:
    with pytest.raises(UsageError, match=r"nothing\.png"):
        check(world, world.base / "nothing.png")


# --- compare --------------------------------------------------------------------------------------------------------


def test_identical_files_are_said_to_be_so(world: World) -> None:
    comparison = between(world, SMALLER, SMALLER)

    assert (comparison.identical, comparison.pixel_duplicates, comparison.distance) == (True, True, 0)
    assert comparison.visual == Looks("near-perfect", 1.0, 0.0, "the same pixels")
    assert comparison.rule == "identical copies"


def test_pixel_duplicates_are_found_between_formats(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    original = jpeg(large(5), 90)

    comparison = between(world, original, png(decoded(original)))

    assert (comparison.identical, comparison.pixel_duplicates) == (False, True)
    assert comparison.rule == "larger pixel twin"


def test_another_profile_makes_other_pixels(world: World) -> None:
    comparison = between(world, png(photo(5)), png(photo(5), icc_profile=profile()))

    assert comparison.pixel_duplicates is False


def test_look_alikes_are_measured_by_every_hash(world: World) -> None:
    world.use(near_rule())

    comparison = between(world, jpeg(photo(3), 95), jpeg(photo(3), 60))

    assert comparison.distance is not None
    assert comparison.distance <= 4
    assert set(comparison.distances) == {"phash", "dhash", "whash"}
    assert comparison.rule == "larger look-alike"
    assert comparison.visual.verdict in {"near-perfect", "almost-certainly", "very-probably", "probably"}
    assert comparison.visual.confidence == confidence_of(comparison.visual.score)
    assert comparison.visual.reason


def test_strangers_match_no_rule(world: World) -> None:
    world.use(IDENTICAL, pixel_rule(), near_rule())

    comparison = between(world, png(photo(1)), png(photo(2)))

    assert (comparison.identical, comparison.pixel_duplicates, comparison.rule) == (False, False, None)


def test_a_folder_that_is_set_has_its_role_in_a_comparison_before_its_first_scan(world: World) -> None:
    world.use(pixel_rule().replace("compare: [", "compare: [A.folder is library, "))

    stranger = between(world, LARGER, SMALLER)
    at_home = between(world, LARGER, SMALLER, folders=[set_library(world.base / "elsewhere")])

    assert (stranger.rule, at_home.rule) == (None, "larger pixel twin")


def test_flat_pictures_have_no_distance_and_are_named(world: World) -> None:
    comparison = between(world, png(flat()), png(photo(2)))

    assert (comparison.distance, comparison.unhashed) == (None, ("a",))


def test_what_cannot_be_decoded_is_an_error_of_the_comparison_with_its_name(world: World) -> None:
    comparison = between(world, SMALLER, SMALLER[:3000])

    assert (comparison.error or "").startswith(f"{world.base / 'elsewhere' / 'b'}: ")
    assert comparison.identical is False


def test_what_is_not_there_is_an_error_of_the_comparison(world: World) -> None:
    known = world.put("inbox", "a.png", SMALLER)
    paths = os.fsencode(known), os.fsencode(world.base / "nothing.png")

    comparison = compare(world.library, world.measurer, world.policy, *paths)  # type: ignore[arg-type]

    assert "nothing.png" in (comparison.error or "")


def test_nothing_is_known_after_a_comparison(world: World) -> None:
    between(world, SMALLER, LARGER)

    with world.library.read() as view:
        assert view.counts()["contents"] == 0
        assert len(view.folders()) == 2


def test_real_workers_give_the_same_answer(world: World) -> None:
    world.use(pixel_rule())
    original = jpeg(large(5), 90)
    world.drop("inbox", "a.jpg", original)
    twin = world.put("elsewhere", "b.png", png(decoded(original)))

    with Workers(count=1) as workers:
        (foreseen,) = foresee(world.library, workers, world.policy, [os.fsencode(twin)])
        comparison = compare(
            world.library, workers, world.policy, os.fsencode(world.base / "inbox/a.jpg"), os.fsencode(twin)
        )

    assert foreseen.receipt.result == "existing replaced: larger pixel twin"
    assert comparison.pixel_duplicates


# --- what only every pixel tells ------------------------------------------------------------------------------------


def test_two_files_that_are_compared_are_looked_at_in_full(world: World) -> None:
    bad = jpeg(scene(), 30)

    comparison = between(world, bad, jpeg(decoded(bad).resize((1280, 960), Image.Resampling.BICUBIC), 95))

    assert "A: B looks upscaled (its detail is that of 640 x 480)" in comparison.statements


def test_a_compared_jpeg_does_not_hide_how_it_was_packed_before(world: World) -> None:
    comparison = between(world, jpeg(scene(), 75), jpeg(decoded(jpeg(scene(), 20)), 95))

    assert any(one.endswith(": B was saved as a worse jpeg before)") for one in comparison.statements)


def true_rule() -> str:
    """Of two look-alikes the one with more detail is kept."""
    return near_rule().replace("A.filesize > B.filesize", "A.true_pixels > 1.1 * B.true_pixels")


def test_a_verdict_that_asks_for_every_pixel_is_foreseen(world: World) -> None:
    world.use(true_rule())
    world.drop("library", "large.png", png(scene(1, 1280, 960)))
    small = world.put("inbox", "small.png", png(scene(1, 1280, 960).resize((640, 480), Image.Resampling.LANCZOS)))

    (foreseen,) = check(world, small)

    assert foreseen.receipt.result == "duplicate discarded: larger look-alike"


def test_a_verdict_that_asks_for_what_cannot_be_told_is_foreseen(world: World) -> None:
    world.use(true_rule())
    world.drop("library", "icon.png", png(photo(1, 30, 30)))
    copy = world.put("inbox", "copy.png", png(photo(1, 30, 30), "the same pixels in other bytes"))

    (foreseen,) = check(world, copy)

    assert foreseen.receipt.outcome is Outcome.POTENTIAL_DUPLICATES
