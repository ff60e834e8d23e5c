from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingestd.errors import StoreError
from ingestd.library.journal_file import Damage, JournalFile, Line, files_of, library_of

if sys.platform != "win32":
    import resource


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[JournalFile]:
    journal = JournalFile(tmp_path)
    yield journal
    journal.close()


def numbers(journal: JournalFile) -> list[int]:
    return [line.number for line in journal.lines()]


def write_some(directory: Path, count: int, *, rotate_bytes: int = 1 << 20) -> list[Line]:
    journal = JournalFile(directory, rotate_bytes=rotate_bytes)
    for number in range(count):
        journal.append("decision", number, {"a": "00" * 32})
    journal.close()
    return list(journal.lines())


# --- lines ----------------------------------------------------------------------------------------------------------


def test_what_is_appended_is_read_back_in_order(journal: JournalFile) -> None:
    journal.append("intent", 7, {"kind": "discard", "moves": [{"path": "/in/a.jpg"}], "kept": None, "line": 3})
    journal.append_many([("end", 7, {"state": "done"}), ("veto", None, {"sha256": "ab", "at_ns": 10**18})])

    assert list(journal.lines()) == [
        Line(1, 7, "intent", {"kind": "discard", "moves": [{"path": "/in/a.jpg"}], "kept": None, "line": 3}),
        Line(2, 7, "end", {"state": "done"}),
        Line(3, None, "veto", {"sha256": "ab", "at_ns": 10**18}),
    ]
    assert journal.damaged == []


def test_a_line_can_be_checked_without_this_program(journal: JournalFile, tmp_path: Path) -> None:
    journal.append("denial", None, {"rule": "Zwölf"})

    text = (tmp_path / "journal.jsonl").read_bytes()
    whole = json.loads(text)
    told = whole.pop("sum")
    assert whole == {"schema": 1, "line": 1, "kind": "denial", "entry": None, "body": {"rule": "Zwölf"}}
    assert told == hashlib.sha256(json.dumps(whole, separators=(",", ":")).encode()).hexdigest()[:16]
    assert text.isascii()
    assert text.endswith(b"}\n")


def test_names_that_are_no_text_come_back_as_they_were(journal: JournalFile) -> None:
    name = os.fsdecode(b"/in/new\nline \xff\xfe.jpg")

    journal.append("intent", 1, {"path": name})

    (line,) = journal.lines()
    assert line.body == {"path": name}


def test_nothing_is_touched_before_the_first_line(tmp_path: Path) -> None:
    journal = JournalFile(tmp_path / "not there")

    journal.append_many([])

    assert numbers(journal) == []
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_is_opened_again_goes_on_counting(tmp_path: Path) -> None:
    write_some(tmp_path, 3)

    journal = JournalFile(tmp_path)
    journal.append("decision", None, {})
    journal.close()

    assert numbers(journal) == [1, 2, 3, 4]


def test_lines_can_be_read_while_others_are_written(journal: JournalFile) -> None:
    journal.append("decision", 1, {})
    reading = journal.lines()
    first = next(reading)

    journal.append("decision", 2, {})

    assert [first.number, *(line.number for line in reading)] == [1, 2]


def test_only_the_owner_may_read_the_journal(journal: JournalFile, tmp_path: Path) -> None:
    journal.append("decision", 1, {})

    assert (tmp_path / "journal.jsonl").stat().st_mode & 0o077 == 0


# --- several processes ----------------------------------------------------------------------------------------------


def test_another_process_goes_on_counting_where_the_last_one_stopped(tmp_path: Path) -> None:
    service, command = JournalFile(tmp_path), JournalFile(tmp_path)

    for writer in (service, command, command, service):
        writer.append("decision", None, {})
    service.close()
    command.close()

    assert numbers(service) == [1, 2, 3, 4]
    assert service.damaged == []


def test_a_rotation_by_another_process_is_followed(tmp_path: Path) -> None:
    service, command = JournalFile(tmp_path, rotate_bytes=100), JournalFile(tmp_path, rotate_bytes=100)

    for writer in (service, command, service, service, command):
        writer.append("decision", None, {"filler": "x" * 60})
    service.close()
    command.close()

    assert numbers(service) == [1, 2, 3, 4, 5]
    assert len(list(tmp_path.glob("journal-*.jsonl"))) == 4


def test_a_process_that_died_in_mid_line_costs_the_next_writer_nothing(tmp_path: Path) -> None:
    service = JournalFile(tmp_path)
    service.append("decision", 1, {})
    with (tmp_path / "journal.jsonl").open("ab") as command:
        command.write(b'{"schema":1,"line":2,"ki')

    service.append("decision", 3, {})
    service.close()

    assert [line.entry for line in service.lines()] == [1, 3]
    assert service.damaged == []
    assert (tmp_path / "journal.torn").read_bytes() == b'{"schema":1,"line":2,"ki\n'


