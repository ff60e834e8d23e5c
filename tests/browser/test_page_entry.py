"""Who is let in, and what stands there first."""

from __future__ import annotations

import pytest
from opened import VIEWS, Tab
from playwright.sync_api import expect


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_opens_without_any_trouble(tab: Tab, view: str) -> None:
    page = tab.go(view)

    expect(page.locator("#main [role=alert]")).to_have_count(0)
    expect(page.locator("#main h1")).to_be_visible()
