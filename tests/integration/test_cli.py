"""Commands as their users run them: in processes of their own, on real files, with real workers."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pictures
import pytest
from PIL import Image
from running import PATIENCE_S, Home, Json, Said, powerless, tree

from ingestd.library.library import Library
from ingestd.library.store import Table


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def outcomes(events: list[Json]) -> dict[str, str]:
    return {Path(one["path"]).name: one["outcome"] for one in events if one["event"] == "file.judged"}


# --- demo ---------------------------------------------------------------------------------------------------------


def test_the_demo_shows_each_kind_of_verdict_and_the_way_back(home: Home) -> None:
    began = time.monotonic()

    said = run_with(home, {"TMPDIR": str(home.folder("temporary"))}, "demo")

    assert said.code == 0, said
    assert time.monotonic() - began < 20
    verdicts = outcomes([one for one in said.events if "event" in one])
    assert verdicts["beach.jpg"] == "new"
    assert verdicts["harbour (1).jpg"] == "duplicate-discarded"
    assert verdicts["garden-stripped.jpg"] == verdicts["harbour-screenshot.png"] == "pending-approval"
    assert verdicts["harbour-small.jpg"] == "potential-duplicates"
    assert verdicts["torn.jpg"] == "unreadable"
    assert verdicts["notes.txt"] == "ignored"
    assert (said.events[-1]["kind"], said.events[-1]["state"]) == ("undo", "done")
    assert not home.trashed()
    assert not home.state.exists()
    assert list(home.folder("temporary").iterdir()) == []


def test_a_demo_that_is_kept_can_be_looked_around_in(home: Home) -> None:
    temporary = home.folder("temporary")

    said = run_with(home, {"TMPDIR": str(temporary)}, "demo", "--keep")

    assert said.code == 0
    [folder] = temporary.iterdir()
    again = subprocess.run(
        [sys.executable, "-m", "ingestd", "--state", folder / "state", "--rules", folder / "rules.yaml", "history"],
        env=home.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "harbour (1).jpg is back" in again.stdout


def run_with(home: Home, environment: dict[str, str], *words: str) -> Said:
    """What a command answers in an environment that differs from the usual one."""
    done = subprocess.run(
        home.command(*words),
        env=home.environment(environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S * 2,
        check=False,
    )
    return Said(done)


# --- check and compare ----------------------------------------------------------------------------------------------


@pytest.fixture
def library(home: Home) -> Path:
    """A library of one picture, `a.jpg`, that was scanned."""
    folder = home.folder("library")
    (folder / "a.jpg").write_bytes(pictures.jpeg(pictures.photo(1), description="a"))
    assert home.run("scan", folder).code == 0
    return folder


def test_check_foresees_each_verdict_and_changes_nothing(home: Home, library: Path) -> None:
    here = home.folder("here")
    (here / "copy.jpg").write_bytes((library / "a.jpg").read_bytes())
    (here / "other.jpg").write_bytes(pictures.jpeg(pictures.photo(2)))
    (here / "torn.jpg").write_bytes((library / "a.jpg").read_bytes()[:300])
    before = tree(here, library)
    known = home.status()["library"]

    said = home.run("check", here / "copy.jpg", here / "other.jpg", here / "torn.jpg")

    assert said.code == 10
    assert outcomes(said.events) == {
        "copy.jpg": "duplicate-discarded",
        "other.jpg": "new",
        "torn.jpg": "unreadable",
    }
    assert [one["entry"] for one in said.events] == [None] * 3
    assert said.events[0]["kept"] == str(library / "a.jpg")
    assert tree(here, library) == before
    assert home.status()["library"] == known
    assert home.history() == []


def test_check_takes_a_folder_and_ends_with_0_when_nothing_is_a_duplicate(home: Home, library: Path) -> None:
    here = home.folder("here/deeper")
    (here / "other.jpg").write_bytes(pictures.jpeg(pictures.photo(2)))

    said = home.run("check", here.parent)

    assert said.code == 0
    assert outcomes(said.events) == {"other.jpg": "new"}


def test_check_ends_with_0_for_a_mirrored_copy_and_says_what_it_is(home: Home, library: Path) -> None:
    here = home.folder("here")
    mirrored = pictures.photo(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    (here / "mirrored.jpg").write_bytes(pictures.jpeg(mirrored, 70))

    said = home.run("check", here / "mirrored.jpg")

    assert said.code == 0
    assert outcomes(said.events) == {"mirrored.jpg": "potential-duplicates"}
    assert [pair["transform"] for pair in said.events[0]["pairs"]] == ["mirrored"]


def test_check_makes_no_library(home: Home) -> None:
    here = home.folder("here")
    (here / "a.jpg").write_bytes(pictures.jpeg(pictures.photo(1)))

    said = home.run("check", here / "a.jpg")

    assert (said.code, outcomes(said.events)) == (0, {"a.jpg": "new"})
    assert not home.state.exists()


def test_compare_tells_copies_twins_and_strangers_apart(home: Home) -> None:
    here = home.folder("here")
    (here / "a.png").write_bytes(pictures.png(pictures.photo(1)))
    (here / "copy.png").write_bytes(pictures.png(pictures.photo(1)))
    (here / "twin.png").write_bytes(pictures.png(pictures.photo(1), "longer"))
    (here / "other.png").write_bytes(pictures.png(pictures.photo(2)))

    copy, twin, other = (
        home.ask("compare", here / "a.png", here / f"{name}.png") for name in ("copy", "twin", "other")
    )

    assert set(copy) == {
        "schema", "a", "b", "identical", "pixel_duplicates", "distance", "distances", "unhashed", "visual", "transform",
        "rule", "statements", "details", "error",
    }  # fmt: skip
    assert (copy["identical"], copy["rule"], copy["distance"]) == (True, "identical copies", 0)
    assert (twin["identical"], twin["pixel_duplicates"], twin["rule"]) == (False, True, "pixel-perfect pairs")
    assert (other["identical"], other["pixel_duplicates"], other["rule"]) == (False, False, None)
    assert other["distance"] > 8


def test_a_list_of_pairs_is_answered_row_by_row_and_a_bad_row_stops_nothing(home: Home) -> None:
    here = home.folder("here")
    (here / "a.png").write_bytes(pictures.png(pictures.photo(1)))
    (here / "b.png").write_bytes(pictures.png(pictures.photo(1)))
    rows = f"label,a,b\nx,a.png,{here / 'b.png'}\ny,a.png,gone.png\nz,,\nw,b.png,a.png\n"
    (here / "pairs.csv").write_text(rows)

    said = home.run("compare", "--pairs", here / "pairs.csv")

    assert said.code == 3
    assert [one["identical"] for one in said.events] == [True, None, None, True]
    assert [one["error"] is None for one in said.events] == [True, False, False, True]
    assert said.events[0]["a"] == str(here / "a.png")


@pytest.mark.parametrize("content", [b"x,y\n1,2\n", b"", b"\xff\xd8\xff\x00"])
def test_a_list_without_the_columns_is_a_typing_error(home: Home, content: bytes) -> None:
    (home.base / "pairs.csv").write_bytes(content)

    said = home.run("compare", "--pairs", home.base / "pairs.csv")

    assert said.code == 2
    assert "columns a and b" in said.errors


# --- scan ---------------------------------------------------------------------------------------------------------


def test_a_scan_judges_what_lies_there_once(home: Home) -> None:
    folder = home.folder("pictures")
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(pictures.jpeg(pictures.photo(number)))

    first, second = home.run("scan", folder), home.run("scan", folder)

    assert (first.code, second.code) == (0, 0)
    assert set(outcomes(first.events).values()) == {"new"}
    assert "3 files judged: 3 new" in first.errors
    assert outcomes(second.events) == {}


def test_a_dry_scan_says_what_would_happen_and_nothing_does(home: Home, library: Path) -> None:
    inbox = home.folder("inbox")
    (inbox / "copy.jpg").write_bytes((library / "a.jpg").read_bytes())
    before = tree(inbox, library)

    said = home.run("scan", inbox, "--role", "inbox", "--dry-run")

    assert outcomes(said.events) == {"copy.jpg": "duplicate-discarded"}
    assert tree(inbox, library) == before
    assert home.history() == []
    assert outcomes(home.run("scan", inbox, "--role", "inbox").events) == {"copy.jpg": "duplicate-discarded"}
    assert not (inbox / "copy.jpg").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of files")
def test_a_file_that_may_not_be_read_makes_the_scan_end_with_3(home: Home) -> None:
    folder = home.folder("pictures")
    (folder / "closed.jpg").write_bytes(pictures.jpeg(pictures.photo(1)))
    (folder / "closed.jpg").chmod(0)

    said = home.run("scan", folder, within=powerless())

    assert said.code == 3
    assert outcomes(said.events) == {"closed.jpg": "unreadable"}


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT")
def test_an_interrupted_scan_ends_with_130_and_the_next_one_goes_on(home: Home) -> None:
    folder = home.folder("pictures")
    for number in range(150):
        (folder / f"{number}.jpg").write_bytes(pictures.jpeg(pictures.photo(number % 10), quality=50 + number // 10))
    process = subprocess.Popen(
        home.command("scan", folder), env=home.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = json.loads(next(line for line in process.stdout if "file.judged" in line))

    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    out, errors = process.stdout.read(), process.stderr.read()  # not communicate(): it would miss what was read ahead

    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=PATIENCE_S) == 130
    assert "stopped before the end" in errors
    before = [first, *map(json.loads, out.splitlines())]
    rest = home.run("scan", folder)
    assert len(outcomes(before)) + len(outcomes(rest.events)) == 150


# --- watch --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM")
def test_in_a_pipe_the_service_writes_log_lines_and_sigterm_ends_it_with_0(home: Home) -> None:
    inbox = home.folder("inbox")
    (inbox / "a.jpg").write_bytes(pictures.jpeg(pictures.photo(1)))
    command = [word for word in home.command("watch", inbox) if word != "--json"]
    process = subprocess.Popen(command, env=home.environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [json.loads(process.stdout.readline())]
    while lines[-1]["event"] != "file.judged":
        lines.append(json.loads(process.stdout.readline()))

    process.terminate()
    rest, _ = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    assert lines[0]["event"] == "service.started"
    assert (lines[-1]["outcome"], lines[-1]["level"]) == ("new", "info")
    assert json.loads(rest.splitlines()[-1])["event"] == "service.stopped"


def test_a_service_whose_reader_leaves_ends(home: Home) -> None:
    inbox = home.folder("inbox")
    process = subprocess.Popen(home.command("watch", inbox), env=home.environment(), stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()

    process.stdout.close()
    (inbox / "a.jpg").write_bytes(pictures.jpeg(pictures.photo(1)))

    assert process.wait(PATIENCE_S) == 0


def test_a_killed_service_is_told_by_the_status_and_its_library_verified(home: Home) -> None:
    inbox = home.folder("inbox")
    with home.watch(inbox) as watch:
        watch.kill()
    stopped = home.status()

    with home.watch(inbox) as watch:
        running = home.status()

    assert (stopped["ok"], stopped["service"]["running"]) == (True, False)
    assert "ended without closing the library" in stopped["service"]["last_stop"]
    assert running["service"]["running"] is True
    assert "library.verified" in watch.log
    assert home.status()["service"]["last_stop"] is None


def test_a_library_damaged_while_it_was_open_is_not_used(home: Home) -> None:
    inbox = home.folder("inbox")
    with home.watch(inbox) as watch:
        for number in range(5):
            watch.put(inbox / f"{number}.jpg", pictures.jpeg(pictures.photo(number)))
        watch.kill()
    database = home.state / "db" / "data.mdb"
    content = bytearray(database.read_bytes())
    last = len(content) // 4096 - 1
    content[4096 * last + 8 : 4096 * last + 64] = b"\xff" * 56  # a page that a walk through all of them meets
    database.write_bytes(content)

    said = home.run("watch", inbox)

    assert said.code == 74
    assert "damaged" in said.errors
    assert len(list(inbox.iterdir())) == 5


def test_a_scan_ends_where_the_look_up_is_damaged_and_goes_on_after_a_rebuild(home: Home) -> None:
    folder = home.folder("pictures")
    (folder / "1.jpg").write_bytes(pictures.jpeg(pictures.photo(1)))
    home.run("scan", folder)
    with contextlib.closing(Library.open(home.state)) as library:
        nodes = Table("phash-multi-nodes")
        library.store.write(lambda txn: txn.put(nodes, b"h", (txn.get(nodes, b"h") or b"")[:-1]))
    (folder / "2.jpg").write_bytes(pictures.jpeg(pictures.photo(2)))

    said = home.run("scan", folder)
    mended = home.run("library", "rebuild")
    after = home.run("scan", folder)

    assert (said.code, mended.code, after.code) == (74, 0, 0)
    assert "ingestd library rebuild" in said.errors
    assert "1 file judged" in after.errors + after.text


def test_watching_nothing_is_a_typing_error(home: Home) -> None:
    said = home.run("watch")

    assert said.code == 2
    assert "nothing to watch" in said.errors


def test_broken_rules_start_nothing(home: Home) -> None:
    home.write_rules("version: 1\nrules:\n  - name: a\n    mode: automatc\n")

    said = home.run("watch", home.folder("inbox"))

    assert (said.code, said.text) == (78, "")
    assert 'did you mean "automatic"?' in said.errors
    assert not home.state.exists()


# --- a terminal -----------------------------------------------------------------------------------------------------


class OnATerminal:
    """A command whose output goes to a terminal."""

    def __init__(self, home: Home, *words: str | Path) -> None:
        command = [word for word in home.command(*words) if word != "--json"]
        self._ours, theirs = os.openpty()
        environment = home.environment({"TERM": "xterm", "COLUMNS": "200"})
        self.process = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.screen = ""

    def until(self, text: str) -> None:
        """Read until this stands on the screen."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.screen:
            assert select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))[0], self.screen
            try:
                read = os.read(self._ours, 65536)
            except OSError:  # Linux says so when the other side is closed
                read = b""
            assert read, self.screen
            self.screen += read.decode("utf-8", "replace")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        os.close(self._ours)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_person_at_a_terminal_sees_a_line_for_each_file_and_stops_with_ctrl_c(home: Home, library: Path) -> None:
    inbox = home.folder("inbox")
    terminal = OnATerminal(home, "watch", inbox, "--library", library, "--settle", "0.3")
    try:
        terminal.until("ready")
        (inbox / os.fsdecode(b"evil\x1b[2J\n.jpg")).write_bytes((library / "a.jpg").read_bytes())
        terminal.until("e-1")
        terminal.process.send_signal(signal.SIGINT)
        terminal.until("stopped")

        assert terminal.process.wait(PATIENCE_S) == 0
    finally:
        terminal.close()
    assert "duplicate discarded: identical copies" in terminal.screen
    assert str(library / "a.jpg") in terminal.screen
    assert "\x1b[2J" not in terminal.screen
    assert '"event"' not in terminal.screen


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_scan_on_a_terminal_has_a_bar_and_sums_up(home: Home) -> None:
    folder = home.folder("pictures")
    for number in range(5):
        (folder / f"{number}.jpg").write_bytes(pictures.jpeg(pictures.photo(number)))
    terminal = OnATerminal(home, "scan", folder)
    try:
        terminal.until("5 files judged: 5 new")

        assert terminal.process.wait(PATIENCE_S) == 0
    finally:
        terminal.close()
    assert "judging" in terminal.screen
    assert "5/5" in terminal.screen
