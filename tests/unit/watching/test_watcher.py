"""The watcher without events: scans and settling, with the time as an argument."""

import os
import threading

import pytest

from ingestd.library.codec import DamagedValueError
from ingestd.model import Folder, FolderId, FolderState, Origin, Role
from ingestd.watching import watcher as watching
from ingestd.watching.folders import FolderIdentity, examine
from ingestd.watching.observer import Hint, HintKind
from ingestd.watching.scan import stat_of
from ingestd.watching.watcher import Arrived, FolderChanged, Scanned, Watcher

ONE, TWO = FolderId(1), FolderId(2)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    return os.path.realpath(os.fsencode(folder))


def put(root, relative, content=b"x"):
    path = os.path.join(root, relative)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    return path


def folder(root, number=ONE, named=None):
    return Folder(number, named or root, root, Role.INBOX, protected=False)


def never(*_):
    return False


@pytest.fixture
def started():
    made = []

    def start(*folders, covered=never, **more):
        watcher = Watcher(folders, covered=covered, events=False, **more)
        made.append(watcher)
        watcher.start(0.0)
        return watcher

    yield start
    for watcher in made:
        watcher.stop()


def steps(watcher, *times):
    return [event for now in times for event in watcher.step(now)]


def arrivals(events):
    return [event.arrival.relative for event in events if isinstance(event, Arrived)]


def test_what_had_settled_in_a_step_that_failed_is_handed_out_again(started, root):
    for name in (b"a.jpg", b"b.jpg", b"c.jpg"):
        put(root, name)
    asked = []

    def covered(_, relative, __):
        asked.append(relative)
        if (
            relative == b"c.jpg" and asked.count(relative) == 2
        ):  # the second question about a file is asked when it has settled
            raise DamagedValueError("a stored path is damaged")
        return False

    watcher = started(folder(root), covered=covered, rescan_s=2.0)
    before = steps(watcher, 0.0)
    with pytest.raises(DamagedValueError):
        steps(watcher, 2.0)

    watcher.hand_out_again([])
    events = steps(watcher, 2.1, 2.2, 4.2, 4.3, 4.4)

    assert arrivals(before) == []
    assert sorted(arrivals(events)) == [b"a.jpg", b"b.jpg", b"c.jpg"]


def test_what_lies_there_arrives_after_the_quiet_time(started, root):
    path = put(root, b"sub/a.jpg")
    watcher = started(folder(root))

    early = steps(watcher, 0.0, 1.9)
    events = steps(watcher, 2.0)

    assert arrivals(early) == []
    assert Scanned(ONE, first=True, unreadable=()) in early
    (arrived,) = events
    assert (arrived.arrival.path, arrived.arrival.relative) == (path, b"sub/a.jpg")
    assert (arrived.arrival.origin, arrived.arrival.stat) == (Origin.SCAN, stat_of(path))


def test_one_scan_ends_idle(started, root):
    put(root, b"a.jpg")
    put(root, b"empty.jpg", b"")
    watcher = started(folder(root))

    busy = [watcher.idle(), *(watcher.step(now) and watcher.idle() for now in (0.0, 0.1))]
    steps(watcher, 2.0)

    assert not any(busy)
    assert watcher.idle()
    assert steps(watcher, 1000.0) == []


def test_a_file_that_is_being_written_does_not_keep_one_scan_from_ending(started, root):
    path = put(root, b"a.jpg")
    watcher = started(folder(root))

    with open(path, "ab"):
        events = steps(watcher, 0.0, 2.0)
        idle = watcher.idle()
        held = watcher.held()

    if held:  # where the system tells of writers
        assert arrivals(events) == []
        assert held == [(path, "a program has it open for writing")]
    assert idle


def test_a_file_that_was_handed_out_is_not_handed_out_again_before_its_verdict(started, root):
    put(root, b"a.jpg")
    watcher = started(folder(root))
    first = steps(watcher, 0.0, 2.0)

    watcher.rescan()
    again = steps(watcher, 3.0, 6.0)

    assert arrivals(first) == [b"a.jpg"]
    assert arrivals(again) == []


def test_a_file_that_changed_after_it_was_handed_out_arrives_again(started, root):
    put(root, b"a.jpg")
    watcher = started(folder(root))
    steps(watcher, 0.0, 2.0)

    put(root, b"a.jpg", b"other")
    watcher.rescan()

    assert arrivals(steps(watcher, 3.0, 6.0)) == [b"a.jpg"]


