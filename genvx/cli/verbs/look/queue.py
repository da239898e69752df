"""genvx queue: show who waits for devices, and why."""

from __future__ import annotations

from genvx.cli.ask.tabled import PLAIN, Shown, tabled
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit


@tabled(*PLAIN)
def queue(context: Context, shown: Shown) -> None:
    """Show who waits for GPUs, in the order of the line, and why.

    Example: genvx remote queue
    """
    from genvx.cli.views.queue import show

    where = here(context)
    with where.asked_fleet() as fleet:
        raise Exit(shown.draw(lambda: show(where, fleet, shown.output)))
