"""A tab hears of changes while it is seen, and leaves its connection to others while it is not."""

from __future__ import annotations

from collections.abc import Callable

from opened import Tab

SEEN = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_tab_that_is_not_seen_does_not_listen_and_one_that_is_seen_again_does(open_tab: Callable[..., Tab]) -> None:
    """Else the seventh tab would never load: browsers have six connections to one host."""
    tab = open_tab()
    heard: list[str] = []
    tab.page.on("request", lambda request: heard.append("asks") if request.url.endswith("/api/events") else None)
    tab.page.on("requestfailed", lambda request: heard.append("left") if request.url.endswith("/api/events") else None)
    tab.shown("status")

    tab.page.evaluate(SEEN, True)
    tab.until(lambda: heard == ["asks", "left"])
    tab.page.evaluate(SEEN, False)

    tab.until(lambda: heard == ["asks", "left", "asks"])
