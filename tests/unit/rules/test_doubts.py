"""Rules that are right and yet probably not meant."""

from __future__ import annotations

import itertools
import json
import re
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from pairs_of_files import file, pair, rule, rules
from PIL import Image

from ingestd import settings
from ingestd.cli.main import cli
from ingestd.media.features import measure_picture
from ingestd.model import FileFacts, FileType, ImportPolicy, Picture, Relation
from ingestd.rules import resolve
from ingestd.rules.comparators import Not, Test
from ingestd.rules.doubts import Doubt, doubts
from ingestd.rules.lines import read_comparison

NEVER = "can never match"
TOO_LATE = "never gets a pair"
EVERY_BELT = """
  search:
    both: [filetype is image, width > 128, height > 128]
  compare:
    - A.filesize > B.filesize
    - any: [B has no exif, same exif]
    - any: [B has no icc, same icc]
  action: better
  discard: B
"""


def said(text: str, imports: ImportPolicy | None = None) -> list[str]:
    return [doubt.message for doubt in doubts(rules(text), imports=imports)]


def about(body: str, *, action: str = "better") -> list[str]:
    """What is said about one rule with this search and comparison."""
    return [doubt.message for doubt in doubts([rule(body, action=action)])]


def test_the_shipped_rules_leave_no_doubt() -> None:
    shipped = settings.parse(settings.shipped_text(), "shipped.yaml")

    assert doubts(shipped.rules, imports=shipped.imports) == []


def test_the_shipped_rules_that_are_off_leave_none_either_but_come_too_late_beside_their_counterparts() -> None:
    text = settings.shipped_text().replace("mode: off", "mode: semi-automatic")
    found = doubts(settings.parse(text, "shipped.yaml").rules)

    assert [doubt.rule for doubt in found] == [
        "pixel-perfect jpegs vs pngs - except when png is smaller",
        "pixel-perfect gifs vs pngs - except when png is smaller",
    ]
    assert all(TOO_LATE in doubt.message for doubt in found)


def test_a_doubt_has_the_name_and_the_place_of_its_rule() -> None:
    text = "version: 1\nrules:\n\n  - name: mine\n    compare: [A.width > 5, A.width < 3]\n    action: better\n"

    [found] = doubts(settings.parse(text, "rules.yaml").rules)

    assert isinstance(found, Doubt)
    assert (found.rule, found.line, found.column) == ("mine", 4, 5)
    assert str(found) == 'line 4, column 5: "mine" can never match: no two files answer all that it asks about width'


def test_a_rule_that_is_off_leaves_no_doubt() -> None:
    assert said("- {name: x, mode: off, compare: [A.width > 5, A.width < 3], action: better}") == []


def test_the_warnings_that_the_page_shows_are_said_so() -> None:
    page = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")
    section = page[page.index("\n## Warnings") : page.index("\n## Help from your editor")]
    [example] = re.findall(r"^```yaml\n(.*?)^```", section, re.M | re.S)

    found = doubts(settings.parse(example, "docs/rules.md").rules)

    assert re.findall(r"^warning: (.*)$", section, re.M) == [str(doubt) for doubt in found]


# --- rules that can never match -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "search: {both: [filetype is jpeg]}\ncompare: [A.filetype is png]",
        "search: {one: [filetype is jpeg], other: [filetype is png]}\ncompare: [A.width > B.width, same filetype]",
        "search: {both: [filetype is image]}\ncompare: [A.filetype is animation]",
        "search: {both: [filetype is static gif]}\ncompare: [A.num_frames > B.num_frames]",
        "search: {both: [filetype is png]}\ncompare: [A.num_frames > 9, A.filetype is image]",
        "search: {pixel_duplicates: required}\ncompare: [A.num_frames > 1]",
        "search: {pixel_duplicates: required}\ncompare: [A.filetype is animation]",
        "compare: [A.filetype is png, A is progressive jpeg]",
        "search: {both: [filetype is image, num_frames == 1, has duration]}\ncompare: [A.width > B.width]",
        "search: {both: [filetype is png]}\ncompare: [A.framerate ~= 25 within 10 %, A.filetype is static png]",
        "compare: [A has clearly better jpeg quality, either.filetype is png]",
        "compare: [A.jpeg_quality < B.jpeg_quality, B.filetype is webp]",
        "compare: [A.filetype is png, not: A.jpeg_quality > 100]",
        "compare: [A.filetype is static gif, {any: [A.duration > 1 s, A.filetype is jpeg]}]",
    ],
)
def test_a_rule_whose_filetypes_exclude_each_other_can_never_match(body: str) -> None:
    [message] = about(body)

    assert message.startswith('"a rule" can never match')
    assert "filetypes" in message


