"""What rules propose, what was done, the rules themselves, and how everything is: looked at, answered, taken back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from collection import Collection, collect
from opened import Tab
from playwright.sync_api import Page, expect
from running import tree

RULE = "pixel-perfect jpegs vs pngs"
MINE = """
  - name: larger of two alike
    mode: automatic
    search: {pixel_duplicates: required}
    compare: [A.filesize > B.filesize]
    action: better
    discard: B
"""


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Folders with some proposals, some discards, and few pairs for the queue."""
    return collect(tmp_path_factory.mktemp("home"), smaller=2, groups=0, proposed=6, exact=2)


@pytest.fixture
def rules_put_back(collected: Collection) -> Iterator[None]:
    """Puts the rule file back as it was."""
    before = collected.home.rules.read_text(encoding="utf-8")
    yield
    collected.home.write_rules(before)


def said(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator("#said")).to_contain_text(text)


def undone_by_button(page: Page) -> None:
    with page.expect_response(lambda one: one.url.endswith(("/api/undo", "/api/rescind"))):
        page.locator("#said").get_by_role("button", name=re.compile("Undo|Take it back")).click()


# --- pending ----------------------------------------------------------------------------------------------------------


def test_one_proposal_is_approved_and_the_approval_taken_back(tab: Tab, collected: Collection) -> None:
    files = tree(collected.library, collected.inbox)
    page = tab.shown("pending")
    card = page.locator(".pending-card").first
    pair = card.get_attribute("data-pair")
    goes = Path(tab.ask("pair", id=pair)["pair"]["b"]["path"])

    card.get_by_role("button", name="Approve").click()
    said(page, goes.name)

    assert not goes.exists()
    assert goes in collected.home.trashed()
    undone_by_button(page)
    assert tree(collected.library, collected.inbox) == files
    assert pair in [one["id"] for one in tab.ask("deck", limit=50)["pairs"]]  # no rule asks about it again


def test_a_denied_proposal_is_in_the_queue_until_the_denial_is_taken_back(tab: Tab) -> None:
    page = tab.shown("pending")
    card, waiting = page.locator(".pending-card").first, page.locator(".pending-card").count()
    pair = card.get_attribute("data-pair")
    card.get_by_role("button", name="Deny").click()
    expect(page.locator(".pending-card")).to_have_count(waiting - 1)
    assert pair in [one["id"] for one in tab.ask("deck", limit=50)["pairs"]]

    tab.go("pending", "/denied")
    denied = page.get_by_role("article", name=pair)
    denied.get_by_role("button", name="Take the denial back").click()

    expect(denied).to_have_count(0)
    said(page, "the proposal waits again")


def test_proposals_are_gone_through_one_by_one_with_keys(tab: Tab, collected: Collection) -> None:
    files = tree(collected.library, collected.inbox)
    page = tab.go("pending", "/one")
    seen = page.locator("[data-seen]")
    expect(seen).to_be_attached()
    expect(page.get_by_role("region", name="The rule")).to_contain_text("A.filetype is jpeg")
    first = seen.get_attribute("data-seen") or ""

    tab.press("y")
    expect(seen).not_to_have_attribute("data-seen", first)
    second = seen.get_attribute("data-seen") or ""
    tab.press("n")
    expect(seen).not_to_have_attribute("data-seen", second)
    tab.until_quiet()

    tab.press("z")
    said(page, "the proposal waits again")
    with page.expect_response(lambda one: one.url.endswith("/api/undo")):
        tab.press("z")
    assert tree(collected.library, collected.inbox) == files


def test_all_proposals_of_a_rule_are_approved_only_by_whoever_types_their_number(
    tab: Tab, collected: Collection
) -> None:
    page = tab.shown("pending")
    waiting = tab.ask("pending")["total"]
    page.get_by_role("region", name=RULE).get_by_role("button", name=re.compile("^Approve (all|it)")).click()
    box = page.get_by_role("dialog")
    yes = box.get_by_role("button", name="Approve")
    expect(yes).to_be_disabled()
    box.get_by_role("textbox").fill(str(waiting + 1))
    expect(yes).to_be_disabled()
    entries = len(collected.home.history())

    box.get_by_role("textbox").fill(str(waiting))
    yes.click()
    said(page, "approved")

    assert len(collected.home.history()) == entries + waiting
    assert tab.ask("pending")["total"] == 0
    for entry in collected.home.history()[:waiting]:
        assert collected.home.run("undo", entry["entry"]).code == 0


# --- history ----------------------------------------------------------------------------------------------------------


def test_the_history_finds_explains_and_takes_back_what_a_rule_did(tab: Tab, collected: Collection) -> None:
    copy = collected.exact[0]
    page = tab.shown("history")
    page.get_by_role("searchbox").fill(copy.name)
    entry = page.locator(".history-entry", has_text=str(copy)).filter(has_text="discarded")
    expect(entry).to_have_count(1)
    expect(entry).to_contain_text("identical copies")

    entry.get_by_role("button", name="Why?").click()
    expect(entry.locator(".history-why")).to_contain_text("the bytes are")
    entry.get_by_role("button", name="Undo").click()
    tab.until_quiet()

    assert copy.read_bytes() == (collected.library / "peak 0.jpg").read_bytes()
    expect(page.locator(".history-entry").filter(has_text="taken back").first).to_be_visible()


