"""genvx smi: show the GPUs of an environment, and its processes on them."""

from __future__ import annotations

import typer

from genvx.cli.ask import options
from genvx.cli.ask.where import here
from genvx.cli.show.tables import Output
from genvx.cli.show.watch import watch
from genvx.cli.verbs.hold.attach import Id
from genvx.cli.views.smi import show


def smi(
    context: typer.Context,
    id: Id = None,
    json: options.Json = False,
    csv: options.Csv = False,
    style: options.Style = None,
    no_header: options.NoHeader = False,
    redraw: options.Watch = False,
    interval: options.Interval = 2.0,
) -> None:
    """Show an environment's GPUs and processes.

    Like nvidia-smi, but for one environment only. USED and UTIL count all processes on a GPU, OWN
    USED and OWN UTIL those of the environment.

    Example: genvx smi -w
    """
    where = here(context)
    output = Output(json, csv, not no_header, style=style)
    with where.fleet() as fleet:
        if redraw:
            raise typer.Exit(watch(interval, lambda: show(where, fleet, output, id)))
        raise typer.Exit(show(where, fleet, output, id))
