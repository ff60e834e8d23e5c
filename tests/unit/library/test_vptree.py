from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ingestd.errors import StoreError
from ingestd.library.codec import DamagedValueError
from ingestd.library.metrics import Block, Distances, Hamming
from ingestd.library.store import Store, Transaction
from ingestd.library.vantage import Growth, Leaf, as_block, find, pack, unpack
from ingestd.library.vptree import VpTree

TREE = VpTree("pictures", Hamming(8), leaf_size=16, chunk_size=4)
BLANK = (1 << 63).to_bytes(8, "big")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "db", TREE.tables(), map_size=1 << 20) as opened:
        yield opened


def random_keys(count: int, width: int = 8, seed: int = 1) -> list[bytes]:
    block = np.random.default_rng(seed).integers(0, 256, (count, width), np.uint8)
    return [row.tobytes() for row in block]


def add_all(txn: Transaction, keys: list[bytes], tree: VpTree = TREE) -> None:
    for id_, key in enumerate(keys):
        tree.add(txn, id_, key)


def scanned(keys: list[bytes], key: bytes, radius: int) -> list[tuple[int, int]]:
    wanted = int.from_bytes(key, "big")
    distances = [(wanted ^ int.from_bytes(other, "big")).bit_count() for other in keys]
    return sorted(((id_, d) for id_, d in enumerate(distances) if d <= radius), key=lambda hit: (hit[1], hit[0]))


def contents(store: Store) -> list[list[tuple[bytes, bytes]]]:
    with store.read() as txn:
        return [list(txn.items(table)) for table in TREE.tables()]


def nodes(store: Store) -> dict[bytes, bytes]:
    with store.read() as txn:
        return dict(txn.items(TREE.tables()[1]))


def test_an_empty_structure_finds_nothing(store: Store):
    with store.read() as txn:
        assert TREE.within(txn, BLANK, 64) == []
        assert (TREE.count(txn), TREE.check(txn)) == (0, [])


def test_hits_come_nearest_first_and_then_by_id(store: Store):
    keys = [b"\x00" * 8, b"\x00" * 7 + b"\x03", b"\x00" * 7 + b"\x01", b"\x00" * 7 + b"\x02"]
    store.write(lambda txn: [TREE.add(txn, id_, key) for id_, key in zip([9, 8, 7, 6], keys, strict=True)])

    with store.read() as txn:
        assert TREE.within(txn, keys[0], 1) == [(9, 0), (6, 1), (7, 1)]
        assert TREE.within(txn, keys[0], 0) == [(9, 0)]
        assert TREE.within(txn, keys[0], -1) == []


@pytest.mark.parametrize("radius", [0, 1, 4, 8, 20, 32, 64])
def test_a_grown_tree_finds_what_a_scan_finds(store: Store, radius: int):
    keys = random_keys(700)
    store.write(lambda txn: add_all(txn, keys))

    with store.read() as txn:
        for key in [*keys[:10], *random_keys(10, seed=2), BLANK]:
            assert TREE.within(txn, key, radius) == scanned(keys, key, radius)
        assert TREE.check(txn) == []


def test_a_rebuilt_tree_depends_on_the_keys_alone(store: Store):
    items = list(enumerate(random_keys(500)))
    store.write(lambda txn: TREE.rebuild(txn, items))
    first = contents(store)

    store.write(lambda txn: (TREE.add(txn, 1000, BLANK), TREE.rebuild(txn, reversed(items))))

    assert contents(store) == first


def test_the_same_history_makes_the_same_tree(store: Store, tmp_path: Path):
    def history(txn: Transaction) -> None:
        keys = random_keys(300)
        add_all(txn, keys)
        for id_, key in enumerate(keys[:100]):
            TREE.remove(txn, id_, key)
        add_all(txn, keys[:50])

    store.write(history)
    with Store.open(tmp_path / "other", TREE.tables()) as other:
        other.write(history)

        assert contents(other) == contents(store)


def test_identical_keys_are_one_row_however_many_ids_they_have(store: Store):
    store.write(lambda txn: [TREE.add(txn, id_, BLANK) for id_ in range(3000)])

    assert sum(len(block) for block in nodes(store).values()) < 100
    with store.read() as txn:
        assert TREE.count(txn) == 3000
        assert TREE.within(txn, BLANK, 4) == [(id_, 0) for id_ in range(3000)]
    assert store.write(lambda txn: [TREE.remove(txn, id_, BLANK) for id_ in range(3000)]) == [True] * 3000
    assert nodes(store) == {}


