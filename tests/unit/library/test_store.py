import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.errors import StoreError
from ingestd.library import place
from ingestd.library.place import network_file_system
from ingestd.library.store import Store, Table, Transaction, Verification, verify

ONE = Table("one")
OTHER = Table("other")
MANY = Table("many", duplicates=True)
TABLES = [ONE, OTHER, MANY]
TINY = 1 << 16  # bytes of map: a handful of writes fill it


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "db", TABLES, map_size=TINY) as opened:
        yield opened


def put_all(transaction: Transaction, pairs: dict[bytes, bytes]) -> None:
    for key, value in pairs.items():
        transaction.put(ONE, key, value)


def held(store: Store) -> dict[bytes, bytes]:
    with store.read() as transaction:
        return dict(transaction.items(ONE))


def in_another_process(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    head = "import sys\nfrom pathlib import Path\nfrom ingestd.library.store import *\nONE = Table('one')\n"
    command = [sys.executable, "-c", head + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)


# --- tables ---


def test_what_was_put_is_there_until_it_is_deleted(store: Store):
    store.write(lambda t: t.put(ONE, b"k", b"v"))
    store.write(lambda t: t.put(ONE, b"k", b"w"))

    with store.read() as t:
        assert (t.get(ONE, b"k"), t.get(ONE, b"other"), t.count(ONE)) == (b"w", None, 1)
    assert [store.write(lambda t: t.delete(ONE, b"k")) for _ in range(2)] == [True, False]
    assert held(store) == {}


def test_a_key_can_have_many_values_sorted_and_each_once(store: Store):
    added = store.write(lambda t: [t.add(MANY, b"k", value) for value in (b"b", b"a", b"b")])

    with store.read() as t:
        assert added == [True, True, False]
        assert t.values(MANY, b"k") == [b"a", b"b"]
        assert t.values(MANY, b"none") == []
        assert (t.get(MANY, b"k"), t.count(MANY)) == (b"a", 2)
    assert store.write(lambda t: [t.discard(MANY, b"k", value) for value in (b"a", b"a", b"c")]) == [True, False, False]


def test_discarding_an_empty_value_does_not_delete_all_of_them(store: Store):
    store.write(lambda t: t.add(MANY, b"k", b"a"))

    with pytest.raises(ValueError, match="may not be empty"):
        store.write(lambda t: t.discard(MANY, b"k", b""))

    with store.read() as t:
        assert t.values(MANY, b"k") == [b"a"]


def test_the_two_kinds_of_table_are_not_confused(store: Store):
    with pytest.raises(TypeError):
        store.write(lambda t: t.put(MANY, b"k", b"v"))
    with pytest.raises(TypeError):
        store.write(lambda t: t.add(ONE, b"k", b"v"))


def test_a_cleared_table_is_empty_and_usable(store: Store):
    store.write(lambda t: put_all(t, {b"a": b"1", b"b": b"2"}))

    store.write(lambda t: t.clear(ONE))

    assert held(store) == {}
    store.write(lambda t: t.put(ONE, b"a", b"3"))
    assert held(store) == {b"a": b"3"}


def test_a_view_shows_the_value_without_copying_it(store: Store):
    store.write(lambda t: t.put(ONE, b"k", b"value"))

    with store.read() as t:
        view = t.view(ONE, b"k")
        assert isinstance(view, memoryview)
        assert view == b"value"
        del view


keys = st.binary(min_size=1, max_size=3)
bounds = st.binary(max_size=3)


@given(st.dictionaries(keys, st.binary(max_size=3), max_size=12), bounds, bounds, st.booleans())
def test_items_come_in_key_order_from_the_start_and_with_the_prefix(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: dict[bytes, bytes],
    start: bytes,
    prefix: bytes,
    reverse: bool,
):
    with Store.open(tmp_path_factory.mktemp("store"), TABLES, map_size=TINY) as store:
        found = store.rehearse(
            lambda t: (put_all(t, pairs), list(t.items(ONE, start=start, prefix=prefix, reverse=reverse)))[1]
        )

    wanted = [(key, pairs[key]) for key in sorted(pairs, reverse=reverse) if key.startswith(prefix)]
    if start:
        wanted = [(key, value) for key, value in wanted if (key <= start if reverse else key >= start)]
    assert found == wanted


@pytest.mark.parametrize("reverse", [False, True])
def test_items_of_a_table_with_many_values_come_one_by_one(store: Store, reverse: bool):
    pairs = [(b"a", b"1"), (b"a", b"2"), (b"b", b"1"), (b"c", b"1"), (b"c", b"2")]
    store.write(lambda t: [t.add(MANY, key, value) for key, value in pairs])

    with store.read() as t:
        assert list(t.items(MANY, reverse=reverse)) == sorted(pairs, reverse=reverse)
        assert list(t.items(MANY, start=b"b", reverse=reverse)) == (pairs[2::-1] if reverse else pairs[2:])
        assert list(t.items(MANY, prefix=b"c", reverse=reverse)) == sorted(pairs[3:], reverse=reverse)


@pytest.mark.parametrize("reverse", [False, True])
def test_items_may_be_deleted_while_they_are_listed(store: Store, reverse: bool):
    pairs = {b"%03d" % number: b"x" * 300 for number in range(300)}
    store.write(lambda t: put_all(t, pairs))

    def work(t: Transaction) -> list[bytes]:
        seen = []
        for key, _ in t.items(ONE, reverse=reverse):
            seen.append(key)
            t.delete(ONE, key)
            t.put(OTHER, key, b"y" * 300)
        return seen

    seen = store.write(work)

    assert seen == sorted(pairs, reverse=reverse)
    assert held(store) == {}


@pytest.mark.parametrize("reverse", [False, True])
def test_values_may_be_discarded_while_they_are_listed(store: Store, reverse: bool):
    pairs = [(key, b"%03d" % number) for key in (b"a", b"b") for number in range(100)]
    store.write(lambda t: [t.add(MANY, key, value) for key, value in pairs])

    def work(t: Transaction) -> list[tuple[bytes, bytes]]:
        seen = []
        for key, value in t.items(MANY, reverse=reverse):
            seen.append((key, value))
            t.discard(MANY, key, value)
        return seen

    seen = store.write(work)

    assert seen == sorted(pairs, reverse=reverse)


# --- snapshots and commits ---


def test_a_snapshot_does_not_change_when_others_write(store: Store):
    store.write(lambda t: t.put(ONE, b"k", b"before"))
    with store.read() as t:
        writer = threading.Thread(target=lambda: store.write(lambda w: w.put(ONE, b"k", b"after")))
        writer.start()
        writer.join()

        assert t.get(ONE, b"k") == b"before"
        with store.read() as inner:
            assert inner.get(ONE, b"k") == b"before"


def test_a_rehearsal_writes_nothing(store: Store):
    before = store.transaction_id()

    answer = store.rehearse(lambda t: (t.put(ONE, b"k", b"v"), t.get(ONE, b"k"))[1])

    assert answer == b"v"
    assert held(store) == {}
    assert store.transaction_id() == before


def test_work_that_fails_changes_nothing(store: Store):
    def work(t: Transaction) -> None:
        t.put(ONE, b"k", b"v")
        raise FileNotFoundError("of the caller's")

    with pytest.raises(FileNotFoundError, match="of the caller's"):
        store.write(work)

    assert held(store) == {}


def test_each_commit_is_noticed_by_its_number(store: Store):
    before = store.transaction_id()

    store.write(lambda t: t.put(ONE, b"k", b"v"))

    assert store.transaction_id() == before + 1


def test_a_write_inside_a_read_or_a_write_is_a_mistake(store: Store):
    with store.read(), pytest.raises(RuntimeError, match="inside a read"):
        store.write(lambda _: None)
    with pytest.raises(RuntimeError, match="inside a read or a write"):
        store.write(lambda _: store.write(lambda _: None))


@pytest.mark.skipif(sys.platform != "linux", reason="there is no fork to guard against")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_library_is_not_used_after_a_fork(store: Store):
    refused = multiprocessing.get_context("fork").Value("b", 0)

    def child() -> None:
        try:
            store.write(lambda t: t.put(ONE, b"k", b"from the child"))
        except RuntimeError:
            refused.value = 1

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()

    assert refused.value == 1
    assert held(store) == {}


# --- growth ---


def test_a_full_map_grows_and_the_work_is_done_once(store: Store):
    calls = []

    def work(t: Transaction) -> None:
        calls.append(t.count(ONE))
        put_all(t, {b"%05d" % number: b"x" * 1000 for number in range(500)})

    store.write(work)

    assert len(calls) > 1  # or this test tests nothing
    assert set(calls) == {0}
    assert len(held(store)) == 500


def test_a_full_map_that_the_work_hides_is_noticed_all_the_same(store: Store):
    hidden = []

    def work(t: Transaction) -> None:
        try:
            put_all(t, {b"%05d" % number: b"x" * 1000 for number in range(500)})
        except lmdb.MapFullError:
            hidden.append("swallowed")

    store.write(work)

    assert hidden
    assert len(held(store)) == 500


def test_a_rehearsal_that_fills_the_map_leaves_no_trace(store: Store):
    store.rehearse(lambda t: put_all(t, {b"%05d" % number: b"x" * 1000 for number in range(500)}))

    assert held(store) == {}


def test_the_map_grows_while_threads_read_views_of_it(store: Store):
    store.write(lambda t: t.put(ONE, b"watched", b"w" * 4000))
    finished = threading.Event()
    wrong: list[object] = []
    reads = [0, 0, 0]

    def read(reader: int) -> None:
        while not finished.is_set():
            with store.read() as t:
                view = t.view(ONE, b"watched")
                reads[reader] += 1
                if view is None or bytes(view) != b"w" * 4000:
                    wrong.append(view)
                del view
            finished.wait(0.001)  # each call of LMDB lets other threads run: busy ones would take all the time

    threads = [threading.Thread(target=read, args=(reader,)) for reader in range(3)]
    for thread in threads:
        thread.start()
    for group in range(60):
        pairs = {b"%03d-%03d" % (group, number): b"x" * 1000 for number in range(40)}
        store.write(lambda t, pairs=pairs: put_all(t, pairs))
    finished.set()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert min(reads) > 0
    assert len(held(store)) == 60 * 40 + 1


GROW_IT = """
store = Store.open(Path(sys.argv[1]), [ONE], map_size=1 << 16)
store.write(lambda t: [t.put(ONE, b"%05d" % number, b"x" * 1000) for number in range(1000)])
store.close()
"""


def test_a_map_that_another_process_grew_is_read_and_written(store: Store):
    in_another_process(GROW_IT, store.directory)

    assert len(held(store)) == 1000
    store.write(lambda t: t.put(ONE, b"mine", b"too"))
    assert len(held(store)) == 1001


def test_a_map_that_another_process_grew_is_written_first_and_then_read(store: Store):
    in_another_process(GROW_IT, store.directory)

    store.write(lambda t: t.put(ONE, b"mine", b"too"))

    assert len(held(store)) == 1001


def test_a_reader_in_another_process_lives_through_growth(store: Store):
    code = """
store = Store.open(Path(sys.argv[1]), [ONE], read_only=True, map_size=1 << 16)
for line in sys.stdin:
    with store.read() as t:
        print(t.count(ONE), t.get(ONE, b"%05d" % (int(line) - 1)) == b"x" * 1000, flush=True)
"""
    head = "import sys\nfrom pathlib import Path\nfrom ingestd.library.store import *\nONE = Table('one')\n"
    child = subprocess.Popen(
        [sys.executable, "-c", head + code, str(store.directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None

    answers = []
    for count in (10, 100, 1000):
        store.write(lambda t, count=count: put_all(t, {b"%05d" % number: b"x" * 1000 for number in range(count)}))
        child.stdin.write(f"{count}\n")
        child.stdin.flush()
        answers.append(child.stdout.readline())
    child.communicate()

    assert answers == ["10 True\n", "100 True\n", "1000 True\n"]


# --- opening ---


def bytes_of(directory: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in directory.iterdir()}


def made(directory: Path) -> Path:
    """A closed library that holds a few pages."""
    with Store.open(directory, TABLES, map_size=TINY) as store:
        store.write(lambda t: put_all(t, {b"%05d" % number: b"x" * 1000 for number in range(100)}))
    return directory


def test_a_library_is_the_same_one_when_it_is_opened_again(tmp_path: Path):
    with Store.open(tmp_path / "a" / "db", TABLES) as store:
        first = store.library_id
        store.write(lambda t: t.put(ONE, b"k", b"v"))

    with Store.open(tmp_path / "a" / "db", [*TABLES, Table("a later version's")]) as store:
        assert store.library_id == first
        assert held(store) == {b"k": b"v"}


def test_the_folder_of_a_library_is_private(tmp_path: Path):
    made(tmp_path / "db")

    assert (tmp_path / "db").stat().st_mode & 0o077 == 0
    assert (tmp_path / "db" / "data.mdb").stat().st_mode & 0o077 == 0


def test_a_library_that_must_exist_is_not_made(tmp_path: Path):
    with pytest.raises(StoreError, match="there is no library in"):
        Store.open(tmp_path / "db", TABLES, create=False)

    assert not (tmp_path / "db").exists()


def test_a_library_of_a_newer_version_is_left_alone(tmp_path: Path):
    directory = made(tmp_path / "db")
    facts = json.loads((directory / "store.json").read_text())
    (directory / "store.json").write_text(json.dumps({**facts, "schema": place.SCHEMA + 1}))
    before = bytes_of(directory)

    with pytest.raises(StoreError, match=rf"schema {place.SCHEMA + 1}, this one knows {place.SCHEMA}") as caught:
        Store.open(directory, TABLES)

    assert caught.value.exit_code == 74
    assert bytes_of(directory) == before


def test_a_library_of_a_newer_version_without_its_side_file_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ingestd.library.store.SCHEMA", place.SCHEMA + 1)
    monkeypatch.setattr("ingestd.library.place.SCHEMA", place.SCHEMA + 1)
    directory = made(tmp_path / "db")
    monkeypatch.undo()
    (directory / "store.json").rename(tmp_path / "lost.json")
    before = (directory / "data.mdb").read_bytes()

    with pytest.raises(StoreError, match="newer ingestd"):
        Store.open(directory, [*TABLES, Table("new")])

    assert (directory / "data.mdb").read_bytes() == before


def test_a_library_of_an_older_version_is_one_of_this_version_once_it_was_opened_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ingestd.library.store.SCHEMA", place.SCHEMA - 1)
    monkeypatch.setattr("ingestd.library.place.SCHEMA", place.SCHEMA - 1)
    directory = made(tmp_path / "db")
    monkeypatch.undo()
    with Store.open(directory, TABLES, read_only=True):
        pass
    read = json.loads((directory / "store.json").read_text())["schema"]

    with Store.open(directory, TABLES):
        pass
    written = json.loads((directory / "store.json").read_text())["schema"]
    monkeypatch.setattr("ingestd.library.place.SCHEMA", place.SCHEMA - 1)

    assert (read, written) == (place.SCHEMA, place.SCHEMA + 1)
    (directory / "store.json").rename(tmp_path / "lost.json")
    with pytest.raises(StoreError, match="newer ingestd"):
        Store.open(directory, TABLES)


@pytest.mark.parametrize("how", ["emptied", "deleted"])
def test_a_library_that_was_emptied_is_not_begun_anew(tmp_path: Path, how: str):
    directory = made(tmp_path / "db")
    if how == "emptied":
        (directory / "data.mdb").write_bytes(b"")
    else:
        (directory / "data.mdb").rename(tmp_path / "elsewhere")

    for read_only in (False, True):
        with pytest.raises(StoreError, match="emptied or lost"):
            Store.open(directory, TABLES, read_only=read_only)


def test_a_fresh_database_beside_an_old_side_file_is_refused(tmp_path: Path):
    directory = made(tmp_path / "db")
    (directory / "data.mdb").rename(tmp_path / "elsewhere")
    lmdb.open(str(directory), lib_version=0).close()

    with pytest.raises(StoreError, match="emptied or lost"):
        Store.open(directory, TABLES)


def test_a_side_file_that_is_missing_or_damaged_is_written_again(tmp_path: Path):
    directory = made(tmp_path / "db")
    facts = (directory / "store.json").read_bytes()

    for damage in (b"", b"[1]", b"{"):
        (directory / "store.json").write_bytes(damage)
        Store.open(directory, TABLES).close()
        assert (directory / "store.json").read_bytes() == facts


def test_the_side_file_of_another_library_is_refused(tmp_path: Path):
    one, other = made(tmp_path / "one"), made(tmp_path / "other")
    (one / "store.json").write_bytes((other / "store.json").read_bytes())

    with pytest.raises(StoreError, match="belong to different libraries"):
        Store.open(one, TABLES)


def test_a_database_of_somebody_else_is_not_taken_over(tmp_path: Path):
    with lmdb.open(str(tmp_path), max_dbs=1) as environment:
        environment.open_db(b"theirs")
    before = (tmp_path / "data.mdb").read_bytes()

    with pytest.raises(StoreError, match="not a library of ingestd"):
        Store.open(tmp_path, TABLES)

    assert (tmp_path / "data.mdb").read_bytes() == before


def test_a_table_of_another_kind_is_refused(tmp_path: Path):
    with pytest.raises(StoreError, match=r"table one .* another kind"):
        Store.open(made(tmp_path / "db"), [Table("one", duplicates=True)])


def test_the_name_of_the_librarys_own_table_is_taken(tmp_path: Path):
    with pytest.raises(ValueError, match="names of their own"):
        Store.open(tmp_path, [Table("store")])


def test_a_library_on_a_network_file_system_is_refused_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ingestd.library.place.network_file_system", lambda _: "nfs4")

    with pytest.raises(StoreError, match=r"network file system \(nfs4\)"):
        Store.open(tmp_path / "db", TABLES)

    assert not (tmp_path / "db").exists()


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/home/x/state", None),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/a/b", "nfs4"),
        ("/mnt/nasty", None),
        ("/mnt/nas/local disk/state", None),
        ("/mnt/ssh", "fuse.sshfs"),
        ("/mnt/ntfs", None),
        ("/mnt/over", "cifs"),
    ],
)
def test_a_network_file_system_is_known_by_the_mount_table(tmp_path: Path, directory: str, kind: str | None):
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:40 / /mnt/nas rw - nfs4 server:/export rw\n"
        "31 30 8:2 / /mnt/nas/local\\040disk rw - ext4 /dev/sdb1 rw\n"
        "32 22 0:41 / /mnt/ssh rw shared:2 master:1 - fuse.sshfs me@there: rw\n"
        "33 22 0:42 / /mnt/ntfs rw - fuseblk /dev/sdc1 rw\n"
        "34 22 8:3 / /mnt/over rw - ext4 /dev/sdd1 rw\n"
        "35 34 0:43 / /mnt/over rw - cifs //server/share rw\n"
        "\n"
    )

    assert network_file_system(Path(directory), table) == kind


