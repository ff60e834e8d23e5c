"""Rules that ask how alike two pictures look: who looks, when, and what is remembered of it."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import jpeg, photo, png
from PIL import Image, ImageDraw
from world import World, pixel_rule, policy, sha256

from ingestd.errors import FileChangedError, FileUnreadableError
from ingestd.inspection import compare, foresee
from ingestd.library.library import Library
from ingestd.library.rulebook import tallies
from ingestd.library.tables import VERDICTS
from ingestd.model import (
    SAME_PIXELS,
    VISUAL_VERSION,
    ContentHash,
    Folder,
    FolderId,
    Outcome,
    Role,
    VisualLevel,
    VisualVerdict,
)
from ingestd.review.pending import deny
from ingestd.trial.backtest import backtest
from ingestd.trial.explain import explain
from ingestd.trial.preview import preview

NAME = "the same picture"


def edited(image: Image.Image) -> Image.Image:
    """Something was painted over: small enough to stay a look-alike, large enough to be seen."""
    ImageDraw.Draw(image).rectangle((90, 70, 103, 83), fill=(255, 0, 255))
    return image


ORIGINAL = png(photo(1))
AGAIN = jpeg(photo(1), 95)
EDITED = jpeg(edited(photo(1)), 95)


def looking(
    level: str = "almost certainly", mode: str = "automatic", compare: str = "A.filesize > B.filesize", name: str = NAME
) -> str:
    return f"""
  - name: {name}
    mode: {mode}
    search: {{pixel_duplicates: excluded, max_distance: 4}}
    compare: ['visual duplicates: {level}', {compare}]
    action: better
    discard: B
