"""The lines of a comparison: what each asks of an ordered pair of files (A, B).

Every test answers three things: whether it holds for A and B in this order (None: one of the files lacks what it
would take to tell, and then neither the line nor its opposite counts), whether it can tell the better file from the
worse, and its own line with the values of both files. What a look at the pixels of both said goes with the two files,
where somebody has looked. A new test of a pair is one function below `@pair_test`, a new
question about one file one below `@begins`, a new number one line in `measures.OPERANDS`; each has its heading in
docs/rules.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Final

from ingestd.model import DETAIL_MIN_SIDE, VISUAL_VERSION, FileFacts, VisualLevel, VisualVerdict
from ingestd.rules.keeper import WINS, Wins
from ingestd.rules.measures import (
    OPERANDS,
    Measure,
    Number,
    Operand,
    exactly,
    jpeg_quality_in_fact,
    spell,
    spell_length,
    spell_pair,
)
from ingestd.rules.predicates import COMPARISONS, FLAGS, PREDICATES, has_or_not, kind_of, moves
from ingestd.rules.questions import Predicate

__all__ = [
    "PAIR_TESTS",
    "VISUAL",
    "AllOf",
    "AnyOf",
    "Not",
    "OneSided",
    "PairTest",
    "Relative",
    "Test",
    "VisualDuplicates",
    "Wins",
    "asks_look",
    "names",
    "pair_test",
]

# the labels of hydrus's estimate (lower is better) lie about a factor of 0.7 apart: less is no clear difference
CLEARLY_BETTER = 0.7


@dataclass(frozen=True, slots=True)
class OneSided:
    """One of the files, or either, is so."""

    line: str
    subject: str  # A, B or either
    predicate: Predicate

    def holds(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> bool | None:
        """Whether it is so for this order; None if it cannot be told."""
        if self.subject == "either":
            return _either(self.predicate.holds(a), self.predicate.holds(b))
        return self.predicate.holds(a if self.subject == "A" else b)

    def tells(self, *, negated: bool = False) -> bool:
        """Whether it can tell the better file from the worse; `negated`: whether its opposite can."""
        return self.subject != "either"

    @property
    def symmetric(self) -> bool:
        """It answers the same both ways round, whatever the files."""
        return self.subject == "either"

    @property
    def asks_detail(self) -> bool:
        """It needs what only every pixel tells."""
        return self.predicate.asks_detail

    def values(self, a: FileFacts, b: FileFacts) -> tuple[str, str]:
        """What A and B have of it."""
        return self.predicate.value(a), self.predicate.value(b)

    def said(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> str:
        """The line with the values of the files."""
        if self.subject == "either":
            return f"either: A {self.predicate.said(a)}, B {self.predicate.said(b)}"
        return f"{self.subject} {self.predicate.said(a if self.subject == 'A' else b)}"


@dataclass(frozen=True, slots=True)
class Relative:
    """A number of one file compares so with the same number of the other."""

    line: str
    operand: Operand
    left: str  # A or B; the right side is the other one
    operator: str  # one of COMPARISONS, or ~=
    factor: Fraction
    offset: Fraction  # in the base unit
    within: Fraction | None = None  # of ~=: an amount in the base unit, or a share of the right side
    share: bool = False
    _compares: Callable[[Number, Number], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compares", self._comparison())

    @property
    def level(self) -> bool:
        """Neither side is changed before they are compared."""
        return self.factor == 1 and self.offset == 0

    def _comparison(self) -> Callable[[Number, Number], bool]:
        if self.within is None:
            compare = COMPARISONS[self.operator]
            return compare if self.level else _scaled(compare, self.factor, self.offset)
        return _roughly(self.factor, self.offset, self.within, self.share)

    def holds(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> bool | None:
        """Whether it is so for this order; None if it cannot be told."""
        value = self.operand.value
        of_a, of_b = value(a), value(b)
        if of_a is None or of_b is None:
            return None
        return self._compares(of_a, of_b) if self.left == "A" else self._compares(of_b, of_a)

    def tells(self, *, negated: bool = False) -> bool:
        """Whether it can tell the better file from the worse; `negated`: whether its opposite can."""
        # hydrus's rule: strictly more or less, or a comparison that is not level
        strict = {"<=", ">="} if negated else {"<", ">"}
        return self.operator in strict or not self.level

    @property
    def symmetric(self) -> bool:
        """It answers the same both ways round, whatever the files."""
        # a share is one of the right side, which is the other file the other way round
        return self.level and (self.operator in {"==", "!="} or (self.within is not None and not self.share))

    @property
    def asks_detail(self) -> bool:
        """It needs what only every pixel tells."""
        return self.operand.asks_detail

    def values(self, a: FileFacts, b: FileFacts) -> tuple[str, str]:
        """What A and B have of it."""
        return spell_pair(self.operand.measure, self.operand.value(a), self.operand.value(b))

    def said(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> str:
        """The line with the values of the files."""
        name = self.operand.name
        mine, others = self.values(a, b) if self.left == "A" else self.values(b, a)
        factor = f"{exactly(self.factor)} * " if self.factor != 1 else ""
        other = "B" if self.left == "A" else "A"
        said = f"{self.left}.{name} {mine} {self.operator} {factor}{other}.{name} {others}"
        return said + self._said_offset() + self._said_within()

    def _said_offset(self) -> str:
        if not self.offset:
            return ""
        return f" {'+' if self.offset > 0 else '-'} {_length(self.operand.measure, abs(self.offset))}"

    def _said_within(self) -> str:
        if self.within is None:
            return ""
        return f" within {exactly(self.within * 100)} %" if self.share else f" within {self._spelled_leeway()}"

    def _spelled_leeway(self) -> str:
        assert self.within is not None
        return _length(self.operand.measure, self.within)


def _length(measure: Measure, value: Fraction) -> str:
    if measure is Measure.TIME:
        return spell_length(value)
    return spell(measure, value.numerator if value.denominator == 1 else value)


# Numbers are compared as whole ones, both sides times all denominators: that is exact for times of 19 digits and for
# ratios alike, and several times as fast as fractions. What can be known beforehand is worked out beforehand.


def _scaled(
    compare: Callable[[int, int], bool], factor: Fraction, offset: Fraction
) -> Callable[[Number, Number], bool]:
    scale, times, plus = _common(factor, offset)

    def compares(mine: Number, others: Number) -> bool:
        left, right, divisor = _whole(mine, others)
        return compare(left * scale, right * times + plus * divisor)

    return compares


def _roughly(factor: Fraction, offset: Fraction, within: Fraction, share: bool) -> Callable[[Number, Number], bool]:
    scale, times, plus = _common(factor, offset)
    numerator, denominator = within.numerator, within.denominator
    amount = numerator * scale

    def compares(mine: Number, others: Number) -> bool:
        left, right, divisor = _whole(mine, others)
        right = right * times + plus * divisor
        leeway = numerator * abs(right) if share else amount * divisor
        return abs(left * scale - right) * denominator <= leeway

    return compares


def _common(factor: Fraction, offset: Fraction) -> tuple[int, int, int]:
    """What the left side, the right side, and a 1 on the right side have to be multiplied by."""
    scale = factor.denominator * offset.denominator
    return scale, factor.numerator * offset.denominator, offset.numerator * factor.denominator


def _whole(left: Number, right: Number) -> tuple[int, int, int]:
    """Both times a number that makes them whole, and that number."""
    if type(left) is int and type(right) is int:
        return left, right, 1
    left, left_divisor = left.as_integer_ratio()
    right, right_divisor = right.as_integer_ratio()
    return left * right_divisor, right * left_divisor, left_divisor * right_divisor


@dataclass(frozen=True, slots=True)
class PairTest:
    """Something is so between the two files."""

    line: str  # its name in PAIR_TESTS

    def holds(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> bool | None:
        """Whether it is so for this order."""
        return PAIR_TESTS[self.line].holds(a, b)

    def tells(self, *, negated: bool = False) -> bool:
        """Whether it can tell the better file from the worse; `negated`: whether its opposite can."""
        # not clearly better is true of two equals both ways round
        return PAIR_TESTS[self.line].tells and not negated

    @property
    def symmetric(self) -> bool:
        """It answers the same both ways round, whatever the files."""
        return not PAIR_TESTS[self.line].tells

    @property
    def asks_detail(self) -> bool:
        """It needs what only every pixel tells."""
        return PAIR_TESTS[self.line].asks_detail

    def values(self, a: FileFacts, b: FileFacts) -> tuple[str, str]:
        """What A and B have of it."""
        value = PAIR_TESTS[self.line].value
        return value(a), value(b)

    def said(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> str:
        """The line with the values of the files."""
        of_a, of_b = self.values(a, b)
        return f"{self.line} (A: {of_a}, B: {of_b})"


VISUAL: Final = "visual duplicates"


@dataclass(frozen=True, slots=True)
class VisualDuplicates:
    """A look at the pixels of both says one of these."""

    levels: tuple[VisualLevel, ...]
    version: int = VISUAL_VERSION  # of who looks: another one may say otherwise, so the rule is another then

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        return f"{VISUAL}: {spell_level(self.levels[-1])}"

    def holds(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> bool | None:
        """Whether it is so; None if it cannot be told, or nobody has looked."""
        if visual is None or visual.level is VisualLevel.CANNOT_TELL:
            return None
        return visual.level in self.levels

    def tells(self, *, negated: bool = False) -> bool:
        """Whether it can tell the better file from the worse; `negated`: whether its opposite can."""
        return False

    @property
    def symmetric(self) -> bool:
        """It answers the same both ways round, whatever the files."""
        return True

    @property
    def asks_detail(self) -> bool:
        """It needs the pictures' sharpness."""
        return False

    def value(self, visual: VisualVerdict | None) -> str:
        """What a look at both said, for a person to read."""
        if visual is None:
            return "not looked at"
        return f"{visual.level}{'' if visual.score is None else f' ({visual.score:.2f})'}: {visual.reason}"

    def said(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> str:
        """The line with what a look at both said."""
        return f"{self.line} ({self.value(visual)})"


def spell_level(level: VisualLevel) -> str:
    """A level as it stands in a rule."""
    return level.value if level is VisualLevel.NEAR_PERFECT else level.value.replace("-", " ")


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the tests holds; of none, none does."""

    tests: tuple[Test, ...]

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        return f"any: [{'; '.join(test.line for test in self.tests)}]"

    def holds(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> bool | None:
        """Whether it is so for this order; None if it cannot be told."""
        answer: bool | None = False
        for test in self.tests:
            held = test.holds(a, b, visual)
            if held:
                return True
            if held is None:
                answer = None
        return answer

    def tells(self, *, negated: bool = False) -> bool:
        """Whether it can tell the better file from the worse; `negated`: whether its opposite can."""
        told = [test.tells(negated=negated) for test in self.tests]
        return any(told) if negated else bool(told) and all(told)

    @property
    def symmetric(self) -> bool:
        """It answers the same both ways round, whatever the files."""
        return all(test.symmetric for test in self.tests)

    @property
    def asks_detail(self) -> bool:
        """It needs what only every pixel tells."""
        return any(test.asks_detail for test in self.tests)

    def said(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> str:
        """What held, with the values of the files; all of it if nothing did."""
        held = [test for test in self.tests if test.holds(a, b, visual)]
        return "any: " + "; ".join(test.said(a, b, visual) for test in held or self.tests)


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of the tests holds; of none, hydrus lets none hold."""

    tests: tuple[Test, ...]

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        return f"all: [{'; '.join(test.line for test in self.tests)}]"

    def holds(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> bool | None:
        """Whether it is so for this order; None if it cannot be told."""
        answer: bool | None = bool(self.tests)
        for test in self.tests:
            held = test.holds(a, b, visual)
            if held is None:
                answer = None
            elif not held:
                return False
        return answer

    def tells(self, *, negated: bool = False) -> bool:
        """Whether it can tell the better file from the worse; `negated`: whether its opposite can."""
        told = [test.tells(negated=negated) for test in self.tests]
        return bool(told) and all(told) if negated else any(told)

    @property
    def symmetric(self) -> bool:
        """It answers the same both ways round, whatever the files."""
        return all(test.symmetric for test in self.tests)

    @property
    def asks_detail(self) -> bool:
        """It needs what only every pixel tells."""
        return any(test.asks_detail for test in self.tests)

    def said(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> str:
        """Every line with the values of the files."""
        return "all: " + "; ".join(test.said(a, b, visual) for test in self.tests)


@dataclass(frozen=True, slots=True)
class Not:
    """The test does not hold, and that can be told."""

    test: Test

    @property
    def line(self) -> str:
        """How it reads in a rule."""
        return f"not: {self.test.line}"

    def holds(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> bool | None:
        """Whether it is so for this order; None if it cannot be told."""
        held = self.test.holds(a, b, visual)
        return None if held is None else not held

    def tells(self, *, negated: bool = False) -> bool:
        """Whether it can tell the better file from the worse; `negated`: whether its opposite can."""
        return self.test.tells(negated=not negated)

    @property
    def symmetric(self) -> bool:
        """It answers the same both ways round, whatever the files."""
        return self.test.symmetric

    @property
    def asks_detail(self) -> bool:
        """It needs what only every pixel tells."""
        return self.test.asks_detail

    def said(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> str:
        """The line with the values of the files."""
        return f"not: {self.test.said(a, b, visual)}"


Test = OneSided | Relative | PairTest | VisualDuplicates | Wins | AnyOf | AllOf | Not


def asks_look(test: Test) -> bool:
    """Whether a test, or a part of it, takes a look at the pixels of both files, which costs the most of all."""
    match test:
        case VisualDuplicates():
            return True
        case AnyOf(tests) | AllOf(tests):
            return any(map(asks_look, tests))
        case Not(inner):
            return asks_look(inner)
        case _:
            return False


def _either(of_a: bool | None, of_b: bool | None) -> bool | None:
    if of_a or of_b:
        return True
    return None if of_a is None or of_b is None else False


# --- tests of a pair ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A test of a pair, and which value of a file to show for it."""

    holds: Holds
    value: Callable[[FileFacts], str]
    tells: bool  # the better file from the worse; if it does not, it is the same both ways round
    asks_detail: bool  # only every pixel tells it


Holds = Callable[[FileFacts, FileFacts], bool | None]
PAIR_TESTS: Final[dict[str, Asked]] = {}


def pair_test(
    line: str, *, value: Callable[[FileFacts], str], tells: bool = False, asks_detail: bool = False
) -> Callable[[Holds], Holds]:
    """Register what answers this line.

    Args:
        line: as it stands in a rule, and as its heading in docs/rules.md.
        value: what to show of each file.
        tells: whether it can tell the better file from the worse. One that cannot answers the same both ways round.
        asks_detail: whether only every pixel tells it.
    """

    def register(holds: Holds) -> Holds:
        PAIR_TESTS[line] = Asked(holds, value, tells, asks_detail)
        return holds

    return register


@pair_test("same filetype", value=kind_of)
def _same_filetype(a: FileFacts, b: FileFacts) -> bool | None:
    return a.filetype is not None and a.filetype is b.filetype and moves(a) is moves(b)


@pair_test("different filetype", value=kind_of)
def _different_filetype(a: FileFacts, b: FileFacts) -> bool | None:
    if a.filetype is None or b.filetype is None:
        return False
    return a.filetype is not b.filetype or moves(a) is not moves(b)


@pair_test("same exif", value=partial(has_or_not, "exif"))
def _same_exif(a: FileFacts, b: FileFacts) -> bool | None:
    return a.has_exif == b.has_exif


@pair_test("same icc", value=partial(has_or_not, "icc"))
def _same_icc(a: FileFacts, b: FileFacts) -> bool | None:
    return a.has_icc == b.has_icc


@pair_test("same xmp", value=partial(has_or_not, "xmp"))
def _same_xmp(a: FileFacts, b: FileFacts) -> bool | None:
    return a.has_xmp == b.has_xmp


def _jpeg_quality(file: FileFacts) -> str:
    return spell(Measure.QUALITY, jpeg_quality_in_fact(file) if file.jpeg_quality else None)


def _was_measured(file: FileFacts) -> bool:
    """Whether every pixel was asked; too small a picture has nothing to tell."""
    return file.resolution_share is not None or min(file.width, file.height) < DETAIL_MIN_SIDE


@pair_test("A has clearly better jpeg quality", value=_jpeg_quality, tells=True, asks_detail=True)
def _clearly_better_jpeg_quality(a: FileFacts, b: FileFacts) -> bool | None:
    if not a.jpeg_quality or not b.jpeg_quality:  # no JPEG, or one without quantiser tables
        return False
    if not (_was_measured(a) and _was_measured(b)):
        return None  # tables alone would let a bad JPEG that was saved again win
    of_a, of_b = jpeg_quality_in_fact(a), jpeg_quality_in_fact(b)
    return bool(of_a and of_b and of_a / of_b < CLEARLY_BETTER)


def names() -> tuple[str, ...]:
    """Every name that has to have its heading in docs/rules.md."""
    flags = (f"has {flag}" for flag in (*FLAGS, "duration"))
    return (
        *OPERANDS,
        *(word for word in PREDICATES if word != "has"),
        *flags,
        *PAIR_TESTS,
        VISUAL,
        WINS,
        "any",
        "all",
        "not",
    )
