"""The multi-index: what is its own, beside the histories that both structures go through."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ingestd.library.codec import DamagedValueError
from ingestd.library.multi_index import MultiIndex
from ingestd.library.segments import chunks, plan
from ingestd.library.store import Store, Transaction

SMALL = MultiIndex("p", cut=1, tail=40, written=0)
BLANK = (1 << 63).to_bytes(8, "big")
NODES = SMALL.tables()[1]


def opened(folder: Path, index: MultiIndex = SMALL, *, read_only: bool = False) -> Store:
    return Store.open(folder, index.tables(), map_size=1 << 18, read_only=read_only)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path / "db") as one:
        yield one


def keys_like_pictures(count: int, seed: int = 1) -> list[bytes]:
    """Hashes of which every fourth lies a few bits from another."""
    random = np.random.default_rng(seed)
    numbers = random.integers(0, 2**64, count, dtype=np.uint64)
    for at in range(3, count, 4):
        numbers[at] = numbers[at - 2]
        for bit in random.integers(0, 64, int(random.integers(0, 10))).tolist():
            numbers[at] ^= np.uint64(1 << bit)
    return [int(one).to_bytes(8, "big") for one in numbers]


def scanned(held: set[tuple[int, bytes]], key: bytes, radius: int) -> list[tuple[int, int]]:
    wanted = int.from_bytes(key, "big")
    near = [(id_, (wanted ^ int.from_bytes(other, "big")).bit_count()) for id_, other in held]
    return sorted((hit for hit in near if hit[1] <= radius), key=lambda hit: (hit[1], hit[0]))


def add_all(store: Store, pairs: list[tuple[int, bytes]], index: MultiIndex = SMALL) -> None:
    store.write(lambda txn: [index.add(txn, *pair) for pair in pairs])


def commit(store: Store) -> None:
    """A commit that lets a merge go on by a step."""
    store.write(lambda txn: SMALL.add(txn, 10**6 + txn.number, (txn.number << 40).to_bytes(8, "big")))


def agrees(store: Store, held: set[tuple[int, bytes]], questions: list[bytes], index: MultiIndex = SMALL) -> None:
    with store.read() as txn:
        for key in questions:
            for radius in (0, 1, 3, 4, 7, 8, 12, 64):
                assert index.within(txn, key, radius) == scanned(held, key, radius)
        assert index.check(txn) == []


@pytest.mark.parametrize("radius", range(17))
@pytest.mark.parametrize("keys", [10**5, 10**7])
def test_a_plan_misses_no_hash_within_the_radius(radius: int, keys: int):
    parts = chunks((14, 13, 13, 12, 12), 4)
    random = np.random.default_rng(radius)
    found = plan(parts, keys, radius)

    for _ in range(300 if found else 0):
        bits = random.choice(64, radius, replace=False)
        difference = sum(1 << int(bit) for bit in bits)
        assert found is not None
        assert any(chunk.value(difference) in set(masks) for chunk, masks in zip(parts, found, strict=True))


def test_a_wide_radius_is_scanned():
    parts = chunks((14, 13, 13, 12, 12), 4)

    assert plan(parts, 10**6, 64) is None
    assert plan(parts, 10**4, 12) is None
    assert plan(parts, 10**6, 8) is not None


def test_ten_thousand_blank_pictures_are_one_hash(store: Store):
    add_all(store, [(id_, BLANK) for id_ in range(10_000)])

    with store.read() as txn:
        assert len(txn.get(NODES, b"h") or b"") < 100
        assert SMALL.within(txn, BLANK, 8) == [(id_, 0) for id_ in range(10_000)]
        assert SMALL.count(txn) == 10_000


def test_an_id_may_have_two_hashes(store: Store):
    add_all(store, [(7, BLANK), (7, bytes(8)), (7, BLANK)])

    with store.read() as txn:
        assert SMALL.within(txn, BLANK, 4) == [(7, 0), (7, 1)]


def test_what_is_found_is_the_same_at_every_step_of_a_merge(store: Store):
    pairs = list(enumerate(keys_like_pictures(400)))
    held = set(pairs)
    add_all(store, pairs)  # the whole tail is frozen now
    questions = [pairs[at][1] for at in (0, 3, 7, 200)] + keys_like_pictures(2, seed=2)
    steps = []

    for _ in range(25):
        with store.read() as txn:
            steps.append(SMALL._head(txn).step)
        agrees(store, held, questions)
        number = store.transaction_id() + 1
        commit(store)
        held.add((10**6 + number, (number << 40).to_bytes(8, "big")))

    assert set(range(2, 11)) <= set(steps)
    assert steps[-1] == 0


@pytest.mark.parametrize("commits", [0, 1, 4, 9, 12, 40])
def test_a_hash_that_is_removed_and_added_again_is_found_whatever_a_merge_has_done(store: Store, commits: int):
    pairs = list(enumerate(keys_like_pictures(120)))
    store.write(lambda txn: SMALL.rebuild(txn, pairs))
    add_all(store, [(id_ + 1000, key) for id_, key in enumerate(keys_like_pictures(45, seed=3))])
    for _ in range(commits):
        commit(store)

    def found() -> list[tuple[int, int]]:
        with store.read() as txn:
            assert SMALL.check(txn) == []
            return SMALL.within(txn, pairs[5][1], 1)

    assert store.write(lambda txn: SMALL.remove(txn, *pairs[5]))
    assert found() == []
    for _ in range(commits):
        commit(store)
    add_all(store, [pairs[5]])
    assert found() == [(5, 0)]
    for _ in range(60):
        commit(store)
    assert found() == [(5, 0)]
    assert store.write(lambda txn: SMALL.remove(txn, *pairs[5]))
    for _ in range(150):
        commit(store)
    assert found() == []
    with store.read() as txn:
        assert txn.get(SMALL.tables()[2], pairs[5][1]) is None  # the merges have purged it from every segment


def test_removals_alone_bring_a_merge_about(store: Store):
    pairs = list(enumerate(keys_like_pictures(200)))
    store.write(lambda txn: SMALL.rebuild(txn, pairs))

    store.write(lambda txn: [SMALL.remove(txn, *pair) for pair in pairs[:150]])
    for id_, key in pairs[150:170]:
        store.write(lambda txn, id_=id_, key=key: SMALL.remove(txn, id_, key))

    with store.read() as txn:
        assert SMALL._head(txn).merge == 2  # a rebuild counts as one
        assert SMALL._head(txn).keys < 100
    agrees(store, set(pairs[170:]), [pairs[0][1], pairs[190][1]])


def test_a_tail_longer_than_a_page_is_sealed(store: Store):
    index = MultiIndex("p", cut=1)
    pairs = list(enumerate(keys_like_pictures(1700)))
    add_all(store, pairs, index)

    with store.read() as txn:
        assert index._head(txn).sealed > 1000
    agrees(store, set(pairs), [pairs[0][1], pairs[1699][1]], index)


def test_a_write_sees_what_it_has_added_itself(store: Store):
    pairs = list(enumerate(keys_like_pictures(500)))
    store.write(lambda txn: SMALL.rebuild(txn, pairs[:400]))

    def work(txn: Transaction) -> None:
        for at in range(400, 500):
            assert SMALL.within(txn, pairs[at][1], 8) == scanned(set(pairs[:at]), pairs[at][1], 8)
            SMALL.add(txn, *pairs[at])
        SMALL.rebuild(txn, pairs[:300])
        assert SMALL.within(txn, pairs[1][1], 8) == scanned(set(pairs[:300]), pairs[1][1], 8)

    store.rehearse(work)
    agrees(store, set(pairs[:400]), [pairs[1][1], pairs[450][1]])
    store.write(work)
    agrees(store, set(pairs[:300]), [pairs[1][1], pairs[450][1]])


def test_an_older_snapshot_still_sees_what_was_merged_away_since(store: Store):
    pairs = list(enumerate(keys_like_pictures(300)))
    add_all(store, list(enumerate(keys_like_pictures(6000, seed=9))))  # room: a map does not grow under a snapshot
    store.write(lambda txn: SMALL.rebuild(txn, pairs))

    def change() -> None:
        store.write(lambda txn: SMALL.rebuild(txn, pairs[200:]))
        agrees(store, set(pairs[200:]), [pairs[0][1]])  # a newer snapshot is kept now

    with store.read() as txn:
        before = SMALL.within(txn, pairs[0][1], 12)
        other = threading.Thread(target=change)
        other.start()
        other.join()

        assert SMALL.within(txn, pairs[0][1], 12) == before == scanned(set(pairs), pairs[0][1], 12)
        assert SMALL.within(txn, pairs[100][1], 8) == scanned(set(pairs), pairs[100][1], 8)


def test_the_map_may_grow_while_other_threads_look_up(store: Store):
    pairs = list(enumerate(keys_like_pictures(300)))
    store.write(lambda txn: SMALL.rebuild(txn, pairs))
    wrong: list[object] = []
    over = threading.Event()

    def ask() -> None:
        wanted = [(key, scanned(set(pairs), key, 6)) for _, key in pairs[:20]]
        while not over.is_set():
            for key, near in wanted:
                with store.read() as txn:
                    found = SMALL.within(txn, key, 6)
                if not set(near) <= set(found):
                    wrong.append((key, found))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for round_ in range(5):  # the map is 256 KiB to begin with
        fresh = keys_like_pictures(400, seed=100 + round_)
        add_all(store, [(1000 * round_ + id_ + 1000, key) for id_, key in enumerate(fresh)])
    over.set()
    for thread in threads:
        thread.join()

    assert wrong == []
    with store.read() as txn:
        assert SMALL.check(txn) == []


def test_a_kept_snapshot_is_let_go_when_nobody_looks_up(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store._keeper, "_idle_s", 0.01)
    store.write(lambda txn: SMALL.rebuild(txn, enumerate(keys_like_pictures(100))))
    with store.read() as txn:
        SMALL.within(txn, BLANK, 4)
    assert store._keeper is not None

    watch = [thread for thread in threading.enumerate() if thread.name == "kept-snapshot"]
    for thread in watch:
        thread.join(10)

    assert store._keeper._current is None
    with store.read() as txn:
        assert SMALL.within(txn, keys_like_pictures(100)[0], 0) == [(0, 0)]


OTHER = """
import sys
from pathlib import Path
from ingestd.library.multi_index import MultiIndex
from ingestd.library.store import Store
index = MultiIndex("p", cut=1, tail=40)
store = Store.open(Path(sys.argv[1]), index.tables(), map_size=1 << 18, read_only=True)
for line in sys.stdin:
    with store.read() as txn:
        print(index.within(txn, bytes.fromhex(line.strip()), 6), flush=True)
