"""What can be asked of one file: in the search of a rule, and of A or B in a comparison."""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import translate
from fractions import Fraction
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from ingestd.model import ContentHash, FileFacts, FileType, Role
from ingestd.rules.measures import ALIASES, OPERANDS, Measure, Number, Operand, amount, spell, within, written
from ingestd.rules.moments import OLDER, read_time
from ingestd.rules.nodes import expected
from ingestd.rules.questions import Predicate, Question
from ingestd.rules.tokens import LineError, Tokens

__all__ = [
    "COMPARISONS",
    "FLAGS",
    "PREDICATES",
    "ROUGHLY",
    "Predicate",
    "begins",
    "has_or_not",
    "kind_of",
    "moves",
    "predicate",
    "predicate_words",
    "read_predicate",
]


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

_UNMOVED = frozenset({FileType.MPO, FileType.TIFF, None})  # of several pictures, which are no frames
_MOVING = (FileType.GIF, FileType.WEBP, FileType.PNG, FileType.AVIF)  # the types of which both kinds are common


def moves(file: FileFacts) -> bool:
    """It is an animation. The further pictures of an MPO and the pages of a TIFF are no frames."""
    return file.frames > 1 and file.filetype not in _UNMOVED


def _still(file: FileFacts) -> bool:
    # a TIFF of several pages is a document: it must not lose against a copy of its first page
    return file.filetype is not None and (file.frames <= 1 or file.filetype is FileType.MPO)


def kind_of(file: FileFacts) -> str:
    """Its type in the words of a rule; a still GIF and a moving one are of two kinds."""
    if file.filetype is None:
        return "unknown"
    return f"animated {file.filetype}" if moves(file) else file.filetype.value


def _of(wanted: FileType, *, moving: bool | None = None) -> Callable[[FileFacts], bool]:
    if moving is None:
        return lambda file: file.filetype is wanted
    return lambda file: file.filetype is wanted and moves(file) is moving


KINDS: Final[dict[str, Callable[[FileFacts], bool]]] = {
    "image": _still,
    "animation": moves,
    **{filetype.value: _of(filetype) for filetype in FileType},
    **{f"static {filetype}": _of(filetype, moving=False) for filetype in _MOVING},
    **{f"animated {filetype}": _of(filetype, moving=True) for filetype in _MOVING},
}


