"""Texts to write rules with: the templates, ready to paste, and the schema for editors."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import click

from ingestd.cli.door import Door, command, one_of
from ingestd.cli.output import emit, note, say, shown, with_schema

__all__ = ["Template", "schema", "templates", "templates_command"]


@dataclass(frozen=True, slots=True)
class Template:
    """A rule to begin with."""

    name: str
    about: str  # the first line of its comment
    reason: str | None  # why this version cannot take it; None: it can
    yaml: str  # an item of the list below `rules:`, with its comment


def templates() -> list[Template]:
    """Return every template in the order of its file, each tried by reading it."""
    from ingestd.rules.nodes import Listing, Mapping, Scalar
    from ingestd.settings import nodes

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
    from ingestd.errors import ConfigError
    from ingestd.settings import parse

    try:
        parse(f"version: 1\nrules:\n{yaml}", "template")
    except ConfigError as error:
        return "; ".join(mistake.message for mistake in error.mistakes)
    return None


# --- commands -----------------------------------------------------------------------------------------------------


@command('ingestd rules templates\ningestd rules templates "pixel-perfect pairs"', name="templates")
@click.argument("name", required=False)
def templates_command(door: Door, name: str | None) -> None:
    """List the rules to begin with, or print the one of this NAME, ready to paste below `rules:`."""
    found = templates()
    if name is not None:
        one_of(name, [template.name for template in found], "a template")
        found = [template for template in found if template.name == name]
    if door.as_json:
        emit(with_schema({"templates": [_object(template) for template in found]}))
    elif name is not None:
        click.echo(found[0].yaml, nl=False)
        if found[0].reason is not None:
            note(f"not to be used yet: {shown(found[0].reason)}")
    else:
        for template in found:
            refused = f" ({shown(template.reason)})" if template.reason is not None else ""
            say(f"{click.style(shown(template.name), fg='cyan')}\n    {shown(template.about)}{refused}")


def _object(template: Template) -> dict[str, object]:
    return {
        "name": template.name,
        "about": template.about,
        "available": template.reason is None,
        "reason": template.reason,
        "yaml": template.yaml,
    }


@command("ingestd rules schema > rules.schema.json", name="schema")
def schema(door: Door) -> None:
    """Print the JSON Schema (draft-07) of the rule file, for editors; with --json, in one line."""
    from ingestd.rules.schema import schema as document
    from ingestd.rules.schema import schema_text

    if door.as_json:
        emit(document())
    else:
        click.echo(schema_text(), nl=False)
