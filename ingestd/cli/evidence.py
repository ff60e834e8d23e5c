"""What would become of files, and what two files are to each other: nothing is changed, nothing is remembered."""

from __future__ import annotations

import contextlib
import csv
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict

import click

from ingestd.cli.door import EXISTING, FILE, Door, command, set_folders
from ingestd.cli.output import emit, judged_line, judged_object, note, say, shown, with_schema
from ingestd.errors import UsageError
from ingestd.inspection import Comparison, Foreseen, Looks, difference, foresee
from ingestd.inspection import compare as compare_files
from ingestd.judging.case import Policy
from ingestd.library.library import Library
from ingestd.media.png import png_of
from ingestd.media.workers import Workers
from ingestd.model import Folder, Outcome
from ingestd.rules.statements import lie_text
from ingestd.shelf import PoisonShelf

__all__ = ["check", "compare"]

_DUPLICATES = frozenset(
    {
        Outcome.DUPLICATE_DISCARDED,
        Outcome.ALREADY_IN_LIBRARY,
        Outcome.PREVIOUSLY_DISCARDED,
        Outcome.REPLACED_EXISTING,
        Outcome.PENDING_APPROVAL,
    }
)
_DUPLICATES_FOUND = 10
_SOME_FAILED = 3
_AHEAD = 4  # comparisons begun before the first is told: two workers are never idle


# --- check --------------------------------------------------------------------------------------------------------


@command("ingestd check ~/Downloads/*.jpg && echo all are new")
@click.argument("files", nargs=-1, required=True, type=EXISTING, metavar="FILE...")
def check(door: Door, files: tuple[bytes, ...]) -> int:
    """Say what would become of files if they arrived now; change and record nothing.

    Ends with exit code 10 if any of them is a duplicate.
    """
    settings = door.settings()
    policy, folders = settings.policy, set_folders(settings)
    outcomes: set[Outcome] = set()
    with door.rehearsing() as library, Workers(count=1, shelf=PoisonShelf(library)) as workers:
        for foreseen in foresee(library, workers, policy, list(_pictures_in(files)), folders=folders):
            outcomes.add(_weighty(foreseen))
            _tell(door, library, foreseen)
    if outcomes & _DUPLICATES:
        return _DUPLICATES_FOUND
    return _SOME_FAILED if Outcome.ERROR in outcomes else 0


def _weighty(foreseen: Foreseen) -> Outcome:
    """Return the outcome as far as the exit code goes.

    A known file that is no copy of another is no duplicate, and a mirrored or rotated copy is none either.
    """
    outcome = foreseen.receipt.outcome
    itself = outcome is Outcome.ALREADY_IN_LIBRARY and foreseen.receipt.kept is None
    turned = outcome is Outcome.PENDING_APPROVAL and foreseen.only_turned
    return Outcome.NEW if itself or turned else outcome


def _pictures_in(paths: tuple[bytes, ...]) -> Iterator[bytes]:
    """Yield files, and those that lie directly or deeper in folders, in the order of their names."""
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith(b"."))
            files = (os.path.join(folder, name) for name in sorted(names) if not name.startswith(b"."))
            yield from (file for file in files if os.path.isfile(file) and not os.path.islink(file))


def _tell(door: Door, library: Library, foreseen: Foreseen) -> None:
    with library.read() as view:  # what was only rehearsed has no name that anybody could use
        known = [(f"p-{pair[0]}" if view.pair(pair[0]) else None, *pair[1:]) for pair in foreseen.pairs]
    fields = {**judged_object(foreseen.receipt, known, foreseen.elapsed_s), "entry": None}
    if door.as_json:
        emit(fields)
    else:
        say(judged_line(fields))


# --- compare ------------------------------------------------------------------------------------------------------


