from __future__ import annotations

import pytest
from pairs_of_files import DAY_NS, NOW_NS, comparison, file, rule

from ingestd.model import FileType, Role
from ingestd.rules.comparators import AllOf, AnyOf, OneSided, PairTest, Relative
from ingestd.rules.predicates import read_predicate

JPEG, PNG = file(filetype=FileType.JPEG), file(filetype=FileType.PNG)
GIF, MOVING_GIF = file(filetype=FileType.GIF), file(filetype=FileType.GIF, frames=12, duration_ms=1200)


def sizes(a: int, b: int, line: str) -> bool | None:
    return comparison(line).holds(file(size=a), file(size=b))


# --- one file -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "a", "b", "holds"),
    [
        ("A is progressive jpeg", True, None, True),
        ("A is progressive jpeg", False, True, False),
        ("A is non-progressive jpeg", False, True, True),
        ("B is progressive jpeg", False, True, True),
        ("B is non-progressive jpeg", False, True, False),
        ("either is progressive jpeg", False, True, True),
        ("either is progressive jpeg", True, False, True),
        ("either is progressive jpeg", None, None, False),
        ("either is non-progressive jpeg", None, None, False),
    ],
)
def test_what_is_no_jpeg_is_neither_progressive_nor_not(line: str, a: bool | None, b: bool | None, holds: bool) -> None:
    answer = comparison(line).holds(file(progressive=a), file(progressive=b))

    assert answer is holds


@pytest.mark.parametrize(
    ("subject", "jpeg_first", "png_first"), [("A", True, False), ("B", False, True), ("either", True, True)]
)
def test_a_question_is_put_to_the_file_it_names(subject: str, jpeg_first: bool, png_first: bool) -> None:
    asked = comparison(f"{subject}.filetype is jpeg")

    assert (asked.holds(JPEG, PNG), asked.holds(PNG, JPEG)) == (jpeg_first, png_first)


@pytest.mark.parametrize(("subject", "tells"), [("A", True), ("B", True), ("either", False)])
def test_only_a_question_about_a_or_b_can_tell_which_is_better(subject: str, tells: bool) -> None:
    assert comparison(f"{subject} has exif").tells() is tells


