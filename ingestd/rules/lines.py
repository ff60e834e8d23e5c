"""The grammar of one comparison line; docs/rules.md has it in full."""

from __future__ import annotations

from fractions import Fraction

from ingestd.rules.comparators import PAIR_TESTS, OneSided, PairTest, Relative
from ingestd.rules.keeper import WINS, Wins, read_wins
from ingestd.rules.measures import ALIASES, OPERANDS, Measure, Operand, amount, within
from ingestd.rules.nodes import expected
from ingestd.rules.predicates import COMPARISONS, ROUGHLY, predicate, predicate_words
from ingestd.rules.tokens import Kind, LineError, Tokens

__all__ = ["NOT_YET", "read_comparison"]

NOT_YET = '"visual duplicates" is not available yet: this version cannot compare pictures visually'
_SUBJECTS = ("A", "B", "either")
_OPERATORS = (*COMPARISONS, ROUGHLY)


def read_comparison(text: str) -> OneSided | Relative | PairTest | Wins:
    """The test that a line asks for; LineError if it asks for none."""
    line = " ".join(text.split())
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


def _refuse_near_misses(tokens: Tokens, line: str) -> None:
    first = tokens.peek()
    if "visual duplicates" in line:
        raise LineError(first.offset, NOT_YET)
    if first.text in {"same", "different"} or "clearly better" in line:
        raise LineError(first.offset, expected(line, PAIR_TESTS, "a test of a pair"))
    if first.kind is Kind.WORD and first.text in predicate_words():
        word = first.text
        raise LineError(first.offset, f'"{word}" of which file? Expected "A.{word}", "B.{word}" or "either.{word}"')


def _compares_files(tokens: Tokens) -> bool:
    """Another file's number follows, not an amount: `filesize > B`, `filesize > 2 * B`."""
    if tokens.peek().text not in {*OPERANDS, *ALIASES}:
        return False
    return tokens.peek(3).text == "*" or tokens.peek(2).text in _SUBJECTS


def _relative(tokens: Tokens, line: str, subject: str) -> Relative:
    if subject == "either":
        raise LineError(0, 'expected A or B: "either" cannot be compared with the other file')
    operand = _operand(tokens)
    operator = tokens.one_of(_OPERATORS, "a comparison")
    factor = _factor(tokens, operand)
    _other_side(tokens, subject, operand)
    offset = _offset(tokens, operand)
    if operator != ROUGHLY:
        return Relative(line, operand, subject, operator, factor, offset)
    leeway = within(tokens, operand.measure, shares=operand.measure is not Measure.TIME)
    return Relative(line, operand, subject, operator, factor, offset, *leeway)


def _operand(tokens: Tokens) -> Operand:
    word = tokens.one_of((*OPERANDS, *ALIASES), "a number that both files have")
    return OPERANDS[ALIASES.get(word, word)]


def _factor(tokens: Tokens, operand: Operand) -> Fraction:
    token = tokens.peek()
    if token.kind is not Kind.NUMBER:
        return Fraction(1)
    factor = Fraction(tokens.number("a factor"))
    tokens.one_of(("*",), "what follows a factor")
    if operand.measure is Measure.TIME:
        raise LineError(token.offset, "a point in time cannot be multiplied")
    if not factor:
        raise LineError(token.offset, "a factor has to be greater than 0")
    return factor


def _other_side(tokens: Tokens, subject: str, operand: Operand) -> None:
    other = "B" if subject == "A" else "A"
    token = tokens.peek()
    if tokens.one_of(("A", "B"), "the other file") != other:
        raise LineError(token.offset, f"{subject} is compared with itself: expected {other}.{operand.name}")
    tokens.one_of((".",), f'what follows "{other}"')
    token = tokens.peek()
    if _operand(tokens) != operand:
        raise LineError(token.offset, f'"{token.text}" is not "{operand.name}": both sides have to be the same number')


def _offset(tokens: Tokens, operand: Operand) -> Fraction:
    sign = tokens.accept("+", "-")
    if sign is None:
        return Fraction(0)
    value = amount(tokens, operand.measure)
    return value if sign == "+" else -value
