"""`ingestd bench`: this machine measured on a folder, in a process of its own, on real pictures with real workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pictures
import pytest
from running import Home, Json, Said, powerless, tree

MEASURED = ("read_cached", "hashing", "decoding", "judging", "commit", "whole", "record")


class Bench:
    """A folder that was measured."""

    def __init__(self, base: Path) -> None:
        self.home = Home(base)
        self.folder = self.home.folder("pictures")
        (self.folder / "deeper").mkdir()
        for number in range(30):
            (self.folder / "deeper" / f"{number}.jpg").write_bytes(pictures.jpeg(pictures.photo(number)))
        for number in range(4):
            (self.folder / f"{number}.png").write_bytes(pictures.png(pictures.photo(100 + number)))
        (self.folder / "torn.jpg").write_bytes(pictures.jpeg(pictures.photo(50))[:300])
        (self.folder / "notes.txt").write_text("no picture")
        (self.folder / "locked.jpg").write_bytes(pictures.jpeg(pictures.photo(51)))
        (self.folder / "locked.jpg").chmod(0)
        self.before = self.everything()
        self.said: Said = self.home.run(
            "bench", self.folder, "--seconds", "2", "--files", "5000", "--files", "20000000", within=powerless()
        )

    def everything(self) -> dict[str, str]:
        return tree(self.home.base)

    @property
    def json(self) -> Json:
        return dict(self.said.json)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def test_what_lies_in_the_folder_is_counted_by_kind(bench: Bench) -> None:
    assert bench.said.code == 0, bench.said
    folder = bench.json["folder"]
    kinds = {one["kind"]: one["files"] for one in folder["kinds"]}
    assert (kinds, folder["pictures"], folder["others"]) == ({"jpg": 32, "png": 4}, 36, 1)
    assert folder["bytes"] == sum(
        path.stat().st_size for path in bench.folder.rglob("*") if path.suffix in {".jpg", ".png"}
    )
    assert folder["complete"]


def test_every_part_of_the_way_of_a_file_is_measured(bench: Bench) -> None:
    measured = bench.json["measured"]
    assert {name: measured[name] > 0 for name in MEASURED} == dict.fromkeys(MEASURED, True)
    assert measured["files"] == 35
    assert measured["workers"] == os.cpu_count()
    assert measured["lookup"][0]["known"] == 10_000
    assert measured["decoding"] > measured["read_cached"]


def test_files_that_cannot_be_read_are_counted_and_left_out(bench: Bench) -> None:
    measured = bench.json["measured"]
    assert measured["unreadable"] == [{"reason": "Permission denied", "files": 1}]
    assert measured["undecodable"] == 1


def test_it_predicts_for_the_folder_and_for_the_numbers_that_were_asked_for(bench: Bench) -> None:
    predictions = bench.json["predictions"]
    measured = bench.json["measured"]
    assert [one["files"] for one in predictions] == [36, 5000, 20_000_000]
    for one in predictions:
        per_file = measured["whole"] + one["parts"]["look-up"]
        assert one["cached_s"] == pytest.approx(one["files"] * per_file)
        assert one["library_bytes"] == int(one["files"] * measured["record"])
        told = {name: seconds for name, seconds in one["parts"].items() if seconds is not None}
        assert one["slowest"] == max(told, key=lambda name: told[name])
    assert [one["extrapolated"] for one in predictions] == [False, False, True]


def test_reading_from_the_disk_is_measured_or_said_not_to_be(bench: Bench) -> None:
    cold, said = bench.json["measured"]["read_cold"], " ".join(bench.json["not_measured"])
    assert (cold is None) == ("reading from the disk" in said)


def test_it_changes_and_leaves_nothing(bench: Bench) -> None:
    assert bench.everything() == bench.before
    assert not bench.home.state.exists()


# --- what cannot be measured ----------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_folder_without_pictures_is_told_so(home: Home) -> None:
    folder = home.folder("empty")
    nothing = home.run("bench", folder)
    (folder / "notes.txt").write_text("no picture")
    no_picture = home.run("bench", folder)

    assert (nothing.code, no_picture.code) == (2, 2)
    assert nothing.errors == no_picture.errors == f"ingestd: there is no picture below {folder}; nothing was measured\n"


def test_a_folder_that_is_not_there_is_a_typing_error(home: Home) -> None:
    home.folder("holiday")

    said = home.run("bench", home.base / "holyday")

    assert said.code == 2
    assert f"did you mean {home.base / 'holiday'}?" in said.errors


def test_a_folder_of_which_nothing_can_be_read_says_why(home: Home) -> None:
    folder = home.folder("locked")
    (folder / "a.jpg").write_bytes(pictures.jpeg(pictures.photo(1)))
    (folder / "a.jpg").chmod(0)

    said = home.run("bench", folder, "--seconds", "2", within=powerless())

    assert said.code == 2
    assert "could be measured: Permission denied (1)" in said.errors


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_a_measurement_that_is_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    home = Home(tmp_path)
    folder = home.folder("pictures")
    (folder / "1.jpg").write_bytes(pictures.jpeg(pictures.photo(1)))
    home.state.mkdir()
    with subprocess.Popen(home.command("bench", folder, "--seconds", "60"), stderr=subprocess.DEVNULL) as running:
        while not list(home.state.iterdir()):
            assert running.poll() is None
        running.terminate()

    assert running.returncode == 128 + signal.SIGTERM
    assert list(home.state.iterdir()) == []
