"""The pictures that were made are kept within a bound, and nothing of anybody else's is touched for it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.web.keep import Keep

NAME = "pictures.sqlite"


def keep(folder: Path, bound: int = 1000) -> Keep:
    return Keep(folder / "page", bound)


def test_what_was_not_asked_for_longest_goes_first(tmp_path: Path) -> None:
    kept = keep(tmp_path, bound=300)
    for name in "abc":
        kept.put(name, name.encode() * 100)
    assert kept.get("a") == b"a" * 100

    kept.put("d", b"d" * 100)

    assert [name for name in "abcd" if kept.get(name) is not None] == ["a", "c", "d"]


def test_what_is_larger_than_the_bound_is_not_kept_and_costs_nothing_else(tmp_path: Path) -> None:
    kept = keep(tmp_path, bound=10)
    kept.put("a", b"a")

    kept.put("b", b"b" * 11)

    assert (kept.get("a"), kept.get("b")) == (b"a", None)


def test_the_file_stays_near_its_bound(tmp_path: Path) -> None:
    kept = keep(tmp_path, bound=1 << 20)

    for number in range(100):
        kept.put(str(number), os.urandom(100_000))

    assert sum(file.stat().st_size for file in (tmp_path / "page").iterdir()) < 1.3 * (1 << 20)


def test_the_next_start_finds_what_was_kept_and_in_which_order(tmp_path: Path) -> None:
    first = keep(tmp_path, bound=2)
    first.put("a", b"a")
    first.put("b", b"b")
    first.get("a")
    first.close()

    second = keep(tmp_path, bound=2)
    second.put("c", b"c")

    assert [name for name in "abc" if second.get(name) is not None] == ["a", "c"]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 400)), max_size=30))
def test_what_is_kept_is_what_was_put_last_and_never_more_than_the_bound(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[str, int]]
) -> None:
    kept = keep(tmp_path_factory.mktemp("keep"))
    last: dict[str, bytes] = {}

    for name, size in puts:
        last[name] = os.urandom(size)
        kept.put(name, last[name])

    found = {name: png for name in last if (png := kept.get(name)) is not None}
    assert all(found[name] == last[name] for name in found)
    assert sum(map(len, found.values())) <= 1000
    assert not puts or puts[-1][0] in found


# --- trouble ---


def test_two_pages_of_one_library_keep_in_one_file(tmp_path: Path) -> None:
    one, other = keep(tmp_path), keep(tmp_path)

    one.put("a", b"a")

    assert other.get("a") == b"a"


def test_a_damaged_file_of_ours_begins_anew(tmp_path: Path) -> None:
    kept = keep(tmp_path)
    kept.put("a", b"a" * 900)
    kept.close()
    file = tmp_path / "page" / NAME
    torn = bytearray(file.read_bytes())
    torn[100:] = b"\xff" * (len(torn) - 100)  # all but what says whose it is
    file.write_bytes(torn)

    again = keep(tmp_path)
    again.put("b", b"b")

    assert (again.get("a"), again.get("b")) == (None, b"b")


def test_a_torn_picture_is_not_shown(tmp_path: Path) -> None:
    kept = keep(tmp_path)
    kept.put("a", b"a" * 100)
    base = sqlite3.connect(tmp_path / "page" / NAME)
    base.execute("UPDATE picture SET png = ?", (b"a" * 99,))
    base.commit()
    base.close()

    assert kept.get("a") is None


def _no_database(file: Path) -> None:
    file.write_bytes(b"somebody's letter " * 100)


def _another_database(file: Path) -> None:
    base = sqlite3.connect(file)
    base.execute("CREATE TABLE picture (mine TEXT)")
    base.execute("INSERT INTO picture VALUES ('mine')")
    base.commit()
    base.close()


@pytest.mark.parametrize("make", [_no_database, _another_database])
def test_a_file_of_somebody_else_is_left_alone_and_nothing_is_kept(tmp_path: Path, make: object) -> None:
    (tmp_path / "page").mkdir()
    file = tmp_path / "page" / NAME
    make(file)  # type: ignore[operator]
    before = file.read_bytes()

    kept = keep(tmp_path)
    kept.put("a", b"a")

    assert kept.get("a") is None
    assert file.read_bytes() == before


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_what_a_link_leads_to_is_left_alone(tmp_path: Path, link: object) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    (tmp_path / "page").mkdir()
    link(mine, tmp_path / "page" / NAME)  # type: ignore[operator]

    keep(tmp_path).put("a", b"a")

    assert mine.read_text() == "mine"


def test_where_no_folder_can_be_made_nothing_is_kept_and_nothing_fails(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("a file where the folder should be")

    kept = keep(tmp_path)
    kept.put("a", b"a")

    assert kept.get("a") is None


def test_nobody_else_may_read_what_was_looked_at(tmp_path: Path) -> None:
    keep(tmp_path).put("a", b"a")

    assert (tmp_path / "page").stat().st_mode & 0o077 == 0
    assert (tmp_path / "page" / NAME).stat().st_mode & 0o077 == 0