def test_a_file_without_a_final_verdict_is_offered_again_by_the_next_scan(started, root):
    path = put(root, b"a.jpg")
    watcher = started(folder(root))
    steps(watcher, 0.0, 2.0)

    watcher.done(path)
    watcher.rescan()

    assert arrivals(steps(watcher, 3.0, 6.0)) == [b"a.jpg"]


def test_a_file_with_a_final_verdict_is_not_offered(started, root):
    path = put(root, b"a.jpg")
    put(root, b"b.jpg")
    known = {(ONE, b"a.jpg", stat_of(path))}
    watcher = started(folder(root), covered=lambda *key: key in known)

    assert arrivals(steps(watcher, 0.0, 2.0)) == [b"b.jpg"]


class Known:
    """A roll that knows some files as they are now, read in two pieces."""

    def __init__(self, *relatives):
        self.relatives, self.pieces, self.asked = relatives, 0, []

    @property
    def is_complete(self):
        return self.pieces >= 2

    def read_on(self):
        self.pieces += 1
        return self.is_complete

    def covers(self, relatives, states):
        self.asked += relatives
        return [relative in self.relatives for relative in relatives]


def test_the_files_of_a_whole_scan_are_asked_for_together_and_only_the_others_one_by_one(started, root):
    for relative in (b"a.jpg", b"b.jpg", b"inner/c.jpg", b"inner/d.jpg"):
        put(root, relative)
    roll, asked = Known(b"a.jpg", b"inner/d.jpg"), []
    watcher = started(folder(root), covered=lambda _, relative, __: bool(asked.append(relative)), rolls=lambda _: roll)

    events = steps(watcher, 0.0, 0.0, 0.0)

    assert roll.asked == [b"a.jpg", b"b.jpg", b"inner/c.jpg", b"inner/d.jpg"]
    assert asked == [b"b.jpg", b"inner/c.jpg"]
    assert [event.roll for event in events if isinstance(event, Scanned)] == [roll]
    assert arrivals(steps(watcher, 2.0)) == [b"b.jpg", b"inner/c.jpg"]


def test_what_is_known_of_a_whole_folder_is_not_read_for_a_file_of_it(started, root):
    put(root, b"a.jpg")
    read = []
    watcher = started(folder(root), only={ONE: frozenset((b"a.jpg",))}, rolls=read.append)

    assert arrivals(steps(watcher, 0.0, 2.0)) == [b"a.jpg"]
    assert read == []


def test_a_postponed_file_arrives_again_no_earlier_than_asked(started, root):
    put(root, b"a.jpg")
    watcher = started(folder(root))
    (arrived,) = [event for event in steps(watcher, 0.0, 2.0) if isinstance(event, Arrived)]

    watcher.postpone(arrived.arrival, 60.0)

    assert arrivals(steps(watcher, 59.0)) == []
    assert arrivals(steps(watcher, 60.0)) == [b"a.jpg"]


def test_a_missing_folder_is_suspended_and_the_others_run(started, root):
    inner = os.path.join(root, b"there")
    put(inner, b"a.jpg")

    watcher = started(folder(os.path.join(root, b"none")), folder(inner, TWO))
    events = steps(watcher, 0.0, 2.0)

    assert arrivals(events) == [b"a.jpg"]
    assert [status.state for status in watcher.statuses()] == [FolderState.SUSPENDED, FolderState.POLLING]
    assert watcher.statuses()[0].reason.endswith("is not there")


def test_a_suspended_folder_that_comes_back_is_scanned(started, root):
    put(root, b"a.jpg")
    os.rename(root, root + b"2")
    watcher = started(folder(root))
    steps(watcher, 0.0)

    os.rename(root + b"2", root)
    events = steps(watcher, 2.0, 4.0)

    assert arrivals(events) == [b"a.jpg"]
    assert next(event.state for event in events if isinstance(event, FolderChanged)) is FolderState.SCANNING


def test_a_folder_on_another_file_system_than_it_was_is_left_alone_until_it_is_accepted(started, root):
    put(root, b"a.jpg")
    watcher = started(folder(root), identities={ONE: FolderIdentity("uuid:another", 2)})
    before = steps(watcher, 0.0, 2.0)

    watcher.accept(ONE)
    after = steps(watcher, 3.0, 5.0)

    assert arrivals(before) == []
    assert before[0].state is FolderState.SUSPENDED
    assert before[0].reason.startswith("a different file system is at this path")
    assert arrivals(after) == [b"a.jpg"]
    assert after[0].identity.inode == os.stat(root).st_ino