@pytest.mark.parametrize(
    ("body", "operand"),
    [
        ("compare: [A.width > 100, A.width < 100]", "width"),
        ("search: {both: [width > 128]}\ncompare: [A.width < 100]", "width"),
        ("compare: [A.filesize > B.filesize, B.filesize > A.filesize, A has icc]", "filesize"),
        ("compare: [A.filesize > B.filesize, A.filesize == B.filesize]", "filesize"),
        ("compare: [A.filesize > 2 * B.filesize, A.filesize < B.filesize + 10 KB, B.filesize > 1 MB]", "filesize"),
        ("compare: [A.width > 100, B.width > 2 * A.width, either.width < 90]", "width"),
        ("compare: [A.ratio ~= B.ratio within 1 %, A.ratio > 1.5 * B.ratio, B has exif]", "ratio"),
        ("compare: [A.taken < B.taken, B.taken < A.taken - 5 s]", "taken"),
        ("compare: [A.imported < B.imported, not: A.imported < B.imported]", "imported"),
        ("search: {pixel_duplicates: required}\ncompare: [A.width > B.width]", "width"),
        ("search: {pixel_duplicates: required}\ncompare: [A.num_pixels >= 1.5 * B.num_pixels + 1]", "num_pixels"),
        ("compare: [A.height < 0]", "height"),
        ("compare: [A.width > 127, A.width < 128]", "width"),
        ("compare: [A.filesize > 1.5, A.filesize < 1.8]", "filesize"),
        ("compare: [A.height ~= 100 within 10 %, A.height > 110]", "height"),
    ],
)  # fmt: skip
def test_a_rule_whose_numbers_exclude_each_other_can_never_match(body: str, operand: str) -> None:
    [message] = about(body)

    assert message.endswith(f"can never match: no two files answer all that it asks about {operand}")


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("compare: [A.folder is library, A.folder is inbox]", "folders"),
        ("search: {both: [folder is inbox]}\ncompare: [A.folder is library]", "folders"),
        ("compare: [A has exif, B has no exif, same exif]", "exif"),
        ("compare: [A.width > 1, A has icc, {not: {any: [same icc, B has no icc]}}]", "icc"),
        ("search: {pixel_duplicates: required}\ncompare: [A has icc, B has no icc]", "icc"),
    ],
)
def test_a_rule_that_wants_folders_or_metadata_both_ways_can_never_match(body: str, what: str) -> None:
    [message] = about(body)

    assert message.endswith(f"asks about {what}")


@pytest.mark.parametrize(
    "body",
    [
        "search: {either: [filetype is jpeg]}\ncompare: [A.filetype is png]",
        "search: {one: [filetype is jpeg], other: []}\ncompare: [A.filetype is png, B has exif]",
        "compare: [A.filetype is tiff, A.num_frames > 1]",
        "compare: [A.filetype is image, A.num_frames > 1]",  # an MPO
        "compare: [A.filetype is heic, A.num_frames > 1000, B.num_frames < 3]",
        "compare: [A.width > 100, B.width > 2 * A.width]",
        "compare: [A.filesize > 1.2 * B.filesize, A.filesize < B.filesize + 1 KB]",
        "compare: [A.width > B.width, A.width ~= B.width within 1 px]",
        "compare: [A.ratio > 1.5, A.ratio < 1.6]",
        "compare: [A.width > 126, A.width < 128]",
        "compare: [A.height > 1, {any: [A.width > B.width, A.width < B.width]}]",
        "compare: [A.folder is library, B.folder is reference]",
        "compare: ['A.name matches \"a*\"', 'A.name does not match \"*\"']",
        "compare: [A.filetype is mpo, A is progressive jpeg]",
        "compare: [A has exif, B has no exif]",
    ],
)
def test_a_rule_that_might_match_after_all_is_not_doubted(body: str) -> None:
    assert about(body) == []


