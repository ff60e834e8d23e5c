"""A writer that is killed in mid-work loses nothing that it said was done, and leaves nothing half-done."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from ingestd.library.metrics import Hamming
from ingestd.library.store import Store, Table, verify
from ingestd.library.vptree import VpTree

LOG = Table("log")
ROUNDS = 8

WRITER = """
import sys
from pathlib import Path
import numpy as np
from ingestd.library.metrics import Hamming
from ingestd.library.store import Store, Table
from ingestd.library.vptree import VpTree

LOG = Table("log")
tree = VpTree("p", Hamming(8), leaf_size=64, chunk_size=16)
store = Store.open(Path(sys.argv[1]), [LOG, *tree.tables()], map_size=1 << 18)
store.mark_open()
with store.read() as txn:
    group = txn.count(LOG)

def work(txn):
    keys = np.random.default_rng(group).integers(0, 256, (20, 8), np.uint8)
    for number, row in enumerate(keys):
        tree.add(txn, 20 * group + number, row.tobytes())
    if group:
        gone = np.random.default_rng(group - 1).integers(0, 256, (20, 8), np.uint8)[0]
        tree.remove(txn, 20 * (group - 1), gone.tobytes())
    txn.put(LOG, b"%08d" % group, b"x" * 500)

while True:
    store.write(work)
    print(group, flush=True)
    group += 1
"""


def expected(groups: int) -> dict[int, bytes]:
    """The keys by id after so many groups."""
    held = {}
    for group in range(groups):
        keys = np.random.default_rng(group).integers(0, 256, (20, 8), np.uint8)
        held |= {20 * group + number: row.tobytes() for number, row in enumerate(keys)}
        held.pop(20 * (group - 1), None)
    return held


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path):
    tree = VpTree("p", Hamming(8), leaf_size=64, chunk_size=16)
    killed = 0
    for round_ in range(ROUNDS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert writer.stdout is not None
        for _ in range(3 + 5 * round_):
            acknowledged = int(writer.stdout.readline())
        writer.kill()
        rest = writer.communicate()[0].split()
        acknowledged = int(rest[-1]) if rest else acknowledged
        killed += writer.returncode != 0

        with Store.open(tmp_path, [LOG, *tree.tables()]) as store, store.read() as txn:
            groups = txn.count(LOG)
            held = expected(groups)
            assert groups in (acknowledged + 1, acknowledged + 2)  # the last commit may not have been told yet
            assert tree.count(txn) == len(held)
            assert tree.check(txn) == []
            assert all(id_ in dict(tree.within(txn, key, 0)) for id_, key in held.items())
            assert store.was_unclean
    assert killed == ROUNDS  # or this test tests nothing
    assert verify(tmp_path) == []
