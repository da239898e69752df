"""Options that say which hosts a verb is for, and how they are asked."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import candidates
from genvx.cli.parse.declaring import Option

Hostfile = Annotated[
    str | None,
    Option("-f", "--hostfile", metavar="FILE", help="File of hosts, one per line."),
]
Hosts = Annotated[
    str | None,
    Option("-H", "--host", metavar="A,B", help="Names of hosts.", autocompletion=candidates.hosts),
]
Login = Annotated[
    str | None,
    Option("-l", "--login", metavar="USER", help="User to log in as (default: as ssh does)."),
]
Timeout = Annotated[
    str, Option("-t", "--timeout", metavar="SECONDS", help="Total seconds allowed per host.")
]
Fanout = Annotated[
    int,
    Option("--fanout", metavar="N", min=1, max=4096, help="Number of hosts asked at once."),
]
ExitOnError = Annotated[
    bool, Option("-e", "--exit-on-error", help="Stop at the first host that fails.")
]
Quiet = Annotated[
    bool,
    Option("-q", "--quiet", help="Silence on failed hosts and on the host taken."),
]
AcceptNew = Annotated[
    bool, Option("--accept-new-host-keys", help="Trust and remember unknown host keys.")
]
LostAfter = Annotated[
    str,
    Option(
        "--host-lost-after",
        metavar="TIME",
        help="Silence after which a host in use counts as lost.",
    ),
]
