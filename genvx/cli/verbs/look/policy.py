"""genvx policy: show what the administrator of a machine allows."""

from __future__ import annotations

from genvx.cli.ask.tabled import ONCE, PLAIN, Shown, tabled
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit


@tabled(*PLAIN, *ONCE)
def policy(context: Context, shown: Shown) -> None:
    """Show what the administrator allows, to everybody and to you.

    Example: genvx policy
    """
    from genvx.cli.views.policy import show

    where = here(context)
    with where.asked_fleet() as fleet:
        raise Exit(show(where, fleet, shown.output))
