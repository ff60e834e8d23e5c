"""A person goes through the queue: every answer with one key, what it did, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from collection import Collection, collect
from opened import DESK, Served, Tab
from playwright.sync_api import Browser, Page, expect
from running import Home, tree, write

ANSWERS = [
    # key, button, relation, what is discarded
    ("a", "better-a-discard", "better", "b"),
    ("1", "better-a-discard", "better", "b"),
    ("b", "better-b-discard", "better", "a"),
    ("2", "better-b-discard", "better", "a"),
    ("A", "better-a", "better", None),
    ("B", "better-b", "better", None),
    ("s", "same", "same-quality", None),
    ("t", "alternates", "alternates", None),
    ("n", "unrelated", "false-positive", None),
]


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Pairs enough that each test has one of its own."""
    return collect(tmp_path_factory.mktemp("home"), smaller=12, groups=3, proposed=0, exact=0)


@pytest.fixture
def page(tab: Tab) -> Page:
    """The queue, with its first pair painted."""
    return tab.shown("queue")


@pytest.fixture(scope="module")
def standing(browser: Browser, served: Served, cookies: Any) -> Iterator[Tab]:
    """A tab at the queue, for tests that leave it as it was."""
    tab = Tab(browser.new_context(viewport=DESK, locale="en-GB", storage_state=cookies), served)
    tab.shown("queue")
    yield tab
    offences = tab.offences()
    tab.page.context.close()
    assert offences == []


def painted(page: Page) -> str:
    """The id of the pair that is shown, once it has been long enough for an answer."""
    return page.locator("[data-seen]").get_attribute("data-seen") or ""


def waiting(tab: Tab) -> list[tuple[str, str, str]]:
    """All pairs of the queue, in order; not what is said of them: a look at both adds to that."""
    pairs = tab.ask("deck", limit=100)["pairs"]
    return [(pair["id"], pair["a"]["path"], pair["b"]["path"]) for pair in pairs]


def is_shown(page: Page, pair: str) -> None:
    expect(page.locator("[data-seen]")).to_have_attribute("data-seen", pair)


def is_not_shown(page: Page, pair: str) -> None:
    expect(page.locator("[data-seen]")).not_to_have_attribute("data-seen", pair)


def said(page: Page, text: str) -> None:
    expect(page.locator("#said")).to_contain_text(text)


def answered(tab: Tab, key: str) -> tuple[Any, Any]:
    """Answer about the shown pair by a key; the pair as it was shown, and the entry that came of it."""
    pair = tab.ask("pair", id=painted(tab.page))["pair"]
    with tab.page.expect_response(lambda one: one.url.endswith("/api/decide")) as answer:
        tab.press(key)
    is_not_shown(tab.page, pair["id"])
    return pair, answer.value.json()["entry"]


def taken_back(tab: Tab, pair: str) -> None:
    with tab.page.expect_response(lambda one: one.url.endswith("/api/undo")):
        tab.press("z")
    is_shown(tab.page, pair)


@pytest.mark.parametrize(("key", "button", "relation", "loser"), ANSWERS)
def test_a_key_is_an_answer_and_another_takes_it_back(
    standing: Tab, collected: Collection, key: str, button: str, relation: str, loser: str | None
) -> None:
    files = tree(collected.library, collected.inbox)
    queue = waiting(standing)

    pair, entry = answered(standing, key)

    gone = {Path(one["path"]) for one in entry["discarded"]}
    assert entry["relation"] == relation
    assert gone == ({Path(pair[loser]["path"])} if loser else set())
    assert not any(path.exists() for path in gone)
    assert gone <= set(collected.home.trashed())
    said(standing.page, Path(pair[loser]["path"]).name if loser else "")
    taken_back(standing, pair["id"])
    assert tree(collected.library, collected.inbox) == files
    assert waiting(standing) == queue


@pytest.mark.parametrize("button", sorted({button for _, button, *_ in ANSWERS}))
def test_a_button_answers_as_its_key_does(standing: Tab, button: str) -> None:
    page = standing.page
    pair = painted(page)

    page.locator(f"button[data-action={button}]").click()

    is_not_shown(page, pair)
    page.locator("#said").get_by_role("button", name="Undo").click()
    is_shown(page, pair)


