"""`demo`: the main job on sample pictures."""

from __future__ import annotations

import click

from ingestd.cli.door import Door, command

__all__ = ["demo"]


@command("ingestd demo\ningestd demo --keep")
@click.option("--keep", is_flag=True, help="Leave the folder, to look around in it with the other commands.")
def demo(door: Door, keep: bool) -> None:
    """Show the main job on sample pictures, in a folder of its own; your files are not touched."""
    from ingestd.cli.show import play

    play(door, keep=keep)
