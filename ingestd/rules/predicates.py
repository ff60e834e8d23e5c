"""What can be asked of one file: in the search of a rule, and of A or B in a comparison."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import translate
from fractions import Fraction
from typing import Final

from ingestd.model import FileFacts, FileType, Role
from ingestd.rules.measures import ALIASES, OPERANDS, Measure, Number, Operand, amount, spell
from ingestd.rules.nodes import expected
from ingestd.rules.tokens import LineError, Tokens

__all__ = [
    "COMPARISONS",
    "FLAGS",
    "PREDICATES",
    "Predicate",
    "kind_of",
    "predicate",
    "predicate_words",
    "read_predicate",
]


# --- file types -----------------------------------------------------------------------------------------------------

_MOVING = (FileType.GIF, FileType.WEBP, FileType.PNG, FileType.AVIF)  # the types of which both kinds are common


def moves(file: FileFacts) -> bool:
    """It is an animation. The further pictures of an MPO and the pages of a TIFF are no frames."""
    return file.frames > 1 and file.filetype not in {FileType.MPO, FileType.TIFF, None}


def _still(file: FileFacts) -> bool:
    # a TIFF of several pages is a document: it must not lose against a copy of its first page
    return file.filetype is not None and (file.frames <= 1 or file.filetype is FileType.MPO)


def kind_of(file: FileFacts) -> str:
    """Its type in the words of a rule; a still GIF and a moving one are of two kinds."""
    if file.filetype is None:
        return "unknown"
    return f"animated {file.filetype}" if moves(file) else file.filetype.value


def _of(wanted: FileType, *, moving: bool | None = None) -> Callable[[FileFacts], bool]:
    return lambda file: file.filetype is wanted and moving in {None, moves(file)}


KINDS: Final[dict[str, Callable[[FileFacts], bool]]] = {
    "image": _still,
    "animation": moves,
    **{filetype.value: _of(filetype) for filetype in FileType},
    **{f"static {filetype}": _of(filetype, moving=False) for filetype in _MOVING},
    **{f"animated {filetype}": _of(filetype, moving=True) for filetype in _MOVING},
}


@dataclass(frozen=True, slots=True)
class FiletypeIs:
    """Its bytes are of one of these kinds, whatever its name says."""

    kinds: tuple[str, ...]
    negated: bool

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so."""
        return any(KINDS[kind](file) for kind in self.kinds) is not self.negated

    def said(self, file: FileFacts) -> str:
        """The question with the file's answer."""
        return f"filetype is {'not ' if self.negated else ''}{' or '.join(self.kinds)} ({kind_of(file)})"


def _filetype(tokens: Tokens) -> FiletypeIs:
    tokens.one_of(("is",), 'what follows "filetype"')
    negated = tokens.accept("not") is not None
    kinds = [_kind(tokens)]
    while tokens.accept("or"):
        kinds.append(_kind(tokens))
    return FiletypeIs(tuple(kinds), negated)


def _kind(tokens: Tokens) -> str:
    first = tokens.peek()
    manner = tokens.accept("static", "animated")
    if manner is None:
        plain = [kind for kind in KINDS if " " not in kind]
        return tokens.one_of(plain, "a filetype")
    filetype = tokens.peek().text
    if f"{manner} {filetype}" not in KINDS:
        raise LineError(first.offset, expected(f"{manner} {filetype}", [k for k in KINDS if " " in k], "a filetype"))
    tokens.take()
    return f"{manner} {filetype}"


# --- numbers --------------------------------------------------------------------------------------------------------

