"""genvx tunnel: ports of a run that are ports here."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask.requested import patience_of
from genvx.cli.ask.runs import Node, OneRun, WaitForStart
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Argument, Context, Exit, Option
from genvx.errors import InvalidInput

Ports = Annotated[
    list[str] | None,
    Argument(
        metavar="[PORT[:REMOTEPORT]...]",
        help="Port here, and the port of the host if it has another number (default: the port on "
        "which the run serves).",
        show_default=False,
    ),
]
Back = Annotated[
    list[str] | None,
    Option(
        "-R",
        "--reverse",
        metavar="PORT[:LOCALPORT]",
        help="Have the host listen on PORT of its loopback, and connect that to a port here.",
    ),
]
Strict = Annotated[bool, Option("--strict", help="Refuse a port that is taken here.")]
Bind = Annotated[
    str | None,
    Option("--bind", metavar="ADDRESS", help="Listen there, not on loopback only."),
]
Board = Annotated[
    bool,
    Option("--tensorboard", help="Start TensorBoard inside of the run, and print its address."),
]
Logs = Annotated[
    str | None,
    Option(
        "--logdir",
        metavar="DIR",
        help="Directory that TensorBoard reads, below that of the run (default: all of it).",
    ),
]


def tunnel(
    context: Context,
    run: OneRun = "",
    ports: Ports = None,
    reverse: Back = None,
    strict: Strict = False,
    bind: Bind = None,
    node: Node = None,
    wait: WaitForStart = None,
    tensorboard: Board = False,
    logdir: Logs = None,
) -> None:
    """Open tunnels from this machine to ports of a run.

    The tunnel ends with the run, or at Ctrl-C. If a port is taken here, the next free one is used.
    A connection that is cut is made again.

    For scripts: where stdout is no terminal, it gets a line for each port, such as
    "127.0.0.1:8080 -> 6006". With -R it is "5678 -> 127.0.0.1:5678"; the address is always the end
    on this machine.

    Example: genvx remote tunnel train 8080:6006 -R 5678
    """
    from genvx.cli.runs.tunneling import NO_PORT, Wanted, connect
    from genvx.fleet.tunnels.forward import parse_forward, require_address, require_forwards

    where = here(context)
    patience = patience_of(wait)
    forwards = [parse_forward(each) for each in ports or ()]
    forwards += [parse_forward(each, reverse=True) for each in reverse or ()]
    require_forwards(forwards)
    if logdir is not None and not tensorboard:
        raise InvalidInput("--logdir goes with --tensorboard")
    if bind is not None:
        bind = require_address(bind)
    if not where.remote:
        port = forwards[0].remote if forwards else "N"
        raise InvalidInput(
            f"a run on this machine needs no tunnel: its port {port} is port {port} of localhost; "
            "genvx remote tunnel leads to runs on other hosts"
        )
    if not forwards and not tensorboard and not run:
        raise InvalidInput(NO_PORT)
    logs = (logdir or ".") if tensorboard else None
    wanted = Wanted(tuple(forwards), strict, bind, node, patience, logs)
    raise Exit(connect(where, run, wanted))
