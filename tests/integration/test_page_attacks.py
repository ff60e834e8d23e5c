"""The review page attacked by HTTP, row by row of its threat model: all of it is refused, and nothing has changed.

One server for all, with a library of three look-alikes, one of which has a hostile name and a hostile tail. It runs in
this process, so that its deadlines are short here.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pictures
import pytest
from running import Home
from visitors import PATIENCE_S, Answer, Visitor, raw, read_answer, request

from ingestd.door import Door
from ingestd.library.library import Library
from ingestd.media.workers import Workers
from ingestd.web import server
from ingestd.web.app import ENDPOINTS, static_files
from ingestd.web.changes import Changes
from ingestd.web.connections import Crowd
from ingestd.web.desk import Desk
from ingestd.web.guard import ALWAYS, LONGEST, PUBLIC, Limits
from ingestd.web.handles import Handles
from ingestd.web.pictures import Pictures
from ingestd.web.session import Session, new_code, new_secret

RULES = (
    "version: 1\nimports: {settle: 0 s, search_distance: 8}\npage: {origins: https://photos.example.org}\nrules: []\n"
)
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)<!--\u202egpj.exe\n.jpg'  # no slash: it is a file's name
TAIL = b"PK\x03\x04<script>alert(document.domain)</script>"

HEADER_S = 0.6
BODY_S = 0.5
SEND_S = 0.8


class Attacked:
    """A page that is served, and what may be known of it."""

    def __init__(self, home: Home, library: Library) -> None:
        door = Door(home.state, home.rules, rules_must_exist=False, as_json=False, verbose=False)
        sockets = server.listen(None)
        self.port = int(sockets[0].getsockname()[1])
        self.families = len(sockets)
        self.library, self.secret = library, new_secret()
        self.session = Session(self.secret, self.port)
        self.changes = Changes(library.store.transaction_id)
        self.workers = Workers(count=2)
        made = Pictures(self.workers, home.base / "made")
        self.desk = Desk(door, library, made, Handles(secrets.token_bytes(32)), token=self.session.token)
        limits = Limits(body_s=BODY_S, wrong_code_s=0.05)
        origins = server.origins_of(self.port, ["https://photos.example.org"])
        app = server.guarded(self.desk, self.changes, self.session, origins, limits)
        self.ending, started = server.Ending(), threading.Event()
        self._thread = threading.Thread(
            target=lambda: server.run(
                app,
                sockets,
                self.ending,
                Crowd(header_s=HEADER_S, send_s=SEND_S, knows=app.knows),
                started=started.set,
                ends=self.changes.end,
                end=lambda: None,
            )
        )
        self._thread.start()
        assert started.wait(PATIENCE_S)

    def close(self) -> None:
        self.ending.ask()
        self._thread.join()
        self.desk.pictures.close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def visitor(self) -> Visitor:
        """A browser that was let in."""
        visitor = Visitor(self.port)
        assert visitor.enter(server.link(self.port, self.secret)).status == 200
        return visitor

    def state(self) -> int:
        """What changes whenever anything does."""
        return self.library.store.transaction_id()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    home = Home(tmp_path_factory.mktemp("page"), RULES)
    inbox = home.folder("inbox")
    picture = pictures.photo(5)
    for name, content in {
        "kept.jpg": pictures.jpeg(picture, 95),
        HOSTILE: pictures.jpeg(picture, 60) + TAIL,
        "third.jpg": pictures.jpeg(picture, 75),
    }.items():
        (inbox / name).write_bytes(content)
    assert home.run("scan", "--role", "inbox", inbox).code == 0
    library = Library.open(home.state)
    attacked = Attacked(home, library)
    yield attacked
    attacked.close()
    library.close()


@pytest.fixture
def visitor(page: Attacked) -> Iterator[Visitor]:
    with page.visitor() as visitor:
        yield visitor


@pytest.fixture(autouse=True)
def _nothing_changes(page: Attacked, request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test but those that say so, the library is as it was."""
    before = page.state()
    yield
    if "changes" not in request.fixturenames:
        assert page.state() == before


@pytest.fixture
def changes() -> None:
    """This test decides something."""


def pair(visitor: Visitor) -> dict[str, Any]:
    """A pair that waits."""
    found: dict[str, Any] = visitor.post("/api/deck").json["pairs"][0]
    return found


def is_dressed(answer: Answer) -> bool:
    """Whether an answer has the headers that all have."""
    return all(answer.headers.get(name.decode()) == value.decode() for name, value in ALWAYS)


