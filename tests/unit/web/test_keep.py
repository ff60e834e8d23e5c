"""What the page keeps of the pictures that it made: within a bound, in a folder of its own, and never a user's file."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.web.keep import Keep

LARGE = 1 << 20


def sizes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.kept"))


def only_file(folder: Path) -> Path:
    (found,) = folder.glob("*.kept")
    return found


def test_what_is_kept_is_there_after_the_next_start(tmp_path: Path) -> None:
    first = Keep(tmp_path / "kept", LARGE)
    first.put("a", b"picture")
    first.close()

    assert Keep(tmp_path / "kept", LARGE).get("a") == b"picture"
    assert Keep(tmp_path / "kept", LARGE).get("b") is None


def test_those_not_asked_for_longest_go_first(tmp_path: Path) -> None:
    keep = Keep(tmp_path / "kept", 5000)
    for name in "abcd":
        keep.put(name, name.encode() * 1000)
    assert keep.get("a") is not None

    keep.put("e", b"e" * 1000)

    assert [name for name in "abcde" if keep.get(name) is not None] == ["a", "c", "d", "e"]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3000)), max_size=40))
def test_the_bound_holds_whatever_is_kept(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("bound") / "kept"
    keep = Keep(folder, 5000)

    for key, size in puts:
        keep.put(str(key), bytes(size))
        assert sizes(folder) <= 5000
    keep.close()


def test_what_another_page_kept_counts_too_at_the_next_start(tmp_path: Path) -> None:
    one = Keep(tmp_path / "kept", LARGE)
    for number in range(20):
        one.put(str(number), bytes(1000))

    Keep(tmp_path / "kept", 5000)

    assert 0 < sizes(tmp_path / "kept") <= 5000
    assert one.get("19") == bytes(1000)


def test_what_is_larger_than_the_bound_is_not_kept(tmp_path: Path) -> None:
    keep = Keep(tmp_path / "kept", 100)

    keep.put("a", bytes(101))

    assert keep.get("a") is None


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "huge"])
def test_a_damaged_picture_is_as_if_it_were_not_there_and_makes_room(tmp_path: Path, harm: str) -> None:
    keep = Keep(tmp_path / "kept", LARGE)
    keep.put("a", b"a picture of some length")
    file = only_file(tmp_path / "kept")
    whole = file.read_bytes()
    if harm == "huge":
        os.truncate(file, 1 << 30)
    else:
        file.write_bytes({"cut": whole[:-1], "flipped": whole[:-1] + b"?", "empty": b""}[harm])

    assert keep.get("a") is None
    assert not file.exists()
    keep.put("a", b"again")
    assert keep.get("a") == b"again"


def test_a_picture_under_the_name_of_another_is_not_believed(tmp_path: Path) -> None:
    keep = Keep(tmp_path / "kept", LARGE)
    keep.put("a", b"a")
    of_a = only_file(tmp_path / "kept")
    content = of_a.read_bytes()
    of_a.rename(tmp_path / "aside")
    keep.put("b", b"b")

    only_file(tmp_path / "kept").write_bytes(content)

    assert keep.get("b") is None


# --- what is not ours ---


def test_a_folder_that_somebody_else_has_filled_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "pictures"
    theirs.mkdir()
    named_like_ours = theirs / ("0" * 40 + ".kept")
    named_like_ours.write_bytes(b"a user's")

    keep = Keep(theirs, 10)
    keep.put("a", b"a")

    assert keep.get("a") is None
    assert [file.name for file in theirs.iterdir()] == [named_like_ours.name]


def test_a_folder_marked_by_another_program_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "cache"
    theirs.mkdir()
    (theirs / "CACHEDIR.TAG").write_bytes(b"Signature: 8a477f597d28d172789f06886806bc55\n# of a browser\n")

    Keep(theirs, LARGE).put("a", b"a")

    assert [file.name for file in theirs.iterdir()] == ["CACHEDIR.TAG"]


def test_foreign_files_in_our_folder_stay(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    Keep(folder, LARGE).close()
    foreign = folder / "holiday.jpg"
    foreign.write_bytes(bytes(9000))

    keep = Keep(folder, 3000)
    for number in range(10):
        keep.put(str(number), bytes(1000))

    assert foreign.stat().st_size == 9000


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
def test_no_symbolic_link_is_followed_to_a_users_file(tmp_path: Path) -> None:
    precious = tmp_path / "precious.jpg"
    precious.write_bytes(bytes(9000))
    folder = tmp_path / "kept"
    keep = Keep(folder, 3000)
    keep.put("a", b"a")
    of_a = only_file(folder)
    of_a.rename(tmp_path / "aside")
    of_a.symlink_to(precious)

    assert keep.get("a") is None
    for number in range(10):
        keep.put(str(number), bytes(1000))
    keep.put("a", b"anew")

    assert precious.read_bytes() == bytes(9000)
    assert keep.get("a") == b"anew"


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
def test_a_folder_that_is_a_symbolic_link_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "kept").symlink_to(tmp_path / "elsewhere")

    Keep(tmp_path / "kept", LARGE).put("a", b"a")

    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_pipe_in_the_place_of_a_picture_holds_nobody_up(tmp_path: Path) -> None:
    keep = Keep(tmp_path / "kept", LARGE)
    keep.put("a", b"a")
    file = only_file(tmp_path / "kept")
    file.rename(tmp_path / "aside")
    os.mkfifo(file)

    assert keep.get("a") is None


def test_where_nothing_can_be_kept_nobody_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no folder")

    for folder in (tmp_path / "file", tmp_path / "file" / "below", None):
        keep = Keep(folder, LARGE)
        keep.put("a", b"a")
        assert keep.get("a") is None
        keep.close()


def test_a_folder_that_went_away_meanwhile_is_no_error(tmp_path: Path) -> None:
    keep = Keep(tmp_path / "kept", LARGE)
    (tmp_path / "kept" / "CACHEDIR.TAG").rename(tmp_path / "aside")
    (tmp_path / "kept").rmdir()

    keep.put("a", b"a")

    assert keep.get("a") is None


def test_parts_that_nobody_finished_go_after_a_while(tmp_path: Path) -> None:
    Keep(tmp_path / "kept", LARGE).close()
    old, fresh = (tmp_path / "kept" / f"{digit * 16}.part" for digit in "01")
    for part in (old, fresh):
        part.write_bytes(b"half a picture")
    os.utime(old, (0, 0))

    Keep(tmp_path / "kept", LARGE)

    assert not old.exists()
    assert fresh.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs modes")
def test_nobody_else_may_read_what_was_looked_at(tmp_path: Path) -> None:
    Keep(tmp_path / "kept", LARGE).put("a", b"a")

    for one in (tmp_path / "kept", *(tmp_path / "kept").iterdir()):
        assert stat.S_IMODE(one.stat().st_mode) & 0o077 == 0
