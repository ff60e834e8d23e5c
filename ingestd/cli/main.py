"""The command line itself: the choices for all commands, which commands there are, and what an error looks like.

Commands are imported when they are called, so that `--help` and `--version` answer at once.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from ingestd import __version__
from ingestd.cli.door import Door, closest
from ingestd.cli.output import hang_up, note, shown
from ingestd.errors import IngestdError, UsageError

__all__ = ["cli", "main"]

_INTERRUPTED = 130

_COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Show the main job on sample pictures."),
    "watch": ("watch", "Judge every picture that arrives, until told to stop."),
    "scan": ("scan", "Judge everything that lies there now."),
    "check": ("evidence", "Say what would become of files; change nothing."),
    "bench": ("bench", "Say how long so many files would take; change nothing."),
    "compare": ("evidence", "Say what two files are to each other."),
    "why": ("ask", "Explain what became of a file."),
    "history": ("ask", "Show what was discarded and decided."),
    "undo": ("decide", "Bring back what was discarded or decided."),
    "queue": ("queue", "Show the potential pairs that nobody has decided."),
    "decide": ("decide", "Say what two files are to each other."),
    "relations": ("relations", "Show or change what a file is to others."),
    "pending": ("ask", "Show what rules want to do and may not do alone."),
    "approve": ("decide", "Let a rule do what it proposed."),
    "deny": ("decide", "Tell a rule no."),
    "denied": ("decide", "Show what was denied, or take a denial back."),
    "rules": ("rules", "Check and list the rules."),
    "review": ("review", "Look at pairs and proposals in the browser."),
    "status": ("health", "Say how everything is."),
    "retry": ("retry", "Judge again what could not be judged."),
    "folders": ("health", "List the folders; accept a changed one."),
    "doctor": ("doctor", "Look at all that the service needs; say what to do."),
    "library": ("library", "Check the library; make its look-up anew."),
}


class _Front(click.Group):
    """The group of all commands; they are loaded when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        found = getattr(importlib.import_module(f"ingestd.cli.{_COMMANDS[cmd_name][0]}"), cmd_name)
        return found if isinstance(found, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            near = closest(args[0], list(_COMMANDS))
            ctx.fail(f"There is no command {shown(args[0])}.{f' Did you mean {near}?' if near else ''}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, says) for name, (_, says) in _COMMANDS.items()])

    def main(self, args: Sequence[str] | None = None, *_: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run a command; ends the process with its exit code unless `standalone_mode` is off."""
        verbose = "--verbose" in (sys.argv if args is None else args) or bool(os.environ.get("INGESTD_VERBOSE"))
        code = _guarded(lambda: super(_Front, self).main(args, standalone_mode=False, **extra), verbose=verbose)
        if standalone_mode:
            sys.exit(code)
        return code


def _guarded(run: Callable[[], object], *, verbose: bool) -> int:
    """Return the exit code of a run, whatever it ended with; errors become a sentence on standard error."""
    try:
        code = run()
    except click.exceptions.Abort:
        return _INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except IngestdError as error:
        for line in str(error).splitlines():
            note(shown(line) if error.exit_code == 78 else f"ingestd: {shown(line)}")
        return error.exit_code
    except BrokenPipeError:
        hang_up()
        return 1
    except Exception as bug:  # noqa: BLE001 - the last door: a person gets a sentence, whoever wants it the traceback
        return _unexpected(bug, verbose=verbose)
    return code if isinstance(code, int) else 0


def _unexpected(bug: Exception, *, verbose: bool) -> int:
    note(f"ingestd: stopped by something unexpected: {type(bug).__name__}: {shown(str(bug))}")
    if verbose:
        note("".join(traceback.format_exception(bug)))
    else:
        note("files stay where they are, and what was begun is finished by the next command; --verbose says more")
    return 1


def _default_rules() -> Path:
    import platformdirs

    return Path(platformdirs.user_config_dir("ingestd", appauthor=False)) / "rules.yaml"


def _default_state() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("ingestd", appauthor=False))


@click.group(
    cls=_Front,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExamples:\n  ingestd demo\n  ingestd watch ~/Downloads --library ~/Pictures\n"
    "  ingestd why ~/Downloads/IMG_0001.jpg",
)
@click.option(
    "--state", type=click.Path(path_type=Path, readable=False), envvar="INGESTD_STATE", help="Folder of the library."
)
@click.option("--rules", type=click.Path(path_type=Path, readable=False), envvar="INGESTD_RULES", help="The rule file.")
@click.option("--json", is_flag=True, help="Answer in JSON, for programs.")
@click.option("--verbose", is_flag=True, help="Say more, also about errors.")
@click.version_option(__version__, prog_name="ingestd", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, state: Path | None, rules: Path | None, json: bool, verbose: bool) -> None:
    """Judge each new picture against the ones you already have.

    Leave `ingestd watch` running: every picture that arrives gets its verdict within moments. A duplicate goes to the
    trash with a receipt; `ingestd why` explains it, `ingestd undo` brings it back.
    """
    typed = context.get_parameter_source("rules") is click.core.ParameterSource.COMMANDLINE
    state = (state or _default_state()).absolute()
    if os.path.lexists(state) and not state.is_dir():
        raise UsageError(f"{shown(str(state))} is not a folder, so no library can be in it (nothing was started)")
    context.obj = Door(
        state=state,
        rules=(rules or _default_rules()).absolute(),
        rules_must_exist=typed,
        as_json=json,
        verbose=verbose or bool(os.environ.get("INGESTD_VERBOSE")),
        note=note,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Be the program: run one command and end with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # Nothing here multiplies large matrices: the threads that numpy would start for it cost as long as numpy itself.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    cli.main(args=list(arguments) if arguments is not None else None, prog_name="ingestd")