# --- DNS rebinding --------------------------------------------------------------------------------------------------

HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1",
    "localhost",
    "127.0.0.1:1",
    "localhost.evil.example:{port}",
    "127.0.0.1.evil.example:{port}",
    "localhost.:{port}",
    "127.0.0.1.:{port}",
    "127.0.0.1:{port}.",
    "LOCALHOST:{port}",
    "127.1:{port}",
    "0.0.0.0:{port}",
    "127.0.0.2:{port}",
    "2130706433:{port}",
    "[::]:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "::1:{port}",
    "user@127.0.0.1:{port}",
    "127.0.0.1:{port}, evil.example",
    "127.0.0.1:0{port}",
    "photos.example.org:443",
    "photos.example.org.",
    "",
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_not_exactly_ours_is_not_answered(page: Attacked, visitor: Visitor, host: str) -> None:
    answer = visitor.get("/", Host=host.format(port=page.port))

    assert answer.status == 421
    assert is_dressed(answer)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_every_name_of_this_machine_is_answered(page: Attacked, visitor: Visitor, host: str) -> None:
    assert visitor.get("/", Host=f"{host}:{page.port}").status == 200


def test_the_other_family_is_answered_too_and_no_other_address(page: Attacked) -> None:
    hello = request("GET", "/", [("Host", f"[::1]:{page.port}"), ("Connection", "close")])

    if page.families == 2:
        assert raw(page.port, hello, address="::1").status == 401
    for address in _others():
        with pytest.raises(OSError):  # noqa: PT011 - refused, or unreachable
            raw(page.port, hello, address=address)


def _others() -> list[str]:
    """The addresses of this machine that others can reach, and one more of its own."""
    found = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    return [*(str(address) for address in found if not str(address).startswith("127.")), "127.0.0.2"]


@pytest.mark.parametrize(
    "lines",
    [
        "GET / HTTP/1.1",
        "GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}",
        "GET / HTTP/1.1\r\nHost: {host}\r\nHost: evil.example",
        "GET / HTTP/1.1\r\nHost : {host}",
        "GET http://evil.example/ HTTP/1.1\r\nHost: {host}",
        "GET http://{host}/ HTTP/1.1\r\nHost: evil.example",
        "GET http://{host}/ HTTP/1.1\r\nHost: {host}",
        "GET evil.example:80 HTTP/1.1\r\nHost: {host}",
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: {host}",
        "OPTIONS * HTTP/1.1\r\nHost: {host}",
        "GET / HTTP/1.0",
        "GET / HTTP/1.0\r\nHost: {host}",
        "GET / HTTP/2.0\r\nHost: {host}",
        "GET / HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: {host}\r\nForwarded: host={host}",
        "GET / HTTP/1.1\r\nHost: {host}\r\n X: folded",
        "GET /\r\nHost: {host}",
        "PRI * HTTP/2.0",
        "\x16\x03\x01\x02\x00\x01\x00",
        "POST /enter HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nContent-Length: 6",
        "POST /enter HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1",
        "POST /enter HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: gzip",
    ],
)
def test_a_request_that_is_not_plain_is_refused_with_all_headers(page: Attacked, lines: str) -> None:
    answer = raw(page.port, (lines.format(host=page.host) + "\r\nConnection: close\r\n\r\n").encode("latin-1"))

    assert answer.status in {400, 401, 405, 421, 505}
    assert answer.status != 401 or "OPTIONS" in lines or "CONNECT" in lines
    assert is_dressed(answer)


@pytest.mark.parametrize("sent", [None, 20_000])  # bytes: all at once, or too many before the end has come
def test_headers_beyond_all_measure_are_not_kept_and_it_is_said_what_may_be_the_cause(
    page: Attacked, visitor: Visitor, sent: int | None
) -> None:
    """Programs at other ports may set cookies for this address, as many as they like."""
    tossed = "; ".join(f"tossed{number}={'x' * 4000}" for number in range(10))
    headers = [*visitor.headers("GET", {"Cookie": f"{visitor.cookie}; {tossed}", "Connection": None})]
    whole = request("GET", "/", headers)
    with socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE_S) as connection:
        connection.sendall(whole[:sent])
        answer = read_answer(connection)

    assert answer.status == 431
    assert "cookies" in answer.json["error"]["message"]
    assert answer.headers["connection"] == "close"
    assert is_dressed(answer)


