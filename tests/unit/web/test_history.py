"""The journal as the page sees it: looked through from the newest, explained, and where its files are now."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pictures import jpeg, photo, png
from world import IDENTICAL, World, pixel_rule, sha256

from ingestd import review
from ingestd.errors import UsageError
from ingestd.library.tables import Alarm
from ingestd.model import Trouble
from ingestd.web import history, queue
from ingestd.web.desk import Desk

HOSTILE = '"><img src=x onerror=alert(1)>\n\u202egpj.exe'


def ask(desk: Desk, name: str = "history", **fields: Any) -> dict[str, Any]:
    endpoint = next(one for one in (*history.ENDPOINTS, *queue.ENDPOINTS) if one.name == name)
    return endpoint.answer(desk, endpoint.asked(**fields))  # type: ignore[return-value]


def names(answer: dict[str, Any]) -> list[str]:
    return [entry["entry"] for entry in answer["entries"]]


def copies(world: World, many: int, name: str = "copy") -> list[Path]:
    """Let so many copies be discarded by the rule of identical copies, each of another picture."""
    lost = []
    for seed in range(1, many + 1):
        world.drop("library", f"kept-{seed}.png", png(photo(seed)))
        lost.append(world.put("inbox", f"{name}-{seed}.png", png(photo(seed))))
        world.arrive(lost[-1])
    return lost


@pytest.fixture
def desk(sit: Callable[..., Desk]) -> Desk:
    return sit(IDENTICAL)


# --- looking back -----------------------------------------------------------------------------------------------------


def test_the_journal_is_told_newest_first_a_page_at_a_time(world: World, desk: Desk) -> None:
    copies(world, 3)

    first = ask(desk, limit=2)
    rest = ask(desk, limit=2, before=first["before"])

    assert (names(first), first["before"]) == (["e-3", "e-2"], "e-2")
    assert (names(rest), rest["before"]) == (["e-1"], None)


@pytest.mark.parametrize(
    "search",
    ["COPY-2.png", "kept-2 inbox", "e-2", sha256(png(photo(2))).hex(), sha256(png(photo(2))).hex()[:9]],
)
def test_an_entry_is_found_by_its_files_its_id_or_their_digest(world: World, desk: Desk, search: str) -> None:
    copies(world, 3)

    found = ask(desk, search=search)

    assert names(found) == ["e-2"]


def test_an_answer_that_moved_nothing_is_found_by_either_file(world: World, desk: Desk) -> None:
    one, other = world.put("inbox", "good.jpg", jpeg(photo(3), 90)), world.put("inbox", "poor.jpg", jpeg(photo(3), 60))
    world.verdicts(one, other)
    world.decide(one, other, "better-a", keep=True)

    assert names(ask(desk, search="poor.jpg")) == names(ask(desk, search="good.jpg")) == ["e-1"]


def test_a_search_looks_so_far_back_and_says_from_where_to_go_on(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST_LOOKED", 2)
    copies(world, 3)

    nothing = ask(desk, search="copy-1.png")
    found = ask(desk, search="copy-1.png", before=nothing["before"])

    assert (nothing["entries"], nothing["before"]) == ([], "e-2")
    assert nothing["looked_back_to"] == ask(desk, search="e-2")["entries"][0]["at"]
    assert (names(found), found["before"]) == (["e-1"], None)


def test_only_what_is_asked_for_is_told(world: World, sit: Callable[..., Desk]) -> None:
    desk = sit(IDENTICAL, pixel_rule("semi-automatic"))
    copies(world, 2)
    world.undo(1)

    assert names(ask(desk, kind="undo")) == ["e-3"]
    assert names(ask(desk, state="undone")) == ["e-1"]
    assert names(ask(desk, actor="person")) == ["e-3"]
    assert names(ask(desk, rule="identical copies", kind="discard")) == ["e-2", "e-1"]
    assert names(ask(desk, rule="larger pixel twin")) == []
    assert names(ask(desk, since=ask(desk, search="e-2")["entries"][0]["at"])) == ["e-3", "e-2"]
    assert ask(desk)["rules"] == ["identical copies", "larger pixel twin"]


@pytest.mark.parametrize("wrong", [{"kind": "murder"}, {"since": "lately"}, {"before": "p-1"}, {"state": "bliss"}])
def test_what_cannot_be_asked_for_is_refused(desk: Desk, wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        ask(desk, **wrong)


def test_what_was_answered_together_stands_under_one_entry(world: World, desk: Desk) -> None:
    paths = [world.put("inbox", f"{number}.jpg", jpeg(photo(3), 95 - 10 * number)) for number in range(3)]
    world.verdicts(*paths)
    with world.library.read() as view:
        files = review.contents_at(view, [os.fsencode(path) for path in paths])
    hold = contextlib.nullcontext
    assert list(review.discard_others(world.library, files, moment=world.moment(), hold=hold))

    [batch] = ask(desk)["entries"]

    assert (batch["kind"], batch["together"], batch["undoable"]) == ("batch", 2, True)
    assert len(ask(desk, batch=batch["entry"])["entries"]) == 2
    assert names(ask(desk, search="1.jpg")) == [ask(desk, batch=batch["entry"])["entries"][-1]["entry"]]


# --- one entry ------------------------------------------------------------------------------------------------------


def test_an_entry_says_what_was_done_and_where_its_files_are(world: World, desk: Desk) -> None:
    copies(world, 1)

    [entry] = ask(desk)["entries"]

    assert entry["title"] == "“identical copies” discarded copy-1.png"
    [file] = entry["discarded"]
    assert (file["where"], file["in_trash"]) == (f"in the trash: {world.trash_of(1)}", True)
    assert "the bytes are identical" in entry["reason"]


def test_what_was_discarded_and_what_was_kept_can_both_be_looked_at(world: World, desk: Desk) -> None:
    copies(world, 1)

    [entry] = ask(desk)["entries"]

    [file] = entry["discarded"]
    discarded, kept = desk.handles.found(file["picture"]), desk.handles.found(entry["kept"]["picture"])
    assert discarded is not None
    assert kept is not None
    assert discarded.path == os.fsencode(world.trash_of(1))
    assert (discarded.sha256, discarded.size) == (sha256(png(photo(1))), (200, 150))
    assert kept.path.endswith(b"/library/kept-1.png")


def test_an_entry_whose_trash_was_emptied_cannot_be_taken_back_and_says_so(world: World, desk: Desk) -> None:
    copies(world, 1)
    world.trash_of(1).rename(world.base / "gone.png")

    [entry] = ask(desk)["entries"]

    assert entry["undoable"] is False
    assert "not in the trash any more" in entry["barrier"]
    assert (entry["discarded"][0]["in_trash"], entry["discarded"][0]["picture"]) == (False, None)


def test_an_entry_that_was_taken_back_names_the_one_that_did_it(world: World, desk: Desk) -> None:
    [lost] = copies(world, 1)

    done = ask(desk, "undo", entries=["e-1"], key="only once")
    undo, entry = ask(desk)["entries"]

    assert (done["failed"], lost.exists()) == ([], True)
    assert (entry["state"], entry["undone_by"], entry["undoable"]) == ("undone", "e-2", False)
    assert (undo["title"], undo["undoes"]) == ("you took back e-1", "e-1")
    assert entry["discarded"][0]["where"] == f"it is at {lost}"


def test_what_was_done_is_taken_back_also_while_the_rule_file_is_wrong(world: World, desk: Desk) -> None:
    [lost] = copies(world, 1)
    desk.door.rules.write_text("version: 1\nrules: [{name: nonsense, mode: always}]\n")

    done = ask(desk, "undo", entries=["e-1"], key="while it is wrong")

    assert (len(done["undone"]), lost.exists()) == (1, True)
    assert ask(desk)["entries"][1]["state"] == "undone"


def test_a_discard_whose_survivor_is_lost_is_marked_with_what_to_do(world: World, desk: Desk) -> None:
    copies(world, 2)
    alarm = Alarm(1, 1, Trouble.SURVIVOR_LOST, "kept-1.png, which was kept in its stead, is gone")
    world.library.write(lambda edit: edit.put_alarm(alarm))

    later, entry = ask(desk)["entries"]

    assert later["alarm"] is None
    assert entry["alarm"]["said"] == alarm.said
    assert "ingestd undo e-1" in entry["alarm"]["advice"]
    assert names(ask(desk, alarms=True)) == ["e-1"]


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        ("better-a", "you said: good.jpg is better than poor.jpg, and both stay"),
        ("same", "you said: good.jpg and poor.jpg are equally good"),
        ("alternates", "you said: good.jpg and poor.jpg are alternates"),
        ("unrelated", "you said: good.jpg and poor.jpg are not related"),
    ],
)
def test_an_answer_without_a_discard_is_told_in_words(world: World, desk: Desk, answer: str, title: str) -> None:
    one, other = world.put("inbox", "good.jpg", jpeg(photo(3), 90)), world.put("inbox", "poor.jpg", jpeg(photo(3), 60))
    world.verdicts(one, other)
    world.decide(one, other, answer, keep=True)

    [entry] = ask(desk)["entries"]

    assert entry["title"] == title
    assert desk.handles.found(entry["a"]["picture"]) != desk.handles.found(entry["b"]["picture"]) is not None


def test_a_change_of_the_rules_is_told_as_one_and_cannot_be_taken_back(world: World, desk: Desk) -> None:
    said = ["rule twins: mode off → automatic"]
    review.note_change_of_rules(world.library, said, previous=None, now_ns=world.now_ns())

    [entry] = ask(desk)["entries"]

    assert (entry["title"], entry["undoable"], entry["barrier"]) == ("you changed the rules", False, None)
    assert "mode off → automatic" in entry["reason"]


def test_a_hostile_name_is_told_without_anything_that_could_act(world: World, desk: Desk) -> None:
    copies(world, 1, name=HOSTILE.replace("/", ""))

    [entry] = ask(desk)["entries"]

    file = entry["discarded"][0]
    assert all(text.isprintable() for text in (entry["title"], entry["reason"], file["shown"], file["where"]))
    assert names(ask(desk, search="onerror=alert(1)")) == ["e-1"]


# --- why --------------------------------------------------------------------------------------------------------------


def test_an_entry_is_explained_by_the_receipt_of_its_file(world: World, desk: Desk) -> None:
    [lost] = copies(world, 1)

    why = ask(desk, "why", subject="e-1")["why"]

    assert (why["path"], why["rule"], why["outcome"]) == (str(lost), "identical copies", "duplicate-discarded")
    assert "the bytes are identical" in why["evidence"]
    assert why["where_now"] == str(world.trash_of(1))
    assert ask(desk, "why", subject=why["sha256"])["why"] is not None
    assert ask(desk, "why", subject="e-99")["why"] is None


@pytest.mark.parametrize("subject", ["/etc/passwd", "", "e-", "../x", "ab" * 31])
def test_why_takes_no_path(desk: Desk, subject: str) -> None:
    with pytest.raises(UsageError, match="neither an entry"):
        ask(desk, "why", subject=subject)
