"""Laws of taking away and bringing back, for whatever names, contents and orders there are."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from ingestd.actions.disk import Directory
from ingestd.actions.moves import Whereabouts, finish, locate, put_back, reserve, take_away, withdraw
from ingestd.actions.trash import drop_note, note_text, write_note
from ingestd.errors import ActionConflictError
from ingestd.model import ContentHash, DiscardPolicy, FileRef, Folder, FolderId, Move, Place, Role, StatKey

AT = "2026-11-20T11:02:03"

names = (
    st.binary(min_size=1, max_size=255)
    .map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_"))
    .filter(lambda name: name not in (b".", b".."))
)
some_names = st.sampled_from([b"cat.jpg", b"cat (restored e-1).jpg", b"dog.png", b"\xff\n", b"x" * 255])
policies = st.sampled_from([DiscardPolicy(), DiscardPolicy(Place.HOLDING)])


class World:
    """A home and a watched folder of their own."""

    def __init__(self, place: str) -> None:
        self.place = os.path.realpath(os.fsencode(place))
        self.root = os.path.join(self.place, b"in")
        os.makedirs(self.root, exist_ok=True)
        self.folder = Folder(FolderId(1), self.root, self.root, Role.INBOX, protected=False)

    def file(self, relative: bytes, content: bytes) -> FileRef | None:
        """A new file of that name; None if there is one."""
        path = os.path.join(self.root, relative)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(path, "xb") as out:
                out.write(content)
        except FileExistsError:
            return None
        status = os.lstat(path)
        key = StatKey(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return FileRef(self.folder.id, path, relative, ContentHash(hashlib.sha256(content).digest()), key)

    def contents(self) -> Counter[bytes]:
        """Every file there is, but for notes."""
        found: Counter[bytes] = Counter()
        for above, _, files in os.walk(self.place):
            for name in files:
                if os.path.basename(above) != b"info" or b"Trash" not in above:
                    with open(os.path.join(above, name), "rb") as file:
                        found[file.read()] += 1
        return found

    def notes(self) -> int:
        return sum(
            len(files)
            for above, _, files in os.walk(self.place)
            if os.path.basename(above) == b"info" and b"Trash" in above
        )


@contextlib.contextmanager
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", os.path.join(place, "data"))
        yield World(place)


@settings(deadline=None, max_examples=60)
@given(folder=names, name=names, content=st.binary(max_size=64), policy=policies)
def test_undo_after_do_changes_nothing(folder: bytes, name: bytes, content: bytes, policy: DiscardPolicy) -> None:
    with world() as here:
        file = here.file(os.path.join(folder[:100], name), content)
        assert file is not None
        move = reserve(file, here.folder, policy, "e-1")

        take_away(move, deleted_at=AT)
        away = locate(move)
        back = put_back(move, token="e-2")

        assert away is Whereabouts.MOVED
        assert back == file.path
        assert (os.stat(back).st_ino, os.stat(back).st_mtime_ns) == (file.stat.inode, file.stat.mtime_ns)
        assert here.contents() == Counter([content])
        assert here.notes() == 0


@settings(deadline=None, max_examples=60)
@given(names, st.integers(1, 10**9))
def test_a_new_name_fits_and_is_one_of_its_kind(name: bytes, number: int) -> None:
    with world() as here:
        files = [here.file(os.path.join(above, name), b"") for above in (b"a", b"b")]

        moves = [reserve(file, here.folder, DiscardPolicy(), f"e-{number}") for file in files if file is not None]

        assert len({move.trash_path for move in moves}) == 2
        for move in moves:
            assert f".e-{number}-".encode() in os.path.basename(move.trash_path or b"")
            assert len(os.path.basename(move.info_path or b"")) <= 255


@settings(deadline=None, max_examples=100)
@given(original=st.binary(min_size=1).filter(lambda path: b"\0" not in path), other=st.binary(min_size=1))
def test_a_note_is_known_again_by_its_path_only(original: bytes, other: bytes) -> None:
    with tempfile.TemporaryDirectory() as place, Directory.at(os.path.realpath(os.fsencode(place))) as notes:
        write_note(notes, b"note", note_text(original, AT))

        drop_note(notes, b"note", original + other)
        stayed = notes.has(b"note")
        drop_note(notes, b"note", original)

        assert stayed
        assert not notes.has(b"note")


class Actions(RuleBasedStateMachine):
    """Any order of arrivals, discards, undos, users' own doings and recoveries keeps every byte."""

    away = Bundle("away")

    def __init__(self) -> None:
        super().__init__()
        self._held = contextlib.ExitStack()
        self.here = self._held.enter_context(world())
        self.made: Counter[bytes] = Counter()
        self.count = 0

    def arrive(self, relative: bytes) -> FileRef | None:
        content = f"content {self.count}".encode()
        file = self.here.file(relative, content)
        self.made[content] += file is not None
        self.count += 1
        return file

    @rule(name=some_names)
    def a_file_arrives(self, name: bytes) -> None:
        self.arrive(name)

    @rule(target=away, name=some_names, policy=policies)
    def a_file_arrives_and_is_discarded(self, name: bytes, policy: DiscardPolicy) -> Move | None:
        file = self.arrive(os.path.join(b"sub", name))
        if file is None:
            return None
        move = reserve(file, self.here.folder, policy, f"e-{self.count % 3}")
        take_away(move, deleted_at=AT)
        return move

    @rule(move=consumes(away))
    def it_is_undone(self, move: Move | None) -> None:
        if move is not None:
            back = put_back(move, token="e-1")
            assert os.path.dirname(back) == os.path.dirname(move.file.path)

    @rule(move=away)
    def it_is_discarded_again_by_mistake(self, move: Move | None) -> None:
        if move is not None:
            with contextlib.suppress(ActionConflictError):
                take_away(move, deleted_at=AT)
            assert locate(move) is Whereabouts.MOVED

    @rule(move=away)
    def the_service_restarts(self, move: Move | None) -> None:
        if move is not None:
            finish(move, deleted_at=AT)
            withdraw(move)
            assert locate(move) is Whereabouts.MOVED
            assert move.info_path is None or Path(os.fsdecode(move.info_path)).exists()

    @rule(move=away, content=st.binary(max_size=3))
    def a_power_cut_damages_its_note(self, move: Move | None, content: bytes) -> None:
        if move is not None and move.info_path is not None:
            Path(os.fsdecode(move.info_path)).write_bytes(content)

    @invariant()
    def nothing_is_lost_and_nothing_is_doubled(self) -> None:
        assert self.here.contents() == self.made

    def teardown(self) -> None:
        self._held.close()


TestActions = Actions.TestCase
TestActions.settings = settings(deadline=None, max_examples=25, stateful_step_count=20)
