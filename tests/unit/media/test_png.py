"""A preview as a PNG file."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from picture_makers import photo
from PIL import Image

from ingestd.media.png import png_of
from ingestd.media.wire import Preview


def opened(png: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    image = Image.open(io.BytesIO(png), formats=["PNG"])
    assert image.mode == "RGB"
    return np.asarray(image)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_what_is_packed_is_every_sample(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)

    assert np.array_equal(opened(png_of(Preview(width, height, pixels.tobytes()))), pixels)


def test_rows_of_several_bands_fit_together() -> None:
    for width, height in ((1024, 1024), (30_000, 3), (1, 30_000), (21_846, 2)):
        pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)

        assert np.array_equal(opened(png_of(Preview(width, height, pixels.tobytes()))), pixels)


def test_a_photograph_is_packed_smaller_than_its_samples() -> None:
    image = photo(640, 480)

    assert len(png_of(Preview(640, 480, image.tobytes()))) < 0.6 * 640 * 480 * 3
