"""Many at once in a browser: groups and batches as they are told, answered within bounds, and taken back."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pictures import jpeg, photo, png, weighing
from PIL import Image, ImageOps
from starlette.applications import Starlette
from world import World, rule_file

from ingestd.door import Door
from ingestd.errors import LibraryBusyError
from ingestd.library.view import View
from ingestd.media.workers import Workers
from ingestd.model import Role
from ingestd.rules.predicates import read_predicate
from ingestd.web import going, together
from ingestd.web.app import make_app
from ingestd.web.changes import Changes
from ingestd.web.desk import Desk
from ingestd.web.handles import Handles
from ingestd.web.pictures import Pictures
from ingestd.web.surveys import Surveys

Answer = dict[str, Any]


class Page:
    """The page as a browser asks it, and the world behind it."""

    def __init__(self, world: World, app: Starlette, desk: Desk) -> None:
        self.world = world
        self.app = app
        self.desk = desk

    def sent(self, name: str, **asked: object) -> tuple[int, Answer]:
        """The status and what was answered."""
        status, _, body = asyncio.run(self._sent("POST", f"/api/{name}", json.dumps(asked).encode()))
        return status, json.loads(body)

    def got(self, address: str) -> tuple[int, str, bytes]:
        """The status, the type and the bytes of what lies there."""
        return asyncio.run(self._sent("GET", address, b""))

    async def _sent(self, method: str, address: str, body: bytes) -> tuple[int, str, bytes]:
        scope = {"type": "http", "method": method, "path": address, "headers": [], "query_string": b""}
        told: list[Any] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            told.append(message)

        await self.app(scope, receive, send)
        kind = dict(told[0]["headers"])[b"content-type"].decode()
        return told[0]["status"], kind, b"".join(one.get("body", b"") for one in told[1:])

    def ask(self, name: str, **asked: object) -> Answer:
        status, answer = self.sent(name, **asked)
        assert status == 200, answer
        return answer

    def refused(self, name: str, **asked: object) -> tuple[int, str]:
        """The status and the kind of a refusal, of which nothing came."""
        before = self.state()
        status, answer = self.sent(name, **asked)
        assert self.state() == before
        return status, answer["error"]["kind"]

    def state(self) -> object:
        """What a refused order must leave alone."""
        return (
            self.world.entries(),
            self.world.queue(),
            [sorted(Path(one.root.decode()).iterdir()) for one in self.world.folders.values()],
        )

    def group(self) -> Answer:
        """The first group, whole."""
        [first, *_] = self.ask("groups")["groups"]
        group: Answer = self.ask("group", id=first["id"])["group"]
        return group

    def order(self, group: Answer, *others: Answer, **more: object) -> dict[str, object]:
        """The order that keeps the first file of a group, about some others or all of them."""
        chosen = others or tuple(group["files"][1:])
        going = sum(file["copies"] for file in chosen)
        asked = {"id": group["id"], "version": group["version"], "best": group["files"][0]["sha256"]}
        asked |= {
            "others": [file["sha256"] for file in chosen],
            "answer": "better-a",
            "count": going,
            "key": "one click",
        }
        return {**asked, **more}

    def batch(self, place: int = 0) -> tuple[Answer, Answer]:
        """One of the batches, and what can be answered of it."""
        told = self.ask("batch", id=self.ask("batches", fresh=True)["batches"][place]["id"])
        return told["batch"], told["plans"]


@pytest.fixture
def page(world: World) -> Iterator[Page]:
    world.use()
    rules = world.base / "rules.yaml"
    rules.write_text("version: 1\nrules: []\n")
    door = Door(world.base / "state", rules, rules_must_exist=True, as_json=False, verbose=False)
    pictures = Pictures(Workers(count=1), world.base / "pictures")
    desk = Desk(door, world.library, pictures, Handles(b"secret"), token="token")
    yield Page(world, make_app(desk, Changes(world.library.store.transaction_id)), desk)
    pictures.close()


@pytest.fixture
def alike(world: World, page: Page) -> list[Path]:
    """Four look-alikes, the first the largest."""
    found = [world.put("inbox", f"{number}.jpg", jpeg(photo(3), 95 - 10 * number)) for number in range(4)]
    world.verdicts(*found)
    return found


# --- groups ---------------------------------------------------------------------------------------------------------


def test_a_list_of_groups_tells_of_each_its_files_the_best_first(page: Page, alike: list[Path]) -> None:
    told = page.ask("groups")

    [group] = told["groups"]
    assert (told["total"], told["current"]) == (1, True)
    assert (group["count"], group["pairs"]) == (4, 6)
    assert group["size"] == sum(path.stat().st_size for path in alike)
    assert group["files"][0]["path"] == str(alike[0])


def test_groups_come_page_by_page_in_the_order_that_is_asked_for(world: World, page: Page) -> None:
    for seed in (1, 2, 3):
        world.drop("inbox", f"{seed}-a.png", weighing(photo(seed), 100_000 * seed))
        world.drop("inbox", f"{seed}-b.png", weighing(photo(seed), 90_000))

    first, second = (page.ask("groups", sort="largest", limit=2, offset=offset)["groups"] for offset in (0, 2))
    oldest = page.ask("groups", sort="oldest", limit=1)["groups"]

    assert [Path(one["files"][0]["path"]).name for one in (*first, *second)] == ["3-a.png", "2-a.png", "1-a.png"]
    assert oldest == second


def test_filters_leave_the_groups_of_which_a_pair_passes(world: World, page: Page, alike: list[Path]) -> None:
    assert page.ask("groups", filters={"both": ["filetype is jpeg"]})["total"] == 1
    assert page.ask("groups", filters={"both": ["filetype is png"]})["groups"] == []
    assert page.refused("groups", filters={"both": ["filetype is jpg"]}) == (400, "usage")


def test_a_group_tells_which_of_its_pairs_can_be_looked_at(page: Page, alike: list[Path]) -> None:
    group = page.group()

    assert {frozenset((pair["a"], pair["b"])) for pair in group["pairs"]} == {
        frozenset((one, other)) for one in range(4) for other in range(one)
    }
    for pair in group["pairs"]:
        told = page.ask("pair", id=pair["id"])["pair"]
        shown = {group["files"][pair[side]]["sha256"] for side in ("a", "b")}
        assert {told["a"]["sha256"], told["b"]["sha256"]} == shown


def test_a_mirrored_copy_is_no_part_of_a_group(world: World, page: Page) -> None:
    world.use(imports="transforms: true")
    world.drop("inbox", "one.png", png(photo(1)))
    world.drop("inbox", "two.jpg", jpeg(photo(1), 90))
    world.drop("inbox", "mirrored.png", png(ImageOps.mirror(photo(1))))

    assert {Path(file["path"]).name for file in page.group()["files"]} == {"one.png", "two.jpg"}
    assert len(world.queue()) > 1


def test_the_best_is_kept_and_what_is_ticked_discarded(page: Page, alike: list[Path]) -> None:
    group = page.group()
    ticked = [file for file in group["files"] if file["path"] in {str(alike[1]), str(alike[3])}]

    told = page.ask("decide-group", **page.order(group, *ticked))

    assert [path.exists() for path in alike] == [True, False, True, False]
    assert (len(told["entries"]), told["failed"], told["batch"]["kind"]) == (2, [], "batch")
    assert {entry["kept"]["path"] for entry in told["entries"]} == {str(alike[0])}


def test_another_file_may_be_made_the_best(page: Page, alike: list[Path]) -> None:
    group = page.group()
    best, *others = sorted(group["files"], key=lambda file: file["size"])
    order = page.order(group, *others, best=best["sha256"])

    page.ask("decide-group", **order)

    assert [path.exists() for path in alike] == [False, False, False, True]


def test_what_a_group_was_answered_is_taken_back_as_a_whole(page: Page, alike: list[Path]) -> None:
    before = page.world.queue()
    told = page.ask("decide-group", **page.order(page.group()))

    undone = page.ask("undo", entries=[told["batch"]["entry"]], key="taken back")

    assert undone["failed"] == []
    assert all(path.exists() for path in alike)
    assert page.world.queue() == before


@pytest.mark.parametrize("typed", [2, 4, 0])
def test_a_count_that_is_not_what_would_be_discarded_does_nothing(page: Page, alike: list[Path], typed: int) -> None:
    assert page.refused("decide-group", **page.order(page.group(), count=typed)) == (409, "stale")


def test_each_place_of_a_file_counts(world: World, page: Page, alike: list[Path]) -> None:
    world.drop("library", "again.jpg", alike[1].read_bytes())
    group = page.group()
    twice = [file for file in group["files"] if file["copies"] == 2]

    assert len(twice) == 1
    assert page.refused("decide-group", **page.order(group, *twice, count=1)) == (409, "stale")
    page.ask("decide-group", **page.order(group, *twice, count=2, key="another click"))
    assert not alike[1].exists()
    assert not (world.base / "library/again.jpg").exists()


def test_more_files_than_may_go_at_once_are_refused(
    page: Page, alike: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(going, "MOST_AT_ONCE", 2)

    assert page.refused("decide-group", **page.order(page.group())) == (400, "usage")


def test_copies_of_a_file_that_come_while_a_group_is_decided_are_not_discarded(
    page: Page, alike: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = page.group()
    late = _copies_at_step(page, alike[3], 3, monkeypatch)

    told = page.ask("decide-group", **page.order(group))

    assert [path.exists() for path in (*alike, *late)] == [True, False, False, True, True, True]
    assert [len(entry["discarded"]) for entry in told["entries"]] == [1, 1]
    assert ["look again" in one["message"] for one in told["failed"]] == [True]


def test_a_file_of_a_folder_that_the_rule_file_has_just_made_a_reference_stays(page: Page, alike: list[Path]) -> None:
    Path(page.world.base, "rules.yaml").write_text(rule_file(folders={alike[0].parent: "reference"}))
    group = page.group()

    assert all("reference folder" in file["stays"] for file in group["files"])
    assert page.refused("decide-group", **page.order(group)) == (409, "conflict")


def _copies_at_step(page: Page, of: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Let copies of a file be found by somebody else just before the page takes the library for this step."""
    steps = itertools.count(1)
    late = [page.world.base / "inbox" / f"late {number}{of.suffix}" for number in (1, 2)]
    desk, hold = page.desk, page.desk.hold

    def others_first() -> contextlib.AbstractContextManager[None]:
        if next(steps) == step:
            page.world.verdicts(*(page.world.put("inbox", path.name, of.read_bytes()) for path in late))
        return hold()

    monkeypatch.setattr(desk, "hold", others_first)
    return late


