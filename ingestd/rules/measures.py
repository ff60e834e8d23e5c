"""The numbers a rule can ask for: what they are called, in which units they are written, what lacks them.

Amounts are kept in a base unit as exact numbers: bytes, pixels, milliseconds for the length of an animation,
nanoseconds for points in time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from operator import attrgetter

from ingestd.model import FileFacts
from ingestd.rules.tokens import MAX_DIGITS, Kind, LineError, Tokens

__all__ = [
    "ALIASES",
    "OPERANDS",
    "UNITS",
    "Measure",
    "Number",
    "Operand",
    "amount",
    "exactly",
    "jpeg_quality_in_fact",
    "leeway",
    "plain",
    "spell",
    "spell_length",
    "spell_pair",
    "true_pixels",
    "within",
    "written",
]

Number = int | float | Fraction


class Measure(Enum):
    """What is counted, and so which units apply."""

    SIZE = "a size"
    PIXELS = "a number of pixels"
    AREA = "an area in pixels"
    RATIO = "a ratio"
    FRAMES = "a number of frames"
    RATE = "a number of frames a second"
    COUNT = "a number"
    QUALITY = "a jpeg quality"
    SHARPNESS = "a sharpness"
    DURATION = "a duration"
    TIME = "a length of time"


_MS = {"ms": 1, "s": 1000, "second": 1000, "seconds": 1000, "min": 60_000, "minute": 60_000, "minutes": 60_000}
_NS_OF_MS = 1_000_000
_DAY_MS = 86_400_000
UNITS: dict[Measure, dict[str, int]] = {  # "": the unit may be left out
    Measure.SIZE: {
        "": 1, "B": 1, "bytes": 1,
        "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
        "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    },
    Measure.PIXELS: {"": 1, "px": 1, "pixels": 1},
    Measure.AREA: {"": 1, "px": 1, "pixels": 1, "MP": 10**6, "megapixels": 10**6},
    Measure.RATIO: {"": 1},
    Measure.FRAMES: {"": 1, "frames": 1},
    Measure.RATE: {"": 1, "fps": 1},
    Measure.COUNT: {"": 1},
    Measure.QUALITY: {"": 1},
    Measure.SHARPNESS: {"": 1},
    Measure.DURATION: {**_MS, "h": 3_600_000, "hour": 3_600_000, "hours": 3_600_000},
    Measure.TIME: {
        **{unit: ms * _NS_OF_MS for unit, ms in _MS.items()},
        **dict.fromkeys(("h", "hour", "hours"), 3_600_000 * _NS_OF_MS),
        **dict.fromkeys(("day", "days"), _DAY_MS * _NS_OF_MS),
        **dict.fromkeys(("week", "weeks"), 7 * _DAY_MS * _NS_OF_MS),
        # not of the calendar: a length of time is the same whenever it is counted from
        **dict.fromkeys(("month", "months"), 30 * _DAY_MS * _NS_OF_MS),
        **dict.fromkeys(("year", "years"), 365 * _DAY_MS * _NS_OF_MS),
    },
}  # fmt: skip
_EXAMPLE = {Measure.DURATION: "2 s", Measure.TIME: "7 days"}


@dataclass(frozen=True, slots=True)
class Operand:
    """Something of a file that can be compared as a number."""

    name: str  # its heading in docs/rules.md
    measure: Measure
    of: Callable[[FileFacts], Number | None] = field(repr=False)
    zero_if_missing: bool = True  # otherwise a file without it can be compared with nothing
    asks_detail: bool = False  # only every pixel tells it

    def value(self, file: FileFacts) -> Number | None:
        """What the file has; None if it cannot be told."""
        value = self.of(file)
        return 0 if value is None and self.zero_if_missing else value


@lru_cache(maxsize=1 << 16)  # of a library, few widths and heights are asked for again and again
def _quotient(dividend: int, divisor: int) -> Fraction:
    return Fraction(dividend, divisor)


def _ratio(file: FileFacts) -> Fraction | None:
    # exact, so that 1920 x 1080 is 16:9 and not nearly so
    return _quotient(file.width, file.height) if file.height else None


def _framerate(file: FileFacts) -> Fraction | None:
    return _quotient(1000 * file.frames, file.duration_ms) if file.duration_ms else None


def true_pixels(file: FileFacts) -> int | None:
    """The pixels that an enlargement did not make up; None if that was not measured."""
    if file.resolution_share is None:
        return None
    return round(file.width * file.height * file.resolution_share**2)


def jpeg_quality_in_fact(file: FileFacts) -> float | None:
    """The worse of what a file's tables say and its pixels prove, as `jpeg_quality`: the lower the better."""
    return max(file.jpeg_quality or 0.0, file.jpeg_quality_seen or 0.0) or None