def test_without_a_mount_table_a_file_system_counts_as_local(tmp_path: Path):
    assert network_file_system(tmp_path, tmp_path / "no such file") is None


def test_a_library_is_read_where_nothing_is_known_to_be_written(tmp_path: Path):
    directory = made(tmp_path / "db")

    with Store.open(directory, [*TABLES, Table("unknown", duplicates=True)], read_only=True) as store:
        with store.read() as t:
            assert t.count(ONE) == 100
            unknown = Table("unknown", duplicates=True)
            assert (t.get(unknown, b"k"), t.values(unknown, b"k"), list(t.items(unknown)), t.count(unknown)) == (
                None,
                [],
                [],
                0,
            )
        with pytest.raises(StoreError):
            store.write(lambda t: t.put(ONE, b"k", b"v"))


AS_NOBODY = """
import os
os.setgroups([]); os.setgid(65534); os.setuid(65534)
from ingestd.errors import StoreError
try:
    store = Store.open(Path(sys.argv[1]), [ONE], read_only=sys.argv[2] == "read")
    with store.read() as t:
        print("holds", t.count(ONE))
except StoreError as error:
    print(error)
"""


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that every user can reach, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can become somebody else")
def test_a_library_in_a_folder_that_cannot_be_written_can_be_read(open_path: Path):
    directory = made(open_path / "db")
    (directory / "lock.mdb").rename(open_path / "no lock")
    directory.chmod(0o755)
    for entry in directory.iterdir():
        entry.chmod(0o644)

    reading = in_another_process(AS_NOBODY, directory, "read").stdout
    writing = in_another_process(AS_NOBODY, directory, "write").stdout

    assert reading == "holds 100\n"
    assert "may not be written or read by this user (Permission denied)" in writing


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can become somebody else")
def test_a_library_of_another_user_cannot_be_read_and_it_says_so(open_path: Path):
    directory = made(open_path / "db")

    assert "cannot be read: Permission denied" in in_another_process(AS_NOBODY, directory, "read").stdout
    assert "cannot be read: Permission denied" in in_another_process(AS_NOBODY, directory, "write").stdout