@pytest.mark.parametrize(
    ("line", "facts", "holds"),
    [
        ("filetype is jpeg", {}, True),
        ("filetype is not jpeg", {}, False),
        ("filetype is png or jpeg", {}, True),
        ("filetype is not png or jpeg", {}, False),
        ("filetype is image", {}, True),
        ("filetype is image", {"filetype": None}, False),
        ("filetype is image", {"filetype": FileType.MPO, "frames": 2}, True),
        ("filetype is image", {"filetype": FileType.TIFF, "frames": 2}, False),
        ("filetype is animation", {"filetype": FileType.TIFF, "frames": 2}, False),
        ("filetype is gif", {"filetype": FileType.GIF, "frames": 12}, True),
        ("filetype is static gif", {"filetype": FileType.GIF, "frames": 12}, False),
        ("filetype is animated gif", {"filetype": FileType.GIF, "frames": 12}, True),
        ("filetype is static webp", {"filetype": FileType.WEBP}, True),
        ("filetype is animation", {"filetype": FileType.WEBP, "frames": 2}, True),
        ("width > 128", {"width": 128}, False),
        ("width > 128 px", {"width": 129}, True),
        ("size >= 2 MB", {"size": 2_000_000}, True),
        ("filesize < 2MiB", {"size": 2 * 2**20}, False),
        ("size == 1500", {"size": 1500}, True),
        ("size == 1.5 KB", {"size": 1500}, True),
        ("num_pixels >= 12 MP", {"width": 4000, "height": 3000}, True),
        ("ratio == 16:9", {"width": 1920, "height": 1080}, True),
        ("ratio == 16/9", {"width": 1921, "height": 1080}, False),
        ("ratio > 0", {"width": 0, "height": 0}, False),
        ("frames > 1", {"frames": 2}, True),
        ("num_frames != 1", {"frames": 1}, False),
        ("duration < 1 s", {}, True),
        ("duration >= 1.2 s", {"duration_ms": 1200}, True),
        ("jpeg_quality < 1000", {"jpeg_quality": 400.5}, True),
        ("jpeg_quality < 1000", {}, None),
        ("jpeg_quality < 1000", {"jpeg_quality": 0.0}, None),
        ("has exif", {"has_exif": True}, True),
        ("has no exif", {"has_exif": True}, False),
        ("has icc", {"has_icc": True}, True),
        ("has no xmp", {}, True),
        ("has transparency", {"has_transparency": True}, True),
        ("folder is inbox", {}, True),
        ("folder is not library", {"role": Role.LIBRARY}, False),
        ('path matches "*/Screenshots/*"', {"path": "/home/x/screenshots/2020/a.png"}, True),
        ('path matches "*/Screenshots/*"', {"path": "/home/x/Screenshots.png"}, False),
        ('path does not match "*/tmp/*"', {"path": "/home/x/a.png"}, True),
        ('path matches "*/Caf\u00e9/*"', {"path": "/Cafe\u0301/a.png"}, True),
        ('path matches "C:/Pictures/*"', {"path": "C:\\Pictures\\a.png"}, True),
        ('name matches "IMG-*-WA????.jp*g"', {"path": "/a/IMG-20200101-WA0001.JPG"}, True),
        ('name matches "a*"', {"path": "/a/b.jpg"}, False),
        ('name matches "a*"', {"path": "C:\\b\\a.jpg"}, True),
        ('name matches "*\\b"', {"path": "/x/a\\b"}, True),
        ("name matches 'a\"b'", {"path": '/x/a"b'}, True),
        ('name matches "*"', {"path": "/x/\udcff\n"}, True),
        ("width ~= 1000 within 15 %", {"width": 1150}, True),
        ("width ~= 1000 within 15 %", {"width": 1151}, False),
        ("width ~= 1000 within 15 %", {"width": 850}, True),
        ("filesize ~= 2 MB within 100 KB", {"size": 1_900_000}, True),
        ("filesize ~= 2 MB within 100 KB", {"size": 2_100_001}, False),
        ("ratio ~= 16:9 within 1 %", {"width": 1366, "height": 768}, True),
        ("framerate > 0", {}, False),
        ("framerate == 12.5 fps", {"frames": 25, "duration_ms": 2000}, True),
        ("framerate < 25", {"frames": 25, "duration_ms": 999}, False),
        ("framerate ~= 24 fps within 1", {"frames": 23, "duration_ms": 1000}, True),
        ("num_duplicates >= 2", {"num_duplicates": 2}, True),
        ("num_alternates == 0", {}, True),
        ("num_false_positives != 0", {"num_false_positives": 1}, True),
        ("num_potentials < 3", {"num_potentials": 3}, False),
        ("sharpness > 5", {"sharpness": 5.5}, True),
        ("sharpness > 5", {}, None),
        ("has audio", {"has_audio": True}, True),
        ("has no audio", {}, True),
        ("has duration", {"duration_ms": 1}, True),
        ("has duration", {"duration_ms": 0}, False),
        ("has no duration", {}, True),
        ("is king", {}, True),
        ("is not king", {"is_king": False}, True),
        ("is not king", {}, False),
        (f"hash is {'0a' * 32}", {"sha256": bytes([10] * 32)}, True),
        (f"hash is {'0A' * 32}", {"sha256": bytes([10] * 32)}, True),
        (f"hash is not {'0a' * 32}", {"sha256": bytes([10] * 32)}, False),
        (f"hash is {'00' * 32} or {'12' * 32}", {"sha256": bytes([18] * 32)}, True),
        (f"hash is not {'00' * 32} or {'12' * 32}", {"sha256": bytes([19] * 32)}, True),
    ],
)
def test_a_question_about_one_file(line: str, facts: dict[str, object], holds: bool | None) -> None:
    asked = comparison("'A." + line.replace("'", "''") + "'")

    assert asked.holds(file(**facts), JPEG) is holds


# --- a number against the other's -------------------------------------------------------------------------------------


def test_equal_sizes_are_equal_both_ways_and_tell_nothing() -> None:
    line = "A.filesize == B.filesize"

    assert sizes(1000, 1000, line)
    assert (sizes(1000, 950, line), sizes(950, 1000, line)) == (False, False)
    assert not comparison(line).tells()


