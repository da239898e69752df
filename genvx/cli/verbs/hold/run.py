"""genvx run: run a command that holds GPUs."""

from __future__ import annotations

from typing import Annotated

import typer

from genvx.cli.ask import options
from genvx.cli.ask.request import Request
from genvx.cli.ask.where import here
from genvx.cli.gang import run_gang
from genvx.cli.verbs.hold.activate import locally, run_remotely
from genvx.errors import InvalidInput
from genvx.fleet import stdin

Nodes = Annotated[
    int,
    typer.Option(
        "-N",
        "--nodes",
        metavar="N",
        min=1,
        max=4096,
        show_default=False,
        help="Remote: number of hosts to run on at once, as one job.",
    ),
]
MasterAddr = Annotated[
    str | None,
    typer.Option(
        "--master-addr",
        metavar="ADDRESS",
        help="Address of node 0 for the other hosts (default: the one that genvx uses).",
    ),
]
Mixed = Annotated[
    bool, typer.Option("--mixed", help="With --nodes: allow different models of GPU.")
]
NoStdin = Annotated[
    bool, typer.Option("--no-stdin", help="Give the command an empty input, as ssh -n does.")
]


def run(
    context: typer.Context,
    request: Request,
    command: options.Command = None,
    nodes: Nodes = 1,
    mixed: Mixed = False,
    master_addr: MasterAddr = None,
    no_stdin: NoStdin = False,
) -> None:
    """Run a command that holds GPUs.

    It holds them until it ends; genvx exits with its code. With --nodes it runs on several hosts,
    all or none, with one model of GPU. There it has MASTER_ADDR, MASTER_PORT, NODE_RANK, NNODES,
    NPROC_PER_NODE, WORLD_SIZE and GENVX_NODES, and the first failure ends all.

    A remote command in the background (&) reads nothing that is typed, and is not stopped for it.

    Example: genvx run --gpus 1 -- python train.py
    """
    where = here(context)
    if not command:
        raise InvalidInput(
            "no command to run; write it after --, as in: genvx run -g 1 -- python x.py"
        )
    if not request.counted and request.environment is None:
        where.note("without --gpus the command holds no GPU, and sees none")
    # Before anything reads: the local command inherits our stdin, and `stream` reads it.
    if no_stdin:
        stdin.close()
    if nodes > 1:
        if not where.remote:
            raise InvalidInput("--nodes is for the hosts of genvx remote")
        raise typer.Exit(run_gang(where, request, nodes, command, master_addr, mixed=mixed))
    if where.remote:
        raise typer.Exit(run_remotely(where, request, command))
    raise typer.Exit(locally(where, request, command, prompted=False))
