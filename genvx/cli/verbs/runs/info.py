"""genvx runs info: everything that is known of one run."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import options
from genvx.cli.ask.runs import OneRun, located_parts
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Option

Lines = Annotated[
    int, Option("--lines", metavar="LINES", min=0, max=1000, help="Of the end of its log.")
]
Diff = Annotated[
    bool, Option("--diff", help="How its project differed from its commit, and nothing else.")
]


def info(
    context: Context,
    run: OneRun = "",
    lines: Lines = 10,
    diff: Diff = False,
    json: options.Json = False,
) -> None:
    """Show a run: what was asked, what became of it, where it is, and the end of its log.

    Example: genvx runs info 1
    """
    from genvx.cli.views import runs as view
    from genvx.core.wire.runoperations import ShowRun

    where = here(context)
    with where.runs_fleet() as fleet:
        parts = located_parts(where, fleet, run)
        if diff:
            from genvx.cli.views import changes

            host, found = parts[0]
            details = host.answer(ShowRun(found.asked_as, 0, diff=True))
            changes.show_diff(where, host.name, details, json=json)
            return
        details = [
            (host.name, host.answer(ShowRun(found.asked_as, lines))) for host, found in parts
        ]
        if len(details) > 1:
            view.show_gang(where, details, json=json)
        else:
            view.show_one(where, *details[0], json=json)
