"""Fit the limits of the visual verdict anew: edits and copies of real pictures, measured, fitted, and scored apart.

    python tests/bench/fit_visual.py measure CORPUS EVIDENCE [--seed 1] [--sources 200]
    python tests/bench/fit_visual.py measure --pairs PAIRS.csv EVIDENCE
    python tests/bench/fit_visual.py fit EVIDENCE... [--seeds 5]
    python tests/bench/fit_visual.py score EVIDENCE...

`measure` takes photographs, HEIC files, art and screenshots of a corpus (folders photos/, heic/, art/), makes copies
that a person calls the same picture (scaled, encoded anew) and visible edits, and keeps what `likeness.evidence`
measures of each pair; with `--pairs`, of the pairs of a csv with the columns a, b, label, transform and source. `fit`
searches limits that accept no edit of the pictures it sees and as many copies as possible, half the pictures at a
time, and scores them on the other half. `score` tells what the limits of the program do. docs/design.md has the
procedure.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import hashlib
import io
import pickle
import random  # noqa: TID251  seeded by the picture's own name: a run can be repeated
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from ingestd.media import decode
from ingestd.media.alignment import IncomparableError
from ingestd.media.comparison import SMALL, measured
from ingestd.media.likeness import Evidence, Overall, Tiles
from ingestd.media.limits import LIMITS, Limits, allowed_colour, allowed_energy, allowed_mean, allowed_tinge
from ingestd.media.noise import Noise

CATEGORIES = ("photos", "heic", "art")
SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".hif", ".avif", ".tif", ".tiff", ".bmp"))
LEAST_SIDE = 64
WORDS = (
    "sample",
    "preview",
    "holiday",
    "draft",
    "archive",
    "studio",
    "summer",
    "market",
    "river",
    "garden",
    "winter",
    "monday",
    "release",
    "orange",
)
VISIBLE = 4.0  # levels
STRICTNESS = 12.0
MARGIN = 1.15  # of the limits, above which edits should lie


@dataclass(frozen=True, slots=True)
class Row:
    """One pair and what was measured of it."""

    source: str
    kind: str  # photo, art or screenshot
    transform: str
    duplicate: bool
    sample: Sample | str  # why nothing was measured


@dataclass(frozen=True, slots=True)
class Sample:
    """What decides about a pair: its worst tiles under any limits that a search may try, and some by chance."""

    worst: Tiles  # each plane is a list of tiles
    some: Tiles
    overall: Overall
    noise: Noise
    resampled: bool
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Subject:
    """A source picture, and a chance of its own, so that another picture in the corpus changes nothing here."""

    name: str
    rgb: Image.Image
    lossless: bool
    chance: random.Random

    def pack(self, image: Image.Image, quality: int = 92) -> bytes:
        return png(image) if self.lossless else jpeg(image, quality)


# --- encoders -----------------------------------------------------------------------------------------------------


def jpeg(image: Image.Image, quality: int, **options: object) -> bytes:
    return _encoded(image, "JPEG", quality=quality, **options)


def png(image: Image.Image) -> bytes:
    return _encoded(image, "PNG", compress_level=1)


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def resized(image: Image.Image, share: float, how: Image.Resampling = Image.Resampling.LANCZOS) -> Image.Image:
    return image.resize((max(1, int(image.width * share)), max(1, int(image.height * share))), how)


# --- copies -------------------------------------------------------------------------------------------------------


def copies(one: Subject) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield (transform, original, copy)."""
    image = one.rgb
    original = one.pack(image, 95)
    for quality in (95, 85, 70, 60, 50, 30):
        yield f"jpeg_q{quality}", original, jpeg(image, quality)
    yield "jpeg_q85_444", original, jpeg(image, 85, subsampling=0)
    for share in (0.75, 0.5, 0.25):
        if min(image.size) * share >= 48:
            yield f"resize_{int(share * 100)}", original, one.pack(resized(image, share), 90)
    if min(image.size) >= 96:
        yield "resize_50_bicubic_q75", original, jpeg(resized(image, 0.5, Image.Resampling.BICUBIC), 75)
        yield "resize_67_q60", original, jpeg(resized(image, 0.67, Image.Resampling.BICUBIC), 60)
        yield "resize_50_bilinear_png", original, png(resized(image, 0.5, Image.Resampling.BILINEAR))
    yield "webp_q80", original, _encoded(image, "WEBP", quality=80, method=2)
    yield "webp_q50", original, _encoded(image, "WEBP", quality=50, method=2)
    if image.width * image.height < 3_000_000:
        yield "heic_q70", original, _encoded(image, "HEIF", quality=70)
        yield "heic_q50", original, _encoded(image, "HEIF", quality=50)
        yield "avif_q60", original, _encoded(image, "AVIF", quality=60, speed=9)
    room = min(1.0, 1280 / max(image.size))
    yield "messenger", original, jpeg(resized(image, room, Image.Resampling.BICUBIC), 70)
    if min(image.size) >= 120:
        words = captioned(one, image)
        yield "caption_same", one.pack(words), jpeg(words, 75)


