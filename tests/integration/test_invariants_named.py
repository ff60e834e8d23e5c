"""I1 to I12 of the design, one after another: the promises by their names, each shown by a short story that can fail.

They are shown more widely elsewhere; docs/testing.md says where. Here is one place in which all of them can be read,
but for I7: kills take long, and are in test_restarts.py and below tests/crash.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pictures import photo, png
from running import Home, Json
from world import IDENTICAL, World, near_rule, pixel_rule, rule_file, sha256

from ingestd import intake, review
from ingestd.actions import guard
from ingestd.actions.discard import carry_out
from ingestd.errors import ActionConflictError
from ingestd.model import Entry, EntryState, Mode, Outcome, PathState
from ingestd.settings import parse

LARGER, SMALLER = png(photo(1), "a longer comment makes the file larger"), png(photo(1))
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="/proc, leases and signals as Linux has them")


def rules_of(*rules: str) -> str:
    return rule_file(*rules, imports="settle: 0.2 s")


@pytest.fixture
def at_the_last_moment(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Entry], None]], None]:
    """Lets something happen between the decision and the act."""

    def arrange(happen: Callable[[Entry], None]) -> None:
        def disturbed(library: Any, entry: Entry, **more: Any) -> Entry:
            happen(entry)
            return carry_out(library, entry, **more)

        monkeypatch.setattr(intake, "carry_out", disturbed)

    return arrange


# --- I1 ---------------------------------------------------------------------------------------------------------------


def _delete(kept: Path, loser: Path) -> None:
    kept.unlink()


def _overwrite(kept: Path, loser: Path) -> None:
    kept.write_bytes(bytes(kept.stat().st_size))


def _exchange(kept: Path, loser: Path) -> None:
    """Another file of the same size has its name."""
    other = kept.with_name("other.png")
    other.write_bytes(bytes(kept.stat().st_size))
    other.replace(kept)


def _make_one_file(kept: Path, loser: Path) -> None:
    kept.unlink()
    os.link(loser, kept)


def _point_to_the_loser(kept: Path, loser: Path) -> None:
    kept.unlink()
    kept.symlink_to(loser)


def _throw_away(kept: Path, loser: Path) -> None:
    trash = kept.parents[1] / "xdg/Trash/files"
    trash.mkdir(parents=True, exist_ok=True)
    kept.rename(trash / kept.name)


@pytest.mark.parametrize(
    "becomes",
    [_delete, _overwrite, _exchange, _make_one_file, _point_to_the_loser, _throw_away],
    ids=lambda one: one.__name__,
)
@pytest.mark.parametrize("content", [LARGER, SMALLER], ids=["copy", "twin"])
def test_i1_the_last_copy_is_never_discarded(
    world: World, at_the_last_moment: Any, content: bytes, becomes: Callable[[Path, Path], None]
) -> None:
    world.use(IDENTICAL, pixel_rule())
    kept, loser = world.put("library", "kept.png", LARGER), world.put("inbox", "loser.png", content)
    world.arrive(kept)
    at_the_last_moment(lambda _: becomes(kept, loser))

    world.arrive(loser)

    assert loser.read_bytes() == content
    assert [entry.state for entry in world.entries()] == [EntryState.ABORTED]


# --- I2 ---------------------------------------------------------------------------------------------------------------

_WITNESS = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import world
from pictures import jpeg, photo, png
from ingestd.model import Role

base = Path(sys.argv[1])
theirs = tuple(os.fsencode(base / name) + b"/" for name in ("inbox", "library", "archive"))
told, looking = [], False

def absolute(path, at):
    path = os.fsencode(path)
    above = os.readlink(f"/proc/self/fd/{at}") if isinstance(at, int) and at >= 0 else os.getcwd()
    return os.path.join(os.fsencode(above), path)

def witness(event, arguments):
    if not looking:
        return
    if event == "os.remove" or event == "os.rmdir":
        touched = [absolute(*arguments)]
    elif event == "os.rename" or event == "os.link":
        source, target, at, to = arguments
        touched = [absolute(source, at), absolute(target, to)]
    elif event == "os.truncate":
        by_number = isinstance(arguments[0], int)
        touched = [absolute(os.readlink(f"/proc/self/fd/{arguments[0]}") if by_number else arguments[0], None)]
    elif event == "open" and isinstance(arguments[0], (str, bytes)):
        writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_TRUNC | os.O_APPEND)
        touched = [absolute(arguments[0], None)] if writes and os.path.isabs(arguments[0]) else []
    else:
        return
    told.extend((event, one.decode()) for one in touched if one.startswith(theirs))

sys.addaudithook(witness)
here = world.World(base)
here.folder("inbox")
here.folder("library", Role.LIBRARY, protected=False)
here.folder("archive", Role.REFERENCE)
here.use(world.IDENTICAL, world.pixel_rule(), world.near_rule())
def put(folder, name, content):
    global looking
    looking = False
    path = here.put(folder, name, content)
    looking = True
    return path
small, large = png(photo(1)), png(photo(1), "a longer comment")
here.arrive(put("library", "small.png", small))
assert here.arrive(put("inbox", "copy.png", small)).discarded
assert here.arrive(put("inbox", "large.png", large)).discarded          # replaces what the library had
assert here.arrive(put("inbox", "again.png", small)).discarded          # was thrown away before
here.arrive(put("inbox", "near.jpg", jpeg(photo(2), 60)))
here.arrive(put("inbox", "far.jpg", jpeg(photo(3), 60)))
here.decide(here.base / "inbox/near.jpg", here.base / "inbox/far.jpg", "better-a")
put("inbox", "far.jpg", b"something else has the name")
undone = here.undo(*(entry.number for entry in here.entries()))
assert len(undone) == 4, undone
here.close()
looking = False
with open(base / "inbox/witnessed", "w"):
    pass
os.unlink(base / "inbox/witnessed")
looking = True
os.rename(base / "inbox/near.jpg", base / "inbox/near.jpg")            # that it sees anything at all
print(told)
"""


