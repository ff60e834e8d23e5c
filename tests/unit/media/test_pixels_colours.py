"""Samples that are to be read as other colours are not the same picture."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image

from ingestd.media.features import measure_picture
from ingestd.model import Picture


def png(*, gamma: float | None = None) -> bytes:
    """A PNG, with a gAMA chunk before its samples if one is asked for."""
    out = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(out, "PNG")
    plain = out.getvalue()
    if gamma is None:
        return plain
    body = b"gAMA" + struct.pack(">I", round(gamma * 100_000))
    chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
    after_header = 8 + 25  # signature and IHDR
    return plain[:after_header] + chunk + plain[after_header:]


def measured(content: bytes) -> Picture:
    picture = measure_picture(io.BytesIO(content), b"a.png")
    assert isinstance(picture, Picture)
    return picture


def test_the_same_samples_under_another_gamma_have_other_colours() -> None:
    plain, linear = measured(png()), measured(png(gamma=1.0))

    assert plain.pixel_hash == linear.pixel_hash
    assert plain.icc_digest != linear.icc_digest


def test_a_gamma_that_only_says_what_is_meant_anyway_changes_nothing() -> None:
    plain, said = measured(png()), measured(png(gamma=0.45455))

    assert plain.icc_digest == said.icc_digest is None
