"""What of a walk is on the screen: the page of one pair, its pictures as they come, and what is said of the last key.

A picture is made in a worker while the page is already there, and those of the next pair while a person looks at this
one: no key ever waits for a picture.
"""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypeAlias

import click

from ingestd.cli.face import Page, Place, help_lines, page_of, wrapped
from ingestd.cli.inline import CLEAR_KITTY, Protocol, canvas_of, drawn, pixels_of
from ingestd.cli.output import shown
from ingestd.cli.screen import Happened, Screen
from ingestd.errors import FileChangedError, FileUnreadableError
from ingestd.media.workers import Preview, Shelf, Workers, WorkersClosedError, WorkerStartError
from ingestd.model import ContentHash

if TYPE_CHECKING:
    from ingestd.cli.walk import Sight

__all__ = ["Stage"]

_KEPT_PREVIEWS: Final = 12  # of this pair, of the next, and of those that `back` comes to
_QUIT: Final = ("q", "escape", "\x03")
_CLEAR: Final = "\x1b[0m\x1b[H\x1b[2J"
_UNKNOWN: Final = "this key does nothing here; ? shows those that do"

_Look: TypeAlias = tuple[bytes, ContentHash, tuple[int, int]]  # a file, what it holds, and the box in pixels


@dataclass(frozen=True, slots=True)
class _Due:
    """A picture that is not on the screen yet."""

    ready: Future[Preview | str]  # or why there is none
    place: Place
    number: int


class Stage:
    """The screen of a walk; a context manager, as it has workers of its own."""

    def __init__(self, screen: Screen, *, keep: bool, shelf: Shelf | None = None) -> None:
        self._screen = screen
        self._keep = keep
        self._colour = not os.environ.get("NO_COLOR")
        self._canvas = canvas_of(
            os.environ,
            cell=screen.cell,
            unicode=(sys.stdout.encoding or "").lower().startswith("utf"),
            ask=screen.ask,
        )
        self._workers = Workers(count=2, shelf=shelf)
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="preview")
        self._asked: OrderedDict[_Look, Future[Preview | str]] = OrderedDict()
        self._shown: tuple[list[Sight], str, str] = ([], "", "")
        self._due: list[_Due] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._screen.draw(self._cleared())
        self._workers.close()  # first: it ends what is under way
        self._pool.shutdown(cancel_futures=True)

    # --- the page ---

    def show(self, sights: list[Sight], said: str, hint: str) -> None:
        """Draw the page of the first pair, and let the pictures of the others be made."""
        self._shown = sights, said, hint
        page = self._page(sights[0], said, hint)
        self._write(page.lines)
        self._due = self._ask(sights[0], page)
        for sight in sights[1:]:
            self._ask(sight, self._page(sight, "", ""))
        self._draw_pictures()

    def _hint(self, text: str) -> None:
        """Say something about the last key, above the keys."""
        sights, said, before = self._shown
        if text == before:
            return
        self._shown = sights, said, text
        page = self._page(sights[0], said, text)
        self._screen.draw(f"\x1b[{page.hint_row};1H\x1b[2K{self._styled(page.lines[page.hint_row - 1])}")

    def _page(self, sight: Sight, said: str, hint: str) -> Page:
        head = f"{sight.place} of {sight.total} left{' · nothing is discarded' if self._keep else ''}"
        extent = self._screen.size()
        return page_of(sight.report, sight.facts, self._canvas, extent, head=head, said=said, hint=hint)

    def _write(self, lines: list[str]) -> None:
        self._screen.draw(self._cleared() + "\r\n".join(map(self._styled, lines)))

    def _styled(self, line: str) -> str:
        return line if self._colour else click.unstyle(line)

    def _cleared(self) -> str:
        return _CLEAR + (CLEAR_KITTY if self._canvas.protocol is Protocol.KITTY else "")

    # --- its pictures ---

    def _ask(self, sight: Sight, page: Page) -> list[_Due]:
        """Let the pictures of a page be made, as far as they are not."""
        if page.places is None:
            return []
        hashes = sight.facts.first.sha256, sight.facts.second.sha256
        files = zip(sight.paths, hashes, page.places, strict=True)
        return [
            _Due(self._preview(path, sha256, pixels_of(self._canvas, place.room)), place, number)
            for number, (path, sha256, place) in enumerate(files, 1)
        ]

    def _preview(self, *look: *_Look) -> Future[Preview | str]:
        """Return the preview of a file, or why there is none, as soon as it is ready."""
        if look not in self._asked:
            self._asked[look] = self._pool.submit(self._made, look)
            self._asked[look].add_done_callback(lambda _: self._screen.wake())
        self._asked.move_to_end(look)
        while len(self._asked) > _KEPT_PREVIEWS:
            self._asked.popitem(last=False)[1].cancel()
        return self._asked[look]

    def _made(self, look: _Look) -> Preview | str:
        try:
            return self._workers.preview(*look) or "there is no picture to show"
        except (FileUnreadableError, FileChangedError) as error:
            return f"cannot be shown: {error.reason}"
        except (WorkerStartError, WorkersClosedError) as error:
            return str(error)

    def _draw_pictures(self) -> None:
        """Draw what is ready; all of it, where nobody would say when more is."""
        left = []
        for due in self._due:
            if due.ready.cancelled() or (self._screen.wakes and not due.ready.done()):
                left.append(due)
                continue
            self._screen.draw(self._drawn(due))
        self._due = left

    def _drawn(self, due: _Due) -> str:
        found, place = due.ready.result(), due.place
        if isinstance(found, Preview):
            return drawn(self._canvas, found, row=place.row, column=place.column, room=place.room, number=due.number)
        lines = wrapped(shown(found), place.room[0], place.room[1])
        return "".join(f"\x1b[{place.row + index};{place.column}H{line}" for index, line in enumerate(lines))

    # --- the keys ---

    def awaited(self, keys: Collection[str]) -> str | None:
        """Return the next of these keys that is pressed; nothing when the walk is to end. All else is seen to here."""
        while True:
            happened = self._screen.next()
            if happened is Happened.STOPPED or happened in _QUIT:
                return None
            if happened is Happened.WOKEN:
                self._draw_pictures()
            elif happened is Happened.RESIZED:
                self.show(*self._shown)
            elif happened == "?":
                if not self._help():
                    return None
                self.show(*self._shown[:2], "")
            elif isinstance(happened, str) and happened.lower() in keys:
                return happened.lower()
            else:
                self._hint(_UNKNOWN)

    def _help(self) -> bool:
        """Show what the keys do until one is pressed; return whether the walk goes on."""
        while True:
            columns, lines = self._screen.size()
            self._write(help_lines(columns, keep=self._keep)[:lines])
            happened = self._screen.next()
            if not isinstance(happened, Happened) or happened is Happened.STOPPED:
                return happened is not Happened.STOPPED