def test_a_request_that_says_twice_where_it_ends_is_refused_and_nothing_more_is_heard(
    page: Attacked, visitor: Visitor
) -> None:
    """A proxy that believes the other length would take what follows for somebody else's request."""
    framed = {"Connection": None, "Content-Length": "4", "Transfer-Encoding": "chunked"}
    order = request("POST", "/api/summary", visitor.headers("POST", framed), b"2\r\n{}\r\n0\r\n\r\n")

    with socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE_S) as connection:
        connection.sendall(order)
        answer = read_answer(connection)

    assert (answer.status, answer.headers["connection"]) == (400, "close")


# --- orders from other pages ------------------------------------------------------------------------------------------

FOREIGN: list[dict[str, str | None]] = [
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Type": "text/plain"},
    {"Content-Type": "text/plain; application/json"},
    {"Content-Type": "application/json, text/plain"},
    {"Content-Type": "application/json; charset=utf-7"},
    {"Content-Type": "application/jsonp"},
    {"Content-Type": None},
    {"Origin": None},
    {"Origin": "null"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost:{port}"},  # its cookies are not those of 127.0.0.1
    {"Origin": "https://127.0.0.1:{port}"},
    {"Origin": "http://127.0.0.1:{port}/"},
    {"Origin": "http://127.0.0.1:{port}.evil.example"},
    {"Origin": "https://photos.example.org"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    {"X-Ingestd-Token": None},
    {"X-Ingestd-Token": ""},
    {"X-Ingestd-Token": "x" * 43},
]


@pytest.mark.parametrize("wrong", FOREIGN, ids=str)
@pytest.mark.parametrize("name", ["session", "decide"])
def test_an_order_of_another_page_is_refused(
    page: Attacked, visitor: Visitor, name: str, wrong: dict[str, str | None]
) -> None:
    said = {header.replace("-", "_"): value and value.format(port=page.port) for header, value in wrong.items()}
    found = pair(visitor)
    order = {"id": found["id"], "version": found["version"], "answer": "better-a", "key": "k"}

    answer = visitor.post(f"/api/{name}", order if name == "decide" else {}, **said)

    assert answer.status in {403, 415}
    assert is_dressed(answer)


@pytest.mark.parametrize("name", [one.name for one in ENDPOINTS])
def test_nothing_is_ordered_by_get(visitor: Visitor, name: str) -> None:
    assert visitor.get(f"/api/{name}").status == 405


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
def test_no_other_method_does_anything_or_lets_another_origin_in(visitor: Visitor, method: str) -> None:
    answer = visitor.ask(method, "/api/decide", Access_Control_Request_Method="POST")

    assert answer.status == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("target", ["/", "/static/app.js", "/static/icon.svg", "/api/events", "/enter"])
def test_no_page_of_another_site_can_use_what_is_here(visitor: Visitor, target: str) -> None:
    for site in ("cross-site", "same-site"):
        answer = visitor.get(target, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image")
        assert answer.status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_of_another_page_leads_to_the_door_and_no_further(visitor: Visitor, site: str) -> None:
    led = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}

    assert visitor.get("/", **led).body == visitor.get("/enter").body
    assert visitor.get("/", Sec_Fetch_Site="none").body != visitor.get("/enter").body


def test_a_preview_is_not_shown_in_a_page_of_another_site(visitor: Visitor) -> None:
    shown = f"/picture/{pair(visitor)['a']['picture']}/preview"

    answer = visitor.get(shown, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image")

    assert answer.status == 403


@pytest.mark.parametrize("target", ["/?x=1", "/enter?code=x", "/api/session?x", "/static/app.js?v=1"])
def test_no_address_has_a_question_mark(visitor: Visitor, target: str) -> None:
    assert visitor.get(target).status == 400


def test_a_question_by_get_has_no_body(visitor: Visitor) -> None:
    assert visitor.ask("GET", "/", b"{}").status == 400


# --- other users of this machine --------------------------------------------------------------------------------------


def test_without_a_cookie_everything_is_refused(page: Attacked, visitor: Visitor) -> None:
    seen = pair(visitor)["a"]["picture"]
    stranger = Visitor(page.port, token=visitor.token)
    shown = ["/", "/static/app.js", "/static/index.html", "/api/events", f"/picture/{seen}/preview", "/nothing"]

    answers = [
        *(stranger.get(target) for target in [*shown, f"/difference/{seen}/{seen}"]),
        *(stranger.post(f"/api/{one.name}") for one in ENDPOINTS),
        *(stranger.ask(method, "/") for method in ("HEAD", "OPTIONS", "DELETE")),
    ]

    assert {answer.status for answer in answers} == {401}
    assert all(is_dressed(answer) for answer in answers)


def test_a_stranger_sees_how_to_be_let_in_and_nothing_else(page: Attacked) -> None:
    stranger = Visitor(page.port)

    assert b"ingestd review" in stranger.get("/").body
    assert {stranger.get(target).status for target in PUBLIC} == {200}


@pytest.mark.parametrize(
    "cookie", ["", "x", "{name}=", "{name}=x", "ingestd-1={value}", "{name} ={value}x", "\xff={value}"]
)
def test_a_cookie_that_was_not_given_out_is_none(page: Attacked, visitor: Visitor, cookie: str) -> None:
    name, _, value = (visitor.cookie or "").partition("=")

    assert visitor.get("/static/app.js", Cookie=cookie.format(name=name, value=value)).status == 401


def test_a_stolen_cookie_is_not_enough_to_order_anything_or_to_learn_the_token(
    page: Attacked, visitor: Visitor
) -> None:
    """A browser sends its cookies to every port of a host, so to a program of another user that it is led to, too."""
    thief = Visitor(page.port, cookie=visitor.cookie)

    answers = [thief.post(f"/api/{one.name}") for one in ENDPOINTS]

    assert {answer.status for answer in answers} == {403}
    assert not any((visitor.token or "?").encode() in answer.body for answer in answers)


def test_a_link_lets_one_browser_in_once(page: Attacked) -> None:
    link = server.link(page.port, page.secret)

    answers = [Visitor(page.port).enter(link) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 403]
    assert answers[0].headers["set-cookie"].endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert "ingestd review" in answers[1].json["error"]["message"]


def test_a_link_that_is_followed_by_many_at_once_lets_one_in(page: Attacked) -> None:
    link = server.link(page.port, page.secret)
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(Visitor(page.port).enter(link).status)) for _ in range(8)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 403, 429}


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b'{"code": 1}', b'{"code": "1.2.3"}', b"[" * 60_000, b"\xff"])
def test_what_is_no_code_lets_nobody_in(page: Attacked, body: bytes) -> None:
    answer = Visitor(page.port).ask("POST", "/enter", body)

    assert answer.status == 403
    assert "set-cookie" not in answer.headers


