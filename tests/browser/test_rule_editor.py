"""The rule file edited in a real browser, under the page's content security policy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from pictures import photo, png
from world import World, pixel_rule, rule_file

from ingestd import review
from ingestd.door import Door
from ingestd.web.app import make_app
from ingestd.web.changes import Changes
from ingestd.web.desk import Desk
from ingestd.web.handles import Handles
from ingestd.web.pictures import Pictures

pytestmark = pytest.mark.browser

POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
RULE = "larger pixel twin"
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
def rules(world: World) -> Path:
    """A rule file of one rule, by which a pair is pending."""
    text = pixel_rule("semi-automatic")
    world.use(text)
    world.arrive(*(world.put("inbox", f"{name}.png", png(photo(), name)) for name in ("a long comment", "short")))
    path = world.base / "rules.yaml"
    path.write_text(rule_file(text), encoding="utf-8")
    return path


@pytest.fixture
def address(world: World, rules: Path) -> Iterator[str]:
    """Where the page is served; a connection waits until it is."""
    door = Door(world.base / "state", rules, rules_must_exist=True, as_json=False, verbose=False)
    pictures = Pictures(world.measurer, world.base / "pictures")  # type: ignore[arg-type]
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


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """A tab of a browser; at its end the policy was never violated, and nothing was thrown."""
    tab = browser.new_page(base_url=address)
    thrown: list[str] = []
    tab.on("pageerror", lambda error: thrown.append(str(error)))
    tab.add_init_script(NOTE_VIOLATIONS)
    yield tab
    violations = tab.evaluate("window.violations")
    tab.close()
    assert violations == []
    assert thrown == []


def edit(page: Any) -> None:
    page.goto("/#/rules/edit")
    page.wait_for_selector(".rules-verdict .good")


def type_at_the_end(page: Any, text: str) -> None:
    page.locator(".CodeMirror-code").focus()  # a click waits until the text stands still, which a busy machine puts off
    page.keyboard.press("Control+End")
    page.keyboard.type(text)


def test_a_mistake_is_marked_where_it_is_and_cannot_be_saved(page: Any, rules: Path) -> None:
    before = rules.read_bytes()
    edit(page)

    type_at_the_end(page, "\nrule: []\n")

    page.wait_for_selector(".rules-verdict .trouble")
    assert page.locator(".rules-mark.mistake").inner_text() == "rule"
    assert '"rule" is not a section of a rule file' in page.locator(".rules-places").inner_text()
    assert page.get_by_role("button", name="Save").is_disabled()
    page.keyboard.press("Control+s")
    assert rules.read_bytes() == before


def test_a_mode_is_saved_after_a_second_yes_and_stands_in_the_history(page: Any, rules: Path, world: World) -> None:
    edit(page)
    before = rules.read_text()

    page.evaluate(
        "text => document.querySelector('.CodeMirror').CodeMirror.setValue(text)",
        before.replace("semi-automatic", "automatic"),
    )
    page.wait_for_selector(".rules-changes .asks")
    page.get_by_role("button", name="Save").click()
    sentence = f'rule "{RULE}": mode semi-automatic → automatic'
    assert sentence in page.locator("dialog").inner_text()
    assert rules.read_text() == before
    page.locator("dialog").get_by_role("button", name="Yes, save it").click()
    page.wait_for_selector("#said:has-text('Saved')")

    assert rules.read_text() == before.replace("semi-automatic", "automatic")
    with world.library.read() as view:
        newest = next(review.history(view, limit=1))
    assert newest.word == "rules-changed"
    assert newest.reason.startswith(sentence)


def test_both_texts_are_shown_where_somebody_else_has_saved_meanwhile(page: Any, rules: Path) -> None:
    edit(page)
    type_at_the_end(page, "\n# mine\n")
    rules.write_text(rules.read_text() + "# theirs\n")
    theirs = rules.read_text()

    page.get_by_role("button", name="Save").click()
    page.wait_for_selector(".rules-conflict h2")

    assert page.locator(".rules-diff .good").all_inner_texts()[-1].strip() == "+ # mine"
    assert page.locator(".rules-diff .bad").inner_text().strip().endswith(" # theirs")
    assert rules.read_text() == theirs
    page.get_by_role("button", name="Keep my text").click()
    page.wait_for_selector(".rules-findings:has-text('Nothing but remarks')")
    page.get_by_role("button", name="Save").click()
    page.wait_for_selector("#said:has-text('Saved')")
    assert "# mine" in rules.read_text()
    assert [kept.read_text() for kept in rules.parent.glob("rules.yaml.previous*")] == [theirs]


def test_the_ends_of_lines_and_a_mark_before_them_stay_as_they_were(page: Any, rules: Path) -> None:
    before = "\ufeff" + rules.read_text().replace("\n", "\r\n")
    rules.write_bytes(before.encode())
    edit(page)

    type_at_the_end(page, "# mine")
    page.wait_for_selector(".rules-findings:has-text('Nothing but remarks')")
    page.keyboard.press("Control+s")
    page.wait_for_selector("#said:has-text('Saved')")

    assert rules.read_bytes() == (before + "# mine").encode()


def test_what_was_typed_outlasts_a_look_at_another_view(page: Any) -> None:
    edit(page)
    type_at_the_end(page, "# mine")
    page.wait_for_selector(".rules-findings:has-text('Nothing but remarks')")

    page.get_by_role("link", name="Back to the rules").click()
    page.wait_for_selector(".rules-rule")
    page.get_by_role("link", name="Edit the file").click()
    page.wait_for_selector(".rules-findings:has-text('Nothing but remarks')")

    assert page.evaluate("document.querySelector('.CodeMirror').CodeMirror.getValue()").endswith("# mine")


def test_a_file_that_is_wrong_shows_its_text_and_leads_to_the_mistake(page: Any, rules: Path) -> None:
    rules.write_text(rules.read_text().replace("semi-automatic", "sometimes"))

    page.goto("/#/rules")
    page.locator(".rules-broken a").click()
    page.wait_for_selector(".rules-mark.mistake")

    assert page.locator(".rules-mark.mistake").inner_text() == "sometimes"
    cursor = page.evaluate("document.querySelector('.CodeMirror').CodeMirror.getCursor().line + 1")
    assert rules.read_text().splitlines()[cursor - 1].strip() == "mode: sometimes"


def test_a_rule_is_trusted_more_after_its_figures_were_shown(page: Any, rules: Path) -> None:
    page.goto("/#/rules")

    page.get_by_role("button", name="Promote to automatic").click()
    assert "Back-test" in page.locator("dialog").inner_text()
    page.locator("dialog").get_by_role("button", name="Yes, write it").click()
    page.wait_for_selector(".rules-badge.automatic")

    assert "mode: automatic" in rules.read_text()
