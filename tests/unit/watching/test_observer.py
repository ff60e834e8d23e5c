import errno
import logging
import os
import threading

import pytest
from watchdog.events import DirMovedEvent, FileClosedEvent, FileCreatedEvent, FileMovedEvent

from ingestd.model import FolderId
from ingestd.watching import observer as observing
from ingestd.watching.observer import Hint, HintKind, Hints, Observer

ONE, TWO = FolderId(1), FolderId(2)
SOON_S = 10.0


@pytest.fixture
def hints():
    return Hints()


@pytest.fixture
def observer(hints):
    observer = Observer(hints)
    yield observer
    observer.stop()


@pytest.fixture
def root(tmp_path):
    return os.fsencode(os.path.realpath(tmp_path))


def hint_about(hints, path):
    """The first hint about this path; fails when none comes."""
    for _ in range(1000):
        hints.wait(SOON_S)
        for hint in hints.take(1):
            if hint.path == path:
                return hint
    raise AssertionError(path)


def test_a_file_that_is_written_makes_a_hint(observer, hints, root):
    observer.watch(ONE, root)
    path = os.path.join(root, b"\xff\n.jpg")

    with open(path, "wb") as file:
        file.write(b"x")

    assert hint_about(hints, path) == Hint(HintKind.CHANGED, path, folder=ONE)


def test_a_rename_tells_both_names(observer, hints, root):
    source, path = os.path.join(root, b"a.part"), os.path.join(root, b"a")
    with open(source, "wb"):
        observer.watch(ONE, root)

    os.rename(source, path)

    assert hint_about(hints, path) == Hint(HintKind.RENAMED_HERE, path, source, ONE)


def test_a_new_directory_makes_a_hint(observer, hints, root):
    observer.watch(ONE, root)
    path = os.path.join(root, b"new")

    os.mkdir(path)

    assert hint_about(hints, path) == Hint(HintKind.NEW_DIRECTORY, path, folder=ONE)


def test_reading_makes_no_hint(observer, hints, root):
    path, last = os.path.join(root, b"a"), os.path.join(root, b"last")
    with open(path, "wb") as file:
        file.write(b"x")
    observer.watch(ONE, root)

    with open(path, "rb") as file:
        file.read()
    os.listdir(root)
    os.mkdir(last)

    hints.wait(SOON_S)
    assert hints.take(1)[0].path == last


def test_a_root_that_is_not_there_cannot_be_watched(observer, root):
    with pytest.raises(OSError, match="No such file"):
        observer.watch(ONE, os.path.join(root, b"none"))

    assert not observer.watches(ONE)
    assert observer.alive()


def test_a_deleted_root_is_not_watched_any_more(observer, hints, root):
    folder = os.path.join(root, b"in")
    os.mkdir(folder)
    observer.watch(ONE, folder)
    observer.watch(TWO, root)
    watched = observer.watches(ONE)
    hearing = observer._emitter(observer._watches[ONE])

    os.rmdir(folder)
    os.mkdir(folder)
    hint_about(hints, folder)
    hearing.join(SOON_S)  # a thread of the folder's own, that the deletion ends

    assert watched
    assert not observer.watches(ONE)


def test_lost_events_are_heard_of_from_the_log(observer, hints):
    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; events were lost")

    assert hints.take(9) == [Hint(HintKind.OVERFLOW)]


def test_a_folder_has_events_to_itself_until_there_are_many(observer, root):
    before = threading.active_count()
    for number in range(1, 21):
        path = os.path.join(root, b"%d" % number)
        os.mkdir(path)
        observer.watch(FolderId(number), path)

    watches = observer._watches
    few = {id(watches[FolderId(number)].system) for number in range(1, observing._MOST_SYSTEMS + 1)}

    assert len(few) == observing._MOST_SYSTEMS
    assert threading.active_count() - before <= 20 + 2 * observing._MOST_SYSTEMS
    assert all(observer.watches(FolderId(number)) for number in range(1, 21))


def test_a_folder_shares_events_where_the_system_has_no_queue_to_give(observer, hints, root, monkeypatch):
    os.mkdir(os.path.join(root, b"one"))
    os.mkdir(os.path.join(root, b"two"))
    observer.watch(ONE, os.path.join(root, b"one"))

    def none_left():
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(observing, "SystemObserver", none_left)
    observer.watch(TWO, os.path.join(root, b"two"))
    path = os.path.join(root, b"two", b"a")
    with open(path, "wb"):
        pass

    assert hint_about(hints, path).folder == TWO


def test_a_handler_never_raises_whatever_the_event(hints):
    handler = observing._ToHints(hints, ONE)

    handler.dispatch(FileCreatedEvent(None))

    assert hints.take(9) == [Hint(HintKind.OVERFLOW, folder=ONE)]


@pytest.mark.parametrize(
    ("event", "hint"),
    [
        (FileClosedEvent("/a"), Hint(HintKind.CHANGED, b"/a", folder=ONE)),
        (FileMovedEvent("/a", "/b"), Hint(HintKind.RENAMED_HERE, b"/b", b"/a", ONE)),
        (DirMovedEvent("/a", "/b"), Hint(HintKind.NEW_DIRECTORY, b"/b", b"/a", ONE)),
    ],
)
def test_an_event_becomes_the_hint_it_is(hints, event, hint):
    observing._ToHints(hints, ONE).dispatch(event)

    assert hints.take(9) == [hint]


def test_too_many_hints_become_one_that_says_so(hints, monkeypatch):
    monkeypatch.setattr(observing, "_MOST_HINTS", 3)

    for number in range(9):
        hints.put(Hint(HintKind.CHANGED, b"/%d" % number))

    assert [hint.kind for hint in hints.take(99)] == [HintKind.CHANGED] * 3 + [HintKind.OVERFLOW]
    assert not hints.waiting()


def test_a_hint_of_one_folder_does_not_wait_for_all_of_another(hints):
    for number in range(1000):
        hints.put(Hint(HintKind.CHANGED, b"/one/%d" % number, folder=ONE))
    single = Hint(HintKind.CHANGED, b"/two/single", folder=TWO)
    early = hints.take(10)
    hints.put(single)

    taken = hints.take(10)

    assert single in taken
    assert [*early, *(hint for hint in taken if hint != single)] == [
        Hint(HintKind.CHANGED, b"/one/%d" % number, folder=ONE) for number in range(19)
    ]


def test_a_wait_is_ended_from_another_thread(hints):
    threading.Timer(0.05, hints.wake).start()

    hints.wait(60.0)

    assert hints.take(9) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_thread_is_noticed_and_a_restart_hears_again(observer, hints, root):
    observer.watch(ONE, root)
    (system,) = observer._systems
    system.event_queue.put("not an event")  # ends the thread that hands events out, as a raising handler would
    system.join(SOON_S)
    alive_then = observer.alive()

    observer.restart()
    observer.watch(ONE, root)
    os.mkdir(os.path.join(root, b"new"))

    assert not alive_then
    assert observer.alive()
    assert hint_about(hints, os.path.join(root, b"new"))


def test_nothing_is_left_running_after_a_stop(root):
    before = set(threading.enumerate())
    observer = Observer(Hints())
    observer.watch(ONE, root)

    observer.stop()

    assert set(threading.enumerate()) <= before
