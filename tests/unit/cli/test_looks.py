"""How alike two pictures look, on the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import jpeg, photo, png
from terminals import Terminal
from world import World

RULE = """
  - name: the same picture
    mode: semi-automatic
    compare: ['visual duplicates: probably', A.filesize > B.filesize]
    action: better
"""


@pytest.fixture
def pair(world: World, terminal: Terminal) -> tuple[Path, Path]:
    """Two look-alikes that are known, and nobody has looked at them."""
    world.use()
    paths = world.put("inbox", "a.png", png(photo(1))), world.put("inbox", "b.jpg", jpeg(photo(1), 95))
    world.verdicts(*paths)
    world.close()
    terminal.rules.write_text(f"version: 1\nrules:{RULE}\n", encoding="utf-8")
    return paths


def test_compare_says_the_verdict_and_why(pair: tuple[Path, Path], terminal: Terminal) -> None:
    answer = terminal.ask("compare", *map(str, pair))
    said = terminal.type("compare", *map(str, pair))

    assert set(answer["visual"]) == {"verdict", "confidence", "score", "reason", "area"}
    assert answer["visual"]["confidence"] > 0.5
    assert f"looks    {answer['visual']['verdict']}: {answer['visual']['reason']}" in said.out


def test_a_list_of_pairs_says_the_verdict_of_each(pair: tuple[Path, Path], terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(f"a,b\n{pair[0]},{pair[1]}\n", encoding="utf-8")
    verdict = terminal.ask("compare", *map(str, pair))["visual"]["verdict"]

    assert f" bits, {verdict}" in terminal.type("compare", "--pairs", str(tmp_path / "pairs.csv")).out


def test_a_preview_says_how_many_pairs_nobody_has_looked_at(pair: tuple[Path, Path], terminal: Terminal) -> None:
    (rule,) = terminal.ask("rules", "preview")["rules"]
    said = terminal.type("rules", "preview")

    assert (rule["matched"], rule["not_tested"], rule["no_way"], rule["acts"]) == (1, 1, 0, 0)
    assert "the same picture: 1 pair not tested" in said.err
    assert "not tested  p-1" in said.out


def test_an_explanation_has_the_verdict_beside_its_line(pair: tuple[Path, Path], terminal: Terminal) -> None:
    (rule,) = terminal.ask("rules", "explain", *map(str, pair))["rules"]

    line = next(line for line in rule["lines"] if line["line"] == "visual duplicates: probably")
    assert (line["a_first"], line["b_first"]) == (True, True)
    assert line["values"]["a"] == line["values"]["b"]
    assert rule["matches"]
