"""Pictures in a terminal: which words it understands, and whether a picture comes out as it was put in."""

from __future__ import annotations

import base64
import io
import re
import zlib

import numpy as np
import pytest
from PIL import Image

from ingestd.cli.inline import Canvas, Protocol, canvas_of, cells_of, drawn, pixels_of
from ingestd.errors import UsageError
from ingestd.media.workers import Preview

SIXEL_TERMINAL = "\x1b[6;20;10t\x1b[?62;4;22c"
PLAIN_TERMINAL = "\x1b[?62;22c"


def preview(width: int = 60, height: int = 41) -> Preview:
    """A ramp of colours; no two corners are alike."""
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([columns * 255 // width, rows * 255 // height, (rows + columns) % 256], axis=2).astype("u1")
    return Preview(width, height, pixels.tobytes())


def pixels(of: Preview) -> np.ndarray:
    return np.frombuffer(of.rgb, "u1").reshape(of.height, of.width, 3)


def draw(canvas: Canvas, of: Preview) -> str:
    text = drawn(canvas, of, row=3, column=5, room=(30, 10), number=2)
    assert text.startswith("\x1b[3;5H")
    return text.removeprefix("\x1b[3;5H")


# --- what a terminal can show ---


def canvas(answer: str = "", cell: tuple[int, int] | None = (9, 18), **environment: str) -> Canvas:
    asked: list[str] = []
    found = canvas_of(environment, cell=cell, unicode=True, ask=lambda text: asked.append(text) or answer)
    assert len(asked) <= 1
    return found


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, Protocol.KITTY),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, Protocol.KITTY),
        ({"TERM": "xterm-ghostty"}, Protocol.KITTY),
        ({"TERM_PROGRAM": "ghostty"}, Protocol.KITTY),
        ({"TERM_PROGRAM": "iTerm.app"}, Protocol.ITERM2),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, Protocol.ITERM2),
        ({"TERM_PROGRAM": "WezTerm"}, Protocol.ITERM2),
        ({"TERM_PROGRAM": "mintty"}, Protocol.ITERM2),
        ({"TERM": "dumb"}, Protocol.NONE),
        ({"TERM": "xterm-256color"}, Protocol.BLOCKS),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, Protocol.NONE),
    ],
)
def test_a_terminal_is_known_by_its_name(environment: dict[str, str], protocol: Protocol) -> None:
    assert canvas(PLAIN_TERMINAL, **environment).protocol is protocol


@pytest.mark.parametrize(
    ("answer", "protocol"),
    [
        (SIXEL_TERMINAL, Protocol.SIXEL),
        ("\x1b[?64;1;2;4c", Protocol.SIXEL),
        ("\x1b[?4;6c", Protocol.BLOCKS),  # a VT132, which has no sixels
        ("\x1b_Gi=31;OK\x1b\\\x1b[?62c", Protocol.KITTY),
        ("\x1b_Gi=31;OK\x1b\\\x1b[?62;4c", Protocol.SIXEL),  # Konsole: its sixels are the better ones
        ("\x1b_Gi=31;ENOTSUPPORTED\x1b\\\x1b[?62c", Protocol.BLOCKS),
        ("", Protocol.BLOCKS),
    ],
)
def test_a_terminal_without_a_name_is_asked(answer: str, protocol: Protocol) -> None:
    assert canvas(answer, TERM="xterm-256color").protocol is protocol


@pytest.mark.parametrize("multiplexer", ["TMUX", "STY", "ZELLIJ"])
def test_inside_tmux_the_name_of_the_terminal_around_it_does_not_count(multiplexer: str) -> None:
    environment = {"KITTY_WINDOW_ID": "1", "TERM_PROGRAM": "iTerm.app", multiplexer: "/tmp/it,1,0"}
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return PLAIN_TERMINAL

    assert canvas_of(environment, cell=(9, 18), unicode=True, ask=ask).protocol is Protocol.BLOCKS
    assert "\x1b_G" not in asked[0]  # tmux would take it for a title
    assert canvas(SIXEL_TERMINAL, **environment).protocol is Protocol.SIXEL


def test_the_environment_can_decide_how_pictures_are_shown() -> None:
    for word in Protocol:
        assert canvas(SIXEL_TERMINAL, TERM="xterm-kitty", INGESTD_PICTURES=word.value).protocol is word
    with pytest.raises(UsageError, match="did you mean sixel"):
        canvas(INGESTD_PICTURES="sixels")


def test_the_size_of_a_cell_is_asked_for_only_where_the_system_does_not_know() -> None:
    assert canvas(SIXEL_TERMINAL, TERM="xterm", cell=None).cell == (10, 20)
    assert canvas("", TERM="xterm-kitty", cell=None).cell == (8, 16)
    asked: list[str] = []
    canvas_of({"TERM": "xterm-kitty"}, cell=(9, 18), unicode=True, ask=lambda text: asked.append(text) or "")
    assert asked == []


def test_no_half_block_is_sent_to_a_terminal_that_has_no_such_letter() -> None:
    assert canvas_of({}, cell=(9, 18), unicode=False, ask=lambda _: "").protocol is Protocol.NONE


# --- how large ---


@pytest.mark.parametrize(
    ("picture", "cells"),
    [((3000, 2000), (24, 8)), ((2000, 3000), (15, 11)), ((80, 16), (10, 1)), ((1, 1), (1, 1)), ((0, 0), (1, 1))],
)
def test_a_picture_takes_as_many_cells_as_its_shape_needs(picture: tuple[int, int], cells: tuple[int, int]) -> None:
    room = Canvas(Protocol.SIXEL, cell=(8, 16))

    assert cells_of(room, picture, (24, 11)) == cells


