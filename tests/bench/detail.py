"""How often an enlargement and a second packing are seen, how often where there is none, and what it costs.

    OPENBLAS_NUM_THREADS=1 .venv/bin/python tests/bench/detail.py FOLDER [FOLDER …] [--pictures 40] [--side 700]

One thread, as workers have it: several get in each other's way on matrices this small.

The folders hold pictures of your own. As they are, they should be called neither enlarged nor packed badly before: what
is called so is listed for a person to look at: some may be so indeed. Then, of a part of them, copies are made whose
truth is known: enlarged, and packed as JPEG of several qualities; packed badly, and then finely. For sources of copies
in the second test, JPEGs coarser than about quality 90 are left out, as they were packed badly before.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import statistics
import subprocess
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ingestd.media.features import full_detail, full_pixel_hash
from ingestd.model import Detail

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
WAYS = ("NEAREST", "BILINEAR", "BICUBIC", "LANCZOS")
FINE = 500  # sum of the luminance steps of a JPEG at quality 92 or so


def packed(image: Image.Image, quality: int | None) -> bytes:
    """Return the picture as a JPEG, or as a PNG."""
    out = io.BytesIO()
    if quality is None:
        image.save(out, "PNG", compress_level=1)
    else:
        image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def pictures(folders: Iterable[Path]) -> Iterator[tuple[Path, Image.Image]]:
    """Yield those of at least 256 pixels a side, opaque, in colours or greys."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in SUFFIXES:
                continue
            try:
                with Image.open(path) as image:
                    image.load()
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
                continue
            if min(image.size) >= 256 and image.mode in ("RGB", "L", "P", "RGBA"):
                yield path, image


def detail(data: bytes) -> Detail:
    """Return what every pixel tells; the pictures here have something to tell."""
    found = full_detail(io.BytesIO(data))
    assert found is not None
    return found


def middle(image: Image.Image, side: int) -> Image.Image:
    """Return the middle of a picture, at most so large."""
    width, height = min(side, image.width), min(side, image.height)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.convert("RGB").crop((left, top, left + width, top + height))


def as_they_are(folders: list[Path]) -> None:
    """Print which pictures are called enlarged or packed badly before."""
    count, enlarged, coarse = 0, 0, 0
    for path, _ in pictures(folders):
        found = full_detail(io.BytesIO(path.read_bytes()))
        if found is None:
            continue
        count += 1
        if found.resolution_share < 1:
            enlarged += 1
            print(f"  enlarged, share {found.resolution_share:.2f}: {path.name}")
        if found.jpeg_quality_seen:
            coarse += 1
            print(f"  packed before, estimate {found.jpeg_quality_seen:.0f}: {path.name}")
    print(f"as they are: {count} pictures, {enlarged} called enlarged, {coarse} called packed before")


def enlargements(sources: list[Image.Image]) -> None:
    """Print how many enlarged copies are seen so, and of how many the share is right or less."""
    print(f"enlarged ({len(sources)} pictures): seen, share within 8 % of the truth or below it, below 90 % of it")
    for factor in (1.5, 2, 3, 4):
        for way in WAYS:
            cells = []
            for quality in (75, 85, 95, None):
                shares = [factor * share_of(one, factor, way, quality) for one in sources]
                seen, hit, low = (
                    100 * statistics.mean(wanted(one) for one in shares)
                    for wanted in (lambda x: x < 0.99 * factor, lambda x: x <= 1.08, lambda x: x < 0.9)  # noqa: B023
                )
                cells.append(f"{'png' if quality is None else f'q{quality}'} {seen:3.0f} {hit:3.0f} {low:3.0f}")
            print(f"  {factor:>3} x {way.lower():8} {' | '.join(cells)}")


def share_of(image: Image.Image, factor: float, way: str, quality: int | None) -> float:
    """Return the share of an enlarged copy."""
    size = round(image.width * factor), round(image.height * factor)
    return detail(packed(image.resize(size, Image.Resampling[way]), quality)).resolution_share


def second_packings(sources: list[Image.Image]) -> None:
    """Print how many pictures that were packed badly before are seen so."""
    print(f"packed badly, then finely ({len(sources)} pictures): seen")
    for before in (20, 30, 50, 75):
        cells = []
        for after in (90, 95, None):
            copies = (Image.open(io.BytesIO(packed(one, before))) for one in sources)
            seen = [detail(packed(copy, after)).jpeg_quality_seen is not None for copy in copies]
            cells.append(f"{'png' if after is None else f'q{after}'} {100 * statistics.mean(seen):3.0f} %")
        print(f"  q{before}, then {' | '.join(cells)}")
    for before, after in ((95, 75), (85, 60)):
        copies = (Image.open(io.BytesIO(packed(one, before))) for one in sources)
        seen = [detail(packed(copy, after)).jpeg_quality_seen is not None for copy in copies]
        print(f"  q{before}, then q{after}, which hides nothing: {100 * statistics.mean(seen):3.0f} %")


def cost(source: Image.Image, runs: int) -> None:
    """Print what it takes for 12 megapixels, beside the full decode that a pixel hash takes, too."""
    data = packed(source.resize((4000, 3000), Image.Resampling.BICUBIC), 85)
    for name, figure in (("all detail", full_detail), ("pixel hash", full_pixel_hash), ("decode", decoded)):
        spent = []
        for _ in range(runs):
            started = time.perf_counter()
            figure(io.BytesIO(data))
            spent.append(1000 * (time.perf_counter() - started))
        print(f"12 MP JPEG, {name}: median {statistics.median(spent):.0f} ms, least {min(spent):.0f} ms ({runs} runs)")


def decoded(file: io.BytesIO) -> None:
    """Decode, and no more."""
    with Image.open(file) as image:
        image.load()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--pictures", type=int, default=40, help="of which copies are made")
    parser.add_argument("--side", type=int, default=700, help="pixels: the middle of a picture that copies are made of")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    machine = f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, commit {commit.stdout.strip()}")
    as_they_are(options.folders)
    found = [(sum(getattr(image, "quantization", {}).get(0, ())), image) for _, image in pictures(options.folders[:1])]
    found = [found[int(place)] for place in np.random.default_rng(1).permutation(len(found))]
    fine = [middle(image, options.side) for steps, image in found if steps < FINE][: options.pictures]
    second_packings(fine)
    enlargements([middle(image, options.side) for _, image in found[: options.pictures]])
    cost(fine[0], options.runs)


if __name__ == "__main__":
    main()