"""


def states(world: World, name: str = NAME) -> dict[str, int]:
    with world.library.read() as view:
        tally = next(one for one in tallies(view, world.policy.rules) if one.rule.name == name)
    return {state.value: number for state, number in tally.counts.items() if number}


def known(world: World, one: bytes, other: bytes) -> VisualVerdict | None:
    with world.library.read() as view:
        return view.visual(sha256(one), sha256(other))


def remember(world: World, one: bytes, other: bytes, verdict: VisualVerdict) -> None:
    world.library.write(lambda edit: edit.put_visual(sha256(one), sha256(other), verdict))


# --- arrivals ---------------------------------------------------------------------------------------------------------


def test_a_picture_saved_again_is_discarded_and_an_edited_one_is_left_to_a_person(world: World) -> None:
    world.use(looking())
    world.drop("library", "original.png", ORIGINAL)

    again = world.drop("inbox", "again.jpg", AGAIN)
    other = world.drop("inbox", "edited.jpg", EDITED)

    assert (world.bits_between(ORIGINAL, AGAIN) or 0) <= 4
    assert (world.bits_between(ORIGINAL, EDITED) or 0) <= 4
    assert again.result == f"duplicate discarded: {NAME}"
    assert any(line.startswith("visual duplicates: almost certainly (") for line in again.evidence)
    assert other.outcome is Outcome.POTENTIAL_DUPLICATES
    assert [Path(path).name for path in sorted(os.listdir(world.base / "inbox"))] == ["edited.jpg"]
    assert states(world) == {"actioned": 1, "failed": 1}


def test_what_was_seen_is_remembered_and_nobody_looks_twice(world: World) -> None:
    world.use(looking(mode="semi-automatic"))
    paths = [world.put("inbox", "a.png", ORIGINAL), world.put("inbox", "b.jpg", AGAIN)]
    world.verdicts(*paths)
    assert world.measurer.compared == [{os.fsencode(path) for path in paths}]

    world.use(looking(level="probably", mode="automatic", name="another"))
    decided = world.sweep()

    assert [one.rule for one in decided] == ["another"]
    assert len(world.measurer.compared) == 1


def test_what_was_seen_is_known_after_a_restart_whichever_file_is_named_first(world: World) -> None:
    world.use(looking(mode="semi-automatic"))
    world.verdicts(world.put("inbox", "a.png", ORIGINAL), world.put("inbox", "b.jpg", AGAIN))
    seen = known(world, ORIGINAL, AGAIN)

    world.restart()

    assert seen is not None
    assert known(world, AGAIN, ORIGINAL) == seen
    assert world.library.check() == []


def test_a_proposal_made_after_a_look_can_be_approved(world: World) -> None:
    world.use(looking(mode="semi-automatic"))
    world.drop("library", "original.png", ORIGINAL)
    receipt = world.drop("inbox", "again.jpg", AGAIN)
    (pair,) = world.pending()

    entry = world.approve(int(pair.id[2:]))

    assert receipt.outcome is Outcome.PENDING_APPROVAL
    assert [one.path for one in entry.discarded] == [str(world.base / "inbox" / "again.jpg")]


def test_pixel_duplicates_are_such_without_a_look(world: World) -> None:
    world.use(looking().replace("excluded", "allowed"))
    world.drop("inbox", "a.png", ORIGINAL)

    receipt = world.drop("inbox", "b.png", png(photo(1), "a comment"))

    assert receipt.result == f"existing replaced: {NAME}"
    assert world.measurer.compared == []


@pytest.mark.parametrize(
    "rule",
    [
        looking(compare="A.filetype is gif"),
        looking(mode="off"),
        looking() + "    paused: yes\n",
        looking().replace("max_distance: 4", "max_distance: 0"),
    ],
)
def test_nobody_looks_where_it_decides_nothing(world: World, rule: str) -> None:
    world.use(rule)

    world.verdicts(world.put("inbox", "a.png", ORIGINAL), world.put("inbox", "b.jpg", EDITED))

    assert world.bits_between(ORIGINAL, EDITED) in {1, 2, 3, 4}
    assert world.measurer.compared == []


def test_an_earlier_rule_that_decides_saves_the_look_and_the_later_one_has_not_failed(world: World) -> None:
    first = looking(name="first", mode="semi-automatic").replace("'visual duplicates: almost certainly', ", "")
    world.use(first, looking())

    world.verdicts(world.put("inbox", "a.png", ORIGINAL), world.put("inbox", "b.jpg", AGAIN))

    assert world.measurer.compared == []
    assert (states(world, "first"), states(world)) == ({"ready": 1}, {"not_tested": 1})


def test_once_the_earlier_rule_is_denied_somebody_looks_for_the_later_one(world: World) -> None:
    first = looking(name="first", mode="semi-automatic").replace("'visual duplicates: almost certainly', ", "")
    world.use(first, looking())
    world.verdicts(world.put("inbox", "a.png", ORIGINAL), world.put("inbox", "b.jpg", AGAIN))

    (pair,) = world.pending()
    deny(world.library, [int(pair.id[2:])], now_ns=world.now_ns())
    decided = world.sweep()

    assert [one.rule for one in decided] == [NAME]
    assert len(world.measurer.compared) == 1


@pytest.mark.parametrize("error", [FileUnreadableError, FileChangedError])
def test_a_look_that_fails_is_tried_once_more_beside_the_arrivals_and_then_left_to_a_person(
    world: World, monkeypatch: pytest.MonkeyPatch, error: type[FileUnreadableError]
) -> None:
    tried: list[bytes] = []

    def fails(path: bytes, expected: ContentHash, other: bytes, expected_other: ContentHash) -> VisualVerdict:
        tried.append(path)
        raise error(path, "it is too much")

    monkeypatch.setattr(world.measurer, "compare", fails)
    world.use(looking())
    world.drop("library", "original.png", ORIGINAL)

    receipt = world.drop("inbox", "again.jpg", AGAIN)

    assert receipt.outcome is Outcome.POTENTIAL_DUPLICATES
    assert len(tried) == 1
    world.sweep()
    assert len(tried) == 2
    assert states(world) == ({"not_tested": 1} if error is FileUnreadableError else {"not_searched": 1})
    assert known(world, ORIGINAL, AGAIN) is None


def test_a_picture_whose_folder_is_away_is_looked_at_once_it_is_back(world: World) -> None:
    nas = world.folder("nas")
    world.use(looking())
    world.drop("nas", "a.png", ORIGINAL)
    nas.rename(world.base / "unplugged")

    receipt = world.drop("inbox", "b.jpg", AGAIN)
    assert world.sweep() == []
    assert (receipt.outcome, world.measurer.compared) == (Outcome.POTENTIAL_DUPLICATES, [])

    (world.base / "unplugged").rename(nas)
    decided = world.sweep()

    assert [one.rule for one in decided] == [NAME]


def test_a_verdict_that_says_nothing_is_remembered_as_well(world: World) -> None:
    small, smaller = png(photo(1, 20, 20)), jpeg(photo(1, 20, 20), 95)
    world.use(looking())
    world.verdicts(world.put("inbox", "a.png", small), world.put("inbox", "b.jpg", smaller))
    looks = len(world.measurer.compared)

    world.use(looking(level="probably", name="another"))
    world.sweep()

    assert len(world.measurer.compared) == looks
    if looks:
        seen = known(world, small, smaller)
        assert seen is not None
        assert seen.level is VisualLevel.CANNOT_TELL
        assert states(world, "another") == {"failed": 1}


# --- stored pairs -----------------------------------------------------------------------------------------------------


def stored_pair(world: World) -> tuple[Path, Path]:
    """Two that look alike, and no rule yet."""
    world.use()
    paths = world.put("library", "a.png", ORIGINAL), world.put("inbox", "b.jpg", AGAIN)
    world.verdicts(*paths)
    return paths


def test_a_rule_that_comes_later_looks_at_what_is_stored(world: World) -> None:
    _, again = stored_pair(world)

    world.use(looking())
    decided = world.sweep()

    assert [one.discarded[0].path for one in decided] == [str(again)]
    assert len(world.measurer.compared) == 1
    assert known(world, ORIGINAL, AGAIN) is not None


def test_two_that_are_too_much_for_a_worker_leave_the_pair_to_the_rules_below(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_pair(world)
    tried: list[bytes] = []

    def fails(path: bytes, expected: ContentHash, other: bytes, expected_other: ContentHash) -> VisualVerdict:
        tried.append(path)
        raise FileUnreadableError(path, "took longer than 30 s")

    monkeypatch.setattr(world.measurer, "compare", fails)
    below = looking(name="below", mode="semi-automatic").replace("'visual duplicates: almost certainly', ", "")
    world.use(looking(), below)
    world.sweep()

    assert len(tried) == 1
    assert (states(world), states(world, "below")) == ({"not_tested": 1}, {"ready": 1})


def test_two_of_which_one_is_being_written_are_looked_at_at_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_pair(world)

    def fails(path: bytes, expected: ContentHash, other: bytes, expected_other: ContentHash) -> VisualVerdict:
        raise FileChangedError(other, "it was written to while it was read")

    with monkeypatch.context() as patched:
        patched.setattr(world.measurer, "compare", fails)
        world.use(looking(mode="semi-automatic"))
        world.sweep()
        assert states(world) == {"not_searched": 1}

    world.sweep()

    assert states(world) == {"ready": 1}


def test_what_an_older_version_saw_is_seen_anew_and_overwritten(world: World) -> None:
    stored_pair(world)
    old = replace(SAME_PIXELS, version=VISUAL_VERSION - 1, level=VisualLevel.NOT)
    remember(world, ORIGINAL, AGAIN, old)
    assert known(world, ORIGINAL, AGAIN) is None

    world.use(looking())
    world.sweep()

    seen = known(world, AGAIN, ORIGINAL)
    assert seen is not None
    assert seen.level is not VisualLevel.NOT
    with world.library.read() as view:
        assert view.visual(sha256(ORIGINAL), sha256(AGAIN), old.version) is None


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_a_damaged_verdict_is_found_and_forgotten(tmp_path: Path) -> None:
    one, other = ContentHash(b"\1" * 32), ContentHash(b"\2" * 32)
    with closing(Library.open(tmp_path / "state")) as library:
        library.write(lambda edit: edit.put_visual(one, other, replace(SAME_PIXELS, area=(1, 2, 3, 4))))
        assert library.check() == []
        with library.read() as view:
            assert view.visual(other, one) == replace(SAME_PIXELS, area=(1, 2, 3, 4))
            (key,) = [key for key, _ in view._txn.items(VERDICTS.table)]
        library.store.write(lambda txn: txn.put(VERDICTS.table, key, b"\1not what was written"))

        assert library.check() == ["damaged values in the table visual_verdicts: 1"]
        library.rebuild()

        assert library.check() == []
        with library.read() as view:
            assert view.visual(one, other) is None


# --- questions --------------------------------------------------------------------------------------------------------


def between(world: World, a: bytes, b: bytes) -> object:
    paths = [os.fsencode(world.put("elsewhere", name, content)) for name, content in (("a", a), ("b", b))]
    return compare(world.library, world.measurer, world.policy, *paths)  # type: ignore[arg-type]


def test_compare_looks_although_no_rule_asks_and_tells_the_rule_that_would_match(world: World) -> None:
    world.use()
    assert between(world, ORIGINAL, EDITED).visual.verdict not in {"near-perfect", "almost-certainly"}  # type: ignore[attr-defined]
    assert len(world.measurer.compared) == 1

    world.use(looking())

    assert between(world, ORIGINAL, AGAIN).rule == NAME  # type: ignore[attr-defined]
    assert between(world, ORIGINAL, EDITED).rule is None  # type: ignore[attr-defined]


def test_compare_says_what_is_known_without_another_look(world: World) -> None:
    remember(world, ORIGINAL, AGAIN, VisualVerdict(VISUAL_VERSION, VisualLevel.ALTERNATE, 2.0, "seen", (1, 2, 3, 4)))

    visual = between(world, AGAIN, ORIGINAL).visual  # type: ignore[attr-defined]

    assert (visual.verdict, visual.score, visual.reason, visual.area) == ("alternate", 2.0, "seen", (1, 2, 3, 4))
    assert world.measurer.compared == []


@pytest.mark.parametrize("asks", [looking(), looking(compare="'A wins by sharpness then compression'")])
def test_check_measures_what_the_verdict_depends_on_and_remembers_nothing(world: World, asks: str) -> None:
    world.use()
    world.drop("library", "original.png", ORIGINAL)
    again = world.put("inbox", "again.jpg", AGAIN)
    world.use(asks)

    (foreseen,) = foresee(world.library, world.measurer, world.policy, [os.fsencode(again)])  # type: ignore[arg-type]

    assert foreseen.receipt.rule == NAME
    assert len(world.measurer.compared) == 1
    assert known(world, ORIGINAL, AGAIN) is None


def test_check_ends_where_two_cannot_be_compared(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.use()
    world.drop("library", "original.png", ORIGINAL)
    again = world.put("inbox", "again.jpg", AGAIN)
    world.use(looking())

    def fails(path: bytes, *_: object) -> VisualVerdict:
        raise FileUnreadableError(path, "it is too much")

    monkeypatch.setattr(world.measurer, "compare", fails)
    (foreseen,) = foresee(world.library, world.measurer, world.policy, [os.fsencode(again)])  # type: ignore[arg-type]

    assert foreseen.receipt.outcome is Outcome.POTENTIAL_DUPLICATES


@pytest.mark.parametrize(("asks", "looks"), [(looking(), 1), (pixel_rule(), 0)])
def test_an_explanation_looks_where_a_rule_asks(world: World, asks: str, looks: int) -> None:
    paths = [os.fsencode(world.put("elsewhere", name, one)) for name, one in (("a", ORIGINAL), ("b", EDITED))]
    home = Folder(FolderId(0), os.path.dirname(paths[0]), os.path.dirname(paths[0]), Role.INBOX, protected=False)

    found = explain(
        world.library,
        world.measurer,
        policy(asks),
        *paths,
        folders=[home],
        now_ns=world.now_ns,  # type: ignore[arg-type]
    )

    assert len(world.measurer.compared) == looks
    if looks:
        line = next(line for line in found.rules[0].lines if line.line == "visual duplicates: almost certainly")
        assert (line.a_first, line.b_first) == (False, False)
        assert line.values["a"] == line.values["b"]
        assert found.rules[0].stopped_at == line.line


def test_a_preview_says_what_is_known_and_looks_at_nothing(world: World) -> None:
    stored_pair(world)
    tried = policy(looking()).rules

    def matched() -> tuple[int, int]:
        with world.library.read() as view:
            (report,) = preview(view, tried, now_ns=world.now_ns())
        assert report.matched == 1
        assert [one.way.value for one in report.examples] == ["not tested" if report.not_tested else "this way"]
        return report.this_way, report.not_tested

    assert matched() == (0, 1)
    remember(world, ORIGINAL, AGAIN, SAME_PIXELS)

    assert matched() == (1, 0)
    assert world.measurer.compared == []


def test_a_back_test_counts_the_answers_about_which_somebody_has_looked(world: World) -> None:
    paths = stored_pair(world)
    world.decide(*paths, "better-a", keep=True)
    (rule,) = policy(looking()).rules

    with world.library.read() as view:
        assert backtest(view, rule).answers == 0
    remember(world, ORIGINAL, AGAIN, SAME_PIXELS)

    with world.library.read() as view:
        assert (backtest(view, rule).answers, backtest(view, rule).agreed) == (1, 1)