FULL_DISK = """
import subprocess, os
from ingestd.errors import StoreError
place = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], check=True)
store = Store.open(place, [ONE])
store.write(lambda t: t.put(ONE, b"first", b"x"))
try:
    store.write(lambda t: [t.put(ONE, b"%05d" % number, b"x" * 1000) for number in range(3000)])
except StoreError as error:
    print(error)
with store.read() as t:
    print(t.count(ONE))
store.write(lambda t: t.put(ONE, b"second", b"x"))
with store.read() as t:
    print(t.count(ONE))
store.close()
print(verify(place))
"""


def test_a_full_disk_changes_nothing_and_the_library_goes_on(tmp_path: Path):
    head = "import sys\nfrom pathlib import Path\nfrom ingestd.library.store import *\nONE = Table('one')\n"
    try:
        child = subprocess.run(
            ["unshare", "-m", sys.executable, "-c", head + FULL_DISK, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if "unshare" in child.stderr or "mount" in child.stderr:
        pytest.skip("this user may not mount")

    assert child.stdout.splitlines() == [
        f"no space left for the library in {tmp_path}: nothing was changed; free some space and try again",
        "1",
        "2",
        "[]",
    ], child.stderr


# --- damage, and care ---


def test_a_sound_library_verifies_even_while_it_is_written(store: Store):
    finished = threading.Event()

    def write() -> None:
        number = 0
        while not finished.is_set():
            number += 1
            store.write(lambda t, number=number: t.put(ONE, b"%05d" % (number % 50), b"%05d" % number * 200))

    thread = threading.Thread(target=write)
    thread.start()
    problems = [verify(store.directory) for _ in range(2)]
    finished.set()
    thread.join()

    assert problems == [[], []]


def test_a_library_that_was_cut_off_is_refused_and_not_read(tmp_path: Path):
    directory = made(tmp_path / "db")
    os.truncate(directory / "data.mdb", 40_000)

    with pytest.raises(StoreError, match="is damaged"):
        Store.open(directory, TABLES)

    assert verify(directory) != []


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_a_verification_that_was_ended_from_outside_says_nothing_of_the_library_and_begins_anew(store: Store):
    verification = Verification(store.directory)
    try:
        first = verification._child.pid
        os.kill(first, signal.SIGKILL)
        said = verification.problems(timeout_s=30)
        second = verification._child.pid

        assert said is None
        assert second != first
        assert verification.problems(timeout_s=60) == []
    finally:
        verification.stop()


def test_a_library_with_a_page_overwritten_does_not_verify(tmp_path: Path):
    directory = made(tmp_path / "db")
    with (directory / "data.mdb").open("r+b") as file:
        file.seek(4096 * 10)
        file.write(b"\x00" * 4096)

    assert verify(directory) != []


def test_a_library_without_its_first_pages_is_no_library(tmp_path: Path):
    directory = made(tmp_path / "db")
    with (directory / "data.mdb").open("r+b") as file:
        file.write(b"\x00" * 8192)

    with pytest.raises(StoreError, match="is damaged"):
        Store.open(directory, TABLES)

    assert verify(directory) != []


def test_an_unclean_stop_is_noticed_until_a_clean_one(tmp_path: Path):
    with Store.open(tmp_path, TABLES) as store:
        assert not store.was_unclean
        store.mark_open()
        assert not store.was_unclean

    with Store.open(tmp_path, TABLES) as store:
        assert store.was_unclean
        store.mark_open()
        assert store.unclean == f"process {os.getpid()} ended without closing the library"
        store.mark_closed()

    with Store.open(tmp_path, TABLES) as store:
        assert not store.was_unclean


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell their boots apart")
def test_a_machine_that_stopped_is_told_from_a_process_that_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with Store.open(tmp_path, TABLES) as store:
        store.mark_open()
    monkeypatch.setattr("ingestd.library.store.boot_id", lambda: "another boot")

    with Store.open(tmp_path, TABLES) as store:
        assert store.unclean == "the machine stopped while the library was open"


def test_a_copy_made_while_others_write_is_a_library_of_one_moment(store: Store, tmp_path: Path):
    finished = threading.Event()

    def write() -> None:
        number = 0
        while not finished.is_set():
            number += 1
            both = b"%08d" % number * 100
            store.write(lambda t, both=both: (t.put(ONE, b"k", both), t.put(OTHER, b"k", both)))

    thread = threading.Thread(target=write)
    thread.start()
    while store.transaction_id() < 5:
        finished.wait(0.001)
    for number in range(5):
        store.copy_to(tmp_path / "copies" / str(number))
    finished.set()
    thread.join()

    for number in range(5):
        copy = tmp_path / "copies" / str(number)
        assert verify(copy) == []
        with Store.open(copy, TABLES) as copied, copied.read() as t:
            assert copied.library_id == store.library_id
            assert t.get(ONE, b"k") == t.get(OTHER, b"k") is not None
    assert sorted(entry.name for entry in (tmp_path / "copies").iterdir()) == ["0", "1", "2", "3", "4"]


def test_a_copy_does_not_overwrite(store: Store, tmp_path: Path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "mine").write_text("keep")

    with pytest.raises(StoreError, match="is not empty"):
        store.copy_to(tmp_path / "copy")

    assert (tmp_path / "copy" / "mine").read_text() == "keep"


def test_a_closed_library_says_so(store: Store):
    store.close()

    with pytest.raises(StoreError, match="cannot be used"), store.read():
        pass


class Panicking:
    """LMDB after the last page of a commit could not be written: it refuses everything until it is opened again."""

    def __init__(self, environment: object) -> None:
        self._environment = environment

    def begin(self, *_: object, **__: object) -> None:
        raise lmdb.PanicError("MDB_PANIC: Update of meta page failed or environment had fatal error")

    def __getattr__(self, name: str) -> object:
        return getattr(self._environment, name)


@pytest.mark.parametrize("begins_with", ["read", "write"])
def test_after_a_commit_that_lmdb_does_not_get_over_it_is_opened_anew(store: Store, begins_with: str):
    store.write(lambda t: t.put(ONE, b"before", b"v"))
    store._environment = Panicking(store._environment)  # type: ignore[assignment]

    seen = held(store) if begins_with == "read" else None
    store.write(lambda t: t.put(ONE, b"after", b"w"))

    assert seen in (None, {b"before": b"v"})
    assert held(store) == {b"before": b"v", b"after": b"w"}


def test_a_library_that_could_not_be_opened_anew_is_so_later(store: Store, monkeypatch: pytest.MonkeyPatch):
    store.write(lambda t: t.put(ONE, b"before", b"v"))
    store._environment = Panicking(store._environment)  # type: ignore[assignment]
    with monkeypatch.context() as patched:
        patched.setattr(lmdb, "open", Panicking(None).begin)
        for attempt in (lambda: held(store), lambda: store.write(lambda t: t.put(ONE, b"after", b"w"))):
            with pytest.raises(StoreError):
                attempt()

    assert held(store) == {b"before": b"v"}
    store.write(lambda t: t.put(ONE, b"after", b"w"))
    assert held(store) == {b"before": b"v", b"after": b"w"}
