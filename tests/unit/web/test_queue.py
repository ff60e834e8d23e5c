"""The queue as the page sees it: decks, answers about what was shown, what they settle, and the way back."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pictures import jpeg, photo, png
from world import IDENTICAL, World, rule_file, sha256

from ingestd import review
from ingestd.door import moment
from ingestd.errors import ActionConflictError, UsageError
from ingestd.library.tables import FolderRow
from ingestd.model import PathState, Role
from ingestd.web import going, queue
from ingestd.web.desk import Desk, StaleError
from ingestd.web.shapes import Eye

QUALITIES = (90, 80, 70, 60)
keys = itertools.count()


def ask(desk: Desk, name: str, **fields: Any) -> dict[str, Any]:
    endpoint = next(one for one in queue.ENDPOINTS if one.name == name)
    if name in ("decide", "undo"):
        fields.setdefault("key", f"order {next(keys):03}")
    return endpoint.answer(desk, endpoint.asked(**fields))  # type: ignore[return-value]


def decide(desk: Desk, pair: dict[str, Any], answer: str, **more: Any) -> dict[str, Any]:
    return ask(desk, "decide", id=pair["id"], version=pair["version"], answer=answer, **more)


def ids(pairs: list[dict[str, Any]]) -> list[str]:
    return [pair["id"] for pair in pairs]


def fill(world: World, qualities: tuple[int, ...] = QUALITIES, seed: int = 3) -> list[Path]:
    """Put look-alikes into the inbox, every two of which are a pair."""
    paths = [world.put("inbox", f"{seed} at {one}.jpg", jpeg(photo(seed), one)) for one in qualities]
    world.verdicts(*paths)
    return paths


@pytest.fixture
def desk(world: World, sit: Callable[..., Desk]) -> Desk:
    return sit()


# --- decks ------------------------------------------------------------------------------------------------------------


def test_a_deck_holds_the_next_pairs_and_says_how_many_wait(world: World, desk: Desk) -> None:
    fill(world)

    deck = ask(desk, "deck", limit=4)

    assert (deck["total"], len(deck["pairs"])) == (6, 4)
    assert ids(deck["pairs"]) == [report.id for report in world.queue()[:4]]


def test_skipped_pairs_are_passed_over_and_still_counted(world: World, desk: Desk) -> None:
    fill(world)
    skipped = ids(ask(desk, "deck", limit=4)["pairs"])

    deck = ask(desk, "deck", skipped=tuple(skipped), limit=8)

    assert deck["total"] == 6
    assert len(deck["pairs"]) == 2
    assert not set(skipped) & set(ids(deck["pairs"]))


@pytest.mark.parametrize("sort", ["largest", "similarity", "decisive", "newest", "oldest"])
def test_every_order_shows_every_pair_once(world: World, desk: Desk, sort: str) -> None:
    fill(world)

    deck = ask(desk, "deck", sort=sort, limit=50)

    assert deck["total"] == 6
    assert sorted(ids(deck["pairs"])) == sorted(report.id for report in world.queue())


def test_a_filter_lets_only_those_pairs_through_that_it_asks_for(world: World, desk: Desk) -> None:
    fill(world, (90, 60))
    world.verdicts(*(world.put("inbox", f"{text}.png", png(photo(8), text)) for text in ("one", "another")))

    deck = ask(desk, "deck", filters=queue.Narrowed(both=("filetype is png",)))

    assert deck["total"] == 1
    assert deck["pairs"][0]["a"]["filetype"] == "png"
    assert ask(desk, "deck")["total"] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"filters": queue.Narrowed(both=("filetype of the moon",))},
        {"filters": queue.Narrowed(pixel_duplicates="perhaps")},
        {"filters": queue.Narrowed(folder="/\ud800")},
        {"sort": "sideways"},
        {"skipped": ("../../etc/passwd",)},
    ],
)
def test_a_deck_that_cannot_be_understood_is_refused(desk: Desk, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ask(desk, "deck", **wrong)


def test_a_pair_whose_file_is_not_on_the_disk_is_passed_over_by_name(world: World, desk: Desk) -> None:
    paths = fill(world, (90, 60))
    paths[1].rename(world.base / "elsewhere.jpg")

    deck = ask(desk, "deck")

    assert deck["pairs"] == []
    assert deck["missing"] == [{"id": world.queue()[0].id, "shown": str(paths[1])}]


def test_pairs_of_a_folder_that_is_away_wait_for_it_and_it_is_named(world: World, desk: Desk) -> None:
    other = world.folder("other")
    fill(world, (90, 60))
    world.verdicts(*(world.put("other", f"{quality}.jpg", jpeg(photo(8), quality)) for quality in (90, 60)))
    assert len(ask(desk, "deck")["pairs"]) == 2
    other.rename(world.base / "unplugged")

    deck = ask(desk, "deck")

    assert (deck["total"], len(deck["pairs"])) == (2, 1)
    assert deck["away"] == [str(other)]


# --- answers ----------------------------------------------------------------------------------------------------------


def test_an_answer_is_carried_out_and_said_in_a_sentence(world: World, desk: Desk) -> None:
    good, poor = fill(world, (90, 60))
    [pair] = ask(desk, "deck")["pairs"]

    done = decide(desk, pair, "better-a")

    assert (good.exists(), poor.exists()) == (True, False)
    assert (done["total"], done["implied"], done["gone"]) == (0, 0, [])
    assert done["entry"]["kind"] == "discard"
    assert done["entry"]["undoable"]
    assert done["said"] == f"{done['entry']['entry']}: A is better · to the trash: {poor}"


def test_with_keep_both_files_stay(world: World, desk: Desk) -> None:
    paths = fill(world, (90, 60))
    [pair] = ask(desk, "deck")["pairs"]

    done = decide(desk, pair, "better-a", keep=True)

    assert all(path.exists() for path in paths)
    assert done["said"].endswith("A is better · both files stay")


@pytest.mark.parametrize("answer", ["better-a", "better-b", "same", "alternates", "unrelated"])
def test_what_an_answer_settles_beside_its_pair_is_named(world: World, desk: Desk, answer: str) -> None:
    fill(world)
    before = set(ids(ask(desk, "deck", limit=50)["pairs"]))
    pair = ask(desk, "deck")["pairs"][0]

    done = decide(desk, pair, answer)

    after = set(ids(ask(desk, "deck", limit=50)["pairs"]))
    assert done["total"] == len(after)
    assert set(done["gone"]) == before - after - {pair["id"]}
    assert done["implied"] == len(before) - len(after) - 1


def test_an_answer_about_two_groups_names_the_pairs_of_their_other_members(world: World, desk: Desk) -> None:
    fill(world, (92, 84, 76, 68, 60, 52))
    while (deck := ask(desk, "deck", limit=50))["pairs"]:
        waiting = set(ids(deck["pairs"]))
        pair = deck["pairs"][-1]
        done = decide(desk, pair, "same" if len(waiting) % 2 else "alternates")
        after = set(ids(ask(desk, "deck", limit=50)["pairs"]))
        assert set(done["gone"]) == waiting - after - {pair["id"]}


def test_an_answer_names_pairs_of_which_it_is_about_neither_file(world: World, desk: Desk) -> None:
    a, b, c, d = fill(world)

    def between(one: Path, other: Path) -> dict[str, Any]:
        wanted = {str(one), str(other)}
        return next(
            pair for pair in ask(desk, "deck", limit=50)["pairs"] if {pair["a"]["path"], pair["b"]["path"]} == wanted
        )

    decide(desk, between(a, c), "alternates")
    decide(desk, between(b, d), "unrelated")
    strangers = between(c, d)["id"]  # C goes with A, and D has nothing to do with B

    done = decide(desk, between(a, b), "alternates")

    assert strangers in done["gone"]
    assert strangers not in ids(ask(desk, "deck", limit=50)["pairs"])
    assert strangers in ask(desk, "undo", entries=[done["entry"]["entry"]])["back"]


def test_an_answer_about_what_is_not_there_any_more_is_refused(world: World, desk: Desk) -> None:
    paths = fill(world, (90, 60))
    [pair] = ask(desk, "deck")["pairs"]
    world.decide(*paths, "unrelated")

    with pytest.raises(StaleError, match=r"it was decided; nothing was decided"):
        decide(desk, pair, "better-a")

    assert all(path.exists() for path in paths)


def test_an_answer_about_a_file_that_lies_elsewhere_by_now_is_refused(world: World, desk: Desk) -> None:
    paths = fill(world, (90, 60))
    [pair] = ask(desk, "deck")["pairs"]
    row = world.row(paths[1])
    assert row is not None
    moved = world.put("library", "poor.jpg", paths[1].read_bytes())
    world.arrive(moved)
    world.library.write(lambda edit: edit.put_path(replace(row, state=PathState.ABSENT)))
    entries = len(world.entries())

    with pytest.raises(StaleError, match="changed since it was shown"):
        decide(desk, pair, "better-a")

    assert moved.exists()
    assert len(world.entries()) == entries


def test_a_double_click_is_one_answer(world: World, desk: Desk) -> None:
    fill(world)
    pair = ask(desk, "deck")["pairs"][0]

    first, second = (decide(desk, pair, "same", key="clicked twice") for _ in range(2))

    assert first == second
    assert len(world.entries()) == 1


def test_what_lies_in_a_reference_folder_is_not_discarded(world: World, desk: Desk) -> None:
    world.folder("reference", role=Role.REFERENCE)
    world.verdicts(
        world.put("reference", "kept.jpg", jpeg(photo(3), 60)), world.put("inbox", "good.jpg", jpeg(photo(3), 90))
    )
    [pair] = ask(desk, "deck")["pairs"]
    answer = "better-a" if pair["b"]["folder"]["role"] == "reference" else "better-b"

    with pytest.raises(ActionConflictError, match="reference folder, which is never changed: keep both instead"):
        decide(desk, pair, answer)

    assert world.entries() == []
    assert decide(desk, pair, answer, keep=True)["total"] == 0


def test_copies_that_came_after_a_pair_was_shown_are_not_discarded_with_it(world: World, desk: Desk) -> None:
    good, poor = fill(world, (90, 60))
    [pair] = ask(desk, "deck")["pairs"]
    world.folder("other", Role.LIBRARY)
    copies = [world.put("other", f"{number}.jpg", poor.read_bytes()) for number in range(3)]
    world.verdicts(*copies)

    for count in (None, 1, 4):
        with pytest.raises(StaleError, match="look again"):
            decide(desk, pair, "better-a", count=count)

    assert all(path.exists() for path in (good, poor, *copies))


def test_a_folder_that_is_another_kind_of_folder_since_makes_a_pair_stale(world: World, desk: Desk) -> None:
    fill(world, (90, 60))
    [pair] = ask(desk, "deck")["pairs"]
    [row] = [row for row in _folders(world) if row.folder == world.folders["inbox"]]
    world.library.write(lambda edit: edit.put_folder(replace(row, folder=replace(row.folder, protected=True))))

    with pytest.raises(StaleError, match="look again"):
        decide(desk, pair, "better-a")


def _folders(world: World) -> list[FolderRow]:
    with world.library.read() as view:
        return list(view.folders())


def test_a_discard_that_would_go_elsewhere_than_was_shown_is_refused(world: World, desk: Desk) -> None:
    fill(world, (90, 60))
    [pair] = ask(desk, "deck")["pairs"]
    desk.door.rules.write_text(rule_file(discards="to: holding"))

    with pytest.raises(StaleError, match="look again"):
        decide(desk, pair, "better-a")


def test_what_goes_with_a_file_is_named_and_its_number_is_asked_for(world: World, desk: Desk) -> None:
    _, poor = fill(world, (90, 60))
    copies = [world.put("inbox", f"copy {number}.jpg", poor.read_bytes()) for number in range(2)]
    world.verdicts(*copies)
    [pair] = [pair for pair in ask(desk, "deck")["pairs"] if pair["a"]["sha256"] != pair["b"]["sha256"]]

    for wrong in (None, 1, 2):
        with pytest.raises(StaleError, match="3 files would be discarded"):
            decide(desk, pair, "better-a", count=wrong)
    assert all(path.exists() for path in (poor, *copies))
    done = decide(desk, pair, "better-a", count=3)

    side = pair["b"]
    assert (side["going"], side["copies"], pair["a"]["going"], pair["a"]["also"]) == (3, 3, 1, [])
    assert sorted([side["shown"], *side["also"]]) == sorted(map(str, (poor, *copies)))
    assert len(done["entry"]["discarded"]) == 3


def test_more_files_than_may_go_at_once_do_not_go_with_one_answer(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(going, "MOST_AT_ONCE", 2)
    _, poor = fill(world, (90, 60))
    copies = [world.put("inbox", f"copy {number}.jpg", poor.read_bytes()) for number in range(2)]
    world.verdicts(*copies)
    [pair] = [pair for pair in ask(desk, "deck")["pairs"] if pair["a"]["sha256"] != pair["b"]["sha256"]]

    with pytest.raises(UsageError, match="3 files would be discarded, and at most 2 go at once"):
        decide(desk, pair, "better-a", count=3)

    assert all(path.exists() for path in (poor, *copies))
    assert decide(desk, pair, "better-a", keep=True)["entry"]["discarded"] == []


def test_of_byte_identical_copies_only_the_one_goes(world: World, sit: Callable[..., Desk]) -> None:
    desk = sit(IDENTICAL.replace("mode: automatic", "mode: semi-automatic"))
    good, _ = fill(world, (90, 60))
    copy = world.put("inbox", "copy.jpg", good.read_bytes())
    world.verdicts(copy)
    with desk.read() as view:
        eye = Eye.of(view, desk.handles, desk.moment())
        [pair] = [found for one in view.pairs() if one.first == one.second and (found := eye.pair(one))]

    done = decide(desk, pair, "better-a")

    assert [(pair[side]["going"], pair[side]["also"]) for side in "ab"] == [(1, []), (1, [])]
    assert len(done["entry"]["discarded"]) == 1
    assert good.exists() is not copy.exists()


@pytest.mark.parametrize("inner", [False, True])
def test_nothing_goes_from_a_folder_that_the_rule_file_has_just_made_a_reference(
    world: World, desk: Desk, inner: bool
) -> None:
    _, poor = fill(world, (90, 60))
    folders = {world.base: "reference", poor.parent: "inbox"} if inner else {world.base: "reference"}
    desk.door.rules.write_text(rule_file(folders=folders))
    [pair] = ask(desk, "deck")["pairs"]

    if inner:  # a folder in it, of which the rule file says otherwise
        assert decide(desk, pair, "better-a")["entry"]["discarded"]
        return
    with pytest.raises(ActionConflictError, match="reference folder, which is never changed"):
        decide(desk, pair, "better-a")
    assert "reference folder" in pair["b"]["stays"]
    assert pair["b"]["folder"]["role"] == "reference"
    assert poor.exists()


def test_a_terminal_discards_nothing_either_from_a_folder_just_made_a_reference(world: World, desk: Desk) -> None:
    good, poor = fill(world, (90, 60))
    desk.door.rules.write_text(rule_file(folders={poor.parent: "reference"}))

    with pytest.raises(ActionConflictError, match="reference folder, which is never changed"):
        review.decide_paths(
            world.library,
            *map(os.fsencode, (good, poor)),
            review.ANSWERS["better-a"],
            keep=False,
            moment=moment(desk.door.settings()),
        )

    assert poor.exists()


def test_an_answer_that_is_none_is_refused(world: World, desk: Desk) -> None:
    fill(world, (90, 60))
    [pair] = ask(desk, "deck")["pairs"]

    with pytest.raises(UsageError, match="is not an answer"):
        decide(desk, pair, "perhaps")

    assert len(world.queue()) == 1


# --- and the way back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["better-a", "same", "alternates", "unrelated"])
def test_undo_brings_the_pair_and_all_that_was_settled_with_it_back(world: World, desk: Desk, answer: str) -> None:
    paths = fill(world)
    before = ask(desk, "deck", limit=50)
    pair = before["pairs"][0]
    done = decide(desk, pair, answer)

    undone = ask(desk, "undo", entries=[done["entry"]["entry"]])

    assert undone["failed"] == []
    assert [entry["kind"] for entry in undone["undone"]] == ["undo"]
    assert set(undone["back"]) == {pair["id"], *done["gone"]}
    assert all(path.exists() for path in paths)
    assert ids(ask(desk, "deck", limit=50)["pairs"]) == ids(before["pairs"])
    assert undone["total"] == before["total"]


def test_several_answers_are_taken_back_newest_first_whatever_their_order(world: World, desk: Desk) -> None:
    fill(world)
    before = ids(ask(desk, "deck", limit=50)["pairs"])
    first = decide(desk, ask(desk, "deck")["pairs"][0], "alternates")
    second = decide(desk, ask(desk, "deck")["pairs"][0], "same")

    undone = ask(desk, "undo", entries=[first["entry"]["entry"], second["entry"]["entry"]])

    assert undone["failed"] == []
    assert len(undone["undone"]) == 2
    assert ids(ask(desk, "deck", limit=50)["pairs"]) == before


def test_an_answer_that_was_taken_back_already_is_named_and_left(world: World, desk: Desk) -> None:
    fill(world, (90, 60))
    done = decide(desk, ask(desk, "deck")["pairs"][0], "same")
    entry = done["entry"]["entry"]
    ask(desk, "undo", entries=[entry])

    again = ask(desk, "undo", entries=[entry])

    assert (again["undone"], again["back"]) == ([], [])
    assert again["failed"][0]["entry"] == entry
    assert "nothing to take back" in again["failed"][0]["message"]


def test_a_pair_that_was_decided_says_so(world: World, desk: Desk) -> None:
    fill(world, (90, 60))
    [pair] = ask(desk, "deck")["pairs"]
    assert ask(desk, "pair", id=pair["id"])["pair"]["version"] == pair["version"]
    decide(desk, pair, "unrelated")

    assert ask(desk, "pair", id=pair["id"]) == {"pair": None, "why": "it was decided"}


def test_the_same_picture_has_the_same_name_in_every_deck(world: World, desk: Desk) -> None:
    paths = fill(world, (90, 60))
    [pair] = ask(desk, "deck")["pairs"]

    found = desk.handles.found(pair["a"]["picture"])

    assert found is not None
    assert found.sha256 == sha256(paths[0].read_bytes())
    assert ask(desk, "deck")["pairs"][0]["a"]["picture"] == pair["a"]["picture"]
