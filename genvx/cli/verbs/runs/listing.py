"""genvx runs: the newest runs, as a table."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import options
from genvx.cli.ask.allremotes import AllRemotes, everywhere
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit, Option
from genvx.cli.show.output import Output
from genvx.core.runs.runselect import NEWEST, Filter

All = Annotated[bool, Option("-a", "--all", help=f"More than the newest {NEWEST}.")]
States = Annotated[
    list[str] | None,
    Option("-s", "--state", metavar="STATE", help="Only in this state, or one of these."),
]
Tags = Annotated[
    list[str] | None, Option("--tag", metavar="TAG", help="Only with this tag, or all these.")
]
OfName = Annotated[
    str | None, Option("-n", "--name", metavar="NAME", help="Only of this name or label.")
]
Since = Annotated[
    str | None,
    Option("--since", metavar="TIME", help="Only those submitted within this time (7d)."),
]
Refresh = Annotated[
    bool, Option("--refresh", help="First pull again the copies of runs that were alive.")
]
Deleted = Annotated[bool, Option("--deleted", help="Those in the trash instead.")]


def listing(
    context: Context,
    everything: All = False,
    state: States = None,
    tag: Tags = None,
    name: OfName = None,
    since: Since = None,
    deleted: Deleted = False,
    refresh: Refresh = False,
    all_remotes: AllRemotes = False,
    json: options.Json = False,
    csv: options.Csv = False,
    style: options.Style = None,
    no_header: options.NoHeader = False,
    no_summary: options.NoSummary = False,
    timestamp: options.Timestamp = False,
    redraw: options.Watch = False,
    interval: options.Interval = 2.0,
) -> None:
    """Show runs, the newest first: commands that were started with genvx run --detach.

    Example: genvx remote runs -s running
    """
    if context.invoked_subcommand is not None:
        return
    from genvx.cli.show.watch import watch
    from genvx.cli.views import runs as view
    from genvx.core.wire.runoperations import MOST_RUNS, ListRuns

    where, code = here(context), 0
    if refresh:
        from genvx.cli.transfers.copies import refresh as pull_again

        code = pull_again(where)
    if all_remotes:
        where, code = everywhere(where)
    narrowed = Filter(tuple(state or ()), tuple(tag or ()), name, _since_epoch_ns(since))
    asked = ListRuns(narrowed, MOST_RUNS if everything else NEWEST, deleted, not where.remote)
    output = Output(json, csv, not no_header, not no_summary, timestamp=timestamp, style=style)
    with where.runs_fleet(asked=True) as fleet:
        if redraw:
            raise Exit(watch(interval, lambda: view.show(where, fleet, output, asked)))
        raise Exit(view.show(where, fleet, output, asked) or code)


def _since_epoch_ns(text: str | None) -> int | None:
    if text is None:
        return None
    import time

    from genvx.core.quantities.durations import parse_duration
    from genvx.core.quantities.naming import naming

    with naming("--since"):
        seconds = parse_duration(text)
    return time.time_ns() - round(seconds * 1e9)  # as people mean it
