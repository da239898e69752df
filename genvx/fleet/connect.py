"""connect() makes a fleet from names or a hostfile; without either it looks for a hostfile."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from genvx.errors import InvalidInput
from genvx.fleet.defaults import FANOUT
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts import hostfile as hostfiles
from genvx.fleet.hosts import hostnames
from genvx.ssh.defaults import HOST_LOST_AFTER, TIMEOUT, TYPED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from genvx.fleet.fleet import Fleet
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.hosts.selection import Selection
    from genvx.fleet.sshhost import SSHHost


def connect(
    hosts: str | None = None,
    *,
    hostfile: str | None = None,
    remote: str | None = None,
    specs: Sequence[HostSpec] | None = None,
    selection: Selection | None = None,
    login: str | None = None,
    fanout: int = FANOUT,
    timeout: float = TIMEOUT,
    accept_new_host_keys: bool = False,
    host_lost_after: float = HOST_LOST_AFTER,
    prompt: Callable[[str], str | None] | None = None,
    tell: Callable[[str], object] = lambda line: None,
    environ: Mapping[str, str] | None = None,
    typed: str = TYPED,
) -> Fleet[SSHHost]:
    """Make a fleet of hosts over SSH, found as `genvx remote` finds them; connect to none yet.

    hosts: names as after -H, such as "a,raz@b:2222,gpu[1-4]". hostfile: a path. remote: the name of
    a remote, several after commas, or ssh:user@host:port. specs: hosts, in place of these. Without
    any of them: $GENVX_HOSTFILE, ./hostfile, ~/.config/genvx/hostfile, /etc/genvx/hostfile, the
    first that exists. selection: which of the hosts to take. login: the user where the hostfile
    names none. fanout: the number of hosts asked at once. timeout: total seconds allowed per host.
    host_lost_after: seconds of silence after which a host that holds something of ours is lost.
    prompt: asks a person for a password or a passphrase. tell: called with messages for people.
    environ: os.environ by default; $GENVX_SSH_CONFIG is also read from it.
    typed: what people type in front of a verb to ask these hosts.

    Raises:
        InvalidHostfile: a line of the hostfile is wrong. UnknownHost: no hosts are named, or none
        is selected. UnknownRemote, InvalidRemotes: there is no such remote, or a file with remotes
        has a fault. NotRunning: a rented machine does not run. InvalidInput: hosts are given in two
        ways, or the login is no user name.
    """
    environ = os.environ if environ is None else environ
    found = find(
        hosts,
        hostfile=hostfile,
        remote=remote,
        specs=specs,
        selection=selection,
        login=login,
        tell=tell,
        environ=environ,
        prompt=prompt,
    )
    return connect_fleet(
        found,
        fanout=fanout,
        timeout=timeout,
        config=environ.get("GENVX_SSH_CONFIG") or None,
        accept_new_host_keys=accept_new_host_keys,
        host_lost_after=host_lost_after,
        prompt=prompt,
        typed=typed,
    )


def find(
    hosts: str | None = None,
    *,
    hostfile: str | None = None,
    remote: str | None = None,
    specs: Sequence[HostSpec] | None = None,
    selection: Selection | None = None,
    login: str | None = None,
    tell: Callable[[str], object] = lambda line: None,
    environ: Mapping[str, str] | None = None,
    prompt: Callable[[str], str | None] | None = None,
) -> tuple[HostSpec, ...]:
    """Find hosts as `connect` does, with the same arguments and errors, and connect to none."""
    environ = os.environ if environ is None else environ
    if hosts is not None and hostfile is not None:
        raise InvalidInput("give either -H or --hostfile, not both")
    if remote is not None and (hosts is not None or hostfile is not None):
        raise InvalidInput("give either --remote or -H and --hostfile, not both")
    if specs is not None:
        pass
    elif remote is not None:
        # Imported here: few fleets are remotes.
        from genvx.fleet.remotes.pool import specs_named

        specs = specs_named(remote, environ, tell, prompt)
    elif hosts is not None:
        specs = hostnames.parse_names(hosts)
    else:
        path = hostfile or hostfiles.find(environ, tell=tell)
        named = hostfile or environ.get("GENVX_HOSTFILE")
        specs = hostfiles.load(path, named=bool(named) or path != hostfiles.IN_DIRECTORY)
    if selection:
        specs = selection.of(specs)
    if login is not None:
        hostnames.require_user(login)
    return tuple(replace(spec, user=spec.user or login) for spec in specs)
