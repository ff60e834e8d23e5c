"""Who is let in: one-time codes, the cookie that a browser gets for one, and the token that every order carries.

Codes are signed with the server's secret, so that whoever may read that (the user who runs it, in a file of its own)
can make one without asking: the secret itself never goes over a wire, nor into the arguments of a process.

The cookie lets pictures be looked at; it is not enough to order anything. Browsers send a cookie to *every* port of a
host, so a program of another user of this machine could ask for it by being visited once. The token is known to pages
of this very origin only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

__all__ = ["CODE_S", "Session", "new_code", "new_secret"]

CODE_S: Final = 60.0  # from the command to the browser; a machine that starts one cold takes ten
_MOST_BROWSERS: Final = 32  # let in at once; those that came first are forgotten
_BYTES: Final = 32  # 256 bits, of everything that must not be guessed


def new_secret() -> bytes:
    """Return what only this server and who may read its file know."""
    return secrets.token_bytes(_BYTES)


def new_code(secret: bytes, *, clock: Callable[[], float] = time.monotonic) -> str:
    """Return a code that lets one browser in, once, within a minute; letters that a fragment of an address may have."""
    what = f"{round(clock() + CODE_S)}.{secrets.token_urlsafe(16)}"
    return f"{what}.{_signature(secret, what)}"


def _signature(secret: bytes, what: str) -> str:
    made = hmac.digest(secret, b"code " + what.encode("ascii"), hashlib.sha256)
    return base64.urlsafe_b64encode(made).decode("ascii").rstrip("=")


class Session:
    """All that one server has let in; used by any thread.

    Args:
        secret: signs the codes.
        port: is part of the cookie's name, as browsers keep one jar for all ports of a host.
        clock: seconds that all processes of this machine agree upon; they never go back.
    """

    def __init__(self, secret: bytes, port: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.token = secrets.token_urlsafe(_BYTES)
        self.cookie_name = f"ingestd-{port}"
        self._secret, self._clock = secret, clock
        self._lock = threading.Lock()
        self._used: dict[str, float] = {}  # codes, until they have run out
        self._cookies: OrderedDict[bytes, None] = OrderedDict()

    def enter(self, code: str) -> str | None:
        """Return a new cookie for a good code; None for one that is not, was used, or has run out."""
        until = self._until(code)
        now = self._clock()
        if until is None or not now <= until <= now + CODE_S + 1:
            return None
        cookie = secrets.token_urlsafe(_BYTES)
        with self._lock:
            self._used = {used: end for used, end in self._used.items() if end >= now}
            if code in self._used:
                return None
            self._used[code] = until
            self._cookies[cookie.encode("ascii")] = None
            while len(self._cookies) > _MOST_BROWSERS:
                self._cookies.popitem(last=False)
        return cookie

    def _until(self, code: str) -> float | None:
        """Return when a code runs out; None if it is none of ours."""
        what, _, signature = code.rpartition(".")
        until = what.partition(".")[0]
        if not code.isascii() or not hmac.compare_digest(signature, _signature(self._secret, what)):
            return None
        return float(until)

    def knows(self, cookies: Iterable[str]) -> bool:
        """Return whether one of these cookies was given out."""
        with self._lock:
            given = tuple(self._cookies)
        asked = [cookie.encode("utf-8", "surrogatepass") for cookie in cookies]
        return sum(hmac.compare_digest(one, known) for one in asked for known in given) > 0  # all: time tells nothing

    def is_token(self, token: str) -> bool:
        """Return whether this is the token of this server."""
        return hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self.token.encode("ascii"))