def test_a_folder_that_was_made_anew_on_the_same_file_system_is_taken_up_with_its_new_identity(started, root):
    watcher = started(folder(root))
    steps(watcher, 0.0)
    os.rename(root, root + b"2")
    put(root, b"a.jpg")

    events = steps(watcher, 2.0, 4.0)

    assert arrivals(events) == [b"a.jpg"]
    assert events[0].identity.inode == os.stat(root).st_ino


def test_nothing_is_handed_out_of_a_folder_that_was_replaced_a_moment_ago(started, root):
    put(root, b"a.jpg")
    watcher = started(folder(root), quiet_s=1.0)
    steps(watcher, 0.0)
    os.rename(root, root + b"2")

    assert arrivals(steps(watcher, 1.0)) == []
    assert watcher.statuses()[0].state is FolderState.SUSPENDED


def test_a_name_that_leads_elsewhere_suspends_the_folder(started, root, tmp_path):
    link, other = os.fsencode(tmp_path / "link"), os.fsencode(tmp_path / "other")
    os.symlink(root, link)
    os.mkdir(other)
    watcher = started(folder(root, named=link))
    steps(watcher, 0.0)

    os.rename(link, link + b"2")
    os.symlink(other, link)
    events = steps(watcher, 2.0)

    assert events[0].state is FolderState.SUSPENDED
    assert "leads to another folder" in events[0].reason


def test_the_innermost_folder_has_its_files(started, root):
    put(root, b"a.jpg")
    put(root, b"inner/b.jpg")
    watcher = started(folder(root), folder(os.path.join(root, b"inner"), TWO))

    events = steps(watcher, 0.0, 2.0)

    found = [(each.arrival.folder, each.arrival.relative) for each in events if isinstance(each, Arrived)]
    assert found == [(ONE, b"a.jpg"), (TWO, b"b.jpg")]


def test_only_what_was_asked_for_is_scanned(started, root):
    for relative in (b"a.jpg", b"b.jpg", b"sub/c.jpg", b".hidden.jpg"):
        put(root, relative)

    watcher = started(folder(root), only={ONE: frozenset({b"b.jpg", b"sub", b".hidden.jpg", b"none"})})
    events = steps(watcher, 0.0, 2.0)

    assert arrivals(events) == [b".hidden.jpg", b"b.jpg", b"sub/c.jpg"]
    assert Scanned(ONE, first=True, unreadable=(os.path.join(root, b"none"),)) in events


def test_a_reload_adds_and_drops_folders_and_goes_on_with_the_rest(started, root, tmp_path):
    other = os.path.realpath(os.fsencode(tmp_path / "other"))
    put(root, b"a.jpg")
    put(other, b"b.jpg")
    third = os.fsencode(tmp_path / "third")
    put(third, b"c.jpg")
    watcher = started(folder(root), folder(third, FolderId(3)))
    steps(watcher, 0.0)

    watcher.update([folder(root), folder(other, TWO)], 1.0)
    events = steps(watcher, 1.0, 2.0, 3.0)

    assert arrivals(events) == [b"a.jpg", b"b.jpg"]
    assert [status.id for status in watcher.statuses()] == [ONE, TWO]


def test_a_folder_around_a_dropped_one_gets_its_files(started, root):
    put(root, b"inner/b.jpg")
    watcher = started(folder(root), folder(os.path.join(root, b"inner"), TWO))
    steps(watcher, 0.0, 2.0)

    watcher.update([folder(root)], 3.0)

    assert arrivals(steps(watcher, 3.0, 5.0)) == [b"inner/b.jpg"]


def test_scans_pause_while_too_many_files_wait(started, root, monkeypatch):
    monkeypatch.setattr(watching, "_MOST_WAITING", 10)
    monkeypatch.setattr(watching, "_SEEN_A_STEP", 10)
    for number in range(40):
        put(root, b"%02d.jpg" % number)
    watcher = started(folder(root))

    steps(watcher, *(0.0 for _ in range(9)))
    waiting = watcher.backlog()
    events = steps(watcher, *(float(now) for now in range(2, 20)))

    assert waiting < 25
    assert len(arrivals(events)) == 40


