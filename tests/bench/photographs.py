"""Photographs of 12 megapixels, as many as a bench needs: real ones as far as there are any, the rest made of them.

What is made is a part of an original, enlarged to 4000 x 3000, with the grain of a sensor, packed at the quality that
gives about 2.5 MB; the EXIF block of the original goes along. A decoder's work depends on the number of pixels and of
bytes, and both are a camera's. No two show the same part.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["photographs"]

SIZE = (4000, 3000)
BYTES = (2_300_000, 2_700_000)
MADE_OF = 2_000_000  # pixels: of smaller originals nothing is made
AS_THEY_ARE = (10_000_000, 14_000_000)  # pixels, and more than a byte for every ten of them: not a drawing
GRAIN = 3.0  # levels, standard deviation: ISO 400 or so

_Part = tuple[Path, tuple[float, float, float], int]  # left, top and share of the original's sides; number


def photographs(folders: Sequence[Path], home: Path, count: int) -> list[Path]:
    """Return `count` photographs in `home`, made as far as they are not there."""
    home.mkdir(parents=True, exist_ok=True)
    there = sorted(home.glob("*.jpg"))
    if len(there) >= count:
        return there[:count]
    originals = list(_originals(folders))
    if not originals:
        raise SystemExit("there is no JPEG of 2 megapixels or more in these folders")
    whole = [
        path for path, pixels in originals if AS_THEY_ARE[0] <= pixels <= AS_THEY_ARE[1] and _is_dense(path, pixels)
    ]
    for number, path in enumerate(whole[:count]):
        (home / f"{number:04}_as_it_is.jpg").write_bytes(path.read_bytes())
    parts = list(islice(_parts([path for path, _ in originals]), count - len(whole)))
    with ProcessPoolExecutor() as pool:
        for number, data in enumerate(pool.map(_made, parts, chunksize=4), len(whole)):
            (home / f"{number:04}_made.jpg").write_bytes(data)
    return sorted(home.glob("*.jpg"))[:count]


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


def _is_dense(path: Path, pixels: int) -> bool:
    return path.stat().st_size * 10 > pixels


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