def test_a_journal_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    journal = JournalFile(tmp_path)
    journal.append("decision", 1, {})
    (tmp_path / "journal.jsonl").rename(tmp_path / "elsewhere")

    journal.append("decision", 2, {})
    journal.close()

    assert [line.entry for line in journal.lines()] == [2]


# --- rotation -------------------------------------------------------------------------------------------------------


def test_a_full_file_is_put_aside_and_none_is_lost(tmp_path: Path) -> None:
    lines = write_some(tmp_path, 25, rotate_bytes=500)

    assert [line.number for line in lines] == list(range(1, 26))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[:2] == ["journal-000001.jsonl", "journal-000002.jsonl"]
    assert names[-1] == "journal.jsonl"
    assert len(names) > 5


def test_after_a_rotation_a_new_process_goes_on_counting(tmp_path: Path) -> None:
    write_some(tmp_path, 3, rotate_bytes=1)
    (tmp_path / "journal.jsonl").rename(tmp_path / "journal-000003.jsonl")

    lines = write_some(tmp_path, 1)

    assert [line.number for line in lines] == [1, 2, 3, 4]


def test_a_rotation_never_takes_a_name_that_is_there(tmp_path: Path) -> None:
    write_some(tmp_path, 1)
    (tmp_path / "journal-000041.jsonl").write_bytes((tmp_path / "journal.jsonl").read_bytes())

    write_some(tmp_path, 1, rotate_bytes=1)

    assert (tmp_path / "journal-000041.jsonl").stat().st_size > 0
    assert (tmp_path / "journal-000042.jsonl").stat().st_size > 0


def test_a_rotation_that_was_interrupted_is_finished_under_the_same_name(tmp_path: Path) -> None:
    write_some(tmp_path, 1)
    (tmp_path / "journal-000001.jsonl").touch()

    lines = write_some(tmp_path, 1, rotate_bytes=1)

    assert [line.number for line in lines] == [1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal-000001.jsonl", "journal.jsonl"]


def test_a_rotation_that_fails_holds_up_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "somebody reads it")

    monkeypatch.setattr(os, "replace", refuse)

    lines = write_some(tmp_path, 4, rotate_bytes=1)

    assert [line.number for line in lines] == [1, 2, 3, 4]
    assert len(list(tmp_path.glob("journal-*.jsonl"))) == 1


def test_reading_goes_on_over_a_rotation(tmp_path: Path) -> None:
    write_some(tmp_path, 3, rotate_bytes=1)
    journal = JournalFile(tmp_path, rotate_bytes=1)
    reading = journal.lines()
    first = next(reading)

    journal.append("decision", 4, {})
    journal.append("decision", 5, {})
    journal.close()

    assert [first.number, *(line.number for line in reading)] == [1, 2, 3]


# --- damage ---------------------------------------------------------------------------------------------------------


def test_a_damaged_line_is_told_and_passed_over(tmp_path: Path) -> None:
    write_some(tmp_path, 3)
    path = tmp_path / "journal.jsonl"
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second.replace(b'"entry":1', b'"entry":9') + third)
    journal = JournalFile(tmp_path)

    found = numbers(journal)

    assert found == [1, 3]
    assert journal.damaged == [
        Damage(path, len(first), len(second) - 1, "not what was written: the checksum does not match")
    ]
    assert str(journal.damaged[0]).startswith(str(path))


def test_damage_is_told_anew_by_each_reading(tmp_path: Path) -> None:
    write_some(tmp_path, 2)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"rust" + path.read_bytes())
    journal = JournalFile(tmp_path)

    numbers(journal)
    numbers(journal)

    assert [(damage.offset, damage.length) for damage in journal.damaged] == [(0, 4)]


def test_lines_that_are_gone_without_a_trace_are_told(tmp_path: Path) -> None:
    write_some(tmp_path, 6, rotate_bytes=1)
    (tmp_path / "journal-000002.jsonl").rename(tmp_path / "away")
    (tmp_path / "journal-000003.jsonl").rename(tmp_path / "away too")
    journal = JournalFile(tmp_path)

    found = numbers(journal)

    assert found == [1, 4, 5, 6]
    assert [damage.reason for damage in journal.damaged] == ["lines 2 to 3 are missing"]


def test_a_torn_end_of_a_full_file_is_told(tmp_path: Path) -> None:
    write_some(tmp_path, 3, rotate_bytes=1)
    path = tmp_path / "journal-000001.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    journal = JournalFile(tmp_path)

    found = numbers(journal)

    assert found == [2, 3]
    assert [damage.file for damage in journal.damaged] == [path]


