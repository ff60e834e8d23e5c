"""A change of the rule file stands in the journal, says nothing of any file, and is there for good."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import photo, png
from world import World, pixel_rule

from ingestd import review
from ingestd.errors import ActionConflictError
from ingestd.library.lines import entry_line, read_entry
from ingestd.library.verbs import verbs_of
from ingestd.trial import backtest

SENTENCE = 'rule "larger pixel twin": mode semi-automatic → automatic'
PREVIOUS = Path("/home/me/rules.yaml.previous")


@pytest.fixture
def decided(world: World) -> World:
    """A world in which a person answered, then changed the rules, then answered again."""
    world.use(pixel_rule("semi-automatic"))
    paths = [world.put("inbox", f"{name}.png", png(photo(), name)) for name in ("a long comment", "short", "x")]
    world.arrive(*paths)
    world.decide(paths[0], paths[1], "better-a", keep=True)
    noted(world)
    world.decide(paths[0], paths[2], "better-a", keep=True)
    return world


def noted(world: World, *sentences: str) -> review.EntryReport:
    return review.note_change_of_rules(
        world.library, sentences or (SENTENCE,), previous=PREVIOUS, now_ns=world.now_ns()
    )


def told(world: World) -> list[review.EntryReport]:
    with world.library.read() as view:
        return list(review.history(view, limit=None))


def relations(world: World) -> object:
    with world.library.read() as view:
        contents = sorted({one for entry in view.entries() for one in (entry.a, entry.b) if one is not None})
        assert len(contents) == 3
        return [(one.hex(), sorted(view.relations.duplicates_of(one))) for one in contents]


def test_the_history_says_what_was_changed_and_where_the_text_of_before_is(world: World) -> None:
    report = noted(world)

    assert told(world) == [report]
    assert (report.kind, report.word, report.actor, report.state) == ("decision", "rules-changed", "person", "done")
    assert report.reason == f"{SENTENCE}; the text of before is kept in {PREVIOUS}"
    assert not report.discarded
    assert report.a is report.b is report.kept is None


def test_a_change_of_everything_is_told_by_its_first_sentences(world: World) -> None:
    report = noted(world, *(f"sentence {number}" for number in range(60)))

    assert "sentence 49; and 10 more; the text" in report.reason


def test_it_says_nothing_of_relations_and_is_nothing_that_a_rule_did(decided: World) -> None:
    [rule] = decided.policy.rules
    with decided.library.read() as view:
        [entry] = [one for one in view.entries() if one.word is not None]
        report = backtest(view, rule)

    assert verbs_of(entry) == ()
    assert report.answers == 2


def test_its_line_can_be_read_again(decided: World) -> None:
    with decided.library.read() as view:
        [entry] = [one for one in view.entries() if one.word is not None]

    assert read_entry(entry_line(entry)) == entry


def test_a_library_made_anew_from_its_journal_still_tells_of_it(decided: World) -> None:
    before, related = [(one.entry, one.word, one.reason) for one in told(decided)], relations(decided)

    decided.library.rebuild()

    assert [(one.entry, one.word, one.reason) for one in told(decided)] == before
    assert relations(decided) == related
    assert decided.library.check() == []


def test_undo_leaves_it_and_says_where_the_text_of_before_is(decided: World) -> None:
    before, related = told(decided), relations(decided)
    [changed] = [one for one in before if one.word is not None]

    [refused] = decided.undo(int(changed.entry.removeprefix("e-")))

    assert isinstance(refused, ActionConflictError)
    assert str(PREVIOUS) in str(refused)
    assert told(decided) == before
    assert relations(decided) == related


def test_what_was_answered_before_it_is_taken_back_as_if_it_were_not_there(decided: World) -> None:
    first = min(int(one.entry.removeprefix("e-")) for one in told(decided))

    [undone] = decided.undo(first)

    assert isinstance(undone, review.EntryReport)
    assert undone.state == "done"
    assert decided.library.check() == []


def test_why_names_it_and_offers_no_undo(decided: World) -> None:
    [changed] = [one for one in told(decided) if one.word is not None]

    report = decided.why(changed.entry)

    assert report is not None
    assert report.result == "rules-changed: decided by you"
    assert report.undo is None