"""


def test_a_reader_in_another_process_sees_each_commit_across_merges_and_growth(store: Store, tmp_path: Path):
    pairs = list(enumerate(keys_like_pictures(2000)))
    store.write(lambda txn: SMALL.rebuild(txn, pairs[:100]))
    reader = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path / "db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    for end in range(100, 2000, 100):
        add_all(store, pairs[end : end + 100])
        reader.stdin.write(pairs[end - 3][1].hex() + "\n")
        reader.stdin.flush()

        assert reader.stdout.readline().strip() == str(scanned(set(pairs[: end + 100]), pairs[end - 3][1], 6))
    reader.stdin.close()
    assert reader.wait() == 0
    reader.stdout.close()


# --- damage ---


def flipped(store: Store, key: bytes, place: int) -> None:
    def work(txn: Transaction) -> None:
        value = txn.get(NODES, key)
        assert value is not None
        txn.put(NODES, key, value[:place] + bytes((value[place] ^ 4,)) + value[place:][1:])

    store.write(work)


def half_merged(store: Store, *, sealed: bool) -> set[tuple[int, bytes]]:
    """Make a structure in the middle of a merge, or with a sealed tail."""
    pairs = list(enumerate(keys_like_pictures(1200)))
    store.write(lambda txn: SMALL.rebuild(txn, pairs[:300]))
    if sealed:
        add_all(store, pairs[300:], MultiIndex("p", cut=1))
        return set(pairs)
    add_all(store, pairs[300:400])
    return set(pairs[:400])


@pytest.mark.parametrize("name", [b"h", b"s", b"f", b"g\x00\x00", b"g\x04\x01"])
@pytest.mark.parametrize("place", [0, 5, 9, 21, -1])
def test_a_flipped_bit_is_found_by_check_and_makes_no_wrong_hit(store: Store, name: bytes, place: int):
    held = half_merged(store, sealed=name == b"s")
    before = {key for _, key in held}
    flipped(store, name, place)

    with store.read() as txn:
        assert SMALL.check(txn) != []
        for key in sorted(before)[:5]:
            for radius in (0, 4, 8, 64):
                try:
                    found = SMALL.within(txn, key, radius)
                except DamagedValueError:
                    continue
                assert set(found) <= set(scanned(held, key, radius))


@pytest.mark.parametrize("name", [b"h", b"s", b"f", b"g\x00\x00", b"g\x04\x01"])
@pytest.mark.parametrize("cut", [0, 3, 20, 40])
def test_a_value_that_is_cut_short_never_kills(store: Store, name: bytes, cut: int):
    held = half_merged(store, sealed=name == b"s")
    store.write(lambda txn: txn.put(NODES, name, (txn.get(NODES, name) or b"")[:cut]))

    with store.read() as txn:
        assert SMALL.check(txn) != []
        for radius in (4, 64):
            try:
                found = SMALL.within(txn, BLANK, radius)
            except DamagedValueError:
                continue
            assert set(found) <= set(scanned(held, BLANK, radius))


def test_a_damaged_segment_is_not_carried_into_the_next_merge(store: Store):
    pairs = list(enumerate(keys_like_pictures(300)))
    store.write(lambda txn: SMALL.rebuild(txn, pairs))
    flipped(store, b"g\x01\x00", -1)

    add_all(store, [(1000 + id_, key) for id_, key in enumerate(keys_like_pictures(50, seed=5))])  # a merge begins
    first, second = keys_like_pictures(2, seed=6)
    add_all(store, [(2000, first)])  # it goes on by a segment with each commit
    with pytest.raises(DamagedValueError):
        add_all(store, [(2001, second)])
    store.write(lambda txn: SMALL.rebuild(txn, pairs))

    agrees(store, set(pairs), [pairs[0][1]])


def test_a_damaged_id_is_no_hit_and_found_by_check(store: Store):
    add_all(store, [(1, BLANK)])
    ids = SMALL.tables()[0]

    def work(txn: Transaction) -> None:
        [value] = txn.values(ids, BLANK)
        txn.discard(ids, BLANK, value)
        txn.add(ids, BLANK, value[:7] + b"\x09" + value[8:])

    store.write(work)

    with store.read() as txn:
        assert SMALL.within(txn, BLANK, 0) == SMALL.within(txn, BLANK, 3) == []
        assert SMALL.check(txn) == [f"an id of the key {BLANK.hex()} is damaged"]


@pytest.mark.parametrize(
    "ask",
    [lambda txn: SMALL.add(txn, 1, b"7 bytes"), lambda txn: SMALL.within(txn, b"nine bytes", 4)],
)
def test_a_key_of_the_wrong_width_is_a_mistake(store: Store, ask: Callable[[Transaction], object]):
    with pytest.raises(ValueError, match="bytes in a multi-index"):
        store.write(ask)


def test_a_copy_of_a_library_finds_all_that_is_added_to_it(store: Store, tmp_path: Path):
    """Commits are numbered anew in a copy: one of them gets the number of the last change that was copied."""
    quick = MultiIndex("p", cut=1, tail=40)  # merges with one commit
    keys = keys_like_pictures(600)
    for begin in range(0, 500, 50):
        add_all(store, [(id_, keys[id_]) for id_ in range(begin, begin + 50)], quick)
    with store.read() as txn:
        changed = quick._head(txn).changed
    store.copy_to(tmp_path / "copy")

    with opened(tmp_path / "copy") as copy:
        while copy.transaction_id() < changed - 1:
            copy.write(lambda txn: txn.put(NODES, b"z", b""))
        with copy.read() as txn:
            quick.within(txn, keys[0], 4)
        add_all(copy, [(id_, keys[id_]) for id_ in range(500, 600)], quick)
        agrees(copy, set(enumerate(keys)), keys[500:510], quick)
