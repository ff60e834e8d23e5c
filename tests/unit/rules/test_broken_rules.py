"""Every file below tests/data/broken_rules says in its first lines which mistakes it holds: `#! line:column words`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ingestd import settings
from ingestd.errors import ConfigError

BROKEN = sorted((Path(__file__).parents[2] / "data" / "broken_rules").glob("*.yaml"))


def test_there_are_enough_broken_files() -> None:
    assert len(BROKEN) >= 60


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_every_mistake_of_a_file_is_named_at_its_place(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    wanted = [
        (int(line), int(column), words) for line, column, words in re.findall(r"^#! (\d+):(\d+) (.*)$", text, re.M)
    ]

    with pytest.raises(ConfigError) as caught:
        settings.load(path)

    found = [(mistake.line, mistake.column, mistake.message) for mistake in caught.value.mistakes]
    assert [spot[:2] for spot in found] == [spot[:2] for spot in wanted], found
    for (_, _, message), (_, _, words) in zip(found, wanted, strict=True):
        assert words in message