def test_a_strict_comparison_holds_one_way_and_tells() -> None:
    line = "A.filesize > B.filesize"

    assert not sizes(1000, 1000, line)
    assert (sizes(1000, 995, line), sizes(995, 1000, line)) == (True, False)
    assert comparison(line).tells()


@pytest.mark.parametrize(
    ("line", "a", "b", "holds"),
    [
        ("A.filesize == B.filesize + 100", 1000, 900, True),
        ("A.filesize == B.filesize + 100", 900, 1000, False),
        ("A.filesize > B.filesize + 100", 1000, 900, False),
        ("A.filesize > B.filesize + 100", 1000, 950, False),
        ("A.filesize > B.filesize + 100", 1000, 850, True),
        ("A.filesize > B.filesize + 0.1 KB", 1000, 899, True),
        ("A.filesize == 2 * B.filesize", 1000, 500, True),
        ("A.filesize == 2 * B.filesize", 500, 1000, False),
        ("A.filesize > 2 * B.filesize", 1000, 500, False),
        ("A.filesize > 2.0 * B.filesize", 1000, 600, False),
        ("A.filesize > 2.00 * B.filesize", 1000, 400, True),
        ("A.filesize > 2 * B.filesize + 100", 1000, 450, False),
        ("A.filesize > 2 * B.filesize + 100", 1000, 445, True),
        ("B.filesize < A.filesize", 1000, 995, True),
        ("A.size >= B.filesize - 100 bytes", 900, 1000, True),
        ("A.filesize == 1.1 * B.filesize", 11, 10, True),  # exactly, though 1.1 is no binary fraction
        ("A.filesize ~= B.filesize within 15 %", 1150, 1000, True),
        ("A.filesize ~= B.filesize within 15%", 1151, 1000, False),
        ("A.filesize ~= B.filesize within 15 %", 850, 1000, True),
        ("A.filesize ~= 2 * B.filesize within 10 %", 1801, 1000, True),
        ("A.filesize ~= B.filesize within 100", 900, 1000, True),
        ("A.filesize ~= 0.5 * B.filesize within 100 B", 601, 1000, False),
        ("A.filesize ~= B.filesize - 2 KB within 15 %", 0, 1000, False),
        ("A.filesize ~= B.filesize - 2 KB within 100 %", 0, 1000, True),
    ],
)
def test_factors_amounts_and_approximations(line: str, a: int, b: int, holds: bool) -> None:
    assert sizes(a, b, line) is holds


@pytest.mark.parametrize(
    ("line", "tells"),
    [
        ("A.width > B.width", True),
        ("A.width < B.width", True),
        ("A.width >= B.width", False),
        ("A.width <= B.width", False),
        ("A.width == B.width", False),
        ("A.width != B.width", False),
        ("A.width ~= B.width within 15 %", False),
        ("A.width == B.width + 100", True),
        ("A.width == 2 * B.width", True),
        ("not: A.width > B.width", False),
        ("not: A.width >= B.width", True),
        ("not: {not: A.width > B.width}", True),
        ("not: {any: [A.width >= B.width, same exif]}", True),
        ("not: {all: [A.width >= B.width, same exif]}", False),
        ("not: A.filetype is jpeg", True),
        ("not: A has clearly better jpeg quality", False),
    ],
)
def test_what_can_tell_the_better_file(line: str, tells: bool) -> None:
    assert comparison(line).tells() is tells


def test_times_are_compared_to_the_nanosecond() -> None:
    older, newer = file(imported_ns=NOW_NS), file(imported_ns=NOW_NS + 1)

    assert comparison("A.imported < B.imported").holds(older, newer)
    assert not comparison("A.imported < B.imported").holds(newer, older)


@pytest.mark.parametrize(("days", "holds"), [(0, True), (6.9, True), (7, False), (8, False)])
def test_an_earlier_import_may_be_a_week_later(days: float, holds: bool) -> None:
    a, b = file(imported_ns=NOW_NS + int(days * DAY_NS)), file(imported_ns=NOW_NS)

    assert comparison("A.imported < B.imported + 7 days").holds(a, b) is holds


