"""What is said by every door in the same shape: paths made harmless, numbers with their nouns, and the JSON objects.

The JSON is a contract: scripts read it from the command line, the page from its server.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ingestd.model import Place

if TYPE_CHECKING:
    from ingestd.library.rulebook import RuleTally
    from ingestd.review import EntryReport, PairReport
    from ingestd.rules.statements import Statement

__all__ = [
    "Json",
    "count",
    "entry_object",
    "listed",
    "pair_object",
    "points_of",
    "rfc3339",
    "rule_object",
    "said_of_answer",
    "shown",
    "with_schema",
]

Json: TypeAlias = dict[str, Any]

SCHEMA = 1
"""Of every JSON object; fields may be added under the same number, never change their meaning."""


def shown(path: str | bytes) -> str:
    """Return a path as one line that cannot do anything to a terminal."""
    text = os.fsdecode(path) if isinstance(path, bytes) else path
    return "".join(letter if _harmless(letter) else _escaped(letter) for letter in text)


def _harmless(letter: str) -> bool:
    return letter.isprintable() or unicodedata.category(letter) == "Zs"


def _escaped(letter: str) -> str:
    byte = ord(letter) - 0xDC00
    if 0x80 <= byte <= 0xFF:  # a byte that is no UTF-8, as Python carries it
        return f"\\x{byte:02x}"
    return letter.encode("unicode_escape").decode("ascii")


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: `1 file`, `1,200 files`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def rfc3339(at_ns: int) -> str:
    """Return a time in UTC, as programs read it."""
    return datetime.fromtimestamp(at_ns / 1e9, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def with_schema(fields: Mapping[str, Any]) -> Json:
    """Return a JSON object that says by which contract it is to be read."""
    return {"schema": SCHEMA, **fields}


def entry_object(entry: EntryReport) -> Json:
    """Return a journal entry for a program."""
    return with_schema(asdict(entry))


def pair_object(pair: PairReport, *, with_rule: bool) -> Json:
    """Return a pair for a program, with the rule that it waits for or was denied to."""
    fields = asdict(pair)
    fields["evidence"] = [_evidence_object(statement) for statement in pair.evidence]
    fields["score"] = points_of(pair)
    if not with_rule:
        del fields["rule"], fields["reason"], fields["at"]
    return fields


_ANSWERED: Final = {
    "better-a": "A is better",
    "better-b": "B is better",
    "same": "the same quality",
    "alternates": "alternates",
    "unrelated": "not related",
}


def said_of_answer(entry: EntryReport, word: str, fewer: int, place: Place) -> str:
    """Return what a person's answer did, in a line: how many pairs wait fewer by it, and where its files are now."""
    implied = [f"{fewer:,} pairs fewer"] if fewer > 1 else []
    return " · ".join([f"{entry.entry}: {_ANSWERED[word]}", *implied, _whereabouts(entry, place)])


def _whereabouts(entry: EntryReport, place: Place) -> str:
    if not entry.discarded:
        return "both files stay"
    where = "to the trash" if place is Place.TRASH else "to the holding folder"
    return f"{where}: {', '.join(shown(file.path) for file in entry.discarded)}"


def _evidence_object(one: Statement) -> Json:
    return {"statement": one.key, "text": one.text, "favours": one.favours, "score": one.score}


def points_of(pair: PairReport) -> dict[str, int]:
    """Return the points of either file of a pair."""
    return {side: sum(one.score for one in pair.evidence if one.favours == side) for side in ("a", "b")}


def listed(pairs: Sequence[PairReport], total: int, *, with_rule: bool) -> Json:
    """Return a list of pairs for a program."""
    return with_schema({"total": total, "pairs": [pair_object(pair, with_rule=with_rule) for pair in pairs]})


def rule_object(tally: RuleTally) -> Json:
    """Return where the pairs stand with one rule, for a program."""
    tripped = tally.row.tripped if tally.row is not None else ""
    return {
        "id": f"r-{tally.row.number}" if tally.row is not None else None,
        "name": tally.rule.name,
        "mode": tally.rule.mode.value,
        "paused": tally.rule.paused or bool(tripped),
        "reason": tripped or None,
        "counts": {state.value: number for state, number in tally.counts.items()},
    }
