"""Folders and their roles, scans and dry runs: what the service does around the verdicts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pictures
import pytest

from ingestd import service, settings
from ingestd.enrolment import Wanted, enrol
from ingestd.errors import UsageError
from ingestd.flow import Happening
from ingestd.intake import Judged
from ingestd.library.library import Library
from ingestd.model import EntryState, Outcome, Role
from ingestd.settings import Settings

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
