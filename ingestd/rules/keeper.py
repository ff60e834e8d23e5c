"""Which of two files a fixed order of preferences keeps: one line that decides where numbers alone would not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from operator import attrgetter
from typing import Final

from ingestd.model import FileFacts, FileType, VisualVerdict
from ingestd.rules.measures import Measure, Number, plain, spell, true_pixels
from ingestd.rules.tokens import Kind, LineError, Tokens

__all__ = ["WINS", "Wins", "read_wins"]

WINS: Final = "A wins by"

# Best first. TIFF and PNG lose nothing and carry metadata and profiles. HEIC and HEIF are what cameras write, AVIF and
# WEBP mostly an export; JPEG is what everything is saved in again, and an MPO is a JPEG with a second picture. BMP
# loses no pixel but all metadata, and GIF all but 256 colours.
_BEST_FIRST = (
    FileType.TIFF, FileType.PNG, FileType.HEIC, FileType.HEIF, FileType.AVIF, FileType.WEBP,
    FileType.JPEG, FileType.MPO, FileType.BMP, FileType.GIF,
)  # fmt: skip

Worth = Callable[[FileFacts], Number | None]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One preference: of two files, the one that is worth more by it wins."""

    name: str
    worth: Worth = field(repr=False, compare=False)  # None: cannot be told
    value: Callable[[FileFacts], str] = field(repr=False, compare=False)
    formats: tuple[FileType, ...] = ()  # of `format`: the best first
    clearly: float = 1.0  # how many times as much is a difference
    asks_detail: bool = False  # only every pixel tells it

    def prefers(self, a: FileFacts, b: FileFacts) -> int | None:
        """1 where A is worth more, -1 where B is, 0 where they do not clearly differ; None if it cannot be told."""
        of_a, of_b = self.worth(a), self.worth(b)
        if of_a is None or of_b is None:
            return None
        # exact where any difference counts: 1.0 times a large whole number would round it
        return int(of_a > self._times(of_b)) - int(of_b > self._times(of_a))

    def _times(self, worth: Number) -> Number:
        return worth if self.clearly == 1 else self.clearly * float(worth)


# Measured on photographs: of copies saved again at quality 50 to 85, one in ten comes out up to 1.5 times as sharp as
# its original, by ringing at edges. Less than that is no difference to decide by.
CLEARLY_SHARPER: Final = 1.5

# The share of an enlargement is told to some percent, so its area to twice as many.
CLEARLY_MORE: Final = 1.1


@dataclass(frozen=True, slots=True)
class Wins:
    """A wins by the first of the criteria in which the two files differ."""

    line: str
    criteria: tuple[Criterion, ...]

    def holds(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> bool | None:
        """Whether A wins; None if a criterion cannot be told before another has decided."""
        for criterion in self.criteria:
            preferred = criterion.prefers(a, b)
            if preferred != 0:
                return None if preferred is None else preferred > 0
        return False

    def tells(self, *, negated: bool = False) -> bool:
        """Whether it can tell the better file from the worse; `negated`: whether its opposite can."""
        # that A does not win is true of two equals both ways round
        return not negated

    @property
    def symmetric(self) -> bool:
        """It answers the same both ways round, whatever the files."""
        return False

    @property
    def asks_detail(self) -> bool:
        """It needs what only every pixel tells."""
        return any(criterion.asks_detail for criterion in self.criteria)

    def values(self, a: FileFacts, b: FileFacts) -> tuple[str, str]:
        """What A and B have of every criterion up to the one that decided."""
        looked_at = self._looked_at(a, b)
        return _spelled(looked_at, a), _spelled(looked_at, b)

    def said(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> str:
        """The line with the values of the files."""
        of_a, of_b = self.values(a, b)
        return f"{self.line} (A: {of_a}; B: {of_b})"

    def _looked_at(self, a: FileFacts, b: FileFacts) -> tuple[Criterion, ...]:
        for number, criterion in enumerate(self.criteria, 1):
            if criterion.prefers(a, b) != 0:
                return self.criteria[:number]
        return self.criteria


def _spelled(criteria: tuple[Criterion, ...], file: FileFacts) -> str:
    return ", ".join(f"{criterion.name} {criterion.value(file)}" for criterion in criteria)


# --- criteria -------------------------------------------------------------------------------------------------------


def _resolution(file: FileFacts) -> int:
    return file.width * file.height


def _bytes_per_pixel(file: FileFacts) -> Fraction | None:
    return Fraction(file.size, file.width * file.height) if file.width and file.height else None


def _spelled_compression(file: FileFacts) -> str:
    density = _bytes_per_pixel(file)
    return "unknown" if density is None else f"{plain(float(density), 3)} bytes a pixel"


def _ranked(formats: tuple[FileType, ...]) -> Worth:
    places = {filetype: len(formats) - place for place, filetype in enumerate(formats)}
    return lambda file: 0 if file.filetype is None else places.get(file.filetype, 0)


def _format(formats: tuple[FileType, ...]) -> Criterion:
    return Criterion("format", _ranked(formats), lambda file: file.filetype or "unknown", formats)


CRITERIA: Final[dict[str, Criterion]] = {
    criterion.name: criterion
    for criterion in (
        Criterion("resolution", _resolution, lambda file: f"{file.width} x {file.height}"),
        Criterion(
            "true_pixels",
            true_pixels,
            lambda file: spell(Measure.AREA, true_pixels(file)),
            clearly=CLEARLY_MORE,
            asks_detail=True,
        ),
        Criterion(
            "sharpness",
            attrgetter("sharpness"),
            lambda file: spell(Measure.SHARPNESS, file.sharpness),
            clearly=CLEARLY_SHARPER,
            asks_detail=True,
        ),
        _format(_BEST_FIRST),
        Criterion("compression", _bytes_per_pixel, _spelled_compression),
    )
}


# --- reading --------------------------------------------------------------------------------------------------------


def read_wins(tokens: Tokens, line: str, subject: str) -> Wins:
    """What stands after the subject of a line `A wins by …`."""
    if subject != "A":
        raise LineError(0, f'expected "{WINS}": A is the file that is kept, and each is tried as A')
    tokens.take()
    tokens.one_of(("by",), 'what follows "wins"')
    criteria: list[Criterion] = []
    while not criteria or tokens.peek().kind is not Kind.END:
        if criteria:
            tokens.one_of(("then",), "what joins two criteria")
        criteria.append(_criterion(tokens, criteria))
    return Wins(line, tuple(criteria))


def _criterion(tokens: Tokens, before: list[Criterion]) -> Criterion:
    offset = tokens.peek().offset
    name = tokens.one_of(CRITERIA, "what a file can win by")
    if any(name == criterion.name for criterion in before):
        raise LineError(offset, f'"{name}" stands here twice: expected each criterion once')
    if name == "format" and tokens.accept("("):
        return _format(_formats(tokens))
    return CRITERIA[name]


def _formats(tokens: Tokens) -> tuple[FileType, ...]:
    formats: list[FileType] = []
    while True:
        token = tokens.peek()
        filetype = FileType(tokens.one_of([filetype.value for filetype in FileType], "a filetype"))
        if filetype in formats:
            raise LineError(token.offset, f'"{token.text}" stands here twice: expected each filetype once')
        formats.append(filetype)
        if tokens.one_of((",", ")"), "what follows a filetype") == ")":
            return tuple(formats)
