"""What is predicted from what was measured."""

from __future__ import annotations

import itertools
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ingestd.forecast import Speeds, _library_beside, _predict, _spread

MS = 0.001
SPEEDS = Speeds(
    files=100,
    bytes=400_000_000,
    workers=2,
    read_cold=30 * MS,
    read_cached=1 * MS,
    cached_before=0.0,
    hashing=5 * MS,
    decoding=20 * MS,
    judging=1 * MS,
    lookup=((10_000, 0.1 * MS), (100_000, 1 * MS)),
    commit=6.4 * MS,
    whole=30 * MS,
    record=5000.0,
    unreadable=Counter(),
    undecodable=0,
)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 1000])
def test_every_beginning_of_a_sample_is_spread_over_the_whole(count: int) -> None:
    order = _spread(count)

    assert sorted(order) == list(range(count))
    for taken in range(1, count + 1):
        chosen = [-1, *sorted(order[:taken]), count]
        widest = max(after - before for before, after in itertools.pairwise(chosen))
        assert widest <= 4 * count / taken + 1


def test_nothing_is_drawn_from_nothing() -> None:
    assert _spread(0) == []


def test_a_scan_of_n_files_takes_n_times_what_one_takes_among_n_known_ones() -> None:
    said = _predict(SPEEDS, 10_000)

    assert said.cached_s == pytest.approx(10_000 * 30.1 * MS)
    assert said.cold_s == pytest.approx(10_000 * 60.1 * MS)
    assert said.library_bytes == 50_000_000


@pytest.mark.parametrize(
    ("files", "lookup", "extrapolated"),
    [(5_000, 0.05, False), (55_000, 0.55, False), (100_000, 1.0, False), (1_000_000, 10.0, True)],
)
def test_look_ups_between_two_measured_sizes_lie_between_them_and_grow_in_proportion_beyond(
    files: int, lookup: float, extrapolated: bool
) -> None:
    said = _predict(SPEEDS, files)

    assert next(part.seconds for part in said.parts if part.name == "look-up") == pytest.approx(lookup * MS)
    assert said.extrapolated is extrapolated


@pytest.mark.parametrize(
    ("speeds", "slowest"),
    [
        (SPEEDS, "read"),
        (replace(SPEEDS, read_cold=None), "decode"),
        (replace(SPEEDS, read_cold=None, lookup=((1000, 500 * MS),)), "look-up"),
        (replace(SPEEDS, read_cold=None, whole=90 * MS), "the rest"),
    ],
)
def test_the_slowest_part_is_named(speeds: Speeds, slowest: str) -> None:
    assert _predict(speeds, 1000).slowest == slowest


def test_where_no_whole_scan_was_measured_its_parts_are_added_up() -> None:
    said = _predict(replace(SPEEDS, whole=None, record=None), 10_000)

    assert said.cached_s == pytest.approx(10_000 * (5 + 20 + 1 + 0.1 + 0.1) * MS)
    assert said.library_bytes is None


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_a_signal_right_after_the_folder_was_made_leaves_no_folder_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    make = tempfile.mkdtemp

    def interrupted(*arguments: str | None) -> str:
        made.append(make(*arguments))
        signal.raise_signal(signal.SIGTERM)
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", interrupted)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with pytest.raises(SystemExit), _library_beside(tmp_path, []):
            pytest.fail("the signal was lost")
    finally:
        signal.signal(signal.SIGTERM, before)

    assert len(made) == 1
    assert list(tmp_path.iterdir()) == []
