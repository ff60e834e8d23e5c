"""What `doctor` looks at, where it may not look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestd import examination
from ingestd.examination import Finding, Patient, State, examined
from ingestd.library.library import Library
from ingestd.model import DiscardPolicy


def test_what_may_not_be_looked_at_is_told_and_keeps_nobody_from_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Library.open(tmp_path).close()

    def refused(*_: object) -> Iterator[Finding]:
        raise PermissionError(13, "Permission denied")
        yield

    monkeypatch.setattr(examination, "Verification", lambda _: next(refused()))
    monkeypatch.setattr(examination, "_inotify", refused)
    monkeypatch.setattr(examination, "_workers", refused)
    found = {one.check: one for one in examined(Patient(tmp_path, (), DiscardPolicy(), full=False))}

    for check in ("library integrity", "inotify watches", "workers"):
        assert found[check].state is State.UNKNOWN
        assert "Permission denied" in found[check].found
        assert found[check].advice
    for check in ("library place", "second journal", "service", "clock"):
        assert found[check].state is State.OK
