"""genvx web: a page that shows the fleet, live."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit, Option

Listen = Annotated[
    str,
    Option(
        "--listen",
        metavar="ADDRESS:PORT",
        help="Where the page is served; port 0 is any free one.",
    ),
]
Token = Annotated[
    str | None,
    Option(
        "--token",
        metavar="FILE",
        help="Show the page to those who have the token in FILE, which is made if it is missing; "
        "without it only to you, on this machine.",
    ),
]
Names = Annotated[
    list[str] | None,
    Option(
        "--name",
        metavar="NAME",
        help="A further name of this machine or of its proxy, as browsers know it. Repeatable.",
    ),
]
Actions = Annotated[
    bool,
    Option(
        "--allow-actions",
        help="With the address that is printed, one can also release your environments and stop "
        "your runs.",
    ),
]
History = Annotated[
    str | None,
    Option(
        "--history",
        metavar="FILE",
        help="File of a genvx monitor, for the use of the last day (default: in "
        "~/.local/share/genvx/monitor).",
    ),
]
LabelUsers = Annotated[
    bool,
    Option("--label-users", help="With --token: also show who used how much of the last day."),
]


def web(
    context: Context,
    listen: Listen = "127.0.0.1:8080",
    token: Token = None,
    name: Names = None,
    allow_actions: Actions = False,
    history: History = None,
    label_users: LabelUsers = False,
) -> None:
    """Serve a page that shows the GPUs, the line and your runs, live.

    It asks the hosts every second while a page is open, and not at all while none is, until Ctrl-C
    or SIGTERM. Nothing can be changed through it without --allow-actions.

    Example: genvx remote web
    """
    from genvx.cli.lasting import webpage

    wanted = webpage.Wanted(listen, token, tuple(name or ()), allow_actions, history, label_users)
    raise Exit(webpage.serve(here(context), wanted))
