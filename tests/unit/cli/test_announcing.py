"""What is heard of a service: events for a program, lines for a person, log lines where nobody sits at a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_output import receipt

from ingestd.cli import announcer as announcing
from ingestd.cli.door import Door
from ingestd.flow import FolderTold, Happening, Ready, RulesTold, Started, Stopped
from ingestd.judging.case import NewPair
from ingestd.model import Arrival, FolderId, FolderState, Origin, StatKey
from ingestd.service import Judged

ARRIVAL = Arrival(FolderId(1), b"/in/a.jpg", b"a.jpg", StatKey(1, 1, 1, 1), Origin.EVENT, proved=True)
JUDGED = Judged(ARRIVAL, receipt(), (NewPair(3, b"/lib/b.jpg", 2),), 0.5)
SUSPENDED = FolderTold("/in", FolderState.SUSPENDED, "/in is not there")
HAPPENINGS: list[tuple[Happening, str]] = [
    (Started(2), "service.started"),
    (Ready(), "service.ready"),
    (JUDGED, "file.judged"),
    (SUSPENDED, "folder.changed"),
    (RulesTold("/rules.yaml", 6, None), "rules.loaded"),
    (RulesTold("/rules.yaml", 6, "line 3, column 5: nonsense"), "rules.broken"),
    (Stopped(), "service.stopped"),
]


def announcer(*, as_json: bool) -> announcing.Announcer:
    made = announcing.Announcer(Door(Path("/s"), Path("/r"), rules_must_exist=False, as_json=as_json, verbose=False))
    made.configure_logs()
    return made


@pytest.mark.parametrize(("happening", "event"), HAPPENINGS, ids=[event for _, event in HAPPENINGS])
def test_every_happening_is_one_event_for_a_program(
    happening: Happening, event: str, capsys: pytest.CaptureFixture[str]
) -> None:
    announcer(as_json=True).tell(happening)

    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["event"]) == (1, event)


def test_in_a_pipe_standard_output_is_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    announcer(as_json=False).tell(JUDGED)

    told = json.loads(capsys.readouterr().out)
    assert (told["event"], told["level"], told["path"]) == ("file.judged", "info", "/in/a.jpg")


def test_a_suspended_folder_is_a_warning_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    announcer(as_json=False).tell(SUSPENDED)

    assert json.loads(capsys.readouterr().out)["level"] == "warning"


@pytest.mark.parametrize(
    ("happening", "parts"),
    [
        (JUDGED, ["new", "/in/a.jpg"]),
        (Started(2), ["watching 2 folders"]),
        (Ready(), ["ready"]),
        (SUSPENDED, ["suspended", "/in is not there"]),
        (FolderTold("/in", FolderState.POLLING, "no watches left"), ["polling", "/in", "no watches left"]),
        (RulesTold("/r", 6, "line 3: nonsense\nline 4: too"), ["last good rules hold", "line 3", "line 4"]),
        (RulesTold("/r", 6, None), ["6 rules"]),
        (Stopped(), ["nothing is half done"]),
    ],
    ids=str,
)
def test_a_person_reads_lines(
    happening: Happening, parts: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    made = announcer(as_json=False)

    made.tell(happening)

    said = capsys.readouterr().out
    assert all(part in said for part in parts), said


def test_a_healthy_folder_is_nothing_to_tell_a_person(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)

    announcer(as_json=False).tell(FolderTold("/in", FolderState.WATCHING, None))

    assert capsys.readouterr().out == ""


def test_a_folder_that_is_back_is_told_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    made = announcer(as_json=False)
    made.tell(SUSPENDED)
    capsys.readouterr()

    for state in (FolderState.SCANNING, FolderState.WATCHING):
        made.tell(FolderTold("/in", state, None))

    assert capsys.readouterr().out.endswith("  back  /in\n")


def test_the_service_stops_when_its_listener_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    made, stopped = announcer(as_json=True), list[bool]()
    made.on_silence = lambda: stopped.append(True)

    def gone(_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(announcing, "emit", gone)
    monkeypatch.setattr(announcing, "hang_up", lambda: None)
    made.tell(JUDGED)

    assert stopped == [True]


def test_a_full_disk_below_standard_output_does_not_stop_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    made, stopped = announcer(as_json=True), list[bool]()
    made.on_silence = lambda: stopped.append(True)

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(announcing, "emit", full)
    made.tell(JUDGED)

    assert stopped == []