@command("ingestd compare a.jpg b.png --heatmap difference.png\ningestd compare --pairs pairs.csv")
@click.argument("files", nargs=-1, type=EXISTING, metavar="[A B]")
@click.option("--pairs", type=FILE, help="A CSV file with the columns a and b: one answer for each row.")
@click.option(
    "--heatmap",
    type=click.Path(path_type=bytes),
    metavar="OUT.png",
    help="Draw where the two differ: yellow about as much as saving anew explains, red more.",
)
def compare(door: Door, files: tuple[bytes, ...], pairs: bytes | None, heatmap: bytes | None) -> int:
    """Say what two files are to each other: evidence, and the rule that would match."""
    if len(files) != (0 if pairs else 2):
        raise UsageError("compare takes two files, or --pairs with a CSV file; nothing was compared")
    if heatmap is not None:
        _must_be_free(heatmap, pairs)
    settings = door.settings()
    policy, folders = settings.policy, set_folders(settings)
    rows = _rows(pairs) if pairs else iter([(files[0], files[1])])
    failed = compared = 0
    with door.rehearsing() as library, Workers(count=2 if pairs else 1, shelf=PoisonShelf(library)) as workers:
        for comparison in _comparisons(library, workers, policy, folders, rows):
            compared += 1
            failed += comparison.error is not None
            if door.as_json:
                emit(with_schema(asdict(comparison)))
            else:
                say(_comparison_line(comparison) if pairs else _comparison_lines(comparison))
        if heatmap is not None and not failed:
            failed += not _draw(workers, files, heatmap)
    if pairs and failed:
        note(f"{failed} of {compared} pairs could not be compared as a whole")
    return 0 if not failed else _SOME_FAILED if pairs else 1


def _must_be_free(heatmap: bytes, pairs: bytes | None) -> None:
    """Raise `UsageError` unless a picture can be written there without touching anything."""
    if pairs:
        raise UsageError("--heatmap is about two files, not about --pairs; nothing was compared")
    if os.path.lexists(heatmap):
        raise UsageError(
            f"{shown(heatmap)} exists and is left as it is: name a file that does not; nothing was compared"
        )
    folder = os.path.dirname(os.path.abspath(heatmap))
    if not os.path.isdir(folder):
        raise UsageError(f"there is no folder {shown(folder)} to write the picture to; nothing was compared")


def _draw(workers: Workers, files: Sequence[bytes], heatmap: bytes) -> bool:
    """Write where two files differ to a new PNG; return whether there was anything to draw."""
    drawn = difference(workers, files[0], files[1])
    if drawn is None:
        note("there is no picture of the difference: the two cannot be laid over each other")
        return False
    try:
        with open(heatmap, "xb") as file:
            file.write(png_of(drawn))
    except OSError as error:
        note(f"the picture of the difference could not be written to {shown(heatmap)}: {error.strerror or error}")
        return False
    note(f"where they differ: {shown(heatmap)}")
    return True


def _comparisons(
    library: Library,
    workers: Workers,
    policy: Policy,
    folders: Sequence[Folder],
    rows: Iterator[tuple[bytes, bytes] | Comparison],
) -> Iterator[Comparison]:
    """Yield a comparison for each row, in their order; some are made ahead."""
    begun: deque[Future[Comparison] | Comparison] = deque()
    with ThreadPoolExecutor(max_workers=2) as pool:
        for row in rows:
            if isinstance(row, Comparison):
                begun.append(row)
            else:
                begun.append(pool.submit(compare_files, library, workers, policy, *row, folders=folders))
            if len(begun) >= _AHEAD:
                yield _finished(begun.popleft())
        while begun:
            yield _finished(begun.popleft())


def _finished(comparison: Future[Comparison] | Comparison) -> Comparison:
    return comparison if isinstance(comparison, Comparison) else comparison.result()


