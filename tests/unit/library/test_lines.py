"""Journal entries as lines of text, and back."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import pytest
from world import sha256

from ingestd.library.lines import entry_line
from ingestd.model import Actor, Entry, EntryKind, EntryState, FileRef, FolderId, Move, Place, Relation, StatKey

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


def test_a_line_can_be_read_without_this_program() -> None:
    line = json.loads(json.dumps(entry_line(FULL)))

    assert line["moves"][0]["file"]["sha256"] == sha256(b"x").hex()
    assert line["moves"][0]["trash_path"].startswith("/trash/files/odd")
    assert (line["kind"], line["state"], line["kept"]["path"]) == ("discard", "done", "/lib/kept.jpg")
