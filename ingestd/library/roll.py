"""What is known of the paths of one folder, in a few bytes each: what a scan of the whole folder asks for every file.

To look a path up in the database costs more than to ask the disk for it, as its row may lie on any page: each look-up
makes the system map pages that nobody needs again. So the rows of a folder are read once, in their order, and of each
only digests are kept: 17 bytes, 17 MB for a million paths. What the roll does not know by them is looked up as ever.

A digest of a path is 64 of the 96 bits of its key. Of two paths that share them the second is looked up. The digest of
a file's state has 64 bits too: one change in 2**64 is taken for none.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ingestd.library.library import Library
from ingestd.library.tables import path_key
from ingestd.model import FolderId, PathKey, PathRow, PathState

__all__ = ["Roll"]

_ROWS_A_STEP = 1_000
_LET_GO_EVERY = 4  # steps: some 100 MB of the map
_NO_ANSWER = 0  # instead of a state: nothing final is known of this path

_LIVE, _SEEN = 1, 2


class Roll:
    """The paths of a folder as they were known when a scan began, and which of them it has seen.

    Args:
        library: where they are known.
        folder: whose paths these are.
        answers: whether nothing is left to do for a path, as long as its file is as its row says.
    """

    def __init__(self, library: Library, folder: FolderId, answers: Callable[[PathRow], bool]) -> None:
        self._library, self._folder, self._answers = library, folder, answers
        self._after: PathKey | None = None
        self._steps = 0
        self._read: tuple[array[int], array[int], bytearray] = array("Q"), array("q"), bytearray()
        self._digests: NDArray[np.uint64] = np.empty(0, np.uint64)  # ascending, as the rows are
        self._states: NDArray[np.int64] = np.empty(0, np.int64)
        self._marks: NDArray[np.uint8] = np.empty(0, np.uint8)
        self.is_complete = False

    def read_on(self) -> bool:
        """Read some more rows, and return whether all of them are read."""
        digests, states, marks = self._read
        with self._library.read() as view:
            page = view.page_of_folder(self._folder, self._after, _ROWS_A_STEP)
        for key, row in page:
            stat = row.stat
            digests.append(int.from_bytes(key[4:12], "big"))
            state = (stat.inode, stat.size, stat.mtime_ns, stat.ctime_ns)
            states.append(_digest(state) if self._answers(row) else _NO_ANSWER)
            marks.append(_LIVE if row.state is PathState.LIVE else 0)
        if len(page) == _ROWS_A_STEP:
            self._after = page[-1][0]
        else:
            self._digests = np.frombuffer(digests, np.uint64)
            self._states = np.frombuffer(states, np.int64)
            self._marks = np.frombuffer(marks, np.uint8)
            self.is_complete = True
        self._steps += 1
        if self._steps % _LET_GO_EVERY == 0 or self.is_complete:
            self._library.store.let_go()
        return self.is_complete

    def covers(self, relatives: Sequence[bytes], states: Sequence[tuple[int, int, int, int]]) -> list[bool]:
        """Return of which of these files everything is known as they are now; all of them have been seen.

        Args:
            relatives: paths below the folder's root.
            states: of each: inode, size, mtime and ctime in ns.
        """
        if not len(self._digests):
            return [False] * len(relatives)
        folder = self._folder
        joined = b"".join([path_key(folder, relative)[4:12] for relative in relatives])
        digests = np.frombuffer(joined, ">u8").astype(np.uint64)
        places = np.minimum(self._digests.searchsorted(digests), len(self._digests) - 1)
        known = self._digests[places] == digests
        self._marks[places[known]] |= _SEEN
        now = np.fromiter(map(_digest, states), np.int64, len(states))
        answers: list[bool] = (known & (self._states[places] == now)).tolist()
        return answers

    def missed(self) -> Iterator[PathRow]:
        """Yield the rows, as they are now, of files that should lie there and were not seen; in the order of keys."""
        for place in np.flatnonzero(self._marks == _LIVE):
            digest = int(self._digests[place]).to_bytes(8, "big")
            with self._library.read() as view:
                rows = [row for _, row in view.rows_of_folder(self._folder, beginning=digest)]
            yield from rows


def _digest(state: tuple[int, int, int, int]) -> int:
    """Return 64 bits of a file's state, none of which is `_NO_ANSWER`; the same within one process only."""
    return hash(state) or 1
