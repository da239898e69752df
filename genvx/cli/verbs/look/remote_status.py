"""genvx remote status: a line for each host, or whether a remote is available."""

from __future__ import annotations

from genvx.cli.ask.tabled import ONCE, PLAIN, Shown, tabled
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit
from genvx.cli.verbs.look.remotes import MaybeName, alone
from genvx.errors import InvalidInput


@tabled(*PLAIN, *ONCE, "no_summary")
def status(context: Context, shown: Shown, name: MaybeName = "") -> None:
    """Show a line for each host, or whether a remote is available.

    With the name of a remote it is genvx remotes status.

    Example: genvx remote status
    """
    if not name:
        from genvx.cli.views.status import show

        where = here(context)
        if where.keeps_runs:
            from genvx.cli.views import remotes

            raise Exit(remotes.status(where, json=shown.output.json))
        with where.asked_fleet() as fleet:
            raise Exit(show(where, fleet, shown.output))
    from genvx.cli.views import remotes

    where = alone(context, name)
    if shown.output.csv:
        raise InvalidInput(f"for programs: genvx remote status {name} --json")
    raise Exit(remotes.status(where, json=shown.output.json))
