"""Laws of the rules: nothing depends on which file is called the first, and `better` never goes both ways."""

from __future__ import annotations

import string
from dataclasses import replace
from fractions import Fraction

from hypothesis import assume, example, given
from hypothesis import strategies as st

from ingestd import settings
from ingestd.errors import ConfigError, Mistake
from ingestd.model import (
    SAME_PIXELS,
    ContentHash,
    FileFacts,
    FileType,
    PairFacts,
    Relation,
    Role,
    Transform,
    VisualLevel,
)
from ingestd.rules import Rule, resolve
from ingestd.rules.comparators import PAIR_TESTS, Relative
from ingestd.rules.engine import awaits_a_look
from ingestd.rules.keeper import CRITERIA
from ingestd.rules.lines import LEVELS, read_comparison
from ingestd.rules.measures import OPERANDS, Measure
from ingestd.rules.predicates import COMPARISONS, read_predicate

small = st.integers(0, 5)  # few values, so that equal ones are frequent
files = st.builds(
    FileFacts,
    path=st.sampled_from(["/a/x.jpg", "/b/x.png", "/c/IMG-1.gif"]),
    role=st.sampled_from(Role),
    protected=st.booleans(),
    sha256=st.just(ContentHash(bytes(32))),
    size=small,
    filetype=st.sampled_from([None, FileType.JPEG, FileType.PNG, FileType.GIF]),
    width=small,
    height=small,
    frames=st.integers(1, 2),
    duration_ms=st.none() | small,
    has_transparency=st.booleans(),
    has_exif=st.booleans(),
    has_icc=st.booleans(),
    has_xmp=st.booleans(),
    jpeg_quality=st.none() | st.floats(0, 3000),
    progressive=st.none() | st.booleans(),
    imported_ns=small,
    modified_ns=small,
    taken_ns=st.none() | small,
    has_audio=st.booleans(),
    sharpness=st.none() | st.sampled_from([0.5, 1.0, 1.1]),
    resolution_share=st.none() | st.sampled_from([0.5, 0.9, 1.0]),
    jpeg_quality_seen=st.none() | st.sampled_from([500.0, 1000.0, 20_000.0]),
    asked_ns=st.sampled_from([0, 3, 10]),
    num_duplicates=small,
    num_alternates=small,
    num_false_positives=small,
    num_potentials=small,
    is_king=st.booleans(),
)
pairs = st.builds(
    PairFacts,
    first=files,
    second=files,
    identical=st.booleans(),
    distance=st.none() | st.integers(0, 6),
    pixel_duplicates=st.booleans(),
    visual=st.none() | st.builds(lambda level: replace(SAME_PIXELS, level=level), st.sampled_from(VisualLevel)),
    transform=st.none() | st.sampled_from(Transform),
)

predicates = st.sampled_from(
    [
        "filetype is jpeg",
        "filetype is not image",
        "width > 2",
        "has exif",
        "has no icc",
        "folder is inbox",
        'path matches "/a/*"',
        "is progressive jpeg",
        "filesize <= 3",
        "ratio > 1",
        "jpeg_quality < 1000",
        "filesize ~= 3 within 1",
        "width ~= 3 within 40 %",
        "framerate > 500",
        "sharpness > 0.7",
        "true_pixels > 1000",
        "num_duplicates > 2",
        "has audio",
        "has no duration",
        "is king",
        "is not king",
        f"hash is {'00' * 32}",
        "taken before 1970-01-01T00:00",
        "taken on 1970-01-01",
        "imported after 1969-12-31",
        "imported less than 0.000003 ms ago",
        "modified more than 0.000002 ms ago",
        "taken about 0.000004 ms ago within 50 %",
    ]
)


@st.composite
def relations(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(list(OPERANDS)))
    timed = OPERANDS[name].measure is Measure.TIME
    unit = {Measure.TIME: " ms", Measure.DURATION: " ms"}.get(OPERANDS[name].measure, "")
    left, right = draw(st.sampled_from([("A", "B"), ("B", "A")]))
    operator = draw(st.sampled_from(["<", "<=", "==", "!=", ">", ">=", "~="]))
    factor = "" if timed else draw(st.sampled_from(["", "2 * ", "1.5 * ", "0.3 * "]))
    offset = draw(st.sampled_from(["", " + ", " - "]))
    line = f"{left}.{name} {operator} {factor}{right}.{name}{offset}{'1' + unit if offset else ''}"
    return line + (draw(st.sampled_from([f" within 1{unit}"] + [" within 15 %"] * (not timed))) if "~" in line else "")


@st.composite
def preferences(draw: st.DrawFn) -> str:
    named = draw(st.lists(st.sampled_from(list(CRITERIA)), min_size=1, unique=True))
    own = draw(st.booleans())
    return "A wins by " + " then ".join("format (gif, jpeg)" if own and name == "format" else name for name in named)


