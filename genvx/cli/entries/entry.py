"""The text of an entry of ssh_config."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

from genvx.cli.entries import files
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.fleet.hosts import hostfile, hostnames

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.core.leases.environment import Environment


def entry(where: Where, names: list[str], host: str, env: Environment | None, user: str) -> str:
    """Return the entry with these names for a host, or for an environment on it.

    user: the user on the host.
    """
    words = [sys.executable, "-m", "genvx", "remote"]
    if where.named is not None:
        words += ["--remote", _everywhere(where.named)]
    elif where.hosts is not None:
        words += ["-H", where.hosts]
    else:
        words += ["-f", os.path.abspath(where.hostfile or hostfile.find(os.environ))]
    if where.login is not None:
        words += ["-l", where.login]
    words += ["ssh-proxy", host, *([env.id] if env is not None else [])]
    files_named = [
        f"{name}={os.path.abspath(os.environ[name])}"
        for name in ("GENVX_SSH_CONFIG", "GENVX_REMOTES")
        if os.environ.get(name)
    ]
    if files_named:
        words = ["env", *files_named, *words]
    # The name comes from the host and becomes a line of ssh_config: it must not contain another.
    hostnames.require_user(user)
    # ssh expands %h and the like in ProxyCommand, and passes the line to a shell.
    proxy = " ".join(shlex.quote(word) for word in words).replace("%", "%%")
    home = files.home()
    # HostKeyAlias and a known_hosts of ours: the sshd at the end of the ProxyCommand has a key of
    # its own, which must not be compared with the host's. accept-new is safe for it: genvx has
    # checked the key of the host that it runs on.
    return (
        f"# {'environment ' + printable(env.label, 200) if env else 'your environment'} on {host}\n"
        f"Host {' '.join(names)}\n"
        f"    User {user}\n"
        f"    ProxyCommand {proxy}\n"
        f"    HostKeyAlias genvx-at-{host}\n"
        f'    UserKnownHostsFile "{home}/known_hosts"\n'
        f"    StrictHostKeyChecking accept-new\n"
        f'    IdentityFile "{files.key()}"\n'
        f"    IdentitiesOnly yes\n"
        f"    LogLevel ERROR\n"
        f"    PreferredAuthentications publickey\n"
    )


def _everywhere(named: str) -> str:
    """Return the name of a remote, if it means the same in every directory: ssh runs in any."""
    from genvx.fleet.remotes.reading import remote_named

    if remote_named(named, os.environ).of_project:
        raise InvalidInput(
            f"remote {named} is of a project's file, which ssh does not find from elsewhere; write "
            "it in your own remotes.yml"
        )
    return named
