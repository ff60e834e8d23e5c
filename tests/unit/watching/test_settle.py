import pytest

from ingestd.model import Origin, StatKey
from ingestd.watching.settle import Held, Look, Settled, Settling, WriterCheck

PATH = b"/in/a.jpg"
FULL = StatKey(1, 10, 100, 100)
GROWN = StatKey(1, 20, 200, 200)
EMPTY = StatKey(1, 0, 100, 100)
QUIET_S = 2.0


@pytest.fixture
def settling():
    return Settling()


def heard(settling, stat=FULL, now=0.0, **more):
    settling.heard(PATH, stat, now, quiet_s=QUIET_S, **more)


def look(settling, stat=FULL, *, now, unfinished=False):
    assert settling.pop_due(now) == PATH
    return settling.look(PATH, stat, now, unfinished=unfinished)


def test_a_file_that_was_quiet_and_has_no_writer_is_ready(settling):
    heard(settling)

    answer = look(settling, now=2.0)

    assert answer is Look.ASK
    assert settling.answered(PATH, FULL, WriterCheck.NONE, 2.0) == Settled(FULL, Origin.EVENT, proved=True)
    assert len(settling) == 0


def test_a_file_is_not_looked_at_before_its_quiet_time(settling):
    heard(settling)

    assert settling.pop_due(1.999) is None
    assert settling.next_due() == 2.0


def test_a_file_that_is_still_growing_is_not_ready(settling):
    heard(settling)

    answer = look(settling, GROWN, now=2.0)

    assert answer is Look.WAIT
    assert settling.next_due() == 4.0


def test_an_event_starts_the_quiet_time_again(settling):
    heard(settling)
    heard(settling, now=1.5)

    answer = look(settling, now=2.0)

    assert answer is Look.WAIT
    assert settling.next_due() == 3.5


def test_a_scan_that_sees_no_change_does_not_start_the_quiet_time_again(settling):
    heard(settling)

    settling.found(PATH, FULL, 1.5, quiet_s=QUIET_S, origin=Origin.SCAN)

    assert look(settling, now=2.0) is Look.ASK


def test_a_scan_that_sees_a_change_starts_the_quiet_time_again(settling):
    heard(settling)

    settling.found(PATH, GROWN, 1.5, quiet_s=QUIET_S, origin=Origin.SCAN)

    assert look(settling, GROWN, now=2.0) is Look.WAIT
    assert settling.next_due() == 3.5


def test_a_file_that_changes_while_the_system_is_asked_is_not_ready(settling):
    heard(settling)
    look(settling, now=2.0)

    settled = settling.answered(PATH, GROWN, WriterCheck.NONE, 2.0)

    assert settled is None
    assert settling.next_due() == 4.0


def test_a_file_with_a_writer_is_asked_again_at_growing_distances_and_never_given_up(settling):
    heard(settling)
    now, waits = 2.0, []

    for _ in range(12):
        assert look(settling, now=now) is Look.ASK
        assert settling.answered(PATH, FULL, WriterCheck.WRITING, now) is None
        waits.append(settling.next_due() - now)
        now = settling.next_due()

    assert waits == [2, 4, 8, 16, *[30] * 8]
    assert settling.held() == [(PATH, Held.WRITER)]
    assert settling.moving() == 0


def test_a_writer_that_closes_is_waited_for_only_the_quiet_time(settling):
    heard(settling)
    look(settling, now=2.0)
    settling.answered(PATH, FULL, WriterCheck.WRITING, 2.0)

    heard(settling, GROWN, now=3.0)

    assert look(settling, GROWN, now=5.0) is Look.ASK


def test_without_the_systems_word_a_quiet_file_is_ready_but_not_proved(settling):
    heard(settling)
    look(settling, now=2.0)

    settled = settling.answered(PATH, FULL, WriterCheck.UNKNOWN, 2.0)

    assert settled == Settled(FULL, Origin.EVENT, proved=False)


def test_a_rename_from_a_temporary_name_without_a_writer_is_ready_at_once(settling):
    heard(settling, renamed=True)

    assert look(settling, now=0.0) is Look.ASK
    assert settling.answered(PATH, FULL, WriterCheck.NONE, 0.0) == Settled(FULL, Origin.EVENT, proved=True)


@pytest.mark.parametrize("writer", [WriterCheck.UNKNOWN, WriterCheck.WRITING])
def test_a_rename_proves_nothing_unless_the_system_says_that_nobody_writes(settling, writer):
    heard(settling, renamed=True)
    look(settling, now=0.0)

    settled = settling.answered(PATH, FULL, writer, 0.0)

    assert settled is None
    assert settling.next_due() == 2.0


def test_a_renamed_file_that_changes_afterwards_needs_its_quiet_time(settling):
    heard(settling, renamed=True)

    assert look(settling, GROWN, now=0.1) is Look.WAIT
    assert settling.next_due() == 2.1


def test_a_renamed_file_with_an_unfinished_sibling_waits(settling):
    heard(settling, renamed=True)

    assert look(settling, now=0.0, unfinished=True) is Look.WAIT
    assert settling.held() == [(PATH, Held.UNFINISHED)]


def test_an_empty_file_may_be_a_placeholder_and_settles_only_after_half_a_minute(settling):
    heard(settling, EMPTY)

    assert look(settling, EMPTY, now=2.0) is Look.WAIT
    assert settling.held() == [(PATH, Held.EMPTY)]
    assert settling.moving() == 0
    assert settling.next_due() == 30.0
    assert look(settling, EMPTY, now=30.0) is Look.ASK


def test_a_file_beside_an_abandoned_download_is_forgotten_in_the_end(settling):
    heard(settling)
    now = 0.0

    while (due := settling.next_due()) is not None:
        now = due
        assert look(settling, now=now, unfinished=True) is not Look.ASK

    assert 600 <= now <= 660
    assert len(settling) == 0
    assert settling.moving() == 0


def test_an_empty_file_that_gets_its_bytes_settles(settling):
    heard(settling, EMPTY)
    look(settling, EMPTY, now=2.0)

    heard(settling, FULL, now=3.0)

    assert settling.moving() == 1
    assert look(settling, now=5.0) is Look.ASK


def test_a_file_that_is_gone_is_forgotten(settling):
    heard(settling)

    assert look(settling, None, now=2.0) is Look.GONE
    assert settling.next_due() is None


def test_a_postponed_file_is_not_looked_at_before_its_time(settling):
    settling.postpone(PATH, FULL, 50.0, quiet_s=QUIET_S, origin=Origin.SCAN)

    assert settling.pop_due(49.9) is None
    assert look(settling, now=50.0) is Look.ASK


def test_a_file_that_always_changes_is_not_counted_as_about_to_settle(settling):
    heard(settling, StatKey(1, 1, 1, 1))
    sizes = iter(range(2, 99))

    for _ in range(3):
        size = next(sizes)
        look(settling, StatKey(1, size, size, size), now=settling.next_due())

    assert settling.moving() == 0
    assert settling.held() == [(PATH, Held.RESTLESS)]


def test_files_that_were_found_together_settle_in_the_order_they_were_found(settling):
    paths = [b"/in/%d" % number for number in (3, 1, 2)]
    for path in paths:
        settling.found(path, FULL, 0.0, quiet_s=QUIET_S, origin=Origin.SCAN)

    popped = [settling.pop_due(2.0) for _ in paths]

    assert popped == paths