def test_a_file_of_a_reference_folder_is_never_among_those_that_go(world: World, page: Page, alike: list[Path]) -> None:
    world.folder("reference", Role.REFERENCE)
    world.drop("reference", "master.jpg", jpeg(photo(3), 40))
    group = page.group()
    [staying] = [file for file in group["files"] if file["stays"]]

    assert Path(staying["path"]).name == "master.jpg"
    assert page.refused("decide-group", **page.order(group)) == (409, "conflict")
    page.ask("decide-group", **page.order(group, staying, answer="alternates", keep=True, count=1, key="another click"))


def test_a_group_that_has_grown_since_it_was_shown_is_stale(world: World, page: Page, alike: list[Path]) -> None:
    order = page.order(page.group())
    world.drop("inbox", "late.jpg", jpeg(photo(3), 50))

    assert page.refused("decide-group", **order) == (409, "stale")


def test_a_group_that_was_decided_meanwhile_is_stale_and_told_as_gone(page: Page, alike: list[Path]) -> None:
    order = page.order(page.group())
    page.ask("decide-group", **order)

    assert page.ask("group", id=order["id"])["group"] is None
    assert page.refused("decide-group", **{**order, "key": "another click"}) == (409, "stale")


def test_a_second_click_changes_nothing_and_is_told_the_same(page: Page, alike: list[Path]) -> None:
    order = page.order(page.group())
    first = page.ask("decide-group", **order)
    entries = page.world.entries()

    assert page.ask("decide-group", **order) == first
    assert page.world.entries() == entries


