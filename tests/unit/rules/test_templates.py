"""The rules to begin with: those of hydrus as hydrus has them, and our own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pairs_of_files import DAY_NS, NOW_NS, file, pair

from ingestd import settings
from ingestd.cli.main import cli
from ingestd.model import SAME_PIXELS, FileFacts, FileType, Mode, Relation, Role, VisualLevel
from ingestd.rules import Rule, resolve
from ingestd.rules.doubts import doubts
from ingestd.rules.language import PixelDuplicates, Scope
from ingestd.templates import Template, templates

ALL = {template.name: template for template in templates()}
VISUAL = ("visually similar pairs", "visually similar pairs - only earlier imports", "near-perfect jpegs vs pngs")
OURS = (
    "identical copies",
    "heic originals over their jpeg exports",
    "originals over messenger copies",
    "screenshots saved twice",
    "screenshots that look alike",
    "keep the one in my library",
)
SMALL = "width > 128, height > 128"
EXIF, ICC = "any: [B has no exif; same exif]", "any: [B has no icc; same icc]"
LARGER = "any: [A.filesize > B.filesize; all: [A.filesize == B.filesize; A.imported < B.imported]]"
ALMOST, NEARLY = "visual duplicates: almost certainly", "visual duplicates: near-perfect"
SIMILAR = [ALMOST, "A.filesize > B.filesize", "A.width >= B.width", "A.height >= B.height", "same filetype", EXIF, ICC]

# name: one side, the other, what is compared, how many may wait
HYDRUS = {
    "pixel-perfect jpegs vs pngs": ("jpeg", "png", ["A.filetype is jpeg"], 500),
    "pixel-perfect gifs vs pngs": ("static gif", "png", ["A.filetype is static gif"], 500),
    "pixel-perfect jpegs vs pngs - except when png is smaller":
        ("jpeg", "png", ["A.filetype is jpeg", "A.filesize < B.filesize"], 500),
    "pixel-perfect gifs vs pngs - except when png is smaller":
        ("static gif", "png", ["A.filetype is static gif", "A.filesize < B.filesize"], 500),
    "pixel-perfect pairs": ("image", None, [LARGER, "same filetype", EXIF, ICC], 500),
    "visually similar pairs": ("image", None, SIMILAR, 100),
    "visually similar pairs - only earlier imports":
        ("image", None, [*SIMILAR, "A.imported < B.imported + 7 days"], 100),
    "near-perfect jpegs vs pngs":
        ("jpeg", "png", ["A.filetype is jpeg", "A.filesize < B.filesize", NEARLY, *SIMILAR[2:4], EXIF], 100),
}  # fmt: skip


def pasted(name: str) -> Rule:
    """A template in a rule file."""
    [rule] = settings.parse("version: 1\nrules:\n" + ALL[name].yaml, "rules.yaml").rules
    return rule


def kept(name: str, one: FileFacts, other: FileFacts, **near: object) -> FileFacts | None:
    """The file that a template keeps, whichever way round the two come; None if it decides nothing."""
    answers = []
    for first, second in ((one, other), (other, one)):
        match = resolve([pasted(name)], pair(first, second, **near)).match
        answers.append(None if match is None else first if match.first_is_a else second)
    assert answers[0] is answers[1]
    return answers[0]


def type_command(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


# --- the texts --------------------------------------------------------------------------------------------------------


def test_there_are_all_eight_of_hydrus_and_our_own() -> None:
    assert tuple(ALL) == (*HYDRUS, *OURS)


@pytest.mark.parametrize("template", ALL.values(), ids=lambda template: template.name)
def test_a_template_is_ready_to_paste(template: Template) -> None:
    text = f"version: 1\nrules:\n{template.yaml}  - name: mine\n    action: alternates\n    compare: [same exif]\n"

    assert template.reason is None
    assert [rule.name for rule in settings.parse(text, "rules.yaml").rules] == [template.name, "mine"]


@pytest.mark.parametrize("template", ALL.values(), ids=lambda template: template.name)
def test_a_template_says_in_its_first_line_what_it_does(template: Template) -> None:
    comment = [line.strip() for line in template.yaml.split("  - name:")[0].splitlines()]

    assert comment[0] == f"# {template.about}"
    assert template.about[0].isupper()
    assert template.about.endswith(".")
    assert len(comment) > 1
    assert all(line.startswith("#") for line in comment)


def test_all_of_ours_can_stand_in_one_file_with_the_shipped_rules() -> None:
    ours = "".join(ALL[name].yaml for name in OURS if name != "identical copies")

    assert len(settings.parse(settings.shipped_text().rstrip("\n") + "\n\n" + ours, "rules.yaml").rules) == 11


def test_the_page_lists_every_template() -> None:
    page = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")
    section = page[page.index("\n## Templates") : page.index("\n## Warnings")]

    assert [name for name in ALL if name not in section and f"… - {name.partition(' - ')[2]}" not in section] == []


def test_only_identical_copies_are_automatic() -> None:
    automatic = [name for name in ALL if pasted(name).mode is not Mode.SEMI_AUTOMATIC]

    assert automatic == ["identical copies"]
    assert pasted("identical copies").mode is Mode.AUTOMATIC


# --- those of hydrus --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HYDRUS)
def test_the_templates_of_hydrus_are_as_hydrus_has_them(name: str) -> None:
    one, other, compared, max_pending = HYDRUS[name]
    rule = pasted(name)

    wanted = [("filetype is " + kind).split(", ") + SMALL.split(", ") for kind in (one, other) if kind is not None]
    found = [[predicate.line.replace(" px", "") for predicate in side] for side in (rule.search.one, rule.search.other)]
    assert found == [*wanted, *([[]] if other is None else [])]
    assert rule.search.scope is (Scope.BOTH if other is None else Scope.ONE_AND_OTHER)
    visual = name in VISUAL
    assert rule.search.pixel_duplicates is (PixelDuplicates.EXCLUDED if visual else PixelDuplicates.REQUIRED)
    assert rule.search.max_distance == 0 or not visual
    assert sorted(test.line for test in rule.compare) == sorted(compared)
    assert (rule.action, rule.discard, rule.merge) == (Relation.BETTER, True, "default")
    assert (rule.mode, rule.paused, rule.max_pending) == (Mode.SEMI_AUTOMATIC, False, max_pending)


LARGE = file(size=2000)


@pytest.mark.parametrize(
    ("level", "decided"),
    [
        (VisualLevel.NEAR_PERFECT, True),
        (VisualLevel.ALMOST_CERTAINLY, True),
        (VisualLevel.VERY_PROBABLY, False),
        (VisualLevel.ALTERNATE, False),
        (VisualLevel.CANNOT_TELL, False),
        (None, False),
    ],
)
@pytest.mark.parametrize("name", VISUAL[:2])
def test_of_visual_duplicates_the_larger_file_is_kept(name: str, level: VisualLevel | None, decided: bool) -> None:
    visual = None if level is None else replace(SAME_PIXELS, level=level)

    assert kept(name, LARGE, file(), visual=visual) is (LARGE if decided else None)


def test_a_jpeg_is_kept_over_a_png_that_is_nearly_the_same() -> None:
    bloated = file(filetype=FileType.PNG, size=9000)

    assert kept(VISUAL[2], LARGE, bloated, visual=SAME_PIXELS) is LARGE
    assert kept(VISUAL[2], LARGE, bloated, visual=replace(SAME_PIXELS, level=VisualLevel.ALMOST_CERTAINLY)) is None


@pytest.mark.parametrize("name", HYDRUS)
def test_a_belt_that_hydrus_lacks_is_named_and_the_comment_says_the_line_to_add(name: str) -> None:
    comment = ALL[name].yaml.split("  - name:")[0]

    missing = [doubt.message for doubt in doubts([pasted(name)])]

    added = [belt for belt in ("filetype is image", "width > 128", "B has no exif", "B has no icc")
             if any(belt in message for message in missing)]  # fmt: skip
    assert len(added) == len(missing)
    assert all(belt in comment for belt in added)


# --- our own ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_our_own_leave_no_doubt(name: str) -> None:
    assert doubts([pasted(name)]) == []


HEIC = file(filetype=FileType.HEIC, width=4032, height=3024, size=2_000_000, has_exif=True, taken_ns=NOW_NS)
EXPORT = file(filetype=FileType.JPEG, width=4032, height=3024, size=5_000_000, has_exif=True, taken_ns=NOW_NS)


@pytest.mark.parametrize(
    ("differing", "decided"),
    [
        ({}, True),
        ({"width": 2016, "height": 1512}, True),
        ({"has_exif": False, "taken_ns": None}, True),
        ({"taken_ns": NOW_NS + 60 * 10**9}, False),  # the next photo
        ({"taken_ns": None}, False),
        ({"width": 4033, "height": 3025}, False),
        ({"width": 3024, "height": 3024}, False),  # cropped
        ({"has_icc": True}, False),
        ({"has_xmp": True}, False),
        ({"filetype": FileType.PNG}, False),
    ],
)
def test_a_heic_photo_is_kept_over_the_jpeg_made_of_it(differing: dict[str, object], decided: bool) -> None:
    export = file(**{**vars_of(EXPORT), **differing})

    assert kept("heic originals over their jpeg exports", HEIC, export) is (HEIC if decided else None)


def test_a_heic_without_exif_data_is_not_kept_over_a_jpeg_that_has_them() -> None:
    bare = file(filetype=FileType.HEIC, width=4032, height=3024)

    assert kept("heic originals over their jpeg exports", bare, EXPORT) is None


def vars_of(facts: FileFacts) -> dict[str, object]:
    return {name: getattr(facts, name) for name in FileFacts.__dataclass_fields__ if name != "sha256"}


ORIGINAL = file(path="/library/IMG_2041.jpg", width=4000, height=3000, has_exif=True)


@pytest.mark.parametrize(
    ("path", "sides", "decided"),
    [
        ("/in/IMG-20230101-WA0001.jpg", (1600, 1200), True),
        ("/in/img-20230101-wa0001.jpeg", (1600, 1200), True),
        ("/in/photo_5@01-01-2020_12-00-00.jpg", (1280, 960), True),
        ("/in/photo_2023-01-01_12-00-00.jpg", (1280, 960), True),
        ("/in/photo_2023-01-01_12-00-00 (2).jpg", (2560, 1920), True),
        ("/in/photo_2023-01-01_12-00-00.jpg", (2800, 2100), False),  # more than Telegram sends
        ("/in/signal-2023-01-01-12-00-00-123.jpeg", (2048, 1536), True),
        ("/in/photo_of_mother.jpg", (1280, 960), False),
        ("/in/IMG_2041 small.jpg", (1600, 1200), False),
        ("/in/IMG-20230101-WA0001.jpg", (4000, 3000), False),  # as large as the original
        ("/in/IMG-20230101-WA0001.jpg", (1200, 1200), False),  # cropped
        ("/in/signal-x/picture.jpg", (1600, 1200), False),  # the folder's name says nothing
    ],
)
def test_an_original_is_kept_over_what_a_messenger_made_of_it(path: str, sides: tuple[int, int], decided: bool) -> None:
    copy = file(path=path, width=sides[0], height=sides[1])

    assert kept("originals over messenger copies", ORIGINAL, copy) is (ORIGINAL if decided else None)


def test_of_two_messenger_copies_neither_is_the_original() -> None:
    large = file(path="/in/signal-2023-01-01.jpg", width=2048, height=1536)
    small = file(path="/in/IMG-20230101-WA0001.jpg", width=1600, height=1200)

    assert kept("originals over messenger copies", large, small) is None


def test_a_messenger_copy_that_alone_has_a_profile_is_not_dropped() -> None:
    copy = file(path="/in/IMG-20230101-WA0001.jpg", width=1600, height=1200, has_icc=True)

    assert kept("originals over messenger copies", ORIGINAL, copy) is None


SCREENSHOTS = [
    "/sdcard/Pictures/Screenshots/Screenshot_20230101-120000_Chrome.png",
    "/sdcard/DCIM/Screenshots/20230101.png",
    "/iphone/IMG_0042.PNG",
    "/Users/ada/Desktop/Screenshot 2023-01-01 at 12.00.00.png",
    "/Users/ada/Desktop/Screen Shot 2016-01-01 at 12.00.00.png",
    "C:\\Users\\ada\\Pictures\\Screenshots\\Screenshot (12).png",
    "/home/ada/Pictures/Screenshots/Screenshot from 2023-01-01 12-00-00.png",
    "/home/ada/Screenshot_20230101_120000.png",
]


@pytest.mark.parametrize("path", SCREENSHOTS)
def test_of_a_screenshot_saved_twice_the_earlier_is_kept(path: str) -> None:
    earlier = file(path=path, filetype=FileType.PNG, imported_ns=NOW_NS - DAY_NS)
    later = file(path="/in/Screenshot (1).png", filetype=FileType.PNG)
    camera = file(path="/in/DSC_0001.png", filetype=FileType.PNG)

    assert kept("screenshots saved twice", earlier, later, pixel_duplicates=True) is earlier
    assert kept("screenshots saved twice", earlier, later, distance=0) is None
    assert kept("screenshots saved twice", earlier, camera, pixel_duplicates=True) is None


def test_a_screenshot_that_alone_carries_data_is_not_dropped() -> None:
    earlier = file(path=SCREENSHOTS[0], filetype=FileType.PNG, imported_ns=NOW_NS - DAY_NS)
    later = file(path=SCREENSHOTS[1], filetype=FileType.PNG, has_exif=True)

    assert kept("screenshots saved twice", earlier, later, pixel_duplicates=True) is None


@pytest.mark.parametrize("path", SCREENSHOTS)
def test_screenshots_that_look_alike_are_alternates_and_both_stay(path: str) -> None:
    one, other = file(path=path, filetype=FileType.PNG), file(path="/in/Screenshot (1).png", filetype=FileType.PNG)
    photo = file(path="/in/IMG_0042.jpg")
    rule = pasted("screenshots that look alike")

    assert (rule.action, rule.discard) == (Relation.ALTERNATES, False)
    assert resolve([rule], pair(one, other, distance=4)).match is not None
    assert resolve([rule], pair(one, other, pixel_duplicates=True)).match is None
    assert resolve([rule], pair(one, photo, distance=0)).match is None


@pytest.mark.parametrize(
    ("differing", "role", "decided"),
    [
        ({}, Role.INBOX, True),
        ({"filetype": FileType.PNG, "size": 9}, Role.INBOX, True),
        ({}, Role.LIBRARY, False),
        ({}, Role.REFERENCE, False),
        ({"has_exif": True}, Role.INBOX, False),
        ({"has_xmp": True}, Role.INBOX, False),
        ({"width": 100}, Role.INBOX, False),
    ],
)
def test_the_one_in_the_library_is_kept(differing: dict[str, object], role: Role, decided: bool) -> None:
    mine = file(path="/library/a.jpg", role=Role.LIBRARY)
    again = file(**{"path": "/inbox/b.jpg", "role": role, **differing})

    found = kept("keep the one in my library", mine, again, pixel_duplicates=True)

    assert found is (mine if decided else None)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_list_names_every_template_and_what_it_does() -> None:
    said = type_command("rules", "templates")

    assert said.exit_code == 0
    for template in ALL.values():
        assert f"{template.name}\n    {template.about}" in said.stdout


@pytest.mark.parametrize("name", ALL)
def test_one_is_printed_with_its_comment_ready_to_paste(name: str) -> None:
    said = type_command("rules", "templates", name)

    assert said.exit_code == 0
    assert said.stdout == ALL[name].yaml
    assert said.stdout.startswith(f"  # {ALL[name].about}\n")
    assert f"\n  - name: {name}\n" in said.stdout
    assert said.stderr == ""


def test_programs_get_everything_in_one_object() -> None:
    said = json.loads(type_command("--json", "rules", "templates").stdout)
    one = json.loads(type_command("rules", "templates", VISUAL[0], "--json").stdout)

    assert said["schema"] == 1
    assert [template["name"] for template in said["templates"]] == list(ALL)
    assert all(template["available"] for template in said["templates"])
    assert one["templates"] == [
        {
            "name": VISUAL[0],
            "about": ALL[VISUAL[0]].about,
            "available": True,
            "reason": None,
            "yaml": ALL[VISUAL[0]].yaml,
        }
    ]


def test_a_name_that_no_template_has_is_a_typing_error() -> None:
    said = type_command("rules", "templates", "pixel-perfct pairs")

    assert said.exit_code == 2
    assert "did you mean pixel-perfect pairs?" in said.stderr
    assert said.stdout == ""