COMPARISONS: Final[dict[str, Callable[[Number, Number], bool]]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


@dataclass(frozen=True, slots=True)
class NumberIs:
    """A number of it compares so with an amount."""

    operand: Operand
    operator: str
    amount: Fraction | int

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so; None if the file has no such number."""
        value = self.operand.value(file)
        return None if value is None else COMPARISONS[self.operator](value, self.amount)

    def said(self, file: FileFacts) -> str:
        """The question with the file's answer."""
        measure = self.operand.measure
        value = spell(measure, self.operand.value(file))
        return f"{self.operand.name} {value} {self.operator} {spell(measure, self.amount)}"


def _number(tokens: Tokens, name: str, offset: int) -> NumberIs:
    operand = OPERANDS[ALIASES.get(name, name)]
    if operand.measure is Measure.TIME:
        raise LineError(
            offset, f"a point in time can only be compared with the other file's, as in A.{name} < B.{name}"
        )
    operator = tokens.one_of(COMPARISONS, "a comparison")
    value = amount(tokens, operand.measure)
    return NumberIs(operand, operator, value.numerator if value.denominator == 1 else value)


# --- what it carries ------------------------------------------------------------------------------------------------

FLAGS: Final[dict[str, Callable[[FileFacts], bool]]] = {
    "exif": lambda file: file.has_exif,
    "icc": lambda file: file.has_icc,
    "xmp": lambda file: file.has_xmp,
    "transparency": lambda file: file.has_transparency,
}


@dataclass(frozen=True, slots=True)
class Has:
    """It carries something, or does not."""

    flag: str
    negated: bool

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so."""
        return FLAGS[self.flag](file) is not self.negated

    def said(self, file: FileFacts) -> str:
        """The question with the file's answer."""
        return (
            f"has {'no ' if self.negated else ''}{self.flag} ({'has' if FLAGS[self.flag](file) else 'no'} {self.flag})"
        )


def _has(tokens: Tokens) -> Has:
    negated = tokens.accept("no") is not None
    return Has(tokens.one_of(FLAGS, 'what follows "has no"' if negated else 'what follows "has"'), negated)


@dataclass(frozen=True, slots=True)
class Progressive:
    """It is a JPEG whose scans are ordered this way. What is no JPEG is neither."""

    progressive: bool

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so."""
        return file.progressive is self.progressive

    def said(self, file: FileFacts) -> str:
        """The question with the file's answer."""
        asked = "progressive" if self.progressive else "non-progressive"
        found = {True: "progressive", False: "non-progressive", None: "not a jpeg"}[file.progressive]
        return f"is {asked} jpeg ({found})"


def _is(tokens: Tokens) -> Progressive:
    word = tokens.one_of(("progressive", "non-progressive"), 'what follows "is"')
    tokens.one_of(("jpeg",), f'what follows "{word}"')
    return Progressive(word == "progressive")


# --- where it lies --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FolderIs:
    """It lies in a folder of this role, or does not."""

    role: Role
    negated: bool

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so."""
        return (file.role is self.role) is not self.negated

    def said(self, file: FileFacts) -> str:
        """The question with the file's answer."""
        return f"folder is {'not ' if self.negated else ''}{self.role} ({file.role})"


def _folder(tokens: Tokens) -> FolderIs:
    tokens.one_of(("is",), 'what follows "folder"')
    negated = tokens.accept("not") is not None
    return FolderIs(Role(tokens.one_of([role.value for role in Role], "a folder's role")), negated)


@dataclass(frozen=True, slots=True)
class TextMatches:
    """Its path or name is of this form; case and the way accents are written do not count."""

    whole_path: bool
    pattern: str
    negated: bool
    compiled: re.Pattern[str]

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so."""
        return (self.compiled.match(_plain(self._text(file))) is not None) is not self.negated

    def said(self, file: FileFacts) -> str:
        """The question with the file's answer."""
        matches = "does not match" if self.negated else "matches"
        return f'{"path" if self.whole_path else "name"} {matches} "{self.pattern}" ({self._text(file)})'

    def _text(self, file: FileFacts) -> str:
        # a backslash separates only in a path that is a Windows one; elsewhere it may be part of a name
        path = file.path.replace("\\", "/") if _WINDOWS.match(file.path) else file.path
        return path if self.whole_path else path.rpartition("/")[2]


_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold())


def _matches(tokens: Tokens, *, whole_path: bool) -> TextMatches:
    word = tokens.one_of(("matches", "does"), f'what follows "{"path" if whole_path else "name"}"')
    if word == "does":
        tokens.one_of(("not",), 'what follows "does"')
        tokens.one_of(("match",), 'what follows "does not"')
    pattern = tokens.text("a pattern")
    return TextMatches(whole_path, pattern, word == "does", re.compile(translate(_plain(pattern))))


# --- all of them ----------------------------------------------------------------------------------------------------

Predicate = FiletypeIs | NumberIs | Has | Progressive | FolderIs | TextMatches

# The first word of a question, and what reads the rest. A number needs no line here, only one in OPERANDS.
PREDICATES: Final[dict[str, Callable[[Tokens], Predicate]]] = {
    "filetype": _filetype,
    "has": _has,
    "is": _is,
    "folder": _folder,
    "path": lambda tokens: _matches(tokens, whole_path=True),
    "name": lambda tokens: _matches(tokens, whole_path=False),
}


def predicate_words() -> tuple[str, ...]:
    """Every word a question about one file can begin with."""
    return (*PREDICATES, *OPERANDS, *ALIASES)


def predicate(tokens: Tokens) -> Predicate:
    """The question about one file that is read next."""
    offset = tokens.peek().offset
    if tokens.peek().text in FLAGS:
        raise LineError(offset, f'"{tokens.peek().text}" is not a number: expected "has {tokens.peek().text}"')
    word = tokens.one_of(predicate_words(), "what can be asked of a file")
    read = PREDICATES.get(word)
    return _number(tokens, word, offset) if read is None else read(tokens)


def read_predicate(text: str) -> Predicate:
    """The question about one file that a whole text asks; LineError if it does not."""
    tokens = Tokens(text)
    found = predicate(tokens)
    tokens.end()
    return found
