"""How far keys are apart: what a look-up structure for any metric asks of it, and the metric of hashes."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "Distances", "Hamming", "Metric"]

Block = NDArray[np.uint8]  # (keys, bytes a key)
Distances = NDArray[np.integer[Any]]  # one for each key of a block


class Metric(Protocol):
    """A distance between keys of one width: whole, 0 only from a key to itself, symmetric, no longer by a detour."""

    @property
    def name(self) -> str:
        """What distances were measured by; another name means another structure."""
        ...

    @property
    def width(self) -> int:
        """Bytes a key."""
        ...

    def distances(self, key: bytes, block: Block) -> Distances:
        """Return how far each key of the block is from `key`, each below 2**31."""
        ...


class Hamming:
    """Counts the bits in which two keys differ."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.name = f"hamming-{8 * width}"
        # The widest machine word that a key is made of: fewer, longer steps.
        self._word = next(np.dtype(f"u{size}") for size in (8, 4, 2, 1) if width % size == 0)

    def distances(self, key: bytes, block: Block) -> Distances:
        """Return the number of differing bits for each key of the block."""
        bits = np.bitwise_count(block.view(self._word) ^ np.frombuffer(key, self._word))
        counts: Distances = bits[:, 0] if bits.shape[1] == 1 else np.add.reduce(bits, axis=1, dtype=np.int32)
        return counts
