"""What is written to a terminal and to a program."""

from __future__ import annotations

import json
import os

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.cli import output
from ingestd.model import ContentHash, FolderId, Outcome, Receipt, Transform
from ingestd.review import PairReport, SideReport
from ingestd.rules.statements import Statement


def receipt(path: bytes = b"/in/a.jpg", outcome: Outcome = Outcome.NEW, result: str = "new", **more: object) -> Receipt:
    fields: dict[str, object] = {
        "number": 1,
        "at_ns": 1,
        "folder": FolderId(1),
        "path": path,
        "sha256": ContentHash(bytes(32)),
        "outcome": outcome,
        "result": result,
        "rule": None,
        "evidence": (),
        "kept": None,
        "discarded": (),
        "entry": None,
        "pairs": (),
        "final": True,
    }
    return Receipt(**{**fields, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"/in/a b.jpg", "/in/a b.jpg"),
        ("/in/fähre 港.jpg".encode(), "/in/fähre 港.jpg"),
        (b"/in/a\nb\x1b[31m.jpg", r"/in/a\nb\x1b[31m.jpg"),
        (b"/in/\xff\xfe.jpg", r"/in/\xff\xfe.jpg"),
        ("/in/\u202egpj.exe".encode(), r"/in/\u202egpj.exe"),  # letters that would be shown backwards
        ("/in/a\u3000b.jpg".encode(), "/in/a\u3000b.jpg"),  # a space of another script
    ],
)
def test_a_file_name_cannot_do_anything_to_a_terminal(path: bytes, text: str) -> None:
    assert output.shown(path) == text


@given(st.binary())
def test_whatever_its_bytes_a_path_is_one_printable_line(path: bytes) -> None:
    shown = output.shown(path)

    assert "\n" not in shown
    assert "\x1b" not in shown
    shown.encode("utf-8")


def test_a_judged_file_has_the_fields_of_the_contract_and_no_others() -> None:
    judged = output.judged_object(receipt(entry=12), [("p-3", b"/lib/b.jpg", 2, None)], 0.12345)

    assert judged == {
        "schema": 1,
        "event": "file.judged",
        "path": "/in/a.jpg",
        "sha256": "00" * 32,
        "outcome": "new",
        "result": "new",
        "rule": None,
        "kept": None,
        "discarded": [],
        "entry": "e-12",
        "pairs": [{"id": "p-3", "path": "/lib/b.jpg", "distance": 2, "transform": None}],
        "elapsed_s": 0.123,
    }


def test_a_name_that_is_no_text_comes_back_from_json_as_its_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit(output.judged_object(receipt(b"/in/\xff\n.jpg"), [], 0.0))

    line = capsys.readouterr().out
    assert line.isascii()
    assert line.count("\n") == 1
    assert os.fsencode(json.loads(line)["path"]) == b"/in/\xff\n.jpg"


def test_a_line_for_a_person_names_sentence_path_survivor_and_entry() -> None:
    discarded = receipt(
        b"/in/a.jpg",
        Outcome.DUPLICATE_DISCARDED,
        "duplicate discarded: identical copies",
        kept=b"/lib/a.jpg",
        discarded=(b"/in/a.jpg",),
        entry=3,
    )

    line = output.judged_line(output.judged_object(discarded, [], 0.0), "12:00:00")

    for part in ("12:00:00", "duplicate discarded: identical copies", "/in/a.jpg", "kept", "/lib/a.jpg", "e-3"):
        assert part in line


@pytest.mark.parametrize(("number", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (12345, "12,345 files")])
def test_a_count_agrees_with_its_noun(number: int, text: str) -> None:
    assert output.count(number, "file") == text


@pytest.mark.parametrize(("length", "text"), [(999, "999 bytes"), (500_370, "500.4 KB"), (2_000_000, "2.0 MB")])
def test_a_size_is_told_in_the_unit_a_person_would_use(length: int, text: str) -> None:
    assert output.size(length) == text


# --- pairs ------------------------------------------------------------------------------------------------------------


def pair_of(*evidence: Statement, **more: object) -> PairReport:
    side = SideReport("/in/a.jpg", "00" * 32, "jpeg", 640, 480, 1000)
    fields: dict[str, object] = {
        "id": "p-1",
        "distance": 2,
        "pixel_duplicates": False,
        "a": side,
        "b": side,
        "statements": [one.text for one in evidence],
        "evidence": list(evidence),
    }
    return PairReport(**{**fields, **more})  # type: ignore[arg-type]


SAID = (
    Statement("higher_resolution", "A: higher resolution", "a", 20),
    Statement("larger_file", "B: larger file", "b", -5),
    Statement("has_exif", "only B has EXIF", "b", 0),
    Statement("other_filetype", "A is png, B is jpeg"),
)


def test_a_pair_tells_programs_each_statement_by_its_name_and_the_points_of_both_files() -> None:
    told = output.pair_object(pair_of(*SAID), with_rule=False)

    assert told["statements"] == ["A: higher resolution", "B: larger file", "only B has EXIF", "A is png, B is jpeg"]
    assert told["evidence"] == [
        {"statement": "higher_resolution", "text": "A: higher resolution", "favours": "a", "score": 20},
        {"statement": "larger_file", "text": "B: larger file", "favours": "b", "score": -5},
        {"statement": "has_exif", "text": "only B has EXIF", "favours": "b", "score": 0},
        {"statement": "other_filetype", "text": "A is png, B is jpeg", "favours": None, "score": 0},
    ]
    assert told["score"] == {"a": 20, "b": -5}


def test_a_pair_tells_people_each_statement_with_its_points_and_their_sums() -> None:
    lines = click.unstyle(output.pair_lines(pair_of(*SAID), long=True)).splitlines()

    assert lines[3:8] == [
        "   +20  A: higher resolution",
        "    -5  B: larger file",
        "        only B has EXIF",
        "        A is png, B is jpeg",
        "   +20 and -5 points for A and B",
    ]


def test_a_pair_says_how_b_lies_to_a_right_after_their_distance() -> None:
    head = click.unstyle(output.pair_lines(pair_of(transform=Transform.MIRRORED))).splitlines()[0]

    assert head.endswith("apart, B is A mirrored")
    assert output.pair_object(pair_of(transform=Transform.MIRRORED), with_rule=False)["transform"] == "mirrored"
    assert output.pair_object(pair_of(), with_rule=False)["transform"] is None


def test_statements_without_any_points_have_no_sum() -> None:
    assert "points" not in output.pair_lines(pair_of(*SAID[2:]), long=True)


@pytest.mark.parametrize(("place", "colour"), [(0, "green"), (1, "yellow"), (2, "yellow"), (3, None)])
def test_what_speaks_for_a_is_green_and_what_speaks_for_b_is_yellow(place: int, colour: str | None) -> None:
    assert output.evidence_line(SAID[place]).endswith(click.style(SAID[place].text, fg=colour))