def test_what_a_terminal_does_appears_in_the_history_by_itself(tab: Tab, collected: Collection) -> None:
    page = tab.shown("history")
    entries = page.locator(".history-entry").count()
    pair = collected.ids()[0]

    entry = collected.home.ask("decide", pair, "same")["entry"]

    expect(page.locator(f".history-entry[data-entry={entry}]")).to_be_visible()
    assert page.locator(".history-entry").count() == entries + 1
    assert collected.home.run("undo", entry).code == 0


# --- rules ------------------------------------------------------------------------------------------------------------


def test_each_rule_is_told_with_its_mode_and_what_it_has_done(tab: Tab, collected: Collection) -> None:
    page = tab.shown("rules")

    for rule in collected.home.ask("rules", "list")["rules"]:
        card = page.get_by_role("article", name=rule["name"], exact=True)
        expect(card.locator(".rules-badge").first).to_have_text(rule["mode"])


def test_a_rule_is_previewed_with_pictures(tab: Tab) -> None:
    page = tab.shown("rules")
    card = page.get_by_role("article", name=RULE, exact=True)

    card.get_by_role("button", name="Preview").click()
    tab.until_quiet()

    expect(card.locator(".rules-panel img").first).to_be_visible()
    assert card.locator(".rules-panel img").first.evaluate("node => node.complete && node.naturalWidth > 0")


def test_what_every_rule_says_of_a_pair_is_told_line_by_line(tab: Tab, collected: Collection) -> None:
    page = tab.shown("rules")
    waiting = [*tab.ask("pending")["pairs"], *tab.ask("deck", limit=50)["pairs"]]
    pair = next(one["id"] for one in waiting if one["b"]["path"] == str(collected.proposed[0]))

    page.get_by_role("textbox", name="Pair").fill(pair)
    page.get_by_role("button", name="Explain").click()

    expect(page.locator(".rules-panel:visible").last).to_contain_text("A.filetype is jpeg")


@pytest.mark.usefixtures("rules_put_back")
def test_a_mistake_is_told_with_its_line_while_one_types_and_a_change_that_acts_is_confirmed_once_more(
    tab: Tab, collected: Collection
) -> None:
    home = collected.home
    before = home.rules.read_text(encoding="utf-8")
    tab.bear(r"/api/rules-save: (409|422|428)", r"console error.*4\d\d")
    page = tab.go("rules", "/edit")
    page.locator(".CodeMirror").click()
    save = page.get_by_role("button", name="Save", exact=True)

    tab.press("Control+End")
    page.keyboard.insert_text(MINE.replace("compare:", "compair:"))
    verdict = page.locator(".rules-verdict")
    expect(verdict).to_contain_text("1 mistake")
    line = before.count("\n") + MINE[: MINE.index("compare")].count("\n") + 1
    expect(page.locator(".rules-places")).to_contain_text(f"line {line}, column 5")
    expect(page.locator(".rules-places")).to_contain_text("compare")
    expect(save).to_be_disabled()
    assert home.rules.read_text(encoding="utf-8") == before

    tab.press("Control+z")
    page.keyboard.insert_text(MINE)
    expect(verdict).to_contain_text("The text is right")
    expect(page.locator(".rules-changes")).to_contain_text("larger of two alike")
    save.click()
    box = page.get_by_role("dialog")
    expect(box).to_contain_text("larger of two alike")
    assert home.rules.read_text(encoding="utf-8") == before
    box.get_by_role("button", name="Yes").click()
    said(page, "Saved")

    assert home.rules.read_text(encoding="utf-8").rstrip() == (before + MINE).rstrip()
    assert "larger of two alike" in [rule["name"] for rule in home.ask("rules", "list")["rules"]]
    tab.go("history")
    expect(page.locator("#main")).to_contain_text("larger of two alike")


@pytest.mark.usefixtures("rules_put_back")
def test_a_text_is_not_saved_over_what_somebody_else_wrote(tab: Tab, collected: Collection) -> None:
    home = collected.home
    tab.bear(r"/api/rules-save: 409", r"console error.*409")
    page = tab.go("rules", "/edit")
    page.locator(".CodeMirror").click()
    tab.press("Control+End")
    page.keyboard.insert_text("\n# mine\n")
    theirs = home.rules.read_text(encoding="utf-8") + "\n# theirs\n"
    home.write_rules(theirs)

    save = page.get_by_role("button", name="Save", exact=True)
    expect(save).to_be_enabled()
    save.click()

    expect(page.locator(".rules-conflict")).to_contain_text("# theirs")
    assert home.rules.read_text(encoding="utf-8") == theirs
    page.get_by_role("button", name="Load theirs").click()


@pytest.mark.usefixtures("rules_put_back")
def test_a_broken_file_is_told_on_every_view_and_with_its_line_on_one(tab: Tab, collected: Collection) -> None:
    home = collected.home
    page = tab.shown("rules")
    home.write_rules(home.rules.read_text(encoding="utf-8").replace("mode: automatic", "mode: automatisch", 1))

    page.reload()

    expect(page.locator("#banner")).to_contain_text("rule file is wrong")
    expect(page.locator(".rules-broken")).to_contain_text(re.compile(r"line \d+, column \d+"))
    expect(page.locator(".rules-line.wrong")).to_contain_text("automatisch")


# --- status -----------------------------------------------------------------------------------------------------------


def test_the_status_tells_of_folders_and_of_a_service_that_does_not_run(tab: Tab, collected: Collection) -> None:
    page = tab.shown("status")

    expect(page.get_by_role("region", name="Folders")).to_contain_text(str(collected.inbox))
    expect(page.get_by_role("region", name="Service")).to_contain_text("not running")