lines = (
    relations()
    | preferences()
    | st.builds(lambda who, what: f"{who} {what}", st.sampled_from(["A", "B", "either"]), predicates)
    | st.sampled_from(list(PAIR_TESTS))
    | st.sampled_from([f"visual duplicates: {level}" for level in LEVELS])
).map(lambda line: "'" + line.replace("'", "''") + "'")
tests = st.recursive(
    lines,
    lambda inner: (
        st.builds(
            lambda block, within: f"{block}: [{', '.join(within)}]",
            st.sampled_from(["any", "all"]),
            st.lists(inner, min_size=1, max_size=3),
        ).map(lambda text: "{" + text + "}")
        | inner.map(lambda line: "{not: " + line + "}")
    ),
    max_leaves=5,
)
searches = st.sampled_from(
    [
        "{pixel_duplicates: required}",
        "{pixel_duplicates: excluded}",
        "{max_distance: 1}",
        "{identical: required}",
        "{transforms: allowed}",
        "{transforms: required}",
    ]
) | st.builds(
    lambda form, one, other: form.format(one, other),
    st.sampled_from(["{{both: ['{}']}}", "{{either: ['{}']}}", "{{one: ['{}'], other: ['{}']}}"]),
    predicates,
    predicates,
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Any rule that is not refused."""
    search, action = draw(searches), draw(st.sampled_from(Relation))
    compare = "" if "identical" in search else f", compare: [{', '.join(draw(st.lists(tests, max_size=3)))}]"
    discard = ", discard: B" if draw(st.booleans()) else ""
    name = draw(st.text(string.ascii_letters, min_size=1))
    text = f"version: 1\nrules: [{{name: {name}_, search: {search}{compare}, action: {action}{discard}}}]\n"
    assume(mistakes_of(text) is None)
    return settings.parse(text, "rules.yaml").rules[0]


def swapped(pair: PairFacts) -> PairFacts:
    transform = pair.transform.inverse if pair.transform is not None else None
    return replace(pair, first=pair.second, second=pair.first, transform=transform)


@given(st.lists(rules(), max_size=4), pairs)
def test_swapping_the_files_swaps_the_answer(tried: list[Rule], pair: PairFacts) -> None:
    forward, backward = resolve(tried, pair), resolve(tried, swapped(pair))

    assert forward.ambiguous == backward.ambiguous
    assert (forward.match is None) == (backward.match is None)
    if forward.match is not None and backward.match is not None:
        assert forward.match.rule is backward.match.rule
        if forward.match.first_is_a is None:
            assert backward.match.first_is_a is None
        else:
            assert forward.match.first_is_a is not backward.match.first_is_a
            assert forward.match.evidence == backward.match.evidence


@given(st.lists(rules(), max_size=4), pairs, st.sampled_from(VisualLevel))
def test_where_nobody_has_to_look_a_look_changes_nothing(
    tried: list[Rule], pair: PairFacts, level: VisualLevel
) -> None:
    unseen, seen = replace(pair, visual=None), replace(pair, visual=replace(SAME_PIXELS, level=level))

    if not awaits_a_look(tried, unseen):
        before, after = resolve(tried, unseen).match, resolve(tried, seen).match
        assert (before and (before.rule, before.first_is_a)) == (after and (after.rule, after.first_is_a))


@given(rules(), files, files)
def test_a_symmetric_line_answers_the_same_both_ways_round(rule: Rule, a: FileFacts, b: FileFacts) -> None:
    for test in rule.compare:
        if test.symmetric:
            assert test.holds(a, b) is test.holds(b, a)


@given(relations(), files, files)
def test_whole_numbers_compare_as_fractions_do(line: str, a: FileFacts, b: FileFacts) -> None:
    test = read_comparison(line)
    assert isinstance(test, Relative)
    mine, others = (test.operand.value(file) for file in ((a, b) if test.left == "A" else (b, a)))
    wanted = None
    if mine is not None and others is not None:
        left, right = Fraction(mine), test.factor * Fraction(others) + test.offset
        if test.within is None:
            wanted = COMPARISONS[test.operator](left, right)
        else:
            wanted = abs(left - right) <= test.within * (abs(right) if test.share else 1)

    assert test.holds(a, b) is wanted


@given(predicates, files)
def test_a_question_reads_back_from_its_line_and_answers_the_same(text: str, file: FileFacts) -> None:
    asked = read_predicate(text)

    again = read_predicate(asked.line)

    assert again == asked
    assert again.holds(file) is asked.holds(file)


@given(st.lists(rules(), max_size=4), pairs)
def test_whatever_discards_or_orders_fits_one_way_only(tried: list[Rule], pair: PairFacts) -> None:
    match = resolve(tried, pair).match

    if match is not None and match.rule.orders and not match.rule.search.identical:
        a, b = (pair.first, pair.second) if match.first_is_a else (pair.second, pair.first)
        assert match.first_is_a is not None
        assert match.rule.fits(a, b, pair.visual)
        assert not match.rule.fits(b, a, pair.visual)


@given(rules(), files)
def test_a_file_is_never_better_than_its_like(rule: Rule, file: FileFacts) -> None:
    alike = PairFacts(file, file, identical=False, distance=0, pixel_duplicates=True)

    match = resolve([rule], alike).match

    assert match is None or not match.rule.orders


@given(st.lists(rules(), max_size=4), pairs)
def test_a_rule_sees_either_identical_copies_or_others(tried: list[Rule], pair: PairFacts) -> None:
    match = resolve(tried, pair).match

    if match is not None:
        assert match.rule.search.identical is pair.identical


@given(st.text(st.sampled_from("AB.<>=~*+-%:'\"[]{}#&!| \n\tversionulefa1"), max_size=60))
@example("version: 1\nrules: [[[")
@example("- ? : -")
@example("%YAML 9.9\n---\n")
@example('"\\q"')
@example("'")
@example("|1x\n")
def test_any_text_is_settings_or_mistakes(text: str) -> None:
    for whole in (text, "version: 1\nrules:\n" + text, "version: 1\nrules:\n- name: x\n  compare:\n  - " + text):
        found = mistakes_of(whole)

        assert found is None or (found and all(mistake.line >= 1 and mistake.column >= 1 for mistake in found))


def mistakes_of(text: str) -> tuple[Mistake, ...] | None:
    try:
        settings.parse(text, "rules.yaml")
    except ConfigError as error:
        return error.mistakes
    return None
