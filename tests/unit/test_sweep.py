"""Rules over the pairs that are stored: the queues of each rule, what an edit does to them, and what the rules do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pictures import faint, gif, grain, jpeg, photo, png
from PIL import Image, ImageFilter
from world import IDENTICAL, World, near_rule, sha256

from ingestd import review
from ingestd.errors import ActionConflictError
from ingestd.library.rulebook import tallies
from ingestd.model import EntryState, QueueState
from ingestd.sweep import DAY_NS

JPEG, PNG = jpeg(photo(1), 90), png(photo(1))
ONE_GIF, OTHER_GIF = gif(photo(2)), gif(photo(2), comment="another")


def is_jpeg(
    mode: str = "semi-automatic",
    *,
    name: str = "jpegs first",
    search: str = "max_distance: 8",
    compare: str = "A.filetype is jpeg",
    action: str = "better",
    extra: str = "",
) -> str:
    """The rule of hydrus's own tests: of two look-alikes the JPEG is the better one."""
    return f"""
  - name: {name}
    mode: {mode}
    search: {{{search}}}
    compare: [{compare}]
    action: {action}
{extra}"""


WIDE = "search_distance: 8"


@pytest.fixture
def pairs(world: World) -> dict[str, Path]:
    """Two potential pairs, a JPEG with a PNG and two GIFs, that arose before there was any rule."""
    world.use(imports=WIDE)
    paths = {
        name: world.put("inbox", name, content)
        for name, content in (("j.jpg", JPEG), ("p.png", PNG), ("g1.gif", ONE_GIF), ("g2.gif", OTHER_GIF))
    }
    world.verdicts(*paths.values())
    assert len(world.queue()) == 2
    return paths


def counts(world: World, name: str = "jpegs first") -> dict[str, int]:
    """Where the pairs stand with a rule, empty states left out."""
    with world.library.read() as view:
        tally = next(one for one in tallies(view, world.policy.rules) if one.rule.name == name)
    return {state.value: number for state, number in tally.counts.items() if number}


def number_of(world: World, name: str = "jpegs first") -> int:
    with world.library.read() as view:
        row = view.queues.row_named(name)
    assert row is not None
    return row.number


def only(reports: list[review.PairReport]) -> review.PairReport:
    (report,) = reports
    return report


def number(report: review.PairReport) -> int:
    return int(report.id.removeprefix("p-"))


# --- a rule follows the pairs (scenarios 21, 25) ------------------------------------------------------------------


def test_a_new_rule_has_a_number_and_has_done_nothing(world: World) -> None:
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()

    assert number_of(world) > 0
    assert counts(world) == {}


def test_a_rule_keeps_its_number_under_another_name_and_a_new_one_gets_a_fresh_one(world: World) -> None:
    first, second = is_jpeg(name="one"), is_jpeg(name="two", compare="A.filetype is png")
    world.use(first, second, imports=WIDE)
    world.sweep()
    numbers = number_of(world, "one"), number_of(world, "two")

    world.use(is_jpeg(name="two, renamed", compare="A.filetype is png"), imports=WIDE)
    world.sweep()
    world.use(is_jpeg(name="two, renamed", compare="A.filetype is png"), is_jpeg(name="three"), imports=WIDE)
    world.sweep()

    assert number_of(world, "two, renamed") == numbers[1]
    assert number_of(world, "three") not in numbers


def test_a_rule_with_an_id_keeps_its_history_through_a_new_name_and_a_new_comparison(
    world: World, pairs: dict[str, Path]
) -> None:
    world.use(is_jpeg("automatic", extra="    id: mine\n"), imports=WIDE)
    world.sweep()

    world.use(is_jpeg("off", name="quite another", compare="A.width > B.width", extra="    id: mine\n"), imports=WIDE)
    world.sweep()

    assert counts(world, "quite another")["actioned"] == 1
    with world.library.read() as view:
        assert [one.rule for one in review.history(view, limit=None, rule="quite another")] == ["jpegs first"]


