"""genvx run: run a command that holds GPUs."""

from __future__ import annotations

from typing import Annotated

import typer

from genvx.cli.ask import options
from genvx.cli.ask.request import Request
from genvx.cli.ask.where import here
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
Detached = Annotated[
    bool,
    typer.Option("-d", "--detach", help="Let it go on without us; print the id of the run."),
]
Watched = Annotated[
    bool,
    typer.Option("-w", "--watch", help="With --detach: show its output; Ctrl-C leaves it running."),
]
Chdir = Annotated[
    str | None,
    typer.Option("-C", "--chdir", metavar="DIR", help="With --detach: start it in this directory."),
]
Keep = Annotated[
    str | None,
    typer.Option(
        "--hold",
        metavar="TIME[:on-failure]",
        help="With --detach: keep the GPUs so long after its end.",
    ),
]
Retries = Annotated[
    int | None,
    typer.Option(
        "--retries",
        metavar="N",
        min=0,
        max=1000,
        help="With --detach: start it again after a failure, so often at most.",
    ),
]
Env = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="NAME=VALUE", help="With --detach: a variable for the command."),
]
RunTag = Annotated[
    list[str] | None,
    typer.Option("--run-tag", metavar="TAG", help="With --detach: a tag of the run."),
]
Notify = Annotated[
    str | None,
    typer.Option(
        "--notify", metavar="LINE", help="With --detach: run this line of sh there at the end."
    ),
]
Tty = Annotated[
    bool,
    typer.Option("--tty", help="With --detach: run it in a terminal, which nobody types into."),
]
LogLimit = Annotated[
    str | None,
    typer.Option(
        "--log-limit",
        metavar="SIZE",
        help="With --detach: keep only so much of the end of its output (1G).",
    ),
]


def run(
    context: typer.Context,
    request: Request,
    command: options.Command = None,
    nodes: Nodes = 1,
    mixed: Mixed = False,
    master_addr: MasterAddr = None,
    no_stdin: NoStdin = False,
    detached: Detached = False,
    watched: Watched = False,
    chdir: Chdir = None,
    keep: Keep = None,
    retries: Retries = None,
    env: Env = None,
    run_tag: RunTag = None,
    notify: Notify = None,
    tty: Tty = False,
    log_limit: LogLimit = None,
) -> None:
    """Run a command that holds GPUs.

    It holds them until it ends; genvx exits with its code. With --nodes it runs on several hosts,
    all or none, with one model of GPU. There it has MASTER_ADDR, MASTER_PORT, NODE_RANK, NNODES,
    NPROC_PER_NODE, WORLD_SIZE and GENVX_NODES, and the first failure ends all.

    A remote command in the background (&) reads nothing that is typed, and is not stopped for it.

    With --detach it belongs to its host and goes on without us: its id is printed, and genvx runs,
    watch and logs show it. --wait waits in line there. Locally it starts in this directory. With
    --nodes, too, it waits here until it has all hosts.

    Example: genvx run --gpus 1 -- python train.py
    """
    # Imported here: every verb is loaded at start-up, and only this one needs them.
    from genvx.cli.detach import Detach, Several, start_detached

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
    asked = Detach.parse(chdir, keep, retries, env, run_tag, notify, tty, log_limit)
    if detached:
        several = Several(nodes, master_addr, mixed) if nodes > 1 else None
        if several is not None and not where.remote:
            raise InvalidInput("--nodes is for the hosts of genvx remote")
        code = start_detached(where, request, command, asked, several, watched=watched)
        raise typer.Exit(code)
    if watched or asked != Detach():
        raise InvalidInput(
            "--watch, --chdir, --hold, --retries, --env, --run-tag, --notify, --tty and "
            "--log-limit go with --detach"
        )
    if nodes > 1:
        if not where.remote:
            raise InvalidInput("--nodes is for the hosts of genvx remote")
        from genvx.cli.gang import run_gang

        raise typer.Exit(run_gang(where, request, nodes, command, master_addr, mixed=mixed))
    if where.remote:
        raise typer.Exit(run_remotely(where, request, command))
    raise typer.Exit(locally(where, request, command, prompted=False))
