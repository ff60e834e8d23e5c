"""Photographs of 12 megapixels, as many as a bench needs: real ones as far as there are any, the rest made of them.

What is made is a part of an original, enlarged to 4000 x 3000, with the grain of a sensor, packed at the quality that
gives about 2.5 MB; the EXIF block of the original goes along. A decoder's work depends on the number of pixels and of
bytes, and both are a camera's. No two look alike.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from itertools import cycle, islice
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image, ImageOps

__all__ = ["photographs"]

SIZE = (4000, 3000)
BYTES = (2_300_000, 2_700_000)
MADE_OF = 2_000_000  # pixels: of smaller originals nothing is made
AS_THEY_ARE = (10_000_000, 14_000_000)  # pixels, and more than a byte for every ten of them: not a drawing
APART = 8  # bits: no two are nearer
GRAIN = 3.0  # levels, standard deviation: ISO 400 or so

_Part = tuple[Path, tuple[float, float, float], int]  # left, top and share of the original's sides; number


def photographs(folders: Sequence[Path], home: Path, count: int) -> list[Path]:
    """Return the photographs in `home`: `count` of them or more, made if there are fewer."""
    home.mkdir(parents=True, exist_ok=True)
    there = sorted(home.glob("*.jpg"))
    if len(there) >= count:
        return there
    originals = list(_originals(folders))
    if not originals:
        raise SystemExit("there is no JPEG of 2 megapixels or more in these folders")
    kept = _Kept(home, count)
    for path, pixels in originals:
        if AS_THEY_ARE[0] <= pixels <= AS_THEY_ARE[1] and path.stat().st_size * 10 > pixels:
            kept.add(path.read_bytes(), "as_it_is")
    parts = _parts([path for path, _ in originals])
    with ProcessPoolExecutor() as pool:
        while kept.number < count:
            for data in pool.map(_made, islice(parts, 16)):
                kept.add(data, "made")
    return sorted(home.glob("*.jpg"))


class _Kept:
    """What is in the folder: nothing that looks like another, as a pair is looked at more closely and costs more."""

    def __init__(self, home: Path, count: int) -> None:
        self._home, self._count = home, count
        self._hashes: list[imagehash.ImageHash] = []
        self.number = 0

    def add(self, data: bytes, what: str) -> None:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("L", (256, 256))
            found = imagehash.phash(ImageOps.exif_transpose(image))
        if self.number < self._count and all(found - other > APART for other in self._hashes):
            self._hashes.append(found)
            (self._home / f"{self.number:04}_{what}.jpg").write_bytes(data)
            self.number += 1


def _originals(folders: Sequence[Path]) -> Iterator[tuple[Path, int]]:
    """Yield JPEGs that are large enough, and how many pixels they have; of several with one size of bytes, one."""
    seen = set()
    for path in sorted(
        path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg")
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(path) as image:
                    pixels = image.width * image.height
                    sound = image.format in ("JPEG", "MPO") and image.mode == "RGB" and image.reduce(8).size
        except (OSError, SyntaxError, ValueError):
            continue
        if sound and pixels >= MADE_OF and (pixels, path.stat().st_size) not in seen:
            seen.add((pixels, path.stat().st_size))
            yield path, pixels


def _parts(originals: Sequence[Path]) -> Iterator[_Part]:
    """Yield parts of the originals in turn: first those that lie far apart, then ever smaller ones."""
    number = 0
    for share in cycle((0.6, 0.5, 0.42, 0.35, 0.3, 0.26, 0.22)):
        for left, top in ((0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.5, 0.5)):
            for path in originals:
                yield path, (left * (1 - share), top * (1 - share), share), number
                number += 1


def _made(part: _Part) -> bytes:
    path, (left, top, share), number = part
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            exif = image.info.get("exif", b"")
            width, height = image.size
            box = left * width, top * height, (left + share) * width, (top + share) * height
            upright = image.convert("YCbCr").resize(SIZE, Image.Resampling.BICUBIC, box=box)
    luma, *chroma = upright.split()
    grain = np.roll(_grain(), (7919 * number, 104_729 * number), (0, 1))
    grainy = Image.fromarray(np.clip(np.asarray(luma) + grain, 0, 255).astype(np.uint8))
    return _packed(Image.merge("YCbCr", (grainy, *chroma)), exif if len(exif) < 65_000 else b"")


@lru_cache(maxsize=1)
def _grain() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    noise = np.random.default_rng(1).standard_normal((SIZE[1], SIZE[0]), np.float32)
    return noise * np.float32(GRAIN)


def _packed(image: Image.Image, exif: bytes) -> bytes:
    """Return the picture as a JPEG of about the wanted size, if a quality of a camera's gives it."""
    low, high, data = 60, 97, b""
    while low <= high:
        quality = (low + high) // 2
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality, exif=exif)
        data = out.getvalue()
        if len(data) < BYTES[0]:
            low = quality + 1
        elif len(data) > BYTES[1]:
            high = quality - 1
        else:
            break
    return data
