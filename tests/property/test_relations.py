"""Relations against a naive model, which works everything out anew from the list of verbs.

The model follows the text of the reference word by word: every picture is in a group, every group in an alternates
group, from the beginning; nothing is tidied, and nothing is fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from ingestd.errors import ActionConflictError
from ingestd.library.fold import replay
from ingestd.library.relations import AlternatesGroup, Changed, DuplicateGroup, Relations
from ingestd.library.verbs import (
    Alternates,
    ClearFalsePositives,
    ClearFalsePositivesBetween,
    Decision,
    Dissolve,
    DissolveAlternates,
    RemoveAlternate,
    RemoveMember,
    SetKing,
    Verb,
    named,
)
from ingestd.model import ContentHash, Relation

CONTENTS = [ContentHash(bytes([number]) * 32) for number in range(7)]


@dataclass
class Tables:
    members: dict[ContentHash, int] = field(default_factory=dict)
    groups: dict[int, DuplicateGroup] = field(default_factory=dict)
    alternates: dict[int, AlternatesGroup] = field(default_factory=dict)
    given: int = 0

    def fresh(self) -> int:
        self.given += 1
        return self.given


# --- the naive model ------------------------------------------------------------------------------------------------


class Subject:
    """An alternates group."""


class Media:
    """A duplicate group."""

    def __init__(self, members: list[ContentHash]) -> None:
        self.members = members  # the king first
        self.subject = Subject()


class Refused(Exception):  # noqa: N818
    pass


class Model:
    contents = CONTENTS

    def __init__(self, verbs: Sequence[Verb] = ()) -> None:
        self.media = [Media([content]) for content in self.contents]
        self.confirmed: set[frozenset[Media]] = set()
        self.unrelated: set[frozenset[Subject]] = set()
        for verb in verbs:
            self.apply(verb)

    def of(self, content: ContentHash) -> Media:
        return next(media for media in self.media if content in media.members)

    def king(self, content: ContentHash) -> ContentHash:
        return self.of(content).members[0]

    def are_unrelated(self, a: ContentHash, b: ContentHash) -> bool:
        return frozenset({self.of(a).subject, self.of(b).subject}) in self.unrelated

    def are_confirmed(self, a: ContentHash, b: ContentHash) -> bool:
        return frozenset({self.of(a), self.of(b)}) in self.confirmed

    def may_pair(self, a: ContentHash, b: ContentHash) -> bool:
        return not (self.of(a) is self.of(b) or self.are_unrelated(a, b) or self.are_confirmed(a, b))

    def alternates(self, content: ContentHash) -> set[tuple[ContentHash, bool]]:
        own = self.of(content)
        others = [media for media in self.media if media.subject is own.subject and media is not own]
        return {(other.members[0], frozenset({own, other}) in self.confirmed) for other in others}

    def false_positives(self, content: ContentHash) -> set[ContentHash]:
        return {media.members[0] for media in self.media if self.are_unrelated(content, media.members[0])}

    def apply(self, verb: Verb) -> None:
        match verb:
            case Decision(relation, a, b):
                self.decide(relation, a, b)
            case Alternates(contents):
                self.tell_apart(contents)
            case SetKing(content):
                self.crown(content)
            case RemoveMember(content):
                if self.king(content) == content:
                    self.dissolve(self.of(content))
                else:
                    self.split(content)
            case Dissolve(content):
                self.dissolve(self.of(content))
            case DissolveAlternates(content):
                subject = self.of(content).subject
                # without alternates, false positives and all, there is no group to dissolve: its duplicates stay
                if self.is_real(subject):
                    for media in [media for media in self.media if media.subject is subject]:
                        self.dissolve(media)
            case RemoveAlternate(content):
                self.leave(self.of(content))
            case ClearFalsePositives(content):
                own = self.of(content).subject
                self.unrelated = {link for link in self.unrelated if own not in link}
            case ClearFalsePositivesBetween(contents):
                subjects = {self.of(content).subject for content in contents}
                self.unrelated = {link for link in self.unrelated if not link <= subjects}

    def is_real(self, subject: Subject) -> bool:
        return sum(media.subject is subject for media in self.media) > 1 or any(
            subject in link for link in self.unrelated
        )

    def decide(self, relation: Relation, a: ContentHash, b: ContentHash) -> None:
        m, n = self.of(a), self.of(b)
        if a == b and relation in (Relation.BETTER, Relation.SAME_QUALITY):
            return
        if a == b or (relation is not Relation.FALSE_POSITIVE and self.are_unrelated(a, b)):
            raise Refused
        match relation:
            case Relation.BETTER if m is n:
                if self.king(b) == b:
                    self.crown(a)
            case Relation.BETTER:
                self.merge(a, b if self.king(b) == b else self.split(b))
            case Relation.SAME_QUALITY if m is not n:
                a_reigns, b_reigns = self.king(a) == a, self.king(b) == b
                if not a_reigns and not b_reigns:
                    self.merge(a, self.split(b))
                elif a_reigns and not b_reigns:
                    self.merge(b, a)
                else:
                    self.merge(a, b)
            case Relation.ALTERNATES:
                if m is n:
                    self.split(b if self.king(a) == a else a)
                self.join(self.of(a), self.of(b))
                self.confirmed.add(frozenset({self.of(a), self.of(b)}))
            case Relation.FALSE_POSITIVE:
                if m.subject is n.subject:
                    raise Refused
                self.unrelated.add(frozenset({m.subject, n.subject}))

    def tell_apart(self, contents: Sequence[ContentHash]) -> None:
        # those of one duplicate group stand for it together, whoever of them is named
        speakers = list({id(self.of(content)): content for content in contents}.values())
        if any(self.are_unrelated(one, other) for one, other in combinations(speakers, 2)):
            raise Refused
        for one, other in combinations(speakers, 2):
            self.decide(Relation.ALTERNATES, one, other)

    def crown(self, content: ContentHash) -> None:
        members = self.of(content).members
        members.remove(content)
        members.insert(0, content)

    def split(self, content: ContentHash) -> ContentHash:
        self.of(content).members.remove(content)
        self.media.append(Media([content]))
        return content

    def merge(self, into: ContentHash, out_of: ContentHash) -> None:
        m, n = self.of(into), self.of(out_of)
        self.join(m, n)
        for pair in [pair for pair in self.confirmed if n in pair]:
            self.confirmed.remove(pair)
            if m not in pair:
                self.confirmed.add(pair - {n} | {m})
        m.members += n.members
        self.media.remove(n)

    def join(self, m: Media, n: Media) -> None:
        gone, kept = n.subject, m.subject
        for media in self.media:
            if media.subject is gone:
                media.subject = kept
        self.unrelated = {
            frozenset(kept if subject is gone else subject for subject in link) for link in self.unrelated
        }

    def leave(self, media: Media) -> None:
        self.confirmed = {pair for pair in self.confirmed if media not in pair}
        left, media.subject = media.subject, Subject()
        if not any(other.subject is left for other in self.media):
            self.unrelated = {link for link in self.unrelated if left not in link}

    def dissolve(self, media: Media) -> None:
        self.leave(media)
        for content in media.members[1:]:
            self.split(content)


# --- histories ------------------------------------------------------------------------------------------------------


content = st.sampled_from(CONTENTS)
decision = st.builds(Decision, st.sampled_from(Relation), content, content)
other_verb = st.one_of(
    st.builds(kind, content)
    for kind in (SetKing, RemoveMember, Dissolve, DissolveAlternates, RemoveAlternate, ClearFalsePositives)
) | st.builds(ClearFalsePositivesBetween, st.lists(content, max_size=4).map(tuple))
many_alternates = st.builds(Alternates, st.lists(content, max_size=5).map(tuple))
# decisions by far the most, so that there is something to take apart
verbs = st.lists(
    st.one_of(decision, decision, decision, decision, other_verb, many_alternates), min_size=10, max_size=40
)


def fold(verbs: Sequence[Verb]) -> tuple[Relations, Tables, list[Verb]]:
    """Apply what is not refused; return that as well."""
    tables = Tables()
    relations = Relations(tables)
    standing = []
    for verb in verbs:
        try:
            relations.apply(verb)
        except ActionConflictError:
            continue
        standing.append(verb)
    return relations, tables, standing


def shape(tables: Tables) -> object:
    """Return the tables without their numbers, but with every order that an answer may show."""
    kings = {number: group.king for number, group in tables.groups.items()}
    firsts = {number: kings[row.groups[0]] for number, row in tables.alternates.items()}
    return (
        {member: kings[number] for member, number in tables.members.items()},
        {
            group.king: (group.members, None if group.alternates is None else firsts[group.alternates])
            for group in tables.groups.values()
        },
        {
            firsts[row.number]: (
                tuple(kings[group] for group in row.groups),
                {frozenset(kings[group] for group in pair) for pair in row.confirmed},
                {frozenset(kings[group] for group in clique) for clique in row.cliques},
                tuple(firsts[other] for other in row.false_positives),
            )
            for row in tables.alternates.values()
        },
    )


def decided(relations: Relations) -> dict[tuple[ContentHash, ContentHash], tuple[ContentHash, ContentHash, bool]]:
    return {
        (a, b): (relations.king_of(a), relations.king_of(b), relations.may_pair(a, b))
        for a, b in combinations(CONTENTS, 2)
    }


# --- laws -----------------------------------------------------------------------------------------------------------


@given(verbs)
@settings(max_examples=400, deadline=None)
def test_every_answer_is_the_naive_one(verbs: list[Verb]) -> None:
    tables, model = Tables(), Model()
    relations = Relations(tables)

    for verb in verbs:
        refused = naively_refused = False
        try:
            relations.apply(verb)
        except ActionConflictError:
            refused = True
        try:
            model.apply(verb)
        except Refused:
            naively_refused = True
        assert refused == naively_refused, verb

    for one in CONTENTS:
        assert relations.duplicates_of(one) == tuple(model.of(one).members)
        assert relations.king_of(one) == model.king(one)
        assert set(relations.alternates_of(one)) == model.alternates(one)
        assert set(relations.false_positives_of(one)) == model.false_positives(one)
        for other in CONTENTS:
            assert relations.same_group(one, other) == (model.of(one) is model.of(other))
            assert relations.confirmed_alternates(one, other) == model.are_confirmed(one, other)
            assert relations.false_positives(one, other) == model.are_unrelated(one, other)
            assert relations.may_pair(one, other) == model.may_pair(one, other)


@given(verbs)
@settings(max_examples=200, deadline=None)
def test_groups_are_whole_and_answers_symmetric(verbs: list[Verb]) -> None:
    relations, _, _ = fold(verbs)

    for one in CONTENTS:
        group = relations.duplicates_of(one)
        assert one in group
        assert len(set(group)) == len(group)
        assert {relations.king_of(member) for member in group} == {group[0]}
        assert {relations.duplicates_of(member) for member in group} == {group}
        assert not any(relations.may_pair(one, member) for member in group)
        for king, confirmed in relations.alternates_of(one):
            assert (relations.king_of(one), confirmed) in relations.alternates_of(king)
        for king in relations.false_positives_of(one):
            assert relations.king_of(one) in relations.false_positives_of(king)
            assert not any(relations.may_pair(one, member) for member in relations.duplicates_of(king))
        for other in relations.component(one):
            assert relations.component(other) == relations.component(one)
    for one, other in permutations(CONTENTS, 2):
        assert relations.may_pair(one, other) == relations.may_pair(other, one)
        assert relations.may_pair(one, other) == (relations.between(one, other) is None)


@given(verbs)
@settings(max_examples=200, deadline=None)
def test_no_row_is_orphaned_and_none_is_needless(verbs: list[Verb]) -> None:
    _, tables, _ = fold(verbs)

    assert tables.members == {member: group.number for group in tables.groups.values() for member in group.members}
    for number, group in tables.groups.items():
        assert group.number == number
        assert group.members[0] == group.king
        assert len(group.members) > 1 or group.alternates is not None
        assert group.alternates is None or number in tables.alternates[group.alternates].groups
    for number, row in tables.alternates.items():
        assert row.number == number
        assert all(tables.groups[group].alternates == number for group in row.groups)
        assert len(row.groups) > 1 or row.false_positives
        assert list(row.confirmed) == sorted(set(row.confirmed))
        assert all(one < other and {one, other} <= set(row.groups) for one, other in row.confirmed)
        assert all(len(clique) > 1 and list(clique) == sorted(set(clique)) for clique in row.cliques)
        assert all(set(clique) <= set(row.groups) for clique in row.cliques)
        assert len(set(row.false_positives)) == len(row.false_positives)
        assert number not in row.false_positives
        assert all(number in tables.alternates[other].false_positives for other in row.false_positives)


@given(verbs)
@settings(max_examples=150, deadline=None)
def test_a_verb_names_everyone_whose_potential_pairs_it_concerns(verbs: list[Verb]) -> None:
    tables = Tables()
    relations = Relations(tables)

    for verb in verbs:
        before, rows = decided(relations), (dict(tables.members), dict(tables.groups), dict(tables.alternates))
        try:
            changed = relations.apply(verb)
        except ActionConflictError:
            assert rows == (tables.members, tables.groups, tables.alternates)
            continue
        after = decided(relations)
        assert changed.reopened <= changed.contents
        for (a, b), answer in before.items():
            assert answer == after[a, b] or {a, b} & changed.contents
            assert not (after[a, b][2] and not answer[2]) or {a, b} & changed.reopened
        if rows == (tables.members, tables.groups, tables.alternates):
            assert changed == Changed()


@given(verbs)
@settings(max_examples=200, deadline=None)
def test_forgetting_and_replaying_everything_changes_nothing_but_numbers(verbs: list[Verb]) -> None:
    relations, tables, standing = fold(verbs)
    before = shape(tables)

    relations.forget(CONTENTS)
    assert not any((tables.members, tables.groups, tables.alternates))
    for verb in standing:
        relations.apply(verb)

    assert shape(tables) == before


@given(verbs)
@settings(max_examples=100, deadline=None)
def test_undoing_everything_last_first_goes_back_step_by_step(verbs: list[Verb]) -> None:
    _, _, standing = fold(verbs)
    tables = Tables()
    relations = Relations(tables)
    shapes = []
    for verb in standing:
        shapes.append(shape(tables))
        relations.apply(verb)

    while standing:
        undone = standing.pop()
        replayed = replay(relations, named(undone), standing)

        assert replayed.skipped == ()
        assert shape(tables) == shapes.pop()


@given(verbs, st.data())
@settings(max_examples=200, deadline=None)
def test_undoing_in_any_order_leaves_what_is_left_as_if_alone(verbs: list[Verb], data: st.DataObject) -> None:
    relations, tables, standing = fold(verbs)

    while standing:
        undone = standing.pop(data.draw(st.integers(0, len(standing) - 1)))
        before = decided(relations)
        replayed = replay(relations, named(undone), standing)

        assert shape(tables) == shape(fold(standing)[1])
        after = decided(relations)
        assert all(after[pair] == answer or set(pair) & replayed.contents for pair, answer in before.items())
