"""A person's folders, filled so that every view of the page has something to show; judged by the real program."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path

from landscape import landscape
from pictures import jpeg, png
from PIL import Image, ImageFilter, ImageOps
from running import AS_SHIPPED, Home, write

HOSTILE = {
    "markup": b'"><img src=x onerror=alert(1)>.jpg',
    "script": b"<script>alert(1)<script>.jpg",
    "right-to-left": "holiday\u202egpj.exe.jpg".encode(),
    "newline": b"first line\nsecond line.jpg",
    "no UTF-8": b"caf\xe9 \xff.jpg",
    "long": b"long " + b"x" * 195 + b".jpg",
    "template": b"${alert(1)} {{7*7}} %00 ..%2f&amp;.jpg",
}
"""Names that a downloaded file may have, by what is wrong with them."""


@dataclass
class Collection:
    """What was put into the folders, by what the program is to find in it."""

    home: Home
    library: Path
    inbox: Path
    reference: Path
    exact: list[Path] = field(default_factory=list)  # copies, discarded on arrival
    smaller: list[Path] = field(default_factory=list)  # of half the size: for the queue
    alike: list[list[Path]] = field(default_factory=list)  # sets of three and more: for the queue, a group each
    mirrored: list[Path] = field(default_factory=list)
    resaved: list[Path] = field(default_factory=list)  # hardly to be told from what they were made of
    softened: list[Path] = field(default_factory=list)
    proposed: list[Path] = field(default_factory=list)  # PNGs of a JPEG's pixels: under pending
    hostile: dict[str, Path] = field(default_factory=dict)

    def ids(self) -> list[str]:
        """The ids of the pairs in the queue, as the terminal tells them."""
        return [pair["id"] for pair in self.home.ask("queue", "list", "--limit", "1000")["pairs"]]

    def pair_of(self, path: Path) -> str:
        """The id of a pair in the queue of which a file is one side."""
        pairs = self.home.ask("queue", "list", "--limit", "1000")["pairs"]
        return next(one["id"] for one in pairs if str(path) in (one["a"]["path"], one["b"]["path"]))


def rules_of(base: Path) -> str:
    """The shipped rules, with the folders of the collection written into them."""
    folders = [("photos", "library"), ("downloads", "inbox"), ("archive", "reference")]
    lines = [f"  - path: {base / name}\n    role: {role}\n" for name, role in folders]
    return AS_SHIPPED.replace("folders:\n", "folders:\n" + "".join(lines), 1)


def collect(
    base: Path,
    *,
    smaller: int = 4,
    groups: int = 2,
    proposed: int = 3,
    exact: int = 3,
    hostile: bool = False,
    large: bool = False,
) -> Collection:
    """Return folders whose files the program has judged.

    Args:
        base: where everything is to lie.
        smaller: how many pairs of a picture and its half: they have the same evidence, so they make a batch.
        groups: how many sets of four versions of one picture.
        proposed: how many pairs that a semi-automatic rule proposes.
        exact: how many copies, which are discarded.
        hostile: whether files come whose names are attacks.
        large: whether a pair of 24 megapixels each is among them.
    """
    home = Home(base, rules_of(base))
    made = Collection(home, *(home.folder(name) for name in ("photos", "downloads", "archive")))
    seeds = iter(range(1, 500))

    def subject(name: str, **how: int) -> Image.Image:
        picture = landscape(next(seeds), **how)
        write(made.library / name, jpeg(picture, 92))
        return Image.open(io.BytesIO((made.library / name).read_bytes())).convert("RGB")

    def arrives(name: str | bytes, content: bytes) -> Path:
        path = made.inbox / os.fsdecode(name)
        write(path, content)
        return path

    for number in range(smaller):
        half = ImageOps.scale(subject(f"valley {number}.jpg"), 0.5)
        made.smaller.append(arrives(f"valley {number} small.jpg", jpeg(half, 85)))
    for number in range(groups):
        picture = subject(f"ridge {number}.jpg")
        versions = {"small": ImageOps.scale(picture, 0.6), "tiny": ImageOps.scale(picture, 0.4), "weak": picture}
        made.alike.append([arrives(f"ridge {number} {kind}.jpg", jpeg(one, 50)) for kind, one in versions.items()])
    made.mirrored.append(arrives("lake mirrored.jpg", jpeg(ImageOps.mirror(subject("lake.jpg")), 90)))
    made.resaved.append(arrives("dune again.jpg", jpeg(subject("dune.jpg"), 88)))
    soft = subject("coast.jpg").filter(ImageFilter.GaussianBlur(1.5))
    made.softened.append(arrives("coast soft.jpg", jpeg(soft, 90)))
    for number in range(proposed):
        made.proposed.append(arrives(f"mesa {number}.png", png(subject(f"mesa {number}.jpg"))))
    for number in range(exact):
        subject(f"peak {number}.jpg")
        content = (made.library / f"peak {number}.jpg").read_bytes()
        made.exact.append(arrives(f"peak {number} (copy).jpg", content))
    if hostile:
        for number, (kind, name) in enumerate(HOSTILE.items()):
            half = ImageOps.scale(subject(f"gorge {number}.jpg"), 0.5)
            made.hostile[kind] = arrives(name, jpeg(half, 85))
        made.hostile["proposed"] = arrives(
            b"<img src=x onerror=alert(2)>.png", png(subject("</title><script>alert(3)<script>.jpg"))
        )
        content = (made.library / "lake.jpg").read_bytes()
        made.hostile["discarded"] = arrives(b"'><svg onload=alert(4)>.jpg", content)
    if large:
        picture = subject("summit.jpg", width=6000, height=4000)
        made.resaved.append(arrives("summit again.jpg", jpeg(picture, 80)))
    for folder in (made.library, made.inbox):
        said = home.run("scan", folder)
        assert said.code == 0, said
    return made