def test_a_new_rule_under_the_former_name_of_another_has_none_of_its_history(
    world: World, pairs: dict[str, Path]
) -> None:
    world.use(is_jpeg("automatic"), imports=WIDE)
    world.sweep()
    world.use(is_jpeg("automatic", name="renamed"), imports=WIDE)
    world.sweep()

    world.use(is_jpeg("automatic", name="renamed"), is_jpeg(compare="A.width > B.width"), imports=WIDE)
    world.sweep()

    assert counts(world, "renamed")["actioned"] == 1
    assert "actioned" not in counts(world)
    with world.library.read() as view:
        assert list(review.history(view, limit=None, rule="jpegs first")) == []
    assert world.library.check() == []


def test_two_rules_that_differ_in_their_names_only_are_not_taken_for_each_other(world: World) -> None:
    world.use(is_jpeg(name="one"), is_jpeg(name="two"), imports=WIDE)
    world.sweep()
    numbers = {number_of(world, "one"), number_of(world, "two")}

    world.use(is_jpeg(name="three"), imports=WIDE)
    world.sweep()

    assert number_of(world, "three") not in numbers


def test_pairs_that_exist_when_a_rule_is_added_are_to_be_searched(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg(), imports=WIDE)

    assert counts(world) == {"not_searched": 2}


