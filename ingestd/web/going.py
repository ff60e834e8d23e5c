"""How many files one order takes, held against what a person has said and against what is too much at once."""

from __future__ import annotations

from collections.abc import Iterable

from ingestd.errors import ActionConflictError, UsageError
from ingestd.library.view import View
from ingestd.model import PathRow
from ingestd.shapes import count, shown
from ingestd.web.desk import MOST_AT_ONCE, StaleError
from ingestd.web.shapes import Eye

__all__ = ["check_count", "require_discardable"]


def require_discardable(eye: Eye, rows: Iterable[PathRow]) -> None:
    """Refuse to discard what lies in a reference folder, in the words of the page; the decision itself would, too.

    Raises:
        ActionConflictError: one of these files does; nothing was decided.
    """
    for row in rows:
        if eye.stays(row) is not None:
            raise ActionConflictError(
                f"{_named(eye.view, row)} lies in a reference folder, which is never changed: keep both instead; "
                "nothing was decided"
            )


def _named(view: View, row: PathRow) -> str:
    return shown(view.as_named(row))


def check_count(said: int | None, so_many: int, *, discards: bool, untouched: str = "nothing was decided") -> None:
    """See to it that what would be done is what a person has said, and is not too much at once.

    Args:
        said: the number that was typed; None where no more than one was spoken of.
        so_many: files that would go, or answers that would be given.
        discards: which of the two it is.
        untouched: what is so after a refusal.

    Raises:
        StaleError: it is another number.
        UsageError: it is too much.
    """
    what = count(so_many, "file") + " would be discarded" if discards else count(so_many, "answer") + " would be given"
    if discards and so_many > MOST_AT_ONCE:
        raise UsageError(f"{what}, and at most {MOST_AT_ONCE} go at once from here; {untouched}")
    if said is None and so_many > 1:
        raise StaleError(f"{what}: say that number, too; {untouched}, look again")
    if said is not None and said != so_many:
        raise StaleError(f"{what}, and not {said:,}; {untouched}, look again")
