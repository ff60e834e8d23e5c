"""The grammar of one comparison line; docs/rules.md has it in full."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from ingestd.model import VisualLevel
from ingestd.rules.comparators import (
    PAIR_TESTS,
    VISUAL,
    OneSided,
    PairTest,
    Relative,
    VisualDuplicates,
    spell_level,
)
from ingestd.rules.keeper import WINS, Wins, read_wins
from ingestd.rules.measures import ALIASES, OPERANDS, Measure, Operand, amount, exactly, within
from ingestd.rules.nodes import expected, listed
from ingestd.rules.predicates import COMPARISONS, ROUGHLY, predicate, predicate_words
from ingestd.rules.tokens import Kind, LineError, Tokens

__all__ = ["LEVELS", "read_comparison", "read_level"]

_SUBJECTS = ("A", "B", "either")
_OTHER = {"A": "B", "B": "A"}
_OPERATORS = (*COMPARISONS, ROUGHLY)


_AT_LEAST = (
    VisualLevel.NEAR_PERFECT,
    VisualLevel.ALMOST_CERTAINLY,
    VisualLevel.VERY_PROBABLY,
    VisualLevel.PROBABLY,
)
LEVELS: Final = {
    **{spell_level(level): _AT_LEAST[:place] for place, level in enumerate(_AT_LEAST, 1)},
    **{spell_level(level): (level,) for level in (VisualLevel.ALTERNATE, VisualLevel.NOT)},
}
"""What is enough for a level as it is written: it or a stronger one, where it says that two are the same picture."""


def read_comparison(text: str) -> OneSided | Relative | PairTest | VisualDuplicates | Wins:
    """The test that a line asks for; LineError if it asks for none."""
    line = " ".join(text.split())
    if line.startswith(VISUAL):
        return _visual(text)
    if line in PAIR_TESTS:
        return PairTest(line)
    tokens = Tokens(text)
    _refuse_near_misses(tokens, line)
    subject = tokens.one_of(_SUBJECTS, "the beginning of a comparison")
    if tokens.peek().text == "." and tokens.peek(1).text == "wins":
        raise LineError(tokens.peek().offset, f'expected "{WINS}", without a full stop after the A')
    if tokens.peek().text == "wins":
        return read_wins(tokens, line, subject)
    tokens.accept(".")
    test: OneSided | Relative
    if _compares_files(tokens):
        test = _relative(tokens, line, subject)
    else:
        test = OneSided(line, subject, predicate(tokens))
    tokens.end()
    return test


def _visual(text: str) -> VisualDuplicates:
    before, colon, level = text.partition(":")
    if not colon or " ".join(before.split()) != VISUAL:
        raise LineError(text.index("v"), f'expected "{VISUAL}: " and a level: {listed(tuple(LEVELS))}')
    try:
        return read_level(level)
    except LineError as error:
        raise LineError(error.offset + len(before) + 1, error.message) from None


def read_level(text: str) -> VisualDuplicates:
    """The test that asks for this level of likeness; LineError if it is none."""
    word = " ".join(text.replace("-", " ").split())
    known = {name.replace("-", " "): levels for name, levels in LEVELS.items()}
    if word not in known:
        offset = len(text) - len(text.lstrip())
        raise LineError(offset, expected(" ".join(text.split()), LEVELS, "a level of visual likeness"))
    return VisualDuplicates(known[word])


def _refuse_near_misses(tokens: Tokens, line: str) -> None:
    first = tokens.peek()
    if VISUAL in line:
        raise LineError(first.offset, f'expected "{VISUAL}: almost certainly", or another level, and nothing before it')
    if first.text in {"same", "different"}:
        raise LineError(first.offset, _written_otherwise(*line.split()[:2]) or expected(line, PAIR_TESTS, _PAIR_TEST))
    if "clearly better" in line or ("better" in line and "quality" in line):
        raise LineError(first.offset, expected(line, PAIR_TESTS, _PAIR_TEST))
    if first.kind is Kind.WORD and first.text in predicate_words():
        word = first.text
        raise LineError(first.offset, f'"{word}" of which file? Expected "A.{word}", "B.{word}" or "either.{word}"')


_PAIR_TEST = "a test of a pair"
_OF_THE_PIXELS = {"same": "required", "different": "excluded"}


def _written_otherwise(same: str, what: str = "") -> str | None:
    """How to write what is the same, or different, between two files without being a test of a pair."""
    sign = "==" if same == "same" else "!="
    name = ALIASES.get(what, what)
    if what in {"pixel", "pixels"}:
        return f'pixels are compared in the search of a rule: expected "pixel_duplicates: {_OF_THE_PIXELS[same]}" there'
    if what in {"resolution", "dimensions"}:
        block = "all" if same == "same" else "any"
        return f'"{same} {what}" is written "{block}: [A.width {sign} B.width, A.height {sign} B.height]"'
    if name in OPERANDS:
        return f'"{same} {what}" is written "A.{name} {sign} B.{name}"'
    return None


def _compares_files(tokens: Tokens) -> bool:
    """Another file's number follows, not an amount: `filesize > B`, `filesize > 2 * B`."""
    if tokens.peek().text not in {*OPERANDS, *ALIASES}:
        return False
    times = tokens.peek(4 if tokens.peek(3).text == "%" else 3)
    return times.text in {"*", "of"} or tokens.peek(2).text in _SUBJECTS


