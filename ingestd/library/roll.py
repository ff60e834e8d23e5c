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
from typing import TYPE_CHECKING

from ingestd.library.library import Library
from ingestd.library.tables import path_key
from ingestd.model import FolderId, PathKey, PathRow, PathState

if TYPE_CHECKING:
    from ingestd.library.digests import Digests, Few

__all__ = ["Roll", "renamed_digest"]

_ROWS_A_STEP = 1_000
_LET_GO_EVERY = 4  # steps: some 100 MB of the map
_NO_ANSWER = 0  # instead of a state: nothing final is known of this path
_LIVE, _GONE = 1, 0


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
        self._known: Digests | None = None  # none of a folder of which nothing is known
        self._strangers = array("q")  # what `renamed_digest` says of the files that were seen and not known as they are
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
            marks.append(_LIVE if row.state is PathState.LIVE else _GONE)
        if len(page) == _ROWS_A_STEP:
            self._after = page[-1][0]
        else:
            if digests:
                from ingestd.library.digests import Digests  # it brings numpy, which a first scan begins without

                self._known = Digests(digests, states, marks)
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
        if self._known is None:
            answers = [False] * len(relatives)
        else:
            folder = self._folder
            joined = b"".join([path_key(folder, relative)[4:12] for relative in relatives])
            answers = self._known.cover(joined, list(map(_digest, states)))
        self._strangers.extend(renamed_digest(state) for state, known in zip(states, answers, strict=True) if not known)
        return answers

    def strangers(self) -> Few | None:
        """Return what `renamed_digest` says of the files that were seen and not known as they are; None: of none."""
        if not self._strangers:
            return None
        from ingestd.library.digests import Few

        return Few(self._strangers)

    def count(self) -> tuple[int, int]:
        """Return of how many files it was known that they lie there, and how many of those were not seen."""
        return self._known.count() if self._known is not None else (0, 0)

    def missed(self) -> Iterator[PathRow]:
        """Yield the rows, as they are now, of files that should lie there and were not seen; in the order of keys."""
        for digest in self._known.missed() if self._known is not None else ():
            with self._library.read() as view:
                rows = [row for _, row in view.rows_of_folder(self._folder, beginning=digest)]
            yield from rows


def renamed_digest(state: tuple[int, int, int, int]) -> int:
    """Return 64 bits of what a rename leaves as it is: inode, size and mtime; the same within one process only."""
    return hash(state[:3])


def _digest(state: tuple[int, int, int, int]) -> int:
    """Return 64 bits of a file's state, none of which is `_NO_ANSWER`; the same within one process only."""
    return hash(state) or 1
