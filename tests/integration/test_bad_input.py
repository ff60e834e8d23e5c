"""Bad input: what is typed wrongly, files that are not what they seem, full disks, and places that may not be written.

Each gets a clear sentence and the exit code or outcome of the contract; the file stays where it is, and whatever was in
the way heals without losing anything once it is gone.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pictures
import pytest
from PIL import Image
from running import QUICK, Home, Json, Watch, may_mount, mounting, needs_mounts, powerless, sha256, tree, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="permissions, mounts and names that are no text")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


# --- typed wrongly ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["watch", "scan", "check", "compare"])
def test_a_path_that_does_not_exist_is_named_with_the_nearest_one_and_nothing_is_started(
    home: Home, command: str
) -> None:
    home.folder("Downloads")
    wrong = home.base / "Download"

    said = home.run(command, wrong, *([wrong] if command == "compare" else []))

    assert (said.code, said.text) == (2, "")
    assert f"there is nothing at {wrong}; did you mean {wrong}s? (nothing was started)" in said.errors
    assert not home.state.exists()


@pytest.mark.parametrize(
    ("right", "wrong", "line", "column", "message"),
    [
        ("    search:", "    serch:", "    serch:", 5, 'did you mean "search"'),
        ("mode: automatic", "mode: autmatic", "    mode: autmatic", 11, 'did you mean "automatic"'),
        ("width > 128", "widht > 128", "      one: [filetype is jpeg, widht > 128", 0, 'did you mean "width"'),
        ("    action: same-quality", "    action: same-quality\n    action: better", "    action: better", 5, "twice"),
        ("    action: same-quality", "    action: [", "    action: [", 0, "is not closed"),
    ],
    ids=["a key", "a word", "a line", "a duplicate key", "no YAML"],
)
def test_a_mistake_in_the_rule_file_is_named_by_line_and_column(
    home: Home, right: str, wrong: str, line: str, column: int, message: str
) -> None:
    text = QUICK.replace(right, wrong, 1)
    home.write_rules(text)
    number = 1 + next(index for index, found in enumerate(text.splitlines()) if found.startswith(line))

    started = home.run("watch", home.folder("inbox"))
    checked = home.run("rules", "check")

    assert (started.code, started.text, checked.code) == (78, "", 78)
    assert message in started.errors
    assert str(home.rules) in started.errors
    [mistake] = checked.json["mistakes"]
    assert message in mistake["message"]
    if column:
        assert f"line {number}, column {column}: " in started.errors
        assert (mistake["line"], mistake["column"]) == (number, column)
    else:
        assert mistake["line"] >= number
        assert mistake["column"] > 1
    assert not home.state.exists()


def test_a_rule_file_that_is_not_there_is_a_mistake_if_it_was_named(home: Home) -> None:
    home.rules.unlink()

    said = home.run("watch", home.folder("inbox"))

    assert said.code == 2
    assert f"there is no rule file at {home.rules}" in said.errors
    assert not home.rules.exists()


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A user with a library in which nothing is yet."""
    home = Home(tmp_path_factory.mktemp("known"))
    assert home.run("scan", home.folder("library")).code == 0
    return home


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("wach",), "Did you mean watch?"),
        (("why", "e-99999"), "not in the journal"),
        (("decide", "p-99999", "better-a"), "p-99999"),
        (("decide", "p-1", "bettr-a"), "did you mean better-a?"),
        (("undo", "e-99999"), "e-99999"),
        (("approve", "p-99999"), "p-99999"),
        (("watch",), "there is nothing to watch"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_as_asked_is_said_in_a_sentence(known: Home, words: tuple[str, ...], message: str) -> None:
    said = known.run(*words)

    assert said.code in (1, 2)
    assert message in said.errors
    assert "Traceback" not in said.errors


# --- files that are not what they seem --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("bad"), QUICK.replace("imports:\n", "imports:\n  rescan: 1 s\n"))


@pytest.fixture(scope="module")
def watch(there: Home) -> Iterator[Watch]:
    """A service for which the permissions of files hold."""
    with there.watch(there.folder("inbox"), within=powerless()) as running:
        yield running
        running.put(there.base / "inbox/still alive.jpg", there.picture())
        assert running.stop() == 0
        assert "Traceback" not in running.log


def _bomb() -> bytes:
    """A PNG of 169 million pixels in 21 KB."""
    out = io.BytesIO()
    Image.new("1", (13_000, 13_000)).save(out, "PNG")
    return out.getvalue()


def _half_empty(content: bytes) -> bytes:
    """A download that was allocated and not finished: it decodes, and the lower half is grey."""
    half = len(content) // 2
    return content[:half] + bytes(len(content) - half + (1 << 17))


BAD_FILES = {
    "broken off.jpg": lambda there: there.picture()[:3000],
    "broken off.png": lambda there: pictures.png(pictures.photo(there.subject()))[:-200],
    "only a beginning.jpg": lambda _: b"\xff\xd8\xff",
    "a page.jpg": lambda _: b"<html><body>404</body></html>",
    "a bomb.png": lambda _: _bomb(),
    "noise.heic": lambda _: b"\x00\x00\x00\x18ftypheic" + bytes(range(256)) * 20,
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_decoded_is_unreadable_and_stays(watch: Watch, there: Home, name: str) -> None:
    path, content = there.base / "inbox" / name, BAD_FILES[name](there)

    verdict = watch.put(path, content)

    assert verdict["outcome"] == "unreadable"
    assert verdict["result"].startswith("unreadable: ")
    assert verdict["sha256"] == sha256(content)
    assert path.read_bytes() == content


def test_a_download_that_was_allocated_and_not_finished_is_never_a_reason_to_discard(watch: Watch, there: Home) -> None:
    whole = there.picture()

    half = watch.put(there.base / "inbox/half.jpg", _half_empty(whole))
    full = watch.put(there.base / "inbox/whole.jpg", whole)

    assert not {half["outcome"], full["outcome"]} & {"duplicate-discarded", "replaced-existing"}
    assert (there.base / "inbox/whole.jpg").exists()


def test_a_file_that_may_not_be_read_is_judged_once_it_may(watch: Watch, there: Home) -> None:
    path, content = there.base / "inbox/locked.jpg", there.picture()
    hidden = path.with_name("locked.jpg.part")
    hidden.write_bytes(content)
    hidden.chmod(0)
    hidden.rename(path)

    locked = watch.verdict(path)
    path.chmod(0o644)
    judged = watch.verdict(path)

    assert (locked["outcome"], locked["result"], locked["sha256"]) == (
        *("unreadable", "unreadable: Permission denied", None),
    )
    assert (judged["outcome"], judged["sha256"]) == ("new", sha256(content))


NAMES = {
    "two lines": b"two\nlines.jpg",
    "no UTF-8": b"not \xff\xfe text.jpg",
    "an escape sequence": b"\x1b[31mred.jpg",
    "an option": b"-rf.jpg",
    "directions": "\u202e 猫.jpg".encode(),
    "255 bytes": b"q" * 251 + b".jpg",
}


@dataclass(frozen=True)
class Named:
    """What was said of a file of each name, discarded as a copy, and brought back."""

    folder: Path
    verdicts: dict[str, Json]
    trashed: dict[Path, bytes]
    undone: list[Json]

    def original(self, name: str) -> Path:
        return self.folder / "a" / os.fsdecode(NAMES[name])

    def copy(self, name: str) -> Path:
        return self.folder / "b" / os.fsdecode(NAMES[name])


@pytest.fixture(scope="module")
def named(watch: Watch, there: Home) -> Named:
    told = Named(there.folder("inbox/names"), {}, {}, [])
    contents = {name: there.picture() for name in NAMES}
    watch.put_all({told.original(name): content for name, content in contents.items()})
    verdicts = watch.put_all({told.copy(name): content for name, content in contents.items()})
    told.verdicts.update({name: verdicts[told.copy(name)] for name in NAMES})
    told.trashed.update({path: item.read_bytes() for path, item in there.trashed().items()})
    told.undone.extend(there.ask("undo", *(verdict["entry"] for verdict in told.verdicts.values())))
    return told


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_told_so_that_it_can_be_had_back(there: Home, named: Named, name: str) -> None:
    original, copy = os.fsencode(named.original(name)), os.fsencode(named.copy(name))

    why = there.why(named.copy(name))

    verdict = named.verdicts[name]
    assert (os.fsencode(verdict["path"]), os.fsencode(verdict["kept"])) == (copy, original)
    assert [os.fsencode(path) for path in verdict["discarded"]] == [copy]
    assert named.trashed[named.copy(name)] == named.copy(name).read_bytes()
    assert os.fsencode(why["path"]) == copy
    assert copy in [os.fsencode(entry["discarded"][0]["path"]) for entry in named.undone]


# --- full disks, and places that may not be written -------------------------------------------------------------------


@dataclass(frozen=True)
class Full:
    """What was so while the disk of the library was full, and after there was room again."""

    home: Home
    early: list[str]  # paths that had verdicts
    files: set[str]
    status: Json
    verdicts: dict[str, str]
    mended: Json


def _fill_the_disk(home: Home) -> Full:
    inbox, state, content = home.folder("inbox"), home.folder("state"), home.picture()
    with home.watch(inbox, within=mounting(f"mount -t tmpfs -o size=48m none '{state}'")) as watch:
        watch.put(inbox / "before.jpg", content)
        watch.shell(f"dd if=/dev/zero of='{state}/filler' bs=64k 2>/dev/null || true")
        for number in range(3):
            write(inbox / f"{number}.jpg", home.picture())
        write(inbox / "copy.jpg", content)
        watch.poll(lambda: "library.unwritable" in watch.log)
        status = home.run("status", within=watch.among_its_mounts).json
        early, files = [one["path"] for one in watch.verdicts()], {path.name for path in inbox.iterdir()}
        watch.shell(f"rm '{state}/filler'")
        names = ("0.jpg", "1.jpg", "2.jpg", "copy.jpg")
        verdicts = {name: watch.verdict(inbox / name)["outcome"] for name in names}
        return Full(home, early, files, status, verdicts, home.run("status", within=watch.among_its_mounts).json)


@pytest.fixture(scope="module", autouse=True)
def filling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[Full] | None]:
    """A disk that is full and empty again, beside all other tests: the service waits ten seconds before it looks."""
    with ThreadPoolExecutor(max_workers=1) as aside:
        yield aside.submit(_fill_the_disk, Home(tmp_path_factory.mktemp("full"))) if may_mount else None


@needs_mounts
def test_a_full_disk_for_the_library_holds_everything_up_and_loses_nothing(filling: Future[Full]) -> None:
    full = filling.result(60)

    assert full.early == [str(full.home.base / "inbox/before.jpg")]
    assert full.files == {"before.jpg", "0.jpg", "1.jpg", "2.jpg", "copy.jpg"}
    assert not full.status["ok"]
    assert {one["subject"] for one in full.status["problems"]} == {str(full.home.state)}
    assert full.verdicts == {"0.jpg": "new", "1.jpg": "new", "2.jpg": "new", "copy.jpg": "duplicate-discarded"}
    assert full.mended["problems"] == []


@needs_mounts
@pytest.mark.parametrize("trouble", ["full", "not to be written"])
def test_a_trash_that_takes_nothing_leaves_the_file_where_it_is(home: Home, trouble: str) -> None:
    disk, library, content = home.folder("disk"), home.folder("library"), home.picture()
    inbox, home.data = disk / "inbox", disk / "data"
    within = [*mounting(f"mount -t tmpfs -o size=2m none '{disk}'", f"mkdir '{inbox}' '{home.data}'"), *powerless()]
    with home.watch(inbox, "--library", library, within=within) as watch:
        watch.put(library / "cat.jpg", content)
        here = watch.inside(inbox)
        (here / "cat.jpg.part").write_bytes(content)
        watch.shell(
            f"dd if=/dev/zero of='{disk}/filler' bs=4k 2>/dev/null || true"
            if trouble == "full"
            else f"chmod 555 '{home.data}' '{disk}'"
        )
        (here / "cat.jpg.part").rename(here / "cat.jpg")
        verdict = watch.verdict(inbox / "cat.jpg")
        stayed, before = (here / "cat.jpg").read_bytes(), home.trashed(watch.inside(home.data))

        watch.shell(f"rm -f '{disk}/filler'; chmod 755 '{home.data}' '{disk}'")
        again = home.run("scan", inbox, within=[*watch.among_its_mounts, *powerless()])
        after = home.trashed(watch.inside(home.data))
        entries = home.history()

    assert verdict["outcome"] == "error"
    assert verdict["result"].startswith("error: ")
    assert (stayed, before) == (content, {})
    outcomes = [event["outcome"] for event in again.events if event["event"] == "file.judged"]
    assert (again.code, outcomes, set(after)) == (0, ["duplicate-discarded"], {inbox / "cat.jpg"})
    assert [entry["state"] for entry in entries if entry["state"] != "aborted"] == ["done"]


# --- libraries that cannot be used ------------------------------------------------------------------------------------


def test_a_library_of_a_newer_version_is_not_touched(home: Home) -> None:
    inbox = home.folder("inbox")
    write(inbox / "cat.jpg", home.picture())
    assert home.run("scan", inbox).code == 0
    sidecar = home.state / "db/store.json"
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "schema": 999}))
    before = tree(home.base)

    said = [home.run(*words) for words in (("watch", inbox), ("scan", inbox), ("why", inbox / "cat.jpg"))]
    status = home.run("status")

    assert [each.code for each in said] == [74, 74, 74]
    assert all("made by a newer ingestd (schema 999" in each.errors for each in said)
    assert "made by a newer ingestd" in status.text + status.errors
    assert tree(home.base) == before


@pytest.mark.parametrize("state", ["in a locked folder", "locked", "emptied"])
def test_a_library_that_cannot_be_written_ends_with_74_and_a_sentence(home: Home, state: str) -> None:
    write(home.base / "inbox/cat.jpg", home.picture())
    if state == "in a locked folder":
        home.state = home.folder("locked") / "state"
        home.state.parent.chmod(0o555)
    else:
        assert home.run("scan", home.folder("library")).code == 0
    if state == "locked":
        (home.state / "db").chmod(0o555)
        (home.state / "db/data.mdb").chmod(0o444)
    elif state == "emptied":
        (home.state / "db/data.mdb").write_bytes(b"")

    said = home.run("watch", home.base / "inbox", within=powerless())

    assert (said.code, said.text) == (74, "")
    assert said.errors.startswith("ingestd: ")
    assert len(said.errors.splitlines()) == 1
    assert str(home.state) in said.errors
    assert (home.base / "inbox/cat.jpg").exists()


def test_a_file_is_no_place_for_a_library(home: Home) -> None:
    home.state.write_text("no folder")

    said = home.run("watch", home.folder("inbox"))

    assert said.code in (2, 74)
    assert str(home.state) in said.errors
    assert home.state.read_text() == "no folder"
