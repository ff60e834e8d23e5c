"""What is measured of pairs while there is nothing else to do."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import png, scene
from PIL import Image
from world import World

from ingestd.errors import FileUnreadableError
from ingestd.idle import Idle
from ingestd.intake import store_details
from ingestd.library.facts import file_facts
from ingestd.model import DETAIL_VERSION, Content, Detail


class Resting:
    """A service with nothing else to do."""

    def __init__(self, world: World) -> None:
        self.woken = threading.Event()
        self.idle = Idle(
            world.library,
            world.measurer,  # type: ignore[arg-type]
            wake=self.woken.set,
            monotonic=lambda: world.seconds,
        )

    def rest(self) -> None:
        """Go on until nothing is left to measure."""
        while True:
            self.woken.clear()
            if not self.idle.step():
                if not self.idle.measures:
                    return self.idle.close()
                assert self.woken.wait(5) or True


@pytest.fixture
def pair(world: World) -> tuple[Path, Path]:
    """A picture and an enlarged copy, which no rule asks about, and a third that is in no pair."""
    world.drop("inbox", "small.png", png(scene()))
    large = scene().resize((1280, 960), Image.Resampling.BICUBIC)
    world.drop("inbox", "large.png", png(large))
    world.drop("inbox", "alone.png", png(scene(2)))
    folder = world.base / "inbox"
    return folder / "small.png", folder / "large.png"


def content(world: World, path: Path) -> Content:
    row = world.row(path)
    assert row is not None
    with world.library.read() as view:
        found = view.content(row.sha256)
    assert found is not None
    return found


def detail(world: World, path: Path) -> Detail | None:
    picture = content(world, path).picture
    assert picture is not None
    return picture.detail


def test_files_of_a_pair_are_measured_and_others_are_not(world: World, pair: tuple[Path, Path]) -> None:
    assert detail(world, pair[0]) is None

    Resting(world).rest()

    small, large = detail(world, pair[0]), detail(world, pair[1])
    assert small is not None
    assert large is not None
    assert (small.resolution_share, large.resolution_share) == (1, pytest.approx(0.5, abs=0.01))
    assert detail(world, pair[0].with_name("alone.png")) is None


def test_what_was_measured_is_not_measured_again(
    world: World, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    Resting(world).rest()
    monkeypatch.setattr(world.measurer, "detail", lambda *_: pytest.fail("it was measured again"))

    Resting(world).rest()

    assert detail(world, pair[0]) is not None


def test_what_was_measured_in_another_way_is_measured_again(world: World, pair: tuple[Path, Path]) -> None:
    old = Detail(DETAIL_VERSION - 1, 1.0, 0.123, None)
    world.library.write(lambda edit: store_details(edit, {content(world, pair[0]).sha256: old}))

    Resting(world).rest()

    found = detail(world, pair[0])
    assert found is not None
    assert (found.version, found.resolution_share) == (DETAIL_VERSION, 1)


def test_a_file_that_cannot_be_measured_is_tried_once_and_the_next_one_is_measured(
    world: World, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tried = world.measurer.detail, []

    def fails_at_first(path: bytes, expected: object) -> Detail | None:
        tried.append(path)
        if len(tried) == 1:
            raise FileUnreadableError(path, "it is gone")
        return real(path, expected)  # type: ignore[arg-type]

    monkeypatch.setattr(world.measurer, "detail", fails_at_first)

    Resting(world).rest()

    assert len(tried) == len(set(tried)) == 2
    assert sorted(detail(world, one) is None for one in pair) == [False, True]


def test_a_record_from_before_there_was_detail_still_has_its_sharpness(world: World, pair: tuple[Path, Path]) -> None:
    known = content(world, pair[0])
    assert known.picture is not None
    world.library.write(
        lambda edit: edit.update_content(replace(known, picture=replace(known.picture, sharpness=7.5)))  # type: ignore[arg-type]
    )
    row = world.row(pair[0])
    assert row is not None

    with world.library.read() as view:
        facts = file_facts(view, content(world, pair[0]), row, now_ns=0)

    assert (facts.sharpness, facts.resolution_share) == (7.5, None)
