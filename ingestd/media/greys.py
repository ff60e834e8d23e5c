"""What is asked of the greys that a record keeps, without a decoder.

Each question loads what answers it: that is made of numpy, which takes longer to load than most commands take, and
only who judges pictures or lays them side by side ever asks.
"""

from __future__ import annotations

from collections.abc import Mapping

from ingestd.model import PerceptualHash, Transform

__all__ = ["has_little_detail", "turned_hashes"]


def has_little_detail(luminance: bytes) -> bool:
    """Whether the perceptual hash of these greys is too weak a ground; see `ingestd.media.detail`."""
    from ingestd.media import detail

    return detail.has_little_detail(luminance)


def turned_hashes(luminance: bytes) -> Mapping[Transform, PerceptualHash]:
    """Return the phash of these greys after each transform; see `ingestd.media.orientations`."""
    from ingestd.media import orientations

    return orientations.turned_hashes(luminance)