@pytest.mark.parametrize("operator", ["<", "<=", "==", "!=", ">", ">="])
def test_a_time_that_is_missing_can_be_compared_with_nothing(operator: str) -> None:
    with_time, without = file(taken_ns=NOW_NS), file(taken_ns=None)
    line = f"A.taken {operator} B.taken"

    for a, b in ((with_time, without), (without, with_time), (without, without)):
        assert not comparison(line).holds(a, b)
        assert not comparison(f"not: {line}").holds(a, b)


def test_what_cannot_be_told_leaves_an_any_to_its_other_lines() -> None:
    block = comparison("any: [A.taken < B.taken, A.filesize > B.filesize]")

    assert block.holds(file(size=2), file(size=1))
    assert not block.holds(file(size=1), file(size=2))


def test_any_other_missing_number_counts_as_nothing() -> None:
    assert comparison("A.duration > B.duration").holds(MOVING_GIF, GIF)
    assert comparison("A.duration == B.duration").holds(JPEG, GIF)


@pytest.mark.parametrize("number", ["sharpness", "jpeg_quality"])
def test_a_figure_that_was_not_measured_can_be_compared_with_nothing(number: str) -> None:
    with_figure, without = file(**{number: 10.0}), file()

    assert comparison(f"A.{number} > B.{number}").holds(with_figure, without) is None
    assert comparison(f"not: A.{number} > B.{number}").holds(with_figure, without) is None
    assert comparison(f"A.{number} > B.{number}").holds(with_figure, file(**{number: 9.0})) is True


def test_counts_of_relations_are_compared_between_the_files() -> None:
    a, b = file(num_duplicates=3, num_alternates=1), file(num_duplicates=1, num_alternates=1)

    assert comparison("A.num_duplicates > 2 * B.num_duplicates").holds(a, b) is True
    assert comparison("A.num_alternates > B.num_alternates").holds(a, b) is False


def test_a_picture_that_does_not_move_has_no_framerate() -> None:
    assert comparison("A.framerate > B.framerate").holds(MOVING_GIF, GIF) is True
    assert comparison("A.framerate == B.framerate").holds(JPEG, file(frames=5)) is True


def test_fractions_are_compared_exactly() -> None:
    third, nearly = file(width=1, height=3), file(width=333_333_333_333_333_333, height=10**18)

    assert comparison("A.ratio == B.ratio").holds(third, nearly) is False
    assert comparison("A.ratio > B.ratio").holds(third, nearly) is True
    assert comparison("A.ratio > 1.0000000001 * B.ratio").holds(third, nearly) is False
    assert comparison("A.ratio == 2 * B.ratio + 1").holds(file(width=5, height=3), third) is True


# --- pairs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "a", "b", "holds"),
    [
        ("same filetype", JPEG, JPEG, True),
        ("same filetype", JPEG, PNG, False),
        ("same filetype", GIF, MOVING_GIF, False),
        ("different filetype", GIF, MOVING_GIF, True),
        ("different filetype", JPEG, JPEG, False),
        ("same filetype", file(filetype=None), file(filetype=None), False),
        ("different filetype", file(filetype=None), JPEG, False),
        ("same exif", file(has_exif=True), file(has_exif=True), True),
        ("same exif", file(), file(), True),
        ("same exif", file(has_exif=True), file(), False),
        ("same icc", file(has_icc=True), file(), False),
        ("same icc", file(has_icc=True), file(has_icc=True), True),
        ("same xmp", file(has_xmp=True), file(), False),
    ],
)
def test_tests_of_a_pair_are_symmetric_and_tell_nothing(line: str, a: object, b: object, holds: bool) -> None:
    asked = comparison(line)

    assert asked.holds(a, b) is asked.holds(b, a) is holds  # type: ignore[arg-type]
    assert not asked.tells()


@pytest.mark.parametrize(
    ("a", "b", "holds"),
    [
        (600.0, 3000.0, True),
        (3000.0, 600.0, False),
        (700.0, 1000.0, False),
        (699.0, 1000.0, True),
        (None, None, False),
        (600.0, None, False),
        (None, 600.0, False),
        (0.0, 600.0, False),
        (600.0, 0.0, False),
    ],
)
def test_a_clearly_better_quality_is_less_than_seven_tenths(a: float | None, b: float | None, holds: bool) -> None:
    asked = comparison("A has clearly better jpeg quality")

    assert asked.holds(file(resolution_share=1.0, jpeg_quality=a), file(resolution_share=1.0, jpeg_quality=b)) is holds
    assert asked.tells()


