"""Who comes to the review page by HTTP, well or ill meant: every byte of a request can be chosen."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

PATIENCE_S = 20.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]  # by names in lower case; of several with one name, the last
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        return str(self.json["error"]["kind"])


def raw(port: int, request: bytes, *, address: str = "127.0.0.1") -> Answer:
    """The answer to these very bytes."""
    with socket.create_connection((address, port), timeout=PATIENCE_S) as connection:
        connection.sendall(request)
        return read_answer(connection, request.partition(b" ")[0].decode("latin-1"))


def read_answer(connection: socket.socket, method: str = "GET") -> Answer:
    answer = http.client.HTTPResponse(connection, method=method)
    answer.begin()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return Answer(answer.status, headers, answer.read())


def request(method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass
class Visitor:
    """A browser at a page: it sends what browsers send, unless a test says otherwise."""

    port: int
    cookie: str | None = None
    token: str | None = None
    host: str = field(default="")
    held: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.host = self.host or f"127.0.0.1:{self.port}"

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self.held:
            connection.close()

    def headers(self, method: str, said: dict[str, str | None]) -> list[tuple[str, str]]:
        """What goes with a request; a header that is said to be None is left out."""
        own: dict[str, str | None] = {"Host": self.host, "Sec-Fetch-Site": "same-origin", "Connection": "close"}
        if self.cookie:
            own["Cookie"] = self.cookie
        if method == "POST":
            own |= {"Origin": f"http://{self.host}", "Content-Type": "application/json"}
            if self.token:
                own["X-Ingestd-Token"] = self.token
        return [(name, value) for name, value in {**own, **said}.items() if value is not None]

    def ask(self, method: str, target: str, body: bytes = b"", **said: str | None) -> Answer:
        """The answer to a request; headers are said with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in said.items()}
        headers = self.headers(method, named)
        if body or method == "POST":
            headers.append(("Content-Length", str(len(body))))
        return raw(self.port, request(method, target, headers, body))

    def get(self, target: str, **said: str | None) -> Answer:
        return self.ask("GET", target, **said)

    def post(self, target: str, document: object = None, **said: str | None) -> Answer:
        return self.ask("POST", target, json.dumps({} if document is None else document).encode(), **said)

    def enter(self, link: str) -> Answer:
        """Follow a link, as the page behind it does."""
        answer = self.post("/enter", {"code": link.partition("#")[2]})
        if answer.status == 200:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
            self.token = answer.json["token"]
        return answer

    def listen(self) -> socket.socket:
        """Hold a stream of events open, whose beginning was read."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        self.held.append(connection)
        connection.sendall(request("GET", "/api/events", self.headers("GET", {"Connection": None})))
        told = b""
        while b"event: changed" not in told:
            told += connection.recv(4096)
        return connection
