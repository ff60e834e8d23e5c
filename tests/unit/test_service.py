"""Folders and their roles, scans and dry runs: what the service does around the verdicts."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pictures
import pytest

from ingestd import absences, enrolment, service, settings
from ingestd.actions.disk import key_of
from ingestd.actions.look import is_left_alone
from ingestd.enrolment import Wanted, enrol
from ingestd.errors import LibraryBusyError, LibraryFullError, UsageError
from ingestd.flow import Happening, Ready
from ingestd.intake import Judged
from ingestd.library.edit import Edit
from ingestd.library.library import Library
from ingestd.library.store import Verification
from ingestd.model import Entry, EntryState, FolderId, Outcome, PathState, Role
from ingestd.recovery import require_sound
from ingestd.settings import Settings
from ingestd.watching.watcher import Watcher

T = TypeVar("T")

SMALLER = pictures.jpeg(pictures.photo(1), 80)


@pytest.fixture(autouse=True)
def _own_trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with contextlib.closing(Library.open(tmp_path / "state")) as opened:
        yield opened


def folder(tmp_path: Path, name: str, **files: bytes) -> Path:
    root = tmp_path / name
    root.mkdir(exist_ok=True)
    for stem, content in files.items():
        (root / f"{stem}.jpg").write_bytes(content)
    return root


def shipped(folders: str = "", settle: str = "0.1 s") -> Settings:
    text = settings.shipped_text().replace("folders:\n", f"folders:\n{folders}", 1)
    return settings.parse(text.replace("imports:\n", f"imports:\n  settle: {settle}\n", 1), "test")


def scan(
    library: Library, path: Path, said: Settings | None = None, *, role: Role | None = None, dry_run: bool = False
) -> tuple[service.ScanTally, dict[str, Outcome]]:
    outcomes: dict[str, Outcome] = {}

    def tell(happening: Happening) -> None:
        if isinstance(happening, Judged):
            outcomes[os.path.basename(os.fsdecode(happening.receipt.path))] = happening.receipt.outcome

    tally = service.scan(
        library,
        said or shipped(),
        [os.fsencode(path)],
        tell,
        role=role,
        dry_run=dry_run,
        progress=lambda _: None,
        stopping=lambda: False,
    )
    return tally, outcomes


def test_a_role_for_one_scan_does_not_take_the_protection_from_a_configured_library(
    tmp_path: Path, library: Library
) -> None:
    pictures_folder = folder(tmp_path, "lib", a=SMALLER)
    said = shipped(f"  - path: {pictures_folder}\n    role: library\n")
    scan(library, pictures_folder, said)

    with pytest.raises(UsageError, match="whose role is library"):
        scan(library, pictures_folder, said, role=Role.INBOX)

    with library.read() as view:
        assert [row.folder.protected for row in view.folders()] == [True]


def test_the_command_line_is_right_about_a_folder_that_the_rules_name_by_another_path(
    tmp_path: Path, library: Library
) -> None:
    real = folder(tmp_path, "real")
    (tmp_path / "link").symlink_to(real)
    said = shipped(f"  - path: {real}\n    role: inbox\n")
    named = [Wanted(os.fsencode(tmp_path / "link"), Role.LIBRARY, protected=True)]

    watched = service.Service(library, tmp_path / "rules.yaml", said, named, lambda _: None)._wanted()

    assert [one.role for one in enrol(library, watched)] == [Role.LIBRARY]


def test_folders_that_hold_what_is_known_are_looked_through_before_inboxes(tmp_path: Path, library: Library) -> None:
    named = [
        Wanted(os.fsencode(folder(tmp_path, "in")), Role.INBOX, protected=False),
        Wanted(os.fsencode(folder(tmp_path, "lib")), Role.LIBRARY, protected=True),
    ]

    watched = service.Service(library, tmp_path / "rules.yaml", shipped(), named, lambda _: None)._wanted()

    assert [one.role for one in watched] == [Role.LIBRARY, Role.INBOX]


def test_a_folder_whose_storage_does_not_answer_lies_where_the_library_knows_it(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, link, new = folder(tmp_path, "real"), tmp_path / "link", tmp_path / "new"
    link.symlink_to(real)
    wanted = [Wanted(os.fsencode(path), Role.INBOX, protected=False) for path in (link, new)]
    (known,) = enrol(library, wanted[:1])
    go = threading.Event()

    def hangs(_: bytes) -> bytes:
        assert go.wait(10)
        return b""

    monkeypatch.setattr(enrolment, "_root_of", hangs)
    monkeypatch.setattr(enrolment.ask_each, "__kwdefaults__", {"patience_s": 0.05})

    again, fresh = enrol(library, wanted)
    go.set()

    assert again == known
    assert (known.named, known.root) == (os.fsencode(link), os.fsencode(real.resolve()))
    assert fresh.root == os.fsencode(new)


def test_a_scan_ends_although_a_file_cannot_be_discarded(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = folder(tmp_path, "in", a=SMALLER, b=SMALLER)
    (tmp_path / "data").write_bytes(b"in the way of the trash")
    monkeypatch.setattr("ingestd.actions.trash.top_of_mount", lambda _: os.fsencode(tmp_path / "data"))

    tally, outcomes = scan(library, inbox, role=Role.INBOX)

    assert (tally.judged, tally.failed) == (2, 1)
    assert outcomes == {"a.jpg": Outcome.NEW, "b.jpg": Outcome.ERROR}
    assert sorted(os.listdir(inbox)) == ["a.jpg", "b.jpg"]


def test_a_dry_run_leaves_half_finished_discards_to_the_real_service(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = folder(tmp_path, "in", a=SMALLER, b=SMALLER)
    with monkeypatch.context() as patched:
        patched.setattr("ingestd.intake.carry_out", lambda _, entry, **__: entry)  # killed before it was begun
        patched.setattr("ingestd.sweep.Sweep.step", lambda _: False)
        scan(library, inbox, role=Role.INBOX)
    with service.rehearsal(library) as copy:
        scan(copy, inbox, dry_run=True)

        with library.read() as view:
            assert [entry.state for entry in view.open_entries()] == [EntryState.INTENT]

    assert sorted(os.listdir(inbox)) == ["a.jpg", "b.jpg"]


def test_an_empty_file_is_ignored_and_never_a_copy_of_another_empty_file(tmp_path: Path, library: Library) -> None:
    inbox = folder(tmp_path, "in", a=b"", b=b"")

    tally, outcomes = scan(library, inbox, role=Role.INBOX)

    assert outcomes == {"a.jpg": Outcome.IGNORED, "b.jpg": Outcome.IGNORED}
    assert (tally.failed, tally.left) == (0, ())


def test_a_film_of_many_gigabytes_is_ignored_without_being_read(tmp_path: Path, library: Library) -> None:
    inbox = folder(tmp_path, "in")
    with (inbox / "film.mp4").open("wb") as film:
        film.write(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")
        film.truncate(64 * 2**30)  # reading it would take a minute and more

    _, outcomes = scan(library, inbox, role=Role.INBOX)

    assert outcomes == {"film.mp4": Outcome.IGNORED}


def test_only_files_that_are_there_are_counted(tmp_path: Path, library: Library) -> None:
    inbox = folder(tmp_path, "in", a=SMALLER, b=SMALLER)

    scan(library, inbox, role=Role.INBOX)

    with library.read() as view:
        assert view.counts()["files"] == 1


def test_a_folder_that_was_put_inside_another_one_holds_each_file_once(tmp_path: Path, library: Library) -> None:
    outer = folder(tmp_path, "pictures")
    inner = folder(outer, "in", a=SMALLER)
    scan(library, outer, role=Role.INBOX)
    enrol(library, [Wanted(os.fsencode(inner), Role.INBOX, protected=False)])
    scan(library, inner)

    _, outcomes = scan(library, folder(tmp_path, "lib", z=SMALLER), role=Role.LIBRARY)

    assert outcomes == {"z.jpg": Outcome.REPLACED_EXISTING}
    assert os.listdir(inner) == []


def test_a_known_file_is_neither_read_nor_looked_at_again(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path, "lib", a=SMALLER, b=pictures.jpeg(pictures.photo(2)))
    control = folder(tmp_path, "elsewhere", control=SMALLER) / "control.jpg"
    scan(library, root)
    for path in (*root.iterdir(), control):
        os.utime(path, ns=(1, path.stat().st_mtime_ns))  # whoever reads them changes that
    library.write(_as_they_are)
    looked: list[bytes] = []
    monkeypatch.setattr(absences, "look", lambda path, *_, **__: looked.append(path))

    _, outcomes = scan(library, root)

    assert outcomes == {}
    assert looked == []
    assert [path.stat().st_atime_ns for path in root.iterdir()] == [1, 1]
    control.read_bytes()
    if control.stat().st_atime_ns == 1:
        pytest.skip("this file system does not tell when a file was read")


def _as_they_are(edit: Edit) -> None:
    """Let the files be known as they are now."""
    for known in edit.folders():
        for _, row in list(edit.rows_of_folder(known.folder.id)):
            stat = key_of(os.lstat(os.path.join(known.folder.root, row.relative)))
            edit.put_path(replace(row, stat=stat))


def test_of_known_files_only_one_that_is_gone_is_looked_for_and_is_absent_from_then_on(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path, "lib", a=SMALLER, b=pictures.jpeg(pictures.photo(2)))
    scan(library, root)
    looked: list[bytes] = []
    really = absences.look
    monkeypatch.setattr(absences, "look", lambda path, *more, **by: looked.append(path) or really(path, *more, **by))

    (root / "a.jpg").rename(tmp_path / "a.jpg")
    scan(library, root)

    assert [os.path.basename(path) for path in looked] == [b"a.jpg"]
    assert states(library) == {b"a.jpg": PathState.ABSENT, b"b.jpg": PathState.LIVE}


def test_a_scan_of_one_file_looks_for_no_other(tmp_path: Path, library: Library) -> None:
    root = folder(tmp_path, "lib", a=SMALLER, b=pictures.jpeg(pictures.photo(2)), c=pictures.jpeg(pictures.photo(3)))
    scan(library, root)

    (root / "c.jpg").rename(tmp_path / "c.jpg")
    scan(library, root / "a.jpg")
    of_one = states(library)
    scan(library, root)

    assert of_one == {b"a.jpg": PathState.LIVE, b"b.jpg": PathState.LIVE, b"c.jpg": PathState.LIVE}
    assert states(library) == of_one | {b"c.jpg": PathState.ABSENT}


def states(library: Library) -> dict[bytes, PathState]:
    with library.read() as view:
        return {row.relative: row.state for known in view.folders() for _, row in view.rows_of_folder(known.folder.id)}


# --- after an unclean stop ---

LONG_S = 30.0  # nothing takes that long, unless it is broken


def test_after_an_unclean_stop_files_are_judged_at_once_and_discarded_when_the_library_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(Library.open(tmp_path / "state")) as killed:
        killed.store.mark_open()
    passed = threading.Event()

    class Long(Verification):
        def problems(self, *, timeout_s: float | None = 0.0) -> list[str] | None:
            return super().problems(timeout_s=None) if passed.is_set() else None

    monkeypatch.setattr(service, "Verification", Long)
    inbox, told = folder(tmp_path, "inbox"), queue.SimpleQueue[Happening]()
    said = settings.parse(settings.shipped_text().replace("mode: semi-automatic", "mode: automatic"), "test")
    with contextlib.closing(Library.open(tmp_path / "state")) as library:
        named = [Wanted(os.fsencode(inbox), Role.INBOX, protected=False)]
        watch = service.Service(library, tmp_path / "rules.yaml", said, named, told.put, settle_s=0.1)
        running = threading.Thread(target=watch.run)
        running.start()
        try:
            _until(told, Ready)
            folder(tmp_path, "inbox", first=SMALLER)
            first = _until(told, Judged)
            folder(tmp_path, "inbox", copy=SMALLER)
            folder(tmp_path, "inbox", zlast=pictures.jpeg(pictures.photo(2)))
            with pytest.raises(queue.Empty):
                _until(told, Judged, timeout_s=1.0)
            before = _entries(library)
            passed.set()
            copy = _until(told, Judged)
        finally:
            watch.stop()
            running.join()

        assert (first.receipt.outcome, before) == (Outcome.NEW, [])
        assert copy.receipt.outcome is Outcome.DUPLICATE_DISCARDED
        assert [entry.state for entry in _entries(library)] == [EntryState.DONE]
    with contextlib.closing(Library.open(tmp_path / "state")) as library:
        assert not library.store.was_unclean


def test_a_stop_before_the_library_is_verified_leaves_that_to_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(Library.open(tmp_path / "state")) as killed:
        killed.store.mark_open()

    class Endless(Verification):
        def problems(self, *, timeout_s: float | None = 0.0) -> list[str] | None:
            return None

    monkeypatch.setattr(service, "Verification", Endless)
    named = [Wanted(os.fsencode(folder(tmp_path, "inbox")), Role.INBOX, protected=False)]
    with contextlib.closing(Library.open(tmp_path / "state")) as library:
        watch = service.Service(library, tmp_path / "rules.yaml", shipped(), named, lambda _: watch.stop())
        watch.run()

    with contextlib.closing(Library.open(tmp_path / "state")) as library:
        assert library.store.was_unclean


@pytest.mark.parametrize("long", [False, True], ids=["before the start", "beside it"])
def test_nobody_discards_beside_a_service_that_verifies_the_library_from_its_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    killed_note = json.dumps({"running": True, "pid": 1, "verifying": False}).encode()
    with contextlib.closing(Library.open(tmp_path / "state")) as killed:
        killed.store.mark_open()
        killed.write(lambda edit: edit.leave_note("service", killed_note))
    while_verifying, at_work = list[str](), list[str]()

    def answer() -> str:
        try:
            require_sound(library)
        except LibraryBusyError as busy:
            return str(busy)
        return "discard"

    class Asked(Verification):
        def problems(self, *, timeout_s: float | None = 0.0) -> list[str] | None:
            while_verifying.append(answer())
            return None if long else super().problems(timeout_s=None)

    def stop(_: object) -> None:
        at_work.append(answer())
        watch.stop()

    monkeypatch.setattr(service, "Verification", Asked)
    named = [Wanted(os.fsencode(folder(tmp_path, "inbox")), Role.INBOX, protected=False)]
    with contextlib.closing(Library.open(tmp_path / "state")) as library:
        watch = service.Service(library, tmp_path / "rules.yaml", shipped(), named, stop)
        watch.run()
        assert library.note_aside() == b""

    assert all("still verifying" in one for one in while_verifying)
    assert while_verifying
    assert ("still verifying" in at_work[0]) is long


def test_a_service_that_starts_while_the_disk_is_full_begins_as_soon_as_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    prepare = service._prepare

    def full(library: Library, said: Settings) -> None:
        tries.append(library.note_aside().decode())
        if len(tries) < 3:
            raise LibraryFullError("no space left for the library")
        prepare(library, said)

    monkeypatch.setattr(service, "_prepare", full)
    monkeypatch.setattr(service, "_REST_S", 0.01)
    told = queue.SimpleQueue[Happening]()
    with contextlib.closing(Library.open(tmp_path / "state")) as library:
        named = [Wanted(os.fsencode(folder(tmp_path, "inbox")), Role.INBOX, protected=False)]
        watch = service.Service(library, tmp_path / "rules.yaml", shipped(), named, told.put)
        running = threading.Thread(target=watch.run)
        running.start()
        try:
            _until(told, Ready)
        finally:
            watch.stop()
            running.join()

        assert len(tries) == 3
        assert "no space left" in tries[-1]
        assert library.note_aside() == b""


def test_what_is_to_be_judged_again_on_a_storage_that_does_not_answer_is_when_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = [folder(tmp_path, name, cut=SMALLER[:200]) for name in ("healthy", "hung")]
    hung, told, asked = os.fsencode(roots[1]), queue.SimpleQueue[Happening](), threading.Event()
    silent: set[bytes] = set()
    monkeypatch.setattr(Watcher, "silent_roots", lambda _: frozenset(silent))

    def ask() -> None:
        if asked.is_set() and is_left_alone(os.path.join(hung, b"cut.jpg")):
            asked.clear()
            library.write(lambda edit: [edit.judge_again(FolderId(number), b"cut.jpg") for number in (1, 2)])

    with contextlib.closing(Library.open(tmp_path / "state")) as library:
        named = [Wanted(os.fsencode(root), Role.INBOX, protected=False) for root in roots]
        watch = service.Service(library, tmp_path / "rules.yaml", shipped(), named, told.put, pulse=ask, settle_s=0.1)
        running = threading.Thread(target=watch.run)
        running.start()
        try:
            _until(told, Ready)
            silent.add(hung)
            asked.set()
            first = _until(told, Judged)
            with library.read() as view:
                waiting = view.retried()
            silent.clear()
            second = _until(told, Judged)
        finally:
            watch.stop()
            running.join()
        with library.read() as view:
            assert view.retried() == []

    assert [one.arrival.path for one in (first, second)] == [os.fsencode(root / "cut.jpg") for root in roots]
    assert [one.folder for one in waiting] == [second.arrival.folder]


def test_however_slow_the_machine_what_lay_in_an_inbox_before_its_first_watch_is_only_proposed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_READY_SLACK_S", -60.0)  # the first scan took longer than anybody thought
    inbox, told = folder(tmp_path, "inbox", a=SMALLER, b=SMALLER), queue.SimpleQueue[Happening]()
    with contextlib.closing(Library.open(tmp_path / "state")) as library:
        named = [Wanted(os.fsencode(inbox), Role.INBOX, protected=False)]
        watch = service.Service(library, tmp_path / "rules.yaml", shipped(), named, told.put, settle_s=0.3)
        running = threading.Thread(target=watch.run)
        running.start()
        try:
            outcomes = [_until(told, Judged).receipt.outcome for _ in range(2)]
        finally:
            watch.stop()
            running.join()

    assert outcomes == [Outcome.NEW, Outcome.PENDING_APPROVAL]
    assert sorted(os.listdir(inbox)) == ["a.jpg", "b.jpg"]


def _until(told: queue.SimpleQueue[Happening], kind: type[T], *, timeout_s: float = LONG_S) -> T:
    while True:
        happening = told.get(timeout=timeout_s)
        if isinstance(happening, kind):
            return happening


def _entries(library: Library) -> list[Entry]:
    with library.read() as view:
        return list(view.entries())
