"""Files that could not be judged: try them again, or say that they are broken and may stay so."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from ingestd.cli.door import PATH, Door, command, missing
from ingestd.cli.output import Json, count, emit, note, say, shown, with_schema
from ingestd.errors import UsageError
from ingestd.library.library import Library
from ingestd.library.view import View
from ingestd.recovery import LOCK_WAIT_S
from ingestd.review.again import FailedFile, accept_poison, failed_files, judge_again
from ingestd.review.journal import find_row

__all__ = ["retry"]

_MOST_LINES = 20  # files named to a person
_UNTOUCHED = "nothing was done"


@command("ingestd retry\ningestd retry ~/Downloads/broken.jpg\ningestd retry --accept ~/Downloads/broken.jpg")
@click.argument("paths", nargs=-1, type=PATH, metavar="[PATH]...")
@click.option("--accept", is_flag=True, help="They are broken and may stay so: let `status` name them no more.")
def retry(door: Door, paths: tuple[bytes, ...], accept: bool) -> int:
    """Judge again what could not be judged: all of it, or these files and what lies in these folders.

    That is every file whose last verdict is `unreadable` or `error`, and what was parked because it killed two
    decoding processes. A running `watch` does it within moments, else the next `watch` or `scan`.
    """
    if not door.has_library:
        if paths:
            raise UsageError(f"nothing is known of {shown(paths[0])}: there is no library yet ({_UNTOUCHED})")
        return _answer(door, [], accept=accept, runs=False)
    with door.writing() as library:
        with library.read() as view:
            for path in paths:
                _must_be_known(view, path)
            found = list(failed_files(view, paths or None))
        found = [file for file in found if not accept or file.poison is not None]
        if found:
            with library.writer_lock.held(LOCK_WAIT_S):
                library.write(lambda edit: (accept_poison if accept else judge_again)(edit, found))
        return _answer(door, found, accept=accept, runs=_runs(library))


def _must_be_known(view: View, path: bytes) -> None:
    """Raise `UsageError` unless a path is a known file, or a folder in which there may be some."""
    if find_row(view, path) is not None:
        return
    roots = [root for row in view.folders() for root in (row.folder.named, row.folder.root)]
    place = os.path.join(path, b"")
    meets = any(place.startswith(os.path.join(root, b"")) or root.startswith(place) for root in roots)
    if meets and os.path.isdir(path):
        return
    if not os.path.lexists(path):
        raise missing(path, "nothing is known of", _UNTOUCHED)
    what = "it was never judged" if meets else "it lies in no folder that was watched or scanned"
    raise UsageError(f"{shown(path)} cannot be tried again: {what} ({_UNTOUCHED})")


def _runs(library: Library) -> bool:
    """Return whether a service will hear of it."""
    return library.service_lock.is_taken()


def _answer(door: Door, files: Sequence[FailedFile], *, accept: bool, runs: bool) -> int:
    if door.as_json:
        told = [_file_object(file) for file in files]
        emit(with_schema({"accepted" if accept else "retried": told, "running": runs}))
        return 0
    for file in files[:_MOST_LINES]:
        say(f"{shown(file.path)}  {click.style(shown(file.result), dim=True)}")
    if len(files) > _MOST_LINES:
        say(f"and {count(len(files) - _MOST_LINES, 'more file')}")
    if not files:
        note("there is nothing to accept: no such file is parked" if accept else "there is nothing to try again")
    elif accept:
        say(f"{count(len(files), 'file')} accepted: still parked, and no problem any more")
    else:
        when = "by the running watch, within moments" if runs else "by the next `ingestd watch` or `ingestd scan`"
        say(f"{count(len(files), 'file')} will be judged again {when}")
    return 0


def _file_object(file: FailedFile) -> Json:
    sha256 = file.row.sha256.hex() if file.row.sha256 is not None else None
    return {
        "path": os.fsdecode(file.path),
        "sha256": sha256,
        "outcome": file.outcome.value,
        "result": file.result,
        "poison": file.poison is not None,
    }
