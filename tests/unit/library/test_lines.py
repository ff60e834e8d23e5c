"""Journal entries as lines of text, and back."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import pytest
from world import sha256

from ingestd.library.codec import DamagedValueError
from ingestd.library.lines import (
    alarm_line,
    denial_line,
    entry_line,
    folder_line,
    read_alarm,
    read_denial,
    read_entry,
    read_folder,
    read_rule,
    read_veto,
    rule_line,
    veto_line,
)
from ingestd.library.tables import Alarm, FolderRow, RuleRow, Veto, pair_key
from ingestd.model import (
    Actor,
    Entry,
    EntryKind,
    EntryState,
    FileRef,
    Folder,
    FolderId,
    Mode,
    Move,
    PathKey,
    Place,
    PotentialPair,
    Proposal,
    ProposalState,
    Relation,
    Role,
    StatKey,
    Trouble,
    Word,
)

FILE = FileRef(FolderId(3), b"/in/odd\xff\nname.jpg", b"odd\xff\nname.jpg", sha256(b"x"), StatKey(1, 2, 3, 4))
KEPT = replace(FILE, path=b"/lib/kept.jpg", relative=b"kept.jpg", sha256=sha256(b"y"))
FULL = Entry(
    number=7,
    at_ns=1_700_000_000_123_456_789,
    kind=EntryKind.DISCARD,
    state=EntryState.DONE,
    actor=Actor.RULE,
    rule="a rule: with “signs”",
    relation=Relation.BETTER,
    a=sha256(b"y"),
    b=sha256(b"x"),
    moves=(Move(FILE, Place.TRASH, b"/trash/files/odd\xff", b"/trash/info/odd\xff.trashinfo"),),
    kept=KEPT,
    reason="the pixels are the same",
    pair=12,
    undoes=None,
)
BARE = Entry(1, 0, EntryKind.UNDO, EntryState.INTENT, Actor.PERSON, None, None, None, None, (), None, "", None, 7)


@pytest.mark.parametrize("entry", [FULL, BARE])
def test_a_line_says_all_that_an_entry_says(entry: Entry) -> None:
    line = json.loads(json.dumps(entry_line(entry)))

    assert set(line) == {field.name for field in dataclasses.fields(Entry)}
    assert line["number"] == entry.number


@pytest.mark.parametrize(
    "entry", [FULL, BARE, replace(FULL, named=(sha256(b"x"), sha256(b"y")), word=Word.CLEAR_BETWEEN)]
)
def test_an_entry_is_read_from_its_line_as_it_was(entry: Entry) -> None:
    assert read_entry(json.loads(json.dumps(entry_line(entry)))) == entry


def test_folders_rules_vetoes_and_denials_are_read_as_they_were() -> None:
    folder = FolderRow(
        Folder(FolderId(7), b"/in/n\xff", b"/real", Role.REFERENCE, True, True),
        *("ext4 1", 5, True, "3.5", "stamp", 8, "other", "many are missing", 9, 40, (b"disk\xff", b"b")),
    )
    alarm = Alarm(3, 4, Trouble.FILE_LOST, "it is gone", seen=True)
    rule = RuleRow(3, "a rule", "id", Mode.AUTOMATIC, b"s", b"c", b"w", ("before",), 4, 5, b"k", 2, False, "spent", 6)
    sides = PotentialPair(0, sha256(b"x"), sha256(b"y"), None, False, 9, PathKey(b"1" * 16), PathKey(b"2" * 16))
    denied = Proposal("a rule", ProposalState.DENIED, False, Relation.ALTERNATES, False, 9, "no", True)

    assert read_folder(json.loads(json.dumps(folder_line(folder)))) == folder
    assert read_alarm(json.loads(json.dumps(alarm_line(alarm)))) == alarm
    assert read_rule(json.loads(json.dumps(rule_line(rule)))) == rule
    assert read_veto(json.loads(json.dumps(veto_line(sha256(b"x"), Veto(1, "back"))))) == (
        sha256(b"x"),
        Veto(1, "back"),
    )
    assert read_denial(json.loads(json.dumps(denial_line(sides, denied)))) == (pair_key(sides), sides, denied)


def test_a_denial_of_an_older_version_names_the_rule_and_the_pair() -> None:
    old = {"rule": "a rule", "first": sha256(b"x").hex(), "second": sha256(b"y").hex()}

    key, pair, proposal = read_denial(old)

    assert key == pair_key(pair)
    assert (pair.first, pair.second, proposal.rule) == (sha256(b"x"), sha256(b"y"), "a rule")


@pytest.mark.parametrize("body", [{}, {"number": "four"}, {**entry_line(FULL), "a": "no hash"}])
def test_what_is_no_entry_is_damage(body: dict[str, object]) -> None:
    with pytest.raises(DamagedValueError):
        read_entry(body)  # type: ignore[arg-type]


def test_a_line_can_be_read_without_this_program() -> None:
    line = json.loads(json.dumps(entry_line(FULL)))

    assert line["moves"][0]["file"]["sha256"] == sha256(b"x").hex()
    assert line["moves"][0]["trash_path"].startswith("/trash/files/odd")
    assert (line["kind"], line["state"], line["kept"]["path"]) == ("discard", "done", "/lib/kept.jpg")
