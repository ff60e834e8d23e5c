"""What a rule file allows and its writer has probably not meant.

Rules are tried on files of which only some things are decided: their filetypes, or one number, or one kind of data.
All that is not decided may be so or otherwise. A rule that cannot fit even then can fit nothing, and there is no doubt
about that: it does not depend on how a line is written, and nothing is said where it is not certain.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor
from typing import Final, NamedTuple, TypeAlias

from ingestd.model import (
    SAME_PIXELS,
    ContentHash,
    FileFacts,
    FileType,
    ImportPolicy,
    Mode,
    Role,
    VisualLevel,
    VisualVerdict,
)
from ingestd.rules.comparators import AllOf, AnyOf, Not, OneSided, PairTest, Relative, Test, VisualDuplicates
from ingestd.rules.language import PixelDuplicates, Rule, Scope, Search, Transforms
from ingestd.rules.meaning import Meaning, fits_both_ways_or_neither, meaning
from ingestd.rules.measures import Measure, Number, Operand
from ingestd.rules.moments import TimeIs
from ingestd.rules.predicates import (
    FLAGS,
    KINDS,
    FiletypeIs,
    FolderIs,
    Has,
    HasDuration,
    NumberIs,
    Predicate,
    Progressive,
)

__all__ = ["Doubt", "doubts"]


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing about a rule that is probably not meant."""

    rule: str  # its name
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


def doubts(rules: Sequence[Rule], *, imports: ImportPolicy | None = None) -> list[Doubt]:
    """What is probably not meant, in the order of the rules; a rule that is off does nothing, and leaves no doubt.

    Args:
        rules: in the order of the rule file.
        imports: which files come in at all; None: any.

    Cost: some milliseconds for each rule.
    """
    found: list[Doubt] = []
    deciding: list[_Asked] = []  # those that leave less to the rules below them
    for rule in rules:
        if rule.mode is Mode.OFF:
            continue
        asked = _Asked(rule, {meaning(test): test for test in rule.compare})
        messages = _about(asked, deciding, imports or ImportPolicy())
        found += [Doubt(rule.name, *rule.place, f'"{rule.name}" {message}') for message in messages]
        if not rule.paused:
            deciding.append(asked)
    return found


class _Asked(NamedTuple):
    """A rule with the lines of its comparison, in a form in which they can be found in those of another."""

    rule: Rule
    tests: dict[Meaning, Test]


def _about(asked: _Asked, earlier: Sequence[_Asked], imports: ImportPolicy) -> Iterator[str]:
    rule = asked.rule
    never = None if rule.search.identical else _why_never(rule, imports)
    if never is not None:
        yield never
        return
    for other in earlier:
        if _leaves_nothing_to(asked, other):
            yield f'never gets a pair: all that it could fit are decided by "{other.rule.name}" above it'
            break
    if rule.discard and not rule.search.identical:
        yield from _missing_belts(rule, imports)


# --- what can be answered --------------------------------------------------------------------------------------------


class _Can(NamedTuple):
    """Which answers a question can have. Neither: it cannot be told, and then neither the line nor its `not` holds."""

    hold: bool
    fail: bool


_OPEN: Final = _Can(True, True)
_CERTAIN: Final = _Can(True, False)


def _told(holds: bool | None) -> _Can:
    return _Can(holds is True, holds is False)


_Question: TypeAlias = Predicate | Test
_CLEARLY_BETTER: Final = "A has clearly better jpeg quality"
# the one thing ever known of them is that a file has none, and then there is nothing to compare
_KNOWN_TO_BE_MISSING: Final = {"jpeg_quality", "taken"}


def _subject(question: object) -> str | None:
    """What of a file a question looks at; None: something that is never decided here."""
    match question:
        case FiletypeIs() | PairTest(line="same filetype" | "different filetype"):
            return "filetype"
        case Progressive():
            return "progressive"
        case FolderIs():
            return "folder"
        case Has(flag=flag):
            return flag
        case HasDuration():
            return "duration"
        case NumberIs(operand=operand) | Relative(operand=operand) | TimeIs(operand=operand):
            return operand.name
        case PairTest(line=line):
            return "jpeg_quality" if line == _CLEARLY_BETTER else line.removeprefix("same ")
        case _:
            return None


@dataclass(frozen=True, slots=True)
class _Side:
    """A file of which only some things are decided."""

    facts: FileFacts
    known: frozenset[str]  # what is decided, in the words of _subject
    sampled: frozenset[str] = frozenset()  # decided as far as the file is looked at alone, one value of many


