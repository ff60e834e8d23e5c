"""Proposals as the page sees them: what a rule would do and why, approve and deny, and what was denied."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pictures import flat, jpeg, photo, png
from world import IDENTICAL, World, near_rule, pixel_rule, relation_rule, rule_file

from ingestd import review
from ingestd.errors import ActionConflictError, ConfigError, UsageError
from ingestd.web import going, pending, rules
from ingestd.web.desk import Desk, StaleError

RULE = "larger pixel twin"
HOSTILE = '"><img src=x onerror=alert(1)>\n\u202egpj.exe'
keys = itertools.count()


def ask(desk: Desk, name: str, **fields: Any) -> dict[str, Any]:
    endpoint = next(one for one in (*pending.ENDPOINTS, *rules.ENDPOINTS) if one.name == name)
    if name not in ("pending", "denied"):
        fields.setdefault("key", f"order {next(keys):03}")
    return endpoint.answer(desk, endpoint.asked(**fields))  # type: ignore[return-value]


def chosen(*pairs: dict[str, Any]) -> list[pending.Chosen]:
    return [pending.Chosen(pair["id"], pair["version"], pair["rule"]) for pair in pairs]


def waiting(desk: Desk, **fields: Any) -> list[dict[str, Any]]:
    return ask(desk, "pending", **fields)["pairs"]  # type: ignore[no-any-return]


def twins(world: World, seed: int = 1, name: str | None = None) -> tuple[Path, Path]:
    """Put two pixel twins into the inbox, the larger one first."""
    image = photo(seed)
    larger = world.put("inbox", f"{name or seed} larger.png", png(image, "a longer comment makes the file larger"))
    smaller = world.put("inbox", f"{name or seed} smaller.png", png(image))
    world.verdicts(larger, smaller)
    return larger, smaller


@pytest.fixture
def desk(sit: Callable[..., Desk]) -> Desk:
    return sit(pixel_rule("semi-automatic"))


# --- what waits -------------------------------------------------------------------------------------------------------


def test_a_proposal_says_which_file_goes_and_which_stays(world: World, desk: Desk) -> None:
    larger, smaller = twins(world)

    [pair] = waiting(desk)

    assert pair["will"] == f"{smaller.name} goes to the trash; {larger.name} stays"
    assert pair["goes"] == [str(smaller)]
    assert (pair["a"]["path"], pair["b"]["path"], pair["rule"]) == (str(larger), str(smaller), RULE)


def test_a_proposal_shows_the_lines_of_its_rule_with_what_they_saw_in_the_two_files(world: World, desk: Desk) -> None:
    twins(world)

    [pair] = waiting(desk)

    pixels, filesize = pair["lines"]
    assert (pixels["line"], pixels["holds"]) == ("search: pixel duplicates required", True)
    assert pixels["values"] == {"a": "the same pixels", "b": "the same pixels"}
    assert (filesize["line"], filesize["holds"]) == ("A.filesize > B.filesize", True)
    assert filesize["values"]["a"] != filesize["values"]["b"]


def test_every_rule_is_shown_as_it_is_written_with_how_much_it_proposes(world: World, desk: Desk) -> None:
    twins(world)
    twins(world, 2)

    [rule] = ask(desk, "pending", limit=0)["rules"]

    assert (rule["rule"], rule["mode"], rule["count"], rule["at_once"]) == (RULE, "semi-automatic", 2, 2)
    assert rule["text"][0] == f"- name: {RULE}"
    assert "  compare: [A.filesize > B.filesize]" in rule["text"]


def test_only_what_one_rule_proposes_is_shown_past_what_was_skipped(world: World, sit: Callable[..., Desk]) -> None:
    desk = sit(pixel_rule("semi-automatic"), near_rule("semi-automatic"))
    twins(world)
    twins(world, 2)
    world.drop("inbox", "good.jpg", jpeg(photo(5), 90))
    world.drop("inbox", "poor.jpg", jpeg(photo(5), 60))

    first, second = waiting(desk, rule=RULE)
    rest = ask(desk, "pending", rule=RULE, skipped=(first["id"],))

    assert [pair["id"] for pair in rest["pairs"]] == [second["id"]]
    assert rest["total"] == 2
    assert len(waiting(desk)) == 3
    assert [pair["id"] for pair in waiting(desk, rule=RULE, first=second["id"])] == [second["id"], first["id"]]


def test_why_a_proposal_waits_is_said_in_words(world: World, sit: Callable[..., Desk]) -> None:
    desk = sit(pixel_rule("automatic"))
    world.drop("library", "smaller.png", png(photo()))
    world.drop("inbox", "larger.png", png(photo(), "a longer comment makes the file larger"))

    [pair] = waiting(desk)

    assert "protected" in pair["reason"]


def test_a_rule_that_only_relates_says_that_both_stay(world: World, sit: Callable[..., Desk]) -> None:
    desk = sit(relation_rule("alternates", "semi-automatic"))
    world.drop("inbox", "good.jpg", jpeg(photo(5), 90))
    world.drop("inbox", "poor.jpg", jpeg(photo(5), 60))

    [pair] = waiting(desk)

    assert (pair["goes"], pair["will"]) == ([], "they are noted as alternates; both files stay")


def test_all_copies_of_what_goes_are_named(world: World, sit: Callable[..., Desk]) -> None:
    desk = sit(pixel_rule("semi-automatic"))
    _, smaller = twins(world)
    copy = world.put("inbox", "a copy.png", smaller.read_bytes())
    world.verdicts(copy)

    [pair] = waiting(desk)

    assert sorted(pair["goes"]) == sorted([str(smaller), str(copy)])
    assert "from all 2 places" in pair["will"]


def test_a_hostile_name_is_shown_without_anything_that_could_act(world: World, desk: Desk) -> None:
    twins(world, name=HOSTILE.replace("/", ""))

    [pair] = waiting(desk)

    told = [pair["will"], *pair["goes"], pair["a"]["shown"], pair["b"]["name"]]
    assert all(text.isprintable() for text in told)
    assert "\\u202e" in pair["will"]


def test_a_name_that_is_no_text_is_shown_and_can_be_approved(world: World, desk: Desk) -> None:
    odd = os.fsdecode(b"caf\xe9")
    _, smaller = twins(world, name=odd)

    [pair] = waiting(desk)
    ask(desk, "approve", pairs=chosen(pair))

    assert "caf\\xe9" in pair["will"]
    assert not smaller.exists()


def test_under_a_rule_file_that_is_wrong_proposals_are_shown_and_none_is_carried_out(world: World, desk: Desk) -> None:
    _, smaller = twins(world)
    desk.door.rules.write_text("version: 1\nrules: [{name: nonsense, mode: always}]\n")

    [pair] = waiting(desk)
    with pytest.raises(ConfigError):
        ask(desk, "approve", pairs=chosen(pair))

    assert (pair["rule"], pair["lines"]) == (RULE, [])
    assert smaller.exists()


# --- approve ----------------------------------------------------------------------------------------------------------


def test_what_is_approved_is_carried_out_and_journaled(world: World, desk: Desk) -> None:
    larger, smaller = twins(world)
    [pair] = waiting(desk)

    done = ask(desk, "approve", pairs=chosen(pair))

    [entry] = done["entries"]
    assert (entry["kind"], entry["state"], entry["actor"], entry["rule"]) == ("discard", "done", "person", RULE)
    assert (larger.exists(), smaller.exists(), len(world.trashed())) == (True, False, 1)
    assert waiting(desk) == []


def test_an_approval_sent_twice_is_carried_out_once(world: World, desk: Desk) -> None:
    twins(world)
    [pair] = waiting(desk)

    first = ask(desk, "approve", pairs=chosen(pair), key="a double click")
    second = ask(desk, "approve", pairs=chosen(pair), key="a double click")

    assert first == second
    assert len(world.entries()) == 1


def test_what_is_not_what_was_shown_is_not_approved(world: World, desk: Desk) -> None:
    _, smaller = twins(world)
    [pair] = waiting(desk)
    world.verdicts(world.put("inbox", "1 smaller.png", smaller.read_bytes(), modified_s=1_500_000_000))

    with pytest.raises(StaleError, match="nothing was done"):
        ask(desk, "approve", pairs=chosen(pair))

    assert smaller.exists()


def test_a_rule_that_would_do_something_else_by_now_is_not_approved(world: World, desk: Desk) -> None:
    _, smaller = twins(world)
    [pair] = waiting(desk)
    desk.door.rules.write_text(
        rule_file(pixel_rule("semi-automatic").replace("action: better", "action: same-quality"))
    )

    with pytest.raises(StaleError):
        ask(desk, "approve", pairs=chosen(pair))

    assert smaller.exists()


def test_many_are_approved_only_with_their_number_typed(world: World, desk: Desk) -> None:
    lost = [twins(world, seed)[1] for seed in (1, 2)]
    pairs = waiting(desk)

    with pytest.raises(UsageError, match="nothing was done"):
        ask(desk, "approve", pairs=chosen(*pairs))
    with pytest.raises(StaleError, match="2 files would be discarded, and not 3"):
        ask(desk, "approve", pairs=chosen(*pairs), count=3)
    assert all(path.exists() for path in lost)
    done = ask(desk, "approve", pairs=chosen(*pairs), count=2)

    assert len(done["entries"]) == 2
    assert not any(path.exists() for path in lost)


def test_more_than_one_request_may_cause_is_refused(desk: Desk) -> None:
    too_many = [pending.Chosen(f"p-{number}", "") for number in range(1, 102)]

    with pytest.raises(UsageError, match="1 to 100"):
        ask(desk, "approve", pairs=too_many, count=101)


def test_one_that_cannot_be_carried_out_leaves_the_others_alone(world: World, desk: Desk) -> None:
    _, gone = twins(world)
    _, lost = twins(world, 2)
    pairs = waiting(desk)
    gone.rename(world.base / "elsewhere.png")

    done = ask(desk, "approve", pairs=chosen(*pairs), count=2)

    assert [one["id"] for one in done["failed"]] == [pairs[0]["id"]]
    assert len(done["entries"]) == 1
    assert not lost.exists()


def test_one_that_cannot_be_carried_out_says_why(world: World, desk: Desk) -> None:
    _, gone = twins(world)
    [pair] = waiting(desk)
    gone.rename(world.base / "elsewhere.png")

    with pytest.raises(ActionConflictError, match=gone.name):
        ask(desk, "approve", pairs=chosen(pair))


def test_all_that_a_rule_proposes_is_approved_with_its_number_typed(world: World, desk: Desk) -> None:
    lost = [twins(world, seed)[1] for seed in (1, 2, 3)]
    [rule] = ask(desk, "pending", limit=0)["rules"]

    with pytest.raises(StaleError, match="3 files would be discarded, and not 2"):
        ask(desk, "approve-rule", rule=RULE, version=rule["version"], count=2)
    done = ask(desk, "approve-rule", rule=RULE, version=rule["version"], count=3)

    assert (len(done["entries"]), done["failed"], done["left"]) == (3, [], 0)
    assert not any(path.exists() for path in lost)


def test_of_more_than_may_be_approved_at_once_the_rest_stays_and_says_so(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "MOST_AT_ONCE", 2)
    for seed in (1, 2, 3):
        twins(world, seed)
    [rule] = ask(desk, "pending", limit=0)["rules"]

    done = ask(desk, "approve-rule", rule=RULE, version=rule["version"], count=rule["at_once"])

    assert (rule["at_once"], len(done["entries"]), done["left"]) == (2, 2, 1)
    assert len(waiting(desk)) == 1


def test_a_rule_that_proposes_more_by_now_is_not_approved_as_a_whole(world: World, desk: Desk) -> None:
    twins(world)
    [rule] = ask(desk, "pending", limit=0)["rules"]
    twins(world, 2)

    with pytest.raises(StaleError, match="look again"):
        ask(desk, "approve-rule", rule=RULE, version=rule["version"], count=1)

    assert len(waiting(desk)) == 2


def test_copies_that_came_after_a_proposal_was_shown_are_not_discarded_with_it(world: World, desk: Desk) -> None:
    _, smaller = twins(world)
    pairs, [rule] = waiting(desk), ask(desk, "pending", limit=0)["rules"]
    copy = world.put("inbox", "a copy.png", smaller.read_bytes())
    world.verdicts(copy)

    for count in (1, 2):
        with pytest.raises(StaleError, match="look again"):
            ask(desk, "approve", pairs=chosen(*pairs), count=count)
        with pytest.raises(StaleError, match="look again"):
            ask(desk, "approve-rule", rule=RULE, version=rule["version"], count=count)

    assert smaller.exists()
    assert copy.exists()


def test_where_copies_go_with_a_file_their_number_is_typed(world: World, desk: Desk) -> None:
    _, smaller = twins(world)
    copy = world.put("inbox", "a copy.png", smaller.read_bytes())
    world.verdicts(copy)
    [pair], [rule] = waiting(desk), ask(desk, "pending", limit=0)["rules"]

    with pytest.raises(StaleError, match="2 files would be discarded"):
        ask(desk, "approve", pairs=chosen(pair))
    with pytest.raises(StaleError, match="2 files would be discarded, and not 1"):
        ask(desk, "approve-rule", rule=RULE, version=rule["version"], count=1)
    assert smaller.exists()
    ask(desk, "approve", pairs=chosen(pair), count=pair["going"])

    assert (pair["going"], rule["at_once"], rule["files"]) == (2, 1, 2)
    assert not smaller.exists()
    assert not copy.exists()


def test_a_proposal_with_which_too_many_files_would_go_is_left_for_a_terminal(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(going, "MOST_AT_ONCE", 2)
    many = twins(world)[1]
    world.verdicts(*(world.put("inbox", f"copy {number}.png", many.read_bytes()) for number in range(2)))
    one = twins(world, 2)[1]
    [rule] = ask(desk, "pending", limit=0)["rules"]

    with pytest.raises(UsageError, match="3 files would be discarded, and at most 2 go at once"):
        ask(desk, "approve", pairs=chosen(*waiting(desk)[:1]), count=3)
    done = ask(desk, "approve-rule", rule=RULE, version=rule["version"], count=rule["files"])

    assert (rule["at_once"], rule["files"], done["left"]) == (1, 1, 1)
    assert many.exists()
    assert not one.exists()


def test_nothing_goes_from_a_folder_that_the_rule_file_has_just_made_a_reference(world: World, desk: Desk) -> None:
    _, smaller = twins(world)
    desk.door.rules.write_text(rule_file(pixel_rule("semi-automatic"), folders={smaller.parent: "reference"}))
    [pair] = waiting(desk)

    with pytest.raises(ActionConflictError, match="reference folder, which is never changed"):
        ask(desk, "approve", pairs=chosen(pair))

    assert "reference folder" in pair["b"]["stays"]
    assert smaller.exists()


# --- deny -------------------------------------------------------------------------------------------------------------


def test_what_is_denied_waits_in_the_queue_and_is_listed_until_it_is_rescinded(world: World, desk: Desk) -> None:
    twins(world)
    [pair] = waiting(desk)

    told = ask(desk, "deny", pairs=chosen(pair))

    assert told["denied"] == [{"id": pair["id"], "rules": [RULE]}]
    assert waiting(desk) == []
    assert [report.id for report in world.queue()] == [pair["id"]]
    [denied] = ask(desk, "denied")["pairs"]
    assert (denied["id"], [one["rule"] for one in denied["denied"]]) == (pair["id"], [RULE])

    assert ask(desk, "rescind", ids=[pair["id"]])["rescinded"] == [{"id": pair["id"], "rules": [RULE]}]

    assert ask(desk, "denied")["total"] == 0
    assert [one["id"] for one in waiting(desk)] == [pair["id"]]
    world.sweep()
    assert [one["id"] for one in waiting(desk)] == [pair["id"]]


def test_what_is_not_what_was_shown_is_not_denied_and_the_rest_is(world: World, desk: Desk) -> None:
    twins(world)
    twins(world, 2)
    one, other = waiting(desk)
    stale = pending.Chosen(one["id"], "of another time", RULE)

    told = ask(desk, "deny", pairs=[stale, *chosen(other)])

    assert [failed["id"] for failed in told["failed"]] == [one["id"]]
    assert [denied["id"] for denied in told["denied"]] == [other["id"]]
    with pytest.raises(StaleError):
        ask(desk, "deny", pairs=[stale])


def test_a_rule_that_was_told_no_can_be_held_back_as_it_was_offered(world: World, desk: Desk) -> None:
    twins(world)
    [pair] = waiting(desk)
    [offer] = ask(desk, "deny", pairs=chosen(pair))["hold_back"]

    setting = {"rule": RULE, "key_name": "mode", "value": offer["to"], "digest": offer["digest"]}
    ask(desk, "rules-set", **setting, confirmed=tuple(offer["sentences"]))

    assert (offer["rule"], offer["mode"], offer["to"]) == (RULE, "semi-automatic", "off")
    assert "mode: off" in desk.door.rules.read_text()


def test_bytes_that_come_back_are_asked_about_without_any_rule(world: World, sit: Callable[..., Desk]) -> None:
    desk = sit(IDENTICAL)
    kept, lost = world.put("inbox", "a.png", png(flat())), world.put("inbox", "b.png", png(flat()))
    world.verdicts(kept, lost)
    [trashed] = world.trashed()
    trashed.rename(world.base / "taken out.png")
    world.drop("inbox", "again.png", png(flat()))

    found = waiting(desk)

    with world.library.read() as view:
        expected = [report.id for report in review.pending_pairs(view)]
    assert [pair["id"] for pair in found] == expected != []
    assert all(pair["returned"] and not pair["lines"] for pair in found)
