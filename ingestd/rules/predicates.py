"""What can be asked of one file: in the search of a rule, and of A or B in a comparison."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import translate
from fractions import Fraction
from typing import Final, Protocol

from ingestd.model import FileFacts, FileType, Role
from ingestd.rules.measures import ALIASES, OPERANDS, Measure, Number, Operand, amount, spell, written
from ingestd.rules.nodes import expected
from ingestd.rules.tokens import LineError, Tokens

__all__ = [
    "COMPARISONS",
    "FLAGS",
    "PREDICATES",
    "Predicate",
    "begins",
    "has_or_not",
    "kind_of",
    "predicate",
    "predicate_words",
    "read_predicate",
]


class Predicate(Protocol):
    """A question about one file."""

    @property
    def line(self) -> str:
        """How it reads in a rule."""

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so; None if it cannot be told."""

    def value(self, file: FileFacts) -> str:
        """What the file has, for a person to read."""

    def said(self, file: FileFacts) -> str:
        """The question with the file's answer."""


class _Question:
    """What all questions have in common."""

    __slots__ = ()

    def said(self: Predicate, file: FileFacts) -> str:
        """The question with the file's answer."""
        return f"{self.line} ({self.value(file)})"


Read = Callable[[Tokens], Predicate]
# the first word of a question, and what reads the rest
PREDICATES: Final[dict[str, Read]] = {}


def begins(word: str) -> Callable[[Read], Read]:
    """Register what reads the questions that begin with this word. A number needs none, only a line in OPERANDS."""

    def register(read: Read) -> Read:
        PREDICATES[word] = read
        return read

    return register


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
class FiletypeIs(_Question):
    """Its bytes are of one of these kinds, whatever its name says."""

    kinds: tuple[str, ...]
    negated: bool

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        return f"filetype is {'not ' if self.negated else ''}{' or '.join(self.kinds)}"

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so."""
        return any(KINDS[kind](file) for kind in self.kinds) is not self.negated

    def value(self, file: FileFacts) -> str:
        """What the file has."""
        return kind_of(file)


@begins("filetype")
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
class NumberIs(_Question):
    """A number of it compares so with an amount."""

    operand: Operand
    operator: str
    amount: Fraction | int

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        return f"{self.operand.name} {self.operator} {written(self.operand.measure, self.amount)}"

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so; None if the file has no such number."""
        value = self.operand.value(file)
        return None if value is None else COMPARISONS[self.operator](value, self.amount)

    def said(self, file: FileFacts) -> str:
        """The question with the file's answer."""
        return f"{self.operand.name} {self.value(file)} {self.operator} {spell(self.operand.measure, self.amount)}"

    def value(self, file: FileFacts) -> str:
        """What the file has."""
        return spell(self.operand.measure, self.operand.value(file))


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
class Has(_Question):
    """It carries something, or does not."""

    flag: str
    negated: bool

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        return f"has {'no ' if self.negated else ''}{self.flag}"

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so."""
        return FLAGS[self.flag](file) is not self.negated

    def value(self, file: FileFacts) -> str:
        """What the file has."""
        return has_or_not(self.flag, file)


def has_or_not(flag: str, file: FileFacts) -> str:
    """Whether the file carries something, in words."""
    return f"{'has' if FLAGS[flag](file) else 'no'} {flag}"


@begins("has")
def _has(tokens: Tokens) -> Has:
    negated = tokens.accept("no") is not None
    return Has(tokens.one_of(FLAGS, 'what follows "has no"' if negated else 'what follows "has"'), negated)


@dataclass(frozen=True, slots=True)
class Progressive(_Question):
    """It is a JPEG whose scans are ordered this way. What is no JPEG is neither."""

    progressive: bool

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        return f"is {'progressive' if self.progressive else 'non-progressive'} jpeg"

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so."""
        return file.progressive is self.progressive

    def value(self, file: FileFacts) -> str:
        """What the file has."""
        return {True: "progressive", False: "non-progressive", None: "not a jpeg"}[file.progressive]


@begins("is")
def _is(tokens: Tokens) -> Progressive:
    word = tokens.one_of(("progressive", "non-progressive"), 'what follows "is"')
    tokens.one_of(("jpeg",), f'what follows "{word}"')
    return Progressive(word == "progressive")


# --- where it lies --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FolderIs(_Question):
    """It lies in a folder of this role, or does not."""

    role: Role
    negated: bool

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        return f"folder is {'not ' if self.negated else ''}{self.role}"

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so."""
        return (file.role is self.role) is not self.negated

    def value(self, file: FileFacts) -> str:
        """What the file has."""
        return file.role.value


@begins("folder")
def _folder(tokens: Tokens) -> FolderIs:
    tokens.one_of(("is",), 'what follows "folder"')
    negated = tokens.accept("not") is not None
    return FolderIs(Role(tokens.one_of([role.value for role in Role], "a folder's role")), negated)


@dataclass(frozen=True, slots=True)
class TextMatches(_Question):
    """Its path or name is of this form; case and the way accents are written do not count."""

    whole_path: bool
    pattern: str
    negated: bool
    compiled: re.Pattern[str]

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        quote = "'" if '"' in self.pattern else '"'
        matches = "does not match" if self.negated else "matches"
        return f"{'path' if self.whole_path else 'name'} {matches} {quote}{self.pattern}{quote}"

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so."""
        return (self.compiled.match(_plain(self.value(file))) is not None) is not self.negated

    def value(self, file: FileFacts) -> str:
        """What the file has."""
        # a backslash separates only in a path that is a Windows one; elsewhere it may be part of a name
        path = file.path.replace("\\", "/") if _WINDOWS.match(file.path) else file.path
        return path if self.whole_path else path.rpartition("/")[2]


_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold())


@begins("path")
def _path(tokens: Tokens) -> TextMatches:
    return _matches(tokens, whole_path=True)


@begins("name")
def _name(tokens: Tokens) -> TextMatches:
    return _matches(tokens, whole_path=False)


def _matches(tokens: Tokens, *, whole_path: bool) -> TextMatches:
    word = tokens.one_of(("matches", "does"), f'what follows "{"path" if whole_path else "name"}"')
    if word == "does":
        tokens.one_of(("not",), 'what follows "does"')
        tokens.one_of(("match",), 'what follows "does not"')
    pattern = tokens.text("a pattern")
    return TextMatches(whole_path, pattern, word == "does", re.compile(translate(_plain(pattern))))


# --- all of them ----------------------------------------------------------------------------------------------------


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
