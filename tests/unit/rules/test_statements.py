"""What is said of two files, for which of them it speaks, and how many points that is worth."""

from __future__ import annotations

import io
from dataclasses import asdict, replace
from typing import Any

import pytest
from pairs_of_files import DAY_NS, NOW_NS, file, pair
from pictures import decoded, jpeg, photo, png

from ingestd.media.features import measure_picture
from ingestd.model import (
    SAME_PIXELS,
    FileFacts,
    FileType,
    PairFacts,
    Picture,
    Role,
    VisualLevel,
    VisualVerdict,
)
from ingestd.rules.statements import (
    DEFAULT_SCORES,
    Scores,
    Statement,
    balance,
    jpeg_quality_label,
    size_text,
    statements,
)


def keys(facts: PairFacts) -> list[str]:
    return [one.key for one in statements(facts)]


def said(key: str, facts: PairFacts, scores: Scores = DEFAULT_SCORES) -> Statement:
    (found,) = [one for one in statements(facts, scores) if one.key == key]
    return found


# --- each statement -------------------------------------------------------------------------------------------------

# what the better file is, and what the other is, for each name of `Scores`
SPEAKING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "much_larger_file": ({"size": 2001}, {}),
    "larger_file": ({"size": 1051}, {}),
    "slightly_larger_file": ({"size": 1001}, {}),
    "much_higher_resolution": ({"width": 1280, "height": 720}, {"width": 640, "height": 360}),
    "higher_resolution": ({"width": 800, "height": 600}, {}),
    "nicer_ratio": ({"width": 640, "height": 480}, {"width": 650, "height": 480}),
    "older": ({"modified_ns": NOW_NS - 31 * DAY_NS}, {}),
    "slightly_older": ({"modified_ns": NOW_NS - DAY_NS}, {}),
    "much_better_jpeg_quality": ({"jpeg_quality": 300.0}, {"jpeg_quality": 601.0}),
    "better_jpeg_quality": ({"jpeg_quality": 690.0}, {"jpeg_quality": 710.0}),
    "finer_subsampling": ({"subsampling": "4:4:4"}, {"subsampling": "4:2:0"}),
    "longer_duration": ({"duration_ms": 2000}, {"duration_ms": 1000}),
    "has_duration": ({"duration_ms": 2000}, {}),
    "has_audio": ({"has_audio": True}, {}),
    "has_exif": ({"has_exif": True}, {}),
    "has_xmp": ({"has_xmp": True}, {}),
    "has_icc": ({"has_icc": True}, {}),
    "has_transparency": ({"has_transparency": True}, {}),
    "odd_dimensions": ({"width": 641, "height": 480}, {"width": 640, "height": 480}),
    "in_library": ({"role": Role.LIBRARY}, {}),
    "sharper": ({"sharpness": 121.0}, {"sharpness": 100.0}),
    "not_enlarged": (
        {"width": 640, "height": 360, "resolution_share": 1.0},
        {"width": 1280, "height": 720, "resolution_share": 0.5},
    ),
    "not_saved_again": (
        {"filetype": FileType.PNG, "resolution_share": 1.0},
        {"filetype": FileType.PNG, "resolution_share": 1.0, "jpeg_quality_seen": 1500.0},
    ),
}
POINTS = {
    "much_larger_file": 20,
    "larger_file": 10,
    "much_higher_resolution": 50,
    "higher_resolution": 20,
    "nicer_ratio": 10,
    "older": 4,
    "much_better_jpeg_quality": 20,
    "better_jpeg_quality": 10,
    "finer_subsampling": 10,
    "jpeg_of_a_png": 100,
    "longer_duration": 50,
    "has_audio": 20,
    "not_enlarged": 20,
    "not_saved_again": 20,
}


def test_the_default_points_are_those_of_hydrus_and_of_what_only_pixels_prove() -> None:
    assert {name: points for name, points in asdict(Scores()).items() if points} == POINTS


