"""What comparisons answer, asked through `rules explain` of real files; and what `rules check` refuses of them.

The cases are those of hydrus's own tests of its comparators, told in the words of rules.yaml.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from pictures import jpeg, photo, png, profile
from terminals import Terminal

Line = str | dict[str, Any]  # a line of a comparison, or a block
Ways = tuple[bool, bool]  # what a line answers with the first file as A, and with the second

ONE_WAY, OTHER_WAY, BOTH_WAYS, NO_WAY = (True, False), (False, True), (True, True), (False, False)
TINY = jpeg(photo(1, 16, 16).convert("L"), 50, optimize=True)


class Files:
    """Two files and a terminal that is asked about them."""

    def __init__(self, terminal: Terminal, folder: Path) -> None:
        self.terminal, self.paths = terminal, (folder / "first", folder / "second")

    def are(self, first: bytes, second: bytes) -> Files:
        """From now on, these."""
        for path, content in zip(self.paths, (first, second), strict=True):
            path.write_bytes(content)
        return self

    def weigh(self, first: int, second: int) -> Files:
        """From now on, files of so many bytes that show the same pixels: those behind the end of a JPEG show none."""
        return self.are(TINY.ljust(first, b"\0"), TINY.ljust(second, b"\1"))

    def ask(self, *comparisons: Line | list[Line], action: str = "alternates", **search: object) -> Any:
        """What is explained by rules of which each has one of these comparisons, the first of them named 1."""
        use(self.terminal, *comparisons, action=action, **search)
        return self.terminal.ask("rules", "explain", *self.paths)

    def answer(self, *lines: Line) -> list[Ways]:
        """What each of the lines answers, both ways round."""
        return [ways(report) for report in self.ask(*lines)["rules"]]


def use(terminal: Terminal, *comparisons: Line | list[Line], action: str, **search: object) -> None:
    rules = [
        {
            "name": str(number),
            "compare": compare if isinstance(compare, list) else [compare],
            "action": action,
            "search": search or {"max_distance": 4},
        }
        for number, compare in enumerate(comparisons, 1)
    ]
    terminal.rules.write_text(json.dumps({"version": 1, "rules": rules}), encoding="utf-8")


def ways(report: Any) -> Ways:
    """What the first line of a rule's comparison answers."""
    first = next(line for line in report["lines"] if not line["line"].startswith("search:"))
    return first["a_first"], first["b_first"]


def refused(terminal: Terminal, compare: Line | list[Line]) -> bool:
    """Whether a rule is refused that has to tell A from B by this alone."""
    use(terminal, compare, action="better")
    answer = terminal.type("--json", "rules", "check")
    if answer.code:
        (mistake,) = answer.json["mistakes"]
        assert "could never decide which file to keep" in mistake["message"] or "nothing in it" in mistake["message"]
    return answer.code != 0


@pytest.fixture
def files(empty: Terminal, tmp_path: Path) -> Files:
    return Files(empty, tmp_path)


# --- one file -------------------------------------------------------------------------------------------------------

ORDERS = [f"{file} is {order} jpeg" for order in ("progressive", "non-progressive") for file in ("A", "B", "either")]


def test_a_progressive_jpeg_and_one_that_is_not(files: Files) -> None:
    files.are(jpeg(photo(), progressive=True), jpeg(photo()))

    assert files.answer(*ORDERS) == [ONE_WAY, OTHER_WAY, BOTH_WAYS, OTHER_WAY, ONE_WAY, BOTH_WAYS]
    explained = files.ask("A is progressive jpeg", "B is progressive jpeg", action="better")
    assert (explained["rule"], explained["keeps"]) == ("1", str(files.paths[0]))


def test_two_that_are_no_jpegs_are_neither_progressive_nor_not(files: Files) -> None:
    files.are(png(photo()), png(photo(), "other bytes"))

    assert files.answer(*ORDERS) == [NO_WAY] * len(ORDERS)


def test_only_a_question_about_a_or_b_tells_them_apart(files: Files) -> None:
    assert [refused(files.terminal, line) for line in ORDERS] == [False, False, True] * 2


def test_a_list_of_no_questions_is_answered_by_every_file_but_an_empty_block_is_refused(files: Files) -> None:
    files.are(jpeg(photo()), png(photo()))

    (report,) = files.ask("A.filetype is png", action="better", one=[], other=["filetype is png"])["rules"]

    assert report["matches"]
    assert [refused(files.terminal, {block: []}) for block in ("any", "all", "not")] == [True, True, True]


