"""Options of genvx serve, besides those of a request."""

from __future__ import annotations

from typing import Annotated

import typer

Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        metavar="PORT",
        min=1,
        max=65535,
        help="Port on which the command listens on its host (default: any that is free).",
    ),
]
Ready = Annotated[
    str | None,
    typer.Option(
        "--ready",
        metavar="PATH",
        help="It is ready when a GET of this path succeeds (default: when it takes connections).",
    ),
]
Local = Annotated[
    int | None,
    typer.Option(
        "--local-port",
        metavar="PORT",
        min=1,
        max=65535,
        help="Remote: port of this machine that leads to it (default: the same).",
    ),
]
Detached = Annotated[
    bool,
    typer.Option(
        "-d",
        "--detach",
        help="Remote: print the id of the run once it answers, and leave it without a tunnel.",
    ),
]
Retries = Annotated[
    int,
    typer.Option(
        "--retries",
        metavar="N",
        min=0,
        max=1000,
        help="Start it again when it fails, N times at most, after pauses that grow.",
    ),
]
Env = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="NAME=VALUE", help="A variable for the command."),
]
Chdir = Annotated[
    str | None,
    typer.Option("-C", "--chdir", metavar="DIR", help="Start it in this directory."),
]
RunTag = Annotated[
    list[str] | None,
    typer.Option("--run-tag", metavar="TAG", help="One more tag of the run, besides serve."),
]
Notify = Annotated[
    list[str] | None,
    typer.Option(
        "--notify",
        metavar="NAME|command:PATH|https://...|slack:https://...|mail:ADDRESS|none",
        help="Who is told when it ends, gets its GPUs, or idles (repeatable).",
    ),
]
LogLimit = Annotated[
    str | None,
    typer.Option(
        "--log-limit", metavar="SIZE", help="Keep only this much of the end of its output (1G)."
    ),
]
Project = Annotated[
    str | None,
    typer.Option(
        "--project",
        metavar="DIR",
        help="Run it in a copy of this directory, which is sent to the host.",
    ),
]
Python = Annotated[
    str | None,
    typer.Option(
        "--python",
        metavar="auto|none|PATH|conda:NAME",
        help="The Python that it finds; auto makes an environment for what the project needs "
        "(default with a project).",
    ),
]
Setup = Annotated[
    str | None,
    typer.Option(
        "--setup",
        metavar="LINE",
        help="A line for bash that runs before the command, in the same shell.",
    ),
]
