"""The command line as a whole: genvx, and how one command line is run."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from genvx._version import __version__
from genvx.cli.parse.groups import group
from genvx.cli.parse.loading import AllVerbs, all_verbs
from genvx.cli.parse.remoteoption import Remote, on_remote
from genvx.cli.parse.scan import spell_out_wait
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.shown.console import say

# Depending on its version, typer depends on click or contains a copy; this is the class of either.
_UsageError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "UsageError")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"genvx {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "-V", "--version", is_eager=True, callback=_print_version, help="Show the version."
    ),
]


def _genvx(show_version: Version = False, named: Remote = None) -> None:
    """One pool of GPUs out of machines that are shared over SSH."""


def root() -> AllVerbs:
    """Return the click command of genvx."""
    made = group("One pool of GPUs out of machines that are shared over SSH.", AllVerbs)
    made.callback()(_genvx)
    return all_verbs(made, remotely=False)


def invoke(arguments: list[str]) -> int:
    """Run the command line; return its exit code. A usage error is printed as one line."""
    command = root()
    if "_GENVX_COMPLETE" in os.environ:
        # A shell asks for completions; typer registers the shells only in completion_init.
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
        command.main(args=arguments, prog_name="genvx", standalone_mode=False)
    # `genvx` alone shows the help and exits with 0: click would call that a usage error.
    words = spell_out_wait(command, on_remote(command, arguments)) or ["--help"]
    try:
        # Not click's `main`: it handles closed streams itself, and differently from shown/door.py.
        with command.make_context("genvx", words) as context:
            result = command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except _UsageError as error:
        from genvx.cli.words.answers import meaning, plainly

        context = error.ctx
        path = context.command_path if context is not None else "genvx"
        reason = plainly(printable(error.format_message(), 500).rstrip(".?"))
        say(f"{path}: {meaning(error, command, words) or f'{reason}; see {path} --help'}")
        return InvalidInput.exit_code
    # Verbs end with typer.Exit or return nothing; click hands on what a callback returns.
    return result if isinstance(result, int) else 0
