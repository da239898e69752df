"""Options of genvx run: for a gang of hosts, and for a run that is detached."""

from __future__ import annotations

from typing import Annotated

import typer

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
Launcher = Annotated[
    str | None,
    typer.Option(
        "--launcher",
        metavar="NAME",
        help="Start the script with torchrun, accelerate, deepspeed or mpirun, on each GPU.",
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
ProjectDirectory = Annotated[
    str | None,
    typer.Option(
        "--project",
        metavar="DIR",
        help="With --detach: run in a copy of this directory, which is sent to the host.",
    ),
]
FollowLinks = Annotated[
    bool,
    typer.Option("--follow-links", help="With --project: send what links outside of it lead to."),
]
PythonOfRun = Annotated[
    str | None,
    typer.Option(
        "--python",
        metavar="auto|none|PATH|conda:NAME",
        help="With --detach: the Python that the command finds; auto makes an environment for what "
        "the project needs (default with a project).",
    ),
]
Extra = Annotated[
    list[str] | None,
    typer.Option(
        "--extra", metavar="NAME", help="With --project: what this extra of it needs, too."
    ),
]
Wheels = Annotated[
    str | None,
    typer.Option(
        "--wheels",
        metavar="DIR",
        help="With --project: install only from the packages in this directory, which travel too.",
    ),
]
Setup = Annotated[
    str | None,
    typer.Option(
        "--setup",
        metavar="LINE",
        help="With --detach: a line for bash that runs before the command, in the same shell.",
    ),
]
Image = Annotated[
    str | None,
    typer.Option(
        "--image",
        metavar="IMAGE",
        help="With --detach: start the command in a container of this image.",
    ),
]
RuntimeOfRun = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        metavar="podman|docker|apptainer",
        help="With --image: what starts the container (default: the first that the host has).",
    ),
]
MountOfRun = Annotated[
    list[str] | None,
    typer.Option(
        "--mount",
        metavar="A:B[:ro]",
        help="With --image: show this path of the host there in the container (repeatable).",
    ),
]
Yes = Annotated[
    bool, typer.Option("-y", "--yes", help="With --project: send it, however large it is.")
]
Keep = Annotated[
    str | None,
    typer.Option(
        "--hold",
        metavar="TIME[:on-failure]",
        help="With --detach: keep the GPUs for this time after its end.",
    ),
]
Retries = Annotated[
    int | None,
    typer.Option(
        "--retries",
        metavar="N",
        min=0,
        max=1000,
        help="With --detach: start it again after a failure, N times at most.",
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
    list[str] | None,
    typer.Option(
        "--notify",
        metavar="NAME|command:PATH|https://...|slack:https://...|mail:ADDRESS|none",
        help="With --detach: who is told when it ends, gets its GPUs, or idles (repeatable).",
    ),
]
Tty = Annotated[
    bool,
    typer.Option("--tty", help="With --detach: run it in a terminal; watch -i shows it."),
]
LogLimit = Annotated[
    str | None,
    typer.Option(
        "--log-limit",
        metavar="SIZE",
        help="With --detach: keep only this much of the end of its output (1G).",
    ),
]
DebugKeyFile = Annotated[
    list[str] | None,
    typer.Option(
        "--debug-key-file",
        metavar="K.pub",
        help="With --detach: the owner of this public key can log in to the run (repeatable).",
    ),
]
DebugPort = Annotated[
    int | None,
    typer.Option(
        "--debug-port",
        metavar="PORT",
        min=1,
        max=65535,
        help="With --debug-key-file: the port to log in at (default: any that is free).",
    ),
]
DebugBind = Annotated[
    str | None,
    typer.Option(
        "--debug-bind",
        metavar="ADDRESS",
        help="With --debug-key-file: listen on this address of the host only (default: all).",
    ),
]