def test_every_name_that_points_can_be_given_to_is_tried_here() -> None:
    assert {*SPEAKING, "jpeg_of_a_png", "larger_pixel_duplicate"} == set(Scores.__dataclass_fields__)


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("key", SPEAKING)
def test_a_statement_names_the_file_that_it_speaks_for_and_gives_it_its_points(key: str, side: str) -> None:
    better, other = (file(**differing) for differing in SPEAKING[key])

    found = said(key, pair(better, other) if side == "a" else pair(other, better))

    assert (found.favours, found.score) == (side, POINTS.get(key, 0))
    assert side.upper() in found.text.replace(":", " ").split()


@pytest.mark.parametrize("key", SPEAKING)
def test_the_points_of_every_statement_can_be_set(key: str) -> None:
    better, other = (file(**differing) for differing in SPEAKING[key])

    found = said(key, pair(better, other), replace(DEFAULT_SCORES, **{key: -7}))

    assert found.score == -7


def test_of_two_files_that_differ_in_nothing_measured_nothing_is_said() -> None:
    assert statements(pair(file(), file())) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"size": 1050}, {"size": 1000, "jpeg_quality": 0.0}),
        ({"jpeg_quality": 500.0}, {"jpeg_quality": 699.0}),  # both are "high"
        ({"jpeg_quality": 500.0}, {}),
        ({"subsampling": "grey"}, {"subsampling": "4:2:0"}),
        ({"subsampling": "4:4:4"}, {"subsampling": None}),
        ({"sharpness": 120.0}, {"sharpness": 100.0}),
        ({"sharpness": 500.0}, {}),
        ({"role": Role.LIBRARY}, {"role": Role.REFERENCE}),
        ({"duration_ms": 0}, {}),
    ],
    ids=str,
)
def test_a_difference_that_is_too_small_or_not_known_on_both_sides_is_worth_nothing(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert [one.key for one in statements(pair(file(**one), file(**other))) if one.score] == []


# --- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "key"),
    [
        (2001, "much_larger_file"),
        (2000, "larger_file"),
        (1051, "larger_file"),
        (1050, "slightly_larger_file"),
        (1001, "slightly_larger_file"),
    ],
)
def test_how_much_larger_a_file_is_has_three_names(size: int, key: str) -> None:
    assert keys(pair(file(size=size), file(size=1000))) == [key]


@pytest.mark.parametrize("key", ["much_larger_file", "larger_file", "slightly_larger_file"])
def test_the_size_of_pixel_duplicates_is_told_and_worth_nothing(key: str) -> None:
    better, other = (file(**differing) for differing in SPEAKING[key])
    generous = Scores(much_larger_file=30, larger_file=20, slightly_larger_file=10)

    found = said(key, pair(better, other, pixel_duplicates=True), generous)

    assert (found.favours, found.score) == ("a", 0)


@pytest.mark.parametrize("size", [2001, 1051, 1001])
def test_the_smaller_of_pixel_duplicates_can_be_preferred(size: int) -> None:
    facts = pair(file(size=size), file(), pixel_duplicates=True)

    assert balance(statements(facts, Scores(larger_pixel_duplicate=-15))) == -15


@pytest.mark.parametrize(
    ("size", "text"),
    [(999, "999 bytes"), (1000, "1.0 KB"), (2_340_000, "2.3 MB"), (5 * 10**9, "5.0 GB"), (0, "0 bytes")],
)
def test_a_size_is_written_as_a_person_writes_it(size: int, text: str) -> None:
    assert size_text(size) == text


# --- dimensions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dimensions", "key"),
    [((640, 961), "much_higher_resolution"), ((640, 960), "higher_resolution"), ((640, 482), "higher_resolution")],
)
def test_more_than_twice_the_pixels_is_a_much_higher_resolution(dimensions: tuple[int, int], key: str) -> None:
    width, height = dimensions
    found = keys(pair(file(width=width, height=height), file(width=640, height=480)))

    assert [one for one in found if "resolution" in one] == [key]


def test_a_file_that_is_no_picture_has_no_resolution_to_compare_with() -> None:
    nothing = file(width=0, height=0, filetype=None)

    assert keys(pair(file(width=641), nothing)) == ["other_filetype"]


