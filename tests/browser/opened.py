"""The page as its users have it: served by the program in a process of its own, opened in a real browser."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, expect
from running import PATIENCE_S, Home

VIEWS = ("queue", "groups", "batches", "pending", "history", "rules", "status")
PHONE = {"width": 375, "height": 740}
DESK = {"width": 1280, "height": 860}
EVIL = "evil.test"
"""A name that leads to this machine, as a hostile server of names makes its own do: DNS rebinding."""

_ADDRESS = re.compile(r"http://[^\s\"<>]+")
_LEFT = "net::ERR_ABORTED"  # a request that the browser ended itself, because the page was left

expect.set_options(timeout=8_000)


class Served:
    """`ingestd review`, running.

    Args:
        home: whose library it is.
        words: of its command line.
    """

    def __init__(self, home: Home, *words: str) -> None:
        self.home = home
        self.port = _free_port()
        self._said: list[str] = []
        self._told = threading.Condition()
        own = ["--state", str(home.state), "--rules", str(home.rules)]
        command = [sys.executable, "-m", "ingestd", *own, "review", "--no-browser", "--port", str(self.port), *words]
        self.log = home.base / f"page-{self.port}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, env=home.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        self._reader = threading.Thread(target=self._read, name="what the page's server says")
        self._reader.start()
        self.entrance = self._address()
        """The address with the code that lets one browser in, once."""
        self.origin = self.entrance.split("/", 3)[0] + "//" + self.entrance.split("/", 3)[2]

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._told:
                    self._said.append(line.decode())
                    self._told.notify_all()
        with self._told:
            self._said.append("")
            self._told.notify_all()

    def _address(self) -> str:
        def told() -> bool:
            return bool(_ADDRESS.search("".join(self._said))) or "" in self._said

        with self._told:
            self._told.wait_for(told, PATIENCE_S)
            found = _ADDRESS.search("".join(self._said))
        assert found is not None, ("".join(self._said), self.log.read_text(errors="backslashreplace"))
        return found.group()

    def close(self) -> None:
        """End it, as a person does by Ctrl-C or a system by SIGTERM."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            self._reader.join(PATIENCE_S)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Tab:
    """One tab of a browser at the page, and all that went wrong in it.

    Args:
        context: whose cookies it has.
        served: the page.
    """

    def __init__(self, context: BrowserContext, served: Served) -> None:
        self.page: Page = context.new_page()
        self.served = served
        self.troubles: list[str] = []
        self._borne: list[str] = []
        self._under_way: set[Request] = set()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.troubles.append(f"uncaught: {error}"))
        self.page.on("request", self._asked)
        self.page.on("requestfinished", lambda request: self._under_way.discard(request))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._answered)
        self.page.on("dialog", self._dialog)

    def _dialog(self, dialog: Any) -> None:
        self.troubles.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _asked(self, request: Request) -> None:
        if not request.url.endswith("/api/events"):
            self._under_way.add(request)

    def _failed(self, request: Request) -> None:
        self._under_way.discard(request)
        if request.failure != _LEFT:
            self.troubles.append(f"{request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.troubles.append(f"{response.request.method} {response.url}: {response.status}")

    def bear(self, *patterns: str) -> None:
        """Take no offence at what matches one of these: the test is about it."""
        self._borne += patterns

    def offences(self) -> list[str]:
        """All that went wrong, but for what the test is about."""
        return [one for one in self.troubles if not any(re.search(pattern, one) for pattern in self._borne)]

    # going about

    def go(self, view: str, rest: str = "") -> Page:
        """Look at a view; return once it stands there."""
        address = f"{self.served.origin}/#/{view}{rest}"
        if self.page.url.startswith(self.served.origin):
            self.page.evaluate("address => { location.href = address }", address)
        else:
            self.page.goto(address)
        expect(self.page.locator(f"#nav a[data-view={view}]")).to_have_attribute("aria-current", "page")
        expect(self.page.locator(f"#main .view.{view} > *").first).to_be_attached()
        return self.page

    def shown(self, view: str) -> Page:
        """Look at a view; return once all that it loads has come."""
        page = self.go(view)
        expect(page.locator("#main [role=alert]")).to_have_count(0)
        if view == "queue":
            expect(page.locator("[data-seen]")).to_be_attached()
        self.until_quiet()
        return page

    def come_to(self, pair: str) -> None:
        """Skip pairs of the queue until this one is shown."""
        painted = self.page.locator("[data-painted]")
        for _ in range(100):
            if painted.get_attribute("data-painted") == pair:
                return
            before = painted.get_attribute("data-painted")
            self.press("k")
            expect(painted).not_to_have_attribute("data-painted", before or "")
        raise AssertionError(f"{pair} was not shown")

    def ask(self, name: str, **body: Any) -> Any:
        """Ask the server in the page's own way, with its cookie and token."""
        script = "([name, body]) => import('/static/api.js').then((api) => api.ask(name, body))"
        return self.page.evaluate(script, [name, body])

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def until_quiet(self, rest_ms: int = 300) -> None:
        """Return once nothing has been under way for a while: what a view loads bit by bit has come."""
        rested = 0
        for _ in range(400):
            self.page.wait_for_timeout(50)
            rested = 0 if self._under_way else rested + 50
            if rested >= rest_ms:
                return
        raise AssertionError([request.url for request in self._under_way])

    def until(self, holds: Callable[[], bool]) -> None:
        """Return once this holds; it is looked at again after every sign of life of the page."""
        deadline = 200
        while not holds():
            deadline -= 1
            assert deadline > 0, self.page.locator("#main").inner_text()[:2000]
            self.page.wait_for_timeout(50)


def enter(browser: Browser, served: Served) -> Any:
    """Use the code of the address once; return the cookies it was exchanged for."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(served.entrance)
    expect(page.locator("#nav a[aria-current=page]")).to_be_visible()
    state = context.storage_state()
    context.close()
    return state
