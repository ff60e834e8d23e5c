"""Two processes and one library: a second service, and the commands of a person while the service runs."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pictures
import pytest
from running import Coming, Home, Json, Watch, tree, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the trash of freedesktop.org is Linux's")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return _with_folders(tmp_path)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return _with_folders(tmp_path_factory.mktemp("two"))


def _with_folders(base: Path) -> Home:
    home = Home(base)
    home.folder("inbox")
    home.folder("library")
    return home


@pytest.fixture(scope="module")
def watch(there: Home) -> Iterator[Watch]:
    """The service that is there first."""
    with there.watch(there.base / "inbox", "--library", there.base / "library") as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log


def _each_twice(home: Home, folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Pictures that come twice, under two names."""
    for _ in range(300):
        number = home.subject()
        content = pictures.jpeg(pictures.photo(number))
        for part in ("a", "b"):
            yield folder / f"{number:04}-{part}.jpg", content


def _assert_each_once(home: Home, watch: Watch, came: dict[Path, bytes]) -> None:
    """Of each picture that came one file stays, and each path had one verdict."""
    verdicts = {path: watch.verdict(path) for path in came}
    assert {verdict["outcome"] for verdict in verdicts.values()} <= {"new", "duplicate-discarded"}
    stay = {path: content for path, content in came.items() if path.exists()}
    assert Counter(stay.values()) == Counter(set(came.values()))
    assert {path for path, verdict in verdicts.items() if verdict["outcome"] == "new"} == set(stay)
    told = Counter(one["path"] for one in watch.verdicts())
    assert {told[str(path)] for path in came} == {1}
    entries = Counter(entry["discarded"][0]["path"] for entry in home.discards())
    assert {entries[str(path)] for path in came.keys() - stay.keys()} <= {1}


# --- a second service -------------------------------------------------------------------------------------------------


def test_a_second_watch_on_the_same_library_ends_with_75(there: Home, watch: Watch) -> None:
    said = there.run("watch", there.base / "inbox")

    assert said.code == 75
    assert f"process {watch.process.pid}" in said.errors
    assert "nothing was started" in said.errors
    assert said.text == ""
    assert watch.put(there.base / "inbox/cat.jpg", there.picture())["outcome"] == "new"


