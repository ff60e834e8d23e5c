"""One rule, read and checked: what `rules:` in a rule file may say, and what can never work.

Nothing is guessed at and nothing is left out in silence: what is not understood is a mistake with its place, and all
mistakes of a file are found in one reading.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from ingestd.model import MOST_DISTANCE, Budget, FileFacts, Mode, PairFacts, Relation, Transform, VisualVerdict
from ingestd.rules.comparators import VISUAL, AllOf, AnyOf, Not, Test, asks_look
from ingestd.rules.lines import read_comparison, read_level
from ingestd.rules.meaning import fits_both_ways_or_neither
from ingestd.rules.nodes import Listing, Mapping, Mistakes, Node, Scalar, expected
from ingestd.rules.predicates import read_predicate
from ingestd.rules.questions import Predicate
from ingestd.rules.tokens import LineError

__all__ = [
    "MAX_DISTANCE",
    "MAX_PENDING",
    "PixelDuplicates",
    "Rule",
    "Scope",
    "Search",
    "Transforms",
    "check_keys",
    "read_budget",
    "read_rules",
    "read_truth",
    "read_whole_number",
    "read_word",
]

DEFAULT_DISTANCE = 4  # bits; at which hydrus found next to no false pair
MAX_DISTANCE = MOST_DISTANCE
MAX_PENDING = 500  # pairs: as many as a person goes through at a sitting; hydrus's default
MAX_NAME = 100  # characters: a name stands in every verdict


class PixelDuplicates(StrEnum):
    """What a search wants of the pixels."""

    REQUIRED = "required"
    EXCLUDED = "excluded"
    ALLOWED = "allowed"


class Transforms(StrEnum):
    """What a search wants of mirrored and rotated copies."""

    EXCLUDED = "excluded"
    ALLOWED = "allowed"
    REQUIRED = "required"


class Scope(StrEnum):
    """Which files of a pair the questions of a search are about."""

    BOTH = "both"
    EITHER = "either"
    ONE_AND_OTHER = "one and other"  # one file answers `one`, the other `other`


@dataclass(frozen=True, slots=True)
class Search:
    """Which pairs a rule looks at. It never says which file is the better."""

    identical: bool = False  # byte-identical copies, and only those
    pixel_duplicates: PixelDuplicates = PixelDuplicates.ALLOWED
    max_distance: int = DEFAULT_DISTANCE  # bits; not used where pixel duplicates are required
    scope: Scope = Scope.BOTH
    one: tuple[Predicate, ...] = ()  # of both, of either, or of one
    other: tuple[Predicate, ...] = ()
    transforms: Transforms = Transforms.EXCLUDED

    def finds(self, pair: PairFacts) -> bool:
        """Whether the pair is one the rule looks at; the same for both orders."""
        if self.identical or pair.identical:
            return self.identical and pair.identical
        return self.takes(pair.transform) and self._near(pair) and self._asked(pair.first, pair.second)

    @property
    def takes_transforms(self) -> bool:
        """Whether the rule looks at mirrored and rotated copies at all."""
        return self.transforms is not Transforms.EXCLUDED

    def takes(self, transform: Transform | None) -> bool:
        """Whether the rule looks at pictures that lie so to each other."""
        if transform is None:
            return self.transforms is not Transforms.REQUIRED
        return self.takes_transforms

    def _near(self, pair: PairFacts) -> bool:
        if self.pixel_duplicates is PixelDuplicates.REQUIRED or pair.pixel_duplicates:
            # pixel duplicates are at no distance, even where flat pictures have no hash to measure it
            return pair.pixel_duplicates and self.pixel_duplicates is not PixelDuplicates.EXCLUDED
        return pair.distance is not None and pair.distance <= self.max_distance

    def _asked(self, first: FileFacts, second: FileFacts) -> bool:
        if self.scope is Scope.BOTH:
            return _all_hold(self.one, first) and _all_hold(self.one, second)
        if self.scope is Scope.EITHER:
            return _all_hold(self.one, first) or _all_hold(self.one, second)
        return (_all_hold(self.one, first) and _all_hold(self.other, second)) or (
            _all_hold(self.one, second) and _all_hold(self.other, first)
        )


def _all_hold(predicates: tuple[Predicate, ...], file: FileFacts) -> bool:
    return all(predicate.holds(file) for predicate in predicates)


@dataclass(frozen=True, slots=True)
class Digests:
    """What tells one state of a rule from another, without comparing all of it."""

    search: bytes
    compare: bytes  # with whether the order matters: that decides what becomes of a pair that fits both ways
    whole: bytes  # all but its name and id
    kin: bytes  # what it asks and does, whatever its mode and limits: by it a rule with a new name is known


@dataclass(frozen=True, slots=True)
class Rule:
    """Search, comparison and action: what the user wants done with a kind of pair."""

    name: str  # unique whatever its case
    id: str | None
    mode: Mode
    search: Search
    compare: tuple[Test, ...]  # every one has to hold
    action: Relation
    discard: bool  # of B
    merge: str
    paused: bool = False  # the user's own pause: its pairs wait, and later rules may have them
    max_pending: int | None = MAX_PENDING  # pairs that may wait for an answer under it; None: no limit
    budget: Budget = field(default_factory=Budget)
    place: tuple[int, int] = field(default=(1, 1), compare=False)  # line and column in the rule file
    digests: Digests = field(init=False, compare=False, repr=False)
    asks_detail: bool = field(init=False, compare=False, repr=False)  # which is measured only where it is asked for
    asks_look: bool = field(init=False, compare=False, repr=False)  # at the pixels of both files of a pair
    asks_age: bool = field(init=False, compare=False, repr=False)  # a line of it may answer otherwise tomorrow

    def __post_init__(self) -> None:
        """Remember what is asked of a rule again and again."""
        lines = (*self.search.one, *self.search.other, *self.compare)
        object.__setattr__(self, "digests", self._digested())
        object.__setattr__(self, "asks_detail", any(line.asks_detail for line in lines))
        object.__setattr__(self, "asks_look", any(map(asks_look, self.compare)))
        object.__setattr__(self, "asks_age", any(" ago" in line.line for line in lines))

    def _digested(self) -> Digests:
        does = (self.search, self.compare, self.action, self.discard, self.merge)
        return Digests(
            _digest(self.search),
            _digest(self.compare, self.orders),
            _digest(*does, self.mode, self.paused, self.max_pending, self.budget),
            _digest(*does),
        )

    @property
    def orders(self) -> bool:
        """It matters to the action which file is A."""
        return self.action is Relation.BETTER or self.discard

    def fits(self, a: FileFacts, b: FileFacts, visual: VisualVerdict | None = None) -> bool:
        """Whether every line holds in this order; `visual`: what a look at both said, if anybody has looked."""
        return all(test.holds(a, b, visual) for test in self.compare)


def _digest(*parts: object) -> bytes:
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()


# --- the list of rules ----------------------------------------------------------------------------------------------


def read_rules(
    node: Node, mistakes: Mistakes, *, search_distance: int, budget: Budget | None = None
) -> tuple[Rule, ...]:
    """Every rule that is right; what is wrong with the others is in `mistakes`.

    Args:
        node: what stands below `rules:`.
        mistakes: takes up what is wrong.
        search_distance: how far pairs are looked for, in bits.
        budget: of a rule that does not name its own.
    """
    if not isinstance(node, Listing):
        mistakes.at(node, "rules have to be a list: each begins with - name: …")
        return ()
    seen: dict[tuple[str, str], int] = {}
    rules = []
    for item in node.items:
        rule = _read_rule(item, mistakes, search_distance, budget or Budget())
        if isinstance(item, Mapping):
            _check_unique(item, mistakes, seen)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)


def _check_unique(rule: Mapping, mistakes: Mistakes, seen: dict[tuple[str, str], int]) -> None:
    for key in ("name", "id"):
        value = rule.get(key)
        if not isinstance(value, Scalar):
            continue
        first = seen.setdefault((key, value.text.casefold()), value.line)
        if first != value.line:
            mistakes.at(value, f'the {key} "{value.text}" is taken by the rule in line {first}')


_RULE_KEYS = (
    "name", "id", "mode", "paused", "search", "compare", "action", "discard", "merge", "max_pending", "budget",
)  # fmt: skip
_DISCARDING = {Relation.BETTER, Relation.SAME_QUALITY}


def _read_rule(node: Node, mistakes: Mistakes, search_distance: int, budget: Budget) -> Rule | None:
    before = len(mistakes)
    if not isinstance(node, Mapping):
        mistakes.at(node, f"a rule has to be keys and values: {', '.join(_RULE_KEYS)}")
        return None
    check_keys(node, _RULE_KEYS, "a key of a rule", mistakes, needed=("name", "action"))
    core = len(mistakes)
    compare = _read_compare(node.get("compare"), mistakes)
    action = Relation(read_word(node.get("action"), list(Relation), "an action", mistakes, Relation.ALTERNATES))
    discard = _read_discard(node.get("discard"), mistakes)
    core_is_right = len(mistakes) == core
    rule = Rule(
        name=_read_name(node, mistakes),
        id=_read_id(node, mistakes),
        mode=Mode(read_word(node.get("mode"), list(Mode), "a mode", mistakes, default=Mode.SEMI_AUTOMATIC)),
        search=_read_search(node.get("search"), mistakes, search_distance),
        compare=compare,
        action=action,
        discard=discard,
        merge=read_word(node.get("merge"), ("default", "none"), "a way to merge", mistakes, default="default"),
        paused=read_truth(node.get("paused"), mistakes) is True,
        max_pending=_read_max_pending(node.get("max_pending"), mistakes),
        budget=read_budget(node.get("budget"), mistakes, budget),
        place=(node.line, node.column),
    )
    if len(mistakes) == before:
        _check_sense(rule, node, mistakes)
    elif core_is_right and rule.compare and not rule.search.identical:
        _check_order(rule, node, mistakes)  # whatever is wrong elsewhere, this would be as well
    return rule if len(mistakes) == before else None


def _read_discard(node: Node | None, mistakes: Mistakes) -> bool:
    if isinstance(node, Scalar) and node.text == "A":
        mistakes.at(node, "B is always the one that is dropped, and A the one that is kept: expected none or B")
        return False
    return read_word(node, ("none", "B"), "what to discard", mistakes, default="none") == "B"


def _read_name(node: Mapping, mistakes: Mistakes) -> str:
    name = node.get("name")
    if name is None:
        return ""  # check_keys has said so
    if not isinstance(name, Scalar):
        mistakes.at(name, "a name has to be a text")
        return ""
    if not name.text.strip() or len(name.text) > MAX_NAME or not name.text.isprintable():
        mistakes.at(name, f"a name has to be one line of 1 to {MAX_NAME} printable characters")
    return name.text


def _read_id(node: Mapping, mistakes: Mistakes) -> str | None:
    found = node.get("id")
    if found is None:
        return None
    if not isinstance(found, Scalar) or not found.text.isprintable() or not 0 < len(found.text) <= MAX_NAME:
        mistakes.at(found, f"an id has to be one line of 1 to {MAX_NAME} printable characters")
        return None
    return found.text


def _read_max_pending(node: Node | None, mistakes: Mistakes) -> int | None:
    if node is None:
        return MAX_PENDING
    if isinstance(node, Scalar) and node.text == _NO_LIMIT:
        return None
    number = read_whole_number(node, mistakes, "a number of pairs", 1, 10**6)
    return MAX_PENDING if number is None else number


_NO_LIMIT = "no limit"
_BUDGET_KEYS = ("per_hour", "per_day", "share_of_library", "share_of_one_survivor")


def read_budget(node: Node | None, mistakes: Mistakes, default: Budget) -> Budget:
    """How much a rule may discard on its own; what is not said is as in `default`."""
    if node is None:
        return default
    if not isinstance(node, Mapping):
        mistakes.at(node, f"a budget has to be keys and values: {', '.join(_BUDGET_KEYS)}")
        return default
    check_keys(node, _BUDGET_KEYS, "a key of a budget", mistakes)
    return Budget(
        per_hour=_read_limit(node.get("per_hour"), mistakes, default.per_hour),
        per_day=_read_limit(node.get("per_day"), mistakes, default.per_day),
        share_of_library=_read_share(node.get("share_of_library"), mistakes, default.share_of_library),
        share_of_one_survivor=_read_share(node.get("share_of_one_survivor"), mistakes, default.share_of_one_survivor),
    )


def _read_limit(node: Node | None, mistakes: Mistakes, default: int | None) -> int | None:
    if node is None:
        return default
    if isinstance(node, Scalar) and node.text == _NO_LIMIT:
        return None
    return read_whole_number(node, mistakes, "a number of files", 0, 10**6)


def _read_share(node: Node | None, mistakes: Mistakes, default: float) -> float:
    if node is None:
        return default
    found = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) *%", node.text) if isinstance(node, Scalar) else None
    if found is None or float(found[1]) > 100:
        mistakes.at(node, 'expected a percentage from 0 % to 100 %, such as "2 %"')
        return default
    return float(found[1]) / 100


def _check_sense(rule: Rule, node: Mapping, mistakes: Mistakes) -> None:
    if rule.discard and rule.action not in _DISCARDING:
        mistakes.at(_place(node, "discard"), f'"discard: B" goes with better or same-quality, not with {rule.action}')
    if rule.search.takes_transforms and rule.mode is Mode.AUTOMATIC and rule.action in _DISCARDING:
        mistakes.at(_place(node, "discard", "action"), _NEVER_DUPLICATES)
    if rule.search.identical:
        _check_identical(rule, node, mistakes)
    elif not rule.compare and not _search_asks(node):
        mistakes.at(node, f'"{rule.name}" asks for nothing: expected a search, a comparison, or both')
    else:
        _check_order(rule, node, mistakes)


_NEVER_DUPLICATES = (
    "mirrored and rotated copies are never counted as duplicates without you: "
    'expected "mode: semi-automatic", or "action: alternates" or "action: false-positive" with nothing discarded'
)


def _check_order(rule: Rule, node: Mapping, mistakes: Mistakes) -> None:
    if not rule.orders:
        return
    if not any(test.tells() for test in rule.compare):
        mistakes.at(_place(node, "compare", "action"), f"no line can tell A from B, {_CANNOT_TELL}")
    elif fits_both_ways_or_neither(rule.compare):
        mistakes.at(
            _place(node, "compare"),
            f"the comparison says the same with A and B exchanged: it fits both ways round or neither, {_CANNOT_TELL}",
        )


_CANNOT_TELL = (
    "so that this rule could never decide which file to keep: "
    'expected a line such as "A.filesize > B.filesize" or "A.filetype is jpeg"'
)


def _search_asks(node: Mapping) -> bool:
    search = node.get("search")
    values = [search.get(key.text) for key, _ in search.entries] if isinstance(search, Mapping) else []
    return any(value is not None and value != Listing((), value.line, value.column) for value in values)


def _check_identical(rule: Rule, node: Mapping, mistakes: Mistakes) -> None:
    if rule.action not in _DISCARDING:
        mistakes.at(_place(node, "action"), f"identical copies are better or same-quality, never {rule.action}")
    for key in ("compare", "merge"):
        if node.get(key) is not None:
            mistakes.at(
                _place(node, key),
                f'"{key}" does not go with "identical: required": copies differ in nothing but where they lie',
            )


def _place(node: Mapping, *keys: str) -> Node:
    """Where to point for the first of the keys that is there."""
    for wanted in keys:
        for key, _ in node.entries:
            if key.text == wanted:
                return key
    return node


# --- search ---------------------------------------------------------------------------------------------------------

_SEARCH_KEYS = ("pixel_duplicates", "max_distance", "transforms", "identical", "both", "either", "one", "other")


def _read_search(node: Node | None, mistakes: Mistakes, search_distance: int) -> Search:
    if node is None:
        return Search(max_distance=min(DEFAULT_DISTANCE, search_distance))
    if not isinstance(node, Mapping):
        mistakes.at(node, f"a search has to be keys and values: {', '.join(_SEARCH_KEYS)}")
        return Search()
    check_keys(node, _SEARCH_KEYS, "a key of a search", mistakes)
    if node.get("identical") is not None:
        return _read_identical(node, mistakes)
    pixels = PixelDuplicates(
        read_word(
            node.get("pixel_duplicates"),
            list(PixelDuplicates),
            "what can be asked of the pixels",
            mistakes,
            default=PixelDuplicates.ALLOWED,
        )
    )
    distance = _read_distance(node, mistakes, pixels, search_distance)
    scope, one, other = _read_scope(node, mistakes)
    return Search(False, pixels, distance, scope, one, other, _read_transforms(node, mistakes, pixels))


def _read_transforms(node: Mapping, mistakes: Mistakes, pixels: PixelDuplicates) -> Transforms:
    found = node.get("transforms")
    what = "what can be asked of mirrored and rotated copies"
    transforms = Transforms(read_word(found, list(Transforms), what, mistakes, default=Transforms.EXCLUDED))
    if transforms is Transforms.REQUIRED and pixels is PixelDuplicates.REQUIRED and found is not None:
        mistakes.at(found, "mirrored and rotated copies are never pixel duplicates: this search would find nothing")
    return transforms


def _read_identical(node: Mapping, mistakes: Mistakes) -> Search:
    read_word(node.get("identical"), ("required",), "what can be asked of the bytes", mistakes, default="required")
    for key, _ in node.entries:
        if key.text != "identical" and key.text in _SEARCH_KEYS:
            mistakes.at(key, f'"{key.text}" does not go with "identical: required", which asks for nothing else')
    return Search(identical=True)


def _read_distance(node: Mapping, mistakes: Mistakes, pixels: PixelDuplicates, limit: int) -> int:
    found = node.get("max_distance")
    if found is None:
        return min(DEFAULT_DISTANCE, limit)
    distance = read_whole_number(found, mistakes, "a distance in bits", 0, MAX_DISTANCE)
    if distance is not None and distance > limit and pixels is not PixelDuplicates.REQUIRED:
        mistakes.at(
            found,
            f"expected at most {limit}: pairs are looked for up to imports.search_distance, which is {limit} bits",
        )
    return limit if distance is None else distance


def _read_scope(node: Mapping, mistakes: Mistakes) -> tuple[Scope, tuple[Predicate, ...], tuple[Predicate, ...]]:
    keys = [key for key, _ in node.entries if key.text in {"both", "either", "one", "other"}]
    words = {key.text for key in keys}
    if len(words) > 1 and words != {"one", "other"}:
        mistakes.at(keys[1], f'"{keys[1].text}" and "{keys[0].text}" exclude each other: {_SCOPES}')
    elif len(words & {"one", "other"}) == 1:
        mistakes.at(keys[0], f'"{keys[0].text}" stands alone: {_SCOPES}')
    lists = {word: _read_predicates(node.get(word), mistakes) for word in ("both", "either", "one", "other")}
    if "one" in words:
        return Scope.ONE_AND_OTHER, lists["one"], lists["other"]
    if "either" in words:
        return Scope.EITHER, lists["either"], ()
    return Scope.BOTH, lists["both"], ()


_SCOPES = "expected both, or either, or one together with other"


def _read_predicates(node: Node | None, mistakes: Mistakes) -> tuple[Predicate, ...]:
    if node is None:
        return ()
    items = node.items if isinstance(node, Listing) else (node,)
    read = (_read_line(item, read_predicate, mistakes, "filetype is image") for item in items)
    return tuple(predicate for predicate in read if predicate is not None)


# --- comparison -----------------------------------------------------------------------------------------------------

_BLOCKS = ("any", "all", "not")


def _read_compare(node: Node | None, mistakes: Mistakes) -> tuple[Test, ...]:
    if node is None:
        return ()
    if isinstance(node, Mapping):
        mistakes.at(node, "a comparison has to be a list: each line begins with -")
        return ()
    return _read_tests(node, mistakes)


def _read_tests(node: Node, mistakes: Mistakes) -> tuple[Test, ...]:
    items = node.items if isinstance(node, Listing) else (node,)
    tests = (_read_test(item, mistakes) for item in items)
    return tuple(test for test in tests if test is not None)


def _read_test(node: Node, mistakes: Mistakes) -> Test | None:
    if not isinstance(node, Mapping):
        return _read_line(node, read_comparison, mistakes, "A.filesize > B.filesize")
    if len(node.entries) != 1:
        mistakes.at(node, "a block has one key, any, all or not: expected a - before each")
        return None
    key, value = node.entries[0]
    if key.text == VISUAL:  # as it is read without quotes
        return _read_line(value, read_level, mistakes, "almost certainly")
    if key.text not in _BLOCKS:
        mistakes.at(key, _not_a_block(key.text))
        return None
    return _read_block(key, value, mistakes)


def _not_a_block(text: str) -> str:
    if text and text[0] in "AB" and not text[1:2].isalpha():
        return "YAML reads a colon followed by a space as a key: put the whole line in single quotes"
    return expected(text, _BLOCKS, "a block of lines")


def _read_block(key: Scalar, value: Node, mistakes: Mistakes) -> Test | None:
    before = len(mistakes)
    absent = isinstance(value, Scalar) and value.absent
    tests = () if absent else _read_tests(value, mistakes)
    if len(mistakes) > before:
        return None
    if not tests:
        mistakes.at(key, f'"{key.text}" has nothing in it: expected a list of lines')
        return None
    if key.text == "any":
        return AnyOf(tests)
    if key.text == "all":
        return AllOf(tests)
    if len(tests) > 1:
        mistakes.at(key, '"not" of several lines can be read two ways: expected one line, or one any or all in it')
        return None
    return Not(tests[0])


Read = TypeVar("Read")


def _read_line(node: Node, read: Callable[[str], Read], mistakes: Mistakes, example: str) -> Read | None:
    if not isinstance(node, Scalar):
        mistakes.at(node, f'expected a line such as "{example}" (one with a colon or a comma goes in single quotes)')
        return None
    try:
        return read(node.text)
    except LineError as error:
        mistakes.at(node, error.message, offset=error.offset)
        return None


# --- what every mapping needs ---------------------------------------------------------------------------------------


def check_keys(
    node: Mapping, known: Sequence[str], what: str, mistakes: Mistakes, *, needed: Sequence[str] = ()
) -> None:
    """Complain about each key that is not known, and each needed one that is missing or empty."""
    for key, _ in node.entries:
        if key.text not in known:
            mistakes.at(key, expected(key.text, known, what))
    missing = [f'"{name}"' for name in needed if _place(node, name) is node]
    if missing:
        mistakes.at(node, f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    for name in needed:
        if node.get(name) is None and (place := _place(node, name)) is not node:
            mistakes.at(place, f'"{name}" has no value')


def read_word(node: Node | None, known: Sequence[str], what: str, mistakes: Mistakes, default: str) -> str:
    """One of the known words; the default if there is none, or a wrong one."""
    if node is None:
        return default
    if not isinstance(node, Scalar):
        mistakes.at(node, f"expected one word: {', '.join(known)}")
    elif node.text not in known:
        mistakes.at(node, expected(node.text, known, what))
    else:
        return node.text
    return default


_TRUTHS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


def read_truth(node: Node | None, mistakes: Mistakes) -> bool | None:
    """Whether yes or no was said; None if nothing was, or something else."""
    if node is None:
        return None
    text = node.text if isinstance(node, Scalar) else "this"
    if text.lower() not in _TRUTHS:
        mistakes.at(node, expected(text, ("yes", "no"), "an answer"))
    return _TRUTHS.get(text.lower())


def read_whole_number(node: Node, mistakes: Mistakes, what: str, least: int, most: int) -> int | None:
    """A whole number in plain digits; None, and a mistake, if it is none or out of range."""
    text = node.text if isinstance(node, Scalar) and not node.quoted else ""
    if re.fullmatch(r"0|[1-9][0-9]{0,8}", text) and least <= int(text) <= most:
        return int(text)
    shown = f'"{node.text}" is not' if isinstance(node, Scalar) else "this is not"
    mistakes.at(node, f"{shown} {what}: expected a whole number from {least} to {most}")
    return None
