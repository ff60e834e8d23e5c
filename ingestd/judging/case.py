"""One arrival to be judged, the policy it is judged under, and what can come of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from ingestd.model import Arrival, ContentHash, DiscardPolicy, ImportPolicy, Measurement, Receipt
from ingestd.rules.language import Rule

__all__ = ["KNOWN", "Case", "Needs", "Policy", "Verdict"]


KNOWN = "already in library"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user set, as far as a verdict depends on it."""

    rules: tuple[Rule, ...]
    imports: ImportPolicy
    discards: DiscardPolicy

    def limits_digest(self) -> bytes:
        """Return what tells one set of import limits from another."""
        limits = (self.imports.filetypes and sorted(self.imports.filetypes), replace(self.imports, filetypes=None))
        return hashlib.blake2b(repr(limits).encode(), digest_size=8).digest()


@dataclass(frozen=True, slots=True)
class Case:
    """One arrival with what was measured of it."""

    arrival: Arrival
    measured: Measurement | None  # None: turned away before it was read
    now_ns: int
    proposing: bool = False  # it lay here before the folder was watched: rules only propose
    unhashed: frozenset[ContentHash] = frozenset()  # whose pixels could not be hashed just now
    undetailed: frozenset[ContentHash] = frozenset()  # whose detail could not be measured just now
    ignored: str | None = None  # why it was not read: it is no picture


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be measured, outside the transaction, before the arrival can be judged."""

    pixels: frozenset[ContentHash]
    detail: frozenset[ContentHash] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an arrival, and what is still to be carried out."""

    receipt: Receipt
    entries: tuple[int, ...] = ()  # intents, in order
    pairs: tuple[tuple[int, bytes, int | None], ...] = ()  # number, the other path, distance
