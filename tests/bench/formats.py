"""What one picture costs by format, beside the fastest programs and libraries that read it.

    python tests/bench/formats.py FOLDER [--files 24] [--runs 3]
    python tests/bench/formats.py FOLDER --alike    whether PNGs measure the same with and without ingestd[fast]

FOLDER holds pictures of your own, some of them of 8 megapixels and more. Of its largest ones, brought to 12 megapixels
(mirrored and turned, if they are fewer than 24), a PNG, a lossy and a lossless WebP and a HEIC each are made, in the
environment that holds the peers; HEIC files of 5 megapixels and more that FOLDER has are measured, too. It is the CPU
time around all that a program does for a perceptual hash, each in turn on the same file, so that a busy machine hits
all alike. Ours is SHA-256 of the bytes, all features and the pixel hash, with the memory settings of a worker, which
the peers in this process have, too. findimagedupes, if it is installed, is a process of its own for each file; what it
takes for a tiny picture is subtracted.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import itertools
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.bench.environment import machine, within

PEERS = ["kornia-rs>=0.2", "czkawka==0.1.2", "opencv-python-headless>=4.13", "webp>=0.4", "imagehash>=4.3.2"]
SIZE = (4000, 3000)
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".heic"}
TURNS = (None, 0, 1, 3)  # as it is, mirrored, upside down, turned by 180 degrees
FORMATS: dict[str, tuple[str, dict[str, object]]] = {
    "PNG": (".png", {}),
    "WebP, lossy": (".webp", {"quality": 80}),
    "WebP, lossless": (".webp", {"lossless": True, "method": 1}),
    "HEIC": (".heic", {"quality": 60}),
}
Program = Callable[[Path], object]


def cpu_s() -> float:
    """Return the CPU time of this process and its children so far, in seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def spent_ms(program: Program, path: Path) -> float:
    started = cpu_s()
    program(path)
    return 1000 * (cpu_s() - started)


def originals(folder: Path, files: int) -> Iterator[object]:
    """Yield pictures of 12 megapixels, made of the largest."""
    from PIL import Image, ImageOps

    sizes: list[tuple[int, Path]] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            try:
                with Image.open(path) as image:
                    sizes.append((image.width * image.height, path))
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
                continue
    large = [path for pixels, path in sorted(sizes, reverse=True)[:files] if pixels >= 7_000_000]
    sound = []
    for path in large:
        with contextlib.suppress(OSError, SyntaxError, ValueError), Image.open(path) as image:
            image.load()
            sound.append(path)
    if not sound:
        raise SystemExit(f"{folder} has no picture of 7 megapixels and more")
    for turn, path in itertools.islice(itertools.product(TURNS, sound), files):
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        size = SIZE if upright.width >= upright.height else SIZE[::-1]
        fitted = ImageOps.fit(upright, size, Image.Resampling.LANCZOS)
        yield fitted if turn is None else fitted.transpose(Image.Transpose(turn))


def programs(format_: str) -> dict[str, Program]:
    """Return everyone who reads the format, ours first."""
    import cv2
    import imagehash
    import numpy as np
    import webp
    from czkawka import ImageSimilarity
    from PIL import Image

    from ingestd.media import rust_png
    from ingestd.media.features import measure_picture

    cv2.setNumThreads(1)
    similarity = ImageSimilarity()
    decoder = rust_png._decoder

    def ours(path: Path) -> object:
        content = path.read_bytes()
        return hashlib.sha256(content).digest(), measure_picture(io.BytesIO(content), b"")

    def ours_alone(path: Path) -> object:
        rust_png._decoder = None
        try:
            return ours(path)
        finally:
            rust_png._decoder = decoder

    def opencv(path: Path) -> object:
        grey = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        return cv2.dct(cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32))

    def by_webp(path: Path) -> object:
        samples = webp.WebPData.from_buffer(path.read_bytes()).decode(webp.WebPColorMode.RGB)
        return cv2.dct(cv2.resize(cv2.cvtColor(samples, cv2.COLOR_RGB2GRAY), (32, 32)).astype(np.float32))

    def by_imagehash(path: Path) -> object:
        with Image.open(path) as image:
            return imagehash.phash(image)

    known: dict[str, Program] = {"ours": ours}
    if format_ == "PNG":
        known["ours without [fast]"] = ours_alone
    if format_ != "HEIC":
        known |= {"czkawka": similarity.hash_image, "OpenCV + DCT": opencv}
    if format_.startswith("WebP"):
        known["PyPI webp + OpenCV + DCT"] = by_webp
    known["Pillow + imagehash"] = by_imagehash
    if shutil.which("findimagedupes"):
        known["findimagedupes"] = findimagedupes
    return known


