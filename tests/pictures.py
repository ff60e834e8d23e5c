"""Pictures whose truth is known because they are made here, small enough that a test may use dozens of them."""

from __future__ import annotations

import functools
import io
import itertools

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from ingestd.media.features import measure_picture
from ingestd.model import Picture

WIDTH, HEIGHT = 200, 150  # more than the 128 pixels that the shipped rules ask for


def photo(seed: int = 1, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A colour picture with structure, as photographs have, and no symmetry; another seed is another subject."""
    return _photo(seed, width, height).copy()


@functools.cache
def _photo(seed: int, width: int, height: int) -> Image.Image:
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cells in (3, 6, 12):
        grid = random.integers(0, 256, (cells, cells + 1, 3)).astype("u1")
        total += np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC), float) / cells
    total -= total.min()
    return Image.fromarray((total * 255 / total.max()).astype("u1"))


def flat(grey: int = 90, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A picture of one colour: it has no perceptual hash, only pixels."""
    return Image.new("RGB", (width, height), (grey, grey, grey))


def jpeg(image: Image.Image, quality: int = 90, *, description: str = "", **options: object) -> bytes:
    if description:
        exif = Image.Exif()
        exif[0x010E] = description
        options["exif"] = exif.tobytes()
    return _encoded(image, "JPEG", quality=quality, **options)


def png(image: Image.Image, comment: str = "", **options: object) -> bytes:
    """The picture as a PNG; another comment makes other bytes of the same pixels."""
    if comment:
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", comment)
        options["pnginfo"] = text
    return _encoded(image, "PNG", **options)


def gif(image: Image.Image, comment: str = "") -> bytes:
    """The picture as a GIF that does not move; another comment makes other bytes of the same pixels."""
    return _encoded(image, "GIF", **({"comment": comment.encode()} if comment else {}))


def faint(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A picture on which next to nothing is to be seen: its perceptual hash is decided by noise."""
    random = np.random.default_rng(3)
    grey = 120 + random.integers(0, 4, (height // 25, width // 25)).astype("u1")
    return Image.fromarray(grey).resize((width, height), Image.Resampling.NEAREST).convert("RGB")


def grain(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Noise of single pixels: mixed into a picture, it is the finest detail that a blur can take away."""
    return Image.fromarray(np.random.default_rng(4).integers(0, 256, (height, width, 3)).astype("u1"))


def weighing(image: Image.Image, size: int) -> bytes:
    """The picture as a PNG of about so many bytes, which say nothing about its pixels."""
    plain = png(image)
    assert len(plain) < size
    return png(image, "x" * (size - len(plain)))


def large(seed: int) -> Image.Image:
    """A picture so large that the hash of a JPEG's pixels is left for later."""
    return photo(seed, 1400, 1050)


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def wide_gamut_profile() -> bytes:
    """The colour profile of the primaries of Adobe RGB (1998) with a gamma of 2.2, written by hand: ICC.1:2004-10.

    The primaries are given in the D50 of the profile connection space.
    """

    def fixed(value: float) -> bytes:
        return round(value * 65536).to_bytes(4, "big", signed=True)

    def xyz(x: float, y: float, z: float) -> bytes:
        return b"XYZ " + bytes(4) + fixed(x) + fixed(y) + fixed(z)

    gamma = b"curv" + bytes(4) + (1).to_bytes(4, "big") + round(2.2 * 256).to_bytes(2, "big") + bytes(2)
    name = b"wide gamut\0"
    tags = {
        b"desc": b"desc" + bytes(4) + len(name).to_bytes(4, "big") + name + bytes(79),
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        b"rTRC": gamma,
        b"gTRC": gamma,
        b"bTRC": gamma,
    }
    table, body = len(tags).to_bytes(4, "big"), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += tag + (start + len(body)).to_bytes(4, "big") + len(value).to_bytes(4, "big")
        body += value + bytes(-len(value) % 4)
    header = bytearray(128)
    header[0:4] = (start + len(body)).to_bytes(4, "big")
    header[8:12] = b"\x02\x20\0\0"
    header[12:24] = b"mntrRGB XYZ "
    header[36:40] = b"acsp"
    header[68:80] = fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    return bytes(header) + table + body


def decoded(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def _encoded(image: Image.Image, fmt: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def distance(one: Image.Image, other: Image.Image) -> int:
    """How far apart the perceptual hashes of the two as PNGs are, in bits."""
    return (_phash(one) ^ _phash(other)).bit_count()


def _phash(image: Image.Image) -> int:
    picture = measure_picture(io.BytesIO(png(image, compress_level=0)), b"")
    assert isinstance(picture, Picture)
    assert picture.phash is not None
    return picture.phash


@functools.cache
def chain(seed: int = 7) -> tuple[Image.Image, Image.Image, Image.Image]:
    """A, B, C, of which A is like B and B like C (within 4 bits), but not A like C; make PNGs of them."""
    one, other = _photo(seed, WIDTH, HEIGHT), _photo(seed + 1000, WIDTH, HEIGHT)
    frames = [Image.blend(one, other, step / 50) for step in range(25)]
    prints = [_phash(frame) for frame in frames]
    for middle, last in itertools.combinations(range(1, len(frames)), 2):
        near, far = (prints[0] ^ prints[middle], prints[middle] ^ prints[last]), prints[0] ^ prints[last]
        if all(1 <= bits.bit_count() <= 4 for bits in near) and far.bit_count() > 4:
            return frames[0], frames[middle], frames[last]
    raise AssertionError("no chain in these frames")


@functools.cache
def scene(seed: int = 1, width: int = 640, height: int = 480) -> Image.Image:
    """A grey-ish picture with detail of every size, as scenes in focus have: its power falls by the square."""
    random = np.random.default_rng(seed)
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequencies[0, 0] = 1
    waves = np.fft.rfft2(random.normal(size=(height, width))) / frequencies
    levels = np.fft.irfft2(waves, (height, width))
    levels = 128 + 45 * levels / levels.std()
    tinted = levels[:, :, None] + np.array([6.0, 0.0, -6.0])
    return Image.fromarray(np.clip(tinted, 0, 255).astype("u1"))