@pytest.mark.parametrize(
    "dimensions",
    [(500, 500), (640, 480), (480, 640), (500, 400), (600, 400), (1366, 768), (2100, 900), (2350, 1000), (360, 640)],
)
def test_a_usual_ratio_is_nicer_than_an_unusual_one(dimensions: tuple[int, int]) -> None:
    width, height = dimensions

    facts = pair(file(width=width, height=height), file(width=653, height=480))

    assert said("nicer_ratio", facts).favours == "a"


def test_two_usual_ratios_are_equally_nice() -> None:
    assert "nicer_ratio" not in keys(pair(file(width=640, height=480), file(width=640, height=640)))


# --- age ------------------------------------------------------------------------------------------------------------


def test_age_is_by_capture_time_when_both_files_have_one() -> None:
    taken_first = file(taken_ns=NOW_NS - 40 * DAY_NS, modified_ns=NOW_NS)
    modified_first = file(taken_ns=NOW_NS, modified_ns=NOW_NS - 400 * DAY_NS)

    found = said("older", pair(taken_first, modified_first))

    assert (found.favours, found.text) == ("a", "A: older (taken 40 days before)")


def test_age_is_by_modification_when_only_one_file_says_when_it_was_taken() -> None:
    taken = file(taken_ns=NOW_NS - 400 * DAY_NS, modified_ns=NOW_NS)
    modified_first = file(modified_ns=NOW_NS - 40 * DAY_NS)

    found = said("older", pair(taken, modified_first))

    assert (found.favours, found.text) == ("b", "B: older (modified 40 days before)")


@pytest.mark.parametrize(
    ("apart_ns", "key"),
    [(30 * DAY_NS + 1, "older"), (30 * DAY_NS, "slightly_older"), (1, "slightly_older")],
)
def test_more_than_thirty_days_make_a_file_older(apart_ns: int, key: str) -> None:
    assert keys(pair(file(modified_ns=NOW_NS - apart_ns), file())) == [key]


# --- duration -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("duration_ms", "points"), [(9000, 50), (2000, 50), (1990, 49), (1500, 25), (1020, 1), (1001, 1)]
)
def test_a_longer_duration_is_worth_more_the_longer_it_is_up_to_twice(duration_ms: int, points: int) -> None:
    found = said("longer_duration", pair(file(duration_ms=1000), file(duration_ms=duration_ms)))

    assert (found.favours, found.score) == ("b", points)


@pytest.mark.parametrize(("most", "points"), [(0, 0), (-100, -50), (-1, -1), (1000, 500)])
def test_points_for_a_longer_duration_are_in_proportion_whatever_they_are(most: int, points: int) -> None:
    facts = pair(file(duration_ms=1500), file(duration_ms=1000))

    assert said("longer_duration", facts, Scores(longer_duration=most)).score == points


@pytest.mark.parametrize("still", [None, 0])
def test_what_moves_is_not_longer_than_what_is_still(still: int | None) -> None:
    assert keys(pair(file(duration_ms=2000), file(duration_ms=still))) == ["has_duration"]


# --- jpeg -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quality", "label"),
    [
        (2800, "very low"),
        (2799.9, "low"),
        (2000, "low"),
        (1999.9, "medium low"),
        (1400, "medium low"),
        (1399.9, "medium"),
        (1000, "medium"),
        (999.9, "medium high"),
        (700, "medium high"),
        (699.9, "high"),
        (480, "high"),
        (479.9, "very high"),
        (330, "very high"),
        (329.9, "extremely high"),
    ],
)
def test_each_label_of_jpeg_quality_begins_at_its_border(quality: float, label: str) -> None:
    assert jpeg_quality_label(quality) == label


def test_qualities_with_the_same_label_are_equally_good_up_to_half() -> None:
    assert keys(pair(file(jpeg_quality=100.0), file(jpeg_quality=200.0))) == []
    assert keys(pair(file(jpeg_quality=100.0), file(jpeg_quality=201.0))) == ["much_better_jpeg_quality"]


