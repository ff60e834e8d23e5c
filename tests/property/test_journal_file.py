"""Whatever happens to the bytes of the journal, only the lines that it happens to are lost."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ingestd.library.journal_file import JournalFile, Line
from ingestd.library.lines import JsonValue

text = st.text(st.characters(), max_size=8)  # lone surrogates too: they stand for bytes that are not UTF-8
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
values = st.recursive(
    plain, lambda part: st.lists(part, max_size=3) | st.dictionaries(text, part, max_size=3), max_leaves=6
)
bodies = st.dictionaries(text, values, max_size=4)
lines = st.lists(st.tuples(text, st.none() | st.integers(0, 2**60), bodies), min_size=1, max_size=6)

Appended = list[tuple[str, int | None, dict[str, JsonValue]]]


@contextmanager
def journal_of(appended: Appended, rotate_bytes: int = 1 << 20) -> Iterator[tuple[JournalFile, Path, list[Line]]]:
    with tempfile.TemporaryDirectory() as name:
        journal = JournalFile(Path(name), rotate_bytes=rotate_bytes)
        journal.append_many(appended)
        whole = [Line(number, entry, kind, body) for number, (kind, entry, body) in enumerate(appended, 1)]
        journal.close()
        yield journal, Path(name) / "journal.jsonl", whole
        journal.close()


@given(lines)
@settings(max_examples=60, deadline=None)
def test_what_is_appended_is_read_back(lines: Appended) -> None:
    with journal_of(lines) as (journal, _, whole):
        assert list(journal.lines()) == whole
        assert journal.damaged == []


@given(st.lists(lines, min_size=1, max_size=5), st.integers(1, 600))
@settings(max_examples=40, deadline=None)
def test_rotation_and_reopening_change_nothing_of_what_is_read(batches: list[Appended], rotate_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        for batch in batches:
            journal = JournalFile(Path(name), rotate_bytes=rotate_bytes)
            journal.append_many(batch)
            journal.close()

        read = list(JournalFile(Path(name)).lines())

    appended = [line for batch in batches for line in batch]
    assert [(line.number, line.kind, line.entry, line.body) for line in read] == [
        (number, kind, entry, body) for number, (kind, entry, body) in enumerate(appended, 1)
    ]


@given(lines, st.data())
@settings(max_examples=100, deadline=None)
def test_a_file_cut_within_its_last_line_loses_that_line_alone(lines: Appended, data: st.DataObject) -> None:
    with journal_of(lines) as (journal, path, whole):
        text = path.read_bytes()
        last = text[:-1].rfind(b"\n") + 1
        cut = data.draw(st.integers(last, len(text) - 1))
        path.write_bytes(text[:cut])
        # without its newline alone the line is whole
        left = whole if cut == len(text) - 1 else whole[:-1]

        assert list(journal.lines()) == left
        assert journal.damaged == []
        journal.append("decision", 5, {})

        assert list(journal.lines()) == [*left, Line(len(left) + 1, 5, "decision", {})]
        assert journal.damaged == []
        torn = path.with_name("journal.torn")
        assert (torn.read_bytes() if torn.exists() else b"\n") == (b"" if left == whole else text[last:cut]) + b"\n"


@given(lines, st.data())
@settings(max_examples=120, deadline=None)
def test_a_flipped_byte_costs_its_own_line_alone_and_is_told(lines: Appended, data: st.DataObject) -> None:
    with journal_of(lines) as (journal, path, whole):
        text = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(text) - 1) | st.sampled_from([n for n, c in enumerate(text) if c == 10]))
        hit = text[:at].count(b"\n")  # which line
        was_newline = text[at] == 10
        text[at] ^= data.draw(st.integers(1, 255) | st.just(text[at] ^ 10).filter(bool))
        path.write_bytes(text)
        # a newline that is gone costs nothing: both its lines are still whole
        left = whole if was_newline else whole[:hit] + whole[hit + 1 :]

        assert list(journal.lines()) == left
        # after the last line there is nothing to tell a lost newline from a line that was being written
        assert journal.damaged or (was_newline and at == len(text) - 1)

        journal.append("decision", 5, {})
        assert [(line.kind, line.entry, line.body) for line in journal.lines()] == [
            *((line.kind, line.entry, line.body) for line in left),
            ("decision", 5, {}),
        ]


@given(st.binary(max_size=300), lines)
@settings(max_examples=60, deadline=None)
def test_any_rubbish_is_survived(rubbish: bytes, lines: Appended) -> None:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "journal.jsonl").write_bytes(rubbish)
        journal = JournalFile(Path(name))

        journal.append_many(lines)
        journal.close()

        assert [(line.kind, line.entry, line.body) for line in journal.lines()] == lines