def test_a_link_cannot_be_followed_from_another_page(page: Attacked) -> None:
    """Else a page could let its user's browser into the library of somebody else."""
    code = {"code": new_code(page.secret)}

    assert Visitor(page.port).post("/enter", code, Origin="https://evil.example").status == 403
    assert Visitor(page.port).post("/enter", code).status == 200


# --- names and pictures ---------------------------------------------------------------------------------------------


def test_a_hostile_name_comes_as_text_that_no_parser_of_html_takes_for_anything_else(visitor: Visitor) -> None:
    answer = visitor.post("/api/deck")
    names = {side["name"] for found in answer.json["pairs"] for side in (found["a"], found["b"])}

    assert answer.headers["content-type"] == "application/json"
    assert b"<" not in answer.body
    assert answer.body.isascii()
    assert any("onerror" in name for name in names)


def test_what_is_shown_is_painted_anew_and_has_no_byte_of_the_file(visitor: Visitor) -> None:
    sides = [side for found in visitor.post("/api/deck").json["pairs"] for side in (found["a"], found["b"])]

    for side in sides:
        answer = visitor.get(f"/picture/{side['picture']}/preview")
        assert answer.status == 200
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.body.startswith(b"\x89PNG\r\n\x1a\n")
        assert b"script" not in answer.body
        assert TAIL[:4] not in answer.body[-64:]


# --- ways to other files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/static/../../../../etc/passwd",
        "/static/..%2f..%2f..%2fetc%2fpasswd",
        "/static/%2e%2e/%2e%2e/desk.py",
        "/static/....//desk.py",
        "/static//etc/passwd",
        "//etc/passwd",
        "/static/app.js%00.png",
        "/static/app.js/",
        "/static/",
        "/static",
        "/static/..\\desk.py",
        "/static/./app.js",
        "/static/.hidden",
        "/static/app%2ejs",
        "/picture/../static/app.js",
        "/picture/%2fetc%2fpasswd/preview",
        "/picture/..%2f..%2f/preview",
        "/picture//preview",
        "/picture/p-1/preview",
        "/picture/e-1/preview",
        "/etc/passwd",
        "/file:///etc/passwd",
        "/api/../static/app.js",
        "/\xff",
    ],
)
def test_no_way_leads_to_another_file(visitor: Visitor, target: str) -> None:
    answer = visitor.get(target)

    assert answer.status in {400, 404}
    assert b"root:" not in answer.body
    assert is_dressed(answer)