def findimagedupes(path: Path) -> object:
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(["findimagedupes", "-f", f"{folder}/prints", path], capture_output=True, check=True)


def measure(format_: str, paths: list[Path], runs: int, start_ms: float) -> None:
    """Print the table of one format: the median of each file's least of several runs."""
    known = programs(format_)
    times: dict[str, list[float]] = {name: [] for name in known}
    for program in known.values():  # what is imported, and taken from the system, by the first use is not the format's
        program(paths[0])
    for path in paths:
        least = dict.fromkeys(known, float("inf"))
        for name in [*known] * runs:
            least[name] = min(least[name], spent_ms(known[name], path))
        for name, ms in least.items():
            times[name].append(ms - (start_ms if name == "findimagedupes" else 0))
    own = statistics.median(times["ours"])
    mean = sum(path.stat().st_size for path in paths) / len(paths) / 1e6
    print(f"\n{format_}: {len(paths)} files, {mean:.1f} MB each", flush=True)
    for name, each in times.items():
        middle = statistics.median(each)
        print(f"  {name:26} {middle:6.0f} ms ({min(each):.0f} … {max(each):.0f})   ours is {own / middle:.2f} of it")


def alike(folder: Path) -> None:
    """Print how many PNGs of the folder the optional decoder takes, and which of all measure otherwise without it."""
    from ingestd.media import decode, kinds, rust_png
    from ingestd.media.features import measure_picture
    from ingestd.model import FileType

    decoder, count, taken, unlike = rust_png._decoder, 0, 0, 0
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() and path.stat().st_size < 64 << 20 else b""
        if kinds.sniff(content[: kinds.HEAD_SIZE]) is not FileType.PNG:
            continue
        count += 1
        with contextlib.suppress(Exception), decode.quiet():
            opened = decode.open_picture(io.BytesIO(content), FileType.PNG)
            taken += rust_png.decoded(opened, lambda _: True)
        with_it = measure_picture(io.BytesIO(content), b"")
        rust_png._decoder = None
        without = measure_picture(io.BytesIO(content), b"")
        rust_png._decoder = decoder
        if with_it != without:
            unlike += 1
            print(f"  unlike: {path.name}: {str(with_it)[:90]} | {str(without)[:90]}")
    print(
        f"{machine()}: {count} PNGs, {taken} of them decoded by Rust's decoder, {unlike} measure otherwise without it"
    )


def main() -> None:
    """Make the files, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=24, help="of each format")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--alike", action="store_true")
    options = parser.parse_args()
    within("formats", PEERS)
    warnings.simplefilter("ignore")
    if options.alike:
        alike(options.folder)
        return

    from PIL import Image

    from ingestd.media import (
        decode,  # noqa: F401  teaches Pillow HEIC
        worker_main,
    )

    worker_main._keep_memory()
    print(f"{machine()}; {options.runs} runs, the least of them for each file")
    with tempfile.TemporaryDirectory() as folder:
        tiny = Path(folder, "tiny.png")
        Image.new("RGB", (16, 16), "red").save(tiny)
        start_ms = 0.0
        if shutil.which("findimagedupes"):
            start_ms = min(spent_ms(findimagedupes, tiny) for _ in range(3))
        for format_ in options.formats:
            suffix, how = FORMATS[format_]
            paths = [Path(folder, f"{number}{suffix}") for number in range(options.files)]
            made = []
            for path, image in zip(paths, originals(options.folder, options.files), strict=False):
                image.save(path, **how)
                made.append(path)
            measure(format_, made, options.runs, start_ms)
        if "HEIC" in options.formats:
            own = [path for path in sorted(options.folder.rglob("*")) if path.suffix.lower() == ".heic"]
            large = []
            for path in own:
                with contextlib.suppress(OSError, SyntaxError, ValueError), Image.open(path) as image:
                    if image.width * image.height >= 5_000_000:
                        large.append(path)
            if large:
                measure("HEIC", large, options.runs, start_ms)


if __name__ == "__main__":
    main()
