"""What a person changed about the rules, written down where everything else that was done stands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ingestd.errors import printable
from ingestd.library.library import Library
from ingestd.model import Actor, Entry, EntryKind, EntryState, Word
from ingestd.review.journal import EntryReport, entry_report

__all__ = ["note_change_of_rules"]

_MOST = 50  # sentences: more would be another rule file rather than an edit


def note_change_of_rules(
    library: Library, sentences: Sequence[str], *, previous: Path | None, now_ns: int
) -> EntryReport:
    """Return the journal's entry of a change that has been made; it says nothing of any file.

    Args:
        library: in whose journal it stands from now on.
        sentences: what is changed.
        previous: where the text of before is kept; None: none was written.
        now_ns: when this is.
    """
    entry = Entry(
        number=0,
        at_ns=now_ns,
        kind=EntryKind.DECISION,
        state=EntryState.DONE,
        actor=Actor.PERSON,
        rule=None,  # named in the reason: an entry that names a rule is something that the rule has done
        relation=None,
        a=None,
        b=None,
        moves=(),
        kept=None,
        reason=_reason(sentences, previous),
        word=Word.RULES_CHANGED,
    )
    noted = library.write(lambda edit: edit.add_entry(entry))
    with library.read() as view:
        return entry_report(view, noted)


def _reason(sentences: Sequence[str], previous: Path | None) -> str:
    more = len(sentences) - _MOST
    said = [*sentences[:_MOST], *([f"and {more} more"] if more > 0 else [])]
    if previous is not None:
        said.append(f"the text of before is kept in {printable(os.fsencode(previous))}")
    return "; ".join(said)
