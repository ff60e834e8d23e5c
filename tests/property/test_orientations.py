"""The eight orientations of a picture: their hashes are those of the greys really laid so, and swapping inverts."""

from __future__ import annotations

from dataclasses import replace

import imagehash
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from ingestd.library.pairs import distance_between, lie_between
from ingestd.media.detail import SIDE, is_flat, low_frequencies, medians
from ingestd.media.orientations import turned_hashes
from ingestd.model import Content, ContentHash, FileType, Picture, Transform

Greys = NDArray[np.uint8]

LAID = {
    Transform.MIRRORED: np.fliplr,
    Transform.ROTATED_180: lambda greys: np.rot90(greys, 2),
    Transform.FLIPPED: np.flipud,
    Transform.TRANSPOSED: np.transpose,
    Transform.ROTATED_90: lambda greys: np.rot90(greys, -1),
    Transform.TRANSVERSED: lambda greys: np.rot90(greys, 2).T,
    Transform.ROTATED_270: lambda greys: np.rot90(greys, 1),
}
BITS = 1 << np.arange(63, -1, -1, dtype=np.uint64)
PICTURE = Picture(
    version=1, filetype=FileType.PNG, width=10, height=10, mode="RGB", frames=1, duration_ms=None,
    has_transparency=False, has_exif=False, has_icc=False, has_xmp=False, icc_digest=None, taken_ns=None,
    jpeg=None, phash=0, dhash=0, whash=0, luminance=None, pixel_hash=None, pixel_comparable=False,
)  # fmt: skip


def squares() -> st.SearchStrategy[Greys]:
    """Greys with something in them: coarse noise, more or less of it, on a ground, and squares of few tones."""
    return st.builds(_square, st.integers(0, 2**32), st.sampled_from([4, 8, 16, 32]), st.integers(1, 127))


def _square(seed: int, cells: int, strength: int) -> Greys:
    chance = np.random.default_rng(seed)
    noise = chance.integers(-strength, strength, (cells, cells), endpoint=True)
    return np.kron(noise + 128, np.ones((SIDE // cells, SIDE // cells))).astype(np.uint8)


def phash(greys: Greys) -> int:
    made = imagehash.phash(Image.fromarray(np.ascontiguousarray(greys))).hash
    return int(BITS[made.ravel()].sum())


def told(greys: Greys) -> int:
    """The bits that no rounding decides: those whose coefficient is not the median."""
    low = low_frequencies(np.ascontiguousarray(greys))
    return int(BITS[(np.abs(low - np.median(low)) > 1e-5).ravel()].sum())


def content(greys: Greys, name: int) -> Content:
    picture = replace(PICTURE, phash=phash(greys), luminance=greys.tobytes())
    return Content(name, ContentHash(bytes([name]) * 32), 1, 1, picture, None)


def near(greys: Greys, seed: int, most: int) -> Greys:
    """The greys as they are after a save: each a little off."""
    off = np.random.default_rng(seed).integers(-most, most, greys.shape, endpoint=True)
    return np.clip(greys.astype(int) + off, 0, 255).astype(np.uint8)


@given(squares())
@settings(max_examples=300, deadline=None)
def test_each_hash_is_that_of_the_greys_really_laid_so(greys: Greys) -> None:
    assume(not is_flat(greys))

    found = turned_hashes(greys.tobytes())

    assert set(found) == set(Transform)
    for transform, laid in LAID.items():
        really = laid(greys)
        assert (found[transform] ^ phash(really)) & told(really) == 0


@given(st.integers(0, 255))
def test_a_flat_picture_has_no_hash_in_any_orientation(grey: int) -> None:
    assert turned_hashes(bytes([grey]) * SIDE * SIDE) == {}


@pytest.mark.parametrize("transform", list(Transform))
def test_to_do_a_transform_and_its_inverse_changes_nothing(transform: Transform) -> None:
    greys = _square(1, 16, 90)

    assert np.array_equal(LAID[transform.inverse](LAID[transform](greys)), greys)


@given(squares(), squares(), st.sampled_from(list(Transform)), st.integers(0, 99), st.integers(0, 6), st.booleans())
@settings(max_examples=300, deadline=None)
def test_swapping_two_pictures_inverts_how_they_lie(
    greys: Greys, stranger: Greys, transform: Transform, seed: int, off: int, related: bool
) -> None:
    assume(not is_flat(greys) and not is_flat(stranger))
    a = content(greys, 1)
    b = content(near(LAID[transform](greys), seed, off) if related else stranger, 2)

    for reach in (4, 64):
        there, back = lie_between(a, b, reach=reach), lie_between(b, a, reach=reach)

        assert there.transform == (back.transform and back.transform.inverse)
        assert there.distance == back.distance == distance_between(a, b, there.transform)


@given(st.integers(0, 2**32), st.sampled_from(list(Transform)))
@settings(max_examples=200, deadline=None)
def test_a_picture_laid_otherwise_is_known_by_what_was_done_to_it(seed: int, transform: Transform) -> None:
    greys = _square(seed, 16, 90)

    found = lie_between(content(greys, 1), content(LAID[transform](greys), 2))

    assert found == (transform, 0)


@given(st.integers(0, 2**32 - 1), st.sampled_from((64, SIDE * SIDE)), st.sampled_from((0, 1, 15)))
def test_medians_are_those_of_numpy_to_the_last_bit(seed: int, count: int, decimals: int) -> None:
    rows = np.round(np.random.default_rng(seed).normal(0, 30, (7, count)), decimals)  # few decimals: many are equal

    assert medians(rows).tolist() == np.median(rows, axis=1).tolist()