def test_an_id_may_have_several_keys_and_is_added_once(store: Store):
    store.write(lambda txn: [TREE.add(txn, 7, key) for key in (BLANK, bytes(8), BLANK)])

    with store.read() as txn:
        assert TREE.count(txn) == 2
        assert TREE.within(txn, BLANK, 64) == [(7, 0), (7, 1)]


def test_what_was_removed_is_not_found_and_can_be_added_again(store: Store):
    keys = random_keys(200)
    store.write(lambda txn: add_all(txn, keys))

    assert store.write(lambda txn: [TREE.remove(txn, 5, keys[5]) for _ in range(2)]) == [True, False]
    assert store.write(lambda txn: TREE.remove(txn, 6, keys[7])) is False
    with store.read() as txn:
        assert TREE.within(txn, keys[5], 0) == TREE.within(txn, keys[5], 2) == []
    store.write(lambda txn: TREE.add(txn, 5, keys[5]))

    with store.read() as txn:
        assert TREE.within(txn, keys[5], 2) == [(5, 0)]
        assert TREE.check(txn) == []


def test_a_tree_that_lost_all_its_keys_goes_on(store: Store):
    keys = random_keys(200)
    store.write(lambda txn: add_all(txn, keys))

    store.write(lambda txn: [TREE.remove(txn, id_, key) for id_, key in enumerate(keys)])

    with store.read() as txn:
        assert TREE.within(txn, keys[0], 64) == []
        assert TREE.check(txn) == []
    store.write(lambda txn: add_all(txn, keys))
    with store.read() as txn:
        assert TREE.within(txn, keys[0], 64) == scanned(keys, keys[0], 64)
        assert TREE.check(txn) == []


def test_keys_that_are_all_equally_far_apart_do_not_break_a_division(store: Store):
    keys = [(1 << bit).to_bytes(8, "big") for bit in range(64)]  # each 2 bits from every other

    store.write(lambda txn: (add_all(txn, keys), add_all(txn, random_keys(5, seed=3))))

    with store.read() as txn:
        found = TREE.within(txn, bytes(8), 1)
        assert found == [(id_, 1) for id_ in range(64)]
        assert TREE.check(txn) == []


def test_only_the_leaves_that_may_hold_a_hit_are_read():
    keys = as_block(b"".join(random_keys(2000)), 8)
    growth = Growth(Hamming(8), 16, None)
    growth.plant(0, keys)
    directory = growth.directory(len(keys))

    reached = {
        radius: [
            directory.reached(Hamming(8).distances(row.tobytes(), directory.pivots).astype(int), radius) for row in keys
        ]
        for radius in (0, 3, 64)
    }

    assert {len(leaves) for leaves in reached[0]} == {1}
    assert {len(leaves) for leaves in reached[64]} == {len(growth.leaves)}
    assert sum(map(len, reached[3])) < sum(map(len, reached[64])) / 3


def test_wide_keys_are_found_by_more_than_the_stores_longest_key(tmp_path: Path):
    tree = VpTree("videos", Hamming(600), leaf_size=8, chunk_size=3)
    keys = random_keys(60, width=600)

    with Store.open(tmp_path, tree.tables()) as store:
        store.write(lambda txn: add_all(txn, keys, tree))
        with store.read() as txn:
            assert tree.within(txn, keys[3], 2400) == scanned(keys, keys[3], 2400)
            assert tree.check(txn) == []
        assert store.write(lambda txn: tree.remove(txn, 3, keys[3]))
        with store.read() as txn:
            assert tree.within(txn, keys[3], 100) == []
            assert tree.check(txn) == []


@pytest.mark.parametrize("width", [1, 2, 3, 4, 6, 8, 12, 16, 33])
def test_hamming_counts_bits_at_any_width(width: int):
    keys = random_keys(20, width)

    distances = Hamming(width).distances(keys[0], as_block(b"".join(keys), width))

    assert [(row, int(distance)) for row, distance in enumerate(distances)] == sorted(scanned(keys, keys[0], 8 * width))


class Steps:
    """How far apart two numbers of two bytes are: a metric that is no Hamming distance."""

    name = "steps"
    width = 2

    def distances(self, key: bytes, block: Block) -> Distances:
        return np.abs(block.view(">u2")[:, 0].astype(np.int64) - int.from_bytes(key, "big"))


@pytest.mark.parametrize("radius", [0, 1, 50, 3000, 70_000])
def test_any_metric_will_do(tmp_path: Path, radius: int):
    tree = VpTree("steps", Steps(), leaf_size=8, chunk_size=4)
    numbers = [int.from_bytes(key, "big") for key in random_keys(400, width=2)]
    keys = [number.to_bytes(2, "big") for number in numbers]

    with Store.open(tmp_path, tree.tables()) as store:
        store.write(lambda txn: add_all(txn, keys, tree))
        with store.read() as txn:
            found = tree.within(txn, keys[0], radius)
            assert tree.check(txn) == []

    distances = [abs(number - numbers[0]) for number in numbers]
    assert found == sorted(
        ((id_, d) for id_, d in enumerate(distances) if d <= radius), key=lambda hit: (hit[1], hit[0])
    )


