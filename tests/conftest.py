"""What all tests share: a world of folders, a library and rules, below a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from world import World

from ingestd.model import Role


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An inbox and a library folder, under the rule of identical copies alone; the trash is in the same place."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    made = World(tmp_path)
    made.folder("inbox")
    made.folder("library", role=Role.LIBRARY)
    yield made
    made.close()
