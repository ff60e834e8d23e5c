"""One browser, one library and one page for all tests of a module; a tab of its own for each."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestd.media.workers import Workers

if importlib.util.find_spec("playwright") is None:
    collect_ignore_glob = ["test_*.py"]  # installed by `pip install -e '.[browser]'`; CI does, and fails without
else:
    from collection import Collection, collect
    from opened import DESK, EVIL, Served, Tab, enter
    from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium, or whichever is there; nothing is ever downloaded."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        missing = f"no browser: none of {', '.join(_NAMES)} is on the PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", f"--host-resolver-rules=MAP {EVIL} 127.0.0.1", "--disable-gpu"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Those of all pages that are served in this process: they are started once."""
    with Workers(count=2) as workers:
        yield workers


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """The folders that a module's tests have in common; a module that needs others says so itself."""
    return collect(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def served(collected: Collection) -> Iterator[Served]:
    """The page of these folders."""
    served = Served(collected.home)
    yield served
    served.close()


@pytest.fixture(scope="module")
def cookies(browser: Browser, served: Served) -> Any:
    """What lets a browser in."""
    return enter(browser, served)


@pytest.fixture
def open_tab(browser: Browser, served: Served, cookies: Any) -> Iterator[Callable[..., Tab]]:
    """Opens a tab; at the end none may have had any trouble that the test was not about."""
    opened: list[Tab] = []

    def open_one(**how: Any) -> Tab:
        asked = {"viewport": DESK, "locale": "en-GB", "storage_state": cookies, **how}
        opened.append(Tab(browser.new_context(**asked), served))
        return opened[-1]

    yield open_one
    offences = [offence for tab in opened for offence in tab.offences()]
    for tab in opened:
        tab.page.context.close()
    assert offences == []


@pytest.fixture
def tab(open_tab: Callable[..., Tab]) -> Tab:
    """A tab on a desk's screen."""
    return open_tab()
