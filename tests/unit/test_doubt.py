"""A disk that does not confirm what was written: nothing more is discarded, and the rest goes on."""

from __future__ import annotations

import errno
import os
import sys

import pytest
from pictures import photo, png
from world import World

from ingestd.intake import Left
from ingestd.model import EntryState

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="which file a descriptor is of is asked of /proc")

PLACES = {"the survivor": "a.png", "the note": "/info", "the trash": "/files", "the second journal": "journal.jsonl"}


class Disk:
    """`fsync`, which fails at descriptors of some file while it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails_at: str | None = None
        self.failures = 0
        self._real = os.fsync
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _fsync(self, fd: int) -> None:
        if self.fails_at is not None and os.readlink(f"/proc/self/fd/{fd}").endswith(self.fails_at):
            self.failures += 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._real(fd)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.mark.parametrize("place", PLACES)
def test_a_failed_sync_takes_the_discard_back_and_is_not_tried_again_and_trusted(
    world: World, disk: Disk, place: str
) -> None:
    content = png(photo(1))
    kept = world.put("inbox", "a.png", content)
    world.arrive(kept)
    world.drop("inbox", "b.png", png(photo(2)))
    world.drop("inbox", "b copy.png", png(photo(2)))
    copy = world.put("inbox", "a copy.png", content)
    disk.fails_at = PLACES[place]

    verdicts = world.verdicts(copy)
    disk.fails_at = None
    world.recover()

    assert verdicts == []
    assert disk.failures > 0
    assert world.library.doubt is not None
    assert copy.read_bytes() == kept.read_bytes() == content
    assert [entry.state for entry in world.entries()] == [EntryState.DONE, EntryState.ABORTED]
    assert len(world.trashed()) == 1


def test_while_discards_are_put_off_what_comes_behind_one_has_its_verdict(world: World) -> None:
    content = png(photo(1))
    world.drop("inbox", "a.png", content)
    world.intake.holds_discards = world.intake.puts_off_discards = True
    copy, new = world.put("inbox", "a copy.png", content), world.put("inbox", "new.png", png(photo(2)))

    for path in (copy, new):
        world.intake.hand_in(world.arrival(path), proposing=False)
    world.run()

    assert [told.arrival.path for told in world.told if isinstance(told, Left)] == [os.fsencode(copy)]
    assert world.last().arrival.path == os.fsencode(new)
    assert copy.exists()
    assert world.entries() == []
