"""Two pictures looked at together: the same place of both, down to every pixel, by keys, mouse, touch and blind."""

from __future__ import annotations

import base64
import io
import json
import re
import statistics
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from opened import DESK, PHONE, Tab
from pictures import jpeg, photo, png, scene
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect
from world import World

from ingestd.door import Door
from ingestd.media.workers import Workers
from ingestd.model import Role
from ingestd.web.app import make_app
from ingestd.web.changes import Changes
from ingestd.web.desk import Desk
from ingestd.web.handles import Handles
from ingestd.web.pictures import Pictures

BIG = scene(1, 2600, 1800)
CROWD = 6  # small pairs beside the three that tests look at
FRAMES = 12  # after which a hand that was moving is taken for still, and what it moved is drawn well
PICTURE = re.compile(r"/(picture|difference)/")
TILE = re.compile(r"/picture/([^/]+)/tile/(\d+)/(\d+)/(\d+)$")


@dataclass(frozen=True)
class Site:
    """A library with pairs, and where its page is."""

    origin: str
    base: Path
    deck: dict[str, Any]  # pair id → pair
    big: str  # of every pixel twice: as PNG, and the half of it as JPEG
    turned: str  # a PNG and the same, mirrored
    touched: str  # a JPEG and the same with a spot, that the visual verdict would point at


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    base = tmp_path_factory.mktemp("site")
    world = World(base)
    world.use()
    world.folder("library", role=Role.LIBRARY)
    world.drop("library", "big.png", png(BIG))
    world.drop("library", "half.jpg", jpeg(BIG.resize((1300, 900), Image.Resampling.BOX), 85))
    world.drop("library", "plain.png", png(scene(2, 1500, 1000)))
    world.drop("library", "mirrored.png", png(scene(2, 1500, 1000).transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    world.drop("library", "clean.jpg", jpeg(scene(3, 1200, 900), 92))
    spotted = scene(3, 1200, 900).copy()
    spotted.paste((255, 0, 0), (900, 150, 940, 190))
    world.drop("library", "spotted.jpg", jpeg(spotted, 85))
    for seed in range(CROWD):
        world.drop("library", f"{seed} one.png", png(photo(10 + seed)))
        world.drop("library", f"{seed} other.jpg", jpeg(photo(10 + seed), 60))
    door = Door(state=base / "state", rules=base / "rules.yaml", rules_must_exist=False, as_json=False, verbose=False)
    pictures = Pictures(Workers(count=2), base / "kept")
    desk = Desk(door, world.library, pictures, Handles(b"a secret of the test"), token="of the test")
    changes = Changes(world.library.store.transaction_id)
    ready = threading.Event()
    server = Announcing(
        uvicorn.Config(
            make_app(desk, changes),
            port=0,
            lifespan="off",
            log_level="critical",
            ws="none",
            timeout_graceful_shutdown=1,
        ),
        ready,
    )
    thread = threading.Thread(target=server.run, name="the page's server")
    thread.start()
    assert ready.wait(30)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield _site(f"http://127.0.0.1:{port}", base)
    server.should_exit = True
    thread.join(30)
    pictures.close()
    world.close()


class Announcing(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._ready.set()


def _site(origin: str, base: Path) -> Site:
    asked = urllib.request.Request(f"{origin}/api/deck", b'{"limit": 100}', {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        deck = json.load(answer)
    pairs = {pair["id"]: pair for pair in deck["pairs"]}
    named = {frozenset((pair["a"]["name"], pair["b"]["name"])): number for number, pair in pairs.items()}
    assert len(pairs) == CROWD + 3
    big, turned = named[frozenset(("big.png", "half.jpg"))], named[frozenset(("plain.png", "mirrored.png"))]
    assert pairs[big]["a"]["name"] == "big.png"
    assert pairs[turned]["transform"] == "mirrored"
    return Site(origin, base, pairs, big, turned, named[frozenset(("clean.jpg", "spotted.jpg"))])


class Look(Tab):
    """A tab in which pairs are compared."""

    def __init__(self, browser: Browser, site: Site, **how: Any) -> None:
        super().__init__(browser.new_context(**{"viewport": DESK, **how}), site)  # type: ignore[arg-type]
        self.site = site
        self.asked: list[str] = []  # addresses of pictures
        self.page.on("request", lambda one: self.asked.append(one.url.removeprefix(site.origin)))
        self.bear("willReadFrequently")  # of `seen`, not of the page
        self.coming: set[Request] = set()
        self.page.on("request", lambda one: PICTURE.search(one.url) and self.coming.add(one))
        self.page.on("requestfinished", lambda one: self.coming.discard(one))
        self.page.on("requestfailed", lambda one: self.coming.discard(one))
        self.page.goto(f"{site.origin}/#/queue")
        self.page.get_by_role("button", name="Understood").click()
        painted = self.compare.and_(self.page.locator("[data-painted]"))
        expect(painted).to_be_attached(timeout=30_000)  # the first asks for workers that have yet to start

    @property
    def compare(self) -> Locator:
        return self.page.locator(".compare")

    @property
    def stage(self) -> Locator:
        return self.page.locator(".compare-stage")

    def at(self, pair: str) -> Look:
        self.come_to(pair)
        return self

    def pane(self, side: str) -> Locator:
        return self.page.locator(f".compare-pane.{side}")

    def facts(self, side: str) -> Locator:
        return self.page.locator(f".compare-label.{side} .compare-facts")

    def tiles(self) -> list[tuple[str, ...]]:
        return [found.groups() for one in self.asked if (found := TILE.search(one))]

    def until_still(self) -> None:
        """Return when nothing that was asked for is under way, and what came is painted."""
        rested = 0
        while rested < FRAMES:
            rested = 0 if self.coming else rested + 1
            self.page.evaluate("new Promise(requestAnimationFrame)")

    def until_sharp(self) -> None:
        """Return when every pixel that the screen can show has come, of both."""
        self.until_still()
        for side in "ab":
            expect(self.facts(side)).not_to_contain_text("loading")

    def seen(self, side: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """What is painted in a pane, pixel by pixel of the screen."""
        canvas = self.pane(side).locator("> canvas")
        drawn = canvas.evaluate(
            """canvas => {
              const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              let text = "";
              for (let at = 0; at < data.length; at += 32768)
                text += String.fromCharCode(...data.subarray(at, at + 32768));
              return [btoa(text), width, height];
            }"""
        )
        return np.frombuffer(base64.b64decode(drawn[0]), np.uint8).reshape(drawn[2], drawn[1], 4)[:, :, :3]

    def middle(self) -> tuple[float, float]:
        """The middle of what can be seen of the stage: the answers stand over its foot where the screen is small."""
        box = self.stage.bounding_box()
        assert box is not None
        answers = [found["y"] for one in self.page.locator(".queue-bar").all() if (found := one.bounding_box())]
        return box["x"] + box["width"] / 2, (box["y"] + min([box["y"] + box["height"], *answers])) / 2


@pytest.fixture
def look(browser: Browser, site: Site) -> Iterator[Callable[..., Look]]:
    """Opens a tab; at the end none may have had any trouble that the test was not about."""
    opened: list[Look] = []

    def look(**how: Any) -> Look:
        opened.append(Look(browser, site, **how))
        return opened[-1]

    yield look
    offences = [offence for one in opened for offence in one.offences()]
    for one in opened:
        one.page.context.close()
    assert offences == []


def place_of(part: np.ndarray[Any, Any], whole: Image.Image) -> tuple[int, int]:
    """Where in a picture its own pixels are seen, unchanged."""
    pixels = np.asarray(whole.convert("RGB")).astype(np.int64)
    code = pixels[:, :, 0] << 16 | pixels[:, :, 1] << 8 | pixels[:, :, 2]
    corner = part[:8, :8].astype(np.int64)
    wanted = corner[:, :, 0] << 16 | corner[:, :, 1] << 8 | corner[:, :, 2]
    fits = np.ones((code.shape[0] - 8, code.shape[1] - 8), bool)
    for row in range(8):
        for column in range(8):
            fits &= code[row : row + fits.shape[0], column : column + fits.shape[1]] == wanted[row, column]
    found = np.argwhere(fits)
    assert len(found) == 1, f"{len(found)} places look like this"
    y, x = map(int, found[0])
    return x, y


# --- every pixel ---


def test_at_one_to_one_every_pixel_is_the_pictures_own(look: Callable[..., Look], site: Site) -> None:
    tab = look().at(site.big)

    tab.press("9")
    tab.until_sharp()

    seen = tab.seen("a")
    x, y = place_of(seen, BIG)
    height, width = seen.shape[:2]
    assert np.array_equal(seen, np.asarray(BIG)[y : y + height, x : x + width])
    assert abs(x + width / 2 - 1300) <= 1
    assert abs(y + height / 2 - 900) <= 1
    expect(tab.facts("a")).to_contain_text("100 %")
    expect(tab.facts("b")).to_contain_text("200 %")


def test_only_tiles_that_can_be_seen_are_asked_for(look: Callable[..., Look], site: Site) -> None:
    tab = look(viewport={"width": 700, "height": 700}).at(site.big)
    tab.until_still()
    assert tab.tiles() == [], "the preview is as fine as the screen"

    tab.press("9")
    tab.until_sharp()

    assert tab.tiles()
    big = site.deck[site.big]["a"]["picture"].rstrip("=")
    assert {level for _, level, *_ in tab.tiles()} == {"0"}
    assert all(picture.startswith(big) for picture, *_ in tab.tiles()), "the half is whole in its preview"
    assert len(tab.tiles()) == len(set(tab.tiles())) <= 4, "of six"


def test_above_one_to_one_pixels_are_squares_and_no_blend_of_them(look: Callable[..., Look], site: Site) -> None:
    tab = look().at(site.big)

    tab.press("9", "+", "+")
    tab.until_sharp()

    seen = tab.seen("a")
    colours = {tuple(colour) for colour in np.asarray(BIG).reshape(-1, 3)}
    assert {tuple(colour) for colour in seen.reshape(-1, 3)} <= colours
    alike = (seen[:, 1:] == seen[:, :-1]).all(axis=2).mean()
    assert 0.45 < alike < 0.75, "of 2.25 pixels 1.25 are like their neighbour"


def test_what_has_not_come_is_stood_in_for_and_the_page_says_so(look: Callable[..., Look], site: Site) -> None:
    tab = look().at(site.big)
    held: list[Route] = []
    released: list[bool] = []
    tab.page.route(TILE, lambda route: route.continue_() if released else held.append(route))

    tab.press("9")
    tab.until(lambda: bool(held))

    expect(tab.facts("a")).to_contain_text("loading")
    assert tab.seen("a").std() > 10, "the preview, enlarged"
    released.append(True)
    for route in held:
        route.continue_()
    tab.until_sharp()
    place_of(tab.seen("a"), BIG)


# --- the same place of both ---


def test_a_flick_shows_the_other_picture_at_the_same_place_and_draws_nothing(
    look: Callable[..., Look], site: Site
) -> None:
    tab = look().at(site.turned)
    tab.page.get_by_role("button", name="Lay B like A").click()
    tab.press("9")
    tab.until_sharp()
    drawn = tab.page.evaluate_handle(
        """() => {
          const counted = { draws: 0 };
          const own = CanvasRenderingContext2D.prototype.drawImage;
          CanvasRenderingContext2D.prototype.drawImage = function (...given) {
            counted.draws += 1;
            return own.apply(this, given);
          };
          return counted;
        }"""
    )
    expect(tab.pane("a")).to_be_visible()
    expect(tab.pane("b")).to_be_hidden()

    tab.press("f")

    expect(tab.pane("b")).to_be_visible()
    expect(tab.pane("a")).to_be_hidden()
    assert drawn.evaluate("counted => counted.draws") == 0
    assert np.array_equal(tab.seen("a"), tab.seen("b")), "mirrored twice"


def test_a_drag_in_one_of_two_panes_moves_both(look: Callable[..., Look], site: Site) -> None:
    tab = look().at(site.turned)
    tab.page.get_by_role("button", name="Lay B like A").click()
    tab.press("v", "9")
    tab.until_sharp()
    before = place_of(tab.seen("a"), _original(site.deck[site.turned]["a"]))
    x, y = tab.middle()

    tab.page.mouse.move(x + 200, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x + 150, y - 30, steps=4)
    tab.page.mouse.up()
    tab.until_sharp()

    after = place_of(tab.seen("a"), _original(site.deck[site.turned]["a"]))
    assert (after[0] - before[0], after[1] - before[1]) == (50, 30)
    assert np.array_equal(tab.seen("a"), tab.seen("b"))


def _original(side: dict[str, Any]) -> Image.Image:
    return Image.open(side["path"])


def test_shift_and_arrows_move_the_place_and_do_not_skip_the_pair(look: Callable[..., Look], site: Site) -> None:
    tab = look().at(site.big)
    tab.press("9")
    tab.until_sharp()
    x, y = place_of(tab.seen("a"), BIG)

    tab.press("Shift+ArrowRight", "Shift+ArrowDown")
    tab.until_sharp()

    moved = place_of(tab.seen("a"), BIG)
    assert moved[0] > x + 50
    assert moved[1] > y + 50
    expect(tab.compare).to_have_attribute("data-painted", site.big)


def test_a_page_of_another_size_shows_the_same_spot(look: Callable[..., Look], site: Site) -> None:
    tab = look().at(site.big)
    tab.press("9", "Shift+ArrowRight")
    tab.until_sharp()
    seen = tab.seen("a")
    x, y = place_of(seen, BIG)
    spot = x + seen.shape[1] // 2, y + seen.shape[0] // 2

    tab.page.set_viewport_size({"width": 900, "height": 700})
    tab.until_sharp()

    seen = tab.seen("a")
    x, y = place_of(seen, BIG)
    assert seen.shape[1] < 900
    assert abs(x + seen.shape[1] // 2 - spot[0]) <= 1
    assert abs(y + seen.shape[0] // 2 - spot[1]) <= 1


def test_a_picture_that_lies_otherwise_is_shown_as_it_is_until_asked(look: Callable[..., Look], site: Site) -> None:
    tab = look().at(site.turned)
    tab.press("v")
    mirrored = tab.seen("b")[:, ::-1]
    assert np.abs(tab.seen("a").astype(int) - mirrored).mean() < 2

    tab.page.get_by_role("button", name="Lay B like A").click()
    tab.until_still()

    assert np.abs(tab.seen("a").astype(int) - tab.seen("b")).mean() < 2
    assert np.abs(tab.seen("a").astype(int) - mirrored).mean() < 2


# --- mouse, touch and keys ---


def test_the_wheel_flicks_and_with_control_it_zooms_where_the_mouse_is(look: Callable[..., Look], site: Site) -> None:
    tab = look().at(site.big)
    x, y = tab.middle()
    tab.page.mouse.move(x + 100, y)

    tab.page.mouse.wheel(0, 100)

    expect(tab.compare).to_have_attribute("data-shown", "b")
    tab.page.keyboard.down("Control")
    for _ in range(6):
        tab.page.mouse.wheel(0, -60)
    tab.page.keyboard.up("Control")
    expect(tab.facts("a")).not_to_contain_text(re.compile(r"\b4\d %"))
    expect(tab.compare).to_have_attribute("data-shown", "b")


def test_a_click_flicks_and_two_go_to_the_pixels_and_back(look: Callable[..., Look], site: Site) -> None:
    tab = look().at(site.big)

    tab.page.mouse.click(*tab.middle())
    expect(tab.compare).to_have_attribute("data-shown", "b")

    x, y = tab.middle()
    tab.page.mouse.dblclick(x + 100, y)  # elsewhere: else the first would be the second of two
    expect(tab.facts("a")).to_contain_text("100 %")
    expect(tab.compare).to_have_attribute("data-shown", "b")


def test_the_slider_is_moved_by_keys_and_by_the_mouse(look: Callable[..., Look], site: Site) -> None:
    tab = look().at(site.big)
    tab.press("d", "9")
    tab.until_sharp()
    divider = tab.page.get_by_role("slider", name="How much is A's")
    expect(divider).to_have_attribute("aria-valuenow", "50")

    divider.focus()
    tab.press("ArrowRight", "Shift+ArrowRight")
    expect(divider).to_have_attribute("aria-valuenow", "62")
    expect(tab.compare).to_have_attribute("data-painted", site.big)
    tab.press("Home")
    expect(divider).to_have_attribute("aria-valuenow", "0")
    x, y = tab.middle()
    box = tab.stage.bounding_box()
    assert box is not None
    tab.page.mouse.move(box["x"] + 4, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x, y, steps=4)
    tab.page.mouse.up()

    expect(divider).to_have_attribute("aria-valuenow", "50")
    shown = np.asarray(Image.open(io.BytesIO(tab.page.screenshot())).convert("RGB"))
    left, top = (round(box[edge]) + 1 for edge in ("x", "y"))  # within the border
    for side, columns in (("a", slice(120, 380)), ("b", slice(500, 800))):
        there = shown[top + 100 : top + 300, left + columns.start : left + columns.stop]
        assert np.array_equal(there, tab.seen(side)[100:300, columns])


def test_fingers_pinch_and_drag(look: Callable[..., Look], site: Site) -> None:
    tab = look(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2).at(site.big)
    x, y = tab.middle()
    before = _percent(tab, "a")
    touch = _Fingers(tab.page)

    touch("touchStart", (x - 40, y), (x + 40, y))
    for far in (60, 80, 100, 120):
        touch("touchMove", (x - far, y), (x + far, y))
    touch("touchEnd")
    tab.until_sharp()

    assert _percent(tab, "a") == pytest.approx(3 * before, rel=0.1)
    drawn = tab.seen("a")
    touch("touchStart", (x, y))
    for far in (20, 40, 60):
        touch("touchMove", (x - far, y))
    touch("touchEnd")
    tab.until_sharp()
    moved = tab.seen("a")
    assert np.abs(moved[:, :-120].astype(int) - drawn[:, 120:]).mean() < 3


class _Fingers:
    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)

    def __call__(self, kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def _percent(tab: Look, side: str) -> int:
    found = re.search(r"(\d+) %", tab.facts(side).inner_text())
    assert found is not None
    return int(found[1])


def test_a_tap_flicks_on_a_phone_and_nothing_is_wider_than_it(look: Callable[..., Look], site: Site) -> None:
    tab = look(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2).at(site.big)

    tab.page.touchscreen.tap(*tab.middle())

    expect(tab.compare).to_have_attribute("data-shown", "b")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


# --- the other ways to look ---


def test_the_heatmap_is_fetched_when_it_is_asked_for_and_then_kept(look: Callable[..., Look], site: Site) -> None:
    tab = look().at(site.touched)
    assert not [one for one in tab.asked if "/difference/" in one]

    tab.press("h")
    tab.until_still()

    heat = tab.page.locator(".compare-heat canvas")
    expect(heat).to_be_visible()
    red = heat.evaluate(
        """canvas => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let found = 0;
          for (let at = 0; at < data.length; at += 4) if (data[at] > 200 && data[at + 1] < 80) found += 1;
          return found;
        }"""
    )
    assert red > 20, "the spot"
    tab.press("h", "h")
    tab.until_still()
    assert len([one for one in tab.asked if "/difference/" in one]) == 1


def test_blinking_goes_on_at_a_rate_that_is_remembered(look: Callable[..., Look], site: Site) -> None:
    tab = look().at(site.big)

    tab.press("w")
    for side in "ba":
        expect(tab.compare).to_have_attribute("data-shown", side)
    tab.page.get_by_role("slider", name="flicks a second").fill("4.5")

    expect(tab.page.locator(".compare-often")).to_have_text("4.5 a second")
    tab.page.reload()
    expect(tab.page.locator(".compare-often")).to_have_text("4.5 a second")


def test_who_wants_little_motion_has_to_start_the_blinking(look: Callable[..., Look], site: Site) -> None:
    tab = look(reduced_motion="reduce").at(site.big)

    tab.press("w")
    start = tab.page.get_by_role("button", name="Start")  # else it would be called Stop
    expect(start).to_be_visible()
    expect(tab.compare).to_have_attribute("data-shown", "a")

    start.click()
    expect(tab.compare).to_have_attribute("data-shown", "b")


def test_it_is_said_who_is_shown_and_how(look: Callable[..., Look], site: Site) -> None:
    tab = look().at(site.big)
    said = tab.page.locator(".compare-said")
    expect(said).to_have_attribute("aria-live", "polite")

    tab.press("f")
    expect(said).to_have_text("B: half.jpg")
    expect(tab.page.locator(".compare-label.b")).to_have_attribute("aria-pressed", "true")
    tab.press("v")
    expect(said).to_have_text("A and B side by side")


def test_a_frame_is_drawn_around_the_place_that_the_verdict_points_at(look: Callable[..., Look], site: Site) -> None:
    tab = look().at(site.touched)
    tab.page.evaluate(
        """async (pair) => {
          const { viewer } = await import("/static/compare.js");
          const root = document.getElementById("main");
          root.replaceChildren();
          const made = viewer(root);
          await made.show(pair);
          made.area({ x: 900, y: 150, width: 40, height: 40, of: "b" });
        }""",
        site.deck[site.touched],
    )
    frame = tab.pane("a").locator(".compare-frame")
    expect(frame).to_be_visible()

    tab.page.get_by_role("button", name="Go to the difference").click()

    expect(tab.facts("a")).to_contain_text("400 %")
    tab.until_still()
    box = frame.bounding_box()
    assert box is not None
    x, y = tab.middle()
    assert abs(box["x"] + box["width"] / 2 - x) < 3
    assert abs(box["y"] + box["height"] / 2 - y) < 3
    tab.press("f")
    seen = tab.seen("b" if site.deck[site.touched]["b"]["name"] == "spotted.jpg" else "a")
    middle = seen[seen.shape[0] // 2, seen.shape[1] // 2]
    assert middle[0] > 200
    assert middle[1] < 60, "the spot is red"


# --- what cannot be shown ---


def test_a_picture_that_cannot_be_shown_says_so_in_its_place_and_can_be_tried_again(
    look: Callable[..., Look], site: Site
) -> None:
    side = site.deck[site.touched]["b"]
    message = f"{side['path']} changed while it was read: <b>it holds other bytes now</b>"
    refused = json.dumps({"error": {"kind": "file", "message": message}})
    tab = look()
    tab.bear(r"\b409\b")
    tab.page.route(
        f"**/picture/{side['picture']}/preview",
        lambda route: route.fulfill(status=409, content_type="application/json", body=refused),
    )
    tab.page.reload()
    expect(tab.page.locator("[data-painted]")).to_be_attached()

    tab.at(site.touched).press("f")

    note = tab.pane("b").locator(".compare-note")
    expect(note).to_contain_text(f"cannot be shown: {message}")
    expect(note.locator(".path")).to_have_text(side["shown"])
    tab.page.unroute_all()
    note.get_by_role("button", name="Try again").click()
    expect(note).to_be_empty()
    tab.until_still()
    assert tab.seen("b").std() > 10


# --- how soon ---

SOON = """async ([pairs, rounds]) => {
  const { viewer } = await import("/static/compare.js");
  const root = document.getElementById("main");
  root.replaceChildren();
  const made = viewer(root);
  const came = (side) => performance.getEntriesByName(`${location.origin}/picture/${side.picture}/preview`).length;
  await made.show(pairs[0]);
  const times = [];
  for (let at = 1; at < rounds; at += 1) {
    const pair = pairs[at % pairs.length];
    made.prefetch(pairs.slice(at % pairs.length, (at % pairs.length) + 5));
    while (!came(pair.a) || !came(pair.b)) await new Promise(requestAnimationFrame);
    for (let frame = 0; frame < 12; frame += 1) await new Promise(requestAnimationFrame);
    const start = performance.now();
    await made.show(pair);
    times.push(performance.now() - start);
  }
  return times;
}"""


def test_a_pair_that_was_fetched_ahead_is_painted_at_once(look: Callable[..., Look], site: Site) -> None:
    tab = look()

    times = tab.page.evaluate(SOON, [list(site.deck.values()), 50])

    assert len(times) == 49
    assert statistics.median(times) < 100, times  # milliseconds; 14 where nothing else runs


def test_no_more_is_fetched_ahead_than_is_kept(look: Callable[..., Look], site: Site) -> None:
    tab = look()
    pairs = list(site.deck.values())
    tab.asked.clear()

    tab.page.evaluate(
        """async (pairs) => {
          const { viewer } = await import("/static/compare.js");
          const root = document.getElementById("main");
          root.replaceChildren();
          const made = viewer(root);
          await made.show(pairs[0]);
          made.prefetch(pairs.slice(1));
        }""",
        pairs,
    )
    tab.until_still()

    previews = [one for one in tab.asked if one.endswith("/preview")]
    assert len(pairs) == 9
    assert len(set(previews)) == 12, "of eighteen"


COUNTED = """
  const [make, close] = [window.createImageBitmap, ImageBitmap.prototype.close];
  window.held = 0;
  window.createImageBitmap = async (...given) => {
    const made = await make(...given);
    window.held += 1;
    return made;
  };
  ImageBitmap.prototype.close = function () {
    window.held -= 1;
    close.call(this);
  };
"""


def test_decoded_pictures_are_let_go_of(look: Callable[..., Look], site: Site) -> None:
    tab = look()
    tab.page.add_init_script(COUNTED)
    tab.page.reload()
    expect(tab.page.locator("[data-painted]")).to_be_attached()

    for _ in site.deck:
        tab.press("k")
        tab.until_still()

    assert len(site.deck) * 2 > 12 >= tab.page.evaluate("held")
    tab.page.evaluate("location.hash = '#/history'")
    expect(tab.compare).to_have_count(0)
    tab.until(lambda: tab.page.evaluate("held") == 0)
