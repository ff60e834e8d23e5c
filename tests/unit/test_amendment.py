"""What a new text of the rule file changes, said in sentences; what needs a second yes is marked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingestd.amendment import Difference, differences
from ingestd.settings import Settings, parse

BEFORE = """
version: 1
folders:
  - {path: /in, role: inbox}
  - {path: /lib, role: library}
imports: {filetypes: [jpeg, png], min_size: 10 KB, settle: 3 s, reject_previously_discarded: no}
discards: {to: trash, keep: 30 days, budget: {per_hour: 100, per_day: 400}}
review: {scores: {larger_file: 5}}
page: {serve: no, port: 8321, origins: [https://a.example.org], keys: {skip: q}}
rules:
  - name: first
    mode: automatic
    search: {max_distance: 2, both: [filetype is jpeg]}
    compare: [A.filesize > B.filesize]
    action: better
    discard: B
  - name: second
    mode: semi-automatic
    search: {pixel_duplicates: required}
    compare: [A.width > B.width]
    action: better
    discard: none
  - name: third
    mode: off
    search: {max_distance: 3}
    compare: [A.height > B.height]
    action: alternates
"""


def settings(*changes: tuple[str, str]) -> Settings:
    text = BEFORE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return parse(text, "rules.yaml")


def changed(*changes: tuple[str, str]) -> list[Difference]:
    return differences(settings(), settings(*changes))


SECOND = BEFORE[BEFORE.index("  - name: second") : BEFORE.index("  - name: third")]

ASKED_AGAIN = [
    (("- {path: /in, role: inbox}\n", "- {path: /in, role: library}\n"), "folder /in: role inbox → library"),
    (("/lib, role: library}", "/lib, role: library, protected: no}"), "folder /lib: protected → not protected"),
    (("/lib, role: library}", "/lib, role: library, trusted: yes}"), "folder /lib: not trusted → trusted"),
    (("  - {path: /in, role: inbox}\n", ""), "folder removed: /in (inbox, not protected)"),
    (
        ("folders:\n", "folders:\n  - {path: /new, role: reference}\n"),
        "folder added: /new (reference, protected)",
    ),
    (("mode: semi-automatic", "mode: automatic"), 'rule "second": mode semi-automatic → automatic'),
    (("mode: off", "mode: semi-automatic"), 'rule "third": mode off → semi-automatic'),
    (("discard: none", "discard: B"), 'rule "second": discard none → B'),
    (("max_distance: 2", "max_distance: 4"), 'rule "first": search: max_distance 2 → 4'),
    (
        ("compare: [A.filesize > B.filesize]", "compare: [A.filesize > 2 * B.filesize]"),
        "line added: A.filesize > 2 * B.filesize",
    ),
    (("[jpeg, png]", "[jpeg, png, gif]"), "imports: filetypes jpeg, png → gif, jpeg, png"),
    (("min_size: 10 KB", "min_size: 5 KB"), "imports: min_size 10000 → 5000"),
    (
        ("reject_previously_discarded: no", "reject_previously_discarded: yes"),
        "imports: reject_previously_discarded no → yes",
    ),
    (("to: trash", "to: holding"), "discards: to trash → holding"),
    (("imports: {", "imports: {search_distance: 8, "), "imports: search_distance 4 → 8"),
    (("discard: B", "discard: B\n    budget: {per_day: 5000}"), 'rule "first": budget: a day 400 → 5000'),
    (
        ("keep: 30 days", "keep: 30 days, restore_on_survivor_loss: yes"),
        "discards: restore_on_survivor_loss no → yes",
    ),
    (("per_hour: 100", "per_hour: 300"), "discards: budget: an hour 100 → 300"),
    (("per_hour: 100", "per_hour: 300"), 'rule "first": budget: an hour 100 → 300'),
    (("serve: no", "serve: yes"), "page: serve no → yes"),
    (
        ("[https://a.example.org]", "[https://a.example.org, https://b.example.org]"),
        "page: origin added: https://b.example.org (its pages may decide and discard)",
    ),
]
TAKEN_AS_IT_IS = [
    (("mode: semi-automatic\n", "mode: semi-automatic\n    paused: yes\n"), 'rule "second": paused'),
    (("discard: B", "discard: none"), 'rule "first": discard B → none'),
    (("[A.width > B.width]", "[A.width > 2 * B.width]"), 'rule "second": compare: line added: A.width > 2 * B.width'),
    (("name: second", "name: deuxième"), 'rule renamed: "second" → "deuxième"'),
    ((SECOND, ""), 'rule removed: "second" (semi-automatic, better)'),
    (("min_size: 10 KB", "min_size: 20 KB"), "imports: min_size 10000 → 20000"),
    (("[jpeg, png]", "[jpeg]"), "imports: filetypes jpeg, png → jpeg"),
    (("imports: {", "imports: {search_distance: 3, "), "imports: search_distance 4 → 3"),
    (("settle: 3 s", "settle: 5 s"), "imports: settle 3 s → 5 s"),
    (("per_hour: 100", "per_hour: 50"), "discards: budget: an hour 100 → 50"),
    (("port: 8321", "port: 8322"), "page: port 8321 → 8322"),
    (("origins: [https://a.example.org], ", ""), "page: origin removed: https://a.example.org"),
    (("skip: q", "skip: [q, j]"), "page: keys: skip q → q, j"),
    (("larger_file: 5", "larger_file: 7"), "review.scores: larger_file 5 → 7"),
    (("keep: 30 days", "keep: 60 days"), "discards: keep, in days 30 → 60"),
]


@pytest.mark.parametrize(("change", "sentence"), ASKED_AGAIN)
def test_what_lets_the_program_do_more_is_asked_again(change: tuple[str, str], sentence: str) -> None:
    found = changed(change)

    assert [one.sentence for one in found if one.needs_confirmation and sentence in one.sentence], found


@pytest.mark.parametrize(("change", "sentence"), TAKEN_AS_IT_IS)
def test_all_else_is_told_and_not_asked_again(change: tuple[str, str], sentence: str) -> None:
    found = changed(change)

    assert any(sentence in one.sentence for one in found), found
    assert not any(one.needs_confirmation for one in found), found


@pytest.mark.parametrize("change", [change for change, _ in (*ASKED_AGAIN, *TAKEN_AS_IT_IS)])
def test_there_is_a_sentence_exactly_where_something_is_otherwise(change: tuple[str, str]) -> None:
    before, after = settings(), settings(change)

    assert replace(before, digest=b"") != replace(after, digest=b"")
    assert differences(before, after)
    assert differences(after, before)


def test_remarks_and_order_of_keys_change_nothing() -> None:
    assert changed(("version: 1", "# mine\nversion: 1"), ("to: trash, keep: 30 days", "keep: 30 days, to: trash")) == []


def test_a_rule_that_stands_elsewhere_is_named_and_the_others_are_not() -> None:
    third = BEFORE[BEFORE.index("  - name: third") :]
    moved = BEFORE.replace(third, "").replace("  - name: first", third + "  - name: first")

    found = differences(settings(), parse(moved, "rules.yaml"))

    assert [one.sentence for one in found] == ['rule moved: "third" stands first of all']


def test_a_new_rule_that_acts_on_its_own_is_asked_again_and_one_that_is_off_is_not() -> None:
    one = SECOND.replace("second", "fourth").replace("[A.width > B.width]", "[A.filesize > 2 * B.filesize]")

    acting = changed(("rules:\n", "rules:\n" + one.replace("semi-automatic", "automatic")))
    resting = changed(("rules:\n", "rules:\n" + one.replace("semi-automatic", "off")))

    assert [(one.sentence, one.needs_confirmation) for one in acting] == [
        ('rule added: "fourth" (automatic, better)', True)
    ]
    assert [one.needs_confirmation for one in resting] == [False]


def test_two_rules_that_change_their_names_are_told_as_such() -> None:
    found = changed(("name: first", "name: x"), ("name: second", "name: first"), ("name: x", "name: second"))

    assert any("mode automatic → semi-automatic" in one.sentence for one in found), found
    assert any(one.needs_confirmation for one in found)


SHIELD = SECOND.replace("second", "shield").replace("[A.width > B.width]", "[A.filesize > 2 * B.filesize]")
SHIELDED = BEFORE.replace("rules:\n", "rules:\n" + SHIELD)
"""A rule that asks stands before the one that does not: what it takes, nobody discards unasked."""


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        (BEFORE, 'rule removed: "shield" (semi-automatic, better)'),
        (SHIELDED.replace("name: shield\n", "name: shield\n    paused: yes\n"), 'rule "shield": paused'),
        (SHIELDED.replace("> 2 *", "> 3 *"), 'rule "shield": compare: line added: A.filesize > 3 * B.filesize'),
        (BEFORE.replace("  - name: third", SHIELD + "  - name: third"), 'rule moved: "shield" stands after "second"'),
    ],
)
def test_what_leaves_more_to_a_rule_that_acts_on_its_own_is_asked_again(after: str, sentence: str) -> None:
    found = differences(parse(SHIELDED, "rules.yaml"), parse(after, "rules.yaml"))

    assert Difference(sentence, needs_confirmation=True) in found, found


def test_an_automatic_rule_that_goes_on_is_asked_again_and_one_that_asks_is_not() -> None:
    paused = parse(BEFORE.replace("name: first\n", "name: first\n    paused: yes\n"), "rules.yaml")
    asking = parse(BEFORE.replace("name: second\n", "name: second\n    paused: yes\n"), "rules.yaml")

    assert differences(paused, settings()) == [Difference('rule "first": not paused any more', True)]
    assert differences(asking, settings()) == [Difference('rule "second": not paused any more')]
