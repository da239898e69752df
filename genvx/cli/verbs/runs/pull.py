"""genvx pull: what a run has made, copied to this machine."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from genvx.cli.ask.runs import OneRun, located_parts
from genvx.cli.ask.where import here
from genvx.core.wire.treeoperations import PullRun
from genvx.errors import InvalidInput

Destination = Annotated[
    str | None,
    typer.Argument(
        metavar="DEST",
        help="Directory for its log and files (default: one with the name of its id, here).",
        show_default=False,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="GLOB", help="Only files whose name, or path, fits this."),
]
Everything = Annotated[
    bool, typer.Option("--all", help="Also the files of its project that it has not changed.")
]
Bare = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="DIR", help="Copy just its files, into this directory."),
]


def pull(
    context: typer.Context,
    run: OneRun = "",
    dest: Destination = None,
    only: Only = None,
    everything: Everything = False,
    output: Bare = None,
) -> None:
    """Copy what a run has made or changed to this machine.

    That is its log, and the files in its directory that were not in its project. What is here
    already is not copied again, and a copy that was cut goes on. A run that is alive gives what it
    has now.

    Example: genvx remote pull train --only '*.pt'
    """
    from genvx.cli.pulling import pulled

    where = here(context)
    if dest is not None and output is not None:
        raise InvalidInput("give either DEST or --output")
    if "" in (dest, output):
        raise InvalidInput("the directory is empty; . is the current one")
    with where.fleet() as fleet:
        parts = located_parts(where, fleet, run)
        for host, found in parts:
            directory = output or dest or found.id
            if len(parts) > 1:
                directory = os.path.join(directory, host.name.replace("/", "_"))
            asked = PullRun(found.id, tuple(only or ()), everything, output is not None)
            print(pulled(host, asked, directory, found.label_or_id, remote=where.remote))