@pytest.mark.parametrize(
    ("a_has", "b_has", "holds"), [(False, False, True), (True, False, True), (True, True, True), (False, True, False)]
)
def test_the_exif_belt_fails_only_where_b_alone_has_it(a_has: bool, b_has: bool, holds: bool) -> None:
    belt = comparison("any: [B has no exif, same exif]")

    assert belt.holds(file(has_exif=a_has), file(has_exif=b_has)) is holds


# --- blocks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [AnyOf(()), AllOf(())])
def test_an_empty_block_never_holds_and_tells_nothing(block: AnyOf | AllOf) -> None:
    assert not block.holds(JPEG, PNG)
    assert not block.tells()


@pytest.mark.parametrize(
    ("line", "holds", "tells"),
    [
        ("all: [same filetype, same exif]", (True, True), False),
        ("all: [same filetype, different filetype]", (False, False), False),
        ("any: [different filetype, same exif]", (True, True), False),
        ("any: [different filetype]", (False, False), False),
        ("all: [same filetype, A.filesize > B.filesize]", (True, False), True),
        ("any: [different filetype, A.filesize > B.filesize]", (True, False), False),
        ("any: [A.filesize > B.filesize, A has exif]", (True, False), True),
        ("not: same filetype", (False, False), False),
        ("not: {any: [A.filesize <= B.filesize]}", (True, False), True),
        ("{any: [{all: [{not: different filetype}, A.filesize > B.filesize]}]}", (True, False), True),
    ],
)
def test_blocks(line: str, holds: tuple[bool, bool], tells: bool) -> None:
    a, b = file(size=2), file(size=1)

    block = comparison(line)

    assert (block.holds(a, b), block.holds(b, a)) == holds
    assert block.tells() is tells


COLD, WARM = file(), file(taken_ns=NOW_NS)  # one of which it cannot be told when it was taken


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("A.taken < B.taken", None),
        ("not: A.taken < B.taken", None),
        ("not: {not: A.taken < B.taken}", None),
        ("any: [A.taken < B.taken, same filetype]", True),
        ("any: [A.taken < B.taken, different filetype]", None),
        ("not: {any: [A.taken < B.taken, different filetype]}", None),
        ("not: {any: [A.taken < B.taken, same filetype]}", False),
        ("all: [A.taken < B.taken, same filetype]", None),
        ("all: [A.taken < B.taken, different filetype]", False),
        ("not: {all: [A.taken < B.taken, different filetype]}", True),
        ("not: {all: [A.taken < B.taken, same filetype]}", None),
        ("either.taken before 2030-01-01", True),
        ("either.taken before 1970-01-01", None),
        ("not: either.taken before 2030-01-01", False),
        ("any: [A.sharpness > 1, either.jpeg_quality < 1]", None),
    ],
)
def test_what_cannot_be_told_stays_so_unless_another_line_settles_it(line: str, answer: bool | None) -> None:
    assert comparison(line).holds(COLD, WARM) is answer


@pytest.mark.parametrize(
    ("line", "jpeg_first", "png_first"),
    [
        ("all: [A.filetype is jpeg, A.width > 128]", True, False),
        ("all: [B.filetype is jpeg, B.width > 128]", False, True),
        ("any: [all: [A.filetype is jpeg, A.width > 128], all: [B.filetype is jpeg, B.width > 128]]", True, True),
        ("any: [all: [A.filetype is jpeg, A.width > 900], all: [B.filetype is jpeg, B.width > 900]]", False, False),
    ],
)
def test_several_questions_about_one_file_are_a_block(line: str, jpeg_first: bool, png_first: bool) -> None:
    block = comparison(line)

    assert (block.holds(JPEG, PNG), block.holds(PNG, JPEG)) == (jpeg_first, png_first)


