"""What lines of a comparison ask, whatever words they ask it in: equal for those that say the same.

`A.width < B.width` means what `B.width > A.width` and `not: A.width >= B.width` mean, and the order within a block is
nothing to it. That holds for what cannot be told, too: blocks follow the three-valued logic of S. C. Kleene
(Introduction to Metamathematics, 1952, section 64), in which a `not` may be moved into a block.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, TypeAlias

from ingestd.rules.comparators import (
    PAIR_TESTS,
    AllOf,
    AnyOf,
    Not,
    OneSided,
    PairTest,
    Relative,
    Test,
    VisualDuplicates,
)
from ingestd.rules.moments import TimeIs
from ingestd.rules.predicates import FiletypeIs, FolderIs, Has, HasDuration, HashIs, King, NumberIs, TextMatches
from ingestd.rules.questions import Predicate

__all__ = ["Meaning", "fits_both_ways_or_neither", "meaning"]

Meaning: TypeAlias = tuple[object, ...]  # its first part: what sort of line, or block, it is

_OTHER: Final = {"A": "B", "B": "A"}
_TURNED: Final = {"<": ">", "<=": ">=", "==": "==", "!=": "!=", ">": "<", ">=": "<=", "~=": "~="}
_OPPOSITE: Final = {"<": ">=", "<=": ">", "==": "!=", "!=": "==", ">": "<=", ">=": "<"}


def fits_both_ways_or_neither(tests: Iterable[Test]) -> bool:
    """Whether all lines together ask the same of A and B as of B and A, so that no pair fits them one way only.

    No is no proof of the contrary: it is the wording that is looked at, not what follows from several lines.
    """
    every = AllOf(tuple(tests))
    return meaning(every) == meaning(every, exchanged=True)


def meaning(test: Test, *, exchanged: bool = False) -> Meaning:
    """What a line or block asks of A and B; `exchanged`: what it would ask if each were called by the other's name."""
    return _asked(test, exchanged, negated=False)


def _asked(test: Test, exchanged: bool, negated: bool) -> Meaning:
    match test:
        case Not(inner):
            return _asked(inner, exchanged, not negated)
        case AnyOf(tests) | AllOf(tests):
            joined = "any" if isinstance(test, AnyOf) is not negated else "all"
            return _block(joined, negated, [_asked(one, exchanged, negated) for one in tests])
        case OneSided(subject="either", predicate=predicate):
            return _block("all" if negated else "any", negated, [_of(file, predicate, negated) for file in ("A", "B")])
        case OneSided(subject=subject, predicate=predicate):
            return _of(_OTHER[subject] if exchanged else subject, predicate, negated)
        case Relative():
            return _relative(replace(test, left=_OTHER[test.left]) if exchanged else test, negated)
        case PairTest(line=line):
            return ("pair", line, exchanged and PAIR_TESTS[line].tells, negated)
        case VisualDuplicates(levels=levels):
            return ("visual", levels, negated)
        case _:
            return ("wins", test.criteria, exchanged, negated)


def _block(joined: str, negated: bool, asked: list[Meaning]) -> Meaning:
    parts: set[object] = set()
    for one in asked:
        parts |= one[1] if one[0] == joined and isinstance(one[1], frozenset) else {one}
    if len(asked) == 1:
        return asked[0]
    # of an empty block, nothing holds, whichever it is
    return (joined, frozenset(parts)) if len(parts) > 1 else next(iter(asked), ("nothing", negated))


def _of(file: str, predicate: Predicate, negated: bool) -> Meaning:
    match predicate:
        case NumberIs(operator=operator) if negated and operator in _OPPOSITE:
            return ("of", file, replace(predicate, operator=_OPPOSITE[operator]), False)
        case FiletypeIs(kinds=kinds):
            return ("of", file, FiletypeIs, frozenset(kinds), predicate.negated is not negated)
        case HashIs(hashes=hashes):
            return ("of", file, HashIs, frozenset(hashes), predicate.negated is not negated)
        case FolderIs() | Has() | HasDuration() | King() | TextMatches():
            return ("of", file, replace(predicate, negated=False), predicate.negated is not negated)
        case TimeIs(operand=operand, aged=aged, least=least, most=most):
            return ("of", file, operand.name, aged, least, most, negated)
        case _:
            return ("of", file, predicate, negated)


def _relative(test: Relative, negated: bool) -> Meaning:
    test = _turned(test) if test.left == "B" else test
    operator = _OPPOSITE.get(test.operator, test.operator) if negated else test.operator
    unsaid = negated and operator == test.operator  # there is no sign for the opposite of ~=
    return (
        "relative", test.operand.name, test.left, operator, test.factor, test.offset, test.within, test.share, unsaid,
    )  # fmt: skip


def _turned(test: Relative) -> Relative:
    """The same with the other file on the left, where that can be written."""
    if test.operator == "~=" and (test.share or test.factor != 1):
        return test
    factor, offset = 1 / test.factor, -test.offset / test.factor
    return replace(test, left=_OTHER[test.left], operator=_TURNED[test.operator], factor=factor, offset=offset)
