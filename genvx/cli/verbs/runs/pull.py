"""genvx pull: what a run has made, copied to this machine."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from genvx.cli.ask.runs import OneRun, located_parts
from genvx.cli.ask.where import here
from genvx.cli.show.sending import Sending
from genvx.core.quantities.amounts import format_size
from genvx.core.text import printable
from genvx.core.wire.treeoperations import PullRun
from genvx.errors import InvalidInput, ProjectChanged
from genvx.shown.console import say

# Files that are written all the time are fetched this often.
_TRIES = 3

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

    That is its log, and the files in its directory that were not in its project. What is here already is not copied again, and a copy that was cut goes on. A run that is alive
    gives what it has now.

    Example: genvx remote pull train --only '*.pt'
    """
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
            print(_pulled(host, asked, directory, found.label_or_id, remote=where.remote))


def _pulled(host: Any, asked: PullRun, directory: str, run: str, *, remote: bool) -> str:
    """Copy the files of a run, or of a part; return what was done, in words."""
    from genvx.local.trees.landing import Landing

    with Sending("pulling from") as shown, Landing(directory, os.environ) as landing:

        def got(done: int, total: int) -> None:
            shown.update(host.name, done, total)

        for _ in range(_TRIES - 1):
            try:
                told, files = host.pull(asked, landing, got)
                break
            except ProjectChanged:
                continue
        else:
            told, files = host.pull(asked, landing, got)
    for line in told.left_out:
        say(f"genvx: not copied: {line}")
    many = f"{files} file{'' if files == 1 else 's'}"
    came = f" ({format_size(shown.total)})" if shown.total else ""
    place = f" from {host.name}" if remote else ""
    return f"Pulled {many}{came} of run {run}{place} into {printable(directory, 300)}"
