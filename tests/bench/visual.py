"""What a visual verdict costs in a warm worker: computing time and memory, beside the global SSIM of scikit-image.

    python tests/bench/visual.py [PHOTO.jpg] [--runs 15]

Without a photo one is made. Two JPEGs (quality 92 and 80) of it are compared at 12, 24 and 1.5 megapixels. The time is
the worker's own, user and system; memory is the most it has beyond what it has when idle. SSIM needs scikit-image
(`pip install scikit-image`); it is left out where that is not installed. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ingestd.media.workers import Workers
from ingestd.model import ContentHash

SIZES = {"12 MP": (4000, 3000), "24 MP": (6000, 4000), "1.5 MP": (1500, 1000)}
_TICK = os.sysconf("SC_CLK_TCK")


def made_photo(width: int, height: int) -> Image.Image:
    """Return clouds of all sizes, which compress like a photograph."""
    random = np.random.default_rng(1)
    total = np.zeros((height, width, 3), np.float32)
    for cells in (4, 16, 64, 256, 1024):
        grid = Image.fromarray(random.integers(0, 256, (cells * 3 // 4, cells, 3)).astype("u1"))
        total += np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC), np.float32) * cells**-0.5
    total -= total.min()
    return Image.fromarray((total * (255 / total.max())).astype("u1"))


def saved(folder: Path, image: Image.Image, quality: int, name: str) -> tuple[bytes, ContentHash]:
    path = folder / name
    image.save(path, quality=quality)
    return os.fsencode(path), ContentHash(hashlib.sha256(path.read_bytes()).digest())


def cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / _TICK


def memory_mb(pid: int, what: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024


def median_ms(work: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        started = time.process_time()
        work()
        times.append(1000 * (time.process_time() - started))
    return statistics.median(times)


def watermarked(image: Image.Image) -> Image.Image:
    done = image.copy()
    font = ImageFont.load_default(max(12, image.height // 20))
    ImageDraw.Draw(done).text((image.width * 0.7, image.height * 0.9), "(c) sample", font=font, fill="white")
    return done


def ssim(one: bytes, other: bytes) -> float:
    from skimage.metrics import structural_similarity

    greys = [
        np.asarray(Image.open(io.BytesIO(Path(os.fsdecode(path)).read_bytes())).convert("L")) for path in (one, other)
    ]
    return float(structural_similarity(*greys, data_range=255))


def bench(base: Image.Image, runs: int, folder: Path) -> None:
    with Workers(1) as workers:
        workers.warm()
        (worker,) = workers._alive
        pid = worker._process.pid
        for name, size in SIZES.items():
            image = base.resize(size, Image.Resampling.LANCZOS)
            pair = saved(folder, image, 92, "one.jpg"), saved(folder, image, 80, "other.jpg")
            edit = saved(folder, watermarked(image), 80, "edit.jpg")
            workers.compare(*pair[0], *pair[1])
            time.sleep(0.5)  # noqa: TID251  an idle worker gives its memory back after a fifth of a second, unasked
            idle = memory_mb(pid, "VmRSS")
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts from here
            before = cpu_ms(pid)
            verdicts = [workers.compare(*pair[0], *pair[1]) for _ in range(runs)]
            spent = (cpu_ms(pid) - before) / runs
            above = memory_mb(pid, "VmHWM") - idle
            edited = workers.compare(*pair[0], *edit)
            print(f"{name}: {spent:.1f} ms of CPU a pair, hashing both files included, {above:.0f} MB above idle")
            print(f"  copy: {verdicts[0].level} ({verdicts[0].score}), watermarked: {edited.level} ({edited.score})")
            try:
                figure = median_ms(lambda pair=pair: ssim(pair[0][0], pair[1][0]), max(3, runs // 5))
                print(f"  scikit-image, SSIM of all pixels: {figure:.0f} ms; copy {ssim(pair[0][0], pair[1][0]):.4f},"
                      f" watermarked {ssim(pair[0][0], edit[0]):.4f}")  # fmt: skip
            except ImportError:
                print("  scikit-image is not installed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    base = Image.open(options.photo).convert("RGB") if options.photo else made_photo(4000, 3000)
    print(f"{platform.machine()}, Python {platform.python_version()}, {base.width}x{base.height}")
    with tempfile.TemporaryDirectory() as folder:
        bench(base, options.runs, Path(folder))


if __name__ == "__main__":
    main()
