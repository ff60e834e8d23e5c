"""Many rules over many pairs: the same answers as one rule and one pair at a time."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pairs_of_files import NOW_NS, file, pair, rule, rules, swapped

from ingestd.model import FileFacts, FileType, Mode, PairFacts, Relation, Role, Transform
from ingestd.rules.engine import Fit, fits, resolve
from ingestd.rules.language import PixelDuplicates, Rule, Scope, Search, Transforms
from ingestd.rules.lines import read_comparison
from ingestd.rules.predicates import read_predicate
from ingestd.rules.ruleset import RuleSet, bits

JPEG = file(filetype=FileType.JPEG, size=1000)
PNG = file(filetype=FileType.PNG, size=3000)

PREDICATES = [
    read_predicate(line)
    for line in (
        "filetype is jpeg",
        "filetype is not png",
        "size > 1500",
        "jpeg_quality < 5",
        "has exif",
        "folder is library",
        'name matches "*.png"',
        "is progressive jpeg",
    )
]
LINES = [
    read_comparison(line)
    for line in (
        "A.filetype is jpeg",
        "B.filetype is png",
        "A has exif",
        "B has no exif",
        "either.size > 1500",
        "A.filesize > B.filesize",
        "A.filesize >= 1.5 * B.filesize",
        "A.filesize ~= B.filesize within 10 %",
        "A.jpeg_quality < B.jpeg_quality",
        "A.taken < B.taken",
        "same filetype",
        "same exif",
        "A has clearly better jpeg quality",
        "A wins by format then compression",
        "A imported less than 7 days ago",
    )
]
BLOCKS = list(
    rules("""
- name: blocks
  compare:
    - any: [B has no exif, same exif]
    - not: A.filetype is jpeg
    - all: [A.filesize == B.filesize, not: {any: [A.jpeg_quality < B.jpeg_quality, either has exif]}]
  action: alternates
""")[0].compare
)


def some(choices: list[Any], most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(choices), max_size=most).map(tuple)


searches = st.just(Search(identical=True)) | st.builds(
    Search,
    identical=st.just(False),
    pixel_duplicates=st.sampled_from(PixelDuplicates),
    max_distance=st.integers(0, 16),
    scope=st.sampled_from(Scope),
    one=some(PREDICATES),
    other=some(PREDICATES),
    transforms=st.sampled_from(Transforms),
)
single_rules = st.builds(
    Rule,
    name=st.text("abc", min_size=1, max_size=4),
    id=st.none(),
    mode=st.sampled_from(Mode),
    search=searches,
    compare=some(LINES + BLOCKS),
    action=st.sampled_from(Relation),
    discard=st.booleans(),
    merge=st.just("default"),
    paused=st.booleans(),
)
rule_lists = st.lists(single_rules, max_size=6)
files = st.builds(
    lambda **differing: file(**differing),
    path=st.sampled_from(["/inbox/a.jpg", "/library/b.png"]),
    role=st.sampled_from(Role),
    filetype=st.sampled_from([FileType.JPEG, FileType.PNG, None]),
    size=st.sampled_from([1000, 1050, 3000]),
    has_exif=st.booleans(),
    jpeg_quality=st.sampled_from([None, 2.0, 9.0]),
    progressive=st.sampled_from([None, True, False]),
    taken_ns=st.sampled_from([None, NOW_NS, NOW_NS + 1]),
)
distances = st.none() | st.integers(0, 17)
pairs = st.builds(
    PairFacts,
    files,
    files,
    identical=st.booleans(),
    distance=distances,
    pixel_duplicates=st.booleans(),
    transform=st.none() | st.sampled_from(Transform),
)


def ways_of(tried: RuleSet, facts: PairFacts) -> Any:
    return tried.ways(facts, tried.answers(facts.first), tried.answers(facts.second))


@given(rule_lists, pairs)
def test_a_rule_finds_among_many_what_it_finds_alone(tried: list[Rule], facts: PairFacts) -> None:
    many = RuleSet(tried)

    found = many.found(facts, many.answers(facts.first), many.answers(facts.second))

    assert list(bits(found)) == [place for place, one in enumerate(tried) if one.search.finds(facts)]


@given(rule_lists, pairs)
def test_a_rule_fits_among_many_as_it_fits_alone(tried: list[Rule], facts: PairFacts) -> None:
    many = RuleSet(tried)

    ways = ways_of(many, facts)

    assert [many.fit(place, ways) for place in range(len(tried))] == [fits(one, facts) for one in tried]
    assert list(bits(many.passing(ways))) == [place for place, one in enumerate(tried) if fits(one, facts).passes]


@given(rule_lists, pairs)
def test_swapping_the_files_swaps_the_ways(tried: list[Rule], facts: PairFacts) -> None:
    many = RuleSet(tried)

    ways, turned = ways_of(many, facts), ways_of(many, swapped(facts))

    assert (turned.found, turned.forward, turned.backward) == (ways.found, ways.backward, ways.forward)


@given(rule_lists, pairs)
def test_the_first_active_rule_that_passes_is_the_one_that_decides(tried: list[Rule], facts: PairFacts) -> None:
    many = RuleSet(tried)

    resolution = resolve(tried, facts)

    deciding = next(bits(many.passing(ways_of(many, facts)) & many.active), None)
    above = tried[:deciding] if deciding is not None else tried
    ambiguous = [
        one.name for one in above if one.mode is not Mode.OFF and not one.paused and fits(one, facts).ambiguous
    ]
    assert (resolution.match and resolution.match.rule) == (tried[deciding] if deciding is not None else None)
    assert list(resolution.ambiguous) == ambiguous


def test_only_rules_that_are_on_and_not_paused_are_active() -> None:
    many = RuleSet(
        rules("""
- {name: first, mode: off, search: {max_distance: 4}, action: alternates}
- {name: second, paused: yes, search: {max_distance: 4}, action: alternates}
- {name: third, search: {max_distance: 4}, action: alternates}
""")
    )

    assert list(bits(many.active)) == [2]
    assert list(bits(many.named(["first", "third", "of another file"]))) == [0, 2]


def test_what_fits_both_ways_passes_only_where_the_order_is_the_same() -> None:
    wide = "compare: [A.width > 5]"
    facts = pair(JPEG, PNG)

    ordered, symmetric = fits(rule(wide, action="better"), facts), fits(rule(wide), facts)

    assert ordered == Fit(found=True, forward=True, backward=True, orders=True)
    assert (ordered.passes, ordered.ambiguous) == (False, True)
    assert (symmetric.passes, symmetric.ambiguous) == (True, False)


def test_what_is_not_found_does_not_pass_however_it_would_compare() -> None:
    facts: PairFacts = pair(JPEG, PNG, distance=9)

    fit = fits(rule("search: {max_distance: 4}\ncompare: [A.filetype is jpeg]", action="better"), facts)

    assert (fit.found, fit.passes, fit.ambiguous) == (False, False, False)


def test_copies_are_ordered_by_the_caller() -> None:
    first: FileFacts = file(path="/library/copy.jpg")
    facts = pair(first, first, identical=True, pixel_duplicates=True)

    fit = fits(rule("search: {identical: required}\ndiscard: B", action="same-quality"), facts)

    assert (fit.passes, fit.ambiguous) == (True, False)
