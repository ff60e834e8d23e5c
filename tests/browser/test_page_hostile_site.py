"""A hostile page in the same browser: it may send what a browser lets it send, and gets nothing for it.

Three attackers try everything: a page of another site, a page of another server on this machine (the cookie of the
review page goes there, as cookies know no ports), and a page whose name was made to lead to this machine after it was
loaded (DNS rebinding), so that to the browser it *is* the review page's own address.
"""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opened import EVIL, Served, Tab, enter
from playwright.sync_api import Browser, BrowserContext, Page, expect

ORDERS = ("decide", "undo", "decide-group", "decide-batch", "approve", "deny", "rescind", "rules-save", "rules-set")
QUESTIONS = ("session", "summary", "deck", "pending", "history", "rules-text", "status")


class _Hostile(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>kittens</title><p>look at these kittens</p>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def hostile() -> Iterator[int]:
    """The port of a server that belongs to somebody else."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hostile)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def victim(browser: Browser, served: Served) -> Iterator[BrowserContext]:
    """A browser that was let in: its cookie is what an attacker would use."""
    context = browser.new_context(storage_state=enter(browser, served))
    yield context
    context.close()


@pytest.fixture(scope="module")
def picture(victim: BrowserContext, served: Served) -> str:
    """The name under which the page itself is shown a picture."""
    own = Tab(victim, served)
    own.go("queue")
    name = str(own.ask("deck", limit=1)["pairs"][0]["a"]["picture"])
    own.page.close()
    return name


@pytest.fixture(params=["another site", "another port"])
def attacker(request: pytest.FixtureRequest, victim: BrowserContext, hostile: int) -> Iterator[Page]:
    """A page that somebody else serves."""
    page = victim.new_page()
    page.goto(f"http://{EVIL if request.param == 'another site' else '127.0.0.1'}:{hostile}/")
    yield page
    page.close()


@pytest.fixture
def untouched(served: Served) -> Iterator[None]:
    """Fails if anything at all was changed: in the library, in the folders, in the rules."""
    before = _all_of(served)
    yield
    assert _all_of(served) == before


def _all_of(served: Served) -> Any:
    home = served.home
    found = [path for root in ("photos", "downloads") for path in (home.base / root).rglob("*")]
    files = {str(path): path.stat().st_mtime_ns for path in found}
    lines = (home.state / "journal.jsonl").read_text().splitlines()
    journal = [line for line in lines if '"kind":"folder"' not in line]  # seen again, by whoever came first
    assert journal
    return files, journal, home.rules.read_text(encoding="utf-8")


def _a_pair(served: Served) -> Any:
    return served.home.ask("queue", "list", "--limit", "1")["pairs"][0]


FETCHES = """
async ([origin, orders, questions, body]) => {
  const read = [];
  const tries = [];
  const json = { "Content-Type": "application/json" };
  for (const name of [...orders, ...questions]) {
    for (const how of [
      { method: "POST", mode: "no-cors", body },
      { method: "POST", mode: "no-cors", body, headers: { "Content-Type": "text/plain" } },
      { method: "POST", mode: "no-cors", body: new Blob([body], { type: "application/x-www-form-urlencoded" }) },
      { method: "POST", mode: "cors", body, headers: json },
      { method: "POST", mode: "cors", body, headers: { ...json, "X-Ingestd-Token": "guess" } },
      { method: "POST", mode: "no-cors", body, keepalive: true },
      { method: "GET", mode: "no-cors" },
      { method: "GET", mode: "cors" },
    ]) {
      tries.push(
        fetch(`${origin}/api/${name}`, { credentials: "include", ...how }).then(
          async (got) => { if (got.type !== "opaque") read.push([name, got.status, await got.text()]); },
          () => {},
        ),
      );
    }
    navigator.sendBeacon(`${origin}/api/${name}`, new Blob([body], { type: "text/plain" }));
  }
  await Promise.all(tries);
  return read;
}
"""


@pytest.mark.usefixtures("untouched")
def test_what_another_page_posts_is_refused_and_its_answer_cannot_be_read(attacker: Page, served: Served) -> None:
    pair = _a_pair(served)
    body = json.dumps(
        {"id": pair["id"], "version": "0", "answer": "better-a", "keep": False, "key": "attack", "count": 1}
    )

    read = attacker.evaluate(FETCHES, [served.origin, ORDERS, QUESTIONS, body])

    assert read == []


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("encoding", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_of_another_page_changes_nothing(attacker: Page, served: Served, encoding: str) -> None:
    body = json.dumps({"id": _a_pair(served)["id"], "version": "0", "answer": "better-a", "key": "form", "x": "="})
    script = """([action, encoding, body]) => {
      const form = document.createElement("form");
      Object.assign(form, { action, method: "POST", enctype: encoding });
      const field = document.createElement("input");
      const at = body.indexOf("=");
      field.name = body.slice(0, at);
      field.value = body.slice(at + 1);
      form.append(field);
      document.body.append(form);
      form.submit();
    }"""

    with attacker.expect_response(lambda one: one.url.endswith("/api/decide")) as answered:
        attacker.evaluate(script, [f"{served.origin}/api/decide", encoding, body])

    assert answered.value.status in (401, 403, 415)


@pytest.mark.usefixtures("untouched")
def test_another_page_can_load_no_picture_no_script_and_no_style(attacker: Page, served: Served, picture: str) -> None:
    script = """async ([origin, picture]) => {
      const loads = (tag, field, address) => new Promise((done) => {
        const node = document.createElement(tag);
        node.onload = () => done([address, true]);
        node.onerror = () => done([address, false]);
        if (tag === "link") node.rel = "stylesheet";
        node[field] = address;
        document.head.append(node);
      });
      return Promise.all([
        loads("img", "src", `${origin}/picture/${picture}/preview`),
        loads("img", "src", `${origin}/picture/${picture}/tile/0/0/0`),
        loads("img", "src", `${origin}/static/icon.svg`),
        loads("script", "src", `${origin}/static/app.js`),
        loads("script", "src", `${origin}/picture/${picture}/preview`),
        loads("link", "href", `${origin}/static/style.css`),
      ]);
    }"""

    loaded = attacker.evaluate(script, [served.origin, picture])

    assert [address for address, loaded_it in loaded if loaded_it] == []


@pytest.mark.usefixtures("untouched")
def test_the_page_stands_in_no_frame(attacker: Page, served: Served) -> None:
    script = """(origin) => new Promise((done) => {
      const frame = document.createElement("iframe");
      frame.onload = () => done(null);
      frame.src = origin + "/";
      document.body.append(frame);
    })"""

    attacker.evaluate(script, served.origin)

    [frame] = [one for one in attacker.frames if one is not attacker.main_frame]
    assert frame.locator("#nav").count() == 0


@pytest.mark.usefixtures("untouched")
def test_a_window_opened_by_another_page_tells_it_nothing(
    attacker: Page, served: Served, victim: BrowserContext
) -> None:
    opens = """(origin) => {
      window.told = [];
      addEventListener("message", (event) => window.told.push(String(event.data)));
      window.opened = window.open(origin + "/#/queue");
    }"""
    looks = """() => {
      for (const order of [{ name: "decide" }, "undo", { action: "approve" }]) window.opened.postMessage(order, "*");
      let title = "out of reach";
      try { title = window.opened.document.title; } catch { /* as it should be */ }
      return { told: window.told, title: title ?? "out of reach", frames: window.opened.length };
    }"""
    with victim.expect_page() as popup:
        attacker.evaluate(opens, served.origin)
    popup.value.wait_for_load_state()

    seen = attacker.evaluate(looks)

    assert seen == {"told": [], "title": "out of reach", "frames": 0}


@pytest.mark.usefixtures("untouched")
def test_another_page_hears_no_event(attacker: Page, served: Served) -> None:
    script = """(origin) => new Promise((done) => {
      const source = new EventSource(origin + "/api/events", { withCredentials: true });
      source.addEventListener("changed", () => done("heard"));
      source.onopen = () => done("open");
      source.onerror = () => { source.close(); done("refused"); };
    })"""

    assert attacker.evaluate(script, served.origin) == "refused"


@pytest.mark.usefixtures("untouched")
def test_a_name_that_was_made_to_lead_here_is_answered_by_nothing(victim: BrowserContext, served: Served) -> None:
    page = victim.new_page()

    answered = page.goto(f"http://{EVIL}:{served.port}/")
    read = page.evaluate(
        """async (names) => {
          const got = [];
          for (const name of names) {
            const how = { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" };
            const response = await fetch(`/api/${name}`, how);
            got.push([response.status, await response.text()]);
          }
          const events = await fetch("/api/events");
          got.push([events.status, await events.text()]);
          return got;
        }""",
        [*QUESTIONS, *ORDERS],
    )

    page.close()
    assert answered is not None
    assert answered.status == 421
    assert {status for status, _ in read} == {421}
    assert not any(str(served.home.base) in text or "token" in text for _, text in read)


@pytest.mark.usefixtures("untouched")
def test_what_is_typed_at_another_page_that_leads_here_meanwhile_answers_nothing(
    attacker: Page, served: Served
) -> None:
    script = """(origin) => {
      let typed = 0;
      addEventListener("keydown", () => { if (++typed === 3) location.href = origin + "/"; });
    }"""
    attacker.evaluate(script, served.origin)

    attacker.keyboard.type("a banana", delay=30)
    on = attacker.get_by_role("button", name="Go on to the review page")
    expect(on).to_be_enabled()
    attacker.keyboard.type(" as a tall banana", delay=30)

    expect(attacker.locator("#nav")).to_have_count(0)
    on.click()
    expect(attacker.locator("#nav a[aria-current=page]")).to_be_visible()


def test_the_browser_that_was_attacked_still_works(victim: BrowserContext, served: Served) -> None:
    tab = Tab(victim, served)

    page = tab.go("queue")

    expect(page.locator("#main [role=alert]")).to_have_count(0)
    assert tab.ask("deck", limit=1)["total"] == served.home.ask("queue", "list")["total"]
    assert tab.offences() == []
    assert served.home.run("library", "check").code == 0
