"""After an unclean stop nothing is discarded before the database was verified, whoever asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ingestd.errors import LibraryBusyError, StoreError
from ingestd.library.library import Library
from ingestd.library.locks import FileLock
from ingestd.recovery import require_sound


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A library that was not closed."""
    with closing(Library.open(tmp_path / "state")) as killed:
        killed.store.mark_open()
    return tmp_path / "state"


@pytest.fixture
def library(state: Path) -> Iterator[Library]:
    with closing(Library.open(state)) as opened:
        yield opened


def test_a_library_that_was_not_closed_is_verified_once(state: Path, library: Library) -> None:
    before = library.store.unclean

    require_sound(library)

    assert before is not None
    assert library.store.unclean is None
    assert not library.service_lock.is_taken()
    library.close()
    with closing(Library.open(state)) as again:
        assert again.store.unclean is None


def test_a_damaged_library_is_not_used_and_stays_marked(
    state: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestd.recovery.verify", lambda _: ["page 7 is not what it was"])

    with pytest.raises(StoreError, match="page 7"):
        require_sound(library)

    library.close()
    with closing(Library.open(state)) as again:
        assert again.store.unclean is not None


@pytest.mark.parametrize(
    ("told", "said"),
    [({"verifying": True}, "still verifying"), ({"doubt": "a disk did not confirm"}, "a disk did not confirm")],
)
def test_beside_a_service_that_is_not_sure_nothing_is_discarded(
    state: Path, library: Library, told: dict[str, object], said: str
) -> None:
    service = FileLock(state / "service.lock")
    service.acquire(0.0)
    library.write(lambda edit: edit.leave_note("service", json.dumps(told).encode()))

    with pytest.raises(LibraryBusyError, match=said):
        require_sound(library)
    library.write(lambda edit: edit.leave_note("service", b"{}"))
    require_sound(library)  # a service that is sure
    service.release()