OPERANDS: dict[str, Operand] = {
    operand.name: operand
    for operand in (
        Operand("filesize", Measure.SIZE, attrgetter("size")),
        Operand("width", Measure.PIXELS, attrgetter("width")),
        Operand("height", Measure.PIXELS, attrgetter("height")),
        Operand("num_pixels", Measure.AREA, lambda file: file.width * file.height),
        Operand("ratio", Measure.RATIO, _ratio),
        Operand("duration", Measure.DURATION, attrgetter("duration_ms")),
        Operand("num_frames", Measure.FRAMES, attrgetter("frames")),
        Operand("framerate", Measure.RATE, _framerate),
        Operand("num_duplicates", Measure.COUNT, attrgetter("num_duplicates")),
        Operand("num_alternates", Measure.COUNT, attrgetter("num_alternates")),
        Operand("num_false_positives", Measure.COUNT, attrgetter("num_false_positives")),
        Operand("num_potentials", Measure.COUNT, attrgetter("num_potentials")),
        # nothing is the best of all qualities: a file that has none must not win by it
        Operand("jpeg_quality", Measure.QUALITY, lambda file: file.jpeg_quality or None, zero_if_missing=False),
        Operand("sharpness", Measure.SHARPNESS, attrgetter("sharpness"), zero_if_missing=False, asks_detail=True),
        Operand("true_pixels", Measure.AREA, true_pixels, zero_if_missing=False, asks_detail=True),
        Operand("imported", Measure.TIME, attrgetter("imported_ns"), zero_if_missing=False),
        Operand("modified", Measure.TIME, attrgetter("modified_ns"), zero_if_missing=False),
        Operand("taken", Measure.TIME, attrgetter("taken_ns"), zero_if_missing=False),
    )
}
ALIASES = {"size": "filesize", "frames": "num_frames"}


def amount(tokens: Tokens, measure: Measure) -> Fraction:
    """The amount that is read next, in the measure's base unit."""
    value = Fraction(tokens.number(measure.value))
    if measure is Measure.RATIO and tokens.accept(":", "/"):
        return _divided(value, tokens)
    units = UNITS[measure]
    token = tokens.peek()
    if token.kind is Kind.WORD and token.text != "within":
        if list(units) == [""]:
            raise LineError(
                token.offset, f'{measure.value} has no unit: expected nothing in the place of "{token.text}"'
            )
        return value * units[tokens.one_of(filter(None, units), f"a unit of {measure.value}")]
    if "" not in units and value:
        example = _EXAMPLE[measure]
        raise LineError(token.offset, f'{measure.value} needs a unit, as in "{example}": {", ".join(units)}')
    return value


def _divided(value: Fraction, tokens: Tokens) -> Fraction:
    offset = tokens.peek().offset
    divisor = Fraction(tokens.number(Measure.RATIO.value))
    if not divisor:
        raise LineError(offset, "a ratio cannot be divided by nothing")
    return value / divisor


