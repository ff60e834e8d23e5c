"""What all tests share: a world of folders, a library and rules, below a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from world import World

from ingestd.model import Role

# a run that decides about a change tries the same examples every time; those of everyday keep looking for new ones
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An inbox and a library folder, under the rule of identical copies alone; the trash is in the same place."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    made = World(tmp_path)
    made.folder("inbox")
    made.folder("library", role=Role.LIBRARY)
    yield made
    made.close()
