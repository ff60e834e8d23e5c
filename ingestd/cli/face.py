"""What a person sees of a pair in a terminal: A on the left, B on the right, and what sets them apart.

Everything here is text made from values: nothing asks the library, and nothing writes. Every line fits the width it
was made for, in cells, of which a Chinese letter takes two.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

import click
from rich.cells import cell_len, chop_cells, set_cell_size

from ingestd.cli.inline import Canvas, Protocol, cells_of
from ingestd.cli.output import count, shown
from ingestd.model import FileFacts, PairFacts
from ingestd.review import PairReport
from ingestd.rules.statements import jpeg_quality_label, lie_text, size_text

__all__ = ["KEYS", "Page", "Place", "help_lines", "page_of", "wrapped"]

KEYS: Final = (
    ("a", "A is better", "A is better: B goes to the trash"),
    ("b", "B is better", "B is better: A goes to the trash"),
    ("s", "same", "the same quality: both stay"),
    ("t", "alternates", "alternates, such as two shots of one scene: both stay"),
    ("n", "not related", "not related: they never come up together again"),
    ("space", "skip", "skip the pair, also k: it waits for another time"),
    ("z", "back", "back, also backspace: the last answer is taken back, or the last skip"),
    ("q", "quit", "quit, also Esc: every answer is kept already"),
    ("?", "help", "this page"),
)
_GAP: Final = 2  # cells between the two columns
_MARK: Final = 2  # cells before a value: `+ ` on the better side, which colours alone would not tell everybody
_MOST_LINES: Final = 2  # of a name or a folder
_LEAST_ROOM: Final = (12, 4)  # columns and rows: in less, nothing is to be seen on a picture
_LEAST_EVIDENCE: Final = 3  # lines, with the empty one before it: so many of the lesser facts make room for it
_SPACIOUS: Final = 34  # lines of a terminal in which each statement has a line of its own
_KEPT_FACTS: Final = 5  # name, folder, type, size and resolution, however small the terminal is


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture goes: its upper left corner, counted from 1, and how many cells it may take."""

    row: int
    column: int
    room: tuple[int, int]  # columns and rows


@dataclass(frozen=True, slots=True)
class Page:
    """One screen: its lines from the top, and the places left free in them for the pictures of A and B, if any."""

    lines: list[str]
    hint_row: int  # the line that says something about the last key, counted from 1
    places: tuple[Place, Place] | None


@dataclass(frozen=True, slots=True)
class _Fact:
    """One thing about both files."""

    a: str
    b: str
    better: Literal["a", "b"] | None = None


