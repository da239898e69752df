"""genvx usage: who used GPUs for how long, and how well."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import options
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit, Option
from genvx.cli.show.output import Output
from genvx.errors import InvalidInput
from genvx.watching.since import USUAL, parse_since
from genvx.watching.usage import By

Since = Annotated[
    str,
    Option("--since", metavar="TIME", help="A time ago (24h, 7d), or a day (2026-11-01)."),
]
ByWhat = Annotated[
    str,
    Option(
        "--by", metavar="WHAT", help="user, group, host, model, project or name (of environments)."
    ),
]
History = Annotated[
    str | None,
    Option(
        "--history",
        metavar="FILE",
        help="File that genvx monitor writes (default: in ~/.local/share/genvx/monitor).",
    ),
]
Plot = Annotated[bool, Option("--plot", help="Draw bars instead of a table.")]


def usage(
    context: Context,
    since: Since = USUAL,
    by: ByWhat = By.USER.value,
    history: History = None,
    plot: Plot = False,
    json: options.Json = False,
    csv: options.Csv = False,
    style: options.Style = None,
    no_header: options.NoHeader = False,
    no_summary: options.NoSummary = False,
) -> None:
    """Show who used GPUs for how long, and how well.

    It needs the history of a genvx monitor. Without one it knows only the records of your runs.

    Example: genvx remote usage --since 30d --by group
    """
    from genvx.cli.views.usage import Asked, show

    if plot and (json or csv or style):
        raise InvalidInput("give either --plot or a form of the table")
    output = Output(json, csv, not no_header, not no_summary, style=style)
    begin, now = parse_since(since)
    raise Exit(show(here(context), output, Asked(By.parse(by), begin, now, history, plot)))
