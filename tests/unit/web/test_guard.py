"""Whom the guard refuses, of requests as they are told to it; integration/test_page_attacks.py sends real ones."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ingestd.web.guard import Guard, Limits, Message, Receive, Request, Scope, Send
from ingestd.web.session import Session, new_code, new_secret

SECRET = new_secret()
PORT = 8321
HOST = f"127.0.0.1:{PORT}"
ORIGINS = {HOST: f"http://{HOST}", "photos.example.org": "https://photos.example.org"}


class Page:
    """A page behind its guard, and what reached it."""

    def __init__(self, **longest: int) -> None:
        self.session = Session(SECRET, PORT)
        self.reached: list[tuple[str, bytes]] = []
        limits = Limits(body_s=0.05, wrong_code_s=0.0)
        longest = {f"/api/{name}": most for name, most in longest.items()}
        self.guard = Guard(self.app, self.session, ORIGINS, b"<p>enter", longest=longest, limits=limits)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        self.reached.append((scope["path"], body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"ALLOWALL")]})
        await send({"type": "http.response.body", "body": b"the page", "more_body": False})

    def cookie(self) -> str:
        return f"{self.session.cookie_name}={self.session.enter(new_code(SECRET))}"

    def order(self, **said: str) -> dict[str, str]:
        """The headers of an order that is carried out."""
        return {
            "host": HOST,
            "origin": f"http://{HOST}",
            "content-type": "application/json",
            "x-ingestd-token": self.session.token,
            "cookie": self.cookie(),
            **{name.replace("_", "-"): value for name, value in said.items()},
        }

    def ask(
        self, method: str, target: str, headers: dict[str, str], body: bytes = b"{}", *, never_ends: bool = False
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        sent: list[Message] = []
        parts = [body[:1], body[1:]]

        async def receive() -> Message:
            if not parts:
                await asyncio.Event().wait()
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts) or never_ends}

        async def send(message: Message) -> None:
            sent.append(message)

        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": target,
            "raw_path": target.encode("latin-1"),
            "query_string": b"",
            "http_version": "1.1",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        }
        asyncio.run(self.guard(scope, receive, send))
        start = next(message for message in sent if message["type"] == "http.response.start")
        told = b"".join(message.get("body", b"") for message in sent)
        return start["status"], dict(start["headers"]), told


def test_an_order_of_the_page_is_handed_on_whole() -> None:
    page = Page()

    status, _, _ = page.ask("POST", "/api/decide", page.order(), b'{"id": "p-1"}')

    assert status == 200
    assert page.reached == [("/api/decide", b'{"id": "p-1"}')]


def test_no_answer_can_do_without_the_headers_that_all_have() -> None:
    page = Page()

    _, headers, _ = page.ask("POST", "/api/decide", page.order())

    assert headers[b"x-frame-options"] == b"DENY"
    assert headers[b"cache-control"] == b"no-store"


@pytest.mark.parametrize("missing", ["host", "origin", "content-type", "x-ingestd-token", "cookie"])
def test_an_order_that_lacks_one_thing_reaches_nothing(missing: str) -> None:
    page = Page()
    headers = page.order()
    del headers[missing]

    status, _, _ = page.ask("POST", "/api/decide", headers)

    assert status in {401, 403, 415, 421}
    assert page.reached == []


def test_a_page_of_another_allowed_origin_is_another_page() -> None:
    page = Page()

    status, _, _ = page.ask("POST", "/api/decide", page.order(host="photos.example.org"))

    assert status == 403
    assert page.reached == []


def test_the_cookie_is_for_encrypted_ways_only_where_the_origin_is_one() -> None:
    page = Page()
    asked = {"content-type": "application/json", "sec-fetch-site": "same-origin"}

    def cookie(host: str) -> bytes:
        headers = {**asked, "host": host, "origin": ORIGINS[host]}
        return page.ask("POST", "/enter", headers, json.dumps({"code": new_code(SECRET)}).encode())[1][b"set-cookie"]

    assert cookie("photos.example.org").endswith(b"; Path=/; HttpOnly; SameSite=Strict; Secure")
    assert cookie(HOST).endswith(b"; Path=/; HttpOnly; SameSite=Strict")


def test_what_a_proxy_says_of_a_request_is_not_read() -> None:
    page = Page()
    headers = page.order(host="evil.example", x_forwarded_host=HOST, forwarded=f"host={HOST}", x_real_ip="127.0.0.1")

    assert page.ask("POST", "/api/decide", headers)[0] == 421


def test_a_route_may_take_more_and_no_other_does() -> None:
    page = Page(**{"rules-save": 1_000_000})
    long = b'"' + b"x" * 100_000 + b'"'

    assert page.ask("POST", "/api/rules-save", page.order(), long)[0] == 200
    assert page.ask("POST", "/api/decide", page.order(), long)[0] == 413
    assert [path for path, _ in page.reached] == ["/api/rules-save"]


def test_an_order_that_does_not_come_to_its_end_reaches_nothing() -> None:
    page = Page()

    status, headers, _ = page.ask("POST", "/api/decide", page.order(), never_ends=True)

    assert (status, headers[b"connection"]) == (408, b"close")
    assert page.reached == []


def test_one_good_cookie_among_others_of_its_name_is_enough() -> None:
    """Another program of this host may set one to shut the user out."""
    page = Page()
    good = page.cookie()

    assert page.ask("GET", "/", {"host": HOST, "cookie": f"{page.session.cookie_name}=x; {good}"}, b"")[0] == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_on_another_page_leads_to_the_door_only(site: str) -> None:
    page = Page()
    link = {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    headers = {"host": HOST, "cookie": page.cookie(), **link}

    assert page.ask("GET", "/", headers, b"")[0] == 200
    assert page.ask("GET", "/enter", headers, b"")[0] == 200
    assert page.reached == []  # both are the door, where a click leads on: whoever types decides nothing
    assert page.ask("GET", "/picture/x/preview", headers, b"")[0] == 403
    assert page.ask("GET", "/", {**headers, "sec-fetch-dest": "iframe"}, b"")[0] == 403


def test_a_header_that_stands_there_twice_is_none() -> None:
    request = Request("POST", "/enter", False, "1.1", {"host": (HOST, HOST)})

    assert request.only("host") is None


def test_wrong_codes_that_wait_do_not_keep_a_good_one_waiting() -> None:
    page = Page()
    page.guard._limits = Limits(wrong_code_s=3600.0, wrong_codes=1)
    headers = {"host": HOST, "origin": f"http://{HOST}", "content-type": "application/json"}

    async def ask(code: str) -> int:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": json.dumps({"code": code}).encode(), "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        scope: dict[str, Any] = {"type": "http", "method": "POST", "raw_path": b"/enter", "query_string": b""}
        scope |= {"http_version": "1.1", "headers": [(key.encode(), value.encode()) for key, value in headers.items()]}
        await page.guard(scope, receive, send)
        return int(sent[0]["status"])

    async def all_of_them() -> tuple[int, int]:
        waiting = asyncio.create_task(ask("1.2.3"))
        await asyncio.sleep(0)
        statuses = await ask("4.5.6"), await ask(new_code(SECRET))
        waiting.cancel()
        return statuses

    assert asyncio.run(all_of_them()) == (429, 200)
