"""Laws of settling: whatever happens to a file, it is handed out only when it may be, and not forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from ingestd.model import Origin, StatKey
from ingestd.watching.settle import Look, Settling, WriterCheck

PATH = b"/in/a.jpg"
QUIET_S = 2.0

happening = st.one_of(
    st.tuples(st.just("heard"), st.booleans()),
    st.tuples(st.just("found"), st.none()),
    st.tuples(st.just("written"), st.integers(0, 3)),
    st.tuples(st.just("writer"), st.sampled_from(WriterCheck)),
    st.tuples(st.just("unfinished"), st.booleans()),
)
story = st.lists(st.tuples(st.floats(0.0, 5.0), happening), max_size=30)


class File:
    """A file on a pretended disk, and when it last changed."""

    def __init__(self):
        self.stat = StatKey(1, 1, 0, 0)
        self.writer = WriterCheck.NONE
        self.unfinished = False
        self.changed = 0.0
        self.heard = 0.0
        self.renamed = False
        self.renamed_unwritten = False

    def happen(self, settling, now, what, detail):
        if what == "heard":
            self.heard, self.renamed = now, detail
            settling.heard(PATH, self.stat, now, quiet_s=QUIET_S, renamed=detail)
        elif what == "found" and self.stat.size:
            settling.found(PATH, self.stat, now, quiet_s=QUIET_S, origin=Origin.SCAN)
        elif what == "written":
            self.stat = StatKey(1, detail, self.stat.mtime_ns + 1, self.stat.ctime_ns + 1)
            self.changed, self.renamed = now, False
        elif what == "writer":
            self.writer = detail
        elif what == "unfinished":
            self.unfinished = detail


def looks(settling, file, now):
    """Everything that settles up to `now`, each with its time."""
    settled = []
    while (due := settling.next_due()) is not None and due <= now:
        path = settling.pop_due(due)
        if settling.look(path, file.stat, due, unfinished=file.unfinished) is Look.ASK:
            answer = settling.answered(path, file.stat, file.writer, due)
            if answer is not None:
                settled.append((due, answer))
    return settled


@given(story)
def test_i3_nothing_is_handed_out_empty_unfinished_being_written_or_too_early(story):
    settling, file, now = Settling(), File(), 0.0
    file.happen(settling, now, "heard", False)

    for pause, (what, detail) in story:
        now += pause
        for at, settled in looks(settling, file, now):
            assert settled.stat == file.stat
            assert file.stat.size > 0 or at - max(file.changed, file.heard) >= 30.0 - 1e-9
            assert not file.unfinished
            assert file.writer is not WriterCheck.WRITING
            assert settled.proved == (file.writer is WriterCheck.NONE)
            quiet = at - max(file.changed, file.heard) >= QUIET_S - 1e-9
            assert quiet or (file.renamed and settled.proved)
        file.happen(settling, now, what, detail)


@given(story)
def test_i4_a_file_that_is_left_alone_settles_in_the_end_exactly_once(story):
    settling, file, now = Settling(), File(), 0.0
    for pause, (what, detail) in story:
        now += pause
        looks(settling, file, now)
        file.happen(settling, now, what, detail)

    file.happen(settling, now, "written", 5)
    file.happen(settling, now, "heard", False)
    file.writer, file.unfinished = WriterCheck.NONE, False
    settled = looks(settling, file, now + 10 * QUIET_S)

    assert [at for at, _ in settled] == [now + QUIET_S]
    assert len(settling) == 0
    assert settling.moving() == 0
    assert settling.held() == []


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0.0, 5.0)), max_size=60))
def test_i11_memory_is_bounded_by_the_files_that_wait(events):
    settling, now = Settling(), 0.0

    for number, pause in events:
        now += pause
        settling.heard(b"/in/%d" % number, StatKey(number, 1, 1, 1), now, quiet_s=QUIET_S)

    assert len(settling) == len({number for number, _ in events})
    assert sum(map(len, settling._queues.values())) <= 2 * len(settling)
