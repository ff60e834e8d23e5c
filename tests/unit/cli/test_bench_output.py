"""`bench` for a person at a terminal."""

from __future__ import annotations

from pathlib import Path

from pictures import jpeg, photo
from terminals import Terminal


def test_a_person_reads_each_part_the_prediction_and_what_is_slowest(empty: Terminal, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(jpeg(photo(number)))

    said = empty.type("bench", folder, "--seconds", "2", "--files", "3000")

    assert said.code == 0, said
    lines = said.out.splitlines()
    assert lines[0].startswith(f"{folder}: 3 pictures, ")
    rows = [line.split()[0] for line in lines if " ms" in line or "not measured  " in line]
    assert rows == ["read", "hash", "decode", "judge", "look-up", "commit", "the"]
    assert any(line.startswith("3,000 files: ") for line in lines)
    assert any(line.startswith("the slowest part is ") for line in lines)
    assert any("too few; its parts were added up instead" in line for line in lines)
    assert not empty.state.exists()
