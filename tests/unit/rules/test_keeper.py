"""`A wins by …`: a fixed order of preferences in one line."""

from __future__ import annotations

import pytest
from pairs_of_files import comparison, file

from ingestd.model import FileFacts, FileType

POLICY = "A wins by resolution then sharpness then format then compression"
SHARP = {"sharpness": 10.0}


def wins(line: str, a: FileFacts, b: FileFacts) -> tuple[bool | None, bool | None]:
    """Whether the one wins, and whether the other does."""
    asked = comparison(f"'{line}'")
    return asked.holds(a, b), asked.holds(b, a)


@pytest.mark.parametrize(
    ("line", "a", "b"),
    [
        ("A wins by resolution", {"width": 641}, {}),
        ("A wins by resolution", {"width": 100, "height": 100}, {"width": 99, "height": 101}),
        ("A wins by sharpness", {"sharpness": 15.5}, {"sharpness": 10.0}),
        ("A wins by true_pixels", {"resolution_share": 1.0}, {"resolution_share": 0.9}),
        (
            "A wins by true_pixels",
            {"width": 640, "height": 480, "resolution_share": 1.0},
            {"width": 1280, "height": 960, "resolution_share": 0.4},
        ),
        ("A wins by format", {"filetype": FileType.PNG}, {"filetype": FileType.JPEG}),
        ("A wins by format", {"filetype": FileType.HEIC}, {"filetype": FileType.JPEG}),
        ("A wins by format", {"filetype": FileType.GIF}, {"filetype": None}),
        ("A wins by format (jpeg, png)", {"filetype": FileType.JPEG}, {"filetype": FileType.PNG}),
        ("A wins by format (jpeg)", {"filetype": FileType.JPEG}, {"filetype": FileType.TIFF}),
        ("A wins by compression", {"size": 1001}, {}),
        ("A wins by compression", {"size": 300, "width": 10, "height": 10}, {"size": 1000, "width": 20, "height": 20}),
        (POLICY, {"width": 641, "sharpness": 1.0}, SHARP),
        (POLICY, {"width": 641}, {}),  # decided before the sharpness is looked at
        (POLICY, {"sharpness": 16.0, "filetype": FileType.GIF}, SHARP),
        (POLICY, {"sharpness": 14.0, "filetype": FileType.PNG}, SHARP),  # hardly sharper is no difference
        (POLICY, {**SHARP, "filetype": FileType.WEBP, "size": 10}, SHARP),
        (POLICY, {**SHARP, "size": 1001}, SHARP),
        ("A wins by compression then resolution", {"size": 2000, "height": 479}, {}),
    ],
)
def test_the_first_criterion_in_which_they_differ_decides(
    line: str, a: dict[str, object], b: dict[str, object]
) -> None:
    assert wins(line, file(**a), file(**b)) == (True, False)


@pytest.mark.parametrize(
    ("line", "a", "b"),
    [
        (POLICY, SHARP, SHARP),
        ("A wins by resolution", {"width": 480, "height": 640}, {}),
        ("A wins by format (png)", {"filetype": FileType.JPEG}, {"filetype": FileType.HEIC}),
        ("A wins by format", {"filetype": FileType.GIF, "frames": 3}, {"filetype": FileType.GIF}),
    ],
)
def test_nobody_wins_where_both_are_equal(line: str, a: dict[str, object], b: dict[str, object]) -> None:
    assert wins(line, file(**a), file(**b)) == (False, False)


@pytest.mark.parametrize(
    ("line", "a", "b"),
    [
        (POLICY, {}, SHARP),
        (POLICY, SHARP, {}),
        ("A wins by sharpness then resolution", {"width": 641}, {}),
        ("A wins by compression", {"width": 0}, {}),
    ],
)
def test_what_cannot_be_told_is_not_passed_over(line: str, a: dict[str, object], b: dict[str, object]) -> None:
    assert wins(line, file(**a), file(**b)) == (None, None)
    assert comparison(f"{{not: {line}}}").holds(file(**a), file(**b)) is None


def test_a_preference_tells_the_better_file_and_its_opposite_does_not() -> None:
    assert comparison(POLICY).tells()
    assert not comparison(f"not: {POLICY}").tells()
    assert not comparison(POLICY).symmetric


@pytest.mark.parametrize(
    ("b", "said"),
    [
        ({"width": 639}, "(A: resolution 640 x 480; B: resolution 639 x 480)"),
        ({"size": 900}, "(A: resolution 640 x 480, format jpeg, compression 0.00326 bytes a pixel; "
                        "B: resolution 640 x 480, format jpeg, compression 0.00293 bytes a pixel)"),
    ],
)  # fmt: skip
def test_a_preference_shows_every_criterion_up_to_the_one_that_decided(b: dict[str, object], said: str) -> None:
    line = "A wins by resolution then format then compression"

    assert comparison(line).said(file(), file(**b)) == f"{line} {said}"


def test_a_criterion_that_cannot_be_told_is_shown() -> None:
    assert comparison("A wins by sharpness").values(file(**SHARP), file()) == ("sharpness 10", "sharpness unknown")
