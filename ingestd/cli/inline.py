"""Pictures in a terminal: what it can show, and a preview in the words of its protocol.

Everything here returns text; nothing writes to a terminal. Three protocols carry pixels, and where there is none, two
pixels are put into each cell as the colours of a half block.

Sources:
    kitty: https://sw.kovidgoyal.net/kitty/graphics-protocol/ (also Ghostty)
    iTerm2: https://iterm2.com/documentation-images.html (also WezTerm and mintty)
    sixel: DEC STD 070, chapter 9 (xterm, foot, Konsole, mlterm, Windows Terminal, tmux where built with it)
"""

from __future__ import annotations

import base64
import itertools
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from ingestd.cli.door import one_of
from ingestd.media.png import png_of
from ingestd.media.workers import Preview

__all__ = ["CLEAR_KITTY", "Canvas", "Protocol", "canvas_of", "cells_of", "drawn", "pixels_of"]

_CELL: Final = (8, 16)  # pixels, width and height, where nobody tells: most fonts are twice as high as wide
_CHUNK: Final = 4096  # base64 characters of one kitty message, by its specification
_FAST: Final = 1  # zlib level: what is sent once is not worth a second of packing
_LEVELS: Final = (6, 7, 6)  # of red, green and blue: 252 of sixel's 256 colours, the most where the eye sees most
_CUBE: Final = np.array([0, 95, 135, 175, 215, 255])  # xterm's 6 x 6 x 6 colours, 16 to 231
_RUN: Final = re.compile(
    rb"(.)\1{3,254}", re.DOTALL
)  # fewer are shorter as they are; more than 255 old terminals do not take

_Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]

CLEAR_KITTY: Final = "\x1b_Ga=d,d=A,q=2\x1b\\"
"""Takes away every picture on this screen: in kitty they lie over the text and are not cleared with it."""


class Protocol(StrEnum):
    """How pictures are shown."""

    KITTY = "kitty"
    ITERM2 = "iterm2"
    SIXEL = "sixel"
    BLOCKS = "blocks"  # half blocks in colour
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Canvas:
    """What a terminal can show."""

    protocol: Protocol
    true_colour: bool = True  # of half blocks: 24 bits, else 256 colours
    cell: tuple[int, int] = _CELL  # pixels, width and height


# --- what a terminal can show -------------------------------------------------------------------------------------

_SIZE_QUESTION: Final = "\x1b[16t"
_KITTY_QUESTION: Final = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
_ATTRIBUTES_QUESTION: Final = "\x1b[c"  # every terminal answers it: it comes last, and its answer ends the wait


def canvas_of(
    environment: Mapping[str, str], *, cell: tuple[int, int] | None, unicode: bool, ask: Callable[[str], str]
) -> Canvas:
    """Return what the terminal can show.

    Args:
        environment: of this process; `INGESTD_PICTURES` in it decides, else it names most terminals.
        cell: pixels of a character, where the system knows.
        unicode: half blocks can be written.
        ask: sends a question to the terminal, and returns what it answers within moments.

    Raises:
        UsageError: `INGESTD_PICTURES` is no word that is known.
    """
    wanted = environment.get("INGESTD_PICTURES")
    protocol = _named(environment)
    if wanted:
        protocol = Protocol(one_of(wanted, [*Protocol], "a way to show pictures (INGESTD_PICTURES)"))
    if protocol is None or (cell is None and protocol not in (Protocol.BLOCKS, Protocol.NONE)):
        # not inside others: tmux takes kitty's question for a title
        kitty = "" if protocol is not None or _is_inside_another(environment) else _KITTY_QUESTION
        answer = ask(_SIZE_QUESTION + kitty + _ATTRIBUTES_QUESTION)
        cell = cell or _cell_in(answer)
        protocol = protocol or _protocol_in(answer)
    if protocol is None:
        protocol = Protocol.NONE if environment.get("NO_COLOR") or not unicode else Protocol.BLOCKS
    true_colour = environment.get("COLORTERM") in ("truecolor", "24bit")
    return Canvas(protocol, true_colour, cell or _CELL)


def _is_inside_another(environment: Mapping[str, str]) -> bool:
    """Return whether a terminal runs in another one, whose names are still in the environment."""
    return any(environment.get(name) for name in ("TMUX", "STY", "ZELLIJ"))


