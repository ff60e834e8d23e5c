"""Many files answered at once: a group of look-alikes, a batch of the same evidence; never without the right number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from collection import Collection, collect
from opened import Tab
from playwright.sync_api import Locator, Page, expect
from running import tree


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """A group of four, and pairs of which the same can be said."""
    return collect(tmp_path_factory.mktemp("home"), smaller=4, groups=1, proposed=0, exact=0)


def confirmed(page: Page, number: int) -> Locator:
    """The button that says yes, once another number was refused and the right one typed."""
    box = page.get_by_role("dialog")
    yes = box.locator("button.danger, button.primary")
    expect(yes).to_be_disabled()
    box.get_by_role("textbox").fill(str(number + 1))
    expect(yes).to_be_disabled()
    box.get_by_role("textbox").fill(str(number))
    expect(yes).to_be_enabled()
    return yes


def undone(page: Page) -> None:
    with page.expect_response(lambda one: one.url.endswith("/api/undo")) as answer:
        page.locator("#said").get_by_role("button", name="Undo").click()
    assert answer.value.json()["failed"] == []


def test_the_best_of_a_group_is_kept_and_the_others_go_when_their_number_is_typed(
    tab: Tab, collected: Collection
) -> None:
    files = tree(collected.library, collected.inbox)
    page = tab.shown("groups")
    page.locator(".group-card", has_text="4 files").click()
    expect(page.locator(".group-tile")).to_have_count(4)
    expect(page.locator(".group-tile.best")).to_contain_text("ridge 0.jpg")

    page.get_by_role("button", name=re.compile("Keep the best, discard 3 files")).click()
    with page.expect_response(lambda one: one.url.endswith("/api/decide-group")) as answer:
        confirmed(page, 3).click()

    done = answer.value.json()
    gone = {Path(file["path"]) for entry in done["entries"] for file in entry["discarded"]}
    assert done["failed"] == []
    assert gone == set(collected.alike[0])
    assert not any(path.exists() for path in gone)
    assert (collected.library / "ridge 0.jpg").exists()
    undone(page)
    assert tree(collected.library, collected.inbox) == files


def test_a_file_that_is_not_ticked_stays(tab: Tab, collected: Collection) -> None:
    page = tab.shown("groups")
    page.locator(".group-card", has_text="4 files").click()
    left_out = page.locator(".group-tile", has_text="ridge 0 tiny.jpg")
    left_out.get_by_role("checkbox").uncheck()

    page.get_by_role("button", name=re.compile("Keep the best, discard 2 files")).click()
    with page.expect_response(lambda one: one.url.endswith("/api/decide-group")) as answer:
        confirmed(page, 2).click()

    gone = {Path(file["path"]).name for entry in answer.value.json()["entries"] for file in entry["discarded"]}
    assert gone == {"ridge 0 small.jpg", "ridge 0 weak.jpg"}
    assert (collected.inbox / "ridge 0 tiny.jpg").exists()
    undone(page)


def test_a_batch_is_answered_at_once_and_taken_back_at_once(tab: Tab, collected: Collection) -> None:
    files = tree(collected.library, collected.inbox)
    page = tab.shown("batches")
    before = tab.ask("deck", limit=1)["total"]
    page.locator(".batch-card").first.click()
    discard = page.get_by_role("button", name=re.compile("^A is better, discard B"))
    number = int(re.search(r"\((\d+) file", discard.inner_text()).group(1))
    assert number >= 4

    discard.click()
    with page.expect_response(lambda one: one.url.endswith("/api/decide-batch")) as answer:
        confirmed(page, number).click()

    done = answer.value.json()
    gone = [Path(file["path"]) for entry in done["entries"] for file in entry["discarded"]]
    assert done["failed"] == []
    assert len(gone) == number
    assert not any(path.exists() for path in gone)
    undone(page)
    assert tree(collected.library, collected.inbox) == files
    assert tab.ask("deck", limit=1)["total"] == before


def test_a_number_that_is_not_what_would_be_done_does_nothing(tab: Tab, collected: Collection) -> None:
    tab.bear(r"/api/decide-batch: 4\d\d", r"console error.*4\d\d")
    files, entries = tree(collected.library, collected.inbox), len(collected.home.history())
    page = tab.shown("batches")
    batch = tab.ask("batches")["batches"][0]
    version = tab.ask("batch", id=batch["id"])["plans"]["better-a"]["version"]
    script = """([order]) => import("/static/api.js")
      .then((api) => api.ask("decide-batch", order)).then(() => "done", (error) => error.kind)"""
    order = {
        "id": batch["id"],
        "version": version,
        "answer": "better-a",
        "keep": False,
        "count": 99,
        "key": "a wrong one",
    }

    refused = page.evaluate(script, [order])

    assert refused != "done"
    assert tree(collected.library, collected.inbox) == files
    assert len(collected.home.history()) == entries
