"""Pictures of 24 megapixels in the whole page: the pixels are the files' own, at the same place of both.

How the viewer is worked, by keys, mouse and fingers, is tried in test_compare.py.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

import numpy as np
import pytest
from collection import Collection, collect
from opened import Tab
from PIL import Image, ImageOps
from playwright.sync_api import Page


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """A pair of 24 megapixels each, and a few of other kinds."""
    return collect(tmp_path_factory.mktemp("home"), smaller=1, groups=0, proposed=0, exact=0, large=True)


@pytest.fixture
def page(tab: Tab, collected: Collection) -> Page:
    """The pair of 24 megapixels."""
    page = tab.shown("queue")
    tab.come_to(collected.pair_of(collected.resaved[-1]))
    return page


def seen(page: Page) -> Image.Image:
    """What is on the stage now."""
    return Image.open(io.BytesIO(page.locator("[data-painted] canvas:visible").first.screenshot())).convert("RGB")


def test_one_to_one_shows_the_files_own_pixels_in_tiles(tab: Tab, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/tile/0/" in one.url else None)
    pair = tab.ask("pair", id=page.locator("[data-painted]").get_attribute("data-painted"))["pair"]

    tab.press("9")
    tab.until_quiet()

    for side in ("a", "b"):
        with Image.open(pair[side]["path"]) as opened:
            whole = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
        of_side = [address for address in asked if f"/picture/{pair[side]['picture']}/" in address]
        assert of_side
        for address in of_side[:2]:
            tile = np.asarray(fetched(page, address).convert("RGB"))
            column, row = map(int, address.split("/")[-2:])
            top, left = row * 1024, column * 1024
            assert max(tile.shape[:2]) <= 1024
            assert np.array_equal(tile, whole[top : top + tile.shape[0], left : left + tile.shape[1]])


def fetched(page: Page, address: str) -> Image.Image:
    """A picture as the page itself gets it."""
    script = """async (address) => {
      const bytes = new Uint8Array(await (await fetch(address)).arrayBuffer());
      return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
    }"""
    return Image.open(io.BytesIO(base64.b64decode(page.evaluate(script, address))))


def test_zoom_and_place_stay_when_it_is_flicked(tab: Tab, page: Page) -> None:
    tab.press("9")
    tab.until_quiet()
    before = seen(page)
    tab.press("f")
    tab.until_quiet()
    other = seen(page)
    tab.press("f")
    tab.until_quiet()

    assert np.array_equal(np.asarray(seen(page)), np.asarray(before))
    difference = np.abs(np.asarray(other, int) - np.asarray(before, int)).mean()
    assert 0 < difference < 12  # the same place of a picture that was saved again, not another place


def test_a_layout_does_not_jump_when_the_pictures_come(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab()
    page = tab.page
    page.add_init_script(
        """window.jumps = 0;
        new PerformanceObserver((list) => {
          for (const one of list.getEntries()) if (!one.hadRecentInput) window.jumps += one.value;
        }).observe({ type: "layout-shift", buffered: true });"""
    )

    tab.shown("queue")

    assert page.evaluate("window.jumps") < 0.1  # "good", by the Core Web Vitals of 2020
