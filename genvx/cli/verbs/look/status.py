"""genvx status: show this environment, or this host."""

from __future__ import annotations

from genvx.cli.ask.tabled import ONCE, PLAIN, Shown, tabled
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit


@tabled(*PLAIN, *ONCE, "no_summary")
def status(context: Context, shown: Shown) -> None:
    """Show this environment, or this host when there is none.

    Example: genvx remote status
    """
    from genvx.cli.views.status import show

    where = here(context)
    with where.fleet() as fleet:
        raise Exit(show(where, fleet, shown.output))
