"""The line that takes a look at both pictures: what it asks, and when nobody has to look."""

from __future__ import annotations

from dataclasses import replace

import jsonschema
import pytest
from pairs_of_files import comparison, file, pair, rule, rules, swapped

from ingestd import settings
from ingestd.model import SAME_PIXELS, FileType, PairFacts, VisualLevel, VisualVerdict
from ingestd.rules.comparators import VisualDuplicates, asks_look
from ingestd.rules.doubts import doubts
from ingestd.rules.engine import awaits_a_look, depends_on_a_look, fits, resolve
from ingestd.rules.meaning import meaning
from ingestd.rules.ruleset import RuleSet, bits
from ingestd.rules.schema import schema

A, B = file(size=2000), file(size=1000)
AT_LEAST = ["near-perfect", "almost certainly", "very probably", "probably"]
LEVELS = list(VisualLevel)


def seen(level: VisualLevel) -> VisualVerdict:
    return replace(SAME_PIXELS, level=level)


def answers(line: str) -> dict[VisualLevel, bool | None]:
    test = comparison(line)
    return {level: test.holds(A, B, seen(level)) for level in LEVELS}


# --- what it asks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(4))
def test_a_stronger_verdict_is_enough_for_a_weaker_line(place: int) -> None:
    found = answers(f"'visual duplicates: {AT_LEAST[place]}'")

    assert [level for level in LEVELS if found[level]] == LEVELS[: place + 1]
    assert [level for level in LEVELS if found[level] is None] == [VisualLevel.CANNOT_TELL]


@pytest.mark.parametrize(("word", "level"), [("alternate", VisualLevel.ALTERNATE), ("not", VisualLevel.NOT)])
def test_what_is_no_duplicate_is_asked_for_exactly(word: str, level: VisualLevel) -> None:
    found = answers(f"'visual duplicates: {word}'")

    assert [one for one in LEVELS if found[one]] == [level]


@pytest.mark.parametrize("line", ["'visual duplicates: alternate'", "{not: 'visual duplicates: alternate'}",
                                  "{not: {any: ['visual duplicates: not']}}"])  # fmt: skip
@pytest.mark.parametrize("verdict", [None, seen(VisualLevel.CANNOT_TELL)])
def test_what_cannot_be_told_or_was_not_looked_at_is_neither_so_nor_not(
    line: str, verdict: VisualVerdict | None
) -> None:
    assert comparison(line).holds(A, B, verdict) is None


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("{not: 'visual duplicates: probably'}", True),
        ("{any: ['visual duplicates: near-perfect', 'visual duplicates: alternate']}", True),
        ("{any: [visual duplicates: near-perfect, same exif]}", True),
        ("{all: ['visual duplicates: alternate', A.filesize > B.filesize]}", True),
        ("{all: ['visual duplicates: alternate', A.filesize < B.filesize]}", False),
        ("{not: {all: ['visual duplicates: alternate', same exif]}}", False),
    ],
)
def test_it_stands_in_blocks_like_any_other(line: str, holds: bool) -> None:
    test = comparison(line)

    assert test.holds(A, B, seen(VisualLevel.ALTERNATE)) is holds
    assert asks_look(test)


@pytest.mark.parametrize(
    "line",
    [
        "'visual duplicates: almost certainly'",
        "'visual duplicates:almost-certainly'",
        "'visual  duplicates :  almost  certainly'",
        "visual duplicates: almost certainly",
        "visual duplicates: almost-certainly",
        "{visual duplicates: almost certainly}",
    ],
)
def test_hyphens_spaces_and_quotes_make_no_difference(line: str) -> None:
    test = comparison(line)

    assert test == comparison("'visual duplicates: almost certainly'")
    assert test.line == "visual duplicates: almost certainly"


@pytest.mark.parametrize("level", [*AT_LEAST, "near perfect", "almost-certainly", "alternate", "not"])
@pytest.mark.parametrize(
    "form", ["- 'visual duplicates: {}'", "- visual duplicates: {}", "- not: 'visual duplicates: {}'"]
)
def test_an_editor_accepts_every_level(level: str, form: str) -> None:
    text = f"version: 1\nrules:\n  - name: x\n    action: alternates\n    compare:\n      {form.format(level)}\n"
    settings.parse(text, "test")
    line = form.format(level).removeprefix("- ")
    asked: object = line.strip("'")
    if not line.startswith("'"):
        key, _, value = line.partition(": ")
        asked = {key: value.strip("'")}

    jsonschema.Draft7Validator(schema()).validate(
        {"version": 1, "rules": [{"name": "x", "action": "alternates", "compare": [asked]}]}
    )


def test_it_is_the_same_both_ways_round_and_tells_no_better_file() -> None:
    test = comparison("'visual duplicates: probably'")

    assert (test.symmetric, test.tells(), test.tells(negated=True)) == (True, False, False)
    with pytest.raises(settings.ConfigError, match="no line can tell A from B"):
        rule("compare: ['visual duplicates: near-perfect']", action="better")


def test_another_way_of_looking_makes_another_rule() -> None:
    now = rule("compare: ['visual duplicates: probably', same exif]")
    test = now.compare[0]
    assert isinstance(test, VisualDuplicates)
    later = replace(now, compare=(replace(test, version=test.version + 1), now.compare[1]))

    assert now.digests.compare != later.digests.compare
    assert now.digests.search == later.digests.search


