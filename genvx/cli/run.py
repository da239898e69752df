"""genvx run: a command that holds GPUs."""

from __future__ import annotations

import typer

from genvx.cli import options
from genvx.cli.activate import locally, run_remotely
from genvx.cli.where import here
from genvx.core.request import Requirements
from genvx.core.text import require_name
from genvx.errors import InvalidInput


def run(
    context: typer.Context,
    command: options.Command = None,
    gpus: options.Gpus = None,
    gpu_memory: options.GpuMemory = None,
    name: options.Name = "",
) -> None:
    """Run a command that holds GPUs.

    They are its own until it ends; genvx exits with its code.

    Example: genvx run --gpus 1 -- python train.py
    """
    where = here(context)
    requirements = Requirements.parse(gpus, gpu_memory)
    require_name(name)
    if not command:
        raise InvalidInput(
            "no command to run; write it after --, as in: genvx run -g 1 -- python x.py"
        )
    if where.remote:
        raise typer.Exit(run_remotely(where, requirements, name, command))
    raise typer.Exit(locally(requirements, name, command, prompt=""))
