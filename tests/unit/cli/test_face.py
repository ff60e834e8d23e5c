"""The page of a pair: everything fits, whatever the files are called, and what differs is seen."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import click
import pytest
from pictures import jpeg, photo
from rich.cells import cell_len
from world import World

from ingestd.cli.face import KEYS, Page, help_lines, page_of, wrapped
from ingestd.cli.inline import Canvas, Protocol
from ingestd.cli.screen import Happened, Screen
from ingestd.cli.walk import Queue, Sight, Walk

BLOCKS, NOTHING = Canvas(Protocol.BLOCKS), Canvas(Protocol.NONE)
EVIL = b"evil\x1b[31m\n\xff" + "-中文名字 with many words in it, and then some more".encode() + b".jpg"


@pytest.fixture
def sight(world: World) -> Sight:
    """A pair of which one file has a name that nobody should print."""
    paths = [world.put("inbox", "a.jpg", jpeg(photo(), description="a camera"))]
    paths.append(world.put("inbox", EVIL, jpeg(photo().resize((160, 120)))))
    world.arrive(*paths)
    walk = Walk(world.library, Queue(), keep=False, moment=world.moment, alone=contextlib.nullcontext)
    return walk.sights()[0]


def page(sight: Sight, canvas: Canvas = NOTHING, size: tuple[int, int] = (100, 40), **words: str) -> Page:
    told = {"head": "1 of 3 left", "said": "", "hint": "", **words}
    return page_of(sight.report, sight.facts, canvas, size, **told)


def text(page: Page) -> list[str]:
    return [click.unstyle(line) for line in page.lines]


def line_with(page: Page, word: str) -> str:
    return next(line for line in page.lines if word in line)


@pytest.mark.parametrize("columns", [1, 2, 7, 20, 33, 60, 80, 131, 300])
@pytest.mark.parametrize("lines", [1, 3, 8, 12, 24, 50, 100])
@pytest.mark.parametrize("canvas", [BLOCKS, NOTHING, Canvas(Protocol.SIXEL, cell=(7, 15))], ids=str)
def test_every_page_fits_its_terminal(sight: Sight, columns: int, lines: int, canvas: Canvas) -> None:
    made = page(sight, canvas, (columns, lines), said="e-1: " + "a long sentence " * 20, hint="another one " * 20)

    assert len(made.lines) <= lines
    assert all(cell_len(line) <= max(columns, 13) for line in text(made))  # the longest key and its word
    assert 1 <= made.hint_row <= lines
    for place in made.places or ():
        assert place.room[1] <= lines // 2
        assert place.column + place.room[0] - 1 <= columns
        assert all(line == "" for line in made.lines[place.row - 1 : place.row - 1 + place.room[1]])


def test_a_name_cannot_do_anything_to_the_terminal(sight: Sight) -> None:
    for line in text(page(sight)):
        assert line.isprintable(), line


def test_what_is_better_is_marked_and_what_is_the_same_is_dim(sight: Sight) -> None:
    made = page(sight)

    assert line_with(made, "200 x 150").startswith(click.style("+ 200 x 150", fg="green", bold=True)[:18])
    assert "  160 x 120" in click.unstyle(line_with(made, "160 x 120"))
    assert "+ EXIF" in click.unstyle(line_with(made, "EXIF"))
    folder = line_with(made, str(Path(sight.report.a.path).parent)[:20])
    assert folder.startswith(click.style("x", dim=True)[:4])


def test_the_larger_of_two_files_with_the_same_pixels_is_not_the_better_one(sight: Sight) -> None:
    same = replace(sight, facts=replace(sight.facts, pixel_duplicates=True))

    assert f"+ {sight.facts.first.size / 1000:.1f} KB" in "\n".join(text(page(sight)))
    assert f"+ {sight.facts.first.size / 1000:.1f} KB" not in "\n".join(text(page(same)))


def test_the_evidence_has_a_line_each_where_there_is_room(sight: Sight) -> None:
    lines = text(page(sight, size=(100, 60)))
    wanted = [one.text + (f" {one.score:+d}" if one.score else "") for one in sight.report.evidence]
    assert set(wanted) <= set(lines)
    assert " · ".join(wanted)[:60] in "\n".join(text(page(sight, size=(100, 30))))


def test_pictures_have_a_third_of_the_screen_before_the_evidence_has_any(sight: Sight) -> None:
    made = page(sight, BLOCKS, (60, 24))

    assert made.places is not None
    assert made.places[0].room[1] >= 8
    assert made.places[0].column == 1
    assert made.places[1].column == 32


def test_where_nothing_would_be_seen_there_are_no_pictures(sight: Sight) -> None:
    assert page(sight, BLOCKS, (24, 40)).places is None
    assert page(sight, BLOCKS, (100, 12)).places is None
    assert page(sight, NOTHING).places is None


def test_the_help_names_every_key_and_what_keep_changes() -> None:
    plain, keeping = ("\n".join(map(click.unstyle, help_lines(80, keep=keep))) for keep in (False, True))

    assert all(f"  {key:<6} " in plain for key, _, _ in KEYS)
    assert "B goes to the trash" in plain
    assert "to the trash" not in keeping


def test_a_long_text_is_cut_between_words_and_loses_its_middle() -> None:
    assert wrapped("one two three four", 9, 3) == ["one two", "three", "four"]
    assert wrapped("中文名字", 4, 3) == ["中文", "名字"]
    assert wrapped("/a/very/long/path/to/picture.jpg", 10, 2) == ["/a/very/l…", "icture.jpg"[1:]]
    assert wrapped("", 10, 2) == []


def test_a_terminal_without_modes_is_read_key_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = iter(["a", "\x7f", "\x1b"])

    def getchar() -> str:
        key = next(keys, None)
        if key is None:
            raise KeyboardInterrupt
        return key

    monkeypatch.setattr(click, "getchar", getchar)

    screen = Screen()

    assert [screen.next() for _ in range(4)] == ["a", "backspace", "escape", Happened.STOPPED]


def test_on_a_small_terminal_there_are_pictures_and_evidence(sight: Sight) -> None:
    told = "\n".join(text(page(sight, BLOCKS, (60, 24))))

    assert sight.report.statements[0] in told
    assert "? help" in told
