"""genvx ssh-config: entries with which ssh, scp, sftp and editors connect into an environment.

The ProxyCommand of an entry is a connection of genvx, which holds the environment. At its far end
an sshd of the user's own serves this one connection, with the variables of the environment. So
every program that uses SSH works, and nothing is installed or opened on the host.
"""

from __future__ import annotations

import re
from typing import Annotated

import typer

from genvx.cli.ask import candidates
from genvx.cli.ask.where import here
from genvx.core.text import printable
from genvx.errors import InvalidInput

Target = Annotated[
    str,
    typer.Argument(
        metavar="HOST|ENV",
        help="Environment id or name; or a host, for your only environment there.",
        autocompletion=candidates.hosts,
    ),
]
Write = Annotated[
    bool,
    typer.Option("--write", help="Write it to a file that ~/.ssh/config includes."),
]
Remove = Annotated[bool, typer.Option("--remove", help="Remove it from that file.")]

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", re.ASCII)


def ssh_config(
    context: typer.Context, target: Target, write: Write = False, remove: Remove = False
) -> None:
    """Print an ssh entry that leads into an environment.

    With it in ~/.ssh/config, ssh, scp, sftp and editors connect into the environment. Their
    processes see its GPUs, and the connection holds it.

    Example: genvx remote ssh-config train --write
    """
    from genvx.cli.entries import files
    from genvx.cli.entries.entry import entry as entry_for
    from genvx.cli.entries.target import far, find

    where = far(here(context))
    if remove:
        path = files.file()
        if not files.keep([f"genvx-{target}", target]):
            raise InvalidInput(f"{path} has no entry {printable(target, 60)!r}")
        print(f"Removed {printable(target, 60)} from {path}")
        return
    with where.fleet() as fleet:
        host, env = find(where, fleet, target)
        user = host.entitlement().user
        hosts = {each.name for each in fleet.hosts}
    names = [f"genvx-{env.id}" if env is not None else f"genvx-{host.name}"]
    if env is not None and _SAFE.fullmatch(env.name) and env.name not in hosts:
        names.append(f"genvx-{env.name}")
    entry = entry_for(where, names, host.name, env, user)
    if not write:
        print(entry, end="")
        return
    # ssh takes the first entry that matches, so older ones with these names must go.
    files.keep(names, entry)
    files.include()
    print(f"ssh {names[-1]}")
