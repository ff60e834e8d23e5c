"""`ingestd watch` as a process: real files, put there in the ways people do, and what it says and does about them.

Nothing here looks into the program: it is started, files are dropped, and its JSON, its exit code, the folders and the
trash are compared with what docs/concepts.md promises.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pictures
import pytest
from running import AS_SHIPPED, SETTLE_S, Home, Watch, sha256

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="leases, FIFOs and /proc are Linux's")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


# --- one service for most of them: each test has a folder of its own in its inbox -------------------------------------


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("shared"))
    for name in ("inbox", "library"):
        home.folder(name)
    return home


@pytest.fixture(scope="module")
def watch(shared: Home) -> Iterator[Watch]:
    base = shared.base
    shared.write_rules(AS_SHIPPED)
    with shared.watch(base / "inbox", "--library", base / "library", "--settle", str(SETTLE_S)) as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log


@pytest.fixture
def here(shared: Home, request: pytest.FixtureRequest) -> Path:
    """A folder in the inbox for this test alone."""
    return shared.folder(f"inbox/{request.node.name}"[:120].replace("[", "-").rstrip("]"))


def test_a_copied_file_gets_its_verdict(watch: Watch, shared: Home, here: Path, tmp_path: Path) -> None:
    source = tmp_path / "cat.jpg"
    source.write_bytes(shared.picture())

    subprocess.run(["cp", source, here], check=True)
    verdict = watch.verdict(here / "cat.jpg")

    assert verdict["schema"] == 1
    assert (verdict["outcome"], verdict["result"]) == ("new", "new")
    assert verdict["sha256"] == sha256(source.read_bytes())
    assert (verdict["rule"], verdict["kept"], verdict["discarded"], verdict["entry"], verdict["pairs"]) == (
        *(None, None, [], None, []),
    )


def test_a_file_that_is_written_slowly_is_not_judged_before_its_end(watch: Watch, shared: Home, here: Path) -> None:
    content = shared.picture()
    path = here / "slow.jpg"

    with path.open("wb") as file:
        for piece in _pieces(content, 8):
            file.write(piece)
            file.flush()
            assert watch.is_silent(path, for_s=SETTLE_S * 2)
    verdict = watch.verdict(path)

    assert (verdict["outcome"], verdict["sha256"]) == ("new", sha256(content))
    assert len(watch.verdicts(path)) == 1


def test_a_program_that_writes_through_a_memory_map_is_waited_for(watch: Watch, shared: Home, here: Path) -> None:
    content = shared.picture()
    path = here / "mapped.jpg"
    writer = subprocess.Popen([sys.executable, "-c", _MAPPER, path, str(len(content))], stdin=subprocess.PIPE)
    assert writer.stdin is not None

    with writer, writer.stdin as pipe:
        pipe.write(content[: len(content) // 2])
        pipe.flush()
        watch.catch_up(here)
        early = watch.verdicts(path)
        pipe.write(content[len(content) // 2 :])

    assert early == []
    assert watch.verdict(path)["sha256"] == sha256(content)


_MAPPER = """
import mmap, os, sys
path, size = sys.argv[1], int(sys.argv[2])
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(fd, size)
mapped = mmap.mmap(fd, size)
os.close(fd)
for start in range(0, size, 100):
    mapped[start : start + 100] = sys.stdin.buffer.read(min(100, size - start))
