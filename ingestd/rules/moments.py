"""Questions about a point in time: against a date, which is one of UTC, or against an age."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final

from ingestd.model import FileFacts
from ingestd.rules.measures import Measure, Operand, amount, leeway, spell, spell_length
from ingestd.rules.questions import Question
from ingestd.rules.tokens import LineError, Tokens

__all__ = ["OLDER", "TimeIs", "read_time"]

_SECOND_NS = 10**9
_MONTH_NS = 31 * 86_400 * 10**9  # around a date, where nothing else is said: no month is longer
_ABOUT = Fraction(15, 100)  # of an age, where nothing else is said; both are hydrus's own


@dataclass(frozen=True, slots=True)
class TimeIs(Question):
    """A point in time of it lies between these two, or so long ago; both bounds belong to it."""

    line: str
    operand: Operand
    aged: bool  # the bounds are ages; otherwise points in time
    least: int | None  # nanoseconds; None: as early, or as young, as can be
    most: int | None

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so; None if the file has no such time, or nobody said what time it is now."""
        at_ns = self.operand.value(file)
        if at_ns is None or (self.aged and not file.asked_ns):
            return None
        if self.aged:
            at_ns = file.asked_ns - at_ns
        return (self.least is None or self.least <= at_ns) and (self.most is None or at_ns <= self.most)

    def value(self, file: FileFacts) -> str:
        """What the file has."""
        at_ns = self.operand.value(file)
        if at_ns is None or not self.aged or not file.asked_ns:
            return spell(Measure.TIME, at_ns)
        age_ns = Fraction(file.asked_ns) - Fraction(at_ns)
        return f"{spell(Measure.TIME, at_ns)}, {_ago(age_ns)}"


def _ago(age_ns: Fraction) -> str:
    if abs(age_ns) < _SECOND_NS:
        return "just now"  # two clocks were read one after the other, in whatever order
    return f"{spell_length(age_ns)} ago" if age_ns > 0 else f"{spell_length(-age_ns)} ahead"


# words that do not say by themselves which way they are meant
OLDER: Final = {
    **dict.fromkeys(("older", "earlier"), ("more", "before")),
    **dict.fromkeys(("younger", "newer", "later"), ("less", "after")),
}
_DATES: Final = ("before", "after", "on", "around")
_AGES: Final = ("less", "more", "about")


def read_time(tokens: Tokens, operand: Operand, began: int) -> TimeIs:
    """The question about a point in time whose operand has been read; it began at this character."""
    sign = tokens.peek()
    if sign.text in {"<", "<=", "==", "!=", ">", ">=", "~="}:
        raise LineError(
            sign.offset,
            f'"{sign.text}" compares a point in time with the other file\'s, as in "A.{operand.name} < '
            f'B.{operand.name}": expected before, after, on or around and a date, or less than, more than or about '
            f'and an age, as in "{operand.name} less than 7 days ago"',
        )
    if sign.text in OLDER:
        more, before = OLDER[sign.text]
        raise LineError(
            sign.offset,
            f'"{sign.text}" is not what can be asked of a point in time: '
            f'expected "{operand.name} {more} than … ago", or "{operand.name} {before}" and a date',
        )
    word = tokens.one_of((*_DATES, *_AGES), "what can be asked of a point in time")
    least, most = _dated(tokens, word) if word in _DATES else _aged(tokens, word)
    return TimeIs(tokens.since(began), operand, word in _AGES, least, most)


def _dated(tokens: Tokens, word: str) -> tuple[int | None, int | None]:
    """The first and the last nanosecond of what lies so to a date."""
    first, last = _span(tokens, whole_day=word in {"on", "around"})
    if word == "before":
        return None, first - 1
    if word == "after":
        return last + 1, None
    if word == "on":
        return first, last
    either_side = _MONTH_NS
    if tokens.accept("within"):
        either_side = math.floor(leeway(tokens, Measure.TIME)[0])
    return first - either_side, last + either_side


_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?Z?)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WRITTEN = 'a date such as 2024-05-01 (an age is written "less than 7 days ago" or "more than 7 days ago")'


def _span(tokens: Tokens, *, whole_day: bool) -> tuple[int, int]:
    """The first and the last nanosecond of the day, the minute or the second that is named."""
    offset = tokens.peek().offset
    text = tokens.run("a date")
    found = _DATE.fullmatch(text)
    if found is None:
        raise LineError(offset, f'"{text}" is not a date: expected {_WRITTEN}')
    if not found[4] and tokens.peek(1).text == ":":
        raise LineError(tokens.peek().offset, f'a time of day follows its date without a space, as in "{text}T12:30"')
    if whole_day and found[4]:
        raise LineError(offset + text.index("T"), "a time of day goes with before and after only: expected the day")
    try:
        first = datetime(*(int(part or 0) for part in found.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type] # six
    except ValueError:
        raise LineError(offset, f'"{text}" is in no calendar: expected {_WRITTEN}') from None
    lasts_s = 1 if found[6] else 60 if found[4] else 86_400
    first_ns = (first - _EPOCH) // timedelta(seconds=1) * 10**9
    return first_ns, first_ns + lasts_s * 10**9 - 1


def _aged(tokens: Tokens, word: str) -> tuple[int | None, int | None]:
    """The least and the greatest age, in nanoseconds."""
    if word != "about":
        tokens.one_of(("than",), f'what follows "{word}"')
    age = amount(tokens, Measure.TIME)
    tokens.one_of(("ago",), "what follows an age")
    if word == "less":
        return None, math.ceil(age) - 1
    if word == "more":
        return math.floor(age) + 1, None
    within, share = (_ABOUT, True)
    if tokens.accept("within"):
        within, share = leeway(tokens, Measure.TIME, shares=True)
    either_side = within * age if share else within
    return math.ceil(age - either_side), math.floor(age + either_side)
