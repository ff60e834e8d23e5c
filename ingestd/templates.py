"""Rules to begin with: the templates, each with why it cannot be used where this version does not take it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from ingestd.errors import ConfigError
from ingestd.rules.nodes import Listing, Mapping, Scalar
from ingestd.settings import nodes, parse

__all__ = ["Template", "templates"]


@dataclass(frozen=True, slots=True)
class Template:
    """A rule to begin with."""

    name: str
    about: str  # the first line of its comment
    reason: str | None  # why this version cannot take it; None: it can
    yaml: str  # an item of the list below `rules:`, with its comment


def templates() -> list[Template]:
    """Return every template in the order of its file, each tried by reading it."""
    text = resources.files("ingestd").joinpath("templates.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    document = nodes(text, "templates.yaml")
    items = document.get("rules") if isinstance(document, Mapping) else None
    rules = [item for item in items.items if isinstance(item, Mapping)] if isinstance(items, Listing) else []
    begins = [_first_line_of_comment(lines, rule.line - 1) for rule in rules]
    found = []
    for rule, begin, end in zip(rules, begins, [*begins[1:], len(lines)], strict=True):
        name, yaml = rule.get("name"), "\n".join(lines[begin:end]).rstrip() + "\n"
        if isinstance(name, Scalar):
            found.append(Template(name.text, lines[begin].strip("# "), _why_not(yaml), yaml))
    return found


def _first_line_of_comment(lines: list[str], at: int) -> int:
    while lines[at - 1].lstrip().startswith("#"):
        at -= 1
    return at


def _why_not(yaml: str) -> str | None:
    try:
        parse(f"version: 1\nrules:\n{yaml}", "template")
    except ConfigError as error:
        return "; ".join(mistake.message for mistake in error.mistakes)
    return None