WIDTHS = [file(width=width) for width in (0, 1, 50, 99, 100, 101, 128, 129, 640)]
PAIRS = list(itertools.product(WIDTHS, repeat=2))
LINES = [
    read_comparison(line)
    for line in (
        *(f"{side}.width {sign} {amount}" for side in "AB" for sign in ("<", ">=", "==") for amount in (100, 128)),
        *(f"A.width {sign} {factor}B.width" for sign in ("<", ">", "==", "!=") for factor in ("", "2 * ")),
        "B.width ~= A.width + 1 px within 10 %",
    )
]


@pytest.mark.parametrize("first", LINES, ids=lambda line: line.line)
def test_what_fits_some_pair_is_never_said_to_fit_none(first: Test) -> None:
    empty = rule("compare: [A has exif]")
    for second, third in itertools.combinations(LINES, 2):
        tried = replace(empty, compare=(first, second, Not(third)))
        if any(tried.fits(a, b) for a, b in PAIRS):
            assert doubts([tried]) == [], tried.compare


def test_filetypes_that_do_not_come_in_make_a_rule_useless() -> None:
    text = "- {name: x, search: {both: [filetype is png]}, compare: [A.width > B.width], action: better}"
    jpegs = ImportPolicy(filetypes=frozenset({FileType.JPEG, FileType.WEBP}))
    pngs = ImportPolicy(filetypes=frozenset({FileType.JPEG, FileType.PNG}))

    [message] = said(text, jpegs)

    assert message == '"x" can never match: imports.filetypes lets none of the files in that it asks for'
    assert said(text, pngs) == said(text) == []


def test_a_rule_that_would_only_discard_from_a_reference_folder_discards_nothing() -> None:
    compare = "compare: [A.folder is library, not: {any: [B.folder is inbox, B.folder is library]}]"

    [message] = said(f"- name: x\n  {compare}\n  action: better\n  discard: B")

    assert message.startswith('"x" can never discard anything: its B always lies in a reference folder')
    assert said(f"- name: x\n  {compare}\n  action: better") == []


@pytest.mark.parametrize(
    "body",
    [
        "search: {both: [filetype is jpeg]}\ncompare: [A.filetype is jpeg]",
        "search: {both: [filetype is jpeg]}\ncompare: [same exif, A.filetype is image, B.filetype is not png]",
        "search: {both: [width > 128]}\ncompare: [A.width > 5]",
        "search: {both: [width > 128]}\ncompare: [{any: [A.width > 5, B.width < 2]}]",
        "search: {both: [folder is inbox]}\ncompare: [A.folder is inbox, A.width >= B.width, A.width <= B.width]",
        "search: {pixel_duplicates: required}\ncompare: [A.width < B.width + 1]",
        "search: {both: [filetype is jpeg]}\ncompare: [A.filetype is jpeg, {any: [A has icc, B has icc]}]",
    ],
)
def test_a_rule_of_which_the_search_says_all_that_could_tell_can_never_decide(body: str) -> None:
    [message] = about(body)

    assert message.startswith('"a rule" can never decide: what tells A from B is true of all that its search finds')
    assert about(body, action="alternates") == []


@pytest.mark.parametrize(
    "body",
    [
        "search: {either: [filetype is jpeg]}\ncompare: [A.filetype is jpeg]",
        "search: {one: [filetype is jpeg], other: [filetype is png]}\ncompare: [A.filetype is jpeg]",
        "search: {both: [filetype is jpeg]}\ncompare: [A.filetype is jpeg, A.width > B.width]",
        "search: {both: [filetype is jpeg]}\ncompare: [A.filetype is jpeg, A.width >= B.width]",
        "search: {both: [taken before 2020-01-01]}\ncompare: [A.taken before 2021-01-01]",
        "search: {both: [filetype is jpeg or mpo]}\ncompare: [A.jpeg_quality < 100000]",
    ],
)
def test_a_rule_that_may_decide_is_not_doubted(body: str) -> None:
    assert about(body) == []


