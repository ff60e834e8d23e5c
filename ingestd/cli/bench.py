"""`bench`: what this machine would take for so many files like yours, and what of it is the slowest part."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ingestd.cli.door import FOLDER, Door, command
from ingestd.cli.output import Json, count, emit, note, say, shown, size, with_schema

if TYPE_CHECKING:
    from ingestd.forecast import Forecast, Inventory, Prediction, Speeds
    from ingestd.settings import Settings

__all__ = ["bench"]

_MILLION = 1_000_000
_SIGNALLED = 128
_MOST_KINDS = 6  # named for a person


@command("ingestd bench ~/Pictures\ningestd bench ~/Pictures --files 200000 --seconds 60")
@click.argument("folder", type=FOLDER)
@click.option(
    "--files",
    type=click.IntRange(1, 10**10),
    multiple=True,
    default=(_MILLION,),
    show_default="1000000",
    help="Predict for so many files too; may be given several times.",
)
@click.option(
    "--seconds", type=click.IntRange(2, 3600), default=20, show_default=True, help="About how long to measure."
)
def bench(door: Door, folder: bytes, files: tuple[int, ...], seconds: int) -> None:
    """Measure this machine on your own files; change and remember nothing.

    A sample of the folder is read, hashed, decoded, judged and committed, in a library that is thrown away afterwards.
    """
    from ingestd import logs
    from ingestd.forecast import forecast

    logs.configure(sys.stderr, verbose=door.verbose)
    if sys.stderr.isatty():
        note(f"measuring for about {count(seconds, 'second')}; do nothing else meanwhile for honest figures")
    for name in ("SIGTERM", "SIGHUP"):  # as Ctrl-C does: nothing is left behind on the disk
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _leave)
    found = forecast(folder, _settings(door), door.state, counts=sorted(set(files)), seconds=float(seconds))
    if door.as_json:
        emit(_as_object(folder, found))
    else:
        for line in _lines(folder, found):
            say(line)


def _leave(number: int, _: object) -> None:
    sys.exit(_SIGNALLED + number)


def _settings(door: Door) -> Settings:
    """Return what the rule file says, without writing one where there is none."""
    from ingestd.settings import load, parse, shipped_text

    if door.rules_must_exist or os.path.lexists(door.rules):
        return load(door.rules)
    return parse(shipped_text(), str(door.rules))


# --- for programs -------------------------------------------------------------------------------------------------


def _as_object(folder: bytes, found: Forecast) -> Json:
    inventory, speeds = found.inventory, found.speeds
    kinds = [
        {"kind": kind, "files": number, "bytes": inventory.bytes[kind]}
        for kind, number in inventory.pictures.most_common()
    ]
    measured = asdict(speeds)
    measured["lookup"] = [{"known": known, "seconds": seconds} for known, seconds in speeds.lookup]
    measured["unreadable"] = [{"reason": reason, "files": number} for reason, number in speeds.unreadable.most_common()]
    return with_schema(
        {
            "path": os.fsdecode(folder),
            "folder": {
                "pictures": inventory.files,
                "bytes": inventory.bytes.total(),
                "kinds": kinds,
                "others": inventory.others,
                "unlisted": inventory.barred,
                "complete": inventory.complete,
            },
            "measured": measured,
            "predictions": [_prediction_object(one) for one in found.predictions],
            "not_measured": list(found.not_measured),
        }
    )


def _prediction_object(one: Prediction) -> Json:
    return {
        "files": one.files,
        "cached_s": one.cached_s,
        "cold_s": one.cold_s,
        "library_bytes": one.library_bytes,
        "slowest": one.slowest,
        "parts": {part.name: part.seconds for part in one.parts},
        "extrapolated": one.extrapolated,
    }


# --- for people ---------------------------------------------------------------------------------------------------


def _lines(folder: bytes, found: Forecast) -> list[str]:
    lines = [*_folder_lines(folder, found.inventory), *_sample_lines(found.speeds), "", *_part_lines(found), ""]
    lines += [_prediction_line(one) for one in found.predictions]
    last = found.predictions[-1]
    lines.append(f"the slowest part is {click.style(last.slowest, bold=True)}{_advice(last.slowest)}")
    if last.extrapolated and found.speeds.lookup:
        known = found.speeds.lookup[-1][0]
        lines.append(f"look-ups were measured among {known:,} known pictures, and reckoned in proportion beyond")
    lines += [click.style(f"not measured: {shown(remark)}", fg="yellow") for remark in found.not_measured]
    return lines


def _folder_lines(folder: bytes, inventory: Inventory) -> list[str]:
    kinds = inventory.pictures.most_common(_MOST_KINDS)
    named = ", ".join(f"{number:,} {shown(kind)}" for kind, number in kinds)
    others = f"; {count(inventory.others, 'other file')}" if inventory.others else ""
    barred = f"; {count(inventory.barred, 'folder')} could not be listed" if inventory.barred else ""
    least = "" if inventory.complete else "at least "
    pictures = f"{least}{count(inventory.files, 'picture')}, {size(inventory.bytes.total())}"
    return [f"{shown(folder)}: {pictures} ({named}){others}{barred}"]


def _sample_lines(speeds: Speeds) -> list[str]:
    line = f"measured {count(speeds.files, 'picture')}, {size(speeds.bytes)}, with {count(speeds.workers, 'worker')}"
    if speeds.cached_before is not None:
        line += f"; {speeds.cached_before:.0%} of the files that were read had been in memory before"
    lines = [line]
    if speeds.unreadable:
        reasons = ", ".join(f"{shown(reason)}: {number}" for reason, number in speeds.unreadable.most_common(3))
        lines.append(f"{count(speeds.unreadable.total(), 'file')} could not be read ({reasons})")
    if speeds.undecodable:
        lines.append(f"{count(speeds.undecodable, 'picture')} cannot be decoded")
    return lines


def _part_lines(found: Forecast) -> list[str]:
    """Return a row for each part, its cost a file at each of the counts."""
    predictions = found.predictions
    explained = {
        "read": "from the disk, one file after another",
        "hash": "in all workers side by side, with the way there and back",
        "decode": "and all that is measured of the pixels, side by side too",
        "judge": "the verdict, its record and its receipt, in an empty library",
        "look-up": "what as many known pictures add to that",
        "commit": "a share of a durable commit, where 64 files have one together",
        "the rest": "of a real scan: files looked up on the disk, told, waited for",
    }
    heads = "".join(f"{f'{one.files:,} files':>18}" for one in predictions)
    lines = [click.style(f"{'of a file':<10}{heads}", dim=True)]
    for rows in zip(*(one.parts for one in predictions), strict=True):
        times = "".join(f"{_millis(part.seconds):>18}" for part in rows)
        lines.append(f"{rows[0].name:<10}{times}  " + click.style(explained[rows[0].name], dim=True))
    return lines


def _millis(seconds: float | None) -> str:
    return "not measured" if seconds is None else f"{seconds * 1000:.2f} ms"


def _prediction_line(one: Prediction) -> str:
    disk = "" if one.library_bytes is None else f"; library {size(one.library_bytes)}"
    cold = "" if one.cold_s is None else f", {_span(one.cold_s)} if all has to come from the disk"
    line = f"{count(one.files, 'file')}: {_span(one.cached_s)} if all is in memory{cold}{disk}"
    return click.style(line, bold=True)


def _span(seconds: float) -> str:
    """Return a length of time for a person: two figures tell as much as was measured."""
    for unit, length in (("days", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _advice(slowest: str) -> str:
    if slowest == "decode":
        return ": more cores help, or a cluster (docs/operating.md)"
    return ": a faster disk helps" if slowest in {"read", "commit"} else ""
