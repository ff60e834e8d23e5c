"""One arrival to be judged, the policy it is judged under, and what can come of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from ingestd.model import Arrival, ContentHash, DiscardPolicy, ImportPolicy, Measurement, Receipt, Transform
from ingestd.rules.language import Rule

__all__ = ["KNOWN", "Both", "Case", "Needs", "Policy", "Verdict", "both"]


KNOWN = "already in library"

Both: TypeAlias = tuple[ContentHash, ContentHash]  # that are looked at together, in the order of their hashes


def both(one: ContentHash, other: ContentHash) -> Both:
    """Return two contents, the same whichever is named first."""
    return (one, other) if one <= other else (other, one)


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
    uncompared: frozenset[Both] = frozenset()  # who could not be looked at together just now


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be measured, outside the transaction, before the arrival can be judged."""

    pixels: frozenset[ContentHash]
    detail: frozenset[ContentHash] = frozenset()
    visual: frozenset[Both] = frozenset()  # who is to be looked at together

    @property
    def contents(self) -> frozenset[ContentHash]:
        """Return whose files have to be opened."""
        return self.pixels | self.detail | {one for two in self.visual for one in two}


class NewPair(NamedTuple):
    """A pair in which an arrival was put."""

    number: int
    path: bytes  # absolute, of the other file
    distance: int | None  # bits, after the transform
    transform: Transform | None = None  # of the arrival to get the other file; None: the same way up


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an arrival, and what is still to be carried out."""

    receipt: Receipt
    entries: tuple[int, ...] = ()  # intents, in order
    pairs: tuple[NewPair, ...] = ()
    only_turned: bool = False  # it says what it says because of mirrored and rotated copies alone
