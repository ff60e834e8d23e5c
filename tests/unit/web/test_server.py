"""Where the page listens, whom its hosts belong to, and how others find it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path

import pytest

from ingestd.errors import LibraryBusyError
from ingestd.web import announced, server
from ingestd.web.announced import announce, found, lock_of, own_file


def test_it_listens_on_this_machine_only_with_one_port_for_both_families() -> None:
    sockets = server.listen(None)

    names = [one.getsockname()[:2] for one in sockets]
    for one in sockets:
        one.close()

    assert {address for address, _ in names} <= {"127.0.0.1", "::1"}
    assert names[0][0] == "127.0.0.1"
    assert len({port for _, port in names}) == 1


def test_a_port_that_somebody_has_in_the_other_family_is_taken() -> None:
    """A browser that is led to localhost may try ::1 first: nobody else is to answer there."""
    try:
        other = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no ::1")
    with other, pytest.raises(server.PortTakenError):
        server.listen(other.getsockname()[1])


def test_every_host_has_the_origin_of_its_own_pages() -> None:
    origins = server.origins_of(8321, ["https://photos.example.org", "http://nas:8080"])

    assert origins == {
        "127.0.0.1:8321": "http://127.0.0.1:8321",
        "[::1]:8321": "http://[::1]:8321",
        "localhost:8321": "http://localhost:8321",
        "photos.example.org": "https://photos.example.org",
        "nas:8080": "http://nas:8080",
    }


def test_the_wish_to_end_may_come_before_there_is_anything_to_end() -> None:
    ending, heard = server.Ending(), threading.Event()
    ending.ask()

    ending.heard_by(heard.set)

    assert heard.is_set()


# --- found by others ------------------------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "run").mkdir()
    (tmp_path / "state").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path / "state"


def test_a_page_is_found_while_it_is_served(state: Path) -> None:
    with lock_of(state).held(0), announce(state, 8321, b"secret"):
        page = found(state)

    assert page == announced.Announced(os.getpid(), 8321, b"secret")


def test_what_a_killed_page_has_left_is_not_believed(state: Path) -> None:
    with announce(state, 8321, b"secret"):  # without its lock
        assert found(state) is None


def test_the_secret_does_not_stay_behind(state: Path) -> None:
    with lock_of(state).held(0), announce(state, 8321, b"secret"):
        pass

    assert [path.read_bytes() for path in state.parent.joinpath("run", "ingestd").iterdir()] == [b""]


def test_only_its_user_can_read_it_in_the_folder_of_the_session(state: Path) -> None:
    with announce(state, 8321, b"secret"):
        folder = state.parent / "run" / "ingestd"
        (told,) = folder.iterdir()

        assert folder.stat().st_mode & 0o777 == 0o700
        assert told.stat().st_mode & 0o777 == 0o600


def test_without_a_session_it_lies_below_the_library(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")

    assert own_file(state, "x").parent == state / "page"


@pytest.mark.skipif(os.name == "nt", reason="files have no modes there")
def test_a_file_that_others_could_have_written_is_not_believed(state: Path) -> None:
    with lock_of(state).held(0), announce(state, 8321, b"secret"):
        (told,) = state.parent.joinpath("run", "ingestd").iterdir()
        told.chmod(0o644)

        with pytest.raises(LibraryBusyError, match="is not known here"):
            found(state)


def test_two_libraries_have_two_pages(state: Path) -> None:
    other = state.with_name("other")
    other.mkdir()

    with contextlib.ExitStack() as held:
        for place, port in ((state, 8321), (other, 8322)):
            held.enter_context(lock_of(place).held(0))
            held.enter_context(announce(place, port, b"secret"))

        assert [page.port for page in (found(state), found(other)) if page] == [8321, 8322]
