"""genvx status: show this environment, or this host; remotely, a line per host."""

from __future__ import annotations

import typer

from genvx.cli.ask import options
from genvx.cli.ask.where import here
from genvx.cli.show.tables import Output
from genvx.cli.views.status import show


def status(
    context: typer.Context,
    json: options.Json = False,
    csv: options.Csv = False,
    style: options.Style = None,
    no_header: options.NoHeader = False,
) -> None:
    """Show this environment, or this host when there is none.

    Example: genvx remote status
    """
    where = here(context)
    with where.fleet() as fleet:
        raise typer.Exit(show(where, fleet, Output(json, csv, not no_header, style=style)))
