"""genvx runs info: everything that is known of one run."""

from __future__ import annotations

from typing import Annotated

import typer

from genvx.cli.ask import options
from genvx.cli.ask.runs import OneRun, located_parts
from genvx.cli.ask.where import here
from genvx.core.wire.runoperations import ShowRun

Lines = Annotated[
    int, typer.Option("--lines", metavar="LINES", min=0, max=1000, help="Of the end of its log.")
]


def info(
    context: typer.Context, run: OneRun = "", lines: Lines = 10, json: options.Json = False
) -> None:
    """Show a run: what was asked, what became of it, where it is, and the end of its log.

    Example: genvx runs info 1
    """
    from genvx.cli.views import runs as view

    where = here(context)
    with where.fleet() as fleet:
        parts = located_parts(where, fleet, run)
        details = [
            (host.name, host.answer(ShowRun(found.asked_as, lines))) for host, found in parts
        ]
        if len(details) > 1:
            view.show_gang(where, details, json=json)
        else:
            view.show_one(where, *details[0], json=json)