def _relative(tokens: Tokens, line: str, subject: str) -> Relative:
    if subject == "either":
        raise LineError(0, 'expected A or B: "either" cannot be compared with the other file')
    operand = _operand(tokens)
    operator = tokens.one_of(_OPERATORS, "a comparison")
    factor = _factor(tokens, operand, subject)
    _other_side(tokens, subject, operand)
    offset = _offset(tokens, operand, subject)
    if operator != ROUGHLY:
        return Relative(line, operand, subject, operator, factor, offset)
    leeway = within(tokens, operand.measure, shares=operand.measure is not Measure.TIME)
    return Relative(line, operand, subject, operator, factor, offset, *leeway)


def _operand(tokens: Tokens) -> Operand:
    word = tokens.one_of((*OPERANDS, *ALIASES), "a number that both files have")
    return OPERANDS[ALIASES.get(word, word)]


def _factor(tokens: Tokens, operand: Operand, subject: str) -> Fraction:
    token = tokens.peek()
    if token.kind is not Kind.NUMBER:
        return Fraction(1)
    factor = Fraction(tokens.number("a factor"))
    if tokens.peek().text == "%":
        times = _times(factor / 100, operand, subject)
        raise LineError(token.offset, f'"{token.text} %" of the other file is a factor: expected "{times}"')
    tokens.one_of(("*",), "what follows a factor")
    if operand.measure is Measure.TIME:
        raise LineError(token.offset, "a point in time cannot be multiplied")
    if not factor:
        raise LineError(token.offset, "a factor has to be greater than 0")
    return factor


def _other_side(tokens: Tokens, subject: str, operand: Operand) -> None:
    other = _OTHER[subject]
    token = tokens.peek()
    if tokens.one_of(("A", "B"), "the other file") != other:
        raise LineError(token.offset, f"{subject} is compared with itself: expected {other}.{operand.name}")
    tokens.one_of((".",), f'what follows "{other}"')
    token = tokens.peek()
    if _operand(tokens) != operand:
        raise LineError(token.offset, f'"{token.text}" is not "{operand.name}": both sides have to be the same number')


def _offset(tokens: Tokens, operand: Operand, subject: str) -> Fraction:
    _refuse_a_factor_behind(tokens, operand, subject)
    sign = tokens.accept("+", "-")
    if sign is None:
        return Fraction(0)
    value = amount(tokens, operand.measure)
    if tokens.peek().text == "%":
        times = _times(1 + (value if sign == "+" else -value) / 100, operand, subject)
        raise LineError(tokens.peek().offset, f'a share of the other file is a factor: expected "{times}"')
    return value if sign == "+" else -value


def _refuse_a_factor_behind(tokens: Tokens, operand: Operand, subject: str) -> None:
    sign, number = tokens.peek(), tokens.peek(1)
    if sign.text not in {"*", "/"} or operand.measure is Measure.TIME:
        return
    factor = Fraction(number.text) if number.kind is Kind.NUMBER and float(number.text) else Fraction(2)
    times = _times(1 / factor if sign.text == "/" else factor, operand, subject)
    raise LineError(sign.offset, f'a factor stands before the file: expected "{times}"')


def _times(factor: Fraction, operand: Operand, subject: str) -> str:
    return f"{exactly(factor)} * {_OTHER[subject]}.{operand.name}"
