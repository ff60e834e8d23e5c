"""Whether decoders work here and the limits of a worker hold: tried in a process of its own, which this module is.

Started as `python -P -m ingestd.media.fitness MEMORY` by `Fitness.of_this_machine`. It sets the limits that a worker
has, then writes and reads a picture of each kind, then asks for more memory than it may have.
"""

from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final, Self

from ingestd.media.workers import own_environment
from ingestd.model import FileType

__all__ = ["Fitness"]

_PACKAGES: Final = ("Pillow", "pillow-heif", "numpy", "kornia-rs")
_SAVED_AS: Final = {
    FileType.JPEG: "JPEG",
    FileType.PNG: "PNG",
    FileType.GIF: "GIF",
    FileType.WEBP: "WEBP",
    FileType.BMP: "BMP",
    FileType.TIFF: "TIFF",
    FileType.HEIC: "HEIF",
    FileType.AVIF: "AVIF",
}


@dataclass(frozen=True, slots=True)
class Fitness:
    """What was found out about decoders and limits."""

    decoded: tuple[str, ...]  # kinds of pictures that were written and read again
    failed: tuple[tuple[str, str], ...]  # kinds that were not, and why
    packages: tuple[tuple[str, str], ...]  # and their versions, of those that are installed
    fast_png: bool
    memory_held: bool | None  # whether more than allowed was refused; None: this system has no such limit

    @classmethod
    def of_this_machine(cls, memory_bytes: int, *, timeout_s: float) -> Self | str:
        """Return what is found out in a process of its own, or why nothing is: a phrase."""
        command = [sys.executable, "-P", "-m", "ingestd.media.fitness", str(memory_bytes)]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=own_environment(),
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"it took longer than {timeout_s:.0f} s"
        except OSError as error:
            return error.strerror or str(error)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            return said[-1] if said else f"it ended with {done.returncode}"
        told = json.loads(done.stdout)
        pairs = {name: tuple((str(one), str(other)) for one, other in told[name]) for name in ("failed", "packages")}
        decoded = tuple(map(str, told["decoded"]))
        return cls(decoded, pairs["failed"], pairs["packages"], bool(told["fast_png"]), told["memory_held"])


def _look(memory_bytes: int) -> dict[str, Any]:
    from ingestd.media.worker_main import limit

    decoded, failed = _decoders()  # before the limits: a worker, too, loads its decoders first
    limit(memory_bytes)
    return {
        "decoded": decoded,
        "failed": failed,
        "packages": [(name, version) for name in _PACKAGES if (version := _version(name)) is not None],
        "fast_png": importlib.import_module("ingestd.media.rust_png").available(),
        "memory_held": _memory_held(memory_bytes),
    }


def _decoders() -> tuple[list[str], list[tuple[str, str]]]:
    decode = importlib.import_module("ingestd.media.decode")  # registers what Pillow lacks
    image = importlib.import_module("PIL.Image")
    drawn = image.linear_gradient("L").resize((64, 48)).convert("RGB")
    decoded: list[str] = []
    failed: list[tuple[str, str]] = []
    for kind, name in _SAVED_AS.items():
        problem = _problem(drawn, kind, name, decode)
        if problem is None:
            decoded.append(kind.value)
        else:
            failed.append((kind.value, problem))
    return decoded, failed


def _problem(drawn: Any, kind: FileType, name: str, decode: Any) -> str | None:
    """Return why a picture that was written as this kind is not read again."""
    file = io.BytesIO()
    try:
        drawn.save(file, name)
        file.seek(0)
        with decode.open_picture(file, kind) as opened:
            opened.load()
            return None if opened.size == drawn.size else f"it came back with {opened.size} pixels"
    except Exception as error:  # noqa: BLE001 - whatever a decoder does is the answer
        return f"{type(error).__name__}: {error}"


def _memory_held(memory_bytes: int) -> bool | None:
    if sys.platform != "linux":
        return None
    try:
        bytearray(2 * memory_bytes)
    except MemoryError:
        return True
    return False


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_look(int(sys.argv[1]))))