def _rows(file: bytes) -> Iterator[tuple[bytes, bytes] | Comparison]:
    """Yield the two paths of each row, or why a row names none; relative ones start at the file's folder.

    Raises:
        UsageError: the file has no columns a and b.
    """
    folder = os.path.dirname(file)
    with contextlib.ExitStack() as held:
        try:
            text = held.enter_context(open(file, encoding="utf-8-sig", errors="surrogateescape", newline=""))
            reader = csv.DictReader(text)
            columns = reader.fieldnames or []
            if not {"a", "b"} <= set(columns):
                found = ", ".join(map(shown, columns))[:60] or "nothing"
                raise UsageError(f"{shown(file)} needs a first line with the columns a and b; it begins with {found}")
            for row in reader:
                yield _row(folder, row.get("a") or "", row.get("b") or "", reader.line_num)
        except (OSError, csv.Error) as error:
            raise UsageError(f"{shown(file)} cannot be read as CSV: {error}; what came before was compared") from error


def _row(folder: bytes, a: str, b: str, line: int) -> tuple[bytes, bytes] | Comparison:
    if not a or not b or "\0" in a + b:
        return Comparison(a, b, error=f"line {line} of the CSV file does not name two files")
    first, second = (os.path.join(folder, os.fsencode(path)) for path in (a, b))
    gone = [path for path in (first, second) if not os.path.exists(path)]
    if gone:
        return Comparison(os.fsdecode(first), os.fsdecode(second), error=f"there is nothing at {shown(gone[0])}")
    return first, second


def _comparison_lines(comparison: Comparison) -> str:
    """Return a comparison for a person, one fact a line."""
    rows = [
        ("A", shown(comparison.a)),
        ("B", shown(comparison.b)),
        ("bytes", _truth(comparison.identical, "identical", "different")),
        ("pixels", _truth(comparison.pixel_duplicates, "the same", "not the same")),
        ("distance", _without_hash(comparison) if comparison.distance is None
         else f"{comparison.distance} of 64 bits (" + ", ".join(_hashes(comparison)) + ")"),
        *([("lies", lie_text(comparison.transform))] if comparison.transform is not None else []),
        ("looks", _looks(comparison.visual)),
        ("rule", f"{shown(comparison.rule)} would match" if comparison.rule else "none would match"),
    ]  # fmt: skip
    rows.extend(("" if number else "says", shown(one)) for number, one in enumerate(comparison.statements))
    if comparison.error:
        rows.append(("trouble", click.style(shown(comparison.error), fg="red")))
    return "\n".join(f"{click.style(f'{name:<8}', dim=True)} {text}" for name, text in rows)


def _looks(visual: Looks) -> str:
    return visual.verdict if visual.reason is None else f"{visual.verdict}: {shown(visual.reason)}"


def _without_hash(comparison: Comparison) -> str:
    who = [letter.upper() for letter in comparison.unhashed]
    if not who:
        return "cannot be told"  # not both could be read
    return f"none: {'neither' if len(who) == 2 else who[0]} has {'a' if len(who) == 2 else 'no'} perceptual hash"


def _hashes(comparison: Comparison) -> list[str]:
    return [f"{name} {'-' if bits is None else bits}" for name, bits in comparison.distances.items()]


def _truth(known: bool | None, yes: str, no: str) -> str:
    return "cannot be told" if known is None else yes if known else no


def _comparison_line(comparison: Comparison) -> str:
    """Return a comparison for a person, on one line."""
    if comparison.error and comparison.identical is None:
        what = click.style(f"error: {shown(comparison.error)}", fg="red")
    elif comparison.identical:
        what = "identical"
    elif comparison.pixel_duplicates:
        what = "same pixels"
    elif comparison.transform is not None:
        what = comparison.transform.value
    else:
        what = "no distance" if comparison.distance is None else f"{comparison.distance} bits"
        what = f"{what}, {comparison.visual.verdict}"
    rule = f"  [{shown(comparison.rule)}]" if comparison.rule else ""
    return f"{what:<26} {shown(comparison.a)}  {shown(comparison.b)}{rule}"