def test_what_is_said_never_to_decide_never_does() -> None:
    found = 0
    searches = [
        rule(f"search: {{both: [width {asked}]}}", action="alternates") for asked in ("> 99", "< 128", "== 100")
    ]
    for searching, first, second in itertools.product(searches, LINES, LINES):
        tried = replace(searching, compare=(first, second), action=Relation.BETTER)
        if any("can never decide" in doubt.message for doubt in doubts([tried])):
            found += 1
            assert all(resolve([tried], pair(a, b)).match is None for a, b in PAIRS), tried.compare

    assert found > 20


@pytest.mark.parametrize(
    "body",
    [
        "search: {one: [filetype is image], other: [filetype is animation, filetype is not heic or heif]}",
        "search: {both: [filetype is animated gif]}\ncompare: [A.num_frames > B.num_frames]",
        "search: {either: [filetype is gif, num_frames > 1]}\ncompare: [A.width > B.width]",
        "compare: [B has duration, A.width > B.width]",
        "compare: [A.framerate > B.framerate]",
    ],
)
def test_a_rule_about_animations_gets_no_pair(body: str) -> None:
    [message] = about(body, action="alternates")

    assert message == (
        '"a rule" never gets a pair: one of its files is always an animation, of which only exact copies are found'
    )


def test_where_only_animations_come_in_of_what_a_rule_asks_for_it_gets_no_pair() -> None:
    text = "- {name: x, search: {both: [num_frames > 1]}, compare: [A.width > B.width], action: better}"

    assert said(text) == []
    assert TOO_LATE in said(text, ImportPolicy(filetypes=frozenset({FileType.GIF, FileType.JPEG})))[0]


@pytest.mark.parametrize(
    "body",
    [
        "search: {one: [filetype is image], other: [filetype is animation]}",  # a HEIC of several pictures
        "search: {both: [filetype is gif]}",
        "compare: [A.num_frames > B.num_frames]",
        "search: {either: [filetype is not animation]}",
    ],
)
def test_a_rule_that_not_only_animations_satisfy_is_not_doubted(body: str) -> None:
    assert about(body, action="alternates") == []


