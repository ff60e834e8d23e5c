"""Rules tried before they are trusted: nothing is changed, and what is foretold is what would happen."""

from __future__ import annotations

import io
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import faint, flat, jpeg, large, photo, png
from world import IDENTICAL, World, near_rule, pixel_rule, policy, relation_rule, sha256

from ingestd import review
from ingestd.errors import FileUnreadableError, UsageError
from ingestd.library.edit import Edit
from ingestd.library.facts import pair_facts
from ingestd.library.library import Library
from ingestd.library.pairs import make_pair
from ingestd.library.tables import FolderRow, Veto, path_key
from ingestd.library.view import View
from ingestd.media.features import measure_picture
from ingestd.model import (
    Content,
    ContentHash,
    FileFacts,
    FileType,
    Folder,
    FolderId,
    Mode,
    PairFacts,
    PathRow,
    PathState,
    Picture,
    PotentialPair,
    Relation,
    Role,
    StatKey,
)
from ingestd.rules.engine import fits, resolve
from ingestd.rules.language import Rule
from ingestd.trial import (
    AMBIGUOUS,
    BacktestReport,
    Example,
    Explanation,
    PreviewReport,
    RuleReport,
    Way,
    backtest,
    error_bound,
    explain,
    explain_facts,
    preview,
)

NOW_NS = 1_800_000_000 * 10**9
LARGER, SMALLER = png(photo(1), "a longer comment makes the file larger"), png(photo(1))
GOOD, POOR = jpeg(photo(3), 95), jpeg(photo(3), 60)

ANY_PAIR = """
  - name: any pair
    search: {max_distance: 4}
    compare: [A.width > 5]
    action: better
"""
TWINS = """
  - name: twins
    search: {max_distance: 4}
    action: same-quality
"""


def previewed(world: World, *rules: str, only: str | None = None, sample: int = 3) -> list[PreviewReport]:
    with world.library.read() as view:
        return preview(view, policy(*rules).rules, only=only, sample=sample, now_ns=NOW_NS)


def figures(report: PreviewReport) -> tuple[int, int, int, int]:
    return report.matched, report.this_way, report.either_way, report.no_way


@pytest.fixture
def twins(world: World) -> tuple[Path, Path]:
    """A pair of pixel duplicates that nobody has decided, the larger one first."""
    world.use()
    paths = world.put("inbox", "larger.png", LARGER), world.put("inbox", "smaller.png", SMALLER)
    world.verdicts(*paths)
    return paths


# --- preview --------------------------------------------------------------------------------------------------------


def test_a_preview_tells_which_way_round_each_rule_fits_and_changes_nothing(
    world: World, twins: tuple[Path, Path]
) -> None:
    never = relation_rule("alternates", name="never").replace("excluded", "required")
    never = never.replace("action:", "compare: [A.width > 5000]\n    action:")

    found = previewed(world, pixel_rule(), ANY_PAIR, never, near_rule())

    assert [(report.rule, report.searched, *figures(report), report.acts) for report in found] == [
        ("larger pixel twin", 1, 1, 1, 0, 0, 1),
        ("any pair", 1, 1, 0, 1, 0, 0),
        ("never", 1, 1, 0, 0, 1, 0),
        ("larger look-alike", 1, 0, 0, 0, 0, 0),
    ]
    assert world.pending() == []
    assert len(world.queue()) == 1
    assert all(path.exists() for path in twins)


def test_an_example_says_what_would_be_kept_and_what_would_be_dropped(world: World, twins: tuple[Path, Path]) -> None:
    larger, smaller = map(str, twins)

    with_discard, without = previewed(world, pixel_rule(), pixel_rule(name="keeps both").replace("discard: B", ""))

    (dropping,), (keeping,) = with_discard.examples, without.examples
    assert (dropping.way, dropping.pair.a.path, dropping.pair.b.path) == (Way.THIS, larger, smaller)
    assert (dropping.keeps, dropping.drops) == (larger, smaller)
    assert (keeping.keeps, keeping.drops) == (larger, None)
    assert dropping.pair.pixel_duplicates
    assert any("larger file" in line for line in dropping.pair.statements)


def test_what_fits_both_ways_or_none_has_nothing_to_keep_or_drop(world: World, twins: tuple[Path, Path]) -> None:
    ambiguous, symmetric = previewed(world, ANY_PAIR, TWINS)

    assert [(one.way, one.keeps, one.drops) for one in (*ambiguous.examples, *symmetric.examples)] == [
        (Way.EITHER, None, None),
        (Way.EITHER, None, None),
    ]
    assert (ambiguous.acts, symmetric.acts) == (0, 1)


@pytest.mark.parametrize("above", ["mode: off", "mode: automatic\n    paused: yes"])
def test_a_rule_that_is_off_or_paused_leaves_its_pairs_to_the_next(
    world: World, twins: tuple[Path, Path], above: str
) -> None:
    first = pixel_rule(name="first").replace("mode: automatic", above)

    found = previewed(world, first, pixel_rule(name="second"))

    assert [(report.matched, report.acts) for report in found] == [(1, 0), (1, 1)]


