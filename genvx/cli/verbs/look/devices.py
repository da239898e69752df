"""genvx devices: show the GPUs and who has them."""

from __future__ import annotations

from typing import Annotated

import typer

from genvx.cli.ask import options
from genvx.cli.ask.tabled import Shown, tabled
from genvx.cli.ask.where import here

ByDevice = Annotated[
    bool, typer.Option("-v", "--by-device", help="One row per GPU instead of per host.")
]


@tabled()
def devices(
    context: typer.Context,
    shown: Shown,
    by_device: ByDevice = False,
    name: options.OfName = None,
    user: options.OfUser = None,
    pid: options.OfPid = None,
) -> None:
    """Show the GPUs and who has them.

    Example: genvx devices -w
    """
    from genvx.cli.views.chosen import Chosen
    from genvx.cli.views.devices import show

    where = here(context)
    chosen = Chosen(name, user, pid)
    # A row per host would count all of its devices, not the selected ones.
    by_device = by_device or bool(chosen)
    with where.asked_fleet() as fleet:
        raise typer.Exit(
            shown.draw(lambda: show(where, fleet, shown.output, chosen, by_device=by_device))
        )