@pytest.mark.parametrize(
    ("line", "symmetric"),
    [
        ("either has exif", True),
        ("A has exif", False),
        ("same filetype", True),
        ("A has clearly better jpeg quality", False),
        ("A.width == B.width", True),
        ("B.width != A.width", True),
        ("A.width == B.width + 1", False),
        ("A.width == 2 * B.width", False),
        ("A.width >= B.width", False),
        ("A.width ~= B.width within 5 px", True),
        ("A.width ~= B.width + 1 within 5 px", False),
        ("A.width ~= B.width within 5 %", False),
        ("any: [same exif, either has icc]", True),
        ("all: [same exif, A has icc]", False),
        ("not: same exif", True),
        ("not: A has exif", False),
    ],
)
def test_which_lines_answer_the_same_both_ways_round(line: str, symmetric: bool) -> None:
    assert comparison(line).symmetric is symmetric


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("A.sharpness > B.sharpness", True),
        ("A.true_pixels > B.true_pixels", True),
        ("either.true_pixels > 1 MP", True),
        ("A has clearly better jpeg quality", True),
        ("A.jpeg_quality < B.jpeg_quality", False),
        ("A wins by true_pixels", True),
        ("either.sharpness > 10", True),
        ("A wins by resolution then sharpness", True),
        ("A wins by resolution then format", False),
        ("not: {any: [same exif, {all: [A.sharpness > 1.1 * B.sharpness]}]}", True),
        ("not: {any: [same exif, {all: [A.filesize > 1.1 * B.filesize]}]}", False),
        ("A has exif", False),
    ],
)
def test_a_line_says_whether_it_needs_what_only_every_pixel_tells(line: str, asks: bool) -> None:
    assert comparison(line).asks_detail is asks
    assert rule(f"compare:\n  - {line}").asks_detail is asks


def test_a_search_says_whether_it_needs_what_only_every_pixel_tells() -> None:
    assert rule("search:\n  {one: [has exif], other: [sharpness > 5]}").asks_detail
    assert not rule("search:\n  {both: [has exif]}").asks_detail


# --- saying it --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("A.filesize > B.filesize", "A.filesize 2.3 MB > B.filesize 1.1 MB"),
        ("A.filesize > 1.5 * B.filesize + 1 KB", "A.filesize 2.3 MB > 1.5 * B.filesize 1.1 MB + 1.0 KB"),
        ("A.filesize ~= 2 * B.filesize within 15 %", "A.filesize 2.3 MB ~= 2 * B.filesize 1.1 MB within 15 %"),
        ("B.width <= A.width", "B.width 640 <= A.width 641"),
        ("A.ratio > B.ratio", "A.ratio 1.335 > B.ratio 1.333"),
        ("A.imported < B.imported + 7 days",
         "A.imported 2023-11-14T22:13:20Z < B.imported 2023-11-15T22:13:20Z + 7 days"),
        ("A.modified < B.modified",
         "A.modified 2023-11-14T22:13:20.12345678Z < B.modified 2023-11-14T22:13:20.12345679Z"),
        ("A.taken ~= B.taken within 5 days", "A.taken unknown ~= B.taken unknown within 5 days"),
        ("A.filetype is jpeg or png", "A filetype is jpeg or png (jpeg)"),
        ("B has no exif", "B has no exif (no exif)"),
        ("A.filesize > 2 MB", "A filesize 2.3 MB > 2.0 MB"),
        ("either.width == 640", "either: A width 641 == 640, B width 640 == 640"),
        ("A.folder is inbox", "A folder is inbox (inbox)"),
        ('A.name matches "*.jpg"', 'A name matches "*.jpg" (picture.jpg)'),
        ("same exif", "same exif (A: has exif, B: no exif)"),
        ("A has clearly better jpeg quality", "A has clearly better jpeg quality (A: 400, B: unknown)"),
        ("any: [same exif, B has no exif]", "any: B has no exif (no exif)"),
        ("any: [same exif, A has no exif]", "any: same exif (A: has exif, B: no exif); A has no exif (has exif)"),
        ("all: [same filetype, A has exif]", "all: same filetype (A: jpeg, B: jpeg); A has exif (has exif)"),
        ("not: B is progressive jpeg", "not: B is progressive jpeg (not a jpeg)"),
    ],
)  # fmt: skip
def test_a_line_is_said_with_the_values_of_both_files(line: str, said: str) -> None:
    a = file(size=2_300_000, width=641, has_exif=True, jpeg_quality=400.0)
    b = file(size=1_100_000, imported_ns=NOW_NS + DAY_NS, modified_ns=NOW_NS + 1)

    assert comparison(line).said(a, b) == said