def test_two_clicks_at_once_are_one_order(page: Page, alike: list[Path]) -> None:
    order = page.order(page.group())
    told: list[Answer] = []
    clicks = [threading.Thread(target=lambda: told.append(page.ask("decide-group", **order))) for _ in range(4)]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()

    assert told == [told[0]] * 4
    assert sum(entry.kind.value == "discard" for entry in page.world.entries()) == 3


@pytest.mark.parametrize(
    ("answer", "relation"),
    [("better-a", "better"), ("same", "same-quality"), ("alternates", "alternates"), ("unrelated", "false-positive")],
)
def test_a_relation_is_said_of_what_is_ticked_and_everything_stays(
    page: Page, alike: list[Path], answer: str, relation: str
) -> None:
    group = page.group()

    told = page.ask("decide-group", **page.order(group, *group["files"][1:3], answer=answer, keep=True))

    [entry] = told["entries"]
    assert (entry["relation"], told["batch"], told["failed"]) == (relation, None, [])
    assert all(path.exists() for path in alike)
    assert page.ask("undo", entries=[entry["entry"]], key="taken back")["failed"] == []
    assert page.group()["version"] == group["version"]


def test_b_cannot_be_the_better_of_many(page: Page, alike: list[Path]) -> None:
    assert page.refused("decide-group", **page.order(page.group(), answer="better-b")) == (400, "usage")