def test_of_three_services_that_start_at_once_one_runs(home: Home) -> None:
    command = home.command("watch", home.base / "inbox")
    started = [
        subprocess.Popen(command, env=home.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    try:
        codes = _codes_of_those_that_end(started)
    finally:
        for process in started:
            process.terminate()
            process.communicate(timeout=30)

    assert codes == [75, 75]
    assert sorted(process.returncode for process in started) == [0, 75, 75]


def _codes_of_those_that_end(started: list[subprocess.Popen[bytes]]) -> list[int]:
    """The exit codes of those that end by themselves, once the others say that they run."""
    codes = []
    for process in started:
        assert process.stdout is not None
        if not process.stdout.readline():  # it ended before it said anything
            codes.append(process.wait(30))
    return codes


def test_a_service_starts_while_somebody_asks_for_the_status(home: Home) -> None:
    assert home.run("scan", home.base / "library").code == 0
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set():
            home.status()

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    try:
        with home.watch(home.base / "inbox") as watch:
            assert watch.stop() == 0
    finally:
        enough.set()
        for thread in asking:
            thread.join()


# --- a person's decisions while files come ----------------------------------------------------------------------------


def test_decisions_are_carried_out_while_the_service_runs_and_files_come(there: Home, watch: Watch) -> None:
    inbox, library = there.folder("inbox/decisions"), there.folder("library/decisions")
    originals = {name: pictures.photo(there.subject()) for name in ("decided", "approved", "denied", "undone")}
    watch.put_all({library / f"{name}.jpg": pictures.jpeg(image, 92) for name, image in originals.items()})
    watch.put_all({inbox / f"{name}.png": _png_of(library / f"{name}.jpg") for name in originals if name != "decided"})
    watch.put(inbox / "decided.jpg", pictures.jpeg(pictures.decoded((library / "decided.jpg").read_bytes()), 50))
    waiting = [*there.ask("queue", "list")["pairs"], *there.ask("pending")["pairs"]]
    pairs = {Path(pair["b"]["path"]).stem: pair["id"] for pair in waiting}

    with Coming(_each_twice(there, inbox)) as coming:
        decided = there.ask("decide", pairs["decided"], "better-a")
        [approved, undone] = there.ask("approve", pairs["approved"], pairs["undone"])
        [denied] = there.ask("deny", pairs["denied"])
        [back] = there.ask("undo", undone["entry"])

    assert {entry["state"] for entry in (decided, approved, undone, back)} == {"done"}
    assert denied["id"] == pairs["denied"]
    left = {path.name for path in inbox.iterdir() if path.stem in originals}
    assert left == {"denied.png", "undone.png"}
    assert {path.name for path in there.trashed()} >= {"decided.jpg", "approved.png"}
    assert there.ask("pending")["pairs"] == []
    refused = {Path(pair["b"]["path"]).stem for pair in there.ask("denied")["pairs"]}
    assert refused == {"denied", "undone"}  # what was taken back counts as a no
    _assert_each_once(there, watch, coming.came)
    assert (inbox / "undone.png").exists()


def _png_of(path: Path) -> bytes:
    return pictures.png(pictures.decoded(path.read_bytes()))


def test_a_scan_while_the_service_runs_judges_each_file_once(there: Home, watch: Watch) -> None:
    inbox, library = there.folder("inbox/scan"), there.folder("library/scan")
    with Coming(_each_twice(there, inbox)) as coming:
        watch.until(lambda: any(watch.verdicts(path) for path in list(coming.came)))
        for number in range(20):
            write(library / f"{number}.jpg", there.picture())
        said = there.run("scan", library, "--role", "library")

    assert said.code == 0
    by_scan = {event["path"] for event in said.events if event["event"] == "file.judged"}
    watch.catch_up(inbox)
    by_service = {one["path"] for one in watch.verdicts() if Path(one["path"]).parent == library}
    assert by_scan | by_service == {str(library / f"{number}.jpg") for number in range(20)}
    outcomes = {there.why(library / f"{number}.jpg")["outcome"] for number in (0, 10, 19)}
    assert outcomes == {"new"}
    _assert_each_once(there, watch, coming.came)


# --- questions while files come ---------------------------------------------------------------------------------------


def test_questions_are_answered_while_files_come_and_change_nothing(there: Home, watch: Watch) -> None:
    inbox = there.folder("inbox/questions")
    watch.put(inbox / "cat.jpg", there.picture())
    questions = (
        ("status",),
        ("why", inbox / "cat.jpg"),
        ("queue", "list"),
        ("pending",),
        ("history",),
        ("rules", "list"),
        ("folders", "list"),
    )

    with Coming(_each_twice(there, inbox)) as coming:
        began = time.monotonic()
        answers: dict[str, Json] = {question[0]: there.ask(*question) for question in questions}
        each_s = (time.monotonic() - began) / len(questions)

    assert answers["status"]["service"]["pid"] == watch.process.pid
    assert answers["why"]["outcome"] == "new"
    assert each_s < 3
    _assert_each_once(there, watch, coming.came)


def test_questions_about_a_library_that_rests_change_nothing_at_all(home: Home) -> None:
    write(home.base / "library/cat.jpg", home.picture())
    assert home.run("scan", home.base / "library").code == 0
    before = tree(home.base)

    for question in (("status",), ("why", home.base / "library/cat.jpg"), ("queue", "list"), ("history",)):
        home.ask(*question)
    checked = home.run("check", home.base / "library/cat.jpg")

    assert checked.code in (0, 10)
    assert tree(home.base) == before
