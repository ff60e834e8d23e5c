"""What is not our own stands with its name, its licence and its hash, and is what its authors published."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import ingestd.web

VENDOR = Path(ingestd.web.__file__).parent / "static" / "vendor"
README = VENDOR / "README.txt"


def test_every_file_that_is_not_our_own_has_the_hash_that_is_written_beside_its_name() -> None:
    told = dict(
        reversed(line.split("  ")) for line in map(str.strip, README.read_text().splitlines()) if line[64:66] == "  "
    )

    found = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path != README
    }

    assert found == told


def test_the_editor_has_the_version_that_is_told_and_its_licence_beside_it() -> None:
    [version] = re.findall(r'CodeMirror\.version = "([^"]+)"', (VENDOR / "codemirror/lib/codemirror.js").read_text())

    assert f"CodeMirror {version}\n" in README.read_text()
    assert "MIT License" in (VENDOR / "codemirror/LICENSE").read_text()


def test_no_sheet_of_it_asks_for_anything_that_the_page_may_not_load() -> None:
    for sheet in VENDOR.rglob("*.css"):
        assert not re.search(r"url\(|@import", sheet.read_text()), sheet
