"""genvx remote: the options that say which hosts a verb is for, and how they are asked."""

from __future__ import annotations

from typing import Annotated

import typer

from genvx.cli.ask import candidates
from genvx.cli.ask.where import Where
from genvx.cli.parse.groups import group
from genvx.cli.parse.loading import AllVerbs
from genvx.core.units import parse_seconds
from genvx.errors import InvalidInput
from genvx.fleet.defaults import FANOUT
from genvx.ssh.defaults import HOST_LOST_AFTER, TIMEOUT

remote = group(
    """The same verbs on many hosts.

    The hosts are those of -H or --hostfile, before or after the verb; otherwise those of the first
    of $GENVX_HOSTFILE, ./hostfile, ~/.config/genvx/hostfile and /etc/genvx/hostfile that exists.

    Example: genvx remote -H a,b devices
    """,
    AllVerbs,
)

Hostfile = Annotated[
    str | None,
    typer.Option("-f", "--hostfile", metavar="FILE", help="File of hosts, one per line."),
]
Hosts = Annotated[
    str | None,
    typer.Option(
        "-H", "--host", metavar="A,B", help="Names of hosts.", autocompletion=candidates.hosts
    ),
]
Login = Annotated[
    str | None,
    typer.Option("-l", "--login", metavar="USER", help="User to log in as (default: as ssh does)."),
]
Timeout = Annotated[
    str, typer.Option("-t", "--timeout", metavar="SECONDS", help="Total seconds allowed per host.")
]
Fanout = Annotated[
    int,
    typer.Option("--fanout", metavar="N", min=1, max=4096, help="Number of hosts asked at once."),
]
ExitOnError = Annotated[
    bool, typer.Option("-e", "--exit-on-error", help="Stop at the first host that fails.")
]
Quiet = Annotated[
    bool,
    typer.Option("-q", "--quiet", help="Silence on failed hosts and on the host taken."),
]
AcceptNew = Annotated[
    bool, typer.Option("--accept-new-host-keys", help="Trust and remember unknown host keys.")
]
LostAfter = Annotated[
    str,
    typer.Option(
        "--host-lost-after",
        metavar="TIME",
        help="Silence after which a host in use counts as lost.",
    ),
]


@remote.callback()
def where(
    context: typer.Context,
    hostfile: Hostfile = None,
    hosts: Hosts = None,
    login: Login = None,
    timeout: Timeout = f"{TIMEOUT:g}",
    fanout: Fanout = FANOUT,
    exit_on_error: ExitOnError = False,
    quiet: Quiet = False,
    accept_new_host_keys: AcceptNew = False,
    host_lost_after: LostAfter = f"{HOST_LOST_AFTER:g}",
) -> None:
    """Keep the options that say which hosts a verb is for."""
    context.obj = Where(
        remote=True,
        hostfile=hostfile,
        hosts=hosts,
        login=login,
        timeout=parse_seconds(timeout),
        fanout=fanout,
        exit_on_error=exit_on_error,
        quiet=quiet,
        accept_new_host_keys=accept_new_host_keys,
        host_lost_after=_lost_after(host_lost_after),
    )


def _lost_after(text: str) -> float:
    seconds = parse_seconds(text)
    # Hosts are asked several times within it: with less, any slow network would lose them.
    if seconds < 1:
        raise InvalidInput("--host-lost-after must be at least 1 second")
    return seconds