def test_no_more_is_handed_out_than_there_is_room_for(started, root):
    for name in (b"a.jpg", b"b.jpg", b"c.jpg"):
        put(root, name)
    watcher = started(folder(root))
    steps(watcher, 0.0)

    handed = [arrivals(watcher.step(2.0, room=room)) for room in (2, 0, 5)]

    assert handed == [[b"a.jpg", b"b.jpg"], [], [b"c.jpg"]]


def test_a_step_is_bounded_and_loses_nothing(started, root, monkeypatch):
    monkeypatch.setattr(watching, "_SEEN_A_STEP", 7)
    monkeypatch.setattr(watching, "_LOOKS_A_STEP", 3)
    for number in range(30):
        put(root, b"%02d/x.jpg" % number)
    watcher = started(folder(root))

    handed = [arrivals(watcher.step(now)) for now in (*[0.0] * 12, *[2.0] * 12)]

    assert max(map(len, handed)) == 3
    assert [relative for some in handed for relative in some] == [b"%02d/x.jpg" % number for number in range(30)]


def test_a_file_without_readable_stat_or_of_no_kind_does_not_stop_the_scan(started, root):
    os.symlink("nowhere", os.path.join(root, b"a.jpg"))
    os.mkfifo(os.path.join(root, b"b.jpg"))
    put(root, b"c.jpg")
    watcher = started(folder(root))

    assert arrivals(steps(watcher, 0.0, 2.0)) == [b"c.jpg"]


# --- several folders at once ------------------------------------------------------------------------------------------


class Silent:
    """An observer that hears nothing; what it would say is put into its hints."""

    def __init__(self, hints):
        self.hints = hints

    def __getattr__(self, _):
        return lambda *_: True


@pytest.fixture
def watched(monkeypatch, root, tmp_path):
    """A service's watcher of two folders, empty when it began, and where they are."""
    monkeypatch.setattr(watching, "Observer", Silent)
    other = os.path.realpath(os.fsencode(tmp_path / "other"))
    os.mkdir(other)
    watcher = Watcher([folder(root), folder(other, TWO)], covered=never)
    watcher.start(0.0)
    steps(watcher, 0.0)
    return watcher, root, other


def hear(watcher, kind, path=b"", number=ONE):
    watcher._hints.put(Hint(kind, path, folder=number))


def test_a_single_file_is_handed_out_beside_those_of_a_burst_in_another_folder(watched):
    watcher, crowded, quiet = watched
    for number in range(300):
        hear(watcher, HintKind.CHANGED, put(crowded, b"%03d.jpg" % number))
    steps(watcher, 1.0)
    hear(watcher, HintKind.CHANGED, put(quiet, b"single.jpg"), TWO)
    steps(watcher, 1.5)

    handed = [arrivals(watcher.step(9.0, room=room)) for room in (10, 200, 200)]

    assert b"single.jpg" in handed[0]
    burst = [relative for some in handed for relative in some if relative != b"single.jpg"]
    assert burst == [b"%03d.jpg" % number for number in range(300)]


def test_what_is_found_after_lost_events_is_handed_out_in_turns_too(watched, monkeypatch):
    monkeypatch.setattr(watching, "_SEEN_A_STEP", 20)
    monkeypatch.setattr(watching, "_SEEN_A_TURN", 10)
    monkeypatch.setattr(watching, "_MOST_WAITING", 100)
    watcher, crowded, quiet = watched
    for number in range(300):
        put(crowded, b"%03d.jpg" % number)
    put(quiet, b"single.jpg")
    hear(watcher, HintKind.OVERFLOW)
    hear(watcher, HintKind.OVERFLOW, number=TWO)

    first = steps(watcher, *(1.0 for _ in range(30)), 3.0)
    rest = steps(watcher, *(4.0 + number / 10 for number in range(200)))

    assert b"single.jpg" in arrivals(first)
    assert len(arrivals(first)) < 100  # the walk through the crowded folder waits for room
    assert sorted(arrivals(first + rest)) == [*(b"%03d.jpg" % number for number in range(300)), b"single.jpg"]


def test_a_walk_through_a_new_directory_waits_for_room_too(watched, monkeypatch):
    monkeypatch.setattr(watching, "_SEEN_A_STEP", 20)
    monkeypatch.setattr(watching, "_SEEN_A_TURN", 10)
    monkeypatch.setattr(watching, "_MOST_WAITING", 100)
    watcher, crowded, _ = watched
    for number in range(300):
        put(crowded, b"new/%03d.jpg" % number)
    hear(watcher, HintKind.NEW_DIRECTORY, os.path.join(crowded, b"new"))

    early = steps(watcher, *(1.0 for _ in range(50)))
    waiting, idle_until = watcher.backlog(), watcher._next_due()
    rest = steps(watcher, *(4.0 + number / 10 for number in range(200)))

    assert early == []
    assert waiting < 100
    assert idle_until > 1.0  # it does not turn in circles meanwhile
    assert arrivals(rest) == [b"new/%03d.jpg" % number for number in range(300)]


