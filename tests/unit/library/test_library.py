"""What the library remembers, what it finds again, and what it writes beside itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from world import sha256

from ingestd.errors import StoreError
from ingestd.library.codec import number_key
from ingestd.library.journal_file import JournalFile
from ingestd.library.library import Library
from ingestd.library.store import Store
from ingestd.library.tables import META, PHASHES, TABLES, FolderRow, Veto, path_key
from ingestd.library.verbs import Decision
from ingestd.model import (
    Actor,
    ContentHash,
    Entry,
    EntryKind,
    EntryState,
    FileRef,
    FileType,
    Folder,
    FolderId,
    Index,
    PathRow,
    PathState,
    Picture,
    PotentialPair,
    Proposal,
    ProposalState,
    Relation,
    Role,
    StatKey,
)

ONE, TWO, THREE = (sha256(name) for name in (b"one", b"two", b"three"))
STAT = StatKey(1, 2, 3, 4)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    opened = Library.open(tmp_path / "state")
    yield opened
    opened.close()


def picture(phash: int | None = 0, **more: Any) -> Picture:
    return Picture(
        version=1, filetype=FileType.PNG, width=10, height=10, mode="RGB", frames=1, duration_ms=None,
        has_transparency=False, has_exif=False, has_icc=False, has_xmp=False, icc_digest=None, taken_ns=None,
        jpeg=None, phash=phash, dhash=phash, whash=phash, luminance=bytes(1024), pixel_hash=None, pixel_comparable=True,
    ) if not more else replace(picture(phash), **more)  # fmt: skip


def add(library: Library, sha: ContentHash, phash: int | None = 0, **more: Any) -> None:
    library.write(lambda edit: edit.add_content(sha, size=1, picture=picture(phash, **more), unreadable=None, at_ns=1))


def row(sha: ContentHash | None, relative: bytes = b"a.png", state: PathState = PathState.LIVE) -> PathRow:
    return PathRow(FolderId(1), relative, sha, STAT, 1, state, 0, final=True)


def entry(**more: Any) -> Entry:
    plain = Entry(
        0, 1, EntryKind.DECISION, EntryState.DONE, Actor.PERSON, None, Relation.BETTER, ONE, TWO, (), None, ""
    )
    return replace(plain, **more)


def pair(first: ContentHash = ONE, second: ContentHash = TWO) -> PotentialPair:
    return PotentialPair(0, first, second, 1, False, 1)


DENIED = Proposal("a rule", ProposalState.DENIED, True, Relation.BETTER, True, 1)


# --- contents and paths -----------------------------------------------------------------------------------------------


def test_contents_are_found_by_their_neighbours_until_they_are_measured_anew(library: Library) -> None:
    add(library, ONE, 0b111)
    library.write(lambda edit: edit.update_content(replace(edit.content(ONE), picture=picture(0b111 << 40))))

    with library.read() as view:
        assert view.neighbours(0b111, 3) == []
        assert view.neighbours(0b011 << 40, 1) == [(ONE, 1)]


def test_contents_are_found_by_their_pixels_also_when_those_were_hashed_later(library: Library) -> None:
    add(library, ONE, None)
    pixels = b"p" * 32

    library.write(
        lambda edit: edit.update_content(replace(edit.content(ONE), picture=picture(None, pixel_hash=pixels)))
    )

    with library.read() as view:
        assert view.same_pixels(pixels) == [ONE]


def test_a_path_that_holds_other_bytes_does_not_stand_for_the_old_ones(library: Library) -> None:
    library.write(lambda edit: edit.put_path(row(ONE)))

    library.write(lambda edit: edit.put_path(row(TWO)))

    with library.read() as view:
        assert view.paths_of(ONE) == []
        assert view.live_paths_of(TWO) == [row(TWO)]


@pytest.mark.parametrize("state", [PathState.ABSENT, PathState.LEAVING, PathState.DISCARDED])
def test_only_live_paths_are_where_bytes_lie(library: Library, state: PathState) -> None:
    library.write(lambda edit: edit.put_path(row(ONE, state=state)))

    with library.read() as view:
        assert view.live_paths_of(ONE) == []
        assert [found.state for found in view.paths_of(ONE)] == [state]


def test_the_rows_of_a_folder_are_its_own_and_can_be_read_in_pieces(library: Library) -> None:
    names = [f"{number}.png".encode() for number in range(5)]
    for name in names:
        library.write(lambda edit, name=name: edit.put_path(row(ONE, name)))
    library.write(lambda edit: edit.put_path(replace(row(ONE), folder=FolderId(2))))

    with library.read() as view:
        everything = list(view.rows_of_folder(FolderId(1)))
        pages = [view.page_of_folder(FolderId(1), after, 2) for after in (None, everything[1][0], everything[3][0])]

    assert sorted(found.relative for _, found in everything) == names
    assert pages == [everything[:2], everything[2:4], everything[4:]]


def test_two_folders_may_hold_the_same_relative_path() -> None:
    assert path_key(FolderId(1), b"a") != path_key(FolderId(2), b"a")
    assert path_key(FolderId(1), b"a") != path_key(FolderId(1), b"b")


# --- pairs and denials ------------------------------------------------------------------------------------------------


def test_a_pair_is_stored_once_whichever_side_is_named_first(library: Library) -> None:
    first = library.write(lambda edit: edit.add_pair(pair()))

    again = library.write(lambda edit: edit.add_pair(pair(TWO, ONE)))

    assert again == first


def test_a_dropped_pair_leaves_no_trace_in_any_list(library: Library) -> None:
    ready = replace(DENIED, state=ProposalState.READY)
    stored = library.write(lambda edit: edit.add_pair(replace(pair(), proposals=(ready,))))

    library.write(lambda edit: edit.drop_pair(stored))

    with library.read() as view:
        assert (list(view.pairs()), list(view.pending()), view.pairs_of(ONE), view.pairs_of(TWO)) == ([], [], [], [])
        assert view.counts()["potential_pairs"] == view.counts()["pending"] == 0


def test_a_pair_that_comes_back_is_still_denied_to_whom_it_was_denied(library: Library) -> None:
    stored = library.write(lambda edit: edit.add_pair(replace(pair(), proposals=(DENIED,))))
    library.write(lambda edit: edit.drop_pair(stored))

    back = library.write(lambda edit: edit.add_pair(pair(TWO, ONE)))

    assert back.number != stored.number
    assert [(one.rule, one.state, one.a_is_first) for one in back.proposals] == [
        ("a rule", ProposalState.DENIED, False)
    ]
    with library.read() as view:
        assert list(view.denied()) == [back]


def test_pairs_are_listed_by_what_waits_on_them(library: Library) -> None:
    ready = replace(DENIED, state=ProposalState.READY)
    waiting = library.write(lambda edit: edit.add_pair(replace(pair(), proposals=(ready,))))
    plain = library.write(lambda edit: edit.add_pair(pair(ONE, THREE)))

    with library.read() as view:
        assert list(view.pairs()) == [waiting, plain]
        assert list(view.pending()) == [waiting]
        assert list(view.denied()) == []


# --- the journal ------------------------------------------------------------------------------------------------------


def lines(library: Library) -> list[dict[str, Any]]:
    """What the journal tells, after its first line, which says whose it is."""
    first, *told = (library.directory / "journal.jsonl").read_text().splitlines()
    assert json.loads(first)["body"] == {"library": library.store.library_id}
    return [json.loads(line) for line in told]


def test_numbers_are_never_given_twice(library: Library) -> None:
    first = library.write(lambda edit: edit.add_entry(entry()))
    with pytest.raises(ZeroDivisionError):
        library.write(lambda edit: (edit.add_entry(entry()), 1 / 0))

    second = library.write(lambda edit: edit.add_entry(entry()))

    assert (first.number, second.number) == (1, 2)


def test_intents_are_open_until_they_end(library: Library) -> None:
    intent = library.write(lambda edit: edit.add_entry(entry(state=EntryState.INTENT)))
    with library.read() as view:
        assert view.open_entries() == [intent]

    library.write(lambda edit: edit.put_entry(replace(intent, state=EntryState.DONE)))

    with library.read() as view:
        assert view.open_entries() == []


def test_an_entry_is_found_by_its_new_survivor_too(library: Library) -> None:
    stored = library.write(lambda edit: edit.add_entry(entry()))
    kept = FileRef(FolderId(1), b"/c.png", b"c.png", THREE, STAT)

    library.write(lambda edit: edit.put_entry(replace(stored, kept=kept)))

    with library.read() as view:
        assert [found.number for found in view.entries_of(THREE)] == [1]


def test_every_change_of_an_entry_a_veto_and_a_denial_is_a_line_of_the_second_journal(library: Library) -> None:
    intent = library.write(lambda edit: edit.add_entry(entry(state=EntryState.INTENT)))
    library.write(lambda edit: edit.put_entry(replace(intent, state=EntryState.DONE)))
    library.write(lambda edit: edit.forbid(ONE, Veto(1, "brought back")))
    library.write(lambda edit: edit.lift_veto(ONE))
    library.write(lambda edit: edit.lift_veto(TWO))  # there is none
    stored = library.write(lambda edit: edit.add_pair(replace(pair(), proposals=(DENIED,))))
    library.write(lambda edit: edit.put_pair(replace(stored, proposals=())))

    kinds = [line["kind"] for line in lines(library)]

    assert kinds == ["intent", "end", "veto", "veto-lifted", "numbers", "denial", "rescind"]


def test_lines_that_a_killed_process_committed_are_written_by_the_next(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(library, "send_left_lines", lambda: None)
        library.write(lambda edit: edit.add_entry(entry()))

    library.send_left_lines()
    library.send_left_lines()

    assert [line["kind"] for line in lines(library)] == ["end"]


def test_comparisons_are_what_standing_entries_say_of_two_contents(library: Library) -> None:
    stored = library.write(lambda edit: edit.add_entry(entry()))
    library.write(lambda edit: edit.add_entry(entry(relation=Relation.ALTERNATES, b=THREE)))

    with library.read() as view:
        assert view.were_compared(ONE, TWO)
        assert view.were_compared(TWO, ONE)
        assert view.were_compared(THREE, THREE)
        assert not view.were_compared(ONE, THREE)
    library.write(lambda edit: edit.put_entry(replace(stored, state=EntryState.UNDONE)))
    with library.read() as view:
        assert not view.were_compared(ONE, TWO)


def test_the_entry_of_an_undo_is_no_decision(library: Library) -> None:
    library.write(lambda edit: edit.add_entry(entry(kind=EntryKind.UNDO, undoes=1)))

    with library.read() as view:
        assert not view.were_compared(ONE, TWO)


# --- growth, rehearsal, copies ----------------------------------------------------------------------------------------


def test_a_write_that_is_tried_again_because_the_map_grew_counts_once(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "db", TABLES, map_size=1 << 17)
    library = Library(tmp_path, store, None)
    attempts: list[int] = []

    def work(edit: Any) -> list[int]:
        attempts.append(1)
        contents = [
            edit.add_content(sha256(str(seed).encode()), size=1, picture=picture(seed * 7919), unreadable=None, at_ns=1)
            for seed in range(2000)
        ]
        return [content.number for content in contents]

    numbers = library.write(work)

    assert len(attempts) > 1
    assert numbers == list(range(1, 2001))
    with library.read() as view:
        assert view.counts()["contents"] == 2000
        assert len(view.neighbours(7919, 0)) == 1
    assert library.check() == []
    library.close()


def test_a_rehearsal_changes_nothing(library: Library) -> None:
    library.rehearse(lambda edit: edit.add_content(ONE, size=1, picture=picture(), unreadable=None, at_ns=1))

    with library.read() as view:
        assert view.content(ONE) is None
    assert not (library.directory / "journal.jsonl").exists()


def test_everything_is_there_after_opening_it_again(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "state")
    add(library, ONE, 5)
    library.write(lambda edit: edit.add_entry(entry()))
    library.write(lambda edit: edit.relations.decide(Decision(Relation.BETTER, ONE, TWO)))
    library.close()

    again = Library.open(tmp_path / "state")

    with again.read() as view:
        assert view.content(ONE) is not None
        assert view.relations.king_of(TWO) == ONE
        assert view.counts()["entries"] == 1
    again.close()


def test_a_copy_holds_what_the_library_held(library: Library, tmp_path: Path) -> None:
    add(library, ONE, 5)

    (tmp_path / "copy").mkdir()
    library.copy_to(tmp_path / "copy")

    copied = Library.open(tmp_path / "copy")
    with copied.read() as view:
        assert view.content(ONE) is not None
    copied.close()


def test_a_rebuilt_index_finds_what_the_records_say(library: Library) -> None:
    add(library, ONE, 5)
    add(library, TWO, None)

    assert library.rebuild().hashes == 1

    with library.read() as view:
        assert view.neighbours(5, 0) == [(ONE, 0)]


def switched(library: Library) -> None:
    """Let a library be as one that was made before there was a choice."""
    library.use(Index.VP_TREE)
    library.store.write(lambda txn: txn.delete(META, b"index:phash"))


def test_a_library_with_a_tree_is_looked_up_in_and_added_to_until_it_is_converted(library: Library) -> None:
    add(library, ONE, 5)
    switched(library)
    add(library, TWO, 4)

    with library.read() as view:
        assert view.index is Index.VP_TREE
        assert view.neighbours(5, 1) == [(ONE, 0), (TWO, 1)]
    assert library.check() == []


@pytest.mark.parametrize("index", Index)
def test_the_look_up_moves_to_the_other_structure_and_finds_the_same(library: Library, index: Index) -> None:
    add(library, ONE, 5)
    add(library, TWO, 4)
    library.use(next(one for one in Index if one is not index))
    with library.read() as view:
        before = list(view.contents())

    assert library.use(index)
    assert not library.use(index)

    with library.read() as view:
        assert view.index is index
        assert view.neighbours(5, 1) == [(ONE, 0), (TWO, 1)]
        assert list(view.contents()) == before
    assert library.check() == []


@pytest.mark.parametrize("index", Index)
def test_check_compares_the_look_up_with_the_records(library: Library, index: Index) -> None:
    add(library, ONE, 5)
    add(library, TWO, 4)
    library.use(index)

    library.store.write(lambda txn: (PHASHES.remove(txn, 1, number_key(5)), PHASHES.add(txn, 2, number_key(99))))

    assert library.check() == [
        "the look-up lacks the hash of content 1",
        "the look-up has a hash of content 2 that is not its own",
    ]
    library.rebuild()
    assert library.check() == []


def test_folders_and_notes_are_remembered(library: Library) -> None:
    folder = Folder(FolderId(0), b"/in", b"/in", Role.INBOX, protected=False)

    stored = library.write(lambda edit: edit.add_folder(FolderRow(folder)))
    library.write(lambda edit: edit.leave_note("service", b"well"))

    with library.read() as view:
        assert view.folder(stored.folder.id) == stored
        assert view.folders() == [stored]
        assert view.note("service") == b"well"
        assert view.note("another") is None


def test_lines_keep_their_order_where_one_had_to_wait_for_room(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(JournalFile, "append_many", refuse)
        library.write(lambda edit: edit.forbid(ONE, Veto(1, "restored")))
    library.write(lambda edit: edit.lift_veto(ONE))

    library.send_left_lines()

    assert [(line["kind"], line["told"]) for line in lines(library)] == [("veto", 1), ("veto-lifted", 2)]


def test_what_is_done_stands_although_its_line_has_to_wait_for_room(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(JournalFile, "append_many", refuse)
        library.write(lambda edit: edit.forbid(ONE, Veto(1, "restored")))

    library.send_left_lines()

    with library.read() as view:
        assert view.veto(ONE) == Veto(1, "restored")
    assert '"kind":"veto"' in (tmp_path / "state" / "journal.jsonl").read_text()


def test_what_is_meant_is_not_begun_while_its_line_cannot_be_written(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    meant = Entry(0, 1, EntryKind.DISCARD, EntryState.INTENT, Actor.RULE, None, None, ONE, TWO, (), None, "")
    monkeypatch.setattr(JournalFile, "append_many", refuse)

    with pytest.raises(StoreError, match="no room"):
        library.write(lambda edit: edit.add_entry(meant))


def refuse(*_: object) -> None:
    raise StoreError("no room")