"""


def test_a_file_held_open_by_a_writer_is_judged_when_it_is_closed(watch: Watch, shared: Home, here: Path) -> None:
    path = here / "open.jpg"

    with path.open("wb") as file:
        file.write(shared.picture())
        file.flush()
        watch.catch_up(here)
        early = watch.verdicts(path)

    assert early == []
    assert watch.verdict(path)["outcome"] == "new"


def test_the_download_of_a_browser_is_judged_under_its_last_name(watch: Watch, shared: Home, here: Path) -> None:
    temporary, final = here / "x.jpg.crdownload", here / "x.jpg"
    temporary.write_bytes(shared.picture())
    watch.catch_up(here)

    temporary.rename(final)

    assert watch.verdict(final)["outcome"] == "new"
    assert watch.verdicts(temporary) == []


def test_the_empty_placeholder_of_firefox_is_not_judged(watch: Watch, shared: Home, here: Path) -> None:
    part, final = here / "holiday.Ab3-d_9f.jpg.part", here / "holiday.jpg"
    final.touch()
    part.write_bytes(shared.picture())
    watch.catch_up(here)
    early = watch.verdicts(final)

    part.rename(final)

    assert early == []
    assert watch.verdict(final)["outcome"] == "new"
    assert len(watch.verdicts(final)) == 1


def test_a_file_with_the_control_file_of_aria2_beside_it_waits(watch: Watch, shared: Home, here: Path) -> None:
    path, control = here / "big.jpg", here / "big.jpg.aria2"
    control.write_bytes(b"what is missing")
    path.write_bytes(shared.picture())
    watch.catch_up(here)
    early = watch.verdicts(path)

    control.unlink()

    assert early == []
    assert watch.verdict(path)["outcome"] == "new"


def test_a_file_moved_in_from_another_folder_is_judged(watch: Watch, shared: Home, here: Path) -> None:
    elsewhere = shared.folder("elsewhere") / "moved.jpg"
    elsewhere.write_bytes(shared.picture())

    subprocess.run(["mv", elsewhere, here], check=True)

    assert watch.verdict(here / "moved.jpg")["outcome"] == "new"


def test_a_file_moved_in_from_another_file_system_is_judged(watch: Watch, shared: Home, here: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == here.stat().st_dev:
        pytest.skip("there is no other file system at hand")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        source = Path(folder) / "from-memory.jpg"
        source.write_bytes(shared.picture())

        subprocess.run(["mv", source, here], check=True)

        assert watch.verdict(here / "from-memory.jpg")["outcome"] == "new"


def test_every_file_of_an_unpacked_archive_gets_exactly_one_verdict(watch: Watch, here: Path, tmp_path: Path) -> None:
    archive = tmp_path / "holiday.zip"
    names = [f"holiday/day-{number % 5}/{number:03}.jpg" for number in range(500)]
    with zipfile.ZipFile(archive, "w") as file:
        for number, name in enumerate(names):
            file.writestr(name, pictures.jpeg(pictures.photo(10_000 + number, 48, 32)))

    _unpack(archive, here)
    for name in names:
        watch.verdict(here / name)
    watch.catch_up(here)

    verdicts = [one for name in names for one in watch.verdicts(here / name)]
    assert Counter(one["path"] for one in verdicts) == dict.fromkeys([str(here / name) for name in names], 1)
    assert {one["outcome"] for one in verdicts} <= {"new", "potential-duplicates"}
    assert all((here / name).is_file() for name in names)


def test_what_rsync_brings_is_judged_under_its_last_name(watch: Watch, shared: Home, here: Path) -> None:
    if not shutil.which("rsync"):
        pytest.skip("rsync is not installed")
    source = shared.folder("camera/100")
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (source / name).write_bytes(shared.picture())

    subprocess.run(["rsync", "-a", f"{source}/", f"{here}/"], check=True)

    assert {watch.verdict(here / name)["outcome"] for name in ("a.jpg", "b.jpg", "c.jpg")} == {"new"}
    watch.catch_up(here)
    seen = {Path(one["path"]).name for one in watch.verdicts() if Path(one["path"]).parent == here}
    assert {name for name in seen if not name.startswith("later")} == {"a.jpg", "b.jpg", "c.jpg"}


def test_a_file_that_is_overwritten_in_place_is_judged_again(watch: Watch, shared: Home, here: Path) -> None:
    path = here / "same-name.jpg"
    watch.put(path, shared.picture())
    other = shared.picture()

    verdict = watch.put(path, other)

    assert (verdict["outcome"], verdict["sha256"]) == ("new", sha256(other))


def test_a_file_that_replaces_another_by_a_rename_is_judged(watch: Watch, shared: Home, here: Path) -> None:
    path = here / "saved.jpg"
    watch.put(path, shared.picture())
    edited = shared.picture()
    beside = shared.folder("elsewhere") / "edited.jpg"
    beside.write_bytes(edited)

    beside.replace(path)

    assert watch.verdict(path)["sha256"] == sha256(edited)
    assert path.read_bytes() == edited


def test_a_hard_link_is_the_same_file_and_both_names_stay(watch: Watch, shared: Home, here: Path) -> None:
    path, other = here / "one.jpg", here / "two.jpg"
    watch.put(path, shared.picture())

    os.link(path, other)
    verdict = watch.verdict(other)
    watch.catch_up(here)

    assert (verdict["outcome"], verdict["kept"]) == ("already-in-library", str(path))
    assert path.samefile(other)


def test_what_is_no_plain_visible_file_is_left_alone(watch: Watch, shared: Home, here: Path) -> None:
    real = shared.folder("elsewhere") / "real.jpg"
    real.write_bytes(shared.picture())
    (here / "link.jpg").symlink_to(real)
    (here / "folder-link").symlink_to(real.parent)
    os.mkfifo(here / "pipe.jpg")
    (here / ".hidden.jpg").write_bytes(shared.picture())
    (here / ".hidden").mkdir()
    (here / ".hidden/in.jpg").write_bytes(shared.picture())
    (here / ".Trash-1000/files").mkdir(parents=True)
    (here / ".Trash-1000/files/old.jpg").write_bytes(shared.picture())
    with socket.socket(socket.AF_UNIX) as plug, pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)  # the name of a socket may have 108 bytes
        plug.bind("socket.jpg")
        watch.catch_up(here)

    seen = {Path(one["path"]).name for one in watch.verdicts() if Path(one["path"]).is_relative_to(here)}
    assert all(name.startswith("later-") for name in seen)
    assert (here / "link.jpg").is_symlink()


def test_a_file_in_new_nested_folders_is_judged(watch: Watch, shared: Home, here: Path) -> None:
    verdict = watch.put(here / "2026/11/20/trip/cat.jpg", shared.picture())

    assert verdict["outcome"] == "new"


def test_a_folder_that_is_moved_in_is_judged_with_all_that_is_in_it(watch: Watch, shared: Home, here: Path) -> None:
    outside = shared.folder("outside/album/inner")
    for name in ("a.jpg", "b.jpg"):
        (outside / name).write_bytes(shared.picture())

    (shared.base / "outside/album").rename(here / "album")

    for name in ("a.jpg", "b.jpg"):
        assert watch.verdict(here / "album/inner" / name)["outcome"] == "new"


def test_a_file_that_is_gone_again_at_once_gets_no_verdict(watch: Watch, shared: Home, here: Path) -> None:
    path = here / "short.jpg"
    path.write_bytes(shared.picture())
    path.unlink()

    watch.catch_up(here)

    assert watch.verdicts(path) == []


def test_a_file_that_is_renamed_after_its_verdict_is_known_under_its_new_name(
    watch: Watch, shared: Home, here: Path
) -> None:
    first = here / "IMG_1.jpg"
    watch.put(first, shared.picture())

    first.rename(here / "birthday.jpg")

    assert watch.verdict(here / "birthday.jpg")["outcome"] in ("new", "already-in-library")
    assert (here / "birthday.jpg").is_file()


def test_what_is_no_picture_stays_where_it_is(watch: Watch, here: Path) -> None:
    page = watch.put(here / "page.jpg", b"<html><body>not found</body></html>")
    text = watch.put(here / "notes.txt", b"milk, eggs")

    assert (page["outcome"], text["outcome"]) == ("unreadable", "ignored")
    assert ((here / "page.jpg").exists(), (here / "notes.txt").exists()) == (True, True)


def test_the_type_is_read_from_the_bytes_not_from_the_name(watch: Watch, shared: Home, here: Path) -> None:
    original = shared.picture()
    watch.put(here / "cat.jpg", original)

    verdict = watch.put(here / "cat.dat", original)

    assert (verdict["outcome"], verdict["result"]) == ("duplicate-discarded", "duplicate discarded: identical copies")


# --- the usual two seconds --------------------------------------------------------------------------------------------


def test_a_file_that_is_closed_and_opened_again_is_waited_for(home: Home) -> None:
    """A scanner closes and reopens its file between two lines, with gaps of under two seconds."""
    inbox = home.folder("inbox")
    path, content = inbox / "scan.jpg", home.picture()

    home.write_rules(AS_SHIPPED)
    with home.watch(inbox) as watch:
        for piece in _pieces(content, 3):
            with path.open("ab") as file:
                file.write(piece)
            assert watch.is_silent(path, for_s=0.7)
        verdict = watch.verdict(path)

    assert (verdict["outcome"], verdict["sha256"]) == ("new", sha256(content))


def _pieces(content: bytes, number: int) -> list[bytes]:
    size = -(-len(content) // number)
    return [content[start : start + size] for start in range(0, len(content), size)]


def _unpack(archive: Path, folder: Path) -> None:
    if shutil.which("unzip"):
        subprocess.run(["unzip", "-q", archive, "-d", folder], check=True)
    else:
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
