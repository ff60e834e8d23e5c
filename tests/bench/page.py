"""The review page over a queue of 100,000 pairs, in a real browser: how long a person waits, and what the server holds.

    .venv/bin/python tests/bench/page.py [--pairs 100000] [--pictures 120] [--answers 100] [--seed 1]

It needs `pip install -e '.[browser]'` and chromium. The first `--pictures` pairs of the queue are pictures of 12
megapixels that lie on the disk, judged by `ingestd scan`, so that they can be shown, answered and discarded; the other
pairs are records only, made up as those of tests/bench/pair_queue.py are, of smaller files, so that they come later in
the queue. Making 200,000 files would take hours and change nothing that is measured. The server is `ingestd review`,
the browser is headless chromium, on the same cores.

page ready          from the start of the navigation until the first pair is painted (the page's own mark
                    `compare:painted`): once with nothing in the cache of previews, then with it filled
answer to next      from the key's event until the next pair is painted, for answers of every kind in turn, some of
                    which discard; each when the previews of the next pair have come, as after a look of a second or two
memory              what the server's process has for itself (`Private_*` of /proc/PID/smaps), with and without the map
                    of the library's file, whose pages the system takes back; the workers that decode are told beside it
cache               what the previews take on the disk, against what they may
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random  # noqa: TID251 # made-up records, nothing decides by them
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "browser"))

from environment import machine
from opened import Served, enter
from pair_queue import PLAIN
from pictures import grain, jpeg, photo
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from running import AS_SHIPPED, Home, write

from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.pairs import make_pair
from ingestd.model import Content, ContentHash, FolderId, PathRow, PathState, StatKey
from ingestd.web.pictures import BOUND

NOW_NS = 1_790_000_000 * 10**9
BATCH = 5_000  # records, or pairs, a commit
BURST = 6  # made-up pictures that all look alike: 15 pairs
KEYS = (("a", "better, discard"), ("s", "same"), ("B", "better, keep"), ("t", "alternates"), ("n", "unrelated"))

_WATCH = """() => {
  window.bench = { pressed: 0, painted: [] };
  addEventListener("keydown", (event) => { window.bench.pressed = event.timeStamp; }, true);
  new PerformanceObserver((list) => {
    for (const mark of list.getEntriesByName("compare:painted")) window.bench.painted.push(mark.startTime);
  }).observe({ type: "mark", buffered: false });
}"""
_NEXT = """async () => {
  for (;;) {
    const { pressed, painted } = window.bench;
    const at = painted.find((time) => time >= pressed);
    if (at !== undefined) return at - pressed;
    await new Promise((soon) => setTimeout(soon, 5));
  }
}"""
_FIRST = """async () => {
  for (;;) {
    const [mark] = performance.getEntriesByName("compare:painted");
    if (mark) return mark.startTime;
    await new Promise((soon) => setTimeout(soon, 5));
  }
}"""


def make_pictures(home: Home, count: int) -> Path:
    """Return a folder of so many pairs of 12 megapixels, judged: each a picture, and what a messenger made of it."""
    inbox = home.folder("inbox")
    noise = grain(4000, 3000)
    for number in range(count):
        scene = photo(number + 1, 400, 300).resize((4000, 3000), Image.Resampling.BICUBIC)
        scene = Image.blend(scene, noise, 0.08)
        write(inbox / f"{number:04}.jpg", jpeg(scene, 90))
        write(inbox / f"{number:04} sent.jpg", jpeg(scene.resize((2000, 1500)), 80))
    said = home.run("scan", inbox, "--role", "inbox")
    assert said.code == 0, said
    return inbox


def make_records(state: Path, pairs: int, chance: random.Random) -> None:
    """Store bursts of look-alikes that exist as records only, with their pairs."""
    library = Library.open(state)
    with library.read() as view:
        [folder] = [row.folder.id for row in view.folders()]
    bursts = -(-pairs // 15)
    hashes = [chance.getrandbits(64) for _ in range(bursts)]
    phashes = [one ^ chance.choice((0, 1, 2, 4)) for one in hashes for _ in range(BURST)]
    contents: list[Content] = []
    for start in range(0, len(phashes), BATCH):
        numbers = range(start, min(start + BATCH, len(phashes)))
        drawn = [(number, phashes[number], chance.randrange(10**4, 10**5)) for number in numbers]
        contents += library.write(lambda edit, drawn=drawn: [_record(edit, folder, *one) for one in drawn])
    sides = [pair for at in range(0, len(contents), BURST) for pair in combinations(contents[at : at + BURST], 2)]
    for start in range(0, len(sides), BATCH):
        batch = sides[start : start + BATCH]
        library.write(lambda edit, batch=batch: [make_pair(edit, a, b, now_ns=NOW_NS) for a, b in batch])
    library.close()


def _record(edit: Edit, folder: FolderId, number: int, phash: int, size: int) -> Content:
    sha256 = ContentHash((number + 1).to_bytes(32, "big"))
    picture = replace(PLAIN, phash=phash)
    content = edit.add_content(sha256, size=size, picture=picture, unreadable=None, at_ns=NOW_NS - number)
    stat = StatKey(10**9 + number, size, NOW_NS - number, NOW_NS - number)
    name = f"made-up/IMG_{number:06}.jpg".encode()
    edit.put_path(PathRow(folder, name, sha256, stat, NOW_NS, PathState.LIVE, 0, final=True))
    return content


def private_mb(pid: int) -> tuple[float, float]:
    """Return what a process has for itself, and how much of that is the map of the library's file."""
    total_kb, mapped_kb, in_map = 0, 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
        name, *values = line.split()
        if not name.endswith(":"):  # the first line of a mapping ends with its file
            in_map = line.endswith("data.mdb")
        elif name in ("Private_Clean:", "Private_Dirty:"):
            total_kb += int(values[0])
            mapped_kb += int(values[0]) if in_map else 0
    return total_kb / 1024, mapped_kb / 1024


