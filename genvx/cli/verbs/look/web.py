"""genvx web: a page that shows the fleet, live."""

from __future__ import annotations

from typing import Annotated

import typer

from genvx.cli.ask.where import here

Listen = Annotated[
    str,
    typer.Option(
        "--listen",
        metavar="ADDRESS:PORT",
        help="Where the page is served; port 0 is any free one.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="FILE",
        help="Show the page to those who have the token in FILE, which is made if it is missing; "
        "without it only to you, on this machine.",
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="A further name of this machine or of its proxy, as browsers know it. Repeatable.",
    ),
]


def web(
    context: typer.Context,
    listen: Listen = "127.0.0.1:8080",
    token: Token = None,
    name: Names = None,
) -> None:
    """Serve a page that shows the GPUs, the line and your runs, live.

    It asks the hosts every second while a page is open, and not at all while none is, until Ctrl-C
    or SIGTERM. Nothing can be changed through it.

    Example: genvx remote web
    """
    from genvx.cli import webpage

    wanted = webpage.Wanted(listen, token, tuple(name or ()))
    raise typer.Exit(webpage.serve(here(context), wanted))
