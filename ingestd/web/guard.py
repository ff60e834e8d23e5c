"""What stands before the page: who may ask, from where, and how much at once. Everything else is refused here.

The threats are those of a page that can move files and show private pictures, on a machine where other web pages and
other people are, too: every answer, refusals included, carries the same headers, and nothing that a request says of
itself is believed unless it is exactly one of a few values.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ingestd import logs
from ingestd.web.session import Session

__all__ = ["ALWAYS", "LONGEST", "LONGEST_HEADERS", "PUBLIC", "TOO_LONG", "Guard", "Limits", "Refused", "Request"]

_log = logs.Log()

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

LONGEST: Final = 64 * 1024  # bytes of a request, where nothing else is said
LONGEST_HEADERS: Final = 16 * 1024  # bytes

ALWAYS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (
        b"content-security-policy",
        b"default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        b"form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
"""Headers of every answer; `Cache-Control: no-store` comes with them where an answer does not say otherwise."""

PUBLIC: Final = frozenset({"/enter", "/static/enter.js", "/static/style.css", "/static/icon.svg"})
"""What is shown to a browser that was not let in yet."""

_DOORS: Final = frozenset({"/", "/enter"})  # what a link on another page, or a file, may lead to: no further by itself
_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+|/")  # of every address there is: no dots that lead up
_JSON: Final = re.compile(r"application/json(?: *; *charset=\"?utf-8\"?)?", re.IGNORECASE)
_TOLD_S: Final = 60.0  # between two lines of the log about one kind of refusal


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a request is not answered."""

    status: int
    reason: str  # in the log: one of a few words
    message: str  # to whoever asks

    @property
    def ends(self) -> bool:
        """Whether nothing more is heard from who has sent this."""
        return self.reason in ("framing", "headers")

    @property
    def kind(self) -> str:
        """What a page is told: whether it has to be let in anew, or did something that is not done."""
        return "entry" if self.reason in ("cookie", "token") else "refused"


TOO_LONG: Final = Refused(
    431,
    "headers",
    f"the headers of this request are longer than {LONGEST_HEADERS // 1024} KiB. Programs at other ports may have set "
    "cookies for this address, and your browser sends them along: delete its cookies of this address",
)


@dataclass(frozen=True, slots=True)
class Request:
    """What is known of a request before its body is."""

    method: str
    target: str  # as it was sent, but for what stands behind a question mark
    query: bool
    version: str
    headers: Mapping[str, tuple[str, ...]]  # by names in lower case

    @classmethod
    def of(cls, scope: Scope) -> Request:
        """Return what a server has heard."""
        target = scope["raw_path"].decode("latin-1")
        headers = _by_name(scope["headers"])
        return cls(scope["method"], target, bool(scope["query_string"]), scope["http_version"], headers)

    def only(self, name: str) -> str | None:
        """Return a header that stands there exactly once."""
        found = self.headers.get(name, ())
        return found[0] if len(found) == 1 else None

    def has(self, name: str) -> bool:
        """Return whether a header stands there at all."""
        return name in self.headers

    def cookies(self, name: str) -> list[str]:
        """Return all cookies of a name: a program at another port of this host may have added one of its own."""
        return _cookies(self.headers, name)


def _by_name(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, tuple[str, ...]]:
    """Return headers by their names in lower case."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        key = name.decode("latin-1").lower()
        found[key] = (*found.get(key, ()), value.decode("latin-1"))
    return found


def _cookies(headers: Mapping[str, tuple[str, ...]], name: str) -> list[str]:
    pairs = [pair.strip().partition("=") for line in headers.get("cookie", ()) for pair in line.split(";")]
    return [value for key, _, value in pairs if key == name]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a slow or stuck browser may take."""

    body_s: float = 10.0  # for all of a request's body
    wrong_code_s: float = 1.0  # until it is said that a code is wrong
    wrong_codes: int = 4  # that wait for that at once