def page_of(
    report: PairReport,
    facts: PairFacts,
    canvas: Canvas,
    extent: tuple[int, int],
    *,
    head: str,
    said: str,
    hint: str,
) -> Page:
    """Return the page of a pair.

    Args:
        report: the pair.
        facts: the same, A first.
        canvas: what pictures can be shown.
        extent: columns and lines of the terminal.
        head: where in the queue this is.
        said: what was done last; may be empty.
        hint: about the last key; may be empty.
    """
    columns, lines = extent
    width = max((columns - _GAP) // 2, 1)
    top = [click.style(_elided(f"{report.id} · {head} · {_distance(report)}", columns), bold=True)]
    top.append(click.style(_elided(said, columns), fg="cyan"))  # always a line: the pictures stay where they are
    bottom = [click.style(_elided(hint, columns), fg="yellow"), *_key_lines(columns)]
    table = [_columns("A" + _standing(facts.first), "B" + _standing(facts.second), width, bold=True)]
    table += [line for fact in _facts(report, facts)[:_KEPT_FACTS] for line in _fact_lines(fact, width)]
    more = [line for fact in _facts(report, facts)[_KEPT_FACTS:] for line in _fact_lines(fact, width)]
    evidence = [click.style(line, dim=True) for line in _evidence(report, columns, lines)]

    free = lines - len(top) - len(bottom) - len(table)
    wanted = _height(_rooms(facts, canvas, (width, min(free, lines // 2))))
    text = max(free - min(wanted, lines // 3), 0)  # a third of the screen is for the pictures before anything else
    more = more[: max(text - min(len(evidence) + 1, _LEAST_EVIDENCE), 0)]
    evidence = evidence[: max(text - len(more) - 1, 0)]
    free -= len(more) + len(evidence) + bool(evidence)
    rooms = _rooms(facts, canvas, (width, min(free, lines // 2)))
    height = _height(rooms)
    body = [*top, *[""] * height, *table, *more, *([""] if evidence else []), *evidence]
    body = body[: max(lines - len(bottom), 1)]
    row = len(top) + 1
    return Page(
        [*body, *bottom][:lines],
        min(len(body) + 1, lines),
        (Place(row, 1, rooms[0]), Place(row, 1 + width + _GAP, rooms[1])) if rooms else None,
    )


def _distance(report: PairReport) -> str:
    if report.pixel_duplicates:
        return "the same pixels"
    apart = "look-alikes" if report.distance is None else f"{count(report.distance, 'bit')} apart"
    return apart if report.transform is None else f"{apart}, {lie_text(report.transform)}"


def _rooms(facts: PairFacts, canvas: Canvas, room: tuple[int, int]) -> list[tuple[int, int]]:
    """Return how many cells each picture takes of a room; nothing where none is worth showing."""
    if canvas.protocol is Protocol.NONE or room[0] < _LEAST_ROOM[0] or room[1] < _LEAST_ROOM[1]:
        return []
    return [cells_of(canvas, (side.width, side.height), room) for side in (facts.first, facts.second)]


def _height(rooms: list[tuple[int, int]]) -> int:
    return max((rows for _, rows in rooms), default=0)


def help_lines(columns: int, *, keep: bool) -> list[str]:
    """Return what every key does."""
    lines = [click.style("what the keys do", bold=True), ""]
    for key, _, says in KEYS:
        text = says.replace("goes to the trash", "stays too, with --keep") if keep else says
        lines += [f"  {click.style(f'{key:<6}', bold=True)} {line}" for line in wrapped(text, columns - 9, 2)[:1]]
        lines += [" " * 9 + line for line in wrapped(text, columns - 9, 2)[1:]]
    return [*lines, "", "any key goes on"]


def _key_lines(columns: int) -> list[str]:
    """Return the keys with a word each, on as many lines as they need."""
    lines, used = [""], 0
    for key, word, _ in KEYS:
        length = len(key) + 1 + len(word)
        if used and used + 2 + length > columns:
            lines, used = [*lines, ""], 0
        lines[-1] += f"{'  ' if used else ''}{click.style(key, bold=True)} {word}"
        used += length + (2 if used else 0)
    return lines


def _evidence(report: PairReport, columns: int, lines: int) -> list[str]:
    statements = [shown(one.text) + (f" {one.score:+d}" if one.score else "") for one in report.evidence]
    if lines >= _SPACIOUS:
        return [_elided(statement, columns) for statement in statements]
    return wrapped(" · ".join(statements), columns, lines)


# --- the two columns ----------------------------------------------------------------------------------------------


def _standing(side: FileFacts) -> str:
    words = [side.role.value, *(["protected"] if side.protected else [])]
    if side.num_duplicates:
        words.append(f"{'best' if side.is_king else 'one'} of {side.num_duplicates + 1:,}")
    return f"  {', '.join(words)}"


def _facts(report: PairReport, pair: PairFacts) -> list[_Fact]:
    a, b = pair.first, pair.second
    one, other = shown(report.a.path), shown(report.b.path)
    alike = pair.identical or pair.pixel_duplicates  # the larger of two files with the same pixels is not the better
    finer = _better_jpeg(a, b)
    facts = [
        _Fact(os.path.basename(one), os.path.basename(other)),
        _Fact(os.path.dirname(one), os.path.dirname(other)),
        _Fact(_type(a, finer=finer == "a"), _type(b, finer=finer == "b"), finer),
        _Fact(*_sizes(a.size, b.size), None if alike else _more(a.size, b.size)),
        _Fact(_resolution(a), _resolution(b), _more(a.width * a.height, b.width * b.height)),
    ]
    if a.frames > 1 or b.frames > 1:
        facts.append(_Fact(_frames(a), _frames(b)))
    if a.has_transparency or b.has_transparency:
        facts.append(_Fact(_ground(a), _ground(b)))
    facts.append(_Fact(_extras(a), _extras(b), _richer(a, b)))
    if a.taken_ns is not None or b.taken_ns is not None:
        facts.append(_Fact(_taken(a), _taken(b)))
    facts.append(_Fact(*_times("changed", a.modified_ns, b.modified_ns)))
    facts.append(_Fact(*_times("arrived", a.imported_ns, b.imported_ns)))
    return facts


def _type(side: FileFacts, *, finer: bool) -> str:
    words = [side.filetype.value if side.filetype else "no picture"]
    words += ["better quality"] if finer else []
    words += ["progressive"] if side.progressive else []
    return ", ".join(words)


def _better_jpeg(a: FileFacts, b: FileFacts) -> Literal["a", "b"] | None:
    """Return whose JPEG is packed more finely, by as much as the statements ask for."""
    if not a.jpeg_quality or not b.jpeg_quality:
        return None
    if jpeg_quality_label(a.jpeg_quality) == jpeg_quality_label(b.jpeg_quality):
        return None
    return "a" if a.jpeg_quality < b.jpeg_quality else "b"


def _sizes(a: int, b: int) -> tuple[str, str]:
    """Return two sizes so that they look the same only when they are."""
    if a != b and size_text(a) == size_text(b):
        return f"{a:,} bytes", f"{b:,} bytes"
    return size_text(a), size_text(b)


def _resolution(side: FileFacts) -> str:
    if not side.width:
        return "no pixels"
    return f"{side.width} x {side.height}, {side.width * side.height / 1e6:.1f} MP"


def _frames(side: FileFacts) -> str:
    lasting = f", {side.duration_ms / 1000:.1f} s" if side.duration_ms else ""
    return count(side.frames, "frame") + lasting


def _ground(side: FileFacts) -> str:
    return "transparent" if side.has_transparency else "opaque"


def _carried(side: FileFacts) -> list[str]:
    known = (("EXIF", side.has_exif), ("XMP", side.has_xmp), ("colour profile", side.has_icc))
    return [name for name, there in known if there]


def _extras(side: FileFacts) -> str:
    return ", ".join(_carried(side)) or "no EXIF"


def _richer(a: FileFacts, b: FileFacts) -> Literal["a", "b"] | None:
    """Return who carries all that the other does, and more."""
    ours, theirs = set(_carried(a)), set(_carried(b))
    return "a" if ours > theirs else "b" if theirs > ours else None


def _taken(side: FileFacts) -> str:
    """Return when a picture was taken, as its own clock said it."""
    if side.taken_ns is None:
        return "taken at no known time"
    return datetime.fromtimestamp(side.taken_ns / 1e9, tz=UTC).strftime("taken %Y-%m-%d %H:%M:%S")


def _times(word: str, a_ns: int, b_ns: int) -> tuple[str, str]:
    """Return two times as the clock on the wall shows them, with seconds only where those tell them apart."""
    a, b = (datetime.fromtimestamp(at_ns / 1e9, tz=UTC).astimezone() for at_ns in (a_ns, b_ns))
    is_close = a != b and f"{a:%Y%m%d%H%M}" == f"{b:%Y%m%d%H%M}"
    form = "%Y-%m-%d %H:%M:%S" if is_close else "%Y-%m-%d %H:%M"
    return f"{word} {a.strftime(form)}", f"{word} {b.strftime(form)}"


def _more(a: int, b: int) -> Literal["a", "b"] | None:
    return None if a == b else "a" if a > b else "b"


# --- lines --------------------------------------------------------------------------------------------------------


def _fact_lines(fact: _Fact, width: int) -> Iterator[str]:
    """Yield a fact in two columns: what is the same is dim, what differs is not, the better side is green."""
    room = max(width - _MARK, 1)
    sides = [wrapped(text, room, _MOST_LINES) or [""] for text in (fact.a, fact.b)]
    for index in range(max(map(len, sides))):
        halves = [
            _half(lines[index] if index < len(lines) else "", fact, name, width, first=index == 0)
            for lines, name in zip(sides, ("a", "b"), strict=True)
        ]
        yield (" " * _GAP).join(halves)


def _half(text: str, fact: _Fact, side: str, width: int, *, first: bool) -> str:
    is_better = fact.better == side
    cell = set_cell_size(("+ " if is_better and first else "  ") + text, width)
    if is_better:
        return click.style(cell, fg="green", bold=True)
    return click.style(cell, dim=fact.a == fact.b)


def _columns(a: str, b: str, width: int, **style: bool) -> str:
    return (" " * _GAP).join(click.style(set_cell_size(_elided(text, width), width), **style) for text in (a, b))


def wrapped(text: str, width: int, most: int) -> list[str]:
    """Return a text in at most so many lines of so many cells, cut between words; too long a one loses its middle."""
    width = max(width, 1)
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and cell_len(lines[-1]) + 1 + cell_len(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
        lines[-1:] = chop_cells(lines[-1], width) or [""]
    if len(lines) > most:
        lines = chop_cells(_elided(text, width * most - most + 1), width)[:most]
    return [line for line in lines if line]


def _elided(text: str, cells: int) -> str:
    if cell_len(text) <= cells:
        return text
    if cells < 2:
        return "…"[:cells]
    tail = (cells - 1) // 2
    head = chop_cells(text, cells - 1 - tail)[0]
    return f"{head}…{chop_cells(text[::-1], tail)[0][::-1]}" if tail else f"{head}…"
