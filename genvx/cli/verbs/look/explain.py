"""genvx explain: show where a request would go, and why not elsewhere."""

from __future__ import annotations

from genvx.cli.ask.request import Request
from genvx.cli.ask.requesting import requesting
from genvx.cli.ask.tabled import ONCE, PLAIN, Shown, tabled
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit
from genvx.errors import InvalidInput


@requesting("name", "wait", "time", "id")
@tabled(*PLAIN, *ONCE)
def explain(context: Context, shown: Shown, request: Request) -> None:
    """Show where a request would go, and why not elsewhere.

    It gives the reason for each host and each GPU, and takes nothing. The exit code is 3 if there
    is no room now, and 2 if there never is.

    Example: genvx remote explain --gpus A100:2
    """
    from genvx.cli.views.explain import show

    where = here(context)
    if not request.requirements.gpus:
        raise InvalidInput("nothing to explain; say what you want, as in: genvx explain --gpus 2")
    with where.asked_fleet(request.selection) as fleet:
        raise Exit(show(where, fleet, shown.output, request.requirements))