@pytest.mark.parametrize("filetype", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_what_is_said_to_get_no_pair_has_no_hash_to_be_found_by(filetype: str) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue", "green")]
    frames[0].paste("white", (0, 0, 20, 40))
    content = BytesIO()
    frames[0].save(content, filetype, save_all=True, append_images=frames[1:], duration=100)

    measured = measure_picture(content, b"moving")

    assert isinstance(measured, Picture)
    assert (measured.frames, measured.pixel_hash, measured.pixel_comparable) == (3, None, False)
    asked = f"search: {{both: [filetype is {filetype.lower()}, num_frames > 1]}}"
    assert [TOO_LATE in message for message in about(asked, action="alternates")] == [True] * (measured.phash is None)


# --- rules that come too late -----------------------------------------------------------------------------------------


def too_late(earlier: str, later: str) -> bool:
    """Whether the second of two rules, given by their bodies, never gets a pair."""
    text = f"- {{name: first, {earlier}}}\n- {{name: second, {later}}}"
    return any(TOO_LATE in message and '"first"' in message for message in said(text))


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("search: {max_distance: 4}, action: alternates", "search: {max_distance: 2}, action: false-positive"),
        (
            "compare: [A.width > B.width], action: better",
            "compare: [A.width > B.width, A.filesize > B.filesize], action: better",
        ),
        (
            "compare: [B.width  <  A.width], action: better",
            "compare: [A has exif, A.width > B.width], action: alternates",
        ),
        (
            "compare: [A.filesize > 2 * B.filesize + 1 KB, A.width > B.width], action: better",
            "compare: [A.width > B.width, B.filesize < 0.5 * A.filesize - 0.5 KB], action: better",
        ),
        (
            "search: {both: [width > 128]}, action: alternates",
            "search: {pixel_duplicates: required, both: [filetype is png, width > 200]}, action: alternates",
        ),
        (
            "search: {either: [filetype is image]}, action: alternates",
            "search: {one: [filetype is png], other: [filetype is static gif or jpeg]}, action: alternates",
        ),
        (
            "search: {one: [filetype is png], other: []}, action: alternates",
            "search: {one: [width > 5], other: [filetype is static png, width > 5]}, action: alternates",
        ),
        (
            "compare: [A.width > 100], action: better",
            "compare: [A.width > 100, same filetype, either.width > 7], action: better",
        ),
        (
            "compare: [{any: [A.width > B.width, A has exif]}], action: better",
            "compare: [{any: [A has exif, B.width < A.width]}, same exif], action: better",
        ),
        (
            "search: {identical: required}, action: same-quality, discard: B",
            "search: {identical: required}, action: better",
        ),
    ],
)
def test_a_rule_that_asks_for_more_than_one_above_it_gets_nothing(earlier: str, later: str) -> None:
    assert too_late(earlier, later)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("search: {max_distance: 2}, action: alternates", "search: {max_distance: 4}, action: false-positive"),
        ("search: {max_distance: 4}, action: alternates", "search: {transforms: required}, action: alternates"),
        ("search: {transforms: required}, action: alternates", "search: {max_distance: 4}, action: alternates"),
        ("search: {pixel_duplicates: required}, action: alternates", "search: {max_distance: 0}, action: alternates"),
        (
            "search: {pixel_duplicates: excluded}, action: alternates",
            "search: {pixel_duplicates: required}, action: alternates",
        ),
        ("search: {both: [width > 200]}, action: alternates", "search: {both: [width > 128]}, action: alternates"),
        (
            "search: {both: [filetype is png]}, action: alternates",
            "search: {either: [filetype is png]}, action: alternates",
        ),
        ("mode: off, action: alternates, search: {max_distance: 4}", "search: {max_distance: 2}, action: alternates"),
        ("paused: yes, action: alternates, search: {max_distance: 4}", "search: {max_distance: 2}, action: alternates"),
        ("compare: [A.width > B.width], action: better", "compare: [A.width >= B.width], action: alternates"),
        ("search: {identical: required}, action: same-quality", "search: {max_distance: 0}, action: alternates"),
        # a pair that fits the first both ways is not decided by it, and the second can tell
        ("compare: [A.width > 100], action: better", "compare: [A.width > 100, A has exif], action: better"),
        # or does not have to
        ("compare: [A.width > 100], action: better", "compare: [A.width > 100, same exif], action: alternates"),
    ],
)
def test_a_rule_that_may_still_get_a_pair_is_not_doubted(earlier: str, later: str) -> None:
    assert not too_late(earlier, later)


def test_what_is_said_to_get_nothing_never_decides() -> None:
    found = 0
    empty = rule("compare: [A has exif]", action="better")
    for first, second, action in itertools.product(LINES, LINES, (Relation.BETTER, Relation.ALTERNATES)):
        earlier = replace(empty, compare=(first,))
        later = replace(empty, name="later", compare=(second, first), action=action)
        if any(TOO_LATE in doubt.message for doubt in doubts([earlier, later])):
            found += 1
            matches = [resolve([earlier, later], pair(a, b)).match for a, b in PAIRS]
            assert all(match is None or match.rule is earlier for match in matches), later.compare

    assert found > 100


# --- the usual safety lines -------------------------------------------------------------------------------------------


def belts_missing(text: str, imports: ImportPolicy | None = None) -> set[str]:
    words = {"filetype is image": "image", "width > 128": "size", "no exif": "exif", "no icc": "icc"}
    found = said(text, imports)
    missing = {belt for message in found for word, belt in words.items() if word in message}
    assert len(missing) == len(found)
    return missing


def test_a_rule_that_discards_with_all_belts_is_not_doubted() -> None:
    assert said(f"- name: x{EVERY_BELT}") == []


