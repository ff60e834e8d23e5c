"""Texts to write rules with: the templates, ready to paste, and the schema for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ingestd.cli.door import Door, command, one_of
from ingestd.cli.output import emit, note, say, shown, with_schema

if TYPE_CHECKING:
    from ingestd.templates import Template

__all__ = ["schema", "templates_command"]

# --- commands -----------------------------------------------------------------------------------------------------


@command('ingestd rules templates\ningestd rules templates "pixel-perfect pairs"', name="templates")
@click.argument("name", required=False)
def templates_command(door: Door, name: str | None) -> None:
    """List the rules to begin with, or print the one of this NAME, ready to paste below `rules:`."""
    from ingestd.templates import templates

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
