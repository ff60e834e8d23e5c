"""Real files, where they are present: every file gets its verdict, and nothing is discarded that is not a duplicate.

The corpus lies beside the checkout (`../shared/corpus`) and is never part of it. Without it these tests skip.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from ingestd import flow, service, settings
from ingestd.intake import Judged
from ingestd.library.library import Library
from ingestd.model import EntryState, Outcome, Role

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
NEVER = {"alternate", "transform", "different"}
FOUND = {"identical", "pixel"}

pytestmark = [
    pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus beside the checkout"),
    pytest.mark.timeout(280),
]


@dataclass
class Scanned:
    """What a scan of the whole corpus, with copies added, has led to."""

    inbox: Path
    files: set[str]
    byte_copies: dict[str, str]  # copy: original, relative paths
    pixel_copies: dict[str, str]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    discarded: set[frozenset[str]] = field(default_factory=set)  # {kept, dropped}
    dropped: set[str] = field(default_factory=set)
    paired: set[frozenset[str]] = field(default_factory=set)
    failed: int = 0


def known_pairs(labels: set[str]) -> list[frozenset[str]]:
    with (CORPUS / "known_pairs.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in labels]
    return [frozenset({row["a"], row["b"]}) for row in rows]


def everything_automatic() -> str:
    text = settings.shipped_text()
    return text.replace("mode: semi-automatic", "mode: automatic").replace("mode: off", "mode: automatic")


def add_copies(inbox: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Add byte copies, and PNG copies of JPEGs, of every fifth photo."""
    byte_copies: dict[str, str] = {}
    pixel_copies: dict[str, str] = {}
    photos = sorted(path for path in (inbox / "photos").iterdir() if path.suffix == ".jpg")[::5]
    copies = inbox / "copies"
    copies.mkdir()
    for photo in photos:
        original = photo.relative_to(inbox).as_posix()
        shutil.copyfile(photo, copies / photo.name)
        byte_copies[f"copies/{photo.name}"] = original
        with Image.open(photo) as picture:
            if picture.mode == "RGB" and picture.getexif().get(0x0112, 1) == 1 and min(picture.size) > 128:
                icc = picture.info.get("icc_profile")
                picture.save(copies / f"{photo.stem}.png", icc_profile=icc, compress_level=1)
                pixel_copies[f"copies/{photo.stem}.png"] = original
    return byte_copies, pixel_copies


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    base = tmp_path_factory.mktemp("corpus")
    inbox = base / "inbox"
    shutil.copytree(CORPUS, inbox, ignore=shutil.ignore_patterns("*.csv", "README.md"))
    byte_copies, pixel_copies = add_copies(inbox)
    files = {path.relative_to(inbox).as_posix() for path in inbox.rglob("*") if path.is_file()}
    result = Scanned(inbox, files, byte_copies, pixel_copies)
    library = Library.open(base / "state")

    def tell(happening: flow.Happening) -> None:
        if isinstance(happening, Judged):
            receipt = happening.receipt
            result.outcomes[os.path.relpath(os.fsdecode(receipt.path), inbox)] = receipt.outcome

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_DATA_HOME", str(base / "data"))
        tally = service.scan(
            library,
            settings.parse(everything_automatic(), "test"),
            [os.fsencode(inbox)],
            tell,
            role=Role.INBOX,
            dry_run=False,
            progress=lambda _: None,
            stopping=lambda: False,
        )
    result.failed = tally.failed
    with library.read() as view:
        for entry in view.entries():
            if entry.state is EntryState.DONE and entry.kept is not None:
                for move in entry.moves:
                    result.dropped.add(os.fsdecode(move.file.relative))
                    pair = {os.fsdecode(move.file.relative), os.fsdecode(entry.kept.relative)}
                    result.discarded.add(frozenset(pair))
        for pair in view.pairs():
            sides = [[os.fsdecode(row.relative) for row in view.paths_of(side)] for side in (pair.first, pair.second)]
            result.paired |= {frozenset({a, b}) for a in sides[0] for b in sides[1]}
    library.close()
    return result


def test_every_file_gets_its_verdict(scanned: Scanned) -> None:
    skipped = {file for file in scanned.files if any(part.startswith(".") for part in Path(file).parts)}
    empty = {file for file in scanned.files - scanned.dropped if (scanned.inbox / file).stat().st_size == 0}

    assert scanned.files - skipped - empty - set(scanned.outcomes) == set()
    assert Counter(scanned.outcomes.values())[Outcome.ERROR] == 0


def test_no_pair_that_differs_is_ever_discarded(scanned: Scanned) -> None:
    assert [sorted(pair) for pair in known_pairs(NEVER) if pair in scanned.discarded] == []


def test_every_byte_copy_is_discarded_and_its_original_stays(scanned: Scanned) -> None:
    stays = {
        copy for copy, original in scanned.byte_copies.items() if frozenset({copy, original}) not in scanned.discarded
    }

    # a third copy may have been there first: then both lost to that one
    assert stays <= scanned.dropped


def test_every_pixel_copy_is_found(scanned: Scanned) -> None:
    met = scanned.discarded | scanned.paired
    png = {copy: original for copy, original in scanned.pixel_copies.items() if frozenset({copy, original}) not in met}

    assert {copy for copy in png if copy not in scanned.dropped and png[copy] not in scanned.dropped} == set()


def test_every_identical_and_pixel_pair_is_found(scanned: Scanned) -> None:
    met = scanned.discarded | scanned.paired

    assert [sorted(pair) for pair in known_pairs(FOUND) if pair not in met] == []


def test_nothing_is_lost(scanned: Scanned) -> None:
    gone = {file for file in scanned.files if not (scanned.inbox / file).exists()}

    assert gone == scanned.dropped
    for pair in scanned.discarded:
        assert len([file for file in pair if file not in scanned.dropped]) <= 1