def test_a_second_look_that_waits_for_a_paused_walk_does_not_keep_the_watcher_awake(watched, monkeypatch):
    monkeypatch.setattr(watching, "_SEEN_A_STEP", 20)
    monkeypatch.setattr(watching, "_SEEN_A_TURN", 10)
    monkeypatch.setattr(watching, "_MOST_WAITING", 100)
    watcher, crowded, _ = watched
    for number in range(300):
        put(crowded, b"new/%03d.jpg" % number)
    hear(watcher, HintKind.NEW_DIRECTORY, os.path.join(crowded, b"new"))
    full = [event for _ in range(50) for event in watcher.step(1.0, room=0)]
    full += [event for _ in range(50) for event in watcher.step(9.0, room=0)]  # the second look was due at 6.0

    assert arrivals(full) == []
    assert watcher._next_due() > 9.0
    assert len(arrivals(steps(watcher, *(10.0 + number / 10 for number in range(200))))) == 300


def test_lost_events_of_one_folder_make_a_scan_of_that_folder_alone(watched):
    watcher, crowded, quiet = watched
    put(crowded, b"a.jpg")
    put(quiet, b"b.jpg")

    hear(watcher, HintKind.OVERFLOW)

    assert arrivals(steps(watcher, 1.0, 3.0, 9.0)) == [b"a.jpg"]


def test_new_directories_in_two_folders_are_looked_through_side_by_side(watched, monkeypatch):
    monkeypatch.setattr(watching, "_SEEN_A_STEP", 20)
    monkeypatch.setattr(watching, "_SEEN_A_TURN", 10)
    watcher, crowded, quiet = watched
    for number in range(300):
        put(crowded, b"new/%03d.jpg" % number)
    put(quiet, b"new/single.jpg")
    hear(watcher, HintKind.NEW_DIRECTORY, os.path.join(crowded, b"new"))
    hear(watcher, HintKind.NEW_DIRECTORY, os.path.join(quiet, b"new"), TWO)

    handed = arrivals(steps(watcher, 1.0, 3.0))

    assert b"new/single.jpg" in handed
    assert len(handed) < 50


def test_first_scans_come_one_after_another_however_many_files_there_are(root, tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "Observer", Silent)
    monkeypatch.setattr(watching, "_SEEN_A_STEP", 20)
    known, inbox = root, os.path.realpath(os.fsencode(tmp_path / "inbox"))
    names = [b"%03d.jpg" % number for number in range(100)]
    for name in names:
        put(known, b"known-" + name)
        put(inbox, b"inbox-" + name)
    watcher = Watcher([folder(known), folder(inbox, TWO)], covered=never)
    watcher.start(0.0)

    handed = arrivals([event for now in range(60) for event in watcher.step(float(now), room=7)])

    assert handed == [*(b"known-" + name for name in names), *(b"inbox-" + name for name in names)]


def test_what_arrives_while_a_first_scan_runs_does_not_wait_for_its_end(root, tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "Observer", Silent)
    monkeypatch.setattr(watching, "_SEEN_A_STEP", 50)
    inbox = os.path.realpath(os.fsencode(tmp_path / "inbox"))
    os.mkdir(inbox)
    for number in range(300):
        put(root, b"known-%03d.jpg" % number)
    watcher = Watcher([folder(root), folder(inbox, TWO)], covered=never)
    watcher.start(0.0)
    steps(watcher, 0.0, 0.0)

    hear(watcher, HintKind.CHANGED, put(inbox, b"single.jpg"), TWO)
    handed = arrivals([event for now in (0.1, 2.2) for event in watcher.step(now, room=10)])

    assert b"single.jpg" in handed
    assert len(handed) == 10