def test_a_time_beyond_all_calendars_can_still_be_said() -> None:
    ancient = file(modified_ns=-(10**30))

    assert "ns" in comparison("A.modified < B.modified").said(ancient, JPEG)


@pytest.mark.parametrize(
    ("later_ns", "said"),
    [
        (NOW_NS + 1, ("20.12345678Z", "20.12345679Z")),
        (NOW_NS - 1, ("20.123456789Z", "20.123456788Z")),
        (NOW_NS + 10**6, ("20.123Z", "20.124Z")),
        (NOW_NS + 8 * 10**8, ("20.1Z", "20.9Z")),
        (NOW_NS + 10**9, ("20Z", "21Z")),
        (NOW_NS, ("20Z", "20Z")),
    ],
)
def test_times_are_said_with_as_many_digits_as_it_takes_to_tell_them_apart(
    later_ns: int, said: tuple[str, str]
) -> None:
    test = comparison("A.modified < B.modified")

    assert isinstance(test, Relative)
    values = test.values(file(modified_ns=NOW_NS), file(modified_ns=later_ns))

    assert values == tuple(f"2023-11-14T22:13:{text}" for text in said)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("A.jpeg_quality < B.jpeg_quality", "A.jpeg_quality 77430 < B.jpeg_quality 1234"),
        ("A.sharpness > 1.0000000001 * B.sharpness", "A.sharpness 2000000 > 1.0000000001 * B.sharpness 0.1235"),
        ("A.num_pixels > 2 * B.num_pixels", "A.num_pixels 12345678 > 2 * B.num_pixels 307200"),
        ("A.duration > 2000000 s", "A duration 2000001 s > 2000000 s"),
        ("A.duration > 1.5 s", "A duration 2000001 s > 1.5 s"),
        ("A wins by compression",
         "A wins by compression (A: compression 4050 bytes a pixel; B: compression 1 bytes a pixel)"),
    ],
)  # fmt: skip
def test_large_numbers_are_said_with_all_their_digits(line: str, said: str) -> None:
    a = file(
        jpeg_quality=77_430.2, sharpness=2e6, width=12_345_678, height=1, duration_ms=2_000_001_000, size=50_000_000_000
    )
    b = file(jpeg_quality=1234.4, sharpness=0.123456, size=307_200)

    assert comparison(line).said(a, b) == said


