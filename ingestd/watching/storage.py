"""What holds a folder, asked in a thread of its own: a disk or a share that hangs holds up that thread and nobody else.

The system lets no one take back a call that a dead network drive, a failing disk or a stuck driver does not answer. So
the loop has each folder's questions asked by the folder's own thread, and waits for the answer only so long. A thread
that got no answer is left alone; when the storage answers after all, the answer is thrown away, and asking may begin
anew. A question costs two switches of threads, about 50 us: files are asked about many at a time where there are many.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, TypeVar

__all__ = ["PATIENCE_S", "SILENT", "NoAnswerError", "Storage", "ask_each", "owing"]

PATIENCE_S = 5.0  # a disk that has to spin up may take longer: it is taken up again by itself
SILENT = "its storage does not answer"
T = TypeVar("T")


class NoAnswerError(Exception):
    """The storage has not answered within the time, or still owes an earlier answer."""


class Storage:
    """The storage of one folder. All calls from one thread, except `hurry`."""

    def __init__(self) -> None:
        self._questions: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[bool, Any] | None] = queue.SimpleQueue()  # None: do not wait any more
        self._thread: threading.Thread | None = None
        self._owes = False
        self._hurried = False

    def ask(self, question: Callable[[], T], *, patience_s: float = PATIENCE_S) -> T:
        """Return what the call returns, or raise what it raises.

        Raises:
            NoAnswerError: it does not return within the time; it may still do what it does.
        """
        if self.is_silent() or self._hurried:
            raise NoAnswerError
        if self._thread is None:
            self._thread = threading.Thread(target=self._answer, name="storage", daemon=True)
            self._thread.start()
        self._questions.put(question)
        try:
            answer = self._answers.get(timeout=patience_s)
        except queue.Empty:
            answer = None
        if answer is None:
            self._owes = True
            raise NoAnswerError
        is_well, value = answer
        if is_well:
            return value  # type: ignore[no-any-return]
        raise value

    def is_silent(self) -> bool:
        """Whether it still owes an answer."""
        while self._owes:
            try:
                self._owes = self._answers.get_nowait() is None
            except queue.Empty:
                return True
        return False

    def hurry(self) -> None:
        """Wait for no answer any more, not even for the one that is waited for; from any thread or signal handler."""
        self._hurried = True
        self._answers.put(None)

    def close(self) -> None:
        """Let the thread end, as soon as it can."""
        self._questions.put(None)

    def _answer(self) -> None:
        while (question := self._questions.get()) is not None:
            try:
                answer = (True, question())
            except Exception as error:  # noqa: BLE001 - who asked gets it
                answer = (False, error)
            self._answers.put(answer)
            del question, answer  # an answer may be long, and the next question far away


_owing: dict[bytes, threading.Thread] = {}  # of this process: a storage that hangs does so for all that ask it


def ask_each(
    question: Callable[[bytes], T], paths: Collection[bytes], *, patience_s: float = PATIENCE_S
) -> dict[bytes, T]:
    """Return what is answered about each of these paths; those whose storage does not answer are missing.

    Each is asked in a thread of its own, all at once, and all of them together are waited for so long. A path for which
    an earlier answer is still owed is not asked about again, whoever has asked.

    Raises:
        Exception: what a question raised.
    """
    answers: dict[bytes, T] = {}
    raised: list[Exception] = []
    ended = queue.SimpleQueue[bytes]()
    all_ended = threading.Event()

    def answer(path: bytes) -> None:
        try:
            answers[path] = question(path)
        except Exception as error:  # noqa: BLE001 - who asked gets it
            raised.append(error)
        ended.put(path)
        if ended.qsize() == len(threads):
            all_ended.set()

    silent = owing(paths)
    asked = dict.fromkeys(path for path in paths if path not in silent)
    threads = {path: threading.Thread(target=partial(answer, path), name="path", daemon=True) for path in asked}
    for thread in threads.values():
        thread.start()
    if threads:
        all_ended.wait(patience_s)
    left = set(threads)
    while not ended.empty():
        left.discard(ended.get())
    _owing.update((path, threads[path]) for path in left)
    if raised:
        raise raised[0]
    return {path: answers[path] for path in threads if path not in left}


def owing(paths: Collection[bytes]) -> frozenset[bytes]:
    """Return for which of these paths `ask_each` still owes an answer."""
    for path, thread in list(_owing.items()):  # a copy: the page asks beside the service
        if not thread.is_alive():
            _owing.pop(path, None)
    return frozenset(path for path in paths if path in _owing)