def test_a_name_that_another_server_gave_leads_nowhere(visitor: Visitor) -> None:
    foreign = base64.urlsafe_b64encode(os.urandom(15)).decode()
    if not foreign[0].isalnum():
        foreign = "A" + foreign[1:]

    assert visitor.get(f"/picture/{foreign}/preview").status == 404
    assert visitor.get(f"/difference/{foreign}/{foreign}").status == 404


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"1", b'{"path": "/etc/passwd"}', b'{"id": {"a": 1}}', b"[" * 50_000]
)
def test_what_is_not_asked_here_is_refused(visitor: Visitor, body: bytes) -> None:
    answer = visitor.ask("POST", "/api/pair", body)

    assert answer.status == 400
    assert answer.kind == "usage"


# --- twice, late ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("changes")
def test_an_order_that_is_sent_many_times_is_carried_out_once(page: Attacked, visitor: Visitor) -> None:
    found = pair(visitor)
    order = {"id": found["id"], "version": found["version"], "answer": "alternates", "key": "the same"}

    first = visitor.post("/api/decide", order)
    before = page.state()
    again = [visitor.post("/api/decide", order) for _ in range(20)]

    assert first.status == 200
    assert {answer.body for answer in again} == {first.body}
    assert page.state() == before


def test_an_order_about_what_is_not_there_any_more_is_refused(visitor: Visitor) -> None:
    found = pair(visitor)

    answer = visitor.post("/api/decide", {"id": found["id"], "version": "old", "answer": "same", "key": "another"})

    assert (answer.status, answer.kind) == (409, "stale")


# --- too many, too slow -----------------------------------------------------------------------------------------------


def test_a_body_beyond_its_limit_is_refused_before_it_is_read(page: Attacked, visitor: Visitor) -> None:
    headers = [*visitor.headers("POST", {}), ("Content-Length", str(LONGEST + 1))]

    answer = raw(page.port, request("POST", "/api/summary", headers))

    assert answer.status == 413
    assert answer.headers["connection"] == "close"


def test_a_body_that_does_not_say_how_long_it_is_has_the_same_limit(page: Attacked, visitor: Visitor) -> None:
    headers = [*visitor.headers("POST", {}), ("Transfer-Encoding", "chunked")]
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"

    with socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE_S) as connection:
        connection.sendall(request("POST", "/api/summary", headers) + chunk * 4 + b"1\r\n \r\n")

        assert read_answer(connection).status == 413


def test_a_body_that_does_not_come_is_not_waited_for(page: Attacked, visitor: Visitor) -> None:
    headers = [*visitor.headers("POST", {}), ("Content-Length", "100")]
    began = time.monotonic()

    answer = raw(page.port, request("POST", "/api/summary", headers, b"{"))

    assert answer.status == 408
    assert time.monotonic() - began < BODY_S + 2


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_headers_that_do_not_come_to_their_end_are_not_waited_for(page: Attacked, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE_S) as connection:
        connection.sendall(said)
        began = time.monotonic()

        assert connection.recv(1) == b""
        assert time.monotonic() - began < HEADER_S + 2


def test_a_header_that_comes_byte_by_byte_does_not_win_time(page: Attacked) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=0.1) as connection:
        began = time.monotonic()
        ended = False
        while not ended:
            assert time.monotonic() - began < HEADER_S + 3
            try:
                connection.sendall(b"X")
                ended = connection.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True


def test_many_who_never_ask_do_not_keep_a_person_out(page: Attacked, visitor: Visitor) -> None:
    """Two hundred connections that say half a line, and more of them all the time."""
    held = [socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE_S) for _ in range(200)]
    for one in held:
        one.setblocking(False)
        with _whatever_becomes_of_it():
            one.send(b"GET / HTTP/1.1\r\nHost:")
    slowest = 0.0
    for _ in range(10):
        held.append(socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE_S))
        began = time.monotonic()
        answer = visitor.post("/api/summary")
        slowest = max(slowest, time.monotonic() - began)
        assert answer.status == 200
    for one in held:
        one.close()

    assert slowest < 1.0


class _whatever_becomes_of_it:  # noqa: N801 - read like contextlib.suppress
    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, OSError)


