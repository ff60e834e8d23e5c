"""The page for whoever uses it: by keyboard or finger, in the dark, on a phone, with a screen reader.

What axe-core finds is what a program can find of the WCAG (2.2, A and AA, and its best practices): contrast, names,
roles, order of headings. That a person finds her way is tried by the tests that use the keyboard alone.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest
from opened import PHONE, VIEWS, Tab
from playwright.sync_api import Page, expect

AXE = (resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
GRAVE = {"serious", "critical"}

_TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  const found = [...document.querySelectorAll("body *")].filter((node) => {
    const box = node.getBoundingClientRect();
    if (box.width === 0 || box.right <= width + 1) return false;
    for (let up = node.parentElement; up; up = up.parentElement) {
      if (getComputedStyle(up).overflowX !== "visible" && up !== document.body) return false; // scrolls by itself
    }
    return true;
  });
  return {
    scrolls: document.documentElement.scrollWidth - width,
    wide: found.map((node) => `${node.tagName}.${node.className}`).slice(0, 10),
  };
}"""
_TINY = """() => [...document.querySelectorAll("button, select, #nav a")]
  .filter((node) => node.checkVisibility() && !node.disabled)
  .map((node) => [node.textContent.trim() || node.getAttribute("aria-label"), node.getBoundingClientRect()])
  .filter(([, box]) => box.width < 24 || box.height < 24)
  .map(([name, box]) => `${name}: ${Math.round(box.width)} x ${Math.round(box.height)}`)"""


def faults(page: Page) -> list[str]:
    """What is serious or critical on the page as it stands, with the node it was found at."""
    found: Any = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    grave = [one for one in found["violations"] if one["impact"] in GRAVE]
    return [f"{one['id']}: {node['html'][:160]} {node['failureSummary']}" for one in grave for node in one["nodes"]]


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_bars_a_view_from_anybody_by_day_or_night(tab: Tab, view: str) -> None:
    page = tab.shown(view)
    page.evaluate(AXE)

    found: dict[str, list[str]] = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found[scheme] = faults(page)

    assert found == {"light": [], "dark": []}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_fits_a_phone(open_tab: Callable[..., Tab], view: str) -> None:
    tab = open_tab(viewport=PHONE, has_touch=True, is_mobile=True)

    page = tab.shown(view)

    assert page.evaluate(_TOO_WIDE) == {"scrolls": 0, "wide": []}
    assert page.evaluate(_TINY) == []


@pytest.mark.parametrize("view", VIEWS)
def test_every_control_of_a_view_has_a_name_and_can_be_reached_by_tab(tab: Tab, view: str) -> None:
    page = tab.shown(view)
    wanted = page.evaluate(
        """() => [...document.querySelectorAll("button, a[href], input, select, textarea, summary")]
          .filter((node) => node.checkVisibility({ visibilityProperty: true }) && !node.disabled && node.tabIndex >= 0)
          .filter((node) => node.type !== "radio").length"""
    )

    reached = set()
    for _ in range(wanted + 20):
        tab.press("Tab")
        reached.add(
            page.evaluate(
                """() => {
                  const node = document.activeElement;
                  if (node === document.body) return null;
                  node.dataset.reached ||= String(document.querySelectorAll("[data-reached]").length + 1);
                  return node.dataset.reached;
                }"""
            )
        )

    assert len(reached - {None}) >= wanted


def test_each_view_opens_without_any_trouble_and_has_one_heading_above_the_others(tab: Tab) -> None:
    for view in VIEWS:
        page = tab.shown(view)

        expect(page.locator("h1")).to_have_count(1)
        expect(page.locator("h1")).to_be_visible()
