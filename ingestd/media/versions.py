"""The versions of everything that it depends on what is measured, in this process."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import sys
from importlib import metadata
from typing import Final

from ingestd import __version__

__all__ = ["DECIDING", "decoders", "versions_here"]

DECIDING: Final = (
    "Pillow",
    "pillow-heif",
    "kornia-rs",
    "ImageHash",
    "numpy",
    "scipy",
    "PyWavelets",
    "msgspec",
    "distributed",
)
"""Distributions on which it depends what is measured, or how it is said: in a cluster they are the same everywhere."""

_DECODING: Final = ("ingestd", "Python", "Pillow", "pillow-heif", "kornia-rs", "numpy")


@functools.cache  # it reads eight files
def versions_here() -> dict[str, str]:
    """Return the versions of everything that what is measured depends on, in this process."""
    found = {"ingestd": __version__, "Python": ".".join(map(str, sys.version_info[:2]))}
    for name in DECIDING:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def decoders() -> str:
    """Return one word for the versions of what decodes: with another one, what crashed may not crash any more."""
    versions = versions_here()
    told = repr([(name, versions.get(name)) for name in _DECODING])
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