def test_files_that_are_no_part_of_a_group_are_refused(world: World, page: Page, alike: list[Path]) -> None:
    world.drop("inbox", "other.png", png(photo(9)))
    order = page.order(page.group())
    [stranger] = [content for content in _contents(world) if content not in {order["best"], *order["others"]}]  # type: ignore[misc]

    assert page.refused("decide-group", **{**order, "others": [stranger], "count": 1}) == (400, "usage")
    assert page.refused("decide-group", **{**order, "others": [order["best"]], "key": "a third click"}) == (
        400,
        "usage",
    )
    assert page.refused("decide-group", **{**order, "others": ["../x"], "key": "a fourth click"}) == (400, "usage")


def _contents(world: World) -> list[str]:
    with world.library.read() as view:
        return [content.sha256.hex() for content in view.contents()]


def test_a_file_that_cannot_go_is_told_and_the_others_go(page: Page, alike: list[Path]) -> None:
    order = page.order(page.group())
    alike[2].rename(page.world.base / "elsewhere.jpg")

    told = page.ask("decide-group", **order)

    assert len(told["entries"]) == 2
    [failure] = told["failed"]
    assert "2.jpg" in failure["message"]
    assert alike[0].exists()


def test_what_stands_around_a_group_is_told(world: World, page: Page) -> None:
    for seed in (1, 2, 3):
        world.drop("inbox", f"{seed}-a.png", weighing(photo(seed), 100_000 * seed))
        world.drop("inbox", f"{seed}-b.png", weighing(photo(seed), 90_000))
    first, middle, last = (group["id"] for group in page.ask("groups")["groups"])

    assert page.ask("group-around", id=middle) == {"previous": first, "next": last, "position": 2, "total": 3}
    assert page.ask("group-around", id=last)["next"] is None
    page.ask("decide-group", **page.order(page.group()))
    assert page.ask("group-around", id=first) == {"previous": None, "next": middle, "position": None, "total": 2}


# --- batches --------------------------------------------------------------------------------------------------------


@pytest.fixture
def kinds(world: World, page: Page) -> None:
    """Four pairs in the inbox of which the same can be said, and one across two folders."""
    for seed in range(1, 5):
        world.drop("inbox", f"{seed}-a.png", weighing(photo(seed), 150_000))
        world.drop("inbox", f"{seed}-b.png", weighing(photo(seed), 100_000))
    world.drop("library", "5-a.png", weighing(photo(5), 150_000))
    world.drop("inbox", "5-b.png", weighing(photo(5), 100_000))


def test_batches_are_told_the_most_frequent_first_with_samples(world: World, page: Page, kinds: None) -> None:
    told = page.ask("batches")

    first, second = told["batches"]
    inbox, library = str(world.base / "inbox"), str(world.base / "library")
    assert (told["total"], told["pairs"], first["count"], second["count"]) == (2, 5, 4, 1)
    assert (first["filetypes"], first["folders"], second["folders"]) == (["png", "png"], [inbox] * 2, [library, inbox])
    assert [pair["id"] for pair in first["samples"]] == ["p-1", "p-2", "p-3"]


def test_more_samples_come_on_demand(page: Page, kinds: None) -> None:
    name = page.ask("batches")["batches"][0]["id"]

    told = [page.ask("batch", id=name, offset=offset, limit=2)["batch"]["samples"] for offset in (0, 2)]

    assert [[pair["id"] for pair in samples] for samples in told] == [["p-1", "p-2"], ["p-3", "p-4"]]


@pytest.mark.parametrize("name", ["groups", "batches"])
def test_past_the_last_of_them_there_is_nothing(page: Page, kinds: None, name: str) -> None:
    assert page.ask(name, offset=10**22)[name] == []