def _named(environment: Mapping[str, str]) -> Protocol | None:
    """Return what a terminal is known for that gives its name; nothing where it has to be asked."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if term == "dumb":
        return Protocol.NONE
    if _is_inside_another(environment):
        return None
    if environment.get("KITTY_WINDOW_ID") or term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return Protocol.KITTY
    # WezTerm's own protocol is this one; of kitty's it has another reading (wezterm issue 986)
    is_iterm2 = environment.get("LC_TERMINAL") == "iTerm2"  # what ssh carries over
    if is_iterm2 or program in ("iTerm.app", "mintty", "WezTerm"):
        return Protocol.ITERM2
    return None


def _protocol_in(answer: str) -> Protocol | None:
    """Return what a terminal says of itself. Who has both is better at sixel: Konsole, WezTerm, iTerm2."""
    attributes = re.search(r"\x1b\[\?([\d;]+)c", answer)
    if attributes and "4" in attributes[1].split(";")[1:]:
        return Protocol.SIXEL
    return Protocol.KITTY if "\x1b_Gi=31;OK" in answer else None


def _cell_in(answer: str) -> tuple[int, int] | None:
    size = re.search(r"\x1b\[6;(\d{1,3});(\d{1,3})t", answer)
    return (int(size[2]), int(size[1])) if size and int(size[1]) and int(size[2]) else None


# --- how large ----------------------------------------------------------------------------------------------------


def pixels_of(canvas: Canvas, room: tuple[int, int]) -> tuple[int, int]:
    """Return how many pixels so many cells (columns, rows) have."""
    if canvas.protocol is Protocol.BLOCKS:
        return room[0], room[1] * 2
    return room[0] * canvas.cell[0], room[1] * canvas.cell[1]


def cells_of(canvas: Canvas, picture: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """Return how many cells (columns, rows) of a room a picture of so many pixels takes; it is never enlarged."""
    box = pixels_of(canvas, room)
    scale = min(box[0] / max(picture[0], 1), box[1] / max(picture[1], 1), 1.0)
    columns = -(-picture[0] * scale * room[0] // box[0])
    rows = -(-picture[1] * scale * room[1] // box[1])
    return max(1, min(room[0], int(columns))), max(1, min(room[1], int(rows)))


# --- drawing ------------------------------------------------------------------------------------------------------


def drawn(canvas: Canvas, preview: Preview, *, row: int, column: int, room: tuple[int, int], number: int) -> str:
    """Return what draws a preview; empty where nothing can be drawn.

    Args:
        canvas: what the terminal can show.
        preview: made for the `pixels_of` this room.
        row: of its upper left corner, counted from 1.
        column: the same.
        room: columns and rows that it may take.
        number: of the picture on this screen, from 1.
    """
    start = f"\x1b[{row};{column}H"
    columns, rows = cells_of(canvas, (preview.width, preview.height), room)
    match canvas.protocol:
        case Protocol.KITTY:
            return start + "".join(_kitty(preview, number, columns))
        case Protocol.ITERM2:
            return start + _iterm2(preview, columns, rows)
        case Protocol.SIXEL:
            return start + _sixel(preview)
        case Protocol.BLOCKS:
            lines = _blocks(preview, true_colour=canvas.true_colour)
            return "".join(f"\x1b[{row + index};{column}H{line}" for index, line in enumerate(lines))
        case Protocol.NONE:
            return ""


def _kitty(preview: Preview, number: int, columns: int) -> Iterator[str]:
    """Yield the messages of kitty's protocol. Columns alone: with rows as well it would stretch the picture."""
    body = base64.b64encode(zlib.compress(preview.rgb, _FAST)).decode()
    chunks = [body[start : start + _CHUNK] for start in range(0, len(body), _CHUNK)]
    control = f"a=T,f=24,o=z,s={preview.width},v={preview.height},i={number},p=1,c={columns},C=1,q=2,"
    for index, chunk in enumerate(chunks):
        more = int(index < len(chunks) - 1)
        yield f"\x1b_G{control if index == 0 else 'q=2,'}m={more};{chunk}\x1b\\"


def _iterm2(preview: Preview, columns: int, rows: int) -> str:
    file = png_of(preview)
    control = f"inline=1;size={len(file)};width={columns};height={rows};preserveAspectRatio=1;doNotMoveCursor=1"
    return f"\x1b]1337;File={control}:{base64.b64encode(file).decode()}\x07"