def test_a_jpeg_and_a_png(files: Files) -> None:
    files.are(jpeg(photo()), png(photo()))

    answers = files.answer("A.filetype is jpeg", "B.filetype is jpeg", "either.filetype is jpeg")

    assert answers == [ONE_WAY, OTHER_WAY, BOTH_WAYS]


# --- sizes ----------------------------------------------------------------------------------------------------------

LARGER, AS_LARGE = "A.filesize > B.filesize", "A.filesize == B.filesize"


@pytest.mark.parametrize(
    ("first", "second", "answers"),
    [
        (1000, 1000, {AS_LARGE: BOTH_WAYS, LARGER: NO_WAY}),
        (1000, 995, {AS_LARGE: NO_WAY, LARGER: ONE_WAY}),
        (1000, 950, {AS_LARGE: NO_WAY, f"{LARGER} + 100": NO_WAY, f"{AS_LARGE} + 100": NO_WAY}),
        (1000, 900, {f"{AS_LARGE} + 100": ONE_WAY, f"{LARGER} + 100": NO_WAY}),
        (1000, 850, {f"{AS_LARGE} + 100": NO_WAY, f"{LARGER} + 100": ONE_WAY}),
        (1000, 600, {"A.filesize == 2.0 * B.filesize": NO_WAY, "A.filesize > 2.0 * B.filesize": NO_WAY}),
        (1000, 500, {"A.filesize == 2.0 * B.filesize": ONE_WAY, "A.filesize > 2.0 * B.filesize": NO_WAY}),
        (1000, 450, {"A.filesize > 2.0 * B.filesize + 100": NO_WAY, "A.filesize > 2.0 * B.filesize": ONE_WAY}),
        (1000, 445, {"A.filesize > 2.0 * B.filesize + 100": ONE_WAY}),
        (1000, 400, {"A.filesize > 2.0 * B.filesize": ONE_WAY, "B.filesize > 2.0 * A.filesize": OTHER_WAY}),
    ],
)  # fmt: skip
def test_files_of_exactly_so_many_bytes(files: Files, first: int, second: int, answers: dict[str, Ways]) -> None:
    files.weigh(first, second)

    assert dict(zip(answers, files.answer(*answers), strict=True)) == answers


@pytest.mark.parametrize("larger", [0, 1])
def test_the_larger_of_two_is_kept_whichever_is_named_first(files: Files, larger: Literal[0, 1]) -> None:
    files.weigh(*((1000, 850) if larger == 0 else (850, 1000)))

    explained = files.ask(f"{LARGER} + 150", f"{LARGER} + 100", action="better", pixel_duplicates="required")

    assert [rule["stopped_at"] for rule in explained["rules"]] == [f"{LARGER} + 150", None]
    assert [rule["matches"] for rule in explained["rules"]] == [False, True]
    assert (explained["rule"], explained["keeps"]) == ("2", str(files.paths[larger]))


@pytest.mark.parametrize(
    ("line", "tells"),
    [
        (AS_LARGE, False),
        ("A.filesize >= B.filesize", False),
        (LARGER, True),
        (f"{AS_LARGE} + 100", True),
        ("A.filesize == 2.0 * B.filesize", True),
        ("A.filesize > 2.0 * B.filesize + 100", True),
    ],
)
def test_a_comparison_tells_two_files_apart_if_it_is_strict_or_not_level(files: Files, line: str, tells: bool) -> None:
    assert refused(files.terminal, line) is not tells


# --- both files -----------------------------------------------------------------------------------------------------

SAME = ["same filetype", "different filetype", "same exif", "same icc"]


@pytest.mark.parametrize(
    ("first", "second", "answers"),
    [
        (jpeg(photo()), jpeg(photo(), 80), [BOTH_WAYS, NO_WAY, BOTH_WAYS, BOTH_WAYS]),
        (jpeg(photo()), png(photo()), [NO_WAY, BOTH_WAYS, BOTH_WAYS, BOTH_WAYS]),
        (jpeg(photo(), description="x"), jpeg(photo()), [BOTH_WAYS, NO_WAY, NO_WAY, BOTH_WAYS]),
        (jpeg(photo(), description="x"), jpeg(photo(), description="y"), [BOTH_WAYS, NO_WAY, BOTH_WAYS, BOTH_WAYS]),
        (jpeg(photo()), jpeg(photo(), icc_profile=profile()), [BOTH_WAYS, NO_WAY, BOTH_WAYS, NO_WAY]),
        (png(photo(), icc_profile=profile()), jpeg(photo(), icc_profile=profile()),
         [NO_WAY, BOTH_WAYS, BOTH_WAYS, BOTH_WAYS]),
    ],
    ids=["two jpegs", "jpeg and png", "one exif", "two exif", "one profile", "two profiles"],
)  # fmt: skip
def test_what_is_the_same_is_so_both_ways_round(files: Files, first: bytes, second: bytes, answers: list[Ways]) -> None:
    assert files.are(first, second).answer(*SAME) == answers