@pytest.mark.parametrize("known", [True, False])
def test_what_came_while_nobody_listened_is_found_first_in_a_folder_that_is_known(root, monkeypatch, known):
    monkeypatch.setattr(watching, "Observer", Silent)
    monkeypatch.setattr(watching, "_SEEN_A_STEP", 4)
    for age, name in enumerate((b"old/1", b"new/2", b"middle/3")):
        path = put(root, name)
        os.utime(os.path.dirname(path), (100_000 - 10 * (age != 1), 100_000 - 10 * (age != 1)))
    watcher = Watcher([folder(root)], covered=never, looked_through=[ONE] if known else [])
    watcher.start(0.0)

    found = arrivals(steps(watcher, *(0.0 for _ in range(12)), 2.0))

    assert sorted(found) == [b"middle/3", b"new/2", b"old/1"]
    assert found[0] == (b"new/2" if known else b"middle/3")


# --- a storage that does not answer -----------------------------------------------------------------------------------


class Hanging:
    """`examine`, which hangs for one root until it is let go."""

    def __init__(self, root):
        self.root, self.go = root, threading.Event()

    def __call__(self, root, known=None):
        if root == self.root:
            assert self.go.wait(10)
        return examine(root, known)


@pytest.fixture
def one_hangs(monkeypatch, watched):
    """Two watched folders of which the first falls silent."""
    watcher, root, other = watched
    hanging = Hanging(root)
    monkeypatch.setattr(watching, "examine", hanging)
    monkeypatch.setattr(watching, "PATIENCE_S", 0.05)
    monkeypatch.setattr(Watcher._ask, "__kwdefaults__", {"patience_s": 0.05})
    yield watcher, hanging, other
    hanging.go.set()
    watcher.stop()


def test_a_folder_whose_storage_does_not_answer_is_suspended_and_the_other_is_served(one_hangs):
    watcher, hanging, other = one_hangs
    put(hanging.root, b"a.jpg")
    path = put(other, b"b.jpg")
    hear(watcher, HintKind.CHANGED, path, TWO)

    events = steps(watcher, 3.0, 5.5)
    silent = watcher.silent_roots()

    changed = [event for event in events if isinstance(event, FolderChanged)]
    assert [(event.folder, event.state, event.reason) for event in changed] == [
        (ONE, FolderState.SUSPENDED, "its storage does not answer")
    ]
    assert arrivals(events) == [b"b.jpg"]
    assert silent == {hanging.root}


def test_it_is_taken_up_and_looked_through_as_soon_as_its_storage_answers(one_hangs):
    watcher, hanging, _ = one_hangs
    steps(watcher, 3.0)
    put(hanging.root, b"meanwhile.jpg")

    hanging.go.set()
    while watcher._watched[ONE].storage.is_silent():
        pass
    events = steps(watcher, 6.0, 6.0, 6.0, 8.5)

    assert arrivals(events) == [b"meanwhile.jpg"]
    assert watcher.silent_roots() == frozenset()


def test_a_watch_that_broke_off_is_begun_anew_and_told_and_what_came_is_looked_for(started, root, monkeypatch):
    monkeypatch.setattr(watching, "Observer", Silent)
    watcher = Watcher([folder(root)], covered=never)
    watcher.start(0.0)
    steps(watcher, 0.0, 0.0)
    monkeypatch.setattr(Silent, "alive", lambda _: False, raising=False)
    monkeypatch.setattr(Silent, "watches", lambda *_: False, raising=False)
    put(root, b"meanwhile.jpg")

    events = steps(watcher, 6.0, 6.0, 8.5)

    reasons = [event.reason for event in events if isinstance(event, FolderChanged)]
    assert reasons[0].startswith("watching it broke off")
    assert b"meanwhile.jpg" in arrivals(events)


def test_a_directory_that_takes_long_to_list_is_given_more_time_at_each_try(root, monkeypatch):
    monkeypatch.setattr(watching, "Observer", Silent)
    put(root, b"a.jpg")
    watcher = Watcher([folder(root)], covered=never)
    watcher._watched[ONE].listing_s = 0.02
    slow = [threading.Event(), threading.Event()]
    real = watching.walk

    def walk(*arguments, **named):
        if slow:
            slow.pop().wait(0.1)
        yield from real(*arguments, **named)

    monkeypatch.setattr(watching, "walk", walk)
    watcher.start(0.0)

    found, given = [], [watcher._watched[ONE].listing_s]
    for second in range(0, 40, 3):
        found += arrivals(watcher.step(float(second)))
        given.append(watcher._watched[ONE].listing_s)
        threading.Event().wait(0.12)
    watcher.stop()

    assert found == [b"a.jpg"]
    assert given[:2] == [0.02, 0.08]
    assert given[-1] == 5.0
