"""genvx monitor: metrics for Prometheus, and a history of use."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit, Option
from genvx.errors import InvalidInput

_LISTEN = "127.0.0.1:9400"

Every = Annotated[
    str, Option("--every", metavar="TIME", help="From one round of questions to the next.")
]
Listen = Annotated[
    str | None,
    Option(
        "--listen",
        metavar="ADDRESS:PORT",
        help=f"Where metrics are served (default: {_LISTEN}); port 0 is any free one.",
    ),
]
Textfile = Annotated[
    str | None,
    Option(
        "--textfile",
        metavar="DIR",
        help="Write DIR/genvx.prom for node_exporter, instead of listening.",
    ),
]
History = Annotated[
    str | None,
    Option(
        "--history",
        metavar="FILE",
        help="File of the history (default: in ~/.local/share/genvx/monitor).",
    ),
]
NoHistory = Annotated[bool, Option("--no-history", help="Keep no history.")]
LabelUsers = Annotated[
    bool,
    Option("--label-users", help="Also show users, environments and their names."),
]
Notify = Annotated[
    list[str] | None,
    Option(
        "--notify",
        metavar="NAME|command:PATH|https://...|slack:https://...|mail:ADDRESS",
        help="Send a message for each environment that idles (repeatable).",
    ),
]
Dashboard = Annotated[
    bool, Option("--print-dashboard", help="Print a dashboard for Grafana, and end.")
]
Alerts = Annotated[
    bool, Option("--print-alerts", help="Print alerting rules for Prometheus, and end.")
]
Unit = Annotated[bool, Option("--print-unit", help="Print a systemd unit for you, and end.")]


def monitor(
    context: Context,
    every: Every = "15s",
    listen: Listen = None,
    textfile: Textfile = None,
    history: History = None,
    no_history: NoHistory = False,
    label_users: LabelUsers = False,
    notify: Notify = None,
    print_dashboard: Dashboard = False,
    print_alerts: Alerts = False,
    print_unit: Unit = False,
) -> None:
    """Serve metrics for Prometheus, and keep a history for usage.

    It asks the hosts again and again, until Ctrl-C or SIGTERM. Nothing else in genvx needs it. The
    metrics are at http://127.0.0.1:9400/metrics.

    Example: genvx remote monitor --every 30s
    """
    from genvx.cli.lasting import monitoring
    from genvx.core.quantities.durations import parse_duration
    from genvx.core.quantities.naming import naming

    where = here(context)
    if print_dashboard + print_alerts + print_unit > 1:
        raise InvalidInput("give one of --print-dashboard, --print-alerts and --print-unit")
    if print_dashboard or print_alerts:
        from genvx.watching import packaged

        print(packaged.dashboard() if print_dashboard else packaged.alerts(), end="")
        return
    with naming("--every"):
        seconds = parse_duration(every)
    if not 1 <= seconds <= 3600:
        raise InvalidInput("--every is from 1s to 1h")
    if textfile is not None and listen is not None:
        raise InvalidInput("give either --listen or --textfile")
    if history is not None and no_history:
        raise InvalidInput("give either --history or --no-history")
    wanted = monitoring.Wanted(
        seconds,
        None if textfile is not None else listen or _LISTEN,
        textfile,
        history,
        no_history,
        label_users,
        tuple(notify or ()),
    )
    if print_unit:
        print(monitoring.unit(where, wanted), end="")
        return
    raise Exit(monitoring.monitor(where, wanted))
