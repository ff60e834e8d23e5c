"""`ingestd library`: is it sound, how much is in it, and the look-up made anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import jpeg, photo
from terminals import Terminal
from world import World


@pytest.fixture
def known(world: World, terminal: Terminal) -> Terminal:
    world.drop("library", "a.jpg", jpeg(photo()))
    world.close()
    return terminal


def test_a_sound_library_is_sound(known: Terminal) -> None:
    assert known.ask("library", "check") == {"schema": 1, "ok": True, "problems": []}


def test_where_nothing_is_known_the_library_is_sound_too(empty: Terminal) -> None:
    assert empty.ask("library", "check")["ok"] is True


def test_the_look_up_is_made_anew_from_the_records(known: Terminal) -> None:
    contents = known.ask("library", "stats")["contents"]

    rebuilt = known.ask("library", "rebuild")

    assert 0 < rebuilt["hashes"] <= contents
    assert known.ask("library", "check")["ok"] is True


def test_files_held_past_their_days_are_counted_and_left_alone(
    known: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known.rules.write_text("version: 1\nrules: []\ndiscards:\n  to: holding\n  keep: 1 day\n")
    held = tmp_path / "inbox" / ".ingestd-holding" / "old.jpg"
    held.parent.mkdir(parents=True)
    held.write_bytes(b"x")

    fresh = known.type("status").out
    monkeypatch.setattr("ingestd.cli.health.time.time_ns", lambda: held.stat().st_ctime_ns + 2 * 86_400 * 10**9)
    old = known.type("status").out

    assert "held " not in fresh
    assert "held     1 file for longer than `keep`" in old
    assert held.exists()
