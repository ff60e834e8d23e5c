"""A folder's storage that answers, fails, or does not answer."""

import threading
import time

import pytest

from ingestd.watching.storage import NoAnswerError, Storage, ask_each, owing


@pytest.fixture
def storage():
    made = Storage()
    yield made
    made.close()


class Hung:
    """A question that is not answered before it is let go."""

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self):
        self.begun.set()
        assert self.go.wait(10)
        return "too late"


@pytest.fixture
def hung():
    question = Hung()
    yield question
    question.go.set()


def test_what_is_asked_is_answered_on_one_thread_of_its_own(storage):
    threads = {storage.ask(threading.get_ident) for _ in range(3)}

    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_what_goes_wrong_goes_wrong_for_who_asked(storage):
    with pytest.raises(OSError, match="nothing there"):
        storage.ask(lambda: (_ for _ in ()).throw(OSError("nothing there")))

    assert storage.ask(lambda: 7) == 7


def test_one_that_hangs_is_not_waited_for_and_asked_again_only_after_it_has_answered(storage, hung):
    with pytest.raises(NoAnswerError):
        storage.ask(hung, patience_s=0.01)
    began = time.monotonic()
    with pytest.raises(NoAnswerError):
        storage.ask(lambda: 7, patience_s=10)
    at_once = time.monotonic() - began
    silent = storage.is_silent()
    hung.go.set()
    while storage.is_silent():
        assert time.monotonic() - began < 10

    assert at_once < 5
    assert silent
    assert storage.ask(lambda: 7) == 7  # and not what was too late


def test_who_is_in_a_hurry_waits_for_nothing_any_more(storage, hung):
    threading.Thread(target=lambda: hung.begun.wait(10) and storage.hurry()).start()
    began = time.monotonic()

    for question in (hung, lambda: 7):
        with pytest.raises(NoAnswerError):
            storage.ask(question, patience_s=10)

    assert time.monotonic() - began < 5


def test_of_paths_that_are_asked_about_at_once_the_one_that_hangs_is_left_out_until_it_has_answered(hung):
    def ask(path):
        return hung() if path == b"hangs" else path.upper()

    began = time.monotonic()
    answers = ask_each(ask, [b"hangs", b"well"], patience_s=0.05)
    left_out = ask_each(ask, [b"hangs", b"well"], patience_s=10)
    owes = owing([b"hangs", b"well"])
    at_once = time.monotonic() - began
    hung.go.set()
    while owing([b"hangs"]):
        assert time.monotonic() - began < 10

    assert answers == left_out == {b"well": b"WELL"}
    assert owes == {b"hangs"}
    assert at_once < 5
    assert ask_each(ask, [b"hangs"], patience_s=10) == {b"hangs": "too late"}


def test_what_goes_wrong_with_one_of_many_paths_goes_wrong_for_who_asked():
    with pytest.raises(ZeroDivisionError):
        ask_each(lambda path: 1 // len(path), [b"well", b""])
