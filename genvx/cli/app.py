"""The command line as a whole: how one that `plain.py` does not read is run, by typer."""

from __future__ import annotations

import os
from typing import Any

import typer

from genvx.cli.parse.building import built
from genvx.cli.parse.declaring import Exit
from genvx.cli.parse.loading import root as declared
from genvx.cli.parse.scan import on_remote, spell_out_wait
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.shown.console import say

# Depending on its version, typer depends on click or contains a copy; this is the class of either.
_UsageError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "UsageError")


def root() -> Any:
    """Return the click command of genvx."""
    return built(declared())


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
    except (typer.Exit, Exit) as end:
        return end.exit_code
    except _UsageError as error:
        from genvx.cli.words.answers import meaning, plainly

        context = error.ctx
        path = context.command_path if context is not None else "genvx"
        reason = plainly(printable(error.format_message(), 500).rstrip(".?"))
        say(f"{path}: {meaning(error, command, words) or f'{reason}; see {path} --help'}")
        return InvalidInput.exit_code
    # Verbs end with Exit or return nothing; click hands on what a callback returns.
    return result if isinstance(result, int) else 0
