"""genvx lock: take turns on the GPUs of an environment."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Annotated

import typer

from genvx.cli import options, own
from genvx.cli.attach import Id
from genvx.cli.console import say
from genvx.core.units import parse_duration
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.local.turns import Turn

Timeout = Annotated[
    str | None, typer.Option("--timeout", metavar="TIME", help="Wait so long for the turn at most.")
]


def lock(command: options.Command = None, timeout: Timeout = None, id: Id = None) -> None:
    """Run a command when its turn on the GPUs comes.

    Of all that genvx lock runs on a GPU, in this environment and in others that share it, one runs
    at a time: first come, first served. Exits with the command's code; 124 when it waited too long.

    Example: genvx lock -- python benchmark.py
    """
    if not command:
        raise InvalidInput("no command to run; write it after --, as in: genvx lock -- make bench")
    from genvx.local import supervise
    from genvx.local.hold import find_command
    from genvx.local.host import LocalHost
    from genvx.local.turns import take_turn

    patience = math.inf if timeout is None else parse_duration(timeout)
    find_command(command, os.environ)
    host = LocalHost()
    turn = take_turn(
        host, own.here(host, id), command=" ".join(command), patience=patience, tell=_waits_for
    )
    try:
        code = supervise.run(command, os.environ, lease=turn.descriptor)
    finally:
        turn.leave()
    raise typer.Exit(code)


def _waits_for(turn: Turn) -> None:
    say(f"genvx: waiting for {turn}")
