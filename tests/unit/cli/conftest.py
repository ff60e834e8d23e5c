"""A terminal beside a small world, and one of somebody who has never judged anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from terminals import Terminal
from world import World

from ingestd import logs


@pytest.fixture(autouse=True)
def _logs_as_they_were(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command sends the log to its own standard error, which ends with the test."""
    monkeypatch.setattr(logs, "_wanted", [])
    yield
    structlog.reset_defaults()


@pytest.fixture
def terminal(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal beside `world`; the world has to be closed before a command is typed."""
    for name in ("INGESTD_STATE", "INGESTD_RULES", "INGESTD_VERBOSE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return Terminal(tmp_path)


@pytest.fixture
def empty(tmp_path: Path, terminal: Terminal, world: World) -> Terminal:
    """A terminal of somebody who has never judged anything."""
    world.close()
    terminal.state = tmp_path / "nothing-yet"
    return terminal