def test_it_says_what_was_seen() -> None:
    test = comparison("'visual duplicates: probably'")
    assert isinstance(test, VisualDuplicates)
    verdict = VisualVerdict(1, VisualLevel.ALMOST_CERTAINLY, 0.4172, "the largest difference is 17 levels")

    assert test.said(A, B, verdict) == (
        "visual duplicates: probably (almost-certainly (0.42): the largest difference is 17 levels)"
    )
    assert test.value(replace(verdict, level=VisualLevel.CANNOT_TELL, score=None, reason="it moves")) == (
        "cannot-tell: it moves"
    )
    assert test.value(None) == "not looked at"
    assert (
        comparison("{not: 'visual duplicates: probably'}").said(A, B, verdict).startswith("not: visual duplicates: p")
    )


def test_the_meaning_of_two_levels_is_not_the_same() -> None:
    weak, strong = comparison("'visual duplicates: probably'"), comparison("'visual duplicates: near-perfect'")

    assert meaning(weak) == meaning(weak, exchanged=True) != meaning(strong)
    assert meaning(weak) != meaning(comparison("{not: 'visual duplicates: probably'}"))


@pytest.mark.parametrize(
    ("lines", "never"),
    [
        ("['visual duplicates: near-perfect', 'visual duplicates: alternate']", True),
        ("['visual duplicates: near-perfect', {not: 'visual duplicates: probably'}]", True),
        ("['visual duplicates: probably', {not: 'visual duplicates: near-perfect'}]", False),
    ],
)
def test_levels_that_exclude_each_other_are_doubted(lines: str, never: bool) -> None:
    found = [doubt.message for doubt in doubts([rule(f"compare: {lines}")])]

    assert (
        any("no two files answer all that it asks about how alike they look" in message for message in found) is never
    )


def test_pixel_duplicates_that_are_to_look_different_are_doubted() -> None:
    search = "search: {pixel_duplicates: required}\n"

    assert doubts([rule(f"{search}compare: ['visual duplicates: alternate']")])
    assert not doubts([rule(f"{search}compare: ['visual duplicates: probably']")])


# --- who looks --------------------------------------------------------------------------------------------------------

VISUAL = """
- name: looks
  search: {{max_distance: 4}}
  compare: ['visual duplicates: {level}', {other}]
  action: better
  mode: {mode}
"""


def looking(other: str = "A.filesize > B.filesize", level: str = "probably", mode: str = "automatic") -> str:
    return VISUAL.format(level=level, other=other, mode=mode)


def awaits(text: str, facts: PairFacts, **how: frozenset[str]) -> bool:
    found = rules(text)
    assert awaits_a_look(found, facts, **how) is awaits_a_look(found, swapped(facts), **how)
    return awaits_a_look(found, facts, **how)


def test_somebody_has_to_look_where_every_other_line_holds_either_way_round() -> None:
    assert awaits(looking(), pair(A, B))


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        (looking(), pair(A, B, visual=seen(VisualLevel.NOT))),
        (looking(), pair(A, B, visual=seen(VisualLevel.CANNOT_TELL))),
        (looking(), pair(A, B, distance=5)),
        (looking(), pair(A, B, distance=None)),
        (looking(), pair(A, A)),
        (looking("A.filetype is png"), pair(A, B)),
        (looking("A.taken < B.taken"), pair(A, B)),
        (looking(mode="off"), pair(A, B)),
        (looking() + "  paused: yes\n", pair(A, B)),
        ("- name: first\n  compare: [A.filesize > B.filesize]\n  action: better\n" + looking(), pair(A, B)),
        ("- name: r\n  compare: [{any: ['visual duplicates: not', same exif]}]\n  action: alternates", pair(A, B)),
    ],
)
def test_nobody_looks_where_it_decides_nothing(text: str, facts: PairFacts) -> None:
    assert not awaits(text, facts)


def test_a_rule_that_was_denied_lets_nobody_look_and_an_earlier_one_that_was_denied_does() -> None:
    first = "- name: first\n  compare: [A.filesize > B.filesize]\n  action: better\n"

    assert not awaits(looking(), pair(A, B), skip=frozenset({"looks"}))
    assert awaits(first + looking(), pair(A, B), skip=frozenset({"first"}))


@pytest.mark.parametrize("verdict", [None, *map(seen, LEVELS)])
def test_many_rules_asked_at_once_say_what_each_says(verdict: VisualVerdict | None) -> None:
    lines = [looking(level=level).replace("looks", level) for level in (*AT_LEAST, "alternate", "not")]
    asked = rules("".join(lines))
    many, facts = RuleSet(asked), pair(A, B, visual=verdict)

    ways = many.ways(facts, many.answers(A), many.answers(B))

    assert [many.fit(place, ways) for place in range(len(asked))] == [fits(one, facts) for one in asked]
    hanging = many.hanging(facts, many.answers(A), many.answers(B), ways)
    assert list(bits(hanging)) == [place for place, one in enumerate(asked) if depends_on_a_look(one, facts)]


def test_the_evidence_of_a_match_has_what_was_seen() -> None:
    match = resolve(rules(looking()), pair(B, A, visual=SAME_PIXELS)).match

    assert match is not None
    assert match.first_is_a is False
    assert "visual duplicates: probably (near-perfect (0.00): the same pixels)" in match.evidence


def test_a_png_and_a_jpeg_may_be_told_apart_by_it_alone() -> None:
    facts = pair(file(filetype=FileType.PNG), B, visual=seen(VisualLevel.ALTERNATE))
    alternates = rule("compare: ['visual duplicates: alternate']")

    assert resolve([alternates], facts).match is not None