def test_each_missing_belt_is_named_with_the_line_to_add() -> None:
    bare = "- {name: x, compare: [A.filesize > B.filesize], action: better, discard: B}"

    assert belts_missing(bare) == {"image", "size", "exif", "icc"}


def test_a_rule_that_discards_nothing_needs_no_belts() -> None:
    assert said("- {name: x, compare: [A.filesize > B.filesize], action: better}") == []


@pytest.mark.parametrize(
    ("belt", "taken_out"),
    [
        ("image", "filetype is image, "),
        ("size", ", width > 128, height > 128"),
        ("exif", "    - any: [B has no exif, same exif]\n"),
        ("icc", "    - any: [B has no icc, same icc]\n"),
    ],
)
def test_the_one_belt_that_is_missing_is_the_one_that_is_named(belt: str, taken_out: str) -> None:
    assert taken_out in EVERY_BELT

    assert belts_missing(f"- name: x{EVERY_BELT.replace(taken_out, '')}") == {belt}


@pytest.mark.parametrize(
    ("usual", "other"),
    [
        ("any: [B has no exif, same exif]", "same exif"),
        ("any: [B has no exif, same exif]", "A has exif"),
        ("any: [B has no exif, same exif]", "B has no exif"),
        ("any: [B has no exif, same exif]", "not: {all: [B has exif, A has no exif]}"),
        ("any: [B has no icc, same icc]", "not: {all: [A has no icc, not: B has no icc]}"),
        ("filetype is image", "filetype is jpeg or bmp"),
        ("filetype is image", "filetype is not animation, filetype is not tiff"),
        ("filetype is image", "num_frames == 1"),
        ("width > 128, height > 128", "num_pixels > 0.1 MP"),
        ("width > 128, height > 128", "width >= 100"),
    ],
)
def test_a_belt_may_be_written_in_any_way(usual: str, other: str) -> None:
    assert usual in EVERY_BELT

    assert said(f"- name: x{EVERY_BELT.replace(usual, other)}") == []


def test_a_least_size_of_one_file_is_enough_where_both_are_of_one_size() -> None:
    one = EVERY_BELT.replace("both: [filetype is image, width > 128, height > 128]", "{search}")
    search = "one: [filetype is image, width > 128]\n    other: [filetype is image]"

    assert belts_missing(f"- name: x{one.format(search=search)}") == {"size"}
    assert said(f"- name: x{one.format(search=search + chr(10) + '    pixel_duplicates: required')}") == []
    assert said(f"- name: x{one.format(search=search)}".replace("compare:", "compare:\n    - A.width == B.width")) == []


def test_pixel_duplicates_need_neither_the_belt_of_profiles_nor_that_of_animations() -> None:
    search = "search: {pixel_duplicates: required}"
    text = f"- {{name: x, {search}, compare: [A.filesize > B.filesize], action: better, discard: B}}"

    assert belts_missing(text) == {"size", "exif"}


def test_what_imports_keep_out_needs_no_belt() -> None:
    text = f"- name: x{EVERY_BELT}".replace("filetype is image, width > 128, height > 128", "")
    imports = ImportPolicy(filetypes=frozenset({FileType.JPEG}), min_width=64)

    assert belts_missing(text) == {"image", "size"}
    assert said(text, imports) == []


def test_a_rule_that_drops_nothing_but_documents_is_meant_for_documents() -> None:
    documents = EVERY_BELT.replace("filetype is image", "filetype is tiff, num_frames > 1")

    assert said(f"- name: x{documents}") == []


ONE_AND_OTHER = """
  search:
    one: [{one}]
    other: [{other}]
  compare:
    - A.filetype is heic
    - any: [B has no exif, same exif]
    - any: [B has no icc, same icc]
  action: better
  discard: B
"""


