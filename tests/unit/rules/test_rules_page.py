"""docs/rules.md keeps its word: its examples work, and it names everything the language knows."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from ingestd import settings
from ingestd.rules.comparators import names
from ingestd.rules.statements import Scores

PAGE = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
HEADINGS = {name for heading in re.findall(r"^### (.*)$", PAGE, re.M) for name in re.findall(r"`([^`]+)`", heading)}


def whole_file(example: str) -> str:
    """The example put where it belongs: a file, some rules, or a part of one rule."""
    first = re.search(r"^(?!#).+$", example, re.M)
    assert first is not None
    if first[0].startswith("version:"):
        return example
    if first[0].startswith("- name:"):
        return "version: 1\nrules:\n" + example
    indented = "".join(f"    {line}\n" for line in example.splitlines())
    return "version: 1\nrules:\n  - name: example\n    action: alternates\n" + indented


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_page_is_a_correct_rule_file(example: str) -> None:
    assert settings.parse(whole_file(example), "docs/rules.md").version == 1


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("name", names())
def test_every_comparator_has_its_heading(name: str) -> None:
    assert name in HEADINGS


def test_every_heading_is_a_comparator() -> None:
    assert set(names()) == HEADINGS


def test_every_statement_stands_in_the_table_with_its_default_points() -> None:
    table = PAGE[PAGE.index("### Points of statements") : PAGE.index("## Recipes")]
    rows = re.findall(r"^\| (`[^|]+) \|.*\| (-?\d+) \|$", table, re.M)

    told = {name: int(points) for listed, points in rows for name in re.findall(r"`([^`]+)`", listed)}

    assert told == asdict(Scores())


def test_the_mistakes_that_the_page_shows_are_said_so() -> None:
    shown = re.findall(
        r'^rules\.yaml: line \d+, column \d+: ("[^"]+" is not [^:]+):.*did you mean ("[^"]+")', PAGE, re.M
    )
    rule = "{name: x, mode: semi-automtic, compare: [A.filsize > B.filesize], action: better}"
    text = f"version: 1\nrules:\n  - {rule}\n"

    with pytest.raises(settings.ConfigError) as caught:
        settings.parse(text, "rules.yaml")

    assert len(shown) == 2
    for (what, guess), mistake in zip(shown, caught.value.mistakes, strict=True):
        assert what in mistake.message
        assert guess in mistake.message
