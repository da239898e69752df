"""genvx policy: show what the administrator of a machine allows."""

from __future__ import annotations

import typer

from genvx.cli.ask import options
from genvx.cli.ask.where import here
from genvx.cli.show.tables import Output
from genvx.cli.views.policy import show


def policy(
    context: typer.Context,
    json: options.Json = False,
    csv: options.Csv = False,
    style: options.Style = None,
    no_header: options.NoHeader = False,
    no_summary: options.NoSummary = False,
) -> None:
    """Show what the administrator allows, to everybody and to you.

    Example: genvx policy
    """
    where = here(context)
    output = Output(json, csv, not no_header, not no_summary, style=style)
    with where.fleet() as fleet:
        raise typer.Exit(show(where, fleet, output))