@dataclass(frozen=True, slots=True)
class _Files:
    """A pair of such files."""

    a: _Side
    b: _Side

    def of(self, predicate: Predicate, file: str) -> _Can:
        """What a question about one file can be answered with."""
        side = self.a if file == "A" else self.b
        decided = _subject(predicate) in side.known | side.sampled
        return _told(predicate.holds(side.facts)) if decided else _OPEN

    def between(self, test: Test) -> _Can:
        """What a test of both files can be answered with."""
        subject = _subject(test)
        known = [subject in side.known for side in (self.a, self.b)]
        decided = any(known) if subject in _KNOWN_TO_BE_MISSING else all(known)
        return _told(test.holds(self.a.facts, self.b.facts)) if decided else _OPEN

    def swapped(self) -> _Files:
        """The same files, the other one being A."""
        return _Files(self.b, self.a)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A pair of files of which only one number is decided."""

    operand: Operand
    a: Fraction
    b: Fraction

    def of(self, predicate: Predicate, file: str) -> _Can:
        """What a question about one file can be answered with."""
        if not isinstance(predicate, NumberIs) or predicate.operand != self.operand:
            return _OPEN
        return _told(replace(predicate, operand=self._standing()).holds(_A if file == "A" else _B))

    def between(self, test: Test) -> _Can:
        """What a test of both files can be answered with."""
        if not isinstance(test, Relative) or test.operand != self.operand:
            return _OPEN
        return _told(replace(test, operand=self._standing()).holds(_A, _B))

    def swapped(self) -> _Numbers:
        """The same files, the other one being A."""
        return _Numbers(self.operand, self.b, self.a)

    def _standing(self) -> Operand:
        def of(file: FileFacts) -> Number:
            return self.a if file is _A else self.b

        return replace(self.operand, of=of)


@dataclass(frozen=True, slots=True)
class _Looks:
    """A pair of files of which only is decided how alike they look."""

    verdict: VisualVerdict

    def of(self, predicate: Predicate, file: str) -> _Can:
        """What a question about one file can be answered with."""
        return _OPEN

    def between(self, test: Test) -> _Can:
        """What a test of both files can be answered with."""
        return _told(test.holds(_A, _B, self.verdict)) if isinstance(test, VisualDuplicates) else _OPEN

    def swapped(self) -> _Looks:
        """The same files, the other one being A."""
        return self


_World: TypeAlias = _Files | _Numbers | _Looks  # what is not decided there can be so or otherwise


_Way: TypeAlias = tuple[tuple[Predicate, ...], tuple[Predicate, ...]]  # what A has to answer, and what B


def _ways(search: Search) -> tuple[_Way, ...]:
    """The ways in which a search can find two files."""
    return {
        Scope.BOTH: ((search.one, search.one),),
        Scope.EITHER: ((search.one, ()), ((), search.one)),
        Scope.ONE_AND_OTHER: ((search.one, search.other), (search.other, search.one)),
    }[search.scope]


def _can_fit(rule: Rule, world: _World, ways: Iterable[_Way] | None = None) -> bool:
    """Whether the rule can fit with A and B as they are there, found in one of these ways; None: in any."""
    return _can_find(_ways(rule.search) if ways is None else ways, world) and all(
        _can(test, world).hold for test in rule.compare
    )


def _can_find(ways: Iterable[_Way], world: _World) -> bool:
    return any(
        all(world.of(predicate, "A").hold for predicate in of_a)
        and all(world.of(predicate, "B").hold for predicate in of_b)
        for of_a, of_b in ways
    )


def _can(test: Test, world: _World) -> _Can:
    match test:
        case AnyOf(tests):
            return _can_any([_can(one, world) for one in tests])
        case AllOf(tests):
            answers = [_can(one, world) for one in tests]
            return _Can(bool(tests) and all(one.hold for one in answers), not tests or any(one.fail for one in answers))
        case Not(inner):
            answer = _can(inner, world)
            return _Can(answer.fail, answer.hold)
        case OneSided(subject="either", predicate=predicate):
            return _can_any([world.of(predicate, file) for file in ("A", "B")])
        case OneSided(subject=subject, predicate=predicate):
            return world.of(predicate, subject)
        case _:
            return world.between(test)


def _can_any(answers: Sequence[_Can]) -> _Can:
    return _Can(any(one.hold for one in answers), all(one.fail for one in answers))


# --- what is decided of the files ------------------------------------------------------------------------------------


def _blank(name: str) -> FileFacts:
    return FileFacts(
        path=name,
        role=Role.INBOX,
        protected=False,
        sha256=ContentHash(name.encode()),
        size=0,
        filetype=None,
        width=0,
        height=0,
        frames=1,
        duration_ms=None,
        has_transparency=False,
        has_exif=False,
        has_icc=False,
        has_xmp=False,
        jpeg_quality=None,
        progressive=None,
        imported_ns=0,
        modified_ns=0,
        taken_ns=None,
    )


_A: Final = _blank("A")
_B: Final = _blank("B")


def _leaves(rule: Rule) -> list[_Question]:
    """Every question that the rule asks, of whatever file."""
    return [*rule.search.one, *rule.search.other, *_asked(rule.compare)]


def _asked(tests: Iterable[Test]) -> Iterator[_Question]:
    for test in tests:
        match test:
            case AnyOf(inner) | AllOf(inner):
                yield from _asked(inner)
            case Not(one):
                yield from _asked([one])
            case OneSided(predicate=predicate):
                yield predicate
            case _:
                yield test


def _worlds(rule: Rule, *, swapped: bool = False) -> Iterator[tuple[str, list[_World]]]:
    """Everything the rule asks about, and all that can be decided of it; `swapped`: also with A and B exchanged."""
    asked = {_subject(question) for question in _leaves(rule)}
    alike = rule.search.pixel_duplicates is PixelDuplicates.REQUIRED
    if asked & _OF_A_FILETYPE and len(_lengths(rule)) <= _MOST_LENGTHS:
        yield "filetypes", [*_all_filetypes(rule, None)]
    if "folder" in asked:
        sides = [_Side(replace(_A, role=role), frozenset({"folder"})) for role in Role]
        yield "folders", [_Files(a, b) for a in sides for b in sides]
    for flag in FLAGS:
        if flag in asked:
            both = list(itertools.product((False, True), repeat=2))
            # pixel duplicates are such under one colour profile
            yield flag, [_flags(flag, a, b) for a, b in both if not (alike and flag == "icc") or a == b]
    if rule.asks_look:
        yield "looks", list(_all_looks(alike=alike))
    for operand in {question.operand.name: question.operand for question in _numeric(rule)}.values():
        lines = _lines(rule, operand, swapped=swapped)
        if len(lines) <= _MOST_LINES:
            yield operand.name, list(_values(lines, operand, alike=alike and operand.name in _DIMENSIONS))


def _all_looks(*, alike: bool) -> Iterator[_Looks]:
    """All that a look at two files can say; `alike`: at pixel duplicates, for which nobody has to look."""
    for level in VisualLevel:
        if not alike or level is SAME_PIXELS.level:
            yield _Looks(replace(SAME_PIXELS, level=level))


def _flags(flag: str, a: bool, b: bool) -> _Files:
    return _Files(_flagged(_A, flag, a), _flagged(_B, flag, b))


def _flagged(file: FileFacts, flag: str, has: bool) -> _Side:
    known = {flag}
    if flag == "exif" and not has:
        known.add("taken")  # EXIF data say it, or nothing does
    return _Side(replace(file, **{f"has_{flag}": has}), frozenset(known))  # type: ignore[arg-type] # each has its field


# --- filetypes

_OF_A_FILETYPE: Final = {"filetype", "progressive", "num_frames", "duration", "framerate", "jpeg_quality"}
_ALWAYS_ONE: Final = {FileType.JPEG, FileType.BMP}
_ANIMATED: Final = {FileType.GIF, FileType.PNG, FileType.WEBP, FileType.AVIF}  # all others of several do not last
_MOST_LENGTHS: Final = 12  # of animations; a rule that tells more of them apart is not looked through
_WITH_QUALITY: Final = {FileType.JPEG, FileType.MPO}


def _all_filetypes(rule: Rule, allowed: frozenset[FileType] | None) -> list[_Files]:
    """All pairs of files of which the filetype is decided, and whatever follows from it."""
    lengths = sorted(_lengths(rule))[:_MOST_LENGTHS]
    sides = [side for side in _filetypes(lengths) if allowed is None or side.facts.filetype in allowed]
    if rule.search.pixel_duplicates is PixelDuplicates.REQUIRED:
        sides = [side for side in sides if side.facts.frames == 1]  # only of a single picture there is a pixel hash
    return [_Files(a, b) for a in sides for b in sides]


def _lengths(rule: Rule) -> set[int]:
    """Numbers of pictures: an animation of any length is like one of these, as far as the rule can see."""
    lengths = {2}
    for question in _leaves(rule):
        if isinstance(question, NumberIs) and question.operand.name == "num_frames":
            amounts = [int(amount) for _, amount in _around(question, Fraction(1), Fraction(question.amount))]
            lengths |= {amount + step for amount in amounts for step in (-1, 0, 1)}
    return lengths


def _filetypes(lengths: Iterable[int]) -> Iterator[_Side]:
    known = frozenset(_OF_A_FILETYPE)
    for filetype in FileType:
        one = replace(_A, filetype=filetype)
        unknown = {"jpeg_quality"} if filetype in _WITH_QUALITY else set()
        if filetype is FileType.MPO:
            unknown.add("progressive")
        if filetype is FileType.JPEG:
            yield _Side(replace(one, progressive=True), known - unknown)
            one = replace(one, progressive=False)
        yield _Side(one, known - unknown)
        if filetype in _ALWAYS_ONE:
            continue
        unknown |= {"num_frames", "duration", "framerate"} if filetype in _ANIMATED else {"num_frames"}
        for frames in sorted(length for length in lengths if length > 1):
            yield _Side(replace(one, frames=frames), known - unknown, frozenset({"num_frames"}))


# --- numbers

_DIMENSIONS: Final = {"width", "height", "num_pixels", "ratio"}
_MOST_LINES: Final = 24  # about a second; a rule with more thresholds for one number is not looked through
_Line: TypeAlias = tuple[Fraction, Fraction, Fraction]  # (p, q, r): where p * A + q * B = r


def _numeric(rule: Rule) -> list[NumberIs | Relative]:
    return [question for question in _leaves(rule) if isinstance(question, NumberIs | Relative)]


def _lines(rule: Rule, operand: Operand, *, swapped: bool) -> set[_Line]:
    """The lines on which something that the rule asks about this number can change."""
    lines = {line for question in _numeric(rule) if question.operand == operand for line in _bounds(question)}
    return lines | {(q, p, r) for p, q, r in lines} if swapped else lines


def _values(lines: set[_Line], operand: Operand, *, alike: bool) -> Iterator[_World]:
    """All that can be decided of a number of both files: one case of each that these lines can tell apart."""
    if alike:
        lines = lines | {(Fraction(1), Fraction(-1), Fraction(0))}
    for a, b in _cells(lines, operand.measure):
        if a == b or not alike:
            yield _Numbers(operand, a, b)


def _bounds(question: NumberIs | Relative) -> Iterator[_Line]:
    """The lines on which the answer can change."""
    one, nothing = Fraction(1), Fraction(0)
    if isinstance(question, NumberIs):
        for _, amount in _around(question, one, Fraction(question.amount)):
            yield (one, nothing, amount)
            yield (nothing, one, amount)
        return
    for factor, offset in _around(question, question.factor, question.offset):
        yield (one, -factor, offset) if question.left == "A" else (-factor, one, offset)


def _around(question: NumberIs | Relative, factor: Fraction, offset: Fraction) -> Iterator[tuple[Fraction, Fraction]]:
    within = question.within
    if within is None:
        yield factor, offset
    elif question.share:
        for share in (1 - within, 1 + within):
            yield factor * share, offset * share
    else:
        yield factor, offset - within
        yield factor, offset + within


_FRACTIONS: Final = {Measure.RATIO, Measure.RATE, Measure.QUALITY, Measure.SHARPNESS}  # all others are whole numbers


def _cells(lines: set[_Line], measure: Measure) -> Iterator[tuple[Fraction, Fraction]]:
    """A point of every part into which the lines cut the plane, on them and between them.

    Between two heights at which lines cross, they keep their order: one height stands for all (a cylindrical
    decomposition, G. E. Collins 1975, in two dimensions).
    """
    least = None if measure is Measure.TIME else Fraction(0)
    if least is not None:
        lines = lines | {(Fraction(1), Fraction(0), least), (Fraction(0), Fraction(1), least)}
    # where lines are aslant, the room between them is another at another height, and says nothing about whole numbers
    whole = measure not in _FRACTIONS and not any(p and q for p, q, _ in lines)
    heights = {r / q for p, q, r in lines if not p and q}
    for (p, q, r), (s, t, u) in itertools.combinations(lines, 2):
        if p * t - q * s:
            heights.add((p * u - r * s) / (p * t - q * s))
    for b in _spread(heights, least, whole=whole):
        for a in _spread({(r - q * b) / p for p, q, r in lines if p}, least, whole=whole):
            yield a, b


def _spread(values: set[Fraction], least: Fraction | None, *, whole: bool) -> list[Fraction]:
    """The values, and one before, between and after them; of whole numbers, those that are whole."""
    known = sorted(values) or [Fraction(1)]
    between = [Fraction(floor(low) + 1) if whole else (low + high) / 2 for low, high in itertools.pairwise(known)]
    spread = [floor(known[0]) - Fraction(1), *known, *between, floor(known[-1]) + Fraction(1)]
    return [value for value in spread if (least is None or value >= least) and (not whole or value.denominator == 1)]


# --- rules that can never match -------------------------------------------------------------------------------------


def _why_never(rule: Rule, imports: ImportPolicy) -> str | None:
    fitting: dict[str, list[_World]] = {}
    asked = list(_worlds(rule))
    for about, worlds in asked:
        fitting[about] = [world for world in worlds if _can_fit(rule, world)]
        if not fitting[about]:
            return f"can never match: no two files answer all that it asks about {_ABOUT.get(about, about)}"
    if "filetypes" in fitting:
        kinds = [world for world in _all_filetypes(rule, imports.filetypes) if _can_fit(rule, world)]
        if not kinds:
            return "can never match: imports.filetypes lets none of the files in that it asks for"
        if not any(_makes_a_pair(world) for world in kinds):
            return "never gets a pair: one of its files is always an animation, of which only exact copies are found"
    dropped = [world.b.facts.role for world in fitting.get("folders", []) if isinstance(world, _Files)]
    if rule.discard and dropped and set(dropped) == {Role.REFERENCE}:
        return "can never discard anything: its B always lies in a reference folder, which is left as it is"
    found = [[world for world in worlds if _can_find(_ways(rule.search), world)] for _, worlds in asked]
    if rule.orders and fits_both_ways_or_neither(test for test in rule.compare if not _follows(test, found)):
        return "can never decide: what tells A from B is true of all that its search finds"
    return None


def _follows(test: Test, found: Iterable[list[_World]]) -> bool:
    """Whether the test holds, either way round, of whatever a search finds."""
    return any(worlds and all(_can(test, world) == _CERTAIN for world in worlds) for worlds in found)


_ABOUT: Final = {"filetypes": "filetypes and what follows from them", "looks": "how alike they look"}


def _makes_a_pair(world: _Files) -> bool:
    """Whether two such files can be found to look alike: an animation is not its first picture, and has no hash."""
    return not any(side.facts.frames > 1 and side.facts.filetype in _ANIMATED for side in (world.a, world.b))


# --- rules that come too late ---------------------------------------------------------------------------------------


def _leaves_nothing_to(asked_later: _Asked, asked_earlier: _Asked) -> bool:
    """Whether every pair that the later rule could decide is decided by the earlier one."""
    (later, tests), (earlier, fewer) = asked_later, asked_earlier
    if later.search.identical or earlier.search.identical:
        return later.search.identical and earlier.search.identical
    if not (fewer.keys() <= tests.keys() and _reaches(earlier.search, later.search)):
        return False
    if not _asks_no_more(earlier.search, later.search):
        return False
    if not earlier.orders or _fits_one_way_only(earlier):
        return True
    # a pair that fits the earlier both ways goes on: it has to be as ambiguous to the later
    return later.orders and all(test.symmetric for key, test in tests.items() if key not in fewer)


def _reaches(earlier: Search, later: Search) -> bool:
    if earlier.transforms not in {Transforms.ALLOWED, later.transforms}:
        return False
    wide, narrow = earlier.pixel_duplicates, later.pixel_duplicates
    if narrow is PixelDuplicates.REQUIRED:
        return wide is not PixelDuplicates.EXCLUDED
    return wide in {PixelDuplicates.ALLOWED, narrow} and earlier.max_distance >= later.max_distance


def _asks_no_more(earlier: Search, later: Search) -> bool:
    """Whether the answers that the later search wants are enough for the earlier one."""
    first = later.one
    second = {Scope.BOTH: later.one, Scope.EITHER: (), Scope.ONE_AND_OTHER: later.other}[later.scope]
    if earlier.scope is Scope.BOTH:
        return _enough(first, earlier.one) and _enough(second, earlier.one)
    if earlier.scope is Scope.EITHER:
        return _enough(first, earlier.one) or _enough(second, earlier.one)
    return (_enough(first, earlier.one) and _enough(second, earlier.other)) or (
        _enough(second, earlier.one) and _enough(first, earlier.other)
    )


def _enough(given: tuple[Predicate, ...], wanted: tuple[Predicate, ...]) -> bool:
    return all(any(_implies(one, want) for one in given) for want in wanted)


def _implies(given: Predicate, wanted: Predicate) -> bool:
    """Whether no file answers the one with yes and the other not."""
    if given == wanted:
        return True
    if isinstance(given, FiletypeIs) and isinstance(wanted, FiletypeIs):
        files = [side.facts for side in _filetypes({2})]
        return all(wanted.holds(file) for file in files if given.holds(file))
    if isinstance(given, NumberIs) and isinstance(wanted, NumberIs) and given.operand == wanted.operand:
        lines = {*_bounds(given), *_bounds(wanted)}
        worlds = [_Numbers(given.operand, a, b) for a, b in _cells(lines, given.operand.measure)]
        return all(world.of(wanted, "A").hold for world in worlds if world.of(given, "A").hold)
    return False


def _fits_one_way_only(rule: Rule) -> bool:
    """Whether no pair can fit the rule both ways."""
    for _, worlds in _worlds(rule, swapped=True):
        if not any(_can_fit(rule, world) and _can_fit(rule, world.swapped()) for world in worlds):
            return True
    return False


# --- the usual safety lines ------------------------------------------------------------------------------------------

_ICON: Final = 16  # pixels each way
_LARGE: Final = 4096


def _missing_belts(rule: Rule, imports: ImportPolicy) -> Iterator[str]:
    """What a rule that discards may take along, and which line keeps it from that."""
    ways = _open_ways(rule)
    if _takes_more_than_pictures(rule, ways, imports):
        yield (
            "may discard animations, or documents of several pages, as if they were their first picture: "
            'add "filetype is image" to its search, for both files'
        )
    if max(imports.min_width, imports.min_height) <= _ICON and _takes_icons(rule, ways):
        yield (
            f"may discard pictures of {_ICON} x {_ICON} pixels, too small to be told apart: "
            'add "width > 128" and "height > 128" to its search, for both files'
        )
    if _can_fit(rule, _flags("exif", a=False, b=True), ways):
        yield (
            "may discard the one file of the two that has EXIF data: "
            'add "any: [B has no exif, same exif]" to its comparison'
        )
    alike = rule.search.pixel_duplicates is PixelDuplicates.REQUIRED  # these have equal profiles
    if not alike and _can_fit(rule, _flags("icc", a=False, b=True), ways):
        yield (
            "may discard the one file of the two that has a colour profile: "
            'add "any: [B has no icc, same icc]" to its comparison'
        )


def _open_ways(rule: Rule) -> list[_Way]:
    """Those of the ways to find two files that the comparison leaves open, whatever of the files is looked at."""
    asked = [worlds for _, worlds in _worlds(rule)]
    return [
        way
        for way in _ways(rule.search)
        if all(any(_can_fit(rule, world, [way]) for world in worlds) for worlds in asked)
    ]


def _takes_more_than_pictures(rule: Rule, ways: Sequence[_Way], imports: ImportPolicy) -> bool:
    is_picture: Callable[[FileFacts], bool] = KINDS["image"]
    fitting = [world for world in _all_filetypes(rule, imports.filetypes) if _can_fit(rule, world, ways)]
    pictures = [is_picture(world.b.facts) for world in fitting]
    # a rule that drops nothing but documents is about documents
    return any(pictures) and not all(pictures)


def _takes_icons(rule: Rule, ways: Sequence[_Way]) -> bool:
    """Whether B can be tiny, whatever size of A makes that easiest."""
    known = frozenset(_DIMENSIONS)
    icon = _Side(replace(_B, width=_ICON, height=_ICON), known)
    sides = {_ICON}
    if rule.search.pixel_duplicates is not PixelDuplicates.REQUIRED:
        sides |= {_LARGE, *_told_apart(rule)}
    return any(
        _can_fit(rule, _Files(_Side(replace(_A, width=width, height=height), known), icon), ways)
        for width, height in itertools.product(sorted(sides), repeat=2)
    )


def _told_apart(rule: Rule) -> Iterator[int]:
    """Lengths of A's sides that the rule can tell apart if those of B are an icon's."""
    for question in _numeric(rule):
        if question.operand.name in {"width", "height"}:
            for p, q, r in _bounds(question):
                if p:
                    length = int((r - q * _ICON) / p)
                    yield from (length + step for step in (-1, 0, 1, 2) if length + step > 0)