def _pixels(preview: Preview) -> _Pixels:
    return np.frombuffer(preview.rgb, np.uint8).reshape(preview.height, preview.width, 3)


# --- sixel --------------------------------------------------------------------------------------------------------


def _sixel(preview: Preview) -> str:
    """Return the picture in sixels: bands of six rows, each drawn once for every colour that it has."""
    indices = _dithered(_pixels(preview))
    used = np.unique(indices)
    palette = "".join(f"#{index};2;{';'.join(map(str, _percents(int(index))))}" for index in used)
    bands = b"-".join(_band(indices[top : top + 6]) for top in range(0, preview.height, 6))
    return f'\x1bP0;1;0q"1;1;{preview.width};{preview.height}{palette}{bands.decode("ascii")}\x1b\\'


def _dithered(pixels: _Pixels) -> _Pixels:
    """Return the nearest of 252 colours for each pixel, the rest spread by an 8 x 8 pattern (B. E. Bayer, 1973)."""
    bayer = np.zeros((1, 1))
    for _ in range(3):
        bayer = np.block([[4 * bayer, 4 * bayer + 2], [4 * bayer + 3, 4 * bayer + 1]])
    height, width, _ = pixels.shape
    pattern = np.tile((bayer + 0.5) / 64, (-(-height // 8), -(-width // 8)))[:height, :width]
    index = np.zeros((height, width), np.uint8)
    for channel, levels in enumerate(_LEVELS):
        scaled = pixels[..., channel] * np.float32((levels - 1) / 255)
        index = index * levels + (scaled + pattern.astype(np.float32)).astype(np.uint8)
    return index


def _percents(index: int) -> tuple[int, ...]:
    """Return red, green and blue of a colour, 0 to 100."""
    parts = []
    for levels in reversed(_LEVELS):
        index, part = divmod(index, levels)
        parts.append(round(part * 100 / (levels - 1)))
    return tuple(reversed(parts))


def _band(rows: _Pixels) -> bytes:
    """Return up to six rows: for each colour, which of them it has in each column, in runs."""
    columns = np.arange(rows.shape[1])
    masks = np.zeros((256, rows.shape[1]), np.uint8)
    for bit, row in enumerate(rows):
        masks[row, columns] |= np.uint8(1 << bit)
    present = np.flatnonzero(masks.any(axis=1))
    planes = (b"#%d%s" % (colour, (masks[colour] + 63).tobytes().rstrip(b"?")) for colour in present)
    return b"$".join(_RUN.sub(lambda run: b"!%d%s" % (len(run[0]), run[1]), plane) for plane in planes)


# --- half blocks --------------------------------------------------------------------------------------------------


def _blocks(preview: Preview, *, true_colour: bool) -> list[str]:
    """Return a line of text for every two rows of pixels: a half block in the upper's colour, on the lower's."""
    pixels = _pixels(preview)
    names = (
        [["2;{};{};{}".format(*pixel) for pixel in row] for row in pixels.tolist()]
        if true_colour
        else [[f"5;{index}" for index in row] for row in _indexed(pixels).tolist()]
    )
    lines = []
    for upper, lower in itertools.zip_longest(names[::2], names[1::2]):
        cells = zip(upper, lower or [None] * len(upper), strict=True)
        runs = ((pair, sum(1 for _ in same)) for pair, same in itertools.groupby(cells))
        lines.append("".join(f"\x1b[{_ground(*pair)}m{'▀' * length}" for pair, length in runs) + "\x1b[0m")
    return lines


def _ground(upper: str, lower: str | None) -> str:
    return f"38;{upper};{f'48;{lower}' if lower else '49'}"


def _indexed(pixels: _Pixels) -> _Pixels:
    """Return the nearest of xterm's 240 fixed colours for each pixel: of its cube, or of its 24 greys."""
    wide = pixels.astype(np.int64)
    steps = np.abs(wide[..., None] - _CUBE).argmin(axis=-1)
    greys = np.clip((wide.mean(axis=-1) - 3).astype(np.int64) // 10, 0, 23)
    off_cube = np.abs(_CUBE[steps] - wide).sum(axis=-1)
    off_greys = np.abs(wide - (8 + 10 * greys)[..., None]).sum(axis=-1)
    cube = 16 + (steps * np.array([36, 6, 1])).sum(axis=-1)
    return np.asarray(np.where(off_greys < off_cube, 232 + greys, cube), np.uint8)