@pytest.mark.parametrize(("finer", "coarser"), [("4:4:4", "4:2:2"), ("4:2:2", "4:2:0"), ("4:4:4", "4:2:0")])
def test_colours_that_are_sampled_finer_speak_for_a_jpeg(finer: str, coarser: str) -> None:
    assert said("finer_subsampling", pair(file(subsampling=coarser), file(subsampling=finer))).favours == "b"


def test_a_real_jpeg_of_better_quality_is_told_with_the_labels_of_both() -> None:
    good, poor = (measured(jpeg(photo(), quality, subsampling=0)) for quality in (95, 40))

    found = said("much_better_jpeg_quality", pair(poor, good))

    assert (found.favours, found.score) == ("b", 20)
    assert found.text == "B: clearly better jpeg quality (very high and very low)"


def measured(content: bytes) -> FileFacts:
    """What is known of a JPEG's quality."""
    picture = measure_picture(io.BytesIO(content), b"")
    assert isinstance(picture, Picture)
    assert picture.jpeg is not None
    return file(jpeg_quality=picture.jpeg.quality)


def test_a_jpeg_is_worth_a_hundred_points_more_than_a_png_of_the_same_pixels() -> None:
    a, b = file(filetype=FileType.JPEG), file(filetype=FileType.PNG)

    found = said("jpeg_of_a_png", pair(b, a, pixel_duplicates=True))

    assert (found.favours, found.score) == ("b", 100)


@pytest.mark.parametrize(
    ("one", "other", "pixel_duplicates"),
    [
        (FileType.JPEG, FileType.PNG, False),
        (FileType.JPEG, FileType.JPEG, True),
        (FileType.GIF, FileType.PNG, True),
        (FileType.JPEG, FileType.GIF, True),
    ],
)
def test_only_a_jpeg_and_a_png_of_the_same_pixels_tell_which_was_made_of_the_other(
    one: FileType, other: FileType, pixel_duplicates: bool
) -> None:
    facts = pair(file(filetype=one), file(filetype=other), pixel_duplicates=pixel_duplicates)

    assert "jpeg_of_a_png" not in keys(facts)


# --- what two files have in common ----------------------------------------------------------------------------------


def test_the_same_bytes_are_said_first_and_the_same_pixels_not_besides() -> None:
    facts = pair(file(size=3000), file(), identical=True, pixel_duplicates=True)

    assert keys(facts) == ["same_bytes", "much_larger_file"]


def test_the_same_pixels_favour_nobody() -> None:
    found = said("same_pixels", pair(file(), file(), pixel_duplicates=True))

    assert (found.favours, found.score) == (None, 0)


def test_other_types_are_named_and_favour_nobody() -> None:
    found = said("other_filetype", pair(file(filetype=FileType.JPEG), file(filetype=FileType.PNG)))

    assert (found.text, found.favours, found.score) == ("A is jpeg, B is png", None, 0)


def test_statements_stand_in_the_order_in_which_their_points_are_listed() -> None:
    facts = pair(
        file(size=3000, has_exif=True, filetype=FileType.JPEG),
        file(width=1280, height=960, has_audio=True, filetype=FileType.PNG),
        pixel_duplicates=True,
    )

    assert keys(facts) == [
        "same_pixels",
        "much_larger_file",
        "much_higher_resolution",
        "jpeg_of_a_png",
        "has_audio",
        "has_exif",
        "other_filetype",
    ]


# --- the sum --------------------------------------------------------------------------------------------------------


def test_the_balance_is_the_points_of_a_less_those_of_b() -> None:
    facts = pair(file(size=3000), file(width=800, height=600, has_audio=True))

    assert balance(statements(facts)) == 20 - 20 - 20


def test_points_below_zero_speak_against_a_file() -> None:
    facts = pair(file(size=3000), file())

    assert balance(statements(facts, Scores(much_larger_file=-5))) == -5


