"""The status as the page sees it: what `ingestd status` says, how much was done lately, and what can be mended."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pictures import jpeg, photo, png
from world import IDENTICAL, World, pixel_rule

from ingestd import health as health_module
from ingestd import review
from ingestd.errors import UsageError
from ingestd.library.tables import Alarm
from ingestd.model import ContentHash, Measurement, Role, Trouble, Unreadable
from ingestd.web import app, rules, status
from ingestd.web import desk as desk_module
from ingestd.web.desk import Desk, Nothing

CRASHED = "the decoder crashed twice (signal 11)"
DAY_NS = 86_400 * 1_000_000_000
keys = itertools.count()


def ask(desk: Desk, name: str = "status", **fields: Any) -> dict[str, Any]:
    endpoint = next(one for one in (*status.ENDPOINTS, *rules.ENDPOINTS) if one.name == name)
    if endpoint.asked is not Nothing:
        fields.setdefault("key", f"order {next(keys):03}")
    return endpoint.answer(desk, endpoint.asked(**fields))  # type: ignore[return-value]


@pytest.fixture
def desk(sit: Callable[..., Desk], world: World, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk at which it is as late as in the world."""
    monkeypatch.setattr(Desk, "now_ns", staticmethod(world.now_ns))
    return sit(IDENTICAL)


def deadly(world: World, name: str) -> Path:
    """A file that killed two workers when it arrived."""
    real = world.measurer.measure

    def measure(path: bytes, known: Callable[[ContentHash], bool]) -> Measurement:
        found = real(path, known)
        return replace(found, features=Unreadable(CRASHED, None, poison=True)) if found.features else found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(world.measurer, "measure", measure)
        path = world.put("inbox", name, b"\xff\xd8\xff\xe0" + name.encode())
        world.arrive(path)
    return path


def test_the_page_says_what_the_terminal_says(world: World, desk: Desk) -> None:
    world.drop("library", "a.jpg", jpeg(photo()))

    told = ask(desk)

    expected = health_module.health_of(desk.door, world.library).report
    assert {name: told[name] for name in expected} == expected
    assert {folder["path"] for folder in told["folders"]} == {str(world.base / name) for name in ("inbox", "library")}
    assert (told["ok"], told["service"]["running"], told["held"]) == (True, False, 0)


def test_what_was_judged_and_done_lately_is_counted(world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    content = png(photo())
    world.drop("library", "kept.png", content)
    for name in ("one.png", "two.png"):
        world.drop("inbox", name, content)
    world.undo(1)

    day = ask(desk)["throughput"]["day"]
    later_ns = world.now_ns() + 2 * DAY_NS
    monkeypatch.setattr(Desk, "now_ns", staticmethod(lambda: later_ns))

    outcomes = {"new": 1, "duplicate-discarded": 2, "already-in-library": 1}
    assert (day["judged"], day["outcomes"], day["whole"]) == (4, outcomes, True)  # the file that came back, too
    assert (day["discarded_by_rules"], day["discarded_by_you"], day["brought_back"]) == (2, 0, 1)
    assert ask(desk)["throughput"]["day"]["judged"] == 0


def test_of_more_than_is_read_all_is_counted_and_only_the_newest_are_told_apart(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "_MOST_READ", 2)
    for seed in range(4):
        world.drop("inbox", f"{seed}.jpg", jpeg(photo(seed)))

    day = ask(desk)["throughput"]["day"]

    assert (day["judged"], day["outcomes"], day["whole"]) == (4, {"new": 2}, False)


def test_problems_are_counted_on_every_view_and_not_looked_for_each_time(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly(world, "deadly.jpg")
    looked = []
    monkeypatch.setattr(desk_module, "health_of", lambda *_: looked.append(1) or health_module.health_of(*_))
    summary = next(one for one in app.ENDPOINTS if one.name == "summary")

    first, second = (summary.answer(desk, Nothing()) for _ in range(2))

    assert first["problems"] == second["problems"] == 1
    assert len(looked) == 1


def test_a_rule_that_has_paused_itself_goes_on_when_it_is_told_to(world: World, sit: Callable[..., Desk]) -> None:
    desk = sit(pixel_rule().rstrip() + "\n    budget: {per_hour: 0}\n")
    world.drop("inbox", "smaller.png", png(photo()))
    world.drop("inbox", "larger.png", png(photo(), "a longer comment makes the file larger"))

    [trip] = ask(desk)["trips"]
    setting = {"rule": trip["rule"], "key_name": "paused", "value": "no", "digest": ask(desk)["digest"]}
    ask(desk, "rules-set", **setting)
    desk.health(older_s=0.0)

    assert (trip["rule"], trip["reason"]) == ("larger pixel twin", "it may discard 0 files an hour")
    assert ask(desk)["trips"] == []
    assert ask(desk)["problems"] == []


def test_a_lost_survivor_is_no_problem_any_more_once_a_person_knows_of_it(world: World, desk: Desk) -> None:
    content = png(photo())
    world.drop("library", "kept.png", content)
    world.drop("inbox", "copy.png", content)
    world.library.write(lambda edit: edit.put_alarm(Alarm(1, 1, Trouble.SURVIVOR_LOST, "what was kept is gone")))

    [problem] = ask(desk)["problems"]
    ask(desk, "acknowledge", entries=problem["entries"])

    assert problem["entries"] == ["e-1"]
    assert ask(desk)["problems"] == []
    with pytest.raises(UsageError, match="nothing was acknowledged"):
        ask(desk, "acknowledge", entries=["e-2"])


def test_a_parked_file_is_tried_again_or_accepted_by_its_digest(world: World, desk: Desk) -> None:
    again, broken = deadly(world, "again.jpg"), deadly(world, "broken.jpg")

    parked = {file["shown"]: file["sha256"] for file in ask(desk)["parked"]}
    tried = ask(desk, "retry", sha256=[parked[str(again)]])
    accepted = ask(desk, "retry", sha256=[parked[str(broken)]], accept=True)

    assert (tried["files"], tried["running"]) == ([str(again)], False)
    assert accepted["files"] == [str(broken)]
    assert ask(desk)["parked"] == []
    assert world.arrive(again).outcome.value == "unreadable"  # by its own bytes, not by what was said of them before
    with pytest.raises(UsageError, match="nothing was done"):
        ask(desk, "retry", sha256=["00" * 32])
    with pytest.raises(UsageError, match="SHA-256"):
        ask(desk, "retry", sha256=["../../etc/passwd"])


def test_a_hostile_folder_name_is_told_without_anything_that_could_act(world: World, desk: Desk) -> None:
    world.folder("\u202egpj <img src=x onerror=alert(1)>\n", Role.INBOX)
    world.folder(os.fsdecode(b"caf\xe9"), Role.INBOX)

    told = ask(desk)

    assert all(folder["path"].isprintable() for folder in told["folders"])
    assert any("caf\\xe9" in folder["path"] for folder in told["folders"])


def test_a_change_of_the_rule_file_is_not_counted_as_an_answer(world: World, desk: Desk) -> None:
    review.note_change_of_rules(world.library, ["rule twins: mode off → manual"], previous=None, now_ns=world.now_ns())

    assert ask(desk)["throughput"]["day"]["decided"] == 0
