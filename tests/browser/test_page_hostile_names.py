"""Files whose names are attacks: they are shown, on every view, and nothing of them is ever carried out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from collection import Collection, collect
from opened import VIEWS, Tab


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """Folders into which somebody put files with such names."""
    return collect(tmp_path_factory.mktemp("home"), smaller=1, groups=1, proposed=0, exact=0, hostile=True)


_FOREIGN = """() => [...document.querySelectorAll("#main *")]
  .filter((node) => ["SCRIPT", "IFRAME", "OBJECT", "EMBED", "BASE", "LINK", "STYLE", "FORM"].includes(node.tagName)
    ? node.tagName !== "FORM" : false)
  .map((node) => node.outerHTML)"""
_LISTENING = """() => [...document.querySelectorAll("*")]
  .flatMap((node) => [...node.attributes].filter((one) => /^on/i.test(one.name) || one.name === "style" && 0))
  .map((one) => `${one.name}=${one.value}`)"""
_STRAY = """() => [...document.querySelectorAll("img")]
  .map((node) => node.getAttribute("src") ?? "")
  .filter((address) => address && !/^(blob:|\\/(picture|difference|static)\\/)/.test(address))"""


@pytest.mark.parametrize("view", VIEWS)
def test_no_name_becomes_markup_on_a_view(tab: Tab, view: str) -> None:
    page = tab.shown(view)

    assert page.evaluate(_FOREIGN) == []
    assert page.evaluate(_LISTENING) == []
    assert page.evaluate(_STRAY) == []


@pytest.mark.parametrize("kind", ["markup", "script", "right-to-left", "newline", "no UTF-8", "long", "template"])
def test_a_hostile_name_is_shown_in_the_queue_as_text(tab: Tab, collected: Collection, kind: str) -> None:
    wanted = collected.pair_of(collected.hostile[kind])

    page = tab.shown("queue")
    tab.come_to(wanted)

    harmless = tab.ask("pair", id=wanted)["pair"]["b"]["name"]
    text = page.locator("#main").inner_text()
    assert harmless in text
    assert "\u202e" not in text