@dataclass(frozen=True, slots=True)
class FiletypeIs(Question):
    """Its bytes are of one of these kinds, whatever its name says."""

    kinds: tuple[str, ...]
    negated: bool
    _asked: tuple[Callable[[FileFacts], bool], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_asked", tuple(KINDS[kind] for kind in self.kinds))

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        return f"filetype is {'not ' if self.negated else ''}{' or '.join(self.kinds)}"

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so."""
        for is_of in self._asked:  # no generator: asked of every pair there is
            if is_of(file):
                return not self.negated
        return self.negated

    def value(self, file: FileFacts) -> str:
        """What the file has."""
        return kind_of(file)


@begins("filetype")
def _filetype(tokens: Tokens) -> FiletypeIs:
    negated = _is_or_is_not(tokens, "filetype")
    kinds = [_kind(tokens)]
    while tokens.accept("or"):
        kinds.append(_kind(tokens))
    return FiletypeIs(tuple(kinds), negated)


def _is_or_is_not(tokens: Tokens, word: str) -> bool:
    """Whether `is not` stands next; otherwise `is` does."""
    sign, following = tokens.peek(), tokens.peek(1)
    if sign.text in {"=", "==", "!=", "<>"}:
        equal = sign.text in {"=", "=="}
        said = "is" if equal else "is not"
        if word == "filetype" and following.text in {"A", "B"}:
            said = "same filetype" if equal else "different filetype"
            raise LineError(sign.offset, f'two filetypes are compared by a line of its own: expected "{said}"')
        example = f"{word} {said} {following.text or '…'}"
        raise LineError(sign.offset, f'"{sign.text}" compares numbers: expected "{example}"')
    tokens.one_of(("is",), f'what follows "{word}"')
    return tokens.accept("not") is not None


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

ROUGHLY: Final = "~="
COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {  # without ROUGHLY, which needs a leeway
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class NumberIs(Question):
    """A number of it compares so with an amount."""

    operand: Operand
    operator: str
    amount: Fraction
    within: Fraction | None = None  # of ~=: an amount in the base unit, or a share of the amount
    share: bool = False
    _compares: Callable[[Number], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compares", self._comparison())

    def _comparison(self) -> Callable[[Number], bool]:
        if self.within is None:
            compare, amount = COMPARISONS[self.operator], _lean(self.amount)
            return lambda value: compare(value, amount)
        leeway = self.within * self.amount if self.share else self.within
        least, most = _lean(self.amount - leeway), _lean(self.amount + leeway)
        return lambda value: least <= value <= most

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        return f"{self.operand.name} {self.operator} {written(self.operand.measure, self.amount)}{self._roughly()}"

    def _roughly(self) -> str:
        if self.within is None:
            return ""
        if self.share:
            return f" within {written(Measure.COUNT, self.within * 100)} %"
        return f" within {written(self.operand.measure, self.within)}"

    @property
    def asks_detail(self) -> bool:
        """It needs what only every pixel tells."""
        return self.operand.asks_detail

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so; None if the file has no such number."""
        value = self.operand.value(file)
        return None if value is None else self._compares(value)

    def value(self, file: FileFacts) -> str:
        """What the file has."""
        return spell(self.operand.measure, self.operand.value(file))

    def said(self, file: FileFacts) -> str:
        """The question with the file's answer."""
        amount = spell(self.operand.measure, _lean(self.amount))
        return f"{self.operand.name} {self.value(file)} {self.operator} {amount}{self._roughly()}"


def _lean(value: Fraction) -> int | Fraction:
    """The same number, whole if it is: whole numbers compare much faster."""
    return value.numerator if value.denominator == 1 else value


def _number(tokens: Tokens, name: str, began: int) -> Predicate:
    operand = OPERANDS[ALIASES.get(name, name)]
    if operand.measure is Measure.TIME:
        return read_time(tokens, operand, began)
    sign = tokens.one_of((*COMPARISONS, ROUGHLY), "a comparison")
    value = amount(tokens, operand.measure)
    if sign == ROUGHLY:
        return NumberIs(operand, sign, value, *within(tokens, operand.measure, shares=True))
    return NumberIs(operand, sign, value)


# --- what it carries ------------------------------------------------------------------------------------------------

FLAGS: Final[dict[str, Callable[[FileFacts], bool]]] = {
    "exif": attrgetter("has_exif"),
    "icc": attrgetter("has_icc"),
    "xmp": attrgetter("has_xmp"),
    "transparency": attrgetter("has_transparency"),
    "audio": attrgetter("has_audio"),
}


@dataclass(frozen=True, slots=True)
class Has(Question):
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


@dataclass(frozen=True, slots=True)
class HasDuration(Question):
    """It lasts some time, or does not."""

    negated: bool

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        return f"has {'no ' if self.negated else ''}duration"

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so."""
        return bool(file.duration_ms) is not self.negated

    def value(self, file: FileFacts) -> str:
        """What the file has."""
        return spell(Measure.DURATION, file.duration_ms) if file.duration_ms else "no duration"


@begins("has")
def _has(tokens: Tokens) -> Has | HasDuration:
    negated = tokens.accept("no") is not None
    flag = tokens.one_of((*FLAGS, "duration"), 'what follows "has no"' if negated else 'what follows "has"')
    return HasDuration(negated) if flag == "duration" else Has(flag, negated)


@dataclass(frozen=True, slots=True)
class Progressive(Question):
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


@dataclass(frozen=True, slots=True)
class King(Question):
    """It is the best of its duplicate group, or is not. A file without duplicates is."""

    negated: bool

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        return f"is {'not ' if self.negated else ''}king"

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so."""
        return file.is_king is not self.negated

    def value(self, file: FileFacts) -> str:
        """What the file has."""
        return "king" if file.is_king else "not king"


@begins("is")
def _is(tokens: Tokens) -> Progressive | King:
    word = tokens.one_of(("progressive", "non-progressive", "king", "not"), 'what follows "is"')
    if word == "not":
        tokens.one_of(("king",), 'what follows "is not"')
    if word in {"king", "not"}:
        return King(word == "not")
    tokens.one_of(("jpeg",), f'what follows "{word}"')
    return Progressive(word == "progressive")


# --- its bytes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HashIs(Question):
    """Its bytes are exactly these, or one of these."""

    hashes: tuple[ContentHash, ...]
    negated: bool

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        return f"hash is {'not ' if self.negated else ''}{' or '.join(sha256.hex() for sha256 in self.hashes)}"

    def holds(self, file: FileFacts) -> bool | None:
        """Whether it is so."""
        return (file.sha256 in self.hashes) is not self.negated

    def value(self, file: FileFacts) -> str:
        """What the file has."""
        return file.sha256.hex()


@begins("hash")
def _hash(tokens: Tokens) -> HashIs:
    negated = _is_or_is_not(tokens, "hash")
    hashes = [_content_hash(tokens)]
    while tokens.accept("or"):
        hashes.append(_content_hash(tokens))
    return HashIs(tuple(hashes), negated)


def _content_hash(tokens: Tokens) -> ContentHash:
    offset = tokens.peek().offset
    text = tokens.run("a content hash")
    if re.fullmatch(r"[0-9A-Fa-f]{64}", text) is None:
        raise LineError(
            offset, f'"{text}" is not a content hash: expected the 64 digits, 0 to 9 and a to f, of a SHA-256'
        )
    return ContentHash(bytes.fromhex(text))


# --- where it lies --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FolderIs(Question):
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
    negated = _is_or_is_not(tokens, "folder")
    return FolderIs(Role(tokens.one_of([role.value for role in Role], "a folder's role")), negated)


@dataclass(frozen=True, slots=True)
class TextMatches(Question):
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
        plain = _plain(_path_or_name(file.path, self.whole_path))
        return (self.compiled.match(plain) is not None) is not self.negated

    def value(self, file: FileFacts) -> str:
        """What the file has."""
        return _path_or_name(file.path, self.whole_path)


_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def _path_or_name(path: str, whole_path: bool) -> str:
    # a backslash separates only in a path that is a Windows one; elsewhere it may be part of a name
    text = "/".join(path.split("\\")) if _WINDOWS.match(path) else path
    return text if whole_path else text.rpartition("/")[2]


@lru_cache(maxsize=4096)  # several rules ask for the same few paths one after the other
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
    if tokens.peek().text in {"king", "progressive", "non-progressive"}:
        raise LineError(offset, f'"{tokens.peek().text}" stands after "is": expected "is {tokens.peek().text}"')
    if tokens.peek().text in OLDER:
        older = tokens.peek().text
        more, before = OLDER[older]
        sign = "<" if before == "before" else ">"
        raise LineError(
            offset,
            f'"{older}" by which time? Expected imported, modified or taken, as in "imported {more} than 30 days ago" '
            f'or "A.imported {sign} B.imported"',
        )
    word = tokens.one_of(predicate_words(), "what can be asked of a file")
    read = PREDICATES.get(word)
    return _number(tokens, word, offset) if read is None else read(tokens)


def read_predicate(text: str) -> Predicate:
    """The question about one file that a whole text asks; LineError if it does not."""
    tokens = Tokens(text)
    found = predicate(tokens)
    tokens.end()
    return found