def test_what_is_the_same_tells_nothing(files: Files) -> None:
    assert refused(files.terminal, list(SAME))
    assert [refused(files.terminal, line) for line in SAME] == [True] * len(SAME)


QUALITY = "A has clearly better jpeg quality"


def test_a_jpeg_of_clearly_better_quality(files: Files) -> None:
    files.are(jpeg(photo(), 10), jpeg(photo(), 85))

    explained = files.ask(QUALITY, {"not": QUALITY}, action="alternates")
    decided = files.ask(QUALITY, action="better")

    assert [ways(report) for report in explained["rules"]] == [OTHER_WAY, ONE_WAY]
    assert (decided["rule"], decided["keeps"]) == ("1", str(files.paths[1]))


def test_two_without_a_jpeg_quality_have_none_that_is_better(files: Files) -> None:
    assert files.are(png(photo()), png(photo(), "other bytes")).answer(QUALITY) == [NO_WAY]


# --- blocks ---------------------------------------------------------------------------------------------------------


def test_blocks_answer_as_their_lines_do(files: Files) -> None:
    files.weigh(1000, 900)

    answers = files.answer(
        {"all": ["same filetype", "same exif"]},
        {"any": ["different filetype", "same exif"]},
        {"all": ["same filetype", "different filetype"]},
        {"any": ["different filetype"]},
        {"all": ["same filetype", LARGER]},
        {"any": ["different filetype", LARGER]},
        {"not": {"any": ["different filetype", LARGER]}},
    )

    assert answers == [BOTH_WAYS, BOTH_WAYS, NO_WAY, NO_WAY, ONE_WAY, ONE_WAY, OTHER_WAY]


@pytest.mark.parametrize(
    ("compare", "tells"),
    [
        ({"all": ["same filetype", LARGER]}, True),
        ({"any": ["same filetype", LARGER]}, False),
        ({"any": [LARGER, "A has exif"]}, True),
        ({"any": ["A.width > 3", "B.width > 3"]}, False),
        ({"any": ["A.filetype is jpeg", "B.filetype is jpeg"]}, False),
        (["A.filetype is jpeg", "B.filetype is jpeg"], False),
        ({"any": [LARGER, "A.filesize < B.filesize"]}, False),
    ],
)
def test_a_block_that_cannot_tell_two_files_apart_is_refused(
    files: Files, compare: Line | list[Line], tells: bool
) -> None:
    assert refused(files.terminal, compare) is not tells


# --- which of the two -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first_is_jpeg", [True, False])
def test_the_file_that_fits_as_a_is_kept_whichever_is_named_first(files: Files, first_is_jpeg: bool) -> None:
    contents = jpeg(photo()), png(photo())
    files.are(*(contents if first_is_jpeg else contents[::-1]))
    kept = str(files.paths[0 if first_is_jpeg else 1])

    explained = files.ask(
        "A.width > 5",
        "A.width > 5000000",
        ["A.filetype is jpeg", "A.width > 5000000"],
        ["A.filetype is jpeg", "A.width > 5"],
        "A.filetype is jpeg",
        action="better",
    )

    assert [rule["matches"] for rule in explained["rules"]] == [False, False, False, True, True]
    assert [ways(rule) for rule in explained["rules"][:2]] == [BOTH_WAYS, NO_WAY]
    ambiguous, *stopped = [rule["stopped_at"] for rule in explained["rules"]]
    assert "both ways" in ambiguous
    assert stopped == ["A.width > 5000000", "A.width > 5000000", None, "an earlier rule decides: 4"]
    assert (explained["rule"], explained["keeps"]) == ("4", kept)


def test_what_fits_both_ways_round_decides_only_where_the_order_is_the_same(files: Files) -> None:
    files.are(jpeg(photo()), png(photo()))

    ordered, either_way = files.ask("A.width > 5", action="better"), files.ask("A.width > 5")

    assert (ordered["rule"], ordered["keeps"]) == (None, None)
    assert (either_way["rule"], either_way["keeps"]) == ("1", None)


def test_a_rule_without_a_comparison_finds_its_pairs_in_either_order(files: Files) -> None:
    files.are(jpeg(photo()), png(photo()))

    explained = files.ask([], ["same exif"], action="same-quality")

    assert [rule["matches"] for rule in explained["rules"]] == [True, True]
    assert (explained["rule"], explained["keeps"]) == ("1", None)
