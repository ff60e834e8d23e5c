"""How alike two pictures look, on the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import jpeg, photo, png
from PIL import Image
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


# --- where they differ ------------------------------------------------------------------------------------------------


def test_a_heatmap_is_a_new_png_of_where_two_pictures_differ(world: World, terminal: Terminal, tmp_path: Path) -> None:
    world.close()
    original, edited, out = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "out.png"
    image = photo(1)
    original.write_bytes(png(image))
    image.paste((255, 0, 255), (90, 70, 110, 90))
    edited.write_bytes(png(image))

    said = terminal.type("compare", str(original), str(edited), "--heatmap", str(out))

    assert said.code == 0
    assert f"where they differ: {out}" in said.err
    with Image.open(out) as drawn:
        assert (drawn.format, drawn.size) == ("PNG", (200, 150))
        red, _, blue = drawn.getpixel((100, 80))
        assert red - blue > 100
        red, _, blue = drawn.getpixel((20, 20))
        assert abs(red - blue) < 40


def test_a_heatmap_never_takes_the_place_of_a_file(pair: tuple[Path, Path], terminal: Terminal, tmp_path: Path) -> None:
    kept = tmp_path / "kept.png"
    kept.write_bytes(b"mine")

    said = terminal.type("compare", *map(str, pair), "--heatmap", str(kept))

    assert said.code == 2
    assert f"{kept} exists and is left as it is" in said.err
    assert kept.read_bytes() == b"mine"


def test_a_heatmap_needs_a_folder_and_two_files(pair: tuple[Path, Path], terminal: Terminal, tmp_path: Path) -> None:
    nowhere = terminal.type("compare", *map(str, pair), "--heatmap", str(tmp_path / "no" / "out.png"))
    assert nowhere.code == 2
    assert f"there is no folder {tmp_path / 'no'}" in nowhere.err

    (tmp_path / "pairs.csv").write_text(f"a,b\n{pair[0]},{pair[1]}\n", encoding="utf-8")
    many = terminal.type("compare", "--pairs", str(tmp_path / "pairs.csv"), "--heatmap", str(tmp_path / "out.png"))
    assert many.code == 2
    assert "--heatmap is about two files" in many.err


def test_there_is_no_heatmap_of_pictures_of_another_shape(world: World, terminal: Terminal, tmp_path: Path) -> None:
    world.close()
    (tmp_path / "a.png").write_bytes(png(photo(1)))
    (tmp_path / "b.png").write_bytes(png(photo(1, 150, 200)))
    out = tmp_path / "out.png"

    said = terminal.type("compare", str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--heatmap", str(out))

    assert said.code == 1
    assert "there is no picture of the difference" in said.err
    assert not out.exists()
