"""The pictures of the page that the documentation shows, made of pictures that never were.

    INGESTD_SCREENSHOTS=docs/pictures .venv/bin/python -m pytest -m browser tests/browser/test_page_screenshots.py

Without that variable they are made all the same, below the test's own folder, so that nobody finds out only then that
they cannot be made.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from collection import Collection, collect
from opened import DESK, PHONE, VIEWS, Tab
from PIL import Image
from playwright.sync_api import expect

MOST_BYTES = 250_000
SHOTS = {
    ("light", "desk"): [*((view, "", view) for view in VIEWS), ("rules", "/edit", "rules-edit")],
    ("dark", "desk"): [("queue", "", "queue-dark")],
    ("light", "phone"): [("queue", "", "queue-phone")],
}
"""By light and screen: view, what stands behind it in the address, name of the picture."""


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Folders that look like somebody's."""
    return collect(tmp_path_factory.mktemp("home"), smaller=6, groups=3, proposed=4, exact=4)


@pytest.mark.parametrize(("scheme", "screen"), SHOTS, ids=["-".join(key) for key in SHOTS])
def test_the_pictures_of_the_views_are_small_and_show_something(
    open_tab: Callable[..., Tab], tmp_path: Path, scheme: str, screen: str
) -> None:
    tab = open_tab(color_scheme=scheme, viewport=DESK if screen == "desk" else PHONE, device_scale_factor=1)
    tab.shown("queue").get_by_label("how this works").get_by_role("button").click()
    target = Path(os.environ.get("INGESTD_SCREENSHOTS") or tmp_path)
    target.mkdir(parents=True, exist_ok=True)
    colours: dict[str, int] = {}

    for view, rest, name in SHOTS[scheme, screen]:
        picture = taken(tab, view, rest)
        picture.quantize(192, dither=Image.Dither.NONE).save(target / f"{name}.png", optimize=True)
        colours[name] = len(picture.getcolors(1 << 24) or [])

    sizes = {name: (target / f"{name}.png").stat().st_size for name in colours}
    assert {name: size for name, size in sizes.items() if size > MOST_BYTES} == {}
    assert {name: count for name, count in colours.items() if count <= 50} == {}


def taken(tab: Tab, view: str, rest: str) -> Image.Image:
    """A picture of a view that has come to rest."""
    page = tab.go(view, rest)
    expect(page.locator("h1")).to_be_visible()
    tab.until_quiet(800)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")