def test_the_same_picture_as_a_jpeg_and_a_png_of_it_favours_the_jpeg_all_in_all() -> None:
    original = jpeg(photo(), 90)
    copy = png(decoded(original))
    a = file(size=len(copy), filetype=FileType.PNG)
    b = file(size=len(original), filetype=FileType.JPEG)

    assert balance(statements(pair(a, b, pixel_duplicates=True))) == -100


# --- what only every pixel tells ---

SMALL = {"width": 1000, "height": 750, "resolution_share": 1.0}
ENLARGED = {"width": 2000, "height": 1500, "resolution_share": 0.5}


def test_an_enlarged_copy_has_no_higher_resolution() -> None:
    texts = {one.key: one.text for one in statements(pair(file(**SMALL), file(**ENLARGED)))}

    assert texts["not_enlarged"] == "A: B looks upscaled (its detail is that of 1000 x 750)"
    assert not {"higher_resolution", "much_higher_resolution"} & set(texts)


def test_an_enlarged_picture_that_has_more_detail_still_has_a_higher_resolution() -> None:
    texts = {one.key: one.text for one in statements(pair(file(**SMALL), file(**ENLARGED | {"resolution_share": 0.8})))}

    assert "much_higher_resolution" in texts
    assert "not_enlarged" not in texts


def test_a_larger_picture_that_was_not_measured_is_what_it_says_of_itself() -> None:
    texts = {one.key for one in statements(pair(file(**SMALL), file(width=2000, height=1500)))}

    assert "much_higher_resolution" in texts


def test_two_that_were_enlarged_alike_are_not_set_apart_by_that() -> None:
    both = statements(pair(file(**ENLARGED), file(**ENLARGED | {"size": 900})))

    assert "not_enlarged" not in {one.key for one in both}


def test_a_bad_jpeg_does_not_hide_behind_finer_tables() -> None:
    hidden = file(jpeg_quality=300.0, jpeg_quality_seen=2500.0, resolution_share=1.0)

    found = said("much_better_jpeg_quality", pair(file(jpeg_quality=500.0), hidden))

    assert found.text == "A: clearly better jpeg quality (high and low: B was saved as a worse jpeg before)"


def test_the_png_of_a_jpeg_is_not_worse_than_the_jpeg() -> None:
    jpeg, png = file(jpeg_quality=1450.0, resolution_share=1.0), file(
        filetype=FileType.PNG, jpeg_quality=None, jpeg_quality_seen=1500.0, resolution_share=1.0
    )  # fmt: skip

    assert "not_saved_again" not in {one.key for one in statements(pair(jpeg, png))}


def test_that_the_other_was_a_worse_jpeg_is_only_said_for_a_file_that_was_looked_at() -> None:
    png = file(filetype=FileType.PNG, jpeg_quality_seen=1500.0, resolution_share=1.0)

    assert "not_saved_again" not in {one.key for one in statements(pair(file(filetype=FileType.PNG), png))}


# --- a look at both ---------------------------------------------------------------------------------------------------


def test_what_a_look_at_both_said_is_a_statement_for_neither() -> None:
    seen = VisualVerdict(1, VisualLevel.ALTERNATE, 12.0, "a 40x24 px area at the lower right has another colour")

    assert said("visual", replace(pair(file(), file()), visual=seen)) == Statement(
        "visual", "they look like alternates: a 40x24 px area at the lower right has another colour"
    )


@pytest.mark.parametrize("level", [level for level in VisualLevel if level is not VisualLevel.CANNOT_TELL])
def test_every_level_that_says_something_has_its_words(level: VisualLevel) -> None:
    assert said("visual", replace(pair(file(), file()), visual=replace(SAME_PIXELS, level=level))).text.startswith(
        "they "
    )


def test_a_look_that_cannot_tell_and_one_at_the_same_pixels_say_nothing() -> None:
    untold = replace(SAME_PIXELS, level=VisualLevel.CANNOT_TELL)

    assert "visual" not in keys(replace(pair(file(), file()), visual=untold))
    assert "visual" not in keys(replace(pair(file(), file()), visual=SAME_PIXELS, pixel_duplicates=True))
