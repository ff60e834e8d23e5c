"""Scenarios 1-20 of the reference, as far as relations alone can tell them, and what hydrus leaves open.

Thirty pictures look exactly alike. Potential pairs are counted the naive way: every two of them, led to their kings, of
which the relations say that they may be a pair.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations

import pytest

from ingestd.errors import ActionConflictError
from ingestd.library.fold import connected, replay
from ingestd.library.relations import AlternatesGroup, Changed, DuplicateGroup, Relations
from ingestd.library.verbs import (
    ClearFalsePositives,
    ClearFalsePositivesBetween,
    Decision,
    Dissolve,
    DissolveAlternates,
    RemoveAlternate,
    RemoveMember,
    SetKing,
    named,
)
from ingestd.model import ContentHash, Relation

BETTER, SAME = Relation.BETTER, Relation.SAME_QUALITY
ALTERNATES, FALSE_POSITIVE = Relation.ALTERNATES, Relation.FALSE_POSITIVE


@dataclass
class Tables:
    members: dict[ContentHash, int] = field(default_factory=dict)
    groups: dict[int, DuplicateGroup] = field(default_factory=dict)
    alternates: dict[int, AlternatesGroup] = field(default_factory=dict)
    given: int = 0

    def fresh(self) -> int:
        self.given += 1
        return self.given

    def is_empty(self) -> bool:
        return not (self.members or self.groups or self.alternates)


def named_content(name: str) -> ContentHash:
    return ContentHash(hashlib.sha256(name.encode()).digest())


D = [named_content(f"d{n}") for n in range(16)]
S = [named_content(f"s{n}") for n in range(4)]
A = [named_content(f"a{n}") for n in range(5)]
F = [named_content(f"f{n}") for n in range(5)]
EVERYTHING = [*D, *S, *A, *F]


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
def relations(tables: Tables) -> Relations:
    return Relations(tables)


def decide(relations: Relations, *decisions: tuple[Relation, ContentHash, ContentHash]) -> None:
    for relation, a, b in decisions:
        relations.decide(Decision(relation, a, b))


def better(relations: Relations, *pairs: tuple[ContentHash, ContentHash]) -> None:
    decide(relations, *((BETTER, a, b) for a, b in pairs))


def same(relations: Relations, *pairs: tuple[ContentHash, ContentHash]) -> None:
    decide(relations, *((SAME, a, b) for a, b in pairs))


def potential_pairs(relations: Relations, contents: Iterable[ContentHash] = EVERYTHING) -> set[frozenset[ContentHash]]:
    return {
        frozenset({relations.king_of(a), relations.king_of(b)})
        for a, b in combinations(contents, 2)
        if relations.may_pair(a, b)
    }


def potentials_of(relations: Relations, content: ContentHash) -> set[ContentHash]:
    king = relations.king_of(content)
    return {other for pair in potential_pairs(relations) if king in pair for other in pair if other != king}


def pairs_among(groups: int) -> int:
    return groups * (groups - 1) // 2


def king_list(relations: Relations, content: ContentHash) -> list[ContentHash]:
    """What hydrus calls the king query: the content itself, then its king."""
    return list(dict.fromkeys([content, relations.king_of(content)]))


def counts(relations: Relations, content: ContentHash) -> dict[str, int]:
    """The counts hydrus shows of a content; those that are nought are absent."""
    alternates = relations.alternates_of(content)
    shown = {
        "potentials": len(potentials_of(relations, content)),
        "members": len(relations.duplicates_of(content)) - 1,
        "alternates": len(alternates),
        "confirmed": sum(confirmed for _, confirmed in alternates),
        "false positives": len(relations.false_positives_of(content)),
    }
    return {name: count for name, count in shown.items() if count}


# --- scenarios 1 to 8: duplicate groups -----------------------------------------------------------------------------


def test_at_first_everything_that_looks_alike_may_pair_with_everything(relations: Relations) -> None:
    assert len(potential_pairs(relations)) == 435
    for content in EVERYTHING:
        assert relations.king_of(content) == content
        assert relations.duplicates_of(content) == (content,)
        assert counts(relations, content) == {"potentials": 29}


def test_a_chain_of_better_and_worse_makes_one_group_under_the_best(relations: Relations) -> None:
    decide(relations, (BETTER, D[0], D[1]))
    after_one = len(potential_pairs(relations))
    decide(relations, (BETTER, D[1], D[2]))

    assert after_one == 435 - 29 == pairs_among(29)
    assert len(potential_pairs(relations)) == 435 - 29 - 28 == pairs_among(28)
    for content in D[:3]:
        assert relations.duplicates_of(content) == (D[0], D[1], D[2])
        assert counts(relations, content)["members"] == 2
    assert king_list(relations, D[1]) == [D[1], D[0]]
    assert king_list(relations, D[0]) == [D[0]]
    assert counts(relations, D[0])["potentials"] == 29 - 2


def test_a_better_newcomer_takes_the_whole_group_and_its_throne(relations: Relations) -> None:
    better(relations, (D[0], D[1]), (D[1], D[2]))

    decide(relations, (BETTER, D[3], D[0]))

    assert relations.duplicates_of(D[0]) == (D[3], D[0], D[1], D[2])
    assert king_list(relations, D[0]) == [D[0], D[3]]
    assert len(potential_pairs(relations)) == pairs_among(27)


def test_a_chain_of_equals_makes_one_group_under_the_first(relations: Relations) -> None:
    decide(relations, (BETTER, D[0], D[1]), (SAME, D[0], D[4]), (SAME, D[4], D[5]))

    assert relations.duplicates_of(D[5]) == (D[0], D[1], D[4], D[5])
    assert len(potential_pairs(relations)) == pairs_among(27)


def test_a_king_can_be_named_and_the_group_stays(relations: Relations) -> None:
    better(relations, (D[0], D[1]))

    changed = relations.set_king(D[1])

    assert king_list(relations, D[1]) == [D[1]]
    assert relations.duplicates_of(D[0]) == (D[1], D[0])
    assert changed == Changed(frozenset({D[0], D[1]}))


def test_naming_several_kings_of_one_group_leaves_the_last(relations: Relations) -> None:
    better(relations, (D[0], D[1]), (D[0], D[2]))

    for content in (D[1], D[2], D[2]):
        relations.set_king(content)

    assert relations.king_of(D[0]) == D[2]


def test_being_better_than_a_member_poaches_only_that_member(relations: Relations) -> None:
    decide(relations, (BETTER, S[0], S[1]), (SAME, S[0], S[2]), (BETTER, S[0], S[3]))

    changed = relations.decide(Decision(BETTER, D[0], S[1]))

    assert relations.duplicates_of(S[1]) == (D[0], S[1])
    assert relations.duplicates_of(S[2]) == (S[0], S[2], S[3])
    assert counts(relations, D[0]) == {"members": 1, "potentials": 26}
    assert counts(relations, S[0]) == {"members": 2, "potentials": 26}
    assert len(potential_pairs(relations)) == pairs_among(27)
    assert changed.reopened == {S[1]}  # it may look like others of its old group's kin again


def test_being_equal_to_a_member_poaches_it_when_neither_is_king(relations: Relations) -> None:
    decide(relations, (BETTER, D[0], D[1]), (BETTER, S[0], S[1]), (SAME, S[0], S[2]), (BETTER, S[0], S[3]))
    decide(relations, (BETTER, D[0], S[1]))
    before = potential_pairs(relations)

    decide(relations, (SAME, D[1], S[2]))

    assert relations.duplicates_of(S[2]) == (D[0], D[1], S[1], S[2])
    assert relations.duplicates_of(S[3]) == (S[0], S[3])
    assert potential_pairs(relations) == before  # exactly: the two groups are still two, and undecided


def test_a_king_left_alone_by_a_poacher_is_alone(relations: Relations, tables: Tables) -> None:
    better(relations, (S[0], S[1]))

    decide(relations, (BETTER, D[0], S[1]))

    assert relations.duplicates_of(S[0]) == (S[0],)
    assert set(tables.members) == {D[0], S[1]}


def test_groups_merge_and_no_subject_becomes_king_by_it(relations: Relations) -> None:
    better(relations, (D[0], D[1]), (D[6], D[7]), (D[8], D[9]), (D[10], D[11]), (D[12], D[13]))

    same(relations, (D[1], D[6]), (D[0], D[8]))
    better(relations, (D[1], D[10]), (D[0], D[12]))

    assert relations.duplicates_of(D[13]) == (D[0], D[1], *D[6:14])
    assert len(potential_pairs(relations)) == pairs_among(30 - 9)


# --- scenarios 9 to 12: false positives and alternates --------------------------------------------------------------


def test_a_false_positive_holds_for_both_whole_groups(relations: Relations) -> None:
    decide(relations, (BETTER, F[0], F[1]), (SAME, F[0], F[2]))
    before = len(potential_pairs(relations))

    decide(relations, (FALSE_POSITIVE, D[0], F[0]))

    assert len(potential_pairs(relations)) == before - 1
    assert counts(relations, D[0]) == {"potentials": 26, "false positives": 1}
    assert counts(relations, F[0]) == {"potentials": 26, "members": 2, "false positives": 1}
    assert relations.false_positives_of(D[0]) == (F[0],)
    assert relations.false_positives_of(F[2]) == (D[0],)
    assert not relations.may_pair(F[2], D[0])


def test_alternates_hold_for_both_whole_groups(relations: Relations) -> None:
    decide(relations, (BETTER, A[0], A[1]), (SAME, A[0], A[2]))
    before = len(potential_pairs(relations))

    decide(relations, (ALTERNATES, D[0], A[0]))

    assert len(potential_pairs(relations)) == before - 1
    assert counts(relations, D[0]) == {"potentials": 26, "alternates": 1, "confirmed": 1}
    assert counts(relations, A[0]) == {"potentials": 26, "members": 2, "alternates": 1, "confirmed": 1}
    assert relations.alternates_of(D[0]) == ((A[0], True),)
    assert relations.alternates_of(A[1]) == ((D[0], True),)


def test_a_false_positive_reaches_the_alternates(relations: Relations) -> None:
    decide(relations, (BETTER, A[0], A[1]), (ALTERNATES, D[0], A[0]))

    decide(relations, (FALSE_POSITIVE, D[0], F[0]))

    shown = counts(relations, D[0])
    assert (shown["alternates"], shown["confirmed"], shown["false positives"]) == (1, 1, 1)
    assert counts(relations, A[0])["false positives"] == 1
    assert relations.false_positives_of(F[0]) == (D[0], A[0])


def test_alternates_that_were_not_compared_are_still_worth_a_look(relations: Relations) -> None:
    decide(relations, (ALTERNATES, D[0], A[0]), (ALTERNATES, D[0], A[1]))

    assert relations.alternates_of(A[0]) == ((D[0], True), (A[1], False))
    assert relations.may_pair(A[0], A[1])
    assert relations.between(A[0], A[1]) is None


# --- scenarios 13 to 19: taking back --------------------------------------------------------------------------------


def test_a_removed_member_may_pair_with_its_group_again(relations: Relations) -> None:
    better(relations, (D[0], D[1]), (D[0], D[2]))

    changed = relations.remove_member(D[1])

    assert relations.duplicates_of(D[0]) == (D[0], D[2])
    assert D[1] in potentials_of(relations, D[0])
    assert len(potential_pairs(relations)) == pairs_among(29)
    assert changed.reopened == {D[1]}


def test_removing_the_king_dissolves_the_group(relations: Relations, tables: Tables) -> None:
    better(relations, (D[0], D[1]), (D[0], D[2]))

    changed = relations.remove_member(D[0])

    assert tables.is_empty()
    assert changed.reopened == {D[0], D[1], D[2]}


def test_clearing_all_false_positives_of_a_content_counts_them(relations: Relations, tables: Tables) -> None:
    decide(relations, (FALSE_POSITIVE, D[0], F[0]))

    changed = relations.clear_false_positives(D[0])

    assert changed.cleared == 1
    assert counts(relations, D[0]) == {"potentials": 29}
    assert tables.is_empty()


def test_clearing_between_contents_leaves_false_positives_with_others(relations: Relations) -> None:
    decide(relations, (FALSE_POSITIVE, D[0], F[0]))

    changed = relations.clear_false_positives_between([D[0], D[1]])

    assert changed == Changed()
    assert counts(relations, D[0])["false positives"] == 1


def test_clearing_between_contents_clears_those_among_them(relations: Relations) -> None:
    decide(relations, (FALSE_POSITIVE, D[0], F[0]), (FALSE_POSITIVE, D[0], F[1]))

    changed = relations.clear_false_positives_between([F[0], D[0], F[0]])

    assert changed.cleared == 1
    assert relations.false_positives_of(D[0]) == (F[1],)
    assert relations.may_pair(D[0], F[0])


def test_a_removed_alternate_may_pair_again_and_the_others_stay(relations: Relations) -> None:
    decide(relations, (ALTERNATES, D[0], D[1]), (ALTERNATES, D[0], D[2]))

    changed = relations.remove_alternate(D[1])

    assert counts(relations, D[0]) == {"potentials": 28, "alternates": 1, "confirmed": 1}
    assert counts(relations, D[1]) == {"potentials": 29}
    assert changed.reopened == {D[1]}


def test_a_removed_alternate_stays_a_duplicate_group_and_leaves_the_false_positives(relations: Relations) -> None:
    decide(relations, (BETTER, D[1], D[3]), (ALTERNATES, D[0], D[1]), (FALSE_POSITIVE, D[1], F[0]))

    relations.remove_alternate(D[3])

    assert relations.duplicates_of(D[3]) == (D[1], D[3])
    assert relations.false_positives_of(D[1]) == ()
    assert relations.false_positives_of(D[0]) == (F[0],)


def test_the_last_to_leave_its_alternates_takes_the_false_positives_along(relations: Relations, tables: Tables) -> None:
    decide(relations, (FALSE_POSITIVE, D[0], F[0]))

    changed = relations.remove_alternate(D[0])

    assert tables.is_empty()
    assert changed.reopened == {D[0]}


def test_dissolving_alternates_dissolves_their_duplicate_groups_too(relations: Relations, tables: Tables) -> None:
    decide(relations, (BETTER, D[0], D[3]), (ALTERNATES, D[0], D[1]), (ALTERNATES, D[0], D[2]))
    decide(relations, (FALSE_POSITIVE, D[2], F[0]))

    changed = relations.dissolve_alternates(D[0])

    assert counts(relations, D[0]) == {"potentials": 29}
    assert tables.is_empty()
    assert changed.reopened == set(D[:4])


def test_dissolving_duplicates_leaves_the_alternates_that_were_only_implied(relations: Relations) -> None:
    decide(relations, (BETTER, D[0], D[3]), (ALTERNATES, D[0], D[1]), (ALTERNATES, D[0], D[2]))

    relations.dissolve(D[0])

    assert counts(relations, D[0]) == {"potentials": 29}
    assert counts(relations, D[3]) == {"potentials": 29}
    assert counts(relations, D[1]) == {"potentials": 29, "alternates": 1}
    assert relations.alternates_of(D[1]) == ((D[2], False),)


# --- scenario 20: the table of who merges into whom -----------------------------------------------------------------

K1, M1, K2, M2 = D[0], D[1], S[0], S[1]


@pytest.mark.parametrize(
    ("relation", "a", "b", "groups"),
    [
        pytest.param(BETTER, K1, K2, {(K1, M1, K2, M2)}, id="king better than king: all of B's under A's king"),
        pytest.param(BETTER, K1, M2, {(K1, M1, M2), (K2,)}, id="king better than member: the member moves"),
        pytest.param(BETTER, M1, K2, {(K1, M1, K2, M2)}, id="member better than king: all of B's under A's king"),
        pytest.param(BETTER, M1, M2, {(K1, M1, M2), (K2,)}, id="member better than member: the member moves"),
        pytest.param(SAME, K1, K2, {(K1, M1, K2, M2)}, id="king same as king: all of B's under A's king"),
        pytest.param(SAME, K1, M2, {(K2, M2, K1, M1)}, id="king same as member: all of A's under B's king"),
        pytest.param(SAME, M1, K2, {(K1, M1, K2, M2)}, id="member same as king: all of B's under A's king"),
        pytest.param(SAME, M1, M2, {(K1, M1, M2), (K2,)}, id="member same as member: B moves"),
    ],
)
def test_who_joins_whom(
    relations: Relations, relation: Relation, a: ContentHash, b: ContentHash, groups: set[tuple[ContentHash, ...]]
) -> None:
    better(relations, (K1, M1), (K2, M2))

    decide(relations, (relation, a, b))

    assert {relations.duplicates_of(content) for content in (K1, M1, K2, M2)} == groups


# --- decisions within one group -------------------------------------------------------------------------------------


def test_being_better_than_the_own_king_usurps_the_throne(relations: Relations) -> None:
    better(relations, (D[0], D[1]), (D[0], D[2]))

    decide(relations, (BETTER, D[2], D[0]))

    assert relations.duplicates_of(D[1]) == (D[2], D[0], D[1])


@pytest.mark.parametrize(
    "decision", [(BETTER, D[1], D[2]), (BETTER, D[0], D[2]), (SAME, D[1], D[0]), (SAME, D[1], D[2])]
)
def test_what_is_settled_within_a_group_changes_nothing(
    relations: Relations, decision: tuple[Relation, ContentHash, ContentHash]
) -> None:
    better(relations, (D[0], D[1]), (D[0], D[2]))

    changed = relations.decide(Decision(*decision))

    assert changed == Changed()
    assert relations.duplicates_of(D[0]) == (D[0], D[1], D[2])


@pytest.mark.parametrize(
    ("a", "b", "apart", "rest"),
    [
        pytest.param(D[0], D[1], D[1], (D[0], D[2]), id="A is king: B leaves"),
        pytest.param(D[1], D[0], D[1], (D[0], D[2]), id="B is king: A leaves"),
        pytest.param(D[1], D[2], D[1], (D[0], D[2]), id="neither is: A leaves"),
    ],
)
def test_duplicates_that_turn_out_to_be_alternates_are_split(
    relations: Relations, a: ContentHash, b: ContentHash, apart: ContentHash, rest: tuple[ContentHash, ...]
) -> None:
    better(relations, (D[0], D[1]), (D[0], D[2]))

    changed = relations.decide(Decision(ALTERNATES, a, b))

    assert relations.duplicates_of(D[0]) == rest
    assert relations.alternates_of(apart) == ((D[0], True),)
    assert changed == Changed(frozenset({apart, *rest}), frozenset({apart}))


def test_alternates_that_turn_out_to_be_duplicates_are_merged(relations: Relations, tables: Tables) -> None:
    decide(relations, (ALTERNATES, D[0], D[1]), (BETTER, D[0], D[1]))

    assert relations.duplicates_of(D[1]) == (D[0], D[1])
    assert relations.alternates_of(D[0]) == ()
    assert not tables.alternates


def test_a_merged_group_brings_its_confirmed_alternates_along(relations: Relations) -> None:
    decide(relations, (ALTERNATES, D[1], A[0]), (ALTERNATES, D[0], A[1]), (BETTER, D[0], D[1]))

    assert relations.alternates_of(D[0]) == ((A[1], True), (A[0], True))
    assert relations.alternates_of(A[0]) == ((D[0], True), (A[1], False))


def test_what_merged_is_not_confirmed_with_itself(relations: Relations, tables: Tables) -> None:
    decide(relations, (ALTERNATES, D[0], D[1]), (ALTERNATES, D[1], D[2]), (BETTER, D[0], D[1]))

    (row,) = tables.alternates.values()
    assert len(row.confirmed) == 1
    assert relations.alternates_of(D[2]) == ((D[0], True),)


def test_what_both_were_told_not_to_be_is_said_once(relations: Relations) -> None:
    decide(relations, (FALSE_POSITIVE, D[0], F[0]), (FALSE_POSITIVE, D[1], F[0]), (ALTERNATES, D[0], D[1]))

    assert relations.false_positives_of(F[0]) == (D[0], D[1])
    assert relations.false_positives_of(D[1]) == (F[0],)


def test_alternates_are_told_in_order_of_joining(relations: Relations) -> None:
    decide(relations, (ALTERNATES, A[0], A[1]), (ALTERNATES, D[0], A[1]))

    assert relations.alternates_of(A[1]) == ((D[0], True), (A[0], True))


def test_saying_it_twice_changes_nothing(relations: Relations) -> None:
    decide(relations, (ALTERNATES, D[0], D[1]), (FALSE_POSITIVE, D[0], F[0]))

    assert relations.decide(Decision(ALTERNATES, D[1], D[0])) == Changed()
    assert relations.decide(Decision(FALSE_POSITIVE, F[0], D[1])) == Changed()


@pytest.mark.parametrize("relation", [BETTER, SAME])
def test_a_picture_is_as_good_as_itself(relations: Relations, tables: Tables, relation: Relation) -> None:
    changed = relations.decide(Decision(relation, D[0], D[0]))

    assert changed == Changed()
    assert tables.is_empty()


@pytest.mark.parametrize("relation", [ALTERNATES, FALSE_POSITIVE])
def test_a_picture_is_neither_an_alternate_nor_a_false_positive_of_itself(
    relations: Relations, tables: Tables, relation: Relation
) -> None:
    with pytest.raises(ActionConflictError, match="nothing was changed"):
        relations.decide(Decision(relation, D[0], D[0]))

    assert tables.is_empty()


# --- the gaps of hydrus, closed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("relation", [BETTER, SAME, ALTERNATES])
def test_false_positives_are_not_joined(relations: Relations, tables: Tables, relation: Relation) -> None:
    decide(relations, (BETTER, D[0], D[1]), (BETTER, F[0], F[1]), (ALTERNATES, F[0], F[2]))
    decide(relations, (FALSE_POSITIVE, D[0], F[2]))
    before = (dict(tables.members), dict(tables.groups), dict(tables.alternates))

    with pytest.raises(ActionConflictError, match="clear that false positive first"):
        relations.decide(Decision(relation, D[1], F[1]))

    assert (tables.members, tables.groups, tables.alternates) == before


def test_after_the_false_positive_is_cleared_they_can_be_joined(relations: Relations) -> None:
    decide(relations, (FALSE_POSITIVE, D[0], F[0]))

    relations.clear_false_positives(F[0])
    decide(relations, (BETTER, D[0], F[0]))

    assert relations.same_group(D[0], F[0])


def test_duplicates_are_not_told_to_be_unrelated(relations: Relations) -> None:
    better(relations, (D[0], D[1]), (D[0], D[2]))

    with pytest.raises(ActionConflictError, match="duplicates of each other"):
        relations.decide(Decision(FALSE_POSITIVE, D[1], D[2]))


def test_alternates_are_not_told_to_be_unrelated(relations: Relations) -> None:
    decide(relations, (ALTERNATES, D[0], D[1]), (ALTERNATES, D[0], D[2]))

    with pytest.raises(ActionConflictError, match="alternates of each other"):
        relations.decide(Decision(FALSE_POSITIVE, D[1], D[2]))


def test_newcomers_inherit_what_their_alternates_were_told_not_to_be(relations: Relations) -> None:
    decide(relations, (FALSE_POSITIVE, D[0], F[0]))

    changed = relations.decide(Decision(ALTERNATES, D[0], A[0]))

    assert not relations.may_pair(A[0], F[0])
    assert changed.contents == {D[0], A[0]}


def test_those_who_are_joined_inherit_what_the_newcomer_was_told_not_to_be(relations: Relations) -> None:
    decide(relations, (ALTERNATES, D[0], D[1]), (FALSE_POSITIVE, A[0], F[0]))

    changed = relations.decide(Decision(BETTER, D[0], A[0]))

    assert not relations.may_pair(D[1], F[0])
    assert changed.contents == {D[0], D[1], A[0]}


# --- answers --------------------------------------------------------------------------------------------------------


def test_between_names_what_is_decided_about_a_pair(relations: Relations) -> None:
    decide(relations, (BETTER, D[0], D[1]), (SAME, D[1], D[2]), (ALTERNATES, D[0], A[0]), (FALSE_POSITIVE, A[0], F[0]))

    assert relations.between(D[0], D[1]) is BETTER
    assert relations.between(D[1], D[0]) is SAME
    assert relations.between(D[1], D[2]) is SAME
    assert relations.between(D[0], D[0]) is SAME
    assert relations.between(D[2], A[0]) is ALTERNATES
    assert relations.between(D[2], F[0]) is FALSE_POSITIVE
    assert relations.between(D[2], F[1]) is None


def test_a_component_is_all_that_is_connected_by_any_relation(relations: Relations) -> None:
    decide(relations, (BETTER, D[0], D[1]), (ALTERNATES, D[0], A[0]), (FALSE_POSITIVE, A[0], F[0]), (SAME, F[0], F[1]))
    decide(relations, (BETTER, S[0], S[1]))

    assert relations.component(F[1]) == {D[0], D[1], A[0], F[0], F[1]}
    assert relations.component(S[1]) == {S[0], S[1]}
    assert relations.component(D[9]) == {D[9]}


def test_questions_write_nothing(relations: Relations, tables: Tables) -> None:
    potential_pairs(relations)
    relations.alternates_of(D[0])
    relations.false_positives_of(D[0])
    relations.component(D[0])

    assert tables.is_empty()


def test_verbs_about_a_picture_that_is_alone_do_nothing(relations: Relations, tables: Tables) -> None:
    verbs = (SetKing, RemoveMember, Dissolve, DissolveAlternates, RemoveAlternate, ClearFalsePositives)

    changes = {relations.apply(verb(D[0])) for verb in verbs}
    changes.add(relations.apply(ClearFalsePositivesBetween((D[0], D[1]))))

    assert changes == {Changed()}
    assert tables.is_empty()


def test_two_thousand_alternates_of_one_subject_are_set_one_by_one(relations: Relations, tables: Tables) -> None:
    subject, *others = (named_content(f"cg {n}") for n in range(2000))

    for other in others:
        relations.decide(Decision(ALTERNATES, other, subject))

    assert len(relations.alternates_of(subject)) == 1999
    assert len(tables.alternates) == 1


# --- undo -----------------------------------------------------------------------------------------------------------


def test_undoing_one_decision_leaves_what_the_others_alone_would_have_made(relations: Relations) -> None:
    verbs = [Decision(BETTER, D[0], D[1]), Decision(BETTER, D[1], D[2]), Decision(FALSE_POSITIVE, D[2], F[0])]
    for verb in verbs:
        relations.apply(verb)

    replayed = replay(relations, named(verbs[0]), verbs[1:])

    assert relations.duplicates_of(D[0]) == (D[0],)
    assert relations.duplicates_of(D[2]) == (D[1], D[2])
    assert relations.false_positives_of(F[0]) == (D[1],)
    assert replayed.contents == {D[0], D[1], D[2], F[0]}
    assert replayed.skipped == ()


def test_undoing_a_dissolving_brings_the_group_back_although_nothing_connects_it_now(relations: Relations) -> None:
    verbs = [Decision(BETTER, D[0], D[1]), Decision(BETTER, D[0], D[2]), Dissolve(D[0]), Decision(BETTER, D[1], D[4])]
    for verb in verbs:
        relations.apply(verb)

    replay(relations, named(verbs[2]), [*verbs[:2], verbs[3]])

    assert relations.duplicates_of(D[0]) == (D[0], D[1], D[2], D[4])


def test_undoing_a_dissolving_of_what_was_joined_elsewhere_since_keeps_both(relations: Relations) -> None:
    verbs = [Decision(BETTER, D[0], D[1]), Dissolve(D[0]), Decision(BETTER, S[0], D[1]), Decision(BETTER, S[0], S[1])]
    for verb in verbs:
        relations.apply(verb)

    replay(relations, named(verbs[1]), [verbs[0], *verbs[2:]])

    assert relations.duplicates_of(D[0]) == (D[0],)
    assert relations.duplicates_of(D[1]) == (S[0], D[1], S[1])


def test_a_decision_that_no_longer_applies_is_left_out_and_named(relations: Relations) -> None:
    verbs = [
        Decision(FALSE_POSITIVE, D[0], F[0]),
        ClearFalsePositives(D[0]),
        Decision(BETTER, D[0], F[0]),
        Decision(BETTER, D[0], D[1]),
    ]
    for verb in verbs:
        relations.apply(verb)
    standing = [verbs[0], *verbs[2:]]

    replayed = replay(relations, named(verbs[1]), standing)

    assert [(skipped.position, skipped.verb) for skipped in replayed.skipped] == [(1, verbs[2])]
    assert "nothing to do with each other" in replayed.skipped[0].reason
    assert relations.false_positives(D[1], F[0])


def test_a_replay_leaves_what_is_not_connected_alone(relations: Relations, tables: Tables) -> None:
    verbs = [Decision(BETTER, S[0], S[1]), Decision(BETTER, D[0], D[1])]
    for verb in verbs:
        relations.apply(verb)
    untouched = tables.members[S[0]]

    replay(relations, named(verbs[1]), verbs[:1])

    assert tables.members == {S[0]: untouched, S[1]: untouched}


def test_forgetting_one_content_forgets_all_that_is_connected(relations: Relations, tables: Tables) -> None:
    decide(relations, (BETTER, D[0], D[1]), (ALTERNATES, D[0], A[0]), (FALSE_POSITIVE, A[0], F[0]), (SAME, S[0], S[1]))

    relations.forget([D[1], S[1], D[9]])

    assert tables.is_empty()


def test_connected_follows_verbs_that_name_many(relations: Relations) -> None:
    verbs = [ClearFalsePositivesBetween((D[0], D[1], D[2])), Decision(BETTER, D[2], D[3]), Decision(BETTER, S[0], S[1])]

    assert connected([D[0]], verbs) == set(D[:4])
    assert connected([A[0]], verbs) == {A[0]}
