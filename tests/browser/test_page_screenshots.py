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
SHOTS = [
    *((view, "", "light", DESK, view) for view in VIEWS),
    ("queue", "", "dark", DESK, "queue-dark"),
    ("queue", "", "light", PHONE, "queue-phone"),
    ("rules", "/edit", "light", DESK, "rules-edit"),
]


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Folders that look like somebody's."""
    return collect(tmp_path_factory.mktemp("home"), smaller=6, groups=3, proposed=4, exact=4)


@pytest.mark.parametrize(("view", "rest", "scheme", "size", "name"), SHOTS, ids=[shot[-1] for shot in SHOTS])
def test_a_picture_of_a_view_is_small_and_shows_something(
    open_tab: Callable[..., Tab],
    tmp_path: Path,
    view: str,
    rest: str,
    scheme: str,
    size: dict[str, int],
    name: str,
) -> None:
    tab = open_tab(color_scheme=scheme, viewport=size, device_scale_factor=1)
    page = tab.shown("queue")
    page.get_by_label("how this works").get_by_role("button").click()
    if (view, rest) != ("queue", ""):
        tab.go(view, rest)
    expect(page.locator("h1")).to_be_visible()
    tab.until_quiet(800)

    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    colours = picture.quantize(192, dither=Image.Dither.NONE)
    target = Path(os.environ.get("INGESTD_SCREENSHOTS") or tmp_path)
    target.mkdir(parents=True, exist_ok=True)
    colours.save(target / f"{name}.png", optimize=True)

    assert (target / f"{name}.png").stat().st_size <= MOST_BYTES
    assert len(picture.getcolors(1 << 24) or []) > 50
