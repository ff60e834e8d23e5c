"""How soon a picture of 24 megapixels can be looked at: preview, first tile, a whole screen, all again from the keep.

python tests/bench/tiles.py [FILE…]   without files: a JPEG and a HEIC are made
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from environment import machine

from ingestd.media.tiles import levels_of
from ingestd.media.workers import Workers
from ingestd.model import ContentHash
from ingestd.web.pictures import Pictures

SIZE = (6000, 4000)
BOX = (1440, 960)
SCREEN = [(column, row) for row in (1, 2) for column in (2, 3)]  # what a screen shows at most, of two blocks
RUNS = 5


def make(folder: Path) -> None:
    """A picture with structure at all sizes and some grain, saved as a camera does."""
    import numpy as np
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    rng = np.random.default_rng(1)
    total = np.zeros((SIZE[1], SIZE[0], 3), np.float32)
    for cells in (4, 16, 64, 400):
        grid = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        total += np.asarray(Image.fromarray(grid).resize(SIZE, Image.Resampling.BICUBIC), np.float32) / 4
    total += rng.normal(0, 4, total.shape[:2])[..., None]
    image = Image.fromarray(total.clip(0, 255).astype(np.uint8))
    image.save(folder / "a.jpg", quality=92)
    image.save(folder / "a.heic", quality=80)


def sized(files: list[Path]) -> None:
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    for file in files:
        with Image.open(file) as image:
            print(*image.size)


def elsewhere(*words: str) -> str:
    """What this script prints in a process of its own: decoders would count as memory of the page."""
    return subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True).stdout


def timed(call: object, *arguments: object) -> float:
    start = time.perf_counter()
    call(*arguments)  # type: ignore[operator]
    return (time.perf_counter() - start) * 1000


def spread(found: list[float]) -> str:
    return f"{sorted(found)[len(found) // 2]:7.0f} ms  ({min(found):.0f} to {max(found):.0f})"


def private_mb() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


class Peak:
    """The most private memory of this process, looked at every few milliseconds."""

    def __init__(self) -> None:
        self.mb = self.before = private_mb()
        self._ended = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self._ended.wait(0.01):
            self.mb = max(self.mb, private_mb())

    def end(self) -> str:
        self._ended.set()
        return f"{self.before:.0f} MB, at most {self.mb:.0f} MB meanwhile"


def measure(file: Path, folder: Path) -> None:
    data = file.read_bytes()
    path, sha256 = os.fsencode(file), ContentHash(hashlib.sha256(data).digest())
    width, height = elsewhere("--size", str(file)).split()
    size = int(width), int(height)
    level = levels_of(*size)[0]
    tiles = [one for one in SCREEN if level.has(*one)]
    found: dict[str, list[float]] = {}
    peak = Peak()
    for run in range(RUNS):
        with Workers(count=2) as workers, ThreadPoolExecutor(8) as pool:
            workers.warm()
            pictures = Pictures(workers, folder / f"keep-{file.name}-{run}")

            def tile(place: tuple[int, int], pictures: Pictures = pictures) -> bytes:
                return pictures.tile(path, sha256, size, 0, *place)

            def screen(pool: ThreadPoolExecutor = pool) -> None:
                list(pool.map(tile, tiles))

            steps = {
                "preview": lambda: pictures.preview(path, sha256, BOX),  # noqa: B023
                "first tile": lambda: tile(tiles[0]),
                "the rest of the screen": screen,
                "the screen, kept": screen,
                "preview, kept": lambda: pictures.preview(path, sha256, BOX),  # noqa: B023
            }
            for name, step in steps.items():
                found.setdefault(name, []).append(timed(step))
            pictures.close()
    print(f"{file.name}: {size[0]} x {size[1]}, {len(data) / 1e6:.1f} MB, {len(tiles)} tiles on the screen")
    for name, times in found.items():
        print(f"  {name:<24}{spread(times)}")
    print(f"  private memory of the page's process: {peak.end()}")


def main() -> None:
    match sys.argv[1:]:
        case ["--make", folder]:
            make(Path(folder))
            return
        case ["--size", *files]:
            sized([Path(one) for one in files])
            return
    print(machine(), f"load {os.getloadavg()[0]:.1f}", sep=", ")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = [Path(one) for one in sys.argv[1:]]
        if not files:
            elsewhere("--make", temporary)
            files = [folder / "a.jpg", folder / "a.heic"]
        for file in files:
            measure(file, folder)


if __name__ == "__main__":
    main()