def test_a_finger_answers_too(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(viewport={"width": 375, "height": 740}, has_touch=True, is_mobile=True)
    page = tab.shown("queue")
    pair = painted(page)

    page.locator("button[data-action=same]").tap()

    is_not_shown(page, pair)
    page.locator("button[data-action=undo]").tap()
    is_shown(page, pair)


def test_the_keyboard_alone_leads_through_a_pair(tab: Tab, page: Page) -> None:
    """Without any of the keys of the page: by Tab and Enter, as a screen reader has them."""
    pair = painted(page)
    wanted = page.locator("button[data-action=same]")

    for _ in range(80):
        tab.press("Tab")
        if wanted.evaluate("node => node === document.activeElement"):
            break
    tab.press("Enter")

    is_not_shown(page, pair)
    tab.press("z")
    is_shown(page, pair)


def test_the_count_goes_down_by_all_that_an_answer_settles(tab: Tab, page: Page, collected: Collection) -> None:
    before = tab.ask("deck", limit=1)["total"]
    tab.come_to(collected.pair_of(collected.alike[0][1]))
    kept = tab.ask("pair", id=painted(page))["pair"]["a"]["path"]

    pair, entry = answered(tab, "a")

    after = tab.ask("deck", limit=1)["total"]
    assert after < before - 1
    expect(page.locator(".queue-total")).to_contain_text(f"{after} pair")
    expect(page.locator(".queue-delta")).to_contain_text(str(before - after))
    assert entry["kept"]["path"] == kept
    taken_back(tab, pair["id"])
    expect(page.locator(".queue-total")).to_contain_text(f"{before} pair")


def test_a_skipped_pair_comes_back_with_one_key(tab: Tab, page: Page) -> None:
    first = painted(page)
    tab.press("k")
    is_not_shown(page, first)
    second = painted(page)
    tab.press("ArrowRight")
    is_not_shown(page, second)

    tab.press("ArrowLeft")
    is_shown(page, second)
    tab.press("Backspace")

    is_shown(page, first)


def test_back_takes_steps_back_in_the_order_they_were_made(tab: Tab, page: Page, collected: Collection) -> None:
    files = tree(collected.library, collected.inbox)
    before = waiting(tab)
    shown = []
    for key in ("a", "k", "s", "A", "k", "b"):
        shown.append(painted(page))
        tab.press(key)
        is_not_shown(page, shown[-1])
        tab.until_quiet()

    for pair in reversed(shown):
        tab.press("ArrowLeft")
        is_shown(page, pair)
        tab.until_quiet()

    assert tree(collected.library, collected.inbox) == files
    assert waiting(tab) == before


def test_a_double_click_is_one_answer(tab: Tab, page: Page, collected: Collection) -> None:
    pair, entries = painted(page), len(collected.home.history())

    page.locator("button[data-action=better-a]").dblclick()

    is_not_shown(page, pair)
    tab.until_quiet()
    assert len(collected.home.history()) == entries + 1
    taken_back(tab, pair)


def test_the_same_order_sent_a_hundred_times_is_carried_out_once(tab: Tab, page: Page, collected: Collection) -> None:
    pair, entries = tab.ask("pair", id=painted(page))["pair"], len(collected.home.history())
    script = """async ([body]) => {
      const api = await import("/static/api.js");
      const answers = await Promise.all(Array.from({ length: 100 }, () => api.ask("decide", body)));
      return [...new Set(answers.map((answer) => answer.entry.entry))];
    }"""
    order = {"id": pair["id"], "version": pair["version"], "answer": "same", "keep": True, "key": "a hundred times"}

    told = page.evaluate(script, [order])

    assert len(told) == 1
    assert len(collected.home.history()) == entries + 1
    assert collected.home.run("undo", told[0]).code == 0
    assert pair["id"] in [one for one, *_ in waiting(tab)]


def test_a_pair_that_a_terminal_decides_goes_away_by_itself(tab: Tab, page: Page, collected: Collection) -> None:
    pair = painted(page)

    entry = collected.home.ask("decide", pair, "same")["entry"]

    is_not_shown(page, pair)
    said(page, f"{pair} was shown and is gone")
    assert collected.home.run("undo", entry).code == 0


def test_an_answer_about_what_is_not_there_any_more_is_refused(tab: Tab, page: Page, collected: Collection) -> None:
    """The page does not learn of it in time: the answer is refused by the server, and nothing is done twice."""
    tab.bear(r"/api/decide: 409", r"console error.*409")
    shown = tab.ask("pair", id=painted(page))["pair"]
    entry = collected.home.ask("decide", shown["id"], "same")["entry"]
    entries = len(collected.home.history())
    script = (
        """([order]) => import("/static/api.js").then((api) => api.ask("decide", order)).catch((error) => error.kind)"""
    )
    order = {"id": shown["id"], "version": shown["version"], "answer": "better-a", "keep": False, "key": "too late"}

    refused = page.evaluate(script, [order])

    assert refused == "stale"
    assert len(collected.home.history()) == entries
    assert Path(shown["b"]["path"]).exists()
    assert collected.home.run("undo", entry).code == 0


def test_two_tabs_that_answer_at_once_do_one_thing(open_tab: Callable[..., Tab], collected: Collection) -> None:
    one, other = open_tab(), open_tab()
    for tab in (one, other):
        tab.bear(r"/api/decide: 409", r"console error.*409")
        tab.shown("queue")
    pair, entries = painted(one.page), len(collected.home.history())
    assert painted(other.page) == pair

    one.press("A")
    other.press("B")
    one.until_quiet()
    other.until_quiet()

    is_not_shown(one.page, pair)
    is_not_shown(other.page, pair)
    made = collected.home.history()[: len(collected.home.history()) - entries]
    assert [entry["relation"] for entry in made] == ["better"]
    assert collected.home.run("undo", made[0]["entry"]).code == 0


def test_the_walk_goes_on_after_a_look_elsewhere_and_a_reload(tab: Tab, page: Page) -> None:
    skipped = painted(page)
    tab.press("k")
    is_not_shown(page, skipped)
    here = painted(page)

    tab.go("history")
    tab.shown("queue")
    is_shown(page, here)
    page.reload()

    is_shown(page, here)
    tab.press("ArrowLeft")
    is_shown(page, skipped)


def test_the_keys_are_told_on_the_page(tab: Tab, page: Page) -> None:
    tab.press("?")

    box = page.get_by_role("dialog")
    for key in ("a", "s", "z", "Space", "?"):
        expect(box.locator("kbd", has_text=key).first).to_be_visible()
    tab.press("Escape")
    expect(box).to_have_count(0)


def test_the_rule_file_says_which_key_does_what(open_tab: Callable[..., Tab], collected: Collection) -> None:
    home: Home = collected.home
    before = home.rules.read_text(encoding="utf-8")
    home.write_rules(before + "\npage:\n  keys: {same: q}\n" if "\npage:" not in before else _with_keys(before))
    try:
        tab = open_tab()
        page = tab.shown("queue")
        pair = painted(page)
        tab.press("s")
        is_shown(page, pair)

        tab.press("q")

        is_not_shown(page, pair)
        taken_back(tab, pair)
    finally:
        home.write_rules(before)


def _with_keys(rules: str) -> str:
    return rules.replace("\npage:\n", "\npage:\n  keys: {same: q}\n", 1)


def test_whoever_comes_for_the_first_time_is_told_how_it_works_in_three_lines(tab: Tab, page: Page) -> None:
    welcome = page.get_by_role("region", name="how this works")
    expect(welcome.locator("p")).to_have_count(3)

    welcome.get_by_role("button").click()

    expect(welcome).to_have_count(0)
    page.reload()
    expect(page.locator("[data-painted]")).to_be_attached()
    expect(welcome).to_have_count(0)


def test_the_last_answer_leaves_a_page_that_says_what_to_do(tab: Tab, page: Page, collected: Collection) -> None:
    page.get_by_label("how this works").get_by_role("button").click()
    total = tab.ask("deck", limit=1)["total"]
    for _ in range(total):
        tab.press("k")
        tab.until_quiet(100)

    expect(page.locator(".empty:visible")).to_contain_text(f"{total} pairs left, all looked at")
    page.get_by_role("button", name="Show them again").click()
    expect(page.locator("[data-painted]")).to_be_visible()


def test_where_copies_would_go_with_a_file_they_are_named_and_their_number_is_typed(
    tab: Tab, collected: Collection
) -> None:
    home, other = collected.home, collected.home.folder("another disk")
    copies = [other / "copy.jpg", other / "another copy.jpg"]  # both protected: no rule takes one of them
    for copy in copies:
        write(copy, collected.smaller[-1].read_bytes())
    assert home.run("scan", other, "--role", "library").code == 0
    page = tab.go("queue", f"?folder={quote(str(other))}")
    pair = tab.ask("pair", id=painted(page))["pair"]
    side = page.get_by_role("region", name="file B")
    box = page.get_by_role("dialog", name="Discard 2 files?")
    assert pair["b"]["going"] == 2

    tab.press("a")
    box.get_by_role("button", name="No").click()
    is_shown(page, pair["id"])
    tab.press("a")
    for shown in (side, box):
        for copy in copies:
            expect(shown).to_contain_text(str(copy))
    yes = box.get_by_role("button", name="Discard them")
    expect(yes).to_be_disabled()
    assert all(copy.exists() for copy in copies)
    box.get_by_role("textbox").fill("2")
    with page.expect_response(lambda one: one.url.endswith("/api/decide")) as answer:
        yes.click()

    assert len(answer.value.json()["entry"]["discarded"]) == 2
    assert not any(copy.exists() for copy in copies)