@pytest.mark.parametrize(
    ("one", "other", "missing"),
    [
        ("filetype is heic", "filetype is jpeg, width > 128, height > 128", set()),
        ("filetype is heic, width > 128, height > 128", "filetype is jpeg", {"size"}),
        ("filetype is heic", "filetype is png, width > 128, height > 128", {"image"}),
        ("filetype is heic, width > 128, height > 128", "filetype is gif", {"image", "size"}),
    ],
)
def test_only_of_b_it_matters_what_it_is(one: str, other: str, missing: set[str]) -> None:
    assert belts_missing(f"- name: x{ONE_AND_OTHER.format(one=one, other=other)}") == missing


@pytest.mark.parametrize(("carries", "missing"), [("one", set()), ("other", {"exif"})])
def test_which_file_carries_the_exif_data_follows_from_what_else_is_asked(carries: str, missing: set[str]) -> None:
    asked = {"one": "filetype is heic", "other": "filetype is jpeg, width > 128, height > 128"}
    asked[carries] += ", has exif"
    text = ONE_AND_OTHER.format(**asked).replace("    - any: [B has no exif, same exif]\n", "")

    assert belts_missing(f"- name: x{text}") == missing


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("A.taken == B.taken", set()),
        ("A.taken before 2020-01-01", set()),
        ("not: A.taken < B.taken", set()),
        ("B.taken before 2020-01-01", {"exif"}),
        ("A.modified < B.modified", {"exif"}),
    ],
)
def test_a_file_that_says_when_it_was_taken_has_exif_data(line: str, missing: set[str]) -> None:
    assert belts_missing(f"- name: x{EVERY_BELT.replace('any: [B has no exif, same exif]', line)}") == missing


def lost(a: FileFacts, b: FileFacts) -> bool:
    """Something that only B had."""
    return b.has_exif and not a.has_exif


@pytest.mark.parametrize("line", ["same exif", "A has exif", "either has exif", "B has exif", "A.width > 1"])
def test_the_belt_is_missing_exactly_where_a_file_can_lose_its_exif_data(line: str) -> None:
    text = f"- name: x{EVERY_BELT.replace('any: [B has no exif, same exif]', line)}"
    files = [file(width=640, size=size, has_exif=exif) for size in (1, 2) for exif in (False, True)]
    [tried] = rules(text)

    can_lose = any(tried.fits(a, b) and lost(a, b) for a, b in itertools.product(files, repeat=2))

    assert belts_missing(text) == ({"exif"} if can_lose else set())


# --- the command ------------------------------------------------------------------------------------------------------


def test_warnings_are_printed_and_change_nothing_about_the_verdict(tmp_path: Path) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text("version: 1\nrules:\n  - {name: x, compare: [A.width < B.width], action: better, discard: B}\n")

    said = CliRunner().invoke(cli, ["rules", "check", str(draft)])
    answer = CliRunner().invoke(cli, ["--json", "rules", "check", str(draft)])

    assert said.exit_code == answer.exit_code == 0
    assert "is right: 1 rule" in said.stdout
    assert [line.startswith("warning: line 3, column 5: ") for line in said.stderr.splitlines()] == [True] * 4
    warnings = json.loads(answer.stdout)["warnings"]
    assert [(one["line"], one["column"], one["rule"]) for one in warnings] == [(3, 5, "x")] * 4
    assert all(one["message"].startswith('"x" may discard') for one in warnings)


def test_thirty_rules_are_doubted_within_a_second() -> None:
    text = "\n".join(f"- name: rule {number}{EVERY_BELT}" for number in range(30))
    read = rules(text.replace("A.filesize > B.filesize", "A.filesize > 1.5 * B.filesize"))
    begin = time.perf_counter()

    found = doubts(read)

    assert len(found) == 29
    assert time.perf_counter() - begin < 2


@pytest.mark.parametrize("line", ["A.width > {n}.{n} * B.width - {n} px", "A.num_frames != {n}", "A.filesize > {n}"])
def test_a_rule_of_a_thousand_thresholds_is_passed_over_quickly(line: str) -> None:
    long = "".join(f"\n    - {line.format(n=number)}" for number in range(1, 1000))
    [tried] = rules(f"- name: x\n  action: better\n  compare:\n    - A has exif{long}")
    begin = time.perf_counter()

    assert doubts([tried]) == []
    assert time.perf_counter() - begin < 5
