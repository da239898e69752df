"""genvx run: a command that holds GPUs."""

from __future__ import annotations

import typer

from genvx.cli import options
from genvx.cli.activate import locally, run_remotely
from genvx.cli.request import Request
from genvx.cli.where import here
from genvx.errors import InvalidInput


def run(
    context: typer.Context,
    request: Request,
    command: options.Command = None,
) -> None:
    """Run a command that holds GPUs.

    They are its own until it ends; genvx exits with its code.

    Example: genvx run --gpus 1 -- python train.py
    """
    where = here(context)
    if not command:
        raise InvalidInput(
            "no command to run; write it after --, as in: genvx run -g 1 -- python x.py"
        )
    if where.remote:
        raise typer.Exit(run_remotely(where, request, command))
    raise typer.Exit(locally(where, request, command, prompt=""))
