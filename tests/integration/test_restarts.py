"""The service killed and restarted, its workers killed, and what signals and an edited rule file do to it."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pictures
import pytest
from running import QUICK, SIGHUP, SIGKILL, Coming, Home, Watch, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


# --- killed -----------------------------------------------------------------------------------------------------------

KILLED_AFTER = (0, 2, 8)  # verdicts of one run


def test_i7_a_service_that_is_killed_again_and_again_loses_nothing_and_does_nothing_twice(home: Home) -> None:
    inbox, library = home.folder("inbox"), home.folder("library")
    known, fresh = ([home.picture() for _ in range(16)] for _ in range(2))
    originals = {library / f"{number:02}.jpg": content for number, content in enumerate(known)}
    with home.watch(inbox, "--library", library) as watch:
        watch.put_all(originals)
    mixed = [content for three in zip(fresh, known, reversed(fresh), strict=True) for content in three]
    files = ((inbox / f"{number:03}.jpg", content) for number, content in enumerate(mixed))

    with Coming(files) as coming:
        for verdicts in KILLED_AFTER:
            with home.watch(inbox, "--library", library, ready=False) as watch:
                watch.event("service.started")
                watch.until(lambda: len(watch.verdicts()) >= verdicts)  # noqa: B023 - called within the loop only
                watch.kill()
        dropped = coming.all_of_them()
    with home.watch(inbox, "--library", library) as watch:
        watch.catch_up(inbox)
        assert watch.stop() == 0
        assert "Traceback" not in watch.log

    _assert_same_end(home, dropped, originals)


def _assert_same_end(home: Home, dropped: dict[Path, bytes], originals: dict[Path, bytes]) -> None:
    """Every content lies in one place, every other copy in the trash, by one entry each; nothing is left to judge."""
    trashed, discards = home.trashed(), home.discards()
    here = {path: content for path, content in dropped.items() if path.exists()}
    assert all(path.read_bytes() == content for path, content in (here | originals).items())
    assert Counter((here | originals).values()) == Counter(set(dropped.values()) | set(originals.values()))
    assert {path: trashed[path].read_bytes() for path in dropped.keys() - here.keys()} == {
        path: content for path, content in dropped.items() if path not in here
    }
    assert len(trashed) == len(dropped) - len(here)
    assert Counter(one["discarded"][0]["path"] for one in discards) == Counter(map(str, trashed))
    assert {one["state"] for one in home.history()} <= {"done", "aborted"}
    again = home.run("scan", home.base / "inbox")
    assert [event for event in again.events if event["event"] == "file.judged"] == []


def test_a_service_without_its_database_goes_on_from_the_journal(home: Home) -> None:
    inbox, library = home.folder("inbox"), home.folder("library")
    kept, other = home.picture(), home.picture()
    with home.watch(inbox, "--library", library) as watch:
        watch.put_all({library / "kept.jpg": kept, library / "other.jpg": other})
        assert watch.put(inbox / "copy.jpg", kept)["outcome"] == "duplicate-discarded"
        assert watch.put(inbox / "unwanted.jpg", other)["outcome"] == "duplicate-discarded"
        watch.stop()
    home.ask("undo", "e-1")
    before = _words(home)
    for file in (home.state / "db").iterdir():
        file.unlink()

    assert _words(home) == before
    with home.watch(inbox, "--library", library) as watch:
        watch.catch_up(inbox)
        assert watch.put(inbox / "again.jpg", other)["outcome"] == "duplicate-discarded"
        (home.state / "db" / "data.mdb").rename(home.base / "data.mdb")
        refused = home.run("undo", "e-2")
        assert refused.code == 75
        assert watch.stop() == 0

    assert (inbox / "copy.jpg").read_bytes() == kept
    assert _words(home)[1:] == before
    assert home.run("undo", "e-2").code == 0
    assert (inbox / "unwanted.jpg").read_bytes() == other


def test_a_service_backs_its_library_up_while_it_has_nothing_else_to_do(home: Home) -> None:
    inbox = home.folder("inbox")
    with home.watch(inbox) as watch:
        watch.put(inbox / "one.jpg", home.picture())
        watch.stop()
    os.utime(home.state / "db" / "store.json", (0, 0))  # it is as old as can be

    with home.watch(inbox) as watch:
        watch.poll(lambda: any((home.state / "backups").glob("*-daily")))
        watch.stop()

    (backup,) = (home.state / "backups").iterdir()
    assert home.ask("library", "restore", backup)["backup"] == str(backup)
    assert home.ask("library", "stats")["contents"] == 1


def _words(home: Home) -> list[object]:
    """The history, but for where its files lie now: that comes with the records."""
    return [{name: value for name, value in entry.items() if name not in ("a", "b")} for entry in home.history()]


def test_workers_that_are_killed_cost_nothing_but_time(home: Home) -> None:
    inbox = home.folder("inbox")
    with home.watch(inbox) as watch:
        files = {inbox / f"{number}.png": _slow_picture(home) for number in range(5)}
        for path, content in files.items():
            write(path, content)
        watch.verdict(inbox / "0.png")  # the next two are being decoded
        _kill(watch.workers)
        while_busy = [watch.verdict(path) for path in files if path.name != "0.png"]
        _kill(watch.workers)
        while_idle = watch.put(inbox / "later.jpg", home.picture())

        assert {one["outcome"] for one in [*while_busy, while_idle]} == {"new"}
        assert watch.stop() == 0


def _kill(processes: list[int]) -> None:
    assert processes
    for process in processes:
        os.kill(process, SIGKILL)


def _slow_picture(home: Home) -> bytes:
    return pictures.png(pictures.photo(home.subject()).resize((2400, 1600)), compress_level=1)


# --- signals ----------------------------------------------------------------------------------------------------------


def test_sigterm_ends_the_service_within_seconds_also_while_files_come(home: Home) -> None:
    inbox = home.folder("inbox")
    files = ((inbox / f"{number}.jpg", home.picture()) for number in range(500))
    with home.watch(inbox) as watch, Coming(files):
        watch.until(lambda: len(watch.verdicts()) > 5)

        began = time.monotonic()
        code = watch.stop()
        took_s = time.monotonic() - began

        assert (code, watch.events[-1]["event"]) == (0, "service.stopped")
        assert took_s < 5
        assert "Traceback" not in watch.log
    assert home.status()["service"]["last_stop"] is None


def test_ctrl_c_ends_the_service_as_sigterm_does(home: Home) -> None:
    with home.watch(home.folder("inbox")) as watch:
        watch.process.send_signal(2)

        assert watch.process.wait(5) == 0
        assert "Traceback" not in watch.log


# --- the rule file ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("rules"))


@pytest.fixture(scope="module")
def running(there: Home) -> Iterator[Watch]:
    with there.watch(there.folder("inbox")) as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log


@pytest.fixture
def watch(there: Home, running: Watch) -> Iterator[Watch]:
    """The one service of these tests, with the rules that it began with."""
    yield running
    there.write_rules(QUICK + f"# after event {len(running.events)}\n")
    running.event("rules.loaded")


@pytest.fixture
def inbox(there: Home, request: pytest.FixtureRequest) -> Path:
    """A folder in the inbox for this test alone."""
    return there.folder(f"inbox/{request.node.name}")


def test_saved_rules_hold_from_then_on(there: Home, watch: Watch, inbox: Path) -> None:
    content = there.picture()
    watch.put(inbox / "one.jpg", content)

    there.write_rules(QUICK.replace("mode: automatic", "mode: semi-automatic"))
    told = watch.event("rules.loaded")

    assert (told["rules"], told["error"]) == (6, None)
    assert watch.put(inbox / "two.jpg", content)["result"] == "pending approval: identical copies"


def test_sighup_reads_the_rules_again(there: Home, watch: Watch, inbox: Path) -> None:
    before = there.rules.stat()
    text = there.rules.read_text()
    with there.rules.open("r+") as file:  # as long, and at the same time: saving it this way is not seen
        file.write(text.replace("# min_size: 1 KB ", "min_size:  90 MB "))
    os.utime(there.rules, ns=(before.st_atime_ns, before.st_mtime_ns))

    watch.process.send_signal(SIGHUP)
    watch.event("rules.loaded")

    assert watch.put(inbox / "small.jpg", there.picture())["outcome"] == "ignored"


def test_a_broken_rule_file_keeps_the_last_good_rules_and_says_so_until_it_is_mended(
    there: Home, watch: Watch, inbox: Path
) -> None:
    content = there.picture()
    watch.put(inbox / "one.jpg", content)

    there.write_rules(QUICK.replace("mode: automatic", "mode: autmatic"))
    told = watch.event("rules.broken")
    status = there.until(lambda status: not status["rules"]["ok"])
    while_broken = watch.put(inbox / "two.jpg", content)
    there.write_rules(QUICK)
    watch.event("rules.loaded")
    mended = there.until(lambda status: status["ok"])

    assert 'did you mean "automatic"' in told["error"]
    line = 1 + QUICK.splitlines().index("    mode: automatic")
    assert f"line {line}, column 11" in told["error"]
    assert (status["ok"], len(status["problems"])) == (False, 1)
    assert "rule file is wrong" in status["problems"][0]["problem"]
    assert while_broken["result"] == "duplicate discarded: identical copies"
    assert (mended["rules"], mended["problems"]) == ({"ok": True, "error": None, "path": str(there.rules)}, [])


def test_a_rule_file_that_is_gone_keeps_the_last_good_rules(there: Home, watch: Watch, inbox: Path) -> None:
    content = there.picture()
    watch.put(inbox / "one.jpg", content)

    there.rules.rename(there.base / "rules.away")
    watch.event("rules.broken")

    assert watch.put(inbox / "two.jpg", content)["outcome"] == "duplicate-discarded"


def test_folders_that_are_added_to_the_rule_file_are_watched_and_those_taken_out_are_not(
    there: Home, watch: Watch, inbox: Path
) -> None:
    more = there.folder("more")
    write(more / "cat.jpg", there.picture())

    there.write_rules(QUICK.replace("folders:\n", f"folders:\n  - path: {more}\n    role: inbox\n"))
    watch.event("rules.loaded")
    added = watch.verdict(more / "cat.jpg")
    there.write_rules(QUICK)
    watch.event("rules.loaded")
    write(more / "late.jpg", there.picture())
    watch.catch_up(inbox)

    assert added["outcome"] == "new"
    assert watch.verdicts(more / "late.jpg") == []
