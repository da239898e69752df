"""genvx envs: show the active environments."""

from __future__ import annotations

import typer

from genvx.cli.ask import options
from genvx.cli.ask.where import here
from genvx.cli.show.tables import Output, fields_of
from genvx.cli.show.watch import watch
from genvx.cli.views.chosen import Chosen
from genvx.cli.views.envs import show


def envs(
    context: typer.Context,
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
    """Show the active environments.

    Example: genvx envs --user raz --fields id,name,devices
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
    with where.fleet() as fleet:
        if redraw:
            raise typer.Exit(watch(interval, lambda: show(where, fleet, output, chosen)))
        raise typer.Exit(show(where, fleet, output, chosen))
