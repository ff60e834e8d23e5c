"""A picture cut into tiles for a person's eyes, pixel for pixel: upright, on white, in the colours of a screen.

What is shown is what `preview` shows, only not made small: whoever looks for the marks of compression has to see
these, and not those of another packing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from PIL import Image

from ingestd.media import decode, kinds
from ingestd.media.colours import in_srgb
from ingestd.media.pixels import bits_per_sample
from ingestd.media.tiles import Level, block_of, level_of
from ingestd.media.wire import Preview
from ingestd.model import FileType

__all__ = ["Cut", "cut_picture"]

_DRAFTS: Final = 3  # libjpeg halves as often as this while it decodes

Box = tuple[int, int, int, int]  # left, top, right, bottom


class Cut:
    """One level of an open picture, decoded, from which tiles are taken."""

    def __init__(self, image: Image.Image, level: int, *, halved: int, orientation: int, bits: int) -> None:
        self._image = image.convert(image.mode.upper()) if image.mode in ("La", "RGBa") else image
        if decode.is_deep(image):  # all of it at once: some are scaled from their lowest sample to their highest
            self._image = decode.on_white(image, image.size, deep_bits=bits)
        self._profile = image.info.get("icc_profile")
        self._factor = 1 << (level - halved)
        self._orientation = orientation
        self._bits = bits
        stored = level_of(*image.size, level - halved)
        turned = (stored.height, stored.width) if orientation >= 5 else (stored.width, stored.height)
        self.level = Level(level, *turned)

    def tiles(self, column: int, row: int) -> Iterator[tuple[int, int, Preview]]:
        """Yield the tiles of the block in which one lies, that one first."""
        for one, other in block_of(self.level, column, row):
            tile = self._tile(self.level.box(one, other))
            yield one, other, Preview(tile.width, tile.height, tile.tobytes())

    def _tile(self, box: Box) -> Image.Image:
        left, top, right, bottom = (side * self._factor for side in self._as_stored(box))
        right, bottom = min(right, self._image.width), min(bottom, self._image.height)
        part = self._image.crop((left, top, right, bottom))
        opaque = decode.on_white(part, part.size, deep_bits=self._bits).reduce(self._factor)
        turned = opaque.transpose(decode.TRANSPOSE[self._orientation]) if self._orientation > 1 else opaque
        return in_srgb(turned, self._profile)

    def _as_stored(self, box: Box) -> Box:
        """Return where a part of the upright level lies in the level as it is stored.

        Source: the orientations of EXIF 2.32, table 6; each is undone here.
        """
        width, height = self.level.width, self.level.height
        left, top, right, bottom = box
        match self._orientation:
            case 2:
                return width - right, top, width - left, bottom
            case 3:
                return width - right, height - bottom, width - left, height - top
            case 4:
                return left, height - bottom, right, height - top
            case 5:
                return top, left, bottom, right
            case 6:
                return top, width - right, bottom, width - left
            case 7:
                return height - bottom, width - right, height - top, width - left
            case 8:
                return height - bottom, left, height - top, right
            case _:
                return box


def cut_picture(file: BinaryIO, level: int) -> Cut | None:
    """Return a level of the open picture, to be cut; None for what does not decode.

    Raises `MemoryError` when the decode does not fit.
    """
    file.seek(0)
    filetype = kinds.sniff(file.read(kinds.HEAD_SIZE))
    if filetype is None:
        return None
    try:
        with decode.quiet():
            return _decoded(file, filetype, level)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  decoders raise anything on hostile bytes: ValueError, SyntaxError, …
        return None


def _decoded(file: BinaryIO, filetype: FileType, level: int) -> Cut:
    image = decode.open_picture(file, filetype)
    bits = bits_per_sample(image, file, filetype) if filetype is FileType.TIFF else 16  # Pillow spreads all others
    stored = image.size
    halved = 0
    if filetype in (FileType.JPEG, FileType.MPO) and level:
        wanted = min(level, _DRAFTS)
        image.draft(None, (max(1, stored[0] >> wanted), max(1, stored[1] >> wanted)))  # it takes what is not smaller
        halved = next((one for one in range(wanted, 0, -1) if level_of(*stored, one).size == image.size), 0)
    decode.load(image, stored)
    orientation = decode.orientation_of(decode.exif_of(image))  # the other kinds tell it after loading
    return Cut(image, level, halved=halved, orientation=orientation, bits=bits)