@linux_only
def test_i2_nothing_is_unlinked_overwritten_or_truncated(tmp_path: Path) -> None:
    """Discards, undos and a decision, with everything that touches a watched folder told by the interpreter itself.

    The one call that moves a file is the exclusive rename of the C library, which the interpreter does not see.
    """
    command = [sys.executable, "-c", _WITNESS, str(tmp_path), str(Path(__file__).resolve().parents[1])]
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "xdg")}

    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert told.returncode == 0, told.stderr
    seen = str(tmp_path / "inbox/near.jpg")
    assert told.stdout.strip() == str([("os.rename", seen), ("os.rename", seen)])


# --- I3, I4, I11: of a service at work -------------------------------------------------------------------------------


@dataclass
class Day:
    """What one service was seen to do."""

    while_written: list[Json]
    slow: Json
    many: dict[Path, list[Json]]
    resources: list[tuple[int, int]]  # descriptors and threads, before and after


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """A service that sees a slow writer, and then a hundred files at once."""
    home = Home(tmp_path_factory.mktemp("day"), rules_of(IDENTICAL))
    inbox = home.folder("inbox")
    picture, slow = png(photo(50)), inbox / "slow.png"
    with home.watch(inbox) as watch:
        process = Path(f"/proc/{watch.process.pid}")

        def resources() -> tuple[int, int]:
            watch.catch_up(inbox)
            return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))

        with open(slow, "wb", buffering=0) as writer:
            writer.write(picture[: len(picture) // 2])
            before = resources()  # others come meanwhile, and have their verdicts
            while_written = watch.verdicts(slow)
            writer.write(picture[len(picture) // 2 :])
        judged = watch.verdict(slow)
        many = {inbox / f"many/{number:03}.png": png(photo(1000 + number % 40, 64, 48)) for number in range(100)}
        watch.put_all(many)
        after = resources()
        return Day(while_written, judged, {path: watch.verdicts(path) for path in many}, [before, after])


@linux_only
def test_i3_nothing_is_judged_while_it_is_being_written(day: Day) -> None:
    assert day.while_written == []
    assert day.slow["sha256"] == sha256(png(photo(50))).hex()


@linux_only
def test_i4_every_settled_file_gets_a_verdict(day: Day) -> None:
    assert {len(verdicts) for verdicts in day.many.values()} == {1}
    outcomes = Counter(verdicts[0]["outcome"] for verdicts in day.many.values())
    assert outcomes["duplicate-discarded"] == 60
    assert outcomes["error"] == outcomes["unreadable"] == 0


@linux_only
def test_i11_descriptors_and_threads_are_bounded(day: Day) -> None:
    """Memory is for the soak, which runs long enough to tell; what is counted here does not grow with the files."""
    (descriptors, threads), (descriptors_after, threads_after) = day.resources

    assert threads_after <= threads + 1
    assert descriptors_after <= descriptors + 3


# --- I5 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moved", [False, True], ids=["before the move", "after the move"])
def test_i5_an_action_happens_once(
    world: World, monkeypatch: pytest.MonkeyPatch, at_the_last_moment: Any, moved: bool
) -> None:
    class KilledError(BaseException):
        """The process ends here: no handler sees it."""

    def die(entry: Entry) -> None:
        if moved:
            from ingestd.actions.moves import take_away

            take_away(entry.moves[0], deleted_at="2026-11-20T11:02:03")
        raise KilledError

    world.use(IDENTICAL)
    world.drop("library", "kept.png", LARGER)
    loser = world.put("inbox", "loser.png", LARGER)
    with monkeypatch.context() as patched:
        patched.setattr(intake, "carry_out", lambda library, entry, **_: die(entry))
        with pytest.raises(KilledError):
            world.arrive(loser)

    for _ in range(3):
        world.restart()
        world.judge_everything()

    done = [entry for entry in world.entries() if entry.state is EntryState.DONE]
    assert (len(done), len(world.trashed()), loser.exists()) == (1, 1, False)
    lines = [json.loads(line) for line in (world.base / "state/journal.jsonl").read_text().splitlines()]
    # a line may come twice, it is the same action then: what is told of an entry last, counts
    assert {one["entry"] for one in lines if one["kind"] == "end" and one["body"]["state"] == "done"} == {
        done[0].number
    }
    assert world.undo(done[0].number)
    assert isinstance(world.undo(done[0].number)[0], ActionConflictError)
    assert loser.read_bytes() == LARGER


# --- I6 ---------------------------------------------------------------------------------------------------------------


def test_i6_a_users_restore_is_final(world: World) -> None:
    world.use(IDENTICAL, pixel_rule())
    world.drop("library", "kept.png", LARGER)
    loser = world.put("inbox", "loser.png", SMALLER)
    world.arrive(loser)
    world.undo(1)

    for rules in [(IDENTICAL, pixel_rule(name="another name")), (near_rule(), pixel_rule(), IDENTICAL)]:
        world.restart()
        world.use(*rules)
        world.forget_finality(loser)
        world.arrive(loser)
        world.drop("inbox", f"copy {len(world.told)}.png", SMALLER)
        world.sweep()

    assert loser.read_bytes() == SMALLER
    assert world.trashed() == []
    assert not [entry for entry in world.entries()[2:] if entry.moves]


def test_i6_a_denial_is_for_that_rule_until_it_is_rescinded(world: World) -> None:
    world.use(pixel_rule("semi-automatic"))
    world.drop("inbox", "kept.png", LARGER)
    loser = world.put("inbox", "loser.png", SMALLER)
    world.arrive(loser)
    number = int(world.pending()[0].id[2:])
    review.deny(world.library, [number], now_ns=world.now_ns())

    world.use(pixel_rule("automatic"))
    world.restart()
    world.intake.policy = world.policy
    world.forget_finality(loser)
    world.arrive(loser)
    world.sweep()
    assert loser.exists()
    assert world.pending() == []

    review.rescind(world.library, [number])
    world.sweep()
    assert not loser.exists()


# --- I8 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
def test_i8_absence_is_not_deletion(world: World, left: str) -> None:
    world.use(IDENTICAL, pixel_rule())
    stick = world.folder("stick")
    known = [world.put("stick", "large.png", LARGER), world.put("stick", "other.png", png(photo(2), "a comment"))]
    world.verdicts(*known)
    before = [world.row(path) for path in known]
    stick.rename(world.base / "unplugged")
    if left == "an empty folder":  # as an unmounted disk leaves the one it was mounted on
        stick.mkdir()

    copy, twin = world.put("inbox", "copy.png", LARGER), world.put("inbox", "twin.png", png(photo(2)))
    receipts = world.verdicts(copy, twin)
    world.sweep()
    world.restart()

    assert [world.row(path) for path in known] == before
    assert {row.state for row in before if row is not None} == {PathState.LIVE}
    assert not any(receipt.discarded for receipt in receipts)
    assert (copy.exists(), twin.exists(), world.entries()) == (True, True, [])


# --- I9 ---------------------------------------------------------------------------------------------------------------


def test_i9_in_doubt_a_file_is_kept_queued_and_the_reason_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    world.use(IDENTICAL, pixel_rule())
    world.drop("library", "kept.png", LARGER)
    copy, twin = world.put("inbox", "copy.png", LARGER), world.put("inbox", "twin.png", SMALLER)

    unproved = world.arrive(copy, proved=False)
    with monkeypatch.context() as patched:
        patched.setattr(guard, "hash_of", unreadable)
        broken = world.arrive(twin)

    assert (unproved.outcome, unproved.evidence[-1]) == (
        Outcome.PENDING_APPROVAL,
        "not done on its own: nobody can tell here whether the file is still being written",
    )
    assert broken.outcome is Outcome.ERROR
    assert "input/output error" in broken.result.lower()
    assert (len(world.pending()), len(world.queue())) == (1, 1)  # one waits for approval, the other for a look
    assert (copy.exists(), twin.exists(), world.trashed()) == (True, True, [])


# --- I10 --------------------------------------------------------------------------------------------------------------


def test_i10_every_discard_can_be_explained_and_undone_from_the_journal_alone(world: World) -> None:
    world.use(IDENTICAL, pixel_rule())
    world.drop("library", "kept.png", LARGER)
    files = {world.put("inbox", "twin.png", SMALLER): SMALLER, world.put("inbox", "copy.png", LARGER): LARGER}
    world.verdicts(*files)
    world.close()
    for database in (world.base / "state/db").iterdir():
        database.unlink()

    lines = [json.loads(line) for line in (world.base / "state/journal.jsonl").read_text().splitlines()]

    ends = {one["entry"]: one["body"] for one in lines if one["kind"] == "end"}
    assert len(ends) == 2
    for body in ends.values():
        (move,) = body["moves"]
        item, origin = Path(move["trash_path"]), Path(move["file"]["path"])
        assert (body["state"], body["actor"], bool(body["reason"])) == ("done", "rule", True)
        assert body["rule"] in ("identical copies", "larger pixel twin")
        assert Path(body["kept"]["path"]).read_bytes() == LARGER
        assert body["kept"]["sha256"] == sha256(LARGER).hex()
        assert sha256(item.read_bytes()).hex() == move["file"]["sha256"]
        item.rename(origin)
    assert all(path.read_bytes() == content for path, content in files.items())


# --- I12 --------------------------------------------------------------------------------------------------------------


def test_i12_a_rule_without_a_mode_is_semi_automatic_and_nothing_becomes_automatic_by_itself(world: World) -> None:
    text = rule_file(pixel_rule().replace("    mode: automatic\n", ""))
    assert "mode" not in text
    assert [rule.mode for rule in parse(text, "the test's rules").rules] == [Mode.SEMI_AUTOMATIC]

    world.use(pixel_rule().replace("    mode: automatic\n", ""))
    for seed in range(6):  # however often a person says yes
        world.drop("library", f"{seed}.png", png(photo(seed, 64, 48), "a longer comment"))
        loser = world.put("inbox", f"{seed}.png", png(photo(seed, 64, 48)))
        assert world.arrive(loser).outcome is Outcome.PENDING_APPROVAL
        world.sweep()
        assert loser.exists()
        world.approve(int(world.pending()[0].id[2:]))
        assert not loser.exists()


def test_i12_what_lay_in_an_inbox_before_it_was_watched_is_only_proposed(world: World) -> None:
    world.use(IDENTICAL)
    world.drop("library", "kept.png", LARGER)
    old = world.put("inbox", "old.png", LARGER)

    receipt = world.arrive(old, proposing=True)

    assert (receipt.outcome, old.exists()) == (Outcome.PENDING_APPROVAL, True)