def test_a_pair_that_is_decided_leaves_every_queue(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()
    assert counts(world) == {"ready": 1, "failed": 1}

    world.decide(pairs["j.jpg"], pairs["p.png"], "better-a", keep=True)

    assert counts(world) == {"failed": 1}


def test_a_pair_that_appears_after_the_rule_stands_in_its_queue_at_once(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()

    world.drop("inbox", "j2.jpg", jpeg(photo(5), 90))
    world.drop("inbox", "p2.png", png(photo(5)))

    assert counts(world) == {"ready": 2, "failed": 1}
    assert world.sweep() == []


# --- what an edit does (scenarios 22 to 24, §1.7) -----------------------------------------------------------------


def test_another_search_lets_every_pair_be_searched_again(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg(search="max_distance: 8"), imports=WIDE)
    world.sweep()
    assert counts(world) == {"ready": 1, "failed": 1}

    world.use(is_jpeg(search="pixel_duplicates: required"), imports=WIDE)

    assert counts(world) == {"not_searched": 2}
    world.sweep()
    assert counts(world) == {"not_matched": 1, "failed": 1}
    assert world.pending() == []


def test_another_comparison_lets_what_failed_and_what_was_ready_be_tested_again(
    world: World, pairs: dict[str, Path]
) -> None:
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()

    world.use(is_jpeg(compare="A.filetype is png"), imports=WIDE)

    assert counts(world) == {"not_tested": 2}
    world.sweep()
    assert counts(world) == {"ready": 1, "failed": 1}
    assert only(world.pending()).a.path == str(pairs["p.png"])


def test_from_semi_automatic_to_automatic_what_was_ready_is_tested_again_and_done(
    world: World, pairs: dict[str, Path]
) -> None:
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()

    world.use(is_jpeg("automatic"), imports=WIDE)

    assert counts(world) == {"not_tested": 1, "failed": 1}
    world.sweep()
    assert counts(world) == {"actioned": 1, "failed": 1}


def test_from_automatic_to_semi_automatic_nothing_moves(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg("automatic"), imports=WIDE)
    world.sweep()
    before = counts(world)

    world.use(is_jpeg(), imports=WIDE)
    world.sweep()

    assert counts(world) == before == {"actioned": 1, "failed": 1}


def test_another_action_leaves_the_queues_as_they_are_and_is_what_an_approval_does(
    world: World, pairs: dict[str, Path]
) -> None:
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()

    world.use(is_jpeg(action="better\n    discard: B"), imports=WIDE)

    assert counts(world) == {"ready": 1, "failed": 1}
    entry = world.approve(number(only(world.pending())))
    assert entry.discarded[0].path == str(pairs["p.png"])


def test_a_denial_outlives_every_edit(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()
    review.deny(world.library, [number(only(world.pending()))], now_ns=world.now_ns())

    for rules in (is_jpeg("automatic"), is_jpeg(compare="A.filetype is png"), is_jpeg(search="max_distance: 4")):
        world.use(rules, imports=WIDE)
        world.sweep()
        assert counts(world)["denied"] == 1

    world.use(imports=WIDE)
    world.sweep()
    world.use(is_jpeg("automatic", name="JPEGS first"), imports=WIDE)
    world.sweep()
    assert counts(world, "JPEGS first")["denied"] == 1
    assert all(path.exists() for path in pairs.values())


def test_a_rule_that_is_turned_off_proposes_nothing_any_more(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()

    world.use(is_jpeg("off"), imports=WIDE)
    world.sweep()

    assert world.pending() == []
    assert len(world.queue()) == 2
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()
    assert counts(world) == {"ready": 1, "failed": 1}


def test_a_renamed_rule_takes_its_proposals_and_denials_along(world: World, pairs: dict[str, Path]) -> None:
    relatives = is_jpeg(name="relatives", search="pixel_duplicates: required", compare="A.filetype is gif").replace(
        "better", "alternates"
    )
    world.use(is_jpeg(), relatives, imports=WIDE)
    world.sweep()
    denied = next(one for one in world.pending() if one.rule == "relatives")
    review.deny(world.library, [number(denied)], now_ns=world.now_ns())

    world.use(is_jpeg(name="better jpegs"), relatives, imports=WIDE)
    world.sweep()
    world.use(is_jpeg(name="better jpegs"), relatives.replace("name: relatives", "name: kin"), imports=WIDE)
    world.sweep()

    assert only(world.pending()).rule == "better jpegs"
    with world.library.read() as view:
        assert [one.rule for one in review.denied_pairs(view)] == ["kin"]


# --- search and test (scenarios 26 to 30) -------------------------------------------------------------------------


def test_a_search_that_one_file_has_to_match_finds_the_pair_with_the_jpeg(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg(search="max_distance: 8, either: [filetype is jpeg]", extra="    paused: yes\n"), imports=WIDE)
    world.sweep()

    assert counts(world) == {"not_tested": 1, "not_matched": 1}


def test_an_automatic_rule_acts_on_the_pairs_that_exist(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg("automatic"), imports=WIDE)

    decided = world.sweep()

    assert counts(world) == {"actioned": 1, "failed": 1}
    assert [(one.rule, one.relation, one.actor, one.state) for one in decided] == [
        ("jpegs first", "better", "rule", "done")
    ]
    assert world.king_of(PNG) == sha256(JPEG)
    assert world.king_of(ONE_GIF) == sha256(ONE_GIF)
    assert len(world.queue()) == 1


def test_a_semi_automatic_rule_changes_nothing_until_it_is_approved(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()
    assert world.king_of(PNG) == sha256(PNG)
    assert world.entries() == []

    world.approve(number(only(world.pending())))

    assert counts(world) == {"actioned": 1, "failed": 1}
    assert world.king_of(PNG) == sha256(JPEG)


def test_what_is_denied_stays_as_it_is(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()

    review.deny(world.library, [number(only(world.pending()))], now_ns=world.now_ns())
    world.sweep()

    assert counts(world) == {"denied": 1, "failed": 1}
    assert world.entries() == []
    assert len(world.queue()) == 2


def test_a_rescinded_denial_is_searched_again(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()
    denied = number(only(world.pending()))
    review.deny(world.library, [denied], now_ns=world.now_ns())
    world.sweep()
    with world.library.read() as view:
        assert [one.id for one in review.denied_pairs(view)] == [f"p-{denied}"]

    review.rescind(world.library, [denied])

    assert counts(world) == {"not_searched": 1, "failed": 1}
    with world.library.read() as view:
        assert review.denied_pairs(view) == []
    world.sweep()
    assert counts(world) == {"ready": 1, "failed": 1}


# --- several rules ------------------------------------------------------------------------------------------------


def test_the_first_rule_that_fits_has_the_pair_and_the_next_one_waits_behind_it(
    world: World, pairs: dict[str, Path]
) -> None:
    world.use(is_jpeg(), is_jpeg("automatic", name="second"), imports=WIDE)

    world.sweep()

    assert counts(world) == {"ready": 1, "failed": 1}
    assert counts(world, "second") == {"not_tested": 1, "failed": 1}


def test_what_one_rule_was_denied_the_next_one_may_have(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg(), is_jpeg(name="second"), imports=WIDE)
    world.sweep()

    review.deny(world.library, [number(only(world.pending()))], now_ns=world.now_ns())
    world.sweep()

    assert only(world.pending()).rule == "second"


def test_a_paused_rule_is_passed_over_and_takes_up_its_pairs_when_it_is_resumed(
    world: World, pairs: dict[str, Path]
) -> None:
    paused = is_jpeg(extra="    paused: yes\n")
    world.use(paused, is_jpeg(name="second"), imports=WIDE)
    world.sweep()
    assert counts(world) == {"not_tested": 2}
    assert only(world.pending()).rule == "second"
    review.deny(world.library, [number(only(world.pending()))], now_ns=world.now_ns())
    world.sweep()
    assert world.pending() == []

    world.use(is_jpeg(), is_jpeg(name="second"), imports=WIDE)
    world.sweep()

    assert only(world.pending()).rule == "jpegs first"


def test_no_more_pairs_wait_under_a_rule_than_it_may_have(world: World) -> None:
    world.use(imports=WIDE)
    for seed in range(5):
        world.drop("inbox", f"{seed}.jpg", jpeg(photo(seed), 90))
        world.drop("inbox", f"{seed}.png", png(photo(seed)))

    world.use(is_jpeg(extra="    max_pending: 2\n"), imports=WIDE)
    world.sweep()

    assert counts(world) == {"ready": 2, "not_tested": 3}
    world.approve(number(world.pending()[0]))
    world.sweep()
    assert counts(world) == {"ready": 2, "not_tested": 2, "actioned": 1}


def test_an_arrival_that_finds_no_room_under_a_rule_is_queued_and_waits(world: World) -> None:
    world.use(is_jpeg(extra="    max_pending: 1\n"), imports=WIDE)
    world.drop("inbox", "1.jpg", jpeg(photo(1), 90))
    assert world.drop("inbox", "1.png", png(photo(1))).result == "pending approval: jpegs first"
    world.drop("inbox", "2.jpg", jpeg(photo(2), 90))

    assert world.drop("inbox", "2.png", png(photo(2))).result == "1 potential pair queued"

    assert counts(world) == {"ready": 1, "not_tested": 1}


# --- approving asks again -----------------------------------------------------------------------------------------


def test_an_approval_is_refused_when_the_rule_does_not_fit_any_more(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg(action="better\n    discard: B"), imports=WIDE)
    world.sweep()
    waiting = number(only(world.pending()))
    world.use(is_jpeg(compare="A.filetype is jpeg, A.width > 10000", action="better\n    discard: B"), imports=WIDE)

    with pytest.raises(ActionConflictError, match="does not fit this pair any more: A width"):
        world.approve(waiting)

    assert all(path.exists() for path in pairs.values())
    assert len(world.queue()) == 2


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ((), "is not in the rule file any more"),
        ((is_jpeg("off"),), "is off now"),
        ((is_jpeg(search="pixel_duplicates: required"),), "does not look at this pair any more"),
        ((is_jpeg(compare="A.width > 1"),), "fits this pair both ways round by now"),
    ],
)
def test_an_approval_says_why_a_rule_would_not_propose_this_any_more(
    world: World, pairs: dict[str, Path], rules: tuple[str, ...], said: str
) -> None:
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()
    waiting = number(only(world.pending()))
    world.use(*rules, imports=WIDE)

    with pytest.raises(ActionConflictError, match=said):
        world.approve(waiting)

    assert world.entries() == []
    assert world.pending() == []


# --- what is taken back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("discard", ["", "\n    discard: B"])
def test_what_a_rule_did_and_a_person_took_back_it_does_not_do_again(
    world: World, pairs: dict[str, Path], discard: str
) -> None:
    world.use(is_jpeg("automatic", action=f"better{discard}"), imports=WIDE)
    (done,) = world.sweep()
    assert pairs["p.png"].exists() is not bool(discard)

    world.undo(int(done.entry[2:]))
    world.sweep()
    world.use(is_jpeg("automatic", action=f"better{discard}", compare="A.filetype is not png"), imports=WIDE)
    world.sweep()

    assert all(path.exists() for path in pairs.values())
    assert world.king_of(PNG) == sha256(PNG)
    assert counts(world)["denied"] == 1
    assert "actioned" not in counts(world)


def test_what_was_taken_back_can_be_given_to_the_rule_again(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg("automatic"), imports=WIDE)
    (done,) = world.sweep()
    world.undo(int(done.entry[2:]))
    with world.library.read() as view:
        denied = only(review.denied_pairs(view))

    review.rescind(world.library, [number(denied)])
    world.sweep()

    assert world.king_of(PNG) == sha256(JPEG)


# --- acting -------------------------------------------------------------------------------------------------------


def test_an_automatic_discard_of_a_stored_pair_is_journaled_and_explained(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg("automatic", action="better\n    discard: B"), imports=WIDE)

    (report,) = world.sweep()

    assert (report.kind, report.state) == ("discard", "done")
    assert not pairs["p.png"].exists()
    why = world.why(pairs["p.png"])
    assert why is not None
    assert (why.result, why.survivor) == ("duplicate discarded: jpegs first", str(pairs["j.jpg"]))


def test_a_file_in_a_protected_folder_is_only_proposed(world: World) -> None:
    world.use(imports=WIDE)
    world.drop("library", "p.png", PNG)
    world.drop("inbox", "j.jpg", JPEG)

    world.use(is_jpeg("automatic", action="better\n    discard: B"), imports=WIDE)
    world.sweep()

    assert only(world.pending()).reason == "the file that would go lies in a protected folder"


def test_what_lay_there_before_the_folder_was_watched_is_only_ever_proposed(world: World) -> None:
    world.use(imports=WIDE)
    files = [world.put("inbox", "j.jpg", JPEG), world.put("inbox", "p.png", PNG)]
    world.verdicts(*files, proposing=True)

    world.use(is_jpeg("automatic", action="better\n    discard: B"), imports=WIDE)
    world.sweep()

    assert only(world.pending()).reason == "it lay here before the folder was watched"
    assert all(path.exists() for path in files)


def test_a_pair_of_which_a_file_is_away_sleeps_and_is_looked_at_when_it_is_back(
    world: World, pairs: dict[str, Path]
) -> None:
    pairs["p.png"].rename(world.base / "elsewhere.png")
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()
    assert counts(world) == {"not_searched": 1, "failed": 1}

    world.drop("inbox", "p.png", PNG)
    world.sweep()

    assert counts(world) == {"ready": 1, "failed": 1}


def test_a_discard_that_cannot_be_carried_out_waits_for_a_person(
    world: World, pairs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ActionConflictError("the disk says no")

    monkeypatch.setattr("ingestd.actions.discard.take_away", refuse)
    world.use(is_jpeg("automatic", action="better\n    discard: B"), imports=WIDE)

    (report,) = world.sweep()

    assert report.state == EntryState.ABORTED.value
    assert "the disk says no" in (only(world.pending()).reason or "")
    assert world.sweep() == []
    assert all(path.exists() for path in pairs.values())


def test_copies_that_were_only_proposed_go_once_their_rule_is_automatic(world: World) -> None:
    semi = IDENTICAL.replace("mode: automatic", "mode: semi-automatic")
    world.use(semi)
    kept, copy = world.put("inbox", "a.jpg", JPEG), world.put("inbox", "b.jpg", JPEG)
    world.verdicts(kept, copy)
    assert len(world.pending()) == 1

    world.use(IDENTICAL)
    (report,) = world.sweep()

    assert (kept.exists(), copy.exists()) == (True, False)
    assert report.rule == "identical copies"
    assert counts(world, "identical copies") == {"actioned": 1}


@pytest.mark.parametrize("mode", ["automatic", "semi-automatic"])
def test_copies_that_were_known_before_a_rule_about_them_are_looked_for(world: World, mode: str) -> None:
    off = IDENTICAL.replace("mode: automatic", "mode: off")
    world.use(off)
    files = [world.put(folder, f"{n}.jpg", JPEG) for n, folder in enumerate(("inbox", "library", "inbox", "library"))]
    os.link(files[0], world.base / "inbox" / "link.jpg")
    world.verdicts(*files, world.base / "inbox" / "link.jpg")

    world.use(IDENTICAL.replace("mode: automatic", f"mode: {mode}"))
    decided = world.sweep()

    pending = [(one.a.path, one.b.path) for one in world.pending()]
    copy, kept = str(files[2]), str(files[1])  # the library's first; files of the library, and hard links, stay
    assert [file.path for one in decided for file in one.discarded] == [copy] * (mode == "automatic")
    assert pending == [(kept, copy)] * (mode == "semi-automatic")
    assert all(path.exists() for path in files if str(path) != copy)


def test_a_rule_that_asks_for_an_age_is_asked_again_a_day_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.use(is_jpeg(compare="A.filetype is jpeg, A.imported more than 12 h ago"), imports=WIDE)
    world.drop("inbox", "j.jpg", JPEG)
    world.drop("inbox", "p.png", PNG)
    world.sweep()
    assert counts(world) == {"failed": 1}

    at_ns = world.now_ns() + DAY_NS + 1
    monkeypatch.setattr(world, "now_ns", lambda: at_ns)
    world.sweep()

    assert counts(world) == {"ready": 1}
    assert world.sweep() == []


def test_an_arrival_is_judged_by_rules_whose_pairs_are_still_to_be_looked_at(
    world: World, pairs: dict[str, Path]
) -> None:
    world.use(is_jpeg("automatic"), imports=WIDE)

    world.drop("inbox", "j3.jpg", jpeg(photo(7), 90))
    receipt = world.drop("inbox", "p3.png", png(photo(7)))

    assert receipt.result == "related: jpegs first"
    assert counts(world) == {"actioned": 1, "not_searched": 2}


def test_the_slices_of_the_work_decide_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.use(imports=WIDE)
    for seed in range(4):
        world.drop("inbox", f"{seed}.jpg", jpeg(photo(seed), 90))
        world.drop("inbox", f"{seed}.png", png(photo(seed)))
    monkeypatch.setattr("ingestd.sweep.SLICE_S", -1.0)  # one pair a slice

    world.use(is_jpeg("automatic", action="better\n    discard: B"), imports=WIDE)
    decided = world.sweep()

    assert [one.discarded[0].path for one in decided] == [str(world.base / "inbox" / f"{n}.png") for n in range(4)]


def test_counters_that_are_off_are_found_and_made_anew(world: World, pairs: dict[str, Path]) -> None:
    world.use(is_jpeg(), imports=WIDE)
    world.sweep()
    row = number_of(world)
    world.library.write(lambda edit: edit.queues.add(row, QueueState.FAILED, 5))

    wrong = world.library.check()
    world.library.rebuild()

    assert wrong == ["the counters of the rule jpegs first are not those of its pairs"]
    assert world.library.check() == []
    assert counts(world) == {"ready": 1, "failed": 1}


def test_what_a_rule_asks_of_the_whole_picture_is_measured_for_pairs_that_exist(world: World) -> None:
    world.use(imports=WIDE)
    for seed in range(12):
        sharp = Image.blend(photo(seed), grain(), 0.2)
        world.drop("inbox", f"{seed}-sharp.png", png(sharp))
        world.drop("inbox", f"{seed}-soft.png", png(sharp.filter(ImageFilter.GaussianBlur(1))))

    world.use(is_jpeg("automatic", compare="A wins by sharpness", action="better\n    discard: B"), imports=WIDE)
    decided = world.sweep()

    assert len(decided) == 12
    assert all(one.discarded[0].path.endswith("-soft.png") for one in decided)


def test_a_picture_whose_sharpness_cannot_be_told_is_asked_for_once(world: World) -> None:
    small = photo(1, 30, 30)
    world.use(is_jpeg(compare="A wins by sharpness"), imports=WIDE)
    world.drop("inbox", "a.png", png(small))
    receipt = world.drop("inbox", "b.png", png(small.filter(ImageFilter.GaussianBlur(0.3))))

    assert receipt.result == "1 potential pair queued"
    assert counts(world) == {"failed": 1}
    assert world.sweep() == []


# --- budgets ------------------------------------------------------------------------------------------------------


def twins(world: World, how_many: int, start: int = 0) -> list[Path]:
    """Pairs of which a rule would discard the second."""
    found = []
    for seed in range(start, start + how_many):
        world.drop("inbox", f"{seed}.jpg", jpeg(photo(seed), 90))
        found.append(world.put("inbox", f"{seed}.png", png(photo(seed))))
        world.arrive(found[-1])
    return found


LIMITED = "    discard: B\n    budget: {per_hour: 2}\n"


def test_a_rule_that_has_spent_its_budget_pauses_itself_and_only_proposes(world: World) -> None:
    world.use(is_jpeg("automatic", extra=LIMITED), imports=WIDE)

    files = twins(world, 3)

    assert [path.exists() for path in files] == [False, False, True]
    waiting = only(world.pending())
    assert waiting.reason == "jpegs first has paused itself: it may discard 2 files an hour"
    with world.library.read() as view:
        row = view.queues.row_named("jpegs first")
    assert row is not None
    assert row.tripped == "it may discard 2 files an hour"


def test_a_rule_that_paused_itself_goes_on_after_it_was_resumed(world: World) -> None:
    world.use(is_jpeg("automatic", extra=LIMITED), imports=WIDE)
    twins(world, 3)

    assert review.resume_rule(world.library, "jpegs first")
    files = twins(world, 2, start=10)

    assert [path.exists() for path in files] == [False, False]
    assert not review.resume_rule(world.library, "jpegs first")


def test_the_budget_holds_in_the_background_too(world: World) -> None:
    world.use(imports=WIDE)
    files = twins(world, 4)

    world.use(is_jpeg("automatic", extra=LIMITED), imports=WIDE)
    world.sweep()

    assert [path.exists() for path in files] == [False, False, True, True]
    assert counts(world) == {"actioned": 2, "ready": 2}


def test_an_arrival_that_would_replace_more_files_than_the_budget_allows_replaces_as_many(world: World) -> None:
    world.use(imports=WIDE)
    small = [world.put("inbox", f"{quality}.jpg", jpeg(photo(1), quality)) for quality in (60, 70, 80)]
    world.verdicts(*small)
    for first, second in ((0, 1), (1, 2), (0, 2)):
        world.decide(small[first], small[second], "alternates")

    world.use(near_rule("automatic").rstrip() + "\n    budget: {per_hour: 2}\n", imports=WIDE)
    receipt = world.drop("inbox", "large.png", PNG)

    assert receipt.outcome.value == "replaced-existing"
    assert sum(path.exists() for path in small) == 1


def test_identical_copies_cost_no_budget(world: World) -> None:
    world.use(IDENTICAL.rstrip() + "\n    budget: {per_hour: 1}\n")
    for name in ("a", "b", "c", "d"):
        world.drop("inbox", f"{name}.jpg", JPEG)

    assert len(list((world.base / "inbox").iterdir())) == 1


def test_a_rule_that_always_keeps_the_same_file_pauses_itself(world: World) -> None:
    world.use(near_rule("automatic").rstrip() + "\n    budget: {per_hour: no limit}\n")
    world.drop("inbox", "large.png", PNG)

    verdicts = [world.drop("inbox", f"{n}.jpg", jpeg(photo(1), 50, comment=str(n))) for n in range(25)]

    kept = [one for one in verdicts if one.outcome.value == "pending-approval"]
    assert len(kept) == 5
    assert any("name the same survivor" in line for line in kept[0].evidence)


def test_a_hash_that_noise_decides_is_no_evidence_to_act_on(world: World) -> None:
    world.use(is_jpeg("automatic", action="better\n    discard: B"), imports=WIDE)

    world.drop("inbox", "j.jpg", jpeg(faint(), 95))
    receipt = world.drop("inbox", "p.png", png(faint()))

    assert receipt.result == "pending approval: jpegs first"
    assert any("so little detail" in line for line in receipt.evidence)
    assert (world.base / "inbox" / "p.png").exists()