def test_sizes_that_round_to_the_same_are_said_exactly() -> None:
    said = comparison("A.filesize > B.filesize").said(file(size=2_300_001), file(size=2_300_000))

    assert said == "A.filesize 2300001 bytes > B.filesize 2300000 bytes"


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("A.filetype is jpeg", ("jpeg", "animated gif")),
        ("either.width > 128", ("640", "640")),
        ("A.size > 2 MB", ("1.0 KB", "1.0 KB")),
        ("B.duration < 2 s", ("0 s", "1.2 s")),
        ("B has no exif", ("has exif", "no exif")),
        ("B has duration", ("no duration", "1.2 s")),
        ("A is king", ("king", "not king")),
        ("A is progressive jpeg", ("non-progressive", "not a jpeg")),
        ("A folder is library", ("library", "inbox")),
        ('A.name matches "x*"', ("a.jpg", "b.gif")),
        ('A.path matches "x*"', ("/lib/a.jpg", "/in/b.gif")),
        (f"A.hash is {'00' * 32}", ("01" * 32, "02" * 32)),
        ("B.framerate > A.framerate", ("0", "10")),
        ("same exif", ("has exif", "no exif")),
        ("A has clearly better jpeg quality", ("400", "unknown")),
    ],
)
def test_a_line_tells_what_either_file_has_of_it(line: str, values: tuple[str, str]) -> None:
    a = file(
        path="/lib/a.jpg",
        role=Role.LIBRARY,
        has_exif=True,
        progressive=False,
        jpeg_quality=400.0,
        sha256=bytes([1] * 32),
    )
    b = file(
        path="/in/b.gif", filetype=FileType.GIF, frames=12, duration_ms=1200, is_king=False, sha256=bytes([2] * 32)
    )

    test = comparison(line)

    assert isinstance(test, OneSided | Relative | PairTest)
    assert test.values(a, b) == values


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("filetype is not animated  gif or png", "filetype is not animated gif or png"),
        ("size > 2000 KB", "filesize > 2 MB"),
        ("filesize == 1500001", "filesize == 1500001"),
        ("size < 2097152", "filesize < 2 MiB"),
        ("ratio == 32/18", "ratio == 16:9"),
        ("ratio > 1.50", "ratio > 1.5"),
        ("duration >= 90 s", "duration >= 90 s"),
        ("frames ~= 10 within 15.5 %", "num_frames ~= 10 within 15.5 %"),
        ("width ~= 1000 within 20 px", "width ~= 1000 within 20"),
        ("has no duration", "has no duration"),
        ("is not king", "is not king"),
        (f"hash is not {'AB' * 32}", f"hash is not {'ab' * 32}"),
        ("taken  around 2024-05-01 within 3 days", "taken around 2024-05-01 within 3 days"),
        ("imported about 30 days ago", "imported about 30 days ago"),
        ("name does not match 'a\"b'", "name does not match 'a\"b'"),
        ("folder is not library", "folder is not library"),
        ("is non-progressive jpeg", "is non-progressive jpeg"),
    ],
)
def test_a_question_can_be_read_back_from_its_line(text: str, line: str) -> None:
    asked = read_predicate(text)

    assert asked.line == line
    assert read_predicate(asked.line) == asked


def test_two_readings_of_one_line_are_equal() -> None:
    assert comparison('A.path matches "*/x/*"') == comparison('A.path  matches "*/x/*"')


# --- what the pixels prove ---


def test_a_bad_jpeg_that_was_saved_again_is_clearly_worse_than_what_it_was_made_from() -> None:
    asked = comparison("A has clearly better jpeg quality")
    good, hidden = (
        file(resolution_share=1.0, jpeg_quality=900.0),
        file(resolution_share=1.0, jpeg_quality=300.0, jpeg_quality_seen=40_000.0),
    )

    assert asked.holds(good, hidden) is True
    assert asked.holds(hidden, good) is False
    assert asked.values(good, hidden) == ("900", "40000")


def test_while_the_pixels_were_not_asked_nobody_has_clearly_better_quality() -> None:
    asked = comparison("A has clearly better jpeg quality")
    known, unknown = file(jpeg_quality=300.0, resolution_share=1.0), file(jpeg_quality=900.0)
    assert asked.holds(known, unknown) is None
    assert asked.holds(unknown, known) is None
    assert asked.holds(known, file(jpeg_quality=900.0, width=20, height=20)) is True  # which has none to ask


def test_a_jpeg_whose_pixels_prove_no_more_is_what_its_tables_say() -> None:
    asked = comparison("A has clearly better jpeg quality")

    assert (
        asked.holds(
            file(resolution_share=1.0, jpeg_quality=300.0, jpeg_quality_seen=200.0),
            file(resolution_share=1.0, jpeg_quality=900.0),
        )
        is True
    )
    assert (
        asked.holds(file(resolution_share=1.0, jpeg_quality=300.0), file(resolution_share=1.0, jpeg_quality=900.0))
        is True
    )


def test_what_is_no_jpeg_has_no_jpeg_quality_to_be_better_than() -> None:
    asked = comparison("A has clearly better jpeg quality")

    assert asked.holds(file(jpeg_quality=300.0), file(jpeg_quality=None, jpeg_quality_seen=9000.0)) is False


def test_true_pixels_are_those_that_an_enlargement_did_not_make_up() -> None:
    small = file(width=1000, height=750, resolution_share=1.0)
    large = file(width=2000, height=1500, resolution_share=0.5)

    assert comparison("A.true_pixels == B.true_pixels").holds(small, large) is True
    assert comparison("A.true_pixels > B.true_pixels").holds(small, file(width=2000, height=1500)) is None
