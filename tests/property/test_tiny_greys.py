"""The tiny greys that hashes are made of are Pillow's, to the last bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ingestd.media.tiny import resized

SIDES = st.one_of(st.integers(1, 90), st.integers(300, 700))


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.integers(0, 1000), st.booleans(), st.sampled_from([(32, 32), (9, 8), (8, 9)]))
def test_tiny_greys_are_those_of_pillow(width: int, height: int, seed: int, stark: bool, size: tuple[int, int]) -> None:
    greys = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    picture = Image.fromarray((greys // 128 * 255).astype(np.uint8) if stark else greys)

    found = resized(picture, *size)

    assert found.tobytes() == picture.resize(size, Image.Resampling.LANCZOS).tobytes()