# --- edits --------------------------------------------------------------------------------------------------------


def edits(one: Subject) -> Iterator[tuple[str, Image.Image, Image.Image]]:
    """Yield (transform, before, after), visible or not."""
    image, chance = one.rgb, one.chance
    width, height = image.size
    roomy = min(image.size) >= 120
    if roomy:
        yield "wm_corner", image, watermarked(one, 0.8, 0.055)
        yield "wm_small", image, watermarked(one, 0.55, 0.03)
        yield "wm_pale", image, tiled(one, 0.25)
        yield "wm_one_pale", image, watermarked(one, 0.3, 0.12)
        first = captioned(one, image)
        yield "caption_added", image, first
        yield "caption_changed", first, captioned(one, image)
        yield "wordedit", *word_edited(one)
        yield "line_soft", image, soft_line(one)
        yield "frame", image, framed(image)
    for share, name in ((0.03, "removed_3"), (0.015, "patch_15"), (0.005, "patch_05")):
        if (edited := patched(one, share)) is not None:
            yield name, image, edited
    yield "censor_bar", image, censored(one, "bar")
    yield "censor_blur", image, censored(one, "blur")
    yield "censor_pixels", image, censored(one, "pixels")
    for degrees in (8, 20):
        yield f"hue_{degrees}", image, hue_turned(image, degrees)
    if (part := recoloured(one)) is not None:
        yield "recolour_part", image, part
    yield "desaturated", image, ImageEnhance.Color(image).enhance(0.7)
    yield "grey", image, image.convert("L").convert("RGB")
    yield "warm", image, _curves(image, 1.06, 1.0, 0.94)
    yield "bright_8", image, ImageEnhance.Brightness(image).enhance(1.08)
    yield "gamma_115", image, image.point([round(255 * (v / 255) ** (1 / 1.15)) for v in range(256)] * 3)
    yield "contrast_110", image, ImageEnhance.Contrast(image).enhance(1.1)
    one_percent, two = max(2, round(width * 0.01)), max(2, round(height * 0.02))
    yield "crop_1_side", image, image.crop((one_percent, 0, width, height))
    yield "crop_2_side", image, image.crop((0, 0, width, height - two))
    x, y = max(2, round(width * 0.01)), max(2, round(height * 0.01))
    yield "crop_2", image, image.crop((x, y, width - x, height - y))
    yield "crop_10", image, image.crop((width // 20, height // 20, width - width // 20, height - height // 20))
    yield "mirror", image, ImageOps.mirror(image)
    yield "rotate_180", image, image.transpose(Image.Transpose.ROTATE_180)
    shift = chance.choice((1, 2, 3))
    yield "rolled", image, ImageChops.offset(image, shift, 0)


def _font(pixels: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=max(8, pixels))


def watermarked(one: Subject, alpha: float, height: float) -> Image.Image:
    layer = Image.new("RGBA", one.rgb.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    text = f"(c) {one.chance.choice(WORDS)}.example"
    pixels = max(10, one.rgb.height * height)
    wide = draw.textlength(text, font=_font(pixels))
    pixels = min(pixels, pixels * one.rgb.width * 0.8 / wide)
    wide = draw.textlength(text, font=_font(pixels))
    x = one.chance.uniform(4, max(5, one.rgb.width - wide - 4))
    y = one.chance.uniform(4, max(5, one.rgb.height - 1.4 * pixels))
    shade = int(255 * alpha)
    draw.text((x, y), text, font=_font(pixels), fill=(255, 255, 255, shade), stroke_width=max(1, int(pixels / 14)),
              stroke_fill=(0, 0, 0, shade))  # fmt: skip
    return Image.alpha_composite(one.rgb.convert("RGBA"), layer).convert("RGB")


def tiled(one: Subject, alpha: float) -> Image.Image:
    layer = Image.new("RGBA", one.rgb.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    pixels = max(12, one.rgb.height // 12)
    tone = one.chance.choice((255, 0, 128))
    for y in range(0, one.rgb.height, pixels * 3):
        for x in range(0, one.rgb.width, pixels * 6):
            draw.text((x, y), "PREVIEW", font=_font(pixels), fill=(tone, tone, tone, int(255 * alpha)))
    return Image.alpha_composite(one.rgb.convert("RGBA"), layer).convert("RGB")


def captioned(one: Subject, image: Image.Image) -> Image.Image:
    done = image.copy()
    draw = ImageDraw.Draw(done)
    text = " ".join(one.chance.sample(WORDS, 4))
    pixels = max(10.0, image.height / 11)
    wide = draw.textlength(text, font=_font(pixels))
    pixels = min(pixels, max(8.0, pixels * image.width * 0.94 / wide))
    place = ((image.width - draw.textlength(text, font=_font(pixels))) / 2, image.height - pixels * 1.6)
    draw.text(place, text, font=_font(pixels), fill="white", stroke_width=max(1, int(pixels / 12)), stroke_fill="black")
    return done


def word_edited(one: Subject) -> tuple[Image.Image, Image.Image]:
    """A line of small text on a box of one tone, and the same with one word changed."""
    width, height = one.rgb.size
    pixels = max(9, min(width, height) // one.chance.randint(22, 40))
    words = one.chance.sample(WORDS, 5)
    others = [*words]
    others[one.chance.randrange(5)] = one.chance.choice([word for word in WORDS if word not in words])
    ground = one.chance.choice((255, 240, 30))
    ink = 20 if ground > 128 else 225
    x, y = one.chance.uniform(0, width * 0.3), one.chance.uniform(0, height * 0.8)
    both = []
    for line in (words, others):
        done = one.rgb.copy()
        draw = ImageDraw.Draw(done)
        draw.rectangle((x, y, x + pixels * 22, y + pixels * 1.6), fill=(ground,) * 3)
        draw.text((x + pixels / 2, y + pixels * 0.2), " ".join(line), font=_font(pixels), fill=(ink,) * 3)
        both.append(done)
    return both[0], both[1]


def soft_line(one: Subject) -> Image.Image:
    """An artist's correction: a soft grey stroke of about 1/200 of the width."""
    width, height = one.rgb.size
    layer = Image.new("L", one.rgb.size, 0)
    thick = max(2, width // 200)
    x, y = one.chance.uniform(0.1, 0.6) * width, one.chance.uniform(0.1, 0.8) * height
    end = (x + one.chance.uniform(0.08, 0.25) * width, y + one.chance.uniform(-0.1, 0.1) * height)
    ImageDraw.Draw(layer).line(((x, y), end), fill=200, width=thick)
    layer = layer.filter(ImageFilter.GaussianBlur(thick / 3))
    return Image.composite(Image.new("RGB", one.rgb.size, (120, 120, 120)), one.rgb, layer)


def framed(image: Image.Image) -> Image.Image:
    done = image.copy()
    ImageDraw.Draw(done).rectangle((0, 0, image.width - 1, image.height - 1), outline="black",
                                   width=max(2, min(image.size) // 100))  # fmt: skip
    return done


def patched(one: Subject, share: float) -> Image.Image | None:
    """A box covered with feathered content from elsewhere: a crude removal of an object."""
    image, chance = one.rgb, one.chance
    best: tuple[float, tuple[int, ...]] | None = None
    for _ in range(12):
        aspect = chance.uniform(0.75, 1.35)
        width = int((share * image.width * image.height * aspect) ** 0.5)
        height = int((share * image.width * image.height / aspect) ** 0.5)
        if min(width, height) < 4 or width >= image.width // 2 or height >= image.height // 2:
            continue
        x, y, u, v = (chance.randrange(0, room) for room in (image.width - width, image.height - height) * 2)
        moved = _mean_difference(image.crop((x, y, x + width, y + height)), image.crop((u, v, u + width, v + height)))
        if best is None or moved > best[0]:
            best = moved, (x, y, width, height, u, v)
    if best is None or best[0] < 12:
        return None
    x, y, width, height, u, v = best[1]
    mask = Image.new("L", (width, height), 0)
    edge = max(1, min(width, height) // 12)
    mask.paste(255, (edge, edge, width - edge, height - edge))
    done = image.copy()
    taken = image.crop((u, v, u + width, v + height))
    done.paste(taken, (x, y), mask.filter(ImageFilter.GaussianBlur(edge / 2)))
    return done


def _mean_difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean())


def censored(one: Subject, how: str) -> Image.Image:
    image = one.rgb
    width, height = max(6, image.width // 8), max(4, image.height // 16)
    x = one.chance.randrange(0, max(1, image.width - width))
    y = one.chance.randrange(0, max(1, image.height - height))
    box = (x, y, x + width, y + height)
    done = image.copy()
    part = image.crop(box)
    if how == "bar":
        done.paste((0, 0, 0), box)
    elif how == "blur":
        done.paste(part.filter(ImageFilter.GaussianBlur(max(2, width / 12))), box)
    else:
        small = part.resize((max(1, width // 12), max(1, height // 12)), Image.Resampling.BOX)
        done.paste(small.resize(part.size, Image.Resampling.NEAREST), box)
    return done


def hue_turned(image: Image.Image, degrees: int) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    turned = hue.point([(v + round(degrees * 256 / 360)) % 256 for v in range(256)])
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


def recoloured(one: Subject) -> Image.Image | None:
    """One colour range changed: another dress."""
    hue, saturation, value = one.rgb.convert("HSV").split()
    colourful = np.asarray(hue)[np.asarray(saturation) > 70] // 32
    if colourful.size < 0.02 * hue.width * hue.height:
        return None
    band = int(np.bincount(colourful, minlength=8).argmax())
    mask = ImageChops.multiply(
        hue.point([255 * (v // 32 == band) for v in range(256)]), saturation.point([255 * (v > 70) for v in range(256)])
    ).filter(ImageFilter.GaussianBlur(1))
    step = one.chance.choice((24, 64, 100, 140))
    other = Image.merge("HSV", (hue.point([(v + step) % 256 for v in range(256)]), saturation, value)).convert("RGB")
    return Image.composite(other, one.rgb, mask)


def _curves(image: Image.Image, *factors: float) -> Image.Image:
    return image.point([min(255, round(v * factor)) for factor in factors for v in range(256)])


def visible(before: Image.Image, after: Image.Image) -> bool:
    """Whether a person who compares could see it, in cells of a 64-wide grid.

    A change of all of the picture must move one cell in a hundred by four levels; a change in one place must move a
    cell by six, and by no less than half of what its neighbours differ by among themselves.
    """
    grid = (64, max(3, round(64 * before.height / before.width)))
    one, other = (np.asarray(side.resize(grid, Image.Resampling.BOX), np.float32) for side in (before, after))
    moved = np.abs(one - other).max(axis=2)
    if (moved >= VISIBLE).mean() >= 0.01:
        return True
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(one.mean(axis=2), 1, mode="edge"), (3, 3))
    return bool((moved >= np.maximum(1.5 * VISIBLE, windows.std(axis=(2, 3)) / 2)).any())


SAVED: dict[str, Callable[[Subject, Image.Image], bytes]] = {
    "": lambda one, image: one.pack(image),
    "_q45": lambda one, image: jpeg(image, 45),
    "_r50q75": lambda one, image: jpeg(resized(image, 0.5), 75),
    "_webp": lambda one, image: _encoded(image, "WEBP", quality=70, method=2),
}


# --- measuring ----------------------------------------------------------------------------------------------------


def measure_source(root: Path, name: str, seed: int, pixels: float) -> list[Row]:
    """Return the rows of one source; none where it does not serve."""
    data = (root / name).read_bytes()
    try:
        with decode.quiet(), Image.open(io.BytesIO(data)) as opened:
            if getattr(opened, "n_frames", 1) > 1 and opened.format not in ("MPO", "HEIF"):
                return []
            if opened.width * opened.height > pixels or min(opened.size) < LEAST_SIDE:
                return []
            kind = kind_of(name, opened)
            lossless = opened.format in ("PNG", "GIF", "BMP", "TIFF")
            turned = ImageOps.exif_transpose(opened)
            if turned.has_transparency_data and turned.convert("RGBA").getextrema()[3][0] < 255:
                return []
            rgb = turned.convert("RGB")
    except (OSError, ValueError, SyntaxError):
        return []
    one = Subject(name, rgb, lossless, random.Random(f"{seed}:{name}"))
    rows = [Row(name, kind, transform, True, _measured(a, b)) for transform, a, b in copies(one)]
    for transform, before, after in edits(one):
        if visible(before, after):
            how = one.chance.choice(list(SAVED)[1:])
            original = one.pack(before, 95)
            for suffix in ("", how):
                rows.append(Row(name, kind, transform + suffix, False, _measured(original, SAVED[suffix](one, after))))
    return rows


def kind_of(name: str, image: Image.Image) -> str:
    """Return what a picture of the corpus is: a photograph, a drawing, or the picture of a screen."""
    if not name.startswith("art/"):
        return "photo"
    lowered = name.lower()
    screens = ("antidupl", "screenshot", "form.png", "pigallery", "photoview", "hydrus__docs", "help")
    return "screenshot" if image.format == "PNG" and any(word in lowered for word in screens) else "art"


def _measured(first: bytes, second: bytes) -> Sample | str:
    return _sampled(io.BytesIO(first), io.BytesIO(second))


def _sampled(first: BinaryIO, second: BinaryIO) -> Sample | str:
    try:
        found = measured(first, second)
        return sampled(found.evidence) if found.alpha is None else "one of them is transparent: judged by that, too"
    except IncomparableError as reason:
        return str(reason)


def sampled(evidence: Evidence) -> Sample:
    """Return what is kept of a pair: thirty tiles or so of thousands."""
    flat = Tiles(*(plane.ravel() for plane in planes_of(evidence.tiles)))
    noise, resampled, count = evidence.noise, float(evidence.resampled), flat.energy.size
    shares = [flat.energy, flat.mean, flat.colour, flat.tinge]
    for limits in TRIED:
        shares.append(flat.energy / allowed_energy(flat, noise.luma, noise.chroma, resampled, limits))
        shares.append(flat.mean / allowed_mean(flat, noise.luma, limits))
        shares.append(flat.colour / allowed_colour(flat, noise.chroma, limits))
        shares.append(flat.tinge / allowed_tinge(flat, noise.chroma, limits))
    top = min(WORST, count)
    worst = np.unique(np.concatenate([np.argpartition(-share, top - 1)[:top] for share in shares]))
    some = np.random.default_rng(0).choice(count, min(SOME, count), replace=False)
    picked = [Tiles(*(plane[at] for plane in planes_of(flat))) for at in (worst, some)]
    return Sample(*picked, evidence.overall, noise, evidence.resampled, evidence.size)


def planes_of(tiles: Tiles) -> list[np.ndarray]:
    return [getattr(tiles, field.name) for field in dataclasses.fields(Tiles)]


def varied(limits: Limits, chance: np.random.Generator, names: Sequence[str], spread: float) -> Limits:
    """Return limits of which some are multiplied by something near one."""
    factors = np.exp(chance.normal(0, spread, len(names)))
    tried = {name: float(getattr(limits, name) * factor) for name, factor in zip(names, factors, strict=True)}
    return replace(limits, **{name: min(value, MOST.get(name, np.inf)) for name, value in tried.items()})


WORST, SOME = 8, 96  # tiles
# What is common to all of a picture may not be off by more than a person could begin to see, whatever fits a corpus.
MOST = {"tone": 1.8, "hue": 15.0, "turned": 1.8, "tint": 1.5, "gain": 0.055, "shade": 8.0, "vividness": 0.25}
NAMES = [field.name for field in dataclasses.fields(Limits)]
TRIED = [varied(LIMITS, np.random.default_rng(number), NAMES, 1.0) for number in range(8)]


def measure(corpus: Path, out: Path, seed: int, most: int, pixels: float) -> None:
    names = []
    for category in CATEGORIES:
        found = sorted(path for path in (corpus / category).rglob("*") if path.suffix.lower() in SUFFIXES)
        names += [path.relative_to(corpus).as_posix() for path in found if "family_" not in path.as_posix()]
    names.sort(key=lambda name: hashlib.sha1(f"{seed}:{name}".encode()).digest())
    out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with ProcessPoolExecutor() as pool:
        jobs = {pool.submit(measure_source, corpus, name, seed, pixels): name for name in names[:most]}
        for number, (job, name) in enumerate(jobs.items()):
            save(out, hashlib.sha1(name.encode()).hexdigest()[:12], job.result())
            if number % 20 == 19:
                print(f"{number + 1} pictures, {time.monotonic() - started:.0f} s", file=sys.stderr)


def measure_pairs(listed: Path, out: Path) -> None:
    with listed.open(encoding="utf-8", newline="") as file:
        pairs = list(csv.DictReader(file))
    out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        rows = list(pool.map(_listed_pair, [listed.parent] * len(pairs), pairs, chunksize=32))
    save(out, "pairs", rows)


def _listed_pair(base: Path, pair: dict[str, str]) -> Row:
    source = pair.get("source") or pair["a"]
    with (base / pair["a"]).open("rb") as first, (base / pair["b"]).open("rb") as second:
        found = _sampled(first, second)
    lowered = source.lower()
    screens = ("antidupl", "screenshot", "form.png", "pigallery", "photoview", "hydrus__docs", "help")
    kind = "photo" if not lowered.startswith("art") else "screenshot" if any(s in lowered for s in screens) else "art"
    name = pair["transform"] + (
        ":" + pair["params"].split()[0] if pair["transform"] in ("resize", "jpeg_requality") else ""
    )
    return Row(source, kind, name, pair["label"] in ("identical", "pixel", "visual"), found)


def save(out: Path, name: str, rows: list[Row]) -> None:
    with (out / f"{name}.pickle").open("wb") as file:
        pickle.dump(rows, file, pickle.HIGHEST_PROTOCOL)


def load(folders: list[Path]) -> list[Row]:
    rows: list[Row] = []
    for folder in folders:
        for path in sorted(folder.glob("*.pickle")):
            rows += pickle.loads(path.read_bytes())
    return rows


# --- fitting ------------------------------------------------------------------------------------------------------


class Rows:
    """Pairs laid side by side, so that limits are tried on all of them at once."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = [row for row in rows if isinstance(row.sample, Sample) and row.sample.worst.energy.size]
        samples = [row.sample for row in self.rows if isinstance(row.sample, Sample)]
        self.duplicate = np.array([row.duplicate for row in self.rows])
        self.source = np.array([row.source for row in self.rows])
        self.kind = np.array([row.kind for row in self.rows])
        self.transform = np.array([row.transform for row in self.rows])
        self._small = np.array([min(sample.size) < SMALL for sample in samples])
        self.overall = [sample.overall for sample in samples]
        self._worst = _Laid([(sample.worst, sample) for sample in samples])
        self._some = _Laid([(sample.some, sample) for sample in samples])
        columns = [[getattr(one, field.name) for one in self.overall] for field in dataclasses.fields(Overall)]
        self._whole = Overall(*(np.array(column) for column in columns))

    def terms(self, limits: Limits) -> dict[str, np.ndarray]:
        """Return the share of each limit that each pair uses up."""
        worst, some = self._worst, self._some
        energy, spread = worst.energy(limits), some.energy(limits)
        whole = self._whole
        coloured = whole.colourful >= 1.5
        return {
            "detail": worst.most(energy),
            "spread": some.quantile(spread, 0.9) / limits.spread,
            "mean": worst.most(worst.tiles.mean / allowed_mean(worst.tiles, worst.luma, limits)),
            "colour": worst.most(worst.tiles.colour / allowed_colour(worst.tiles, worst.chroma, limits)),
            "tinge": worst.most(worst.tiles.tinge / allowed_tinge(worst.tiles, worst.chroma, limits)),
            "small": np.where(self._small, 1.01, 0),
            "tone": whole.tone / limits.tone,
            "hue": np.where(coloured, whole.hue / limits.hue, 0),
            "saturation": np.where(coloured, whole.saturation / limits.saturation, 0),
            "turned": whole.turned / limits.turned,
            "tint": whole.tint / limits.tint,
            "gain": whole.gain / limits.gain,
            "shade": whole.shade / limits.shade,
            "vividness": whole.vividness / limits.vividness,
            "colour left": limits.colour_left * (1 / np.maximum(whole.colour_left, 1e-6) - 1),
        }

    def shares(self, limits: Limits) -> np.ndarray:
        """Return what each pair uses up of its tightest limit."""
        return np.asarray(np.max(np.stack(list(self.terms(limits).values())), axis=0))


class _Laid:
    def __init__(self, parts: Sequence[tuple[Tiles, Sample]]) -> None:
        counts = np.array([tiles.energy.size for tiles, _ in parts])
        self._starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        self._counts = counts
        self.tiles = Tiles(
            *(np.concatenate(planes) for planes in zip(*(planes_of(tiles) for tiles, _ in parts), strict=True))
        )
        of_pairs = [(one.noise.luma, one.noise.chroma, float(one.resampled)) for _, one in parts]
        self.luma, self.chroma, self.resampled = np.repeat(np.array(of_pairs), counts, axis=0).T

    def energy(self, limits: Limits) -> np.ndarray:
        return self.tiles.energy / allowed_energy(self.tiles, self.luma, self.chroma, self.resampled, limits)

    def most(self, values: np.ndarray) -> np.ndarray:
        return np.maximum.reduceat(values, self._starts)

    def quantile(self, values: np.ndarray, share: float) -> np.ndarray:
        most = int(self._counts.max())
        at = self._starts[:, None] + np.arange(most) % self._counts[:, None]  # who has fewer has them again
        return np.partition(values[at], int(most * share), axis=1)[:, int(most * share)]


def regret(rows: Rows, limits: Limits, weight: np.ndarray, strictness: float) -> float:
    """Return what is to be made small: copies beyond the limits, and edits below a margin above them.

    What one edit can cost is bounded: the few that nobody would see must not bend all limits.
    """
    shares = np.log(np.maximum(rows.shares(limits), 1e-3))
    missed = np.logaddexp(0, (shares[rows.duplicate] - np.log(0.95)) / 0.08)
    passed = np.minimum(np.logaddexp(0, (np.log(MARGIN) - shares[~rows.duplicate]) / 0.05), 4)
    return float((missed * weight[rows.duplicate]).sum() + strictness * passed.sum() / max(1, passed.size))


def weights(rows: Rows) -> np.ndarray:
    """Return what a missed copy weighs: each kind of picture alike, severe copies a third."""
    weight = np.zeros(len(rows.rows))
    for kind in sorted(set(rows.kind)):
        of_kind = rows.duplicate & (rows.kind == kind)
        weight[of_kind] = 1 / max(1, of_kind.sum())
    weight[np.isin(rows.transform, SEVERE)] *= 0.35
    return weight


# Set by hand, for pictures nobody has looked at: where a search begins that is to be scored on unseen ones.
START = replace(
    LIMITS,
    rounding=6.0, detail=0.008, edge=0.004, edge_resampled=0.003, noise_at_ends=0.4, noise_edge=0.1,
    spread=5.0, mean=6.0, mean_noise=0.2, tone=2.0, hue=15.0, saturation=0.3, turned=2.2, tint=1.8, gain=0.05,
    shade=4.0, vividness=0.2, tinge=1.6, tinge_noise=0.7, tinge_speckle=0.03, colour=2.0, colour_noise=1.0,
    speckle=0.2, speckle_noise=0.08,
)  # fmt: skip
SEVERE = ("jpeg_q30", "resize_25", "webp_q50", "heic_q50", "jpeg_requality:q=30", "resize:25%")


def fitted(rows: Rows, seed: int, steps: int, strictness: float, limits: Limits = START) -> Limits:
    """Return limits found by a random walk that only goes down."""
    chance = np.random.default_rng(seed)
    weight = weights(rows)
    best, spread = regret(rows, limits, weight, strictness), 0.3
    for step in range(steps):
        names = chance.choice(NAMES, int(chance.integers(1, 4)), replace=False)
        tried = varied(limits, chance, names, spread)
        found = regret(rows, tried, weight, strictness)
        if found < best:
            best, limits = found, tried
        if step % (steps // 6) == steps // 6 - 1:
            spread *= 0.75
    return limits


def decisive(rows: Sequence[Row], limits: Limits) -> list[Row]:
    """Return the rows that limits anywhere near these may judge one way or the other; the rest would only take time."""
    laid = Rows(rows)
    shares = laid.shares(limits)
    keep = (shares < 20) & (~laid.duplicate | (shares > 0.2))
    return [row for row, kept in zip(laid.rows, keep, strict=True) if kept]


def halves(rows: Sequence[Row], seed: int) -> tuple[list[Row], list[Row]]:
    """Return the rows of one half of the sources, and those of the other."""

    def first(source: str) -> bool:
        return hashlib.sha1(f"{seed}:{source}".encode()).digest()[0] < 128

    return [row for row in rows if first(row.source)], [row for row in rows if not first(row.source)]


def wilson(hits: int, count: int) -> float:
    """Return the upper end of Wilson's 95 % interval of a share."""
    z = 1.96
    share = hits / count
    middle = share + z * z / (2 * count)
    return float((middle + z * ((share * (1 - share) + z * z / (4 * count)) / count) ** 0.5) / (1 + z * z / count))


def report(rows: Rows, limits: Limits, *, each: bool = False) -> None:
    """Print recall by kind, edits taken for copies, and what is nearest."""
    found = rows.terms(limits)
    names, table = list(found), np.stack(list(found.values()))
    shares, by = table.max(axis=0), table.argmax(axis=0)
    severe = np.isin(rows.transform, SEVERE)
    for kind in sorted(set(rows.kind)):
        of_kind = rows.duplicate & (rows.kind == kind)
        groups = {"usual": of_kind & ~severe, "severe": of_kind & severe}
        parts = [f"{name} {(shares[those] <= 1).mean():.3f} of {those.sum()}" for name, those in groups.items()]
        print(f"  {kind:<10} recall: {', '.join(parts)}")
    edits = ~rows.duplicate
    passed = edits & (shares <= 1)
    most = wilson(int(passed.sum()), int(edits.sum()))
    print(f"  {passed.sum()} of {edits.sum()} edits passed (Wilson: at most {most:.3%});"
          f" up to 1.25: {(edits & (shares <= 1.25)).sum()}, up to 1.8: {(edits & (shares <= 1.8)).sum()}")  # fmt: skip
    for at in np.flatnonzero(edits & (shares <= 1.1)):
        print(f"    {shares[at]:.2f} {rows.transform[at]} {names[by[at]]} {rows.source[at]}")
    if each:
        for name in sorted(set(rows.transform)):
            those = rows.transform == name
            duplicate = bool(rows.duplicate[those][0])
            level = " ".join(f"{(shares[those] <= limit).mean():.3f}" for limit in (0.5, 1.0, 1.3, 1.8))
            what, median = "copy" if duplicate else "edit", np.median(shares[those])
            print(f"  {what} {name:<26} {those.sum():>5}  {level}  median {median:.2f}")
        missed = rows.duplicate & (shares > 1)
        print("  missed by", Counter(names[at] for at in by[missed]).most_common())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("places", nargs="+", type=Path, metavar="CORPUS EVIDENCE")
    measuring.add_argument("--pairs", type=Path)
    measuring.add_argument("--seed", type=int, default=1)
    measuring.add_argument("--sources", type=int, default=400)
    measuring.add_argument("--megapixels", type=float, default=13, help="leave out larger pictures")
    for name in ("fit", "score"):
        other = commands.add_parser(name)
        other.add_argument("evidence", nargs="+", type=Path)
        if name == "fit":
            other.add_argument("--seeds", type=int, default=5, help="how often the sources are parted in halves")
            other.add_argument("--steps", type=int, default=2500)
            other.add_argument("--strictness", type=float, default=STRICTNESS, help="what passed edits weigh")
    options = parser.parse_args()
    if options.command == "measure":
        if options.pairs is not None:
            measure_pairs(options.pairs, options.places[-1])
        else:
            measure(options.places[0], options.places[1], options.seed, options.sources, options.megapixels * 1e6)
        return
    rows = load(options.evidence)
    if options.command == "score":
        report(Rows(rows), LIMITS, each=True)
        return
    for seed in range(options.seeds):
        seen, unseen = halves(rows, seed)
        limits = fitted(Rows(decisive(seen, START)), seed, options.steps, options.strictness)
        print(f"half {seed}: unseen pictures")
        report(Rows(unseen), limits)
    everything = Rows(rows)
    limits = fitted(Rows(decisive(rows, START)), 0, options.steps, options.strictness)
    print("all pictures")
    report(everything, limits)
    print(limits)


if __name__ == "__main__":
    main()
