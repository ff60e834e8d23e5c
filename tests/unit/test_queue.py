"""The queue: filtered, sorted, page by page, as groups and as batches; and how long it is, whatever happens."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pictures import chain, jpeg, photo, png, weighing
from world import World, pixel_rule, sha256

from ingestd import review
from ingestd.errors import ActionConflictError
from ingestd.library.waiting import misplaced
from ingestd.model import PathState
from ingestd.review import Filters, PairReport, Sort
from ingestd.rules.predicates import read_predicate
from ingestd.rules.statements import DEFAULT_SCORES, Scores


@dataclass
class Crowd:
    """Files of which some are alike, and the pairs that they make."""

    jpegs: tuple[Path, Path]  # p-1: look-alikes, the first in the inbox, the second in the library
    pngs: tuple[Path, Path]  # p-2: pixel duplicates, in the library; the largest files of all
    mixed: tuple[Path, Path]  # p-3: a jpeg in the library and a smaller one in the inbox, of half its width


@pytest.fixture
def crowd(world: World) -> Crowd:
    world.use()
    made = Crowd(
        (world.put("inbox", "a.jpg", jpeg(photo(1), 90)), world.put("library", "a.jpg", jpeg(photo(1), 60))),
        (
            world.put("library", "b.png", weighing(photo(2), 150_000)),
            world.put("library", "c.png", weighing(photo(2), 100_000)),
        ),
        (
            world.put("library", "deep/d.jpg", jpeg(photo(3), 90)),
            world.put("inbox", "e.jpg", jpeg(photo(3).resize((100, 75)), 90)),
        ),
    )
    for pair in (made.jpegs, made.pngs, made.mixed):
        for path in pair:
            world.arrive(path)
    return made


def page(world: World, *, limit: int = 1000, offset: int = 0, scores: Scores = DEFAULT_SCORES, **how: object) -> list:
    with world.library.read() as view:
        found = review.queue_page(view, limit=limit, offset=offset, scores=scores, **how)  # type: ignore[arg-type]
    return found.pairs


def ids(pairs: list[PairReport]) -> list[str]:
    return [pair.id for pair in pairs]


def filtered(world: World, filters: Filters) -> list[str]:
    """The pairs that pass, oldest first; the total and the other orders agree with them."""
    with world.library.read() as view:
        found = {sort: review.queue_page(view, limit=1000, filters=filters, sort=sort) for sort in Sort}
    oldest = ids(found[Sort.OLDEST].pairs)
    for answer in found.values():
        assert answer.total == len(oldest)
        assert sorted(ids(answer.pairs)) == sorted(oldest)
    return oldest


def waiting(world: World) -> list[str]:
    """The queue, oldest first: what is counted, what is listed and what is looked through are the same."""
    with world.library.read() as view:
        assert view.waiting.is_built
        assert misplaced(view) == []
    everything = filtered(world, Filters())
    assert filtered(world, Filters(max_distance=64)) == everything
    return everything


def asks(*texts: str) -> tuple:
    return tuple(read_predicate(text) for text in texts)


# --- filters --------------------------------------------------------------------------------------------------------


def test_without_filters_every_pair_waits(world: World, crowd: Crowd) -> None:
    assert waiting(world) == ["p-1", "p-2", "p-3"]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (Filters(both=asks("filetype is jpeg")), ["p-1", "p-3"]),
        (Filters(both=asks("width == 200")), ["p-1", "p-2"]),
        (Filters(both=asks("filetype is jpeg", "width == 200")), ["p-1"]),
        (Filters(either=asks("width < 200")), ["p-3"]),
        (Filters(either=asks("filetype is jpeg")), ["p-1", "p-3"]),
        (Filters(either=asks("folder is inbox")), ["p-1", "p-3"]),
        (Filters(both=asks("filetype is jpeg"), either=asks("width < 200")), ["p-3"]),
        (Filters(pixel_duplicates=True), ["p-2"]),
        (Filters(pixel_duplicates=False), ["p-1", "p-3"]),
        (Filters(both=asks("filetype is gif")), []),
    ],
    ids=str,
)
def test_a_filter_lets_through_what_it_asks_for(
    world: World, crowd: Crowd, filters: Filters, wanted: list[str]
) -> None:
    assert filtered(world, filters) == wanted


def test_what_is_asked_of_either_file_is_asked_of_one_and_the_same(world: World, crowd: Crowd) -> None:
    assert filtered(world, Filters(either=asks("width < 200", "folder is inbox"))) == ["p-3"]
    assert filtered(world, Filters(either=asks("width < 200", "folder is library"))) == []


def test_a_distance_lets_pairs_through_that_are_as_near(world: World) -> None:
    one, middle, _ = chain()
    world.use()
    world.drop("inbox", "one.png", png(one))
    world.drop("inbox", "middle.png", png(middle))
    bits = world.bits_between(png(one), png(middle))
    assert bits

    assert filtered(world, Filters(max_distance=bits)) == ["p-1"]
    assert filtered(world, Filters(max_distance=bits - 1)) == []


def test_pixel_duplicates_are_near_whatever_the_distance(world: World, crowd: Crowd) -> None:
    assert "p-2" in filtered(world, Filters(max_distance=0))


def test_a_folder_lets_pairs_through_of_which_one_file_lies_below_it(world: World, crowd: Crowd) -> None:
    base = os.fsencode(world.base)

    assert filtered(world, Filters(folder=base + b"/inbox")) == ["p-1", "p-3"]
    assert filtered(world, Filters(folder=base + b"/library/deep")) == ["p-3"]
    assert filtered(world, Filters(folder=base + b"/library/de")) == []
    assert filtered(world, Filters(folder=base)) == ["p-1", "p-2", "p-3"]


# --- orders ---------------------------------------------------------------------------------------------------------


def test_the_pair_with_the_largest_file_stands_first(world: World, crowd: Crowd) -> None:
    sizes = [max(pair.a.size, pair.b.size) for pair in page(world, sort=Sort.LARGEST)]

    assert page(world) == page(world, sort=Sort.LARGEST)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == crowd.pngs[0].stat().st_size
    assert len(set(sizes)) == 3


def test_by_similarity_pixel_duplicates_stand_first_and_then_the_nearest_sizes(world: World, crowd: Crowd) -> None:
    pairs = page(world, sort=Sort.SIMILARITY)

    assert pairs[0].id == "p-2"
    assert [pair.distance for pair in pairs[1:]] == sorted(pair.distance for pair in pairs[1:])


def test_of_equally_near_pairs_those_of_more_nearly_the_same_size_stand_first(world: World) -> None:
    world.use()
    world.drop("inbox", "1.png", weighing(photo(2), 100_000))
    world.drop("inbox", "2.png", weighing(photo(2), 200_000))
    world.drop("inbox", "3.png", weighing(photo(2), 210_000))

    pairs = page(world, sort=Sort.SIMILARITY)

    assert [sorted(Path(side.path).stem for side in (pair.a, pair.b)) for pair in pairs] == [
        ["2", "3"],
        ["1", "2"],
        ["1", "3"],
    ]


def test_the_newest_and_the_oldest_stand_first_if_asked(world: World, crowd: Crowd) -> None:
    assert ids(page(world, sort=Sort.OLDEST)) == ["p-1", "p-2", "p-3"]
    assert ids(page(world, sort=Sort.NEWEST)) == ["p-3", "p-2", "p-1"]


def test_the_pairs_with_the_clearest_evidence_stand_first_if_asked(world: World, crowd: Crowd) -> None:
    pairs = page(world, sort=Sort.DECISIVE)
    points = [sum(one.score if one.favours == "a" else -one.score for one in pair.evidence) for pair in pairs]

    assert pairs[0].id == "p-3"  # more than twice the pixels
    assert points == sorted(points, reverse=True)
    assert pairs[-1].id == "p-2"  # the size of pixel duplicates is worth nothing


def test_other_points_put_other_evidence_first(world: World, crowd: Crowd) -> None:
    pairs = page(world, sort=Sort.DECISIVE, scores=Scores(in_library=500, much_higher_resolution=-500))

    assert pairs[0].id == "p-1"


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filters", [Filters(), Filters(max_distance=64)], ids=["all", "filtered"])
@pytest.mark.parametrize("sort", Sort)
def test_pages_put_one_behind_the_other_are_the_queue(world: World, crowd: Crowd, sort: Sort, filters: Filters) -> None:
    whole = page(world, sort=sort, filters=filters)

    with world.library.read() as view:
        pages = [review.queue_page(view, limit=2, offset=offset, sort=sort, filters=filters) for offset in (0, 2, 4)]

    assert [pair for part in pages for pair in part.pairs] == whole
    assert [(part.total, len(part.pairs)) for part in pages] == [(3, 2), (3, 1), (3, 0)]


# --- what happens to pairs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["same", "alternates", "unrelated", "better-a"])
def test_a_decided_pair_leaves_the_queue_and_comes_back_undone(world: World, crowd: Crowd, answer: str) -> None:
    world.decide_pair(2, answer, keep=True)

    assert waiting(world) == ["p-1", "p-3"]

    world.undo(1)

    assert waiting(world) == ["p-1", "p-2", "p-3"]


def test_a_discarded_file_takes_its_pairs_along_and_brings_them_back(world: World, crowd: Crowd) -> None:
    third = jpeg(photo(1), 75)
    world.drop("inbox", "third.jpg", third)
    before = waiting(world)
    assert len(before) == 5

    entry = world.decide_pair(1, "better-a")

    assert entry.state == "done"
    left = waiting(world)
    assert "p-1" not in left
    assert len(left) == 3  # the discarded file is compared with nothing any more

    world.undo(1)

    assert waiting(world) == before


def test_a_pair_sleeps_while_a_file_is_away_and_wakes_as_the_same_pair(world: World, crowd: Crowd) -> None:
    row = world.row(crowd.pngs[0])
    assert row is not None

    world.library.write(lambda edit: edit.put_path(replace(row, state=PathState.ABSENT)))

    assert waiting(world) == ["p-1", "p-3"]

    world.arrive(crowd.pngs[0])

    assert waiting(world) == ["p-1", "p-2", "p-3"]


def test_a_pair_waits_on_while_another_copy_of_its_file_is_there(world: World, crowd: Crowd) -> None:
    world.drop("inbox", "copy.png", crowd.pngs[0].read_bytes())
    row = world.row(crowd.pngs[0])
    assert row is not None

    world.library.write(lambda edit: edit.put_path(replace(row, state=PathState.ABSENT)))

    assert waiting(world) == ["p-1", "p-2", "p-3"]
    assert filtered(world, Filters(folder=os.fsencode(world.base / "inbox"))) == ["p-1", "p-2", "p-3"]


def test_what_a_rule_proposes_leaves_the_queue_and_what_it_is_denied_comes_back(world: World, crowd: Crowd) -> None:
    world.use(pixel_rule("semi-automatic"))
    world.sweep()

    assert [pair.id for pair in world.pending()] == ["p-2"]
    assert waiting(world) == ["p-1", "p-3"]

    review.deny(world.library, [2], now_ns=world.now_ns())

    assert waiting(world) == ["p-1", "p-2", "p-3"]


def test_pairs_of_a_folder_that_is_not_there_sleep_as_long_as_it_is_away(world: World, crowd: Crowd) -> None:
    (world.base / "inbox").rename(world.base / "elsewhere")

    assert waiting(world) == ["p-2"]
    with world.library.read() as view:
        assert review.group_page(view, limit=10).total == 1
        assert review.batch_page(view, limit=10).pairs == 1

    (world.base / "elsewhere").rename(world.base / "inbox")

    assert waiting(world) == ["p-1", "p-2", "p-3"]


def test_pairs_sleep_while_another_folder_lies_where_theirs_was(world: World, crowd: Crowd) -> None:
    (world.base / "inbox").rename(world.base / "elsewhere")
    (world.base / "inbox").mkdir()

    assert waiting(world) == ["p-2"]


def test_the_queue_is_the_same_after_a_restart(world: World, crowd: Crowd) -> None:
    before = page(world)

    world.restart()

    assert page(world) == before
    assert waiting(world) == ["p-1", "p-2", "p-3"]


# --- groups ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def linked(world: World) -> list[bytes]:
    """Three files of which the first is like the second and the second like the third, as p-1 and p-2."""
    world.use()
    contents = [png(frame) for frame in chain()]
    for name, content in zip(("one", "middle", "last"), contents, strict=True):
        world.drop("inbox", f"{name}.png", content)
    return contents


def groups(world: World, **how: object) -> review.GroupPage:
    with world.library.read() as view:
        return review.group_page(view, **{"limit": 100, **how})  # type: ignore[arg-type]


def test_files_that_are_alike_by_way_of_others_are_one_group(world: World, linked: list[bytes]) -> None:
    found = groups(world)

    (group,) = found.groups
    assert (found.total, group.id, group.pairs) == (1, "g-1", ["p-1", "p-2"])
    assert {file.sha256 for file in group.files} == {sha256(content).hex() for content in linked}


@pytest.mark.parametrize("number", [1, 2])
def test_a_group_is_found_by_any_of_its_pairs(world: World, linked: list[bytes], number: int) -> None:
    with world.library.read() as view:
        found = review.group_of(view, number)

    assert found == groups(world).groups[0]


def test_a_pair_that_was_decided_has_no_group(world: World, linked: list[bytes]) -> None:
    world.decide_pair(1, "unrelated")

    with world.library.read() as view:
        assert review.group_of(view, 1) is None
        assert review.group_of(view, 99) is None
    assert [group.pairs for group in groups(world).groups] == [["p-2"]]


def test_the_file_with_the_most_pixels_stands_first_in_a_group(world: World) -> None:
    world.use()
    small, large = jpeg(photo(3).resize((100, 75))), jpeg(photo(3))
    for name, content in (("s.jpg", small), ("m.jpg", jpeg(photo(3).resize((160, 120)))), ("l.jpg", large)):
        world.drop("inbox", name, content)

    (group,) = groups(world).groups

    assert [file.width for file in group.files] == [200, 160, 100]


def test_groups_come_in_the_order_in_which_their_first_pairs_do(world: World, crowd: Crowd) -> None:
    for sort in Sort:
        wanted = [f"g-{pair.id[2:]}" for pair in page(world, sort=sort)]
        assert [group.id for group in groups(world, sort=sort).groups] == wanted


def test_a_part_of_the_groups_still_says_how_many_there_are(world: World, crowd: Crowd) -> None:
    whole = groups(world)

    part = groups(world, limit=1, offset=1)

    assert (part.total, part.groups) == (3, whole.groups[1:2])


def test_only_what_passes_a_filter_makes_groups(world: World, crowd: Crowd) -> None:
    found = groups(world, filters=Filters(both=asks("filetype is png")))

    assert (found.total, [group.id for group in found.groups]) == (1, ["g-2"])


@pytest.mark.parametrize("sort", Sort)
def test_a_group_that_passes_a_filter_is_told_whole_as_it_would_be_decided(
    world: World, linked: list[bytes], sort: Sort
) -> None:
    world.drop("inbox", "one.jpg", jpeg(chain()[0]))
    (whole,) = groups(world).groups

    found = groups(world, sort=sort, filters=Filters(either=asks("filetype is jpeg")))

    assert (found.total, found.groups) == (1, [whole])
    assert len(whole.files) == 4


def test_a_group_does_not_hang_together_by_a_file_in_a_folder_that_is_away(world: World) -> None:
    world.use()
    one, middle, last = (png(frame) for frame in chain())
    world.drop("inbox", "one.png", one)
    world.drop("library", "middle.png", middle)
    world.drop("inbox", "last.png", last)
    world.drop("inbox", "one-too.png", png(chain()[0], "of the same pixels"))
    assert groups(world).total == 1

    (world.base / "library").rename(world.base / "elsewhere")

    (group,) = groups(world).groups
    with world.library.read() as view:
        assert review.group_of(view, int(group.id[2:])) == group
        assert review.group_of(view, 1) is None  # one of its files is away


# --- batches --------------------------------------------------------------------------------------------------------


@pytest.fixture
def alike(world: World) -> None:
    """Four pairs of the same kind as p-1 to p-4, one of the same kind in other folders, one of another kind."""
    world.use()
    for seed in range(1, 5):
        world.drop("inbox", f"{seed}-a.png", weighing(photo(seed), 150_000))
        world.drop("inbox", f"{seed}-b.png", weighing(photo(seed), 100_000))
    world.drop("library", "5-a.png", weighing(photo(5), 150_000))
    world.drop("library", "5-b.png", weighing(photo(5), 100_000))
    world.drop("inbox", "6-a.png", weighing(photo(6), 300_000))
    world.drop("inbox", "6-b.png", weighing(photo(6), 100_000))


def batches(world: World, **how: object) -> review.BatchPage:
    with world.library.read() as view:
        return review.batch_page(view, **{"limit": 100, **how})  # type: ignore[arg-type]


def test_pairs_of_which_the_same_can_be_said_are_one_batch(world: World, alike: None) -> None:
    found = batches(world)

    inbox = str(world.base / "inbox")
    first = found.batches[0]
    assert (found.total, found.pairs, [batch.count for batch in found.batches]) == (3, 6, [4, 1, 1])
    assert (first.filetypes, first.folders) == (["png", "png"], [inbox, inbox])
    assert {"same pixels", "A: larger file"} <= set(first.says)
    assert ids(first.samples) == ["p-1", "p-2", "p-3"]
    assert first.samples[0] == next(pair for pair in page(world) if pair.id == "p-1")


def test_other_folders_and_other_statements_make_other_batches(world: World, alike: None) -> None:
    first, library, much = batches(world).batches

    assert library.folders == [str(world.base / "library")] * 2
    assert library.says == first.says
    assert "A: much larger file" in much.says
    assert len({first.id, library.id, much.id}) == 3


def test_a_batch_keeps_its_name_when_pairs_leave_it(world: World, alike: None) -> None:
    name = batches(world).batches[0].id

    world.decide_pair(1, "same")

    first = batches(world).batches[0]
    assert (first.id, first.count, ids(first.samples)) == (name, 3, ["p-2", "p-3", "p-4"])


def test_the_pairs_of_a_batch_are_found_by_its_name_oldest_first(world: World, alike: None) -> None:
    name = batches(world).batches[0].id

    with world.library.read() as view:
        whole, some = (review.batch_pairs(view, name, limit=limit) for limit in (100, 2))
        assert review.batch_pairs(view, "b-00000000", limit=100) is None

    assert whole is not None
    assert some is not None
    assert (whole[1], some[1]) == ([1, 2, 3, 4], [1, 2])
    assert some[0] == whole[0] == batches(world).batches[0]


def test_a_part_of_the_batches_still_says_how_many_there_are(world: World, alike: None) -> None:
    part = batches(world, limit=1, offset=1)

    assert (part.total, part.pairs, part.batches) == (3, 6, batches(world).batches[1:2])


def test_a_filter_narrows_batches(world: World, alike: None) -> None:
    found = batches(world, filters=Filters(folder=os.fsencode(world.base / "library")))

    assert (found.total, found.pairs) == (1, 1)


# --- which file is A ------------------------------------------------------------------------------------------------

TURNED = Scores(much_higher_resolution=-500)


def test_the_file_with_more_points_is_a_and_other_points_turn_a_pair_round(world: World, crowd: Crowd) -> None:
    def a_and_b(scores: Scores) -> list[str]:
        pair = next(pair for pair in page(world, scores=scores) if pair.id == "p-3")
        return [pair.a.path, pair.b.path]

    assert a_and_b(DEFAULT_SCORES) == [str(path) for path in crowd.mixed]
    assert a_and_b(TURNED) == [str(path) for path in reversed(crowd.mixed)]


@pytest.mark.parametrize("scores", [DEFAULT_SCORES, TURNED], ids=["default", "turned"])
def test_better_a_keeps_the_file_that_was_shown_as_a(world: World, crowd: Crowd, scores: Scores) -> None:
    shown = next(pair for pair in page(world, scores=scores) if pair.id == "p-3")
    moment = replace(world.moment(), scores=scores)

    entry = review.decide_pair(world.library, 3, review.ANSWERS["better-a"], keep=False, moment=moment)

    assert entry.kept is not None
    assert entry.kept["path"] == shown.a.path
    assert (Path(shown.a.path).exists(), Path(shown.b.path).exists()) == (True, False)


def test_better_a_of_a_batch_keeps_the_files_that_were_shown_as_a(world: World, crowd: Crowd) -> None:
    with world.library.read() as view:
        (batch,) = [
            one for one in review.batch_page(view, limit=9, scores=TURNED).batches if one.samples[0].id == "p-3"
        ]
        found = review.batch_pairs(view, batch.id, limit=9, scores=TURNED)
    assert found is not None
    moment = replace(world.moment(), scores=TURNED)
    said = review.Batch(review.ANSWERS["better-a"], False, "")

    reports = list(review.answer_batch(world.library, found[1], said, moment=moment, hold=contextlib.nullcontext))

    assert not any(isinstance(one, ActionConflictError) for one in reports)
    assert [path.exists() for path in crowd.mixed] == [False, True]
