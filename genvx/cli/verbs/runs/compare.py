"""genvx runs compare: runs side by side."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import options
from genvx.cli.ask.runs import Runs, shown_host
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Option
from genvx.cli.show.output import Output
from genvx.cli.verbs.runs.several import places
from genvx.errors import InvalidInput

Values = Annotated[
    bool, Option("--values", help="Also values of variables, unless they look like secrets.")
]


def compare(
    context: Context,
    run: Runs,
    values: Values = False,
    json: options.Json = False,
    csv: options.Csv = False,
    style: options.Style = None,
) -> None:
    """Show runs side by side: what differs in what was asked, and what became of each.

    Variables may hold secrets: their values are only told apart, as "value 1" and "value 2". So are
    files of their projects.

    Example: genvx runs compare 1 2
    """
    from genvx.cli.views import changes
    from genvx.cli.views import compare as view

    if values and json:
        raise InvalidInput("--values is for tables; --json never has the values of variables")
    where = here(context)
    with where.runs_fleet() as fleet:
        found = places(where, fleet, run)
        if len(found) < 2:
            raise InvalidInput(f"name two runs or more, as in: {where.typed} runs compare 1 2")
        files = changes.files_of(found, where.note)
    named = [(host.name if json else shown_host(host, each), each) for host, each in found]
    several = where.remote or any(each.pulled for _, each in found)
    view.show(several, named, files, Output(json, csv, style=style), values=values)