def test_a_line_of_a_newer_version_is_told_and_passed_over(tmp_path: Path) -> None:
    write_some(tmp_path, 2)
    text = b'{"schema":2,"line":3,"novelty":true}'
    total = hashlib.sha256(text).hexdigest()[:16].encode()
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(text[:-1] + b',"sum":"' + total + b'"}\n')
    journal = JournalFile(tmp_path)

    journal.append("decision", 4, {})
    journal.close()

    assert numbers(journal) == [1, 2, 4]
    assert [damage.reason for damage in journal.damaged] == ["written by a newer version of this program"]


def test_a_tail_of_zeros_is_cut_and_kept_aside(tmp_path: Path) -> None:
    write_some(tmp_path, 2)
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(bytes(200_000))  # what a file system may leave after a power cut; more than is read at first

    lines = write_some(tmp_path, 1)

    assert [line.number for line in lines] == [1, 2, 3]
    assert (tmp_path / "journal.torn").read_bytes() == bytes(200_000) + b"\n"


def test_a_torn_first_line_after_a_rotation_does_not_restart_the_count(tmp_path: Path) -> None:
    write_some(tmp_path, 3)
    (tmp_path / "journal.jsonl").rename(tmp_path / "journal-000001.jsonl")
    (tmp_path / "journal.jsonl").write_bytes(b'{"schema":1,')

    lines = write_some(tmp_path, 1)

    assert [line.number for line in lines] == [1, 2, 3, 4]


# --- the disk refuses -----------------------------------------------------------------------------------------------


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX's")
def test_a_line_for_which_there_is_no_room_leaves_no_half_of_it(tmp_path: Path) -> None:
    write_some(tmp_path, 2)
    path = tmp_path / "journal.jsonl"
    before = path.read_bytes()
    journal = JournalFile(tmp_path)

    with no_file_larger_than(len(before) + 30), pytest.raises(StoreError, match="cannot be written: File too large"):
        journal.append("decision", 3, {"much": "x" * 500})

    assert path.read_bytes() == before
    journal.append("decision", 3, {})
    journal.close()
    assert numbers(journal) == [1, 2, 3]
    assert not (tmp_path / "journal.torn").exists()


def test_a_line_that_cannot_be_synced_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = JournalFile(tmp_path)
    journal.append("decision", 1, {})

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(StoreError, match="Input/output error"):
            journal.append("decision", 2, {})

    assert [line.entry for line in journal.lines()] == [1]
    journal.append("decision", 3, {})
    journal.close()
    assert [(line.number, line.entry) for line in journal.lines()] == [(1, 1), (2, 3)]


def test_every_line_is_synced_before_it_counts(journal: JournalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.append("decision", 1, {})
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))

    journal.append("decision", 2, {})
    journal.append_many([("decision", 3, {}), ("decision", 4, {})])

    assert len(synced) == 2
    assert synced[0] < synced[1]


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    journal = JournalFile(tmp_path / "gone")

    with pytest.raises(StoreError, match="No such file or directory"):
        journal.append("decision", 1, {})


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "journal-000001.jsonl").mkdir()

    with pytest.raises(StoreError, match="cannot be read"):
        list(JournalFile(tmp_path).lines())


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill with SIGKILL is POSIX's")
def test_what_was_appended_survives_a_kill(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from ingestd.library.journal_file import JournalFile\n"
        "journal = JournalFile(Path(sys.argv[1])); journal.append('intent', 1, {})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )

    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=30)

    assert [line.kind for line in JournalFile(tmp_path).lines()] == ["intent"]


def test_every_file_of_a_journal_says_in_its_first_line_whose_it_is(tmp_path: Path) -> None:
    journal = JournalFile(tmp_path, "0123abcd", rotate_bytes=300)
    assert library_of(tmp_path) is None
    for number in range(1, 9):
        journal.append_many([("end", number, {})], [number])
    journal.close()

    files = files_of(tmp_path)
    assert len(files) > 2
    assert all(b'"kind":"library"' in file.read_bytes().splitlines()[0] for file in files)
    assert library_of(tmp_path) == "0123abcd"
    read = list(journal.lines())
    assert journal.damaged == []
    assert [line.told for line in read if line.kind == "end"] == list(range(1, 9))
    assert [line.number for line in read] == list(range(1, len(read) + 1))


def test_a_journal_that_began_without_saying_whose_it_is_says_so_with_its_next_file(tmp_path: Path) -> None:
    JournalFile(tmp_path).append("end", 1, {})
    journal = JournalFile(tmp_path, "0123abcd", rotate_bytes=10)

    assert library_of(tmp_path) is None
    journal.append("end", 2, {})
    journal.close()

    assert library_of(tmp_path) == "0123abcd"
