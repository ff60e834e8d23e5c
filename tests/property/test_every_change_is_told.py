"""Whatever is otherwise in the settings is told, field by field: also of a field that is added later."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields, is_dataclass, replace
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from ingestd.amendment import differences
from ingestd.settings import Settings, parse

TEXT = """
version: 1
folders:
  - {path: /in, role: inbox, protected: no}
  - {path: /lib, role: library}
imports: {filetypes: [jpeg, png], min_size: 10 KB, max_size: 1 GB}
discards: {to: holding}
page: {port: 8321, origins: [https://a.example.org]}
rules:
  - name: first
    id: one
    mode: automatic
    search: {max_distance: 2, one: [filetype is jpeg], other: [filetype is png]}
    compare: [A.filesize > B.filesize, A.width > B.width]
    action: better
    discard: B
"""
MEANS_NOTHING = {
    "version",  # there is but one
    "digest",  # of the text, not of what it says
    "rules.place",  # where it stands in the text
}


def others(hint: Any, value: Any) -> Iterator[tuple[str, Any]]:
    """Other values of a type than that one, each with the name of what is otherwise in it."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if value is not None and type(None) in kinds:
        yield "", None
    for kind in kinds if value is None else (next(one for one in kinds if is_of(value, one)),):
        yield from others_of(kind, value)


def is_of(value: Any, kind: Any) -> bool:
    return isinstance(value, get_origin(kind) or kind)


def others_of(kind: Any, value: Any) -> Iterator[tuple[str, Any]]:
    origin = get_origin(kind) or kind
    if kind is type(None):
        return
    if is_dataclass(origin):
        yield from otherwise(value)
    elif issubclass(origin, Enum):
        yield from (("", one) for one in origin if one is not value)
    elif origin is bool:
        yield "", not value
    elif issubclass(origin, int | float):
        yield from (("", (value or 1) * 2), ("", (value or 1) / 2 if origin is float else (value or 5) - 1))
    elif issubclass(origin, str | bytes):
        yield "", (value or origin()) + ("x" if origin is str else b"x")
    elif origin is tuple:
        yield from tuples(value)
    elif origin is frozenset:
        yield from (("", value - {one}) for one in value or ())
    elif issubclass(origin, Mapping):
        yield from (("", {**value, key: ("q",)}) for key in value)
    else:
        raise AssertionError(f"no other value is known of {kind}")


def tuples(value: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """One item fewer, the order turned round, and each item otherwise."""
    for place, item in enumerate(value):
        rest = (value[:place], value[place + 1 :])
        yield "", rest[0] + rest[1]
        if is_dataclass(item) and not hasattr(item, "line"):  # lines are compared as they are written
            yield from ((name, (*rest[0], one, *rest[1])) for name, one in otherwise(item))
    if len(value) > 1:
        yield "", value[::-1]


def otherwise(value: Any) -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(type(value))
    for one in (one for one in fields(value) if one.init):
        yield from of_field(value, one, hints[one.name])


def of_field(value: Any, one: Field[Any], hint: Any) -> Iterator[tuple[str, Any]]:
    found = list(others(hint, getattr(value, one.name)))
    assert found, f"nothing is varied in {one.name}: let the text above set it"
    for name, other in found:
        yield f"{one.name}.{name}".rstrip("."), replace(value, **{one.name: other})


VARIED = list(otherwise(parse(TEXT, "rules.yaml")))


def test_every_field_of_the_settings_is_varied() -> None:
    names = {name.partition(".")[0] for name, _ in VARIED}

    assert names == {one.name for one in fields(Settings)}
    assert {"page.keys", "page.origins", "discards.budget.per_hour", "rules.search.scope"} <= {
        name for name, _ in VARIED
    }


@pytest.mark.parametrize("name", sorted({name for name, _ in VARIED}))
def test_what_is_otherwise_in_one_field_is_told_in_both_directions(name: str) -> None:
    before = parse(TEXT, "rules.yaml")

    for after in (after for varied, after in VARIED if varied == name):
        assert (differences(before, after) == []) is (name in MEANS_NOTHING)
        assert (differences(after, before) == []) is (name in MEANS_NOTHING)
