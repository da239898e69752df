"""genvx queue: show who waits for devices, and why."""

from __future__ import annotations

import typer

from genvx.cli.ask import options
from genvx.cli.ask.where import here
from genvx.cli.show.tables import Output
from genvx.cli.show.watch import watch
from genvx.cli.views.queue import show


def queue(
    context: typer.Context,
    json: options.Json = False,
    csv: options.Csv = False,
    style: options.Style = None,
    no_header: options.NoHeader = False,
    no_summary: options.NoSummary = False,
    redraw: options.Watch = False,
    interval: options.Interval = 2.0,
) -> None:
    """Show who waits for GPUs, in the order of the line, and why.

    Example: genvx remote queue
    """
    where = here(context)
    output = Output(json, csv, not no_header, not no_summary, style=style)
    with where.fleet() as fleet:
        if redraw:
            raise typer.Exit(watch(interval, lambda: show(where, fleet, output)))
        raise typer.Exit(show(where, fleet, output))
