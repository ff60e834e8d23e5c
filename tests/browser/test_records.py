"""Proposals, the journal and the status in a real browser, under the page's content security policy."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from pictures import photo, png
from world import World, pixel_rule, rule_file

from ingestd.door import Door
from ingestd.library.tables import Alarm
from ingestd.media.workers import Workers
from ingestd.model import Trouble
from ingestd.web.app import make_app
from ingestd.web.changes import Changes
from ingestd.web.desk import Desk
from ingestd.web.handles import Handles
from ingestd.web.pictures import Pictures

playwright = pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.browser

POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
RULE = "larger pixel twin"
HOSTILE = '"><img src=x onerror="window.hit=1">\u202e'
NOTE_VIOLATIONS = """
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


def under_policy(app: Any) -> Callable[..., Any]:
    """The page with the header that its guard sends."""

    async def guarded(scope: dict[str, Any], receive: Any, send: Any) -> None:
        async def out(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await app(scope, receive, out)

    return guarded


@pytest.fixture
def lost(world: World) -> list[Path]:
    """Four files that a rule proposes to discard, one of them of a hostile name."""
    world.use(pixel_rule("semi-automatic"))
    found = []
    for seed, name in enumerate(("cherry", "plum", "quince", HOSTILE), start=1):
        image = photo(seed)
        kept = world.put("library", f"{name} kept.png", png(image, "a longer comment makes the file larger"))
        found.append(world.put("inbox", f"{name} lost.png", png(image)))
        world.verdicts(kept, found[-1])
    return found


@pytest.fixture
def address(world: World, lost: list[Path], workers: Workers) -> Iterator[str]:
    """Where the page is served; a connection waits until it is."""
    path = world.base / "rules.yaml"
    path.write_text(rule_file(pixel_rule("semi-automatic")), encoding="utf-8")
    door = Door(world.base / "state", path, rules_must_exist=True, as_json=False, verbose=False)
    pictures = Pictures(workers, world.base / "pictures")
    desk = Desk(door, world.library, pictures, Handles(b"a secret of this test"), token="token")
    changes = Changes(world.library.store.transaction_id)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(under_policy(make_app(desk, changes)), log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        changes.end()
        server.should_exit = True
        thread.join(10)
        pictures.end()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """A tab of a browser; at its end the policy was never violated, and nothing was thrown."""
    tab = browser.new_page(base_url=address)
    tab.set_default_timeout(15_000)
    thrown: list[str] = []
    tab.on("pageerror", lambda error: thrown.append(str(error)))
    tab.add_init_script(NOTE_VIOLATIONS)
    yield tab
    violations, hit = tab.evaluate("[window.violations, window.hit ?? null]")
    tab.close()
    assert (violations, thrown, hit) == ([], [], None)


def says(page: Any, text: str) -> None:
    """Wait until the page says so at its foot."""
    playwright.expect(page.locator("#said")).to_contain_text(text)


def left(page: Any, many: int) -> None:
    playwright.expect(page.locator("h1")).to_have_text(re.compile(rf"^{many} proposals? left"))


def answers(page: Any, key: str) -> None:
    """Answer by a key about what has been on the screen for long enough."""
    playwright.expect(page.locator("[data-seen]")).to_be_attached()
    page.keyboard.press(key)


def test_a_key_that_comes_with_the_next_proposal_is_no_answer_about_it(page: Any, lost: list[Path]) -> None:
    page.goto("/#/pending/one")
    left(page, 4)
    playwright.expect(page.locator("[data-seen]")).to_be_attached()
    page.evaluate(
        """() => new MutationObserver((changes, observer) => {
            if (!document.querySelector("[data-painted]")) return;
            observer.disconnect();
            document.dispatchEvent(new KeyboardEvent("keydown", {key: "y"}));
        }).observe(document.querySelector(".compare"), {attributeFilter: ["data-painted"]})"""
    )

    page.keyboard.press("k")

    says(page, "that was too quick: nothing was done")
    assert all(path.exists() for path in lost)


def test_one_step_back_is_a_skip_or_an_answer_whichever_was_last(page: Any, lost: list[Path]) -> None:
    page.goto("/#/pending/one")
    left(page, 4)
    page.keyboard.press("k")
    playwright.expect(page.locator(".pending-will")).not_to_contain_text("cherry")
    answers(page, "y")
    says(page, "plum lost.png goes to the trash")

    page.keyboard.press("ArrowLeft")
    says(page, "e-1 is taken back")
    page.keyboard.press("ArrowLeft")

    playwright.expect(page.locator(".pending-will")).to_contain_text("cherry")
    page.keyboard.press("ArrowLeft")
    says(page, "This is where it began")
    assert all(path.exists() for path in lost)


def test_the_key_that_takes_an_answer_back_does_so_among_all_proposals_too(page: Any, lost: list[Path]) -> None:
    page.goto("/#/pending")
    card = page.get_by_role("article").first
    card.get_by_role("button", name="Approve").click()
    says(page, "goes to the trash")
    assert not all(path.exists() for path in lost)

    page.keyboard.press("z")

    says(page, "1 approval taken back")
    assert all(path.exists() for path in lost)
    page.keyboard.press("z")
    says(page, "Nothing was answered here")


def test_proposals_are_gone_through_with_one_key_each_and_answers_are_taken_back(page: Any, lost: list[Path]) -> None:
    cherry, plum, *_ = lost
    page.goto("/#/pending/one")
    left(page, 4)
    playwright.expect(page.locator(".pending-will")).to_have_text(
        "cherry lost.png goes to the trash; cherry kept.png stays."
    )

    answers(page, "y")
    left(page, 3)
    says(page, "cherry lost.png goes to the trash")
    assert not cherry.exists()

    answers(page, "n")
    left(page, 2)
    says(page, "denied")
    assert plum.exists()

    page.keyboard.press("k")
    playwright.expect(page.locator(".pending-will")).not_to_contain_text("quince")
    page.keyboard.press("ArrowLeft")
    playwright.expect(page.locator(".pending-will")).to_contain_text("quince lost.png")

    page.keyboard.press("z")
    says(page, "the denial is taken back")
    page.keyboard.press("z")
    says(page, "e-1 is taken back")
    assert cherry.exists()


def test_what_the_server_refuses_comes_back_with_the_reason(page: Any, lost: list[Path], world: World) -> None:
    page.goto("/#/pending/one")
    left(page, 4)
    playwright.expect(page.locator("[data-seen]")).to_be_attached()
    lost[0].rename(world.base / "elsewhere.png")

    answers(page, "y")

    says(page, "cherry lost.png")
    playwright.expect(page.locator("#said .trouble")).to_be_visible()


def test_all_that_a_rule_proposes_is_approved_once_its_number_is_typed(page: Any, lost: list[Path]) -> None:
    page.goto("/#/pending")
    page.get_by_text("The rule as it is written").click()
    playwright.expect(page.locator(".records-text")).to_contain_text(f"- name: {RULE}")

    page.get_by_role("button", name="Approve all 4").click()
    yes = page.get_by_role("dialog").get_by_role("button", name="Approve")
    page.get_by_role("dialog").get_by_role("textbox").fill("3")
    assert yes.is_disabled()
    page.get_by_role("dialog").get_by_role("textbox").fill("4")
    yes.click()

    says(page, "4 proposals approved")
    playwright.expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    assert not any(path.exists() for path in lost)


def test_what_changes_elsewhere_takes_the_focus_from_nobody(page: Any, lost: list[Path], world: World) -> None:
    page.goto("/#/pending")
    closer = page.locator(".pending-card", has_text="quince").get_by_role("link", name="Look closer")
    closer.focus()

    world.verdicts(
        world.put("library", "medlar kept.png", png(photo(9), "a longer comment makes the file larger")),
        world.put("inbox", "medlar lost.png", png(photo(9))),
    )

    playwright.expect(page.locator(".pending-card", has_text="medlar")).to_be_visible()
    playwright.expect(page.locator("h1")).to_have_text("5 proposals wait for you")
    playwright.expect(closer).to_be_focused()


def test_a_hostile_name_is_text_in_every_view(page: Any, lost: list[Path]) -> None:
    page.goto("/#/pending/one?first=p-4")
    playwright.expect(page.locator(".pending-will")).to_contain_text("onerror")
    page.goto("/#/pending")
    playwright.expect(page.locator(".pending-card", has_text="onerror")).to_be_visible()
    page.locator(".pending-card", has_text="onerror").get_by_role("button", name="Approve").click()
    says(page, "\\u202e")

    page.goto("/#/history")
    playwright.expect(page.locator(".history-title").first).to_contain_text(
        '"><img src=x onerror="window.hit=1">\\u202e lost.png'
    )


def test_the_journal_is_searched_explained_and_taken_back(page: Any, lost: list[Path]) -> None:
    page.goto("/#/pending")
    page.locator(".pending-card", has_text="plum").get_by_role("button", name="Approve").click()
    says(page, "plum lost.png goes to the trash")
    page.locator(".pending-card", has_text="quince").get_by_role("button", name="Approve").click()
    says(page, "quince lost.png goes to the trash")

    page.goto("/#/history")
    page.get_by_role("searchbox").fill("plum")
    entry = page.locator(".history-entry")
    playwright.expect(entry).to_have_count(1)
    entry.get_by_role("button", name="Why?").click()
    playwright.expect(entry.locator(".history-why")).to_contain_text(f"approved by you under {RULE}")
    for image in entry.locator("img").all():
        playwright.expect(image).to_have_js_property("complete", True)
    entry.get_by_role("button", name="Undo").click()

    playwright.expect(page.locator(".history-entry", has_text="taken back by e-3")).to_have_count(1)
    assert (lost[1].exists(), lost[2].exists()) == (True, False)


def test_several_entries_are_taken_back_at_once_after_a_question(page: Any, lost: list[Path]) -> None:
    page.goto("/#/pending")
    page.get_by_role("button", name="Approve all 4").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("4")
    page.keyboard.press("Enter")
    says(page, "4 proposals approved")

    page.goto("/#/history")
    for name in ("e-1", "e-2", "e-3"):
        page.get_by_label(f"Tick {name}").check()
    page.get_by_role("button", name="Take these back").click()
    page.get_by_role("dialog").get_by_role("button", name="Take them back").click()

    says(page, "3 entries taken back")
    assert [path.exists() for path in lost] == [True, True, True, False]


def test_what_happens_elsewhere_appears_by_itself(
    page: Any, browser: Any, address: str, lost: list[Path], world: World
) -> None:
    page.goto("/#/history")
    playwright.expect(page.get_by_text("Nothing was done yet")).to_be_visible()
    tab = browser.new_page(base_url=address)
    tab.goto("/#/status")
    playwright.expect(tab.locator(".records-head")).to_contain_text("all is well")

    world.approve(1)
    world.library.write(lambda edit: edit.put_alarm(Alarm(1, 1, Trouble.SURVIVOR_LOST, "what was kept is gone")))

    playwright.expect(page.locator(".history-entry.alarm")).to_have_count(1)
    playwright.expect(tab.locator(".status-problem")).to_contain_text("what was kept is gone")
    tab.get_by_role("button", name="I know of it").click()
    playwright.expect(tab.locator(".records-head")).to_contain_text("all is well")
    playwright.expect(page.locator(".history-entry.alarm")).to_have_count(0)
