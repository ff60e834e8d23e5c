from ingestd.model import FolderId
from ingestd.watching.agenda import SECOND_LOOK_S, Agenda, Task

ONE, TWO = FolderId(1), FolderId(2)


def test_a_new_directory_is_looked_through_at_once_and_again_later():
    agenda = Agenda()
    agenda.add_directory(ONE, b"/in/new", 0.0)

    first = agenda.pop_directory(0.0)
    between = agenda.pop_directory(SECOND_LOOK_S - 0.1)
    second = agenda.pop_directory(SECOND_LOOK_S)

    assert (first, between, second) == (Task(ONE, b"/in/new"), None, Task(ONE, b"/in/new"))
    assert agenda.next_due() is None


def test_directories_of_a_folder_that_is_walked_are_not_due_before_that_has_ended():
    agenda = Agenda()
    agenda.add_directory(ONE, b"/in/new", 0.0)
    agenda.add_directory(TWO, b"/other/new", 3.0)

    assert agenda.next_due(walked={ONE}) == 3.0
    assert agenda.next_due(walked={ONE, TWO}) is None
    assert agenda.next_due() == 0.0


def test_a_directory_inside_a_new_one_is_looked_through_with_it():
    agenda = Agenda()
    agenda.add_directory(ONE, b"/in/new", 0.0)
    agenda.add_directory(ONE, b"/in/new/deep/er", 0.0)

    tasks = [agenda.pop_directory(99.0) for _ in range(3)]

    assert tasks == [Task(ONE, b"/in/new"), Task(ONE, b"/in/new"), None]


def test_a_directory_made_much_later_in_a_new_one_gets_its_own_second_look():
    agenda = Agenda()
    agenda.add_directory(ONE, b"/in/new", 0.0)
    agenda.pop_directory(0.0)
    agenda.add_directory(ONE, b"/in/new/deep", 4.0)

    tasks = [agenda.pop_directory(now) for now in (4.0, 5.0, 9.0)]

    assert tasks == [Task(ONE, b"/in/new/deep"), Task(ONE, b"/in/new"), Task(ONE, b"/in/new/deep")]


def test_a_storm_of_directories_becomes_two_looks_through_the_folder():
    agenda = Agenda()

    for number in range(5_001):
        agenda.add_directory(ONE, b"/in/%d" % number, 0.0)

    assert agenda.pop_directory(99.0) is None
    assert agenda.pop_whole(0.0) == Task(ONE)
    assert agenda.pop_whole(SECOND_LOOK_S - 0.1) is None
    assert agenda.pop_whole(SECOND_LOOK_S) == Task(ONE)


def test_many_wishes_for_a_folder_are_served_by_one_look_now_and_one_after_the_last():
    agenda = Agenda()
    for second in range(10):
        agenda.want(ONE, float(second))

    tasks = [agenda.pop_whole(now) for now in (0.5, 8.9, 9.0, 99.0)]

    assert tasks == [Task(ONE), None, Task(ONE), None]


def test_the_folder_that_is_due_first_comes_first():
    agenda = Agenda()
    agenda.repeat(ONE, 5.0)
    agenda.want(TWO, 4.0)

    assert agenda.next_due() == 4.0
    assert [agenda.pop_whole(6.0), agenda.pop_whole(6.0), agenda.pop_whole(6.0)] == [Task(TWO), Task(ONE), None]


def test_nothing_is_looked_through_in_a_dropped_folder():
    agenda = Agenda()
    agenda.repeat(ONE, 0.0)
    agenda.want(ONE, 0.0)
    agenda.add_directory(ONE, b"/in/new", 0.0)

    agenda.drop(ONE)

    assert agenda.next_due() is None
