"""genvx devices: show the GPUs and who has them."""

from __future__ import annotations

from typing import Annotated

import typer

from genvx.cli.ask import options
from genvx.cli.ask.where import here
from genvx.cli.show.tables import Output, fields_of
from genvx.cli.show.watch import watch
from genvx.cli.views.chosen import Chosen
from genvx.cli.views.devices import show

ByDevice = Annotated[
    bool, typer.Option("-v", "--by-device", help="One row per GPU instead of per host.")
]


def devices(
    context: typer.Context,
    by_device: ByDevice = False,
    name: options.OfName = None,
    user: options.OfUser = None,
    pid: options.OfPid = None,
    fields: options.Fields = None,
    json: options.Json = False,
    csv: options.Csv = False,
    style: options.Style = None,
    no_header: options.NoHeader = False,
    no_summary: options.NoSummary = False,
    timestamp: options.Timestamp = False,
    redraw: options.Watch = False,
    interval: options.Interval = 2.0,
) -> None:
    """Show the GPUs and who has them.

    Example: genvx devices -w
    """
    where = here(context)
    output = Output(
        json,
        csv,
        not no_header,
        not no_summary,
        fields_of(fields, json=json),
        timestamp,
        style,
    )
    chosen = Chosen(name, user, pid)
    # A row per host would count all of its devices, not the selected ones.
    by_device = by_device or bool(chosen)
    with where.fleet() as fleet:
        if redraw:
            raise typer.Exit(
                watch(interval, lambda: show(where, fleet, output, chosen, by_device=by_device))
            )
        raise typer.Exit(show(where, fleet, output, chosen, by_device=by_device))