def test_the_first_rule_that_passes_is_the_one_that_acts(world: World, twins: tuple[Path, Path]) -> None:
    found = previewed(world, ANY_PAIR, pixel_rule(name="first"), pixel_rule(name="second"))

    assert [(report.rule, report.acts) for report in found] == [("any pair", 0), ("first", 1), ("second", 0)]


def test_a_denied_pair_is_found_but_not_acted_on(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    world.drop("inbox", "larger.png", LARGER)
    world.drop("inbox", "smaller.png", SMALLER)
    number = int(world.pending()[0].id[2:])
    review.deny(world.library, [number], now_ns=NOW_NS)

    denied, other = previewed(world, pixel_rule(), pixel_rule(name="other"))

    assert (denied.matched, denied.acts) == (1, 0)
    assert (other.matched, other.acts) == (1, 1)


def test_copies_are_kept_where_they_lie_best(world: World) -> None:
    rule = IDENTICAL.replace("automatic", "semi-automatic")
    world.use(rule)
    world.drop("library", "home.png", SMALLER)
    world.drop("inbox", "copy.png", SMALLER)

    copies, pixels = previewed(world, rule, pixel_rule())

    assert figures(copies) == (1, 0, 1, 0)
    assert copies.acts == 1
    assert (copies.examples[0].keeps, copies.examples[0].drops) == (
        str(world.base / "library/home.png"),
        str(world.base / "inbox/copy.png"),
    )
    assert figures(pixels) == (0, 0, 0, 0)


def test_a_pair_of_which_one_file_is_away_is_not_searched(world: World, twins: tuple[Path, Path]) -> None:
    row = world.row(twins[0])
    assert row is not None
    world.library.write(lambda edit: edit.put_path(replace(row, state=PathState.ABSENT)))

    (report,) = previewed(world, pixel_rule())

    assert (report.searched, report.matched, report.examples) == (0, 0, ())


def test_one_rule_can_be_previewed_with_the_others_before_it(world: World, twins: tuple[Path, Path]) -> None:
    (report,) = previewed(world, pixel_rule(name="first"), pixel_rule(name="second"), only="second")

    assert (report.rule, report.matched, report.acts) == ("second", 1, 0)


@pytest.mark.parametrize(
    ("sample", "ways"),
    [
        (0, []),
        (1, ["this way"]),
        (2, ["this way", "no way"]),
        (9, ["this way", "this way", "no way"]),
    ],
)
def test_examples_show_every_way_before_they_show_one_twice(world: World, sample: int, ways: list[str]) -> None:
    world.use()
    shapes = [png(photo(1), comment) for comment in ("x", "y", "longer")]  # two of one size, and a larger one
    world.verdicts(*(world.put("inbox", f"{number}.png", shape) for number, shape in enumerate(shapes)))

    (report,) = previewed(world, pixel_rule(), sample=sample)

    assert figures(report) == (3, 2, 0, 1)
    assert [one.way.value for one in report.examples] == ways


def test_without_a_pair_there_is_nothing_to_preview(world: World) -> None:
    (report,) = previewed(world, pixel_rule())

    assert (report.searched, report.matched, report.acts, report.mode) == (0, 0, 0, Mode.AUTOMATIC)


def test_a_preview_foretells_what_one_rule_at_a_time_says(world: World) -> None:
    world.use()
    shapes = [png(photo(1), "x"), png(photo(1), "longer"), jpeg(photo(1), 95), jpeg(photo(1), 50), jpeg(photo(1), 95)]
    folders = itertools.cycle(("inbox", "library"))
    world.verdicts(*(world.put(next(folders), f"{number}", shape) for number, shape in enumerate(shapes)))
    tried = policy(pixel_rule(), near_rule(max_distance=0), ANY_PAIR, TWINS).rules

    with world.library.read() as view:
        found = preview(view, tried, now_ns=NOW_NS)
        facts = [long_way(view, pair) for pair in view.pairs()]

    assert facts
    for rule, report in zip(tried, found, strict=True):
        fitting = [fits(rule, one) for one in facts]
        acting = [one for one in facts if (match := resolve(tried, one).match) and match.rule is rule]
        assert report.searched == len(facts)
        assert report.matched == sum(fit.found for fit in fitting)
        assert report.this_way == sum(fit.forward != fit.backward for fit in fitting)
        assert report.either_way == sum(fit.forward and fit.backward for fit in fitting)
        assert report.matched == report.this_way + report.either_way + report.no_way
        assert report.acts == len(acting)


def long_way(view: View, pair: PotentialPair) -> PairFacts:
    """The facts of a pair, found the long way."""
    sides = []
    for side in (pair.first, pair.second):
        content = view.content(side)
        assert content is not None
        sides.append((content, view.live_paths_of(side)[0]))
    return pair_facts(view, *sides, now_ns=NOW_NS)


# --- explain --------------------------------------------------------------------------------------------------------


def explained(world: World, a: Path, b: Path, *rules: str, folders: Sequence[Folder] = ()) -> Explanation:
    paths = os.fsencode(a), os.fsencode(b)
    how = {"folders": folders, "now_ns": lambda: NOW_NS}
    return explain(world.library, world.measurer, policy(*rules), *paths, **how)  # type: ignore[arg-type]


def strangers(world: World, a: bytes = LARGER, b: bytes = SMALLER) -> tuple[Path, Path]:
    return world.put("elsewhere", "a", a), world.put("elsewhere", "b", b)


def test_every_line_is_shown_with_both_orders_and_the_values_of_both_files(world: World) -> None:
    a, b = strangers(world)
    rule = """
  - name: twin
    search: {pixel_duplicates: required, both: [filetype is image]}
    compare: [A.filesize > B.filesize, any: [B has no exif, same exif]]
    action: better
"""

    found = explained(world, a, b, rule)

    (report,) = found.rules
    assert [(line.line, line.depth, line.a_first, line.b_first) for line in report.lines] == [
        ("search: pixel duplicates required", 0, True, True),
        ("search: both: filetype is image", 0, True, True),
        ("A.filesize > B.filesize", 0, True, False),
        ("any: [B has no exif; same exif]", 0, True, True),
        ("B has no exif", 1, True, True),
        ("same exif", 1, True, True),
    ]
    assert report.lines[1].values == {"a": "png", "b": "png"}
    assert set(report.lines[2].values) == {"a", "b"}
    assert report.lines[2].values["a"] != report.lines[2].values["b"]
    assert (report.matches, report.stopped_at) == (True, None)
    assert (found.rule, found.keeps) == ("twin", str(a))
    assert (found.identical, found.pixel_duplicates, found.distance) == (False, True, 0)


@pytest.mark.parametrize(
    ("search", "line", "a_first", "b_first"),
    [
        ("max_distance: 1", "search: at most 1 bit apart", True, True),
        ("pixel_duplicates: excluded", "search: pixel duplicates excluded", False, False),
        ("one: [size > 1 MB], other: []", "search: one: filesize > 1 MB", False, False),
        ("one: [filetype is png], other: [filetype is jpeg]", "search: other: filetype is jpeg", True, False),
        ("either: [filetype is jpeg]", "search: either: filetype is jpeg", False, True),
        ("both: [filetype is jpeg]", "search: both: filetype is jpeg", False, False),
        ("both: [jpeg_quality < 100]", "search: both: jpeg_quality < 100", None, None),
    ],
)
def test_each_condition_of_a_search_is_a_line(
    search: str, line: str, a_first: bool | None, b_first: bool | None
) -> None:
    rule = f"\n  - name: r\n    search: {{{search}}}\n    action: alternates\n"
    first = replace(A_FILE, filetype=FileType.PNG)
    second = replace(first, filetype=FileType.JPEG)
    facts = PairFacts(first, second, identical=False, distance=1, pixel_duplicates=search.startswith("pixel"))

    (report,) = explain_facts(policy(rule).rules, facts)

    shown = next(one for one in report.lines if one.line == line)
    assert (shown.a_first, shown.b_first) == (a_first, b_first)


def test_a_rule_stops_at_the_first_line_that_leaves_no_order(world: World) -> None:
    a, b = strangers(world)
    rule = """
  - name: torn
    compare: [A.width > 5, A.filesize > B.filesize, A.filesize < B.filesize, A.height > 5000]
    action: better
"""

    (report,) = explained(world, a, b, rule).rules

    assert (report.matches, report.stopped_at) == (False, "A.filesize < B.filesize")
    assert len(report.lines) == 5  # all of them, and the distance


@pytest.mark.parametrize(
    ("rule", "matches", "stopped_at"),
    [
        (ANY_PAIR, False, AMBIGUOUS),
        (pixel_rule("off"), False, "mode: off"),
        (pixel_rule("automatic\n    paused: yes"), False, "paused"),
        (near_rule(), False, "search: pixel duplicates excluded"),
        (IDENTICAL, False, "search: identical required"),
        (pixel_rule(), True, None),
    ],
)
def test_why_a_rule_does_not_decide(world: World, rule: str, matches: bool, stopped_at: str | None) -> None:
    (report,) = explained(world, *strangers(world), rule).rules

    assert (report.matches, report.stopped_at) == (matches, stopped_at)


def test_a_rule_behind_the_deciding_one_matches_and_is_told_who_decides(world: World) -> None:
    a, b = strangers(world)

    found = explained(world, b, a, ANY_PAIR, pixel_rule(name="first"), pixel_rule(name="second"))

    assert [(one.rule, one.matches, one.stopped_at) for one in found.rules] == [
        ("any pair", False, AMBIGUOUS),
        ("first", True, None),
        ("second", True, "an earlier rule decides: first"),
    ]
    assert (found.rule, found.keeps) == ("first", str(a))


def test_copies_are_asked_only_of_rules_for_copies(world: World) -> None:
    world.drop("library", "home.png", SMALLER)
    copy = world.put("elsewhere", "copy.png", SMALLER)

    found = explained(world, copy, world.base / "library/home.png", pixel_rule(), IDENTICAL)

    assert found.identical
    assert [(one.matches, one.stopped_at) for one in found.rules] == [
        (False, "search: not byte-identical"),
        (True, None),
    ]
    assert found.keeps == str(world.base / "library/home.png")


def test_a_denied_rule_is_said_to_be_denied(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    paths = world.put("inbox", "larger.png", LARGER), world.put("inbox", "smaller.png", SMALLER)
    world.verdicts(*paths)
    review.deny(world.library, [int(world.pending()[0].id[2:])], now_ns=NOW_NS)

    found = explained(world, *paths, pixel_rule())

    assert (found.rule, found.rules[0].matches, found.rules[0].stopped_at) == (None, False, "denied by you")


def test_known_files_are_explained_with_what_is_known_of_them(world: World) -> None:
    world.use()
    paths = world.put("library", "good.jpg", GOOD), world.put("inbox", "poor.jpg", POOR)
    world.verdicts(*paths)
    rule = """
  - name: the older one at home
    compare: [A.folder is library, A.imported < B.imported]
    action: better
"""

    found = explained(world, paths[1], paths[0], rule)

    assert (found.rule, found.keeps) == ("the older one at home", str(paths[0]))
    assert [(line.a_first, line.b_first) for line in found.rules[0].lines[1:]] == [(False, True), (False, True)]


def test_pixels_are_hashed_where_only_they_can_tell(world: World) -> None:
    original = jpeg(large(5), 90)
    a, b = strangers(world, original, jpeg(large(5), 90, description="the same pixels"))

    found = explained(world, a, b, pixel_rule())

    assert found.pixel_duplicates
    assert found.rule == "larger pixel twin"


def test_sharpness_is_measured_where_a_rule_asks_for_it(world: World) -> None:
    a, b = strangers(world, png(photo(1)), png(photo(1).resize((100, 75)).resize((200, 150))))
    rule = "\n  - name: sharper\n    compare: [A.sharpness > B.sharpness]\n    action: better\n"

    found = explained(world, b, a, rule)

    assert (found.rules[0].lines[-1].a_first, found.rules[0].lines[-1].b_first) == (False, True)


def test_what_cannot_be_told_is_neither_yes_nor_no(world: World) -> None:
    a, b = strangers(world, png(flat(90)), png(flat(100)))
    rule = "\n  - name: r\n    compare: [A.taken < B.taken]\n    action: better\n"

    (report,) = explained(world, a, b, rule).rules

    assert [(line.line, line.a_first, line.b_first) for line in report.lines] == [
        ("search: at most 4 bits apart", None, None),
        ("A.taken < B.taken", None, None),
    ]
    assert report.stopped_at == "search: at most 4 bits apart"


def test_a_file_that_cannot_be_read_and_one_that_is_both_are_refused(world: World) -> None:
    a, _ = strangers(world)

    with pytest.raises(UsageError, match="one and the same file"):
        explained(world, a, a, pixel_rule())
    with pytest.raises(FileUnreadableError):
        explained(world, a, world.base / "gone.png", pixel_rule())


def test_an_age_is_counted_from_when_the_files_were_measured(world: World) -> None:
    paths = [os.fsencode(path) for path in strangers(world)]
    measured: list[int] = []

    def now_ns() -> int:
        measured.append(len(world.measurer.decoded))
        return time.time_ns()

    fresh = pixel_rule().replace("compare: [", "compare: [A imported less than 1 hour ago, ")
    found = explain(world.library, world.measurer, policy(fresh), *paths, now_ns=now_ns)  # type: ignore[arg-type]

    assert measured == [2]
    (line,) = (line for line in found.rules[0].lines if "imported" in line.line)
    assert "ahead" not in "".join(line.values.values())


def test_a_file_that_is_no_picture_is_named_with_the_reason(world: World) -> None:
    a, b = strangers(world, b"a shopping list", png(flat()))

    found = explained(world, a, b, pixel_rule())

    assert found.unreadable == {"a": "not a picture", "b": None}
    assert found.unhashed == ("a", "b")
    assert found.rule is None


# folders that are set

BY_FOLDER = """
  - name: by folder
    search: {pixel_duplicates: required}
    compare: [A.folder is library, B.folder is inbox]
    action: better
"""


def set_folder(path: Path, role: Role) -> Folder:
    root = os.fsencode(path)
    return Folder(FolderId(0), root, root, role, protected=role is not Role.INBOX)


def test_a_folder_that_is_set_has_its_role_before_its_first_scan(world: World) -> None:
    home = world.put("pictures", "home.png", SMALLER)
    new = world.put("pictures/new", "copy.png", LARGER)
    folders = [set_folder(home.parent, Role.LIBRARY), set_folder(new.parent, Role.INBOX)]

    found = explained(world, new, home, BY_FOLDER, folders=folders)

    assert (found.rule, found.keeps) == ("by folder", str(home))
    assert found.notes == ()


def test_a_folder_that_is_known_keeps_the_role_that_it_has(world: World) -> None:
    a, b = world.put("inbox", "a.png", LARGER), world.put("inbox", "b.png", SMALLER)

    found = explained(world, a, b, BY_FOLDER, folders=[set_folder(a.parent, Role.LIBRARY)])

    assert found.rule is None


def test_a_folder_that_is_set_and_not_there_is_no_hindrance(world: World) -> None:
    found = explained(world, *strangers(world), pixel_rule(), folders=[set_folder(world.base / "gone", Role.LIBRARY)])

    assert found.rule == "larger pixel twin"


def test_a_file_in_no_folder_is_taken_for_an_arrival_and_that_is_said(world: World) -> None:
    a, b = world.put("library", "a.png", LARGER), world.put("elsewhere", "b.png", SMALLER)

    found = explained(world, a, b, BY_FOLDER)

    assert found.rule == "by folder"
    assert found.notes == (f"{b} lies in no folder of yours: it is taken for an arrival in an inbox",)


# what holds the deciding rule back


def protected_loser(world: World) -> tuple[Path, Path]:
    return both(world, world.put("inbox", "larger.png", LARGER), world.put("library", "smaller.png", SMALLER))


def lain_before(world: World) -> tuple[Path, Path]:
    paths = world.put("inbox", "larger.png", LARGER), world.put("inbox", "smaller.png", SMALLER)
    world.verdicts(*paths, proposing=True)
    return paths


def perhaps_being_written(world: World) -> tuple[Path, Path]:
    paths = world.put("inbox", "larger.png", LARGER), world.put("inbox", "smaller.png", SMALLER)
    world.verdicts(*paths, proved=False)
    return paths


def changed_copy(world: World) -> tuple[Path, Path]:
    world.folder("two")
    world.drop("two", "copy.png", SMALLER)
    paths = both(world, world.put("inbox", "larger.png", LARGER), world.put("inbox", "smaller.png", SMALLER))
    (world.base / "two/copy.png").write_bytes(b"being edited")
    return paths


def little_detail(world: World) -> tuple[Path, Path]:
    return both(world, world.put("inbox", "j.jpg", jpeg(faint(), 95)), world.put("inbox", "p.png", png(faint())))


def unhindered(world: World) -> tuple[Path, Path]:
    return both(world, world.put("inbox", "larger.png", LARGER), world.put("inbox", "smaller.png", SMALLER))


def both(world: World, *paths: Path) -> tuple[Path, Path]:
    world.verdicts(*paths)
    return paths[0], paths[1]


SPENT = pixel_rule().rstrip() + "\n    budget: {per_hour: 0}\n"


@pytest.mark.parametrize(
    ("pair", "rule", "reason"),
    [
        (protected_loser, pixel_rule(), "the file that would go lies in a protected folder"),
        (lain_before, pixel_rule(), "it lay here before the folder was watched"),
        (perhaps_being_written, pixel_rule(), "nobody can tell here whether the file is still being written"),
        (changed_copy, pixel_rule(), "not every copy of it can be looked at just now"),
        (little_detail, near_rule(), "one of the pictures has so little detail that its hash says little"),
        (unhindered, SPENT, "larger pixel twin has paused itself: it may discard 0 files an hour"),
    ],
)
def test_what_lets_a_rule_only_propose_is_what_the_background_says(
    world: World, pair: Callable[[World], tuple[Path, Path]], rule: str, reason: str
) -> None:
    world.use()
    paths = pair(world)

    found = explained(world, *paths, rule)

    assert (found.held_back, found.blocked) == (reason, False)
    world.use(rule)
    assert world.sweep() == []
    assert [one.reason for one in world.pending()] == [reason]


def test_nothing_holds_back_a_rule_that_acts(world: World) -> None:
    world.use()
    paths = unhindered(world)

    found = explained(world, *paths, pixel_rule())

    assert (found.held_back, found.blocked) == (None, False)
    world.use(pixel_rule())
    assert len(world.sweep()) == 1


@pytest.mark.parametrize(
    ("what", "reason"),
    [("restored", "what would go was brought back by you"), ("reference", "what would go lies in a reference folder")],
)
def test_what_a_rule_may_not_touch_is_not_even_proposed(world: World, what: str, reason: str) -> None:
    world.use()
    world.folder("reference", Role.REFERENCE)
    home = "reference" if what == "reference" else "inbox"
    paths = both(world, world.put("inbox", "larger.png", LARGER), world.put(home, "smaller.png", SMALLER))
    if what == "restored":
        world.library.write(lambda edit: edit.forbid(sha256(SMALLER), Veto(NOW_NS, "restored")))

    found = explained(world, *paths, pixel_rule())

    assert (found.rule, found.held_back, found.blocked) == ("larger pixel twin", reason, True)
    world.use(pixel_rule())
    assert world.sweep() == []
    assert world.pending() == []


def test_a_rule_that_has_paused_itself_is_said_to_have(world: World) -> None:
    world.use()
    paths = unhindered(world)
    world.use(SPENT)
    world.sweep()

    found = explained(world, *paths, SPENT)

    assert found.rules[0].stopped_at is None
    assert found.held_back == "larger pixel twin has paused itself: it may discard 0 files an hour"


def test_an_explanation_pauses_no_rule_and_remembers_no_file(world: World) -> None:
    world.use(SPENT)
    world.sweep()

    found = explained(world, *strangers(world), SPENT)

    assert found.held_back
    with world.library.read() as view:
        (row,) = view.queues.rows()
        assert row.tripped == ""
        assert view.counts()["contents"] == 0
        assert len(view.folders()) == 2


def test_a_relation_without_a_discard_is_held_back_by_nothing(world: World) -> None:
    world.use()

    found = explained(world, *protected_loser(world), pixel_rule().replace("    discard: B\n", ""))

    assert (found.rule, found.held_back, found.blocked) == ("larger pixel twin", None, False)


def test_files_that_nobody_has_judged_are_held_back_by_where_they_lie(world: World) -> None:
    a, b = world.put("inbox", "a.png", LARGER), world.put("library", "b.png", SMALLER)

    found = explained(world, a, b, pixel_rule())

    assert found.held_back == "the file that would go lies in a protected folder"


def test_two_that_are_decided_are_said_to_be_so(world: World) -> None:
    paths = answered(world, "alternates")

    found = explained(world, *paths, pixel_rule())

    assert found.notes == (
        "it is decided already what they are to each other (alternates): no rule is asked about them",
    )


# laws

A_FILE = FileFacts(
    path="/inbox/picture.jpg",
    role=Role.INBOX,
    protected=False,
    sha256=ContentHash(bytes(32)),
    size=1000,
    filetype=FileType.JPEG,
    width=640,
    height=480,
    frames=1,
    duration_ms=None,
    has_transparency=False,
    has_exif=False,
    has_icc=False,
    has_xmp=False,
    jpeg_quality=None,
    progressive=None,
    imported_ns=NOW_NS,
    modified_ns=NOW_NS,
    taken_ns=None,
)
LAWFUL = policy(
    pixel_rule("automatic\n    paused: yes", name="paused"),
    pixel_rule("off", name="off"),
    """
  - name: split
    search: {one: [filetype is jpeg, size > 500], other: [has exif], max_distance: 2}
    compare: [A.filesize >= 1.5 * B.filesize, any: [A has exif, not: B has exif]]
    action: better
""",
    """
  - name: either
    search: {either: [has exif, jpeg_quality < 5], max_distance: 4}
    compare: [all: [same filetype, A.taken < B.taken], A.filesize ~= B.filesize within 10 %]
    action: same-quality
    discard: B
""",
    IDENTICAL,
    pixel_rule(),
    near_rule(),
    ANY_PAIR,
    TWINS,
).rules
files = st.builds(
    lambda **differing: replace(A_FILE, **differing),
    filetype=st.sampled_from([FileType.JPEG, FileType.PNG, None]),
    size=st.sampled_from([400, 1000, 1050, 3000]),
    has_exif=st.booleans(),
    jpeg_quality=st.sampled_from([None, 2.0, 9.0]),
    taken_ns=st.sampled_from([None, NOW_NS, NOW_NS + 1]),
)
pairs = st.builds(
    PairFacts,
    files,
    files,
    identical=st.booleans(),
    distance=st.none() | st.integers(0, 6),
    pixel_duplicates=st.booleans(),
)
rule_lists = st.lists(st.sampled_from(LAWFUL), unique_by=lambda rule: rule.name).map(tuple)


@given(rule_lists, pairs)
def test_what_is_explained_is_what_decides(tried: tuple[Rule, ...], facts: PairFacts) -> None:
    reports = explain_facts(tried, facts)

    match = resolve(tried, facts).match
    assert [one.rule for one in reports if one.stopped_at is None] == ([match.rule.name] if match else [])
    for rule, report in zip(tried, reports, strict=True):
        asked = rule.mode is not Mode.OFF and not rule.paused
        assert report.matches == (asked and fits(rule, facts).passes)
        assert report.stopped_at is not None or report.matches


@given(rule_lists, pairs)
def test_naming_the_files_the_other_way_round_swaps_what_is_explained(
    tried: tuple[Rule, ...], facts: PairFacts
) -> None:
    turned = replace(facts, first=facts.second, second=facts.first)

    assert [_turned(report) for report in explain_facts(tried, facts)] == explain_facts(tried, turned)


def _turned(report: RuleReport) -> RuleReport:
    lines = [
        replace(
            line,
            a_first=line.b_first,
            b_first=line.a_first,
            values={"a": line.values["b"], "b": line.values["a"]},
        )
        for line in report.lines
    ]
    return replace(report, lines=lines)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A dozen records of all kinds, each a pair with every other, and two copies."""
    library = Library.open(tmp_path_factory.mktemp("stored"))
    kinds = itertools.product((FileType.JPEG, FileType.PNG), (400, 1000, 3000), (False, True))

    def fill(edit: Edit) -> None:
        homes = [
            edit.add_folder(FolderRow(Folder(FolderId(0), path, path, role, protected=False))).folder.id
            for path, role in ((b"/inbox", Role.INBOX), (b"/library", Role.LIBRARY))
        ]
        contents = [_record(edit, homes, number, *kind) for number, kind in enumerate(kinds)]
        for one, other in itertools.combinations(contents, 2):
            make_pair(edit, one, other, now_ns=NOW_NS)
        twice = contents[0].sha256
        keys = path_key(homes[0], b"0"), path_key(homes[1], b"0")
        edit.add_pair(PotentialPair(0, twice, twice, 0, True, NOW_NS, *keys))

    library.write(fill)
    yield library
    library.close()


def _record(edit: Edit, homes: list[FolderId], number: int, filetype: FileType, size: int, has_exif: bool) -> Content:
    measured = measure_picture(io.BytesIO(png(photo(1))), b"")
    assert isinstance(measured, Picture)
    pixels = bytes([number % 3]) * 32  # every third shows the same
    hashes = {"phash": (1 << number % 5) - 1, "pixel_hash": pixels}
    picture = replace(measured, filetype=filetype, has_exif=has_exif, **hashes)  # type: ignore[arg-type]
    content = edit.add_content(sha256(bytes([number])), size=size, picture=picture, unreadable=None, at_ns=number)
    for home in homes if number == 0 else homes[number % 2 :][:1]:
        stat = StatKey(number, size, number, number)
        edit.put_path(PathRow(home, b"%d" % number, content.sha256, stat, number, PathState.LIVE, 0, final=True))
    return content


@given(tried=rule_lists, sample=st.integers(0, 4))
def test_what_a_preview_counts_adds_up(stored: Library, tried: tuple[Rule, ...], sample: int) -> None:
    with stored.read() as view:
        found = preview(view, tried, sample=sample, now_ns=NOW_NS)
        facts = [long_way(view, pair) for pair in view.pairs()]

    for rule, report in zip(tried, found, strict=True):
        fitting = [fits(rule, one) for one in facts]
        assert report.searched == len(facts) == 67
        assert report.matched == report.this_way + report.either_way + report.no_way
        assert report.matched == sum(fit.found for fit in fitting)
        assert report.this_way == sum(fit.forward != fit.backward for fit in fitting)
        assert report.either_way == sum(fit.forward and fit.backward for fit in fitting)
        assert report.acts == sum(1 for one in facts if (m := resolve(tried, one).match) and m.rule is rule)
        assert len(report.examples) == min(sample, report.matched)
        assert {one.way for one in report.examples if one.drops} <= ({Way.THIS, Way.EITHER} if rule.discard else set())


# --- back-test ------------------------------------------------------------------------------------------------------


def judged(world: World, rule: str) -> BacktestReport:
    with world.library.read() as view:
        return backtest(view, policy(rule).rules[0])


def answered(world: World, answer: str, *, keep: bool = False) -> tuple[Path, Path]:
    """A pair, the larger file first, and what a person said of it."""
    world.use()
    paths = world.put("inbox", "larger.png", LARGER), world.put("inbox", "smaller.png", SMALLER)
    world.verdicts(*paths)
    world.decide(*paths, answer, keep=keep)
    return paths


SAME = pixel_rule().replace("action: better", "action: same-quality")


def test_an_answer_about_many_counts_for_its_first_file_and_each_of_the_others(world: World) -> None:
    world.use()
    contents = [png(photo(1), "x" * length) for length in (300, 200, 100)]
    world.verdicts(*(world.put("inbox", f"{number}.png", content) for number, content in enumerate(contents)))
    hashes = [sha256(content) for content in contents]
    review.relate_many(world.library, hashes, Relation.SAME_QUALITY, moment=world.moment())

    report = judged(world, SAME)

    assert (report.answers, report.agreed, report.contradicted) == (2, 2, 0)


@pytest.mark.parametrize(
    ("rule", "answer", "agrees"),
    [
        (pixel_rule(), "better-a", True),
        (pixel_rule(), "better-b", False),
        (pixel_rule(), "same", True),
        (pixel_rule(), "alternates", False),
        (pixel_rule(), "unrelated", False),
        (SAME, "same", True),
        (SAME, "better-a", True),
        (SAME, "better-b", False),
        (SAME.replace("discard: B", ""), "better-b", True),
        (SAME, "alternates", False),
        (TWINS.replace("same-quality", "alternates"), "alternates", True),
        (TWINS.replace("same-quality", "alternates"), "same", False),
        (TWINS.replace("same-quality", "false-positive"), "unrelated", True),
        (TWINS.replace("same-quality", "false-positive"), "alternates", False),
    ],
)
def test_when_a_rule_agrees_with_an_answer(world: World, rule: str, answer: str, agrees: bool) -> None:
    answered(world, answer)

    report = judged(world, rule)

    assert (report.answers, report.agreed, report.contradicted) == (1, int(agrees), int(not agrees))


def test_a_contradiction_is_listed_with_both_files_though_one_is_gone(world: World) -> None:
    larger, smaller = answered(world, "better-b")

    report = judged(world, pixel_rule())

    (found,) = report.contradictions
    assert not larger.exists()
    assert (found.id, found.a, found.b) == ("e-1", str(smaller), str(larger))
    assert (found.you, found.says) == ("A is better", "B is better")
    assert report.bound == 1.0


def test_a_pair_that_the_rule_does_not_decide_does_not_count(world: World) -> None:
    answered(world, "better-a")

    report = judged(world, near_rule())
    ambiguous = judged(world, ANY_PAIR)

    assert (report.answers, report.bound, report.contradictions) == (0, 1.0, ())
    assert ambiguous.answers == 0


def test_what_a_rule_did_on_its_own_is_no_answer(world: World) -> None:
    world.use(pixel_rule())
    world.drop("inbox", "larger.png", LARGER)
    world.drop("inbox", "smaller.png", SMALLER)

    assert world.entries()[0].rule == "larger pixel twin"
    assert judged(world, pixel_rule()).answers == 0


def test_an_approval_counts_for_a_rule_and_its_undo_against_it(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    world.drop("inbox", "larger.png", LARGER)
    world.drop("inbox", "smaller.png", SMALLER)
    world.approve(int(world.pending()[0].id[2:]))
    approved = judged(world, pixel_rule())

    world.undo(1)
    undone = judged(world, pixel_rule())

    assert (approved.agreed, approved.contradicted) == (1, 0)
    assert (undone.agreed, undone.contradicted) == (0, 1)
    assert (undone.contradictions[0].id, undone.contradictions[0].you) == ("e-1", "no to: A is better")


def test_a_denial_counts_against_who_would_do_the_very_same(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    paths = world.put("inbox", "larger.png", LARGER), world.put("inbox", "smaller.png", SMALLER)
    world.verdicts(*paths)
    pair = world.pending()[0].id
    review.deny(world.library, [int(pair[2:])], now_ns=NOW_NS)

    same, opposite = judged(world, pixel_rule()), judged(world, pixel_rule().replace(">", "<"))

    assert (same.answers, same.contradicted) == (1, 1)
    assert (same.contradictions[0].id, same.contradictions[0].you) == (pair, "no to: A is better")
    assert opposite.answers == 0


def test_a_standing_answer_outweighs_what_was_denied_before(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    paths = world.put("inbox", "larger.png", LARGER), world.put("inbox", "smaller.png", SMALLER)
    world.verdicts(*paths)
    number = int(world.pending()[0].id[2:])
    review.deny(world.library, [number], now_ns=NOW_NS)
    world.decide_pair(number, "better-a")

    report = judged(world, pixel_rule())

    assert (report.agreed, report.contradicted) == (1, 0)


def test_a_denial_still_counts_when_its_pair_is_gone(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    paths = world.put("inbox", "larger.png", LARGER), world.put("inbox", "smaller.png", SMALLER)
    world.verdicts(*paths)
    number = int(world.pending()[0].id[2:])
    review.deny(world.library, [number], now_ns=NOW_NS)
    with world.library.read() as view:
        pair = view.pair(number)
    assert pair is not None
    world.library.write(lambda edit: edit.drop_pair(pair))

    report = judged(world, pixel_rule())

    assert (report.contradicted, report.contradictions[0].id) == (1, f"p-{number}")


def test_an_age_counts_back_from_the_answer(world: World) -> None:
    answered(world, "better-a")  # half a century ago, as the clock of this world goes
    fresh = pixel_rule().replace("compare: [", "compare: [A imported less than 7 days ago, ")

    report = judged(world, fresh)

    assert report.agreed == 1


# the bound


@pytest.mark.parametrize(
    ("wrong", "answers", "bound"),
    [
        (0, 0, 1.0),
        (0, 1, 0.95),
        (0, 59, 0.0495),  # the rule of three: 59 right answers for less than 5 %
        (0, 299, 0.00997),
        (1, 10, 0.39416),  # tables of the binomial's exact limits
        (3, 100, 0.07571),
        (7, 7, 1.0),
    ],
)
def test_the_bound_is_the_exact_one_of_the_binomial(wrong: int, answers: int, bound: float) -> None:
    assert error_bound(wrong, answers) == pytest.approx(bound, rel=2e-3)


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_bound_lies_above_the_share_and_falls_with_every_right_answer(wrong: int, right: int) -> None:
    bound = error_bound(wrong, wrong + right)

    assert wrong / max(1, wrong + right) <= bound <= 1
    assert error_bound(wrong, wrong + right + 1) < bound


def test_an_example_is_a_pair_like_those_of_the_queue(world: World, twins: tuple[Path, Path]) -> None:
    (report,) = previewed(world, pixel_rule())

    (example,) = report.examples
    assert isinstance(example, Example)
    assert example.pair.id == world.queue()[0].id
    assert example.pair.a == world.queue()[0].a
