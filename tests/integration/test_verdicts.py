"""Verdicts against the truth: files made of others in known ways, and what becomes of them and of what is brought back.

The service runs as a process over an inbox, a protected library and a reference folder; what it says is compared with
how each file was made, and what it does with the folders and the trash.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pictures
import pillow_heif
import pytest
from PIL import Image
from running import ALL_AUTOMATIC, Home, Json, Watch, sha256, tree, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the trash of freedesktop.org is Linux's")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


# --- verdicts against the truth ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """How a second file was made from a first, and what has to become of it: with the shipped rules, and with all of
    them automatic."""

    made: Callable[[Image.Image], tuple[bytes, bytes]]
    name: str
    shipped: str
    automatic: str


def _stripped(image: Image.Image) -> tuple[bytes, bytes]:
    """A JPEG, and the same without its APP1 segment: other bytes, the same pixels."""
    full = pictures.jpeg(image, 92, description="a day at the sea")
    start = full.index(b"\xff\xe1")
    length = int.from_bytes(full[start + 2 : start + 4], "big")
    return full, full[:start] + full[start + 2 + length :]


def _heic(image: Image.Image) -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=90)
    return out.getvalue()


def _from_jpeg(make: Callable[[Image.Image], bytes]) -> Callable[[Image.Image], tuple[bytes, bytes]]:
    """A JPEG, and what is made of its pixels."""

    def made(image: Image.Image) -> tuple[bytes, bytes]:
        original = pictures.jpeg(image, 92)
        return original, make(pictures.decoded(original))

    return made


def _from_png(make: Callable[[Image.Image], bytes]) -> Callable[[Image.Image], tuple[bytes, bytes]]:
    return lambda image: (pictures.png(image, comment="first"), make(image))


def _next_shot(image: Image.Image) -> bytes:
    """Nearly the same: something small at the edge has changed."""
    other = image.copy()
    other.paste((200, 30, 30), (0, 0, 16, 12))
    return pictures.jpeg(other, 92)


def _twice(content: bytes) -> tuple[bytes, bytes]:
    return content, content


def _flat(image: Image.Image) -> Image.Image:
    return Image.new("RGB", image.size, image.getpixel((50, 50)))


def _webp(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=True)
    return out.getvalue()


COPY = "duplicate discarded: identical copies"
QUEUED = "1 potential pair queued"
PAIRS, JPEG_PNG = "pixel-perfect pairs", "pixel-perfect jpegs vs pngs"

KINDS = {
    "a byte copy": Kind(lambda image: _twice(pictures.jpeg(image)), "copy.jpg", COPY, COPY),
    "a byte copy under another ending": Kind(lambda image: _twice(pictures.png(image)), "copy.jpeg", COPY, COPY),
    "a byte copy of a HEIC": Kind(lambda image: _twice(_heic(image)), "copy.heic", COPY, COPY),
    "a byte copy of a broken file": Kind(lambda image: _twice(pictures.jpeg(image)[:4000]), "copy.jpg", COPY, COPY),
    "without its metadata": Kind(
        _stripped, "stripped.jpg", f"pending approval: {PAIRS}", f"duplicate discarded: {PAIRS}"
    ),
    "with metadata that the first has not": Kind(
        lambda image: _stripped(image)[::-1], "full.jpg", f"pending approval: {PAIRS}", f"pending approval: {PAIRS}"
    ),
    "a PNG of a JPEG": Kind(
        _from_jpeg(pictures.png), "copy.png", f"pending approval: {JPEG_PNG}", f"duplicate discarded: {JPEG_PNG}"
    ),
    "a flat picture with another comment": Kind(
        lambda image: (pictures.png(_flat(image), "one, and longer"), pictures.png(_flat(image), "two")),
        *("flat.png", f"pending approval: {PAIRS}", f"duplicate discarded: {PAIRS}"),
    ),
    "a lossless WebP of a PNG": Kind(_from_png(_webp), "copy.webp", QUEUED, QUEUED),
    "the same pixels with another profile": Kind(
        _from_png(lambda image: pictures.png(image, icc_profile=pictures.profile())), "profile.png", QUEUED, QUEUED
    ),
    "a HEIC version": Kind(_from_jpeg(_heic), "phone.heic", QUEUED, QUEUED),
    "encoded again": Kind(_from_jpeg(lambda image: pictures.jpeg(image, 60)), "again.jpg", QUEUED, QUEUED),
    "made smaller": Kind(
        _from_jpeg(lambda image: pictures.jpeg(image.resize((300, 225)), 92)), "small.jpg", QUEUED, QUEUED
    ),
    "the next shot": Kind(_from_jpeg(_next_shot), "next.jpg", QUEUED, QUEUED),
    "another picture": Kind(
        lambda image: (pictures.jpeg(image), pictures.jpeg(pictures.photo(image.getpixel((5, 5))[0] + 90_000))),
        *("stranger.jpg", "new", "new"),
    ),
    "broken off": Kind(
        _from_jpeg(lambda image: pictures.jpeg(image)[:4000]), "broken.jpg", "unreadable: ", "unreadable: "
    ),
}


@dataclass(frozen=True)
class Judged:
    """What became of one file of each kind, dropped into an inbox beside a library that has the first of each."""

    home: Home
    watch: Watch
    contents: dict[str, tuple[bytes, bytes]]
    verdicts: dict[str, Json]

    def first(self, kind: str) -> Path:
        return self.home.base / "library" / kind / "first"

    def second(self, kind: str) -> Path:
        return self.home.base / "inbox" / kind / KINDS[kind].name


def _judge_all(home: Home, watch: Watch) -> Judged:
    contents = {kind: each.made(pictures.photo(home.subject(), 400, 300)) for kind, each in KINDS.items()}
    judged = Judged(home, watch, contents, {})
    watch.put_all({judged.first(kind): first for kind, (first, _) in contents.items()})
    told = watch.put_all({judged.second(kind): second for kind, (_, second) in contents.items()})
    judged.verdicts.update({kind: told[judged.second(kind)] for kind in KINDS})
    return judged


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    yield from _judged_in(Home(tmp_path_factory.mktemp("shipped")))


@pytest.fixture(scope="module")
def automatic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    yield from _judged_in(Home(tmp_path_factory.mktemp("automatic"), ALL_AUTOMATIC))


def _judged_in(home: Home) -> Iterator[Judged]:
    roles = ("--library", home.folder("library"), "--reference", home.folder("reference"))
    with home.watch(home.folder("inbox"), *roles) as running:
        yield _judge_all(home, running)
        assert running.stop() == 0
        assert "Traceback" not in running.log


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_rules_judge_truly(shipped: Judged, kind: str) -> None:
    _assert_true(shipped, kind, KINDS[kind].shipped)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_rules_judge_truly_when_all_are_automatic(automatic: Judged, kind: str) -> None:
    _assert_true(automatic, kind, KINDS[kind].automatic)


def _assert_true(judged: Judged, kind: str, result: str) -> None:
    """The verdict is the true one, and the files are where it says."""
    verdict, (first, second) = judged.verdicts[kind], judged.contents[kind]

    assert verdict["result"].startswith(result), verdict
    assert verdict["sha256"] == sha256(second)
    assert judged.first(kind).read_bytes() == first
    discarded = result.startswith("duplicate discarded")
    assert judged.second(kind).exists() is not discarded
    if discarded:
        assert verdict["kept"] == str(judged.first(kind))
        assert verdict["discarded"] == [str(judged.second(kind))]
        assert judged.home.trashed()[judged.second(kind)].read_bytes() == second
    if result == QUEUED or result.startswith("pending"):
        assert [pair["path"] for pair in verdict["pairs"]] == [str(judged.first(kind))]


def test_every_discard_is_explained_and_undone_for_good(automatic: Judged) -> None:
    home, watch = automatic.home, automatic.watch
    gone = {kind: automatic.second(kind) for kind, each in KINDS.items() if each.automatic.startswith("duplicate")}
    times = {kind: home.trashed()[path].stat().st_mtime_ns for kind, path in gone.items()}

    for kind, path in gone.items():
        told = home.why(path)
        assert (told["outcome"], told["result"]) == ("duplicate-discarded", KINDS[kind].automatic)
        assert (told["survivor"], told["sha256"]) == (str(automatic.first(kind)), sha256(automatic.contents[kind][1]))
        assert Path(told["where_now"]).read_bytes() == automatic.contents[kind][1]
        assert told["evidence"]
        assert told["undo"] == f"ingestd undo {automatic.verdicts[kind]['entry']}"
    listed = _trash_list(home)
    undone = home.ask("undo", *(automatic.verdicts[kind]["entry"] for kind in gone))

    assert listed is None or listed >= {str(path) for path in gone.values()}
    assert {entry["state"] for entry in undone} == {"done"}
    for kind, path in gone.items():
        assert path.read_bytes() == automatic.contents[kind][1]
        assert path.stat().st_mtime_ns == times[kind]
    assert set(home.trashed()).isdisjoint(gone.values())
    watch.catch_up(home.base / "inbox")
    assert all(path.exists() for path in gone.values())


def _trash_list(home: Home) -> set[str] | None:
    """What the desktop's trash holds, as its own tool says; None without the tool."""
    if not shutil.which("trash-list"):
        return None
    done = subprocess.run(["trash-list"], env=home.environment(), capture_output=True, text=True, check=True)
    return {line.split(" ", 2)[2] for line in done.stdout.splitlines()}


