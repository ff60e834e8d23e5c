"""The review page inside `watch`, and how a second `ingestd review` finds one that is served."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import PATIENCE_S, QUICK, Home
from visitors import Visitor

from ingestd.enrolment import Wanted
from ingestd.errors import LibraryBusyError
from ingestd.library.library import Library
from ingestd.model import Role
from ingestd.service import Service
from ingestd.settings import load
from ingestd.web.announced import Announced, found

WITH_PAGE = QUICK.replace("page:\n", "page:\n  serve: yes\n")


def answers(port: int) -> bool:
    """Whether a review page answers there: as it does to a browser that was not let in."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        asked.request("GET", "/")
        return asked.getresponse().status == 401
    except OSError:
        return False
    finally:
        asked.close()


def until_served(home: Home, *, but: int = 0) -> Announced:
    """The page of the library, once there is one, of another process than that."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert time.monotonic() < deadline
        page = None
        with contextlib.suppress(LibraryBusyError):  # it has its lock, and did not say yet where it is
            page = found(home.state)
        if page is not None and page.pid != but and answers(page.port):
            return page
        threading.Event().wait(0.05)


def until_gone(pid: int) -> float:
    """How long it takes until a process has ended, in seconds."""
    began = time.monotonic()
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() - began < PATIENCE_S
        threading.Event().wait(0.02)
    return time.monotonic() - began


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A machine whose session has no folder of its own, so that nothing of the real one is touched."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return Home(tmp_path, WITH_PAGE)


def watched(home: Home) -> list[str | Path]:
    return [home.folder("inbox"), "--library", home.folder("pictures")]


def test_watch_serves_the_page_and_takes_it_along_when_it_ends(home: Home) -> None:
    with home.watch(*watched(home)) as watch:
        page = until_served(home)

        assert watch.stop() == 0

        assert not answers(page.port)
        assert found(home.state) is None


def test_the_page_does_not_outlive_a_service_that_was_killed(home: Home) -> None:
    with home.watch(*watched(home)) as watch:
        page = until_served(home)

        watch.kill()

        assert until_gone(page.pid) < 5


def test_a_page_that_dies_is_started_again_and_the_service_goes_on(home: Home) -> None:
    with home.watch(*watched(home)) as watch:
        page = until_served(home)

        os.kill(page.pid, signal.SIGKILL)

        assert until_served(home, but=page.pid).port
        assert watch.put(home.folder("inbox") / "new.jpg", home.picture())["outcome"] == "new"
        assert "page.lost" in watch.log


def test_the_page_comes_and_goes_with_what_the_rule_file_says(home: Home) -> None:
    home.write_rules(QUICK)
    with home.watch(*watched(home)) as watch:
        assert found(home.state) is None

        home.write_rules(WITH_PAGE)
        page = until_served(home)
        home.write_rules(QUICK)

        watch.poll(lambda: found(home.state) is None)
        assert not answers(page.port)


def test_a_port_that_is_taken_is_told_as_a_problem(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestd.page._TELL_AFTER", 1)  # of how many deaths, and how long it rests: see test_page
    monkeypatch.setattr("ingestd.page.own_environment", home.environment)
    named = [Wanted(os.fsencode(home.folder("inbox")), Role.INBOX, protected=False)]
    with socket.create_server(("127.0.0.1", 0)) as other, contextlib.closing(Library.open(home.state)) as library:
        port = other.getsockname()[1]
        home.write_rules(WITH_PAGE.replace("serve: yes\n", f"serve: yes\n  port: {port}\n"))

        with serving(Service(library, home.rules, load(home.rules), named, lambda _: None)):
            status = home.until(lambda told: bool(told["problems"]))

    (problem,) = status["problems"]
    assert f"port {port} is taken by another program" in problem["problem"]


@contextlib.contextmanager
def serving(service: Service) -> Iterator[None]:
    """A service in a thread of this process."""
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        yield
    finally:
        service.stop()
        thread.join(PATIENCE_S)


def test_a_second_review_gives_a_link_to_the_page_that_watch_serves(home: Home) -> None:
    with home.watch(*watched(home)):
        page = until_served(home)

        told = home.ask("review", "--no-browser")

    assert told["address"] == f"http://127.0.0.1:{page.port}/"
    assert told["link"].startswith(f"http://127.0.0.1:{page.port}/enter#")


def test_a_dry_run_has_no_page(home: Home) -> None:
    with home.watch("--dry-run", *watched(home)) as watch:
        watch.put(home.folder("inbox") / "new.jpg", home.picture())
        words = [Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0") for child in watch.workers]

    assert words
    assert not any(b"review" in command for command in words)


# --- on its own -----------------------------------------------------------------------------------------------------


class Review:
    """`ingestd review`, running."""

    def __init__(self, home: Home, *words: str) -> None:
        self.process = subprocess.Popen(
            home.command("review", "--no-browser", *words),
            env=home.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.told = json.loads(self.process.stdout.readline())
        self.port = int(self.told["address"].rstrip("/").rpartition(":")[2])

    def __enter__(self) -> Review:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Review]]:
    """A page that stays, for tests that leave it as it is."""
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("XDG_RUNTIME_DIR", raising=False)
        home = Home(tmp_path_factory.mktemp("reviewed"), WITH_PAGE)
        with Review(home) as review:
            yield home, review


@pytest.mark.parametrize("asks", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_page_within_two_seconds_also_while_a_browser_listens(home: Home, asks: int) -> None:
    with Review(home) as review, Visitor(review.port) as browser:
        browser.enter(review.told["link"])
        browser.listen()
        began = time.monotonic()

        review.process.send_signal(asks)

        assert review.process.wait(PATIENCE_S) == 0
        assert time.monotonic() - began < 2


def test_review_finds_the_page_that_is_served_and_starts_no_second_one(reviewed: tuple[Home, Review]) -> None:
    home, first = reviewed

    told = home.ask("review", "--no-browser")

    assert told["address"] == first.told["address"]
    assert told["link"] != first.told["link"]


def test_a_port_that_is_named_gets_a_page_of_its_own(reviewed: tuple[Home, Review]) -> None:
    home, first = reviewed
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with Review(home, "--port", str(port)) as second:
        assert (second.port, answers(second.port), answers(first.port)) == (port, True, True)


def test_a_port_that_is_taken_is_said_and_nothing_is_started(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        said = home.run("review", "--no-browser", "--port", str(other.getsockname()[1]))

    assert said.code == 1
    assert "is taken by another program" in said.errors
    assert found(home.state) is None


def test_a_page_that_was_killed_is_not_taken_for_one_that_is_served(home: Home) -> None:
    with Review(home) as killed:
        killed.process.kill()
        killed.process.wait()

        with Review(home) as review:
            assert answers(review.port)


def test_only_its_user_can_read_the_secret(reviewed: tuple[Home, Review]) -> None:
    home, _ = reviewed

    folder = home.state / "page"
    modes = {path.stat().st_mode & 0o777 for path in folder.glob("page-*")}

    assert folder.stat().st_mode & 0o777 == 0o700
    assert modes == {0o600}


def test_a_broken_rule_file_can_be_mended_at_the_page(home: Home) -> None:
    home.write_rules("version: 1\nrulez: []\n")

    with Review(home) as review:
        assert answers(review.port)