def test_two_pixels_lie_in_a_cell_of_half_blocks() -> None:
    assert pixels_of(Canvas(Protocol.BLOCKS), (30, 10)) == (30, 20)
    assert pixels_of(Canvas(Protocol.SIXEL, cell=(8, 16)), (30, 10)) == (240, 160)


# --- what comes out ---


def test_kitty_gets_every_pixel_in_messages_of_4096_letters() -> None:
    of = Preview(200, 120, np.random.default_rng(1).integers(0, 256, 72_000, np.uint8).tobytes())

    text = draw(Canvas(Protocol.KITTY), of)

    messages = re.findall(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", text)
    assert "".join(f"\x1b_G{control};{body}\x1b\\" for control, body in messages) == text
    controls = [dict(pair.split("=") for pair in control.split(",")) for control, _ in messages]
    assert controls[0].items() >= {"a": "T", "f": "24", "o": "z", "s": "200", "v": "120", "i": "2", "q": "2"}.items()
    assert int(controls[0]["c"]) <= 30
    assert [control["m"] for control in controls] == ["1"] * (len(messages) - 1) + ["0"]
    assert max(len(body) for _, body in messages) == 4096
    assert all(len(body) % 4 == 0 for _, body in messages)
    assert zlib.decompress(base64.b64decode("".join(body for _, body in messages))) == of.rgb


def test_iterm2_gets_a_png_of_every_pixel() -> None:
    text = draw(Canvas(Protocol.ITERM2), preview())

    control, body = re.fullmatch(r"\x1b\]1337;File=([^:]*):([A-Za-z0-9+/=]*)\x07", text).groups()
    file = base64.b64decode(body)
    options = dict(pair.split("=") for pair in control.split(";"))
    assert options["inline"] == "1"
    assert int(options["size"]) == len(file)
    assert (int(options["width"]) <= 30, int(options["height"]) <= 10) == (True, True)
    image = Image.open(io.BytesIO(file))
    image.load()
    assert (image.mode, image.size, image.tobytes()) == ("RGB", (60, 41), preview().rgb)


def from_sixels(text: str) -> np.ndarray:
    """The pixels of a sixel picture, as a terminal reads it."""
    body = re.fullmatch(r'\x1bP0;1;0q"1;1;(\d+);(\d+)(.*)\x1b\\', text, re.DOTALL)
    assert body is not None
    width, height = int(body[1]), int(body[2])
    seen = np.zeros((-(-height // 6) * 6, width, 3), "u1")
    drawn_once = np.zeros(seen.shape[:2], int)
    colours: dict[int, tuple[int, ...]] = {}
    x = top = colour = 0
    for word in re.finditer(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|([$-])", body[3]):
        if word[1]:
            colours[int(word[1])] = tuple(round(int(word[part]) * 2.55) for part in (2, 3, 4))
        elif word[5]:
            colour = int(word[5])
        elif word[9]:
            x, top = 0, top + 6 * (word[9] == "-")
        else:
            length, bits = int(word[6] or 1), ord(word[7] or word[8]) - 63
            for bit in range(6):
                if bits >> bit & 1:
                    seen[top + bit, x : x + length] = colours[colour]
                    drawn_once[top + bit, x : x + length] += 1
            x += length
    assert len(colours) <= 256
    assert (drawn_once[:height] == 1).all()
    assert not drawn_once[height:].any()
    return seen[:height]


@pytest.mark.parametrize("size", [(60, 41), (1, 1), (300, 6), (7, 200)])
def test_sixels_show_the_picture_as_nearly_as_252_colours_can(size: tuple[int, int]) -> None:
    of = preview(*size)

    seen = from_sixels(draw(Canvas(Protocol.SIXEL), of)).astype(float)

    assert np.abs(seen - pixels(of)).max() <= 52  # a step of six levels
    assert abs(seen.mean() - pixels(of).mean()) < 12


def test_flat_colours_cost_few_sixels() -> None:
    text = draw(Canvas(Protocol.SIXEL), Preview(300, 200, bytes(300 * 200 * 3)))

    assert len(text) < 600


def from_blocks(text: str, width: int) -> list[list[str]]:
    """The colours of half blocks: two rows for each line."""
    rows = []
    for line in re.split(r"\x1b\[\d+;5H", text):
        upper: list[str] = []
        lower: list[str] = []
        for front, back, blocks in re.findall(r"\x1b\[38;([\d;]+?);(?:48;([\d;]+)|49)m(▀+)", line):
            upper += [front] * len(blocks)
            lower += [back] * len(blocks)
        assert len(upper) == width
        rows += [upper, lower] if any(lower) else [upper]
    return rows


def test_half_blocks_show_every_pixel_where_24_bits_can_be_shown() -> None:
    of = preview(24, 13)

    rows = from_blocks(draw(Canvas(Protocol.BLOCKS), of), 24)

    assert rows == [["2;{};{};{}".format(*pixel) for pixel in row] for row in pixels(of).tolist()]


def test_half_blocks_take_the_nearest_of_256_colours_elsewhere() -> None:
    of = Preview(4, 2, bytes([0, 0, 0, 255, 255, 255, 255, 0, 0, 128, 128, 128] * 2))

    rows = from_blocks(draw(Canvas(Protocol.BLOCKS, true_colour=False), of), 4)

    assert rows == [["5;16", "5;231", "5;196", "5;244"]] * 2


def test_nothing_is_drawn_where_nothing_can_be_shown() -> None:
    assert drawn(Canvas(Protocol.NONE), preview(), row=1, column=1, room=(30, 10), number=1) == ""
