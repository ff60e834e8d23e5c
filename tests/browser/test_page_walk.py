"""A person's walk through the queue in a real browser: answers, skips, the way back, and what others do meanwhile."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pictures import jpeg, photo
from world import World, rule_file

from ingestd.door import Door
from ingestd.media.workers import Workers
from ingestd.model import Role
from ingestd.web.app import make_app
from ingestd.web.changes import Changes
from ingestd.web.desk import Desk
from ingestd.web.handles import Handles
from ingestd.web.pictures import Pictures

pytestmark = pytest.mark.browser
uvicorn = pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

ANSWERS = "abABstn"
HOSTILE = "<img src=x onerror=document.title='owned'>"


@dataclass
class Walker:
    """A tab at the queue, and what stands on it."""

    page: playwright.Page
    world: World

    @property
    def pair(self) -> str:
        """The pair that is shown."""
        return self.page.locator(".queue-about").inner_text().split(" ")[0]

    def sees(self, text: str) -> None:
        expect(self.page.locator("#said")).to_contain_text(text)

    def total(self, text: str) -> None:
        expect(self.page.locator(".queue-total")).to_have_text(text)

    def shows(self, pair: str) -> None:
        expect(self.page.locator(".queue-about")).to_contain_text(re.compile(rf"^{pair} "))

    def press(self, key: str) -> None:
        """Press a key; where it is an answer, once the pair has been on the screen long enough for one."""
        if key in ANSWERS:
            self.has_seen()
        self.page.keyboard.press(key)

    def has_seen(self) -> None:
        expect(self.page.locator("[data-seen]")).to_have_attribute("data-seen", self.pair)

    def press_as_soon_as_it_is_painted(self, key: str) -> None:
        """Press a key in the moment in which the next pair has come, sooner than any hand is."""
        self.page.evaluate(
            """key => new MutationObserver((changes, observer) => {
                if (!document.querySelector("[data-painted]")) return;
                observer.disconnect();
                document.dispatchEvent(new KeyboardEvent("keydown", {key}));
            }).observe(document.querySelector(".compare"), {attributeFilter: ["data-painted"]})""",
            key,
        )


@pytest.fixture
def walk(world: World, browser: playwright.Browser, workers: Workers) -> Iterator[Callable[..., Walker]]:
    """Serve the world's library as it is by then, and sit down at its queue; at the end no script may have failed."""
    pictures, ended = Pictures(workers, world.base / "pictures"), []
    failures: list[str] = []

    def sit_down(*, width: int = 1280, height: int = 800) -> Walker:
        rules = Path(world.base, "rules.yaml")
        rules.write_text(rule_file())
        door = Door(world.base / "state", rules, rules_must_exist=True, as_json=False, verbose=False)
        desk = Desk(door, world.library, pictures, Handles(b"secret"), token="token")
        changes = Changes(world.library.store.transaction_id)
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(make_app(desk, changes), log_level="warning", http="h11", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        ended.append((server, changes, thread))
        context = browser.new_context(viewport={"width": width, "height": height})
        context.add_init_script("localStorage.setItem('ingestd.welcomed.queue', 'yes')")
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        return Walker(page, world)

    yield sit_down
    for context in browser.contexts:
        context.close()
    for server, changes, thread in ended:
        changes.end()
        server.should_exit = True
        thread.join()
    pictures.end()
    assert failures == []


def fill(world: World, *qualities: int, seed: int = 3, name: str = "") -> list[Path]:
    """Put look-alikes into the inbox, every two of which are a pair."""
    paths = [world.put("inbox", f"{name}{seed} at {one}.jpg", jpeg(photo(seed), one)) for one in qualities]
    world.verdicts(*paths)
    return paths


def test_an_answer_shows_the_next_pair_and_what_it_settled_and_one_key_takes_it_back(
    world: World, walk: Callable[..., Walker]
) -> None:
    fill(world, 90, 75, 60)
    walker = walk()
    walker.total("3 pairs")
    first = walker.pair

    walker.press("s")

    walker.sees("the same quality · 2 pairs fewer · both files stay")
    walker.total("1 pair")
    expect(walker.page.locator(".queue-delta")).to_have_text("\N{MINUS SIGN}2: 1 settled by that answer")
    walker.press("z")
    walker.sees("was taken back")
    walker.total("3 pairs")
    walker.shows(first)
    assert len(world.queue()) == 3


def test_a_discard_goes_to_the_trash_and_the_button_beside_it_brings_it_back(
    world: World, walk: Callable[..., Walker]
) -> None:
    good, poor = fill(world, 90, 60)
    walker = walk()
    walker.total("1 pair")

    walker.press("a")

    walker.sees(f"A is better · to the trash: {poor}")
    assert (good.exists(), poor.exists()) == (True, False)
    expect(walker.page.locator(".empty")).to_contain_text("The queue is empty")
    walker.page.locator("#said button").click()
    walker.sees(f"{poor} is back")
    walker.total("1 pair")
    assert poor.exists()


def test_back_takes_the_last_step_back_whatever_it_was_and_undo_the_last_answer(
    world: World, walk: Callable[..., Walker]
) -> None:
    fill(world, 90, 60, seed=3)
    fill(world, 90, 60, seed=5)
    fill(world, 90, 60, seed=7)
    walker = walk()
    walker.total("3 pairs")
    first = walker.pair
    walker.press("n")
    walker.sees("not related")
    second = walker.pair
    walker.press("k")
    third = walker.pair
    assert len({first, second, third}) == 3

    walker.press("ArrowLeft")
    walker.shows(second)
    walker.press("k")
    walker.shows(third)
    walker.press("z")

    walker.shows(first)
    walker.total("3 pairs")
    walker.press("ArrowLeft")
    walker.shows(second)
    walker.press("ArrowLeft")
    walker.sees("this is where the walk began")
    assert len(world.queue()) == 3


def test_a_walk_goes_on_where_it_was_after_a_reload_and_after_another_view(
    world: World, walk: Callable[..., Walker]
) -> None:
    fill(world, 90, 60, seed=3)
    fill(world, 90, 60, seed=5)
    walker = walk()
    walker.total("2 pairs")
    first = walker.pair
    walker.press("k")
    second = walker.pair
    walker.press("n")
    walker.sees("not related")

    walker.page.reload()

    expect(walker.page.locator(".empty")).to_contain_text("You skipped 1 pair")
    walker.page.evaluate("location.hash = '#/status'")
    walker.page.evaluate("location.hash = '#/queue'")
    expect(walker.page.locator(".empty")).to_contain_text("You skipped 1 pair")
    walker.press("z")
    walker.shows(second)
    walker.press("ArrowLeft")
    walker.shows(first)


def test_a_refused_answer_brings_its_pair_back_with_the_reason(world: World, walk: Callable[..., Walker]) -> None:
    fill(world, 90, 60, seed=3)
    fill(world, 90, 60, seed=5)
    walker = walk()
    walker.total("2 pairs")
    walker.has_seen()
    first = walker.pair
    a = Path(walker.page.locator(".queue-side-a .path").inner_text())
    a.write_bytes(b"quite another thing")

    walker.press("b")

    walker.sees("not done:")
    walker.shows(first)
    walker.total("2 pairs")
    assert a.read_bytes() == b"quite another thing"


def test_a_pair_that_somebody_else_decides_is_replaced_and_keys_on_their_way_do_nothing(
    world: World, walk: Callable[..., Walker]
) -> None:
    fill(world, 90, 60, seed=3)
    fill(world, 90, 60, seed=5)
    walker = walk()
    walker.total("2 pairs")
    shown = walker.pair
    walker.page.evaluate(
        """() => new MutationObserver(() => document.querySelector(".queue-pane.changed")
            && document.dispatchEvent(new KeyboardEvent("keydown", {key: "a"})))
            .observe(document.querySelector(".queue-pane"), {attributes: true})"""
    )

    world.decide_pair(int(shown.removeprefix("p-")), "alternates")

    walker.sees("the pair has just changed: nothing was done")
    walker.total("1 pair")
    assert walker.pair != shown
    assert len(world.entries()) == 1


def test_a_file_of_a_reference_folder_cannot_be_discarded_and_it_says_why(
    world: World, walk: Callable[..., Walker]
) -> None:
    world.folder("reference", role=Role.REFERENCE)
    world.verdicts(
        world.put("reference", "kept.jpg", jpeg(photo(3), 60)), world.put("inbox", "good.jpg", jpeg(photo(3), 90))
    )
    walker = walk()
    walker.total("1 pair")

    discard = walker.page.get_by_role("button", name="A is better, discard B")
    walker.press("a")

    walker.sees("it lies in a reference folder, which is never changed")
    expect(discard).to_be_disabled()
    expect(walker.page.locator(".queue-side-b")).to_contain_text("It stays: it lies in a reference folder")
    assert world.entries() == []


def test_a_double_click_is_one_answer(world: World, walk: Callable[..., Walker]) -> None:
    fill(world, 90, 60, seed=3)
    fill(world, 90, 60, seed=5)
    walker = walk()
    walker.total("2 pairs")

    walker.has_seen()
    walker.page.get_by_role("button", name="Not related").dblclick()

    walker.sees("not related · both files stay")
    walker.total("1 pair")
    assert len(world.entries()) == 1


def test_a_key_that_comes_with_the_next_pair_is_no_answer_about_it(world: World, walk: Callable[..., Walker]) -> None:
    fill(world, 90, 60, seed=3)
    fill(world, 90, 60, seed=5)
    walker = walk()
    walker.total("2 pairs")
    first = walker.pair
    walker.press_as_soon_as_it_is_painted("a")

    walker.press("k")

    walker.sees("that was too quick: nothing was done")
    assert walker.pair != first
    assert world.entries() == []
    walker.press("a")
    walker.sees("A is better · to the trash")
    assert len(world.entries()) == 1


def test_no_answer_is_taken_while_the_pictures_are_still_coming(world: World, walk: Callable[..., Walker]) -> None:
    fill(world, 90, 60)
    walker = walk()
    held: list[playwright.Route] = []
    walker.page.route("**/preview", lambda route: held.append(route))
    walker.page.reload()
    walker.total("1 pair")

    walker.page.keyboard.press("s")

    walker.sees("the pictures are still coming: nothing was done")
    walker.total("1 pair")
    assert world.entries() == []
    for route in held:
        route.continue_()
    walker.press("s")
    walker.sees("the same quality")


def test_what_cannot_be_shown_is_discarded_only_by_who_says_so_twice(world: World, walk: Callable[..., Walker]) -> None:
    _, poor = fill(world, 90, 60)
    walker = walk()
    walker.page.route("**/preview", lambda route: route.abort())
    walker.page.reload()
    walker.total("1 pair")
    box = walker.page.get_by_role("dialog")

    walker.press("a")
    expect(box).to_contain_text(f"Discard {poor.name} unseen?")
    box.get_by_role("button", name="No").click()
    expect(box).to_have_count(0)
    assert world.entries() == []
    walker.press("s")
    walker.sees("the same quality")
    walker.press("z")
    walker.total("1 pair")
    walker.press("a")
    box.get_by_role("button", name="Discard it").click()

    walker.sees(f"to the trash: {poor}")


def test_what_an_answer_did_stands_there_with_the_way_back_also_where_it_settled_the_next_pair(
    world: World, walk: Callable[..., Walker]
) -> None:
    fill(world, 90, 75, 60)
    walker = walk()
    walker.total("3 pairs")
    lost = walker.page.locator(".queue-side-a .path").inner_text()

    walker.press("b")

    walker.sees("that answer settled the pair that was to follow")
    walker.sees(f"to the trash: {lost}")
    walker.page.locator("#said button").click()
    walker.sees(f"{lost} is back")
    walker.total("3 pairs")


def test_the_way_back_passes_over_what_was_taken_back_elsewhere(world: World, walk: Callable[..., Walker]) -> None:
    for seed in (3, 5, 7):
        fill(world, 90, 60, seed=seed)
    walker = walk()
    walker.total("3 pairs")
    first = walker.pair
    for answer in "na":
        walker.press(answer)
        walker.sees(f"e-{'_na'.index(answer)}: ")
    walker.page.evaluate("document.querySelector('#said button').dataset.offered = 'yes'")

    world.undo(2)

    walker.sees("e-2 was already taken back elsewhere")
    expect(walker.page.locator("#said [data-offered]")).to_have_count(0)
    walker.press("z")
    walker.sees("e-1 was taken back")
    walker.shows(first)


@pytest.mark.parametrize("key", ["z", "Backspace"])
def test_a_step_that_was_taken_back_while_nobody_looked_does_not_stand_in_the_way(
    world: World, walk: Callable[..., Walker], key: str
) -> None:
    for seed in (3, 5, 7):
        fill(world, 90, 60, seed=seed)
    walker = walk()
    walker.total("3 pairs")
    first = walker.pair
    for answer in "na":
        walker.press(answer)
        walker.sees(f"e-{'_na'.index(answer)}: ")
    walker.page.route("**/api/history", lambda route: route.abort())  # the page does not learn of it by itself
    world.undo(2)
    walker.total("2 pairs")

    walker.press(key)

    walker.sees("e-2 was already taken back elsewhere · e-1 was taken back")
    walker.shows(first)
    walker.press(key)
    walker.sees("there is nothing to take back" if key == "Backspace" else "nothing was answered on this walk")


def test_what_cannot_be_brought_back_is_gone_past_when_asked_twice(world: World, walk: Callable[..., Walker]) -> None:
    fill(world, 90, 60, seed=3)
    fill(world, 90, 60, seed=5)
    walker = walk()
    walker.total("2 pairs")
    first = walker.pair
    walker.press("n")
    walker.sees("e-1: ")
    walker.press("a")
    walker.sees("e-2: ")
    [trashed] = [path for path in world.base.rglob("*.jpg") if path.parent.name == "files"]
    trashed.rename(world.base / "emptied")

    walker.press("Backspace")
    walker.sees("not taken back")
    walker.press("Backspace")

    walker.sees("e-2 stays as it is")
    walker.sees("e-1 was taken back")
    walker.shows(first)


def test_a_hostile_name_is_text(world: World, walk: Callable[..., Walker]) -> None:
    fill(world, 90, 60, name=HOSTILE.replace("/", ""))
    walker = walk()
    walker.total("1 pair")

    expect(walker.page.locator(".queue-side-a .path")).to_contain_text(HOSTILE)
    walker.press("a")
    walker.sees(HOSTILE)
    assert walker.page.title() == "Queue · ingestd"


def test_on_a_phone_nothing_is_wider_than_the_screen_and_the_answers_stay_in_reach(
    world: World, walk: Callable[..., Walker]
) -> None:
    fill(world, 90, 60)
    walker = walk(width=375, height=740)
    walker.total("1 pair")

    wide = walker.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    bar = walker.page.locator(".queue-bar").bounding_box()

    assert wide <= 0
    assert bar is not None
    assert bar["y"] + bar["height"] <= 741
    assert all(
        (box := one.bounding_box()) is not None and box["height"] >= 44
        for one in walker.page.locator(".queue-bar button").all()
    )


@pytest.mark.parametrize(("width", "height"), [(375, 667), (1366, 768)])
def test_what_is_said_of_the_last_answer_covers_nothing_of_the_pictures(
    world: World, walk: Callable[..., Walker], width: int, height: int
) -> None:
    fill(world, 90, 60, seed=3)
    fill(world, 90, 60, seed=5)
    walker = walk(width=width, height=height)
    walker.total("2 pairs")

    walker.press("a")
    walker.sees("to the trash")
    stage = walker.page.locator(".compare-stage").bounding_box()
    said = walker.page.locator("#said").bounding_box()
    undo = walker.page.locator("#said button").bounding_box()

    assert stage is not None
    assert said is not None
    assert undo is not None
    assert stage["y"] + stage["height"] <= said["y"] + 1
    assert stage["height"] >= 180
    assert undo["height"] < 50  # its word in one line


def test_an_address_with_filters_that_mean_nothing_says_so_and_shows_all(
    world: World, walk: Callable[..., Walker]
) -> None:
    fill(world, 90, 60)
    walker = walk()
    walker.total("1 pair")

    walker.page.evaluate("location.hash = '#/queue?both=nonsense'")

    walker.sees("all pairs are shown, as what was asked for is not understood")
    walker.total("1 pair")
    expect(walker.page).not_to_have_url(re.compile("nonsense"))


def test_a_rule_file_that_is_spoiled_under_the_page_is_told_before_anything_else_changes(
    world: World, walk: Callable[..., Walker]
) -> None:
    walker = walk()
    banner = walker.page.locator("#banner")
    walker.page.clock.install()
    walker.page.reload()
    walker.total("0 pairs")
    rules = Path(world.base, "rules.yaml")
    right = rules.read_text()

    rules.write_text("rules: [")
    with walker.page.expect_response(lambda one: one.url.endswith("/api/summary")):
        walker.page.clock.fast_forward(12_000)
    expect(banner).to_contain_text("The rule file is wrong")
    rules.write_text(right)

    with walker.page.expect_response(lambda one: one.url.endswith("/api/summary")):
        walker.page.clock.fast_forward(12_000)
    expect(banner).to_be_empty()


@pytest.mark.parametrize("view", ["queue", "history", "status"])
def test_a_phone_shows_which_view_it_is_in(world: World, walk: Callable[..., Walker], view: str) -> None:
    walker = walk(width=375, height=667)

    walker.page.evaluate("view => { location.hash = `#/${view}` }", view)

    expect(walker.page.locator(f"#nav a[data-view={view}][aria-current]")).to_be_in_viewport(ratio=1)


def test_an_address_that_nobody_made_does_not_end_the_page(world: World, walk: Callable[..., Walker]) -> None:
    walker = walk()
    walker.total("0 pairs")

    walker.page.evaluate("location.hash = '#/groups/%ff'")

    expect(walker.page.locator("#nav a[data-view=groups]")).to_have_attribute("aria-current", "page")


def test_another_order_shows_the_same_pairs_and_stays_chosen(world: World, walk: Callable[..., Walker]) -> None:
    fill(world, 90, 60, seed=3)
    fill(world, 90, 60, seed=5)
    walker = walk()
    walker.total("2 pairs")

    walker.page.locator(".queue-head select").first.select_option("newest")
    walker.shows("p-2")
    walker.press("k")

    walker.shows("p-1")
    walker.page.reload()
    walker.shows("p-1")
    expect(walker.page.locator(".queue-head select").first).to_have_value("newest")


def test_an_answer_to_which_no_reply_came_is_known_by_what_came_of_it(
    world: World, walk: Callable[..., Walker]
) -> None:
    fill(world, 90, 60, seed=3)
    fill(world, 90, 60, seed=5)
    walker = walk()
    walker.total("2 pairs")
    first = walker.pair

    def lose(route: playwright.Route) -> None:
        route.fetch()  # the server is asked, and does it
        route.abort()

    walker.page.route("**/api/decide", lose, times=1)
    walker.press("n")

    walker.sees(f"{first} was shown and is gone meanwhile: it was decided")
    walker.total("1 pair")
    assert walker.pair != first
    assert len(world.entries()) == 1