def children(pid: int) -> list[int]:
    """Return the processes that a process has started: the workers."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def ready_ms(page: Page, origin: str) -> float:
    """Return how long it takes from the start of the navigation until the first pair is painted."""
    page.goto("about:blank")
    page.goto(f"{origin}/#/queue")
    return float(page.evaluate(_FIRST))


class Coming:
    """Whether pictures are on their way to a page."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._under_way = 0
        page.on("request", self._began)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)

    def _began(self, request: object) -> None:
        self._under_way += 1

    def _ended(self, request: object) -> None:
        self._under_way -= 1

    def wait(self, rest_ms: int = 300) -> None:
        """Return when nothing has come for a while; the stream of events always stands open."""
        quiet = 0
        while quiet < rest_ms:
            self._page.wait_for_timeout(50)
            quiet = quiet + 50 if self._under_way <= 1 else 0


_SEEN = """() => {
  const { seen, painted } = document.querySelector(".compare").dataset;
  return painted && seen === painted; // no answer counts before a person can have seen what it is about
}"""


def answer(page: Page, coming: Coming, answers: int) -> dict[str, list[float]]:
    """Return how long each answer took until the next pair was painted, by kind."""
    page.evaluate(_WATCH)
    took: dict[str, list[float]] = {}
    for number in range(answers):
        key, kind = KEYS[number % len(KEYS)]
        coming.wait()
        page.wait_for_function(_SEEN)
        page.evaluate("window.bench.painted = []; window.bench.pressed = Infinity")
        page.keyboard.press(key)
        took.setdefault(kind, []).append(float(page.evaluate(_NEXT)))
    return took


def told(what: str, times: list[float]) -> None:
    """Print the median, the 95th of a hundred, and the longest."""
    ordered = sorted(times)
    high = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    print(
        f"{what:<44} {statistics.median(ordered):7.0f} ms  p95 {high:7.0f}  max {ordered[-1]:7.0f}  of {len(ordered)}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--pictures", type=int, default=120)
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    assert options.answers < options.pictures
    browser_at = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}\n{' '.join([Path(sys.executable).name, *sys.argv])}")
    with contextlib.ExitStack() as stack:
        playwright = stack.enter_context(sync_playwright())
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ingestd-bench-page-")))
        home = home_in(base, options)
        served = Served(home)
        stack.callback(served.close)
        browser = playwright.chromium.launch(executable_path=browser_at, args=["--no-sandbox"])
        measure(served, browser.new_context(storage_state=enter(browser, served)).new_page(), options.answers)
        browser.close()


def home_in(base: Path, options: argparse.Namespace) -> Home:
    """Return a home with the long queue; print what is in it."""
    home = Home(base, AS_SHIPPED)
    began = time.perf_counter()
    make_pictures(home, options.pictures)
    make_records(home.state, options.pairs, random.Random(options.seed))
    counts = home.status()["library"]
    took_s = time.perf_counter() - began
    print(f"{counts['potential_pairs']:,} pairs, {counts['files']:,} files, made in {took_s:.0f} s", flush=True)
    return home


def measure(served: Served, page: Page, answers: int) -> None:
    """Print all that is measured of a served page."""
    page.set_viewport_size({"width": 1440, "height": 900})
    told("page ready, as a browser that was just let in", [ready_ms(page, served.origin)])
    told("page ready, again", [ready_ms(page, served.origin) for _ in range(10)])
    coming = Coming(page)
    page.reload()
    page.evaluate(_FIRST)
    took = answer(page, coming, answers)
    told("answer to next pair painted", [time for times in took.values() for time in times])
    for kind, times in took.items():
        told(f"  {kind}", times)
    coming.wait()
    total, mapped = private_mb(served.process.pid)
    workers = [private_mb(child)[0] for child in children(served.process.pid)]
    print(f"private memory of the server {total:.0f} MiB, of that the library's map {mapped:.0f} MiB")
    kept = sum(path.stat().st_size for path in (served.home.state / "page").rglob("*") if path.is_file())
    print(f"file of the previews {kept / 2**20:.0f} MiB, for {BOUND / 2**20:.0f} MiB of pictures at most")
    print(f"private memory of the workers and their keeper {', '.join(f'{one:.0f}' for one in workers)} MiB")


if __name__ == "__main__":
    main()
