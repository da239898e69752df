"""genvx devices: show the GPUs and who has them."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import options
from genvx.cli.ask.tabled import Shown, tabled
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit, Option
from genvx.errors import InvalidInput

ByDevice = Annotated[bool, Option("-v", "--by-device", help="One row per GPU instead of per host.")]

Compact = Annotated[
    bool | None,
    Option(
        "--compact/--all-rows",
        help="One row for neighbours that are alike, or a row for each GPU. Without either: "
        "compact where a terminal is too small for all rows.",
        show_default=False,
    ),
]


@tabled()
def devices(
    context: Context,
    shown: Shown,
    by_device: ByDevice = False,
    compact: Compact = None,
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
    if compact and (shown.output.json or shown.output.csv):
        raise InvalidInput("--compact is for tables; --json and --csv have a row for each GPU")
    chosen = Chosen(name, user, pid)
    # A row per host would count all of its devices, not the selected ones.
    by_device = by_device or bool(chosen) or compact is not None
    with where.asked_fleet() as fleet:
        raise Exit(
            shown.draw(
                lambda: show(
                    where, fleet, shown.output, chosen, by_device=by_device, compact=compact
                )
            )
        )