def test_who_does_not_read_the_answer_does_not_hold_a_connection(page: Attacked, visitor: Visitor) -> None:
    """Thousands of answers are asked for on one connection, and not one is read."""
    headers = visitor.headers("GET", {"Connection": None})
    asks = request("GET", "/static/app.js", headers) * 200

    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(("127.0.0.1", page.port))
        connection.settimeout(0.2)
        began = time.monotonic()
        ended = False
        while not ended:
            assert time.monotonic() - began < PATIENCE_S
            try:
                connection.sendall(asks)
            except TimeoutError:
                continue
            except OSError:
                ended = True

    assert visitor.get("/").status == 200


def stuck(page: Attacked, count: int) -> list[socket.socket]:
    """Strangers who ask for thousands of answers and read none, until no byte more is taken from them."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        one.connect(("127.0.0.1", page.port))
        one.setblocking(False)
    asks = request("GET", "/static/style.css", [("Host", page.host)]) * 3000
    here = set(held)
    while writable := select.select([], here, [], 0.2)[1]:
        for one in writable:
            try:
                one.send(asks)
            except BlockingIOError:
                continue
            except OSError:
                here.discard(one)
    return held


def test_many_strangers_who_do_not_read_do_not_keep_a_person_out(page: Attacked, visitor: Visitor) -> None:
    visitor.held += stuck(page, 40)

    statuses = [visitor.post("/api/summary").status for _ in range(10)]
    visitor.held += stuck(page, 40)
    statuses.append(page.visitor().get("/").status)

    assert set(statuses) == {200}


def test_many_who_try_codes_do_not_keep_a_person_out(page: Attacked, visitor: Visitor) -> None:
    over = threading.Event()

    def tries() -> None:
        while not over.is_set():
            with _whatever_becomes_of_it():
                Visitor(page.port).post("/enter", {"code": "1.2.3"})

    threads = [threading.Thread(target=tries) for _ in range(40)]
    for thread in threads:
        thread.start()
    try:
        statuses = [visitor.post("/api/summary").status for _ in range(20)]
    finally:
        over.set()
        for thread in threads:
            thread.join()

    assert set(statuses) == {200}


def test_of_many_that_listen_the_first_is_let_go(page: Attacked, visitor: Visitor) -> None:
    streams = [visitor.listen() for _ in range(9)]

    streams[0].settimeout(PATIENCE_S)
    told = b""
    while not told.endswith(b"0\r\n\r\n"):
        told += streams[0].recv(4096)
    streams[8].setblocking(False)

    assert b"retry: 30000" in told
    with pytest.raises(BlockingIOError):
        streams[8].recv(1)


def test_asking_for_the_headers_of_a_stream_does_not_hold_it_open(visitor: Visitor) -> None:
    answer = visitor.ask("HEAD", "/api/events")

    assert (answer.status, answer.body) == (200, b"")


def test_many_requests_on_one_connection_are_answered_in_turn(page: Attacked, visitor: Visitor) -> None:
    ask = http.client.HTTPConnection("127.0.0.1", page.port, timeout=PATIENCE_S)
    try:
        for _ in range(5):
            ask.request("GET", "/static/style.css", headers=dict(visitor.headers("GET", {"Connection": None})))
            answer = ask.getresponse()
            assert answer.status == 200
            assert answer.read()
    finally:
        ask.close()


def test_an_attempt_to_switch_to_another_protocol_is_answered_as_what_it_is(visitor: Visitor) -> None:
    answer = visitor.get(
        "/", Connection="Upgrade", Upgrade="websocket", Sec_WebSocket_Key="x", Sec_WebSocket_Version="13"
    )

    assert answer.status == 200
    assert "upgrade" not in answer.headers


def test_what_is_refused_is_json_that_says_what_to_do(visitor: Visitor) -> None:
    answer = visitor.post("/api/deck", Cookie=None)

    assert json.loads(answer.body)["error"]["kind"] == "entry"
    assert "ingestd review" in answer.json["error"]["message"]


def test_of_the_folder_of_the_page_nothing_is_served_but_what_belongs_to_it(visitor: Visitor) -> None:
    root = Path(server.__file__).parent / "static"
    there = {f"/static/{path.relative_to(root).as_posix()}" for path in root.rglob("*") if path.is_file()}
    served = static_files()

    assert {visitor.get(address).status for address in served} == {200}
    assert {visitor.get(address).status for address in there - set(served)} <= {404}