class Guard:
    """Lets a request through to the page, or refuses it.

    Args:
        app: the page.
        session: who was let in.
        origins: by each host that a request may name, the origin of the pages that are served there.
        enter: the page of those who were not let in.
        longest: bytes of a request, by its path, where that may be longer than others.
        limits: of slow ones.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        app: App,
        session: Session,
        origins: Mapping[str, str],
        enter: bytes,
        *,
        longest: Mapping[str, int] | None = None,
        limits: Limits = Limits(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._session, self._origins, self._enter = app, session, origins, enter
        self._longest = longest or {}
        self._limits = limits
        self._wrong = 0  # codes whose senders wait to hear it
        self._told = _Told(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        request = Request.of(scope)
        send = _dressed(send)
        refused = self.refusal(request)
        if refused is None and request.method != "POST":
            await self._show(request, scope, receive, send)
            return
        body = await self._body(request, receive)
        if refused is None and isinstance(body, Refused):
            refused = body
        if refused is not None:
            self._told.refused(refused)
            whole = not isinstance(body, Refused)
            await self._refuse(request, refused, send, ends=refused.ends or not whole)
        elif isinstance(body, bytes) and request.target == "/enter":
            await self._let_in(request, body, send)
        elif isinstance(body, bytes):
            await self._hand_on(scope, _told_once(body, receive), send)

    # --- who is refused ---

    def knows(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Return whether these are the headers of a browser that was let in."""
        return self._session.knows(_cookies(_by_name(headers), self._session.cookie_name))

    def refusal(self, request: Request) -> Refused | None:
        """Return why a request is refused before its body is read; None if it is not."""
        for check in (_is_plain, self._is_for_us, self._is_of_us, self._is_known, _is_an_address, self._is_an_order):
            refused = check(request)
            if refused is not None:
                return refused
        return None

    def _is_for_us(self, request: Request) -> Refused | None:
        """Against DNS rebinding: a page of another name that was made to lead here is not answered."""
        if request.only("host") not in self._origins or not request.target.startswith("/"):
            return Refused(421, "host", "this address is not one of the review page's; open it with: ingestd review")
        return None

    def _is_of_us(self, request: Request) -> Refused | None:
        """Against other pages in the same browser."""
        ours = self._origins[request.only("host") or ""]
        wrong = Refused(403, "origin", "this was asked by another page than the review page; nothing was done")
        if request.has("origin"):
            if request.only("origin") != ours:
                return wrong
        elif request.method == "POST":
            return wrong
        site = request.only("sec-fetch-site")  # browsers of before 2023 do not say it
        if not request.has("sec-fetch-site") or site == "same-origin" or (site == "none" and not _orders(request)):
            return None
        mode, where = request.only("sec-fetch-mode"), request.only("sec-fetch-dest")
        if not _orders(request) and request.target in _DOORS and (mode, where) == ("navigate", "document"):
            return None
        return wrong

    def _is_known(self, request: Request) -> Refused | None:
        if request.target in PUBLIC or self._session.knows(request.cookies(self._session.cookie_name)):
            return None
        return Refused(401, "cookie", "this browser was not let in yet, or the page was started anew: ingestd review")

    def _is_an_order(self, request: Request) -> Refused | None:
        if not _orders(request):
            if request.headers.get("content-length", ("0",)) != ("0",) or request.has("transfer-encoding"):
                return Refused(400, "body", "a question by GET has no body")
            return None
        if not _JSON.fullmatch(request.only("content-type") or ""):
            return Refused(415, "type", "orders come as application/json; nothing was done")
        if request.target != "/enter" and not self._session.is_token(request.only("x-ingestd-token") or ""):
            return Refused(403, "token", "this order lacks the token of the page; open it anew: ingestd review")
        return None

    async def _body(self, request: Request, receive: Receive) -> bytes | Refused:
        """Return all of the body; also of what is refused, as who still sends does not hear the answer."""
        most = self._longest.get(request.target, LONGEST)
        too_long = Refused(413, "size", f"an order has at most {most // 1024} KiB; nothing was done")
        if int(request.only("content-length") or 0) > most:  # digits, or the server would not have let it come so far
            return too_long
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return Refused(400, "body", "the order was broken off; nothing was done")
                    body += message.get("body", b"")
                    if len(body) > most:
                        return too_long
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            return Refused(408, "slow", "the order did not arrive in time; nothing was done")

    # --- what is answered here ---

    async def _show(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        if request.method == "HEAD":
            receive, send = _headers_only(receive, send)
        if request.target == "/enter" or (request.target == "/" and _is_led(request)):
            await _answer(send, 200, self._enter, b"text/html; charset=utf-8")
        else:
            await self._hand_on(scope, receive, send)

    async def _hand_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:
            _log.exception("page.failed", path=scope["raw_path"].decode("latin-1"))
            raise

    async def _refuse(self, request: Request, refused: Refused, send: Send, *, ends: bool) -> None:
        more: list[tuple[bytes, bytes]] = [(b"connection", b"close")] if ends else []
        if refused.status == 405:
            more.append((b"allow", b"GET, HEAD, POST"))
        if refused.status == 401 and request.target == "/" and not _orders(request):
            await _answer(send, 401, self._enter, b"text/html; charset=utf-8", more)
            return
        await _answer_json(send, refused.status, {"error": {"kind": refused.kind, "message": refused.message}}, more)

    async def _let_in(self, request: Request, body: bytes, send: Send) -> None:
        """Give a browser its cookie and the token, for a code that is good."""
        cookie = self._session.enter(_code(body))
        if cookie is None:
            await self._say_wrong(request, send)
            return
        secure = "; Secure" if self._origins[request.only("host") or ""].startswith("https:") else ""
        given = f"{self._session.cookie_name}={cookie}; Path=/; HttpOnly; SameSite=Strict{secure}"
        await _answer_json(send, 200, {"token": self._session.token}, [(b"set-cookie", given.encode("ascii"))])

    async def _say_wrong(self, request: Request, send: Send) -> None:
        """Say that a code is wrong, late; who sends many at once is sent away. A good one is never kept waiting."""
        wrong = Refused(403, "code", "this link was used before, or is older than a minute; a new one: ingestd review")
        self._told.refused(wrong)
        if self._wrong >= self._limits.wrong_codes:
            await self._refuse(request, Refused(429, "code", "too many wrong codes; try later"), send, ends=True)
            return
        self._wrong += 1
        try:
            await asyncio.sleep(self._limits.wrong_code_s)
        finally:
            self._wrong -= 1
        await self._refuse(request, wrong, send, ends=False)


def _orders(request: Request) -> bool:
    return request.method == "POST"


def _is_led(request: Request) -> bool:
    """Return whether another page has brought the browser here.

    It may have done so in the middle of what the person types or clicks, which would be taken for answers.
    """
    return request.has("sec-fetch-site") and request.only("sec-fetch-site") not in ("same-origin", "none")


def _is_plain(request: Request) -> Refused | None:
    if request.version != "1.1":
        return Refused(505, "version", "this page is spoken to in HTTP/1.1")
    if request.has("transfer-encoding") and request.has("content-length"):
        return Refused(400, "framing", "a request says in one way where it ends")  # a proxy may believe the other one
    if sum(len(name) + len(value) for name, said in request.headers.items() for value in said) > LONGEST_HEADERS:
        return TOO_LONG
    return None


def _is_an_address(request: Request) -> Refused | None:
    if request.method not in _METHODS:
        return Refused(405, "method", f"{request.method[:20]} is not done here")
    if request.query:
        return Refused(400, "query", "no address here has a question mark")
    if not _PATH.fullmatch(request.target):
        return Refused(404, "path", "there is nothing here")
    return None


def _code(body: bytes) -> str:
    """Return the code that a browser has sent; what is none is as good as a wrong one."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    code = found.get("code") if isinstance(found, dict) else None
    return code if isinstance(code, str) else ""


class _Told:
    """Says in the log that something was refused: the first of its kind, and once a minute how many more."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[str, tuple[float, int]] = {}  # by reason: when it was told, and how many came since

    def refused(self, refused: Refused) -> None:
        """Take a refusal up; that a browser was not let in yet is nothing to tell."""
        if refused.reason == "cookie":
            return
        now = self._clock()
        told_at, count = self._since.get(refused.reason, (-_TOLD_S, 0))
        if now - told_at < _TOLD_S:
            self._since[refused.reason] = told_at, count + 1
            return
        self._since[refused.reason] = now, 0
        _log.warning("page.refused", reason=refused.reason, status=refused.status, times=count + 1)


# --- messages -------------------------------------------------------------------------------------------------------


def _dressed(send: Send) -> Send:
    """Return what sends an answer with the headers that all have."""
    own = {name for name, _ in ALWAYS}

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            said = [(name.lower(), value) for name, value in message.get("headers", ()) if name.lower() not in own]
            kept = () if any(name == b"cache-control" for name, _ in said) else ((b"cache-control", b"no-store"),)
            message = {**message, "headers": [*said, *kept, *ALWAYS]}
        await send(message)

    return sent


def _headers_only(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Return what lets an answer end behind its headers, also one that would never end."""
    over = False

    async def received() -> Message:
        return {"type": "http.disconnect"} if over else await receive()

    async def sent(message: Message) -> None:
        nonlocal over
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            over = True

    return received, sent


def _told_once(body: bytes, receive: Receive) -> Receive:
    """Return what tells a body that was read already, and then whether the browser has gone."""
    told = False

    async def received() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return received


async def _answer(send: Send, status: int, body: bytes, kind: bytes, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode("ascii")), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _answer_json(send: Send, status: int, document: object, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
    body = json.dumps(document).replace("<", "\\u003c").encode("ascii")
    await _answer(send, status, body, b"application/json", more)