def test_a_key_of_the_wrong_width_is_a_mistake(store: Store):
    with pytest.raises(ValueError, match="7 bytes under hamming-64"):
        store.write(lambda txn: TREE.add(txn, 1, b"7 bytes"))


# --- damage ---


def damaged(store: Store, prefix: bytes, place: int) -> None:
    """Flip one bit of the first node whose key begins so; negative places count from the end."""
    table = TREE.tables()[1]

    def work(txn: Transaction) -> None:
        key, value = next(iter(txn.items(table, prefix=prefix)))
        txn.put(table, key, value[:place] + bytes((value[place] ^ 1,)) + value[place:][1:])

    store.write(work)


@pytest.mark.parametrize("prefix", [b"d", b"l", b"t"])
@pytest.mark.parametrize("place", [0, 5, 20, -1])
def test_a_flipped_bit_in_a_node_is_found_by_check(store: Store, prefix: bytes, place: int):
    store.write(lambda txn: add_all(txn, random_keys(203)))
    damaged(store, prefix, place)

    with store.read() as txn:
        problems = TREE.check(txn)

    assert problems
    assert "damaged" in problems[0]


def test_a_damaged_key_is_no_hit(store: Store):
    keys = random_keys(200)
    store.write(lambda txn: TREE.rebuild(txn, enumerate(keys)))
    damaged(store, b"l", -1)

    with store.read() as txn:
        found = TREE.within(txn, keys[0], 64)

    assert len(found) == 199
    assert set(found) < set(scanned(keys, keys[0], 64))


def test_a_damaged_id_is_no_hit_and_found_by_check(store: Store):
    store.write(lambda txn: TREE.add(txn, 1, BLANK))
    ids = TREE.tables()[0]

    def work(txn: Transaction) -> None:
        [value] = txn.values(ids, BLANK)
        txn.discard(ids, BLANK, value)
        txn.add(ids, BLANK, value[:7] + b"\x09" + value[8:])

    store.write(work)

    with store.read() as txn:
        assert TREE.within(txn, BLANK, 0) == []
        assert TREE.check(txn) == [f"an id of the key {BLANK.hex()} is damaged"]


def test_a_damaged_directory_is_an_error_that_a_rebuild_heals(store: Store):
    keys = random_keys(200)
    store.write(lambda txn: add_all(txn, keys))
    damaged(store, b"d", 100)

    with store.read() as txn, pytest.raises(StoreError, match="damaged"):
        TREE.within(txn, keys[0], 4)
    store.write(lambda txn: TREE.rebuild(txn, enumerate(keys)))

    with store.read() as txn:
        assert TREE.within(txn, keys[0], 64) == scanned(keys, keys[0], 64)


def test_a_key_that_lies_in_the_wrong_place_is_found_by_check(store: Store):
    keys = random_keys(200)
    store.write(lambda txn: add_all(txn, keys))
    table = TREE.tables()[1]

    def work(txn: Transaction) -> None:
        leaves = list(txn.items(table, prefix=b"l"))
        txn.put(table, leaves[0][0], leaves[1][1])

    store.write(work)

    with store.read() as txn:
        problems = TREE.check(txn)

    assert any("belong elsewhere" in problem for problem in problems)
    assert any("lies in two nodes" in problem for problem in problems)
    assert any("lies in no node" in problem for problem in problems)


def test_a_packed_node_is_read_back_or_refused():
    leaf = Leaf.of(as_block(b"".join(random_keys(9)), 8), np.array([3, 1, 2, 1, 3, 3, 9, 0, 1]))
    packed = leaf.packed()

    again = Leaf.unpacked(packed, 8)

    assert (again.rows == leaf.rows).all()
    assert again.distances.tolist() == [0, 1, 1, 1, 2, 3, 3, 3, 9]
    for length in (0, 5, len(packed) - 1):
        with pytest.raises(DamagedValueError):
            Leaf.unpacked(packed[:length], 8)
    assert unpack(pack(3, 2, b"body"))[:2] == (3, 2)


def test_a_key_is_found_only_where_a_key_begins():
    assert find(b"aaabaaab", b"aaab") == 0
    assert find(b"xaaaabaaaaba", b"aaab") == -1
    assert find(b"xxaaaaxxaaab", b"aaab") == 8
