"""genvx remote: the options that say which hosts a verb is for, and how they are asked."""

from __future__ import annotations

from genvx.cli.ask import hostoptions
from genvx.cli.ask.where import Where
from genvx.cli.parse.declaring import Context, Group
from genvx.cli.parse.remoteoption import Remote
from genvx.core.quantities.durations import parse_seconds
from genvx.core.quantities.naming import naming
from genvx.errors import InvalidInput
from genvx.fleet.defaults import FANOUT
from genvx.ssh.defaults import HOST_LOST_AFTER, TIMEOUT

remote = Group(
    """The same verbs on many hosts, and clusters of Ray and Dask.

    The hosts are those of -H, --hostfile or --remote, before or after the verb; otherwise those of
    the first of $GENVX_HOSTFILE, ./hostfile, ~/.config/genvx/hostfile and /etc/genvx/hostfile that
    exists. genvx --remote NAME VERB is short for genvx remote --remote NAME VERB.

    Example: genvx remote -H a,b devices
    """
)


@remote.callback()
def where(
    context: Context,
    hostfile: hostoptions.Hostfile = None,
    hosts: hostoptions.Hosts = None,
    named: Remote = None,
    login: hostoptions.Login = None,
    timeout: hostoptions.Timeout = f"{TIMEOUT:g}",
    fanout: hostoptions.Fanout = FANOUT,
    exit_on_error: hostoptions.ExitOnError = False,
    quiet: hostoptions.Quiet = False,
    accept_new_host_keys: hostoptions.AcceptNew = False,
    host_lost_after: hostoptions.LostAfter = f"{HOST_LOST_AFTER:g}",
) -> None:
    """Keep the options that say which hosts a verb is for."""
    context.obj = Where(
        remote=True,
        hostfile=hostfile,
        hosts=hosts,
        named=named,
        login=login,
        timeout=_seconds("--timeout", timeout),
        fanout=fanout,
        exit_on_error=exit_on_error,
        quiet=quiet,
        accept_new_host_keys=accept_new_host_keys,
        host_lost_after=_lost_after(host_lost_after),
    )


def _seconds(option: str, text: str) -> float:
    with naming(option):
        return parse_seconds(text)


def _lost_after(text: str) -> float:
    seconds = _seconds("--host-lost-after", text)
    # Hosts are asked several times within it: with less, any slow network would lose them.
    if seconds < 1:
        raise InvalidInput("--host-lost-after must be at least 1 second")
    return seconds