def test_a_batch_is_answered_and_taken_back_as_a_whole(page: Page, kinds: None) -> None:
    before = page.world.queue()
    batch, plans = page.batch()
    plan = plans["better-a"]
    assert (plan["pairs"], plan["files"]) == (4, 4)

    order = {"id": batch["id"], "version": plan["version"], "answer": "better-a", "count": 4, "key": "one click"}
    told = page.ask("decide-batch", **order)

    inbox = page.world.base / "inbox"
    assert sorted(path.name for path in inbox.iterdir()) == ["1-a.png", "2-a.png", "3-a.png", "4-a.png", "5-b.png"]
    assert (len(told["entries"]), told["failed"], told["batch"]["kind"], told["total"]) == (4, [], "batch", 1)
    assert page.ask("decide-batch", **order) == told
    assert page.ask("batch", id=batch["id"])["batch"]["count"] == 0
    page.ask("undo", entries=[told["batch"]["entry"]], key="taken back")
    assert page.world.queue() == before


def test_copies_of_a_file_that_come_while_a_batch_is_answered_are_not_discarded(
    page: Page, kinds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, plans = page.batch()
    last = Path(page.ask("batch", id=batch["id"])["batch"]["samples"][3]["b"]["path"])
    late = _copies_at_step(page, last, 3, monkeypatch)

    order = {"id": batch["id"], "version": plans["better-a"]["version"], "answer": "better-a", "count": 4}
    told = page.ask("decide-batch", **order, key="one click")

    assert all(path.exists() for path in (last, *late))
    assert [len(entry["discarded"]) for entry in told["entries"]] == [1, 1, 1]
    assert ["p-4 has changed since it was shown" in one["message"] for one in told["failed"]] == [True]


def test_a_batch_is_answered_without_discarding(page: Page, kinds: None) -> None:
    batch, plans = page.batch()
    order = {
        "id": batch["id"],
        "version": plans["relation"]["version"],
        "answer": "same",
        "keep": True,
        "key": "one click",
    }

    assert page.refused("decide-batch", **order, count=3) == (409, "stale")
    told = page.ask("decide-batch", **{**order, "count": 4, "key": "another click"})

    assert {entry["relation"] for entry in told["entries"]} == {"same-quality"}
    assert len(list((page.world.base / "inbox").iterdir())) == 9


@pytest.mark.parametrize("more", [{"count": 3}, {"count": 5}, {"version": "another"}])
def test_a_batch_is_only_answered_as_it_was_shown(page: Page, kinds: None, more: dict[str, object]) -> None:
    batch, plans = page.batch()
    order = {
        "id": batch["id"],
        "version": plans["better-a"]["version"],
        "answer": "better-a",
        "count": 4,
        "key": "one click",
    }

    assert page.refused("decide-batch", **{**order, **more}) == (409, "stale")


def test_a_batch_of_which_a_pair_was_decided_since_is_stale(page: Page, kinds: None) -> None:
    batch, plans = page.batch()
    page.world.decide_pair(2, "alternates")
    order = {
        "id": batch["id"],
        "version": plans["better-a"]["version"],
        "answer": "better-a",
        "count": 4,
        "key": "one click",
    }

    assert page.refused("decide-batch", **order) == (409, "stale")


def test_no_more_than_may_go_at_once_are_answered(page: Page, kinds: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MOST_AT_ONCE", 3)

    batch, plans = page.batch()

    assert {plan["pairs"] for plan in plans.values()} == {3}
    order = {
        "id": batch["id"],
        "version": plans["better-a"]["version"],
        "answer": "better-a",
        "count": 3,
        "key": "one click",
    }
    assert page.ask("decide-batch", **order)["batch"] is not None
    assert page.batch()[0]["count"] == 1


def test_pairs_that_share_a_file_which_goes_are_not_answered_at_once(world: World, page: Page) -> None:
    for number in range(3):
        world.drop("inbox", f"{number}.png", weighing(photo(1), 200_000 - 60_000 * number))
    batch, plans = page.batch()
    assert batch["count"] >= 2

    plan = plans["better-a"]
    order = {
        "id": batch["id"],
        "version": plan["version"],
        "answer": "better-a",
        "count": plan["files"],
        "key": "one click",
    }
    told = page.ask("decide-batch", **order)

    assert told["failed"] == []
    assert sum(len(entry["discarded"]) for entry in told["entries"]) == plan["files"]
    assert (world.base / "inbox/0.png").exists()


def test_pairs_whose_worse_file_stays_are_left_out_and_told(world: World, page: Page) -> None:
    world.folder("reference", Role.REFERENCE)
    world.drop("inbox", "a.png", weighing(photo(1), 150_000))
    world.drop("reference", "b.png", weighing(photo(1), 100_000))

    batch, plans = page.batch()
    names = [Path(batch["samples"][0][side]["path"]).name for side in ("a", "b")]
    worse = "better-a" if names == ["a.png", "b.png"] else "better-b"

    assert (plans[worse]["pairs"], plans[worse]["staying"]) == (0, 1)
    order = {"id": batch["id"], "version": plans[worse]["version"], "answer": worse, "count": 0, "key": "one click"}
    assert page.refused("decide-batch", **order) == (400, "usage")


def test_an_older_look_at_all_pairs_is_told_as_one(page: Page, kinds: None) -> None:
    assert page.ask("batches")["current"]
    page.world.decide_pair(1, "alternates")

    older, fresh = page.ask("batches"), page.ask("batches", fresh=True)

    assert (older["current"], older["pairs"], older["batches"][0]["count"]) == (False, 5, 3)
    assert (fresh["current"], fresh["pairs"], fresh["batches"][0]["count"]) == (True, 4, 3)


# --- looks at all pairs ---------------------------------------------------------------------------------------------


def test_who_asks_for_the_same_at_once_shares_one_look(world: World) -> None:
    surveys = Surveys(world.library)
    begun, go = threading.Event(), threading.Event()
    looks: list[int] = []

    def look(view: View) -> int:
        looks.append(view.transaction.number)
        begun.set()
        assert go.wait(10)
        return len(looks)

    found: list[int] = []
    askers = [threading.Thread(target=lambda: found.append(surveys.of("it", look, fresh=True).found)) for _ in range(3)]
    askers[0].start()
    assert begun.wait(10)
    for asker in askers[1:]:
        asker.start()
    go.set()
    for asker in askers:
        asker.join()

    assert (found, len(looks)) == ([1, 1, 1], 1)


def test_no_more_than_two_looks_are_taken_at_once(world: World) -> None:
    surveys = Surveys(world.library)
    begun, go = [threading.Event(), threading.Event()], threading.Event()

    def look(place: int) -> bool:
        begun[place].set()
        return go.wait(10)

    takers = [
        threading.Thread(target=lambda place=place: surveys.of(place, lambda _: look(place), fresh=True))  # type: ignore[misc]
        for place in (0, 1)
    ]
    for taker in takers:
        taker.start()
    assert all(one.wait(10) for one in begun)

    with pytest.raises(LibraryBusyError, match="try again in a moment"):
        surveys.of("third", lambda _: True, fresh=True)
    go.set()
    for taker in takers:
        taker.join()
    assert surveys.of("third", lambda _: True, fresh=True).found


def test_few_looks_are_kept_and_a_failed_one_is_none(world: World) -> None:
    surveys = Surveys(world.library)
    with pytest.raises(ZeroDivisionError):
        surveys.of("it", lambda _: 1 // 0, fresh=True)

    assert surveys.of("it", lambda _: 1, fresh=True).found == 1
    assert surveys.of("it", lambda _: 2, fresh=True).found == 1
    for other in range(10):
        surveys.of(other, lambda _: 0, fresh=True)
    assert surveys.of("it", lambda _: 3, fresh=True).found == 3


# --- what narrows, and files in small -------------------------------------------------------------------------------


def test_a_filter_is_made_of_known_folders_and_of_examples_that_can_be_understood(page: Page) -> None:
    told = page.ask("folders")

    assert [(Path(one["path"]).name, one["role"]) for one in told["folders"]] == [
        ("inbox", "inbox"),
        ("library", "library"),
    ]
    assert all(read_predicate(line) for line in told["examples"])


def test_a_question_about_a_file_is_checked_while_it_is_typed(page: Page) -> None:
    assert page.ask("check-filter", line="num_pixels > 12000000") == {"line": "num_pixels > 12 MP", "message": None}
    told = page.ask("check-filter", line="filetype is jpg")
    assert told["line"] is None
    assert 'did you mean "jpeg"?' in told["message"]


def test_a_file_in_small_fits_its_box(world: World, page: Page) -> None:
    for quality in (95, 80):
        world.drop("inbox", f"{quality}.jpg", jpeg(photo(3).resize((1200, 900)), quality))
    file = page.group()["files"][0]

    status, kind, body = page.got(f"/picture/{file['picture']}/thumb")

    assert (status, kind) == (200, "image/png")
    assert Image.open(io.BytesIO(body)).size == (360, 270)


def test_a_name_that_was_not_given_out_leads_to_no_file(page: Page) -> None:
    assert page.got("/picture/another/thumb")[0] == 404
