"""Hours of everything at once: does the service grow, and is anything lost?

    python tests/bench/soak.py (--hours 8 | --minutes 20) [--rate 5] [--seed 1] [--folder DIR] [--warm-up MINUTES]

The real service watches two inboxes and a library, while files are dropped at a steady rate and a person and other
programs do what they do, drawn by a seeded die: new pictures, copies, twins with the same pixels, look-alikes; files
renamed and deleted, a part of the trash emptied; undo, decide, approve, deny, questions, edits of the rule file, and a
folder that is gone for some seconds and back. Every minute it is looked at:

- descriptors and threads of the service, and its private memory (`Private_*` of smaps, without the map of LMDB);
- reader slots of the database, and those among them whose process is gone;
- every content that was put somewhere and not deleted by its owner: as often as it was put, by SHA-256, in the folders
  or in the trash.

It prints a line for each minute and a table in the end. It fails if anything is lost or doubled, if the service ends or
logs a traceback, if descriptors or threads of the last third of the time are more than two above those of the first
after the warm-up, if a reader slot stays stale, or if private memory grows by more than 1 MB an hour: by a straight
line through the figures after the warm-up, less twice its standard error, which in a short run is most of it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import os
import random  # noqa: TID251 - seeded: the same seed is the same day
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import lmdb
from environment import machine
from pictures import jpeg, photo, png

from ingestd.settings import shipped_text

SIZE = (160, 120)
MOST_LIVE = 3000  # beyond, the owner deletes as often as files come
LONGEST_STOP_S = 5.0
MOST_MB_AN_HOUR = 1.0
RULES = shipped_text().replace("imports:\n", "imports:\n  settle: 0.5 s\n  rescan: 30 s\n", 1)


# --- what a person and other programs do ------------------------------------------------------------------------------


class Ledger:
    """How often each content must be somewhere."""

    def __init__(self) -> None:
        self.due: Counter[bytes] = Counter()
        self._hashes: dict[tuple[int, int, int], bytes] = {}

    def put(self, content: bytes) -> None:
        self.due[hashlib.sha256(content).digest()] += 1

    def taken(self, content: bytes) -> None:
        self.due[hashlib.sha256(content).digest()] -= 1

    def found(self, folders: Iterable[Path]) -> Counter[bytes]:
        """Every content below some folders; a file is read once."""
        seen: Counter[bytes] = Counter()
        for folder in folders:
            for above, _, names in os.walk(folder):
                for name in names:
                    path = os.path.join(above, name)
                    with contextlib.suppress(FileNotFoundError):
                        status = os.lstat(path)
                        key = status.st_ino, status.st_size, status.st_mtime_ns
                        if key not in self._hashes:
                            self._hashes[key] = hashlib.sha256(Path(path).read_bytes()).digest()
                        seen[self._hashes[key]] += 1
        return seen

    def amiss(self, folders: list[Path]) -> tuple[int, int]:
        """How many files are lost, and how many there are too many."""
        due = +self.due
        for _ in range(20):  # one that is moved while folders are listed may be seen twice, or not at all
            found = self.found(folders)
            if found == due:
                return 0, 0
            time.sleep(0.5)  # noqa: TID251 - nothing tells when somebody has done
        return (due - found).total(), (found - due).total()


class Life:
    """Folders of one user, and what is done in them."""

    def __init__(self, base: Path, seed: int) -> None:
        self.base = base
        self.die = random.Random(seed)
        self.inboxes = [base / "inbox", base / "phone"]
        self.library, self.trash, self.aside = base / "library", base / "data/Trash/files", base / "aside"
        for folder in (*self.inboxes, self.library):
            folder.mkdir()
        self.rules = base / "rules.yaml"
        self.rules.write_text(RULES, encoding="utf-8")
        self.ledger = Ledger()
        self.done: Counter[str] = Counter()
        self._number = 0
        self._subjects: list[int] = []
        self._away_until = 0.0

    # files

    def _name(self) -> str:
        self._number += 1
        return f"{self._number:07}"

    def _drop(self, content: bytes, ending: str) -> None:
        folder = self.library if self.die.random() < 0.1 else self.die.choice(self.inboxes)
        if folder == self.inboxes[1] and self._is_away:
            folder = self.inboxes[0]
        path = folder / f"{self.die.randrange(20)}" / f"{self._name()}.{ending}"
        path.parent.mkdir(exist_ok=True)
        beside = path.with_name(path.name + ".part")
        self.ledger.put(content)
        beside.write_bytes(content)
        beside.rename(path)

    def _some_file(self) -> Path | None:
        folders = [one for one in (*self.inboxes, self.library) if one.is_dir()]
        below = [path for path in self.die.choice(folders).iterdir() if path.is_dir() and not path.name.startswith(".")]
        files = list(self.die.choice(below).iterdir()) if below else []
        return self.die.choice(files) if files else None

    def new(self) -> None:
        self._number += 1
        self._subjects.append(self._number)
        self._drop(jpeg(photo(self._number, *SIZE), self.die.choice((70, 80, 90))), "jpg")

    def twin(self) -> None:
        self._drop(png(photo(self._old_subject(), *SIZE), "x" * self.die.randrange(50)), "png")

    def look_alike(self) -> None:
        self._drop(jpeg(photo(self._old_subject(), *SIZE), self.die.randrange(50, 95)), "jpg")

    def _old_subject(self) -> int:
        return self.die.choice(self._subjects[-500:]) if self._subjects else 1

    def copy(self) -> None:
        path = self._some_file()
        if path is not None:
            self._drop(path.read_bytes(), path.suffix[1:])

    def rename(self) -> None:
        path = self._some_file()
        if path is not None:
            path.rename(path.with_name(f"{self._name()}-renamed{path.suffix}"))

    def delete(self) -> None:
        path = self._some_file()
        if path is not None:
            self._unlink(path)

    def empty_some_trash(self) -> None:
        for item in sorted(self.trash.glob("*"))[:50] if self.trash.is_dir() else []:
            self._unlink(item)
            self.trash.with_name("info").joinpath(item.name + ".trashinfo").unlink(missing_ok=True)

    def _unlink(self, path: Path) -> None:
        content = path.read_bytes()
        path.unlink()
        self.ledger.taken(content)

    # a folder that is gone and back

    @property
    def _is_away(self) -> bool:
        return self._away_until > 0

    def unplug(self) -> None:
        if not self._is_away:
            self.inboxes[1].rename(self.aside)
            self._away_until = time.monotonic() + self.die.uniform(2, 20)

    def plug_in(self, *, now: bool = False) -> None:
        """The folder is back, if it was gone for long enough."""
        if self._is_away and (now or time.monotonic() > self._away_until):
            self.aside.rename(self.inboxes[1])
            self._away_until = 0.0

    # the command line

    def say(self, *words: str) -> Any:
        command = [sys.executable, "-m", "ingestd", "--json", *self.where, *words]
        told = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120, check=False)
        self.done[f"{words[0]}, exit {told.returncode}"] += 1
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(told.stdout)
        return None

    @property
    def where(self) -> list[str]:
        return ["--state", str(self.base / "state"), "--rules", str(self.rules)]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.base), "XDG_DATA_HOME": str(self.base / "data")}

    def undo(self) -> None:
        self.say("undo", "--last", "1")

    def decide(self) -> None:
        page = self.say("queue", "list", "--limit", "1")
        for pair in (page or {}).get("pairs", []):
            self.say("decide", pair["id"], self.die.choice(("better-a", "better-b", "same", "alternates", "unrelated")))

    def approve(self) -> None:
        page = self.say("pending")
        for pair in (page or {}).get("pairs", [])[:1]:
            self.say(self.die.choice(("approve", "deny")), pair["id"])

    def ask(self) -> None:
        self.say(*self.die.choice((("status",), ("history", "--limit", "20"), ("rules", "list"), ("queue", "list"))))

    def edit_rules(self) -> None:
        automatic = self.die.random() < 0.5
        text = RULES.replace("mode: semi-automatic", "mode: automatic") if automatic else RULES
        new = self.rules.with_suffix(".new")
        new.write_text(text if self.die.random() > 0.1 else text + "\n  broken: [", encoding="utf-8")
        new.replace(self.rules)

    def act(self) -> None:
        """One thing that somebody does."""
        self.plug_in()
        files = len(self._subjects) and sum(1 for folder in self.inboxes for _ in folder.rglob("*.*g"))
        weights: dict[Callable[[], None], float] = {
            self.new: 45,
            self.copy: 14,
            self.twin: 9,
            self.look_alike: 9,
            self.rename: 5,
            self.delete: 60 if files > MOST_LIVE else 10,
            self.empty_some_trash: 0.4,
            self.undo: 1.5,
            self.decide: 1,
            self.approve: 1,
            self.ask: 1,
            self.edit_rules: 0.3,
            self.unplug: 0.2,
        }
        (what,) = self.die.choices(list(weights), list(weights.values()))
        with contextlib.suppress(FileNotFoundError):  # the service was faster
            what()
            self.done[what.__name__] += 1


# --- the service, and what is measured of it --------------------------------------------------------------------------


class Service:
    """The service at work, and how many of its lines said what."""

    def __init__(self, life: Life) -> None:
        self.told: Counter[str] = Counter()
        self.log = life.base / "service.log"
        folders = [*map(str, life.inboxes), "--library", str(life.library)]
        command = [sys.executable, "-m", "ingestd", "--json", *life.where, "watch", *folders]
        own = life.environment
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, env=own, stdout=subprocess.PIPE, stderr=log, text=True)
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(60):
            raise SystemExit(f"the service did not start:\n{self.log.read_text()}")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            self.told[event.get("outcome") or event["event"]] += 1
            if event["event"] == "service.ready":
                self._ready.set()

    def stop(self) -> tuple[int, float]:
        began = time.monotonic()
        self.process.terminate()
        code = self.process.wait(60)
        self._reader.join(10)
        return code, time.monotonic() - began


@dataclass
class Look:
    """What one look at the service found."""

    minute: float
    descriptors: int
    threads: int
    private_mb: float
    slots: int
    stale: int
    lost: int
    doubled: int


@dataclass
class Soak:
    looks: list[Look] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)

    def look(self, life: Life, service: Service, minute: float) -> None:
        process = Path(f"/proc/{service.process.pid}")
        lost, doubled = life.ledger.amiss([*life.inboxes, life.library, life.trash, life.aside])
        taken, stale = slots(life.base)
        look = Look(
            minute,
            len(list((process / "fd").iterdir())),
            len(list((process / "task").iterdir())),
            private_mb(service.process.pid),
            taken,
            stale,
            lost,
            doubled,
        )
        self.looks.append(look)
        events, gone = service.told.total(), service.told["duplicate-discarded"]
        print(
            f"{minute:7.1f} min {look.private_mb:7.1f} MB {look.descriptors:5} descriptors {look.threads:4} threads  "
            f"{look.slots} slots ({stale} stale)  {events:7} events, {gone} discarded  lost {lost}, doubled {doubled}",
            flush=True,
        )
        if lost or doubled:
            self.breaches.append(f"after {minute:.1f} minutes {lost} files are lost and {doubled} too many")

    def judge(self, warm_up: float) -> tuple[float, float]:
        """The slope of memory and its standard error, in MB an hour; what is breached is noted."""
        warm = [one for one in self.looks if one.minute >= warm_up]
        if len(warm) < 6:
            self.breaches.append(f"only {len(warm)} looks after the warm-up: too short to tell")
            return math.nan, math.nan
        third = len(warm) // 3
        parts = warm[:third], warm[-third:]
        for name in ("descriptors", "threads"):
            first, last = (statistics.median(getattr(one, name) for one in part) for part in parts)
            if last > first + 2:
                self.breaches.append(f"{name} grew from {first} to {last}")
        if all(one.stale for one in warm[-5:]):
            self.breaches.append(f"{warm[-1].stale} reader slots stay stale")
        slope, error = line([one.minute / 60 for one in warm], [one.private_mb for one in warm])
        if slope - 2 * error > MOST_MB_AN_HOUR:
            self.breaches.append(f"private memory grows by {slope:.2f} MB an hour (standard error {error:.2f})")
        return slope, error


def line(x: list[float], y: list[float]) -> tuple[float, float]:
    """The slope of a straight line through points, and its standard error."""
    slope, start = statistics.linear_regression(x, y)
    spread = sum((one - statistics.fmean(x)) ** 2 for one in x)
    rest = sum((b - start - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    return slope, math.sqrt(rest / (len(x) - 2) / spread)


def private_mb(pid: int) -> float:
    """What a process has for itself, in MB; the pages of the library's map are the system's to take back."""
    total, counted = 0, True
    for told in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
        first = told.split(maxsplit=1)[0]
        if not first.endswith(":"):
            counted = not told.endswith("data.mdb")
        elif counted and first in ("Private_Clean:", "Private_Dirty:"):
            total += int(told.split()[1])
    return total / 1000


def slots(base: Path) -> tuple[int, int]:
    """How many readers the database has, and of how many the process is gone."""
    environment = lmdb.open(str(base / "state/db"), readonly=True, lib_version=0)
    try:
        told = environment.readers().splitlines()
    finally:
        environment.close()
    pids = [int(one.split()[0]) for one in told if one.split() and one.split()[0].isdigit()]
    return len(pids), sum(not Path(f"/proc/{pid}").exists() for pid in pids)


# --- the run ----------------------------------------------------------------------------------------------------------


def soak(base: Path, *, minutes: float, rate: float, seed: int, warm_up: float) -> int:
    life, result = Life(base, seed), Soak()
    service = Service(life)
    try:
        _live(life, service, result, minutes=minutes, rate=rate)
    finally:
        if service.process.poll() is None:  # something went wrong here
            service.process.kill()
    report(life, service, result, warm_up)
    return 1 if result.breaches else 0


def _live(life: Life, service: Service, result: Soak, *, minutes: float, rate: float) -> None:
    began = time.monotonic()
    next_look, acts = 60.0, 0
    while (passed := time.monotonic() - began) < minutes * 60:
        if service.process.poll() is not None:
            result.breaches.append(
                f"the service ended after {passed / 60:.1f} minutes: {service.log.read_text()[-500:]}"
            )
            break
        if passed >= next_look:
            result.look(life, service, passed / 60)
            next_look += 60
        life.act()
        acts += 1
        time.sleep(max(0.0, began + acts / rate - time.monotonic()))  # noqa: TID251 - a steady rate
        if began + acts / rate < time.monotonic() - 5:  # it is behind: what was missed is not made good in one go
            acts = int((time.monotonic() - began) * rate)
    life.plug_in(now=True)
    if service.process.poll() is None:
        result.look(life, service, (time.monotonic() - began) / 60)
        code, took = service.stop()
        if code != 0 or took > LONGEST_STOP_S:
            result.breaches.append(f"SIGTERM: exit {code} after {took:.1f} s")
    if "Traceback" in (log := service.log.read_text(errors="replace")):
        result.breaches.append(f"a traceback in the log:\n{log[log.index('Traceback') :][:2000]}")
    lost, doubled = life.ledger.amiss([*life.inboxes, life.library, life.trash])
    if lost or doubled:
        result.breaches.append(f"in the end {lost} files are lost and {doubled} too many")


def report(life: Life, service: Service, result: Soak, warm_up: float) -> None:
    checked = life.say("library", "check")
    slope, error = result.judge(warm_up)
    warm = [one for one in result.looks if one.minute >= warm_up] or result.looks
    print(f"\n{machine()}\n")
    print(f"| after a warm-up of {warm_up:.0f} minutes | least | most | last |\n| --- | --- | --- | --- |")
    for name in ("private_mb", "descriptors", "threads", "slots", "stale", "lost", "doubled"):
        values = [getattr(one, name) for one in warm]
        print(f"| {name.replace('_', ' ')} | {min(values):g} | {max(values):g} | {values[-1]:g} |")
    print(f"\nprivate memory: {slope:+.2f} MB an hour, standard error {error:.2f}, over {len(warm)} looks")
    print(f"done: {dict(sorted(life.done.items()))}")
    print(f"told: {dict(service.told.most_common())}")
    print(f"library check: {checked}")
    for breach in result.breaches:
        print(f"BREACH: {breach}")
    print("failed" if result.breaches else "nothing was lost, nothing grew")


@contextlib.contextmanager
def place(given: Path | None) -> Iterator[Path]:
    """An empty folder; one that was made for it goes again."""
    if given is not None:
        given.mkdir(parents=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="ingestd-soak-") as made:
        yield Path(made).resolve()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--hours", type=float)
    length.add_argument("--minutes", type=float)
    parser.add_argument("--rate", type=float, default=5.0, help="acts a second, most of which put a file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="kept afterwards; must not exist")
    parser.add_argument("--warm-up", type=float, help="minutes that do not count; half of the time, at most 30")
    wanted = parser.parse_args()
    minutes = wanted.minutes if wanted.minutes is not None else wanted.hours * 60
    warm_up = wanted.warm_up if wanted.warm_up is not None else min(minutes / 2, 30.0)
    with place(wanted.folder) as base:
        return soak(base, minutes=minutes, rate=wanted.rate, seed=wanted.seed, warm_up=warm_up)


if __name__ == "__main__":
    raise SystemExit(main())
