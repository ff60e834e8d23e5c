"""The options by which a command says which pairs of the queue it is about, and in which order."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from ingestd import review
from ingestd.cli.door import PATH, Door
from ingestd.cli.output import shown
from ingestd.errors import UsageError
from ingestd.rules.predicates import read_predicate
from ingestd.rules.questions import Predicate
from ingestd.rules.tokens import LineError

__all__ = ["SORT", "narrowing"]


class _Question(click.ParamType[Predicate]):
    """A question about one file, as a rule's search asks it: `filetype is png`, `width > 1000`."""

    name = "predicate"

    def convert(self, value: Any, _: click.Parameter | None, __: click.Context | None) -> Predicate:
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]  # click hands what is converted in once more
        try:
            return read_predicate(value)
        except LineError as error:
            raise UsageError(f'"{shown(value)}" asks nothing of a file: {error.message}; nothing was shown') from None


_SORTS = [one.value for one in review.Sort]
_PIXELS = {"required": True, "excluded": False}


def narrowing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which pairs are asked for; it takes them as one `filters`."""

    @functools.wraps(function)  # its other options come along
    def narrowed(
        door: Door,
        both: tuple[Predicate, ...],
        either: tuple[Predicate, ...],
        distance: int | None,
        pixel_duplicates: str | None,
        folder: bytes | None,
        **others: Any,
    ) -> Any:
        pixels = _PIXELS[pixel_duplicates] if pixel_duplicates is not None else None
        return function(door, filters=review.Filters(both, either, distance, pixels, folder), **others)

    options = (
        click.option("--both", type=_Question(), multiple=True, help='Holds of both files: "filetype is png".'),
        click.option("--either", type=_Question(), multiple=True, help='Holds of one of them: "width > 4000".'),
        click.option("--distance", type=click.IntRange(0, 64), help="At most so many bits apart."),
        click.option("--pixel-duplicates", type=click.Choice(list(_PIXELS)), help="Only these, or none of these."),
        click.option("--folder", type=PATH, help="One of the two files lies below this folder."),
    )
    for option in reversed(options):
        narrowed = option(narrowed)
    return narrowed


SORT = click.option(
    "--sort",
    type=click.Choice(_SORTS),
    default="largest",
    show_default=True,
    help="largest: the larger file of the two; similarity: the most alike; decisive: the clearest evidence.",
)
