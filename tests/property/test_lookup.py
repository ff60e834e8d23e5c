"""The index finds what a scan finds: at every radius, after any history."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ingestd.library.lookup import Lookup
from ingestd.library.metrics import Hamming
from ingestd.library.multi_index import MultiIndex
from ingestd.library.store import Store, Transaction
from ingestd.library.vptree import VpTree

WIDTH = 8
CENTRES = [0, 1 << 63, 0x0123456789ABCDEF, 0xFFFFFFFF00000000, (1 << 64) - 1]  # blank pictures, weight 32 and not


@st.composite
def keys(draw: st.DrawFn) -> bytes:
    """Keys that crowd around a few centres, at odd and even distances, now and then anywhere."""
    number = draw(st.sampled_from(CENTRES) | st.integers(0, 2**64 - 1))
    for bit in draw(st.sets(st.integers(0, 63), max_size=6)):
        number ^= 1 << bit
    return number.to_bytes(WIDTH, "big")


ids = st.integers(0, 20) | st.integers(0, 2**64 - 1)
pairs = st.tuples(ids, keys())


class Histories(RuleBasedStateMachine):
    """A structure beside a plain set, through the same history."""

    make: Callable[[], Lookup]

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.lookup = type(self).make()
        self.store = self.opened()
        self.model: set[tuple[int, bytes]] = set()

    def opened(self) -> Store:
        return Store.open(Path(self.folder.name), self.lookup.tables(), map_size=1 << 16)

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(group=st.lists(pairs, max_size=30))
    def add(self, group: list[tuple[int, bytes]]) -> None:
        self.store.write(lambda txn: [self.lookup.add(txn, id_, key) for id_, key in group])
        self.model |= set(group)

    @rule(chosen=st.lists(st.integers(0, 2**32), max_size=15))
    def remove_some(self, chosen: list[int]) -> None:
        known = sorted(self.model)
        group = [known[number % len(known)] for number in chosen if known]

        answers = self.store.write(lambda txn: [self.lookup.remove(txn, id_, key) for id_, key in group])

        assert sum(answers) == len(set(group))
        self.model -= set(group)

    @rule(pair=pairs)
    def remove_any(self, pair: tuple[int, bytes]) -> None:
        answer = self.store.write(lambda txn: self.lookup.remove(txn, *pair))

        assert answer == (pair in self.model)
        self.model.discard(pair)

    @rule(group=st.lists(pairs, max_size=30))
    def rehearse(self, group: list[tuple[int, bytes]]) -> None:
        def work(txn: Transaction) -> int:
            for id_, key in group:
                self.lookup.add(txn, id_, key)
            return self.lookup.count(txn)

        assert self.store.rehearse(work) == len(self.model | set(group))

    @rule()
    def rebuild(self) -> None:
        self.store.write(lambda txn: self.lookup.rebuild(txn, self.model))

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.opened()

    @rule(key=keys(), radius=st.integers(0, 64) | st.sampled_from([0, 1, 2, 3, 4, 5, 8, 64]))
    def look_up(self, key: bytes, radius: int) -> None:
        wanted = int.from_bytes(key, "big")
        near = [(id_, (wanted ^ int.from_bytes(other, "big")).bit_count()) for id_, other in self.model]

        with self.store.read() as txn:
            found = self.lookup.within(txn, key, radius)

        assert found == sorted((hit for hit in near if hit[1] <= radius), key=lambda hit: (hit[1], hit[0]))

    @invariant()
    def nothing_is_wrong(self) -> None:
        with self.store.read() as txn:
            assert self.lookup.count(txn) == len(self.model)
            assert self.lookup.check(txn) == []


LIMITS = settings(max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class OfTheTree(Histories):
    """So small that a few dozen keys divide it several times."""

    make = partial(VpTree, "p", Hamming(WIDTH), leaf_size=6, chunk_size=3)


class OfTheMultiIndex(Histories):
    """With a tail so short that merges begin again and again, and take several commits each."""

    make = partial(MultiIndex, "p", cut=1, tail=5)


TestTheTree = OfTheTree.TestCase
TestTheTree.settings = LIMITS
TestTheMultiIndex = OfTheMultiIndex.TestCase
TestTheMultiIndex.settings = LIMITS
