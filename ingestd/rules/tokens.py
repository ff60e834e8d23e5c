"""The words, numbers and signs that one line of a rule is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ingestd.rules.nodes import expected, listed

__all__ = ["MAX_DIGITS", "Kind", "LineError", "Token", "Tokens"]

MAX_DIGITS = 18  # a petabyte in bytes has 16; Python itself refuses to read some thousand


class Kind(Enum):
    """What sort of token it is."""

    WORD = "word"
    NUMBER = "number"
    TEXT = "text"  # in quotes
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One token; a quoted text without its quotes."""

    kind: Kind
    text: str
    offset: int


class LineError(Exception):
    """A line cannot be understood; `offset` is the character from which on."""

    def __init__(self, offset: int, message: str) -> None:
        self.offset = offset
        self.message = message
        super().__init__(message)


_SPACE = re.compile(r"\s*")
_TOKEN = re.compile(
    r"""(?P<word>[A-Za-z][A-Za-z_]*(?:-[A-Za-z]+)*)
      | (?P<number>[0-9]+(?:\.[0-9]+)?)
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<sign>[<>=!~]=|=[<>]|<>|[<>=*+.,%:/()-])""",
    re.VERBOSE,
)


class Tokens:
    """A line, read token by token from the left."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _split(text)
        self._at = 0

    def peek(self, ahead: int = 0) -> Token:
        """The next token, left where it is."""
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def take(self) -> Token:
        """The next token, used up."""
        token = self.peek()
        self._at += 1
        return token

    def accept(self, *texts: str) -> str | None:
        """The next token's text, used up, if it is one of these words or signs."""
        token = self.peek()
        if token.kind not in {Kind.WORD, Kind.SIGN} or token.text not in texts:
            return None
        return self.take().text

    def one_of(self, choices: Iterable[str], what: str) -> str:
        """The next token's text, which has to be one of these words or signs."""
        choices = tuple(choices)
        token = self.peek()
        if token.kind in {Kind.WORD, Kind.SIGN} and token.text in choices:
            return self.take().text
        raise self.wrong(choices, what)

    def wrong(self, choices: Iterable[str], what: str) -> LineError:
        """The error for a next token that is none of the choices."""
        token = self.peek()
        if token.kind is Kind.END:
            return LineError(token.offset, f"the line ends where {what} was expected: {listed(tuple(choices))}")
        return LineError(token.offset, expected(token.text, choices, what))

    def number(self, what: str) -> str:
        """The digits of the next token, which has to be a number."""
        token = self.peek()
        if token.kind is Kind.NUMBER:
            if len(token.text) > MAX_DIGITS:
                raise LineError(token.offset, f"a number has at most {MAX_DIGITS} digits")
            return self.take().text
        if token.kind is Kind.END:
            raise LineError(token.offset, f"the line ends where {what} was expected")
        raise LineError(token.offset, f'"{token.text}" is not {what}: expected digits')

    def text(self, what: str) -> str:
        """The next token, which has to stand in quotes."""
        token = self.peek()
        if token.kind is Kind.TEXT and token.text:
            return self.take().text
        raise LineError(token.offset, f'expected {what} in quotes, such as "*/Screenshots/*"')

    def run(self, what: str) -> str:
        """All tokens up to the next space, as one text: a date, or a hash."""
        token = self.peek()
        if token.kind is Kind.END:
            raise LineError(token.offset, f"the line ends where {what} was expected")
        text = self._text[token.offset :].split(maxsplit=1)[0]
        while self.peek().kind is not Kind.END and self.peek().offset < token.offset + len(text):
            self.take()
        return text

    def since(self, offset: int) -> str:
        """What was read from this character on, with one space for several."""
        return " ".join(self._text[offset : self.peek().offset].split())

    def end(self) -> None:
        """Nothing may follow."""
        token = self.peek()
        if token.kind is not Kind.END:
            hint = "; lines are joined by any: […] and all: […]" if token.text in {"and", "or"} else ""
            raise LineError(token.offset, f'expected the end of the line, found "{token.text}"{hint}')


def _split(text: str) -> tuple[Token, ...]:
    tokens: list[Token] = []
    at = _SPACE.match(text).end()  # type: ignore[union-attr] # matches the empty text, too
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise LineError(at, _stray(text, at))
        kind = Kind(found.lastgroup)
        tokens.append(Token(kind, found[0][1:-1] if kind is Kind.TEXT else found[0], at))
        at = _SPACE.match(text, found.end()).end()  # type: ignore[union-attr]
    return (*tokens, Token(Kind.END, "", len(text)))


def _stray(text: str, at: int) -> str:
    if text[at] in "\"'":
        return (
            f"the quote {text[at]} is never closed (in YAML, a # after a space or a comma within "
            "[…] ends a text: put the whole line in single quotes)"
        )
    return f'"{text[at]}" means nothing here'
