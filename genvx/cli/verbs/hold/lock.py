"""genvx lock: take turns on the GPUs of an environment."""

from __future__ import annotations

import math
from typing import Annotated

from genvx.cli.ask import options, own
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import FOR_EVER, Context, Exit, Option
from genvx.core.quantities.durations import parse_duration
from genvx.core.quantities.naming import naming
from genvx.errors import InvalidInput
from genvx.shown.console import say

Wait = Annotated[
    str | None,
    Option(
        "--wait", metavar="[=TIME]", help="Wait for the turn at most for TIME (default: no limit)."
    ),
]
# What it was called before. The parameter must not be called `timeout`: the group's option has that
# name, and can still be given after this verb, as -t.
Within = Annotated[str | None, Option("--timeout", metavar="TIME", hidden=True)]


def lock(
    context: Context,
    command: options.Command = None,
    wait: Wait = None,
    within: Within = None,
    id: options.OwnEnvironment = None,
) -> None:
    """Run a command when its turn on the GPUs comes.

    Of all commands that genvx lock runs on a GPU, in this environment and in others that share it,
    one runs at a time: first come, first served. The exit code is the command's, or 124 after
    waiting too long.

    Example: genvx lock --id my-env -- python benchmark.py
    """
    if not command:
        raise InvalidInput("no command to run; write it after --, as in: genvx lock -- make bench")
    if wait is not None and within is not None:
        raise InvalidInput("give either --wait or --timeout; they say the same")
    time = wait if within is None else within
    with naming("--wait" if within is None else "--timeout"):
        patience = math.inf if time in (None, FOR_EVER) else parse_duration(time or "")
    where = here(context)
    if where.remote:
        with where.remote_fleet() as fleet:
            there, env = own.on_one_host(where, fleet, id)
            started = there.start_in_turn(env.id, command, patience=patience, tell=_waits_for)
            from genvx.fleet.running import stream

            raise Exit(stream(there, started))
    from genvx.local.host import LocalHost

    host = LocalHost()
    code = host.run_in_turn(own.here(host, id), command, patience=patience, tell=_waits_for)
    raise Exit(code)


def _waits_for(turn: object) -> None:
    say(f"genvx: waiting for {turn}")
