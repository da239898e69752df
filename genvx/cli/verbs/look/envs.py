"""genvx envs: show the active environments."""

from __future__ import annotations

from genvx.cli.ask import options
from genvx.cli.ask.tabled import Shown, tabled
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit


@tabled()
def envs(
    context: Context,
    shown: Shown,
    name: options.OfName = None,
    user: options.OfUser = None,
    pid: options.OfPid = None,
) -> None:
    """Show the active environments.

    Example: genvx envs --user raz --fields id,name,devices
    """
    from genvx.cli.views.chosen import Chosen
    from genvx.cli.views.envs import show

    where = here(context)
    chosen = Chosen(name, user, pid)
    with where.asked_fleet() as fleet:
        raise Exit(shown.draw(lambda: show(where, fleet, shown.output, chosen)))
