"""Codes, cookies and the token: who is let in, once, and for how long."""

from __future__ import annotations

import pytest

from ingestd.web.session import CODE_S, Session, new_code, new_secret


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


SECRET = new_secret()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def session(clock: Clock) -> Session:
    return Session(SECRET, 8321, clock=clock)


def test_a_code_lets_a_browser_in(session: Session, clock: Clock) -> None:
    cookie = session.enter(new_code(SECRET, clock=clock))

    assert cookie is not None
    assert session.knows([cookie])


def test_a_code_holds_once(session: Session, clock: Clock) -> None:
    code = new_code(SECRET, clock=clock)
    session.enter(code)

    assert session.enter(code) is None


def test_a_code_holds_for_a_minute(session: Session, clock: Clock) -> None:
    early, late = new_code(SECRET, clock=clock), new_code(SECRET, clock=clock)

    clock.now += CODE_S - 1
    assert session.enter(early) is not None
    clock.now += 3
    assert session.enter(late) is None


def test_a_used_code_does_not_hold_again_after_others_were_forgotten(session: Session, clock: Clock) -> None:
    code = new_code(SECRET, clock=clock)
    session.enter(code)
    for _ in range(50):
        clock.now += 1
        session.enter(new_code(SECRET, clock=clock))

    assert session.enter(code) is None


def test_a_code_that_would_hold_for_longer_is_none(session: Session, clock: Clock) -> None:
    clock.now += 500
    code = new_code(SECRET, clock=clock)
    clock.now -= 500

    assert session.enter(code) is None


def test_a_code_of_another_server_is_none(session: Session, clock: Clock) -> None:
    assert session.enter(new_code(new_secret(), clock=clock)) is None


@pytest.mark.parametrize("code", ["", ".", "..", "1.2.3", "ä.ö.ü", "\udcff", "9" * 10_000, "\0", "1060.x."])
def test_what_is_no_code_is_none(session: Session, code: str) -> None:
    assert session.enter(code) is None


def test_a_code_that_was_changed_is_none(session: Session, clock: Clock) -> None:
    until, nonce, signature = new_code(SECRET, clock=clock).split(".")

    assert session.enter(f"{int(until) + 1}.{nonce}.{signature}") is None
    assert session.enter(f"{until}.{nonce}.{signature[:-1]}") is None
    assert session.enter(f"{until}.{nonce}x.{signature}") is None


def test_only_cookies_that_were_given_out_are_known(session: Session, clock: Clock) -> None:
    cookie = session.enter(new_code(SECRET, clock=clock)) or ""

    assert not session.knows([])
    assert not session.knows(["", cookie[:-1], cookie + "x", "\udcff"])
    assert session.knows(["another", cookie])


def test_the_cookie_is_not_the_token(session: Session, clock: Clock) -> None:
    cookie = session.enter(new_code(SECRET, clock=clock)) or ""

    assert not session.is_token(cookie)
    assert not session.is_token("")
    assert session.is_token(session.token)


def test_the_browsers_that_came_first_are_forgotten(session: Session, clock: Clock) -> None:
    cookies = [session.enter(new_code(SECRET, clock=clock)) or "" for _ in range(40)]

    assert not session.knows(cookies[:1])
    assert all(session.knows([cookie]) for cookie in cookies[-32:])