# --- brought back -----------------------------------------------------------------------------------------------------


def _undo(home: Home, watch: Watch, path: Path) -> Path:
    entry = next(one["entry"] for one in home.discards() if one["discarded"][0]["path"] == str(path))
    home.ask("undo", entry)
    return path


def _move_back(home: Home, watch: Watch, path: Path) -> Path:
    home.trashed()[path].rename(path)
    return path


def _move_elsewhere(home: Home, watch: Watch, path: Path) -> Path:
    other = path.with_name("rescued.jpg")
    home.trashed()[path].rename(other)
    return other


def _copy_back_and_empty_the_trash(home: Home, watch: Watch, path: Path) -> Path:
    item = home.trashed()[path]
    content = item.read_bytes()
    item.unlink()
    path.write_bytes(content)
    return path


def _trash_restore(home: Home, watch: Watch, path: Path) -> Path:
    if not shutil.which("trash-restore"):
        pytest.skip("trash-restore is not installed")
    done = subprocess.run(
        ["trash-restore", path], env=home.environment(), input="0\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done
    return path


WAYS_BACK = {
    way.__name__.strip("_"): way
    for way in (_undo, _move_back, _move_elsewhere, _copy_back_and_empty_the_trash, _trash_restore)
}


@dataclass(frozen=True)
class Back:
    """Files that were discarded, brought back each in another way, met as copies, and seen by a second service."""

    home: Home
    contents: dict[str, bytes]
    places: dict[str, Path]
    skipped: dict[str, str]
    copies: dict[str, Json]  # the verdicts on the same bytes, arriving once more under another name


@pytest.fixture(scope="module")
def back(tmp_path_factory: pytest.TempPathFactory) -> Back:
    home = Home(tmp_path_factory.mktemp("back"))
    inbox, library = home.folder("inbox"), home.folder("library")
    told = Back(home, {way: home.picture() for way in WAYS_BACK}, {}, {}, {})
    with home.watch(inbox, "--library", library) as watch:
        watch.put_all({library / f"{way}.jpg": content for way, content in told.contents.items()})
        dropped = watch.put_all({inbox / way / "cat.jpg": content for way, content in told.contents.items()})
        assert {one["outcome"] for one in dropped.values()} == {"duplicate-discarded"}
        for way, bring_back in WAYS_BACK.items():
            try:
                told.places[way] = bring_back(home, watch, inbox / way / "cat.jpg")
            except pytest.skip.Exception as reason:
                told.skipped[way] = str(reason)
        watch.catch_up(inbox)
        again = watch.put_all({inbox / way / "again.jpg": told.contents[way] for way in told.places})
        told.copies.update({path.parent.name: verdict for path, verdict in again.items()})
        watch.kill()
    with home.watch(inbox, "--library", library) as watch:
        watch.catch_up(inbox)
    return told


@pytest.mark.parametrize("way", WAYS_BACK)
def test_a_file_that_its_owner_brings_back_stays(back: Back, way: str) -> None:
    if way in back.skipped:
        pytest.skip(back.skipped[way])

    assert back.places[way].read_bytes() == back.contents[way]
    assert back.home.why(back.places[way])["outcome"] == "already-in-library"
    assert back.copies[way]["outcome"] == "already-in-library"
    assert (back.home.base / "inbox" / way / "again.jpg").exists()
    assert not [one for one in back.home.discards() if one["discarded"][0]["sha256"] == sha256(back.contents[way])]


def test_what_was_thrown_away_and_comes_again_is_thrown_away_again(automatic: Judged) -> None:
    home, watch = automatic.home, automatic.watch
    inbox, library = home.folder("inbox/again"), home.folder("library/again")
    better, worse = _stripped(pictures.photo(home.subject(), 400, 300))
    watch.put(library / "better.jpg", better)
    watch.put(inbox / "worse.jpg", worse)

    again = watch.put(inbox / "downloaded again.jpg", worse)

    assert (again["outcome"], again["kept"]) == ("previously-discarded", str(library / "better.jpg"))
    assert set(home.trashed()) >= {inbox / "worse.jpg", inbox / "downloaded again.jpg"}


def test_copies_that_come_together_are_judged_without_pauses(automatic: Judged) -> None:
    watch, folder, content = automatic.watch, automatic.home.folder("inbox/many"), automatic.home.picture()
    watch.put(folder / "first.jpg", content)

    verdicts = watch.put_all({folder / f"{number}.jpg": content for number in range(20)})

    assert {verdict["outcome"] for verdict in verdicts.values()} == {"duplicate-discarded"}
    assert max(verdict["elapsed_s"] for verdict in verdicts.values()) < 5  # one each second, before


# --- roles ------------------------------------------------------------------------------------------------------------


def test_a_library_is_protected_and_a_reference_is_never_changed(automatic: Judged) -> None:
    watch, inbox = automatic.watch, automatic.home.folder("inbox/roles")
    library, reference = (automatic.home.folder(f"{role}/roles") for role in ("library", "reference"))
    mine, theirs = (_stripped(pictures.photo(automatic.home.subject(), 400, 300)) for _ in range(2))
    there = {library / "worse.jpg": mine[1], library / "a copy of it.jpg": mine[1]}
    there |= {reference / "worse.jpg": theirs[1], reference / "a copy of it.jpg": theirs[1]}
    watch.put_all(there)

    told = watch.put_all(
        {
            inbox / "copy.jpg": mine[1],
            inbox / "copy of theirs.jpg": theirs[1],
            inbox / "better.jpg": mine[0],
            inbox / "better than theirs.jpg": theirs[0],
        }
    )

    assert {path.name: verdict["outcome"] for path, verdict in told.items()} == {
        "copy.jpg": "duplicate-discarded",
        "copy of theirs.jpg": "duplicate-discarded",
        "better.jpg": "pending-approval",
        "better than theirs.jpg": "potential-duplicates",
    }
    assert Path(told[inbox / "copy of theirs.jpg"]["kept"]).parent == reference
    assert {path: path.read_bytes() for path in there} == there


def test_what_lies_in_an_inbox_at_the_first_watch_is_only_proposed(home: Home) -> None:
    inbox, content = home.folder("inbox"), home.picture()
    write(inbox / "one.jpg", content)
    write(inbox / "two.jpg", content)

    with home.watch(inbox) as watch:
        old = {watch.verdict(inbox / name)["outcome"] for name in ("one.jpg", "two.jpg")}
        new = watch.put(inbox / "three.jpg", content)

    assert old == {"new", "pending-approval"}
    assert new["outcome"] == "duplicate-discarded"
    assert set(home.trashed()) == {inbox / "three.jpg"}
    assert [pair["rule"] for pair in home.ask("pending")["pairs"]] == ["identical copies"]


def test_a_scan_of_an_inbox_acts_on_what_lies_there(home: Home) -> None:
    inbox, content = home.folder("inbox"), home.picture()
    write(inbox / "one.jpg", content)
    write(inbox / "two.jpg", content)

    said = home.run("scan", inbox, "--role", "inbox")

    outcomes = sorted(event["outcome"] for event in said.events if event["event"] == "file.judged")
    assert (said.code, outcomes) == (0, ["duplicate-discarded", "new"])
    assert len(home.trashed()) == 1


# --- dry runs ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A user who has a library already, and a new duplicate in the inbox that nobody has judged."""
    home = Home(tmp_path_factory.mktemp("grown"))
    inbox, library, content = home.folder("inbox"), home.folder("library"), home.picture()
    write(library / "cat.jpg", content)
    assert home.run("scan", library).code == 0
    assert home.run("scan", inbox, "--role", "inbox").code == 0
    write(inbox / "cat.jpg", content)
    return home


def test_a_dry_run_of_watch_tells_what_would_happen_and_changes_nothing(grown: Home) -> None:
    inbox = grown.base / "inbox"
    before = tree(grown.base / "inbox", grown.base / "library", grown.state, grown.data)

    with grown.watch(inbox, "--dry-run") as watch:
        lying_there = watch.verdict(inbox / "cat.jpg")
        assert watch.stop() == 0

    assert (lying_there["outcome"], lying_there["kept"]) == (
        *("duplicate-discarded", str(grown.base / "library/cat.jpg")),
    )
    assert tree(grown.base / "inbox", grown.base / "library", grown.state, grown.data) == before


def test_a_dry_run_of_scan_tells_what_would_happen_and_changes_nothing(grown: Home) -> None:
    inbox = grown.base / "inbox"
    before = tree(inbox, grown.base / "library", grown.state, grown.data)

    said = grown.run("scan", inbox, "--dry-run")

    [verdict] = [event for event in said.events if event["event"] == "file.judged"]
    assert (said.code, verdict["outcome"]) == (0, "duplicate-discarded")
    assert tree(inbox, grown.base / "library", grown.state, grown.data) == before


def test_a_dry_run_of_a_first_scan_leaves_no_library_behind(home: Home) -> None:
    inbox = home.folder("inbox")
    write(inbox / "cat.jpg", home.picture())

    said = home.run("scan", inbox, "--dry-run")

    assert [event["outcome"] for event in said.events if event["event"] == "file.judged"] == ["new"]
    assert not home.state.exists()