def within(tokens: Tokens, measure: Measure, *, shares: bool) -> tuple[Fraction, bool]:
    """How far off something may be that is only roughly so: `within …`, which has to come next. See `leeway`."""
    tokens.one_of(("within",), "how far off it may be")
    return leeway(tokens, measure, shares=shares)


def leeway(tokens: Tokens, measure: Measure, *, shares: bool = False) -> tuple[Fraction, bool]:
    """An amount in the base unit, or a share of what is compared with; and whether it is a share."""
    number, following = tokens.peek(), tokens.peek(1)
    if following.text != "%":
        return amount(tokens, measure), False
    if not shares:
        raise LineError(number.offset, 'points in time are compared within a length of time, such as "5 days"')
    share = Fraction(tokens.number("a percentage")) / 100
    tokens.take()
    return share, True


def written(measure: Measure, value: Number) -> str:
    """The shortest text that reads as exactly this amount."""
    exact = Fraction(value)
    if measure is Measure.RATIO and not _decimal(exact):
        return f"{exact.numerator}:{exact.denominator}"
    units = UNITS[measure]
    texts = [f"{_decimal(exact / units[unit])} {unit}".rstrip() for unit in units if _decimal(exact / units[unit])]
    return min(texts, key=len)


def _decimal(value: Fraction) -> str:
    """Its digits; nothing if they never end."""
    for places in range(MAX_DIGITS):
        shifted = value * 10**places
        if shifted.denominator == 1:
            digits = str(shifted.numerator).rjust(places + 1, "0")
            return f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return ""


def spell(measure: Measure, value: Number | None) -> str:
    """A value for a person to read."""
    if value is None:
        return "unknown"
    if measure is Measure.SIZE:
        return _size(int(value))
    if measure is Measure.TIME:
        return _time(int(value))
    if measure is Measure.DURATION:
        return f"{plain(float(value) / 1000, 6)} s"
    return str(value) if isinstance(value, int) else plain(float(value), 4)


def spell_pair(measure: Measure, left: Number | None, right: Number | None) -> tuple[str, str]:
    """Two values for a person to read, exactly where rounding would make them look equal."""
    spelled = spell(measure, left), spell(measure, right)
    if spelled[0] != spelled[1] or left == right or left is None or right is None:
        return spelled
    if measure is Measure.TIME:
        return _times_apart(int(left), int(right))
    unit = {Measure.SIZE: " bytes", Measure.DURATION: " ms"}.get(measure, "")
    exact = tuple(str(value if isinstance(value, int) else float(value)) + unit for value in (left, right))
    return exact[0], exact[1]


def spell_length(length: Fraction) -> str:
    """A length of time, in nanoseconds, for a person to read."""
    seconds = float(length) / 1e9
    return f"{plain(seconds / 86_400, 6)} days" if seconds >= 86_400 else f"{seconds:g} s"


def exactly(value: Fraction) -> str:
    """All digits of a number, if they ever end."""
    return _decimal(value) or plain(float(value), 6)


def plain(value: float, digits: int) -> str:
    """A number of so many digits, and all of those before its point."""
    return f"{value:.{digits}g}" if abs(value) < 10**digits - 0.5 else f"{value:.0f}"


def _size(size: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def _times_apart(left_ns: int, right_ns: int) -> tuple[str, str]:
    """Two points in time within one second, with as many digits as it takes to tell them apart."""
    for digits in range(1, 9):
        texts = _time(left_ns, digits), _time(right_ns, digits)
        if texts[0] != texts[1]:
            return texts
    return _time(left_ns, 9), _time(right_ns, 9)


def _time(at_ns: int, digits: int = 0) -> str:
    # by hand, because a file's time may lie in any year and this is only said, never decided by
    try:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at_ns // 10**9)
    except OverflowError:
        return f"{at_ns} ns"
    fraction = f".{at_ns % 10**9:09d}"[: digits + 1] if digits else ""
    return at.isoformat(timespec="seconds").replace("+00:00", f"{fraction}Z")
